// The elementwise family: what holds for every row (promotion, broadcasting, derivatives,
// batching).
#include <cmath>

#include "ops/elementwise/rules.h"
#include "ops/lanes.h"
#include "ops/shape/shape.h"

namespace lazulite {

#define LAZULITE_ROW_SET(set) OpList rows_in_##set();
LAZULITE_ROW_SETS(LAZULITE_ROW_SET)
#undef LAZULITE_ROW_SET

namespace {

const ElementwiseFamily& family(const Op& op) {
  return *static_cast<const ElementwiseFamily*>(op.family);
}

Dtype row_type(const Row& row, Dtype t) {
  switch (row.promote) {
    case Promote::same: return t;
    case Promote::inexact: return inexact_type(t);
    case Promote::logical: return bool_;
    case Promote::shift: return is_bool(t) ? uint8 : t;
  }
  return t;
}

[[noreturn]] void refuse_type(const Row& row, Dtype t) {
  std::ostringstream known;
  const char* comma = "";
  for (int i = 0; i < dtype_count; ++i)
    if (row.types.has(Dtype(i))) {
      known << comma << name_of(Dtype(i));
      comma = ", ";
    }
  fail(Kind::value, row.name, "dtype not supported: got ", t, ", expected one of ", known.str());
}
void check_type(const Row& row, Dtype t) {
  if (!row.types.has(t)) refuse_type(row, t);
}

// An operand in the common dtype and shape; numbers become constants of that shape.
array fit(const Operand& a, Dtype t, const Shape& shape, const char* op, Stream s) {
  if (!a.is_array()) {
    if (!is_bool(t)) a.scalar().check_fits(t, op);
    return constant(is_bool(t) ? Scalar(a.scalar().truth()) : a.scalar(), shape, t, s);
  }
  const array cast = a.get().dtype() == t ? a.get() : astype(a.get(), t, s);
  return cast.shape() == shape ? cast : broadcast_to(cast, shape, s);
}

Shape shape_of(const Operand& a) { return a.is_array() ? a.get().shape() : Shape{}; }

// In a group all operands have one shape; a row's operands one dtype that it supports.
void check_shapes_equal(const char* op, const Arrays& in, size_t count) {
  check_inputs(op, in, count);
  for (size_t i = 1; i < count; ++i)
    if (in[i].shape() != in[0].shape())
      fail(Kind::value, op, "shapes differ: got ", in[0].shape(), " and ", in[i].shape());
}
}  // namespace

Specs infer_row(const Row& row, size_t operands, const Arrays& in) {
  check_shapes_equal(row.name, in, operands);
  const Spec& first = in[0].slot().spec;
  if (operands == 2 && in[1].dtype() != first.type)
    fail(Kind::value, row.name, "dtypes differ: got ", first.type, " and ", in[1].dtype());
  check_type(row, first.type);
  const Dtype t = row.result == Result::boolean ? bool_
                  : row.result == Result::real  ? real_type(first.type)
                                                : first.type;
  return {Spec{first.shape, t}};
}
// Batched operands get their lanes in front; the others are repeated.
Arrays vmap_elementwise(const Node& node, const Arrays& in, const Axes& axes, Axes& out_axes) {
  const int64_t lanes = lane_count(in, axes);
  Arrays moved;
  for (size_t k = 0; k < in.size(); ++k) moved.push_back(lane_first(in[k], axes[k], lanes));
  out_axes = {0};
  return {record(*node.op, node.attributes, std::move(moved), node.stream)};
}


namespace {

struct CastTo {
  Dtype type;
  LAZULITE_FIELDS(type)
};
Specs infer_cast(const CastTo& to, const Arrays& in) {
  check_inputs("astype", in, 1);
  return {Spec{in[0].shape(), to.type}};
}
// Integers are steps of what is not one: their derivative is zero.
Arrays vjp_cast(const Node& node, const Arrays& cts, const Needs&) {
  if (is_inexact(node.inputs[0].dtype()) && !is_inexact(node.out[0].spec.type)) return {array()};
  return {astype(cts[0], node.inputs[0].dtype())};
}

Specs infer_select(const Arrays& in) {
  check_shapes_equal("select", in, 3);
  if (in[0].dtype() != bool_ || in[1].dtype() != in[2].dtype())
    fail(Kind::value, "select", "dtypes do not fit: got ", in[0].dtype(), ", ", in[1].dtype(),
         " and ", in[2].dtype());
  return {in[1].slot().spec};
}
Arrays vjp_select(const Node& node, const Arrays& cts, const Needs& needs) {
  const array& c = node.inputs[0];
  return {array(), needs[1] ? where(c, cts[0], 0) : array(),
          needs[2] ? where(c, 0, cts[0]) : array()};
}
Arrays jvp_select(const Node& node, const Arrays& t) {
  if (!t[1] && !t[2]) return {array()};
  return {
      where(node.inputs[0], t[1] ? Operand(t[1]) : Operand(0), t[2] ? Operand(t[2]) : Operand(0))};
}

Specs infer_stop(const Arrays& in) {
  check_inputs("stop_gradient", in, 1);
  return {in[0].slot().spec};
}
Arrays vmap_stop(const Node&, const Arrays& in, const Axes& axes, Axes& out_axes) {
  out_axes = axes;
  return {stop_gradient(in[0])};
}
bool view_stop(const Node&, const TensorView& in, Storage& out) {
  out = *in.storage;
  return true;
}
const Op stop_op = op("stop_gradient", "The same value, constant to derivatives.",
                      {.kind = OpKind::view,
                       .infer = typed<infer_stop>,
                       .vjp = no_gradient,
                       .jvp = no_tangent,
                       .vmap = vmap_stop,
                       .view = view_stop});

}  // namespace

const Op cast_op = op<CastTo>("astype", "The values in another dtype.",
                              {.kind = OpKind::elementwise,
                               .linear = true,
                               .light = true,
                               .infer = typed<infer_cast>,
                               .vjp = vjp_cast,
                               .vmap = vmap_elementwise});
const Op select_op = op("select", "x where the condition holds, else y.",
                        {.kind = OpKind::elementwise,
                         .light = true,
                         .infer = typed<infer_select>,
                         .vjp = vjp_select,
                         .jvp = jvp_select,
                         .vmap = vmap_elementwise});

const OpList& rows_of_elementwise() {
  static const auto* list = [] {
    auto* all = new OpList;
#define LAZULITE_ROWS_IN(set) \
  for (const Op* op : rows_in_##set()) all->push_back(op);
    LAZULITE_ROW_SETS(LAZULITE_ROWS_IN)
#undef LAZULITE_ROWS_IN
    return all;
  }();
  return *list;
}
OpList elementwise_ops() {
  OpList all = rows_of_elementwise();
  for (const Op* op : {&cast_op, &select_op, &stop_op}) all.push_back(op);
  return all;
}

namespace {

// A power that a product or a root gives in a tenth of the time, and closer. As in NumPy and
// PyTorch, x ** 0.5 is sqrt(x), at -0 and -inf, too.
std::optional<array> known_power(const array& a, const Scalar& exponent, Stream s) {
  const Dtype t = a.dtype();
  if (exponent.kind() == 'c') return {};
  const double n = exponent.real();
  if (n == 1) return a;
  if (n == 2) return square(a, s);
  if (is_complex(t)) return {};
  if (n == 3 && !is_half(t)) return multiply(square(a, s), a, s);  // a half would round twice
  if (is_integral(t)) return {};
  if (n == -1) return reciprocal(a, s);
  if (n == 0.5) return sqrt(a, s);
  if (n == -0.5) return rsqrt(a, s);
  return {};
}

}  // namespace

array unary(const Op& op, const Operand& a, Stream s) {
  const Row& row = family(op).row;
  const Dtype t = row_type(row, a.natural());
  return record(op, {}, {fit(a, t, shape_of(a), row.name, s)}, s);
}

array binary(const Op& op, const array& a, const array& b, Stream s) {
  const Row& row = family(op).row;
  const Spec &x = a.slot().spec, &y = b.slot().spec;
  if (x.type != y.type || x.shape != y.shape || row_type(row, x.type) != x.type ||
      !row.types.has(x.type))
    return binary(op, Operand(a), Operand(b), s);
  return record_pair(op, a, b, row.result == Result::boolean ? bool_ : x.type, s);
}

array binary(const Op& op, const array& a, const Scalar& b, bool reversed, Stream s) {
  const Row& row = family(op).row;
  const Spec& x = a.slot().spec;
  if (b.beside(x.type) != x.type || is_bool(x.type) || row_type(row, x.type) != x.type ||
      !row.types.has(x.type))
    return reversed ? binary(op, Operand(b), Operand(a), s) : binary(op, Operand(a), Operand(b), s);
  b.check_fits(x.type, row.name);
  if (!reversed && &op == &elementwise_op<Power>())
    if (auto y = known_power(a, b, s)) return *y;
  const array number = constant(b, x.shape, x.type, s);
  const Dtype t = row.result == Result::boolean ? bool_ : x.type;
  return reversed ? record_pair(op, number, a, t, s) : record_pair(op, a, number, t, s);
}

array binary(const Op& op, const Operand& a, const Operand& b, Stream s) {
  const Row& row = family(op).row;
  const Dtype t = row_type(row, result_type({&a, &b}));
  check_type(row, t);
  const Shape shape = broadcast_shapes(shape_of(a), shape_of(b), row.name);
  check_shape(shape, t, row.name);
  if (!b.is_array() && &op == &elementwise_op<Power>())
    if (auto y = known_power(fit(a, t, shape, row.name, s), b.scalar(), s)) return *y;
  return record(op, {}, {fit(a, t, shape, row.name, s), fit(b, t, shape, row.name, s)}, s);
}

array astype(const array& a, Dtype t, Stream s) {
  if (a.dtype() == t) return a;
  if (is_constant(a)) return constant(constant_value(a), a.shape(), t, s);
  return record(cast_op, attrs(CastTo{t}), {a}, s);
}

array as_array(const Operand& a, Dtype t, std::string_view op, Stream s) {
  if (a.is_array()) return astype(a.get(), t, s);
  a.scalar().check_converts(t, op);
  return constant(a.scalar(), {}, t, s);
}

array where(const Operand& c, const Operand& x, const Operand& y, Stream s) {
  const Dtype t = result_type({&x, &y});
  const Shape shape =
      broadcast_shapes(shape_of(c), broadcast_shapes(shape_of(x), shape_of(y), "where"), "where");
  check_shape(shape, t, "where");
  return record(select_op, {},
                {fit(c, bool_, shape, "where", s), fit(x, t, shape, "where", s),
                 fit(y, t, shape, "where", s)},
                s);
}

array stop_gradient(const array& a, Stream s) { return record(stop_op, {}, {a}, s); }
array zeros_like(const array& a, Stream s) { return constant(0, a.shape(), a.dtype(), s); }
array ones_like(const array& a, Stream s) { return constant(1, a.shape(), a.dtype(), s); }
array real(const array& a, Stream s) { return is_complex(a.dtype()) ? real_part(a, s) : a; }
array imag(const array& a, Stream s) {
  return is_complex(a.dtype()) ? imag_part(a, s) : zeros_like(a, s);
}
array conjugate(const array& a, Stream s) {
  return is_complex(a.dtype()) ? conjugate_complex(a, s) : a;
}
array real_if(const array& like, const array& a) { return is_complex(like.dtype()) ? real(a) : a; }

// x / |x| turns as x does: the part of t across y, over |x|. Real numbers do not turn.
array sign_slope(const array& t, const array& x, const array& y) {
  if (!is_complex(x.dtype())) return zeros_like(t);
  const array across = t - multiply(y, real(t * conjugate(y)));
  const array size = abs(x);
  return where(equal(size, 0), 0, divide(across, size));
}

array bitwise_invert(const Operand& a, Stream s) {
  return is_bool(a.natural()) ? logical_not(a, s) : bitwise_invert_bits(a, s);
}

array isposinf(const Operand& a, Stream s) { return equal(a, INFINITY, s); }
array isneginf(const Operand& a, Stream s) { return equal(a, -INFINITY, s); }

array round(const Operand& a, int decimals, Stream s) {
  if (decimals == 0) return rint(a, s);
  if (is_half(a.natural()))
    return astype(round(as_array(a, float32, "round", s), decimals, s), a.natural(), s);
  if (is_integral(a.natural())) {
    if (decimals > 0) return rint(a, s);
    const array scaled = divide(a, std::pow(10.0, -decimals), s);
    return astype(multiply(rint(scaled, s), std::pow(10.0, -decimals), s), a.natural(), s);
  }
  const double scale = std::pow(10.0, std::abs(decimals));
  return decimals > 0 ? divide(rint(multiply(a, scale, s), s), scale, s)
                      : multiply(rint(divide(a, scale, s), s), scale, s);
}

array clip(const Operand& a, const std::optional<Operand>& low, const std::optional<Operand>& high,
           Stream s) {
  array out = low ? maximum(a, *low, s) : as_array(a, a.natural(), "clip", s);
  return high ? minimum(out, *high, s) : out;
}

array nan_to_num(const Operand& a, double nan, std::optional<double> posinf,
                 std::optional<double> neginf, Stream s) {
  const array x = as_array(a, a.natural(), "nan_to_num", s);
  if (is_integral(x.dtype())) return x;
  const Row& row = family(elementwise_op<NanToNum>()).row;
  if (nan == 0 && !std::signbit(nan) && !posinf && !neginf && row.types.has(x.dtype()))
    return finite_numbers(x, s);
  if (is_complex(x.dtype())) {
    const array re = nan_to_num(real(x, s), nan, posinf, neginf, s),
                im = nan_to_num(imag(x, s), nan, posinf, neginf, s);
    return add(re, multiply(im, std::complex<double>(0, 1), s), s);
  }
  const double most = x.dtype() == float64 ? 1.7976931348623157e308 : x.dtype() == float16 ? 65504.0
                      : x.dtype() == bfloat16 ? 3.3895313892515355e38 : 3.4028234663852886e38;
  array out = where(isnan(x, s), nan, x, s);
  out = where(isposinf(x, s), posinf.value_or(most), out, s);
  return where(isneginf(x, s), neginf.value_or(-most), out, s);
}

// Halves through floats, which hold every exponent.
array ldexp(const Operand& a, const Operand& exponent, Stream s) {
  if (!is_integral(exponent.natural()))
    fail(Kind::value, "ldexp", "exponents that are no integers: got ", exponent.natural(),
         ", expected integers");
  const Dtype t = inexact_type(a.natural()), wide = is_half(t) ? float32 : t;
  const array y = scale_by_power(as_array(a, wide, "ldexp", s),
                                 as_array(exponent, wide, "ldexp", s), s);
  return astype(y, t, s);
}
std::vector<array> frexp(const Operand& a, Stream s) {
  return {frexp_mantissa(a, s), astype(frexp_exponent(a, s), int32, s)};
}

array degrees(const Operand& a, Stream s) { return multiply(a, 57.29577951308232, s); }
array radians(const Operand& a, Stream s) { return multiply(a, 0.017453292519943295, s); }

array isclose(const Operand& a, const Operand& b, double rtol, double atol, bool equal_nan,
              Stream s) {
  // Integers become floating point first. Infinities are near only to themselves: their distance
  // less what is allowed is infinite or no number.
  const Operand x = is_inexact(result_type({&a, &b})) ? a : Operand(multiply(a, 1.0, s));
  // All in the shape of the result: one pass, where what b alone allows would be stored before.
  const Shape shape = broadcast_shapes(shape_of(a), shape_of(b), "isclose");
  const Operand y = b.is_array() ? Operand(broadcast_to(b.get(), shape, s)) : b;
  const array distance = abs(subtract(x, y, s), s),
              allowed = add(multiply(abs(y, s), rtol, s), atol, s);
  const array out = logical_or(less_equal(subtract(distance, allowed, s), 0, s), equal(a, y, s), s);
  return equal_nan ? logical_or(out, logical_and(isnan(a, s), isnan(y, s), s), s) : out;
}

}  // namespace lazulite
