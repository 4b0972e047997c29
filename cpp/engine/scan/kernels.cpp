// Scans per instruction-set level.
#include "engine/scan/kernels.h"

#include <limits>

#include "device/cpu/level.h"
#include "engine/reduce/lanes.h"

namespace lazulite::engine {
namespace {

// ---- what changes nothing, exactly
// ------------------------------------------------------------

template <class M, class T>
constexpr T identity() {
  constexpr bool floating = std::is_floating_point_v<T>;
  if constexpr (std::is_same_v<M, monoid::Sum>) return floating ? T(-0.0) : T(0);
  else if constexpr (std::is_same_v<M, monoid::All>) return T(-1);
  else if constexpr (std::is_same_v<M, monoid::Prod>) return T(1);
  else if constexpr (std::is_same_v<M, monoid::Max>)
    return floating ? -std::numeric_limits<T>::infinity() : std::numeric_limits<T>::lowest();
  else return floating ? std::numeric_limits<T>::infinity() : std::numeric_limits<T>::max();
}

// What a scan of nothing gives: as above, but for zeros without a sign.
template <class M, class T>
constexpr T of_nothing() {
  if constexpr (monoid::is_pair<T>::value) {
    using P = decltype(T::re);
    if constexpr (std::is_same_v<M, monoid::Sum>) return {P(0), P(0)};
    else if constexpr (std::is_same_v<M, monoid::Prod>) return {P(1), P(0)};
    else return {identity<M, P>(), identity<M, P>()};
  } else if constexpr (std::is_same_v<M, monoid::Sum>) {
    return T(0);
  } else if constexpr (std::is_same_v<M, monoid::All>) {
    return T(1);
  } else {
    return identity<M, T>();
  }
}

// ---- a block in registers
// ---------------------------------------------------------------------

constexpr int block_bytes = 64;
template <class V>
constexpr int block_registers = block_bytes / simd::register_bytes;
template <class V>
constexpr int block_lanes = block_registers<V> * V::size;

// Lane i is lane i - step of `at`, and below that one of `before`; reversed: from the other end.
template <int step, bool reverse, class V, int... i>
LAZULITE_INLINE V moved(V before, V at, std::integer_sequence<int, i...>) {
  constexpr int L = V::size;
  if constexpr (reverse)
    return V::from(__builtin_shufflevector(at.v, before.v, (i + step)...));
  else
    return V::from(__builtin_shufflevector(before.v, at.v, (L - step + i)...));
}
// Hillis and Steele's scan over all lanes of a block; neighbours of one element are `width` lanes.
template <class M, bool reverse, int step, class V>
LAZULITE_INLINE void scan_block(V* r) {
  constexpr int R = block_registers<V>, L = V::size;
  if constexpr (step < R * L) {
    if constexpr (step < L) {
      V before(identity<M, typename V::scalar>());
      constexpr auto lanes = std::make_integer_sequence<int, L>{};
#pragma GCC unroll 4
      for (int k = R - 1; k >= 0; --k) {
        V& at = r[reverse ? R - 1 - k : k];
        const V& last = k ? r[reverse ? R - k : k - 1] : before;
        at = M::template combine<V>(moved<step, reverse>(last, at, lanes), at);
      }
    } else {
      constexpr int by = step / L;
#pragma GCC unroll 4
      for (int k = R - 1; k >= by; --k) {
        V& at = r[reverse ? R - 1 - k : k];
        at = M::template combine<V>(r[reverse ? R - 1 - k + by : k - by], at);
      }
    }
    scan_block<M, reverse, 2 * step>(r);
  }
}
template <int from, int width, class V, int... i>
LAZULITE_INLINE V repeated(V v, std::integer_sequence<int, i...>) {
  return V::from(__builtin_shufflevector(v.v, v.v, (from + i % width)...));
}
// The last element of a scanned block, in all lanes.
template <bool reverse, int width, class V>
LAZULITE_INLINE V last_of(const V* r) {
  constexpr auto lanes = std::make_integer_sequence<int, V::size>{};
  if constexpr (reverse) return repeated<0, width>(r[0], lanes);
  else return repeated<V::size - width, width>(r[block_registers<V> - 1], lanes);
}
// `width` lanes, repeated.
template <int width, class V>
LAZULITE_INLINE V repeat_of(const typename V::scalar* p) {
  alignas(64) typename V::scalar all[V::size];
  for (int i = 0; i < V::size; ++i) all[i] = p[i % width];
  return V::load(all);
}

template <class A, int n>
struct Numbered {
  alignas(64) A at[n];
  constexpr Numbered() : at() {
    for (int i = 0; i < n; ++i) at[i] = A(i);
  }
};
template <class A, int n>
constexpr Numbered<A, n> numbered;

// The blocks of n elements, in order: f(block, first element, elements). Those that are missing
// from the last block are `filler`; `beyond`: memory goes on there, which is read and counted.
template <class In, bool reverse, class F>
LAZULITE_INLINE void for_blocks(const typename In::memory* x, int64_t n,
                                typename In::accumulator filler, F&& f, bool beyond = false) {
  using V = typename In::V;
  using A = typename In::accumulator;
  constexpr int R = block_registers<V>, B = block_lanes<V>;
#pragma GCC unroll 1
  for (int64_t done = 0; done < n; done += B) {
    V r[R];
    const int64_t rest = n - done;
    int64_t at = reverse ? rest - B : done, many = B;
    if (rest >= B || beyond) {
#pragma GCC unroll 4
      for (int k = 0; k < R; ++k) r[k] = In::load(x + at + k * V::size);
      if (rest < B) {
        for (int k = 0; k < R; ++k) {
          const V place = V::load(numbered<A, B>.at + k * V::size);
          const auto inside = reverse ? place >= V(A(B - rest)) : place < V(A(rest));
          r[k] = simd::select(inside, r[k], V(filler));
        }
      }
    } else {
      alignas(64) A some[B];
      const int64_t shift = reverse ? B - rest : 0;
      at = reverse ? 0 : done;
      many = rest;
      for (int64_t i = 0; i < B; ++i) some[i] = filler;
#pragma GCC unroll 1
      for (int64_t i = 0; i < rest; ++i) some[shift + i] = In::one(x + at + i);
      for (int k = 0; k < R; ++k) r[k] = V::load(some + k * V::size);
    }
    f(r, at, many);
  }
}
template <class In, bool reverse, class V>
LAZULITE_INLINE void put_block(const V* r, typename In::memory* out, int64_t n) {
  constexpr int R = block_registers<V>, B = block_lanes<V>;
  if (n == B) {
#pragma GCC unroll 4
    for (int k = 0; k < R; ++k) In::store(r[k], out + k * V::size);
    return;
  }
  alignas(64) typename In::memory some[B];
  for (int k = 0; k < R; ++k) In::store(r[k], some + k * V::size);
  std::memcpy(out, some + (reverse ? B - n : 0), size_t(n) * sizeof(typename In::memory));
}

// ---- rows
// -------------------------------------------------------------------------------------

// width: lanes of an element, where sums of complex numbers are sums of their parts. n: of lanes.
template <class M, class In, bool reverse, int width>
[[gnu::noinline]] void run_blocks(const typename In::memory* x, int64_t n, const void* before,
                                  void* out, void* total, bool beyond = false) {
  using V = typename In::V;
  using A = typename In::accumulator;
  const V first = before ? repeat_of<width, V>(static_cast<const A*>(before)) : V(A(0));
  V local(identity<M, A>()), so_far = before ? first : local;
  auto* to = static_cast<typename In::memory*>(out);
  for_blocks<In, reverse>(x, n, identity<M, A>(),
                          [&](V* r, int64_t at, int64_t m) __attribute__((always_inline)) {
    scan_block<M, reverse, width>(r);
    local = M::template combine<V>(local, last_of<reverse, width>(r));
    if (to) {
#pragma GCC unroll 4
      for (int k = 0; k < block_registers<V>; ++k) r[k] = M::template combine<V>(so_far, r[k]);
      put_block<In, reverse>(r, to + at, m);
      so_far = before ? M::template combine<V>(first, local) : local;
    }
  }, beyond);
  if (total)
    for (int i = 0; i < width; ++i) static_cast<A*>(total)[i] = local[i];
}
template <class M, class In, int width>
void run(const void* x, int64_t n, bool reverse, const void* before, void* out, void* total) {
  const auto* from = static_cast<const typename In::memory*>(x);
  if (reverse) run_blocks<M, In, true, width>(from, width * n, before, out, total);
  else run_blocks<M, In, false, width>(from, width * n, before, out, total);
}
// Of pairs: one after the other.
template <class M, class T>
void run_pairs(const void* input, int64_t n, bool reverse, const void* before, void* out,
               void* total) {
  using P = simd::Pair<T>;
  const auto* x = static_cast<const P*>(input);
  auto* to = static_cast<P*>(out);
  P local{};
  for (int64_t i = 0; i < n; ++i) {
    const int64_t at = reverse ? n - 1 - i : i;
    local = i ? M::one(local, x[at]) : x[at];
    if (to) to[at] = before ? M::one(*static_cast<const P*>(before), local) : local;
  }
  if (total) *static_cast<P*>(total) = local;
}
// Rows of a block or less, turned in registers: the same combinations in the same order, of as many
// rows as a register has lanes. As long as what is read behind a row lies in others; returns where
// it stopped.
template <class M, class In, bool reverse>
int64_t turned_scans(const typename In::memory* x, int64_t x_step, int64_t n, int64_t count,
                     typename In::memory* out, int64_t out_step) {
  using V = typename In::V;
  constexpr int L = V::size;
  const int64_t end = (count - 1) * x_step + n, wide = (n + L - 1) / L * L;
  // Whole registers may be stored where the next row is stored over what is too much.
  const int64_t whole = out_step == n && wide == L ? ((L - 1) * n + n - L) / n : -1;
  int64_t row = 0;
  V lane[block_lanes<V>];
  for (; x_step > 0 && row + L <= count && (row + L - 1) * x_step + wide <= end; row += L) {
    for (int64_t k = 0; k < wide; k += L) {
      typename V::raw square[L];
      for (int r = 0; r < L; ++r) square[r] = In::load(x + (row + r) * x_step + k).v;
      simd::turn(square);
      for (int r = 0; r < L; ++r) lane[k + r] = V::from(square[r]);
    }
    for (int64_t step = 1; step < n; step *= 2) {
      if constexpr (reverse)
        for (int64_t k = 0; k < n - step; ++k)
          lane[k] = M::template combine<V>(lane[k + step], lane[k]);
      else
        for (int64_t k = n - 1; k >= step; --k)
          lane[k] = M::template combine<V>(lane[k - step], lane[k]);
    }
    for (int64_t k = 0; k < wide; k += L) {
      typename V::raw square[L];
      for (int r = 0; r < L; ++r) square[r] = lane[k + r].v;
      simd::turn(square);
      for (int r = 0; r < L; ++r) {
        auto* const to = out + (row + r) * out_step + k;
        if (r <= whole || n - k >= L) {
          In::store(V::from(square[r]), to);
        } else {
          alignas(64) typename In::memory some[L];
          In::store(V::from(square[r]), some);
          for (int64_t i = 0; i < n - k; ++i) to[i] = some[i];
        }
      }
    }
  }
  return row;
}

// Rows that lie one behind the other, of a block or less: register by register, whatever rows
// they hold, the same combinations again. `before` are the values of the register before, of each
// step; `place`: how many elements of its row a lane has in front of it.
template <class M, bool reverse, int step, class V>
LAZULITE_INLINE void scan_in_rows(V& at, int64_t n, V place, V* before) {
  if constexpr (step <= V::size) {
    if (step >= n) return;
    constexpr auto lanes = std::make_integer_sequence<int, V::size>{};
    const V from = moved<step, reverse>(*before, at, lanes);
    *before = at;
    const V nothing(identity<M, typename V::scalar>());
    at = M::template combine<V>(
        simd::select(place < V(typename V::scalar(step)), nothing, from), at);
    scan_in_rows<M, reverse, 2 * step>(at, n, place, before + 1);
  }
}
// Whole rows in each register: some registers at a time.
template <class M, bool reverse, int step, int many, class V>
LAZULITE_INLINE void scan_whole_rows(V* r, int64_t n, V place) {
  if constexpr (step < V::size) {
    if (step >= n) return;
    constexpr auto lanes = std::make_integer_sequence<int, V::size>{};
    const V nothing(identity<M, typename V::scalar>());
    const auto first = place < V(typename V::scalar(step));
#pragma GCC unroll 4
    for (int k = 0; k < many; ++k) {
      const V from = moved<step, reverse>(r[k], r[k], lanes);
      r[k] = M::template combine<V>(simd::select(first, nothing, from), r[k]);
    }
    scan_whole_rows<M, reverse, 2 * step, many>(r, n, place);
  }
}
template <class M, class In, bool reverse>
void dense_scans(const typename In::memory* x, int64_t n, int64_t count,
                 typename In::memory* out) {
  using V = typename In::V;
  using A = typename In::accumulator;
  constexpr int L = V::size, R = block_registers<V>, B = block_lanes<V>, many = 4;
  static_assert(B <= 2 * L);
  V places[B], before[8];  // places of n registers, after which they are the same again
  for (int64_t k = 0; k < n; ++k) {
    alignas(64) A place[L];
    for (int64_t i = 0; i < L; ++i) place[reverse ? L - 1 - i : i] = A((k * L + i) % n);
    places[k] = V::load(place);
  }
  int64_t k = 0;
  if (L % n == 0) {
    for (; (k + many) * L <= count * n; k += many) {
      V r[many];
#pragma GCC unroll 4
      for (int i = 0; i < many; ++i) r[i] = In::load(x + (k + i) * L);
      scan_whole_rows<M, reverse, 1, many>(r, n, places[0]);
#pragma GCC unroll 4
      for (int i = 0; i < many; ++i) In::store(r[i], out + (k + i) * L);
    }
    x += k * L;
    out += k * L;
    count -= k * L / n;
    k = 0;
  }
  for (V& v : before) v = V(A(0));
  for_blocks<In, reverse>(x, count * n, A(0),
                          [&](V* r, int64_t at, int64_t m) __attribute__((always_inline)) {
#pragma GCC unroll 4
    for (int i = 0; i < R; ++i) {
      scan_in_rows<M, reverse, 1>(r[reverse ? R - 1 - i : i], n, places[k], before);
      k = k + 1 == n ? 0 : k + 1;
    }
    put_block<In, reverse>(r, out + at, m);
  });
}

// Rows by a kernel of one of them; bytes of an element.
template <auto run_one, int64_t bytes>
void run_rows(const void* x, int64_t x_step, int64_t n, int64_t count, bool reverse, void* out,
              int64_t out_step) {
  for (int64_t r = 0; r < count; ++r)
    run_one(static_cast<const char*>(x) + r * x_step * bytes, n, reverse, nullptr,
            static_cast<char*>(out) + r * out_step * bytes, nullptr);
}
// Rows of some blocks that lie one behind the other, apart from their results: what a last block
// has too much is stored before the row that lies there.
template <class M, class In, bool reverse>
void long_rows(const typename In::memory* x, int64_t n, int64_t count,
               typename In::memory* out) {
  constexpr int64_t B = block_lanes<typename In::V>;
  const int64_t over = (n + B - 1) / B * B - n;
  for (int64_t r = 0; r < count; ++r) {
    const int64_t at = (reverse ? count - 1 - r : r) * n;
    const bool beyond = reverse ? at >= over : at + n + over <= count * n;
    run_blocks<M, In, reverse, 1>(x + at, n, nullptr, out + at, nullptr, beyond);
  }
}
template <class M, class In, bool reverse>
void rows_of(const typename In::memory* x, int64_t x_step, int64_t n, int64_t count,
             typename In::memory* out, int64_t out_step) {
  using T = typename In::memory;
  using V = typename In::V;
  constexpr int64_t B = block_lanes<V>;
  int64_t row = 0;
  if constexpr (!is_plain_level) {
    const bool dense = x_step == n && out_step == n;
    if constexpr (B <= 2 * V::size)
      if (dense && n <= B && count >= 2 * V::size)
        return dense_scans<M, In, reverse>(x, n, count, out);
    if (dense && n > B && (out + count * n <= x || x + count * n <= out))
      return long_rows<M, In, reverse>(x, n, count, out);
    if constexpr (sizeof(typename In::accumulator) >= 4)
      if (n <= B) row = turned_scans<M, In, reverse>(x, x_step, n, count, out, out_step);
  }
  run_rows<run<M, In, 1>, sizeof(T)>(x + row * x_step, x_step, n, count - row, reverse,
                                     out + row * out_step, out_step);
}
template <class M, class In>
void run_rows_of(const void* input, int64_t x_step, int64_t n, int64_t count, bool reverse,
                 void* out, int64_t out_step) {
  using T = typename In::memory;
  const auto* x = static_cast<const T*>(input);
  auto* to = static_cast<T*>(out);
  if (n == 1 && x_step == 1 && out_step == 1) {
    if (x != to) std::memcpy(to, x, size_t(count) * sizeof(T));
  } else if (reverse) {
    rows_of<M, In, true>(x, x_step, n, count, to, out_step);
  } else {
    rows_of<M, In, false>(x, x_step, n, count, to, out_step);
  }
}

// ---- columns
// ----------------------------------------------------------------------------------

constexpr int64_t tile = 4;  // rows, between which accumulators stay in registers

template <class M, class In, class Step>
LAZULITE_INLINE void columns_of(const void* input, int64_t x_step, int64_t rows, int64_t width,
                                bool first, void* local, const void* before, void* out,
                                int64_t out_step) {
  using V = typename In::V;
  using A = typename In::accumulator;
  auto* a = static_cast<A*>(local);
  const auto* x = static_cast<const typename In::memory*>(input);
  const auto* b = static_cast<const A*>(before);
  auto* to = static_cast<typename In::memory*>(out);
  for (int64_t i = 0; i < rows; i += tile) {
    const int64_t m = rows - i < tile ? rows - i : tile;
    int64_t j = 0;
    for (; j + V::size <= width; j += V::size) {
      V v = first ? In::load(x + j) : V::load(a + j);
      for (int64_t r = 0; r < m; ++r) {
        if (r || !first) v = M::template combine<V>(v, In::load(x + r * x_step + j));
        if (to) {
          const V y = b ? M::template combine<V>(V::load(b + j), v) : v;
          if constexpr (requires { In::store(y, to); }) In::store(y, to + r * out_step + j);
          else y.store(to + r * out_step + j);
        }
      }
      v.store(a + j);
    }
    for (; j < width; ++j) {
      A v = first ? In::one(x + j) : a[j];
      for (int64_t r = 0; r < m; ++r) {
        if (r || !first) v = M::one(v, In::one(x + r * x_step + j));
        if (to) Step::put(b ? M::one(b[j], v) : v, to + r * out_step + j);
      }
      a[j] = v;
    }
    first = false;
    x += m * x_step;
    if (to) to += m * out_step;
  }
}
template <class T>
struct Same {
  static void put(T v, T* to) { *to = v; }
};
template <Half h>
struct Rounded {
  static void put(float v, uint16_t* to) {
    *to = h == Half::f16 ? float_to_half(v) : float_to_bfloat(v);
  }
};
template <class In> struct StepOf { using t = Same<typename In::memory>; };
template <Half h> struct StepOf<Short<h>> { using t = Rounded<h>; };

// parts: lanes of an element, of what is read as its parts.
template <class M, class In, int parts>
void columns(const void* x, int64_t x_step, int64_t rows, int64_t width, bool first, void* local,
             const void* before, void* out, int64_t out_step) {
  columns_of<M, In, typename StepOf<In>::t>(x, parts * x_step, rows, parts * width, first, local,
                                            before, out, parts * out_step);
}

template <class M, class A, int parts>
void combine_all(const void* a, const void* b, void* out, int64_t n) {
  for (int64_t i = 0; i < n * parts; ++i)
    static_cast<A*>(out)[i] = M::one(static_cast<const A*>(a)[i], static_cast<const A*>(b)[i]);
}
template <class T>
void put_nothing(T value, void* out, int64_t n, int64_t step) {
  for (int64_t i = 0; i < n; ++i) static_cast<T*>(out)[i * step] = value;
}
template <class M, class T>
void nothing(void* out, int64_t n, int64_t step) {
  put_nothing<T>(of_nothing<M, T>(), out, n, step);
}
template <class M, Half h>
void nothing_of_half(void* out, int64_t n, int64_t step) {
  uint16_t value;
  Rounded<h>::put(of_nothing<M, float>(), &value);
  put_nothing<uint16_t>(value, out, n, step);
}

// ---- logsumexp: states of a maximum m and a sum s of exp(x - m)
// -------------------------------

template <class V>
struct Exponentials {
  V m, s;

