// Sliding sums of products and butterflies, per instruction-set level.
#include "device/cpu/level.h"
#include "engine/signal/kernels.h"
#include "simd/vec.h"

namespace lazulite {
namespace {

using simd::Vec;

// ---- sums of products at each place
// ------------------------------------------------------------

constexpr int64_t block_of_terms = 256;  // added up before they join the sum

// `count` vectors of neighbouring places.
template <int count, class T>
LAZULITE_INLINE void places(const T* x, const T* w, int64_t m, T* out, int64_t n) {
  using V = Vec<T>;
  V sum[count];
  for (int v = 0; v < count; ++v) sum[v] = V(T(0));
  for (int64_t from = 0; from < m; from += block_of_terms) {
    const int64_t end = from + block_of_terms < m ? from + block_of_terms : m;
    V part[count];
    for (int v = 0; v < count; ++v) part[v] = V(T(0));
    for (int64_t j = from; j < end; ++j) {
      const V factor(w[j]);
      for (int v = 0; v < count; ++v) part[v] += V::load(x + j + v * V::size) * factor;
    }
    for (int v = 0; v < count; ++v) sum[v] += part[v];
  }
  if (n == count * V::size) {
    for (int v = 0; v < count; ++v) sum[v].store(out + v * V::size);
    return;
  }
  T room[count * V::size];
  for (int v = 0; v < count; ++v) sum[v].store(room + v * V::size);
  for (int64_t i = 0; i < n; ++i) out[i] = room[i];
}
template <class T>
void correlate(const void* x_data, const void* w_data, int64_t m, int64_t n, void* out_data) {
  constexpr int64_t size = Vec<T>::size;
  const T *x = static_cast<const T*>(x_data), *w = static_cast<const T*>(w_data);
  T* out = static_cast<T*>(out_data);
  int64_t i = 0;
  for (; i + 4 * size <= n; i += 4 * size) places<4>(x + i, w, m, out + i, 4 * size);
  for (; i < n; i += size) places<1>(x + i, w, m, out + i, n - i < size ? n - i : size);
}
static_assert(Vec<uint8_t>::size < correlate_room);

// ---- butterflies
// -------------------------------------------------------------------------------

// The neighbours at a distance within a vector, and the sign of each element's own part.
template <class V, int... i>
LAZULITE_INLINE V exchanged(V a, int apart, std::integer_sequence<int, i...>) {
  switch (apart) {
    case 1: return V::from(__builtin_shufflevector(a.v, a.v, (i ^ 1)...));
    case 2: return V::from(__builtin_shufflevector(a.v, a.v, (i ^ 2) % V::size...));
    case 4: return V::from(__builtin_shufflevector(a.v, a.v, (i ^ 4) % V::size...));
    default: return V::from(__builtin_shufflevector(a.v, a.v, (i ^ 8) % V::size...));
  }
}
template <class T>
struct Signs {
  T of[4][Vec<T>::size];  // of distances 1, 2, 4, 8
  constexpr Signs() : of() {
    for (int k = 0; k < 4; ++k)
      for (int i = 0; i < Vec<T>::size; ++i) of[k][i] = i >> k & 1 ? T(-1) : T(1);
  }
};
template <class T>
LAZULITE_INLINE Vec<T> within(Vec<T> a, int64_t size, const Signs<T>& signs) {
  using V = Vec<T>;
  constexpr auto all = std::make_integer_sequence<int, V::size>();
  if (size > 1) a = a * V::load(signs.of[0]) + exchanged(a, 1, all);
  if constexpr (V::size > 2)
    if (size > 2) a = a * V::load(signs.of[1]) + exchanged(a, 2, all);
  if constexpr (V::size > 4)
    if (size > 4) a = a * V::load(signs.of[2]) + exchanged(a, 4, all);
  if constexpr (V::size > 8)
    if (size > 8) a = a * V::load(signs.of[3]) + exchanged(a, 8, all);
  return a;
}

// x[i] and x[i + apart] become their sum and difference; then those at twice the distance.
template <class T>
void step(void* data, int64_t apart, bool both, int64_t n) {
  using V = Vec<T>;
  T* x = static_cast<T*>(data);
  int64_t i = 0;
  for (; i + V::size <= n; i += V::size) {
    const V a = V::load(x + i), b = V::load(x + i + apart);
    if (!both) {
      (a + b).store(x + i);
      (a - b).store(x + i + apart);
      continue;
    }
    const V c = V::load(x + i + 2 * apart), d = V::load(x + i + 3 * apart);
    const V ab = a + b, a_b = a - b, cd = c + d, c_d = c - d;
    (ab + cd).store(x + i);
    (a_b + c_d).store(x + i + apart);
    (ab - cd).store(x + i + 2 * apart);
    (a_b - c_d).store(x + i + 3 * apart);
  }
}
template <class T>
void butterflies(void* data, int64_t size, int64_t lines) {
  using V = Vec<T>;
  constexpr Signs<T> signs;
  T* x = static_cast<T*>(data);
  const int64_t n = size * lines;
  int64_t i = 0;
  for (; i + V::size <= n; i += V::size) within(V::load(x + i), size, signs).store(x + i);
  if (i < n) {  // lines end where elements do, so that what is beyond meets none of them
    T room[V::size] = {};
    for (int64_t k = i; k < n; ++k) room[k - i] = x[k];
    within(V::load(room), size, signs).store(room);
    for (int64_t k = i; k < n; ++k) x[k] = room[k - i];
  }
  for (int64_t line = 0; line < lines && size > V::size; ++line)
    for (int64_t apart = V::size; apart < size;) {
      const bool both = 2 * apart < size;
      const int64_t span = apart * (both ? 4 : 2);
      for (int64_t from = 0; from < size; from += span)
        step<T>(x + line * size + from, apart, both, apart);
      apart = span;
    }
}
template <class T>
void mix(void* data, const int8_t* signs, int64_t count, int64_t apart, int64_t n, double scale) {
  using V = Vec<T>;
  T* x = static_cast<T*>(data);
  T factors[most_mixed * most_mixed];
  for (int64_t k = 0; k < count * count; ++k) factors[k] = T(signs[k]);
  int64_t i = 0;
  for (; i + V::size <= n; i += V::size) {
    V column[most_mixed];
    for (int64_t j = 0; j < count; ++j) column[j] = V::load(x + j * apart + i);
    for (int64_t r = 0; r < count; ++r) {
      V sum = column[0] * V(factors[r * count]);
      for (int64_t j = 1; j < count; ++j) sum += column[j] * V(factors[r * count + j]);
      (sum * V(T(scale))).store(x + r * apart + i);
    }
  }
  for (; i < n; ++i) {
    T column[most_mixed];
    for (int64_t j = 0; j < count; ++j) column[j] = x[j * apart + i];
    for (int64_t r = 0; r < count; ++r) {
      T sum = column[0] * factors[r * count];
      for (int64_t j = 1; j < count; ++j) sum += column[j] * factors[r * count + j];
      x[r * apart + i] = sum * T(scale);
    }
  }
}

constexpr SignalKernels make_table() {
  SignalKernels table{};
  table.correlate[int(Dtype::uint8)] = table.correlate[int(Dtype::int8)] = correlate<uint8_t>;
  table.correlate[int(Dtype::uint16)] = table.correlate[int(Dtype::int16)] = correlate<uint16_t>;
  table.correlate[int(Dtype::uint32)] = table.correlate[int(Dtype::int32)] = correlate<uint32_t>;
  table.correlate[int(Dtype::uint64)] = table.correlate[int(Dtype::int64)] = correlate<uint64_t>;
  table.correlate[int(Dtype::float32)] = correlate<float>;
  table.correlate[int(Dtype::float64)] = correlate<double>;
  table.butterflies[0] = butterflies<float>;
  table.butterflies[1] = butterflies<double>;
  table.step[0] = step<float>;
  table.step[1] = step<double>;
  table.mix[0] = mix<float>;
  table.mix[1] = mix<double>;
  return table;
}
constexpr SignalKernels table = make_table();

}  // namespace

const SignalKernels& LAZULITE_AT_LEVEL(signal_kernels)();
const SignalKernels& LAZULITE_AT_LEVEL(signal_kernels)() { return table; }

}  // namespace lazulite
