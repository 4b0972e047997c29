// Metal's words in C++: vectors, mathematics, atomics, and threadgroups whose threads are fibers of
// one thread of the system, which change places where they wait for each other.
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include <memory>
#include <new>
#include <string>
#include <vector>

using uint = unsigned int;
using ushort = unsigned short;
using uchar = unsigned char;
using ulong = unsigned long;
using half = float16_t;
using bfloat = bfloat16_t;

#define METAL_FUNC inline
#define MLX_MTL_CONST static constexpr const
#define __METAL__ 1
#define __METAL_VERSION__ 310
#define M_E_F 2.71828182845904523536f
#define M_LOG2E_F 1.44269504088896340736f
#define M_LOG10E_F 0.43429448190325182765f
#define M_LN2_F 0.69314718055994530942f
#define M_LN10_F 2.30258509299404568402f
#define M_PI_F 3.14159265358979323846f
#define M_PI_2_F 1.57079632679489661923f
#define M_PI_4_F 0.78539816339744830962f
#define M_1_PI_F 0.31830988618379067154f
#define M_2_PI_F 0.63661977236758134308f
#define M_2_SQRTPI_F 1.12837916709551257390f
#define M_SQRT2_F 1.41421356237309504880f
#define M_SQRT1_2_F 0.70710678118654752440f
#define MAXFLOAT 3.40282346638528859812e38f
#define HUGE_VALF __builtin_huge_valf()

