#include "evaluate.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <set>
#include <utility>

#include <unistd.h>
#include <Eigen/Core>

#include <losskit/recognition/verification.hpp>

namespace demo {
namespace {

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

// The cosine of every pair of images.
Matrix cosines_of(Trained const& trained) {
  auto const dimensions = static_cast<Eigen::Index>(trained.dimensions);
  auto const images = static_cast<Eigen::Index>(trained.embeddings.size()) / dimensions;
  Matrix unit = Eigen::Map<Matrix const>(trained.embeddings.data(), images, dimensions);
  unit.rowwise().normalize();
  Matrix cosines(images, images);
  cosines.noalias() = unit * unit.transpose();
  return cosines;
}

void verify(Matrix const& cosines, GlyphSet const& test, Result& result) {
  std::vector<float> scores;
  std::vector<std::uint8_t> same;
  std::size_t const pairs = test.size() * (test.size() - 1) / 2;
  scores.reserve(pairs);
  same.reserve(pairs);
  for (std::size_t i = 0; i < test.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      scores.push_back(cosines(static_cast<Eigen::Index>(i), static_cast<Eigen::Index>(j)));
      same.push_back(test.labels[i] == test.labels[j]);
    }
  }
  std::vector<losskit::RocPoint> points(losskit::roc_capacity(pairs));
  losskit::RocCurve const curve = losskit::roc(scores, same, points);
  result.tar_at_1e2 = losskit::tar_at_far(curve, 1e-2).tar;
  result.tar_at_1e3 = losskit::tar_at_far(curve, 1e-3).tar;
  result.tar_at_1e4 = losskit::tar_at_far(curve, 1e-4).tar;
  result.equal_error_rate = losskit::equal_error_rate(curve).rate;
  result.area = losskit::auc(curve);
  for (double exponent = -6; exponent < 0.001; exponent += 0.05) {
    auto const at = losskit::tar_at_far(curve, std::min(1.0, std::pow(10.0, exponent)));
    if (!at.resolution_insufficient) result.curve.push_back({at.far, at.tar});
  }
}

double rank_1(Matrix const& cosines, GlyphSet const& test) {
  int const faces = 1 + *std::ranges::max_element(test.faces);
  std::size_t right = 0, searches = 0;
  std::vector<float> best(static_cast<std::size_t>(faces));
  std::vector<std::int64_t> found(best.size());
  for (std::size_t i = 0; i < test.size(); ++i) {
    std::ranges::fill(best, -2.0F);
    std::ranges::fill(found, -1);
    for (std::size_t j = 0; j < test.size(); ++j) {
      auto const face = static_cast<std::size_t>(test.faces[j]);
      float const cosine = cosines(static_cast<Eigen::Index>(i), static_cast<Eigen::Index>(j));
      if (cosine > best[face]) best[face] = cosine, found[face] = test.labels[j];
    }
    for (std::size_t face = 0; face < best.size(); ++face) {
      if (static_cast<int>(face) == test.faces[i]) continue;
      ++searches;
      right += found[face] == test.labels[i];
    }
  }
  return static_cast<double>(right) / static_cast<double>(searches);
}

// The first `count` of the pairs that `order` puts in front, each pair of characters once.
template <class Wanted, class Order>
std::vector<Pair> hardest(Matrix const& cosines, GlyphSet const& test, Wanted wanted, Order order) {
  constexpr std::size_t candidates = 4000, count = 24;
  std::vector<Pair> pairs;
  auto const by_cosine = [&](Pair const& a, Pair const& b) { return order(a.cosine, b.cosine); };
  auto const keep_candidates = [&] {
    std::ranges::sort(pairs, by_cosine);
    pairs.resize(std::min(pairs.size(), candidates));
  };
  for (std::size_t i = 0; i < test.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (!wanted(test.labels[i], test.labels[j])) continue;
      Pair const pair{j, i, cosines(static_cast<Eigen::Index>(i), static_cast<Eigen::Index>(j))};
      if (pairs.size() >= candidates && !by_cosine(pair, pairs[candidates - 1]))
        continue;  // the list is sorted that far
      pairs.push_back(pair);
      if (pairs.size() == 2 * candidates) keep_candidates();
    }
  }
  keep_candidates();
  std::set<std::pair<std::int64_t, std::int64_t>> told;
  std::erase_if(pairs, [&](Pair const& p) {
    auto const [low, high] = std::minmax(test.labels[p.first], test.labels[p.second]);
    return told.size() >= count || !told.insert({low, high}).second;
  });
  return pairs;
}

}  // namespace

Result evaluate(Trained const& trained, GlyphSet const& test) {
  Matrix const cosines = cosines_of(trained);
  Result result{.loss = trained.loss};
  verify(cosines, test, result);
  result.rank_1 = rank_1(cosines, test);
  result.most_alike = hardest(cosines, test, std::not_equal_to{}, std::greater{});
  result.least_alike = hardest(cosines, test, std::equal_to{}, std::less{});
  return result;
}

void print_table(std::vector<Result> const& results, std::vector<Trained> const& trained) {
  struct Column {
    char const* title;
    double Result::*value;
    bool higher;
  };
  constexpr Column columns[] = {{"TAR@FAR=1e-2", &Result::tar_at_1e2, true},
                                {"TAR@FAR=1e-3", &Result::tar_at_1e3, true},
                                {"TAR@FAR=1e-4", &Result::tar_at_1e4, true},
                                {"EER", &Result::equal_error_rate, false},
                                {"AUC", &Result::area, true},
                                {"rank-1", &Result::rank_1, true}};
  bool const terminal = isatty(STDOUT_FILENO) == 1;
  std::printf("%-20s", "loss");
  for (Column const& column : columns) std::printf(" %12s ", column.title);
  std::printf(" %12s %8s\n", "train top-1", "seconds");
  for (std::size_t i = 0; i < results.size(); ++i) {
    std::printf("%-20s", std::string(results[i].loss).c_str());
    for (Column const& column : columns) {
      double const value = results[i].*column.value;
      bool const best = std::ranges::all_of(results, [&](Result const& other) {
        return column.higher ? value >= other.*column.value : value <= other.*column.value;
      });
      char const *const on = best && terminal ? "\x1b[1;32m" : "", *const off =
                                                                       best && terminal ? "\x1b[0m" : "";
      std::printf(" %s%12.5f%s%s", on, value, best ? "*" : " ", off);
    }
    std::printf(" %12.4f %8.1f\n", trained[i].accuracy, trained[i].seconds);
  }
  std::printf("* the best of its column\n\n");
}

}  // namespace demo
