// Fused groups become block programs: loads, constants, instructions, stores.
#include <algorithm>
#include <optional>
#include <unordered_map>

#include "device/cpu/expressions.h"
#include "eval/device_kernels.h"
#include "eval/plan.h"
#include "graph/origin.h"

namespace lazulite {

namespace {

class Builder {
 public:
  Builder(const Unit& unit, size_t from, size_t to, BlockProgram& program, Sources& sources)
      : unit_(unit), from_(int(from)), to_(to), program_(program), sources_(sources) {}

  void build() {
    program_.domain = unit_.members[size_t(from_)].node->out[0].spec.shape;
    program_.width = 1;
    home_.resize(to_);
    inner_.resize(to_, -1);
    for (size_t i = size_t(from_) + 1; i < to_; ++i) find_pair(int(i));
    for (size_t i = size_t(from_); i < to_; ++i)
      if (inner_[i] != within) add(int(i));
    for (size_t i = size_t(from_); i < to_; ++i)
      if (unit_.members[i].stored) store(i);
    if (unit_.forms() && to_ == unit_.before()) {
      store(size_t(unit_.members[to_].node->inputs[0].node()->depth));
      program_.store.back().formed = true;
    }
    program_.cost = 0.2 * double(program_.code.size()) + 0.1 * double(program_.load.size());
    for (size_t i = size_t(from_); i < to_; ++i)
      if (!unit_.members[i].node->op->light) program_.cost += 0.6;  // polynomials, divisions
  }

 private:
  void add(int i) {
    const Node& node = *unit_.members[size_t(i)].node;
    const Dtype type = node.out[0].spec.type;
    Instr instr;
    instr.same_width = true;
    instr.light = node.op->light;
    auto read = [&](const array& input, int by) {
      instr.same_width &= size_of(input.dtype()) == size_of(type);
      instr.in.push_back(reg_of(input, by));
    };
    if (const int inner = inner_[size_t(i)]; inner >= 0) {
      const Node& first = *unit_.members[size_t(inner)].node;
      const int at = node.inputs[0].node().get() == &first ? 0 : 1;
      for (const array& input : first.inputs) read(input, inner);
      read(node.inputs[size_t(1 - at)], i);
      instr.run = kernels_of(node).pair(*node.op, *first.op, at, type);
      instr.link = link(first, type);
      const Link outer = link(node, type);
      instr.link.outer = outer.inner;
      instr.link.opcodes[1] = outer.opcodes[0];
      instr.link.at = uint8_t(at);
      if (!outer.inner) instr.link = {};
    } else {
      for (const array& input : node.inputs) read(input, i);
      instr.run = block_kernel(node);
      instr.link = link(node, type);
    }
    instr.out = home_[size_t(i)] = next(type);
    program_.code.push_back(std::move(instr));
  }

  Link link(const Node& node, Dtype type) const {
    const OpKernels& kernels = kernels_of(node);
    return joins_ && kernels.link ? kernels.link(*node.op, type) : Link{};
  }

  void store(size_t i) {
    const Slot& slot = unit_.members[i].node->out[0];
    program_.store.push_back({uint32_t(program_.load.size() + program_.store.size()),
                              slot.spec.type, home_[i], dense_strides(slot.spec.shape)});
  }

  // A member that only member i reads, and that one kernel does together with it.
  void find_pair(int i) {
    const Node& node = *unit_.members[size_t(i)].node;
    const auto pair = kernels_of(node).pair;
    if (!pair) return;
    for (int at = 0; at < 2; ++at) {
      const Node* from = node.inputs[size_t(at)].node().get();
      const int inner = from->depth;
      if (inner < from_ || inner >= i || unit_.members[size_t(inner)].node != from ||
          !kernels_of(*from).pair || unit_.members[size_t(inner)].stored ||
          inner_[size_t(inner)] != -1 || from->refs.load() != 1 ||
          !pair(*node.op, *from->op, at, node.out[0].spec.type))
        continue;
      inner_[size_t(i)] = inner;
      inner_[size_t(inner)] = within;
      return;
    }
  }

  uint32_t next(Dtype type) {
    program_.width = std::max(program_.width, int(size_of(type)));
    return uint32_t(program_.registers++);
  }

  // What member i reads: an earlier member, or a source from outside.
  uint32_t reg_of(const array& input, int i) {
    const Node* from = input.node().get();
    const bool constant = from->op->kind == OpKind::constant;
    if (!constant && from->depth >= from_ && from->depth < i &&
        unit_.members[size_t(from->depth)].node == from)
      return home_[size_t(from->depth)];
    size_t at = find(input);
    if (at == sources_.size()) {
      sources_.push_back({&input, next(input.dtype()), 0, constant});
      if (by_array_) by_array_->emplace(Key{from, input.index()}, at);
      introduce(sources_.back());
    }
    ++sources_[at].reads;
    return sources_[at].reg;
  }
  void introduce(const Source& source) {
    const Slot& slot = source.value->slot();
    if (source.constant)
      program_.constants.push_back(
          {source.reg, slot.spec.type, constant_value(*source.value)});
    else
      program_.load.push_back({uint32_t(program_.load.size()), slot.spec.type, source.reg,
                               made_here(*source.value) ? dense_strides(slot.spec.shape)
                                                        : slot.storage.strides});
  }

  bool made_here(const array& value) const {  // by the kernel before the program
    return unit_.kernel >= 0 && value.node().get() == unit_.members[size_t(unit_.kernel)].node;
  }

  // A few sources are looked through, many are found by hash.
  size_t find(const array& input) {
    if (sources_.size() <= 16) {
      for (size_t k = 0; k < sources_.size(); ++k)
        if (sources_[k].value->same(input)) return k;
      return sources_.size();
    }
    if (!by_array_) {
      by_array_.emplace();
      for (size_t k = 0; k < sources_.size(); ++k)
        by_array_->emplace(Key{sources_[k].value->node().get(), sources_[k].value->index()}, k);
    }
    const auto found = by_array_->find({input.node().get(), input.index()});
    return found == by_array_->end() ? sources_.size() : found->second;
  }
  struct Key {
    const Node* node;
    uint32_t index;
    bool operator==(const Key&) const = default;
  };
  struct Hash {
    size_t operator()(const Key& key) const {
      return (reinterpret_cast<size_t>(key.node) >> 4) * 31 + key.index;
    }
  };

  const Unit& unit_;
  const int from_;
  const size_t to_;
  BlockProgram& program_;
  Sources& sources_;
  const bool joins_ =
      cpu::joins_expressions(size_of(unit_.members[size_t(from_)].node->out[0].spec.shape));
  SmallVector<uint32_t, 16> home_;  // the register of each member
  static constexpr int within = -2;
  SmallVector<int, 16> inner_;  // the member that it does together with itself; `within` another
  std::optional<std::unordered_map<Key, size_t, Hash>> by_array_;
};

}  // namespace

void build_program(const Unit& unit, size_t from, size_t to, BlockProgram& program,
                   Sources& sources) {
  Builder(unit, from, to, program, sources).build();
}

}  // namespace lazulite
