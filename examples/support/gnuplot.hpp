// Charts by gnuplot, through a pipe.
#pragma once

#include <cstdio>
#include <string>
#include <string_view>

#include "glyphs.hpp"

namespace demo {

class Gnuplot {
 public:
  // Opens a PNG of the given size in pixels.
  Gnuplot(std::string const& path, int width, int height) : pipe_(popen("gnuplot 2>&1", "w")) {
    if (pipe_ == nullptr)
      throw Problem("cannot start gnuplot\n  install it with:  apt-get install -y gnuplot-nox");
    *this << "set terminal pngcairo size " << std::to_string(width) << "," << std::to_string(height)
          << " font 'DejaVu Sans,11' background '#ffffff' linewidth 1.4\n"
          << "set output '" << path << "'\n"
          << "set border 3 linecolor '#888888' linewidth 0.8\n"
          << "set tics nomirror textcolor '#444444'\n"
          << "set grid linecolor '#e4e4e4' linetype 1 linewidth 0.7\n";
  }
  ~Gnuplot() {
    if (pclose(pipe_) != 0) std::fprintf(stderr, "gnuplot failed; is gnuplot-nox installed?\n");
  }
  Gnuplot(Gnuplot const&) = delete;
  Gnuplot& operator=(Gnuplot const&) = delete;

  Gnuplot& operator<<(std::string_view text) {
    std::fwrite(text.data(), 1, text.size(), pipe_);
    return *this;
  }
  // printf, for numbers.
  template <class... Args>
  Gnuplot& print(char const* format, Args... args) {
    std::fprintf(pipe_, format, args...);
    return *this;
  }

 private:
  std::FILE* pipe_;
};

}  // namespace demo
