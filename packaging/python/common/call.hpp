// What every framework's layer over losskit/c/losskit.h needs: errors by their Python names, policies kept by their text, scratch memory,
// and tasks on the framework's threads.
#pragma once
#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <shared_mutex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>

#include "losskit/c/losskit.h"

namespace losskit_call {

// An error of losskit's, by the name that it has in Python: "losskit.ShapeError: ...".
struct Refused : std::runtime_error {
  using std::runtime_error::runtime_error;
};

template <class... Parts>
[[noreturn]] void refuse(char const* kind, Parts const&... parts) {
  std::ostringstream text;
  text << "losskit." << kind << ": ";
  (text << ... << parts);
  throw Refused(text.str());
}

inline void expect(losskit_status status) {
  static constexpr char const* kinds[] = {
      "",           "ParameterError", "ShapeError",   "StrideError",  "LabelError", "AliasError", "WrongMemoryError", "WorkspaceError",
      "WrongTypeError", "VersionError", "InternalError"};
  if (status == LOSSKIT_OK) return;
  if (status == LOSSKIT_OUT_OF_MEMORY) throw std::bad_alloc();
  refuse(status < LOSSKIT_OUT_OF_MEMORY ? kinds[status] : kinds[10], losskit_last_error());
}

// A policy, from its text. Each text is read once and its policy kept. When there are many, all are let go: an annealed margin, whose
// number changes each step, makes a new text each time.
class Policy {
 public:
  explicit Policy(std::string_view text) : policy_(kept(text)) {}
  losskit_policy const* get() const { return policy_.get(); }

 private:
  using Shared = std::shared_ptr<losskit_policy const>;

  static Shared kept(std::string_view text) {
    static constexpr std::size_t most = 256;
    static std::shared_mutex mutex;
    static std::map<std::string, Shared, std::less<>> all;
    {
      std::shared_lock const reading(mutex);
      if (auto const found = all.find(text); found != all.end()) return found->second;
    }
    losskit_policy* made = nullptr;
    std::string const key(text);
    expect(losskit_make(key.c_str(), &made));
    Shared const policy(made, [](losskit_policy const* p) { losskit_free(const_cast<losskit_policy*>(p)); });
    std::unique_lock const writing(mutex);
    if (all.size() >= most) all.clear();
    return all.emplace(key, policy).first->second;
  }

  Shared policy_;
};

// Scratch memory: the small calls' on the stack.
class Workspace {
 public:
  explicit Workspace(std::size_t bytes) : bytes_(bytes), large_(bytes > sizeof small_ ? new std::byte[bytes] : nullptr) {}
  Workspace(Policy const& policy, losskit_view of, losskit_placement placement, losskit_options const& options)
      : Workspace(bytes(policy, of, placement, options)) {}
  void* data() { return large_ ? large_.get() : small_; }
  std::size_t size() const { return bytes_; }

 private:
  static std::size_t bytes(Policy const& policy, losskit_view of, losskit_placement placement, losskit_options const& options) {
    std::size_t n = 0;
    expect(losskit_workspace_bytes(policy.get(), static_cast<losskit_type>(of.type), of.rows, of.cols, placement, &options, &n));
    return n;
  }

  std::size_t bytes_;
  std::unique_ptr<std::byte[]> large_;
  alignas(64) std::byte small_[8192];
};

// A struct that says its own size.
template <class Struct>
Struct sized() {
  Struct s{};
  s.struct_size = sizeof s;
  return s;
}

// losskit's tasks on a framework's threads; the caller's works too, so that nobody waits for a task that no thread has begun: a pool
// whose threads are all busy, or which runs this very call, cannot hang. Pool has schedule(f), which runs f on some thread or here, soon or
// late, and threads().
template <class Pool>
class Threads {
 public:
  explicit Threads(Pool pool) : pool_(pool) {}

  losskit_options options() {
    losskit_options o = losskit_default_options();
    o.threads = count();
    o.parallel_for = &Threads::run;
    o.parallel_context = this;
    return o;
  }

 private:
  struct Work {
    int64_t tasks;
    void (*task)(void*, int64_t);
    void* context;
    std::atomic<int64_t> next{0}, done{0};

    Work(int64_t n, void (*f)(void*, int64_t), void* c) : tasks(n), task(f), context(c) {}
    void help() {
      for (int64_t t = next.fetch_add(1); t < tasks; t = next.fetch_add(1)) {
        task(context, t);
        if (done.fetch_add(1) + 1 == tasks) done.notify_one();
      }
    }
    void wait() {
      for (int64_t n = done.load(); n < tasks; n = done.load()) done.wait(n);
    }
  };

  int32_t count() const { return static_cast<int32_t>(std::clamp<int64_t>(pool_.threads(), 1, 1024)); }

  static void run(void* self, int64_t tasks, void (*task)(void*, int64_t), void* context) {
    auto& threads = *static_cast<Threads*>(self);
    // Shared with those that come late: when all is done they find nothing more, and the caller is gone.
    auto const work = std::make_shared<Work>(tasks, task, context);
    for (int64_t helpers = std::min<int64_t>(threads.count(), tasks) - 1; helpers > 0; --helpers)
      threads.pool_.schedule([work] { work->help(); });
    work->help();
    work->wait();
  }

  Pool pool_;
};

}  // namespace losskit_call
