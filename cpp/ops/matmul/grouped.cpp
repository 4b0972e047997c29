// Products of matrices that indices name, of parts of matrices, and of masked blocks.
//
// The derivatives of products by name are such products, with the three roles of the indices
// exchanged. Those of products of parts spread over the parts, and back.
#include "ops/create/create.h"
#include "ops/derivatives.h"
#include "ops/elementwise/elementwise.h"
#include "ops/lanes.h"
#include "ops/matmul/ops.h"
#include "ops/shape/shape.h"

namespace lazulite {
namespace {

array adjoint(const array& a) { return matrix_transpose(conjugate(a)); }
array turned(const array& a) { return matrix_transpose(a); }

// ---- by name
// ------------------------------------------------------------------------------------

Specs infer_named(const NamedProduct& p, const Arrays& in) {
  check_inputs("gather_mm", in, 5);
  const Shape &a = in[0].shape(), &b = in[1].shape();
  bool fits = a.size() == 3 && b.size() == 3 && a[2] == b[1] && in[0].dtype() == in[1].dtype() &&
              p.count >= 0;
  for (size_t i = 2; i < 5; ++i)
    fits = fits && in[i].ndim() == 1 && in[i].dtype() == int64 && in[i].shape() == in[2].shape();
  if (!fits) fail(Kind::value, "gather_mm", "does not fit: got ", a, " and ", b);
  return {Spec{Shape{p.count, a[1], b[2]}, in[0].dtype()}};
}
array named(const array& a, const array& b, const array& l, const array& r, const array& o,
            int64_t count, Stream s) {
  return record(named_product_op, attrs(NamedProduct{count}), {a, b, l, r, o}, s);
}
Arrays vjp_named(const NamedProduct&, const Node& node, const Arrays& cts, const Needs& needs) {
  const array &a = node.inputs[0], &b = node.inputs[1], &l = node.inputs[2], &r = node.inputs[3],
              &o = node.inputs[4];
  Arrays out;
  out.resize(5);
  if (needs[0]) out[0] = named(cts[0], adjoint(b), o, r, l, a.shape()[0], node.stream);
  if (needs[1]) out[1] = named(adjoint(a), cts[0], l, o, r, b.shape()[0], node.stream);
  return out;
}
Arrays jvp_named(const NamedProduct& p, const Node& node, const Arrays& t) {
  const Arrays& in = node.inputs;
  array x, y;
  if (t[0]) x = named(t[0], in[1], in[2], in[3], in[4], p.count, node.stream);
  if (t[1]) y = named(in[0], t[1], in[2], in[3], in[4], p.count, node.stream);
  return {sum_of(x, y)};
}
// Lanes become more matrices: what is mapped has those of a lane behind those of the one before.
Arrays vmap_named(const NamedProduct& p, const Node& node, const Arrays& in, const Axes& axes,
                  Axes& out_axes) {
  const int64_t lanes = lane_count(in, axes);
  const auto stack_of = [&](size_t k) {
    const array x = batch_first(in[k], axes[k]);
    return axes[k] < 0 ? x : flatten(x, 0, 1);
  };
  // An index out of range must not reach into another lane.
  const auto indices = [&](size_t k, int64_t count, bool moved) {
    array x = lane_first(in[k], axes[k], lanes);
    if (moved) {
      const array first = reshape(multiply(arange(0, lanes, 1, int64), count), {lanes, 1});
      x = where(logical_and(greater_equal(x, 0), less(x, count)), add(x, first), -1);
    }
    return reshape(x, {-1});
  };
  const array &a = node.inputs[0], &b = node.inputs[1];
  const array made =
      named(stack_of(0), stack_of(1), indices(2, a.shape()[0], axes[0] >= 0),
            indices(3, b.shape()[0], axes[1] >= 0), indices(4, p.count, true),
            product_of_sizes(lanes, p.count, "gather_mm"), node.stream);
  out_axes = {0};
  return {unflatten(made, 0, {lanes, p.count})};
}
double flops_named(const Node& node) {
  const Shape &a = node.inputs[0].shape(), &b = node.inputs[1].shape();
  return 2.0 * double(node.inputs[2].size()) * double(a[1]) * double(a[2]) * double(b[2]);
}
double ulp_named(const Node& node) {
  return double(node.inputs[0].shape().back()) * double(node.inputs[2].size()) + 2;
}

// ---- by parts
// -----------------------------------------------------------------------------------

Specs infer_part(const Arrays& in) {
  check_inputs("segmented_mm", in, 3);
  const Shape &a = in[0].shape(), &b = in[1].shape(), &parts = in[2].shape();
  if (a.size() != 2 || b.size() != 2 || a[1] != b[0] || in[0].dtype() != in[1].dtype() ||
      parts.size() != 2 || parts[1] != 2 || in[2].dtype() != int64)
    fail(Kind::value, "segmented_mm", "does not fit: got ", a, ", ", b, " and ", parts);
  return {Spec{Shape{parts[0], a[0], b[1]}, in[0].dtype()}};
}
Specs infer_spread(const Arrays& in) {
  check_inputs("segmented_mm", in, 3);
  const Shape &a = in[0].shape(), &b = in[1].shape(), &parts = in[2].shape();
  if (a.size() != 3 || b.size() != 2 || a[2] != b[1] || in[0].dtype() != in[1].dtype() ||
      parts.size() != 2 || parts[1] != 2 || parts[0] != a[0] || in[2].dtype() != int64)
    fail(Kind::value, "segmented_mm", "does not fit: got ", a, ", ", b, " and ", parts);
  return {Spec{Shape{b[0], a[1]}, in[0].dtype()}};
}
array part(const array& a, const array& b, const array& parts, Stream s) {
  return record(part_product_op, {}, {a, b, parts}, s);
}
array spread(const array& a, const array& b, const array& parts, Stream s) {
  return record(spread_product_op, {}, {a, b, parts}, s);
}
Arrays vjp_part(const Node& node, const Arrays& cts, const Needs& needs) {
  const array &a = node.inputs[0], &b = node.inputs[1], &parts = node.inputs[2];
  Arrays out;
  out.resize(3);
  if (needs[0]) out[0] = turned(spread(cts[0], conjugate(b), parts, node.stream));
  if (needs[1]) out[1] = spread(turned(cts[0]), adjoint(a), parts, node.stream);
  return out;
}
Arrays vjp_spread(const Node& node, const Arrays& cts, const Needs& needs) {
  const array &a = node.inputs[0], &b = node.inputs[1], &parts = node.inputs[2];
  Arrays out;
  out.resize(3);
  if (needs[0]) out[0] = part(turned(cts[0]), conjugate(b), parts, node.stream);
  if (needs[1]) out[1] = spread(adjoint(a), cts[0], parts, node.stream);
  return out;
}
Arrays jvp_parts(const Node& node, const Arrays& t) {
  array x, y;
  if (t[0])
    x = record(*node.op, {}, {t[0], node.inputs[1], node.inputs[2]}, node.stream);
  if (t[1])
    y = record(*node.op, {}, {node.inputs[0], t[1], node.inputs[2]}, node.stream);
  return {sum_of(x, y)};
}
// Lane by lane: the parts of each may be others.
Arrays vmap_parts(const Node& node, const Arrays& in, const Axes& axes, Axes& out_axes) {
  const int64_t lanes = lane_count(in, axes);
  out_axes = {0};
  if (lanes == 0) {
    Shape none = node.out[0].spec.shape;
    return {zeros(with_front(0, none), node.out[0].spec.type)};
  }
  std::vector<array> made;
  for (int64_t lane = 0; lane < lanes; ++lane) {
    Arrays one;
    for (size_t k = 0; k < in.size(); ++k)
      one.push_back(axes[k] < 0 ? in[k]
                                : squeeze(slice_axis(in[k], axes[k], lane, lane + 1),
                                          Axes{axes[k]}));
    made.push_back(record(*node.op, {}, std::move(one), node.stream));
  }
  return {stack(made, 0)};
}
// Parts may be all of the inner axis.
double flops_part(const Node& node) {
  return 2.0 * double(size_of(node.out[0].spec.shape)) * double(node.inputs[1].shape()[0]);
}
double ulp_part(const Node& node) { return double(node.inputs[1].shape()[0]) + 2; }
double flops_spread(const Node& node) { return 2.0 * double(node.inputs[0].size()); }
double ulp_spread(const Node& node) {
  return double(node.inputs[0].shape()[0]) * double(node.inputs[0].shape()[2]) + 2;
}

// ---- what functions are given
// -------------------------------------------------------------------

void check_matrices(const array& a, const array& b, const char* op) {
  if (a.ndim() < 2 || b.ndim() < 2)
    fail(Kind::value, op, "too few axes: got shapes ", a.shape(), " and ", b.shape(),
         ", expected 2 or more");
  if (a.shape(-1) != b.shape(-2))
    fail(Kind::value, op, "inner sizes differ: got shapes ", a.shape(), " and ", b.shape());
}
// Matrices in one stack.
array stack_of(const array& a, Stream s) {
  return reshape(a, {size_of(Shape(a.shape().begin(), a.shape().end() - 2)), a.shape(-2),
                     a.shape(-1)}, s);
}
// Integers, those that count from the end too; without any: each of a stack in turn.
array indices_of(const std::optional<array>& given, const array& a, const char* name, Stream s) {
  const Shape front(a.shape().begin(), a.shape().end() - 2);
  const int64_t n = size_of(front);
  if (!given) return reshape(arange(0, n, 1, int64, s), front, s);
  if (!is_integer(given->dtype()))
    fail(Kind::value, "gather_mm", name, ": got ", given->dtype(), ", expected integers");
  const array at = astype(*given, int64, s);
  return where(less(at, 0, s), add(at, n, s), at, s);
}

// A mask by blocks as one by elements, over the last two axes of a.
array masked(const array& a, const array& mask, int64_t block, const char* name, Stream s) {
  const auto blocks = [&](int axis) { return (a.shape(axis) + block - 1) / block; };
  if (mask.ndim() < 2 || mask.shape(-2) != blocks(-2) || mask.shape(-1) != blocks(-1))
    fail(Kind::value, "block_masked_mm", name, ": got shape ", mask.shape(), ", expected (..., ",
         blocks(-2), ", ", blocks(-1), ") for a matrix of shape ", a.shape());
  const int last = mask.ndim() - 1;
  array m = slice_axis(repeat(mask, block, last, s), last, 0, a.shape(-1), s);
  m = slice_axis(repeat(m, block, last - 1, s), last - 1, 0, a.shape(-2), s);
  if (is_bool(mask.dtype())) return where(m, a, zeros_like(a, s), s);
  return multiply(a, astype(m, a.dtype(), s), s);
}

}  // namespace

const Op named_product_op =
    op<NamedProduct>("gather_mm", "Products of the matrices that indices name, added up by name.",
                     {.infer = typed<infer_named>,
                      .vjp = typed<vjp_named>,
                      .jvp = typed<jvp_named>,
                      .vmap = typed<vmap_named>,
                      .ulp = ulp_named,
                      .flops = flops_named});
const Op part_product_op = op("segmented_mm", "Products of parts of the inner axis.",
                              {.infer = typed<infer_part>,
                               .vjp = vjp_part,
                               .jvp = jvp_parts,
                               .vmap = vmap_parts,
                               .ulp = ulp_part,
                               .flops = flops_part});
const Op spread_product_op =
    op("segmented_spread", "Sums over parts of rows times the matrix of each.",
       {.infer = typed<infer_spread>,
        .vjp = vjp_spread,
        .jvp = jvp_parts,
        .vmap = vmap_parts,
        .ulp = ulp_spread,
        .flops = flops_spread});

array gather_mm(const array& a, const array& b, const std::optional<array>& lhs_indices,
                const std::optional<array>& rhs_indices, Stream s) {
  check_matrices(a, b, "gather_mm");
  if (!lhs_indices && !rhs_indices) return matmul(a, b, s);
  const Dtype t = promote(a.dtype(), b.dtype());
  const array lhs = indices_of(lhs_indices, a, "lhs_indices", s),
              rhs = indices_of(rhs_indices, b, "rhs_indices", s);
  const Shape shape = broadcast_shapes(lhs.shape(), rhs.shape(), "gather_mm");
  const int64_t n = size_of(shape);
  const auto flat = [&](const array& i) { return reshape(broadcast_to(i, shape, s), {n}, s); };
  const array made =
      named(stack_of(astype(a, t, s), s), stack_of(astype(b, t, s), s), flat(lhs), flat(rhs),
            arange(0, n, 1, int64, s), n, s);
  Shape out = shape;
  out.push_back(a.shape(-2));
  out.push_back(b.shape(-1));
  return reshape(made, out, s);
}

array segmented_mm(const array& a, const array& b, const array& segments, Stream s) {
  check_matrices(a, b, "segmented_mm");
  if (a.ndim() != 2 || b.ndim() != 2)
    fail(Kind::value, "segmented_mm", "not two matrices: got shapes ", a.shape(), " and ",
         b.shape());
  if (segments.ndim() == 0 || segments.shape(-1) != 2 || !is_integer(segments.dtype()))
    fail(Kind::value, "segmented_mm", "segments: got ", segments.dtype(), " of shape ",
         segments.shape(), ", expected integers of shape (..., 2)");
  const Dtype t = promote(a.dtype(), b.dtype());
  Shape out(segments.shape().begin(), segments.shape().end() - 1);
  const array parts = reshape(astype(segments, int64, s), {size_of(out), 2}, s);
  const array made = part(astype(a, t, s), astype(b, t, s), parts, s);
  out.push_back(a.shape(0));
  out.push_back(b.shape(1));
  return reshape(made, out, s);
}

array block_masked_mm(const array& a, const array& b, int64_t block_size,
                      const std::optional<array>& mask_out, const std::optional<array>& mask_lhs,
                      const std::optional<array>& mask_rhs, Stream s) {
  check_matrices(a, b, "block_masked_mm");
  if (block_size < 1)
    fail(Kind::value, "block_masked_mm", "block_size: got ", block_size, ", expected 1 or more");
  const array x = mask_lhs ? masked(a, *mask_lhs, block_size, "mask_lhs", s) : a,
              y = mask_rhs ? masked(b, *mask_rhs, block_size, "mask_rhs", s) : b,
              out = matmul(x, y, s);
  return mask_out ? masked(out, *mask_out, block_size, "mask_out", s) : out;
}

}  // namespace lazulite
