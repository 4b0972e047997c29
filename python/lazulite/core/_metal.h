// Metal's words in C++: types, vectors, matrices, mathematics, and what MLX puts before each
// kernel. What threads do together is in _metal_threads.h.
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

}  // namespace metal
