"""A user's program that type checkers must understand; tests/typing/test_typing.py runs mypy
--strict on it."""

from __future__ import annotations

from functools import partial
from typing import Callable

import lazulite
import lazulite.core as mx
import lazulite.nn as nn
import lazulite.optimizers as optim
from lazulite.utils import tree_flatten, tree_map

version: str = lazulite.__version__


class MLP(nn.Module):
    def __init__(self, dims: list[int]) -> None:
        super().__init__()
        self.layers = [nn.Linear(a, b) for a, b in zip(dims, dims[1:])]
        self.norm = nn.BatchNorm(dims[-1])

    def __call__(self, x: mx.array) -> mx.array:
        for layer in self.layers[:-1]:
            x = nn.relu(layer(x))
        return self.norm(self.layers[-1](x))


model: MLP = MLP([4, 8, 3]).train().freeze(keys="bias").unfreeze()
linear: nn.Linear = nn.Linear(3, 4).set_dtype(mx.float16).eval()
norm: nn.BatchNorm = nn.BatchNorm(3).unfreeze()
y: mx.array = nn.Linear(3, 4)(mx.ones((2, 3)))
z: mx.array = (y * 2 + 1) @ y.T - mx.random.normal((2, 2), key=mx.random.key(0))


def loss_fn(x: mx.array, targets: mx.array) -> mx.array:
    return nn.losses.cross_entropy(model(x), targets, reduction="mean")


rule = optim.AdamW(learning_rate=optim.cosine_decay(1e-3, 100), betas=[0.9, 0.95])
step = nn.value_and_grad(model, loss_fn)
loss, grads = step(mx.zeros((2, 4)), mx.array([0, 1]))
grads, size = optim.clip_grad_norm(grads, 1.0)
rule.update(model, grads)
mx.eval(model.state, rule.state)
scale: float = loss.item()


def f(x: mx.array, n: int = 2) -> mx.array:
    return (x**n).sum()


# Decorated functions keep their parameters and results.
compiled = mx.compile(f)
same: Callable[[mx.array, int], mx.array] = compiled
a: mx.array = compiled(y, n=3)
b: mx.array = mx.vmap(f)(y)
c: mx.array = mx.checkpoint(f)(y, 2)
value, gradient = mx.value_and_grad(f, argnums=0)(y)
d: mx.array = value
e = mx.grad(mx.checkpoint(f))(y)


@mx.custom_function
def g(x: mx.array, w: mx.array) -> mx.array:
    return x * w


@g.vjp
def g_vjp(
    primals: tuple[mx.array, mx.array], cotangent: mx.array, output: mx.array
) -> tuple[mx.array, mx.array]:
    return cotangent, cotangent


h: mx.array = g(y, y)


@mx.compile
def decorated(x: mx.array) -> tuple[mx.array, int]:
    return x, 1


pair: tuple[mx.array, int] = decorated(y)
plan = decorated.plan(y)


@partial(mx.compile, inputs=model.state)
def stateful(x: mx.array) -> mx.array:
    return model(x)


u: mx.array = stateful(y)
tree = tree_map(lambda leaf: leaf + 1, model.parameters())
pairs = tree_flatten(tree)
mx.metal.start_capture("x")
active: int = mx.get_active_memory()
seed = mx.random.state
activation: Callable[[mx.array], mx.array] = nn.activations.relu
kept: mx.array = mx.stop_gradient(y)
few = mx.random.sparse_normal((4, 4), density=0.5)
dense: mx.array = mx.matmul(few, mx.ones((4, 2))) + few @ mx.ones((4, 2))
both: mx.sparse.CSR = mx.matmul(few, few)
