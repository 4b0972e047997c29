// Losses made of other ops.
#include "ops/elementwise/elementwise.h"
#include "ops/fused/fused.h"
#include "ops/index/index.h"
#include "ops/reduce/reduce.h"
#include "ops/shape/shape.h"

namespace lazulite::fast {

array cross_entropy(const array& logits, const array& targets, Stream s) {
  if (is_complex(logits.dtype()))
    fail(Kind::value, "cross_entropy", "dtype not supported: got ", logits.dtype());
  if (!is_integer(targets.dtype()))
    fail(Kind::value, "cross_entropy", "targets: got ", targets.dtype(), ", expected integers");
  if (logits.ndim() == 0 ||
      targets.shape() != Shape(logits.shape().begin(), logits.shape().end() - 1))
    fail(Kind::value, "cross_entropy", "targets: got shape ", targets.shape(), " for logits of ",
         logits.shape(), ", expected their shape without the last axis");
  const Dtype t = logits.dtype() == float64 ? float64 : float32;
  if (targets.size() == 0) return astype(targets, t, s);
  const array x = astype(logits, t, s);
  const array z = subtract(x, stop_gradient(max(x, {-1}, true, s), s), s);
  const array own = take_along_axis(z, expand_dims(targets, {-1}, s), -1, s);
  return subtract(logsumexp(z, {-1}, false, s), squeeze(own, {-1}, s), s);
}

}  // namespace lazulite::fast
