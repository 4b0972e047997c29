// Convolutions, forward: each task takes some rows of the result, reads its input as it lies or
// from a window, and goes through weights that were packed in strips as wide as a block. Axes with
// spread inputs are taken in phases, each a convolution of its own.
#include "engine/conv/conv.h"

#include <cstring>
#include <vector>

#include "device/cpu/pool.h"
#include "engine/conv/room.h"
#include "engine/layout/copy.h"

namespace lazulite::engine {
namespace {

// Steps that a sum takes before it is stored, about: strips of weights of so many stay in the
// second-level cache, and sums of so many lose little.
constexpr int64_t block_steps = 768;

class Forward {
 public:
  Forward(const Convolution& c, const ConvView& x, const ConvView& w, char* out,
          const Finished& finished, const Phase& phase, const Buffer* weights)
      : c_(c), x_(x), w_(w), out_(out), finished_(finished), phase_(phase), of_weights_(weights),
        k_(conv_kernels_of(c.type)), sums_(compute_type(c.type)), each_(size_of(c.type)),
        bytes_(size_of(sums_)), own_(c.in_channels / c.groups), made_(c.out_channels / c.groups),
        taps_(phase.taps()), wide_(parts(made_, k_.lanes) * k_.lanes),
        strips_(parts(made_, k_.cols)),
        blocks_(std::max<int64_t>(1, std::min(own_, parts(own_ * taps_, block_steps)))),
        tasks_(tasks_of(double(c.batch) * double(c.out_size()) * double(c.out_channels) *
                        double(own_) * double(taps_))),
        pieces_(c, phase, own_ * bytes_, parts(tasks_, c.groups)) {}

  void operator()() {
    pack();
    for_shares(pieces_, c_.groups, strips_, tasks_,
               double(pieces_.count) * double(pieces_.rows * pieces_.columns) *
                   double(c_.out_channels * own_ * taps_),
               [&](const Piece& piece, int64_t group, int64_t first, int64_t until) {
                 run(piece, group, first, until);
               });
  }

 private:
  // Channels of a block; columns of a strip, and with what fills its last register.
  int64_t channel(int64_t block) const { return part(own_, blocks_, block); }
  int64_t cols(int64_t strip) const {
    return std::min<int64_t>(k_.cols, made_ - strip * k_.cols);
  }
  int64_t width(int64_t strip) const { return parts(cols(strip), k_.lanes) * k_.lanes; }
  int64_t packed(int64_t group, int64_t strip, int64_t block) const {
    return taps_ * (group * own_ * wide_ + strip * k_.cols * own_ + channel(block) * width(strip));
  }

  // Weights by group, strip and block: taps, channels, columns.
  void pack() {
    if (taps_ == 0) return;
    weights_ = packed_weights(c_, w_, phase_, of_weights_, &k_, 0,
                              c_.groups * own_ * wide_ * taps_ * bytes_, held_,
                              [&](char* to) { pack(to); });
  }
  void pack(char* weights) const {
    const Taps* t = phase_.axes;
    const int64_t* s = w_.strides;
    const TapsOfWeights from = taps_of(c_, w_, phase_);
    const int64_t per_group = strips_ * blocks_;
    cpu::parallel_for(
        c_.groups * per_group,
        [&](int64_t i) {
          const int64_t group = i / per_group, strip = i % per_group / blocks_,
                        block = i % blocks_, first = channel(block),
                        deep = channel(block + 1) - first, across = width(strip),
                        line = group * made_ + strip * k_.cols;
          char* to = weights + packed(group, strip, block) * bytes_;
          if (across > cols(strip)) std::memset(to, 0, size_t(taps_ * deep * across * bytes_));
          const int64_t inner = deep * across;
          copy({t[0].taps, t[1].taps, t[2].taps, deep, cols(strip)},
               {const_cast<char*>(from.data) + (line * s[0] + first * s[4]) * each_, c_.type,
                {from.step[0], from.step[1], from.step[2], s[4], s[0]}},
               {to, sums_, {t[1].taps * t[2].taps * inner, t[2].taps * inner, inner, across, 1}});
        },
        double(c_.groups * own_ * wide_ * taps_));
  }

