"""Layers against their formulas in NumPy."""

import math

import numpy as np
import pytest

import lazulite.core as mx
import lazulite.nn as nn

RNG = np.random.default_rng(0)


def normal(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def agree(actual, expected, tolerance=1e-5):
    np.testing.assert_allclose(np.array(actual), expected, rtol=tolerance, atol=tolerance)


def standardized(x, axis, eps=1e-5):
    return (x - x.mean(axis, keepdims=True)) / np.sqrt(x.var(axis, keepdims=True) + eps)


@pytest.mark.parametrize("bias", [True, False])
def test_linear_is_x_times_weight_transposed_plus_bias(bias):
    layer = nn.Linear(4, 3, bias=bias)
    x = normal(2, 5, 4)
    expected = x @ np.array(layer.weight).T
    agree(layer(mx.array(x)), expected + np.array(layer.bias) if bias else expected)
    assert ("bias" in layer) == bias


def test_linear_begins_uniform_in_one_over_root_of_inputs():
    mx.random.seed(0)
    layer = nn.Linear(100, 200)
    for parameter in (layer.weight, layer.bias):
        values = np.array(parameter)
        assert np.abs(values).max() <= 0.1
        assert values.std() == pytest.approx(0.1 / math.sqrt(3), rel=0.15)


def test_linear_refuses_another_last_axis():
    with pytest.raises(ValueError):
        mx.eval(nn.Linear(4, 3)(mx.zeros((2, 5))))


def test_bilinear_is_linear_in_each_input():
    layer = nn.Bilinear(4, 5, 3)
    x1, x2 = normal(2, 6, 4), normal(2, 6, 5)
    expected = np.einsum("...i,oji,...j->...o", x1, np.array(layer.weight), x2)
    agree(layer(mx.array(x1), mx.array(x2)), expected + np.array(layer.bias))


def test_embedding_takes_rows_and_serves_as_output_weight():
    layer = nn.Embedding(7, 4)
    tokens = np.array([[0, 6], [3, 3]])
    agree(layer(mx.array(tokens)), np.array(layer.weight)[tokens])
    x = normal(2, 4)
    agree(layer.as_linear(mx.array(x)), x @ np.array(layer.weight).T)


def test_embedding_begins_normal_with_one_over_root_of_dims():
    mx.random.seed(0)
    assert np.array(nn.Embedding(200, 100).weight).std() == pytest.approx(0.1, rel=0.05)


def test_sequential_calls_one_after_another_and_identity_does_nothing():
    model = nn.Sequential(nn.Identity("any", thing=1), lambda x: x + 1, nn.ReLU())
    assert model(mx.array([-3.0, 1.0])).tolist() == [0, 2]


@pytest.mark.parametrize("p", [0.0, 0.2, 0.75])
def test_dropout_zeroes_the_right_fraction_and_keeps_the_mean(p):
    mx.random.seed(0)
    y = np.array(nn.Dropout(p)(mx.ones((100, 100))))
    assert (y == 0).mean() == pytest.approx(p, abs=0.02)
    agree(y[y != 0], 1 / (1 - p))


def test_dropout_is_the_identity_in_inference():
    x = mx.array(normal(4, 4, 4, 4))
    for layer in (nn.Dropout(0.5), nn.Dropout2d(0.5), nn.Dropout3d(0.5)):
        assert np.array_equal(np.array(layer.eval()(x)), np.array(x))


@pytest.mark.parametrize("bad", [-0.1, 1.0, 2])
def test_dropout_refuses_probabilities_outside_of_0_to_1(bad):
    with pytest.raises(ValueError, match="probability"):
        nn.Dropout(bad)


@pytest.mark.parametrize(
    "layer, shape",
    [
        (nn.Dropout2d, (3, 4, 5, 16)),
        (nn.Dropout2d, (4, 5, 16)),
        (nn.Dropout3d, (3, 2, 4, 5, 16)),
        (nn.Dropout3d, (2, 4, 5, 16)),
    ],
)
def test_channel_dropout_drops_whole_channels(layer, shape):
    mx.random.seed(0)
    y = np.array(layer(0.5)(mx.ones(shape)))
    channels = y.reshape(-1, int(np.prod(shape[-1 - layer.spatial_axes : -1])), 16)
    assert (channels == channels[:, :1]).all()
    assert set(np.unique(y)) == {0, 2}


@pytest.mark.parametrize("layer, shape", [(nn.Dropout2d, (4, 4)), (nn.Dropout3d, (2, 2, 2))])
def test_channel_dropout_refuses_other_numbers_of_axes(layer, shape):
    with pytest.raises(ValueError, match="axes"):
        layer(0.5)(mx.ones(shape))


@pytest.mark.parametrize("shape", [(6,), (3, 6), (2, 3, 6)])
def test_layer_norm_standardizes_the_last_axis(shape):
    layer = nn.LayerNorm(6)
    layer.weight, layer.bias = mx.array(normal(6)), mx.array(normal(6))
    x = normal(*shape)
    expected = standardized(x, -1) * np.array(layer.weight) + np.array(layer.bias)
    agree(layer(mx.array(x)), expected)
    assert list(nn.LayerNorm(6, bias=False).parameters()) == ["weight"]
    agree(nn.LayerNorm(6, affine=False)(mx.array(x)), standardized(x, -1))


def test_rms_norm_divides_by_the_root_mean_square():
    layer = nn.RMSNorm(6)
    layer.weight = mx.array(normal(6))
    x = normal(3, 6)
    root = np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5)
    agree(layer(mx.array(x)), x / root * np.array(layer.weight))


