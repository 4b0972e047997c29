// Ramps and bands, per instruction-set level: plain loops, which the compiler turns into vectors.
#include "base/convert.h"
#include "base/half.h"
#include "device/cpu/level.h"
#include "engine/create/create.h"

namespace lazulite::engine {
namespace {

// f(i, value in double) for each of the numbers; int32 counts become doubles in vectors everywhere.
template <class F>
inline void for_doubles(const RampSteps& r, int64_t begin, int64_t n, F f) {
  constexpr double exact = 0x1p52;
  const double first = double(begin), end = double(begin + n);
  double from = r.from, by = r.by;
  if (r.whole) {
    from = double(r.start);
    by = double(r.step);
    const double reach = (by < 0 ? -by : by) * end;
    if (!(from < exact && from > -exact && reach < exact)) {  // sums that wrap, or are rounded
      for (int64_t i = 0; i < n; ++i)
        f(i, double(int64_t(uint64_t(r.start) + uint64_t(begin + i) * uint64_t(r.step))));
      return;
    }
  }
  for (int32_t i = 0; i < int32_t(n); ++i) f(i, from + (first + double(i)) * by);
}

template <class T>
void ramp(const RampSteps& r, int64_t begin, int64_t n, void* out) {
  T* const to = static_cast<T*>(out);
  if constexpr (std::is_integral_v<T>) {
    if (r.whole) {
      using U = std::make_unsigned_t<T>;
      const U by = U(r.step);
      U value = U(uint64_t(r.start) + uint64_t(begin) * uint64_t(r.step));
      for (int64_t i = 0; i < n; ++i, value = U(value + by)) to[i] = T(value);
      return;
    }
    for (int64_t i = 0; i < n; ++i)
      to[i] = convert_number<T>(r.from + double(begin + i) * r.by);
  } else {
    for_doubles(r, begin, n, [=](int64_t i, double v) { to[i] = T(v); });
  }
}
void ramp_of_bools(const RampSteps& r, int64_t begin, int64_t n, void* out) {
  auto* const to = static_cast<uint8_t*>(out);
  for_doubles(r, begin, n, [=](int64_t i, double v) { to[i] = v != 0; });
}
template <class T>
void ramp_of_complex(const RampSteps& r, int64_t begin, int64_t n, void* out) {
  T* const to = static_cast<T*>(out);
  for_doubles(r, begin, n, [=](int64_t i, double v) {
    to[2 * i] = T(v);
    to[2 * i + 1] = 0;
  });
}

struct Sixteen {
  uint64_t half[2];
};
template <class U>
void band(const BandShape& b, const void* one_element, int64_t begin, int64_t end, void* out) {
  U one;
  __builtin_memcpy(&one, one_element, sizeof one);
  auto inside = [&](int64_t at) { return at < 0 ? 0 : at > b.columns ? b.columns : at; };
  U* to = static_cast<U*>(out);
  for (int64_t row = begin; row < end; ++row, to += b.columns) {
    const int64_t low = inside(row + b.low), high = inside(row + b.high + 1);
    int64_t i = 0;
    for (; i < low; ++i) to[i] = U{};
    for (; i < high; ++i) to[i] = one;
    for (; i < b.columns; ++i) to[i] = U{};
  }
}

constexpr CreateKernels table{
    {ramp_of_bools, ramp<uint8_t>, ramp<uint16_t>, ramp<uint32_t>, ramp<uint64_t>, ramp<int8_t>,
     ramp<int16_t>, ramp<int32_t>, ramp<int64_t>, ramp<float16_t>, ramp<bfloat16_t>, ramp<float>,
     ramp<double>, ramp_of_complex<float>, ramp_of_complex<double>},
    {band<uint8_t>, band<uint16_t>, band<uint32_t>, band<uint64_t>, band<Sixteen>}};
static_assert(int(Dtype::uint8) == 1 && int(Dtype::int8) == 5 && int(Dtype::float16) == 9 &&
              int(Dtype::bfloat16) == 10 && int(Dtype::complex128) == 14);

}  // namespace

const CreateKernels& LAZULITE_AT_LEVEL(create_kernels)();
const CreateKernels& LAZULITE_AT_LEVEL(create_kernels)() { return table; }

}  // namespace lazulite::engine
