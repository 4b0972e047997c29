#include "device/cpu/expressions.h"

#include <algorithm>
#include <atomic>

namespace lazulite::cpu {

namespace {

std::atomic<int64_t> least_elements{1024};  // from which looking pays
constexpr int fewest_ops = 3;  // of an expression: pairs of ops have kernels of their own
constexpr int most_ops = 256;             // its steps stay in the first-level cache
constexpr size_t most_arrays = 16;        // and so do the blocks that it reads

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
  };
  struct Tree {             // an instruction with those that it takes in
    bool linked = false;    // it can be part of an expression
    bool inside = false;    // of another one
    int joins = 0;          // how many others it takes in
    int need = 1;           // accumulators
    int ops = 1;
    size_t arrays = 0;
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

  // The expression that an operand may be: what makes it, for this instruction alone.
  int32_t inner_of(uint32_t reg) const {
    const Value& value = values_[reg];
    if (value.maker < 0 || value.uses != 1 || !trees_[size_t(value.maker)].linked) return -1;
    return trees_[size_t(value.maker)].inside ? value.maker : -1;
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
    for (const uint32_t in : instr.in) tree.arrays += values_[in].array;
    auto take = [&](int k) {  // how many accumulators the operand needs: 0, memory or a number
      const Value& value = values_[instr.in[size_t(k)]];
      if (value.maker < 0 || value.uses != 1) return 0;
      Tree& other = trees_[size_t(value.maker)];
      if (!other.linked || tree.ops + other.ops > most_ops ||
          tree.arrays + other.arrays > most_arrays ||
          program_.code[size_t(value.maker)].link.expression != instr.link.expression)
        return 0;
      other.inside = true;
      tree.ops += other.ops;
      tree.arrays += other.arrays - 1;
      ++tree.joins;
      return other.need;
    };
    auto leave = [&](int k) {
      Tree& other = trees_[size_t(values_[instr.in[size_t(k)]].maker)];
      other.inside = false;
      --tree.joins;
      tree.ops -= other.ops;
      tree.arrays -= other.arrays - 1;
    };
    auto both = [](int a, int b) { return a == b ? std::max(a, 0) + 1 : std::max(a, b); };
    int a = take(0), b = take(1);
    if (both(a, b) > Micro::accumulators) leave(1), b = 0;
    tree.need = both(a, b);
    if (!instr.link.outer) return tree.joins;
    const int c = take(2);
    if (both(tree.need, c) > Micro::accumulators) leave(2);
    else tree.need = c ? both(tree.need, c) : tree.need;
    return tree.joins;
  }

  // ---- writing

  struct Operand {
    enum Kind : uint8_t { number, array, tree, inner } kind;
    uint32_t reg;
  };
  Operand operand(uint32_t reg) const {
    if (values_[reg].number) return {Operand::number, reg};
    return {inner_of(reg) >= 0 ? Operand::tree : Operand::array, reg};
  }

  void write(size_t i, Joined& out) {
    const Instr& root = program_.code[i];
    Instr instr = root;
    instr.link = {};
    instr.in.clear();
    instr.run = root.link.expression;
    micro_.clear();
    arrays_ = &instr.in;
    emit(i, 0);
    micro_.push_back({Micro::stop});
    auto code = std::make_unique<Micro[]>(micro_.size());
    std::copy(micro_.begin(), micro_.end(), code.get());
    instr.code = code.get();
    out.code.push_back(std::move(code));
    out.program.code.push_back(std::move(instr));
  }

  void emit(size_t i, int d) {
    const Instr& instr = program_.code[i];
    const Link& link = instr.link;
    const Operand a = operand(instr.in[0]), b = operand(instr.in[1]);
    if (!link.outer) return emit(link.inner, a, b, i, d);
    const Operand both{Operand::inner, 0}, c = operand(instr.in[2]);
    if (link.at == 0) emit(link.outer, both, c, i, d);
    else emit(link.outer, c, both, i, d);
  }
  void emit(const Operand& o, size_t i, int d) {
    if (o.kind == Operand::tree) return emit(size_t(values_[o.reg].maker), d);
    if (o.kind == Operand::array) return step(Micro::load(d), o);
    const Instr& instr = program_.code[i];
    emit(instr.link.inner, operand(instr.in[0]), operand(instr.in[1]), i, d);
  }
  int need(const Operand& o, size_t i) const {
    if (o.kind == Operand::tree) return trees_[size_t(values_[o.reg].maker)].need;
    if (o.kind != Operand::inner) return 0;
    const Instr& instr = program_.code[i];
    const int a = need(operand(instr.in[0]), i), b = need(operand(instr.in[1]), i);
    return a == b ? a + 1 : std::max(a, b);
  }
  // Accumulator d becomes op(a, b); i: the instruction, for its inner op.
  void emit(int op, const Operand& a, const Operand& b, size_t i, int d) {
    const int of_a = need(a, i), of_b = need(b, i);
    if (of_a && of_b) {
      const bool first = of_a >= of_b;  // what needs more goes first
      emit(first ? a : b, i, d);
      emit(first ? b : a, i, d + 1);
      return step(Micro::does(op, first ? Micro::with_next : Micro::of_next, d), a);
    }
    const bool left = of_b == 0 && (of_a > 0 || a.kind == Operand::array);  // a is in registers
    emit(left ? a : b, i, d);
    const Operand& other = left ? b : a;
    const bool number = other.kind == Operand::number;
    step(Micro::does(op, left ? (number ? Micro::with_number : Micro::with_array)
                              : (number ? Micro::of_number : Micro::of_array), d), other);
  }
  void step(int code, const Operand& o) {
    Micro micro{uint16_t(code)};
    if (o.kind == Operand::number) values_[o.reg].number->number.write(
        values_[o.reg].number->type, micro.number);
    if (o.kind == Operand::array) {
      const auto at = std::find(arrays_->begin(), arrays_->end(), o.reg);
      micro.operand = uint16_t(at - arrays_->begin());
      if (at == arrays_->end()) arrays_->push_back(o.reg);
    }
    micro_.push_back(micro);
  }

  const BlockProgram& program_;
  std::vector<Value> values_;
  std::vector<Tree> trees_;
  std::vector<Micro> micro_;
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
