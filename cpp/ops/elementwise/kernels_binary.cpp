// The kernels of binary.h for one instruction-set level.
#include "ops/elementwise/kernels.h"
#include "ops/elementwise/binary.h"
#include "simd/integers.h"

namespace lazulite {
namespace {

// Quotients and rests of integers: by what one divisor says beforehand, where it is one.
template <class R, int dtype>
  requires((std::is_same_v<R, FloorDivide> || std::is_same_v<R, Remainder>) &&
           is_integer(Dtype(dtype)))
struct BinaryKernel<R, dtype> {
  using V = typename VectorOf<dtype>::t;
  using T = typename V::scalar;
  static constexpr bool quotient = std::is_same_v<R, FloorDivide>;

  static void run(void* out, const void* const* in, int64_t n) {
    Reader<V> a(in, n, 0), b(in, n, 1);
    const T divisor = *b.at;
    T* to = static_cast<T*>(out);
    if (b.step == 0 && divisor != 0) return by_one(to, a, divisor, elements_of(n));
    for (int64_t i = 0; i < elements_of(n); i += V::size) {
      const V x = a.next(), y = b.next();
      (quotient ? simd::floor_quotient(x, y) : simd::floor_rest(x, y)).store(to + i);
    }
  }
  static void by_one(T* to, Reader<V> a, T divisor, int64_t n) {
    const simd::Divisor<T> by(divisor);
    by.choose([&](auto way) {
      for (int64_t i = 0; i < n; i += V::size) {
        const V x = a.next();
        (quotient ? by.quotient(x, way) : by.rest(x, way)).store(to + i);
      }
    });
  }
};

constexpr auto table = kernel_table(binary_rows{});
}  // namespace
const Kernel* LAZULITE_AT_LEVEL(elementwise_binary)();
const Kernel* LAZULITE_AT_LEVEL(elementwise_binary)() { return table.kernel[0]; }
}  // namespace lazulite
