"""A bad value of an environment variable is a warning at import; nothing ends there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import lazulite.core as mx
    f = mx.compile(lambda x: x + 1)
    assert (mx.ones((4, 4)) @ mx.ones((4, 4))).sum().item() == 64 and f(mx.ones(2)).tolist() == [2, 2]
print("|".join(str(w.message) for w in caught))
"""
BAD = {
    "LAZULITE_ISA": ["foo", "AVX2 ", "amx512", "1", "\\udcff"],
    "LAZULITE_NUM_THREADS": ["x", "0", "-3", "1e3", "99999999999999999999", "2 "],
    "LAZULITE_OPENBLAS": ["/does/not/exist.so", "/etc/passwd"],
    "LAZULITE_BFS_MAX_WIDTH": ["wide", "-1", "2.5"],
    "MLX_BFS_MAX_WIDTH": ["?"],
    "LAZULITE_DISABLE_COMPILE": ["maybe", "2"],
    "MLX_DISABLE_COMPILE": ["nope"],
    "LAZULITE_COMPILE_CACHE_SIZE": ["many", "0", "-1"],
    "LAZULITE_DEBUG_VMAP": ["y?"],
    "LAZULITE_FUSE": ["perhaps"],
    "LAZULITE_DONATE": ["3"],
    "LAZULITE_MACHINE_CODE": ["never"],
    "LAZULITE_GUARD": ["1", "behind"],
    "LAZULITE_CACHE_BYTES": ["8 MB", "-1"],
    "LAZULITE_PACKED_BYTES": ["64 MB", "-1"],
    "LAZULITE_PENDING_LIMIT": ["all", "-1"],
}
GOOD = {
    "LAZULITE_ISA": "generic",
    "LAZULITE_NUM_THREADS": "3",
    "LAZULITE_OPENBLAS": "none",
    "LAZULITE_BFS_MAX_WIDTH": "100",
    "MLX_BFS_MAX_WIDTH": "0",
    "LAZULITE_DISABLE_COMPILE": "Yes",
    "MLX_DISABLE_COMPILE": "false",
    "LAZULITE_COMPILE_CACHE_SIZE": "8",
    "LAZULITE_DEBUG_VMAP": "on",
    "LAZULITE_FUSE": "0",
    "LAZULITE_DONATE": "OFF",
    "LAZULITE_MACHINE_CODE": "no",
    "LAZULITE_GUARD": "start",
    "LAZULITE_CACHE_BYTES": "0",
    "LAZULITE_PACKED_BYTES": "0",
    "LAZULITE_PENDING_LIMIT": "100",
}


def run(**environment):
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("LAZULITE_", "MLX_"))}
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        capture_output=True,
        text=True,
        timeout=120,
        env={**clean, **environment},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip().split("|") if done.stdout.strip() else []


@pytest.mark.parametrize("name", BAD)
def test_a_bad_value_is_a_warning_that_names_variable_value_and_what_is_accepted(name):
    for value in BAD[name]:
        value = value.encode().decode("unicode_escape") if "\\" in value else value
        said = run(**{name: value})
        assert len(said) == 1, said
        assert said[0].startswith(f"[{name}] ignored: got '") and "expected" in said[0]
        if value.isascii():
            assert f"'{value}'" in said[0]


def test_good_values_say_nothing():
    assert run(**GOOD) == []
    assert run(**{name: "" for name in BAD}) == []


def test_all_bad_values_at_once():
    assert len(run(**{name: values[0] for name, values in BAD.items()})) == len(BAD)


def test_every_variable_of_the_page_about_building_is_checked():
    page = (Path(__file__).parents[2] / "docs" / "building.md").read_text()
    table = page[page.index("| environment variable |") :].split("\n\n")[0]
    named = {
        word.strip("`, ")
        for line in table.splitlines()
        if line.startswith("| `")
        for word in line.split("|")[1].split(",")
    }
    assert {n for n in named if n.startswith(("LAZULITE_", "MLX_"))} == set(BAD)
