// Products of packed panels. Operands are read as they lie. The one with fewer lines is packed
// first, as far as it fits the caches, by all threads (halves become float32); then each task packs
// its own lines of the other one, a block of the inner axis at a time, and multiplies them by all
// that is packed. Each sum takes its products in blocks of the inner axis, in order, whatever the
// threads and the tasks; a long inner axis of a small product is split at fixed points instead, and
// the splits' sums are added in order.
#include <algorithm>

#include "device/cpu/level.h"
#include "device/cpu/packed.h"
#include "device/cpu/partial.h"
#include "device/cpu/pool.h"
#include "device/limits.h"
#include "engine/gemm/few_lines.h"
#include "engine/layout/copy.h"

namespace lazulite::engine {

LAZULITE_LEVELS(const PanelTable&, panel_kernels)
LAZULITE_FILLED(PanelTable, panel_kernels, avx512_bf16)
LAZULITE_FILLED_OVER(PanelTable, panel_kernels, panel_kernels_filled, amx, panel_kernels_of_machine)

namespace {

constexpr int64_t shared_bytes = 4 << 20;  // packed at a time, about
constexpr int64_t blocks_at_a_time = 2;    // of the inner axis, at least
// A panel that so many strips read at most is not packed if its lines lie along memory, but for
// lines that are pages apart: they would take each other's place in the first-level cache.
constexpr int64_t strips_along = 64, strips_along_groups = 8;
// So many stay in the second-level cache beside a panel, and more where both operands are packed.
constexpr int64_t strips_at_once = 4, packed_strips_at_once = 8;
constexpr int64_t pieces_together = 4, steps_together = 32;  // that are packed
constexpr int64_t pieces_at_most = 8, tasks_at_least = 16;  // of a task, and of a large product
constexpr int64_t rounded_at_once = 1024;  // lines whose sums one task keeps until they are rounded
constexpr int64_t split_size = 1 << 15, split_blocks = 8;  // few sums, of so many blocks, are split
constexpr int64_t kept_rows = 256;  // so many rows, at most, let the right operand be kept packed
constexpr double macs_per_ns = 20;  // of one thread, about
constexpr double packed_per_ns = 1;  // elements

struct Part {  // lines of an operand, or blocks of the inner axis
  int64_t first, count;
};

// How lines are cut into pieces for the kernel: rows evenly, columns into whole strips.
struct Cut {
  int64_t lines, count, each, fill;

  Cut(int64_t of_lines, int64_t of_each, int64_t of_fill)
      : lines(of_lines), count(parts(lines, of_each)), each(of_each), fill(of_fill) {}
  int64_t begin(int64_t i) const {
    return fill ? std::min(lines, i * each) : part(lines, count, i);
  }
  int64_t size(int64_t i) const { return begin(i + 1) - begin(i); }
  // With what fills the last register.
  int64_t width(int64_t i) const { return wide(size(i)); }
  int64_t wide(int64_t n) const { return fill ? parts(n, fill) * fill : n; }
};

struct Operand {
  const char* data;
  int64_t line, step;  // strides in elements
  int64_t each, fill;  // as those of Cut

  Cut cut(int64_t lines) const { return {lines, each, fill}; }
};

// Lines packed over some groups of steps: piece after piece, group after group.
struct Packed {
  int64_t line = 0;  // the first one, of the operand
  Cut cut{0, 1, 0};
  int64_t from = 0, groups = 0;
  Ref<Buffer> memory;

  int64_t piece_at(int64_t of_line) const { return (of_line - line) / cut.each; }
  int64_t at(int64_t piece, int64_t group) const {
    return cut.begin(piece) * groups + (group - from) * cut.width(piece);
  }
};

// One matrix product, of one lane of the batch. Columns that would leave much of their last
// register empty are taken as rows, and rows as columns: sums are then turned as they are written.
class Multiplication {
 public:
  Multiplication(const Product& p, const PanelKernels& k, const char* a, const char* b,
                 int64_t lane)
      : p_(p), k_(k), turned_(turns(p, k)), m_(turned_ ? p.n : p.m), n_(turned_ ? p.m : p.n),
        left_(turned_ ? Operand{b, p.b.col, p.b.row, k.rows, k.panels ? 1 : 0}
                      : Operand{a, p.a.row, p.a.col, k.rows, k.panels ? 1 : 0}),
        right_(turned_ ? Operand{a, p.a.row, p.a.col, k.cols, k.lanes}
                       : Operand{b, p.b.col, p.b.row, k.cols, k.lanes}),
        first_row_(lane * p.m),
        out_(p.out + first_row_ * p.n * size_of(p.type)),
        memory_(size_of(p.type)), sum_(size_of(compute_type(p.type))),
        value_(k.group > 1 ? k.group * memory_ : sum_),
        groups_(parts(p.k, k.group)), splits_(splits(p, parts(groups_, block_groups()))),
        blocks_(parts(parts(groups_, block_groups()), splits_) * splits_) {}

