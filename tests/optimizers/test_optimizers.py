"""Optimizers against their formulas in NumPy (float64), over several steps."""

import copy
import pickle
from functools import partial

import numpy as np
import pytest

import lazulite.core as mx
import lazulite.nn as nn
import lazulite.optimizers as optim
from lazulite.utils import tree_flatten, tree_map, tree_unflatten

RNG = np.random.default_rng(0)
START = {"w": RNG.normal(size=7), "l": [RNG.normal(size=(6, 4)), {"c": RNG.normal(size=(4, 3, 5))}]}
STEPS = 4
RATE = 0.05


def gradient(w, t):
    """Some gradient that changes from step to step; not a function of w, so errors do not grow."""
    return np.sin(np.arange(w.size).reshape(w.shape) * 1.7 + t)


# One function for each rule: (w, g, state, t) -> w, with t = 1 at the first step.


def sgd(w, g, s, t, momentum=0.0, decay=0.0, dampening=0.0, nesterov=False):
    g = g + decay * w
    s["v"] = momentum * s.get("v", 0) + (1 - dampening) * g
    return w - RATE * (g + momentum * s["v"] if nesterov else s["v"])


def adam(w, g, s, t, decay=0.0, correct=False, b1=0.9, b2=0.999, eps=1e-8):
    s["m"] = b1 * s.get("m", 0) + (1 - b1) * g
    s["v"] = b2 * s.get("v", 0) + (1 - b2) * g**2
    m, v = s["m"], s["v"]
    if correct:
        m, v = m / (1 - b1**t), v / (1 - b2**t)
    return w - RATE * decay * w - RATE * m / (np.sqrt(v) + eps)


def adamax(w, g, s, t, b1=0.9, b2=0.999):
    s["m"] = b1 * s.get("m", 0) + (1 - b1) * g
    s["v"] = np.maximum(b2 * s.get("v", 0), abs(g))
    return w - RATE * s["m"] / (s["v"] + 1e-8)


def adagrad(w, g, s, t):
    s["v"] = s.get("v", 0) + g**2
    return w - RATE * g / (np.sqrt(s["v"]) + 1e-8)


def adadelta(w, g, s, t, rho=0.9, eps=1e-6):
    s["v"] = rho * s.get("v", 0) + (1 - rho) * g**2
    d = np.sqrt(s.get("u", 0) + eps) / np.sqrt(s["v"] + eps) * g
    s["u"] = rho * s.get("u", 0) + (1 - rho) * d**2
    return w - RATE * d


def rmsprop(w, g, s, t, alpha=0.99):
    s["v"] = alpha * s.get("v", 0) + (1 - alpha) * g**2
    return w - RATE * g / (np.sqrt(s["v"]) + 1e-8)


def lion(w, g, s, t, decay=0.1):
    c = 0.9 * s.get("m", 0) + 0.1 * g
    s["m"] = 0.99 * s.get("m", 0) + 0.01 * g
    return (1 - RATE * decay) * w - RATE * np.sign(c)


def lamb(w, g, s, t, decay=0.0, correct=True, b1=0.9, b2=0.999, eps=1e-6):
    s["m"] = b1 * s.get("m", 0) + (1 - b1) * g
    s["v"] = b2 * s.get("v", 0) + (1 - b2) * g**2
    m, v = s["m"], s["v"]
    if correct:
        m, v = m / (1 - b1**t), v / (1 - b2**t)
    r = m / (np.sqrt(v) + eps) + decay * w
    return w - RATE * np.linalg.norm(w) / np.linalg.norm(r) * r


def rms(x):
    return np.sqrt((x**2).mean())


