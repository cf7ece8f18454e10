// A small RGB picture with rectangles, glyphs and text, saved as PNG.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "glyphs.hpp"

namespace demo {

struct Colour {
  std::uint8_t red, green, blue;
};

class Canvas {
 public:
  Canvas(int width, int height, Colour paper);

  void rectangle(int x, int y, int width, int height, Colour colour);
  void disc(double x, double y, double radius, Colour colour);
  // Ink over what is there, with its upper left corner at (x, y).
  void ink(int x, int y, Ink const& glyph, Colour colour);
  // Text with its baseline at y, from x on; returns the pen's x after it.
  int text(int x, int y, std::string_view ascii, int pixels, Colour colour);

  void save(std::string const& path) const;

 private:
  void blend(int x, int y, int share, Colour colour);  // share of 255

  int width_, height_;
  std::vector<std::uint8_t> rgb_;
  Typeface label_face_;
};

}  // namespace demo
