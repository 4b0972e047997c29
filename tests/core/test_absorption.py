"""Kernels that take what a group forms: the value is never stored, and the bits stay."""

import os
import subprocess
import sys

import numpy as np
import pytest

import lazulite.core as mx
from lazulite.core import _core


def normal(*shape, seed=0, dtype=np.float32):
    return mx.array(np.random.default_rng(seed).standard_normal(shape).astype(dtype))


@pytest.fixture(autouse=True)
def every_way_through():
    """Several threads, whatever the size, and absorption from the first element on."""
    threads = mx.num_threads()
    least = _core._set_least_absorbed(1)
    _core._set_least_cost(1e9)
    yield
    _core._set_least_cost(0)
    _core._set_least_absorbed(least)
    mx.set_num_threads(threads)


def steps(*arrays):
    return [str(step) for step in mx.plan(*arrays).steps]


def expression(x, y):
    return (x - y) * (x - y)


REDUCTIONS = {
    "sum": mx.sum,
    "mean": mx.mean,
    "prod": lambda a, axis: mx.prod(a * 0.01 + 1, axis=axis),
    "max": mx.max,
    "min": mx.min,
    "any": lambda a, axis: mx.any(a > 3, axis=axis),
    "all": lambda a, axis: mx.all(a > 0, axis=axis),
    "count": lambda a, axis: mx.count_nonzero(a > 1, axis=axis),
    "argmax": mx.argmax,
    "argmin": mx.argmin,
    "var": mx.var,
    "logsumexp": mx.logsumexp,
    "softmax": mx.softmax,
}
SHAPES = [(70000,), (3, 40000), (300, 1000), (5000, 7), (9, 33, 65), (5000, 300), (4, 5000, 3)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", REDUCTIONS)
def test_the_bits_are_those_of_a_stored_operand(name, shape):
    reduce = REDUCTIONS[name]
    x, y = normal(*shape), normal(*shape[-1:], seed=1)
    axes = range(len(shape)) if name.startswith("arg") else [None, *range(len(shape))]
    for axis in axes:
        stored = expression(x, y)
        mx.eval(stored)
        mx.set_num_threads(1)
        wanted = bytes(reduce(stored, axis=axis))
        for threads in (1, 2, 7):
            mx.set_num_threads(threads)
            assert bytes(reduce(expression(x, y), axis=axis)) == wanted, (axis, threads)


def test_the_operand_is_not_stored_and_the_plan_says_so():
    x, y = normal(300, 1000), normal(300, 1000, seed=1)
    loss = mx.sum(expression(x, y), axis=1)
    assert steps(loss) == [
        "fused {subtract subtract multiply} into sum(axes=(1), keepdims=false)  float32(300,)"
    ]
    mx.eval(x, y)
    mx.reset_peak_memory()
    before = mx.get_active_memory()
    mx.eval(loss)
    assert mx.get_peak_memory() - before < 100_000


def test_an_operand_that_others_read_is_stored():
    x, y = normal(300, 1000), normal(300, 1000, seed=1)
    squares = expression(x, y)
    total, root = mx.sum(squares), mx.sqrt(squares)
    assert not any("into" in step for step in steps(total, root, squares))
    assert bytes(total) == bytes(mx.sum(mx.array(np.array(squares))))


def test_what_else_the_group_makes_is_stored_beside():
    x, y = normal(300, 1000), normal(1000, seed=1)
    difference = x - y
    loss = mx.mean(difference * difference)
    mx.eval(difference, loss)
    wanted = x - y
    mx.eval(wanted)
    assert bytes(difference) == bytes(wanted)
    assert bytes(loss) == bytes(mx.mean(wanted * wanted))


@pytest.mark.parametrize("shape", [(200000,), (300, 1001), (1001, 300)])
@pytest.mark.parametrize("axis", [0, -1])
def test_results_are_written_over_what_the_group_reads_last(shape, axis):
    def run(x):
        y = mx.exp(x) - 1
        return y, mx.sum(y * y, axis=axis)

    x = normal(*shape)
    wanted = [bytes(a) for a in run(mx.array(np.array(x)) + 0)]
    x = x + 0
    mx.eval(x)
    y, total = run(x)
    del x
    mx.reset_peak_memory()
    before = mx.get_active_memory()
    mx.eval(y, total)
    if os.environ.get("LAZULITE_DONATE") != "0" and np.prod(shape) == 200000:
        assert mx.get_peak_memory() - before < y.nbytes
    assert [bytes(y), bytes(total)] == wanted


def test_a_kernel_reads_its_other_inputs_beside():
    x, w = normal(64, 500), normal(500, seed=1)
    stored = x * w + 1
    mx.eval(stored)
    wanted = bytes(mx.fast.layer_norm(stored, w, w, 1e-5))
    normed = mx.fast.layer_norm(x * w + 1, w, w, 1e-5)
    assert "into layer_norm" in steps(normed)[0]
    assert bytes(normed) == wanted


def test_two_kernels_that_need_each_others_group_do_not_wait_for_each_other():
    x = normal(64, 500)
    a, b = x * 2, x + 1
    first, second = mx.fast.layer_norm(a, mx.sum(b, axis=0), None, 1e-5), mx.sum(b * 2, axis=0)
    third = mx.fast.rms_norm(b * 3, mx.sum(a * 3, axis=0), 1e-5)
    del a, b
    got = [bytes(v) for v in (first, second, third)]
    a, b = x * 2, x + 1
    mx.eval(a, b)
    s, t = mx.sum(b, axis=0), mx.sum(a * 3, axis=0)
    b3, b2 = b * 3, b * 2
    mx.eval(s, t, b3, b2)
    assert got == [
        bytes(mx.fast.layer_norm(a, s, None, 1e-5)),
        bytes(mx.sum(b2, axis=0)),
        bytes(mx.fast.rms_norm(b3, t, 1e-5)),
    ]


@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16, mx.float64, mx.int16, mx.complex64])
def test_every_dtype_is_converted_as_it_is_formed(dtype):
    x = (normal(40, 700) * 5).astype(dtype)
    for reduce in (mx.sum, mx.mean, mx.prod, mx.any):
        for axis in (None, 0, 1):
            stored = x + x
            mx.eval(stored)
            assert bytes(reduce(x + x, axis=axis)) == bytes(reduce(stored, axis=axis))