namespace metal {

using std::conditional_t, std::enable_if_t, std::enable_if, std::is_same, std::is_same_v;
using std::integral_constant, std::true_type, std::false_type, std::remove_cv_t, std::decay_t;
using std::is_integral, std::is_integral_v, std::is_unsigned, std::is_unsigned_v, std::declval;
using std::is_signed, std::is_signed_v, std::make_unsigned_t, std::make_signed_t, std::swap;
using std::remove_reference_t, std::is_convertible_v, std::conditional, std::void_t;
template <class T>
constexpr bool is_small = lazulite::is_one_of<T, half, bfloat>;
template <class T>
constexpr bool is_floating_point_v = std::is_floating_point_v<T> || is_small<T>;
template <class T>
constexpr bool is_arithmetic_v = std::is_arithmetic_v<T> || is_small<T>;
template <class T>
struct is_floating_point : std::bool_constant<is_floating_point_v<T>> {};
template <class T>
struct is_arithmetic : std::bool_constant<is_arithmetic_v<T>> {};

// ---- vectors

template <class T, int N>
struct vec;
template <class A>
concept Vectorial = requires { std::remove_cvref_t<A>::lanes; };
template <class A>
concept Number = is_arithmetic_v<std::remove_cvref_t<A>>;
template <class A>
constexpr int lanes_of() {
  if constexpr (Vectorial<A>) return std::remove_cvref_t<A>::lanes;
  else return 1;
}
template <class T, int N>
const vec<T, N>& plain(const vec<T, N>& v) { return v; }
template <class A>
auto plain(const A& a) {
  if constexpr (Vectorial<A>) return a.whole();
  else return a;
}
template <int I, class A>
auto lane(const A& a) {
  if constexpr (Vectorial<A>) return plain(a).data[I];
  else return a;
}

// Some lanes of a vector of M, in an order: v.zyx.
template <class T, int M, int... I>
struct Swizzle {
  using element = T;
  static constexpr int lanes = sizeof...(I);
  T data[M];
  vec<T, lanes> whole() const { return vec<T, lanes>(data[I]...); }
  operator vec<T, lanes>() const { return whole(); }
  Swizzle& operator=(const vec<T, lanes>& v) {
    int k = 0;
    const auto from = v;
    ((data[I] = from.data[k++]), ...);
    return *this;
  }
  Swizzle& operator=(const Swizzle& s) { return *this = s.whole(); }
  Swizzle() = default;
  Swizzle(const Swizzle&) = default;
  T operator[](int k) const { return whole()[k]; }
#define LAZULITE_ASSIGN(op) \
  template <class B>        \
  Swizzle& operator op##=(const B& b) { return *this = vec<T, lanes>(whole() op b); }
  LAZULITE_ASSIGN(+) LAZULITE_ASSIGN(-) LAZULITE_ASSIGN(*) LAZULITE_ASSIGN(/)
};

#define LAZULITE_VECTOR(N, ...)                                                                  \
  template <class T>                                                                             \
  struct vec<T, N> {                                                                             \
    using element = T;                                                                           \
    static constexpr int lanes = N;                                                              \
    union {                                                                                      \
      T data[N == 3 ? 4 : N];                                                                    \
      __VA_ARGS__                                                                                \
      LAZULITE_SWIZZLES_##N                                                                      \
    };                                                                                           \
    vec() = default;                                                                             \
    vec(const vec&) = default;                                                                   \
    vec& operator=(const vec& o) {                                                               \
      for (int i = 0; i < N; ++i) data[i] = o.data[i];                                           \
      return *this;                                                                              \
    }                                                                                            \
    template <Number A>                                                                          \
    vec(A a) {                                                                                   \
      for (int i = 0; i < N; ++i) data[i] = T(a);                                                \
    }                                                                                            \
    template <class... A>                                                                        \
      requires(sizeof...(A) > 1 && (lanes_of<A>() + ... + 0) == N)                               \
    vec(const A&... parts) {                                                                     \
      int at = 0;                                                                                \
      (put(parts, at), ...);                                                                     \
    }                                                                                            \
    template <Vectorial A>                                                                       \
      requires(lanes_of<A>() == N)                                                               \
    explicit vec(const A& a) {                                                                   \
      int at = 0;                                                                                \
      put(a, at);                                                                                \
    }                                                                                            \
    template <class A>                                                                           \
    void put(const A& a, int& at) {                                                              \
      if constexpr (Vectorial<A>) {                                                              \
        const auto from = plain(a);                                                              \
        for (int i = 0; i < lanes_of<A>(); ++i) data[at++] = T(from.data[i]);                    \
      } else {                                                                                   \
        data[at++] = T(a);                                                                       \
      }                                                                                          \
    }                                                                                            \
    const vec& whole() const { return *this; }                                                   \
    T& operator[](int i) { return data[i]; }                                                     \
    const T& operator[](int i) const { return data[i]; }                                         \
    template <class B>                                                                           \
    vec& operator+=(const B& b) { return *this = vec(*this + b); }                               \
    template <class B>                                                                           \
    vec& operator-=(const B& b) { return *this = vec(*this - b); }                               \
    template <class B>                                                                           \
    vec& operator*=(const B& b) { return *this = vec(*this * b); }                               \
    template <class B>                                                                           \
    vec& operator/=(const B& b) { return *this = vec(*this / b); }                               \
    template <class B>                                                                           \
    vec& operator%=(const B& b) { return *this = vec(*this % b); }                               \
    template <class B>                                                                           \
    vec& operator&=(const B& b) { return *this = vec(*this & b); }                               \
    template <class B>                                                                           \
    vec& operator|=(const B& b) { return *this = vec(*this | b); }                               \
    template <class B>                                                                           \
    vec& operator^=(const B& b) { return *this = vec(*this ^ b); }                               \
  };
LAZULITE_VECTOR(2, struct { T x, y; }; struct { T r, g; };)
LAZULITE_VECTOR(3, struct { T x, y, z; }; struct { T r, g, b; };)
LAZULITE_VECTOR(4, struct { T x, y, z, w; }; struct { T r, g, b, a; };)

template <class E, class F, class... A>
auto map(F f, const A&... a) {  // scalars stand for vectors of one number
  constexpr int n = std::max({lanes_of<A>()...});
  static_assert(((!Vectorial<A> || lanes_of<A>() == n) && ...), "vectors of one length");
  vec<E, n> out;
  for (int i = 0; i < n; ++i) {
    auto at = [&](const auto& v) {
      if constexpr (Vectorial<decltype(v)>) return plain(v).data[i];
      else return v;
    };
    out.data[i] = E(f(at(a)...));
  }
  return out;
}
template <class... A>
struct element_of_first;
template <class A, class... B>
struct element_of_first<A, B...> {
  static auto find() {
    if constexpr (Vectorial<A>) return typename std::remove_cvref_t<A>::element();
    else return element_of_first<B...>::find();
  }
};
template <class... A>
using element = decltype(element_of_first<A...>::find());
template <class A, class B>
concept OfVectors = (Vectorial<A> && (Vectorial<B> || Number<B>)) || (Number<A> && Vectorial<B>);

#define LAZULITE_OPERATOR(op)                                                              \
  template <class A, class B>                                                              \
    requires OfVectors<A, B>                                                               \
  auto operator op(const A& a, const B& b) {                                               \
    using E = element<A, B>;                                                               \
    return map<E>([](auto x, auto y) { return E(x) op E(y); }, a, b);                      \
  }
LAZULITE_OPERATOR(+) LAZULITE_OPERATOR(-) LAZULITE_OPERATOR(*) LAZULITE_OPERATOR(/)
LAZULITE_OPERATOR(%) LAZULITE_OPERATOR(&) LAZULITE_OPERATOR(|) LAZULITE_OPERATOR(^)
LAZULITE_OPERATOR(<<) LAZULITE_OPERATOR(>>)
#undef LAZULITE_OPERATOR
#define LAZULITE_OPERATOR(op)                                                              \
  template <class A, class B>                                                              \
    requires OfVectors<A, B>                                                               \
  auto operator op(const A& a, const B& b) {                                               \
    using E = element<A, B>;                                                               \
    return map<bool>([](auto x, auto y) { return E(x) op E(y); }, a, b);                   \
  }
LAZULITE_OPERATOR(<) LAZULITE_OPERATOR(>) LAZULITE_OPERATOR(<=) LAZULITE_OPERATOR(>=)
LAZULITE_OPERATOR(==) LAZULITE_OPERATOR(!=) LAZULITE_OPERATOR(&&) LAZULITE_OPERATOR(||)
template <Vectorial A>
auto operator-(const A& a) { return map<element<A>>([](auto x) { return -x; }, a); }
template <Vectorial A>
auto operator~(const A& a) { return map<element<A>>([](auto x) { return ~x; }, a); }
template <Vectorial A>
auto operator!(const A& a) { return map<bool>([](auto x) { return !x; }, a); }

// As it lies in memory, without padding.
template <class T, int N>
struct packed_vec {
  using element = T;
  static constexpr int lanes = N;
  T data[N];
  packed_vec() = default;
  packed_vec(const vec<T, N>& v) { for (int i = 0; i < N; ++i) data[i] = v.data[i]; }
  vec<T, N> whole() const {
    vec<T, N> v;
    for (int i = 0; i < N; ++i) v.data[i] = data[i];
    return v;
  }
  operator vec<T, N>() const { return whole(); }
  T& operator[](int i) { return data[i]; }
  const T& operator[](int i) const { return data[i]; }
};
#define LAZULITE_NAMES(T)                                                       \
  using T##2 = vec<T, 2>;                                                       \
  using T##3 = vec<T, 3>;                                                       \
  using T##4 = vec<T, 4>;                                                       \
  using packed_##T##2 = packed_vec<T, 2>;                                       \
  using packed_##T##3 = packed_vec<T, 3>;                                       \
  using packed_##T##4 = packed_vec<T, 4>;
LAZULITE_NAMES(bool) LAZULITE_NAMES(char) LAZULITE_NAMES(uchar) LAZULITE_NAMES(short)
LAZULITE_NAMES(ushort) LAZULITE_NAMES(int) LAZULITE_NAMES(uint) LAZULITE_NAMES(long)
LAZULITE_NAMES(ulong) LAZULITE_NAMES(float) LAZULITE_NAMES(half) LAZULITE_NAMES(bfloat)

// By columns, as Metal has them.
template <class T, int C, int R>
struct matrix {
  vec<T, R> columns[C];
  matrix() = default;
  template <Number A>
  explicit matrix(A d) {
    for (int c = 0; c < C; ++c) {
      columns[c] = vec<T, R>(0);
      if (c < R) columns[c][c] = T(d);
    }
  }
  template <class... A>
    requires(sizeof...(A) == C && C > 1 && (Vectorial<A> && ...))
  matrix(const A&... a) : columns{vec<T, R>(a)...} {}
  vec<T, R>& operator[](int c) { return columns[c]; }
  const vec<T, R>& operator[](int c) const { return columns[c]; }
  friend matrix operator+(matrix a, const matrix& b) {
    for (int c = 0; c < C; ++c) a[c] += b[c];
    return a;
  }
  friend matrix operator-(matrix a, const matrix& b) {
    for (int c = 0; c < C; ++c) a[c] -= b[c];
    return a;
  }
  friend matrix operator*(matrix a, T b) {
    for (int c = 0; c < C; ++c) a[c] *= b;
    return a;
  }
  friend matrix operator*(T b, const matrix& a) { return a * b; }
  friend vec<T, R> operator*(const matrix& a, const vec<T, C>& v) {
    vec<T, R> sum(0);
    for (int c = 0; c < C; ++c) sum += a[c] * v[c];
    return sum;
  }
  template <int K>
  friend matrix<T, K, R> operator*(const matrix& a, const matrix<T, K, C>& b) {
    matrix<T, K, R> out;
    for (int k = 0; k < K; ++k) out[k] = a * b[k];
    return out;
  }
};
template <class T, int C, int R>
matrix<T, R, C> transpose(const matrix<T, C, R>& a) {
  matrix<T, R, C> out;
  for (int c = 0; c < C; ++c)
    for (int r = 0; r < R; ++r) out[r][c] = a[c][r];
  return out;
}
#define LAZULITE_MATRICES(T)                                                                  \
  using T##2x2 = matrix<T, 2, 2>; using T##2x3 = matrix<T, 2, 3>; using T##2x4 = matrix<T, 2, 4>; \
  using T##3x2 = matrix<T, 3, 2>; using T##3x3 = matrix<T, 3, 3>; using T##3x4 = matrix<T, 3, 4>; \
  using T##4x2 = matrix<T, 4, 2>; using T##4x3 = matrix<T, 4, 3>; using T##4x4 = matrix<T, 4, 4>;
LAZULITE_MATRICES(float) LAZULITE_MATRICES(half)

template <class T, size_t N>
struct array {
  T lz_data[N];
  T& operator[](size_t i) { return lz_data[i]; }
  const T& operator[](size_t i) const { return lz_data[i]; }
  static constexpr size_t size() { return N; }
};

// ---- mathematics: of numbers, and of vectors lane by lane

template <class T>
auto wide(T x) {  // what the function of C++ takes
  if constexpr (is_small<T>) return float(x);
  else if constexpr (std::is_integral_v<T>) return float(x);
  else return x;
}
template <class T>
using narrow_t = conditional_t<is_floating_point_v<T>, T, float>;
template <class A, class B>
auto common_of() {
  if constexpr (is_same_v<A, B>) return A();
  else return decltype(A() + B())();
}
template <class A, class B>
using common_t = decltype(common_of<A, B>());

#define LAZULITE_UNARY(name, ...)                                                         \
  template <class A>                                                                      \
  auto name(const A& a) {                                                                 \
    if constexpr (Vectorial<A>) {                                                         \
      return map<element<A>>([](auto x) { return name(x); }, a);                          \
    } else {                                                                              \
      const auto x = wide(a);                                                             \
      using F = std::remove_const_t<decltype(x)>;                                         \
      return narrow_t<A>(F(__VA_ARGS__));                                                 \
    }                                                                                     \
  }
#define LAZULITE_STANDARD(name) LAZULITE_UNARY(name, std::name(x))
LAZULITE_STANDARD(acos) LAZULITE_STANDARD(acosh) LAZULITE_STANDARD(asin) LAZULITE_STANDARD(asinh)
LAZULITE_STANDARD(atan) LAZULITE_STANDARD(atanh) LAZULITE_STANDARD(ceil) LAZULITE_STANDARD(cos)
LAZULITE_STANDARD(cosh) LAZULITE_STANDARD(exp) LAZULITE_STANDARD(exp2) LAZULITE_STANDARD(expm1)
LAZULITE_STANDARD(fabs) LAZULITE_STANDARD(floor) LAZULITE_STANDARD(log) LAZULITE_STANDARD(log2)
LAZULITE_STANDARD(log10) LAZULITE_STANDARD(log1p) LAZULITE_STANDARD(rint) LAZULITE_STANDARD(round)
LAZULITE_STANDARD(sin) LAZULITE_STANDARD(sinh) LAZULITE_STANDARD(sqrt) LAZULITE_STANDARD(tan)
LAZULITE_STANDARD(tanh) LAZULITE_STANDARD(trunc) LAZULITE_STANDARD(erf)
LAZULITE_UNARY(exp10, std::pow(F(10), x))
LAZULITE_UNARY(rsqrt, 1 / std::sqrt(x))
LAZULITE_UNARY(fract, std::fmin(x - std::floor(x), F(0x1.fffffep-1f)))
LAZULITE_UNARY(cospi, std::cos(x * F(M_PI)))
LAZULITE_UNARY(sinpi, std::sin(x * F(M_PI)))
LAZULITE_UNARY(tanpi, std::tan(x * F(M_PI)))
LAZULITE_UNARY(saturate, std::fmin(std::fmax(x, F(0)), F(1)))
LAZULITE_UNARY(sign, x != x ? F(0) : x > 0 ? F(1) : x < 0 ? F(-1) : x)
#undef LAZULITE_STANDARD

template <class A>
auto abs(const A& a) {
  if constexpr (Vectorial<A>) return map<element<A>>([](auto x) { return metal::abs(x); }, a);
  else if constexpr (std::is_unsigned_v<A>) return a;
  else if constexpr (std::is_integral_v<A>) return A(a < 0 ? -a : a);
  else return A(std::fabs(wide(a)));
}

#define LAZULITE_BINARY(name, ...)                                                        \
  template <class A, class B>                                                             \
  auto name(const A& a, const B& b) {                                                     \
    if constexpr (Vectorial<A> || Vectorial<B>) {                                         \
      using E = element<A, B>;                                                            \
      return map<E>([](auto x, auto y) { return name(E(x), E(y)); }, a, b);               \
    } else {                                                                              \
      using C = common_t<A, B>;                                                           \
      __VA_ARGS__                                                                         \
    }                                                                                     \
  }
#define LAZULITE_STANDARD(name)                                                           \
  LAZULITE_BINARY(name, using W = decltype(wide(C())); return narrow_t<C>(                \
      std::name(W(wide(a)), W(wide(b))));)
LAZULITE_STANDARD(atan2) LAZULITE_STANDARD(copysign) LAZULITE_STANDARD(fdim)
LAZULITE_STANDARD(fmax) LAZULITE_STANDARD(fmin) LAZULITE_STANDARD(fmod) LAZULITE_STANDARD(pow)
LAZULITE_STANDARD(nextafter)
#undef LAZULITE_STANDARD
LAZULITE_BINARY(powr, return metal::pow(C(a), C(b));)
LAZULITE_BINARY(max, if constexpr (is_floating_point_v<C>) return metal::fmax(C(a), C(b));
                else return C(a) < C(b) ? C(b) : C(a);)
LAZULITE_BINARY(min, if constexpr (is_floating_point_v<C>) return metal::fmin(C(a), C(b));
                else return C(b) < C(a) ? C(b) : C(a);)
LAZULITE_BINARY(step, return C(C(b) < C(a) ? 0 : 1);)
LAZULITE_BINARY(absdiff, return C(a) < C(b) ? C(b) - C(a) : C(a) - C(b);)
LAZULITE_BINARY(hadd, return C((a & b) + ((a ^ b) >> 1));)
LAZULITE_BINARY(rhadd, return C((a | b) - ((a ^ b) >> 1));)
LAZULITE_BINARY(addsat, C out; return __builtin_add_overflow(C(a), C(b), &out)
                    ? (b < C(0) ? std::numeric_limits<C>::min() : std::numeric_limits<C>::max())
                    : out;)
LAZULITE_BINARY(subsat, C out; return __builtin_sub_overflow(C(a), C(b), &out)
                    ? (b > C(0) ? std::numeric_limits<C>::min() : std::numeric_limits<C>::max())
                    : out;)
LAZULITE_BINARY(mulhi, return C(((__int128)a * (__int128)b) >> (sizeof(C) * 8));)
LAZULITE_BINARY(mul24, return C(a * b);)
LAZULITE_BINARY(rotate, using U = make_unsigned_t<C>; const int n = int(b) & (sizeof(C) * 8 - 1);
                return C(U(a) << n | (n ? U(a) >> (sizeof(C) * 8 - n) : U(0)));)
LAZULITE_BINARY(ldexp, return A(std::ldexp(wide(a), int(b)));)
template <class A, class B>
auto max3(const A& a, const A& b, const B& c) { return metal::max(metal::max(a, b), c); }
template <class A, class B>
auto min3(const A& a, const A& b, const B& c) { return metal::min(metal::min(a, b), c); }

#define LAZULITE_TERNARY(name, ...)                                                       \
  template <class A, class B, class D>                                                    \
  auto name(const A& a, const B& b, const D& c) {                                         \
    if constexpr (Vectorial<A> || Vectorial<B> || Vectorial<D>) {                         \
      using E = element<A, B, D>;                                                         \
      return map<E>([](auto x, auto y, auto z) { return name(E(x), E(y), E(z)); }, a, b, c); \
    } else {                                                                              \
      using C = common_t<common_t<A, B>, D>;                                              \
      __VA_ARGS__                                                                         \
    }                                                                                     \
  }
LAZULITE_TERNARY(clamp, return metal::min(metal::max(C(a), C(b)), C(c));)
LAZULITE_TERNARY(fma, using W = decltype(wide(C()));
                 return narrow_t<C>(std::fma(W(wide(a)), W(wide(b)), W(wide(c))));)
LAZULITE_TERNARY(mix, return C(C(a) + (C(b) - C(a)) * C(c));)
LAZULITE_TERNARY(smoothstep, const C t = metal::clamp((C(c) - C(a)) / (C(b) - C(a)), C(0), C(1));
                 return C(t * t * (C(3) - C(2) * t));)
LAZULITE_TERNARY(mad, return C(C(a) * C(b) + C(c));)
LAZULITE_TERNARY(mad24, return C(C(a) * C(b) + C(c));)
LAZULITE_TERNARY(mad_hi, return C(metal::mulhi(C(a), C(b)) + C(c));)
template <class A, class B, class D>
auto select(const A& a, const B& b, const D& c) {  // where c, b
  if constexpr (Vectorial<A> || Vectorial<B>) {
    using E = element<A, B>;
    return map<E>([](auto x, auto y, auto z) { return z ? E(y) : E(x); }, a, b, c);
  } else {
    using C = common_t<A, B>;
    return c ? C(b) : C(a);
  }
}
#define LAZULITE_TEST(name, ...)                                                          \
  template <class A>                                                                      \
  auto name(const A& a) {                                                                 \
    if constexpr (Vectorial<A>) return map<bool>([](auto x) { return name(x); }, a);      \
    else {                                                                                \
      const auto x = wide(a);                                                             \
      return bool(__VA_ARGS__);                                                           \
    }                                                                                     \
  }
LAZULITE_TEST(isnan, std::isnan(x)) LAZULITE_TEST(isinf, std::isinf(x))
LAZULITE_TEST(isfinite, std::isfinite(x)) LAZULITE_TEST(isnormal, std::isnormal(x))
LAZULITE_TEST(signbit, std::signbit(x))

#define LAZULITE_BITS(name, ...)                                                          \
  template <class A>                                                                      \
  auto name(const A& a) {                                                                 \
    if constexpr (Vectorial<A>) return map<element<A>>([](auto x) { return name(x); }, a); \
    else {                                                                                \
      const auto x = make_unsigned_t<A>(a);                                               \
      constexpr int n = sizeof(A) * 8;                                                    \
      return A(__VA_ARGS__);                                                              \
    }                                                                                     \
  }
LAZULITE_BITS(popcount, __builtin_popcountll(x) + 0 * n)
LAZULITE_BITS(clz, x ? __builtin_clzll(x) - (64 - n) : n)
LAZULITE_BITS(ctz, x ? __builtin_ctzll(x) : n)
template <class A>
auto reverse_bits(const A& a) {
  if constexpr (Vectorial<A>) {
    return map<element<A>>([](auto x) { return reverse_bits(x); }, a);
  } else {
    make_unsigned_t<A> out = 0, from = a;
    for (size_t i = 0; i < sizeof(A) * 8; ++i, from >>= 1) out = out << 1 | (from & 1);
    return A(out);
  }
}
template <class T>
T extract_bits(T x, uint offset, uint bits) {
  if (bits == 0) return 0;
  const uint n = sizeof(T) * 8;
  return T(T(x << (n - bits - offset)) >> (n - bits));
}
template <class T>
T insert_bits(T base, T insert, uint offset, uint bits) {
  if (bits == 0) return base;
  using U = make_unsigned_t<T>;
  const U mask = U(U(~U(0)) >> (sizeof(T) * 8 - bits)) << offset;
  return T((U(base) & ~mask) | (U(U(insert) << offset) & mask));
}

template <class A>
auto any(const A& a) {
  bool found = false;
  if constexpr (Vectorial<A>) for (int i = 0; i < lanes_of<A>(); ++i) found |= bool(plain(a)[i]);
  else found = bool(a);
  return found;
}
template <class A>
auto all(const A& a) {
  bool each = true;
  if constexpr (Vectorial<A>) for (int i = 0; i < lanes_of<A>(); ++i) each &= bool(plain(a)[i]);
  else each = bool(a);
  return each;
}
template <Vectorial A, Vectorial B>
auto dot(const A& a, const B& b) {
  element<A> sum = element<A>(0);
  for (int i = 0; i < lanes_of<A>(); ++i) sum += element<A>(plain(a)[i] * plain(b)[i]);
  return sum;
}
template <Vectorial A>
auto length_squared(const A& a) { return dot(a, a); }
template <Vectorial A>
auto length(const A& a) { return metal::sqrt(dot(a, a)); }
template <Vectorial A, Vectorial B>
auto distance(const A& a, const B& b) { return metal::length(a - b); }
template <Vectorial A, Vectorial B>
auto distance_squared(const A& a, const B& b) { return metal::length_squared(a - b); }
template <Vectorial A>
auto normalize(const A& a) { return a * metal::rsqrt(dot(a, a)); }
template <Vectorial A, Vectorial B>
auto cross(const A& left, const B& right) {
  const auto a = plain(left), b = plain(right);
  return vec<element<A>, 3>(a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2],
                            a[0] * b[1] - a[1] * b[0]);
}
template <Vectorial A, Vectorial B>
auto reflect(const A& i, const B& n) { return i - 2 * dot(n, i) * plain(n); }
template <class A, class B>
auto sincos(const A& a, B& cosine) {
  cosine = metal::cos(a);
  return metal::sin(a);
}
template <class A, class B>
auto modf(const A& a, B& whole) {
  whole = metal::trunc(a);
  return a - whole;
}
template <class To, class From>
To as_type(const From& from) { return lazulite::bits_as<To>(from); }

