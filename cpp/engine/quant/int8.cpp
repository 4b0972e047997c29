// Products of int8. Rows of the left operand are packed first, all or some hundred of them; each
// task then packs strips of columns of the other one, a block of the inner axis at a time, and
// multiplies what is packed. A few rows beside columns whose steps lie side by side, as those of a
// linear layer's weight do, are multiplied as they lie: each number is read once.
#include "engine/quant/int8.h"

#include <algorithm>
#include <cstring>

#include "device/cpu/level.h"
#include "device/cpu/packed.h"
#include "device/cpu/partial.h"
#include "device/cpu/pool.h"
#include "device/limits.h"
#include "engine/gemm/panel_product.h"
#include "engine/quant/int8_kernels.h"

namespace lazulite::engine {

LAZULITE_LEVELS(const Int8Kernels&, int8_kernels)
LAZULITE_FILLED(Int8Kernels, int8_kernels, avx512_vnni)
LAZULITE_FILLED_OVER(Int8Kernels, int8_kernels, int8_kernels_filled, amx, int8_kernels_of_machine)

namespace {

constexpr int64_t rows_at_once = 512;
constexpr double macs_per_ns = 60, packed_per_ns = 8;  // of one thread, about
constexpr int64_t tile_steps = 32;  // half of a tile of AMX
constexpr int64_t strips_at_once = 4, steps_at_once = 64;  // where rows of the right operand lie
constexpr int64_t kept_rows = 256;  // so many, at most, let the right operand be kept packed

// One product, of one lane of the batch.
class Int8Multiplication {
 public:
  Int8Multiplication(const Product& p, const Int8Kernels& k, const char* a, const char* b,
                     int64_t first_row)
      : p_(p), k_(k), a_(a), b_(b), first_row_(first_row),
        deep_(k.deep * k.group), depths_(parts(p.k, deep_)), strips_(parts(p.n, k.cols)),
        strip_((depths_ - 1) * k.deep + groups(depths_ - 1)),
        starts_(k.above ? depths_ : 0),
        // Rows of a few columns each would be read again for the strips beside them.
        at_once_(p.b.col == 1 && p.b.row != 1 ? strips_at_once : 1) {}

  void operator()() {
    kept_right();
    for (int64_t row = 0; row < p_.m; row += rows_at_once) {
      rows_ = std::min(rows_at_once, p_.m - row);
      pack_left(row);
      const int64_t tasks = parts(strips_, at_once_);
      cpu::parallel_for(
          tasks,
          [&](int64_t t) {
            const int64_t first = t * at_once_, count = std::min(at_once_, strips_ - first),
                          col = first * k_.cols;
            multiply(row, first, count);
            p_.finished(first_row_ + row, rows_, col, std::min(count * k_.cols, p_.n - col));
          },
          double(p_.n) * double(p_.k) *
              (double(rows_) / (k_.rate * macs_per_ns) + 1 / packed_per_ns));
    }
  }

 private:
  int64_t steps(int64_t depth) const { return std::min(deep_, p_.k - depth * deep_); }
  int64_t groups(int64_t depth) const { return k_.groups(steps(depth)); }
  int64_t cols(int64_t strip) const { return std::min<int64_t>(k_.cols, p_.n - strip * k_.cols); }
  // Of a strip, all depths of it: its words, and what its sums begin with in each depth.
  int64_t strip_bytes() const { return (strip_ + starts_) * k_.cols * 4; }

  void pack_left(int64_t row) {
    char* to = memory(held_left_, strip_ * rows_ * 4);
    left_ = to;
    const int64_t panels = k_.panels(rows_);
    cpu::parallel_for(
        depths_ * panels,
        [&](int64_t i) {
          const int64_t d = i / panels, first = k_.begin(rows_, i % panels),
                        lines = k_.begin(rows_, i % panels + 1) - first;
          k_.pack_left({a_ + (row + first) * p_.a.row + d * deep_ * p_.a.col,
                        to + (d * k_.deep * rows_ + first * groups(d)) * 4, lines, lines, p_.a.row,
                        p_.a.col, steps(d)});
        },
        double(rows_ * p_.k) / packed_per_ns);
  }

  // A depth of some strips, one after the other `apart` bytes on; behind each what its sums begin
  // with.
  void pack_right(int64_t first, int64_t count, int64_t d, char* to, int64_t apart,
                  int32_t* starts, int64_t starts_apart) const {
    const int64_t all = steps(d), each = at_once_ == 1 ? all : steps_at_once;
    for (int64_t step = 0; step < all; step += each)
      for (int64_t s = first; s < first + count; ++s)
        k_.pack_right({b_ + s * k_.cols * p_.b.col + (d * deep_ + step) * p_.b.row,
                       to + (s - first) * apart + step / k_.group * k_.cols * 4, cols(s), k_.cols,
                       p_.b.col, p_.b.row, std::min(each, all - step)});
    for (int64_t i = 0; starts_ && i < count; ++i)
      k_.starts(to + i * apart, groups(d), starts + i * starts_apart);
  }
  char* words(char* strip, int64_t d) const { return strip + d * k_.deep * k_.cols * 4; }
  int32_t* starts(char* strip, int64_t d) const {
    return reinterpret_cast<int32_t*>(strip + strip_ * k_.cols * 4) + d * k_.cols;
  }

