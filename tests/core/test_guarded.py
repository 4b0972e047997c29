"""LAZULITE_GUARD: memory of arrays beside pages without access."""

import os
import signal
import subprocess
import sys

import pytest

import lazulite.core as mx
from lazulite.core import _core

CODE = """
import ctypes, mmap, sys
import numpy as np
import lazulite.core as mx

side = sys.argv[1]
for size in (1, 3, 4095, 4096, 4097, 1000003):
    a = mx.zeros(size, dtype=mx.uint8) + 7
    mx.eval(a)
    start = np.asarray(memoryview(a)).ctypes.data
    assert (start + size if side == "end" else start) % mmap.PAGESIZE == 0, size
    assert ctypes.string_at(start, size) == bytes([7]) * size
print("inside", flush=True)
ctypes.string_at(start + size if side == "end" else start - 1, 1)
print("beyond", flush=True)
"""


@pytest.mark.parametrize("side", ["end", "start"])
def test_one_byte_beyond_an_array_ends_the_process(side):
    done = subprocess.run(
        [sys.executable, "-c", CODE, side],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "LAZULITE_GUARD": side},
    )
    assert done.stdout == "inside\n", done.stderr
    assert done.returncode in (-signal.SIGSEGV, -signal.SIGBUS), done.stderr


def test_the_side_is_what_the_environment_says_and_can_be_changed():
    wanted = os.environ.get("LAZULITE_GUARD") or "none"
    before = _core._set_guard("start")
    try:
        assert before == wanted
        a = mx.arange(5) + 1
        assert a.tolist() == [1, 2, 3, 4, 5]
        assert _core._set_guard("end") == "start"
        assert (a + a).tolist() == [2, 4, 6, 8, 10]  # one of each kind
    finally:
        _core._set_guard(before)
    assert a.tolist() == [1, 2, 3, 4, 5]


def test_other_sides_are_refused():
    with pytest.raises(ValueError, match=r"\[set_guard\] .*'behind'.*'end', 'start' or 'none'"):
        _core._set_guard("behind")
