#include "engine/layout/copy.h"

#include <algorithm>
#include <cstring>

#include "device/cpu/features.h"
#include "device/cpu/level.h"
#include "device/cpu/move.h"
#include "device/cpu/pool.h"
#include "device/program.h"

namespace lazulite::engine {
namespace {

constexpr int64_t piece_bytes = 65536;  // of what a thread takes at a time, about
constexpr int64_t turn_least = 8;       // rows and columns from which squares are turned by tiles
constexpr int64_t stream_row = 1024;    // bytes of rows that go around the caches, at least

// What has to move: axes in the order of the result's memory, which all run forward there.
struct Move {
  Shape shape;
  SmallVector<Strides, 4> strides;  // of the result, of the source; in elements
  int64_t bytes;                    // of an element
  char* to;
  const char* from;
  int near = -1;  // an axis along which the source lies closer than along the last one
  bool streams = false;  // rows go around the caches

  Move(const Shape& all, const Strided& source, const Strided& result)
      : shape(all), bytes(size_of(result.type)), to(static_cast<char*>(result.data)),
        from(static_cast<const char*>(source.data)) {
    strides.emplace_back(result.strides);
    strides.emplace_back(source.strides);
    run_forward();
    sort_axes();
    collapse(shape, strides);
    widen();
    find_near();
  }
  int last() const { return int(shape.size()) - 1; }
  int64_t to_step(int axis) const { return strides[0][axis]; }
  int64_t from_step(int axis) const { return strides[1][axis]; }

 private:
  void run_forward() {
    for (size_t a = 0; a < shape.size(); ++a) {
      if (strides[0][a] >= 0) continue;
      to += (shape[a] - 1) * strides[0][a] * bytes;
      from += (shape[a] - 1) * strides[1][a] * bytes;
      strides[0][a] = -strides[0][a];
      strides[1][a] = -strides[1][a];
    }
  }
  void sort_axes() {
    for (size_t a = 1; a < shape.size(); ++a)
      for (size_t k = a; k > 0 && strides[0][k - 1] < strides[0][k]; --k) {
        std::swap(shape[k - 1], shape[k]);
        for (Strides& s : strides) std::swap(s[k - 1], s[k]);
      }
  }
  // Runs of a few elements are one wider element.
  void widen() {
    while (last() > 0 && to_step(last()) == 1 && from_step(last()) == 1) {
      const int64_t n = shape.back();
      if ((n & (n - 1)) || n * bytes > 16) return;
      for (int a = 0; a < last(); ++a)
        if (to_step(a) % n || from_step(a) % n) return;
      bytes *= n;
      shape.pop_back();
      for (Strides& s : strides) {
        s.pop_back();
        for (int64_t& step : s) step /= n;
      }
    }
  }
  void find_near() {
    const int64_t step = std::abs(from_step(last()));
    for (int a = 0; a < last(); ++a) {
      const int64_t other = std::abs(from_step(a));
      if (other == 0 || other >= step) continue;
      if (near < 0 || other < std::abs(from_step(near))) near = a;
    }
  }
};

template <class U>
void move_run(U* to, int64_t to_step, const U* from, int64_t from_step, int64_t n) {
  [[maybe_unused]] constexpr int size = __builtin_ctzll(sizeof(U));
  const cpu::MoveKernels& k = cpu::move_kernels();
  if (to_step == 1) {
    if (from_step == 0) return void(std::fill_n(to, n, *from));
    if constexpr (sizeof(U) <= 8) {
      if (from_step == -1) return k.reverse[size](to, from, n);
      if (from_step == 2) return k.halve[size](to, from, n);
    }
  } else if (to_step == 2 && from_step == 1) {
    if constexpr (sizeof(U) <= 8) return k.spread[size](to, from, n);
  }
  auto by_steps = [=](auto to_by, auto from_by) {
    for (int64_t i = 0; i < n; ++i) to[i * to_by] = from[i * from_by];
  };
  constexpr std::integral_constant<int64_t, 1> one;
  if (to_step == 1) by_steps(one, from_step);
  else if (from_step == 1) by_steps(to_step, one);
  else by_steps(to_step, from_step);
}

// Rows that go around the caches, in pieces that lie in the first one meanwhile.
template <class U>
void stream_run(U* to, const U* from, int64_t from_step, int64_t n) {
  constexpr int64_t most = 2048 / int64_t(sizeof(U));
  alignas(64) char piece[most * sizeof(U)];
  for (int64_t i = 0; i < n; i += most) {
    const int64_t some = std::min(most, n - i);
    move_run(reinterpret_cast<U*>(piece), 1, from + i * from_step, from_step, some);
    cpu::stream(to + i, piece, some * int64_t(sizeof(U)));
  }
}

struct Sixteen {
  uint64_t half[2];
};

// Rows of the last two axes.
void move_rows(const Move& m, char* to, const char* from, int axis, int64_t rows, int64_t n) {
  const cpu::MoveKernels& k = cpu::move_kernels();
  const int last = m.last();
  const int64_t to_step = m.to_step(last), from_step = m.from_step(last);
  const int64_t to_row = axis < 0 ? 0 : m.to_step(axis),
                from_row = axis < 0 ? 0 : m.from_step(axis);
  if (m.streams && from_step == 1) {
    for (int64_t i = 0; i < rows; ++i)
      cpu::stream(to + i * to_row * m.bytes, from + i * from_row * m.bytes, n * m.bytes);
    return cpu::end_stream();
  }
  if (to_step == 1 && from_step == 1)
    return k.rows(to, to_row * m.bytes, from, from_row * m.bytes, rows, n * m.bytes);
  const int size = __builtin_ctzll(uint64_t(m.bytes));
  const bool repeats = from_step == 0 && n < 64;  // each element a few times
  if (m.bytes <= 8 && to_step == 1 && from_row == 1 && (axis == m.near || repeats)) {
    if (!repeats || n != 2 || to_row != 2)
      return k.turn[size](to, to_row, from, from_step, rows, n);
    return k.repeat[size](to, from, 1, rows, 2);
  }
  auto run = [&]<class U>() {
    if (n <= cpu::short_row && rows > 1)
      return cpu::move_short_rows(reinterpret_cast<U*>(to), to_row, to_step,
                                  reinterpret_cast<const U*>(from), from_row, from_step, rows, n);
    for (int64_t i = 0; i < rows; ++i) {
      auto* const out = reinterpret_cast<U*>(to) + i * to_row;
      auto* const in = reinterpret_cast<const U*>(from) + i * from_row;
      m.streams ? stream_run(out, in, from_step, n) : move_run(out, to_step, in, from_step, n);
    }
    if (m.streams) cpu::end_stream();
  };
  // Neighbours that move as one element may lie anywhere.
  const bool aligned =
      (reinterpret_cast<uintptr_t>(to) | reinterpret_cast<uintptr_t>(from)) % size_t(m.bytes) == 0;
  auto with = [&]<class U>() {
    aligned ? run.template operator()<U>() : run.template operator()<cpu::Anywhere<U>>();
  };
  switch (m.bytes) {
    case 1: return with.template operator()<uint8_t>();
    case 2: return with.template operator()<uint16_t>();
    case 4: return with.template operator()<uint32_t>();
    case 8: return with.template operator()<uint64_t>();
    default: return with.template operator()<Sixteen>();
  }
}

// The domain is cut into pieces: `rows` of one axis by `columns` of the last one.
struct Grid {
  int axis = -1;  // of the rows; -1: there is but one
  int64_t rows = 1, columns = 1;
  Shape count;    // of pieces, along each axis of the shape
  int64_t all = 1;

