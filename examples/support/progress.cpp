#include "progress.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace demo {
namespace {

std::string clock_time(double seconds) {
  int const whole = static_cast<int>(seconds + 0.5);
  char text[16];
  std::snprintf(text, sizeof text, "%d:%02d", whole / 60 % 1000, whole % 60);
  return text;
}

double since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// Eighths of a character cell, so that the bar moves smoothly.
std::string bar(double share, int width) {
  static constexpr char const* eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  int const filled = static_cast<int>(std::clamp(share, 0.0, 1.0) * width * 8);
  std::string text;
  for (int i = 0; i < filled / 8; ++i) text += "█";
  text += eighths[filled % 8];
  for (int i = (filled + 7) / 8; i < width; ++i) text += "·";
  return text;
}

}  // namespace

Progress::Progress(std::string title, std::int64_t total, int parts)
    : title_(std::move(title)), total_(total), parts_(parts), terminal_(isatty(STDOUT_FILENO) == 1) {
  if (!terminal_) std::printf("%s\n", title_.c_str());
  std::fflush(stdout);
}

Progress::~Progress() {
  if (terminal_) std::printf("\r\x1b[K");
  std::printf("%s: %s\n\n", title_.c_str(), clock_time(since(begin_)).c_str());
  std::fflush(stdout);
}

Progress::Part Progress::begin(std::string_view name) {
  std::lock_guard const lock(mutex_);
  running_.push_back(name);
  return {*this, name};
}

void Progress::advance(std::int64_t work) {
  std::lock_guard const lock(mutex_);
  done_ += work;
  if (terminal_ && since(drawn_) > 0.1) draw();
}

void Progress::finish(std::string_view name, Clock::time_point begin) {
  std::lock_guard const lock(mutex_);
  running_.erase(std::ranges::find(running_, name));
  ++finished_;
  if (terminal_) {
    draw();
  } else {
    std::printf("  %2d/%d  %-20s %6s, about %s left\n", finished_, parts_, std::string(name).c_str(),
                clock_time(since(begin)).c_str(), remaining().c_str());
    std::fflush(stdout);
  }
}

std::string Progress::remaining() const {
  if (done_ == 0) return "?";
  double const work_left = static_cast<double>(std::max<std::int64_t>(0, total_ - done_));
  return clock_time(since(begin_) * work_left / static_cast<double>(done_));
}

void Progress::draw() {
  drawn_ = Clock::now();
  double const share = static_cast<double>(done_) / static_cast<double>(total_);
  std::string names;
  for (std::string_view const name : running_) names.append(names.empty() ? "" : ", ").append(name);
  std::printf("\r%s %s %3.0f%%  %s left  %s\x1b[K", title_.c_str(), bar(share, 30).c_str(), 100 * share,
              remaining().c_str(), names.c_str());
  std::fflush(stdout);
}

}  // namespace demo
