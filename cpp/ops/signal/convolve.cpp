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

// The same as sliding_products of two vectors. An element that is not finite would spoil its whole
// piece: it is left out, and what it belongs to is nan.
array by_transforms(const array& given, const array& w, Stream s) {
  const Dtype t = given.dtype(), wide = is_complex(t) ? complex128 : float64;
  const int64_t terms = w.size(), places = given.size() - terms + 1;
  const array fine = isfinite(given, s);
  const array x = where(fine, given, 0, s);
  const int64_t n = transform_length(given.size(), terms), hop = n - terms + 1;
  const int64_t count = (places + hop - 1) / hop;
  const array lines = astype(pieces(x, count, hop, terms - 1, s), wide, s);
  array made;
  if (is_complex(t)) {
    const array weights = fft::fft(astype(conjugate(w, s), wide, s), n, -1, {}, s);
    made = fft::ifft(multiply(fft::fft(lines, n, -1, {}, s), conjugate(weights, s), s), n, -1, {},
                     s);
  } else {
    const array weights = fft::rfft(astype(w, wide, s), n, -1, {}, s);
    made = fft::irfft(multiply(fft::rfft(lines, n, -1, {}, s), conjugate(weights, s), s), n, -1,
                      {}, s);
  }
  made = reshape(slice_axis(made, 1, 0, hop, s), {count * hop}, s);
  made = astype(slice_axis(made, 0, 0, places, s), t, s);
  // How many of the terms at each place are not finite: a difference of sums.
  const array bad = cumsum(astype(logical_not(fine, s), int64, s), 0, false, Start::initial, s);
  const array before = slice_axis(bad, 0, 0, places, s),
              behind = slice_axis(bad, 0, terms, terms + places, s);
  return where(equal(before, behind, s), made, NAN, s);
}

array sums_at(const array& x, const array& w, Stream s) {
  const bool many = w.size() * size_of(compute_type(x.dtype())) > most_direct_bytes &&
                    x.size() - w.size() >= fewest_places;
  return many && is_inexact(x.dtype()) ? by_transforms(x, w, s) : sliding_products(x, w, s);
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
  return sums_at(low + high ? pad(x, Shape{low}, Shape{high}, 0, s) : x, w, s);
}

void check_vectors(const array& a, const array& v, const char* op) {
  if (a.ndim() != 1 || v.ndim() != 1 || a.size() == 0 || v.size() == 0)
    fail(Kind::value, op, "not two vectors of one element or more: got shapes ", a.shape(),
         " and ", v.shape());
}

}  // namespace

array sliding_products(const array& a, const array& b, Stream s) {
  const Dtype t = promote(a.dtype(), b.dtype());
  const array x = astype(a, t, s), w = astype(b, t, s);
  if (is_complex(t)) {
    const array xr = real(x, s), xi = imag(x, s), wr = real(w, s), wi = imag(w, s);
    const array re = subtract(sliding_products(xr, wr, s), sliding_products(xi, wi, s), s),
                im = add(sliding_products(xr, wi, s), sliding_products(xi, wr, s), s);
    return add(re, multiply(im, std::complex<double>(0, 1), s), s);
  }
  if (is_bool(t)) {
    const array counts = sliding_products(astype(x, int32, s), astype(w, int32, s), s);
    return not_equal(counts, 0, s);
  }
  const Dtype wide = compute_type(t);
  if (wide != t)
    return astype(sliding_products(astype(x, wide, s), astype(w, wide, s), s), t, s);
  if (x.ndim() && x.shape() != w.shape() && w.ndim() == x.ndim()) {
    const int64_t terms = w.shape(-1), places = x.shape(-1) - terms + 1;
    if (is_floating(t) && places >= 1 && places <= 8 && terms >= 4096) {
      // Long sums at a few places: each by the tree of sums.
      std::vector<array> out;
      for (int64_t i = 0; i < places; ++i)
        out.push_back(sum(multiply(slice_axis(x, x.ndim() - 1, i, i + terms, s), w, s),
                          Axes{-1}, true, s));
      return concatenate(out, -1, s);
    }
  }
  return record(sliding_products_op, {}, {x, w}, s);
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
