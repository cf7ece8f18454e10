// What a C caller gives, as losskit's C++ takes it: errors to status codes, structs of known versions, views with types, threads.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <new>
#include <type_traits>

#include "losskit/backend/eigen.hpp"
#include "losskit/c/losskit.h"
#include "losskit/executor/threads.hpp"
#include "losskit/loss/batch.hpp"
#include "losskit/loss/checks.hpp"

namespace losskit_c {

using namespace losskit;

// --- errors ----------------------------------------------------------------------------------------------------------------------

struct TypeError : Error { using Error::Error; };
struct VersionError : Error { using Error::Error; };

struct LastError { char text[512]; };
inline thread_local constinit LastError message_of_thread{};

inline losskit_status failed(losskit_status status, char const* text) {
  std::snprintf(message_of_thread.text, sizeof message_of_thread.text, "%s", text);
  return status;
}

// f(), and what it throws as a status: no exception leaves the library.
template <class F>
losskit_status guarded(F const& f) noexcept {
  try {
    f();
    return LOSSKIT_OK;
  } catch (ParameterError const& e) {
    return failed(LOSSKIT_PARAMETER_ERROR, e.what());
  } catch (ShapeError const& e) {
    return failed(LOSSKIT_SHAPE_ERROR, e.what());
  } catch (StrideError const& e) {
    return failed(LOSSKIT_STRIDE_ERROR, e.what());
  } catch (LabelError const& e) {
    return failed(LOSSKIT_LABEL_ERROR, e.what());
  } catch (AliasError const& e) {
    return failed(LOSSKIT_ALIAS_ERROR, e.what());
  } catch (MemoryError const& e) {
    return failed(LOSSKIT_MEMORY_ERROR, e.what());
  } catch (WorkspaceError const& e) {
    return failed(LOSSKIT_WORKSPACE_ERROR, e.what());
  } catch (TypeError const& e) {
    return failed(LOSSKIT_TYPE_ERROR, e.what());
  } catch (VersionError const& e) {
    return failed(LOSSKIT_VERSION_ERROR, e.what());
  } catch (std::bad_alloc const&) {
    return failed(LOSSKIT_OUT_OF_MEMORY, "out of memory");
  } catch (std::exception const& e) {
    return failed(LOSSKIT_INTERNAL_ERROR, e.what());
  } catch (...) {
    return failed(LOSSKIT_INTERNAL_ERROR, "an exception of unknown type");
  }
}

// --- structs ---------------------------------------------------------------------------------------------------------------------

// A struct of one version is read and written where it lies. A later version only appends: a struct that has grown is read through a
// copy with zeros at its end, and written as far as its struct_size goes. `oldest`: the size of its first version.
template <class S>
void expect_version(char const* name, S const* p, std::size_t oldest = sizeof(S)) {
  if (!p) fail<ShapeError>("%s: null", name);
  if (p->struct_size < oldest || p->struct_size > sizeof(S))
    fail<VersionError>("%s: struct_size = %zu; this library knows %zu: set it to sizeof the struct", name, p->struct_size, sizeof(S));
}
template <class S>
S const& read_struct(char const* name, S const* p) {
  expect_version(name, p);
  return *p;
}
template <class S>
S copy_of_struct(char const* name, S const* p, std::size_t oldest) {
  expect_version(name, p, oldest);
  S copy{};
  std::memcpy(&copy, p, p->struct_size);
  return copy;
}
template <class S>
void write_struct(S* p, S value) {
  value.struct_size = p->struct_size;
  std::memcpy(p, &value, p->struct_size);
}

inline losskit_options const& options_of(losskit_options const* p) {
  static losskit_options const defaults = losskit_default_options();
  return p ? read_struct("options", p) : defaults;
}
inline losskit_outputs const& outputs_of(losskit_outputs const* p) {
  static losskit_outputs const none = losskit_no_outputs();
  return p ? read_struct("outputs", p) : none;
}

inline Reduction reduction_of(losskit_options const& o) {
  switch (o.reduction) {
    case LOSSKIT_MEAN: return Reduction::mean;
    case LOSSKIT_SUM: return Reduction::sum;
    case LOSSKIT_NO_REDUCTION: return Reduction::none;
    case LOSSKIT_BATCH_MEAN: return Reduction::batch_mean;
    case LOSSKIT_WEIGHTED_MEAN: return Reduction::weighted_mean;
    default: fail<ParameterError>("options: reduction = %d is none of losskit_reduction", int(o.reduction));
  }
}
inline Write write_of(losskit_options const& o) {
  if (o.write != LOSSKIT_ASSIGN && o.write != LOSSKIT_ACCUMULATE)
    fail<ParameterError>("options: write = %d is none of losskit_write", int(o.write));
  return o.write == LOSSKIT_ASSIGN ? Write::assign : Write::accumulate;
}
inline Placement placement_of(losskit_placement p) {
  switch (p) {
    case LOSSKIT_IN_PLACE: return Placement::in_place;
    case LOSSKIT_OUT_OF_PLACE: return Placement::out_of_place;
    case LOSSKIT_ACCUMULATED: return Placement::accumulate;
    case LOSSKIT_NO_GRADIENT: return Placement::no_gradient;
    default: fail<ParameterError>("placement = %d is none of losskit_placement", int(p));
  }
}
inline Options row_options(losskit_options const& o) {
  return {.reduction = reduction_of(o), .upstream = o.upstream, .ignore_label = o.ignore_label, .write = write_of(o), .top_k = o.top_k};
}

// --- views -----------------------------------------------------------------------------------------------------------------------

template <class T>
inline constexpr int type_code = std::is_same_v<T, float>         ? LOSSKIT_F32
                                 : std::is_same_v<T, double>       ? LOSSKIT_F64
                                 : std::is_same_v<T, std::int32_t> ? LOSSKIT_I32
                                 : std::is_same_v<T, std::int64_t> ? LOSSKIT_I64
                                                                   : LOSSKIT_U8;
inline char const* type_name(int code) {
  constexpr char const* names[] = {"no type", "F32", "F64", "I32", "I64", "U8"};
  return code >= 0 && code <= LOSSKIT_U8 ? names[code] : "an unknown type";
}

inline bool is_none(losskit_view const& v) { return !v.data && v.rows == 0 && v.cols == 0; }

template <class T>
void expect_type(char const* name, losskit_view const& v) {
  if (v.type != type_code<std::remove_const_t<T>>)
    fail<TypeError>("%s: %s (%d), expected %s", name, type_name(v.type), int(v.type), type_name(type_code<std::remove_const_t<T>>));
}
template <class T>
MatrixView<T> matrix_of(char const* name, losskit_view const& v) {
  if (is_none(v)) return {};
  expect_type<T>(name, v);
  return {static_cast<T*>(v.data), v.rows, v.cols, v.stride};
}
template <class T>
VectorView<T> vector_of(char const* name, losskit_view const& v) {
  if (is_none(v)) return {};
  expect_type<T>(name, v);
  if (v.rows < 0 || v.cols != 1) fail<ShapeError>("%s: %lld x %lld is no vector (n x 1)", name, (long long)v.rows, (long long)v.cols);
  if (v.stride != 1 && v.rows > 1)
    fail<StrideError>("%s: stride %lld, but a vector's elements lie next to each other", name, (long long)v.stride);
  return {static_cast<T*>(v.data), v.rows};
}

// f(T{}) for float or double, and for a type of labels.
template <class F>
void with_float(char const* name, losskit_view const& v, F const& f) {
  if (v.type == LOSSKIT_F32) f(float{});
  else if (v.type == LOSSKIT_F64) f(double{});
  else fail<TypeError>("%s: %s (%d), expected F32 or F64", name, type_name(v.type), int(v.type));
}
template <class F>
void with_integer(char const* name, losskit_view const& v, F const& f) {
  if (v.type == LOSSKIT_I32) f(std::int32_t{});
  else if (v.type == LOSSKIT_I64) f(std::int64_t{});
  else fail<TypeError>("%s: %s (%d), expected I32 or I64", name, type_name(v.type), int(v.type));
}

template <class T, class I>
Batch<T, I> batch_of(losskit_batch const& b) {
  Batch<T, I> batch(matrix_of<T const>("cosines", b.cosines), vector_of<I const>("labels", b.labels));
  batch.weights = vector_of<T const>("weights", b.weights);
  batch.class_weights = vector_of<T const>("class_weights", b.class_weights);
  batch.scales = vector_of<T const>("scales", b.scales);
  batch.margins = vector_of<T const>("margins", b.margins);
  batch.upstream = vector_of<T const>("upstream", b.upstream);
  batch.scale = vector_of<double const>("scale", b.scale);
  batch.rest = vector_of<double const>("rest", b.rest);
  return batch;
}
// f(batch) with the types of its cosines and labels.
template <class F>
void with_batch(losskit_batch const& b, F const& f) {
  with_float("cosines", b.cosines, [&](auto t) {
    with_integer("labels", b.labels, [&](auto i) { f(batch_of<decltype(t), decltype(i)>(b)); });
  });
}

inline Workspace workspace_of(void* p, std::size_t size) {
  return {static_cast<std::byte*>(p), static_cast<idx>(std::min<std::size_t>(size, std::size_t(1) << 62))};
}

static_assert(sizeof(losskit_saved_row) == sizeof(SavedRow) && alignof(losskit_saved_row) == alignof(SavedRow));
template <class Saved>
auto saved_of(Saved* p, idx rows) {
  using Row = std::conditional_t<std::is_const_v<Saved>, SavedRow const, SavedRow>;
  return VectorView<Row>{reinterpret_cast<Row*>(p), rows};
}

// --- threads ---------------------------------------------------------------------------------------------------------------------

// The caller's parallel_for, or threads of our own for the call.
class CallThreads {
 public:
  explicit CallThreads(losskit_options const& o) : own_(o.threads), parallel_for_(o.parallel_for), context_(o.parallel_context) {
    if (o.threads < 0) fail<ParameterError>("options: threads = %d is negative", int(o.threads));
  }
  int concurrency() const { return own_.concurrency(); }
  template <class F>
  void run(idx tasks, F f) const {
    if (!parallel_for_ || tasks <= 1) return own_.run(tasks, f);
    struct State { F const& f; FirstException first; } state{f, {}};
    parallel_for_(
        context_, tasks,
        [](void* p, std::int64_t t) {
          auto& s = *static_cast<State*>(p);
          s.first.guard([&] { s.f(t); });
        },
        &state);
    state.first.rethrow();
  }

 private:
  threads own_;
  losskit_parallel_for parallel_for_;
  void* context_;
};

inline on::eigen<CallThreads> backend_of(losskit_options const& o) { return on::eigen<CallThreads>(CallThreads(o)); }

}  // namespace losskit_c
