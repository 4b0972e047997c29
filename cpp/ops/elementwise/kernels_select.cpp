// The kernel of select (where), per instruction-set level.
#include "ops/elementwise/kernels.h"

namespace lazulite {
namespace {

// Halves are chosen as they are, without becoming floats.
template <int dtype> struct Chosen { using t = typename VectorOf<dtype>::t; };
template <> struct Chosen<int(Dtype::float16)> { using t = simd::Vec<uint16_t>; };
template <> struct Chosen<int(Dtype::bfloat16)> { using t = simd::Vec<uint16_t>; };
template <class V> struct PartOf { using t = V; };
template <class V> struct PartOf<simd::Cx<V>> { using t = V; };

struct AnyType {
  static constexpr Row row{.name = "select", .light = true};
};

template <class, int dtype> struct SelectKernel {
  static void run(void* out, const void* const* in, int64_t n) {
    using V = typename Chosen<dtype>::t;
    using T = typename PartOf<V>::t::scalar;
    const uint8_t* condition = static_cast<const uint8_t*>(in[0]);
    const int64_t step = n & repeats(0) ? 0 : V::size;
    Reader<V> a(in, n, 1), b(in, n, 2);
    n = elements_of(n);
    for (int64_t i = 0; i < n; i += V::size, condition += step) {
      const V x = a.next(), y = b.next();
      store_at<int(Dtype::uint8)>(out, i, select(simd::load_bool<T>(condition), x, y));
    }
  }
};
constexpr auto table = [] {
  KernelTable<1> t{};
  fill_rows<SelectKernel, 3>(t.kernel, rows<AnyType>{});
  return t;
}();

}  // namespace
const Kernel* LAZULITE_AT_LEVEL(elementwise_select)();
const Kernel* LAZULITE_AT_LEVEL(elementwise_select)() { return table.kernel[0]; }
}  // namespace lazulite
