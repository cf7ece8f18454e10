// The pictures of the recogniser, as PNG files in a folder.
#pragma once

#include <string>
#include <vector>

#include "data.hpp"
#include "evaluate.hpp"
#include "train.hpp"

namespace demo {

// TAR over FAR of every loss, FAR on a logarithmic axis.
void draw_roc(std::string const& path, std::vector<Result> const& results);

// For every loss, the histogram of the targets' angles in each epoch, light to dark.
void draw_angles(std::string const& path, std::vector<Trained> const& trained);

// For every loss, the two-dimensional embeddings of a few characters, coloured by character, with the class
// centres.
void draw_fans(std::string const& path, std::vector<Trained> const& trained, GlyphSet const& shown);

// The pairs of test images that a loss gets most wrong, with their glyphs.
void draw_confusions(std::string const& path, Result const& result, GlyphSet const& test);

}  // namespace demo
