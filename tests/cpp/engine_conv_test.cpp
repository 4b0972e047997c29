// engine/conv alone: beside a plain loop over every product, for each dtype, at each level (CTest
// runs this at all of them) and number of threads.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "base/half.h"
#include "device/cpu/pool.h"
#include "engine/conv/conv.h"

using namespace lazulite;
using engine::ConvAxis;
using engine::Convolution;
using engine::ConvView;

namespace {

int64_t results(const ConvAxis& a, int64_t high) {
  return ((a.in - 1) * a.spread + 1 + a.low + high - (a.taps - 1) * a.dilation - 1) / a.stride + 1;
}

template <class T>
struct Sample {
  Convolution c;
  std::vector<T> x, w, ct;

  ConvView dense(const std::vector<T>& data, int64_t a, int64_t b, int64_t d, int64_t e) const {
    return {reinterpret_cast<const char*>(data.data()), {a * b * d * e, b * d * e, d * e, e, 1}};
  }
  ConvView of_x() const {
    return dense(x, c.axes[0].in, c.axes[1].in, c.axes[2].in, c.in_channels);
  }
  ConvView of_w() const {
    return dense(w, c.axes[0].taps, c.axes[1].taps, c.axes[2].taps, c.in_channels / c.groups);
  }
  ConvView of_ct() const {
    return dense(ct, c.axes[0].out, c.axes[1].out, c.axes[2].out, c.out_channels);
  }

