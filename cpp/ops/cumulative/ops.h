// The ops of this room and their attributes: for the files of this room.
#pragma once
#include "engine/scan/kernels.h"
#include "ops/cumulative/cumulative.h"
#include "ops/rooms.h"

namespace lazulite {

struct Cumulative {
  int axis;  // not negative
  bool reverse;
  Start start;
  LAZULITE_FIELDS(axis, reverse, start)
};
struct Recurrence {
  int axis;
  bool reverse;
  LAZULITE_FIELDS(axis, reverse)
};

// What a scan is besides its attributes (Op::family).
struct CumulativeOf {
  const char* name;
  engine::Scan scan;
  DtypeSet types;
};

const OpList& cumulatives();  // the ops with a CumulativeOf
extern const Op linear_recurrence_op;

}  // namespace lazulite
