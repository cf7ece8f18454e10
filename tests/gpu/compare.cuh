// Every call of one loss over cosines (or logits) on a GPU, by each of its backends, against serial in double.
#pragma once
#include "device.cuh"

namespace test {

// What each row has of its own, how large the cosines (or logits) are, and how the losses are reduced.
struct Given {
  bool scales = false, margins = false;
  float largest = 0.9F;
  Reduction reduction = Reduction::mean;
};

template <class S, class L>
void compare(L const& loss, idx rows, idx cols, idx gap = 0, idx offset = 0, idx gradient_offset = 0, Given const& given = {}) {
  using T = computed<S>;
  constexpr bool cosines_of_angles = !takes_logits<std::remove_cvref_t<decltype(loss.rest)>>;
  INFO("B = " << rows << ", C = " << cols << " + " << gap << " at " << offset << " and " << gradient_offset << ", " << sizeof(S)
              << " bytes");
  Problem<S> p(rows, cols, gap, 1, given.largest);
  if (rows > 2) p.labels[1] = -5;
  Options options{.reduction = given.reduction, .upstream = 1.5, .ignore_label = -5, .top_k = 3};
  if (given.scales) options.scale_ceiling = 30;

  // The truth.
  std::vector<double> truth(p.exact.size()), z(p.exact.size());
  std::vector<double> row_losses(size(rows)), scale_gradient(size(rows)), margin_gradient(size(rows));
  auto exact = Batch(MatrixView<double const>{p.exact.data(), rows, cols, p.stride}, p.labels);
  exact.weights = view(std::as_const(p.exact_weights));
  exact.class_weights = view(std::as_const(p.exact_class_weights));
  exact.upstream = view(std::as_const(p.exact_upstream));
  if (given.scales) exact.scales = view(std::as_const(p.exact_scales));
  if (given.margins) exact.margins = view(std::as_const(p.exact_margins));
  MatrixView<double> const truth_view{truth.data(), rows, cols, p.stride}, z_view{z.data(), rows, cols, p.stride};
  std::vector<std::byte> memory(workspace_bytes<double>(on::serial{}, rows, cols, Placement::out_of_place));
  Report const expected =
      loss_and_gradient(on::serial{}, loss, exact, truth_view, view(memory), options,
                        {view(row_losses), view(scale_gradient), {}, view(margin_gradient)});
  if constexpr (cosines_of_angles) (void)logits(on::serial{}, loss, exact, z_view, view(memory), options);
  // Back through the logits, from an upstream matrix of the cosines' own numbers.
  std::vector<double> back(p.exact.size()), by_scale(size(rows));
  if constexpr (cosines_of_angles)
    logits_backward(on::serial{}, loss, exact, MatrixView<double const>{p.exact.data(), rows, cols, p.stride},
                    MatrixView<double>{back.data(), rows, cols, p.stride}, options, view(by_scale));

  // The same on the device, by each backend.
  each_backend([&, given_options = options](auto const& gpu) {
    Options options = given_options;
    OnDevice<S> cosines(p.cosines, offset), gradient(rows * p.stride, gradient_offset), later(rows * p.stride),
        sum(p.cosines, gradient_offset);
    OnDevice<std::int64_t> labels(p.labels);
    OnDevice<T> weights(p.weights), class_weights(p.class_weights), upstream(p.upstream), scales(p.scales), margins(p.margins);
    OnDevice<T> losses(rows), ds(rows), dm(rows);
    OnDevice<SavedRow> saved(rows);
    OnDevice<std::byte> workspace(static_cast<idx>(workspace_bytes<S>(gpu, rows, cols, Placement::accumulate)));
    Batch batch(MatrixView<S const, device>(cosines.matrix(rows, cols, p.stride)), VectorView<std::int64_t const, device>(labels.view()));
    batch.weights = weights.view();
    batch.class_weights = class_weights.view();
    batch.upstream = upstream.view();
    if (given.scales) batch.scales = scales.view();
    if (given.margins) batch.margins = margins.view();
    auto const g = gradient.matrix(rows, cols, p.stride);

    // Storage rounds to half an eps of its own; 16 units are one of its eps. What computes is allowed what the CPU is.
    double const allowed = std::is_same_v<S, T> ? (sizeof(T) == 4 ? 16 : 1e4) : 12;
    double const close = sizeof(T) == 4 ? 1e-5 : 1e-11;
    auto const same = [&](Report const& r) {
      CHECK(r.loss == doctest::Approx(expected.loss).epsilon(close));
      CHECK(r.rows == expected.rows);
      CHECK(r.valid == expected.valid);
      CHECK(r.top1 == expected.top1);
      CHECK(r.topk == expected.topk);
      CHECK(r.non_finite == 0);
      CHECK(r.mean_target_angle == doctest::Approx(expected.mean_target_angle).epsilon(1e-9));
    };
    auto const near = [&](std::vector<T> const& a, std::vector<double> const& b) {
      double largest = 1, worst = 0;
      for (double x : b) largest = std::fmax(largest, std::fabs(x));
      for (std::size_t i = 0; i < a.size(); ++i) worst = std::fmax(worst, std::fabs(double(a[i]) - b[i]) / largest);
      CHECK(worst <= 10 * close);
    };

    same(read(gpu, loss_and_gradient(gpu, loss, batch, g, workspace.view(), options, {losses.view(), ds.view(), {}, dm.view()})));
    CHECK(apart(gradient.get(), truth, rows, cols, p.stride) <= allowed);
    CHECK(gradient.guards_hold());
    near(losses.get(), row_losses);
    near(ds.get(), scale_gradient);
    near(dm.get(), margin_gradient);
    auto const first = gradient.get();

    same(read(gpu, loss_value(gpu, loss, batch, workspace.view(), options, {losses.view(), {}, saved.view()})));
    loss_gradient(gpu, loss, batch, saved.view(), later.matrix(rows, cols, p.stride), options, ds.view(), dm.view());
    CHECK(apart(later.get(), truth, rows, cols, p.stride) <= allowed);
    near(ds.get(), scale_gradient);
    near(dm.get(), margin_gradient);

    if constexpr (cosines_of_angles) {
      same(read(gpu, logits(gpu, loss, batch, later.matrix(rows, cols, p.stride), workspace.view(), options)));
      CHECK(apart(later.get(), z, rows, cols, p.stride) <= allowed);
      logits_backward(gpu, loss, batch, MatrixView<S const, device>(cosines.matrix(rows, cols, p.stride)),
                      later.matrix(rows, cols, p.stride), options, ds.view());
      CHECK(apart(later.get(), back, rows, cols, p.stride) <= allowed);
      near(ds.get(), by_scale);
    }

    options.write = Write::accumulate;
    same(read(gpu, loss_and_gradient(gpu, loss, batch, sum.matrix(rows, cols, p.stride), workspace.view(), options)));
    std::vector<double> added(truth);
    for (std::size_t k = 0; k < added.size(); ++k) added[k] += p.exact[k];
    CHECK(apart(sum.get(), added, rows, cols, p.stride) <= 2 * allowed);

    options.write = Write::assign;
    auto const in_place = cosines.matrix(rows, cols, p.stride);
    same(read(gpu, loss_and_gradient(gpu, loss, batch, in_place, workspace.view(), options)));
    auto const last = cosines.get();
    bool equal = true;
    for (idx i = 0; i < rows; ++i)
      for (idx j = 0; j < cols; ++j)
        equal = equal && static_cast<T>(last[size(i * p.stride + j)]) == static_cast<T>(first[size(i * p.stride + j)]);
    CHECK(equal);
    CHECK(cosines.guards_hold());
  });
}

}  // namespace test
