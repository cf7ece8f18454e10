#include "glyphs.hpp"

#include <algorithm>
#include <utility>

#include <ft2build.h>
#include FT_FREETYPE_H

namespace demo {
namespace {

constexpr std::string_view font_root = "/usr/share/fonts/";
constexpr int glyph_em = 22;  // a Han glyph fills most of its em: one pixel of paper stays on either side

// FreeType wants one library object for each thread; the demo draws from one thread only.
FT_Library library() {
  static FT_Library const instance = [] {
    FT_Library fresh = nullptr;
    if (FT_Init_FreeType(&fresh) != 0) throw Problem("FreeType does not start");
    return fresh;
  }();
  return instance;
}

}  // namespace

struct Typeface::Handle {
  FT_Face face = nullptr;
  Handle() = default;
  Handle(Handle const&) = delete;
  Handle& operator=(Handle const&) = delete;
  ~Handle() {
    if (face != nullptr) FT_Done_Face(face);
  }
};

Typeface::Typeface(Face const& face) : handle_(std::make_unique<Handle>()) {
  std::string const path = std::string(font_root).append(face.file);
  if (FT_New_Face(library(), path.c_str(), face.index, &handle_->face) != 0 ||
      FT_Select_Charmap(handle_->face, FT_ENCODING_UNICODE) != 0) {
    throw Problem("cannot open the font " + path + "\n  install it with:  apt-get install -y " +
                  std::string(face.package));
  }
}

Typeface::Typeface(Typeface&&) noexcept = default;
Typeface& Typeface::operator=(Typeface&&) noexcept = default;
Typeface::~Typeface() = default;

bool Typeface::has(char32_t character) const { return FT_Get_Char_Index(handle_->face, character) != 0; }

Ink Typeface::draw(char32_t character, int pixels) const {
  FT_Face const face = handle_->face;
  FT_UInt const glyph = FT_Get_Char_Index(face, character);
  // No hinting and no embedded bitmaps: the outline alone is the design.
  if (glyph == 0 || FT_Set_Pixel_Sizes(face, 0, static_cast<FT_UInt>(pixels)) != 0 ||
      FT_Load_Glyph(face, glyph, FT_LOAD_RENDER | FT_LOAD_NO_HINTING | FT_LOAD_NO_BITMAP) != 0) {
    return {};
  }
  FT_Bitmap const& bitmap = face->glyph->bitmap;
  if (bitmap.rows > 0 && bitmap.pixel_mode != FT_PIXEL_MODE_GRAY) return {};
  Ink ink{
      .width = static_cast<int>(bitmap.width),
      .height = static_cast<int>(bitmap.rows),
      .left = face->glyph->bitmap_left,
      .top = face->glyph->bitmap_top,
      .advance = static_cast<int>((face->glyph->advance.x + 32) >> 6),  // FreeType counts in 64ths of a pixel
      .pixels = {}};
  ink.pixels.reserve(static_cast<std::size_t>(ink.width) * static_cast<std::size_t>(ink.height));
  for (int row = 0; row < ink.height; ++row) {
    unsigned char const* const line = bitmap.buffer + std::ptrdiff_t{row} * bitmap.pitch;
    ink.pixels.insert(ink.pixels.end(), line, line + ink.width);
  }
  return ink;
}

bool draw_centred(Typeface const& face, char32_t character, std::span<std::uint8_t, glyph_pixels> image) {
  std::ranges::fill(image, std::uint8_t{0});
  Ink const ink = face.draw(character, glyph_em);
  int const left = (glyph_side - ink.width) / 2;
  int const top = (glyph_side - ink.height) / 2;
  bool any = false;
  for (int y = 0; y < ink.height; ++y) {
    for (int x = 0; x < ink.width; ++x) {
      int const row = top + y, column = left + x;
      if (row < 0 || row >= glyph_side || column < 0 || column >= glyph_side)
        continue;  // a brush stroke past the edge
      std::uint8_t const value = ink.pixels[static_cast<std::size_t>(y * ink.width + x)];
      image[static_cast<std::size_t>(row * glyph_side + column)] = value;
      any = any || value > 127;
    }
  }
  return any;
}

std::vector<char32_t> shared_characters(std::span<Typeface const> faces) {
  std::vector<char32_t> shared;
  for (char32_t character = 0x4e00; character <= 0x9fff; ++character) {
    if (std::ranges::all_of(faces, [&](Typeface const& face) { return face.has(character); })) {
      shared.push_back(character);
    }
  }
  return shared;
}

std::string utf8(char32_t c) {
  auto const byte = [](char32_t bits) { return static_cast<char>(static_cast<unsigned char>(bits)); };
  if (c < 0x80) return {byte(c)};
  if (c < 0x800) return {byte(0xc0 | c >> 6), byte(0x80 | (c & 0x3f))};
  if (c < 0x10000) return {byte(0xe0 | c >> 12), byte(0x80 | (c >> 6 & 0x3f)), byte(0x80 | (c & 0x3f))};
  return {byte(0xf0 | c >> 18), byte(0x80 | (c >> 12 & 0x3f)), byte(0x80 | (c >> 6 & 0x3f)),
          byte(0x80 | (c & 0x3f))};
}

}  // namespace demo
