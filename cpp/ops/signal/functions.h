// Python's functions of signals.
#pragma once
#include "ops/functions.h"
#include "ops/signal/signal.h"

namespace lazulite::functions {

template <class M>
void add_signal(M& m) {
  m.def(
       "convolve(a, v, /, mode='full', *, stream=None)",
       [](A a, A v, const std::string& mode, S s) { return convolve(a, v, mode, s); },
       "The convolution of two vectors: sums of a[k - j] * v[j] over j. mode 'full': all n + m - 1 "
       "places at which they meet; 'same': as\n"
       "many as the longer one has, in the middle; 'valid': where the shorter one lies within the "
       "other. Up to 192 terms of float32\n"
       "(96 of float64), and integers, are added up one after the other; longer sums of floats go "
       "by Fourier transforms in float64, and are\n"
       "nan where one of their terms is not finite.\n\n"
       ">>> mx.convolve(mx.array([1, 2, 3]), mx.array([0, 1]))\n"
       "array([0, 1, 2, 3], dtype=int32)")
      .cases({"x(7), x(3)", "x(3), x(8), 'same'", "x(9), x(4), 'valid'", "x(1), x(1)"})
      .large({"x(3 * grain + 1), x(37)", "x(grain + 1), x(300), 'same'"});
  m.def(
       "correlate(a, v, /, mode='valid', *, stream=None)",
       [](A a, A v, const std::string& mode, S s) { return correlate(a, v, mode, s); },
       "The cross-correlation of two vectors: sums of a[n + k] * conj(v[n]) over n. Modes and ways "
       "are those of convolve.\n\n"
       ">>> mx.correlate(mx.array([1, 2, 3]), mx.array([0, 1]))\n"
       "array([2, 3], dtype=int32)")
      .cases({"x(7), x(3)", "x(3), x(8), 'same'", "x(9), x(4), 'full'", "x(2), x(5), 'full'"})
      .large({"x(3 * grain + 1), x(37)", "x(grain + 1), x(300), 'same'"});
  m.def(
       "hadamard_transform(a, scale=None, stream=None)",
       [](A a, const std::optional<double>& scale, S s) { return hadamard_transform(a, scale, s); },
       "The last axis times the Hadamard matrix of its order and the scale (1 / sqrt(n)), by "
       "butterflies: of m * 2^k elements with\n"
       "m = 1, 12, 20 or 28. Integers become float32.\n\n"
       ">>> mx.hadamard_transform(mx.array([1.0, 2.0]), 1.0)\n"
       "array([3, -1], dtype=float32)")
      .cases({"x(2, 3, 8)", "x(5, 16), 1.0", "x(3, 1)", "x(0, 4)", "x(3, 128), 0.5"},
             "hadamard_product")
      .large({"x(33, 8 * tile)", "x(2, 8 * grain), 1.0"});
}

}  // namespace lazulite::functions