  void operator()() const {
    if (k_.panels && std::min(m_, n_) > k_.panels * k_.rows) return by_tasks();
    const Packed kept = kept_right();
    if (splits_ > 1) return by_splits(kept.memory ? &kept : nullptr);
    const bool by_rows = m_ >= n_ && !kept.memory;
    const Operand& shared = by_rows ? right_ : left_;
    const int64_t lines = by_rows ? n_ : m_, own = by_rows ? m_ : n_;
    // Halves are rounded once: their sums are finished in one go, as are those that are turned.
    const int64_t fits = shared_bytes / (value_ * block_groups() * lines),
                  deep = k_.round || turned_
                             ? blocks_
                             : std::min(blocks_, std::max(blocks_at_a_time, fits));
    const int64_t each_bytes = value_ * std::min(groups_, deep * block_groups()) * shared.each;
    int64_t window = shared.each *
                     std::max<int64_t>(1, std::min(parts(lines, shared.each),
                                                   shared_bytes / each_bytes));
    if (k_.round || turned_)
      window = std::min(window, parts(rounded_at_once, shared.each) * shared.each);
    const Cut cut = (by_rows ? left_ : right_).cut(own);
    const int64_t tasks = tasks_of(cut, by_rows ? 2 : 1);
    for (int64_t line = 0; line < lines; line += window)
      for (int64_t block = 0; block < blocks_; block += deep) {
        const Part here{line, std::min(window, lines - line)},
            depth{block, std::min(deep, blocks_ - block)};
        const Packed packed = pack(shared, here, depth);
        cpu::parallel_for(
            tasks,
            [&](int64_t t) {
              const Part mine = task(cut, tasks, t);
              if (by_rows) finish(mine, here, depth, nullptr, &packed);
              else finish(here, mine, depth, &packed, kept.memory ? &kept : nullptr);
            },
            double(here.count * own) * double(start(block + depth.count) - start(block)) *
                    k_.group / macs_per_ns +
                100.0 * double(tasks));
      }
  }

 private:
  // A strip of so many stays in the second-level cache beside its panel, and mostly in the first.
  static bool turns(const Product& p, const PanelKernels& k) {
    return p.n < p.m && p.n <= 4 * k.cols && 5 * parts(p.n, k.lanes) * k.lanes > 6 * p.n &&
           p.m * p.n > split_size;
  }
  static int64_t splits(const Product& p, int64_t blocks) {
    if (p.m * p.n > split_size || blocks < split_blocks) return 1;
    return blocks < 2 * split_blocks ? split_blocks : 2 * split_blocks;
  }
  int64_t block_groups() const {
    if (k_.deep) return groups_ <= 3 * k_.deep / 2 ? groups_ : k_.deep;
    return sum_ == 4 ? inner_panel : inner_panel * 2 / 3;
  }
  int64_t start(int64_t block) const { return part(groups_, blocks_, block); }
  int64_t steps(int64_t from, int64_t groups) const {
    return std::min(p_.k, (from + groups) * k_.group) - from * k_.group;
  }

  // Tasks of about equal size and a number that threads share evenly; each of `least` pieces.
  static int64_t tasks_of(const Cut& cut, int64_t least) {
    const int64_t small = parts(cut.count, least), large = parts(cut.count, pieces_at_most);
    return std::min(small, parts(large, tasks_at_least) * tasks_at_least);
  }
  static Part task(const Cut& cut, int64_t tasks, int64_t t) {
    auto begin = [&](int64_t i) {
      return cut.fill ? cut.begin(part(cut.count, tasks, i)) : part(cut.lines, tasks, i);
    };
    return {begin(t), begin(t + 1) - begin(t)};
  }

