#include "engine/layout/copy.h"

#include "device/program.h"

namespace lazulite::engine {

void copy(const Shape& shape, const Strided& from, const Strided& to) {
  if (size_of(shape) == 0) return;
  BlockProgram program;
  program.domain = shape;
  program.load.push_back({0, from.type, 0, from.strides});
  program.store.push_back({1, to.type, 0, to.strides});
  program.registers = 1;
  program.width = 16;
  program.cost = 0.3;
  const Binding bindings[2] = {{from.data}, {to.data}};
  run_program(program, bindings);
}

}  // namespace lazulite::engine
