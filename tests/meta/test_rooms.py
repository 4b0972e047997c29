"""Where things stand in cpp/: rooms of ops, what is seen of Python, rows of functions."""

import re
from pathlib import Path

import pytest

from lazulite.core import _core

CPP = Path(__file__).parents[2] / "cpp"
ROOMS = re.findall(
    r"^LAZULITE_(?:ROOM|COMPOSED)\((\w+)\)", (CPP / "ops" / "rooms.inc").read_text(), re.M
)
TABLES = sorted(CPP.rglob("functions.h"))
TABLE = {(row["module"], row["name"]): row for row in _core._table()}


def test_the_list_of_rooms_is_that_of_the_folders():
    assert sorted(ROOMS) == sorted(p.name for p in (CPP / "ops").iterdir() if p.is_dir())


def test_no_other_list_names_the_rooms():
    """But for lazulite.h, the table of contents, which has the public headers of each of them."""
    room = "|".join(ROOMS)
    lists = re.compile(rf"\b(?:register_)?(?:{room})(?:_ops)?\b")
    public = CPP / "lazulite.h"
    headers = [
        f"ops/{r}/{h.name}"
        for r in ROOMS
        for h in (CPP / "ops" / r).glob("*.h")
        if h.stem == r or not (CPP / "ops" / r / f"{r}.h").exists() and h.stem != "functions"
    ]
    assert sorted(re.findall(r'#include "(ops/[^"]+)"', public.read_text())) == sorted(headers)
    for path in (p for p in CPP.rglob("*") if p.suffix in (".h", ".cpp")):
        calls = re.findall(r"\w+(?=\()", path.read_text())
        named = {c for c in calls if c.endswith("_ops") or c.startswith("register_")}
        assert len([c for c in named if lists.fullmatch(c)]) <= 2, path.relative_to(CPP)


def test_rules_name_no_device():
    for room in ROOMS:
        for path in (CPP / "ops" / room).glob("*.cpp"):
            if not path.name.startswith(("cpu", "kernels")):
                found = re.search(r'"(?:simd|device/cpu)/|"ops/cpu\.h"|\bcpu::', path.read_text())
                assert not found, f"{path.relative_to(CPP)}: {found[0]}"


def test_python_is_seen_from_the_bindings_alone():
    wrong = re.compile(r"#include [<\"](Python\.h|pybind11/|bind/)|\bPyObject\b|\bpybind11\b")
    for path in (p for p in CPP.rglob("*") if p.suffix in (".h", ".cpp", ".inc")):
        if path.relative_to(CPP).parts[0] != "bind":
            found = wrong.search(path.read_text())
            assert not found, f"{path.relative_to(CPP)}: {found[0]}"


@pytest.mark.parametrize("room", [r for r in ROOMS if (CPP / "ops" / r / "functions.h").exists()])
def test_a_table_of_functions_includes_headers_of_rooms_and_nothing_below(room):
    """It is written in terms of public functions, of which a room shows another its header
    alone."""
    text = (CPP / "ops" / room / "functions.h").read_text()
    assert f"void add_{room}(M& " in text
    for included in re.findall(r'#include "([^"]+)"', text):
        assert re.fullmatch(r"ops/(functions|(\w+)/\2|compose/\w+)\.h", included), included


def test_rows_stand_in_rooms_but_for_objects_of_pythons_own():
    """The bindings have rows of such objects alone (or of arrays that may be given back as the
    objects that they are), and no other row takes one."""
    own, given = set(), set()
    for path in sorted((CPP / "bind").glob("*.cpp")):
        text = path.read_text()
        own |= set(re.findall(r'\bm\.def\(\s*"(\w+)\(', text))
        given |= set(re.findall(r'\bm\.def\(\s*"(\w+)\([^"]*",\s*\[\]\(const Given&', text))
    for row in TABLE.values():
        if row["module"] == "" and row["name"] in own:
            assert "Any" in row["types"] or row["name"] in given, row["signature"]
        else:
            spread = re.search(r"\*\w", row["signature"])
            assert "Any" not in row["types"][:-1] or spread, row["signature"]


def test_lambdas_of_rows_are_short():
    """What takes more than a few lines is a function that C++ can call, too."""
    for path in TABLES:
        for body in re.findall(r"\[\w*\]\([^{]*\{\n(.*?)\n +\}", path.read_text(), re.S):
            assert body.count("\n") < 8, f"{path.relative_to(CPP)}: {body}"
