"""Convolutions of int8 beside a plain one in NumPy: exact at every level, for any stride, padding,
dilation, group, zero and layout."""

import sys
from pathlib import Path

import numpy as np
import pytest

import lazulite.core as mx
import levels
from lazulite.core import _core

sys.path.insert(0, str(Path(__file__).parents[1] / "ops"))
import convolutions  # noqa: E402


def codes(rng, *shape):
    a = rng.integers(-128, 128, shape, dtype=np.int8)
    a[rng.random(shape) < 0.1] = -128
    return a


class Case:
    """A convolution of any kind, drawn by a seed, and what it gives; None where weights reach
    beyond the input."""

    def __init__(self, seed):
        rng = np.random.default_rng(seed)
        axes = int(rng.integers(1, 4))

        def some(low, high):
            return [int(v) for v in rng.integers(low, high, axes)]

        groups = int(rng.choice([1, 1, 2, 3, 5]))
        own, made = int(rng.choice([1, 2, 3, 4, 5, 17, 33])), int(rng.choice([1, 2, 8, 17, 35]))
        sizes, taps = some(1, {1: 60, 2: 14, 3: 7}[axes]), some(1, 5)
        stride, dilation, spread = some(1, 4), some(1, 4), some(1, 4)
        sides = (some(-2, 4), some(-2, 4))
        self.x = codes(rng, int(rng.integers(1, 4)), *sizes, groups * own)
        self.w = codes(rng, groups * made, *taps, own)
        self.zero = None if rng.random() < 0.4 else int(rng.choice([-128, -3, 1, 127]))
        self.kind = (stride, sides, dilation, spread, groups, bool(rng.random() < 0.3))
        try:
            self.wanted = convolutions.int8_conv(
                self.x, self.w, None, None, *self.kind, input_zero=self.zero
            )
        except ValueError:
            self.wanted = None
        if self.wanted is not None and 0 in self.wanted.shape:
            self.wanted = None

    def __call__(self, x, w):
        zero = None if self.zero is None else mx.array(self.zero, mx.int8)
        return mx.int8_conv(x, w, None, None, *self.kind, input_zero=zero)


def check_many(count):
    done, seed = 0, 0
    while done < count:
        case, seed = Case(seed), seed + 1
        if case.wanted is None:
            continue
        done += 1
        x, w = mx.array(case.x), mx.array(case.w)
        turned = mx.contiguous(x.T).T, mx.contiguous(w.T).T
        for a, b in ((x, w), turned, (x[::-1][::-1], w[..., ::-1][..., ::-1])):
            got = case(a, b)
            assert got.dtype == mx.int32
            np.testing.assert_array_equal(np.array(got), case.wanted, str(vars(case)))


