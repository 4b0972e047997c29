// Products and convolutions of int8 by the kernels of each level that the machine has.
#include "int8_products.h"

#include <cstring>

#include "device/cpu/packed.h"

using namespace lazulite;
using tests::expect_convolution;
using tests::expect_product;

TEST(Int8, MultipliesInAnyLayoutPastTheBordersOfItsBlocks) {
  const int64_t rows[] = {1, 2, 3, 4, 5, 8, 9, 13, 14, 15, 29, 33},
                cols[] = {1, 4, 8, 9, 16, 31, 33};
  for (int64_t m : rows)
    for (int64_t n : cols)
      for (int64_t k : {1, 3, 4, 5, 15, 16, 17, 31, 63, 64, 65, 130})
        for (int orders = 0; orders < 9; ++orders) expect_product(m, n, k, orders / 3, orders % 3);
}

TEST(Int8, CutsTheInnerAxisManyRowsAndManyColumns) {
  const int64_t sizes[][3] = {{9, 33, 767},  {9, 33, 769},    {40, 31, 1024}, {33, 20, 1537},
                              {17, 40, 3100}, {530, 9, 70},   {1100, 33, 64}, {33, 600, 65},
                              {1, 131, 2000}, {8, 70, 20000}, {5, 300, 1000}};
  for (auto& s : sizes)
    for (int orders = 0; orders < 9; ++orders)
      expect_product(s[0], s[1], s[2], orders / 3, orders % 3);
}

// The right operand comes again and again, is packed and kept, and is dropped when it is written.
TEST(Int8, MultipliesByWhatIsKeptPacked) {
  constexpr int64_t n = 197, k = 1605;
  const Ref<Buffer> held = allocate(n * k);
  auto* b = static_cast<int8_t*>(held->data);
  const int64_t before = cpu::packed_bytes();
  for (int orders = 0; orders < 2; ++orders) {
    const int64_t row = orders ? 1 : n, col = orders ? k : 1;
    for (int round = 0; round < 6; ++round) {
      if (round % 4 == 0) {
        cpu::drop_packed(*held);
        const std::vector<int8_t> fresh = tests::numbers(n * k, 40 + round);
        std::memcpy(b, fresh.data(), fresh.size());
      }
      for (int64_t m : {11, 40}) {
        std::vector<int8_t> a = tests::numbers(m * k, round);
        std::vector<int32_t> out(size_t(m * n));
        engine::int8_product({.type = int8, .batch = {}, .m = m, .n = n, .k = k,
                              .a = {tests::bytes(a), m, k, k, 1, {}},
                              .b = {static_cast<char*>(held->data), k, n, row, col, {}},
                              .out = reinterpret_cast<char*>(out.data()), .weights = held.get()});
        for (int64_t i = 0; i < m; ++i)
          for (int64_t j = 0; j < n; ++j) {
            int32_t sum = 0;
            for (int64_t s = 0; s < k; ++s) sum += a[size_t(i * k + s)] * b[s * row + j * col];
            ASSERT_EQ(out[size_t(i * n + j)], sum) << round << ": " << m << ", " << i << ", " << j;
          }
      }
    }
    EXPECT_GT(cpu::packed_bytes(), before);
  }
  cpu::drop_packed(*held);
}

TEST(Int8, ConvolvesPastTheBordersOfItsBlocks) {
  for (int zero : {0, -3, 127, -128}) {
    for (int64_t places : {1, 7, 13, 14, 15, 33})
      for (int64_t own : {1, 3, 21, 64})
        for (int64_t made : {1, 16, 17, 33})
          expect_convolution({.in = {1, 1, places}, .taps = {1, 1, 3}, .own = own, .made = made,
                              .low = 1, .high = 1}, zero);
    expect_convolution({.in = {1, 9, 20}, .taps = {1, 3, 3}, .own = 32, .made = 20, .batch = 2,
                        .stride = 2, .low = 1, .high = 1}, zero);
    expect_convolution({.in = {4, 5, 6}, .taps = {3, 2, 3}, .own = 12, .made = 10, .groups = 3,
                        .low = 1, .high = 1}, zero);
    expect_convolution({.in = {1, 5, 18}, .taps = {1, 3, 3}, .own = 401, .made = 33, .low = 1,
                        .high = 1}, zero);
  }
}
