#include <algorithm>
#include <cmath>

#include "base/convert.h"
#include "ops/create/ops.h"
#include "ops/derivatives.h"
#include "ops/elementwise/elementwise.h"
#include "ops/lanes.h"
#include "ops/shape/shape.h"

namespace lazulite {
namespace {

Specs infer_ramp(const Ramp& r, const Arrays& in) {
  check_inputs("arange", in, 0);
  return {Spec{{r.count}, r.type}};
}

Specs infer_band(const Band& b, const Arrays& in) {
  check_inputs("band", in, 0);
  if (b.rows < 0 || b.columns < 0)
    fail(Kind::value, "band", "negative size: got ", b.rows, " x ", b.columns);
  for (int64_t bound : {b.low, b.high})
    if (bound < -b.rows || bound > b.columns)
      fail(Kind::value, "band", "bound outside: got ", bound, ", expected ", -b.rows, " to ",
           b.columns);
  return {Spec{{b.rows, b.columns}, b.type}};
}

Specs infer_triangle(const Arrays& in) {
  check_inputs("triangle", in, 1);
  if (in[0].ndim() < 2)
    fail(Kind::value, "triangle", "too few axes: got shape ", in[0].shape(),
         ", expected 2 or more");
  return {in[0].slot().spec};
}
array same_triangle(const Node& node, const array& a) {
  return record(triangle_op, node.attributes, {a}, node.stream);
}
Arrays vjp_triangle(const Node& node, const Arrays& cts, const Needs&) {
  return {same_triangle(node, cts[0])};
}
Arrays vmap_triangle(const Node& node, const Arrays& in, const Axes& axes, Axes& out_axes) {
  out_axes = {0};
  return {same_triangle(node, batch_first(in[0], axes[0]))};
}

void check_size(int64_t n, const char* op) {
  if (n < 0) fail(Kind::value, op, "negative size: got ", n);
}

}  // namespace

const Op ramp_op = op<Ramp>("arange", "Numbers at equal steps.",
                            {.infer = typed<infer_ramp>, .vjp = no_gradient, .jvp = no_tangent});

const Op band_op = op<Band>("band", "Ones between two diagonals, zeros elsewhere.",
                            {.infer = typed<infer_band>, .vjp = no_gradient, .jvp = no_tangent});

const Op triangle_op = op<Triangle>(
    "triangle", "Matrices on one side of a diagonal, zeros elsewhere.",
    {.linear = true, .infer = typed<infer_triangle>, .vjp = vjp_triangle, .vmap = vmap_triangle});

OpList create_ops() { return {&full_op(), &ramp_op, &band_op, &triangle_op}; }

array ramp(const Scalar& start, const Scalar& step, int64_t count, Dtype t, Stream s) {
  return record(ramp_op, attrs(Ramp{start, step, count, t}), {}, s);
}
array band(int64_t rows, int64_t columns, int64_t low, int64_t high, Dtype t, Stream s) {
  return record(band_op, attrs(Band{rows, columns, std::clamp(low, -rows, columns),
                                    std::clamp(high, -rows, columns), t}), {}, s);
}

array triangle(const array& a, int64_t bound, bool upper, Stream s) {
  return record(triangle_op, attrs(Triangle{bound, upper}), {a}, s);
}

array full(const Shape& shape, const Operand& value, Dtype t, Stream s) {
  for (int64_t n : shape) check_size(n, "full");
  if (!value.is_array()) {
    if (!is_bool(t)) value.scalar().check_converts(t, "full");
    return constant(is_bool(t) ? Scalar(value.scalar().truth()) : value.scalar(), shape, t, s);
  }
  return broadcast_to(astype(value.get(), t, s), shape, s);
}
array full(const Shape& shape, const Operand& value, Stream s) {
  return full(shape, value, value.natural(), s);
}
array zeros(const Shape& shape, Dtype t, Stream s) { return full(shape, 0, t, s); }
array ones(const Shape& shape, Dtype t, Stream s) { return full(shape, 1, t, s); }

array arange(const Scalar& start, const Scalar& stop, const Scalar& step, Dtype t, Stream s) {
  for (const Scalar* v : {&start, &stop, &step})
    if (v->kind() == 'b' || v->kind() == 'c')
      fail(Kind::value, "arange", "not a real number: got ", *v, ", expected int or float");
  if (is_bool(t))
    fail(Kind::value, "arange", "dtype not supported: got ", t, ", expected a dtype of numbers");
  for (const Scalar* v : {&start, &stop, &step})
    if (v->is_beyond()) v->check_fits(t, "arange");
  if (step.real() == 0) fail(Kind::value, "arange", "step 0");
  for (const Scalar* v : {&start, &stop})
    if (!std::isfinite(v->real())) fail(Kind::value, "arange", "not finite: got ", *v);
  if (std::isnan(step.real())) fail(Kind::value, "arange", "step is nan");
  if (start.is_int() && stop.is_int() && step.is_int()) {
    auto whole = [](const Scalar& v) -> __int128 {
      return v.kind() == 'u' ? __int128(uint64_t(v.wrapped())) : __int128(v.wrapped());
    };
    const __int128 by = whole(step), span = whole(stop) - whole(start);
    const __int128 n = by > 0 ? (span + by - 1) / by : (span + by + 1) / by;
    if (n > INT64_MAX) fail(Kind::memory, "arange", "too large: more than 2^63 elements of ", t);
    start.check_fits(t, "arange");
    const int64_t steps = n > 0 ? int64_t(n) : 0;
    const __int128 last = whole(start) + __int128(steps - 1) * by;
    if (steps)
      (last > INT64_MAX ? Scalar(uint64_t(last)) : Scalar(int64_t(last))).check_fits(t, "arange");
    return ramp(start, step, steps, t, s);
  }
  const double span = stop.real() - start.real();
  if (std::isinf(step.real()))
    return ramp(start, Scalar(0), span != 0 && (span > 0) == (step.real() > 0), t, s);
  const double count = std::ceil(span / step.real());
  if (count > 9e15) fail(Kind::memory, "arange", "too large: got ", count, " elements of ", t);
  Scalar first(start.real()), by(step.real());
  if (is_integer(t)) {  // the distance of the first two numbers, rounded towards zero, as in NumPy
    first = Scalar(convert_number<int64_t>(start.real()));
    by = Scalar(int64_t(uint64_t(convert_number<int64_t>(start.real() + step.real())) -
                        uint64_t(first.wrapped())));
  }
  return ramp(first, by, count > 0 ? int64_t(count) : 0, t, s);
}

array arange(const Scalar& start, const Scalar& stop, const Scalar& step, Stream s) {
  NumbersType t;
  for (const Scalar* v : {&start, &stop, &step}) t.add(*v);
  return arange(start, stop, step, t.type(), s);
}

array linspace(const Scalar& start, const Scalar& stop, int64_t num, bool endpoint, Dtype t,
               Stream s) {
  check_size(num, "linspace");
  if (start.kind() == 'c' || stop.kind() == 'c') {  // its parts
    const auto from = start.complex(), to = stop.complex();
    if (!is_complex(t)) t = t == float64 ? complex128 : complex64;
    const array i = array(Scalar(std::complex<double>(0, 1)), t);
    return add(linspace(from.real(), to.real(), num, endpoint, t, s),
               multiply(linspace(from.imag(), to.imag(), num, endpoint, t, s), i, s), s);
  }
  check_shape({num}, t, "linspace");
  const double from = start.real(), to = stop.real();
  const int64_t steps = endpoint ? num - 1 : num;
  if (num == 0) return constant(0, {0}, t, s);
  const double by = steps > 0 ? (to - from) / double(steps) : 0;
  const array all = ramp(Scalar(from), Scalar(by), num, t, s);
  if (!endpoint || num == 1) return all;
  // The end itself, not what rounding makes of it.
  const array end = astype(constant(Scalar(to), {1}, is_complex(t) ? t : float64, s), t, s);
  return slice_update(all, end, {num - 1}, {num}, {1}, s);
}

}  // namespace lazulite
