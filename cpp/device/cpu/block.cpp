#include "device/cpu/block.h"

#include <bit>
#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>

#include "device/cpu/layout.h"
#include "device/cpu/level.h"
#include "device/cpu/move.h"
#include "device/cpu/pool.h"
#include "device/cpu/thread_memory.h"
#include "device/device.h"
#include "device/limits.h"

namespace lazulite::cpu {
LAZULITE_LEVELS(const BlockKernels&, block_kernels)

Kernel cast_kernel(Dtype from, Dtype to) { return block_kernels().cast[int(from)][int(to)]; }
Kernel widen_kernel(Dtype half) { return block_kernels().widen[half == bfloat16]; }
Kernel narrow_kernel(Dtype half) { return block_kernels().narrow[half == bfloat16]; }

namespace {

constexpr int64_t group = Layout::group;
constexpr int64_t wide_bytes = group * 16;  // of a single as kernels compute it
int64_t padded(int64_t n) { return (n + group - 1) / group * group; }

// A step with the addresses that it has in this thread.
struct BoundStep {
  Kernel run;        // null: a strided move
  void* out;
  const void** in;
  int64_t repeated;  // bits of n
  const Step* step;
  // Of a load that begins anew: where in it the elements that are there begin, in which span, and
  // how many.
  int64_t phase = 0, span = 0, held = 0;
};

// An address that moves with the blocks: into the array of a port, or to a padded copy of it.
struct Moving {
  const void** address;
  uint32_t port;  // of loads, then stores
};

// Where a block begins in each array, and what it spans.
struct Piece {
  int64_t start = 0;               // of a run
  int64_t rows = 1, columns = 0;   // of a tile
};

// What one thread needs to run a layout; kept from chunk to chunk of a run, and its memory longer.
struct Room {
  ThreadMemory memory;
  uint64_t layout = 0;  // whose steps are bound,
  bool pieces = false;  // and for what pieces,
  uint64_t run = 0;     // and whose scalars are there
  char *wide = nullptr, *half = nullptr, *tail = nullptr;
  std::vector<BoundStep> steps;
  std::vector<const void*> operands;
  std::vector<Moving> moving;
  std::vector<char*> at;       // where the block begins in the array of each port
  SmallVector<int64_t, 6> index;  // of the tile
};

struct Runner {
  const Layout& layout;
  const Binding* bindings;
  Room& room;
  bool pieces = false;  // which begin and end anywhere
  bool apart = false;   // no store writes over what a load reads: elements may be made twice

  const BlockProgram& program() const { return layout.program; }
  size_t loads() const { return program().load.size(); }
  size_t ports() const { return loads() + program().store.size(); }
  const Port& port(size_t k) const {
    return k < loads() ? program().load[k] : program().store[k - loads()];
  }
  uint32_t number(Place place) const {
    return uint32_t(place.kind == Place::load ? place.at : loads() + place.at);
  }
  char* array(const Port& port) const {
    return static_cast<char*>(bindings[port.value].data);
  }
  char* block_at(uint32_t at) const { return room.memory.data() + at * layout.register_bytes; }
  char* single_at(uint32_t at) const {
    return room.memory.data() + layout.blocks * layout.register_bytes + at * Layout::single_bytes;
  }
  char* tail_of(size_t port) const { return room.tail + int64_t(port) * layout.register_bytes; }

