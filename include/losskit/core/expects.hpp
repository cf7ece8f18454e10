// Errors: what can be wrong with a call, and the one place that throws.
#pragma once
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <exception>

#include "losskit/core/config.hpp"

namespace losskit {

// The base of every losskit error: one type in every unit of a program, whatever the flags of the unit that throws.
// what() names the argument, its value and the allowed range. Thrown before any output is written. The text lives inside the
// object: no allocation, no <string>. The linker keeps one unit's copy of these functions for the whole program, so they must not
// hold instructions of that unit's -march: they only copy text, by a call of snprintf.
class Error : public std::exception {
 public:
  explicit Error(char const* text) noexcept { std::snprintf(text_, sizeof text_, "%s", text); }
  Error(Error const& other) noexcept : Error(other.text_) {}
  Error& operator=(Error const& other) noexcept {
    if (this != &other) std::snprintf(text_, sizeof text_, "%s", other.text_);
    return *this;
  }
  char const* what() const noexcept override { return text_; }

 private:
  char text_[256];
};

struct ParameterError : Error { using Error::Error; };  // a number outside its range, or NaN
struct ShapeError : Error { using Error::Error; };      // sizes that disagree, or null with a size
struct StrideError : Error { using Error::Error; };     // a row stride below the number of columns
struct LabelError : Error { using Error::Error; };      // a label outside [0, C); names row and value
struct AliasError : Error { using Error::Error; };      // memory that overlaps where it must not
struct MemoryError : Error { using Error::Error; };     // memory that the backend cannot reach, or not aligned for its type
struct WorkspaceError : Error { using Error::Error; };  // a workspace below what the query asks; names both sizes

}  // namespace losskit

namespace losskit::inline LOSSKIT_ISA {

// Throws E with a printf text; with exceptions switched off it prints the text and aborts. One function for all arguments, far from the
// code that calls it.
template <class E>
[[noreturn, gnu::cold, gnu::noinline, gnu::format(printf, 1, 2)]] inline void fail(char const* format, ...) {
  char text[256];
  std::va_list values;
  va_start(values, format);
  std::vsnprintf(text, sizeof text, format, values);
  va_end(values);
#if defined(__cpp_exceptions)
  throw E(text);
#else
  static_assert(requires { E(text); });
  std::fprintf(stderr, "losskit: %s\n", text);
  std::abort();
#endif
}

}  // namespace losskit::inline LOSSKIT_ISA
