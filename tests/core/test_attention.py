"""Attention beside a plain one in NumPy, which holds all scores: every length, depth, mask, group
and layout, the gradients, and bits that depend on neither threads nor layouts; and how much memory
it takes."""

import sys
from pathlib import Path

import numpy as np
import pytest

import lazulite.core as mx
from lazulite.core import _core

sys.path.insert(0, str(Path(__file__).parents[1] / "ops"))
import attention  # noqa: E402

TOLERANCE = {"float16": 1e-2, "bfloat16": 8e-2, "float32": 3e-5, "float64": 1e-11}
sdpa = mx.fast.scaled_dot_product_attention


def double(a):
    return np.array(a.astype(mx.float64))


class Case:
    """Attention of any kind, drawn by a seed."""

    def __init__(self, seed, dtype=None, longest=300):
        rng = self.rng = np.random.default_rng(seed)
        self.dtype = dtype or str(rng.choice(list(TOLERANCE)))

        def size(*of):
            return int(rng.choice([*of, rng.integers(1, longest)]))

        batch, kv, group = (int(rng.integers(1, n)) for n in (4, 3, 5))
        queries, keys = size(1, 2, 4, 63, 64, 65, 129), size(1, 3, 125, 126, 127, 253)
        if longest > 300 and rng.random() < 0.3:
            queries, keys = int(rng.integers(1, 9)), int(rng.integers(500, 2500))
        depth, value_depth = size(1, 8, 31, 64), size(1, 15, 33, 64)
        depth, value_depth = min(depth, 130), min(value_depth, 130)
        self.q = self.array(batch, kv * group, queries, depth)
        self.k = self.array(batch, kv, keys, depth)
        self.v = self.array(batch, kv, keys, value_depth)
        self.options = {"scale": float(depth**-0.5)}
        kind = rng.integers(0, 6)
        if kind == 1:
            self.options["mask"] = "causal"
        elif kind > 1:
            full = (batch, kv * group, queries, keys)
            shape = [n if rng.random() < 0.6 else 1 for n in full][int(rng.integers(0, 4)) :]
            if kind < 4:
                self.options["mask"] = self.array(*shape)
            else:
                values = rng.random(shape) < 0.7
                values[..., :1] = True
                self.options["mask"] = mx.array(values)
        if rng.random() < 0.3:
            self.options["sinks"] = self.array(kv * group)
        if rng.random() < 0.3:
            self.options["window"] = int(rng.integers(1, 200))

    def array(self, *shape):
        return mx.array(self.rng.standard_normal(shape), getattr(mx, self.dtype))

    def __call__(self, q, k, v):
        return sdpa(q, k, v, **self.options)

    def reference(self, q, k, v):
        options = {n: double(a) if self.widens(a) else a for n, a in self.options.items()}
        return attention.scaled_dot_product_attention(q, k, v, **options)

    @staticmethod
    def widens(a):
        return isinstance(a, mx.array) and a.dtype != mx.bool_

    def slopes(self, q, k, v, ct):
        """The gradients, by the rule of softmax."""
        group = q.shape[1] // k.shape[1]
        kk, vv = np.repeat(k, group, 1), np.repeat(v, group, 1)
        n = k.shape[2]
        p = self.reference(q, k, np.broadcast_to(np.eye(n), (*k.shape[:2], n, n)))
        dp = ct @ np.swapaxes(vv, -1, -2)
        ds = self.options["scale"] * p * (dp - (p * dp).sum(-1, keepdims=True))

        def folded(x):
            return x.reshape(k.shape[0], k.shape[1], group, *x.shape[2:]).sum(2)

        return (
            ds @ kk,
            folded(np.swapaxes(ds, -1, -2) @ q),
            folded(np.swapaxes(p, -1, -2) @ ct),
        )


