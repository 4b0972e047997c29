// Integer division of vectors (cpp/simd/integers.h) at the instruction-set level that this file is
// compiled for, against that of single numbers: each pair of 8 bits, and of more those on both
// sides of every border, with random ones of all sizes between.
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <random>
#include <vector>

#include "simd/integers.h"

namespace {

namespace simd = lazulite::simd;
using simd::Vec;

template <class T> T quotient_of(T a, T b) { return simd::floor_divide_lane(a, b); }
template <class T> T rest_of(T a, T b) { return simd::floor_mod_lane(a, b); }

/// What lies about 0, the ends, powers of two and some of their thirds, and numbers of any size.
template <class T> std::vector<T> numbers(int random) {
  using U = std::make_unsigned_t<T>;
  constexpr int bits = int(sizeof(T)) * 8;
  std::vector<T> out;
  const auto about = [&](U x) {
    for (int i = -3; i <= 3; ++i) {
      out.push_back(T(U(x + U(i))));
      out.push_back(T(U(U(i) - x)));
    }
  };
  about(0);
  for (int i = 0; i < bits; ++i) {
    about(U(U(1) << i));
    about(U((U(1) << i) / 3));
  }
  std::mt19937_64 engine(7);
  for (int i = 0; i < random; ++i) {
    const U x = U(engine() >> (64 - bits)) >> (engine() % uint64_t(bits));
    out.push_back(T(engine() & 1 ? x : U(-x)));
  }
  return out;
}

template <class T> std::vector<T> every_byte() {
  std::vector<T> out(256);
  for (int i = 0; i < 256; ++i) out[size_t(i)] = T(i);
  return out;
}
template <class T> std::vector<T> some_of() {
  if constexpr (sizeof(T) == 1) return every_byte<T>();
  else return numbers<T>(sizeof(T) == 2 ? 300 : 1000);
}

template <class T> class Integers : public testing::Test {};
using All =
    testing::Types<int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t>;
TYPED_TEST_SUITE(Integers, All);

template <class T> struct Lines {
  std::vector<T> values, padded;
  explicit Lines(std::vector<T> all) : values(std::move(all)), padded(values) {
    padded.resize((values.size() / size_t(Vec<T>::size) + 1) * size_t(Vec<T>::size));
  }
};

TYPED_TEST(Integers, TwoVectors) {
  using T = TypeParam;
  using V = Vec<T>;
  const Lines<T> a(some_of<T>());
  for (size_t turn = 0; turn < a.values.size(); ++turn) {
    std::vector<T> b(a.padded.size(), T(1));   // another divisor in each lane
    for (size_t i = 0; i < a.values.size(); ++i) b[i] = a.values[(i + turn) % a.values.size()];
    for (size_t i = 0; i < a.padded.size(); i += size_t(V::size)) {
      T q[V::size], r[V::size];
      simd::floor_quotient(V::load(&a.padded[i]), V::load(&b[i])).store(q);
      simd::floor_rest(V::load(&a.padded[i]), V::load(&b[i])).store(r);
      for (size_t j = 0; j < size_t(V::size); ++j) {
        const T x = a.padded[i + j], y = b[i + j];
        ASSERT_EQ(q[j], quotient_of(x, y)) << +x << " // " << +y;
        ASSERT_EQ(r[j], rest_of(x, y)) << +x << " % " << +y;
      }
    }
  }
}

TYPED_TEST(Integers, OneDivisor) {
  using T = TypeParam;
  using V = Vec<T>;
  const Lines<T> a(some_of<T>());
  for (const T d : a.values) {
    if (d == 0) continue;
    const simd::Divisor<T> by(d);
    by.choose([&](auto way) {
      for (size_t i = 0; i < a.padded.size(); i += size_t(V::size)) {
        T q[V::size], r[V::size];
        by.quotient(V::load(&a.padded[i]), way).store(q);
        by.rest(V::load(&a.padded[i]), way).store(r);
        for (size_t j = 0; j < size_t(V::size); ++j) {
          const T x = a.padded[i + j];
          ASSERT_EQ(q[j], quotient_of(x, d)) << +x << " // " << +d;
          ASSERT_EQ(r[j], rest_of(x, d)) << +x << " % " << +d;
        }
      }
    });
  }
}

/// Of 16 bits all dividends, by divisors of every size.
template <class T> void every_dividend() {
  using V = Vec<T>;
  for (const T d : numbers<T>(30)) {
    if (d == 0) continue;
    const simd::Divisor<T> by(d);
    by.choose([&](auto way) {
      for (int first = 0; first < 1 << 16; first += V::size) {
        T x[V::size], q[V::size], one[V::size];
        for (int j = 0; j < V::size; ++j) x[j] = T(first + j);
        simd::floor_quotient(V::load(x), V(d)).store(q);
        by.quotient(V::load(x), way).store(one);
        for (int j = 0; j < V::size; ++j) {
          ASSERT_EQ(q[j], quotient_of(x[j], d)) << x[j] << " // " << d;
          ASSERT_EQ(one[j], quotient_of(x[j], d)) << x[j] << " // " << d;
        }
      }
    });
  }
}
TEST(Integers16, EveryDividend) {
  every_dividend<int16_t>();
  every_dividend<uint16_t>();
}

// The half of a quotient that comes nearest to an integer: dividends that are k * b - 1 and k * b.
TYPED_TEST(Integers, BesideMultiples) {
  using T = TypeParam;
  using V = Vec<T>;
  std::mt19937_64 engine(11);
  const std::vector<T> divisors = numbers<T>(200);
  for (const T d : divisors) {
    if (d == 0) continue;
    T x[V::size], q[V::size];
    for (int round = 0; round < 8; ++round) {
      for (int j = 0; j < V::size; ++j) {
        const T any = T(engine());
        const T whole = T(any - rest_of(any, d));
        x[j] = T(uint64_t(whole) - (j & 1));
      }
      simd::floor_quotient(V::load(x), V(d)).store(q);
      for (int j = 0; j < V::size; ++j)
        ASSERT_EQ(q[j], quotient_of(x[j], d)) << +x[j] << " // " << +d;
    }
  }
}

}  // namespace
