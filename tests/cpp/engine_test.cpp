// The engine's algorithms on raw memory, against plain loops.
#include <gtest/gtest.h>

#include <complex>
#include <vector>

#include "device/limits.h"
#include "engine/gemm/gemm.h"
#include "engine/layout/copy.h"

using namespace lazulite;

namespace {

// Whole numbers small enough that every sum is exact in each dtype that is asked for.
template <class T>
std::vector<T> numbers(int64_t n, int seed) {
  std::vector<T> out(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) {
    const int v = int((i * 7 + seed) % 5) - 2;
    if constexpr (requires(T t) { t.imag(); })
      out[size_t(i)] = {typename T::value_type(v), typename T::value_type((i + seed) % 3)};
    else out[size_t(i)] = T(v);
  }
  return out;
}

enum class Order { rows, columns, spaced };

engine::MatrixView view(void* data, int64_t rows, int64_t cols, Order order, int64_t lanes) {
  engine::MatrixView m{static_cast<char*>(data), rows, cols, cols, 1, {lanes > 1 ? rows * cols : 0}};
  if (order == Order::columns) m.row = 1, m.col = rows;
  if (order == Order::spaced) m.row = 2 * cols, m.col = 2, m.batch[0] *= 2;
  return m;
}

template <class T>
void expect_product(int64_t m, int64_t n, int64_t k, Order of_a, Order of_b) {
  const int64_t lanes = 2;
  std::vector<T> a = numbers<T>(2 * lanes * m * k, 1), b = numbers<T>(2 * k * n, 3),
                 out(static_cast<size_t>(lanes * m * n), T(7));
  engine::Product p{.type = dtype_of<T>,
                    .batch = {lanes},
                    .m = m,
                    .n = n,
                    .k = k,
                    .a = view(a.data(), m, k, of_a, lanes),
                    .b = view(b.data(), k, n, of_b, 1),
                    .out = reinterpret_cast<char*>(out.data())};
  if (!engine::reads_left(p) || !engine::reads_right(p)) return;  // callers copy such operands
  engine::gemm(p);
  for (int64_t lane = 0; lane < lanes; ++lane)
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < n; ++j) {
        T sum = T(0);
        for (int64_t s = 0; s < k; ++s)
          sum = T(sum + a[size_t(lane * p.a.batch[0] + i * p.a.row + s * p.a.col)] *
                            b[size_t(s * p.b.row + j * p.b.col)]);
        ASSERT_EQ(out[size_t((lane * m + i) * n + j)], sum)
            << name_of(dtype_of<T>) << " " << m << "x" << k << "x" << n << " at " << i << ", " << j;
      }
}

template <class T>
void expect_products() {
  const int64_t sizes[][3] = {{1, 1, 1},  {1, 9, 5},   {7, 1, 9},  {3, 33, 4},
                              {17, 65, 5}, {tile_rows + 1, 3, 2}, {2, tile_columns + 1, 3},
                              {5, 19, inner_block + 1}};
  for (auto& s : sizes)
    for (Order a : {Order::rows, Order::columns, Order::spaced})
      for (Order b : {Order::rows, Order::columns, Order::spaced})
        expect_product<T>(s[0], s[1], s[2], a, b);
}

}  // namespace

TEST(Gemm, MultipliesEveryDtypePastTheBordersOfItsTiles) {
  expect_products<int32_t>();
  expect_products<uint8_t>();
  expect_products<int64_t>();
  expect_products<float>();
  expect_products<double>();
  expect_products<std::complex<float>>();
  expect_products<std::complex<double>>();
}

TEST(Gemm, ReadsEveryRightOperandWhoseRowsAreContiguous) {
  float x = 0;
  engine::Product p{.type = float32, .batch = {}, .m = 3, .n = 4, .k = 5,
                    .a = view(&x, 3, 5, Order::rows, 1), .b = view(&x, 5, 4, Order::rows, 1),
                    .out = reinterpret_cast<char*>(&x)};
  EXPECT_TRUE(engine::reads_left(p));
  EXPECT_TRUE(engine::reads_right(p));
  p.type = int32;
  p.b = view(&x, 5, 4, Order::columns, 1);
  EXPECT_FALSE(engine::reads_right(p));
}

TEST(Copy, ReadsStridedReversedAndRepeatedMemoryAndWidensHalves) {
  std::vector<float> plain(2 * 700 * 3);
  for (size_t i = 0; i < plain.size(); ++i) plain[i] = float(i % 2039);
  std::vector<uint16_t> half(plain.size());
  std::vector<float> to(700 * 3 * 4, -1);
  const int64_t count = int64_t(plain.size());
  engine::copy({count}, {plain.data(), float32, {1}}, {half.data(), float16, {1}});
  // Axes: 700 backwards in steps of 6, 3 in steps of 2, 4 repeated.
  engine::copy({700, 3, 4}, {&half[699 * 6], float16, {-6, 2, 0}}, {to.data(), float32, {12, 4, 1}});
  for (int64_t i = 0; i < 700; ++i)
    for (int64_t j = 0; j < 3; ++j)
      for (int64_t k = 0; k < 4; ++k)
        ASSERT_EQ(to[size_t(i * 12 + j * 4 + k)], plain[size_t((699 - i) * 6 + j * 2)]);
}
