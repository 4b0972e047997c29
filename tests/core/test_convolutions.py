"""Convolutions beside a plain one in NumPy: every stride, padding, dilation, group and layout, the
gradients, and bits that depend on neither threads nor what is fused with them."""

import sys
from pathlib import Path

import numpy as np
import pytest

import lazulite.core as mx
from lazulite.core import _core

sys.path.insert(0, str(Path(__file__).parents[1] / "ops"))
import convolutions  # noqa: E402

TOLERANCE = {"float16": 2e-2, "bfloat16": 0.2, "float32": 1e-4, "float64": 1e-11}


def double(a):
    return np.array(a.astype(mx.float64))


class Case:
    """A convolution of any kind, drawn by a seed; None where weights reach beyond the input."""

    def __init__(self, seed):
        rng = np.random.default_rng(seed)
        axes = int(rng.integers(1, 4))

        def some(low, high):
            return [int(v) for v in rng.integers(low, high, axes)]

        self.groups = int(rng.choice([1, 1, 2, 3, 5]))
        own, made = int(rng.choice([1, 2, 3, 5, 17, 33])), int(rng.choice([1, 2, 8, 17, 35]))
        sizes, taps = some(1, {1: 60, 2: 14, 3: 7}[axes]), some(1, 5)
        self.stride, self.dilation, self.spread = some(1, 4), some(1, 4), some(1, 5)
        self.sides = (some(-2, 4), some(-2, 4))
        self.flip = bool(rng.random() < 0.3)
        self.dtype = str(rng.choice(list(TOLERANCE)))
        batch = int(rng.integers(1, 4))
        self.x = self.array(rng, batch, *sizes, self.groups * own)
        self.w = self.array(rng, self.groups * made, *taps, own)
        self.rng = rng

    def array(self, rng, *shape):
        return mx.array(rng.standard_normal(shape), getattr(mx, self.dtype))

    def arguments(self):
        return (self.stride, self.sides, self.dilation, self.spread, self.groups, self.flip)

    def __call__(self, x, w):
        return mx.conv_general(x, w, *self.arguments())

    def reference(self, x, w):
        try:
            out = convolutions.conv_general(x, w, *self.arguments())
        except ValueError:
            return None
        return out if 0 not in out.shape else None


def cases(count):
    found, seed = [], 0
    while len(found) < count:
        case = Case(seed)
        if case.reference(double(case.x), double(case.w)) is not None:
            found.append(case)
        seed += 1
    return found


def test_every_kind_of_convolution_and_its_gradients():
    for case in cases(300):
        x, w, near = double(case.x), double(case.w), TOLERANCE[case.dtype]
        wanted = case.reference(x, w)
        ct = case.array(case.rng, *wanted.shape)
        (got,), slopes = mx.vjp(case, [case.x, case.w], [ct])
        assert got.dtype == case.x.dtype
        np.testing.assert_allclose(double(got), wanted, near, near * (1 + np.abs(wanted).max()))
        # The gradient's products with any direction are those of the result in that direction.
        for slope, ahead in [
            (slopes[0], lambda d: case.reference(d, w)),
            (slopes[1], lambda d: case.reference(x, d)),
        ]:
            direction = case.rng.standard_normal(slope.shape)
            terms = double(slope) * direction
            expected = np.sum(double(ct) * ahead(direction))
            assert abs(terms.sum() - expected) <= near * (1 + np.abs(terms).sum())


def test_the_bits_depend_on_neither_threads_nor_layouts_nor_on_what_goes_on():
    _core._set_least_cost(1e9)
    threads = mx.num_threads()
    try:
        for case in cases(60):
            ct = case.array(case.rng, *case(case.x, case.w).shape)
            bias = case.array(case.rng, ct.shape[-1])
            turned = mx.contiguous(case.x.T).T, mx.contiguous(case.w.T).T
            results = []
            for count in (1, 2, 7):
                mx.set_num_threads(count)
                for x, w in [(case.x, case.w), turned]:
                    (y,), (dx, dw) = mx.vjp(case, [x, w], [ct])
                    fused = mx.maximum(case(x, w) + bias, 0)
                    apart = case(x, w)
                    mx.eval(apart)
                    assert mx.array_equal(fused, mx.maximum(apart + bias, 0), equal_nan=True)
                    results.append((y, dx, dw))
            for other in results[1:]:
                for a, b in zip(results[0], other):
                    assert bytes(memoryview(a.view(mx.uint8))) == bytes(
                        memoryview(b.view(mx.uint8))
                    )
    finally:
        mx.set_num_threads(threads)
        _core._set_least_cost(0)


def test_what_follows_is_done_piece_by_piece():
    x, w, bias = mx.ones((4, 32, 32, 16)), mx.ones((16, 3, 3, 16)), mx.ones(16)
    mx.eval(x, w, bias)
    (step,) = mx.plan(mx.maximum(mx.conv2d(x, w, padding=1) + bias, 0)).steps
    assert "conv" in str(step) and "into fused {add maximum" in str(step)


