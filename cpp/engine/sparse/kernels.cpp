// Sparse products per instruction-set level. Columns of the dense matrix are lanes, so that a
// result has the same bits at each of them.
#include "engine/sparse/kernels.h"

#include <cstring>
#include <type_traits>

#include "device/cpu/level.h"
#include "engine/gemm/pack.h"

namespace lazulite::engine {
namespace {

template <class T>
LAZULITE_INLINE void store_all(Plain<T>, Vec<T> v, T* p) { v.store(p); }
template <Half h>
LAZULITE_INLINE void store_all(Halves<h>, Vec<float> v, uint16_t* p) {
  simd::store_half<h>(v, p);
}
template <class E>
LAZULITE_INLINE void store_first(Vec<typename E::Sum> v, typename E::Memory* p, int64_t n) {
  constexpr int L = Vec<typename E::Sum>::size;
  if (n >= L) return store_all(E{}, v, p);
  typename E::Memory part[L];
  store_all(E{}, v, part);
  std::memcpy(p, part, size_t(n) * sizeof(part[0]));
}
// The first n elements, zeros behind them; `whole`: memory behind them may be read instead.
template <class E>
LAZULITE_INLINE auto load_first(const typename E::Memory* p, int64_t n, bool whole) {
  if (whole) return E::load(p);
  if constexpr (sizeof(*p) == 1) {
    typename E::Memory part[Vec<typename E::Sum>::size] = {};
    std::memcpy(part, p, size_t(n));
    return E::load(part);
  } else {
    return load_part<E>(p, n);
  }
}

// Indices of either width: which one is known to the branch predictor after the first of them.
struct Numbers {
  const void* data;
  bool wide;
  LAZULITE_INLINE int64_t operator[](int64_t i) const {
    return wide ? static_cast<const int64_t*>(data)[i] : static_cast<const int32_t*>(data)[i];
  }
};

// ---- rows of blocks times a dense matrix

// Of `rows` rows of a row of blocks, `vectors` registers of columns from column c on.
template <class E, int rows, int vectors, bool tail>
LAZULITE_INLINE void sums(const SparseRows& p, int64_t i, int64_t r, int64_t c) {
  using M = typename E::Memory;
  using V = Vec<typename E::Sum>;
  constexpr int L = V::size;
  const Numbers indices{p.indices, p.wide_indices}, indptr{p.indptr, p.wide_indices};
  const M* b = static_cast<const M*>(p.b) + c;
  const int64_t left = p.columns - c, block = p.high * p.wide;
  V sum[rows][vectors];
#pragma GCC unroll 8
  for (int g = 0; g < rows; ++g)
#pragma GCC unroll 16
    for (int j = 0; j < vectors; ++j) sum[g][j] = V(0);
  for (int64_t at = indptr[i], end = indptr[i + 1]; at < end; ++at) {
    const M* data = static_cast<const M*>(p.data) + at * block + r * p.wide;
    const int64_t row = indices[at] * p.wide;
    for (int64_t k = 0; k < p.wide; ++k) {
      const int64_t place = (row + k) * p.step;
      V x[vectors];
#pragma GCC unroll 16
      for (int j = 0; j < vectors; ++j)
        x[j] = tail ? load_first<E>(b + place, left, place + c + L <= p.end)
                    : E::load(b + place + j * L);
#pragma GCC unroll 8
      for (int g = 0; g < rows; ++g) {
        const V by{E::one(data[g * p.wide + k])};
#pragma GCC unroll 16
        for (int j = 0; j < vectors; ++j) sum[g][j] = sum[g][j] + x[j] * by;
      }
    }
  }
  M* out = static_cast<M*>(p.out) + (i * p.high + r) * p.columns + c;
#pragma GCC unroll 8
  for (int g = 0; g < rows; ++g)
#pragma GCC unroll 16
    for (int j = 0; j < vectors; ++j)
      store_first<E>(sum[g][j], out + g * p.columns + j * L, tail ? left : L);
}

template <class E, int rows>
LAZULITE_INLINE void row_of_sums(const SparseRows& p, int64_t i, int64_t r) {
  constexpr int L = Vec<typename E::Sum>::size;
  // As many registers as sums, operands and one factor take.
  constexpr int most = simd::register_bytes == 64 ? 16 : 8, each = rows == 1 ? most / 2 : 2;
  int64_t c = 0;
  for (; c + each * L <= p.columns; c += each * L) sums<E, rows, each, false>(p, i, r, c);
  if constexpr (each > 2)
    for (; c + 2 * L <= p.columns; c += 2 * L) sums<E, rows, 2, false>(p, i, r, c);
  for (; c + L <= p.columns; c += L) sums<E, rows, 1, false>(p, i, r, c);
  if (c < p.columns) sums<E, rows, 1, true>(p, i, r, c);
}

// One column of numbers: four sums, of every fourth product. `unit`: b is dense.
template <class E, class I, bool unit>
void one_column(const SparseRows& p) {
  using M = typename E::Memory;
  using T = typename E::Sum;
  const I *indices = static_cast<const I*>(p.indices), *indptr = static_cast<const I*>(p.indptr);
  const M *data = static_cast<const M*>(p.data), *b = static_cast<const M*>(p.b);
  M* out = static_cast<M*>(p.out);
  const int64_t step = unit ? 1 : p.step;
  for (int64_t i = p.first; i < p.until; ++i) {
    int64_t at = indptr[i];
    const int64_t end = indptr[i + 1];
    auto y = [&](int64_t q) { return E::one(b[int64_t(indices[q]) * step]); };
    auto product = [&](int64_t q) {
      if constexpr (std::is_integral_v<T>)
        return T(uint64_t(E::one(data[q])) * uint64_t(y(q)));  // wraps
      else return E::one(data[q]) * y(q);
    };
    T sum[4] = {};
    if constexpr (std::is_floating_point_v<T> && std::is_same_v<M, T>) {
      // A register of four: left to itself the compiler puts it together in memory.
      typedef T Four __attribute__((vector_size(4 * sizeof(T))));
      Four all = {};
      for (; at + 4 <= end; at += 4) {
        Four x;
        std::memcpy(&x, data + at, sizeof x);
        all = all + x * Four{y(at), y(at + 1), y(at + 2), y(at + 3)};
      }
      std::memcpy(sum, &all, sizeof all);
    } else {
      for (; at + 4 <= end; at += 4)
#pragma GCC unroll 4
        for (int j = 0; j < 4; ++j) sum[j] = T(sum[j] + product(at + j));
    }
    for (int j = 0; at < end; ++at, ++j) sum[j] = T(sum[j] + product(at));
    const T all = T(T(sum[0] + sum[1]) + T(sum[2] + sum[3]));
    if constexpr (std::is_same_v<M, T>) out[i] = all;
    else store_first<E>(Vec<T>(all), out + i, 1);
  }
}
template <class E>
void one_column(const SparseRows& p) {
  if (p.step == 1)
    p.wide_indices ? one_column<E, int64_t, true>(p) : one_column<E, int32_t, true>(p);
  else p.wide_indices ? one_column<E, int64_t, false>(p) : one_column<E, int32_t, false>(p);
}

template <class E>
void rows(const SparseRows& p) {
  if (p.high * p.wide == 1 && p.columns == 1) return one_column<E>(p);
  // Integers, which are rare, go row by row: a third of the code.
  constexpr bool together = std::is_floating_point_v<typename E::Sum>;
  for (int64_t i = p.first; i < p.until; ++i) {
    int64_t r = 0;
    if constexpr (together && simd::register_bytes == 64)
      for (; r + 8 <= p.high; r += 8) row_of_sums<E, 8>(p, i, r);
    if constexpr (together)
      for (; r + 4 <= p.high; r += 4) row_of_sums<E, 4>(p, i, r);
    for (; r < p.high; ++r) row_of_sums<E, 1>(p, i, r);
  }
}

// ---- products of rows where there are blocks

// The sums of products of one row of a and `count` rows of b: 64 bytes of them at every level.
template <class E, int count>
LAZULITE_INLINE void products(const typename E::Memory* a, const typename E::Memory* const* b,
                              int64_t steps, typename E::Memory* const* out) {
  using T = typename E::Sum;
  using V = Vec<T>;
  constexpr int L = V::size, all = int(sums_of(dtype_of<T>)), parts = all < L ? 1 : all / L;
  V sum[count][parts];
#pragma GCC unroll 4
  for (int q = 0; q < count; ++q)
#pragma GCC unroll 4
    for (int j = 0; j < parts; ++j) sum[q][j] = V(0);
  int64_t k = 0;
  for (; k + parts * L <= steps; k += parts * L) {
#pragma GCC unroll 4
    for (int j = 0; j < parts; ++j) {
      const V x = E::load(a + k + j * L);
#pragma GCC unroll 4
      for (int q = 0; q < count; ++q) sum[q][j] = sum[q][j] + x * E::load(b[q] + k + j * L);
    }
  }
  for (int j = 0; k < steps; k += L, ++j) {
    const int64_t left = steps - k;
    const V x = load_first<E>(a + k, left, left >= L);
    for (int q = 0; q < count; ++q)
      sum[q][j] = sum[q][j] + x * load_first<E>(b[q] + k, left, left >= L);
  }
#pragma GCC unroll 4
  for (int q = 0; q < count; ++q) {
    T x[parts * L];
#pragma GCC unroll 4
    for (int j = 0; j < parts; ++j) sum[q][j].store(x + j * L);
#pragma GCC unroll 8
    for (int n = parts * L / 2; n > 0; n /= 2)
      for (int i = 0; i < n; ++i) x[i] = T(x[i] + x[i + n]);
    store_first<E>(V(x[0]), out[q], 1);
  }
}

template <class E>
void sampled(const SampledRows& p) {
  using M = typename E::Memory;
  const Numbers indices{p.indices, p.wide_indices}, indptr{p.indptr, p.wide_indices};
  const M *a = static_cast<const M*>(p.a), *b = static_cast<const M*>(p.b);
  M* out = static_cast<M*>(p.out);
  const int64_t block = p.high * p.wide;
  for (int64_t i = p.first; i < p.until; ++i)
    for (int64_t r = 0; r < p.high; ++r) {
      const M* row = a + (i * p.high + r) * p.steps;
      const M* of[4];
      M* to[4];
      int n = 0;
      for (int64_t at = indptr[i], end = indptr[i + 1]; at < end; ++at)
        for (int64_t c = 0; c < p.wide; ++c) {
          of[n] = b + (indices[at] * p.wide + c) * p.steps;
          to[n] = out + at * block + r * p.wide + c;
          if (++n < 4) continue;
          products<E, 4>(row, of, p.steps, to);
          n = 0;
        }
      for (int q = 0; q < n; ++q) products<E, 1>(row, of + q, p.steps, to + q);
    }
}
template <class E>
constexpr SparseKernels kernels() { return {rows<E>, sampled<E>}; }
constexpr SparseTable make_table() {
  SparseTable table{};
  // Sums and products of integers wrap: those with a sign have the same bits.
  table.of[int(Dtype::int8)] = table.of[int(Dtype::uint8)] = kernels<Plain<uint8_t>>();
  table.of[int(Dtype::int16)] = table.of[int(Dtype::uint16)] = kernels<Plain<uint16_t>>();
  table.of[int(Dtype::int32)] = table.of[int(Dtype::uint32)] = kernels<Plain<uint32_t>>();
  table.of[int(Dtype::int64)] = table.of[int(Dtype::uint64)] = kernels<Plain<uint64_t>>();
  table.of[int(Dtype::float16)] = kernels<Halves<Half::f16>>();
  table.of[int(Dtype::bfloat16)] = kernels<Halves<Half::bf16>>();
  table.of[int(Dtype::float32)] = kernels<Plain<float>>();
  table.of[int(Dtype::float64)] = kernels<Plain<double>>();
  return table;
}
constexpr SparseTable table = make_table();

}  // namespace

const SparseTable& LAZULITE_AT_LEVEL(sparse_kernels)();
const SparseTable& LAZULITE_AT_LEVEL(sparse_kernels)() { return table; }

}  // namespace lazulite::engine
