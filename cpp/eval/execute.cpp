#include "eval/execute.h"

#include <optional>

#include "eval/device_kernels.h"
#include "eval/plan.h"
#include "graph/trace.h"

namespace lazulite {

namespace {

using Bindings = SmallVector<Binding, 8>;

// A group on its memory: its program, or what runs around its kernels.
class GroupRun {
 public:
  GroupRun(const Unit& unit, const GroupProgram& program, StepMemory& memory)
      : program_(program), unit_(unit), memory_(memory) {}

  void run() {
    const BlockProgram& code = program_.before.code;
    const size_t loads = code.load.size();
    made_ = code.store.size() - unit_.forms();
    for (size_t k = 0; k < loads; ++k) load(memory_.in[k], bindings_);
    place_results(memory_, 0, made_, 0, memory_.kernels);
    for (size_t k = 0; k < made_; ++k) store(memory_.out[k], bindings_);
    if (unit_.kernel >= 0) return run_kernels();
    if (size_of(code.domain) == 0) return;
    const Program& program = program_.before;
    program.planned ? run_program(*program.planned, bindings_.data())
                    : run_program(program.code, bindings_.data());
  }

 private:
  static void load(const Input& input, Bindings& to) {
    tidy(*input.spec, *input.storage);
    to.push_back({bound(*input.spec, *input.storage).data});
  }
  static void store(const Output& output, Bindings& to) {
    to.push_back({bound(*output.spec, output.storage).data});
  }
  template <class T>
  static void make(std::optional<T>& pieces, const Program& program, const Bindings& bindings) {
    if (program.planned) pieces.emplace(*program.planned, bindings.data());
    else if (size_of(program.code.domain)) pieces.emplace(program.code, bindings.data());
  }

  void run_kernels() {
    std::optional<Formed> formed;
    std::optional<After> after;
    if (unit_.forms()) {
      bindings_.push_back({nullptr});
      make(formed, program_.before, bindings_);
    }
    std::vector<KernelCall> calls;
    size_t next = memory_.kernels;
    for (size_t m = unit_.before(); m < unit_.after(); ++m)
      describe(unit_.members[m], formed ? &*formed : nullptr, next, calls);
    if (calls.size() > 1) return kernels_of(calls[0].node).together(calls.data(), calls.size());
    if (unit_.goes_on()) {
      bind_behind();
      make(after, *program_.behind, behind_);
      if (after && after->by_rows()) calls[0].after = &*after;
      calls[0].value = program_.value;
      if (streams_ && !calls[0].after) place_value(calls[0]);
    }
    run_kernel(calls[0]);
    if (after && !after->ran()) after->run_all();
  }

  void describe(const Unit::Member& member, const Formed* formed, size_t& next,
                std::vector<KernelCall>& calls) {
    const Node& node = *member.node;
    KernelCall& call = calls.emplace_back(KernelCall{node, {}, {}, {}, {}});
    size_t i = 0;
    if (unit_.forms()) {
      const Spec& spec = node.inputs[i++].slot().spec;
      nowhere_.strides = dense_strides(spec.shape);
      call.in.push_back({&spec, &nowhere_, nullptr, formed});
    }
    for (; i < node.inputs.size(); ++i) {
      const Input& input = memory_.in[next++];
      tidy(*input.spec, *input.storage);
      call.in.push_back(bound(*input.spec, *input.storage));
    }
    if (!member.stored) share_place(value_.emplace(&node.out[0].spec));
    if (value_ && !value_->storage.buffer && kernels_of(node).streams) {
      streams_ = true;
      value_->storage.strides = dense_strides(value_->spec->shape);
      call.out.push_back({value_->spec, &value_->storage, nullptr});
      return;
    }
    for (size_t k = 0; k < node.out.size(); ++k) {
      Output& output = member.stored ? memory_.out[made_++] : *value_;
      if (!output.storage.buffer) make_storage(*output.spec, output.storage);
      call.out.push_back(bound(*output.spec, output.storage));
    }
  }

