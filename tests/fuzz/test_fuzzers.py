"""Every fuzzer for a short time; `make fuzz SECONDS=3600` runs them for hours."""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import run  # noqa: E402

SECONDS = float(os.environ.get("FUZZ_SECONDS", "60"))


@pytest.fixture(scope="module")
def outcomes():
    return {script.stem: (code, text) for script, code, text in run.run_all(SECONDS)}


@pytest.mark.parametrize("name", [s.stem for s in run.fuzzers()])
def test_no_seed_fails(name, outcomes):
    code, text = outcomes[name]
    assert code == 0, "\n" + text
