// How well embeddings tell unseen characters apart, in unseen typefaces.
#pragma once

#include <string_view>
#include <vector>

#include "data.hpp"
#include "train.hpp"

namespace demo {

// Two test images and the cosine of their embeddings.
struct Pair {
  std::size_t first, second;
  float cosine;
};

struct RatePoint {
  double false_accept_rate, true_accept_rate;
};

struct Result {
  std::string_view loss{};
  double tar_at_1e2 = 0, tar_at_1e3 = 0, tar_at_1e4 = 0, equal_error_rate = 0, area = 0, rank_1 = 0;
  std::vector<RatePoint> curve{};   // thinned for drawing, FAR from 1e-6 to 1
  std::vector<Pair> most_alike{};   // different characters, the most similar first, no two characters twice
  std::vector<Pair> least_alike{};  // one character, the least similar first, no character twice
};

// Verification is over all pairs of test images; rank-1 looks each image up among all characters in each
// other typeface.
Result evaluate(Trained const& trained, GlyphSet const& test);

// The table, on stdout; the best of each column is marked.
void print_table(std::vector<Result> const& results, std::vector<Trained> const& trained);

}  // namespace demo