def test_nothing_is_formed_of_nothing():
    x = mx.zeros((0, 5))
    assert mx.sum(x * 2 + 1, axis=0).tolist() == [0.0] * 5
    assert mx.sum(x * 2 + 1, axis=1).tolist() == []
    assert mx.any(mx.zeros((3, 0)) * 2 + 1, axis=1).tolist() == [False] * 3


def test_kept_plans_absorb_too():
    f = mx.compile(lambda x, y: mx.sum(expression(x, y), axis=0) + mx.max(mx.abs(x), axis=0))
    for seed in range(3):
        x, y = normal(40, 50, seed=seed), normal(50, seed=9)
        squares, sizes = expression(x, y), mx.abs(x)
        mx.eval(squares, sizes)
        wanted = bytes(mx.sum(squares, axis=0) + mx.max(sizes, axis=0))
        assert bytes(f(x, y)) == wanted
        assert bytes(f(x.T.reshape(-1).reshape(50, 40).T, y)) == wanted

    def body(carry, x):
        carry = carry * 0.5 + x
        return carry, mx.sum(carry * carry)

    carry, sums = mx.scan(body, mx.zeros(300), normal(20, 300))
    state, wanted = mx.zeros(300), []
    for x in normal(20, 300):
        state = state * 0.5 + x
        squares = state * state
        mx.eval(state, squares)
        wanted.append(mx.sum(squares))
    assert bytes(sums) == bytes(mx.stack(wanted))


def test_debug_compare_and_profile_see_the_group():
    x, y = normal(100, 200), normal(200, seed=1)
    with mx.debug_compare():
        mx.eval(mx.sum(expression(x, y), axis=1), mx.softmax(x * y, axis=-1))
    with mx.profile() as seen:
        mx.eval(mx.sum(expression(x, y), axis=1))
    names = {row.name for row in seen.rows()}
    assert names == {"broadcast_to", "fused {subtract subtract multiply} into sum"}


def test_gradients_are_those_of_stored_operands():
    x, y = normal(50, 400), normal(400, seed=1)

    def loss(x, y):
        return mx.mean(mx.square(x - y)) + mx.sum(mx.max(mx.abs(x * y), axis=1))

    lazily = [bytes(g) for g in mx.grad(loss, argnums=(0, 1))(x, y)]
    least = _core._set_least_absorbed(1 << 60)
    try:
        assert [bytes(g) for g in mx.grad(loss, argnums=(0, 1))(x, y)] == lazily
    finally:
        _core._set_least_absorbed(least)


PROGRAM = """
import hashlib
import numpy as np
import lazulite.core as mx
x = mx.array(np.random.default_rng(0).standard_normal((300, 1000)).astype(np.float32))
y = x[:, ::-1]
out = [f(x * y - 0.5, axis=a) for f in (mx.sum, mx.max, mx.var, mx.argmin) for a in (0, 1)]
print(hashlib.sha256(b"".join(map(bytes, out))).hexdigest())
"""


@pytest.mark.parametrize("switch", ["LAZULITE_FUSE", "LAZULITE_DONATE"])
def test_switches_give_the_same_bits(switch):
    run = lambda **env: subprocess.run(
        [sys.executable, "-c", PROGRAM], env={**os.environ, **env}, capture_output=True, text=True
    )
    plain, switched = run(), run(**{switch: "0"})
    assert plain.returncode == 0 and plain.stdout == switched.stdout, switched.stderr
