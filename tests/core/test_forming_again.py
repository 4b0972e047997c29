"""Values that follow from small arrays by a few light ops are formed in each group that reads
them."""

import numpy as np
import pytest

import lazulite.core as mx
from lazulite.core import _core

NEVER = 1 << 62


@pytest.fixture(autouse=True)
def every_size():
    absorbed, again = _core._set_least_absorbed(1), _core._set_least_formed_again(1)
    yield
    _core._set_least_absorbed(absorbed)
    _core._set_least_formed_again(again)


def column(n=96, dtype=mx.float32):
    return mx.random.uniform(-3, 3, (n, 1), key=mx.random.key(1)).astype(dtype)


def row(n=64, dtype=mx.float32):
    return mx.random.uniform(-3, 3, (1, n), key=mx.random.key(2)).astype(dtype)


def spread(v):
    return v / (v.sum(-1, keepdims=True) + 1)


def mask():
    return mx.arange(96)[:, None] >= mx.arange(64)


PROGRAMS = {
    "a sum and the value": lambda a, b: spread(mx.abs(a - b)),
    "two kernels and two groups": lambda a, b: (
        lambda v: (v - v.max(-1, keepdims=True), v * v.sum(0, keepdims=True))
    )(mx.square(a - b)),
    "groups of several depths": lambda a, b: (
        lambda v: spread(spread(v) + v) * v + mx.softmax(v, axis=0)
    )(a * b),
    "a value of a value": lambda a, b: (
        lambda v: (lambda w: spread(v + w) + spread(w) - v)(mx.maximum(v, 0.5))
    )(a + b),
    "a mask": lambda a, b: (
        lambda m: mx.where(m, a * b, 0) / mx.sum(m, axis=-1, keepdims=True) + m
    )(mask()),
    "recorded twice": lambda a, b: (a - b) / (mx.abs(a - b).sum(-1, keepdims=True) + 1),
    "the kernel has it twice": lambda a, b: (lambda v: v @ v.T + spread(v).sum())(a - b),
    "pending columns": lambda a, b: (lambda v: spread(v) + mx.tanh(v))(
        mx.abs(mx.cos(a) - mx.sin(b))
    ),
    "steps of its own": lambda a, b: (lambda u: (lambda v: spread(v) + u * v.max())(u + 1))(a - b),
}


def bytes_of(result):
    results = result if isinstance(result, tuple) else (result,)
    mx.eval(results)
    return [np.asarray(x.astype(mx.float32)).tobytes() for x in results]


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("dtype", [mx.float32, mx.float64, mx.bfloat16, mx.int32], ids=str)
def test_no_bit_differs(name, dtype):
    f = PROGRAMS[name]
    a, b = column(dtype=dtype), row(dtype=dtype)
    _core._set_least_formed_again(NEVER)
    expected = bytes_of(f(a, b))
    _core._set_least_formed_again(1)
    assert bytes_of(f(a, b)) == expected
    assert bytes_of(mx.compile(f)(a, b)) == expected
    results = f(a, b)
    flat = results if isinstance(results, tuple) else (results,)
    for _ in range(3):
        mx.plan(*flat)  # planned, and not run
    assert bytes_of(results) == expected
    mx.async_eval(results := f(a, b))
    assert bytes_of(results) == expected


@pytest.mark.parametrize("name", PROGRAMS)
def test_gradients_and_lanes_are_the_same(name):
    def total(a, b):
        results = PROGRAMS[name](a, b)
        return sum(r.sum() for r in (results if isinstance(results, tuple) else (results,)))

    a, b = column(), row()
    many = mx.stack([a, a + 1, a * 2])
    ways = [
        lambda: mx.grad(total, argnums=(0, 1))(a, b),
        lambda: mx.compile(mx.grad(total, argnums=(0, 1)))(a, b),
        lambda: (mx.vmap(total, in_axes=(0, None))(many, b),),
    ]
    for way in ways:
        _core._set_least_formed_again(NEVER)
        expected = bytes_of(way())
        _core._set_least_formed_again(1)
        assert bytes_of(way()) == expected


def stored_of(result):
    return [line for line in str(mx.plan(result)).splitlines() if "*" in line]


def test_the_value_takes_no_memory():
    a, b = column(1000), row(1000)
    mx.eval(a, b)

    def peak():
        mx.clear_cache()
        mx.reset_peak_memory()
        before = mx.get_active_memory()
        mx.eval(spread(mx.abs(a - b)).sum(0))
        return mx.get_peak_memory() - before

    assert peak() < 100_000
    _core._set_least_formed_again(NEVER)
    assert peak() >= 4_000_000


def test_plans_show_it():
    a, b = column(), row()
    mx.eval(a, b)
    steps = str(mx.plan(spread(mx.abs(a - b))))
    assert "fused {subtract abs} into sum" in steps
    assert steps.count("subtract abs") == 2 and "subtract abs*" not in steps


def test_who_holds_a_value_gets_it():
    a, b = column(), row()
    v = mx.abs(a - b)
    result = spread(v)
    assert "subtract abs*" in str(mx.plan(result))
    mx.eval(result)
    np.testing.assert_array_equal(np.asarray(v), np.abs(np.asarray(a) - np.asarray(b)))


def test_what_follows_from_large_arrays_or_by_heavy_ops_is_stored():
    a, b, large = column(), row(), mx.ones((96, 64)) * 2
    mx.eval(a, b, large)
    assert "exp*" in str(mx.plan(spread(mx.exp(a - b))))
    assert "subtract*" in str(mx.plan(spread(large - a)))


def test_a_step_that_fails_leaves_the_rest_to_be_had():
    a, b = column(), row()
    good = mx.arange(64)

    def f(index):
        v = mx.abs(a - b)
        return mx.take(v, index, axis=1), spread(v)

    bad, rest = f(good + 1)
    with pytest.raises(IndexError, match=r"\[take\]"):
        mx.eval(bad, rest)
    _core._set_least_formed_again(NEVER)
    assert bytes_of(rest) == bytes_of(f(good)[1])


def test_values_on_other_streams_stay_where_they_are():
    a, b = column(), row()
    other = mx.new_stream(mx.cpu)
    v = mx.abs(a - b)
    result = mx.divide(v, v.sum(-1, keepdims=True), stream=other)
    del v
    v = mx.abs(a - b)
    assert bytes_of(result) == bytes_of(v / v.sum(-1, keepdims=True))


@pytest.mark.parametrize("held", ["", "x", "y", "v", "xy", "xv", "yv", "xyv"])
@pytest.mark.parametrize("deeper", [False, True])
def test_steps_on_the_way_that_somebody_holds_are_there_later(held, deeper):
    a, b = column(), row()

    def values():
        x = a - b
        y = mx.abs(x)
        v = y + y * x
        scale = a.sum() if deeper else 2.0
        made = {"result": mx.tanh(v * scale) / (v.sum(-1, keepdims=True) * 2 + 1)}
        for name, value in (("x", x), ("y", y), ("v", v)):
            if name in held:
                made[name] = value
        return made

    _core._set_least_formed_again(NEVER)
    expected = {name: np.asarray(value).tobytes() for name, value in values().items()}
    _core._set_least_formed_again(1)
    got = values()
    mx.eval(got["result"])
    for name, value in got.items():
        assert np.asarray(value).tobytes() == expected[name], name
    got = values()
    for name in reversed(list(got)):
        assert np.asarray(got[name]).tobytes() == expected[name], name
