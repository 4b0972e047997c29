#include <unistd.h>

#include "ops/files/ops.h"

namespace lazulite {

File::~File() { close(fd); }

namespace {

Specs infer_load(const FilePlace& from, const Arrays& in) {
  check_inputs("load", in, 0);
  return {from.spec};
}

}  // namespace

const Op load_op = op<FilePlace>("load", "Reads an array from a file.",
                                 {.slow = true, .infer = typed<infer_load>});

OpList files_ops() { return {&load_op}; }

array load_array(const Ref<File>& file, int64_t offset, const Shape& shape, Dtype type, int swap,
                 Stream s) {
  if (size_of(shape) == 0) return constant(0, shape, type, s);
  return record(load_op, AttrsRef(new FilePlace(file, offset, Spec{shape, type}, swap)), {}, s);
}

}  // namespace lazulite
