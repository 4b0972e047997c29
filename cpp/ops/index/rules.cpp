// gather and scatter: ops, kernels, derivatives. What is made of them is in indexing.cpp.
#include <algorithm>
#include <cstring>
#include <optional>

#include "device/cpu/pool.h"
#include "device/limits.h"
#include "engine/index/index.h"
#include "ops/create/create.h"
#include "ops/elementwise/elementwise.h"
#include "ops/index/index.h"
#include "ops/index/masks.h"
#include "ops/lanes.h"
#include "ops/ops.h"
#include "ops/reduce/reduce.h"
#include "ops/shape/shape.h"

namespace lazulite {
namespace {

// ---- attributes and shapes
// -----------------------------------------------------------------------

// `caller` is what the user called, for errors of indices: no field, since it changes no result.
struct Gather {
  Axes axes;   // indexed axes of the source, one for each index array
  bool along;  // take_along_axis: one index array of the result's shape
  const char* caller = "gather";
  LAZULITE_FIELDS(axes, along)
};
struct Scatter {
  Axes axes;
  bool along;
  Write mode;
  const char* caller = "scatter";
  LAZULITE_FIELDS(axes, along, mode)
};

Shape other_axes(const Shape& shape, const Axes& axes) {
  Shape out;
  for (int i = 0; i < int(shape.size()); ++i)
    if (!holds(axes, i)) out.push_back(shape[i]);
  return out;
}

Shape gathered_shape(const array& source, const array& index, const Axes& axes, bool along) {
  Shape shape = index.shape();
  if (along) return shape;
  const Shape rest = other_axes(source.shape(), axes);
  shape.append(rest.begin(), rest.end());
  return shape;
}

Specs infer_gather(const Attrs* a, const Arrays& in) {
  const Gather& g = static_cast<const AttrsOf<Gather>*>(a)->value;
  return {Spec{gathered_shape(in[0], in[1], g.axes, g.along), in[0].dtype()}};
}
Specs infer_scatter(const Attrs*, const Arrays& in) { return {in[0].slot().spec}; }

// ---- kernels
// -------------------------------------------------------------------------------------

// The places that index arrays `call.in[first]`, ... name in a source.
Places places_of(const KernelCall& call, const Shape& source, const Strides& strides,
                 const Axes& axes, bool along, size_t first) {
  Places out;
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

  Positions(const Places& places, const char* caller)
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
  Rest(const Shape& source, const Axes& axes, std::initializer_list<Strides> operands) {
    shape = other_axes(source, axes);
    size = size_of(shape);
    for (auto& s : operands) strides.push_back(s);
    if (size) collapse(shape, strides);
  }
};

Strides rest_strides(const Strides& strides, const Axes& axes) {
  Strides out;
  for (int i = 0; i < int(strides.size()); ++i)
    if (!holds(axes, i)) out.push_back(strides[i]);
  return out;
}

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

void gather_kernel(const KernelCall& call) {
  const Gather& g = call.node.get<Gather>();
  const TensorView &source = call.in[0], &out = call.out[0];
  const Places places =
      places_of(call, source.shape(), source.strides(), g.axes, g.along, 1);
  const int64_t size = size_of(out.shape());
  if (g.along || size == places.count)
    return gather_elements(places, source.data, size_of(out.type()), out.data, g.caller);
  const Positions at(places, g.caller);
  if (size == 0) return;
  with_size(size_of(out.type()), [&]<class T>() {
    const T* from = reinterpret_cast<const T*>(source.data);
    T* to = reinterpret_cast<T*>(out.data);
    const int64_t* position = at.begin();
    const Shape block = other_axes(source.shape(), g.axes);
    const Rest rest(source.shape(), g.axes,
                    {rest_strides(source.strides(), g.axes), dense_strides(block)});
    const int last = int(rest.shape.size()) - 1;
    const int64_t run_stride = rest.strides[0][last];
    if (last == 0 && std::abs(run_stride) > 1 && rest.size >= 8 && at.count >= 8)
      return gather_columns(position, at.count, from, run_stride, rest.size, sizeof(T), to);
    const int64_t step = std::max<int64_t>(1, grain / rest.size);
    cpu::parallel_for((at.count + step - 1) / step, [&](int64_t chunk) {
      for (int64_t i = chunk * step; i < std::min(at.count, (chunk + 1) * step); ++i)
        for_runs(rest, 0, rest.size, [&](int64_t a, int64_t b, int64_t n) {
          const T* x = from + position[i] + a;
          T* y = to + i * rest.size + b;
          if (run_stride == 1) std::memcpy(y, x, size_t(n) * sizeof(T));
          else
            for (int64_t j = 0; j < n; ++j) y[j] = x[j * run_stride];
        });
    }, double(at.count) * double(rest.size) * double(sizeof(T)) * 0.1 + double(at.count) * 5);
  });
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
    else if constexpr (std::is_floating_point_v<T>)
      return old != old       ? old
             : value != value ? value
             : larger         ? (value > old ? value : old)
                              : (value < old ? value : old);
    else {
      if (old != old) return old;
      if (value != value) return value;
      const bool before =
          old.real() < value.real() || (old.real() == value.real() && old.imag() < value.imag());
      return before == larger ? value : old;
    }
  }
}

// Elements in order, on one thread: what is repeated meets in the order of the indices.
template <Write mode, class T>
void scatter_elements(const Places& places, const char* updates, char* out, const char* caller) {
  const T* from = reinterpret_cast<const T*>(updates);
  T* to = reinterpret_cast<T*>(out);
  alignas(64) int64_t position[Places::piece];
  for (int64_t begin = 0; begin < places.count; begin += Places::piece) {
    const int64_t n = std::min(Places::piece, places.count - begin);
    places.fill(begin, n, position, caller);
    const T* x = from + begin;
    for (int64_t i = 0; i < n; ++i) to[position[i]] = written<mode>(to[position[i]], x[i]);
  }
}
// Blocks: threads divide the block of each position and the places where blocks go, never the order
// of what meets at one place.
template <Write mode, class T>
void scatter_blocks(const Positions& at, const Rest& rest, const char* updates, char* out,
                    int64_t reach) {
  const T* from = reinterpret_cast<const T*>(updates);
  T* to = reinterpret_cast<T*>(out);
  const int64_t* position = at.begin();
  const int last = int(rest.shape.size()) - 1;
  const int64_t stride = rest.strides[0][last];
  AddRun sum = nullptr;
  if constexpr (mode == Write::add) sum = add_run(dtype_of<T>);
  // No more parts than threads want: each of them reads the updates once, as they lie.
  const int64_t wanted = cpu::num_threads() > 1 ? 2 * cpu::num_threads() : 1;
  const int64_t columns = std::max<int64_t>(256 / int64_t(sizeof(T)),
                                            (rest.size + wanted - 1) / wanted),
                parts = (rest.size + columns - 1) / columns;
  const Ranges ranges(position, at.count, reach,
                      at.count < 64 ? 1 : (wanted + parts - 1) / parts);
  const bool dense = last == 0 && stride == 1;
  cpu::parallel_for(parts * ranges.size(), [&](int64_t task) {
    const int64_t begin = task % parts * columns, n_all = std::min(columns, rest.size - begin);
    constexpr int64_t ahead = 4;
    const int64_t *number = ranges.begin(task / parts), *const end = ranges.end(task / parts);
    for (; number < end; ++number) {
      const int64_t i = *number;
      if (number + ahead < end) {
        const int64_t next = number[ahead];
        const char* x = reinterpret_cast<const char*>(from + next * rest.size + begin);
        const char* y = reinterpret_cast<const char*>(to + position[next] + begin);
        for (int64_t b = 0; b < std::min<int64_t>(n_all * int64_t(sizeof(T)), 512); b += 64) {
          __builtin_prefetch(x + b);
          if (dense) __builtin_prefetch(y + b, 1);
        }
      }
      for_runs(rest, begin, n_all, [&](int64_t a, int64_t b, int64_t n) {
        T* y = to + position[i] + a;
        const T* x = from + i * rest.size + b;
        if (sum && stride == 1) sum(y, x, n);
        else if (stride == 1)
          for (int64_t j = 0; j < n; ++j) y[j] = written<mode>(y[j], x[j]);
        else
          for (int64_t j = 0; j < n; ++j) y[j * stride] = written<mode>(y[j * stride], x[j]);
      });
    }
  }, double(at.count) * double(rest.size) * double(sizeof(T)) * 0.1 + double(at.count) * 5);
}

void scatter_kernel(const KernelCall& call) {
  const Scatter& s = call.node.get<Scatter>();
  const TensorView& out = call.out[0];
  const size_t count = s.axes.size();
  const Places places = places_of(call, out.shape(), out.strides(), s.axes, s.along, 1);
  const TensorView& given = call.in[1 + count];
  const Dense dense(given);
  const char* updates = dense.data;
  const bool elements = s.along || size_of(given.shape()) == places.count;
  const Shape block = s.along ? Shape{} : other_axes(out.shape(), s.axes);
  std::optional<Positions> at;
  std::optional<Rest> rest;
  if (!elements) {
    at.emplace(places, s.caller);
    if (size_of(given.shape()) == 0) return;
    rest.emplace(out.shape(), s.axes,
                 std::initializer_list<Strides>{rest_strides(out.strides(), s.axes),
                                                dense_strides(block)});
  }
  auto run = [&]<Write mode, class T>() {
    if (elements) scatter_elements<mode, T>(places, updates, out.data, s.caller);
    else scatter_blocks<mode, T>(*at, *rest, updates, out.data, size_of(out.shape()));
  };
  if (Write(s.mode) == Write::set)
    return with_size(size_of(out.type()),
                     [&]<class T>() { run.template operator()<Write::set, T>(); });
  dispatch(out.type(), [&]<class T>() {
    if constexpr (!is_half(dtype_of<T>)) {
      switch (Write(s.mode)) {
        case Write::add: return run.template operator()<Write::add, T>();
        case Write::multiply: return run.template operator()<Write::multiply, T>();
        case Write::divide: return run.template operator()<Write::divide, T>();
        case Write::maximum: return run.template operator()<Write::maximum, T>();
        default: return run.template operator()<Write::minimum, T>();
      }
    }
  });
}

// ---- derivatives
// ---------------------------------------------------------------------------------

// A node's indices as inputs of another op at the same places.
struct Place {
  Arrays indices;
  Axes axes;
  bool along;
  const char* caller;
  Stream stream;

