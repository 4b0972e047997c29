// The contract of an op: facts that graph, eval and transform ask for. They never name an op.
#pragma once
#include <cstdint>
#include <vector>

#include "device/program.h"
#include "graph/array.h"
#include "graph/attrs.h"

namespace lazulite {

struct Spec {
  Shape shape;
  Dtype type;
};
struct Specs : SmallVector<Spec, 1> {
  using SmallVector::SmallVector;
};

struct Storage {
  Ref<Buffer> buffer;
  int64_t offset = 0;  // in elements
  Strides strides;     // in elements
};

// One bound operand of a running kernel.
struct TensorView {
  const Spec* spec;
  const Storage* storage;
  char* data;          // address of element 0
  const Formed* formed = nullptr;  // instead of data: formed as it is read (Absorb::before)
  const Shape& shape() const { return spec->shape; }
  Dtype type() const { return spec->type; }
  const Strides& strides() const { return storage->strides; }
  bool dense() const { return is_dense(spec->shape, storage->strides); }
};

// What a kernel sees. Outputs are allocated, dense, in row-major order, unless it is an update or
// places them itself.
struct KernelCall {
  const Node& node;
  SmallVector<TensorView, 3> in;
  SmallVector<TensorView, 1> out;
  mutable SmallVector<Storage, 1> placed;  // Op::places: filled by the kernel, one per output
  mutable std::vector<Storage> taken;      // Op::takes: instead of `in`, the kernel's to keep
};

enum class OpKind : uint8_t {
  input,        // data: always ready
  constant,     // one number in every element (attrs: Constant); no buffer until stored
  elementwise,  // runs in block programs; inputs and output of equal shapes
  view,         // may share its input's memory
  kernel,       // runs by `kernel`
};

// What of its neighbours in a program a kernel takes in.
enum class Absorb : uint8_t {
  nothing,
  before,  // input 0 may be a block program: the kernel reads each element once, in any order
};

struct Op;
using Needs = SmallVector<bool, 4>;

struct Op {
  const char* name;
  const char* doc = "";
  OpKind kind = OpKind::kernel;
  bool linear = false;   // jointly, in all inexact inputs: jvp is the op itself
  bool update = false;   // output 0 begins as a copy of input 0 (donated when it can be)
  bool barrier = false;  // never merged with an equal node (random by state, depends, callbacks)
  bool passes =
      false;  // the outputs are the last inputs, whatever else its rules say: files leave it out
  bool reshapes =
      false;  // nothing is done where the output has the input's shape: files leave it out then
  bool places = false;   // the kernel says where its outputs are
  bool takes = false;    // the kernel gets the inputs' memory, and may write over what is its alone
  bool slow = false;     // may take long, whatever the sizes of its outputs
  bool evaluates = false;  // its kernel evaluates graphs
  Absorb absorbs = Absorb::nothing;
  const void* family = nullptr;
  int row = -1;          // index in the family's list

  // For graphs from files: makes attributes of tokens (null: there are none), and raises for
  // attributes and inputs that record's callers would not give it. Null `check`: the op cannot be
  // in a file.
  AttrsRef (*read)(TokenReader&) = nullptr;
  void (*check)(const Attrs*, const Arrays& in) = nullptr;
  // Shapes and dtypes of the outputs; raises for what does not fit.
  Specs (*infer)(const Attrs*, const Arrays& in) = nullptr;
  // Cotangents of inputs from cotangents of outputs (null array: zero). needs[i]: asked for.
  Arrays (*vjp)(const Node&, const Arrays& cotangents, const Needs& needs) = nullptr;
  // The cotangent of input 0 added to what other users of that input gave it: for ops that look at
  // a part, so that no array of zeros is made for each. Inputs but the first have none.
  array (*vjp_onto)(const Node&, const array& cotangent, const array& sum) = nullptr;
  // Tangents of outputs from tangents of inputs (null array: zero).
  Arrays (*jvp)(const Node&, const Arrays& tangents) = nullptr;
  // Called before the node is recorded on a tape that will be walked backward: may exchange the
  // attributes for some that keep more outputs. Returns how many outputs the caller gets.
  size_t (*keep)(AttrsRef&, const Arrays& in) = nullptr;
  // Batched inputs: axes[i] is the batch axis of in[i], or -1. Outputs' axes are written.
  Arrays (*vmap)(const Node&, const Arrays& in, const Axes& axes, Axes& out_axes) = nullptr;
  // The sum over lanes of what the op gives for matrices, where that costs less than all of them;
  // axes as in vmap.
  array (*sum_lanes)(const Arrays& in, const Axes& axes, Stream) = nullptr;
  // kind == view: describes an output in its input's memory; false: it must be copied. Outputs show
  // the last inputs, one each.
  bool (*view)(const Node&, const TensorView& in, Storage& out) = nullptr;
  // kind == elementwise: the kernel for inputs of this dtype; null: not supported.
  Kernel (*block)(const Op&, Dtype input, Dtype output) = nullptr;
  // The kernel that does `inner` and then this op to its result, operand `at`, in one pass and to
  // the same bits; in: inner's operands, then the other one. Null, or gives null: there is none.
  Kernel (*pair)(const Op&, const Op& inner, int at, Dtype type) = nullptr;
  // How the kernel of whole expressions of this dtype knows the op (`inner`). Null, or gives 0: it
  // does not.
  Link (*link)(const Op&, Dtype type) = nullptr;
  // How far results may lie apart at two instruction-set levels, in units in the last place of what
  // the op gives for absolute values; null: the same bits.
  double (*ulp)(const Node&) = nullptr;
  // Arithmetic operations of one run, for profiles; null: one for each element of the largest
  // operand.
  double (*flops)(const Node&) = nullptr;
  // Runs on the caller, uses cpu::parallel_for inside.
  void (*kernel)(const KernelCall&) = nullptr;
};

}  // namespace lazulite
