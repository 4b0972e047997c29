// Attention on the CPU: describes the operands to engine/attention.
#include <cmath>
#include <cstring>
#include <optional>

#include "engine/attention/attention.h"
#include "engine/attention/rotate.h"
#include "ops/attention/ops.h"
#include "ops/cpu.h"

namespace lazulite {
namespace {

// An operand whose heads lie dense, or a copy.
struct HeadsOf {
  engine::HeadsView view{};
  std::optional<Dense> held;

  explicit HeadsOf(const TensorView& a) {
    const Strides* s = &a.strides();
    const Strides own = dense_strides(a.shape());
    view.data = a.data;
    if (a.shape()[3] > 1 && (*s)[3] != 1) {
      view.data = held.emplace(a).data;
      s = &own;
    }
    for (size_t i = 0; i < 4; ++i) view.strides[i] = (*s)[i];
  }
};

engine::Attention describe(const Attend& a, const TensorView& q, const TensorView& k,
                           const TensorView& v) {
  constexpr int64_t far = engine::Attention::far;
  const int64_t queries = q.shape()[2], keys = k.shape()[2],
                window = a.window ? a.window - 1 : far;
  return {.type = q.type(),
          .batch = q.shape()[0],
          .heads = q.shape()[1],
          .kv_heads = k.shape()[1],
          .queries = queries,
          .keys = keys,
          .depth = q.shape()[3],
          .value_depth = v.shape()[3],
          .scale = a.scale.real(),
          .shift = std::max<int64_t>(0, keys - queries),
          .before = window,
          .after = a.causal ? 0 : window};
}

engine::MaskView mask_of(const Attend& a, const KernelCall& call) {
  engine::MaskView out;
  if (!a.mask) return out;
  const TensorView& m = call.in[3];
  out.data = m.data;
  out.type = m.type();
  for (size_t i = 0; i < 4; ++i) out.strides[i] = m.shape()[i] == 1 ? 0 : m.strides()[i];
  return out;
}
engine::SinksView sinks_of(const Attend& a, const KernelCall& call) {
  engine::SinksView out;
  if (!a.sinks) return out;
  const TensorView& s = call.in[3 + size_t(a.mask)];
  out.data = s.data;
  for (size_t i = 0; i < 2; ++i) out.strides[i] = s.shape()[i] == 1 ? 0 : s.strides()[i];
  return out;
}

void clear(const TensorView& to) {
  std::memset(to.data, 0, size_t(size_of(to.shape()) * size_of(to.type())));
}

template <class T>
void spread_sinks(const engine::SinksView& sinks, const Shape& shape, char* to) {
  T* out = reinterpret_cast<T*>(to);
  for (int64_t b = 0; b < shape[0]; ++b)
    for (int64_t h = 0; h < shape[1]; ++h)
      for (int64_t t = 0; t < shape[2]; ++t)
        *out++ = sinks.data ? reinterpret_cast<const T*>(
                                  sinks.data)[b * sinks.strides[0] + h * sinks.strides[1]]
                            : -T(INFINITY);
}

void attention_kernel(const KernelCall& call) {
  const Attend& a = call.node.get<Attend>();
  const TensorView &q = call.in[0], &k = call.in[1], &v = call.in[2], &out = call.out[0];
  const engine::SinksView sinks = sinks_of(a, call);
  const Shape& shape = q.shape();
  if (shape[0] * shape[1] * shape[2] == 0) return;
  if (k.shape()[2] == 0) {
    clear(out);
    if (!a.keeps) return;
    if (call.out[1].type() == float64) spread_sinks<double>(sinks, shape, call.out[1].data);
    else spread_sinks<float>(sinks, shape, call.out[1].data);
    return;
  }
  const HeadsOf of_q(q), of_k(k), of_v(v);
  engine::attend(describe(a, q, k, v), of_q.view, of_k.view, of_v.view, mask_of(a, call), sinks,
                 out.data, a.keeps ? call.out[1].data : nullptr);
}

// -exp(sink - end) mean, added up over the queries of a head.
template <class T>
void slope_of_sinks(const engine::SinksView& sinks, const Shape& shape, const char* ends,
                    const char* means, char* to) {
  const T *end = reinterpret_cast<const T*>(ends), *mean = reinterpret_cast<const T*>(means);
  T* out = reinterpret_cast<T*>(to);
  for (int64_t b = 0; b < shape[0]; ++b)
    for (int64_t h = 0; h < shape[1]; ++h) {
      const T sink = reinterpret_cast<const T*>(
          sinks.data)[b * sinks.strides[0] + h * sinks.strides[1]];
      T sum = 0;
      for (int64_t t = 0; t < shape[2]; ++t) sum -= std::exp(sink - *end++) * *mean++;
      *out++ = sum;
    }
}

void attention_slope_kernel(const KernelCall& call) {
  const Attend& a = call.node.get<Attend>();
  const TensorView &q = call.in[0], &k = call.in[1], &v = call.in[2];
  const size_t first = 3 + size_t(a.mask) + size_t(a.sinks);
  const TensorView &out = call.in[first], &ends = call.in[first + 1], &ct = call.in[first + 2];
  const Shape& shape = q.shape();
  if (shape[0] * shape[1] * shape[2] == 0 || k.shape()[2] == 0) {
    for (const TensorView& to : call.out) clear(to);
    return;
  }
  const HeadsOf of_q(q), of_k(k), of_v(v), of_ct(ct);
  const Dense dense_out(out), dense_ends(ends);
  Ref<Buffer> held;
  char* means = nullptr;
  if (a.sinks) {
    held = allocate(size_of(ends.shape()) * size_of(ends.type()));
    means = static_cast<char*>(held->data);
  }
  engine::attend_back(describe(a, q, k, v), of_q.view, of_k.view, of_v.view, mask_of(a, call),
                      {of_ct.view, dense_out.data, dense_ends.data, call.out[0].data,
                       call.out[1].data, call.out[2].data, means});
  if (!a.sinks) return;
  auto* slope = ends.type() == float64 ? slope_of_sinks<double> : slope_of_sinks<float>;
  slope(sinks_of(a, call), shape, dense_ends.data, means, call.out[3].data);
}

void rope_kernel(const KernelCall& call) {
  const Rotate& r = call.node.get<Rotate>();
  const TensorView &x = call.in[0], &to = call.out[0];
  const Shape& shape = x.shape();
  if (size_of(shape) == 0) return;
  const HeadsOf of_x(x);
  const Dense cos(call.in[1]), sin(call.in[2]);
  const Shape& angles = call.in[1].shape();
  const int64_t strides[2] = {angles[0] == 1 ? 0 : angles[1] * angles[2], angles[2]};
  engine::rotate(
      {x.type(), shape[0], shape[1], shape[2], shape[3], angles[2], r.neighbours, r.back},
      of_x.view, cos.data, sin.data, strides, to.data);
}

}  // namespace

void register_attention(cpu::Kernels& kernels) {
  kernels[attention_op] = {attention_kernel};
  kernels[attention_slope_op] = {attention_slope_kernel};
  kernels[rope_op] = {rope_kernel};
}

}  // namespace lazulite
