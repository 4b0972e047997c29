// Sorting and selecting keys of one width: networks in vectors for few, quicksort by vectors for
// many. For units of one instruction-set level.
#pragma once
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

#include "simd/turn.h"
#include "simd/vec.h"

namespace lazulite::engine {
namespace {

template <class K>
struct SortOf {
  using V = simd::Vec<K>;
  using Raw = typename V::raw;
  static constexpr int W = V::size;
  // Vectors of a network: what the registers hold.
#if defined(LAZULITE_SIMD_AVX512)
  static constexpr int most = 16;
#else
  static constexpr int most = 8;
#endif
  static constexpr int64_t few = most * W;
  static constexpr K last = std::numeric_limits<K>::max();

  // ---- a network

  LAZULITE_INLINE static Raw lower(Raw a, Raw b) {
#if defined(LAZULITE_SIMD_AVX512)
    if constexpr (sizeof(K) == 4)
      return (Raw)_mm512_mask_min_epi32((__m512i)a, simd::every16, (__m512i)a, (__m512i)b);
    else return (Raw)_mm512_mask_min_epi64((__m512i)a, simd::every8, (__m512i)a, (__m512i)b);
#elif defined(LAZULITE_SIMD_AVX2)
    if constexpr (sizeof(K) == 4) return (Raw)_mm256_min_epi32((__m256i)a, (__m256i)b);
    else return a < b ? a : b;
#else
    return a < b ? a : b;
#endif
  }
  LAZULITE_INLINE static Raw upper(Raw a, Raw b) {
#if defined(LAZULITE_SIMD_AVX512)
    if constexpr (sizeof(K) == 4)
      return (Raw)_mm512_mask_max_epi32((__m512i)a, simd::every16, (__m512i)a, (__m512i)b);
    else return (Raw)_mm512_mask_max_epi64((__m512i)a, simd::every8, (__m512i)a, (__m512i)b);
#elif defined(LAZULITE_SIMD_AVX2)
    if constexpr (sizeof(K) == 4) return (Raw)_mm256_max_epi32((__m256i)a, (__m256i)b);
    else return a < b ? b : a;
#else
    return a < b ? b : a;
#endif
  }
  // Lane i of the result is lane i ^ x.
  template <int x, int... i>
  LAZULITE_INLINE static Raw moved(Raw a, std::integer_sequence<int, i...>) {
    return __builtin_shufflevector(a, a, (i ^ x)...);
  }
  // Lane i is of a, or of b where lane i has the upper place of its two.
  template <int x, int... i>
  LAZULITE_INLINE static Raw mixed(Raw a, Raw b, std::integer_sequence<int, i...>) {
    return __builtin_shufflevector(a, b, ((i ^ x) < i ? i + W : i)...);
  }
  // Lanes i and i ^ x in order.
  template <int x>
  LAZULITE_INLINE static Raw exchanged(Raw a) {
    constexpr std::make_integer_sequence<int, W> lanes{};
    const Raw other = moved<x>(a, lanes);
    return mixed<x>(lower(a, other), upper(a, other), lanes);
  }
  template <int x, int v>
  LAZULITE_INLINE static void exchange(Raw (&a)[v]) {
#pragma GCC unroll 16
    for (int i = 0; i < v; ++i) a[i] = exchanged<x>(a[i]);
  }
  // Bitonic runs of 2 * d lanes become sorted ones.
  template <int d, int v>
  LAZULITE_INLINE static void clean_lanes(Raw (&a)[v]) {
    if constexpr (d > 0) {
      exchange<d>(a);
      clean_lanes<d / 2>(a);
    }
  }
  // Sorted runs of b / 2 lanes become runs of b, up to whole vectors.
  template <int b, int v>
  LAZULITE_INLINE static void sort_lanes(Raw (&a)[v]) {
    if constexpr (b <= W) {
      exchange<b - 1>(a);
      clean_lanes<b / 4>(a);
      sort_lanes<b * 2>(a);
    }
  }
  template <int d, int v>
  LAZULITE_INLINE static void clean_vectors(Raw (&a)[v]) {
    if constexpr (d > 0) {
#pragma GCC unroll 16
      for (int i = 0; i < v; ++i)
        if (!(i & d)) {
          const Raw x = a[i], y = a[i + d];
          a[i] = lower(x, y);
          a[i + d] = upper(x, y);
        }
      clean_vectors<d / 2>(a);
    }
  }
  // Batcher's odd-even merge sort of W numbers: which two are put in order, one after the other.
  struct Exchanges {
    int count = 0;
    uint8_t low[80] = {}, high[80] = {};
    constexpr Exchanges() {
      for (int p = 1; p < W; p *= 2)
        for (int k = p; k >= 1; k /= 2)
          for (int j = k % p; j + k < W; j += 2 * k)
            for (int i = j; i < j + k && i + k < W; ++i)
              if (i / (2 * p) == (i + k) / (2 * p)) {
                low[count] = uint8_t(i);
                high[count++] = uint8_t(i + k);
              }
    }
  };
  static constexpr Exchanges exchanges{};
  template <int... i>
  LAZULITE_INLINE static void sort_columns(Raw (&a)[W], std::integer_sequence<int, i...>) {
    auto order = [](Raw& x, Raw& y) __attribute__((always_inline)) {
      const Raw first = x;
      x = lower(first, y);
      y = upper(first, y);
    };
    (order(a[exchanges.low[i]], a[exchanges.high[i]]), ...);
  }
  // Every vector sorted: as many as one has lanes by columns, which then are turned.
  template <int v>
  LAZULITE_INLINE static void sort_each(Raw (&a)[v]) {
    if constexpr (v % W == 0 && W > 2) {
#pragma GCC unroll 16
      for (int from = 0; from < v; from += W) {
        Raw some[W];
#pragma GCC unroll 16
        for (int i = 0; i < W; ++i) some[i] = a[from + i];
        sort_columns(some, std::make_integer_sequence<int, exchanges.count>{});
        simd::turn(some);
#pragma GCC unroll 16
        for (int i = 0; i < W; ++i) a[from + i] = some[i];
      }
    } else {
      sort_lanes<2>(a);
    }
  }
  // Sorted runs of r vectors become runs of 2 * r, up to v.
  template <int r, int v>
  LAZULITE_INLINE static void merge_vectors(Raw (&a)[v]) {
    if constexpr (r < v) {
      constexpr std::make_integer_sequence<int, W> lanes{};
#pragma GCC unroll 16
      for (int from = 0; from < v; from += 2 * r) {
        Raw turned[r];
#pragma GCC unroll 16
        for (int i = 0; i < r; ++i) turned[i] = moved<W - 1>(a[from + 2 * r - 1 - i], lanes);
#pragma GCC unroll 16
        for (int i = 0; i < r; ++i) {
          const Raw x = a[from + i];
          a[from + i] = lower(x, turned[i]);
          a[from + r + i] = upper(x, turned[i]);
        }
      }
      clean_vectors<r / 2>(a);
      clean_lanes<W / 2>(a);
      merge_vectors<r * 2>(a);
    }
  }
  template <int v>
  [[gnu::noinline]] static void network(K* keys, int64_t n) {
    Raw a[v];
    alignas(64) K rest[W];
#pragma GCC unroll 16
    for (int i = 0; i < v; ++i) {
      const int64_t here = n - i * W;
      if (here >= W) {
        std::memcpy(&a[i], keys + i * W, sizeof(Raw));
      } else {
        for (int l = 0; l < W; ++l) rest[l] = l < here ? keys[i * W + l] : last;
        std::memcpy(&a[i], rest, sizeof(Raw));
      }
    }
    sort_each(a);
    merge_vectors<1>(a);
#pragma GCC unroll 16
    for (int i = 0; i < v; ++i) {
      const int64_t here = n - i * W;
      if (here >= W) {
        std::memcpy(keys + i * W, &a[i], sizeof(Raw));
      } else {
        std::memcpy(rest, &a[i], sizeof(Raw));
        for (int l = 0; l < here; ++l) keys[i * W + l] = rest[l];
      }
    }
  }
  static void sort_few(K* keys, int64_t n) {
    if (n < 2) return;
    if (n <= W) network<1>(keys, n);
    else if (n <= 2 * W) network<2>(keys, n);
    else if (n <= 4 * W) network<4>(keys, n);
    else if (n <= 8 * W) network<8>(keys, n);
    else network<most>(keys, n);
  }

