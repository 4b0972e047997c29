// The sub-module core.random.
#pragma once
#include "ops/functions.h"
#include "ops/random/random.h"

namespace lazulite::functions {

inline array key_of(OptionalArray k) { return k.value_or(array()); }
inline Shape shape_of(O a) { return a.is_array() ? a.get().shape() : Shape{}; }

template <class M>
void add_random(M& core) {
  auto& m = core.module("random");
  m.def(
      "seed(seed)", [](uint64_t n) { random::seed(n); },
      "Sets the default key to key(seed).\n\n"
      ">>> mx.random.seed(0)");
  m.def(
       "key(seed)", [](uint64_t n) { return random::key(n); },
       "A key from a number below 2^64: uint32 of shape (2,).\n\n"
       ">>> mx.random.key(5)\n"
       "array([0, 5], dtype=uint32)")
      .cases({"5"}, "-");
  m.def(
       "split(key, num=2, stream=None)", [](A k, int64_t n, S s) { return random::split(k, n, s); },
       "New keys from a key, of shape (num, 2), by Threefry-2x32 (Salmon et al., 2011).\n\n"
       ">>> mx.random.split(mx.random.key(0))\n"
       "array([[4146024105, 967050713],\n"
       "       [2718843009, 1272950319]], dtype=uint32)")
      .cases({"mx.random.key(3), 3"}, "-")
      .large({"mx.random.key(3), grain + 1"});
  m.def(
       "bits(shape=[], width=4, key=None, stream=None)",
       [](const Shape& shape, int width, OptionalArray k, S s) {
         return random::bits(shape, width, key_of(k), s);
       },
       "Random bits: uint32 for width 4, uint64 for width 8 (bytes).\n\n"
       ">>> mx.random.bits((2,), key=mx.random.key(0)).dtype\n"
       "lazulite.core.uint32")
      .cases({"(3, 5), 4, mx.random.key(3)", "(2, 3), 8, mx.random.key(3)"}, "-")
      .large({"(2, chunk + 1), 4, mx.random.key(3)", "(grain + 1,), 8, mx.random.key(3)"});
  m.def(
       "uniform(low=0, high=1, shape=[], dtype=float32, key=None, stream=None)",
       [](O low, O high, const Shape& shape, OptionalDtype t, OptionalArray k, S s) {
         return random::uniform(low, high, shape, t.value_or(float32), key_of(k), s);
       },
       "Numbers in [low, high); arrays for low and high broadcast to the shape.\n\n"
       ">>> mx.random.uniform(shape=(3,)).shape\n"
       "(3,)")
      .cases({"0, 2, (3, 5), key=mx.random.key(3)", "x(5), 3.0, (3, 5), key=mx.random.key(3)"}, "-")
      .large({"0, 2, (3, grain + 1), key=mx.random.key(3)"});
  m.def(
       "normal(shape=[], dtype=float32, loc=None, scale=None, key=None, stream=None)",
       [](const Shape& shape, OptionalDtype t, OptionalOperand loc, OptionalOperand scale,
          OptionalArray k,
          S s) { return random::normal(shape, t.value_or(float32), loc, scale, key_of(k), s); },
       "Normal numbers with mean loc and standard deviation scale.\n\n"
       ">>> mx.random.normal((3,)).shape\n"
       "(3,)")
      .cases({"(3, 5), key=mx.random.key(3)", "(3, 5), loc=x(5), scale=2.0, key=mx.random.key(3)"},
             "-")
      .large({"(3, grain + 1), key=mx.random.key(3)"});
  m.def(
       "bernoulli(p=0.5, shape=None, key=None, stream=None)",
       [](O p, OptionalShape shape, OptionalArray k, S s) {
         return random::bernoulli(p, shape, key_of(k), s);
       },
       "True with probability p; of p's shape unless another is given.\n\n"
       ">>> mx.random.bernoulli(1.0, (2,))\n"
       "array([True, True], dtype=bool)")
      .cases({"0.3, (3, 5), key=mx.random.key(3)"}, "-")
      .large({"0.3, (3, grain + 1), key=mx.random.key(3)"});
  m.def(
       "randint(low, high, shape=[], dtype=int32, key=None, stream=None)",
       [](O low, O high, const Shape& given, OptionalDtype t, OptionalArray k, S s) {
         const Shape shape =
             given.empty() ? broadcast_shapes(shape_of(low), shape_of(high), "randint") : given;
         return random::randint(low, high, shape, t.value_or(int32), key_of(k), s);
       },
       "Integers in [low, high). ValueError when there is none.\n\n"
       ">>> mx.random.randint(3, 4, (2,))\n"
       "array([3, 3], dtype=int32)")
      .cases({"0, 9, (3, 5), key=mx.random.key(3)"}, "-")
      .large({"0, 9, (3, grain + 1), key=mx.random.key(3)"});
  m.def(
       "categorical(logits, axis=-1, shape=None, num_samples=None, key=None, stream=None)",
       [](A logits, int axis, OptionalShape shape, const std::optional<int>& n, OptionalArray k,
          S s) { return random::categorical(logits, axis, shape, n, key_of(k), s); },
       "Categories drawn with unnormalised log-probabilities along an axis (by the "
       "Gumbel-max method); uint32 of the shape\n"
       "without that axis, with num_samples appended, or of a shape to which it broadcasts.\n\n"
       ">>> mx.random.categorical(mx.array([0.0, -mx.inf]))\n"
       "array(0, dtype=uint32)")
      .cases({"x(3, 5), key=mx.random.key(3)", "x(3, 5), num_samples=4, key=mx.random.key(3)"}, "-")
      .large({"x(3, grain + 1), key=mx.random.key(3)"});
  m.def(
       "gumbel(shape=[], dtype=float32, key=None, stream=None)",
       [](const Shape& shape, OptionalDtype t, OptionalArray k, S s) {
         return random::gumbel(shape, t.value_or(float32), key_of(k), s);
       },
       "Standard Gumbel numbers: -log(-log(u)).\n\n"
       ">>> mx.random.gumbel((3,)).shape\n"
       "(3,)")
      .cases({"(3, 5), key=mx.random.key(3)"}, "-")
      .large({"(3, grain + 1), key=mx.random.key(3)"});
  m.def(
       "laplace(shape=[], dtype=float32, loc=0.0, scale=1.0, key=None, stream=None)",
       [](const Shape& shape, OptionalDtype t, double loc, double scale, OptionalArray k, S s) {
         return random::laplace(shape, t.value_or(float32), loc, scale, key_of(k), s);
       },
       "Laplace numbers with mean loc and scale.\n\n"
       ">>> mx.random.laplace((3,)).shape\n"
       "(3,)")
      .cases({"(3, 5), key=mx.random.key(3)"}, "-")
      .large({"(3, grain + 1), key=mx.random.key(3)"});
  m.def(
       "truncated_normal(lower, upper, shape=None, dtype=float32, key=None, stream=None)",
       [](O lower, O upper, OptionalShape shape, OptionalDtype t, OptionalArray k, S s) {
         return random::truncated_normal(lower, upper, shape, t.value_or(float32), key_of(k), s);
       },
       "Standard normal numbers between two bounds, by the inverse of the distribution function, "
       "which is solved\n"
       "for by Newton's method where both bounds lie in one tail, however far out. The result has "
       "derivatives by\n"
       "the bounds.\n\n"
       ">>> mx.random.truncated_normal(-1.0, 1.0, (3,)).shape\n"
       "(3,)")
      .cases(
          {"-1.0, 2.0, (3, 5), key=mx.random.key(3)", "-9.0, -8.0, (3, 5), key=mx.random.key(3)"},
          "-")
      .large({"-1.0, 2.0, (3, grain + 1), key=mx.random.key(3)"});
  m.def(
       "multivariate_normal(mean, cov, shape=[], dtype=float32, key=None, stream=None)",
       [](A mean, A cov, const Shape& shape, OptionalDtype t, OptionalArray k, S s) {
         return random::multivariate_normal(mean, cov, shape, t.value_or(float32), key_of(k), s);
       },
       "Normal vectors with means (..., n) and covariances (..., n, n), which are positive "
       "semi-definite: of shape\n"
       "(*shape, n), to which what is in front of both broadcasts, or without a shape one for each "
       "of them.\n\n"
       ">>> mx.random.multivariate_normal(mx.zeros(2), mx.eye(2), (5,)).shape\n"
       "(5, 2)")
      .cases({"x(3), mx.diag(mx.array([1.0, 2.0, 3.0])), (4,), key=mx.random.key(3)",
              "x(2, 3), mx.diag(mx.array([1.0, 2.0, 3.0])) * mx.ones((4, 1, 1, 1)), "
              "key=mx.random.key(3)"},
             "-")
      .by_layout()
      .large({"x(3), mx.diag(mx.array([1.0, 2.0, 3.0])), (grain + 1,), key=mx.random.key(3)"});
  m.def(
       "permutation(x, axis=0, key=None, stream=None)",
       [](const std::variant<Size, array>& x, int axis, OptionalArray k, S s) {
         if (auto* n = std::get_if<Size>(&x)) return random::permutation(n->value, key_of(k), s);
         return random::permutation(std::get<array>(x), axis, key_of(k), s);
       },
       "0 ... x - 1 in random order (uint32), or the array with its slices along an axis in "
       "random order.\n\n"
       ">>> mx.sum(mx.random.permutation(4))\n"
       "array(6, dtype=uint32)")
      .cases({"7, key=mx.random.key(3)", "x(5, 3), key=mx.random.key(3)",
              "x(5, 3), 1, key=mx.random.key(3)"},
             "-")
      .large({"grain + 1, key=mx.random.key(3)", "x(block + 1, 33), key=mx.random.key(3)"});
}

}  // namespace lazulite::functions
