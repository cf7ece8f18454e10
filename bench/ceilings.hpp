// The ceilings: the least that a path could do to its memory, as fast as two threads can do it, with and without asking for
// memory ahead. In cache, where arithmetic counts, the ceiling is exp alone.
#pragma once
#include "losskit/backend/eigen_packet.hpp"
#include "memory.hpp"
#include "race.hpp"

namespace bench {

// Where results go that nobody reads, so that no work is optimised away.
inline double volatile sink;

inline constexpr idx near = 0, far = 64 << 10;  // bytes ahead; near: not at all

// f(j) for every packet of n elements, four to an iteration, each thread one half; what is left over is left out.
template <class T, class F>
void sweep(idx n, F const& f) {
  constexpr idx W = losskit::Packet<T>::width, step = 4 * W;
  two_threads.run(2, [=](idx t) {
    idx const groups = n / step;
    f(groups * t / 2 * step, groups * (t + 1) / 2 * step);
  });
}

template <idx Ahead, class T>
LOSSKIT_INLINE void ask(T const* p) {
  constexpr idx line = 64 / idx(sizeof(T)), step = 4 * losskit::Packet<T>::width;
  if constexpr (Ahead > 0)
    for (idx j = 0; j < step; j += line) __builtin_prefetch(p + j + Ahead / idx(sizeof(T)));
}

// a *= k: 1R + 1W in place.
template <idx Ahead, class T>
void scale_in_place(T* a, idx n) {
  using P = losskit::Packet<T>;
  sweep<T>(n, [=](idx from, idx to) {
    P const k = T(1) - std::numeric_limits<T>::epsilon();
    for (idx j = from; j < to; j += 4 * P::width) {
      ask<Ahead>(a + j);
      for (idx u = 0; u < 4; ++u) (k * P::load(a + j + u * P::width)).store(a + j + u * P::width);
    }
  });
}

// b = k a, written past the caches: 1R + 1W.
template <idx Ahead, class T>
void scale_apart(T const* a, T* b, idx n) {
  using P = losskit::Packet<T>;
  sweep<T>(n, [=](idx from, idx to) {
    P const k = T(1) - std::numeric_limits<T>::epsilon();
    for (idx j = from; j < to; j += 4 * P::width) {
      ask<Ahead>(a + j);
      for (idx u = 0; u < 4; ++u) (k * P::load(a + j + u * P::width)).stream(b + j + u * P::width);
    }
    losskit::Packet<float>::fence_streams();
  });
}

// The sum of a: 1R.
template <idx Ahead, class T>
void read(T const* a, idx n) {
  using P = losskit::Packet<T>;
  sweep<T>(n, [=](idx from, idx to) {
    P sum[4] = {T(0), T(0), T(0), T(0)};
    for (idx j = from; j < to; j += 4 * P::width) {
      ask<Ahead>(a + j);
      for (idx u = 0; u < 4; ++u) sum[u] = sum[u] + P::load(a + j + u * P::width);
    }
    sink = double(((sum[0] + sum[1]) + (sum[2] + sum[3])).sum());
  });
}

// out = k x + y: 2R + 1W; `out` may be x itself (Streamed = false) or is written past the caches.
template <idx Ahead, bool Streamed, class T>
void scale_and_add(T const* x, T const* y, T* out, idx n) {
  using P = losskit::Packet<T>;
  sweep<T>(n, [=](idx from, idx to) {
    P const k = T(0.5);
    for (idx j = from; j < to; j += 4 * P::width) {
      ask<Ahead>(x + j), ask<Ahead>(y + j);
      for (idx u = 0; u < 4; ++u) {
        idx const at = j + u * P::width;
        P const r = fma(k, P::load(x + at), P::load(y + at));
        if constexpr (Streamed) r.stream(out + at); else r.store(out + at);
      }
    }
    losskit::Packet<float>::fence_streams();
  });
}

// a = 2^(k a - h): plain exp over the same memory, in place.
template <idx Ahead, class T>
void raise_in_place(T* a, idx n) {
  using P = losskit::Packet<T>;
  sweep<T>(n, [=](idx from, idx to) {
    P const k = T(92.3), k_low = T(1e-6), shift = exp2_shift(P(5));
    for (idx j = from; j < to; j += 4 * P::width) {
      ask<Ahead>(a + j);
      for (idx u = 0; u < 4; ++u) exp2_of(k, k_low, P::load(a + j + u * P::width), shift).store(a + j + u * P::width);
    }
  });
}

}  // namespace bench
