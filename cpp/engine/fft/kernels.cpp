// Transforms side by side in the lanes of vectors, by decimation in time: elements are loaded where
// the radices want them, each step works in place, and the result lies in order.
#include "engine/fft/kernels.h"

#include "device/cpu/level.h"
#include "engine/fft/butterflies.h"
#include "simd/turn.h"

namespace lazulite::engine {
namespace {

using simd::Vec;

template <class T>
struct Lanes {
  using V = Vec<T>;
  static constexpr int W = V::size;

  // ---- scratch: element i has W real parts, then W imaginary ones
  LAZULITE_INLINE static Cx<V> get(const T* s, int64_t i) {
    return {V::load(s + i * 2 * W), V::load(s + i * 2 * W + W)};
  }
  LAZULITE_INLINE static void put(T* s, int64_t i, Cx<V> v) {
    v.re.store(s + i * 2 * W);
    v.im.store(s + i * 2 * W + W);
  }

  // ---- steps

  template <int R, bool turns>
  LAZULITE_INLINE static void butterfly(T* at, int64_t apart, const T* w) {
    Cx<V> x[R];
    x[0] = get(at, 0);
#pragma GCC unroll 16
    for (int q = 1; q < R; ++q) {
      x[q] = get(at, q * apart);
      if constexpr (turns) x[q] = x[q] * Cx<V>{V(w[2 * q - 2]), V(w[2 * q - 1])};
    }
    Butterfly<R, V>::run(x);
#pragma GCC unroll 16
    for (int q = 0; q < R; ++q) put(at, q * apart, x[q]);
  }
  // `parts` parts of R * m elements; the R pieces of one lie `apart`.
  template <int R>
  static void step(T* s, int64_t parts, int64_t m, int64_t apart, const T* w, const T*, int) {
    for (int64_t b = 0; b < parts; ++b, s += R * m * 2 * W) {
      butterfly<R, false>(s, apart, nullptr);
      for (int64_t j = 1; j < m; ++j)
        butterfly<R, true>(s + j * 2 * W, apart, w + j * 2 * (R - 1));
    }
  }
  // Any odd prime.
  static void step_of_prime(T* s, int64_t parts, int64_t m, int64_t apart, const T* w,
                            const T* circle, int R) {
    const int H = R / 2;
    Cx<V> t[largest_prime / 2 + 1], d[largest_prime / 2 + 1];
    for (int64_t b = 0; b < parts; ++b, s += R * m * 2 * W)
      for (int64_t j = 0; j < m; ++j) {
        T* const at = s + j * 2 * W;
        const T* const turn = w + j * 2 * (R - 1);
        auto element = [&](int q) {
          return get(at, q * apart) * Cx<V>{V(turn[2 * q - 2]), V(turn[2 * q - 1])};
        };
        const Cx<V> first = get(at, 0);
        Cx<V> sum = first;
        for (int k = 1; k <= H; ++k) {
          const Cx<V> a = element(k), z = element(R - k);
          t[k] = a + z;
          d[k] = a - z;
          sum = sum + t[k];
        }
        put(at, 0, sum);
        for (int p = 1; p <= H; ++p) {
          Cx<V> a = first, z{V(0), V(0)};
          int at_circle = 0;
          for (int k = 1; k <= H; ++k) {
            at_circle += p;
            if (at_circle >= R) at_circle -= R;
            a = a + t[k] * V(circle[2 * at_circle]);
            z = z + d[k] * V(circle[2 * at_circle + 1]);
          }
          put(at, p * apart, {a.re + z.im, a.im - z.re});
          put(at, (R - p) * apart, {a.re - z.im, a.im + z.re});
        }
      }
  }
  static void take_step(const Radices& r, int i, T* s, int64_t parts) {
    const int64_t m = i ? r.size[i - 1] : 1;
    const int64_t apart = i && i == r.steps - 1 ? m + 1 : m;  // of the last step: see `place`
    const T* const w = static_cast<const T*>(r.twiddles[i]);
    switch (r.radix[i]) {
      case 2: return step<2>(s, parts, m, apart, w, nullptr, 2);
      case 3: return step<3>(s, parts, m, apart, w, nullptr, 3);
      case 4: return step<4>(s, parts, m, apart, w, nullptr, 4);
      case 5: return step<5>(s, parts, m, apart, w, nullptr, 5);
      case 7: return step<7>(s, parts, m, apart, w, nullptr, 7);
      case 8: return step<8>(s, parts, m, apart, w, nullptr, 8);
      case 16: return step<16>(s, parts, m, apart, w, nullptr, 16);
      default:
        return step_of_prime(s, parts, m, apart, w, static_cast<const T*>(r.circle[i]),
                             r.radix[i]);
    }
  }
  // All steps to i. Parts that fit the first-level cache go through all of theirs at a time.
  static void take_steps(const Radices& r, int i, T* s) {
    const int64_t size = r.size[i];
    if (size * 2 * int64_t(sizeof(V)) > 24 << 10 && i > 0) {
      const int64_t m = r.size[i - 1], apart = i == r.steps - 1 ? m + 1 : m;
      for (int q = 0; q < r.radix[i]; ++q) take_steps(r, i - 1, s + q * apart * 2 * W);
      return take_step(r, i, s, 1);
    }
    if (i == r.steps - 1 && i > 0) {  // its pieces lie further apart
      const int64_t m = r.size[i - 1];
      for (int q = 0; q < r.radix[i]; ++q)
        for (int k = 0; k < i; ++k) take_step(r, k, s + q * (m + 1) * 2 * W, m / r.size[k]);
      return take_step(r, i, s, 1);
    }
    for (int k = 0; k <= i; ++k) take_step(r, k, s, size / r.size[k]);
  }