template <class T>
struct numeric_limits : std::numeric_limits<T> {};
template <class T, uint16_t largest, uint16_t least, uint16_t step, uint16_t endless, uint16_t none>
struct SmallLimits {
  static constexpr bool is_specialized = true, is_signed = true, has_infinity = true;
  static T of(uint16_t bits) { return lazulite::bits_as<T>(bits); }
  static T max() { return of(largest); }
  static T lowest() { return of(largest | 0x8000); }
  static T min() { return of(least); }
  static T epsilon() { return of(step); }
  static T infinity() { return of(endless); }
  static T quiet_NaN() { return of(none); }
};
template <>
struct numeric_limits<half> : SmallLimits<half, 0x7bff, 0x0400, 0x1400, 0x7c00, 0x7e00> {};
template <>
struct numeric_limits<bfloat> : SmallLimits<bfloat, 0x7f7f, 0x0080, 0x3c00, 0x7f80, 0x7fc0> {};

namespace fast = ::metal;
namespace precise = ::metal;

// ---- what MLX puts before each kernel

template <class T>
struct Limits {
  static inline const T max = [] {
    if constexpr (is_floating_point_v<T>) return numeric_limits<T>::infinity();
    else return numeric_limits<T>::max();
  }();
  static inline const T min = [] {
    if constexpr (is_floating_point_v<T>) return T(-numeric_limits<T>::infinity());
    else return numeric_limits<T>::lowest();
  }();
  static inline const T finite_max = numeric_limits<T>::max();
  static inline const T finite_min = numeric_limits<T>::lowest();
};
template <class T, class U>
auto ceildiv(T n, U m) { return (n + m - 1) / m; }
// What the parameters of a whole kernel point to: operands are pointers, or, without axes,
// references.
template <class T>
T* buffer_of(T* operand) {
  return operand;
}
template <class T>
const T* buffer_of(const T& operand) {
  return &operand;
}

