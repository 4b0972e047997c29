"""The fuzzers' own machinery: what fails is found, shrunk and printed, also when the process dies
or hangs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = '''
import os, sys, time
sys.path.insert(0, {here!r})
import common

def generate(rng):
    lines = [f"v{{k}} = {{rng.randrange(100, 200)}}" for k in range(12)]
    lines.insert(rng.randrange(12), "bad = v0 + 1 if 'v0' in globals() else 5")
    return lines

def check(lines):
    scope = {{}}
    for line in lines:
        exec(line, scope)
    if "bad" in scope and "v3" in scope:
        {fault}

if __name__ == "__main__":
    common.main(generate, check, timeout=2.0{more})
'''


def run(tmp_path, fault, more="", *arguments):
    script = tmp_path / "planted.py"
    script.write_text(SCRIPT.format(here=str(Path(__file__).parent), fault=fault, more=more))
    return subprocess.run(
        [sys.executable, str(script), *arguments],
        capture_output=True,
        text=True,
        env=os.environ,
        timeout=300,
    )


FAULTS = {
    "wrong": ("return common.Failure('wrong', 'a text')", "wrong: a text"),
    "raises": ("return common.raised(ValueError('no: 3'), 'it')", "it raises ValueError: no"),
    "crash": ("os.abort()", "dies with signal 6"),
    "exit": ("os._exit(3)", "ends the process with 3"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found_and_shrunk(name, tmp_path):
    fault, said = FAULTS[name]
    done = run(tmp_path, fault, "", "--seconds", "20")
    assert done.returncode == 1, done.stderr
    program = (
        done.stdout.split("import lazulite.core as mx\n")[1].split("# ----")[0].strip().split("\n")
    )
    assert said in done.stdout and "--seed 0" in done.stdout
    assert sorted(line.split(" ")[0] for line in program) == ["bad", "v3"] and "v3 = 1" in program


@pytest.mark.parametrize("fault", ["time.sleep(1000)", "while True: pass"])
def test_a_hang_is_a_failure(fault, tmp_path):
    done = run(tmp_path, fault, "", "--seed", "0", "--go-on")
    assert "hangs for 2 s" in done.stdout


def test_results_that_depend_on_the_environment_are_a_failure(tmp_path):
    more = (
        ", results=lambda lines: {'a': os.environ.get('PLANTED', '0')}, variants=[{'PLANTED': '1'}]"
    )
    done = run(tmp_path, "pass", more, "--seed", "0", "--go-on")
    assert "differs under {'PLANTED': '1'}" in done.stdout


def test_seeds_without_failure_end_well(tmp_path):
    done = run(tmp_path, "pass", "", "--seed", "4")
    assert done.returncode == 0 and "seeds 4 to 4: no failures" in done.stdout


def test_any_seed_makes_a_program():
    """What makes programs refers to nothing that the program has deleted."""
    code = (
        "import random, maker\n"
        "for seed in range(91000000, 91001000): maker.generate(random.Random(seed))\n"
    )
    here = Path(__file__).parent
    paths = os.pathsep.join([str(here), str(here.parent / "ops"), str(here.parent)])
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([paths, os.environ.get("PYTHONPATH", "")])}
    subprocess.run([sys.executable, "-c", code], env=env, check=True, timeout=300)
