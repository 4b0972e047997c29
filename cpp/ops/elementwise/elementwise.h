// Elementwise functions: of one, two and three operands, broadcasting, with weak numbers. The rows
// in unary.h and binary.h say what each means; here is what is made of them.
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
array degrees(const Operand& a, Stream s = default_stream());
array radians(const Operand& a, Stream s = default_stream());
array isclose(const Operand& a, const Operand& b, double rtol, double atol, bool equal_nan,
              Stream s = default_stream());

struct ElementwiseFamily {
  Row row;
  int operands;
};
const std::vector<const Op*>& rows_of_elementwise();  // op->family is an ElementwiseFamily

}  // namespace lazulite

#include "ops/elementwise/binary.h"
#include "ops/elementwise/unary.h"

namespace lazulite {

inline array operator+(const Operand& a, const Operand& b) { return add(a, b); }
inline array operator-(const Operand& a, const Operand& b) { return subtract(a, b); }
inline array operator*(const Operand& a, const Operand& b) { return multiply(a, b); }
inline array operator/(const Operand& a, const Operand& b) { return divide(a, b); }
inline array operator-(const array& a) { return negative(a); }

}  // namespace lazulite
