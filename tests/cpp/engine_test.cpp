// The engine's algorithms on raw memory, against plain loops.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <complex>
#include <cstring>
#include <random>
#include <vector>

#include "base/half.h"
#include "device/cpu/level.h"
#include "device/limits.h"
#include "engine/gemm/gemm.h"
#include "engine/layout/copy.h"
#include "engine/random/random.h"
#include "engine/reduce/kernels.h"

namespace lazulite::engine {
LAZULITE_LEVELS(const ReduceKernels&, reduce_kernels)
}

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
  engine::MatrixView m{static_cast<char*>(data),     rows, cols, cols, 1,
                       {lanes > 1 ? rows * cols : 0}};
  if (order == Order::columns) m.row = 1, m.col = rows;
  if (order == Order::spaced) m.row = 2 * cols, m.col = 2, m.batch[0] *= 2;
  return m;
}

// How often each element was said to be finished, with the value that it had then.
template <class T>
struct Heard {
  int64_t cols;
  const T* out;
  std::vector<std::atomic<int>> times;
  std::vector<T> values;

  Heard(int64_t rows, int64_t n, const T* from)
      : cols(n), out(from), times(size_t(rows * n)), values(size_t(rows * n)) {}
  engine::Finished finished() {
    return {[](void* self, int64_t row, int64_t rows, int64_t col, int64_t columns) {
              Heard& h = *static_cast<Heard*>(self);
              for (int64_t r = row; r < row + rows; ++r)
                for (int64_t c = col; c < col + columns; ++c) {
                  ++h.times[size_t(r * h.cols + c)];
                  h.values[size_t(r * h.cols + c)] = h.out[r * h.cols + c];
                }
            },
            this};
  }
  void expect_each_once_and_last() const {
    for (size_t i = 0; i < times.size(); ++i) {
      ASSERT_EQ(times[i], 1);
      ASSERT_EQ(values[i], out[i]);
    }
  }
};

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
  Heard<T> heard(lanes * m, n, out.data());
  p.finished = heard.finished();
  engine::gemm(p);
  heard.expect_each_once_and_last();
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
                              {5, 19, inner_block + 1}, {15, 33, 2 * inner_panel + 1},
                              {29, 7, packed_steps + 1}, {2, 3, dot_steps + 1},
                              {1, 1030, sweep_steps + 1}, {1030, 4, 2 * sweep_steps + 1},
                              {3, 33, sweep_steps + 3}, {2, 64, 9}, {4, 16, 5}, {1, 50, 3},
                              {90, 33, 70}, {40, 150, 90}, {14, 96, 300}, {150, 32, 300},
                              {1030, 33, 9}, {1030, 67, 2 * inner_panel + 1}};
  for (auto& s : sizes)
    for (Order a : {Order::rows, Order::columns, Order::spaced})
      for (Order b : {Order::rows, Order::columns, Order::spaced})
        expect_product<T>(s[0], s[1], s[2], a, b);
}

// Whole numbers whose sums float32 holds: the result is rounded once.
void expect_product_of_halves(Dtype half, int64_t m, int64_t n, int64_t k, Order of_a, Order of_b) {
  const auto a = numbers<float>(2 * m * k, 1), b = numbers<float>(2 * k * n, 3);
  std::vector<uint16_t> x(a.size()), y(b.size()), out(size_t(m * n), 7);
  engine::copy({2 * m * k}, {(void*)a.data(), float32, {1}}, {x.data(), half, {1}});
  engine::copy({2 * k * n}, {(void*)b.data(), float32, {1}}, {y.data(), half, {1}});
  engine::Product p{.type = half, .batch = {}, .m = m, .n = n, .k = k,
                    .a = view(x.data(), m, k, of_a, 1), .b = view(y.data(), k, n, of_b, 1),
                    .out = reinterpret_cast<char*>(out.data())};
  p.a.batch = p.b.batch = {};
  engine::gemm(p);
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) {
      float sum = 0;
      for (int64_t s = 0; s < k; ++s)
        sum += a[size_t(i * p.a.row + s * p.a.col)] * b[size_t(s * p.b.row + j * p.b.col)];
      uint16_t wanted;
      engine::copy({1}, {&sum, float32, {1}}, {&wanted, half, {1}});
      ASSERT_EQ(out[size_t(i * n + j)], wanted)
          << name_of(half) << " " << m << "x" << k << "x" << n << " at " << i << ", " << j;
    }
}

