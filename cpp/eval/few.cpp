// What a block program would do, for the smallest of them: building one costs more than its kernel.
#include "eval/few.h"

#include <cstring>

#include "eval/device_kernels.h"
#include "eval/plan.h"

namespace lazulite {

namespace {

constexpr int64_t most = 64;  // elements: what blocks are padded to
struct alignas(64) Register {
  char bytes[most * 16];
};

void repeat(char* to, int64_t bytes, int64_t from, int64_t n) {
  for (int64_t i = from; i < n; ++i) std::memcpy(to + i * bytes, to, size_t(bytes));
}

// An operand in a register, padded; false where its elements lie apart.
bool load(const array& input, int64_t n, Register& to) {
  const Spec& spec = input.slot().spec;
  const int64_t bytes = size_of(spec.type);
  if (is_half(spec.type)) return false;
  if (input.node()->op->kind == OpKind::constant) {
    constant_value(input).write(spec.type, to.bytes);
    repeat(to.bytes, bytes, 1, most);
    return true;
  }
  const Storage& storage = input.slot().storage;
  bool one = true;
  for (size_t i = 0; one && i < storage.strides.size(); ++i)
    one = storage.strides[i] == 0 || spec.shape[i] == 1;
  if (!one && !is_dense(spec.shape, storage.strides)) return false;
  tidy(spec, storage);
  const char* at = static_cast<const char*>(storage.buffer->data) + storage.offset * bytes;
  const int64_t there = one ? 1 : n;
  std::memcpy(to.bytes, at, size_t(there * bytes));
  if (one) repeat(to.bytes, bytes, 1, most);
  else std::memset(to.bytes + n * bytes, 1, size_t((most - n) * bytes));
  return true;
}

}  // namespace

bool run_few(const Unit& unit, bool& spoilt) {
  if (unit.members.size() != 1) return false;
  Node& node = *unit.members[0].node;
  const int64_t n = size_of(unit.domain);
  if (n == 0 || n > most || node.inputs.empty() || node.inputs.size() > 3) return false;
  Slot& slot = node.out[0];
  if (is_half(slot.spec.type)) return false;
  Register in[3], out;
  const void* at[3] = {in[0].bytes, in[0].bytes, in[0].bytes};
  for (size_t k = 0; k < node.inputs.size(); ++k) {
    if (!load(node.inputs[k], n, in[k])) return false;
    at[k] = in[k].bytes;
  }
  const Kernel kernel = block_kernel(node);
  Storage storage{{}, 0, dense_strides(slot.spec.shape)};
  for (const array& a : node.inputs) {
    int32_t reads = 0;
    for (const array& other : node.inputs) reads += other.node() == a.node();
    if (!only_holds(a, reads)) continue;  // as most are
    if (Input input = input_of(a, reads, lets_go(unit)); write_over(input, slot.spec, storage)) {
      spoilt = true;
      break;
    }
  }
  const int64_t bytes = n * size_of(slot.spec.type);
  if (!storage.buffer) storage.buffer = allocate(bytes);
  kernel(out.bytes, at, most);
  std::memcpy(storage.buffer->data, out.bytes, size_t(bytes));
  slot.storage = std::move(storage);
  return true;
}

}  // namespace lazulite
