// Positions from index arrays, and elements at positions.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "base/dtype.h"
#include "base/shape.h"
#include "device/program.h"

namespace lazulite::engine {

// What each instruction-set level provides.
struct IndexKernels {
  // to[i] = start + stride * index[i * step], or that added (`add`), of n indices that count from
  // the end of `size` where they are negative; false when one is out of range. Null: no dtype of
  // indices.
  bool (*place[dtype_count])(const void* index, int64_t step, int64_t n, int64_t size,
                             int64_t stride, int64_t start, bool add, int64_t* to);
  // to[i] += i * step
  void (*ramp)(int64_t step, int64_t n, int64_t* to);
  // to[i] = from[at[i]], elements of 1, 2, 4, 8 and 16 bytes
  void (*gather[5])(const void* from, const int64_t* at, int64_t n, void* to);
  // from + i for each of n that is true, to the front of room for 8 more than n; gives how many.
  int64_t (*places_of_true)(const bool* mask, int64_t n, int64_t from, int64_t* to);
  // to[i] += from[i], which do not overlap; null for halves and bool
  void (*add[dtype_count])(void* to, const void* from, int64_t n);
  // The same of short rows: row i of n elements to those from to[at[i]] on, one after the other.
  void (*add_rows[dtype_count])(void* to, const void* from, const int64_t* at, int64_t count,
                                int64_t n);
};

using AddRun = void (*)(void* to, const void* from, int64_t n);
AddRun add_run(Dtype);  // null where there is none
inline constexpr int64_t short_row = 64;
using AddRows = void (*)(void* to, const void* from, const int64_t* at, int64_t count, int64_t n);
AddRows add_rows(Dtype);  // null where there is none
// to[i] = from[at[i]], elements of `bytes`
void gather_run(const void* from, const int64_t* at, int64_t n, int64_t bytes, void* to);

// Positions in a source, in elements, of every index tuple in row-major order, or, `along` an axis,
// of every element.
struct Places {
  struct Index {
    const char* data;
    Dtype type;
    int axis;  // of the source
    int64_t size, stride;
  };
  static constexpr int64_t piece = 2048;  // positions that are best made at a time

  SmallVector<Index, 3> indices;
  Shape shape;                      // of the index arrays, collapsed with
  SmallVector<Strides, 4> strides;  // theirs, and, along an axis, those of the source's other axes
  bool along = false;
  int64_t count = 0;

  // Positions [from, from + n). Raises an index error in the name of the caller.
  void fill(int64_t from, int64_t n, int64_t* to, const char* caller) const;
};

// The numbers of `count` positions below `reach`, in order, by the range that each lies in: what
// one range gets can be written without a look at the others.
class Ranges {
 public:
  Ranges(const int64_t* positions, int64_t count, int64_t reach, int64_t ranges);
  int64_t size() const { return int64_t(first_.size()) - 1; }
  const int64_t* begin(int64_t range) const { return numbers_.get() + first_[size_t(range)]; }
  const int64_t* end(int64_t range) const { return begin(range + 1); }

 private:
  std::vector<int64_t> first_;
  std::unique_ptr<int64_t[]> numbers_;
};

// to[i * rows + r] = from[positions[i] + r * step], for i below `count` and r below `rows`: the
// source row by row, and squares turned, where its rows are what lies far apart.
void gather_columns(const int64_t* positions, int64_t count, const void* from, int64_t step,
                    int64_t rows, int64_t bytes, void* to);

// to[i] = from[position i] for all of them; `after` is told of pieces.
void gather_elements(const Places&, const void* from, int64_t bytes, void* to, const char* caller,
                     const After* after = nullptr);

// Where a dense mask is true, in row-major order: to[d * size + i] is the place of the i-th one
// along axis d. What `size` leaves over gets `fill`. Returns how many there are.
int64_t true_places(const bool* mask, const Shape&, int64_t size, int64_t fill, int64_t* to);

}  // namespace lazulite::engine
