"""The bench runner: every case gives the values of float64 in small sizes, and what is missing or
breaks leaves a gap."""

import argparse
import base64
import importlib.util
import json
import math
import signal
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

BENCH = Path(__file__).parents[2] / "bench"


@pytest.fixture(scope="module")
def run():
    """bench/run.py under a name of its own: tests/fuzz has a run.py, too."""
    spec = importlib.util.spec_from_file_location("bench_run", BENCH / "run.py")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(BENCH))
    spec.loader.exec_module(module)
    yield module
    sys.path.remove(str(BENCH))


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    """All cases once, without times, in a process as from the command line."""
    path = tmp_path_factory.mktemp("bench") / "results.json"
    arguments = ["--check", "--peers", "numpy", "--json", str(path)]
    done = subprocess.run(
        [sys.executable, str(BENCH / "run.py"), *arguments], capture_output=True, text=True
    )
    return done, json.loads(path.read_text())


def test_every_case_gives_the_values_of_float64(checked):
    done, _ = checked
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_case_runs_in_lazulite_and_is_compared(checked):
    for case in checked[1]["cases"]:
        label = f"{case['room']}: {case['name']}"
        assert "gap" not in case["frameworks"]["lazulite"], label
        assert case["checked"] or case["room"] == "functions", label
    assert len(checked[1]["cases"]) > 300


def test_the_rows_of_the_table_are_cases(checked):
    from lazulite.core import _core

    names = {case["name"].split(",")[0] for case in checked[1]["cases"]}
    rows = [r for r in _core._table() if "operands" in r]
    missing = [r["name"] for r in rows if r["name"] not in names]
    doubles = [n for n in missing if getattr(np, n, None) is not None]
    assert missing == doubles  # NumPy has them under another name, which is a case


def options(**more):
    return argparse.Namespace(threads=0, check=True, verbose=False, patience=60, **more)


def test_a_process_that_dies_or_hangs_leaves_a_gap_and_is_made_anew(run):
    process = run.Process("numpy", sys.executable, options(), [])
    process.start()
    process.child.kill()
    process.child.wait()
    name = "elementwise: exp, 1e7 float32"
    assert "died" in process.ask("prepare", name=name)["gap"]
    assert "samples" in process.ask("prepare", name=name)
    process.child.send_signal(signal.SIGSTOP)  # that it cannot answer, however fast it is
    process.options.patience = 0.01
    assert "took more" in process.ask("about")["gap"]
    process.options.patience = 60
    assert "version" in process.ask("about")
    process.stop()


def test_a_framework_that_is_not_there_is_left_out(tmp_path):
    done = subprocess.run(
        [sys.executable, str(BENCH / "run.py"), "--check", "--only", "^dispatch: item$"]
        + ["--peers", f"jax={tmp_path}/python"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and "without" in done.stderr, done.stderr


def test_times_and_peaks_are_taken_and_views_left_out(tmp_path):
    def measured(pattern, *more):
        path = tmp_path / "results.json"
        arguments = ["--peers", "numpy", "--only", pattern, "--json", str(path), *more]
        done = subprocess.run(
            [sys.executable, str(BENCH / "run.py"), *arguments], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout, json.loads(path.read_text())["cases"]

    shown, cases = measured("functions: (real|tile),", "--rounds", "2", "--seconds", "0.001")
    view, case = cases
    assert view["view"] and "(a view)" in shown
    for who in ("lazulite", "numpy"):
        entry = case["frameworks"][who]
        assert len(entry["rounds"]) == 2 and 0 < entry["least"] <= entry["median"]
    shown, (case,) = measured("memory: 100 rows", "--memory")
    assert case["frameworks"]["lazulite"]["peak"] == 4_000_000


def sample(values):
    values = np.asarray(values, np.float64)
    data = base64.b64encode(values.tobytes()).decode()
    return {"shape": list(values.shape), "kind": "float64", "data": data, "dtype": "float32"}


def test_wrong_values_are_noticed(run):
    case = argparse.Namespace(tolerance=None)
    right = [sample([1.0, -2.0, np.nan, np.inf])]
    error = lambda *got: run.error_of("a case", case, right, list(got))  # noqa: E731
    assert error(*right) == 0
    assert error(sample([1.0, -2.00001, np.nan, np.inf])) < 1
    assert error(sample([1.0, -2.1, np.nan, np.inf])) > 1
    assert error(sample([1.0, -2.0, 3.0, np.inf])) == math.inf
    assert error(sample([1.0, -2.0, np.nan])) == math.inf
    assert error() == math.inf


def test_the_equation_of_state_is_that_of_the_paper(run):
    """The value that TEOS-10's toolboxes give for 35 g/kg, 25 degrees and 2000 dbar."""
    from cases import programs

    density, expansion = programs.equation_of_state(np, 35.0, 25.0, 2000.0)
    assert abs(1 / density - 0.000969429311180351) < 1e-15
    assert abs(expansion / density - 3.095166333930331e-07) < 1e-15
    assert 200 < programs.OPERATIONS < 300


def test_the_page_is_written_between_its_marks(run, tmp_path):
    cases = [
        {
            "room": room,
            "name": "one",
            "judged": True,
            "checked": True,
            "bytes": 10**7,
            "flops": None,
            "frameworks": {"lazulite": {"median": 1e-3}, "numpy": {"median": ratio * 1e-3}},
        }
        for room, ratio in (("reduce", 4.0), ("norms", 0.25), ("compile", 100.0))
    ]
    about = {"date": "2026-01-01", "cpu": "a CPU", "isa": "avx2", "threads": 2}
    results = run.report.Results(
        **about, versions={"lazulite": "1", "numpy": "2"}, unit="median", rounds=1, cases=cases
    )
    page = tmp_path / "page.md"
    page.write_text("before\n{}\nold\n{}\nafter\n".format(*run.report.MARKS["times"]))
    results.write(page)
    text = page.read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and "old" not in text
    assert "| one | 1 ms | 4 ms | 4.00 | 10 GB/s |" in text
    assert "| all but compile | 1.00 | 2 | 1 |" in text
    drawn = ElementTree.parse(page.with_suffix(".svg")).getroot()
    dots = drawn.findall("{*}circle")
    assert [dot.get("fill") for dot in dots] == ["#1565c0", "#c62828", "#1565c0"]
    assert float(dots[0].get("cx")) > float(dots[1].get("cx"))  # 4 is right of 0.25
    assert "0.25  norms: one" in results.ending()
    cases[0]["frameworks"]["lazulite"]["median"] = 0.0  # a clock that saw nothing
    assert results.ratio(cases[0]) is None and "10 GB/s" not in results.reaches(cases[0])
    cases[0]["frameworks"] = {"lazulite": {"median": 1e-3}, "numpy": {"median": 0.0}}
    assert results.ratio(cases[0]) is None and results.line(cases[0])
    results.roof = {
        "fma": {"float32": 100},
        "levels": [{"name": "all", "bytes": 1 << 60, "read": 30, "write": 20, "copy": 40}],
    }
    assert results.reaches(cases[0]) == "10 GB/s of 40 (all)"
    results.unit = "peak"
    cases[0]["frameworks"] = {"lazulite": {"peak": 2e6}, "numpy": {"peak": 4e6}}
    page.write_text("before\n{}\n{}\nafter\n".format(*run.report.MARKS["peaks"]))
    results.write(page)
    assert "| one | 2 MB | 4 MB | 2.00 |" in page.read_text()
