// The images of the recogniser and their split: characters and families that are trained on, and others for
// the test.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "../support/glyphs.hpp"
#include "../support/random.hpp"

namespace demo {

// Images with the class of each. Class k is characters[k]; image i shows it in the face faces[i] of its list.
struct GlyphSet {
  std::vector<char32_t> characters;
  std::vector<std::uint8_t> pixels;  // glyph_pixels an image
  std::vector<std::int64_t> labels;
  std::vector<int> faces;

  [[nodiscard]] std::size_t size() const { return labels.size(); }
  [[nodiscard]] std::span<std::uint8_t const, glyph_pixels> image(std::size_t i) const {
    return std::span<std::uint8_t const, glyph_pixels>(pixels.data() + i * glyph_pixels, glyph_pixels);
  }
};

struct Split {
  GlyphSet train, test;
};

// Draws the whole data set: a few seconds. The characters are those that every face has, shuffled by a fixed
// seed, so that neither side gets the simple ones.
Split draw_glyphs(std::size_t train_characters, std::size_t test_characters);

// What the reader of a table should know about the split, on stdout.
void describe(Split const& split);

// The first `count` classes of a set, for the two-dimensional pictures.
GlyphSet first_classes(GlyphSet const& set, std::size_t count);

// Each image `copies` times, distorted differently every time.
GlyphSet distorted(GlyphSet const& set, int copies);

// The image as ink in [0, 1], moved, scaled, rotated and sheared a little, differently at every call.
void write_augmented(std::span<std::uint8_t const, glyph_pixels> image, Random& random, float* out);
// The image as it is.
void write_plain(std::span<std::uint8_t const, glyph_pixels> image, float* out);

}  // namespace demo