  // The lines of a column lie pages apart, where no hardware fetches ahead.
  static constexpr int64_t ahead = 16;
  template <bool writes>
  LAZULITE_INLINE static void fetch(const T* at) {
    __builtin_prefetch(at, writes);
    if constexpr (W * 2 * sizeof(T) > 64)
      __builtin_prefetch(reinterpret_cast<const char*>(at) + 64, writes);
  }

  // ---- loads

  static void clear(T* s, int64_t i) { put(s, i, {V(0), V(0)}); }

  // slot(e): the vector of scratch for number e of each line, 0 <= e < count.
  template <class Slot>
  LAZULITE_INLINE static void load_rows(const Group& g, int64_t count, Slot slot) {
    const T* const in = static_cast<const T*>(g.in);
    T* const s = static_cast<T*>(g.scratch);
    int64_t e = 0;
    for (; e + W <= count; e += W) {
      typename V::raw row[W];
#pragma GCC unroll 16
      for (int l = 0; l < W; ++l)
        row[l] = l < g.lanes ? V::load(in + g.in_at[l] + e).v : V(0).v;
      simd::turn(row);
#pragma GCC unroll 16
      for (int i = 0; i < W; ++i) V::from(row[i]).store(s + slot(e + i) * W);
    }
    for (; e < count; ++e) {
      T* const to = s + slot(e) * W;
      for (int l = 0; l < W; ++l) to[l] = l < g.lanes ? in[g.in_at[l] + e] : T(0);
    }
  }
  static bool side_by_side(const int64_t* at, int lanes, int64_t by) {
    if (lanes < W) return false;
    for (int l = 1; l < W; ++l)
      if (at[l] - at[0] != l * by) return false;
    return true;
  }
  // Numbers e at offset(e) in each line.
  template <class Offset, class Slot>
  LAZULITE_INLINE static void load_numbers(const Group& g, int64_t count, Offset offset,
                                           Slot slot) {
    const T* const in = static_cast<const T*>(g.in);
    T* const s = static_cast<T*>(g.scratch);
    if (side_by_side(g.in_at, g.lanes, 1)) {
      for (int64_t e = 0; e < count; ++e)
        V::load(in + g.in_at[0] + offset(e)).store(s + slot(e) * W);
      return;
    }
    for (int64_t e = 0; e < count; ++e) {
      T* const to = s + slot(e) * W;
      const T* const from = in + offset(e);
      for (int l = 0; l < W; ++l) to[l] = l < g.lanes ? from[g.in_at[l]] : T(0);
    }
  }
  // Complex elements i < count to element to(i) of scratch; with `swap` their parts are exchanged.
  template <class To>
  LAZULITE_INLINE static void load_complex(const Group& g, int64_t count, int swap, To to) {
    auto slot = [&](int64_t e) { return 2 * int64_t(to(e >> 1)) + ((e & 1) ^ swap); };
    if (g.in_step == 2) return load_rows(g, 2 * count, slot);
    if (side_by_side(g.in_at, g.lanes, 2)) {
      const T* const in = static_cast<const T*>(g.in) + g.in_at[0];
      T* const s = static_cast<T*>(g.scratch);
      for (int64_t i = 0; i < count; ++i) {
        fetch<false>(in + (i + ahead < count ? i + ahead : i) * g.in_step);
        const Cx<V> v =
            Cx<V>::load(reinterpret_cast<const typename Cx<V>::scalar*>(in + i * g.in_step));
        put(s, to(i), swap ? Cx<V>{v.im, v.re} : v);
      }
      return;
    }
    load_numbers(g, 2 * count, [&](int64_t e) { return (e >> 1) * g.in_step + (e & 1); }, slot);
  }