  template <class T>  // Gather or Scatter
  Place(const Node& node, const T& at)
      : axes(at.axes), along(at.along), caller(at.caller), stream(node.stream) {
    for (size_t k = 0; k < axes.size(); ++k) indices.push_back(node.inputs[1 + k]);
  }
  array take(const array& source) const;
  array put(const array& source, const array& updates, Write mode) const;
};

extern const Op gather_op, scatter_op;

array Place::take(const array& source) const {
  Arrays in{source};
  for (auto& i : indices) in.push_back(i);
  return record(gather_op, attrs(Gather{axes, along, caller}), std::move(in), stream);
}
array Place::put(const array& source, const array& updates, Write mode) const {
  Arrays in{source};
  for (auto& i : indices) in.push_back(i);
  in.push_back(updates);
  return record(scatter_op, attrs(Scatter{axes, along, mode, caller}), std::move(in), stream);
}

Arrays only_source(size_t inputs, array gradient) {
  Arrays out;
  out.resize(inputs);
  out[0] = std::move(gradient);
  return out;
}

// A half's sum of many terms is formed in float32.
array accumulate(const Place& place, const array& like, const array& terms) {
  const Dtype wide = compute_type(like.dtype());
  return astype(place.put(astype(zeros_like(like), wide), astype(terms, wide), Write::add),
                like.dtype());
}

Arrays vjp_gather(const Node& node, const Arrays& cts, const Needs&) {
  const Gather& g = node.get<Gather>();
  return only_source(node.inputs.size(),
                     accumulate(Place(node, g), node.inputs[0], cts[0]));
}
array vjp_gather_onto(const Node& node, const array& ct, const array& sum) {
  const Gather& g = node.get<Gather>();
  const Place place(node, g);
  return is_half(sum.dtype()) ? add(sum, accumulate(place, sum, ct))
                              : place.put(sum, ct, Write::add);
}
Arrays jvp_gather(const Node& node, const Arrays& t) {
  const Gather& g = node.get<Gather>();
  return {t[0] ? Place(node, g).take(t[0]) : array()};
}

// 1 where an update is the last of its position, else 0.
array winners(const Place& place, const array& source, const array& updates) {
  // Numbers of the updates, written like them: only the last remains.
  const array numbers = reshape(arange(0, updates.size(), 1, int64, place.stream), updates.shape());
  const array seen =
      place.take(place.put(constant(-1, source.shape(), int64), numbers, Write::set));
  return equal(seen, numbers);
}
// The product of the other updates at the same position, also where some are zero.
array product_of_others(const Place& place, const array& source, const array& updates) {
  const array zero = equal(updates, 0), filled = where(zero, 1, updates);
  const array zeros =
      place.take(place.put(constant(0, source.shape(), int32), astype(zero, int32), Write::add));
  const array rest = place.take(place.put(ones_like(source), filled, Write::multiply));
  const array others =
      is_integer(source.dtype()) ? floor_divide(rest, filled) : divide(rest, filled);
  return where(equal(zeros, 0), others,
               where(logical_and(equal(zeros, 1), zero), rest, 0));
}
// Which of source and updates reached the result, and among how many ties.
struct Ties {
  array source, updates, count;
};
Ties ties_of(const Place& place, const Node& node) {
  const array &x = node.inputs[0], &u = node.inputs.back(), y = recorded(node, 0);
  Ties out;
  out.source = astype(equal(x, y), x.dtype());
  out.updates = astype(equal(u, place.take(y)), x.dtype());
  out.count = place.put(out.source, out.updates, Write::add);
  return out;
}

Arrays vjp_scatter(const Node& node, const Arrays& cts, const Needs& needs) {
  const Scatter& s = node.get<Scatter>();
  const Place place(node, s);
  const array &x = node.inputs[0], &u = node.inputs.back();
  const array ct = cts[0];
  array to_x, to_u;
  const bool need_x = needs[0], need_u = needs[needs.size() - 1];
  auto conj = [](const array& a) { return conjugate(a); };
  switch (Write(s.mode)) {
    case Write::set:
      if (need_x) to_x = place.put(ct, zeros_like(u), Write::set);
      if (need_u) to_u = where(winners(place, x, u), place.take(ct), 0);
      break;
    case Write::add:
      to_x = ct;
      if (need_u) to_u = place.take(ct);
      break;
    case Write::multiply:
      if (need_x) to_x = multiply(ct, conj(place.put(ones_like(x), u, Write::multiply)));
      if (need_u)
        to_u = multiply(place.take(multiply(ct, conj(x))), conj(product_of_others(place, x, u)));
      break;
    case Write::divide:
      if (need_x) to_x = multiply(ct, conj(place.put(ones_like(x), u, Write::divide)));
      if (need_u)
        to_u = negative(divide(place.take(multiply(ct, conj(recorded(node, 0)))), conj(u)));
      break;
    default: {
      const Ties ties = ties_of(place, node);
      const array part = divide(ct, ties.count);
      if (need_x) to_x = multiply(part, ties.source);
      if (need_u) to_u = multiply(place.take(part), ties.updates);
    }
  }
  Arrays out = only_source(node.inputs.size(), to_x);
  out[out.size() - 1] = to_u;
  return out;
}

Arrays jvp_scatter(const Node& node, const Arrays& t) {
  const Scatter& s = node.get<Scatter>();
  const Place place(node, s);
  const array &x = node.inputs[0], &u = node.inputs.back();
  const array tx = t[0] ? t[0] : zeros_like(x),
              tu = t[t.size() - 1] ? t[t.size() - 1] : zeros_like(u);
  switch (Write(s.mode)) {
    case Write::set:
    case Write::add: return {place.put(tx, tu, Write(s.mode))};
    case Write::multiply:
      return {add(multiply(tx, place.put(ones_like(x), u, Write::multiply)),
                  place.put(zeros_like(x),
                            multiply(multiply(place.take(x), product_of_others(place, x, u)), tu),
                            Write::add))};
    case Write::divide:
      return {subtract(
          place.put(tx, u, Write::divide),
          place.put(zeros_like(x),
                    astype(divide(multiply(place.take(recorded(node, 0)), tu), u), x.dtype()),
                    Write::add))};
    default: {
      const Ties ties = ties_of(place, node);
      const array own = divide(multiply(tx, ties.source), ties.count);
      return {
          place.put(own, divide(multiply(tu, ties.updates), place.take(ties.count)), Write::add)};
    }
  }
}

// ---- batching
// ------------------------------------------------------------------------------------

Axes shifted(const Axes& axes) {
  Axes out;
  for (int axis : axes) out.push_back(axis + 1);
  return out;
}
// The number of the lane, as an index array of the same shape as the others.
array lane_numbers(const array& like, Stream s) {
  Shape shape;
  shape.resize(like.shape().size(), 1);
  shape[0] = like.shape()[0];
  return broadcast_to(reshape(arange(0, like.shape()[0], 1, int64, s), shape), like.shape());
}

Arrays vmap_gather(const Node& node, const Arrays& in, const Axes& axes, Axes& out_axes) {
  const Gather& g = node.get<Gather>();
  const int64_t lanes = lane_count(in, axes);
  bool indices_mapped = false;
  for (size_t k = 1; k < in.size(); ++k) indices_mapped |= axes[k] >= 0;
  Arrays args;
  if (!g.along && !indices_mapped) {  // lanes are one more axis that is not indexed
    args.push_back(lane_first(in[0], axes[0], lanes));
    for (size_t k = 1; k < in.size(); ++k) args.push_back(in[k]);
    out_axes = {in[1].ndim()};
    return {record(gather_op, attrs(Gather{shifted(g.axes), false, g.caller}), std::move(args),
                   node.stream)};
  }
  out_axes = {0};
  for (size_t k = 0; k < in.size(); ++k)
    args.push_back(k == 0 && axes[0] < 0 && !g.along ? in[0] : lane_first(in[k], axes[k], lanes));
  if (g.along)
    return {record(gather_op, attrs(Gather{shifted(g.axes), true, g.caller}), std::move(args),
                   node.stream)};
  if (axes[0] < 0) return {record(gather_op, node.attributes, std::move(args), node.stream)};
  Axes all = shifted(g.axes);
  all.insert(all.begin(), 0);
  Arrays with_lane{args[0], lane_numbers(args[1], node.stream)};
  for (size_t k = 1; k < args.size(); ++k) with_lane.push_back(args[k]);
  return {
      record(gather_op, attrs(Gather{all, false, g.caller}), std::move(with_lane), node.stream)};
}

Arrays vmap_scatter(const Node& node, const Arrays& in, const Axes& axes, Axes& out_axes) {
  const Scatter& s = node.get<Scatter>();
  const int64_t lanes = lane_count(in, axes);
  out_axes = {0};
  Arrays args;
  for (size_t k = 0; k < in.size(); ++k) args.push_back(lane_first(in[k], axes[k], lanes));
  if (s.along)
    return {record(scatter_op, attrs(Scatter{shifted(s.axes), true, s.mode, s.caller}),
                   std::move(args), node.stream)};
  Axes all = shifted(s.axes);
  all.insert(all.begin(), 0);
  Arrays with_lane{args[0], lane_numbers(args[1], node.stream)};
  for (size_t k = 1; k < args.size(); ++k) with_lane.push_back(args[k]);
  return {record(scatter_op, attrs(Scatter{all, false, s.mode, s.caller}), std::move(with_lane),
                 node.stream)};
}

bool is_index(Dtype t) { return t == int32 || t == uint32 || t == int64; }  // as kernels read them

// Index arrays of one shape, for different axes of the source.
void check_indices(const char* op, const Arrays& in, const Axes& axes, bool along, size_t more) {
  const size_t first = 1;
  bool fits =
      in.size() == first + axes.size() + more && !axes.empty() && (!along || axes.size() == 1);
  for (size_t k = 0; fits && k < axes.size(); ++k) {
    fits = axes[k] >= 0 && axes[k] < in[0].ndim() && is_index(in[first + k].dtype()) &&
           in[first + k].shape() == in[first].shape() &&
           std::count(axes.begin(), axes.end(), axes[k]) == 1;
    if (fits && along) {
      fits = in[first].ndim() == in[0].ndim();
      for (int d = 0; fits && d < in[0].ndim(); ++d)
        fits = d == axes[0] || in[first].shape()[d] == in[0].shape()[d];
    }
  }
  if (!fits)
    fail(Kind::value, op, "indices do not fit: got axes ", axes, " for shape ",
         in.empty() ? Shape{} : in[0].shape());
}
void check_gather(const Attrs* a, const Arrays& in) {
  const Gather& g = static_cast<const AttrsOf<Gather>*>(a)->value;
  check_indices("gather", in, g.axes, g.along, 0);
}
void check_scatter(const Attrs* a, const Arrays& in) {
  const Scatter& s = static_cast<const AttrsOf<Scatter>*>(a)->value;
  check_indices("scatter", in, s.axes, s.along, 1);
  const Shape wanted = gathered_shape(in[0], in[1], s.axes, s.along);
  const array& updates = in.back();
  if (updates.dtype() != in[0].dtype() || updates.shape() != wanted || s.mode > Write::minimum)
    fail(Kind::value, "scatter", "the values do not fit: got ", updates.dtype(), updates.shape(),
         ", expected ", in[0].dtype(), wanted);
}
const Op gather_op{.name = "gather",
                   .doc = "Elements or blocks at the given indices.",
                   .read = read_attrs<Gather>,
                   .check = check_gather,
                   .infer = infer_gather,
                   .vjp = vjp_gather,
                   .vjp_onto = vjp_gather_onto,
                   .jvp = jvp_gather,
                   .vmap = vmap_gather,
                   .kernel = gather_kernel};
const Op scatter_op{.name = "scatter",
                    .doc = "The array with elements or blocks at the given indices changed.",
                    .update = true,
                    .read = read_attrs<Scatter>,
                    .check = check_scatter,
                    .infer = infer_scatter,
                    .vjp = vjp_scatter,
                    .jvp = jvp_scatter,
                    .vmap = vmap_scatter,
                    .kernel = scatter_kernel};

array as_index(const array& a, const char* op, Stream s) {
  if (!is_integer(a.dtype())) fail(Kind::value, op, "indices are not integers: got ", a.dtype());
  // Beyond int64 is out of range, not negative.
  if (a.dtype() == uint64) return astype(minimum(a, INT64_MAX, s), int64, s);
  return is_index(a.dtype()) ? a : astype(a, int32, s);
}

// Index arrays broadcast with each other, as inputs.
void add_indices(Arrays& in, const std::vector<array>& indices, const char* op, Stream s) {
  Shape shape;
  for (auto& i : indices) shape = broadcast_shapes(shape, i.shape(), op);
  for (auto& i : indices) in.push_back(broadcast_to(as_index(i, op, s), shape, s));
}
Axes checked_axes(const array& a, const std::vector<array>& indices, const Axes& axes,
                  const char* op) {
  if (axes.size() != indices.size() || axes.empty())
    fail(Kind::value, op, "indices and axes differ in number: got ", indices.size(), " and ",
         axes.size());
  normal_axes(axes, a.ndim(), op);  // refuses repeated ones
  Axes out;
  for (int axis : axes) out.push_back(normal_axis(axis, a.ndim(), op));
  return out;
}

array write(const Scatter& s, const array& a, const Arrays& indices, const array& updates,
            Stream stream) {
  // Halves accumulate in float32 and round once.
  const Dtype t = a.dtype(), wide = Write(s.mode) == Write::set ? t : compute_type(t);
  Arrays in{astype(a, wide, stream)};
  for (auto& i : indices) in.push_back(i);
  in.push_back(astype(updates, wide, stream));
  return astype(record(scatter_op, attrs(s), std::move(in), stream), t, stream);
}

// Index and source (or updates) of the same shape off the axis.
Shape along_shape(const array& a, const array& indices, int axis, const char* op) {
  if (a.ndim() != indices.ndim())
    fail(Kind::value, op, "numbers of axes differ: got indices of shape ", indices.shape(),
         " for an array of shape ", a.shape());
  Shape one = a.shape(), two = indices.shape();
  one[axis] = two[axis] = 1;
  return broadcast_shapes(one, two, op);
}

}  // namespace

