"""What must hold for every layer and loss of a kind: large offsets, halves, small eps."""

import numpy as np
import pytest

import lazulite.core as mx
import lazulite.nn as nn

RNG = np.random.default_rng(3)
LN2 = float(np.log(2))
OFFSETS = [1.0, 1e4, 1e8, -1e8, 1e20, 1e36]
HALVES = [mx.float16, mx.bfloat16]


@pytest.mark.parametrize("v", OFFSETS)
@pytest.mark.parametrize("log_softmax", [nn.log_softmax, nn.LogSoftmax()])
def test_log_softmax_does_not_depend_on_an_offset(log_softmax, v):
    np.testing.assert_allclose(np.array(log_softmax(mx.array([[v, v]]))), -LN2, rtol=1e-6)
    gradient = mx.grad(lambda x: log_softmax(x)[0, 0])(mx.array([[v, v]]))
    np.testing.assert_allclose(np.array(gradient), [[0.5, -0.5]], rtol=1e-6)


@pytest.mark.parametrize("v", OFFSETS)
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("kind", ["classes", "probabilities"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("axis", [-1, 0])
def test_cross_entropy_does_not_depend_on_an_offset(v, smoothing, kind, weighted, axis):
    targets = mx.array([0]) if kind == "classes" else mx.array([[0.3, 0.7]])
    logits = mx.array([[v, v]])
    if axis == 0:
        logits, targets = logits.T, targets if kind == "classes" else targets.T
    weights = mx.array([3.0]) if weighted else None

    def loss(x):
        return nn.losses.cross_entropy(
            x, targets, weights, axis=axis, label_smoothing=smoothing, reduction="sum"
        )

    value, gradient = mx.value_and_grad(loss)(logits)
    factor = 3 if weighted else 1
    assert value.item() == pytest.approx(factor * LN2, rel=1e-6)
    first = (1.0 if kind == "classes" else 0.3) * (1 - smoothing) + smoothing / 2
    expected = factor * np.array([0.5 - first, first - 0.5])
    np.testing.assert_allclose(np.array(gradient).ravel(), expected, atol=1e-5)


TARGET_SUMS = [[0.5, 0.5, 0.5], [0.0, 0.0, 0.0], [2.0, 1.0, 0.5], [0.3, 0.7, 0.005], [0.0, 0.99, 0]]


@pytest.mark.parametrize("offset", [0.0, 3.0, -50.0, 1e4, -1e4, 2.0**20])
@pytest.mark.parametrize("targets", TARGET_SUMS, ids=lambda t: f"sum {sum(t):g}")
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_cross_entropy_counts_no_offset_whatever_the_targets_sum_to(offset, targets, smoothing):
    x, t = np.array([[1.0, 2.5, -4.0]]), np.array([targets])
    relative = x - x.max(1)  # the numbers are exact at every offset here
    soft = (1 - smoothing) * (relative * t).sum(1) + smoothing * relative.mean(1)
    expected = np.log(np.exp(relative).sum(1)) - soft

    def loss(logits):
        value = nn.losses.cross_entropy(logits, mx.array(t, mx.float32), label_smoothing=smoothing)
        return value.sum()

    value, gradient = mx.value_and_grad(loss)(mx.array(x + offset, mx.float32))
    assert value.item() == pytest.approx(expected[0], rel=1e-6)
    softmax = np.exp(relative) / np.exp(relative).sum()
    mixed = (1 - smoothing) * t + smoothing / 3
    np.testing.assert_allclose(np.array(gradient), softmax - mixed, atol=1e-6)


@pytest.mark.parametrize("dtype", HALVES)
def test_cross_entropy_of_halves_has_no_jump_where_targets_miss_one_by_little(dtype):
    logits = mx.array([[1000.0, 992.0]]).astype(dtype)
    values = [
        nn.losses.cross_entropy(logits, mx.array([[total, 0.0]]).astype(dtype)).item()
        for total in (1.0, 0.995, 0.98, 0.5, 0.0)
    ]
    assert values == pytest.approx([np.log1p(np.exp(-8.0))] * 5, rel=1e-2)


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_cross_entropy_of_halves_computes_in_float32_and_rounds_once(dtype, reduction):
    x = mx.array(RNG.normal(size=(300, 50)) * 3, mx.float32).astype(dtype)
    targets = mx.array(RNG.integers(0, 50, 300))
    value = nn.losses.cross_entropy(x, targets, label_smoothing=0.1, reduction=reduction)
    exact = nn.losses.cross_entropy(
        x.astype(mx.float32), targets, label_smoothing=0.1, reduction=reduction
    )
    assert value.dtype == dtype
    assert mx.array_equal(value, exact.astype(dtype)).item()
    rounded = nn.log_softmax(x)
    assert mx.array_equal(rounded, nn.log_softmax(x.astype(mx.float32)).astype(dtype)).item()


# (layer, shape, axes of the statistics)
NORMS = {
    "LayerNorm": (lambda **k: nn.LayerNorm(6, **k), (4, 5, 6), (-1,)),
    "InstanceNorm": (lambda **k: nn.InstanceNorm(6, **k), (4, 5, 6), (1,)),
    "InstanceNorm affine": (lambda **k: nn.InstanceNorm(6, affine=True, **k), (4, 5, 6), (1,)),
    "GroupNorm": (lambda **k: nn.GroupNorm(1, 6, **k), (4, 5, 6), (1, 2)),
    "GroupNorm of PyTorch": (
        lambda **k: nn.GroupNorm(1, 6, pytorch_compatible=True, **k),
        (4, 5, 6),
        (1, 2),
    ),
    "BatchNorm": (lambda **k: nn.BatchNorm(6, **k), (4, 5, 6), (0, 1)),
    "BatchNorm without statistics": (
        lambda **k: nn.BatchNorm(6, affine=False, track_running_stats=False, **k),
        (4, 5, 6),
        (0, 1),
    ),
}


@pytest.mark.parametrize("name", NORMS)
@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("convert", [False, True], ids=["float32 weights", "half weights"])
def test_norms_keep_the_statistics_of_halves_in_float32(name, dtype, convert):
    make, shape, axes = NORMS[name]
    layer = make()
    if convert:
        layer.set_dtype(dtype)
    x = np.where(RNG.uniform(size=shape) < 0.5, -512.0, 512.0)
    half = mx.array(x, mx.float32).astype(dtype)
    y = np.array(layer(half).astype(mx.float32))
    expected = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + 1e-5)
    np.testing.assert_allclose(y, expected, rtol=1e-2, atol=1e-2)
    exact = make()(half.astype(mx.float32))
    rounded = exact.astype(dtype).astype(mx.float32)
    if convert or "weight" not in layer:
        assert layer(half).dtype == dtype
        np.testing.assert_array_equal(y, np.array(rounded))


@pytest.mark.parametrize("name", NORMS)
@pytest.mark.parametrize("offset", [100.0, 1e4])
def test_norms_lose_little_at_an_offset(name, offset):
    make, shape, axes = NORMS[name]
    x = (np.round(RNG.normal(size=shape) * 64) / 64 + offset).astype(np.float32)
    wide = x.astype(np.float64)
    expected = (wide - wide.mean(axes, keepdims=True)) / np.sqrt(
        wide.var(axes, keepdims=True) + 1e-5
    )
    np.testing.assert_allclose(np.array(make()(mx.array(x))), expected, atol=3e-3)


ALL_NORMS = {**{n: m for n, (m, _, _) in NORMS.items()}, "RMSNorm": lambda **k: nn.RMSNorm(6, **k)}


@pytest.mark.parametrize("name", ALL_NORMS)
def test_eps_must_be_positive_and_may_be_tiny(name):
    for eps in (0, 0.0, -1.0, -1e-5, float("nan")):
        with pytest.raises(ValueError, match="must be positive"):
            ALL_NORMS[name](eps=eps)
    assert ALL_NORMS[name](eps=1e-30).eps == 1e-30


@pytest.mark.parametrize("groups, dims", [(0, 4), (-2, 4), (2, 0), (2, -4), (-2, -4)])
def test_group_norm_refuses_sizes_that_are_not_positive(groups, dims):
    with pytest.raises(ValueError, match="must be positive"):
        nn.GroupNorm(groups, dims)


def test_batch_norm_follows_the_statistics_of_halves_in_float32():
    layer = nn.BatchNorm(1, momentum=1.0)
    layer(mx.array([[512.0], [-512.0]], mx.float16))
    assert layer.running_var.tolist() == [2 * 512.0**2]
    y = layer.eval()(mx.array([[512.0], [-512.0]], mx.float16))
    np.testing.assert_allclose(np.array(y), [[2**-0.5], [-(2**-0.5)]], rtol=1e-3)


@pytest.mark.parametrize(
    "layer, text",
    [
        (lambda: nn.GLU(), "GLU()"),
        (lambda: nn.GLU(0), "GLU(axis=0)"),
        (lambda: nn.Dropout(0.3), "Dropout(p=0.3)"),
        (lambda: nn.Dropout2d(0.3), "Dropout2d(p=0.3)"),
        (lambda: nn.Dropout3d(0.3), "Dropout3d(p=0.3)"),
    ],
)
def test_layers_print_what_was_given(layer, text):
    assert repr(layer()) == text


def test_the_module_of_activations_holds_them():
    import lazulite.nn.activations as by_path
    from lazulite.nn import activations

    assert nn.activations is activations is by_path
    assert activations.sigmoid is nn.sigmoid and activations.relu is nn.relu
    assert {name for name in activations.__all__} <= set(nn.__all__)
