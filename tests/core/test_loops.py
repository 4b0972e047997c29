"""scan, while_loop, fori_loop, cond: as the loop written out, under every transform."""

import gc
import threading

import numpy as np
import pytest

import lazulite.core as mx


def close(a, b, tolerance=1e-5):
    np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=tolerance, atol=tolerance)


def weights(seed=0, *shapes):
    keys = mx.random.split(mx.random.key(seed), len(shapes))
    return [mx.random.normal(s, key=k) for s, k in zip(shapes, keys)]


def cell(h, x, W, U):
    return mx.tanh(x @ U + h @ W)


def scanned(W, U, xs):
    def step(h, x):
        h = cell(h, x, W, U)
        return h, h * 2

    h, ys = mx.scan(step, mx.zeros((2, 4)), xs)
    return h.sum() + (ys * ys).sum()


def unrolled(W, U, xs):
    h, ys = mx.zeros((2, 4)), []
    for i in range(xs.shape[0]):
        h = cell(h, xs[i], W, U)
        ys.append(h * 2)
    ys = mx.stack(ys)
    return h.sum() + (ys * ys).sum()


ARGS = weights(0, (4, 4), (3, 4), (5, 2, 3))


def test_scan_returns_the_last_carry_and_the_stacked_outputs():
    carry, ys = mx.scan(lambda c, x: (c + x, c * x), mx.array(1), mx.array([1, 2, 3]))
    assert carry.item() == 7
    assert ys.tolist() == [1, 4, 12]


def test_scan_reversed_goes_from_the_last_slice():
    carry, ys = mx.scan(
        lambda c, x: (c * 10 + x, c), mx.array(0), mx.array([1, 2, 3]), reverse=True
    )
    assert carry.item() == 321
    assert ys.tolist() == [32, 3, 0]


def test_scan_over_trees():
    def step(carry, x):
        return {"n": carry["n"] + 1, "sum": carry["sum"] + x["a"] * x["b"][0]}, (
            carry["n"],
            None,
            [x["a"]],
        )

    xs = {"a": mx.array([1.0, 2.0]), "b": (mx.array([3.0, 4.0]),)}
    carry, ys = mx.scan(step, {"n": mx.array(0), "sum": mx.array(0.0)}, xs)
    assert carry["n"].item() == 2 and carry["sum"].item() == 11
    assert ys[0].tolist() == [0, 1] and ys[1] is None and ys[2][0].tolist() == [1, 2]


def test_scan_by_length():
    carry, ys = mx.scan(lambda c, _: (c * 2, c), mx.array(1), length=5)
    assert carry.item() == 32 and ys.tolist() == [1, 2, 4, 8, 16]


@pytest.mark.parametrize("length", [0, 1, 2, 17])
def test_scan_of_any_length(length):
    x = mx.arange(length).astype(mx.float32)
    carry, ys = mx.scan(lambda c, v: (c + v, c), mx.array(0.0), x)
    assert ys.shape == (length,)
    close(ys, np.concatenate([[0], np.cumsum(np.arange(length))])[:length])
    assert carry.item() == sum(range(length))


def test_a_number_at_the_start_takes_the_dtype_of_the_loop():
    carry, _ = mx.scan(lambda c, x: (c + x, None), 0, mx.array([0.5, 1.0]))
    assert carry.dtype == mx.float32 and carry.item() == 1.5


def test_strided_and_transposed_slices():
    x = mx.arange(24).reshape(4, 6)
    got = mx.scan(lambda c, r: (c + r, r), mx.zeros(4, mx.int32), x.T[::2])
    close(got[0], np.arange(24).reshape(4, 6).T[::2].sum(0))
    close(got[1], np.arange(24).reshape(4, 6).T[::2])


def test_a_carry_that_is_updated_in_place_is_not_shared():
    start = mx.zeros(4)
    carry, ys = mx.scan(lambda c, i: (c.at[i].add(1.0), c), start, mx.array([0, 1, 1]))
    assert carry.tolist() == [1, 2, 0, 0]
    assert ys.tolist() == [[0, 0, 0, 0], [1, 0, 0, 0], [1, 1, 0, 0]]
    assert start.tolist() == [0, 0, 0, 0]


