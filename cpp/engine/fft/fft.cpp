#include "engine/fft/fft.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "device/cpu/level.h"
#include "device/cpu/pool.h"
#include "device/device.h"
#include "engine/fft/plans.h"

namespace lazulite::engine {

LAZULITE_LEVELS(const FourierTables&, fourier_kernels)

namespace {

// Lengths to which lines go side by side: beyond, the scratch memory of a group leaves the caches.
// Columns gain from it for longer. A few lines of `few_from` elements are matrices instead.
constexpr int64_t longest_row = 4096, longest_column = 65536, few_lines = 8, few_from = 128;

double cost_of(int64_t lines, int64_t n) {
  return double(lines) * double(n) * (1 + 0.15 * std::bit_width(uint64_t(n)));
}

// Offsets of the lines, in order, counted in numbers.
class Starts {
 public:
  Starts(const FourierLines& lines, int64_t in_unit, int64_t out_unit) : shape_(lines.kept) {
    SmallVector<Strides, 4> both{lines.in_strides, lines.out_strides};
    collapse(shape_, both);
    for (size_t i = 0; i < shape_.size(); ++i) {
      in_.push_back(both[0][i] * in_unit);
      out_.push_back(both[1][i] * out_unit);
    }
  }
  int64_t count() const { return size_of(shape_); }
  int64_t last() const { return shape_.back(); }
  // Whether neighbours along the last axis are neighbours in memory.
  bool side_by_side(int64_t in_unit, int64_t out_unit) const {
    return in_.back() == in_unit || out_.back() == out_unit;
  }
  // Of `count` lines from the first on.
  void of(int64_t first, int count, int64_t* in, int64_t* out) const {
    const int64_t size = shape_.back();
    for (int i = 0; i < count;) {
      at(first + i, in[i], out[i]);
      const int run = int(std::min<int64_t>(count - i, size - (first + i) % size));
      for (int k = 1; k < run; ++k) {
        in[i + k] = in[i] + k * in_.back();
        out[i + k] = out[i] + k * out_.back();
      }
      i += run;
    }
  }
  void at(int64_t line, int64_t& in, int64_t& out) const {
    in = out = 0;
    for (size_t i = shape_.size(); i-- > 0; line /= shape_[i]) {
      in += line % shape_[i] * in_[i];
      out += line % shape_[i] * out_[i];
    }
  }

 private:
  Shape shape_;
  Strides in_, out_;
};

// One transform after the other, of lines of any length; all positions count numbers (T).
template <class T>
struct LineOf {
  static constexpr Dtype type = sizeof(T) == 4 ? float32 : float64;
  const FourierKernels& k = fourier_kernels().of[sizeof(T) == 8];

  static Ref<Buffer> numbers(int64_t count) { return allocate(count * int64_t(sizeof(T))); }
  static T* of(const Ref<Buffer>& b) { return static_cast<T*>(b->data); }

  struct End {
    int64_t step, count;
  };

  // n complex numbers of any length n; `in` and `out` may not overlap.
  void complex(int64_t n, bool inverse, double scale, const T* in, End from, T* out,
               int64_t to) const {
    if (!has_small_primes(n)) return chirp(n, inverse, scale, in, from, out, to);
    if (n >= few_from) return matrix(n, inverse, scale, in, from, out, to);
    const auto plan = radix_plan(n, type, false);
    const int64_t at = 0;
    const Ref<Buffer> scratch = numbers(plan->radices.elements * 2 * k.lanes);
    k.run({&plan->radices, in, out, &at, &at, from.step, to, from.count, n, 1, Ends::complex,
           Ends::complex, inverse, inverse, scale, nullptr, nullptr, scratch->data});
  }

