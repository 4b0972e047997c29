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

// The right operand in whole rows of `width`: as it lies, where what is read behind its rows
// belongs to the call's memory, or a copy.
template <class T, int width>
class Right {
 public:
  Right(const TinyCall& p)
      : p_(p), end_(static_cast<const T*>(p.b) + (p.lanes - 1) * p.b_lane +
                    (p.inner - 1) * p.b_row + p.cols),
        lies_(p.b_col == 1 && p.b_row >= 0 && p.b_lane >= 0) {}

  const T* at(int64_t lane, int64_t& step) {
    const T* b = static_cast<const T*>(p_.b) + lane * p_.b_lane;
    step = p_.b_row;
    if (lies_ && end_ - (b + (p_.inner - 1) * p_.b_row) >= width) return b;
    step = width;
    if (p_.b_lane == 0 && lane > 0) return copy_;
    for (int64_t k = 0; k < p_.inner; ++k)
      for (int64_t j = 0; j < p_.cols; ++j)
        copy_[k * width + j] = b[k * p_.b_row + j * p_.b_col];
    return copy_;
  }

 private:
  const TinyCall& p_;
  const T* const end_;
  const bool lies_;
  alignas(64) T copy_[tiny_inner * width] = {};
};

// `rows` rows of sums. What is written behind a row is written again by the next one.
template <class T, int width, int rows>
LAZULITE_INLINE void some_rows(const TinyCall& p, const T* a, const T* b, int64_t b_step, T* out,
                               const T* end) {
  using V = typename RowOf<T, width>::type;
  V right, sum[rows] = {};
  for (int64_t k = 0; k < p.inner; ++k) {
    std::memcpy(&right, b + k * b_step, sizeof right);
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r) sum[r] = sum[r] + right * a[r * p.a_row + k * p.a_col];
  }
  if (end - (out + (rows - 1) * p.cols) >= width) {
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r) std::memcpy(out + r * p.cols, &sum[r], sizeof(V));
    return;
  }
  for (int r = 0; r < rows; ++r)
    std::memcpy(out + r * p.cols, &sum[r], size_t(p.cols) * sizeof(T));
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

// One column: sums of rows of the left operand, which are turned where they lie along memory.
template <class T>
void one_column(const TinyCall& p) {
  using V = Vec<T>;
  constexpr int L = V::size;
  T* out = static_cast<T*>(p.out);
  const T* last = static_cast<const T*>(p.a) + (p.lanes - 1) * p.a_lane + (p.rows - 1) * p.a_row;
  const bool turns = p.a_col == 1 && p.a_row >= 0 && p.a_lane >= 0 && p.inner > 4;
  const int64_t read = (p.inner + L - 1) / L * L;
  for (int64_t lane = 0; lane < p.lanes; ++lane, out += p.rows) {
    const T *a = static_cast<const T*>(p.a) + lane * p.a_lane,
            *b = static_cast<const T*>(p.b) + lane * p.b_lane;
    int64_t row = 0;
    while (turns && row + L <= p.rows && last + p.inner - (a + (row + L - 1) * p.a_row) >= read) {
      V sum(T(0));
      for (int64_t k = 0; k < p.inner; k += L) {
        typename V::raw square[L];
        for (int r = 0; r < L; ++r) square[r] = V::load(a + (row + r) * p.a_row + k).v;
        simd::turn(square);
        const int64_t some = p.inner - k < L ? p.inner - k : L;
        for (int64_t j = 0; j < some; ++j)
          sum = sum + V::from(square[j]) * V(b[(k + j) * p.b_row]);
      }
      sum.store(out + row);
      row += L;
    }
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
  return table;
}
constexpr TinyKernels table = make_table();

}  // namespace

const TinyKernels& LAZULITE_AT_LEVEL(tiny_kernels)();
const TinyKernels& LAZULITE_AT_LEVEL(tiny_kernels)() { return table; }

}  // namespace lazulite::engine
