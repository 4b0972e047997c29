"""Compiled functions of small arrays keep the plans of their calls."""

import threading

import numpy as np
import pytest

import lazulite.core as mx
from lazulite.core import _core


def body(a, b, c):
    x = mx.tanh(a + b) * c
    y = mx.concatenate([x, x.T @ x], axis=0)
    y[1:3] = y[:2] * 2
    return y, x, a, y[::-1], c


def layouts(seed):
    """The same numbers, in memory of their own and otherwise."""
    n = np.random.default_rng(seed).normal(size=(6, 6)).astype(np.float32)
    big = mx.zeros((12, 12))
    big[3:9, 3:9] = mx.array(n)
    yield mx.array(n)
    yield mx.array(np.ascontiguousarray(n.T)).T
    yield mx.array(np.ascontiguousarray(n[::-1]))[::-1]
    yield big[3:9, 3:9]
    yield mx.array(n) + 0  # pending


def steps_of(values):
    return str(mx.plan(*values))


def test_a_call_of_small_arrays_is_one_step():
    f = mx.compile(body)
    args = [mx.ones((6, 6)) * i for i in range(3)]
    mx.eval(args, f(*args))
    assert "compiled" in steps_of(f(*args)[:1])
    large = [mx.ones((600, 600)) * i for i in range(3)]
    mx.eval(large)
    assert "compiled" not in steps_of(f(*large)[:1])  # joins groups with what surrounds it


def test_every_layout_of_the_arguments_has_a_plan_of_its_own():
    f = mx.compile(body)
    for turn in range(3):
        for a in layouts(turn):
            for b in layouts(turn + 7):
                c = mx.broadcast_to(mx.array([0.5 + turn]), (6, 6))
                mx.eval(a, b, c)
                for got, expected in zip(f(a, b, c), body(a, b, c)):
                    assert np.array_equal(np.asarray(got), np.asarray(expected))


def test_arguments_that_are_held_keep_their_values_and_others_are_written_over():
    f = mx.compile(lambda a: (a * 2 + 1, mx.sin(a).sum()))
    a = mx.arange(100, dtype=mx.float32)
    mx.eval(a)
    kept = a
    for _ in range(5):
        a, total = f(a)
        mx.eval(a, total)
    assert kept.tolist() == list(range(100))
    for held in (True, False):
        x = mx.ones((1000,)) * 3
        mx.eval(x)
        if held:
            view = x[::2]
            mx.eval(view)
        y, _ = f(x)
        del x
        mx.eval(y)
        assert y.tolist() == [7] * 1000
        if held:
            assert view.tolist() == [3] * 500


def test_nothing_is_held_between_calls():
    f = mx.compile(lambda a: mx.exp(mx.sin(a @ a) @ a).sum(0) + 1)
    a = mx.ones((100, 100)) * 0.01
    mx.eval(f(a))
    before = mx.get_active_memory()
    out = f(a)
    mx.eval(out)
    assert mx.get_active_memory() - before <= 1024
    del out
    assert mx.get_active_memory() <= before


def test_threads_call_one_function_at_the_same_time():
    f = mx.compile(body)
    args = [[mx.full((6, 6), float(i + k)) for k in range(3)] for i in range(8)]
    expected = [np.asarray(body(*a)[0]) for a in args]
    wrong = []

    def work(i):
        for _ in range(200):
            got = f(*args[i])
            if not np.array_equal(np.asarray(got[0]), expected[i]):
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_an_error_inside_leaves_the_arguments_as_they_are():
    table = mx.arange(10)
    f = mx.compile(lambda i: mx.take(table, i + 1) * 2)
    good, bad = mx.array([1, 2]), mx.array([3, 100])
    assert f(good).tolist() == [4, 6]
    for _ in range(2):
        with pytest.raises(IndexError, match=r"\[take\]"):
            mx.eval(f(bad))
    assert bad.tolist() == [3, 100] and f(good).tolist() == [4, 6]
    fresh = mx.array([3, 50]) * 2  # given away: failed for good, and says so again
    result = f(fresh)
    del fresh
    for _ in range(2):
        with pytest.raises(IndexError, match=r"\[take\]"):
            result.tolist()


