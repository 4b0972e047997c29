#include "engine/signal/signal.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "device/cpu/level.h"
#include "device/cpu/pool.h"
#include "device/device.h"
#include "device/limits.h"
#include "engine/layout/copy.h"
#include "engine/signal/kernels.h"

namespace lazulite {
LAZULITE_LEVELS(const SignalKernels&, signal_kernels)
}

namespace lazulite::engine {

void correlate(const Correlation& c) {
  const int64_t n = c.length - c.terms + 1, bytes = size_of(c.type);
  // Each place is computed alone: any partition has the same bits.
  const int64_t tile = std::clamp<int64_t>((n / 16 + 63) / 64 * 64, 64, 1024);
  const int64_t tiles = (n + tile - 1) / tile;
  const auto kernel = signal_kernels().correlate[index_of(c.type)];
  cpu::parallel_for(c.lines * tiles, [&](int64_t task) {
    const int64_t line = task / tiles, from = task % tiles * tile;
    const int64_t count = std::min(tile, n - from), window = count + c.terms - 1;
    const char* x = c.x + (line * c.length + from) * bytes;
    std::vector<char> room;  // where a vector would read beyond the end of all lines
    if (line * c.length + from + window + correlate_room > c.lines * c.length) {
      room.resize(size_t((window + correlate_room) * bytes));
      std::memcpy(room.data(), x, size_t(window * bytes));
      x = room.data();
    }
    kernel(x, c.w + line * c.terms * bytes, c.terms, count, c.out + (line * n + from) * bytes);
  }, double(c.lines) * double(n) * double(c.terms) * double(bytes) * 0.01);
}

// ---- Hadamard matrices
// -------------------------------------------------------------------------

namespace {

// Of order 12 by rows (Paley); of 20 and 28 by the first rows of circulant blocks of 5 and 7
// (Williamson): + is 1, - is -1.
constexpr const char* of_12 =
    "+-++++++++++--+-+-+-+-+-+++-++----+++---+--+-++-+++++-++----+-+---+--+-+"
    "++--+++-++--+--++---+--+++----+++-+++--+-++---+-++++----+++-+-+--+-++---";
constexpr const char* of_20 =
    "+-----++++--++--+--++----+----+-++---++-++--+-+--++----+----+-++-++--+-+++++----";
constexpr const char* of_28 =
    "+--------++++--+-++-+-++--++++----++------+--++---+-++-+"
    "+-+--+--++--+++------++----++--++--+-+--+---++++-+------";

struct Signs {
  int8_t of[2][most_mixed * most_mixed];  // the matrix, its transpose
};
Signs signs_of(int64_t n) {
  Signs out{};
  const int64_t block = n == 20 ? 5 : n == 28 ? 7 : n;  // columns that go around
  const char* text = n == 12 ? of_12 : n == 20 ? of_20 : of_28;
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < n; ++j) {
      const int64_t row = n == 12 ? i : i / block, by = n == 12 ? 0 : i % block;
      const int64_t column = j / block * block + (j % block - by + block) % block;
      const int8_t sign = text[row * n + column] == '+' ? 1 : -1;
      out.of[0][j * n + i] = out.of[1][i * n + j] = sign;
    }
  return out;
}
const int8_t* signs_of(int64_t order, bool transposed) {
  static const Signs all[] = {signs_of(12), signs_of(20), signs_of(28)};
  static const int8_t one[] = {1};
  return order == 1 ? one : all[(order - 12) / 8].of[transposed];
}

constexpr int64_t block = 1 << 14;  // of butterflies that stay in cache

struct Lines {
  HadamardSize size;
  const int8_t* signs;
  double scale;
  int wide;  // 1: doubles

  int64_t n() const { return size.order * size.power; }
  int64_t bytes() const { return wide ? 8 : 4; }
  void mix(char* x, int64_t apart, int64_t n) const {
    signal_kernels().mix[wide](x, signs, size.order, apart, n, scale);
  }
  // Whole lines, by one thread.
  void run(char* x, int64_t lines) const {
    signal_kernels().butterflies[wide](x, size.power, lines * size.order);
    for (int64_t i = 0; i < lines; ++i) mix(x + i * n() * bytes(), size.power, size.power);
  }
  // A long line, by all: butterflies block by block, then those between blocks.
  void run_long(char* x) const {
    const double cost = double(n()) * 0.2;
    const int64_t own = std::min(size.power, block);
    cpu::parallel_for(n() / own, [&](int64_t i) {
      signal_kernels().butterflies[wide](x + i * own * bytes(), own, 1);
    }, cost * 10);
    for (int64_t apart = own; apart < size.power;) {
      const bool both = 2 * apart < size.power;
      const int64_t span = apart * (both ? 4 : 2), pieces = apart / block;
      cpu::parallel_for(n() / span * pieces, [&](int64_t i) {
        const int64_t at = i / pieces * span + i % pieces * block;
        signal_kernels().step[wide](x + at * bytes(), apart, both, block);
      }, cost);
      apart = span;
    }
    const int64_t pieces = (size.power + block - 1) / block;
    cpu::parallel_for(pieces, [&](int64_t i) {
      mix(x + i * block * bytes(), size.power, std::min(block, size.power - i * block));
    }, cost * double(size.order));
  }
};

}  // namespace

std::optional<HadamardSize> hadamard_size(int64_t n) {
  if (n <= 0) return {};
  const int64_t power = n & -n, odd = n / power;
  if (odd == 1) return HadamardSize{1, n};
  if (odd <= 7 && power >= 4) return HadamardSize{4 * odd, power / 4};
  return {};
}

void hadamard(const HadamardLines& h) {
  const HadamardSize size = *hadamard_size(h.n);
  const Lines lines{size, signs_of(size.order, h.transposed), h.scale, h.type == float64};
  const Dtype type = h.type == float64 ? float64 : float32;
  const int64_t bytes = size_of(h.type);
  const bool direct = type == h.type;
  const auto copied = [&](const char* from, Dtype from_type, char* to, Dtype to_type, int64_t n) {
    copy(Shape{n}, {const_cast<char*>(from), from_type, Strides{1}}, {to, to_type, Strides{1}});
  };
  const bool whole = h.n > 4 * block;  // then each is a matter of all threads
  const int64_t each = whole ? 1 : std::max<int64_t>(1, grain / h.n),
                tasks = (h.lines + each - 1) / each;
  const auto task = [&](int64_t i) {
    const int64_t from = i * each, count = std::min(each, h.lines - from), n = count * h.n;
    char* out = h.out + from * h.n * bytes;
    Ref<Buffer> room = direct ? Ref<Buffer>() : allocate(n * size_of(type));
    char* x = direct ? out : static_cast<char*>(room->data);
    copied(h.x + from * h.n * bytes, h.type, x, type, n);
    if (whole) lines.run_long(x);
    else lines.run(x, count);
    if (!direct) copied(x, type, out, h.type, n);
  };
  if (whole)
    for (int64_t i = 0; i < tasks; ++i) task(i);
  else
    cpu::parallel_for(tasks, task, double(h.lines) * double(h.n) * double(size.order + 4) * 0.3);
}

}  // namespace lazulite::engine
