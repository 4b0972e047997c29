// Convolution and correlation: which of the two slides where, and how the sums are formed.
#include <algorithm>
#include <cmath>
#include <complex>

#include "ops/cumulative/cumulative.h"
#include "ops/elementwise/elementwise.h"
#include "ops/fft/fft.h"
#include "ops/reduce/reduce.h"
#include "ops/shape/shape.h"
#include "ops/signal/ops.h"

namespace lazulite {
namespace {

// Sums of floats of more bytes, at many places, go by Fourier transforms: measured on AVX-512, at
// 1e6 places both take as long at some 192 terms of float32 and 96 of float64.
constexpr int64_t most_direct_bytes = 768, fewest_places = 64;

// The transforms' length: whole, or eight times the terms where the line is much longer.
int64_t transform_length(int64_t line, int64_t terms) {
  const auto power = [](int64_t n) {
    int64_t p = 1;
    while (p < n) p *= 2;
    return p;
  };
  return std::min(power(line), std::max<int64_t>(4096, power(8 * terms)));
}

// Lines of `length` out of one, `hop` elements apart, of which the last `shared` begin the next.
array pieces(const array& x, int64_t count, int64_t hop, int64_t shared, Stream s) {
  if (count == 1)
    return reshape(pad(x, Shape{0}, Shape{hop + shared - x.size()}, 0, s), {1, hop + shared}, s);
  const array more = pad(x, Shape{0}, Shape{(count + 1) * hop - x.size()}, 0, s);
  const array own = reshape(slice_axis(more, 0, 0, count * hop, s), {count, hop}, s);
  if (shared == 0) return own;
  const array next =
      reshape(slice_axis(more, 0, hop, (count + 1) * hop, s), {count, hop}, s);
  return concatenate({own, slice_axis(next, 1, 0, shared, s)}, 1, s);
}

array finite(const array& a, Stream s) { return where(isfinite(a, s), a, 0, s); }

// Sums of what is finite, with what the rest of both adds to them, in the dtype of both.
array with_endless(const array& sums, const array& x, const array& w, const Ends& ends, Stream s) {
  const Dtype t = x.dtype(), wide = is_complex(t) ? complex128 : float64;
  return astype(record(endless_products_op, attrs(Ends{ends}),
                       {astype(sums, wide, s), astype(x, wide, s), astype(w, wide, s)}, s),
                t, s);
}

// The same as sliding_products of two vectors. An element that is not finite would spoil its whole
// piece: it is left out, and its products are added one by one.
array by_transforms(const array& given, const array& weights, const Ends& ends, Stream s) {
  const Dtype t = given.dtype(), wide = is_complex(t) ? complex128 : float64;
  const int64_t terms = weights.size(), places = given.size() - terms + 1;
  const int64_t n = transform_length(given.size(), terms), hop = n - terms + 1;
  const int64_t count = (places + hop - 1) / hop;
  const array lines = astype(pieces(finite(given, s), count, hop, terms - 1, s), wide, s);
  const array w = astype(finite(weights, s), wide, s);
  array made;
  if (is_complex(t)) {
    const array turned = fft::fft(conjugate(w, s), n, -1, {}, s);
    made = fft::ifft(multiply(fft::fft(lines, n, -1, {}, s), conjugate(turned, s), s), n, -1, {},
                     s);
  } else {
    const array turned = fft::rfft(w, n, -1, {}, s);
    made = fft::irfft(multiply(fft::rfft(lines, n, -1, {}, s), conjugate(turned, s), s), n, -1, {},
                      s);
  }
  made = reshape(slice_axis(made, 1, 0, hop, s), {count * hop}, s);
  made = slice_axis(made, 0, 0, places, s);
  return with_endless(made, given, weights, ends, s);
}

array sliding(const array& a, const array& b, const Ends& ends, Stream s) {
  const Dtype t = promote(a.dtype(), b.dtype());
  const array x = astype(a, t, s), w = astype(b, t, s);
  if (is_complex(t)) {
    const array fx = finite(x, s), fw = finite(w, s);
    const array xr = real(fx, s), xi = imag(fx, s), wr = real(fw, s), wi = imag(fw, s);
    const array re = subtract(sliding(xr, wr, ends, s), sliding(xi, wi, ends, s), s),
                im = add(sliding(xr, wi, ends, s), sliding(xi, wr, ends, s), s);
    return with_endless(add(re, multiply(im, std::complex<double>(0, 1), s), s), x, w, ends, s);
  }
  if (is_bool(t)) {
    const array counts = sliding(astype(x, int32, s), astype(w, int32, s), ends, s);
    return not_equal(counts, 0, s);
  }
  const Dtype wide = compute_type(t);
  if (wide != t)
    return astype(sliding(astype(x, wide, s), astype(w, wide, s), ends, s), t, s);
  if (x.ndim() && x.shape() != w.shape() && w.ndim() == x.ndim()) {
    const int64_t terms = w.shape(-1), places = x.shape(-1) - terms + 1;
    const bool all_there = ends.low == 0 && ends.high == 0;
    if (is_floating(t) && places >= 1 && places <= 8 && terms >= 4096 && all_there) {
      // Long sums at a few places: each by the tree of sums.
      std::vector<array> out;
      for (int64_t i = 0; i < places; ++i)
        out.push_back(sum(multiply(slice_axis(x, x.ndim() - 1, i, i + terms, s), w, s),
                          Axes{-1}, true, s));
      return concatenate(out, -1, s);
    }
  }
  return record(sliding_products_op, attrs(Ends{ends}), {x, w}, s);
}

array sums_at(const array& x, const array& w, const Ends& ends, Stream s) {
  const bool many = w.size() * size_of(compute_type(x.dtype())) > most_direct_bytes &&
                    x.size() - w.size() >= fewest_places;
  return many && is_inexact(x.dtype()) ? by_transforms(x, w, ends, s)
                                        : sliding(x, w, ends, s);
}

// Sums at the places of a mode: x is not shorter than w.
array at_places(const array& x, const array& w, const std::string& mode, const char* op,
                Stream s) {
  const int64_t n = x.size(), m = w.size();
  int64_t low = 0, high = 0;  // zeros beyond the ends
  if (mode == "full") {
    low = high = m - 1;
  } else if (mode == "same") {
    low = m / 2;
    high = m - 1 - low;
  } else if (mode != "valid") {
    fail(Kind::value, op, "unknown mode: got '", mode, "', expected 'full', 'same' or 'valid'");
  }
  sum_of_sizes(sum_of_sizes(n, low, op), high, op);
  return sums_at(low + high ? pad(x, Shape{low}, Shape{high}, 0, s) : x, w, Ends{low, high}, s);
}

void check_vectors(const array& a, const array& v, const char* op) {
  if (a.ndim() != 1 || v.ndim() != 1 || a.size() == 0 || v.size() == 0)
    fail(Kind::value, op, "not two vectors of one element or more: got shapes ", a.shape(),
         " and ", v.shape());
}

}  // namespace

array sliding_products(const array& a, const array& b, Stream s) {
  return sliding(a, b, {0, 0}, s);
}

// The terms of a sum come in the order of a, whichever of the two is longer.
array convolve(const array& a, const array& v, const std::string& mode, Stream s) {
  check_vectors(a, v, "convolve");
  const Dtype t = promote(a.dtype(), v.dtype());
  const array x = astype(a, t, s), w = astype(v, t, s);
  const auto turned = [s](const array& of) { return flip(of, Axes{0}, s); };
  if (x.size() >= w.size()) return at_places(x, turned(w), mode, "convolve", s);
  if (mode == "same") return at_places(w, turned(x), mode, "convolve", s);  // not the same turned
  return turned(at_places(turned(w), x, mode, "convolve", s));
}

array correlate(const array& a, const array& v, const std::string& mode, Stream s) {
  check_vectors(a, v, "correlate");
  const Dtype t = promote(a.dtype(), v.dtype());
  const array x = astype(a, t, s), w = conjugate(astype(v, t, s), s);
  if (x.size() >= w.size()) return at_places(x, w, mode, "correlate", s);
  return flip(at_places(w, x, mode, "correlate", s), Axes{0}, s);
}

}  // namespace lazulite
