#include "pictures.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "../support/canvas.hpp"
#include "../support/faces.hpp"
#include "../support/gnuplot.hpp"

namespace demo {
namespace {

// Ten colours that stay apart for most eyes; the baseline is gray.
constexpr std::array palette{"#8c8c8c", "#1b9e77", "#4477aa", "#d62728", "#aa7733",
                             "#7b4fa3", "#e6a817", "#e377c2", "#2a2a2a", "#17becf"};

char const* colour(std::size_t i) { return palette[i % palette.size()]; }

// A grid of small charts, as square as it gets.
struct Grid {
  int columns, rows;
  explicit Grid(std::size_t charts)
      : columns(static_cast<int>(std::ceil(std::sqrt(static_cast<double>(charts))))),
        rows((static_cast<int>(charts) + columns - 1) / columns) {}
};

}  // namespace

void draw_roc(std::string const& path, std::vector<Result> const& results) {
  Gnuplot plot(path, 1100, 760);
  double lowest = 1;
  for (Result const& result : results) {
    for (RatePoint const& point : result.curve) {
      if (point.false_accept_rate >= 1e-5) lowest = std::min(lowest, point.true_accept_rate);
    }
  }
  plot << "set title 'Unseen characters in unseen typefaces' font ',16' textcolor '#222222'\n"
       << "set xlabel 'false accept rate' textcolor '#444444'\n"
       << "set ylabel 'true accept rate' textcolor '#444444'\n"
       << "set logscale x\nset format x '10^{%T}'\nset xrange [1e-5:1e-1]\n"
       << "set key bottom right reverse Left samplen 2.5 spacing 1.25 textcolor '#222222'\n";
  plot.print("set yrange [%g:1.005]\n", std::floor(lowest * 20) / 20);
  for (std::size_t i = 0; i < results.size(); ++i) {
    plot.print("$loss%zu << EOD\n", i);
    for (RatePoint const& point : results[i].curve) {
      plot.print("%.9g %.9g\n", point.false_accept_rate, point.true_accept_rate);
    }
    plot << "EOD\n";
  }
  plot << "plot ";
  for (std::size_t i = 0; i < results.size(); ++i) {
    plot.print("%s$loss%zu using 1:2 with lines linewidth 2 linecolor '%s' title '%s'", i == 0 ? "" : ", ", i,
               colour(i), std::string(results[i].loss).c_str());
  }
  plot << "\n";
}

void draw_angles(std::string const& path, std::vector<Trained> const& trained) {
  Grid const grid(trained.size());
  Gnuplot plot(path, 400 * grid.columns, 300 * grid.rows + 40);
  plot.print(
      "set multiplot layout %d,%d title "
      "'Angle between an image and its class centre, epoch by epoch (light to dark)' font ',16'\n",
      grid.rows, grid.columns);
  plot << "set xrange [0:110]\nset xtics 30\nset format y ''\nset xlabel 'degrees' textcolor '#444444' "
          "offset 0,0.5\n"
       << "set key off\nset style fill transparent solid 0.10 noborder\nunset ytics\n";
  for (std::size_t i = 0; i < trained.size(); ++i) {
    auto const& epochs = trained[i].angles;
    plot.print("set title '%s' font ',13' textcolor '#222222' offset 0,-0.5\n",
               std::string(trained[i].loss).c_str());
    for (std::size_t epoch = 0; epoch < epochs.size(); ++epoch) {
      plot.print("$epoch%zu << EOD\n", epoch);
      for (std::size_t bin = 0; bin < epochs[epoch].size(); ++bin) {
        double const width = 180.0 / static_cast<double>(epochs[epoch].size());
        plot.print("%g %lld\n", (static_cast<double>(bin) + 0.5) * width,
                   static_cast<long long>(epochs[epoch][bin]));
      }
      plot << "EOD\n";
    }
    plot << "set yrange [0:*]\nplot ";
    for (std::size_t epoch = 0; epoch < epochs.size(); ++epoch) {
      // From light blue to dark red over the epochs.
      double const share =
          epochs.size() < 2 ? 1 : static_cast<double>(epoch) / static_cast<double>(epochs.size() - 1);
      auto const mix = [share](double from, double to) {
        return static_cast<int>(from + share * (to - from));
      };
      char shade[8];
      std::snprintf(shade, sizeof shade, "#%02x%02x%02x", mix(170, 150), mix(205, 20), mix(230, 40));
      plot.print("$epoch%zu using 1:2 with filledcurves y=0 linecolor '%s', ", epoch, shade);
      plot.print("$epoch%zu using 1:2 with lines linewidth 1.5 linecolor '%s'%s", epoch, shade,
                 epoch + 1 < epochs.size() ? ", " : "\n");
    }
  }
  plot << "unset multiplot\n";
}

void draw_fans(std::string const& path, std::vector<Trained> const& trained, GlyphSet const& shown) {
  Grid const grid(trained.size());
  Gnuplot plot(path, 400 * grid.columns, 400 * grid.rows + 50);
  plot.print(
      "set multiplot layout %d,%d title 'Two-dimensional embeddings of %zu characters, each in %zu "
      "typefaces' font ',16'\n",
      grid.rows, grid.columns, shown.characters.size(), training_faces.size());
  plot << "unset border\nunset tics\nunset grid\nset key off\nset size ratio 1\nset margins 1,1,0.5,2.2\n";
  std::size_t const classes = shown.characters.size();
  for (Trained const& run : trained) {
    // Each panel is scaled to its own longest embeddings: their lengths mean nothing to the angular losses.
    std::vector<float> lengths;
    for (std::size_t i = 0; i < shown.size(); ++i) {
      lengths.push_back(std::hypot(run.embeddings[2 * i], run.embeddings[2 * i + 1]));
    }
    std::ranges::sort(lengths);
    double const reach = lengths[lengths.size() * 99 / 100] * 1.25;
    plot.print("set title '%s' font ',13' textcolor '#222222' offset 0,-0.6\n",
               std::string(run.loss).c_str());
    plot.print("set xrange [%g:%g]\nset yrange [%g:%g]\n", -reach, reach, -reach, reach);
    plot << "$centres << EOD\n";
    for (std::size_t k = 0; k < classes; ++k) {
      double const x = run.centres[2 * k], y = run.centres[2 * k + 1],
                   length = std::hypot(x, y) / (0.9 * reach);
      plot.print("0 0 %g %g %zu\n", x / length, y / length, k);
    }
    plot << "EOD\n$points << EOD\n";
    for (std::size_t i = 0; i < shown.size(); ++i) {
      plot.print("%g %g %lld\n", static_cast<double>(run.embeddings[2 * i]),
                 static_cast<double>(run.embeddings[2 * i + 1]), static_cast<long long>(shown.labels[i]));
    }
    plot << "EOD\nplot ";
    for (std::size_t k = 0; k < classes; ++k) {
      plot.print("$centres using 1:2:($5==%zu?$3:NaN):4 with vectors nohead linewidth 0.8 linecolor '%s', ",
                 k, colour(k));
    }
    for (std::size_t k = 0; k < classes; ++k) {
      plot.print("$points using ($3==%zu?$1:NaN):2 with points pointtype 7 pointsize 0.55 linecolor '%s'%s",
                 k, colour(k), k + 1 < classes ? ", " : "\n");
    }
  }
  plot << "unset multiplot\n";
}

void draw_confusions(std::string const& path, Result const& result, GlyphSet const& test) {
  constexpr int cell_width = 168, cell_height = 128, columns = 6, rows = 4, margin = 24, heading = 64,
                em = 58;
  constexpr Colour paper{250, 249, 246}, card{255, 255, 255}, dark{34, 34, 34}, quiet{120, 120, 120},
      wrong{178, 34, 34}, near{31, 80, 140};
  constexpr int block = heading + rows * cell_height;
  Canvas canvas(2 * margin + columns * cell_width, 2 * block + 2 * margin + 8, paper);
  std::vector<Typeface> faces;
  for (Face const& face : test_faces) faces.emplace_back(face);

  auto const draw_block = [&](int top, std::string const& title, std::string const& below,
                              std::vector<Pair> const& pairs, Colour ink) {
    canvas.text(margin + 4, top + 26, title, 20, dark);
    canvas.text(margin + 4, top + 48, below, 13, quiet);
    for (std::size_t i = 0; i < std::min<std::size_t>(pairs.size(), columns * rows); ++i) {
      int const x = margin + static_cast<int>(i) % columns * cell_width,
                y = top + heading + static_cast<int>(i) / columns * cell_height;
      canvas.rectangle(x + 4, y + 4, cell_width - 8, cell_height - 8, card);
      int side = 0;
      for (std::size_t const image : {pairs[i].first, pairs[i].second}) {
        char32_t const character = test.characters[static_cast<std::size_t>(test.labels[image])];
        Ink const glyph = faces[static_cast<std::size_t>(test.faces[image])].draw(character, em);
        int const centre = x + cell_width / 4 + 4 + side * (cell_width / 2 - 8);
        canvas.ink(centre - glyph.width / 2, y + 46 - glyph.height / 2, glyph, ink);
        char code[16];
        std::snprintf(code, sizeof code, "U+%04X", static_cast<unsigned>(character));
        canvas.text(centre - 23, y + 94, code, 12, quiet);
        ++side;
      }
      char score[16];
      std::snprintf(score, sizeof score, "%.2f", static_cast<double>(pairs[i].cosine));
      canvas.text(x + cell_width / 2 - 13, y + 114, score, 13, dark);
    }
  };
  draw_block(margin / 2, "Different characters that " + std::string(result.loss) + " finds alike",
             "The unseen pairs with the highest cosine, which is given below each.", result.most_alike,
             wrong);
  draw_block(margin / 2 + block + 8, "One character that it finds unlike itself",
             "The unseen pairs with the lowest cosine: the same character in two typefaces.",
             result.least_alike, near);
  canvas.save(path);
}

}  // namespace demo
