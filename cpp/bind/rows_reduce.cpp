// Reductions.
#include "bind/def.h"
#include "ops/elementwise/elementwise.h"
#include "ops/reduce/reduce.h"
#include "ops/shape/shape.h"

namespace lazulite::bind {

namespace {

using A = const array&;
using O = const Operand&;
using S = Stream;
using OptionalAxes = const std::optional<Axes>&;
using OptionalDtype = const std::optional<Dtype>&;
using OptionalInt = const std::optional<int>&;

Axes given(OptionalAxes axes, A a) { return axes ? *axes : all_axes(a.ndim()); }

#define LAZULITE_REDUCTION(name, text)                                                            \
  def(#name "(a, /, axis=None, keepdims=False, *, stream=None)",                                  \
      [](A a, OptionalAxes axes, bool keep, S s) { return name(a, given(axes, a), keep, s); }, text) \
      .cases({"x(2, 3, 4)", "x(2, 3, 4), 1", "x(2, 3, 4), (0, -1), keepdims=True", "x(5, 1), 0"}) \
      .large({"x(2, 9 * tree + 1), 1", "x(tree + 1, 3), 0", "x(3, block + 1, 17), (0, 1)", "x(2, tree + 1, 33), 1"})
// Methods that NumPy calls for np.sum(a) and the like, with its keywords.
#define LAZULITE_REDUCTION_METHOD(name, text)                                                   \
  def(#name "(a, axis=None, keepdims=False, *, out=None, stream=None)",                         \
      [](A a, OptionalAxes axes, bool keep, PyObject* out, S s) {                               \
        no_out(out, #name);                                                                     \
        return name(a, given(axes, a), keep, s);                                                \
      }, text " out= is there for NumPy: None only. See mx." #name ".")
#define LAZULITE_TYPED_REDUCTION_METHOD(name, text)                                             \
  def(#name "(a, axis=None, keepdims=False, *, dtype=None, out=None, stream=None)",             \
      [](A a, OptionalAxes axes, bool keep, OptionalDtype t, PyObject* out, S s) {              \
        no_out(out, #name);                                                                     \
        return in_dtype(a, t, s, [&](A x) { return name(x, given(axes, a), keep, s); });        \
      }, text " out= is there for NumPy: None only. See mx." #name ".")

void no_out(PyObject* out, const char* op) {
  if (out != Py_None) fail(Kind::type, op, "out: got ", Py_TYPE(out)->tp_name, ", expected None: arrays are not written to");
}
template <class F>
array in_dtype(A a, OptionalDtype t, S s, F&& reduce) {
  return t ? astype(reduce(astype(a, *t, s)), *t, s) : reduce(a);
}

array arg_of(A a, OptionalInt axis, bool keep, S s, array (*f)(const array&, int, bool, S), array (*all)(const array&, S)) {
  if (axis) return f(a, *axis, keep, s);
  const array out = all(a, s);
  if (!keep) return out;
  Shape ones;
  ones.resize(a.shape().size(), 1);
  return reshape(out, ones, s);
}

array deviation(A a, OptionalAxes axes, bool keep, int ddof, OptionalInt correction, S s, bool root) {
  const int n = correction.value_or(ddof);
  return root ? lazulite::std(a, given(axes, a), keep, n, s) : var(a, given(axes, a), keep, n, s);
}

const Register rows{"", {
    LAZULITE_REDUCTION(sum, "The sum over axes (all by default; an empty list changes nothing). bool and integers up to 32 bits give int32 or\n"
        "uint32. Halves accumulate in float32 and round once; the order of additions is fixed, so that the bits do not depend\n"
        "on threads or instruction set. Of nothing: 0.\n\n>>> mx.sum(mx.array([[1, 2], [3, 4]]), 0)\narray([4, 6], dtype=int32)"),
    LAZULITE_REDUCTION(prod, "The product over axes, with the dtypes of sum. Of nothing: 1.\n\n>>> mx.prod(mx.array([2, 3]))\narray(6, dtype=int32)"),
    LAZULITE_REDUCTION(max, "The largest over axes; nan if any is. Of nothing: ValueError.\n\n>>> mx.max(mx.array([2, 3]))\narray(3, dtype=int32)"),
    LAZULITE_REDUCTION(min, "The smallest over axes; nan if any is. Of nothing: ValueError.\n\n>>> mx.min(mx.array([2, 3]))\narray(2, dtype=int32)"),
    LAZULITE_REDUCTION(all, "True when no element is zero.\n\n>>> mx.all(mx.array([1, 0]))\narray(False, dtype=bool)"),
    LAZULITE_REDUCTION(any, "True when some element is not zero.\n\n>>> mx.any(mx.array([1, 0]))\narray(True, dtype=bool)"),
    LAZULITE_REDUCTION(mean, "The mean over axes; integers and bool give float32. Of nothing: nan.\n\n>>> mx.mean(mx.array([1, 2]))\narray(1.5, dtype=float32)"),
    LAZULITE_REDUCTION(median, "The median over axes: the middle of the sorted elements, or the mean of the two in the middle; nan if any is.\n\n"
        ">>> mx.median(mx.array([3.0, 1.0, 2.0]))\narray(2, dtype=float32)"),
    def("logsumexp(a, /, axis=None, keepdims=False, *, stream=None)",
        [](A a, OptionalAxes axes, bool keep, S s) { return logsumexp(a, given(axes, a), keep, s); },
        "log(sum(exp(a))) over axes, without overflow.\n\n>>> mx.logsumexp(mx.array([1000.0, 1000.0]))\narray(1000.69, dtype=float32)")
        .method().cases({"x(2, 3, 4)", "x(2, 3, 4), 1", "x(2, 3, 4), (0, -1), keepdims=True"}, "scipy.special.logsumexp")
        .large({"x(2, 2 * tree + 1), 1", "x(tree + 1, 3), 0"}),
    def("count_nonzero(a, /, *, axis=None, keepdims=False, stream=None)",
        [](A a, OptionalAxes axes, bool keep, S s) { return count_nonzero(a, given(axes, a), keep, s); },
        "The number of elements that are not zero.\n\n>>> mx.count_nonzero(mx.array([0, 5]))\narray(1, dtype=int32)").cases({"x(2, 3), axis=1"})
        .large({"x(2, 9 * tree + 1), axis=1"}),
    def("minmax(a, /, axis=None, keepdims=False, *, stream=None)",
        [](A a, OptionalAxes axes, bool keep, S s) -> ArrayTuple {
          auto [low, high] = minmax(a, given(axes, a), keep, s);
          return std::vector<array>{low, high};
        }, "(min(a), max(a)) over axes.\n\n>>> mx.minmax(mx.array([2, 3]))\n(array(2, dtype=int32), array(3, dtype=int32))")
        .cases({"x(2, 3, 4)", "x(2, 3, 4), 1"}, "lambda a, axis=None: (a.min(axis), a.max(axis))").large({"x(3, tree + 1), 1"}),
    def("argmax(a, /, axis=None, keepdims=False, *, stream=None)",
        [](A a, OptionalInt axis, bool keep, S s) { return arg_of(a, axis, keep, s, argmax, argmax); },
        "The index of the first largest element (or first nan) along an axis, or in the flattened array; uint32.\n\n"
        ">>> mx.argmax(mx.array([1, 3, 2]))\narray(1, dtype=uint32)").method().cases({"x(2, 3)", "x(2, 3, 4), 1", "x(2, 3), 0, keepdims=True"}, "argmax")
        .large({"x(3, tree + 1)", "x(3, tree + 1), 1", "x(tree + 1, 3), 0"}),
    def("argmin(a, /, axis=None, keepdims=False, *, stream=None)",
        [](A a, OptionalInt axis, bool keep, S s) { return arg_of(a, axis, keep, s, argmin, argmin); },
        "The index of the first smallest element (or first nan) along an axis, or in the flattened array; uint32.\n\n"
        ">>> mx.argmin(mx.array([3, 1, 2]))\narray(1, dtype=uint32)").method().cases({"x(2, 3)", "x(2, 3, 4), 1", "x(2, 3), 0, keepdims=True"}, "argmin")
        .large({"x(3, tree + 1)", "x(3, tree + 1), 1", "x(tree + 1, 3), 0"}),
    def("var(a, /, axis=None, keepdims=False, ddof=0, *, stream=None)",
        [](A a, OptionalAxes axes, bool keep, int ddof, S s) { return deviation(a, axes, keep, ddof, {}, s, false); },
        "The variance over axes: the mean of the squared distances from the mean, with n - ddof for n.\n\n>>> mx.var(mx.array([1.0, 3.0]))\narray(1, dtype=float32)")
        .cases({"x(2, 3, 4)", "x(2, 3, 4), 1, ddof=1", "x(2, 3, 4), (0, -1), keepdims=True"})
        .large({"x(3, 2 * tree + 1), 1", "x(tree + 1, 33), 0"}),
    def("std(a, /, axis=None, keepdims=False, ddof=0, *, stream=None)",
        [](A a, OptionalAxes axes, bool keep, int ddof, S s) { return deviation(a, axes, keep, ddof, {}, s, true); },
        "The standard deviation over axes: the root of var.\n\n>>> mx.std(mx.array([1.0, 3.0]))\narray(1, dtype=float32)")
        .cases({"x(2, 3, 4)", "x(2, 3, 4), 1, ddof=1", "x(2, 3, 4), (0, -1), keepdims=True"})
        .large({"x(3, 2 * tree + 1), 1", "x(tree + 1, 33), 0"}),
    def("softmax(a, /, axis=None, *, precise=False, stream=None)",
        [](A a, OptionalAxes axes, bool precise, S s) { return softmax(a, given(axes, a), precise, s); },
        "exp(a) over its sum along axes (all by default). Halves are computed in float32, precise or not.\n\n"
        ">>> mx.softmax(mx.array([0.0, 0.0]))\narray([0.5, 0.5], dtype=float32)").cases({"x(2, 3)", "x(2, 3, 4), -1", "x(2, 3, 4), 1", "x(2, 3, 4), (0, 2)"}, "scipy.special.softmax")
        .large({"x(5, tree + 1), -1", "x(tree + 1, 3), 0"}),
    def("array_equal(a, b, equal_nan=False, stream=None)", [](O a, O b, bool nan, S s) { return array_equal(a, b, nan, s); },
        "True when shapes and all elements are equal.\n\n>>> mx.array_equal(mx.ones(2), mx.ones(3))\narray(False, dtype=bool)").cases({"x(2, 3), x(2, 3)"})
        .large({"x(chunk + 1), x(chunk + 1)"}),
    def("allclose(a, b, /, rtol=1e-05, atol=1e-08, *, equal_nan=False, stream=None)",
        [](O a, O b, double rtol, double atol, bool nan, S s) { return allclose(a, b, rtol, atol, nan, s); },
        "True when all elements are close; see isclose.\n\n>>> mx.allclose(mx.ones(2), 1 + 1e-7)\narray(True, dtype=bool)").cases({"x(2, 3), x(2, 3)"})
        .large({"x(chunk + 1), x(chunk + 1)"}),
}};

const Register methods{"array", {
    LAZULITE_TYPED_REDUCTION_METHOD(sum, "The sum over axes; dtype= is that of the terms and of the result."),
    LAZULITE_TYPED_REDUCTION_METHOD(prod, "The product over axes; dtype= is that of the factors and of the result."),
    LAZULITE_TYPED_REDUCTION_METHOD(mean, "The mean over axes; dtype= is that of the terms and of the result."),
    LAZULITE_REDUCTION_METHOD(max, "The largest over axes."),
    LAZULITE_REDUCTION_METHOD(min, "The smallest over axes."),
    LAZULITE_REDUCTION_METHOD(all, "True when no element is zero."),
    LAZULITE_REDUCTION_METHOD(any, "True when some element is not zero."),
    LAZULITE_REDUCTION_METHOD(median, "The median over axes."),
    def("var(a, axis=None, keepdims=False, ddof=0, *, correction=None, dtype=None, out=None, stream=None)",
        [](A a, OptionalAxes axes, bool keep, int ddof, OptionalInt c, OptionalDtype t, PyObject* out, S s) {
          no_out(out, "var");
          return in_dtype(a, t, s, [&](A x) { return deviation(x, axes, keep, ddof, c, s, false); });
        }, "The variance; correction is another name of ddof. out= is there for NumPy: None only. See mx.var."),
    def("std(a, axis=None, keepdims=False, ddof=0, *, correction=None, dtype=None, out=None, stream=None)",
        [](A a, OptionalAxes axes, bool keep, int ddof, OptionalInt c, OptionalDtype t, PyObject* out, S s) {
          no_out(out, "std");
          return in_dtype(a, t, s, [&](A x) { return deviation(x, axes, keep, ddof, c, s, true); });
        }, "The standard deviation; correction is another name of ddof. out= is there for NumPy: None only. See mx.std."),
}};

}  // namespace
}  // namespace lazulite::bind
