// The contract of an op: facts that graph, eval and transform ask for. They never name an op.
#pragma once
#include <cstdint>
#include <string_view>
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
  const After* after = nullptr;            // what to run on finished pieces of output 0, or never
  size_t value = 0;                        // which binding of it output 0 is (OpKernels::streams)
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
  after,   // output 0 is told piece by piece, each once, as soon as it is final (After)
  both,
};
constexpr bool absorbs(Absorb has, Absorb what) { return int(has) & int(what); }

struct Op;
using Needs = SmallVector<bool, 4>;

// ---- rules: functions that an op holds. One that reads the op's attributes takes them first, as
// const A&, and is given as typed<f>; op<A>() refuses one that was written for others.

// A type by name: the addresses of two things are no constants to UndefinedBehaviorSanitizer.
template <class A>
constexpr std::string_view name_of_type() {
  return __PRETTY_FUNCTION__;
}

template <class Signature>
struct Rule;
template <class R, class... In>
struct Rule<R(In...)> {
  R (*run)(In...) = nullptr;
  std::string_view attributes;  // the type that it reads; empty: none
  constexpr Rule() = default;
  constexpr Rule(R (*f)(In...), std::string_view of = {}) : run(f), attributes(of) {}
  template <class F>
    requires std::is_convertible_v<F, R (*)(In...)>
  constexpr Rule(F f) : run(f) {}
  R operator()(In... in) const { return run(static_cast<In&&>(in)...); }
  constexpr explicit operator bool() const { return run; }
};

template <class A>
const A& attributes_of(const Node&);  // node.h

namespace detail {
template <class F, F f>
struct Typed;
// Specs infer(const A&, const Arrays&), or without attributes
template <class A, Specs (*f)(const A&, const Arrays&)>
struct Typed<Specs (*)(const A&, const Arrays&), f> {
  static Specs run(const Attrs* a, const Arrays& in) { return f(value_of<A>(*a), in); }
  static constexpr Rule<Specs(const Attrs*, const Arrays&)> rule{run, name_of_type<A>()};
};
template <Specs (*f)(const Arrays&)>
struct Typed<Specs (*)(const Arrays&), f> {
  static Specs run(const Attrs*, const Arrays& in) { return f(in); }
  static constexpr Rule<Specs(const Attrs*, const Arrays&)> rule{run};
};
// R rule(const A&, const Node&, ...)
template <class A, class R, class... In, R (*f)(const A&, const Node&, In...)>
struct Typed<R (*)(const A&, const Node&, In...), f> {
  static R run(const Node& node, In... in) {
    return f(attributes_of<A>(node), node, static_cast<In&&>(in)...);
  }
  static constexpr Rule<R(const Node&, In...)> rule{run, name_of_type<A>()};
};
}  // namespace detail
template <auto f>
inline constexpr auto typed = detail::Typed<decltype(f), f>::rule;

// ---- kernels: what a device has for an op; what is null it lacks. Filled before anything runs on
// the device (ops/rooms.h), and never changed.

struct OpKernels {
  // Runs on the caller, uses cpu::parallel_for inside. Of a view: copies, where the memory's layout
  // cannot show it.
  void (*run)(const KernelCall&) = nullptr;
  Absorb absorbs = Absorb::nothing;
  // Its output may lie where an input of its shape and dtype lies: it reads each element of a row
  // (the last axis) for the last time before it writes there. An update copies its base itself.
  bool in_place = false;
  // Kernels of several nodes that read one array, their input 0, in one pass: `together` runs them,
  // where `joins` says of each two that it can. `joins` is asked of nodes with one `together` only.
  void (*together)(const KernelCall* calls, size_t count) = nullptr;
  bool (*joins)(const Node&, const Node&) = nullptr;
  // kind == elementwise: the kernel for inputs of this dtype; null: not supported.
  Kernel (*block)(const Op&, Dtype input, Dtype output) = nullptr;
  // The kernel that does `inner` and then this op to its result, operand `at`, in one pass and to
  // the same bits; in: inner's operands, then the other one. Null, or gives null: there is none.
  Kernel (*pair)(const Op&, const Op& inner, int at, Dtype type) = nullptr;
  // How the kernel of whole expressions of this dtype knows the op (`inner`). Null, or gives 0: it
  // does not.
  Link (*link)(const Op&, Dtype type) = nullptr;
  // With Absorb::after: what only the program behind wants needs no memory of its own. Where the
  // call's output 0 has none (null), the kernel hands its pieces to the program wherever they lie.
  bool streams = false;
};

