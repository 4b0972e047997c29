#include "device/cpu/expressions.h"

#include <algorithm>
#include <atomic>
#include <cstring>

namespace lazulite::cpu {

namespace {

std::atomic<int64_t> least_elements{1024};  // from which looking pays
constexpr int fewest_ops = 3;  // of an expression: pairs of ops have kernels of their own
constexpr int most_ops = 256;             // its steps stay in the first-level cache
constexpr size_t most_arrays = Micro::most_arrays;  // and so do the blocks that it reads
constexpr size_t most_open = 8;  // values that a tree reads and others may read too

class Joiner {
 public:
  explicit Joiner(const BlockProgram& p)
      : program_(p), values_(size_t(p.registers)), trees_(p.code.size()) {}

  std::unique_ptr<const Joined> join() {
    describe();
    bool any = false;
    for (size_t i = 0; i < program_.code.size(); ++i) any |= grow(i);
    if (!any) return nullptr;
    auto out = std::make_unique<Joined>();
    out->program = program_;
    out->program.code.clear();
    for (size_t i = 0; i < program_.code.size(); ++i) {
      if (trees_[i].inside) continue;
      if (trees_[i].joins) write(i, *out);
      else out->program.code.push_back(program_.code[i]);
    }
    return out;
  }

 private:
  struct Value {
    const Immediate* number = nullptr;
    int32_t maker = -1;
    int32_t uses = 0;
    bool array = false;    // elements one after the other, when the expression runs
    bool uniform = false;  // one number throughout
    int8_t held = 0;       // the accumulator that keeps it
  };
  // A value that a tree reads, of those that others may read too.
  struct Open {
    uint32_t reg;
    int32_t reads;
  };
  struct Tree {             // an instruction with those that it takes in
    bool linked = false;    // it can be part of an expression
    bool inside = false;    // of another one
    int joins = 0;          // how many others it takes in
    int inner = 1;          // accumulators, but for those of what it holds
    int need = 1;           // accumulators
    int ops = 1;
    SmallVector<uint32_t, 4> arrays;  // that it reads, each once
    SmallVector<Open, 2> open;
    SmallVector<uint32_t, 1> held;  // what is made before all else and read often, in order
  };

  void describe() {
    for (auto& port : program_.load) {
      bool repeats = false, all = true;
      for (size_t a = 0; a < port.strides.size(); ++a) {
        if (program_.domain[a] == 1) continue;
        repeats = port.strides[a] == 0;  // in the end: along the last axis
        all &= repeats;
      }
      values_[port.reg].uniform = all;
      values_[port.reg].array = !repeats;
    }
    for (auto& number : program_.constants) {
      values_[number.reg].number = &number;
      values_[number.reg].uniform = true;
    }
    for (size_t i = 0; i < program_.code.size(); ++i) {
      const Instr& instr = program_.code[i];
      Value& out = values_[instr.out];
      out.maker = int32_t(i);
      out.uniform = true;
      for (const uint32_t in : instr.in) {
        ++values_[in].uses;
        out.uniform &= values_[in].uniform;
      }
      out.array = !out.uniform;
    }
    for (auto& port : program_.store) values_[port.reg].uses += 2;
  }

  // The tree that makes an operand, if it can be part of this expression.
  Tree* maker_of(uint32_t reg, const Instr& user) {
    const Value& value = values_[reg];
    if (value.maker < 0 || !trees_[size_t(value.maker)].linked ||
        program_.code[size_t(value.maker)].link.expression != user.link.expression)
      return nullptr;
    return &trees_[size_t(value.maker)];
  }
  // The tree of an operand becomes a part; false: it would be too much.
  static bool add(Tree& tree, uint32_t reg, Tree& other) {
    auto arrays = tree.arrays;
    arrays.erase(std::find(arrays.begin(), arrays.end(), reg));
    for (const uint32_t array : other.arrays) include(arrays, array);
    if (tree.ops + other.ops > most_ops || arrays.size() > most_arrays) return false;
    tree.arrays = arrays;
    other.inside = true;
    tree.ops += other.ops;
    ++tree.joins;
    return true;
  }
  static void include(SmallVector<uint32_t, 4>& arrays, uint32_t reg) {
    if (std::find(arrays.begin(), arrays.end(), reg) == arrays.end()) arrays.push_back(reg);
  }
  static int both(int a, int b) { return a == b ? a + 1 : std::max(a, b); }
  static void read(Tree& tree, uint32_t reg, int32_t reads) {
    for (Open& open : tree.open)
      if (open.reg == reg) return void(open.reads += reads);
    if (tree.open.size() < most_open) tree.open.push_back({reg, reads});
  }

