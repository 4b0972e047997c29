// Attention of bfloat16 by tiles: the way back, too.
#include "device/cpu/level.h"
#include "engine/attention/pairs.h"
#include "engine/gemm/tiles.h"

namespace lazulite::engine {
namespace {

// A group of queries, of which the second half may lack, of some keys. Rows are those of tiles of
// the left operands; of the right one two keys stand side by side.
template <bool bounded, int vectors>
LAZULITE_INLINE void slope_columns_of_pairs(const PairedSlopes& p, int64_t first) {
  const float *scores = static_cast<const float*>(p.scores) + first,
              *slopes = static_cast<const float*>(p.slopes) + first;
  const V factor(p.factor), zero(0.0f);
  V end[2] = {zero, zero}, mean[2] = {zero, zero};
  for (int j = 0; j < vectors; ++j) {
    end[j] = V::load(static_cast<const float*>(p.ends) + first + j * L);
    mean[j] = V::load(static_cast<const float*>(p.means) + first + j * L);
  }
  const int32_t all[2 * L] = {};
  const Sight sight(bounded ? p.low + first : all, bounded ? p.high + first : all, vectors);
  const int64_t row = first / (2 * L) * p.lines * tile_bytes;
  char *weights_of = static_cast<char*>(p.weights) + row,
       *slopes_of = static_cast<char*>(p.left) + row;
  uint32_t* right = static_cast<uint32_t*>(p.right) + first;
  // One key, and its slopes as a row of a tile.
  const auto slope = [&](int64_t k) __attribute__((always_inline)) {
    V x[2] = {zero, zero}, y[2] = {zero, zero};
#pragma GCC unroll 2
    for (int j = 0; j < vectors; ++j) {
      const int64_t at = k * p.width + j * L;
      x[j] = weight_of(fma(V::load(scores + at), factor, -end[j]));
      y[j] = V::load(slopes + at) - mean[j];
      if (bounded) {  // what is not seen has no part in anything
        const auto seen = sight.sees(j, p.first + k);
        x[j] = select(seen, x[j], zero);
        y[j] = select(seen, y[j], zero);
      }
      y[j] = x[j] * y[j];
    }
    const __m512i out = rounded(y[0], y[1]);
    _mm512_storeu_si512(weights_of + k * tile_bytes, rounded(x[0], x[1]));
    _mm512_storeu_si512(slopes_of + k * tile_bytes, out);
    return out;
  };
  const auto put = [&](__m512i one, __m512i two) __attribute__((always_inline)) {
    __m512i low, high;
    side_by_side(one, two, low, high);
    _mm512_storeu_si512(right, low);
    if (vectors == 2) _mm512_storeu_si512(right + L, high);
    right += p.right_width;
  };
  int64_t k = 0;
  for (; k + 2 <= p.keys; k += 2) {
    const __m512i one = slope(k), two = slope(k + 1);
    put(one, two);
  }
  if (k < p.keys) {
    put(slope(k), __m512i{});
    k += 2;
  }
  for (; k < p.all; k += 2) put(__m512i{}, __m512i{});
}
template <bool bounded>
void slope_rows(const PairedSlopes& p) {
  int64_t i = 0;
  for (; i + 2 * L <= p.width; i += 2 * L) slope_columns_of_pairs<bounded, 2>(p, i);
  if (i < p.width) slope_columns_of_pairs<bounded, 1>(p, i);
}
void slope_pairs(const PairedSlopes& p) { (p.low ? slope_rows<true> : slope_rows<false>)(p); }

}  // namespace

void LAZULITE_AT_LEVEL(fill_attention_kernels)(AttentionTable& table);
void LAZULITE_AT_LEVEL(fill_attention_kernels)(AttentionTable& table) {
  AttentionKernels& k = table.of[int(Dtype::bfloat16)];
  fill_pairs(k);
  k.slope_pairs = slope_pairs;
}

}  // namespace lazulite::engine
