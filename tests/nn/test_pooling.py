"""Pooling and upsampling layers beside their formulas."""

import numpy as np
import pytest

import lazulite.core as mx
import lazulite.nn as nn


def normal(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype(np.float32)


def plain_max(x, size, stride, padding):
    """Maxima one shifted input after the other, over both axes between the first and the last."""
    x = np.pad(x, [(0, 0), *[(padding, padding)] * 2, (0, 0)], constant_values=-np.inf)
    counts = [(n - size) // stride + 1 for n in x.shape[1:3]]
    parts = [
        x[:, i : i + (counts[0] - 1) * stride + 1 : stride]
        [:, :, j : j + (counts[1] - 1) * stride + 1 : stride]
        for i in range(size)
        for j in range(size)
    ]
    return np.maximum.reduce(parts)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16", "int8", "uint16"])
@pytest.mark.parametrize("channels", [1, 3, 16, 40, 131])
def test_maxima_are_bits_of_the_input_at_any_stride_of_it(dtype, channels):
    x = mx.array((normal(3, 11, 9, channels) * 20).round()).astype(getattr(mx, dtype))
    known = np.array(x.astype(mx.float64))
    views = [
        (x, known),
        (x[:, ::-1, 1:], known[:, ::-1, 1:]),
        (x[::2, :, ::2], known[::2, :, ::2]),
        (x.transpose(0, 2, 1, 3), known.transpose(0, 2, 1, 3)),
        (x[..., ::-1], known[..., ::-1]),
        (mx.moveaxis(mx.contiguous(mx.moveaxis(x, 3, 1)), 1, 3), known),
    ]
    for size, stride, padding in [(2, 2, 0), (3, 2, 1), (3, 1, 1)]:
        layer = nn.MaxPool2d(size, stride, padding)
        for view, expected in views:
            got = np.array(layer(view).astype(mx.float64))
            assert np.array_equal(got, plain_max(expected, size, stride, padding))


def test_nan_is_a_maximum_and_stays_in_its_windows():
    x = normal(1, 8, 8, 5)
    x[0, 3, 3, 2] = np.nan
    y = np.array(nn.MaxPool2d(2)(mx.array(x)))
    assert np.argwhere(np.isnan(y)).tolist() == [[0, 1, 1, 2]]
    slope = np.array(mx.grad(lambda x: nn.MaxPool2d(2)(x).sum())(mx.array(x)))
    assert slope[0, 3, 3, 2] == 1 and slope.sum() == y.size


def test_of_equal_maxima_the_first_has_the_slope():
    for layer, expected in [
        (nn.MaxPool1d(2), [1, 0, 1, 0]),
        (nn.MaxPool1d(3, 1, 1), [2, 1, 1, 0]),
    ]:
        slope = mx.grad(lambda x: layer(x).sum())(mx.ones((1, 4, 2)))
        assert slope[0, :, 1].tolist() == expected


@pytest.mark.parametrize("dtype", [mx.float32, mx.float64, mx.float16])
def test_slopes_of_windows_that_overlap_add_up_as_finite_differences_do(dtype):
    x = normal(2, 9, 8, 19)
    weights = normal(2, 5, 4, 19, seed=2)
    layer = nn.MaxPool2d(3, 2, 1)
    got = mx.grad(lambda x: (layer(x) * mx.array(weights, dtype=dtype)).sum())(
        mx.array(x, dtype=dtype)
    )
    wide = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)], constant_values=-np.inf)
    expected = np.zeros(wide.shape)
    for b, i, j, c in np.ndindex(*weights.shape):
        window = wide[b, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3, c]
        at = np.unravel_index(window.argmax(), window.shape)
        expected[b, 2 * i + at[0], 2 * j + at[1], c] += weights[b, i, j, c]
    tolerance = 2e-3 if dtype == mx.float16 else 1e-6
    np.testing.assert_allclose(np.array(got), expected[:, 1:-1, 1:-1], tolerance, tolerance)


def test_means_count_what_is_put_around_the_input_unless_told_not_to():
    x = mx.ones((1, 3, 1))
    assert mx.fast.avg_pool(x, 2, 1, 1).squeeze().tolist() == [0.5, 1, 1, 0.5]
    assert mx.fast.avg_pool(x, 2, 1, 1, False).squeeze().tolist() == [1, 1, 1, 1]


def test_halves_are_summed_in_float32():
    x = mx.full((1, 4096, 1), 60000.0, dtype=mx.float16)
    assert mx.fast.avg_pool(x, 4096).item() == x[0, 0, 0].item()
    assert mx.fast.adaptive_avg_pool(x[:, :4095], 2)[0, :, 0].tolist() == [x[0, 0, 0].item()] * 2


