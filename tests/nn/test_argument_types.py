"""Types of arguments: one rule for every layer, loss, initialiser, optimizer and schedule, found by
introspection."""

import inspect
import typing
from typing import Sequence

import numpy as np
import pytest

import lazulite.core as mx
import lazulite.nn as nn
import lazulite.optimizers as optim


class Odd:
    pass


X = mx.array([[0.1, 0.2], [0.3, 0.4]])
GOOD = {int: 4, float: 0.5, bool: True, mx.array: X, mx.Dtype: mx.float32}
GOOD_BY_NAME = {
    "num_groups": 2,
    "betas": [0.5, 0.5],
    "eps": 0.5,
    "optimizers": [optim.SGD(0.1)],
    "filters": [],
    "schedulers": {},
    "schedules": [lambda t: 0.1],
    "boundaries": [],
    "reduction": "mean",
    "modules": nn.ReLU(),
    "activation": nn.relu,
    "custom_encoder": nn.ReLU(),
    "custom_decoder": nn.ReLU(),
    "momentum": 0.9,
    "nesterov": False,
    "grads": {"a": X},
    "approx": "none",
    "learning_rate": 0.1,
    "nonlinearity": nn.relu,
    "mode": "linear",
    "antialias": False,
    "model": nn.Linear(2, 2),
    "optimizer": optim.SGD(0.1),
    "line_search": "strong_wolfe",
    "group": mx.distributed.init(),
}
GOOD_BY_PLACE = {
    ("MLP", "dims"): [4],
    ("Adafactor", "eps"): (0.1, 0.1),
    ("nll_loss", "targets"): mx.array([0, 1]),
    ("QuantizedLinear", "input_dims"): 64,
    ("QuantizedLinear", "mode"): "affine",
    ("QuantizedEmbedding", "dims"): 64,
    ("QuantizedEmbedding", "mode"): "affine",
    ("QQLinear", "mode"): "nvfp4",
    ("QuantizedAllToShardedLinear", "input_dims"): 64,
    ("QuantizedAllToShardedLinear", "mode"): "affine",
    ("QuantizedShardedToAllLinear", "input_dims"): 64,
    ("QuantizedShardedToAllLinear", "mode"): "affine",
    ("FullyShardedModule", "module"): nn.Linear(2, 2),
    ("SparseLinear", "block"): [2, 2],
}
# What no argument takes, and what only some kinds take.
BAD = [Odd(), {1, 2}, b"3"]
BAD_BY_KIND = {
    int: ["3", None, 2.5, [3], {}, mx.array([1, 2]), mx.array(1.0), np.float32(3), 3j],
    float: ["0.3", None, [0.3], {}, mx.array([1.0, 2.0]), np.ones(2), 3j],
    bool: ["no", [True], {}, 0.5, np.ones(2)],
    mx.array: ["x", None, [1.0], {}],
    mx.Dtype: ["floaty", None, 3, 2.5, [mx.float32]],
}


def public(module, names):
    return {name: getattr(module, name) for name in names}


def constructors():
    """Everything that is made or called with arguments, by name."""
    found = public(nn.losses, nn.losses.__all__)
    found |= {f"init.{n}": f for n, f in public(nn.init, nn.init.__all__).items()}
    found |= public(optim, optim.__all__)
    for name, layer in public(nn, nn.__all__).items():
        if inspect.isclass(layer) and layer not in (nn.Module, nn.Identity, nn.Masks):
            found[name] = layer
    return found


FOUND = constructors()


def parameters(name):
    function = FOUND[name]
    target = function.__init__ if inspect.isclass(function) else function
    hints = typing.get_type_hints(target)
    return {
        p.name: (p, hints[p.name])
        for p in inspect.signature(function).parameters.values()
        if p.name in hints
    }


def good(name, parameter, hint):
    if (name, parameter) in GOOD_BY_PLACE:
        return GOOD_BY_PLACE[name, parameter]
    if parameter in GOOD_BY_NAME:
        return GOOD_BY_NAME[parameter]
    kinds = typing.get_args(hint) if typing.get_origin(hint) is typing.Union else (hint,)
    return next(GOOD[kind] for kind in kinds if kind in GOOD)


def call(name, changed=(), value=None):
    positional, named = [], {}
    for key, (parameter, hint) in parameters(name).items():
        given = value if key == changed else good(name, key, hint)
        if parameter.kind is parameter.VAR_POSITIONAL:
            positional.append(given)
        elif key == changed or parameter.default is parameter.empty:
            named[key] = given
    return FOUND[name](*positional, **named)


CASES = [
    (name, key, hint)
    for name in FOUND
    for key, (parameter, hint) in parameters(name).items()
    if hint is not typing.Any
]


def test_introspection_finds_them_all():
    assert len(FOUND) > 60 and len(CASES) > 150
    assert {"Linear", "BatchNorm", "cross_entropy", "init.normal", "Adam", "cosine_decay"} <= set(
        FOUND
    )


@pytest.mark.parametrize("name", FOUND)
def test_good_arguments_are_taken(name):
    call(name)