  void pack_piece(const Operand& o, const Cut& cut, int64_t first, int64_t piece, int64_t from,
                  int64_t groups, char* to) const {
    const int64_t at = (first + cut.begin(piece)) * o.line + from * k_.group * o.step;
    const auto pack = &o == &left_ && k_.pack_left ? k_.pack_left : k_.pack;
    pack({o.data + at * memory_, to, cut.size(piece), cut.width(piece), o.line, o.step,
          steps(from, groups)});
  }
  // Some pieces, piece p to at(p). Those whose lines stand side by side are packed a few steps at a
  // time: the next piece finds its part of a row where memory was read for the one before.
  template <class At>
  void pack_pieces(const Operand& o, const Cut& cut, int64_t first, const Part& pieces,
                   int64_t from, int64_t groups, const At& at) const {
    const int64_t each = o.line == 1 && pieces.count > 1
                             ? std::max<int64_t>(1, steps_together / k_.group)
                             : groups;
    for (int64_t g = 0; g < groups; g += each)
      for (int64_t p = pieces.first; p < pieces.first + pieces.count; ++p)
        pack_piece(o, cut, first, p, from + g, std::min(each, groups - g),
                   at(p) + g * cut.width(p) * value_);
  }
  Packed pack(const Operand& o, const Part& lines, const Part& depth) const {
    const int64_t from = start(depth.first), groups = start(depth.first + depth.count) - from;
    Packed out{lines.first, o.cut(lines.count), from, groups, {}};
    char* to = memory(out.memory, out.cut.wide(lines.count) * groups * value_);
    const int64_t slices = parts(groups, packed_steps),
                  each = o.line == 1 ? pieces_together : 1;
    cpu::parallel_for(
        parts(out.cut.count, each) * slices,
        [&](int64_t i) {
          const int64_t piece = i / slices * each, begin = from + part(groups, slices, i % slices),
                        end = from + part(groups, slices, i % slices + 1);
          pack_pieces(o, out.cut, lines.first, {piece, std::min(each, out.cut.count - piece)},
                      begin, end - begin,
                      [&](int64_t p) { return to + out.at(p, begin) * value_; });
        },
        double(lines.count * groups * k_.group) / packed_per_ns);
    return out;
  }

  // Of a buffer that comes again, beside few rows: all of it packed, or nothing.
  Packed kept_right() const {
    Packed none{0, right_.cut(n_), 0, groups_, {}};
    if (!p_.weights || turned_ || p_.m > kept_rows) return none;
    const cpu::PackedKey key{p_.b.data - static_cast<const char*>(p_.weights->data),
                             int64_t(reinterpret_cast<intptr_t>(&k_)),
                             int64_t(index_of(p_.type)),
                             p_.n,
                             p_.k,
                             right_.line,
                             right_.step};
    const cpu::FoundPacked found =
        cpu::find_packed(*p_.weights, key, none.cut.wide(n_) * groups_ * value_);
    if (found.memory) none.memory = found.memory;
    if (!found.again) return none;
    Packed made = pack(right_, {0, n_}, {0, blocks_});
    cpu::keep_packed(*p_.weights, key, made.memory);
    return made;
  }

