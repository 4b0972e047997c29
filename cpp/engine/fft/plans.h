// What transforms of one length have in common: factors and roots of unity, computed in double (or
// beyond) and rounded once, kept in a cache of bounded size.
#pragma once
#include <memory>
#include <vector>

#include "base/dtype.h"
#include "engine/fft/kernels.h"

namespace lazulite::engine {

struct FourierPlan {
  int64_t bytes = 0;  // that it holds
  virtual ~FourierPlan() = default;
};

// Side by side: n of small primes.
struct RadixPlan : FourierPlan {
  Radices radices{};
  std::vector<int32_t> from, place;
  std::vector<std::vector<char>> tables;
};
// A line of n = rows * columns as a matrix.
struct MatrixPlan : FourierPlan {
  int64_t rows, columns;
  std::shared_ptr<const RadixPlan> down, along;
  std::vector<char> fine;    // w^(l k), [k < rows][2][l < 16]
  std::vector<char> coarse;  // w^(16 g k), [g][k < rows][2]
};
// Bluestein: a convolution of length m with the chirp w^(j^2 / 2).
struct ChirpPlan : FourierPlan {
  int64_t m;
  std::vector<char> chirp, spectrum;  // n and m complex numbers
};

bool has_small_primes(int64_t n);
// The next length from n on whose only primes are 2, 3 and 5.
int64_t good_length(int64_t n);

std::shared_ptr<const RadixPlan> radix_plan(int64_t n, Dtype type, bool halves);
std::shared_ptr<const MatrixPlan> matrix_plan(int64_t n, Dtype type);
std::shared_ptr<const ChirpPlan> chirp_plan(int64_t n, Dtype type);

// The roots of a real transform of 2n in one piece.
struct HalvesPlan : FourierPlan {
  std::vector<char> roots;  // w_2n^k, k <= n / 2
};
std::shared_ptr<const HalvesPlan> halves_plan(int64_t n, Dtype type);

}  // namespace lazulite::engine
