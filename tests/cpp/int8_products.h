// Products and convolutions of int8 beside sums of one number after the other. Without kernels, by
// those of the machine.
#pragma once
#include <gtest/gtest.h>

#include <vector>

#include "engine/conv/conv.h"
#include "engine/quant/int8.h"

namespace lazulite::tests {

// All of int8's numbers.
inline int8_t number(int64_t i, int seed) {
  return int8_t(uint8_t((uint64_t(i) * 0x9e3779b97f4a7c15u + uint64_t(seed) * 77) >> 40));
}
inline std::vector<int8_t> numbers(int64_t n, int seed) {
  std::vector<int8_t> out;
  for (int64_t i = 0; i < n; ++i) out.push_back(number(i, seed));
  return out;
}
inline char* bytes(std::vector<int8_t>& v) { return reinterpret_cast<char*>(v.data()); }

struct Matrix {
  int64_t rows, cols, row, col;
  std::vector<int8_t> data;

  Matrix(int64_t rows, int64_t cols, int order, int seed) : rows(rows), cols(cols) {
    const int64_t apart = order == 2 ? 2 : 1;
    row = (order == 1 ? 1 : cols) * apart;
    col = (order == 1 ? rows : 1) * apart;
    data = numbers((rows - 1) * row + (cols - 1) * col + 1, seed);
  }
  engine::MatrixView view() { return {bytes(data), rows, cols, row, col, {}}; }
  int32_t at(int64_t r, int64_t c) const { return data[size_t(r * row + c * col)]; }
};

inline void expect_product(int64_t m, int64_t n, int64_t k, int of_a, int of_b,
                           const engine::Int8Kernels* kernels = nullptr) {
  Matrix a(m, k, of_a, 1), b(k, n, of_b, 3);
  std::vector<int32_t> out(size_t(m * n), 7);
  int64_t told = 0;
  const auto count = [](void* to, int64_t, int64_t rows, int64_t, int64_t cols) {
    __atomic_fetch_add(static_cast<int64_t*>(to), rows * cols, __ATOMIC_RELAXED);
  };
  const engine::Product p{.type = int8, .batch = {}, .m = m, .n = n, .k = k, .a = a.view(),
                          .b = b.view(), .out = reinterpret_cast<char*>(out.data()),
                          .finished = {count, &told}};
  kernels ? engine::int8_product(p, *kernels) : engine::int8_product(p);
  ASSERT_EQ(told, m * n);
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) {
      int32_t sum = 0;
      for (int64_t s = 0; s < k; ++s) sum += a.at(i, s) * b.at(s, j);
      ASSERT_EQ(out[size_t(i * n + j)], sum)
          << m << "x" << k << "x" << n << " in orders " << of_a << of_b << " at " << i << ", " << j;
    }
}

// Places, taps and channels; of three axes the first ones.
struct Sizes {
  int64_t in[3], taps[3];
  int64_t own, made, groups = 1, batch = 1, stride = 1, low = 0, high = 0, dilation = 1, spread = 1;
  bool flip = false;
};
inline void expect_convolution(const Sizes& s, int zero,
                               const engine::Int8Kernels* kernels = nullptr) {
  engine::Convolution c{int8, s.batch, s.groups, s.own * s.groups, s.made * s.groups, {}, s.flip};
  int64_t places = 1, taps = 1;
  for (int i = 0; i < 3; ++i) {
    const bool one = s.in[i] == 1 && s.taps[i] == 1;
    engine::ConvAxis& a = c.axes[i];
    a = {s.in[i], 1, s.taps[i], 1, 0, 1, 1};
    if (!one) {
      a.stride = s.stride;
      a.low = s.low;
      a.dilation = s.dilation;
      a.spread = s.spread;
      a.out = ((a.in - 1) * a.spread + 1 + a.low + s.high - (a.taps - 1) * a.dilation - 1) /
                  a.stride + 1;
    }
    places *= a.in;
    taps *= a.taps;
  }
  const engine::ConvAxis *a = c.axes;
  std::vector<int8_t> x = numbers(s.batch * places * c.in_channels, 5),
                      w = numbers(c.out_channels * taps * s.own, 9);
  const auto view = [](std::vector<int8_t>& of, int64_t b, int64_t d, int64_t e, int64_t f) {
    return engine::ConvView{bytes(of), {b * d * e * f, d * e * f, e * f, f, 1}};
  };
  std::vector<int32_t> out(size_t(s.batch * c.out_size() * c.out_channels), 7);
  engine::convolve_int8(c, view(x, a[0].in, a[1].in, a[2].in, c.in_channels),
                        view(w, a[0].taps, a[1].taps, a[2].taps, s.own), zero,
                        reinterpret_cast<char*>(out.data()), {}, nullptr, kernels);
  // Places in front of all others have no numbers: what lies around is `zero`, so adds nothing.
  const auto place = [&](int i, int64_t o, int64_t k) {
    const int64_t at = o * a[i].stride - a[i].low + k * a[i].dilation;
    return at < 0 || at % a[i].spread || at / a[i].spread >= a[i].in ? -1 : at / a[i].spread;
  };
  const int64_t down = a[1].out * a[2].out;
  for (int64_t i = 0; i < int64_t(out.size()); ++i) {
    const int64_t channel = i % c.out_channels, at = i / c.out_channels, n = at / c.out_size(),
                  o[3] = {at % c.out_size() / down, at % down / a[2].out, at % a[2].out};
    int32_t sum = 0;
    for (int64_t t = 0; t < taps; ++t) {
      const int64_t k[3] = {t / (a[1].taps * a[2].taps), t / a[2].taps % a[1].taps,
                            t % a[2].taps};
      int64_t from = n, of = channel;
      bool inside = true;
      for (int d = 0; d < 3; ++d) {
        const int64_t p = place(d, o[d], k[d]);
        inside &= p >= 0;
        from = from * a[d].in + p;
        of = of * a[d].taps + (c.flip ? a[d].taps - 1 - k[d] : k[d]);
      }
      if (!inside) continue;
      for (int64_t l = 0; l < s.own; ++l)
        sum += (x[size_t(from * c.in_channels + channel / s.made * s.own + l)] - zero) *
               w[size_t(of * s.own + l)];
    }
    ASSERT_EQ(out[size_t(i)], sum) << "at " << i << ", zero " << zero << ", " << s.own << " to "
                                   << s.made << " channels, " << s.in[1] << " x " << s.in[2];
  }
}

}  // namespace lazulite::tests
