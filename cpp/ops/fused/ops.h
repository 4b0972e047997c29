// The ops of this room and their attributes: for the files of this room.
#pragma once
#include "ops/fused/fused.h"
#include "ops/rooms.h"

namespace lazulite {

// Inputs: x, the weight and the bias if there are some, of the compute dtype of x.
struct NormOf {
  Scalar eps;
  Dtype type;  // of the result: that of x, or its compute dtype
  bool weight, bias;
  LAZULITE_FIELDS(eps, type, weight, bias)
};
// Inputs: x, the weight if there is one, the cotangent. Results: that of x, then sums over all rows
// for the weight and the bias, where wanted, of the compute dtype.
struct NormSlope {
  Scalar eps;
  bool weight, dweight, dbias;
  LAZULITE_FIELDS(eps, weight, dweight, dbias)
};

extern const Op layer_norm_op, rms_norm_op, layer_norm_slope_op, rms_norm_slope_op;

}  // namespace lazulite