def adafactor(w, g, s, t, relative=True, beta_1=None, decay=0.0):
    b2 = 1 - t**-0.8
    q = g**2 + 1e-30
    if g.ndim >= 2:
        s["r"] = b2 * s.get("r", 0) + (1 - b2) * q.mean(-1)
        s["c"] = b2 * s.get("c", 0) + (1 - b2) * q.mean(-2)
        r, c = s["r"][..., :, None], s["c"][..., None, :]
        v = r * c / r.mean(-2, keepdims=True)
    else:
        v = s["v"] = b2 * s.get("v", 0) + (1 - b2) * q
    rate = (min(1e-2, 1 / np.sqrt(t)) if relative else RATE) * max(1e-3, rms(w))
    u = g / np.sqrt(v)
    u = rate * u / max(1, rms(u))
    if beta_1 is not None:
        u = s["m"] = beta_1 * s.get("m", 0) + (1 - beta_1) * u
    return w - decay * rate * w - u


def muon(w, g, s, t, mu=0.95, decay=0.01):
    g = g + decay * w
    s["v"] = mu * s.get("v", 0) + (1 - mu) * g
    u = (1 - mu) * g + mu * s["v"]
    if u.ndim >= 2:
        x = u.reshape(u.shape[0], -1)
        rows, columns = x.shape
        left, values, right = np.linalg.svd(x / (np.linalg.norm(x) + 1e-7), full_matrices=False)
        for _ in range(5):
            values = 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5
        u = max(1, rows / columns) ** 0.5 * ((left * values) @ right).reshape(u.shape)
    return w - RATE * u


CASES = {
    "SGD": (lambda: optim.SGD(RATE), sgd),
    "SGD with momentum": (
        lambda: optim.SGD(RATE, momentum=0.9, weight_decay=0.1, dampening=0.2),
        partial(sgd, momentum=0.9, decay=0.1, dampening=0.2),
    ),
    "SGD with Nesterov's momentum": (
        lambda: optim.SGD(RATE, momentum=0.9, nesterov=True),
        partial(sgd, momentum=0.9, nesterov=True),
    ),
    "Adam": (lambda: optim.Adam(RATE), adam),
    "Adam with bias correction": (
        lambda: optim.Adam(RATE, betas=[0.8, 0.9], eps=1e-3, bias_correction=True),
        partial(adam, correct=True, b1=0.8, b2=0.9, eps=1e-3),
    ),
    "AdamW": (lambda: optim.AdamW(RATE), partial(adam, decay=0.01)),
    "AdamW with bias correction": (
        lambda: optim.AdamW(RATE, weight_decay=0.3, bias_correction=True),
        partial(adam, decay=0.3, correct=True),
    ),
    "Adamax": (lambda: optim.Adamax(RATE), adamax),
    "Adagrad": (lambda: optim.Adagrad(RATE), adagrad),
    "AdaDelta": (lambda: optim.AdaDelta(RATE), adadelta),
    "RMSprop": (lambda: optim.RMSprop(RATE), rmsprop),
    "LAMB": (lambda: optim.LAMB(RATE), lamb),
    "LAMB with weight decay, not corrected": (
        lambda: optim.LAMB(RATE, weight_decay=0.1, bias_correction=False),
        partial(lamb, decay=0.1, correct=False),
    ),
    "Lion": (lambda: optim.Lion(RATE, weight_decay=0.1), lion),
    "Adafactor": (lambda: optim.Adafactor(), adafactor),
    "Adafactor with a learning rate": (
        lambda: optim.Adafactor(RATE, relative_step=False, beta_1=0.9, weight_decay=0.1),
        partial(adafactor, relative=False, beta_1=0.9, decay=0.1),
    ),
    "Muon": (lambda: optim.Muon(RATE), muon),
}


def parameters(dtype=mx.float32):
    return tree_map(lambda w: mx.array(w.astype(np.float32)).astype(dtype), START)


def gradients(t, dtype=mx.float32):
    return tree_map(lambda w: mx.array(gradient(w, t).astype(np.float32)).astype(dtype), START)


def trained(optimizer, steps=STEPS, dtype=mx.float32):
    w = parameters(dtype)
    for t in range(1, steps + 1):
        w = optimizer.apply_gradients(gradients(t, dtype), w)
    return w


def expected(rule, steps=STEPS):
    w, states = START, tree_map(lambda _: {}, START)
    for t in range(1, steps + 1):
        w = tree_map(lambda w, s: rule(w, gradient(w, t), s, t), w, states)
    return w


