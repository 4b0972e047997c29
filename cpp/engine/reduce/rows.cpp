#include "engine/reduce/rows.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "device/cpu/allocator.h"
#include "device/cpu/block.h"
#include "device/cpu/level.h"
#include "device/cpu/move.h"
#include "device/cpu/pool.h"
#include "device/cpu/thread_memory.h"
#include "device/device.h"
#include "device/limits.h"

namespace lazulite::engine {

namespace {

constexpr int64_t most_together = 1024, square = 16;

// The pairwise tree over chunks, which come in order: a counter in base two, part[i] standing for
// 2^i chunks.
struct ChunkTree {
  alignas(16) char part[52][largest_state];  // chunks of any int64 length
  int64_t count = 0;

  void add(const ReduceKernel& k, char* value) {  // changes value
    int i = 0;
    for (; count >> i & 1; ++i) {
      k.combine(part[i], value, 1);
      std::memcpy(value, part[i], size_t(k.bytes));
    }
    std::memcpy(part[i], value, size_t(k.bytes));
    ++count;
  }
  void finish(const ReduceKernel& k, char* out) {
    alignas(16) char value[largest_state];
    int i = __builtin_ctzll(uint64_t(count));
    std::memcpy(value, part[i], size_t(k.bytes));
    for (++i; count >> i; ++i)
      if (count >> i & 1) {
        k.combine(part[i], value, 1);
        std::memcpy(value, part[i], size_t(k.bytes));
      }
    std::memcpy(out, value, size_t(k.bytes));
  }
};

template <class T>
void move_run(const T* from, int64_t step, int64_t n, T* to) {
  [[maybe_unused]] constexpr int size = __builtin_ctzll(sizeof(T));
  if (step == 1) return void(std::memcpy(to, from, size_t(n) * sizeof(T)));
  if (step == 0) return std::fill(to, to + n, *from);
  if constexpr (size < 4) {
    if (step == -1) return cpu::move_kernels().reverse[size](to, from, n);
    if (step == 2) return cpu::move_kernels().halve[size](to, from, n);
  }
#pragma GCC unroll 8
  for (int64_t i = 0; i < n; ++i) to[i] = from[i * step];
}

bool shares_lines(int64_t step, int64_t width) { return std::abs(step) * width <= 64; }

// Elements [0, n) at distance `step` of `count` rows that begin next to each other, by tiles: each
// line of memory is read once, however many of them fall on one set of the cache. The lines of the
// next tile are fetched meanwhile: no hardware does where they lie pages apart.
template <class T>
void move_columns(const T* x, int64_t step, int64_t n, int64_t count, T* out, int64_t pitch) {
  [[maybe_unused]] constexpr int size = __builtin_ctzll(sizeof(T));
  constexpr int64_t line = 64 / int64_t(sizeof(T));
  for (int64_t i = 0; i < n; i += square) {
    const int64_t m = std::min(square, n - i), end = std::min(n, i + 2 * square);
    for (int64_t j = i + square; j < end; ++j)
      for (int64_t r = 0; r < count; r += line) __builtin_prefetch(x + j * step + r);
    if constexpr (size < 4) {
      cpu::move_kernels().turn[size](out + i, pitch, x + i * step, step, count, m);
    } else {
      for (int64_t j = i; j < i + m; ++j)
        for (int64_t r = 0; r < count; ++r) out[r * pitch + j] = x[j * step + r];
    }
  }
}

struct Pair {
  uint64_t half[2];
};
struct Cell {
  alignas(16) char bytes[largest_state];
};

int64_t padded(int64_t n) { return (n + 63) / 64 * 64; }

}  // namespace

char* piece_room(int64_t bytes, int slot) {
  thread_local cpu::ThreadMemory rooms[piece_rooms];
  return rooms[slot].reserve(bytes + cpu::block_padding);
}

int64_t Rows::together(int64_t piece) const {
  // Rows whose elements share cache lines are read alone; across memory, neighbours share them.
  const int64_t step = reduced_strides.empty() ? 0 : reduced_strides.back();
  const int64_t bytes = shares_lines(step, width()) ? 32 << 10 : 128 << 10;
  return std::clamp<int64_t>(bytes / std::max<int64_t>(1, piece * std::max(width(), read_width())),
                             1, std::min(rows, most_together));
}

// ---- reading

// Room for n elements as they lie in memory, and behind them for each step of a conversion.
char* Rows::room_for(int64_t n) const {
  n = padded(n);
  return piece_room(converts() ? n * (width() + 8 + 4) : n * width(), slot);
}

const char* Rows::converted(char* raw, int64_t n) const {
  if (!converts()) return raw;
  n = padded(n);
  char* const places[2] = {raw + n * width(), raw + n * (width() + 8)};
  const char* at = raw;
  Dtype now = memory;
  int turn = 0;
  auto step = [&](Kernel kernel, Dtype to) {  // 8 bytes an element, then 4, then the first again
    const void* in[1] = {at};
    kernel(places[turn], in, n);
    at = places[turn];
    turn ^= 1;
    now = to;
  };
  if (is_half(now)) step(cpu::widen_kernel(now), float32);
  if (truth && !is_bool(now)) step(cpu::cast_kernel(now, bool_), bool_);
  if (now != type) step(cpu::cast_kernel(now, type), type);
  return at;
}

const char* Rows::read(int64_t row, int64_t count, int64_t from, int64_t n) const {
  if (count == 1 && in_runs() && !converts() && !formed) return this->row(row) + from * width();
  char* raw = room_for(count * n);
  formed ? form(row, count, from, n, raw) : gather(row, count, from, n, raw);
  return converted(raw, count * n);
}

void Rows::settle(bool columns) {
  if (formed && !(formed->by_rows() && (in_runs() || (columns && in_columns())))) make_all();
}
void Rows::make_all() {
  held = formed->all();
  data = static_cast<const char*>(held->data);
  formed = nullptr;
}

void Rows::form(int64_t row, int64_t count, int64_t from, int64_t n, char* to) const {
  const size_t axes = kept.size();
  if (axes <= 1) {  // rows follow each other at one distance
    const int64_t step = axes ? kept_strides[0] : 0, start = row * step + from;
    return step == n ? formed->form(start, 1, 0, count * n, to)
                     : formed->form(start, count, step, n, to);
  }
  for (int64_t r = 0; r < count; ++r)
    formed->form(place(row + r, axes) + from, 1, 0, n, to + r * n * width());
}

const char* Rows::form_strip(int64_t start, int64_t n, int64_t stride, int64_t columns) const {
  char* raw = room_for(n * columns);
  if (stride == columns) formed->form(start, 1, 0, n * columns, raw);
  else formed->form(start, n, stride, columns, raw);
  return converted(raw, n * columns);
}

const char* Rows::read_strip(const char* x, int64_t n, int64_t stride, int64_t columns) const {
  char* raw = room_for(n * columns);
  const int64_t bytes = columns * width();
  for (int64_t i = 0; i < n; ++i)
    std::memcpy(raw + i * bytes, x + i * stride * width(), size_t(bytes));
  return converted(raw, n * columns);
}

void Rows::gather(int64_t row, int64_t count, int64_t from, int64_t n, char* to) const {
  auto run = [&]<class T>() {
    const T* base[most_together];
    SmallVector<int64_t, 6> place;
    place.resize(kept.size());
    int64_t first = 0, left = row;
    for (size_t d = kept.size(); d-- > 0;) {
      place[d] = left % kept[d];
      left /= kept[d];
      first += place[d] * kept_strides[d];
    }
    for (int64_t r = 0; r < count; ++r) {
      base[r] = reinterpret_cast<const T*>(data) + first;
      for (size_t d = kept.size(); d-- > 0;) {
        first += kept_strides[d];
        if (++place[d] < kept[d]) break;
        first -= kept[d] * kept_strides[d];
        place[d] = 0;
      }
    }
    bool adjacent = true;
    for (int64_t r = 1; adjacent && r < count; ++r) adjacent = base[r] == base[0] + r;
    T* out = reinterpret_cast<T*>(to);
    if (reduced.empty()) {
      for (int64_t r = 0; r < count; ++r) out[r * n] = *base[r];
      return;
    }
    const size_t last = reduced.size() - 1;
    const int64_t step = reduced_strides[last];
    SmallVector<int64_t, 6> at;
    at.resize(reduced.size());
    int64_t offset = 0, rest = from;
    for (size_t d = last + 1; d-- > 0;) {
      at[d] = rest % reduced[d];
      rest /= reduced[d];
      offset += at[d] * reduced_strides[d];
    }
    for (int64_t done = 0; done < n;) {
      const int64_t m = std::min(n - done, reduced[last] - at[last]);
      if (count == 1 || (m >= square && shares_lines(step, width()))) {
        for (int64_t r = 0; r < count; ++r) move_run(base[r] + offset, step, m, out + r * n + done);
      } else if (adjacent) {
        move_columns(base[0] + offset, step, m, count, out + done, n);
      } else {
        // Squares of what neighbouring rows have in the same lines.
        for (int64_t i = 0; i < m; i += square) {
          const int64_t until = std::min(m, i + square);
          for (int64_t r = 0; r < count; ++r) {
            const T* x = base[r] + offset;
            T* y = out + r * n + done;
            for (int64_t j = i; j < until; ++j) y[j] = x[j * step];
          }
        }
      }
      done += m;
      offset += m * step;
      at[last] += m;
      for (size_t d = last; d > 0 && at[d] == reduced[d]; --d) {
        offset += reduced_strides[d - 1] - at[d] * reduced_strides[d];
        at[d] = 0;
        ++at[d - 1];
      }
    }
  };
  switch (width()) {
    case 1: return run.template operator()<uint8_t>();
    case 2: return run.template operator()<uint16_t>();
    case 4: return run.template operator()<uint32_t>();
    case 8: return run.template operator()<uint64_t>();
    default: return run.template operator()<Pair>();
  }
}

// ---- rows without gaps

namespace {

// parts: n values of `columns` accumulators; pairwise by index, the result in the first.
void fold(const ReduceKernel& k, char* parts, int64_t n, int64_t columns) {
  const int64_t bytes = columns * k.bytes;
  for (; n > 1; n = (n + 1) / 2)
    for (int64_t i = 0; 2 * i < n; ++i) {
      if (2 * i + 1 < n) k.combine(parts + 2 * i * bytes, parts + (2 * i + 1) * bytes, columns);
      if (i) std::memcpy(parts + i * bytes, parts + 2 * i * bytes, size_t(bytes));
    }
}

constexpr int64_t group = 8 * reduce_chunk;  // a power of two of chunks: a whole subtree

// A run of elements through all kernels, chunk by chunk; at(t): where the result of the t-th goes.
template <class At>
void reduce_run(const Reductions& all, const char* x, int64_t n, int64_t width, At&& at) {
  if (n <= reduce_chunk) {
    for (size_t t = 0; t < all.size(); ++t) all[t].k->chunk(x, n, at(t));
    return;
  }
  ChunkTree one;
  std::unique_ptr<ChunkTree[]> several;
  if (all.size() > 1) several.reset(new ChunkTree[all.size()]);
  ChunkTree* const trees = several ? several.get() : &one;
  for (int64_t i = 0; i < n; i += reduce_chunk)
    for (size_t t = 0; t < all.size(); ++t) {
      alignas(16) char value[largest_state];
      all[t].k->chunk(x + i * width, std::min(reduce_chunk, n - i), value);
      trees[t].add(*all[t].k, value);
    }
  for (size_t t = 0; t < all.size(); ++t) trees[t].finish(*all[t].k, at(t));
}

// Of each reduction `groups` values for each row, which are folded at the end.
struct Parts {
  const Reductions& all;
  const int64_t rows, groups;
  SmallVector<Ref<Buffer>, 2> memory;