  // Of a buffer that comes again, beside few rows: all of it packed, or nothing.
  void kept_right() {
    if (!p_.weights || p_.m > kept_rows) return;
    const cpu::PackedKey key{b_ - static_cast<const char*>(p_.weights->data),
                             int64_t(reinterpret_cast<intptr_t>(&k_)),
                             p_.n,
                             p_.k,
                             p_.b.row,
                             p_.b.col};
    const int64_t bytes = strips_ * strip_bytes();
    const cpu::FoundPacked found = cpu::find_packed(*p_.weights, key, bytes);
    kept_ = found.memory;
    if (kept_ || !found.again) return;
    char* to = memory(kept_, bytes);
    cpu::parallel_for(
        parts(strips_, at_once_),
        [&](int64_t t) {
          const int64_t first = t * at_once_, count = std::min(at_once_, strips_ - first);
          char* strip = to + first * strip_bytes();
          for (int64_t d = 0; d < depths_; ++d)
            pack_right(first, count, d, words(strip, d), strip_bytes(), starts(strip, d),
                       strip_bytes() / 4);
        },
        double(p_.n) * double(p_.k) / packed_per_ns);
    cpu::keep_packed(*p_.weights, key, kept_);
  }

  void multiply(int64_t row, int64_t first, int64_t count) const {
    Ref<Buffer> held;
    const int64_t own = groups(0) * k_.cols * 4, own_starts = starts_ ? k_.cols : 0;
    char* mine = nullptr;
    int32_t* mine_starts = nullptr;
    if (!kept_) {
      mine = memory(held, count * (own + own_starts * 4));
      mine_starts = reinterpret_cast<int32_t*>(mine + count * own);
    }
    int32_t* out = reinterpret_cast<int32_t*>(p_.out) + (first_row_ + row) * p_.n;
    for (int64_t d = 0; d < depths_; ++d) {
      if (!kept_) pack_right(first, count, d, mine, own, mine_starts, own_starts);
      for (int64_t i = 0; i < count; ++i) {
        const char* right;
        const int32_t* start = nullptr;
        if (kept_) {
          char* strip = static_cast<char*>(kept_->data) + (first + i) * strip_bytes();
          right = words(strip, d);
          if (starts_) start = starts(strip, d);
        } else {
          right = mine + i * own;
          if (starts_) start = mine_starts + i * own_starts;
        }
        k_.block({{left_ + d * k_.deep * rows_ * 4, right, out + (first + i) * k_.cols, groups(d),
                   0, k_.cols, p_.n, 0, int(cols(first + i)), d > 0},
                  rows_,
                  start});
      }
    }
  }

  const Product& p_;
  const Int8Kernels& k_;
  const char *a_, *b_;
  const int64_t first_row_;               // in the stack
  const int64_t deep_, depths_, strips_;  // steps of a depth; depths, strips
  const int64_t strip_, starts_;          // groups of all depths; depths whose sums begin with more
  const int64_t at_once_;                 // strips that are packed together
  int64_t rows_ = 0;
  const char* left_ = nullptr;
  Ref<Buffer> held_left_, kept_;
};

// Rows that are multiplied without packing: each reads all columns again, a few at a time.
constexpr double read_per_ns = 20;  // of one thread, about

bool takes_few(const Product& p) {
  return p.m <= few_int8 && (p.b.row == 1 || p.k == 1) && p.k >= 16;
}
void multiply_few(const Int8Kernels& k, const Product& p, const char* a, const char* b,
                  int64_t first_row) {
  int32_t* out = reinterpret_cast<int32_t*>(p.out) + first_row * p.n;
  Ref<Buffer> held;
  const auto* x = reinterpret_cast<const int8_t*>(a);
  int64_t x_row = p.a.row;
  if (p.a.col != 1) {
    auto* to = reinterpret_cast<int8_t*>(memory(held, p.m * p.k));
    for (int64_t r = 0; r < p.m; ++r)
      for (int64_t s = 0; s < p.k; ++s) to[r * p.k + s] = x[r * p.a.row + s * p.a.col];
    x = to;
    x_row = p.k;
  }
  const double cost = double(p.n) * double(p.k) / read_per_ns * (0.5 + 0.5 * double(p.m));
  constexpr int64_t some = 64;  // for what is once for all columns of a task
  cpu::parallel_for(
      parts(p.n, some),
      [&](int64_t i) {
        const int64_t col = i * some, cols = std::min(some, p.n - col);
        k.dots({.x = x,
                .lines = reinterpret_cast<const int8_t*>(b) + col * p.b.col,
                .out = out + col,
                .x_row = x_row,
                .line = p.b.col,
                .out_row = p.n,
                .count = cols,
                .steps = p.k,
                .rows = int(p.m)});
        p.finished(first_row, p.m, col, cols);
      },
      cost);
}

}  // namespace

void int8_product(const Product& given, const Int8Kernels& k) {
  Product p = given;
  const int64_t lanes = size_of(p.batch);
  if (lanes > 1) p.weights = nullptr;
  const double work = double(p.m) * double(p.n) * double(p.k);
  const auto run = [&](int64_t lane) {
    int64_t a = 0, b = 0, rest = lane;
    for (size_t i = p.batch.size(); i-- > 0;) {
      a += rest % p.batch[i] * p.a.batch[i];
      b += rest % p.batch[i] * p.b.batch[i];
      rest /= p.batch[i];
    }
    const char *left = p.a.data + a, *right = p.b.data + b;
    if (takes_few(p)) return multiply_few(k, p, left, right, lane * p.m);
    Int8Multiplication(p, k, left, right, lane * p.m)();
  };
  if (lanes < 8 && work > 1e6) {  // threads share each lane
    for (int64_t lane = 0; lane < lanes; ++lane) run(lane);
    return;
  }
  cpu::parallel_for(lanes, run, double(lanes) * (work / (k.rate * macs_per_ns) + 500));
}
void int8_product(const Product& p) {
  // Less would leave most of a tile empty.
  const bool tiles = p.m >= few && p.k >= tile_steps;
  int8_product(p, tiles ? int8_kernels_of_machine() : int8_kernels_filled());
}

}  // namespace lazulite::engine
