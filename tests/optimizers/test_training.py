"""L-BFGS, averages of weights, accumulated gradients and mixed precision, beside PyTorch's numbers.

The numbers of PyTorch (2.15, float64) are stored; the docstring of each test says how they were
made."""

from functools import partial

import numpy as np
import pytest

import lazulite.core as mx
import lazulite.nn as nn
import lazulite.optimizers as optim
from lazulite.utils import load_state, save_state, tree_flatten, tree_map


class Valley(nn.Module):
    """Rosenbrock's function of w, and a fourth power of b."""

    def __init__(self):
        super().__init__()
        self.b = mx.array([[0.5], [2.0]], mx.float64)
        self.w = mx.array([-1.2, 1.0, 0.5, -0.3], mx.float64)

    def __call__(self):
        w = self.w
        steep = (100 * (w[1:] - w[:-1] ** 2) ** 2 + (1 - w[:-1]) ** 2).sum()
        return steep + ((self.b - 3) ** 4).sum()


# torch.optim.LBFGS([b, w], **options).step(closure), a number of times: w, b and the losses that
# step returned.
WOLFE = "strong_wolfe"
LBFGS = {
    "fixed steps, one iteration each": (
        {"learning_rate": 1e-3, "max_iter": 1},
        [-1.198204028020544, 0.9985623318549844, 0.4997362902250094, -0.29772141180902456],
        [0.5017964470725655, 2.000132398507648],
        [119.7625, 119.61618157, 119.49047691, 119.34629525, 119.19042856, 119.02427057],
    ),
    "several iterations, a short memory": (
        {"learning_rate": 0.2, "max_iter": 9, "history_size": 3},
        [-0.8299872705316444, 0.7112316038161818, 0.5457066722778283, 0.2729382496489339],
        [2.044158359520976, 2.246717166397702],
        [119.7625, 16.548184120196552],
    ),
    "a search along the line": (
        {"max_iter": 7, "history_size": 4, "line_search": WOLFE},
        [-0.04845400977807736, 0.005902611704820602, -0.004459536542512744, 0.017299434528893848],
        [3.650879332904029, 2.81452685704923],
        [119.7625, 4.515857906257443, 3.5583005558187857],
    ),
    "a search until the end": (
        {"learning_rate": 0.5, "max_iter": 60, "line_search": WOLFE},
        [0.9451012659519382, 0.8922251875134695, 0.7909330646236683, 0.6154866558702595],
        [2.9860233510935474, 3.2267137458387607],
        [119.7625],
    ),
    "few evaluations": (
        {"learning_rate": 1.5, "max_iter": 30, "max_eval": 9, "line_search": WOLFE},
        [-0.6341145551391733, 0.4191526774083679, 0.19508747266718118, 0.03936541883536964],
        [2.575470906030204, 2.2901975543503856],
        [119.7625],
    ),
}


