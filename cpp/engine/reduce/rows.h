// Rows to reduce, in whatever layout and dtype they lie in memory: pieces of some of them at a
// time, made dense in a small room and converted there, so that reductions of strided, reversed,
// broadcast and other-dtype operands copy nothing large.
#pragma once
#include "base/dtype.h"
#include "base/shape.h"
#include "device/device.h"
#include "device/program.h"
#include "engine/reduce/kernels.h"

namespace lazulite::engine {

// A room of this thread, aligned, with what kernels may read behind it: valid until the next call
// with that slot.
inline constexpr int piece_rooms = 3;
char* piece_room(int64_t bytes, int slot = 0);

struct Rows {
  const char* data = nullptr;
  Dtype memory = float32;  // as it lies there
  Dtype type = float32;    // as kernels get it
  bool truth = false;      // by way of bool: what counts is whether an element is zero
  Shape kept, reduced;     // collapsed
  Strides kept_strides, reduced_strides;
  int64_t rows = 1, length = 1;
  int slot = 0;            // the room: operands that are read side by side have their own
  const Formed* formed = nullptr;  // instead of data: a program forms each element as it is read
  Ref<Buffer> held;                // of data, where it is a copy

  int64_t width() const { return size_of(memory); }
  int64_t read_width() const { return size_of(type); }
  bool converts() const { return memory != type || truth; }
  // Formed elements are read in runs, or columns of runs (`columns`): otherwise all are made
  // before.
  void settle(bool columns);
  void make_all();
  bool in_runs() const {  // each row without gaps
    return reduced.size() == 1 && (reduced[0] == 1 || reduced_strides[0] == 1);
  }
  bool in_columns() const {  // neighbouring rows next to each other
    return reduced.size() == 1 && kept.size() && kept.back() > 1 && kept_strides.back() == 1;
  }
  // Where the first element of a row is; `axes`: of the kept axes in front.
  int64_t place(int64_t index, size_t axes) const {
    if (axes == 1) return index * kept_strides[0];
    int64_t offset = 0;
    for (size_t i = axes; i-- > 0;) {
      offset += index % kept[i] * kept_strides[i];
      index /= kept[i];
    }
    return offset;
  }
  const char* at(int64_t index, size_t axes) const { return data + place(index, axes) * width(); }
  const char* row(int64_t r) const { return at(r, kept.size()); }

  // How many neighbouring rows are best read together, in pieces of `piece` elements.
  int64_t together(int64_t piece) const;
  // Elements [from, from + n) of rows [row, row + count), one row after the other, converted: in
  // this thread's room, or where they lie.
  const char* read(int64_t row, int64_t count, int64_t from, int64_t n) const;
  // The same of a strip of columns: elements [column, column + width) of n rows of memory that are
  // `stride` apart, from x on.
  const char* read_strip(const char* x, int64_t n, int64_t stride, int64_t width) const;
  // The same of formed columns, from element `start` of the domain on.
  const char* form_strip(int64_t start, int64_t n, int64_t stride, int64_t width) const;

 private:
  void form(int64_t row, int64_t count, int64_t from, int64_t n, char* to) const;
  void gather(int64_t row, int64_t count, int64_t from, int64_t n, char* to) const;
  char* room_for(int64_t n) const;
  const char* converted(char* raw, int64_t n) const;
};

// Elements that `after` is best told of at a time: in the second-level cache still, and long enough
// runs for what fetches memory ahead (2,048 elements at a time cost layer_norm half its speed).
inline constexpr int64_t piece_after = 32768;

// The fixed tree for every row: accumulators one after the other.
struct Reducing {
  const ReduceKernel* k;
  char* out;
};
using Reductions = SmallVector<Reducing, 2>;
// Several of the same rows in one pass, where these come in pieces: each piece goes through all
// kernels while it is in cache (64 at most). `after` is told of what a single one makes of short
// rows.
void reduce_all(const Reductions&, const Rows& in, const After* after = nullptr);

// One row of contiguous elements.
void reduce_row(const ReduceKernel& k, const char* x, int64_t n, int64_t width, char* out);

// In each row the first element that equals the row's result, or is a nan like it.
// Indices are uint32, or int64 where they do not fit (`large`).
void find_all(const ReduceKernel& k, const FindKernel& find, const Rows& in, bool large, char* out);

}  // namespace lazulite::engine
