// The gradient of a convolution's weights: each task adds up some pieces of the result, for some of
// the channels, in memory of its own; these sums are added in order at the end. How many there are
// follows from the sizes.
#include <cstring>
#include <vector>

#include "device/cpu/pool.h"
#include "engine/conv/conv.h"
#include "engine/conv/room.h"
#include "engine/layout/copy.h"

namespace lazulite::engine {
namespace {

constexpr int64_t most_bytes = 32 << 20;  // of the tasks' sums
constexpr int64_t sum_steps = 1024;      // that a sum takes before it is stored, about
constexpr double pairs_faster = 4;       // than floats

class Weights {
 public:
  Weights(const Convolution& c, const ConvView& x, const ConvView& ct, char* dw,
          const PanelKernels& pairs)
      : c_(c), bits_(as_bits(c)), x_(x), ct_(ct), dw_(dw), k_(conv_kernels_of(c.type)),
        pairs_(pairs), sums_(compute_type(c.type)),
        each_(size_of(c.type)), bytes_(size_of(sums_)), own_(c.in_channels / c.groups),
        made_(c.out_channels / c.groups), taps_(c.axes[0].taps * c.axes[1].taps * c.axes[2].taps),
        all_(taps_ * own_ * c.out_channels), by_channels_(engine::by_channels(c)),
        by_pairs_(pairs.sum_runs && pairs_pay(c, c.axes[2].taps)),
        rows_(by_pairs_ ? pairs.rows : k_.rows) {}

  void operator()() {
    const double macs = double(c_.batch) * double(c_.out_size()) * double(all_) /
                        (by_pairs_ ? pairs_faster : 1);
    const std::vector<Phase> phases = phases_of(c_);
    const int64_t tasks = tasks_of(macs);
    std::vector<Pieces> pieces;
    const int64_t some = by_channels_ ? channels_of_piece(c_, k_) : own_;
    const int64_t lanes = by_channels_ ? parts(c_.in_channels, some) : c_.groups;
    for (const Phase& phase : phases)
      pieces.emplace_back(c_, phase, some * (by_channels_ ? made_ : 1) * bytes_,
                          parts(tasks, lanes));
    int64_t splits = std::min(tasks, std::max<int64_t>(1, most_bytes / (all_ * bytes_)));
    for (const Pieces& p : pieces) splits = std::min(splits, p.count);
    const int64_t lines = parts(made_, rows_),
                  shares = by_channels_ ? 1 : std::min(lines, parts(tasks, splits * lanes));
    Ref<Buffer> held;
    // The first piece of a split sets the sums, where it sees all taps there are. One piece may set
    // the result, if its blocks round.
    const bool sets = !by_channels_ && phases.size() == 1 && phases[0].taps() == taps_,
               direct = splits == 1 && !by_channels_ &&
                        (c_.type == sums_ || (by_pairs_ && sets && pieces[0].count == 1));
    char* sums = direct ? dw_ : memory(held, splits * all_ * bytes_);
    const auto add = by_pairs_ ? &Weights::add_pairs : &Weights::add_floats;
    if (!sets) std::memset(sums, 0, size_t(splits * all_ * bytes_));
    for (const Pieces& p : pieces)
      cpu::parallel_for(
          splits * lanes * shares,
          [&](int64_t i) {
            const int64_t share = i % shares, lane = i / shares % lanes,
                          split = i / shares / lanes;
            char* to = sums + split * all_ * bytes_;
            const int64_t from = part(p.count, splits, split),
                          end = part(p.count, splits, split + 1);
            for (int64_t n = from; n < end; ++n) {
              if (by_channels_)
                add_channels(p.phase, p[n],
                             {lane * some, std::min(some, c_.in_channels - lane * some), made_},
                             to);
              else
                (this->*add)(
                    p.phase, p[n], lane, part(lines, shares, share) * rows_,
                    std::min(made_, part(lines, shares, share + 1) * rows_), to, !sets || n > from);
            }
          },
          macs / double(phases.size()) / macs_per_ns);
    if (!direct) finish(sums, splits);
  }

