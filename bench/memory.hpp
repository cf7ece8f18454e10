// Memory in huge pages, and the cosine matrices that everything here is measured on.
#pragma once
#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "losskit/core/view.hpp"
#include "losskit/executor/openmp.hpp"
#include "losskit/loss/batch.hpp"

namespace bench {

using losskit::idx;

// What every measured call runs on, ours and the ceilings' alike.
inline losskit::openmp const two_threads{2};

template <class T>
class Memory {
 public:
  explicit Memory(idx size) : size_(size) {
    std::size_t const page = std::size_t(2) << 20, bytes = (std::size_t(size) * sizeof(T) + 2 * page - 1) / page * page;
    data_.reset(static_cast<T*>(std::aligned_alloc(page, bytes)));
    if (!data_) throw std::bad_alloc();
    madvise(data_.get(), bytes, MADV_HUGEPAGE);
    std::memset(static_cast<void*>(data_.get()), 0, bytes);
  }
  T* data() const { return data_.get(); }
  idx size() const { return size_; }

 private:
  struct Free {
    void operator()(T* p) const { std::free(p); }
  };
  std::unique_ptr<T, Free> data_;
  idx size_;
};

// Cosines as training sees them: N(0, 0.045), as between random unit vectors of 512 numbers, and targets near 0.6. A call in
// place overwrites them with gradients; restore() puts them back, outside the clock and before every case, the ceilings too,
// so that each starts from the same values and the same caches. `times` makes logits of them.
template <class T>
class Problem {
 public:
  idx const rows, cols;
  std::vector<std::int64_t> labels;

  Problem(idx rows_, idx cols_, float times = 1)
      : rows(rows_), cols(cols_), labels(std::size_t(rows_)), targets_(std::size_t(rows_)),
        pool_rows_(std::clamp<idx>((idx(1) << 22) / cols_, 1, std::min<idx>(rows_, 64))), pool_(pool_rows_ * cols_),
        cosines_(rows_ * cols_) {
    std::mt19937 random(7);
    std::normal_distribution<float> rest(0.0f, 0.045f), target(0.6f, 0.1f);
    for (idx j = 0; j < pool_.size(); ++j) pool_.data()[j] = T(times * rest(random));
    for (std::size_t i = 0; i < labels.size(); ++i) {
      labels[i] = std::uniform_int_distribution<idx>(0, cols - 1)(random);
      targets_[i] = T(times * std::clamp(target(random), 0.0f, 0.95f));
    }
    restore();
  }

  void restore() const {
    two_threads.run(2, [this](idx t) {
      for (idx i = rows * t / 2; i < rows * (t + 1) / 2; ++i) {
        std::memcpy(data() + i * cols, pool_.data() + i % pool_rows_ * cols, std::size_t(cols) * sizeof(T));
        data()[i * cols + labels[std::size_t(i)]] = targets_[std::size_t(i)];
      }
    });
  }

  T* data() const { return cosines_.data(); }
  idx size() const { return rows * cols; }
  losskit::MatrixView<T> view() const { return {data(), rows, cols, cols}; }
  losskit::Batch<T, std::int64_t> batch() const { return {view(), labels}; }

 private:
  std::vector<T> targets_;
  idx pool_rows_;
  Memory<T> pool_, cosines_;
};

}  // namespace bench
