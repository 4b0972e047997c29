// Elements by position: gather, scatter, and indexing as in NumPy, made of them.
//
// Index arrays are of integers, count from the end when negative, and are checked when they are
// read: an index error names index, axis and size.
#pragma once
#include <optional>
#include <ostream>
#include <vector>

#include "graph/node.h"

namespace lazulite {

enum class Write : uint8_t { set, add, multiply, divide, maximum, minimum };
inline std::ostream& operator<<(std::ostream& out, Write mode) {
  constexpr const char* names[] = {"set", "add", "multiply", "divide", "maximum", "minimum"};
  return out << names[int(mode)];
}

// Result (shape of the indices, then the other axes of a): element (i, r) is a at indices[k][i] on
// axes[k] and r on the others. Indices broadcast with each other. Errors name the caller.
array gather(const array& a, const std::vector<array>& indices, const Axes& axes,
             Stream s = default_stream(), const char* caller = "gather");
// a with `updates`, in the layout of gather's result (it broadcasts), written there. For `set` the
// last of repeated positions wins; the others accumulate, in order, halves in float32.
array scatter(const array& a, const std::vector<array>& indices, const array& updates,
              const Axes& axes, Write = Write::set, Stream s = default_stream(),
              const char* caller = "scatter");
// The same of one index array, whose axes take the place of the axis.
array gather_inside(const array& a, const array& indices, int axis, Stream s, const char* caller);
array scatter_inside(const array& a, const array& indices, const array& updates, int axis, Write,
                     Stream s, const char* caller);
array scatter_add(const array& a, const std::vector<array>& indices, const array& updates,
                  const Axes& axes, Stream s = default_stream());

// Along one axis: indices have a's number of axes, and broadcast with it on the others.
array take_along_axis(const array& a, const array& indices, int axis, Stream s = default_stream());
array put_along_axis(const array& a, const array& indices, const Operand& values, int axis,
                     Stream s = default_stream());
array take(const array& a, const array& indices, int axis, Stream s = default_stream());
// One slice; out of range is an index error at once.
array take(const array& a, int64_t at, int axis, Stream s = default_stream());
// The same of the flattened array; put_along_axis keeps its shape.
array take_along_axis(const array& a, const array& indices, Stream s = default_stream());
array put_along_axis(const array& a, const array& indices, const Operand& values,
                     Stream s = default_stream());
array take(const array& a, const array& indices, Stream s = default_stream());
array take(const array& a, int64_t at, Stream s = default_stream());

// Slices whose start is an array: one start for each of the axes.
array slice(const array& a, const array& start, const Axes& axes, const Shape& size,
            Stream s = default_stream());
array slice_update(const array& a, const array& update, const array& start, const Axes& axes,
                   Stream s = default_stream());

// Where elements are not zero, in row-major order: an array of places for each axis. Without a size
// there are as many as are found, which is looked at; with one the first ones are given, or the
// rest filled. Errors name the caller.
std::vector<array> nonzero(const array& a, std::optional<int64_t> size = {}, int64_t fill = 0,
                           Stream s = default_stream(), const char* caller = "nonzero");
// The same as rows of (places, axes).
array argwhere(const array& a, std::optional<int64_t> size = {}, int64_t fill = 0,
               Stream s = default_stream());
// A number that the shape of a result depends on, of an op that takes a size instead: read now. In
// a trace an error says how (`example`).
int64_t number_read(const array& number, const char* op, const char* example);

// Of integers along the last axis: how often each of 0, 1, ..., length - 1 occurs, in int32, or the
// sums of the weights there, added up in order. Others are not counted.
array counts_at(const array& places, const std::optional<array>& weights, int64_t length,
               Stream s = default_stream());

// One part of a key: a[2, 1::3, ..., None, [0, 1]].
struct IndexItem {
  enum Form : uint8_t { number, range, ellipsis, newaxis, indices } form;
  int64_t at = 0;                          // number
  std::optional<int64_t> start, stop, step;  // range
  array where;  // indices: integers, or a mask over as many axes as it has
};
using IndexItems = std::vector<IndexItem>;

array index(const array& a, const IndexItems&, Stream s = default_stream());
// a with a[key] combined with the value, which broadcasts to a[key] and takes a's dtype.
array index_update(const array& a, const IndexItems&, const Operand& value, Write = Write::set,
                   Stream s = default_stream());
// a with the value subtracted from a[key]; repeated indices accumulate.
array index_subtract(const array& a, const IndexItems&, const Operand& value,
                     Stream s = default_stream());

}  // namespace lazulite
