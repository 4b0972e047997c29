// Scans of arrays in whatever layout they lie, by all threads: along one axis every element becomes
// what all up to it combine to (kernels.h: in which order).
#pragma once
#include "base/shape.h"
#include "device/program.h"
#include "engine/scan/kernels.h"

namespace lazulite::engine {

// Elements of a shape, along one of its axes, into memory of some strides in which all behind the
// axis lies dense. `from` and `out` are the element with index 0 on each axis. It must not be
// empty.
struct Scanned {
  Shape shape;
  int axis;
  bool reverse;
  Dtype type;
  const char* from;
  Strides from_strides;
  char* out;
  Strides out_strides;
};

// `after`, where `out` is all of a result: told of pieces.
void scan_all(const ScanKernel&, const Scanned&, const After* after = nullptr);

// All three are dense, of one shape.
void recurrence_all(const RecurrenceKernel&, const char* a, const char* b, Dtype, const Shape&,
                    int axis, bool reverse, char* out);

}  // namespace lazulite::engine
