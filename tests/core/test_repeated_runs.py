"""Programs that read rows, or long runs, again and again beside rows that are short: the same bits
as of operands that lie whole in memory, over sizes past every border, threads and levels."""

import itertools

import numpy as np
import pytest

import lazulite.core as mx
import levels

ROWS = (2, 3, 9)
COUNTS = (63, 128, 129, 1000, 1500)
LENGTHS = (1, 3, 16, 48, 64, 65, 100, 127)
DTYPES = ("float32", "float64", "float16", "int8", "complex64")


def operands(rows, count, length, name):
    rng = np.random.default_rng(rows * count + length)
    return tuple(
        mx.array((rng.standard_normal(shape) * 20).astype(name), getattr(mx, name))
        for shape in ((rows, 1, length), (1, count, length), (rows, count, 1), (count, length))
    )


def formed(a, b, c, d):
    """Stored, under a reduction along rows, along columns, and of all."""
    y = (a - b) * (d + c) + b
    z = a * b
    return y, (a - b).max(-1), (a + b).sum(-1), (a - b + d).sum(1), z.sum(), z.max(0)


def check(rows, count, length, name):
    short = operands(rows, count, length, name)
    shape = (rows, count, length)
    whole = [mx.contiguous(mx.broadcast_to(x, shape)) for x in short]
    mx.eval(whole)
    got, want = formed(*short), formed(*whole)
    mx.eval(got, want)
    for k, (g, w) in enumerate(zip(got, want)):
        assert bytes(g) == bytes(w), (rows, count, length, name, k)
    for k, (g, w) in enumerate(zip(mx.compile(formed)(*short), want)):
        assert bytes(g) == bytes(w), (rows, count, length, name, k, "compiled")
    a, b, *_ = (np.asarray(x) for x in short)
    if name == "float32":
        assert np.array_equal(np.asarray(mx.array(a) * mx.array(b)), a * b)
        assert np.array_equal(np.asarray((mx.array(a) - mx.array(b)).max(-1)), (a - b).max(-1))


def check_all():
    for rows, count, length in itertools.product(ROWS, COUNTS, LENGTHS):
        check(rows, count, length, "float32")
    for name, count, length in itertools.product(DTYPES, (129, 1500), (48, 65)):
        check(5, count, length, name)


def test_all(threads):
    check_all()


@pytest.mark.parametrize("level", levels.LOWER)
def test_all_at_each_level(level):
    levels.run(level, "-c", "import test_repeated_runs as t\nt.check_all()")


def test_pieces_of_several_threads_begin_anywhere():
    before = mx.num_threads()
    found = set()
    try:
        for count in (1, 2, 7):
            mx.set_num_threads(count)
            a, b, c, d = operands(7, 4099, 48, "float32")
            found.add(b"".join(bytes(x) for x in formed(a, b, c, d)))
    finally:
        mx.set_num_threads(before)
    assert len(found) == 1


def test_what_is_written_over_is_no_run_that_comes_again():
    a, b, *_ = operands(9, 1500, 64, "float32")
    want = bytes((a + b) * 2 - b)
    for _ in range(3):
        x = a + b
        mx.eval(x)
        y = x * 2 - b
        del x
        assert bytes(y) == want
    assert bytes(b) == bytes(operands(9, 1500, 64, "float32")[1])