@pytest.mark.parametrize("which", [(0, None), (None, 2), (1, 3), (2, 0)])
@pytest.mark.parametrize("groups", [1, 3])
def test_vmap_maps_inputs_and_weights(which, groups):
    rng = np.random.default_rng(5)
    shapes = [[2, 6, 5, 3 * 2], [6, 3, 2, 6 // groups]]
    made = []
    for shape, axis in zip(shapes, which):
        made.append(list(shape) if axis is None else shape[:axis] + [4] + shape[axis:])
    x, w = (mx.array(rng.standard_normal(s), mx.float64) for s in made)

    def f(x, w):
        return mx.conv2d(x, w, (2, 1), (1, 0), 1, groups)

    def lane(a, axis, i):
        return a if axis is None else mx.take(a, mx.array(i), axis)

    for g in (f, lambda x, w: mx.grad(lambda x, w: f(x, w).square().sum(), (0, 1))(x, w)):
        got = mx.vmap(g, which)(x, w)
        each = [g(lane(x, which[0], i), lane(w, which[1], i)) for i in range(4)]
        if isinstance(got, mx.array):
            got, each = [got], [[e] for e in each]
        for k, mapped in enumerate(got):
            assert mx.allclose(mapped, mx.stack([e[k] for e in each]), 1e-12, 1e-12)


def test_a_transposed_convolution_is_the_gradient_of_the_other():
    rng = np.random.default_rng(2)
    x = mx.array(rng.standard_normal((2, 9, 11, 4)))
    w = mx.array(rng.standard_normal((6, 3, 4, 2)))
    args = ((2, 3), (1, 2), (2, 1), 2)
    (y,), (dx,) = mx.vjp(lambda x: mx.conv2d(x, w, *args), [x], [mx.ones((2, 4, 4, 6))])
    assert y.shape == (2, 4, 4, 6)
    # (groups * out, taps, in) as (groups * in, taps, out)
    turned = w.reshape(2, 3, 3, 4, 2).transpose(0, 4, 2, 3, 1).reshape(4, 3, 4, 3)
    stride, padding, dilation, groups = args
    more = tuple(
        n - ((o - 1) * s - 2 * p + d * (k - 1) + 1)
        for n, o, s, p, d, k in zip((9, 11), (4, 4), stride, padding, dilation, (3, 4))
    )
    back = mx.conv_transpose2d(y * 0 + 1, turned, stride, padding, dilation, more, groups)
    assert mx.allclose(back, dx, 1e-6, 1e-6)


def test_zeros_around_do_not_meet_the_weights_of_others():
    x = np.zeros((1, 5, 5, 2), np.float32)
    x[0, 2, 2, 1] = np.inf
    y = np.array(mx.conv2d(mx.array(x), mx.ones((3, 3, 3, 2)), padding=1))
    assert np.isinf(y[0, 1:4, 1:4]).all()
    assert (y[0, [0, 4]] == 0).all() and (y[0, :, [0, 4]] == 0).all()


def test_nothing_gives_nothing():
    w = mx.ones((4, 3, 3, 2))
    assert mx.conv2d(mx.zeros((0, 5, 5, 2)), w).shape == (0, 3, 3, 4)
    none = mx.conv2d(mx.zeros((2, 5, 5, 0)), mx.zeros((4, 3, 3, 0)))
    assert mx.array_equal(none, mx.zeros((2, 3, 3, 4)))
    x = mx.zeros((0, 5, 5, 2))
    slopes = mx.grad(lambda x, w: mx.conv2d(x, w).sum(), (0, 1))(x, w)
    assert slopes[0].shape == x.shape and mx.array_equal(slopes[1], mx.zeros(w.shape))


def test_training_takes_no_columns_of_patches():
    """A gradient takes less than a matrix of the patches (9 times the input) would."""
    x, w = mx.ones((8, 64, 64, 32)), mx.ones((32, 3, 3, 32))
    mx.eval(x, w)
    mx.reset_peak_memory()
    before = mx.get_active_memory()
    mx.eval(mx.grad(lambda x, w: mx.conv2d(x, w, padding=1).square().sum(), (0, 1))(x, w))
    assert mx.get_peak_memory() - before < 6 * x.nbytes


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda x, w: mx.conv2d(x[0], w), r"\[conv2d\] input: got shape .*, expected \(batch, 2"),
        (lambda x, w: mx.conv2d(x, w[0]), r"\[conv2d\] weight: got shape"),
        (lambda x, w: mx.conv1d(x, w), r"\[conv1d\] input"),
        (lambda x, w: mx.conv2d(x, w, groups=3), r"\[conv2d\] groups: got 3 for 4 channels in"),
        (lambda x, w: mx.conv2d(x, w, groups=0), r"\[conv2d\] groups: got 0"),
        (lambda x, w: mx.conv2d(x, w, groups=2), r"\[conv2d\] channels do not fit"),
        (lambda x, w: mx.conv2d(x, w, stride=0), r"\[conv2d\] stride: got 0, expected 1"),
        (lambda x, w: mx.conv2d(x, w, stride=(1, 2, 3)), r"\[conv2d\] stride: got .* each of 2"),
        (lambda x, w: mx.conv2d(x, w, padding=-1), r"\[conv2d\] padding: got -1"),
        (lambda x, w: mx.conv2d(x, w, dilation=9), r"\[conv2d\] weights reach beyond axis 1"),
        (lambda x, w: mx.conv2d(x.astype(mx.int32), w.astype(mx.int32)), r"floating dtype"),
        (lambda x, w: mx.conv2d(x, w[:, :0]), r"\[conv2d\] weight: .* expected some taps"),
        (lambda x, w: mx.conv_general(x, w, padding=([1], [0], [2])), r"a pair"),
        (lambda x, w: mx.conv_general(x[0, 0], w), r"\[conv_general\] got an input of 2 axes"),
        (lambda x, w: mx.conv2d(x, w, stride=2**40), r"below 2\^31"),
    ],
)
def test_what_does_not_fit_is_told(call, message):
    with pytest.raises((ValueError, OverflowError), match=message):
        call(mx.ones((2, 6, 6, 4)), mx.ones((4, 3, 3, 4)))
