// The block runner of the CPU, and the kernels that it needs besides those of the ops.
#pragma once
#include "device/program.h"

namespace lazulite::cpu {

// Conversions, of the running instruction-set level. To a half: the float32 that round_kernel then
// rounds once.
Kernel cast_kernel(Dtype from, Dtype to);
Kernel round_kernel(Dtype half);  // a float32 register to the nearest halves, in place
Kernel widen_kernel(Dtype half);  // memory of halves to float32
Kernel narrow_kernel(Dtype half);

// What each level's unit provides.
struct BlockKernels {
  Kernel cast[dtype_count][dtype_count];
  Kernel round[2], widen[2], narrow[2];  // float16, bfloat16
};

}  // namespace lazulite::cpu
