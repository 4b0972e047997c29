#include "eval/prepared.h"

#include <algorithm>

#include "device/cpu/pool.h"
#include "eval/profile.h"

namespace lazulite {

constexpr double least_shared_ns = 10e3;  // of one unit

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
  waves_ = arrange_waves(plan_.units);
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
  std::vector<int> wave_of;
  for (size_t w = 0; w < waves_.size(); ++w)
    wave_of.resize(wave_of.size() + waves_[w].units, int(w));
  for (const Unit& unit : plan_.units) {
    Piece& piece = pieces_.emplace_back();
    piece.unit = &unit;
    piece.wave = wave_of[pieces_.size() - 1];
    for (const auto& member : unit.members)
      if (member.stored)
        for (uint32_t i = 0; i < member.node->out.size(); ++i)
          piece.out.push_back({first_[member.node] + int(i), &member.node->out[i].spec});
    if (unit.fused) continue;  // `in` once its inputs have strides
    const Node& node = *unit.members[0].node;
    for (const array& input : node.inputs) reads(piece, input);
    if (node.op->kind == OpKind::constant) fixed_[piece.out[0].value] = 1;
    bool loose = node.op->places;
    if (node.op->kind == OpKind::view)
      for (const Reading& in : piece.in) loose |= bool(loose_[in.value]);
    for (const Making& out : piece.out) loose_[out.value] = char(loose);
  }
  find_lives();
  plan_arena();
}

void Prepared::reads(Piece& piece, const array& input) {
  const int value = number(input);
  const bool dies =
      std::find(piece.dies.begin(), piece.dies.end(), value) != piece.dies.end();
  piece.in.push_back({value, &input.slot().spec, 1, dies});
}

