#include "shapes.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <span>

#include "../support/faces.hpp"
#include "../support/random.hpp"

namespace demo {
namespace {

constexpr std::uint64_t scene_seed = 68;
constexpr int em = 48;  // glyphs are drawn larger than they appear and averaged down
constexpr std::size_t known_characters = 1500;

struct Point {
  float x, y;
};

// A projective map of the plane: (x, y, 1) -> (X/W, Y/W).
struct Warp {
  std::array<float, 9> m;

  [[nodiscard]] Point operator()(Point p) const {
    float const w = m[6] * p.x + m[7] * p.y + m[8];
    return {(m[0] * p.x + m[1] * p.y + m[2]) / w, (m[3] * p.x + m[4] * p.y + m[5]) / w};
  }
  // The adjugate: the inverse up to a factor, which a projective map does not feel.
  [[nodiscard]] Warp inverse() const {
    auto const minor = [this](int a, int b, int c, int d) { return at(a) * at(d) - at(b) * at(c); };
    return {{minor(4, 5, 7, 8), -minor(1, 2, 7, 8), minor(1, 2, 4, 5),   //
             -minor(3, 5, 6, 8), minor(0, 2, 6, 8), -minor(0, 2, 3, 5),  //
             minor(3, 4, 6, 7), -minor(0, 1, 6, 7), minor(0, 1, 3, 4)}};
  }

 private:
  [[nodiscard]] float at(int i) const { return m[static_cast<std::size_t>(i)]; }
};

// From glyph coordinates, the ink's box being [-1, 1] x [-1, 1] at most, to pixels of the scene.
Warp random_warp(Random& random) {
  float const turn = random.uniform(-0.6F, 0.6F), shear = random.uniform(-0.3F, 0.3F);
  float const size = random.uniform(7.0F, 9.5F), stretch = random.uniform(0.88F, 1.12F);
  float const cosine = std::cos(turn), sine = std::sin(turn), wide = size * stretch, high = size / stretch;
  float const middle = 0.5F * (scene_side - 1);
  float const x = middle + random.uniform(-2, 2), y = middle + random.uniform(-2, 2);
  float const tilt_x = random.uniform(-0.12F, 0.12F), tilt_y = random.uniform(-0.12F, 0.12F);
  std::array const affine{wide * cosine, high * (shear * cosine - sine), wide * sine,
                          high * (shear * sine + cosine)};
  // The perspective acts about the glyph's middle: x and y are added behind the division.
  return {{affine[0] + x * tilt_x, affine[1] + x * tilt_y, x, affine[2] + y * tilt_x, affine[3] + y * tilt_y,
           y, tilt_x, tilt_y, 1}};
}

// The ink at a place of the glyph's bitmap, bilinear; outside there is paper.
float ink_at(Ink const& ink, float x, float y) {
  auto const column = static_cast<int>(std::floor(x)), row = static_cast<int>(std::floor(y));
  float const right = x - std::floor(x), lower = y - std::floor(y);
  auto const at = [&](int r, int c) {
    bool const inside = r >= 0 && r < ink.height && c >= 0 && c < ink.width;
    return inside ? static_cast<float>(ink.pixels[static_cast<std::size_t>(r * ink.width + c)]) / 255 : 0.0F;
  };
  return (1 - lower) * ((1 - right) * at(row, column) + right * at(row, column + 1)) +
         lower * ((1 - right) * at(row + 1, column) + right * at(row + 1, column + 1));
}

void add_scene(Scenes& scenes, Ink const& ink, Random& random, double outlier_share) {
  float const half_width = 0.5F * static_cast<float>(ink.width),
              half_height = 0.5F * static_cast<float>(ink.height);
  float const unit = 0.5F * em;  // bitmap pixels in 1 of the glyph's coordinates
  Warp const warp = random_warp(random), back = warp.inverse();
  constexpr int fine = 3;  // samples across a pixel
  for (int y = 0; y < scene_side; ++y) {
    for (int x = 0; x < scene_side; ++x) {
      float sum = 0;
      for (int k = 0; k < fine * fine; ++k) {
        auto const offset = [](int i) { return (static_cast<float>(i) + 0.5F) / fine - 0.5F; };
        Point const p =
            back({static_cast<float>(x) + offset(k % fine), static_cast<float>(y) + offset(k / fine)});
        sum += ink_at(ink, p.x * unit + half_width - 0.5F, p.y * unit + half_height - 0.5F);
      }
      scenes.pixels.push_back(sum / (fine * fine));
    }
  }
  // Clockwise from the upper left corner.
  constexpr std::array<Point, key_points> box{
      {{-1, -1}, {0, -1}, {1, -1}, {1, 0}, {1, 1}, {0, 1}, {-1, 1}, {-1, 0}}};
  for (Point const& corner : box) {
    Point const p = warp({corner.x * half_width / unit, corner.y * half_height / unit});
    bool const outlier = random.uniform() < static_cast<float>(outlier_share);
    Point const anywhere{random.uniform(0, scene_side - 1), random.uniform(0, scene_side - 1)};
    Point const label = outlier ? anywhere : p;
    scenes.truth.insert(scenes.truth.end(), {p.x, p.y});
    scenes.labels.insert(scenes.labels.end(), {label.x, label.y});
  }
}

Scenes draw(std::size_t count, std::span<char32_t const> characters, std::span<Face const> names,
            double outlier_share, Random& random) {
  std::vector<Typeface> faces;
  for (Face const& name : names) faces.emplace_back(name);
  Scenes scenes;
  while (scenes.size() < count) {
    Ink const ink = faces[random.below(faces.size())].draw(characters[random.below(characters.size())], em);
    // A box that is wide or flat, as that of U+4E00, tells little about its own orientation.
    if (ink.width < em / 2 || ink.height < em / 2) continue;
    add_scene(scenes, ink, random, outlier_share);
  }
  return scenes;
}

}  // namespace

SceneSplit draw_scenes(std::size_t train, std::size_t test, double outlier_share) {
  Random random(scene_seed);
  std::vector<Typeface> faces;
  for (Face const& face : training_faces) faces.emplace_back(face);
  for (Face const& face : test_faces) faces.emplace_back(face);
  std::vector<char32_t> characters = shared_characters(faces);
  if (characters.size() < 2 * known_characters)
    throw Problem("the fonts share too few characters: are they of another version?");
  random.shuffle(std::span(characters));
  std::span<char32_t const> const all = characters;
  Scenes known = draw(train, all.first(known_characters), training_faces, outlier_share, random);
  return {std::move(known), draw(test, all.subspan(known_characters), test_faces, 0, random)};
}

}  // namespace demo
