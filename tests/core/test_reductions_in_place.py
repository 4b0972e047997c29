"""Reductions of views: their bits are those of dense copies, and they make none."""

import numpy as np
import pytest

import lazulite.core as mx

VIEWS = {
    "rows": lambda a: a,
    "transposed": lambda a: a.T,
    "reversed": lambda a: a[::-1, ::-1],
    "rows reversed": lambda a: a[::-1],
    "columns reversed": lambda a: a[:, ::-1],
    "every third row": lambda a: a[::3],
    "every third column": lambda a: a[:, ::3],
    "columns backward by twos": lambda a: a[:, ::-2],
    "part": lambda a: a[1:-1, 2:-2],
    "transposed part": lambda a: a[1:-1, 2:-2].T,
    "a row repeated": lambda a: mx.broadcast_to(a[1], a.shape),
    "a column repeated": lambda a: mx.broadcast_to(a[:, 1:2], a.shape),
    "one element repeated": lambda a: mx.broadcast_to(a[1:2, 2:3], a.shape),
    "repeated in front and inside": lambda a: mx.broadcast_to(
        mx.expand_dims(a, (0, 2)), (2, a.shape[0], 3, a.shape[1])
    ),
    "three axes turned": lambda a: (
        a.reshape(a.shape[0], -1, 2).transpose(2, 0, 1) if a.size % (2 * a.shape[0]) == 0 else a.T
    ),
}
FUNCTIONS = {
    "sum": mx.sum,
    "prod": mx.prod,
    "max": mx.max,
    "min": mx.min,
    "all": mx.all,
    "any": mx.any,
    "mean": mx.mean,
    "var": mx.var,
    "argmax": mx.argmax,
    "argmin": mx.argmin,
    "median": mx.median,
    "logsumexp": mx.logsumexp,
    "softmax": mx.softmax,
}
NO_COMPLEX = "argmax argmin median softmax".split()
# Past a chunk of the tree (4,096), past a group of chunks (32,768), wide, long, tiny.
SHAPES = [(5, 6), (700, 60), (3, 40_002), (33_000, 6), (300, 4_100)]


def data(shape, dtype):
    rng = np.random.default_rng(0)
    if dtype == mx.bool_:
        return mx.array(rng.random(shape) > 0.5)
    a = mx.array(rng.normal(size=shape).astype(np.float32)) * 3
    if dtype == mx.complex64:
        return a + 1j * mx.array(rng.normal(size=shape).astype(np.float32))
    return a.astype(dtype)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    "dtype", [mx.float32, mx.float16, mx.int8, mx.float64, mx.complex64, mx.bool_], ids=str
)
def test_a_view_gives_the_bits_of_its_copy(dtype, shape):
    a = data(shape, dtype)
    mx.eval(a)
    before = mx.num_threads()
    for name, view in VIEWS.items():
        x = view(a)
        dense = mx.contiguous(x)
        mx.eval(dense)
        for function_name, f in FUNCTIONS.items():
            if dtype == mx.complex64 and function_name in NO_COMPLEX:
                continue
            if function_name == "median" and a.size > 200_000:
                continue
            for axis in (None, 0, -1) + (
                ((0, 2),) if x.ndim > 2 and function_name not in ("argmax", "argmin") else ()
            ):
                with np.errstate(all="ignore"):
                    want = np.array(f(dense, axis=axis))
                    for threads in (
                        (before, 1) if function_name in ("sum", "argmax", "softmax") else (before,)
                    ):
                        mx.set_num_threads(threads)
                        try:
                            got = np.array(f(view(a), axis=axis))
                        finally:
                            mx.set_num_threads(before)
                        assert got.dtype == want.dtype and got.tobytes() == want.tobytes(), (
                            name,
                            function_name,
                            axis,
                            threads,
                        )


def test_argmax_of_rows_with_nans_and_ties_past_a_chunk():
    a = np.zeros((4, 20_000), np.float32)
    a[0, 15_000] = np.nan
    a[1, [9_000, 17_000]] = 5
    a[2] = -1
    a[3, 4_096] = 2
    for mx_view, np_view in (
        (lambda x: x, lambda x: x),
        (lambda x: x[:, ::-1], lambda x: x[:, ::-1]),
    ):
        got = mx.argmax(mx_view(mx.array(a)), axis=1)
        assert got.tolist() == np.argmax(np_view(a), axis=1).tolist()
    turned = mx.array(np.ascontiguousarray(a.T)).T
    assert mx.argmax(turned, axis=1).tolist() == np.argmax(a, axis=1).tolist()
    assert mx.argmax(turned[1:]).item() == np.argmax(a[1:])
    assert mx.argmin(turned[1:]).item() == np.argmin(a[1:])


@pytest.mark.parametrize("function", "sum prod max min argmax argmin".split())
def test_reductions_of_views_copy_nothing_large(function):
    f = FUNCTIONS[function]
    row = mx.arange(2000, dtype=mx.float32) / 1000
    square = mx.ones((2000, 2000)) * row
    mx.eval(row, square)
    views = {
        "repeated row": lambda: mx.broadcast_to(row, (2000, 2000)),
        "repeated column": lambda: mx.broadcast_to(row[:, None], (2000, 2000)),
        "transposed": lambda: square.T,
        "reversed": lambda: square[::-1, ::-1],
        "part": lambda: square[1:, 1:],
    }
    for name, view in views.items():
        for axis in (None, 0, 1):
            start = mx.get_active_memory()
            mx.reset_peak_memory()
            mx.eval(f(view(), axis=axis))
            assert mx.get_peak_memory() - start < 300_000, (name, axis)  # the copy takes 16 MB
