"""Examples in docstrings run, and every function has a signature."""

import doctest
import importlib
import inspect
import pkgutil

import pytest

import lazulite
import lazulite.core as mx
import lazulite.nn as nn
import lazulite.optimizers as optim
from table import ROWS

RUNNER = dict(optionflags=doctest.NORMALIZE_WHITESPACE)


def run(test):
    failures: list = []
    runner = doctest.DocTestRunner(verbose=False, **RUNNER)
    runner.run(test, out=failures.append)
    assert not failures, "".join(failures)


@pytest.mark.parametrize("row", [r for r in ROWS if ">>>" in r.doc], ids=repr)
def test_examples_of_functions(row):
    run(doctest.DocTestParser().get_doctest(row.doc, {"mx": mx}, repr(row), None, 0))


@pytest.mark.parametrize(
    "row", [r for r in ROWS if not r.name.startswith("_") and r.module != "array"], ids=repr
)
def test_functions_are_documented_and_signed(row):
    assert ">>>" in row.doc and inspect.signature(row.function)


def modules():
    found = ["lazulite"]
    for info in pkgutil.walk_packages(lazulite.__path__, "lazulite."):
        if "._core" not in info.name:
            found.append(info.name)
    return found


@pytest.mark.parametrize("name", modules())
def test_examples_of_modules(name):
    module = importlib.import_module(name)
    for test in doctest.DocTestFinder(exclude_empty=True).find(module):
        if test.examples:
            test.globs.update({"mx": mx, "nn": nn, "optim": optim})
            run(test)


def test_the_stub_is_up_to_date():
    import subprocess
    import sys
    from pathlib import Path

    tool = Path(__file__).parents[2] / "tools" / "make_stubs.py"
    out = subprocess.run([sys.executable, str(tool), "--check"], capture_output=True, text=True)
    assert out.returncode == 0, out.stderr


def test_the_programs_of_the_readme_run(tmp_path, monkeypatch, capsys):
    import re
    from pathlib import Path

    text = (Path(__file__).parents[2] / "README.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, re.S)
    assert len(blocks) >= 3
    monkeypatch.chdir(tmp_path)
    scope: dict = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), scope)
    assert "predicted peak" in capsys.readouterr().out
    assert (
        (tmp_path / "trace.json").exists()
        and (tmp_path / "rnn.lzfn").exists()
        and (tmp_path / "graph.dot").exists()
    )
