// Steps of expressions (Micro) as machine code of the running level, so that nothing is decoded as
// they run: the same instructions in the same order, and the same bits.
//
// On x86-64 with AVX2 or AVX-512. Elsewhere, where the system lets no process write code, and with
// LAZULITE_MACHINE_CODE=0 there is none, and the kernel of expressions goes through the steps. Code
// is kept by what the steps do, whatever their numbers: at most some hundreds. Any thread.
#pragma once
#include <cstddef>
#include <memory>

#include "base/dtype.h"
#include "device/program.h"

namespace lazulite::cpu {

class MachineCode {
 public:
  MachineCode(const char* code, size_t bytes);
  ~MachineCode();
  MachineCode(const MachineCode&) = delete;
  // Null where the system refused it.
  Micro::Run run() const { return reinterpret_cast<Micro::Run>(memory_); }

 private:
  void* memory_ = nullptr;
  [[maybe_unused]] size_t bytes_ = 0;
};

// What instruction each op of the steps is, by its number: 0 where it is none (Link::opcodes).
struct Opcodes {
  uint8_t of[8] = {};
};
// Null where there is none, or none yet: it is made for what runs long (`work`: elements times
// steps), and for what came before.
std::shared_ptr<const MachineCode> machine_code(const Micro* head, size_t steps, Dtype,
                                                const Opcodes&, double work);
// For tests: from how much work on. Returns what was.
double set_least_coded(double work);
int64_t kept_machine_code();  // how much there is, in expressions

}  // namespace lazulite::cpu
