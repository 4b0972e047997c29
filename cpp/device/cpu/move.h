// Runs of strided arrays, moved to and from contiguous blocks.
#pragma once
#include "base/shape.h"
#include "device/cpu/level.h"

namespace lazulite::cpu {

// Elements [start, start + n) of an array, in row-major order of `shape`. Bytes of one element: 1,
// 2, 4, 8 or 16.
void gather(int64_t bytes, void* block, const void* memory, const Shape& shape,
            const Strides& strides, int64_t start, int64_t n);
void scatter(int64_t bytes, const void* block, void* memory, const Shape& shape,
             const Strides& strides, int64_t start, int64_t n);

// A tile: block[i * columns + k] is memory[i * row_step + k * column_step].
void gather_tile(int64_t bytes, void* block, const void* memory, int64_t rows, int64_t columns,
                 int64_t row_step, int64_t column_step);
void scatter_tile(int64_t bytes, const void* block, void* memory, int64_t rows, int64_t columns,
                  int64_t row_step, int64_t column_step);

// Elements at any address: neighbours that move as one wider element lie where they lie.
template <class T>
struct [[gnu::packed, gnu::may_alias]] Anywhere {
  T value;
};

// Of elements of 1, 2, 4 and 8 bytes, at any address, at each instruction-set level.
struct MoveKernels {
  // to[i * to_step + k] = from[k * from_step + i], for i below `rows` and k below `columns`.
  void (*turn[4])(void* to, int64_t to_step, const void* from, int64_t from_step, int64_t rows,
                  int64_t columns);
  void (*reverse[4])(void* to, const void* from, int64_t n);  // to[i] = from[-i]
  void (*halve[4])(void* to, const void* from, int64_t n);    // to[i] = from[2 * i]
  void (*spread[4])(void* to, const void* from, int64_t n);   // to[2 * i] = from[i]
  // to[2 * i] = even[i], to[2 * i + 1] = odd[i]
  void (*zip[4])(void* to, const void* even, const void* odd, int64_t n);
  // to[i * times + k] = from[i * step], for i below n and k below `times`.
  void (*repeat[4])(void* to, const void* from, int64_t step, int64_t n, int64_t times);
  // Rows of so many bytes; steps in bytes.
  void (*rows)(void* to, int64_t to_step, const void* from, int64_t from_step, int64_t rows,
               int64_t bytes);
};

#ifdef LAZULITE_LEVELS  // not in units of one level
LAZULITE_LEVELS(const MoveKernels&, move_kernels)
#endif

// Bytes that go around the caches. Other threads see them after `end_stream`.
void stream(void* to, const void* from, int64_t bytes);
void end_stream();

// n times the same element.
void fill(int64_t bytes, void* block, const void* element, int64_t n);

}  // namespace lazulite::cpu
