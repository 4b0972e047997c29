// Sparse products: shapes, derivatives (each is one of the others), batching.
#include "ops/compose/array.h"
#include "ops/create/create.h"
#include "ops/derivatives.h"
#include "ops/elementwise/elementwise.h"
#include "ops/index/index.h"
#include "ops/lanes.h"
#include "ops/shape/shape.h"
#include "ops/sparse/ops.h"

namespace lazulite {
namespace {

// ---- shapes

bool is_place(Dtype t) { return t == int32 || t == int64; }

void check_pattern(const char* op, const array& indices, const array& indptr) {
  if (indices.ndim() != 1 || indptr.ndim() != 1 || indptr.size() == 0 ||
      !is_place(indices.dtype()) || indices.dtype() != indptr.dtype())
    fail(Kind::value, op, "indices and indptr do not fit: got ", indices.dtype(), indices.shape(),
         " and ", indptr.dtype(), indptr.shape(),
         ", expected one axis each, int32 or int64, and one element or more of indptr");
}
int64_t rows_of(const array& indptr) { return indptr.size() - 1; }
bool is_number(Dtype t) { return !is_complex(t) && !is_bool(t); }

Specs infer_product(const Arrays& in) {
  const char* op = "sparse.product";
  check_inputs(op, in, 4);
  const array &data = in[0], &b = in[3];
  check_pattern(op, in[1], in[2]);
  if (data.ndim() != 3 || data.shape(0) != in[1].size() || b.ndim() != 2 ||
      data.dtype() != b.dtype() || !is_number(b.dtype()))
    fail(Kind::value, op, "shapes do not fit: got data ", data.dtype(), data.shape(),
         " at indices ", in[1].shape(), " and b ", b.dtype(), b.shape());
  const int64_t wide = data.shape(2);
  if (wide == 0 || b.shape(0) % wide)
    fail(Kind::value, op, "blocks do not fit: got ", wide, " columns of a block for ", b.shape(0),
         " rows of b");
  return {Spec{{product_of_sizes(rows_of(in[2]), data.shape(1), op), b.shape(1)}, b.dtype()}};
}
Specs infer_sampled(const Blocks& k, const Arrays& in) {
  const char* op = "sparse.sampled_product";
  check_inputs(op, in, 4);
  const array &a = in[0], &b = in[1];
  check_pattern(op, in[2], in[3]);
  bool fits = a.ndim() == 2 && b.ndim() == 2 && a.dtype() == b.dtype() && is_number(a.dtype()) &&
              k.high >= 1 && k.wide >= 1;
  fits = fits && a.shape(1) == b.shape(1) && b.shape(0) % k.wide == 0 &&
         a.shape(0) % k.high == 0 && a.shape(0) / k.high == rows_of(in[3]);
  if (!fits)
    fail(Kind::value, op, "shapes do not fit: got a ", a.dtype(), a.shape(), " and b ", b.dtype(),
         b.shape(), " for ", rows_of(in[3]), " rows of blocks (", k.high, ", ", k.wide, ")");
  return {Spec{{in[2].size(), k.high, k.wide}, a.dtype()}};
}
Specs infer_group(const Numbers& n, const Arrays& in) {
  check_inputs("sparse.group", in, in.size() == 2 ? 2 : 1);
  if (in.size() == 2) check_pattern("sparse.group", in[0], in[1]);
  if (in[0].ndim() != 1 || !is_place(in[0].dtype()) || n.size < 0)
    fail(Kind::value, "sparse.group", "does not fit: got ", in[0].dtype(), in[0].shape(),
         " for size ", n.size, ", expected one axis of int32 or int64");
  return {Spec{{sum_of_sizes(n.size, 1, "sparse.group")}, in[0].dtype()}, in[0].slot().spec};
}
Specs infer_rows(const Numbers& n, const Arrays& in) {
  check_inputs("sparse.row_numbers", in, 1);
  if (in[0].ndim() != 1 || in[0].size() == 0 || !is_place(in[0].dtype()) || n.size < 0)
    fail(Kind::value, "sparse.row_numbers", "indptr does not fit: got ", in[0].dtype(),
         in[0].shape(), " for size ", n.size,
         ", expected one axis of int32 or int64 with an element or more");
  return {Spec{{n.size}, in[0].dtype()}};
}

// Two patterns of which the second has a row for each column of the first.
void check_crossed(const char* op, const Crossed& c, const array& a_indices, const array& a_indptr,
                   const array& b_indices, const array& b_indptr) {
  check_pattern(op, a_indices, a_indptr);
  check_pattern(op, b_indices, b_indptr);
  if (a_indices.dtype() != b_indices.dtype() || c.columns < 0 || c.size < 0)
    fail(Kind::value, op, "patterns do not fit: got ", a_indices.dtype(), " and ",
         b_indices.dtype(), ", ", c.columns, " columns and size ", c.size);
}
Specs infer_pattern_rows(const Crossed& c, const Arrays& in) {
  check_inputs("sparse.product_pattern", in, 4);
  check_crossed("sparse.product_pattern", c, in[0], in[1], in[2], in[3]);
  return {in[1].slot().spec};
}
Specs infer_pattern(const Crossed& c, const Arrays& in) {
  check_inputs("sparse.product_pattern", in, 5);
  check_crossed("sparse.product_pattern", c, in[0], in[1], in[2], in[3]);
  if (in[4].shape() != in[1].shape() || in[4].dtype() != in[1].dtype())
    fail(Kind::value, "sparse.product_pattern", "indptr does not fit: got ", in[4].dtype(),
         in[4].shape(), ", expected ", in[1].dtype(), in[1].shape());
  return {Spec{{c.size}, in[0].dtype()}};
}
Specs infer_product_at(const Crossed& c, const Arrays& in) {
  const char* op = "sparse.product_at";
  check_inputs(op, in, 8);
  check_crossed(op, c, in[1], in[2], in[4], in[5]);
  check_pattern(op, in[6], in[7]);
  if (in[0].shape() != in[1].shape() || in[3].shape() != in[4].shape() ||
      in[0].dtype() != in[3].dtype() || !is_number(in[0].dtype()) ||
      in[6].dtype() != in[1].dtype() || in[7].shape() != in[2].shape())
    fail(Kind::value, op, "shapes do not fit: got data ", in[0].dtype(), in[0].shape(), " and ",
         in[3].dtype(), in[3].shape(), ", indptr ", in[2].shape(), " and that of the result ",
         in[7].shape());
  return {Spec{in[6].shape(), in[0].dtype()}};
}

// ---- ops from ops

array run(const Op& op, AttrsRef attrs, const Arrays& in, Stream s) {
  return record(op, std::move(attrs), in, s);
}
array blocks_product(const array& data, const array& indices, const array& indptr, const array& b,
                     Stream s) {
  return run(sparse_product_op, {}, {data, indices, indptr, b}, s);
}
array blocks_sampled(const array& a, const array& b, const array& indices, const array& indptr,
                     int64_t high, int64_t wide, Stream s) {
  return run(sampled_product_op, attrs(Blocks{high, wide}), {a, b, indices, indptr}, s);
}

struct Turned {
  array data, indices, indptr;
};
// The transposed matrix, of so many columns of blocks.
Turned turned(const array& data, const array& indices, const array& indptr, int64_t columns,
              Stream s) {
  const Arrays grouped = record_all(sparse_group_op, attrs(Numbers{columns}), {indices, indptr}, s);
  const array rows = run(sparse_rows_op, attrs(Numbers{indices.size()}), {indptr}, s),
              order = grouped[1];
  array moved = take(data, order, 0, s);
  if (moved.ndim() == 3) moved = transpose(moved, {0, 2, 1}, s);
  return {moved, take(rows, order, 0, s), grouped[0]};
}

Arrays vjp_product(const Node& node, const Arrays& cts, const Needs& needs) {
  const array &data = node.inputs[0], &indices = node.inputs[1], &indptr = node.inputs[2],
              &b = node.inputs[3];
  Arrays out{array(), array(), array(), array()};
  if (needs[0])
    out[0] = blocks_sampled(cts[0], b, indices, indptr, data.shape(1), data.shape(2), node.stream);
  if (needs[3]) {
    const Turned t =
        turned(data, indices, indptr, b.shape(0) / data.shape(2), node.stream);
    out[3] = data.shape(1) == 0 ? zeros_like(b)
                                : blocks_product(t.data, t.indices, t.indptr, cts[0], node.stream);
  }
  return out;
}
Arrays jvp_product(const Node& node, const Arrays& t) {
  array out;
  const Arrays& in = node.inputs;
  if (t[0]) out = blocks_product(t[0], in[1], in[2], in[3], node.stream);
  if (t[3]) {
    const array other = blocks_product(in[0], in[1], in[2], t[3], node.stream);
    out = out ? out + other : other;
  }
  return {out};
}

Arrays vjp_sampled(const Blocks& k, const Node& node, const Arrays& cts, const Needs& needs) {
  const array &a = node.inputs[0], &b = node.inputs[1], &indices = node.inputs[2],
              &indptr = node.inputs[3];
  Arrays out{array(), array(), array(), array()};
  if (needs[0]) out[0] = blocks_product(cts[0], indices, indptr, b, node.stream);
  if (needs[1]) {
    const Turned t = turned(cts[0], indices, indptr, b.shape(0) / k.wide, node.stream);
    out[1] = blocks_product(t.data, t.indices, t.indptr, a, node.stream);
  }
  return out;
}
Arrays jvp_sampled(const Blocks& k, const Node& node, const Arrays& t) {
  array out;
  const Arrays& in = node.inputs;
  if (t[0]) out = blocks_sampled(t[0], in[1], in[2], in[3], k.high, k.wide, node.stream);
  if (t[1]) {
    const array other = blocks_sampled(in[0], t[1], in[2], in[3], k.high, k.wide, node.stream);
    out = out ? out + other : other;
  }
  return {out};
}

Arrays vjp_product_at(const Crossed& c, const Node& node, const Arrays& cts, const Needs& needs) {
  const Arrays& in = node.inputs;
  Arrays out;
  out.resize(in.size());
  const int64_t inner = rows_of(in[5]);
  if (needs[0]) {  // ct @ b.T at the places of a
    const Turned b = turned(in[3], in[4], in[5], c.columns, node.stream);
    out[0] = run(sparse_product_at_op, attrs(Crossed{inner, 0}),
                 {cts[0], in[6], in[7], b.data, b.indices, b.indptr, in[1], in[2]}, node.stream);
  }
  if (needs[3]) {  // a.T @ ct at the places of b
    const Turned a = turned(in[0], in[1], in[2], inner, node.stream);
    out[3] = run(sparse_product_at_op, attrs(Crossed{c.columns, 0}),
                 {a.data, a.indices, a.indptr, cts[0], in[6], in[7], in[4], in[5]}, node.stream);
  }
  return out;
}
Arrays jvp_product_at(const Crossed& c, const Node& node, const Arrays& t) {
  array out;
  for (const size_t i : {size_t(0), size_t(3)}) {
    if (!t[i]) continue;
    Arrays in = node.inputs;
    in[i] = t[i];
    const array part = run(sparse_product_at_op, attrs(c), in, node.stream);
    out = sum_of(out, part);
  }
  return {out};
}

// One node for each lane: patterns of their own have rows of other lengths.
Arrays vmap_lanes(const Node& node, const Arrays& in, const Axes& axes, Axes& out_axes) {
  const int64_t lanes = lane_count(in, axes);
  const size_t outputs = node.out.size();
  out_axes.clear();
  out_axes.resize(outputs, 0);
  if (lanes == 0) {
    Arrays none;
    for (const auto& out : node.out)
      none.push_back(zeros(with_front(0, out.spec.shape), out.spec.type, node.stream));
    return none;
  }
  std::vector<std::vector<array>> made(outputs);
  for (int64_t lane = 0; lane < lanes; ++lane) {
    Arrays each;
    for (size_t i = 0; i < in.size(); ++i)
      each.push_back(axes[i] < 0 ? in[i] : take(in[i], lane, axes[i], node.stream));
    const Arrays all = record_all(*node.op, node.attributes, each, node.stream);
    for (size_t o = 0; o < outputs; ++o) made[o].push_back(all[o]);
  }
  Arrays out;
  for (auto& each : made) out.push_back(stack(each, 0, node.stream));
  return out;
}
// Where b alone has lanes, they are more of its columns.
Arrays vmap_product(const Node& node, const Arrays& in, const Axes& axes, Axes& out_axes) {
  if (axes[0] >= 0 || axes[1] >= 0 || axes[2] >= 0) return vmap_lanes(node, in, axes, out_axes);
  const array b = moveaxis(in[3], axes[3], 1, node.stream);
  const int64_t lanes = b.shape(1), columns = b.shape(2);
  const array all = blocks_product(
      in[0], in[1], in[2],
      reshape(b, {b.shape(0), product_of_sizes(lanes, columns, "sparse.product")}, node.stream),
      node.stream);
  out_axes = {1};
  return {reshape(all, {all.shape(0), lanes, columns}, node.stream)};
}

double flops_product(const Node& node) {
  return 2.0 * double(node.inputs[0].size()) * double(node.inputs[3].shape(1));
}
double flops_sampled(const Node& node) {
  return 2.0 * double(size_of(node.out[0].spec.shape)) * double(node.inputs[0].shape(1));
}

// ---- arguments

array as_places(const array& a, const char* op, const char* name, Stream s) {
  if (!is_integer(a.dtype()))
    fail(Kind::type, op, name, ": got ", a.dtype(), ", expected integers");
  if (is_place(a.dtype())) return a;
  return astype(a, size_of(a.dtype()) < 4 ? int32 : int64, s);
}
struct Places {
  array indices, indptr;
};
Places places(const array& indices, const array& indptr, const char* op, Stream s) {
  Places p{as_places(indices, op, "indices", s), as_places(indptr, op, "indptr", s)};
  if (p.indices.dtype() != p.indptr.dtype())
    p = {astype(p.indices, int64, s), astype(p.indptr, int64, s)};
  check_pattern(op, p.indices, p.indptr);
  return p;
}
void to_int64(Places& p, Stream s) {
  p = {astype(p.indices, int64, s), astype(p.indptr, int64, s)};
}

array joined(const array& re, const array& im, Stream s) {
  return add(re, multiply(im, Scalar(std::complex<double>(0, 1)), s), s);
}
// f(x, y), bilinear, for the dtype that both are made: complex numbers by their parts; of bools
// whether the sum of products is not zero.
template <class F>
array bilinear(const array& x, const array& y, F&& f, Stream s) {
  const Dtype t = promote(x.dtype(), y.dtype());
  if (is_bool(t)) return astype(f(astype(x, int32, s), astype(y, int32, s)), bool_, s);
  const array a = astype(x, t, s), b = astype(y, t, s);
  if (!is_complex(t)) return f(a, b);
  const array ar = real(a, s), ai = imag(a, s), br = real(b, s), bi = imag(b, s);
  return joined(subtract(f(ar, br), f(ai, bi), s), add(f(ar, bi), f(ai, br), s), s);
}

}  // namespace

const Op sparse_product_op = op("sparse_product", "A sparse matrix of blocks times a dense one.",
                                {.infer = typed<infer_product>,
                                 .vjp = vjp_product,
                                 .jvp = jvp_product,
                                 .vmap = vmap_product,
                                 .flops = flops_product});
const Op sampled_product_op =
    op<Blocks>("sampled_product", "The product of dense matrices where a sparse one has blocks.",
               {.infer = typed<infer_sampled>,
                .vjp = typed<vjp_sampled>,
                .jvp = typed<jvp_sampled>,
                .vmap = vmap_lanes,
                .flops = flops_sampled});
const Op sparse_group_op = op<Numbers>("sparse_group", "Where each number stands.",
                                       {.infer = typed<infer_group>,
                                        .vjp = no_gradient,
                                        .jvp = no_tangent,
                                        .vmap = vmap_lanes});
const Op sparse_rows_op = op<Numbers>("sparse_rows", "The row of each place.",
                                      {.infer = typed<infer_rows>,
                                       .vjp = no_gradient,
                                       .jvp = no_tangent,
                                       .vmap = vmap_lanes});
const Op sparse_pattern_rows_op =
    op<Crossed>("sparse_pattern_rows", "Where rows of the product of two patterns begin.",
                {.infer = typed<infer_pattern_rows>,
                 .vjp = no_gradient,
                 .jvp = no_tangent,
                 .vmap = vmap_lanes});
const Op sparse_pattern_op = op<Crossed>(
    "sparse_pattern", "The columns of the product of patterns.",
    {.infer = typed<infer_pattern>, .vjp = no_gradient, .jvp = no_tangent, .vmap = vmap_lanes});
const Op sparse_product_at_op =
    op<Crossed>("sparse_product_at", "The product of sparse matrices at places of a pattern.",
                {.infer = typed<infer_product_at>,
                 .vjp = typed<vjp_product_at>,
                 .jvp = typed<jvp_product_at>,
                 .vmap = vmap_lanes});

OpList sparse_ops() {
  return {&sparse_product_op, &sampled_product_op,     &sparse_group_op,     &sparse_rows_op,
          &sparse_pattern_op, &sparse_pattern_rows_op, &sparse_product_at_op};
}

namespace sparse {

array product(const array& data, const array& indices, const array& indptr, const array& b,
              Stream s) {
  const char* op = "sparse.product";
  const Places at = places(indices, indptr, op, s);
  if ((data.ndim() != 1 && data.ndim() != 3) || data.shape(0) != at.indices.size())
    fail(Kind::value, op, "data does not fit: got shape ", data.shape(), ", expected (",
         at.indices.size(), ") or (", at.indices.size(), ", rows of a block, columns of a block)");
  if (b.ndim() == 0) fail(Kind::value, op, "b: got shape (), expected one axis or more");
  const array blocks = data.ndim() == 3 ? data : reshape(data, {data.size(), 1, 1}, s);
  array x = b;
  Shape rest;
  if (b.ndim() == 1) x = reshape(b, {b.size(), 1}, s);
  if (b.ndim() > 2) {  // leading axes are more columns
    x = moveaxis(b, -2, 0, s);
    rest = Shape(x.shape().begin() + 1, x.shape().end());
    x = reshape(x, {x.shape(0), size_of(rest)}, s);
  }
  array out = bilinear(
      blocks, x,
      [&](const array& d, const array& y) {
        return blocks_product(d, at.indices, at.indptr, y, s);
      },
      s);
  if (b.ndim() == 1) return reshape(out, {out.shape(0)}, s);
  if (b.ndim() == 2) return out;
  return moveaxis(reshape(out, with_front(out.shape(0), rest), s), 0, -2, s);
}

array sampled_product(const array& a, const array& b, const array& indices, const array& indptr,
                      int64_t high, int64_t wide, Stream s) {
  const Places at = places(indices, indptr, "sparse.sampled_product", s);
  const array out = bilinear(
      a, b,
      [&](const array& x, const array& y) {
        return blocks_sampled(x, y, at.indices, at.indptr, high, wide, s);
      },
      s);
  return high == 1 && wide == 1 ? reshape(out, {out.shape(0)}, s) : out;
}

std::vector<array> group(const array& numbers, int64_t size, Stream s) {
  const Arrays made = record_all(sparse_group_op, attrs(Numbers{size}),
                                 {as_places(numbers, "sparse.group", "numbers", s)}, s);
  return {made[0], made[1]};
}

array row_numbers(const array& indptr, int64_t size, Stream s) {
  return run(sparse_rows_op, attrs(Numbers{size}),
             {as_places(indptr, "sparse.row_numbers", "indptr", s)}, s);
}

std::vector<array> product_pattern(const array& a_indices, const array& a_indptr,
                                   const array& b_indices, const array& b_indptr, int64_t columns,
                                   std::optional<int64_t> size, Stream s) {
  const char* op = "sparse.product_pattern";
  if (size && *size < 0) fail(Kind::value, op, "size: got ", *size, ", expected 0 or more");
  Places a = places(a_indices, a_indptr, op, s), b = places(b_indices, b_indptr, op, s);
  if (a.indices.dtype() != b.indices.dtype()) to_int64(a, s), to_int64(b, s);
  const array indptr = run(sparse_pattern_rows_op, attrs(Crossed{columns, 0}),
                           {a.indices, a.indptr, b.indices, b.indptr}, s);
  if (!size)
    size = number_read(astype(take(indptr, rows_of(indptr), 0, s), int64, s), op,
                       "s.matmul(t, size=1000)");
  return {run(sparse_pattern_op, attrs(Crossed{columns, *size}),
              {a.indices, a.indptr, b.indices, b.indptr, indptr}, s),
          indptr};
}

array product_at(const Matrix& a, const Matrix& b, const array& indices, const array& indptr,
                 int64_t columns, Stream s) {
  const char* op = "sparse.product_at";
  Places x = places(a.indices, a.indptr, op, s), y = places(b.indices, b.indptr, op, s),
         at = places(indices, indptr, op, s);
  if (x.indices.dtype() != y.indices.dtype() || x.indices.dtype() != at.indices.dtype())
    to_int64(x, s), to_int64(y, s), to_int64(at, s);
  return bilinear(
      a.data, b.data,
      [&](const array& d, const array& e) {
        return run(sparse_product_at_op, attrs(Crossed{columns, 0}),
                   {d, x.indices, x.indptr, e, y.indices, y.indptr, at.indices, at.indptr}, s);
      },
      s);
}

}  // namespace sparse
}  // namespace lazulite
