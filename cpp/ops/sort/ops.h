// The ops of this room and their attributes: for the files of this room.
#pragma once
#include "ops/lanes.h"
#include "ops/rooms.h"
#include "ops/sort/sort.h"

namespace lazulite {

struct Ordered {
  int axis;
  bool descending;
  LAZULITE_FIELDS(axis, descending)
};
struct Parted {
  int axis;
  int64_t kth;
  LAZULITE_FIELDS(axis, kth)
};
struct Largest {
  int axis;
  int64_t count;
  LAZULITE_FIELDS(axis, count)
};
struct Searched {
  int lanes;  // axes in front that both operands have
  bool right;
  LAZULITE_FIELDS(lanes, right)
};

struct Lanes {
  int lanes;  // axes in front that all operands have
  LAZULITE_FIELDS(lanes)
};

struct Different {
  int64_t size;  // places for them
  bool inverse, equal_nan;
  LAZULITE_FIELDS(size, inverse, equal_nan)
};

extern const Op unique_op, interp_op;
extern const Op sort_op, argsort_op, partition_op, argpartition_op, topk_op, searchsorted_op;

}  // namespace lazulite
