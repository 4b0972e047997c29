"""What transforms return prints, binds and looks like what it is."""

import copy
import functools
import inspect

import pytest

import lazulite.core as mx
import lazulite.nn as nn


def f(x, n=2):
    """Some power."""
    return (x**n).sum()


class Model:
    @mx.compile
    def compiled(self_or_x, x=None):
        return self_or_x

    @mx.checkpoint
    def checkpointed(self, x):
        return self, x * 2


WAYS = {
    "grad": mx.grad,
    "value_and_grad": mx.value_and_grad,
    "vmap": mx.vmap,
    "checkpoint": mx.checkpoint,
    "jacrev": mx.jacrev,
    "jacfwd": mx.jacfwd,
    "hessian": mx.hessian,
}


@pytest.mark.parametrize("name", WAYS)
def test_a_transformed_function_prints_its_name(name):
    made = WAYS[name](f)
    assert repr(made) == f"<{name} of f>"
    assert made.__name__ == "f" and made.__doc__ == "Some power."
    assert str(inspect.signature(made)) == "(x, n=2)"


def test_names_of_other_callables_and_of_nests():
    assert repr(mx.grad(mx.grad(f))) == "<grad of <grad of f>>"
    assert repr(mx.grad(lambda x: x)) == "<grad of <lambda>>"
    assert repr(mx.vmap(functools.partial(f, n=3))) == "<vmap of partial>"
    assert repr(mx.vmap(nn.Linear(2, 2))) == "<vmap of Linear>"
    assert repr(mx.grad(mx.compile(f))) == "<grad of <compiled f, 0 traces>>"
    assert repr(mx.compile(mx.grad(f))) == "<compiled <grad of f>, 0 traces>"
    assert repr(mx.custom_function(f)) == "<custom_function f>"
    assert repr(nn.value_and_grad(nn.Linear(1, 1), f)) == "<value_and_grad of f>"
    assert repr(mx.grad(Model.checkpointed)) == "<grad of <checkpoint of Model.checkpointed>>"


def test_a_compiled_function_counts_its_traces():
    made = mx.compile(f)
    assert repr(made) == "<compiled f, 0 traces>"
    for size, text in [(1, "1 trace"), (2, "2 traces"), (3, "3 traces"), (3, "3 traces")]:
        made(mx.ones(size))
        assert repr(made) == f"<compiled f, {text}>"


def test_transformed_functions_are_methods_in_a_class():
    model = Model()
    same, doubled = model.checkpointed(mx.array([1.0]))
    assert same is model and doubled.tolist() == [2]
    x = mx.array([3.0])
    assert mx.grad(lambda x: model.checkpointed(x)[1].sum())(x).tolist() == [2]


def test_compile_looks_through_a_transform_at_what_the_function_holds():
    scale = mx.array(2.0)
    gradient = mx.compile(mx.grad(lambda x: x * scale))
    assert gradient(mx.array(1.0)).item() == 2
    scale = mx.array(5.0)
    assert gradient(mx.array(1.0)).item() == 5
    n = 3
    second = mx.compile(mx.hessian(lambda x: x**n))
    assert second(mx.array(1.0)).item() == 6
    n = 4
    assert second(mx.array(1.0)).item() == 12


HOLDERS = {
    "grad": lambda f: mx.grad(f),
    "value_and_grad": lambda f: lambda x: mx.value_and_grad(f)(x)[1],
    "jacrev": lambda f: mx.jacrev(f),
    "jacfwd": lambda f: mx.jacfwd(f),
    "hessian": lambda f: mx.hessian(f),
    "vmap": lambda f: mx.vmap(f),
    "checkpoint": lambda f: mx.checkpoint(f),
    "custom_function": lambda f: mx.custom_function(f),
    "vjp": lambda f: lambda x: mx.vjp(f, [x], [mx.ones_like(f(x))])[1][0],
    "jvp": lambda f: lambda x: mx.jvp(f, [x], [mx.ones_like(x)])[1][0],
    "grad of compile": lambda f: mx.grad(mx.compile(f)),
}


@pytest.mark.parametrize("name", HOLDERS)
def test_compile_traces_again_when_what_a_transformed_function_holds_changes(name):
    x = mx.array([1.5]) if name == "vmap" else mx.array(1.5)
    n, scale = 3, mx.array(1.0)
    fun = lambda x: x**n * scale  # noqa: E731
    compiled = mx.compile(HOLDERS[name](fun))
    for n, factor in ((3, 1.0), (4, 1.0), (5, 2.0)):
        scale = mx.array(factor)
        wanted = HOLDERS[name](fun)(x)
        assert compiled(x).tolist() == wanted.tolist(), (n, factor)


def test_transformed_functions_can_be_copied():
    made = copy.copy(mx.grad(f))
    assert made(mx.array([3.0])).tolist() == [6]
