#include "eval/execute.h"

#include <optional>

#include "eval/device_kernels.h"
#include "graph/trace.h"

namespace lazulite {

namespace {

// The kernel at the end of a group: its first input is formed as it is read.
void run_absorber(const GroupProgram& program, const Binding* bindings, StepMemory& memory) {
  const Node& node = *program.absorber;
  const size_t loads = program.code.load.size(), stores = program.code.store.size() - 1;
  std::optional<Formed> formed;
  if (program.planned) formed.emplace(*program.planned, bindings);
  else if (size_of(program.code.domain)) formed.emplace(program.code, bindings);
  const Spec& spec = node.inputs[0].slot().spec;
  const Storage nowhere{{}, 0, dense_strides(spec.shape)};
  KernelCall call{node, {}, {}, {}, {}};
  call.in.push_back({&spec, &nowhere, nullptr, formed ? &*formed : nullptr});
  for (size_t i = 1; i < node.inputs.size(); ++i) {
    const Input& input = memory.in[loads + i - 1];
    tidy(*input.spec, *input.storage);
    call.in.push_back(bound(*input.spec, *input.storage));
  }
  for (size_t i = stores; i < memory.out.size(); ++i) {
    Output& output = memory.out[i];
    if (!output.storage.buffer) make_storage(*output.spec, output.storage);
    call.out.push_back(bound(*output.spec, output.storage));
  }
  run_kernel(call);
}

}  // namespace

void run_group(const GroupProgram& program, StepMemory& memory) {
  SmallVector<Binding, 8> bindings;
  for (size_t k = 0; k < program.code.load.size(); ++k) {
    const Input& input = memory.in[k];
    tidy(*input.spec, *input.storage);
    bindings.push_back({bound(*input.spec, *input.storage).data});
  }
  const size_t stores = program.code.store.size() - (program.absorber ? 1 : 0);
  place_results(memory, stores);
  for (size_t k = 0; k < stores; ++k)
    bindings.push_back({bound(*memory.out[k].spec, memory.out[k].storage).data});
  if (program.absorber) {
    bindings.push_back({nullptr});
    return run_absorber(program, bindings.data(), memory);
  }
  if (size_of(program.code.domain) == 0) return;
  program.planned ? run_program(*program.planned, bindings.data())
                  : run_program(program.code, bindings.data());
}

namespace {

void run_constant(const Node& node, Output& result) {
  if (!result.storage.buffer) make_storage(*result.spec, result.storage);
  const Spec& spec = *result.spec;
  result.storage.buffer->constant = true;
  BlockProgram program;
  program.domain = spec.shape;
  program.constants.push_back({0, compute_type(spec.type), node.get<Constant>().value});
  program.store.push_back({0, spec.type, 0, result.storage.strides});
  program.registers = 1;
  program.width = 16;
  program.cost = 0.2;
  const Binding binding{bound(spec, result.storage).data};
  if (size_of(spec.shape)) run_program(program, &binding);
}

// The outputs show the last inputs; false: one of them must be copied.
bool run_view(const Node& node, StepMemory& memory) {
  const size_t first = memory.in.size() - memory.out.size();
  SmallVector<Storage, 1> shown;
  for (size_t i = 0; i < memory.out.size(); ++i) {
    const Input& from = memory.in[first + i];
    Storage& storage = shown.emplace_back();
    if (!node.op->view(node, bound(*from.spec, *from.storage), storage)) return false;
    if (!storage.buffer) storage.buffer = from.storage->buffer;
  }
  for (size_t i = 0; i < shown.size(); ++i) memory.out[i].storage = std::move(shown[i]);
  return true;
}

// The kernel says where its outputs are; what dies is its own to write over.
void run_placing(const Node& node, KernelCall& call, StepMemory& memory) {
  if (node.op->takes) {
    SmallVector<bool, 4> given;
    for (const Input& operand : memory.in) given.push_back(may_overwrite(operand, false));
    for (size_t i = 0; i < memory.in.size(); ++i) {
      memory.spoilt |= given[i];
      Storage& storage = *memory.in[i].storage;
      call.taken.push_back(given[i] ? std::move(storage) : storage);
    }
  }
  call.placed.resize(memory.out.size());
  const Untraced untraced;
  run_kernel(call);
  for (size_t i = 0; i < memory.out.size(); ++i)
    memory.out[i].storage = std::move(call.placed[i]);
}

// Output 0 of an update begins as its base: over it, or as a copy.
void begin_update(const KernelCall& call, StepMemory& memory) {
  Storage& out = memory.out[0].storage;
  if (may_overwrite(memory.in[0], false)) {
    out = {memory.in[0].storage->buffer, 0, dense_strides(memory.out[0].spec->shape)};
    out.buffer->constant = false;
    memory.spoilt = true;
    return;
  }
  if (!out.buffer) make_storage(*memory.out[0].spec, out);
  copy_dense(call.in[0], out);
}

}  // namespace

void run_single(const Node& node, StepMemory& memory) {
  const Op& op = *node.op;
  if (op.kind == OpKind::constant) return run_constant(node, memory.out[0]);
  if (op.kind == OpKind::view && run_view(node, memory)) return;
  KernelCall call{node, {}, {}, {}, {}};
  for (const Input& operand : memory.in) {
    tidy(*operand.spec, *operand.storage);
    if (!op.takes) call.in.push_back(bound(*operand.spec, *operand.storage));
  }
  if (op.places) return run_placing(node, call, memory);
  if (op.update) begin_update(call, memory);
  for (Output& result : memory.out) {
    if (!result.storage.buffer) make_storage(*result.spec, result.storage);
    call.out.push_back(bound(*result.spec, result.storage));
  }
  run_kernel(call);
}

}  // namespace lazulite
