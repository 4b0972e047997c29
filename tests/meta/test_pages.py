"""Pages for users: links lead somewhere, the index is whole, the page of functions is up to date.
(test_documents.py runs them.)"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.S | re.M)


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
