// Numbers packed in a few bits, and products with matrices of them as they are.
#pragma once
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "graph/node.h"

namespace lazulite {

// affine: codes of 2 to 8 bits, a scale and a bias for each group. The others: small floats (E2M1,
// E4M3) with a byte of scale for each group: a power of two (mx), or a small float (nv).
enum class Mode : uint8_t { affine, mxfp4, mxfp8, nvfp4 };
inline std::ostream& operator<<(std::ostream& out, Mode mode) {
  constexpr const char* names[] = {"affine", "mxfp4", "mxfp8", "nvfp4"};
  return out << names[int(mode)];
}

// As functions are given it: a mode by name, and what is not its own group size and bits.
struct Quantization {
  std::optional<int64_t> group_size = {}, bits = {};
  std::string mode = "affine";
  std::optional<array> global_scale = {};  // nvfp4: of all scales
};

// Words of uint32, scales and (affine) biases of each group of the last axis.
std::vector<array> quantize(const array& w, const Quantization& = {}, Stream s = default_stream());
// `type`: that of the scales, or bfloat16.
array dequantize(const array& w, const array& scales, const std::optional<array>& biases,
                 const Quantization& = {}, std::optional<Dtype> type = {},
                 Stream s = default_stream());
// x times the packed matrix, by its rows (transpose) or its columns; axes in front broadcast.
array quantized_matmul(const array& x, const array& w, const array& scales,
                       const std::optional<array>& biases, bool transpose = true,
                       const Quantization& = {}, Stream s = default_stream());
// Of matrices that indices name, as gather_mm.
array gather_qmm(const array& x, const array& w, const array& scales,
                 const std::optional<array>& biases, const std::optional<array>& lhs_indices,
                 const std::optional<array>& rhs_indices, bool transpose = true,
                 const Quantization& = {}, Stream s = default_stream());
// Both rounded to codes: x, and w where it is not packed (no scales). Gradients as of the numbers
// that went in.
array qqmm(const array& x, const array& w, const std::optional<array>& scales,
           const Quantization&, const std::optional<array>& global_scale_x,
           Stream s = default_stream());
array gather_qqmm(const array& x, const array& w, const std::optional<array>& scales,
                  const std::optional<array>& lhs_indices, const std::optional<array>& rhs_indices,
                  const Quantization&, const std::optional<array>& global_scale_x,
                  Stream s = default_stream());
// Each number as the code that it would get stands for it; gradients pass.
array round_to_codes(const array& x, const Quantization& = {}, Stream s = default_stream());

// a @ b of int8 with sums of int32, which wrap; times a scale for each row of a and for each column
// of b (or one for all), which makes it floating.
array int8_matmul(const array& a, const array& b, const std::optional<array>& a_scale = {},
                  const std::optional<array>& b_scale = {}, Stream s = default_stream());

array to_fp8(const array& x, Stream s = default_stream());  // E4M3 in uint8
array from_fp8(const array& x, Dtype = bfloat16, Stream s = default_stream());

}  // namespace lazulite