def check_sizes():
    """Past the borders of blocks, strips, groups of steps and pieces of channels."""
    rng = np.random.default_rng(0)
    for channels, made, taps, size in [
        (1, 6, 5, 28),
        (3, 64, 7, 30),
        (4, 31, 3, 15),
        (64, 33, 3, 14),
        (65, 65, 1, 29),
        (515, 40, 3, 7),
        (1030, 17, 3, 5),
        (3100, 3, 1, 4),
    ]:
        x, w = codes(rng, 2, size, size, channels), codes(rng, made, taps, taps, channels)
        for stride, padding, zero in ((1, taps // 2, None), (2, 1, -128), (1, 0, 127)):
            args = (None, None, stride, padding)
            wanted = convolutions.int8_conv(x, w, *args, input_zero=zero)
            given = None if zero is None else mx.array([zero], mx.int8)
            got = mx.int8_conv(mx.array(x), mx.array(w), *args, input_zero=given)
            np.testing.assert_array_equal(np.array(got), wanted, str((channels, made, taps, args)))


def test_sums_are_exact():
    check_many(300)
    check_sizes()


@pytest.mark.parametrize("level", levels.LOWER)
def test_sums_are_exact_at_each_level(level):
    code = "import test_int8_convolutions as t\nt.check_many(80)\nt.check_sizes()"
    levels.run(level, "-W", "ignore", "-c", code)


def test_neither_threads_nor_what_goes_on_count():
    rng = np.random.default_rng(1)
    x, w = mx.array(codes(rng, 2, 19, 17, 20)), mx.array(codes(rng, 70, 3, 3, 20))
    scales, bias = mx.array(rng.random((2, 70)).astype(np.float32)), mx.arange(70.0)
    mx.eval(x, w, scales, bias)

    def layer(x, scale):
        y = mx.int8_conv(x, w, scale, scales[1], padding=1, input_zero=mx.array(5, mx.int8))
        return mx.maximum(y + bias, 0)

    steps = mx.plan(layer(x, scales[0, :2])).steps
    assert any("int8_conv" in str(step) and "into fused" in str(step) for step in steps)
    threads = mx.num_threads()
    _core._set_least_cost(1e9)
    try:
        results = []
        for count in (1, 2, 7):
            mx.set_num_threads(count)
            results += [layer(x, scales[0, :2]), mx.compile(layer)(x, scales[0, :2])]
            mx.eval(results)
        for other in results[1:]:
            assert mx.array_equal(results[0], other)
    finally:
        mx.set_num_threads(threads)
        _core._set_least_cost(0)


def test_channels_with_many_taps_of_their_own_are_exact():
    rng = np.random.default_rng(2)
    for taps in (511, 512, 513, 1500):
        x, w = np.full((1, taps + 3, 3), 127, np.int8), np.full((6, taps, 1), -128, np.int8)
        x[0, :: int(rng.integers(2, 9))] = -128
        got = mx.int8_conv(
            mx.array(x), mx.array(w), groups=3, padding=2, input_zero=mx.array(-128, mx.int8)
        )
        wanted = convolutions.int8_conv(x, w, padding=2, groups=3, input_zero=-128)
        np.testing.assert_array_equal(np.array(got), wanted)


def test_scales_are_those_of_images_and_of_channels():
    rng = np.random.default_rng(3)
    x, w = codes(rng, 2, 6, 5, 3), codes(rng, 4, 3, 2, 3)
    sums = convolutions.int8_conv(x, w)
    of_x, of_w = rng.random(2).astype(np.float32), rng.random(4).astype(np.float32)
    got = mx.int8_conv(mx.array(x), mx.array(w), mx.array(of_x), mx.array(of_w))
    assert got.dtype == mx.float32
    wanted = sums * of_x[:, None, None, None] * of_w
    np.testing.assert_allclose(np.array(got), wanted, rtol=1e-6)
    half = mx.int8_conv(mx.array(x), mx.array(w), mx.array(0.5, mx.float16))
    assert half.dtype == mx.float16
    np.testing.assert_allclose(np.array(half, np.float64), sums * 0.5, rtol=1e-3)
    both = mx.int8_conv(mx.array(x), mx.array(w), mx.array([0.5], mx.float64), mx.array(of_w))
    assert both.dtype == mx.float64
    slope = mx.grad(lambda c: mx.int8_conv(mx.array(x), mx.array(w), None, c).sum())(
        mx.array(of_w)
    )
    np.testing.assert_allclose(np.array(slope), sums.sum((0, 1, 2)), rtol=1e-6)


@pytest.mark.parametrize(
    "which", [(0, None, None), (None, 2, None), (1, 3, None), (2, 0, 0), (None, None, 0)]
)
@pytest.mark.parametrize("groups", [1, 3])
def test_vmap_maps_inputs_weights_and_zeros(which, groups):
    rng = np.random.default_rng(5)
    shapes = [[2, 6, 5, 6], [6, 3, 2, 6 // groups], []]
    made = []
    for shape, axis in zip(shapes, which):
        made.append(list(shape) if axis is None else shape[:axis] + [4] + shape[axis:])
    arrays = [mx.array(codes(rng, *s)) for s in made]

    def f(x, w, zero):
        return mx.int8_conv(x, w, None, None, (2, 1), (1, 0), groups=groups, input_zero=zero)

    def lane(a, axis, i):
        return a if axis is None else mx.take(a, mx.array(i), axis)

    got = mx.vmap(f, which)(*arrays)
    each = [f(*[lane(a, axis, i) for a, axis in zip(arrays, which)]) for i in range(4)]
    assert mx.array_equal(got, mx.stack(each))


def test_nothing_gives_nothing():
    def zeros(*shape):
        return mx.zeros(shape, mx.int8)

    assert mx.int8_conv(zeros(0, 5, 5, 2), zeros(4, 3, 3, 2)).shape == (0, 3, 3, 4)
    none = mx.int8_conv(zeros(2, 5, 5, 0), zeros(4, 3, 3, 0))
    assert none.shape == (2, 3, 3, 4) and not mx.any(none).item()
    ends = mx.int8_conv(
        zeros(1, 2, 1), zeros(1, 1, 1), None, None, 1, 2, input_zero=mx.array(1, mx.int8)
    )
    assert mx.array_equal(ends, mx.zeros((1, 6, 1), mx.int32))
    assert mx.int8_conv(zeros(1, 5, 2), zeros(0, 3, 2)).shape == (1, 3, 0)


@pytest.mark.parametrize(
    "call, message",
    [
        (
            lambda x, w: mx.int8_conv(x.astype(mx.uint8), w),
            "got uint8 and int8, expected the dtype int8",
        ),
        (lambda x, w: mx.int8_conv(x[0], w), r"\[int8_conv\] weight: got shape"),
        (lambda x, w: mx.int8_conv(x, w[..., :2]), "channels do not fit"),
        (lambda x, w: mx.int8_conv(x, w, groups=2), "groups: got 2 for 3 channels in"),
        (lambda x, w: mx.int8_conv(x[:, :2], w), "weights reach beyond axis 1"),
        (lambda x, w: mx.int8_conv(x, w, mx.ones(3)), "input_scale: got shape"),
        (lambda x, w: mx.int8_conv(x, w, None, mx.ones((4, 1))), "weight_scale: got shape"),
        (lambda x, w: mx.int8_conv(x, w, mx.array(1)), "input_scale: got int32"),
        (lambda x, w: mx.int8_conv(x, w, input_zero=mx.array(1)), "input_zero: got int32"),
        (
            lambda x, w: mx.int8_conv(x, w, input_zero=mx.zeros(2, mx.int8)),
            "input_zero: got int8 of",
        ),
        (lambda x, w: mx.int8_conv(mx.zeros(3, mx.int8), w), "expected 3, 4 or 5"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    x, w = mx.zeros((2, 5, 5, 3), mx.int8), mx.zeros((4, 3, 3, 3), mx.int8)
    with pytest.raises(ValueError, match=message):
        call(x, w)
