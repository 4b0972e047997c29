// Products per instruction-set level: plain loops over rows, which the compiler vectorises.
#include "engine/gemm/kernels.h"

#include <cstring>
#include <type_traits>

#include "device/cpu/level.h"
#include "device/limits.h"
#include "simd/complex.h"

namespace lazulite::engine {
namespace {

using simd::Cx;
using simd::Pair;
using simd::Vec;

template <class T>
LAZULITE_INLINE T madd(T c, T a, T b) {
  if constexpr (std::is_same_v<T, bool>) return c | (a & b);
  else return T(c + a * b);
}

// c[j] += a[0] b[0][j] + ... + a[steps - 1] b[steps - 1][j], one after the other.
template <int steps, class T>
LAZULITE_INLINE void add_rows(T* __restrict c, const T* a, const T* const* rows, int64_t n) {
  const T* __restrict b[steps];
  for (int s = 0; s < steps; ++s) b[s] = rows[s];
  for (int64_t j = 0; j < n; ++j) {
    T sum = c[j];
    for (int s = 0; s < steps; ++s) sum = madd(sum, a[s], b[s][j]);
    c[j] = sum;
  }
}

// Complex numbers in registers of their own: plain loops over them get contracted (g++ 12).
template <int steps, class T>
LAZULITE_INLINE void add_rows(Pair<T>* c, const Pair<T>* a, const Pair<T>* const* b, int64_t n) {
  using V = Cx<Vec<T>>;
  auto add = [&](V sum, const Pair<T>* const* from) {
    for (int s = 0; s < steps; ++s) {
      const V x(a[s]), y = V::load(from[s]);
      sum = sum + x * y;
    }
    return sum;
  };
  int64_t j = 0;
  for (; j + V::size <= n; j += V::size) {
    const Pair<T>* from[steps];
    for (int s = 0; s < steps; ++s) from[s] = b[s] + j;
    add(V::load(c + j), from).store(c + j);
  }
  if (j == n) return;
  Pair<T> ends[steps + 1][V::size] = {};
  const Pair<T>* from[steps];
  for (int s = 0; s < steps; ++s) {
    std::memcpy(ends[s], b[s] + j, size_t(n - j) * sizeof(Pair<T>));
    from[s] = ends[s];
  }
  std::memcpy(ends[steps], c + j, size_t(n - j) * sizeof(Pair<T>));
  add(V::load(ends[steps]), from).store(ends[steps]);
  std::memcpy(c + j, ends[steps], size_t(n - j) * sizeof(Pair<T>));
}

template <class T>
void tile(const TileCall& p) {
  const T *a = static_cast<const T*>(p.a), *b = static_cast<const T*>(p.b);
  T* out = static_cast<T*>(p.out);
  for (int64_t i = 0; i < p.rows; ++i)
    for (int64_t j = 0; j < p.cols; ++j) out[i * p.out_row + j] = T();
  for (int64_t k0 = 0; k0 < p.inner; k0 += inner_block) {
    const int64_t k1 = p.inner < k0 + inner_block ? p.inner : k0 + inner_block;
    for (int64_t i = 0; i < p.rows; ++i) {
      T* c = out + i * p.out_row;
      auto add = [&]<int steps>(int64_t k) {
        T x[steps];
        const T* y[steps];
        for (int s = 0; s < steps; ++s) {
          x[s] = a[i * p.a_row + (k + s) * p.a_col];
          y[s] = b + (k + s) * p.b_row;
        }
        add_rows<steps>(c, x, y, p.cols);
      };
      int64_t k = k0;
      for (; k + 4 <= k1; k += 4) add.template operator()<4>(k);
      for (; k < k1; ++k) add.template operator()<1>(k);
    }
  }
}

constexpr GemmKernels make_table() {
  GemmKernels table{};
  auto set = [&]<class T>(Dtype d) { table.tile[int(d)] = tile<T>; };
#define LAZULITE_TILE(dtype, ...) set.template operator()<__VA_ARGS__>(Dtype::dtype);
  LAZULITE_TILE(bool_, bool) LAZULITE_TILE(uint8, uint8_t) LAZULITE_TILE(uint16, uint16_t)
  LAZULITE_TILE(uint32, uint32_t) LAZULITE_TILE(uint64, uint64_t) LAZULITE_TILE(int8, int8_t)
  LAZULITE_TILE(int16, int16_t) LAZULITE_TILE(int32, int32_t) LAZULITE_TILE(int64, int64_t)
  LAZULITE_TILE(float32, float) LAZULITE_TILE(float64, double)
  LAZULITE_TILE(complex64, Pair<float>) LAZULITE_TILE(complex128, Pair<double>)
#undef LAZULITE_TILE
  return table;
}

constexpr GemmKernels table = make_table();

}  // namespace

const GemmKernels& LAZULITE_AT_LEVEL(gemm_kernels)();
const GemmKernels& LAZULITE_AT_LEVEL(gemm_kernels)() { return table; }

}  // namespace lazulite::engine
