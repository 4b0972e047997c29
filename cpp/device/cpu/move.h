// Runs of strided arrays, moved to and from contiguous blocks.
#pragma once
#include <type_traits>

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

// Rows of a few elements: to[i * to_row + k * to_step] = from[i * from_row + k * from_step], for i
// below `rows` and k below n, at most `short_row`.
inline constexpr int64_t short_row = 8;
template <class U>
void move_short_rows(U* to, int64_t to_row, int64_t to_step, const U* from, int64_t from_row,
                     int64_t from_step, int64_t rows, int64_t n) {
  auto rows_of = [=]<int size, class Step>(std::integral_constant<int, size>, Step step) mutable {
    for (int64_t i = 0; i < rows; ++i, to += to_row, from += from_row) {
      U row[size];
#pragma GCC unroll 8
      for (int k = 0; k < size; ++k) row[k] = from[k * from_step];
#pragma GCC unroll 8
      for (int k = 0; k < size; ++k) to[k * step] = row[k];
    }
  };
  auto with = [&](auto step) {
    switch (n) {
      case 1: return rows_of(std::integral_constant<int, 1>(), step);
      case 2: return rows_of(std::integral_constant<int, 2>(), step);
      case 3: return rows_of(std::integral_constant<int, 3>(), step);
      case 4: return rows_of(std::integral_constant<int, 4>(), step);
      case 5: return rows_of(std::integral_constant<int, 5>(), step);
      case 6: return rows_of(std::integral_constant<int, 6>(), step);
      case 7: return rows_of(std::integral_constant<int, 7>(), step);
      default: return rows_of(std::integral_constant<int, 8>(), step);
    }
  };
  if (to_step == 1) with(std::integral_constant<int64_t, 1>());
  else with(to_step);
}

#ifdef LAZULITE_LEVELS  // not in units of one level
LAZULITE_LEVELS(const MoveKernels&, move_kernels)
#endif

// Bytes that go around the caches. Other threads see them after `end_stream`.
void stream(void* to, const void* from, int64_t bytes);
void end_stream();

// n times the same element.
void fill(int64_t bytes, void* block, const void* element, int64_t n);

}  // namespace lazulite::cpu
