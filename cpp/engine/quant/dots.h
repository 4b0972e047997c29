// A few rows beside packed codes, by products of whole numbers. A 16-bit lane holds some codes of a
// line, which shifts and masks give one after the other; the numbers of x have 16 bits at a scale
// of their group and lie in that order. So each product is exact, and sums are until they are
// scaled: what differs between levels is the order in which groups are added up. As simd/vec.h:
// units of one instruction-set level, internal linkage.
#pragma once
#include "engine/gemm/pack.h"
#include "engine/quant/kernels.h"

namespace lazulite::engine {
namespace {

#if defined(LAZULITE_SIMD_AVX512) || defined(LAZULITE_SIMD_AVX2)

constexpr int lanes16 = simd::register_bytes / 2, lanes32 = simd::register_bytes / 4;
typedef uint16_t Lanes __attribute__((vector_size(simd::register_bytes)));
typedef int32_t Sums __attribute__((vector_size(simd::register_bytes)));

#if defined(LAZULITE_SIMD_AVX512)
LAZULITE_INLINE Lanes load_lanes(const void* p) { return Lanes(_mm512_loadu_si512(p)); }
LAZULITE_INLINE Lanes repeated(const void* p) {
  return Lanes(
      _mm512_maskz_broadcast_i32x4(0xffff, _mm_loadu_si128(static_cast<const __m128i*>(p))));
}
LAZULITE_INLINE Lanes shuffled(Lanes v, Lanes at) {
  return Lanes(_mm512_shuffle_epi8(__m512i(v), __m512i(at)));
}
LAZULITE_INLINE Sums add_dots(Sums sum, Lanes codes, Lanes x) {
#if defined(__AVX512VNNI__)
  return Sums(_mm512_dpwssd_epi32(__m512i(sum), __m512i(codes), __m512i(x)));
#else
  return sum + Sums(_mm512_madd_epi16(__m512i(codes), __m512i(x)));
#endif
}
LAZULITE_INLINE Vec<float> permuted(Vec<float> v, Sums at) {
  return Vec<float>::from(_mm512_maskz_permutexvar_ps(0xffff, __m512i(at), v.v));
}
LAZULITE_INLINE __m256 halved(Vec<float> v) {
  return _mm256_add_ps(_mm512_maskz_extractf32x8_ps(simd::every8, v.v, 0),
                       _mm512_maskz_extractf32x8_ps(simd::every8, v.v, 1));
}
#else
LAZULITE_INLINE Lanes load_lanes(const void* p) {
  return Lanes(_mm256_loadu_si256(static_cast<const __m256i*>(p)));
}
LAZULITE_INLINE Lanes repeated(const void* p) {
  return Lanes(_mm256_broadcastsi128_si256(_mm_loadu_si128(static_cast<const __m128i*>(p))));
}
LAZULITE_INLINE Lanes shuffled(Lanes v, Lanes at) {
  return Lanes(_mm256_shuffle_epi8(__m256i(v), __m256i(at)));
}
LAZULITE_INLINE Sums add_dots(Sums sum, Lanes codes, Lanes x) {
  return sum + Sums(_mm256_madd_epi16(__m256i(codes), __m256i(x)));
}
LAZULITE_INLINE Vec<float> permuted(Vec<float> v, Sums at) {
  return Vec<float>::from(_mm256_permutevar8x32_ps(v.v, __m256i(at)));
}
LAZULITE_INLINE __m256 halved(Vec<float> v) { return v.v; }
#endif
// As `total`, in registers: a line may be as short as a few of them.
LAZULITE_INLINE float sum_of_lanes(Vec<float> v) {
  const __m256 half = halved(v);
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1)),
               two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
}

