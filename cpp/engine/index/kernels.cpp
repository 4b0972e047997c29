// Positions and elements, per instruction-set level.
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "device/cpu/level.h"
#include "engine/index/index.h"
#include "simd/vec.h"

namespace lazulite::engine {
namespace {

// Whether it is in range, counted from the end where it is negative; `I` holds all of them.
template <class I, class T>
LAZULITE_INLINE I counted(T index, I size, uint64_t& bad) {
  I v = I(index);
  if constexpr (std::is_signed_v<T>) v += v < 0 ? size : 0;
  using U = std::make_unsigned_t<I>;
  bad |= uint64_t(U(v) >= U(size));
  return v;
}
// 32 bits of an index times 32 bits of a stride are one instruction, 64 by 64 are several.
template <class I, class T>
bool place_some(const T* index, int64_t by, int64_t n, I size, I stride, int64_t start, bool add,
                int64_t* to) {
  uint64_t bad = 0;
  if (add)
    for (int64_t i = 0; i < n; ++i)
      to[i] += start + int64_t(counted<I>(index[i * by], size, bad)) * int64_t(stride);
  else
    for (int64_t i = 0; i < n; ++i)
      to[i] = start + int64_t(counted<I>(index[i * by], size, bad)) * int64_t(stride);
  return !bad;
}
template <class T>
bool place(const void* index, int64_t step, int64_t n, int64_t size, int64_t stride,
           int64_t start, bool add, int64_t* to) {
  const T* from = static_cast<const T*>(index);
  auto with = [&]<class I>(I) {
    // Two loops: of neighbours, and of others.
    return step == 1 ? place_some<I, T>(from, 1, n, I(size), I(stride), start, add, to)
                     : place_some<I, T>(from, step, n, I(size), I(stride), start, add, to);
  };
  if constexpr (sizeof(T) == 4)
    if (size <= INT32_MAX && stride == int32_t(stride)) return with(int32_t());
  return with(int64_t());
}

void ramp(int64_t step, int64_t n, int64_t* to) {
  for (int64_t i = 0; i < n; ++i) to[i] += i * step;
}

struct Wide {
  uint64_t half[2];
};
template <class T>
void gather(const void* from, const int64_t* at, int64_t n, void* to) {
  const T* x = static_cast<const T*>(from);
  T* y = static_cast<T*>(to);
  for (int64_t i = 0; i < n; ++i) y[i] = x[at[i]];
}

// Complex numbers are added part by part.
template <class T, int parts>
void add(void* to, const void* from, int64_t n) {
  T* __restrict y = static_cast<T*>(to);
  const T* __restrict x = static_cast<const T*>(from);
  for (int64_t i = 0; i < n * parts; ++i) y[i] = T(y[i] + x[i]);
}

// Rows of as many elements as is known before: in whole vectors, which the compiler makes of no
// loop that it has unrolled.
template <class T, int known>
LAZULITE_INLINE void add_rows_known(T* to, const T* x, const int64_t* at, int64_t count) {
  constexpr int width = known * int(sizeof(T)) < 64 ? known : 64 / int(sizeof(T));
  typedef T Some __attribute__((vector_size(width * int(sizeof(T)))));
  for (int64_t i = 0; i < count; ++i, x += known) {
    T* y = to + at[i];
#pragma GCC unroll 4
    for (int j = 0; j < known; j += width) {
      Some sum, more;
      std::memcpy(&sum, y + j, sizeof sum);
      std::memcpy(&more, x + j, sizeof more);
      sum += more;
      std::memcpy(y + j, &sum, sizeof sum);
    }
  }
}
// The same of any length.
template <class T, int known>
LAZULITE_INLINE void add_rows_of(T* to, const T* x, const int64_t* at, int64_t count, int64_t n) {
  if (known) n = known;
  for (int64_t i = 0; i < count; ++i, x += n) {
    T* __restrict y = to + at[i];
    for (int64_t j = 0; j < n; ++j) y[j] = T(y[j] + x[j]);
  }
}
template <class T>
void add_rows(void* out, const void* from, const int64_t* at, int64_t count, int64_t n) {
  T* to = static_cast<T*>(out);
  const T* x = static_cast<const T*>(from);
  switch (n) {
    case 2: return add_rows_known<T, 2>(to, x, at, count);
    case 3: return add_rows_of<T, 3>(to, x, at, count, n);
    case 4: return add_rows_known<T, 4>(to, x, at, count);
    case 8: return add_rows_known<T, 8>(to, x, at, count);
    case 16: return add_rows_known<T, 16>(to, x, at, count);
    case 32: return add_rows_known<T, 32>(to, x, at, count);
    default: return add_rows_of<T, 0>(to, x, at, count, n);
  }
}

int64_t places_of_true(const bool* mask, int64_t n, int64_t from, int64_t* to) {
  int64_t count = 0, i = 0;
#if defined(LAZULITE_SIMD_AVX512)
  const __m512i lanes = _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7);
  for (; i + 8 <= n; i += 8) {
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(mask + i));
    const __mmask8 set = __mmask8(_mm_test_epi8_mask(bytes, bytes));
    const __m512i numbers = _mm512_add_epi64(lanes, _mm512_set1_epi64(from + i));
    _mm512_storeu_si512(to + count, _mm512_maskz_compress_epi64(set, numbers));
    count += __builtin_popcount(set);
  }
#endif
  for (; i < n; ++i) {
    to[count] = from + i;
    count += mask[i];
  }
  return count;
}

constexpr IndexKernels make_table() {
  IndexKernels table{};
  table.places_of_true = places_of_true;
  table.add[int(Dtype::uint8)] = table.add[int(Dtype::int8)] = add<uint8_t, 1>;
  table.add[int(Dtype::uint16)] = table.add[int(Dtype::int16)] = add<uint16_t, 1>;
  table.add[int(Dtype::uint32)] = table.add[int(Dtype::int32)] = add<uint32_t, 1>;
  table.add[int(Dtype::uint64)] = table.add[int(Dtype::int64)] = add<uint64_t, 1>;
  table.add[int(Dtype::float32)] = add<float, 1>;
  table.add[int(Dtype::float64)] = add<double, 1>;
  table.add[int(Dtype::complex64)] = add<float, 2>;
  table.add[int(Dtype::complex128)] = add<double, 2>;
  table.add_rows[int(Dtype::int32)] = table.add_rows[int(Dtype::uint32)] = add_rows<uint32_t>;
  table.add_rows[int(Dtype::int64)] = table.add_rows[int(Dtype::uint64)] = add_rows<uint64_t>;
  table.add_rows[int(Dtype::float32)] = add_rows<float>;
  table.add_rows[int(Dtype::float64)] = add_rows<double>;
  table.place[int(Dtype::int32)] = place<int32_t>;
  table.place[int(Dtype::uint32)] = place<uint32_t>;
  table.place[int(Dtype::int64)] = place<int64_t>;
  table.ramp = ramp;
  table.gather[0] = gather<uint8_t>;
  table.gather[1] = gather<uint16_t>;
  table.gather[2] = gather<uint32_t>;
  table.gather[3] = gather<uint64_t>;
  table.gather[4] = gather<Wide>;
  return table;
}
constexpr IndexKernels table = make_table();

}  // namespace

const IndexKernels& LAZULITE_AT_LEVEL(index_kernels)();
const IndexKernels& LAZULITE_AT_LEVEL(index_kernels)() { return table; }

}  // namespace lazulite::engine
