// Rows beside packed weights in whole numbers, by the kernels of level amx on machines without AMX:
// the same unit, over tiles in plain C++. Bits are those of the level below.
#include "emulated_tiles.h"

#include "engine/quant/kernels_whole.amx.cpp"

#include <vector>

#include "base/half.h"
#include "engine/quant/quant.h"

namespace lazulite::engine {
const QuantKernels& quant_kernels_avx512();
const PanelTable& panel_kernels_avx512();
}

using namespace lazulite;
using engine::Codes;

namespace {

engine::QuantKernels filled() {
  engine::QuantKernels table = engine::quant_kernels_avx512();
  engine::LAZULITE_AT_LEVEL(fill_quant_kernels)(table);
  return table;
}

// Numbers of many sizes, some of them zeros.
float number(int64_t i) {
  const uint64_t bits = (uint64_t(i) + 1) * 0x9e3779b97f4a7c15u;
  if (bits >> 60 == 0) return 0;
  return (float(bits >> 40 & 0xffff) - 32000) * float(1 << (bits >> 58 & 7));
}

void expect_same(const engine::Format& format, Dtype type, Dtype scale_type, int64_t m, int64_t n,
                 int64_t k) {
  static const engine::QuantKernels whole = filled();
  const auto halves = [](Dtype t) { return t == float16 || t == bfloat16; };
  const auto put = [&](std::vector<char>& to, Dtype t, int64_t i, float v) {
    uint16_t half = 0;
    if (t == float16) half = float_to_half(v);
    if (t == bfloat16) half = float_to_bfloat(v);
    if (halves(t)) std::memcpy(to.data() + i * 2, &half, 2);
    else std::memcpy(to.data() + i * 4, &v, 4);
  };
  const int64_t each = halves(type) ? 2 : 4, scale_each = scale_type == uint8 ? 1
                                                          : halves(scale_type) ? 2 : 4,
                groups = n * k / format.group;
  std::vector<char> x(size_t(m * k * each)), codes(size_t(n * k * format.bits / 8)),
      scales(size_t(groups * scale_each)), biases = scales;
  // A group of nothing, and one of numbers that are nothing beside the others.
  for (int64_t i = 0; i < m * k; ++i)
    put(x, type, i,
        i / format.group % 7 == 3 ? 0 : number(i) * (i / format.group % 7 == 5 ? 1e-5f : 1e-3f));
  for (size_t i = 0; i < codes.size(); ++i) codes[i] = char(i * 167 + i / 251);
  for (int64_t i = 0; i < groups; ++i) {
    if (scale_type == uint8) {
      scales[size_t(i)] = char(format.small_scales ? 20 + i % 80 : 120 + i % 9);
      continue;
    }
    put(scales, scale_type, i, float(i % 23 - 11) / 64);
    put(biases, scale_type, i, float(i % 17 - 5) / 8);
  }
  std::vector<char> out[2];
  for (int level = 0; level < 2; ++level) {
    out[level].assign(size_t(m * n * each), 7);
    engine::PackedProduct p{.format = format, .transposed = true, .type = type,
                            .scale_type = scale_type, .factor = 1, .lines = n, .length = k,
                            .rows = {}, .parts = {}};
    for (int64_t i = 0; i < m; ++i)
      p.rows.push_back({x.data() + i * k * each, out[level].data() + i * n * each});
    p.parts.push_back({{codes.data(), scales.data(), biases.data()}, 0, m});
    engine::packed_product(p, {.panels = &engine::panel_kernels_avx512(),
                               .whole = level ? &whole : &engine::quant_kernels_avx512()});
  }
  ASSERT_EQ(std::memcmp(out[0].data(), out[1].data(), out[0].size()), 0)
      << format.bits << " bits, groups of " << format.group << ", " << m << "x" << k << "x" << n;
}

}  // namespace

TEST(AmxWhole, HasTheBitsOfTheLevelBelow) {
  for (int64_t m : {9, 16, 17, 31})
    for (int64_t n : {1, 16, 17, 32, 33, 70})
      for (int64_t k : {128, 384, 512}) {
        for (int bits : {2, 3, 4, 5, 6, 8})
          for (int group : {32, 64, 128})
            expect_same({Codes::integers, bits, group}, float32, float32, m, n, k);
        expect_same({Codes::e2m1, 4, 32}, float32, uint8, m, n, k);
        expect_same({Codes::e2m1, 4, 16, true}, float32, uint8, m, n, k);
      }
}

TEST(AmxWhole, ReadsHalvesAndOddNumbersOfGroups) {
  for (int64_t m : {9, 40})
    for (int64_t k : {160, 416, 800}) {
      for (Dtype type : {float16, bfloat16}) {
        expect_same({Codes::integers, 4, 32}, type, type, m, 37, k);
        expect_same({Codes::integers, 8, 32}, type, type, m, 37, k);
      }
      expect_same({Codes::e2m1, 4, 16, true}, float32, uint8, m, 37, k + 16);
    }
  expect_same({Codes::integers, 4, 64}, float32, float32, 530, 33, 128);
}

TEST(AmxWhole, IsLeftOutWhereTilesAreWrong) {
  for (bool broken : {false, true}) {
    lazulite::tests::emulated_tiles.broken = broken;
    EXPECT_EQ(filled().rows_apart, !broken);
  }
  lazulite::tests::emulated_tiles.broken = false;
}
