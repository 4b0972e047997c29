#include "ops/reduce/gathered.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#include "device/cpu/allocator.h"
#include "device/cpu/pool.h"
#include "device/device.h"

namespace lazulite {

void ChunkTree::add(const ReduceKernel& k, char* value, int64_t bytes) {
  int i = 0;
  for (; count >> i & 1; ++i) {
    k.combine(part[i], value, 1);
    std::memcpy(value, part[i], size_t(bytes));
  }
  std::memcpy(part[i], value, size_t(bytes));
  ++count;
}

void ChunkTree::finish(const ReduceKernel& k, int64_t bytes, char* out) {
  alignas(16) char value[16];
  int i = __builtin_ctzll(uint64_t(count));
  std::memcpy(value, part[i], size_t(bytes));
  for (++i; count >> i; ++i)
    if (count >> i & 1) {
      k.combine(part[i], value, 1);
      std::memcpy(value, part[i], size_t(bytes));
    }
  std::memcpy(out, value, size_t(bytes));
}

namespace {

constexpr int64_t most_together = 1024, square = 16;

template <class T>
void move_run(const T* from, int64_t step, int64_t n, T* to) {
  if (step == 1) std::memcpy(to, from, size_t(n) * sizeof(T));
  else if (step == 0) std::fill(to, to + n, *from);
  else if (step == -1) std::reverse_copy(from - (n - 1), from + 1, to);
  else
    for (int64_t i = 0; i < n; ++i) to[i] = from[i * step];
}

struct Pair {
  uint64_t half[2];
};
struct Cell {
  alignas(16) char bytes[16];
};

}  // namespace

int64_t Gathered::together(int64_t piece) const {
  // Runs of one row are read alone; across memory, neighbours share cache lines.
  const int64_t step = reduced_strides.empty() ? 0 : reduced_strides.back();
  const int64_t bytes = step >= -1 && step <= 1 ? 32 << 10 : 128 << 10;
  return std::clamp<int64_t>(bytes / std::max<int64_t>(1, piece * width), 1,
                             std::min(rows, most_together));
}

char* Gathered::room(int64_t bytes) {
  struct Room {
    char* data = nullptr;
    int64_t bytes = 0;
    ~Room() { std::free(data); }
  };
  thread_local Room room;
  bytes = (bytes + cpu::block_padding + 4095) / 4096 * 4096;
  if (room.bytes < bytes) {
    std::free(room.data);
    room.bytes = 0;
    room.data = static_cast<char*>(std::aligned_alloc(64, size_t(bytes)));
    if (!room.data) throw std::bad_alloc();
    std::memset(room.data, 0, size_t(bytes));
    room.bytes = bytes;
  }
  return room.data;
}

void Gathered::read(int64_t row, int64_t count, int64_t from, int64_t n, char* to) const {
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
      if (count == 1 || (m >= square && step >= -1 && step <= 1)) {
        for (int64_t r = 0; r < count; ++r) move_run(base[r] + offset, step, m, out + r * n + done);
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
  switch (width) {
    case 1: return run.template operator()<uint8_t>();
    case 2: return run.template operator()<uint16_t>();
    case 4: return run.template operator()<uint32_t>();
    case 8: return run.template operator()<uint64_t>();
    default: return run.template operator()<Pair>();
  }
}

namespace {

// Reduces elements [from, until) of some rows into to[r * step]; more than one chunk only of few
// rows.
void reduce_some(const ReduceKernel& k, const Gathered& in, int64_t acc, int64_t row, int64_t count,
                 int64_t from, int64_t until, char* to, int64_t step) {
  const int64_t piece = std::min(until - from, reduce_chunk), w = in.width;
  char* room = Gathered::room(count * piece * w);
  if (until - from <= reduce_chunk) {
    in.read(row, count, from, piece, room);
    for (int64_t r = 0; r < count; ++r) k.chunk(room + r * piece * w, piece, to + r * step);
    return;
  }
  constexpr int64_t most = 64;
  ChunkTree trees[most];
  for (int64_t at = from; at < until; at += reduce_chunk) {
    const int64_t n = std::min(reduce_chunk, until - at);
    in.read(row, count, at, n, room);
    for (int64_t r = 0; r < count; ++r) {
      alignas(16) char value[16];
      k.chunk(room + r * n * w, n, value);
      trees[r].add(k, value, acc);
    }
  }
  for (int64_t r = 0; r < count; ++r) trees[r].finish(k, acc, to + r * step);
}

int64_t rows_together(const Gathered& in) {
  const int64_t count = in.together(std::min(in.length, reduce_chunk));
  return in.length > reduce_chunk ? std::min<int64_t>(count, 64) : count;
}

}  // namespace

void reduce_gathered(const ReduceKernel& k, const Gathered& in, int64_t acc, char* out) {
  const int64_t group = 8 * reduce_chunk;  // a power of two of chunks: a whole subtree
  const int64_t groups = (in.length + group - 1) / group, tile = rows_together(in),
                tiles = (in.rows + tile - 1) / tile;
  const double cost =
      double(in.rows) * double(in.length) * double(in.width) * 0.15 + double(in.rows) * 10;
  if (groups == 1 || tiles >= 4 * cpu::num_threads())
    return cpu::parallel_for(tiles, [&](int64_t t) {
      const int64_t row = t * tile;
      reduce_some(k, in, acc, row, std::min(tile, in.rows - row), 0, in.length, out + row * acc,
                  acc);
    }, cost);
  const Ref<Buffer> parts = allocate(in.rows * groups * acc);
  char* part = static_cast<char*>(parts->data);
  cpu::parallel_for(tiles * groups, [&](int64_t i) {
    const int64_t row = i / groups * tile, g = i % groups;
    reduce_some(k, in, acc, row, std::min(tile, in.rows - row), g * group,
                std::min(in.length, (g + 1) * group), part + (row * groups + g) * acc,
                groups * acc);
  }, cost);
  for (int64_t r = 0; r < in.rows; ++r) {
    char* row = part + r * groups * acc;
    ChunkTree tree;
    for (int64_t g = 0; g < groups; ++g) {
      alignas(16) char value[16];
      std::memcpy(value, row + g * acc, size_t(acc));
      tree.add(k, value, acc);
    }
    tree.finish(k, acc, out + r * acc);
  }
}

void find_gathered(const ReduceKernel& k, FindFirst find, const Gathered& in, int64_t acc,
                   uint32_t* out) {
  const int64_t tile = rows_together(in), piece = std::min(in.length, reduce_chunk), w = in.width;
  cpu::parallel_for((in.rows + tile - 1) / tile, [&](int64_t t) {
    const int64_t row = t * tile, count = std::min(tile, in.rows - row);
    SmallVector<Cell, 64> values;
    values.resize(size_t(count));
    reduce_some(k, in, acc, row, count, 0, in.length, values.begin()->bytes, sizeof(Cell));
    char* room = Gathered::room(count * piece * w);
    std::fill(out + row, out + row + count, UINT32_MAX);
    int64_t left = count;
    for (int64_t at = 0; at < in.length && left; at += reduce_chunk) {
      const int64_t n = std::min(reduce_chunk, in.length - at);
      if (in.length > reduce_chunk) in.read(row, count, at, n, room);  // else it is there already
      for (int64_t r = 0; r < count; ++r) {
        if (out[row + r] != UINT32_MAX) continue;
        const int64_t i = find(room + r * n * w, n, values[size_t(r)].bytes);
        if (i == n) continue;
        out[row + r] = uint32_t(at + i);
        --left;
      }
    }
  }, double(in.rows) * double(in.length) * double(w) * 0.25);
}

}  // namespace lazulite
