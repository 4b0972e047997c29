// Products of packed panels. Operands are read as they lie: a window of the right one is packed
// (halves become float32), then windows of the left one, by all threads; blocks of panels times
// strips are tasks. Each sum takes its products in blocks of `inner_panel` steps, in order,
// whatever the threads and the tasks.
#include <algorithm>
#include <cstring>

#include "device/cpu/level.h"
#include "device/cpu/pool.h"
#include "device/device.h"
#include "device/limits.h"
#include "engine/gemm/panel_product.h"

namespace lazulite::engine {

LAZULITE_LEVELS(const PanelTable&, panel_kernels)

namespace {

constexpr int64_t right_bytes = 4 << 20;  // packed at a time, about
constexpr int64_t blocks_at_a_time = 2;   // of sums, along the inner axis
constexpr double macs_per_ns = 20;        // of one thread, about
constexpr double packed_per_ns = 1;       // elements

char* memory(Ref<Buffer>& held, int64_t bytes) {
  held = allocate(bytes);
  return static_cast<char*>(held->data);
}

// Part i of n, of `count` parts of equal size or one more.
int64_t part(int64_t n, int64_t count, int64_t i) { return n * i / count; }
int64_t parts(int64_t n, int64_t each) { return (n + each - 1) / each; }

// One matrix product, of one lane of the batch.
class Multiplication {
 public:
  Multiplication(const Product& p, const PanelKernels& k, const char* a, const char* b,
                 int64_t lane)
      : p_(p), k_(k), a_(a), b_(b), first_row_(lane * p.m),
        out_(p.out + first_row_ * p.n * size_of(p.type)), memory_(size_of(p.type)),
        sum_(size_of(compute_type(p.type))) {}

  void operator()() const {
    const int64_t blocks = parts(p_.k, inner_panel);
    // Halves are rounded once: their sums are finished in one go.
    const int64_t deep = k_.round ? blocks : std::min(blocks, blocks_at_a_time);
    const int64_t steps = std::min(p_.k, deep * inner_panel);
    // Little beside the arrays themselves.
    const int64_t bytes = (p_.m * p_.k + p_.k * p_.n + p_.m * p_.n) * memory_,
                  left_bytes = std::clamp<int64_t>(bytes / 16, 1 << 16, 1 << 20);
    const int64_t cols = window(p_.n, k_.cols, steps, right_bytes),
                  rows = window(p_.m, k_.rows, steps, left_bytes);
    for (int64_t col = 0; col < p_.n; col += cols)
      for (int64_t block = 0; block < blocks; block += deep) {
        const Depth depth{block, std::min(blocks, block + deep), part(p_.k, blocks, block),
                          part(p_.k, blocks, std::min(blocks, block + deep))};
        const Strips strips = pack_strips(depth, col, std::min(cols, p_.n - col));
        for (int64_t row = 0; row < p_.m; row += rows)
          multiply(depth, row, std::min(rows, p_.m - row), strips);
      }
  }

 private:
  struct Depth {  // steps of the inner axis, and the blocks of sums that they are
    int64_t block, last_block, from, until;
    int64_t steps() const { return until - from; }
  };
  struct Strips {  // columns from `col` on, packed
    int64_t col, n, count, width;  // width: with what fills the last register
    Ref<Buffer> memory;
  };
  struct Panels {  // rows from `row` on, packed: `count` of about equal size
    int64_t row, m, count;
    Ref<Buffer> memory;
  };

  // So many lines, a multiple of `each`, are packed at a time.
  int64_t window(int64_t lines, int64_t each, int64_t steps, int64_t bytes) const {
    return std::max<int64_t>(1, std::min(parts(lines, each), bytes / (sum_ * steps * each))) * each;
  }

  // pack(line, from, steps) for each line, long ones in several pieces; from counts in the depth.
  template <class F>
  void pack_all(const Depth& depth, int64_t lines, int64_t elements, F&& pack) const {
    const int64_t pieces = parts(depth.steps(), packed_steps);
    cpu::parallel_for(
        lines * pieces,
        [&](int64_t i) {
          const int64_t from = part(depth.steps(), pieces, i % pieces);
          pack(i / pieces, from, part(depth.steps(), pieces, i % pieces + 1) - from);
        },
        double(elements) / packed_per_ns);
  }
  Strips pack_strips(const Depth& depth, int64_t col, int64_t n) const {
    Strips s{col, n, parts(n, k_.cols), parts(n, k_.lanes) * k_.lanes, {}};
    const int64_t all = depth.steps();
    char* to = memory(s.memory, s.width * all * sum_);
    pack_all(depth, s.count, s.width * all, [&](int64_t strip, int64_t from, int64_t steps) {
      const int64_t at = strip * k_.cols, wide = std::min<int64_t>(k_.cols, s.width - at);
      k_.pack({b_ + ((col + at) * p_.b.col + (depth.from + from) * p_.b.row) * memory_,
               to + (at * all + from * wide) * sum_, std::min<int64_t>(k_.cols, n - at), wide,
               p_.b.col, p_.b.row, steps});
    });
    return s;
  }
  Panels pack_panels(const Depth& depth, int64_t row, int64_t m) const {
    Panels p{row, m, parts(m, k_.rows), {}};
    const int64_t all = depth.steps();
    char* to = memory(p.memory, m * all * sum_);
    pack_all(depth, p.count, m * all, [&](int64_t panel, int64_t from, int64_t steps) {
      const int64_t at = part(m, p.count, panel), lines = part(m, p.count, panel + 1) - at;
      k_.pack({a_ + ((row + at) * p_.a.row + (depth.from + from) * p_.a.col) * memory_,
               to + (at * all + from * lines) * sum_, lines, lines, p_.a.row, p_.a.col, steps});
    });
    return p;
  }

