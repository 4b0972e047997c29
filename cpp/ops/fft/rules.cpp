// Fourier transforms: three ops along one axis, and the functions that are made of them.
#include <cmath>

#include "ops/compose/shape.h"
#include "ops/create/create.h"
#include "ops/elementwise/elementwise.h"
#include "ops/fft/ops.h"
#include "ops/lanes.h"

namespace lazulite::fft {
namespace {

// ---- shapes, checks

Specs infer(const char* op, const Transform& t, const Arrays& in, bool real_in, bool real_out) {
  check_inputs(op, in, 1);
  const array& a = in[0];
  const Dtype type = a.dtype();
  const bool fits = real_in ? type == float32 || type == float64 : is_complex(type);
  if (!fits) fail(Kind::value, op, "dtype not supported: got ", type);
  if (t.axis < 0 || t.axis >= a.ndim())
    fail(Kind::value, op, "axis does not fit: got ", t.axis, " of ", a.ndim());
  if (t.n < 1) fail(Kind::value, op, "n: got ", t.n, ", expected 1 or more");
  if ((real_in && t.inverse) || (real_out && !t.inverse))
    fail(Kind::value, op, "direction does not fit");
  Shape shape = a.shape();
  shape[size_t(t.axis)] = real_in ? t.n / 2 + 1 : t.n;
  return {Spec{shape, real_in ? complex_type(type) : real_out ? real_type(type) : type}};
}
Specs infer_fft(const Transform& t, const Arrays& in) { return infer("fft", t, in, false, false); }
Specs infer_fft_onto(const Transform& t, const Arrays& in) {
  const Specs out = infer("fft_onto", t, in, false, false);
  if (t.n != in[0].shape()[size_t(t.axis)])
    fail(Kind::value, "fft_onto", "n: got ", t.n, " for shape ", in[0].shape());
  return out;
}
Specs infer_rfft(const Transform& t, const Arrays& in) { return infer("rfft", t, in, true, false); }
Specs infer_irfft(const Transform& t, const Arrays& in) {
  return infer("irfft", t, in, false, true);
}

array transform(const Op& op, const array& a, const Transform& t, Stream s) {
  return record(op, attrs(t), {a}, s);
}

// ---- derivatives: each is linear, so that its derivative is its adjoint

// The axis as long as that of `like`: cut, or with zeros behind it.
array fit(const array& a, int axis, const array& like) {
  const int64_t have = a.shape()[size_t(axis)], wanted = like.shape()[size_t(axis)];
  if (have >= wanted) return have == wanted ? a : slice_axis(a, axis, 0, wanted);
  Shape low, high;
  low.resize(size_t(a.ndim()), 0);
  high.resize(size_t(a.ndim()), 0);
  high[size_t(axis)] = wanted - have;
  return pad(a, low, high, 0);
}
// Half a spectrum with the numbers that have a mirror image (all but the first, and but the last of
// an even n) times `factor`.
array weighted(const array& a, int axis, int64_t n, double factor) {
  const int64_t count = n / 2 + 1;
  const array k = ramp(0, 1, count, real_type(a.dtype()));
  const array alone = logical_or(equal(k, 0), equal(multiply(k, 2), n));
  Shape shape;
  shape.resize(size_t(a.ndim()), 1);
  shape[size_t(axis)] = count;
  return multiply(a, reshape(where(alone, as_array(1.0, k.dtype(), "where"),
                                   as_array(factor, k.dtype(), "where")),
                             shape));
}

Arrays vjp_fft(const Transform& t, const Node& node, const Arrays& cts, const Needs&) {
  const array back = transform(fft_op, cts[0], {t.axis, t.n, !t.inverse, t.scale}, node.stream);
  return {fit(back, t.axis, node.inputs[0])};
}
Arrays vjp_rfft(const Transform& t, const Node& node, const Arrays& cts, const Needs&) {
  const array half = weighted(cts[0], t.axis, t.n, 0.5);
  const array back = transform(irfft_op, half, {t.axis, t.n, true, t.scale}, node.stream);
  return {fit(back, t.axis, node.inputs[0])};
}
Arrays vjp_irfft(const Transform& t, const Node& node, const Arrays& cts, const Needs&) {
  const array half = transform(rfft_op, cts[0], {t.axis, t.n, false, t.scale}, node.stream);
  return {fit(weighted(half, t.axis, t.n, 2), t.axis, node.inputs[0])};
}

template <const Op& op>
Arrays vmap_transform(const Transform& t, const Node& node, const Arrays& in, const Axes& axes,
                      Axes& out_axes) {
  out_axes = {0};
  return {transform(op, batch_first(in[0], axes[0]), {t.axis + 1, t.n, t.inverse, t.scale},
                    node.stream)};
}

double flops_of(const Transform& t, const Node& node) {
  double lines = 1;
  for (int i = 0; i < node.inputs[0].ndim(); ++i)
    if (i != t.axis) lines *= double(node.inputs[0].shape()[size_t(i)]);
  return 5 * lines * double(t.n) * std::log2(double(t.n));
}
double flops_of_real(const Transform& t, const Node& node) { return flops_of(t, node) / 2; }

}  // namespace

const Op fft_op = op<Transform>("fft", "The discrete Fourier transform along one axis.",
                                {.linear = true,
                                 .infer = typed<infer_fft>,
                                 .vjp = typed<vjp_fft>,
                                 .vmap = typed<vmap_transform<fft_op>>,
                                 .flops = typed<flops_of>});
const Op fft_onto_op =
    op<Transform>("fft_onto", "The discrete Fourier transform along one axis, in place.",
                  {.linear = true,
                   .update = true,
                   .infer = typed<infer_fft_onto>,
                   .vjp = typed<vjp_fft>,
                   .vmap = typed<vmap_transform<fft_onto_op>>,
                   .flops = typed<flops_of>});
const Op rfft_op = op<Transform>("rfft", "The first half of a real array's Fourier transform.",
                                 {.linear = true,
                                  .infer = typed<infer_rfft>,
                                  .vjp = typed<vjp_rfft>,
                                  .vmap = typed<vmap_transform<rfft_op>>,
                                  .flops = typed<flops_of_real>});
const Op irfft_op = op<Transform>("irfft", "The real array whose transform begins with the input.",
                                  {.linear = true,
                                   .infer = typed<infer_irfft>,
                                   .vjp = typed<vjp_irfft>,
                                   .vmap = typed<vmap_transform<irfft_op>>,
                                   .flops = typed<flops_of_real>});

// ---- arguments

double scale_of(const Norm& norm, double n, bool inverse, const char* op) {
  const std::string name = norm.value_or("backward");
  if (name == "ortho") return 1 / std::sqrt(n);
  if (name == "backward") return inverse ? 1 / n : 1;
  if (name == "forward") return inverse ? 1 : 1 / n;
  fail(Kind::value, op, "norm: got '", name, "', expected 'backward', 'ortho' or 'forward'");
}
int axis_of(const array& a, int axis, const char* op) {
  if (a.ndim() == 0) fail(Kind::value, op, "0-d array: got shape (), expected one axis or more");
  return normal_axis(axis, a.ndim(), op);
}
int64_t length_of(const Length& given, int64_t otherwise, const char* op) {
  const int64_t n = given.value_or(otherwise);
  if (n < 1) fail(Kind::value, op, "n: got ", n, ", expected 1 or more");
  return n;
}
array as_real(const array& a, const char* op, Stream s) {
  if (is_complex(a.dtype()))
    fail(Kind::value, op, "dtype not supported: got ", a.dtype(), ", expected a real dtype");
  return astype(a, a.dtype() == float64 ? float64 : float32, s);
}

namespace {

Norm opposite(const Norm& norm) {
  if (!norm || *norm == "backward") return "forward";
  if (*norm == "forward") return "backward";
  return norm;
}

array as_complex(const array& a, Stream s) { return astype(a, complex_type(a.dtype()), s); }

// made: the array is of the function itself, and may be written over.
array full(const array& a, const Length& length, int axis, const Norm& norm, bool inverse,
           const char* op, Stream s, bool made = false) {
  axis = axis_of(a, axis, op);
  const int64_t n = length_of(length, a.shape()[size_t(axis)], op);
  const double scale = scale_of(norm, double(n), inverse, op);
  const bool onto = made && n == a.shape()[size_t(axis)];
  return transform(onto ? fft_onto_op : fft_op, as_complex(a, s), {axis, n, inverse, scale}, s);
}
array to_half(const array& a, const Length& length, int axis, const Norm& norm, const char* op,
              Stream s) {
  axis = axis_of(a, axis, op);
  const int64_t n = length_of(length, a.shape()[size_t(axis)], op);
  const double scale = scale_of(norm, double(n), false, op);
  return transform(rfft_op, as_real(a, op, s), {axis, n, false, scale}, s);
}
array from_half(const array& a, const Length& length, int axis, const Norm& norm, const char* op,
                Stream s) {
  axis = axis_of(a, axis, op);
  const int64_t n = length_of(length, 2 * (a.shape()[size_t(axis)] - 1), op);
  const double scale = scale_of(norm, double(n), true, op);
  return transform(irfft_op, as_complex(a, s), {axis, n, true, scale}, s);
}

// The axes of a transform over several, and their lengths (-1, or none: as long as they are).
struct Several {
  Axes axes;
  Shape lengths;
  Several(const array& a, const Lengths& given, const Along& along, const char* op) {
    if (along) {
      for (const int axis : *along) axes.push_back(normal_axis(axis, a.ndim(), op));
    } else {
      const int count = given ? int(given->size()) : a.ndim();
      if (count > a.ndim())
        fail(Kind::value, op, "s: got ", count, " lengths, expected at most ", a.ndim());
      for (int i = a.ndim() - count; i < a.ndim(); ++i) axes.push_back(i);
    }
    for (size_t i = 0; i < axes.size(); ++i)
      for (size_t k = 0; k < i; ++k)
        if (axes[i] == axes[k]) fail(Kind::value, op, "axes: got ", axes[i], " twice");
    if (given && given->size() != axes.size())
      fail(Kind::value, op, "s: got ", given->size(), " lengths for ", axes.size(), " axes");
    lengths.resize(axes.size(), -1);
    if (given) lengths = *given;
  }
  size_t size() const { return axes.size(); }
  Length operator[](size_t i) const {
    return lengths[i] == -1 ? Length() : Length(lengths[i]);
  }
  void check_some(const char* op) const {
    if (axes.empty()) fail(Kind::value, op, "axes: got none, expected one or more");
  }
};

array full_all(array a, const Lengths& lengths, const Along& along, const Norm& norm, bool inverse,
               const char* op, Stream s) {
  const Several all(a, lengths, along, op);
  scale_of(norm, 1, inverse, op);
  a = as_complex(a, s);
  for (size_t i = all.size(); i-- > 0;)
    a = full(a, all[i], all.axes[i], norm, inverse, op, s, i + 1 < all.size());
  return a;
}

}  // namespace

array fft(const array& a, const Length& n, int axis, const Norm& norm, Stream s) {
  return full(a, n, axis, norm, false, "fft", s);
}
array ifft(const array& a, const Length& n, int axis, const Norm& norm, Stream s) {
  return full(a, n, axis, norm, true, "ifft", s);
}
array rfft(const array& a, const Length& n, int axis, const Norm& norm, Stream s) {
  return to_half(a, n, axis, norm, "rfft", s);
}
array irfft(const array& a, const Length& n, int axis, const Norm& norm, Stream s) {
  return from_half(a, n, axis, norm, "irfft", s);
}
array hfft(const array& a, const Length& n, int axis, const Norm& norm, Stream s) {
  return from_half(conjugate(a, s), n, axis, opposite(norm), "hfft", s);
}
array ihfft(const array& a, const Length& n, int axis, const Norm& norm, Stream s) {
  return conjugate(to_half(a, n, axis, opposite(norm), "ihfft", s), s);
}

array fftn(const array& a, const Lengths& lengths, const Along& axes, const Norm& norm, Stream s) {
  return full_all(a, lengths, axes, norm, false, "fftn", s);
}
array ifftn(const array& a, const Lengths& lengths, const Along& axes, const Norm& norm,
            Stream s) {
  return full_all(a, lengths, axes, norm, true, "ifftn", s);
}
array rfftn(const array& a, const Lengths& lengths, const Along& axes, const Norm& norm,
            Stream s) {
  const Several all(a, lengths, axes, "rfftn");
  all.check_some("rfftn");
  size_t i = all.size() - 1;
  array y = to_half(a, all[i], all.axes[i], norm, "rfftn", s);
  while (i-- > 0) y = full(y, all[i], all.axes[i], norm, false, "rfftn", s, true);
  return y;
}
array irfftn(const array& a, const Lengths& lengths, const Along& axes, const Norm& norm,
             Stream s) {
  const Several all(a, lengths, axes, "irfftn");
  all.check_some("irfftn");
  array y = a;
  const size_t last = all.size() - 1;
  for (size_t i = 0; i < last; ++i)
    y = full(y, all[i], all.axes[i], norm, true, "irfftn", s, i > 0);
  return from_half(y, all[last], all.axes[last], norm, "irfftn", s);
}

namespace {
array frequencies(const array& k, int64_t n, double d, Dtype t, const char* op, Stream s) {
  if (!is_floating(t)) fail(Kind::value, op, "not a floating dtype: got ", t);
  return astype(multiply(k, 1 / (double(n) * d), s), t, s);
}
}  // namespace
array fftfreq(int64_t n, double d, Dtype t, Stream s) {
  length_of(n, n, "fftfreq");
  const array k = concatenate({ramp(0, 1, (n + 1) / 2, float64, s),
                               ramp(-double(n / 2), 1, n / 2, float64, s)},
                              0, s);
  return frequencies(k, n, d, t, "fftfreq", s);
}
array rfftfreq(int64_t n, double d, Dtype t, Stream s) {
  length_of(n, n, "rfftfreq");
  return frequencies(ramp(0, 1, n / 2 + 1, float64, s), n, d, t, "rfftfreq", s);
}

namespace {
array shifted(const array& a, const Along& along, bool back, const char* op, Stream s) {
  Axes axes;
  if (along)
    for (const int axis : *along) axes.push_back(normal_axis(axis, a.ndim(), op));
  else
    axes = all_axes(a.ndim());
  Shape by;
  for (const int axis : axes) {
    const int64_t half = a.shape()[size_t(axis)] / 2;
    by.push_back(back ? -half : half);
  }
  return axes.empty() ? a : roll(a, by, axes, s);
}
}  // namespace

array fftshift(const array& a, const Along& axes, Stream s) {
  return shifted(a, axes, false, "fftshift", s);
}
array ifftshift(const array& a, const Along& axes, Stream s) {
  return shifted(a, axes, true, "ifftshift", s);
}

}  // namespace lazulite::fft

namespace lazulite {
OpList fft_ops() { return {&fft::fft_op, &fft::fft_onto_op, &fft::rfft_op, &fft::irfft_op}; }
}  // namespace lazulite
