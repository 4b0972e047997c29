// Codes of some lines, side by side in registers. As simd/vec.h: units of one instruction-set
// level, internal linkage.
#pragma once
#include "engine/gemm/pack.h"

namespace lazulite::engine {
namespace {

using F = Vec<float>;
using U = Vec<uint32_t>;
constexpr int L = F::size;
constexpr int most_blocks = 12;

// Code j of 32 of each lane, from the words they are packed in (lanes side by side).
template <int bits, int j>
LAZULITE_INLINE U code_of(const uint32_t* words) {
  constexpr int at = j * bits, word = at / 32, shift = at % 32;
  constexpr uint32_t mask = (1u << bits) - 1;
  auto v = U::load(words + word * L).v >> uint32_t(shift);
  if constexpr (shift + bits > 32)
    v |= U::load(words + (word + 1) * L).v << uint32_t(32 - shift);
  if constexpr (shift + bits == 32) return U::from(v);
  return U::from(v & mask);
}

// Words of up to L lines, turned: to[word * L + lane]; zeros where there are none.
LAZULITE_INLINE void turn_words(const char* codes, int64_t line, int64_t lines, int64_t words,
                                int64_t wanted, uint32_t* to) {
  pack_along<Plain<float>>({codes, to, lines, L, line / 4, 1, words});
  for (int64_t i = words * L; i < wanted * L; ++i) to[i] = 0;
}

}  // namespace
}  // namespace lazulite::engine
