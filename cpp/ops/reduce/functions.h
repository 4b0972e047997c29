// Python's reductions.
#pragma once
#include "ops/elementwise/elementwise.h"
#include "ops/functions.h"
#include "ops/reduce/reduce.h"
#include "ops/shape/shape.h"

namespace lazulite::functions {

using Reduction = array (*)(A, const Axes&, bool, S);

inline Axes given(OptionalAxes axes, A a) { return axes ? *axes : all_axes(a.ndim()); }

// A reduction of terms in a dtype, as NumPy's dtype= asks for.
template <class F>
array in_dtype(A a, OptionalDtype t, S s, F&& reduce) {
  return t ? astype(reduce(astype(a, *t, s)), *t, s) : reduce(a);
}

template <class M>
void reduction(M& m, const std::string& name, Reduction f, const char* doc) {
  m.def(
       name + "(a, /, axis=None, keepdims=False, *, stream=None)",
       [f](A a, OptionalAxes axes, bool keep, S s) { return f(a, given(axes, a), keep, s); }, doc)
      .cases({"x(2, 3, 4)", "x(2, 3, 4), 1", "x(2, 3, 4), (0, -1), keepdims=True", "x(5, 1), 0"})
      .large({"x(2, 9 * tree + 1), 1", "x(tree + 1, 3), 0", "x(3, block + 1, 17), (0, 1)",
              "x(2, tree + 1, 33), 1", "x(tree + 1, 8), 1"});
}
// The same with the dtype of the terms and of the result, where it is given.
template <class M>
void typed_reduction(M& m, const std::string& name, Reduction f, const char* doc) {
  m.def(
       name + "(a, /, axis=None, keepdims=False, *, dtype=None, stream=None)",
       [f](A a, OptionalAxes axes, bool keep, OptionalDtype t, S s) {
         return in_dtype(a, t, s, [&](A x) { return f(x, given(axes, x), keep, s); });
       },
       doc)
      .cases({"x(2, 3, 4)", "x(2, 3, 4), 1", "x(2, 3, 4), (0, -1), keepdims=True", "x(5, 1), 0"})
      .large({"x(2, 9 * tree + 1), 1", "x(tree + 1, 3), 0", "x(3, block + 1, 17), (0, 1)",
              "x(2, tree + 1, 33), 1", "x(tree + 1, 8), 1"});
}
inline std::string of_method(const std::string& doc, const std::string& name) {
  return doc + " out= is there for NumPy: None only. See mx." + name + ".";
}
template <class M>
void method(M& m, const std::string& name, Reduction f, const char* doc) {
  m.def(
      name + "(a, axis=None, keepdims=False, *, out=None, stream=None)",
      [f](A a, OptionalAxes axes, bool keep, NoneOnly, S s) {
        return f(a, given(axes, a), keep, s);
      },
      of_method(doc, name));
}
template <class M>
void typed_method(M& m, const std::string& name, Reduction f, const char* doc) {
  m.def(
      name + "(a, axis=None, keepdims=False, *, dtype=None, out=None, stream=None)",
      [f](A a, OptionalAxes axes, bool keep, OptionalDtype t, NoneOnly, S s) {
        return in_dtype(a, t, s, [&](A x) { return f(x, given(axes, x), keep, s); });
      },
      of_method(doc, name));
}

template <class M>
void add_reduce(M& m) {
  // ---- one value for each place along the other axes
  typed_reduction(m, "sum", sum,
            "The sum over axes (all by default; an empty list changes nothing). bool and "
            "integers up to 32 bits give int32 or\n"
            "uint32; dtype= is that of the terms and of the result. Halves accumulate in float32 and round once; the order of additions is "
            "fixed, so that the bits do not depend\n"
            "on threads or instruction set. Of nothing: 0.\n\n"
            ">>> mx.sum(mx.array([[1, 2], [3, 4]]), 0)\n"
            "array([4, 6], dtype=int32)");
  typed_reduction(m, "prod", prod,
            "The product over axes, with the dtypes of sum. Of nothing: 1.\n\n"
            ">>> mx.prod(mx.array([2, 3]))\n"
            "array(6, dtype=int32)");
  reduction(m, "max", max,
            "The largest over axes; nan if any is. Of nothing: ValueError.\n\n"
            ">>> mx.max(mx.array([2, 3]))\n"
            "array(3, dtype=int32)");
  reduction(m, "min", min,
            "The smallest over axes; nan if any is. Of nothing: ValueError.\n\n"
            ">>> mx.min(mx.array([2, 3]))\n"
            "array(2, dtype=int32)");
  reduction(m, "all", all,
            "True when no element is zero.\n\n"
            ">>> mx.all(mx.array([1, 0]))\n"
            "array(False, dtype=bool)");
  reduction(m, "any", any,
            "True when some element is not zero.\n\n"
            ">>> mx.any(mx.array([1, 0]))\n"
            "array(True, dtype=bool)");
  reduction(m, "mean", mean,
            "The mean over axes; integers and bool give float32. Of nothing: nan.\n\n"
            ">>> mx.mean(mx.array([1, 2]))\n"
            "array(1.5, dtype=float32)");
  reduction(m, "median", median,
            "The median over axes: the middle of the sorted elements, or the mean of the two in "
            "the middle; nan if any is.\n\n"
            ">>> mx.median(mx.array([3.0, 1.0, 2.0]))\n"
            "array(2, dtype=float32)");
  m.def(
       "logsumexp(a, /, axis=None, keepdims=False, *, stream=None)",
       [](A a, OptionalAxes axes, bool keep, S s) { return logsumexp(a, given(axes, a), keep, s); },
       "log(sum(exp(a))) over axes, without overflow.\n\n"
       ">>> mx.logsumexp(mx.array([1000.0, 1000.0]))\n"
       "array(1000.69, dtype=float32)")
      .method()
      .cases({"x(2, 3, 4)", "x(2, 3, 4), 1", "x(2, 3, 4), (0, -1), keepdims=True"},
             "scipy.special.logsumexp")
      .large({"x(2, 2 * tree + 1), 1", "x(tree + 1, 3), 0"});
  m.def(
       "count_nonzero(a, /, *, axis=None, keepdims=False, stream=None)",
       [](A a, OptionalAxes axes, bool keep, S s) {
         return count_nonzero(a, given(axes, a), keep, s);
       },
       "The number of elements that are not zero.\n\n"
       ">>> mx.count_nonzero(mx.array([0, 5]))\n"
       "array(1, dtype=int32)")
      .cases({"x(2, 3), axis=1"})
      .large({"x(2, 9 * tree + 1), axis=1"});
  m.def(
       "minmax(a, /, axis=None, keepdims=False, *, stream=None)",
       [](A a, OptionalAxes axes, bool keep, S s) -> ArrayTuple {
         auto [low, high] = minmax(a, given(axes, a), keep, s);
         return std::vector<array>{low, high};
       },
       "(min(a), max(a)) over axes.\n\n"
       ">>> mx.minmax(mx.array([2, 3]))\n"
       "(array(2, dtype=int32), array(3, dtype=int32))")
      .cases({"x(2, 3, 4)", "x(2, 3, 4), 1"}, "lambda a, axis=None: (a.min(axis), a.max(axis))")
      .large({"x(3, tree + 1), 1"});
  m.def(
       "argmax(a, /, axis=None, keepdims=False, *, stream=None)",
       [](A a, OptionalInt axis, bool keep, S s) {
         if (axis) return argmax(a, *axis, keep, s);
         return keep ? expand_dims(argmax(a, s), all_axes(a.ndim()), s) : argmax(a, s);
       },
       "The index of the first largest element (or first nan) along an axis, or in the "
       "flattened array; uint32.\n\n"
       ">>> mx.argmax(mx.array([1, 3, 2]))\n"
       "array(1, dtype=uint32)")
      .method()
      .cases({"x(2, 3)", "x(2, 3, 4), 1", "x(2, 3), 0, keepdims=True"}, "argmax")
      .large({"x(3, tree + 1)", "x(3, tree + 1), 1", "x(tree + 1, 3), 0"});
  m.def(
       "argmin(a, /, axis=None, keepdims=False, *, stream=None)",
       [](A a, OptionalInt axis, bool keep, S s) {
         if (axis) return argmin(a, *axis, keep, s);
         return keep ? expand_dims(argmin(a, s), all_axes(a.ndim()), s) : argmin(a, s);
       },
       "The index of the first smallest element (or first nan) along an axis, or in the "
       "flattened array; uint32.\n\n"
       ">>> mx.argmin(mx.array([3, 1, 2]))\n"
       "array(1, dtype=uint32)")
      .method()
      .cases({"x(2, 3)", "x(2, 3, 4), 1", "x(2, 3), 0, keepdims=True"}, "argmin")
      .large({"x(3, tree + 1)", "x(3, tree + 1), 1", "x(tree + 1, 3), 0"});
  m.def(
       "var(a, /, axis=None, keepdims=False, ddof=0, *, stream=None)",
       [](A a, OptionalAxes axes, bool keep, double ddof, S s) {
         return var(a, given(axes, a), keep, ddof, s);
       },
       "The variance over axes: the mean of the squared distances from the mean, with n - "
       "ddof for n; correction is another name of ddof.\n\n"
       ">>> mx.var(mx.array([1.0, 3.0]))\n"
       "array(1, dtype=float32)")
      .also("ddof", "correction")
      .cases({"x(2, 3, 4)", "x(2, 3, 4), 1, ddof=1", "x(2, 3, 4), (0, -1), keepdims=True"})
      .large({"x(3, 2 * tree + 1), 1", "x(tree + 1, 33), 0"});
  m.def(
       "std(a, /, axis=None, keepdims=False, ddof=0, *, stream=None)",
       [](A a, OptionalAxes axes, bool keep, double ddof, S s) {
         return lazulite::std(a, given(axes, a), keep, ddof, s);
       },
       "The standard deviation over axes: the root of var.\n\n"
       ">>> mx.std(mx.array([1.0, 3.0]))\n"
       "array(1, dtype=float32)")
      .also("ddof", "correction")
      .cases({"x(2, 3, 4)", "x(2, 3, 4), 1, ddof=1", "x(2, 3, 4), (0, -1), keepdims=True"})
      .large({"x(3, 2 * tree + 1), 1", "x(tree + 1, 33), 0"});

  // ---- others
  m.def(
       "softmax(a, /, axis=None, *, precise=False, stream=None)",
       [](A a, OptionalAxes axes, bool precise, S s) {
         return softmax(a, given(axes, a), precise, s);
       },
       "exp(a) over its sum along axes (all by default). Halves are computed in float32, "
       "precise or not.\n\n"
       ">>> mx.softmax(mx.array([0.0, 0.0]))\n"
       "array([0.5, 0.5], dtype=float32)")
      .cases({"x(2, 3)", "x(2, 3, 4), -1", "x(2, 3, 4), 1", "x(2, 3, 4), (0, 2)"},
             "scipy.special.softmax")
      .large({"x(5, tree + 1), -1", "x(tree + 1, 3), 0", "x(tree + 1, 67), 0",
              "x(3, block + 1, 21), 1"});
  m.def(
       "array_equal(a, b, equal_nan=False, stream=None)",
       [](O a, O b, bool nan, S s) { return array_equal(a, b, nan, s); },
       "True when shapes and all elements are equal.\n\n"
       ">>> mx.array_equal(mx.ones(2), mx.ones(3))\n"
       "array(False, dtype=bool)")
      .cases({"x(2, 3), x(2, 3)"})
      .large({"x(chunk + 1), x(chunk + 1)"});
  m.def(
       "allclose(a, b, /, rtol=1e-05, atol=1e-08, *, equal_nan=False, stream=None)",
       [](O a, O b, double rtol, double atol, bool nan, S s) {
         return allclose(a, b, rtol, atol, nan, s);
       },
       "True when all elements are close; see isclose.\n\n"
       ">>> mx.allclose(mx.ones(2), 1 + 1e-7)\n"
       "array(True, dtype=bool)")
      .cases({"x(2, 3), x(2, 3)"})
      .large({"x(chunk + 1), x(chunk + 1)"});

  // ---- methods that NumPy calls for np.sum(a) and the like, with its keywords
  auto& methods = m.methods();
  typed_method(methods, "sum", sum,
               "The sum over axes; dtype= is that of the terms and of the result.");
  typed_method(methods, "prod", prod,
               "The product over axes; dtype= is that of the factors and of the result.");
  typed_method(methods, "mean", mean,
               "The mean over axes; dtype= is that of the terms and of the result.");
  method(methods, "max", max, "The largest over axes.");
  method(methods, "min", min, "The smallest over axes.");
  method(methods, "all", all, "True when no element is zero.");
  method(methods, "any", any, "True when some element is not zero.");
  method(methods, "median", median, "The median over axes.");
  methods.def(
      "var(a, axis=None, keepdims=False, ddof=0, *, correction=None, dtype=None, out=None, "
      "stream=None)",
      [](A a, OptionalAxes axes, bool keep, double ddof, const std::optional<double>& correction,
         OptionalDtype t, NoneOnly, S s) {
        return in_dtype(a, t, s, [&](A x) {
          return var(x, given(axes, x), keep, correction.value_or(ddof), s);
        });
      },
      "The variance; correction is another name of ddof. out= is there for NumPy: None "
      "only. See mx.var.");
  methods.def(
      "std(a, axis=None, keepdims=False, ddof=0, *, correction=None, dtype=None, out=None, "
      "stream=None)",
      [](A a, OptionalAxes axes, bool keep, double ddof, const std::optional<double>& correction,
         OptionalDtype t, NoneOnly, S s) {
        return in_dtype(a, t, s, [&](A x) {
          return lazulite::std(x, given(axes, x), keep, correction.value_or(ddof), s);
        });
      },
      "The standard deviation; correction is another name of ddof. out= is there for "
      "NumPy: None only. See mx.std.");
}

}  // namespace lazulite::functions