 private:
  // The rows of channels of the result's gradient, from `first` on, that a piece has: as they lie
  // or copied. Strides in elements of sums.
  struct Slopes {
    const char* data;
    int64_t row, pixel;
    Ref<Buffer> held;
  };
  Slopes slopes_of(const Phase& phase, const Piece& p, int64_t first, int64_t count,
                   bool as_it_lies) const {
    const Taps &h = phase.axes[1], &w = phase.axes[2];
    const int64_t* s = ct_.strides;
    const char* from = ct_.data +
                       (p.batch * s[0] + phase.axes[0].result(p.depth) * s[1] +
                        h.result(p.row) * s[2] + w.result(p.column) * s[3] + first * s[4]) *
                           each_;
    Slopes out{from, h.every * s[2], w.every * s[3], {}};
    if (as_it_lies && c_.type == sums_ && s[4] == 1) return out;
    char* to = memory(out.held, (p.rows * p.columns * count + k_.cols) * bytes_);
    copy({p.rows, p.columns, count}, {const_cast<char*>(from), c_.type, {out.row, out.pixel, s[4]}},
         {to, sums_, {p.columns * count, count, 1}});
    out.data = to;
    out.row = p.columns * count;
    out.pixel = count;
    return out;
  }
  // Tap m of an axis in the weights.
  int64_t tap(const Phase& phase, int axis, int64_t m) const {
    const Taps& t = phase.axes[axis];
    const int64_t k = t.tap + m * t.next;
    return c_.flip ? c_.axes[axis].taps - 1 - k : k;
  }
  int64_t tap(const Phase& phase, int64_t a, int64_t b, int64_t m) const {
    return (tap(phase, 0, a) * c_.axes[1].taps + tap(phase, 1, b)) * c_.axes[2].taps +
           tap(phase, 2, m);
  }

  // Of lines `line` to `end` of a group: added to the sums, or these are set.
  void add_floats(const Phase& phase, const Piece& p, int64_t group, int64_t line, int64_t end,
                  char* sums, bool to_others) const {
    if (phase.taps() == 0 || line >= end) return;
    const Taps &d = phase.axes[0], &h = phase.axes[1], &w = phase.axes[2];
    const Window window = window_of(c_, x_, phase, p, {group * own_, own_, 1}, false);
    const Slopes slopes = slopes_of(phase, p, group * made_ + line, end - line, true);
    const bool joined = w.step == 1 && w.next == 1 && !c_.flip;
    const int64_t inner = taps_ * own_, length = joined ? w.taps * own_ : own_;
    SmallVector<Run, 32> runs;
    for (int64_t a = 0; a < d.taps; ++a) {
      const bool inside = is_inside(c_, 0, d.at(a, p.depth));
      for (int64_t b = 0; b < h.taps; ++b)
        for (int64_t m = 0; m < (joined ? 1 : w.taps); ++m) {
          runs.clear();
          for (int64_t row = 0; inside && row < p.rows; ++row)
            if (const int64_t at = h.at(b, p.row + row); is_inside(c_, 1, at))
              runs.push_back({row * slopes.row, window.at(a, at, w.at(m, p.column))});
          if (runs.empty() && to_others) continue;
          const int64_t all = int64_t(runs.size()),
                        some = std::max<int64_t>(1, sum_steps / p.columns);
          for (int64_t i = line; i < end; i += k_.rows)
            for (int64_t from = 0; from < length; from += k_.cols)
              for (int64_t run = 0; run == 0 || run < all; run += some)
                k_.across({.x = slopes.data + (i - line) * bytes_,
                           .w = window.data + from * bytes_,
                           .out = sums + ((group * made_ + i) * inner +
                                          tap(phase, a, b, m) * own_ + from) * bytes_,
                           .runs = runs.data() + run,
                           .count = std::min(some, all - run),
                           .steps = p.columns,
                           .x_stride = slopes.pixel,
                           .w_step = w.stride * window.pixel,
                           .out_row = inner,
                           .rows = int(std::min<int64_t>(k_.rows, end - i)),
                           .cols = int(std::min<int64_t>(k_.cols, length - from)),
                           .add = to_others || run > 0});
        }
    }
  }

