// Shapes and strides: 64-bit, strides in elements. Plain functions, no allocation up to four axes.
#pragma once
#include <cstdint>
#include <iosfwd>
#include <string_view>

#include "base/dtype.h"
#include "base/small_vector.h"

namespace lazulite {

struct Shape : SmallVector<int64_t> {
  using SmallVector::SmallVector;
};
struct Strides : SmallVector<int64_t> {
  using SmallVector::SmallVector;
};
struct Axes : SmallVector<int> {
  using SmallVector::SmallVector;
};

// Sizes. Element and byte counts of every array fit 63 bits and its axes are few: record checks
// what ops make, and who computes a size does it by these. A memory error names op, shape and
// dtype.
inline constexpr int max_axes = 64;
int64_t size_of(const Shape&);                          // product; raises memory beyond 2^63
int64_t sum_of_sizes(int64_t, int64_t, std::string_view op);      // raises memory beyond 2^63
int64_t product_of_sizes(int64_t, int64_t, std::string_view op);  // the same
[[noreturn]] void refuse_shape(const Shape&, Dtype, std::string_view op);
// Sizes that are not negative, few enough axes, bytes that fit 63 bits.
inline bool is_shape(const Shape& shape, Dtype type) {
  int64_t bytes = size_of(type);
  bool empty = false, large = false, negative = shape.size() > size_t(max_axes);
  for (int64_t n : shape) {
    if (n > 0) large |= __builtin_mul_overflow(bytes, n, &bytes);
    else n ? negative = true : empty = true;
  }
  return !negative && (!large || empty);
}
inline void check_shape(const Shape& shape, Dtype type, std::string_view op) {
  if (!is_shape(shape, type)) refuse_shape(shape, type, op);
}
Strides dense_strides(const Shape&);                    // row-major, in elements
bool is_dense(const Shape&, const Strides&);  // row-major without gaps (axes of size 1 are free)
bool overlaps_itself(const Shape&,
                     const Strides&);  // some element may be reached twice (broadcast)

// The common shape, or an error that names op and both shapes.
Shape broadcast_shapes(const Shape&, const Shape&, std::string_view op);
// Strides that read an array of shape `from` as one of shape `to`: 0 where it repeats.
Strides broadcast_strides(const Shape& from, const Strides&, const Shape& to);

// -ndim <= axis < ndim, made non-negative; else an index error naming op, axis and ndim.
int normal_axis(int64_t axis, int ndim, std::string_view op);
// The same for several, sorted; a repeated axis is a value error.
Axes normal_axes(const Axes&, int ndim, std::string_view op);
Axes all_axes(int ndim);

// Joins axes that are contiguous with each other in every operand, drops axes of size 1.
// strides[k] belongs to operand k. On return at least one axis is left (size 1 for a scalar).
void collapse(Shape& shape, SmallVector<Strides, 4>& strides);

std::ostream& operator<<(std::ostream&, const Shape&);    // (2, 3), (4,), ()
std::ostream& operator<<(std::ostream&, const Strides&);
std::ostream& operator<<(std::ostream&, const Axes&);

}  // namespace lazulite
