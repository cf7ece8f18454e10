// The few macros of losskit, and the index type.
#pragma once
#include <cstdint>

// LOSSKIT_HD: callable on host and device, so that one formula serves both.
#if defined(__CUDACC__)
#define LOSSKIT_HD __host__ __device__
#else
#define LOSSKIT_HD
#endif

// LOSSKIT_INLINE: inlined always. A packet that is passed through memory instead of a register costs more than the formula it enters.
#if defined(__CUDACC__)
#define LOSSKIT_INLINE __forceinline__
#elif defined(__GNUC__)
#define LOSSKIT_INLINE __attribute__((always_inline)) inline
#else
#define LOSSKIT_INLINE inline
#endif

// LOSSKIT_INLINE_LAMBDA: the same, written behind a lambda's parameters. In a large translation unit compilers exhaust their
// inlining budget, and a formula called through memory is five times slower.
#if defined(__GNUC__) && !defined(__CUDACC__)
#define LOSSKIT_INLINE_LAMBDA __attribute__((always_inline))
#else
#define LOSSKIT_INLINE_LAMBDA
#endif

// LOSSKIT_UNROLL, before a loop: unrolled on a GPU, where an array stays in registers only if every index is a constant.
#if defined(__CUDA_ARCH__)
#define LOSSKIT_UNROLL _Pragma("unroll")
#else
#define LOSSKIT_UNROLL
#endif

// LOSSKIT_ISA: the inline namespace of whatever compiles differently under other flags: numbers, packets, teams, rows, backends,
// policies' formulas, every free function. Translation units built with different -march, with and without exceptions, get
// different names, so that the linker never merges their functions. Plain data (views, errors, batches, options, reports, states)
// is in losskit itself: one type in every unit, so that one unit's object may be handed to another. The member functions of plain
// data are LOSSKIT_INLINE, so that no unit ever calls another's.
#if defined(__AVX512F__) && defined(__AVX512DQ__)
#define LOSSKIT_SET isa_avx512
#elif defined(__AVX512F__)
#define LOSSKIT_SET isa_avx512f
#elif defined(__AVX2__) && defined(__FMA__)
#define LOSSKIT_SET isa_avx2_fma
#elif defined(__AVX2__)
#define LOSSKIT_SET isa_avx2
#elif defined(__AVX__) && defined(__FMA__)
#define LOSSKIT_SET isa_avx_fma
#elif defined(__AVX__)
#define LOSSKIT_SET isa_avx
#elif defined(__SSE4_1__)
#define LOSSKIT_SET isa_sse4_1
#elif defined(__ARM_NEON)
#define LOSSKIT_SET isa_neon
#else
#define LOSSKIT_SET isa_base
#endif
#if defined(__cpp_exceptions)
#define LOSSKIT_ISA LOSSKIT_SET
#else
#define LOSSKIT_ISA LOSSKIT_SET::inline no_exceptions
#endif

namespace losskit {

// Every size, stride and position. 1024 rows of 2.1 million classes already pass 2^31.
using idx = std::int64_t;

}  // namespace losskit
