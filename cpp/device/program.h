// Block programs: what a fused group of elementwise ops is to a device. Data only.
//
// A program runs over a domain in blocks of a few hundred elements, of every register one in L1:
// load the inputs, run the kernels one after the other, store.
#pragma once
#include <cstdint>
#include <memory>

#include "base/dtype.h"
#include "base/scalar.h"
#include "base/shape.h"
#include "base/small_vector.h"

namespace lazulite {

struct Buffer;
template <class T> class Ref;

// n is padded to 64 elements; pointers are aligned to 64 except loads of arrays. The top bits of n
// say which operands are one vector that repeats: kernels of several operands look at them.
using Kernel = void (*)(void* out, const void* const* in, int64_t n);
static constexpr int repeat_bit = 60;
static constexpr int64_t repeats(int operand) { return int64_t(1) << (repeat_bit + operand); }
static constexpr int64_t elements_of(int64_t n) { return n & (repeats(0) - 1); }

// How a kernel of whole expressions knows what an instruction does: an op of two operands, or two
// ops, of which `outer` takes what `inner` gives as operand `at`. Ops have numbers from 1 on.
struct Link {
  Kernel expression = nullptr;
  uint8_t inner = 0, outer = 0, at = 0;
  uint8_t opcodes[2] = {};   // of inner and outer: a vector instruction of x86, or 0
  Dtype type = Dtype::bool_;
};

// Registers are virtual: each is written once, by a load, a constant or an instruction, and there
// are as many as the group needs. The device finds places for them, by when they are read last.
struct Instr {
  Kernel run = nullptr;
  uint32_t out = 0;
  SmallVector<uint32_t, 3> in = {};
  bool same_width = false;     // as all it reads: it may write over that
  bool light = false;          // computes less than its loads and stores cost
  Link link = {};
  const void* code = nullptr;  // of an expression: what its kernel gets behind its operands
  int operands() const { return int(in.size()); }
};

// What a kernel of expressions does with a few vectors at a time, which stay in registers: steps,
// ended by `stop`. A step makes accumulator `to` of two operands: accumulators by number, an array,
// a number. Before the steps stands one that says how many arrays there are.
struct Micro {
  static constexpr int accumulators = 3, array = 3, number = 4, operands = 5;
  static constexpr int most_arrays = 16, stop = 0;
  static constexpr int does(int op, int a, int b, int to) {
    return 1 + (((op - 1) * operands + a) * operands + b) * accumulators + to;
  }
  // Machine code of steps: `bytes` of each array, a whole number of the kernel's groups.
  using Run = void (*)(void* out, const void* const* in, int64_t bytes, const Micro* before);
  static constexpr int to(int code) { return (code - 1) % accumulators; }
  static constexpr int second(int code) { return (code - 1) / accumulators % operands; }
  static constexpr int first(int code) {
    return (code - 1) / (operands * accumulators) % operands;
  }
  static constexpr int op(int code) {
    return (code - 1) / (operands * operands * accumulators) + 1;
  }
  uint16_t code = stop;
  uint16_t arrays[2] = {};  // which, of operands that are arrays
  alignas(8) char value[8] = {};  // the number; before the steps: machine code that does them
};

// A memory operand. Registers hold what memory holds; a program of one half and one float32
// that has no code converts.
struct Port {
  uint32_t value;   // which binding
  Dtype type;
  uint32_t reg;
  Strides strides;  // in the domain, in elements; 0 repeats
  bool formed = false;  // a result that is no array: read piece by piece (Formed)
};

struct Immediate {  // a register that holds one number throughout
  uint32_t reg;
  Dtype type;
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
  double runs = 1;  // about how often it will run
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

// A program that others run piece by piece; refers to program and bindings. Any thread.
class InPieces {
 public:
  InPieces(const BlockProgram&, const Binding* bindings);
  InPieces(const PlannedProgram&, const Binding* bindings);
  InPieces(const InPieces&) = delete;
  bool by_rows() const;  // false: it is better run as a whole, since it reads transposed arrays
  double cost() const;   // estimated nanoseconds per element

 protected:
  ~InPieces();
  struct Impl;
  const std::unique_ptr<Impl> impl_;
};

// A program whose last store is no array: who reads that result forms it piece by piece, while the
// rest of what the program stores is stored. Each element is formed once.
class Formed : public InPieces {
 public:
  using InPieces::InPieces;
  // Elements [start + i * step, start + i * step + n) of the domain, in row-major order, for each i
  // below `runs`: one run after the other.
  void form(int64_t start, int64_t runs, int64_t step, int64_t n, void* to) const;
  Ref<Buffer> all() const;  // instead: the whole of it, by all threads
};

// The inverse: a program that reads what a kernel makes, run on each piece as soon as that is
// final, while it is in cache. Each element once, or none at all.
class After : public InPieces {
 public:
  using InPieces::InPieces;
  // Elements as Formed::form has them.
  void run(int64_t start, int64_t runs, int64_t step, int64_t n) const;
  // Elements [start, start + n), of which what the kernel made lies at `from`; its binding is
  // number `value`.
  void run_at(const void* from, size_t value, int64_t start, int64_t n) const;
  bool ran() const;      // a piece of it, at least
  void run_all() const;
};

}  // namespace lazulite