@pytest.mark.parametrize("name", LBFGS)
def test_lbfgs_takes_the_steps_of_pytorch(name):
    options, w, b, losses = LBFGS[name]
    model, rule = Valley(), optim.LBFGS(**options)
    step = nn.value_and_grad(model, lambda: model())
    found = [rule.minimize(model, step).item() for _ in losses]
    np.testing.assert_allclose(found, losses, rtol=1e-6)
    np.testing.assert_allclose(model.w.tolist(), w, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(np.array(model.b)[:, 0], b, rtol=1e-6)


def test_lbfgs_updates_like_any_optimizer(tmp_path):
    """One iteration of fixed length an update; also from a file."""
    options, w, b, losses = LBFGS["fixed steps, one iteration each"]
    model, rule = Valley(), optim.LBFGS(learning_rate=options["learning_rate"])
    step = mx.compile(nn.value_and_grad(model, lambda: model()), inputs=model.state)
    for i, loss in enumerate(losses):
        value, grads = step()
        assert value.item() == pytest.approx(loss, rel=1e-6)
        rule.update(model, grads)
        if i == 2:
            save_state(str(tmp_path / "a"), model=model, rule=rule)
            rule = optim.LBFGS(learning_rate=1.0)
            load_state(str(tmp_path / "a"), model=model, rule=rule)
    np.testing.assert_allclose(model.w.tolist(), w, rtol=1e-6)
    assert rule.step.item() == len(losses)


def test_lbfgs_stops_where_it_is_flat():
    model = Valley()
    model.w, model.b = mx.ones(4, mx.float64), 3 * mx.ones((2, 1), mx.float64)
    rule = optim.LBFGS()
    assert rule.minimize(model, nn.value_and_grad(model, lambda: model())).item() == 0
    assert rule.step.item() == 0 and model.w.tolist() == [1] * 4
    for bad in ({"max_iter": 0}, {"history_size": 0}, {"line_search": "weak"}):
        with pytest.raises(ValueError):
            optim.LBFGS(**bad)


def test_lbfgs_follows_a_schedule_and_trains_a_network():
    mx.random.seed(0)
    x = mx.random.normal((64, 3))
    y = mx.sin(x.sum(1, keepdims=True))
    model = nn.MLP(3, [16, 1], activation=mx.tanh)
    step = nn.value_and_grad(model, lambda: nn.losses.mse_loss(model(x), y))
    rule = optim.LBFGS(optim.step_decay(1.0, 0.9, 5), line_search=WOLFE)
    losses = [rule.minimize(model, step).item() for _ in range(6)]
    assert losses[-1] < 0.01 * losses[0] and rule.learning_rate.item() < 1
    assert model.layers[0].weight.dtype == mx.float32


def test_lamb_is_not_moved_by_weights_or_gradients_of_zero():
    rule = optim.LAMB(0.1)
    new = rule.apply_gradients(
        {"a": mx.zeros(2), "b": mx.ones(2), "c": mx.zeros(2)},
        {"a": mx.ones(2), "b": mx.zeros(2), "c": mx.zeros(2)},
    )
    assert new["a"].tolist() == [1, 1] and new["c"].tolist() == [0, 0]
    np.testing.assert_allclose(new["b"].tolist(), [-0.1, -0.1], rtol=1e-5)
    half = optim.LAMB(0.1).apply_gradients(
        {"w": mx.full(4096, 60, mx.float16)}, {"w": mx.full(4096, 60, mx.float16)}
    )["w"]
    assert half.dtype == mx.float16 and mx.isfinite(half).all().item()


# Averages


def test_averages_of_weights_are_those_of_pytorch():
    """torch.optim.swa_utils.AveragedModel(multi_avg_fn=get_ema_multi_avg_fn(0.9))."""
    model = nn.Linear(1, 1, bias=False)
    average, found = optim.ExponentialMovingAverage(model, 0.9), []
    for weight in (1.5, -2.0, 4.0, 3.25):
        average.update(model.update({"weight": mx.array([[weight]])}))
        found.append(average.parameters["weight"].item())
    np.testing.assert_allclose(found, [1.5, 1.15, 1.435, 1.6165], rtol=1e-6)


@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16, mx.float32, mx.float64])
@pytest.mark.parametrize("decay", [0.0, 0.9, 0.9999, 1.0])
def test_averages_begin_with_a_copy_and_keep_the_digits_of_their_dtype(dtype, decay):
    """Whatever stood there when the average was made, infinities too."""
    made = np.array([1e30 if dtype != mx.float16 else 6e4, -np.inf, np.nan, 0.1, 3.0])
    steps = np.random.default_rng(0).normal(size=(20, 5))
    model = nn.Module()
    model.w = mx.array(made, mx.float64).astype(dtype)
    average = optim.ExponentialMovingAverage(model, decay)
    wanted = None
    for step in steps:
        model.w = mx.array(step, mx.float64).astype(dtype)
        w = np.array(model.w.astype(mx.float64))
        average.update(model)
        wanted = w if wanted is None else decay * wanted + (1 - decay) * w
        wide = dtype if dtype == mx.float64 else mx.float32
        assert average.parameters["w"].dtype == wide
        tiny = 1e-13 if dtype == mx.float64 else 1e-5
        np.testing.assert_allclose(np.array(average.parameters["w"]), wanted, tiny, tiny)
        if wanted is w:
            assert np.array_equal(np.array(average.parameters["w"]), w)


@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16])
def test_averages_of_halves_move_by_less_than_a_digit(dtype):
    model = nn.Linear(1, 1, bias=False).update({"weight": mx.array([[1.0]], dtype)})
    average = optim.ExponentialMovingAverage(model, 0.999)
    average.update(model)
    model.update({"weight": mx.array([[2.0]], dtype)})
    for _ in range(1000):
        average.update(model)
    assert average.parameters["weight"].item() == pytest.approx(2 - 0.999**1000, rel=1e-4)
    with average.applied(model):
        assert model.weight.dtype == dtype and model.weight.item() == pytest.approx(1.63, abs=0.01)