// Row i of the left operand is u[i] times a row of its own, column j of the right one v[j] times a
// column: every sum is u[i] v[j] times one number.
void expect_large_product(int64_t m, int64_t n, int64_t k, Order of_a, Order of_b) {
  const auto u = numbers<float>(m, 1), v = numbers<float>(n, 2), x = numbers<float>(k, 3);
  auto y = x;
  for (size_t s = 0; s < y.size(); s += 7) y[s] += 3;
  std::vector<float> a(size_t(m * k)), b(size_t(k * n)), out(size_t(m * n), 7);
  engine::Product p{.type = float32, .batch = {}, .m = m, .n = n, .k = k,
                    .a = view(a.data(), m, k, of_a, 1), .b = view(b.data(), k, n, of_b, 1),
                    .out = reinterpret_cast<char*>(out.data())};
  p.a.batch = p.b.batch = {};
  if (!engine::reads_left(p) || !engine::reads_right(p)) return;  // callers copy such operands
  float sum = 0;
  for (int64_t s = 0; s < k; ++s) {
    for (int64_t i = 0; i < m; ++i)
      a[size_t(i * p.a.row + s * p.a.col)] = u[size_t(i)] * x[size_t(s)];
    for (int64_t j = 0; j < n; ++j)
      b[size_t(s * p.b.row + j * p.b.col)] = v[size_t(j)] * y[size_t(s)];
    sum += x[size_t(s)] * y[size_t(s)];
  }
  ASSERT_NE(sum, 0);
  engine::gemm(p);
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j)
      ASSERT_EQ(out[size_t(i * n + j)], u[size_t(i)] * v[size_t(j)] * sum)
          << m << "x" << k << "x" << n << " at " << i << ", " << j;
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

TEST(Gemm, CutsOperandsThatAreTooLargeToBePackedAtOnce) {
  for (Order of_b : {Order::rows, Order::columns})
    expect_product<float>(15, 70001, 90, Order::rows, of_b);
  expect_product<double>(50001, 9, 60, Order::columns, Order::rows);
}

TEST(Gemm, CutsWhatIsPackedForAllTasksWhereItIsTooLarge) {
  const int64_t panel = inner_panel;
  const int64_t sizes[][3] = {{2100, 2070, 3 * panel}, {1090, 2100, 2 * panel + 3},
                              {1400, 1300, 5 * panel}, {90, 80, 9 * panel},
                              {190, 170, 16 * panel + 1}};
  for (auto& s : sizes)
    for (Order of_a : {Order::rows, Order::columns})
      for (Order of_b : {Order::rows, Order::columns})
        expect_large_product(s[0], s[1], s[2], of_a, of_b);
}

TEST(Gemm, SumsHalvesInFloat32AndRoundsOnce) {
  for (Dtype half : {float16, bfloat16})
    for (auto [m, n, k] :
         {std::array<int64_t, 3>{30, 70, 600}, {1, 90, 2000}, {90, 1, 2000}, {3, 5, 7}}) {
      // Ones, and the last product 1/4: sums that are no half are rounded at the end.
      std::vector<float> a(size_t(m * k), 1), b(size_t(k * n), 1), out(size_t(m * n));
      for (int64_t j = 0; j < n; ++j) b[size_t((k - 1) * n + j)] = 0.25f;
      std::vector<uint16_t> x(a.size()), y(b.size()), z(out.size());
      engine::copy({m * k}, {a.data(), float32, {1}}, {x.data(), half, {1}});
      engine::copy({k * n}, {b.data(), float32, {1}}, {y.data(), half, {1}});
      Heard<uint16_t> heard(m, n, z.data());
      engine::gemm({.type = half, .batch = {1}, .m = m, .n = n, .k = k,
                    .a = view(x.data(), m, k, Order::rows, 1),
                    .b = view(y.data(), k, n, Order::rows, 1),
                    .out = reinterpret_cast<char*>(z.data()), .finished = heard.finished()});
      heard.expect_each_once_and_last();
      engine::copy({m * n}, {z.data(), half, {1}}, {out.data(), float32, {1}});
      float wanted = float(k - 1) + 0.25f;
      uint16_t rounded;
      engine::copy({1}, {&wanted, float32, {1}}, {&rounded, half, {1}});
      engine::copy({1}, {&rounded, half, {1}}, {&wanted, float32, {1}});
      for (float v : out) ASSERT_EQ(v, wanted) << name_of(half) << " " << m << "x" << k << "x" << n;
    }
}

