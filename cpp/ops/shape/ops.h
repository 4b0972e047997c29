// The ops of this room whose kernels read attributes or are several: for the files of this room.
#pragma once
#include <algorithm>

#include "ops/rooms.h"
#include "ops/shape/shape.h"

namespace lazulite {

struct Slice {
  Shape start, step, size;
  LAZULITE_FIELDS(start, step, size)
  Shape stop() const {
    Shape out;
    for (size_t i = 0; i < start.size(); ++i)
      out.push_back(std::max<int64_t>(start[i] + step[i] * size[i], -1));
    return out;
  }
  Storage in(const Storage& whole) const {
    Storage out{whole.buffer, whole.offset, {}};
    for (size_t i = 0; i < start.size(); ++i) {
      if (size[i] > 0) out.offset += start[i] * whole.strides[i];
      out.strides.push_back(whole.strides[i] * step[i]);
    }
    return out;
  }
};
// Where axis2's place less axis1's is the offset; the diagonal is the last axis.
struct Diagonal {
  int64_t offset;
  int axis1, axis2;
  LAZULITE_FIELDS(offset, axis1, axis2)
  int64_t row() const { return offset < 0 ? -std::max(offset, -INT64_MAX) : 0; }
  int64_t column() const { return std::max<int64_t>(offset, 0); }
};
struct Concatenate {
  int axis;
  LAZULITE_FIELDS(axis)
};

extern const Op broadcast_op, reshape_op, slice_op, slice_update_op, concatenate_op, contiguous_op,
    copy_op, view_op, diagonal_op;

}  // namespace lazulite
