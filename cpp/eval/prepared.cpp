#include "eval/prepared.h"

#include <algorithm>

#include "eval/profile.h"

namespace lazulite {

Prepared::Prepared(const std::vector<array>& inputs, const std::vector<array>& outputs)
    : inputs_(inputs), outputs_(outputs) {
  for (const array& a : inputs) layout_.push_back(a.slot().storage.strides);
  {
    // Claimed for good, by no run that anybody could wait for: a plan that needs them fails.
    const auto claim = make_ref<Run>();
    std::lock_guard lock(plan_mutex());
    plan_ = make_plan(outputs_.data(), outputs_.size(), claim);
    for (const Unit& unit : plan_.units)
      for (const auto& member : unit.members) member.node->run.store(nullptr);
  }
  int count = 0;
  for (const array& a : inputs) first_[a.node().get()] = count++;
  for (const Unit& unit : plan_.units)
    for (const auto& member : unit.members) {
      first_[member.node] = count;
      count += int(member.node->out.size());
    }
  values_.resize(count);
  place_.assign(count, -1);
  fixed_.assign(count, 0);
  loose_.assign(count, 0);
  for (const Unit& unit : plan_.units) {
    Piece& piece = pieces_.emplace_back();
    piece.unit = &unit;
    for (const auto& member : unit.members)
      for (uint32_t i = 0; i < member.node->out.size(); ++i)
        if (!unit.fused || member.stored) piece.makes.push_back(first_[member.node] + int(i));
    if (unit.fused) continue;  // `in` and `out` once its inputs have strides
    const Node& node = *unit.members[0].node;
    for (const array& input : node.inputs) {
      piece.in.push_back(number(input));
      piece.specs.push_back(&input.slot().spec);
    }
    for (uint32_t i = 0; i < node.out.size(); ++i) piece.out.push_back(first_[&node] + int(i));
    if (node.op->kind == OpKind::constant) fixed_[piece.out[0]] = 1;
    bool loose = node.op->places;
    if (node.op->kind == OpKind::view)
      for (int value : piece.in) loose |= bool(loose_[value]);
    for (int value : piece.out) loose_[value] = char(loose);
  }
  // The last piece that reads a value lets go of it; results stay.
  std::vector<char> read(count, 0);
  for (size_t i = 0; i < outputs_.size(); ++i) {
    const int value = number(outputs_[i]);
    results_.push_back(value);
    read[value] = 1;
    place_[value] = int(i);
  }
  for (size_t p = pieces_.size(); p-- > 0;)
    for (const auto& member : pieces_[p].unit->members)
      for (const array& input : member.node->inputs) {
        const auto found = first_.find(input.node().get());
        if (found == first_.end()) continue;
        const int value = found->second + int(input.index());
        if (read[value] || fixed_[value]) continue;
        read[value] = 1;
        pieces_[p].dies.push_back(value);
      }
  // Outputs that are made and never read die at once.
  for (Piece& piece : pieces_)
    for (int value : piece.makes)
      if (!read[value] && !fixed_[value]) piece.dies.push_back(value);
  plan_arena();
}

void Prepared::plan_arena() {
  constexpr int64_t line = 64;
  arena_at_.assign(values_.size(), -1);
  // Who gives memory away, or lets it be written over, keeps out of the arena: results, what they
  // may show, and what an update begins with.
  std::vector<char> apart(values_.size(), 0);
  for (int value : results_) apart[value] = 1;
  for (size_t p = pieces_.size(); p-- > 0;) {
    const Piece& piece = pieces_[p];
    if (piece.unit->fused) continue;
    const Op& op = *piece.unit->members[0].node->op;
    if (op.update) apart[piece.in[0]] = 1;
    if (op.kind == OpKind::view || op.places) {
      bool any = op.places;
      for (int value : piece.makes) any |= bool(apart[value]);
      for (int value : piece.in) apart[value] |= char(any);
    }
  }
  // A value lives from the piece that makes it to the last one that reads it, or a view of it.
  std::vector<int> until(values_.size(), -1);
  for (size_t p = 0; p < pieces_.size(); ++p)
    for (int value : pieces_[p].dies) until[value] = int(p);
  for (size_t p = pieces_.size(); p-- > 0;) {
    const Piece& piece = pieces_[p];
    if (!piece.unit->fused && piece.unit->members[0].node->op->kind == OpKind::view)
      for (int value : piece.in)
        for (int view : piece.makes) until[value] = std::max(until[value], until[view]);
  }
  struct Block {
    int64_t at, bytes;
    int until;
  };
  std::vector<Block> taken;  // in order of place
  for (size_t p = 0; p < pieces_.size(); ++p) {
    const Piece& piece = pieces_[p];
    std::erase_if(taken, [&](const Block& b) { return b.until < int(p); });
    const Op& op = *piece.unit->members[0].node->op;
    if (!piece.unit->fused && (op.kind != OpKind::kernel || op.places)) continue;
    size_t k = 0;
    for (const auto& member : piece.unit->members)
      for (const Slot& slot : member.node->out) {
        if (piece.unit->fused && !member.stored) continue;
        const int value = piece.makes[k++];
        const int64_t bytes =
            (size_of(slot.spec.shape) * size_of(slot.spec.type) + line - 1) / line * line;
        if (apart[value] || bytes == 0 || until[value] < 0) continue;
        int64_t at = 0;
        auto before = taken.begin();
        while (before != taken.end() && before->at - at < bytes)
          at = before->at + before->bytes, ++before;
        taken.insert(before, {at, bytes, until[value]});
        arena_at_[value] = at;
        arena_bytes_ = std::max(arena_bytes_, at + bytes);
      }
  }
}

bool Prepared::fits(const std::vector<Storage>& inputs) const {
  for (size_t i = 0; i < inputs.size(); ++i)
    if (!(inputs[i].strides == layout_[i])) return false;
  return true;
}

bool Prepared::may_write(const Piece& piece, int value) const {
  const auto at = std::find(piece.in.begin(), piece.in.end(), value);
  return at != piece.in.end() &&
         std::find(piece.dies.begin(), piece.dies.end(), value) != piece.dies.end() &&
         may_overwrite(*piece.specs[size_t(at - piece.in.begin())], values_[value],
                       piece.unit->fused, std::count(piece.in.begin(), piece.in.end(), value));
}

Storage Prepared::take(int value, const Spec& spec) {
  if (arena_at_[value] >= 0) {
    if (!arena_) arena_ = allocate(arena_bytes_);
    return {arena_, arena_at_[value] / size_of(spec.type), dense_strides(spec.shape)};
  }
  if (place_[value] >= 0) {
    Storage& place = (*places_)[place_[value]];
    if (place.buffer) return place;
  }
  return {allocate(size_of(spec.shape) * size_of(spec.type)), 0, dense_strides(spec.shape)};
}

// The program of a fused piece holds the strides of what it loads.
void Prepared::build(Piece& piece) {
  Sources sources;
  for (const auto& member : piece.unit->members)
    for (const array& input : member.node->inputs)
      if (first_.count(input.node().get()))
        input.node()->out[input.index()].storage.strides = values_[number(input)].strides;
  piece.program = {};
  piece.in.clear();
  piece.specs.clear();
  piece.seen.clear();
  build_program(*piece.unit, piece.program, sources);
  for (const Source& source : sources) {
    if (source.constant) continue;
    piece.in.push_back(number(*source.value));
    piece.specs.push_back(&source.value->slot().spec);
    if (loose_[piece.in.back()]) piece.seen.push_back(values_[piece.in.back()].strides);
  }
  piece.out = piece.makes;
  if (size_of(piece.unit->domain)) piece.planned = plan_program(piece.program);
  piece.built = true;
}

bool Prepared::still_fits(const Piece& piece) const {
  size_t k = 0;
  for (size_t i = 0; k < piece.seen.size(); ++i)
    if (loose_[piece.in[i]] && !(values_[piece.in[i]].strides == piece.seen[k++])) return false;
  return true;
}

void Prepared::run_fused(Piece& piece) {
  const Unit& unit = *piece.unit;
  if (!piece.built || !still_fits(piece)) build(piece);
  SmallVector<Binding, 16> bindings;
  for (size_t i = 0; i < piece.in.size(); ++i)
    bindings.push_back({bound(*piece.specs[i], values_[piece.in[i]]).data});
  size_t k = 0;
  for (const auto& member : unit.members) {
    if (!member.stored) continue;
    const Spec& spec = member.node->out[0].spec;
    const int made = piece.out[k++], place = place_[made];
    Storage& out = values_[made];
    out.buffer = {};
    // Over an input that dies here.
    if (arena_at_[made] < 0 && (place < 0 || !(*places_)[place].buffer))
      for (int value : piece.dies) {
        if (!may_write(piece, value)) continue;
        const Spec& of = *piece.specs[size_t(std::find(piece.in.begin(), piece.in.end(), value) -
                                             piece.in.begin())];
        if (size_of(of.type) != size_of(spec.type) || of.shape != spec.shape) continue;
        out = values_[value];  // two hold it now: nobody else takes it
        break;
      }
    if (!out.buffer) out = take(made, spec);
    bindings.push_back({bound(spec, out).data});
  }
  if (size_of(unit.domain)) run_program(*piece.planned, bindings.data());
}

void Prepared::run_single(Piece& piece) {
  const Node& node = *piece.unit->members[0].node;
  if (node.op->kind == OpKind::constant && values_[piece.out[0]].buffer) return;
  SmallVector<TensorView, 3> in;
  for (size_t i = 0; i < piece.in.size(); ++i)
    in.push_back(bound(*piece.specs[i], values_[piece.in[i]]));
  const bool overwrite = node.op->update && may_write(piece, piece.in[0]);
  SmallVector<Storage, 1> out;
  out.resize(node.out.size());
  if (node.op->kind != OpKind::constant && !overwrite)
    for (size_t i = 0; i < out.size(); ++i) {
      const int place = place_[piece.out[i]];
      if (place >= 0 && (*places_)[place].buffer) out[i] = (*places_)[place];
      else if (arena_at_[piece.out[i]] >= 0) out[i] = take(piece.out[i], node.out[i].spec);
    }
  run_op(node, std::move(in), overwrite, out);
  for (size_t i = 0; i < out.size(); ++i) values_[piece.out[i]] = std::move(out[i]);
}

void Prepared::run(std::vector<Storage> inputs, std::vector<Storage>& outputs) {
  places_ = &outputs;
  for (size_t i = 0; i < inputs.size(); ++i) values_[i] = std::move(inputs[i]);
  for (Piece& piece : pieces_) {
    const Profiled profiled(*piece.unit);
    piece.unit->fused ? run_fused(piece) : run_single(piece);
    for (int value : piece.dies) values_[value].buffer = {};
  }
  for (size_t i = 0; i < outputs.size(); ++i) outputs[i] = values_[results_[i]];
  for (size_t i = 0; i < values_.size(); ++i)
    if (!fixed_[i]) values_[i].buffer = {};
}

}  // namespace lazulite
