// A progress bar with the time that is left. On a terminal it is one living line; elsewhere, a line for each
// finished part.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace demo {

class Progress {
 public:
  // `total` in any unit of work, over all parts.
  Progress(std::string title, std::int64_t total, int parts);
  ~Progress();
  Progress(Progress const&) = delete;
  Progress& operator=(Progress const&) = delete;

  // One part under way; several threads may each have one. It is finished when this object ends.
  class Part {
   public:
    Part(Part const&) = delete;
    Part& operator=(Part const&) = delete;
    ~Part() { progress_.finish(name_, begin_); }
    void advance(std::int64_t work) { progress_.advance(work); }

   private:
    friend class Progress;
    Part(Progress& progress, std::string_view name)
        : progress_(progress), name_(name), begin_(Clock::now()) {}
    Progress& progress_;
    std::string_view name_;
    std::chrono::steady_clock::time_point begin_;
  };
  [[nodiscard]] Part begin(std::string_view name);

 private:
  using Clock = std::chrono::steady_clock;

  void advance(std::int64_t work);
  void finish(std::string_view name, Clock::time_point begin);
  void draw();
  [[nodiscard]] std::string remaining() const;

  std::mutex mutex_;
  std::string title_;
  std::int64_t total_, done_ = 0;
  int parts_, finished_ = 0;
  std::vector<std::string_view> running_;
  Clock::time_point begin_ = Clock::now(), drawn_{};
  bool terminal_;
};

}  // namespace demo
