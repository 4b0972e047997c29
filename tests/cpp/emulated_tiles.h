// AMX's tiles in plain C++, for machines that have none: what the intrinsics do, and a failure
// where the processor would refuse (Intel's manual of instruction-set extensions: LDTILECFG,
// TILELOADD, TILESTORED, TDPBF16PS, TDPBSSD and
// its kin, TILEZERO).
#pragma once
#include <cstdint>
#include <cstring>

#include <gtest/gtest.h>
#include <immintrin.h>

namespace lazulite::tests {

class EmulatedTiles {
 public:
  bool broken = false;  // sums are wrong

  void configure(const void* given) {
    const uint8_t* c = static_cast<const uint8_t*>(given);
    ASSERT_EQ(c[0], 1) << "palette";
    for (int i = 1; i < 16; ++i) ASSERT_EQ(c[i], 0) << "start row or reserved byte " << i;
    for (int t = 0; t < 16; ++t) {
      uint16_t bytes;
      std::memcpy(&bytes, c + 16 + 2 * t, 2);
      const int rows = c[48 + t];
      ASSERT_EQ(rows == 0, bytes == 0) << "tile " << t;
      ASSERT_TRUE(t < 8 || rows == 0) << "tile " << t;
      ASSERT_LE(rows, 16);
      ASSERT_LE(bytes, 64);
      ASSERT_EQ(bytes % 4, 0);
      if (t < 8) tiles_[t] = {rows, bytes, {}};
    }
    configured_ = true;
  }
  void release() { configured_ = false; }
  void load(int t, const void* from, int64_t stride) {
    if (!has(t)) return;
    for (int r = 0; r < tiles_[t].rows; ++r)
      std::memcpy(tiles_[t].data[r], static_cast<const char*>(from) + r * stride,
                  size_t(tiles_[t].bytes));
  }
  void store(int t, void* to, int64_t stride) {
    if (!has(t)) return;
    for (int r = 0; r < tiles_[t].rows; ++r)
      std::memcpy(static_cast<char*>(to) + r * stride, tiles_[t].data[r], size_t(tiles_[t].bytes));
  }
  void zero(int t) {
    if (has(t)) std::memset(tiles_[t].data, 0, sizeof tiles_[t].data);
  }
  // Sums of the even and of the odd products of a row, added at the end.
  void add_pairs(int sums, int a, int b) {
    if (!fit(sums, a, b)) return;
    Tile &c = tiles_[sums], &x = tiles_[a], &y = tiles_[b];
    for (int m = 0; m < c.rows; ++m)
      for (int n = 0; n < c.bytes / 4; ++n) {
        float part[2] = {0, 0}, sum;
        for (int k = 0; k < x.bytes / 4; ++k)
          for (int h = 0; h < 2; ++h)
            part[h] += number(x.data[m] + 4 * k + 2 * h) * number(y.data[k] + 4 * n + 2 * h);
        std::memcpy(&sum, c.data[m] + 4 * n, 4);
        sum += part[0] + part[1] + (broken && m == 15 ? 1 : 0);
        std::memcpy(c.data[m] + 4 * n, &sum, 4);
      }
  }
  // Sums wrap.
  template <class A, class B>
  void add_bytes(int sums, int a, int b) {
    if (!fit(sums, a, b)) return;
    Tile &c = tiles_[sums], &x = tiles_[a], &y = tiles_[b];
    for (int m = 0; m < c.rows; ++m)
      for (int n = 0; n < c.bytes / 4; ++n) {
        uint32_t sum;
        std::memcpy(&sum, c.data[m] + 4 * n, 4);
        for (int k = 0; k < x.bytes; ++k)
          sum += uint32_t(int32_t(A(x.data[m][k])) * int32_t(B(y.data[k / 4][4 * n + k % 4])));
        if (broken && m == 15) ++sum;
        std::memcpy(c.data[m] + 4 * n, &sum, 4);
      }
  }

 private:
  struct Tile {
    int rows = 0, bytes = 0;
    char data[16][64] = {};
  };
  bool has(int t) {
    const bool there = configured_ && t < 8 && tiles_[t].rows > 0;
    EXPECT_TRUE(there) << "tile " << t << " is not configured";
    return there;
  }
  bool fit(int sums, int a, int b) {
    if (!has(sums) || !has(a) || !has(b)) return false;
    const Tile &c = tiles_[sums], &x = tiles_[a], &y = tiles_[b];
    const bool apart = sums != a && sums != b && a != b,
               fit = c.rows == x.rows && c.bytes == y.bytes && x.bytes == y.rows * 4;
    EXPECT_TRUE(apart && fit) << "tiles " << sums << ", " << a << ", " << b;
    return apart && fit;
  }
  static float number(const char* at) {
    uint16_t half;
    std::memcpy(&half, at, 2);
    const uint32_t bits = (half & 0x7f80) == 0 ? (half & 0x8000u) << 16 : uint32_t{half} << 16;
    float x;
    std::memcpy(&x, &bits, 4);
    return x;
  }

  Tile tiles_[8];
  bool configured_ = false;
};

inline thread_local EmulatedTiles emulated_tiles;

}  // namespace lazulite::tests

#undef _tile_loadconfig
#undef _tile_release
#undef _tile_loadd
#undef _tile_stored
#undef _tile_dpbf16ps
#undef _tile_zero
#undef _tile_dpbssd
#undef _tile_dpbsud
#undef _tile_dpbusd
#undef _tile_dpbuud
#define _tile_loadconfig(c) lazulite::tests::emulated_tiles.configure(c)
#define _tile_release() lazulite::tests::emulated_tiles.release()
#define _tile_loadd(t, from, stride) lazulite::tests::emulated_tiles.load(t, from, stride)
#define _tile_stored(t, to, stride) lazulite::tests::emulated_tiles.store(t, to, stride)
#define _tile_dpbf16ps(c, a, b) lazulite::tests::emulated_tiles.add_pairs(c, a, b)
#define _tile_dpbssd(c, a, b) lazulite::tests::emulated_tiles.add_bytes<int8_t, int8_t>(c, a, b)
#define _tile_dpbsud(c, a, b) lazulite::tests::emulated_tiles.add_bytes<int8_t, uint8_t>(c, a, b)
#define _tile_dpbusd(c, a, b) lazulite::tests::emulated_tiles.add_bytes<uint8_t, int8_t>(c, a, b)
#define _tile_dpbuud(c, a, b) lazulite::tests::emulated_tiles.add_bytes<uint8_t, uint8_t>(c, a, b)
#define _tile_zero(t) lazulite::tests::emulated_tiles.zero(t)
