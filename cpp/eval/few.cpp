// What a block program would do, for the smallest of them: building one costs more than its kernel.
#include "eval/few.h"

#include <cstring>

#include "device/cpu/move.h"
#include "eval/device_kernels.h"
#include "eval/plan.h"

namespace lazulite {

namespace {

constexpr int64_t most = 2048;  // elements; dear ops over more are worth several threads
constexpr int64_t group = 64;   // elements to which blocks are padded
struct alignas(64) Register {
  char bytes[group * 16];
};

void repeat(char* to, int64_t bytes, int64_t n) {
  for (int64_t i = 1; i < n; ++i) std::memcpy(to + i * bytes, to, size_t(bytes));
}

// An operand: where it lies, or one number, which fills a register. Of views the elements are
// gathered, where these are few.
struct Loaded {
  static constexpr int64_t most_gathered = 8 << 10;  // bytes
  const char* at = nullptr;
  int64_t bytes;
  Register room;
  alignas(64) char gathered[most_gathered];

  // False where it is not read so.
  bool find(const array& input, int64_t n) {
    const Spec& spec = input.slot().spec;
    bytes = size_of(spec.type);
    if (is_half(spec.type)) return false;
    if (input.node()->op->kind == OpKind::constant) {
      constant_value(input).write(spec.type, room.bytes);
      repeat(room.bytes, bytes, group);
      return true;
    }
    const Storage& storage = input.slot().storage;
    bool one = true;
    for (size_t i = 0; one && i < storage.strides.size(); ++i)
      one = storage.strides[i] == 0 || spec.shape[i] == 1;
    const bool dense = one || is_dense(spec.shape, storage.strides);
    if (!dense && n * bytes > most_gathered) return false;
    tidy(spec, storage);
    const char* from = static_cast<const char*>(storage.buffer->data) + storage.offset * bytes;
    if (!dense) cpu::gather(bytes, gathered, from, spec.shape, storage.strides, 0, n);
    at = dense ? from : gathered;
    if (!one) return true;
    at = nullptr;
    std::memcpy(room.bytes, from, size_t(bytes));
    repeat(room.bytes, bytes, group);
    return true;
  }
  // The last elements from i on, padded.
  const char* tail(int64_t i, int64_t n) {
    if (!at) return room.bytes;
    std::memcpy(room.bytes, at + i * bytes, size_t(n * bytes));
    std::memset(room.bytes + n * bytes, 1, size_t((group - n) * bytes));
    return room.bytes;
  }
};

}  // namespace

bool run_few(const Unit& unit, bool& spoilt) {
  if (unit.members.size() != 1) return false;
  Node& node = *unit.members[0].node;
  const int64_t n = size_of(unit.domain);
  const size_t count = node.inputs.size();
  if (n == 0 || n > most || count == 0 || count > 3) return false;
  Slot& slot = node.out[0];
  if (is_half(slot.spec.type)) return false;
  Loaded in[3];
  const void* at[3];
  int64_t repeated = 0;
  for (size_t k = 0; k < count; ++k) {
    if (!in[k].find(node.inputs[k], n)) return false;
    at[k] = in[k].at ? in[k].at : in[k].room.bytes;
    if (!in[k].at) repeated |= repeats(int(k));
  }
  if (repeated && count == 1 && n > group) return false;  // kernels of one operand repeat none
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
  const int64_t bytes = size_of(slot.spec.type), main = n / group * group;
  if (!storage.buffer) storage.buffer = allocate(n * bytes);
  char* const out = static_cast<char*>(storage.buffer->data);
  if (main) kernel(out, at, main | (count > 1 ? repeated : 0));
  if (main < n) {
    Register last;
    for (size_t k = 0; k < count; ++k) at[k] = in[k].tail(main, n - main);
    kernel(last.bytes, at, group);
    std::memcpy(out + main * bytes, last.bytes, size_t((n - main) * bytes));
  }
  slot.storage = std::move(storage);
  return true;
}

}  // namespace lazulite
