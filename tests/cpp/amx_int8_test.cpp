// Products and convolutions of int8 by the kernels of level amx on machines without AMX: the same
// unit, over tiles in plain C++.
#include "emulated_tiles.h"

#include "engine/quant/kernels_int8.amx.cpp"

#include "int8_products.h"

namespace lazulite::engine {
const Int8Kernels& int8_kernels_avx512();  // what the level lies on, but for VNNI
}

using namespace lazulite;

namespace {

const engine::Int8Kernels& kernels() {
  static const engine::Int8Kernels filled = [] {
    engine::Int8Kernels table = engine::int8_kernels_avx512();
    engine::LAZULITE_AT_LEVEL(fill_int8_kernels)(table);
    return table;
  }();
  return filled;
}
void expect_product(int64_t m, int64_t n, int64_t k, int of_a, int of_b) {
  tests::expect_product(m, n, k, of_a, of_b, &kernels());
}
void expect_convolution(const tests::Sizes& sizes, int zero) {
  tests::expect_convolution(sizes, zero, &kernels());
}

}  // namespace

TEST(AmxInt8, MultipliesInAnyLayoutPastTheBordersOfItsTiles) {
  const int64_t lines[] = {1, 5, 16, 17, 31, 32, 33, 49};
  for (int64_t m : lines)
    for (int64_t n : lines)
      for (int64_t k : {1, 3, 4, 5, 63, 64, 65, 130})
        for (int orders = 0; orders < 9; ++orders) expect_product(m, n, k, orders / 3, orders % 3);
}

TEST(AmxInt8, CutsTheInnerAxisAndManyRows) {
  const int64_t sizes[][3] = {{9, 33, 1023}, {40, 31, 1024}, {33, 20, 1025}, {17, 40, 2500},
                              {530, 9, 70}, {1100, 33, 64}, {33, 600, 65}};
  for (auto& s : sizes)
    for (int orders = 0; orders < 4; ++orders)
      expect_product(s[0], s[1], s[2], orders / 2, orders % 2);
}

TEST(AmxInt8, ConvolvesPastTheBordersOfItsTiles) {
  for (int zero : {0, -3, 127, -128}) {
    for (int64_t places : {1, 7, 16, 17, 33, 70})
      for (int64_t own : {1, 3, 21, 64, 65})
        for (int64_t made : {1, 16, 17, 32, 40})
          expect_convolution({.in = {1, 1, places}, .taps = {1, 1, 3}, .own = own, .made = made,
                              .low = 1, .high = 1}, zero);
    // In two dimensions and in three, with all that an axis may have.
    expect_convolution({.in = {1, 9, 20}, .taps = {1, 3, 3}, .own = 32, .made = 20, .batch = 2,
                        .stride = 2, .low = 1, .high = 1}, zero);
    expect_convolution({.in = {1, 9, 20}, .taps = {1, 3, 2}, .own = 33, .made = 20, .low = 2,
                        .high = 3, .dilation = 2}, zero);
    expect_convolution({.in = {1, 5, 12}, .taps = {1, 4, 3}, .own = 16, .made = 33, .low = 2,
                        .high = 2, .spread = 2, .flip = true}, zero);
    expect_convolution({.in = {4, 5, 6}, .taps = {3, 2, 3}, .own = 12, .made = 10, .groups = 3,
                        .low = 1, .high = 1}, zero);
    expect_convolution({.in = {1, 6, 37}, .taps = {1, 1, 1}, .own = 70, .made = 40}, zero);
    // Sums in two blocks.
    expect_convolution({.in = {1, 5, 18}, .taps = {1, 3, 3}, .own = 401, .made = 33, .low = 1,
                        .high = 1}, zero);
  }
}

TEST(AmxInt8, IsLeftOutWhereTilesAreWrong) {
  for (bool broken : {false, true}) {
    lazulite::tests::emulated_tiles.broken = broken;
    engine::Int8Kernels table = engine::int8_kernels_avx512();
    engine::LAZULITE_AT_LEVEL(fill_int8_kernels)(table);
    EXPECT_EQ(table.together == 1, broken);
  }
  lazulite::tests::emulated_tiles.broken = false;
}
