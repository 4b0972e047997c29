// The ops of this room and their attributes: for the files of this room.
#pragma once
#include "engine/quant/format.h"
#include "ops/quant/quant.h"
#include "ops/rooms.h"

namespace lazulite {

// `global`: the last input is a scale of all scales.
struct Packing {
  Mode mode;
  int64_t bits, group;
  bool global;
  LAZULITE_FIELDS(mode, bits, group, global)
};
struct Unpacking {
  Mode mode;
  int64_t bits, group;
  bool global;
  Dtype type;
  LAZULITE_FIELDS(mode, bits, group, global, type)
};
struct PackedMatmul {
  Mode mode;
  int64_t bits, group;
  bool global, transpose;
  LAZULITE_FIELDS(mode, bits, group, global, transpose)
};

template <class P>
engine::Format format_of(const P& p) {
  using engine::Codes;
  const Codes codes = p.mode == Mode::affine  ? Codes::integers
                      : p.mode == Mode::mxfp8 ? Codes::e4m3
                                              : Codes::e2m1;
  return {codes, int(p.bits), int(p.group), p.mode == Mode::nvfp4};
}

// Inputs: what is packed [, global]. Outputs: words, scales [, biases].
extern const Op quantize_op;
// Words, scales [, biases] [, global].
extern const Op dequantize_op;
// x, words, scales [, biases] [, global]: x [batch, m, k], the others [batch or less, ...].
extern const Op quantized_matmul_op;
// x, l, r, words, scales [, biases] [, global]: result i is x[l[i]] times matrix r[i].
extern const Op gather_qmm_op;
extern const Op round_to_codes_op;  // as quantize_op; one output
extern const Op to_fp8_op, from_fp8_op;
extern const Op int8_matmul_op;  // as matmul_op, of int8; int32 comes out

struct To {
  Dtype type;
  LAZULITE_FIELDS(type)
};

}  // namespace lazulite
