// What of an array asks for its value.
#include "base/fail.h"
#include "eval/eval.h"
#include "eval/memory.h"
#include "graph/node.h"

namespace lazulite {

array& array::eval() {
  if (node_->state.load(std::memory_order_acquire) != State::ready) lazulite::eval(Arrays{*this});
  return *this;
}

const Strides& array::strides() const {
  const_cast<array*>(this)->eval();
  return slot().storage.strides;
}

const void* array::raw() const {
  const_cast<array*>(this)->eval();
  const Storage& s = slot().storage;
  tidy(slot().spec, s);
  return static_cast<const char*>(s.buffer->data) + s.offset * size_of(dtype());
}

Scalar array::item() const {
  if (size() != 1)
    fail(Kind::value, "item", "not one element: got an array of shape ", shape(),
         ", expected size 1");
  return Scalar::read(dtype(), raw());
}

template <class T>
T array::item() const {
  T value;
  item().write(dtype_of<T>, &value);
  return value;
}
#define X(name, type, bytes, kind) template type array::item<type>() const;
LAZULITE_DTYPES(X)
#undef X

}  // namespace lazulite
