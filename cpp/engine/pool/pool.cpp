#include "engine/pool/pool.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "device/cpu/level.h"
#include "device/cpu/pool.h"
#include "device/device.h"
#include "device/limits.h"
#include "engine/layout/copy.h"
#include "engine/pool/kernels.h"

namespace lazulite::engine {

LAZULITE_LEVELS(const PoolTable&, pool_kernels)

namespace {

const PoolKernels& kernels_of(Dtype type) { return pool_kernels().of[int(type)]; }

int64_t parts(int64_t n, int64_t each) { return (n + each - 1) / each; }

// Windows along the last axis that have one width and lie a step apart.
struct Like {
  int64_t first, count, begin, width, step;
};
std::vector<Like> alike(const PoolAxis& a) {
  std::vector<Like> out;
  for (int64_t o = 0; o < a.out; ++o) {
    const int64_t width = std::max<int64_t>(0, a.end[o] - a.begin[o]);
    if (!out.empty()) {
      Like& last = out.back();
      const int64_t by = a.begin[o] - a.begin[o - 1];
      if (last.width == width && (last.count == 1 || last.step == by)) {
        last.step = by;
        ++last.count;
        continue;
      }
    }
    out.push_back({o, 1, a.begin[o], width, 0});
  }
  return out;
}

double nanoseconds(const Pooling& p, double windows, int64_t taps) {
  return windows * double(p.channels) * double(taps) * double(size_of(p.type)) / 40;
}
int64_t widest(const PoolAxis& a) {
  int64_t out = 1;
  for (int64_t o = 0; o < a.out; ++o) out = std::max(out, a.end[o] - a.begin[o]);
  return out;
}

// x with channels side by side, as it lies or as a copy.
struct Read {
  PoolView view;
  Ref<Buffer> held;
};
Read readable(const Pooling& p, const PoolView& x, bool dense) {
  const Shape shape{p.batch, p.axes[0].in, p.axes[1].in, p.axes[2].in, p.channels};
  const Strides given(x.strides, x.strides + 5);
  if (dense ? is_dense(shape, given) : p.channels == 1 || x.strides[4] == 1) return {x, {}};
  const Strides strides = dense_strides(shape);
  Read out{{nullptr, {}}, allocate(size_of(shape) * size_of(p.type))};
  std::copy(strides.begin(), strides.end(), out.view.strides);
  out.view.data = static_cast<const char*>(out.held->data);
  copy(shape, {const_cast<char*>(x.data), p.type, given}, {out.held->data, p.type, strides});
  return out;
}

// Rows of results, cut into pieces, on all threads.
class Forward {
 public:
  Forward(const Pooling& p, void (*run)(const PoolRun&), const PoolView& x, const char* y,
          char* out)
      : p_(p), run_(run), x_(x), y_(y), out_(out), each_(size_of(p.type)), like_(alike(p.axes[2])),
        taps_(widest(p.axes[0]) * widest(p.axes[1]) * widest(p.axes[2])),
        piece_(std::max<int64_t>(1, grain / p.channels)), pieces_(parts(p.axes[2].out, piece_)) {
    const int64_t sizes[5] = {p.batch, p.axes[0].in, p.axes[1].in, p.axes[2].in, p.channels};
    for (int i = 0; i < 5; ++i) end_ += std::max<int64_t>(0, (sizes[i] - 1) * x.strides[i]);
    ++end_;
  }

  void operator()() {
    const int64_t rows = p_.batch * p_.axes[0].out * p_.axes[1].out, all = rows * pieces_,
                  work = std::min(piece_, p_.axes[2].out) * p_.channels * taps_,
                  some = std::max<int64_t>(1, grain * 2 / std::max<int64_t>(work, 1));
    cpu::parallel_for(
        parts(all, some),
        [&](int64_t i) {
          for (int64_t u = i * some; u < std::min(all, (i + 1) * some); ++u)
            row(u / pieces_, u % pieces_ * piece_);
        },
        nanoseconds(p_, double(p_.batch) * double(p_.out_size()), taps_));
  }

