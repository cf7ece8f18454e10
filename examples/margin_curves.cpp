// Draws psi(theta) of the catalogue's margins and of every rule past pi, from the library's own numbers, as a script for gnuplot:
//
//   margin_curves | gnuplot > examples/pictures/margins.svg
#include <cmath>
#include <cstdio>
#include <numbers>
#include <string>
#include <vector>

#include "losskit/losskit.hpp"

namespace {

using namespace losskit;

struct Curve {
  std::string name;
  std::vector<double> psi;  // at theta = 0 .. pi, `points` of them
};
constexpr int points = 361;
double theta_of(int i) { return std::numbers::pi * i / (points - 1); }

template <class M>
Curve curve(char const* name, M const& margin) {
  Curve all{name, {}};
  for (int i = 0; i < points; ++i) all.psi.push_back(margin.target(Scalar<double>(std::cos(theta_of(i)))).value.v);
  return all;
}

// Colours that stay apart for most eyes, and dashes for those that share a stretch of their way.
constexpr char const* colours[] = {"#7f7f7f", "#d62728", "#0072b2", "#e69f00", "#009e73", "#7b4fa3", "#2a2a2a"};

struct Window { double from, to, low, high; };  // degrees, psi

void panel(char const* title, Window const& w, std::vector<Curve> const& curves) {
  std::printf("set title \"%s\" font ',15' textcolor '#222222' offset 0,-0.3\n", title);
  std::printf("set xrange [%g:%g]\nset xtics %g\nset yrange [%g:%g]\n", w.from, w.to, w.to - w.from > 90 ? 30.0 : 10.0, w.low, w.high);
  for (std::size_t k = 0; k < curves.size(); ++k) {
    std::printf("$c%zu << EOD\n", k);
    for (int i = 0; i < points; ++i) {
      // A jump is no line: the stretch is broken where psi leaves faster than any margin's slope allows.
      if (i > 0 && std::fabs(curves[k].psi[size_t(i)] - curves[k].psi[size_t(i - 1)]) > 0.08) std::printf("\n");
      std::printf("%.4f %.5f\n", 180 * theta_of(i) / std::numbers::pi, curves[k].psi[size_t(i)]);
    }
    std::printf("EOD\n");
  }
  std::printf("plot ");
  for (std::size_t k = 0; k < curves.size(); ++k)
    std::printf("%s$c%zu with lines linewidth 2.4 dashtype %s linecolor '%s' title '%s'", k == 0 ? "" : ", ", k,
                k == 0 ? "(2,3)" : k % 2 == 1 ? "solid" : "(9,4)", colours[k % std::size(colours)], curves[k].name.c_str());
  std::printf("\n");
}

}  // namespace

int main() {
  std::printf("set terminal svg size 1380,660 font 'DejaVu Sans,12' background '#ffffff'\n"
              "set border 3 linecolor '#888888'\nset tics nomirror textcolor '#444444'\nset grid linecolor '#e8e8e8' linetype 1\n"
              "set xlabel 'theta, the angle to the true class, degrees' textcolor '#444444' offset 0,0.4\n"
              "set ylabel 'psi(theta)' textcolor '#444444'\nset bmargin 12\n"
              "set key below left maxcols 1 reverse Left samplen 3 spacing 1.25 textcolor '#222222'\n"
              "set multiplot layout 1,3\n");
  panel("margins", {0, 180, -3.4, 1.15},
        {curve("no margin, cos(theta)", NoMargin{}), curve("CosMargin, m = 0.35", CosMargin{}), curve("ArcMargin, m = 0.5", ArcMargin{}),
         curve("SphereMargin, m = 4", SphereMargin{}), curve("CombinedMargin, 1, 0.3, 0.2", CombinedMargin{}),
         curve("Annealed, lambda = 5", Annealed<>{})});
  panel("ArcMargin, m = 0.5: the rules past pi", {130, 180, -1.3, -0.55},
        {curve("no margin", NoMargin{}), curve("Monotone", ArcMargin{}), curve("NoRule", ArcMargin<NoRule>{}),
         curve("LegacyLinear", ArcMargin<LegacyLinear>{}), curve("ContinuousLinear", ArcMargin<ContinuousLinear>{}),
         curve("FallToCosine", ArcMargin<FallToCosine>{}), curve("Clamp", ArcMargin<Clamp>{})});
  panel("Easy, and the rules of other margins", {0, 180, -1.4, 1.15},
        {curve("no margin", NoMargin{}), curve("ArcMargin, Easy", ArcMargin<Easy>{}), curve("CosMargin, Easy", CosMargin<Easy>{}),
         curve("CombinedMargin, NoRule", CombinedMargin<NoRule>{}),
         curve("CombinedMargin, ContinuousLinear", CombinedMargin<ContinuousLinear>{}),
         curve("SphereMargin, Clamp", SphereMargin<Clamp>{})});
  std::printf("unset multiplot\n");
}