  void multiply(const Depth& depth, int64_t row, int64_t m, const Strips& right) const {
    const Panels left = pack_panels(depth, row, m);
    // Smaller tasks while there are few of them.
    int64_t tall = std::min<int64_t>(8, left.count), wide = std::min<int64_t>(8, right.count);
    while (parts(left.count, tall) * parts(right.count, wide) < 16 && tall * wide > 1)
      (wide >= tall ? wide : tall) = ((wide >= tall ? wide : tall) + 1) / 2;
    const int64_t down = parts(left.count, tall), across = parts(right.count, wide);
    cpu::parallel_for(
        down * across,
        [&](int64_t i) {
          const int64_t d = i / across, s = i % across;
          block(depth, left, part(left.count, down, d), part(left.count, down, d + 1), right,
                part(right.count, across, s), part(right.count, across, s + 1));
        },
        double(m * right.n) * double(depth.steps()) / macs_per_ns + 100.0 * double(down * across));
  }

  // Panels times strips, over the steps of a depth.
  void block(const Depth& depth, const Panels& left, int64_t panel, int64_t last_panel,
             const Strips& right, int64_t strip, int64_t last_strip) const {
    const int64_t top = part(left.m, left.count, panel),
                  rows = part(left.m, left.count, last_panel) - top, begin = strip * k_.cols,
                  cols = std::min(last_strip * k_.cols, right.n) - begin;
    char* out = out_ + ((left.row + top) * p_.n + right.col + begin) * memory_;
    int64_t out_row = p_.n;
    Ref<Buffer> wide_sums;
    char* sums = out;
    if (k_.round) {
      sums = memory(wide_sums, rows * cols * sum_);
      out_row = cols;
    }
    const char *a = static_cast<const char*>(left.memory->data),
               *b = static_cast<const char*>(right.memory->data);
    const int64_t blocks = parts(p_.k, inner_panel), all = depth.steps();
    for (int64_t i = depth.block; i < depth.last_block; ++i) {
      const int64_t from = part(p_.k, blocks, i) - depth.from,
                    steps = part(p_.k, blocks, i + 1) - depth.from - from;
      for (int64_t s = strip; s < last_strip; ++s) {
        const int64_t at = s * k_.cols, wide = std::min<int64_t>(k_.cols, right.width - at),
                      here = std::min<int64_t>(k_.cols, right.n - at);
        for (int64_t d = panel; d < last_panel; ++d) {
          const int64_t first = part(left.m, left.count, d),
                        lines = part(left.m, left.count, d + 1) - first;
          k_.block({a + (first * all + from * lines) * sum_, b + (at * all + from * wide) * sum_,
                    sums + ((first - top) * out_row + at - begin) * sum_, steps, wide, out_row,
                    int(lines), int(here), i > 0});
        }
      }
    }
    if (k_.round)
      for (int64_t r = 0; r < rows; ++r)
        k_.round(out + r * p_.n * memory_, sums + r * cols * sum_, cols);
    if (depth.last_block == blocks)
      p_.finished(first_row_ + left.row + top, rows, right.col + begin, cols);
  }

  const Product& p_;
  const PanelKernels& k_;
  const char *a_, *b_;
  const int64_t first_row_;  // in the stack
  char* out_;
  const int64_t memory_, sum_;  // bytes of an element
};

// A product with up to `few` rows, or columns: the other operand is read where it lies.
class FewLines {
 public:
  FewLines(const Product& p, const PanelKernels& k)
      : p_(p), k_(k), by_rows_(p.m <= few && (p.n > few || p.m <= p.n)),
        rows_(by_rows_ ? p.m : p.n), count_(by_rows_ ? p.n : p.m),
        line_(by_rows_ ? p.b.col : p.a.row), step_(by_rows_ ? p.b.row : p.a.col),
        memory_(size_of(p.type)), sum_(size_of(compute_type(p.type))) {}

  bool fits() const { return rows_ <= few && (step_ == 1 || line_ == 1); }

