// Whole expressions of ops of two operands, per instruction-set level: what one op gives another
// stays in registers. The bits are those of one op after the other.
#include "ops/elementwise/binary.h"
#include "ops/elementwise/kernels.h"

namespace lazulite {
namespace {

// The row with a number.
template <int number, class Rows> struct NthLinked;
template <int number, class First, class... Rest>
struct NthLinked<number, rows<First, Rest...>>
    : NthLinked<number - int(First::row.pairs), rows<Rest...>> {};
template <int number, class First, class... Rest>
  requires(number == 1 && First::row.pairs)
struct NthLinked<number, rows<First, Rest...>> {
  using t = First;
};

constexpr int linked = Linked<binary_rows>::count;
constexpr int codes = Micro::does(linked, Micro::of_next, Micro::accumulators - 1) + 1;
static_assert(codes <= 64, "the switch below has 64 cases");

// `unroll` vectors of each accumulator.
template <class V, int unroll> struct Machine {
  using T = typename V::scalar;
  V a[Micro::accumulators][unroll];

  template <int code>
  LAZULITE_INLINE void step(const Micro& micro, const void* const* in, int64_t i) {
    if constexpr (code >= 1 && code < 1 + Micro::accumulators) {
      const T* x = static_cast<const T*>(in[micro.operand]) + i;
      for (int k = 0; k < unroll; ++k) a[code - 1][k] = V::load(x + k * V::size);
    } else if constexpr (code > Micro::accumulators && code < codes) {
      constexpr int rest = code - 1 - Micro::accumulators, d = rest % Micro::accumulators,
                    form = rest / Micro::accumulators % Micro::forms;
      using R = typename NthLinked<rest / (Micro::accumulators * Micro::forms) + 1,
                                   binary_rows>::t;
      if constexpr (form == Micro::with_number || form == Micro::of_number) {
        T number;
        __builtin_memcpy(&number, micro.number, sizeof number);
        const V c(number);
        for (int k = 0; k < unroll; ++k)
          a[d][k] = form == Micro::of_number ? R::template f<V>(c, a[d][k])
                                             : R::template f<V>(a[d][k], c);
      } else if constexpr (form == Micro::with_array || form == Micro::of_array) {
        const T* x = static_cast<const T*>(in[micro.operand]) + i;
        for (int k = 0; k < unroll; ++k) {
          const V c = V::load(x + k * V::size);
          a[d][k] = form == Micro::of_array ? R::template f<V>(c, a[d][k])
                                            : R::template f<V>(a[d][k], c);
        }
      } else if constexpr (d + 1 < Micro::accumulators) {
        for (int k = 0; k < unroll; ++k)
          a[d][k] = form == Micro::of_next ? R::template f<V>(a[d + 1][k], a[d][k])
                                           : R::template f<V>(a[d][k], a[d + 1][k]);
      }
    }
  }

  LAZULITE_INLINE void run(const Micro* micro, const void* const* in, int64_t i, T* out) {
    for (; micro->code != Micro::stop; ++micro) switch (micro->code) {
#define LAZULITE_CASE(n) \
  case n: step<n>(*micro, in, i); break;
#define LAZULITE_CASES(n) \
  LAZULITE_CASE(n) LAZULITE_CASE(n + 1) LAZULITE_CASE(n + 2) LAZULITE_CASE(n + 3) \
  LAZULITE_CASE(n + 4) LAZULITE_CASE(n + 5) LAZULITE_CASE(n + 6) LAZULITE_CASE(n + 7)
        LAZULITE_CASES(0) LAZULITE_CASES(8) LAZULITE_CASES(16) LAZULITE_CASES(24)
        LAZULITE_CASES(32) LAZULITE_CASES(40) LAZULITE_CASES(48) LAZULITE_CASES(56)
        default: __builtin_unreachable();
      }
    for (int k = 0; k < unroll; ++k) a[0][k].store(out + i + k * V::size);
  }
};

// in: the arrays, then the steps, where n says how many arrays there are.
template <int dtype>
void run(void* out, const void* const* in, int64_t n) {
  using V = typename VectorOf<dtype>::t;
  using T = typename V::scalar;
  constexpr int registers = V::size * int(sizeof(T)) == 64 ? 32 : 16;
  constexpr int unroll = registers == 32 ? 8 : 4;
  const auto* code = static_cast<const Micro*>(in[0]);
  T* const to = static_cast<T*>(out);
  int64_t i = 0;
  Machine<V, unroll> machine{};
  for (; i + unroll * V::size <= n; i += unroll * V::size) machine.run(code, in + 1, i, to);
  Machine<V, 4> rest{};
  for (; i < n; i += 4 * V::size) rest.run(code, in + 1, i, to);
}

constexpr auto table = [] {
  KernelTable<1> t{};
  t.kernel[0][int(Dtype::float32)] = run<int(Dtype::float32)>;
  t.kernel[0][int(Dtype::float64)] = run<int(Dtype::float64)>;
  return t;
}();

}  // namespace
const Kernel* LAZULITE_AT_LEVEL(elementwise_expressions)();
const Kernel* LAZULITE_AT_LEVEL(elementwise_expressions)() { return table.kernel[0]; }
}  // namespace lazulite
