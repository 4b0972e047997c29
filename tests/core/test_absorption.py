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


# ---- what goes on from a kernel's result

HEADS = {
    "matmul": lambda x: x @ normal(x.shape[-1], x.shape[-1], seed=3),
    "softmax": lambda x: mx.softmax(x, axis=-1),
    "softmax of columns": lambda x: mx.softmax(x, axis=0),
    "layer_norm": lambda x: mx.fast.layer_norm(x, x[0], None, 1e-5),
    "rms_norm": lambda x: mx.fast.rms_norm(x, None, 1e-5),
    "take": lambda x: mx.take(x, mx.arange(x.shape[0]) // 2, axis=0),
    "take_along_axis": lambda x: mx.take_along_axis(
        x, mx.argsort(x, axis=-1) if hasattr(mx, "argsort") else (x > 0).astype(mx.int32), axis=-1
    ),
    "normal": lambda x: mx.random.normal(x.shape, key=mx.random.key(3)),
    "uniform": lambda x: mx.random.uniform(shape=x.shape, key=mx.random.key(3)),
    "arange": lambda x: mx.arange(x.size, dtype=mx.float32) * 0.5,
}


def chains(v, row, whole):
    """Ways to go on: with a row, an array, both and a half."""
    yield mx.maximum(v + row, 0)
    yield mx.exp(v * 0.1) * whole - v
    yield (v * 2 + row).astype(mx.float16)
    y = v * row
    yield y
    yield mx.tanh(y) + y


@pytest.mark.parametrize("shape", [(300, 257), (64, 64), (7, 4099), (4100, 3)])
@pytest.mark.parametrize("name", HEADS)
def test_what_goes_on_has_the_bits_of_what_begins_with_the_stored_result(name, shape):
    x = normal(*shape)
    v = HEADS[name](x)
    row, whole = normal(v.shape[-1], seed=1), normal(*v.shape, seed=2)
    mx.eval(x, v, row, whole)
    wanted = [bytes(v)] + [bytes(a) for a in chains(v, row, whole)]
    for layout in (lambda a: a, lambda a: mx.contiguous(a.T).T, lambda a: a[::-1][::-1]):
        w = layout(whole)
        mx.eval(w)
        for threads in (1, 2, 7):
            mx.set_num_threads(threads)
            v = HEADS[name](x)
            ends = list(chains(v, row, w))
            mx.eval(ends)  # one group behind the kernel
            assert [bytes(v)] + [bytes(a) for a in ends] == wanted
            for k in range(len(wanted) - 1):  # one at a time, and the result goes with it
                assert bytes(list(chains(HEADS[name](x), row, w))[k]) == wanted[k + 1], (k, threads)


def test_a_product_goes_on_in_its_step_and_the_result_lies_where_it_lay():
    x, w, b = normal(256, 512), normal(512, 384, seed=1), normal(384, seed=2)
    y = mx.maximum(x @ w + b, 0)
    assert "matmul into fused {add maximum*}  float32(256, 384)" in steps(y)
    mx.eval(x, w, b)

    def peak(a):
        mx.reset_peak_memory()
        before = mx.get_active_memory()
        mx.eval(a)
        return mx.get_peak_memory() - before

    assert peak(y) < peak(x @ w) + y.nbytes / 2


def test_what_the_kernel_reads_is_not_written_over_by_what_goes_on():
    a, w = np.random.default_rng(0).standard_normal((2, 300, 300)).astype(np.float32)

    def residual(f):
        x = mx.array(a) + 0
        mx.eval(x)
        y = f(x) + x
        del x
        return y

    for f in (lambda x: x @ mx.array(w), lambda x: mx.softmax(x, axis=0), lambda x: x[::-1] @ x.T):
        x = mx.array(a)
        v = f(x)
        mx.eval(v)
        wanted = bytes(v + x)
        assert bytes(residual(f)) == wanted
        assert bytes(mx.compile(lambda x: f(x * 1) + x * 1)(mx.array(a))) == wanted


def test_what_dies_at_the_kernel_is_not_kept_for_results_without_a_place():
    x = normal(500, 1000)
    mx.eval(x)
    big = x * 2
    mx.eval(big)
    rows = mx.softmax(big, axis=-1)
    narrow = (rows + 1).astype(mx.float16)
    del big, rows
    mx.reset_peak_memory()
    before = mx.get_active_memory()
    mx.eval(narrow)
    assert mx.get_peak_memory() - before <= 1.1 * x.nbytes


def test_groups_that_read_two_kernels_each_wait_for_none_of_them():
    x, w = normal(64, 64), normal(64, 64, seed=1)
    first, second = x @ w, w @ x
    ends = [first * second, first - second, mx.tanh(first), mx.exp(second * 0.1)]
    other = mx.sum(ends[0], axis=0) + mx.sum(ends[1], axis=1)
    mx.eval(ends, other)
    first, second = x @ w, w @ x
    mx.eval(first, second)
    product, difference = first * second, first - second
    mx.eval(product, difference)
    assert [bytes(e) for e in ends[:2]] == [bytes(product), bytes(difference)]
    assert bytes(other) == bytes(mx.sum(product, axis=0) + mx.sum(difference, axis=1))


def test_one_of_two_products_goes_on_in_a_gated_layer():
    x, w, u = normal(64, 64), normal(64, 64, seed=1), normal(64, 64, seed=2)
    gated = mx.sigmoid(x @ w) * (x @ u)
    assert sum("into fused" in step for step in steps(gated)) == 1
    first, second = x @ w, x @ u
    mx.eval(first, second)
    first = mx.sigmoid(first)
    mx.eval(first)
    assert bytes(gated) == bytes(first * second)


def test_a_kernel_has_a_group_before_and_one_behind():
    x, y = normal(300, 500), normal(500, seed=1)
    step = "fused {multiply} into softmax into fused {multiply add*}  float32(300, 500)"
    planned = steps(mx.softmax(x * y, axis=-1) * 3 + y)  # in an assert pytest holds what is inside
    assert step in planned
    z = x * y
    mx.eval(z)
    z = mx.softmax(z, axis=-1)
    mx.eval(z)
    assert bytes(mx.softmax(x * y, axis=-1) * 3 + y) == bytes(z * 3 + y)


def test_loops_and_compiled_calls_go_on_too():
    w, b = normal(40, 40, seed=1), normal(40, seed=2)

    def body(x, add):
        v = x @ w
        x = mx.tanh(v * 0.1 + b) + add
        return x, (x, v)

    adds = normal(6, 30, 40, seed=3)
    last, (states, products) = mx.scan(body, normal(30, 40), adds)
    x, wanted = normal(30, 40), []
    step = mx.compile(lambda x, add: body(x, add)[0])
    compiled = normal(30, 40)
    for k in range(6):
        compiled = step(compiled, adds[k])
        v = x @ w
        mx.eval(v)
        x = v * 0.1 + b
        mx.eval(x)
        x = mx.tanh(x) + adds[k]
        mx.eval(x)
        wanted.append((bytes(x), bytes(v)))
    assert [(bytes(s), bytes(p)) for s, p in zip(states, products)] == wanted
    assert bytes(last) == bytes(compiled) == wanted[-1][0]


def test_debug_compare_and_profile_see_what_goes_on():
    x, w, b = normal(100, 200), normal(200, 150, seed=1), normal(150, seed=2)
    with mx.debug_compare():
        mx.eval(mx.tanh(x @ w + b), mx.softmax(x * 2, axis=-1) * x)
    with mx.profile() as seen:
        mx.eval(mx.tanh(x @ w + b))
    assert "matmul into fused {add tanh}" in {row.name for row in seen.rows()}


def test_an_index_that_is_wrong_fails_all_that_goes_on():
    x = normal(100, 30)
    y = mx.take(x, mx.array([0, 5, 200]), axis=0) * 2 + 1
    with pytest.raises(IndexError):
        mx.eval(y)
    with pytest.raises(IndexError):
        y.tolist()


# ---- kernels that read one array


TOGETHER = {
    "mean and var": (mx.mean, mx.var),
    "max and sum": (mx.max, mx.sum),
    "all of them": (mx.sum, mx.max, mx.min, mx.prod, mx.var, mx.logsumexp, mx.mean, mx.sum),
    "truth": (mx.any, mx.all, mx.count_nonzero),
}


@pytest.mark.parametrize("shape", SHAPES + [(3, 200000)])
@pytest.mark.parametrize("name", TOGETHER)
def test_several_reductions_of_one_array_have_the_bits_of_each_alone(name, shape):
    x, y = normal(*shape), normal(*shape[-1:], seed=1)
    stored = expression(x, y)
    mx.eval(stored)
    for axis in (None, *range(len(shape))):
        mx.set_num_threads(1)
        wanted = [bytes(f(stored, axis=axis)) for f in TOGETHER[name]]
        for threads in (1, 2, 7):
            mx.set_num_threads(threads)
            formed = expression(x, y)
            both = [[f(a, axis=axis) for f in TOGETHER[name]] for a in (stored, formed)]
            del formed
            mx.eval(both)
            assert [[bytes(a) for a in out] for out in both] == [wanted, wanted], (axis, threads)


@pytest.mark.parametrize(
    "dtype", [mx.float16, mx.bfloat16, mx.float64, mx.int16, mx.bool_, mx.complex64]
)
def test_several_reductions_join_in_every_dtype_and_layout(dtype):
    x = (normal(40, 700) * 5).astype(dtype)
    functions = [mx.sum, mx.mean, mx.prod, mx.any, mx.max]
    if not mx.issubdtype(dtype, mx.complexfloating):
        functions += [mx.var, mx.logsumexp]
    for layout in (lambda a: a, lambda a: a.T, lambda a: a[:, ::-2]):
        a = layout(x)
        for axis in (None, 0, 1):
            out = [f(a, axis=axis) for f in functions]
            mx.eval(out)
            assert [bytes(v) for v in out] == [bytes(f(a, axis=axis)) for f in functions]


def test_an_expression_is_formed_once_for_all_that_reduce_it():
    x, y = normal(300, 1000), normal(300, 1000, seed=1)
    mx.eval(x, y)
    a = x * y
    out = [mx.mean(a, axis=1), mx.var(a, axis=1), mx.max(a, axis=1)]
    del a
    planned = steps(*out)
    assert planned[0].startswith("fused {multiply} into mean_sum(")
    assert " var(" in planned[0] and " max(" in planned[0] and len(planned) == 2
    mx.reset_peak_memory()
    before = mx.get_active_memory()
    mx.eval(out)
    assert mx.get_peak_memory() - before < 200_000


def test_reductions_over_other_axes_or_of_other_depth_do_not_join():
    x = normal(64, 64)
    a, b = mx.sum(x, axis=0), mx.max(x, axis=1)
    assert len(steps(a, b)) == 2
    centred = mx.sum(mx.square(x - mx.mean(x, axis=1, keepdims=True)), axis=1)
    stored = x - mx.mean(x, axis=1, keepdims=True)
    mx.eval(stored)
    stored = mx.square(stored)
    mx.eval(stored)
    assert bytes(centred) == bytes(mx.sum(stored, axis=1))


def test_norms_written_by_hand_have_the_same_bits_lazily_compiled_and_in_loops():
    x, g = normal(120, 333), normal(333, seed=1)

    def layer_norm(x, stop=lambda *a: None):
        m, v = mx.mean(x, axis=1, keepdims=True), mx.var(x, axis=1, keepdims=True)
        stop(m)
        stop(v)
        return (x - m) * mx.rsqrt(v + 1e-5) * g

    def softmax(x, stop=lambda *a: None):
        top = mx.max(x, axis=1, keepdims=True)
        stop(top)
        e = mx.exp(x - top)
        stop(e)
        s = mx.sum(e, axis=1, keepdims=True)
        stop(s)
        return e / s

    for f in (layer_norm, softmax):
        wanted = bytes(f(x, mx.eval))
        assert bytes(f(x)) == bytes(mx.compile(f)(x)) == wanted
        assert bytes(mx.compile(f)(x[:40])) == bytes(f(x[:40], mx.eval))
        many = mx.stack([x[:20], x[20:40]])
        _, out = mx.scan(lambda c, v: (c, f(v)), mx.zeros(1), many)
        assert [bytes(v) for v in out] == [bytes(f(v, mx.eval)) for v in many]


def test_debug_compare_and_profile_see_kernels_that_join():
    x = normal(100, 200)
    with mx.debug_compare():
        mx.eval(mx.mean(x, axis=1), mx.var(x, axis=1), mx.max(x * 2, axis=0), mx.sum(x, axis=0))
    out = mx.max(x, axis=1), mx.var(x, axis=1)
    with mx.profile() as seen:
        mx.eval(out)
    assert {row.name for row in seen.rows()} == {"max var"}


PROGRAM = """
import hashlib
import numpy as np
import lazulite.core as mx
x = mx.array(np.random.default_rng(0).standard_normal((300, 1000)).astype(np.float32))
y = x[:, ::-1]
out = [f(x * y - 0.5, axis=a) for f in (mx.sum, mx.max, mx.var, mx.argmin) for a in (0, 1)]
out += [mx.softmax(x * y, axis=a) * y + x for a in (0, 1)]
out += [mx.tanh(x.T @ x[:, k:] + x[0, k:]) for k in (0, 1)]
print(hashlib.sha256(b"".join(map(bytes, out))).hexdigest())
"""


@pytest.mark.parametrize("switch", ["LAZULITE_FUSE", "LAZULITE_DONATE"])
def test_switches_give_the_same_bits(switch):
    run = lambda **env: subprocess.run(
        [sys.executable, "-c", PROGRAM], env={**os.environ, **env}, capture_output=True, text=True
    )
    plain, switched = run(), run(**{switch: "0"})
    assert plain.returncode == 0 and plain.stdout == switched.stdout, switched.stderr
