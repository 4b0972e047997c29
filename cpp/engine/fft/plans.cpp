#include "engine/fft/plans.h"

#include <algorithm>
#include <cmath>
#include <list>
#include <mutex>
#include <thread>
#include <tuple>

#include "engine/fft/fft.h"

namespace lazulite::engine {
namespace {

// ---- the cache: what was used last stays, to some 64 MB in all

constexpr int64_t most_bytes = int64_t(64) << 20;
enum class What : uint8_t { radices, radices_and_halves, matrix, chirp, halves };

class Cache {
 public:
  // Made outside of the lock: plans are made of others, and making may take long.
  template <class P, class Make>
  std::shared_ptr<const P> get(What what, int64_t n, Dtype type, Make make) {
    const Key key{what, n, type};
    if (const auto held = hold()) {
      for (auto it = plans_.begin(); it != plans_.end(); ++it)
        if (it->key == key) {
          plans_.splice(plans_.begin(), plans_, it);
          return std::static_pointer_cast<const P>(it->plan);
        }
    }
    std::shared_ptr<const P> made = make();
    const auto held = hold();
    if (!held) return made;
    plans_.push_front({key, made});
    bytes_ += made->bytes + 256;
    while (bytes_ > most_bytes && plans_.size() > 1) {
      bytes_ -= plans_.back().plan->bytes + 256;
      plans_.pop_back();
    }
    return made;
  }

 private:
  // It is held for moments; in the child of a fork it may be held for ever.
  std::unique_lock<std::mutex> hold() {
    std::unique_lock lock(mutex_, std::try_to_lock);
    for (int i = 0; !lock && i < 10000; ++i) {
      std::this_thread::yield();
      (void)lock.try_lock();
    }
    return lock;
  }

