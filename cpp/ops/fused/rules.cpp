#include "ops/elementwise/elementwise.h"
#include "ops/fused/fused.h"
#include "ops/reduce/reduce.h"
#include "ops/shape/shape.h"

namespace lazulite::fast {
namespace {

Dtype checked(const array& x, const array& weight, const array& bias, const char* op) {
  if (x.ndim() == 0) fail(Kind::value, op, "0-d array: got shape (), expected one axis or more");
  if (!is_floating(x.dtype()))
    fail(Kind::value, op, "dtype not supported: got ", x.dtype(), ", expected a floating dtype");
  Dtype t = x.dtype();
  for (const array* p : {&weight, &bias})
    if (*p) {
      if (p->shape() != Shape{x.shape(-1)})
        fail(Kind::value, op, "parameter does not fit: got shape ", p->shape(), ", expected (",
             x.shape(-1), ",)");
      t = promote(t, p->dtype());
    }
  return t;
}

array with_parameters(array y, const array& weight, const array& bias, Dtype t, Stream s) {
  const Dtype wide = compute_type(t);
  y = astype(y, wide, s);
  if (weight) y = multiply(y, astype(weight, wide, s), s);
  if (bias) y = add(y, astype(bias, wide, s), s);
  return astype(y, t, s);
}

}  // namespace

array layer_norm(const array& x, const array& weight, const array& bias, double eps, Stream s) {
  const Dtype t = checked(x, weight, bias, "layer_norm");
  const array wide = astype(x, compute_type(x.dtype()), s),
              centred = subtract(wide, mean(wide, {-1}, true, s), s);
  const array scale = rsqrt(add(mean(square(centred, s), {-1}, true, s), eps, s), s);
  return with_parameters(multiply(centred, scale, s), weight, bias, t, s);
}

array rms_norm(const array& x, const array& weight, double eps, Stream s) {
  const Dtype t = checked(x, weight, {}, "rms_norm");
  const array wide = astype(x, compute_type(x.dtype()), s);
  const array scale = rsqrt(add(mean(square(wide, s), {-1}, true, s), eps, s), s);
  return with_parameters(multiply(wide, scale, s), weight, {}, t, s);
}

}  // namespace lazulite::fast