  // x[j columns + l], its columns transformed and turned, then its rows: X[k + rows q].
  void matrix(int64_t n, bool inverse, double scale, const T* in, End from, T* out,
              int64_t to) const {
    Ref<Buffer> whole;
    if (from.count < n) {
      whole = numbers(2 * n);
      copy(in, from, of(whole), n);
      in = of(whole);
      from = {2, n};
    }
    const auto plan = matrix_plan(n, type);
    const int64_t rows = plan->rows, columns = plan->columns;
    const Ref<Buffer> between = numbers(2 * n);
    T* const middle = of(between);
    const T* const fine = reinterpret_cast<const T*>(plan->fine.data());
    const T* const coarse = reinterpret_cast<const T*>(plan->coarse.data());
    side_by_side(columns, plan->down->radices, n, [&](int64_t l, Group& g, int64_t* in_at,
                                                      int64_t* out_at) {
      g.in = in, g.out = middle;
      for (int i = 0; i < g.lanes; ++i) {
        in_at[i] = (l + i) * from.step;
        out_at[i] = (l + i) * rows * 2;
      }
      g.in_step = columns * from.step, g.out_step = 2;
      g.in_count = g.out_count = rows;
      g.inverse = inverse, g.swap_out = false, g.scale = 1;
      g.fine = fine + l % most_lanes;
      g.coarse = coarse + l / most_lanes * rows * 2;
    });
    side_by_side(rows, plan->along->radices, n, [&](int64_t l, Group& g, int64_t* in_at,
                                                    int64_t* out_at) {
      g.in = middle, g.out = out;
      for (int i = 0; i < g.lanes; ++i) {
        in_at[i] = (l + i) * 2;
        out_at[i] = (l + i) * to;
      }
      g.in_step = rows * 2, g.out_step = rows * to;
      g.in_count = g.out_count = columns;
      g.inverse = false, g.swap_out = inverse, g.scale = scale;
    });
  }
  template <class F>
  void side_by_side(int64_t lines, const Radices& radices, int64_t n, F describe) const {
    const int64_t groups = (lines + k.lanes - 1) / k.lanes,
                  per = std::max<int64_t>(1, 8192 / (radices.n * k.lanes));
    cpu::parallel_for((groups + per - 1) / per, [&](int64_t task) {
      const Ref<Buffer> scratch = numbers(radices.elements * 2 * k.lanes);
      for (int64_t i = task * per; i < std::min(groups, (task + 1) * per); ++i) {
        int64_t in_at[most_lanes], out_at[most_lanes];
        Group g{};
        g.radices = &radices;
        g.in_at = in_at, g.out_at = out_at;
        g.lanes = int(std::min<int64_t>(k.lanes, lines - i * k.lanes));
        g.from = g.to = Ends::complex;
        g.scratch = scratch->data;
        describe(i * k.lanes, g, in_at, out_at);
        k.run(g);
      }
    }, cost_of(1, n) / 2);
  }

  // X[k] = c[k] sum of (x[j] c[j]) conj(c[k - j]), c[j] = w^(j^2 / 2): a convolution.
  void chirp(int64_t n, bool inverse, double scale, const T* in, End from, T* out,
             int64_t to) const {
    const auto plan = chirp_plan(n, type);
    const int64_t m = plan->m;
    const Ref<Buffer> a = numbers(2 * m), b = numbers(2 * m);
    copy(in, from, of(a), n);
    if (inverse) exchange(of(a), n);
    k.multiply(a->data, plan->chirp.data(), false, 1, n, a->data);
    complex(m, false, 1, of(a), {2, n}, of(b), 2);
    k.multiply(b->data, plan->spectrum.data(), false, 1, m, b->data);
    complex(m, true, 1, of(b), {2, m}, of(a), 2);
    T* const dense = to == 2 ? out : of(b);
    k.multiply(a->data, plan->chirp.data(), false, scale, n, dense);
    if (inverse) exchange(dense, n);
    if (to != 2)
      for (int64_t i = 0; i < n; ++i) std::memcpy(out + i * to, dense + 2 * i, 2 * sizeof(T));
  }

  static void exchange(T* at, int64_t n) {
    for (int64_t i = 0; i < n; ++i) std::swap(at[2 * i], at[2 * i + 1]);
  }
  // Complex elements in a row, zeros behind them.
  static void copy(const T* in, End from, T* out, int64_t n) {
    for (int64_t i = 0; i < from.count; ++i)
      std::memcpy(out + 2 * i, in + i * from.step, 2 * sizeof(T));
    std::fill(out + 2 * from.count, out + 2 * n, T(0));
  }

  // ---- real numbers: n / 2 complex ones where n is even

