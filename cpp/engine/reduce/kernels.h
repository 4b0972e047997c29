// What each instruction-set level provides to reductions. The pieces of the fixed tree
// (ops/reduce/reduce.h): callers combine chunks pairwise by index.
#pragma once
#include <cstdint>

#include "base/dtype.h"

namespace lazulite::engine {

// The last four leave nan out, of floating dtypes: `numbers` is the sum of what is left, `count`
// how many these are, in the dtype of the accumulators. Extremes are of complex numbers, too.
enum class Monoid : uint8_t {
  sum, prod, max, min, all, any, max_number, min_number, numbers, count
};
inline constexpr int monoid_count = 10;
inline constexpr int64_t reduce_lanes = 32, reduce_chunk = 4096, plane_elements = 64;
// Bytes of an accumulator at most; columns that are looked at twice together.
inline constexpr int64_t largest_state = 48, two_pass_strip = 64;

// For one monoid and one dtype in memory; accumulators are of its compute type.
struct ReduceKernel {
  // One chunk: 1 to 4096 contiguous elements.
  void (*chunk)(const void* x, int64_t n, void* out);
  // The same for each of `columns` neighbours: n rows, `stride` elements apart. `lanes` is scratch
  // for 32 x columns accumulators, or, where chunks are read twice, for two_pass_room(n)
  // elements of the compute dtype.
  void (*columns)(const void* x, int64_t n, int64_t stride, int64_t columns, void* lanes,
                  void* out);
  // a[i] = combine(a[i], b[i]), of accumulators
  void (*combine)(void* a, const void* b, int64_t n);
  int64_t bytes = 0;  // of an accumulator
  bool twice = false;  // a chunk is read twice: it should lie in cache
  // `count` rows of one chunk each, `stride` apart. May be null.
  void (*rows)(const void* x, int64_t n, int64_t stride, int64_t count, void* out) = nullptr;
  // `columns` in steps, for what comes at most 32 rows at a time, dense: the rows of each step are
  // taken into the lanes, which at the end of a chunk of n rows are folded. Null where chunks are
  // read twice.
  void (*take)(const void* x, int64_t rows, int64_t columns, int64_t step, void* lanes) = nullptr;
  void (*fold)(void* lanes, int64_t n, int64_t columns, void* out) = nullptr;
  int64_t lane_bytes = 0;  // of what `take` keeps of a column in each lane
  // `columns` of `count` small planes, `stride` apart: n rows of `width` elements without gaps, at
  // most 32 rows and plane_elements parts. May be null.
  void (*planes)(const void* x, int64_t n, int64_t width, int64_t stride, int64_t count,
                 void* out) = nullptr;
};

struct FindKernel {
  // The first i with x[i] == *value, or the first nan if *value (an accumulator) is one; else n.
  int64_t (*first)(const void* x, int64_t n, const void* value);
  bool (*same)(const void* a, const void* b);  // accumulators, as `first` compares
  // `first` of `count` rows of at most 32 elements, `stride` apart, which have it. May be null.
  void (*rows)(const void* x, int64_t n, int64_t stride, int64_t count, const void* values,
               uint32_t* out);
};

// What has states for accumulators, which `finish` makes results of.
struct StateKernel {
  ReduceKernel reduce;
  // out[i] from n states: dense, of the real compute dtype. `divisor`: of variances.
  void (*finish)(const void* states, int64_t n, double divisor, void* out);
};
constexpr int64_t two_pass_room(int64_t n) { return n * two_pass_strip; }
// What looks at a chunk twice.
struct TwoPassKernels {  // null where a dtype is converted first
  // Sums of squares around the mean, of chunks around their own means (Chan, Golub, LeVeque 1979),
  // corrected for what rounding has put these off (the same, 1983: the corrected two-pass
  // algorithm).
  StateKernel variance[dtype_count];
  // log(sum(exp(x))), of chunks scaled by their own maximum.
  StateKernel logsumexp[dtype_count];
};

// Sums of so many elements and more have states: what is there, and beside it what rounding took.
inline constexpr int64_t long_sum = 513;
struct LongSumKernels {
  StateKernel sum[dtype_count];  // null where nothing is rounded
  StateKernel numbers[dtype_count], count[dtype_count];  // floating dtypes
};

struct ReduceKernels {
  ReduceKernel reduce[monoid_count][dtype_count];  // null where a dtype is converted first
  FindKernel find[dtype_count];
};

}  // namespace lazulite::engine