// Twice what codes of E2M1 stand for, in the upper bytes of signed lanes.
LAZULITE_INLINE Lanes twice_e2m1(Lanes codes) {
  static constexpr int8_t twice[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
  return shuffled(repeated(twice), codes) << uint16_t(8);
}

// How codes lie in a register.
template <Codes codes, int bits>
struct Chunk {
  static constexpr int each = bits == 2 ? 8 : bits == 3 || bits == 4 ? 4 : 2;  // codes of a lane
  static constexpr bool whole = bits == 2 || bits == 4 || bits == 8;  // lanes hold nothing else
  static constexpr int count = each * lanes16;
  static constexpr int bytes = count * bits / 8, quarter = each * bits;  // quarter: of 8 lanes
  static constexpr int read = whole ? bytes : bytes - quarter + 16;
  // From sums to numbers.
  static constexpr float unit = codes == Codes::e2m1 ? 1.0f / 512 : 1.0f;

  // Of lanes that are no whole bytes: the two bytes in which a lane's codes lie, and factors that
  // move code `part` to the top.
  struct Tables {
    uint8_t at[16];
    uint16_t factor[2 + 2][8];
  };
  static constexpr Tables make_tables() {
    Tables t{};
    for (int lane = 0; lane < 8; ++lane) {
      const int bit = lane * each * bits;
      t.at[2 * lane] = uint8_t(bit / 8);
      t.at[2 * lane + 1] = uint8_t(bit / 8 + 1);
      for (int part = 0; part < each && part < 4; ++part) {
        const int up = 16 - bit % 8 - (part + 1) * bits;
        t.factor[part][lane] = uint16_t(up < 0 ? 0 : 1 << up);
      }
    }
    return t;
  }
  static constexpr Tables tables = make_tables();

  LAZULITE_INLINE static Lanes load(const uint8_t* p) {
    if constexpr (whole) return load_lanes(p);
    else {
      __m128i x[simd::register_bytes / 16];
      for (int i = 0; i < simd::register_bytes / 16; ++i)
        x[i] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p + i * quarter));
#if defined(LAZULITE_SIMD_AVX512)
      const __m512i v = _mm512_maskz_inserti64x4(
          0xff,
          _mm512_castsi256_si512(_mm256_inserti128_si256(_mm256_castsi128_si256(x[0]), x[1], 1)),
          _mm256_inserti128_si256(_mm256_castsi128_si256(x[2]), x[3], 1), 1);
#else
      const __m256i v = _mm256_inserti128_si256(_mm256_castsi128_si256(x[0]), x[1], 1);
#endif
      return shuffled(Lanes(v), repeated(tables.at));
    }
  }
  template <int part>
  LAZULITE_INLINE static Lanes code(Lanes v) {
    if constexpr (!whole) {
      return Lanes(v * repeated(tables.factor[part])) >> uint16_t(16 - bits);
    } else {
      if constexpr (part > 0) v = v >> uint16_t(part * bits);
      if constexpr (part + 1 < each) v = v & uint16_t((1 << bits) - 1);
      if constexpr (codes == Codes::integers) return v;
      return twice_e2m1(v);
    }
  }
};

// The largest 2^-40 of a row and what is smaller are as good as 0 beside it.
constexpr float least_of_row = 0x1p-60f, most_of_row = 0x1p100f, least_part = 0x1p-40f;

LAZULITE_INLINE float largest(const float* x, int64_t n) {  // nan where there is one
  using V = Vec<float>;
  V high(0.0f);
  for (int64_t i = 0; i < n; i += V::size)
    high = simd::maximum(high, simd::abs(n - i < V::size ? load_part<Plain<float>>(x + i, n - i)
                                                         : V::load(x + i)));
  float v[V::size];
  high.store(v);
  for (int i = 1; i < V::size; ++i) v[0] = v[i] > v[0] || v[i] != v[i] ? v[i] : v[0];
  return v[0];
}

LAZULITE_INLINE bool fits(float row) {
  return row == 0 || (row >= least_of_row && row <= most_of_row);
}
LAZULITE_INLINE float scale_of(const float* x, int group, float row) {
  const float high = largest(x, group);
  return high <= row * least_part ? 0 : high / 32767;
}
// put(k, the whole numbers from k on): whole registers of them. Returns what they add up to.
template <class Put>
LAZULITE_INLINE float rounded(const float* x, int64_t n, float scale, Put&& put) {
  using V = Vec<float>;
  const float inverse = scale == 0 ? 0 : 1 / scale;
  Sums sum{};
  for (int64_t k = 0; k < n; k += V::size) {
    const auto whole = simd::convert<int32_t>(simd::rint(V::load(x + k) * V(inverse)));
    sum += whole.v;
    put(k, whole);
  }
  int64_t total = 0;
  for (int j = 0; j < lanes32; ++j) total += sum[j];
  return float(total);
}

