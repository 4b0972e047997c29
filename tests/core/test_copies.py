"""copy, deepcopy and pickle of what is no array: functions that transforms made, devices, streams,
the random state."""

import copy
import pickle

import pytest

import lazulite.core as mx
import lazulite.nn as nn
from lazulite.utils import tree_flatten


@mx.compile
def compiled(x):
    return mx.tanh(x)


@mx.custom_function
def ruled(x):
    return mx.tanh(x)


@mx.checkpoint
def again(x):
    return mx.tanh(x)


class Holder:
    @mx.compile
    def method(self, x):
        return x


@pytest.mark.parametrize("function", [compiled, ruled, again, Holder.method])
def test_functions_of_transforms_are_copied_and_pickled_as_functions_are(function):
    assert copy.copy(function) is function
    assert copy.deepcopy({"f": function})["f"] is function
    assert pickle.loads(pickle.dumps(function)) is function


def test_what_has_no_name_is_copied_and_not_pickled():
    for function in (mx.compile(lambda x: x), mx.grad(lambda x: x), mx.compile(nn.ReLU())):
        with pytest.raises((pickle.PicklingError, AttributeError)):
            pickle.dumps(function)
    function = mx.vmap(lambda x: x)
    assert copy.deepcopy(function) is function


def test_a_model_with_such_functions_goes_through_pickle():
    model = nn.Sequential(nn.Linear(2, 2), compiled, again, ruled)
    x = mx.ones((3, 2))
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert mx.array_equal(other(x), model(x))
        assert other.layers[0] is not model.layers[0] and other.layers[1] is compiled


WRAPPERS = {
    "compile": mx.compile,
    "checkpoint": mx.checkpoint,
    "custom_function": mx.custom_function,
    "grad": mx.grad,
    "value_and_grad": mx.value_and_grad,
    "vmap": mx.vmap,
    "jacrev": mx.jacrev,
    "hessian": mx.hessian,
    "nest": lambda f: mx.compile(mx.grad(mx.checkpoint(f))),
}


class Own(nn.Module):
    """A model that keeps a method of its own, transformed."""

    def __init__(self, wrap):
        super().__init__()
        self.inner = nn.Linear(2, 2)
        self.transformed = wrap(self.forward)

    def forward(self, x):
        return mx.tanh(self.inner(x)).sum()


@pytest.mark.parametrize("name", WRAPPERS)
def test_a_copied_model_calls_its_own_methods(name):
    """Not those of the model that it was copied from, on other weights."""
    model, x = Own(WRAPPERS[name]), mx.array([[1.0, 2.0], [3.0, 4.0]])
    before = model.transformed(x)
    other = copy.deepcopy(model)
    other.inner.weight = other.inner.weight * 0 + 0.25
    expected = Own(WRAPPERS[name])
    expected.update(other.parameters())
    for got, want in ((other, expected.transformed(x)), (model, before)):
        pairs = zip(tree_flatten([got.transformed(x)]), tree_flatten([want]))
        assert all(mx.array_equal(a, b) for (_, a), (_, b) in pairs)


def test_a_copied_model_with_compiled_state_updates_itself():
    class Counter(nn.Module):
        def __init__(self):
            super().__init__()
            self.count = mx.array(0)
            self.step = mx.compile(self.forward, inputs=self, outputs=self)

        def forward(self, x):
            self.count = self.count + 1
            return x * self.count

    model = Counter()
    model.step(mx.array(1.0))
    other = copy.deepcopy(model)
    assert other.step(mx.array(1.0)).item() == 2 and other.step(mx.array(1.0)).item() == 3
    assert (model.count.item(), other.count.item()) == (1, 3)


def test_devices_and_streams():
    for device in (mx.cpu, mx.default_device(), mx.Device(mx.gpu, 1)):
        for other in (copy.copy(device), copy.deepcopy(device), pickle.loads(pickle.dumps(device))):
            assert other == device and type(other) is type(device)
    stream = mx.new_stream(mx.cpu)
    assert copy.copy(stream) == stream and copy.deepcopy([stream])[0] == stream


def test_the_random_state_is_copied_as_a_list_that_stays():
    mx.random.seed(3)
    ways = (copy.copy, copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s)))
    saved = [way(mx.random.state) for way in ways]
    drawn = mx.random.uniform(shape=(4,))
    for one in saved:
        assert type(one) is list and len(one) == 1
        mx.random.state[0] = one[0]
        assert mx.array_equal(mx.random.uniform(shape=(4,)), drawn)