  // blocks | singles | 64 elements of each single, where some are computed | a block of halves |
  // copies of the arrays' last blocks
  void bind() {
    room.run = 0;
    const bool bound = room.layout == layout.id && room.pieces == pieces;
    if (!bound) return bind_steps();
    if (layout.reads_scalars()) fill_singles();
    for (BoundStep& step : room.steps) step.held = 0;
  }
  void bind_steps() {
    const int64_t singles = layout.blocks * layout.register_bytes;
    const int64_t wide = singles + layout.single_count * Layout::single_bytes;
    const int64_t half = wide + (layout.once.empty() ? 0 : layout.single_count * wide_bytes);
    const int64_t tail = half + layout.block * 2;
    const bool has_tail = layout.has_tails() || pieces;
    room.layout = 0;
    char* const data = room.memory.reserve(
        tail + (has_tail ? int64_t(ports()) * layout.register_bytes : 0) + wide_bytes);
    room.half = data + half;
    room.tail = data + tail;
    room.wide = data + wide;
    fill_singles();
    room.steps.clear();
    room.moving.clear();
    room.at.resize(ports());
    room.steps.resize(layout.code.size());
    size_t operands = 0;
    for (const Step& step : layout.code) operands += step.in.size() + 1;
    room.operands.resize(operands);
    const void** next = room.operands.data();
    for (size_t i = 0; i < layout.code.size(); ++i) bind_step(layout.code[i], room.steps[i], next);
    room.layout = layout.id;
    room.pieces = pieces;
  }
  void fill_singles() {
    make_singles(room.wide);
    for (size_t k = 0; k < layout.filled.size(); k += 2)
      for (int64_t at = 0; at < layout.register_bytes; at += 64)
        std::memcpy(block_at(layout.filled[k].at) + at, single_at(layout.filled[k + 1].at), 64);
  }

  void bind_step(const Step& step, BoundStep& bound, const void**& next) {
    bound = {step.kind == Step::kernel ? step.run : nullptr, nullptr, next, 0, &step};
    if (step.code) *next++ = step.code;
    auto place = [&](Place at, const void** address) {
      switch (at.kind) {
        case Place::block: *address = block_at(at.at); break;
        case Place::single: *address = single_at(at.at); break;
        case Place::load:
        case Place::store: room.moving.push_back({address, number(at)}); break;
        case Place::none: break;
      }
    };
    place(step.out, const_cast<const void**>(&bound.out));
    for (size_t k = 0; k < step.in.size(); ++k, ++next) {
      place(step.in[k], next);
      if (step.in[k].kind == Place::single) bound.repeated |= repeats(int(k));
    }
  }

  // One vector of each constant and scalar, and of what is computed of them alone.
  void make_singles(char* wide) {
    alignas(64) char one[64];
    const bool more = !layout.once.empty();
    for (const Single& single : layout.singles) {
      const Dtype type = single.number ? constant(*single.number, one)
                                       : element(single.port, array(port(single.port)), one);
      const int64_t bytes = size_of(type);
      if (more) fill(bytes, wide + single.at * wide_bytes, one, group);
      else fill_single(bytes, single_at(single.at), one);
    }
    if (!more) return;
    for (const Step& step : layout.once) {
      const void* in[3];
      for (size_t k = 0; k < step.in.size(); ++k) in[k] = wide + step.in[k].at * wide_bytes;
      step.run(wide + step.out.at * wide_bytes, in, group);
    }
    for (int k = 0; k < layout.single_count; ++k)
      std::memcpy(single_at(uint32_t(k)), wide + k * wide_bytes, Layout::single_bytes);
  }
  // A power of two: a division would take longer than the rest.
  static void fill_single(int64_t bytes, char* to, const char* one) {
    fill(bytes, to, one, Layout::single_bytes >> std::countr_zero(uint64_t(bytes)));
  }
  static Dtype constant(const Immediate& number, char* one) {
    number.number.write(number.type, one);
    return number.type;
  }
  // The element of a load that lies there, as registers hold it.
  Dtype element(uint32_t load, const char* from, char* one) const {
    const Dtype type = program().load[load].type;
    if (!layout.converts(program().load[load])) {
      std::memcpy(one, from, size_t(size_of(type)));
      return type;
    }
    alignas(64) char half[64], full[256];
    fill(2, half, from, 32);
    const void* in[1] = {half};
    widen_kernel(type)(full, in, 32);
    std::memcpy(one, full, 4);
    return float32;
  }
  void make_row_singles() const {
    alignas(64) char one[64];
    for (const Single& single : layout.of_row) {
      const int64_t bytes = size_of(element(single.port, room.at[single.port], one));
      fill_single(bytes, single_at(single.at), one);
    }
  }

