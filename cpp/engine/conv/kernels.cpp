// Blocks of convolutions per instruction-set level.
#include "engine/conv/kernels.h"

#include <type_traits>

#include "device/cpu/level.h"
#include "engine/gemm/pack.h"
#include "engine/gemm/sum_block.h"

namespace lazulite::engine {
namespace {

template <class T>
LAZULITE_INLINE Vec<T> madd(Vec<T> x, Vec<T> y, Vec<T> sum) {
#if defined(LAZULITE_SIMD_AVX512) || defined(LAZULITE_SIMD_AVX2)
  return fma(x, y, sum);
#else
  return sum + x * y;
#endif
}

template <class T, int rows, int vectors, bool across>
void block_of(const ConvBlock& p) {
  using V = Vec<T>;
  constexpr int L = V::size;
  V sum[rows][vectors];
#pragma GCC unroll 16
  for (int i = 0; i < rows; ++i)
#pragma GCC unroll 4
    for (int j = 0; j < vectors; ++j) sum[i][j] = V(T(0));
  auto take = [&](const T* w, auto&& of_row) __attribute__((always_inline)) {
    if constexpr (sizeof(V) == 64)  // from the second-level cache, as in products
#pragma GCC unroll 4
      for (int j = 0; j < vectors; ++j) __builtin_prefetch(w + 16 * p.w_step + j * L);
    V y[vectors];
#pragma GCC unroll 4
    for (int j = 0; j < vectors; ++j) y[j] = V::load(w + j * L);
#pragma GCC unroll 16
    for (int i = 0; i < rows; ++i) {
      const V of_x(of_row(i));
#pragma GCC unroll 4
      for (int j = 0; j < vectors; ++j) sum[i][j] = madd(of_x, y[j], sum[i][j]);
    }
  };
  for (int64_t r = 0; r < p.count; ++r) {
    const T *x = static_cast<const T*>(p.x) + p.runs[r].x,
            *w = static_cast<const T*>(p.w) + p.runs[r].w;
    int64_t k = 0;
    if constexpr (across) {
      for (; k < p.steps; ++k, x += p.x_stride, w += p.w_step)
        take(w, [&](int i) __attribute__((always_inline)) { return x[i]; });
    } else {
      Apart<T> lines(x, p.x_stride);
      // Two at a time: what goes on around the sums would take longer than they do.
      for (; k + 2 <= p.steps; k += 2, lines.next(2), w += 2 * p.w_step) {
        take(w, [&](int i) __attribute__((always_inline)) { return lines.at(i); });
        take(w + p.w_step, [&](int i) __attribute__((always_inline)) { return lines.at(i, 1); });
      }
      if (k < p.steps) take(w, [&](int i) __attribute__((always_inline)) { return lines.at(i); });
    }
  }
  T* out = static_cast<T*>(p.out);
  const int64_t last = p.cols - (vectors - 1) * L;
#pragma GCC unroll 16
  for (int i = 0; i < rows; ++i)
#pragma GCC unroll 4
    for (int j = 0; j < vectors; ++j) {
      T *at = out + i * p.out_row + j * L, part[L];
      if (j + 1 < vectors || last == L) {
        (p.add ? V::load(at) + sum[i][j] : sum[i][j]).store(at);
        continue;
      }
      (p.add ? load_part<Plain<T>>(at, last) + sum[i][j] : sum[i][j]).store(part);
      store_part<L>(part, at, last);
    }
}

template <class T, bool across>
struct BlockOf {
  template <int rows, int vectors>
  struct Kernel {
    static void run(const ConvBlock& p) { block_of<T, rows, vectors, across>(p); }
  };
};

// The last register of channels is read whole, and stored in part.
template <class T, int rows>
void channels_of(const ChannelBlock& p) {
  using V = Vec<T>;
  constexpr int L = V::size;
  for (int64_t c = 0; c < p.channels; c += L) {
    V sum[rows];
    for (int i = 0; i < rows; ++i) sum[i] = V(T(0));
    const T *x = static_cast<const T*>(p.x) + c, *w = static_cast<const T*>(p.w) + c;
    for (int64_t r = 0; r < p.count; ++r) {
      const V y = V::load(w + p.runs[r].w);
      const T* at = x + p.runs[r].x;
#pragma GCC unroll 8
      for (int i = 0; i < rows; ++i) sum[i] = madd(V::load(at + i * p.x_row), y, sum[i]);
    }
    T* out = static_cast<T*>(p.out) + c;
    for (int i = 0; i < rows; ++i) {
      if (c + L <= p.channels) {
        sum[i].store(out + i * p.out_row);
        continue;
      }
      T part[L];
      sum[i].store(part);
      store_part<L>(part, out + i * p.out_row, p.channels - c);
    }
  }
}
template <class T>
void channels(const ChannelBlock& given) {
  ChannelBlock p = given;
  for (; p.rows >= 8; p.rows -= 8) {
    channels_of<T, 8>(p);
    p.x = static_cast<const T*>(p.x) + 8 * p.x_row;
    p.out = static_cast<T*>(p.out) + 8 * p.out_row;
  }
  for (; p.rows > 0; --p.rows) {
    channels_of<T, 1>(p);
    p.x = static_cast<const T*>(p.x) + p.x_row;
    p.out = static_cast<T*>(p.out) + p.out_row;
  }
}

template <class T, int runs>
void dots_of(const ChannelDots& p, const Run* run) {
  using V = Vec<T>;
  constexpr int L = V::size;
  for (int64_t c = 0; c < p.channels; c += L) {
    V sum[runs];
    for (int r = 0; r < runs; ++r) sum[r] = V(T(0));
    const T *x = static_cast<const T*>(p.x) + c, *y = static_cast<const T*>(p.y) + c;
    for (int64_t k = 0; k < p.steps; ++k, x += p.x_step, y += p.y_step) {
      const V of_y = V::load(y);
#pragma GCC unroll 8
      for (int r = 0; r < runs; ++r) sum[r] = madd(V::load(x + run[r].x), of_y, sum[r]);
    }
    T* out = static_cast<T*>(p.out) + c;
    for (int r = 0; r < runs; ++r) {
      T* at = out + run[r].w;
      if (c + L <= p.channels) {
        (V::load(at) + sum[r]).store(at);
        continue;
      }
      T part[L];
      (load_part<Plain<T>>(at, p.channels - c) + sum[r]).store(part);
      store_part<L>(part, at, p.channels - c);
    }
  }
}
template <class T>
void channel_dots(const ChannelDots& p) {
  int64_t r = 0;
  for (; r + 4 <= p.count; r += 4) dots_of<T, 4>(p, p.runs + r);
  for (; r < p.count; ++r) dots_of<T, 1>(p, p.runs + r);
}

template <class T>
constexpr ConvKernels kernels() {
#if defined(LAZULITE_SIMD_AVX512)
  constexpr int rows = 14;
#else
  constexpr int rows = 6;
#endif
  constexpr int L = Vec<T>::size;
  return {.rows = rows,
          .cols = 2 * L,
          .lanes = L,
          .along = Blocks<BlockOf<T, false>::template Kernel, L, rows, 2>::run,
          .across = Blocks<BlockOf<T, true>::template Kernel, L, rows, 2>::run,
          .channels = channels<T>,
          .channel_dots = channel_dots<T>,
          .total = add_all<T>};
}
constexpr ConvTable table{kernels<float>(), kernels<double>()};

}  // namespace

const ConvTable& LAZULITE_AT_LEVEL(conv_kernels)();
const ConvTable& LAZULITE_AT_LEVEL(conv_kernels)() { return table; }

}  // namespace lazulite::engine
