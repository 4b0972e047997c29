// What results of a convolution see of the input: phases of results that see the same taps, how
// results are cut into pieces of a task, and the input of a piece with zeros around it.
#pragma once
#include <algorithm>
#include <vector>

#include "device/device.h"
#include "engine/conv/conv.h"

namespace lazulite::engine {

// Along one axis: result first + every * j, of `count`, sees tap + next * m, of `taps`, at place
// + m * step + j * stride of the input (beyond its ends, too).
struct Taps {
  int64_t first, every, count;
  int64_t tap, next, taps;
  int64_t place, step, stride;

  int64_t at(int64_t m, int64_t j) const { return place + m * step + j * stride; }
  int64_t result(int64_t j) const { return first + every * j; }
  // Places that `n` neighbouring results see.
  int64_t span(int64_t n) const { return (n - 1) * stride + (taps ? (taps - 1) * step : 0) + 1; }
};
struct Phase {
  Taps axes[3];
  int64_t taps() const { return axes[0].taps * axes[1].taps * axes[2].taps; }
};
std::vector<Phase> phases_of(const Convolution&);

// The same convolution and input with axes joined where each result sees one place alone: a product
// of all places, in long rows.
void join_axes(Convolution&, ConvView& x);

// Some rows of results, in some columns: of one batch entry and one place on the first axis.
struct Piece {
  int64_t batch, depth, row, rows, column, columns;  // in numbers of the phase
};
// How the results of a phase are cut: rows whose input stays in the second-level cache.
struct Pieces {
  const Phase& phase;
  int64_t rows, columns;         // of each
  int64_t down, across, count;   // how many

  // `depth_bytes`: of the channels of one place; `wanted`: pieces, at least.
  Pieces(const Convolution&, const Phase&, int64_t depth_bytes, int64_t wanted);
  Piece operator[](int64_t i) const;
};

// Channels from `channel` on, of all groups, each so many times.
struct Channels {
  int64_t first, count, times;
  int64_t width() const { return count * times; }
};

inline constexpr int64_t read_beyond = 64;  // elements that blocks read past the last one

// The input of a piece. Strides in elements of the sums' dtype.
struct Window {
  const char* data = nullptr;
  int64_t plane, row, pixel;       // from tap to tap on the first axis; from place to place
  int64_t first_row, first_place;  // the places of row 0 and of column 0
  Ref<Buffer> held;

  int64_t at(int64_t tap, int64_t row_place, int64_t place) const {
    return tap * plane + (row_place - first_row) * row + (place - first_place) * pixel;
  }
};
// `as_it_lies`: no copy where sums can read it (whole registers of channels are never read then).
// `around`: the byte of what lies around the input, which is copied.
Window window_of(const Convolution&, const ConvView& x, const Phase&, const Piece&,
                 const Channels&, bool as_it_lies, int around = 0);

inline bool is_inside(const Convolution& c, int axis, int64_t place) {
  return place >= 0 && place < c.axes[axis].in;
}
// The taps that row `j` of a piece sees inside the input: body(tap on axis 0, tap on axis 1,
// place).
template <class F>
void for_taps(const Convolution& c, const Phase& phase, int64_t depth, int64_t j, F&& body) {
  const Taps &d = phase.axes[0], &h = phase.axes[1];
  for (int64_t a = 0; a < d.taps; ++a) {
    if (!is_inside(c, 0, d.at(a, depth))) continue;
    for (int64_t b = 0; b < h.taps; ++b)
      if (const int64_t place = h.at(b, j); is_inside(c, 1, place)) body(a, b, place);
  }
}

}  // namespace lazulite::engine
