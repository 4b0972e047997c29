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
SHAPES = [(5, 6), (700, 60), (3, 40_002), (33_000, 6)]
SHAPES.append(pytest.param((300, 4_100), marks=pytest.mark.much_data))


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


# Lengths around a chunk of 4,096 elements, and around 16 of them, which one thread takes of a row.
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int8", "uint64", "int32"])
@pytest.mark.parametrize("n", [4_095, 4_097, 65_535, 65_536, 65_537, 200_003])
@pytest.mark.parametrize("rows", [1, 3])
def test_the_first_of_the_largest_wherever_they_lie(rows, n, dtype):
    is_float = dtype.startswith("float")
    rng = np.random.default_rng(n)
    low = 0 if dtype[0] == "u" else -9
    specials = [10, -0.0, np.nan, np.inf, -np.inf] if is_float else [10]
    for special in specials:
        a = rng.integers(low, 0 if special == 0 else 9, (rows, n), endpoint=special != 0)
        a = a.astype(dtype)
        for r in range(rows):
            # One near the end, then more before it: each time another is the first.
            for at in sorted({n - 1, n // 2, 65_535 % n, 65_536 % n, 4_096 % n, 0}, reverse=True):
                a[r, at] = 0.0 if special == 0 and at % 2 else special
                x = mx.array(a)
                assert mx.argmax(x, axis=1).tolist() == np.argmax(a, 1).tolist()
                assert mx.argmin(x, axis=1).tolist() == np.argmin(a, 1).tolist()
                if low and not (special != special):
                    assert mx.argmin(-x, axis=1).tolist() == np.argmax(a, 1).tolist()
        assert mx.argmax(x).item() == np.argmax(a) and mx.argmin(x).item() == np.argmin(a)


@pytest.mark.parametrize(
    "dtype", ["float32", "float64", "float16", "int8", "int32", "uint32", "uint64", "complex64"]
)
def test_the_first_of_the_largest_of_short_rows(dtype):
    """Of as many rows side by side as a register holds, and of fewer; with ties and nans."""
    rng = np.random.default_rng(0)
    inexact = "float" in dtype or "complex" in dtype
    for n in (*range(1, 36), 63, 64, 65):
        for rows in (1, 2, 15, 17, 67, 300):
            a = rng.integers(0, max(n // 2, 2), (rows, n)).astype(dtype)
            if inexact:
                a[rng.random((rows, n)) < 0.02] = np.nan
                a[rng.random((rows, n)) < 0.02] = -np.inf
                a[a == 1] *= -0.0
            x = mx.array(a)
            wide = mx.contiguous(mx.concatenate([x, x], 1))[:, :n]
            turned = mx.contiguous(x.T).T
            mx.eval(x, wide, turned)
            for name in ("argmax", "argmin"):
                f, want = getattr(mx, name), getattr(np, name)(a, 1).tolist()
                for view in (x, wide, turned, x[::-1][::-1], mx.where(x == x, x, x)):
                    assert f(view, axis=1).tolist() == want, (name, n, rows)
                assert f(x[::-1], axis=1).tolist() == want[::-1]
                same = f(mx.broadcast_to(x[0], (20, n)), axis=1)
                assert same.tolist() == want[:1] * 20


IN_PLACE = "sum prod max min all any mean var std logsumexp argmax argmin count_nonzero".split()
IN_PLACE_DTYPES = [mx.float32, mx.float16, mx.int16, mx.bool_, mx.int64]


@pytest.mark.parametrize("dtype", IN_PLACE_DTYPES, ids=str)
@pytest.mark.parametrize("function", IN_PLACE)
def test_reductions_of_views_copy_nothing_large(function, dtype):
    f = getattr(mx, function)
    row = (mx.arange(2000) % 7).astype(dtype)
    square = mx.contiguous(mx.broadcast_to(row, (2000, 2000)))
    mx.eval(row, square)
    views = {
        "all of it": lambda: square,
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
            assert mx.get_peak_memory() - start < 300_000, (name, axis)  # a copy takes 4 to 32 MB


@pytest.mark.parametrize("dtype", [mx.int8, mx.uint16, mx.int64, mx.bool_, mx.float16], ids=str)
def test_what_is_converted_as_it_is_read_gives_the_bits_of_its_conversion(dtype):
    for shape in SHAPES[:-1]:
        a = data(shape, mx.float32).astype(dtype)
        wide = a.astype(mx.float32)
        for f in (mx.mean, mx.var, mx.std, mx.logsumexp, mx.median):
            if f is mx.median and a.size > 200_000:
                continue
            for axis in (None, 0, 1):
                want = f(wide, axis=axis).astype(f(a, axis=axis).dtype)
                assert np.array(f(a, axis=axis)).tobytes() == np.array(want).tobytes(), (f, axis)
        for axis in (None, 0, 1):
            truth = a.astype(mx.bool_)
            assert mx.array_equal(mx.all(a, axis=axis), mx.all(truth, axis=axis))
            assert mx.array_equal(mx.any(a, axis=axis), mx.any(truth, axis=axis))
            assert mx.array_equal(mx.count_nonzero(a, axis=axis), mx.sum(truth, axis=axis))


def test_variance_keeps_its_digits_far_from_zero():
    rng = np.random.default_rng(1)
    for n in (5, 4_097, 100_000):
        x = (1e4 + rng.normal(size=(3, n))).astype(np.float32)
        want = np.var(x.astype(np.float64), axis=1)
        np.testing.assert_allclose(np.array(mx.var(mx.array(x), axis=1)), want, rtol=1e-3)
        np.testing.assert_allclose(np.array(mx.var(mx.array(x.T), axis=0)), want, rtol=1e-3)
        z = x + 1j * x[::-1]
        np.testing.assert_allclose(
            np.array(mx.var(mx.array(z), axis=1)), want + want[::-1], rtol=1e-3
        )


def test_logsumexp_at_the_ends_of_its_range():
    inf, nan = np.inf, np.nan
    for n in (1, 3, 5_000, 40_000):
        rows = np.zeros((6, n), np.float32)
        rows[0] = -inf
        rows[1, -1] = inf
        rows[2, n // 2] = nan
        rows[3] = -1e30
        rows[4, : n // 2] = -inf
        rows[5, -1] = 1e30
        with np.errstate(all="ignore"):
            want = np.logaddexp.reduce(rows.astype(np.float64), axis=1)
        np.testing.assert_allclose(np.array(mx.logsumexp(mx.array(rows), axis=1)), want, rtol=1e-6)
        np.testing.assert_allclose(
            np.array(mx.logsumexp(mx.array(np.ascontiguousarray(rows.T)), axis=0)), want, rtol=1e-6
        )


def test_linspace_takes_the_memory_of_its_result():
    for dtype in (mx.float32, mx.float16, mx.int32):
        start = mx.get_active_memory()
        mx.reset_peak_memory()
        x = mx.linspace(0, 1000, 1_000_000, dtype=dtype)
        mx.eval(x)
        assert mx.get_peak_memory() - start <= x.nbytes + 1000
        assert x[-1].item() == 1000 and x[0].item() == 0


@pytest.mark.parametrize(
    "dtype",
    [mx.float32, mx.float16, mx.bfloat16, mx.float64, mx.int8, mx.int32, mx.complex64, mx.bool_],
    ids=str,
)
def test_short_rows_have_the_bits_of_columns_and_pieces(dtype):
    for rows in (1, 5, 64, 1003):
        for n in (1, 2, 3, 7, 8, 16, 17, 31, 32, 33, 64, 70):
            a = data((rows, n), dtype)
            turned = mx.contiguous(a.T).T
            wide = mx.contiguous(mx.concatenate([a, a], 1))[:, :n]
            mx.eval(a, turned, wide)
            for name in "sum prod max min all any mean var logsumexp".split():
                if name == "logsumexp" and dtype == mx.complex64:
                    continue
                f = FUNCTIONS[name]
                want = f(turned, axis=1)
                for view in (a, wide, a[::-1, ::-1][::-1, ::-1]):
                    got = f(view, axis=1)
                    assert np.array(got.astype(mx.complex64)).tobytes() == np.array(
                        want.astype(mx.complex64)
                    ).tobytes(), (name, rows, n)


@pytest.mark.parametrize("dtype", [mx.float32, mx.float64, mx.float16, mx.complex64], ids=str)
def test_few_columns_have_the_bits_of_rows(dtype):
    """Those that are looked at twice are turned, some rows of several chunks at a time."""
    for columns in (2, 3, 7, 8, 9, 15, 17, 65):
        for rows in (1, 15, 33, 4096, 4097, 20001 // columns):
            a = data((rows, columns), dtype)
            turned = mx.contiguous(a.T)
            for name in ("var", "logsumexp")[: 1 if dtype == mx.complex64 else 2]:
                f = FUNCTIONS[name]
                want = np.array(f(turned, axis=1).astype(mx.float64))
                assert np.array(f(a, axis=0).astype(mx.float64)).tobytes() == want.tobytes()
                wide = mx.contiguous(mx.concatenate([a, a], 1))[:, :columns]
                got = np.array(f(wide, axis=0).astype(mx.float64))
                assert got.tobytes() == want.tobytes(), (name, rows, columns)


def test_argmax_past_two_to_the_32_elements():
    column = mx.minimum(mx.arange(70_000), 69_990).astype(mx.int32)
    many = mx.broadcast_to((column == 69_990)[:, None], (70_000, 65_536))
    found = mx.argmax(many)
    assert found.dtype == mx.int64
    assert found.item() == 69_990 * 65_536
    assert mx.argmax(many, axis=0).dtype == mx.uint32



@pytest.mark.parametrize("dtype", ["uint8", "int8", "bool_", "int16", "uint16"])
def test_short_rows_of_bytes(dtype):
    """Of every length to past 64 and of some to past 8 registers, by any number of rows, with and
    without gaps between them."""
    rng = np.random.default_rng(0)
    for n in (*range(1, 67), 100, 127, 128, 129, 191, 255, 257, 511, 512, 513, 600):
        for count in (1, 2, 15, 17, 33, 63, 64, 65, 130):
            for gap in (0, 3):
                x = rng.integers(-128, 128, (count, n + gap)).astype(np.int8)
                if "16" in dtype:
                    x = (x * np.int16(250)).view(dtype)
                elif dtype == "uint8":
                    x = x.view(np.uint8)
                elif dtype == "bool_":
                    x = x < rng.choice([-125, 125])
                ours, x = mx.array(x, getattr(mx, dtype))[:, :n], x[:, :n]
                for op in ("max", "min") + (("any", "all") if dtype == "bool_" else ()):
                    got = np.array(getattr(mx, op)(ours, 1))
                    assert np.array_equal(got, getattr(x, op)(1)), (op, n, count, gap)
