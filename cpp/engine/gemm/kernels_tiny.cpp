// Products of tiny matrices per instruction-set level: rows of sums in registers of their own
// width, or, with one column, rows of the left operand side by side. Each sum begins at zero and
// takes its products in the order of the inner axis, each of them rounded, so that every level
// gives the same bits.
#include <cstring>

#include "device/cpu/level.h"
#include "engine/gemm/kernels.h"
#include "simd/turn.h"

namespace lazulite::engine {
namespace {

using simd::Vec;

template <class T, int width>
struct RowOf {
  typedef T type __attribute__((vector_size(width * int(sizeof(T)))));
};

// The right operand in whole blocks of `width` columns: as it lies, where what is read behind its
// rows is memory of its own, or a copy.
template <class T, int width>
class Right {
 public:
  Right(const TinyCall& p)
      : p_(p), wide_((p.cols + width - 1) / width * width), lies_(p.b_col == 1 && p.b_end) {}

  const T* at(int64_t lane, int64_t& step) {
    const T* b = static_cast<const T*>(p_.b) + lane * p_.b_lane;
    step = p_.b_row;
    if (lies_ && static_cast<const T*>(p_.b_end) - (b + (p_.inner - 1) * p_.b_row) >= wide_)
      return b;
    step = wide_;
    if (p_.b_lane == 0 && lane > 0) return copy_;
    for (int64_t k = 0; k < p_.inner; ++k)
      for (int64_t j = 0; j < p_.cols; ++j)
        copy_[k * wide_ + j] = b[k * p_.b_row + j * p_.b_col];
    return copy_;
  }

