#include "eval/plan/known.h"

#include <algorithm>
#include <array>
#include <unordered_map>

#include "eval/device_kernels.h"
#include "eval/plan/planner.h"

namespace lazulite {

namespace {

// What is kept at most; the plan that was used longest ago goes first.
constexpr size_t most_plans = 128, most_words = 1 << 18, most_nodes = 4096;

// ---- the form of a graph

class Writer {
 public:
  Writer(uint64_t planning, Form& form) : planning_(planning), form_(form) {}

  bool write(const std::vector<Node*>& order, const array* roots, size_t count) {
    for (size_t i = 0; i < order.size(); ++i) order[i]->depth = int32_t(i);
    for (Node* node : order)
      if (!write(*node)) return false;
    for (size_t i = 0; i < count; ++i) {
      const Node& root = *roots[i].node();
      word(root.mark == planning_ ? uint64_t(root.depth) + 1 : 0);
    }
    write_held(order);
    if (updates_) write_shared();
    return true;
  }

 private:
  enum Tag : uint64_t { made_here, number, array_of };

  void word(uint64_t w) { form_.words.push_back(w); }

  bool write(const Node& node) {
    if (node.pins.load(std::memory_order_relaxed)) return false;
    word(reinterpret_cast<uint64_t>(node.op));
    word(uint64_t(node.stream.id) << 32 | node.inputs.size() << 8 | node.out.size() << 1 |
         bool(node.attributes));
    if (const Attrs* attributes = node.attributes.get()) {
      if (!attributes->plain()) return false;
      form_.attributes.push_back(attributes);
      word(attributes->hash());
    }
    bool constants = !node.inputs.empty();
    for (const array& input : node.inputs) {  // results follow from them
      if (!write(input, node)) return false;
      constants &= is_immediate(input, node);
    }
    if (constants) write(node.out[0].spec.shape);  // but for how many there are of one number
    updates_ |= node.op->update;
    return true;
  }

  void write(const Shape& shape) {
    word(shape.size());
    for (int64_t n : shape) word(uint64_t(n));
  }

  bool write(const array& input, const Node& consumer) {
    Node& from = *input.node();
    if (from.mark == planning_) {
      ++from.uses;
      word(uint64_t(from.depth) << 34 | uint64_t(input.index()) << 2 | made_here);
      return true;
    }
    if (is_immediate(input, consumer)) {
      std::array<uint64_t, 3> bits{uint64_t(input.dtype()) << 2 | number, 0, 0};
      constant_value(input).write(input.dtype(), &bits[1]);
      for (uint64_t w : bits) word(w);
      return true;
    }
    if (from.state.load(std::memory_order_acquire) != State::ready) return false;
    const bool first = from.mark != planning_ + 1;
    if (first) {
      from.mark = planning_ + 1;
      from.unit = int32_t(arrays_.size());
      arrays_.push_back(&from);
    }
    word(uint64_t(from.unit) << 34 | uint64_t(input.index()) << 2 | array_of);
    if (first || from.out.size() > 1) {
      const Slot& slot = input.slot();
      word(uint64_t(slot.spec.type));
      write(slot.spec.shape);
      for (int64_t stride : slot.storage.strides) word(uint64_t(stride));
    }
    return true;
  }

  // Who is held by others than this graph, is stored.
  void write_held(const std::vector<Node*>& order) {
    for (size_t i = 0; i < order.size(); i += 64) {
      uint64_t bits = 0;
      for (size_t k = i; k < std::min(order.size(), i + 64); ++k)
        bits |= uint64_t(order[k]->refs.load(std::memory_order_relaxed) > order[k]->uses)
                << (k - i);
      word(bits);
    }
  }

  // Which arrays share memory: their readers go before who writes there.
  void write_shared() {
    std::unordered_map<const Buffer*, uint64_t> known;
    for (const Node* node : arrays_)
      for (const Slot& slot : node->out)
        word(known.emplace(slot.storage.buffer.get(), known.size()).first->second);
  }

  const uint64_t planning_;
  Form& form_;
  SmallVector<const Node*, 16> arrays_;  // that it reads, by number
  bool updates_ = false;
};

uint64_t hash_of(const std::vector<uint64_t>& words) {
  uint64_t a = words.size(), b = 7;
  size_t i = 0;
  for (; i + 2 <= words.size(); i += 2) {  // two chains side by side
    a = (a ^ words[i]) * 0x9e3779b97f4a7c15ull;
    b = (b ^ words[i + 1]) * 0xc2b2ae3d27d4eb4full;
    a ^= a >> 29;
    b ^= b >> 31;
  }
  if (i < words.size()) a = (a ^ words[i]) * 0x9e3779b97f4a7c15ull;
  return (a ^ (b >> 32 | b << 32)) * 0x9e3779b97f4a7c15ull;
}

// ---- what is kept

struct Kept {
  std::vector<uint64_t> hashes, used;  // of each plan, and when
  std::vector<std::shared_ptr<const KnownPlan>> plans;
  std::array<uint64_t, 1024> met{};    // hashes, where their last bits say
  uint64_t clock = 0, found = 0;
  size_t words = 0;

