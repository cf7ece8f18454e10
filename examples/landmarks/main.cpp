// Finds key points of warped glyphs after training on labels with outliers: Wing and Adaptive Wing against L2
// and SmoothL1.
//
//   demo_landmarks [--quick] [--out FOLDER]

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "../support/canvas.hpp"
#include "../support/gnuplot.hpp"
#include "../support/runtime.hpp"
#include "shapes.hpp"
#include "train.hpp"

namespace demo {
namespace {

constexpr double outlier_share = 0.15;
constexpr std::size_t test_scenes = 2000;

// Fixed work, so that a result does not depend on the machine's speed.
struct Size {
  std::size_t train_scenes;
  int epochs;
};
constexpr Size full_size{12000, 12};
constexpr Size quick_size{6000, 8};

// The distance of every predicted point from the truth, in pixels, sorted.
std::vector<double> errors_of(Predictor const& predictor, Scenes const& test) {
  std::vector<double> errors;
  errors.reserve(test.truth.size() / 2);
  for (std::size_t i = 0; i < test.truth.size(); i += 2) {
    errors.push_back(std::hypot(predictor.predictions[i] - test.truth[i],
                                predictor.predictions[i + 1] - test.truth[i + 1]));
  }
  std::ranges::sort(errors);
  return errors;
}

void print_table(std::vector<Predictor> const& predictors, Scenes const& test) {
  std::printf("%-14s %-12s %12s %12s %12s %12s %8s\n", "loss", "output", "median px", "mean px", "90% below",
              "over 2 px", "seconds");
  for (Predictor const& predictor : predictors) {
    std::vector<double> const errors = errors_of(predictor, test);
    double sum = 0;
    for (double const error : errors) sum += error;
    auto const count = static_cast<double>(errors.size());
    auto const far = static_cast<double>(errors.end() - std::ranges::upper_bound(errors, 2.0));
    std::printf("%-14s %-12s %12.3f %12.3f %12.3f %11.1f%% %8.1f\n", std::string(predictor.loss).c_str(),
                std::string(predictor.output).c_str(), errors[errors.size() / 2], sum / count,
                errors[errors.size() * 9 / 10], 100 * far / count, predictor.seconds);
  }
  std::printf("Distances from the true points in %d x %d scenes.\n\n", scene_side, scene_side);
}

constexpr std::array palette{"#8c8c8c", "#4477aa", "#d62728", "#bbbbbb", "#88bbdd", "#e6a817"};

void draw_errors(std::string const& path, std::vector<Predictor> const& predictors, Scenes const& test) {
  Gnuplot plot(path, 1000, 680);
  plot
      << "set title 'Key points of unseen glyphs, trained with 15% outliers' font ',16' textcolor '#222222'\n"
      << "set xlabel 'distance from the true point, pixels' textcolor '#444444'\nset ylabel 'share of points "
         "within' textcolor '#444444'\n"
      << "set xrange [0:4]\nset yrange [0:1]\nset key bottom right reverse Left samplen 2.5 spacing 1.25 "
         "textcolor '#222222'\n";
  for (std::size_t i = 0; i < predictors.size(); ++i) {
    std::vector<double> const errors = errors_of(predictors[i], test);
    plot.print("$loss%zu << EOD\n", i);
    for (std::size_t k = 0; k < errors.size(); k += 40) {
      plot.print("%g %g\n", errors[k], static_cast<double>(k) / static_cast<double>(errors.size()));
    }
    plot << "EOD\n";
  }
  plot << "plot ";
  for (std::size_t i = 0; i < predictors.size(); ++i) {
    plot.print("%s$loss%zu using 1:2 with lines linewidth 2 dashtype %d linecolor '%s' title '%s on %s'",
               i == 0 ? "" : ", ", i, predictors[i].output == "heatmaps" ? 2 : 1, palette[i % palette.size()],
               std::string(predictors[i].loss).c_str(), std::string(predictors[i].output).c_str());
  }
  plot << "\n";
}

// A row for each loss: test scenes with the true box (green) and the predicted one (red).
void draw_scenes_sheet(std::string const& path, std::vector<Predictor> const& predictors,
                       Scenes const& test) {
  constexpr int columns = 7, zoom = 4, shown = scene_side * zoom, gap = 12, label = 190, heading = 60;
  constexpr Colour paper{250, 249, 246}, dark{34, 34, 34}, quiet{120, 120, 120}, green{27, 158, 119},
      red{214, 39, 40};
  int const rows = static_cast<int>(predictors.size());
  Canvas canvas(label + columns * (shown + gap) + gap, heading + rows * (shown + gap) + gap, paper);
  int const pen = canvas.text(20, 38, "Key points of unseen glyphs: ", 20, dark);
  canvas.text(canvas.text(pen, 38, "truth ", 20, green), 38, "and prediction", 20, red);
  auto const draw_box = [&](float const* points, int left, int top, Colour colour) {
    auto const at = [&](int k, int axis) {
      return (static_cast<double>(points[2 * (k % key_points) + axis]) + 0.5) * zoom;
    };
    for (int k = 0; k < key_points; ++k) {
      constexpr int pieces = 24;
      for (int i = 0; i < pieces; ++i) {
        double const share = static_cast<double>(i) / pieces;
        canvas.disc(left + at(k, 0) + share * (at(k + 1, 0) - at(k, 0)),
                    top + at(k, 1) + share * (at(k + 1, 1) - at(k, 1)), 0.3, colour);
      }
      canvas.disc(left + at(k, 0), top + at(k, 1), 2.6, colour);
    }
  };
  for (int row = 0; row < rows; ++row) {
    Predictor const& predictor = predictors[static_cast<std::size_t>(row)];
    int const top = heading + row * (shown + gap);
    canvas.text(20, top + shown / 2, predictor.loss, 17, dark);
    canvas.text(20, top + shown / 2 + 20, "on " + std::string(predictor.output), 13, quiet);
    for (int column = 0; column < columns; ++column) {
      auto const scene = static_cast<std::size_t>(column);
      int const left = label + column * (shown + gap);
      for (int pixel = 0; pixel < scene_pixels; ++pixel) {
        float const ink = test.pixels[scene * scene_pixels + static_cast<std::size_t>(pixel)];
        auto const gray = static_cast<std::uint8_t>(255 - 150 * std::clamp(ink, 0.0F, 1.0F));
        canvas.rectangle(left + pixel % scene_side * zoom, top + pixel / scene_side * zoom, zoom, zoom,
                         {gray, gray, gray});
      }
      draw_box(test.truth.data() + scene * coordinates, left, top, green);
      draw_box(predictor.predictions.data() + scene * coordinates, left, top, red);
    }
  }
  canvas.save(path);
}

void run_demo(Size const& size, std::string const& folder) {
  auto const begin = std::chrono::steady_clock::now();
  std::filesystem::create_directories(folder);
  SceneSplit const scenes = draw_scenes(size.train_scenes, test_scenes, outlier_share);
  std::printf(
      "%zu training scenes, %.0f%% of their labels outliers; %zu test scenes of other characters in other "
      "typefaces.\n\n",
      scenes.train.size(), 100 * outlier_share, scenes.test.size());
  std::vector<NamedRun> const all = runs();
  std::vector<Predictor> predictors(all.size());
  {
    Progress progress("Training", static_cast<std::int64_t>(scenes.train.size() * all.size()) * size.epochs,
                      static_cast<int>(all.size()));
    std::vector<std::function<void()>> jobs;
    for (std::size_t i = 0; i < all.size(); ++i) {
      jobs.emplace_back([&, i] { predictors[i] = all[i].run(scenes, size.epochs, progress); });
    }
    run_on_all_cores(jobs);
  }
  print_table(predictors, scenes.test);
  draw_errors(folder + "/landmark-errors.png", predictors, scenes.test);
  draw_scenes_sheet(folder + "/landmarks.png", predictors, scenes.test);
  int const seconds =
      static_cast<int>(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  std::printf("Pictures (all in %d:%02d):\n", seconds / 60, seconds % 60);
  for (char const* const name : {"landmark-errors", "landmarks"}) {
    std::printf("  %s\n", std::filesystem::absolute(folder + "/" + name + ".png").lexically_normal().c_str());
  }
}

constexpr std::string_view usage =
    "usage: demo_landmarks [--quick] [--out FOLDER]\n"
    "  --quick       fewer scenes and epochs\n"
    "  --out FOLDER  where the pictures go (build/demo)\n";

int run(std::span<char*> arguments) {
  bool quick = false;
  std::string folder = "build/demo";
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    std::string_view const word = arguments[i];
    if (word == "--quick") {
      quick = true;
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
  run_demo(quick ? quick_size : full_size, folder);
  return 0;
}

}  // namespace
}  // namespace demo

int main(int count, char** arguments) {
  try {
    return demo::run(std::span(arguments, static_cast<std::size_t>(count)).subspan(1));
  } catch (std::exception const& problem) {
    std::fprintf(stderr, "demo_landmarks: %s\n", problem.what());
    return 2;
  }
}