  // exp(-|a - b|), 1 for equal infinities
  LAZULITE_INLINE static V ratio(V a, V b) {
    return simd::select(a == b, V(1), simd::exp(-simd::abs(a - b)));
  }
  LAZULITE_INLINE void add(V x) {
    const V e = ratio(x, m);
    s = simd::select(x > m, s * e + V(1), s + e);
    m = simd::maximum(m, x);
  }
  LAZULITE_INLINE void add(Exponentials o) {
    const V e = ratio(o.m, m);
    s = simd::select(o.m > m, s * e + o.s, s + o.s * e);
    m = simd::maximum(m, o.m);
  }
  LAZULITE_INLINE V log() const { return m + simd::log(s); }
};

template <class In, bool reverse>
void run_logs(const typename In::memory* x, int64_t n, const void* before, void* out,
              void* total) {
  using V = typename In::V;
  using A = typename In::accumulator;
  using E = Exponentials<V>;
  constexpr int R = block_registers<V>, B = block_lanes<V>, L = V::size;
  constexpr A inf = std::numeric_limits<A>::infinity();
  auto* to = static_cast<typename In::memory*>(out);
  const auto* b = static_cast<const A*>(before);
  V largest(-inf);
  for_blocks<In, false>(x, n, -inf, [&](V* r, int64_t, int64_t) __attribute__((always_inline)) {
    for (int k = 0; k < R; ++k) largest = simd::maximum(largest, r[k]);
  });
  A top = largest[0];
  for (int i = 1; i < L; ++i) top = monoid::Max::one(top, largest[i]);
  // Exponentials by the largest of all, which are added up. That is exact enough for elements of
  // which some before them come near it; those in front, and what is not finite, go one by one.
  const bool finite = top - top == 0;
  const V base = finite ? V(top) : V(0);
  const A whole = b ? monoid::Max::one(b[0], top) : top;
  const bool usual = finite && whole - whole == 0;
  const V up(whole), scale = usual ? simd::exp(base - up) : V(1),
      rest = usual && b ? V(b[1]) * simd::exp(V(b[0]) - up) : V(0);
  V local(A(0));
  bool fast = false, any = b != nullptr, any_here = false;
  E one_by_one{V(b ? b[0] : A(0)), V(b ? b[1] : A(0))}, alone{V(0), V(0)};
  for_blocks<In, reverse>(x, n, -inf,
                          [&](V* r, int64_t at, int64_t m) __attribute__((always_inline)) {
    alignas(64) A lane[B];
    V e[R];
    for (V& v : e) v = V(A(0));
    if (!finite || (to && !fast))
      for (int k = 0; k < R; ++k) r[k].store(lane + k * L);
    if (finite) {
      for (int k = 0; k < R; ++k) e[k] = simd::exp(r[k] - base);
      scan_block<monoid::Sum, reverse, 1>(e);
      const V last = last_of<reverse, 1>(e);
      for (int k = 0; k < R; ++k) e[k] = (local + e[k]) * scale + rest;
      local = local + last;
    } else {
      for (int64_t i = 0; i < m; ++i) {
        const V v(lane[reverse ? B - 1 - i : i]);
        if (any_here) alone.add(v);
        else alone = {v, V(1)};
        any_here = true;
      }
    }
    if (!to) return;
    fast |= usual && e[reverse ? R - 1 : 0][reverse ? L - 1 : 0] >= A(0x1p-12);
    if (fast) {
      for (int k = 0; k < R; ++k) r[k] = up + simd::log(e[k]);
    } else {
      for (int64_t i = 0; i < m; ++i) {
        A& element = lane[reverse ? B - 1 - i : i];
        if (any) one_by_one.add(V(element));
        else one_by_one = {V(element), V(1)};
        any = true;
        element = one_by_one.log()[0];
      }
      for (int64_t i = 0; i < B - m; ++i) lane[reverse ? i : m + i] = 0;
      for (int k = 0; k < R; ++k) r[k] = V::load(lane + k * L);
    }
    put_block<In, reverse>(r, to + at, m);
  });
  if (total) {
    static_cast<A*>(total)[0] = finite ? top : alone.m[0];
    static_cast<A*>(total)[1] = finite ? local[0] : alone.s[0];
  }
}
template <class In>
void run_logs_of(const void* x, int64_t n, bool reverse, const void* before, void* out,
                 void* total) {
  const auto* from = static_cast<const typename In::memory*>(x);
  if (reverse) run_logs<In, true>(from, n, before, out, total);
  else run_logs<In, false>(from, n, before, out, total);
}

// States lie as pairs.
template <class A, bool whole>
LAZULITE_INLINE Exponentials<Vec<A>> load_states(const A* p, int64_t n) {
  using V = Vec<A>;
  if constexpr (whole) {
    const Cx<V> both = Cx<V>::load(reinterpret_cast<const simd::Pair<A>*>(p));
    return {both.re, both.im};
  }
  alignas(64) A m[V::size] = {}, s[V::size] = {};
  for (int64_t i = 0; i < n; ++i) {
    m[i] = p[2 * i];
    s[i] = p[2 * i + 1];
  }
  return {V::load(m), V::load(s)};
}
template <class A, bool whole>
LAZULITE_INLINE void store_states(Exponentials<Vec<A>> v, A* p, int64_t n) {
  using V = Vec<A>;
  if constexpr (whole) return Cx<V>(v.m, v.s).store(reinterpret_cast<simd::Pair<A>*>(p));
  for (int64_t i = 0; i < n; ++i) {
    p[2 * i] = v.m[int(i)];
    p[2 * i + 1] = v.s[int(i)];
  }
}
template <class In, bool whole>
LAZULITE_INLINE void log_strip(const typename In::memory* x, int64_t x_step, int64_t rows,
                               int64_t n, bool first, typename In::accumulator* local,
                               const typename In::accumulator* before, typename In::memory* out,
                               int64_t out_step) {
  using V = typename In::V;
  using A = typename In::accumulator;
  Exponentials<V> v{V(0), V(0)}, b = v;
  if (!first) v = load_states<A, whole>(local, n);
  if (before) b = load_states<A, whole>(before, n);
  for (int64_t r = 0; r < rows; ++r) {
    V at;
    if constexpr (whole) {
      at = In::load(x + r * x_step);
    } else {
      alignas(64) A some[V::size] = {};
      for (int64_t i = 0; i < n; ++i) some[i] = In::one(x + r * x_step + i);
      at = V::load(some);
    }
    if (r || !first) v.add(at);
    else v = {at, V(1)};
    if (!out) continue;
    auto all = v;
    if (before) {
      all = b;
      all.add(v);
    }
    if constexpr (whole) {
      In::store(all.log(), out + r * out_step);
    } else {
      alignas(64) typename In::memory some[V::size];
      In::store(all.log(), some);
      std::memcpy(out + r * out_step, some, size_t(n) * sizeof(typename In::memory));
    }
  }
  store_states<A, whole>(v, local, n);
}
template <class In>
void log_columns(const void* input, int64_t x_step, int64_t rows, int64_t width, bool first,
                 void* local, const void* before, void* out, int64_t out_step) {
  using A = typename In::accumulator;
  constexpr int L = In::V::size;
  const auto* x = static_cast<const typename In::memory*>(input);
  const auto* b = static_cast<const A*>(before);
  auto* a = static_cast<A*>(local);
  auto* to = static_cast<typename In::memory*>(out);
  for (int64_t i = 0; i < rows; i += tile) {
    const int64_t m = rows - i < tile ? rows - i : tile;
    int64_t j = 0;
    for (; j + L <= width; j += L)
      log_strip<In, true>(x + j, x_step, m, L, first, a + 2 * j, b ? b + 2 * j : b,
                          to ? to + j : to, out_step);
    if (j < width)
      log_strip<In, false>(x + j, x_step, m, width - j, first, a + 2 * j, b ? b + 2 * j : b,
                           to ? to + j : to, out_step);
    first = false;
    x += m * x_step;
    if (to) to += m * out_step;
  }
}
template <class A>
void combine_states(const void* a, const void* b, void* out, int64_t n) {
  constexpr int L = Vec<A>::size;
  for (int64_t i = 0; i < n; i += L) {
    const int64_t m = n - i < L ? n - i : L;
    auto v = load_states<A, false>(static_cast<const A*>(a) + 2 * i, m);
    v.add(load_states<A, false>(static_cast<const A*>(b) + 2 * i, m));
    store_states<A, false>(v, static_cast<A*>(out) + 2 * i, m);
  }
}

// ---- recurrences
// ------------------------------------------------------------------------------

template <class In>
LAZULITE_INLINE typename In::accumulator next_of(const typename In::memory* a,
                                                 const typename In::memory* b,
                                                 typename In::accumulator y) {
  return monoid::Sum::one(monoid::Prod::one(In::one(a), y), In::one(b));
}
template <class In>
void recurrence_row(const void* factors, const void* terms, int64_t n, bool reverse, void* out) {
  const auto* a = static_cast<const typename In::memory*>(factors);
  const auto* b = static_cast<const typename In::memory*>(terms);
  auto* to = static_cast<typename In::memory*>(out);
  typename In::accumulator y{};
  for (int64_t i = 0; i < n; ++i) {
    const int64_t at = reverse ? n - 1 - i : i;
    y = i ? next_of<In>(a + at, b + at, y) : In::one(b + at);
    StepOf<In>::t::put(y, to + at);
  }
}
template <class In>
void recurrence_columns(const void* factors, const void* terms, int64_t step, int64_t rows,
                        int64_t width, void* state, void* out) {
  using V = typename In::V;
  using A = typename In::accumulator;
  auto* y = static_cast<A*>(state);
  for (int64_t r = 0; r < rows; ++r) {
    const auto* a = static_cast<const typename In::memory*>(factors) + r * step;
    const auto* b = static_cast<const typename In::memory*>(terms) + r * step;
    auto* to = static_cast<typename In::memory*>(out) + r * step;
    int64_t j = 0;
    for (; j + V::size <= width; j += V::size) {
      V v = In::load(b + j);
      if (r) v = In::load(a + j) * V::load(y + j) + v;
      v.store(y + j);
      if constexpr (requires { In::store(v, to); }) In::store(v, to + j);
      else v.store(to + j);
    }
    for (; j < width; ++j) {
      y[j] = r ? next_of<In>(a + j, b + j, y[j]) : In::one(b + j);
      StepOf<In>::t::put(y[j], to + j);
    }
  }
}

// ---- the table
// --------------------------------------------------------------------------------

// parts: how many lanes of In one element is.
template <class M, class In, int parts>
constexpr ScanKernel scan_kernel() {
  using T = typename In::memory;
  using A = typename In::accumulator;
  ScanKernel k{run<M, In, parts>,
               run_rows<run<M, In, parts>, int64_t(parts * sizeof(T))>,
               columns<M, In, parts>,
               combine_all<M, A, parts>,
               nothing<M, std::conditional_t<parts == 2, simd::Pair<T>, T>>,
               int64_t(parts * sizeof(A)),
               0.1 * double(parts * sizeof(A))};
  if constexpr (parts == 1) k.rows = run_rows_of<M, In>;
  return k;
}
template <class M, Half h>
constexpr ScanKernel half_kernel() {
  using In = Short<h>;
  return {run<M, In, 1>,   run_rows_of<M, In>, columns<M, In, 1>, combine_all<M, float, 1>,
          nothing_of_half<M, h>, 4,                    0.4};
}
template <class M, class T>
constexpr ScanKernel pair_kernel() {
  return {run_pairs<M, T>,
          run_rows<run_pairs<M, T>, 2 * sizeof(T)>,
          columns<M, Complex<T>, 1>,
          combine_all<M, simd::Pair<T>, 1>,
          nothing<M, simd::Pair<T>>,
          2 * sizeof(T),
          3};
}
template <class In, void (*nothing)(void*, int64_t, int64_t)>
constexpr ScanKernel log_kernel() {
  using A = typename In::accumulator;
  return {run_logs_of<In>,   run_rows<run_logs_of<In>, sizeof(typename In::memory)>,
          log_columns<In>,   combine_states<A>,
          nothing,           2 * sizeof(A),
          2};
}
template <class In>
constexpr RecurrenceKernel recurrence_kernel() {
  return {recurrence_row<In>, recurrence_columns<In>, sizeof(typename In::accumulator)};
}

template <class M>
constexpr void fill(ScanKernel (&k)[dtype_count]) {
  auto at = [&](Dtype t) -> ScanKernel& { return k[int(t)]; };
  using std::is_same_v;
  at(uint8) = scan_kernel<M, Plain<uint8_t>, 1>();
  at(uint16) = scan_kernel<M, Plain<uint16_t>, 1>();
  at(uint32) = scan_kernel<M, Plain<uint32_t>, 1>();
  at(uint64) = scan_kernel<M, Plain<uint64_t>, 1>();
  if constexpr (is_same_v<M, monoid::Max> || is_same_v<M, monoid::Min>) {
    at(int8) = scan_kernel<M, Plain<int8_t>, 1>();
    at(int16) = scan_kernel<M, Plain<int16_t>, 1>();
    at(int32) = scan_kernel<M, Plain<int32_t>, 1>();
    at(int64) = scan_kernel<M, Plain<int64_t>, 1>();
  } else {  // the same bits
    at(int8) = at(uint8);
    at(int16) = at(uint16);
    at(int32) = at(uint32);
    at(int64) = at(uint64);
  }
  at(float16) = half_kernel<M, Half::f16>();
  at(bfloat16) = half_kernel<M, Half::bf16>();
  at(float32) = scan_kernel<M, Plain<float>, 1>();
  at(float64) = scan_kernel<M, Plain<double>, 1>();
  if constexpr (is_same_v<M, monoid::Sum>) {
    at(complex64) = scan_kernel<M, Plain<float>, 2>();
    at(complex128) = scan_kernel<M, Plain<double>, 2>();
  } else {
    at(complex64) = pair_kernel<M, float>();
    at(complex128) = pair_kernel<M, double>();
  }
}

constexpr ScanKernels make_table() {
  ScanKernels table{};
  auto of = [&](Scan scan) -> ScanKernel(&)[dtype_count] { return table.scan[int(scan)]; };
  fill<monoid::Sum>(of(Scan::sum));
  fill<monoid::Prod>(of(Scan::prod));
  fill<monoid::Max>(of(Scan::max));
  fill<monoid::Min>(of(Scan::min));
  of(Scan::sum)[int(bool_)] = {};
  of(Scan::max)[int(bool_)] = of(Scan::max)[int(uint8)];
  of(Scan::min)[int(bool_)] = of(Scan::prod)[int(bool_)] =
      scan_kernel<monoid::All, Plain<uint8_t>, 1>();
  using F16 = Short<Half::f16>;
  using BF16 = Short<Half::bf16>;
  using M = monoid::Max;
  ScanKernel(&logs)[dtype_count] = of(Scan::logsumexp);
  logs[int(float16)] = log_kernel<F16, nothing_of_half<M, Half::f16>>();
  logs[int(bfloat16)] = log_kernel<BF16, nothing_of_half<M, Half::bf16>>();
  logs[int(float32)] = log_kernel<Plain<float>, nothing<M, float>>();
  logs[int(float64)] = log_kernel<Plain<double>, nothing<M, double>>();
  auto one = [&]<class In>(In*, auto... types) {
    ((table.recurrence[int(types)] = recurrence_kernel<In>()), ...);
  };
  one(static_cast<Plain<uint8_t>*>(nullptr), uint8, int8);
  one(static_cast<Plain<uint16_t>*>(nullptr), uint16, int16);
  one(static_cast<Plain<uint32_t>*>(nullptr), uint32, int32);
  one(static_cast<Plain<uint64_t>*>(nullptr), uint64, int64);
  one(static_cast<F16*>(nullptr), float16);
  one(static_cast<BF16*>(nullptr), bfloat16);
  one(static_cast<Plain<float>*>(nullptr), float32);
  one(static_cast<Plain<double>*>(nullptr), float64);
  one(static_cast<Complex<float>*>(nullptr), complex64);
  one(static_cast<Complex<double>*>(nullptr), complex128);
  return table;
}

constexpr ScanKernels table = make_table();

}  // namespace

const ScanKernels& LAZULITE_AT_LEVEL(scan_kernels)();
const ScanKernels& LAZULITE_AT_LEVEL(scan_kernels)() { return table; }

}  // namespace lazulite::engine