def test_pooling_is_mapped_differentiated_and_compiled_in_any_order():
    x = mx.array(normal(3, 2, 6, 5, 4))

    def f(x):
        return (mx.fast.max_pool(x, 3, 2, 1) ** 2).sum() + mx.fast.avg_pool(x, 2, 1).sum()

    each = [mx.grad(f)(one) for one in x]
    for made in (mx.vmap(mx.grad(f)), mx.compile(mx.vmap(mx.grad(f)))):
        assert np.array_equal(np.array(made(x)), np.array(mx.stack(each)))
    v = mx.array(normal(3, 2, 6, 5, 4, seed=4))
    second = mx.jvp(mx.grad(f), [x[0]], [v[0]])[1][0]
    other = mx.grad(lambda x: (mx.grad(f)(x) * v[0]).sum())(x[0])
    np.testing.assert_allclose(np.array(second), np.array(other), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda x: mx.fast.max_pool(x, 9), r"\[max_pool\] windows reach beyond axis 1: got 9 for 6"),
        (lambda x: mx.fast.max_pool(x[0, 0], 2), r"\[max_pool\] x: got shape \(5, 3\)"),
        (lambda x: mx.fast.avg_pool(x, 2, 0), r"\[avg_pool\] stride: got 0, expected 1 or more"),
        (lambda x: mx.fast.avg_pool(x, [2, 2, 2]), r"\[avg_pool\] kernel_size: got \(2, 2, 2\)"),
        (lambda x: mx.fast.max_pool(x, 2, 1, -1), r"\[max_pool\] padding: got -1"),
        (lambda x: mx.fast.max_pool(x.astype(mx.complex64), 2), "expected a real dtype"),
        (lambda x: mx.fast.adaptive_avg_pool(x[:, :0], 2), "axis 1 is empty"),
    ],
)
def test_what_does_not_fit_is_told(call, message):
    with pytest.raises(ValueError, match=message):
        call(mx.zeros((2, 6, 5, 3)))


# ---- upsampling


def interpolated(x, axis, scale, mode, align_corners):
    """Along one axis, element by element in float64."""
    x = np.moveaxis(np.asarray(x, np.float64), axis, 0)
    n, made = len(x), int(scale * len(x))
    out = []
    for o in range(made):
        at = o * (n - 1) / max(made - 1, 1)
        if not align_corners:
            at = (o - (made - 1) / 2) / scale + (n - 1) / 2
        if mode == "linear":
            at = min(max(at, 0), n - 1)
        first = int(np.floor(at))
        d = at - first
        if mode == "linear":
            weights = {first: 1 - d, first + 1: d}
        else:
            a = -0.75
            near = [((a + 2) * u - (a + 3)) * u * u + 1 for u in (d, 1 - d)]
            far = [((u - 5) * u + 8) * u * a - 4 * a for u in (1 + d, 2 - d)]
            weights = dict(zip(range(first - 1, first + 3), [far[0], *near, far[1]]))
        out.append(sum(w * x[min(max(i, 0), n - 1)] for i, w in weights.items()))
    return np.moveaxis(np.array(out), 0, axis)


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("mode", ["linear", "cubic"])
@pytest.mark.parametrize(
    "shape, scale",
    [
        ((2, 5, 3), 2), ((2, 5, 3), 3), ((2, 1, 3), 2), ((1, 7, 2), 0.5), ((2, 5, 1), 1.7),
        ((2, 4, 5, 3), 2), ((2, 4, 5, 17), (3, 2)), ((1, 6, 4, 2), (0.5, 2.5)),
        ((1, 3, 4, 2, 3), 2), ((1, 2, 3, 2, 2), (2, 1, 3)), ((2, 6, 5, 3), 4),
    ],
)  # fmt: skip
def test_upsampling_weighs_what_lies_around_each_place(shape, scale, mode, align_corners):
    layer = nn.Upsample(scale, mode, align_corners)
    x = normal(*shape)
    expected = x
    factors = scale if isinstance(scale, tuple) else (scale,) * (len(shape) - 2)
    for axis, factor in enumerate(factors, 1):
        expected = interpolated(expected, axis, factor, mode, align_corners)
    got = layer(mx.array(x))
    assert got.shape == expected.shape and got.dtype == mx.float32
    np.testing.assert_allclose(np.array(got), expected, rtol=2e-5, atol=2e-5)
    wanted = np.float64(np.random.default_rng(3).normal(size=expected.shape))
    along = normal(*shape, seed=5).astype(np.float64)
    slope = mx.grad(lambda x: (layer(x) * mx.array(wanted, dtype=mx.float64)).sum())(
        mx.array(x, dtype=mx.float64)
    )
    moved = along
    for axis, factor in enumerate(factors, 1):
        moved = interpolated(moved, axis, factor, mode, align_corners)
    assert (np.array(slope) * along).sum() == pytest.approx((moved * wanted).sum(), rel=1e-9)


