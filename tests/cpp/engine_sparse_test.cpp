// Sparse products as algorithms on raw memory, at each level and number of threads.
#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <vector>

#include "base/fail.h"
#include "device/cpu/features.h"
#include "device/cpu/pool.h"
#include "engine/sparse/sparse.h"

namespace lazulite::engine {
namespace {

struct Matrix {
  std::vector<int32_t> indices, indptr{0};
  std::vector<float> data;
  int64_t rows, columns, high, wide;

  Matrix(int64_t rows, int64_t columns, double density, int64_t high = 1, int64_t wide = 1)
      : rows(rows), columns(columns), high(high), wide(wide) {
    std::mt19937 random(unsigned(rows * 131 + columns));
    std::uniform_real_distribution<float> number(-1, 1);
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < columns; ++j)
        if (number(random) * 0.5 + 0.5 < density) indices.push_back(int32_t(j));
      indptr.push_back(int32_t(indices.size()));
    }
    data.resize(indices.size() * size_t(high * wide));
    for (float& v : data) v = number(random);
  }
  SparsePattern pattern() const {
    return {reinterpret_cast<const char*>(indices.data()),
            reinterpret_cast<const char*>(indptr.data()), int32, rows, columns,
            int64_t(indices.size())};
  }
};

std::vector<float> product(const Matrix& m, const std::vector<float>& b, int64_t columns) {
  std::vector<float> out(size_t(m.rows * m.high * columns), -1);
  sparse_product({.pattern = m.pattern(),
                  .type = float32,
                  .high = m.high,
                  .wide = m.wide,
                  .data = reinterpret_cast<const char*>(m.data.data()),
                  .b = reinterpret_cast<const char*>(b.data()),
                  .step = columns,
                  .end = int64_t(b.size()),
                  .columns = columns,
                  .out = reinterpret_cast<char*>(out.data())},
                 "test");
  return out;
}

TEST(Sparse, ProductsAreThoseOfDenseMatrices) {
  for (const auto& [high, wide] : {std::pair{1, 1}, {2, 3}, {9, 1}, {16, 16}})
    for (const int64_t columns : {1, 3, 16, 17, 64, 133}) {
      const Matrix m(23, 17, 0.3, high, wide);
      std::vector<float> b(size_t(17 * wide * columns));
      for (size_t i = 0; i < b.size(); ++i) b[i] = float(i % 13) - 6;
      std::vector<double> wanted(size_t(23 * high * columns), 0);
      for (int64_t i = 0; i < 23; ++i)
        for (int64_t p = m.indptr[size_t(i)]; p < m.indptr[size_t(i) + 1]; ++p)
          for (int64_t r = 0; r < high; ++r)
            for (int64_t c = 0; c < wide; ++c)
              for (int64_t j = 0; j < columns; ++j)
                wanted[size_t((i * high + r) * columns + j)] +=
                    double(m.data[size_t((p * high + r) * wide + c)]) *
                    b[size_t((m.indices[size_t(p)] * wide + c) * columns + j)];
      const std::vector<float> got = product(m, b, columns);
      for (size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], wanted[i], 1e-3) << columns;
    }
}

TEST(Sparse, BitsDoNotDependOnThreads) {
  const Matrix m(700, 300, 0.2);
  std::vector<float> b(300 * 70);
  for (size_t i = 0; i < b.size(); ++i) b[i] = float(i % 101) / 7;
  const int before = cpu::num_threads();
  cpu::set_least_cost(1e9);
  cpu::set_num_threads(1);
  const std::vector<float> one = product(m, b, 70);
  cpu::set_num_threads(4);
  const std::vector<float> many = product(m, b, 70);
  cpu::set_num_threads(before);
  cpu::set_least_cost(0);
  EXPECT_EQ(std::memcmp(one.data(), many.data(), one.size() * sizeof(float)), 0);
}

TEST(Sparse, WhatDoesNotFitIsRefused) {
  Matrix m(4, 5, 0.5);
  const std::vector<float> b(5 * 3, 1);
  for (const int32_t bad : {-1, 5, INT32_MAX, INT32_MIN}) {
    Matrix wrong = m;
    wrong.indices[1] = bad;
    EXPECT_THROW(product(wrong, b, 3), Error);
  }
  for (size_t i = 0; i < m.indptr.size(); ++i) {
    Matrix wrong = m;
    wrong.indptr[i] += 100;
    EXPECT_THROW(product(wrong, b, 3), Error);
    wrong.indptr[i] -= 200;
    EXPECT_THROW(product(wrong, b, 3), Error);
  }
}

TEST(Sparse, NumbersAreGroupedInOrder) {
  const std::vector<int64_t> numbers{3, 0, 3, 1, 3};
  std::vector<int64_t> begin(5), order(5), rows(5);
  group_numbers(reinterpret_cast<const char*>(numbers.data()), int64, 5, nullptr, 0, 4,
                reinterpret_cast<char*>(begin.data()), reinterpret_cast<char*>(order.data()),
                "test");
  EXPECT_EQ(begin, (std::vector<int64_t>{0, 1, 2, 2, 5}));
  EXPECT_EQ(order, (std::vector<int64_t>{1, 3, 0, 2, 4}));
  rows_of_places(reinterpret_cast<const char*>(begin.data()), int64, 4, 5,
                 reinterpret_cast<char*>(rows.data()), "test");
  EXPECT_EQ(rows, (std::vector<int64_t>{0, 1, 3, 3, 3}));
}

TEST(Sparse, TheProductOfPatternsIsSortedAndComplete) {
  const Matrix a(30, 20, 0.2), b(20, 40, 0.2);
  std::vector<int32_t> begin(31);
  count_product(a.pattern(), b.pattern(), reinterpret_cast<char*>(begin.data()), "test");
  std::vector<int32_t> indices(size_t(begin.back()));
  fill_product(a.pattern(), b.pattern(), reinterpret_cast<char*>(begin.data()), begin.back(),
               reinterpret_cast<char*>(indices.data()), "test");
  for (int64_t i = 0; i < 30; ++i) {
    std::vector<bool> there(40);
    for (int64_t p = a.indptr[size_t(i)]; p < a.indptr[size_t(i) + 1]; ++p)
      for (int64_t q = b.indptr[size_t(a.indices[size_t(p)])];
           q < b.indptr[size_t(a.indices[size_t(p)]) + 1]; ++q)
        there[size_t(b.indices[size_t(q)])] = true;
    std::vector<int32_t> wanted;
    for (int32_t j = 0; j < 40; ++j)
      if (there[size_t(j)]) wanted.push_back(j);
    EXPECT_EQ(wanted, std::vector<int32_t>(indices.begin() + begin[size_t(i)],
                                           indices.begin() + begin[size_t(i) + 1]));
  }
}

}  // namespace
}  // namespace lazulite::engine
