// Cosine and sine transforms of types 1 to 4, made of Fourier transforms of about their length
// (Makhoul, 1980). Gradients follow from those.
#include <cmath>
#include <complex>

#include "ops/compose/shape.h"
#include "ops/create/create.h"
#include "ops/elementwise/elementwise.h"
#include "ops/fft/ops.h"
#include "ops/shape/shape.h"

namespace lazulite::fft {
namespace {

// ---- along the last axis

array piece(const array& a, int64_t start, int64_t stop, int64_t step, Stream s) {
  Shape from, to = a.shape(), by;
  from.resize(size_t(a.ndim()), 0);
  by.resize(size_t(a.ndim()), 1);
  from.back() = start;
  to.back() = stop;
  by.back() = step;
  return slice(a, from, to, by, s);
}
array piece(const array& a, int64_t start, int64_t stop, Stream s) {
  return piece(a, start, stop, 1, s);
}
array backward(const array& a, Stream s) { return flip(a, {-1}, s); }
array joined(const std::vector<array>& parts, Stream s) { return concatenate(parts, -1, s); }
// Cut to n, or with zeros to n elements.
array of_length(const array& a, int64_t n, Stream s) {
  const int64_t have = a.shape().back();
  if (have >= n) return have == n ? a : piece(a, 0, n, s);
  Shape low, high;
  low.resize(size_t(a.ndim()), 0);
  high.resize(size_t(a.ndim()), 0);
  high.back() = n - have;
  return pad(a, low, high, 0, s);
}
// cos and sin of from + step * k, computed in double.
struct Angles {
  array cos, sin;
  Angles(double from, double step, int64_t count, Dtype type, Stream s) {
    const array at = ramp(from, step, count, float64, s);
    cos = astype(lazulite::cos(at, s), type, s);
    sin = astype(lazulite::sin(at, s), type, s);
  }
};
array complex_of(const array& re, const array& im, Stream s) {
  return add(re, multiply(im, std::complex<double>(0, 1), s), s);
}
// Every second one negated.
array alternating(const array& a, Stream s) {
  const array k = ramp(0, 1, a.shape().back(), a.dtype(), s);
  return multiply(a, subtract(1, multiply(remainder(k, 2, s), 2, s), s), s);
}
// The element at place k times the factor.
array with_factor(const array& a, int64_t k, double factor, Stream s) {
  const int64_t n = a.shape().back();
  const array one = multiply(piece(a, k, k + 1, s), factor, s);
  std::vector<array> parts;
  if (k > 0) parts.push_back(piece(a, 0, k, s));
  parts.push_back(one);
  if (k + 1 < n) parts.push_back(piece(a, k + 1, n, s));
  return joined(parts, s);
}

// ---- without factors, of n = shape().back() real numbers x

// x[0] + (-1)^k x[n-1] + 2 sum x[j] cos(pi j k / (n - 1))
array cosine_1(const array& x, Stream s) {
  const int64_t n = x.shape().back();
  const array whole = n > 2 ? joined({x, backward(piece(x, 1, n - 1, s), s)}, s) : x;
  return real(rfft(whole, {}, -1, {}, s), s);
}
// 2 sum x[j] cos(pi k (2j + 1) / 2n): of the even elements and, backward, the odd ones
array cosine_2(const array& x, Stream s) {
  const int64_t n = x.shape().back(), h = n / 2;
  array v = x;
  if (n > 1) v = joined({piece(x, 0, n, 2, s), backward(piece(x, 1, n, 2, s), s)}, s);
  const array f = rfft(v, {}, -1, {}, s), re = real(f, s), im = imag(f, s);
  const Angles w(0, M_PI / (2 * double(n)), h + 1, x.dtype(), s);
  const array first = add(multiply(re, w.cos, s), multiply(im, w.sin, s), s);
  if (n == 1) return multiply(first, 2, s);
  const array rest = subtract(multiply(re, w.sin, s), multiply(im, w.cos, s), s);
  return multiply(joined({first, backward(piece(rest, 1, (n + 1) / 2, s), s)}, s), 2, s);
}
// x[0] + 2 sum x[j] cos(pi j (2k + 1) / 2n): the way back
array cosine_3(const array& x, Stream s) {
  const int64_t n = x.shape().back(), h = n / 2;
  if (n == 1) return x;
  const array first = piece(x, 0, h + 1, s);
  const array mirror = backward(piece(x, n - h, n, s), s);  // x[n - k], k = 1 to h
  const array rest = joined({zeros_like(piece(x, 0, 1, s), s), mirror}, s);
  const Angles w(0, M_PI / (2 * double(n)), h + 1, x.dtype(), s);
  const array f = complex_of(
      add(multiply(first, w.cos, s), multiply(rest, w.sin, s), s),
      subtract(multiply(first, w.sin, s), multiply(rest, w.cos, s), s), s);
  const array v = irfft(f, n, -1, "forward", s);
  const array even = piece(v, 0, n - h, s), odd = backward(piece(v, n - h, n, s), s);
  const array pairs = stack({piece(even, 0, h, s), odd}, -1, s);
  Shape shape = x.shape();
  shape.back() = 2 * h;
  const array y = reshape(pairs, shape, s);
  return n % 2 ? joined({y, piece(even, h, h + 1, s)}, s) : y;
}
// 2 sum x[j] cos(pi (2j + 1) (2k + 1) / 4n)
array cosine_4(const array& x, Stream s) {
  const int64_t n = x.shape().back();
  const double step = M_PI / (2 * double(n));
  const Angles in(0, step, n, x.dtype(), s), out(step / 2, step, n, x.dtype(), s);
  const array turned =
      complex_of(multiply(x, in.cos, s), negative(multiply(x, in.sin, s), s), s);
  const array f = piece(fft(turned, 2 * n, -1, {}, s), 0, n, s);
  return multiply(add(multiply(real(f, s), out.cos, s), multiply(imag(f, s), out.sin, s), s), 2,
                  s);
}
// 2 sum x[j] sin(pi (j + 1) (k + 1) / (n + 1))
array sine_1(const array& x, Stream s) {
  const int64_t n = x.shape().back();
  const array zero = zeros_like(piece(x, 0, 1, s), s);
  const array f = rfft(joined({zero, x, zero, negative(backward(x, s), s)}, s), {}, -1, {}, s);
  return negative(imag(piece(f, 1, n + 1, s), s), s);
}

// The others are cosine transforms of x in another order, or with other signs.
array any_type(const array& x, int type, bool sine, Stream s) {
  switch (type) {
    case 1: return sine ? sine_1(x, s) : cosine_1(x, s);
    case 2: return sine ? backward(cosine_2(alternating(x, s), s), s) : cosine_2(x, s);
    case 3: return sine ? alternating(cosine_3(backward(x, s), s), s) : cosine_3(x, s);
    default: return sine ? alternating(cosine_4(backward(x, s), s), s) : cosine_4(x, s);
  }
}

array cosine_or_sine(const array& a, int type, const Length& length, int axis, const Norm& norm,
                     bool sine, bool inverse, const char* op, Stream s) {
  axis = axis_of(a, axis, op);
  if (type < 1 || type > 4) fail(Kind::value, op, "type: got ", type, ", expected 1 to 4");
  const int64_t n = length_of(length, a.shape()[size_t(axis)], op);
  if (type == 1 && !sine && n < 2)
    fail(Kind::value, op, "n: got ", n, ", expected 2 or more for type 1");
  const double period = 2 * double(type == 1 ? (sine ? n + 1 : n - 1) : n);
  const bool ortho = norm && *norm == "ortho";
  const double scale = scale_of(norm, period, inverse, op);
  array x = of_length(moveaxis(as_real(a, op, s), axis, -1, s), n, s);
  if (inverse && (type == 2 || type == 3)) type = 5 - type;
  // Orthogonal: the ends that are counted once weigh as much as the others.
  const double root = std::sqrt(2.0);
  const int64_t end = sine ? n - 1 : 0;
  if (ortho && type == 3) x = with_factor(x, end, root, s);
  if (ortho && type == 1 && !sine)
    x = with_factor(with_factor(x, 0, root, s), n - 1, root, s);
  array y = any_type(x, type, sine, s);
  if (scale != 1) y = multiply(y, scale, s);
  if (ortho && type == 2) y = with_factor(y, end, 1 / root, s);
  if (ortho && type == 1 && !sine)
    y = with_factor(with_factor(y, 0, 1 / root, s), n - 1, 1 / root, s);
  return moveaxis(y, -1, axis, s);
}

}  // namespace

array dct(const array& a, int type, const Length& n, int axis, const Norm& norm, Stream s) {
  return cosine_or_sine(a, type, n, axis, norm, false, false, "dct", s);
}
array idct(const array& a, int type, const Length& n, int axis, const Norm& norm, Stream s) {
  return cosine_or_sine(a, type, n, axis, norm, false, true, "idct", s);
}
array dst(const array& a, int type, const Length& n, int axis, const Norm& norm, Stream s) {
  return cosine_or_sine(a, type, n, axis, norm, true, false, "dst", s);
}
array idst(const array& a, int type, const Length& n, int axis, const Norm& norm, Stream s) {
  return cosine_or_sine(a, type, n, axis, norm, true, true, "idst", s);
}

}  // namespace lazulite::fft
