"""Pending work is bounded: what is recorded and never asked for is computed on the way."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import lazulite.core as mx
from lazulite.core import _core

MEASURE = """
import lazulite.core as mx
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 / 1e6
x = mx.zeros((4, 4)) + 1
mx.eval(x)
start = most = resident()
def look(i):
    global most
    if i % 5000 == 0:
        most = max(most, resident())
"""
LOOPS = {
    "adds": (
        "for i in range(300_000):\n    x = x + 1\n    look(i)\nassert x[0, 0].item() == 300_001",
        40,
    ),
    "adds in place": (
        "for i in range(300_000):\n    x += 1\n    look(i)\nassert x[0, 0].item() == 300_001",
        40,
    ),
    "updates": (
        "for i in range(200_000):\n    x[i % 4, 1] = i\n    look(i)\nassert x[3, 1].item() == 199_999",
        60,
    ),
    "two chains": (
        "a = b = x\nfor i in range(150_000):\n    a, b = b, a - b\n    look(i)\nassert a.shape == (4, 4)",
        40,
    ),
    "views": (
        "for i in range(300_000):\n    x = x.T\n    look(i)\nassert x.sum().item() == 16",
        60,
    ),
    "many chains in turn": (
        "xs = [x + i for i in range(1000)]\nfor i in range(300_000):\n    xs[i % 1000] = xs[i % 1000] + 1\n    look(i)\n"
        "assert xs[7][0, 0].item() == 308",
        90,
    ),
    "calls of a compiled function": (
        "f = mx.compile(lambda v: mx.tanh(v) * 2 + 1)\nfor i in range(60_000):\n    x = f(x)\n    look(i)",
        60,
    ),
    "data": (
        "import numpy as np\ntotal = mx.zeros(())\nfor i in range(400):\n    total = total + mx.array(np.ones((500, 500))).sum()\n"
        "    look(5000)\nassert total.item() == 1e8",
        450,
    ),
}


@pytest.mark.process_memory
@pytest.mark.parametrize("loop", LOOPS)
def test_a_loop_that_never_evaluates_stays_small(loop):
    text, megabytes = LOOPS[loop]
    out = subprocess.run(
        [sys.executable, "-c", MEASURE + text + "\nprint(most - start)"],
        capture_output=True,
        text=True,
    )
    assert out.returncode == 0, out.stderr
    assert float(out.stdout) < megabytes


def test_the_limit_can_be_set_and_taken_away():
    program = "import lazulite.core as mx\nprint(mx.get_pending_limit())"
    out = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "LAZULITE_PENDING_LIMIT": "123"},
        capture_output=True,
        text=True,
    )
    assert out.stdout.split() == ["123"]
    with pytest.raises(ValueError):
        mx.set_pending_limit(-1)
    old = mx.set_pending_limit(100)
    try:
        x = mx.zeros(3)
        for _ in range(5000):
            x = x + 1
        assert str(mx.plan(x)).count("add") < 300
        assert mx.set_pending_limit(0) == 100
        for _ in range(20_000):
            x = x + 1
        assert str(mx.plan(x)).count("add") > 10_000
        assert x.tolist() == [25_000.0] * 3
    finally:
        mx.set_pending_limit(old)


@pytest.fixture
def small_limit():
    old = mx.set_pending_limit(50)
    yield
    mx.set_pending_limit(old)


def test_nothing_is_computed_while_a_transform_is_open(small_limit):
    def long_chain(x):
        for _ in range(500):
            x = x * 1.001 + 0.5
        return x.sum()

    x = mx.arange(6, dtype=mx.float32)
    value, slope = mx.value_and_grad(long_chain)(x)
    np.testing.assert_allclose(np.array(slope), 1.001**500, rtol=1e-4)
    assert mx.compile(long_chain)(x).item() == value.item() == long_chain(x).item()
    assert mx.vmap(long_chain)(x.reshape(2, 3)).sum().item() == pytest.approx(
        value.item(), rel=1e-6
    )


def test_the_bits_are_the_same(small_limit):
    def run():
        rng = np.random.default_rng(0)
        w = mx.array(rng.normal(size=(33, 33)).astype(np.float32))
        x = w
        for i in range(200):
            x = mx.tanh(x @ w * 0.1 + x) + x[::-1] * 0.25
            x[i % 33] = x[:, i % 33]
            x = x - x.mean()
        return np.array(x)

    bounded = run()
    mx.set_pending_limit(0)
    assert np.array_equal(bounded, run())


def test_an_error_on_the_way_is_raised_by_who_reads(small_limit):
    x = mx.arange(5)
    bad = x[mx.array([7])]
    broken = bad
    for _ in range(1000):
        broken = broken + 1  # computed on the way, and fails
    fine = x
    for _ in range(1000):
        fine = fine + 1
    assert fine.tolist() == [1000, 1001, 1002, 1003, 1004]
    with pytest.raises(IndexError):
        broken.tolist()
    with pytest.raises(IndexError):
        bad.tolist()


def test_threads_record_at_the_same_time(small_limit):
    shared = mx.arange(10, dtype=mx.float32) + 1
    results = [None] * 4

    def work(k):
        x = shared
        for i in range(3000):
            x = x + k if i % 3 else x.at[i % 10].add(1.0)
        results[k] = x

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for k in range(4):
        x = np.arange(10) + 1.0 + 2000 * k
        for i in range(0, 3000, 3):
            x[i % 10] += 1
        assert results[k].tolist() == x.tolist()


def test_a_long_chain_behind_a_failure_is_planned_once():
    """Each look at what is pending would plan it all again."""

    def looks(index, n):
        before = _core._planning_work()
        y = mx.arange(4)[mx.array([index])]
        for _ in range(n):
            y = y + 1
        if index < 4:
            mx.eval(y)
        else:
            with pytest.raises(IndexError):
                mx.eval(y)
        return _core._planning_work() - before

    good = looks(3, 100_000)
    assert good > 100_000
    assert looks(7, 100_000) < 2 * good