def test_what_a_call_does_not_use_is_not_computed():
    f = mx.compile(lambda a, unused: mx.exp(a) + mx.sin(a))
    never = mx.take(mx.arange(3), mx.array([9]))  # would raise
    assert f(mx.zeros((2,)), never).tolist() == [1, 1]


def test_results_that_are_arguments_or_come_twice():
    f = mx.compile(lambda a, b: (b, a + b, a, (a + b) * 2, a + b))
    a, b = mx.array([1.0]), mx.array([2.0])
    out = f(a, b)
    assert [x.item() for x in out] == [2, 3, 1, 6, 3]


def test_gradients_follow_through_the_function_and_past_its_calls():
    f = mx.compile(lambda a: mx.tanh(a) * mx.sin(a))
    x = mx.array([0.3, 0.4])
    plain = mx.grad(lambda a: (mx.tanh(a) * mx.sin(a)).sum())(x)
    assert mx.grad(lambda a: f(a).sum())(x).tolist() == plain.tolist()
    made = f(x)  # of a call whose plan is kept
    assert mx.grad(lambda a: (a * made).sum())(x).tolist() == made.tolist()
    assert mx.vmap(f)(mx.stack([x, x])).tolist() == [f(x).tolist()] * 2


def test_a_profile_shows_the_ops_inside():
    f = mx.compile(lambda a: (mx.exp(a) @ a).sum(0) - 1)
    a = mx.ones((4, 4))
    mx.eval(f(a))
    with mx.profile() as p:
        mx.eval(f(a))
    assert "matmul" in str(p) and "sum" in str(p)


def test_debugging_aids_look_inside():
    f = mx.compile(lambda a: mx.log(a - 1) * 2 + a)
    with mx.debug_nans(), pytest.raises(RuntimeError, match="log"):
        mx.eval(f(mx.zeros((3,))))
    with mx.debug_compare():
        assert np.allclose(np.asarray(f(mx.full((3,), 2.0))), 2.0)


def lattice(seed):
    """A function of three 16x16 arrays whose many small steps mostly need nothing of each other."""
    rng = np.random.default_rng(seed)
    steps = []
    for k in range(40):
        kind = rng.choice(["matmul", "sum", "softmax", "take", "update", "group", "view", "most"])
        steps.append((kind, *(int(i) for i in rng.integers(0, 3 + k, 2))))

    def f(*args):
        values = list(args)
        for kind, i, j in steps:
            a, b = values[i], values[j]
            if kind == "matmul":
                out = a @ b * 0.1
            elif kind == "sum":
                out = a - b.sum(axis=1, keepdims=True) / 16
            elif kind == "softmax":
                out = mx.softmax(a - b, axis=0)
            elif kind == "take":
                out = mx.take(a, mx.array([3, 1, 2, 0] * 4), axis=0) + b
            elif kind == "update":
                out = mx.tanh(a)
                out[2:5] = b[1:4]
            elif kind == "view":
                out = a.T[::-1]
            elif kind == "most":
                out = a * mx.logsumexp(b, axis=1, keepdims=True)
            else:
                out = mx.sin(a) * b + 0.5
            values.append(out)
        return values[-12:]

    return f


@pytest.mark.parametrize("seed", range(12))
def test_small_steps_that_run_side_by_side_change_no_bit(seed):
    f = lattice(seed)
    args = [mx.random.normal((16, 16), key=mx.random.key(seed * 3 + k)) for k in range(3)]
    expected = [np.asarray(x).tobytes() for x in f(*args)]
    compiled = mx.compile(f)
    threads = mx.num_threads()
    _core._set_least_cost(1e9)  # wakes workers for whatever has two parts
    try:
        for n in (1, 2, 7):
            mx.set_num_threads(n)
            for _ in range(5):
                got = compiled(*(a * 1 for a in args))
                assert [np.asarray(x).tobytes() for x in got] == expected
    finally:
        mx.set_num_threads(threads)
        _core._set_least_cost(0)


