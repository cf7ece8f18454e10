// The checks of a call's arguments: each throws a typed error (core/expects.hpp) that names the argument and its value.
#pragma once
#include <cstddef>
#include <cstdint>
#include <limits>

#include "losskit/core/expects.hpp"
#include "losskit/core/view.hpp"
#include "losskit/loss/batch.hpp"

namespace losskit::inline LOSSKIT_ISA::detail {

// The bytes that an argument covers, to find overlaps.
struct Extent {
  char const* name;
  std::byte const* begin;
  std::byte const* end;
};
template <class T, class S>
Extent extent(char const* name, MatrixView<T, S> m) {
  auto const begin = reinterpret_cast<std::byte const*>(m.data);
  return {name, begin, m.data && m.rows > 0 && m.cols > 0 ? reinterpret_cast<std::byte const*>(m.row(m.rows - 1) + m.cols) : begin};
}
template <class T, class S>
Extent extent(char const* name, VectorView<T, S> v) {
  return {name, reinterpret_cast<std::byte const*>(v.data), reinterpret_cast<std::byte const*>(v.data ? v.data + v.size : v.data)};
}

// MemoryError unless the backend reaches this memory. Only a device's has to ask.
template <class B>
void expect_memory(B const& backend, Extent const& e) {
  if constexpr (requires { backend.reaches(e.begin); })
    if (e.begin != e.end && !backend.reaches(e.begin))
      fail<MemoryError>("%s: %p is host memory, which the device cannot reach", e.name, static_cast<void const*>(e.begin));
}

template <class B, std::size_t n>
void expect_memory(B const& backend, Extent const (&all)[n]) {
  for (Extent const& e : all) expect_memory(backend, e);
}

// An empty extent overlaps nothing, wherever it points.
inline bool overlap(Extent const& a, Extent const& b) {
  return a.begin < a.end && b.begin < b.end && a.begin < b.end && b.begin < a.end;
}

inline void expect_apart(Extent const& a, Extent const& b) {
  if (overlap(a, b))
    fail<AliasError>("%s overlaps %s: they must not share memory", a.name, b.name);
}

// All of these apart from each other.
template <std::size_t n>
void expect_all_apart(Extent const (&all)[n]) {
  for (std::size_t i = 1; i < n; ++i)
    for (std::size_t j = 0; j < i; ++j) expect_apart(all[j], all[i]);
}

using ll = long long;

// What a device's rows found wrong, as the error that a host throws.
inline void expect_no_fault(Fault const& f) {
  if (f.what == Fault::label) fail<LabelError>("labels[%lld] = %lld is outside [0, C)", ll(f.row), ll(f.value));
  if (f.what == Fault::weight) fail<ParameterError>("weights: that of row %lld, %g, is not a finite number >= 0", ll(f.row), f.value);
  if (f.what == Fault::scale)
    fail<ParameterError>("scales: that of row %lld, %g, is outside [0, scale_ceiling], at most largest_scale", ll(f.row), f.value);
  if (f.what == Fault::margin) fail<ParameterError>("margins: that of row %lld, %g, is none that the margin takes", ll(f.row), f.value);
  if (f.what == Fault::rest) fail<ParameterError>("rest: that of row %lld, %g, is none that the rest rule takes", ll(f.row), f.value);
}

template <class T>
void expect_aligned(char const* name, T const* p) {
  if (reinterpret_cast<std::uintptr_t>(p) % alignof(T) != 0)
    fail<MemoryError>("%s: %p is not aligned to the %d bytes of its type", name, static_cast<void const*>(p), int(alignof(T)));
}
template <class T, class S>
void expect_matrix(char const* name, MatrixView<T, S> m) {
  expect_aligned(name, m.data);
  if (m.rows < 0 || m.cols < 0) fail<ShapeError>("%s: %lld x %lld is no shape", name, ll(m.rows), ll(m.cols));
  if (m.rows > 0 && m.cols > 0 && !m.data) fail<ShapeError>("%s: null, but %lld x %lld", name, ll(m.rows), ll(m.cols));
  if (m.stride < m.cols && m.rows > 1)
    fail<StrideError>("%s: stride %lld is below its %lld columns", name, ll(m.stride), ll(m.cols));
}
template <class T, class S>
void expect_shape(char const* name, MatrixView<T, S> m, idx rows, idx cols) {
  expect_matrix(name, m);
  if (m.rows != rows || m.cols != cols)
    fail<ShapeError>("%s: %lld x %lld, expected %lld x %lld", name, ll(m.rows), ll(m.cols), ll(rows), ll(cols));
}
template <class T, class S>
void expect_size(char const* name, VectorView<T, S> v, idx size) {
  expect_aligned(name, v.data);
  if (v.size != size) fail<ShapeError>("%s: %lld elements, expected %lld", name, ll(v.size), ll(size));
  if (size > 0 && !v.data) fail<ShapeError>("%s: null, but %lld elements", name, ll(size));
}
template <class T, class S>
void expect_size_or_none(char const* name, VectorView<T, S> v, idx size) {
  if (v.data || v.size != 0) expect_size(name, v, size);
}
template <class T>
void expect_not_negative(char const* name, VectorView<T const> v) {
  constexpr T largest = std::numeric_limits<T>::max();
  for (idx i = 0; i < v.size; ++i)
    if (!(v[i] >= 0 && v[i] <= largest))
      fail<ParameterError>("%s[%lld] = %g is not a finite number >= 0", name, ll(i), double(v[i]));
}

// `out` may be `in` itself, element for element; any other overlap is refused. Two column ranges of one larger matrix do
// not overlap.
template <class A, class B, class S>
void expect_same_or_apart(char const* in_name, MatrixView<A, S> in, char const* out_name, MatrixView<B, S> out, bool same_allowed) {
  if (!overlap(extent(in_name, in), extent(out_name, out))) return;
  bool const same = in.data == out.data && (in.stride == out.stride || in.rows <= 1);
  if (same && same_allowed) return;
  if (same) fail<AliasError>("%s is %s: accumulate needs a gradient of its own", out_name, in_name);
  if (in.rows > 1 && in.stride > 0 && in.stride == out.stride && sizeof(A) == sizeof(B)) {
    idx const step = in.stride, gap = ((out.data - in.data) % step + step) % step;
    if (gap >= in.cols && step - gap >= out.cols) return;
  }
  fail<AliasError>("%s overlaps %s in part: it must be the same memory or apart", out_name, in_name);
}

template <class S>
void expect_workspace(VectorView<std::byte, S> w, std::size_t needed) {
  if (static_cast<std::size_t>(w.size) < needed || (needed > 0 && !w.data))
    fail<WorkspaceError>("workspace: %lld bytes given, %lld needed (workspace_bytes)", ll(w.data ? w.size : 0), ll(needed));
}

}  // namespace losskit::inline LOSSKIT_ISA::detail