@pytest.mark.parametrize("name, key, hint", CASES, ids=[f"{n}-{k}" for n, k, _ in CASES])
def test_a_wrong_type_is_named_when_it_is_given(name, key, hint):
    optional = typing.get_origin(hint) is typing.Union
    kinds = typing.get_args(hint) if optional else (hint,)
    bad = BAD + [
        value
        for kind in kinds
        for value in BAD_BY_KIND.get(kind, ())
        if not (
            optional
            and (value is None or isinstance(value, (mx.array, np.ndarray, np.generic)))
            or isinstance(value, list)
            and {Sequence[int], Sequence[float]} & set(kinds)
        )
    ]
    public_name = name.rpartition(".")[2]
    for value in bad:
        with pytest.raises((TypeError, ValueError)) as error:
            call(name, key, value)
        text = str(error.value)
        assert text.startswith(f"[{public_name}] {key}: got "), text
        assert ", expected " in text and "\n" not in text
        literal = typing.Literal in map(typing.get_origin, kinds)
        assert isinstance(error.value, ValueError if literal else TypeError), (value, text)


def test_the_message_says_function_argument_value_and_kind():
    for make, text in [
        (lambda: nn.Linear("3", 4), "[Linear] input_dims: got '3', expected an int"),
        (lambda: nn.Linear(3, 2.5), "[Linear] output_dims: got 2.5, expected an int"),
        (lambda: nn.Linear(3, 4, bias="no"), "[Linear] bias: got 'no', expected a bool"),
        (lambda: nn.Dropout("a"), "[Dropout] p: got 'a', expected a number"),
        (lambda: nn.Dropout2d([0.5]), "[Dropout2d] p: got [0.5], expected a number"),
        (lambda: nn.Sequential(3), "[Sequential] modules: got 3, expected a Module or a function"),
        (
            lambda: optim.SGD("a"),
            "[SGD] learning_rate: got 'a', expected an array or a number or a function",
        ),
        (lambda: optim.AdamW(0.1, betas=0.9), "[AdamW] betas: got 0.9, expected a list of numbers"),
        (lambda: nn.losses.mse_loss(1.0, X), "[mse_loss] predictions: got 1.0, expected an array"),
        (lambda: nn.init.normal(dtype=3), "[normal] dtype: got 3, expected a dtype"),
        (lambda: nn.init.normal()(3), "[normal] a: got 3, expected an array"),
        (
            lambda: nn.Linear(mx.zeros((2, 3)), 4),
            "[Linear] input_dims: got an array of float32, shape (2, 3), expected an int",
        ),
    ]:
        with pytest.raises(TypeError) as error:
            make()
        assert str(error.value) == text


@pytest.mark.parametrize("name", [n for n in FOUND if "reduction" in parameters(n)])
def test_a_reduction_that_is_none_of_the_three_is_a_value_error(name):
    for value in ("avg", 3, None):
        with pytest.raises(
            ValueError, match=rf"^\[{name}\] reduction: got .*'none' or 'mean' or 'sum'"
        ):
            call(name, "reduction", value)


@pytest.mark.parametrize("three", [np.int64(3), np.array(3), mx.array(3), mx.array([3], mx.uint8)])
def test_sizes_may_be_numbers_of_numpy_and_arrays_of_one_element(three):
    layer = nn.Linear(three, 2)
    assert layer.weight.shape == (2, 3)
    norm = nn.LayerNorm(three)
    assert norm.dims == 3 and type(norm.dims) is int and "dims" not in norm


@pytest.mark.parametrize("half", [np.float32(0.5), np.float64(0.5), np.array(0.5), mx.array(0.5)])
def test_factors_may_be_numbers_of_numpy_and_arrays_of_one_element(half):
    layer = nn.Dropout(half)
    assert layer.p == 0.5 and "p" not in layer and repr(layer) == "Dropout(p=0.5)"
    rule = optim.SGD(half, momentum=half)
    assert rule.apply_gradients({"w": mx.ones(1)}, {"w": mx.ones(1)})["w"].tolist() == [0.5]


def test_flags_may_be_none_or_numbers_as_configurations_have_them():
    assert "bias" not in nn.Linear(2, 2, bias=None) and "bias" in nn.Linear(2, 2, bias=1)
    assert "bias" not in nn.Linear(2, 2, bias=np.bool_(False))


def test_losses_take_arrays_of_numpy():
    a, b = np.float32([1, 2]), np.float32([2, 4])
    assert nn.losses.mse_loss(a, b).item() == 2.5
    assert nn.losses.cross_entropy(np.zeros((2, 2)), np.array([0, 1])).shape == (2,)


def test_a_hyperparameter_can_be_differentiated():
    def loss(momentum):
        rule = optim.SGD(1.0, momentum=momentum)
        w = {"w": mx.array([1.0])}
        for _ in range(2):
            w = rule.apply_gradients({"w": mx.array([1.0])}, w)
        return w["w"].sum()

    assert mx.grad(loss)(mx.array(0.5)).item() == -1


def test_a_subclass_outside_is_named_as_the_layer_that_was_given_the_argument():
    class Mine(nn.Linear):
        def __init__(self, dims):
            super().__init__(dims, dims)

    with pytest.raises(TypeError, match=r"^\[Linear\] input_dims: got None"):
        Mine(None)


def test_signatures_stay_readable():
    assert str(inspect.signature(nn.Linear)).startswith("(input_dims: ")
    assert inspect.signature(optim.Adam).parameters["eps"].default == 1e-8
