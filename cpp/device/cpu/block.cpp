#include "device/cpu/block.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "device/cpu/layout.h"
#include "device/cpu/level.h"
#include "device/cpu/move.h"
#include "device/cpu/pool.h"
#include "device/limits.h"

namespace lazulite::cpu {
LAZULITE_LEVELS(const BlockKernels&, block_kernels)

Kernel cast_kernel(Dtype from, Dtype to) { return block_kernels().cast[int(from)][int(to)]; }
Kernel round_kernel(Dtype half) { return block_kernels().round[half == bfloat16]; }
Kernel widen_kernel(Dtype half) { return block_kernels().widen[half == bfloat16]; }
Kernel narrow_kernel(Dtype half) { return block_kernels().narrow[half == bfloat16]; }

namespace {

constexpr int64_t group = Layout::group;
int64_t padded(int64_t n) { return (n + group - 1) / group * group; }

// A step with the addresses that it has in this thread.
struct Bound {
  Kernel run;        // null: a strided move
  void* out;
  const void* in[3];
  int64_t repeated;  // bits of n
  const Step* step;
};

// An address that moves with the blocks: into an array, or where the last block has its copy of it.
struct Moving {
  const void** address;
  char* array;
  char* tail;
  int64_t bytes;
};

// What one thread needs to run a layout; kept from chunk to chunk of a run, and its memory longer.
struct Room {
  char* data = nullptr;
  int64_t bytes = 0;
  uint64_t run = 0;  // whose steps are bound
  char *half = nullptr, *tail = nullptr;
  std::vector<Bound> steps;
  std::vector<Moving> moving;

  ~Room() { std::free(data); }
  void reserve(int64_t wanted) {
    if (bytes >= wanted) return;
    std::free(data);
    bytes = 0;
    wanted = (wanted + 4095) / 4096 * 4096;
    data = static_cast<char*>(std::aligned_alloc(4096, size_t(wanted)));
    if (!data) throw std::bad_alloc();
    bytes = wanted;
  }
};

struct Runner {
  const Layout& layout;
  const Binding* bindings;
  Room& room;

  const BlockProgram& program() const { return layout.program; }
  const Port& port(Place place) const {
    return place.kind == Place::load ? program().load[place.at] : program().store[place.at];
  }
  char* array(const Port& port) const {
    return static_cast<char*>(bindings[port.value].data);
  }
  char* block_at(uint32_t at) const { return room.data + at * layout.register_bytes; }
  char* single_at(uint32_t at) const {
    return room.data + layout.blocks * layout.register_bytes + at * Layout::single_bytes;
  }
  char* tail_of(Place place) const {
    const int64_t k = place.kind == Place::load ? place.at : program().load.size() + place.at;
    return room.tail + k * layout.register_bytes;
  }

  // blocks | singles | 64 elements of each single, where some are computed | a block of halves |
  // copies of the arrays' last blocks
  void bind() {
    const int64_t wide_bytes = group * 16;
    const int64_t singles = layout.blocks * layout.register_bytes;
    const int64_t wide = singles + layout.single_count * Layout::single_bytes;
    const int64_t half = wide + (layout.once.empty() ? 0 : layout.single_count * wide_bytes);
    const int64_t tail = half + layout.block * 2;
    const int64_t ports = int64_t(program().load.size() + program().store.size());
    const bool has_tail = layout.size % group != 0;
    room.run = 0;
    room.reserve(tail + (has_tail ? ports * layout.register_bytes : 0) + wide_bytes);
    room.half = room.data + half;
    room.tail = room.data + tail;
    make_singles(room.data + wide, wide_bytes);
    for (size_t k = 0; k < layout.filled.size(); k += 2)
      for (int64_t at = 0; at < layout.register_bytes; at += 64)
        std::memcpy(block_at(layout.filled[k].at) + at, single_at(layout.filled[k + 1].at), 64);
    room.steps.clear();
    room.moving.clear();
    room.steps.resize(layout.code.size());
    for (size_t i = 0; i < layout.code.size(); ++i) bind_step(layout.code[i], room.steps[i]);
  }

  void bind_step(const Step& step, Bound& bound) {
    bound = {step.kind == Step::kernel ? step.run : nullptr, nullptr, {}, 0, &step};
    auto place = [&](Place at, const void** address) {
      switch (at.kind) {
        case Place::block: *address = block_at(at.at); break;
        case Place::single: *address = single_at(at.at); break;
        case Place::load:
        case Place::store:
          room.moving.push_back({address, array(port(at)), tail_of(at), size_of(port(at).type)});
          break;
        case Place::none: break;
      }
    };
    place(step.out, const_cast<const void**>(&bound.out));
    const int operands = step.kind == Step::kernel ? step.operands : step.kind == Step::scatter;
    for (int k = 0; k < operands; ++k) {
      place(step.in[k], &bound.in[k]);
      if (step.in[k].kind == Place::single) bound.repeated |= repeats(k);
    }
  }

