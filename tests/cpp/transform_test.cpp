// Loops, branches and function files from C++: the same functions as in Python.
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>

#include "lazulite.h"

namespace mx = lazulite;

namespace {

using List = mx::ArrayList;

std::vector<float> values(mx::array a) {
  a = mx::contiguous(a);
  return {a.data<float>(), a.data<float>() + a.size()};
}

TEST(Loops, scan_carries_and_stacks) {
  const List out = mx::scan([](const List& in) { return List{in[0] + in[1], in[0] * 2.0f}; },
                            {mx::array(0.0f)}, {mx::array({1.0f, 2.0f, 3.0f})}, 3);
  EXPECT_EQ(out[0].item<float>(), 6);
  EXPECT_EQ(values(out[1]), (std::vector<float>{0, 2, 6}));
}

TEST(Loops, for_while_and_cond) {
  EXPECT_EQ(
      mx::fori_loop(0, 5, [](const List& in) { return List{in[1] + in[0]}; }, {mx::array(0)})[0]
          .item<int>(),
      10);
  const List last = mx::while_loop([](const List& v) { return List{mx::less(v[0], 100)}; },
                                   [](const List& v) { return List{v[0] * 2}; }, {mx::array(3)});
  EXPECT_EQ(last[0].item<int>(), 192);
  auto pick = [](bool yes) {
    return mx::cond(
               mx::array(yes), [](const List& v) { return List{v[0] + 1}; },
               [](const List& v) { return List{v[0] - 1}; }, {mx::array(10)})[0]
        .item<int>();
  };
  EXPECT_EQ(pick(true), 11);
  EXPECT_EQ(pick(false), 9);
}

TEST(Loops, gradients_go_through_scan) {
  const mx::array w = mx::array({0.5f, -0.25f}), xs({1.0f, 2.0f, 3.0f});
  auto looped = [&](const List& in) {
    return List{mx::sum(mx::scan([&](const List& v) { return List{mx::tanh(v[0] * in[0] + v[1])}; },
                                 {mx::zeros({2})}, {xs}, 3)[0])};
  };
  auto written = [&](const List& in) {
    mx::array h = mx::zeros({2});
    for (float x : {1.0f, 2.0f, 3.0f}) h = mx::tanh(h * in[0] + x);
    return List{mx::sum(h)};
  };
  const auto a = values(mx::grad(looped, {w})[0]), b = values(mx::grad(written, {w})[0]);
  for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-6);
}

TEST(Loops, errors_say_what_is_wrong) {
  try {
    mx::scan([](const List& in) { return List{mx::astype(in[0], mx::float16)}; }, {mx::array(0.0f)},
             {}, 3);
    FAIL();
  } catch (const mx::Error& e) {
    EXPECT_NE(std::string(e.what()).find("changes its shape or dtype"), std::string::npos);
  }
}

struct FunctionFile : testing::Test {
  const std::string path = testing::TempDir() + "lazulite_function_test.lzfn";
  ~FunctionFile() override { std::remove(path.c_str()); }
};

TEST_F(FunctionFile, comes_back_with_its_arrays_at_other_sizes) {
  const mx::array w = mx::reshape(mx::arange(6.0, 12.0, 1.0), {2, 3});
  auto f = [&](const List& in) {
    return List{mx::softmax(mx::matmul(in[0], w), mx::Axes{1}, false) + in[1]};
  };
  {
    mx::FunctionWriter writer(true, "notes");
    writer.add(f, {mx::ones({4, 2}), mx::array(1.0f)}, {1, {"bias"}});
    writer.save(path);
  }
  const mx::ImportedFunction g(path);
  EXPECT_EQ(g.metadata(), "notes");
  const mx::array x = mx::reshape(mx::arange(0.0, 10.0, 1.0), {5, 2}), bias(0.5f);
  EXPECT_EQ(values(g({x}, {{"bias", bias}})[0]), values(f({x, bias})[0]));
  EXPECT_THROW(g({x}), mx::Error);
  EXPECT_THROW(g({w}, {{"bias", bias}}), mx::Error);
}

TEST_F(FunctionFile, is_refused_when_damaged) {
  {
    mx::FunctionWriter writer;
    writer.add([](const List& in) { return List{in[0] * 2.0f}; }, {mx::ones({3})}, {1, {}});
    writer.save(path);
  }
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(60);
  file.put(char(0x7f));
  file.close();
  EXPECT_THROW(mx::ImportedFunction{path}, mx::Error);
  EXPECT_THROW(mx::ImportedFunction{path + ".none"}, mx::Error);
}

// An op without a batching rule: x + 1, one array at a time.
const mx::Op plus_one{
    .name = "plus_one",
    .infer = [](const mx::Attrs*, const mx::Arrays& in) { return mx::Specs{in[0].slot().spec}; },
    .kernel =
        [](const mx::KernelCall& call) {
          const auto* x = reinterpret_cast<const float*>(call.in[0].data);
          auto* y = reinterpret_cast<float*>(call.out[0].data);
          for (int64_t i = 0; i < mx::size_of(call.out[0].shape()); ++i)
            y[i] = x[i * call.in[0].strides()[0]] + 1;
        }};

TEST(Vmap, an_op_without_a_rule_runs_lane_by_lane_and_says_so) {
  auto f = [](const List& in) { return List{mx::record(plus_one, {}, {in[0]})}; };
  auto run = [&] {
    return values(mx::vmap(f, {mx::array({1.f, 2.f, 3.f, 4.f}, {2, 2})}, mx::Axes{1},
                           [](const List&) { return mx::Axes{0}; })[0]);
  };
  testing::internal::CaptureStderr();
  EXPECT_EQ(run(), (std::vector<float>{2, 4, 3, 5}));
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  setenv("LAZULITE_DEBUG_VMAP", "1", 1);
  testing::internal::CaptureStderr();
  run();
  unsetenv("LAZULITE_DEBUG_VMAP");
  EXPECT_NE(
      testing::internal::GetCapturedStderr().find("plus_one has no batching rule: its 2 lanes"),
      std::string::npos);
}

TEST(Profiles, list_steps_with_their_work) {
  mx::array a = mx::ones({8, 8});
  a.eval();
  mx::Profile profile;
  profile.start();
  mx::matmul(a, a).eval();
  profile.stop();
  ASSERT_EQ(profile.events().size(), 1u);
  EXPECT_EQ(profile.events()[0].name, "matmul");
  EXPECT_EQ(profile.events()[0].flops, 2.0 * 8 * 8 * 8);
}

}  // namespace