def test_of_errors_side_by_side_the_first_is_raised():
    table = mx.arange(10)
    f = mx.compile(lambda i, j: (mx.take(table, i), mx.take_along_axis(table, j, axis=0)))
    good, bad = mx.array([1, 2]), mx.array([30, 100])
    threads = mx.num_threads()
    _core._set_least_cost(1e9)
    try:
        mx.set_num_threads(3)
        mx.eval(f(good, good))
        for _ in range(20):
            with pytest.raises(IndexError, match=r"\[take\]"):
                mx.eval(f(bad, bad))
            assert [x.tolist() for x in f(good, good)] == [[1, 2], [1, 2]]
    finally:
        mx.set_num_threads(threads)
        _core._set_least_cost(0)


# What is read from where it was written is the value that was written (FunctionGraph::forwarded).


def both(f, *args):
    """Compiled twice (planned, and run again) and not, to the same bits; the compiled steps."""
    g = mx.compile(f)
    expected = f(*args)
    mx.eval(expected)
    for _ in range(3):
        got = g(*args)
        assert len(got) == len(expected)
        for x, y in zip(got, expected):
            assert x.shape == y.shape and x.dtype == y.dtype
            assert np.asarray(x).tobytes() == np.asarray(y).tobytes()
    return int(str(mx.plan(*g(*args))).split("compiled(steps=")[1].split(")")[0])


def some(*shape, seed=0):
    a = mx.array(np.random.default_rng(seed).normal(size=shape).astype(np.float32))
    mx.eval(a)
    return a


def test_a_recurrence_over_written_columns_is_one_group():
    def recurrence(a, b, n):
        x = mx.zeros_like(a)
        x[..., 0] = b[..., 0]
        for k in range(1, n):
            x[..., k] = b[..., k] - a[..., k] * x[..., k - 1]
        return (x,)

    for n in (2, 3, 15, 40):
        both(lambda a, b, n=n: recurrence(a, b, n), some(3, 5, n), some(3, 5, n, seed=1))
    # A slice and its reshape of each, n times; the values that were written are not read again.
    steps = [
        both(lambda a, b, n=n: recurrence(a, b, n), some(3, 5, 9), some(3, 5, 9, seed=1))
        for n in (4, 5)
    ]
    assert steps[1] - steps[0] == 2 * 2 + 2 + 2  # a, b; the arithmetic; reshape and update


def test_what_was_written_elsewhere_or_in_part_is_read_where_it_lies():
    def f(a, b):
        x = a * 1
        x[1:4] = b[:3]
        same, part, more = x[1:4] * 2, x[2:4] * 2, x[0:4] * 2
        x[3:5] = b[3:5]  # over a part of what was read
        again, rest, other = x[1:4] * 3, x[1:3] * 3, x[5:] * 3
        x[4:2:-1] = b[:2]
        forth, back, step = x[3:5] * 5, x[4:2:-1] * 5, x[1:5:2] * 5
        return same, part, more, again, rest, other, forth, back, step, x

    both(f, some(7, 4), some(6, 4, seed=1))


def test_results_may_be_what_was_written_or_an_argument():
    def f(a, b):
        x = a + 1
        x[2] = b[0]
        x[3] = 5
        y = mx.zeros_like(a)
        y[1:3, 1:] = b[:2, 1:]
        z = a + 0
        z[:] = b
        return x[2], x[3], y[1:3, 1:], z[:], z[1], b

    assert all(np.isfinite(np.asarray(v)).all() for v in mx.compile(f)(some(4, 4), some(4, 4)))
    both(f, some(4, 4), some(4, 4, seed=1))

    def g(a):
        x = mx.zeros((2, *a.shape))
        x[0] = a
        return (x[0],)  # the argument itself: nothing is left to do

    a = some(3, 3)
    assert np.array_equal(np.asarray(mx.compile(g)(a)[0]), np.asarray(a))


