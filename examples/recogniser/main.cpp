// Trains an open-set character recogniser with every loss and compares them on characters and typefaces that
// it never saw.
//
//   demo_characters [--quick | --regression] [--out FOLDER]

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "../support/runtime.hpp"
#include "data.hpp"
#include "evaluate.hpp"
#include "pictures.hpp"
#include "train.hpp"

namespace demo {
namespace {

// How much work a run is. Counted in images, so that a result does not depend on the machine's speed.
struct Size {
  std::size_t train_characters, test_characters;
  int epochs;
};
// One core trains 5400 images a second: 2400 x 20 images x 6 epochs are 53 s, and the nine losses 4.5 minutes
// on two cores. With drawing, judging and the fans that is about half of the twelve minutes that the whole
// demo may take.
constexpr Size full_size{2400, 800, 6};
constexpr Size quick_size{1000, 500, 3};      // 20000 x 3 images a loss: 50 s for all on two cores
constexpr Size regression_size{400, 300, 3};  // 8000 x 3 images, for two losses and three seeds: 15 s

// The fans: few characters, two dimensions, many passes over little data. In the plane, centres crowd: eight
// are 45 degrees apart, and CosFace cannot be satisfied above m = 1 - cos(45 degrees) = 0.29. Half the
// margins of the papers leave room.
constexpr std::size_t fan_characters = 8;
constexpr Plan fan_plan{
    .dimensions = 2, .epochs = 100, .batch = 40, .scale = 12, .rate = 0.01, .strength = 0.5, .seed = 1};

double since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

Split draw_and_describe(Size const& size) {
  auto const begin = std::chrono::steady_clock::now();
  Split split = draw_glyphs(size.train_characters, size.test_characters);
  std::printf("Drew %zu glyphs in %.1f s.\n", split.train.size() + split.test.size(), since(begin));
  describe(split);
  return split;
}

// Every loss once, on `set`.
std::vector<Trained> train_all(std::string const& title, GlyphSet const& set, GlyphSet const& shown,
                               Plan const& plan) {
  std::vector<NamedTrainer> const all = trainers();
  std::vector<Trained> trained(all.size());
  auto const images =
      static_cast<std::int64_t>(set.size()) * plan.epochs * static_cast<std::int64_t>(all.size());
  Progress progress(title, images, static_cast<int>(all.size()));
  std::vector<std::function<void()>> jobs;
  for (std::size_t i = 0; i < all.size(); ++i) {
    jobs.emplace_back([&, i] { trained[i] = all[i].run(set, shown, plan, progress); });
  }
  run_on_all_cores(jobs);
  return trained;
}

void run_demo(Size const& size, std::string const& folder) {
  auto const begin = std::chrono::steady_clock::now();
  std::filesystem::create_directories(folder);
  Split const split = draw_and_describe(size);

  GlyphSet const few = first_classes(split.train, fan_characters), scattered = distorted(few, 8);
  std::vector<Trained> const fans = train_all("Two-dimensional fans", few, scattered, fan_plan);
  draw_fans(folder + "/fans.png", fans, scattered);

  std::vector<Trained> const trained =
      train_all("Training", split.train, split.test, Plan{.epochs = size.epochs});
  draw_angles(folder + "/target-angles.png", trained);

  std::vector<Result> results(trained.size());
  std::vector<std::function<void()>> jobs;
  for (std::size_t i = 0; i < trained.size(); ++i) {
    jobs.emplace_back([&, i] { results[i] = evaluate(trained[i], split.test); });
  }
  run_on_all_cores(jobs);
  print_table(results, trained);
  draw_roc(folder + "/roc.png", results);
  auto const arc = std::ranges::find(results, "ArcFace", &Result::loss);
  draw_confusions(folder + "/confusions.png", *arc, split.test);

  int const seconds = static_cast<int>(since(begin));
  std::printf("Pictures (all in %d:%02d):\n", seconds / 60, seconds % 60);
  for (char const* const name : {"roc", "target-angles", "fans", "confusions"}) {
    std::printf("  %s\n", std::filesystem::absolute(folder + "/" + name + ".png").lexically_normal().c_str());
  }
}

// True if ArcFace finds more unseen characters than plain softmax does: the median over three seeds of the
// rank-1 rate.
bool run_regression() {
  Split const split = draw_and_describe(regression_size);
  constexpr std::size_t seeds = 3;
  std::vector<NamedTrainer> contenders = trainers();
  std::erase_if(contenders, [](NamedTrainer const& t) { return t.loss != "softmax" && t.loss != "ArcFace"; });
  std::array<std::array<double, seeds>, 2> rates{};
  {
    auto const images = static_cast<std::int64_t>(split.train.size() * 2 * seeds) * regression_size.epochs;
    Progress progress("Training", images, 2 * seeds);
    std::vector<std::function<void()>> jobs;
    for (std::size_t k = 0; k < 2 * seeds; ++k) {
      jobs.emplace_back([&, k] {
        Plan const plan{.epochs = regression_size.epochs, .seed = k / 2 + 1};
        rates[k % 2][k / 2] =
            evaluate(contenders[k % 2].run(split.train, split.test, plan, progress), split.test).rank_1;
      });
    }
    run_on_all_cores(jobs);
  }
  std::array<double, 2> medians{};
  for (std::size_t i = 0; i < 2; ++i) {
    std::printf("%-8s rank-1:", std::string(contenders[i].loss).c_str());
    for (double const rate : rates[i]) std::printf(" %.4f", rate);
    std::ranges::sort(rates[i]);
    medians[i] = rates[i][seeds / 2];
    std::printf("   median %.4f\n", medians[i]);
  }
  bool const better = medians[1] > medians[0];
  std::printf("%s\n",
              better ? "ok: ArcFace beats plain softmax" : "FAILED: ArcFace no longer beats plain softmax");
  return better;
}

constexpr std::string_view usage =
    "usage: demo_characters [--quick | --regression] [--out FOLDER]\n"
    "  --quick       fewer characters and epochs: about two minutes on two cores instead of six\n"
    "  --regression  no pictures; fails unless ArcFace beats plain softmax\n"
    "  --out FOLDER  where the pictures go (build/demo)\n";

int run(std::span<char*> arguments) {
  bool quick = false, regression = false;
  std::string folder = "build/demo";
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    std::string_view const word = arguments[i];
    if (word == "--quick") {
      quick = true;
    } else if (word == "--regression") {
      regression = true;
    } else if (word == "--out" && i + 1 < arguments.size()) {
      folder = arguments[++i];
    } else if (word == "--help" || word == "-h") {
      std::printf("%s", usage.data());
      return 0;
    } else {
      throw Problem("unknown argument '" + std::string(word) + "'\n" + std::string(usage));
    }
  }
  prepare_process();
  if (regression) return run_regression() ? 0 : 1;
  run_demo(quick ? quick_size : full_size, folder);
  return 0;
}

}  // namespace
}  // namespace demo

int main(int count, char** arguments) {
  try {
    return demo::run(std::span(arguments, static_cast<std::size_t>(count)).subspan(1));
  } catch (std::exception const& problem) {
    std::fprintf(stderr, "demo_characters: %s\n", problem.what());
    return 2;
  }
}
