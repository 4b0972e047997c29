#include "eval/memory.h"

#include "base/env.h"
#include "device/cpu/packed.h"
#include "engine/layout/copy.h"
#include "eval/device_kernels.h"
#include "eval/plan.h"
#include "graph/origin.h"

namespace lazulite {

bool may_overwrite(const Input& input, bool by_element) {
  static const bool donating = env::flag("LAZULITE_DONATE", true);
  // A block program reads an element before it writes there, however often. An update begins with
  // its base and writes here and there: as its value or its index the base would be read half
  // written.
  if (!input.dies || !donating || (!by_element && input.reads != 1)) return false;
  // Only the input holds the buffer: no view of it is alive, in this step or elsewhere.
  const Spec& spec = *input.spec;
  const Storage& storage = *input.storage;
  const Buffer& buffer = *storage.buffer;
  const bool may = buffer.refs.load() == 1 && buffer.writable && !buffer.foreign &&
                   storage.offset == 0 && is_dense(spec.shape, storage.strides) &&
                   buffer.bytes == size_of(spec.shape) * size_of(spec.type);
  if (may) cpu::drop_packed(buffer);
  return may;
}

void make_storage(const Spec& spec, Storage& out) {
  out.buffer = allocate(size_of(spec.shape) * size_of(spec.type));
  out.offset = 0;
  out.strides = dense_strides(spec.shape);
}

bool write_over(Input& input, const Spec& spec, Storage& out) {
  if (!input.dies || size_of(input.spec->type) != size_of(spec.type) ||
      input.spec->shape != spec.shape)
    return false;
  const bool may = may_overwrite(input, true);
  input.dies = false;  // it is taken, or never to be had
  if (!may) return false;
  out.buffer = input.storage->buffer;
  out.buffer->constant = false;
  out.offset = 0;
  out.strides = dense_strides(spec.shape);
  return true;
}

void place_results(StepMemory& memory, size_t from, size_t to, size_t first, size_t last) {
  for (size_t i = from; i < to; ++i) {
    Output& output = memory.out[i];
    for (size_t k = first; k < last && !output.storage.buffer; ++k)
      memory.spoilt |= write_over(memory.in[k], *output.spec, output.storage);
    if (!output.storage.buffer) make_storage(*output.spec, output.storage);
  }
}

// ---- of a unit of a fresh plan

bool only_holds(const array& input, int64_t reads) {
  const Node& node = *input.node();
  return node.refs.load() == reads && node.pins.load() == 0 && node.out.size() == 1;
}

bool lets_go(const Unit& unit) {
  if (debugging_nans.load(std::memory_order_relaxed))
    return false;  // inputs are looked at afterwards
  for (const auto& member : unit.members)
    if (member.node->pins.load()) return false;
  return true;
}

Input input_of(const array& input, int32_t reads, bool lets_go) {
  Slot& slot = input.node()->out[input.index()];
  const bool there = input.node()->op->kind != OpKind::constant ||
                     input.node()->state.load(std::memory_order_acquire) == State::ready;
  return {&slot.spec, &slot.storage, reads, there && lets_go && only_holds(input, reads)};
}

namespace {

// `made`: by the kernel before the program.
void describe_program(const Sources& sources, const Node* made, bool may, StepMemory& memory) {
  bool constants = false;
  for (const Source& source : sources) {
    constants |= source.constant;
    if (!source.constant && source.value->node().get() != made)
      memory.in.push_back(input_of(*source.value, source.reads, may));
  }
  // A constant is a number to the program, but somebody may have stored it before.
  if (constants && may)
    for (const Source& source : sources)
      if (source.constant) memory.in.push_back(input_of(*source.value, source.reads, may));
}

}  // namespace

void describe_group(const Unit& unit, const Sources& before, const Sources& behind,
                    StepMemory& memory) {
  const bool may = lets_go(unit);
  describe_program(before, nullptr, may, memory);
  memory.kernels = memory.in.size();
  for (size_t m = unit.before(); m < unit.after(); ++m) {
    const Arrays& inputs = unit.members[m].node->inputs;
    for (size_t i = unit.forms(); i < inputs.size(); ++i)
      memory.in.push_back(input_of(inputs[i], 1, false));
  }
  memory.behind = memory.in.size();
  if (unit.goes_on())
    describe_program(behind, unit.members[unit.before()].node, may, memory);
  for (const auto& member : unit.members)
    if (member.stored)
      for (const Slot& slot : member.node->out) memory.out.emplace_back(&slot.spec);
}

void describe_single(const Unit& unit, StepMemory& memory) {
  const Node& node = *unit.members[0].node;
  const bool may = (node.op->update || node.op->takes || in_place(node)) && lets_go(unit);
  for (const array& input : node.inputs) {
    int32_t reads = 1;
    if (may) {
      reads = 0;
      for (const array& other : node.inputs) reads += other.node() == input.node();
    }
    memory.in.push_back(input_of(input, reads, may));
  }
  for (const Slot& slot : node.out) memory.out.emplace_back(&slot.spec);
}

// ---- bytes

void make_bools(uint8_t* bytes, int64_t n) {
  for (int64_t i = 0; i < n; ++i) bytes[i] = bytes[i] != 0;
}
bool are_bools(const uint8_t* bytes, int64_t n) {
  uint8_t all = 0;
  for (int64_t i = 0; i < n; ++i) all |= bytes[i];
  return all <= 1;
}
// In place: what is shared stays shared, and any byte but 0 is True to its owner too.
void tidy_bools(const Spec& spec, const Storage& storage) {
  int64_t first = storage.offset, last = storage.offset;
  for (size_t i = 0; i < spec.shape.size(); ++i) {
    if (spec.shape[i] == 0) return;
    const int64_t reach = (spec.shape[i] - 1) * storage.strides[i];
    (reach < 0 ? first : last) += reach;
  }
  auto* bytes = static_cast<uint8_t*>(storage.buffer->data) + first;
  if (are_bools(bytes, last - first + 1)) return;
  if (!storage.buffer->writable)
    fail(Kind::value, "eval", "bools in shared read-only memory have other bytes than 0 and 1: "
                              "expected memory that nobody changes, or a copy (mx.array)");
  make_bools(bytes, last - first + 1);
}

void copy_dense(const TensorView& in, const Storage& out) {
  engine::copy(in.shape(), {in.data, in.type(), in.strides()},
               {bound(*in.spec, out).data, in.type(), out.strides});
}

}  // namespace lazulite