void Prepared::find_lives() {
  // The last piece that reads a value lets go of it; results stay.
  std::vector<char> read(values_.size(), 0);
  std::vector<size_t> last(values_.size(), pieces_.size());
  shared_.assign(values_.size(), 0);
  for (size_t i = 0; i < outputs_.size(); ++i) {
    const int value = number(outputs_[i]);
    results_.push_back(value);
    read[value] = 1;
    place_[value] = int(i);
  }
  for (size_t i = 0; i < results_.size(); ++i)
    last_.push_back(char(place_[results_[i]] == int(i) && !fixed_[results_[i]]));
  for (size_t p = pieces_.size(); p-- > 0;)
    for (const auto& member : pieces_[p].unit->members)
      for (const array& input : member.node->inputs) {
        const auto found = first_.find(input.node().get());
        if (found == first_.end()) continue;
        const int value = found->second + int(input.index());
        if (last[value] < pieces_.size() && last[value] != p)
          shared_[value] |= char(pieces_[last[value]].wave == pieces_[p].wave);
        if (read[value] || fixed_[value]) continue;
        read[value] = 1;
        last[value] = p;
        pieces_[p].dies.push_back(value);
      }
  for (Piece& piece : pieces_) {
    // Outputs that are made and never read die at once.
    for (const Making& out : piece.out)
      if (!read[out.value] && !fixed_[out.value]) piece.dies.push_back(out.value);
    for (Reading& in : piece.in) {
      in.dies = !shared_[in.value] && std::find(piece.dies.begin(), piece.dies.end(), in.value) !=
                                          piece.dies.end();
      in.reads = int32_t(std::count_if(piece.in.begin(), piece.in.end(),
                                       [&](const Reading& r) { return r.value == in.value; }));
    }
  }
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
    if (op.update) apart[piece.in[0].value] = 1;
    if (op.kind == OpKind::view || op.places) {
      bool any = op.places;
      for (const Making& out : piece.out) any |= bool(apart[out.value]);
      for (const Reading& in : piece.in) apart[in.value] |= char(any);
    }
  }
  // A value lives from the wave that makes it to the last one that reads it, or a view of it.
  std::vector<int> until(values_.size(), -1);
  for (const Piece& piece : pieces_)
    for (int value : piece.dies) until[value] = piece.wave;
  for (size_t p = pieces_.size(); p-- > 0;) {
    const Piece& piece = pieces_[p];
    if (!piece.unit->fused && piece.unit->members[0].node->op->kind == OpKind::view)
      for (const Reading& in : piece.in)
        for (const Making& view : piece.out)
          until[in.value] = std::max(until[in.value], until[view.value]);
  }
  struct Block {
    int64_t at, bytes;
    int until;
  };
  std::vector<Block> taken;  // in order of place
  for (const Piece& piece : pieces_) {
    std::erase_if(taken, [&](const Block& b) { return b.until < piece.wave; });
    const Op& op = *piece.unit->members[0].node->op;
    if (!piece.unit->fused && (op.kind != OpKind::kernel || op.places)) continue;
    for (const Making& out : piece.out) {
      const int value = out.value;
      const int64_t bytes =
          (size_of(out.spec->shape) * size_of(out.spec->type) + line - 1) / line * line;
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

double Prepared::shared_ns() const {
  double ns = 0, ahead = 0;
  for (const Wave& wave : waves_)
    if (wave.units > 1) ahead = std::max(ahead, wave.ahead);  // of those behind it, too
    else if (wave.ahead >= least_shared_ns) ns += wave.ahead;
  return ns + ahead;
}

bool Prepared::fits(const std::vector<Storage>& inputs) const {
  for (size_t i = 0; i < inputs.size(); ++i)
    if (!(inputs[i].strides == layout_[i])) return false;
  return true;
}

// Not writable: each run writes there again, so nothing is kept of it, and nobody else writes.
void Prepared::make_arena() {
  arena_ = allocate(arena_bytes_);
  arena_->writable = false;
}

void Prepared::give_place(const Making& out, Storage& storage) {
  if (arena_at_[out.value] >= 0) {
    if (!arena_) make_arena();
    storage = {arena_, arena_at_[out.value] / size_of(out.spec->type),
               dense_strides(out.spec->shape)};
  } else if (place_[out.value] >= 0) {
    storage = (*places_)[place_[out.value]];
  }
}

// The programs of a fused piece hold the strides of what they load.
void Prepared::build(Piece& piece) {
  Sources before, behind;
  const Unit& unit = *piece.unit;
  for (const auto& member : unit.members)
    for (const array& input : member.node->inputs)
      if (first_.count(input.node().get()))
        input.node()->out[input.index()].storage.strides = values_[number(input)].strides;
  piece.program = {};
  piece.in.clear();
  piece.seen.clear();
  build_group(unit, piece.program, before, behind);
  for (const Source& source : before)
    if (!source.constant) reads(piece, *source.value);
  piece.kernels = piece.in.size();
  for (size_t m = unit.before(); m < unit.after(); ++m) {
    const Arrays& inputs = unit.members[m].node->inputs;
    for (size_t i = unit.forms(); i < inputs.size(); ++i) {
      reads(piece, inputs[i]);
      piece.in.back().dies = false;
    }
  }
  piece.behind = piece.in.size();
  for (const Source& source : behind)
    if (!source.constant && source.value->node().get() != unit.members[unit.before()].node)
      reads(piece, *source.value);
  // What two parts read, neither writes over: they run side by side. So do pieces.
  if (unit.kernel >= 0)
    for (Reading& in : piece.in)
      for (const Reading& other : piece.in)
        if (&in != &other && in.value == other.value) in.dies = false;
  for (Reading& in : piece.in)
    if (shared_[in.value]) in.dies = false;
  for (const Reading& in : piece.in)
    if (loose_[in.value]) piece.seen.push_back(values_[in.value].strides);
  plan_group(piece.program);
  piece.built = true;
}

bool Prepared::still_fits(const Piece& piece) const {
  size_t k = 0;
  for (size_t i = 0; k < piece.seen.size(); ++i) {
    const int value = piece.in[i].value;
    if (loose_[value] && !(values_[value].strides == piece.seen[k++])) return false;
  }
  return true;
}

bool Prepared::needs_program(const Piece& piece) const {
  return piece.unit->fused && (!piece.built || !still_fits(piece));
}

// A view of what lies as it lay before shows the same part of it.
bool Prepared::show_again(const Piece& piece) {
  if (piece.shown.empty()) return false;
  for (const Shown& s : piece.shown) {
    const Storage& from = values_[s.from];
    if (from.offset != s.input_offset || !(from.strides == s.input_strides)) return false;
  }
  for (size_t i = 0; i < piece.shown.size(); ++i) {
    const Shown& s = piece.shown[i];
    Storage& to = values_[piece.out[i].value];
    to.buffer = values_[s.from].buffer;
    to.offset = s.offset;
    to.strides = s.strides;
  }
  return true;
}

void Prepared::note_shown(Piece& piece) {
  piece.shown.clear();
  const size_t first = piece.in.size() - piece.out.size();
  for (size_t i = 0; i < piece.out.size(); ++i) {
    const Reading& in = piece.in[first + i];
    const Storage &from = values_[in.value], &to = values_[piece.out[i].value];
    if (from.buffer.get() != to.buffer.get()) return piece.shown.clear();
    piece.shown.push_back({in.value, from.offset, to.offset, from.strides, to.strides});
  }
}

void Prepared::run(Piece& piece) {
  const Unit& unit = *piece.unit;
  const Profiled profiled(unit);
  if (show_again(piece)) return;
  const Node& node = *unit.members[0].node;
  const bool constant = node.op->kind == OpKind::constant;
  if (constant && values_[piece.out[0].value].buffer) return;
  if (needs_program(piece)) build(piece);
  bool spoilt = false;
  StepMemory memory(spoilt);
  for (const Reading& in : piece.in)
    memory.in.push_back({in.spec, &values_[in.value], in.reads, in.dies});
  memory.kernels = piece.kernels;
  memory.behind = piece.behind;
  for (const Making& out : piece.out) {
    Output& output = memory.out.emplace_back(out.spec);
    if (!constant) give_place(out, output.storage);
  }
  unit.fused ? run_group(unit, piece.program, memory) : run_single(node, memory);
  for (size_t i = 0; i < memory.out.size(); ++i)
    values_[piece.out[i].value] = std::move(memory.out[i].storage);
  if (!unit.fused && node.op->kind == OpKind::view) note_shown(piece);
}

void Prepared::run(size_t first, const Wave& wave) {
  // A profile's steps are parts of the step around them, on its thread.
  const bool beside = wave.units > 1 && !profiling.load(std::memory_order_relaxed);
  if (beside) {
    // What pieces share is made, or changed, before they begin.
    for (size_t p = first; p < first + wave.units; ++p) {
      Piece& piece = pieces_[p];
      if (needs_program(piece)) build(piece);
      for (const Reading& in : piece.in) tidy(*in.spec, values_[in.value]);
    }
    if (!arena_ && arena_bytes_) make_arena();
    cpu::parallel_for(int64_t(wave.units), [&](int64_t i) { run(pieces_[first + size_t(i)]); },
                      wave.ahead);
  } else {
    for (size_t p = first; p < first + wave.units; ++p) run(pieces_[p]);
  }
  for (size_t p = first; p < first + wave.units; ++p)
    for (int value : pieces_[p].dies) values_[value].buffer = {};
}

void Prepared::run(std::vector<Storage>& inputs, std::vector<Storage>& outputs) {
  places_ = &outputs;
  for (size_t i = 0; i < inputs.size(); ++i) values_[i] = std::move(inputs[i]);
  size_t first = 0;
  for (const Wave& wave : waves_) {
    run(first, wave);
    first += wave.units;
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    Storage& value = values_[results_[i]];
    if (last_[i]) outputs[i] = std::move(value);
    else outputs[i] = value;
  }
  for (size_t i = 0; i < values_.size(); ++i)
    if (!fixed_[i]) values_[i].buffer = {};
}

}  // namespace lazulite