def agree(actual, wanted, tolerance=1e-4):
    for (name, a), (_, b) in zip(tree_flatten(actual), tree_flatten(wanted)):
        np.testing.assert_allclose(
            np.array(a.astype(mx.float32)), b, rtol=tolerance, atol=tolerance, err_msg=name
        )


@pytest.mark.parametrize("name", CASES)
def test_an_optimizer_is_its_formula(name):
    make, rule = CASES[name]
    agree(trained(make()), expected(rule))


@pytest.mark.parametrize("name", CASES)
def test_parameters_and_states_keep_halves(name):
    make, rule = CASES[name]
    optimizer = make()
    w = trained(optimizer, dtype=mx.bfloat16)
    own = {k: v for k, v in optimizer.state.items() if k not in ("step", "learning_rate")}
    assert {x.dtype for _, x in tree_flatten([w, own])} == {mx.bfloat16}
    agree(w, expected(rule), tolerance=0.1)


@pytest.mark.parametrize("name", CASES)
def test_a_compiled_step_is_the_same_step(name):
    make, _ = CASES[name]
    optimizer = make()
    w = parameters()
    optimizer.init(w)
    mx.eval(optimizer.state)

    @partial(mx.compile, inputs=optimizer.state, outputs=optimizer.state)
    def step(g, w):
        return optimizer.apply_gradients(g, w)

    for t in range(1, STEPS + 1):
        w = step(gradients(t), w)
    other = make()
    agree(w, tree_map(np.array, trained(other)), tolerance=1e-5)
    assert optimizer.step.item() == STEPS


@pytest.mark.parametrize("name", CASES)
def test_training_continues_from_a_state_that_was_saved(name):
    make, _ = CASES[name]
    whole, first, second = make(), make(), make()
    w = trained(first, steps=2)
    second.state = tree_unflatten(tree_flatten(first.state))
    for t in range(3, STEPS + 1):
        w = second.apply_gradients(gradients(t), w)
    agree(w, tree_map(np.array, trained(whole)), tolerance=1e-6)


LEAVES = {
    "SGD": {"v"},
    "Adam": {"m", "v"},
    "AdamW": {"m", "v"},
    "Adamax": {"m", "v"},
    "Adagrad": {"v"},
    "AdaDelta": {"v", "u"},
    "RMSprop": {"v"},
    "Lion": {"m"},
    "Muon": {"v"},
}


@pytest.mark.parametrize("name", LEAVES)
def test_the_state_has_the_form_of_the_parameters(name):
    optimizer = getattr(optim, name)(RATE)
    state = optimizer.state
    assert set(state) == {"step", "learning_rate"}
    assert state["step"].dtype == mx.uint64 and state["learning_rate"].dtype == mx.float32
    optimizer.init(parameters())
    assert optimizer.state is state
    assert set(state["w"]) == set(state["l"][0]) == set(state["l"][1]["c"]) == LEAVES[name]
    trained(optimizer, steps=2)
    assert optimizer.state is state and state["step"].item() == 2


def test_adafactor_keeps_a_row_and_a_column_of_matrices():
    optimizer = optim.Adafactor()
    optimizer.init(parameters())
    assert set(optimizer.state["w"]) == {"exp_avg_sq"}
    row, column = (optimizer.state["l"][0][f"exp_avg_sq_{k}"].shape for k in ("row", "col"))
    assert (tuple(row), tuple(column)) == ((6,), (4,))


def test_init_keeps_the_state_that_is_there_and_adds_what_is_new():
    optimizer = optim.Adam(RATE)
    one = {"w": mx.ones((2,))}
    two = {"w": mx.ones((2,)), "l": [mx.ones((3,))]}
    optimizer.apply_gradients(one, one)
    kept = optimizer.state["w"]["m"]
    optimizer.init(two)
    assert optimizer.state["w"]["m"] is kept
    optimizer.apply_gradients(two, two)  # as when a part of the model is unfrozen
    assert set(optimizer.state["l"][0]) == {"m", "v"}


def test_a_parameter_cannot_take_the_name_of_the_step():
    with pytest.raises(ValueError, match="step"):
        optim.SGD(RATE).init({"step": mx.ones((2,))})