  // Takes in what it can; true where that is something.
  bool grow(size_t i) {
    const Instr& instr = program_.code[i];
    Tree& tree = trees_[i];
    if (!instr.link.inner || values_[instr.out].uniform) return false;
    for (const uint32_t in : instr.in)
      if (!values_[in].number && !values_[in].array) return false;
    if (values_[instr.in[0]].number && values_[instr.in[1]].number) return false;
    tree.linked = true;
    tree.ops = 1 + (instr.link.outer != 0);
    opcodes_.of[instr.link.inner] = instr.link.opcodes[0];
    if (instr.link.outer) opcodes_.of[instr.link.outer] = instr.link.opcodes[1];
    for (const uint32_t in : instr.in)
      if (values_[in].array) include(tree.arrays, in);
    take_operands(instr, tree);
    for (const uint32_t in : instr.in) {
      const Tree* other = maker_of(in, instr);
      if (!other) continue;
      if (values_[in].uses > 1) read(tree, in, 1);
      else if (other->inside)
        for (const Open& open : other->open) read(tree, open.reg, open.reads);
    }
    hold(instr, tree);
    return tree.joins;
  }

  // Operands that nobody else reads, as far as accumulators reach.
  void take_operands(const Instr& instr, Tree& tree) {
    // How many accumulators both need then; the operand needs none where it stays in memory.
    auto take = [&](int need, size_t k) {
      const uint32_t reg = instr.in[k];
      Tree* other = maker_of(reg, instr);
      if (!other || values_[reg].uses > 1 || both(need, other->need) > Micro::accumulators ||
          !add(tree, reg, *other))
        return need;
      return both(need, other->need);
    };
    tree.inner = std::max(take(take(0, 0), 1), 1);
    if (instr.link.outer) tree.inner = take(tree.inner, 2);
    tree.need = tree.inner;
  }

  // Values that are read more than once, but here alone, are made first and kept in accumulators.
  void hold(const Instr& instr, Tree& tree) {
    for (size_t k = 0; k < tree.open.size();) {
      const auto [reg, reads] = tree.open[k];
      if (reads != values_[reg].uses) {
        ++k;
        continue;
      }
      tree.open[k] = tree.open.back();
      tree.open.pop_back();
      k = 0;
      Tree& value = *maker_of(reg, instr);
      auto held = tree.held;
      held.push_back(reg);
      std::sort(held.begin(), held.end(), [&](uint32_t a, uint32_t b) {
        return values_[a].maker < values_[b].maker;
      });
      int need = int(held.size()) + tree.inner;
      for (size_t n = 0; n < held.size(); ++n)
        need = std::max(need, int(n) + trees_[size_t(values_[held[n]].maker)].need);
      if (need > Micro::accumulators || !add(tree, reg, value)) continue;
      tree.held = held;
      tree.need = need;
      for (const Open& open : value.open) read(tree, open.reg, open.reads);
    }
  }

  // ---- writing

  // Where an operand is when the step runs: an accumulator, or nothing that needs one; `tree`: to
  // be made by an instruction, `inner`: by the first op of two.
  struct Operand {
    enum Kind : uint8_t { memory, held, tree, inner } kind;
    uint32_t reg;
  };
  Operand operand(uint32_t reg) const {
    const Value& value = values_[reg];
    if (value.maker < 0 || !trees_[size_t(value.maker)].inside) return {Operand::memory, reg};
    return {value.uses == 1 ? Operand::tree : Operand::held, reg};
  }