template <Codes codes, int bits>
bool prepare(const PrepareCall& p) {
  using C = Chunk<codes, bits>;
  const int group = p.format.group;
  const float row = largest(p.x, p.count);
  if (!fits(row)) return false;
  alignas(64) int16_t held[C::count];
  for (int64_t first = 0; first < p.count; first += C::count) {
    const int64_t n = p.count - first < C::count ? p.count - first : C::count;
    if (n < C::count) std::memset(held, 0, sizeof held);
    // Of a group that goes on in the next chunk, here are the first numbers.
    for (int64_t i = 0; i < n;) {
      const int64_t g = (first + i) / group, left = (g + 1) * group - (first + i),
                    here = left < n - i ? left : n - i;
      if ((first + i) % group == 0) {
        p.sums[g] = 0;
        p.scales[g] = scale_of(p.x + first + i, group, row);
      }
      p.sums[g] += p.scales[g] * rounded(p.x + first + i, here, p.scales[g],
                                         [&](int64_t k, auto whole) {
                                           int32_t wide[lanes32];
                                           whole.store(wide);
                                           for (int j = 0; j < lanes32; ++j)
                                             held[i + k + j] = int16_t(wide[j]);
                                         });
      i += here;
    }
    // Codes of a lane side by side become part by part.
    typedef std::conditional_t<C::each == 2, uint32_t, uint64_t> Some;
    constexpr int some = int(sizeof(Some)) / 2, words = C::each / some;
    for (int part = 0; part < C::each; ++part)
      for (int lane = 0; lane < lanes16; ++lane) {
        Some v;
        std::memcpy(&v, held + (lane * words + part / some) * some, sizeof v);
        p.to[first + part * lanes16 + lane] = int16_t(v >> (part % some * 16));
      }
  }
  return true;
}

// The numbers that stand beside the codes of a pair (kernels.h), and those of a block: pairs of one
// group are neighbours.
template <int bits>
constexpr int first_of_pair(int pair) {
  constexpr int half = 32 % bits == 0 ? 16 / bits : 16;  // of the codes of a word, or of the block
  return pair / half * 2 * half + pair % half;
}
template <int bits>
constexpr int second_of_pair(int pair) {
  return first_of_pair<bits>(pair) + (32 % bits == 0 ? 16 / bits : 16);
}
template <Codes codes, int bits>
bool prepare_pairs(const PrepareCall& p) {
  const int group = p.format.group;
  const float row = largest(p.x, p.count);
  if (!fits(row)) return false;
  auto* to = reinterpret_cast<uint32_t*>(p.to);
  alignas(64) int32_t held[32];
  auto put = [&] {
#pragma GCC unroll 16
    for (int i = 0; i < 16; ++i)
      to[i] = uint32_t(held[first_of_pair<bits>(i)] & 0xffff) |
              uint32_t(held[second_of_pair<bits>(i)]) << 16;
    to += 16;
  };
  for (int64_t first = 0; first < p.count; first += group) {
    const float scale = scale_of(p.x + first, group, row);
    const float sum = rounded(p.x + first, group, scale, [&](int64_t k, auto whole) {
      const int64_t at = (first + k) % 32;
      whole.store(held + at);
      if (at + lanes32 == 32) put();
    });
    p.sums[first / group] = scale * sum;
    // Codes of E2M1 are twice what they stand for.
    p.scales[first / group] = codes == Codes::e2m1 ? scale / 2 : scale;
  }
  if (const int64_t some = p.count % 32) {
    std::memset(held + some, 0, size_t(32 - some) * 4);
    put();
  }
  return true;
}

LAZULITE_INLINE Vec<float> powers(Vec<uint32_t> code) {
  using U = Vec<uint32_t>;
  const U v = select(code == U(0), U(1u << 22), U::from(code.v << 23u));
  return simd::bit_cast<float>(select(code == U(255), U(0x7fc00000u), v));
}
LAZULITE_INLINE Vec<float> small_floats(Vec<uint32_t> code) {  // E4M3
  using U = Vec<uint32_t>;
  const U size = code & U(0x7f);
  const U normal = select(size == U(0x7f), U(0x7fc00000u), U::from((size.v << 20u) + (120u << 23)));
  const Vec<float> tiny =
      simd::convert<float>(simd::bit_cast<int32_t>(size)) * Vec<float>(0x1p-9f);
  const Vec<float> out = select(size < U(8), tiny, simd::bit_cast<float>(normal));
  return simd::bit_cast<float>(simd::bit_cast<uint32_t>(out) | U::from((code.v & 0x80u) << 24u));
}
// A vector of scales (or biases) from number `at` on, of which n are there.
LAZULITE_INLINE Vec<float> some_scales(const char* from, const DotsCall& p, int64_t at, int64_t n) {
  using V = Vec<float>;
  const int64_t each = p.scale_type == Dtype::float32 ? 4 : p.scale_type == Dtype::uint8 ? 1 : 2;
  alignas(64) char part[V::size * 4];
  from += at * each;
  if (n < V::size) {
    std::memset(part, 0, sizeof part);
    std::memcpy(part, from, size_t(n * each));
    from = part;
  }
  const auto* halves = reinterpret_cast<const uint16_t*>(from);
  if (p.scale_type == Dtype::float16) return simd::load_half<simd::Half::f16>(halves);
  if (p.scale_type == Dtype::bfloat16) return simd::load_half<simd::Half::bf16>(halves);
  if (p.scale_type == Dtype::float32) return V::load(reinterpret_cast<const float*>(from));
  typedef uint8_t bytes __attribute__((vector_size(lanes32)));
  bytes b;
  std::memcpy(&b, from, sizeof b);
  const auto codes = Vec<uint32_t>::from(__builtin_convertvector(b, Vec<uint32_t>::raw));
  return p.format.small_scales ? small_floats(codes) : powers(codes);
}