template <class I = size_t, class S, class D>
I elem_to_loc(I at, const S* shape, const D* strides, int ndim) {
  I place = 0;
  for (int i = ndim - 1; i >= 0 && at > 0; --i) {
    place += I(at % I(shape[i])) * I(strides[i]);
    at /= I(shape[i]);
  }
  return place;
}
template <class S, class D>
size_t elem_to_loc(uint3 at, const S* shape, const D* strides, int ndim) {
  size_t place = at.x * strides[ndim - 1] + at.y * strides[ndim - 2];
  for (int d = ndim - 3; d >= 0; --d) {
    place += (at.z % shape[d]) * strides[d];
    at.z /= shape[d];
  }
  return place;
}

// ---- atomics

enum memory_order { memory_order_relaxed, memory_order_acquire, memory_order_release,
                    memory_order_acq_rel, memory_order_seq_cst };
template <class T>
struct atomic {
  T lz_value;
};
using atomic_int = atomic<int>;
using atomic_uint = atomic<uint>;
using atomic_bool = atomic<bool>;
using atomic_float = atomic<float>;
using atomic_ulong = atomic<ulong>;
template <class T>
using bits_of = conditional_t<sizeof(T) == 1, uint8_t,
                              conditional_t<sizeof(T) == 2, uint16_t,
                                            conditional_t<sizeof(T) == 4, uint32_t, uint64_t>>>;
