// A typed error, as a test expects it.
#pragma once
#include <doctest/doctest.h>

#include <exception>
#include <functional>
#include <initializer_list>
#include <string>

#include "losskit/core/expects.hpp"

namespace test {

using namespace losskit;

// f throws E (and an Error, and a std::exception), and the text holds all of `words`.
template <class E>
void expect_error(std::function<void()> const& f, std::initializer_list<char const*> words) {
  std::string text = "nothing was thrown";
  bool typed = false;
  try {
    f();
  } catch (E const& e) {
    typed = true;
    Error const& base = e;
    std::exception const& standard = base;
    text = standard.what();
  } catch (std::exception const& e) {
    text = std::string("another type: ") + e.what();
  }
  INFO(text);
  CHECK(typed);
  for (char const* word : words) {
    INFO("should name: " << std::string(word));
    CHECK(text.find(word) != std::string::npos);
  }
}

}  // namespace test
