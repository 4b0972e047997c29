#include <cstring>

#include "eval/eval.h"
#include "graph/node.h"
#include "graph/trace.h"

namespace lazulite {

namespace {

std::atomic<uint64_t> sequence{1};
thread_local Trace* top = nullptr;

// Nodes come and go by the million: each thread keeps some.
struct NodePool {
  static constexpr size_t limit = 4096;
  std::vector<void*> free;
  ~NodePool() {
    for (void* p : free) ::operator delete(p);
    alive = false;
  }
  static thread_local bool alive;
};
thread_local bool NodePool::alive = true;
thread_local NodePool node_pool;

Ref<Node> new_node() {
  void* room;
  if (NodePool::alive && !node_pool.free.empty()) {
    room = node_pool.free.back();
    node_pool.free.pop_back();
  } else {
    room = ::operator new(sizeof(Node));
  }
  return Ref<Node>(new (room) Node);
}

void free_node(Node* node) {
  node->~Node();
  if (NodePool::alive && node_pool.free.size() < NodePool::limit) node_pool.free.push_back(node);
  else ::operator delete(node);
}

Specs no_infer(const Attrs*, const Arrays&) { return {}; }
Specs infer_constant(const Attrs* a, const Arrays&) {
  const auto& c = static_cast<const AttrsOf<Constant>*>(a)->value;
  return {Spec{c.shape, c.type}};
}
Arrays no_gradient(const Node&, const Arrays&, const Needs&) { return {}; }
Arrays no_tangent(const Node&, const Arrays&) { return {array()}; }

const Op data_op{.name = "array", .doc = "Data.", .sort = Sort::input, .infer = no_infer};
const Op leaf_op{.name = "leaf", .doc = "An argument of a transformed function.", .sort = Sort::input, .infer = no_infer};
Specs infer_alias(const Attrs*, const Arrays& in) { return {in[0].slot().spec}; }
Arrays alias_vjp(const Node&, const Arrays& cotangents, const Needs&) { return {cotangents[0]}; }
Arrays alias_vmap(const Node&, const Arrays& in, const Axes& axes, Axes& out_axes) {
  out_axes = axes;
  return {alias_leaf(in[0])};
}
bool alias_view(const Node&, const Bound& in, Storage& out) {
  out = *in.storage;
  return true;
}
const Op alias_op{.name = "argument", .doc = "An argument of a differentiated function.", .sort = Sort::view, .linear = true,
                  .infer = infer_alias, .vjp = alias_vjp, .vmap = alias_vmap, .view = alias_view};
const Op constant_op{.name = "full", .doc = "One number in every element.", .sort = Sort::constant,
                     .infer = infer_constant, .vjp = no_gradient, .jvp = no_tangent};

}  // namespace

void Node::destroy(Node* node) {
  // A dying node frees its inputs, which may die in turn: a list instead of recursion.
  thread_local std::vector<Node*>* dying = nullptr;
  if (dying) {
    dying->push_back(node);
    return;
  }
  std::vector<Node*> list{node};
  dying = &list;
  while (!list.empty()) {
    Node* next = list.back();
    list.pop_back();
    free_node(next);
  }
  dying = nullptr;
}

Trace* current_trace() { return top; }
uint64_t next_sequence() { return sequence.fetch_add(1, std::memory_order_relaxed); }

Trace::Trace(const char* transform, bool is_abstract)
    : name(transform), begin(next_sequence()), outer(top), abstract(is_abstract) {
  top = this;
}

void check_retarget(const array& old) {
  const Node& node = *old.node();
  if (!top || node.op == &alias_op || node.state.load(std::memory_order_relaxed) == State::traced) return;
  for (const Trace* trace = top; trace; trace = trace->outer)
    if (trace->abstract && node.seq < trace->begin)
      fail(Kind::value, trace->name, "an array from outside of the function is changed in place: it would keep a value "
           "that exists only while the function is traced; return the new value instead",
           trace->name == std::string_view("compile") ? ", or name the array in inputs= and outputs=" : "");
}

Trace::~Trace() { close(); }

void Trace::stop(const std::function<bool(const Node&)>& keep) {
  if (!recording) return;
  recording = false;
  top = outer;
  if (!outer) return;
  for (auto& node : tape)
    if (!keep || keep(*node)) {
      node->pins.fetch_add(1, std::memory_order_relaxed);
      outer->tape.push_back(node);
    }
}

void Trace::close() {
  if (!open) return;
  stop();
  open = false;
  for (auto& node : tape)
    if (node->pins.fetch_sub(1) == 1 && node->state.load(std::memory_order_acquire) == State::ready)
      node->inputs.clear();
  tape.clear();
}

Arrays record_all(const Op& op, AttrsRef attributes, Arrays in, Stream stream) {
  Specs specs = op.infer(attributes.get(), in);
  auto node = new_node();
  node->seq = next_sequence();
  node->op = &op;
  node->attributes = std::move(attributes);
  node->stream = stream;
  node->inputs = std::move(in);
  node->out.resize(specs.size());
  for (size_t i = 0; i < specs.size(); ++i) node->out[i].spec = std::move(specs[i]);
  if (top) {
    node->pins.fetch_add(1, std::memory_order_relaxed);
    top->tape.push_back(node);
  }
  Arrays out;
  for (uint32_t i = 0; i < node->out.size(); ++i) out.emplace_back(node, i);
  return out;
}

array record(const Op& op, AttrsRef attributes, Arrays in, Stream stream) {
  return record_all(op, std::move(attributes), std::move(in), stream)[0];
}

array constant(Scalar value, Shape shape, Dtype type, Stream stream) {
  size_of(shape);
  return record(constant_op, attrs(Constant{value.rounded(type), type, std::move(shape)}), {}, stream);
}

array recorded(const Node& node, uint32_t index) {
  return array(Ref<Node>(const_cast<Node*>(&node)), index);
}

bool is_constant(const array& a) { return a.node()->op == &constant_op; }
const Scalar& constant_value(const array& a) { return a.node()->get<Constant>().value; }

array from_storage(Spec spec, Storage storage) {
  auto node = new_node();
  node->seq = next_sequence();
  node->op = &data_op;
  node->out.emplace_back(Slot{std::move(spec), std::move(storage)});
  node->state.store(State::ready, std::memory_order_release);
  return array(std::move(node), 0);
}

array from_buffer(Ref<Buffer> buffer, Shape shape, Dtype type) {
  Storage storage{std::move(buffer), 0, dense_strides(shape)};
  return from_storage(Spec{std::move(shape), type}, std::move(storage));
}

array abstract_leaf(Spec spec, const char* transform) {
  auto node = new_node();
  node->seq = next_sequence();
  node->op = &leaf_op;
  node->transform = transform;
  node->out.emplace_back(Slot{std::move(spec), {}});
  node->state.store(State::traced, std::memory_order_release);
  return array(std::move(node), 0);
}

array alias_leaf(const array& value) {
  return record(alias_op, {}, {value}, value.node()->stream);
}

const Slot& array::slot() const { return node_->out[index_]; }
const Shape& array::shape() const { return slot().spec.shape; }
Dtype array::dtype() const { return slot().spec.type; }
int64_t array::shape(int axis) const { return shape()[normal_axis(axis, ndim(), "shape")]; }

array& array::eval() {
  if (node_->state.load(std::memory_order_acquire) != State::ready) lazulite::eval(Arrays{*this});
  return *this;
}

const Strides& array::strides() const {
  const_cast<array*>(this)->eval();
  return slot().storage.strides;
}

const void* array::raw() const {
  const_cast<array*>(this)->eval();
  const Storage& s = slot().storage;
  return static_cast<const char*>(s.buffer->data) + s.offset * size_of(dtype());
}

Scalar array::item() const {
  if (size() != 1)
    fail(Kind::value, "item", "not one element: got an array of shape ", shape(), ", expected size 1");
  return Scalar::read(dtype(), raw());
}

template <class T>
T array::item() const {
  T value;
  item().write(dtype_of<T>, &value);
  return value;
}
#define X(name, type, bytes, kind) template type array::item<type>() const;
LAZULITE_DTYPES(X)
#undef X

array::array(Scalar value) : array(value, value.natural()) {}

array::array(Scalar value, Dtype type) {
  value.check_fits(type, "array");
  auto buffer = allocate(size_of(type));
  value.write(type, buffer->data);
  *this = from_buffer(std::move(buffer), {}, type);
}

array::array(const void* data, Shape shape, Dtype data_type, Dtype type) {
  const int64_t n = size_of(shape), from = size_of(data_type), to = size_of(type);
  auto buffer = allocate(n * to);
  if (data_type == type) {
    if (n) std::memcpy(buffer->data, data, size_t(n * to));
  } else {
    for (int64_t i = 0; i < n; ++i)
      Scalar::read(data_type, static_cast<const char*>(data) + i * from)
          .write(type, static_cast<char*>(buffer->data) + i * to);
  }
  *this = from_buffer(std::move(buffer), std::move(shape), type);
}

Dtype result_type(std::initializer_list<const Operand*> operands) {
  bool any = false;
  Dtype type = bool_;
  for (auto* o : operands)
    if (o->is_array()) {
      type = any ? promote(type, o->get().dtype()) : o->get().dtype();
      any = true;
    }
  for (auto* o : operands)
    if (!o->is_array()) {
      type = any ? o->scalar().beside(type) : o->scalar().natural();
      if (!any) {
        any = true;
        continue;
      }
    }
  return type;
}

}  // namespace lazulite
