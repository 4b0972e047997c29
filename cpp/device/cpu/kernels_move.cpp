// Strided elements moved in vectors, per instruction-set level: squares of a matrix turned in
// registers, rows reversed, every second element, rows that lie apart.
#include "device/cpu/level.h"
#include "device/cpu/move.h"
#include "simd/turn.h"

namespace lazulite::cpu {
namespace {

template <class T>
LAZULITE_INLINE void move_one(T* to, const T* from) { std::memcpy(to, from, sizeof(T)); }
template <class T>
LAZULITE_INLINE T one(const T* from) {
  T x;
  std::memcpy(&x, from, sizeof(T));
  return x;
}

// A square of L x L elements; its rows are native registers, or less where L of those would not
// fit.
template <class T, int L>
void turn_square(T* to, int64_t to_step, const T* from, int64_t from_step) {
  typedef T Row __attribute__((vector_size(L * sizeof(T))));
  Row row[L];
  for (int i = 0; i < L; ++i) std::memcpy(&row[i], from + i * from_step, sizeof(Row));
  simd::turn(row);
  for (int i = 0; i < L; ++i) std::memcpy(to + i * to_step, &row[i], sizeof(Row));
}

template <class T, int size>
void turn(void* out, int64_t to_step, const void* in, int64_t from_step, int64_t rows,
          int64_t columns) {
  T* to = static_cast<T*>(out);
  const T* from = static_cast<const T*>(in);
  int64_t i = 0;
  for (; i + size <= rows; i += size) {
    int64_t k = 0;
    for (; k + size <= columns; k += size)
      turn_square<T, size>(to + i * to_step + k, to_step, from + k * from_step + i, from_step);
    if constexpr (constexpr int half = size / 2; half >= 4)
      for (; k + half <= columns; k += half)
        for (int64_t j = i; j < i + size; j += half)
          turn_square<T, half>(to + j * to_step + k, to_step, from + k * from_step + j, from_step);
    for (; k < columns; ++k)
      for (int64_t j = i; j < i + size; ++j)
        move_one(to + j * to_step + k, from + k * from_step + j);
  }
  for (; i < rows; ++i)
    for (int64_t k = 0; k < columns; ++k) move_one(to + i * to_step + k, from + k * from_step + i);
}

// to[i] = from[-i]
template <class T, int... lane>
LAZULITE_INLINE simd::Vec<T> backwards(simd::Vec<T> a, std::integer_sequence<int, lane...>) {
  return simd::Vec<T>::from(
      __builtin_shufflevector(a.v, a.v, (int(sizeof...(lane)) - 1 - lane)...));
}
template <class T>
void reverse(void* out, const void* in, int64_t n) {
  using V = simd::Vec<T>;
  T* to = static_cast<T*>(out);
  const T* from = static_cast<const T*>(in);
  int64_t i = 0;
  for (; i + V::size <= n; i += V::size)
    backwards(V::load(from - i - (V::size - 1)), std::make_integer_sequence<int, V::size>{})
        .store(to + i);
  for (; i < n; ++i) move_one(to + i, from - i);
}

// to[i] = from[2 * i]
template <class T, int... lane>
LAZULITE_INLINE simd::Vec<T> even(simd::Vec<T> a, simd::Vec<T> b,
                                  std::integer_sequence<int, lane...>) {
  return simd::Vec<T>::from(__builtin_shufflevector(a.v, b.v, (2 * lane)...));
}
// The last ones, of which the second vector begins an element earlier: none behind them is read.
template <class T, int... lane>
LAZULITE_INLINE simd::Vec<T> even_to_end(simd::Vec<T> a, simd::Vec<T> b,
                                         std::integer_sequence<int, lane...>) {
  constexpr int size = sizeof...(lane);
  return simd::Vec<T>::from(
      __builtin_shufflevector(a.v, b.v, (2 * lane + (2 * lane < size ? 0 : 1))...));
}
template <class T>
void halve(void* out, const void* in, int64_t n) {
  using V = simd::Vec<T>;
  T* to = static_cast<T*>(out);
  const T* from = static_cast<const T*>(in);
  auto vector = [&](int64_t i) {
    return even(V::load(from + 2 * i), V::load(from + 2 * i + V::size),
                std::make_integer_sequence<int, V::size>{});
  };
  int64_t i = 0;
  for (; i + 4 * V::size < n; i += 4 * V::size) {  // an element behind the last may be no memory
    const V a = vector(i), b = vector(i + V::size), c = vector(i + 2 * V::size),
            d = vector(i + 3 * V::size);
    a.store(to + i);
    b.store(to + i + V::size);
    c.store(to + i + 2 * V::size);
    d.store(to + i + 3 * V::size);
  }
  for (; i + V::size < n; i += V::size) vector(i).store(to + i);
  if (n < V::size) {
    for (; i < n; ++i) move_one(to + i, from + 2 * i);
    return;
  }
  i = n - V::size;
  even_to_end(V::load(from + 2 * i), V::load(from + 2 * i + V::size - 1),
              std::make_integer_sequence<int, V::size>{})
      .store(to + i);
}

// to[2 * i] = from[i]; what lies between stays.
template <class T, bool second, int... lane>
LAZULITE_INLINE simd::Vec<T> between(simd::Vec<T> a, simd::Vec<T> old,
                                     std::integer_sequence<int, lane...>) {
  constexpr int size = sizeof...(lane), from = second ? size / 2 : 0;
  return simd::Vec<T>::from(
      __builtin_shufflevector(a.v, old.v, (lane % 2 ? size + lane : from + lane / 2)...));
}
template <class T>
void spread(void* out, const void* in, int64_t n) {
  using V = simd::Vec<T>;
  constexpr auto lanes = std::make_integer_sequence<int, V::size>{};
  T* to = static_cast<T*>(out);
  const T* from = static_cast<const T*>(in);
  int64_t i = 0;
  for (; i + V::size < n; i += V::size) {  // not the last: what lies behind it may be another's
    const V a = V::load(from + i);
    T* at = to + 2 * i;
    between<T, false>(a, V::load(at), lanes).store(at);
    between<T, true>(a, V::load(at + V::size), lanes).store(at + V::size);
  }
  for (; i < n; ++i) move_one(to + 2 * i, from + i);
}

// to[2 * i] = even[i], to[2 * i + 1] = odd[i]
template <class T, bool second, int... lane>
LAZULITE_INLINE simd::Vec<T> zipped(simd::Vec<T> even, simd::Vec<T> odd,
                                    std::integer_sequence<int, lane...>) {
  constexpr int size = sizeof...(lane), from = second ? size / 2 : 0;
  return simd::Vec<T>::from(
      __builtin_shufflevector(even.v, odd.v, (from + lane / 2 + (lane % 2 ? size : 0))...));
}
template <class T>
void zip(void* out, const void* in, const void* others, int64_t n) {
  using V = simd::Vec<T>;
  constexpr auto lanes = std::make_integer_sequence<int, V::size>{};
  T* to = static_cast<T*>(out);
  const T *even = static_cast<const T*>(in), *odd = static_cast<const T*>(others);
  int64_t i = 0;
  for (; i + V::size <= n; i += V::size) {
    const V a = V::load(even + i), b = V::load(odd + i);
    zipped<T, false>(a, b, lanes).store(to + 2 * i);
    zipped<T, true>(a, b, lanes).store(to + 2 * i + V::size);
  }
  for (; i < n; ++i) {
    move_one(to + 2 * i, even + i);
    move_one(to + 2 * i + 1, odd + i);
  }
}

// to[2 * i] = to[2 * i + 1] = from[i]
template <class T, bool second, int... lane>
LAZULITE_INLINE simd::Vec<T> doubled(simd::Vec<T> a, std::integer_sequence<int, lane...>) {
  constexpr int from = second ? int(sizeof...(lane)) / 2 : 0;
  return simd::Vec<T>::from(__builtin_shufflevector(a.v, a.v, (from + lane / 2)...));
}
template <class T>
LAZULITE_INLINE void twice(T* to, const T* from, int64_t n) {
  using V = simd::Vec<T>;
  constexpr auto lanes = std::make_integer_sequence<int, V::size>{};
  int64_t i = 0;
  for (; i + V::size <= n; i += V::size) {
    const V a = V::load(from + i);
    doubled<T, false>(a, lanes).store(to + 2 * i);
    doubled<T, true>(a, lanes).store(to + 2 * i + V::size);
  }
  for (; i < n; ++i) {
    move_one(to + 2 * i, from + i);
    move_one(to + 2 * i + 1, from + i);
  }
}

// Of a register's lanes those at `lane`, where the level has that in one instruction.
template <class T>
constexpr bool picks_lanes =
#if defined(LAZULITE_SIMD_AVX512)
    sizeof(T) >= 2;
#elif defined(LAZULITE_SIMD_AVX2)
    sizeof(T) == 4;
#else
    false;
#endif
template <class T>
LAZULITE_INLINE simd::Vec<T> picked([[maybe_unused]] simd::Vec<T> a,
                                    [[maybe_unused]] simd::Vec<T> lane) {
  simd::Vec<T> out = a;
#if defined(LAZULITE_SIMD_AVX512)
  __m512i x, at;
  std::memcpy(&x, &a, sizeof x);
  std::memcpy(&at, &lane, sizeof at);
  if constexpr (sizeof(T) == 2) x = _mm512_maskz_permutexvar_epi16(__mmask32(-1), at, x);
  else if constexpr (sizeof(T) == 4) x = _mm512_maskz_permutexvar_epi32(__mmask16(-1), at, x);
  else x = _mm512_maskz_permutexvar_epi64(__mmask8(-1), at, x);
  std::memcpy(&out, &x, sizeof x);
#elif defined(LAZULITE_SIMD_AVX2)
  __m256i x, at;
  std::memcpy(&x, &a, sizeof x);
  std::memcpy(&at, &lane, sizeof at);
  x = _mm256_permutevar8x32_epi32(x, at);
  std::memcpy(&out, &x, sizeof x);
#endif
  return out;
}
// A register's elements become `times` registers; gives how many elements were taken. Where a
// register is filled by three elements or more: others are as well stored whole.
template <class T>
[[maybe_unused]] constexpr int64_t most_picked = simd::Vec<T>::size * 3 / 8;
template <class T>
int64_t repeat_lanes(T* to, const T* from, int64_t n, int64_t times) {
  using V = simd::Vec<T>;
  constexpr int size = V::size;
  if (n < size) return 0;
  V lane[most_picked<T>];
  T at[most_picked<T> * size];
  for (int64_t k = 0; k < size; ++k)
    for (int64_t j = 0; j < times; ++j) at[k * times + j] = T(k);
  for (int64_t v = 0; v < times; ++v) lane[v] = V::load(at + v * size);
  int64_t i = 0;
  for (; i + size <= n; i += size) {
    const V x = V::load(from + i);
    for (int64_t v = 0; v < times; ++v, to += size) picked(x, lane[v]).store(to);
  }
  return i;
}

// to[i * times + k] = from[i * step]: whole registers, of which the next ones write over the ends.
template <class T>
void repeat(void* out, const void* in, int64_t step, int64_t n, int64_t times) {
  using V = simd::Vec<T>;
  T* to = static_cast<T*>(out);
  const T* from = static_cast<const T*>(in);
  if (times == 2 && step == 1) return twice(to, from, n);
  const int64_t registers = (times + V::size - 1) / V::size * V::size;
  int64_t i = 0;
  if constexpr (picks_lanes<T>)
    if (step == 1 && times <= most_picked<T>) i = repeat_lanes(to, from, n, times);
  if (registers == V::size)
    for (; i * times + V::size <= n * times; ++i) V(one(from + i * step)).store(to + i * times);
  else
    for (; i * times + registers <= n * times; ++i) {
      const V v(one(from + i * step));
      for (int64_t k = 0; k < times; k += V::size) v.store(to + i * times + k);
    }
  for (; i < n; ++i)
    for (int64_t k = 0; k < times; ++k) move_one(to + i * times + k, from + i * step);
}

// Bytes of one row, two parts of which may overlap.
template <int size>
LAZULITE_INLINE void move_bytes(char* to, const char* from) {
  char part[size];
  std::memcpy(part, from, size);
  std::memcpy(to, part, size);
}
template <int size>
void short_rows(char* to, int64_t to_step, const char* from, int64_t from_step, int64_t rows,
                int64_t bytes) {
  const int64_t second = bytes - size;
  for (int64_t i = 0; i < rows; ++i, to += to_step, from += from_step) {
    move_bytes<size>(to, from);
    move_bytes<size>(to + second, from + second);
  }
}
template <int size>
void pick_short(char* to, int64_t to_step, const char* from, int64_t from_step, int64_t rows,
                int64_t bytes) {
  if constexpr (size > 1)
    if (bytes < size) return pick_short<size / 2>(to, to_step, from, from_step, rows, bytes);
  short_rows<size>(to, to_step, from, from_step, rows, bytes);
}
// Stores are aligned. (Not memcpy: its `rep movsb` crawls on some machines where the two addresses
// lie a few bytes apart in their pages.)
LAZULITE_INLINE void copy_row(uint8_t* to, const uint8_t* from, int64_t bytes) {
  using V = simd::Vec<uint8_t>;
  constexpr int64_t size = V::size;
  const V first = V::load(from), end = V::load(from + bytes - size);
  int64_t k = size - int64_t(reinterpret_cast<uintptr_t>(to) % uintptr_t(size));
  first.store(to);
  for (; k + 4 * size <= bytes; k += 4 * size) {
    const V a = V::load(from + k), b = V::load(from + k + size),
            c = V::load(from + k + 2 * size), d = V::load(from + k + 3 * size);
    a.store(to + k);
    b.store(to + k + size);
    c.store(to + k + 2 * size);
    d.store(to + k + 3 * size);
  }
  for (; k < bytes - size; k += size) V::load(from + k).store(to + k);
  end.store(to + bytes - size);
}
void copy_rows(void* out, int64_t to_step, const void* in, int64_t from_step, int64_t rows,
               int64_t bytes) {
  constexpr int64_t size = simd::Vec<uint8_t>::size;
  if (bytes < 2 * size)
    return pick_short<int(size)>(static_cast<char*>(out), to_step, static_cast<const char*>(in),
                                 from_step, rows, bytes);
  auto* to = static_cast<uint8_t*>(out);
  auto* from = static_cast<const uint8_t*>(in);
  for (int64_t i = 0; i < rows; ++i) copy_row(to + i * to_step, from + i * from_step, bytes);
}

constexpr int words = simd::Vec<uint32_t>::size;
constexpr MoveKernels table{{turn<uint8_t, 16>, turn<uint16_t, 8>, turn<uint32_t, words>,
                             turn<uint64_t, words / 2>},
                            {reverse<uint8_t>, reverse<uint16_t>, reverse<uint32_t>,
                             reverse<uint64_t>},
                            {halve<uint8_t>, halve<uint16_t>, halve<uint32_t>, halve<uint64_t>},
                            {spread<uint8_t>, spread<uint16_t>, spread<uint32_t>,
                             spread<uint64_t>},
                            {zip<uint8_t>, zip<uint16_t>, zip<uint32_t>, zip<uint64_t>},
                            {repeat<uint8_t>, repeat<uint16_t>, repeat<uint32_t>,
                             repeat<uint64_t>},
                            copy_rows};

}  // namespace

const MoveKernels& LAZULITE_AT_LEVEL(move_kernels)();
const MoveKernels& LAZULITE_AT_LEVEL(move_kernels)() { return table; }

}  // namespace lazulite::cpu