  // The same by dot products of pairs: steps are places of a row, packed in groups with zeros
  // behind the last, of the gradient by channel and of the window by tap and channel.
  void add_pairs(const Phase& phase, const Piece& p, int64_t group, int64_t line, int64_t end,
                 char* sums, bool to_others) const {
    if (phase.taps() == 0 || line >= end) return;
    constexpr int64_t each = 2, word = 4;
    const Taps &d = phase.axes[0], &h = phase.axes[1], &w = phase.axes[2];
    const bool joined = w.step == 1 && w.next == 1 && !c_.flip;
    const int64_t inner = taps_ * own_, length = joined ? w.taps * own_ : own_,
                  across = joined ? 1 : w.taps, lines = end - line,
                  groups = parts(p.columns, pairs_.group), strips = parts(length, pairs_.cols),
                  of_left = lines * pairs_.group,                       // of a group, in elements
                  of_right = pairs_.cols * pairs_.group * each / word;  // in words
    const Window window = window_of(bits_, x_, phase, p, {group * own_, own_, 1}, false);
    const int64_t in_rows = window.row ? window.plane / window.row : 0;
    Ref<Buffer> held_left, held_right;
    char *left = memory(held_left, p.rows * groups * of_left * each),
         *right = memory(held_right, d.taps * in_rows * across * strips * groups * of_right * word);
    const int64_t* s = ct_.strides;
    for (int64_t row = 0; row < p.rows; ++row)
      pairs_.pack_left({ct_.data + (p.batch * s[0] + phase.axes[0].result(p.depth) * s[1] +
                                    h.result(p.row + row) * s[2] + w.result(p.column) * s[3] +
                                    (group * made_ + line) * s[4]) * each,
                        left + row * groups * of_left * each, lines, lines, s[4], w.every * s[3],
                        p.columns});
    const auto packed = [&](int64_t a, int64_t row, int64_t m, int64_t strip) {
      return (((a * in_rows + row) * across + m) * strips + strip) * groups * of_right;
    };
    const auto is_seen = [&](int64_t a) { return is_inside(c_, 0, d.at(a, p.depth)); };
    for (int64_t a = 0; a < d.taps; ++a)
      for (int64_t row = 0; is_seen(a) && row < in_rows; ++row)
        for (int64_t m = 0; m < across; ++m)
          for (int64_t strip = 0; strip < strips; ++strip) {
            const int64_t from = strip * pairs_.cols;
            pairs_.pack({window.data + (window.at(a, window.first_row + row, w.at(m, p.column)) +
                                        from) * each,
                         right + packed(a, row, m, strip) * word,
                         std::min<int64_t>(pairs_.cols, length - from), pairs_.cols, 1,
                         w.stride * window.pixel, p.columns});
          }
    const bool rounds = sums == dw_;
    SmallVector<Run, 32> runs;
    KeptBlocks kept(pairs_);
    for (int64_t a = 0; a < d.taps; ++a)
      for (int64_t b = 0; b < h.taps; ++b)
        for (int64_t m = 0; m < across; ++m)
          for (int64_t strip = 0; strip < strips; ++strip) {
            runs.clear();
            for (int64_t row = 0; is_seen(a) && row < p.rows; ++row)
              if (const int64_t at = h.at(b, p.row + row); is_inside(c_, 1, at))
                for (int64_t g = 0; g < groups; ++g)
                  runs.push_back({(row * groups + g) * of_left,
                                  packed(a, at - window.first_row, m, strip) + g * of_right});
            if (runs.empty() && to_others) break;
            const int64_t from = strip * pairs_.cols;
            for (int64_t i = line; i < end; i += pairs_.rows)
              (rounds ? pairs_.runs : pairs_.sum_runs)(
                  {.x = left + (i - line) * pairs_.group * each,
                   .w = right,
                   .out = sums + ((group * made_ + i) * inner + tap(phase, a, b, m) * own_ + from) *
                                     (rounds ? each : bytes_),
                   .runs = runs.data(),
                   .count = int64_t(runs.size()),
                   .steps = 1,
                   .x_stride = pairs_.group,
                   .w_step = pairs_.cols,
                   .out_row = inner,
                   .rows = int(std::min<int64_t>(pairs_.rows, end - i)),
                   .cols = int(std::min<int64_t>(pairs_.cols, length - from)),
                   .add = to_others,
                   .kept = &kept});
          }
  }

