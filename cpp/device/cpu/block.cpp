#include "device/cpu/block.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "device/cpu/level.h"
#include "device/cpu/pool.h"
#include "device/limits.h"

namespace lazulite::cpu {
LAZULITE_LEVELS(const BlockKernels&, block_kernels)

Kernel cast_kernel(Dtype from, Dtype to) { return block_kernels().cast[int(from)][int(to)]; }
Kernel round_kernel(Dtype half) { return block_kernels().round[half == bfloat16]; }
Kernel widen_kernel(Dtype half) { return block_kernels().widen[half == bfloat16]; }
Kernel narrow_kernel(Dtype half) { return block_kernels().narrow[half == bfloat16]; }
}  // namespace lazulite::cpu

namespace lazulite {

namespace {

constexpr int64_t group = 64;        // elements to which blocks are padded: one register of bytes

// Moves runs of a strided array to and from a contiguous one. Element bytes only.
template <class U>
struct Mover {
  template <bool load>
  static void move(U* block, U* memory, const Shape& shape, const Strides& strides, int64_t start,
                   int64_t n) {
    const int last = int(shape.size()) - 1;
    SmallVector<int64_t, 6> index;
    index.resize(shape.size());
    int64_t offset = 0, rest = start;
    for (int a = last; a >= 0; --a) {
      index[a] = rest % shape[a];
      rest /= shape[a];
      offset += index[a] * strides[a];
    }
    const int64_t step = strides[last];
    while (n > 0) {
      const int64_t run = std::min(n, shape[last] - index[last]);
      U* at = memory + offset;
      if constexpr (load) {
        if (step == 1) std::memcpy(block, at, size_t(run) * sizeof(U));
        else if (step == 0) std::fill(block, block + run, *at);
        else
          for (int64_t i = 0; i < run; ++i) block[i] = at[i * step];
      } else {
        if (step == 1) std::memcpy(at, block, size_t(run) * sizeof(U));
        else
          for (int64_t i = 0; i < run; ++i) at[i * step] = block[i];
      }
      block += run;
      n -= run;
      offset += run * step;
      index[last] += run;
      for (int a = last; a > 0 && index[a] == shape[a]; --a) {
        offset += strides[a - 1] - index[a] * strides[a];
        index[a] = 0;
        ++index[a - 1];
      }
    }
  }
};

struct Sixteen {
  uint64_t half[2];
};

template <bool load>
void move(int64_t bytes, void* block, void* memory, const Shape& shape, const Strides& strides,
          int64_t start, int64_t n) {
  auto run = [&]<class U>() {
    Mover<U>::template move<load>(static_cast<U*>(block), static_cast<U*>(memory), shape, strides,
                                  start, n);
  };
  switch (bytes) {
    case 1: return run.template operator()<uint8_t>();
    case 2: return run.template operator()<uint16_t>();
    case 4: return run.template operator()<uint32_t>();
    case 8: return run.template operator()<uint64_t>();
    default: return run.template operator()<Sixteen>();
  }
}

enum class Access : uint8_t { direct, repeated, gathered };

struct Runner {
  const BlockProgram& program;
  Shape shape;
  SmallVector<Strides, 4> strides;  // loads, then stores
  SmallVector<Access, 12> access;
  int64_t size, block, register_bytes;
  bool raw_copy;  // nothing but moving: halves are not converted

  explicit Runner(const BlockProgram& p) : program(p), shape(p.domain) {
    for (auto& port : p.load) strides.push_back(port.strides);
    for (auto& port : p.store) strides.push_back(port.strides);
    size = size_of(shape);
    collapse(shape, strides);
    for (auto& s : strides) {
      bool zero = true;
      for (int64_t step : s) zero &= step == 0;
      access.push_back(is_dense(shape, s) && !(zero && size > 1) ? Access::direct
                       : zero ? Access::repeated : Access::gathered);
    }
    block = p.registers > 16 ? block_size / 2 : block_size;
    register_bytes = std::min(block, (size + group - 1) / group * group) * p.width;
    raw_copy = p.code.empty() && p.load.size() == 1 && p.store.size() == 1 &&
               p.load[0].type == p.store[0].type;
  }

  bool converts(const Port& port) const { return is_half(port.type) && !raw_copy; }

  static void* scratch(int64_t bytes) {
    struct Room {
      void* data = nullptr;
      int64_t bytes = 0;
      ~Room() { std::free(data); }
    };
    thread_local Room room;
    if (room.bytes < bytes) {
      std::free(room.data);
      room.bytes = 0;
      room.data = std::aligned_alloc(64, size_t((bytes + 4095) / 4096 * 4096));
      if (!room.data) throw std::bad_alloc();
      room.bytes = (bytes + 4095) / 4096 * 4096;
    }
    return room.data;
  }

  void fill(const Immediate& number, char* reg, int64_t n) const {
    alignas(16) char one[16];
    number.number.write(number.type, one);
    auto repeat = [&]<class U>() {
      U value;
      std::memcpy(&value, one, sizeof value);
      std::fill_n(reinterpret_cast<U*>(reg), n, value);
    };
    switch (size_of(number.type)) {
      case 1: return repeat.template operator()<uint8_t>();
      case 2: return repeat.template operator()<uint16_t>();
      case 4: return repeat.template operator()<uint32_t>();
      case 8: return repeat.template operator()<uint64_t>();
      default: return repeat.template operator()<Sixteen>();
    }
  }