constexpr int ahead = 2048;  // bytes of a line that are fetched before they are read

// Of some lines at once: what lies side by side in x is loaded once for all of them, and memory
// gives several streams faster than one.
template <Codes codes, int bits, int rows, int lines, int... part>
LAZULITE_INLINE void add_chunk(const uint8_t* const (&from)[lines], const int16_t* x, int64_t x_row,
                               Sums (&sum)[lines][rows], std::integer_sequence<int, part...>) {
  using C = Chunk<codes, bits>;
  Lanes v[lines];
#pragma GCC unroll 4
  for (int i = 0; i < lines; ++i) {
    v[i] = C::load(from[i]);
#pragma GCC unroll 4
    for (int r = 0; r < rows; ++r) sum[i][r] = Sums{};
  }
  auto add = [&](auto at) __attribute__((always_inline)) {
    constexpr int p = decltype(at)::value;
    Lanes code[lines];
#pragma GCC unroll 4
    for (int i = 0; i < lines; ++i) code[i] = C::template code<p>(v[i]);
#pragma GCC unroll 4
    for (int r = 0; r < rows; ++r) {
      const Lanes of_x = load_lanes(x + r * x_row + p * lanes16);
#pragma GCC unroll 4
      for (int i = 0; i < lines; ++i) sum[i][r] = add_dots(sum[i][r], code[i], of_x);
    }
  };
  (add(std::integral_constant<int, part>{}), ...);
}

