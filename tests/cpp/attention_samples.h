// Attention of any kind, drawn, and a plain softmax over all scores in double beside it.
#pragma once
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <type_traits>
#include <vector>

#include "base/half.h"
#include "device/cpu/pool.h"
#include "engine/attention/attention.h"

namespace lazulite::tests {

using engine::Attention;
using engine::HeadsView;

template <class T>
struct Sample {
  Attention a;
  std::vector<T> q, k, v, ct, mask;

  static HeadsView dense(const std::vector<T>& x, int64_t heads, int64_t places, int64_t n) {
    return {reinterpret_cast<const char*>(x.data()), {heads * places * n, places * n, n, 1}};
  }
  HeadsView of_q() const { return dense(q, a.heads, a.queries, a.depth); }
  HeadsView of_k() const { return dense(k, a.kv_heads, a.keys, a.depth); }
  HeadsView of_v() const { return dense(v, a.kv_heads, a.keys, a.value_depth); }
  HeadsView of_ct() const { return dense(ct, a.heads, a.queries, a.value_depth); }
  engine::MaskView of_mask(Dtype type) const {
    return {reinterpret_cast<const char*>(mask.data()), type, {0, 0, a.keys, 1}};
  }
};

template <class T>
Sample<T> sample(std::mt19937& draw, Dtype type) {
  auto any = [&](int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(draw);
  };
  Sample<T> s;
  Attention& a = s.a;
  a = {type, any(0, 3) ? any(1, 2) : 4, 0, any(1, 3), 0, 0, any(1, 40), any(1, 40), 0.3, 0, 0, 0};
  a.heads = a.kv_heads * any(1, 4);
  a.queries = any(0, 1) ? any(1, 8) : any(50, 140);
  a.keys = any(0, 1) ? any(1, 20) : any(100, any(0, 3) ? 300 : 2000);
  a.shift = std::max<int64_t>(0, a.keys - a.queries);
  // Each query sees some key.
  a.before = a.keys < a.queries || any(0, 1) ? Attention::far : any(0, 200);
  a.after = any(0, 1) ? Attention::far : any(0, 2) ? 0 : any(0, 200);
  std::normal_distribution<double> normal;
  auto fill = [&](std::vector<T>& x, int64_t n) {
    x.resize(size_t(n));
    for (T& e : x) e = T(normal(draw));
  };
  fill(s.q, a.batch * a.heads * a.queries * a.depth);
  fill(s.k, a.batch * a.kv_heads * a.keys * a.depth);
  fill(s.v, a.batch * a.kv_heads * a.keys * a.value_depth);
  fill(s.ct, a.batch * a.heads * a.queries * a.value_depth);
  fill(s.mask, a.queries * a.keys);
  return s;
}

struct Wanted {
  std::vector<double> out, dq, dk, dv;
};
template <class T>
Wanted plain(const Sample<T>& s) {
  const Attention& a = s.a;
  Wanted w{std::vector<double>(s.ct.size()), std::vector<double>(s.q.size()),
           std::vector<double>(s.k.size()), std::vector<double>(s.v.size())};
  const int64_t d = a.depth, e = a.value_depth;
  std::vector<double> p(size_t(a.keys)), dp(size_t(a.keys));
  for (int64_t row = 0; row < a.batch * a.heads * a.queries; ++row) {
    const int64_t t = row % a.queries, head = row / a.queries,
                  kv = head / a.heads * a.kv_heads + head % a.heads / a.group();
    auto number = [](const std::vector<T>& x, int64_t at) { return double(x[size_t(at)]); };
    double top = -INFINITY, sum = 0, mean = 0;
    for (int64_t k = 0; k < a.keys; ++k) {
      double score = number(s.mask, t * a.keys + k);
      for (int64_t i = 0; i < d; ++i)
        score += a.scale * number(s.q, row * d + i) * number(s.k, (kv * a.keys + k) * d + i);
      const int64_t apart = k - t - a.shift;
      p[size_t(k)] = apart < -a.before || apart > a.after ? -INFINITY : score;
      top = std::max(top, p[size_t(k)]);
    }
    for (double& x : p) sum += x = std::exp(x - top);
    for (int64_t k = 0; k < a.keys; ++k) {
      p[size_t(k)] /= sum;
      dp[size_t(k)] = 0;
      for (int64_t i = 0; i < e; ++i) {
        const double v = number(s.v, (kv * a.keys + k) * e + i), ct = number(s.ct, row * e + i);
        w.out[size_t(row * e + i)] += p[size_t(k)] * v;
        w.dv[size_t((kv * a.keys + k) * e + i)] += p[size_t(k)] * ct;
        dp[size_t(k)] += ct * v;
      }
      mean += p[size_t(k)] * dp[size_t(k)];
    }
    for (int64_t k = 0; k < a.keys; ++k) {
      const double ds = p[size_t(k)] * (dp[size_t(k)] - mean) * a.scale;
      for (int64_t i = 0; i < d; ++i) {
        w.dq[size_t(row * d + i)] += ds * number(s.k, (kv * a.keys + k) * d + i);
        w.dk[size_t((kv * a.keys + k) * d + i)] += ds * number(s.q, row * d + i);
      }
    }
  }
  return w;
}

template <class T>
void near(const std::vector<T>& got, const std::vector<double>& wanted, double bound, int i) {
  for (size_t k = 0; k < got.size(); ++k)
    ASSERT_NEAR(double(got[k]), wanted[k], bound * (1 + std::abs(wanted[k]))) << "sample " << i;
}

// Results and gradients of drawn samples, of one thread and of several, which give the same bits.
template <class T>
void compare(Dtype type, int count, double bound, double slope_bound,
             const engine::AttentionLevel* level = nullptr) {
  using Sum = std::conditional_t<sizeof(T) == 2, float, T>;
  std::mt19937 draw(sizeof(T) == 2 ? 13 : 7);
  for (int i = 0; i < count; ++i) {
    const Sample<T> s = sample<T>(draw, type);
    const Wanted wanted = plain(s);
    std::vector<T> first;
    for (const int threads : {1, 3}) {
      cpu::set_num_threads(threads);
      auto of = [](size_t n) { return std::vector<T>(n, T(NAN)); };
      std::vector<T> out = of(s.ct.size()), dq = of(s.q.size()), dk = of(s.k.size()),
                     dv = of(s.v.size());
      std::vector<Sum> ends(size_t(s.a.batch * s.a.heads * s.a.queries), Sum(NAN));
      auto data = [](auto& x) { return reinterpret_cast<char*>(x.data()); };
      engine::attend(s.a, s.of_q(), s.of_k(), s.of_v(), s.of_mask(type), {}, data(out),
                     data(ends), level);
      for (const Sum end : ends) ASSERT_FALSE(std::isnan(end)) << "sample " << i;
      engine::attend_back(s.a, s.of_q(), s.of_k(), s.of_v(), s.of_mask(type),
                          {s.of_ct(), data(out), data(ends), data(dq), data(dk), data(dv)}, level);
      near(out, wanted.out, bound, i);
      near(dq, wanted.dq, slope_bound, i);
      near(dk, wanted.dk, slope_bound, i);
      near(dv, wanted.dv, slope_bound, i);
      for (const auto* x : {&dq, &dk, &dv}) out.insert(out.end(), x->begin(), x->end());
      if (threads == 1) first = out;
      ASSERT_EQ(std::memcmp(first.data(), out.data(), out.size() * sizeof(T)), 0) << i;
    }
  }
  cpu::set_num_threads(1);
}

}  // namespace lazulite::tests
