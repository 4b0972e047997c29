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
struct Concatenate {
  int axis;
  LAZULITE_FIELDS(axis)
};

extern const Op broadcast_op, reshape_op, slice_op, slice_update_op, concatenate_op, contiguous_op,
    copy_op, view_op;

}  // namespace lazulite