  void drop_oldest() {
    const size_t k = size_t(std::min_element(used.begin(), used.end()) - used.begin());
    words -= plans[k]->words();
    hashes[k] = hashes.back();
    used[k] = used.back();
    plans[k] = std::move(plans.back());
    hashes.pop_back();
    used.pop_back();
    plans.pop_back();
  }
};
Kept& kept() {
  static auto* all = new Kept;
  return *all;
}

}  // namespace

bool describe_form(const std::vector<Node*>& order, const array* roots, size_t count,
                   uint64_t planning, Form& form) {
  if (order.size() > most_nodes) return false;
  form.words.clear();
  form.attributes.clear();
  const bool written = Writer(planning, form).write(order, roots, count);
  for (Node* node : order) node->uses = 0;
  if (written) form.hash = hash_of(form.words);
  return written && form.words.size() <= most_words;
}

std::shared_ptr<const KnownPlan> find_known(const Form& form) {
  Kept& all = kept();
  for (size_t k = 0; k < all.hashes.size(); ++k)
    if (all.hashes[k] == form.hash && all.plans[k]->has(form)) {
      all.used[k] = ++all.clock;
      ++all.found;
      return all.plans[k];
    }
  return {};
}

KnownCount count_known() {
  std::lock_guard lock(plan_mutex());
  return {kept().plans.size(), kept().found};
}

void forget_plans() {
  decltype(Kept::plans) dropped;  // they die without the lock
  std::lock_guard lock(plan_mutex());
  Kept& all = kept();
  dropped.swap(all.plans);
  all.hashes.clear();
  all.used.clear();
  all.met.fill(0);
  all.words = 0;
}

bool met_before(const Form& form) {
  uint64_t& met = kept().met[form.hash % kept().met.size()];
  return std::exchange(met, form.hash) == form.hash;
}

void keep_known(const Form& form, const std::vector<Node*>& order, const Plan& plan) {
  Kept& all = kept();
  auto known = std::make_shared<const KnownPlan>(form, order, plan);
  while (!all.plans.empty() &&
         (all.plans.size() >= most_plans || all.words + known->words() > most_words))
    all.drop_oldest();
  all.words += known->words();
  all.hashes.push_back(form.hash);
  all.used.push_back(++all.clock);
  all.plans.push_back(std::move(known));
}

// ---- a known plan

KnownPlan::KnownPlan(const Form& form, const std::vector<Node*>& order, const Plan& plan)
    : words_(form.words), elements_(plan.elements) {
  for (const Attrs* attributes : form.attributes) attributes_.emplace_back(attributes);
  for (size_t i = 0; i < order.size(); ++i) order[i]->uses = int32_t(i);
  for (const Unit& unit : plan.units) {
    KnownUnit& known = units_.emplace_back();
    known.unit = unit;
    for (auto& member : known.unit.members) {
      known.at.push_back(member.node->uses);
      member.node = nullptr;
    }
  }
}

bool KnownPlan::has(const Form& form) const {
  if (words_ != form.words) return false;
  for (size_t i = 0; i < attributes_.size(); ++i)
    if (attributes_[i].get() != form.attributes[i] && !attributes_[i]->equal(*form.attributes[i]))
      return false;
  return true;
}

void KnownPlan::plan(const std::vector<Node*>& order, Plan& plan) const {
  plan.elements = elements_;
  plan.units.reserve(units_.size());
  for (const KnownUnit& known : units_) {
    Unit& unit = plan.units.emplace_back(known.unit);
    if (unit.fused) unit.known = &known;
    for (size_t m = 0; m < unit.members.size(); ++m) {
      Node* node = order[size_t(known.at[m])];
      unit.members[m].node = node;
      node->unit = int32_t(plan.units.size()) - 1;
      node->depth = int32_t(m);
    }
  }
}

// ---- programs

namespace {

KnownUnit::Reads reads_of(const Unit& unit, const Sources& sources) {
  KnownUnit::Reads out;
  for (const Source& source : sources)
    for (uint32_t m = 0; m < unit.members.size(); ++m) {
      const Arrays& inputs = unit.members[m].node->inputs;
      if (source.value < inputs.begin() || source.value >= inputs.end()) continue;
      out.push_back({m, uint32_t(source.value - inputs.begin()), source.reg, source.reads,
                     source.constant});
    }
  return out;
}

bool find_sources(const Unit& unit, const KnownUnit::Reads& reads, const BlockProgram& program,
                  const Node* made, Sources& sources) {
  size_t load = 0;
  for (const KnownUnit::Read& read : reads) {
    const array& value = unit.members[read.member].node->inputs[read.input];
    sources.push_back({&value, read.reg, read.reads, read.constant});
    if (read.constant) continue;
    const Port& port = program.load[load++];
    if (value.node().get() != made && !(value.slot().storage.strides == port.strides))
      return false;
  }
  return true;
}

}  // namespace

bool known_sources(const Unit& unit, const KnownUnit::Built& built, Sources& before,
                   Sources& behind) {
  const GroupProgram& program = built.program;
  if (!find_sources(unit, built.before, program.before.code, nullptr, before)) return false;
  return !program.behind || find_sources(unit, built.behind, program.behind->code,
                                         unit.members[unit.before()].node, behind);
}

void note_sources(const Unit& unit, const Sources& before, const Sources& behind,
                  KnownUnit::Built& built) {
  built.before = reads_of(unit, before);
  built.behind = reads_of(unit, behind);
}

}  // namespace lazulite
