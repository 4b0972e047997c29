#include "engine/gemm/tiny.h"

#include <algorithm>
#include <cstring>

#include "device/cpu/level.h"
#include "device/cpu/pool.h"
#include "device/limits.h"
#include "engine/gemm/kernels.h"
#include "engine/gemm/panel_product.h"

namespace lazulite::engine {

LAZULITE_LEVELS(const TinyKernels&, tiny_kernels)

namespace {

// Beyond these packed panels, or dot products along memory, are as fast (measured on AVX-512).
constexpr int64_t few_columns = 4, short_inner = 16, few_inner = 32;  // of any number of rows
constexpr int64_t some_columns = 48, tall = 64;
constexpr int64_t stacked = 8, small_size = 512;
constexpr int64_t inner_of_line = 32, longest_line = 128;
constexpr int64_t long_inner = 256, last_steps = 64;  // of so many steps, copies fit

enum class Way { none, rows, lines, splits };

Way way_of(const Product& p) {
  if (!tiny_kernels().product[index_of(p.type)]) return Way::none;
  const int64_t lanes = size_of(p.batch);
  if (p.b.row == 1 && p.k > 1 && p.m <= tiny_lines && p.n > tiny_columns &&
      p.k <= std::min(inner_of_line * p.m, longest_line))
    return Way::lines;
  if (p.n == 1 && p.a.row == 1 && p.m > tiny_columns) return Way::none;  // sums of whole columns
  if (p.n <= few_columns && p.k <= (p.n == 1 ? short_inner : few_inner)) return Way::rows;
  if (p.k <= short_inner && p.n <= tiny_columns && lanes >= stacked &&
      p.m * p.n * p.k <= small_size)
    return Way::rows;
  if (p.k <= short_inner && p.n <= some_columns && p.n % tiny_columns && p.m >= tall)
    return Way::rows;
  if (lanes == 1 && p.k >= long_inner && p.m > 1 && p.n > 1 && std::min(p.m, p.n) <= few_columns &&
      std::max(p.m, p.n) <= tiny_columns && p.b.col == 1 && p.b.row >= p.n)
    return Way::splits;
  return Way::none;
}

// Where the memory ends that all matrices of a stack are in, or null.
const char* end_of(const MatrixView& m, const Shape& batch, int64_t bytes) {
  int64_t last = 0;
  bool forward = true;
  auto add = [&](int64_t size, int64_t stride) {
    forward &= stride >= 0 || size == 1;
    last += (size - 1) * stride;
  };
  add(m.rows, m.row);
  add(m.cols, m.col);
  for (size_t d = 0; d < batch.size(); ++d) add(batch[d], m.batch[d]);
  return forward ? m.data + (last + 1) * bytes : nullptr;
}

class Tiny {
 public:
  explicit Tiny(const Product& p)
      : p_(p), k_(tiny_kernels()), bytes_(size_of(p.type)),
        a_end_(end_of(p.a, p.batch, bytes_)), b_end_(end_of(p.b, p.batch, bytes_)) {}

  // A task takes some matrices of the last axis of the batch, or some rows of one.
  void by_rows() const {
    Shape batch = p_.batch;
    SmallVector<Strides, 4> strides{p_.a.batch, p_.b.batch};
    collapse(batch, strides);
    const int64_t lanes = size_of(batch), inner = batch.back(), a_lane = strides[0].back(),
                  b_lane = strides[1].back();
    const int64_t rows = std::max<int64_t>(1, grain / (p_.k + p_.n)),
                  each = std::clamp<int64_t>(rows / p_.m, 1, inner), down = parts(p_.m, rows),
                  across = parts(inner, each);
    cpu::parallel_for(
        lanes / inner * across * down,
        [&](int64_t i) {
          const int64_t row = part(p_.m, down, i % down),
                        count = part(p_.m, down, i % down + 1) - row,
                        lane = part(inner, across, i / down % across),
                        some = part(inner, across, i / down % across + 1) - lane;
          int64_t a = lane * a_lane + row * p_.a.row, b = lane * b_lane, outer = i / down / across;
          const int64_t first = (outer * inner + lane) * p_.m + row;
          for (size_t d = batch.size() - 1; d-- > 0;) {
            a += outer % batch[d] * strides[0][d];
            b += outer % batch[d] * strides[1][d];
            outer /= batch[d];
          }
          TinyCall call = of(a, b, p_.out + first * p_.n * bytes_);
          call.lanes = some;
          call.rows = count;
          call.a_lane = a_lane;
          call.b_lane = b_lane;
          k_.product[index_of(p_.type)](call);
          p_.finished(first, some * count, 0, p_.n);
        },
        double(lanes * p_.m) * double(p_.k * parts(p_.n, tiny_columns) + 4));
  }

