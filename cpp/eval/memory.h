// A step as memory: what it reads, what it makes, and the one place that decides what is written
// over.
#pragma once
#include "graph/node.h"

namespace lazulite {

struct Unit;
struct Source;

struct Input {
  const Spec* spec;
  Storage* storage;
  int32_t reads = 1;   // by the step
  bool dies = false;   // only the step holds it, and nothing reads it later
};
struct Output {
  explicit Output(const Spec* s) : spec(s) {}
  const Spec* spec;
  Storage storage;  // where it goes: a place that it is given, or none yet
};

// Fresh plans fill it from their nodes, kept plans from their values by number. A group has the
// loads of its program in order, then constants that somebody stored; then what its kernels read
// (but for what is formed for them); then the loads of the program behind (but for what the kernel
// makes), and constants. It makes its stored members in order. One op has its inputs and outputs.
struct StepMemory {
  explicit StepMemory(bool& spoilt) : spoilt(spoilt) {}
  SmallVector<Input, 4> in;
  size_t kernels = 0, behind = 0;  // of a group around kernels: where those of `in` begin
  SmallVector<Output, 2> out;
  bool& spoilt;  // set as soon as an input may have been written over: the step cannot run again
};

// The rule. `by_element`: the step is a block program.
bool may_overwrite(const Input&, bool by_element);
// Puts a result of a block program over an input; false: it cannot go there.
bool write_over(Input&, const Spec&, Storage& out);
// Results [from, to), of a block program: where they were told to go, over one of the inputs
// [first, last), or in new memory.
void place_results(StepMemory&, size_t from, size_t to, size_t first, size_t last);
void make_storage(const Spec&, Storage& out);  // new, dense, in row-major order

// The memory of a unit of a fresh plan.
void describe_group(const Unit&, const SmallVector<Source, 8>& before,
                    const SmallVector<Source, 8>& behind, StepMemory&);
void describe_single(const Unit&, StepMemory&);
// Whether the inputs of a unit may be given away at all: no trace asks for them later.
bool lets_go(const Unit&);
bool only_holds(const array& input, int64_t reads);  // `reads` nodes are all that holds it
Input input_of(const array&, int32_t reads, bool lets_go);

inline TensorView bound(const Spec& spec, const Storage& storage) {
  return {&spec, &storage,
          static_cast<char*>(storage.buffer->data) + storage.offset * size_of(spec.type)};
}
// Before a kernel reads: others may have given shared memory of bools other bytes than 0 and 1.
void tidy_bools(const Spec&, const Storage&);
inline void tidy(const Spec& spec, const Storage& storage) {
  if (spec.type == bool_ && storage.buffer->foreign) tidy_bools(spec, storage);
}
void copy_dense(const TensorView& in, const Storage& out);  // out becomes a copy in row-major order

}  // namespace lazulite
