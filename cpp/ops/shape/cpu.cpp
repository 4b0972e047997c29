// Copies on the CPU: which part of which memory goes where; engine/layout does the rest.
#include "ops/cpu.h"
#include "ops/shape/ops.h"

namespace lazulite {
namespace {

// Memory of `storage`, as an operand described by another's spec.
TensorView view_of(const Spec* spec, const Storage& storage) {
  return {spec, &storage,
          static_cast<char*>(storage.buffer->data) + storage.offset * size_of(spec->type)};
}

void copy_kernel(const KernelCall& call) { copy_strided(call.in[0], call.out[0]); }

// The elements of the input, in row-major order, where the output is.
void copy_in_order(const KernelCall& call) {
  const TensorView& in = call.in[0];
  const Storage dense{call.out[0].storage->buffer, 0, dense_strides(in.shape())};
  copy_strided(in, {in.spec, &dense, call.out[0].data});
}

void slice_update_kernel(const KernelCall& call) {
  const Storage part = call.node.get<Slice>().in(*call.out[0].storage);
  copy_strided(call.in[1], view_of(call.in[1].spec, part));
}

void concatenate_kernel(const KernelCall& call) {
  const int axis = call.node.get<Concatenate>().axis;
  Storage at = *call.out[0].storage;
  const int64_t whole = size_of(call.out[0].shape()) * size_of(call.out[0].type());
  for (const TensorView& in : call.in) {
    copy_strided(in, view_of(in.spec, at), whole);
    at.offset += in.shape()[axis] * at.strides[axis];
  }
}

}  // namespace

void register_shape(cpu::Kernels& kernels) {
  for (const Op* op : {&broadcast_op, &contiguous_op, &copy_op}) kernels[*op] = {copy_kernel};
  for (const Op* op : {&reshape_op, &view_op}) kernels[*op] = {copy_in_order};
  kernels[slice_update_op] = {slice_update_kernel};
  kernels[concatenate_op] = {concatenate_kernel};
}

}  // namespace lazulite
