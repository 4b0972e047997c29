// What each instruction-set level provides to scans: what all elements up to each one combine to.
//
// One fixed order for every level, layout and number of threads: elements are combined in blocks of
// 64 bytes (of accumulators; lanes at distance 1, 2, 4 ...), blocks one after the other inside of a
// chunk, chunks one after the other. Along columns: row after row inside of a chunk.
#pragma once
#include <cstdint>

#include "base/dtype.h"

namespace lazulite::engine {

enum class Scan : uint8_t { sum, prod, max, min, logsumexp };
inline constexpr int scan_count = 5;
// Elements of a chunk along rows, and rows of one along columns.
inline constexpr int64_t scan_chunk = 4096, scan_rows = 1024;
inline constexpr int64_t largest_scan_state = 16;

// For one operation and one dtype in memory. Accumulators are of its compute type, or states of
// two of them (logsumexp); `before`: of all that comes before, null: nothing does.
struct ScanKernel {
  // n <= scan_chunk contiguous elements, from the last one back if `reverse`. `total`: of these
  // alone. out and total may be null.
  void (*run)(const void* x, int64_t n, bool reverse, const void* before, void* out,
              void* total) = nullptr;
  // `count` such rows with nothing before them, so many elements apart.
  void (*rows)(const void* x, int64_t x_step, int64_t n, int64_t count, bool reverse, void* out,
               int64_t out_step) = nullptr;
  // `rows` rows of `width` neighbours, row after row. `local`: accumulators of the rows of this
  // chunk so far (`first`: there are none), which are brought up to date. out may be null.
  void (*columns)(const void* x, int64_t x_step, int64_t rows, int64_t width, bool first,
                  void* local, const void* before, void* out, int64_t out_step) = nullptr;
  // out[i] = a[i], then b[i]: of accumulators; out may be a or b.
  void (*combine)(const void* a, const void* b, void* out, int64_t n) = nullptr;
  // n elements, `step` apart, of what nothing combines to.
  void (*nothing)(void* out, int64_t n, int64_t step) = nullptr;
  int64_t bytes = 0;  // of an accumulator
  double cost = 0;    // nanoseconds for an element, about
};

// y[i] = a[i] * y[i - 1] + b[i], from y[-1] = 0 on: a[0] is not read. Rows of contiguous elements,
// or rows of `width` neighbours; steps of any sign, in elements.
struct RecurrenceKernel {
  void (*row)(const void* a, const void* b, int64_t n, bool reverse, void* out) = nullptr;
  // `state`: `width` accumulators.
  void (*columns)(const void* a, const void* b, int64_t step, int64_t rows, int64_t width,
                  void* state, void* out) = nullptr;
  int64_t bytes = 0;
};

struct ScanKernels {
  ScanKernel scan[scan_count][dtype_count];  // null where there is none
  RecurrenceKernel recurrence[dtype_count];
};

}  // namespace lazulite::engine
