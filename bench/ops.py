"""Tasks of arrays: what one op costs, and what large ones do with memory and cores."""

from apis import Jax, Mx, task

N = 10_000_000
SHAPE = (1024, 4096)
SQUARE = 4096


@task("build one op (a + b)", "ns", 1000)
def build(api):
    if not isinstance(api, Mx):
        return None
    a, b = api.data(4, 4), api.data(4, 4)

    def thunk():
        for _ in range(1000):
            a + b

    return thunk


@task("add and evaluate 4x4", "us", 200)
def small(api):
    a, b = api.data(4, 4), api.data(4, 4)
    if isinstance(api, Mx):
        ev = api.mx.eval

        def thunk():
            for _ in range(200):
                ev(a + b)
    elif isinstance(api, Jax):

        def thunk():
            for _ in range(200):
                (a + b).block_until_ready()
    else:

        def thunk():
            for _ in range(200):
                a + b

    return thunk


@task("chain of 1000 scalar adds", "us")
def chain(api):
    x0 = api.data(1)

    def thunk():
        x = x0
        for _ in range(1000):
            x = x + 1.0
        if isinstance(api, Mx):
            api.mx.eval(x)
        elif isinstance(api, Jax):
            x.block_until_ready()

    return thunk


@task("gelu (erf) of 1e7 float32")
def gelu(api):
    return api.run(api.gelu, api.data(N)) if hasattr(api, "gelu") else None


@task("exp of 1e7 float32")
def exp(api):
    return api.run(api.exp, api.data(N))


@task("x * y + z of 1e7 float32")
def fma(api):
    return api.run(lambda x, y, z: x * y + z, api.data(N), api.data(N), api.data(N))


@task("softmax of 1024 x 4096 float32")
def softmax(api):
    return api.run(api.softmax, api.data(*SHAPE))


for axis, label in ((None, "all"), (1, "rows"), (0, "columns")):

    @task(f"sum of {label}, 4096 x 4096 float32")
    def total(api, axis=axis):
        return api.run(lambda x: api.sum(x, axis), api.data(SQUARE, SQUARE))


@task("product of 1024 x 1024 float32")
def product(api):
    return api.run(api.matmul, api.data(1024, 1024), api.data(1024, 1024))
