// The ops of this room and their attributes: for the files of this room.
#pragma once
#include "ops/rooms.h"
#include "ops/signal/signal.h"

namespace lazulite {

struct Hadamard {
  Scalar scale;
  bool transposed;
  LAZULITE_FIELDS(scale, transposed)
};

extern const Op sliding_products_op, hadamard_op;

}  // namespace lazulite
