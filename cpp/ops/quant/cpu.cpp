// Packed numbers on the CPU: describes the operands to engine/quant.
#include <algorithm>
#include <cstring>
#include <optional>

#include "device/cpu/packed.h"
#include "engine/quant/int8.h"
#include "engine/quant/quant.h"
#include "ops/goes_on.h"
#include "ops/quant/ops.h"

namespace lazulite {
namespace {

// Of a scale of all scales: the largest number of all becomes the largest code at the largest
// scale.
template <class P>
double factor_of(const P& p, const KernelCall& call) {
  if (!p.global) return 1;
  float v;
  std::memcpy(&v, call.in.back().data, sizeof v);
  return v / (engine::largest_e4m3 * engine::largest_e2m1);
}

void quantize_kernel(const KernelCall& call) {
  const Packing& p = call.node.get<Packing>();
  const Dense w(call.in[0]);
  engine::quantize(format_of(p), w.data, call.in[0].type(), size_of(call.in[0].shape()),
                   factor_of(p, call), call.out[0].data, call.out[1].data,
                   call.out.size() > 2 ? call.out[2].data : nullptr);
}
void round_kernel(const KernelCall& call) {
  const Packing& p = call.node.get<Packing>();
  const Dense x(call.in[0]);
  engine::round_to_codes(format_of(p), x.data, call.in[0].type(), size_of(call.in[0].shape()),
                         factor_of(p, call), call.out[0].data);
}
void dequantize_kernel(const KernelCall& call) {
  const Unpacking& p = call.node.get<Unpacking>();
  const Dense w(call.in[0]), scales(call.in[1]);
  std::optional<Dense> biases;
  if (p.mode == Mode::affine) biases.emplace(call.in[2]);
  engine::dequantize(format_of(p), {w.data, scales.data, biases ? biases->data : nullptr},
                     call.in[1].type(), size_of(call.out[0].shape()), factor_of(p, call),
                     call.out[0].data, p.type);
}

// A stack of dense matrices where it lies; what lies otherwise is copied.
struct Matrices {
  const char* data;
  Strides strides;  // of the axes in front, in bytes

  explicit Matrices(const TensorView& a) : data(a.data), strides(a.strides()) {
    const Shape& shape = a.shape();
    const size_t n = shape.size();
    const bool dense = (strides[n - 1] == 1 || shape[n - 1] == 1) &&
                       (strides[n - 2] == shape[n - 1] || shape[n - 2] == 1);
    if (!dense) {
      held_.emplace(a);
      data = held_->data;
      strides = dense_strides(shape);
    }
    strides.resize(n - 2, 0);
    for (int64_t& s : strides) s *= size_of(a.type());
  }
  const char* at(int64_t offset) const { return data + offset; }

 private:
  std::optional<Dense> held_;
};
// Words, scales and biases from operand `first` on.
struct PackedOperand {
  std::optional<Matrices> parts[3];

