// bfloat16 in pairs of neighbouring elements, as dot products of pairs take them: packing, and rows
// by lines. Products of pairs are added in float32; subnormal numbers count as zeros. For units of
// levels that have AVX-512's dot products; internal linkage.
#pragma once
#include "engine/gemm/pack.h"

namespace lazulite::engine {
namespace {

constexpr int L = Vec<float>::size;

// Pairs of neighbouring elements, moved as the bits of a float.
struct Pairs {
  using Memory = uint16_t;
  using Sum = float;
  static constexpr int group = 2;
  LAZULITE_INLINE static Vec<float> load(const uint16_t* p) {
    return Vec<float>::load(reinterpret_cast<const float*>(p));
  }
};

LAZULITE_INLINE Vec<float> add_pairs(Vec<float> sum, Vec<float> x, Vec<float> y) {
  return Vec<float>::from(_mm512_dpbf16_ps(sum.v, (__m512bh)x.v, (__m512bh)y.v));
}

typedef uint32_t Words __attribute__((vector_size(64)));
LAZULITE_INLINE Words words(__mmask16 there, const uint16_t* p) {
  return Words(_mm512_maskz_cvtepu16_epi32(0xffff, _mm256_maskz_loadu_epi16(there, p)));
}

// Lines side by side: two steps of them, interleaved.
void pack_pairs_across(const PackCall& p) {
  const uint16_t* from = static_cast<const uint16_t*>(p.from);
  uint32_t* to = static_cast<uint32_t*>(p.to);
  for (int64_t k = 0; k < p.steps; k += 2, from += 2 * p.step, to += p.width) {
    const bool two = k + 1 < p.steps;
    for (int64_t i = 0; i < p.width; i += L) {
      const int64_t n = p.lines - i, wide = p.width - i;
      const __mmask16 lines = n >= L ? 0xffff : n > 0 ? __mmask16((1u << n) - 1) : 0,
                      all = wide >= L ? 0xffff : __mmask16((1u << wide) - 1);
      const Words first = words(lines, from + i),
                  second = words(two ? lines : __mmask16(0), from + p.step + i);
      _mm512_mask_storeu_epi32(to + i, all, __m512i(first | second << 16));
    }
  }
}
void pack_pairs(const PackCall& p) {
  if (p.line == 1 && p.lines > 1) return pack_pairs_across(p);
  if (p.step == 1) return pack_along<Pairs>(p);
  const uint16_t* from = static_cast<const uint16_t*>(p.from);
  uint16_t* to = static_cast<uint16_t*>(p.to);
  for (int64_t k = 0; k < p.steps; k += 2)
    for (int64_t i = 0; i < p.width; ++i)
      for (int64_t s = 0; s < 2; ++s)
        to[(k / 2 * p.width + i) * 2 + s] =
            i < p.lines && k + s < p.steps ? from[i * p.line + (k + s) * p.step] : 0;
}

// As store_half rounds, but for subnormal sums: these count as zeros, as in dot products.
LAZULITE_INLINE __m512i rounded(const float* sums) {
  return (__m512i)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(sums + L), _mm512_loadu_ps(sums));
}
void round_sums(void* to, const void* sums, int64_t n) {
  const float* from = static_cast<const float*>(sums);
  uint16_t* out = static_cast<uint16_t*>(to);
  int64_t i = 0;
  for (; i + 2 * L <= n; i += 2 * L)
    _mm512_storeu_si512(out + i, rounded(from + i));
  simd::store_half<Half::bf16>(from + i, out + i, n - i);
}

// Each sum in two registers, of even and odd vectors of steps.
template <int rows, int lines>
LAZULITE_INLINE void dots_of_pairs(const FewCall& p, int64_t line) {
  using V = Vec<float>;
  const uint16_t *x = static_cast<const uint16_t*>(p.x),
                 *y = static_cast<const uint16_t*>(p.lines) + line * p.line;
  V sum[2][rows][lines];
  for (int h = 0; h < 2; ++h)
    for (int r = 0; r < rows; ++r)
      for (int i = 0; i < lines; ++i) sum[h][r][i] = V(0.0f);
  auto add = [&](int h, int64_t k, auto&& load) __attribute__((always_inline)) {
    V of_x[rows];
#pragma GCC unroll 4
    for (int r = 0; r < rows; ++r) of_x[r] = load(x + r * p.x_row + k);
#pragma GCC unroll 4
    for (int i = 0; i < lines; ++i) {
      const V of_y = load(y + i * p.line + k);
#pragma GCC unroll 4
      for (int r = 0; r < rows; ++r) sum[h][r][i] = add_pairs(sum[h][r][i], of_x[r], of_y);
    }
  };
  int64_t k = 0;
  for (; k + 4 * L <= p.steps; k += 4 * L) {
    add(0, k, Pairs::load);
    add(1, k + 2 * L, Pairs::load);
  }
  if (k + 2 * L <= p.steps) {
    add(0, k, Pairs::load);
    k += 2 * L;
  }
  if (const int64_t left = p.steps - k; left > 0) {
    const __mmask32 there = __mmask32((uint64_t{1} << left) - 1);
    add(1, k, [&](const uint16_t* at) {
      return V::from(_mm512_castsi512_ps(_mm512_maskz_loadu_epi16(there, at)));
    });
  }
  float* out = static_cast<float*>(p.out);
  for (int r = 0; r < rows; ++r)
    for (int i = 0; i < lines; ++i)
      out[r * p.out_row + line + i] = total(sum[0][r][i] + sum[1][r][i]);
}
template <int rows>
void dots_of_rows(const FewCall& p) {
  constexpr int lines = rows > 2 ? 2 : 4;
  int64_t i = 0;
  for (; i + lines <= p.count; i += lines) dots_of_pairs<rows, lines>(p, i);
  for (; i < p.count; ++i) dots_of_pairs<rows, 1>(p, i);
}
void dots_of_halves(const FewCall& p) {
  switch (p.rows) {
    case 1: return dots_of_rows<1>(p);
    case 2: return dots_of_rows<2>(p);
    case 3: return dots_of_rows<3>(p);
    default: return dots_of_rows<4>(p);
  }
}

}  // namespace
}  // namespace lazulite::engine
