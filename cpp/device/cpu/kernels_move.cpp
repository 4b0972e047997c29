// Strided elements moved in vectors, per instruction-set level: squares of a matrix turned in
// registers, rows reversed, every second element.
#include "device/cpu/level.h"
#include "device/cpu/move.h"
#include "simd/vec.h"

namespace lazulite::cpu {
namespace {

// A row of a square of L x L elements: a native register, or less where L rows would not fit the
// registers.
template <class T, int L>
struct Row {
  typedef T raw __attribute__((vector_size(L * sizeof(T))));
  raw v;

  // Lanes of the first (or second) halves of a and b, in turn.
  template <bool second, int... lane>
  LAZULITE_INLINE static Row interleave(Row a, Row b, std::integer_sequence<int, lane...>) {
    constexpr int from = second ? L / 2 : 0;
    Row r;
    r.v = __builtin_shufflevector(a.v, b.v, ((lane % 2) * L + lane / 2 + from)...);
    return r;
  }
};

// After log2(L) shuffles of row i with row i + L / 2 the rows are the columns.
template <class T, int L>
void turn_square(T* to, int64_t to_step, const T* from, int64_t from_step) {
  using R = Row<T, L>;
  constexpr auto lanes = std::make_integer_sequence<int, L>{};
  R row[L], next[L];
  for (int i = 0; i < L; ++i) std::memcpy(&row[i].v, from + i * from_step, sizeof row[i].v);
#pragma GCC unroll 4
  for (int step = 1; step < L; step *= 2) {
#pragma GCC unroll 16
    for (int i = 0; i < L / 2; ++i) {
      next[2 * i] = R::template interleave<false>(row[i], row[i + L / 2], lanes);
      next[2 * i + 1] = R::template interleave<true>(row[i], row[i + L / 2], lanes);
    }
#pragma GCC unroll 16
    for (int i = 0; i < L; ++i) row[i] = next[i];
  }
  for (int i = 0; i < L; ++i) std::memcpy(to + i * to_step, &row[i].v, sizeof row[i].v);
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
    for (; k < columns; ++k)
      for (int64_t j = i; j < i + size; ++j) to[j * to_step + k] = from[k * from_step + j];
  }
  for (; i < rows; ++i)
    for (int64_t k = 0; k < columns; ++k) to[i * to_step + k] = from[k * from_step + i];
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
  for (; i < n; ++i) to[i] = from[-i];
}

// to[i] = from[2 * i]
template <class T, int... lane>
LAZULITE_INLINE simd::Vec<T> even(simd::Vec<T> a, simd::Vec<T> b,
                                  std::integer_sequence<int, lane...>) {
  return simd::Vec<T>::from(__builtin_shufflevector(a.v, b.v, (2 * lane)...));
}
template <class T>
void halve(void* out, const void* in, int64_t n) {
  using V = simd::Vec<T>;
  T* to = static_cast<T*>(out);
  const T* from = static_cast<const T*>(in);
  int64_t i = 0;
  for (; i + V::size < n; i += V::size)  // not the last: an element behind it may be no memory
    even(V::load(from + 2 * i), V::load(from + 2 * i + V::size),
         std::make_integer_sequence<int, V::size>{})
        .store(to + i);
  for (; i < n; ++i) to[i] = from[2 * i];
}

constexpr int words = simd::Vec<uint32_t>::size;
constexpr MoveKernels table{{turn<uint8_t, 16>, turn<uint16_t, 8>, turn<uint32_t, words>,
                             turn<uint64_t, words / 2>},
                            {reverse<uint8_t>, reverse<uint16_t>, reverse<uint32_t>,
                             reverse<uint64_t>},
                            {halve<uint8_t>, halve<uint16_t>, halve<uint32_t>, halve<uint64_t>}};

}  // namespace

const MoveKernels& LAZULITE_AT_LEVEL(move_kernels)();
const MoveKernels& LAZULITE_AT_LEVEL(move_kernels)() { return table; }

}  // namespace lazulite::cpu
