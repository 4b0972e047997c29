"""Each fuzzer finds a fault that is planted in the library, and prints a short program that shows
it; the same seed gives the same report."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
SCRIPT = """
import functools, os, sys
sys.path[:0] = [{here!r}, {ops!r}]
import lazulite.core as mx

def plant(name, wrong, owner=mx):
    real = getattr(owner, name)
    def replaced(*args, **kwargs):
        return wrong(real, *args, **kwargs)
    setattr(owner, name, functools.wraps(real)(replaced))

def crash(*args, **kwargs):
    os.abort()

{fault}
fuzzer = sys.modules["__main__"].__file__ = {fuzzer!r}
exec(compile(open(fuzzer).read(), fuzzer, "exec"))
"""
# fuzzer: (the fault, what its report says, a part of the short program, its most lines)
FAULTS = {
    "programs: a value": (
        'plant("minmax", lambda minmax, a, *axis, **k: minmax(a, *axis, **k)[::-1])',
        "is not what NumPy makes",
        "mx.minmax(",
        3,
    ),
    "programs: compile": (
        "def doubled(compile, f):\n"
        "    return lambda *a: {n: v * 2 for n, v in compile(f)(*a).items()}\n"
        'plant("compile", doubled)',
        "compiled differs from step by step",
        "",
        2,
    ),
    "programs: a setting": (
        'if os.environ.get("LAZULITE_FUSE") == "0":\n'
        '    plant("repeat", lambda repeat, *a, **k: repeat(*a, **k) * 2)',
        "differs under {'LAZULITE_FUSE': '0'}",
        "mx.repeat(",
        3,
    ),
    "programs: a crash while it is made": (
        'plant("repeat", crash)',
        "dies with signal 6",
        "mx.repeat(",
        3,
    ),
    "transforms: a gradient": (
        'plant("checkpoint", lambda checkpoint, f: lambda *a: mx.stop_gradient(f(*a)))',
        "checkpointed gradients differ",
        "",
        4,
    ),
    "transforms: lanes": (
        'plant("vmap", lambda vmap, f, *a, **k: lambda *args: vmap(f, *a, **k)(*args)[::-1])',
        "mapped values differ",
        "",
        4,
    ),
    "layers: a gradient": (
        'plant("checkpoint", lambda checkpoint, f: lambda *a: mx.stop_gradient(f(*a)))',
        "gradients are no finite differences",
        "heckpoint",
        1,
    ),
    "loops: a value": (
        'plant("scan", lambda scan, *a, **k: (lambda c, y: (c, y * 2))(*scan(*a, **k)))',
        "loops differ",
        "scan(",
        4,
    ),
    "threads: a value": (
        'plant("from_dlpack", lambda real, a, **k: real(a, **k) + 1)',
        "own array is wrong",
        "from_dlpack",
        1,
    ),
    "threads: a crash": ('plant("from_dlpack", crash)', "dies with signal 6", "from_dlpack", 1),
    "files: an exception": (
        "def careless(load, *a, **k):\n"
        "    try:\n        return load(*a, **k)\n"
        "    except mx.FormatError as error:\n"
        '        raise ValueError("no") if "truncated" in str(error) else error\n'
        'plant("load", careless)',
        "a damaged file raises ValueError",
        "mx.load(",
        1,
    ),
    "files: a crash": (
        "def careless(load, *a, **k):\n"
        "    try:\n        return load(*a, **k)\n"
        "    except mx.FormatError as error:\n        crash()\n"
        'plant("load", careless)',
        "dies with signal 6",
        "mx.load(",
        1,
    ),
    "files: a value": (
        'plant("save_safetensors", lambda save, p, d, *m: save(p, dict(zip(d, [*d.values()][::-1])), *m))',
        "saved as safetensors, another array comes back",
        "mx.load(",
        1,
    ),
    "misuse: a text": (
        "def silent(trace, *a, **k):\n"
        "    try:\n        return trace(*a, **k)\n"
        "    except ValueError:\n        raise ValueError\n"
        'plant("trace", silent)',
        "an error without a text",
        "mx.trace(",
        1,
    ),
    "misuse: a crash": (
        "def number(trace, a, *b, **k):\n"
        '    return trace(a, *b, **k) if hasattr(a, "T") else crash()\n'
        'plant("trace", number)',
        "dies with signal 6",
        "mx.trace(",
        1,
    ),
}


def planted(tmp_path, name, fault, *arguments):
    script = tmp_path / f"{name}.py"
    script.write_text(
        SCRIPT.format(
            here=str(HERE),
            ops=str(HERE.parent / "ops"),
            fault=fault,
            fuzzer=str(HERE / f"{name}.py"),
        )
    )
    return subprocess.run(
        [sys.executable, str(script), *arguments], capture_output=True, text=True, timeout=600
    )


def program_in(report):
    return report.split("\n# ----")[-2].split("\n", 1)[1]


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found_and_shrunk_to_a_program_that_runs(name, tmp_path):
    fault, said, shown, most = FAULTS[name]
    done = planted(tmp_path, name.split(":")[0], fault, "--seconds", "300")
    assert done.returncode == 1 and said in done.stdout, done.stdout + done.stderr
    program = program_in(done.stdout)
    made = re.findall(r"^(?:    )?v\d+ = .*|^attempt\(.*|^layers\.append\(.*", program, re.M)
    assert len(made) <= most and any(shown in line for line in made), program
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path
    )
    assert ran.returncode == 0, program + ran.stderr  # it is the fault that crashes


def test_a_seed_gives_the_same_report_again(tmp_path):
    fault = FAULTS["transforms: a gradient"][0]
    found = planted(tmp_path, "transforms", fault, "--seconds", "300").stdout
    seed = re.search(r"--seed (\d+)", found).group(1)
    again = planted(tmp_path, "transforms", fault, "--seed", seed)
    assert again.returncode == 1 and again.stdout == found
    printed = [planted(tmp_path, "transforms", "", "--seed", seed, "--print") for _ in range(2)]
    assert len(printed[0].stdout) > 100 and printed[0].stdout == printed[1].stdout
    fine = planted(tmp_path, "transforms", "", "--seed", seed)
    assert fine.returncode == 0 and "no failures" in fine.stdout


@pytest.mark.parametrize("end", ["os.abort()", "sys.exit(3)", "raise ValueError", "1 / 0"])
def test_the_runner_reports_a_fuzzer_that_ends_badly(end, tmp_path):
    """Also when a signal ends the script itself, whose exit code is then below 0."""
    (tmp_path / "broken.py").write_text(f"import os, sys\n{end}\n# common.main(")
    (tmp_path / "fine.py").write_text("print('no failures')\n# common.main(")
    (tmp_path / "run.py").write_text((HERE / "run.py").read_text())
    done = subprocess.run(
        [sys.executable, str(tmp_path / "run.py"), "1"], capture_output=True, text=True
    )
    assert done.returncode == 1 and "no failures" in done.stdout