def close(got, wanted, near):
    nan = np.isnan(wanted)
    assert np.array_equal(np.isnan(got), nan)
    wanted = np.where(nan, 0, wanted)
    bound = near * (1 + np.abs(wanted).max(initial=0))
    np.testing.assert_allclose(np.where(nan, 0, got), wanted, near, bound)


def test_every_kind_of_attention_and_its_gradients():
    for seed in range(150):
        case = Case(seed, longest=300 if seed % 3 else 1500)
        args, near = (case.q, case.k, case.v), TOLERANCE[case.dtype]
        wide = [double(a) for a in args]
        wanted = case.reference(*wide)
        ct = case.array(*wanted.shape)
        (got,), slopes = mx.vjp(case, args, [ct])
        assert got.dtype == case.q.dtype
        close(double(got), wanted, near)
        assert mx.array_equal(case(*args), got, equal_nan=True)
        for slope, expected in zip(slopes, case.slopes(*wide, double(ct))):
            close(double(slope), expected, 4 * near)


def masks(kind, rng, heads, queries, keys):
    """Options of one kind of mask."""
    if kind == "none":
        return {}
    if kind == "causal":
        return {"mask": "causal"}
    if kind == "window":
        return {"mask": "causal", "window": 45}
    if kind == "sinks":
        return {"sinks": mx.array(rng.standard_normal(heads), mx.bfloat16)}
    if kind == "boolean":
        values = rng.random((heads, queries, keys)) < 0.7
        values[..., -1] = True
        return {"mask": mx.array(values)}
    return {"mask": mx.array(rng.standard_normal((heads, queries, keys)), mx.bfloat16)}


KINDS = ["none", "causal", "window", "sinks", "boolean", "additive"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "queries, keys, depth, value_depth, heads",
    [
        (16, 16, 8, 8, (1, 1)),
        (31, 33, 32, 17, (2, 1)),
        (128, 128, 64, 64, (2, 2)),
        (129, 127, 31, 64, (2, 1)),
        (160, 257, 80, 48, (4, 2)),
        (300, 131, 128, 33, (1, 1)),
        (140, 300, 40, 72, (4, 4)),
        (150, 530, 16, 16, (8, 4)),
        (600, 140, 16, 24, (4, 2)),
        (20, 700, 64, 64, (6, 2)),
        (1100, 90, 16, 1, (2, 2)),
    ],
)
def test_bfloat16_loses_about_what_one_rounding_loses(
    kind, queries, keys, depth, value_depth, heads
):
    """Of results and gradients together, beside float64 over all scores: 2^-9 is the largest error
    of a rounding, and some three of them meet (the result, weights and their slopes)."""
    rng = np.random.default_rng(queries + keys)
    case = Case(0, "bfloat16")
    case.q, case.k, case.v = (
        mx.array(rng.standard_normal((2, n, length, of)), mx.bfloat16)
        for n, length, of in (
            (heads[0], queries, depth),
            (heads[1], keys, depth),
            (heads[1], keys, value_depth),
        )
    )
    case.options = {"scale": depth**-0.5, **masks(kind, rng, heads[0], queries, keys)}
    args = case.q, case.k, case.v
    wide = [double(a) for a in args]
    wanted = case.reference(*wide)
    ct = mx.array(rng.standard_normal(wanted.shape), mx.bfloat16)
    (out,), slopes = mx.vjp(case, args, [ct])
    for got, expected in zip((out, *slopes), (wanted, *case.slopes(*wide, double(ct)))):
        size, error = np.sqrt(np.mean(expected**2)), double(got) - expected
        assert np.sqrt(np.mean(error**2)) < 2.0**-8 * size
        assert np.abs(error).max() < 2.0**-5 * (size + np.abs(expected).max())


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("lengths", [(1, 100), (7, 300), (70, 70), (130, 600)])
def test_scores_that_are_far_apart(lengths, dtype):
    """Up to where float32 has no exponential of a difference, and past it."""
    rng = np.random.default_rng(4)
    for scale in (3, 12, 30, 300):
        q, k, v = [
            mx.array(rng.standard_normal((2, heads, length, 16)), getattr(mx, dtype))
            for heads, length in ((4, lengths[0]), (2, lengths[1]), (2, lengths[1]))
        ]
        wide = [double(a) for a in (q, k, v)]
        wanted = attention.scaled_dot_product_attention(*wide, scale=scale)
        # Roundings of the scores are as large as these.
        near = TOLERANCE[dtype] * (1 if dtype in ("float16", "bfloat16") else scale)
        close(double(sdpa(q, k, v, scale=float(scale))), wanted, near)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("options", [{}, {"mask": "causal"}, {"window": 70}])
