"""Kernels that may write their result where an operand lies that nothing else wants."""

import itertools

import numpy as np
import pytest

import lazulite.core as mx

N = 512


def weights():
    return mx.random.normal((N,), key=mx.random.key(3))


ROWS = {
    "softmax": lambda x: mx.softmax(x, axis=-1),
    "layer_norm": lambda x: mx.fast.layer_norm(x, weights(), weights(), 1e-5),
    "rms_norm": lambda x: mx.fast.rms_norm(x, None, 1e-5),
    "the slope of softmax": lambda x: mx.vjp(
        lambda y: mx.softmax(y, axis=-1), [mx.ones((N, N))], [x]
    )[1][0],
}


def peak(f):
    mx.clear_cache()
    mx.reset_peak_memory()
    before = mx.get_active_memory()
    out = f()
    mx.eval(out)
    return (mx.get_peak_memory() - before) / (N * N * 4), out


def product(rows=N, n=N):
    return mx.random.normal((rows, n), key=mx.random.key(0)) @ mx.random.normal(
        (n, n), key=mx.random.key(1)
    )


@pytest.mark.parametrize("name", ["softmax", "rms_norm"])
def test_a_value_that_dies_is_written_over(name):
    a, rows = mx.random.normal((N, N)), mx.arange(N)[::-1]
    mx.eval(a, rows)
    taken, _ = peak(lambda: ROWS[name](mx.take(a, rows, axis=0)))
    assert taken < 1.3
    kept = mx.take(a, rows, axis=0)
    taken, _ = peak(lambda: (ROWS[name](kept), kept))  # somebody has it
    assert taken > 1.9


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("dtype", [mx.float32, mx.float16, mx.bfloat16, mx.float64], ids=str)
@pytest.mark.parametrize("threads", [1, 2, 7])
def test_bits_and_the_values_of_others_stay(name, dtype, threads):
    before = mx.num_threads()
    f = ROWS[name]
    try:
        mx.set_num_threads(threads)
        x = (product() / 20).astype(dtype)
        mx.eval(x)
        copy = np.asarray(x.astype(mx.float32)).tobytes()
        expected = np.asarray(f(x).astype(mx.float32)).tobytes()  # x is held
        assert np.asarray(x.astype(mx.float32)).tobytes() == copy
        for make in (lambda: f(x + 0), lambda: f((product() / 20).astype(dtype))):
            assert np.asarray(make().astype(mx.float32)).tobytes() == expected
        view = x[1:]
        out = f(x)
        mx.eval(out, view)
        assert np.asarray(view.astype(mx.float32)).tobytes() == copy[N * 4 :]
        for g in (mx.compile(f), mx.compile(lambda x: f(x * 1))):
            assert np.asarray(g(x * 1).astype(mx.float32)).tobytes() == expected
        assert np.asarray(x.astype(mx.float32)).tobytes() == copy
    finally:
        mx.set_num_threads(before)


def test_loops_and_small_steps_side_by_side_read_what_they_should():
    x = mx.random.normal((16, 16))

    def body(x):
        y = x @ x * 0.1
        return [mx.softmax(y, axis=-1), mx.fast.rms_norm(y, None, 1e-5), mx.sin(y) + y]

    expected = [np.asarray(v).tobytes() for v in body(x)]
    f = mx.compile(body)
    for _ in range(20):
        assert [np.asarray(v).tobytes() for v in f(x)] == expected
    total, _ = mx.scan(lambda c, _: (mx.softmax(c @ c, axis=-1), c.sum()), x, mx.zeros((8, 1)))
    step = x
    for _ in range(8):
        step = mx.softmax(step @ step, axis=-1)
    assert np.asarray(total).tobytes() == np.asarray(step).tobytes()


@pytest.mark.parametrize("dtype", ["bool_", "int16", "float32", "complex128"])
def test_updates_of_most_of_a_kept_base_copy_the_rest_of_it(dtype):
    """Slabs around the slice, on any side, of bases of any layout, which stay as they are."""
    rng = np.random.default_rng(3)
    spans = slice(None), slice(1, None), slice(None, -2), slice(2, -1)
    dtype = getattr(mx, dtype)
    plain = (rng.normal(size=(18, 31, 63)) * 9).astype(dtype.name)
    given = mx.array(plain, dtype)
    bases = {
        "dense": (given, plain),
        "turned": (given.T, plain.T),
        "reversed": (given[::-1, :, ::-1], plain[::-1, :, ::-1]),
        "repeated": (
            mx.broadcast_to(given[:1], plain.shape),
            np.broadcast_to(plain[:1], plain.shape),
        ),
        "constant": (mx.ones(plain.shape, dtype), np.ones_like(plain)),
    }
    for label, (base, n) in bases.items():
        mx.eval(base)
        for key in itertools.product(spans, repeat=3):
            value = np.ascontiguousarray(n[key][::-1, ::-1])
            expected = n.copy()
            expected[key] = value
            for v in (mx.array(value, dtype), base[key][::-1, ::-1]):
                got = base.at[key].set(v)
                assert np.asarray(got).tobytes() == expected.tobytes(), (label, key)
            assert np.asarray(base).tobytes() == n.tobytes(), (label, key)
        for key in (np.s_[::2], np.s_[:, ::-1], np.s_[1:, 1:-1, ::3], np.s_[0:0], np.s_[17:, 30:]):
            expected = n.copy()
            expected[key] = expected[key][::-1]
            got = base.at[key].set(base[key][::-1])
            assert np.asarray(got).tobytes() == expected.tobytes(), (label, key)
    many = mx.zeros((2,) * 12, dtype).at[(slice(0, 1),) * 12].set(1)
    assert np.asarray(many).sum() == 1 and np.asarray(many).flat[0] == 1
