// Convolutions of int8, as those of floats (conv.cpp): each task takes some rows of the result,
// makes a window of its input, of numbers as the level's dot products take them, and goes through
// weights that were packed in strips by groups of steps. Taps that lie side by side across are one
// run of steps, so that few channels fill a group too. Where the window's numbers are more than
// they stand for, sums begin with what that makes of the weights that a row sees.
#include <cstring>
#include <vector>

#include "device/cpu/partial.h"
#include "device/cpu/pool.h"
#include "engine/conv/conv.h"
#include "engine/conv/room.h"
#include "engine/layout/copy.h"
#include "engine/quant/int8_kernels.h"

namespace lazulite::engine {

LAZULITE_LEVELS(const Int8Kernels&, int8_kernels)
LAZULITE_FILLED(Int8Kernels, int8_kernels, avx512_vnni)
LAZULITE_FILLED_OVER(Int8Kernels, int8_kernels, int8_kernels_filled, amx, int8_kernels_of_machine)

namespace {

constexpr int64_t block_groups = 768;  // of steps that a sum takes before it is stored, about
constexpr double faster = 4;           // than floats

class Int8Forward {
 public:
  Int8Forward(const Convolution& c, const ConvView& x, const ConvView& w, int zero, char* out,
              const Finished& finished, const Phase& phase, const Buffer* weights,
              const Int8Kernels& kernels)
      : c_(c),
        x_(x),
        w_(w),
        zero_(zero),
        out_(reinterpret_cast<int32_t*>(out)),
        finished_(finished),
        phase_(phase),
        of_weights_(weights),
        k_(kernels),
        wide_(4 / k_.group),
        more_(wide_ == 1 ? k_.above + zero : 0),
        own_(c.in_channels / c.groups),
        made_(c.out_channels / c.groups),
        taps_(phase.taps()),
        strips_(parts(made_, k_.cols)),
        blocks_(std::max<int64_t>(1, std::min(own_, parts(own_ * taps_, block_groups * k_.group)))),
        joined_(blocks_ == 1 && phase.axes[2].step == 1),
        units_(joined_ ? phase.axes[0].taps * phase.axes[1].taps : taps_),
        deep_(parts(own_, blocks_) * (joined_ ? phase.axes[2].taps : 1)),
        groups_(k_.groups(deep_)),
        tasks_(tasks_of(double(c.batch) * double(c.out_size()) * double(c.out_channels) *
                        double(own_) * double(taps_) / faster)),
        pieces_(c, phase, own_ * wide_, parts(tasks_, c.groups)) {}

  void operator()() {
    pack();
    for_shares(pieces_, c_.groups, strips_, tasks_,
               double(pieces_.count) * double(pieces_.rows * pieces_.columns) *
                   double(c_.out_channels * own_ * taps_) / faster,
               [&](const Piece& piece, int64_t group, int64_t first, int64_t until) {
                 run(piece, group, first, until);
               });
  }

 private:
  int64_t channel(int64_t block) const { return part(own_, blocks_, block); }
  int64_t cols(int64_t strip) const {
    return std::min<int64_t>(k_.cols, made_ - strip * k_.cols);
  }
  // Steps of a unit of a block: all taps across of its channels, or those of one tap.
  int64_t steps(int64_t block) const {
    return (channel(block + 1) - channel(block)) * (joined_ ? phase_.axes[2].taps : 1);
  }
  int64_t packed(int64_t group, int64_t strip, int64_t block) const {
    return ((group * strips_ + strip) * blocks_ + block) * units_ * groups_ * k_.cols;
  }
  int32_t* shifts(int64_t group, int64_t strip, int64_t depth, int64_t row) const {
    return shifts_ +
           ((group * strips_ + strip) * units_down() + depth * phase_.axes[1].taps + row) *
               k_.cols;
  }
  int64_t units_down() const { return phase_.axes[0].taps * phase_.axes[1].taps; }