def test_averages_are_compiled_saved_and_put_into_the_model_for_a_block(tmp_path):
    mx.random.seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm(4), nn.Linear(4, 1))
    rule = optim.SGD(0.1)
    average = optim.ExponentialMovingAverage(model, 0.5)
    state = [model.state, rule.state, average.state]
    loss_and_grad = nn.value_and_grad(model, lambda x: model(x).square().sum())

    @partial(mx.compile, inputs=state, outputs=state)
    def step(x):
        loss, grads = loss_and_grad(x)
        rule.update(model, grads)
        average.update(model)
        return loss

    expected = None
    for i in range(4):
        step(mx.random.normal((5, 3)))
        now = np.array(model.layers[0].weight)
        expected = now if expected is None else 0.5 * expected + 0.5 * now
    np.testing.assert_allclose(
        np.array(average.parameters["layers"][0]["weight"]), expected, rtol=1e-5
    )
    before = model.layers[0].weight.tolist()
    with average.applied(model) as averaged:
        assert averaged is model and model.layers[0].weight.tolist() != before
        running = average.parameters["layers"][1]["running_mean"]
        assert running.tolist() == model.layers[1].running_mean.tolist(), "copied, not averaged"
    assert model.layers[0].weight.tolist() == before
    save_state(str(tmp_path / "a"), average=average)
    other = optim.ExponentialMovingAverage(model)
    load_state(str(tmp_path / "a"), average=other)
    np.testing.assert_allclose(
        np.array(other.parameters["layers"][0]["weight"]), expected, rtol=1e-5
    )
    assert other.state["step"].item() == 4
    with pytest.raises(ValueError):
        optim.ExponentialMovingAverage(model, 1.5)


# Accumulation


@pytest.mark.parametrize("dtype", [mx.float32, mx.float16])
def test_several_batches_make_the_step_of_one_large_batch(dtype):
    mx.random.seed(0)
    x, y = mx.random.normal((24, 3)), mx.random.normal((24, 1))

    def trained(optimizer, parts):
        mx.random.seed(1)
        model = nn.Linear(3, 1).set_dtype(dtype)
        step = nn.value_and_grad(model, lambda x, y: nn.losses.mse_loss(model(x), y))
        took = []
        for _ in range(3):
            for a, b in zip(mx.split(x.astype(dtype), parts), mx.split(y.astype(dtype), parts)):
                took.append(optimizer.update(model, step(a, b)[1]))
        assert model.weight.dtype == dtype
        return np.array(model.weight.astype(mx.float32)), took

    whole, _ = trained(optim.Adam(0.1), 1)
    parts, took = trained(optim.GradientAccumulation(optim.Adam(0.1), 4), 4)
    np.testing.assert_allclose(parts, whole, rtol=1e-5 if dtype == mx.float32 else 2e-2)
    assert took == [False, False, False, True] * 3


def test_accumulation_goes_on_from_a_file(tmp_path):
    def made():
        model = nn.Linear(1, 1).apply(mx.ones_like)
        return model, optim.GradientAccumulation(optim.SGD(0.5, momentum=0.9), 3)

    grads = [{"bias": mx.array([float(i)])} for i in range(7)]
    model, rule = made()
    for g in grads:
        rule.update(model, g)
    for cut in range(1, 6):
        other, first = made()
        for g in grads[:cut]:
            first.update(other, g)
        save_state(str(tmp_path / "a"), model=other, rule=first)
        again, second = made()
        load_state(str(tmp_path / "a"), model=again, rule=second)
        for g in grads[cut:]:
            second.update(again, g)
        assert again.bias.tolist() == model.bias.tolist()
    assert rule.learning_rate.item() == 0.5
    rule.learning_rate = 0.25
    assert rule.optimizer.learning_rate.item() == 0.25


def test_accumulation_says_that_it_cannot_be_compiled():
    model, rule = nn.Linear(1, 1), optim.GradientAccumulation(optim.SGD(0.5), 2)
    with pytest.raises(ValueError, match="compile"):
        mx.compile(lambda g: rule.update(model, {"bias": g}))(mx.ones(1))
    with pytest.raises(ValueError, match="steps"):
        optim.GradientAccumulation(optim.SGD(0.5), 0)


# Mixed precision


