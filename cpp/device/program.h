// Block programs: what a fused group of elementwise ops is to a device. Data only.
//
// A program runs over a domain in blocks of a few hundred elements: load the inputs into
// registers (contiguous, padded arrays in L1), run the kernels one after the other, store.
#pragma once
#include <cstdint>
#include <memory>

#include "base/dtype.h"
#include "base/scalar.h"
#include "base/shape.h"
#include "base/small_vector.h"

namespace lazulite {

// n is padded to whole registers of 64 bytes; pointers are aligned to 64 except loads of arrays.
using Kernel = void (*)(void* out, const void* const* in, int64_t n);

struct Instr {
  Kernel run;
  uint8_t out;
  uint8_t in[3];
};

// A memory operand: `type` in memory, compute_type(type) in the register.
struct Port {
  uint16_t value;   // which binding
  Dtype type;
  uint8_t reg;
  Strides strides;  // in the domain, in elements; 0 repeats
};

struct Immediate {  // a register that holds one number throughout
  uint8_t reg;
  Dtype type;       // a compute type
  Scalar number;
};

struct BlockProgram {
  Shape domain;
  SmallVector<Port, 8> load;
  SmallVector<Port, 4> store;
  SmallVector<Immediate, 4> constants;
  SmallVector<Instr, 16> code;
  int registers = 0;
  int width = 8;    // bytes of the widest element that a register holds (16 with complex128)
  double cost = 0;  // estimated nanoseconds per element
};

// Memory of the bound values; loads and stores index it by Port::value.
struct Binding {
  void* data;
};

void run_program(const BlockProgram&, const Binding* bindings);

// The same in two parts, for programs that run many times; refers to the program.
struct PlannedProgram;
std::shared_ptr<const PlannedProgram> plan_program(const BlockProgram&);
void run_program(const PlannedProgram&, const Binding* bindings);

}  // namespace lazulite
