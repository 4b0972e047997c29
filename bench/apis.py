"""The frameworks as one interface, and the list of tasks: what ops.py and transforms.py are written
in."""

import math

TASKS: dict = {}


def task(name, unit="ms", count=1, patience=5):
    """Registers `make(api)` under a name; `count` units of work are in one call of the thunk, which
    is called at least `patience` times."""

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


class Api:
    """What frameworks share: functions of `lib` under NumPy's names."""

    def run(self, f, *args):
        return lambda: f(*args)

    def sum(self, x, axis):
        return self.lib.sum(x, axis=axis)

    def exp(self, x):
        return self.lib.exp(x)

    def matmul(self, a, b):
        return a @ b


class Mx(Api):
    """MLX's style: Lazulite and MLX."""

    def __init__(self, module):
        self.lib = self.mx = module

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


class Torch(Api):
    def __init__(self):
        import torch

        self.lib = self.torch = torch
        torch.set_grad_enabled(False)

    def data(self, *shape):
        return self.torch.randn(*shape)

    def gelu(self, x):
        return self.torch.nn.functional.gelu(x)

    def softmax(self, x):
        return self.torch.softmax(x, -1)

    def sum(self, x, axis):
        return x.sum() if axis is None else x.sum(axis)


class Jax(Api):
    def __init__(self):
        import jax

        self.jax, self.lib = jax, jax.numpy

    def data(self, *shape):
        return self.jax.random.normal(self.jax.random.key(1), shape).block_until_ready()

    def run(self, f, *args):
        g = self.jax.jit(f)
        return lambda: g(*args).block_until_ready()

    def gelu(self, x):
        return self.jax.nn.gelu(x, approximate=False)

    def softmax(self, x):
        return self.jax.nn.softmax(x, axis=-1)


class Numpy(Api):
    def __init__(self):
        import numpy

        self.lib = numpy

    def data(self, *shape):
        return self.lib.random.default_rng(1).standard_normal(shape).astype(self.lib.float32)

    def softmax(self, x):
        e = self.lib.exp(x - x.max(-1, keepdims=True))
        return e / e.sum(-1, keepdims=True)


def framework(name):
    if name == "lazulite":
        import lazulite.core as mx

        return Mx(mx)
    if name == "mlx":
        import mlx.core as mx

        return Mx(mx)
    return {"torch": Torch, "jax": Jax, "numpy": Numpy}[name]()