  // ---- a split: what is below the pivot (or equals it, `with`) goes to the front

#if defined(LAZULITE_SIMD_AVX512)
  static constexpr bool by_vectors = true;
  // The two parts of a vector written at their places, where 2 * W or more lanes are free. The
  // upper part is turned, so that whatever lies beyond it falls into what is free.
  template <bool with>
  LAZULITE_INLINE static void part(Raw x, Raw pivot, K*& low, K*& high) {
    int64_t count;
    if constexpr (sizeof(K) == 4) {
      const __m512i turn =
          _mm512_setr_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
      const __mmask16 below = with ? _mm512_cmple_epi32_mask((__m512i)x, (__m512i)pivot)
                                   : _mm512_cmplt_epi32_mask((__m512i)x, (__m512i)pivot);
      count = __builtin_popcount(below);
      _mm512_storeu_si512(low, _mm512_maskz_compress_epi32(below, (__m512i)x));
      _mm512_storeu_si512(
          high - W, _mm512_maskz_permutexvar_epi32(
                        simd::every16, turn,
                        _mm512_maskz_compress_epi32(_knot_mask16(below), (__m512i)x)));
    } else {
      const __m512i turn = _mm512_setr_epi64(7, 6, 5, 4, 3, 2, 1, 0);
      const __mmask8 below = with ? _mm512_cmple_epi64_mask((__m512i)x, (__m512i)pivot)
                                  : _mm512_cmplt_epi64_mask((__m512i)x, (__m512i)pivot);
      count = __builtin_popcount(below);
      _mm512_storeu_si512(low, _mm512_maskz_compress_epi64(below, (__m512i)x));
      _mm512_storeu_si512(
          high - W, _mm512_maskz_permutexvar_epi64(
                        simd::every8, turn,
                        _mm512_maskz_compress_epi64(_knot_mask8(below), (__m512i)x)));
    }
    low += count;
    high -= W - count;
  }
#elif defined(LAZULITE_SIMD_AVX2)
  static constexpr bool by_vectors = true;
  // For every set of lanes below the pivot: those first, then the others.
  struct Orders {
    uint8_t of[256][8];
    constexpr Orders() : of{} {
      for (int set = 0; set < (1 << W); ++set) {
        int to = 0;
        for (int side = 0; side < 2; ++side)
          for (int lane = 0; lane < W; ++lane)
            if ((set >> lane & 1) != side)
              for (int w = 0; w < 8 / W; ++w) of[set][to++] = uint8_t(lane * (8 / W) + w);
      }
    }
  };
  static constexpr Orders orders{};
  template <bool with>
  LAZULITE_INLINE static void part(Raw x, Raw pivot, K*& low, K*& high) {
    const auto above = x > pivot;  // or not below
    const auto lanes = with ? ~above : x < pivot;
    int set;
    if constexpr (sizeof(K) == 4) set = _mm256_movemask_ps((__m256)lanes);
    else set = _mm256_movemask_pd((__m256d)lanes);
    const __m256i order =
        _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(orders.of[set])));
    const __m256i both = _mm256_permutevar8x32_epi32((__m256i)x, order);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(low), both);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(high - W), both);
    const int64_t count = __builtin_popcount(unsigned(set));
    low += count;
    high -= W - count;
  }
