#include "engine/index/masks.h"

#include <algorithm>
#include <cstring>

#include "device/cpu/level.h"
#include "device/cpu/pool.h"
#include "device/limits.h"

namespace lazulite::engine {

LAZULITE_LEVELS(const MaskKernels&, mask_kernels)

std::vector<int64_t> true_before_chunks(const bool* mask, int64_t n) {
  const int64_t chunks = (n + grain - 1) / grain;
  std::vector<int64_t> before(size_t(chunks) + 1, 0);
  cpu::parallel_for(chunks, [&](int64_t c) {
    before[size_t(c) + 1] = mask_kernels().count(mask + c * grain, std::min(grain, n - c * grain));
  }, double(n) * 0.02);
  for (int64_t c = 0; c < chunks; ++c) before[size_t(c) + 1] += before[size_t(c)];
  return before;
}
int64_t count_true(const bool* mask, int64_t n) {
  return n <= grain ? mask_kernels().count(mask, n) : true_before_chunks(mask, n).back();
}

void compress(const void* from, const bool* mask, int64_t n, int64_t bytes, void* to,
              int64_t size) {
  const auto run = mask_kernels().compress[__builtin_ctzll(uint64_t(bytes))];
  const auto* x = static_cast<const char*>(from);
  auto* y = static_cast<char*>(to);
  int64_t found;
  if (n <= grain) {
    found = run(x, mask, n, y, size);
  } else {
    const std::vector<int64_t> before = true_before_chunks(mask, n);
    found = std::min(size, before.back());
    cpu::parallel_for(int64_t(before.size()) - 1, [&](int64_t c) {
      const int64_t begin = std::min(size, before[size_t(c)]),
                    end = std::min(size, before[size_t(c) + 1]), i = c * grain;
      run(x + i * bytes, mask + i, std::min(grain, n - i), y + begin * bytes, end - begin);
    }, double(n) * 0.3);
  }
  if (found < size) std::memset(y + found * bytes, 0, size_t((size - found) * bytes));
}

bool expand(const void* from, const bool* mask, int64_t n, int64_t bytes, const void* values,
            int64_t there, void* to, int64_t& count) {
  const auto run = mask_kernels().expand[__builtin_ctzll(uint64_t(bytes))];
  const std::vector<int64_t> before = true_before_chunks(mask, n);
  count = before.back();
  if (count > there) return false;
  cpu::parallel_for(int64_t(before.size()) - 1, [&](int64_t c) {
    const int64_t i = c * grain, first = before[size_t(c)];
    run(static_cast<const char*>(from) + i * bytes, mask + i, std::min(grain, n - i),
        static_cast<const char*>(values) + first * bytes, there - first,
        static_cast<char*>(to) + i * bytes);
  }, double(n) * 0.5);
  return true;
}

}  // namespace lazulite::engine