// ---- ops

struct Op {
  const char* name = "";
  const char* doc = "";
  OpKind kind = OpKind::kernel;
  bool linear = false;   // jointly, in all inexact inputs: jvp is the op itself
  bool update = false;   // output 0 begins as a copy of input 0 (donated when it can be)
  bool barrier = false;  // never merged with an equal node (random by state, depends, callbacks)
  // The outputs are the last inputs, whatever else its rules say: files leave it out.
  bool passes = false;
  // Nothing is done where the output has the input's shape: files leave it out then.
  bool reshapes = false;
  bool places = false;   // the kernel says where its outputs are
  bool takes = false;    // the kernel gets the inputs' memory, and may write over what is its alone
  bool light = false;    // elementwise, and an instruction or two
  bool slow = false;     // may take long, whatever the sizes of its outputs
  bool evaluates = false;  // its kernel evaluates graphs
  const void* family = nullptr;
  int row = -1;          // index in the family's list
  mutable OpKernels on[most_devices] = {{}, {}, {}, {}};  // its kernels, by Device::Type

  // Makes attributes of tokens, for graphs from files. Null: the op cannot be in one.
  AttrsRef (*read)(TokenReader&) = nullptr;
  // Shapes and dtypes of the outputs; raises for attributes and inputs that do not fit, whoever
  // gave them: the one validation, of calls and files alike.
  Rule<Specs(const Attrs*, const Arrays& in)> infer = {};
  // Cotangents of inputs from cotangents of outputs (null array: zero). needs[i]: asked for.
  Rule<Arrays(const Node&, const Arrays& cotangents, const Needs& needs)> vjp = {};
  // The cotangent of input 0 added to what other users of that input gave it: for ops that look at
  // a part, so that no array of zeros is made for each. Inputs but the first have none.
  Rule<array(const Node&, const array& cotangent, const array& sum)> vjp_onto = {};
  // Tangents of outputs from tangents of inputs (null array: zero).
  Rule<Arrays(const Node&, const Arrays& tangents)> jvp = {};
  // Called before the node is recorded on a tape that will be walked backward: may exchange the
  // attributes for some that keep more outputs. Returns how many outputs the caller gets.
  size_t (*keep)(AttrsRef&, const Arrays& in) = nullptr;
  // Batched inputs: axes[i] is the batch axis of in[i], or -1. Outputs' axes are written.
  Rule<Arrays(const Node&, const Arrays& in, const Axes& axes, Axes& out_axes)> vmap = {};
  // The sum over lanes of what the op gives for matrices, where that costs less than all of them;
  // axes as in vmap.
  array (*sum_lanes)(const Arrays& in, const Axes& axes, Stream) = nullptr;
  // kind == view: describes an output in its input's memory; false: it must be copied. Outputs show
  // the last inputs, one each.
  Rule<bool(const Node&, const TensorView& in, Storage& out)> view = {};
  // How far results may lie apart at two instruction-set levels, in units in the last place of what
  // the op gives for absolute values; null: the same bits.
  Rule<double(const Node&)> ulp = {};
  // Arithmetic operations of one run, for profiles; null: one for each element of the largest
  // operand.
  Rule<double(const Node&)> flops = {};
  // The kernel of every device: for ops that evaluate graphs.
  void (*kernel)(const KernelCall&) = nullptr;
};

struct NoAttrs {};

// An op with attributes A, which name their fields (or are NoAttrs, or an Attrs of their own):
//   const Op slice_op = op<Slice>("slice", "Every step-th element.", {.infer = typed<infer>, ...});
template <class A = NoAttrs>
consteval Op op(const char* name, const char* doc, Op o) {
  o.name = name;
  o.doc = doc;
  if constexpr (std::is_same_v<A, NoAttrs>)
    o.read = [](TokenReader&) { return AttrsRef(); };
  else if constexpr (requires { A::field_names; }) o.read = read_attrs<A>;
  auto check = [](auto&... rules) {
    for (const std::string_view read : {rules.attributes...})
      if (!read.empty() && read != name_of_type<A>())
        throw "a rule reads the attributes of another op";
  };
  check(o.infer, o.vjp, o.vjp_onto, o.jvp, o.vmap, o.view, o.ulp, o.flops);
  return o;
}

// kernels[op] = {f}: what one device has. Ops are objects of static storage.
struct DeviceKernels {
  Device::Type device = Device::cpu;
  OpKernels& operator[](const Op& op) const { return op.on[device]; }
};

}  // namespace lazulite
