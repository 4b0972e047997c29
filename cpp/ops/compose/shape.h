// Functions of shape that are made of the ops in ops/shape: views where the layout allows it.
#pragma once
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "graph/node.h"

namespace lazulite {

// ---- axes
array expand_dims(const array&, const Axes&, Stream s = default_stream());
array squeeze(const array&, const Axes&, Stream s = default_stream());
array squeeze(const array&, Stream s = default_stream());
array flatten(const array&, int start = 0, int end = -1, Stream s = default_stream());
array unflatten(const array&, int axis, const Shape&, Stream s = default_stream());
array swapaxes(const array&, int a, int b, Stream s = default_stream());
array moveaxis(const array&, int from, int to, Stream s = default_stream());
array moveaxis(const array&, const Axes& from, const Axes& to, Stream s = default_stream());
array matrix_transpose(const array&, Stream s = default_stream());
array atleast_1d(const array&, Stream s = default_stream());
array atleast_2d(const array&, Stream s = default_stream());
array atleast_3d(const array&, Stream s = default_stream());

// ---- several arrays
Shape broadcast_shapes(const std::vector<Shape>&);
std::vector<array> broadcast_arrays(const std::vector<array>&, Stream s = default_stream());
array stack(const std::vector<array>&, int axis = 0, Stream s = default_stream());
inline constexpr int64_t most_parts = int64_t(1) << 24;  // arrays that one call makes
std::vector<array> split(const array&, int64_t parts, int axis = 0, Stream s = default_stream());
std::vector<array> split(const array&, const Shape& at, int axis, Stream s = default_stream());
std::vector<array> unstack(const array&, int axis = 0, Stream s = default_stream());

// ---- elements at other places; without an axis: of the flattened array
array repeat(const array&, int64_t repeats, int axis, Stream s = default_stream());
array repeat(const array&, int64_t repeats, Stream s = default_stream());
// Each slice as often as its count says. Without a size there are as many as the counts add up to,
// which is looked at; what a size leaves over is filled with the last slice.
array repeat(const array&, const array& counts, int axis, std::optional<int64_t> size = {},
             Stream s = default_stream());
array tile(const array&, const Shape& reps, Stream s = default_stream());
array flip(const array&, const Axes&, Stream s = default_stream());
array roll(const array&, const Shape& shift, const Axes&, Stream s = default_stream());
array roll(const array&, const Shape& shift, Stream s = default_stream());
// Elements of the flattened array at offset + sum of index * stride, strides in elements.
array as_strided(const array&, const Shape&, const Shape& strides, int64_t offset = 0,
                 Stream s = default_stream());

// ---- more elements around
array pad(const array&, const Shape& low, const Shape& high, const Operand& value,
          Stream s = default_stream());
// (before, after) of each axis; one pair: of every axis.
struct Widths : std::vector<std::pair<int64_t, int64_t>> {
  using vector::vector;
};
// Modes: constant, edge, reflect, symmetric, wrap.
array pad(const array&, const Widths&, const std::string& mode = "constant",
          const Operand& value = 0, Stream s = default_stream());

}  // namespace lazulite
