// serial: one thread, one number at a time. The reference: every other backend must agree with it.
#pragma once
#include <cstddef>

#include "losskit/core/view.hpp"
#include "losskit/loss/batch.hpp"
#include "losskit/loss/workspace.hpp"
#include "losskit/team/serial.hpp"

namespace losskit::inline LOSSKIT_ISA::on {

// A Backend (loss/arguments.hpp) has a memory space, a name, and the verbs
//   rows<T>(rows, cols, placement, scratch, f)     f(team, i) for every row i, the team a Team (team/team.hpp)
//   scratch_bytes<T>(rows, cols, placement)        the scratch that rows asks for
//   blocks<T>(count, f)                            f(team, k) for every k in [0, count): independent pieces of any work. Optional:
//                                                  f.output_bytes(), the bytes that all of them write and none reads; F::long_chain
//   given(p)                                       the result at p in the backend's memory, as a call returns it: here its value
//   product(a, ta, b, tb, c, beta)                 c = op(a) op(b) + beta c, op the transpose where asked
struct serial {
  using space = host;
  static constexpr char const* name = "serial";

  template <class T>
  std::size_t scratch_bytes(idx, idx cols, Placement placement) const {
    return placement == Placement::accumulate ? detail::padded(static_cast<std::size_t>(cols) * sizeof(T)) : 0;
  }

  template <class T, class F>
  void rows(idx rows, idx, Placement placement, std::byte* scratch, F const& f) const {
    bool const accumulate = placement == Placement::accumulate;
    SerialTeam<T> team(accumulate ? reinterpret_cast<T*>(scratch) : nullptr, accumulate);
    for (idx i = 0; i < rows; ++i) f(team, i);
  }

  template <class T, class F>
  void blocks(idx count, F const& f) const {
    SerialTeam<T> team;
    for (idx k = 0; k < count; ++k) f(team, k);
  }

  template <class R>
  R given(R const* p) const { return *p; }

  // c = op(a) op(b) + beta c; op transposes where asked. Sums in double.
  template <class T>
  void product(MatrixView<T const> a, bool a_transposed, MatrixView<T const> b, bool b_transposed, MatrixView<T> c, T beta) const {
    idx const inner = a_transposed ? a.rows : a.cols;
    for (idx i = 0; i < c.rows; ++i)
      for (idx j = 0; j < c.cols; ++j) {
        double sum = 0;
        for (idx k = 0; k < inner; ++k)
          sum += double(a_transposed ? a.row(k)[i] : a.row(i)[k]) * double(b_transposed ? b.row(j)[k] : b.row(k)[j]);
        c.row(i)[j] = T(sum + (beta == 0 ? 0.0 : double(beta) * double(c.row(i)[j])));
      }
  }
};

}  // namespace losskit::inline LOSSKIT_ISA::on
