// The core through its public header: promotion, evaluation, fusion, transforms, errors.
#include "lazulite.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <thread>

#include "device/cpu/pool.h"
#include "eval/prepared.h"

namespace mx = lazulite;
using mx::array;
using mx::Axes;
using mx::Shape;

namespace {

std::vector<float> values(const array& a) {
  const array flat = mx::contiguous(mx::astype(a, mx::float32));
  const float* p = flat.data<float>();
  return {p, p + flat.size()};
}

array ramp(int64_t n, float step = 0.001f) {
  std::vector<float> x;
  for (int64_t i = 0; i < n; ++i) x.push_back(float(i % 4001 - 2000) * step);
  return array(x, {n});
}

bool same_bits(const array& a, const array& b) {
  const array x = mx::contiguous(a), y = mx::contiguous(b);
  return x.shape() == y.shape() && std::memcmp(x.raw(), y.raw(), size_t(x.nbytes())) == 0;
}

mx::Kind kind_of_error(const std::function<void()>& f) {
  try {
    f();
  } catch (const mx::Error& e) {
    return e.kind();
  }
  ADD_FAILURE() << "no error";
  return mx::Kind::runtime;
}

}  // namespace

TEST(Dtypes, promote_as_the_table_says) {
  EXPECT_EQ(mx::promote(mx::bfloat16, mx::float16), mx::float32);
  EXPECT_EQ(mx::promote(mx::int64, mx::float16), mx::float16);
  EXPECT_EQ(mx::promote(mx::uint8, mx::int8), mx::int16);
  EXPECT_EQ(mx::promote(mx::uint64, mx::int8), mx::float32);
  EXPECT_EQ(mx::promote(mx::float64, mx::complex64), mx::complex128);
  for (int a = 0; a < mx::dtype_count; ++a)
    for (int b = 0; b < mx::dtype_count; ++b)
      EXPECT_EQ(mx::promote(mx::Dtype(a), mx::Dtype(b)), mx::promote(mx::Dtype(b), mx::Dtype(a)));
}

TEST(Dtypes, python_numbers_are_weak_and_exact) {
  const array half = mx::astype(array{1.0f, 2.0f}, mx::float16);
  EXPECT_EQ((half * 2.0).dtype(), mx::float16);
  EXPECT_EQ((array{1, 2} * 0.5).dtype(), mx::float32);
  EXPECT_EQ((array({3.0}, {1}) * 0.1).data<double>()[0], 3.0 * 0.1);
  EXPECT_EQ(kind_of_error([] { mx::add(mx::astype(array{1}, mx::uint8), 300); }),
            mx::Kind::overflow);
  EXPECT_TRUE(std::isinf(values(mx::add(half, 1e9))[0]));
}

TEST(Elementwise, computes_and_broadcasts) {
  const array a({1.f, 2.f, 3.f, 4.f, 5.f, 6.f}, {2, 3}), b{10.f, 20.f, 30.f};
  EXPECT_EQ(values(a + b), (std::vector<float>{11, 22, 33, 14, 25, 36}));
  EXPECT_EQ(values(mx::transpose(a) * 2), (std::vector<float>{2, 8, 4, 10, 6, 12}));
  EXPECT_NEAR(mx::exp(array{1.0f}).data<float>()[0], std::exp(1.0f), 1e-6);
  EXPECT_EQ(values(mx::floor_divide(array{7, -7, 7, -7}, array{2, 2, -2, -2})),
            (std::vector<float>{3, -4, -4, 3}));
  EXPECT_EQ(values(mx::where(mx::greater(a, 3), a, 0)), (std::vector<float>{0, 0, 0, 4, 5, 6}));
  EXPECT_EQ(kind_of_error([&] { mx::add(a, array{1.f, 2.f}); }), mx::Kind::value);
}

TEST(Elementwise, division_of_integers_never_traps) {
  const array low({INT32_MIN}, {1});
  EXPECT_EQ(mx::floor_divide(low, array{-1}).data<int32_t>()[0], INT32_MIN);
  EXPECT_EQ(mx::remainder(array{5}, array{0}).data<int32_t>()[0], 5);
  EXPECT_EQ(mx::floor_divide(array{5}, array{0}).data<int32_t>()[0], 0);
}

