#include "eval/execute.h"

#include "graph/trace.h"

namespace lazulite {

void run_group(const GroupProgram& program, StepMemory& memory) {
  const size_t loads = program.code.load.size();
  SmallVector<Binding, 8> bindings;
  for (size_t k = 0; k < loads; ++k) {
    const Input& operand = memory.in[k];
    tidy(*operand.spec, *operand.storage);
    bindings.push_back({bound(*operand.spec, *operand.storage).data});
  }
  place_results(memory);
  for (const Output& result : memory.out)
    bindings.push_back({bound(*result.spec, result.storage).data});
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
    call.in.clear();
  }
  call.placed.resize(memory.out.size());
  const Untraced untraced;
  node.op->kernel(call);
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
    call.in.push_back(bound(*operand.spec, *operand.storage));
  }
  if (op.places) return run_placing(node, call, memory);
  if (op.update) begin_update(call, memory);
  for (Output& result : memory.out) {
    if (!result.storage.buffer) make_storage(*result.spec, result.storage);
    call.out.push_back(bound(*result.spec, result.storage));
  }
  op.kernel(call);
}

}  // namespace lazulite
