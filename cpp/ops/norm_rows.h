// What kernels of rows share: an operand as rows of its last axis.
#pragma once
#include "engine/norm/norm.h"
#include "ops/shape/shape.h"

namespace lazulite {

// Read where it lies; what is neither runs nor short is made dense before. It must not be empty.
struct RowsOf {
  Rows rows;
  Ref<Buffer> held;

  RowsOf(const Bound& in, int slot) {
    Shape shape = in.shape();
    Strides strides = in.strides();
    const size_t last = shape.size() - 1;
    if (shape[last] > longest_gathered_row && strides[last] != 1) {
      held = allocate(size_of(shape) * size_of(in.type()));
      const Storage dense{held, 0, dense_strides(shape)};
      copy_strided(in, Bound{in.spec, &dense, static_cast<char*>(held->data)});
      strides = dense.strides;
    }
    rows.data = held ? static_cast<const char*>(held->data) : in.data;
    rows.memory = rows.type = in.type();
    rows.slot = slot;
    rows.length = shape[last];
    rows.reduced = {shape[last]};
    rows.reduced_strides = {strides[last]};
    for (size_t i = 0; i < last; ++i) {
      rows.kept.push_back(shape[i]);
      rows.kept_strides.push_back(strides[i]);
      rows.rows *= shape[i];
    }
    SmallVector<Strides, 4> all{rows.kept_strides};
    collapse(rows.kept, all);
    rows.kept_strides = all[0];
  }
};

}  // namespace lazulite