TEST(Elementwise, halves_round_once) {
  const array x = mx::astype(array{1.0f}, mx::float16),
              tiny = mx::astype(array{0.0004f}, mx::float16);
  EXPECT_EQ(values(x + tiny)[0], 1.0f);
  EXPECT_EQ(values(mx::astype(array({1.0 + 0x1p-11 + 0x1p-40}, {1}), mx::float16))[0],
            1.0f + 0x1p-10f);
}

TEST(Evaluation, is_lazy_and_fused_without_other_bits) {
  const array x = ramp(100001);
  auto chain = [](const array& a, bool step) {
    auto stop = [&](array v) {
      if (step) v.eval();
      return v;
    };
    const array u = stop(mx::tanh(a * 0.5)), v = stop(u * u + a);
    return stop(mx::exp(-v) / (v + 3));
  };
  const array whole = chain(x, false);
  EXPECT_NE(whole.node()->state.load(), mx::State::ready);
  EXPECT_NE(mx::plan({whole}).print().find("fused"), std::string::npos);
  EXPECT_TRUE(same_bits(whole, chain(x, true)));
}

TEST(Evaluation, gives_the_same_bits_with_any_number_of_threads) {
  const array x = ramp(1 << 20);
  array first[2];
  for (int threads : {1, 2, 7}) {
    mx::cpu::set_num_threads(threads);
    array y = mx::sin(x) * x, total = mx::sum(y, Axes{0});
    mx::eval(mx::Arrays{y, total});
    if (!first[0]) {
      first[0] = y;
      first[1] = total;
    }
    EXPECT_TRUE(same_bits(y, first[0]));
    EXPECT_TRUE(same_bits(total, first[1]));
  }
  mx::cpu::set_num_threads(2);
}

TEST(Evaluation, a_chain_of_a_million_ops_builds_runs_and_dies) {
  array x{0.0f};
  for (int i = 0; i < 1000000; ++i) x = x + 1;
  EXPECT_EQ(x.item<float>(), 1000000.0f);
}

TEST(Evaluation, a_long_chain_that_never_ran_dies_without_recursion) {
  array x{0.0f};
  for (int i = 0; i < 1000000; ++i) x = x + 1;
}

TEST(Evaluation, diamonds_and_mixed_domains_stay_acyclic) {
  const array a = ramp(640), b = mx::reshape(a, {10, 64});
  const array rows = mx::sum(b * 2, Axes{1}, true), scaled = b / (rows + 1000) + b * 2;
  const array again = mx::sum(scaled - mx::max(scaled, Axes{0}, true), Axes{0, 1});
  const array x = mx::reshape(a, {10, 64});
  array r = mx::sum(x * 2, Axes{1}, true);
  r.eval();
  array s = x / (r + 1000) + x * 2;
  s.eval();
  EXPECT_TRUE(same_bits(again, mx::sum(s - mx::max(s, Axes{0}, true), Axes{0, 1})));
}

TEST(Evaluation, sixteen_threads_share_graphs) {
  const array shared = mx::exp(ramp(5000)) + 1;
  std::vector<std::thread> threads;
  std::vector<float> got(16);
  for (int t = 0; t < 16; ++t)
    threads.emplace_back(
        [&, t] { got[size_t(t)] = mx::sum(shared * float(t), Axes{0}).item<float>(); });
  for (auto& t : threads) t.join();
  for (int t = 0; t < 16; ++t)
    EXPECT_EQ(got[size_t(t)], mx::sum(shared * float(t), Axes{0}).item<float>());
}

TEST(Evaluation, async_results_arrive) {
  const array y = mx::exp(ramp(1000));
  mx::async_eval({y});
  EXPECT_TRUE(same_bits(y, mx::exp(ramp(1000))));
  mx::synchronize();
}

TEST(Reduce, follows_axes_and_dtypes) {
  const array a({1.f, 2.f, 3.f, 4.f, 5.f, 6.f}, {2, 3});
  EXPECT_EQ(values(mx::sum(a, Axes{0})), (std::vector<float>{5, 7, 9}));
  EXPECT_EQ(values(mx::sum(a, Axes{1}, true)), (std::vector<float>{6, 15}));
  EXPECT_EQ(mx::sum(mx::astype(a, mx::int8), Axes{0}).dtype(), mx::int32);
  EXPECT_EQ(values(mx::prod(a, Axes{0, 1}))[0], 720);
  EXPECT_EQ(values(mx::max(a, Axes{-1})), (std::vector<float>{3, 6}));
  EXPECT_TRUE(std::isnan(values(mx::max(array{1.f, NAN, 3.f}, Axes{0}))[0]));
  EXPECT_EQ(values(mx::mean(mx::broadcast_to(mx::astype(array{1.0f}, mx::float16), {100000}),
                            Axes{0}))[0],
            1.0f);
  EXPECT_EQ(kind_of_error([] { mx::max(mx::reshape(array({1.f}, {1}), {1, 1}), Axes{2}); }),
            mx::Kind::index);
}

