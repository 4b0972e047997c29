"""Graphs that come again run by the plans, and the programs, of those before them."""

import gc
import threading
import weakref

import numpy as np
import pytest

import lazulite.core as mx
from lazulite.core import _core


@pytest.fixture(autouse=True)
def none_known():
    mx.clear_cache()
    yield


def kept():
    return _core._known_plans()[0]


def found(run):
    """How many evaluations of run() went by a plan that was there."""
    before = _core._known_plans()[1]
    run()
    return _core._known_plans()[1] - before


def ready(*arrays):
    mx.eval(arrays)
    return arrays if len(arrays) > 1 else arrays[0]


def numbers(shape, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def body(a, b):
    x = mx.tanh(a + b) * a
    s = x.sum(axis=0)
    y = x @ x.T
    z = mx.maximum(y * 2 + x[:, :1], s[0]) - 1
    return z, s, x


def check(f, *args):
    """f of these arguments, by a known plan if there is one, beside f without."""
    got = f(*args)
    mx.eval(got)
    got = [bytes(a) for a in got]
    mx.clear_cache()
    expected = f(*args)
    mx.eval(expected)
    return got == [bytes(a) for a in expected]


def test_the_third_of_equal_graphs_finds_a_plan():
    args = ready(mx.array(numbers((4, 4))), mx.array(numbers((4, 4), 1)))
    once = lambda: mx.eval(body(*args))  # noqa: E731
    assert found(once) == 0 and kept() == 0  # most graphs come once
    assert found(once) == 0 and kept() == 1
    assert found(once) == found(once) == 1
    assert check(body, *args)


def test_other_arrays_of_the_same_form_share_a_plan():
    for seed in range(5):
        args = ready(mx.array(numbers((4, 4), seed)), mx.array(numbers((4, 4), seed + 9)))
        out = body(*args)
        mx.eval(out)
        x = np.tanh(numbers((4, 4), seed) + numbers((4, 4), seed + 9)) * numbers((4, 4), seed)
        np.testing.assert_allclose(out[1], x.sum(0), rtol=1e-4, atol=1e-5)
    assert kept() == 1


VARIANTS = {
    "shape": lambda a, b: body(a[:3], b[:3]),
    "row": lambda a, b: body(a, b[:1]),
    "dtype": lambda a, b: body(a.astype(mx.float16), b.astype(mx.float16)),
    "transposed": lambda a, b: body(a.T, b),
    "one array twice": lambda a, b: body(a, a),
    "exchanged": lambda a, b: body(b, a),
    "a number": lambda a, b: body(a, 2.0),
    "another number": lambda a, b: body(a, 3.0),
    "minus zero": lambda a, b: body(a * 0.0, -0.0),
    "zero": lambda a, b: body(a * 0.0, 0.0),
    "an attribute": lambda a, b: (mx.tanh(a + b).sum(axis=1), a - b),
    "another attribute": lambda a, b: (mx.tanh(a + b).sum(axis=0), a - b),
    "fewer results": lambda a, b: body(a, b)[:2],
    "another order": lambda a, b: body(a, b)[::-1],
    "one result": lambda a, b: body(a, b)[2:],
    "an update": lambda a, b: ((a + 0).at[1:3].add(b[:2] * 2), a * b),
    "another place": lambda a, b: ((a + 0).at[0:2].add(b[:2] * 2), a * b),
    "a stream": lambda a, b: (mx.add(mx.exp(a), b, stream=mx.new_stream(mx.cpu)),),
}


def test_what_differs_has_a_plan_of_its_own():
    a, b = ready(mx.array(numbers((4, 4))), mx.array(numbers((4, 4), 1)))
    expected = {}
    for name, f in VARIANTS.items():
        mx.clear_cache()
        expected[name] = [bytes(x) for x in f(a, b)]
    mx.clear_cache()
    for turn in range(5):
        for name, f in VARIANTS.items():
            out = f(a, b)
            mx.eval(out)
            assert [bytes(x) for x in out] == expected[name], (name, turn)
    assert kept() > 10


@pytest.mark.parametrize(
    "made",
    [
        lambda shape: mx.exp(mx.abs(mx.zeros(shape))),
        lambda shape: mx.sin(mx.ones(shape) + mx.full(shape, 2.5)).sum(),
        lambda shape: mx.sqrt(mx.full(shape, 4, mx.int32)) * 3,
        lambda shape: mx.cumsum(mx.where(mx.ones(shape, mx.bool_), 1.0, 2.0)),
        lambda shape: 1 / mx.abs(mx.zeros((0, *shape))).sum(0),
        lambda shape: mx.divmod(mx.full(shape, 7), mx.full(shape, 2))[1] + 1,
    ],
)
def test_constants_differ_by_their_shapes(made):
    """What is made of constants alone reads no array whose shape tells one form from another."""
    shapes = [(3,), (3,), (3,), (6,), (2, 3), (300,), (3, 2), (1,), (), (0,), (70, 3), (6,)]
    expected = []
    for shape in shapes:
        mx.clear_cache()
        expected.append(np.array(made(shape)))
    mx.clear_cache()
    for shape, wanted in zip(shapes, expected):
        got = np.array(made(shape))
        assert got.shape == wanted.shape
        assert (got == wanted).all(), shape
    assert found(lambda: [mx.eval(made((6,))) for _ in range(3)]) > 0


def test_layouts_that_differ_within_a_graph():
    """What a loop returns may lie in one way or another: its readers look."""
    def f(a, n):
        y = mx.while_loop(lambda c: c[0] < n, lambda c: (c[0] + 1, c[1].T), (mx.array(0), a))[1]
        return mx.exp(y) * y + a, y

    a = ready(mx.array(numbers((5, 5))))
    for n in (2, 2, 2, 3, 2, 3, 3, 0, 1):
        y = numbers((5, 5)).T if n % 2 else numbers((5, 5))
        got = f(a, ready(mx.array(n)))
        mx.eval(got)
        np.testing.assert_array_equal(got[1], y)
        np.testing.assert_allclose(got[0], np.exp(y) * y + numbers((5, 5)), rtol=1e-5)


def test_who_holds_memory_is_asked_each_time():
    for turn in range(8):
        a = ready(mx.array(numbers((64, 64), turn)))
        held = np.asarray(a) if turn % 3 == 0 else None
        other = a if turn % 4 == 1 else None
        v = mx.exp(a) + 1
        del a
        b = mx.tanh(v * 2) + v
        if turn % 2:
            v = None
        mx.eval(b)
        x = numbers((64, 64), turn).astype(np.float64)
        np.testing.assert_allclose(b, np.tanh((np.exp(x) + 1) * 2) + np.exp(x) + 1, rtol=1e-5)
        for kept_by in (held, other):
            if kept_by is not None:
                np.testing.assert_array_equal(kept_by, numbers((64, 64), turn))
        if v is not None:
            np.testing.assert_allclose(v, np.exp(x) + 1, rtol=1e-5)


def test_shared_memory_is_read_before_it_is_written():
    for turn in range(6):
        a = ready(mx.array(numbers((8, 8), turn)))
        b = a[::-1] if turn % 2 else ready(mx.array(numbers((8, 8), turn + 50)))
        mx.eval(b)
        want_b = np.array(b)
        a[2:4] = b[:2] + 1
        c = b * 2 - 1
        mx.eval(a, c)
        expected = numbers((8, 8), turn)
        expected[2:4] = want_b[:2] + 1
        np.testing.assert_array_equal(a, expected)
        np.testing.assert_array_equal(c, want_b * 2 - 1)


def test_what_fails_fails_each_time_and_what_follows_does_not():
    good, bad = ready(mx.eye(3) + 1, mx.zeros((3, 3)))

    def f(m):
        return mx.linalg.inv(m * 2 + 0) @ m + 1, mx.exp(m) - m

    for turn in range(4):
        assert np.isfinite(np.asarray(f(good)[0])).all()
        with pytest.raises(mx.LinAlgError):
            mx.eval(f(bad))
    first, second = f(bad)
    np.testing.assert_array_equal(second, np.ones((3, 3)))
    with pytest.raises(mx.LinAlgError):
        mx.eval(first)


def test_threads_share_plans():
    a, b = ready(mx.array(numbers((16, 16))), mx.array(numbers((16, 16), 1)))
    wanted = [bytes(x) for x in body(a, b)]
    wrong = []

    def work(k):
        for turn in range(60):
            if turn % 7 == k % 7:
                mx.clear_cache()
            out = body(a, b)
            mx.async_eval(out) if (turn + k) % 3 == 0 else mx.eval(out)
            if [bytes(x) for x in out] != wanted:
                wrong.append((k, turn))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_plans_are_bounded():
    a = ready(mx.ones((2, 2)))
    for n in range(300):
        for _ in range(2):
            mx.eval(mx.exp(a * float(n)) + a)
    assert 0 < kept() <= 128
    run = lambda: mx.eval(mx.exp(a * 299.0) + a)  # noqa: E731
    assert found(run) == 1  # the last stay
    long = lambda: mx.eval(sum((mx.sin(a * k) for k in range(1000)), a))  # noqa: E731
    long(), long()
    count = kept()
    assert found(long) == 1
    for n in range(20):  # large plans push out others
        grown = lambda: mx.eval(
            sum((mx.sin(a * (k + n)) for k in range(1000)), a)
        )  # noqa: B023, E731
        grown(), grown()
    assert kept() < count + 20
    mx.clear_cache()
    assert kept() == 0 and found(run) == 0


def test_plans_hold_neither_arrays_nor_functions():
    class Big:
        pass

    token, captured = Big(), ready(mx.array(numbers((256, 256))))
    held = weakref.ref(token)

    @mx.custom_function
    def f(x, token=token):
        return mx.exp(x) + captured * 0

    a = ready(mx.array(numbers((256, 256), 1)))
    step = lambda c, x: (c + x.sum(), x * 2)  # noqa: E731
    for _ in range(4):
        mx.eval(f(a) * 2 + a, mx.scan(step, mx.array(0.0), a)[0] + 1, mx.exp(a) @ a + captured)
    before = mx.get_active_memory()
    del a, captured, f, token
    gc.collect()
    assert held() is None
    assert mx.get_active_memory() <= before - 2 * 256 * 256 * 4


def test_a_traced_function_is_planned_as_before():
    a = ready(mx.array(numbers((6, 6))))
    f = lambda x: (mx.tanh(x @ x) * x).sum()  # noqa: E731
    wanted = bytes(mx.grad(f)(a))
    for _ in range(4):
        assert bytes(mx.grad(f)(a)) == wanted
        assert bytes(mx.vmap(mx.grad(f))(a[None])[0]) == wanted


def test_random_draws_differ():
    mx.random.seed(3)
    seen = {bytes(mx.random.normal((4,)) * 2 + 1) for _ in range(6)}
    assert len(seen) == 6


def test_profiles_see_the_same_steps():
    a, b = ready(mx.array(numbers((4, 4))), mx.array(numbers((4, 4), 1)))

    def steps():
        with mx.profile() as p:
            mx.eval(body(a, b))
        return sorted((r.text, r.calls) for r in p.rows())

    first = steps()
    assert steps() == first and steps() == first and found(steps) == 1 and steps() == first


PROGRAMS_OF_NUMBERS = {  # what is made of sizes and numbers alone
    "one op": lambda n: mx.zeros(n) + 1.5,
    "a chain": lambda n: mx.array(1e-8) + 2 * mx.abs(mx.zeros(n)),
    "a comparison": lambda n: mx.allclose(mx.zeros(n), mx.zeros(n), 1e-5),
    "a column": lambda n: (mx.ones((n, 1)) * 3 - 1) * mx.full((n, 1), 2.0),
    "halves": lambda n: mx.exp(mx.zeros((n,), mx.float16)) * 2 + 1,
    "a sum": lambda n: (mx.ones(n) * 2 + 1).sum(),
    "joined": lambda n: mx.concatenate([mx.ones(n) * 2, mx.zeros(3) + 1, mx.ones(n)]),
    "a product": lambda n: (mx.ones((n, n)) + 1) @ mx.ones((n, 3)),
    "a ramp": lambda n: mx.arange(n) * 2 + 1,
    "a draw": lambda n: mx.random.uniform(shape=(n,), key=mx.random.key(1)) * 2 - 1,
    "an update": lambda n: (mx.zeros((n, 2)) + 1).at[n - 1].add(2) * 3,
    "a mask": lambda n: mx.tril(mx.ones((n, n)) * 2) + mx.eye(n),
}


@pytest.mark.parametrize("name", PROGRAMS_OF_NUMBERS)
def test_graphs_without_arrays_differ_by_their_sizes(name):
    """Numbers have no shape of their own: a plan of another size must not serve."""
    program = PROGRAMS_OF_NUMBERS[name]
    sizes = [3, 5, 4, 6, 9, 7, 1, 8, 70, 64, 1030, 33]
    wanted = {}
    for n in sizes:
        mx.clear_cache()
        wanted[n] = np.array(program(n))
    mx.clear_cache()
    for n in [n for n in sizes for _ in range(3)] + sizes[::-1]:
        got = program(n)
        mx.eval(got)
        assert got.shape == wanted[n].shape and np.array_equal(np.array(got), wanted[n]), n