  // Weights by group, strip and block: units, groups of steps, columns. Behind them what sums begin
  // with.
  void pack() {
    if (taps_ == 0) return;
    const int64_t lines = c_.groups * strips_ * k_.cols, words = lines * blocks_ * units_ * groups_,
                  shifted = more_ ? lines * units_down() : 0;
    const auto bind = [&](char* to) {
      weights_ = to;
      shifts_ = reinterpret_cast<int32_t*>(to) + words;
    };
    bind(packed_weights(c_, w_, phase_, of_weights_, &k_, zero_, (words + shifted) * 4, held_,
                        [&](char* to) {
                          bind(to);
                          std::memset(shifts_, 0, size_t(shifted) * 4);
                          fill();
                        }));
  }
  void fill() {
    const int64_t all = c_.groups * strips_, width = k_.cols;
    const Taps* t = phase_.axes;
    const int64_t* s = w_.strides;
    const TapsOfWeights from = taps_of(c_, w_, phase_);
    cpu::parallel_for(
        all,
        [&](int64_t i) {
          const int64_t group = i / strips_, strip = i % strips_, lines = cols(strip),
                        first = group * made_ + strip * width;
          Ref<Buffer> held;
          // Line by line, as many bytes apart as packing likes.
          const int64_t line = parts(taps_ * parts(own_, blocks_), 4) * 4;
          char* taken = memory(held, lines * line);
          for (int64_t block = 0; block < blocks_; ++block) {
            const int64_t count = channel(block + 1) - channel(block), run = steps(block);
            copy({lines, t[0].taps, t[1].taps, t[2].taps, count},
                 {const_cast<char*>(from.data) + first * s[0] + channel(block) * s[4], int8,
                  {s[0], from.step[0], from.step[1], from.step[2], s[4]}},
                 {taken, int8,
                  {line, t[1].taps * t[2].taps * count, t[2].taps * count, count, 1}});
            for (int64_t unit = 0; unit < units_; ++unit)
              k_.pack_right({taken + unit * run,
                             weights_ + (packed(group, strip, block) + unit * groups_ * width) * 4,
                             lines, width, line, 1, run});
            if (more_) add_shifts(group, strip, taken, lines, line, t[2].taps * count);
          }
        },
        double(c_.groups * own_ * made_ * taps_) / 2);
  }
  void add_shifts(int64_t group, int64_t strip, const char* taken, int64_t lines, int64_t line,
                  int64_t across) {
    for (int64_t down = 0; down < units_down(); ++down) {
      int32_t* to = shifts(group, strip, 0, down);
      for (int64_t l = 0; l < lines; ++l) {
        const auto* w = reinterpret_cast<const int8_t*>(taken) + l * line + down * across;
        uint32_t sum = 0;
        for (int64_t k = 0; k < across; ++k) sum += uint32_t(int32_t(w[k]));
        to[l] = int32_t(uint32_t(to[l]) - sum * uint32_t(more_));
      }
    }
  }

  // The window of a piece, as numbers of the level.
  Window numbers_of(const Piece& piece, int64_t group, Ref<Buffer>& held) const {
    Window window = window_of(c_, x_, phase_, piece, {group * own_, own_, 1}, false, zero_);
    const auto* bytes = reinterpret_cast<const int8_t*>(window.data);
    const int64_t n = phase_.axes[0].taps * window.plane;
    char* to = wide_ == 1 ? const_cast<char*>(window.data)
                          : memory(held, (n + read_beyond) * wide_);
    if (k_.widen) k_.widen(bytes, to, n, zero_);
    window.data = to;
    return window;
  }