  PackedOperand(const KernelCall& call, size_t first, bool biases) {
    for (size_t i = 0; i < 2 + size_t(biases); ++i) parts[i].emplace(call.in[first + i]);
  }
  // The matrix at an index of `front`, counted as a broadcast stack of that shape.
  engine::PackedMatrix at(const TensorView& words, const Shape& front, int64_t index) const {
    const Shape& own = words.shape();
    int64_t offset[3] = {};
    const size_t more = front.size() - (own.size() - 2);
    for (size_t i = front.size(); i-- > 0;) {
      const int64_t here = index % front[i];
      index /= front[i];
      if (i < more || own[i - more] == 1) continue;
      for (int k = 0; k < 3; ++k)
        if (parts[k]) offset[k] += here * parts[k]->strides[i - more];
    }
    return {parts[0]->at(offset[0]), parts[1]->at(offset[1]),
            parts[2] ? parts[2]->at(offset[2]) : nullptr};
  }
};

// Whether biases follow from scales (engine/quant/quant.h): looked up for weights that come again,
// since it takes as long to find out as to read them.
bool is_centred(const engine::PackedProduct& product, int64_t rows, const TensorView& scales,
                const TensorView& biases) {
  const Ref<Buffer> &of_biases = biases.storage->buffer, &of_scales = scales.storage->buffer;
  if (!product.transposed || rows > engine::centred_rows || !of_biases || !of_scales ||
      !scales.dense() || !biases.dense())
    return false;
  const Buffer &a = *of_biases, &b = *of_scales;
  const int64_t groups = size_of(scales.shape());
  const cpu::PackedKey key{-2, biases.data - static_cast<const char*>(a.data),
                           scales.data - static_cast<const char*>(b.data), groups,
                           product.format.bits, int64_t(index_of(product.scale_type))};
  const cpu::KnownFact known = cpu::known_of(a, b, key);
  if (known.fact || !known.again) return known.fact.value_or(false);
  const bool fact = engine::centred(product.format, {nullptr, scales.data, biases.data},
                                    product.scale_type, groups);
  cpu::note_of(a, b, key, fact);
  return fact;
}

engine::PackedProduct describe(const PackedMatmul& p, const KernelCall& call, const Shape& words) {
  const Dtype scales = call.in[call.in.size() - 1 - size_t(p.global)].type();
  return {.format = format_of(p),
          .transposed = p.transpose,
          .type = call.out[0].type(),
          .scale_type = scales,
          .factor = factor_of(p, call),
          .lines = words[words.size() - 2],
          .length = words.back() * 32 / p.bits,
          .rows = {},
          .parts = {}};
}
bool is_nothing(const engine::PackedProduct& p, const TensorView& out) {
  const int64_t count = size_of(out.shape());
  if (count && p.inner() == 0) std::memset(out.data, 0, size_t(count * size_of(out.type())));
  return count == 0 || p.inner() == 0;
}

void product_kernel(const KernelCall& call) {
  const PackedMatmul& p = call.node.get<PackedMatmul>();
  const TensorView &x = call.in[0], &words = call.in[1], &to = call.out[0];
  engine::PackedProduct product = describe(p, call, words.shape());
  if (is_nothing(product, to)) return;
  const size_t n = x.shape().size();
  std::optional<Dense> held;
  const char* data = x.data;
  Strides strides = x.strides();
  if (strides[n - 1] != 1 && x.shape()[n - 1] > 1) {
    data = held.emplace(x).data;
    strides = dense_strides(x.shape());
  }
  const int64_t m = x.shape()[n - 2], each = size_of(to.type()), columns = product.columns();
  const Shape front(x.shape().begin(), x.shape().end() - 2);
  const PackedOperand packed(call, 1, p.mode == Mode::affine);
  if (p.mode == Mode::affine) product.centred = is_centred(product, m, call.in[2], call.in[3]);
  const int64_t lanes = size_of(front);
  product.rows.reserve(size_t(lanes * m));
  for (int64_t lane = 0; lane < lanes; ++lane) {
    int64_t at = 0, rest = lane;
    for (size_t i = front.size(); i-- > 0;) {
      at += rest % front[i] * strides[i];
      rest /= front[i];
    }
    product.parts.push_back({packed.at(words, front, lane), lane * m, m});
    for (int64_t r = 0; r < m; ++r)
      product.rows.push_back({data + (at + r * strides[n - 2]) * each,
                              to.data + (lane * m + r) * columns * each});
  }
  engine::packed_product(product);
}

const int64_t* indices(const Dense& at, int64_t n, int64_t size, const char* name) {
  const auto* i = reinterpret_cast<const int64_t*>(at.data);
  for (int64_t k = 0; k < n; ++k)
    if (i[k] < 0 || i[k] >= size)
      fail(Kind::index, "gather_qmm", name, ": index out of range: got ", i[k], " of ", size,
           " matrices");
  return i;
}
// All that meet one matrix are one product.
void gather_kernel(const KernelCall& call) {
  const PackedMatmul& p = call.node.get<PackedMatmul>();
  const TensorView &x = call.in[0], &words = call.in[3], &to = call.out[0];
  const int64_t terms = call.in[1].shape()[0], matrices = words.shape()[0], m = x.shape()[1];
  const Dense l(call.in[1]), r(call.in[2]);
  const int64_t *of_x = indices(l, terms, x.shape()[0], "lhs_indices"),
                *of_w = indices(r, terms, matrices, "rhs_indices");
  engine::PackedProduct product = describe(p, call, words.shape());
  if (is_nothing(product, to)) return;
  const Dense held(x);
  const PackedOperand packed(call, 3, p.mode == Mode::affine);
  // How many rows meet a matrix is seen below: at most all.
  if (p.mode == Mode::affine)
    product.centred = is_centred(product, std::min(terms * m, engine::centred_rows), call.in[4],
                                 call.in[5]);
  std::vector<int64_t> order(static_cast<size_t>(terms));
  for (int64_t t = 0; t < terms; ++t) order[size_t(t)] = t;
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return of_w[a] < of_w[b]; });
  const int64_t each = size_of(to.type()), inner = product.inner(), columns = product.columns();
  int64_t last = -1;
  for (const int64_t t : order) {
    if (of_w[t] != last) {
      last = of_w[t];
      product.parts.push_back(
          {packed.at(words, {matrices}, last), int64_t(product.rows.size()), 0});
    }
    product.parts.back().count += m;
    for (int64_t i = 0; i < m; ++i)
      product.rows.push_back({held.data + (of_x[t] * m + i) * inner * each,
                              to.data + (t * m + i) * columns * each});
  }
  engine::packed_product(product);
}