def test_update_writes_into_the_model_and_leaves_frozen_parameters():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm(2)).freeze(keys="weight")
    before = {name: np.array(x) for name, x in tree_flatten(model.parameters())}
    _, grads = nn.value_and_grad(model, lambda x: model(x).sum())(mx.eye(2))
    optim.SGD(1.0).update(model, grads)
    for name, x in tree_flatten(model.parameters()):
        if name.endswith("weight"):
            assert np.array_equal(np.array(x), before[name])
    assert model.layers[1].bias.tolist() == [-2, -2]


def test_the_learning_rate_can_be_set_at_any_time():
    optimizer = optim.SGD(1.0)
    w = {"w": mx.zeros((1,))}
    for rate, value in ((0.5, -0.5), (mx.array(0.25), -0.75), (2, -2.75)):
        optimizer.learning_rate = rate
        assert optimizer.learning_rate.dtype == mx.float32
        w = optimizer.apply_gradients({"w": mx.ones((1,))}, w)
        assert w["w"].item() == value
    optimizer.learning_rate = optim.exponential_decay(1.0, 0.5)
    w = optimizer.apply_gradients({"w": mx.ones((1,))}, w)
    assert optimizer.learning_rate.item() == 0.125


def test_schedulers_set_any_entry_of_the_state():
    class Jump(optim.Optimizer):
        def __init__(self):
            super().__init__(schedulers={"size": lambda step: 10 * step})

        def init_single(self, parameter, state):
            pass

        def apply_single(self, gradient, parameter, state):
            return parameter + self.state["size"]

    jump, w = Jump(), {"w": mx.zeros((1,))}
    for _ in range(3):
        w = jump.apply_gradients(w, w)
    assert w["w"].item() == 30


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))])
def test_optimizers_can_be_copied(duplicate):
    optimizer = optim.AdamW(RATE)
    w = trained(optimizer, steps=2)
    other = duplicate(optimizer)
    after = other.apply_gradients(gradients(3), w)
    assert optimizer.step.item() == 2 and other.step.item() == 3
    agree(optimizer.apply_gradients(gradients(3), w), tree_map(np.array, after), tolerance=1e-6)


@pytest.mark.parametrize(
    "make",
    [
        lambda: optim.SGD(RATE, nesterov=True),
        lambda: optim.SGD(RATE, nesterov=True, momentum=0.9, dampening=0.1),
        lambda: optim.Adam(RATE, betas=[1.0, 0.9]),
        lambda: optim.AdamW(RATE, eps=-1),
        lambda: optim.Adamax(RATE, betas=[0.9, -0.1]),
        lambda: optim.Adagrad(RATE, eps=-1),
        lambda: optim.AdaDelta(RATE, rho=-1),
        lambda: optim.RMSprop(RATE, alpha=-1),
        lambda: optim.Lion(RATE, betas=[0.9]),
        lambda: optim.Adafactor(relative_step=False),
        lambda: optim.MultiOptimizer([optim.SGD(RATE), optim.SGD(RATE)]),
    ],
)
def test_bad_arguments_are_value_errors_that_say_what_they_got(make):
    with pytest.raises(ValueError, match="got"):
        make()


def two_optimizers():
    return optim.MultiOptimizer(
        [optim.SGD(0.1), optim.Adam(0.2)], [lambda path, weight: path.startswith("l.")]
    )


def test_multi_optimizer_gives_each_parameter_to_the_first_filter_that_takes_it():
    both = two_optimizers()
    w = trained(both)
    sgd_only, adam_only = trained(optim.SGD(0.1)), trained(optim.Adam(0.2))
    agree(w["l"], tree_map(np.array, sgd_only["l"]), tolerance=1e-6)
    agree(w["w"], np.array(adam_only["w"]), tolerance=1e-6)
    first, second = both.state["states"]
    assert set(first) == {"step", "learning_rate", "l"}
    assert set(second) == {"step", "learning_rate", "w"}


