// What the units of rules share: an op and its rules from a row (unary.h, binary.h ...), and the
// functions that apply it.
#pragma once
#include "ops/derivatives.h"
#include "ops/elementwise/ops.h"
#include "ops/rooms.h"

namespace lazulite {

// The rules of every row, by what the row says (rules.cpp).
Specs infer_row(const Row&, size_t operands, const Arrays& in);
Arrays vmap_elementwise(const Node&, const Arrays& in, const Axes& axes, Axes& out_axes);

namespace {

template <class R, int operands>
Specs infer(const Arrays& in) {
  return infer_row(R::row, operands, in);
}

inline array conj_if(const array& a) { return is_complex(a.dtype()) ? conjugate(a) : a; }
inline array cast_back(const array& g, const array& input) {
  return g.dtype() == input.dtype() ? g : astype(g, input.dtype());
}

template <class R>
Arrays vjp_unary(const Node& node, const Arrays& cts, const Needs&) {
  const array& x = node.inputs[0];
  const array y = recorded(node, 0);
  if constexpr (requires { R::v0(cts[0], x, y); }) return {cast_back(R::v0(cts[0], x, y), x)};
  else return {cast_back(R::d0(cts[0], conj_if(x), conj_if(y)), x)};
}
template <class R>
Arrays jvp_unary(const Node& node, const Arrays& t) {
  const array y = recorded(node, 0);
  return {cast_back(R::d0(t[0], node.inputs[0], y), y)};
}
template <class R>
Arrays vjp_binary(const Node& node, const Arrays& cts, const Needs& needs) {
  const array a = conj_if(node.inputs[0]), b = conj_if(node.inputs[1]),
              y = conj_if(recorded(node, 0));
  Arrays out{array(), array()};
  if (needs[0]) out[0] = cast_back(R::d0(cts[0], a, b, y), a);
  if (needs[1]) out[1] = cast_back(R::d1(cts[0], a, b, y), b);
  return out;
}
template <class R>
Arrays jvp_binary(const Node& node, const Arrays& t) {
  const array &a = node.inputs[0], &b = node.inputs[1], y = recorded(node, 0);
  array sum;
  if (t[0]) sum = R::d0(t[0], a, b, y);
  if (t[1]) {
    const array other = R::d1(t[1], a, b, y);
    sum = sum ? sum + other : other;
  }
  return {cast_back(sum, y)};
}

template <class R, int operands, RowSet set>
constexpr ElementwiseFamily family_of{R::row, operands, set};

template <class R, int operands, RowSet set>
consteval Op make_op(int row) {
  Op made{.kind = OpKind::elementwise,
          .light = R::row.light,
          .family = &family_of<R, operands, set>,
          .row = row,
          .infer = typed<infer<R, operands>>,
          .vmap = vmap_elementwise};
  if constexpr (operands == 1 && requires(const array& a) { R::d0(a, a, a); }) {
    made.vjp = vjp_unary<R>;
    made.jvp = jvp_unary<R>;
  } else if constexpr (operands == 2 && requires(const array& a) { R::d0(a, a, a, a); }) {
    made.vjp = vjp_binary<R>;
    made.jvp = jvp_binary<R>;
  } else if (R::row.result == Result::boolean || R::row.promote == Promote::logical) {  // steps
    made.vjp = no_gradient;
    made.jvp = no_tangent;
  }
  return op(R::row.name, R::row.doc, made);
}
template <class R, int operands, RowSet set, class All>
const Op row_op = make_op<R, operands, set>(number_of<R>(All{}));

template <RowSet set, class... One, class... Two>
OpList ops_of(RowLists<rows<One...>, rows<Two...>>) {
  using All = RowLists<rows<One...>, rows<Two...>>;
  return {&row_op<One, 1, set, All>..., &row_op<Two, 2, set, All>...};
}

}  // namespace
}  // namespace lazulite

// Of a row, in the unit of its set, which says LAZULITE_ROWS.
#define LAZULITE_JOIN_ROWS(set) set##_rows
#define LAZULITE_ROWS_OF(set) LAZULITE_JOIN_ROWS(set)
#define LAZULITE_ROW_OP(Row, operands) \
  row_op<Row, operands, RowSet::LAZULITE_ROWS, LAZULITE_ROWS_OF(LAZULITE_ROWS)>
#undef LAZULITE_UNARY
#undef LAZULITE_BINARY
#define LAZULITE_UNARY(Row, name)                                                     \
  template <> const Op& elementwise_op<Row>() { return LAZULITE_ROW_OP(Row, 1); }     \
  array name(const Operand& a, Stream s) { return unary(LAZULITE_ROW_OP(Row, 1), a, s); }
#define LAZULITE_BINARY(Row, name)                                                    \
  template <> const Op& elementwise_op<Row>() { return LAZULITE_ROW_OP(Row, 2); }     \
  array name(const Operand& a, const Operand& b, Stream s) {                          \
    return binary(LAZULITE_ROW_OP(Row, 2), a, b, s);                                  \
  }
