// The ops of this room and their attributes: for the files of this room.
#pragma once
#include "ops/rooms.h"
#include "ops/signal/signal.h"

namespace lazulite {

// Of sliding products: how many elements at each end of the line stand for none. They are zeros,
// and not even an infinite weight belongs to them.
struct Ends {
  int64_t low, high;
  LAZULITE_FIELDS(low, high)
};
struct Hadamard {
  Scalar scale;
  bool transposed;
  LAZULITE_FIELDS(scale, transposed)
};

extern const Op sliding_products_op, endless_products_op, hadamard_op;

}  // namespace lazulite
