// Errors: what can be wrong with a call, and the one place that throws.
#pragma once
#include <cstdio>
#include <cstdlib>
#include <exception>

#include "losskit/core/config.hpp"

namespace losskit::inline LOSSKIT_ISA {

// The base of every losskit error. what() names the argument, its value and the allowed range.
// Thrown before any output is written. The text lives inside the object: no allocation, no <string>.
class Error : public std::exception {
 public:
  char const* what() const noexcept override { return text_; }

  template <class... A>
  explicit Error(char const* format, A... values) {
    if constexpr (sizeof...(A) == 0) {
      std::snprintf(text_, sizeof text_, "%s", format);
    } else {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"
      std::snprintf(text_, sizeof text_, format, values...);
#pragma GCC diagnostic pop
    }
  }

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

// Throws E with a printf text; with exceptions switched off it prints the text and aborts.
template <class E, class... A>
[[noreturn]] inline void fail(char const* format, A... values) {
  E const error(format, values...);
#if defined(__cpp_exceptions)
  throw error;
#else
  std::fprintf(stderr, "losskit: %s\n", error.what());
  std::abort();
#endif
}

}  // namespace losskit::inline LOSSKIT_ISA