  static void load(const Group& g) {
    const Radices& r = *g.radices;
    T* const s = static_cast<T*>(g.scratch);
    const int swap = g.inverse;
    const int32_t* const from = r.from;
    switch (g.from) {
      case Ends::complex:
        load_complex(g, g.in_count, swap, [=](int64_t i) { return from[i]; });
        for (int64_t i = g.in_count; i < r.n; ++i) clear(s, from[i]);
        break;
      case Ends::packed: {
        for (int64_t i = g.in_count / 2; i < r.n; ++i) clear(s, from[i]);
        auto slot = [=](int64_t e) { return 2 * int64_t(from[e >> 1]) + ((e & 1) ^ swap); };
        if (g.in_step == 1) load_rows(g, g.in_count, slot);
        else load_numbers(g, g.in_count, [&](int64_t e) { return e * g.in_step; }, slot);
        break;
      }
      case Ends::real: {
        for (int64_t i = 0; i < r.n; ++i) clear(s, from[i]);
        auto slot = [=](int64_t e) { return 2 * int64_t(from[e]) + swap; };
        if (g.in_step == 1) load_rows(g, g.in_count, slot);
        else load_numbers(g, g.in_count, [&](int64_t e) { return e * g.in_step; }, slot);
        break;
      }
      case Ends::even_half:  // parts are exchanged by join_halves
        load_complex(g, g.in_count, 0, [=](int64_t i) { return from[i]; });
        for (int64_t i = g.in_count; i <= r.n; ++i) clear(s, from[i]);
        join_halves(r, s);
        break;
      case Ends::odd_half:
        load_complex(g, g.in_count, 1, [=](int64_t i) { return from[i]; });
        for (int64_t i = g.in_count; i <= r.n / 2; ++i) clear(s, from[i]);
        put(s, from[0], {V(0), get(s, from[0]).im});
        for (int64_t i = 1; i <= r.n / 2; ++i) {
          const Cx<V> v = get(s, from[i]);  // parts exchanged: the conjugate negates re
          put(s, from[r.n - i], {-v.re, v.im});
        }
        break;
    }
  }

  // ---- real transforms of 2n by complex ones of n: Z = FFT(x[2j] + i x[2j + 1])

  // X[k] = (Z[k] + conj Z[n-k]) / 2 - i w^k (Z[k] - conj Z[n-k]) / 2, in place; X[n] beyond.
  static void split_halves(const Radices& r, T* s) {
    const V half = simd::K<V>(0.5);
    const T* const w = static_cast<const T*>(r.halves);
    const Cx<V> zero = get(s, r.place[0]);
    put(s, r.place[0], {zero.re + zero.im, V(0)});
    put(s, r.place[r.n], {zero.re - zero.im, V(0)});
    for (int64_t k = 1; k <= r.n - k; ++k) {
      const Cx<V> a = get(s, r.place[k]), b = get(s, r.place[r.n - k]);
      const Cx<V> even{(a.re + b.re) * half, (a.im - b.im) * half},
          odd{(a.im + b.im) * half, (b.re - a.re) * half};
      const Cx<V> t = odd * Cx<V>{V(w[2 * k]), V(w[2 * k + 1])};
      put(s, r.place[r.n - k], {even.re - t.re, t.im - even.im});
      put(s, r.place[k], even + t);
    }
  }
  // The way back, before the steps: Z[k] = E + i O, E = X[k] + conj X[n-k], O = conj(w^k) (X[k] -
  // conj X[n-k]); with parts exchanged.
  static void join_halves(const Radices& r, T* s) {
    const T* const w = static_cast<const T*>(r.halves);
    const V first = get(s, r.from[0]).re, last = get(s, r.from[r.n]).re;
    put(s, r.from[0], {first - last, first + last});
    for (int64_t k = 1; k <= r.n - k; ++k) {
      const Cx<V> a = get(s, r.from[k]), b = get(s, r.from[r.n - k]);
      const Cx<V> even{a.re + b.re, a.im - b.im}, rest{a.re - b.re, a.im + b.im};
      const Cx<V> odd = rest * Cx<V>{V(w[2 * k]), -V(w[2 * k + 1])};
      put(s, r.from[r.n - k], {odd.re - even.im, even.re + odd.im});
      put(s, r.from[k], {even.im + odd.re, even.re - odd.im});
    }
  }

  // ---- stores

