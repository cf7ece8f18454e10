// The twin: ArcFace's loss and gradient in place written by hand for this one case, as somebody would who has no library: the
// same arithmetic (exp to one ulp, float sums of at most 4096 carried in double) and the same full report. What it does to be
// fast: answers of comparisons go to memory and are counted 64 at a time, or without AVX-512 as whole numbers in a register, which
// leaves the arithmetic ports alone; the range check is the largest |c| of four packets; the few double functions that end a row
// run on several rows at once. The target holds -1 during the pass, whose e is no larger than any other, so that it can be taken
// out of the sum without loss.
#pragma once
#include <bit>
#include <cmath>

#include "losskit/backend/eigen_packet.hpp"
#include "losskit/row/exponential.hpp"
#include "memory.hpp"

namespace bench {

class Twin {
  using P = losskit::Packet<float>;
  using D = losskit::Packet<double>;
  static constexpr idx W = P::width, group = 4 * W, block = 4096, batch = 8, ahead = 16 << 10;

 public:
  Twin(Problem<float> const& problem, double m, double s)
      : a_(problem.view()), labels_(problem.labels.data()), cos_m_(std::cos(m)), sin_m_(std::sin(m)),
        exp_(losskit::Bounded<float>::of(s, {-1, 1}, double(problem.cols))), records_(problem.labels.size()) {}

  losskit::Report operator()() {
    idx const rows = a_.rows, together = std::clamp<idx>((36 << 10) / (a_.cols * 4), 1, batch);
    idx const tasks = std::min<idx>(rows * a_.cols < 8 << 20 ? 2 : 8, rows);  // in cache, each thread keeps its rows
    two_threads.run(tasks, [=, this](idx t) {
      idx const end = rows * (t + 1) / tasks;
      for (idx i = rows * t / tasks; i < end; i += together) several(i, std::min(together, end - i));
    });
    losskit::Report report;
    report.rows = report.valid = rows;
    for (Record const& r : records_) {
      report.loss += r.loss / double(rows);
      report.mean_target_angle += r.angle / double(rows);
      report.top1 += r.above == 0;
      report.topk += r.above < 5;
      report.hard_negatives += r.hard;
      report.clamped += r.odd.clamped;
      report.out_of_range += r.odd.out_of_range;
      report.non_finite += r.odd.non_finite;
    }
    return report;
  }

 private:
  struct Record {
    double loss = 0, angle = 0;
    idx above = 0, hard = 0;
    losskit::OddCosines odd;
  };
  // What a row's arithmetic needs; by value, so that it stays in registers across the stores.
  struct Row {
    float* a;
    idx n;
    P k, k_low, shift, c_y, threshold;
  };

  // Where a comparison held, in a block.
#if defined(__AVX512F__)
  class Marks {
   public:
    LOSSKIT_INLINE void set(idx packet, P::Mask const& mask) { _store_mask16(marks_ + packet, mask.bits()); }
    idx count(idx packets) {
      idx sum = 0;
      for (idx i = packets; i % 4 != 0; ++i) marks_[i] = 0;
      for (idx i = 0; i < packets; i += 4) {
        std::uint64_t four;
        std::memcpy(&four, marks_ + i, 8);
        sum += std::popcount(four);
      }
      return sum;
    }

   private:
    std::uint16_t marks_[block / W + 4];
  };
#else
  class Marks {
   public:
    LOSSKIT_INLINE void set(idx, P::Mask const& mask) { count_ = counted(count_, mask); }
    idx count(idx) {
      idx const sum = idx(count_.sum());
      count_ = 0;
      return sum;
    }

   private:
    P::Count count_ = 0;
  };
#endif
  struct BlockMarks {
    Marks above, hard;
  };

  // All |c| <= 1 in a group? NaN may pass here, and is found in z.
  static LOSSKIT_INLINE bool fine(float const* c) {
#if defined(__AVX512DQ__)
    auto const larger = [](__m512 x, __m512 y) { return _mm512_range_ps(x, y, 0b1011); };  // of the absolute values
    __m512 const most =
        larger(larger(_mm512_loadu_ps(c), _mm512_loadu_ps(c + W)), larger(_mm512_loadu_ps(c + 2 * W), _mm512_loadu_ps(c + 3 * W)));
    return _mm512_cmp_ps_mask(most, _mm512_set1_ps(1), _CMP_NLE_UQ) == 0;
#else
    return !P::any_outside(P::load(c), P::load(c + W), P::load(c + 2 * W), P::load(c + 3 * W));
#endif
  }

  static LOSSKIT_INLINE P packet(float* a, P k, P k_low, P shift, P c_y, P threshold, idx mark, BlockMarks& marks) {
    P const c = P::load(a), e = exp2_of(k, k_low, c, shift);
    e.store(a);
    marks.above.set(mark, not_less(c, c_y));
    marks.hard.set(mark, c > threshold);
    return e;
  }

  // The same for one packet with lanes missing (before the first aligned one, at the end) or cosines that are odd.
  static P edge(Row const& r, idx j, idx end, idx mark, BlockMarks& marks, losskit::OddCosines& odd) {
    idx const m = std::min(W, end - j);
    P const raw = P::load_some(r.a + j, m);
    auto const on = P::first_lanes(m);
    P c = raw;
    if (!(abs(raw) <= 1).all()) {
      float clean[W];
      raw.store(clean);
      for (float& x : clean) x = losskit::clamped_cosine(x, odd);
      c = P::load(clean);
    }
    P const e = exp2_of(r.k, r.k_low, c, r.shift);
    e.store_some(r.a + j, m);
    marks.above.set(mark, on & !(raw < r.c_y));
    marks.hard.set(mark, on & (raw > r.threshold));
    return select(on, e, P(0.0f));
  }