def test_long_sequences(dtype, options):
    rng = np.random.default_rng(8)
    args = [
        mx.array(rng.standard_normal((1, heads, length, 24)), getattr(mx, dtype))
        for heads, length in ((2, 1100), (1, 1150), (1, 1150))
    ]
    got = sdpa(*args, scale=0.2, **options)
    wide = [double(a) for a in args]
    wanted = attention.scaled_dot_product_attention(*wide, scale=0.2, **options)
    close(double(got), wanted, TOLERANCE[dtype])


def test_the_bits_depend_on_neither_threads_nor_layouts():
    _core._set_least_cost(1e9)
    threads = mx.num_threads()
    try:
        for seed in range(40):
            case = Case(seed, longest=300 if seed % 3 else 1500)
            args = case.q, case.k, case.v
            ct = case.array(*case(*args).shape)
            turned = [mx.contiguous(a.transpose(0, 2, 1, 3)).transpose(0, 2, 1, 3) for a in args]
            flat = [mx.contiguous(a.T).T for a in args]
            results = []
            for count in (1, 2, 7):
                mx.set_num_threads(count)
                for given in (args, turned, flat):
                    (y,), slopes = mx.vjp(case, given, [ct])
                    results.append((y, *slopes, case(*given)))
            for other in results[1:]:
                for a, b in zip(results[0], other):
                    assert bytes(memoryview(a.view(mx.uint8))) == bytes(
                        memoryview(b.view(mx.uint8))
                    )
    finally:
        mx.set_num_threads(threads)
        _core._set_least_cost(0)


def test_long_contexts_make_no_array_of_all_scores():
    length, heads, depth = 8192, 2, 32
    q = mx.random.normal((1, heads, length, depth))
    mx.eval(q)
    square = length * length * 4
    for f in (
        lambda q: sdpa(q, q, q, scale=0.2, mask="causal"),
        mx.grad(lambda q: sdpa(q, q, q, scale=0.2, mask="causal").square().sum()),
        mx.grad(lambda q: sdpa(q, q, q, scale=0.2, mask=mx.zeros((1, 1, 1, length))).sum()),
    ):
        before = mx.get_active_memory()
        mx.reset_peak_memory()
        mx.eval(f(q))
        assert mx.get_peak_memory() - before < 16 * q.nbytes < square / 4


def test_rows_that_see_no_key_are_zero_and_so_are_their_gradients():
    q, k = mx.ones((1, 1, 3, 2)), mx.ones((1, 1, 5, 2))
    for mask in (mx.array([True, False, True])[:, None], mx.array([0.0, -np.inf, 0])[:, None]):
        out = sdpa(q, k, k, scale=1.0, mask=mask)
        assert out[0, 0, :, 0].tolist() == [1, 0, 1]
        slopes = mx.grad(
            lambda q, k, v: sdpa(q, k, v, scale=1.0, mask=mask).sum(), argnums=(0, 1, 2)
        )(q, k, k)
        assert all(mx.isfinite(s).all() for s in slopes) and (slopes[0][:, :, 1] == 0).all()
        assert mx.allclose(slopes[2], mx.full((1, 1, 5, 2), 0.4))
        twice = mx.grad(
            lambda q: mx.grad(lambda q: sdpa(q, k, k, scale=1.0, mask=mask).sum())(q).sum()
        )
        assert mx.isfinite(twice(q)).all()
        sunk = sdpa(q, k, k, scale=1.0, mask=mask, sinks=mx.array([0.5]))
        assert mx.array_equal(sunk[:, :, 1], mx.zeros((1, 1, 2)))
    for queries in (3, 200):
        lone = sdpa(
            mx.ones((1, 1, queries, 2)), k, k, scale=1.0, mask=mx.array(False), sinks=mx.ones(1)
        )
        assert mx.array_equal(lone, mx.zeros((1, 1, queries, 2)))


