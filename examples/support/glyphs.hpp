// Glyph images of Han characters in many typefaces, drawn by FreeType.
//
// A character is a class and a typeface is what varies within it, as a face has one identity and many poses.
// Every image is glyph_side x glyph_side pixels of ink, 0 (paper) to 255 (ink), with the glyph's own bounding
// box in the middle: where a designer put the baseline says nothing about the character.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace demo {

inline constexpr int glyph_side = 24;  // pixels of an image's edge
inline constexpr int glyph_pixels = glyph_side * glyph_side;

// A request that cannot be met on this machine, in words for the person in front of it.
struct Problem : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Face {
  std::string_view
      family;  // designs that descend from one another share a family, whatever their file is called
  std::string_view file;     // below /usr/share/fonts
  int index;                 // which face inside a collection (.ttc)
  std::string_view package;  // the Debian package that brings it
};

// An 8-bit ink image of any size, row by row, and how a line of text places it.
struct Ink {
  int width = 0, height = 0;
  int left = 0, top = 0;  // from the pen to the image's left edge, and from the baseline up to its upper edge
  int advance = 0;        // from this pen to the next
  std::vector<std::uint8_t> pixels;
};

// One open font. Move-only; the FreeType objects live behind the pointer.
class Typeface {
 public:
  explicit Typeface(Face const& face);
  Typeface(Typeface&&) noexcept;
  Typeface& operator=(Typeface&&) noexcept;
  ~Typeface();

  [[nodiscard]] bool has(char32_t character) const;

  // The glyph's tight bounding box of ink at an em of `pixels`; empty when the face has no such glyph or
  // draws nothing.
  [[nodiscard]] Ink draw(char32_t character, int pixels) const;

 private:
  struct Handle;
  std::unique_ptr<Handle> handle_;
};

// The character in the middle of a glyph_side x glyph_side image. False (and an empty image) when the face
// cannot draw it.
bool draw_centred(Typeface const& face, char32_t character, std::span<std::uint8_t, glyph_pixels> image);

// Han characters (U+4E00 to U+9FFF) that every one of the faces has, in code point order.
std::vector<char32_t> shared_characters(std::span<Typeface const> faces);

// UTF-8 of one character, for labels.
std::string utf8(char32_t character);

}  // namespace demo