OpList index_ops() { return {&gather_op, &scatter_op, &mask_ranks_op()}; }

array gather(const array& a, const std::vector<array>& indices, const Axes& axes, Stream s,
             const char* caller) {
  const Axes at = checked_axes(a, indices, axes, caller);
  Arrays in{a};
  add_indices(in, indices, caller, s);
  for (int axis : at)  // of nothing: no index can be right
    if (a.shape()[axis] == 0 && in[1].size())
      fail(Kind::index, caller, "index out of range: got indices of shape ", in[1].shape(),
           " for axis ", axis, " with size 0");
  return record(gather_op, attrs(Gather{at, false, caller}), std::move(in), s);
}

array scatter(const array& a, const std::vector<array>& indices, const array& updates,
              const Axes& axes, Write mode, Stream s, const char* caller) {
  const Axes at = checked_axes(a, indices, axes, caller);
  Arrays in;
  add_indices(in, indices, caller, s);
  const Shape shape = gathered_shape(a, in[0], at, false);
  return write(Scatter{at, false, mode, caller}, a, in, broadcast_to(updates, shape, s), s);
}

array scatter_add(const array& a, const std::vector<array>& indices, const array& updates,
                  const Axes& axes, Stream s) {
  return scatter(a, indices, updates, axes, Write::add, s, "scatter_add");
}

