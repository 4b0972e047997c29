"""What an introduction shows: functions of NumPy, transforms in any order, changing shapes,
devices.

    python examples/introduction.py
"""

import time

import numpy as np

import lazulite.core as mx


def formula(m, x):
    rows = m.sort(m.exp(x) * m.sin(x), axis=1)
    return m.cumsum(rows, axis=0), m.argmax(rows, axis=1), m.std(rows, axis=0), m.transpose(rows)


def functions():
    x = np.random.default_rng(0).standard_normal((4, 5)).astype(np.float32)
    for ours, theirs in zip(formula(mx, mx.array(x)), formula(np, x)):
        assert np.allclose(np.array(ours), theirs, 1e-5, 1e-5)
    a = mx.array(x)
    assert np.array_equal(np.array(a[1:, ::-2]), x[1:, ::-2])
    assert np.allclose(np.array(mx.einsum("ij,kj->ik", a, a)), x @ x.T, 1e-5, 1e-5)
    return "functions and indices have NumPy's names and results"


def transforms():
    def f(x):
        return mx.exp(-x) * mx.sin(x)

    x = mx.linspace(0, 3, 7)
    slope = mx.exp(-x) * (mx.cos(x) - mx.sin(x))
    curve = -2 * mx.exp(-x) * mx.cos(x)
    ways = {
        "vmap of grad": mx.vmap(mx.grad(f))(x),
        "compile of vmap of grad": mx.compile(mx.vmap(mx.grad(f)))(x),
        "grad of the sum of vmap": mx.grad(lambda x: mx.vmap(f)(x).sum())(x),
        "vmap of compile of grad": mx.vmap(mx.compile(mx.grad(f)))(x),
    }
    for name, got in ways.items():
        assert mx.allclose(got, slope, atol=1e-6), name
    second = mx.vmap(mx.grad(mx.compile(mx.grad(f))))(x)
    assert mx.allclose(second, curve, atol=1e-5)
    return f"{', '.join(ways)} agree"


def shapes(count=200):
    """Another shape each time: nothing is compiled anew that would take long."""

    @mx.compile
    def f(x):
        return mx.tanh(x) @ mx.ones((x.shape[1], 2)) + x.sum()

    begin = time.perf_counter()
    for n in range(1, count + 1):
        mx.eval(f(mx.ones((n, 3))))
    each = 1e3 * (time.perf_counter() - begin) / count
    return f"{count} shapes of a compiled function, {each:.2f} ms each"


def devices():
    a, b = mx.random.normal((50, 50)), mx.random.normal((50, 50))
    there = [d for d in (mx.cpu, mx.gpu) if mx.is_available(d)]
    results = [mx.add(a, b, stream=d) @ b for d in there]
    assert all(mx.allclose(r, results[0], rtol=1e-4, atol=1e-4) for r in results)
    return f"the same arrays on {', '.join(map(str, there))}"


def main():
    mx.random.seed(0)
    for part in (functions, transforms, shapes, devices):
        print(f"{part.__name__}: {part()}")


if __name__ == "__main__":
    main()
