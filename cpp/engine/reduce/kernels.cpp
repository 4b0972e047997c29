// Reductions per instruction-set level.
#include "engine/reduce/kernels.h"

#include "device/cpu/level.h"
#include "engine/reduce/lanes.h"

namespace lazulite::engine {
namespace {

template <class T>
bool same_value(const T& a, const T& b) {
  return monoid::nan_in(a) ? monoid::nan_in(b)
                           : !monoid::nan_in(b) && !monoid::before(a, b) && !monoid::before(b, a);
}
template <class In>
bool same(const void* a, const void* b) {
  using A = typename In::accumulator;
  return same_value(*static_cast<const A*>(a), *static_cast<const A*>(b));
}

template <class In>
int64_t find(const void* input, int64_t n, const void* value) {
  using V = typename In::V;
  const auto* x = static_cast<const typename In::memory*>(input);
  const auto wanted = *static_cast<const typename In::accumulator*>(value);
  const bool nan = monoid::nan_in(wanted);
  const V all(wanted);
  auto equals = [&](int64_t at) __attribute__((always_inline)) {
    const V v = In::load(x + at);
    return nan ? simd::is_nan(v) : v == all;
  };
  int64_t i = 0;
  for (constexpr int64_t step = 4 * V::size; i + step <= n; i += step) {
    const auto first = equals(i) | equals(i + V::size),
               second = equals(i + 2 * V::size) | equals(i + 3 * V::size);
    if (simd::any(first | second)) break;
  }
  while (i + V::size <= n && !simd::any(equals(i))) i += V::size;
  while (i < n && !same_value(wanted, In::one(x + i))) ++i;
  return i;
}

template <class In>
void find_rows(const void* input, int64_t n, int64_t stride, int64_t count, const void* values,
               uint32_t* out) {
  using V = typename In::V;
  using A = typename In::accumulator;
  using I = simd::int_like<A>;
  const auto* wanted = static_cast<const A*>(values);
  for_turned_rows<In>(static_cast<const typename In::memory*>(input), n, stride, count,
                      [&](int64_t row, int64_t some, const V* lane) __attribute__((always_inline)) {
    alignas(64) A of[V::size] = {};
    alignas(64) I at[V::size];
    std::memcpy(of, wanted + row, size_t(some) * sizeof(A));
    const V value = V::load(of);
    const auto nan = simd::is_nan(value);
    Vec<I> first(I(0));
    for (int64_t k = n; k-- > 0;)
      first = simd::select((lane[k] == value) | (simd::is_nan(lane[k]) & nan), Vec<I>(I(k)), first);
    first.store(at);
    for (int64_t r = 0; r < some; ++r) out[row + r] = uint32_t(at[r]);
  });
}

// short_rows of 1 or 2 bytes. What combines these does not mind an element that comes twice: a row
// is its first and its last elements, which may overlap, 16 of them in all or combined to as many.
template <class M, class In>
void narrow_rows(const void* input, int64_t n, int64_t stride, int64_t count, void* output) {
  using V = typename In::V;
  constexpr int wide = 16, size = V::size;
  using T = typename In::memory;
  const T* x = static_cast<const T*>(input);
  T* out = static_cast<T*>(output);
  if (n > 8 * V::size) {  // a chunk may be decided early
    for (int64_t row = 0; row < count; ++row) chunk<M, In>(x + row * stride, n, out + row);
    return;
  }
  if (n > reduce_lanes) return each_row<M, In>(input, n, stride, count, output);
  alignas(64) T first[wide * size], last[wide * size] = {};
  for (int64_t row = 0; row < count; row += size) {
    const int64_t some = count - row < size ? count - row : size;
    auto lay = [&]<int half>() {  // n is `half` to twice that
      for (int64_t r = 0; r < size; ++r) {
        const T* from = x + (row + (r < some ? r : 0)) * stride;
        T begin[half], end[half];
        constexpr size_t bytes = sizeof begin;
        std::memcpy(begin, from, bytes);
        std::memcpy(end, from + n - half, bytes);
        if constexpr (half == wide) {
          std::memcpy(first + r * wide, begin, bytes);
          std::memcpy(last + r * wide, end, bytes);
        } else {
          for (int k = 0; k < wide; k += 2 * half) {
            std::memcpy(first + r * wide + k, begin, bytes);
            std::memcpy(first + r * wide + k + half, end, bytes);
          }
        }
      }
    };
    if (n >= 16) lay.template operator()<16>();
    else if (n >= 8) lay.template operator()<8>();
    else if (n >= 4) lay.template operator()<4>();
    else if (n >= 2) lay.template operator()<2>();
    else lay.template operator()<1>();
    V rows[wide];
    for (int k = 0; k < wide; ++k) {
      rows[k] = V::load(first + k * size);
      if (n > wide) rows[k] = M::template combine<V>(rows[k], V::load(last + k * size));
    }
    const V folded = fold_vectors<M, wide, 1, 0>(rows);
    if (some == size) {
      folded.store(out + row);
    } else {
      for (int64_t r = 0; r < some; ++r) out[row + r] = folded[int(r)];
    }
  }
}

template <class M, class In>
constexpr auto rows_kernel() {
  if constexpr (sizeof(typename In::accumulator) <= 2) return narrow_rows<M, In>;
  else return each_row<M, In>;
}
template <class In>
constexpr decltype(FindKernel::rows) find_rows_kernel() {
  if constexpr (is_turned<In>) return find_rows<In>;
  else return nullptr;
}
template <class M, class In>
constexpr decltype(ReduceKernel::planes) planes_kernel() {
  if constexpr (is_turned<In>) return planes<M, In, 1>;
  else return nullptr;
}
template <class M, class In>
constexpr ReduceKernel reduce_kernel() {
  return {chunk<M, In>, columns<M, In>, combine<M, In>, sizeof(typename In::accumulator), false,
          rows_kernel<M, In>(), take_rows<M, In>, fold_rows<M, In>,
          sizeof(typename In::accumulator), planes_kernel<M, In>()};
}

template <class T>
constexpr ReduceKernel sum_of_parts() {
  return {chunk_of_parts<T>,  columns_of_parts<T>, combine_parts<T>,
          2 * sizeof(T),      false,               rows_of_parts<T>,
          nullptr,            nullptr,             0,
          planes<monoid::Sum, Plain<T>, 2>};
}

template <int... d>
constexpr ReduceKernels make_table(std::integer_sequence<int, d...>) {
  ReduceKernels table{};
  auto one = [&]<int dtype>() {
    using In = typename InputOf<dtype>::t;
    constexpr Dtype t = Dtype(dtype);
    if constexpr (size_of(t) >= 4 || is_half(t)) {
      if constexpr (t == complex64)
        table.reduce[int(Monoid::sum)][dtype] = sum_of_parts<float>();
      else if constexpr (t == complex128)
        table.reduce[int(Monoid::sum)][dtype] = sum_of_parts<double>();
      else table.reduce[int(Monoid::sum)][dtype] = reduce_kernel<monoid::Sum, In>();
      table.reduce[int(Monoid::prod)][dtype] = reduce_kernel<monoid::Prod, In>();
    }
    table.reduce[int(Monoid::max)][dtype] = reduce_kernel<monoid::Max, In>();
    table.reduce[int(Monoid::min)][dtype] = reduce_kernel<monoid::Min, In>();
    if constexpr (is_inexact(t)) {
      table.reduce[int(Monoid::max_number)][dtype] = reduce_kernel<monoid::MaxNumber, In>();
      table.reduce[int(Monoid::min_number)][dtype] = reduce_kernel<monoid::MinNumber, In>();
    }
    if constexpr (is_floating(t)) {
      table.reduce[int(Monoid::numbers)][dtype] = reduce_kernel<monoid::Sum, Numbers<In, false>>();
      table.reduce[int(Monoid::count)][dtype] = reduce_kernel<monoid::Sum, Numbers<In, true>>();
    }
    if constexpr (is_bool(t)) {
      table.reduce[int(Monoid::all)][dtype] = reduce_kernel<monoid::All, In>();
      table.reduce[int(Monoid::any)][dtype] = reduce_kernel<monoid::Any, In>();
    }
    table.find[dtype] = {find<In>, same<In>, find_rows_kernel<In>()};
  };
  (one.template operator()<d>(), ...);
  return table;
}

constexpr ReduceKernels table = make_table(std::make_integer_sequence<int, dtype_count>{});

}  // namespace

const ReduceKernels& LAZULITE_AT_LEVEL(reduce_kernels)();
const ReduceKernels& LAZULITE_AT_LEVEL(reduce_kernels)() { return table; }

}  // namespace lazulite::engine