array take_along_axis(const array& a, const array& indices, int axis, Stream s) {
  axis = normal_axis(axis, a.ndim(), "take_along_axis");
  Shape shape = along_shape(a, indices, axis, "take_along_axis"), source = shape;
  shape[axis] = indices.shape()[axis];
  source[axis] = a.shape()[axis];
  const Arrays in{broadcast_to(a, source, s),
                  broadcast_to(as_index(indices, "take_along_axis", s), shape, s)};
  return record(gather_op, attrs(Gather{{axis}, true, "take_along_axis"}), in, s);
}

array put_along_axis(const array& a, const array& indices, const Operand& values, int axis,
                     Stream s) {
  axis = normal_axis(axis, a.ndim(), "put_along_axis");
  Shape shape = along_shape(a, indices, axis, "put_along_axis");
  shape[axis] = a.shape()[axis];
  if (shape != a.shape())
    fail(Kind::value, "put_along_axis", "indices do not fit: got shape ", indices.shape(),
         " for an array of shape ", a.shape());
  shape[axis] = indices.shape()[axis];
  const array updates = broadcast_to(as_array(values, a.dtype(), "put_along_axis", s), shape, s);
  return write(Scatter{{axis}, true, Write::set, "put_along_axis"}, a,
               {broadcast_to(as_index(indices, "put_along_axis", s), shape, s)}, updates, s);
}

array take(const array& a, const array& indices, int axis, Stream s) {
  axis = normal_axis(axis, a.ndim(), "take");
  const array out = gather(a, {indices}, {axis}, s, "take");
  if (axis == 0 || indices.ndim() == 0) return out;
  // The indices' axes take the place of the axis.
  Axes order;
  const int count = indices.ndim();
  for (int i = 0; i < axis; ++i) order.push_back(count + i);
  for (int i = 0; i < count; ++i) order.push_back(i);
  for (int i = axis; i + 1 < a.ndim(); ++i) order.push_back(count + i);
  return transpose(out, order, s);
}

array take(const array& a, const array& indices, Stream s) {
  return take(reshape(a, {a.size()}, s), indices, 0, s);
}

}  // namespace lazulite
