// The kernels of level amx on machines without AMX: the same unit, over tiles in plain C++. (Where
// there is AMX, the engine's tests run at its level, too.)
#include "emulated_pairs.h"
#include "emulated_tiles.h"

#include "engine/gemm/kernels_panels.amx.cpp"

#include <vector>

#include "base/half.h"
#include "engine/conv/conv.h"
#include "engine/gemm/panel_product.h"
#include "engine/quant/quant.h"

namespace lazulite::engine {
const PanelTable& panel_kernels_avx512();  // what the level lies on
}

using namespace lazulite;

namespace {

const engine::PanelTable& panels() {
  static const engine::PanelTable filled = [] {
    engine::PanelTable table = engine::panel_kernels_avx512();
    engine::LAZULITE_AT_LEVEL(fill_panel_kernels)(table);
    return table;
  }();
  return filled;
}
const engine::PanelKernels& kernels() { return panels().of[int(Dtype::bfloat16)]; }

uint16_t rounded(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, 4);
  return uint16_t((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

struct Matrix {
  int64_t rows, cols, row, col;
  std::vector<float> numbers;
  std::vector<uint16_t> halves;

  // Whole numbers, so that all sums are exact.
  Matrix(int64_t rows, int64_t cols, int order, int seed) : rows(rows), cols(cols) {
    const int64_t apart = order == 2 ? 2 : 1;
    row = (order == 1 ? 1 : cols) * apart;
    col = (order == 1 ? rows : 1) * apart;
    numbers.resize(size_t((rows - 1) * row + (cols - 1) * col + 1));
    for (size_t i = 0; i < numbers.size(); ++i)
      numbers[i] = float((int64_t(i) * 7 + seed + int64_t(i) / 11) % 7 - 3);
    for (float x : numbers) {
      uint32_t bits;
      std::memcpy(&bits, &x, 4);
      halves.push_back(uint16_t(bits >> 16));
    }
  }
  engine::MatrixView view() {
    return {reinterpret_cast<char*>(halves.data()), rows, cols, row, col, {}};
  }
};

void expect_product(int64_t m, int64_t n, int64_t k, int of_a, int of_b) {
  Matrix a(m, k, of_a, 1), b(k, n, of_b, 3);
  std::vector<uint16_t> out(size_t(m * n), 7);
  engine::panel_product({.type = bfloat16, .batch = {}, .m = m, .n = n, .k = k, .a = a.view(),
                         .b = b.view(), .out = reinterpret_cast<char*>(out.data())},
                        kernels());
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) {
      float sum = 0;
      for (int64_t s = 0; s < k; ++s)
        sum += a.numbers[size_t(i * a.row + s * a.col)] * b.numbers[size_t(s * b.row + j * b.col)];
      ASSERT_EQ(out[size_t(i * n + j)], rounded(sum))
          << m << "x" << k << "x" << n << " in orders " << of_a << of_b << " at " << i << ", " << j;
    }
}

}  // namespace

TEST(Amx, MultipliesInAnyLayoutPastTheBordersOfItsTiles) {
  const int64_t lines[] = {5, 16, 17, 31, 32, 33, 49, 95};
  for (int64_t m : lines)
    for (int64_t n : lines)
      for (int64_t k : {1, 2, 31, 32, 33, 70})
        for (int orders = 0; orders < 9; ++orders) expect_product(m, n, k, orders / 3, orders % 3);
}

TEST(Amx, CutsTheInnerAxis) {
  const int64_t sizes[][3] = {{7, 9, 511}, {40, 70, 512}, {33, 20, 513}, {70, 40, 1500},
                              {20, 18, 9000}, {300, 9, 1100}, {1100, 33, 600}, {33, 1100, 600}};
  for (auto& s : sizes)
    for (int orders = 0; orders < 4; ++orders)
      expect_product(s[0], s[1], s[2], orders / 2, orders % 2);
}

// Both operands are packed, or rows are read as they lie: more than one task, window and block.
TEST(Amx, SharesLargeProductsAmongTasks) {
  const int64_t sizes[][3] = {{260, 257, 40}, {300, 290, 300}, {257, 600, 64}, {580, 270, 544},
                              {261, 1100, 4200}};
  for (auto& s : sizes)
    for (int orders : {0, 1, 4, 8})
      if (s[2] < 1000 || orders < 2) expect_product(s[0], s[1], s[2], orders / 3, orders % 3);
}

TEST(Amx, HasDotProductsForFewRows) {
  for (int64_t m : {1, 2, 3, 4})
    for (int64_t k : {1, 31, 32, 33, 200})
      for (int orders = 0; orders < 4; ++orders) {
        expect_product(m, 37, k, orders / 2, orders % 2);
        expect_product(37, m, k, orders / 2, orders % 2);
      }
}

// Two axes, channels last; runs of whole groups are read as they lie, others are copied.
TEST(Amx, Convolves) {
  struct Sizes {
    int64_t channels, made, taps, stride, low, dilation, groups;
  };
  for (const Sizes& s : {Sizes{32, 40, 3, 1, 1, 1, 1},
                         {64, 17, 1, 1, 0, 1, 1},
                         {3, 33, 7, 2, 3, 1, 1},
                         {32, 8, 3, 1, 2, 2, 1},
                         {20, 9, 3, 2, 1, 2, 1},
                         {64, 32, 3, 1, 1, 1, 2}}) {
    const int64_t in = 40, out = (in + 2 * s.low - (s.taps - 1) * s.dilation - 1) / s.stride + 1,
                  own = s.channels / s.groups, made = s.made / s.groups;
    Matrix x(2 * in * in, s.channels, 0, 1), w(s.made * s.taps * s.taps, own, 0, 2);
    const engine::ConvAxis axis{in, out, s.taps, s.stride, s.low, s.dilation, 1};
    std::vector<uint16_t> got(size_t(2 * out * out * s.made), 7);
    const auto chars = [](const auto& v) { return reinterpret_cast<const char*>(v.data()); };
    const engine::Convolution c{
        bfloat16, 2, s.groups, s.channels, s.made, {{1, 1, 1, 1, 0, 1, 1}, axis, axis}, false};
    const engine::ConvView of_x{chars(x.halves),
                                {in * in * s.channels, 0, in * s.channels, s.channels, 1}};
    engine::convolve(c, of_x,
                     {chars(w.halves), {s.taps * s.taps * own, 0, s.taps * own, own, 1}},
                     reinterpret_cast<char*>(got.data()), {}, nullptr, &kernels());
    Matrix ct(2 * out * out, s.made, 0, 4);
    std::vector<uint16_t> dw(w.halves.size(), 7);
    std::vector<float> slopes(w.halves.size());
    engine::convolve_weights(c, of_x,
                             {chars(ct.halves), {out * out * s.made, 0, out * s.made, s.made, 1}},
                             reinterpret_cast<char*>(dw.data()), &kernels());
    for (int64_t i = 0; i < int64_t(got.size()); ++i) {
      const int64_t n = i / (out * out * s.made), line = i % s.made, first = line / made * own;
      float sum = 0;
      for (int64_t t = 0; t < s.taps * s.taps; ++t) {
        const int64_t row = i / s.made / out % out * s.stride - s.low + t / s.taps * s.dilation,
                      col = i / s.made % out * s.stride - s.low + t % s.taps * s.dilation;
        if (row < 0 || row >= in || col < 0 || col >= in) continue;
        for (int64_t k = 0; k < own; ++k) {
          const float seen =
              x.numbers[size_t(((n * in + row) * in + col) * s.channels + first + k)];
          const size_t weight = size_t((line * s.taps * s.taps + t) * own + k);
          sum += seen * w.numbers[weight];
          slopes[weight] += seen * ct.numbers[size_t(i)];
        }
      }
      ASSERT_EQ(got[size_t(i)], rounded(sum)) << s.channels << " to " << s.made << " at " << i;
    }
    for (size_t i = 0; i < dw.size(); ++i)
      ASSERT_EQ(dw[i], rounded(slopes[i])) << s.channels << " to " << s.made << ", slope " << i;
  }
}

// Rows beside packed weights, whose codes become panels of bfloat16. All that is made is exact.
TEST(Amx, MultipliesByPackedWeights) {
  for (int64_t m : {9, 16, 33, 40})
    for (int64_t n : {1, 17, 32, 70})
      for (int64_t k : {64, 384, 448, 1024}) {
        Matrix x(m, k, 0, 1);
        std::vector<uint8_t> codes(size_t(n * k / 2));
        for (size_t i = 0; i < codes.size(); ++i) codes[i] = uint8_t(i * 37 + i / 50);
        const std::vector<uint16_t> scales(size_t(n * k / 64), rounded(0.5f)),
            biases(size_t(n * k / 64), rounded(-4));
        std::vector<uint16_t> out(size_t(m * n), 7);
        const auto chars = [](const auto& v) { return reinterpret_cast<const char*>(v.data()); };
        engine::PackedProduct p{.format = {engine::Codes::integers, 4, 64}, .transposed = true,
                                .type = bfloat16, .scale_type = bfloat16, .factor = 1, .lines = n,
                                .length = k, .rows = {}, .parts = {}};
        for (int64_t i = 0; i < m; ++i)
          p.rows.push_back({chars(x.halves) + i * k * 2,
                            reinterpret_cast<char*>(out.data() + i * n)});
        p.parts.push_back({{chars(codes), chars(scales), chars(biases)}, 0, m});
        engine::packed_product(p, {.panels = &panels(), .whole = nullptr});
        for (int64_t i = 0; i < m; ++i)
          for (int64_t j = 0; j < n; ++j) {
            float sum = 0;
            for (int64_t s = 0; s < k; ++s) {
              const int64_t at = j * k + s;
              const int code = codes[size_t(at / 2)] >> (at % 2 * 4) & 15;
              sum += x.numbers[size_t(i * k + s)] * (0.5f * float(code) - 4);
            }
            ASSERT_EQ(out[size_t(i * n + j)], rounded(sum)) << m << "x" << k << "x" << n;
          }
      }
}

TEST(Amx, IsLeftOutWhereTilesAreWrong) {
  for (bool broken : {false, true}) {
    lazulite::tests::emulated_tiles.broken = broken;
    engine::PanelTable table = engine::panel_kernels_avx512();
    engine::LAZULITE_AT_LEVEL(fill_panel_kernels)(table);
    EXPECT_EQ(table.of[int(Dtype::bfloat16)].pack_left == nullptr, broken);
  }
  lazulite::tests::emulated_tiles.broken = false;
}
