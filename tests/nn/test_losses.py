"""Losses against their formulas in NumPy."""

import numpy as np
import pytest

import lazulite.core as mx
import lazulite.nn as nn

RNG = np.random.default_rng(0)
A, B, C = (RNG.normal(size=(6, 5)) for _ in range(3))
CLASSES = RNG.integers(0, 5, 6)
P = np.exp(B) / np.exp(B).sum(1, keepdims=True)  # probabilities
LOG_P = A - np.log(np.exp(A).sum(1, keepdims=True))
BITS = (B > 0).astype(float)
SIGNS = np.sign(B)
D = np.abs(A - B)
L = nn.losses


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def binary(p):
    return -BITS * np.log(p) - (1 - BITS) * np.log(1 - p)


def distance(x, y, p=2):
    return (np.abs(x - y) ** p).sum(1) ** (1 / p)


PICKED = LOG_P[np.arange(6), CLASSES]
CASES = {
    "cross_entropy of classes": (L.cross_entropy, (A, CLASSES), {}, -PICKED),
    "cross_entropy of probabilities": (L.cross_entropy, (A, P), {}, -(P * LOG_P).sum(1)),
    "cross_entropy with label smoothing": (
        L.cross_entropy,
        (A, CLASSES),
        {"label_smoothing": 0.2},
        -(0.8 * PICKED + 0.2 * LOG_P.mean(1)),
    ),
    "cross_entropy of smoothed probabilities": (
        L.cross_entropy,
        (A, P),
        {"label_smoothing": 0.2},
        -((0.8 * P + 0.2 / 5) * LOG_P).sum(1),
    ),
    "cross_entropy along another axis": (L.cross_entropy, (A.T, CLASSES), {"axis": 0}, -PICKED),
    "binary_cross_entropy of logits": (L.binary_cross_entropy, (A, BITS), {}, binary(sigmoid(A))),
    "binary_cross_entropy of probabilities": (
        L.binary_cross_entropy,
        (P, BITS),
        {"with_logits": False},
        binary(P),
    ),
    "l1_loss": (L.l1_loss, (A, B), {}, D),
    "mse_loss": (L.mse_loss, (A, B), {}, D**2),
    "nll_loss": (L.nll_loss, (LOG_P, CLASSES), {}, -PICKED),
    "gaussian_nll_loss": (L.gaussian_nll_loss, (A, B, P), {}, 0.5 * (np.log(P) + D**2 / P)),
    "gaussian_nll_loss in full": (
        L.gaussian_nll_loss,
        (A, B, P),
        {"full": True},
        0.5 * (np.log(P) + D**2 / P + np.log(2 * np.pi)),
    ),
    "kl_div_loss": (L.kl_div_loss, (LOG_P, np.log(P)), {}, (P * (np.log(P) - LOG_P)).sum(1)),
    "smooth_l1_loss": (
        L.smooth_l1_loss,
        (A, B),
        {"beta": 0.7},
        np.where(D < 0.7, D**2 / 1.4, D - 0.35),
    ),
    "huber_loss": (
        L.huber_loss,
        (A, B),
        {"delta": 0.7},
        np.where(D <= 0.7, D**2 / 2, 0.7 * (D - 0.35)),
    ),
    "log_cosh_loss": (L.log_cosh_loss, (A, B), {}, np.log(np.cosh(D))),
    "hinge_loss": (L.hinge_loss, (A, SIGNS), {}, np.maximum(1 - A * SIGNS, 0)),
    "margin_ranking_loss": (
        L.margin_ranking_loss,
        (A, C, SIGNS),
        {"margin": 0.3},
        np.maximum(-SIGNS * (A - C) + 0.3, 0),
    ),
    "triplet_loss": (
        L.triplet_loss,
        (A, B, C),
        {},
        np.maximum(distance(A, B) - distance(A, C) + 1, 0),
    ),
    "triplet_loss of another order": (
        L.triplet_loss,
        (A, B, C),
        {"p": 1, "margin": 0.2},
        np.maximum(distance(A, B, 1) - distance(A, C, 1) + 0.2, 0),
    ),
    "cosine_similarity_loss": (
        L.cosine_similarity_loss,
        (A, B),
        {},
        (A * B).sum(1) / np.sqrt((A**2).sum(1) * (B**2).sum(1)),
    ),
}


