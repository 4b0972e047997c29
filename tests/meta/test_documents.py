"""The programs in README.md and docs/*.md run, file by file in one process, and print what the
pages show; links lead somewhere."""

import contextlib
import doctest
import gc
import io
import re
import subprocess
import sys
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


def anchors(text):
    found: dict = {}
    for head in re.findall(r"^#+ (.*)$", BLOCK.sub("", text), re.M):
        anchor = re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-")
        found[anchor] = found.get(anchor, -1) + 1
    return {
        anchor + (f"-{k}" if k else "") for anchor, count in found.items() for k in range(count + 1)
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page):
    text = page.read_text()
    for target in re.findall(r"\]\(([^)\s]+)\)", BLOCK.sub("", text)):
        if re.match(r"\w+:", target):
            continue
        path, _, anchor = target.partition("#")
        to = page.parent / path if path else page
        assert to.exists(), f"{page.name}: {target}"
        if anchor:
            assert anchor in anchors(to.read_text()), f"{page.name}: {target}"


def test_every_page_for_users_is_on_the_index():
    index = (ROOT / "docs" / "README.md").read_text()
    assert [
        p.name
        for p in (ROOT / "docs").glob("*.md")
        if p.name != "README.md" and f"({p.name})" not in index
    ] == []


def test_the_function_index_is_up_to_date():
    tool = ROOT / "tools" / "make_function_index.py"
    out = subprocess.run([sys.executable, str(tool), "--check"], capture_output=True, text=True)
    assert out.returncode == 0, out.stderr
