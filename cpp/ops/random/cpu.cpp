// Random draws on the CPU: which elements of which key's stream (engine/random) each thread draws.
#include <bit>
#include <cmath>
#include <cstring>

#include "engine/random/random.h"
#include "ops/cpu.h"
#include "ops/random/ops.h"

namespace lazulite::random {
namespace {

using engine::Key;
using engine::random_kernels;

// The keys of a kernel's input (..., 2), whatever its layout.
struct Keys {
  explicit Keys(const TensorView& in)
      : count(size_of(in.shape()) / 2), dense(in),
        words(reinterpret_cast<const uint32_t*>(dense.data)) {}
  Key operator[](int64_t i) const { return {words[2 * i], words[2 * i + 1]}; }
  int64_t count;

 private:
  const Dense dense;
  const uint32_t* words;
};

// draw(key, first element of its stream, how many, where to) until the output is full.
template <class F>
void for_draws(const KernelCall& call, double ns, F draw) {
  const TensorView& to = call.out[0];
  const int64_t total = size_of(to.shape());
  if (total == 0) return;
  const Keys keys(call.in[0]);
  const int64_t each = total / keys.count, bytes = size_of(to.type());
  cpu::parallel_for(
      (total + grain - 1) / grain,
      [&](int64_t chunk) {
        const int64_t end = std::min(total, (chunk + 1) * grain);
        for (int64_t at = chunk * grain; at < end;) {
          const int64_t first = at % each, n = std::min(end - at, each - first);
          draw(keys[at / each], uint64_t(first), n, to.data + at * bytes);
          if (call.after) call.after->run(at, 1, 0, n);
          at += n;
        }
      },
      double(total) * ns);
}

void bits_kernel(const KernelCall& call) {
  const uint64_t words = call.node.get<Bits>().width / 4;
  const auto kernel = random_kernels().words;
  for_draws(call, 0.5 * double(words), [&](Key key, uint64_t first, int64_t n, char* out) {
    kernel(key, first * words, n * int64_t(words), reinterpret_cast<uint32_t*>(out));
  });
}

void uniform_kernel(const KernelCall& call) {
  const Uniform& bounds = call.node.get<Uniform>();
  const double low = bounds.low.real(), high = bounds.high.real();
  const Dtype type = bounds.type;
  // Rounding may reach high, which is not part of the interval.
  const bool exact = low == 0 && high == 1 && !is_half(type), empty = !(low < high);
  const engine::Uniform how{high - low, low, exact || empty ? INFINITY : before(high, type)};
  const auto kernel = random_kernels().uniform[index_of(type)];
  for_draws(call, 1, [&](Key key, uint64_t first, int64_t n, char* out) {
    kernel(key, first, n, how, out);
  });
}

void normal_kernel(const KernelCall& call) {
  const Normal& normal = call.node.get<Normal>();
  const double factor = normal.factor.real();
  const auto kernel = random_kernels().normal[index_of(normal.type)];
  for_draws(call, normal.type == float64 ? 12 : 2,
            [&](Key key, uint64_t first, int64_t n, char* out) {
              kernel(key, first, n, factor, out);
            });
}

void integers_kernel(const KernelCall& call) {
  const Integers& how = call.node.get<Integers>();
  const auto kernel = random_kernels().integers[std::countr_zero(uint64_t(size_of(how.type)))];
  for_draws(call, 1.5, [&](Key key, uint64_t first, int64_t n, char* out) {
    kernel(key, first, n, uint64_t(how.low), uint64_t(how.range), out);
  });
}

// Counters 0 ... 2 num - 1 in two halves: word pairs (i, num + i), all first words, then all
// second.
void split_kernel(const KernelCall& call) {
  const int64_t num = call.node.get<Split>().num;
  const Keys keys(call.in[0]);
  uint32_t* out = reinterpret_cast<uint32_t*>(call.out[0].data);
  cpu::parallel_for(
      keys.count,
      [&](int64_t lane) {
        uint32_t* to = out + lane * 2 * num;
        for (int64_t i = 0; i < num; ++i) {
          const auto w = engine::threefry(keys[lane], uint32_t(i), uint32_t(num + i));
          to[i] = w.x;
          to[num + i] = w.y;
        }
      },
      double(keys.count) * (double(num) * 10 + 50));
}

// Fisher-Yates from the end; the swap of element i takes the number of counter i. Numbers are drawn
// many at a time, so that what they point to is on its way when it is wanted.
void shuffle_kernel(const KernelCall& call) {
  const int64_t n = call.node.get<Shuffle>().n;
  const Keys keys(call.in[0]);
  uint32_t* out = reinterpret_cast<uint32_t*>(call.out[0].data);
  // The high 64 bits of 64 random bits times range, for range < 2^32: a number below range.
  auto below = [](const uint32_t* w, uint64_t range) {
    return uint32_t((w[1] * range + (w[0] * range >> 32)) >> 32);
  };
  const auto draw = random_kernels().words;
  cpu::parallel_for(
      keys.count,
      [&](int64_t lane) {
        constexpr int64_t some = 1024;
        uint32_t words[2 * some], other[some];
        uint32_t* to = out + lane * n;
        for (int64_t i = 0; i < n; ++i) to[i] = uint32_t(i);
        for (int64_t end = n; end > 1;) {
          const int64_t begin = std::max<int64_t>(1, end - some), count = end - begin;
          draw(keys[lane], uint64_t(2 * begin), 2 * count, words);
          for (int64_t k = 0; k < count; ++k) {
            other[k] = below(words + 2 * k, uint64_t(begin + k) + 1);
            __builtin_prefetch(to + other[k], 1);
          }
          for (int64_t k = count; k-- > 0;) std::swap(to[begin + k], to[other[k]]);
          end = begin;
        }
      },
      double(keys.count) * double(n) * 5);
}

void reorder_kernel(const KernelCall& call) {
  const bool back = call.node.get<Reorder>().back;
  const TensorView &order = call.in[1], &to = call.out[0];
  const int64_t total = size_of(to.shape());
  if (total == 0) return;
  const Dense x(call.in[0]), places(order);
  const auto* at = reinterpret_cast<const uint32_t*>(places.data);
  const int64_t n = order.shape().back(), rows = size_of(order.shape()),
                bytes = total / rows * size_of(to.type());
  const int64_t step = std::max<int64_t>(1, 32768 / bytes);
  cpu::parallel_for(
      (rows + step - 1) / step,
      [&](int64_t chunk) {
        for (int64_t r = chunk * step; r < std::min(rows, (chunk + 1) * step); ++r) {
          if (int64_t(at[r]) >= n)
            fail(Kind::index, "reorder", "row out of range: got ", at[r], ", expected less than ",
                 n);
          const int64_t other = r / n * n + at[r];
          std::memcpy(to.data + (back ? other : r) * bytes, x.data + (back ? r : other) * bytes,
                      size_t(bytes));
        }
      },
      double(rows) * (3 + double(bytes) * 0.1));
}

}  // namespace
}  // namespace lazulite::random

namespace lazulite {
void register_random(cpu::Kernels& kernels) {
  using namespace random;
  kernels[bits_op] = {bits_kernel, Absorb::after};
  kernels[uniform_op] = {uniform_kernel, Absorb::after};
  kernels[normal_op] = {normal_kernel, Absorb::after};
  kernels[integers_op] = {integers_kernel, Absorb::after};
  kernels[split_op] = {split_kernel};
  kernels[shuffle_op] = {shuffle_kernel};
  kernels[reorder_op] = {reorder_kernel};
}
}  // namespace lazulite
