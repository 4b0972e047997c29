// Weights and slopes of scores as operands of products of pairs: rounded to bfloat16 as they leave
// the registers, beside the neighbour with which they are multiplied. For units of levels that have
// AVX-512's bfloat16 (or tiles of it); internal linkage.
#pragma once
#include "engine/attention/kernels.h"
#include "engine/gemm/pairs.h"
#include "simd/turn.h"

namespace lazulite::engine {
namespace {

using V = Vec<float>;

// e^x of a score beside the largest, and 0 below e^-80, to 2^-18: weights are rounded to eight
// bits.
LAZULITE_INLINE V weight_of(V x) {
  const V log2e(1.44269504f), magic(12582912.0f),  // which rounds to an integer
      m = fma(x, log2e, magic), f = fma(x, log2e, magic - m);
  const V y = fma(fma(fma(fma(V(9.582854e-3f), f, V(5.5906426e-2f)), f, V(0.24024099f)), f,
                      V(0.6931242f)),
                  f, V(1.0f));
  const __mmask16 counts = _mm512_cmp_ps_mask((__m512)x.v, _mm512_set1_ps(-80), _CMP_NLT_UQ);
  const __m512i n = _mm512_maskz_slli_epi32(simd::every16, (__m512i)m.v, 23);
  return V::from((V::raw)_mm512_maskz_add_epi32(counts, (__m512i)y.v, n));
}

LAZULITE_INLINE __m512i rounded(V low, V high) {
  return (__m512i)_mm512_cvtne2ps_pbh(high.v, low.v);
}
// Of two rows of 32 halves: pairs of both, of the first 16 columns and of the others.
LAZULITE_INLINE void side_by_side(__m512i one, __m512i two, __m512i& first, __m512i& second) {
  const __m512i low = _mm512_unpacklo_epi16(one, two), high = _mm512_unpackhi_epi16(one, two);
  first = _mm512_permutex2var_epi64(low, _mm512_set_epi64(11, 10, 3, 2, 9, 8, 1, 0), high);
  second = _mm512_permutex2var_epi64(low, _mm512_set_epi64(15, 14, 7, 6, 13, 12, 5, 4), high);
}

// Which keys two vectors of columns see, as numbers.
struct Sight {
  V from[2], to[2];

