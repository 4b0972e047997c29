// The ops of this room and their attributes: for the files of this room.
#pragma once
#include "ops/matmul/matmul.h"
#include "ops/rooms.h"

namespace lazulite {

// Inputs: stacks of matrices a and b, and int64 indices l, r, o of one vector each. Result o is the
// sum of a[l] b[r] over all terms that name it, of `count`.
struct NamedProduct {
  int64_t count;
  LAZULITE_FIELDS(count)
};

extern const Op matmul_op;
extern const Op named_product_op;               // of gather_mm
extern const Op part_product_op, spread_product_op;  // of segmented_mm

}  // namespace lazulite
