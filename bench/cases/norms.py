"""Rows that are read more than once: norms and softmax, and their gradients."""

from cases import F, Input, Work, case, formula

SHAPE = (2048, 1024)


def layer_norm(m, x, w, b):
    api = m.api
    if hasattr(api, "torch"):
        return api.torch.nn.functional.layer_norm(x, w.shape, w, b, 1e-5)
    if hasattr(api, "mx"):
        return api.mx.fast.layer_norm(x, w, b, 1e-5)
    mean = m.mean(x, axis=-1, keepdims=True)
    var = m.mean(m.square(x - mean), axis=-1, keepdims=True)
    return (x - mean) * m.rsqrt(var + 1e-5) * w + b


def rms_norm(m, x, w):
    api = m.api
    if hasattr(api, "torch"):
        return api.torch.nn.functional.rms_norm(x, w.shape, w, 1e-5)
    if hasattr(api, "mx"):
        return api.mx.fast.rms_norm(x, w, 1e-5)
    return x * m.rsqrt(m.mean(x * x, axis=-1, keepdims=True) + 1e-5) * w


def softmax(m, x):
    return m.softmax(x, axis=-1)


for dtype in ("float32", "bfloat16"):
    x, w = Input(dtype, *SHAPE), Input(dtype, SHAPE[1])
    formula("norms", f"layer_norm, 2048 x 1024 {dtype}", layer_norm, x, w, w)
    formula("norms", f"rms_norm, 2048 x 1024 {dtype}", rms_norm, x, w)
    formula("norms", f"softmax, 1024 x 4096 {dtype}", softmax, Input(dtype, 1024, 4096))
formula("norms", "layer_norm, 65536 x 64 float32", layer_norm, F(65536, 64), F(64), F(64))
formula("norms", "softmax, 65536 x 64 float32", softmax, F(65536, 64))
for n in (10, 50, 197):
    formula("norms", f"softmax of rows of {n}, 2e5 float32", softmax, F(200000 // n, n))
formula(
    "norms",
    "softmax of columns, 1024 x 1024 float32",
    lambda m, x: m.softmax(x, axis=0),
    F(1024, 1024),
)
formula(
    "norms",
    "softmax of a middle axis, 8 x 21 x 10000 float32",
    lambda m, x: m.softmax(x, axis=1),
    F(8, 21, 10000),
)


def gradient(name, f, *inputs):
    """Of sum(f(x, ...) * g), by everything but g."""

    @case("norms", name, tolerance=2e-3)
    def make(api):
        args = [one.make(api, seed) for seed, one in enumerate(inputs)]
        g = inputs[0].make(api, 99)
        return gradient_work(api, lambda p, g: api.lib.sum(f(api.lib, *p) * g), args, [g])


def gradient_work(api, loss, params, rest, f=None):
    """Times value and gradients of loss(params, *rest); compares the loss, and the derivative along
    one direction with a finite difference in float64."""
    shapes = [tuple(p.shape) for p in params]
    along = [api.values("float64", s, seed=1000 + k) for k, s in enumerate(shapes)]
    if api.exact:
        h = 1e-6
        ends = [loss([p + d * v for p, v in zip(params, along)], *rest) for d in (h, -h)]
        return Work(
            lambda: None, outputs=lambda: [loss(params, *rest), (ends[0] - ends[1]) / (2 * h)]
        )
    if not hasattr(api, "value_and_grad"):
        return None
    both = f or api.value_and_grad(loss)

    def outputs():
        value, grads = both(params, *rest)
        slope = sum((api.to_numpy(g).astype("float64") * v).sum() for g, v in zip(grads, along))
        return [value, slope]

    return Work(api.run(both, params, *rest), [*params, *rest], outputs)


gradient(
    "layer_norm with its gradient, 2048 x 1024 float32",
    layer_norm,
    F(*SHAPE),
    F(SHAPE[1]),
    F(SHAPE[1]),
)
gradient("rms_norm with its gradient, 2048 x 1024 float32", rms_norm, F(*SHAPE), F(SHAPE[1]))
gradient("softmax with its gradient, 1024 x 4096 float32", softmax, F(1024, 4096))
gradient(
    "softmax of columns with its gradient, 1024 x 1024 float32",
    lambda m, x: m.softmax(x, axis=0),
    F(1024, 1024),
)
gradient("softmax of short rows with its gradient, 25000 x 8 float32", softmax, F(25_000, 8))