@pytest.mark.parametrize("norm", [nn.LayerNorm, nn.RMSNorm])
def test_norms_keep_halves(norm):
    layer = norm(6).set_dtype(mx.float16)
    assert layer(mx.ones((2, 6), dtype=mx.float16)).dtype == mx.float16


def test_instance_norm_standardizes_each_channel_of_each_sample():
    x = normal(3, 4, 5, 6)
    agree(nn.InstanceNorm(6)(mx.array(x)), standardized(x, (1, 2)))
    assert list(nn.InstanceNorm(6, affine=True).parameters()) == ["weight", "bias"]
    with pytest.raises(ValueError, match="axes"):
        nn.InstanceNorm(6)(mx.zeros((3, 6)))


def test_group_norm_standardizes_groups_of_channels():
    x = normal(3, 4, 5, 6)
    neighbours = standardized(x.reshape(3, 20, 2, 3), (1, 3)).reshape(x.shape)
    agree(nn.GroupNorm(2, 6, pytorch_compatible=True)(mx.array(x)), neighbours)
    strided = standardized(x.reshape(3, 20, 3, 2), (1, 2)).reshape(x.shape)
    agree(nn.GroupNorm(2, 6)(mx.array(x)), strided)
    with pytest.raises(ValueError, match="divide"):
        nn.GroupNorm(4, 6)


@pytest.mark.parametrize("shape", [(8, 3), (4, 5, 3), (2, 4, 5, 3)])
def test_batch_norm_uses_the_batch_in_training_and_the_running_statistics_after(shape):
    layer = nn.BatchNorm(3, momentum=0.25)
    x = normal(*shape)
    axes = tuple(range(len(shape) - 1))
    agree(layer(mx.array(x)), standardized(x, axes))
    mean, var = 0.25 * x.mean(axes), 0.75 + 0.25 * x.var(axes, ddof=1)
    agree(layer.running_mean, mean)
    agree(layer.running_var, var)
    agree(layer.eval()(mx.array(x)), (x - mean) / np.sqrt(var + 1e-5))
    agree(layer.running_mean, mean)


def test_running_statistics_are_parameters_that_are_never_trainable():
    model = nn.Sequential(nn.BatchNorm(2))
    assert list(model.layers[0].parameters()) == ["weight", "bias", "running_mean", "running_var"]
    for change in (lambda: None, model.unfreeze, model.layers[0].unfreeze):
        change()
        assert list(model.layers[0].trainable_parameters()) == ["weight", "bias"]


def test_running_statistics_stay_usable_after_a_gradient():
    layer = nn.BatchNorm(2)
    x = mx.array(normal(4, 2))
    nn.value_and_grad(layer, lambda x: layer(x).square().sum())(x)
    agree(layer.running_mean, 0.1 * np.array(x).mean(0))


def test_batch_norm_refuses_a_batch_of_one_in_training():
    with pytest.raises(ValueError, match="batch of one"):
        nn.BatchNorm(3)(mx.ones((1, 3)))
    nn.BatchNorm(3).eval()(mx.ones((1, 3)))
    with pytest.raises(ValueError, match="axes"):
        nn.BatchNorm(3)(mx.ones((3,)))


# Activations

X = np.array([-100, -3.5, -2, -1, -0.4, 0, 0.4, 1, 2, 3.5, 7, 100], np.float64)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softplus(x):
    return np.logaddexp(x, 0)


erf = np.vectorize(math.erf)