  void gather_block(BoundStep& bound, const Piece& piece, int64_t n) const {
    const uint32_t k = bound.step->port;
    if (const int64_t period = layout.period(k)) {
      const int64_t phase = piece.start % period, span = piece.start / layout.span(k);
      const bool inside = (piece.start + n - 1) / layout.span(k) == span;
      if (inside && bound.phase == phase && bound.span == span && n <= bound.held) return;
      bound.phase = phase;
      bound.span = span;
      bound.held = inside ? n : 0;
    }
    const Port& from = program().load[k];
    const bool half = layout.converts(from);
    const int64_t bytes = size_of(from.type), whole = padded(n);
    char* to = half ? room.half : static_cast<char*>(bound.out);
    if (layout.tiles.count) {
      gather_tile(bytes, to, room.at[k], piece.rows, piece.columns, row_step(k), column_step(k));
    } else {
      const Layout::View& view = layout.view(k);
      gather(bytes, to, array(from), view.shape, view.strides, piece.start, n);
    }
    if (whole > n) std::memset(to + n * bytes, 1, size_t((whole - n) * bytes));
    if (!half) return;
    const void* in[1] = {to};
    widen_kernel(from.type)(bound.out, in, whole);
  }
  void scatter_block(const BoundStep& bound, const Piece& piece, int64_t n) const {
    const size_t k = loads() + bound.step->port;
    const Port& to = port(k);
    const void* from = bound.in[0];
    if (layout.converts(to)) {
      narrow_kernel(to.type)(room.half, &from, padded(n));
      from = room.half;
    }
    const int64_t bytes = size_of(to.type);
    if (layout.tiles.count) {
      scatter_tile(bytes, from, room.at[k], piece.rows, piece.columns, row_step(k), column_step(k));
    } else {
      const Layout::View& view = layout.view(k);
      scatter(bytes, from, array(to), view.shape, view.strides, piece.start, n);
    }
  }
  int64_t row_step(size_t port) const {
    return layout.tiles.axis < 0 ? 0 : layout.strides[port][layout.tiles.axis];
  }
  int64_t column_step(size_t port) const { return layout.strides[port].back(); }

  void run_steps(const Piece& piece, int64_t n) const {
    const int64_t whole = padded(n);
    for (BoundStep& bound : room.steps) {
      if (bound.run) bound.run(bound.out, bound.in, whole | bound.repeated);
      else if (bound.step->kind == Step::gather) gather_block(bound, piece, n);
      else scatter_block(bound, piece, n);
    }
  }
  void run_block(const Piece& piece, int64_t n) const {
    if (n % group) return run_tail(piece, n);
    for (const Moving& moving : room.moving) *moving.address = room.at[moving.port];
    run_steps(piece, n);
  }

  // A block that ends inside of a group: kernels work on padded copies of the arrays.
  void run_tail(const Piece& piece, int64_t n) const {
    for (const Moving& moving : room.moving) *moving.address = tail_of(moving.port);
    for (size_t k = 0; k < loads(); ++k) {
      if (!layout.in_place(k)) continue;
      const int64_t bytes = size_of(port(k).type);
      std::memcpy(tail_of(k), room.at[k], size_t(n * bytes));
      std::memset(tail_of(k) + n * bytes, 1, size_t((padded(n) - n) * bytes));
    }
    run_steps(piece, n);
    for (size_t k = loads(); k < ports(); ++k)
      if (layout.in_place(k))
        std::memcpy(room.at[k], tail_of(k), size_t(n * size_of(port(k).type)));
  }

  void run_runs(int64_t begin, int64_t end) const {
    for (int64_t start = begin, n; start < end; start += n) {
      place_run(start, ports());
      n = longest_run(start, std::min(layout.block, end - start));
      const int64_t main = n / group * group;
      if (main == n || main == 0 || room.steps.size() > 16) {
        run_block({start}, n);
        continue;
      }
      run_block({start}, main);
      const int64_t rest = end_of(n);
      for (size_t k = 0; k < ports(); ++k) room.at[k] += (n - rest) * size_of(port(k).type);
      run_block({start + n - rest}, rest);
    }
  }
  // Where a block begins in that many arrays, and how long it may be.
  void place_run(int64_t start, size_t arrays) const {
    for (size_t k = 0; k < arrays; ++k) {
      const int64_t at = layout.wraps(k) ? start % layout.wrap : start;
      room.at[k] = array(port(k)) + at * size_of(port(k).type);
    }
  }
  int64_t longest_run(int64_t start, int64_t n) const {
    return layout.wrap ? std::min(n, layout.wrap - start % layout.wrap) : n;
  }
  // Of n elements the last ones, which are no whole group. Where nothing is written over they are
  // the end of one that overlaps the group before: no copies, and the same bits again.
  int64_t end_of(int64_t n) const { return apart ? group : n % group; }

