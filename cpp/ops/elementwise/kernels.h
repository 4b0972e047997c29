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
#undef LAZULITE_VECTOR

template <class V> inline V load_at(const void* p, int64_t i) {
  return V::load(static_cast<const typename V::scalar*>(p) + i);
}

// Masks are stored as bytes of 0 and 1; a bool result computed on bytes is made one of these.
template <bool boolean, class R> inline void store_at(void* p, int64_t i, R r) {
  if constexpr (simd::is_mask<R>::value) simd::store_bool(r, static_cast<uint8_t*>(p) + i);
  else if constexpr (boolean) simd::store_bool(r != R(0), static_cast<uint8_t*>(p) + i);
  else r.store(static_cast<typename R::scalar*>(p) + i);
}

// How far an operand moves from vector to vector: not at all where it is one that repeats.
template <class V> inline int64_t step_of(int64_t n, int operand) {
  return n & repeats(operand) ? 0 : V::size;
}

template <class R, int dtype> struct UnaryKernel {
  static void run(void* out, const void* const* in, int64_t n) {
    using V = typename VectorOf<dtype>::t;
    for (int64_t i = 0; i < n; i += V::size)
      store_at<dtype == 0>(out, i, R::template f<V>(load_at<V>(in[0], i)));
  }
};

template <class R, int dtype> struct BinaryKernel {
  static void run(void* out, const void* const* in, int64_t n) {
    using V = typename VectorOf<dtype>::t;
    const int64_t step_a = step_of<V>(n, 0), step_b = step_of<V>(n, 1);
    n = elements_of(n);
    for (int64_t i = 0, a = 0, b = 0; i < n; i += V::size, a += step_a, b += step_b)
      store_at<dtype == 0>(out, i, R::template f<V>(load_at<V>(in[0], a), load_at<V>(in[1], b)));
  }
};

template <int n> struct KernelTable {
  Kernel kernel[n][dtype_count];
};

template <template <class, int> class K, class R, int... d>
constexpr void fill_kernels(Kernel* row, std::integer_sequence<int, d...>) {
  auto one = [&]<int dtype>() {
    // Halves run as float32.
    if constexpr (R::row.types.has(Dtype(dtype)) && !is_half(Dtype(dtype)))
      row[dtype] = K<R, dtype>::run;
    else row[dtype] = nullptr;
  };
  (one.template operator()<d>(), ...);
}

template <template <class, int> class K, class... R>
constexpr KernelTable<int(sizeof...(R))> kernel_table(rows<R...>) {
  KernelTable<int(sizeof...(R))> table{};
  int i = 0;
  (fill_kernels<K, R>(table.kernel[i++], std::make_integer_sequence<int, dtype_count>{}), ...);
  return table;
}

}  // namespace
}  // namespace lazulite
