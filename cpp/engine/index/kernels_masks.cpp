// Elements by masks, per instruction-set level.
#include "device/cpu/level.h"
#include "engine/index/masks.h"
#include "simd/vec.h"

namespace lazulite::engine {
namespace {

int64_t count(const bool* mask, int64_t n) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(mask);
  int64_t all = 0;
  for (int64_t i = 0; i < n;) {  // sums of bytes, in bytes
    constexpr int64_t lanes = 64, most = 255 * lanes;
    uint8_t sum[lanes] = {};
    const int64_t end = i + (n - i < most ? (n - i) / lanes * lanes : most);
    if (end == i) {
      for (; i < n; ++i) all += bytes[i];
      break;
    }
    for (; i < end; i += lanes)
      for (int64_t k = 0; k < lanes; ++k) sum[k] = uint8_t(sum[k] + bytes[i + k]);
    for (int64_t k = 0; k < lanes; ++k) all += sum[k];
  }
  return all;
}

#if defined(LAZULITE_SIMD_AVX512)
// Vectors of elements of at most 8 bytes, short ones widened: no instruction of this level moves
// bytes to the front.
template <class T> struct Lanes {
  static constexpr int64_t count = sizeof(T) == 8 ? 8 : 16;
  static constexpr __mmask16 all = 0xffff;  // g++ warns of the forms without a mask
  static __m512i load(const T* p) {
    [[maybe_unused]] const void* at = p;
    if constexpr (sizeof(T) == 1)
      return _mm512_maskz_cvtepu8_epi32(all, _mm_loadu_si128(static_cast<const __m128i*>(at)));
    else if constexpr (sizeof(T) == 2)
      return _mm512_maskz_cvtepu16_epi32(all, _mm256_loadu_si256(static_cast<const __m256i*>(at)));
    else return _mm512_loadu_si512(p);
  }
  static void store(__m512i v, T* p) {
    if constexpr (sizeof(T) == 1)
      _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_maskz_cvtepi32_epi8(all, v));
    else if constexpr (sizeof(T) == 2)
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_maskz_cvtepi32_epi16(all, v));
    else _mm512_storeu_si512(p, v);
  }
  static unsigned set(const bool* mask) {
    if constexpr (count == 8) {
      const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(mask));
      return unsigned(_mm_test_epi8_mask(bytes, bytes));
    } else {
      const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(mask));
      return unsigned(_mm_test_epi8_mask(bytes, bytes));
    }
  }
  static __m512i compress(unsigned set, __m512i v) {
    if constexpr (count == 8) return _mm512_maskz_compress_epi64(__mmask8(set), v);
    else return _mm512_maskz_compress_epi32(__mmask16(set), v);
  }
  static __m512i expand(__m512i other, unsigned set, __m512i v) {
    if constexpr (count == 8) return _mm512_mask_expand_epi64(other, __mmask8(set), v);
    else return _mm512_mask_expand_epi32(other, __mmask16(set), v);
  }
};
#endif

struct Wide {
  uint64_t half[2];
};

// Every element is written, and the next one over it where it does not count: no branch knows a
// mask.
template <class T>
int64_t compress(const void* from, const bool* mask, int64_t n, void* out, int64_t room) {
  const T* x = static_cast<const T*>(from);
  T* to = static_cast<T*>(out);
  int64_t i = 0, found = 0;
#if defined(LAZULITE_SIMD_AVX512)
  if constexpr (sizeof(T) <= 8) {
    using L = Lanes<T>;
    for (; i + L::count <= n && found + L::count <= room; i += L::count) {
      const unsigned set = L::set(mask + i);
      L::store(L::compress(set, L::load(x + i)), to + found);
      found += __builtin_popcount(set);
    }
  }
#endif
  for (; i < n && found < room; ++i) {
    to[found] = x[i];
    found += mask[i];
  }
  return found;
}

template <class T>
int64_t expand(const void* from, const bool* mask, int64_t n, const void* values, int64_t there,
               void* out) {
  const T *x = static_cast<const T*>(from), *next = static_cast<const T*>(values);
  T* to = static_cast<T*>(out);
  int64_t i = 0, taken = 0;
#if defined(LAZULITE_SIMD_AVX512)
  if constexpr (sizeof(T) <= 8) {
    using L = Lanes<T>;
    for (; i + L::count <= n && taken + L::count <= there; i += L::count) {
      const unsigned set = L::set(mask + i);
      L::store(L::expand(L::load(x + i), set, L::load(next + taken)), to + i);
      taken += __builtin_popcount(set);
    }
  }
#endif
  for (; i < n && taken < there; ++i) {
    const bool set = mask[i];
    const T* const one[2] = {x + i, next + taken};
    to[i] = *one[set];
    taken += set;
  }
  for (; i < n; ++i) to[i] = x[i];
  return taken;
}

constexpr MaskKernels table = {
    count,
    {compress<uint8_t>, compress<uint16_t>, compress<uint32_t>, compress<uint64_t>, compress<Wide>},
    {expand<uint8_t>, expand<uint16_t>, expand<uint32_t>, expand<uint64_t>, expand<Wide>}};

}  // namespace

const MaskKernels& LAZULITE_AT_LEVEL(mask_kernels)();
const MaskKernels& LAZULITE_AT_LEVEL(mask_kernels)() { return table; }

}  // namespace lazulite::engine