  void run_tiles(int64_t begin, int64_t end) const {
    const Tiles& tiles = layout.tiles;
    const int last = int(tiles.grid.size()) - 1;
    auto& index = room.index;
    index.resize(tiles.grid.size());
    int64_t rest = begin;
    for (int a = last; a >= 0; --a) {
      index[a] = rest % tiles.grid[a];
      rest /= tiles.grid[a];
    }
    place_tile();
    bool row_begins = true;
    for (int64_t tile = begin; tile < end; ++tile) {
      run_tile(row_begins);
      int a = last;
      for (; a > 0 && ++index[a] == tiles.grid[a]; --a) index[a] = 0;
      if (a == 0) ++index[0];
      const int64_t* step = &layout.tile_steps[size_t(a) * ports()];
      for (size_t k = 0; k < ports(); ++k) room.at[k] += step[k];
      row_begins = a < last || tiles.axis >= 0;
    }
  }
  // Where the tile of the index begins in each array.
  void place_tile() const {
    const Tiles& tiles = layout.tiles;
    for (size_t k = 0; k < ports(); ++k) {
      int64_t offset = 0;
      for (size_t a = 0; a < tiles.grid.size(); ++a)
        offset += room.index[a] * tiles.unit(int(a)) * layout.strides[k][a];
      room.at[k] = array(port(k)) + offset * size_of(port(k).type);
    }
  }
  void run_tile(bool row_begins) const {
    const Tiles& tiles = layout.tiles;
    const int last = int(tiles.grid.size()) - 1;
    const auto fits = [&](int axis) {
      const int64_t unit = tiles.unit(axis);
      return std::min(unit, layout.shape[axis] - room.index[axis] * unit);
    };
    const Piece piece{0, tiles.axis >= 0 ? fits(tiles.axis) : 1, fits(last)};
    if (row_begins) make_row_singles();
    if (tiles.axis >= 0) run_block(piece, piece.rows * piece.columns);
    else run_row(piece.columns);
  }
  // Part of a row. Short programs leave as little as they can to the copies.
  void run_row(int64_t n) const {
    const int64_t main = n / group * group;
    if (main == n || main == 0 || room.steps.size() > 16) return run_block({0, 1, n}, n);
    run_block({0, 1, main}, main);
    const int64_t rest = end_of(n);
    move_along_row(n - rest);
    run_block({0, 1, rest}, rest);
    move_along_row(rest - n);
  }
  void move_along_row(int64_t n) const {
    for (size_t k = 0; k < ports(); ++k)
      room.at[k] += n * column_step(k) * size_of(port(k).type);
  }

  // Elements [start, start + n) of the domain; the last store's one after the other from `to` on,
  // where that is given.
  void run_piece(int64_t start, int64_t n, char* to) const {
    const size_t last = ports() - 1, arrays = to ? last : ports();
    const int64_t width = size_of(port(last).type);
    for (int64_t done = 0; done < n;) {
      const int64_t at = start + done;
      int64_t some = std::min(layout.block, n - done);
      if (layout.tiles.columns) {
        const int64_t row = layout.shape.back();
        some = std::min(some, row - at % row);
        find_row(at, arrays);
        if (to) room.at[last] = to + done * width;
        make_row_singles();
        run_row(some);
      } else {
        some = longest_run(at, some);
        if (some % group && some > group && room.steps.size() <= 16) some = some / group * group;
        place_run(at, arrays);
        if (to) room.at[last] = to + done * width;
        run_block({at}, some);
      }
      done += some;
    }
  }
  // The addresses of one element in that many arrays.
  void find_row(int64_t at, size_t arrays) const {
    const int last = int(layout.shape.size()) - 1;
    auto& index = room.index;
    index.resize(layout.shape.size());
    for (int a = last; a >= 0; --a) {
      index[a] = at % layout.shape[a];
      at /= layout.shape[a];
    }
    for (size_t k = 0; k < arrays; ++k) {
      int64_t offset = 0;
      for (int a = 0; a <= last; ++a) offset += index[a] * layout.strides[k][a];
      room.at[k] = array(port(k)) + offset * size_of(port(k).type);
    }
  }

