// Elementwise functions: of one, two and three operands, broadcasting, with weak numbers. The rows
// (unary.h, binary.h ...) say what each means; here is what other rooms see of them, and what is
// made of them.
#pragma once
#include <complex>
#include <optional>
#include <vector>

#include "graph/node.h"
#include "ops/elementwise/row.h"

namespace lazulite {

// How the family applies a row's op: promotion, broadcasting, casts.
array unary(const Op&, const Operand& a, Stream s = default_stream());
array binary(const Op&, const Operand& a, const Operand& b, Stream s = default_stream());
// The same, straight: for the operators of Python, where every step counts.
array binary(const Op&, const array& a, const array& b, Stream s);
array binary(const Op&, const array& a, const Scalar& b, bool reversed, Stream s);

array astype(const array& a, Dtype, Stream s = default_stream());
array where(const Operand& condition, const Operand& x, const Operand& y,
            Stream s = default_stream());
array stop_gradient(const array& a, Stream s = default_stream());
array zeros_like(const array& a, Stream s = default_stream());
array ones_like(const array& a, Stream s = default_stream());
array real(const array& a, Stream s = default_stream());       // a itself where it is real
array imag(const array& a, Stream s = default_stream());
array conjugate(const array& a, Stream s = default_stream());
array real_if(const array& like, const array& a);  // the real part when `like` is complex
array sign_slope(const array& t, const array& x,
                 const array& y);  // the derivative of y = sign(x) along t
array bitwise_invert(const Operand& a, Stream s = default_stream());
array isinf(const Operand& a, Stream s = default_stream());
array isposinf(const Operand& a, Stream s = default_stream());
array isneginf(const Operand& a, Stream s = default_stream());
array isfinite(const Operand& a, Stream s = default_stream());
array round(const Operand& a, int decimals = 0, Stream s = default_stream());
array clip(const Operand& a, const std::optional<Operand>& low, const std::optional<Operand>& high,
           Stream s = default_stream());
array nan_to_num(const Operand& a, double nan, std::optional<double> posinf,
                 std::optional<double> neginf, Stream s = default_stream());
array ldexp(const Operand& a, const Operand& exponent, Stream s = default_stream());
std::vector<array> frexp(const Operand& a, Stream s = default_stream());
array degrees(const Operand& a, Stream s = default_stream());
array radians(const Operand& a, Stream s = default_stream());
array isclose(const Operand& a, const Operand& b, double rtol, double atol, bool equal_nan,
              Stream s = default_stream());

struct ElementwiseFamily {
  Row row;
  int operands;
  RowSet set;  // whose lists and kernels it is of
};
const std::vector<const Op*>& rows_of_elementwise();  // op->family is an ElementwiseFamily

// What other rooms call of the rows: declarations alone, so that a row that changes builds no other
// room. The op of a row, and the function that applies it.
template <class R>
const Op& elementwise_op();
#define LAZULITE_OF_ONE(Row, name)         \
  struct Row;                              \
  template <> const Op& elementwise_op<Row>(); \
  array name(const Operand& a, Stream s = default_stream());
#define LAZULITE_OF_TWO(Row, name)         \
  struct Row;                              \
  template <> const Op& elementwise_op<Row>(); \
  array name(const Operand& a, const Operand& b, Stream s = default_stream());

LAZULITE_OF_ONE(Abs, abs) LAZULITE_OF_ONE(Negative, negative) LAZULITE_OF_ONE(Sign, sign)
LAZULITE_OF_ONE(Square, square) LAZULITE_OF_ONE(Sqrt, sqrt) LAZULITE_OF_ONE(Rsqrt, rsqrt)
LAZULITE_OF_ONE(Reciprocal, reciprocal) LAZULITE_OF_ONE(Exp, exp) LAZULITE_OF_ONE(Expm1, expm1)
LAZULITE_OF_ONE(Log, log) LAZULITE_OF_ONE(Log2, log2) LAZULITE_OF_ONE(Log10, log10)
LAZULITE_OF_ONE(Log1p, log1p) LAZULITE_OF_ONE(Sin, sin) LAZULITE_OF_ONE(Cos, cos)
LAZULITE_OF_ONE(Tan, tan) LAZULITE_OF_ONE(Arcsin, arcsin) LAZULITE_OF_ONE(Arccos, arccos)
LAZULITE_OF_ONE(Arctan, arctan) LAZULITE_OF_ONE(Sinh, sinh) LAZULITE_OF_ONE(Cosh, cosh)
LAZULITE_OF_ONE(Tanh, tanh) LAZULITE_OF_ONE(Arcsinh, arcsinh) LAZULITE_OF_ONE(Arccosh, arccosh)
LAZULITE_OF_ONE(Arctanh, arctanh) LAZULITE_OF_ONE(Erf, erf) LAZULITE_OF_ONE(Erfinv, erfinv)
LAZULITE_OF_ONE(Sigmoid, sigmoid) LAZULITE_OF_ONE(Floor, floor) LAZULITE_OF_ONE(Ceil, ceil)
LAZULITE_OF_ONE(Trunc, trunc) LAZULITE_OF_ONE(Rint, rint) LAZULITE_OF_ONE(LogicalNot, logical_not)
LAZULITE_OF_ONE(BitwiseInvert, bitwise_invert_bits) LAZULITE_OF_ONE(Isnan, isnan)
LAZULITE_OF_ONE(NanToNum, finite_numbers) LAZULITE_OF_ONE(Real, real_part)
LAZULITE_OF_ONE(Imag, imag_part) LAZULITE_OF_ONE(Conjugate, conjugate_complex)
LAZULITE_OF_ONE(Erfc, erfc) LAZULITE_OF_ONE(Ndtr, ndtr) LAZULITE_OF_ONE(Logit, logit)
LAZULITE_OF_ONE(Entr, entr) LAZULITE_OF_ONE(Gammaln, gammaln) LAZULITE_OF_ONE(Digamma, digamma)
LAZULITE_OF_ONE(I0, i0) LAZULITE_OF_ONE(I1, i1) LAZULITE_OF_ONE(Signbit, signbit)
LAZULITE_OF_ONE(FrexpMantissa, frexp_mantissa) LAZULITE_OF_ONE(FrexpExponent, frexp_exponent)

LAZULITE_OF_TWO(Add, add) LAZULITE_OF_TWO(Subtract, subtract) LAZULITE_OF_TWO(Multiply, multiply)
LAZULITE_OF_TWO(Divide, divide) LAZULITE_OF_TWO(FloorDivide, floor_divide)
LAZULITE_OF_TWO(Remainder, remainder) LAZULITE_OF_TWO(Power, power)
LAZULITE_OF_TWO(Maximum, maximum) LAZULITE_OF_TWO(Minimum, minimum)
LAZULITE_OF_TWO(Arctan2, arctan2) LAZULITE_OF_TWO(Logaddexp, logaddexp)
LAZULITE_OF_TWO(Equal, equal) LAZULITE_OF_TWO(NotEqual, not_equal) LAZULITE_OF_TWO(Less, less)
LAZULITE_OF_TWO(LessEqual, less_equal) LAZULITE_OF_TWO(Greater, greater)
LAZULITE_OF_TWO(GreaterEqual, greater_equal) LAZULITE_OF_TWO(LogicalAnd, logical_and)
LAZULITE_OF_TWO(LogicalOr, logical_or) LAZULITE_OF_TWO(LogicalXor, logical_xor)
LAZULITE_OF_TWO(BitwiseAnd, bitwise_and)
LAZULITE_OF_TWO(BitwiseOr, bitwise_or) LAZULITE_OF_TWO(BitwiseXor, bitwise_xor)
LAZULITE_OF_TWO(LeftShift, left_shift) LAZULITE_OF_TWO(RightShift, right_shift)
LAZULITE_OF_TWO(Hypot, hypot) LAZULITE_OF_TWO(Copysign, copysign)
LAZULITE_OF_TWO(Nextafter, nextafter) LAZULITE_OF_TWO(Ldexp, scale_by_power)
LAZULITE_OF_TWO(Gcd, gcd) LAZULITE_OF_TWO(Lcm, lcm) LAZULITE_OF_TWO(Xlogy, xlogy)
LAZULITE_OF_TWO(Zeta, zeta) LAZULITE_OF_TWO(ZetaSlope, zeta_slope)

#undef LAZULITE_OF_ONE
#undef LAZULITE_OF_TWO

inline array operator+(const Operand& a, const Operand& b) { return add(a, b); }
inline array operator-(const Operand& a, const Operand& b) { return subtract(a, b); }
inline array operator*(const Operand& a, const Operand& b) { return multiply(a, b); }
inline array operator/(const Operand& a, const Operand& b) { return divide(a, b); }
inline array operator-(const array& a) { return negative(a); }

}  // namespace lazulite
