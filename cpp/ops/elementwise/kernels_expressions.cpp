// Whole expressions of ops of two operands, per instruction-set level: what one op gives another
// stays in registers. The bits are those of one op after the other.
#include "ops/elementwise/arithmetic.h"
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

constexpr int linked = Linked<arithmetic_rows::two>::count;
constexpr int codes = Micro::does(linked + 1, 0, 0, 0);
static_assert(codes <= 8 * 29, "the lists below have so many");

// `unroll` vectors of each accumulator, and where the arrays are read.
template <class V, int unroll> struct Machine {
  using T = typename V::scalar;
  V a[Micro::accumulators][unroll];
  const T* at[Micro::most_arrays];

  template <int kind> LAZULITE_INLINE V operand(int k, const T* x, V number) const {
    if constexpr (kind == Micro::array) return V::load(x + k * V::size);
    else if constexpr (kind == Micro::number) return number;
    else return a[kind][k];
  }

  template <int code> LAZULITE_INLINE void step(const Micro& micro) {
    constexpr int to = Micro::to(code), first = Micro::first(code), second = Micro::second(code);
    constexpr bool same = first == Micro::number && second == Micro::number;
    if constexpr (code > Micro::stop && code < codes && !same) {
      using R = typename NthLinked<Micro::op(code), arithmetic_rows::two>::t;
      V number{};
      if constexpr (first == Micro::number || second == Micro::number) {
        T value;
        __builtin_memcpy(&value, micro.value, sizeof value);
        number = V(value);
      }
      const T *x = at[micro.arrays[0]], *y = at[micro.arrays[1]];
#pragma GCC unroll 8
      for (int k = 0; k < unroll; ++k)
        a[to][k] = R::template f<V>(operand<first>(k, x, number), operand<second>(k, y, number));
    }
  }
};

// Every step jumps to the next one: a processor foresees these jumps by what went before them.
#define LAZULITE_EIGHT(X, n) X(n, 0) X(n, 1) X(n, 2) X(n, 3) X(n, 4) X(n, 5) X(n, 6) X(n, 7)
#define LAZULITE_STEPS(X) \
  LAZULITE_EIGHT(X, 0) LAZULITE_EIGHT(X, 1) LAZULITE_EIGHT(X, 2) LAZULITE_EIGHT(X, 3) \
  LAZULITE_EIGHT(X, 4) LAZULITE_EIGHT(X, 5) LAZULITE_EIGHT(X, 6) LAZULITE_EIGHT(X, 7) \
  LAZULITE_EIGHT(X, 8) LAZULITE_EIGHT(X, 9) LAZULITE_EIGHT(X, 10) LAZULITE_EIGHT(X, 11) \
  LAZULITE_EIGHT(X, 12) LAZULITE_EIGHT(X, 13) LAZULITE_EIGHT(X, 14) LAZULITE_EIGHT(X, 15) \
  LAZULITE_EIGHT(X, 16) LAZULITE_EIGHT(X, 17) LAZULITE_EIGHT(X, 18) LAZULITE_EIGHT(X, 19) \
  LAZULITE_EIGHT(X, 20) LAZULITE_EIGHT(X, 21) LAZULITE_EIGHT(X, 22) LAZULITE_EIGHT(X, 23) \
  LAZULITE_EIGHT(X, 24) LAZULITE_EIGHT(X, 25) LAZULITE_EIGHT(X, 26) LAZULITE_EIGHT(X, 27) \
  LAZULITE_EIGHT(X, 28)
#define LAZULITE_LABEL(n, m) &&step_##n##_##m,
#define LAZULITE_STEP(n, m) \
  step_##n##_##m: \
  if constexpr (n + m == Micro::stop) goto stored; \
  machine.template step<n * 8 + m>(*micro); \
  ++micro; \
  goto* labels[micro->code];

// Elements [i, n), as many as `unroll` vectors make; returns where it ended.
template <class V, int unroll>
int64_t run_vectors(const Micro* head, const void* const* in, int64_t i, int64_t n, void* out) {
  using T = typename V::scalar;
  constexpr int64_t step = unroll * V::size;
  static const void* const labels[] = {LAZULITE_STEPS(LAZULITE_LABEL)};
  Machine<V, unroll> machine{};
  const int count = head->arrays[0];
  for (int k = 0; k < count; ++k) machine.at[k] = static_cast<const T*>(in[k]) + i;
  T* to = static_cast<T*>(out) + i;
  for (; i + step <= n; i += step) {
    const Micro* micro = head + 1;
    goto* labels[micro->code];
    LAZULITE_STEPS(LAZULITE_STEP)
  stored:
    for (int k = 0; k < unroll; ++k) machine.a[0][k].store(to + k * V::size);
    to += step;
    for (int k = 0; k < count; ++k) machine.at[k] += step;
  }
  return i;
}

// in: the steps, then the arrays.
template <int dtype>
void run(void* out, const void* const* in, int64_t n) {
  using V = typename VectorOf<dtype>::t;
  constexpr int bytes = V::size * int(sizeof(typename V::scalar)), least = 4;
  constexpr int unroll = bytes == 64 ? 8 : least;  // of 32 registers, or 16
  constexpr int64_t group = unroll * V::size, width = sizeof(typename V::scalar);
  const auto* head = static_cast<const Micro*>(in[0]);
  int64_t i = 0;
  Micro::Run machine_code;
  __builtin_memcpy(&machine_code, head->value, sizeof machine_code);
  if (machine_code && n >= group) {
    i = n / group * group;
    machine_code(out, in + 1, i * width, head);
  }
  if (n - i >= group) i = run_vectors<V, unroll>(head, in + 1, i, n, out);
  if constexpr (64 % group)
    if (i < n) run_vectors<V, least>(head, in + 1, i, n, out);
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