def arrays(values):
    return [mx.array(x.astype(np.int32 if x.dtype.kind == "i" else np.float32)) for x in values]


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_a_loss_is_its_formula(name, reduction):
    loss, args, options, expected = CASES[name]
    actual = loss(*arrays(args), **options, reduction=reduction)
    expected = {"none": expected, "mean": expected.mean(), "sum": expected.sum()}[reduction]
    np.testing.assert_allclose(np.array(actual), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_a_loss_refuses_an_unknown_reduction(name):
    loss, args, options, _ = CASES[name]
    with pytest.raises(ValueError, match="reduction"):
        loss(*arrays(args), **options, reduction="median")


@pytest.mark.parametrize("name", CASES)
def test_a_loss_has_a_finite_gradient_where_its_inputs_agree(name):
    loss, args, options, _ = CASES[name]
    first, *rest = arrays(args)
    rest = [first if x.shape == first.shape else x for x in rest]
    gradient = mx.grad(lambda x: loss(x, *rest, **options, reduction="sum"))(first)
    assert np.isfinite(np.array(gradient)).all()


def test_default_reductions_are_those_of_the_reference():
    a, b, c, classes = arrays([A, B, P, CLASSES])
    for loss in (L.binary_cross_entropy, L.mse_loss, L.l1_loss, L.smooth_l1_loss):
        assert loss(a, b).shape == ()
    assert L.gaussian_nll_loss(a, b, c).shape == ()
    assert L.cross_entropy(a, classes).shape == (6,)
    assert L.nll_loss(a, classes).shape == (6,)


@pytest.mark.parametrize("loss", [L.cross_entropy, L.binary_cross_entropy])
def test_weights_scale_the_losses_and_must_have_their_shape(loss):
    a, bits, classes = arrays([A, BITS, CLASSES])
    targets, weights = (
        (classes, mx.arange(6.0)) if loss is L.cross_entropy else (bits, mx.ones((6, 5)) * 3)
    )
    plain, weighted = (loss(a, targets, w, reduction="none") for w in (None, weights))
    np.testing.assert_allclose(np.array(weighted), np.array(plain * weights), rtol=1e-6)
    with pytest.raises(ValueError, match="weights"):
        loss(a, targets, mx.ones((4,)))


@pytest.mark.parametrize(
    "targets, message",
    [
        (mx.array([1, 2, 0]), "classes do not fit"),
        (mx.zeros((6,)), "expected integers"),
        (mx.zeros((6, 4)), "shapes differ"),
        (mx.zeros((6, 5, 1)), "classes do not fit"),
    ],
)
def test_cross_entropy_refuses_targets_that_do_not_fit(targets, message):
    with pytest.raises(ValueError, match=message):
        L.cross_entropy(mx.zeros((6, 5)), targets)


@pytest.mark.parametrize("smoothing", [-0.1, 1.0])
def test_cross_entropy_refuses_other_smoothings(smoothing):
    with pytest.raises(ValueError, match="smoothing"):
        L.cross_entropy(mx.zeros((1, 2)), mx.array([0]), label_smoothing=smoothing)


@pytest.mark.parametrize("loss", [L.binary_cross_entropy, L.l1_loss, L.mse_loss, L.smooth_l1_loss])
def test_elementwise_losses_refuse_to_broadcast(loss):
    with pytest.raises(ValueError, match="shapes differ"):
        loss(mx.zeros((3,)), mx.zeros((1,)))


def test_cross_entropy_of_large_logits_is_exact():
    logits = mx.array([[1000.0, 0.0], [-1000.0, 0.0]])
    assert L.cross_entropy(logits, mx.array([0, 0])).tolist() == [0, 1000]


def test_cross_entropy_keeps_halves():
    logits = mx.zeros((2, 3), dtype=mx.float16)
    assert L.cross_entropy(logits, mx.array([0, 1])).dtype == mx.float16


def test_logarithms_of_probabilities_stop_at_minus_100():
    p, t = mx.array([0.0, 1.0]), mx.array([1.0, 0.0])

    def total(p):
        return L.binary_cross_entropy(p, t, with_logits=False, reduction="sum")

    assert total(p).item() == 200
    assert np.isfinite(np.array(mx.grad(total)(p))).all()


def test_the_cosine_of_a_zero_vector_is_zero_with_a_finite_gradient():
    x, y = mx.zeros((1, 3)), mx.ones((1, 3))
    assert L.cosine_similarity_loss(x, y).item() == 0
    assert np.isfinite(np.array(mx.grad(lambda x: L.cosine_similarity_loss(x, y).sum())(x))).all()
