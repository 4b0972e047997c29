"""Mistakes that a type checker must find, one a line; tests/typing/test_typing.py counts them."""

import lazulite.core as mx
import lazulite.nn as nn
import lazulite.optimizers as optim


def f(x: mx.array, n: int = 2) -> mx.array:
    return x * n


@mx.custom_function
def g(x: mx.array) -> mx.array:
    return x


y = mx.ones(3)
nn.Linear("3", 4)  # error
nn.Linear(3)  # error
nn.Dropout(p="a")  # error
nn.NoSuchLayer()  # error
optim.SGD("fast")  # error
nn.losses.mse_loss(y, y, reduction="avg")  # error
mx.compile(f)(y, n="3")  # error
mx.checkpoint(f)(y, y, y)  # error
mx.vmap(f)("y")  # error
mx.grad(f)(y, m=3)  # error
mx.value_and_grad(f)()  # error
g(3)  # error
nn.value_and_grad(f, nn.Linear(3, 4))  # error
nn.value_and_grad(nn.Linear(3, 4), f)(3)  # error
mx.no_such_function(y)  # error
mx.random.no_such_function(y)  # error