def test_multi_optimizer_has_one_learning_rate_and_one_state_to_save():
    both, other = two_optimizers(), two_optimizers()
    both.learning_rate = 0.5
    assert [s["learning_rate"].item() for s in both.state["states"]] == [0.5, 0.5]
    trained(both, steps=2)
    other.state = both.state
    assert other.step.item() == 2 and other.learning_rate.item() == 0.5
    with pytest.raises(ValueError, match="state"):
        other.state = {"states": []}


def test_multi_optimizer_updates_a_model():
    model = nn.Linear(2, 1)
    rule = optim.MultiOptimizer(
        [optim.SGD(1.0), optim.SGD(0.0)], [lambda path, weight: weight.ndim == 1]
    )
    before = {name: np.array(x) for name, x in model.items()}
    rule.update(model, {"weight": mx.ones((1, 2)), "bias": mx.ones((1,))})
    np.testing.assert_allclose(np.array(model.bias), before["bias"] - 1, rtol=1e-6)
    assert np.array_equal(np.array(model.weight), before["weight"])


def test_clip_grad_norm_scales_all_gradients_together():
    grads = {"a": mx.array([3.0, 0.0]), "b": [mx.array([[4.0]])]}
    clipped, norm = optim.clip_grad_norm(grads, max_norm=1.0)
    assert norm.item() == 5
    agree(clipped, {"a": np.array([0.6, 0]), "b": [np.array([[0.8]])]}, tolerance=1e-6)


def test_clip_grad_norm_leaves_small_gradients_alone():
    grads = {"a": mx.array([3.0, 4.0]), "z": mx.zeros((2,))}
    clipped, norm = optim.clip_grad_norm(grads, max_norm=5.1)
    assert norm.item() == 5 and clipped["a"].tolist() == [3, 4] and clipped["z"].tolist() == [0, 0]
    assert optim.clip_grad_norm({"z": mx.zeros((2,))}, 1.0)[0]["z"].tolist() == [0, 0]


@pytest.mark.parametrize("dtype", [mx.int8, mx.int32, mx.uint16, mx.int64, mx.bool_])
def test_clip_grad_norm_of_integers_gives_float32_and_rounds_nothing(dtype):
    g = mx.array([1, 1, 0, 1, 1]).astype(dtype)
    grads, norm = optim.clip_grad_norm({"a": g, "b": mx.array([0.0], mx.float16)}, 1.0)
    assert norm.item() == 2 and grads["a"].dtype == mx.float32
    assert grads["b"].dtype == mx.float16
    agree(grads["a"], np.array([0.5, 0.5, 0, 0.5, 0.5]), tolerance=1e-5)
    big = optim.clip_grad_norm([mx.array([100, 100], mx.int8)], 1e6)
    assert big[0][0].tolist() == [100, 100] and big[1].item() == pytest.approx(2e4**0.5)


def test_clip_grad_norm_refuses_negative_norms_and_what_is_no_number():
    grads = {"a": mx.array([3.0, 4.0])}
    for bad in (-1.0, -1e-9, float("nan"), mx.array(-1.0)):
        with pytest.raises(ValueError, match=r"\[clip_grad_norm\] max_norm: got .*>=0"):
            optim.clip_grad_norm(grads, bad)
    for bad in ("a", None, [1.0]):
        with pytest.raises(TypeError, match=r"\[clip_grad_norm\] max_norm: got"):
            optim.clip_grad_norm(grads, bad)
    for bad in ({"a": None}, {"a": 3.0}, ["x"]):
        with pytest.raises(TypeError, match=r"\[clip_grad_norm\] grads: got"):
            optim.clip_grad_norm(bad, 1.0)
    assert optim.clip_grad_norm(grads, 0)[0]["a"].tolist() == [0, 0]


def test_clip_grad_norm_of_complex_gradients_keeps_them_complex():
    grads, norm = optim.clip_grad_norm([mx.array([3 + 4j])], 1.0)
    assert norm.item() == 5 and grads[0].dtype == mx.complex64
    assert abs(grads[0].item() - (0.6 + 0.8j)) < 1e-5


