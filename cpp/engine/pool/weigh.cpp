#include "engine/pool/weigh.h"

#include <algorithm>
#include <cstring>

#include "device/cpu/level.h"
#include "device/cpu/pool.h"
#include "device/device.h"
#include "device/limits.h"
#include "engine/pool/kernels.h"

namespace lazulite::engine {

LAZULITE_LEVELS(const PoolTable&, pool_kernels)

Weights Weights::turned(int64_t n) const {
  Weights out;
  out.first.assign(size_t(n) + 1, 0);
  for (const int64_t i : from) ++out.first[size_t(i) + 1];
  for (size_t i = 0; i < size_t(n); ++i) out.first[i + 1] += out.first[i];
  out.from.resize(from.size());
  out.weights.resize(from.size());
  std::vector<int64_t> next(out.first.begin(), out.first.end() - 1);
  for (int64_t o = 0; o < size(); ++o)
    for (int64_t t = first[size_t(o)]; t < first[size_t(o) + 1]; ++t) {
      const size_t at = size_t(next[size_t(from[size_t(t)])]++);
      out.from[at] = o;
      out.weights[at] = weights[size_t(t)];
    }
  return out;
}

void weigh(const Weighing& w, const Weights& by, const char* x, char* out) {
  const int64_t each = size_of(w.type), made = by.size(), lines = w.outer * made;
  if (lines * w.inner == 0) return;
  const auto run = pool_kernels().of[int(w.type)].weigh;
  const double taps = double(by.from.size()) / double(made) + 1;
  const int64_t some = std::max<int64_t>(1, grain / w.inner);
  std::vector<int64_t> lines_of;  // where they begin, in elements
  for (const int64_t i : by.from) lines_of.push_back(i * w.inner);
  cpu::parallel_for(
      (lines + some - 1) / some,
      [&](int64_t chunk) {
        const int64_t until = std::min(lines, (chunk + 1) * some);
        for (int64_t l = chunk * some; l < until;) {
          const int64_t o = l % made, results = std::min(made - o, until - l);
          run({.x = x + l / made * w.in * w.inner * each,
               .first = by.first.data() + o,
               .lines = lines_of.data(),
               .weights = by.weights.data(),
               .results = results,
               .n = w.inner,
               .out = out + l * w.inner * each});
          l += results;
        }
      },
      double(lines) * double(w.inner) * taps * double(each) / 30);
}

void weigh_both(const Weighing& w, const Weights& first, int64_t then, const Weights& second,
                const char* x, char* out) {
  const int64_t each = size_of(w.type), made = first.size(), rows = w.outer * made,
                line = then * w.inner, row = second.size() * w.inner;
  if (rows * row == 0) return;
  const auto run = pool_kernels().of[int(w.type)].weigh;
  const double taps = double(first.from.size()) / double(made) +
                      double(second.from.size()) / double(second.size()) + 1;
  const int64_t some = std::max<int64_t>(1, grain / row);
  std::vector<int64_t> lines, places;  // where they begin, in elements
  for (const int64_t i : first.from) lines.push_back(i * line);
  for (const int64_t i : second.from) places.push_back(i * w.inner);
  cpu::parallel_for(
      (rows + some - 1) / some,
      [&](int64_t chunk) {
        const Ref<Buffer> between = allocate(line * each);
        for (int64_t r = chunk * some; r < std::min(rows, (chunk + 1) * some); ++r) {
          run({.x = x + r / made * w.in * line * each,
               .first = first.first.data() + r % made,
               .lines = lines.data(),
               .weights = first.weights.data(),
               .results = 1,
               .n = line,
               .out = between->data});
          run({.x = between->data,
               .first = second.first.data(),
               .lines = places.data(),
               .weights = second.weights.data(),
               .results = second.size(),
               .n = w.inner,
               .out = out + r * row * each});
        }
      },
      double(rows) * double(row) * taps * double(each) / 30);
}

}  // namespace lazulite::engine
