"""Schedules: functions from the number of a step, counted from 0, to a learning rate.

An optimizer takes one in place of a number: ``SGD(learning_rate=cosine_decay(0.1, 1000))``. It
calls it with its step as an array, so that schedules work in compiled functions.
"""

import math
from functools import partial
from typing import Callable, Union

import lazulite.core as mx
from lazulite._arguments import checked

__all__ = [
    "cosine_decay",
    "exponential_decay",
    "join_schedules",
    "linear_schedule",
    "step_decay",
]

Step = Union[int, mx.array]
Schedule = Callable[[Step], Union[float, mx.array]]


@checked
def exponential_decay(init: float, decay_rate: float) -> Schedule:
    r""":math:`\text{init} \cdot \text{decay\_rate}^t` at step t.

    Example:
        >>> from lazulite.optimizers import exponential_decay
        >>> exponential_decay(8.0, 0.5)(3)
        1.0
    """

    return partial(_exponential, init, decay_rate)


@checked
def step_decay(init: float, decay_rate: float, step_size: float) -> Schedule:
    r""":math:`\text{init} \cdot \text{decay\_rate}^{\lfloor t / \text{step\_size} \rfloor}`.

    Raises:
        ValueError: ``step_size`` is not positive.

    Example:
        >>> from lazulite.optimizers import step_decay
        >>> [step_decay(8.0, 0.5, 10)(t) for t in (9, 10, 30)]
        [8.0, 4.0, 1.0]
    """
    _check_positive("step_decay", "step_size", step_size)

    return partial(_in_steps, init, decay_rate, step_size)


@checked
def cosine_decay(init: float, decay_steps: float, end: float = 0.0) -> Schedule:
    r"""Half a period of a cosine from ``init`` down to ``end``, where it then stays.

    .. math:: e + (i - e) \cdot (1 + \cos(\pi \min(t, T) / T)) / 2

    Raises:
        ValueError: ``decay_steps`` is not positive.

    Example:
        >>> from lazulite.optimizers import cosine_decay
        >>> [round(cosine_decay(1.0, 10)(t).item(), 6) for t in (0, 5, 10, 20)]
        [1.0, 0.5, 0.0, 0.0]
    """
    _check_positive("cosine_decay", "decay_steps", decay_steps)

    return partial(_cosine, init, decay_steps, end)


@checked
def linear_schedule(init: float, end: float, steps: float) -> Schedule:
    r"""A line from ``init`` at step 0 to ``end`` at step ``steps``, where it then stays.

    Raises:
        ValueError: ``steps`` is not positive.

    Example:
        >>> from lazulite.optimizers import linear_schedule
        >>> [linear_schedule(0.0, 1.0, 4)(t).item() for t in (0, 1, 4, 9)]
        [0.0, 0.25, 1.0, 1.0]
    """
    _check_positive("linear_schedule", "steps", steps)

    return partial(_line, init, end, steps)


@checked
def join_schedules(schedules: list[Schedule], boundaries: list[int]) -> Schedule:
    """One schedule after another; each counts its steps from where it begins.

    Args:
        schedules: the schedules.
        boundaries: the step at which each of them but the first begins.

    Raises:
        ValueError: there is no schedule, or not one boundary fewer than schedules.

    Example:
        >>> from lazulite.optimizers import cosine_decay, join_schedules, linear_schedule
        >>> warm_up = join_schedules([linear_schedule(0.0, 1.0, 4), cosine_decay(1.0, 100)], [4])
        >>> [round(warm_up(t).item(), 6) for t in (0, 2, 4, 54)]
        [0.0, 0.5, 1.0, 0.5]
    """
    if not schedules:
        raise ValueError("[join_schedules] nothing to join: got no schedule, expected one or more")
    if len(boundaries) != len(schedules) - 1:
        raise ValueError(
            f"[join_schedules] wrong number of boundaries: got {len(boundaries)} for "
            f"{len(schedules)} schedules, expected {len(schedules) - 1}"
        )

    return partial(_joined, list(schedules), list(boundaries))


def _check_positive(op: str, name: str, value: float) -> None:
    if not value > 0:
        raise ValueError(f"[{op}] bad {name}: got {value}, expected a positive number")


# What they return: functions of the module with their numbers, so that optimizers can be pickled.


def _exponential(init: float, decay_rate: float, step: Step) -> Union[float, mx.array]:
    return init * decay_rate**step


def _in_steps(
    init: float, decay_rate: float, step_size: float, step: Step
) -> Union[float, mx.array]:
    return init * decay_rate ** (step // step_size)


def _cosine(init: float, decay_steps: float, end: float, step: Step) -> mx.array:
    angle = mx.minimum(step, decay_steps) * (math.pi / decay_steps)
    return end + (init - end) * (0.5 * (1 + mx.cos(angle)))


def _line(init: float, end: float, steps: float, step: Step) -> mx.array:
    line = init + mx.minimum(step, steps) * ((end - init) / steps)
    return mx.where(mx.array(step) < steps, line, end)  # exactly, whatever the line rounds to


def _joined(
    schedules: list[Schedule], boundaries: list[int], step: Step
) -> Union[float, mx.array]:
    value = schedules[0](step)
    for begin, later in zip(boundaries, schedules[1:]):
        since = mx.maximum(step, begin) - begin  # steps are unsigned: never below 0
        value = mx.where(mx.array(step) < begin, value, later(since))
    return value