  void write(size_t i, Joined& out) {
    const Instr& root = program_.code[i];
    Instr instr = root;
    instr.link = {};
    instr.in.clear();
    instr.run = root.link.expression;
    micro_.assign(1, {});
    arrays_ = &instr.in;
    emit(i, 0, 0);
    micro_.push_back({});
    micro_[0].arrays[0] = uint16_t(instr.in.size());
    auto code = std::make_unique<Micro[]>(micro_.size());
    std::copy(micro_.begin(), micro_.end(), code.get());
    if (auto compiled = machine_code(micro_.data(), micro_.size() - 1, root.link.type, opcodes_,
                                     program_.runs * double(size_of(program_.domain)) *
                                         double(micro_.size()))) {
      const auto run = compiled->run();
      std::memcpy(code[0].value, &run, sizeof run);
      out.machine_code.push_back(std::move(compiled));
    }
    instr.code = code.get();
    out.code.push_back(std::move(code));
    out.program.code.push_back(std::move(instr));
  }

  // Accumulator `to` becomes what the instruction makes; those from `free` on may be used.
  void emit(size_t i, int to, int free) {
    const Instr& instr = program_.code[i];
    const Link& link = instr.link;
    for (const uint32_t reg : trees_[i].held) {
      emit(size_t(values_[reg].maker), free, free);
      values_[reg].held = int8_t(free++);
    }
    const Operand a = operand(instr.in[0]), b = operand(instr.in[1]);
    if (!link.outer) return emit(link.inner, a, b, i, to, free);
    const Operand both{Operand::inner, 0}, c = operand(instr.in[2]);
    if (link.at == 0) emit(link.outer, both, c, i, to, free);
    else emit(link.outer, c, both, i, to, free);
  }
  void emit(const Operand& o, size_t i, int to) {
    if (o.kind == Operand::tree) return emit(size_t(values_[o.reg].maker), to, to);
    const Instr& instr = program_.code[i];
    emit(instr.link.inner, operand(instr.in[0]), operand(instr.in[1]), i, to, to);
  }
  int need(const Operand& o, size_t i) const {
    if (o.kind == Operand::tree) return trees_[size_t(values_[o.reg].maker)].need;
    if (o.kind != Operand::inner) return 0;
    const Instr& instr = program_.code[i];
    return both(need(operand(instr.in[0]), i), need(operand(instr.in[1]), i));
  }
  // i: the instruction, for its inner op.
  void emit(int op, const Operand& a, const Operand& b, size_t i, int to, int free) {
    const int of_a = need(a, i), of_b = need(b, i), other = free + (of_a && of_b);
    int at_a = free, at_b = free;
    // What needs more goes first.
    if (of_a && of_a >= of_b) {
      emit(a, i, free);
      if (of_b) emit(b, i, at_b = other);
    } else if (of_b) {
      emit(b, i, free);
      if (of_a) emit(a, i, at_a = other);
    }
    Micro micro;
    const int first = place(a, at_a, micro, 0), second = place(b, at_b, micro, 1);
    micro.code = uint16_t(Micro::does(op, first, second, to));
    micro_.push_back(micro);
  }
  // How a step reads an operand that is in accumulator `at` if it was made.
  int place(const Operand& o, int at, Micro& micro, int k) {
    if (o.kind == Operand::tree || o.kind == Operand::inner) return at;
    const Value& value = values_[o.reg];
    if (o.kind == Operand::held) return value.held;
    if (value.number) {
      value.number->number.write(value.number->type, micro.value);
      return Micro::number;
    }
    const auto found = std::find(arrays_->begin(), arrays_->end(), o.reg);
    micro.arrays[k] = uint16_t(found - arrays_->begin());
    if (found == arrays_->end()) arrays_->push_back(o.reg);
    return Micro::array;
  }

  const BlockProgram& program_;
  std::vector<Value> values_;
  std::vector<Tree> trees_;
  std::vector<Micro> micro_;
  Opcodes opcodes_;
  SmallVector<uint32_t, 3>* arrays_ = nullptr;
};

}  // namespace

bool joins_expressions(int64_t elements) {
  return elements >= least_elements.load(std::memory_order_relaxed);
}
int64_t set_least_joined(int64_t elements) { return least_elements.exchange(elements); }

std::unique_ptr<const Joined> join_expressions(const BlockProgram& program) {
  if (program.code.size() < 2 || !joins_expressions(size_of(program.domain))) return nullptr;
  int ops = 0;
  for (const Instr& instr : program.code)
    ops += (instr.link.inner != 0) + (instr.link.outer != 0);
  return ops < fewest_ops ? nullptr : Joiner(program).join();
}

}  // namespace lazulite::cpu
