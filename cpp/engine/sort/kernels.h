// What each instruction-set level provides for sorting.
//
// Elements become keys, signed integers in their order, and are sorted as such. Equal keys are
// equal bits, so that there is one sorted sequence, whoever makes it: levels, threads and sizes may
// go their own ways to it.
#pragma once
#include <cstdint>

#include "base/dtype.h"

namespace lazulite::engine {

// Three parts of what belongs to keys: of those below the pivot, its equals, those above.
struct PartCall {
  const void* keys;
  int64_t n, pivot;
  const void* values;  // as wide as the keys; null: the numbers first, first + 1, ...
  int64_t first;
  void* to[3];
  int64_t counts[3];  // what goes to each
};

struct SortKernels {
  // By width of the keys: 32 and 64 bits.
  struct Keys {
    void (*sort)(void* keys, int64_t n);  // in place
    // Element k of each of so many short lines, a multiple of 16, stands at keys + k * lines.
    void (*sort_lines)(void* keys, int64_t lines, int64_t n);
    // The key that would stand at `at`; the keys are left in any order.
    int64_t (*select)(void* keys, int64_t n, int64_t at);
    // Those below the pivot first; gives how many.
    int64_t (*split)(void* keys, int64_t n, int64_t pivot);
    // Each part in the order that it has.
    void (*part)(const PartCall&);
    // How many are below the pivot, and how many equal it.
    void (*count)(const void* keys, int64_t n, int64_t pivot, int64_t* below, int64_t* equal);
    // to[i]: how many of n sorted keys are below values[i], or below or equal (`right`).
    void (*search)(const void* sorted, int64_t n, const void* values, int64_t count, bool right,
                   int64_t* to);
  } keys[2];
  // Keys of elements: of 32 bits for elements of up to 32, else of 64. `flip` is 0, or -1 for the
  // reverse order. NaN comes last. `zeros`: -0.0 is 0.0, otherwise it comes before.
  // Null for complex.
  void (*encode[dtype_count])(const void* from, int64_t n, int flip, bool zeros, void* keys);
  void (*decode[dtype_count])(const void* keys, int64_t n, int flip, void* to);
  // to[i] = key << 32 | from + i, of keys of 32 bits; and the numbers of these again.
  void (*number)(const int32_t* keys, int64_t n, int64_t from, int64_t* to);
  void (*number_high)(const int64_t* keys, int64_t n, int64_t from,
                      int64_t* to);  // key's upper half
  void (*numbers)(const int64_t* keys, int64_t n, uint32_t* to);
  // The same in 32 bits, where a key has no more than 8 or 16 of them and numbers fit the rest.
  void (*number_short)(const int32_t* keys, int64_t n, int shift, int32_t* to);
  void (*numbers_short)(const int32_t* keys, int64_t n, int shift, uint32_t* to);
};

}  // namespace lazulite::engine
