#include "engine/norm/columns.h"

#include <algorithm>
#include <numeric>

#include "device/cpu/level.h"
#include "device/cpu/move.h"
#include "device/cpu/pool.h"
#include "device/device.h"
#include "device/limits.h"
#include "engine/layout/copy.h"

namespace lazulite::engine {

LAZULITE_LEVELS(const NormKernels&, norm_kernels)
LAZULITE_LEVELS(const ColumnKernels&, column_kernels)

namespace {

// Fewer neighbours fill no vector: their columns are better taken for rows.
constexpr int64_t narrow = 16;
// Columns of a strip at least, where there are as many: narrower ones take longer, even where these
// leave the second-level cache.
constexpr int64_t lines = 64;
constexpr int64_t strip_bytes = 256 << 10;  // of accumulators of a strip
constexpr int64_t longest_strip = 4 << 20;  // bytes that are kept of one

// Where elements of a result of (outer, size, inner) lie, in elements.
struct Place {
  int64_t inner, size;
  int64_t of(int64_t row) const { return row / inner * inner * size + row % inner; }
};

// Rows so far apart fall on few sets of a cache: what is made of them is kept beside. Beside others
// a second copy costs more than it saves.
constexpr int64_t page = 4096;
bool is_kept(const Rows& x, int64_t columns) {
  return x.length * columns * size_of(compute_type(x.type)) <= longest_strip;
}

constexpr int room_slot = piece_rooms - 1;  // what is left of those that operands take

// Each operand as strips: run(strips, n, columns, room, to) makes one of the result; `room` as
// kernels have it.
template <size_t count, class Run>
void run_strips(const Rows* const (&in)[count], int64_t width, Place place, char* out, double cost,
                const After* after, Run&& run) {
  const Rows& x = *in[0];
  const int64_t n = x.length, bytes = x.read_width(), wide = size_of(compute_type(x.type));
  int64_t block = std::max(lines, strip_bytes / (n * wide) / lines * lines);
  block = std::min({block, widest_strip, column_pitch(width)});
  while (block > lines / 2 && x.rows / width * ((width + block - 1) / block) < cpu::num_threads())
    block = column_pitch(block / 2);
  const bool keep = count == 1 && is_kept(x, block) &&
                    (is_half(x.type) || x.reduced_strides[0] * bytes % page == 0);
  const int64_t blocks = (width + block - 1) / block, tasks = x.rows / width * blocks,
                per = std::max<int64_t>(1, grain / 2 / (n * std::min(block, width)));
  cpu::parallel_for((tasks + per - 1) / per, [&](int64_t part) {
    for (int64_t task = part * per; task < std::min(tasks, (part + 1) * per); ++task) {
      const int64_t c = task % blocks * block, columns = std::min(block, width - c),
                    row = task / blocks * width + c, at = place.of(row);
      Strip strips[count];
      for (size_t k = 0; k < count; ++k) {
        const int64_t stride = in[k]->reduced_strides[0];
        if (in[k]->formed)
          strips[k] = {in[k]->form_strip(in[k]->place(row, in[k]->kept.size()), n, stride, columns),
                       columns};
        else strips[k] = {in[k]->row(row), stride};
      }
      char* const room = keep ? piece_room(column_room(n, columns) * wide, room_slot) : nullptr;
      run(strips, n, columns, room, out + at * bytes);
      if (!after) continue;
      if (columns == place.inner) after->run(at, 1, 0, n * columns);
      else after->run(at, n, place.inner, columns);
    }
  }, cost);
}

// Rows side by side, gathered: run(rows, n, to) makes one, and squares of them are turned into
// their places.
template <size_t count, class Run>
void run_rows(const Rows* const (&in)[count], Place place, char* out, double cost,
              const After* after, Run&& run) {
  const Rows& x = *in[0];
  const int64_t n = x.length, bytes = x.read_width(), inner = place.inner;
  const auto turn = cpu::move_kernels().turn[__builtin_ctzll(uint64_t(bytes))];
  int64_t together = x.together(n);
  for (const Rows* one : in) together = std::min(together, one->together(n));
  if (together > inner) together -= together % inner;
  cpu::parallel_for((x.rows + together - 1) / together, [&](int64_t part) {
    const int64_t begin = part * together, end = std::min(x.rows, begin + together);
    const char* from[count];
    for (size_t k = 0; k < count; ++k) from[k] = in[k]->read(begin, end - begin, 0, n);
    char* const made = piece_room((end - begin) * n * bytes, room_slot);
    for (int64_t r = 0; r < end - begin; ++r) {
      const char* rows[count];
      for (size_t k = 0; k < count; ++k) rows[k] = from[k] + r * n * bytes;
      run(rows, n, made + r * n * bytes);
    }
    for (int64_t row = begin; row < end;) {
      const int64_t some = std::min(end - row, inner - row % inner), at = place.of(row);
      turn(out + at * bytes, inner, made + (row - begin) * n * bytes, n, n, some);
      if (after && some < inner) after->run(at, n, inner, some);
      row += some;
    }
    if (after && together >= inner) after->run(begin * n, 1, 0, (end - begin) * n);
  }, cost);
}

// The columns that lie side by side in all operands and in the result; 0: they are not read so.
template <size_t count>
int64_t width_of(Rows (&in)[count], int64_t inner) {
  int64_t width = inner;
  for (Rows& one : in) {
    one.settle(true);
    if (!one.in_columns()) return 0;
    width = std::gcd(width, one.kept.back());
  }
  return width < narrow ? 0 : width;
}

// Long rows that are not read as strips: all of them turned, and turned back.
template <size_t count, class Run>
void run_turned(const Rows* const (&in)[count], Place place, char* out, double cost, Run&& run) {
  const int64_t rows = in[0]->rows, n = in[0]->length, bytes = in[0]->read_width();
  const Dtype type = in[0]->type;
  Ref<Buffer> turned[count];
  char* data[count];
  for (size_t k = 0; k < count; ++k) {
    turned[k] = allocate(rows * n * bytes);
    data[k] = static_cast<char*>(turned[k]->data);
    Shape shape = in[k]->kept;
    Strides strides = in[k]->kept_strides;
    shape.push_back(n);
    strides.push_back(in[k]->reduced_strides[0]);
    copy(shape, {const_cast<char*>(in[k]->data), type, strides},
         {data[k], type, dense_strides(shape)});
  }
  cpu::parallel_for(rows, [&](int64_t r) {
    const char* row[count];
    for (size_t k = 0; k < count; ++k) row[k] = data[k] + r * n * bytes;
    run(row, n, data[0] + r * n * bytes);
  }, cost);
  const Shape shape{rows / place.inner, place.inner, n};
  copy(shape, {data[0], type, dense_strides(shape)},
       {out, type, {n * place.inner, 1, place.inner}});
}

template <size_t count, class Strips, class Single>
void run_columns(Rows (&in)[count], int64_t inner, char* out, double each, const After* after,
                 Strips&& strips, Single&& single) {
  const Rows* all[count];
  double cost = each;
  for (size_t k = 0; k < count; ++k) {
    all[k] = &in[k];
    if (in[k].formed) cost += in[k].formed->cost();
    if (in[k].formed && !is_kept(in[k], lines)) in[k].make_all();
  }
  cost *= double(in[0].rows) * double(in[0].length);
  const Place place{inner, in[0].length};
  if (const int64_t width = width_of(in, inner))
    return run_strips(all, width, place, out, cost, after, strips);
  for (Rows& one : in)
    if (one.formed) one.settle(false);
  if (in[0].length > longest_gathered_row) run_turned(all, place, out, cost, single);
  else run_rows(all, place, out, cost, after, single);
}

}  // namespace

void softmax_columns(const Rows& x, int64_t inner, char* out, const After* after) {
  const auto strips = column_kernels().softmax[index_of(x.type)];
  const auto single = norm_kernels().softmax[index_of(x.type)];
  const int64_t step = inner;
  Rows in[1] = {x};
  run_columns(in, inner, out, double(x.read_width()) * 0.3, after,
              [&](const Strip* from, int64_t n, int64_t columns, char* room, char* to) {
                strips(from[0], n, columns, room, to, step);
              },
              [&](const char* const* row, int64_t n, char* to) { single(row[0], to, n); });
}

void softmax_slope_columns(const Rows& y, const Rows& t, int64_t inner, char* out,
                           const After* after) {
  const auto strips = column_kernels().softmax_slope[index_of(y.type)];
  const auto single = norm_kernels().softmax_slope[index_of(y.type)];
  const int64_t step = inner;
  Rows in[2] = {y, t};
  run_columns(in, inner, out, 0.5, after,
              [&](const Strip* from, int64_t n, int64_t columns, char*, char* to) {
                strips(from[0], from[1], n, columns, to, step);
              },
              [&](const char* const* row, int64_t n, char* to) { single(row[0], row[1], to, n); });
}

}  // namespace lazulite::engine