FORMULAS = {
    "relu": np.maximum(X, 0),
    "relu2": np.maximum(X, 0) ** 2,
    "relu6": np.clip(X, 0, 6),
    "leaky_relu": np.where(X > 0, X, 0.01 * X),
    "elu": np.where(X > 0, X, np.expm1(np.minimum(X, 0))),
    "celu": np.where(X > 0, X, np.expm1(np.minimum(X, 0))),
    "selu": 1.05070098 * np.where(X > 0, X, 1.67326324 * np.expm1(np.minimum(X, 0))),
    "gelu": X * (1 + erf(X / math.sqrt(2))) / 2,
    "gelu_approx": X / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (X + 0.044715 * X**3))),
    "gelu_fast_approx": X * sigmoid(1.702 * X),
    "silu": X * sigmoid(X),
    "sigmoid": sigmoid(X),
    "log_sigmoid": -softplus(-X),
    "softplus": softplus(X),
    "softsign": X / (1 + abs(X)),
    "softshrink": np.sign(X) * np.maximum(abs(X) - 0.5, 0),
    "hard_shrink": np.where(abs(X) > 0.5, X, 0),
    "hard_tanh": np.clip(X, -1, 1),
    "hardswish": X * np.clip(X + 3, 0, 6) / 6,
    "mish": X * np.tanh(softplus(X)),
    "step": (X >= 0).astype(np.int32),
    "tanh": np.tanh(X),
    "softmax": np.exp(X - X.max()) / np.exp(X - X.max()).sum(),
    "softmin": np.exp(X.min() - X) / np.exp(X.min() - X).sum(),
    "log_softmax": X - X.max() - np.log(np.exp(X - X.max()).sum()),
}
LAYERS = {
    "relu": nn.ReLU,
    "relu2": nn.ReLU2,
    "relu6": nn.ReLU6,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "celu": nn.CELU,
    "selu": nn.SELU,
    "gelu": nn.GELU,
    "gelu_approx": lambda: nn.GELU("precise"),
    "gelu_fast_approx": lambda: nn.GELU("fast"),
    "silu": nn.SiLU,
    "sigmoid": nn.Sigmoid,
    "log_sigmoid": nn.LogSigmoid,
    "softplus": nn.Softplus,
    "softsign": nn.Softsign,
    "softshrink": nn.Softshrink,
    "hard_shrink": nn.HardShrink,
    "hard_tanh": nn.HardTanh,
    "hardswish": nn.Hardswish,
    "mish": nn.Mish,
    "step": nn.Step,
    "tanh": nn.Tanh,
    "softmax": nn.Softmax,
    "softmin": nn.Softmin,
    "log_softmax": nn.LogSoftmax,
}


@pytest.mark.parametrize("name", FORMULAS)
def test_an_activation_is_its_formula_as_function_and_as_layer(name):
    x = mx.array(X.astype(np.float32))
    agree(getattr(nn, name)(x), FORMULAS[name])
    agree(LAYERS[name]()(x), FORMULAS[name])


@pytest.mark.parametrize("name", sorted(set(FORMULAS) - {"step"}))
@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16], ids=["float16", "bfloat16"])
def test_an_activation_keeps_halves(name, dtype):
    assert getattr(nn, name)(mx.ones((4,), dtype=dtype)).dtype == dtype


@pytest.mark.parametrize("name", sorted(set(FORMULAS) - {"step"}))
def test_the_gradient_of_an_activation_is_finite_everywhere(name):
    x = mx.array(X.astype(np.float32))
    gradient = mx.grad(lambda x: getattr(nn, name)(x).sum())(x)
    assert np.isfinite(np.array(gradient)).all()


@pytest.mark.parametrize("name, slope", [("elu", 1.0), ("celu", 1.0), ("selu", 1.7580993)])
def test_smooth_activations_have_their_slope_at_zero(name, slope):
    gradient = mx.grad(lambda x: getattr(nn, name)(x).sum())(mx.zeros((1,)))
    agree(gradient, [slope])


def test_the_parameters_of_activations_count():
    x = mx.array([-2.0, 0.75, 2.0])
    assert nn.LeakyReLU(0.5)(x).tolist() == [-1, 0.75, 2]
    assert nn.PReLU(3, 0.5)(x).tolist() == [-1, 0.75, 2]
    assert list(nn.PReLU().parameters()) == ["weight"]
    agree(nn.ELU(2.0)(x), [2 * math.expm1(-2), 0.75, 2])
    agree(nn.CELU(2.0)(x), [2 * math.expm1(-1), 0.75, 2])
    assert nn.Softshrink(1.0)(x).tolist() == [-1, 0, 1]
    assert nn.HardShrink(1.0)(x).tolist() == [-2, 0, 2]
    assert nn.Step(0.75)(x).tolist() == [0, 1, 1]
    assert nn.hard_tanh(x, -1.5, 0.5).tolist() == [-1.5, 0.5, 0.5]
    with pytest.raises(ValueError, match="approx"):
        nn.GELU("exact")


def test_glu_gates_one_half_by_the_other():
    x = normal(3, 4)
    agree(nn.GLU()(mx.array(x)), x[:, :2] * sigmoid(x[:, 2:]))
    agree(nn.GLU(axis=0)(mx.array(x[:2])), x[:1] * sigmoid(x[1:2]))
    with pytest.raises(ValueError):
        nn.glu(mx.zeros((3,)))


def test_activations_name_their_argument_x():
    for name in FORMULAS:
        a = mx.array([0.5, -0.5])
        assert getattr(nn, name)(x=a).tolist() == getattr(nn, name)(a).tolist(), name


def test_a_slope_that_is_no_number_is_refused_before_python_repeats_it():
    with pytest.raises((TypeError, ValueError), match="multiply"):
        nn.leaky_relu(2**40, "x" * 1000)