TEST(Gemm, MultipliesHalvesInAnyLayout) {
  const int64_t sizes[][3] = {{1, 1, 1}, {2, 3, 1}, {4, 70, 33}, {70, 3, 65}, {33, 1, 131},
                              {15, 17, 2}, {17, 35, 63}, {30, 50, 2 * inner_panel + 1},
                              {29, 65, 4 * inner_panel + 3}, {150, 90, 35}, {90, 1100, 9},
                              {1100, 90, 8}, {1100, 33, 9}, {20, 18, 20 * inner_panel + 1},
                              {7, 5, packed_steps + 1}, {1, 3, dot_steps + 1}};
  for (Dtype half : {float16, bfloat16})
    for (auto& s : sizes)
      for (Order a : {Order::rows, Order::columns, Order::spaced})
        for (Order b : {Order::rows, Order::columns, Order::spaced})
          expect_product_of_halves(half, s[0], s[1], s[2], a, b);
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
  engine::copy({700, 3, 4}, {&half[699 * 6], float16, {-6, 2, 0}},
               {to.data(), float32, {12, 4, 1}});
  for (int64_t i = 0; i < 700; ++i)
    for (int64_t j = 0; j < 3; ++j)
      for (int64_t k = 0; k < 4; ++k)
        ASSERT_EQ(to[size_t(i * 12 + j * 4 + k)], plain[size_t((699 - i) * 6 + j * 2)]);
}

// An array of a shape in memory of its own: axes in some order, steps of 1, 2, 3 or gaps between
// rows, forwards or backwards, perhaps repeated.
struct InMemory {
  std::vector<uint8_t> bytes;
  Strides strides;
  int64_t first = 0, size = 1;

  InMemory(const Shape& shape, const std::vector<int>& order, const std::vector<int>& step,
           const std::vector<bool>& back, int gap, int repeated) {
    strides.resize(shape.size(), 0);
    for (size_t k = order.size(); k-- > 0;) {
      const size_t a = size_t(order[k]);
      if (int(a) == repeated) continue;
      strides[a] = size * step[a];
      size = size * step[a] * shape[a] + (k + 1 == order.size() ? gap : 0);
      if (!back[a]) continue;
      first += (shape[a] - 1) * strides[a];
      strides[a] = -strides[a];
    }
  }
  char* at(int64_t element, int64_t of_bytes) {
    return reinterpret_cast<char*>(bytes.data()) + element * of_bytes;
  }
};

void expect_copied(Dtype type, const Shape& shape, InMemory from, InMemory to) {
  const int64_t width = size_of(type);
  from.bytes.resize(size_t(from.size * width));
  to.bytes.resize(size_t(to.size * width), 0xee);
  for (size_t i = 0; i < from.bytes.size(); ++i) from.bytes[i] = uint8_t(i * 167 + i / 251);
  std::vector<uint8_t> wanted = to.bytes;
  for (int64_t i = 0; i < size_of(shape); ++i) {
    int64_t rest = i, a = from.first, b = to.first;
    for (size_t d = shape.size(); d-- > 0; rest /= shape[d]) {
      a += rest % shape[d] * from.strides[d];
      b += rest % shape[d] * to.strides[d];
    }
    std::memcpy(wanted.data() + b * width, from.at(a, width), size_t(width));
  }
  engine::copy(shape, {from.at(from.first, width), type, from.strides},
               {to.at(to.first, width), type, to.strides});
  ASSERT_TRUE(to.bytes == wanted) << name_of(type) << " " << shape << " from " << from.strides
                                  << " to " << to.strides;
}