void to_fp8_kernel(const KernelCall& call) {
  const Dense x(call.in[0]);
  engine::to_fp8(x.data, call.in[0].type(), size_of(call.in[0].shape()), call.out[0].data);
}
void from_fp8_kernel(const KernelCall& call) {
  const Dense x(call.in[0]);
  engine::from_fp8(x.data, size_of(call.in[0].shape()), call.out[0].data, call.out[0].type());
}

engine::MatrixView view_of(const TensorView& a) {
  const Shape& shape = a.shape();
  const Strides& strides = a.strides();
  const size_t n = shape.size();
  engine::MatrixView m{a.data, shape[n - 2], shape[n - 1], strides[n - 2], strides[n - 1], {}};
  for (size_t i = 0; i + 2 < n; ++i) m.batch.push_back(shape[i] == 1 ? 0 : strides[i]);
  return m;
}
void int8_kernel(const KernelCall& call) {
  const TensorView &a = call.in[0], &b = call.in[1], &to = call.out[0];
  const size_t n = to.shape().size();
  const int64_t count = size_of(to.shape()), k = a.shape().back();
  if (count == 0) return;
  if (k == 0) return void(std::memset(to.data, 0, size_t(count) * 4));
  engine::Product p{.type = int8,
                    .batch = Shape(to.shape().begin(), to.shape().end() - 2),
                    .m = to.shape()[n - 2],
                    .n = to.shape()[n - 1],
                    .k = k,
                    .a = view_of(a),
                    .b = view_of(b),
                    .out = to.data,
                    .weights = b.storage->buffer.get()};
  std::optional<GoesOn> goes_on;
  if (call.after) p.finished = {GoesOn::run, &goes_on.emplace(*call.after, count / p.n, p.n)};
  engine::int8_product(p);
}

}  // namespace

void register_quant(cpu::Kernels& kernels) {
  kernels[quantize_op] = {quantize_kernel};
  kernels[round_to_codes_op] = {round_kernel};
  kernels[dequantize_op] = {dequantize_kernel};
  kernels[quantized_matmul_op] = {product_kernel};
  kernels[gather_qmm_op] = {gather_kernel};
  kernels[int8_matmul_op] = {int8_kernel, Absorb::after};
  kernels[to_fp8_op] = {to_fp8_kernel};
  kernels[from_fp8_op] = {from_fp8_kernel};
}

}  // namespace lazulite
