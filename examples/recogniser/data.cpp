#include "data.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <iterator>
#include <set>
#include <string>

#include "../support/faces.hpp"

namespace demo {
namespace {

constexpr std::uint64_t split_seed = 20180701;

std::vector<Typeface> open(std::span<Face const> faces) {
  std::vector<Typeface> opened;
  opened.reserve(faces.size());
  for (Face const& face : faces) opened.emplace_back(face);
  return opened;
}

GlyphSet draw(std::span<char32_t const> characters, std::span<Typeface const> faces) {
  GlyphSet set;
  set.characters.assign(characters.begin(), characters.end());
  set.pixels.reserve(characters.size() * faces.size() * glyph_pixels);
  for (std::size_t k = 0; k < characters.size(); ++k) {
    for (std::size_t f = 0; f < faces.size(); ++f) {
      std::array<std::uint8_t, glyph_pixels> image;
      if (!draw_centred(faces[f], characters[k], image)) continue;  // a blank glyph: some fonts have a few
      set.pixels.insert(set.pixels.end(), image.begin(), image.end());
      set.labels.push_back(static_cast<std::int64_t>(k));
      set.faces.push_back(static_cast<int>(f));
    }
  }
  return set;
}

void list_families(char const* title, std::span<Face const> faces, GlyphSet const& set) {
  std::printf("%s%5zu characters x %2zu faces = %6zu images:", title, set.characters.size(), faces.size(),
              set.size());
  std::set<std::string_view> told;
  int column = 0;
  for (Face const& face : faces) {
    if (!told.insert(face.family).second) continue;
    std::printf("%s%.*s", column++ % 6 == 0 ? "\n           " : ", ", static_cast<int>(face.family.size()),
                face.family.data());
  }
  std::printf("\n");
}

}  // namespace

Split draw_glyphs(std::size_t train_characters, std::size_t test_characters) {
  std::vector<Typeface> const train = open(training_faces), test = open(test_faces);
  std::vector<char32_t> characters = shared_characters(train);
  std::erase_if(characters, [&](char32_t c) {
    return !std::ranges::all_of(test, [&](Typeface const& f) { return f.has(c); });
  });
  if (characters.size() < train_characters + test_characters) {
    throw Problem("the fonts share only " + std::to_string(characters.size()) + " characters, " +
                  std::to_string(train_characters + test_characters) +
                  " are needed: are they of another version?");
  }
  Random(split_seed).shuffle(std::span(characters));
  std::span<char32_t const> const all = characters;
  return {draw(all.first(train_characters), train),
          draw(all.subspan(train_characters, test_characters), test)};
}

void describe(Split const& split) {
  list_families("  train  ", training_faces, split.train);
  list_families("  test   ", test_faces, split.test);
  std::printf("  No test character and no test family is ever trained on.\n\n");
}

GlyphSet first_classes(GlyphSet const& set, std::size_t count) {
  GlyphSet few;
  few.characters.assign(set.characters.begin(), set.characters.begin() + static_cast<std::ptrdiff_t>(count));
  for (std::size_t i = 0; i < set.size(); ++i) {
    if (set.labels[i] >= static_cast<std::int64_t>(count)) continue;
    auto const image = set.image(i);
    few.pixels.insert(few.pixels.end(), image.begin(), image.end());
    few.labels.push_back(set.labels[i]);
    few.faces.push_back(set.faces[i]);
  }
  return few;
}

GlyphSet distorted(GlyphSet const& set, int copies) {
  GlyphSet many;
  many.characters = set.characters;
  Random random(split_seed);
  std::array<float, glyph_pixels> ink;
  for (std::size_t i = 0; i < set.size(); ++i) {
    for (int copy = 0; copy < copies; ++copy) {
      write_augmented(set.image(i), random, ink.data());
      std::ranges::transform(ink, std::back_inserter(many.pixels),
                             [](float x) { return static_cast<std::uint8_t>(255 * x + 0.5F); });
      many.labels.push_back(set.labels[i]);
      many.faces.push_back(set.faces[i]);
    }
  }
  return many;
}

// Each output pixel looks up where it came from: p' = A (p - centre) + centre + shift, bilinear between four
// pixels.
void write_augmented(std::span<std::uint8_t const, glyph_pixels> image, Random& random, float* out) {
  constexpr float centre = 0.5F * (glyph_side - 1);
  float const zoom = random.uniform(0.92F, 1.08F), stretch = random.uniform(0.94F, 1.06F);
  float const turn = random.uniform(-0.06F, 0.06F), shear = random.uniform(-0.08F, 0.08F);
  float const shift_x = random.uniform(-1.2F, 1.2F), shift_y = random.uniform(-1.2F, 1.2F);
  float const xx = zoom * stretch, xy = shear - turn, yx = turn, yy = zoom / stretch;
  for (int y = 0; y < glyph_side; ++y) {
    for (int x = 0; x < glyph_side; ++x) {
      float const dx = static_cast<float>(x) - centre, dy = static_cast<float>(y) - centre;
      float const from_x = xx * dx + xy * dy + centre + shift_x,
                  from_y = yx * dx + yy * dy + centre + shift_y;
      float const left = std::floor(from_x), top = std::floor(from_y);
      float const right_share = from_x - left, bottom_share = from_y - top;
      int const column = static_cast<int>(left), row = static_cast<int>(top);
      auto const ink = [&](int r, int c) {
        bool const inside = r >= 0 && r < glyph_side && c >= 0 && c < glyph_side;
        return inside ? static_cast<float>(image[static_cast<std::size_t>(r * glyph_side + c)]) : 0.0F;
      };
      float const upper = ink(row, column) + right_share * (ink(row, column + 1) - ink(row, column));
      float const lower =
          ink(row + 1, column) + right_share * (ink(row + 1, column + 1) - ink(row + 1, column));
      *out++ = (upper + bottom_share * (lower - upper)) * (1 / 255.0F);
    }
  }
}

void write_plain(std::span<std::uint8_t const, glyph_pixels> image, float* out) {
  std::ranges::transform(image, out, [](std::uint8_t ink) { return static_cast<float>(ink) * (1 / 255.0F); });
}

}  // namespace demo
