// Python's functions that make arrays from nothing. `device` of the array API standard is another
// name of `stream`: either takes a device or a stream.
#pragma once
#include "ops/create/create.h"
#include "ops/functions.h"

namespace lazulite::functions {

template <class M>
void add_create(M& m) {
  m.def(
       "full(shape, vals, dtype=None, *, stream=None)",
       [](const Shape& shape, O value, OptionalDtype t, S s) {
         return t ? full(shape, value, *t, s) : full(shape, value, s);
       },
       "One value (or an array that broadcasts) in every place; by default of the dtype "
       "that array(vals) has.\n\n"
       ">>> mx.full((2,), 7)\n"
       "array([7, 7], dtype=int32)")
      .also("vals", "fill_value")
      .also("stream", "device")
      .cases({"(2, 3), 1.5", "(2, 3), x(3)"})
      .large({"(block + 1, 3), x(3)", "(2, chunk + 1), 1.5"})
      .hint("dtype", "a shape is one argument: full((2, 3), 1)");
  m.def(
       "full_like(a, vals, dtype=None, *, stream=None)",
       [](A a, O v, OptionalDtype t, S s) { return full(a.shape(), v, t.value_or(a.dtype()), s); },
       "One value in every place, in the shape and dtype of a.\n\n"
       ">>> mx.full_like(mx.array([1, 2]), 7)\n"
       "array([7, 7], dtype=int32)")
      .also("vals", "fill_value")
      .also("stream", "device")
      .cases({"x(2, 3), 1.5"})
      .large({"x(2, chunk + 1), 1.5"});
  m.def(
       "zeros(shape, dtype=float32, *, stream=None)",
       [](const Shape& shape, OptionalDtype t, S s) {
         return zeros(shape, t.value_or(float32), s);
       },
       "Zeros. Sizes must not be negative (ValueError).\n\n"
       ">>> mx.zeros(2)\n"
       "array([0, 0], dtype=float32)")
      .also("stream", "device")
      .cases({"(2, 3)", "()"})
      .large({"(2, chunk + 1)"})
      .hint("dtype", "a shape is one argument: zeros((2, 3))");
  m.def(
       "ones(shape, dtype=float32, *, stream=None)",
       [](const Shape& shape, OptionalDtype t, S s) { return ones(shape, t.value_or(float32), s); },
       "Ones. Sizes must not be negative (ValueError).\n\n"
       ">>> mx.ones(2)\n"
       "array([1, 1], dtype=float32)")
      .also("stream", "device")
      .cases({"(2, 3)", "0"})
      .large({"(2, chunk + 1)"})
      .hint("dtype", "a shape is one argument: ones((2, 3))");
  m.def(
       "zeros_like(a, /, dtype=None, *, stream=None)",
       [](A a, OptionalDtype t, S s) { return constant(0, a.shape(), t.value_or(a.dtype()), s); },
       "Zeros of the shape (and dtype, unless another is given) of a.\n\n"
       ">>> mx.zeros_like(mx.array([1, 2]))\n"
       "array([0, 0], dtype=int32)")
      .also("stream", "device")
      .cases({"x(2, 3)"})
      .large({"x(2, chunk + 1)"});
  m.def(
       "ones_like(a, /, dtype=None, *, stream=None)",
       [](A a, OptionalDtype t, S s) { return constant(1, a.shape(), t.value_or(a.dtype()), s); },
       "Ones of the shape (and dtype, unless another is given) of a.\n\n"
       ">>> mx.ones_like(mx.array([1, 2]))\n"
       "array([1, 1], dtype=int32)")
      .also("stream", "device")
      .cases({"x(2, 3)"})
      .large({"x(2, chunk + 1)"});
  m.def(
       "empty(shape, dtype=float32, *, stream=None)",
       [](const Shape& shape, OptionalDtype t, S s) {
         return zeros(shape, t.value_or(float32), s);
       },
       "An array whose values are not yet wanted: zeros here.\n\n"
       ">>> mx.empty((2, 3)).shape\n"
       "(2, 3)")
      .also("stream", "device")
      .hint("dtype", "a shape is one argument: empty((2, 3))");
  m.def(
       "empty_like(a, /, dtype=None, *, stream=None)",
       [](A a, OptionalDtype t, S s) { return zeros(a.shape(), t.value_or(a.dtype()), s); },
       "An array of the shape of a whose values are not yet wanted: zeros here.\n\n"
       ">>> mx.empty_like(mx.ones(3)).shape\n"
       "(3,)")
      .also("stream", "device")
      .cases({"x(2, 3)"}, "np.zeros_like");
  m.def(
       "arange(start=None, stop=None, step=None, dtype=None, *, stream=None)",
       [](const std::optional<Untyped>& start, const std::optional<Untyped>& stop,
          const std::optional<Untyped>& step, OptionalDtype t, S s) {
         if (!stop)
           fail(Kind::type, "arange",
                "no stop: expected arange(stop) or arange(start, stop, step)");
         const Scalar from = start ? start->value : 0, by = step ? step->value : 1;
         return t ? arange(from, stop->value, by, *t, s) : arange(from, stop->value, by, s);
       },
       "arange(stop) or arange(start, stop, step): start, start + step, ... before stop; "
       "ceil((stop - start) / step) numbers.\n"
       "int32 (int64 beyond it) for ints, float32 for floats. Step 0, nan and infinite ends "
       "raise ValueError; an infinite step\n"
       "reaches one number at most. For an integer dtype the first two numbers are\n"
       "rounded towards zero, as in NumPy, and the others follow at their distance.\n\n"
       ">>> mx.arange(1, 7, 2)\n"
       "array([1, 3, 5], dtype=int32)")
      .alone("start", "stop")
      .also("stream", "device")
      .cases({"5", "1, 7, 2", "5, 0, -2", "0, 1, 0.25"})
      .large({"chunk + 1", "0, 3 * grain + 1, 2", "0, grain + 1, 0.5"});
  m.def(
       "linspace(start, stop, num=50, endpoint=True, dtype=float32, stream=None)",
       [](const Scalar& a, const Scalar& b, int64_t n, bool end, OptionalDtype t, S s) {
         return linspace(a, b, n, end, t.value_or(float32), s);
       },
       "num numbers at equal distances from start to stop; stop itself is left out unless "
       "endpoint. Between complex numbers they are complex.\n\n"
       ">>> mx.linspace(0, 1, 5)\n"
       "array([0, 0.25, 0.5, 0.75, 1], dtype=float32)")
      .also("stream", "device")
      .cases({"0, 1, 5", "0, 1, 5, False", "2, 3, 1"})
      .large({"0, 1, grain + 1"});
}

}  // namespace lazulite::functions
