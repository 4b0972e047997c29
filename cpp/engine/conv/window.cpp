#include "engine/conv/window.h"

#include <cstring>
#include <numeric>

#include "engine/gemm/panel_product.h"
#include "engine/layout/copy.h"

namespace lazulite::engine {
namespace {

constexpr int64_t window_bytes = 192 << 10;  // of a piece's input, about

Taps taps_of(const ConvAxis& a, int64_t phase, int64_t phases) {
  Taps t{};
  t.first = phase;
  t.every = phases;
  t.count = a.out > phase ? parts(a.out - phase, phases) : 0;
  t.stride = phases * a.stride / a.spread;
  const int64_t from = phase * a.stride - a.low;
  t.next = a.spread / std::gcd(a.dilation, a.spread);
  t.step = t.next * a.dilation / a.spread;
  while (t.tap < std::min(t.next, a.taps) && (from + t.tap * a.dilation) % a.spread != 0) ++t.tap;
  if (t.tap < std::min(t.next, a.taps)) t.taps = parts(a.taps - t.tap, t.next);
  if (t.taps) t.place = (from + t.tap * a.dilation) / a.spread;
  return t;
}

}  // namespace

std::vector<Phase> phases_of(const Convolution& c) {
  std::vector<Phase> out;
  int64_t phases[3];
  for (int i = 0; i < 3; ++i) {
    const ConvAxis& a = c.axes[i];
    phases[i] = a.spread / std::gcd(a.stride, a.spread);
  }
  for (int64_t i = 0; i < phases[0]; ++i)
    for (int64_t j = 0; j < phases[1]; ++j)
      for (int64_t k = 0; k < phases[2]; ++k) {
        const Phase phase{{taps_of(c.axes[0], i, phases[0]), taps_of(c.axes[1], j, phases[1]),
                           taps_of(c.axes[2], k, phases[2])}};
        if (phase.axes[0].count && phase.axes[1].count && phase.axes[2].count)
          out.push_back(phase);
      }
  return out;
}

void join_axes(Convolution& c, ConvView& x) {
  for (const ConvAxis& a : c.axes)
    if (a.taps != 1 || a.stride != 1 || a.spread != 1 || a.low != 0 || a.in != a.out) return;
  int64_t sizes[4] = {c.batch, c.axes[0].in, c.axes[1].in, c.axes[2].in};
  for (int i = 2; i >= 0; --i) {
    if (sizes[i] > 1) {
      if (sizes[3] > 1 && x.strides[i] != x.strides[3] * sizes[3]) break;
      if (sizes[3] == 1) x.strides[3] = x.strides[i];
    }
    sizes[3] *= sizes[i];
    sizes[i] = 1;
  }
  c.batch = sizes[0];
  for (int i = 0; i < 3; ++i) c.axes[i].in = c.axes[i].out = sizes[i + 1];
}

Pieces::Pieces(const Convolution& c, const Phase& of, int64_t depth_bytes, int64_t wanted)
    : phase(of) {
  const Taps &d = of.axes[0], &h = of.axes[1], &w = of.axes[2];
  const int64_t lanes = c.batch * d.count, planes = std::max<int64_t>(1, d.taps) * depth_bytes;
  columns = w.count;
  while (columns > 64 && planes * h.span(1) * w.span(columns) > window_bytes)
    columns = parts(columns, 2);
  while (columns > 64 && lanes * h.count * parts(w.count, columns) < wanted)
    columns = parts(columns, 2);
  across = parts(w.count, columns);
  rows = std::max<int64_t>(1, std::min(h.count, h.count * lanes * across / wanted));
  while (rows > 1 && planes * h.span(rows) * w.span(columns) > window_bytes) rows = parts(rows, 2);
  down = parts(h.count, rows);
  count = lanes * down * across;
}

Piece Pieces::operator[](int64_t i) const {
  const Taps &d = phase.axes[0], &h = phase.axes[1], &w = phase.axes[2];
  Piece p;
  p.column = part(w.count, across, i % across);
  p.columns = part(w.count, across, i % across + 1) - p.column;
  i /= across;
  p.row = part(h.count, down, i % down);
  p.rows = part(h.count, down, i % down + 1) - p.row;
  i /= down;
  p.depth = i % d.count;
  p.batch = i / d.count;
  return p;
}

Window window_of(const Convolution& c, const ConvView& x, const Phase& phase, const Piece& piece,
                 const Channels& channels, bool as_it_lies, int around) {
  const Taps &d = phase.axes[0], &h = phase.axes[1], &w = phase.axes[2];
  const Dtype sums = compute_type(c.type);
  const int64_t* s = x.strides;
  const int64_t each = size_of(c.type), bytes = size_of(sums);
  const int64_t from = w.at(0, piece.column), to = from + w.span(piece.columns);
  const int64_t inside = std::max<int64_t>(0, from), end = std::min(c.axes[2].in, to);
  const char* data = x.data + (piece.batch * s[0] + channels.first * s[4]) * each;
  Window out;
  if (as_it_lies && c.type == sums && channels.times == 1 && (s[4] == 1 || channels.count == 1) &&
      from == inside && to == end) {
    out.data = data + d.at(0, piece.depth) * s[1] * each;
    out.plane = d.step * s[1];
    out.row = s[2];
    out.pixel = s[3];
    out.first_row = out.first_place = 0;
    return out;
  }
  out.first_row = std::max<int64_t>(0, h.at(0, piece.row));
  const int64_t rows = std::min(c.axes[1].in, h.at(0, piece.row) + h.span(piece.rows)) -
                       out.first_row;
  out.first_place = from;
  out.pixel = channels.width();
  out.row = (to - from) * out.pixel;
  out.plane = std::max<int64_t>(0, rows) * out.row;
  char* held = memory(out.held, (d.taps * out.plane + read_beyond) * bytes);
  out.data = held;
  if (rows <= 0) return out;
  for (int64_t a = 0; a < d.taps; ++a) {
    const int64_t place = d.at(a, piece.depth);
    if (!is_inside(c, 0, place)) continue;
    char* plane = held + a * out.plane * bytes;
    auto fill = [&](int64_t first, int64_t until) {  // places of each row, with what lies around
      if (first < until)
        for (int64_t row = 0; row < rows; ++row)
          std::memset(plane + (row * out.row + (first - from) * out.pixel) * bytes, around,
                      size_t((until - first) * out.pixel * bytes));
    };
    if (end <= inside) {
      fill(from, to);
      continue;
    }
    fill(from, inside);
    fill(end, to);
    copy({rows, end - inside, channels.count, channels.times},
         {const_cast<char*>(data) +
              (place * s[1] + out.first_row * s[2] + inside * s[3]) * each,
          c.type,
          {s[2], s[3], s[4], 0}},
         {plane + (inside - from) * out.pixel * bytes, sums,
          {out.row, out.pixel, channels.times, 1}});
  }
  return out;
}

}  // namespace lazulite::engine