#else
  static constexpr bool by_vectors = false;
  template <bool with>
  static void part(Raw, Raw, K*&, K*&) {}
#endif

  template <bool with>
  static int64_t split_singly(K* keys, int64_t n, K pivot) {
    int64_t below = 0;
    for (int64_t i = 0; i < n; ++i) {
      const K x = keys[i];
      keys[i] = keys[below];
      keys[below] = x;
      below += with ? x <= pivot : x < pivot;
    }
    return below;
  }

  static constexpr int together = 4;  // vectors that are read from one end
  // In place: what is read first, at both ends, makes room; then the end with less of it is read.
  // Which one that is, no branch predictor guesses: it is chosen without a branch, and one block
  // ahead, so that nothing waits for the counts of the last block. Hence two blocks at each end.
  template <bool with>
  static int64_t split(K* keys, int64_t n, K pivot) {
    constexpr int64_t block = together * W, ends = 2 * block;
    if (!by_vectors || n < 2 * ends) return split_singly<with>(keys, n, pivot);
    const int64_t odd = n % block;
    alignas(64) K held[2 * ends + block];
    std::memcpy(held, keys, ends * sizeof(K));
    std::memcpy(held + ends, keys + n - ends, ends * sizeof(K));
    std::memcpy(held + 2 * ends, keys + ends, block * sizeof(K));  // of which `odd` count
    K *from = keys + ends + odd, *to = keys + n - ends, *low = keys, *high = keys + n;
    const Raw p = V(pivot).v;
    const K* at = from;
    if (from < to) from += block;
    else at = nullptr;
    while (at) {
      Raw x[together];
#pragma GCC unroll 4
      for (int i = 0; i < together; ++i) std::memcpy(&x[i], at + i * W, sizeof x[i]);
      const K* next = nullptr;
      if (from < to) {
        // All ones, or 0. Beside `next`, which is not read yet, a block is free at each end: the
        // one with more has two and a half before x is placed, and the other gets a block more.
        const int64_t front = -int64_t(from - low <= high - to);
        K* const back = to - block;
        next = back + ((from - back) & front);
        from += block & front;
        to -= block & ~front;
      }
#pragma GCC unroll 4
      for (int i = 0; i < together; ++i) part<with>(x[i], p, low, high);
      at = next;
    }
    // What is left to place fits between `low` and `high` exactly.
    const int64_t all = 2 * ends + odd;
    int64_t i = 0;
    for (; i + 2 * W <= all; i += W) {
      Raw x;
      std::memcpy(&x, held + i, sizeof x);
      part<with>(x, p, low, high);
    }
    for (; i < all; ++i) {  // written at both ends: one of them is its place
      const K one = held[i];
      const bool below = with ? one <= pivot : one < pivot;
      *low = one;
      high[-1] = one;
      low += below;
      high -= !below;
    }
    return low - keys;
  }

  // ---- many

  // The key at about `share` of all, of a sample.
  static K pivot_of(const K* keys, int64_t n, double share) {
    K sample[128];
    static_assert(few <= 256);
    const int64_t count = n < 2048 ? (few < 32 ? few : 32) : (few < 128 ? few : 128);
    uint64_t state = uint64_t(n) * 0x9e3779b97f4a7c15u;
    for (int64_t i = 0; i < count; ++i) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      sample[i] = keys[int64_t((unsigned __int128)(state) * uint64_t(n) >> 64)];
    }
    sort_few(sample, count);
    const int64_t at = int64_t(share * double(count));
    return sample[at < 0 ? 0 : at >= count ? count - 1 : at];
  }

  // Where samples mislead again and again.
  static void heap_sort(K* keys, int64_t n) {
    auto sink = [keys](int64_t at, int64_t size) {
      const K x = keys[at];
      for (int64_t child; (child = 2 * at + 1) < size; at = child) {
        if (child + 1 < size && keys[child] < keys[child + 1]) ++child;
        if (keys[child] <= x) break;
        keys[at] = keys[child];
      }
      keys[at] = x;
    };
    for (int64_t i = n / 2; i-- > 0;) sink(i, n);
    for (int64_t i = n; --i > 0;) {
      const K x = keys[0];
      keys[0] = keys[i];
      keys[i] = x;
      sink(0, i);
    }
  }

  static int depth_of(int64_t n) { return 2 * (64 - __builtin_clzll(uint64_t(n))) + 8; }

  static void sort_many(K* keys, int64_t n, int depth) {
    while (n > few) {
      if (depth-- == 0) return heap_sort(keys, n);
      const K pivot = pivot_of(keys, n, 0.5);
      const int64_t below = split<false>(keys, n, pivot);
      if (below == 0) {  // the pivot is the least: its equals are done
        const int64_t equal = split<true>(keys, n, pivot);
        keys += equal;
        n -= equal;
        continue;
      }
      sort_many(keys, below, depth);
      keys += below;
      n -= below;
    }
    sort_few(keys, n);
  }
  static bool sorted(const K* keys, int64_t n) {
    int64_t i = 1;
    for (; i + 64 <= n; i += 64) {
      bool down = false;
      for (int64_t k = i; k < i + 64; ++k) down |= keys[k] < keys[k - 1];
      if (down) return false;
    }
    for (; i < n; ++i)
      if (keys[i] < keys[i - 1]) return false;
    return true;
  }
  static void sort(void* keys, int64_t n) {
    K* all = static_cast<K*>(keys);
    if (n <= few) return sort_few(all, n);
    if (sorted(all, n)) return;
    sort_many(all, n, depth_of(n));
  }

  // Batcher's odd-even merge sort (Knuth, The Art of Computer Programming 3, 5.2.2, algorithm M) of
  // any number of columns, each exchange for all lines.
  static void sort_lines(void* given, int64_t lines, int64_t n) {
    K* const keys = static_cast<K*>(given);
    auto exchange = [=](K* low, K* high) {
      for (int64_t i = 0; i < lines; i += W) {
        Raw x, y;
        std::memcpy(&x, low + i, sizeof x);
        std::memcpy(&y, high + i, sizeof y);
        const Raw less = lower(x, y), more = upper(x, y);
        std::memcpy(low + i, &less, sizeof less);
        std::memcpy(high + i, &more, sizeof more);
      }
    };
    for (int64_t run = 1; run < n; run *= 2)
      for (int64_t apart = run; apart >= 1; apart /= 2)
        for (int64_t first = apart % run; first + apart < n; first += 2 * apart)
          for (int64_t k = first; k < first + apart && k + apart < n; ++k)
            if (k / (2 * run) == (k + apart) / (2 * run))
              exchange(keys + k * lines, keys + (k + apart) * lines);
  }

  static int64_t select(void* given, int64_t n, int64_t at) {
    K* keys = static_cast<K*>(given);
    for (int depth = depth_of(n); n > few; --depth) {
      if (depth == 0) {
        heap_sort(keys, n);
        return keys[at];
      }
      // A little to the larger side, so that what is looked for is likely in the smaller part.
      const double share = double(at) / double(n);
      const K pivot =
          pivot_of(keys, n, n < 2048 ? share : share < 0.5 ? share + 0.05 : share - 0.04);
      const int64_t below = split<false>(keys, n, pivot);
      if (at < below) {
        n = below;
        continue;
      }
      keys += below;
      n -= below;
      at -= below;
      if (below == 0 || at == 0) {
        const int64_t equal = split<true>(keys, n, pivot);
        if (at < equal) return pivot;
        keys += equal;
        n -= equal;
        at -= equal;
      }
    }
    sort_few(keys, n);
    return keys[at];
  }
  static int64_t split_keys(void* keys, int64_t n, int64_t pivot) {
    return split<false>(static_cast<K*>(keys), n, K(pivot));
  }

  // ---- three parts

  // The lanes of x in `set`, first; whatever behind them.
  LAZULITE_INLINE static Raw gathered(Raw x, unsigned set) {
#if defined(LAZULITE_SIMD_AVX512)
    if constexpr (sizeof(K) == 4)
      return (Raw)_mm512_maskz_compress_epi32(__mmask16(set), (__m512i)x);
    else return (Raw)_mm512_maskz_compress_epi64(__mmask8(set), (__m512i)x);
#elif defined(LAZULITE_SIMD_AVX2)
    const __m256i order =
        _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(orders.of[set])));
    return (Raw)_mm256_permutevar8x32_epi32((__m256i)x, order);
