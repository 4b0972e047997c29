// The ops of this room and their attributes: for the files of this room.
#pragma once
#include "ops/index/index.h"
#include "ops/lanes.h"
#include "ops/rooms.h"

namespace lazulite {

// `caller` is what the user called, for errors of indices: no field, since it changes no result.
struct Gather {
  Axes axes;   // indexed axes of the source, one for each index array
  bool along;  // take_along_axis: one index array of the result's shape
  const char* caller = "gather";
  LAZULITE_FIELDS(axes, along)
};
struct Scatter {
  Axes axes;
  bool along;
  Write mode;
  const char* caller = "scatter";
  LAZULITE_FIELDS(axes, along, mode)
};

struct Ranks {
  int lanes;      // leading axes, each of whose places has a mask of its own
  int64_t limit;  // values that there are for a mask
  LAZULITE_FIELDS(lanes, limit)
};

struct Nonzero {
  int lanes;     // leading axes, each of whose places has a mask of its own
  int64_t size;  // places for what is true
  int64_t fill;  // of those that are left
  LAZULITE_FIELDS(lanes, size, fill)
};

extern const Op nonzero_op;
extern const Op gather_op, scatter_op, mask_ranks_op;

inline Shape other_axes(const Shape& shape, const Axes& axes) {
  Shape out;
  for (int i = 0; i < int(shape.size()); ++i)
    if (!holds(axes, i)) out.push_back(shape[i]);
  return out;
}

[[noreturn]] void fail_with_few_values(int64_t limit, int64_t count);  // for a mask

}  // namespace lazulite