def test_item_assignment_inside_a_step():
    def step(c, i):
        c = c + 0
        c[i] = i * 10
        return c, None

    assert mx.scan(step, mx.zeros(3, mx.int32), mx.arange(3))[0].tolist() == [0, 10, 20]


@pytest.mark.parametrize("wrap", [lambda f: f, mx.compile], ids=["plain", "compiled"])
@pytest.mark.parametrize("argnum", [0, 1, 2])
def test_gradients_are_those_of_the_written_out_loop(wrap, argnum):
    close(wrap(mx.grad(scanned, argnums=argnum))(*ARGS), mx.grad(unrolled, argnums=argnum)(*ARGS))


def test_second_derivatives():
    def twice(f):
        return mx.grad(lambda W: mx.grad(f)(W, *ARGS[1:]).square().sum())(ARGS[0])

    close(twice(scanned), twice(unrolled), 1e-4)


def test_forward_derivatives():
    tangents = weights(1, *[a.shape for a in ARGS])
    close(mx.jvp(scanned, ARGS, tangents)[1][0], mx.jvp(unrolled, ARGS, tangents)[1][0], 1e-4)
    hessian_vector = [
        mx.jvp(lambda W: mx.grad(f)(W, *ARGS[1:]), ARGS[:1], tangents[:1])[1][0]
        for f in (scanned, unrolled)
    ]
    close(*hessian_vector, 1e-4)


@pytest.mark.parametrize(
    "axes", [(0, None, None), (None, None, 0), (None, None, 2), (2, 1, 1), (None, 0, -1)]
)
def test_batched(axes):
    args = [
        weights(2, tuple(np.insert(a.shape, ax % (a.ndim + 1), 6)))[0] if ax is not None else a
        for a, ax in zip(ARGS, axes)
    ]
    close(mx.vmap(scanned, axes)(*args), mx.vmap(unrolled, axes)(*args), 1e-4)
    for n in range(3):
        close(
            mx.vmap(mx.grad(scanned, argnums=n), axes)(*args),
            mx.vmap(mx.grad(unrolled, argnums=n), axes)(*args),
            1e-4,
        )
    close(
        mx.grad(lambda *a: mx.vmap(scanned, axes)(*a).sum())(*args),
        mx.grad(lambda *a: mx.vmap(unrolled, axes)(*a).sum())(*args),
        1e-4,
    )


def test_loops_nest():
    def inner(v, x):
        return mx.fori_loop(0, 3, lambda i, c: c * x + i, v)

    def outer(v, xs):
        return mx.scan(lambda c, x: (inner(c, x), None), v, xs)[0].sum()

    def written(v, xs):
        for x in xs:
            for i in range(3):
                v = v * x + i
        return v.sum()

    v, xs = mx.array([1.0, -0.5]), mx.array([0.5, 0.25])
    close(outer(v, xs), written(v, xs))
    for n in (0, 1):
        close(mx.grad(outer, argnums=n)(v, xs), mx.grad(written, argnums=n)(v, xs))
    close(mx.hessian(lambda x: outer(v, x))(xs), mx.hessian(lambda x: written(v, x))(xs), 1e-4)


def test_a_gradient_inside_a_step():
    def descend(x, _):
        return x - 0.1 * mx.grad(lambda v: ((v - 3) ** 2).sum())(x), None

    def run(x):
        return mx.scan(descend, x, length=50)[0].sum()

    close(run(mx.array([0.0])), 3.0, 1e-3)
    close(mx.grad(run)(mx.array([0.0])), [0.8**50])


def test_captured_arrays_receive_gradients():
    def f(w):
        big = mx.exp(w)
        return mx.scan(lambda c, x: (c + (big * x).sum(), None), mx.array(0.0), mx.arange(4.0))[0]

    close(mx.grad(f)(mx.array([0.0, 1.0])), 6 * np.exp([0.0, 1.0]))


def test_what_depends_on_no_step_is_computed_before_the_loop():
    w = mx.array([0.0, 1.0])
    out = mx.scan(lambda c, x: (c + (mx.exp(w) * x).sum(), None), mx.array(0.0), mx.arange(4.0))[0]
    assert [op for step in mx.plan(out).steps for op in step.ops].count("exp") == 1


