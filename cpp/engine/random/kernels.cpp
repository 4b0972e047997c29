// Random draws per instruction-set level.
#include "engine/random/kernels.h"

#include "device/cpu/level.h"
#include "simd/math.h"

namespace lazulite::engine {
namespace {

using simd::Half;
using simd::Vec;

using U32 = Vec<uint32_t>;
using U64 = Vec<uint64_t>;

template <int... i>
LAZULITE_INLINE void interleave(U32 x, U32 y, uint32_t* out, std::integer_sequence<int, i...>) {
  constexpr int size = U32::size;
  U32::from(__builtin_shufflevector(x.v, y.v, (i / 2 + i % 2 * size)...)).store(out);
  U32::from(__builtin_shufflevector(x.v, y.v, (size / 2 + i / 2 + i % 2 * size)...))
      .store(out + size);
}

// The words of `size` counters from this one on: 2 * size words.
LAZULITE_INLINE void words_of(Key key, uint64_t counter, uint32_t* out) {
  constexpr auto lanes = std::make_integer_sequence<int, U32::size>{};
  uint32_t ramp[U32::size];
  for (int i = 0; i < U32::size; ++i) ramp[i] = uint32_t(i);
  const U32 first(static_cast<uint32_t>(counter)), low = first + U32::load(ramp);
  const U32 carry = -simd::mask_bits<uint32_t>(low < first);
  const auto w = threefry(key, low, U32(static_cast<uint32_t>(counter >> 32)) + carry);
  interleave(w.x, w.y, out, lanes);
}

void words(Key key, uint64_t first, int64_t n, uint32_t* out) {
  constexpr int64_t group = 2 * U32::size;
  uint32_t some[group];
  int64_t i = 0;
  if (n > 0 && first % 2) {  // the second half of a counter
    words_of(key, first / 2, some);
    out[i++] = some[1];
  }
  for (; i + group <= n; i += group) words_of(key, (first + uint64_t(i)) / 2, out + i);
  if (i < n) {
    words_of(key, (first + uint64_t(i)) / 2, some);
    std::memcpy(out + i, some, size_t(n - i) * sizeof(uint32_t));
  }
}

// One register of multiples of 2^-24 or 2^-53 in [0, 1) from the words of as many elements.
LAZULITE_INLINE void unit(const uint32_t* from, Vec<float>& out) {
  const U32 w = U32::load(from);
  out = simd::convert<float>(Vec<int32_t>::from((typename Vec<int32_t>::raw)(w.v >> 8))) * 0x1p-24f;
}
LAZULITE_INLINE void unit(const uint32_t* from, Vec<double>& out) {
  U64 w;
  std::memcpy(&w.v, from, sizeof w.v);
  // 53 bits in two parts that doubles hold exactly: 2^84 + high 2^32 and 2^52 + low.
  const U64 top = U64::from(w.v >> 11);
  const auto high = simd::bit_cast<double>(U64::from((top.v >> 32) | 0x4530000000000000));
  const auto low = simd::bit_cast<double>(U64::from((top.v & 0xffffffff) | 0x4330000000000000));
  out = ((high - Vec<double>(0x1p84)) + (low - Vec<double>(0x1p52))) * 0x1p-53;
}

template <class T> struct Plain {
  using memory = T;
  using V = Vec<T>;
  LAZULITE_INLINE static void store(V v, T* p) { v.store(p); }
};
template <Half h> struct Short {
  using memory = uint16_t;
  using V = Vec<float>;
  LAZULITE_INLINE static void store(V v, uint16_t* p) { simd::store_half<h>(v, p); }
};

// make(words of a register) -> the register that is stored, for each element.
template <class Out, int words_each, int lanes, class F>
LAZULITE_INLINE void draw(Key key, uint64_t first, int64_t n, void* to, F make) {
  constexpr int64_t block = 512;
  static_assert(block % lanes == 0);
  uint32_t from[block * words_each];
  auto* out = static_cast<typename Out::memory*>(to);
  for (int64_t at = 0; at < n; at += block) {
    const int64_t count = n - at < block ? n - at : block;
    const int64_t padded = (count + lanes - 1) / lanes * lanes;
    words(key, (first + uint64_t(at)) * words_each, padded * words_each, from);
    int64_t i = 0;
    for (; i + lanes <= count; i += lanes) Out::store(make(from + i * words_each), out + at + i);
    if (i < count) {
      typename Out::memory last[lanes];
      Out::store(make(from + i * words_each), last);
      std::memcpy(out + at + i, last, size_t(count - i) * sizeof(typename Out::memory));
    }
  }
}

template <class V>
LAZULITE_INLINE V uniform_of(const uint32_t* from, const Uniform& how) {
  using T = typename V::scalar;
  V u;
  unit(from, u);
  if (how.scale != 1) u = u * V(T(how.scale));
  if (how.offset != 0) u = u + V(T(how.offset));
  return how.limit == __builtin_inf() ? u : simd::minimum(u, V(T(how.limit)));
}

template <class Out>
void uniform(Key key, uint64_t first, int64_t n, const Uniform& how, void* out) {
  using V = typename Out::V;
  constexpr int each = sizeof(typename V::scalar) / 4;
  const Uniform as_given = how;
  draw<Out, each, V::size>(key, first, n, out,
                           [&](const uint32_t* w) { return uniform_of<V>(w, as_given); });
}

template <class Out>
void normal(Key key, uint64_t first, int64_t n, double factor, void* out) {
  using V = typename Out::V;
  using T = typename V::scalar;
  constexpr int each = sizeof(T) / 4;
  // In (-1, 1): the numbers next to the ends are what the inverse reaches at most.
  const T low = T(each == 1 ? -1 + 0x1p-24 : -1 + 0x1p-53), scale = T(1 - double(low)),
          limit = T(each == 1 ? 1 - 0x1p-24 : 1 - 0x1p-53);
  const V by = V(T(factor));
  draw<Out, each, V::size>(key, first, n, out, [&](const uint32_t* w) {
    V u;
    unit(w, u);
    return simd::erfinv(simd::min(u * V(scale) + V(low), V(limit))) * by;
  });
}

template <class T> struct Narrow {
  using memory = T;
  LAZULITE_INLINE static void store(U64 v, T* p) {
    typedef T lanes __attribute__((vector_size(U64::size * sizeof(T))));
    const lanes x = __builtin_convertvector(v.v, lanes);
    std::memcpy(p, &x, sizeof x);
  }
};

// The high 64 bits of word * range.
LAZULITE_INLINE uint64_t high_product(uint64_t a, uint64_t b) {
  return uint64_t((unsigned __int128)(a)*b >> 64);
}

template <class T>
void integers(Key key, uint64_t first, int64_t n, uint64_t low, uint64_t range, void* out) {
  auto load = [](const uint32_t* w) {
    U64 v;
    std::memcpy(&v.v, w, sizeof v.v);
    return v;
  };
  const U64 from(low), by(range);
  if (range == 0) {
    draw<Narrow<T>, 2, U64::size>(key, first, n, out, [&](const uint32_t* w) {
      return from + load(w);
    });
  } else if (range >> 32 == 0) {
    draw<Narrow<T>, 2, U64::size>(key, first, n, out, [&](const uint32_t* w) {
      const U64 v = load(w), upper = U64::from(v.v >> 32) * by,
                lower = U64::from((v.v & 0xffffffff) * by.v >> 32);
      return from + U64::from((upper.v + lower.v) >> 32);
    });
  } else {
    draw<Narrow<T>, 2, U64::size>(key, first, n, out, [&](const uint32_t* w) {
      return from + U64::map(high_product, load(w), by);
    });
  }
}

constexpr RandomKernels make_table() {
  RandomKernels table{};
  table.words = words;
  auto set = [&]<class Out>(Dtype t) {
    table.uniform[int(t)] = uniform<Out>;
    table.normal[int(t)] = normal<Out>;
  };
  set.template operator()<Plain<float>>(Dtype::float32);
  set.template operator()<Plain<double>>(Dtype::float64);
  set.template operator()<Short<Half::f16>>(Dtype::float16);
  set.template operator()<Short<Half::bf16>>(Dtype::bfloat16);
  table.integers[0] = integers<uint8_t>;
  table.integers[1] = integers<uint16_t>;
  table.integers[2] = integers<uint32_t>;
  table.integers[3] = integers<uint64_t>;
  return table;
}

constexpr RandomKernels table = make_table();

}  // namespace

const RandomKernels& LAZULITE_AT_LEVEL(random_kernels)();
const RandomKernels& LAZULITE_AT_LEVEL(random_kernels)() { return table; }

}  // namespace lazulite::engine
