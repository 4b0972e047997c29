// Convolutions of bfloat16 by dot products of pairs, where the level has them over rows as they lie
// (PanelKernels::runs): otherwise as those of floats (conv.cpp). Taps that lie side by side across
// are one run of steps, so that few channels fill a group. Where runs are no whole groups, each is
// copied to a row of its own, with zeros behind it: what lies there in memory may be no number.
#include <cstring>

#include "device/cpu/pool.h"
#include "engine/conv/conv.h"
#include "engine/conv/room.h"
#include "engine/gemm/panels.h"
#include "engine/layout/copy.h"

namespace lazulite::engine {
namespace {

constexpr double faster = 6;  // than floats

class PairsForward {
 public:
  PairsForward(const Convolution& c, const ConvView& x, const ConvView& w, char* out,
               const Finished& finished, const Phase& phase, const Buffer* weights,
               const PanelKernels& kernels)
      : c_(c), bits_(as_bits(c)), x_(x), w_(w), out_(out), finished_(finished), phase_(phase),
        of_weights_(weights), k_(kernels), own_(c.in_channels / c.groups),
        made_(c.out_channels / c.groups), taps_(phase.taps()), strips_(parts(made_, k_.cols)),
        joined_(phase.axes[2].step == 1), across_(joined_ ? 1 : phase.axes[2].taps),
        units_(phase.axes[0].taps * phase.axes[1].taps * across_),
        run_(own_ * (joined_ ? phase.axes[2].taps : 1)), groups_(parts(run_, k_.group)),
        tasks_(tasks_of(double(c.batch) * double(c.out_size()) * double(c.out_channels) *
                        double(own_) * double(taps_) / faster)),
        pieces_(c, phase, own_ * each, parts(tasks_, c.groups)) {}

  void operator()() {
    if (taps_)
      weights_ = packed_weights(c_, w_, phase_, of_weights_, &k_, 0,
                                packed(c_.groups, 0) * word, held_, [&](char* to) { pack(to); });
    for_shares(pieces_, c_.groups, strips_, tasks_,
               double(pieces_.count) * double(pieces_.rows * pieces_.columns) *
                   double(c_.out_channels * own_ * taps_) / faster,
               [&](const Piece& piece, int64_t group, int64_t first, int64_t until) {
                 run(piece, group, first, until);
               });
  }

 private:
  static constexpr int64_t each = 2, word = 4;  // bytes

  int64_t cols(int64_t strip) const {
    return std::min<int64_t>(k_.cols, made_ - strip * k_.cols);
  }
  // Where a strip's weights begin, and those of a unit in it, in words.
  int64_t unit() const { return groups_ * k_.group * each / word * k_.cols; }
  int64_t packed(int64_t group, int64_t strip) const {
    return (group * strips_ + strip) * units_ * unit();
  }

  // Weights by group and strip: units, groups of steps, columns.
  void pack(char* to) const {
    const Taps* t = phase_.axes;
    const int64_t* s = w_.strides;
    const TapsOfWeights from = taps_of(bits_, w_, phase_);
    const int64_t line = taps_ * own_;
    cpu::parallel_for(
        c_.groups * strips_,
        [&](int64_t i) {
          const int64_t group = i / strips_, strip = i % strips_, lines = cols(strip),
                        first = group * made_ + strip * k_.cols;
          Ref<Buffer> held;
          char* taken = memory(held, lines * line * each);
          copy({lines, t[0].taps, t[1].taps, t[2].taps, own_},
               {const_cast<char*>(from.data) + first * s[0] * each, int16,
                {s[0], from.step[0], from.step[1], from.step[2], s[4]}},
               {taken, int16, {line, t[1].taps * t[2].taps * own_, t[2].taps * own_, own_, 1}});
          for (int64_t u = 0; u < units_; ++u)
            k_.pack({taken + u * run_ * each, to + (packed(group, strip) + u * unit()) * word,
                     lines, k_.cols, line, 1, run_});
        },
        double(c_.groups * own_ * made_ * taps_));
  }

