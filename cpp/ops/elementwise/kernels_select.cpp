// The kernel of select (where), per instruction-set level.
#include "ops/elementwise/kernels.h"

namespace lazulite {
namespace {

template <class V> struct PartOf { using t = V; };
template <class V> struct PartOf<simd::Cx<V>> { using t = V; };

struct AnyType {
  static constexpr Row row{.name = "select"};
};

template <class, int dtype> struct SelectKernel {
  static void run(void* out, const void* const* in, int64_t n) {
    using V = typename VectorOf<dtype>::t;
    using T = typename PartOf<V>::t::scalar;
    const uint8_t* condition = static_cast<const uint8_t*>(in[0]);
    const int64_t step_c = step_of<V>(n, 0), step_a = step_of<V>(n, 1), step_b = step_of<V>(n, 2);
    n = elements_of(n);
    int64_t a = 0, b = 0;
    for (int64_t i = 0; i < n; i += V::size, condition += step_c, a += step_a, b += step_b) {
      const auto mask = simd::load_bool<T>(condition);
      store_at<false>(out, i, select(mask, load_at<V>(in[1], a), load_at<V>(in[2], b)));
    }
  }
};
constexpr auto table = kernel_table<SelectKernel>(rows<AnyType>{});

}  // namespace
const Kernel* LAZULITE_AT_LEVEL(elementwise_select)();
const Kernel* LAZULITE_AT_LEVEL(elementwise_select)() { return table.kernel[0]; }
}  // namespace lazulite