  void run(const Piece& piece, int64_t group, int64_t strip, int64_t end) {
    const Taps &h = phase_.axes[1], &w = phase_.axes[2];
    const int64_t channels = c_.out_channels, first = strip * k_.cols,
                  made = std::min(made_, end * k_.cols) - first;
    const bool rounds = c_.type != sums_;
    Window window;
    if (taps_)
      window = window_of(c_, x_, phase_, piece, {group * own_, own_, 1}, true);
    const bool joined = blocks_ == 1 && w.step == 1 && window.pixel == own_;

    // Where the piece stands in the result, and its sums: there, or in memory of their own.
    auto place = [&](int64_t j) { return place_of(c_, phase_, piece, j); };
    Ref<Buffer> held;
    char* sums = rounds ? memory(held, piece.rows * piece.columns * made * bytes_) : nullptr;
    const int64_t pixel = rounds ? made : w.every * channels;

    SmallVector<Run, 32> runs;
    for (; strip < end; ++strip)
      for (int64_t block = 0; block < blocks_; ++block) {
        const int64_t deep = channel(block + 1) - channel(block), across = width(strip);
        for (int64_t row = 0; row < piece.rows; ++row) {
          const int64_t j = piece.row + row;
          runs.clear();
          if (taps_)
            for_taps(c_, phase_, piece.depth, j, [&](int64_t a, int64_t b, int64_t there) {
              for (int64_t m = 0; m < (joined ? 1 : w.taps); ++m)
                runs.push_back({window.at(a, there, w.at(m, piece.column)) + channel(block),
                                ((a * h.taps + b) * w.taps + m) * deep * across});
            });
          char* to = rounds ? sums + (row * piece.columns * made + strip * k_.cols - first) * bytes_
                            : out_ + (place(j) * channels + group * made_ + strip * k_.cols) *
                                         bytes_;
          const int64_t pieces = parts(piece.columns, k_.rows);
          for (int64_t i = 0; i < pieces; ++i) {
            const int64_t from = part(piece.columns, pieces, i),
                          count = part(piece.columns, pieces, i + 1) - from;
            k_.along({.x = window.data + from * w.stride * window.pixel * bytes_,
                      .w = weights_ + packed(group, strip, block) * bytes_,
                      .out = to + from * pixel * bytes_,
                      .runs = runs.data(),
                      .count = int64_t(runs.size()),
                      .steps = joined ? w.taps * deep : deep,
                      .x_stride = w.stride * window.pixel,
                      .w_step = across,
                      .out_row = pixel,
                      .rows = int(count),
                      .cols = int(cols(strip)),
                      .add = block > 0});
          }
        }
      }
    if (rounds)
      copy({piece.rows, piece.columns, made}, {sums, sums_, {piece.columns * made, made, 1}},
           {out_ + (place(piece.row) * channels + group * made_ + first) * each_, c_.type,
            {h.every * c_.axes[2].out * channels, w.every * channels, 1}});
    if (piece.columns == c_.axes[2].out)
      return finished_(place(piece.row), piece.rows * piece.columns, group * made_ + first, made);
    for (int64_t row = 0; row < piece.rows; ++row)
      finished_(place(piece.row + row), piece.columns, group * made_ + first, made);
  }

  const Convolution& c_;
  const ConvView &x_, &w_;
  char* out_;
  const Finished& finished_;
  const Phase& phase_;
  const Buffer* of_weights_;
  const ConvKernels& k_;
  const Dtype sums_;
  const int64_t each_, bytes_;              // of an element, of a sum
  const int64_t own_, made_;                // channels of a group: in, out
  const int64_t taps_, wide_;               // ... with what fills the last register
  const int64_t strips_, blocks_, tasks_;
  const Pieces pieces_;
  Ref<Buffer> held_;
  char* weights_ = nullptr;
};

// Where each channel is a group of its own: no sums over channels.
class ByChannels {
 public:
  ByChannels(const Convolution& c, const ConvView& x, const ConvView& w, char* out,
             const Finished& finished, const Phase& phase)
      : c_(c), x_(x), out_(out), finished_(finished), phase_(phase), k_(conv_kernels_of(c.type)),
        sums_(compute_type(c.type)), each_(size_of(c.type)), bytes_(size_of(sums_)),
        times_(c.out_channels / c.in_channels), taps_(phase.taps()),
        some_(channels_of_piece(c, k_)), shares_(parts(c.in_channels, some_)),
        pieces_(c, phase, std::min(some_, c.in_channels) * times_ * bytes_,
                parts(tasks_of(double(c.batch) * double(c.out_size()) * double(c.out_channels) *
                               double(taps_)),
                      shares_)) {
    const int64_t channels = c.out_channels;
    weights_ = memory(held_, (taps_ * channels + k_.lanes) * bytes_);
    if (taps_ == 0) return;
    const Taps* t = phase.axes;
    const TapsOfWeights from = taps_of(c, w, phase);
    const Shape shape{t[0].taps, t[1].taps, t[2].taps, channels};
    copy(shape,
         {const_cast<char*>(from.data), c.type,
          {from.step[0], from.step[1], from.step[2], w.strides[0]}},
         {weights_, sums_, dense_strides(shape)});
  }

