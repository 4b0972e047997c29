// Blocks of scores per instruction-set level.
#include "engine/attention/kernels.h"

#include <type_traits>

#include "device/cpu/level.h"
#include "engine/gemm/pack.h"
#include "simd/math.h"

namespace lazulite::engine {
namespace {

using simd::Mask;

template <class T>
constexpr T none = -T(__builtin_inf());

// A largest score from which others can be taken: 0 where no score is above -inf.
template <class T>
LAZULITE_INLINE Vec<T> finite(Vec<T> top) {
  return select(top == Vec<T>(none<T>), Vec<T>(T(0)), top);
}

template <class T>
LAZULITE_INLINE Vec<T> multiply_add(Vec<T> x, Vec<T> y, Vec<T> sum) {
#if defined(LAZULITE_SIMD_AVX512) || defined(LAZULITE_SIMD_AVX2)
  return fma(x, y, sum);
#else
  return sum + x * y;
#endif
}

// e^x of a score beside the largest, and 0 below e^-80 (e^-700): nothing here is subnormal, which
// processors take a hundred times as long for.
template <simd::FloatVec V>
LAZULITE_INLINE V exp_or_zero(V x) {
  const V low = simd::pick<V>(-80, -700);
  const simd::ExpParts<V> p = simd::exp_parts(max(low, x));  // in this order a nan comes through
#if defined(LAZULITE_SIMD_AVX512)
  const V y = simd::scale_exp(p.e, p.n);
#else
  using T = typename V::scalar;
  using I = simd::IntOf<V>;
  const I n = I::from(simd::small_int(p.n).v << simd::fraction_bits<T>);
  const V y = simd::bit_cast<T>(simd::bit_cast<simd::int_like<T>>(p.e) + n);
#endif
  return select(x < low, V(typename V::scalar(0)), y);
}

// ---- softmax

template <class T, int vectors>
LAZULITE_INLINE bool weigh_columns(const ScoresCall& p, int64_t first) {
  using V = Vec<T>;
  constexpr int L = V::size;
  T* scores = static_cast<T*>(p.scores) + first;
  V most[vectors], shift[vectors], sum[vectors];
#pragma GCC unroll 4
  for (int j = 0; j < vectors; ++j) most[j] = V(none<T>);
  if (p.low) {
    T low[vectors * L], high[vectors * L];
    for (int j = 0; j < vectors * L; ++j) {
      low[j] = T(p.low[first + j]);
      high[j] = T(p.high[first + j]);
    }
    V from[vectors], to[vectors];
    for (int j = 0; j < vectors; ++j) {
      from[j] = V::load(low + j * L);
      to[j] = V::load(high + j * L);
    }
    T* at = scores;
    for (int64_t k = 0; k < p.keys; ++k, at += p.width) {
      const V key{T(k)};
#pragma GCC unroll 4
      for (int j = 0; j < vectors; ++j) {
        const V x =
            select((key >= from[j]) & (key < to[j]), V::load(at + j * L), V(none<T>));
        x.store(at + j * L);
        most[j] = max(x, most[j]);
      }
    }
  } else {
    const T* at = scores;
    for (int64_t k = 0; k < p.keys; ++k, at += p.width)
#pragma GCC unroll 4
      for (int j = 0; j < vectors; ++j) most[j] = max(V::load(at + j * L), most[j]);
  }
  T *top = static_cast<T*>(p.top) + first, *sums = static_cast<T*>(p.sum) + first,
    *decays = static_cast<T*>(p.decay) + first;
  bool changes = false;
  for (int j = 0; j < vectors; ++j) {
    const V before = V::load(top + j * L);
    most[j] = max(most[j], before);
    shift[j] = finite(most[j]);
    const V decay = exp_or_zero(before - shift[j]);
    most[j].store(top + j * L);
    decay.store(decays + j * L);
    changes |= any(decay != V(T(1)));
    sum[j] = V(T(0));
  }
  T* at = scores;
  for (int64_t k = 0; k < p.keys; ++k, at += p.width)
#pragma GCC unroll 4
    for (int j = 0; j < vectors; ++j) {
      const V x = exp_or_zero(V::load(at + j * L) - shift[j]);
      x.store(at + j * L);
      sum[j] = sum[j] + x;
    }
  for (int j = 0; j < vectors; ++j)
    (V::load(sums + j * L) * V::load(decays + j * L) + sum[j]).store(sums + j * L);
  return changes;
}
template <class T>
bool weigh(const ScoresCall& p) {
  constexpr int L = Vec<T>::size;
  bool changes = false;
  int64_t i = 0;
  for (; i + 4 * L <= p.width; i += 4 * L) changes |= weigh_columns<T, 4>(p, i);
  for (; i < p.width; i += L) changes |= weigh_columns<T, 1>(p, i);
  return changes;
}

template <class T, int vectors>
LAZULITE_INLINE void slope_columns(const SlopesCall& p, int64_t first) {
  using V = Vec<T>;
  constexpr int L = V::size;
  T *scores = static_cast<T*>(p.scores) + first, *slopes = static_cast<T*>(p.slopes) + first;
  V end[vectors], mean[vectors], from[vectors], to[vectors];
  for (int j = 0; j < vectors; ++j) {
    end[j] = V::load(static_cast<const T*>(p.ends) + first + j * L);
    mean[j] = V::load(static_cast<const T*>(p.mean) + first + j * L);
    T low[L], high[L];
    for (int i = 0; i < L; ++i) {
      low[i] = p.low ? T(p.low[first + j * L + i]) : T(0);
      high[i] = p.low ? T(p.high[first + j * L + i]) : T(p.keys);
    }
    from[j] = V::load(low);
    to[j] = V::load(high);
  }
  const bool bounded = p.low;
  for (int64_t k = 0; k < p.keys; ++k, scores += p.width, slopes += p.width) {
    const V key{T(k)};
#pragma GCC unroll 4
    for (int j = 0; j < vectors; ++j) {
      V x = exp_or_zero(V::load(scores + j * L) - end[j]), y = V::load(slopes + j * L) - mean[j];
      if (bounded) {  // what is not seen has no part in anything
        const Mask<T> seen = (key >= from[j]) & (key < to[j]);
        x = select(seen, x, V(T(0)));
        y = select(seen, y, V(T(0)));
      }
      x.store(scores + j * L);
      (x * y).store(slopes + j * L);
    }
  }
}
template <class T>
void slope(const SlopesCall& p) {
  constexpr int L = Vec<T>::size;
  int64_t i = 0;
  for (; i + 4 * L <= p.width; i += 4 * L) slope_columns<T, 4>(p, i);
  for (; i < p.width; i += L) slope_columns<T, 1>(p, i);
}

// ---- a few queries

// Sums of each of as many vectors as there are lanes, one after the other.
template <class V, int count>
LAZULITE_INLINE V sums_of(V (&x)[count]) {
  constexpr auto lanes = std::make_integer_sequence<int, count>{};
  static_assert(count == V::size);
#pragma GCC unroll 4
  for (int m = count / 2; m > 0; m /= 2)
#pragma GCC unroll 8
    for (int i = 0; i < m; ++i)
      x[i] = V::from(simd::interleave<false>(x[i].v, x[i + m].v, lanes)) +
             V::from(simd::interleave<true>(x[i].v, x[i + m].v, lanes));
  return x[0];
}

// Rows of so many bytes are fetched ahead, into the second-level cache: the hardware does not
// follow several rows at the speed of memory by itself, and the first level holds too few open
// requests.
constexpr int64_t bytes_ahead = 32768;
// From a row to the one that is fetched beside it.
template <class M>
LAZULITE_INLINE int64_t ahead(int64_t row, int64_t n) {
  const int64_t bytes = n * int64_t(sizeof(M));
  return row * (bytes < bytes_ahead ? bytes_ahead / (bytes + 1) + 1 : 1);
}
template <class M>
LAZULITE_INLINE void fetch(const M* row, int64_t n) {
  for (int64_t i = 0; i < n; i += 64 / int64_t(sizeof(M))) __builtin_prefetch(row + i, 0, 2);
}

template <class E, int rows>
void few_scores_of(const FewScores& p) {
  using M = typename E::Memory;
  using T = typename E::Sum;
  using V = Vec<T>;
  constexpr int L = V::size, keys = L / rows;
  const T* q = static_cast<const T*>(p.queries);
  const int64_t next = ahead<M>(p.key_row, p.n);
  for (int64_t k = 0; k < p.count; k += keys) {
    const int64_t here = p.count - k < keys ? p.count - k : keys;
    const M* at[keys];
    V sum[L];  // by row, then by key
    for (int j = 0; j < keys; ++j)
      at[j] = static_cast<const M*>(p.keys) + (k + (j < here ? j : here - 1)) * p.key_row;
    for (int j = 0; j < keys; ++j) fetch(at[j] + next, p.n);
    for (int i = 0; i < L; ++i) sum[i] = V(T(0));
    auto add = [&](int64_t i, auto&& load) __attribute__((always_inline)) {
      V x[rows];
#pragma GCC unroll 4
      for (int r = 0; r < rows; ++r) x[r] = V::load(q + r * p.query_row + i);
#pragma GCC unroll 16
      for (int j = 0; j < keys; ++j) {
        const V y = load(at[j] + i);
#pragma GCC unroll 4
        for (int r = 0; r < rows; ++r)
          sum[r * keys + j] = multiply_add(x[r], y, sum[r * keys + j]);
      }
    };
    int64_t i = 0;
    for (; i + L <= p.n; i += L)
      add(i, [](const M* y) __attribute__((always_inline)) { return E::load(y); });
    if (const int64_t left = p.n - i; left > 0)
      add(i, [&](const M* y) __attribute__((always_inline)) { return load_part<E>(y, left); });
    T all[L];
    sums_of(sum).store(all);
    for (int r = 0; r < rows; ++r)
      std::memcpy(static_cast<T*>(p.scores) + r * p.row + k, all + r * keys,
                  size_t(here) * sizeof(T));
  }
}

template <class T>
bool few_weigh(const FewWeights& p) {
  using V = Vec<T>;
  constexpr int L = V::size;
  T lane[L];
  for (int i = 0; i < L; ++i) lane[i] = T(i);
  const V lanes = V::load(lane);
  bool changes = false;
  for (int r = 0; r < p.rows; ++r) {
    T* scores = static_cast<T*>(p.scores) + r * p.row;
    const V low(p.low ? T(p.low[r]) : T(0)), high(p.low ? T(p.high[r]) : T(p.count));
    V most(none<T>);
    for (int64_t k = 0; k < p.count; k += L) {
      const V key = lanes + V(T(k));
      const V x = select((key >= low) & (key < high), V::load(scores + k), V(none<T>));
      x.store(scores + k);
      most = max(x, most);
    }
    T each[L], *top = static_cast<T*>(p.top) + r, *sum = static_cast<T*>(p.sum) + r;
    most.store(each);
    T largest = each[0];
    for (int i = 1; i < L; ++i) largest = each[i] > largest ? each[i] : largest;
    if (!(largest > *top)) largest = *top;
    const V shift = finite(V(largest)), decay = exp_or_zero(V(*top) - shift);
    V all(T(0));
    for (int64_t k = 0; k < p.count; k += L) {
      const V x = exp_or_zero(V::load(scores + k) - shift);
      x.store(scores + k);
      all = all + x;
    }
    const T worth = decay[0];
    static_cast<T*>(p.decay)[r] = worth;
    changes |= worth != T(1);
    *sum = *sum * worth + total(all);
    *top = largest;
  }
  return changes;
}

template <class E, int rows, int vectors, bool partial>
LAZULITE_INLINE void few_values_of(const FewValues& p, int64_t first) {
  using M = typename E::Memory;
  using T = typename E::Sum;
  using V = Vec<T>;
  constexpr int L = V::size;
  const int64_t last = p.n - first - (vectors - 1) * L,  // lanes of the last vector
      next = ahead<M>(p.value_row, p.n);
  const M* y = static_cast<const M*>(p.values) + first;
  const T* weights = static_cast<const T*>(p.weights);
  T* out = static_cast<T*>(p.out) + first;
  V sum[rows][vectors];
#pragma GCC unroll 4
  for (int r = 0; r < rows; ++r)
#pragma GCC unroll 8
    for (int v = 0; v < vectors; ++v) {
      const T* at = out + r * p.n + v * L;
      sum[r][v] = !p.add                         ? V(T(0))
                  : partial && v + 1 == vectors ? load_part<Plain<T>>(at, last)
                                                : V::load(at);
    }
  for (int64_t k = 0; k < p.count; ++k, y += p.value_row) {
    fetch(y + next, vectors * L);
    V of_y[vectors];
#pragma GCC unroll 8
    for (int v = 0; v < vectors; ++v)
      of_y[v] = partial && v + 1 == vectors ? load_part<E>(y + v * L, last) : E::load(y + v * L);
#pragma GCC unroll 4
    for (int r = 0; r < rows; ++r) {
      const V x(weights[r * p.row + k]);
#pragma GCC unroll 8
      for (int v = 0; v < vectors; ++v) sum[r][v] = multiply_add(x, of_y[v], sum[r][v]);
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < rows; ++r)
#pragma GCC unroll 8
    for (int v = 0; v < vectors; ++v) {
      T* at = out + r * p.n + v * L;
      if (partial && v + 1 == vectors) {
        T some[L];
        sum[r][v].store(some);
        store_part<L>(some, at, last);
      } else {
        sum[r][v].store(at);
      }
    }
}
template <class E, int rows>
void few_values_for(const FewValues& p) {
  constexpr int L = Vec<typename E::Sum>::size;
  // Sums of four queries leave room for four vectors among 32 registers, for two among 16.
#if defined(LAZULITE_SIMD_AVX512)
  constexpr int wide = 4;
#else
  constexpr int wide = rows > 2 ? 2 : 4;
#endif
  int64_t i = 0;
  for (; i + wide * L <= p.n; i += wide * L) few_values_of<E, rows, wide, false>(p, i);
  for (; i + L <= p.n; i += L) few_values_of<E, rows, 1, false>(p, i);
  if (i < p.n) few_values_of<E, rows, 1, true>(p, i);
}

// Rows by fours, twos and ones.
template <class E>
void few_scores(const FewScores& given) {
  using T = typename E::Sum;
  constexpr int L = Vec<T>::size;
  FewScores p = given;
  for (int r = 0; r < given.rows;) {
    const int left = given.rows - r, rows = left >= 4 && L >= 4 ? 4 : left >= 2 ? 2 : 1;
    p.queries = static_cast<const T*>(given.queries) + r * p.query_row;
    p.scores = static_cast<T*>(given.scores) + r * p.row;
    if constexpr (L >= 4)
      if (rows == 4) few_scores_of<E, 4>(p);
    if (rows == 2) few_scores_of<E, 2>(p);
    if (rows == 1) few_scores_of<E, 1>(p);
    r += rows;
  }
}
template <class E>
void few_values(const FewValues& given) {
  using T = typename E::Sum;
  FewValues p = given;
  for (int r = 0; r < given.rows;) {
    const int left = given.rows - r, rows = left >= 4 ? 4 : left >= 2 ? 2 : 1;
    p.weights = static_cast<const T*>(given.weights) + r * p.row;
    p.out = static_cast<T*>(given.out) + r * p.n;
    (rows == 4 ? few_values_for<E, 4> : rows == 2 ? few_values_for<E, 2> : few_values_for<E, 1>)(p);
    r += rows;
  }
}

// ---- masks

template <class T>
struct Truth {
  using Memory = uint8_t;
  using Sum = T;
  static constexpr int group = 1;
  LAZULITE_INLINE static Vec<T> load(const uint8_t* p) {
    return simd::mask_bits<T>(simd::load_bool<T>(p));
  }
};

template <class E>
void mask(const MaskCall& p) {
  using M = typename E::Memory;
  using T = typename E::Sum;
  using V = Vec<T>;
  constexpr int L = V::size;
  const M* from = static_cast<const M*>(p.mask);
  auto with = [](V score, V m) __attribute__((always_inline)) {
    if constexpr (std::is_same_v<E, Truth<T>>)
      return select(Mask<T>((typename Mask<T>::raw)m.v), score, V(none<T>));
    else return score + m;
  };
  auto apply = [&](T* at, V m, int64_t n) __attribute__((always_inline)) {
    if (n >= L) return with(V::load(at), m).store(at);
    T part[L];
    with(load_part<Plain<T>>(at, n), m).store(part);
    store_part<L>(part, at, n);
  };
  for (int64_t c = 0; c < p.columns; c += L) {
    const int64_t wide = p.columns - c < L ? p.columns - c : L;
    T* scores = static_cast<T*>(p.scores) + c;
    if (p.key != 1 || p.column == 0) {
      if (p.column == 1 && wide == L) {
        for (int64_t k = 0; k < p.keys; ++k)
          apply(scores + k * p.width, E::load(from + k * p.key + c), L);
        continue;
      }
      M some[L] = {};
      for (int64_t k = 0; k < p.keys; ++k) {
        for (int i = 0; i < wide; ++i) some[i] = from[k * p.key + (c + i) * p.column];
        apply(scores + k * p.width, E::load(some), wide);
      }
      continue;
    }
    for (int64_t k = 0; k < p.keys; k += L) {
      const int64_t left = p.keys - k, count = left < L ? left : L;
      typename V::raw row[L];
      for (int i = 0; i < L; ++i) {
        if (i >= wide) {
          row[i] = V(T(0)).v;
          continue;
        }
        const M* at = from + (c + i) * p.column + k;
        M some[L] = {};
        if (left < L) std::memcpy(some, at, size_t(left) * sizeof(M));
        row[i] = E::load(left < L ? some : at).v;
      }
      simd::turn(row);
      for (int i = 0; i < count; ++i)
        apply(scores + (k + i) * p.width, V::from(row[i]), wide);
    }
  }
}

// ---- rows

template <class E>
void pack_times(const PackCall& p, double factor) {
  using T = typename E::Sum;
  pack<E>(p);
  T* to = static_cast<T*>(p.to);
  if (factor != 1)
    for (int64_t i = 0; i < p.steps * p.width; ++i) to[i] *= T(factor);
}

template <class E>
void widen(const WidenCall& p) {
  using M = typename E::Memory;
  using T = typename E::Sum;
  constexpr int L = Vec<T>::size;
  for (int64_t r = 0; r < p.rows; ++r) {
    const M* from = static_cast<const M*>(p.from) + r * p.row;
    T* to = static_cast<T*>(p.to) + r * p.to_row;
    int64_t i = 0;
    for (; i + L <= p.n; i += L) E::load(from + i).store(to + i);
    for (; i < p.n; ++i) to[i] = E::one(from[i]);
    for (; i < p.to_row; ++i) to[i] = T(0);
  }
}

template <class T>
void merge(const MergeCall& p) {
  using V = Vec<T>;
  constexpr int L = V::size;
  T *tops = static_cast<T*>(p.tops), *sums = static_cast<T*>(p.sums),
    *values = static_cast<T*>(p.values);
  for (int64_t c = 0; c < p.width; c += L) {
    V top = V::load(tops + c), sum(T(0));
    for (int64_t s = 1; s < p.parts; ++s) {
      const V other = V::load(tops + s * p.width + c);
      top = select(other != other, other, max(other, top));
    }
    const V shift = finite(top);
    for (int64_t s = 0; s < p.parts; ++s) {
      const V decay = exp_or_zero(V::load(tops + s * p.width + c) - shift);
      sum = sum + V::load(sums + s * p.width + c) * decay;
      decay.store(tops + s * p.width + c);
    }
    sum.store(sums + c);
    // What each part is worth lies where its sums were; those of part 0 where its tops are.
    for (int64_t s = 1; s < p.parts; ++s)
      V::load(tops + s * p.width + c).store(sums + s * p.width + c);
    T worth[L];
    V::load(tops + c).store(worth);
    for (int64_t r = c; r < p.count && r < c + L; ++r)
      for (int64_t i = 0; i < p.depth; ++i) {
        T x = values[r * p.depth + i] * worth[r - c];
        for (int64_t s = 1; s < p.parts; ++s)
          x += values[(s * p.count + r) * p.depth + i] * sums[s * p.width + r];
        values[r * p.depth + i] = x;
      }
    top.store(tops + c);
  }
}

template <class T>
void end(const void* top, void* sum, void* ends, int64_t width) {
  using V = Vec<T>;
  for (int64_t i = 0; i < width; i += V::size) {
    T* at = static_cast<T*>(sum) + i;
    const V x = V::load(at), zero(T(0));
    const auto nothing = x == zero;  // has weight: every score is -inf
    if (ends)
      select(nothing, zero, log(x) + finite(V::load(static_cast<const T*>(top) + i)))
          .store(static_cast<T*>(ends) + i);
    select(nothing, zero, V(T(1)) / x).store(at);
  }
}

template <class T>
void decay(void* rows, const void* by, int64_t count, int64_t n) {
  using V = Vec<T>;
  constexpr int L = V::size;
  for (int64_t r = 0; r < count; ++r) {
    T* row = static_cast<T*>(rows) + r * n;
    const T factor = static_cast<const T*>(by)[r];
    int64_t i = 0;
    for (; i + L <= n; i += L) (V::load(row + i) * V(factor)).store(row + i);
    for (; i < n; ++i) row[i] *= factor;
  }
}

template <class E>
LAZULITE_INLINE void store(Vec<typename E::Sum> v, typename E::Memory* at) {
  if constexpr (std::is_same_v<E, Halves<Half::f16>>) simd::store_half<Half::f16>(v, at);
  else if constexpr (std::is_same_v<E, Halves<Half::bf16>>) simd::store_half<Half::bf16>(v, at);
  else v.store(at);
}

template <class E>
void finish(const void* rows, const void* by, double factor, int64_t count, int64_t n, void* to) {
  using M = typename E::Memory;
  using T = typename E::Sum;
  using V = Vec<T>;
  constexpr int L = V::size;
  for (int64_t r = 0; r < count; ++r) {
    const T* row = static_cast<const T*>(rows) + r * n;
    M* out = static_cast<M*>(to) + r * n;
    const V f(by ? static_cast<const T*>(by)[r] : T(factor));
    int64_t i = 0;
    for (; i + L <= n; i += L) store<E>(V::load(row + i) * f, out + i);
    if (i == n) continue;
    M some[L];
    store<E>(load_part<Plain<T>>(row + i, n - i) * f, some);
    std::memcpy(out + i, some, size_t(n - i) * sizeof(M));
  }
}

template <class E>
void dot(const void* a, const void* b, int64_t n, void* to) {
  using M = typename E::Memory;
  using T = typename E::Sum;
  using V = Vec<T>;
  constexpr int L = V::size;
  const M *x = static_cast<const M*>(a), *y = static_cast<const M*>(b);
  V sum(T(0));
  int64_t i = 0;
  for (; i + L <= n; i += L) sum = sum + E::load(x + i) * E::load(y + i);
  if (i < n) sum = sum + load_part<E>(x + i, n - i) * load_part<E>(y + i, n - i);
  *static_cast<T*>(to) = total(sum);
}

// ---- rotary positions

// Lanes of two registers as one sequence: those of even and of odd places.
template <bool odd, class R, int... lane>
LAZULITE_INLINE R every_other(R a, R b, std::integer_sequence<int, lane...>) {
  return __builtin_shufflevector(a, b, (2 * lane + int(odd))...);
}

template <class E, bool neighbours>
void rotate_as(const RotateCall& p) {
  using M = typename E::Memory;
  using T = typename E::Sum;
  using V = Vec<T>;
  constexpr int L = V::size;
  constexpr auto lanes = std::make_integer_sequence<int, L>{};
  const M* x = static_cast<const M*>(p.x);
  const T *cos = static_cast<const T*>(p.cos), *sin = static_cast<const T*>(p.sin);
  M* out = static_cast<M*>(p.out);
  const V sign(p.back ? T(-1) : T(1));
  auto turn = [&](V a, V b, V c, V s, V& first, V& second) __attribute__((always_inline)) {
    s = s * sign;
    first = a * c - b * s;
    second = a * s + b * c;
  };
  int64_t i = 0;
  V first, second;
  for (; i + L <= p.pairs; i += L) {
    const V c = V::load(cos + i), s = V::load(sin + i);
    if constexpr (neighbours) {
      const V a = E::load(x + 2 * i), b = E::load(x + 2 * i + L);
      turn(V::from(every_other<false>(a.v, b.v, lanes)),
           V::from(every_other<true>(a.v, b.v, lanes)), c, s, first, second);
      store<E>(V::from(simd::interleave<false>(first.v, second.v, lanes)), out + 2 * i);
      store<E>(V::from(simd::interleave<true>(first.v, second.v, lanes)), out + 2 * i + L);
    } else {
      turn(E::load(x + i), E::load(x + p.pairs + i), c, s, first, second);
      store<E>(first, out + i);
      store<E>(second, out + p.pairs + i);
    }
  }
  for (; i < p.pairs; ++i) {  // one by one, by the same operations
    const int64_t at = neighbours ? 2 * i : i, other = neighbours ? 2 * i + 1 : p.pairs + i;
    M some[L];
    turn(V(E::one(x[at])), V(E::one(x[other])), V(cos[i]), V(sin[i]), first, second);
    store<E>(first, some);
    out[at] = some[0];
    store<E>(second, some);
    out[other] = some[0];
  }
  if (out != x)
    std::memmove(out + 2 * p.pairs, x + 2 * p.pairs, size_t(p.length - 2 * p.pairs) * sizeof(M));
}
template <class E>
void rotate(const RotateCall& p) {
  (p.neighbours ? rotate_as<E, true> : rotate_as<E, false>)(p);
}

template <class E>
constexpr AttentionKernels kernels() {
  using T = typename E::Sum;
  return {.lanes = Vec<T>::size,
          .weigh = weigh<T>,
          .slope = slope<T>,
          .few_scores = few_scores<E>,
          .few_weigh = few_weigh<T>,
          .few_values = few_values<E>,
          .mask = mask<E>,
          .choose = mask<Truth<T>>,
          .pack = pack_times<E>,
          .widen = widen<E>,
          .merge = merge<T>,
          .end = end<T>,
          .decay = decay<T>,
          .finish = finish<E>,
          .dot = dot<E>,
          .rotate = rotate<E>};
}
constexpr AttentionTable make_table() {
  AttentionTable table{};
  table.of[int(Dtype::float32)] = kernels<Plain<float>>();
  table.of[int(Dtype::float64)] = kernels<Plain<double>>();
  table.of[int(Dtype::float16)] = kernels<Halves<Half::f16>>();
  table.of[int(Dtype::bfloat16)] = kernels<Halves<Half::bf16>>();
  return table;
}
constexpr AttentionTable table = make_table();

}  // namespace

const AttentionTable& LAZULITE_AT_LEVEL(attention_kernels)();
const AttentionTable& LAZULITE_AT_LEVEL(attention_kernels)() { return table; }

}  // namespace lazulite::engine
