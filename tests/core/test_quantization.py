"""Numbers packed in a few bits: their bits, what they stand for, and products with them."""

import io
import sys
from pathlib import Path

import numpy as np
import pytest

import lazulite.core as mx
import levels

sys.path.insert(0, str(Path(__file__).parents[1] / "ops"))
import packing  # noqa: E402

BITS, GROUPS = (2, 3, 4, 5, 6, 8), (32, 64, 128)
RNG = np.random.default_rng(5)


def normal(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def as_numpy(a):
    return np.array(a.astype(mx.float64) if mx.issubdtype(a.dtype, mx.floating) else a)


def agree(got, x, w, tolerance=1e-4):
    """Relative to the size of what was added up; numbers near 0 are differences of others."""
    got, wanted = as_numpy(got), x.astype(float) @ w
    least = 0.01 * abs(w).max() if w.size else 0
    sizes = np.sqrt((x.astype(float) ** 2) @ (w**2 + least**2)) + 1e-30
    assert got.shape == wanted.shape
    wrong = abs(got - wanted) / sizes
    assert got.size == 0 or ((wrong**2).mean() ** 0.5 < tolerance and wrong.max() < 4 * tolerance)


# ---- codes


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("bits", BITS)
def test_affine_codes_are_those_of_the_formula_bit_for_bit(bits, group):
    for w in (
        normal(3, 2 * group),
        normal(2, 5, 3 * group),
        normal(2, group) + 7,
        normal(2, group) * 1e-20,
        np.repeat(np.float32([[0], [2], [-3]]), group, 1),
        np.where(normal(40, group) > 0, np.float32(1), np.float32(-2)),
    ):
        got = mx.quantize(mx.array(w), group, bits)
        wanted = packing.quantize(w, group, bits)
        assert [a.dtype for a in got] == [mx.uint32, mx.float32, mx.float32]
        for g, v in zip(got, wanted):
            np.testing.assert_array_equal(np.array(g), v)
        stands_for = mx.dequantize(*got, group, bits)
        codes = packing.unpack(wanted[0], bits).astype(np.float32)
        exact = codes * np.repeat(wanted[1], group, -1) + np.repeat(wanted[2], group, -1)
        np.testing.assert_array_equal(np.array(stands_for), exact)


def test_the_example_of_the_specification():
    w = mx.array([[-1.0] + [0.0] * 30 + [2.0]])
    words, scales, biases = mx.quantize(w, 32)
    assert scales.item() == pytest.approx(-0.2) and biases.item() == 2
    assert hex(words[0, 0].item()) == "0xaaaaaaaf" and hex(words[0, 3].item()) == "0xaaaaaaa"


@pytest.mark.parametrize("bits", (8, 5))
def test_arrays_of_many_pieces_are_packed_as_those_of_one(bits):
    w = normal(67, 1024)
    for got, wanted in zip(mx.quantize(mx.array(w), 64, bits), packing.quantize(w, 64, bits)):
        np.testing.assert_array_equal(np.array(got), wanted)


@pytest.mark.parametrize("dtype", (mx.float16, mx.bfloat16, mx.float64))
def test_scales_have_the_dtype_of_what_was_packed(dtype):
    w = mx.array(normal(4, 128)).astype(dtype)
    words, scales, biases = mx.quantize(w)
    assert scales.dtype == biases.dtype == dtype
    wide = np.array(w.astype(mx.float64 if dtype == mx.float64 else mx.float32))
    wanted = packing.quantize(wide)
    np.testing.assert_array_equal(np.array(words), wanted[0])
    np.testing.assert_array_equal(as_numpy(scales), as_numpy(mx.array(wanted[1], dtype=dtype)))
    back = mx.dequantize(words, scales, biases)
    assert back.dtype == dtype
    exact = packing.numbers(wanted[0], as_numpy(scales), as_numpy(biases))
    eps = {mx.float16: 2**-11, mx.bfloat16: 2**-8, mx.float64: 2**-52}[dtype]
    np.testing.assert_allclose(as_numpy(back), exact, rtol=eps, atol=1e-6 * eps)


def test_every_number_of_a_group_with_nan_or_infinity_is_nan():
    for bad in (np.nan, np.inf, -np.inf):
        w = normal(3, 64)
        w[1, 7] = bad
        back = np.array(mx.dequantize(*mx.quantize(mx.array(w))))
        assert np.isnan(back[1]).all() and np.isfinite(back[[0, 2]]).all()


def test_small_floats_are_those_of_their_formats():
    ties = np.float32([0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5, 6])
    w = mx.array(np.r_[ties, -ties, np.full(16, 0.3)][None].astype(np.float32))
    for mode, scale, words in (
        ("mxfp4", [127], [0x76543210, 0xFEDCBA90, 0x11111111, 0x11111111]),
        ("nvfp4", [56, 21], [0x76543210, 0xFEDCBA90, 0x77777777, 0x77777777]),
        (
            "mxfp8",
            [121],
            [0x6E6A6458, 0x7C7A7672, 0xEEEAE4D8, 0xFCFAF6F2] + [0x5A5A5A5A] * 4,
        ),
    ):
        got = mx.quantize(w, mode=mode)
        assert len(got) == 2 and got[1].dtype == mx.uint8
        assert got[1].tolist() == [scale] and got[0].tolist() == [words]
        back = mx.dequantize(*got, mode=mode)
        assert back.dtype == mx.bfloat16
        exact = packing.numbers(np.array(got[0]), np.array(got[1]), mode=mode)
        np.testing.assert_array_equal(
            np.array(mx.dequantize(*got, mode=mode, dtype=mx.float32)), exact
        )
    scales = [
        [mx.quantize(mx.full((1, 32), top), mode=m)[1][0, 0].item() for m in ("mxfp4", "nvfp4")]
        for top in (0.0, 4.2, 4.32, 8.4, 9.0, 537.6)
    ]
    assert scales == [[127, 0], [127, 51], [127, 52], [128, 59], [128, 60], [134, 107]]


@pytest.mark.parametrize("mode", ("mxfp4", "mxfp8", "nvfp4"))
def test_all_codes_of_small_floats_stand_for_what_they_are(mode):
    bits = 8 if mode == "mxfp8" else 4
    codes = np.arange(256) if bits == 8 else np.tile(np.arange(16), 4)
    words = packing.pack(codes[None], bits)
    groups = codes.size // (16 if mode == "nvfp4" else 32)
    for byte in (*range(0, 256, 5), 126, 127, 128, 254, 255):
        scales = np.full((1, groups), byte, np.uint8)
        got = np.array(
            mx.dequantize(mx.array(words), mx.array(scales), mode=mode, dtype=mx.float64)
        )
        np.testing.assert_array_equal(got, packing.numbers(words, scales, mode=mode))


def test_a_global_scale_is_that_of_all_scales_of_nvfp4():
    w = normal(4, 64) * 1e-3
    top = mx.array(abs(w).max())
    got = mx.quantize(mx.array(w), mode="nvfp4", global_scale=top)
    assert got[1].max().item() == 126  # the largest number there is, at the largest scale
    exact = packing.numbers(np.array(got[0]), np.array(got[1]), mode="nvfp4") * top.item() / 2688
    back = mx.dequantize(*got, mode="nvfp4", global_scale=top, dtype=mx.float32)
    np.testing.assert_allclose(np.array(back), exact, rtol=1e-6)
    assert abs(np.array(back) - w).max() < 0.2 * abs(w).max()
    x = normal(3, 64)
    at = mx.array([0, 0])
    product = mx.gather_qmm(
        mx.array(x)[None], got[0][None], got[1][None], rhs_indices=at, mode="nvfp4",
        global_scale=top,
    )
    agree(product[1], x, exact.T)
    with pytest.raises(ValueError, match="global_scale"):
        mx.quantize(mx.array(w), mode="mxfp4", global_scale=top)


def test_fp8_is_the_nearest_and_comes_back():
    every = np.arange(256, dtype=np.uint8)
    values = np.array(mx.from_fp8(mx.array(every), mx.float32))
    np.testing.assert_array_equal(values, packing.E4M3.astype(np.float32))
    numbers = ~np.isnan(values)
    np.testing.assert_array_equal(np.array(mx.to_fp8(mx.array(values)))[numbers], every[numbers])
    x = np.concatenate([normal(4000) * s for s in (1e-3, 0.1, 10, 300)])
    finite = np.sort(packing.E4M3[:127])
    best = abs(abs(x)[:, None] - finite).min(1)
    for dtype in (mx.float32, mx.float64):
        back = np.array(mx.from_fp8(mx.to_fp8(mx.array(x, dtype=dtype)), mx.float64))
        np.testing.assert_allclose(abs(back - x), best, rtol=1e-5, atol=1e-12)
    ends = mx.array([449.0, 480, 1e9, float("inf"), -1e9, float("nan"), 2.0**-10, 1.5 * 2.0**-9])
    assert mx.to_fp8(ends).tolist() == [126, 126, 126, 126, 254, 127, 0, 2]


# ---- products


def packed(rows, columns, group=64, bits=4, mode="affine"):
    got = mx.quantize(mx.array(normal(rows, columns)), group, bits, mode)
    w = packing.numbers(*[as_numpy(a) if i else np.array(a) for i, a in enumerate(got)]
                        + ([None] if len(got) == 2 else []), group, bits, mode)
    return got, w


SHAPES = [(1, 5, 64), (1, 33, 128), (2, 70, 192), (3, 7, 512), (4, 100, 320), (5, 31, 64)]
SHAPES += [(8, 33, 448), (15, 65, 384), (29, 32, 896), (1, 600, 1088), (517, 35, 64)]
SHAPES += [(6, 20, 128), (7, 33, 2144), (9, 70, 1120), (12, 5, 64), (25, 31, 416), (31, 97, 768)]
# More groups than a register has scales, and a part of a register after those.
SHAPES += [(1, 9, 2144), (2, 10, 4224), (3, 6, 1120), (4, 7, 3136)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("bits", BITS)
def test_products_with_packed_rows(bits, shape):
    m, n, k = shape
    for group in (g for g in GROUPS if k % g == 0):
        q, w = packed(n, k, group, bits)
        x = normal(m, k)
        got = mx.quantized_matmul(mx.array(x), *q, group_size=group, bits=bits)
        assert got.dtype == mx.float32
        agree(got, x, w.T)


@pytest.mark.parametrize("m", (1, 4, 7, 9, 20, 40))
def test_the_largest_codes_beside_the_largest_numbers(m):
    x = mx.ones((m, 256))
    for bits in BITS:
        words = mx.full((35, 256 * bits // 32), 2**32 - 1, dtype=mx.uint32)
        ones = mx.ones((35, 2))
        got = mx.quantized_matmul(x, words, ones, ones * 3, group_size=128, bits=bits)
        np.testing.assert_allclose(np.array(got), 256 * (2**bits - 1 + 3), rtol=1e-6)
    for byte, value in ((0x77777777, 6), (0xFFFFFFFF, -6)):
        words = mx.full((35, 32), byte, dtype=mx.uint32)
        scales = mx.full((35, 8), 128, dtype=mx.uint8)
        got = mx.quantized_matmul(x, words, scales, mode="mxfp4")
        np.testing.assert_allclose(np.array(got), 2 * 256 * value, rtol=1e-6)


def test_bits_of_a_row_do_not_follow_from_rows_beside_it_or_threads():
    threads = mx.num_threads()
    for bits, group, dtype in ((4, 64, mx.float32), (5, 32, mx.float32), (8, 128, mx.float16)):
        (words, scales, biases), _ = packed(300, 1152, group, bits)
        x = mx.array(normal(31, 1152)).astype(dtype)
        q = words, scales.astype(dtype), biases.astype(dtype)
        try:
            for counts in ((2, 5, 7), (9, 12, 13, 31)):  # as many as go one way at every level
                found = []
                for m in counts:
                    for count in (1, 2, 7):
                        mx.set_num_threads(count)
                        y = mx.quantized_matmul(x[:m], *q, group_size=group, bits=bits)
                        found.append(as_numpy(y))
                for y in found:
                    np.testing.assert_array_equal(y[: counts[0]], found[0][: counts[0]])
        finally:
            mx.set_num_threads(threads)


@pytest.mark.parametrize("m", (1, 2, 7, 30, 515))
@pytest.mark.parametrize("bits", BITS)
def test_products_with_packed_columns(bits, m):
    for k, n, group in ((5, 64, 64), (70, 96, 32), (390, 128, 128), (1, 32, 32)):
        q, w = packed(k, n, group, bits)
        x = normal(m, k)
        got = mx.quantized_matmul(mx.array(x), *q, transpose=False, group_size=group, bits=bits)
        agree(got, x, w)


@pytest.mark.parametrize("m", (1, 3, 4, 6, 12, 40))
@pytest.mark.parametrize("mode", ("mxfp4", "mxfp8", "nvfp4"))
def test_products_with_small_floats(mode, m):
    group, bits = packing.DEFAULTS[mode]
    for n, k in ((5, 32), (65, 416), (33, 1120)) + (((7, 48), (3, 16)) if group == 16 else ()):
        q, w = packed(n, k, group, bits, mode)
        x = normal(m, k)
        agree(mx.quantized_matmul(mx.array(x), *q, mode=mode), x, w.T)
        x = normal(m, n)
        agree(mx.quantized_matmul(mx.array(x), *q, transpose=False, mode=mode), x, w)


@pytest.mark.parametrize("m", (1, 4, 6, 9, 40))
@pytest.mark.parametrize("dtype", (mx.float16, mx.bfloat16, mx.float64))
def test_products_in_other_dtypes(dtype, m):
    for transpose in (True, False):
        w = mx.array(normal(64, 64)).astype(dtype)
        q = mx.quantize(w)
        exact = packing.numbers(np.array(q[0]), as_numpy(q[1]), as_numpy(q[2]))
        x = mx.array(normal(m, 64)).astype(dtype)
        got = mx.quantized_matmul(x, *q, transpose=transpose)
        assert got.dtype == dtype
        tolerance = {mx.float16: 3e-3, mx.bfloat16: 3e-2, mx.float64: 1e-13}[dtype]
        agree(got, as_numpy(x), exact.T if transpose else exact, tolerance)
    # What scales and x have in common.
    assert mx.quantized_matmul(x.astype(mx.float32), *q).dtype == (
        mx.float64 if dtype == mx.float64 else mx.float32
    )


@pytest.mark.parametrize("m", (1, 2, 6, 11, 33))
def test_rows_at_any_stride_and_stacks_that_broadcast(m):
    q, w = packed(33, 128)
    x = normal(3, m, 128)
    for a in (
        mx.array(np.ascontiguousarray(x.swapaxes(1, 2))).swapaxes(1, 2),
        mx.array(np.repeat(x, 2, -1))[..., ::2],
        mx.array(x[::-1].copy())[::-1],
        mx.array(np.repeat(x, 2, 1))[:, ::2],
    ):
        agree(mx.quantized_matmul(a, *q), x, w.T)
    stack = [mx.stack([p, p]) for p in q]
    agree(mx.quantized_matmul(mx.array(x)[:, None], *stack)[:, 1], x, w.T)
    agree(mx.quantized_matmul(mx.array(x), *[p[None][:, ::-1] for p in q]), x, w[::-1].T)
    assert mx.quantized_matmul(mx.array(x[0, 0]), *q).shape == (33,)
    assert mx.quantized_matmul(mx.zeros((0, 128)), *q).shape == (0, 33)
    assert mx.quantized_matmul(mx.zeros((4, 0, 128)), *q).shape == (4, 0, 33)
    empty = mx.quantize(mx.zeros((0, 64)))
    assert mx.quantized_matmul(mx.ones((2, 64)), *empty).shape == (2, 0)
    assert mx.quantized_matmul(mx.ones((2, 0)), *empty, transpose=False).tolist() == [[0] * 64] * 2


@pytest.mark.parametrize("m", (1, 3, 20))
def test_infinities_and_tiny_and_huge_numbers_go_through_products(m):
    q, w = packed(9, 128)
    for scale in (1e-30, 1e-42, 1e30):
        x = normal(m, 128) * np.float32(scale)
        got = np.array(mx.quantized_matmul(mx.array(x), *q)).astype(float)
        sizes = np.sqrt((x.astype(float) ** 2) @ (w.T**2))
        assert (abs(got - x.astype(float) @ w.T) <= 4e-4 * sizes + 1e-43).all()
    x = normal(m, 128)
    x[0, 5] = np.inf
    got = np.array(mx.quantized_matmul(mx.array(x), *q))
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(got[0], np.inf * np.array(mx.dequantize(*q))[:, 5])
    assert np.isfinite(got[1:]).all()
    x[0, 5] = np.nan
    assert np.isnan(np.array(mx.quantized_matmul(mx.array(x), *q))[0]).all()
    x = np.zeros((m, 128), np.float32)
    assert not np.array(mx.quantized_matmul(mx.array(x), *q)).any()
    x[:, 0], x[:, 100] = 1, 1e-30  # a group that is nothing beside another
    agree(mx.quantized_matmul(mx.array(x), *q), x, w.T)


def test_products_that_indices_name():
    n, k = 33, 128
    stack = [packed(n, k) for _ in range(5)]
    q = [mx.stack([s[0][i] for s in stack]) for i in range(3)]
    w = np.stack([s[1] for s in stack])
    for m in (1, 3, 6):
        x = normal(4, m, k)
        lhs, rhs = RNG.integers(-4, 4, (2, 7)), RNG.integers(0, 5, 7)
        got = np.array(mx.gather_qmm(mx.array(x), *q, mx.array(lhs), mx.array(rhs)))
        wanted = x[lhs] @ w[rhs].swapaxes(-1, -2)
        np.testing.assert_allclose(got, wanted, rtol=1e-3, atol=2e-3)
        at = np.sort(RNG.integers(0, 5, 4))
        got = mx.gather_qmm(mx.array(x), *q, rhs_indices=mx.array(at), sorted_indices=True)
        np.testing.assert_allclose(
            np.array(got), x @ w[at].swapaxes(-1, -2), rtol=1e-3, atol=2e-3
        )
    back = normal(2, 1, n)
    got = mx.gather_qmm(mx.array(back), *q, mx.array([0, 1, 1]), mx.array([4, 4, 2]), False)
    np.testing.assert_allclose(
        np.array(got), back[[0, 1, 1]] @ w[[4, 4, 2]], rtol=1e-3, atol=2e-3
    )
    with pytest.raises(IndexError, match="rhs_indices: .* got 5 of 5"):
        mx.eval(mx.gather_qmm(mx.ones((1, 1, k)), *q, rhs_indices=mx.array([5])))
    assert mx.gather_qmm(mx.ones((5, 2, k)), *q).shape == (5, 2, n)


@pytest.mark.parametrize("mode", ("nvfp4", "mxfp8"))
def test_products_of_two_rounded_operands(mode):
    x, w = normal(3, 64), normal(5, 64)

    def rounded(a):
        return np.array(
            mx.dequantize(*mx.quantize(mx.array(a), mode=mode), mode=mode, dtype=mx.float32)
        )

    wanted = rounded(x).astype(float) @ rounded(w).T
    for second in ((mx.array(w),), mx.quantize(mx.array(w), mode=mode)):
        got = np.array(mx.qqmm(mx.array(x), *second, mode=mode))
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=2e-3)
    at = mx.array([1, 0])
    stack = mx.stack([mx.array(w), 2 * mx.array(w)])
    for second in ((stack,), mx.quantize(stack, mode=mode)):
        got = mx.gather_qqmm(mx.array(x)[None], *second, rhs_indices=at, mode=mode)
        np.testing.assert_allclose(np.array(got[1]), wanted, rtol=1e-4, atol=2e-3)
    slopes = mx.grad(lambda x, w: mx.qqmm(x, w, mode=mode).sum(), (0, 1))(mx.array(x), mx.array(w))
    np.testing.assert_allclose(np.array(slopes[0])[0], rounded(w).sum(0), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(np.array(slopes[1])[0], rounded(x).sum(0), rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match="mode"):
        mx.qqmm(mx.array(x), mx.array(w), mode="affine")


# ---- products of int8


@pytest.mark.parametrize("k", (1, 3, 4, 64, 385, 1537, 3100))
def test_products_of_int8_are_exact(k):
    for m, n in ((1, 1), (1, 37), (3, 6), (5, 33), (8, 700), (9, 5), (14, 32), (30, 17), (513, 3)):
        a, b = (RNG.integers(-128, 128, s, dtype=np.int8) for s in ((m, k), (n, k)))
        wanted = a.astype(np.int32) @ b.T.astype(np.int32)
        dense = mx.array(np.ascontiguousarray(b.T))
        wide = mx.array(np.repeat(a, 2, -1))[:, ::2]
        for x, y in (
            (mx.array(a), mx.array(b).T),
            (mx.array(a), dense),
            (wide, mx.flip(dense)[::-1, ::-1]),
        ):
            got = mx.int8_matmul(x, y)
            assert got.dtype == mx.int32
            np.testing.assert_array_equal(np.array(got), wanted)
    least = mx.full((2, k), -128, dtype=mx.int8)
    assert mx.int8_matmul(least, least.T).tolist() == [[128 * 128 * k] * 2] * 2


def test_scales_of_rows_and_columns_and_refusals():
    a, b = RNG.integers(-128, 128, (2, 4, 9), dtype=np.int8), RNG.integers(
        -9, 9, (9, 5), dtype=np.int8
    )
    rows, columns = normal(2, 4), normal(5)
    sums = a.astype(float) @ b
    x, y = mx.array(a), mx.array(b)
    got = mx.int8_matmul(x, y, mx.array(rows), mx.array(columns))
    np.testing.assert_allclose(np.array(got), sums * rows[..., None] * columns, rtol=1e-5)
    got = mx.int8_matmul(x, y, b_scale=mx.array(0.5).astype(mx.bfloat16))
    assert got.dtype == mx.bfloat16
    slope = mx.grad(lambda c: mx.int8_matmul(x, y, b_scale=c).sum())(mx.array(columns))
    np.testing.assert_allclose(np.array(slope), sums.sum((0, 1)), rtol=1e-5)
    assert mx.int8_matmul(x[:, :, :0], y[:0]).tolist() == np.zeros((2, 4, 5)).tolist()
    assert mx.int8_matmul(x[:0], y).shape == (0, 4, 5)
    for call, text in (
        (lambda: mx.int8_matmul(x, y.astype(mx.uint8)), "expected the dtype int8"),
        (lambda: mx.int8_matmul(x, y.T), "inner sizes differ"),
        (lambda: mx.int8_matmul(x, y, mx.ones(3)), "a_scale: got shape"),
        (lambda: mx.int8_matmul(x[0], y, mx.ones((3, 1, 1))), "scales do not fit"),
    ):
        with pytest.raises(ValueError, match=text):
            call()


# ---- transforms


def test_gradients_are_those_of_the_numbers_that_the_codes_stand_for():
    w, x = mx.array(normal(2, 6, 64)), mx.array(normal(3, 2, 4, 64))
    words, scales, biases = mx.quantize(w, 32)
    cotangent = mx.array(normal(3, 2, 4, 6))

    def by_packed(x, scales, biases):
        y = mx.quantized_matmul(x, words, scales, biases, group_size=32)
        return (y * cotangent).sum()

    def by_numbers(x, scales, biases):
        numbers = mx.dequantize(words, scales, biases, 32)
        return ((x @ numbers.swapaxes(-1, -2)) * cotangent).sum()

    got = mx.grad(by_packed, (0, 1, 2))(x, scales, biases)
    wanted = mx.grad(by_numbers, (0, 1, 2))(x, scales, biases)
    for g, v in zip(got, wanted):
        np.testing.assert_allclose(np.array(g), np.array(v), rtol=1e-3, atol=1e-3)


def test_quantize_has_no_gradient():
    w = mx.array(normal(2, 64))
    assert not np.array(mx.grad(lambda w: mx.quantize(w)[1].sum())(w)).any()


# ---- packed elsewhere


def test_weights_of_gguf_files_go_into_products_as_they_are(tmp_path):
    from test_gguf_blocks import PACKED, file_of, random_blocks

    for name in PACKED:
        raw = random_blocks(name)
        (tmp_path / "a.gguf").write_bytes(file_of(name, raw, (5, 320)))
        found = mx.load(tmp_path / "a.gguf")
        triple = [found[f"w.{part}"] for part in ("weight", "scales", "biases")]
        bits = 8 if name == "Q8_0" else 4
        exact = packing.numbers(np.array(triple[0]), *map(as_numpy, triple[1:]), 32, bits)
        back = mx.dequantize(*triple, 32, bits)
        assert back.dtype == mx.float16
        np.testing.assert_array_equal(np.array(back), exact.astype(np.float16))
        for m in (1, 9):
            x = normal(m, 320)
            agree(mx.quantized_matmul(mx.array(x), *triple, group_size=32, bits=bits), x, exact.T)


def test_packed_arrays_are_saved_and_loaded():
    q, w = packed(5, 64)
    file = io.BytesIO()
    mx.savez(file, *q)
    file.seek(0)
    found = mx.load(file, format="npz")
    x = normal(2, 64)
    agree(mx.quantized_matmul(mx.array(x), *[found[f"arr_{i}"] for i in range(3)]), x, w.T)


# ---- refusals


def test_what_does_not_fit_is_refused():
    w = mx.ones((4, 64))
    q = mx.quantize(w)
    for call, text in (
        (lambda: mx.quantize(mx.ones((64,))), "too few axes"),
        (lambda: mx.quantize(mx.ones((4, 65))), "whole number of groups"),
        (lambda: mx.quantize(w, 48), "group_size and bits: got 48 and 4"),
        (lambda: mx.quantize(w, bits=7), "group_size and bits: got 64 and 7"),
        (lambda: mx.quantize(w, mode="int4"), "mode: got 'int4'"),
        (lambda: mx.quantize(w, 16, 8, "nvfp4"), "expected 16 and 4"),
        (lambda: mx.quantize(w.astype(mx.int32)), "got int32, expected a floating dtype"),
        (lambda: mx.dequantize(*q, bits=8), "does not fit"),
        (lambda: mx.dequantize(*q[:2]), "biases: got none"),
        (lambda: mx.dequantize(*q, mode="mxfp4"), "biases: got some"),
        (lambda: mx.dequantize(q[1], *q[1:]), "w: got float32"),
        (lambda: mx.quantized_matmul(mx.ones((2, 32)), *q), "inner sizes differ"),
        (lambda: mx.quantized_matmul(mx.ones((2, 64)), *q, transpose=False), "inner sizes differ"),
        (lambda: mx.quantized_matmul(mx.ones((2, 64), mx.int32), *q), "expected a floating dtype"),
        (lambda: mx.quantized_matmul(mx.ones(()), *q), "too few axes"),
        (lambda: mx.from_fp8(mx.ones(3)), "expected uint8"),
        (lambda: mx.from_fp8(mx.ones(3, mx.uint8), mx.int32), "expected a floating dtype"),
    ):
        with pytest.raises(ValueError, match=text.replace("(", r"\(")):
            call()


# ---- levels

@pytest.mark.parametrize("level", levels.LOWER)
def test_all_of_this_holds_at_every_level(level):
    levels.run(level, "-m", "pytest", "-q", "-x", __file__, "-k", "not every_level")
