// Draws: distributions made of bits, uniform and normal numbers.
#include <cmath>

#include "ops/elementwise/elementwise.h"
#include "ops/linalg/linalg.h"
#include "ops/matmul/matmul.h"
#include "ops/random/ops.h"
#include "ops/random/random.h"
#include "ops/reduce/reduce.h"
#include "ops/shape/shape.h"

namespace lazulite::random {
namespace {

void check_floating(Dtype t, const char* op) {
  if (!is_floating(t))
    fail(Kind::value, op, "dtype not supported: got ", t, ", expected a floating point dtype");
}
void check_shape(const Shape& shape) {
  for (int64_t n : shape)
    if (n < 0) fail(Kind::value, "random", "negative size: got ", shape);
}
Shape shape_of(const Operand& a) { return a.is_array() ? a.get().shape() : Shape{}; }
// Operands must broadcast to the shape of the draw.
void check_fits(const Operand& a, const Shape& shape, const char* op) {
  if (broadcast_shapes(shape_of(a), shape, op) != shape)
    fail(Kind::value, op, "operand too large: got shape ", shape_of(a), " for a draw of shape ",
         shape);
}
// An operand as it is in dtype t, whether number or array.
Operand in_type(const Operand& a, Dtype t, Stream s) {
  return a.is_array() ? Operand(astype(a.get(), t, s)) : a;
}

// In [0, 1).
array unit(const Shape& shape, Dtype t, const array& key, Stream s) {
  return uniform(0, 1, shape, t, key, s);
}

array before(const array& v, Stream s) {
  const Dtype t = v.dtype(), same = t == float64 ? int64 : t == float32 ? int32 : int16;
  const array x = stop_gradient(v, s), word = view(x, same, s);
  // -0 and 0: the smallest negative number.
  const Scalar tiny = t == float64   ? Scalar(INT64_MIN + 1)
                      : t == float32 ? Scalar(INT32_MIN + 1)
                                     : Scalar(INT16_MIN + 1);
  const array down = where(less(x, 0, s), add(word, 1, s), subtract(word, 1, s), s);
  return view(where(equal(x, 0, s), constant(tiny, {}, same, s), down, s), t, s);
}

constexpr double root_two = 1.4142135623730951;

// The normal distribution's share above x over its density there (Mills' ratio), x >= 1.
array tail_over_density(const array& x, Stream s) {
  const double until = x.dtype() == float64 ? 30 : 12;  // up to there erfc is a normal number
  const array c = minimum(x, until, s), root = multiply(c, 1 / root_two, s);
  const array near = multiply(multiply(erfc(root, s), exp(square(root, s), s), s),
                              1.2533141373155003, s);
  // Its asymptotic series, Abramowitz and Stegun 26.2.12.
  const array f = maximum(x, until, s), w = reciprocal(square(f, s), s);
  array sum = constant(-945, {}, x.dtype(), s);
  for (const double term : {105, -15, 3, -1, 1}) sum = add(multiply(w, sum, s), term, s);
  return where(less(x, until, s), near, divide(sum, f, s), s);
}

// The number below which a share u of the normal distribution between a and b lies, a <= 1.
array between(const array& u, const array& a, const array& b, Stream s) {
  const array from = erf(multiply(a, 1 / root_two, s), s);
  const array until = erf(multiply(b, 1 / root_two, s), s);
  const array y = add(from, multiply(u, subtract(until, from, s), s), s);
  const double most = u.dtype() == float64 ? 1 - 0x1p-53 : 1 - 0x1p-24;
  return multiply(erfinv(maximum(minimum(y, most, s), -most, s), s), root_two, s);
}

// The same for a >= 1, out to where the shares above a and b are no numbers: with Q the share
// above, log Q(a + d) / Q(a) = log(1 - u (1 - Q(b) / Q(a))) is solved by Newton's steps from the
// density x exp(-x^2 / 2) alone. Only the last of them has derivatives: those of the solution.
array beyond(const array& u, const array& from, const array& until, Stream s) {
  const double most = 1e18;  // squares are numbers up to there
  const array a = minimum(from, most, s), b = maximum(minimum(until, most, s), a, s);
  const array at_a = tail_over_density(a, s);
  auto log_share = [&](const array& d, const array& x) {
    const array wide = multiply(multiply(d, add(a, x, s), s), -0.5, s);
    return add(wide, log(divide(tail_over_density(x, s), at_a, s), s), s);
  };
  const array share = log1p(multiply(u, expm1(log_share(subtract(b, a, s), b), s), s), s);
  const array twice = multiply(share, -2, s);
  const array apart = sqrt(add(square(a, s), twice, s), s);
  array d = divide(twice, add(a, apart, s), s);
  for (int step = 0; step < 3; ++step) {
    d = stop_gradient(d, s);
    const array x = add(a, d, s), slope = stop_gradient(tail_over_density(x, s), s);
    d = add(d, multiply(slope, subtract(log_share(d, x), share, s), s), s);
  }
  return add(a, d, s);
}

}  // namespace

// The number of dtype t before v.
double before(double v, Dtype t) {
  if (t == float64) return std::nextafter(v, -INFINITY);
  if (t == float32) return double(std::nextafterf(float(v), -INFINITY));
  if (v == 0) return t == float16 ? -0x1p-24 : -0x1p-133;
  // One step down in the bits of the half.
  if (t == float16) {
    float16_t h{v};
    h.bits = uint16_t(h.bits & 0x8000 ? h.bits + 1 : h.bits - 1);
    return double(float(h));
  }
  bfloat16_t h{v};
  h.bits = uint16_t(h.bits & 0x8000 ? h.bits + 1 : h.bits - 1);
  return double(float(h));
}

array bits(const Shape& shape, int width, const array& given, Stream s) {
  if (width != 4 && width != 8)
    fail(Kind::value, "bits", "width not supported: got ", width, ", expected 4 or 8");
  check_shape(shape);
  const array key = key_or_next(given);
  check_key(key, "bits");
  return record(bits_op, attrs(Bits{shape, width}), {key}, s);
}

array uniform(const Operand& low, const Operand& high, const Shape& shape, Dtype t,
              const array& key, Stream s) {
  check_shape(shape, t, "uniform");
  check_floating(t, "uniform");
  check_fits(low, shape, "uniform");
  check_fits(high, shape, "uniform");
  if (!low.is_array() && !high.is_array()) {
    const double from = low.scalar().rounded(t).real(), until = high.scalar().rounded(t).real();
    const array drawn_with = key_or_next(key);
    check_key(drawn_with, "uniform");
    return record(uniform_op, attrs(Uniform{shape, t, from, until}), {drawn_with}, s);
  }
  const Dtype wide = compute_type(t);
  const array u = unit(shape, wide, key, s);
  const array a = as_array(low, t, "uniform", s), b = as_array(high, t, "uniform", s);
  const array wide_a = astype(a, wide, s), wide_b = astype(b, wide, s);
  const array y = astype(add(wide_a, multiply(u, subtract(wide_b, wide_a, s), s), s), t, s);
  return where(logical_and(greater_equal(y, b, s), less(a, b, s), s), before(b, s), y, s);
}

array normal(const Shape& shape, Dtype t, const std::optional<Operand>& loc,
             const std::optional<Operand>& scale, const array& key, Stream s) {
  check_shape(shape, t, "normal");
  if (!is_inexact(t))
    fail(Kind::value, "normal", "dtype not supported: got ", t,
         ", expected a floating point or complex dtype");
  if (loc) check_fits(*loc, shape, "normal");
  if (scale) check_fits(*scale, shape, "normal");
  Shape parts = shape;
  if (is_complex(t)) parts.push_back(2);
  const double factor = is_complex(t) ? 1 : root_two;  // variance 1, of complex numbers in all
  const array drawn_with = key_or_next(key);
  check_key(drawn_with, "normal");
  array x = record(normal_op, attrs(Normal{parts, real_type(t), factor}), {drawn_with}, s);
  if (is_complex(t)) x = reshape(view(x, t, s), shape, s);
  // In the dtype asked for, rounded after each step, so that it equals scale * normal(dtype=) +
  // loc.
  if (scale) x = multiply(x, in_type(*scale, t, s), s);
  if (loc) x = add(x, in_type(*loc, t, s), s);
  return x;
}

// By the eigenvectors: what is only semi-definite has a root too. (Eigenvalues below zero are
// rounding.)
array multivariate_normal(const array& mean, const array& cov, const Shape& shape, Dtype t,
                          const array& key, Stream s) {
  constexpr const char* op = "multivariate_normal";
  check_shape(shape, t, op);
  check_floating(t, op);
  if (mean.ndim() < 1 || cov.ndim() < 2 || cov.shape(-1) != cov.shape(-2) ||
      cov.shape(-1) != mean.shape(-1))
    fail(Kind::value, op, "shapes do not fit: got ", mean.shape(), " and ", cov.shape(),
         ", expected (..., n) and (..., n, n)");
  if (is_complex(mean.dtype()) || is_complex(cov.dtype()))
    fail(Kind::value, op, "dtype not supported: got ", mean.dtype(), " and ", cov.dtype());
  const int64_t n = mean.shape(-1);
  const Shape batch = broadcast_shapes(Shape(mean.shape().begin(), mean.shape().end() - 1),
                                       Shape(cov.shape().begin(), cov.shape().end() - 2), op);
  if (!shape.empty() && broadcast_shapes(shape, batch, op) != shape)
    fail(Kind::value, op, "shape: got ", shape, ", expected one to which ", batch, " broadcasts");
  Shape drawn = shape.empty() ? batch : shape;
  drawn.push_back(n);
  const Dtype wide = compute_type(t);
  const array z = normal(drawn, wide, {}, {}, key, s);
  const std::vector<array> parts = linalg::eigh(astype(cov, wide, s), "L", s);
  const array root = sqrt(maximum(parts[0], 0, s), s);
  const array factor = multiply(parts[1], expand_dims(root, {-2}, s), s);
  const array x = cov.ndim() == 2
                      ? matmul(z, matrix_transpose(factor, s), s)
                      : squeeze(matmul(factor, expand_dims(z, {-1}, s), s), {-1}, s);
  return astype(add(x, astype(mean, wide, s), s), t, s);
}

array bernoulli(const Operand& p, const std::optional<Shape>& shape, const array& key, Stream s) {
  const Shape to = shape ? *shape : shape_of(p);
  check_fits(p, to, "bernoulli");
  return less(uniform(0, 1, to, float32, key, s), p, s);
}

array randint(const Operand& low, const Operand& high, const Shape& shape, Dtype t,
              const array& key, Stream s) {
  check_shape(shape, t, "randint");
  if (is_bool(t)) {  // False and True are the integers 0 and 1
    for (const Operand* bound : {&low, &high})
      if (!bound->is_array() && (bound->scalar().real() < 0 || bound->scalar().real() > 2))
        fail(Kind::overflow, "randint", "number does not fit: got ", bound->scalar(),
             ", expected bounds from 0 to 2 for bool");
    return astype(randint(low, high, shape, uint8, key, s), t, s);
  }
  if (!is_integer(t))
    fail(Kind::value, "randint", "dtype not supported: got ", t,
         ", expected an integer dtype or bool");
  check_fits(low, shape, "randint");
  check_fits(high, shape, "randint");
  for (const Operand* bound : {&low, &high})
    if (!bound->is_array() && bound->scalar().is_beyond()) bound->scalar().check_fits(t, "randint");
  auto number = [](const Scalar& v) -> __int128 {
    return v.kind() == 'u' ? __int128(uint64_t(v.wrapped())) : __int128(v.wrapped());
  };
  if (!low.is_array())
    Scalar(low.scalar().kind() == 'u' ? low.scalar() : Scalar(low.scalar().wrapped()))
        .check_fits(t, "randint");
  if (!high.is_array()) {  // high itself is not drawn: the number below it must fit
    const __int128 last = number(high.scalar()) - 1;
    (last > INT64_MAX   ? Scalar(uint64_t(last))
     : last < INT64_MIN ? Scalar(INT64_MIN)
                        : Scalar(int64_t(last)))
        .check_fits(t, "randint");
  }
  if (!low.is_array() && !high.is_array() && number(low.scalar()) >= number(high.scalar()))
    fail(Kind::value, "randint", "empty interval: got low ", low.scalar(), " and high ",
         high.scalar(), ", expected low < high");
  if (!low.is_array() && !high.is_array()) {
    const int64_t from = low.scalar().wrapped(), range = high.scalar().wrapped() - from;
    const array drawn_with = key_or_next(key);
    check_key(drawn_with, "randint");
    return record(integers_op, attrs(Integers{shape, t, from, range}), {drawn_with}, s);
  }
  // All in uint64, where differences wrap into place.
  auto word = [&](const Operand& a) {
    if (a.is_array())
      return astype(is_integral(a.get().dtype()) ? a.get() : astype(a.get(), int64, s), uint64, s);
    return constant(uint64_t(a.scalar().wrapped()), {}, uint64, s);
  };
  const array a = word(low), b = word(high);
  // Both are signed unless one is of uint64, then a negative one is below it in any case.
  auto is_large = [](const Operand& v) {
    return v.is_array() ? v.get().dtype() == uint64 : v.scalar().kind() == 'u';
  };
  const array x = is_large(low) || is_large(high) ? a : astype(a, int64, s);
  const array y = is_large(low) || is_large(high) ? b : astype(b, int64, s);
  // Empty intervals give low.
  const array range =
      where(less(x, y, s), subtract(b, a, s), constant(1, {}, uint64, s), s);
  return astype(add(a, remainder(bits(shape, 8, key, s), range, s), s), t, s);
}

array gumbel(const Shape& shape, Dtype t, const array& key, Stream s) {
  check_floating(t, "gumbel");
  const Dtype wide = compute_type(t);
  const array u =
      maximum(unit(shape, wide, key, s), wide == float64 ? 0x1p-54 : 0x1p-25, s);  // never 0
  return astype(negative(log(negative(log(u, s), s), s), s), t, s);
}

array laplace(const Shape& shape, Dtype t, double loc, double scale, const array& key, Stream s) {
  check_floating(t, "laplace");
  const Dtype wide = compute_type(t);
  const array u = uniform(wide == float64 ? -1 + 0x1p-53 : -1 + 0x1p-24, 1, shape, wide, key, s);
  array x = astype(negative(multiply(sign(u, s), log1p(negative(abs(u, s), s), s), s), s), t, s);
  if (scale != 1) x = multiply(x, scale, s);
  if (loc != 0) x = add(x, loc, s);
  return x;
}

array truncated_normal(const Operand& lower, const Operand& upper,
                       const std::optional<Shape>& shape, Dtype t, const array& key, Stream s) {
  check_floating(t, "truncated_normal");
  const Shape to =
      shape ? *shape : broadcast_shapes(shape_of(lower), shape_of(upper), "truncated_normal");
  const Dtype wide = compute_type(t);
  const array low = as_array(lower, wide, "truncated_normal", s),
              high = as_array(upper, wide, "truncated_normal", s);
  check_fits(low, to, "truncated_normal");
  check_fits(high, to, "truncated_normal");
  const array u = unit(to, wide, key, s);
  // Mirrored where more of the interval is below zero: then only its lower end can be far out.
  const array below = less(add(low, high, s), 0, s);
  const array a = where(below, negative(high, s), low, s);
  const array b = where(below, negative(low, s), high, s);
  const array far = greater(a, 1, s);
  array x = between(u, where(far, 0, a, s), where(far, 1, b, s), s);
  auto is_far = [](double from, double until) { return (from + until < 0 ? -until : from) > 1; };
  if (lower.is_array() || upper.is_array() ||
      is_far(lower.scalar().real(), upper.scalar().real()))
    x = where(far, beyond(u, maximum(a, 1, s), where(far, b, 2, s), s), x, s);
  x = where(below, negative(x, s), x, s);
  return astype(maximum(minimum(x, high, s), low, s), t, s);
}

array categorical(const array& logits, int axis, const std::optional<Shape>& shape,
                  const std::optional<int>& num_samples, const array& key, Stream s) {
  if (shape && num_samples)
    fail(Kind::value, "categorical", "shape and num_samples exclude each other: got both");
  if (logits.ndim() == 0)
    fail(Kind::value, "categorical", "0-d logits: got shape (), expected at least one axis");
  if (is_complex(logits.dtype()))
    fail(Kind::value, "categorical", "dtype not supported: got ", logits.dtype());
  axis = normal_axis(axis, logits.ndim(), "categorical");
  if (logits.shape(axis) == 0)
    fail(Kind::value, "categorical", "no categories: got logits of shape ", logits.shape());
  const Dtype t = logits.dtype() == float64 ? float64 : float32;
  if (num_samples) {
    if (*num_samples < 0)
      fail(Kind::value, "categorical", "negative num_samples: got ", *num_samples);
    Shape draws = logits.shape();
    draws.push_back(*num_samples);
    return argmax(add(gumbel(draws, t, key, s), expand_dims(logits, {-1}, s), s), axis, false, s);
  }
  Shape rest = logits.shape();
  rest.erase(rest.begin() + axis);
  const Shape to = shape ? *shape : rest;
  if (broadcast_shapes(rest, to, "categorical") != to)
    fail(Kind::value, "categorical", "shape does not fit: got ", to, ", expected one that ", rest,
         " broadcasts to");
  const int at = axis + int(to.size()) + 1 - logits.ndim();
  Shape draws = to;
  draws.insert(draws.begin() + at, logits.shape(axis));
  return argmax(add(gumbel(draws, t, key, s), logits, s), at, false, s);
}

array permutation(int64_t n, const array& given, Stream s) {
  if (n < 0 || n > int64_t(UINT32_MAX))
    fail(Kind::value, "permutation", "length out of range: got ", n, ", expected 0 to ",
         UINT32_MAX);
  const array key = key_or_next(given);
  check_key(key, "permutation");
  return record(shuffle_op, attrs(Shuffle{n}), {key}, s);
}

array permutation(const array& x, int axis, const array& key, Stream s) {
  if (x.ndim() == 0)
    fail(Kind::value, "permutation", "0-d array: got shape (), expected at least one axis");
  axis = normal_axis(axis, x.ndim(), "permutation");
  const array order = permutation(x.shape(axis), key, s);
  if (axis == 0) return reorder(x, order, false, s);
  return moveaxis(reorder(moveaxis(x, axis, 0, s), order, false, s), 0, axis, s);
}

}  // namespace lazulite::random