  // body(element of x, of w, of the result) for every product there is.
  template <class F>
  void each(F&& body) const {
    const int64_t own = c.in_channels / c.groups, made = c.out_channels / c.groups;
    const ConvAxis* a = c.axes;
    auto place = [&](int i, int64_t o, int64_t k) {
      const int64_t at = o * a[i].stride - a[i].low + k * a[i].dilation;
      return at < 0 || at % a[i].spread || at / a[i].spread >= a[i].in ? -1 : at / a[i].spread;
    };
    auto tap = [&](int i, int64_t k) { return c.flip ? a[i].taps - 1 - k : k; };
    for (int64_t n = 0; n < c.batch; ++n)
      for (int64_t d = 0; d < a[0].out * a[1].out * a[2].out; ++d)
        for (int64_t t = 0; t < a[0].taps * a[1].taps * a[2].taps; ++t) {
          const int64_t o[3] = {d / (a[1].out * a[2].out), d / a[2].out % a[1].out, d % a[2].out},
                        k[3] = {t / (a[1].taps * a[2].taps), t / a[2].taps % a[1].taps,
                                t % a[2].taps};
          int64_t at = n, of = 0;
          bool inside = true;
          for (int i = 0; i < 3; ++i) {
            inside &= place(i, o[i], k[i]) >= 0;
            at = at * a[i].in + place(i, o[i], k[i]);
            of = of * a[i].taps + tap(i, k[i]);
          }
          if (!inside) continue;
          const int64_t taps = a[0].taps * a[1].taps * a[2].taps, out = n * c.out_size() + d;
          for (int64_t g = 0; g < c.groups; ++g)
            for (int64_t m = g * made; m < (g + 1) * made; ++m)
              for (int64_t j = 0; j < own; ++j)
                body(size_t(at * c.in_channels + g * own + j), size_t((m * taps + of) * own + j),
                     size_t(out * c.out_channels + m));
        }
  }
};

// Whole numbers, so small that every sum is exact.
template <class T>
Sample<T> sample(std::mt19937& draw, Dtype type) {
  auto any = [&](int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(draw);
  };
  Sample<T> s;
  Convolution& c = s.c;
  do {
    c = {type, any(1, 3), any(0, 2) ? 1 : any(2, 5), 0, 0, {}, any(0, 1) == 1};
    c.in_channels = c.groups * any(1, any(0, 1) ? 3 : 35);
    c.out_channels = c.groups * any(1, any(0, 1) ? 3 : 35);
    for (ConvAxis& a : c.axes) {
      a = {any(1, &a == &c.axes[2] ? 40 : 6), 0, any(1, 4), any(1, 3), any(-1, 3), any(1, 2),
           any(1, 3)};
      a.out = results(a, any(-1, 3));
    }
  } while (c.axes[0].out < 1 || c.axes[1].out < 1 || c.axes[2].out < 1);
  auto fill = [&](std::vector<T>& v, int64_t n) {
    v.resize(size_t(n));
    for (T& e : v) e = T(any(-3, 3));
  };
  fill(s.x, c.batch * c.axes[0].in * c.axes[1].in * c.axes[2].in * c.in_channels);
  fill(s.w, c.out_channels * c.axes[0].taps * c.axes[1].taps * c.axes[2].taps * c.in_channels /
                c.groups);
  fill(s.ct, c.batch * c.out_size() * c.out_channels);
  return s;
}

template <class T>
void compare(Dtype type, int count) {
  std::mt19937 draw(7);
  for (int i = 0; i < count; ++i) {
    const Sample<T> s = sample<T>(draw, type);
    std::vector<T> wanted(s.ct.size()), slopes(s.w.size());
    s.each([&](size_t x, size_t w, size_t out) {
      wanted[out] += s.x[x] * s.w[w];
      slopes[w] += s.x[x] * s.ct[out];
    });
    for (const int threads : {1, 3}) {
      cpu::set_num_threads(threads);
      std::vector<T> got(s.ct.size(), T(NAN)), dw(s.w.size(), T(NAN));
      engine::convolve(s.c, s.of_x(), s.of_w(), reinterpret_cast<char*>(got.data()));
      engine::convolve_weights(s.c, s.of_x(), s.of_ct(), reinterpret_cast<char*>(dw.data()));
      ASSERT_EQ(got, wanted) << "sample " << i;
      ASSERT_EQ(dw, slopes) << "sample " << i;
    }
  }
  cpu::set_num_threads(1);
}

TEST(Convolution, IsWhatEveryProductAddsUpTo) {
  compare<float>(float32, 150);
  compare<double>(float64, 80);
}

// The first number that is not the exact one rounded, or -1.
template <class Half>
int64_t different(const std::vector<Half>& got, const std::vector<float>& exact) {
  for (size_t k = 0; k < exact.size(); ++k) {
    const float want = float(Half(exact[k])), is = float(got[k]);
    if (is != want && !(std::isnan(is) && std::isnan(want))) return int64_t(k);
  }
  return -1;
}

// Halves are rounded once; an infinity reaches the results that see it, whatever lies beside it in
// blocks and groups of steps.
template <class Half>
void compare_halves(Dtype type, int count) {
  std::mt19937 draw(5);
  for (int i = 0; i < count; ++i) {
    Sample<float> s = sample<float>(draw, type);
    if (i % 2) s.x[draw() % s.x.size()] = INFINITY;
    Sample<Half> halves;
    halves.c = s.c;
    for (float v : s.x) halves.x.push_back(Half(v));
    for (float v : s.w) halves.w.push_back(Half(v));
    for (float v : s.ct) halves.ct.push_back(Half(v));
    std::vector<float> wanted(s.ct.size()), slopes(s.w.size());
    s.each([&](size_t x, size_t w, size_t out) {
      wanted[out] += s.x[x] * s.w[w];
      slopes[w] += s.x[x] * s.ct[out];
    });
    for (const int threads : {1, 3}) {
      cpu::set_num_threads(threads);
      std::vector<Half> got(s.ct.size(), Half(NAN)), dw(s.w.size(), Half(NAN));
      engine::convolve(s.c, halves.of_x(), halves.of_w(), reinterpret_cast<char*>(got.data()));
      engine::convolve_weights(s.c, halves.of_x(), halves.of_ct(),
                               reinterpret_cast<char*>(dw.data()));
      ASSERT_EQ(different(got, wanted), -1) << "sample " << i;
      ASSERT_EQ(different(dw, slopes), -1) << "sample " << i;
    }
  }
  cpu::set_num_threads(1);
}
TEST(Convolution, OfHalvesIsRoundedOnceAndKeepsInfinitiesApart) {
  compare_halves<bfloat16_t>(bfloat16, 300);
  compare_halves<float16_t>(float16, 60);
}

TEST(Convolution, TellsOfEachPlaceOnce) {
  std::mt19937 draw(11);
  for (int i = 0; i < 60; ++i) {
    const bool halves = i % 2;  // by other kernels: what they hold is of no matter
    const Sample<float> s = sample<float>(draw, halves ? bfloat16 : float32);
    std::vector<float> got(s.ct.size());
    struct Told {
      int64_t channels;
      std::vector<int> times;
    } told{s.c.out_channels, std::vector<int>(s.ct.size())};
    engine::Finished finished{
        [](void* context, int64_t row, int64_t rows, int64_t col, int64_t cols) {
          auto& t = *static_cast<Told*>(context);
          for (int64_t r = row; r < row + rows; ++r)
            for (int64_t c = col; c < col + cols; ++c) ++t.times[size_t(r * t.channels + c)];
        },
        &told};
    engine::convolve(s.c, s.of_x(), s.of_w(), reinterpret_cast<char*>(got.data()), finished);
    EXPECT_EQ(told.times, std::vector<int>(s.ct.size(), 1)) << "sample " << i;
  }
}

}  // namespace
