"""Random numbers. Values differ by framework: compared are moments, with those of the
distribution."""

import math

import numpy as np

from cases import Work, case

TEN = 10_000_000


def moments(api, draw, mean, std):
    """Mean and deviation in units of what chance allows, and whether numbers repeat: 0, 0, 0."""
    if api.exact:
        return Work(lambda: None, outputs=lambda: [np.zeros(3)])

    def outputs():
        v = api.to_numpy(draw()).astype("float64").ravel()
        root = math.sqrt(v.size) / 8
        same = float((np.diff(v[:1000]) == 0).all())
        far = [abs(v.mean() - mean) / std * root, abs(v.std() / std - 1) * root]
        return [np.array([0.0 if f < 1 else f for f in far] + [same])]

    return Work(draw, outputs=outputs)


def draw(name, size, mean, std, numpy, jax, torch, mx):
    """A case; each framework's function takes its own generator and the shape. Moments may be
    functions of the size."""

    @case("draws", name, tolerance=1e-6)
    def make(api):
        shape = (api.n(size),)
        if api.name in ("numpy", "reference"):
            generator = np.random.default_rng(5)
            run = lambda: numpy(generator, shape)  # noqa: E731
        elif api.name == "jax":
            key = api.jax.random.key(5)
            run = api.run(lambda key: jax(api.jax.random, key, shape), key)
        elif api.name == "torch":
            run = lambda: torch(api.torch, shape)  # noqa: E731
        elif api.name == "numexpr":
            return None
        else:
            api.mx.random.seed(5)
            run = api.run(lambda: mx(api.mx, shape))
        told = [m(shape[0]) if callable(m) else m for m in (mean, std)]
        return moments(api, run, *told)


single = np.float32
draw(
    "uniform, 1e7 float32",
    TEN,
    0.5,
    math.sqrt(1 / 12),
    lambda g, n: g.random(n, single),
    lambda r, k, n: r.uniform(k, n, single),
    lambda t, n: t.rand(n),
    lambda mx, n: mx.random.uniform(shape=n),
)
for label, count in (("1e7", TEN), ("1e4", 10**4)):
    draw(
        f"normal, {label} float32",
        count,
        0.0,
        1.0,
        lambda g, n: g.standard_normal(n, single),
        lambda r, k, n: r.normal(k, n, single),
        lambda t, n: t.randn(n),
        lambda mx, n: mx.random.normal(n),
    )
draw(
    "integers below 1000, 1e7 int32",
    TEN,
    499.5,
    math.sqrt((1000**2 - 1) / 12),
    lambda g, n: g.integers(0, 1000, n, np.int32),
    lambda r, k, n: r.randint(k, n, 0, 1000, np.int32),
    lambda t, n: t.randint(0, 1000, n, dtype=t.int32),
    lambda mx, n: mx.random.randint(0, 1000, n),
)
draw(
    "bernoulli of 0.3, 1e7",
    TEN,
    0.3,
    math.sqrt(0.3 * 0.7),
    lambda g, n: g.random(n, single) < 0.3,
    lambda r, k, n: r.bernoulli(k, 0.3, n),
    lambda t, n: t.rand(n) < 0.3,
    lambda mx, n: mx.random.bernoulli(0.3, n),
)
draw(
    "gumbel, 1e6 float32",
    10**6,
    0.5772156649,
    math.pi / math.sqrt(6),
    lambda g, n: g.gumbel(size=n).astype(single),
    lambda r, k, n: r.gumbel(k, n, single),
    lambda t, n: -t.log(t.empty(n).exponential_()),
    lambda mx, n: mx.random.gumbel(n),
)
draw(
    "permutation of 1e6",
    10**6,
    lambda n: (n - 1) / 2,
    lambda n: math.sqrt((n * n - 1) / 12),
    lambda g, n: g.permutation(n[0]),
    lambda r, k, n: r.permutation(k, n[0]),
    lambda t, n: t.randperm(n[0]),
    lambda mx, n: mx.random.permutation(n[0]),
)
