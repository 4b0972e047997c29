#include "device/cpu/layout.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <numeric>

#include "device/cpu/block.h"
#include "device/cpu/features.h"
#include "device/cpu/move.h"
#include "device/limits.h"

namespace lazulite::cpu {

namespace {

constexpr int64_t line = 64;       // bytes that caches and memory exchange
constexpr int64_t line_run = 512;  // bytes of each array that a long expression takes at a time
constexpr size_t stream_code = 4;  // kernels that a stream of results keeps pace with, at most

int64_t first_level_cache() {
  static const int64_t bytes = [] {
    const long found = sysconf(_SC_LEVEL1_DCACHE_SIZE);
    return found >= 16384 ? int64_t(found) : 32768;
  }();
  return bytes;
}

template <int64_t bytes>
void copy_elements(void* out, const void* const* in, int64_t n) {
  std::memcpy(out, in[0], size_t(n * bytes));
}
Kernel copy_kernel(int64_t bytes) {
  switch (bytes) {
    case 1: return copy_elements<1>;
    case 2: return copy_elements<2>;
    case 4: return copy_elements<4>;
    case 8: return copy_elements<8>;
    default: return copy_elements<16>;
  }
}

// The same for what leaves the caches: its lines are not read before they are written.
template <int64_t bytes>
void stream_elements(void* out, const void* const* in, int64_t n) {
  stream(out, in[0], n * bytes);
}
Kernel stream_kernel(int64_t bytes) {
  switch (bytes) {
    case 1: return stream_elements<1>;
    case 2: return stream_elements<2>;
    case 4: return stream_elements<4>;
    case 8: return stream_elements<8>;
    default: return stream_elements<16>;
  }
}

// One vector again and again.
template <int64_t bytes>
void fill_elements(void* out, const void* const* in, int64_t n) {
  struct Line {
    char bytes_[64];
  } line;
  std::memcpy(&line, in[0], sizeof line);
  const int64_t all = elements_of(n) * bytes;
  if (std::all_of(line.bytes_, line.bytes_ + bytes, [&](char c) { return c == line.bytes_[0]; }))
    return void(std::memset(out, line.bytes_[0], size_t(all)));
  for (int64_t i = 0; i < all; i += 64) std::memcpy(static_cast<char*>(out) + i, &line, 64);
}
Kernel fill_kernel(int64_t bytes) {
  switch (bytes) {
    case 1: return fill_elements<1>;
    case 2: return fill_elements<2>;
    case 4: return fill_elements<4>;
    case 8: return fill_elements<8>;
    default: return fill_elements<16>;
  }
}

Step kernel_step(Kernel run, Place out, Place in) {
  Step step;
  step.run = run;
  step.out = out;
  step.in.push_back(in);
  return step;
}

std::atomic<uint64_t> layouts{0};

}  // namespace

Layout::Layout(const BlockProgram& p, const SmallVector<int, 4>& shared)
    : joined_(join_expressions(p)), id(++layouts), program(joined_ ? joined_->program : p) {
  describe_memory();
  find_streams(shared);
  find_values();
  find_lives(shared);
  place_values();
  if (blocks > most_blocks()) order_anew(shared);
  choose_sizes();
}

bool Layout::allows(const SmallVector<int, 4>& shared) const {
  for (size_t k = 0; k < shared.size(); ++k)
    if (shared[k] >= 0 && load_end_[size_t(shared[k])] > store_at_[k]) return false;
  return true;
}

void Layout::describe_memory() {
  size = size_of(program.domain);
  bool dense = true;
  for (auto& port : program.load) dense &= is_dense(program.domain, port.strides);
  for (auto& port : program.store) dense &= is_dense(program.domain, port.strides);
  if (dense) access_.resize(program.load.size() + program.store.size(), Access::direct);
  else describe_views();
  raw_copy = program.code.empty() && program.load.size() == 1 && program.store.size() == 1 &&
             program.load[0].type == program.store[0].type;
}

void Layout::describe_views() {
  shape = program.domain;
  for (auto& port : program.load) strides.push_back(port.strides);
  for (auto& port : program.store) strides.push_back(port.strides);
  collapse(shape, strides);
  const int last = int(shape.size()) - 1;
  const int64_t row = shape[last];
  bool rows = false;
  for (auto& s : strides) {
    const bool zero = std::all_of(s.begin(), s.end(), [](int64_t step) { return step == 0; });
    const bool direct = is_dense(shape, s) && !(zero && size > 1);
    access_.push_back(direct ? Access::direct : zero ? Access::repeated : Access::gathered);
    if (direct || zero) continue;
    rows |= s[last] == 0 || s[last] == 1;
    if (s[last] == 0 || std::abs(s[last]) == 1 || row < 8) continue;
    for (int a = 0; a < last && tiles.axis < 0; ++a)
      if (s[a] == 1 && shape[a] >= 8) tiles.axis = a;
  }
  if (tiles.axis >= 0) {
    for (Access& access : access_)
      if (access == Access::direct) access = Access::gathered;
  } else if (rows && row >= (row % group ? 8 : 2) * group) {  // their ends cost more than copies
    tiles.columns = row;
    for (size_t k = 0; k < strides.size(); ++k)
      if (access_[k] == Access::gathered && strides[k][last] == 1) access_[k] = Access::direct;
      else if (access_[k] == Access::gathered && strides[k][last] == 0 && k < program.load.size())
        access_[k] = Access::of_row;
  }
  if (tiles.axis >= 0 || tiles.columns) return;
  find_own_views();
  find_periods();
  find_wraps();
}

void Layout::find_own_views() {
  views_.resize(strides.size());
  for (size_t k = 0; k < strides.size(); ++k) {
    if (access_[k] != Access::gathered) continue;
    SmallVector<Strides, 4> own{strides[k]};
    views_[k].shape = shape;
    collapse(views_[k].shape, own);
    views_[k].strides = own[0];
  }
}

// Loads that are one row again and again, or one matrix; and those that are each of many rows so
// often that blocks have the same of one.
void Layout::find_periods() {
  for (size_t k = 0; k < program.load.size(); ++k) {
    if (access_[k] != Access::gathered) continue;
    size_t first = 0;
    int64_t period = size;
    for (; strides[k][first] == 0; ++first) period /= shape[first];
    if (period < size) {
      if (period * 2 <= block_size * 4) set_period(k, period, size);
      continue;
    }
    const View& own = views_[k];
    const size_t last = own.shape.size() - 1;
    if (last == 0 || own.strides[last] == 0 || own.strides[last - 1] != 0) continue;
    const int64_t row = own.shape[last], span = row * own.shape[last - 1];
    if (std::lcm(group, row) <= block_size && span >= 4 * block_size) set_period(k, row, span);
  }
}
void Layout::set_period(size_t load, int64_t period, int64_t span) {
  periods_.resize(program.load.size(), 0);
  spans_.resize(program.load.size(), 0);
  periods_[load] = period;
  spans_[load] = span;
}

// Loads that are one dense run again and again, which is longer than blocks are.
void Layout::find_wraps() {
  for (size_t k = 0; k < program.load.size(); ++k) {
    if (access_[k] != Access::gathered || period(k)) continue;
    const View& own = views_[k];
    if (own.shape.size() != 2 || own.strides[0] != 0 || own.strides[1] != 1) continue;
    const int64_t run = own.shape[1];
    if (run < 8 * block_size || (wrap && wrap != run)) continue;
    wrap = run;
    wraps_.resize(program.load.size(), false);
    wraps_[k] = true;
    access_[k] = Access::direct;
  }
}

// Results that the caches will not keep. Not what is read piece by piece as it is made; nor what is
// written over an operand: its lines are there already; nor rows that end inside of a line; nor
// where computing takes about as long as memory does, since nothing is computed while a stream
// waits.
void Layout::find_streams(const SmallVector<int, 4>& shared) {
  const size_t loads = program.load.size(), stores = program.store.size();
  streams_.resize(stores, false);
  int64_t moved = 0;  // bytes per element
  for (size_t k = 0; k < loads + stores; ++k) {
    const Port& port = k < loads ? program.load[k] : program.store[k - loads];
    if (access_[k] != Access::repeated && access_[k] != Access::of_row && !port.formed)
      moved += size_of(port.type);
  }
  if (size * moved < cached_bytes() || program.code.size() > stream_code) return;
  for (const Instr& instr : program.code)
    if (!instr.light) return;
  for (size_t k = 0; k < stores; ++k) {
    const Port& port = program.store[k];
    const bool lines = tiles.columns == 0 || shape.back() * size_of(port.type) % line == 0;
    streams_[k] = access_[loads + k] == Access::direct && lines && !is_half(port.type) &&
                  !port.formed && (shared.empty() || shared[k] < 0);
    streams |= streams_[k];
  }
}

// What each register is: memory, a single, or a block that is still to be found.
void Layout::find_values() {
  values_.resize(size_t(program.registers));
  auto make_single = [&](uint32_t reg) {
    values_[reg].single = true;
    values_[reg].place = {Place::single, uint32_t(single_count++)};
    return values_[reg].place.at;
  };
  for (size_t k = 0; k < program.load.size(); ++k) {
    const Port& port = program.load[k];
    Value& value = values_[port.reg];
    value.port = int32_t(k);
    if (access_[k] == Access::repeated)
      singles.push_back({make_single(port.reg), nullptr, uint32_t(k)});
    else if (access_[k] == Access::direct && !converts(port))
      value.place = {Place::load, uint32_t(k)};
  }
  for (auto& number : program.constants) singles.push_back({make_single(number.reg), &number});
  for (size_t i = 0; i < program.code.size(); ++i) {
    const Instr& instr = program.code[i];
    bool single = instr.operands() > 0;
    for (int k = 0; k < instr.operands(); ++k) single &= values_[instr.in[k]].single;
    if (!single) {
      order_.push_back(uint32_t(i));
      continue;
    }
    make_single(instr.out);
    Step& step = once.emplace_back();
    step.run = instr.run;
    step.out = values_[instr.out].place;
    for (const uint32_t in : instr.in) step.in.push_back(values_[in].place);
  }
  find_row_singles();
  // What is stored densely is computed where it belongs.
  for (size_t k = 0; k < program.store.size(); ++k) {
    const Port& port = program.store[k];
    Value& value = values_[port.reg];
    if (value.port < 0 && needs_block(port.reg) && !converts(port) && !streams_[k] &&
        access_[program.load.size() + k] == Access::direct)
      value.place = {Place::store, uint32_t(k)};
  }
}

// Loads that are one number in each row. Kernels that read nothing else want whole blocks of it.
void Layout::find_row_singles() {
  bool any = false;
  for (size_t k = 0; k < program.load.size(); ++k) any |= access_[k] == Access::of_row;
  if (!any) return;
  auto repeats_in_row = [&](uint32_t reg) {
    const Value& value = values_[reg];
    return value.single || (value.port >= 0 && access_[value.port] == Access::of_row);
  };
  SmallVector<char, 16> read(values_.size(), 0);
  for (const uint32_t i : order_) {
    const Instr& instr = program.code[i];
    bool all = true;
    for (int k = 0; k < instr.operands(); ++k) all &= repeats_in_row(instr.in[k]);
    for (int k = 0; k < instr.operands(); ++k)
      if (repeats_in_row(instr.in[k])) read[instr.in[k]] |= all ? 2 : 1;
  }
  for (size_t k = 0; k < program.load.size(); ++k) {
    const uint32_t reg = program.load[k].reg;
    if (access_[k] != Access::of_row) continue;
    if (read[reg] != 1) {
      access_[k] = Access::gathered;
      continue;
    }
    values_[reg].place = {Place::single, uint32_t(single_count++)};
    of_row.push_back({values_[reg].place.at, nullptr, uint32_t(k)});
  }
}

// ---- the order of the code: as it comes, or depth first where that keeps fewer blocks alive

// How many blocks of the usual size the first-level cache holds.
int64_t Layout::most_blocks() const {
  const int64_t padded = (size + group - 1) / group * group;
  return first_level_cache() / (std::min(block_size, padded) * program.width);
}

void Layout::order_anew(const SmallVector<int, 4>& shared) {
  const int as_it_comes = blocks;
  values_.clear();
  order_.clear();
  storing_.clear();
  load_end_.clear();
  store_at_.clear();
  free_.clear();
  once.clear();
  code.clear();
  singles.clear();
  of_row.clear();
  filled.clear();
  blocks = single_count = 0;
  find_values();
  SmallVector<uint32_t, 16> other;
  depth_first(other);
  if (peak(other) < as_it_comes) order_ = std::move(other);
  find_lives(shared);
  place_values();
}

// The most blocks that are alive at a time.
int Layout::peak(const SmallVector<uint32_t, 16>& order) const {
  std::vector<int32_t> last(values_.size(), -1);
  for (size_t at = 0; at < order.size(); ++at) {
    const Instr& instr = program.code[order[at]];
    for (int k = 0; k < instr.operands(); ++k) last[instr.in[k]] = int32_t(at);
  }
  std::vector<char> alive(values_.size(), 0);
  int count = 0, most = 0;
  for (size_t at = 0; at < order.size(); ++at) {
    const Instr& instr = program.code[order[at]];
    int dying = 0;
    for (int k = 0; k < instr.operands(); ++k) {
      const uint32_t in = instr.in[k];
      if (!needs_block(in)) continue;
      if (!alive[in]) ++count;  // a load
      alive[in] = 1;
    }
    most = std::max(most, count);
    for (int k = 0; k < instr.operands(); ++k) {
      const uint32_t in = instr.in[k];
      if (!alive[in] || last[in] != int32_t(at)) continue;
      alive[in] = 0;
      ++dying;
    }
    if (instr.same_width) count -= dying;
    if (needs_block(instr.out)) {
      most = std::max(most, ++count);
      if (last[instr.out] < 0) --count;
      else alive[instr.out] = 1;
    }
    if (!instr.same_width) count -= dying;
  }
  return most;
}

// From the results down: first the operand that needs the most blocks, as Sethi and Ullman number
// trees.
void Layout::depth_first(SmallVector<uint32_t, 16>& order) const {
  std::vector<int32_t> maker(values_.size(), -1);
  std::vector<int> need(values_.size(), 0);
  std::vector<char> read(values_.size(), 0);
  std::vector<SmallVector<uint16_t, 3>> turn(program.code.size());
  for (const auto& port : program.load) need[port.reg] = needs_block(port.reg);
  for (const uint32_t i : order_) {
    const Instr& instr = program.code[i];
    SmallVector<uint16_t, 3> by_need;
    for (int k = 0; k < instr.operands(); ++k) by_need.push_back(uint16_t(k));
    std::stable_sort(by_need.begin(), by_need.end(),
                     [&](int a, int b) { return need[instr.in[a]] > need[instr.in[b]]; });
    int most = 1;
    for (int k = 0; k < instr.operands(); ++k) {
      most = std::max(most, need[instr.in[by_need[k]]] + k);
      read[instr.in[k]] = 1;
    }
    need[instr.out] = most;
    maker[instr.out] = int32_t(i);
    turn[i] = by_need;
  }
  std::vector<char> seen(program.code.size(), 0);
  std::vector<std::pair<uint32_t, int>> stack;
  auto enter = [&](uint32_t i) {
    if (seen[i]) return;
    seen[i] = 1;
    stack.push_back({i, 0});
  };
  for (const uint32_t root : order_) {
    if (read[program.code[root].out]) continue;
    enter(root);
    while (!stack.empty()) {
      auto& [i, next] = stack.back();
      const Instr& instr = program.code[i];
      if (next == instr.operands()) {
        order.push_back(i);
        stack.pop_back();
        continue;
      }
      const int32_t from = maker[instr.in[turn[i][next++]]];
      if (from >= 0) enter(uint32_t(from));
    }
  }
}

// ---- lives and places

void Layout::find_lives(const SmallVector<int, 4>& shared) {
  const size_t loads = program.load.size();
  load_end_.resize(loads, -1);
  SmallVector<int32_t, 4> made;  // when the value of each store is there
  for (size_t at = 0; at < order_.size(); ++at) {
    const Instr& instr = program.code[order_[at]];
    for (int k = 0; k < instr.operands(); ++k) {
      Value& in = values_[instr.in[k]];
      in.last = int32_t(at);
      // A load that is converted or gathered is read once, before its first use.
      if (in.port >= 0 && (in.place.kind == Place::load || load_end_[in.port] < 0))
        load_end_[in.port] = int32_t(at);
    }
    values_[instr.out].stored = int32_t(at);
  }
  for (size_t k = 0; k < program.store.size(); ++k)
    made.push_back(values_[program.store[k].reg].stored);
  for (Value& value : values_) value.stored = -1;
  for (size_t k = 0; k < program.store.size(); ++k) {
    Value& value = values_[program.store[k].reg];
    int32_t when = made[k];
    if (!shared.empty() && shared[k] >= 0) when = std::max(when, load_end_[size_t(shared[k])]);
    store_at_.push_back(when);
    const Place itself{Place::store, uint32_t(k)};
    if (value.place == itself && when > made[k]) value.place = {};
    if (value.place == itself) continue;
    value.stored = std::max(value.stored, when);
    storing_.push_back({when, uint32_t(k)});
  }
  if (storing_.size() > 1)
    std::stable_sort(storing_.begin(), storing_.end(),
                     [](const Storing& a, const Storing& b) { return a.when < b.when; });
}

uint32_t Layout::take() {
  if (free_.empty()) return uint32_t(blocks++);
  const uint32_t at = free_.back();
  free_.pop_back();
  return at;
}
Place Layout::block_for(uint32_t reg) {
  Value& value = values_[reg];
  value.kept = period(size_t(value.port)) > 0;
  return {Place::block, value.kept ? uint32_t(blocks++) : take()};
}
void Layout::give(uint32_t reg) {
  Value& value = values_[reg];
  if (value.place.kind != Place::block || value.kept) return;
  free_.push_back(value.place.at);
  value.place = {};
}

void Layout::place_values() {
  size_t next = 0;
  auto store_until = [&](int32_t when) {
    const size_t first = next;
    while (next < storing_.size() && storing_[next].when == when) store(storing_[next++], when);
    for (size_t k = first; k < next; ++k) {
      const uint32_t reg = program.store[storing_[k].store].reg;
      if (values_[reg].last <= when && values_[reg].stored <= when) give(reg);
    }
  };
  store_until(-1);
  for (size_t at = 0; at < order_.size(); ++at) {
    place_instruction(int32_t(at), order_[at]);
    store_until(int32_t(at));
  }
}

void Layout::load(uint32_t reg, Place to) {
  const uint32_t port = uint32_t(values_[reg].port);
  if (access_[port] == Access::direct) {
    code.push_back(kernel_step(widen_kernel(program.load[port].type), to, {Place::load, port}));
    return;
  }
  Step& step = code.emplace_back();
  step.kind = Step::gather;
  step.port = port;
  step.out = to;
}

void Layout::place_instruction(int32_t when, uint32_t index) {
  const Instr& instr = program.code[index];
  Step step;
  step.run = instr.run;
  step.code = instr.code;
  for (int k = 0; k < instr.operands(); ++k) {
    Value& in = values_[instr.in[k]];
    if (in.port >= 0 && in.place.kind == Place::none) {
      in.place = block_for(instr.in[k]);
      load(instr.in[k], in.place);
    }
    step.in.push_back(in.place);
  }
  auto let_go = [&] {
    for (int k = 0; k < instr.operands(); ++k) {
      const Value& in = values_[instr.in[k]];
      if (in.last == when && in.stored < when) give(instr.in[k]);
    }
  };
  // An op of one width may write over what dies here; a widening one would overtake its input.
  if (instr.same_width) let_go();
  Value& out = values_[instr.out];
  if (out.place.kind == Place::none) out.place = {Place::block, take()};
  step.out = out.place;
  if (!instr.same_width) let_go();
  code.push_back(step);
  if (out.last < 0 && out.stored < 0) give(instr.out);
}

// A single that is stored fills a block before all: of its own, since nothing fills it again.
Place Layout::in_block(uint32_t reg) {
  const Place place{Place::block, uint32_t(blocks++)};
  filled.push_back(place);
  filled.push_back(values_[reg].place);
  return place;
}

void Layout::store(const Storing& storing, int32_t when) {
  const Port& port = program.store[storing.store];
  const bool direct = access_[program.load.size() + storing.store] == Access::direct;
  const Place to{Place::store, storing.store};
  Value& value = values_[port.reg];
  if (value.port >= 0 && value.place.kind == Place::none) {
    if (direct && !converts(port) && !streams_[storing.store] && value.last < 0 &&
        value.stored == when) {
      load(port.reg, to);
      value.place = to;
      return;
    }
    value.place = block_for(port.reg);
    load(port.reg, value.place);
  }
  if (direct && value.single && !converts(port)) {
    code.push_back(kernel_step(fill_kernel(size_of(port.type)), to, value.place));
    return;
  }
  const Place from = value.single ? in_block(port.reg) : value.place;
  if (direct) {
    const Kernel kernel = converts(port)             ? narrow_kernel(port.type)
                          : streams_[storing.store] ? stream_kernel(size_of(port.type))
                                                    : copy_kernel(size_of(port.type));
    code.push_back(kernel_step(kernel, to, from));
    return;
  }
  Step& step = code.emplace_back();
  step.kind = Step::scatter;
  step.port = storing.store;
  step.in.push_back(from);
}

// ---- sizes

// The largest block that stays in the first-level cache: its registers, the arrays that stream
// through it, and some of the constants, which are read one after the other.
void Layout::choose_sizes() {
  const int64_t padded = std::max<int64_t>((size + group - 1) / group * group, group);
  const int64_t alive = blocks + int64_t(program.load.size() + program.store.size());
  const int64_t cache = first_level_cache();
  const int64_t room = cache - std::min(single_count * single_bytes / 2, cache / 4);
  // No larger than what the calls are worth: while one step of a block fetches nothing, memory
  // rests. (Rows are not cut for that, nor squares made smaller.)
  const bool far = size * program.width > int64_t{4} << 20;
  block = (streams ? 2 : tiles.axis >= 0 || tiles.columns ? 8 : far ? 1 : 2) * block_size;
  while (block > 2 * group && block * program.width * alive > room) block /= 2;
  // Long expressions work on a few lines of each array at a time, as many as the hardware fetches
  // ahead meanwhile: 250 ops on 1e6 floats take 0.8 of the time.
  if (far && !tiles.columns && tiles.axis < 0 &&
      0.2 * double(program.code.size()) + 0.1 * double(program.load.size()) >=
          0.5 * double(code.size()))
    block = std::max(group, line_run / program.width);
  // One kernel on arrays where they lie: nothing to keep in that cache.
  if (blocks == 0 && code.size() == 1 && tiles.axis < 0 && !tiles.columns) block = chunk_size;
  chunk = chunk_size;
  while (chunk > 4 * block_size && double(chunk) * program.cost > 200e3) chunk /= 2;
  chunk = std::max(chunk, block);
  // Little of what is dear is shared by two.
  if (double(size) * program.cost >= 10e3)
    while (chunk > block_size && chunk >= size) chunk /= 2;
  block = std::min(block, chunk);
  // Whole periods, as many as there are: each block then has the same of what repeats.
  int64_t whole = group;
  for (const int64_t period : periods_)
    if (period && std::lcm(whole, period) <= block) whole = std::lcm(whole, period);
  if (whole > group) {
    block = block / whole * whole;
    chunk = std::max(chunk / block * block, block);
  }
  if (tiles.axis >= 0 || tiles.columns) choose_tiles();
  register_bytes = std::min(block, padded) * program.width;
}

// Squares of about a block's size, or parts of rows of at most that.
void Layout::choose_tiles() {
  const int last = int(shape.size()) - 1;
  tiles.columns = block;
  if (tiles.axis >= 0) {
    while (tiles.columns * tiles.columns > 2 * block) tiles.columns /= 2;
    tiles.rows = block / tiles.columns;
  }
  tiles.grid = shape;
  tiles.grid[last] = (shape[last] + tiles.columns - 1) / tiles.columns;
  if (tiles.axis >= 0)
    tiles.grid[tiles.axis] = (shape[tiles.axis] + tiles.rows - 1) / tiles.rows;
  tiles.count = size_of(tiles.grid);
  const int64_t elements = tiles.rows * std::min(tiles.columns, shape[last]);
  chunk = std::max<int64_t>(chunk / elements, 1);
  find_tile_steps();
}
void Layout::find_tile_steps() {
  const int axes = int(shape.size());
  const size_t loads = program.load.size(), ports = loads + program.store.size();
  tile_steps.resize(size_t(axes) * ports);
  for (size_t k = 0; k < ports; ++k) {
    const int64_t bytes = size_of((k < loads ? program.load[k] : program.store[k - loads]).type);
    int64_t back = 0;
    for (int a = axes - 1; a >= 0; --a) {
      const int64_t step = tiles.unit(a) * strides[k][a] * bytes;
      tile_steps[size_t(a) * ports + k] = step - back;
      back += step * (tiles.grid[a] - 1);
    }
  }
}

}  // namespace lazulite::cpu
