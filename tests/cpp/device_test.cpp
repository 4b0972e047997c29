// A device of three kernels: what an addition of one costs, and what becomes of all that it lacks.
#include "device/device.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <cstring>
#include <functional>

#include "lazulite.h"
#include "ops/reduce/ops.h"
#include "ops/rooms.h"
#include "transform/find_op.h"

namespace mx = lazulite;
using mx::array;

namespace {

std::atomic<int> blocks{0}, runs{0};

// One elementwise op in one dtype, a reduction, and an op with attributes.
void add_floats(void* out, const void* const* in, int64_t n) {
  ++blocks;
  const int64_t step[2] = {n & mx::repeats(0) ? 0 : 1, n & mx::repeats(1) ? 0 : 1};
  const float *a = static_cast<const float*>(in[0]), *b = static_cast<const float*>(in[1]);
  for (int64_t i = 0; i < mx::elements_of(n); ++i)
    static_cast<float*>(out)[i] = a[i * step[0]] + b[i * step[1]];
}
mx::Kernel add_kernel(const mx::Op&, mx::Dtype in, mx::Dtype) {
  return in == mx::float32 ? add_floats : nullptr;
}
void sum_kernel(const mx::KernelCall& call) {  // of all elements of a dense array
  ++runs;
  float total = 0;
  for (int64_t i = 0; i < mx::size_of(call.in[0].shape()); ++i)
    total += reinterpret_cast<const float*>(call.in[0].data)[i];
  *reinterpret_cast<float*>(call.out[0].data) = total;
}
void concatenate_kernel(const mx::KernelCall& call) {  // of dense arrays of floats, along axis 0
  ++runs;
  char* to = call.out[0].data;
  for (const mx::TensorView& in : call.in) {
    const int64_t bytes = mx::size_of(in.shape()) * 4;
    std::memcpy(to, in.data, size_t(bytes));
    to += bytes;
  }
}

mx::Stream test_stream() {
  static const mx::Stream stream = [] {
    const mx::DeviceKernels kernels{mx::add_device("test")};
    kernels[*mx::find_op("add")] = {.block = add_kernel};
    kernels[*mx::find_op("sum")] = {sum_kernel};
    kernels[*mx::find_op("concatenate")] = {concatenate_kernel};
    return mx::new_stream(kernels.device);
  }();
  return stream;
}

std::string error_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const mx::Error& e) {
    return e.text();
  }
  return "";
}

}  // namespace

TEST(Device, runs_a_graph_on_its_own_kernels) {
  const mx::StreamScope scope(test_stream());
  blocks = runs = 0;
  const array a = mx::ones({3, 4}), b = mx::add(a, array({1.0f, 2.0f, 3.0f, 4.0f}));
  const array c = mx::concatenate({b, b}, 0);
  EXPECT_EQ(mx::sum(mx::add(c, c)).item<float>(), 2 * 2 * 3 * 14);
  EXPECT_GT(blocks, 0);
  EXPECT_EQ(runs, 2);
}

TEST(Device, whatever_it_lacks_is_refused_by_one_error_before_anything_runs) {
  const mx::StreamScope scope(test_stream());
  const array a = mx::add(mx::ones({64, 64}), mx::ones({64, 64}));
  runs = blocks = 0;
  const std::string lacks = " the device has no kernel for it: got test, expected another device";
  EXPECT_EQ(error_of([&] { mx::exp(a).eval(); }).find("[exp]" + lacks), 0);
  EXPECT_EQ(error_of([&] { mx::matmul(a, a).eval(); }).find("[matmul]" + lacks), 0);
  EXPECT_EQ(error_of([&] { mx::arange(0, 4, 1, mx::int32).eval(); }).find("[arange]" + lacks), 0);
  EXPECT_EQ(error_of([&] { mx::max(mx::add(a, a)).eval(); }).find("[max]" + lacks), 0);
  EXPECT_EQ(blocks + runs, 0);
  // What only the layout or the dtype tells is told by the step.
  EXPECT_EQ(
      error_of([&] { mx::reshape(mx::transpose(a), {4096}).eval(); }).find("[reshape]" + lacks), 0);
  const array whole = mx::astype(mx::ones({3}), mx::int32, mx::Stream());
  EXPECT_EQ(error_of([&] { mx::add(whole, whole).eval(); }).find("[add]" + lacks), 0);
  // Another device may go on where this one cannot.
  EXPECT_EQ(mx::max(a, mx::Stream()).item<float>(), 2);
}

TEST(Device, every_op_of_every_room_has_a_kernel_on_the_cpu_or_needs_none) {
  mx::ones({1}).eval();  // whatever is planned asks for them
  test_stream();
  int lacking = 0;
  for (const mx::Op* op : mx::ops_of_rooms()) {
    const mx::OpKernels &cpu = op->on[mx::Device::cpu], &test = op->on[test_stream().device];
    EXPECT_TRUE(cpu.block || op->kind != mx::OpKind::elementwise) << op->name;
    EXPECT_TRUE(cpu.run || op->kind != mx::OpKind::kernel) << op->name;
    lacking += !test.block && !test.run;
  }
  EXPECT_EQ(lacking, int(mx::ops_of_rooms().size()) - 3);
}

TEST(Device, groups_hold_ops_of_one_device) {
  const array a = mx::ones({8});
  const array b = mx::add(a, a, test_stream());
  blocks = 0;
  EXPECT_EQ(mx::sum(mx::exp(mx::add(b, b, mx::Stream()), mx::Stream()), mx::Stream()).item<float>(),
            8 * std::exp(4.0f));
  EXPECT_EQ(blocks, 1);
}

TEST(Device, there_is_room_for_a_few) {
  EXPECT_EQ(mx::device_count(mx::Device::gpu), 0);
  EXPECT_FALSE(error_of([] {
                 for (int i = 0; i <= mx::most_devices; ++i) mx::add_device("more");
               }).empty());
}