@pytest.mark.parametrize("make", [optim.RMSprop, optim.Adagrad, optim.AdaDelta])
def test_an_eps_that_divides_alone_is_positive(make):
    for eps in (0, 0.0, -1e-8):
        with pytest.raises(ValueError, match=">0"):
            make(RATE, eps=eps)
    make(RATE, eps=1e-30)


@pytest.mark.parametrize("make", [optim.Adam, optim.AdamW, optim.Adamax])
def test_an_eps_of_adam_may_be_zero(make):
    make(RATE, eps=0)
    with pytest.raises(ValueError, match="eps"):
        make(RATE, eps=-1e-8)


def test_clip_grad_norm_does_not_overflow_in_halves():
    grads, norm = optim.clip_grad_norm({"a": mx.full((4,), 1000.0, dtype=mx.float16)}, 2.0)
    assert norm.item() == 2000
    assert grads["a"].dtype == mx.float16
    agree(grads, {"a": np.ones(4)}, tolerance=1e-3)


def test_a_network_learns_with_a_compiled_step():
    mx.random.seed(0)
    model = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Dropout(0.1), nn.Linear(16, 1))
    optimizer = optim.AdamW(optim.cosine_decay(0.05, 200), bias_correction=True)
    x = mx.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    y = mx.array([0.0, 1.0, 1.0, 0.0])  # exclusive or

    def loss_fn(x, y):
        return nn.losses.binary_cross_entropy(model(x).squeeze(-1), y)

    state = [model.state, optimizer.state, mx.random.state]

    @partial(mx.compile, inputs=state, outputs=state)
    def step(x, y):
        loss, grads = nn.value_and_grad(model, loss_fn)(x, y)
        optimizer.update(model, grads)
        return loss

    for _ in range(200):
        step(x, y)
        mx.eval(state)
    model.eval()
    assert loss_fn(x, y).item() < 0.1
    assert [v > 0 for v in model(x).squeeze(-1).tolist()] == [False, True, True, False]


@pytest.mark.parametrize(
    "make", [lambda: optim.SGD(0.1), lambda: optim.MultiOptimizer([optim.Adam(0.1)])]
)
def test_update_says_that_its_arguments_are_swapped(make):
    layer, rule = nn.Linear(1, 1), make()
    grads = {"weight": mx.ones((1, 1))}
    name = type(rule).__name__
    with pytest.raises(TypeError, match=rf"\[{name}\] arguments swapped: .*update\(model, grad"):
        rule.update(grads, layer)
    for wrong in (None, 3, [mx.ones(1)]):
        with pytest.raises(TypeError, match=rf"\[{name}\] not a model and gradients"):
            rule.update(wrong, grads)
    assert rule.step.item() == 0
    rule.update(layer, grads)
    assert rule.step.item() == 1


@pytest.mark.parametrize(
    "name, call",
    [
        ("clip_grad_norm", lambda tree: optim.clip_grad_norm(tree, 1.0)),
        ("SGD", lambda tree: optim.SGD(0.1).init(tree)),
        ("Adam", lambda tree: optim.Adam(0.1).apply_gradients(tree, tree)),
        (
            "MultiOptimizer",
            lambda tree: optim.MultiOptimizer([optim.SGD(0.1)]).apply_gradients(tree, tree),
        ),
        ("MultiOptimizer", lambda tree: optim.MultiOptimizer([optim.SGD(0.1)]).init(tree)),
    ],
)
def test_errors_about_trees_name_the_function_that_was_called(name, call):
    for tree in ({"w": mx.ones(1)}, {"w": [mx.ones(1)]}):
        tree["again"] = [tree]
        with pytest.raises(ValueError, match=rf"\[{name}\] a container contains itself"):
            call(tree)


@pytest.mark.parametrize("eps", [(0, 1e-3), (-1e-30, 1e-3), (1e-30, -1e-3), (1e-30,), (1, 2, 3)])
def test_both_eps_of_adafactor_are_checked(eps):
    with pytest.raises(ValueError, match=r"\[Adafactor\].*eps"):
        optim.Adafactor(eps=eps)
    for wrong in (1e-3, "ab", None, ("a", "b")):
        with pytest.raises(TypeError, match=r"\[Adafactor\] eps"):
            optim.Adafactor(eps=wrong)
    assert optim.Adafactor(eps=(1e-30, 0)).eps[1] == 0