  // The input of a piece: the run of tap (a, place, m) at column j begins at
  // at(a, place, m) + j * column.
  struct Rows {
    const char* data = nullptr;
    int64_t plane, row, tap, column, first_row;
    Ref<Buffer> held;
    int64_t at(int64_t a, int64_t place, int64_t m) const {
      return a * plane + (place - first_row) * row + m * tap;
    }
  };
  Rows rows_of(const Piece& piece, int64_t group) const {
    const Taps &d = phase_.axes[0], &w = phase_.axes[2];
    const bool whole = run_ % k_.group == 0;
    Window in = window_of(bits_, x_, phase_, piece, {group * own_, own_, 1},
                          whole && (!joined_ || x_.strides[3] == own_));
    const int64_t first = w.at(0, piece.column) - in.first_place;
    if (whole)
      return {in.data + first * in.pixel * each, in.plane, in.row, w.step * in.pixel,
              w.stride * in.pixel, in.first_row, std::move(in.held)};
    const int64_t padded = groups_ * k_.group, rows = in.row ? in.plane / in.row : 0;
    Rows out{nullptr, 0, piece.columns * across_ * padded, padded, across_ * padded, in.first_row,
             {}};
    out.plane = rows * out.row;
    char* to = memory(out.held, d.taps * out.plane * each);
    out.data = to;
    for (int64_t a = 0; a < d.taps; ++a) {
      if (!is_inside(c_, 0, d.at(a, piece.depth))) continue;
      for (int64_t row = 0; row < rows; ++row)
        for (int64_t j = 0; j < piece.columns; ++j)
          for (int64_t m = 0; m < across_; ++m)
            copy_run(in.data + (a * in.plane + row * in.row +
                                (first + j * w.stride + m * w.step) * in.pixel) * each,
                     to + (a * out.plane + row * out.row + j * out.column + m * padded) * each);
    }
    return out;
  }
  // A run, and zeros up to whole groups. A window may be read beyond its end.
  void copy_run(const char* from, char* to) const {
    constexpr int64_t some = 8;
    static_assert(some <= read_beyond);
    const auto* x = reinterpret_cast<const uint16_t*>(from);
    auto* out = reinterpret_cast<uint16_t*>(to);
    int64_t i = 0;
    for (; i < run_; i += some) std::memcpy(out + i, x + i, some * each);
    std::memset(out + run_, 0, size_t((groups_ * k_.group - run_) * each));
  }

  void run(const Piece& piece, int64_t group, int64_t strip, int64_t end) const {
    const Taps &h = phase_.axes[1], &w = phase_.axes[2];
    const int64_t channels = c_.out_channels, first = strip * k_.cols,
                  made = std::min(made_, end * k_.cols) - first;
    Rows rows;
    if (taps_) rows = rows_of(piece, group);
    auto place = [&](int64_t j) { return place_of(c_, phase_, piece, j); };
    const int64_t pixel = w.every * channels;
    SmallVector<Run, 32> runs;
    {
      KeptBlocks kept(k_);  // until what is told of the result may use tiles
      for (; strip < end; ++strip)
        for (int64_t row = 0; row < piece.rows; ++row) {
          runs.clear();
          if (taps_)
            for_taps(c_, phase_, piece.depth, piece.row + row,
                     [&](int64_t a, int64_t b, int64_t there) {
                       for (int64_t m = 0; m < across_; ++m)
                         runs.push_back({rows.at(a, there, m),
                                         ((a * h.taps + b) * across_ + m) * unit()});
                     });
          char* to = out_ + (place(piece.row + row) * channels + group * made_ + strip * k_.cols) *
                                each;
          const int64_t pieces = parts(piece.columns, k_.rows);
          for (int64_t i = 0; i < pieces; ++i) {
            const int64_t from = part(piece.columns, pieces, i),
                          count = part(piece.columns, pieces, i + 1) - from;
            k_.runs({.x = rows.data + from * rows.column * each,
                     .w = weights_ + packed(group, strip) * word,
                     .out = to + from * pixel * each,
                     .runs = runs.data(),
                     .count = int64_t(runs.size()),
                     .steps = groups_,
                     .x_stride = rows.column,
                     .w_step = k_.cols,
                     .out_row = pixel,
                     .rows = int(count),
                     .cols = int(cols(strip)),
                     .add = false,
                     .kept = &kept});
          }
        }
    }
    if (piece.columns == c_.axes[2].out)
      return finished_(place(piece.row), piece.rows * piece.columns, group * made_ + first, made);
    for (int64_t row = 0; row < piece.rows; ++row)
      finished_(place(piece.row + row), piece.columns, group * made_ + first, made);
  }

  const Convolution& c_;
  const Convolution bits_;
  const ConvView &x_, &w_;
  char* out_;
  const Finished& finished_;
  const Phase& phase_;
  const Buffer* of_weights_;
  const PanelKernels& k_;
  const int64_t own_, made_;                     // channels of a group: in, out
  const int64_t taps_, strips_;
  const bool joined_;                            // taps across are steps of one run
  const int64_t across_, units_, run_, groups_;  // runs across, in all; steps and groups of one
  const int64_t tasks_;
  const Pieces pieces_;
  Ref<Buffer> held_;
  char* weights_ = nullptr;
};

}  // namespace

bool convolve_pairs(const Convolution& c, const ConvView& x, const ConvView& w, char* out,
                    const Finished& finished, const Phase& phase, const Buffer* weights,
                    const PanelKernels* kernels) {
  const PanelKernels& k = kernels ? *kernels : panel_kernels_of(c.type);
  if (!k.runs || !pairs_pay(c, phase.axes[2].step == 1 ? phase.axes[2].taps : 1)) return false;
  PairsForward(c, x, w, out, finished, phase, weights, k)();
  return true;
}

}  // namespace lazulite::engine
