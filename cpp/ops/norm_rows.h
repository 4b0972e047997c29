// What kernels of rows share: an operand as rows of its last axis.
#pragma once
#include <optional>

#include "engine/norm/norm.h"
#include "ops/shape/shape.h"

namespace lazulite {

// Read where it lies; what is neither runs nor short is made dense before. It must not be empty.
struct RowsOf {
  Rows rows;
  std::optional<Dense> held;

  RowsOf(const TensorView& in, int slot) {
    Shape shape = in.shape();
    Strides strides = in.strides();
    const size_t last = shape.size() - 1;
    if (!in.formed && shape[last] > longest_gathered_row && strides[last] != 1) {
      held.emplace(in);
      strides = dense_strides(shape);
    }
    rows.data = held ? held->data : in.data;
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
    rows.formed = in.formed;
    if (in.formed && rows.length > longest_gathered_row) rows.make_all();
    rows.settle(false);
  }
};

}  // namespace lazulite
