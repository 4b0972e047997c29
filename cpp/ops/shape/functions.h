// Python's functions of shape.
#pragma once
#include "ops/functions.h"
#include "ops/shape/shape.h"

namespace lazulite::functions {

inline std::vector<array> flattened(Arrays_ arrays, S s) {
  std::vector<array> out;
  for (A a : arrays) out.push_back(reshape(a, {a.size()}, s));
  return out;
}

template <class M>
void add_shape(M& m) {
  m.def(
       "broadcast_to(a, /, shape, *, stream=None)",
       [](A a, const Shape& shape, S s) { return broadcast_view(a, shape, s); },
       "a repeated along axes of size 1 and new leading axes. ValueError when it does not "
       "fit.\n\n"
       ">>> mx.broadcast_to(mx.array([1, 2]), (2, 2))\n"
       "array([[1, 2],\n"
       "       [1, 2]], dtype=int32)")
      .cases({"x(3), (2, 3)", "x(2, 1), (4, 2, 3)"})
      .large({"x(tile + 1, 1), (3, tile + 1, inner + 1)"});
  m.def(
       "reshape(a, /, shape, *, copy=None, stream=None)",
       [](A a, const Shape& shape, const std::optional<bool>&, S s) {
         return reshape(a, shape, s);
       },
       "The same elements in row-major order in another shape; one size may be -1. "
       "ValueError when the sizes differ. The result is an array of its own, whatever `copy` says: "
       "memory that is shared is never written to.\n\n"
       ">>> mx.reshape(mx.arange(4), (2, -1))\n"
       "array([[0, 1],\n"
       "       [2, 3]], dtype=int32)")
      .cases({"x(2, 3, 4), (4, -1)", "x(6), (2, 3)", "x(0, 3), (3, 0)"})
      .large({"x(block + 1, inner + 1), (inner + 1, block + 1)"});
  m.def(
       "transpose(a, /, axes=None, *, stream=None)",
       [](A a, OptionalAxes axes, S s) { return axes ? transpose(a, *axes, s) : transpose(a, s); },
       "The axes in another order; reversed by default.\n\n"
       ">>> mx.transpose(mx.ones((2, 3))).shape\n"
       "(3, 2)")
      .cases({"x(2, 3, 4)", "x(2, 3, 4), (1, 2, 0)"})
      .large({"x(tile + 1, inner + 1)", "x(3, block + 1, 17), (2, 0, 1)"});
  m.def(
       "permute_dims(a, /, axes=None, *, stream=None)",
       [](A a, OptionalAxes axes, S s) { return axes ? transpose(a, *axes, s) : transpose(a, s); },
       "The axes in another order; reversed by default.\n\n"
       ">>> mx.permute_dims(mx.ones((2, 3)), (1, 0)).shape\n"
       "(3, 2)")
      .cases({"x(2, 3, 4), (1, 2, 0)"}, "np.transpose");
  m.def(
       "contiguous(a, /, allow_col_major=False, *, stream=None)",
       [](A a, bool, S s) { return contiguous(a, s); },
       "The array in row-major order without gaps.\n\n"
       ">>> mx.contiguous(mx.ones((2, 3)).T).shape\n"
       "(3, 2)")
      .cases({"x(2, 3).T"}, "np.ascontiguousarray")
      .large({"x(tile + 1, inner + 1).T"});
  m.def(
       "view(a, dtype, stream=None)", [](A a, Dtype t, S s) { return view(a, t, s); },
       "The same bytes as another dtype; the last axis shrinks or grows and must divide "
       "(ValueError).\n\n"
       ">>> mx.view(mx.array([1.0]), mx.uint32)\n"
       "array([1065353216], dtype=uint32)")
      .method()
      .cases({"x(4, 6), mx.uint8", "x(4, 8), mx.uint64"}, "-")
      .large({"x(3, 2 * grain), mx.uint8"})
      .hint("dtype", "expected one dtype, use reshape for shapes");
  m.def(
       "concatenate(arrays, axis=0, *, stream=None)",
       [](Arrays_ arrays, OptionalInt axis, S s) {
         return axis ? concatenate(arrays, *axis, s) : concatenate(flattened(arrays, s), 0, s);
       },
       "Arrays one after the other along an axis (None: each flattened first); dtypes "
       "promote.\n\n"
       ">>> mx.concatenate([mx.ones(1), mx.zeros(2)])\n"
       "array([1, 0, 0], dtype=float32)")
      .cases({"[x(2, 3), x(1, 3)]", "[x(2, 3), x(2, 0), x(2, 2)], 1"})
      .large(
          {"[x(block + 1, inner + 1), x(block + 1, 3)], 1", "[x(chunk + 1), x(5), x(grain + 1)]"})
      .hint("axis", "arrays go in one list");
  m.def(
       "concat(arrays, axis=0, *, stream=None)",
       [](Arrays_ arrays, OptionalInt axis, S s) {
         return axis ? concatenate(arrays, *axis, s) : concatenate(flattened(arrays, s), 0, s);
       },
       "The same as concatenate.\n\n"
       ">>> mx.concat([mx.ones(1), mx.zeros(2)]).shape\n"
       "(3,)")
      .cases({"[x(2, 3), x(1, 3)]"}, "np.concatenate")
      .hint("axis", "arrays go in one list");
  m.def(
      "_depends(inputs, dependencies)", [](Arrays_ in, Arrays_ on) { return depends(in, on); },
      "The inputs, evaluated after the dependencies.");

  // ---- methods whose arguments are spread
  auto& methods = m.methods();
  methods.def(
      "reshape(a, *shape, stream=None)",
      [](A a, const Spread<Shape>& shape, S s) { return reshape(a, shape.value, s); },
      "The same elements in another shape: a.reshape(2, 3), a.reshape((2, -1)); see "
      "mx.reshape.");
  methods.def(
      "transpose(a, *axes, stream=None)",
      [](A a, const Spread<std::optional<Axes>>& axes, S s) {
        return axes.value ? transpose(a, *axes.value, s) : transpose(a, s);
      },
      "The axes in another order: a.transpose(1, 0); see mx.transpose.");
}

}  // namespace lazulite::functions