 private:
  const TinyCall& p_;
  const int64_t wide_;
  const bool lies_;
  alignas(64) T copy_[tiny_copied] = {};
};

// `rows` rows of sums, by blocks of columns from the last one on: what is written behind a row is
// written again by the first block of the next one.
template <class T, int width, int rows>
LAZULITE_INLINE void some_rows(const TinyCall& p, const T* a, const T* b, int64_t b_step, T* out,
                               const T* end) {
  using V = typename RowOf<T, width>::type;
  for (int64_t col = (p.cols - 1) / width * width; col >= 0; col -= width) {
    V right, sum[rows] = {};
    for (int64_t k = 0; k < p.inner; ++k) {
      std::memcpy(&right, b + k * b_step + col, sizeof right);
#pragma GCC unroll 8
      for (int r = 0; r < rows; ++r) sum[r] = sum[r] + right * a[r * p.a_row + k * p.a_col];
    }
    T* to = out + col;
    const int64_t some = p.cols - col < width ? p.cols - col : width;
    if (end - (to + (rows - 1) * p.cols) >= width) {
#pragma GCC unroll 8
      for (int r = 0; r < rows; ++r) std::memcpy(to + r * p.cols, &sum[r], sizeof(V));
    } else {
      for (int r = 0; r < rows; ++r)
        std::memcpy(to + r * p.cols, &sum[r], size_t(some) * sizeof(T));
    }
  }
}

template <class T, int width>
void by_rows(const TinyCall& p) {
  Right<T, width> right(p);
  T* out = static_cast<T*>(p.out);
  const T* end = out + p.lanes * p.rows * p.cols;
  for (int64_t lane = 0; lane < p.lanes; ++lane) {
    int64_t step;
    const T *b = right.at(lane, step), *a = static_cast<const T*>(p.a) + lane * p.a_lane;
    int64_t row = 0;
    auto take = [&]<int rows>() {
      some_rows<T, width, rows>(p, a, b, step, out, end);
      row += rows;
      a += rows * p.a_row;
      out += rows * p.cols;
    };
    while (row + 8 <= p.rows) take.template operator()<8>();
    switch (p.rows - row) {
      case 7: take.template operator()<4>(); [[fallthrough]];
      case 3: take.template operator()<3>(); break;
      case 6: take.template operator()<4>(); [[fallthrough]];
      case 2: take.template operator()<2>(); break;
      case 5: take.template operator()<4>(); [[fallthrough]];
      case 1: take.template operator()<1>(); break;
      case 4: take.template operator()<4>();
    }
  }
}

// Squares of lines are turned, as long as what is read behind a line is memory of theirs.
template <class T, int few>
void lines_of(const LinesCall& p) {
  using V = Vec<T>;
  constexpr int L = V::size;
  const T *x = static_cast<const T*>(p.lines), *y = static_cast<const T*>(p.few);
  T* out = static_cast<T*>(p.out);
  const int64_t read = (p.inner + L - 1) / L * L;
  int64_t line = 0;
  for (; p.end && line + L <= p.count &&
         static_cast<const T*>(p.end) - (x + (line + L - 1) * p.line) >= read; line += L) {
    V sum[few];
    for (int f = 0; f < few; ++f) sum[f] = V(T(0));
    for (int64_t k = 0; k < p.inner; k += L) {
      typename V::raw square[L];
      for (int i = 0; i < L; ++i) square[i] = V::load(x + (line + i) * p.line + k).v;
      simd::turn(square);
      const int64_t some = p.inner - k < L ? p.inner - k : L;
      for (int64_t j = 0; j < some; ++j)
        for (int f = 0; f < few; ++f)
          sum[f] = sum[f] + V::from(square[j]) * V(y[f * p.few_row + (k + j) * p.few_step]);
    }
    for (int f = 0; f < few; ++f) sum[f].store(out + line + f * p.out_row);
  }
  for (; line < p.count; ++line)
    for (int f = 0; f < few; ++f) {
      T sum = T();
      for (int64_t k = 0; k < p.inner; ++k)
        sum += x[line * p.line + k] * y[f * p.few_row + k * p.few_step];
      out[line + f * p.out_row] = sum;
    }
}
template <class T>
void lines(const LinesCall& p) {
  switch (p.few_count) {
    case 1: return lines_of<T, 1>(p);
    case 2: return lines_of<T, 2>(p);
    case 3: return lines_of<T, 3>(p);
    case 4: return lines_of<T, 4>(p);
    case 5: return lines_of<T, 5>(p);
    case 6: return lines_of<T, 6>(p);
    case 7: return lines_of<T, 7>(p);
    default: return lines_of<T, 8>(p);
  }
}

// Rows of so few elements, one behind the other, that vectors of them are taken apart.
template <class T, int inner>
void short_rows(const T* __restrict a, const T* b, int64_t b_row, int64_t count,
                T* __restrict out) {
  T by[inner];
  for (int k = 0; k < inner; ++k) by[k] = b[k * b_row];
  for (int64_t i = 0; i < count; ++i) {
    T sum = T(0);
#pragma GCC unroll 4
    for (int k = 0; k < inner; ++k) sum += a[i * inner + k] * by[k];
    out[i] = sum;
  }
}
// Stacks of matrices of `rows` such rows, each with a column of its own.
template <class T, int rows, int inner>
void small_lanes(const TinyCall& p) {
  T* __restrict out = static_cast<T*>(p.out);
  for (int64_t lane = 0; lane < p.lanes; ++lane, out += rows) {
    const T* __restrict a = static_cast<const T*>(p.a) + lane * p.a_lane;
    const T* __restrict b = static_cast<const T*>(p.b) + lane * p.b_lane;
    T sum[rows] = {};
#pragma GCC unroll 4
    for (int k = 0; k < inner; ++k) {
      const T by = b[k * p.b_row];
#pragma GCC unroll 4
      for (int r = 0; r < rows; ++r) sum[r] += a[r * inner + k] * by;
    }
#pragma GCC unroll 4
    for (int r = 0; r < rows; ++r) out[r] = sum[r];
  }
}
template <class T, int inner>
bool small_lanes_of(const TinyCall& p) {
  switch (p.rows) {
    case 2: return small_lanes<T, 2, inner>(p), true;
    case 3: return small_lanes<T, 3, inner>(p), true;
    case 4: return small_lanes<T, 4, inner>(p), true;
    default: return false;
  }
}
// Of matrices whose rows of two to four elements lie one behind the other.
template <class T, int inner>
bool dense_rows(const TinyCall& p) {
  if (small_lanes_of<T, inner>(p)) return true;
  if (p.rows < Vec<T>::size) return false;
  for (int64_t lane = 0; lane < p.lanes; ++lane)
    short_rows<T, inner>(static_cast<const T*>(p.a) + lane * p.a_lane,
                         static_cast<const T*>(p.b) + lane * p.b_lane, p.b_row, p.rows,
                         static_cast<T*>(p.out) + lane * p.rows);
  return true;
}
template <class T>
bool has_dense_rows(const TinyCall& p) {
  if (p.a_col != 1 || p.a_row != p.inner) return false;
  switch (p.inner) {
    case 2: return dense_rows<T, 2>(p);
    case 3: return dense_rows<T, 3>(p);
    case 4: return dense_rows<T, 4>(p);
    default: return false;
  }
}

// One column: dot products of rows of the left operand.
template <class T>
void one_column(const TinyCall& p) {
  if (has_dense_rows<T>(p)) return;
  const bool turns = p.a_col == 1 && p.inner > 4 && p.rows >= Vec<T>::size;
  T* out = static_cast<T*>(p.out);
  for (int64_t lane = 0; lane < p.lanes; ++lane, out += p.rows) {
    const T *a = static_cast<const T*>(p.a) + lane * p.a_lane,
            *b = static_cast<const T*>(p.b) + lane * p.b_lane;
    if (turns) {
      lines_of<T, 1>({a, b, p.a_end, out, p.rows, 1, p.inner, p.a_row, 0, p.b_row, 0});
      continue;
    }
    int64_t row = 0;
    auto some = [&]<int rows>() {
      T sum[rows] = {};
      for (int64_t k = 0; k < p.inner; ++k)
        for (int r = 0; r < rows; ++r)
          sum[r] += a[(row + r) * p.a_row + k * p.a_col] * b[k * p.b_row];
      for (int r = 0; r < rows; ++r) out[row + r] = sum[r];
      row += rows;
    };
    while (row + 4 <= p.rows) some.template operator()<4>();
    switch (p.rows - row) {
      case 3: some.template operator()<3>(); break;
      case 2: some.template operator()<2>(); break;
      case 1: some.template operator()<1>();
    }
  }
}

template <class T>
void product(const TinyCall& p) {
  constexpr int least = 16 / int(sizeof(T));
  if (p.cols == 1) {
    // A row of sums, where the columns of the left operand lie along memory.
    if (p.a_row != 1 || p.rows == 1 || p.rows > tiny_columns) return one_column<T>(p);
    return product<T>({.a = p.b,
                       .b = p.a,
                       .a_end = p.b_end,
                       .b_end = p.a_end,
                       .out = p.out,
                       .lanes = p.lanes,
                       .rows = 1,
                       .cols = p.rows,
                       .inner = p.inner,
                       .a_lane = p.b_lane,
                       .b_lane = p.a_lane,
                       .a_row = p.b_col,
                       .a_col = p.b_row,
                       .b_row = p.a_col,
                       .b_col = p.a_row});
  }
  if (p.cols <= least) return by_rows<T, least>(p);
  if (p.cols <= 4) return by_rows<T, 4>(p);
  if (p.cols <= 8) return by_rows<T, 8>(p);
  by_rows<T, tiny_columns>(p);
}

constexpr TinyKernels make_table() {
  TinyKernels table{};
  table.product[int(Dtype::float32)] = product<float>;
  table.product[int(Dtype::float64)] = product<double>;
  table.lines[int(Dtype::float32)] = lines<float>;
  table.lines[int(Dtype::float64)] = lines<double>;
  return table;
}
constexpr TinyKernels table = make_table();

}  // namespace

const TinyKernels& LAZULITE_AT_LEVEL(tiny_kernels)();
const TinyKernels& LAZULITE_AT_LEVEL(tiny_kernels)() { return table; }

}  // namespace lazulite::engine
