// Pooling on the CPU: describes windows and operands to engine/pool.
#include <algorithm>
#include <cmath>
#include <vector>

#include "engine/pool/pool.h"
#include "engine/pool/weigh.h"
#include "ops/cpu.h"
#include "ops/pool/ops.h"

namespace lazulite {
namespace {

// Where the windows of an axis begin and end.
struct Bounds {
  std::vector<int64_t> begin, end;
};

Bounds windows_of(const Pool& p, size_t i) {
  const int64_t in = p.in[i], out = p.out[i];
  Bounds w;
  for (int64_t o = 0; o < out; ++o) {
    int64_t from, to;
    if (p.size.empty()) {
      // o * in / out without products past 64 bits
      const int64_t whole = in / out, rest = in % out;
      from = o * whole + o * rest / out;
      to = (o + 1) * whole + ((o + 1) * rest + out - 1) / out;
    } else {
      from = o * p.stride[i] - p.low[i];
      to = from + p.size[i];
    }
    w.begin.push_back(std::clamp<int64_t>(from, 0, in));
    w.end.push_back(std::clamp<int64_t>(to, 0, in));
  }
  return w;
}
// For each element the windows that hold it.
Bounds turned(const Bounds& w, int64_t in) {
  Bounds out;
  for (int64_t i = 0; i < in; ++i) {
    out.begin.push_back(std::upper_bound(w.end.begin(), w.end.end(), i) - w.end.begin());
    out.end.push_back(std::upper_bound(w.begin.begin(), w.begin.end(), i) - w.begin.begin());
  }
  return out;
}

struct Described {
  Bounds bounds[3];
  engine::Pooling pooling;
};
void describe(const Pool& p, const TensorView& x, bool back, Described& d) {
  d.pooling = {x.type(), x.shape()[0], x.shape().back(), {}, p.divisor};
  const size_t n = p.in.size();
  for (size_t i = 0; i < 3; ++i) {
    Bounds& b = d.bounds[i];
    const bool none = i + n < 3;
    const size_t k = none ? 0 : i + n - 3;
    int64_t in = none ? 1 : p.in[k], out = none ? 1 : p.out[k];
    b = none ? Bounds{{0}, {1}} : windows_of(p, k);
    if (back) {
      b = turned(b, in);
      std::swap(in, out);
    }
    d.pooling.axes[i] = {in, out, b.begin.data(), b.end.data()};
  }
}

engine::PoolView view_of(const TensorView& a) {
  const Strides& s = a.strides();
  engine::PoolView v{a.data, {s[0], 0, 0, 0, s.back()}};
  for (size_t i = 1; i + 1 < s.size(); ++i) v.strides[4 - s.size() + 1 + i] = s[i];
  return v;
}

void max_kernel(const KernelCall& call) {
  Described d;
  describe(call.node.get<Pool>(), call.in[0], false, d);
  engine::pool_max(d.pooling, view_of(call.in[0]), call.out[0].data);
}

void at_kernel(const KernelCall& call) {
  Described d;
  describe(call.node.get<Pool>(), call.in[0], false, d);
  engine::pool_at(d.pooling, view_of(call.in[0]), view_of(call.in[1]), call.out[0].data);
}

void slope_kernel(const KernelCall& call) {
  Described d;
  describe(call.node.get<Pool>(), call.in[0], false, d);
  const Dense x(call.in[0]), ct(call.in[1]);
  engine::pool_slope(d.pooling, x.data, ct.data, call.out[0].data);
}

void sum_kernel(const KernelCall& call) {
  const Pool& p = call.node.get<Pool>();
  Described d;
  describe(p, call.in[0], p.back, d);
  engine::pool_sum(d.pooling, view_of(call.in[0]), call.out[0].data);
}

// ---- resample

double cubic(double x, double a) {  // Keys (1981)
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

// What element o is made of.
struct Taps {
  std::vector<int64_t> from;
  std::vector<double> weights;
};
// In float32, as the reference: a place between two elements goes where it goes there.
Taps nearest(int64_t in, int64_t out, int64_t o) {
  const float step = float(double(in) / double(out)), place = float(o);
  const float at = out > in ? std::nearbyint((place + 0.5f) * step - 0.5f)
                            : std::floor(place * step);
  return {{std::clamp<int64_t>(int64_t(at), 0, in - 1)}, {1}};
}
Taps around(const Resample& r, int64_t in, double out, int64_t o) {
  const double n = double(in), scale = r.scale.real() > 0 ? r.scale.real() : out / n;
  const bool linear = r.mode == 1;
  double at = r.align_corners ? double(o) * ((n - 1) / std::max(out - 1, 1.0))
                              : (double(o) - (out - 1) / 2) / scale + (n - 1) / 2;
  at = linear && !r.antialias ? std::clamp(at, 0.0, n - 1) : std::clamp(at, -4.0, n + 4);
  const double wide = r.antialias ? std::max(1 / scale, 1.0) : 1;
  const int64_t reach = int64_t(std::min(std::ceil((linear ? 1 : 2) * wide), n + 8)),
                first = int64_t(std::floor(at));
  Taps taps;
  double total = 0;
  for (int64_t i = first + 1 - reach; i <= first + reach; ++i) {
    if (r.antialias && (i < 0 || i >= in)) continue;
    const double x = std::abs(double(i) - at) / wide;
    const double weight =
        linear ? std::max(1 - x, 0.0) : cubic(x, r.antialias ? -0.5 : -0.75);
    if (weight == 0) continue;  // what is not read may be infinite
    taps.from.push_back(std::clamp<int64_t>(i, 0, in - 1));
    taps.weights.push_back(weight);
    total += weight;
  }
  if (r.antialias)
    for (double& weight : taps.weights) weight /= total;
  return taps;
}
engine::Weights weights_of(const Resample& r, size_t axis) {
  const int64_t in = r.in[axis], made = r.out[axis];
  engine::Weights out;
  out.first.push_back(0);
  for (int64_t o = 0; o < made; ++o) {
    const Taps taps = r.mode == 0 ? nearest(in, made, o) : around(r, in, double(made), o);
    out.from.insert(out.from.end(), taps.from.begin(), taps.from.end());
    out.weights.insert(out.weights.end(), taps.weights.begin(), taps.weights.end());
    out.first.push_back(int64_t(out.from.size()));
  }
  return r.back ? out.turned(in) : out;
}

void resample_kernel(const KernelCall& call) {
  const Resample& r = call.node.get<Resample>();
  const TensorView& x = call.in[0];
  if (size_of(call.out[0].shape()) == 0) return;
  const int axis = r.axis, last = axis + int(r.in.size()) - 1;
  engine::Weighing w{x.type(), 1, x.shape()[size_t(axis)], 1};
  for (int i = 0; i < int(x.shape().size()); ++i)
    if (i < axis || i > last) (i < axis ? w.outer : w.inner) *= x.shape()[size_t(i)];
  const Dense from(x);
  const engine::Weights first = weights_of(r, 0);
  if (last == axis) return engine::weigh(w, first, from.data, call.out[0].data);
  engine::weigh_both(w, first, x.shape()[size_t(last)], weights_of(r, 1), from.data,
                     call.out[0].data);
}

}  // namespace

void register_pool(cpu::Kernels& kernels) {
  kernels[max_pool_op] = {max_kernel};
  kernels[max_pool_at_op] = {at_kernel};
  kernels[max_pool_slope_op] = {slope_kernel};
  kernels[sum_pool_op] = {sum_kernel};
  kernels[resample_op] = {resample_kernel};
}

}  // namespace lazulite
