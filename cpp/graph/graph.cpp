#include <cstring>

#include "base/sanitize.h"
#include "graph/node.h"
#include "graph/origin.h"
#include "graph/pending.h"
#include "graph/shown.h"
#include "graph/stand_ins.h"
#include "graph/trace.h"

namespace lazulite {

constinit LAZULITE_THREAD_LOCAL int records_left = 64;

namespace {

std::atomic<uint64_t> sequence{1};

std::atomic<int64_t> pending_all{0};
LAZULITE_THREAD_LOCAL int pending_here = 0;  // not in the sum yet
void sum_pending() {
  pending_all.fetch_add(std::exchange(pending_here, 0), std::memory_order_relaxed);
}

// Plain pointers, so that reading one is a single instruction: their owner, which has a destructor,
// is looked up only when a thread makes its first node.
LAZULITE_THREAD_LOCAL Trace* top = nullptr;

// Nodes come and go by the million: each thread keeps some, chained through their own memory.
struct Spare {
  Spare* next;
};
LAZULITE_THREAD_LOCAL Spare* spare_nodes = nullptr;
LAZULITE_THREAD_LOCAL int spare_count = 0;
LAZULITE_THREAD_LOCAL bool keeps_spares = false;
constexpr int most_spares = sanitize::keep_spares ? 4096 : 0;

// Equal small constants that follow each other share a node.
struct LastConstants {
  static constexpr int count = 4;
  array values[count];
  int next = 0;
};
LAZULITE_THREAD_LOCAL LastConstants* last_constants = nullptr;
constexpr int64_t small_constant = 4096;  // bytes: what a kept constant may hold when it is stored

struct ThreadOwner {
  LastConstants constants;
  ThreadOwner() {
    keeps_spares = true;
    last_constants = &constants;
  }
  ~ThreadOwner() {
    last_constants = nullptr;
    for (array& a : constants.values) a = array();
    keeps_spares = false;
    while (Spare* one = spare_nodes) {
      spare_nodes = one->next;
      ::operator delete(one);
    }
    spare_count = 0;
    sum_pending();
  }
};
[[gnu::noinline]] void own_thread() {
  thread_local ThreadOwner owner;
  (void)owner;
}

Ref<Node> new_node() {
  if (Spare* one = spare_nodes) {
    spare_nodes = one->next;
    --spare_count;
    return Ref<Node>(new (one) Node);
  }
  if (!keeps_spares) own_thread();
  return Ref<Node>(new (::operator new(sizeof(Node))) Node);
}

void free_node(Node* node) {
  if (noting_origins.load(std::memory_order_relaxed)) forget_origin(node);
  if (const State state = node->state.load(std::memory_order_relaxed);
      state != State::ready && state != State::traced)
    count_pending(-1);
  node->~Node();
  if (!keeps_spares || spare_count >= most_spares) return ::operator delete(node);
  auto* one = reinterpret_cast<Spare*>(node);
  one->next = spare_nodes;
  spare_nodes = one;
  ++spare_count;
}

void count_recorded() {
  count_pending(1);
  --records_left;
}

Specs no_infer(const Attrs*, const Arrays&) { return {}; }
Specs infer_constant(const Constant& c, const Arrays& in) {
  check_inputs("full", in, 0);
  return {Spec{c.shape, c.type}};
}
Arrays no_gradient(const Node&, const Arrays&, const Needs&) { return {}; }
Arrays no_tangent(const Node&, const Arrays&) { return {array()}; }

const Op data_op{.name = "array", .doc = "Data.", .kind = OpKind::input, .infer = no_infer};
const Op leaf_op{.name = "leaf",
                 .doc = "An argument of a transformed function.",
                 .kind = OpKind::input,
                 .infer = no_infer};
Specs infer_alias(const Attrs*, const Arrays& in) { return {in[0].slot().spec}; }
Arrays alias_vjp(const Node&, const Arrays& cotangents, const Needs&) { return {cotangents[0]}; }
Arrays alias_vmap(const Node&, const Arrays& in, const Axes& axes, Axes& out_axes) {
  out_axes = axes;
  return {alias_leaf(in[0])};
}
bool alias_view(const Node&, const TensorView& in, Storage& out) {
  out = *in.storage;
  return true;
}
const Op alias_op{.name = "argument",
                  .doc = "An argument of a differentiated function.",
                  .kind = OpKind::view,
                  .linear = true,
                  .infer = infer_alias,
                  .vjp = alias_vjp,
                  .vmap = alias_vmap,
                  .view = alias_view};
const Op shown_op{.name = "view",
                  .doc = "A part of an array that was there when it was asked for.",
                  .kind = OpKind::view,
                  .linear = true,
                  .infer = no_infer};
const Op constant_op = op<Constant>("full", "One number in every element.",
                                    {.kind = OpKind::constant,
                                     .infer = typed<infer_constant>,
                                     .vjp = no_gradient,
                                     .jvp = no_tangent});

}  // namespace

namespace {
LAZULITE_THREAD_LOCAL std::vector<Node*>* dying = nullptr;
}

void Node::destroy(Node* node) {
  // A dying node frees its inputs, which may die in turn: a list instead of recursion.
  if (dying) {
    dying->push_back(node);
    return;
  }
  std::vector<Node*> list;  // allocates only when something dies along
  dying = &list;
  free_node(node);
  while (!list.empty()) {
    Node* next = list.back();
    list.pop_back();
    free_node(next);
  }
  dying = nullptr;
}

// Threads that made no node have nobody who sums for them at their end.
void count_pending(int n) {
  pending_here += n;
  if (pending_here > 256 || pending_here < -256 || !keeps_spares) sum_pending();
}
int64_t pending_nodes() {
  sum_pending();
  return pending_all.load(std::memory_order_relaxed);
}

Trace* current_trace() { return top; }
uint64_t next_sequence() { return sequence.fetch_add(1, std::memory_order_relaxed); }

Trace::Trace(const char* transform, bool is_abstract)
    : name(transform), begin(next_sequence()), outer(top), abstract(is_abstract) {
  stand_ins::opened(begin);
  top = this;
}

void check_retarget(const array& old) {
  const Node& node = *old.node();
  if (!top || node.op == &alias_op || node.state.load(std::memory_order_relaxed) == State::traced)
    return;
  for (const Trace* trace = top; trace; trace = trace->outer)
    if (trace->abstract && node.seq < trace->begin)
      fail(Kind::value, trace->name,
           "an array from outside of the function is changed in place: it would keep a value "
           "that exists only while the function is traced; return the new value instead",
           trace->name == std::string_view("compile")
               ? ", or name the array in inputs= and outputs="
               : "");
}

std::atomic<uint64_t>& capture_clock() {
  static std::atomic<uint64_t> clock{1};
  return clock;
}
void note_captured(const array& a) {
  uint64_t none = 0;
  a.node()->captured.compare_exchange_strong(none, 1);
}
void note_change(Node& old) { old.captured.store(++capture_clock()); }

Trace::~Trace() { close(); }

Untraced::Untraced() : outer(top) { top = nullptr; }
Untraced::~Untraced() { top = outer; }

void Trace::stop(const std::function<bool(const Node&)>& keep) {
  if (!recording) return;
  recording = false;
  top = outer;
  if (!outer) return;
  outer->rules.insert(outer->rules.end(), std::make_move_iterator(rules.begin()),
                      std::make_move_iterator(rules.end()));
  rules.clear();
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
  stand_ins::closed(begin);
  for (auto& node : tape) {
    if (node->pins.fetch_sub(1) != 1) continue;
    if (node->state.load(std::memory_order_acquire) == State::ready) node->inputs.clear();
    if (node->op->passes)
      node->attributes = {};  // rules of its own: nobody can ask for them any more
  }
  tape.clear();
  rules.clear();
}

bool shows_at_once(const array& base) {
  return !top && !noting_origins.load(std::memory_order_relaxed) &&
         base.node()->state.load(std::memory_order_acquire) == State::ready &&
         base.slot().storage.buffer;
}

array show(Slot&& slot) {
  auto node = new_node();
  node->seq = next_sequence();
  node->op = &shown_op;
  node->out.emplace_back(std::move(slot));
  node->state.store(State::ready, std::memory_order_release);
  return array(std::move(node), 0);
}

namespace {
// A view of memory that is there needs no plan: it is what evaluation would make of it. Where
// somebody looks for steps or their lines, it is recorded like the rest.
bool is_shown(Node& node) {
  if (!node.op->view || node.inputs.size() != 1 || node.out.size() != 1 ||
      !shows_at_once(node.inputs[0]))
    return false;
  const Slot& from = node.inputs[0].slot();
  char* const data =
      static_cast<char*>(from.storage.buffer->data) + from.storage.offset * size_of(from.spec.type);
  Storage shown;
  if (!node.op->view(node, TensorView{&from.spec, &from.storage, data}, shown)) return false;
  node.out[0].storage = std::move(shown);
  node.inputs.clear();
  node.state.store(State::ready, std::memory_order_release);
  return true;
}

Ref<Node> make_node(const Op& op, AttrsRef&& attributes, Arrays&& in, Stream stream) {
  Specs specs = op.infer(attributes.get(), in);
  for (const Spec& spec : specs)
    if (!is_shape(spec.shape, spec.type)) refuse_shape(spec.shape, spec.type, op.name);
  auto node = new_node();
  node->seq = next_sequence();
  node->op = &op;
  node->attributes = std::move(attributes);
  node->stream = stream;
  node->inputs = std::move(in);
  for (Spec& spec : specs) node->out.emplace_back(Slot{std::move(spec), {}});
  if (is_shown(*node)) return node;
  count_recorded();
  if (top) {
    node->pins.fetch_add(1, std::memory_order_relaxed);
    top->tape.push_back(node);
  }
  if (noting_origins.load(std::memory_order_relaxed)) note_origin(node.get());
  return node;
}
}  // namespace

// As make_node for what binary elementwise functions know already: called a thousand times a
// millisecond.
array record_pair(const Op& op, const array& a, const array& b, Dtype type, Stream stream) {
  auto node = new_node();
  node->seq = next_sequence();
  node->op = &op;
  node->stream = stream;
  node->inputs.emplace_back(a);
  node->inputs.emplace_back(b);
  node->out.emplace_back(Slot{Spec{a.slot().spec.shape, type}, {}});
  count_recorded();
  if (top) {
    node->pins.fetch_add(1, std::memory_order_relaxed);
    top->tape.push_back(node);
  }
  if (noting_origins.load(std::memory_order_relaxed)) note_origin(node.get());
  return array(std::move(node), 0);
}

Arrays record_all(const Op& op, AttrsRef attributes, Arrays in, Stream stream) {
  size_t shown = SIZE_MAX;
  if (op.keep && top && top->reverse) shown = op.keep(attributes, in);
  const auto node = make_node(op, std::move(attributes), std::move(in), stream);
  Arrays out;
  for (uint32_t i = 0; i < node->out.size() && i < shown; ++i) out.emplace_back(node, i);
  return out;
}

array record(const Op& op, AttrsRef attributes, Arrays in, Stream stream) {
  return array(make_node(op, std::move(attributes), std::move(in), stream), 0);
}

array constant(Scalar value, Shape shape, Dtype type, Stream stream) {
  check_shape(shape, type, "full");
  value = value.rounded(type);
  const int64_t size = size_of(shape);
  const bool small = !top && size <= small_constant / 16;
  if (small && last_constants)
    for (array& known : last_constants->values)
      if (known && known.dtype() == type && known.shape() == shape &&
          known.node()->stream == stream && constant_value(known) == value &&
          !known.node()->captured.load(std::memory_order_relaxed))
        return known;  // a captured one stays with the objects that hold it: changes of others say
                       // nothing about it
  array made = record(constant_op, attrs(Constant{value, type, std::move(shape)}), {}, stream);
  if (small) {
    if (!last_constants && keeps_spares) own_thread();
    if (last_constants)
      last_constants->values[last_constants->next++ % LastConstants::count] = made;
  }
  return made;
}

array recorded(const Node& node, uint32_t index) {
  return array(Ref<Node>(const_cast<Node*>(&node)), index);
}

void refuse_inputs(const char* op, size_t got, size_t expected) {
  fail(Kind::value, op, "wrong number of inputs: got ", got, ", expected ", expected);
}
const Op& full_op() { return constant_op; }
bool is_alias(const Node& node) { return node.op == &alias_op; }
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

int64_t array::shape(int axis) const { return shape()[normal_axis(axis, ndim(), "shape")]; }

array::array(Scalar value) : array(value, value.natural()) {}

array::array(Scalar value, Dtype type) {
  value.check_fits(type, "array");
  auto buffer = allocate(size_of(type));
  value.write(type, buffer->data);
  *this = from_buffer(std::move(buffer), {}, type);
}

array::array(const void* data, Shape shape, Dtype data_type, Dtype type) {
  check_shape(shape, data_type, "array");
  check_shape(shape, type, "array");
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
  if (!any) {
    NumbersType numbers;
    for (auto* o : operands) numbers.add(o->scalar());
    return numbers.type();
  }
  for (auto* o : operands)
    if (!o->is_array()) type = o->scalar().beside(type);
  return type;
}

}  // namespace lazulite
