// How alike two embeddings are: cosine, angle and squared distance of two vectors a and b of one length.
//
//   cosine            c = a.b / (|a| |b|)                                    in [-1, 1]
//   angle             theta = 2 atan2(|u - v|, |u + v|), u = a/|a|, v = b/|b|  in [0, pi] radians
//   squared distance  d^2 = sum_k (a_k - b_k)^2                              >= 0; 2 - 2c for unit vectors
//
// The angle is Kahan's form and not acos(c), which loses half the digits where it matters, at theta -> 0 and
// pi. A vector without a direction (all zeros, or of length 0) has c = 0 and theta = pi/2 with every other.
// NaN or infinite elements give NaN. Every sum is carried in double; cosine and angle of finite doubles
// neither overflow nor vanish, however large or small they are, while d^2 is infinite where it leaves the
// range of double.
#pragma once
#include <algorithm>
#include <cmath>
#include <type_traits>

#include "losskit/core/expects.hpp"
#include "losskit/core/view.hpp"

namespace losskit::inline LOSSKIT_ISA {

namespace detail {

template <class A, class B>
void check_vectors(char const* who, VectorView<A> a, VectorView<B> b) {
  static_assert(std::is_arithmetic_v<A> && std::is_arithmetic_v<B> && sizeof(A) <= 8 && sizeof(B) <= 8,
                "losskit: a similarity takes host vectors of numbers up to double");
  if (a.size != b.size)
    fail<ShapeError>("%s: a has %lld elements and b has %lld", who, static_cast<long long>(a.size),
                     static_cast<long long>(b.size));
  if (a.size < 0 || (a.size > 0 && (!a.data || !b.data)))
    fail<ShapeError>("%s: null vector of %lld elements", who, static_cast<long long>(a.size));
}

// The squares of v / unit are safe in double. Those of a float always are; doubles are divided by the
// largest.
template <class T>
double unit_of(VectorView<T> v) {
  double largest = 0;
  if constexpr (sizeof(T) == sizeof(double))
    for (idx k = 0; k < v.size; ++k) largest = std::max(largest, std::abs(static_cast<double>(v[k])));
  return largest > 0 ? largest : 1;
}

template <class T>
double norm_in_units(VectorView<T> v, double unit) {
  double sum = 0;
  for (idx k = 0; k < v.size; ++k) {
    double const x = static_cast<double>(v[k]) / unit;
    sum += x * x;
  }
  return std::sqrt(sum);
}

template <class A, class B>
double cosine(VectorView<A> a, VectorView<B> b) {
  check_vectors("cosine_similarity", a, b);
  double const unit_a = unit_of(a), unit_b = unit_of(b);
  double const norms = norm_in_units(a, unit_a) * norm_in_units(b, unit_b);
  if (norms == 0) return 0;  // not taken where the other vector is NaN: 0 NaN = NaN
  double dot = 0;
  for (idx k = 0; k < a.size; ++k)
    dot += (static_cast<double>(a[k]) / unit_a) * (static_cast<double>(b[k]) / unit_b);
  return std::clamp(dot / norms, -1.0, 1.0);  // rounding may leave [-1, 1] by an ulp; NaN passes
}

template <class A, class B>
double angle(VectorView<A> a, VectorView<B> b) {
  check_vectors("angle_between", a, b);
  double const unit_a = unit_of(a), unit_b = unit_of(b);
  double const norm_a = norm_in_units(a, unit_a), norm_b = norm_in_units(b, unit_b);
  if (norm_a * norm_b == 0) return std::atan2(1.0, 0.0);
  double difference = 0, sum = 0;
  for (idx k = 0; k < a.size; ++k) {
    double const u = static_cast<double>(a[k]) / unit_a / norm_a,
                 v = static_cast<double>(b[k]) / unit_b / norm_b;
    difference += (u - v) * (u - v);
    sum += (u + v) * (u + v);
  }
  return 2 * std::atan2(std::sqrt(difference), std::sqrt(sum));
}

template <class A, class B>
double distance(VectorView<A> a, VectorView<B> b) {
  check_vectors("squared_distance", a, b);
  double sum = 0;
  for (idx k = 0; k < a.size; ++k) {
    double const d = static_cast<double>(a[k]) - static_cast<double>(b[k]);
    sum += d * d;
  }
  return sum;
}

}  // namespace detail

// a, b: host vectors of D elements each, of any number type up to double (the two may differ).
// ShapeError if the lengths differ or a pointer is null.
template <class A, class B>
double cosine_similarity(A const& a, B const& b) {
  return detail::cosine(view(a), view(b));
}

// As cosine_similarity; radians. The distance 1 of facenet (davidsandberg/facenet, facenet.distance) is angle
// / pi.
template <class A, class B>
double angle_between(A const& a, B const& b) {
  return detail::angle(view(a), view(b));
}

// As cosine_similarity; of the vectors as they are, not normalised. Distance 0 of facenet, on unit
// embeddings.
template <class A, class B>
double squared_distance(A const& a, B const& b) {
  return detail::distance(view(a), view(b));
}

// d^2 = 2 - 2c of two unit vectors with cosine c, in [0, 4]; c outside [-1, 1] counts as the end it passed,
// NaN stays NaN. Its inverse, c = 1 - d^2 / 2, turns a published distance threshold into one on cosines.
inline double squared_distance_from_cosine(double c) { return 2 - 2 * std::clamp(c, -1.0, 1.0); }

}  // namespace losskit::inline LOSSKIT_ISA
