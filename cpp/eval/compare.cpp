#include "eval/compare.h"

#include <cmath>
#include <cstring>
#include <iomanip>
#include <map>

#include "device/cpu/features.h"
#include "eval/execute.h"
#include "eval/device_kernels.h"
#include "graph/origin.h"

namespace lazulite {

std::atomic<bool> comparing{false};

void debug_compare(bool on) {
  static std::atomic<int> depth{0};
  note_origins(on);
  comparing.store(depth.fetch_add(on ? 1 : -1) + (on ? 1 : -1) > 0);
}

namespace {

using Values = SmallVector<Storage, 1>;

LAZULITE_THREAD_LOCAL const Unit* outermost =
    nullptr;  // that this thread compares: others run inside its kernel
LAZULITE_THREAD_LOCAL bool open_bodies =
    false;  // loops run op by op, and what they run is compared
struct OpenBodies {
  OpenBodies() { open_bodies = true; }
  ~OpenBodies() { open_bodies = before; }
  OpenBodies(const OpenBodies&) = delete;
  const bool before = open_bodies;
};

std::string line_of(const Node& node) {
  const std::string line =
      origin_of(outermost && outermost->members.size() == 1 ? outermost->members[0].node : &node);
  return line.empty() ? " before debug_compare began" : line;
}

Storage dense_copy(const Spec& spec, const Storage& from) {
  const int64_t n = size_of(spec.shape);
  Storage out{allocate(n * size_of(spec.type)), 0, dense_strides(spec.shape)};
  if (n) copy_dense(bound(spec, from), out);
  return out;
}
// In the same layout, where that does not take much more than the values.
Storage copy_of(const Spec& spec, const Storage& from) {
  const int64_t bytes = size_of(spec.shape) * size_of(spec.type);
  if (!from.buffer || bytes == 0) return from;
  tidy(spec, from);
  if (from.buffer->foreign || from.buffer->bytes > 2 * bytes) return dense_copy(spec, from);
  Storage out{allocate(from.buffer->bytes), from.offset, from.strides};
  std::memcpy(out.buffer->data, from.buffer->data, size_t(from.buffer->bytes));
  return out;
}

// ---- differences

struct Difference {
  int64_t at = -1;  // in row-major order; -1: none
  Scalar got{0}, expected{0};
};

double unit_in_last_place(Dtype type) {  // of 1
  switch (type) {
    case Dtype::float16: return 0x1p-10;
    case Dtype::bfloat16: return 0x1p-7;
    case Dtype::float32: case Dtype::complex64: return 0x1p-23;
    default: return 0x1p-52;
  }
}

bool same_number(double a, double b) {
  return (std::isnan(a) && std::isnan(b)) || (a == b && std::signbit(a) == std::signbit(b));
}

// `sizes`: what the op gives for absolute values; null: the bits are the same, but for nans.
Difference first_difference(const Spec& spec, const Storage& got, const Storage& expected,
                            const Storage* sizes, double ulp) {
  const int64_t n = size_of(spec.shape), width = size_of(spec.type);
  if (n == 0) return {};
  const Storage a = dense_copy(spec, got), b = dense_copy(spec, expected);
  const char *x = static_cast<const char*>(a.buffer->data),
             *y = static_cast<const char*>(b.buffer->data);
  if (std::memcmp(x, y, size_t(n * width)) == 0) return {};
  const Storage bounds = sizes ? dense_copy(spec, *sizes) : Storage{};
  for (int64_t i = 0; i < n; ++i) {
    if (std::memcmp(x + i * width, y + i * width, size_t(width)) == 0) continue;
    const Scalar v = Scalar::read(spec.type, x + i * width),
                 w = Scalar::read(spec.type, y + i * width);
    if (is_inexact(spec.type)) {
      const auto p = v.complex(), q = w.complex();
      if (same_number(p.real(), q.real()) && same_number(p.imag(), q.imag())) continue;
      if (sizes) {
        const auto size =
            Scalar::read(spec.type, static_cast<const char*>(bounds.buffer->data) + i * width)
                .complex();
        const double bound = ulp * unit_in_last_place(compute_type(spec.type)) *
                                 (std::abs(size.real()) + std::abs(size.imag())) +
                             unit_in_last_place(spec.type) * std::abs(q);
        if (std::abs(p - q) <= bound || !std::isfinite(bound)) continue;
      }
    }
    return {i, v, w};
  }
  return {};
}

Storage absolute(const Spec& spec, const Storage& from) {
  Storage out = dense_copy(spec, from);
  const int64_t n = size_of(spec.shape);
  for (int64_t i = 0; i < n; ++i) {
    char* at = static_cast<char*>(out.buffer->data) + i * size_of(spec.type);
    Scalar(std::abs(Scalar::read(spec.type, at).complex())).write(spec.type, at);
  }
  return out;
}

std::string place(const Spec& spec, int64_t at) {
  Shape index = spec.shape;
  for (size_t i = index.size(); i-- > 0; at /= spec.shape[i]) index[i] = at % spec.shape[i];
  std::ostringstream out;
  out << index;
  return out.str();
}

// With as many digits as tell neighbours apart.
std::string number(const Scalar& v, Dtype type) {
  std::ostringstream out;
  if (is_floating(type)) out << std::setprecision(type == Dtype::float64 ? 17 : 9) << v.real();
  else out << v;
  return out.str();
}

// ---- one op alone

Values run_alone(const Node& node, const Values& in) {
  Values out;
  out.resize(node.out.size());
  if (node.op->kind != OpKind::elementwise) {
    Values held = in;
    bool spoilt = false;
    StepMemory memory(spoilt);
    for (size_t i = 0; i < in.size(); ++i)
      memory.in.push_back({&node.inputs[i].slot().spec, &held[i]});
    for (const Slot& slot : node.out) memory.out.emplace_back(&slot.spec);
    run_single(node, memory);
    for (size_t i = 0; i < out.size(); ++i) out[i] = std::move(memory.out[i].storage);
    return out;
  }
  const Spec& spec = node.out[0].spec;
  make_storage(spec, out[0]);
  BlockProgram program;
  program.domain = spec.shape;
  SmallVector<Binding, 4> bindings;
  const uint32_t result = uint32_t(in.size());
  Instr instr{.run = block_kernel(node),
              .out = result,
              .in = SmallVector<uint32_t, 3>(in.size(), 0)};
  for (size_t i = 0; i < in.size(); ++i) {
    const array& input = node.inputs[i];
    const Dtype type = input.dtype();
    program.width = std::max(program.width, int(size_of(type)));
    instr.in[i] = uint32_t(i);
    if (is_constant(input)) {
      program.constants.push_back({uint32_t(i), type, constant_value(input)});
    } else {
      program.load.push_back({uint32_t(bindings.size()), type, uint32_t(i), in[i].strides});
      bindings.push_back({bound(input.slot().spec, in[i]).data});
    }
  }
  program.width = std::max(program.width, int(size_of(spec.type)));
  program.code.push_back(instr);
  program.registers = int(in.size()) + 1;
  program.store.push_back({uint32_t(bindings.size()), spec.type, uint32_t(program.registers - 1),
                           out[0].strides});
  bindings.push_back({out[0].buffer->data});
  program.cost = 0.3;
  if (size_of(spec.shape)) run_program(program, bindings.data());
  return out;
}

Values run_reference(const Node& node, const Values& in) {
  if (!node.op->evaluates) {
    const cpu::GenericLevel alone;
    return run_alone(node, in);
  }
  const OpenBodies open;
  return run_alone(node, in);
}

}  // namespace

bool runs_bodies_openly() { return open_bodies || debugging_nans.load(std::memory_order_relaxed); }

// ---- a unit

struct Compared::Kept {
  const Unit& unit;
  struct Input {
    const array* a;
    Storage values;
    bool shared;  // somebody else reads it too
  };
  std::vector<Input> inputs;
  const Storage& find(const array& a) const {
    for (const Input& input : inputs)
      if (input.a->same(a)) return input.values;
    fail(Kind::runtime, "debug_compare", "an input was not kept");
  }
};

void Compared::leave() { outermost = outer_; }

void Compared::keep(const Unit& unit) {
  if (cpu::at_generic_level) return;
  kept_ = std::make_shared<Kept>(Kept{unit, {}});
  std::map<const Node*, int64_t> uses;
  for (const auto& member : unit.members)
    for (const array& input : member.node->inputs) ++uses[input.node().get()];
  for (const auto& member : unit.members)
    for (const array& input : member.node->inputs) {
      const Slot& slot = input.slot();
      bool skip = (is_constant(input) && unit.fused) || !slot.storage.buffer;
      for (const auto& other : unit.members) skip |= other.node == input.node().get();
      for (const auto& known : kept_->inputs) skip |= known.a->same(input);
      if (skip) continue;
      const bool shared =
          !slot.storage.buffer->foreign && (input.node()->refs.load() > uses[input.node().get()] ||
                                            slot.storage.buffer->refs.load() > 1);
      kept_->inputs.push_back({&input, copy_of(slot.spec, slot.storage), shared});
    }
  outer_ = std::exchange(outermost, outermost ? outermost : &unit);
}

void Compared::compare() const {
  const Unit& unit = kept_->unit;
  std::map<const Node*, Values> expected;
  auto inputs_of = [&](const Node& node) {
    Values in;
    for (const array& input : node.inputs) {
      const auto made = expected.find(input.node().get());
      if (made != expected.end()) in.push_back(made->second[input.index()]);
      else if ((is_constant(input) && unit.fused) || !input.slot().storage.buffer)
        in.push_back(input.slot().storage);
      else in.push_back(kept_->find(input));
    }
    return in;
  };
  auto differs = [](const Node& node, const Values& got, const Values& wanted, const Values& in) {
    Values sizes;
    const double ulp = node.op->ulp ? node.op->ulp(node) : 0;
    if (node.op->ulp && is_inexact(node.out[0].spec.type)) {
      Values absolutes;
      for (size_t i = 0; i < in.size(); ++i)
        absolutes.push_back(absolute(node.inputs[i].slot().spec, in[i]));
      const cpu::GenericLevel alone;
      sizes = run_alone(node, absolutes);
    }
    std::pair<int, Difference> out{-1, {}};
    for (size_t i = 0; i < node.out.size() && out.first < 0; ++i) {
      out.second = first_difference(node.out[i].spec, got[i], wanted[i],
                                    sizes.empty() ? nullptr : &sizes[i], ulp);
      if (out.second.at >= 0) out.first = int(i);
    }
    return out;
  };
  auto report = [](const Node& node, const std::pair<int, Difference>& d, const char* how,
                   const char* than) {
    const Spec& spec = node.out[d.first].spec;
    fail(Kind::runtime, node.op->name, how, ": got ", number(d.second.got, spec.type), " at ",
         place(spec, d.second.at), " of ", spec.type, spec.shape, ", ", than, " ",
         number(d.second.expected, spec.type), "; recorded", line_of(node));
  };
  auto report_level = [&](const Node& node, const std::pair<int, Difference>& d) {
    report(node, d,
           (std::string("the ") + cpu::level_name() + " kernels differ from the generic ones")
               .c_str(),
           "generic");
  };
  for (const auto& input : kept_->inputs) {
    if (!input.shared) continue;
    const Slot& slot = input.a->slot();
    const Difference found = first_difference(slot.spec, slot.storage, input.values, nullptr, 0);
    if (found.at < 0) continue;
    const Node& node = *unit.members.back().node;
    fail(Kind::runtime, node.op->name, "wrote over an input that others read: got ",
         number(found.got, slot.spec.type), " at ", place(slot.spec, found.at), " of ",
         slot.spec.type, slot.spec.shape, ", before ", number(found.expected, slot.spec.type),
         "; recorded", line_of(node));
  }
  for (const auto& member : unit.members) {
    const Node& node = *member.node;
    const Values in = inputs_of(node);
    expected[&node] = run_reference(node, in);
    // What goes on from a result on which levels may differ, goes on from that of this level.
    if (!node.op->ulp || &member == &unit.members.back()) continue;
    Values here = run_alone(node, in);
    const auto found = differs(node, here, expected[&node], in);
    if (found.first >= 0) report_level(node, found);
    expected[&node] = std::move(here);
  }
  for (const auto& member : unit.members) {
    if (unit.fused && !member.stored) continue;
    Values got;
    for (const Slot& slot : member.node->out) got.push_back(slot.storage);
    const auto found = differs(*member.node, got, expected[member.node], inputs_of(*member.node));
    if (found.first < 0) continue;
    // Which op, and what made it: the level, or what the unit did besides.
    for (const auto& suspect : unit.members) {
      const Node& node = *suspect.node;
      if (node.op->evaluates) continue;
      const Values in = inputs_of(node);
      const auto alone = differs(node, run_alone(node, in), expected[&node], in);
      if (alone.first >= 0) report_level(node, alone);
      if (&suspect == &member) break;
    }
    const Node& node = *member.node;
    if (node.op->evaluates) report(node, found, "differs from its body run op by op", "op by op");
    if (unit.members.size() > 1)
      report(node, found, "in a fused group it differs from the ops one by one", "one by one");
    report(node, found, "in place or on several threads it differs from the op alone", "alone");
  }
}

}  // namespace lazulite