  // What only the program behind reads lies where a result of that program goes.
  void share_place(Output& value) {
    const int64_t width = size_of(value.spec->type);
    for (size_t k = made_; k < memory_.out.size(); ++k) {
      Output& result = memory_.out[k];
      if (size_of(result.spec->type) != width) continue;
      if (!result.storage.buffer) make_storage(*result.spec, result.storage);
      value.storage = result.storage;
      return;
    }
  }

  // The program behind reads no rows: what the kernel streams is stored after all.
  void place_value(KernelCall& call) {
    make_storage(*value_->spec, value_->storage);
    call.out[0] = bound(*value_->spec, value_->storage);
    behind_[program_.value].data = call.out[0].data;
  }

  void bind_behind() {
    size_t next = memory_.behind;
    Output& value = value_ ? *value_ : memory_.out[made_ - 1];
    const size_t loads = program_.behind->code.load.size();
    for (size_t k = 0; k < loads; ++k)
      if (k == program_.value && streams_) behind_.push_back({nullptr});
      else if (k == program_.value) store(value, behind_);
      else load(memory_.in[next++], behind_);
    place_results(memory_, made_, memory_.out.size(), memory_.behind, memory_.in.size());
    for (size_t k = made_; k < memory_.out.size(); ++k) store(memory_.out[k], behind_);
  }

  const GroupProgram& program_;
  const Unit& unit_;
  StepMemory& memory_;
  Bindings bindings_, behind_;
  size_t made_ = 0;  // results that have their place
  Storage nowhere_;
  std::optional<Output> value_;  // what the kernel makes, where nobody else reads it
  bool streams_ = false;         // it has no memory
};

}  // namespace

void build_group(const Unit& unit, GroupProgram& program, Sources& before, Sources& behind) {
  if (unit.before()) build_program(unit, 0, unit.before(), program.before.code, before);
  if (!unit.goes_on()) return;
  program.behind = std::make_unique<Program>();
  build_program(unit, unit.after(), unit.members.size(), program.behind->code, behind);
  const Node* kernel = unit.members[unit.before()].node;
  for (const Source& source : behind) {
    if (source.value->node().get() == kernel) return;
    program.value += !source.constant;
  }
}

void plan_group(GroupProgram& group) {
  auto plan = [](Program& program) {
    if (program.code.store.empty() || size_of(program.code.domain) == 0) return;
    program.code.runs = 1000;
    program.planned = plan_program(program.code);
  };
  plan(group.before);
  if (group.behind) plan(*group.behind);
}

void run_group(const Unit& unit, const GroupProgram& program, StepMemory& memory) {
  GroupRun(unit, program, memory).run();
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

// Output 0 goes over an input, if one can be had.
void write_over_one(StepMemory& memory) {
  Output& result = memory.out[0];
  for (Input& input : memory.in)
    if (!result.storage.buffer && input.reads == 1 && input.spec->type == result.spec->type)
      memory.spoilt |= write_over(input, *result.spec, result.storage);
}

// Output 0 of an update begins as its base: over it, or as a copy, which a kernel that may work in
// place makes itself: it knows what it will write.
void begin_update(const KernelCall& call, StepMemory& memory) {
  Storage& out = memory.out[0].storage;
  if (may_overwrite(memory.in[0], false)) {
    out = {memory.in[0].storage->buffer, 0, dense_strides(memory.out[0].spec->shape)};
    out.buffer->constant = false;
    memory.spoilt = true;
    return;
  }
  if (!out.buffer) make_storage(*memory.out[0].spec, out);
  if (!in_place(call.node)) copy_dense(call.in[0], out);
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
  if (in_place(node)) write_over_one(memory);
  for (Output& result : memory.out) {
    if (!result.storage.buffer) make_storage(*result.spec, result.storage);
    call.out.push_back(bound(*result.spec, result.storage));
  }
  run_kernel(call);
}

}  // namespace lazulite
