"""Peaks, measured with --memory: what a program needs beside its arguments."""

from cases import Work, case
from cases.norms import gradient_work
from cases.programs import equation_of_state, water
from cases.training import mlp, parameters


def layers(api, segment):
    """The gradient of 24 layers gelu(x @ w), with checkpoints of `segment` layers."""
    m = api.lib
    width, batch = api.n(256), api.n(4096)
    ws = parameters(api, *[(width, width)] * 24, gain=2.0)
    x = api.array(api.values("float32", (batch, width), seed=60), "float32")

    def block(x, *ws):
        for w in ws:
            h = x @ w
            x = h * 0.5 * (1 + m.erf(h * 0.7071067811865476))
        return x

    def loss(ws, x):
        f = block
        if segment and not api.exact:
            f = api.jax.checkpoint(block) if api.name == "jax" else api.mx.checkpoint(block)
        for k in range(0, 24, segment or 24):
            x = f(x, *ws[k : k + (segment or 24)])
        return m.mean(x * x)

    return None if segment and api.name == "torch" else gradient_work(api, loss, ws, [x])


@case("memory", "gradient of 24 layers", memory=True, tolerance=1e-2)
def plain(api):
    return layers(api, 0)


@case("memory", "gradient of 24 layers, checkpoints of 4", memory=True, tolerance=1e-2)
def checkpointed(api):
    return layers(api, 4)


@case("memory", "equation of state, 1e6 float32", memory=True)
def state(api):
    if api.name == "numexpr":
        return None
    args = water(api, "float32", 10**6)
    return Work(api.compiled(lambda *a: equation_of_state(api.lib, *a), *args), args)


@case("memory", "chain of 10 ops over 1e7 float32, not compiled", memory=True)
def chain(api):
    m, x = api.lib, api.data("float32", 10**7)

    def f(x):
        for _ in range(5):
            x = m.tanh(x) * 1.5
        return x

    return None if api.name == "numexpr" else Work(api.run(f, x), [x])


@case("memory", "softmax of x @ w, 4096 x 4096 float32", memory=True)
def softmax(api):
    m = api.lib
    if api.name == "numexpr":
        return None
    x, w = api.data("float32", 4096, 64), api.data("float32", 64, 4096)
    return Work(api.run(lambda x, w: m.softmax(x @ w, axis=-1), x, w), [x, w])


@case("memory", "100 rows written one by one, 1000 x 1000 float32", memory=True)
def rows(api):
    x, v = api.data("float32", 1000, 1000), api.data("float32", 1000, seed=2)

    def f(x, v):
        x = x + 1.0
        for k in range(min(100, x.shape[0])):
            x = api.update(x, k, v)
        return x

    return None if api.name == "numexpr" else Work(api.run(f, x, v), [x, v])


@case("memory", "training step of MLP 784-256-256-10, batch 4096", memory=True, tolerance=5e-3)
def training(api):
    loss, params, rest = mlp(4096, 256, 3)(api)
    work = gradient_work(api, loss, params, rest)
    if work is None or api.exact:
        return work
    both = api.value_and_grad(loss)

    def step(params, *rest):
        value, grads = both(params, *rest)
        return [p - 1e-4 * g for p, g in zip(params, grads)]

    return Work(api.run(step, params, *rest), [*params, *rest], work.outputs)