  // Rows times columns, over blocks of the inner axis; the first one sets the sums. What is not
  // packed yet is, a block at a time, or read as it lies where it is read once, lines side by side.
  // The last block's sums go to `rounded`, an element of the result, if that is given.
  void multiply(const Part& rows, const Part& cols, const Part& depth, int64_t first_block,
                const Packed* left, const Packed* right, char* sums, int64_t out_row,
                char* rounded = nullptr) const {
    const Cut down = left_.cut(rows.count), across = right_.cut(cols.count);
    const bool as_it_lies = k_.group == 1 && memory_ == sum_;
    const bool along_left =
                   !left && reads_along(left_) &&
                   across.count <= (k_.group > 1 ? strips_along_groups : strips_along),
               plain_left = !left && as_it_lies && left_.line == 1 && across.count == 1,
               plain_right = !right && as_it_lies && right_.line == 1 && down.count == 1;
    Ref<Buffer> own_left, own_right;
    KeptBlocks kept(k_);
    const int64_t step_bytes = block_groups() * value_;
    const auto block = along_left ? k_.block_along : k_.block;
    const int64_t at_once = right && k_.panels ? packed_strips_at_once : strips_at_once;
    char *mine_left =
             left || along_left || plain_left ? nullptr : memory(own_left, rows.count * step_bytes),
         *mine_right = right ? nullptr
                             : memory(own_right, std::min(across.count, strips_at_once) *
                                                     right_.each * step_bytes);
    for (int64_t i = depth.first; i < depth.first + depth.count; ++i) {
      const int64_t from = start(i), groups = start(i + 1) - from;
      if (mine_left)
        pack_pieces(left_, down, rows.first, {0, down.count}, from, groups,
                    [&](int64_t d) { return mine_left + down.begin(d) * groups * value_; });
      for (int64_t first = 0; first < across.count; first += at_once) {
        const int64_t strips = std::min(at_once, across.count - first);
        struct {
          const char* data;
          int64_t step;
        } of[packed_strips_at_once];
        const auto packed_at = [&](int64_t s) {
          return mine_right + (s - first) * right_.each * step_bytes;
        };
        if (mine_right && !plain_right)
          pack_pieces(right_, across, cols.first, {first, strips}, from, groups, packed_at);
        for (int64_t j = 0; j < strips; ++j) {
          const int64_t s = first + j;
          of[j].step = across.width(s);
          if (right) {
            of[j].data = static_cast<const char*>(right->memory->data) +
                         right->at(right->piece_at(cols.first) + s, from) * value_;
          } else if (plain_right && across.size(s) == of[j].step) {
            of[j] = {right_.data + (cols.first + across.begin(s) + from * right_.step) * sum_,
                     right_.step};
          } else {
            of[j].data = packed_at(s);
            if (plain_right)  // the last strip, which is narrower than its registers
              pack_piece(right_, across, cols.first, s, from, groups, packed_at(s));
          }
        }
        for (int64_t d = 0; d < down.count; ++d) {
          const char* a;
          int64_t a_step = down.size(d);
          if (left) {
            a = static_cast<const char*>(left->memory->data) +
                left->at(left->piece_at(rows.first) + d, from) * value_;
          } else if (along_left) {
            a = left_.data +
                ((rows.first + down.begin(d)) * left_.line + from * k_.group) * memory_;
          } else if (plain_left) {
            a = left_.data + (rows.first + down.begin(d) + from * left_.step) * sum_;
            a_step = left_.step;
          } else {
            a = mine_left + down.begin(d) * groups * value_;
          }
          for (int64_t j = 0; j < strips; ++j) {
            const int64_t s = first + j, row = down.begin(d), col = across.begin(s);
            block({a, of[j].data, sums + (row * out_row + col) * sum_, groups, a_step, of[j].step,
                   out_row, int(down.size(d)), int(across.size(s)), i > first_block, left_.line,
                   &kept,
                   rounded && i + 1 == blocks_ ? rounded + (row * p_.n + col) * memory_ : nullptr,
                   p_.n});
          }
        }
      }
    }
  }

  // The same into the result, rounded where that is left to do.
  void finish(const Part& rows, const Part& cols, const Part& depth, const Packed* left,
              const Packed* right) const {
    char* out = out_ + (rows.first * p_.n + cols.first) * memory_;
    if (turned_) {
      Ref<Buffer> held;
      char* sums = memory(held, rows.count * cols.count * sum_);
      multiply(rows, cols, depth, 0, left, right, sums, cols.count);
      copy({cols.count, rows.count}, {sums, compute_type(p_.type), {1, cols.count}},
           {out_ + (cols.first * p_.n + rows.first) * memory_, p_.type, {p_.n, 1}});
      return p_.finished(first_row_ + cols.first, cols.count, rows.first, rows.count);
    }
    if (!k_.round) {
      multiply(rows, cols, depth, 0, left, right, out, p_.n);
      if (depth.first + depth.count < blocks_) return;
    } else {
      // Rows of sums that are pages apart would take each other's place in the first-level cache.
      const int64_t apart = cols.count * sum_ % 1024 == 0 ? cols.count + 64 / sum_ : cols.count;
      Ref<Buffer> held;
      char* sums = memory(held, k_.rounds && blocks_ == 1 ? 0 : rows.count * apart * sum_);
      multiply(rows, cols, depth, 0, left, right, sums, apart, k_.rounds ? out : nullptr);
      for (int64_t r = 0; !k_.rounds && r < rows.count; ++r)
        k_.round(out + r * p_.n * memory_, sums + r * apart * sum_, cols.count);
    }
    p_.finished(first_row_ + rows.first, rows.count, cols.first, cols.count);
  }

