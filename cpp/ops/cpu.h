// What the rooms' cpu.cpp share: how they name their kernels, and operands as the engine wants
// them.
#pragma once
#include <optional>

#include "device/cpu/pool.h"
#include "device/limits.h"
#include "engine/layout/copy.h"
#include "engine/norm/norm.h"
#include "graph/node.h"

namespace lazulite {

namespace cpu {
// Each room fills in what it has: void register_reduce(cpu::Kernels& kernels).
struct Kernels : DeviceKernels {};
}  // namespace cpu

// Copies any layout into any other of the same shape and dtype.
inline void copy_strided(const TensorView& from, const TensorView& to, int64_t whole = 0) {
  engine::copy(from.shape(), {from.data, from.type(), from.strides()},
               {to.data, from.type(), to.strides()}, whole);
}

// An operand in row-major order: where it lies, or a copy that lives as long as this.
struct Dense {
  explicit Dense(const TensorView& in) : data(in.data) {
    if (in.dense()) return;
    held_ = allocate(size_of(in.shape()) * size_of(in.type()));
    data = static_cast<const char*>(held_->data);
    engine::copy(in.shape(), {in.data, in.type(), in.strides()},
                 {held_->data, in.type(), dense_strides(in.shape())});
  }
  const char* data;

 private:
  Ref<Buffer> held_;
};

// An operand as rows of its last axis, read where it lies; what is neither runs nor short is made
// dense before. It must not be empty.
struct RowsOf {
  engine::Rows rows;
  std::optional<Dense> held;

  RowsOf(const TensorView& in, int slot) {
    Shape shape = in.shape();
    Strides strides = in.strides();
    const size_t last = shape.size() - 1;
    if (!in.formed && shape[last] > engine::longest_gathered_row && strides[last] != 1) {
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
    if (in.formed && rows.length > engine::longest_gathered_row) rows.make_all();
    rows.settle(false);
  }
};

}  // namespace lazulite
