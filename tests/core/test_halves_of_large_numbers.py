"""Losses, norms and statistics of float16 and bfloat16 arrays whose squares, products and sums are
no halves: formed in float32, rounded once. Against float64, with their gradients."""

import itertools

import numpy as np
import pytest

import lazulite.core as mx
import lazulite.nn as nn
import lazulite.optimizers as optim

HALVES = {mx.float16: (2.0**-11, 65504.0), mx.bfloat16: (2.0**-8, 3.38e38)}
REDUCTIONS = ("none", "mean", "sum")


def numbers(shape, scale, seed, dtype, low=-1.0):
    made = np.random.default_rng(seed).uniform(low, 1.0, shape) * scale
    return mx.array(made, mx.float32).astype(dtype)


def loss(name, *more, **options):
    return lambda *a, **o: getattr(nn.losses, name)(*a, *more, **options, **o)


PAIR = lambda s, t: (numbers((6, 40), s, 1, t), numbers((6, 40), s, 2, t))
POSITIVE = lambda s, t: (numbers((6, 40), s, 3, t, 0.01),)
SIGNS = lambda t: mx.where(numbers((6, 40), 1, 5, t) > 0, 1, -1).astype(t)
LOSSES = {
    "mse": (loss("mse_loss"), PAIR),
    "l1": (loss("l1_loss"), PAIR),
    "smooth l1": (loss("smooth_l1_loss"), PAIR),
    "smooth l1, wide": (loss("smooth_l1_loss", beta=1e5), PAIR),
    "huber": (loss("huber_loss"), PAIR),
    "huber, wide": (loss("huber_loss", delta=1000.0), PAIR),
    "log cosh": (loss("log_cosh_loss"), PAIR),
    "hinge": (loss("hinge_loss"), lambda s, t: (PAIR(s, t)[0], SIGNS(t))),
    "margin ranking": (loss("margin_ranking_loss", margin=10.0),
                       lambda s, t: (*PAIR(s, t), SIGNS(t))),
    "gaussian": (loss("gaussian_nll_loss"), lambda s, t: PAIR(s, t) + POSITIVE(s, t)),
    "gaussian, full": (loss("gaussian_nll_loss", full=True),
                       lambda s, t: PAIR(s, t) + POSITIVE(s, t)),
    "cosine": (loss("cosine_similarity_loss"), PAIR),
    "cosine, first axis": (loss("cosine_similarity_loss", axis=0), PAIR),
    "triplet": (loss("triplet_loss"), lambda s, t: PAIR(s, t) + (numbers((6, 40), s, 7, t),)),
    "triplet, p=3": (loss("triplet_loss", p=3),
                     lambda s, t: PAIR(s, t) + (numbers((6, 40), s, 7, t),)),
    "nll": (lambda x, **o: nn.losses.nll_loss(x, mx.arange(6), **o), lambda s, t: PAIR(s, t)[:1]),
    "cross entropy": (lambda x, **o: nn.losses.cross_entropy(x, mx.arange(6), **o),
                      lambda s, t: PAIR(s, t)[:1]),
    "binary": (loss("binary_cross_entropy"), lambda s, t: (PAIR(s, t)[0], POSITIVE(1, t)[0])),
    "binary, weights": (lambda x, y, w, **o: nn.losses.binary_cross_entropy(x, y, w, **o),
                        lambda s, t: (PAIR(s, t)[0], POSITIVE(1, t)[0], POSITIVE(4, t)[0])),
    "kl": (loss("kl_div_loss"), lambda s, t: (PAIR(s, t)[0], mx.log(POSITIVE(1, t)[0]))),
}