  void real_to_half(int64_t n, double scale, const T* in, End from, T* out, int64_t to) const {
    const int64_t h = n / 2;
    Ref<Buffer> held;
    if (n % 2) {
      held = numbers(4 * n);
      T *const x = of(held), *const y = x + 2 * n;
      std::fill(x, x + 2 * n, T(0));
      for (int64_t i = 0; i < from.count; ++i) x[2 * i] = in[i * from.step];
      complex(n, false, scale, x, {2, n}, y, 2);
      for (int64_t i = 0; i <= h; ++i) std::memcpy(out + i * to, y + 2 * i, 2 * sizeof(T));
      out[1] = 0;
      return;
    }
    if (from.step != 1 || from.count < n) {
      held = numbers(n);
      T* const x = of(held);
      for (int64_t i = 0; i < from.count; ++i) x[i] = in[i * from.step];
      std::fill(x + from.count, x + n, T(0));
      in = x;
    }
    const Ref<Buffer> spectrum = numbers(n);
    const T* const z = of(spectrum);
    complex(h, false, 1, in, {2, h}, of(spectrum), 2);
    const auto plan = halves_plan(h, type);
    const T* const w = reinterpret_cast<const T*>(plan->roots.data());
    const T s = T(scale), half = T(0.5);
    auto put = [&](int64_t i, T re, T im) { out[i * to] = re * s, out[i * to + 1] = im * s; };
    put(0, z[0] + z[1], 0);
    put(h, z[0] - z[1], 0);
    by_pieces(h, [&](int64_t k) {
      const T ar = z[2 * k], ai = z[2 * k + 1], br = z[2 * (h - k)], bi = z[2 * (h - k) + 1];
      const T er = (ar + br) * half, ei = (ai - bi) * half, pr = (ai + bi) * half,
              pi = (br - ar) * half;
      const T tr = pr * w[2 * k] - pi * w[2 * k + 1], ti = pr * w[2 * k + 1] + pi * w[2 * k];
      put(h - k, er - tr, ti - ei);
      put(k, er + tr, ei + ti);
    });
  }
  void half_to_real(int64_t n, double scale, const T* in, End from, T* out, int64_t to) const {
    const int64_t h = n / 2;
    auto get = [&](int64_t i, T& re, T& im) {
      const bool there = i < from.count;
      re = there ? in[i * from.step] : T(0);
      im = there && i && 2 * i != n ? in[i * from.step + 1] : T(0);
    };
    const int64_t c = n % 2 ? n : h;
    const Ref<Buffer> held = numbers(4 * c);
    T *const x = of(held), *const y = x + 2 * c;
    if (n % 2) {
      for (int64_t i = 0; i <= h; ++i) {
        T re, im;
        get(i, re, im);
        x[2 * i] = re, x[2 * i + 1] = im;
        if (i) x[2 * (n - i)] = re, x[2 * (n - i) + 1] = -im;
      }
      complex(n, true, scale, x, {2, n}, y, 2);
      for (int64_t i = 0; i < n; ++i) out[i * to] = y[2 * i];
      return;
    }
    const auto plan = halves_plan(h, type);
    const T* const w = reinterpret_cast<const T*>(plan->roots.data());
    T first, last, none;
    get(0, first, none);
    get(h, last, none);
    x[0] = first + last, x[1] = first - last;
    by_pieces(h, [&](int64_t k) {
      T ar, ai, br, bi;
      get(k, ar, ai);
      get(h - k, br, bi);
      const T er = ar + br, ei = ai - bi, rr = ar - br, ri = ai + bi;
      const T pr = rr * w[2 * k] + ri * w[2 * k + 1], pi = ri * w[2 * k] - rr * w[2 * k + 1];
      x[2 * (h - k)] = er + pi, x[2 * (h - k) + 1] = pr - ei;
      x[2 * k] = er - pi, x[2 * k + 1] = ei + pr;
    });
    complex(h, true, scale, x, {2, h}, to == 1 ? out : y, 2);
    if (to != 1)
      for (int64_t i = 0; i < n; ++i) out[i * to] = y[i];
  }
  // each(k) for 1 <= k <= h - k.
  template <class F>
  static void by_pieces(int64_t h, F each) {
    constexpr int64_t piece = 4096;
    const int64_t n = h / 2;
    cpu::parallel_for((n + piece - 1) / piece, [&](int64_t p) {
      for (int64_t k = p * piece + 1; k <= std::min(n, (p + 1) * piece); ++k) each(k);
    }, double(n) * 3);
  }
};

template <class T>
void line_by_line(const FourierLines& a, const Starts& starts) {
  const LineOf<T> line;
  const bool halved = a.kind == Fourier::real_to_half, whole = a.kind == Fourier::half_to_real;
  const typename LineOf<T>::End from{a.in_step * (halved ? 1 : 2), a.in_count};
  auto one = [&](int64_t i) {
    int64_t in_at, out_at;
    starts.at(i, in_at, out_at);
    const T* const in = reinterpret_cast<const T*>(a.in) + in_at;
    T* const out = reinterpret_cast<T*>(a.out) + out_at;
    if (halved) line.real_to_half(a.n, a.scale, in, from, out, 2 * a.out_step);
    else if (whole) line.half_to_real(a.n, a.scale, in, from, out, a.out_step);
    else line.complex(a.n, a.inverse, a.scale, in, from, out, 2 * a.out_step);
  };
  const int64_t count = starts.count();
  // Several lines: one thread each. Few: all threads work on each.
  if (count >= 4) return cpu::parallel_for(count, one, cost_of(count, a.n));
  for (int64_t i = 0; i < count; ++i) one(i);
}

void side_by_side(const FourierLines& a, const Starts& starts, int64_t n) {
  const FourierKernels& k = fourier_kernels().of[a.type == float64];
  const bool odd = a.n % 2;
  Group all{};
  all.in = a.in, all.out = a.out;
  all.in_step = a.in_step, all.out_step = a.out_step;
  all.in_count = a.in_count;
  all.scale = a.scale;
  bool halves = false;
  switch (a.kind) {
    case Fourier::complex:
      all.from = all.to = Ends::complex;
      all.in_step *= 2, all.out_step *= 2;
      all.inverse = all.swap_out = a.inverse;
      all.out_count = n;
      break;
    case Fourier::real_to_half:
      all.from = odd ? Ends::real : Ends::packed;
      all.to = odd ? Ends::complex : Ends::even_half;
      all.out_step *= 2;
      all.out_count = a.n / 2 + 1;
      halves = !odd;
      break;
    case Fourier::half_to_real:
      all.from = odd ? Ends::odd_half : Ends::even_half;
      all.to = odd ? Ends::real : Ends::packed;
      all.in_step *= 2;
      all.swap_out = true;
      all.out_count = a.n;
      halves = !odd;
      break;
  }
  const int64_t in_unit = all.from == Ends::packed || all.from == Ends::real ? 1 : 2,
                out_unit = all.to == Ends::packed || all.to == Ends::real ? 1 : 2;
  const auto plan = radix_plan(n, a.type, halves);
  all.radices = &plan->radices;
  // Neighbours in memory stay in groups of their own.
  const bool columns = starts.side_by_side(in_unit, out_unit) && starts.last() >= k.lanes;
  const int64_t lines = starts.count(), run = columns ? starts.last() : lines,
                each = (run + k.lanes - 1) / k.lanes, groups = lines / run * each,
                per = std::max<int64_t>(1, 8192 / (n * k.lanes));
  cpu::parallel_for((groups + per - 1) / per, [&](int64_t task) {
    const Ref<Buffer> scratch =
        allocate(plan->radices.elements * 2 * k.lanes * size_of(a.type));
    int64_t in_at[most_lanes], out_at[most_lanes];
    Group g = all;
    g.in_at = in_at, g.out_at = out_at;
    g.scratch = scratch->data;
    for (int64_t i = task * per; i < std::min(groups, (task + 1) * per); ++i) {
      const int64_t first = i / each * run + i % each * k.lanes;
      g.lanes = int(std::min<int64_t>(k.lanes, (i / each + 1) * run - first));
      starts.of(first, g.lanes, in_at, out_at);
      k.run(g);
    }
  }, cost_of(lines, n));
}

}  // namespace

void fourier(const FourierLines& given) {
  FourierLines a = given;
  const bool real_in = a.kind == Fourier::real_to_half, real_out = a.kind == Fourier::half_to_real;
  a.in_count = std::min(a.in_count, real_out ? a.n / 2 + 1 : a.n);
  const Starts starts(a, real_in ? 1 : 2, real_out ? 1 : 2);
  const int64_t lines = starts.count();
  if (lines == 0) return;
  const int64_t n = a.kind != Fourier::complex && a.n % 2 == 0 ? a.n / 2 : a.n;
  const bool columns =
      lines >= few_lines && starts.side_by_side(real_in ? 1 : 2, real_out ? 1 : 2);
  const int64_t longest =
      lines < few_lines ? few_from - 1 : columns ? longest_column : longest_row;
  if (n <= longest && has_small_primes(n)) return side_by_side(a, starts, n);
  if (a.type == float32) line_by_line<float>(a, starts);
  else line_by_line<double>(a, starts);
}

}  // namespace lazulite::engine