def test_reshapes_of_reshapes_read_what_the_first_one_read():
    def f(a):
        b = a.reshape(6, 4).reshape(2, 3, 4).reshape(24).reshape(4, 6)
        c = a.T.reshape(8, 3).reshape(3, 8)  # the first one copies
        return b * 2, c * 2, a.reshape(24).reshape(a.shape) * 2, mx.reshape(a[:0], (2, 0)) + 1

    both(f, some(4, 6))
    both(lambda a: f(a[::-1]), some(4, 6))


def test_updates_still_write_over_their_base():
    """No view of an old base is made that would keep it."""

    def f(a):
        x = a * 2
        for k in range(20):
            x[k] = a[k] + k
        return (x[25] + x[3], x)

    g = mx.compile(f)
    a = some(40, 4096)
    mx.eval(g(a))
    mx.reset_peak_memory()
    before = mx.get_active_memory()
    mx.eval(g(a))
    assert mx.get_peak_memory() - before < 3 * a.nbytes


def test_views_of_what_lies_otherwise_at_each_step():
    """A kept view is shown anew where its input has other strides or another place."""

    def body(carry, i):
        x = mx.cond(i % 2 == 0, lambda c: c, lambda c: c.T, carry)
        row, flat, part = x[1], x.reshape(-1), x[1:, :3].reshape(-1)
        return carry + 1, (row * 2, flat[3:9] * 2, part * 2)

    a = some(4, 4)
    steps = mx.arange(6)
    got = mx.scan(body, a, steps)[1]
    n = np.asarray(a)
    for i in range(6):
        x = n if i % 2 == 0 else n.T
        expected = x[1] * 2, x.reshape(-1)[3:9] * 2, x[1:, :3].reshape(-1) * 2
        for y, e in zip(got, expected):
            assert np.array_equal(np.asarray(y[i]), e)
        n = n + 1
    rows = some(9, 5, 6)
    one = mx.scan(lambda c, x: (c + x.T[1:3], x[2:, ::2].reshape(-1) * 3), mx.zeros((2, 5)), rows)
    n = np.asarray(rows)
    assert np.array_equal(np.asarray(one[1]), n[:, 2:, ::2].reshape(9, -1) * np.float32(3))


@pytest.mark.parametrize("dtype", [mx.float32, mx.float16, mx.float64, mx.int32])
@pytest.mark.parametrize("n", [1, 5, 64, 100, 3000])
def test_scalars_of_a_program_are_read_anew_though_it_stays_bound(dtype, n):
    """A thread keeps the addresses of the program that it ran last, not what it read."""
    x = (mx.arange(n) % 7).astype(dtype)
    scalars = [mx.array(k, dtype) for k in range(1, 10)]
    mx.eval(x, scalars)
    host = np.asarray(x)
    for f, wanted in (
        (lambda x, a: x * a + 1, lambda a: host * a + 1),
        (
            lambda x, a: mx.where(x > a, x - a, x + a * a),
            lambda a: np.where(host > a, host - a, host + a * a),
        ),
        (lambda x, a: mx.broadcast_to(a * 2 + 1, x.shape), lambda a: host * 0 + (a * 2 + 1)),
    ):
        f = mx.compile(f)
        for a in scalars:
            assert (np.asarray(f(x, a)) == wanted(np.asarray(a))).all()

    def round_of(carry, a):
        return a - carry * 2 + carry, None

    got, _ = mx.scan(round_of, x, mx.stack(scalars))
    expected = host
    for a in scalars:
        expected = np.asarray(a) - expected
    assert (np.asarray(got) == expected).all()
