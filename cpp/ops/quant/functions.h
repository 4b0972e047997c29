// Python's functions of packed numbers.
#pragma once
#include "ops/functions.h"
#include "ops/quant/quant.h"

namespace lazulite::functions {

template <class M>
void add_quant(M& m) {
  using Size = const std::optional<int64_t>&;
  using Name = const std::string&;
  m.def(
       "quantize(w, /, group_size=None, bits=None, mode='affine', *, global_scale=None, "
       "stream=None)",
       [](A w, Size group, Size bits, Name mode, OptionalArray global, S s) -> ArrayTuple {
         return quantize(w, {group, bits, mode, global}, s);
       },
       "Codes of a few bits for w, by groups of group_size neighbours of the last axis: a tuple "
       "(words, scales, biases).\n"
       "Words are uint32, filled from the low bits up, codes of 3, 5 and 6 bits across them; "
       "dequantize gives code * scale + bias.\n"
       "Modes: 'affine' of 2, 3, 4 (the default), 5, 6 or 8 bits in groups of 32, 64 (the default) "
       "or 128, scales and biases\n"
       "in w's dtype; and small floats with a byte of scale and no biases (a tuple of two): "
       "'mxfp4' (E2M1) and 'mxfp8' (E4M3)\n"
       "in groups of 32 with a power of two (E8M0), 'nvfp4' (E2M1) in groups of 16 with E4M3, "
       "times global_scale / 2688 where\n"
       "there is one: the largest |w|. Two axes or more, the last a multiple of group_size, or a "
       "ValueError. Codes and scales\n"
       "have no gradient.\n\n"
       ">>> words, scales, biases = mx.quantize(mx.arange(64.0).reshape(2, 32), group_size=32)\n"
       ">>> words.shape, scales\n"
       "((2, 4), array([[-2.06667],\n"
       "       [-2.1]], dtype=float32))")
      .cases({"mx.real(x(3, 64)) * 1.0", "mx.real(x(2, 5, 96)) * 1.0, 32, 3",
              "mx.real(x(2, 128)) * 1.0, 128, 6", "mx.real(x(2, 32)) * 1.0, mode='mxfp4'",
              "mx.real(x(2, 64)) * 1.0, mode='mxfp8'", "mx.real(x(3, 48)) * 1.0, mode='nvfp4'",
              "mx.zeros((0, 64))"},
             "-")
      .large({"mx.real(x(3, chunk + 64 - chunk % 64)) * 1.0, 64, 5",
              "mx.real(x(5, chunk)) * 1.0, mode='nvfp4'"});
  m.def(
       "dequantize(w, /, scales, biases=None, group_size=None, bits=None, mode='affine', "
       "global_scale=None, dtype=None, *, stream=None)",
       [](A w, A scales, OptionalArray biases, Size group, Size bits, Name mode,
          OptionalArray global, OptionalDtype dtype, S s) {
         return dequantize(w, scales, biases, {group, bits, mode, global}, dtype, s);
       },
       "What codes of quantize stand for: of the scales' dtype, or bfloat16 where scales are "
       "bytes, unless dtype says otherwise.\n"
       "Computed in float32 and rounded once. group_size, bits and mode are those of quantize.\n\n"
       ">>> packed = mx.quantize(mx.array([[0.0, 1.0] * 16]), group_size=32)\n"
       ">>> mx.dequantize(*packed, group_size=32)[0, :3]\n"
       "array([0, 1, 0], dtype=float32)")
      .cases({"*mx.quantize(mx.real(x(3, 64)) * 1.0)",
              "*mx.quantize(mx.real(x(2, 5, 96)) * 1.0, 32, 3), 32, 3",
              "*mx.quantize(mx.real(x(2, 32)) * 1.0, mode='mxfp4'), mode='mxfp4'",
              "*mx.quantize(mx.real(x(2, 64)) * 1.0, mode='mxfp8'), mode='mxfp8', "
              "dtype=mx.float32",
              "*mx.quantize(mx.real(x(3, 48)) * 1.0, mode='nvfp4'), mode='nvfp4'"},
             "packing.dequantize")
      .large({"*mx.quantize(mx.real(x(3, chunk + 64 - chunk % 64)) * 1.0, 64, 5), None, 5"});
  m.def(
       "quantized_matmul(x, w, /, scales, biases=None, transpose=True, group_size=None, bits=None, "
       "mode='affine', *, stream=None)",
       [](A x, A w, A scales, OptionalArray biases, bool transpose, Size group, Size bits,
          Name mode, S s) {
         return quantized_matmul(x, w, scales, biases, transpose, {group, bits, mode, {}}, s);
       },
       "x times the matrix that quantize packed, read as it is: x @ w.T (transpose), or x @ w. Axes "
       "in front broadcast.\n"
       "With transpose, rows are multiplied in whole numbers, each group of x at 16 bits (an error "
       "of 2e-5 or so; without AVX-512\n"
       "VNNI up to 31 rows); others in float32, float64 in float64. Gradients for x, scales and "
       "biases.\n\n"
       ">>> packed = mx.quantize(mx.ones((2, 64)))\n"
       ">>> mx.quantized_matmul(mx.ones((1, 64)), *packed)\n"
       "array([[64, 64]], dtype=float32)")
      .cases({"x(3, 64), *mx.quantize(mx.real(x(5, 64)) * 1.0)",
              "x(2, 9, 64), *mx.quantize(mx.real(x(7, 64)) * 1.0, 32, 3), True, 32, 3",
              "x(3, 5), *mx.quantize(mx.real(x(5, 64)) * 1.0, 64, 8), False, 64, 8",
              "x(2, 3, 64), *mx.quantize(mx.real(x(2, 5, 64)) * 1.0, 64, 6), True, 64, 6",
              "x(64), *mx.quantize(mx.real(x(33, 64)) * 1.0, 64, 2), True, 64, 2"},
             "packing.quantized_matmul")
      .by_layout()
      .large({"x(1, 512), *mx.quantize(mx.real(x(300, 512)) * 1.0)",
              "x(4, 384), *mx.quantize(mx.real(x(35, 384)) * 1.0, 128, 5), True, 128, 5",
              "x(17, 448), *mx.quantize(mx.real(x(67, 448)) * 1.0, 64, 3), True, 64, 3",
              "x(515, 96), *mx.quantize(mx.real(x(40, 96)) * 1.0, 32, 4), True, 32",
              "x(9, 515), *mx.quantize(mx.real(x(515, 96)) * 1.0, 32, 6), False, 32, 6"});
  m.def(
       "gather_qmm(x, w, /, scales, biases=None, lhs_indices=None, rhs_indices=None, "
       "transpose=True, group_size=None, bits=None, mode='affine', global_scale=None, *, "
       "sorted_indices=False, stream=None)",
       [](A x, A w, A scales, OptionalArray biases, OptionalArray lhs, OptionalArray rhs,
          bool transpose, Size group, Size bits, Name mode, OptionalArray global,
          bool /* found anyway */, S s) {
         return gather_qmm(x, w, scales, biases, lhs, rhs, transpose, {group, bits, mode, global},
                           s);
       },
       "Products with packed matrices that indices name, as gather_mm: x[lhs] @ w[rhs].T "
       "(transpose), or x[lhs] @ w[rhs].\n"
       "All that meet one matrix are one product. Out of range: IndexError at evaluation.\n\n"
       ">>> packed = mx.quantize(mx.stack([mx.ones((2, 64)), mx.zeros((2, 64))]))\n"
       ">>> mx.gather_qmm(mx.ones((1, 1, 64)), *packed, rhs_indices=mx.array([1, 0])).tolist()\n"
       "[[[0.0, 0.0]], [[64.0, 64.0]]]")
      .cases({"x(4, 1, 64), *mx.quantize(mx.real(x(3, 5, 64)) * 1.0), None, i(3, 4)",
              "x(4, 2, 64), *mx.quantize(mx.real(x(2, 3, 64)) * 1.0), i(4, 6), i(2, 6)",
              "x(2, 3, 5), *mx.quantize(mx.real(x(3, 5, 64)) * 1.0, 64, 8), i(2, 3, 1), i(3, 2), "
              "False, 64, 8"},
             "packing.gather_qmm")
      .by_layout()
      .large({"x(33, 1, 128), *mx.quantize(mx.real(x(3, 70, 128)) * 1.0), None, i(3, 33)"});
  m.def(
       "qqmm(x, w, scales=None, group_size=None, bits=None, mode='nvfp4', global_scale_x=None, "
       "global_scale_w=None, *, stream=None)",
       [](A x, A w, OptionalArray scales, Size group, Size bits, Name mode, OptionalArray of_x,
          OptionalArray of_w, S s) {
         return qqmm(x, w, scales, {group, bits, mode, of_w}, of_x, s);
       },
       "x @ w.T with both rounded to the codes of a mode, 'nvfp4' or 'mxfp8'; w may be packed "
       "already (with its scales). The\n"
       "gradients are those of x @ w.T at the rounded numbers.\n\n"
       ">>> mx.qqmm(mx.ones((1, 32)), mx.full((2, 32), 3.0), mode='mxfp8')\n"
       "array([[96, 96]], dtype=float32)")
      .cases({"mx.real(x(3, 32)).astype(mx.float32), mx.real(x(5, 32)).astype(mx.float16)",
              "mx.real(x(2, 3, 64)).astype(mx.bfloat16), *mx.quantize(mx.real(x(5, 64)) * 1.0, "
              "mode='mxfp8'), mode='mxfp8'"},
             "-")
      .by_layout();
  m.def(
       "gather_qqmm(x, w, /, scales=None, lhs_indices=None, rhs_indices=None, group_size=None, "
       "bits=None, mode='nvfp4', global_scale_x=None, global_scale_w=None, *, "
       "sorted_indices=False, stream=None)",
       [](A x, A w, OptionalArray scales, OptionalArray lhs, OptionalArray rhs, Size group,
          Size bits, Name mode, OptionalArray of_x, OptionalArray of_w, bool /* found anyway */,
          S s) { return gather_qqmm(x, w, scales, lhs, rhs, {group, bits, mode, of_w}, of_x, s); },
       "As qqmm, of matrices that indices name, as gather_qmm.\n\n"
       ">>> w = mx.stack([mx.ones((2, 32)), mx.zeros((2, 32))])\n"
       ">>> at = mx.array([1, 0])\n"
       ">>> mx.gather_qqmm(mx.ones((1, 1, 32)), w, rhs_indices=at, mode='mxfp8').tolist()\n"
       "[[[0.0, 0.0]], [[32.0, 32.0]]]")
      .cases({"mx.real(x(4, 1, 32)).astype(mx.float32), mx.real(x(3, 5, 32)).astype(mx.float32), "
              "None, "
              "None, i(3, 4)"},
             "-")
      .by_layout();
  m.def(
       "int8_matmul(a, b, /, a_scale=None, b_scale=None, *, stream=None)",
       [](A a, A b, OptionalArray of_a, OptionalArray of_b, S s) {
         return int8_matmul(a, b, of_a, of_b, s);
       },
       "a @ b of int8 matrices with sums of int32, which wrap: (..., m, k) by (..., k, n), either "
       "at "
       "any strides. With scales, one for\n"
       "each row of a (..., m), for each column of b (..., n) or for all, the sums times them, in "
       "their floating dtype. Not of MLX.\n\n"
       ">>> a = mx.array([[1, -2]], mx.int8)\n"
       ">>> mx.int8_matmul(a, a.T), mx.int8_matmul(a, a.T, mx.array([0.5]))\n"
       "(array([[5]], dtype=int32), array([[2.5]], dtype=float32))")
      .cases({"mx.real(x(3, 7) * 30).astype(mx.int8), mx.real(x(7, 5) * 30).astype(mx.int8)",
              "mx.real(x(2, 3, 9) * 30).astype(mx.int8), mx.real(x(2, 9, 5) * 30).astype(mx.int8), "
              "mx.real(x(2, 3)) * 1.0, mx.real(x(5)) * 1.0",
              "mx.real(x(2, 3, 8) * 30).astype(mx.int8), mx.real(x(8, 5) * 30).astype(mx.int8), "
              "mx.real(x()) * 1.0"},
             "packing.int8_matmul")
      .large(
          {"mx.real(x(17, 1600) * 30).astype(mx.int8), mx.real(x(1600, 67) * 30).astype(mx.int8)",
           "mx.real(x(530, 41) * 30).astype(mx.int8), mx.real(x(41, 33) * 30).astype(mx.int8)"});
  m.def(
       "to_fp8(x, *, stream=None)", [](A x, S s) { return to_fp8(x, s); },
       "The nearest floats of 8 bits (E4M3) as uint8: halves to even, beyond 448 the largest, nan "
       "stays nan. No gradient.\n\n"
       ">>> mx.to_fp8(mx.array([1.0, -448.0]))\n"
       "array([56, 254], dtype=uint8)")
      .cases({"mx.real(x(5, 3)) * 1.0", "mx.real(x()) * 1.0", "mx.zeros((0, 2))"}, "-")
      .large({"mx.real(x(chunk + 1)) * 1.0"});
  m.def(
       "from_fp8(x, dtype=bfloat16, *, stream=None)",
       [](A x, Dtype dtype, S s) { return from_fp8(x, dtype, s); },
       "What bytes of to_fp8 (E4M3) stand for, in a floating dtype.\n\n"
       ">>> mx.from_fp8(mx.array([56, 254], mx.uint8), mx.float32)\n"
       "array([1, -448], dtype=float32)")
      .cases({"mx.to_fp8(mx.real(x(5, 3)) * 1.0), mx.float32", "mx.to_fp8(mx.real(x(4)) * 1.0)"},
             "packing.from_fp8")
      .large({"mx.to_fp8(mx.real(x(chunk + 1)) * 1.0), mx.float16"});
}

}  // namespace lazulite::functions