TEST(Reduce, bits_do_not_depend_on_the_layout) {
  const array a = mx::reshape(ramp(300 * 5000), {300, 5000});
  EXPECT_TRUE(same_bits(mx::sum(a, Axes{1}), mx::sum(mx::contiguous(mx::transpose(a)), Axes{0})));
}

TEST(Shape, views_and_updates) {
  const array a = mx::reshape(ramp(24, 1.0f), {2, 3, 4});
  EXPECT_EQ(mx::transpose(a).shape(), (Shape{4, 3, 2}));
  EXPECT_EQ(values(mx::flip(array{1.f, 2.f, 3.f}, Axes{0})), (std::vector<float>{3, 2, 1}));
  EXPECT_EQ(values(mx::slice_update(array{1.f, 2.f, 3.f}, array{9.f}, {1}, {2}, {1})),
            (std::vector<float>{1, 9, 3}));
  EXPECT_EQ(values(mx::concatenate({array{1.f}, array{2.f, 3.f}}, 0)),
            (std::vector<float>{1, 2, 3}));
  EXPECT_EQ(values(mx::diagonal(array({1.f, 2.f, 3.f, 4.f, 5.f, 6.f}, {2, 3}), 1)),
            (std::vector<float>{2, 6}));
  EXPECT_EQ(values(mx::tile(array{1.f, 2.f}, {2})), (std::vector<float>{1, 2, 1, 2}));
  EXPECT_EQ(values(mx::roll(array{1.f, 2.f, 3.f}, {1}, Axes{0})), (std::vector<float>{3, 1, 2}));
  EXPECT_EQ(kind_of_error([&] { mx::reshape(a, {5, 5}); }), mx::Kind::value);
}

// Every differentiable row: gradient against central differences in float64, forward mode against
// reverse mode, vmap against the whole array.
TEST(Rows, derivatives_agree_with_differences_and_with_each_other) {
  int checked = 0;
  for (const mx::Op* op : mx::rows_of_elementwise()) {
    const auto& family = *static_cast<const mx::ElementwiseFamily*>(op->family);
    if (!op->vjp || !family.row.types.has(mx::float64) || op->name == std::string("floor_divide"))
      continue;
    std::vector<double> samples;
    for (int i = 0; i < 7; ++i)
      samples.push_back(family.row.lo + (family.row.hi - family.row.lo) * (i + 0.37) / 7.3);
    const array x(samples, {7}), other = mx::flip(x, Axes{0}) * 0.93;  // never equal: no kinks
    auto f = [&](const array& a) {
      return family.operands == 1 ? mx::unary(*op, a) : mx::binary(*op, a, other);
    };
    if (f(x).dtype() != mx::float64) continue;  // comparisons: zero, tested in tests/core
    auto loss = [&](const mx::ArrayList& in) -> mx::ArrayList {
      return {mx::sum(f(in[0]), Axes{0})};
    };
    const array g = mx::grad(loss, {x})[0];
    const double h = 1e-6;
    const array d = (f(x + h) - f(x - h)) / (2 * h);
    const array t = mx::jvp([&](const mx::ArrayList& in) -> mx::ArrayList { return {f(in[0])}; },
                            {x}, {mx::ones_like(x)})
                        .second[0];
    for (int i = 0; i < 7; ++i) {
      EXPECT_NEAR(g.data<double>()[i], d.data<double>()[i],
                  1e-6 * (1 + std::abs(d.data<double>()[i])))
          << op->name;
      EXPECT_NEAR(g.data<double>()[i], t.data<double>()[i],
                  1e-12 * (1 + std::abs(g.data<double>()[i])))
          << op->name;
    }
    ++checked;
  }
  EXPECT_GE(checked, 35);
}