  LAZULITE_INLINE Sight(const int32_t* low, const int32_t* high, int vectors) {
    for (int j = 0; j < 2; ++j) {
      const int64_t at = j < vectors ? j * L : 0;
      from[j] = numbers(low + at);
      to[j] = numbers(high + at);
    }
  }
  LAZULITE_INLINE static V numbers(const int32_t* p) {
    return V::from((V::raw)_mm512_maskz_cvtepi32_ps(simd::every16, _mm512_loadu_si512(p)));
  }
  LAZULITE_INLINE simd::Mask<float> sees(int j, int64_t key) const {
    const V k{float(key)};
    return (k >= from[j]) & (k < to[j]);
  }
};

// Two vectors of columns, or the last one.
template <int vectors>
LAZULITE_INLINE bool weigh_columns_of_pairs(const PairedWeights& p, int64_t first) {
  const V none(-__builtin_inff()), factor(p.factor);
  float* scores = static_cast<float*>(p.scores) + first;
  V most[2][vectors];
  for (auto& row : most)
    for (V& v : row) v = none;
  if (p.low) {
    const Sight sight(p.low + first, p.high + first, vectors);
    for (int64_t k = 0; k < p.keys; ++k)
      for (int j = 0; j < vectors; ++j) {
        float* at = scores + k * p.width + j * L;
        const V x = select(sight.sees(j, k), V::load(at), none);
        x.store(at);
        most[0][j] = max(x, most[0][j]);
      }
  } else {
    int64_t k = 0;
    const float* at = scores;
    for (; k + 2 <= p.keys; k += 2, at += 2 * p.width)
#pragma GCC unroll 4
      for (int h = 0; h < 2; ++h)
#pragma GCC unroll 4
        for (int j = 0; j < vectors; ++j)
          most[h][j] = max(V::load(at + h * p.width + j * L), most[h][j]);
    if (k < p.keys)
      for (int j = 0; j < vectors; ++j) most[0][j] = max(V::load(at + j * L), most[0][j]);
  }
  float *tops = static_cast<float*>(p.top) + first, *sums = static_cast<float*>(p.sum) + first,
        *decays = static_cast<float*>(p.decay) + first;
  V shift[vectors], sum[vectors];
  bool changes = false;
  for (int j = 0; j < vectors; ++j) {
    const V before = V::load(tops + j * L),
            top = max(max(most[0][j], most[1][j]) * factor, before);
    shift[j] = select(top == none, V(0.0f), top);
    const V decay = weight_of(before - shift[j]);
    top.store(tops + j * L);
    decay.store(decays + j * L);
    changes |= any(decay != V(1.0f));
    sum[j] = V(0.0f);
  }
  uint32_t* to = static_cast<uint32_t*>(p.to) + first;
  const auto weigh = [&](const float* at, V(&x)[2]) __attribute__((always_inline)) {
#pragma GCC unroll 4
    for (int j = 0; j < vectors; ++j) {
      x[j] = weight_of(fma(V::load(at + j * L), factor, -shift[j]));
      sum[j] = sum[j] + x[j];
    }
  };
  const auto put = [&](const V(&x)[2], const V(&y)[2]) __attribute__((always_inline)) {
    __m512i one, two;
    side_by_side(rounded(x[0], x[1]), rounded(y[0], y[1]), one, two);
    _mm512_storeu_si512(to, one);
    if (vectors == 2) _mm512_storeu_si512(to + L, two);
    to += p.width;
  };
  const V zero[2] = {V(0.0f), V(0.0f)};
  int64_t k = 0;
  for (; k + 2 <= p.keys; k += 2, scores += 2 * p.width) {
    V x[2] = {zero[0], zero[0]}, y[2] = {zero[0], zero[0]};
    weigh(scores, x);
    weigh(scores + p.width, y);
    put(x, y);
  }
  if (k < p.keys) {
    V x[2] = {zero[0], zero[0]};
    weigh(scores, x);
    put(x, zero);
    k += 2;
  }
  for (; k < p.all; k += 2) put(zero, zero);
  for (int j = 0; j < vectors; ++j) {
    const int64_t at = j * L;
    fma(V::load(sums + at), V::load(decays + at), sum[j]).store(sums + at);
  }
  return changes;
}
bool weigh_pairs(const PairedWeights& p) {
  bool changes = false;
  int64_t i = 0;
  for (; i + 2 * L <= p.width; i += 2 * L) changes |= weigh_columns_of_pairs<2>(p, i);
  if (i < p.width) changes |= weigh_columns_of_pairs<1>(p, i);
  return changes;
}

// Of rows `width` apart: columns become rows, `rows` numbers each.
void turn_floats(const void* from, int64_t rows, int64_t width, int64_t columns, void* to) {
  const float* in = static_cast<const float*>(from);
  float* out = static_cast<float*>(to);
  for (int64_t r = 0; r < rows; r += L) {
    const int64_t high = rows - r < L ? rows - r : L;
    const __mmask16 part = __mmask16((1u << high) - 1);
    for (int64_t c = 0; c < columns; c += L) {
      const int64_t wide = columns - c < L ? columns - c : L;
      const __mmask16 there = __mmask16((1u << wide) - 1);
      V::raw row[L];
#pragma GCC unroll 16
      for (int i = 0; i < L; ++i)
        row[i] = (V::raw)_mm512_maskz_loadu_ps(i < high ? there : __mmask16(0),
                                               in + (r + i) * width + c);
      simd::turn(row);
      for (int i = 0; i < wide; ++i)
        _mm512_mask_storeu_ps(out + (c + i) * rows + r, part, (__m512)row[i]);
    }
  }
}

// rows[r][i] *= by[i], whole registers.
void decay_columns(void* rows, const void* by, int64_t count, int64_t width) {
  for (int64_t i = 0; i < width; i += L) {
    const V factor = V::load(static_cast<const float*>(by) + i);
    float* at = static_cast<float*>(rows) + i;
    for (int64_t r = 0; r < count; ++r, at += width) (V::load(at) * factor).store(at);
  }
}

void fill_pairs(AttentionKernels& k) {
  k.weigh_pairs = weigh_pairs;
  k.turn = turn_floats;
  k.decay_columns = decay_columns;
}

}  // namespace
}  // namespace lazulite::engine