TEST(Copy, MovesEveryElementAndNoOtherByteWhateverTheStrides) {
  std::mt19937 random(7);
  auto below = [&](int n) { return int(random() % unsigned(n)); };
  const int64_t sizes[] = {1, 2, 3, 4, 5, 7, 8, 16, 31, 33, 64, 65, 129, 700};
  const Dtype types[] = {uint8, float16, float32, float64, complex128};
  for (int round = 0; round < 3000; ++round) {
    const int axes = 1 + below(4);
    Shape shape;
    std::vector<int> order[2], step[2];
    std::vector<bool> back[2];
    for (int a = 0; a < axes; ++a) {
      int64_t n = sizes[below(14)];
      while (size_of(shape) * n > 60000) n = sizes[below(5)];
      shape.push_back(n);
    }
    for (int k = 0; k < 2; ++k) {
      for (int a = 0; a < axes; ++a) {
        order[k].push_back(a);
        step[k].push_back(below(4) ? 1 : 1 + below(3));
        back[k].push_back(below(5) == 0);
      }
      if (below(2)) std::shuffle(order[k].begin(), order[k].end(), random);
    }
    const int repeated = below(4) ? -1 : below(axes), gap = below(2) * below(9);
    expect_copied(types[below(5)], shape,
                  InMemory(shape, order[0], step[0], back[0], gap, repeated),
                  InMemory(shape, order[1], step[1], back[1], below(2) * 3, -1));
  }
}

TEST(Copy, LargeArraysAreCutAndPutTogetherAgain) {
  const std::vector<int> plain{0, 1, 2}, turned{2, 0, 1}, ones{1, 1, 1};
  const std::vector<bool> on(3, false), back{false, true, false};
  for (Dtype type : {uint8, float32, complex128})
    for (const Shape& shape : {Shape{3, 5, 70001}, Shape{1001, 17, 5}, Shape{400001, 2, 1},
                               Shape{2, 3, 33333}, Shape{50, 70, 90}}) {
      expect_copied(type, shape, InMemory(shape, plain, ones, on, 1, -1),
                    InMemory(shape, plain, ones, back, 0, -1));
      expect_copied(type, shape, InMemory(shape, turned, ones, on, 0, -1),
                    InMemory(shape, plain, {1, 1, 2}, on, 3, -1));
    }
}

// The fixed tree as kernels.h says it: element i goes to lane i mod 32, lanes fold by halves.
template <class A>
A tree_of(const std::vector<A>& x) {
  std::vector<A> lane(x.begin(),
                      x.begin() + std::min<int64_t>(engine::reduce_lanes, int64_t(x.size())));
  for (size_t i = engine::reduce_lanes; i < x.size(); ++i) lane[i % engine::reduce_lanes] += x[i];
  for (size_t half = engine::reduce_lanes / 2; half; half /= 2) {
    for (size_t i = half; i < lane.size(); ++i) lane[i - half] += lane[i];
    lane.resize(std::min(lane.size(), half));
  }
  return lane[0];
}

// T in memory, A what is summed.
template <class T, class A, class Widen>
void expect_sums(Dtype type, Widen&& widen) {
  const engine::ReduceKernel& k =
      engine::reduce_kernels().reduce[int(engine::Monoid::sum)][index_of(type)];
  std::mt19937 random(int(type) + 1);
  for (int64_t n : {1, 2, 31, 32, 33, 63, 64, 65, 95, 96, 97, 127, 128, 129, 160, 257, 4095, 4096})
    for (int64_t columns : {1, 3, 16, 17, 40}) {
      const int64_t stride = columns + (n % 2 ? 0 : 5);
      std::vector<T> x(size_t(n * stride));
      for (T& v : x)
        if constexpr (std::is_integral_v<T>)
          v = is_half(type) ? T(random() % 0x4000) : T(random());
        else if constexpr (requires { v.imag(); })
          v = {typename T::value_type(random()) / 3, typename T::value_type(random()) / 7};
        else v = T(random()) / 3;
      std::vector<A> lanes(size_t(engine::reduce_lanes * columns)),
          got(static_cast<size_t>(columns));
      k.columns(x.data(), n, stride, columns, lanes.data(), got.data());
      for (int64_t c = 0; c < columns; ++c) {
        std::vector<A> one;
        std::vector<T> dense;
        for (int64_t i = 0; i < n; ++i) {
          dense.push_back(x[size_t(i * stride + c)]);
          one.push_back(widen(dense.back()));
        }
        const A wanted = tree_of(one);
        A chunk;
        k.chunk(dense.data(), n, &chunk);
        ASSERT_EQ(std::memcmp(&got[size_t(c)], &wanted, sizeof wanted), 0)
            << name_of(type) << " column " << c << " of " << columns << ", " << n;
        ASSERT_EQ(std::memcmp(&chunk, &wanted, sizeof wanted), 0) << name_of(type) << " " << n;
      }
    }
}

