// The loops of roof_kernels.h at one instruction-set level.
#include "roof_kernels.h"

#include "device/cpu/level.h"
#include "simd/vec.h"

namespace lazulite::bench {
namespace {

using simd::Vec;
using V = Vec<float>;
constexpr int unroll = 8;
constexpr int64_t step = unroll * V::size;

float read(const void* from, int64_t bytes) {
  const float* p = static_cast<const float*>(from);
  V sum[unroll];
  for (int k = 0; k < unroll; ++k) sum[k] = V(0.0f);
  for (int64_t i = 0; i < bytes / 4; i += step)
    for (int k = 0; k < unroll; ++k) sum[k] = sum[k] + V::load(p + i + k * V::size);
  for (int k = 1; k < unroll; ++k) sum[0] = sum[0] + sum[k];
  return sum[0][0];
}

void write(void* to, int64_t bytes) {
  float* p = static_cast<float*>(to);
  const V one(1.0f);
  for (int64_t i = 0; i < bytes / 4; i += step)
    for (int k = 0; k < unroll; ++k) one.store(p + i + k * V::size);
}

void copy(void* to, const void* from, int64_t bytes) {
  float* out = static_cast<float*>(to);
  const float* in = static_cast<const float*>(from);
  for (int64_t i = 0; i < bytes / 4; i += step)
    for (int k = 0; k < unroll; ++k) V::load(in + i + k * V::size).store(out + i + k * V::size);
}

void stream(void* to, const void* from, int64_t bytes) {
#if defined(__SSE2__)
  float* out = static_cast<float*>(to);
  const float* in = static_cast<const float*>(from);
  for (int64_t i = 0; i < bytes / 4; i += V::size) {
#if defined(LAZULITE_SIMD_AVX512)
    _mm512_stream_ps(out + i, _mm512_loadu_ps(in + i));
#elif defined(LAZULITE_SIMD_AVX2)
    _mm256_stream_ps(out + i, _mm256_loadu_ps(in + i));
#else
    _mm_stream_ps(out + i, _mm_loadu_ps(in + i));
#endif
  }
  _mm_sfence();
#else
  copy(to, from, bytes);
#endif
}

// Enough chains to hide the latency of one.
constexpr int chains = 12;

template <class T>
double multiply_add(int64_t rounds) {
  Vec<T> sum[chains];
  for (int k = 0; k < chains; ++k) sum[k] = Vec<T>(T(k));
  Vec<T> a(T(1)), b(T(0));
  for (int64_t i = 0; i < rounds; ++i) {
    asm volatile("" : "+m"(a), "+m"(b));  // not known to the compiler
    const Vec<T> x = a, y = b;
    for (int j = 0; j < 8; ++j)
      for (int k = 0; k < chains; ++k) {
#if defined(LAZULITE_SIMD_AVX512) || defined(LAZULITE_SIMD_AVX2)
        if constexpr (std::is_floating_point_v<T>) {
          sum[k] = simd::fma(sum[k], x, y);
          continue;
        }
#endif
        sum[k] = sum[k] * x + y;
      }
  }
  for (int k = 1; k < chains; ++k) sum[0] = sum[0] + sum[k];
  return double(sum[0][0]);
}

bool always() { return true; }

template <class T>
constexpr Arithmetic plain(const char* name) {
  return {name, multiply_add<T>, int64_t(2) * 8 * chains * Vec<T>::size, always};
}

#if defined(LAZULITE_SIMD_AVX512)
// Dot products of pairs and quadruples, where the processor has them.
__attribute__((target("avx512bf16"))) double bfloat_dot(int64_t rounds) {
  __m512 sum[chains];
  for (int k = 0; k < chains; ++k) sum[k] = _mm512_set1_ps(float(k));
  __m512i a = _mm512_set1_epi16(0x3f80), b = _mm512_setzero_si512();
  for (int64_t i = 0; i < rounds; ++i) {
    asm volatile("" : "+m"(a), "+m"(b));
    const __m512bh x = (__m512bh)a, y = (__m512bh)b;
    for (int j = 0; j < 8; ++j)
      for (int k = 0; k < chains; ++k) sum[k] = _mm512_dpbf16_ps(sum[k], x, y);
  }
  for (int k = 1; k < chains; ++k) sum[0] = _mm512_add_ps(sum[0], sum[k]);
  float lanes[16];
  _mm512_storeu_ps(lanes, sum[0]);
  return lanes[0];
}
__attribute__((target("avx512vnni"))) double byte_dot(int64_t rounds) {
  __m512i sum[chains];
  for (int k = 0; k < chains; ++k) sum[k] = _mm512_set1_epi32(k);
  __m512i a = _mm512_set1_epi8(1), b = _mm512_setzero_si512();
  for (int64_t i = 0; i < rounds; ++i) {
    asm volatile("" : "+m"(a), "+m"(b));
    const __m512i x = a, y = b;
    for (int j = 0; j < 8; ++j)
      for (int k = 0; k < chains; ++k) sum[k] = _mm512_dpbusd_epi32(sum[k], x, y);
  }
  for (int k = 1; k < chains; ++k) sum[0] = _mm512_add_epi32(sum[0], sum[k]);
  int32_t lanes[16];
  _mm512_storeu_si512(lanes, sum[0]);
  return lanes[0];
}
#endif

constexpr RoofKernels table{
    read, write, copy, stream,
    {plain<float>("float32"), plain<double>("float64"), plain<int32_t>("int32"),
#if defined(LAZULITE_SIMD_AVX512)
     {"bfloat16", bfloat_dot, int64_t(2) * 8 * chains * 32,
      [] { return bool(__builtin_cpu_supports("avx512bf16")); }},
     {"int8", byte_dot, int64_t(2) * 8 * chains * 64,
      [] { return bool(__builtin_cpu_supports("avx512vnni")); }},
#endif
     {nullptr, nullptr, 0, nullptr}}};

}  // namespace

const RoofKernels& LAZULITE_AT_LEVEL(roof_kernels)();
const RoofKernels& LAZULITE_AT_LEVEL(roof_kernels)() { return table; }

}  // namespace lazulite::bench
