#include "ops/create/create.h"
#include "ops/derivatives.h"
#include "ops/elementwise/elementwise.h"
#include "ops/index/index.h"
#include "ops/lanes.h"
#include "ops/matmul/matmul.h"
#include "ops/quant/ops.h"
#include "ops/reduce/reduce.h"
#include "ops/shape/shape.h"

namespace lazulite {
namespace {

constexpr Mode modes[] = {Mode::affine, Mode::mxfp4, Mode::mxfp8, Mode::nvfp4};

// Attributes may come from a file.
template <class P>
void check(const char* op, const P& p) {
  const auto is_one_of = [](int64_t v, std::initializer_list<int64_t> all) {
    for (const int64_t one : all)
      if (v == one) return true;
    return false;
  };
  bool fits = false;
  switch (p.mode) {
    case Mode::affine:
      fits = is_one_of(p.bits, {2, 3, 4, 5, 6, 8}) && is_one_of(p.group, {32, 64, 128});
      break;
    case Mode::mxfp4: fits = p.bits == 4 && p.group == 32; break;
    case Mode::mxfp8: fits = p.bits == 8 && p.group == 32; break;
    case Mode::nvfp4: fits = p.bits == 4 && p.group == 16; break;
  }
  if (fits && (!p.global || p.mode == Mode::nvfp4)) return;
  if (p.mode == Mode::affine)
    fail(Kind::value, op, "group_size and bits: got ", p.group, " and ", p.bits,
         ", expected 32, 64 or 128 and 2, 3, 4, 5, 6 or 8");
  fail(Kind::value, op, "group_size and bits: got ", p.group, " and ", p.bits, ", expected ",
       p.mode == Mode::nvfp4 ? 16 : 32, " and ", p.mode == Mode::mxfp8 ? 8 : 4);
}
template <class P>
bool has_biases(const P& p) {
  return p.mode == Mode::affine;
}
template <class P>
size_t packed_inputs(const P& p) {  // words, scales, biases, global
  return 2 + size_t(has_biases(p)) + size_t(p.global);
}

// Words, scales [, biases] [, global] from in[first] on: of one matrix, or a stack.
template <class P>
void check_packed(const char* op, const P& p, const Arrays& in, size_t first) {
  check(op, p);
  check_inputs(op, in, first + packed_inputs(p));
  const array &w = in[first], &scales = in[first + 1];
  const bool biases = has_biases(p);
  bool fits = w.dtype() == uint32 && w.ndim() >= 1 && scales.ndim() == w.ndim() &&
              (biases ? is_floating(scales.dtype()) : scales.dtype() == uint8);
  for (int i = 0; fits && i + 1 < w.ndim(); ++i) fits = w.shape(i) == scales.shape(i);
  // Without overflow: words of so many bits are those of so many groups.
  if (fits) fits = w.shape(-1) % p.bits == 0 || w.shape(-1) * 32 % p.bits == 0;
  if (fits)
    fits = w.shape(-1) < int64_t(1) << 56 && scales.shape(-1) < int64_t(1) << 54 &&
           w.shape(-1) * 32 == scales.shape(-1) * p.group * p.bits;
  if (fits && biases)
    fits = in[first + 2].shape() == scales.shape() && in[first + 2].dtype() == scales.dtype();
  if (fits && p.global)
    fits = in.back().dtype() == float32 && in.back().ndim() == 0;
  if (!fits)
    fail(Kind::value, op, "does not fit: got words of shape ", w.shape(), " and ", scales.dtype(),
         " scales of shape ", scales.shape(), " for ", p.bits, " bits in groups of ", p.group);
}
template <class P>
int64_t numbers(const P& p, const array& w) {  // of a row of words
  return w.shape(-1) * 32 / p.bits;
}

bool any(const Axes& axes, size_t from, size_t to) {
  for (size_t i = from; i < to; ++i)
    if (axes[i] >= 0) return true;
  return false;
}
// Lane by lane: for a scale of scales that differs between them.
Arrays each_lane(const Node& node, const Arrays& in, const Axes& axes, Axes& out_axes) {
  const int64_t lanes = lane_count(in, axes);
  std::vector<std::vector<array>> made(node.out.size());
  for (size_t k = 0; k < made.size(); ++k) out_axes.push_back(0);
  for (int64_t lane = 0; lane < lanes; ++lane) {
    Arrays one;
    for (size_t k = 0; k < in.size(); ++k)
      one.push_back(axes[k] < 0 ? in[k]
                                : squeeze(slice_axis(in[k], axes[k], lane, lane + 1),
                                          Axes{axes[k]}));
    const Arrays out = record_all(*node.op, node.attributes, std::move(one), node.stream);
    for (size_t k = 0; k < made.size(); ++k) made[k].push_back(out[k]);
  }
  Arrays out;
  for (size_t k = 0; k < made.size(); ++k)
    out.push_back(lanes ? stack(made[k], 0)
                        : zeros(with_front(0, node.out[k].spec.shape), node.out[k].spec.type));
  return out;
}

// ---- packing
// ------------------------------------------------------------------------------------------

void check_numbers(const char* op, const Packing& p, const Arrays& in) {
  check(op, p);
  check_inputs(op, in, 1 + size_t(p.global));
  const array& w = in[0];
  if (!is_floating(w.dtype()))
    fail(Kind::value, op, "got ", w.dtype(), ", expected a floating dtype");
  if (w.ndim() < 1 || w.shape(-1) % p.group)
    fail(Kind::value, op, "the last axis is no whole number of groups: got shape ", w.shape(),
         ", expected a multiple of ", p.group);
  if (p.global && (in[1].dtype() != float32 || in[1].ndim() != 0))
    fail(Kind::value, op, "global_scale: got ", in[1].dtype(), " of shape ", in[1].shape(),
         ", expected one float32 number");
}
Specs infer_quantize(const Packing& p, const Arrays& in) {
  check_numbers("quantize", p, in);
  Shape words = in[0].shape(), scales = words;
  words.back() = words.back() / 32 * p.bits + words.back() % 32 * p.bits / 32;
  scales.back() /= p.group;
  const Dtype type = has_biases(p) ? in[0].dtype() : uint8;
  Specs out{Spec{words, uint32}, Spec{scales, type}};
  if (has_biases(p)) out.push_back(Spec{scales, type});
  return out;
}
Arrays vmap_rows(const Packing& p, const Node& node, const Arrays& in, const Axes& axes,
                 Axes& out_axes) {
  if (p.global && axes[1] >= 0) return each_lane(node, in, axes, out_axes);
  Arrays all = in;
  all[0] = batch_first(in[0], axes[0]);
  for (size_t k = 0; k < node.out.size(); ++k) out_axes.push_back(0);
  return record_all(*node.op, node.attributes, std::move(all), node.stream);
}

Specs infer_round(const Packing& p, const Arrays& in) {
  check_numbers("round_to_codes", p, in);
  return {in[0].slot().spec};
}
Arrays vjp_through(const Node& node, const Arrays& cts, const Needs&) {
  Arrays out;
  out.resize(node.inputs.size());
  out[0] = cts[0];
  return out;
}
Arrays jvp_through(const Node&, const Arrays& t) { return {t[0]}; }

// ---- unpacking
// ----------------------------------------------------------------------------------------

Specs infer_dequantize(const Unpacking& p, const Arrays& in) {
  check_packed("dequantize", p, in, 0);
  if (!is_floating(p.type))
    fail(Kind::value, "dequantize", "dtype: got ", p.type, ", expected a floating dtype");
  Shape shape = in[0].shape();
  shape.back() = numbers(p, in[0]);
  return {Spec{shape, p.type}};
}
array unpacked(const Unpacking& p, const array& w, const array& scales, const array& biases,
               Stream s) {
  return record(dequantize_op, attrs(p), {w, scales, biases}, s);
}
// The codes as numbers.
template <class P>
array codes_of(const P& p, const array& w, const array& scales, Dtype type, Stream s) {
  const array one = ones_like(scales, s);
  return unpacked({p.mode, p.bits, p.group, false, type}, w, one, zeros_like(one, s), s);
}
// Gradients of scales and biases from that of what they stand for.
template <class P>
void slopes(const P& p, const array& ct, const array& w, const array& scales, bool of_scales,
            bool of_biases, array& scale, array& bias, Stream s) {
  const auto grouped = [&](const array& a) {
    return unflatten(a, a.ndim() - 1, {a.shape(-1) / p.group, p.group}, s);
  };
  const array by_group = grouped(ct);
  const int last = by_group.ndim() - 1;
  if (of_scales)
    scale = astype(sum(multiply(by_group, grouped(codes_of(p, w, scales, ct.dtype(), s)), s),
                       {last}, false, s), scales.dtype(), s);
  if (of_biases) bias = astype(sum(by_group, {last}, false, s), scales.dtype(), s);
}
Arrays vjp_dequantize(const Unpacking& p, const Node& node, const Arrays& cts,
                      const Needs& needs) {
  Arrays out;
  out.resize(node.inputs.size());
  if (has_biases(p))
    slopes(p, cts[0], node.inputs[0], node.inputs[1], needs[1], needs[2], out[1], out[2],
           node.stream);
  return out;
}
Arrays jvp_dequantize(const Unpacking& p, const Node& node, const Arrays& t) {
  if (!has_biases(p) || (!t[1] && !t[2])) return no_tangent(node, t);
  const array none = zeros_like(node.inputs[1]);
  return {unpacked(p, node.inputs[0], t[1] ? t[1] : none, t[2] ? t[2] : none, node.stream)};
}
Arrays vmap_dequantize(const Unpacking& p, const Node& node, const Arrays& in, const Axes& axes,
                       Axes& out_axes) {
  if (p.global && axes.back() >= 0) return each_lane(node, in, axes, out_axes);
  const int64_t lanes = lane_count(in, axes);
  Arrays all;
  for (size_t k = 0; k < in.size(); ++k)
    all.push_back(p.global && k + 1 == in.size() ? in[k] : lane_first(in[k], axes[k], lanes));
  out_axes = {0};
  return record_all(*node.op, node.attributes, std::move(all), node.stream);
}

// ---- products
// -----------------------------------------------------------------------------------------

Shape front_of(const array& a) { return Shape(a.shape().begin(), a.shape().end() - 2); }
void check_inner(const char* op, const PackedMatmul& p, const array& x, const array& w) {
  if (!is_floating(x.dtype()) || x.ndim() < 2 || w.ndim() < 2)
    fail(Kind::value, op, "does not fit: got ", x.dtype(), " of shape ", x.shape(),
         " and words of shape ", w.shape(), ", expected a floating dtype and two axes or more");
  const int64_t inner = p.transpose ? numbers(p, w) : w.shape(-2);
  if (x.shape(-1) != inner)
    fail(Kind::value, op, "inner sizes differ: got ", x.shape(-1), " (last axis of ", x.shape(),
         ") and ", inner, " of the packed matrix");
}
Specs infer_product(const PackedMatmul& p, const Arrays& in) {
  const char* op = "quantized_matmul";
  check_packed(op, p, in, 1);
  const array &x = in[0], &w = in[1];
  check_inner(op, p, x, w);
  const Shape front = front_of(x);
  if (broadcast_shapes(front_of(w), front, op) != front)
    fail(Kind::value, op, "does not fit: got shapes ", x.shape(), " and ", w.shape());
  Shape out = x.shape();
  out.back() = p.transpose ? w.shape(-2) : numbers(p, w);
  return {Spec{out, x.dtype()}};
}
array product(const PackedMatmul& p, const array& x, const Arrays& packed, Stream s) {
  Arrays in{x};
  for (const array& a : packed) in.push_back(a);
  return record(quantized_matmul_op, attrs(p), std::move(in), s);
}
Arrays packed_of(const Node& node, size_t first) {
  Arrays out;
  for (size_t i = first; i < node.inputs.size(); ++i) out.push_back(node.inputs[i]);
  return out;
}
PackedMatmul turned(PackedMatmul p) {
  p.transpose = !p.transpose;
  return p;
}
// The gradient of the numbers that a packed matrix stands for: of x @ w.T (transpose), or x @ w.
array slope_of_numbers(const PackedMatmul& p, const array& x, const array& ct, const array& w,
                       Stream s) {
  array a = p.transpose ? ct : x, b = p.transpose ? x : ct;
  if (w.ndim() == 2 && x.ndim() > 2) {
    a = reshape(a, {-1, a.shape(-1)}, s);
    b = reshape(b, {-1, b.shape(-1)}, s);
  }
  Shape to = front_of(w);
  const array all = matmul(matrix_transpose(a), b, s);
  to.push_back(all.shape(-2));
  to.push_back(all.shape(-1));
  return sum_to(all, to, s);
}
Arrays vjp_product(const PackedMatmul& p, const Node& node, const Arrays& cts,
                   const Needs& needs) {
  Arrays out;
  out.resize(node.inputs.size());
  const array &x = node.inputs[0], &w = node.inputs[1];
  if (needs[0]) out[0] = product(turned(p), cts[0], packed_of(node, 1), node.stream);
  if (has_biases(p) && (needs[2] || needs[3]))
    slopes(p, slope_of_numbers(p, x, cts[0], w, node.stream), w, node.inputs[2], needs[2],
           needs[3], out[2], out[3], node.stream);
  return out;
}
Arrays jvp_product(const PackedMatmul& p, const Node& node, const Arrays& t) {
  array out;
  if (t[0]) out = product(p, t[0], packed_of(node, 1), node.stream);
  if (has_biases(p) && (t[2] || t[3])) {
    const array none = zeros_like(node.inputs[2]);
    const array more = product(p, node.inputs[0],
                               {node.inputs[1], t[2] ? t[2] : none, t[3] ? t[3] : none},
                               node.stream);
    out = out ? out + more : more;
  }
  return {out};
}
Arrays vmap_product(const PackedMatmul& p, const Node& node, const Arrays& in, const Axes& axes,
                    Axes& out_axes) {
  if (p.global && axes.back() >= 0) return each_lane(node, in, axes, out_axes);
  const int64_t lanes = lane_count(in, axes);
  out_axes = {0};
  const size_t packed = in.size() - size_t(p.global);
  const bool mapped = any(axes, 1, packed);
  Arrays all{lane_first(in[0], axes[0], lanes)};
  for (size_t k = 1; k < in.size(); ++k) {
    if (k >= packed || !mapped) {
      all.push_back(in[k]);
      continue;
    }
    // Lanes, then as many axes in front as x has.
    const array a = lane_first(in[k], axes[k], lanes);
    Shape shape{lanes};
    for (int i = a.ndim(); i < all[0].ndim(); ++i) shape.push_back(1);
    shape.append(a.shape().begin() + 1, a.shape().end());
    all.push_back(reshape(a, shape, node.stream));
  }
  return {record(*node.op, node.attributes, std::move(all), node.stream)};
}

template <size_t at>  // of x and the words
double flops_product(const Node& node) {
  const array& x = node.inputs[0];
  const Shape& out = node.out[0].spec.shape;
  return 2.0 * double(size_of(out)) * double(x.shape(-1));
}
// In float32 a few rows have 16 bits in each group of x: off by 2^-16 of a group's largest number.
template <class P>
double ulp_product(const P& p, const Node& node) {
  const double sums = double(node.inputs[0].shape(-1)) + 2;
  return node.out[0].spec.type == float64 ? sums : sums + 256.0 * double(p.group);
}

// ---- products by name
// ---------------------------------------------------------------------------------

Specs infer_gather(const PackedMatmul& p, const Arrays& in) {
  const char* op = "gather_qmm";
  check_packed(op, p, in, 3);
  const array &x = in[0], &l = in[1], &r = in[2], &w = in[3];
  check_inner(op, p, x, w);
  if (x.ndim() != 3 || w.ndim() != 3 || l.ndim() != 1 || l.shape() != r.shape() ||
      l.dtype() != int64 || r.dtype() != int64)
    fail(Kind::value, op, "does not fit: got shapes ", x.shape(), ", ", l.shape(), ", ", r.shape(),
         " and ", w.shape());
  return {Spec{Shape{l.shape(0), x.shape(1), p.transpose ? w.shape(1) : numbers(p, w)},
               x.dtype()}};
}
array gathered(const PackedMatmul& p, const array& x, const array& l, const array& r,
               const Arrays& packed, Stream s) {
  Arrays in{x, l, r};
  for (const array& a : packed) in.push_back(a);
  return record(gather_qmm_op, attrs(p), std::move(in), s);
}
Arrays vjp_gather(const PackedMatmul& p, const Node& node, const Arrays& cts,
                  const Needs& needs) {
  Arrays out;
  out.resize(node.inputs.size());
  const array &x = node.inputs[0], &l = node.inputs[1], &r = node.inputs[2], &w = node.inputs[3];
  const Stream s = node.stream;
  const int64_t count = l.shape(0);
  if (needs[0]) {
    const array each = gathered(turned(p), cts[0], arange(0, count, 1, int64, s), r,
                                packed_of(node, 3), s);
    out[0] = scatter_add(zeros_like(x, s), {l}, each, {0}, s);
  }
  if (has_biases(p) && (needs[4] || needs[5])) {
    const array of_x = take(x, l, 0, s), a = p.transpose ? cts[0] : of_x,
                b = p.transpose ? of_x : cts[0];
    const array each = matmul(matrix_transpose(a), b, s);
    const array all = scatter_add(
        zeros({w.shape(0), each.shape(1), each.shape(2)}, each.dtype(), s), {r}, each, {0}, s);
    slopes(p, all, w, node.inputs[4], needs[4], needs[5], out[4], out[5], s);
  }
  return out;
}
Arrays jvp_gather(const PackedMatmul& p, const Node& node, const Arrays& t) {
  const Arrays& in = node.inputs;
  array out;
  if (t[0]) out = gathered(p, t[0], in[1], in[2], packed_of(node, 3), node.stream);
  if (has_biases(p) && (t[4] || t[5])) {
    const array none = zeros_like(in[4]);
    const array more = gathered(p, in[0], in[1], in[2],
                                {in[3], t[4] ? t[4] : none, t[5] ? t[5] : none}, node.stream);
    out = out ? out + more : more;
  }
  return {out};
}
// Lanes become more matrices, as of gather_mm.
Arrays vmap_gather(const PackedMatmul& p, const Node& node, const Arrays& in, const Axes& axes,
                   Axes& out_axes) {
  if (p.global && axes.back() >= 0) return each_lane(node, in, axes, out_axes);
  const int64_t lanes = lane_count(in, axes);
  const size_t packed = in.size() - size_t(p.global);
  const bool mapped = any(axes, 3, packed);
  const auto stacked = [&](size_t k, bool moved) {
    if (!moved) return in[k];
    const array a = lane_first(in[k], axes[k], lanes);
    return flatten(a, 0, 1);
  };
  const auto indices = [&](size_t k, int64_t count, bool moved) {
    array x = lane_first(in[k], axes[k], lanes);
    if (moved) {
      const array first = reshape(multiply(arange(0, lanes, 1, int64), count), {lanes, 1});
      x = where(logical_and(greater_equal(x, 0), less(x, count)), add(x, first), -1);
    }
    return reshape(x, {-1});
  };
  const int64_t count = node.inputs[1].shape(0);
  Arrays all{stacked(0, axes[0] >= 0), indices(1, node.inputs[0].shape(0), axes[0] >= 0),
             indices(2, node.inputs[3].shape(0), mapped)};
  for (size_t k = 3; k < in.size(); ++k) all.push_back(stacked(k, mapped && k < packed));
  out_axes = {0};
  return {unflatten(record(*node.op, node.attributes, std::move(all), node.stream), 0,
                    {lanes, count})};
}

// ---- small floats
// -------------------------------------------------------------------------------------

Specs infer_to_fp8(const Arrays& in) {
  check_inputs("to_fp8", in, 1);
  if (!is_floating(in[0].dtype()))
    fail(Kind::value, "to_fp8", "got ", in[0].dtype(), ", expected a floating dtype");
  return {Spec{in[0].shape(), uint8}};
}
Specs infer_from_fp8(const To& to, const Arrays& in) {
  check_inputs("from_fp8", in, 1);
  if (in[0].dtype() != uint8)
    fail(Kind::value, "from_fp8", "dtype: got ", in[0].dtype(), ", expected uint8");
  if (!is_floating(to.type))
    fail(Kind::value, "from_fp8", "dtype: got ", to.type, ", expected a floating dtype");
  return {Spec{in[0].shape(), to.type}};
}
Arrays vmap_each(const Node& node, const Arrays& in, const Axes& axes, Axes& out_axes) {
  out_axes = {0};
  return {record(*node.op, node.attributes, {batch_first(in[0], axes[0])}, node.stream)};
}

// ---- products of int8
// ---------------------------------------------------------------------------------------------

Specs infer_int8(const Arrays& in) {
  check_inputs("int8_matmul", in, 2);
  const Shape &a = in[0].shape(), &b = in[1].shape();
  bool fits = a.size() >= 2 && a.size() == b.size() && in[0].dtype() == int8 &&
              in[1].dtype() == int8 && a.back() == b[b.size() - 2];
  for (size_t i = 0; fits && i + 2 < a.size(); ++i) fits = a[i] == b[i];
  if (!fits)
    fail(Kind::value, "int8_matmul", "does not fit: got ", in[0].dtype(), " of shape ", a, " and ",
         in[1].dtype(), " of shape ", b, ", expected the dtype int8");
  Shape shape = a;
  shape.back() = b.back();
  return {Spec{shape, int32}};
}
Arrays vmap_int8(const Node& node, const Arrays& in, const Axes& axes, Axes& out_axes) {
  out_axes = {0};
  return {int8_matmul(batch_first(in[0], axes[0]), batch_first(in[1], axes[1]), {}, {},
                      node.stream)};
}
double flops_int8(const Node& node) {
  return 2.0 * double(size_of(node.out[0].spec.shape)) * double(node.inputs[0].shape(-1));
}

// ---- what functions are given
// -------------------------------------------------------------------------

Packing packing_of(const char* op, const Quantization& q) {
  constexpr const char* names[] = {"affine", "mxfp4", "mxfp8", "nvfp4"};
  constexpr int64_t bits[] = {4, 4, 8, 4}, groups[] = {64, 32, 32, 16};
  for (const Mode mode : modes) {
    if (q.mode != names[int(mode)]) continue;
    Packing p{mode, q.bits.value_or(bits[int(mode)]), q.group_size.value_or(groups[int(mode)]),
              q.global_scale.has_value()};
    if (p.global && mode != Mode::nvfp4)
      fail(Kind::value, op, "global_scale: got one for mode '", q.mode, "', expected nvfp4");
    check(op, p);
    return p;
  }
  fail(Kind::value, op, "mode: got '", q.mode, "', expected affine, mxfp4, mxfp8 or nvfp4");
}
array number(const char* op, const array& a, Stream s) {
  if (a.size() != 1 || is_complex(a.dtype()))
    fail(Kind::value, op, "global_scale: got ", a.dtype(), " of shape ", a.shape(),
         ", expected one number");
  return reshape(astype(a, float32, s), {}, s);
}
array floating(const char* op, const array& a) {
  if (!is_floating(a.dtype()))
    fail(Kind::value, op, "got ", a.dtype(), ", expected a floating dtype");
  return a;
}

// Words, scales [, biases] [, global], checked; scales and biases of one dtype.
Arrays packed_arrays(const char* op, const Packing& p, const array& w, const array& scales,
                     const std::optional<array>& biases, const Quantization& q, Stream s) {
  if (w.dtype() != uint32)
    fail(Kind::value, op, "w: got ", w.dtype(), ", expected the dtype uint32 of packed codes");
  if (has_biases(p) != biases.has_value())
    fail(Kind::value, op, "biases: got ", biases ? "some" : "none", ", expected ",
         biases ? "none" : "some", " for mode '", q.mode, "'");
  Arrays out{w};
  if (has_biases(p)) {
    const Dtype t = promote(scales.dtype(), biases->dtype());
    if (!is_floating(t))
      fail(Kind::value, op, "scales: got ", t, ", expected a floating dtype");
    out.push_back(astype(scales, t, s));
    out.push_back(astype(*biases, t, s));
  } else {
    if (scales.dtype() != uint8)
      fail(Kind::value, op, "scales: got ", scales.dtype(), ", expected the dtype uint8");
    out.push_back(scales);
  }
  if (p.global) out.push_back(number(op, *q.global_scale, s));
  check_packed(op, p, out, 0);
  return out;
}

PackedMatmul of_product(const Packing& p, bool transpose) {
  return {p.mode, p.bits, p.group, p.global, transpose};
}
// Integers, those that count from the end too; without any: each of a stack in turn.
array indices_of(const char* op, const std::optional<array>& given, const array& a,
                 const char* name, Stream s) {
  const Shape front = front_of(a);
  const int64_t n = size_of(front);
  if (!given) return reshape(arange(0, n, 1, int64, s), front, s);
  if (!is_integer(given->dtype()))
    fail(Kind::value, op, name, ": got ", given->dtype(), ", expected integers");
  const array at = astype(*given, int64, s);
  return where(less(at, 0, s), add(at, n, s), at, s);
}
array stacked(const array& a, Stream s) {
  return reshape(a, {size_of(front_of(a)), a.shape(-2), a.shape(-1)}, s);
}

}  // namespace

const Op quantize_op = op<Packing>("quantize", "Codes of a few bits, with scales by group.",
                                   {.infer = typed<infer_quantize>,
                                    .vjp = no_gradient,
                                    .jvp = no_tangent,
                                    .vmap = typed<vmap_rows>});
const Op round_to_codes_op =
    op<Packing>("round_to_codes", "Each number as its code of a few bits stands for it.",
                {.infer = typed<infer_round>,
                 .vjp = vjp_through,
                 .jvp = jvp_through,
                 .vmap = typed<vmap_rows>});
const Op dequantize_op = op<Unpacking>("dequantize", "What codes of a few bits stand for.",
                                       {.infer = typed<infer_dequantize>,
                                        .vjp = typed<vjp_dequantize>,
                                        .jvp = typed<jvp_dequantize>,
                                        .vmap = typed<vmap_dequantize>});
const Op quantized_matmul_op =
    op<PackedMatmul>("quantized_matmul", "Products with matrices packed in a few bits.",
                     {.infer = typed<infer_product>,
                      .vjp = typed<vjp_product>,
                      .jvp = typed<jvp_product>,
                      .vmap = typed<vmap_product>,
                      .ulp = typed<ulp_product<PackedMatmul>>,
                      .flops = flops_product<1>});
const Op gather_qmm_op =
    op<PackedMatmul>("gather_qmm", "Products with packed matrices that indices name.",
                     {.infer = typed<infer_gather>,
                      .vjp = typed<vjp_gather>,
                      .jvp = typed<jvp_gather>,
                      .vmap = typed<vmap_gather>,
                      .ulp = typed<ulp_product<PackedMatmul>>,
                      .flops = flops_product<3>});
const Op to_fp8_op = op("to_fp8", "The nearest small floats, as bytes.",
                        {.infer = typed<infer_to_fp8>,
                         .vjp = no_gradient,
                         .jvp = no_tangent,
                         .vmap = vmap_each});
const Op from_fp8_op = op<To>("from_fp8", "What bytes of small floats stand for.",
                              {.infer = typed<infer_from_fp8>,
                               .vjp = no_gradient,
                               .jvp = no_tangent,
                               .vmap = vmap_each});

const Op int8_matmul_op = op("int8_matmul", "Products of int8 matrices, with sums of int32.",
                             {.infer = typed<infer_int8>,
                              .vjp = no_gradient,
                              .jvp = no_tangent,
                              .vmap = vmap_int8,
                              .flops = flops_int8});

OpList quant_ops() {
  return {&quantize_op,   &round_to_codes_op, &dequantize_op, &quantized_matmul_op,
          &gather_qmm_op, &to_fp8_op,         &from_fp8_op,   &int8_matmul_op};
}

std::vector<array> quantize(const array& w, const Quantization& q, Stream s) {
  const Packing p = packing_of("quantize", q);
  floating("quantize", w);
  if (w.ndim() < 2)
    fail(Kind::value, "quantize", "too few axes: got shape ", w.shape(), ", expected 2 or more");
  Arrays in{w};
  if (p.global) in.push_back(number("quantize", *q.global_scale, s));
  const Arrays out = record_all(quantize_op, attrs(p), std::move(in), s);
  return {out.begin(), out.end()};
}

array round_to_codes(const array& x, const Quantization& q, Stream s) {
  const Packing p = packing_of("round_to_codes", q);
  Arrays in{floating("round_to_codes", x)};
  if (p.global) in.push_back(number("round_to_codes", *q.global_scale, s));
  return record(round_to_codes_op, attrs(p), std::move(in), s);
}

array dequantize(const array& w, const array& scales, const std::optional<array>& biases,
                 const Quantization& q, std::optional<Dtype> type, Stream s) {
  const Packing p = packing_of("dequantize", q);
  Arrays in = packed_arrays("dequantize", p, w, scales, biases, q, s);
  const Dtype t = type.value_or(has_biases(p) ? in[1].dtype() : bfloat16);
  return record(dequantize_op, attrs(Unpacking{p.mode, p.bits, p.group, p.global, t}),
                std::move(in), s);
}

array quantized_matmul(const array& x, const array& w, const array& scales,
                       const std::optional<array>& biases, bool transpose, const Quantization& q,
                       Stream s) {
  const char* op = "quantized_matmul";
  const Packing p = packing_of(op, q);
  floating(op, x);
  const Arrays packed = packed_arrays(op, p, w, scales, biases, q, s);
  if (x.ndim() == 0 || w.ndim() < 2)
    fail(Kind::value, op, "too few axes: got shapes ", x.shape(), " and ", w.shape(),
         ", expected 1 and 2 or more");
  const Dtype t = has_biases(p) ? promote(x.dtype(), packed[1].dtype()) : x.dtype();
  const bool row = x.ndim() == 1;
  array a = astype(row ? reshape(x, {1, x.shape(0)}, s) : x, t, s);
  const PackedMatmul attributes = of_product(p, transpose);
  check_inner(op, attributes, a, w);
  Shape shape = broadcast_shapes(front_of(a), front_of(w), op);
  if (w.ndim() == 2 && a.ndim() > 2) {  // one product of all rows
    a = reshape(a, {product_of_sizes(size_of(shape), a.shape(-2), op), a.shape(-1)}, s);
    shape.push_back(x.shape(-2));
  } else {
    shape.push_back(a.shape(-2));
    Shape whole = shape;
    whole.push_back(a.shape(-1));
    a = broadcast_to(a, whole, s);
  }
  const array out = product(attributes, a, packed, s);
  if (row) shape.pop_back();
  shape.push_back(out.shape(-1));
  return reshape(out, shape, s);
}

array gather_qmm(const array& x, const array& w, const array& scales,
                 const std::optional<array>& biases, const std::optional<array>& lhs_indices,
                 const std::optional<array>& rhs_indices, bool transpose, const Quantization& q,
                 Stream s) {
  const char* op = "gather_qmm";
  if (!lhs_indices && !rhs_indices)
    return quantized_matmul(x, w, scales, biases, transpose, q, s);
  const Packing p = packing_of(op, q);
  floating(op, x);
  Arrays packed = packed_arrays(op, p, w, scales, biases, q, s);
  const PackedMatmul attributes = of_product(p, transpose);
  check_inner(op, attributes, x, w);
  const array lhs = indices_of(op, lhs_indices, x, "lhs_indices", s),
              rhs = indices_of(op, rhs_indices, w, "rhs_indices", s);
  const Shape shape = broadcast_shapes(lhs.shape(), rhs.shape(), op);
  const int64_t n = size_of(shape);
  const auto flat = [&](const array& i) { return reshape(broadcast_to(i, shape, s), {n}, s); };
  const Dtype t = has_biases(p) ? promote(x.dtype(), packed[1].dtype()) : x.dtype();
  for (size_t k = 0; k < 2 + size_t(has_biases(p)); ++k) packed[k] = stacked(packed[k], s);
  const array made =
      gathered(attributes, stacked(astype(x, t, s), s), flat(lhs), flat(rhs), packed, s);
  Shape out = shape;
  out.push_back(made.shape(1));
  out.push_back(made.shape(2));
  return reshape(made, out, s);
}

namespace {

// x and w as their codes stand for them: w as it is where it is packed.
Quantization of_both(const char* op, const Quantization& q, const array& x,
                     const std::optional<array>& scales, const array& w) {
  const Packing p = packing_of(op, q);
  if (p.mode != Mode::nvfp4 && p.mode != Mode::mxfp8)
    fail(Kind::value, op, "mode: got '", q.mode, "', expected nvfp4 or mxfp8");
  floating(op, x);
  if (!scales) floating(op, w);
  return q;
}

}  // namespace

array qqmm(const array& x, const array& w, const std::optional<array>& scales,
           const Quantization& q, const std::optional<array>& global_scale_x, Stream s) {
  Quantization of_x = of_both("qqmm", q, x, scales, w);
  of_x.global_scale = global_scale_x;
  const array a = round_to_codes(x, of_x, s);
  if (scales) return quantized_matmul(a, w, *scales, {}, true, q, s);
  return matmul(a, matrix_transpose(round_to_codes(w, q, s)), s);
}

array gather_qqmm(const array& x, const array& w, const std::optional<array>& scales,
                  const std::optional<array>& lhs_indices, const std::optional<array>& rhs_indices,
                  const Quantization& q, const std::optional<array>& global_scale_x, Stream s) {
  Quantization of_x = of_both("gather_qqmm", q, x, scales, w);
  of_x.global_scale = global_scale_x;
  const array a = round_to_codes(x, of_x, s);
  if (scales) return gather_qmm(a, w, *scales, {}, lhs_indices, rhs_indices, true, q, s);
  return gather_mm(a, matrix_transpose(round_to_codes(w, q, s)), lhs_indices, rhs_indices, s);
}

array to_fp8(const array& x, Stream s) {
  return record(to_fp8_op, {}, {floating("to_fp8", x)}, s);
}
array from_fp8(const array& x, Dtype type, Stream s) {
  return record(from_fp8_op, attrs(To{type}), {x}, s);
}

array int8_matmul(const array& a, const array& b, const std::optional<array>& a_scale,
                  const std::optional<array>& b_scale, Stream s) {
  const char* op = "int8_matmul";
  if (a.dtype() != int8 || b.dtype() != int8)
    fail(Kind::value, op, "got ", a.dtype(), " and ", b.dtype(), ", expected the dtype int8");
  if (a.ndim() < 2 || b.ndim() < 2)
    fail(Kind::value, op, "too few axes: got shapes ", a.shape(), " and ", b.shape(),
         ", expected 2 or more");
  if (a.shape(-1) != b.shape(-2))
    fail(Kind::value, op, "inner sizes differ: got shapes ", a.shape(), " and ", b.shape());
  const Shape batch = broadcast_shapes(front_of(a), front_of(b), op);
  array x = a, y = b, out;
  if (a.ndim() > 2 && b.ndim() == 2) {  // one product of all rows
    x = reshape(a, {product_of_sizes(size_of(batch), a.shape(-2), op), a.shape(-1)}, s);
    Shape shape(a.shape().begin(), a.shape().end() - 1);
    shape.push_back(b.shape(-1));
    out = reshape(record(int8_matmul_op, {}, {x, y}, s), shape, s);
  } else {
    const auto wide = [&](const array& v) {
      Shape shape = batch;
      shape.push_back(v.shape(-2));
      shape.push_back(v.shape(-1));
      return broadcast_to(v, shape, s);
    };
    out = record(int8_matmul_op, {}, {wide(a), wide(b)}, s);
  }
  if (!a_scale && !b_scale) return out;
  Dtype t = a_scale ? floating(op, *a_scale).dtype() : floating(op, *b_scale).dtype();
  if (a_scale && b_scale) t = promote(t, floating(op, *b_scale).dtype());
  const Shape shape = out.shape();
  out = astype(out, compute_type(t), s);
  const auto scaled = [&](const std::optional<array>& scale, int axis, int64_t n,
                          const char* name) {
    if (!scale) return;
    if (scale->ndim() > 0 && scale->shape(-1) != n && scale->shape(-1) != 1)
      fail(Kind::value, op, name, ": got shape ", scale->shape(), ", expected one number, or ", n);
    out = multiply(out, scale->ndim() ? expand_dims(*scale, {axis}, s) : *scale, s);
  };
  scaled(a_scale, -1, a.shape(-2), "a_scale");
  scaled(b_scale, -2, b.shape(-1), "b_scale");
  if (out.shape() != shape)
    fail(Kind::value, op, "scales do not fit: got a result of shape ", out.shape(), ", expected ",
         shape);
  return astype(out, t, s);
}

}  // namespace lazulite