template <class T>
struct Same {
  using type = T;
};
template <class T>
using same = typename Same<T>::type;  // is not asked what T is
template <class T>
bits_of<T>* memory(const volatile atomic<T>* p) {
  return reinterpret_cast<bits_of<T>*>(const_cast<atomic<T>*>(p));
}
template <class T>
T atomic_load_explicit(const volatile atomic<T>* p, memory_order) {
  return lazulite::bits_as<T>(__atomic_load_n(memory(p), __ATOMIC_SEQ_CST));
}
template <class T>
void atomic_store_explicit(volatile atomic<T>* p, same<T> v, memory_order) {
  __atomic_store_n(memory(p), lazulite::bits_as<bits_of<T>>(v), __ATOMIC_SEQ_CST);
}
template <class T>
T atomic_exchange_explicit(volatile atomic<T>* p, same<T> v, memory_order) {
  return lazulite::bits_as<T>(
      __atomic_exchange_n(memory(p), lazulite::bits_as<bits_of<T>>(v), __ATOMIC_SEQ_CST));
}
template <class T>
bool atomic_compare_exchange_weak_explicit(volatile atomic<T>* p, same<T>* expected, same<T> wanted,
                                           memory_order, memory_order) {
  auto before = lazulite::bits_as<bits_of<T>>(*expected);
  const bool done =
      __atomic_compare_exchange_n(memory(p), &before, lazulite::bits_as<bits_of<T>>(wanted), false,
                                  __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
  *expected = lazulite::bits_as<T>(before);
  return done;
}
template <class T, class F>
T change(volatile atomic<T>* p, F f) {
  auto before = __atomic_load_n(memory(p), __ATOMIC_RELAXED);
  for (;;) {
    const T now = lazulite::bits_as<T>(before);
    if (__atomic_compare_exchange_n(memory(p), &before, lazulite::bits_as<bits_of<T>>(T(f(now))),
                                    true, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
      return now;
  }
}
#define LAZULITE_ATOMIC(name, ...)                                                     \
  template <class T>                                                                   \
  T atomic_fetch_##name##_explicit(volatile atomic<T>* p, same<T> v, memory_order) {   \
    return change(p, [v](T now) { return __VA_ARGS__; });                              \
  }
LAZULITE_ATOMIC(add, now + v) LAZULITE_ATOMIC(sub, now - v)
LAZULITE_ATOMIC(max, now < v ? v : now) LAZULITE_ATOMIC(min, v < now ? v : now)
LAZULITE_ATOMIC(and, now & v) LAZULITE_ATOMIC(or, now | v) LAZULITE_ATOMIC(xor, now ^ v)

}  // namespace metal

// ---- threadgroups

namespace lazulite {

constexpr int simd_width = 32;
constexpr size_t largest_value = 64;  // bytes that a thread can show its simdgroup at once

#if defined(__x86_64__)
__attribute__((naked, noinline, used)) static void change_stack(void** /*from*/, void* /*to*/) {
  asm volatile(
      "pushq %rbp\n\tpushq %rbx\n\tpushq %r12\n\tpushq %r13\n\tpushq %r14\n\tpushq %r15\n\t"
      "movq %rsp, (%rdi)\n\tmovq %rsi, %rsp\n\t"
      "popq %r15\n\tpopq %r14\n\tpopq %r13\n\tpopq %r12\n\tpopq %rbx\n\tpopq %rbp\n\tret\n\t");
}
struct Context {
  void* stack = nullptr;
  void begin(char* bottom, size_t bytes, void (*entry)()) {
    void** top = reinterpret_cast<void**>(bottom + bytes);
    *--top = nullptr;  // where `entry` would return to: it never does
    *--top = reinterpret_cast<void*>(entry);
    for (int i = 0; i < 6; ++i) *--top = nullptr;
    stack = top;
  }
  void go(Context& to) { change_stack(&stack, to.stack); }
};
#else
struct Context {
  ucontext_t all;
  void begin(char* bottom, size_t bytes, void (*entry)()) {
    getcontext(&all);
    all.uc_stack.ss_sp = bottom;
    all.uc_stack.ss_size = bytes;
    all.uc_link = nullptr;
    makecontext(&all, entry, 0);
  }
  void go(Context& to) { swapcontext(&all, &to.all); }
};
#endif

// The threads of a threadgroup, in simdgroups of 32. Each runs until it waits; when all threads of
// a simdgroup wait at one function of the simdgroup, or all of the threadgroup at the barrier, they
// go on. Where a branch has parted a simdgroup, those that are furthest back in the source go
// first.
class Crew {
 public:
  enum State : uint8_t { ready, at_simd, at_group, done };
  struct Fiber {
    Context context;
    State state;
    int place;  // in the source
  };
  struct Simd {
    alignas(16) char shown[simd_width][largest_value], seen[simd_width][largest_value];
    bool active[simd_width];
    bool folded;  // what `fold` gave the first of them
    alignas(16) char result[largest_value];
  };

  static Crew& mine() {
    static thread_local Crew crew;
    return crew;
  }

  template <class F>
  void run(uint32_t threads, const F& f) {
    prepare(threads);
    body_ = &f;
    call_ = [](const void* body, uint32_t i) { (*static_cast<const F*>(body))(i); };
    for (uint32_t i = 0; i < threads; ++i) {
      // Not all at one offset in their pages: they would meet in one set of the caches.
      fibers_[i].context.begin(memory_ + i * (stack + guard) + guard, stack - i % 128 * 192,
                               &Crew::entry);
      fibers_[i].state = ready;
    }
    for (;;) {
      for (uint32_t first = 0; first < threads; first += simd_width)
        run_simd(first, std::min(threads, first + simd_width));
      int place = -1;
      bool waiting = false;
      for (uint32_t i = 0; i < threads; ++i) {
        if (fibers_[i].state == done) continue;
        if (waiting && fibers_[i].place != place)
          throw std::runtime_error("threads of a threadgroup wait at different barriers: lines " +
                                   std::to_string(place) + " and " +
                                   std::to_string(fibers_[i].place) + " of the source");
        waiting = true;
        place = fibers_[i].place;
      }
      if (!waiting) return;
      for (uint32_t i = 0; i < threads; ++i)
        if (fibers_[i].state == at_group) fibers_[i].state = ready;
    }
  }

  void wait(State why, int place) {
    Fiber& me = fibers_[now_];
    me.state = why;
    me.place = place;
    me.context.go(home_);
  }
  Simd& simd() { return simds_[now_ / simd_width]; }
  uint32_t lane() const { return now_ % simd_width; }

  ~Crew() {
    if (memory_) munmap(memory_, bytes_);
  }

 private:
  static constexpr size_t stack = 256 << 10, guard = 16 << 10;

  static void entry() {
    Crew& crew = mine();
    crew.call_(crew.body_, crew.now_);
    crew.wait(done, 0);
  }

  void prepare(uint32_t threads) {
    if (fibers_.size() >= threads) return;
    if (memory_) munmap(memory_, bytes_);
    bytes_ = threads * (stack + guard);
    void* const got = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (got == MAP_FAILED) {
      memory_ = nullptr;
      fibers_.clear();
      throw std::bad_alloc();
    }
    memory_ = static_cast<char*>(got);
    for (uint32_t i = 0; i < threads; ++i)
      mprotect(memory_ + i * (stack + guard), guard, PROT_NONE);
    fibers_ = std::vector<Fiber>(threads);
    simds_ = std::vector<Simd>((threads + simd_width - 1) / simd_width);
  }

  void run_simd(uint32_t first, uint32_t end) {
    for (;;) {
      for (uint32_t i = first; i < end; ++i) {
        if (fibers_[i].state != ready) continue;
        now_ = i;
        home_.go(fibers_[i].context);
      }
      int place = INT_MAX;
      for (uint32_t i = first; i < end; ++i)
        if (fibers_[i].state == at_simd) place = std::min(place, fibers_[i].place);
      if (place == INT_MAX) return;
      Simd& simd = simds_[first / simd_width];
      simd.folded = false;
      for (uint32_t i = 0; i < simd_width; ++i) {
        const bool here = first + i < end && fibers_[first + i].state == at_simd &&
                          fibers_[first + i].place == place;
        simd.active[i] = here;
        if (!here) continue;
        std::memcpy(simd.seen[i], simd.shown[i], largest_value);
        fibers_[first + i].state = ready;
      }
    }
  }

  std::vector<Fiber> fibers_;
  std::vector<Simd> simds_;
  char* memory_ = nullptr;
  size_t bytes_ = 0;
  Context home_;
  uint32_t now_ = 0;
  const void* body_ = nullptr;
  void (*call_)(const void*, uint32_t) = nullptr;
};

// f(x, y, z, index) for each thread of a group.
template <bool together, class F>
inline void each_thread(const Group<uint32_t>& g, const F& f) {
  if constexpr (together) {
    Crew::mine().run(g.size[0] * g.size[1] * g.size[2], [&](uint32_t i) {
      f(g.first[0] + i % g.size[0], g.first[1] + i / g.size[0] % g.size[1],
        g.first[2] + i / g.size[0] / g.size[1], i);
    });
  } else {
    uint32_t i = 0;
    for (uint32_t z = g.first[2]; z < g.first[2] + g.size[2]; ++z)
      for (uint32_t y = g.first[1]; y < g.first[1] + g.size[1]; ++y)
        for (uint32_t x = g.first[0]; x < g.first[0] + g.size[0]; ++x) f(x, y, z, i++);
  }
}

template <int N>
struct Ints {  // shapes are ints in Metal
  int at[N ? N : 1];
  explicit Ints(const int64_t* from) {
    for (int i = 0; i < N; ++i) at[i] = int(from[i]);
  }
};

}  // namespace lazulite

namespace metal {

enum class mem_flags { mem_none = 0, mem_device = 1, mem_threadgroup = 2, mem_texture = 4,
                       mem_threadgroup_imageblock = 8, mem_object_data = 16 };
constexpr mem_flags operator|(mem_flags a, mem_flags b) { return mem_flags(int(a) | int(b)); }

inline void threadgroup_barrier(mem_flags, int line = __builtin_LINE()) {
  lazulite::Crew::mine().wait(lazulite::Crew::at_group, line);
}
inline void simdgroup_barrier(mem_flags, int line = __builtin_LINE()) {
  lazulite::Crew::mine().wait(lazulite::Crew::at_simd, line * 64);
}
inline void atomic_thread_fence(mem_flags, memory_order = memory_order_relaxed) {
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

// What the active threads of the simdgroup showed.
template <class T>
struct Seen {
  lazulite::Crew::Simd& simd;
  uint lane;
  bool has(uint i) const { return i < uint(lazulite::simd_width) && simd.active[i]; }
  T operator[](uint i) const {
    T v;
    std::memcpy(static_cast<void*>(&v), simd.seen[i], sizeof(T));
    return v;
  }
  T at(uint i) const { return has(i) ? (*this)[i] : (*this)[lane]; }
  // By halves, lane i with lane i + 16, 8, 4, 2, 1: the same order whatever else runs.
  template <class F>
  T fold(uint first, uint count, F f) const {
    T found;
    if (count == 32 && simd.folded) {
      std::memcpy(static_cast<void*>(&found), simd.result, sizeof(T));
      return found;
    }
    T v[lazulite::simd_width];
    bool is[lazulite::simd_width];
    for (uint i = 0; i < count; ++i)
      if ((is[i] = has(first + i))) v[i] = (*this)[first + i];
    for (uint step = count / 2; step; step /= 2)
      for (uint i = 0; i < step; ++i) {
        if (!is[i + step]) continue;
        v[i] = is[i] ? T(f(v[i], v[i + step])) : v[i + step];
        is[i] = true;
      }
    if (count == 32) {
      simd.folded = true;
      std::memcpy(simd.result, &v[0], sizeof(T));
    }
    return v[0];
  }
};
template <class A>
auto show(const A& a, int op, int line) {
  using T = std::remove_cvref_t<decltype(plain(a))>;
  static_assert(sizeof(T) <= lazulite::largest_value, "a value of at most 64 bytes");
  lazulite::Crew& crew = lazulite::Crew::mine();
  lazulite::Crew::Simd& simd = crew.simd();
  const T value = plain(a);
  std::memcpy(simd.shown[crew.lane()], &value, sizeof(T));
  crew.wait(lazulite::Crew::at_simd, line * 64 + op);
  return Seen<T>{simd, crew.lane()};
}

#define LAZULITE_FOLD(name, op, ...)                                                      \
  template <class A>                                                                      \
  auto simd_##name(const A& a, int line = __builtin_LINE()) {                             \
    return show(a, op, line).fold(0, 32, [](auto x, auto y) { return __VA_ARGS__; });     \
  }                                                                                       \
  template <class A>                                                                      \
  auto quad_##name(const A& a, int line = __builtin_LINE()) {                             \
    const auto seen = show(a, op + 16, line);                                             \
    return seen.fold(seen.lane / 4 * 4, 4, [](auto x, auto y) { return __VA_ARGS__; });   \
  }
LAZULITE_FOLD(sum, 1, x + y) LAZULITE_FOLD(product, 2, x* y)
LAZULITE_FOLD(max, 3, metal::max(x, y)) LAZULITE_FOLD(min, 4, metal::min(x, y))
LAZULITE_FOLD(and, 5, x& y) LAZULITE_FOLD(or, 6, x | y) LAZULITE_FOLD(xor, 7, x ^ y)
inline bool simd_all(bool b, int line = __builtin_LINE()) {
  return show(b, 8, line).fold(0, 32, [](bool x, bool y) { return x && y; });
}
inline bool simd_any(bool b, int line = __builtin_LINE()) {
  return show(b, 9, line).fold(0, 32, [](bool x, bool y) { return x || y; });
}
inline bool quad_all(bool b, int line = __builtin_LINE()) {
  const auto seen = show(b, 10, line);
  return seen.fold(seen.lane / 4 * 4, 4, [](bool x, bool y) { return x && y; });
}
inline bool quad_any(bool b, int line = __builtin_LINE()) {
  const auto seen = show(b, 11, line);
  return seen.fold(seen.lane / 4 * 4, 4, [](bool x, bool y) { return x || y; });
}

#define LAZULITE_SHUFFLE(name, op, ...)                                                   \
  template <class A>                                                                      \
  auto simd_##name(const A& a, int n, int line = __builtin_LINE()) {                      \
    const auto seen = show(a, op, line);                                                  \
    const int lane = int(seen.lane), width = 32;                                          \
    return seen.at(uint(__VA_ARGS__) + uint(0 * lane * width * n));                       \
  }                                                                                       \
  template <class A>                                                                      \
  auto quad_##name(const A& a, int n, int line = __builtin_LINE()) {                      \
    const auto seen = show(a, op + 12, line);                                             \
    const int lane = int(seen.lane % 4), width = 4, at = __VA_ARGS__;                     \
    return seen.at(at < 0 || at >= width ? seen.lane : seen.lane - uint(lane) + uint(at)); \
  }