  void run(int64_t begin, int64_t end) const {
    layout.tiles.count ? run_tiles(begin, end) : run_runs(begin, end);
  }
};

// f(runner), ready to run in this thread. `run`: what has the same number is bound once; 0: alone.
// `use`: programs that take turns in one thread have rooms of their own.
enum class Use { whole, formed, after };
template <class F>
void with_runner(const Layout& layout, const Binding* bindings, uint64_t run, Use use, bool apart,
                 F&& f) {
  thread_local const std::unique_ptr<Room[]> rooms(new Room[3]);  // memory of threads is scarce
  Room& room = rooms[int(use)];
  Runner runner{layout, bindings, room, use != Use::whole, apart};
  if (run == 0 || room.run != run) {
    runner.bind();
    room.run = run;
  }
  f(runner);
  if (layout.streams) end_stream();
}
std::atomic<uint64_t> runs{0};

// `apart`: as the runner has it.
void run_layout(const Layout& layout, const Binding* bindings, bool apart) {
  const auto run_range = [&](uint64_t run, int64_t begin, int64_t end) {
    with_runner(layout, bindings, run, Use::whole, apart,
                [&](const Runner& runner) { runner.run(begin, end); });
  };
  const int64_t all = layout.tiles.count ? layout.tiles.count : layout.size;
  if (all <= layout.chunk) return run_range(0, 0, all);
  const uint64_t run = ++runs;
  cpu::parallel_for(
      (all + layout.chunk - 1) / layout.chunk,
      [&](int64_t chunk) {
        run_range(run, chunk * layout.chunk, std::min(all, (chunk + 1) * layout.chunk));
      },
      double(layout.size) * layout.program.cost);
}

// For each store the load whose memory it writes over, or -1; empty where there is none.
SmallVector<int, 4> shared_memory(const BlockProgram& program, const Binding* bindings) {
  SmallVector<int, 4> shared;
  const size_t loads = program.load.size(), stores = program.store.size();
  auto found = [&](size_t store, int load) {
    shared.resize(stores, -1);
    shared[store] = load;
  };
  auto data = [&](const Port& port) { return bindings[port.value].data; };
  if (loads * stores <= 64) {
    for (size_t k = 0; k < stores; ++k)
      for (size_t from = 0; from < loads; ++from)
        if (data(program.load[from]) == data(program.store[k])) found(k, int(from));
    return shared;
  }
  std::vector<std::pair<const void*, int>> sorted;
  for (size_t k = 0; k < loads; ++k) sorted.push_back({data(program.load[k]), int(k)});
  std::sort(sorted.begin(), sorted.end());
  for (size_t k = 0; k < stores; ++k) {
    const void* at = data(program.store[k]);
    const auto load = std::lower_bound(sorted.begin(), sorted.end(), std::pair{at, -1});
    if (load != sorted.end() && load->first == at) found(k, load->second);
  }
  return shared;
}

}  // namespace
}  // namespace lazulite::cpu

namespace lazulite {

struct PlannedProgram {
  cpu::Layout layout;
  explicit PlannedProgram(const BlockProgram& program) : layout(program) {}
};

void run_program(const BlockProgram& program, const Binding* bindings) {
  if (size_of(program.domain) == 0) return;
  const auto shared = cpu::shared_memory(program, bindings);
  cpu::run_layout(cpu::Layout(program, shared), bindings, shared.empty());
}
std::shared_ptr<const PlannedProgram> plan_program(const BlockProgram& program) {
  return std::make_shared<const PlannedProgram>(program);
}
void run_program(const PlannedProgram& planned, const Binding* bindings) {
  const cpu::Layout& layout = planned.layout;
  if (layout.size == 0) return;
  // Results are written as soon as they are there, but for one that goes over what is read later.
  const auto shared = cpu::shared_memory(layout.program, bindings);
  if (layout.allows(shared)) return cpu::run_layout(layout, bindings, shared.empty());
  cpu::run_layout(cpu::Layout(layout.program, shared), bindings, false);
}

struct InPieces::Impl {
  std::optional<cpu::Layout> own;
  const cpu::Layout& layout;
  const Binding* bindings;
  const uint64_t run = ++cpu::runs;
  std::atomic<bool> ran{false};

