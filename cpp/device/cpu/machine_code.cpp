#include "device/cpu/machine_code.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <list>
#include <mutex>
#include <string>
#include <unordered_map>

#include "base/env.h"
#include "device/cpu/features.h"

#if defined(__x86_64__) && !defined(LAZULITE_GENERIC_ONLY)
#define LAZULITE_WRITES_CODE 1
#include <sys/mman.h>
#include <unistd.h>
#else
#define LAZULITE_WRITES_CODE 0
#endif

namespace lazulite::cpu {

namespace {

std::atomic<double> least_work{4e6};  // what writing it costs is a hundredth of that
[[maybe_unused]] constexpr size_t most_kept = 512;

}  // namespace

double set_least_coded(double work) { return least_work.exchange(work); }

#if LAZULITE_WRITES_CODE

namespace {

// A vector instruction: its opcode, map (1: 0F, 2: 0F 38), and what stands before it.
struct Vex {
  uint8_t opcode, map, prefix;
  bool wide;
};

// out: rdi, arrays: rsi, bytes: rdx, steps: rcx; rax: the byte where the group begins, r8: an
// array. Instructions and encodings: Intel 64 and IA-32 Architectures Software Developer's Manual,
// volume 2, chapter 2 (VEX and EVEX prefixes).
class Writer {
 public:
  Writer(Dtype type, Level level)
      : wide_(type == Dtype::float64), large_(level == Level::avx512),
        unroll_(large_ ? 8 : 4), temporary_(unroll_ * Micro::accumulators) {}

  std::string write(const Micro* head, size_t steps, const Opcodes& opcodes) {
    emit({0x31, 0xc0});  // xor eax, eax
    const size_t begin = code_.size();
    for (size_t k = 1; k < steps; ++k) step(head[k], int(k), opcodes);
    for (int v = 0; v < unroll_; ++v) vector(move_to, v, 0, Memory{destination, v});
    emit({0x48, 0x05});  // add rax, bytes of a group
    emit32(unroll_ * bytes());
    emit({0x48, 0x39, 0xd0, 0x0f, 0x82});  // cmp rax, rdx; jb begin
    emit32(int32_t(begin) - int32_t(code_.size()) - 4);
    emit({0xc5, 0xf8, 0x77, 0xc3});  // vzeroupper; ret
    return std::move(code_);
  }

 private:
  static constexpr Vex move_from{0x10, 1, 0, false}, move_to{0x11, 1, 0, false};
  enum Base { array, destination };
  struct Memory {
    Base base;
    int vector;
  };
  int bytes() const { return large_ ? 64 : 32; }
  int number() const { return large_ ? 31 : 15; }
  int at(int accumulator, int v) const { return accumulator * unroll_ + v; }

  void step(const Micro& micro, int k, const Opcodes& opcodes) {
    const int to = Micro::to(micro.code), first = Micro::first(micro.code),
              second = Micro::second(micro.code);
    const Vex op{opcodes.of[Micro::op(micro.code)], 1, 0, false};
    if (first == Micro::number || second == Micro::number) broadcast(k);
    if (first == Micro::array) {
      // Into registers that are free: those of the result, but where it reads them too.
      const int into = second == to ? temporary_ : at(to, 0);
      load_address(micro.arrays[0]);
      for (int v = 0; v < unroll_; ++v) vector(move_from, into + v, 0, Memory{array, v});
      if (second == Micro::array) load_address(micro.arrays[1]);
      for (int v = 0; v < unroll_; ++v) apply(op, at(to, v), into + v, second, v);
      return;
    }
    if (second == Micro::array) load_address(micro.arrays[1]);
    for (int v = 0; v < unroll_; ++v)
      apply(op, at(to, v), first == Micro::number ? number() : at(first, v), second, v);
  }
  void apply(Vex op, int to, int first, int second, int v) {
    if (second == Micro::array) vector(op, to, first, Memory{array, v});
    else vector(op, to, first, second == Micro::number ? number() : at(second, v));
  }

  // mov r8, [rsi + 8 * k]
  void load_address(int k) {
    emit({0x4c, 0x8b, 0x86});
    emit32(8 * k);
  }
  // The number of step k, from [rcx + 16 * k + 8].
  void broadcast(int k) {
    begin({uint8_t(wide_ ? 0x19 : 0x18), 2, 1, wide_ && large_}, number(), 0, 0, false);
    emit({uint8_t(0x81 | (number() & 7) << 3)});
    emit32(int32_t(k * int(sizeof(Micro)) + int(offsetof(Micro, value))));
  }