  // number(e): vector e of the result, e < count, to out + offset(e) in each line.
  template <class Number, class Offset>
  LAZULITE_INLINE static void store_numbers(const Group& g, int64_t count, bool rows, Number number,
                                            Offset offset) {
    T* const out = static_cast<T*>(g.out);
    int64_t e = 0;
    if (rows) {
      for (; e + W <= count; e += W) {
        typename V::raw row[W];
#pragma GCC unroll 16
        for (int i = 0; i < W; ++i) row[i] = number(e + i).v;
        simd::turn(row);
#pragma GCC unroll 16
        for (int l = 0; l < W; ++l)
          if (l < g.lanes) V::from(row[l]).store(out + g.out_at[l] + e);
      }
    } else if (side_by_side(g.out_at, g.lanes, 1)) {
      for (; e < count; ++e) number(e).store(out + g.out_at[0] + offset(e));
    }
    for (; e < count; ++e) {
      T one[W];
      number(e).store(one);
      for (int l = 0; l < g.lanes; ++l) out[g.out_at[l] + offset(e)] = one[l];
    }
  }

  static void store(const Group& g) {
    const Radices& r = *g.radices;
    T* const s = static_cast<T*>(g.scratch);
    const int32_t* const place = r.place;
    const V scale{T(g.scale)};
    const int swap = g.swap_out;
    if (g.to == Ends::real) {
      auto number = [&](int64_t e) {
        return V::load(s + (2 * int64_t(place[e]) + swap) * W) * scale;
      };
      return store_numbers(g, g.out_count, g.out_step == 1, number,
                           [&](int64_t e) { return e * g.out_step; });
    }
    auto number = [&](int64_t e) {
      return V::load(s + (2 * int64_t(place[e >> 1]) + ((e & 1) ^ swap)) * W) * scale;
    };
    if (g.to == Ends::packed)
      return store_numbers(g, g.out_count, g.out_step == 1, number,
                           [&](int64_t e) { return e * g.out_step; });
    if (g.out_step != 2 && side_by_side(g.out_at, g.lanes, 2)) {
      T* const out = static_cast<T*>(g.out) + g.out_at[0];
      for (int64_t i = 0; i < g.out_count; ++i) {
        fetch<true>(out + (i + ahead < g.out_count ? i + ahead : i) * g.out_step);
        const Cx<V> v = get(s, place[i]) * scale;
        (swap ? Cx<V>{v.im, v.re} : v)
            .store(reinterpret_cast<typename Cx<V>::scalar*>(out + i * g.out_step));
      }
      return;
    }
    store_numbers(g, 2 * g.out_count, g.out_step == 2, number,
                  [&](int64_t e) { return (e >> 1) * g.out_step + (e & 1); });
  }

  static void turn_between(const Group& g) {
    const Radices& r = *g.radices;
    T* const s = static_cast<T*>(g.scratch);
    const T* const fine = static_cast<const T*>(g.fine);
    const T* const coarse = static_cast<const T*>(g.coarse);
    for (int64_t k = 0; k < r.n; ++k) {
      const Cx<V> w = Cx<V>{V::load(fine + k * 2 * most_lanes),
                            V::load(fine + k * 2 * most_lanes + most_lanes)} *
                      Cx<V>{V(coarse[2 * k]), V(coarse[2 * k + 1])};
      put(s, r.place[k], get(s, r.place[k]) * w);
    }
  }

  static void run(const Group& g) {
    T* const s = static_cast<T*>(g.scratch);
    load(g);
    if (g.radices->steps) take_steps(*g.radices, g.radices->steps - 1, s);
    if (g.fine) turn_between(g);
    if (g.to == Ends::even_half) split_halves(*g.radices, s);
    store(g);
  }

  static void multiply(const void* a, const void* b, bool conj_b, double scale, int64_t n,
                       void* to) {
    using P = typename Cx<V>::scalar;
    const P* const x = static_cast<const P*>(a);
    const P* const y = static_cast<const P*>(b);
    P* const out = static_cast<P*>(to);
    const V by{T(scale)}, sign{T(conj_b ? -1 : 1)};
    auto some = [&](const P* p, const P* q, P* r) {
      const Cx<V> u = Cx<V>::load(p), v = Cx<V>::load(q);
      (u * Cx<V>{v.re, v.im * sign} * by).store(r);
    };
    int64_t i = 0;
    for (; i + W <= n; i += W) some(x + i, y + i, out + i);
    if (i == n) return;
    P left[W] = {}, right[W] = {}, last[W];
    for (int64_t k = 0; k < n - i; ++k) left[k] = x[i + k], right[k] = y[i + k];
    some(left, right, last);
    for (int64_t k = 0; k < n - i; ++k) out[i + k] = last[k];
  }

  static constexpr FourierKernels kernels{W, run, multiply};
};

constexpr FourierTables tables{{Lanes<float>::kernels, Lanes<double>::kernels}};

}  // namespace

const FourierTables& LAZULITE_AT_LEVEL(fourier_kernels)();
const FourierTables& LAZULITE_AT_LEVEL(fourier_kernels)() { return tables; }

}  // namespace lazulite::engine