  Parts(const Reductions& all, int64_t rows, int64_t groups)
      : all(all), rows(rows), groups(groups) {
    for (const Reducing& one : all) memory.push_back(allocate(rows * groups * one.k->bytes));
  }
  char* at(size_t t, int64_t row, int64_t g) const {
    return static_cast<char*>(memory[t]->data) + (row * groups + g) * all[t].k->bytes;
  }
  void fold_all() const {
    for (size_t t = 0; t < all.size(); ++t)
      for (int64_t r = 0; r < rows; ++r) {
        fold(*all[t].k, at(t, r, 0), groups, 1);
        std::memcpy(all[t].out + r * all[t].k->bytes, at(t, r, 0), size_t(all[t].k->bytes));
      }
  }
};

// Results that `after` is told of at a time, at least: fewer cost more than another look at them.
constexpr int64_t least_after = 2048;

void reduce_runs(const Reductions& all, const Rows& in, const After* after) {
  const int64_t w = in.width(), length = in.length, rows = in.rows;
  double cost = 0;
  for (const Reducing& one : all)
    cost += double(rows) * double(length) * double(w) * (one.k->twice ? 0.1 : 0.05) +
            double(rows) * 10;
  const int64_t groups = (length + group - 1) / group;
  if (groups > 1 && rows < 4 * cpu::num_threads()) {
    const Parts parts(all, rows, groups);
    cpu::parallel_for(rows * groups, [&](int64_t i) {
      const int64_t row = i / groups, g = i % groups;
      reduce_run(all, in.row(row) + g * group * w, std::min(group, length - g * group), w,
                 [&](size_t t) { return parts.at(t, row, g); });
    }, cost);
    return parts.fold_all();
  }
  const int64_t per = std::max<int64_t>(1, grain / length);
  const bool next_to_each_other = length <= reduce_chunk && in.kept.size() == 1;
  cpu::parallel_for((rows + per - 1) / per, [&](int64_t block) {
    const int64_t begin = block * per, end = std::min(rows, begin + per);
    Reductions alone;
    for (const auto& [k, out] : all) {
      if (!k->rows || !next_to_each_other) alone.push_back({k, out});
      else
        k->rows(in.row(begin), length, in.kept_strides[0], end - begin, out + begin * k->bytes);
    }
    for (int64_t r = begin; r < end && alone.size(); ++r)
      reduce_run(alone, in.row(r), length, w,
                 [&](size_t t) { return alone[t].out + r * alone[t].k->bytes; });
    if (after && per >= least_after) after->run(begin, 1, 0, end - begin);
  }, cost);
}

// ---- columns

// So few leave most of a vector empty: where chunks are read twice they are better turned into
// rows.
bool are_few_columns(const Reductions& all, const Rows& in) {
  for (const Reducing& one : all)
    if (!one.k->twice) return false;
  return in.kept.back() < 8;
}

void reduce_columns(const ReduceKernel& k, const Rows& in, char* out) {
  // Of sums: 32 lanes of them stay in L2, and rows come in runs of a page.
  constexpr int64_t block_bytes = 4096;
  const int64_t w = in.width(), acc = k.bytes, length = in.length, inner = in.kept.back(),
                outer = in.rows / inner;
  const int64_t stride = in.reduced_strides[0], rows = std::min(length, reduce_chunk);
  int64_t block = k.twice ? two_pass_strip : block_bytes / size_of(compute_type(in.type));
  // What is converted should stay in cache meanwhile.
  if (in.converts())
    block = std::clamp<int64_t>((512 << 10) / (rows * in.read_width()) / 32 * 32, 32, block);
  const int64_t pieces = (length + reduce_chunk - 1) / reduce_chunk;
  while (block > 128 && outer * pieces * ((inner + block - 1) / block) < cpu::num_threads())
    block /= 2;
  const int64_t blocks = (inner + block - 1) / block;
  const double cost =
      double(in.rows) * double(length) * double(w) * (in.converts() || k.twice ? 0.16 : 0.08);
  Ref<Buffer> buffer;
  char* parts = out;
  if (pieces > 1) {
    buffer = allocate(outer * pieces * inner * acc);
    parts = static_cast<char*>(buffer->data);
  }
  const int64_t tasks = outer * pieces * blocks;
  const int64_t per = std::max<int64_t>(1, grain / (rows * std::min(block, inner)));
  cpu::parallel_for((tasks + per - 1) / per, [&](int64_t run) {
    char* const lanes = piece_room(
        k.twice ? two_pass_room(rows) * size_of(compute_type(in.type))
                : reduce_lanes * block * acc, 1);
    const int64_t end = std::min(tasks, (run + 1) * per);
    for (int64_t task = run * per; task < end; ++task) {
      const int64_t b = task % blocks, p = task / blocks % pieces, o = task / blocks / pieces;
      const char* x = in.at(o, in.kept.size() - 1) + (p * reduce_chunk * stride + b * block) * w;
      const int64_t n = std::min(reduce_chunk, length - p * reduce_chunk),
                    columns = std::min(block, inner - b * block);
      char* to = parts + ((o * pieces + p) * inner + b * block) * acc;
      const char* strip = in.converts() ? in.read_strip(x, n, stride, columns) : x;
      k.columns(strip, n, in.converts() ? columns : stride, columns, lanes, to);
    }
  }, cost);
  if (pieces == 1) return;
  cpu::parallel_for(outer, [&](int64_t o) {
    fold(k, parts + o * pieces * inner * acc, pieces, inner);
    std::memcpy(out + o * inner * acc, parts + o * pieces * inner * acc, size_t(inner * acc));
  }, double(outer * pieces * inner) * 0.3);
}

// Whether columns lie in small planes at one distance, as the kernel takes them.
bool are_planes(const ReduceKernel& k, const Rows& in) {
  const int64_t width = in.kept.back(), parts = is_complex(in.type) ? 2 : 1;
  return k.planes && !in.converts() && in.kept.size() == 2 && width < 16 &&
         in.reduced_strides[0] == width && in.length <= reduce_lanes &&
         in.length * width * parts <= plane_elements && in.kept[0] >= 8 && in.kept_strides[0] > 0;
}
void reduce_planes(const ReduceKernel& k, const Rows& in, char* out) {
  const int64_t planes = in.kept[0], width = in.kept[1], step = in.kept_strides[0],
                per = std::max<int64_t>(1, grain / (in.length * width));
  cpu::parallel_for((planes + per - 1) / per, [&](int64_t task) {
    const int64_t first = task * per, count = std::min(per, planes - first);
    k.planes(in.data + first * step * in.width(), in.length, width, step, count,
             out + first * width * k.bytes);
  }, double(in.rows * in.length) * double(in.width()) * 0.08);
}

// The same of columns that are formed: some rows at a time, which stay in cache with their lanes.
void reduce_formed_columns(const Reductions& all, const Rows& in) {
  constexpr int64_t widest = 1024, rows = reduce_lanes;
  const int64_t length = in.length, inner = in.kept.back(), outer = in.rows / inner,
                pieces = (length + reduce_chunk - 1) / reduce_chunk;
  int64_t block = std::min(inner, widest), lane_bytes = 0;
  while (block > 256 && outer * pieces * ((inner + block - 1) / block) < 2 * cpu::num_threads())
    block = (block / 2 + 63) / 64 * 64;
  const int64_t blocks = (inner + block - 1) / block, tasks = outer * pieces * blocks;
  for (const Reducing& one : all) lane_bytes += reduce_lanes * block * one.k->lane_bytes;
  SmallVector<Ref<Buffer>, 2> buffers;
  SmallVector<char*, 2> parts;
  for (const auto& [k, out] : all) {
    parts.push_back(out);
    if (pieces == 1) continue;
    buffers.push_back(allocate(outer * pieces * inner * k->bytes));
    parts.back() = static_cast<char*>(buffers.back()->data);
  }
  cpu::parallel_for(tasks, [&](int64_t task) {
    const int64_t b = task % blocks, p = task / blocks % pieces, o = task / blocks / pieces;
    const int64_t columns = std::min(block, inner - b * block),
                  n = std::min(reduce_chunk, length - p * reduce_chunk),
                  stride = in.reduced_strides[0],
                  start = in.place(o, in.kept.size() - 1) + p * reduce_chunk * stride + b * block;
    char* const room = piece_room(lane_bytes, 1);
    for (int64_t i = 0; i < n; i += rows) {
      const int64_t some = std::min(rows, n - i);
      const char* strip = in.form_strip(start + i * stride, some, stride, columns);
      char* lanes = room;
      for (const auto& [k, out] : all) {
        k->take(strip, some, columns, i / rows, lanes);
        lanes += reduce_lanes * block * k->lane_bytes;
      }
    }
    char* lanes = room;
    for (size_t t = 0; t < all.size(); ++t) {
      const ReduceKernel& k = *all[t].k;
      k.fold(lanes, n, columns, parts[t] + ((o * pieces + p) * inner + b * block) * k.bytes);
      lanes += reduce_lanes * block * k.lane_bytes;
    }
  }, double(in.rows) * double(length) *
         (double(in.width()) * 0.1 * double(all.size()) + in.formed->cost()));
  if (pieces == 1) return;
  cpu::parallel_for(outer, [&](int64_t o) {
    for (size_t t = 0; t < all.size(); ++t) {
      const int64_t acc = all[t].k->bytes;
      fold(*all[t].k, parts[t] + o * pieces * inner * acc, pieces, inner);
      std::memcpy(all[t].out + o * inner * acc, parts[t] + o * pieces * inner * acc,
                  size_t(inner * acc));
    }
  }, double(outer * pieces * inner) * 0.3 * double(all.size()));
}

// ---- any layout

constexpr int64_t most_trees = 64;

// Reduces elements [from, until) of some rows; at(t, r): where the t-th reduction of row `row + r`
// goes. More than one chunk only of as many rows as there are trees for.
template <class At>
void reduce_some(const Reductions& all, const Rows& in, int64_t row, int64_t count, int64_t from,
                 int64_t until, bool next_to_each_other, At&& at) {
  const int64_t piece = std::min(until - from, reduce_chunk), w = in.read_width();
  if (until - from <= reduce_chunk) {
    const char* x = in.read(row, count, from, piece);
    for (size_t t = 0; t < all.size(); ++t) {
      const ReduceKernel& k = *all[t].k;
      if (k.rows && next_to_each_other)
        k.rows(x, piece, piece, count, at(t, 0));
      else
        for (int64_t r = 0; r < count; ++r) k.chunk(x + r * piece * w, piece, at(t, r));
    }
    return;
  }
  ChunkTree trees[most_trees];
  for (int64_t i = from; i < until; i += reduce_chunk) {
    const int64_t n = std::min(reduce_chunk, until - i);
    const char* x = in.read(row, count, i, n);
    for (int64_t r = 0; r < count; ++r)
      for (size_t t = 0; t < all.size(); ++t) {
        alignas(16) char value[largest_state];
        all[t].k->chunk(x + r * n * w, n, value);
        trees[int64_t(t) * count + r].add(*all[t].k, value);
      }
  }
  for (size_t t = 0; t < all.size(); ++t)
    for (int64_t r = 0; r < count; ++r)
      trees[int64_t(t) * count + r].finish(*all[t].k, at(t, r));
}

int64_t rows_together(const Rows& in, size_t reductions = 1) {
  const int64_t count = in.together(std::min(in.length, reduce_chunk));
  return in.length > reduce_chunk ? std::min<int64_t>(count, most_trees / int64_t(reductions))
                                  : count;
}

void reduce_pieces(const Reductions& all, const Rows& in) {
  const int64_t groups = (in.length + group - 1) / group, tile = rows_together(in, all.size()),
                tiles = (in.rows + tile - 1) / tile;
  const double cost = double(in.rows) * double(in.length) *
                          (double(in.width()) * 0.15 * double(all.size()) +
                           (in.formed ? in.formed->cost() : 0)) +
                      double(in.rows) * 10;
  if (groups == 1 || tiles >= 4 * cpu::num_threads())
    return cpu::parallel_for(tiles, [&](int64_t tile_index) {
      const int64_t row = tile_index * tile, count = std::min(tile, in.rows - row);
      reduce_some(all, in, row, count, 0, in.length, true, [&](size_t t, int64_t r) {
        return all[t].out + (row + r) * all[t].k->bytes;
      });
    }, cost);
  const Parts parts(all, in.rows, groups);
  cpu::parallel_for(tiles * groups, [&](int64_t i) {
    const int64_t row = i / groups * tile, g = i % groups;
    reduce_some(all, in, row, std::min(tile, in.rows - row), g * group,
                std::min(in.length, (g + 1) * group), false,
                [&](size_t t, int64_t r) { return parts.at(t, row + r, g); });
  }, cost);
  parts.fold_all();
}

}  // namespace

void reduce_row(const ReduceKernel& k, const char* x, int64_t n, int64_t width, char* out) {
  reduce_run({{&k, out}}, x, n, width, [&](size_t) { return out; });
}

void reduce_all(const Reductions& all, const Rows& in, const After* after) {
  if (in.formed)
    in.in_runs() ? reduce_pieces(all, in) : reduce_formed_columns(all, in);
  else if (in.in_runs() && !in.converts()) reduce_runs(all, in, after);
  else if (!in.in_columns() || are_few_columns(all, in)) reduce_pieces(all, in);
  else
    for (const auto& [k, out] : all)
      are_planes(*k, in) ? reduce_planes(*k, in, out) : reduce_columns(*k, in, out);
}

namespace {

constexpr int64_t stretch = 16 * reduce_chunk;  // of a long row: one task

// What neighbours come to, and the first of their chunks that comes to it.
struct Best {
  Cell value;
  int64_t chunk;
};
// Whether a later value changes the one so far, which then is the later one.
bool changes(const ReduceKernel& k, const FindKernel& find, Cell& so_far, const Cell& later) {
  Cell both = so_far;
  k.combine(both.bytes, later.bytes, 1);
  if (find.same(both.bytes, so_far.bytes)) return false;
  so_far = later;
  return true;
}
Best best_of(const ReduceKernel& k, const FindKernel& find, const char* x, int64_t from,
             int64_t until, int64_t width) {
  Best best{{}, from};
  k.chunk(x + from * width, std::min(reduce_chunk, until - from), best.value.bytes);
  for (int64_t at = from + reduce_chunk; at < until; at += reduce_chunk) {
    Cell value;
    k.chunk(x + at * width, std::min(reduce_chunk, until - at), value.bytes);
    if (changes(k, find, best.value, value)) best.chunk = at;
  }
  return best;
}

}  // namespace

void find_all(const ReduceKernel& k, const FindKernel& find, const Rows& in, bool large,
              char* out) {
  auto put = [&](int64_t row, int64_t index) {
    if (large) reinterpret_cast<int64_t*>(out)[row] = index;
    else reinterpret_cast<uint32_t*>(out)[row] = uint32_t(index);
  };
  const bool as_they_lie = in.in_runs() && !in.converts() && !in.formed;
  if (find.rows && k.rows && in.length <= reduce_lanes && (!as_they_lie || in.kept.size() <= 1)) {
    const int64_t n = in.length, stride = as_they_lie && in.kept.size() ? in.kept_strides[0] : n,
                  per = as_they_lie ? std::max<int64_t>(1, grain / 2 / n) : rows_together(in);
    return cpu::parallel_for((in.rows + per - 1) / per, [&](int64_t block) {
      const int64_t row = block * per, count = std::min(per, in.rows - row);
      const char* x = as_they_lie ? in.row(row) : in.read(row, count, 0, n);
      char* const values = piece_room(count * k.bytes, piece_rooms - 1);
      k.rows(x, n, stride, count, values);
      find.rows(x, n, stride, count, values, reinterpret_cast<uint32_t*>(out) + row);
    }, double(in.rows) * double(n) * (double(in.width()) * 0.15 +
                                      (in.formed ? in.formed->cost() : 0)));
  }
  if (as_they_lie) {
    const int64_t width = in.width(), n = in.length;
    auto put_best = [&](int64_t row, const Best& best) {
      put(row, best.chunk + find.first(in.row(row) + best.chunk * width,
                                       std::min(reduce_chunk, n - best.chunk), best.value.bytes));
    };
    const double cost = double(in.rows) * double(n) * double(width) * 0.1;
    const int64_t pieces = (n + stretch - 1) / stretch, per = std::max<int64_t>(1, grain / 2 / n);
    if (pieces == 1)
      return cpu::parallel_for((in.rows + per - 1) / per, [&](int64_t block) {
        for (int64_t r = block * per; r < std::min(in.rows, (block + 1) * per); ++r)
          put_best(r, best_of(k, find, in.row(r), 0, n, width));
      }, cost);
    std::vector<Best> found(size_t(in.rows * pieces));
    cpu::parallel_for(in.rows * pieces, [&](int64_t i) {
      const int64_t from = i % pieces * stretch;
      found[size_t(i)] =
          best_of(k, find, in.row(i / pieces), from, std::min(n, from + stretch), width);
    }, cost);
    return cpu::parallel_for(in.rows, [&](int64_t r) {
      Best best = found[size_t(r * pieces)];
      for (int64_t i = r * pieces + 1; i < (r + 1) * pieces; ++i)
        if (changes(k, find, best.value, found[size_t(i)].value))
          best.chunk = found[size_t(i)].chunk;
      put_best(r, best);
    }, double(in.rows) * double(reduce_chunk) * double(width) * 0.1);
  }
  // Chunk by chunk, each read once: where the result of those so far changes, it is found there.
  const int64_t tile = rows_together(in), w = in.read_width();
  cpu::parallel_for((in.rows + tile - 1) / tile, [&](int64_t t) {
    const int64_t row = t * tile, count = std::min(tile, in.rows - row);
    SmallVector<Cell, 64> best;
    SmallVector<int64_t, 64> index(size_t(count), 0);
    best.resize(size_t(count));
    for (int64_t at = 0; at < in.length; at += reduce_chunk) {
      const int64_t n = std::min(reduce_chunk, in.length - at);
      const char* x = in.read(row, count, at, n);
      for (int64_t r = 0; r < count; ++r) {
        Cell value;
        Cell& so_far = best[size_t(r)];
        k.chunk(x + r * n * w, n, value.bytes);
        if (at && !changes(k, find, so_far, value)) continue;
        so_far = value;
        index[size_t(r)] = at + find.first(x + r * n * w, n, value.bytes);
      }
    }
    for (int64_t r = 0; r < count; ++r) put(row + r, index[size_t(r)]);
  }, double(in.rows) * double(in.length) *
         (double(w) * 0.25 + (in.formed ? in.formed->cost() : 0)));
}

}  // namespace lazulite::engine
