// Kernels from outside: functions that were compiled elsewhere and are known by their address.
#pragma once
#include <atomic>
#include <optional>
#include <string>

#include "graph/node.h"

namespace lazulite {

// arrays: the inputs and then the outputs, with the shapes and strides (in elements) of each, as
// long as it has axes; sizes: what the caller of `foreign` gave; [begin, end): the units to do.
// Runs on any thread, on several at once, on other units of the same outputs.
using ForeignKernel = void (*)(void* const* arrays, const int64_t* const* shapes,
                               const int64_t* const* strides, const int64_t* sizes, int64_t begin,
                               int64_t end);

struct ForeignFunction : Counted {
  ForeignFunction(std::string n, ForeignKernel f) : name(std::move(n)), run(f) {}
  const std::string name;  // in errors
  const ForeignKernel run;
  mutable std::atomic<float> unit_ns{1000};  // what a unit took when it ran last
};

// One call. Units are cut into at most 64 parts, whatever the number of threads.
struct ForeignCall {
  Ref<const ForeignFunction> function;
  Shape sizes;
  int64_t units = 0;
  Specs outputs;
  bool dense = true;             // inputs are made dense, in row-major order
  std::optional<Scalar> before;  // what outputs hold before it runs; else anything
  Shape lanes;                   // of vmap: the first axes of all operands
};

Arrays foreign(const ForeignCall&, Arrays in, Stream s = default_stream());

}  // namespace lazulite