  // One vector of each constant and scalar, and of what is computed of them alone.
  void make_singles(char* wide, int64_t wide_bytes) {
    alignas(64) char one[64];
    const bool more = !layout.once.empty();
    for (const Single& single : layout.singles) {
      const Dtype type = element(single, one);
      const int64_t bytes = size_of(type);
      if (more) fill(bytes, wide + single.at * wide_bytes, one, group);
      else fill(bytes, single_at(single.at), one, Layout::single_bytes / bytes);
    }
    if (!more) return;
    for (const Step& step : layout.once) {
      const void* in[3];
      for (int k = 0; k < step.operands; ++k) in[k] = wide + step.in[k].at * wide_bytes;
      step.run(wide + step.out.at * wide_bytes, in, group);
    }
    for (int k = 0; k < layout.single_count; ++k)
      std::memcpy(single_at(uint32_t(k)), wide + k * wide_bytes, Layout::single_bytes);
  }
  Dtype element(const Single& single, char* one) const {
    if (single.number) {
      single.number->number.write(single.number->type, one);
      return single.number->type;
    }
    const Port& from = program().load[single.port];
    if (!layout.converts(from)) {
      std::memcpy(one, array(from), size_t(size_of(from.type)));
      return from.type;
    }
    alignas(64) char half[64], full[256];
    fill(2, half, array(from), 32);
    const void* in[1] = {half};
    widen_kernel(from.type)(full, in, 32);
    std::memcpy(one, full, 4);
    return float32;
  }

  void gather_block(const Bound& bound, int64_t start, int64_t n) const {
    const Port& from = program().load[bound.step->port];
    const bool half = layout.converts(from);
    const int64_t bytes = size_of(from.type), whole = padded(n);
    char* to = half ? room.half : static_cast<char*>(bound.out);
    gather(bytes, to, array(from), layout.shape, layout.strides[bound.step->port], start, n);
    if (whole > n) std::memset(to + n * bytes, 1, size_t((whole - n) * bytes));
    if (!half) return;
    const void* in[1] = {to};
    widen_kernel(from.type)(bound.out, in, whole);
  }
  void scatter_block(const Bound& bound, int64_t start, int64_t n) const {
    const Port& to = program().store[bound.step->port];
    const void* from = bound.in[0];
    if (layout.converts(to)) {
      narrow_kernel(to.type)(room.half, &from, padded(n));
      from = room.half;
    }
    scatter(size_of(to.type), from, array(to), layout.shape,
            layout.strides[program().load.size() + bound.step->port], start, n);
  }

  void run_block(int64_t start, int64_t n) const {
    const int64_t whole = padded(n);
    for (const Bound& bound : room.steps) {
      if (bound.run) bound.run(bound.out, bound.in, whole | bound.repeated);
      else if (bound.step->kind == Step::gather) gather_block(bound, start, n);
      else scatter_block(bound, start, n);
    }
  }

  // A block that ends inside of a group: kernels work on padded copies of the arrays.
  void run_tail(int64_t start, int64_t n) const {
    for (const Moving& moving : room.moving) *moving.address = moving.tail;
    for (size_t k = 0; k < program().load.size(); ++k) {
      const Port& from = program().load[k];
      const int64_t bytes = size_of(from.type);
      if (!layout.in_place(uint32_t(k))) continue;
      char* to = tail_of({Place::load, uint32_t(k)});
      std::memcpy(to, array(from) + start * bytes, size_t(n * bytes));
      std::memset(to + n * bytes, 1, size_t((padded(n) - n) * bytes));
    }
    run_block(start, n);
    for (size_t k = 0; k < program().store.size(); ++k) {
      const Port& to = program().store[k];
      const int64_t bytes = size_of(to.type);
      if (layout.in_place(uint32_t(program().load.size() + k)))
        std::memcpy(array(to) + start * bytes, tail_of({Place::store, uint32_t(k)}),
                    size_t(n * bytes));
    }
  }

  void run(int64_t begin, int64_t end) const {
    for (int64_t start = begin; start < end; start += layout.block) {
      const int64_t n = std::min(layout.block, end - start);
      if (n % group) return run_tail(start, n);
      for (const Moving& moving : room.moving)
        *moving.address = moving.array + start * moving.bytes;
      run_block(start, n);
    }
  }
};

void run_range(const Layout& layout, const Binding* bindings, uint64_t run, int64_t begin,
               int64_t end) {
  thread_local Room room;
  Runner runner{layout, bindings, room};
  if (run == 0 || room.run != run) {
    runner.bind();
    room.run = run;
  }
  runner.run(begin, end);
}

void run_layout(const Layout& layout, const Binding* bindings) {
  static std::atomic<uint64_t> runs{0};
  if (layout.size <= layout.chunk) return run_range(layout, bindings, 0, 0, layout.size);
  const uint64_t run = ++runs;
  cpu::parallel_for(
      (layout.size + layout.chunk - 1) / layout.chunk,
      [&](int64_t chunk) {
        run_range(layout, bindings, run, chunk * layout.chunk,
                  std::min(layout.size, (chunk + 1) * layout.chunk));
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
};

void run_program(const BlockProgram& program, const Binding* bindings) {
  if (size_of(program.domain) == 0) return;
  cpu::run_layout(cpu::Layout(program, cpu::shared_memory(program, bindings)), bindings);
}
std::shared_ptr<const PlannedProgram> plan_program(const BlockProgram& program) {
  return std::make_shared<const PlannedProgram>(PlannedProgram{cpu::Layout(program)});
}
void run_program(const PlannedProgram& planned, const Binding* bindings) {
  const cpu::Layout& layout = planned.layout;
  if (layout.size == 0) return;
  // Results are written as soon as they are there, but for one that goes over what is read later.
  const auto shared = cpu::shared_memory(layout.program, bindings);
  if (layout.allows(shared)) return cpu::run_layout(layout, bindings);
  cpu::run_layout(cpu::Layout(layout.program, shared), bindings);
}

}  // namespace lazulite
