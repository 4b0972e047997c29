// Two binary ops in one pass, per instruction-set level: every pair of the rows that say so, with
// the bits of one after the other.
#include "ops/elementwise/kernels.h"
#include "ops/elementwise/arithmetic.h"

namespace lazulite {
namespace {

// The inner result as the outer op would read it back.
template <int dtype, class V>
inline V as_stored(V v) {
  if constexpr (is_half(Dtype(dtype))) return simd::round_half<half_of<dtype>>(v);
  else return v;
}

template <class Outer, class Inner, int at, int dtype>
struct PairKernel {
  using V = typename VectorOf<dtype>::t;
  using F = Loaded<V>;
  template <int many>
  LAZULITE_INLINE static void some(void* out, Reader<V>& a, Reader<V>& b, Reader<V>& c,
                                   int64_t i) {
    F r[many];
#pragma GCC unroll 4
    for (int k = 0; k < many; ++k) {
      const F x = a.next(), y = b.next(), other = c.next();
      const F inner = as_stored<dtype>(Inner::template f<F>(x, y));
      r[k] = at == 0 ? Outer::template f<F>(inner, other) : Outer::template f<F>(other, inner);
    }
#pragma GCC unroll 4
    for (int k = 0; k < many; ++k) store_at<dtype>(out, i + k * V::size, r[k]);
  }
  static void run(void* out, const void* const* in, int64_t n) {
    Reader<V> a(in, n, 0), b(in, n, 1), c(in, n, 2);
    n = elements_of(n);
    constexpr int many = at_once(true), step = many * V::size;
    int64_t i = 0;
    for (; i + step <= n; i += step) some<many>(out, a, b, c, i);
    for (; i < n; i += V::size) some<1>(out, a, b, c, i);
  }
};

// [outer][inner][at][dtype]
constexpr int count = arithmetic_rows::two::count;
struct PairTable {
  Kernel kernel[count][count][2][dtype_count];
};

template <class Outer, class Inner>
constexpr void fill_pair(Kernel (&to)[2][dtype_count]) {
  if constexpr ((Outer::row.pairs && Inner::row.pairs) ||
                (Outer::row.bounds && Inner::row.bounds)) {
    auto one = [&]<int dtype>() {
      to[0][dtype] = PairKernel<Outer, Inner, 0, dtype>::run;
      to[1][dtype] = PairKernel<Outer, Inner, 1, dtype>::run;
    };
    one.template operator()<int(Dtype::float32)>();
    one.template operator()<int(Dtype::float64)>();
    one.template operator()<int(Dtype::float16)>();
    one.template operator()<int(Dtype::bfloat16)>();
  }
}
template <class Outer, class... Inner>
constexpr void fill_row(Kernel (&to)[count][2][dtype_count], rows<Inner...>) {
  int i = 0;
  (fill_pair<Outer, Inner>(to[i++]), ...);
}
template <class... Outer>
constexpr PairTable pair_table(rows<Outer...> all) {
  PairTable table{};
  int i = 0;
  (fill_row<Outer>(table.kernel[i++], all), ...);
  return table;
}
constexpr PairTable table = pair_table(arithmetic_rows::two{});

}  // namespace
const Kernel* LAZULITE_AT_LEVEL(elementwise_pairs)();
const Kernel* LAZULITE_AT_LEVEL(elementwise_pairs)() { return table.kernel[0][0][0]; }
}  // namespace lazulite
