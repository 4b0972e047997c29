#include <cmath>

#include "ops/derivatives.h"
#include "ops/elementwise/elementwise.h"
#include "ops/lanes.h"
#include "ops/matmul/ops.h"
#include "ops/reduce/reduce.h"
#include "ops/shape/shape.h"

namespace lazulite {
namespace {

Specs infer_matmul(const Arrays& in) {
  check_inputs("matmul", in, 2);
  const Shape &a = in[0].shape(), &b = in[1].shape();
  bool fits = a.size() >= 2 && a.size() == b.size() && in[0].dtype() == in[1].dtype();
  for (size_t i = 0; fits && i + 2 < a.size(); ++i) fits = a[i] == b[i];
  if (!fits || a.back() != b[b.size() - 2])
    fail(Kind::value, "matmul", "shapes do not fit: got ", a, " and ", b);
  Shape shape = a;
  shape.back() = b.back();
  return {Spec{shape, in[0].dtype()}};
}

array adjoint(const array& a) { return matrix_transpose(conjugate(a)); }

Arrays vjp_matmul(const Node& node, const Arrays& cts, const Needs& needs) {
  Arrays out{array(), array()};
  if (needs[0]) out[0] = matmul(cts[0], adjoint(node.inputs[1]));
  if (needs[1]) out[1] = matmul(adjoint(node.inputs[0]), cts[0]);
  return out;
}

Arrays jvp_matmul(const Node& node, const Arrays& t) {
  array x, y;
  if (t[0]) x = matmul(t[0], node.inputs[1]);
  if (t[1]) y = matmul(node.inputs[0], t[1]);
  return {sum_of(x, y)};
}

// Lanes in front; what has none broadcasts as any other batch.
Arrays vmap_matmul(const Node& node, const Arrays& in, const Axes& axes, Axes& out_axes) {
  out_axes = {0};
  return {matmul(batch_first(in[0], axes[0]), batch_first(in[1], axes[1]), node.stream)};
}

// One product over lanes and the inner axis.
array sum_lanes_matmul(const Arrays& in, const Axes& axes, Stream stream) {
  if (axes[0] < 0) return matmul(in[0], sum(in[1], {axes[1]}, false, stream), stream);
  if (axes[1] < 0) return matmul(sum(in[0], {axes[0]}, false, stream), in[1], stream);
  return tensordot(batch_first(in[0], axes[0]), batch_first(in[1], axes[1]), Axes{0, 2}, Axes{0, 1},
                   stream);
}

double flops_matmul(const Node& node) {
  const Shape& a = node.inputs[0].shape();
  return 2.0 * double(size_of(node.out[0].spec.shape)) * double(a.back());
}

// Two ways to add k products are at most k + 2 units in the last place of the sum of their sizes
// apart. (At levels avx512_bf16 and amx subnormal bfloat16 operands and sums count as zeros
// besides.)
double ulp_matmul(const Node& node) { return double(node.inputs[0].shape().back()) + 2; }

Shape batch_of(const array& a) { return Shape(a.shape().begin(), a.shape().end() - 2); }
Shape with_matrix(Shape batch, int64_t rows, int64_t cols) {
  batch.push_back(rows);
  batch.push_back(cols);
  return batch;
}

// A factor as a number beside dtype t: an integer where t is one and all the factors are whole.
bool whole(double v) { return v == std::floor(v) && std::abs(v) < 0x1p62; }
Scalar factor(double v, Dtype t, bool integers) {
  return is_integral(t) && integers ? Scalar(int64_t(v)) : Scalar(v);
}

}  // namespace

const Op matmul_op = op("matmul", "Products of matrices over the last two axes.",
                        {.infer = typed<infer_matmul>,
                         .vjp = vjp_matmul,
                         .jvp = jvp_matmul,
                         .vmap = vmap_matmul,
                         .sum_lanes = sum_lanes_matmul,
                         .ulp = ulp_matmul,
                         .flops = flops_matmul});

OpList matmul_ops() {
  return {&matmul_op, &named_product_op, &part_product_op, &spread_product_op};
}

array matmul(const array& a, const array& b, Stream s) {
  if (a.ndim() == 0 || b.ndim() == 0)
    fail(Kind::value, "matmul", "0-d operand: got shapes ", a.shape(), " and ", b.shape(),
         ", expected at least one axis");
  const bool row = a.ndim() == 1, column = b.ndim() == 1;
  const int64_t inner = a.shape(-1), other = b.shape(column ? 0 : -2);
  if (inner != other)
    fail(Kind::value, "matmul", "inner sizes differ: got ", inner, " (last axis of ", a.shape(),
         ") and ", other, column ? " (the axis of " : " (last but one axis of ", b.shape(), ")");
  const Dtype t = promote(a.dtype(), b.dtype());
  array x = astype(a, t, s), y = astype(b, t, s);
  if (row) x = reshape(x, {1, inner}, s);
  if (column) y = reshape(y, {inner, 1}, s);
  const Shape batch = broadcast_shapes(batch_of(x), batch_of(y), "matmul");
  const int64_t m = x.shape(-2), n = y.shape(-1);
  Shape shape = batch;
  if (!row) shape.push_back(m);
  if (!column) shape.push_back(n);

  array out;
  if (x.ndim() > 2 && y.ndim() == 2) {  // one product of all rows
    out = record(matmul_op, {},
                 {reshape(x, {product_of_sizes(size_of(batch), m, "matmul"), inner}, s), y}, s);
  } else {
    out = record(matmul_op, {},
                 {broadcast_to(x, with_matrix(batch, m, inner), s),
                  broadcast_to(y, with_matrix(batch, inner, n), s)},
                 s);
  }
  return reshape(out, shape, s);
}

array addmm(const Operand& c, const array& a, const array& b, double alpha, double beta, Stream s) {
  array product = matmul(a, b, s);
  if (c.is_array() &&
      broadcast_shapes(c.get().shape(), product.shape(), "addmm") != product.shape())
    fail(Kind::value, "addmm", "c does not fit: got shape ", c.get().shape(),
         ", expected one that broadcasts to ", product.shape());
  const bool integers = whole(alpha) && whole(beta);
  if (alpha != 1) product = multiply(product, factor(alpha, product.dtype(), integers), s);
  if (beta == 1) return add(product, c, s);
  return add(product, multiply(c, factor(beta, c.natural(), integers), s), s);
}

array inner(const array& a, const array& b, Stream s) {
  if (a.ndim() == 0 || b.ndim() == 0) return multiply(a, b, s);
  if (a.shape(-1) != b.shape(-1))
    fail(Kind::value, "inner", "last axes differ: got shapes ", a.shape(), " and ", b.shape());
  return tensordot(a, b, Axes{-1}, Axes{-1}, s);
}

array outer(const array& a, const array& b, Stream s) {
  return multiply(reshape(a, {a.size(), 1}, s), reshape(b, {1, b.size()}, s), s);
}

array tensordot(const array& a, const array& b, int axes, Stream s) {
  if (axes < 0 || axes > a.ndim() || axes > b.ndim())
    fail(Kind::value, "tensordot", "number of axes out of range: got ", axes, " for shapes ",
         a.shape(), " and ", b.shape());
  Axes last, first;
  for (int i = 0; i < axes; ++i) {
    last.push_back(a.ndim() - axes + i);
    first.push_back(i);
  }
  return tensordot(a, b, last, first, s);
}

array tensordot(const array& a, const array& b, const Axes& axes_a, const Axes& axes_b, Stream s) {
  if (axes_a.size() != axes_b.size())
    fail(Kind::value, "tensordot", "different numbers of axes: got ", axes_a, " and ", axes_b);
  normal_axes(axes_a, a.ndim(), "tensordot");  // refuses repeated ones
  normal_axes(axes_b, b.ndim(), "tensordot");
  SmallVector<bool, 8> used_a(size_t(a.ndim()), false), used_b(size_t(b.ndim()), false);
  Axes order_a, order_b;
  int64_t k = 1, m = 1, n = 1;
  for (size_t i = 0; i < axes_a.size(); ++i) {
    const int at_a = normal_axis(axes_a[i], a.ndim(), "tensordot"),
              at_b = normal_axis(axes_b[i], b.ndim(), "tensordot");
    if (a.shape(at_a) != b.shape(at_b))
      fail(Kind::value, "tensordot", "sizes differ: got ", a.shape(at_a), " on axis ", at_a, " of ",
           a.shape(), " and ", b.shape(at_b), " on axis ", at_b, " of ", b.shape());
    used_a[size_t(at_a)] = used_b[size_t(at_b)] = true;
    order_b.push_back(at_b);
    k = product_of_sizes(k, a.shape(at_a), "tensordot");
  }
  Shape shape;
  for (int i = 0; i < a.ndim(); ++i)
    if (!used_a[size_t(i)]) {
      order_a.push_back(i);
      shape.push_back(a.shape(i));
      m = product_of_sizes(m, a.shape(i), "tensordot");
    }
  for (int axis : axes_a) order_a.push_back(normal_axis(axis, a.ndim(), "tensordot"));
  for (int i = 0; i < b.ndim(); ++i)
    if (!used_b[size_t(i)]) {
      order_b.push_back(i);
      shape.push_back(b.shape(i));
      n = product_of_sizes(n, b.shape(i), "tensordot");
    }
  const array x = reshape(transpose(a, order_a, s), {m, k}, s),
              y = reshape(transpose(b, order_b, s), {k, n}, s);
  return reshape(matmul(x, y, s), shape, s);
}

}  // namespace lazulite