def test_every_step_draws_its_own_numbers_from_the_global_state():
    mx.random.seed(3)
    ys = mx.scan(lambda c, _: (c, mx.random.uniform()), mx.array(0), length=4)[1]
    after = mx.random.uniform()
    mx.random.seed(3)
    expected = [mx.random.uniform().item() for _ in range(5)]
    assert ys.tolist() + [after.item()] == expected
    compiled = mx.compile(
        lambda: mx.scan(lambda c, _: (c, mx.random.uniform()), mx.array(0), length=4)[1]
    )
    mx.random.seed(3)
    assert compiled().tolist() == expected[:4]
    assert compiled().tolist() != expected[:4]


def test_half_precision_carries_stay_halves():
    carry, ys = mx.scan(
        lambda c, x: (c * 0.5 + x, c), mx.array(1.0, mx.float16), mx.ones(3, mx.float16)
    )
    assert carry.dtype == mx.float16 and ys.dtype == mx.float16


def test_while_loop():
    assert mx.while_loop(lambda v: v < 100, lambda v: v * 2, mx.array(3)).item() == 192
    assert mx.while_loop(lambda v: v < 0, lambda v: v * 2, mx.array(3)).item() == 3
    n, total = mx.while_loop(
        lambda v: v[0] > 0, lambda v: (v[0] - 1, v[1] + v[0]), (mx.array(4), 0)
    )
    assert (n.item(), total.item()) == (0, 10)