def test_the_nearest_are_repeated_or_chosen():
    x = np.arange(24).reshape(1, 4, 6, 1)
    got = nn.Upsample((2, 3))(mx.array(x))
    assert np.array_equal(np.array(got), x.repeat(2, 1).repeat(3, 2)) and got.dtype == mx.int64
    line = mx.arange(4).reshape(1, 4, 1)
    assert nn.Upsample(1.25)(line).squeeze().tolist() == [0, 1, 2, 2, 3]
    assert nn.Upsample(0.5)(line).squeeze().tolist() == [0, 2]
    slope = mx.grad(lambda x: nn.Upsample(3)(x).sum())(mx.zeros((1, 2, 2, 1)))
    assert slope.squeeze().tolist() == [[9, 9], [9, 9]]
    many = nn.Upsample(2)(mx.zeros((1, 2, 2, 2, 2, 3)))
    assert many.shape == (1, 4, 4, 4, 4, 3)


def test_the_examples_of_the_reference_hold():
    x = mx.arange(1, 5).reshape((1, 2, 2, 1))
    got = nn.Upsample(2, mode="linear")(x).squeeze().tolist()
    assert got == [[1, 1.25, 1.75, 2], [1.5, 1.75, 2.25, 2.5], [2.5, 2.75, 3.25, 3.5],
                   [3, 3.25, 3.75, 4]]  # fmt: skip
    corners = np.array(nn.Upsample(2, "linear", align_corners=True)(x).squeeze())
    np.testing.assert_allclose(corners, 1 + np.add.outer(np.arange(4) * 2, np.arange(4)) / 3, 1e-6)


def test_an_infinity_stays_where_it_has_weight():
    x = mx.array([1.0, np.inf, 2.0, 3.0, 4.0]).reshape(1, 5, 1)
    got = np.array(nn.Upsample(2, "linear")(x)).squeeze()
    assert np.isinf(got[1:5]).all() and np.isfinite(got[[0, *range(5, 10)]]).all()


@pytest.mark.parametrize("mode", ["linear", "cubic"])
def test_antialiasing_weighs_all_that_a_shorter_axis_leaves_out(mode):
    x = normal(2, 12, 8, 3)
    got = np.array(nn.Upsample(0.25, mode, antialias=True)(mx.array(x)))
    assert got.shape == (2, 3, 2, 3)
    constant = nn.Upsample(0.25, mode, antialias=True)(mx.full((1, 12, 8, 1), 3.0))
    np.testing.assert_allclose(np.array(constant), 3, rtol=1e-6)
    if mode == "linear":  # a triangle of 8 elements
        at, index = np.arange(3) * 4 + 1.5, np.arange(12)
        weights = np.maximum(1 - np.abs(index - at[:, None]) / 4, 0)
        rows = np.einsum("ok,bkwc->bowc", weights / weights.sum(1, keepdims=True), x)
        at, index = np.arange(2) * 4 + 1.5, np.arange(8)
        weights = np.maximum(1 - np.abs(index - at[:, None]) / 4, 0)
        expected = np.einsum("ok,bwkc->bwoc", weights / weights.sum(1, keepdims=True), rows)
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: nn.Upsample(2, "bilinear"), "mode: got 'bilinear', expected 'nearest'"),
        (lambda: nn.Upsample(0), "scale_factor: got 0, expected positive"),
        (lambda: nn.Upsample((2, -1)), "expected positive numbers"),
        (lambda: nn.Upsample(2, antialias=True), "antialias"),
        (lambda: nn.Upsample(2, "linear", True, True), "antialias"),
        (lambda: nn.Upsample((2, 2))(mx.zeros((1, 4, 3))), "2 axes"),
        (lambda: nn.Upsample(2)(mx.zeros((4, 3))), r"got an input of shape \(4, 3\)"),
    ],
)
def test_what_upsampling_refuses_is_told(make, message):
    with pytest.raises(ValueError, match=message):
        make()