@pytest.mark.parametrize("compiled", [False, True])
def test_scales_and_steps_are_those_of_pytorch(compiled):
    """torch.amp.GradScaler("cpu", init_scale=1024, growth_interval=3) and SGD(0.5), with the
    gradients below: the weight and the scale after each step."""
    model = nn.Linear(1, 1, bias=False).update({"weight": mx.array([[1.0]])})
    mixed = optim.MixedPrecision(model, optim.SGD(0.5), scale=1024.0, growth_interval=3)
    step = mixed.value_and_grad(lambda k: (model.weight * k).sum())

    def train(k):
        mixed.update(step(k)[1])

    state = [model.state, mixed.state]
    mixed.optimizer.init(model.trainable_parameters())
    train = mx.compile(train, inputs=state, outputs=state) if compiled else train
    found = []
    for k in (1.0, 2.0, np.inf, 1.0, 1.0, 1.0, np.nan, 1.0):
        train(mx.array([k]))
        found.append((model.weight.item(), mixed.scale.item()))
    assert found == [
        (0.5, 1024.0),
        (-0.5, 1024.0),
        (-0.5, 512.0),
        (-1.0, 512.0),
        (-1.5, 512.0),
        (-2.0, 1024.0),
        (-2.0, 512.0),
        (-2.5, 512.0),
    ]


def test_a_step_that_is_left_out_changes_nothing_of_the_optimizer():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm(2))
    rule = optim.MultiOptimizer([optim.Adam(0.1), optim.SGD(0.1)], [lambda p, _: "weight" in p])
    mixed = optim.MixedPrecision(model, rule)
    grads = tree_map(mx.ones_like, model.trainable_parameters())
    assert mixed.update(grads).item()
    before = [a.tolist() for _, a in tree_flatten([mixed.optimizer.state, model.parameters()])]
    grads["layers"][0]["weight"] = mx.array([[1, mx.inf], [1, 1]])
    assert not mixed.update(grads).item()
    after = [a.tolist() for _, a in tree_flatten([mixed.optimizer.state, model.parameters()])]
    assert before == after and mixed.scale.item() == 2.0**14


@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16])
def test_the_model_is_called_in_halves_and_trained_in_float32(dtype):
    mx.random.seed(0)
    model = nn.Sequential(nn.Linear(4, 32), nn.BatchNorm(32), nn.ReLU(), nn.Linear(32, 1))
    model.layers[0].freeze(keys="bias")
    mixed = optim.MixedPrecision(model, optim.Adam(1e-2), dtype=dtype)
    seen = []

    def loss_fn(x, y):
        out = model(x)
        seen.append((x.dtype, out.dtype, model.layers[0].weight.dtype))
        return nn.losses.mse_loss(out.astype(mx.float32), y.astype(mx.float32)), out

    step = mixed.value_and_grad(loss_fn)
    x = mx.random.normal((64, 4))
    y = (x * x).sum(1, keepdims=True)
    losses, taken = [], 0
    for _ in range(60):
        (loss, out), grads = step(x, y)
        taken += mixed.update(grads).item()
        losses.append(loss.item())
    assert set(seen) == {(dtype, dtype, dtype)}
    assert losses[-1] < 0.2 * losses[0] and taken > 50
    assert all(a.dtype == mx.float32 for _, a in tree_flatten(model.parameters()))
    assert all(a.dtype == mx.float32 for _, a in tree_flatten(grads))
    assert "bias" not in grads["layers"][0]


def test_the_scale_stays_finite():
    """An infinite one makes every gradient nan, and half of it is infinite."""
    model = nn.Linear(1, 1, bias=False)
    mixed = optim.MixedPrecision(model, optim.SGD(0.1), scale=2.0**126, growth_interval=1)
    for _ in range(4):
        assert mixed.update({"weight": mx.zeros((1, 1))}).item()
    assert mixed.scale.item() == 2.0**127
    assert not mixed.update({"weight": mx.array([[mx.nan]])}).item()
    assert mixed.scale.item() == 2.0**126


def test_small_gradients_are_not_lost():
    """Of 1e-8, which float16 does not have, times a scale that it has."""
    model = nn.Linear(1, 1, bias=False).update({"weight": mx.array([[1.0]])})
    found = {}
    for scale in (1.0, 2.0**15):
        mixed = optim.MixedPrecision(model, optim.SGD(1.0), scale=scale)
        step = mixed.value_and_grad(lambda x: (model(x).astype(mx.float32) * 1e-8).sum())
        found[scale] = step(mx.ones((1, 1)))[1]["weight"].item()
    assert found[1.0] == 0 and found[2.0**15] == pytest.approx(1e-8, rel=1e-2)
    for bad in (
        {"scale": 0},
        {"scale": mx.inf},
        {"growth_factor": 0.5},
        {"backoff_factor": 2},
        {"growth_interval": 0},
    ):
        with pytest.raises(ValueError):
            optim.MixedPrecision(model, optim.SGD(1.0), **bad)
