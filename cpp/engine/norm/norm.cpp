#include "engine/norm/norm.h"

#include <algorithm>
#include <cstring>

#include "device/cpu/level.h"
#include "device/cpu/pool.h"
#include "device/device.h"
#include "device/limits.h"

namespace lazulite::engine {

LAZULITE_LEVELS(const NormKernels&, norm_kernels)

namespace {

// Whether rows are not read where they lie.
bool is_read(const Rows& x) { return x.formed || !x.in_runs() || x.converts(); }

// f(block, first row, how many, pieces) for rows of operands of the same rows; `per` of them are a
// block, which one thread works on in order. The pieces are those of operands that are not read
// where they lie: there these rows follow each other without gaps.
template <class F, class... R>
void for_pieces(int64_t per, double cost, F f, const R&... in) {
  const Rows* const all[] = {&in...};
  constexpr size_t count = sizeof...(R);
  const int64_t rows = all[0]->rows, n = all[0]->length;
  int64_t tile = per;
  for (const Rows* one : all)
    if (is_read(*one)) tile = std::min(tile, one->together(n));
  cpu::parallel_for((rows + per - 1) / per, [&](int64_t block) {
    const int64_t end = std::min(rows, (block + 1) * per);
    for (int64_t from = block * per; from < end; from += tile) {
      const int64_t some = std::min(tile, end - from);
      const char* piece[count] = {};
      for (size_t k = 0; k < count; ++k)
        if (is_read(*all[k])) piece[k] = all[k]->read(from, some, 0, n);
      f(block, from, some, piece);
    }
  }, cost);
}

// Of what goes on behind rows, in nanoseconds.
double cost_after(const Rows& x, const After* after) {
  return after ? double(x.rows) * double(x.length) * after->cost() : 0;
}

// f(block, row, x...) for every row, contiguous. `after`: what goes on from the rows that f makes.
template <class F, class... R>
void for_rows(int64_t per, double cost, const After* after, F f, const R&... in) {
  const Rows* const all[] = {&in...};
  constexpr size_t count = sizeof...(R);
  const int64_t n = all[0]->length;
  for_pieces(per, cost + cost_after(*all[0], after),
             [&](int64_t block, int64_t from, int64_t some, const char* const* piece) {
    for (int64_t row = from, told = from; row < from + some; ++row) {
      const char* at[count];
      for (size_t k = 0; k < count; ++k)
        at[k] = piece[k] ? piece[k] + (row - from) * n * all[k]->read_width() : all[k]->row(row);
      f(block, row, at);
      if (!after || ((row + 1 - told) * n < piece_after && row + 1 < from + some)) continue;
      after->run(told * n, 1, 0, (row + 1 - told) * n);
      told = row + 1;
    }
  }, in...);
}

int64_t rows_at_a_time(const Rows& x, const After* after = nullptr) {
  const int64_t all = x.rows * x.length,
                elements = after ? std::clamp(all / 16, grain / 2, piece_after) : grain / 2;
  return std::max<int64_t>(1, elements / x.length);
}
double elements(const Rows& x) { return double(x.rows) * double(x.length); }
// Of reading them, in nanoseconds.
double forming(const Rows& x) { return x.formed ? elements(x) * x.formed->cost() : 0; }

// parts: `count` runs of `n` numbers each; the sum, pairwise by index, in the first.
template <class A>
void add_pairwise(A* parts, int64_t count, int64_t n) {
  for (int64_t step = 1; step < count; step *= 2)
    cpu::parallel_for((n + grain - 1) / grain, [&](int64_t part) {
      const int64_t begin = part * grain, end = std::min(n, begin + grain);
      for (int64_t i = 0; i + step < count; i += 2 * step) {
        A* to = parts + i * n;
        const A* from = parts + (i + step) * n;
        for (int64_t k = begin; k < end; ++k) to[k] += from[k];
      }
    }, double(count / step) * double(n) * 0.1);
}

}  // namespace

void norm_forward(const Rows& x, const Norm& norm, char* out, const After* after) {
  const auto run = norm_kernels().forward[index_of(x.type)][norm.wide];
  const int64_t n = x.length,
                bytes = n * size_of(norm.wide ? compute_type(x.type) : x.type);
  for_rows(rows_at_a_time(x, after), elements(x) * 0.3 + forming(x), after,
           [&](int64_t, int64_t row, const char* const* at) {
    run(at[0], norm.weight, norm.bias, norm.eps, norm.centred, n, out + row * bytes);
  }, x);
}

void norm_backward(const Rows& x, const Rows& ct, const Norm& norm, char* dx, char* dweight,
                   char* dbias) {
  const auto run = norm_kernels().backward[index_of(x.type)][norm.wide];
  const Dtype wide = compute_type(x.type);
  const int64_t n = x.length, bytes = n * x.read_width(), sums = n * size_of(wide);
  if (!dweight && !dbias)
    return for_rows(rows_at_a_time(x), elements(x) * 0.5, nullptr,
                    [&](int64_t, int64_t row, const char* const* at) {
                      run(at[0], norm.weight, at[1], norm.eps, norm.centred, n, dx + row * bytes,
                          nullptr, nullptr);
                    }, x, ct);
  // Blocks by the number of rows alone: sums in order inside of one, pairwise over all.
  const int64_t per = std::clamp<int64_t>(x.rows / 16, 1, 128), blocks = (x.rows + per - 1) / per;
  const Ref<Buffer> parts = allocate(blocks * sums * ((dweight != nullptr) + (dbias != nullptr)));
  char* const weights = static_cast<char*>(parts->data);
  char* const biases = dweight ? weights + blocks * sums : weights;
  for_rows(per, elements(x) * 0.6, nullptr, [&](int64_t block, int64_t row,
                                               const char* const* at) {
    char* const w = dweight ? weights + block * sums : nullptr;
    char* const b = dbias ? biases + block * sums : nullptr;
    if (row == block * per) {
      if (w) std::memset(w, 0, size_t(sums));
      if (b) std::memset(b, 0, size_t(sums));
    }
    run(at[0], norm.weight, at[1], norm.eps, norm.centred, n, dx + row * bytes, w, b);
  }, x, ct);
  auto total = [&](char* from, char* to) {
    if (!to) return;
    if (wide == float32) add_pairwise(reinterpret_cast<float*>(from), blocks, n);
    else add_pairwise(reinterpret_cast<double*>(from), blocks, n);
    std::memcpy(to, from, size_t(sums));
  };
  total(weights, dweight);
  total(biases, dbias);
}

namespace {

// Rows that one kernel takes side by side, and how far apart they are.
bool are_short(const Rows& x) {
  return x.length <= longest_short_row && (is_read(x) || x.kept.size() <= 1);
}
int64_t distance(const Rows& x) {
  return is_read(x) || x.kept.empty() ? x.length : x.kept_strides[0];
}

}  // namespace

void softmax_rows(const Rows& x, char* out, const After* after) {
  const NormKernels& kernels = norm_kernels();
  const size_t type = index_of(x.type);
  const int64_t n = x.length, bytes = n * x.read_width(), per = rows_at_a_time(x, after);
  const double cost = elements(x) * double(x.read_width()) * 0.3 + forming(x);
  if (!are_short(x))
    return for_rows(per, cost, after, [&](int64_t, int64_t row, const char* const* at) {
      kernels.softmax[type](at[0], out + row * bytes, n);
    }, x);
  for_pieces(per, cost + cost_after(x, after),
             [&](int64_t, int64_t from, int64_t some, const char* const* piece) {
    kernels.short_softmax[type](piece[0] ? piece[0] : x.row(from), n, distance(x), some,
                                out + from * bytes);
    if (after) after->run(from * n, 1, 0, some * n);
  }, x);
}

void softmax_slope_rows(const Rows& y, const Rows& t, char* out, const After* after) {
  const NormKernels& kernels = norm_kernels();
  const size_t type = index_of(y.type);
  const int64_t n = y.length, bytes = n * y.read_width(), per = rows_at_a_time(y, after);
  const double cost = elements(y) * 0.3;
  if (!are_short(y) || !are_short(t))
    return for_rows(per, cost, after, [&](int64_t, int64_t row, const char* const* at) {
      kernels.softmax_slope[type](at[0], at[1], out + row * bytes, n);
    }, y, t);
  for_pieces(per, cost + cost_after(y, after),
             [&](int64_t, int64_t from, int64_t some, const char* const* piece) {
    kernels.short_softmax_slope[type](piece[0] ? piece[0] : y.row(from), distance(y),
                                      piece[1] ? piece[1] : t.row(from), distance(t), n, some,
                                      out + from * bytes);
    if (after) after->run(from * n, 1, 0, some * n);
  }, y, t);
}

}  // namespace lazulite::engine
