#include "engine/index/index.h"
#include "engine/index/masks.h"

#include <algorithm>
#include <cstring>

#include "base/fail.h"
#include "device/cpu/level.h"
#include "device/cpu/move.h"
#include "device/cpu/pool.h"
#include "device/limits.h"

namespace lazulite::engine {

LAZULITE_LEVELS(const IndexKernels&, index_kernels)

namespace {

// The first of n indices that is out of range.
[[noreturn]] void fail_index(const Places::Index& index, const char* data, int64_t step, int64_t n,
                             const char* caller) {
  for (int64_t i = 0; i < n; ++i) {
    const int64_t v = index.type == int64 ? reinterpret_cast<const int64_t*>(data)[i * step]
                      : index.type == int32
                          ? int64_t(reinterpret_cast<const int32_t*>(data)[i * step])
                          : int64_t(reinterpret_cast<const uint32_t*>(data)[i * step]);
    if (v < -index.size || v >= index.size)
      fail(Kind::index, caller, "index out of range: got ", v, " for axis ", index.axis,
           " with size ", index.size);
  }
  __builtin_unreachable();
}

}  // namespace

void Places::fill(int64_t from, int64_t n, int64_t* to, const char* caller) const {
  const IndexKernels& k = index_kernels();
  const size_t last = shape.size() - 1;
  SmallVector<int64_t, 6> at;
  SmallVector<int64_t, 4> offset;
  at.resize(shape.size());
  offset.resize(strides.size(), 0);
  for (size_t d = shape.size(); d-- > 0;) {
    at[d] = from % shape[d];
    from /= shape[d];
    for (size_t s = 0; s < strides.size(); ++s) offset[s] += at[d] * strides[s][d];
  }
  while (n > 0) {
    const int64_t run = std::min(n, shape[last] - at[last]);
    for (size_t i = 0; i < indices.size(); ++i) {
      const Index& index = indices[i];
      const char* data = index.data + offset[i] * size_of(index.type);
      const int64_t step = strides[i][last], start = along ? offset.back() : 0;
      if (!k.place[index_of(index.type)](data, step, run, index.size, index.stride, start, i > 0,
                                         to))
        fail_index(index, data, step, run, caller);
    }
    if (along && strides.back()[last]) k.ramp(strides.back()[last], run, to);
    to += run;
    n -= run;
    at[last] += run;
    for (size_t s = 0; s < strides.size(); ++s) offset[s] += run * strides[s][last];
    for (size_t d = last; d > 0 && at[d] == shape[d]; --d) {
      for (size_t s = 0; s < strides.size(); ++s)
        offset[s] += strides[s][d - 1] - at[d] * strides[s][d];
      at[d] = 0;
      ++at[d - 1];
    }
  }
}

AddRun add_run(Dtype t) { return index_kernels().add[index_of(t)]; }
AddRows add_rows(Dtype t) { return index_kernels().add_rows[index_of(t)]; }

void gather_run(const void* from, const int64_t* at, int64_t n, int64_t bytes, void* to) {
  index_kernels().gather[__builtin_ctzll(uint64_t(bytes))](from, at, n, to);
}

Ranges::Ranges(const int64_t* positions, int64_t count, int64_t reach, int64_t ranges) {
  int shift = 0;
  while ((reach - 1) >> shift >= ranges) ++shift;
  const int64_t all = reach > 0 ? ((reach - 1) >> shift) + 1 : 1;
  first_.resize(size_t(all) + 1, 0);
  numbers_ = std::make_unique_for_overwrite<int64_t[]>(size_t(count));
  for (int64_t i = 0; i < count; ++i) ++first_[size_t(positions[i] >> shift) + 1];
  for (size_t r = 1; r < first_.size(); ++r) first_[r] += first_[r - 1];
  std::vector<int64_t> next(first_.begin(), first_.end() - 1);
  for (int64_t i = 0; i < count; ++i) numbers_[size_t(next[size_t(positions[i] >> shift)]++)] = i;
}

void gather_columns(const int64_t* positions, int64_t count, const void* from, int64_t step,
                    int64_t rows, int64_t bytes, void* to) {
  const IndexKernels& index = index_kernels();
  const cpu::MoveKernels& move = cpu::move_kernels();
  const int size = __builtin_ctzll(uint64_t(bytes));
  const int64_t together = 64 / bytes;  // rows: a line of the result
  constexpr int64_t piece = 256;        // positions whose elements stay in the first-level cache
  const int64_t parts = (rows + together - 1) / together;
  const auto* source = static_cast<const char*>(from);
  auto* out = static_cast<char*>(to);
  cpu::parallel_for(parts, [&](int64_t part) {
    alignas(64) char found[piece * 64];
    const int64_t row = part * together, height = std::min(together, rows - row);
    for (int64_t i = 0; i < count; i += piece) {
      const int64_t n = std::min(piece, count - i);
      for (int64_t r = 0; r < height; ++r) {
        const char* x = source + (row + r) * step * bytes;
        if (row + r + 1 < rows)  // nothing else fetches what lies scattered in the next row
          for (int64_t k = 0; k < n; ++k)
            __builtin_prefetch(x + (step + positions[i + k]) * bytes);
        index.gather[size](x, positions + i, n, found + r * piece * bytes);
      }
      char* at = out + (i * rows + row) * bytes;
      if (size < 4) {
        move.turn[size](at, rows, found, piece, n, height);
        continue;
      }
      for (int64_t k = 0; k < n; ++k)
        for (int64_t r = 0; r < height; ++r)
          std::memcpy(at + (k * rows + r) * bytes, found + (r * piece + k) * bytes, size_t(bytes));
    }
  }, double(count) * double(rows) * 1.5);
}

void gather_elements(const Places& places, const void* from, int64_t bytes, void* to,
                     const char* caller, const After* after) {
  const auto gather = index_kernels().gather[__builtin_ctzll(uint64_t(bytes))];
  constexpr int64_t step = grain;
  cpu::parallel_for((places.count + step - 1) / step, [&](int64_t chunk) {
    alignas(64) int64_t at[Places::piece];
    const int64_t end = std::min(places.count, (chunk + 1) * step);
    for (int64_t i = chunk * step; i < end; i += Places::piece) {
      const int64_t n = std::min(Places::piece, end - i);
      places.fill(i, n, at, caller);
      gather(from, at, n, static_cast<char*>(to) + i * bytes);
    }
    if (after) after->run(chunk * step, 1, 0, end - chunk * step);
  }, double(places.count) * 1.5);
}

int64_t true_places(const bool* mask, const Shape& shape, int64_t size, int64_t fill,
                    int64_t* to) {
  const int64_t n = size_of(shape);
  const std::vector<int64_t> before = true_before_chunks(mask, n);
  const int64_t chunks = int64_t(before.size()) - 1, found = before.back();
  const size_t axes = shape.size();
  int64_t* last = to + (int64_t(axes) - 1) * size;
  // Rows of some length have their places along the last axis, and the others in common.
  constexpr int64_t shortest = 24, piece = 512;
  const int64_t row = axes > 1 && shape[axes - 1] >= shortest ? shape[axes - 1] : n;
  cpu::parallel_for(chunks, [&](int64_t c) {
    int64_t near[piece + 8], at = before[size_t(c)];
    const int64_t end = std::min(n, (c + 1) * grain);
    auto split = [&](int64_t number, size_t d, int64_t i, int64_t count) {
      for (; d-- > 0; number /= shape[d])
        std::fill_n(to + int64_t(d) * size + i, count, number % shape[d]);
    };
    for (int64_t from = c * grain; from < end && at < size;) {
      const int64_t first = row < n ? from % row : from,
                    stop = std::min({end, from + piece, from - first + row});
      const int64_t count = std::min(
          index_kernels().places_of_true(mask + from, stop - from, first, near), size - at);
      if (count) {
        std::memcpy(last + at, near, size_t(count) * sizeof(int64_t));
        if (row < n) split(from / row, axes - 1, at, count);
      }
      at += count;
      from = stop;
    }
    // Numbers of elements become places along axes.
    for (int64_t i = before[size_t(c)]; axes > 1 && row == n && i < at; ++i)
      split(last[i], axes, i, 1);
  }, double(n) * 0.4);
  for (size_t d = 0; d < axes; ++d)
    for (int64_t i = found; i < size; ++i) to[int64_t(d) * size + i] = fill;
  return found;
}

}  // namespace lazulite::engine
