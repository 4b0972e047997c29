// Softmax of columns, per instruction-set level.
#include "device/cpu/level.h"
#include "engine/norm/columns.h"
#include "engine/norm/vectors.h"

namespace lazulite::engine {
namespace {

// Vectors side by side whose lanes (32 of each column) stay in the first-level cache.
constexpr int wide = 4;

// The fixed tree of n terms for each column: term(row, v) gives those of vector v of a row, sums
// get vectors. `vectors` of them at most `wide`.
template <class V, class F>
LAZULITE_INLINE void column_sums(int64_t n, int vectors, F&& term, V* sums) {
  using A = typename V::scalar;
  constexpr int64_t widest = wide * V::size;
  alignas(64) A lane[reduce_lanes * widest];
  alignas(64) A stack[52][widest];  // the sums of 2^k chunks, of any int64 length
  const int64_t width = vectors * V::size;
  int depth = 0;
  int64_t done = 0;
  auto join = [&] {
    A *const to = stack[depth - 2], *const from = stack[--depth];
    for (int v = 0; v < vectors; ++v)
      (V::load(to + v * V::size) + V::load(from + v * V::size)).store(to + v * V::size);
  };
  for (int64_t from = 0; from < n; from += reduce_chunk) {
    const int64_t count = n - from < reduce_chunk ? n - from : reduce_chunk,
                  live = count < reduce_lanes ? count : reduce_lanes;
    for (int64_t i = 0; i < live; ++i)
      for (int v = 0; v < vectors; ++v) term(from + i, v).store(lane + i * width + v * V::size);
    for (int64_t i = live; i < count; ++i) {
      A* const at = lane + i % reduce_lanes * width;
      for (int v = 0; v < vectors; ++v)
        (V::load(at + v * V::size) + term(from + i, v)).store(at + v * V::size);
    }
    fold_lanes<monoid::Sum, Plain<A>>(lane, live, reduce_lanes, width);
    std::memcpy(stack[depth++], lane, size_t(width) * sizeof(A));
    for (int64_t c = ++done; c % 2 == 0; c /= 2) join();
  }
  while (depth > 1) join();
  for (int v = 0; v < vectors; ++v) sums[v] = V::load(stack[0] + v * V::size);
}

// f(first column, vectors side by side, elements of the last one)
template <class V, class F>
LAZULITE_INLINE void for_columns(int64_t columns, F&& f) {
  constexpr int64_t most = wide * V::size;
  for (int64_t c = 0; c < columns; c += most) {
    const int64_t m = columns - c < most ? columns - c : most;
    f(c, int((m + V::size - 1) / V::size), (m - 1) % V::size + 1);
  }
}
// m elements, all of a vector or fewer.
template <class In>
LAZULITE_INLINE typename In::V part_of(const void* p, int64_t i, int64_t m) {
  return m == In::V::size ? get<In, true>(p, i, m) : get<In, false>(p, i, m);
}
template <class Out>
LAZULITE_INLINE void put_part(typename Out::V v, void* p, int64_t i, int64_t m) {
  m == Out::V::size ? put<Out, true>(v, p, i, m) : put<Out, false>(v, p, i, m);
}

template <class In>
LAZULITE_INLINE const typename In::memory* row_of(Strip x, int64_t i) {
  return static_cast<const typename In::memory*>(x.x) + i * x.stride;
}
// What lies some rows ahead: no hardware fetches it where rows are pages apart.
template <class In>
LAZULITE_INLINE void fetch(Strip x, int64_t i, int64_t n, int64_t columns) {
  constexpr int64_t ahead = 8;
  if (i + ahead >= n) return;
  const auto* p = row_of<In>(x, i + ahead);
  for (int64_t c = 0; c < columns; c += 64 / int64_t(sizeof *p)) __builtin_prefetch(p + c);
}

// Halves would be rounded twice: without a room what has been computed is computed again.
template <class In, bool half>
void softmax(Strip x, int64_t n, int64_t columns, void* room, void* out, int64_t step) {
  using V = typename In::V;
  using A = typename In::accumulator;
  A* const kept = static_cast<A*>(room);
  const int64_t pitch = column_pitch(columns);
  auto* const to = static_cast<typename In::memory*>(out);
  alignas(64) A tops[widest_strip], scales[widest_strip];
  for (int64_t i = 0; i < n; ++i) {
    const auto* const row = row_of<In>(x, i);
    fetch<In>(x, i, n, columns);
    for_vectors<V>(columns, [&]<bool full>(int64_t c, int64_t m) __attribute__((always_inline)) {
      const V v = get<In, full>(row, c, m);
      if (kept) v.store(kept + i * pitch + c);
      (i ? monoid::Max::combine<V>(V::load(tops + c), v) : v).store(tops + c);
    });
  }
  for_columns<V>(columns, [&](int64_t c, int vectors, int64_t last) {
    V top[wide], sums[wide];
    for (int v = 0; v < vectors; ++v) top[v] = V::load(tops + c + v * V::size);
    auto term = [&](int64_t i, int v) __attribute__((always_inline)) {
      const int64_t at = c + v * V::size, m = v + 1 < vectors ? V::size : last;
      if (A* const p = kept + i * pitch + at; kept) {
        const V e = simd::exp(V::load(p) - top[v]);
        e.store(p);
        return e;
      }
      const V e = simd::exp(part_of<In>(row_of<In>(x, i), at, m) - top[v]);
      if constexpr (!half) put_part<In>(e, to + i * step, at, m);
      return e;
    };
    if (vectors == wide) column_sums<V>(n, wide, term, sums);
    else column_sums<V>(n, vectors, term, sums);
    for (int v = 0; v < vectors; ++v) (V(A(1)) / sums[v]).store(scales + c + v * V::size);
  });
  for (int64_t i = 0; i < n; ++i) {
    for_vectors<V>(columns, [&]<bool full>(int64_t c, int64_t m) __attribute__((always_inline)) {
      V e;
      if (kept) e = V::load(kept + i * pitch + c);
      else if constexpr (half)
        e = simd::exp(get<In, full>(row_of<In>(x, i), c, m) - V::load(tops + c));
      else e = get<In, full>(to + i * step, c, m);
      put<In, full>(e * V::load(scales + c), to + i * step, c, m);
    });
  }
}

template <class In>
void softmax_slope(Strip y, Strip t, int64_t n, int64_t columns, void* out, int64_t step) {
  using V = typename In::V;
  using A = typename In::accumulator;
  auto* const to = static_cast<A*>(out);
  alignas(64) A all[widest_strip];
  for_columns<V>(columns, [&](int64_t c, int vectors, int64_t last) {
    V sums[wide];
    auto term = [&](int64_t i, int v) __attribute__((always_inline)) {
      const int64_t at = c + v * V::size, m = v + 1 < vectors ? V::size : last;
      return part_of<In>(row_of<In>(t, i), at, m) * part_of<In>(row_of<In>(y, i), at, m);
    };
    if (vectors == wide) column_sums<V>(n, wide, term, sums);
    else column_sums<V>(n, vectors, term, sums);
    for (int v = 0; v < vectors; ++v) sums[v].store(all + c + v * V::size);
  });
  for (int64_t i = 0; i < n; ++i) {
    for_vectors<V>(columns, [&]<bool full>(int64_t c, int64_t m) __attribute__((always_inline)) {
      const V s = get<In, full>(row_of<In>(t, i), c, m) - V::load(all + c);
      put<In, full>(get<In, full>(row_of<In>(y, i), c, m) * s, to + i * step, c, m);
    });
  }
}

template <int... d>
constexpr ColumnKernels make_table(std::integer_sequence<int, d...>) {
  ColumnKernels table{};
  auto one = [&]<int dtype>() {
    if constexpr (is_floating(Dtype(dtype))) {
      using In = typename InputOf<dtype>::t;
      constexpr bool half = is_half(Dtype(dtype));
      table.softmax[dtype] = softmax<In, half>;
      if constexpr (!half) table.softmax_slope[dtype] = softmax_slope<In>;
    }
  };
  (one.template operator()<d>(), ...);
  return table;
}

constexpr ColumnKernels table = make_table(std::make_integer_sequence<int, dtype_count>{});

}  // namespace

const ColumnKernels& LAZULITE_AT_LEVEL(column_kernels)();
const ColumnKernels& LAZULITE_AT_LEVEL(column_kernels)() { return table; }

}  // namespace lazulite::engine