  void operator()(const char* a, const char* b, char* out) const {
    const char *x = by_rows_ ? a : b, *lines = by_rows_ ? b : a;
    int64_t x_row = by_rows_ ? p_.a.row : p_.b.col, x_step = by_rows_ ? p_.a.col : p_.b.row;
    Ref<Buffer> held_x, held;
    if (x_step != 1 || memory_ != sum_) {
      char* dense = memory(held_x, rows_ * p_.k * sum_);
      k_.pack({x, dense, p_.k, p_.k, x_step, x_row, rows_});
      x = dense;
      x_row = p_.k;
    }
    const bool dots = step_ == 1;
    const int64_t splits = parts(p_.k, dots ? dot_steps : sweep_steps),
                  groups = parts(count_, dots ? 64 : 1024), each = rows_ * count_;
    const bool direct = splits == 1 && memory_ == sum_ && (by_rows_ || rows_ == 1);
    char* sums = direct ? out : memory(held, splits * each * sum_);
    cpu::parallel_for(
        splits * groups,
        [&](int64_t i) {
          const int64_t split = i / groups, from = part(p_.k, splits, split),
                        first = part(count_, groups, i % groups),
                        lines_here = part(count_, groups, i % groups + 1) - first;
          char* to = sums + (split * each + first) * sum_;
          if (!dots)
            for (int64_t r = 0; r < rows_; ++r)
              std::memset(to + r * count_ * sum_, 0, size_t(lines_here * sum_));
          (dots ? k_.dots : k_.sweep)(
              {x + from * sum_, lines + (first * line_ + from * step_) * memory_, to, x_row, count_,
               lines_here, line_, step_, part(p_.k, splits, split + 1) - from, int(rows_)});
        },
        double(count_) * double(p_.k) * double(memory_) / 10);
    if (direct) return;
    if (sum_ == 4) finish<float>(reinterpret_cast<float*>(sums), splits, out);
    else finish<double>(reinterpret_cast<double*>(sums), splits, out);
  }

 private:
  // The sums of all splits, in order, where they belong.
  template <class T>
  void finish(T* sums, int64_t splits, char* out) const {
    const int64_t each = rows_ * count_;
    for (int64_t s = 1; s < splits; ++s)
      for (int64_t i = 0; i < each; ++i) sums[i] += sums[s * each + i];
    Ref<Buffer> held;
    const T* in_order = sums;
    if (!by_rows_ && rows_ > 1) {
      T* turned = reinterpret_cast<T*>(memory(held, each * sum_));
      for (int64_t r = 0; r < rows_; ++r)
        for (int64_t i = 0; i < count_; ++i) turned[i * rows_ + r] = sums[r * count_ + i];
      in_order = turned;
    }
    if (k_.round) k_.round(out, in_order, each);
    else std::memcpy(out, in_order, size_t(each * sum_));
  }

  const Product& p_;
  const PanelKernels& k_;
  const bool by_rows_;  // of the left operand there are few
  const int64_t rows_, count_, line_, step_;
  const int64_t memory_, sum_;  // bytes of an element
};

// Where the right operand repeats and the left one's lanes continue its rows, they are rows.
Product with_lanes_as_rows(Product p) {
  for (size_t i = p.batch.size(); i-- > 0;) {
    if (p.batch[i] == 1) continue;
    if (p.b.batch[i] != 0 || (p.m > 1 && p.a.batch[i] != p.m * p.a.row)) return p;
    if (p.m == 1) p.a.row = p.a.batch[i];
    p.m *= p.batch[i];
    p.batch[i] = 1;
  }
  return p;
}

}  // namespace

bool has_panels(Dtype type) { return panel_kernels().of[index_of(type)].block != nullptr; }

void panel_product(const Product& given) {
  const Product p = with_lanes_as_rows(given);
  const PanelKernels& k = panel_kernels().of[index_of(p.type)];
  const int64_t lanes = size_of(p.batch), bytes = size_of(p.type);
  const FewLines few_lines(p, k);
  const bool is_few = few_lines.fits();
  auto run = [&](int64_t lane) {
    int64_t a = 0, b = 0, rest = lane;
    for (size_t i = p.batch.size(); i-- > 0;) {
      a += rest % p.batch[i] * p.a.batch[i];
      b += rest % p.batch[i] * p.b.batch[i];
      rest /= p.batch[i];
    }
    const char *left = p.a.data + a * bytes, *right = p.b.data + b * bytes;
    if (!is_few) return Multiplication(p, k, left, right, lane)();
    few_lines(left, right, p.out + lane * p.m * p.n * bytes);
    finish_rows(p, lane * p.m, p.m);
  };
  const double work = double(p.m) * double(p.n) * double(p.k);
  if (lanes == 1) return run(0);
  if (lanes < 8 && work > 1e6) {  // threads share each lane
    for (int64_t lane = 0; lane < lanes; ++lane) run(lane);
    return;
  }
  const int64_t group = std::max<int64_t>(1, int64_t(65536 / work));
  cpu::parallel_for(
      parts(lanes, group),
      [&](int64_t chunk) {
        for (int64_t lane = chunk * group; lane < std::min(lanes, (chunk + 1) * group); ++lane)
          run(lane);
      },
      double(lanes) * (work / macs_per_ns + 300));
}

}  // namespace lazulite::engine
