// The fixed tree of reductions on vectors, for per-level units alone: how elements of each dtype
// are read, lanes, chunks, rows.
#pragma once
#include "engine/reduce/kernels.h"
#include "engine/reduce/monoid.h"
#include "simd/turn.h"

namespace lazulite::engine {
namespace {

using simd::Cx;
using simd::Half;
using simd::Vec;

// Of processors without AVX2 the plain ways alone, which come to the same bits: wheels for them and
// all others have one size.
constexpr bool is_plain_level =
#if defined(__x86_64__) && !defined(LAZULITE_SIMD_AVX2) && !defined(LAZULITE_SIMD_AVX512)
    true;
#else
    false;
#endif

// How elements of a dtype are read: memory, register, accumulator.
template <class T> struct Plain {
  using memory = T;
  using accumulator = T;
  using V = Vec<T>;
  LAZULITE_INLINE static V load(const T* p) { return V::load(p); }
  LAZULITE_INLINE static void store(V v, T* p) { v.store(p); }
  static T one(const T* p) { return *p; }
};
template <class T> struct Complex {
  using memory = simd::Pair<T>;
  using accumulator = simd::Pair<T>;
  using V = Cx<Vec<T>>;
  LAZULITE_INLINE static V load(const memory* p) { return V::load(p); }
  static memory one(const memory* p) { return *p; }
};
// Nor are the largest and smallest complex numbers worth more than that anywhere.
template <class M, class In>
constexpr bool is_plain = is_plain_level || (!std::is_arithmetic_v<typename In::accumulator> &&
                                             !std::is_same_v<M, monoid::Sum> &&
                                             !std::is_same_v<M, monoid::Prod>);
template <class V, bool second, int... i>
LAZULITE_INLINE V interleaved(V even, V odd, std::integer_sequence<int, i...>) {
  constexpr int from = second ? V::size / 2 : 0;
  return V::from(__builtin_shufflevector(even.v, odd.v, (i % 2 * V::size + i / 2 + from)...));
}
template <Half h> struct Short {
  using memory = uint16_t;
  using accumulator = float;
  using V = Vec<float>;
  // All lanes: of each two registers of bfloat16 the first has the even ones, until they are put
  // in order.
  template <int registers>
  LAZULITE_INLINE static void load_all(const uint16_t* p, V* r) requires(h == Half::bf16) {
    using U = Vec<uint32_t>;
    for (int k = 0; k < registers; k += 2, p += 2 * V::size) {
      U both;
      std::memcpy(&both.v, p, sizeof both.v);
      r[k] = simd::bit_cast<float>(U::from(both.v << 16));
      r[k + 1] = simd::bit_cast<float>(both & U(0xffff0000u));
    }
  }
  template <int registers>
  LAZULITE_INLINE static void put_in_order(V* r) requires(h == Half::bf16) {
    constexpr auto lanes = std::make_integer_sequence<int, V::size>{};
    for (int k = 0; k < registers; k += 2) {
      const V even = r[k], odd = r[k + 1];
      r[k] = interleaved<V, false>(even, odd, lanes);
      r[k + 1] = interleaved<V, true>(even, odd, lanes);
    }
  }
  LAZULITE_INLINE static V load(const uint16_t* p) { return simd::load_half<h>(p); }
  LAZULITE_INLINE static void store(V v, uint16_t* p) { simd::store_half<h>(v, p); }
  static float one(const uint16_t* p) {
    return h == Half::f16 ? half_to_float(*p) : bfloat_to_float(*p);
  }
};

template <int dtype> struct InputOf { using t = void; };
#define LAZULITE_INPUT(dtype, ...) \
  template <> struct InputOf<int(Dtype::dtype)> { using t = __VA_ARGS__; };
LAZULITE_INPUT(bool_, Plain<uint8_t>) LAZULITE_INPUT(uint8, Plain<uint8_t>)
LAZULITE_INPUT(uint16, Plain<uint16_t>) LAZULITE_INPUT(uint32, Plain<uint32_t>)
LAZULITE_INPUT(uint64, Plain<uint64_t>) LAZULITE_INPUT(int8, Plain<int8_t>)
LAZULITE_INPUT(int16, Plain<int16_t>) LAZULITE_INPUT(int32, Plain<int32_t>)
LAZULITE_INPUT(int64, Plain<int64_t>) LAZULITE_INPUT(float16, Short<Half::f16>)
LAZULITE_INPUT(bfloat16, Short<Half::bf16>) LAZULITE_INPUT(float32, Plain<float>)
LAZULITE_INPUT(float64, Plain<double>) LAZULITE_INPUT(complex64, Complex<float>)
LAZULITE_INPUT(complex128, Complex<double>)
#undef LAZULITE_INPUT

// m elements of `size`, fewer than a register has, in one access of memory: what is stored element
// by element is not there when a whole register is read. The others are 0, or stay.
template <int size, class M>
LAZULITE_INLINE void load_some(M* to, const M* from, int64_t m) {
  [[maybe_unused]] constexpr int bytes = size * int(sizeof(M));
#if defined(LAZULITE_SIMD_AVX512)
  if constexpr (bytes == 64 && sizeof(M) == 4)
    return _mm512_store_si512(to, _mm512_maskz_loadu_epi32(__mmask16((1u << m) - 1), from));
  else if constexpr (bytes == 64 && sizeof(M) == 8)
    return _mm512_store_si512(to, _mm512_maskz_loadu_epi64(__mmask8((1u << m) - 1), from));
  else if constexpr (bytes == 64 && sizeof(M) == 2)
    return _mm512_store_si512(to, _mm512_maskz_loadu_epi16(__mmask32((1u << m) - 1), from));
  else if constexpr (bytes == 64 && sizeof(M) == 1)
    return _mm512_store_si512(to, _mm512_maskz_loadu_epi8((uint64_t(1) << m) - 1, from));
  else if constexpr (bytes == 32 && sizeof(M) == 2)
    return _mm256_store_si256(reinterpret_cast<__m256i*>(to),
                              _mm256_maskz_loadu_epi16(__mmask16((1u << m) - 1), from));
#elif defined(LAZULITE_SIMD_AVX2)
  if constexpr (bytes == 32 && sizeof(M) == 4) {
    const __m256i there = _mm256_cmpgt_epi32(_mm256_set1_epi32(int(m)),
                                             _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    return _mm256_store_si256(reinterpret_cast<__m256i*>(to),
                              _mm256_maskload_epi32(reinterpret_cast<const int*>(from), there));
  }
#endif
  for (int64_t k = 0; k < size; ++k) to[k] = M{};
  for (int64_t k = 0; k < m; ++k) to[k] = from[k];
}
template <int size, class M>
LAZULITE_INLINE void store_some(M* to, const M* from, int64_t m) {
  [[maybe_unused]] constexpr int bytes = size * int(sizeof(M));
#if defined(LAZULITE_SIMD_AVX512)
  if constexpr (bytes == 64 && sizeof(M) == 4)
    return _mm512_mask_storeu_epi32(to, __mmask16((1u << m) - 1), _mm512_load_si512(from));
  else if constexpr (bytes == 64 && sizeof(M) == 8)
    return _mm512_mask_storeu_epi64(to, __mmask8((1u << m) - 1), _mm512_load_si512(from));
  else if constexpr (bytes == 32 && sizeof(M) == 2)
    return _mm256_mask_storeu_epi16(to, __mmask16((1u << m) - 1),
                                    _mm256_load_si256(reinterpret_cast<const __m256i*>(from)));
#elif defined(LAZULITE_SIMD_AVX2)
  if constexpr (bytes == 32 && sizeof(M) == 4) {
    const __m256i there = _mm256_cmpgt_epi32(_mm256_set1_epi32(int(m)),
                                             _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    return _mm256_maskstore_epi32(reinterpret_cast<int*>(to), there,
                                  _mm256_load_si256(reinterpret_cast<const __m256i*>(from)));
  }
#endif
  for (int64_t k = 0; k < m; ++k) to[k] = from[k];
}

// The first m elements, fewer than a register has; the other lanes are those of 0.
template <class In>
LAZULITE_INLINE typename In::V some_of(const typename In::memory* x, int64_t m) {
  alignas(64) typename In::memory some[In::V::size];
  load_some<In::V::size>(some, x, m);
  return In::load(some);
}
// Nan reads as 0; `counts`: what is none as 1.
template <class In, bool counts> struct Numbers {
  using memory = typename In::memory;
  using accumulator = typename In::accumulator;
  using V = typename In::V;
  LAZULITE_INLINE static V of(V v) {
    const V zero(accumulator(0));
    return simd::select(simd::is_nan(v), zero, counts ? V(accumulator(1)) : v);
  }
  template <int registers>
  LAZULITE_INLINE static void load_all(const memory* p, V* r)
    requires requires { In::template load_all<registers>(p, r); }
  {
    In::template load_all<registers>(p, r);
    for (int k = 0; k < registers; ++k) r[k] = of(r[k]);
  }
  template <int registers>
  LAZULITE_INLINE static void put_in_order(V* r)
    requires requires { In::template put_in_order<registers>(r); }
  {
    In::template put_in_order<registers>(r);
  }
  LAZULITE_INLINE static V load(const memory* p) { return of(In::load(p)); }
  static accumulator one(const memory* p) {
    const accumulator v = In::one(p);
    return v != v ? accumulator(0) : counts ? accumulator(1) : v;
  }
};

// The accumulators as an input of their own.
template <class In> struct Accumulated {
  using memory = typename In::accumulator;
  using accumulator = memory;
  using V = typename In::V;
  LAZULITE_INLINE static V load(const memory* p) { return V::load(p); }
  static memory one(const memory* p) { return *p; }
};

// a[i] = combine(a[i], x[i])
template <class M, class In>
LAZULITE_INLINE void accumulate(typename In::accumulator* a, const typename In::memory* x,
                                int64_t n) {
  using V = typename In::V;
  int64_t i = 0;
  for (; i + V::size <= n; i += V::size)
    M::template combine<V>(V::load(a + i), In::load(x + i)).store(a + i);
  for (; i < n; ++i) a[i] = M::one(a[i], In::one(x + i));
}
template <class In>
LAZULITE_INLINE void convert(typename In::accumulator* a, const typename In::memory* x, int64_t n) {
  using V = typename In::V;
  int64_t i = 0;
  for (; i + V::size <= n; i += V::size) In::load(x + i).store(a + i);
  for (; i < n; ++i) a[i] = In::one(x + i);
}

// Lanes by halves, each `width` accumulators wide; lanes from `live` on are missing.
template <class M, class In>
LAZULITE_INLINE void fold_lanes(typename In::accumulator* lane, int64_t live, int64_t lanes,
                                int64_t width) {
  for (int64_t half = lanes / 2; half; half /= 2) {
    if (live > half) {
      accumulate<M, Accumulated<In>>(lane, lane + half * width, (live - half) * width);
      live = half;
    }
  }
}

// Lanes in registers, by halves until `least` are left; those from `live` on are missing.
template <int lanes, int least = 1, class T, class F>
LAZULITE_INLINE void fold_halves(T* lane, int64_t live, F&& both) {
  for (int64_t half = lanes / 2; half >= least; half /= 2) {
    for (int64_t k = 0; k < live - half; ++k) lane[k] = both(lane[k], lane[k + half]);
    live = live < half ? live : half;
  }
}

// Lane i of the result is lane i + half.
template <int half, class T, int... i>
LAZULITE_INLINE Vec<T> turned(Vec<T> v, std::integer_sequence<int, i...>) {
  return Vec<T>::from(__builtin_shufflevector(v.v, v.v, ((i + half) % Vec<T>::size)...));
}
template <int half, class V>
LAZULITE_INLINE V turned(V v) {
  if constexpr (simd::is_complex<V>::value) return {turned<half>(v.re), turned<half>(v.im)};
  else return turned<half>(v, std::make_integer_sequence<int, V::size>{});
}
template <class M, int half, class V>
LAZULITE_INLINE V fold_vector(V v) {
  if constexpr (half == 0) return v;
  else return fold_vector<M, half / 2>(M::template combine<V>(v, turned<half>(v)));
}
// The same of all lanes in registers.
template <class M, int registers, class V>
LAZULITE_INLINE auto fold_registers(V* r) {
  fold_halves<registers>(r, registers, M::template combine<V>);
  return fold_vector<M, V::size / 2>(r[0])[0];
}
template <class M, int registers, class In>
LAZULITE_INLINE auto fold_all(const typename In::accumulator* lane) {
  using V = typename In::V;
  V r[registers];
  for (int k = 0; k < registers; ++k) r[k] = V::load(lane + k * V::size);
  return fold_registers<M, registers>(r);
}

template <class In, int registers>
LAZULITE_INLINE void load_lanes(const typename In::memory* x, typename In::V* r) {
  if constexpr (requires { In::template load_all<registers>(x, r); }) {
    In::template load_all<registers>(x, r);
  } else {
    for (int k = 0; k < registers; ++k) r[k] = In::load(x + k * In::V::size);
  }
}
template <class In, int registers>
LAZULITE_INLINE void order_lanes(typename In::V* r) {
  if constexpr (requires { In::template put_in_order<registers>(r); })
    In::template put_in_order<registers>(r);
}

// Whether one element decides the result, and whether one of these does.
template <class M>
constexpr bool is_decided = std::is_same_v<M, monoid::Any> || std::is_same_v<M, monoid::All>;
template <class M, class V>
LAZULITE_INLINE bool decides(V v) {
  if constexpr (std::is_same_v<M, monoid::Any>) return simd::any(v != V(0));
  else return simd::any(v == V(0));
}

// Lanes before `n` of a, the others of b.
template <class T>
LAZULITE_INLINE Vec<T> first_of(int64_t n, Vec<T> a, Vec<T> b) {
  using I = simd::int_like<T>;
  constexpr auto numbered = []<int... i>(std::integer_sequence<int, i...>) {
    return typename Vec<I>::raw{I(i)...};
  };
  constexpr auto lanes = std::make_integer_sequence<int, Vec<T>::size>{};
  return simd::select(Vec<I>::from(numbered(lanes)) < Vec<I>(I(n)), a, b);
}
template <class T>
LAZULITE_INLINE Cx<Vec<T>> first_of(int64_t n, Cx<Vec<T>> a, Cx<Vec<T>> b) {
  return {first_of(n, a.re, b.re), first_of(n, a.im, b.im)};
}

// r[k] = combine(r[k], element) of the last `rest` elements before `end`, fewer than lanes.
template <class M, class In, int registers>
LAZULITE_INLINE void combine_rest(const typename In::memory* end, int64_t rest, typename In::V* r) {
  using V = typename In::V;
  constexpr int L = V::size;
  for (int k = 0; k < registers; ++k, rest -= L) {
    if (rest <= 0) return;
    if (rest >= L) {
      r[k] = M::template combine<V>(r[k], In::load(end - rest));
      continue;
    }
    r[k] = first_of(rest, M::template combine<V>(r[k], some_of<In>(end - rest, rest)), r[k]);
  }
}

// The lanes of n elements, at least as many as there are lanes.
template <class M, class In, int registers>
LAZULITE_INLINE void take_lanes(const typename In::memory* x, int64_t n, typename In::V* r) {
  using V = typename In::V;
  constexpr int lanes = registers * V::size;
  V more[registers];
  load_lanes<In, registers>(x, r);
  int64_t i = lanes;
  for (; i + lanes <= n; i += lanes) {
    load_lanes<In, registers>(x + i, more);
    for (int k = 0; k < registers; ++k) r[k] = M::template combine<V>(r[k], more[k]);
  }
  order_lanes<In, registers>(r);
  combine_rest<M, In, registers>(x + n, n - i, r);
}

// Whether rows are turned in registers: of elements of 4 and 8 bytes.
template <class In>
constexpr bool is_turned = !simd::is_complex<typename In::V>::value &&
                           sizeof(typename In::accumulator) >= 4;

// Elements of a row that is folded by itself, at least.
template <class In>
constexpr int64_t least_folded = is_turned<In> ? In::V::size
                                 : sizeof(typename In::accumulator) <= 2 ? 1 : reduce_lanes;
// The lanes of a row, folded to those of one register. What combines elements of 1 or 2 bytes does
// not mind one that comes twice: the last register of such a row overlaps the one before.
template <class M, class In>
LAZULITE_INLINE typename In::V folded_row(const typename In::memory* x, int64_t n) {
  using V = typename In::V;
  constexpr int L = V::size;
  if constexpr (sizeof(typename In::accumulator) <= 2) {
    if (n < L) return first_of(n, some_of<In>(x, n), V(In::one(x)));
    V v = In::load(x);
    for (int64_t i = L; i < n; i += L)
      v = M::template combine<V>(v, In::load(x + (i + L <= n ? i : n - L)));
    return v;
  } else {
    constexpr int registers = int(reduce_lanes) / L;
    V r[registers];
    if (n >= reduce_lanes) {
      take_lanes<M, In, registers>(x, n, r);
      fold_halves<registers>(r, registers, M::template combine<V>);
      return r[0];
    }
    int64_t whole = n / L, rest = n % L;
    for (int k = 0; k < registers && k < whole; ++k) r[k] = In::load(x + k * L);
    if (rest) r[whole] = some_of<In>(x + whole * L, rest);
    for (int64_t half = registers / 2; half; half /= 2) {
      if (whole < half) continue;
      for (int64_t k = 0; k < whole - half; ++k) r[k] = M::template combine<V>(r[k], r[k + half]);
      if (rest) {
        V& last = r[whole - half];
        last = first_of(rest, M::template combine<V>(last, r[whole]), last);
      }
      whole = half;
      rest = 0;
    }
    return r[0];
  }
}

template <class M, class In>
void chunk(const void* input, int64_t n, void* out) {
  using V = typename In::V;
  using A = typename In::accumulator;
  if constexpr (is_decided<M>) {  // what nothing has decided says nothing: the rest is the result
    constexpr int64_t step = 8 * V::size;
    constexpr A neutral = std::is_same_v<M, monoid::All>;
    const auto* from = static_cast<const typename In::memory*>(input);
    for (; n >= step; from += step, n -= step) {
      V v = In::load(from);
      for (int k = 1; k < 8; ++k) v = M::template combine<V>(v, In::load(from + k * V::size));
      if (decides<M>(v)) return void(*static_cast<A*>(out) = !neutral);
    }
    if (n == 0) return void(*static_cast<A*>(out) = neutral);
    input = from;
  }
  // Bytes in registers of 64: integers combine to the same bits in any order.
  constexpr int lanes = V::size > reduce_lanes ? V::size : int(reduce_lanes);
  constexpr int registers = lanes / V::size;
  const auto* x = static_cast<const typename In::memory*>(input);
  if (n < lanes) {
    if (n >= least_folded<In>)
      return void(*static_cast<A*>(out) =
                      fold_vector<M, V::size / 2>(folded_row<M, In>(x, n))[0]);
    alignas(64) A lane[lanes];
    convert<In>(lane, x, n);
    fold_lanes<M, In>(lane, n, lanes, 1);
    *static_cast<A*>(out) = lane[0];
  } else {
    V r[registers];
    take_lanes<M, In, registers>(x, n, r);
    *static_cast<A*>(out) = fold_registers<M, registers>(r);
  }
}

// Of two vectors side by side, rows of n elements: all first halves, or all second ones.
template <int n, bool second, class T, int... i>
LAZULITE_INLINE Vec<T> halves(Vec<T> a, Vec<T> b, std::integer_sequence<int, i...>) {
  return Vec<T>::from(__builtin_shufflevector(
      a.v, b.v, (i / (n / 2) * n + i % (n / 2) + (second ? n / 2 : 0))...));
}
template <int n, bool second, class V>
LAZULITE_INLINE V halves(V a, V b) {
  if constexpr (simd::is_complex<V>::value)
    return {halves<n, second>(a.re, b.re), halves<n, second>(a.im, b.im)};
  else return halves<n, second>(a, b, std::make_integer_sequence<int, V::size>{});
}
// Vector j of rows of `length` elements without gaps, a power of two, folded to n each.
template <class M, class In, int length, int n, int j>
LAZULITE_INLINE typename In::V fold_rows_to(const typename In::memory* x) {
  using V = typename In::V;
  if constexpr (n == length) {
    return In::load(x + j * V::size);
  } else if constexpr (n >= V::size) {
    constexpr int vectors = n / V::size, low = j / vectors * 2 * vectors + j % vectors;
    return M::template combine<V>(fold_rows_to<M, In, length, 2 * n, low>(x),
                                  fold_rows_to<M, In, length, 2 * n, low + vectors>(x));
  } else {
    const V a = fold_rows_to<M, In, length, 2 * n, 2 * j>(x),
            b = fold_rows_to<M, In, length, 2 * n, 2 * j + 1>(x);
    return M::template combine<V>(halves<2 * n, false>(a, b), halves<2 * n, true>(a, b));
  }
}
// As many of `count` such rows as fill registers; returns how many.
template <class M, class In, int length>
LAZULITE_INLINE int64_t dense_rows(const typename In::memory* x, int64_t count,
                                   typename In::accumulator* out) {
  constexpr int size = In::V::size;
  int64_t row = 0;
  for (; row + size <= count; row += size)
    fold_rows_to<M, In, length, 1, 0>(x + row * length).store(out + row);
  return row;
}
template <class M, class In>
int64_t dense_rows(const typename In::memory* x, int64_t n, int64_t stride, int64_t count,
                   typename In::accumulator* out) {
  if constexpr (sizeof(typename In::accumulator) >= 4 && !is_plain<M, In>) {
    if (n != stride) return 0;
    switch (n) {
      case 2: return dense_rows<M, In, 2>(x, count, out);
      case 4: return dense_rows<M, In, 4>(x, count, out);
      case 8: return dense_rows<M, In, 8>(x, count, out);
      case 16: return dense_rows<M, In, 16>(x, count, out);
      case 32: return dense_rows<M, In, 32>(x, count, out);
    }
  }
  return 0;
}

// Rows of n elements, `stride` apart, side by side: vector k has element k of each. What lies up to
// whole vectors behind their ends is read, too.
template <class In>
LAZULITE_INLINE void turn_rows(const typename In::memory* x, int64_t n, int64_t stride,
                               typename In::V* lane) {
  using V = typename In::V;
  constexpr int L = V::size;
  for (int64_t k = 0; k < n; k += L) {
    typename V::raw square[L];
    for (int r = 0; r < L; ++r) square[r] = In::load(x + r * stride + k).v;
    simd::turn(square);
    for (int r = 0; r < L; ++r) lane[k + r] = V::from(square[r]);
  }
}
// The same of as many of `count` rows of at most `most` elements, from `row` on, as a register
// holds; returns how many. The last ones, behind which other memory lies, are copied before.
template <class In, int most = int(reduce_lanes)>
LAZULITE_INLINE int64_t turn_rows_from(int64_t row, const typename In::memory* x, int64_t n,
                                       int64_t stride, int64_t count, typename In::V* lane) {
  using M = typename In::memory;
  constexpr int L = In::V::size;
  const int64_t end = (count - 1) * stride + n, read = (n + L - 1) / L * L;
  if (stride > 0 && row + L <= count && (row + L - 1) * stride + read <= end) {
    turn_rows<In>(x + row * stride, n, stride, lane);
    return L;
  }
  const int64_t some = count - row < L ? count - row : L;
  M room[L * ((most + L - 1) / L * L)];
  std::memset(room, 0, size_t(L * read) * sizeof(M));
  for (int64_t r = 0; r < L; ++r)
    std::memcpy(room + r * read, x + (row + (r < some ? r : 0)) * stride, size_t(n) * sizeof(M));
  turn_rows<In>(room, n, read, lane);
  return some;
}
// All of them: f(first row, how many, lanes).
template <class In, int most = int(reduce_lanes), class F>
LAZULITE_INLINE void for_turned_rows(const typename In::memory* x, int64_t n, int64_t stride,
                                     int64_t count, F&& f) {
  typename In::V lane[most];
  for (int64_t row = 0; row < count; row += In::V::size)
    f(row, turn_rows_from<In, most>(row, x, n, stride, count, lane), lane);
}

// `count` planes of n elements, rows of `width` each, turned: their rows are folded. (Planes of one
// column are rows; the parts of complex numbers are two columns.)
template <class M, class In>
[[gnu::noinline]] void turned_planes(const typename In::memory* x, int64_t n, int64_t width,
                                     int64_t stride, int64_t count,
                                     typename In::accumulator* out) {
  using V = typename In::V;
  using A = typename In::accumulator;
  constexpr int L = V::size;
  auto put = [](V v, A* to, int64_t some) __attribute__((always_inline)) {
    if (some >= L) return v.store(to);
    alignas(64) A each[L];
    v.store(each);
    for (int64_t r = 0; r < some; ++r) to[r] = each[r];
  };
  for_turned_rows<In, int(plane_elements)>(x, n, stride, count, [&](int64_t row, int64_t some,
                                                                    V* lane)
                                                                __attribute__((always_inline)) {
    int64_t live = n;
    for (int64_t half = reduce_lanes / 2 * width; half >= width; half /= 2) {
      for (int64_t k = 0; k < live - half; ++k)
        lane[k] = M::template combine<V>(lane[k], lane[k + half]);
      live = live < half ? live : half;
    }
    if (width == 1) return put(lane[0], out + row, some);
    constexpr auto each = std::make_integer_sequence<int, L>{};
    if (width == 2) {
      put(interleaved<V, false>(lane[0], lane[1], each), out + 2 * row, 2 * some);
      return put(interleaved<V, true>(lane[0], lane[1], each), out + 2 * row + L, 2 * some - L);
    }
    alignas(64) A column[L];
    for (int64_t j = 0; j < width; ++j) {
      lane[j].store(column);
      for (int64_t r = 0; r < some; ++r) out[(row + r) * width + j] = column[r];
    }
  });
}
template <class M, class In, int parts>
void planes(const void* x, int64_t n, int64_t width, int64_t stride, int64_t count, void* out) {
  turned_planes<M, In>(static_cast<const typename In::memory*>(x), parts * n * width,
                       parts * width, parts * stride, count,
                       static_cast<typename In::accumulator*>(out));
}

// `count` rows of at most 32 elements, `stride` apart: as many side by side as a register holds.
template <class M, class In>
void short_rows(const void* input, int64_t n, int64_t stride, int64_t count, void* output) {
  using V = typename In::V;
  using A = typename In::accumulator;
  const auto* x = static_cast<const typename In::memory*>(input);
  A* out = static_cast<A*>(output);
  int64_t row = dense_rows<M, In>(x, n, stride, count, out);
  if constexpr (is_turned<In>) {
    if (row < count) turned_planes<M, In>(x + row * stride, n, 1, stride, count - row, out + row);
    return;
  }
  alignas(64) A lane[reduce_lanes * V::size];
  for (; row < count; row += V::size) {
    const int64_t some = count - row < V::size ? count - row : V::size;
    for (int64_t r = 0; r < V::size; ++r) {
      const auto* from = x + (row + (r < some ? r : 0)) * stride;
      for (int64_t k = 0; k < n; ++k) lane[k * V::size + r] = In::one(from + k);
    }
    int64_t live = n;
    for (int64_t half = reduce_lanes / 2; half; half /= 2) {
      if (live <= half) continue;
      for (int64_t k = 0; k < live - half; ++k) {
        A* to = lane + k * V::size;
        M::template combine<V>(V::load(to), V::load(to + half * V::size)).store(to);
      }
      live = half;
    }
    if (some == V::size) V::load(lane).store(out + row);
    else
      for (int64_t r = 0; r < some; ++r) out[row + r] = lane[r];
  }
}

// a[i] = combine of a[i] (but for the `first`) and 4 elements that are `step` apart, in order.
template <class M, class In, bool first>
LAZULITE_INLINE void accumulate_four(typename In::accumulator* a, const typename In::memory* x,
                                     int64_t step, int64_t n) {
  using V = typename In::V;
  int64_t i = 0;
  for (; i + V::size <= n; i += V::size) {
    V v;
    if constexpr (first) v = In::load(x + i);
    else v = V::load(a + i);
    for (int k = first; k < 4; ++k) v = M::template combine<V>(v, In::load(x + i + k * step));
    v.store(a + i);
  }
  for (; i < n; ++i) {
    if (first) a[i] = In::one(x + i);
    for (int k = first; k < 4; ++k) a[i] = M::one(a[i], In::one(x + i + k * step));
  }
}

// Of vectors of rows of `wide` elements, vector j of rows folded to n each.
template <class M, int wide, int n, int j, class V>
LAZULITE_INLINE V fold_vectors(const V* rows) {
  if constexpr (n == wide) {
    return rows[j];
  } else {
    const V a = fold_vectors<M, wide, 2 * n, 2 * j>(rows),
            b = fold_vectors<M, wide, 2 * n, 2 * j + 1>(rows);
    return M::template combine<V>(halves<2 * n, false>(a, b), halves<2 * n, true>(a, b));
  }
}

// `count` rows of one chunk, `stride` apart: each has its lanes, which are folded of as many rows
// side by side as a register holds. Shorter ones than that are turned.
template <class M, class In>
void each_row(const void* input, int64_t n, int64_t stride, int64_t count, void* output) {
  using V = typename In::V;
  using A = typename In::accumulator;
  constexpr int L = V::size;
  if (count == 1) return chunk<M, In>(input, n, output);
  if (n < (is_plain<M, In> ? reduce_lanes + 1 : least_folded<In>))
    return short_rows<M, In>(input, n, stride, count, output);
  const auto* x = static_cast<const typename In::memory*>(input);
  A* out = static_cast<A*>(output);
  if constexpr (is_plain<M, In>) {
    for (int64_t row = 0; row < count; ++row) chunk<M, In>(x + row * stride, n, out + row);
    return;
  }
  int64_t row = dense_rows<M, In>(x, n, stride, count, out);
  for (; row < count; row += L) {
    const int64_t some = count - row < L ? count - row : L;
    V folded[L];
#pragma GCC unroll 1
    for (int i = 0; i < L; ++i)
      folded[i] = i < some ? folded_row<M, In>(x + (row + i) * stride, n) : folded[0];
    const V all = fold_vectors<M, L, 1, 0>(folded);
    if (some == L) {
      all.store(out + row);
    } else {
      for (int64_t r = 0; r < some; ++r) out[row + r] = all[int(r)];
    }
  }
}

// Of `vectors` of neighbouring columns lanes l, l + 8, l + 16 and l + 24, folded to one.
template <class M, class In, int vectors>
[[gnu::noinline]] void fold_eighth(const typename In::memory* x, int64_t n, int64_t stride,
                                   int64_t l, typename In::V* out) {
  using V = typename In::V;
  auto lane = [&](int64_t at, V* r) {
    for (int k = 0; k < vectors; ++k) r[k] = In::load(x + at * stride + k * V::size);
    for (at += reduce_lanes; at < n; at += reduce_lanes)
      for (int k = 0; k < vectors; ++k)
        r[k] = M::template combine<V>(r[k], In::load(x + at * stride + k * V::size));
  };
  auto two = [&](int64_t at, V* r) {
    lane(at, r);
    if (at + 16 >= n) return;
    V other[vectors];
    lane(at + 16, other);
    for (int k = 0; k < vectors; ++k) r[k] = M::template combine<V>(r[k], other[k]);
  };
  V r[vectors];
  two(l, r);
  if (l + 8 < n) {
    V other[vectors];
    two(l + 8, other);
    for (int k = 0; k < vectors; ++k) r[k] = M::template combine<V>(r[k], other[k]);
  }
  for (int k = 0; k < vectors; ++k) out[k] = r[k];
}
// ... and lanes l, l + half, l + 2 half and so on.
template <class M, class In, int vectors, int half = 1>
LAZULITE_INLINE void fold_part(const typename In::memory* x, int64_t n, int64_t stride, int64_t l,
                               typename In::V* r) {
  static_assert(reduce_lanes == 32);
  if constexpr (half == 8) {
    fold_eighth<M, In, vectors>(x, n, stride, l, r);
  } else {
    fold_part<M, In, vectors, 2 * half>(x, n, stride, l, r);
    if (l + half >= n) return;
    typename In::V other[vectors];
    fold_part<M, In, vectors, 2 * half>(x, n, stride, l + half, other);
    for (int k = 0; k < vectors; ++k)
      r[k] = M::template combine<typename In::V>(r[k], other[k]);
  }
}
// Few rows for each lane, a register of columns or more: what lanes come to is folded as it is
// read, and no lane is written.
template <class M, class In>
void columns_of_few(const typename In::memory* x, int64_t n, int64_t stride, int64_t width,
                    typename In::accumulator* out) {
  using V = typename In::V;
  constexpr int vectors = 4;
  int64_t c = 0;
  for (; c + vectors * V::size <= width; c += vectors * V::size) {
    V r[vectors];
    fold_part<M, In, vectors>(x + c, n, stride, 0, r);
    for (int k = 0; k < vectors; ++k) r[k].store(out + c + k * V::size);
  }
  while (c < width) {
    c = c + V::size < width ? c : width - V::size;  // the last ones end with the row
    V r;
    fold_part<M, In, 1>(x + c, n, stride, 0, &r);
    r.store(out + c);
    c += V::size;
  }
}

// Columns by steps: at most 32 rows at a time, without gaps.
template <class M, class In>
[[gnu::noinline]] void take_rows(const void* x, int64_t rows, int64_t width, int64_t step,
                                 void* lanes) {
  auto* lane = static_cast<typename In::accumulator*>(lanes);
  const auto* from = static_cast<const typename In::memory*>(x);
  if (step == 0) convert<In>(lane, from, rows * width);
  else accumulate<M, In>(lane, from, rows * width);
}
template <class M, class In>
[[gnu::noinline]] void fold_rows(void* lanes, int64_t n, int64_t width, void* out) {
  using A = typename In::accumulator;
  A* lane = static_cast<A*>(lanes);
  fold_lanes<M, In>(lane, n < reduce_lanes ? n : reduce_lanes, reduce_lanes, width);
  convert<Accumulated<In>>(static_cast<A*>(out), lane, width);
}

// Four rows of a lane at a time: its accumulators, which lie beyond L1, are read once for them.
template <class M, class In>
void columns(const void* input, int64_t n, int64_t stride, int64_t width, void* scratch,
             void* out) {
  using A = typename In::accumulator;
  const auto* x = static_cast<const typename In::memory*>(input);
  A* lane = static_cast<A*>(scratch);
  const int64_t live = n < reduce_lanes ? n : reduce_lanes;
  if constexpr (std::is_floating_point_v<A> &&
                !is_plain<M, In>)  // the others: too rare for the code
    if (n < 4 * reduce_lanes && width >= In::V::size)
      return columns_of_few<M, In>(x, n, stride, width, static_cast<A*>(out));
  // Without gaps a step of all lanes is one run.
  const int64_t runs = stride == width ? 1 : live, run = stride == width ? live * width : width;
  constexpr int64_t four = 4 * reduce_lanes;
  auto rows = [&](int64_t i, int64_t l) { return x + (i + l) * stride; };
  int64_t i = live;
  if (n >= four) {
    for (int64_t l = 0; l < runs; ++l)
      accumulate_four<M, In, true>(lane + l * width, rows(0, l), reduce_lanes * stride, run);
    i = four;
  } else {
    for (int64_t l = 0; l < runs; ++l)
      take_rows<M, In>(rows(0, l), 1, run, 0, lane + l * width);
  }
  for (; i + four <= n; i += four)
    for (int64_t l = 0; l < runs; ++l)
      accumulate_four<M, In, false>(lane + l * width, rows(i, l), reduce_lanes * stride, run);
  for (; i < n; i += reduce_lanes) {
    const int64_t rows = n - i < reduce_lanes ? n - i : reduce_lanes;
    if (stride == width) {
      take_rows<M, In>(x + i * stride, rows, width, 1, lane);
    } else {
      for (int64_t l = 0; l < rows; ++l)
        take_rows<M, In>(x + (i + l) * stride, 1, width, 1, lane + l * width);
    }
  }
  fold_rows<M, In>(lane, n, width, out);
}

template <class M, class In>
void combine(void* a, const void* b, int64_t n) {
  using A = typename In::accumulator;
  accumulate<M, Accumulated<In>>(static_cast<A*>(a), static_cast<const A*>(b), n);
}

// Sums of complex numbers, part by part as they lie: twice as many lanes and columns of the real
// dtype.
template <class T>
void chunk_of_parts(const void* input, int64_t n, void* out) {
  using V = Vec<T>;
  using Sum = monoid::Sum;
  constexpr int lanes = 2 * int(reduce_lanes), registers = lanes / V::size;
  if (n < reduce_lanes) return chunk<Sum, Complex<T>>(input, n, out);
  const T* x = static_cast<const T*>(input);
  const int64_t parts = 2 * n;
  V r[registers];
  for (int k = 0; k < registers; ++k) r[k] = V::load(x + k * V::size);
  int64_t i = lanes;
  for (; i + lanes <= parts; i += lanes)
    for (int k = 0; k < registers; ++k) r[k] = r[k] + V::load(x + i + k * V::size);
  alignas(64) T lane[lanes];
  for (int k = 0; k < registers; ++k) r[k].store(lane + k * V::size);
  accumulate<Sum, Plain<T>>(lane, x + i, parts - i);
  fold_lanes<Sum, Plain<T>>(lane, reduce_lanes, reduce_lanes, 2);
  std::memcpy(out, lane, 2 * sizeof(T));
}
template <class T>
void columns_of_parts(const void* x, int64_t n, int64_t stride, int64_t width, void* scratch,
                      void* out) {
  columns<monoid::Sum, Plain<T>>(x, n, 2 * stride, 2 * width, scratch, out);
}
template <class T>
void rows_of_parts(const void* input, int64_t n, int64_t stride, int64_t count, void* output) {
  using In = Complex<T>;
  using Sum = monoid::Sum;
  const auto* x = static_cast<const simd::Pair<T>*>(input);
  auto* out = static_cast<simd::Pair<T>*>(output);
  if (n > reduce_lanes) {
    for (int64_t row = 0; row < count; ++row) chunk_of_parts<T>(x + row * stride, n, out + row);
    return;
  }
  const int64_t row = dense_rows<Sum, In>(x, n, stride, count, out);
  if (row < count)
    turned_planes<Sum, Plain<T>>(&x[row * stride].re, 2 * n, 2, 2 * stride, count - row,
                                 &out[row].re);
}
template <class T>
void combine_parts(void* a, const void* b, int64_t n) {
  combine<monoid::Sum, Plain<T>>(a, b, 2 * n);
}

// The whole tree over a contiguous row; the stack holds the sums of 2^k chunks.
template <class M, class In>
LAZULITE_INLINE typename In::accumulator reduce_row(const typename In::memory* x, int64_t n) {
  using A = typename In::accumulator;
  A stack[64];
  int depth = 0;
  int64_t done = 0;
  for (int64_t i = 0; i < n; i += reduce_chunk) {
    chunk<M, In>(x + i, n - i < reduce_chunk ? n - i : reduce_chunk, &stack[depth++]);
    for (int64_t c = ++done; c % 2 == 0; c /= 2, --depth)
      stack[depth - 2] = M::one(stack[depth - 2], stack[depth - 1]);
  }
  for (; depth > 1; --depth) stack[depth - 2] = M::one(stack[depth - 2], stack[depth - 1]);
  return stack[0];
}

}  // namespace
}  // namespace lazulite::engine