 private:
  void row(int64_t row, int64_t first) const {
    const PoolAxis *a = p_.axes, &d = a[0], &h = a[1];
    const int64_t i = row % h.out, k = row / h.out % d.out, b = row / h.out / d.out,
                  until = std::min(a[2].out, first + piece_), *s = x_.strides;
    SmallVector<int64_t, 16> lines;
    for (int64_t z = d.begin[k]; z < d.end[k]; ++z)
      for (int64_t y = h.begin[i]; y < h.end[i]; ++y) lines.push_back(z * s[1] + y * s[2]);
    SmallVector<int64_t, 64> taps;
    for (const Like& l : like_) {
      const int64_t from = std::max(first, l.first), to = std::min(until, l.first + l.count);
      if (from >= to) continue;
      taps.clear();
      for (int64_t line : lines)
        for (int64_t j = 0; j < l.width; ++j) taps.push_back(line + j * s[3]);
      const int64_t at = b * s[0] + (l.begin + (from - l.first) * l.step) * s[3];
      int64_t top = 0;
      for (int64_t t : taps) top = std::max(top, t);
      run_({.x = x_.data + at * each_,
            .taps = taps.data(),
            .count = int64_t(taps.size()),
            .step = l.step * s[3],
            .windows = to - from,
            .channels = p_.channels,
            .room = end_ - at - top,
            .out = out_ + (row * a[2].out + from) * p_.channels * each_,
            .divisor = double(p_.divisor),
            .y = y_ ? y_ + at * each_ : nullptr});
    }
  }

  const Pooling& p_;
  void (*run_)(const PoolRun&);
  const PoolView& x_;
  const char* y_;
  char* out_;
  const int64_t each_;
  const std::vector<Like> like_;
  const int64_t taps_, piece_, pieces_;
  int64_t end_ = 0;  // behind the last element of x
};

// Bands of the input: a task goes through all windows that reach into its own, in order, and
// writes to nothing else.
class Slope {
 public:
  Slope(const Pooling& p, const char* x, const char* ct, char* dx)
      : p_(p), x_(x), ct_(ct), dx_(dx), each_(size_of(p.type)), sums_(compute_type(p.type)),
        like_(alike(p.axes[2])), band_axis_(p.axes[0].in > 1 ? 0 : p.axes[1].in > 1 ? 1 : 2) {
    int64_t line = p.channels;  // elements of one place along the axis that is cut
    for (int i = 2; i > band_axis_; --i) line *= p.axes[i].in;
    for (const PoolAxis& a : p.axes)
      for (int64_t o = 0; o < a.out; ++o) {
        apart_ &= o == 0 || a.begin[o] >= a.end[o - 1];
        covers_ &= a.end[o] > a.begin[o] && a.begin[o] == (o ? a.end[o - 1] : 0) &&
                   (o + 1 < a.out || a.end[o] == a.in);
      }
    const PoolAxis& cut = p.axes[band_axis_];
    line_ = line;
    band_ = std::max(parts(2 * grain, line), apart_ ? widest(cut) : 4 * widest(cut));
    bands_ = parts(cut.in, band_);
  }

  void operator()() {
    const int64_t taps = widest(p_.axes[0]) * widest(p_.axes[1]) * widest(p_.axes[2]);
    cpu::parallel_for(p_.batch * bands_, [&](int64_t i) { band(i / bands_, i % bands_ * band_); },
                      2 * nanoseconds(p_, double(p_.batch) * double(p_.out_size()), taps) +
                          double(p_.batch) * double(p_.in_size()) * double(p_.channels) / 10);
  }

 private:
  struct Band {
    int64_t batch, first, until;  // along the axis that is cut
    char* data;                   // of its sums
    int64_t begin;                // its first element in dx
  };

  void band(int64_t batch, int64_t first) const {
    const int64_t until = std::min(p_.axes[band_axis_].in, first + band_),
                  count = (until - first) * line_,
                  begin = batch * p_.in_size() * p_.channels + first * line_;
    Ref<Buffer> held;
    Band b{batch, first, until, dx_ + begin * each_, begin};
    if (sums_ != p_.type) {
      held = allocate(count * size_of(sums_));
      b.data = static_cast<char*>(held->data);
    }
    if (!(apart_ && covers_)) std::memset(b.data, 0, size_t(count * size_of(sums_)));
    const PoolAxis& cut = p_.axes[band_axis_];
    // The windows that reach into the band.
    int64_t from[3] = {0, 0, 0}, to[3] = {p_.axes[0].out, p_.axes[1].out, p_.axes[2].out};
    from[band_axis_] = std::upper_bound(cut.end, cut.end + cut.out, first) - cut.end;
    to[band_axis_] = std::lower_bound(cut.begin, cut.begin + cut.out, until) - cut.begin;
    for (int64_t d = from[0]; d < to[0]; ++d)
      for (int64_t h = from[1]; h < to[1]; ++h) row(b, d, h, from[2], to[2]);
    if (held)
      copy({count}, {b.data, sums_, {1}}, {dx_ + begin * each_, p_.type, {1}});
  }

