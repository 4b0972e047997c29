// What each instruction-set level provides to products of int8.
#pragma once
#include "engine/gemm/panels.h"

namespace lazulite::engine {

// As those of PanelKernels: a value is a group of steps in 32 bits. The left operand's numbers are
// 128 more than they are where `shifted` says so, so that they have no sign.
struct Int8Kernels {
  int rows = 0, cols = 0, lanes = 0, group = 0;
  bool shifted = false;
  void (*pack_left)(const PackCall&) = nullptr;
  void (*pack_right)(const PackCall&) = nullptr;
  void (*block)(const BlockCall&) = nullptr;
};

}  // namespace lazulite::engine