  // Sums by tap, then by channel.
  void add_channels(const Phase& phase, const Piece& p, const Channels& channels,
                    char* sums) const {
    if (phase.taps() == 0) return;
    const Taps& w = phase.axes[2];
    const int64_t first = channels.first * made_, width = channels.width();
    const Window window = window_of(c_, x_, phase, p, channels, false);
    const Slopes slopes = slopes_of(phase, p, first, width, width % k_.lanes == 0);
    SmallVector<Run, 32> runs;
    for (int64_t row = 0; row < p.rows; ++row) {
      runs.clear();
      for_taps(c_, phase, p.depth, p.row + row, [&](int64_t a, int64_t b, int64_t at) {
        for (int64_t m = 0; m < w.taps; ++m)
          runs.push_back({window.at(a, at, w.at(m, p.column)),
                          tap(phase, a, b, m) * c_.out_channels});
      });
      k_.channel_dots({.x = window.data,
                       .y = slopes.data + row * slopes.row * bytes_,
                       .out = sums + first * bytes_,
                       .runs = runs.data(),
                       .count = int64_t(runs.size()),
                       .steps = p.columns,
                       .x_step = w.stride * window.pixel,
                       .y_step = slopes.pixel,
                       .channels = width});
    }
  }

  void finish(char* sums, int64_t splits) const {
    const bool rounds = c_.type != sums_;
    char* to = rounds || by_channels_ ? sums : dw_;
    const int64_t tasks = parts(all_, 1 << 14);
    if (splits > 1 || to != sums)
      cpu::parallel_for(
          tasks,
          [&](int64_t i) {
            const int64_t from = part(all_, tasks, i), n = part(all_, tasks, i + 1) - from;
            k_.total(to + from * bytes_, sums + from * bytes_, splits, all_, n);
          },
          double(splits * all_) / 2);
    if (by_channels_)
      copy({c_.out_channels, taps_}, {to, sums_, {1, c_.out_channels}},
           {dw_, c_.type, {taps_, 1}});
    else if (rounds) copy({all_}, {to, sums_, {1}}, {dw_, c_.type, {1}});
  }

  const Convolution& c_;
  const Convolution bits_;
  const ConvView &x_, &ct_;
  char* dw_;
  const ConvKernels& k_;
  const PanelKernels& pairs_;
  const Dtype sums_;
  const int64_t each_, bytes_, own_, made_, taps_, all_;
  const bool by_channels_, by_pairs_;
  const int64_t rows_;  // of a block
};

}  // namespace

void convolve_weights(const Convolution& c, const ConvView& x, const ConvView& ct, char* dw,
                      const PanelKernels* pairs) {
  if (c.batch == 0) {
    const int64_t own = c.in_channels / c.groups;
    const int64_t taps = c.axes[0].taps * c.axes[1].taps * c.axes[2].taps;
    std::memset(dw, 0, size_t(c.out_channels * taps * own * size_of(c.type)));
    return;
  }
  Weights(c, x, ct, dw, pairs ? *pairs : panel_kernels_of(c.type))();
}

}  // namespace lazulite::engine
