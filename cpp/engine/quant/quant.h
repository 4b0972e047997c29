// Numbers packed in a few bits, and products with matrices of them as they are. The bits of a
// result follow from sizes, dtypes, values and instruction-set level, never from threads.
#pragma once
#include <vector>

#include "base/dtype.h"
#include "engine/quant/format.h"

namespace lazulite::engine {

// Dense rows of packed codes, with a scale and a bias for each group of a row: floating (both of
// one dtype), or bytes without biases. Scales count `factor` times.
struct PackedMatrix {
  const char *codes, *scales, *biases;
};

// `count` numbers (whole groups), dense: floating.
void quantize(const Format&, const char* from, Dtype, int64_t count, double factor, char* codes,
              char* scales, char* biases);
// The other way. Computed in float32 (float64, where scales or results are), rounded once.
void dequantize(const Format&, const PackedMatrix&, Dtype scales, int64_t count, double factor,
                char* to, Dtype);
// Each number as its code stands for it.
void round_to_codes(const Format&, const char* from, Dtype, int64_t count, double factor, char* to);

void to_fp8(const char* from, Dtype, int64_t count, char* to);  // E4M3
void from_fp8(const char* from, int64_t count, char* to, Dtype);

// Rows of x times a packed matrix w: of `lines` rows and `length` columns, by its rows (out[i] = x
// . w[i]: transposed) or its columns.
struct PackedProduct {
  Format format;
  bool transposed;
  Dtype type, scale_type;  // of x and out: floating
  double factor;
  int64_t lines, length;
  // Rows of x, of neighbouring elements, and where the results are written.
  struct Row {
    const char* x;
    char* out;
  };
  struct Part {
    PackedMatrix w;
    int64_t first, count;  // of the rows
  };
  std::vector<Row> rows;
  std::vector<Part> parts;  // each row is in one
  bool centred = false;     // as `centred` says of all groups

  int64_t inner() const { return transposed ? length : lines; }
  int64_t columns() const { return transposed ? lines : length; }
};
// Up to so many rows of a part, biases are the scales times -2^(bits - 1) and need not be read.
inline constexpr int64_t centred_rows = 8;
// Whether they are so in all of these groups (as those of Q4_0 and Q8_0 are, of ggml): the result
// has the same bits.
bool centred(const Format&, const PackedMatrix&, Dtype scales, int64_t groups);

// By kernels of the caller's choice, or else the machine's.
struct PanelTable;
struct QuantKernels;
struct PackedKernels {
  const PanelTable* panels = nullptr;
  const QuantKernels* whole = nullptr;  // of eight rows and more
};
void packed_product(const PackedProduct&, const PackedKernels& = {});

}  // namespace lazulite::engine