#else
    return set ? x : x;
#endif
  }
  // In which lanes x < y.
  LAZULITE_INLINE static unsigned below(Raw x, Raw y) {
#if defined(LAZULITE_SIMD_AVX512)
    if constexpr (sizeof(K) == 4) return _mm512_cmplt_epi32_mask((__m512i)x, (__m512i)y);
    else return _mm512_cmplt_epi64_mask((__m512i)x, (__m512i)y);
#elif defined(LAZULITE_SIMD_AVX2)
    if constexpr (sizeof(K) == 4) return unsigned(_mm256_movemask_ps((__m256)(x < y)));
    else return unsigned(_mm256_movemask_pd((__m256d)(x < y)));
#else
    return unsigned(x[0] < y[0]);
#endif
  }
  static void part_values(const PartCall& p) {
    const K *keys = static_cast<const K*>(p.keys), *values = static_cast<const K*>(p.values);
    const K pivot = K(p.pivot);
    K *to[3], *end[3];
    for (int k = 0; k < 3; ++k) {
      to[k] = static_cast<K*>(p.to[k]);
      end[k] = to[k] + p.counts[k];
    }
    // A whole vector where there is room for one in the part: what is too much is written over.
    auto put = [&](int k, Raw x, unsigned set) __attribute__((always_inline)) {
      const int64_t count = __builtin_popcount(set);
      const Raw all = gathered(x, set);
      if (to[k] + W <= end[k]) std::memcpy(to[k], &all, sizeof all);
      else std::memcpy(to[k], &all, size_t(count) * sizeof(K));
      to[k] += count;
    };
    int64_t i = 0;
    if constexpr (by_vectors) {
      const Raw middle = V(pivot).v, all_lanes = V(K(W)).v;
      Raw number;
      for (int l = 0; l < W; ++l) number[l] = K(p.first + l);
      for (; i + W <= p.n; i += W, number = number + all_lanes) {
        Raw x, value = number;
        std::memcpy(&x, keys + i, sizeof x);
        if (values) std::memcpy(&value, values + i, sizeof value);
        const unsigned less = below(x, middle), more = below(middle, x);
        put(0, value, less);
        put(2, value, more);
        if (const unsigned same = ~(less | more) & ((1u << W) - 1)) put(1, value, same);
      }
    }
    for (; i < p.n; ++i) {
      const int k = keys[i] < pivot ? 0 : keys[i] > pivot ? 2 : 1;
      *to[k]++ = values ? values[i] : K(p.first + i);
    }
  }

  static void count(const void* given, int64_t n, int64_t pivot, int64_t* below, int64_t* equal) {
    const K* keys = static_cast<const K*>(given);
    const K p = K(pivot);
    int64_t less = 0, same = 0;
    for (int64_t i = 0; i < n; ++i) {
      less += keys[i] < p;
      same += keys[i] == p;
    }
    *below = less;
    *equal = same;
  }

  // Values side by side, so that one waits for memory while others go on.
  template <bool right>
  static void search_some(const K* sorted, int64_t n, const K* values, int64_t* to) {
    constexpr int side = 16;
    int64_t at[side] = {};
    for (int64_t left = n; left > 1;) {
      const int64_t half = left / 2;
      for (int i = 0; i < side; ++i) {
        const K x = sorted[at[i] + half - 1];
        at[i] += (right ? x <= values[i] : x < values[i]) ? half : 0;
      }
      left -= half;
    }
    for (int i = 0; i < side; ++i) {
      const K x = sorted[at[i]];
      to[i] = at[i] + (right ? x <= values[i] : x < values[i]);
    }
  }
  static void search(const void* given, int64_t n, const void* given_values, int64_t count,
                     bool right, int64_t* to) {
    const K *sorted = static_cast<const K*>(given), *values = static_cast<const K*>(given_values);
    if (n == 0) {
      for (int64_t i = 0; i < count; ++i) to[i] = 0;
      return;
    }
    for (int64_t i = 0; i < count; i += 16) {
      const int64_t some = count - i < 16 ? count - i : 16;
      K v[16] = {};
      int64_t found[16];
      std::memcpy(v, values + i, size_t(some) * sizeof(K));
      if (right) search_some<true>(sorted, n, v, found);
      else search_some<false>(sorted, n, v, found);
      std::memcpy(to + i, found, size_t(some) * sizeof(int64_t));
    }
  }
};

}  // namespace
}  // namespace lazulite::engine