  // Panels of it are read as they lie: lines of whole groups, not in each other's place in the
  // first-level cache.
  bool reads_along(const Operand& left) const {
    return k_.block_along && left.step == 1 && p_.k % k_.group == 0 &&
           left.line * memory_ % (k_.group > 1 ? 1024 : 4096) != 0;
  }

  // Both operands are packed, windows of them, by all threads. A task takes some panels of each:
  // its strips stay in the second-level cache for all of its rows.
  void by_tasks() const {
    const Part depth{0, blocks_};
    const bool along = reads_along(left_);
    auto window = [&](const Operand& o) {
      return o.each * std::max<int64_t>(k_.panels, shared_bytes / (value_ * groups_ * o.each));
    };
    for (int64_t col = 0; col < n_; col += window(right_)) {
      const Part cols{col, std::min(window(right_), n_ - col)};
      const Packed right = pack(right_, cols, depth);
      for (int64_t row = 0; row < m_; row += window(left_)) {
        const Part rows{row, std::min(window(left_), m_ - row)};
        const Packed left = along ? Packed{} : pack(left_, rows, depth);
        const Cut down = left_.cut(rows.count), across = right_.cut(cols.count);
        int64_t panels = k_.panels, strips = k_.panels;
        auto tasks = [&] { return parts(down.count, panels) * parts(across.count, strips); };
        while (tasks() < tasks_at_least && panels > 2) (panels >= strips ? panels : strips) /= 2;
        const int64_t each = parts(across.count, strips);
        cpu::parallel_for(
            tasks(),
            [&](int64_t t) {
              auto some = [](const Part& all, const Cut& cut, int64_t piece, int64_t pieces) {
                const int64_t begin = cut.begin(piece),
                              end = cut.begin(std::min(piece + pieces, cut.count));
                return Part{all.first + begin, end - begin};
              };
              finish(some(rows, down, t / each * panels, panels),
                     some(cols, across, t % each * strips, strips), depth, along ? nullptr : &left,
                     &right);
            },
            double(rows.count * cols.count) * double(p_.k) / macs_per_ns);
      }
    }
  }

  // Each task takes some blocks of the inner axis, for all sums.
  void by_splits(const Packed* right) const {
    const int64_t each = p_.m * p_.n, deep = blocks_ / splits_;
    Ref<Buffer> held;
    char* sums = memory(held, splits_ * each * sum_);
    const double work = double(each) * double(p_.k) / macs_per_ns;
    cpu::parallel_for(
        splits_,
        [&](int64_t s) {
          multiply({0, p_.m}, {0, p_.n}, {s * deep, deep}, s * deep, nullptr, right,
                   sums + s * each * sum_, p_.n);
        },
        work);
    const int64_t tall = std::max<int64_t>(1, 2048 / p_.n), tasks = parts(p_.m, tall);
    cpu::parallel_for(
        tasks,
        [&](int64_t t) {
          const int64_t row = part(p_.m, tasks, t), rows = part(p_.m, tasks, t + 1) - row,
                        n = rows * p_.n;
          char *from = sums + row * p_.n * sum_, *out = out_ + row * p_.n * memory_;
          k_.total(k_.round ? from : out, from, splits_, each, n);
          if (k_.round) k_.round(out, from, n);
          p_.finished(first_row_ + row, rows, 0, p_.n);
        },
        double(splits_ * each) / packed_per_ns);
  }

  const Product& p_;
  const PanelKernels& k_;
  const bool turned_;
  const int64_t m_, n_;  // as the kernels see it
  const Operand left_, right_;
  const int64_t first_row_;  // in the stack
  char* out_;
  const int64_t memory_, sum_, value_;  // bytes of an element, of a sum and of what is packed
  const int64_t groups_, splits_, blocks_;  // of the inner axis
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

bool has_panels(Dtype type) {
  return panel_kernels_of_machine().of[index_of(type)].block != nullptr;
}

void panel_product(const Product& p) {
  panel_product(p, panel_kernels_of_machine().of[index_of(p.type)]);
}

void panel_product(const Product& given, const PanelKernels& k) {
  Product p = with_lanes_as_rows(given);
  const int64_t lanes = size_of(p.batch), bytes = size_of(p.type);
  if (lanes > 1) p.weights = nullptr;
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
  if (lanes < 8 && work > (is_few ? 1e5 : 1e6)) {  // threads share each lane
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
