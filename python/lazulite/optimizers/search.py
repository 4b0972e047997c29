"""How far to go along a line: a point that is low enough, and where it is flat enough."""

from __future__ import annotations

import math
from typing import Callable, NamedTuple

import lazulite.core as mx

Evaluate = Callable[[float], tuple[float, mx.array]]

ENOUGH_LOWER = 1e-4  # of what the slope at the beginning promises
ENOUGH_FLATTER = 0.9  # of that slope
MOST = 25  # evaluations


class Point(NamedTuple):
    """A place on the line: how far, the loss, the gradient, and the slope along the line."""

    t: float
    loss: float
    gradient: mx.array
    slope: float


def strong_wolfe(
    evaluate: Evaluate,
    length: float,
    direction: mx.array,
    loss: float,
    gradient: mx.array,
    slope: float,
    tolerance: float = 1e-9,
) -> tuple[float, mx.array, float]:
    """(loss, gradient, length) of a step that fulfils the strong Wolfe conditions (Nocedal and
    Wright, algorithms 3.5 and 3.6, by cubic interpolation), or of the best one found."""
    widest = float(mx.max(mx.abs(direction)))
    begin = Point(0.0, loss, gradient, slope)

    def look(t: float) -> Point:
        value, g = evaluate(t)
        return Point(t, value, g, float(mx.sum(g * direction)))

    def is_high(point: Point) -> bool:
        return point.loss > loss + ENOUGH_LOWER * point.t * slope

    before, point, used = begin, look(length), 0
    bracket: list[Point] = []
    while used < MOST:
        if is_high(point) or (used > 1 and point.loss >= before.loss):
            bracket = [before, point]
            break
        if abs(point.slope) <= -ENOUGH_FLATTER * slope:
            return point.loss, point.gradient, point.t
        if point.slope >= 0:
            bracket = [before, point]
            break
        nearest = point.t + 0.01 * (point.t - before.t)
        t = _cubic(before, point, nearest, 10 * point.t)
        before, point = point, look(t)
        used += 1
    if not bracket:
        bracket = [begin, point]
    best = _narrowed(bracket, look, is_high, slope, widest, used, tolerance)
    return best.loss, best.gradient, best.t


def _narrowed(
    bracket: list[Point],
    look: Callable[[float], Point],
    is_high: Callable[[Point], bool],
    slope: float,
    widest: float,
    used: int,
    tolerance: float,
) -> Point:
    """Narrow two points between which the step lies."""
    low, high = (0, 1) if bracket[0].loss <= bracket[1].loss else (1, 0)
    stuck = False
    while used < MOST:
        ends = sorted(point.t for point in bracket)
        width = ends[1] - ends[0]
        if width * widest < tolerance:
            break
        t = _cubic(bracket[0], bracket[1], *ends)
        # Too near to an end twice: go a tenth of the width away from it.
        if min(ends[1] - t, t - ends[0]) < 0.1 * width:
            if stuck or t >= ends[1] or t <= ends[0]:
                at_end = abs(t - ends[1]) < abs(t - ends[0])
                t = ends[1] - 0.1 * width if at_end else ends[0] + 0.1 * width
                stuck = False
            else:
                stuck = True
        else:
            stuck = False
        point = look(t)
        used += 1
        if is_high(point) or point.loss >= bracket[low].loss:
            bracket[high] = point
            low, high = (0, 1) if bracket[0].loss <= bracket[1].loss else (1, 0)
            continue
        done = abs(point.slope) <= -ENOUGH_FLATTER * slope
        if not done and point.slope * (bracket[high].t - bracket[low].t) >= 0:
            bracket[high] = bracket[low]
        bracket[low] = point
        if done:
            break
    return bracket[low]


def _cubic(a: Point, b: Point, least: float, most: float) -> float:
    """Where the cubic through two points and their slopes is lowest, within bounds."""
    if a.t > b.t:
        a, b = b, a
    if a.t == b.t:
        return (least + most) / 2
    d1 = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.t - b.t)
    square = d1 * d1 - a.slope * b.slope
    if not square >= 0:
        return (least + most) / 2
    d2 = math.sqrt(square)
    bottom = b.slope - a.slope + 2 * d2
    if bottom == 0:
        return (least + most) / 2
    return min(max(b.t - (b.t - a.t) * ((b.slope + d2 - d1) / bottom), least), most)
