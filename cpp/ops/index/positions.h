// Positions that index arrays name, and what is written there: shared by the kernels of this room.
#pragma once
#include <algorithm>
#include <cstring>

#include "engine/index/index.h"
#include "ops/cpu.h"
#include "ops/index/ops.h"

namespace lazulite {
namespace {

// The places that index arrays name in a source: those behind the first operand.
engine::Places places_of(const KernelCall& call, const Shape& source, const Strides& strides,
                         const Axes& axes, bool along) {
  constexpr size_t first = 1;
  engine::Places out;
  out.along = along;
  out.shape = call.in[first].shape();
  out.count = size_of(out.shape);
  for (size_t k = 0; k < axes.size(); ++k) {
    const TensorView& index = call.in[first + k];
    out.indices.push_back(
        {index.data, index.type(), axes[k], source[axes[k]], strides[axes[k]]});
    out.strides.push_back(index.strides());
  }
  if (along) {  // the other axes of the source follow the place in the result
    Strides rest = strides;
    rest[axes[0]] = 0;
    out.strides.push_back(rest);
  }
  if (out.count) collapse(out.shape, out.strides);
  return out;
}

// All of them at once.
struct Positions {
  Ref<Buffer> buffer;
  int64_t count;
  const int64_t* begin() const { return static_cast<const int64_t*>(buffer->data); }

  Positions(const engine::Places& places, const char* caller)
      : buffer(allocate(std::max<int64_t>(places.count, 1) * int64_t(sizeof(int64_t)))),
        count(places.count) {
    auto* to = static_cast<int64_t*>(buffer->data);
    constexpr int64_t step = grain / 2;
    cpu::parallel_for((count + step - 1) / step, [&](int64_t chunk) {
      const int64_t from = chunk * step;
      places.fill(from, std::min(step, count - from), to + from, caller);
    }, double(count) * double(places.indices.size() + places.along));
  }
};

// The axes that are not indexed: a block of elements at every position.
struct Rest {
  Shape shape;
  SmallVector<Strides, 4> strides;  // of the operands given
  int64_t size = 1;
  // Of all axes of a source but those.
  Rest(const Shape& source, const Axes& axes, std::initializer_list<Strides> operands) {
    shape = other_axes(source, axes);
    size = size_of(shape);
    for (auto& s : operands) strides.push_back(s);
    if (size) collapse(shape, strides);
  }
};

struct Wide {
  uint64_t half[2];
};
template <class F>
void with_size(int64_t bytes, F&& f) {
  switch (bytes) {
    case 1: return f.template operator()<uint8_t>();
    case 2: return f.template operator()<uint16_t>();
    case 4: return f.template operator()<uint32_t>();
    case 8: return f.template operator()<uint64_t>();
    default: return f.template operator()<Wide>();
  }
}

// body(offset in operand 0, offset in operand 1) of every innermost run of the block, from element
// `from` on, in all `count` elements; runs do not cross the innermost axis.
template <class F>
void for_runs(const Rest& rest, int64_t from, int64_t count, F&& body) {
  const int last = int(rest.shape.size()) - 1;
  const int64_t inner = rest.shape[last];
  if (last == 0) return body(from * rest.strides[0][0], from * rest.strides[1][0], count);
  while (count > 0) {
    int64_t left = from / inner, a = from % inner * rest.strides[0][last],
            b = from % inner * rest.strides[1][last];
    for (int d = last - 1; d >= 0; --d) {
      a += left % rest.shape[d] * rest.strides[0][d];
      b += left % rest.shape[d] * rest.strides[1][d];
      left /= rest.shape[d];
    }
    const int64_t n = std::min(count, inner - from % inner);
    body(a, b, n);
    from += n;
    count -= n;
  }
}

template <Write mode, class T>
inline T written(T old, T value) {
  if constexpr (mode == Write::set) return value;
  else if constexpr (std::is_same_v<T, bool>) {
    if constexpr (mode == Write::add || mode == Write::maximum) return old || value;
    else return old && value;
  } else if constexpr (mode == Write::add) return T(old + value);
  else if constexpr (mode == Write::multiply) return T(old * value);
  else if constexpr (mode == Write::divide) {
    if constexpr (std::is_integral_v<T>)
      return value == 0 ? T(0) : value == T(-1) ? T(0 - old) : T(old / value);
    else return T(old / value);
  } else {
    constexpr bool larger = mode == Write::maximum;
    if constexpr (std::is_integral_v<T>)
      return larger ? std::max(old, value) : std::min(old, value);
    else if constexpr (std::is_floating_point_v<T>) {
      // A nan stays: nothing is above or below it. The comparison is one instruction, no branch.
      const T kept = larger ? (value > old ? value : old) : (value < old ? value : old);
      return value != value && old == old ? value : kept;
    }
    else {
      if (old != old) return old;
      if (value != value) return value;
      const bool before =
          old.real() < value.real() || (old.real() == value.real() && old.imag() < value.imag());
      return before == larger ? value : old;
    }
  }
}

template <class F>
void with_mode(Write mode, F&& f) {
  switch (mode) {
    case Write::set: return f.template operator()<Write::set>();
    case Write::add: return f.template operator()<Write::add>();
    case Write::multiply: return f.template operator()<Write::multiply>();
    case Write::divide: return f.template operator()<Write::divide>();
    case Write::maximum: return f.template operator()<Write::maximum>();
    default: return f.template operator()<Write::minimum>();
  }
}
// run<mode, T>: elements that are set are moved by size alone.
template <class F>
void with_write(Write mode, Dtype type, F&& run) {
  if (mode == Write::set)
    return with_size(size_of(type), [&]<class T>() { run.template operator()<Write::set, T>(); });
  dispatch(type, [&]<class T>() {
    if constexpr (!is_half(dtype_of<T>))
      with_mode(mode, [&]<Write m>() {
        if constexpr (m != Write::set) run.template operator()<m, T>();
      });
  });
}

}  // namespace

// Of Way::inside, and of Way::along where other axes follow.
void gather_inside_kernel(const KernelCall&);
void scatter_inside_kernel(const KernelCall&);
void gather_along_kernel(const KernelCall&);
void scatter_along_kernel(const KernelCall&);

}  // namespace lazulite