TEST(Reduce, ChunksAndColumnsOfEveryDtypeAreSummedByTheFixedTree) {
  auto same = [](auto v) { return v; };
  expect_sums<float, float>(float32, same);
  expect_sums<double, double>(float64, same);
  expect_sums<std::complex<float>, std::complex<float>>(complex64, same);
  expect_sums<std::complex<double>, std::complex<double>>(complex128, same);
  expect_sums<uint32_t, uint32_t>(int32, same);
  expect_sums<uint64_t, uint64_t>(uint64, same);
  expect_sums<uint16_t, float>(float16, [](uint16_t v) { return half_to_float(v); });
  expect_sums<uint16_t, float>(bfloat16, [](uint16_t v) { return bfloat_to_float(v); });
}

// Word by word, as the header of the kernels says.
uint32_t word(engine::Key key, uint64_t i) {
  const auto w = engine::threefry(key, uint32_t(i / 2), uint32_t(i / 2 >> 32));
  return i % 2 ? w.y : w.x;
}

TEST(Random, AnyPieceOfAStreamHasTheSameWords) {
  const engine::Key key{7, 123456789};
  for (uint64_t first : {uint64_t(0), uint64_t(1), uint64_t(13), (uint64_t(1) << 33) - 9})
    for (int64_t n : {0, 1, 2, 3, 7, 31, 32, 33, 100}) {
      std::vector<uint32_t> out(size_t(n) + 1, 77);
      engine::random_kernels().words(key, first, n, out.data());
      for (int64_t i = 0; i < n; ++i) ASSERT_EQ(out[size_t(i)], word(key, first + uint64_t(i)));
      ASSERT_EQ(out.back(), 77u);  // nothing is written past the end
    }
}

TEST(Random, UniformAndIntegerDrawsAreWhatTheirWordsSay) {
  const engine::Key key{1, 2};
  const int64_t n = 1100, first = 3;
  std::vector<float> f(n);
  std::vector<double> d(n);
  const engine::Uniform plain{1, 0, INFINITY};
  engine::random_kernels().uniform[index_of(float32)](key, first, n, plain, f.data());
  engine::random_kernels().uniform[index_of(float64)](key, first, n, plain, d.data());
  std::vector<uint8_t> small(n);
  std::vector<uint64_t> large(n), all(n);
  engine::random_kernels().integers[0](key, first, n, 5, 100, small.data());
  engine::random_kernels().integers[3](key, first, n, 5, uint64_t(3) << 40, large.data());
  engine::random_kernels().integers[3](key, first, n, 0, 0, all.data());
  for (int64_t i = 0; i < n; ++i) {
    const uint64_t at = uint64_t(first + i);
    const uint64_t both = word(key, 2 * at) | uint64_t(word(key, 2 * at + 1)) << 32;
    ASSERT_EQ(f[size_t(i)], float(word(key, at) >> 8) * 0x1p-24f);
    ASSERT_EQ(d[size_t(i)], double(both >> 11) * 0x1p-53);
    auto scaled = [&](uint64_t range) { return uint64_t((unsigned __int128)(both)*range >> 64); };
    ASSERT_EQ(small[size_t(i)], 5 + scaled(100));
    ASSERT_EQ(large[size_t(i)], 5 + scaled(uint64_t(3) << 40));
    ASSERT_EQ(all[size_t(i)], both);
  }
}