// A vector holds the scales of as many groups, from which each chunk takes those of its lanes.
template <Codes codes, int bits, int rows, int lines>
LAZULITE_INLINE void dots_of(const DotsCall& p, int64_t line) {
  using C = Chunk<codes, bits>;
  using V = Vec<float>;
  constexpr int N = V::size;
  const int64_t group = p.format.group, groups = p.count / group, bytes = p.count * bits / 8,
                chunks = (p.count + C::count - 1) / C::count,
                inside = bytes < C::read ? 0 : (bytes - C::read) / C::bytes + 1;
  const int shift = __builtin_ctz(unsigned(p.format.group));  // a division takes as long as a chunk
  Sums first_of_lane;  // the first number of each lane in a chunk
  for (int i = 0; i < lanes32; ++i) first_of_lane[i] = i * 2 * C::each;
  alignas(64) uint8_t last[lines][C::read];
  const auto* from = reinterpret_cast<const uint8_t*>(p.codes) + line * p.line;
  const int64_t scale_bytes = (p.scale_type == Dtype::float32 ? 4
                               : p.scale_type == Dtype::uint8 ? 1 : 2) * p.scale_line;
  const char *scales_next = p.scales + (line + lines) * scale_bytes,
             *biases_next = p.biases ? p.biases + (line + lines) * scale_bytes : scales_next;
  const bool biased = p.biases || p.centre != 0;
  V sum[lines][rows], rest[lines][rows], scales[lines][rows];
#pragma GCC unroll 4
  for (int i = 0; i < lines; ++i)
#pragma GCC unroll 4
    for (int r = 0; r < rows; ++r) sum[i][r] = rest[i][r] = V(0.0f);
  for (int64_t first = 0; first < groups; first += N) {
    const int64_t n = groups - first;
#pragma GCC unroll 4
    for (int i = 0; i < lines; ++i) {
      const V own = some_scales(p.scales, p, (line + i) * p.scale_line + first, n);
      const V bias = p.biases ? some_scales(p.biases, p, (line + i) * p.scale_line + first, n)
                              : own * V(p.centre);
#pragma GCC unroll 4
      for (int r = 0; r < rows; ++r) {
        const float* of_x = p.x_scales + r * groups + first;
        const V x = n < N ? load_part<Plain<float>>(of_x, n) : V::load(of_x);
        scales[i][r] = own * V(p.factor * C::unit) * x;
        if (!biased) continue;
        of_x = p.x_sums + r * groups + first;
        rest[i][r] =
            fma(bias, n < N ? load_part<Plain<float>>(of_x, n) : V::load(of_x), rest[i][r]);
      }
    }
    int64_t chunk = first * group / C::count;
    const int64_t after = chunk + N * group / C::count, end = after < chunks ? after : chunks;
    Sums number = first_of_lane;
    auto add = [&](const uint8_t* const(&codes_here)[lines]) __attribute__((always_inline)) {
      Sums dots[lines][rows];
      add_chunk<codes, bits, rows, lines>(codes_here, p.x + chunk * C::count, p.x_row, dots,
                                          std::make_integer_sequence<int, C::each>{});
      const Sums at = number >> shift;
      number += C::count;
#pragma GCC unroll 4
      for (int i = 0; i < lines; ++i)
#pragma GCC unroll 4
        for (int r = 0; r < rows; ++r)
          sum[i][r] = fma(V::from(__builtin_convertvector(dots[i][r], V::raw)),
                          permuted(scales[i][r], at), sum[i][r]);
    };
    // Meanwhile what comes next is fetched: codes of these lines and of those after them, and the
    // scales of those, which would be waited for where they begin.
    const uint8_t* here[lines];
    for (; chunk < (end < inside ? end : inside); ++chunk) {
      const int64_t next = chunk * C::bytes + ahead;
      const uint8_t* fetched = from + next + (next < bytes ? 0 : (lines - 1) * p.line);
#pragma GCC unroll 4
      for (int i = 0; i < lines; ++i) {
        here[i] = from + i * p.line + chunk * C::bytes;
        __builtin_prefetch(fetched + i * p.line);
      }
      __builtin_prefetch(scales_next + chunk * 64);
      __builtin_prefetch(biases_next + chunk * 64);
      add(here);
    }
    for (; chunk < end; ++chunk) {  // what would be read beyond the line
      for (int i = 0; i < lines; ++i) {
        const int64_t left = bytes - chunk * C::bytes;
        std::memset(last[i], 0, sizeof last[i]);
        std::memcpy(last[i], from + i * p.line + chunk * C::bytes,
                    size_t(left < C::read ? left : C::read));
        here[i] = last[i];
      }
      add(here);
    }
  }
#pragma GCC unroll 4
  for (int i = 0; i < lines; ++i)
#pragma GCC unroll 4
    for (int r = 0; r < rows; ++r)
      p.out[r * p.out_row + line + i] = sum_of_lanes(sum[i][r] + rest[i][r]);
}

template <Codes codes, int bits, int rows>
void dots_of_rows(const DotsCall& p) {
  constexpr int lines = rows > 2 ? 2 : 4;
  int64_t line = 0;
  for (; line + lines <= p.lines; line += lines) dots_of<codes, bits, rows, lines>(p, line);
  for (; line < p.lines; ++line) dots_of<codes, bits, rows, 1>(p, line);
}
template <Codes codes, int bits>
void dots_for(const DotsCall& p) {
  switch (p.rows) {
    case 1: return dots_of_rows<codes, bits, 1>(p);
    case 2: return dots_of_rows<codes, bits, 2>(p);
    case 3: return dots_of_rows<codes, bits, 3>(p);
    default: return dots_of_rows<codes, bits, 4>(p);
  }
}

template <Codes codes, int bits>
constexpr void add_dots_of(QuantKernels& k) {
  constexpr int slot = slot_of(codes, bits);
  k.prepare[slot] = prepare<codes, bits>;
  k.prepare_pairs[slot] = prepare_pairs<codes, bits>;
  k.dots[slot] = dots_for<codes, bits>;
}
constexpr void add_dots(QuantKernels& k) {
  add_dots_of<Codes::integers, 2>(k);
  add_dots_of<Codes::integers, 3>(k);
  add_dots_of<Codes::integers, 4>(k);
  add_dots_of<Codes::integers, 5>(k);
  add_dots_of<Codes::integers, 6>(k);
  add_dots_of<Codes::integers, 8>(k);
  add_dots_of<Codes::e2m1, 4>(k);
}

#else
constexpr void add_dots(QuantKernels&) {}
#endif

}  // namespace
}  // namespace lazulite::engine
