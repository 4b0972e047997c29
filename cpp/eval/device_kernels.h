// Which kernel runs a node: one of the device that its stream names.
#pragma once
#include "graph/node.h"

namespace lazulite {

// Makes the kernels that the rooms have for the CPU known: before anything is planned. Defined
// where the rooms are listed (ops/rooms.cpp).
void register_rooms();
extern std::atomic<bool> rooms_registered;
inline void ensure_kernels() {
  if (!rooms_registered.load(std::memory_order_acquire)) [[unlikely]] register_rooms();
}

inline const OpKernels& kernels_of(const Node& node) { return node.op->on[node.stream.device]; }

inline bool in_place(const Node& node) { return kernels_of(node).in_place; }

// The one error for whatever a device lacks.
[[noreturn]] void fail_without_kernel(const Node&);
// The same before anything has run, for all that can be told then: not of a view, which is copied
// only where its input's layout asks for it, nor of a dtype.
void check_kernel(const Node&);

inline Kernel block_kernel(const Node& node) {  // of an elementwise op
  const Dtype to = node.out[0].spec.type;
  const auto find = kernels_of(node).block;
  const Kernel kernel =
      find ? find(*node.op, node.inputs.empty() ? to : node.inputs.back().dtype(), to) : nullptr;
  if (!kernel) fail_without_kernel(node);
  return kernel;
}
void run_kernel(const KernelCall&);

}  // namespace lazulite