  Impl(const BlockProgram& program, const Binding* b)
      : own(std::in_place, program, cpu::shared_memory(program, b)), layout(*own), bindings(b) {}
  Impl(const PlannedProgram& planned, const Binding* b)
      : layout(fitting(planned.layout, b)), bindings(b) {}

  const cpu::Layout& fitting(const cpu::Layout& planned, const Binding* b) {
    const auto shared = cpu::shared_memory(planned.program, b);
    if (planned.allows(shared)) return planned;
    return own.emplace(planned.program, shared);
  }
};

InPieces::InPieces(const BlockProgram& program, const Binding* bindings)
    : impl_(std::make_unique<Impl>(program, bindings)) {}
InPieces::InPieces(const PlannedProgram& planned, const Binding* bindings)
    : impl_(std::make_unique<Impl>(planned, bindings)) {}
InPieces::~InPieces() = default;

bool InPieces::by_rows() const { return impl_->layout.tiles.axis < 0; }
double InPieces::cost() const { return impl_->layout.program.cost; }

Ref<Buffer> Formed::all() const {
  const BlockProgram& program = impl_->layout.program;
  const Port& last = program.store.back();
  Ref<Buffer> buffer = allocate(size_of(program.domain) * size_of(last.type));
  SmallVector<Binding, 8> bindings(impl_->bindings, impl_->bindings + last.value);
  bindings.push_back({buffer->data});
  if (size_of(program.domain)) cpu::run_layout(impl_->layout, bindings.data(), false);
  return buffer;
}

void Formed::form(int64_t start, int64_t runs, int64_t step, int64_t n, void* to) const {
  const int64_t bytes = n * size_of(impl_->layout.program.store.back().type);
  cpu::with_runner(impl_->layout, impl_->bindings, impl_->run, cpu::Use::formed, false,
                   [&](const cpu::Runner& runner) {
                     for (int64_t i = 0; i < runs; ++i)
                       runner.run_piece(start + i * step, n, static_cast<char*>(to) + i * bytes);
                   });
}

bool After::ran() const { return impl_->ran.load(std::memory_order_relaxed); }
void After::run_all() const {
  if (impl_->layout.size) cpu::run_layout(impl_->layout, impl_->bindings, false);
}

void After::run_at(const void* from, size_t value, int64_t start, int64_t n) const {
  if (!ran()) impl_->ran.store(true, std::memory_order_relaxed);
  const BlockProgram& program = impl_->layout.program;
  size_t count = 0;
  int64_t width = 0;
  for (const Port& port : program.load) {
    count = std::max(count, size_t(port.value) + 1);
    if (port.value == value) width = size_of(port.type);
  }
  for (const Port& port : program.store) count = std::max(count, size_t(port.value) + 1);
  SmallVector<Binding, 8> bindings(impl_->bindings, impl_->bindings + count);
  // The program counts from the first element of its domain.
  const auto first = reinterpret_cast<uintptr_t>(from) - uintptr_t(start * width);
  bindings[value].data = reinterpret_cast<void*>(first);
  cpu::with_runner(impl_->layout, bindings.data(), impl_->run, cpu::Use::after, false,
                   [&](const cpu::Runner& runner) { runner.run_piece(start, n, nullptr); });
}

void After::run(int64_t start, int64_t runs, int64_t step, int64_t n) const {
  if (!ran()) impl_->ran.store(true, std::memory_order_relaxed);
  if (n == step) {
    n *= runs;
    runs = 1;
  }
  cpu::with_runner(impl_->layout, impl_->bindings, impl_->run, cpu::Use::after, false,
                   [&](const cpu::Runner& runner) {
                     for (int64_t i = 0; i < runs; ++i)
                       runner.run_piece(start + i * step, n, nullptr);
                   });
}

}  // namespace lazulite
