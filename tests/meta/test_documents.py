"""The programs in README.md and docs/*.md run, file by file in one process, and print what the
pages show."""

import contextlib
import doctest
import gc
import io
import re
import warnings
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.S | re.M)


def programs(text):
    """(line, program, what it shall print or None) of each python block; a text block right after
    it is what it prints."""
    blocks = list(BLOCK.finditer(text))
    for block, after in zip(blocks, [*blocks[1:], None]):
        if block[1] != "python":
            continue
        shown = (
            after is not None
            and after[1] == "text"
            and not text[block.end() : after.start()].strip()
        )
        yield text[:block.start()].count("\n") + 2, block[2], after[2] if shown else None


def run(name, text):
    scope: dict = {"__name__": "__main__"}
    for line, program, shown in programs(text):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile("\n" * (line - 1) + program, name, "exec"), scope)
        if shown is not None:
            same = doctest.OutputChecker().check_output(shown, out.getvalue(), doctest.ELLIPSIS)
            assert same, f"{name}, line {line}: printed\n{out.getvalue()}instead of\n{shown}"
    return scope


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_the_programs_of_a_page_run_and_print_what_it_shows(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    gc.collect()  # pages show memory
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(page.name, page.read_text())


def test_the_profile_of_the_readme_shows_steps(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    scope = run("README.md", (ROOT / "README.md").read_text())
    assert scope["p"].rows(), "what the profile's block evaluates was evaluated before it"
    assert "nothing" not in str(scope["p"])


def test_a_wrong_page_is_noticed():
    with pytest.raises(AssertionError, match="line 2"):
        run("page", "```python\nprint(1)\n```\n```text\n2\n```\n")
    run("page", "```python\nprint(1, 2, 3)\n```\n```text\n1...3\n```\n")
    with pytest.raises(ZeroDivisionError):
        run("page", "```python\n1 / 0\n```\n")
