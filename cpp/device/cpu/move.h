// Runs of strided arrays, moved to and from contiguous blocks.
#pragma once
#include "base/shape.h"

namespace lazulite::cpu {

// Elements [start, start + n) of an array, in row-major order of `shape`. Bytes of one element: 1,
// 2, 4, 8 or 16.
void gather(int64_t bytes, void* block, const void* memory, const Shape& shape,
            const Strides& strides, int64_t start, int64_t n);
void scatter(int64_t bytes, const void* block, void* memory, const Shape& shape,
             const Strides& strides, int64_t start, int64_t n);

// n times the same element.
void fill(int64_t bytes, void* block, const void* element, int64_t n);

}  // namespace lazulite::cpu