  void row(const Band& b, int64_t d, int64_t h, int64_t from, int64_t to) const {
    const PoolAxis& w = p_.axes[2];
    for (const Like& l : like_) {
      int64_t o = std::max(from, l.first);
      const int64_t until = std::min(to, l.first + l.count);
      while (o < until) {
        int64_t some = until - o;
        if (band_axis_ == 2) {  // windows on a border one by one
          auto inside = [&](int64_t i) { return w.begin[i] >= b.first && w.end[i] <= b.until; };
          some = 1;
          if (inside(o))
            while (o + some < until && inside(o + some)) ++some;
        }
        run(b, d, h, o, some, l);
        o += some;
      }
    }
  }

  void run(const Band& b, int64_t d, int64_t h, int64_t o, int64_t windows, const Like& l) const {
    const PoolAxis* a = p_.axes;
    SmallVector<int64_t, 64> taps;
    SmallVector<bool, 64> mine;
    bool all = true;
    const int64_t left = l.begin + (o - l.first) * l.step;
    for (int64_t z = a[0].begin[d]; z < a[0].end[d]; ++z)
      for (int64_t y = a[1].begin[h]; y < a[1].end[h]; ++y)
        for (int64_t x = 0; x < l.width; ++x) {
          const int64_t place[3] = {z, y, left + x};
          taps.push_back(((z * a[1].in + y) * a[2].in + x) * p_.channels);
          mine.push_back(place[band_axis_] >= b.first && place[band_axis_] < b.until);
          all &= mine[mine.size() - 1];
        }
    if (taps.empty()) return;
    const int64_t at = (b.batch * p_.in_size() + left) * p_.channels,
                  result = ((b.batch * a[0].out + d) * a[1].out + h) * a[2].out + o;
    kernels_of(p_.type).slope({.x = x_ + at * each_,
                               .taps = taps.data(),
                               .mine = all ? nullptr : mine.data(),
                               .count = int64_t(taps.size()),
                               .step = l.step * p_.channels,
                               .windows = windows,
                               .channels = p_.channels,
                               .ct = ct_ + result * p_.channels * each_,
                               .dx = b.data,
                               .to = at - b.begin,
                               .add = !apart_});
  }

  const Pooling& p_;
  const char *x_, *ct_;
  char* dx_;
  const int64_t each_;
  const Dtype sums_;
  const std::vector<Like> like_;
  const int band_axis_;
  int64_t line_ = 1, band_ = 1, bands_ = 1;
  bool apart_ = true, covers_ = true;  // no element in two windows; each in one
};

bool empty(const Pooling& p) { return p.batch * p.out_size() * p.channels == 0; }

}  // namespace

void pool_max(const Pooling& p, const PoolView& x, char* out) {
  if (empty(p)) return;
  const Read from = readable(p, x, false);
  Forward(p, kernels_of(p.type).max, from.view, nullptr, out)();
}

void pool_sum(const Pooling& p, const PoolView& x, char* out) {
  if (empty(p)) return;
  const Read from = readable(p, x, false);
  Forward(p, kernels_of(p.type).sum, from.view, nullptr, out)();
}

void pool_at(const Pooling& p, const PoolView& x, const PoolView& y, char* out) {
  if (empty(p)) return;
  const bool differ = !std::equal(x.strides, x.strides + 5, y.strides);
  const Read of_x = readable(p, x, differ), of_y = readable(p, y, differ);
  Forward(p, kernels_of(p.type).at, of_x.view, of_y.view.data, out)();
}

void pool_slope(const Pooling& p, const char* x, const char* ct, char* dx) {
  if (p.batch * p.in_size() * p.channels == 0) return;
  Slope(p, x, ct, dx)();
}

}  // namespace lazulite::engine