  // Loads elements [start, start + n) of a port; returns where they are.
  const char* load(const Binding* bindings, size_t k, char* reg, char* half, int64_t start,
                   int64_t n) const {
    const Port& port = program.load[k];
    const int64_t bytes = size_of(port.type), padded = (n + group - 1) / group * group;
    char* memory = static_cast<char*>(bindings[port.value].data);
    const bool half_type = converts(port);
    if (access[k] == Access::direct && n == padded) {
      const char* at = memory + start * bytes;
      if (!half_type) return at;
      const void* in[1] = {at};
      cpu::widen_kernel(port.type)(reg, in, n);
      return reg;
    }
    char* target = half_type ? half : reg;
    if (access[k] == Access::direct) std::memcpy(target, memory + start * bytes, size_t(n * bytes));
    else move<true>(bytes, target, memory, shape, strides[k], start, n);
    if (padded > n) std::memset(target + n * bytes, 1, size_t((padded - n) * bytes));
    if (half_type) {
      const void* in[1] = {half};
      cpu::widen_kernel(port.type)(reg, in, padded);
    }
    return reg;
  }

  void store(const Binding* bindings, size_t k, const char* reg, char* half, int64_t start,
             int64_t n) const {
    const Port& port = program.store[k];
    const int64_t bytes = size_of(port.type);
    char* memory = static_cast<char*>(bindings[port.value].data);
    const size_t s = program.load.size() + k;
    if (converts(port)) {
      const void* in[1] = {reg};
      cpu::narrow_kernel(port.type)(half, in, (n + group - 1) / group * group);
      reg = half;
    }
    if (access[s] == Access::gathered)
      move<false>(bytes, const_cast<char*>(reg), memory, shape, strides[s], start, n);
    else if (reg != memory + start * bytes)
      std::memcpy(memory + start * bytes, reg, size_t(n * bytes));
  }

  void run(const Binding* bindings, int64_t begin, int64_t end) const {
    const int64_t room = program.registers * register_bytes;
    char* base = static_cast<char*>(scratch(room + block_size * 2));
    char* half = base + room;
    SmallVector<const char*, 32> at;
    at.resize(size_t(program.registers));
    for (int r = 0; r < program.registers; ++r) at[r] = base + r * register_bytes;
    const int64_t most = std::min(block, end - begin),
                  most_padded = (most + group - 1) / group * group;
    for (auto& number : program.constants)
      fill(number, base + number.reg * register_bytes, most_padded);
    for (size_t k = 0; k < program.load.size(); ++k)
      if (access[k] == Access::repeated) {
        // One number throughout: fill its register once (in the port's own load path).
        const Port& port = program.load[k];
        load(bindings, k, base + port.reg * register_bytes, half, begin, most);
      }
    for (int64_t start = begin; start < end; start += block) {
      const int64_t n = std::min(block, end - start), padded = (n + group - 1) / group * group;
      for (size_t k = 0; k < program.load.size(); ++k) {
        const Port& port = program.load[k];
        if (access[k] != Access::repeated)
          at[port.reg] = load(bindings, k, base + port.reg * register_bytes, half, start, n);
      }
      for (size_t c = 0; c < program.code.size(); ++c) {
        const Instr& instr = program.code[c];
        const void* in[3] = {at[instr.in[0]], at[instr.in[1]], at[instr.in[2]]};
        char* out = base + instr.out * register_bytes;
        if (c + 1 == program.code.size() && n == padded)
          for (size_t k = 0; k < program.store.size(); ++k)
            if (program.store[k].reg == instr.out && !converts(program.store[k]) &&
                access[program.load.size() + k] == Access::direct) {
              out = static_cast<char*>(bindings[program.store[k].value].data) +
                    start * size_of(program.store[k].type);
              break;
            }
        at[instr.out] = out;
        instr.run(out, in, padded);
      }
      for (size_t k = 0; k < program.store.size(); ++k)
        store(bindings, k, at[program.store[k].reg], half, start, n);
    }
  }
};

}  // namespace

struct PlannedProgram {
  Runner runner;
};

namespace {
void run_all(const Runner& runner, const Binding* bindings) {
  if (runner.size == 0) return;
  if (runner.size <= chunk_size) return runner.run(bindings, 0, runner.size);
  const int64_t chunks = (runner.size + chunk_size - 1) / chunk_size;
  cpu::parallel_for(
      chunks,
      [&](int64_t chunk) {
        runner.run(bindings, chunk * chunk_size, std::min(runner.size, (chunk + 1) * chunk_size));
      },
      double(runner.size) * runner.program.cost);
}
}  // namespace

void run_program(const BlockProgram& program, const Binding* bindings) {
  run_all(Runner(program), bindings);
}
std::shared_ptr<const PlannedProgram> plan_program(const BlockProgram& program) {
  return std::make_shared<const PlannedProgram>(PlannedProgram{Runner(program)});
}
void run_program(const PlannedProgram& planned, const Binding* bindings) {
  run_all(planned.runner, bindings);
}

}  // namespace lazulite
