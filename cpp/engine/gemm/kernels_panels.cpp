// Products of packed panels, and of a few rows, per instruction-set level.
#include <cstring>
#include <type_traits>

#include "device/cpu/level.h"
#include "engine/gemm/pack.h"
#include "engine/gemm/sum_block.h"

namespace lazulite::engine {
namespace {

// ---- blocks of sums in registers

template <class T, int parts, bool along, int rows, int vectors>
void block_of(const BlockCall& p) {
  using V = Vec<T>;
  constexpr int L = V::size;
  V sum[rows][vectors];
  sum_steps<T, parts, along>(
      p, sum, [](V s, V x, V y) __attribute__((always_inline)) { return fma(x, y, s); });
  T* out = static_cast<T*>(p.out);
  const int64_t cols = parts * p.cols, row = parts * p.out_row;
  if (cols == vectors * L) {
#pragma GCC unroll 16
    for (int i = 0; i < rows; ++i)
#pragma GCC unroll 4
      for (int j = 0; j < vectors; ++j) {
        T* at = out + i * row + j * L;
        (p.add ? V::load(at) + sum[i][j] : sum[i][j]).store(at);
      }
    return;
  }
  const int64_t last = cols - (vectors - 1) * L;
#pragma GCC unroll 16
  for (int i = 0; i < rows; ++i)
#pragma GCC unroll 4
    for (int j = 0; j < vectors; ++j) {
      T *at = out + i * row + j * L, part[L];
      if (j + 1 < vectors) {
        (p.add ? V::load(at) + sum[i][j] : sum[i][j]).store(at);
        continue;
      }
      (p.add ? load_part<Plain<T>>(at, last) + sum[i][j] : sum[i][j]).store(part);
      store_part<L>(part, at, last);
    }
}

template <class T, int parts, bool along>
struct BlockOf {
  template <int rows, int vectors>
  struct Kernel {
    static void run(const BlockCall& p) { block_of<T, parts, along, rows, vectors>(p); }
  };
};

// ---- complex numbers

template <class T>
void add_all_complex(void* to, const void* sums, int64_t count, int64_t stride, int64_t n) {
  add_all<T>(to, sums, count, 2 * stride, 2 * n);
}

// Numbers of 16 bytes, one by one.
void pack_wide(const PackCall& p) {
  struct Wide {
    double part[2];
  };
  const Wide* from = static_cast<const Wide*>(p.from);
  Wide* to = static_cast<Wide*>(p.to);
  for (int64_t k = 0; k < p.steps; ++k, from += p.step, to += p.width) {
    if (p.line == 1) std::memcpy(to, from, size_t(p.lines) * sizeof(Wide));
    else
      for (int64_t i = 0; i < p.lines; ++i) to[i] = from[i * p.line];
    for (int64_t i = p.lines; i < p.width; ++i) to[i] = Wide{};
  }
}

// ---- a few rows

// Each sum in two registers, of even and odd groups of steps.
template <class E, int rows, int lines>
LAZULITE_INLINE void dots_of(const FewCall& p, int64_t line) {
  using M = typename E::Memory;
  using T = typename E::Sum;
  using V = Vec<T>;
  constexpr int L = V::size;
  const T* x = static_cast<const T*>(p.x);
  const M* y = static_cast<const M*>(p.lines) + line * p.line;
  V sum[2][rows][lines];
  for (int h = 0; h < 2; ++h)
    for (int r = 0; r < rows; ++r)
      for (int i = 0; i < lines; ++i) sum[h][r][i] = V(T(0));
  auto add = [&](int h, int64_t k, auto&& load_x, auto&& load_y) __attribute__((always_inline)) {
    V of_x[rows];
#pragma GCC unroll 4
    for (int r = 0; r < rows; ++r) of_x[r] = load_x(x + r * p.x_row + k);
#pragma GCC unroll 4
    for (int i = 0; i < lines; ++i) {
      const V of_y = load_y(y + i * p.line + k);
#pragma GCC unroll 4
      for (int r = 0; r < rows; ++r) sum[h][r][i] = fma(of_x[r], of_y, sum[h][r][i]);
    }
  };
  auto whole_x = [](const T* at) __attribute__((always_inline)) { return V::load(at); };
  auto whole_y = [](const M* at) __attribute__((always_inline)) { return E::load(at); };
  int64_t k = 0;
  for (; k + 2 * L <= p.steps; k += 2 * L) {
    add(0, k, whole_x, whole_y);
    add(1, k + L, whole_x, whole_y);
  }
  if (k + L <= p.steps) {
    add(0, k, whole_x, whole_y);
    k += L;
  }
  if (const int64_t left = p.steps - k; left > 0)
    add(1, k, [&](const T* at) { return load_part<Plain<T>>(at, left); },
        [&](const M* at) { return load_part<E>(at, left); });
  T* out = static_cast<T*>(p.out);
  for (int r = 0; r < rows; ++r)
    for (int i = 0; i < lines; ++i)
      out[r * p.out_row + line + i] = total(sum[0][r][i] + sum[1][r][i]);
}
template <class E, int rows>
void dots_for(const FewCall& p) {
  constexpr int lines = rows > 2 ? 2 : 4;
  int64_t i = 0;
  for (; i + lines <= p.count; i += lines) dots_of<E, rows, lines>(p, i);
  for (; i < p.count; ++i) dots_of<E, rows, 1>(p, i);
}

// Some steps at a time over all lines; each sum takes its steps in order.
template <class E, int rows, int steps>
LAZULITE_INLINE void sweep_of(const FewCall& p, int64_t k) {
  using M = typename E::Memory;
  using T = typename E::Sum;
  using V = Vec<T>;
  constexpr int L = V::size;
  V x[rows][steps];
  for (int r = 0; r < rows; ++r)
    for (int s = 0; s < steps; ++s) x[r][s] = V(static_cast<const T*>(p.x)[r * p.x_row + k + s]);
  const M* y = static_cast<const M*>(p.lines) + k * p.step;
  T* out = static_cast<T*>(p.out);
  auto add = [&](auto&& load_out, auto&& load_y, auto&& store_out) __attribute__((always_inline)) {
    V of_y[steps];
#pragma GCC unroll 8
    for (int s = 0; s < steps; ++s) of_y[s] = load_y(s);
#pragma GCC unroll 4
    for (int r = 0; r < rows; ++r) {
      V sum = load_out(r);
#pragma GCC unroll 8
      for (int s = 0; s < steps; ++s) sum = fma(x[r][s], of_y[s], sum);
      store_out(r, sum);
    }
  };
  int64_t i = 0;
  for (; i + L <= p.count; i += L)
    add([&](int r) __attribute__((always_inline)) { return V::load(out + r * p.out_row + i); },
        [&](int s) __attribute__((always_inline)) { return E::load(y + s * p.step + i); },
        [&](int r, V v) __attribute__((always_inline)) { v.store(out + r * p.out_row + i); });
  if (const int64_t left = p.count - i; left > 0)
    add([&](int r) { return load_part<Plain<T>>(out + r * p.out_row + i, left); },
        [&](int s) { return load_part<E>(y + s * p.step + i, left); },
        [&](int r, V v) {
          T part[L];
          v.store(part);
          store_part<L>(part, out + r * p.out_row + i, left);
        });
}
// All steps at a time over lines that fit `vectors` registers, if there are so many; the last one
// reads lines again that others have read, so that none is read beyond the last line.
template <class E, int rows, int vectors>
void narrow_sweep_of(const FewCall& p) {
  using M = typename E::Memory;
  using T = typename E::Sum;
  using V = Vec<T>;
  constexpr int L = V::size;
  const M* y = static_cast<const M*>(p.lines);
  const T* x = static_cast<const T*>(p.x);
  T* out = static_cast<T*>(p.out);
  const int64_t last = p.count - L;
  V sum[rows][vectors];
  for (int r = 0; r < rows; ++r)
    for (int v = 0; v < vectors; ++v)
      sum[r][v] = V::load(out + r * p.out_row + (v + 1 < vectors ? v * L : last));
  for (int64_t k = 0; k < p.steps; ++k, y += p.step) {
    V of_y[vectors];
#pragma GCC unroll 4
    for (int v = 0; v < vectors; ++v) of_y[v] = E::load(y + (v + 1 < vectors ? v * L : last));
#pragma GCC unroll 4
    for (int r = 0; r < rows; ++r) {
      const V of_x(x[r * p.x_row + k]);
#pragma GCC unroll 4
      for (int v = 0; v < vectors; ++v) sum[r][v] = fma(of_x, of_y[v], sum[r][v]);
    }
  }
  for (int r = 0; r < rows; ++r)
    for (int v = 0; v < vectors; ++v)
      sum[r][v].store(out + r * p.out_row + (v + 1 < vectors ? v * L : last));
}
template <class E, int rows>
void sweep_for(const FewCall& p) {
  constexpr int L = Vec<typename E::Sum>::size;
  if (p.count >= L && p.count <= 4 * L) switch ((p.count + L - 1) / L) {
      case 1: return narrow_sweep_of<E, rows, 1>(p);
      case 2: return narrow_sweep_of<E, rows, 2>(p);
      case 3: return narrow_sweep_of<E, rows, 3>(p);
      default: return narrow_sweep_of<E, rows, 4>(p);
    }
  constexpr int steps = rows == 1 ? 8 : 4;
  int64_t k = 0;
  for (; k + steps <= p.steps; k += steps) sweep_of<E, rows, steps>(p, k);
  for (; k < p.steps; ++k) sweep_of<E, rows, 1>(p, k);
}

template <class E>
void dots(const FewCall& p) {
  switch (p.rows) {
    case 1: return dots_for<E, 1>(p);
    case 2: return dots_for<E, 2>(p);
    case 3: return dots_for<E, 3>(p);
    default: return dots_for<E, 4>(p);
  }
}
template <class E>
void sweep(const FewCall& p) {
  switch (p.rows) {
    case 1: return sweep_for<E, 1>(p);
    case 2: return sweep_for<E, 2>(p);
    case 3: return sweep_for<E, 3>(p);
    default: return sweep_for<E, 4>(p);
  }
}

template <Half h>
void round(void* to, const void* sums, int64_t n) {
  simd::store_half<h>(static_cast<const float*>(sums), static_cast<uint16_t*>(to), n);
}

#if defined(LAZULITE_SIMD_AVX512)
constexpr int block_rows = 14;
#elif defined(LAZULITE_SIMD_AVX2)
constexpr int block_rows = 6;
#else
constexpr int block_rows = 0;  // no fused multiply-adds: BLAS, or plain loops
#endif

template <class E>
constexpr PanelKernels kernels() {
  using T = typename E::Sum;
  PanelKernels k;
  if constexpr (block_rows > 0) {
    k = {.rows = block_rows,
         .cols = 2 * Vec<T>::size,
         .lanes = Vec<T>::size,
         .pack = pack<E>,
         .block = Blocks<BlockOf<T, 1, false>::template Kernel, Vec<T>::size, block_rows, 2>::run,
         .widen = pack<E>,
         .dots = dots<E>,
         .sweep = sweep<E>,
         .total = add_all<T>};
    if constexpr (std::is_same_v<E, Plain<T>>)
      k.block_along =
          Blocks<BlockOf<T, 1, true>::template Kernel, Vec<T>::size, block_rows, 2>::run;
    if constexpr (std::is_same_v<E, Halves<Half::f16>>) k.round = round<Half::f16>;
    if constexpr (std::is_same_v<E, Halves<Half::bf16>>) k.round = round<Half::bf16>;
  }
  return k;
}
// Of complex numbers with parts of T. A few rows are for others.
template <class T>
constexpr PanelKernels complex_kernels() {
  constexpr int lanes = Vec<T>::size / 2;
  PanelKernels k;
  if constexpr (block_rows > 0)
    k = {.rows = block_rows,
         .cols = 2 * lanes,
         .lanes = lanes,
         .pack = sizeof(T) == 4 ? pack<Plain<double>> : pack_wide,
         .block = Blocks<BlockOf<T, 2, false>::template Kernel, lanes, block_rows, 2>::run,
         .total = add_all_complex<T>};
  return k;
}

constexpr PanelTable make_table() {
  PanelTable table;
  table.of[int(Dtype::float32)] = kernels<Plain<float>>();
  table.of[int(Dtype::float64)] = kernels<Plain<double>>();
  table.of[int(Dtype::float16)] = kernels<Halves<Half::f16>>();
  table.of[int(Dtype::bfloat16)] = kernels<Halves<Half::bf16>>();
  table.of[int(Dtype::complex64)] = complex_kernels<float>();
  table.of[int(Dtype::complex128)] = complex_kernels<double>();
  return table;
}
constexpr PanelTable table = make_table();

}  // namespace

const PanelTable& LAZULITE_AT_LEVEL(panel_kernels)();
const PanelTable& LAZULITE_AT_LEVEL(panel_kernels)() { return table; }

}  // namespace lazulite::engine
