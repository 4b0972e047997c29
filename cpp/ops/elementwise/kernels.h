// From rows to block kernels. Per-level units only; everything has internal linkage.
#pragma once
#include "device/cpu/level.h"
#include "device/program.h"
#include "ops/elementwise/row.h"
#include "simd/complex_math.h"
#include "simd/math.h"

namespace lazulite {
namespace {

template <int dtype> struct VectorOf { using t = void; };
#define LAZULITE_VECTOR(dtype, ...) \
  template <> struct VectorOf<int(Dtype::dtype)> { using t = __VA_ARGS__; };
LAZULITE_VECTOR(bool_, simd::Vec<uint8_t>) LAZULITE_VECTOR(uint8, simd::Vec<uint8_t>)
LAZULITE_VECTOR(uint16, simd::Vec<uint16_t>) LAZULITE_VECTOR(uint32, simd::Vec<uint32_t>)
LAZULITE_VECTOR(uint64, simd::Vec<uint64_t>) LAZULITE_VECTOR(int8, simd::Vec<int8_t>)
LAZULITE_VECTOR(int16, simd::Vec<int16_t>) LAZULITE_VECTOR(int32, simd::Vec<int32_t>)
LAZULITE_VECTOR(int64, simd::Vec<int64_t>) LAZULITE_VECTOR(float32, simd::Vec<float>)
LAZULITE_VECTOR(float64, simd::Vec<double>) LAZULITE_VECTOR(complex64, simd::Cx<simd::Vec<float>>)
LAZULITE_VECTOR(complex128, simd::Cx<simd::Vec<double>>)

// Halves lie in memory and in registers of 16 bits; what is computed of them are floats.
template <simd::Half h> struct HalfVector {
  using scalar = uint16_t;
  static constexpr int size = simd::Vec<float>::size;
  static simd::Vec<float> load(const uint16_t* p) { return simd::load_half<h>(p); }
};
LAZULITE_VECTOR(float16, HalfVector<simd::Half::f16>)
LAZULITE_VECTOR(bfloat16, HalfVector<simd::Half::bf16>)
#undef LAZULITE_VECTOR
template <int dtype>
constexpr simd::Half half_of = dtype == int(Dtype::float16) ? simd::Half::f16 : simd::Half::bf16;

template <class V> using Loaded = decltype(V::load(nullptr));

// An operand that is read vector by vector: the same one again where it repeats. (By value: the
// compiler would read the addresses anew after every store.)
template <class V> struct Reader {
  const typename V::scalar* at;
  int64_t step;
  Reader(const void* const* in, int64_t n, int operand)
      : at(static_cast<const typename V::scalar*>(in[operand])),
        step(n & repeats(operand) ? 0 : V::size) {}
  LAZULITE_INLINE Loaded<V> next() {
    const auto v = V::load(at);
    at += step;
    return v;
  }
};

// Of an op on `dtype`. Masks are stored as bytes of 0 and 1; a bool result computed on bytes is
// made one of these.
template <int dtype, class R> inline void store_at(void* p, int64_t i, R r) {
  if constexpr (simd::is_mask<R>::value) simd::store_bool(r, static_cast<uint8_t*>(p) + i);
  else if constexpr (dtype == int(Dtype::bool_))
    simd::store_bool(r != R(0), static_cast<uint8_t*>(p) + i);
  else if constexpr (is_half(Dtype(dtype)))
    simd::store_half<half_of<dtype>>(r, static_cast<uint16_t*>(p) + i);
  else r.store(static_cast<typename R::scalar*>(p) + i);
}

// Light kernels load some vectors before they store any: where the result lies a little ahead of an
// operand in its page, each load would wait for the store before it.
constexpr int at_once(bool light) { return light ? 4 : 1; }

template <class R, int dtype> struct UnaryKernel {
  using V = typename VectorOf<dtype>::t;
  using T = typename V::scalar;
  template <int many> LAZULITE_INLINE static void some(void* out, const T* a, int64_t i) {
    decltype(R::template f<Loaded<V>>(V::load(a))) r[many];
#pragma GCC unroll 4
    for (int k = 0; k < many; ++k) r[k] = R::template f<Loaded<V>>(V::load(a + i + k * V::size));
#pragma GCC unroll 4
    for (int k = 0; k < many; ++k) store_at<dtype>(out, i + k * V::size, r[k]);
  }
  static void run(void* out, const void* const* in, int64_t n) {
    const T* a = static_cast<const T*>(in[0]);
    constexpr int many = at_once(R::row.light), step = many * V::size;
    int64_t i = 0;
    for (; i + step <= n; i += step) some<many>(out, a, i);
    for (; i < n; i += V::size) some<1>(out, a, i);
  }
};

template <class R, int dtype> struct BinaryKernel {
  using V = typename VectorOf<dtype>::t;
  // A row may treat halves, which are floats here, in a way of their own.
  template <class F> LAZULITE_INLINE static auto one(F x, F y) {
    if constexpr (requires { R::template f_half<half_of<dtype>>(x, y); } && is_half(Dtype(dtype)))
      return R::template f_half<half_of<dtype>>(x, y);
    else
      return R::template f<F>(x, y);
  }
  template <int many>
  LAZULITE_INLINE static void some(void* out, Reader<V>& a, Reader<V>& b, int64_t i) {
    using F = Loaded<V>;
    decltype(one<F>(a.next(), b.next())) r[many];
#pragma GCC unroll 4
    for (int k = 0; k < many; ++k) {
      const F x = a.next(), y = b.next();
      r[k] = one<F>(x, y);
    }
#pragma GCC unroll 4
    for (int k = 0; k < many; ++k) store_at<dtype>(out, i + k * V::size, r[k]);
  }
  static void run(void* out, const void* const* in, int64_t n) {
    Reader<V> a(in, n, 0), b(in, n, 1);
    n = elements_of(n);
    constexpr int many = at_once(R::row.light), step = many * V::size;
    int64_t i = 0;
    for (; i + step <= n; i += step) some<many>(out, a, b, i);
    for (; i < n; i += V::size) some<1>(out, a, b, i);
  }
};

// Halves of what is more than an instruction or two: through the kernel of float32, in pieces.
template <template <class, int> class K, class R, simd::Half h, int operands>
void through_floats(void* out, const void* const* in, int64_t n) {
  constexpr int64_t piece = 256;
  alignas(64) float floats[operands + 1][piece];
  const int64_t count = elements_of(n);
  for (int64_t start = 0; start < count; start += piece) {
    const int64_t m = count - start < piece ? count - start : piece;
    const void* from[operands];
    for (int k = 0; k < operands; ++k) {
      const bool one = n & repeats(k);
      simd::load_half<h>(static_cast<const uint16_t*>(in[k]) + (one ? 0 : start), floats[k],
                         one ? int64_t(simd::Vec<float>::size) : m);
      from[k] = floats[k];
    }
    const int64_t flags = n - count;
    if constexpr (R::row.result == Result::boolean) {
      K<R, int(Dtype::float32)>::run(static_cast<uint8_t*>(out) + start, from, m | flags);
    } else {
      K<R, int(Dtype::float32)>::run(floats[operands], from, m | flags);
      simd::store_half<h>(floats[operands], static_cast<uint16_t*>(out) + start, m);
    }
  }
}

template <int n> struct KernelTable {
  Kernel kernel[n][dtype_count];
};

template <template <class, int> class K, int operands, class R, int... d>
constexpr void fill_kernels(Kernel* row, std::integer_sequence<int, d...>) {
  auto one = [&]<int dtype>() {
    if constexpr (!R::row.types.has(Dtype(dtype))) row[dtype] = nullptr;
    else if constexpr (is_half(Dtype(dtype)) && !R::row.light)
      row[dtype] = through_floats<K, R, half_of<dtype>, operands>;
    else row[dtype] = K<R, dtype>::run;
  };
  (one.template operator()<d>(), ...);
}

template <template <class, int> class K, int operands, class... R>
constexpr void fill_rows(Kernel (*to)[dtype_count], rows<R...>) {
  (fill_kernels<K, operands, R>(*to++, std::make_integer_sequence<int, dtype_count>{}), ...);
}
// By the number of the row and dtype.
template <class One, class Two>
constexpr auto kernel_table(RowLists<One, Two>) {
  KernelTable<One::count + Two::count> table{};
  fill_rows<UnaryKernel, 1>(table.kernel, One{});
  fill_rows<BinaryKernel, 2>(table.kernel + One::count, Two{});
  return table;
}

}  // namespace
}  // namespace lazulite