X = lambda s, t: PAIR(s, t)[:1]
NORMS = {
    **{f"norm {p} {axis}": ((lambda p, axis: lambda x: mx.linalg.norm(x, p, axis))(p, axis), X)
       for p, axis in itertools.product((None, 0, 1, 2, 3, 2.5, 8, 20, 0.5, -1, np.inf, -np.inf),
                                        (0, 1))},
    **{f"matrix {p}": ((lambda p: lambda x: mx.linalg.norm(x, p))(p), X)
       for p in (None, "fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf)},
    **{f"vector_norm {p}": ((lambda p: lambda x: mx.linalg.vector_norm(x, ord=p, keepdims=True))(p),
                            X) for p in (0, 1, 2, 3, 12, np.inf)},
    **{f"matrix_norm {p}": ((lambda p: lambda x: mx.linalg.matrix_norm(x, ord=p))(p), X)
       for p in ("fro", "nuc", 1, 2, -2, np.inf)},
}
STATISTICS = {
    "var": (lambda x: mx.var(x, axis=1), X), "var, all": (lambda x: mx.var(x, ddof=1), X),
    "std": (lambda x: mx.std(x, axis=1), X), "std, all": (lambda x: mx.std(x, ddof=1), X),
    "std, columns": (lambda x: mx.std(x, axis=0), X),
    "nanvar": (lambda x: mx.nanvar(x, axis=1), X), "nanstd": (lambda x: mx.nanstd(x, axis=0), X),
    "mean": (lambda x: mx.mean(x + 0), X), "nanmean": (lambda x: mx.nanmean(x, axis=0), X),
    "average": (lambda x, w: mx.average(x, axis=0, weights=w),
                lambda s, t: X(s, t) + POSITIVE(s, t)),
    "cov": (lambda x: mx.cov(x), X), "cov of columns": (lambda x: mx.cov(x, rowvar=False), X),
    "corrcoef": (lambda x: mx.corrcoef(x), X),
    "corrcoef of two": (lambda x, y: mx.corrcoef(x, y), PAIR),
    "logsumexp": (lambda x: mx.logsumexp(x, axis=1), X),
    "median": (lambda x: mx.median(x, axis=1), X), "ptp": (lambda x: mx.ptp(x * 0.5, axis=1), X),
    "layer_norm": (lambda x: mx.fast.layer_norm(x, None, None, 1e-5), X),
    "rms_norm": (lambda x: mx.fast.rms_norm(x, None, 1e-5), X),
    "softmax": (lambda x: mx.softmax(x, axis=0), X),
    "BatchNorm": (lambda x: nn.BatchNorm(40, affine=False, track_running_stats=False)(x), X),
    "GroupNorm": (lambda x: nn.GroupNorm(4, 40, affine=False)(x), X),
    "InstanceNorm": (lambda x: nn.InstanceNorm(40)(x[None]), X),
}
NO_SLOPE = ("norm 0", "vector_norm 0", "median", "softmax")  # of places, counts, rounded results


def near(got, want, dtype, slack=4.0, floor=0.0):
    """`got` as `want` rounded, which may be none of the dtype."""
    eps, top = HALVES[dtype]
    got, want = np.array(got.astype(mx.float64)), np.array(want)
    assert got.shape == want.shape
    room = slack * eps * np.abs(want) + floor
    fits = np.abs(want) < top * (1 - 2 * eps)
    assert np.isfinite(got[fits]).all()
    worst = np.abs(got - want)[fits] - room[fits]
    assert (worst <= 0).all(), (worst.max(), want.ravel()[:4], got.ravel()[:4])
    assert np.isinf(got[np.abs(want) > top * (1 + eps)]).all()


def compare(f, made, dtype, slopes=True):
    given = [x.astype(mx.float64) for x in made]
    got, want = f(*made), f(*given)
    assert got.dtype == dtype
    # What rounding of the operands does to a difference of theirs is not the function's.
    near(got, want, dtype, floor=1e-6 * float(mx.abs(want).max().item()) + 2.0**-24)
    if not slopes:
        return
    places = [k for k, x in enumerate(made) if mx.issubdtype(x.dtype, mx.floating)]
    ones = mx.ones_like(want)
    wanted = mx.vjp(f, given, [ones])[1]
    found = mx.vjp(f, made, [ones.astype(dtype)])[1]
    for k in places:
        assert found[k].dtype == dtype
        scale = float(mx.abs(wanted[k]).max().item())
        near(found[k], wanted[k], dtype, floor=2e-5 * scale + 2.0**-24)


@pytest.mark.parametrize("scale", [300.0, 6000.0, 60000.0])
@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", LOSSES)
def test_losses(name, reduction, dtype, scale):
    f, make = LOSSES[name]
    compare(lambda *a: f(*a, reduction=reduction), make(scale, dtype), dtype)


@pytest.mark.parametrize("scale", [300.0, 6000.0, 60000.0])
@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize("name", NORMS)
def test_norms(name, dtype, scale):
    f, make = NORMS[name]
    compare(f, make(scale, dtype), dtype, not name.startswith(NO_SLOPE))


@pytest.mark.parametrize("scale", [300.0, 6000.0, 60000.0])
@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize("name", STATISTICS)
def test_statistics(name, dtype, scale):
    f, make = STATISTICS[name]
    compare(f, make(scale, dtype), dtype, not name.startswith(NO_SLOPE))


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_norms_of_few_numbers_are_exact(dtype):
    for k in (1, 32, 100):
        x = mx.array([300.0, 400.0], mx.float32) * k
        x = x.astype(dtype)
        want = np.linalg.norm(np.array(x.astype(mx.float64)))
        for p in (None, 2):
            near(mx.linalg.norm(x, p), want, dtype, 1)
        assert mx.linalg.norm(x, 50).item() == pytest.approx(
            np.linalg.norm(np.array(x.astype(mx.float64)), 50), rel=2 * HALVES[dtype][0])
    for p in (None, 3, 8):
        zero = mx.zeros(3, dtype)
        assert mx.linalg.norm(zero, p).item() == 0
        assert mx.linalg.norm(mx.array([mx.inf, 1.0], dtype), p).item() == mx.inf
        assert np.isnan(mx.linalg.norm(mx.array([mx.nan, 1.0], dtype), p).item())
        assert mx.linalg.norm(mx.zeros((0, 3), dtype), p, axis=0).tolist() == [0, 0, 0]


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_shapes_and_layouts(dtype):
    """Past blocks and vectors, transposed, reversed, strided, broadcast."""
    for n in (1, 31, 32, 33, 511, 513, 4097, 40000):
        x = numbers((n,), 60000 if n < 9 else 20000, n, dtype)
        y = x[::-1]
        near(mx.linalg.norm(y), np.linalg.norm(np.array(y.astype(mx.float64))), dtype)
        near(nn.losses.mse_loss(x[::2], 0 * x[::2], "sum"),
             (np.array(x.astype(mx.float64))[::2] ** 2).sum(), dtype)
    z = numbers((70, 130), 60000, 3, dtype)
    wide = np.array(z.astype(mx.float64))
    near(mx.linalg.norm(z.T, axis=0), np.linalg.norm(wide.T, axis=0), dtype)
    near(mx.linalg.norm(mx.broadcast_to(z[0], (5, 130)), axis=1),
         np.linalg.norm(np.broadcast_to(wide[0], (5, 130)), axis=1), dtype)
    near(nn.losses.cosine_similarity_loss(z, z[:, ::-1]),
         (wide * wide[:, ::-1]).sum(1) / np.linalg.norm(wide, axis=1) ** 2, dtype, floor=1e-5)


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_gradients_are_clipped_by_their_norm(dtype):
    grads = {"a": numbers((64,), 60000, 1, dtype), "b": [numbers((8, 8), 60000, 2, dtype)]}
    whole = np.concatenate([np.array(g.astype(mx.float64)).ravel()
                            for g in (grads["a"], grads["b"][0])])
    clipped, norm = optim.clip_grad_norm(grads, max_norm=100.0)
    want = np.linalg.norm(whole)
    assert float(norm.item()) == pytest.approx(want, rel=0.01)
    near(clipped["a"], whole[:64] * (100 / want), dtype, 6)
    assert clipped["a"].dtype == dtype
