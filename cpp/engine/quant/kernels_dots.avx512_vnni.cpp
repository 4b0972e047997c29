// A few rows beside packed codes, by AVX-512's dot products of 16-bit numbers.
#include "device/cpu/level.h"
#include "engine/quant/whole_block.h"

namespace lazulite::engine {

void LAZULITE_AT_LEVEL(fill_quant_kernels)(QuantKernels& table);
void LAZULITE_AT_LEVEL(fill_quant_kernels)(QuantKernels& table) {
  add_dots(table);
  add_whole(table);
}

}  // namespace lazulite::engine