  void operator()() {
    cpu::parallel_for(
        pieces_.count * shares_,
        [&](int64_t i) {
          const int64_t first = i % shares_ * some_;
          run(pieces_[i / shares_], {first, std::min(some_, c_.in_channels - first), times_});
        },
        double(c_.batch) * double(c_.out_size()) * double(c_.out_channels) * double(taps_) / 5);
  }

 private:
  void run(const Piece& piece, const Channels& channels) {
    const Taps &h = phase_.axes[1], &w = phase_.axes[2];
    const int64_t all = c_.out_channels, width = channels.width(), first = channels.first * times_;
    const bool rounds = c_.type != sums_;
    Window window;
    if (taps_) window = window_of(c_, x_, phase_, piece, channels, width % k_.lanes == 0);
    auto place = [&](int64_t j) { return place_of(c_, phase_, piece, j); };
    Ref<Buffer> held;
    char* sums = rounds ? memory(held, piece.rows * piece.columns * width * bytes_) : nullptr;
    SmallVector<Run, 32> runs;
    for (int64_t row = 0; row < piece.rows; ++row) {
      runs.clear();
      if (taps_)
        for_taps(c_, phase_, piece.depth, piece.row + row, [&](int64_t a, int64_t b, int64_t at) {
          for (int64_t m = 0; m < w.taps; ++m)
            runs.push_back({window.at(a, at, w.at(m, piece.column)),
                            ((a * h.taps + b) * w.taps + m) * all});
        });
      k_.channels({.x = window.data,
                   .w = weights_ + first * bytes_,
                   .out = rounds ? sums + row * piece.columns * width * bytes_
                                 : out_ + (place(piece.row + row) * all + first) * bytes_,
                   .runs = runs.data(),
                   .count = int64_t(runs.size()),
                   .x_row = w.stride * window.pixel,
                   .out_row = rounds ? width : w.every * all,
                   .channels = width,
                   .rows = int(piece.columns)});
    }
    if (rounds)
      copy({piece.rows, piece.columns, width}, {sums, sums_, {piece.columns * width, width, 1}},
           {out_ + (place(piece.row) * all + first) * each_, c_.type,
            {h.every * c_.axes[2].out * all, w.every * all, 1}});
    if (finished_.call)
      for (int64_t row = 0; row < piece.rows; ++row)
        finished_(place(piece.row + row), piece.columns, first, width);
  }

  const Convolution& c_;
  const ConvView& x_;
  char* out_;
  const Finished& finished_;
  const Phase& phase_;
  const ConvKernels& k_;
  const Dtype sums_;
  const int64_t each_, bytes_, times_, taps_, some_, shares_;
  const Pieces pieces_;
  Ref<Buffer> held_;
  char* weights_ = nullptr;
};

}  // namespace

void convolve(const Convolution& given, const ConvView& of_x, const ConvView& w, char* out,
              const Finished& finished, const Buffer* weights, const PanelKernels* pairs) {
  Convolution c = given;
  ConvView x = of_x;
  join_axes(c, x);
  const std::vector<Phase> phases = phases_of(c);
  // Results of several phases lie between each other: told of at the end.
  const Finished now = phases.size() == 1 ? finished : Finished{};
  for (const Phase& phase : phases) {
    if (by_channels(c)) ByChannels(c, x, w, out, now, phase)();
    else if (!convolve_pairs(c, x, w, out, now, phase, weights, pairs))
      Forward(c, x, w, out, now, phase, weights)();
  }
  if (phases.size() > 1) finished(0, c.batch * c.out_size(), 0, c.out_channels);
}

}  // namespace lazulite::engine