  Vex typed(Vex op) const { return {op.opcode, op.map, uint8_t(wide_), wide_}; }
  void vector(Vex op, int reg, int first, int second) {
    begin(typed(op), reg, first, second, true);
    emit({uint8_t(0xc0 | (reg & 7) << 3 | (second & 7))});
  }
  void vector(Vex op, int reg, int first, Memory memory) {
    begin(typed(op), reg, first, memory.base == array ? 8 : 7, false);
    // [base + rax + displacement]: whole vectors in EVEX, bytes in VEX.
    const int displacement = large_ ? memory.vector : memory.vector * bytes();
    emit({uint8_t(0x44 | (reg & 7) << 3), uint8_t(memory.base == array ? 0 : 7),
          uint8_t(displacement)});
  }
  // Prefix and opcode. `last`: a register where `direct`, otherwise the base of an address.
  void begin(Vex op, int reg, int first, int last, bool direct) {
    const int not_reg = ~reg >> 3 & 1, not_last = ~last >> 3 & 1;
    if (!large_) {
      emit({0xc4, uint8_t(not_reg << 7 | 0x40 | not_last << 5 | op.map),
            uint8_t(op.wide << 7 | (~first & 15) << 3 | 4 | op.prefix), op.opcode});
      return;
    }
    const int not_high = direct ? ~last >> 4 & 1 : 1;
    emit({0x62,
          uint8_t(not_reg << 7 | not_high << 6 | not_last << 5 | (~reg >> 4 & 1) << 4 | op.map),
          uint8_t(op.wide << 7 | (~first & 15) << 3 | 4 | op.prefix),
          uint8_t(0x40 | (~first >> 4 & 1) << 3), op.opcode});
  }

  void emit(std::initializer_list<uint8_t> bytes) {
    for (const uint8_t byte : bytes) code_.push_back(char(byte));
  }
  void emit32(int32_t value) {
    char bytes[4];
    std::memcpy(bytes, &value, 4);
    code_.append(bytes, 4);
  }

  const bool wide_, large_;
  const int unroll_, temporary_;
  std::string code_;
};

bool wanted() {
  static const bool wanted = env::flag("LAZULITE_MACHINE_CODE", true);
  return wanted && level() != Level::generic;
}

// Code by what the steps do; what was asked for last stands first.
class Kept {
 public:
  std::shared_ptr<const MachineCode> find(const Micro* head, size_t steps, Dtype type,
                                          const Opcodes& opcodes, double work) {
    std::string key = key_of(head, steps, type, opcodes);
    // Never waits: another thread may be gone since a fork.
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock) return nullptr;
    auto found = by_key_.find(key);
    const bool known = found != by_key_.end();
    if (known) entries_.splice(entries_.begin(), entries_, found->second);
    else {
      entries_.push_front({key, nullptr});
      by_key_.emplace(std::move(key), entries_.begin());
      if (entries_.size() > most_kept) {
        by_key_.erase(entries_.back().key);
        entries_.pop_back();
      }
    }
    Entry& entry = entries_.front();
    const double least = least_work.load();
    if (!entry.code && !refused_ && std::isfinite(least) && (known || work >= least))
      make(entry, head, steps, type, opcodes);
    return std::isfinite(least) ? entry.code : nullptr;
  }
  int64_t count() {
    const std::unique_lock lock(mutex_, std::try_to_lock);
    return !lock ? 0 : std::count_if(entries_.begin(), entries_.end(), [](const Entry& entry) {
      return entry.code != nullptr;
    });
  }

 private:
  struct Entry {
    std::string key;
    std::shared_ptr<const MachineCode> code;
  };
  void make(Entry& entry, const Micro* head, size_t steps, Dtype type, const Opcodes& opcodes) {
    const std::string code = Writer(type, level()).write(head, steps, opcodes);
    auto made = std::make_shared<const MachineCode>(code.data(), code.size());
    if (made->run()) entry.code = std::move(made);
    else refused_ = true;
  }
  static std::string key_of(const Micro* head, size_t steps, Dtype type, const Opcodes& opcodes) {
    std::string key{char(type), char(level())};
    key.append(reinterpret_cast<const char*>(opcodes.of), sizeof opcodes.of);
    for (size_t k = 0; k < steps; ++k)
      key.append(reinterpret_cast<const char*>(&head[k]), offsetof(Micro, value));
    return key;
  }
  std::mutex mutex_;
  std::list<Entry> entries_;
  std::unordered_map<std::string, std::list<Entry>::iterator> by_key_;
  bool refused_ = false;  // by the system, once and for all
};

Kept& kept() {
  static Kept* const kept = new Kept;  // threads may still run code at exit
  return *kept;
}

}  // namespace

MachineCode::MachineCode(const char* code, size_t bytes) {
  const size_t page = size_t(sysconf(_SC_PAGESIZE));
  bytes_ = (bytes + page - 1) / page * page;
  void* memory = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return;
  std::memcpy(memory, code, bytes);
  // Never writable and executable at a time.
  if (mprotect(memory, bytes_, PROT_READ | PROT_EXEC) == 0) memory_ = memory;
  else munmap(memory, bytes_);
}
MachineCode::~MachineCode() {
  if (memory_) munmap(memory_, bytes_);
}

std::shared_ptr<const MachineCode> machine_code(const Micro* head, size_t steps, Dtype type,
                                                const Opcodes& opcodes, double work) {
  if (!wanted()) return nullptr;
  for (size_t k = 1; k < steps; ++k)
    if (!opcodes.of[Micro::op(head[k].code)]) return nullptr;
  return kept().find(head, steps, type, opcodes, work);
}
int64_t kept_machine_code() { return kept().count(); }

#else

MachineCode::MachineCode(const char*, size_t) {}
MachineCode::~MachineCode() = default;
std::shared_ptr<const MachineCode> machine_code(const Micro*, size_t, Dtype, const Opcodes&,
                                                double) {
  return nullptr;
}
int64_t kept_machine_code() { return 0; }

#endif

}  // namespace lazulite::cpu
