// Fused groups become block programs: registers, loads, constants, stores.
#include <algorithm>
#include <array>

#include "device/cpu/block.h"
#include "eval/plan.h"

namespace lazulite {

namespace {

struct Registers {
  SmallVector<uint8_t, 16> free;
  int next;
  explicit Registers(int first) : next(first) {}
  uint8_t take() {
    if (!free.empty()) {
      const uint8_t r = free.back();
      free.pop_back();
      return r;
    }
    return uint8_t(next++);
  }
};

struct Source {  // an operand from memory or a number
  const array* value;
  int reg;
};

}  // namespace

void build_program(const Unit& unit, BlockProgram& program, SmallVector<const array*, 8>& loaded) {
  program.domain = unit.domain;
  const int count = int(unit.members.size());
  SmallVector<Source, 16> loads, numbers;
  auto find = [](auto& list, const array& a) -> Source* {
    for (auto& s : list)
      if (s.value->same(a)) return &s;
    return nullptr;
  };
  auto member_of = [&](const Node* node, int before) {
    const int i = node->depth;
    return i >= 0 && i < before && unit.members[i].node == node ? i : -1;
  };
  // Operands: the index of a member, or -1 for memory and numbers.
  SmallVector<std::array<int, 3>, 16> operand;
  SmallVector<int, 16> last_use;
  last_use.resize(count, -1);
  for (int i = 0; i < count; ++i) {
    const Node& node = *unit.members[i].node;
    std::array<int, 3> from{-1, -1, -1};
    for (size_t k = 0; k < node.inputs.size(); ++k) {
      const array& input = node.inputs[k];
      if (input.node()->op->sort == Sort::constant) {
        if (!find(numbers, input)) numbers.push_back({&input, 0});
        continue;
      }
      from[k] = member_of(input.node().get(), i);
      if (from[k] >= 0) last_use[from[k]] = i;
      else if (!find(loads, input)) loads.push_back({&input, 0});
    }
    operand.push_back(from);
  }
  auto widen = [&](Dtype type) {
    program.width = std::max(program.width, int(size_of(compute_type(type))));
  };
  for (const auto& member : unit.members) widen(member.node->out[0].spec.type);
  for (auto& load : loads) widen(load.value->dtype());
  for (auto& number : numbers) widen(number.value->dtype());
  int reg = 0;
  for (auto& load : loads) {
    load.reg = reg++;
    const Slot& slot = load.value->slot();
    program.load.push_back(
        {uint16_t(program.load.size()), slot.spec.type, uint8_t(load.reg), slot.storage.strides});
    loaded.push_back(load.value);
  }
  for (auto& number : numbers) {
    number.reg = reg++;
    const Dtype type = number.value->dtype();
    program.constants.push_back(
        {uint8_t(number.reg), compute_type(type), constant_value(*number.value)});
  }
  Registers registers(reg);
  SmallVector<int, 16> home;
  home.resize(count, 0);
  for (int i = 0; i < count; ++i) {
    const Node& node = *unit.members[i].node;
    const Dtype in_type = node.inputs.empty() ? node.out[0].spec.type : node.inputs.back().dtype();
    const Dtype out_type = node.out[0].spec.type;
    Instr instr{node.op->block(*node.op, in_type, out_type), 0, {0, 0, 0}};
    SmallVector<uint8_t, 4> dead;
    bool same_width = true;
    for (size_t k = 0; k < node.inputs.size(); ++k) {
      const array& input = node.inputs[k];
      same_width &= size_of(compute_type(input.dtype())) == size_of(compute_type(out_type));
      const int from = operand[i][k];
      if (from >= 0) {
        instr.in[k] = uint8_t(home[from]);
        if (last_use[from] == i && !unit.members[from].stored &&
            std::find(dead.begin(), dead.end(), home[from]) == dead.end())
          dead.push_back(uint8_t(home[from]));
      } else if (Source* number = find(numbers, input)) {
        instr.in[k] = uint8_t(number->reg);
      } else {
        instr.in[k] = uint8_t(find(loads, input)->reg);
      }
    }
    // An op of one width may write over what dies here; a widening one would overtake its input.
    if (same_width)
      for (uint8_t r : dead) registers.free.push_back(r);
    instr.out = registers.take();
    if (!same_width)
      for (uint8_t r : dead) registers.free.push_back(r);
    home[i] = instr.out;
    program.code.push_back(instr);
    if (is_half(out_type))
      program.code.push_back({cpu::round_kernel(out_type), instr.out, {instr.out, 0, 0}});
    if (!unit.members[i].stored && last_use[i] < 0) registers.free.push_back(instr.out);
  }
  program.registers = registers.next;
  program.cost = 0.2 * double(program.code.size()) + 0.1 * double(loads.size());
  for (int i = 0; i < count; ++i) {
    if (!unit.members[i].stored) continue;
    const Slot& slot = unit.members[i].node->out[0];
    program.store.push_back({uint16_t(program.load.size() + program.store.size()), slot.spec.type,
                             uint8_t(home[i]), dense_strides(slot.spec.shape)});
  }
}

void build_group(const Unit& unit, GroupProgram& out) {
  SmallVector<const array*, 8> loaded;
  build_program(unit, out.program, loaded);
  for (const array* a : loaded) {
    const Slot& slot = a->slot();
    tidy(slot.spec, slot.storage);
    out.bindings.push_back({static_cast<char*>(slot.storage.buffer->data) +
                            slot.storage.offset * size_of(slot.spec.type)});
  }
  SmallVector<const array*, 4> donated;
  for (const auto& member : unit.members) {
    if (!member.stored) continue;
    const Slot& slot = member.node->out[0];
    const int64_t bytes = size_of(slot.spec.shape) * size_of(slot.spec.type);
    Storage storage{{}, 0, dense_strides(slot.spec.shape)};
    auto take = [&](const array* a) {
      auto same = [a](const array* other) { return other->same(*a); };
      if (size_of(a->dtype()) != size_of(slot.spec.type) || a->shape() != slot.spec.shape ||
          std::any_of(donated.begin(), donated.end(), same) || !may_donate(unit, *a))
        return false;
      storage.buffer = a->slot().storage.buffer;
      storage.buffer->constant = false;
      donated.push_back(a);
      return true;
    };
    for (const array* a : loaded)
      if (take(a)) break;
    // A constant is a number to the program, but somebody may have stored it before.
    for (size_t i = 0; !storage.buffer && i < unit.members.size(); ++i)
      for (const array& a : unit.members[i].node->inputs)
        if (a.node()->op->sort == Sort::constant &&
            a.node()->state.load(std::memory_order_acquire) == State::ready && take(&a))
          break;
    if (!storage.buffer) storage.buffer = allocate(bytes);
    out.bindings.push_back({storage.buffer->data});
    out.outputs.push_back(std::move(storage));
  }
}

}  // namespace lazulite
