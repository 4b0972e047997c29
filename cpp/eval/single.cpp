// Ops that run one by one: constants, views, kernels.
#include "engine/layout/copy.h"
#include "eval/plan.h"
#include "graph/trace.h"

namespace lazulite {

namespace {

void run_constant(const Node& node, Storage& out) {
  const Spec& spec = node.out[0].spec;
  if (!out.buffer)
    out = {allocate(size_of(spec.shape) * size_of(spec.type)), 0, dense_strides(spec.shape)};
  out.buffer->constant = true;
  BlockProgram program;
  program.domain = spec.shape;
  program.constants.push_back({0, compute_type(spec.type), node.get<Constant>().value});
  program.store.push_back({0, spec.type, 0, out.strides});
  program.registers = 1;
  program.width = 16;
  program.cost = 0.2;
  const Binding binding{bound(spec, out).data};
  if (size_of(spec.shape)) run_program(program, &binding);
}

}  // namespace

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

void run_op(const Node& node, SmallVector<TensorView, 3> in, bool overwrite,
            SmallVector<Storage, 1>& out) {
  const Op& op = *node.op;
  if (op.kind == OpKind::constant) return run_constant(node, out[0]);
  if (op.kind == OpKind::view) {
    // The outputs show the last inputs.
    const size_t first = in.size() - node.out.size();
    SmallVector<Storage, 1> shown;
    bool all = true;
    for (size_t i = 0; all && i < node.out.size(); ++i) {
      Storage storage;
      all = op.view(node, in[first + i], storage);
      if (!all) break;
      if (!storage.buffer) storage.buffer = in[first + i].storage->buffer;
      shown.push_back(std::move(storage));
    }
    if (all) {
      out = std::move(shown);
      return;
    }
  }
  for (const TensorView& b : in) tidy(*b.spec, *b.storage);
  KernelCall call{node, std::move(in), {}, {}, {}};
  if (op.places) {
    call.placed.resize(node.out.size());
    if (op.takes)  // nothing is given away
      for (const TensorView& b : call.in) call.taken.push_back(*b.storage);
    const Untraced untraced;
    op.kernel(call);
    out = std::move(call.placed);
    return;
  }
  for (size_t i = 0; i < node.out.size(); ++i) {
    const Spec& spec = node.out[i].spec;
    if (op.update && i == 0 && overwrite) {
      out[i] = {call.in[0].storage->buffer, 0, dense_strides(spec.shape)};
      out[i].buffer->constant = false;
    } else {
      if (!out[i].buffer)
        out[i] = {allocate(size_of(spec.shape) * size_of(spec.type)), 0, dense_strides(spec.shape)};
      if (op.update && i == 0) copy_dense(call.in[0], out[i]);
    }
  }
  for (size_t i = 0; i < node.out.size(); ++i) call.out.push_back(bound(node.out[i].spec, out[i]));
  op.kernel(call);
}

}  // namespace lazulite
