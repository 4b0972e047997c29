"""ldexp, frexp, isinf and isfinite at every kind of number, also beside the generic level, where no
instruction does them; sorting at sizes around whole networks and blocks of splits, likewise."""

import numpy as np
import pytest

import lazulite.core as mx

RNG = np.random.default_rng(5)


def kinds(dtype):
    f = np.finfo(dtype)
    ends = [0, 1, 0.5, 2, 3, f.max, f.tiny, f.smallest_subnormal, f.tiny / 3, np.inf, np.nan]
    ends = np.array(ends, dtype)
    bits = RNG.integers(0, 2 ** (8 * f.dtype.itemsize - 1), 4000, dtype=np.uint64)
    some = bits.astype(f"u{f.dtype.itemsize}").view(dtype)
    return np.concatenate([ends, -ends, some, -some])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.filterwarnings("ignore")
def test_numbers_and_powers_of_two(dtype):
    x = kinds(dtype)
    a = mx.array(x, getattr(mx, dtype))
    with mx.debug_compare():
        for n in (0, 1, -1, 23, 25, -24, -150, 127, 128, 300, -1074, 2100, -5000, 2**31 - 1):
            got = np.array(mx.ldexp(a, mx.array(n)))
            want = np.ldexp(x, n)
            np.testing.assert_array_equal(got, want, err_msg=str(n))
            told = ~np.isnan(want)
            np.testing.assert_array_equal(np.signbit(got)[told], np.signbit(want)[told])
        m, e = mx.frexp(a)
        wanted_m, wanted_e = np.frexp(x)
        np.testing.assert_array_equal(np.array(m), wanted_m)
        numbers = np.isfinite(x)
        np.testing.assert_array_equal(np.array(e)[numbers], wanted_e[numbers])
        assert (np.array(e)[~numbers] == 0).all()
        np.testing.assert_array_equal(np.array(mx.isinf(a)), np.isinf(x))
        np.testing.assert_array_equal(np.array(mx.isfinite(a)), np.isfinite(x))


@pytest.mark.parametrize(
    "dtype", [mx.float16, mx.bfloat16, mx.float32, mx.float64, mx.complex64, mx.complex128]
)
def test_what_is_finite(dtype):
    inf, nan = float("inf"), float("nan")
    a = mx.array([0.0, 1.0, -2.0, inf, -inf, nan]).astype(dtype)
    if dtype in (mx.complex64, mx.complex128):
        a = mx.concatenate([a, mx.array([complex(1, inf), complex(nan, inf), complex(1, nan)])])
    x = np.array(a.astype(mx.complex128))
    np.testing.assert_array_equal(np.array(mx.isinf(a)), np.isinf(x))
    np.testing.assert_array_equal(np.array(mx.isfinite(a)), np.isfinite(x))
    for integers in (mx.array([1, 2**31 - 1]), mx.array([True, False])):
        assert mx.isfinite(integers).tolist() == [True, True]
        assert mx.isinf(integers).tolist() == [False, False]


@pytest.mark.parametrize("dtype", [mx.int32, mx.int64, mx.float32, mx.float64])
def test_sorting_around_networks_and_splits(dtype):
    with mx.debug_compare():
        for n in (16, 17, 63, 64, 65, 127, 128, 129, 255, 256, 257, 300, 319, 511, 777, 4099):
            for x in (RNG.normal(size=n) * 1e6, RNG.integers(0, 3, n), np.arange(n)[::-1]):
                v = np.array(mx.array(x, dtype))
                np.testing.assert_array_equal(np.array(mx.sort(mx.array(v, dtype))), np.sort(v))
                order = np.array(mx.argsort(mx.array(v, dtype)))
                np.testing.assert_array_equal(order, np.argsort(v, kind="stable"))
