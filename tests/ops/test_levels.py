"""The same bits at every instruction-set level of the machine, but for sums of products, which are
right at each level, with the BLAS and without."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import bits
from levels import HERE, LOWER
from table import CASES, LARGE, ids

def child(**environment):
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("bits.py"))],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def without_blas():
    return child(LAZULITE_OPENBLAS="none")


PRODUCTS = {ids(entry) for entry in CASES + LARGE if not entry[0].same_bits_in_any_layout}


GUARDED = [(level, "end") for level in (*LOWER, HERE)]


@pytest.mark.parametrize("level, side", [*GUARDED, (HERE, "start")])
def test_bits_are_those_of_every_lower_level_within_the_memory_of_arrays(
    level, side, without_blas
):
    """What touches a byte beside them ends the process (device/cpu/guarded.h)."""
    got = child(LAZULITE_OPENBLAS="none", LAZULITE_ISA=level, LAZULITE_GUARD=side)
    assert got["level"] == level
    wrong = {k for k, v in got["bits"].items() if v != without_blas["bits"][k]}
    assert wrong - PRODUCTS == set()


def test_what_goes_around_the_caches_is_the_same(without_blas):
    assert child(LAZULITE_OPENBLAS="none", LAZULITE_CACHE_BYTES="0")["bits"] == without_blas["bits"]


def test_nothing_but_products_depends_on_the_blas(without_blas):
    for entry in CASES + LARGE:
        if entry[0].same_bits_in_any_layout:
            for dtype, wanted in without_blas["bits"][ids(entry)].items():
                assert bits.results(entry, dtype) == wanted, (entry, dtype)


@pytest.mark.parametrize("blas", ("none", ""))
@pytest.mark.parametrize("level", (*LOWER, HERE))
def test_products_agree_with_numpy(level, blas):
    code = f"blas = {blas != 'none'}" + """
import test_forward as t
for entry in t.CASES + t.LARGE:
    if entry[0].has_reference and not entry[0].same_bits_in_any_layout:
        try:
            t.test_values_agree_in_every_dtype(entry)
        except t.mx.LinAlgError as error:  # says what it needs
            assert not blas and "needs LAPACK" in str(error)
"""
    here = str(Path(__file__).parent)
    settings = {"LAZULITE_ISA": level, **({"LAZULITE_OPENBLAS": blas} if blas else {})}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **settings},
        cwd=here,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
