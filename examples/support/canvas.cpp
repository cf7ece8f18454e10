#include "canvas.hpp"

#include <algorithm>
#include <cmath>

#include <png.h>

namespace demo {
namespace {
constexpr Face label_font{"DejaVu Sans", "truetype/dejavu/DejaVuSans.ttf", 0, "fonts-dejavu-core"};
}

Canvas::Canvas(int width, int height, Colour paper)
    : width_(width),
      height_(height),
      rgb_(static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * 3),
      label_face_(label_font) {
  rectangle(0, 0, width, height, paper);
}

void Canvas::blend(int x, int y, int share, Colour colour) {
  if (x < 0 || x >= width_ || y < 0 || y >= height_) return;
  std::uint8_t* const pixel = &rgb_[3 * (static_cast<std::size_t>(y) * static_cast<std::size_t>(width_) +
                                         static_cast<std::size_t>(x))];
  auto const mix = [share](std::uint8_t under, std::uint8_t over) {
    return static_cast<std::uint8_t>((under * (255 - share) + over * share + 127) / 255);
  };
  pixel[0] = mix(pixel[0], colour.red);
  pixel[1] = mix(pixel[1], colour.green);
  pixel[2] = mix(pixel[2], colour.blue);
}

void Canvas::rectangle(int x, int y, int width, int height, Colour colour) {
  for (int row = y; row < y + height; ++row) {
    for (int column = x; column < x + width; ++column) blend(column, row, 255, colour);
  }
}

void Canvas::disc(double x, double y, double radius, Colour colour) {
  for (int row = static_cast<int>(y - radius) - 1; row <= static_cast<int>(y + radius) + 1; ++row) {
    for (int column = static_cast<int>(x - radius) - 1; column <= static_cast<int>(x + radius) + 1;
         ++column) {
      double const inside = radius + 0.5 - std::hypot(column - x, row - y);
      blend(column, row, static_cast<int>(255 * std::clamp(inside, 0.0, 1.0)), colour);
    }
  }
}

void Canvas::ink(int x, int y, Ink const& glyph, Colour colour) {
  std::size_t i = 0;
  for (int row = 0; row < glyph.height; ++row) {
    for (int column = 0; column < glyph.width; ++column)
      blend(x + column, y + row, glyph.pixels[i++], colour);
  }
}

int Canvas::text(int x, int y, std::string_view ascii, int pixels, Colour colour) {
  for (char const c : ascii) {
    Ink const glyph = label_face_.draw(static_cast<unsigned char>(c), pixels);
    ink(x + glyph.left, y - glyph.top, glyph, colour);
    x += glyph.advance;
  }
  return x;
}

void Canvas::save(std::string const& path) const {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(width_);
  image.height = static_cast<png_uint_32>(height_);
  image.format = PNG_FORMAT_RGB;
  if (png_image_write_to_file(&image, path.c_str(), 0, rgb_.data(), 0, nullptr) == 0) {
    throw Problem("cannot write " + path + ": " + image.message);
  }
}

}  // namespace demo
