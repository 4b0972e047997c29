// The block runner of the CPU, and the kernels that it needs besides those of the ops.
#pragma once
#include "device/program.h"

namespace lazulite::cpu {

// Conversions, of the running instruction-set level.
Kernel cast_kernel(Dtype from, Dtype to);
Kernel widen_kernel(Dtype half);  // halves to float32
Kernel narrow_kernel(Dtype half);

// What each level's unit provides.
struct BlockKernels {
  Kernel cast[dtype_count][dtype_count];
  Kernel widen[2], narrow[2];  // float16, bfloat16
};

}  // namespace lazulite::cpu
