#include "ops/compose/window.h"

#include <algorithm>
#include <cmath>

#include "ops/create/create.h"
#include "ops/elementwise/elementwise.h"

namespace lazulite {
namespace {

// M samples of a function of positions 0 to `end` at equal steps, in double.
template <class F>
array window(const char* op, int64_t M, double end, Stream s, F&& of) {
  check_shape({std::max<int64_t>(M, 0)}, float64, op);
  if (M <= 1) return ones({std::max<int64_t>(M, 0)}, float32, s);
  const array at = ramp(0.0, end / double(M - 1), M, float64, s);
  return astype(of(at), float32, s);
}

}  // namespace

array hanning(int64_t M, Stream s) {
  return window("hanning", M, 2 * M_PI, s, [&](const array& x) {
    return subtract(0.5, multiply(cos(x, s), 0.5, s), s);
  });
}
array hamming(int64_t M, Stream s) {
  return window("hamming", M, 2 * M_PI, s, [&](const array& x) {
    return subtract(0.54, multiply(cos(x, s), 0.46, s), s);
  });
}
array blackman(int64_t M, Stream s) {
  return window("blackman", M, 2 * M_PI, s, [&](const array& x) {
    const array y = subtract(0.42, multiply(cos(x, s), 0.5, s), s);
    return add(y, multiply(cos(multiply(x, 2, s), s), 0.08, s), s);
  });
}
array bartlett(int64_t M, Stream s) {
  return window("bartlett", M, 2, s, [&](const array& x) {
    return subtract(1, abs(subtract(x, 1, s), s), s);
  });
}

}  // namespace lazulite
