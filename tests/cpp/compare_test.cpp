// debug_compare finds what ops of our own do wrong on purpose, and nothing else.
#include "eval/compare.h"

#include <gtest/gtest.h>

#include "device/cpu/features.h"
#include "lazulite.h"

namespace mx = lazulite;
using mx::array;

namespace {

std::string text_of_error(const std::function<void()>& f) {
  mx::debug_compare(true);
  std::string text;
  try {
    f();
  } catch (const mx::Error& e) {
    text = e.text();
  }
  mx::debug_compare(false);
  return text;
}

bool has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

mx::Specs like_input(const mx::Attrs*, const mx::Arrays& in) { return {in[0].slot().spec}; }
float* data(const mx::TensorView& b) { return reinterpret_cast<float*>(b.data); }

// The first input, and a little more at levels above generic.
constexpr float little = 1e-6f, much = 1e-3f;
void copy_and_add(const mx::KernelCall& call, float more) {
  for (int64_t i = 0; i < mx::size_of(call.out[0].shape()); ++i)
    data(call.out[0])[i] =
        data(call.in[0])[i] + (i == 2 && mx::cpu::level() != mx::cpu::Level::generic ? more : 0);
}
double twenty_ulp(const mx::Node&) { return 20; }
const mx::Op exact{.name = "exact", .infer = like_input, .kernel = [](const mx::KernelCall& c) {
                     copy_and_add(c, little);
                   }};
const mx::Op within{.name = "within",
                    .infer = like_input,
                    .ulp = twenty_ulp,
                    .kernel = [](const mx::KernelCall& c) { copy_and_add(c, little); }};
const mx::Op beyond{.name = "beyond",
                    .infer = like_input,
                    .ulp = twenty_ulp,
                    .kernel = [](const mx::KernelCall& c) { copy_and_add(c, much); }};

// An elementwise op that depends on the length of a block, which is another in a group of many
// registers.
void add_length(void* out, const void* const* in, int64_t n) {
  const float* x = static_cast<const float*>(in[0]);
  for (int64_t i = 0; i < n; ++i) static_cast<float*>(out)[i] = x[i] + float(n);
}
const mx::Op blocked{
    .name = "blocked",
    .kind = mx::OpKind::elementwise,
    .on = {{.block = [](const mx::Op&, mx::Dtype, mx::Dtype) -> mx::Kernel { return add_length; }}},
    .infer = like_input};

// Writes to its input.
const mx::Op spoiler{.name = "spoiler", .infer = like_input, .kernel = [](const mx::KernelCall& c) {
                       copy_and_add(c, 0);
                       data(c.in[0])[1] = 100;
                     }};

array four() {
  array a = mx::arange(1, 5, 1, mx::float32);
  return a.eval();
}

}  // namespace

TEST(Compare, levels_that_differ_are_named) {
  if (mx::cpu::level() == mx::cpu::Level::generic) return;  // there is nothing to compare
  const std::string text = text_of_error([] { record(exact, {}, {four()}).eval(); });
  EXPECT_TRUE(has(text, "[exact] the ") && has(text, "at (2,) of float32(4,)") &&
              has(text, "generic 3"))
      << text;
  EXPECT_EQ(text_of_error([] { record(within, {}, {four()}).eval(); }), "");
  EXPECT_TRUE(has(text_of_error([] { record(beyond, {}, {four()}).eval(); }), "[beyond]"));
}

TEST(Compare, an_op_that_writes_over_its_input_is_named) {
  const array a = four();
  EXPECT_TRUE(has(text_of_error([&] { record(spoiler, {}, {a}).eval(); }),
                  "[spoiler] wrote over an input that others read: got 100 at (1,)"));
}

TEST(Compare, a_group_equals_its_ops_one_by_one) {
  const array a = four();
  EXPECT_EQ(text_of_error([&] { (mx::exp(a) * 2 + mx::tanh(a)).eval(); }), "");
  const array many = mx::arange(0, 1000, 1, mx::float32).eval();
  const std::string text = text_of_error([&] {
    const array y = record(blocked, {}, {many});
    std::vector<array> alive;
    for (int k = 0; k < 60; ++k) alive.push_back(y * k);
    array sum = y;
    for (int k = 0; k < 60; ++k) sum = sum + alive[size_t(k)] * alive[size_t(k * 37 % 60)];
    sum.eval();
  });
  EXPECT_TRUE(has(text, "in a fused group it differs from the ops one by one")) << text;
}

TEST(Compare, the_usual_ops_agree_in_every_float_dtype) {
  for (const mx::Dtype t :
       {mx::float16, mx::bfloat16, mx::float32, mx::float64, mx::complex64, mx::complex128}) {
    EXPECT_EQ(text_of_error([&] {
                const array a = mx::astype(
                    mx::reshape(mx::arange(0, 42000, 1, mx::float32), {70, 600}) * 1e-4, t);
                mx::eval(mx::Arrays{mx::matmul(a, mx::transpose(a)), mx::sum(a * 2, {0}, false),
                                    mx::exp(a) + a});
              }),
              "")
        << t;
  }
}
