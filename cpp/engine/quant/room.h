// What the files of this room share.
#pragma once
#include "device/cpu/level.h"
#include "device/cpu/partial.h"
#include "engine/gemm/panel_product.h"
#include "engine/quant/kernels.h"
#include "engine/quant/quant.h"

namespace lazulite::engine {

LAZULITE_LEVELS(const QuantKernels&, quant_kernels)
LAZULITE_FILLED(QuantKernels, quant_kernels, avx512_vnni)

// Code i of a dense line, and what it stands for before its scale.
inline uint32_t code_at(const char* codes, int64_t i, int bits) {
  const auto* p = reinterpret_cast<const uint8_t*>(codes) + i * bits / 8;
  const int shift = int(i * bits % 8);
  const uint32_t two = shift + bits > 8 ? p[0] | uint32_t(p[1]) << 8 : p[0];
  return two >> shift & ((1u << bits) - 1);
}
inline double number_of(Codes codes, uint32_t code) {
  return codes == Codes::integers ? code
         : codes == Codes::e2m1   ? from_e2m1(code)
                                  : from_e4m3(code);
}

// Scales (or biases) as numbers: number i of some that begin at `from`.
class Scales {
 public:
  Scales(const Format& f, Dtype type, double factor, bool biases = false)
      : small_(f.small_scales), type_(type), factor_(biases ? 1 : factor) {}
  double operator()(const char* from, int64_t i) const {
    switch (type_) {
      case Dtype::float64: return reinterpret_cast<const double*>(from)[i] * factor_;
      case Dtype::float32: return of(reinterpret_cast<const float*>(from)[i]);
      case Dtype::float16: return of(half_to_float(reinterpret_cast<const uint16_t*>(from)[i]));
      case Dtype::bfloat16: return of(bfloat_to_float(reinterpret_cast<const uint16_t*>(from)[i]));
      default: {
        const uint32_t byte = uint8_t(from[i]);
        return of(small_ ? from_e4m3(byte) : from_e8m0(byte));
      }
    }
  }
  // As float32, rounded as kernels do.
  double of(float v) const { return factor_ == 1 ? v : v * float(factor_); }

 private:
  const bool small_;
  const Dtype type_;
  const double factor_;
};

}  // namespace lazulite::engine
