// The ops of this room and their attributes: for the files of this room.
#pragma once
#include "ops/index/index.h"
#include "ops/lanes.h"
#include "ops/rooms.h"

namespace lazulite {

// Where the axes of index arrays are in the result: in front of the others, or, of one index array,
// in the place of the axis (`inside`). `along`: take_along_axis, one index array of the result's
// shape.
enum class Way : uint8_t { front, along, inside };
inline std::ostream& operator<<(std::ostream& out, Way way) {
  constexpr const char* names[] = {"front", "along", "inside"};
  return out << names[int(way)];
}

// `caller` is what the user called, for errors of indices: no field, since it changes no result.
struct Gather {
  Axes axes;  // indexed axes of the source, one for each index array
  Way way;
  const char* caller = "gather";
  LAZULITE_FIELDS(axes, way)
};
struct Scatter {
  Axes axes;
  Way way;
  Write mode;
  const char* caller = "scatter";
  LAZULITE_FIELDS(axes, way, mode)
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

struct Compress {
  int64_t size;  // of the result
  LAZULITE_FIELDS(size)
};

struct Tallied {
  int64_t length;  // of the numbers 0, 1, ... that are counted
  LAZULITE_FIELDS(length)
};

extern const Op nonzero_op, compress_op, mask_set_op, bincount_op;
extern const Op gather_op, scatter_op, mask_ranks_op;

inline bool is_index(Dtype t) {  // as kernels read them
  return t == int32 || t == uint32 || t == int64;
}

[[noreturn]] void fail_with_few_values(int64_t limit, int64_t count);  // for a mask

}  // namespace lazulite
