// Warped glyphs with their key points, and what a careless annotator would have written down.
//
// The eight key points are the corners and the edge midpoints of the upright box around the glyph's ink. A
// random projective warp (rotation, shear, stretch, perspective) carries ink and points to the image, so that
// the truth is exact. In the training labels, some points are outliers: anywhere in the image.
#pragma once

#include <cstdint>
#include <vector>

#include "../support/glyphs.hpp"

namespace demo {

inline constexpr int scene_side = 32;  // pixels of an image's edge
inline constexpr int scene_pixels = scene_side * scene_side;
inline constexpr int key_points = 8;
inline constexpr int coordinates = 2 * key_points;  // x, y of each point, in pixels

struct Scenes {
  std::vector<float> pixels;  // ink in [0, 1], scene_pixels a scene
  std::vector<float> truth;   // coordinates a scene
  std::vector<float> labels;  // the truth, with outliers

  [[nodiscard]] std::size_t size() const { return truth.size() / coordinates; }
};

struct SceneSplit {
  Scenes train, test;
};

// Test scenes show other characters in other families of typefaces, and their labels have no outliers.
SceneSplit draw_scenes(std::size_t train, std::size_t test, double outlier_share);

}  // namespace demo