LAZULITE_SHUFFLE(broadcast, 33, n) LAZULITE_SHUFFLE(shuffle, 34, n)
LAZULITE_SHUFFLE(shuffle_up, 35, lane - n) LAZULITE_SHUFFLE(shuffle_down, 36, lane + n)
LAZULITE_SHUFFLE(shuffle_xor, 37, lane ^ n)
LAZULITE_SHUFFLE(shuffle_rotate_up, 38, (lane - n) & (width - 1))
LAZULITE_SHUFFLE(shuffle_rotate_down, 39, (lane + n) & (width - 1))

#define LAZULITE_PREFIX(name, op, start, ...)                                             \
  template <class A>                                                                      \
  auto simd_prefix_inclusive_##name(const A& a, int line = __builtin_LINE()) {            \
    const auto seen = show(a, op, line);                                                  \
    auto y = seen[seen.lane];                                                             \
    bool begun = false;                                                                   \
    for (uint i = 0; i <= seen.lane; ++i) {                                               \
      if (!seen.has(i)) continue;                                                         \
      const auto x = seen[i];                                                             \
      y = begun ? decltype(y)(__VA_ARGS__) : x;                                           \
      begun = true;                                                                       \
    }                                                                                     \
    return y;                                                                             \
  }                                                                                       \
  template <class A>                                                                      \
  auto simd_prefix_exclusive_##name(const A& a, int line = __builtin_LINE()) {            \
    const auto seen = show(a, op + 1, line);                                              \
    auto y = seen[seen.lane];                                                             \
    y = decltype(y)(start);                                                               \
    for (uint i = 0; i < seen.lane; ++i) {                                                \
      if (!seen.has(i)) continue;                                                         \
      const auto x = seen[i];                                                             \
      y = decltype(y)(__VA_ARGS__);                                                       \
    }                                                                                     \
    return y;                                                                             \
  }
