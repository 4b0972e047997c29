"""Schedules against their formulas."""

import math

import pytest

import lazulite.core as mx
import lazulite.optimizers as optim


def cosine(t, init, steps, end=0.0):
    return end + (init - end) * (1 + math.cos(math.pi * min(t, steps) / steps)) / 2


CASES = {
    "exponential_decay": (optim.exponential_decay(0.1, 0.9), lambda t: 0.1 * 0.9**t),
    "step_decay": (optim.step_decay(0.1, 0.9, 3), lambda t: 0.1 * 0.9 ** (t // 3)),
    "cosine_decay": (optim.cosine_decay(0.1, 10), lambda t: cosine(t, 0.1, 10)),
    "cosine_decay to an end": (
        optim.cosine_decay(0.1, 10, 0.02),
        lambda t: cosine(t, 0.1, 10, 0.02),
    ),
    "linear_schedule up": (optim.linear_schedule(0.0, 0.1, 10), lambda t: 0.01 * min(t, 10)),
    "linear_schedule down": (
        optim.linear_schedule(0.1, 0.05, 5),
        lambda t: 0.1 - 0.01 * min(t, 5),
    ),
    "join_schedules of one": (optim.join_schedules([lambda t: 0.1 * t], []), lambda t: 0.1 * t),
    "join_schedules": (
        optim.join_schedules(
            [
                optim.linear_schedule(0.0, 0.1, 4),
                optim.cosine_decay(0.1, 10),
                optim.exponential_decay(0.5, 0.5),
            ],
            [4, 20],
        ),
        lambda t: (0.025 * t if t < 4 else cosine(t - 4, 0.1, 10) if t < 20 else 0.5 ** (t - 19)),
    ),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("step", [0, 1, 3, 4, 5, 9, 10, 11, 19, 20, 21, 40])
def test_a_schedule_is_its_formula_for_numbers_and_arrays(name, step):
    schedule, formula = CASES[name]
    expected = pytest.approx(formula(step), rel=1e-4, abs=1e-7)
    assert float(schedule(step)) == expected
    for dtype in (mx.int32, mx.uint64):
        assert schedule(mx.array(step, dtype)).item() == expected


@pytest.mark.parametrize(
    "make",
    [
        lambda: optim.cosine_decay(0.1, 0),
        lambda: optim.linear_schedule(0.1, 0.2, 0),
        lambda: optim.step_decay(0.1, 0.5, 0),
        lambda: optim.join_schedules([], []),
        lambda: optim.join_schedules([lambda t: t], [1]),
    ],
    ids=["cosine", "linear", "step", "nothing to join", "too many boundaries"],
)
def test_bad_arguments_are_value_errors(make):
    with pytest.raises(ValueError, match="got"):
        make()


def test_the_first_step_uses_the_schedule_at_0():
    optimizer = optim.SGD(optim.linear_schedule(1.0, 0.0, 4))
    w = {"w": mx.array([0.0])}
    rates = []
    for _ in range(6):
        w = optimizer.apply_gradients({"w": mx.array([1.0])}, w)
        rates.append(optimizer.learning_rate.item())
    assert rates == [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
    assert w["w"].tolist() == [-2.5]


def test_schedulers_are_a_dict():
    class Endless:
        def __getitem__(self, i):
            return i

    for wrong in ([Endless()], [("a", lambda step: 1)], 3):
        with pytest.raises(TypeError, match=r"\[Optimizer\] schedulers: got .*, expected a dict"):
            optim.Optimizer(wrong)
