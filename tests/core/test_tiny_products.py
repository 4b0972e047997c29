"""Products with few columns and a short inner axis: sizes past every border, layouts, numbers that
lie around the operands, threads and levels."""

import itertools

import numpy as np
import pytest

import lazulite.core as mx
import levels

SIZES = (1, 2, 3, 4, 5, 7, 8, 9, 16, 17)
EPS = {mx.float32: 2.0**-24, mx.float64: 2.0**-53}


def among_nan(values, layout, dtype):
    """An array of these numbers in some layout, with nan wherever else its memory is."""
    *lanes, m, n = values.shape
    if layout == "turned":
        return mx.swapaxes(mx.array(values.swapaxes(-1, -2), dtype), -1, -2)
    if layout == "slice":
        wide = np.full((*lanes, m + 2, n + 3), np.nan, values.dtype)
        wide[..., 1 : m + 1, 2 : n + 2] = values
        return mx.array(wide, dtype)[..., 1 : m + 1, 2 : n + 2]
    if layout == "reversed":
        wide = np.full((*lanes, 2 * m, n), np.nan, values.dtype)
        wide[..., 1::2, :] = values[..., ::-1, ::-1]
        return mx.array(wide, dtype)[..., ::-2, ::-1]
    return mx.array(values, dtype)


def check(lanes, m, k, n, dtype, layouts=("dense", "dense"), repeats=(False, False)):
    rng = np.random.default_rng(m * 1000 + k * 100 + n)
    name = "float32" if dtype == mx.float32 else "float64"
    stack = (lanes,) if lanes else ()
    a = rng.standard_normal((*(() if repeats[0] else stack), m, k)).astype(name)
    b = rng.standard_normal((*(() if repeats[1] else stack), k, n)).astype(name)
    got = among_nan(a, layouts[0], dtype) @ among_nan(b, layouts[1], dtype)
    assert got.dtype == dtype
    exact = a.astype(np.longdouble) @ b.astype(np.longdouble)
    most = np.abs(a).astype(np.longdouble) @ np.abs(b).astype(np.longdouble)
    assert got.shape == exact.shape
    assert (np.abs(np.asarray(got) - exact) <= (k + 2) * EPS[dtype] * most).all(), (
        lanes, m, k, n, dtype, layouts, repeats
    )
    return bytes(got)


LAYOUTS = ("dense", "turned", "slice", "reversed")


@pytest.mark.parametrize("layouts", list(itertools.product(LAYOUTS, repeat=2)))
def test_layouts(layouts):
    for dtype in EPS:
        for m, k, n in itertools.product((1, 3, 8, 17), (1, 3, 5, 16), (1, 2, 3, 4, 6, 9)):
            for repeats in ((False, False), (True, False), (False, True)):
                check(11, m, k, n, dtype, layouts, repeats)
            check(0, m * 33, k, n, dtype, layouts)


def test_batches_of_several_axes():
    rng = np.random.default_rng(0)
    a = rng.standard_normal((5, 1, 4, 3, 2)).astype(np.float32)
    b = rng.standard_normal((7, 1, 2, 3)).astype(np.float32)
    x, y = mx.array(a), mx.array(b)
    np.testing.assert_allclose(np.asarray(x @ y), a @ b, rtol=1e-5, atol=1e-6)
    turned = mx.transpose(x, (2, 1, 0, 3, 4)) @ y
    np.testing.assert_allclose(
        np.asarray(turned), a.transpose(2, 1, 0, 3, 4) @ b, rtol=1e-5, atol=1e-6
    )


# What one task takes, and as much as several take.
TALL = ((0, 70001, 3, 3), (0, 40000, 3, 1), (0, 40001, 9, 1), (30011, 3, 3, 3), (20001, 3, 3, 1),
        (3, 20001, 4, 4), (9001, 4, 4, 1), (20011, 1, 5, 4), (0, 3, 100001, 5), (0, 20001, 12, 33))


