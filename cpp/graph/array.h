// array: the handle to one output of a node. Two words, copied freely, usable from any thread.
#pragma once
#include <cstdint>
#include <initializer_list>
#include <vector>

#include "base/dtype.h"
#include "base/ref.h"
#include "base/scalar.h"
#include "base/shape.h"
#include "device/device.h"

namespace lazulite {

struct Node;
struct Slot;

class array {
 public:
  array() = default;  // no array: tests false
  // Numbers and lists, as mx.array takes them in Python.
  explicit array(Scalar value);
  array(Scalar value, Dtype type);
  template <class T>
  array(std::initializer_list<T> values, Dtype type = dtype_of<T>)
      : array(values.begin(), Shape{int64_t(values.size())}, dtype_of<T>, type) {}
  template <class T>
  array(std::initializer_list<T> values, Shape shape, Dtype type = dtype_of<T>)
      : array(values.begin(), std::move(shape), dtype_of<T>, type) {}
  template <class T>
  array(const std::vector<T>& values, Shape shape, Dtype type = dtype_of<T>)
      : array(values.data(), std::move(shape), dtype_of<T>, type) {}
  array(const void* data, Shape shape, Dtype data_type, Dtype type);  // copies
  array(Ref<Node> node, uint32_t index) : node_(std::move(node)), index_(index) {}

  explicit operator bool() const { return bool(node_); }
  const Shape& shape() const;
  int64_t shape(int axis) const;  // negative axes count from the end
  Dtype dtype() const;
  int ndim() const { return int(shape().size()); }
  int64_t size() const { return size_of(shape()); }
  int64_t nbytes() const { return size() * size_of(dtype()); }

  // Waits for the value; the memory is described by strides() (in elements).
  array& eval();
  const Strides& strides() const;      // evaluates
  const void* raw() const;             // evaluates; address of element 0
  template <class T>
  const T* data() const { return static_cast<const T*>(raw()); }
  Scalar item() const;                 // one element; else value error
  template <class T>
  T item() const;

  const Ref<Node>& node() const { return node_; }
  uint32_t index() const { return index_; }
  const Slot& slot() const;
  bool same(const array& o) const { return node_ == o.node_ && index_ == o.index_; }

 private:
  Ref<Node> node_;
  uint32_t index_ = 0;
};

struct Arrays : SmallVector<array, 3> {
  using SmallVector::SmallVector;
};

// What functions of numbers take: an array, or a number that takes the dtype of its company.
class Operand {
 public:
  Operand(const array& a) : array_(a) {}
  Operand(array&& a) : array_(std::move(a)) {}
  template <class T, class = std::enable_if_t<std::is_constructible_v<Scalar, T> &&
                                              !std::is_same_v<std::decay_t<T>, array>>>
  Operand(T number) : scalar_(number) {}
  bool is_array() const { return bool(array_); }
  const array& get() const { return array_; }
  const Scalar& scalar() const { return scalar_; }
  Dtype natural() const { return is_array() ? array_.dtype() : scalar_.natural(); }

 private:
  array array_;
  Scalar scalar_{0};
};

// The dtype in which operands meet: arrays promote, then weak numbers adapt.
Dtype result_type(std::initializer_list<const Operand*> operands);
// The operand as an array of that dtype (a Const for numbers); raises overflow naming op.
array as_array(const Operand&, Dtype, std::string_view op, Stream = default_stream());

}  // namespace lazulite