LAZULITE_PREFIX(sum, 52, 0, y + x) LAZULITE_PREFIX(product, 54, 1, y * x)

struct simd_vote {
  ulong lz_bits;
  explicit operator ulong() const { return lz_bits; }
  bool any() const { return lz_bits; }
  bool all() const { return lz_bits == 0xffffffff; }
};
inline simd_vote simd_ballot(bool b, int line = __builtin_LINE()) {
  const auto seen = show(b, 12, line);
  ulong bits = 0;
  for (uint i = 0; i < 32; ++i)
    if (seen.has(i) && seen[i]) bits |= ulong(1) << i;
  return {bits};
}
inline simd_vote simd_active_threads_mask(int line = __builtin_LINE()) {
  const auto seen = show(true, 13, line);
  ulong bits = 0;
  for (uint i = 0; i < 32; ++i) bits |= ulong(seen.has(i)) << i;
  return {bits};
}
inline bool simd_is_first(int line = __builtin_LINE()) {
  const auto seen = show(true, 14, line);
  uint first = 0;
  while (!seen.has(first)) ++first;
  return first == seen.lane;
}
template <class A>
auto simd_broadcast_first(const A& a, int line = __builtin_LINE()) {
  const auto seen = show(a, 15, line);
  uint first = 0;
  while (!seen.has(first)) ++first;
  return seen[first];
}

}  // namespace metal
