// Sliding products and Hadamard transforms on the CPU: describes operands to engine/signal.
#include "engine/signal/signal.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstring>
#include <vector>

#include "device/cpu/pool.h"
#include "ops/cpu.h"
#include "ops/signal/ops.h"

namespace lazulite {
namespace {

// Where a weight is not finite, sums at the ends once more, of what is there.
template <class T>
void sum_ends(const Ends& ends, int64_t lines, int64_t length, int64_t terms, const char* x,
              const char* w, char* out) {
  const int64_t places = length - terms + 1, last = length - ends.high;
  if (ends.low + ends.high == 0) return;
  for (int64_t line = 0; line < lines; ++line) {
    const T* v = reinterpret_cast<const T*>(x) + line * length;
    const T* u = reinterpret_cast<const T*>(w) + line * terms;
    T* to = reinterpret_cast<T*>(out) + line * places;
    if (std::all_of(u, u + terms, [](T a) { return std::isfinite(a); })) continue;
    for (int64_t p = 0; p < places; ++p) {
      if (p >= ends.low && p + terms <= last) {
        p = std::max(p, last - terms);
        continue;
      }
      T sum = 0;
      for (int64_t j = std::max<int64_t>(0, ends.low - p); j < std::min(terms, last - p); ++j)
        sum += v[p + j] * u[j];
      to[p] = sum;
    }
  }
}

void sliding_kernel(const KernelCall& call) {
  const TensorView &to = call.out[0];
  if (size_of(to.shape()) == 0) return;
  const int64_t length = call.in[0].shape().back(), terms = call.in[1].shape().back();
  const Dense x(call.in[0]), w(call.in[1]);
  const int64_t lines = size_of(to.shape()) / to.shape().back();
  engine::correlate({to.type(), lines, length, terms, x.data, w.data, to.data});
  const Ends& ends = call.node.get<Ends>();
  if (to.type() == float32) sum_ends<float>(ends, lines, length, terms, x.data, w.data, to.data);
  if (to.type() == float64) sum_ends<double>(ends, lines, length, terms, x.data, w.data, to.data);
}

bool is_finite(double v) { return std::isfinite(v); }
bool is_finite(std::complex<double> v) { return is_finite(v.real()) && is_finite(v.imag()); }
double product(double a, double b) { return a * b; }
std::complex<double> product(std::complex<double> a, std::complex<double> b) {
  return {a.real() * b.real() - a.imag() * b.imag(), a.real() * b.imag() + a.imag() * b.real()};
}
// Sums of the rest lie in the first input. As good as always there is nothing to add.
template <class T>
void add_endless(const KernelCall& call) {
  const TensorView& to = call.out[0];
  const int64_t all = size_of(to.shape());
  if (all == 0) return;
  const Dense made(call.in[0]), x(call.in[1]), w(call.in[2]);
  const int64_t length = call.in[1].shape().back(), terms = call.in[2].shape().back(),
                places = to.shape().back();
  const Ends& ends = call.node.get<Ends>();
  std::memcpy(to.data, made.data, size_t(all) * sizeof(T));
  const auto endless = [](const T* v, int64_t n) {
    std::vector<int64_t> found;
    for (int64_t i = 0; i < n; ++i)
      if (!is_finite(v[i])) found.push_back(i);
    return found;
  };
  for (int64_t line = 0; line < all / places; ++line) {
    const T* v = reinterpret_cast<const T*>(x.data) + line * length;
    const T* u = reinterpret_cast<const T*>(w.data) + line * terms;
    T* out = reinterpret_cast<T*>(to.data) + line * places;
    const std::vector<int64_t> in_line = endless(v, length), in_terms = endless(u, terms);
    if (in_line.empty() && in_terms.empty()) continue;
    constexpr int64_t some = 4096;  // places
    const double products = double(in_line.size()) * double(terms) +
                            double(in_terms.size()) * double(places);
    cpu::parallel_for((places + some - 1) / some, [&](int64_t block) {
      const int64_t begin = block * some, end = std::min(places, begin + some);
      auto i = std::lower_bound(in_line.begin(), in_line.end(), begin);
      for (; i != in_line.end() && *i < end + terms - 1; ++i)
        for (int64_t p = std::max(begin, *i - terms + 1); p < std::min(end, *i + 1); ++p)
          out[p] += product(v[*i], u[*i - p]);
      for (const int64_t j : in_terms)
        for (int64_t p = std::max(begin, ends.low - j); p < std::min(end, length - ends.high - j);
             ++p)
          out[p] += product(v[p + j], u[j]);
    }, products);
  }
}
void endless_kernel(const KernelCall& call) {
  is_complex(call.out[0].type()) ? add_endless<std::complex<double>>(call)
                                 : add_endless<double>(call);
}

void hadamard_kernel(const KernelCall& call) {
  const TensorView& to = call.out[0];
  const int64_t count = size_of(to.shape()), n = to.shape().back();
  if (count == 0) return;
  const Hadamard& h = call.node.get<Hadamard>();
  const Dense x(call.in[0]);
  engine::hadamard({to.type(), count / n, n, h.scale.real(), h.transposed, x.data, to.data});
}

}  // namespace

void register_signal(cpu::Kernels& kernels) {
  kernels[sliding_products_op] = {sliding_kernel};
  kernels[endless_products_op] = {endless_kernel};
  kernels[hadamard_op] = {hadamard_kernel};
}

}  // namespace lazulite
