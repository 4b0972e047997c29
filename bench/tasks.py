"""Times the tasks of one framework in this process: `python tasks.py FRAMEWORK [TASK ...]` prints JSON.

Every task is a function that returns a thunk; the thunk does one unit of work and waits for it.
"""

import json
import math
import os
import statistics
import subprocess
import sys
import time

N = 10_000_000
SHAPE = (1024, 4096)
SQUARE = 4096
TASKS: dict = {}


def task(name, unit="ms", count=1, patience=5):
    """Registers `make(api)` under a name; `count` units of work are in one call of the thunk, which is called
    at least `patience` times."""

    def register(make):
        TASKS[name] = (make, unit, count, patience)
        return make

    return register


def gauge(name, unit):
    """Registers a function that returns a number in `unit`, or None."""

    def register(read):
        TASKS[name] = (read, unit, 0, 0)
        return read

    return register


class Mx:
    """MLX's style: Lazulite and MLX."""

    def __init__(self, module):
        self.mx = module

    def data(self, *shape):
        a = self.mx.random.normal(shape, key=self.mx.random.key(1))
        self.mx.eval(a)
        return a

    def run(self, f, *args):
        g = self.mx.compile(f)
        return lambda: self.mx.eval(g(*args))

    def gelu(self, x):
        return x * 0.5 * (1 + self.mx.erf(x / math.sqrt(2)))

    def softmax(self, x):
        return self.mx.softmax(x, axis=-1)

    def sum(self, x, axis):
        return self.mx.sum(x, axis=axis)

    def exp(self, x):
        return self.mx.exp(x)

    def matmul(self, a, b):
        return a @ b


class Torch:
    def __init__(self):
        import torch

        self.torch = torch
        torch.set_grad_enabled(False)

    def data(self, *shape):
        return self.torch.randn(*shape)

    def run(self, f, *args):
        return lambda: f(*args)

    def gelu(self, x):
        return self.torch.nn.functional.gelu(x)

    def softmax(self, x):
        return self.torch.softmax(x, -1)

    def sum(self, x, axis):
        return x.sum() if axis is None else x.sum(axis)

    def exp(self, x):
        return self.torch.exp(x)

    def matmul(self, a, b):
        return a @ b


class Jax:
    def __init__(self):
        import jax

        self.jax, self.np = jax, jax.numpy

    def data(self, *shape):
        return self.jax.random.normal(self.jax.random.key(1), shape).block_until_ready()

    def run(self, f, *args):
        g = self.jax.jit(f)
        return lambda: g(*args).block_until_ready()

    def gelu(self, x):
        return self.jax.nn.gelu(x, approximate=False)

    def softmax(self, x):
        return self.jax.nn.softmax(x, axis=-1)

    def sum(self, x, axis):
        return self.np.sum(x, axis=axis)

    def exp(self, x):
        return self.np.exp(x)

    def matmul(self, a, b):
        return a @ b


class Numpy:
    def __init__(self):
        import numpy

        self.np = numpy

    def data(self, *shape):
        return self.np.random.default_rng(1).standard_normal(shape).astype(self.np.float32)

    def run(self, f, *args):
        return lambda: f(*args)

    def softmax(self, x):
        e = self.np.exp(x - x.max(-1, keepdims=True))
        return e / e.sum(-1, keepdims=True)

    def sum(self, x, axis):
        return self.np.sum(x, axis=axis)

    def exp(self, x):
        return self.np.exp(x)

    def matmul(self, a, b):
        return a @ b


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


def framework(name):
    if name == "lazulite":
        import lazulite.core as mx

        return Mx(mx)
    if name == "mlx":
        import mlx.core as mx

        return Mx(mx)
    return {"torch": Torch, "jax": Jax, "numpy": Numpy}[name]()


MODULES = {"lazulite": "lazulite.core", "mlx": "mlx.core", "torch": "torch", "jax": "jax", "numpy": "numpy"}
SCALE = {"ns": 1e9, "us": 1e6, "ms": 1e3}


def measure(thunk, seconds=0.6, least=5):
    thunk()
    times = []
    end = time.perf_counter() + seconds
    while len(times) < least or (time.perf_counter() < end and len(times) < 500):
        start = time.perf_counter()
        thunk()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def import_time(name):
    code = f"import time; t = time.perf_counter(); import {MODULES[name]}; print(time.perf_counter() - t)"
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    run = lambda: float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True).stdout)  # noqa: E731
    run()
    return statistics.median(run() for _ in range(5))


def main():
    name, wanted = sys.argv[1], sys.argv[2:]
    api = framework(name)
    out = {"import": [import_time(name) * 1e3, "ms"]}
    for label, (make, unit, count, patience) in TASKS.items():
        if wanted and not any(w in label for w in wanted):
            continue
        made = make(api)
        if made is not None:
            out[label] = [measure(made, least=patience) * SCALE[unit] / count if count else made, unit]
    if name == "lazulite":
        out["isa"] = [api.mx.device_info()["architecture"], ""]
        out["threads"] = [api.mx.num_threads(), ""]
    print(json.dumps(out))


if __name__ == "__main__":
    sys.modules["tasks"] = sys.modules["__main__"]  # one list of tasks
    import transforms  # noqa: F401  (registers its own)

    main()