def test_while_loop_in_lanes_stops_each_on_its_own():
    collatz = lambda n: mx.while_loop(
        lambda v: v[0] != 1,
        lambda v: (mx.where(v[0] % 2 == 0, v[0] // 2, 3 * v[0] + 1), v[1] + 1),
        (n, 0),
    )[1]
    assert mx.vmap(collatz)(mx.array([1, 6, 7, 27])).tolist() == [0, 8, 16, 111]


def test_while_loop_differentiates_forward_only():
    f = lambda x: mx.while_loop(lambda v: v < 100, lambda v: v * 2, x)
    assert mx.jvp(f, [mx.array(3.0)], [mx.array(1.0)])[1][0].item() == 64
    with pytest.raises(ValueError, match="no reverse derivative"):
        mx.grad(f)(mx.array(3.0))


def test_fori_loop_with_bounds_that_are_arrays():
    count = lambda n: mx.fori_loop(0, n, lambda i, v: v + i, 0)
    assert count(5).item() == count(mx.array(5)).item() == 10
    assert mx.compile(count)(mx.array(5)).item() == 10
    assert count(0).item() == 0 and mx.fori_loop(3, 1, lambda i, v: v + 1, 7).item() == 7


def test_fori_loop_differentiates():
    assert (
        mx.grad(lambda x: mx.fori_loop(0, 5, lambda i, v: v * x, mx.array(1.0)))(
            mx.array(2.0)
        ).item()
        == 80
    )


def test_cond_runs_one_of_two():
    f = lambda x: mx.cond(x > 1, lambda v: v * v, lambda v: -v, x)
    for wrap in (lambda g: g, mx.compile):
        assert wrap(f)(mx.array(3.0)).item() == 9 and wrap(f)(mx.array(0.5)).item() == -0.5
        assert (
            wrap(mx.grad(f))(mx.array(3.0)).item() == 6
            and wrap(mx.grad(f))(mx.array(0.5)).item() == -1
        )
    assert mx.vmap(f)(mx.array([3.0, 0.5])).tolist() == [9, -0.5]
    assert mx.vmap(mx.grad(f))(mx.array([3.0, 0.5])).tolist() == [6, -1]
    assert mx.jvp(f, [mx.array(3.0)], [mx.array(1.0)])[1][0].item() == 6
    assert mx.grad(mx.grad(f))(mx.array(3.0)).item() == 2


def test_cond_leaves_the_other_branch_alone():
    # Reading it would raise: the index is out of bounds.
    x = mx.arange(3)
    f = lambda p, i: mx.cond(p, lambda: x[i], lambda: mx.array(-1))
    assert f(mx.array(False), mx.array(10)).item() == -1
    with pytest.raises(IndexError):
        f(mx.array(True), mx.array(10)).item()


def test_cond_with_captured_parameters_and_trees():
    w = mx.array([1.0, 2.0])

    def loss(w, p):
        return mx.cond(
            p, lambda o: {"v": (w * o).sum()}, lambda o: {"v": o.sum()}, mx.array([3.0, 4.0])
        )["v"]

    assert mx.grad(loss)(w, mx.array(True)).tolist() == [3, 4]
    assert mx.grad(loss)(w, mx.array(False)).tolist() == [0, 0]
    assert mx.vmap(loss, (None, 0))(w, mx.array([True, False])).tolist() == [11, 7]


def test_cond_draws_random_numbers_in_the_branch_that_runs():
    mx.random.seed(1)
    before = mx.random.state[0].tolist()
    mx.cond(mx.array(False), lambda: mx.random.uniform(), lambda: mx.array(0.0)).item()
    assert mx.random.state[0].tolist() == before
    mx.cond(mx.array(True), lambda: mx.random.uniform(), lambda: mx.array(0.0)).item()
    assert mx.random.state[0].tolist() != before


@pytest.mark.parametrize(
    "call, message",
    [
        (
            lambda: mx.scan(lambda c, x: (c * 1.5, None), mx.array(1), mx.arange(3)),
            "changes its shape or dtype",
        ),
        (
            lambda: mx.scan(lambda c, x: ((c, c), None), mx.array(1), mx.arange(3)),
            "carried value becomes another tree",
        ),
        (
            lambda: mx.fori_loop(0, 3, lambda i, c: (c, c), mx.array(1)),
            r"\[fori_loop\] the carried value",
        ),
        (
            lambda: mx.fori_loop(0, 3, lambda i, c: mx.ones(2), mx.array(1)),
            r"\[fori_loop\] the carried value",
        ),
        (
            lambda: mx.fori_loop(0, mx.array(3), lambda i, c: mx.ones(2), mx.array(1)),
            r"\[fori_loop\] the carried value",
        ),
        (lambda: mx.scan(lambda c, x: c, mx.array(1), mx.arange(3)), "must return"),
        (
            lambda: mx.scan(lambda c, x: (c, x), mx.array(1), (mx.arange(3), mx.arange(4))),
            "first axis",
        ),
        (lambda: mx.scan(lambda c, x: (c, x), mx.array(1), mx.arange(3), length=4), "first axis"),
        (lambda: mx.scan(lambda c, x: (c, x), mx.array(1)), "length="),
        (lambda: mx.scan(lambda c, x: (c, c.item()), mx.array(1), length=2), "while it is traced"),
        (lambda: mx.while_loop(lambda v: v, lambda v: v, mx.array(1)), "0-d bool"),
        (
            lambda: mx.while_loop(lambda v: v < 3, lambda v: v * 1.0, mx.array(1)),
            "changes its shape or dtype",
        ),
        (lambda: mx.cond(mx.array([True]), lambda: 1, lambda: 2), "0-d"),
        (
            lambda: mx.cond(mx.array(True), lambda: mx.array(1), lambda: mx.array(1.0)),
            "different results",
        ),
        (lambda: mx.cond(mx.array(True), lambda: 1, lambda: (1, 2)), "different"),
    ],
)
def test_misuse_says_what_is_wrong(call, message):
    with pytest.raises(ValueError, match=message):
        call()
    assert mx.add(1, 1).item() == 2  # nothing stays open


def test_an_error_inside_a_step_reaches_the_caller():
    x = mx.arange(3)
    _, ys = mx.scan(lambda c, i: (c, x[i]), mx.array(0), mx.array([0, 1, 5]))
    with pytest.raises(IndexError):
        mx.eval(ys)


def test_loops_run_in_the_background_and_in_threads():
    def work(out, k):
        out[k] = mx.scan(lambda c, x: (mx.sin(c) + x, c), mx.array(float(k)), mx.ones(50))[0].item()

    out = [None] * 8
    threads = [threading.Thread(target=work, args=(out, k)) for k in range(8)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    expected = [None] * 8
    for k in range(8):
        work(expected, k)
    assert out == expected
    a = mx.scan(lambda c, x: (mx.sin(c) + x, c), mx.array(3.0), mx.ones(50))[0]
    mx.async_eval(a)
    assert a.item() == expected[3]


def test_the_same_bits_for_any_number_of_threads():
    W, U, xs = weights(5, (64, 64), (64, 64), (20, 256, 64))
    def run():
        return mx.scan(lambda h, x: (mx.tanh(x @ U + h @ W), h.sum()), mx.zeros((256, 64)), xs)
    results = []
    before = mx.num_threads()
    try:
        for n in (1, 2, 7):
            mx.set_num_threads(n)
            h, s = run()
            results.append((np.asarray(h).tobytes(), np.asarray(s).tobytes()))
    finally:
        mx.set_num_threads(before)
    assert results[0] == results[1] == results[2]


def test_memory_of_a_long_loop_does_not_grow():
    def peak(n):
        gc.collect()
        mx.clear_cache()
        mx.reset_peak_memory()
        base = mx.get_active_memory()
        mx.eval(mx.fori_loop(0, n, lambda i, v: mx.sin(v) + 1, mx.zeros(10000)))
        return mx.get_peak_memory() - base

    assert peak(300) <= peak(3) + 4096


def test_rules_of_python_functions_die_in_the_background_without_harm():
    @mx.custom_function
    def f(x):
        return mx.sin(x)

    @f.vjp
    def f_vjp(x, ct, y):
        return ct * 2

    for _ in range(50):
        g = mx.grad(lambda x: f(x).sum())(mx.ones(1000))
        mx.async_eval(g)
        del g
    mx.synchronize()
    assert mx.grad(lambda x: f(x).sum())(mx.ones(3)).tolist() == [2, 2, 2]


def lstm(wx, wh, b, xs):
    def step(carry, x):
        h, c = carry
        i, f, o, g = mx.split(x @ wx + h @ wh + b, 4, axis=-1)
        c = mx.sigmoid(f) * c + mx.sigmoid(i) * mx.tanh(g)
        h = mx.sigmoid(o) * mx.tanh(c)
        return (h, c), h

    zeros = mx.zeros((3, 4))
    if isinstance(xs, list):
        carry, ys = (zeros, zeros), []
        for x in xs:
            carry, y = step(carry, x)
            ys.append(y)
        return (mx.stack(ys) ** 2).sum()
    return (mx.scan(step, (zeros, zeros), xs)[1] ** 2).sum()


def test_an_lstm_and_its_gradients():
    args = weights(7, (5, 16), (4, 16), (16,), (6, 3, 5))
    written = lambda wx, wh, b, xs: lstm(wx, wh, b, [xs[k] for k in range(6)])
    close(lstm(*args), written(*args))
    for n in range(4):
        close(mx.grad(lstm, argnums=n)(*args), mx.grad(written, argnums=n)(*args))
    batched = [mx.stack([a, a * 0.5]) for a in args]
    for n in range(4):
        close(
            mx.vmap(mx.grad(lstm, argnums=n))(*batched),
            mx.vmap(mx.grad(written, argnums=n))(*batched),
        )
    twice = lambda f: mx.grad(
        lambda w: mx.grad(f, argnums=1)(args[0], w, *args[2:]).square().sum()
    )(args[1])
    close(twice(lstm), twice(written), 1e-4)


def test_products_of_slices_are_made_before_the_loop_and_those_of_weights_after_it():
    args = weights(8, (5, 16), (4, 16), (16,), (6, 3, 5))
    value, grads = mx.value_and_grad(lstm, argnums=(0, 1))(*args)
    products = [
        r
        for step in mx.plan(value, grads).steps
        for op, r in zip(step.ops, step.results)
        if op == "matmul"
    ]
    assert sorted(products) == ["float32(18, 16)", "float32(4, 16)", "float32(5, 16)"]


def test_an_unused_slice_or_constant_is_no_trouble():
    xs = (mx.arange(6.0), mx.ones((6, 2)))
    unused = mx.array(5.0)
    f = lambda w: mx.scan(lambda c, x: (c + x[0] * w + 0 * unused, None), mx.array(0.0), xs)[0]
    assert mx.grad(f)(mx.array(2.0)).item() == 15


def test_batched_over_no_lanes():
    scan = lambda c, x: mx.scan(lambda a, b: (a + b.sum(), a * 2), c, x)
    carry, ys = mx.vmap(scan, (0, None))(mx.zeros(0), mx.ones((4, 2)))
    assert carry.shape == (0,) and ys.shape == (0, 4)
    assert mx.vmap(lambda v: mx.while_loop(lambda v: v < 3, lambda v: v + 1, v))(
        mx.zeros(0)
    ).shape == (0,)
    assert mx.vmap(lambda p, v: mx.cond(p, lambda v: v, lambda v: -v, v))(
        mx.zeros(0, mx.bool_), mx.zeros((0, 2))
    ).shape == (0, 2)


def test_debug_nans_looks_into_the_steps():
    with mx.debug_nans():
        assert mx.fori_loop(0, 3, lambda i, v: v + 1, mx.array(0.0)).item() == 3
        with pytest.raises(RuntimeError, match="log"):
            mx.eval(
                mx.scan(lambda c, x: (mx.log(x), None), mx.array(1.0), mx.array([1.0, 0.0, 2.0]))[0]
            )


def test_ctrl_c_ends_a_long_loop():
    import os
    import signal

    timer = threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT))
    v = mx.zeros(1000)
    out = mx.fori_loop(0, 100_000_000, lambda i, v: mx.sin(v) + 1, v)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        mx.eval(out)
    timer.join()
    assert mx.add(1, 1).item() == 2
    small = mx.fori_loop(0, 3, lambda i, v: v + 1, v)
    assert small[0].item() == 3


def test_inside_a_function_with_a_rule_of_its_own_nothing_is_kept():
    w, xs = weights(9, (64, 64), (50, 64, 64))
    whole = lambda w: mx.scan(lambda h, x: (mx.tanh(h @ w + x), None), mx.zeros((64, 64)), xs)[
        0
    ].sum()

    @mx.custom_function
    def ruled(w):
        return whole(w)

    @ruled.vjp
    def ruled_vjp(w, ct, y):
        return ct * w

    def peak(f):
        gc.collect()
        mx.clear_cache()
        mx.reset_peak_memory()
        before = mx.get_active_memory()
        mx.eval(mx.value_and_grad(f)(w))
        return mx.get_peak_memory() - before

    assert peak(whole) > 50 * w.nbytes
    assert peak(ruled) < 10 * w.nbytes


def cumulated(v):
    def step(total, x):
        return total * 2 + x * v["a"][0], (total, x * x)

    total, (before, squares) = mx.scan(step, v["a"][1], v["b"])
    return total + before.sum() + squares.sum()


def cumulated_plainly(v):
    total, rest = v["a"][1], 0
    for x in v["b"]:
        rest = rest + total + x * x
        total = total * 2 + x * v["a"][0]
    return total + rest


def counted(v):
    return mx.fori_loop(0, 3, lambda i, t: t * v["a"][0] + i.astype(t.dtype), v["b"]).sum()


def counted_plainly(v):
    t = v["b"]
    for i in range(3):
        t = t * v["a"][0] + i
    return t.sum()


def chosen(v):
    def yes(b):
        return b * v["a"][0]

    return mx.cond(v["a"][1] > 2, yes, lambda b: b - v["a"][1], v["b"]).sum()


def chosen_plainly(v):
    yes = v["a"][1].item() > 2
    return (v["b"] * v["a"][0] if yes else v["b"] - v["a"][1]).sum()


def while_doubled(v):
    go = (mx.array(0), v["b"])
    return mx.while_loop(lambda w: w[0] < 3, lambda w: (w[0] + 1, w[1] * v["a"][0]), go)[1].sum()


def while_doubled_plainly(v):
    return (v["b"] * v["a"][0] * v["a"][0] * v["a"][0]).sum()


@pytest.mark.parametrize("dtype", [mx.int32, mx.uint8, mx.int64, mx.float32])
@pytest.mark.parametrize(
    "loop, plain",
    [
        (cumulated, cumulated_plainly),
        (counted, counted_plainly),
        (chosen, chosen_plainly),
        (while_doubled, while_doubled_plainly),
    ],
    ids=lambda f: f.__name__,
)
def test_derivatives_follow_integers_through_loops(loop, plain, dtype):
    for a in ([2, 3], [3, 1]):
        v = {"a": mx.array(a, dtype), "b": mx.array([1, 2, 4], dtype)}

        def flat(f):
            return lambda a, b: f({"a": a, "b": b})

        primals = [v["a"], v["b"]]
        tangents = [mx.array([1, 2], dtype), mx.array([3, 0, 1], dtype)]
        found, expected = (mx.jvp(flat(f), primals, tangents) for f in (loop, plain))
        assert found[1][0].tolist() == expected[1][0].tolist() != 0
        assert found[1][0].dtype == found[0][0].dtype
        found, expected = (
            mx.jvp(lambda *p, f=f: mx.jvp(flat(f), list(p), tangents)[1][0], primals, tangents)
            for f in (loop, plain)
        )
        assert found[1][0].tolist() == expected[1][0].tolist()
        if loop is while_doubled:
            continue
        cotangent = [mx.array(1, plain(v).dtype)]
        found, expected = (mx.vjp(flat(f), primals, cotangent)[1] for f in (loop, plain))
        assert [g.tolist() for g in found] == [g.tolist() for g in expected]
        assert [g.dtype for g in found] == [g.dtype for g in expected]
        w = mx.array(1.5)
        found, expected = (
            mx.grad(lambda t, f=f: f(t["v"]).astype(mx.float32) * t["w"] * 2)({"v": v, "w": w})
            for f in (loop, plain)
        )
        assert str(found) == str(expected)
        again = mx.compile(mx.grad(lambda t: loop(t["v"]).astype(mx.float32) * t["w"] * 2))
        assert str(again({"v": v, "w": w})) == str(expected)


def test_a_loop_whose_bounds_are_arrays_is_called_what_the_user_called():
    with pytest.raises(ValueError, match=r"\[fori_loop\] has no reverse derivative"):
        mx.grad(lambda x: mx.fori_loop(0, mx.array(3), lambda i, v: v * 2, x))(mx.array(1.0))
    with pytest.raises(ValueError, match=r"\[fori_loop\] the carried value 0 changes"):
        mx.fori_loop(0, mx.array(3), lambda i, v: v * 1.5, mx.array(1))
    with pytest.raises(ValueError, match=r"\[fori_loop\] the carried value 0 changes"):
        mx.fori_loop(0, 3, lambda i, v: v * 1.5, mx.array(1))


def test_the_length_of_a_scan_is_any_integer():
    for length in (2, np.int64(2), mx.array(2), mx.array([2]), np.array([2])):
        assert mx.scan(lambda c, _: (c + 1, c), mx.array(0), length=length)[0].item() == 2
    for length in ("2", 2.0, True, mx.array([1, 2])):
        with pytest.raises(TypeError, match=r"\[scan\] length"):
            mx.scan(lambda c, _: (c + 1, c), mx.array(0), length=length)


@pytest.mark.parametrize("dtype", [mx.float32, mx.int32])
def test_derivatives_of_derivatives_of_loops_over_empty_arrays(dtype):
    a, b = mx.zeros((0,), dtype), mx.array(5.0)

    def f(a, b):
        def body(c, x):
            return c, (x[0] ** 2, x[1] * x[1])

        return list(mx.scan(body, mx.array(0), (mx.stack([a, a]), mx.stack([b, b])))[1])

    cotangents = [mx.zeros((2, 0), dtype), mx.ones((2,))]

    def back(a, b):
        return mx.vjp(f, [a, b], cotangents)[1]

    for found in (
        mx.jvp(back, [a, b], [a, mx.array(1.0)]),
        mx.vjp(back, [a, b], [a, mx.array(1.0)]),
        mx.compile(lambda a, b: mx.jvp(back, [a, b], [a, mx.array(1.0)]))(a, b),
    ):
        assert found[0][0].tolist() == [] and found[0][1].item() == 20
        assert found[1][0].tolist() == [] and found[1][1].item() == 4


@pytest.mark.parametrize("made", ["before", "computed", "inside"])
def test_rules_inside_a_loop_use_arrays_of_their_own(made):
    data = np.array([2.0, 3.0], np.float32)
    w = mx.array(data) if made == "before" else mx.array(data) + 0

    @mx.custom_function
    def f(x):
        return x * 2

    @f.vjp
    def f_vjp(x, cotangent, output):
        own = mx.array(data) if made == "inside" else w
        return cotangent * mx.sin(x * own) * mx.exp(own)

    def unrolled(x):
        for _ in range(3):
            x = f(x)
        return x.sum()

    def looped(x):
        return mx.fori_loop(0, 3, lambda i, v: f(v), x).sum()

    def chosen(x):
        return mx.fori_loop(0, 3, lambda i, v: mx.cond(v[0] > -9, f, lambda u: u, v), x).sum()

    x = mx.array([0.5, 0.25])
    for g in (looped, chosen):
        close(mx.grad(g)(x), mx.grad(unrolled)(x))
        close(mx.compile(mx.grad(g))(x), mx.grad(unrolled)(x))
        second, expected = (mx.grad(lambda v, h=h: mx.grad(h)(v).sum())(x) for h in (g, unrolled))
        close(second, expected)
        tangent, expected = (mx.jvp(mx.grad(h), [x], [x])[1][0] for h in (g, unrolled))
        close(tangent, expected)
    close(w, data)


def levels(m, c, u):
    """A recurrence level by level, and its way back, written into slices and read from them."""
    n = u.shape[-1]
    p, q = m.zeros_like(u), m.zeros_like(u)
    p[..., 0] = c[..., 0] / 3
    q[..., 0] = u[..., 0] / 3
    for k in range(1, n):
        scale = 1 / (3 - c[..., k] * p[..., k - 1])
        p[..., k] = c[..., k] * scale
        q[..., k] = (u[..., k] - c[..., k] * q[..., k - 1]) * scale
    out = q * 1
    for k in range(n - 2, -1, -1):
        out[..., k] = q[..., k] - p[..., k] * out[..., k + 1]
    out[1:3] = out[:2] * 0.5 + out[2:4]
    return out + 0.5 * u


@pytest.mark.parametrize("shape", [(5, 3), (9, 17), (4, 70, 6)])
def test_what_a_body_reads_from_where_it_wrote(shape):
    rng = np.random.default_rng(3)
    c, u = (mx.array(rng.random(shape).astype(np.float32)) for _ in range(2))
    before = bytes(c), bytes(u)
    wanted = [u]
    for _ in range(4):
        wanted.append(levels(mx, c, wanted[-1]))
        mx.eval(wanted)
    expected = np.array(u, np.float64)
    for _ in range(4):
        expected = levels(np, np.array(c, np.float64), expected)
    np.testing.assert_allclose(wanted[-1], expected, rtol=1e-4, atol=1e-6)

    def scanned(u):
        return mx.scan(lambda v, _: (levels(mx, c, v),) * 2, u, None, length=4)

    def looped(u):
        return mx.fori_loop(0, 4, lambda i, v: levels(mx, c, v), u)

    def until(u):
        return mx.while_loop(lambda s: s[0] < 4, lambda s: (s[0] + 1, levels(mx, c, s[1])), (0, u))

    for way in (lambda f: f, mx.compile):
        last, rows = way(scanned)(u)
        assert bytes(last) == bytes(wanted[-1])
        assert bytes(rows) == b"".join(bytes(v) for v in wanted[1:])
        assert bytes(way(looped)(u)) == bytes(wanted[-1])
        assert bytes(way(until)(u)[1]) == bytes(wanted[-1])
    assert (bytes(c), bytes(u)) == before

    def unrolled(u):
        for _ in range(4):
            u = levels(mx, c, u)
        return u

    slopes = [mx.grad(lambda u: (f(u) * c).sum())(u) for f in (looped, unrolled)]  # noqa: B023
    np.testing.assert_allclose(*slopes, rtol=1e-4, atol=1e-5)
