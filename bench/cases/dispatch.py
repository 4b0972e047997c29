"""What Python and a call cost, whatever the arrays hold."""

import os
import subprocess
import sys

import numpy as np

from cases import Work, case

TIMES = 200


def small_arrays(api, count=2):
    return [api.data("float32", 4, 4, seed=k) for k in range(count)]


@case("dispatch", "record a + b")
def record(api):
    if not (api.lazy or api.exact):
        return None
    a, b = small_arrays(api)

    def run():
        for _ in range(1000):
            c = a + b
        return c

    return Work(run, count=1000)


def repeated(api, f, *args, times=TIMES):
    """Plain calls, none of them compiled: what a user types at the prompt."""
    wait = api.wait

    def run():
        for _ in range(times):
            out = wait(f(*args))
        return out

    return Work(run, count=times)


@case("dispatch", "add and evaluate 4 x 4")
def add(api):
    return repeated(api, lambda a, b: a + b, *small_arrays(api))


@case("dispatch", "ten ops and evaluate 4 x 4")
def ten(api):
    m = api.lib

    def f(a, b):
        x = a + b
        y = m.exp(x) * a
        z = m.tanh(y - b)
        return m.maximum(z * z + x, y) * m.sqrt(m.abs(z)) - a

    return repeated(api, f, *small_arrays(api), times=50)


@case("dispatch", "1000 scalar adds in a chain", tolerance=1e-3)
def chain(api):
    start = api.data("float32", 1)

    def run():
        x = start
        for _ in range(1000):
            x = x + 1.0
        return api.wait(x)

    return Work(run)


@case("dispatch", "a slice of 4 x 4, evaluated")
def row(api):
    return repeated(api, lambda a: a[1:3, 2], small_arrays(api)[0])


@case("dispatch", "sum of 4 x 4, evaluated")
def total(api):
    m = api.lib
    return repeated(api, lambda a: m.sum(a, axis=0), small_arrays(api)[0])


@case("dispatch", "product of 4 x 4, evaluated")
def product(api):
    return repeated(api, lambda a, b: a @ b, *small_arrays(api))


def looped(f, times=TIMES):
    def run():
        for _ in range(times):
            out = f()
        return out

    return Work(run, count=times)


@case("dispatch", "item")
def item(api):
    return looped(api.data("float32", 1).item)


@case("dispatch", "tolist of 1000")
def tolist(api):
    return looped(api.data("float32", 1000).tolist)


@case("dispatch", "np.asarray of 1000")
def asarray(api):
    a = api.data("float32", 1000)
    if type(a) is np.ndarray and not api.exact:
        return None  # it is one
    return looped(lambda: np.asarray(a))


@case("dispatch", "an array of a NumPy array of 16")
def from_numpy(api):
    values = np.arange(16, dtype=np.float32).reshape(4, 4)
    if hasattr(api, "torch"):
        return looped(lambda: api.torch.tensor(values))
    make = api.lib.array
    return looped(lambda: api.wait(make(values)))


@case("dispatch", "an array of a list of 100")
def from_list(api):
    values = [float(k) for k in range(100)]
    make = api.torch.tensor if hasattr(api, "torch") else api.lib.array
    return looped(lambda: api.wait(make(values)))


@case("start", "import")
def start(api):
    name = {"lazulite": "lazulite.core", "mlx": "mlx.core"}.get(api.name, api.name)

    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}

    def run():
        if not api.small:
            subprocess.run([sys.executable, "-c", f"import {name}"], check=True, env=environment)

    return Work(run, outputs=lambda: [])
