// Copies on the CPU: which part of which memory goes where; engine/layout does the rest.
#include <algorithm>

#include "device/cpu/level.h"
#include "device/cpu/move.h"
#include "device/cpu/pool.h"
#include "device/limits.h"
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

void copy_part(const Slice& part, const TensorView& from, const TensorView& to) {
  const Spec spec{part.size, from.type()};
  const Storage in = part.in(*from.storage), out = part.in(*to.storage);
  copy_strided(view_of(&spec, in), view_of(&spec, out));
}

constexpr int64_t slab_bytes = 8192;  // copied in the time that one slab costs besides

// The base, where it is not written over: slabs before and behind the slice along each axis.
void copy_rest(const Slice& at, const TensorView& base, const TensorView& out) {
  const Shape& shape = base.shape();
  int64_t slabs = 0;
  bool dense = true;
  for (size_t a = 0; a < shape.size(); ++a) {
    dense &= at.step[a] == 1;
    slabs += (at.start[a] > 0) + (at.start[a] + at.size[a] < shape[a]);
  }
  if (!dense || size_of(at.size) * size_of(base.type()) < slabs * slab_bytes)
    return copy_strided(base, out);
  Slice slab{{}, at.step, shape};
  slab.start.resize(shape.size(), 0);
  for (size_t a = 0; a < shape.size(); ++a) {
    const int64_t end = at.start[a] + at.size[a];
    slab.size[a] = at.start[a];
    if (slab.size[a] > 0) copy_part(slab, base, out);
    slab.start[a] = end;
    slab.size[a] = shape[a] - end;
    if (slab.size[a] > 0) copy_part(slab, base, out);
    slab.start[a] = at.start[a];
    slab.size[a] = at.size[a];
  }
}

void slice_update_kernel(const KernelCall& call) {
  const Slice& at = call.node.get<Slice>();
  if (call.in[0].data != call.out[0].data) copy_rest(at, call.in[0], call.out[0]);
  const Storage part = at.in(*call.out[0].storage);
  copy_strided(call.in[1], view_of(call.in[1].spec, part));
}

// Two arrays whose elements take turns, pair by pair: neither is written with gaps.
bool takes_turns(const KernelCall& call, int axis) {
  const TensorView& out = call.out[0];
  const int64_t bytes = size_of(out.type());
  if (call.in.size() != 2 || !out.dense() || bytes > 8) return false;
  int64_t behind = 1;
  for (size_t a = size_t(axis) + 1; a < out.shape().size(); ++a) behind *= out.shape()[a];
  if (behind != 1) return false;
  for (const TensorView& in : call.in)
    if (in.shape()[axis] != 1 || !in.dense()) return false;
  return true;
}
void take_turns(const KernelCall& call) {
  const TensorView& out = call.out[0];
  const int64_t bytes = size_of(out.type()), n = size_of(out.shape()) / 2;
  const auto zip = cpu::move_kernels().zip[__builtin_ctzll(uint64_t(bytes))];
  cpu::parallel_for((n + grain - 1) / grain, [&](int64_t chunk) {
    const int64_t first = chunk * grain * bytes;
    zip(out.data + 2 * first, call.in[0].data + first, call.in[1].data + first,
        std::min(grain, n - chunk * grain));
  }, double(n) * double(bytes) * 0.16);
}

// Short rows of several operands, so many of each at a time that what they make stays in cache:
// its lines of memory have parts of several.
bool concatenate_rows(const KernelCall& call, int axis) {
  constexpr int64_t longest = 1024, least = 256 << 10, piece = 64 << 10;  // bytes
  const TensorView& out = call.out[0];
  const int64_t bytes = size_of(out.type()), all = size_of(out.shape());
  int64_t rows = 1;
  for (int a = 0; a < axis; ++a) rows *= out.shape()[a];
  if (rows == 1 || all * bytes < least || all / rows * bytes > piece) return false;
  for (const TensorView& in : call.in)
    if (!in.dense() || size_of(in.shape()) / rows * bytes > longest) return false;
  const int64_t row = all / rows, some = piece / (row * bytes);
  cpu::parallel_for((rows + some - 1) / some, [&](int64_t task) {
    const int64_t first = task * some, count = std::min(some, rows - first);
    char* to = out.data + first * row * bytes;
    for (const TensorView& in : call.in) {
      const int64_t n = size_of(in.shape()) / rows;
      engine::copy({count, n}, {in.data + first * n * bytes, out.type(), {n, 1}},
                   {to, out.type(), {row, 1}});
      to += n * bytes;
    }
  }, double(all * bytes) * 0.08);
  return true;
}
void concatenate_kernel(const KernelCall& call) {
  const int axis = call.node.get<Concatenate>().axis;
  if (takes_turns(call, axis)) return take_turns(call);
  if (concatenate_rows(call, axis)) return;
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
  kernels[slice_update_op].in_place = true;
  kernels[concatenate_op] = {concatenate_kernel};
}

}  // namespace lazulite