  // A few rows times columns whose elements lie along memory. A task takes some of these.
  void by_lines() const {
    const int64_t lanes = size_of(p_.batch), each = std::max<int64_t>(64, grain / p_.k / 64 * 64),
                  across = parts(p_.n, each);
    cpu::parallel_for(
        lanes * across,
        [&](int64_t i) {
          int64_t a = 0, b = 0, rest = i / across;
          const int64_t lane = rest, first = i % across * each,
                        count = std::min(each, p_.n - first);
          for (size_t d = p_.batch.size(); d-- > 0;) {
            a += rest % p_.batch[d] * p_.a.batch[d];
            b += rest % p_.batch[d] * p_.b.batch[d];
            rest /= p_.batch[d];
          }
          k_.lines[index_of(p_.type)]({.lines = p_.b.data + (b + first * p_.b.col) * bytes_,
                                       .few = p_.a.data + a * bytes_,
                                       .end = b_end_,
                                       .out = p_.out + (lane * p_.m * p_.n + first) * bytes_,
                                       .count = count,
                                       .few_count = p_.m,
                                       .inner = p_.k,
                                       .line = p_.b.col,
                                       .few_row = p_.a.row,
                                       .few_step = p_.a.col,
                                       .out_row = p_.n});
          p_.finished(lane * p_.m, p_.m, first, count);
        },
        double(lanes * p_.n) * double(p_.k * (p_.m + 4)) / 12);
  }

  // Few sums of many products: blocks of the inner axis, whose sums are added in order. The last
  // one is short, since of a row at the end of memory a copy is made.
  void by_splits() const {
    const int64_t whole = p_.k - last_steps, splits = parts(whole, sweep_steps) + 1,
                  size = p_.m * p_.n * bytes_;
    Ref<Buffer> held = allocate(splits * size);
    char* sums = static_cast<char*>(held->data);
    cpu::parallel_for(
        splits,
        [&](int64_t s) {
          const int64_t from = std::min(s * sweep_steps, whole);
          TinyCall call = of(from * p_.a.col, from * p_.b.row, sums + s * size);
          call.rows = p_.m;
          call.inner = s + 1 == splits ? last_steps : std::min(sweep_steps, whole - from);
          k_.product[index_of(p_.type)](call);
        },
        double(p_.k * p_.m));
    p_.type == float32 ? total<float>(sums, splits) : total<double>(sums, splits);
    p_.finished(0, p_.m, 0, p_.n);
  }

 private:
  TinyCall of(int64_t a, int64_t b, char* out) const {
    return {.a = p_.a.data + a * bytes_,
            .b = p_.b.data + b * bytes_,
            .a_end = a_end_,
            .b_end = b_end_,
            .out = out,
            .lanes = 1,
            .rows = 0,
            .cols = p_.n,
            .inner = p_.k,
            .a_lane = 0,
            .b_lane = 0,
            .a_row = p_.a.row,
            .a_col = p_.a.col,
            .b_row = p_.b.row,
            .b_col = p_.b.col};
  }
  template <class T>
  void total(const char* sums, int64_t splits) const {
    const T* from = reinterpret_cast<const T*>(sums);
    T* to = reinterpret_cast<T*>(p_.out);
    const int64_t n = p_.m * p_.n;
    std::memcpy(to, from, size_t(n) * sizeof(T));
    for (int64_t s = 1; s < splits; ++s)
      for (int64_t i = 0; i < n; ++i) to[i] += from[s * n + i];
  }

  const Product& p_;
  const TinyKernels& k_;
  const int64_t bytes_;
  const char *const a_end_, *const b_end_;
};

}  // namespace

bool tiny_product(const Product& p) {
  switch (way_of(p)) {
    case Way::none: return false;
    case Way::rows: Tiny(p).by_rows(); break;
    case Way::lines: Tiny(p).by_lines(); break;
    case Way::splits: Tiny(p).by_splits();
  }
  return true;
}

}  // namespace lazulite::engine