  using Key = std::tuple<What, int64_t, Dtype>;
  struct Entry {
    Key key;
    std::shared_ptr<const FourierPlan> plan;
  };
  std::mutex mutex_;
  std::list<Entry> plans_;
  int64_t bytes_ = 0;
};
Cache& cache() {
  static Cache* const all = new Cache;  // threads may outlive statics
  return *all;
}

// ---- roots of unity

struct Root {
  double re, im;
};
// exp(-2 pi i k / n), by an angle of at most pi / 4.
Root root(int64_t k, int64_t n) {
  using Wide = __int128;
  const Wide eighths = Wide(k % n) * 8;
  const int part = int(eighths / n);  // which eighth of the circle
  const bool back = part & 1;         // from its end
  const Wide rest = back ? Wide(part + 1) * n - eighths : eighths - Wide(part) * n;
  const double angle = double((long double)(rest) * (M_PIl / 4) / (long double)(n));
  const double c = std::cos(angle), s = std::sin(angle);
  switch ((part + 1) / 2 % 4) {  // the nearest quarter: angle = quarter +- rest
    case 0: return {c, back ? s : -s};
    case 1: return {back ? s : -s, -c};
    case 2: return {-c, back ? -s : s};
    default: return {back ? -s : s, c};
  }
}

template <class T>
struct Numbers {
  explicit Numbers(int64_t count) : bytes(size_t(count) * sizeof(T)) {}
  T& operator[](int64_t i) { return reinterpret_cast<T*>(bytes.data())[i]; }
  void set(int64_t i, Root r) {
    (*this)[2 * i] = T(r.re);
    (*this)[2 * i + 1] = T(r.im);
  }
  std::vector<char> bytes;
};

template <class F>
auto of_type(Dtype type, F f) {
  return type == float32 ? f(float()) : f(double());
}

std::vector<int> radices_of(int64_t n) {
  int twos = 0;
  std::vector<int> out;
  for (; n % 2 == 0; n /= 2) ++twos;
  // Eights, with a 2 or 4, or a 16 instead of 8 and 2.
  const int eights = twos / 3, rest = twos % 3;
  for (int i = 0; i < eights - (rest == 1 && eights ? 1 : 0); ++i) out.push_back(8);
  if (rest == 1) out.push_back(eights ? 16 : 2);
  if (rest == 2) out.push_back(4);
  for (int p = 3; n > 1; p += 2)
    for (; n % p == 0; n /= p) out.push_back(p);
  std::sort(out.begin(), out.end());  // the largest last: fewest steps over far memory
  return out;
}

template <class T>
std::shared_ptr<const RadixPlan> make_radices(int64_t n, bool halves) {
  auto plan = std::make_shared<RadixPlan>();
  Radices& r = plan->radices;
  r.n = n;
  const std::vector<int> radices = radices_of(n);
  r.steps = int(radices.size());
  int64_t m = 1;
  auto keep = [&](Numbers<T>&& numbers) -> const void* {
    plan->bytes += int64_t(numbers.bytes.size());
    return plan->tables.emplace_back(std::move(numbers.bytes)).data();
  };
  for (int i = 0; i < r.steps; ++i) {
    const int R = r.radix[i] = radices[size_t(i)];
    r.size[i] = m * R;
    Numbers<T> w(m * (R - 1) * 2);
    for (int64_t j = 0; j < m; ++j)
      for (int q = 1; q < R; ++q) w.set(j * (R - 1) + q - 1, root(j * q, m * R));
    r.twiddles[i] = keep(std::move(w));
    if (R > 8 && R != 16) {
      Numbers<T> circle(2 * R);
      for (int k = 0; k < R; ++k) {
        const Root c = root(k, R);
        circle.set(k, {c.re, -c.im});
      }
      r.circle[i] = keep(std::move(circle));
    }
    m *= R;
  }
  // The pieces of the last step lie one element further apart, so that they do not meet in the
  // cache.
  const int64_t top = r.steps > 1 ? r.size[r.steps - 2] : n + 1;
  plan->from.resize(size_t(n) + 1);
  plan->place.resize(size_t(n) + 1);
  for (int64_t i = 0; i <= n; ++i) plan->place[size_t(i)] = int32_t(i + i / top);
  for (int64_t i = 0; i < n; ++i) {
    int64_t left = i, at = 0;
    for (int k = r.steps - 1; k >= 0; --k) {
      const int64_t below = k ? r.size[k - 1] : 1;
      at += left % r.radix[k] * (below + (k && k == r.steps - 1));
      left /= r.radix[k];
    }
    plan->from[size_t(i)] = int32_t(at);
  }
  plan->from[size_t(n)] = plan->place[size_t(n)];
  r.from = plan->from.data();
  r.place = plan->place.data();
  r.elements = plan->place[size_t(n)] + 1;
  if (halves) {
    Numbers<T> w(2 * (n / 2 + 1));
    for (int64_t k = 0; k <= n / 2; ++k) w.set(k, root(k, 2 * n));
    r.halves = keep(std::move(w));
  }
  plan->bytes += 8 * (n + 1);
  return plan;
}

template <class T>
std::shared_ptr<const MatrixPlan> make_matrix(int64_t n, Dtype type) {
  auto plan = std::make_shared<MatrixPlan>();
  // Rows: a divisor of n next to its root, better a multiple of 16, as the columns.
  int64_t best = 1;
  double least = INFINITY;
  auto consider = [&](int64_t d) {
    const double a = double(d), b = double(n / d);
    const double filled = a / (std::ceil(a / 16) * 16) * (b / (std::ceil(b / 16) * 16)),
                 cost = std::abs(std::log2(a / b)) * 0.25 + 2 / filled;
    if (cost < least) least = cost, best = d;
  };
  for (int64_t d = 1; d * d <= n; ++d)
    if (n % d == 0) consider(d), consider(n / d);
  plan->rows = best;
  plan->columns = n / best;
  plan->down = radix_plan(plan->rows, type, false);
  plan->along = radix_plan(plan->columns, type, false);
  const int64_t groups = (plan->columns + most_lanes - 1) / most_lanes;
  Numbers<T> fine(plan->rows * 2 * most_lanes), coarse(groups * plan->rows * 2);
  for (int64_t k = 0; k < plan->rows; ++k)
    for (int64_t l = 0; l < most_lanes; ++l) {
      const Root w = root(k * l, n);
      fine[(2 * k) * most_lanes + l] = T(w.re);
      fine[(2 * k + 1) * most_lanes + l] = T(w.im);
    }
  for (int64_t g = 0; g < groups; ++g)
    for (int64_t k = 0; k < plan->rows; ++k)
      coarse.set(g * plan->rows + k, root(most_lanes * g * k, n));
  plan->fine = std::move(fine.bytes);
  plan->coarse = std::move(coarse.bytes);
  plan->bytes = int64_t(plan->fine.size() + plan->coarse.size());
  return plan;
}

template <class T>
std::shared_ptr<const ChirpPlan> make_chirp(int64_t n, Dtype type) {
  auto plan = std::make_shared<ChirpPlan>();
  const int64_t m = plan->m = good_length(2 * n - 1);
  Numbers<T> chirp(2 * n), mirrored(2 * m), spectrum(2 * m);
  int64_t square = 0;  // j^2 modulo 2n
  for (int64_t j = 0; j < n; ++j) {
    const Root w = root(square, 2 * n);
    chirp.set(j, w);
    mirrored.set(j, {w.re, -w.im});
    if (j) mirrored.set(m - j, {w.re, -w.im});
    square = (square + 2 * j + 1) % (2 * n);
  }
  fourier({Fourier::complex, type, false, 1.0 / double(m), m, m, {1}, {m}, {m}, 1, 1,
           mirrored.bytes.data(), spectrum.bytes.data()});
  plan->chirp = std::move(chirp.bytes);
  plan->spectrum = std::move(spectrum.bytes);
  plan->bytes = int64_t(plan->chirp.size() + plan->spectrum.size());
  return plan;
}

}  // namespace

bool has_small_primes(int64_t n) {
  for (int64_t p = 2; p <= largest_prime && n > 1; ++p)
    while (n % p == 0) n /= p;
  return n == 1;
}

int64_t good_length(int64_t n) {
  int64_t best = INT64_MAX;
  for (int64_t odd : {1, 3, 5, 9, 15})
    for (int64_t m = odd * 16; m < best; m *= 2)
      if (m >= n) best = m;
  return best;
}

std::shared_ptr<const RadixPlan> radix_plan(int64_t n, Dtype type, bool halves) {
  return cache().get<RadixPlan>(halves ? What::radices_and_halves : What::radices, n, type, [&] {
    return of_type(type, [&]<class T>(T) { return make_radices<T>(n, halves); });
  });
}
std::shared_ptr<const MatrixPlan> matrix_plan(int64_t n, Dtype type) {
  return cache().get<MatrixPlan>(What::matrix, n, type, [&] {
    return of_type(type, [&]<class T>(T) { return make_matrix<T>(n, type); });
  });
}
std::shared_ptr<const ChirpPlan> chirp_plan(int64_t n, Dtype type) {
  return cache().get<ChirpPlan>(What::chirp, n, type, [&] {
    return of_type(type, [&]<class T>(T) { return make_chirp<T>(n, type); });
  });
}
std::shared_ptr<const HalvesPlan> halves_plan(int64_t n, Dtype type) {
  return cache().get<HalvesPlan>(What::halves, n, type, [&] {
    auto plan = std::make_shared<HalvesPlan>();
    plan->roots = of_type(type, [&]<class T>(T) {
      Numbers<T> w(2 * (n / 2 + 1));
      for (int64_t k = 0; k <= n / 2; ++k) w.set(k, root(k, 2 * n));
      return std::move(w.bytes);
    });
    plan->bytes = int64_t(plan->roots.size());
    return plan;
  });
}

}  // namespace lazulite::engine
