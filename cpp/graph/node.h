// Node: the immutable description of one op applied to arrays, and where its values are.
#pragma once
#include <atomic>

#include "base/fail.h"
#include "graph/op.h"

namespace lazulite {

struct Run;   // an evaluation under way (eval/)
struct Trace;

enum class State : uint8_t { pending, claimed, ready, failed, traced };

struct Slot {
  Spec spec;
  Storage storage;  // written by eval before state becomes ready
};

struct Failure : Counted {
  Error error;
  explicit Failure(const Error& e) : error(e.deferred()) {}
};

struct Node : Counted {
  uint64_t seq = 0;
  const Op* op = nullptr;
  AttrsRef attributes;
  Stream stream;
  Arrays inputs;
  SmallVector<Slot, 1> out;
  std::atomic<State> state{State::pending};
  std::atomic<int32_t> pins{0};  // open traces that may still ask for inputs
  std::atomic<Run*> run{nullptr};  // under the plan lock
  Ref<Failure> failure;
  const char* transform = nullptr;  // of a leaf: who made it
  std::atomic<uint64_t> captured{
      0};  // not 0: traces captured it; then when an object that held it was changed (trace.h)
  // Scratch of the planner, under the plan lock.
  uint64_t mark = 0;
  int32_t unit = -1, uses = 0;
  int32_t depth = 0;  // place among the members of its unit; stays while the node is claimed

  static void destroy(Node*);  // without recursion, however long the chain
  template <class T>
  const T& get() const { return value_of<T>(*attributes); }
};

template <class A>
const A& attributes_of(const Node& node) { return node.get<A>(); }

struct Constant {  // attributes of kind constant; the shape is the output's
  Scalar value;
  Dtype type;
  Shape shape;
  LAZULITE_FIELDS(value, type, shape)
};

// Makes the node: infer, sequence number, tape of the open trace; nothing else.
array record(const Op&, AttrsRef, Arrays in, Stream = default_stream());
Arrays record_all(const Op&, AttrsRef, Arrays in, Stream = default_stream());  // all outputs

// A node of two inputs of one shape, whose result has that shape: infer is not asked.
array record_pair(const Op&, const array& a, const array& b, Dtype type, Stream stream);

array constant(Scalar value, Shape shape, Dtype type, Stream = default_stream());
array from_storage(Spec, Storage);                 // ready
array from_buffer(Ref<Buffer>, Shape, Dtype);      // ready, dense
array abstract_leaf(Spec, const char* transform);  // State::traced
array alias_leaf(const array& value);  // the same value as a new node: an identity, differentiable

array recorded(const Node&, uint32_t index);       // the output of a node that a rule was given

inline const Slot& array::slot() const { return node_->out[index_]; }
inline const Shape& array::shape() const { return slot().spec.shape; }
inline Dtype array::dtype() const { return slot().spec.type; }

const Op& full_op();  // of constants
// For Op::infer. Its results need no check of their sizes: record makes it.
[[noreturn]] void refuse_inputs(const char* op, size_t got, size_t expected);
inline void check_inputs(const char* op, const Arrays& in, size_t count) {
  if (in.size() != count) refuse_inputs(op, in.size(), count);
}
bool is_alias(const Node&);
bool is_constant(const array&);
const Scalar& constant_value(const array&);

}  // namespace lazulite