@pytest.mark.parametrize("where", ["q", "k", "v"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("lengths", [(3, 5), (70, 300), (1, 1100)])
def test_numbers_that_are_not_finite_go_where_they_go_in_a_softmax(where, value, lengths):
    rng = np.random.default_rng(3)
    queries, keys = lengths
    arrays = {
        "q": rng.standard_normal((1, 2, queries, 4)),
        "k": rng.standard_normal((1, 2, keys, 4)),
        "v": rng.standard_normal((1, 2, keys, 4)),
    }
    arrays[where][0, 1, -1, 2] = value
    wanted = attention.scaled_dot_product_attention(**arrays, scale=0.5)
    given = [mx.array(a, mx.float64) for a in arrays.values()]
    got = np.array(sdpa(*given, scale=0.5))
    np.testing.assert_allclose(got, wanted, 1e-9, 1e-9)


def test_causal_queries_stand_at_the_last_keys():
    x = mx.random.normal((1, 2, 9, 4))
    all_at_once = sdpa(x, x, x, scale=0.5, mask="causal")
    for count in (1, 2, 5):
        last = sdpa(x[:, :, -count:], x, x, scale=0.5, mask="causal")
        assert mx.allclose(last, all_at_once[:, :, -count:], 1e-6, 1e-6)
    # With more queries than keys the first ones stand at the first keys.
    assert mx.allclose(
        sdpa(x, x[:, :, :4], x[:, :, :4], scale=0.5, mask="causal")[:, :, 0], x[:, :, 0]
    )


@pytest.mark.parametrize(
    "which", [(0, None, None), (1, 2, 0), (None, 1, None), (0, 0, 3), (None, None, 4)]
)
def test_vmap_folds_lanes_into_the_batch(which):
    rng = np.random.default_rng(5)
    shapes = [[2, 4, 3, 5], [2, 2, 6, 5], [2, 2, 6, 3]]
    made = [
        mx.array(rng.standard_normal(s if a is None else s[:a] + [3] + s[a:]), mx.float64)
        for s, a in zip(shapes, which)
    ]
    mask = mx.array(rng.standard_normal((3, 1, 3, 6)), mx.float64)

    def lane(a, axis, i):
        return a if axis is None else mx.take(a, mx.array(i), axis)

    def plain(q, k, v, m):
        return sdpa(q, k, v, scale=0.4, mask=m, sinks=mx.array([0.1, 0.2, 0.3, 0.4], mx.float64))

    for f in (plain, mx.grad(lambda *a: plain(*a).square().sum(), (0, 1, 2))):
        for of_mask in (0, None):
            m = mask if of_mask == 0 else mask[0]
            got = mx.vmap(f, (*which, of_mask))(*made, m)
            each = [
                f(*(lane(a, axis, i) for a, axis in zip(made, which)), lane(m, of_mask, i))
                for i in range(3)
            ]
            if isinstance(got, mx.array):
                got, each = [got], [[e] for e in each]
            for n, mapped in enumerate(got):
                assert mx.allclose(mapped, mx.stack([e[n] for e in each]), 1e-12, 1e-12)


@pytest.mark.parametrize("options", [{}, {"mask": "causal"}, {"window": 3}])
def test_second_derivatives_and_those_of_masks_and_sinks(options):
    rng = np.random.default_rng(6)

    def draw(*shape):
        return mx.array(rng.standard_normal(shape), mx.float64)

    args = [draw(1, 4, 3, 2), draw(1, 2, 5, 2), draw(1, 2, 5, 3), draw(4)]
    if not options:
        args.append(draw(4, 3, 1))
    weight = draw(1, 4, 3, 3)

    def f(q, k, v, sinks, mask=None):
        given = {"mask": mask} if mask is not None else {}
        out = sdpa(q, k, v, scale=0.8, sinks=sinks, **given, **options)
        return (out * out * weight).sum()

    def near(scalar, at, directions, ahead):
        step = 1e-5
        up = scalar(*(a + step * d for a, d in zip(at, directions))).item()
        down = scalar(*(a - step * d for a, d in zip(at, directions))).item()
        assert abs((up - down) / (2 * step) - ahead) < 1e-6 * (1 + abs(ahead))

    def along(gradients, directions):
        return sum((g * d).sum().item() for g, d in zip(gradients, directions))

    every = tuple(range(len(args)))
    first, second = ([draw(*a.shape) for a in args] for _ in range(2))
    slope = mx.grad(f, every)
    near(f, args, first, along(slope(*args), first))
    tangent = mx.jvp(f, args, first)[1][0].item()
    assert abs(tangent - along(slope(*args), first)) < 1e-9 * (1 + abs(tangent))

    def of_slope(*a):
        return sum((g * d).sum() for g, d in zip(slope(*a), second))

    again = along(mx.grad(of_slope, every)(*args), first)
    near(of_slope, args, first, again)
    tangent = mx.jvp(of_slope, args, first)[1][0].item()
    assert abs(tangent - again) < 1e-8 * (1 + abs(again))


@pytest.mark.parametrize(
    "shapes, options, says",
    [
        ([(2, 3, 4)] * 3, {}, "expected \\(batch, heads, length, depth\\)"),
        ([(1, 3, 4, 2), (1, 2, 4, 2), (1, 2, 4, 2)], {}, "heads: got 3 of q and 2 of k"),
        ([(1, 2, 4, 2), (1, 2, 4, 3), (1, 2, 4, 3)], {}, "q and k differ in depth"),
        ([(1, 2, 4, 2), (1, 2, 4, 2), (1, 2, 5, 2)], {}, "k and v differ"),
        ([(1, 2, 4, 2), (2, 2, 4, 2), (2, 2, 4, 2)], {}, "batches differ"),
        ([(1, 2, 4, 2)] * 3, {"mask": "full"}, "expected 'causal' or an array"),
        ([(1, 2, 4, 2)] * 3, {"mask": mx.zeros((3, 4))}, "one that broadcasts"),
        ([(1, 2, 4, 2)] * 3, {"mask": mx.zeros((4, 4), mx.float64)}, "what promotes to float32"),
        ([(1, 2, 4, 2)] * 3, {"sinks": mx.zeros(3)}, "one for each of 2 heads"),
        ([(1, 2, 4, 2)] * 3, {"window": 0}, "window: got 0"),
    ],
)
def test_what_does_not_fit_is_refused(shapes, options, says):
    with pytest.raises(ValueError, match=says):
        sdpa(*(mx.zeros(s) for s in shapes), scale=1.0, **options)


def test_types_meet_and_halves_are_summed_in_float32():
    q, k = mx.ones((1, 1, 1, 4), mx.float16), mx.ones((1, 1, 3000, 4), mx.bfloat16)
    assert sdpa(q, k, k, scale=1.0).dtype == mx.float32
    v = mx.ones((1, 1, 3000, 4), mx.float16)
    assert mx.array_equal(sdpa(q, v, v, scale=100.0), mx.ones((1, 1, 1, 4), mx.float16))
    with pytest.raises(ValueError, match="floating"):
        sdpa(*[mx.ones((1, 1, 2, 2), mx.int32)] * 3, scale=1.0)