  // The number of elements before the first aligned packet: a packet that lies across two cache lines costs two.
  static idx lead(float const* a) { return idx(-reinterpret_cast<std::uintptr_t>(a) / sizeof(float) % std::size_t(W)); }

  static double open(Row const r, Record& record) {
    double z = 0;
    BlockMarks marks;
    P const k = r.k, k_low = r.k_low, shift = r.shift, c_y = r.c_y, threshold = r.threshold;
    idx const first = std::min(r.n, lead(r.a));
    for (idx begin = 0; begin < r.n;) {
      idx const end = std::min(r.n, begin == 0 && first > 0 ? first + block - W : begin + block);
      P sum = 0.0f;
      idx j = begin, mark = 0;
      if (begin == 0 && first > 0) sum = edge(r, 0, first, mark++, marks, record.odd), j = first;
      for (; j + group <= end; j += group, mark += 4) {
        float* const a = r.a + j;
        for (idx u = 0; u < group; u += 16) __builtin_prefetch(a + u + ahead, 0, 2);
        if (fine(a)) {
          P const e0 = packet(a, k, k_low, shift, c_y, threshold, mark, marks),
                  e1 = packet(a + W, k, k_low, shift, c_y, threshold, mark + 1, marks);
          P const e2 = packet(a + 2 * W, k, k_low, shift, c_y, threshold, mark + 2, marks),
                  e3 = packet(a + 3 * W, k, k_low, shift, c_y, threshold, mark + 3, marks);
          sum = sum + ((e0 + e1) + (e2 + e3));
        } else {
          for (idx u = 0; u < 4; ++u) sum = sum + edge(r, j + u * W, end, mark + u, marks, record.odd);
        }
      }
      for (; j < end; j += W, ++mark)
        sum = sum + (j + W <= end && (abs(P::load(r.a + j)) <= 1).all() ? packet(r.a + j, k, k_low, shift, c_y, threshold, mark, marks)
                                                                        : edge(r, j, end, mark, marks, record.odd));
      z += double(sum.sum());
      record.above += marks.above.count(mark);
      record.hard += marks.hard.count(mark);
      begin = end;
    }
    if (std::isnan(z))  // NaN cosines that passed as fine left NaN where they were
      for (idx j = 0; j < r.n; ++j) record.odd.non_finite += std::isnan(r.a[j]);
    return z;
  }

  void several(idx first, idx count) {
    double z[batch] = {1, 1, 1, 1, 1, 1, 1, 1}, c[batch] = {}, loss[batch], factor[batch], slope[batch], psi[batch], turned[batch];
    float raw[batch];
    for (idx i = 0; i < count; ++i) {
      losskit::OddCosines& odd = (records_[std::size_t(first + i)] = Record{}).odd;
      float& target = a_.row(first + i)[labels_[first + i]];
      raw[i] = target;
      c[i] = losskit::clamped_cosine(target, odd);
      target = -1;
    }
    // psi = cos(theta + m), mirrored past pi; d psi / d c = sin(theta + m) / sin(theta), at most at the last c below 1.
    for (idx i = 0; i < count; i += D::width) {
      D const x = D::load(c + i), below = min(max(x, D(-1 + 0x1p-24)), D(1 - 0x1p-24));
      D const straight = x * cos_m_ - sqrt((1 - x) * (1 + x)) * sin_m_;
      straight.store(turned + i);
      select(x < D(-cos_m_), -2 - straight, straight).store(psi + i);
      abs(cos_m_ + below * sin_m_ / sqrt((1 - below) * (1 + below))).store(slope + i);
    }
    for (idx i = 0; i < count; ++i) {
      float* const a = a_.row(first + i);
      idx const y = labels_[first + i];
      Record& record = records_[std::size_t(first + i)];
      z[i] = open({a, a_.cols, exp_.k, exp_.k_low, exp2_shift(P(exp_.h)), raw[i], float(turned[i])}, record) - double(a[y]);
      record.above -= !(-1 < raw[i]), record.hard -= -1 > float(turned[i]);
      record.angle = std::acos(c[i]);
    }
    double const s = exp_.scale();
    for (idx i = 0; i < count; i += D::width) {
      D const sum = D::load(z + i), gap = log(sum) + exp_.shift() - s * D::load(psi + i), u = exp(-abs(gap));
      (max(gap, D(0)) + log1p(u)).store(loss + i);
      D const k = s / double(a_.rows) * select(gap < 0, u, D(1)) / (1 + u);
      (k / sum).store(factor + i);
      (-k * D::load(slope + i)).store(slope + i);
    }
    for (idx i = 0; i < count; ++i) {
      records_[std::size_t(first + i)].loss = loss[i];
      finish(a_.row(first + i), a_.cols, float(factor[i]));
      a_.row(first + i)[labels_[first + i]] = float(slope[i]);
    }
  }

  static void finish(float* a, idx n, P factor) {
    idx j = std::min(n, lead(a));
    (factor * P::load_some(a, j)).store_some(a, j);
    for (; j + group <= n; j += group)
      for (idx v = j; v < j + group; v += W) (factor * P::load(a + v)).store(a + v);
    for (; j < n; j += W) (factor * P::load_some(a + j, std::min(W, n - j))).store_some(a + j, std::min(W, n - j));
  }

  losskit::MatrixView<float> a_;
  std::int64_t const* labels_;
  double cos_m_, sin_m_;
  losskit::Bounded<float> exp_;
  std::vector<Record> records_;
};

}  // namespace bench
