// The eigen backend against the serial one in double: every call, the whole catalogue, odd shapes, strides, alignments.
#include "backends.hpp"

using namespace test;

TEST_CASE("eigen and serial agree: the whole catalogue") { whole_catalogue<double>(); }

TEST_CASE("eigen and serial agree: odd sizes, strides and unaligned rows") {
  unsigned seed = 100;
  for (idx const cols : odd_sizes)
    for (auto const& loss : {loss_of({{ArcMargin{0.5}}}, 64), loss_of({{SphereMargin{4.0}}}, 12, {FocalLoss{2}}, {HardNegatives<>{0.2}})})
      for (idx const gap : {idx(0), idx(1), idx(13)}) {
        ++seed;
        compare<double>(loss, 3, cols, gap, seed % 4, seed);
      }
}

TEST_CASE("eigen and serial agree: every tail of a packet, the target on every lane") {
  for (idx cols = 1; cols <= 40; ++cols) {
    Problem<double> p(cols, cols, 7);
    for (idx i = 0; i < cols; ++i) p.labels[size(i)] = i;
    Guarded<double> a(cols, cols), b(cols, cols);
    auto const loss = loss_of({{ArcMargin{0.5}}}, 30);
    std::vector<std::byte> workspace(workspace_bytes<double>(on::serial{}, cols, cols, Placement::out_of_place));
    auto const r = loss_and_gradient(on::serial{}, loss, p.plain(), a.matrix(), view(workspace));
    auto const s = loss_and_gradient(losskit::on::eigen{}, loss, p.plain(), b.matrix(), view(workspace));
    CHECK(apart(a, b, cols, cols) <= 450);
    expect_same_counts(r, s);
    CHECK(b.guards_hold());
  }
}

TEST_CASE("eigen and serial agree: scales from tiny to huge, one per row, cosines outside [-1, 1]") {
  for (double const s : {1e-6, 1.0, 30.0, 79.0, 84.0, 88.0, 200.0, 1e4})
    for (auto const& rest : {AnyRest{}, AnyRest{HardNegatives<>{0.2}}}) {
      compare<double>(loss_of({{ArcMargin{0.5}}}, s, {}, rest), 3, 1003, 1, 1, 5);
    }
  for (double const spread : {0.9, 1.2}) {
    compare<double>(loss_of({{CosMargin{0.35}}}, 16, {}, {HardNegatives<>{0.2}}), 4, 4999, 3, 1, 6, spread, true);
  }
  compare<double>(loss_of({{SphereMargin{4.0}}}, 30), 5, 333, 0, 0, 8, 1.3);
}