TEST(Transforms, nest) {
  auto cube = [](const mx::ArrayList& in) -> mx::ArrayList { return {in[0] * in[0] * in[0]}; };
  auto d = [&](const mx::ArrayList& in) -> mx::ArrayList { return {mx::grad(cube, in)[0]}; };
  EXPECT_EQ(mx::grad(d, {array(2.0)})[0].item<float>(), 12.0f);
  auto per_lane =
      mx::vmap(d, {array{1.f, 2.f, 3.f}}, Axes{0}, [](const mx::ArrayList&) { return Axes{0}; });
  EXPECT_EQ(values(per_lane[0]), (std::vector<float>{3, 12, 27}));
  auto total = [&](const mx::ArrayList& in) -> mx::ArrayList {
    return {mx::sum(mx::vmap(cube, in, Axes{0}, [](const mx::ArrayList&) { return Axes{0}; })[0],
                    Axes{0})};
  };
  EXPECT_EQ(values(mx::grad(total, {array{1.f, 2.f}})[0]), (std::vector<float>{3, 12}));
}

TEST(Transforms, evaluation_inside_grad_is_allowed_and_inside_vmap_refused) {
  auto f = [](const mx::ArrayList& in) -> mx::ArrayList {
    const array y = mx::exp(in[0]);
    return {y.item<float>() > 2 ? y * y : y};
  };
  EXPECT_NEAR(mx::grad(f, {array(1.0f)})[0].item<float>(), 2 * std::exp(2.0f), 1e-4);
  EXPECT_EQ(kind_of_error([&] {
              mx::vmap(f, {array{1.f, 2.f}}, Axes{0}, [](const mx::ArrayList&) { return Axes{0}; });
            }), mx::Kind::tracer);
}

TEST(Transforms, complex_gradients_follow_the_convention) {
  auto f = [](const mx::ArrayList& in) -> mx::ArrayList { return {mx::real(in[0] * in[0])}; };
  const auto g = mx::grad(f, {array(std::complex<double>(1, 2))})[0].item().complex();
  EXPECT_EQ(g, std::complex<double>(2, -4));
}

TEST(Compile, a_graph_replays_with_the_same_bits_and_merges_equal_steps) {
  auto f = [](const mx::ArrayList& in) -> mx::ArrayList {
    const array a = mx::exp(in[0]) + in[1], b = mx::exp(in[0]) * in[1], unused = mx::sin(a);
    (void)unused;
    return {a / b};
  };
  const array x = ramp(777), y = ramp(777, 0.01f) + 50;
  const mx::FunctionGraph graph(f, {x.slot().spec, y.slot().spec});
  EXPECT_EQ(graph.steps().size(), 4u);  // exp, add, multiply, divide
  EXPECT_TRUE(same_bits(graph({x, y})[0], f({x, y})[0]));
}

// ---- rooms, as they read in Python
// ---------------------------------------------------------------

TEST(Create, ramps_and_patterns) {
  EXPECT_EQ(values(mx::arange(1, 7, 2)), (std::vector<float>{1, 3, 5}));
  EXPECT_EQ(mx::arange(0, 1, 0.25).dtype(), mx::float32);
  EXPECT_EQ(values(mx::linspace(0, 1, 5)), (std::vector<float>{0, 0.25f, 0.5f, 0.75f, 1}));
  EXPECT_EQ(values(mx::eye(2, 3, 1)), (std::vector<float>{0, 1, 0, 0, 0, 1}));
  EXPECT_EQ(values(mx::diag(array{1.0f, 2.0f}, -1)),
            (std::vector<float>{0, 0, 0, 1, 0, 0, 0, 2, 0}));
  EXPECT_EQ(kind_of_error([] { mx::arange(0, 3, 0); }), mx::Kind::value);
  EXPECT_EQ(kind_of_error([] { mx::zeros({-1}); }), mx::Kind::value);
}

TEST(Index, keys_as_numpy_reads_them) {
  const array a = mx::reshape(mx::arange(0, 12, 1), {3, 4});
  const mx::IndexItem all{mx::IndexItem::range, 0, {}, {}, {}, {}};
  const mx::IndexItem last{mx::IndexItem::number, -1, {}, {}, {}, {}};
  const mx::IndexItem some{mx::IndexItem::indices, 0, {}, {}, {}, array{2, 0}};
  EXPECT_EQ(values(mx::index(a, {last})), (std::vector<float>{8, 9, 10, 11}));
  EXPECT_EQ(values(mx::index(a, {all, some})), (std::vector<float>{2, 0, 6, 4, 10, 8}));
  EXPECT_EQ(values(mx::index_update(a, {some, last}, 0)),
            (std::vector<float>{0, 1, 2, 0, 4, 5, 6, 7, 8, 9, 10, 0}));
  EXPECT_EQ(values(mx::scatter_add(mx::zeros({3}), {array{1, 1, 2}}, array{1.0f, 2.0f, 5.0f}, {0})),
            (std::vector<float>{0, 3, 5}));
  EXPECT_EQ(kind_of_error([&] { mx::take(a, array{3}, 0).eval(); }), mx::Kind::index);
}

