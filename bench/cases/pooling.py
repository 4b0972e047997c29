"""Pooling and upsampling of channels-last images, forward and with their gradients."""

from cases import F, Work, case
from cases.norms import gradient_work


def layer(room, name, f, *shape, tolerance=5e-3):
    """Two cases: the result, and value and gradient of the sum of its squares."""

    def inputs(api):
        return [F(*[api.n(n) if n > 64 else n for n in shape]).make(api, 40)]

    @case(room, f"{name}, {' x '.join(map(str, shape))}", tolerance=1e-4)
    def forward(api):
        args = inputs(api)
        return Work(api.run(lambda x: f(api, x), *args), args)

    @case(room, f"{name}, {' x '.join(map(str, shape))}, with gradient", tolerance=tolerance)
    def with_gradient(api):
        def loss(p):
            y = f(api, p[0])
            return api.lib.mean(y * y)

        return gradient_work(api, loss, inputs(api), [])


def pooled(kind, size, stride, padding=0):
    return lambda api, x: api.pool2d(kind, x, size, stride, padding)


layer("pooling", "maxima of 2 x 2", pooled("max", 2, 2), 16, 56, 56, 64, tolerance=0.1)
layer(  # some finite differences go over to another element of a window
    "pooling", "maxima of 3 x 3, stride 2", pooled("max", 3, 2, 1), 8, 112, 112, 64, tolerance=0.1
)
layer("pooling", "means of 2 x 2", pooled("avg", 2, 2), 16, 56, 56, 64)
layer("pooling", "maxima of 2 x 2", pooled("max", 2, 2), 64, 28, 28, 6)
for mode in ("nearest", "linear"):
    layer(
        "pooling",
        f"twice as large, {mode}",
        lambda api, x, mode=mode: api.upsample2d(x, mode),
        8,
        32,
        32,
        64,
    )