NAN, INF = float("nan"), float("inf")
RATED = ["SGD", "RMSprop", "Adagrad", "AdaDelta", "Adam", "AdamW", "Adamax", "Lion", "LAMB",
         "Adafactor", "Muon", "LBFGS"]
SENSELESS = [
    *[(name, {"learning_rate": rate}, "learning_rate") for name in RATED
      for rate in (-0.1, NAN, INF, -INF, -1)],
    *[(name, {"betas": betas}, "betas") for name in ("Adam", "AdamW", "Adamax", "Lion", "LAMB")
      for betas in ([1.0, 0.9], [0.9, 1.0], [-0.1, 0.9], [NAN, 0.9], [0.9, NAN], [0.9])],
    *[(name, {"eps": eps}, "eps") for name in ("RMSprop", "Adagrad", "AdaDelta", "Adam", "AdamW",
                                               "Adamax", "LAMB") for eps in (-1e-8, NAN, INF)],
    *[(name, {"weight_decay": decay}, "weight_decay")
      for name in ("SGD", "AdamW", "Lion", "LAMB", "Adafactor", "Muon")
      for decay in (-0.1, NAN, INF)],
    *[(name, {"momentum": m}, "momentum") for name in ("SGD", "Muon") for m in (-0.1, NAN, INF)],
    *[("SGD", {"dampening": d}, "dampening") for d in (NAN, INF)],
    *[("RMSprop", {"alpha": a}, "alpha") for a in (-0.1, 1.1, NAN)],
    *[("AdaDelta", {"rho": a}, "rho") for a in (-0.1, 1.1, NAN)],
    ("Muon", {"momentum": 1.5}, "momentum"), ("Muon", {"ns_steps": -1}, "ns_steps"),
    *[("Adafactor", {"clip_threshold": c}, "clip_threshold") for c in (0, -1, NAN)],
    *[("Adafactor", {"decay_rate": c}, "decay_rate") for c in (0.5, NAN, -INF)],
    *[("Adafactor", {"beta_1": c}, "beta_1") for c in (1.0, -0.1, NAN)],
    ("Adafactor", {"eps": (0.0, 1e-3)}, "eps"), ("Adafactor", {"eps": (1e-30, NAN)}, "eps"),
    ("LBFGS", {"tolerance_grad": -1.0}, "tolerance_grad"),
    ("LBFGS", {"tolerance_change": NAN}, "tolerance_change"),
    ("LBFGS", {"max_eval": 0}, "max_eval"),
]


@pytest.mark.parametrize("name, options, what", SENSELESS, ids=str)
def test_numbers_without_sense_are_refused(name, options, what):
    with pytest.raises(ValueError, match=rf"^\[{name}\] .*{what}.*: got .*, expected "):
        getattr(optim, name)(**{"learning_rate": 0.1, **options})


@pytest.mark.parametrize("name", RATED)
def test_learning_rates_that_are_set_later_are_looked_at_too(name):
    rule = getattr(optim, name)(learning_rate=0.1)
    for wrong in (-0.1, NAN, INF, np.float32(-0.5)):
        with pytest.raises(ValueError, match=rf"^\[{name}\] bad learning_rate: got {wrong}"):
            rule.learning_rate = wrong
    assert rule.learning_rate.item() == pytest.approx(0.1)
    for rate in (0, 0.0, 2, np.float32(0.5), mx.array(0.25), lambda step: mx.array(0.1) * step,
                 lambda step: 0.5, optim.cosine_decay(0.1, 10)):
        rule.learning_rate = rate
        made = getattr(optim, name)(learning_rate=rate)
        if name != "LBFGS":
            made.apply_gradients({"w": mx.ones((2, 2))}, {"w": mx.ones((2, 2))})
    step = mx.compile(lambda rate: getattr(optim, name)(learning_rate=rate).learning_rate * 2)
    assert step(mx.array(0.5)).item() == 1