TEST(Index, gather_differentiates) {
  const auto f = [](const mx::ArrayList& x) -> mx::ArrayList {
    return {mx::sum(mx::take(x[0], array{1, 1, 0}, 0))};
  };
  EXPECT_EQ(values(mx::grad(f, {array{1.0f, 2.0f, 3.0f}})[0]), (std::vector<float>{1, 2, 0}));
}

TEST(Matmul, shapes_and_dtypes) {
  const array a = mx::reshape(mx::arange(0.0, 6.0, 1.0), {2, 3}),
              b = mx::reshape(mx::arange(0.0, 6.0, 1.0), {3, 2});
  EXPECT_EQ(values(mx::matmul(a, b)), (std::vector<float>{10, 13, 28, 40}));
  EXPECT_EQ(mx::matmul(mx::zeros({5, 1, 2, 3}), mx::zeros({4, 3, 2})).shape(), (Shape{5, 4, 2, 2}));
  EXPECT_EQ(values(mx::matmul(array{1, 2}, array{3, 4})), (std::vector<float>{11}));
  EXPECT_EQ(kind_of_error([&] { mx::matmul(a, a); }), mx::Kind::value);
}

TEST(Random, keys_are_the_references) {
  const array two = mx::random::split(mx::random::key(0));
  EXPECT_TRUE(same_bits(two, array({4146024105u, 967050713u, 2718843009u, 1272950319u}, {2, 2})));
  const array x = mx::random::uniform(0, 1, {1000}, mx::float32, mx::random::key(1));
  EXPECT_TRUE(same_bits(mx::slice_axis(x, 0, 0, 10),
                        mx::random::uniform(0, 1, {10}, mx::float32, mx::random::key(1))));
}

TEST(Plan, orders_and_predicts) {
  const array x = mx::arange(0.0, 1000.0, 1.0);
  const mx::PlanSummary plan = mx::plan({mx::sum(mx::exp(x) + 1)});
  ASSERT_EQ(plan.steps.size(), 3u);
  EXPECT_EQ(plan.steps[1].ops, (std::vector<std::string>{"exp", "add"}));
  EXPECT_GE(plan.peak_bytes, 4000);
  std::vector<array> sums;
  for (int k = 0; k < 10; ++k) sums.push_back(mx::sum(mx::arange(0.0, 100.0 + k, 1.0)));
  EXPECT_LT(mx::plan(sums, 0).peak_bytes, mx::plan(sums, 100).peak_bytes);
}

TEST(Plan, an_array_inside_a_prepared_plan_is_an_error_outside_of_it) {
  const array x{1.0f, 2.0f}, y = mx::exp(x);
  mx::Prepared prepared({x}, {y});
  EXPECT_EQ(kind_of_error([&] { mx::eval(mx::Arrays{y}); }), mx::Kind::runtime);
  EXPECT_EQ(kind_of_error([&] { mx::eval(mx::Arrays{mx::sum(y + 1)}); }), mx::Kind::runtime);
  EXPECT_EQ(kind_of_error([&] { mx::async_eval({y}); }), mx::Kind::runtime);
}

TEST(Custom, rules_replace_those_of_the_ops) {
  mx::Rules rules;
  rules.vjp = [](const mx::ArrayList&, const mx::ArrayList& cts,
                 const mx::ArrayList&) -> mx::ArrayList { return {cts[0] * 100}; };
  const auto f = [&](const mx::ArrayList& x) -> mx::ArrayList {
    return {mx::sum(mx::custom_call(
        [](const mx::ArrayList& y) -> mx::ArrayList { return {mx::sin(y[0])}; }, x, rules)[0])};
  };
  EXPECT_EQ(values(mx::grad(f, {array{1.0f, 2.0f}})[0]), (std::vector<float>{100, 100}));
}