@pytest.mark.parametrize("size", TALL)
@pytest.mark.parametrize("dtype", EPS, ids=str)
def test_any_number_of_threads_gives_the_same_bits(size, dtype):
    before = mx.num_threads()
    try:
        found = set()
        for threads in (1, 2, 7):
            mx.set_num_threads(threads)
            found.add(check(*size, dtype))
    finally:
        mx.set_num_threads(before)
    assert len(found) == 1


def test_what_is_fused_behind_them():
    rng = np.random.default_rng(1)
    for size in TALL + ((0, 5, 3, 2), (9, 2, 2, 2)):
        lanes, m, k, n = size
        a = mx.array(rng.standard_normal((*((lanes,) if lanes else ()), m, k)), mx.float32)
        b = mx.array(rng.standard_normal((k, n)), mx.float32)
        c = mx.array(rng.standard_normal(n), mx.float32)

        def affine(a, b, c):
            return mx.tanh(a @ b + c)

        product = a @ b
        mx.eval(product)
        want = mx.tanh(product + c)
        assert bytes(affine(a, b, c)) == bytes(want), size
        assert bytes(mx.compile(affine)(a, b, c)) == bytes(want), size


def check_bits_of_short_rows():
    """Rows of a few elements times a column: products are added in order, from zero on."""
    rng = np.random.default_rng(3)
    for name, k in itertools.product(("float32", "float64"), (1, 2, 3, 4, 5)):
        dtype = getattr(mx, name)
        for lanes, m in itertools.product(
            (1, 2, 7, 1001), (1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 63, 65)
        ):
            a = rng.standard_normal((lanes, m, k)).astype(name)
            a.reshape(-1)[:: 17 + k] = (-0.0, np.inf)[k % 2]
            for shape in ((lanes, k, 1), (k, 1)):
                b = rng.standard_normal(shape).astype(name)
                b[..., 0, 0] = -b[..., 0, 0] * 0 if m % 5 == 0 else b[..., 0, 0]
                want = np.zeros((lanes, m, 1), name)
                with np.errstate(all="ignore"):
                    for j in range(k):
                        want = want + a[:, :, j : j + 1] * b[..., j : j + 1, :]
                for layout in ("dense", "slice"):
                    got = np.asarray(among_nan(a, layout, dtype) @ among_nan(b, layout, dtype))
                    assert np.array_equal(got, want, equal_nan=True), (name, lanes, m, k, layout)
                    same = np.signbit(got) == np.signbit(want)
                    assert (same | np.isnan(want)).all(), (name, lanes, m, k, layout)


def test_bits_of_short_rows():
    check_bits_of_short_rows()


def check_all():
    check_bits_of_short_rows()
    for dtype in EPS:
        for m, k, n in itertools.product(SIZES, SIZES, SIZES):
            check(0, m, k, n, dtype)
            check(9, m, k, n, dtype)
        for m, k, n in itertools.product((63, 64, 77), (1, 5, 15, 16, 32, 33), (6, 17, 33, 48, 49)):
            check(0, m, k, n, dtype)
        for m, k, n in itertools.product(
            (1, 2, 3, 5, 8, 9), (2, 16, 17, 33, 64, 100, 128, 129), (17, 64, 65, 300)
        ):
            check(0, m, k, n, dtype, ("dense", "turned"))
        check(3, 3, 40, 65, dtype, ("dense", "turned"))
        for k in (255, 256, 319, 1088, 1089, 3000):
            for m, n in ((2, 2), (3, 5), (16, 3), (4, 16), (17, 3)):
                check(0, m, k, n, dtype)
                check(0, m, k, n, dtype, ("turned", "dense"))
                check(0, m, k, n, dtype, ("slice", "slice"))
        for size in TALL:
            check(*size, dtype)


def test_all():
    check_all()


@pytest.mark.parametrize("level", levels.LOWER)
def test_all_at_each_level(level):
    levels.run(level, "-c", "import test_tiny_products as t\nt.check_all()")
