// Packing and blocks of sums of int8, for any way to multiply a group of steps. As simd/vec.h:
// units of one instruction-set level, internal linkage.
#pragma once
#include <cstring>

#include "engine/gemm/pack.h"
#include "engine/gemm/sum_block.h"
#include "engine/quant/int8_kernels.h"

namespace lazulite::engine {
namespace {

using Whole = Vec<int32_t>;

LAZULITE_INLINE int32_t wrapped(int32_t a, int32_t b) {
  return int32_t(uint32_t(a) + uint32_t(b));
}

// Two steps as 16 bits each.
inline void pack_twos(const PackCall& p) {
  const auto* from = static_cast<const int8_t*>(p.from);
  auto* to = static_cast<uint32_t*>(p.to);
  for (int64_t k = 0; k < p.steps; k += 2, to += p.width) {
    const bool two = k + 1 < p.steps;
    for (int64_t i = 0; i < p.width; ++i) {
      const int8_t* at = from + i * p.line + k * p.step;
      to[i] = i < p.lines ? uint32_t(uint16_t(at[0])) | uint32_t(two ? at[p.step] : 0) << 16 : 0;
    }
  }
}

// Add::add(sum, x, y) of groups of x and y; a group of x takes numbers of type Add::Number.
template <class Add>
struct Int8Blocks {
  static constexpr int L = Whole::size;
  // What is stored: the last vector of a row in part.
  template <int vectors>
  LAZULITE_INLINE static void store(int32_t* at, Whole sum, int j, int64_t last, bool add) {
    if (j + 1 < vectors || last == L) {
      (add ? Whole::load(at) + sum : sum).store(at);
      return;
    }
    int32_t v[L];
    sum.store(v);
    for (int64_t k = 0; k < last; ++k) at[k] = add ? wrapped(at[k], v[k]) : v[k];
  }
  template <int rows, int vectors>
  struct Kernel {
    static void run(const Int8Panel& p) {
      Whole sum[rows][vectors];
      sum_steps<int32_t>(p, sum, Add::add);
      if (p.start)
#pragma GCC unroll 4
        for (int j = 0; j < vectors; ++j) {
          const Whole start = Whole::load(p.start + j * L);
#pragma GCC unroll 16
          for (int i = 0; i < rows; ++i) sum[i][j] = sum[i][j] + start;
        }
      auto* out = static_cast<int32_t*>(p.out);
      const int64_t last = p.cols - (vectors - 1) * L;
#pragma GCC unroll 16
      for (int i = 0; i < rows; ++i)
#pragma GCC unroll 4
        for (int j = 0; j < vectors; ++j)
          store<vectors>(out + i * p.out_row + j * L, sum[i][j], j, last, p.add);
    }
  };
  template <int rows, int vectors>
  struct Along {
    static void run(const Int8Block& p) {
      using Number = typename Add::Number;
      Whole sum[rows][vectors];
#pragma GCC unroll 4
      for (int j = 0; j < vectors; ++j) {
        const Whole first = p.start ? Whole::load(p.start + j * L) : Whole(0);
#pragma GCC unroll 16
        for (int i = 0; i < rows; ++i) sum[i][j] = first;
      }
      const int64_t stride = p.x_stride;
      for (int64_t r = 0; r < p.count; ++r) {
        const Number* x = static_cast<const Number*>(p.x) + p.runs[r].x;
        const int32_t* w = static_cast<const int32_t*>(p.w) + p.runs[r].w;
        for (int64_t k = 0; k < p.steps; ++k, x += 4 / sizeof(Number), w += p.w_step) {
          Whole y[vectors];
#pragma GCC unroll 4
          for (int j = 0; j < vectors; ++j) y[j] = Whole::load(w + j * L);
#pragma GCC unroll 16
          for (int i = 0; i < rows; ++i) {
            int32_t group;
            std::memcpy(&group, x + i * stride, 4);
            const Whole of_x(group);
#pragma GCC unroll 4
            for (int j = 0; j < vectors; ++j) sum[i][j] = Add::add(sum[i][j], of_x, y[j]);
          }
        }
      }
      const int64_t last = p.cols - (vectors - 1) * L;
#pragma GCC unroll 16
      for (int i = 0; i < rows; ++i)
#pragma GCC unroll 4
        for (int j = 0; j < vectors; ++j)
          store<vectors>(p.out + i * p.out_row + j * L, sum[i][j], j, last, p.add);
    }
  };
  // Panels that rows are cut into evenly (Int8Kernels::begin).
  template <int rows>
  static void panels(const Int8Panel& p) {
    const int64_t count = (p.lines + rows - 1) / rows;
    for (int64_t i = 0; i < count; ++i) {
      const int64_t first = p.lines * i / count, lines = p.lines * (i + 1) / count - first;
      Int8Panel one = p;
      one.a = static_cast<const int32_t*>(p.a) + first * p.steps;
      one.a_step = lines;
      one.out = static_cast<int32_t*>(p.out) + first * p.out_row;
      one.rows = int(lines);
      Blocks<Kernel, L, rows, 2>::run(one);
    }
  }
  template <int rows>
  static constexpr void (*along)(const Int8Block&) = Blocks<Along, L, rows, 2>::run;
};

// Lines that are read as they lie, four at once, beside a few rows.
// Add::chunk steps at a time: Add::line(numbers of a line), Add::row(of a row).
template <class Add, int rows, int lines>
LAZULITE_INLINE void dots_of(const Int8Dots& p, const int8_t* line, int32_t* out,
                             const int32_t* start) {
  Whole sum[rows][lines];
#pragma GCC unroll 4
  for (int r = 0; r < rows; ++r)
#pragma GCC unroll 4
    for (int i = 0; i < lines; ++i) sum[r][i] = Whole(0);
  const auto step = [&](const int8_t* x, int64_t x_row, const int8_t* from, int64_t apart) {
    Whole y[lines];
#pragma GCC unroll 4
    for (int i = 0; i < lines; ++i) y[i] = Add::line(from + i * apart);
#pragma GCC unroll 4
    for (int r = 0; r < rows; ++r) {
      const Whole of_x = Add::row(x + r * x_row);
#pragma GCC unroll 4
      for (int i = 0; i < lines; ++i) sum[r][i] = Add::dot(sum[r][i], y[i], of_x);
    }
  };
  constexpr int chunk = Add::chunk;
  int64_t k = 0;
  for (; k + chunk <= p.steps; k += chunk) step(p.x + k, p.x_row, line + k, p.line);
  if (k < p.steps) {
    int8_t x[rows * chunk] = {}, y[lines * chunk] = {};
    for (int r = 0; r < rows; ++r)
      std::memcpy(x + r * chunk, p.x + r * p.x_row + k, size_t(p.steps - k));
    for (int i = 0; i < lines; ++i)
      std::memcpy(y + i * chunk, line + i * p.line + k, size_t(p.steps - k));
    step(x, chunk, y, chunk);
  }
  for (int r = 0; r < rows; ++r)
    for (int i = 0; i < lines; ++i) 
      out[r * p.out_row + i] =
          wrapped(start[r], int32_t(total(simd::bit_cast<uint32_t>(sum[r][i]))));
}
template <class Add, int rows>
void dots_of_rows(const Int8Dots& p, const int32_t* start) {
  int64_t i = 0;
  for (; i + 4 <= p.count; i += 4) dots_of<Add, rows, 4>(p, p.lines + i * p.line, p.out + i, start);
  for (; i < p.count; ++i) dots_of<Add, rows, 1>(p, p.lines + i * p.line, p.out + i, start);
}
// Some lines at a time, which the rows after the first ones find in the cache.
template <class Add>
void dots(const Int8Dots& given) {
  int32_t start[few_int8] = {};  // less what the lines have too much
  if constexpr (Add::above != 0)
    for (int r = 0; r < given.rows; ++r)
      start[r] = -int32_t(uint32_t(Add::above) *
                          uint32_t(Add::sum_of(given.x + r * given.x_row, given.steps)));
  int64_t some = (16 << 10) / given.steps / 4 * 4;
  if (some < 4) some = 4;
  for (int64_t first = 0; first < given.count; first += some) {
    Int8Dots p = given;
    p.count = given.count - first < some ? given.count - first : some;
    p.lines += first * p.line;
    p.out += first;
    for (int r = 0; r < given.rows; r += few) {
      switch (given.rows - r) {
        case 1: dots_of_rows<Add, 1>(p, start + r); break;
        case 2: dots_of_rows<Add, 2>(p, start + r); break;
        case 3: dots_of_rows<Add, 3>(p, start + r); break;
        default: dots_of_rows<Add, few>(p, start + r);
      }
      p.x += few * p.x_row;
      p.out += few * p.out_row;
    }
  }
}

}  // namespace
}  // namespace lazulite::engine
