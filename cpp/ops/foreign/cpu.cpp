// Kernels from outside, run on the threads of the pool.
#include <algorithm>
#include <chrono>
#include <cstring>
#include <vector>

#include "ops/cpu.h"
#include "ops/foreign/ops.h"

namespace lazulite {
namespace {

constexpr int64_t most_parts = 64;  // of one lane; a function of the grid alone

struct Operand {
  char* data;
  Shape shape;
  Strides strides, of_lanes;
  int64_t bytes;  // of an element
};

Operand operand(const Spec& spec, char* data, const Strides& strides, size_t lanes) {
  Operand o{data, {}, {}, {}, size_of(spec.type)};
  for (size_t i = 0; i < lanes; ++i) o.of_lanes.push_back(strides[i]);
  for (size_t i = lanes; i < spec.shape.size(); ++i) {
    o.shape.push_back(spec.shape[i]);
    o.strides.push_back(strides[i]);
  }
  return o;
}

void fill(const TensorView& out, const Scalar& value) {
  const int64_t bytes = size_of(out.type()), all = size_of(out.shape()) * bytes;
  if (all == 0) return;
  value.write(out.type(), out.data);
  for (int64_t done = bytes; done < all; done *= 2)
    std::memcpy(out.data + done, out.data, size_t(std::min(done, all - done)));
}

void run(const ForeignCall& f, const KernelCall& call) {
  const size_t lane_axes = f.lanes.size();
  std::vector<Operand> operands;
  std::vector<Dense> held;
  for (const TensorView& in : call.in) {
    operands.push_back(operand(*in.spec, in.data, in.strides(), lane_axes));
    Operand& last = operands.back();
    if (!f.dense || is_dense(last.shape, last.strides)) continue;
    held.emplace_back(in);
    last = operand(*in.spec, const_cast<char*>(held.back().data), dense_strides(in.shape()),
                   lane_axes);
  }
  for (const TensorView& out : call.out) {
    if (f.before) fill(out, *f.before);
    operands.push_back(operand(*out.spec, out.data, dense_strides(out.shape()), lane_axes));
  }
  std::vector<const int64_t*> shapes, strides;
  for (const Operand& o : operands) {
    shapes.push_back(o.shape.begin());
    strides.push_back(o.strides.begin());
  }
  const int64_t lanes = size_of(f.lanes), part = (f.units + most_parts - 1) / most_parts;
  if (part == 0 || lanes == 0) return;
  const int64_t parts = (f.units + part - 1) / part;
  std::atomic<int64_t> spent{0};
  cpu::parallel_for(lanes * parts, [&](int64_t chunk) {
    std::vector<void*> arrays;
    for (const Operand& o : operands) {
      int64_t lane = chunk / parts, offset = 0;
      for (size_t i = lane_axes; i-- > 0; lane /= f.lanes[i])
        offset += lane % f.lanes[i] * o.of_lanes[i];
      arrays.push_back(o.data + offset * o.bytes);
    }
    const int64_t begin = chunk % parts * part, end = std::min(f.units, begin + part);
    const auto start = std::chrono::steady_clock::now();
    f.function->run(arrays.data(), shapes.data(), strides.data(), f.sizes.begin(), begin, end);
    spent += std::chrono::nanoseconds(std::chrono::steady_clock::now() - start).count();
  }, double(lanes) * double(f.units) * double(f.function->unit_ns));
  f.function->unit_ns = float(double(spent) / (double(lanes) * double(f.units)));
}

void foreign_kernel(const KernelCall& call) {
  const ForeignCall& f = call.node.get<Foreign>().call;
  bool wanted = false;
  for (const TensorView& out : call.out) wanted |= size_of(out.shape()) != 0;
  if (!wanted) return;
  try {
    run(f, call);
  } catch (const Error&) {
    throw;
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& e) {
    fail(Kind::runtime, f.function->name, e.what());
  }
}

}  // namespace

void register_foreign(cpu::Kernels& kernels) { kernels[foreign_op] = {foreign_kernel}; }

}  // namespace lazulite