  explicit Grid(const Move& m) {
    const int last = m.last();
    const int64_t piece = std::max<int64_t>(piece_bytes / m.bytes, 1);
    axis = m.near >= 0 ? m.near : last - 1;
    columns = std::min(m.shape[last], m.near >= 0 ? std::min<int64_t>(piece, 512) : piece);
    if (axis >= 0) rows = std::min(m.shape[axis], std::max<int64_t>(piece / columns, 1));
    count = m.shape;
    count[last] = (m.shape[last] + columns - 1) / columns;
    if (axis >= 0) count[axis] = (m.shape[axis] + rows - 1) / rows;
    all = size_of(count);
  }
};

// Pieces [begin, end) of the grid.
void move_pieces(const Move& m, const Grid& grid, int64_t begin, int64_t end) {
  const int last = m.last();
  auto span = [&](int a) { return a == last ? grid.columns : a == grid.axis ? grid.rows : 1; };
  SmallVector<int64_t, 6> at;  // in pieces
  at.resize(m.shape.size());
  char* to = m.to;
  const char* from = m.from;
  auto advance = [&](int a, int64_t pieces) {
    at[size_t(a)] += pieces;
    to += pieces * span(a) * m.to_step(a) * m.bytes;
    from += pieces * span(a) * m.from_step(a) * m.bytes;
  };
  int64_t rest = begin;
  for (int a = last; a >= 0; --a) {
    advance(a, rest % grid.count[a]);
    rest /= grid.count[a];
  }
  for (int64_t piece = begin; piece < end; ++piece) {
    auto size = [&](int a) {
      return std::min(span(a), m.shape[a] - at[size_t(a)] * span(a));
    };
    move_rows(m, to, from, grid.axis, grid.axis < 0 ? 1 : size(grid.axis), size(last));
    advance(last, 1);
    for (int a = last; a > 0 && at[size_t(a)] == grid.count[a]; --a) {
      advance(a, -grid.count[a]);
      advance(a - 1, 1);
    }
  }
}

void by_program(const Shape& shape, const Strided& from, const Strided& to) {
  BlockProgram program;
  program.domain = shape;
  program.load.push_back({0, from.type, 0, from.strides});
  program.store.push_back({1, to.type, 0, to.strides});
  program.registers = 1;
  program.width = 16;
  program.cost = 0.3;
  const Binding bindings[2] = {{from.data}, {to.data}};
  run_program(program, bindings);
}

}  // namespace

void copy(const Shape& shape, const Strided& from, const Strided& to, int64_t whole) {
  const int64_t size = size_of(shape);
  if (size == 0) return;
  if (from.type != to.type) return by_program(shape, from, to);
  Move m(shape, from, to);
  m.streams = m.to_step(m.last()) == 1 && m.shape[m.last()] * m.bytes >= stream_row &&
              2 * std::max(size * size_of(to.type), whole) >= cpu::cached_bytes();
  // Transposed in the large: the runner's squares.
  if (m.near >= 0 && m.from_step(m.near) == 1 && m.shape[m.near] >= turn_least &&
      m.shape[m.last()] >= turn_least && m.bytes == size_of(to.type))
    return by_program(shape, from, to);
  const Grid grid(m);
  if (grid.all == 1) return move_pieces(m, grid, 0, 1);
  // Pieces of few bytes (many axes, short runs) are taken several at a time.
  const int64_t bytes = grid.rows * grid.columns * m.bytes,
                together = std::max<int64_t>(piece_bytes / 2 / bytes, 1);
  cpu::parallel_for(
      (grid.all + together - 1) / together,
      [&](int64_t chunk) {
        move_pieces(m, grid, chunk * together, std::min(grid.all, (chunk + 1) * together));
      },
      double(size) * double(size_of(to.type)) * 0.08);
}

}  // namespace lazulite::engine
