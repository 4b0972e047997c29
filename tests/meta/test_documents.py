"""What README and docs show: every Python block runs, a file's blocks in order in one scope, and prints what is shown.

A ```text block right after a ```python block holds what that block prints; `...` in it stands for anything.
"""

import contextlib
import doctest
import io
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:\n*```text\n(.*?)^```$)?", re.S | re.M)


def blocks(text):
    """(line, program, what it prints or None) of each Python block."""
    return [(text[: m.start()].count("\n") + 1, m[1], m[2]) for m in BLOCK.finditer(text)]


def run(path, scope):
    for line, program, shown in blocks(path.read_text()):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile("\n" * line + program, str(path), "exec"), scope)
        if shown is not None:
            agrees = doctest.OutputChecker().check_output(shown, printed.getvalue(), doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
            assert agrees, f"{path.name}:{line} prints\n{printed.getvalue()}\nand shows\n{shown}"


@pytest.mark.parametrize("path", [f for f in FILES if blocks(f.read_text())], ids=lambda p: p.name)
def test_programs_run_and_print_what_is_shown(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(path, {"__name__": "__main__"})


def test_the_profile_of_the_readme_shows_steps(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    scope = {"__name__": "__main__"}
    run(ROOT / "README.md", scope)
    assert scope["p"].rows(), "what the profile's block evaluates was evaluated before it"
    assert "nothing" not in str(scope["p"])