  void run(const Piece& piece, int64_t group, int64_t strip, int64_t end) {
    const Taps &h = phase_.axes[1], &w = phase_.axes[2];
    const int64_t channels = c_.out_channels, width = k_.cols, first = strip * width,
                  made = std::min(made_, end * width) - first;
    Ref<Buffer> held;
    Window window;
    if (taps_) window = numbers_of(piece, group, held);
    auto place = [&](int64_t j) { return place_of(c_, phase_, piece, j); };
    const int64_t pixel = w.every * channels;
    SmallVector<Run, 32> runs;
    std::vector<int32_t> start(more_ ? size_t(width) : 0);
    for (; strip < end; ++strip)
      for (int64_t block = 0; block < blocks_; ++block)
        for (int64_t row = 0; row < piece.rows; ++row) {
          const int64_t j = piece.row + row;
          runs.clear();
          start.assign(start.size(), 0);
          if (taps_)
            for_taps(c_, phase_, piece.depth, j, [&](int64_t a, int64_t b, int64_t there) {
              for (int64_t m = 0; m < (joined_ ? 1 : w.taps); ++m)
                runs.push_back(
                    {window.at(a, there, w.at(m, piece.column)) + channel(block),
                     ((a * h.taps + b) * (joined_ ? 1 : w.taps) + m) * groups_ * width});
              if (more_ && block == 0) {
                const int32_t* more = shifts(group, strip, a, b);
                for (int64_t i = 0; i < width; ++i)
                  start[size_t(i)] = int32_t(uint32_t(start[size_t(i)]) + uint32_t(more[i]));
              }
            });
          int32_t* to = out_ + place(j) * channels + group * made_ + strip * width;
          const int64_t pieces = parts(piece.columns, k_.rows);
          for (int64_t i = 0; i < pieces; ++i) {
            const int64_t from = part(piece.columns, pieces, i),
                          count = part(piece.columns, pieces, i + 1) - from;
            k_.along({.x = window.data + from * w.stride * window.pixel * wide_,
                      .w = weights_ + packed(group, strip, block) * 4,
                      .out = to + from * pixel,
                      .start = more_ && block == 0 ? start.data() : nullptr,
                      .runs = runs.data(),
                      .count = int64_t(runs.size()),
                      .steps = k_.groups(steps(block)),
                      .x_stride = w.stride * window.pixel,
                      .w_step = width,
                      .out_row = pixel,
                      .rows = int(count),
                      .cols = int(cols(strip)),
                      .add = block > 0});
          }
        }
    if (piece.columns == c_.axes[2].out)
      return finished_(place(piece.row), piece.rows * piece.columns, group * made_ + first, made);
    for (int64_t row = 0; row < piece.rows; ++row)
      finished_(place(piece.row + row), piece.columns, group * made_ + first, made);
  }

  const Convolution& c_;
  const ConvView &x_, &w_;
  const int zero_;
  int32_t* out_;
  const Finished& finished_;
  const Phase& phase_;
  const Buffer* of_weights_;
  const Int8Kernels& k_;
  const int64_t wide_;                 // bytes of a number in a window
  const int more_;                     // than they stand for
  const int64_t own_, made_;           // channels of a group: in, out
  const int64_t taps_, strips_, blocks_;
  const bool joined_;                  // taps across are steps of one run
  const int64_t units_, deep_, groups_;  // runs of steps; of the longest: steps, groups
  const int64_t tasks_;
  const Pieces pieces_;
  Ref<Buffer> held_;
  char* weights_ = nullptr;
  int32_t* shifts_ = nullptr;  // what sums begin with, by tap down and column
};

// Runs of less would leave most of a tile of AMX empty.
constexpr int64_t tile_steps = 32;

const Int8Kernels& kernels_of(const Convolution& c, const Phase& phase) {
  const int64_t run = c.in_channels / c.groups * (phase.axes[2].step == 1 ? phase.axes[2].taps : 1);
  return run >= tile_steps ? int8_kernels_of_machine() : int8_kernels_filled();
}

}  // namespace

void convolve_int8(const Convolution& given, const ConvView& of_x, const ConvView& w, int zero,
                   char* out, const Finished& finished, const Buffer* weights,
                   const Int8Kernels* kernels) {
  Convolution c = given;
  ConvView x = of_x;
  join_axes(c, x);
  const std::vector<Phase> phases = phases_of(c);
  const Finished now = phases.size() == 1 ? finished : Finished{};
  for (const Phase& phase : phases)
    Int8Forward(c, x, w, zero, out, now, phase, weights,
                kernels ? *kernels : kernels_of(c, phase))();
  if (phases.size() > 1) finished(0, c.batch * c.out_size(), 0, c.out_channels);
}

}  // namespace lazulite::engine
