"""Rules that the sources keep: includes point one way, lists stand once, lines end."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import lazulite.core as mx
from lazulite.core import _core

ROOT = Path(__file__).parents[2]
ORDER = ("base", "simd", "device", "engine", "graph", "eval", "ops", "transform", "bind")
ROOMS_THAT_ASK = ("graph", "eval", "transform")  # never name an op: they ask its Op for facts


def sources(*endings):
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    names = (
        listed.stdout.split("\n")
        if listed.returncode == 0
        else [
            str(p.relative_to(ROOT))
            for top in ("cpp", "python", "tests", "tools", "bench", "examples")
            for p in (ROOT / top).rglob("*")
        ]
    )
    return [ROOT / n for n in names if n.endswith(endings) and (ROOT / n).exists()]


def without_comments(text):
    return re.sub(r"//[^\n]*|/\*.*?\*/", "", text, flags=re.S)


def op_names():
    return {row["name"] for row in _core._table() if "operands" in row or row["cases"]}


def test_includes_point_one_way():
    wrong = []
    for path in (p for p in sources(".h", ".cpp") if p.is_relative_to(ROOT / "cpp")):
        room = path.relative_to(ROOT / "cpp").parts[0]
        for included in re.findall(r'#include "([^"]+)"', path.read_text()):
            other = included.split("/")[0]
            if room in ORDER and (other not in ORDER or ORDER.index(other) > ORDER.index(room)):
                wrong.append(f"{path.relative_to(ROOT)} includes {included}")
            assert (
                ROOT / "cpp" / included
            ).exists() or "/" not in included, f"{path.name}: {included} is written from cpp/"
    assert not wrong, "\n".join(wrong)


def test_files_per_instruction_set_include_simd_and_rows_only():
    allowed = re.compile(
        r"simd/|base/|device/(limits|program|cpu/level|cpu/block)\.h|(ops|engine)/\w+/\w+\.h"
    )
    for path in sources(".cpp"):
        if path.name.startswith("kernels") and path.parent.parent.name in ("ops", "engine"):
            for included in re.findall(r'#include "([^"]+)"', path.read_text()):
                assert allowed.match(included), f"{path.relative_to(ROOT)} includes {included}"


def test_no_list_of_functions_stands_outside_the_table():
    """Lists of four names of functions or more are kept by hand, and drift."""
    names, wrong = op_names(), []
    for path in sources(".py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
                texts = [
                    e.value
                    for e in node.elts
                    if isinstance(e, ast.Constant) and isinstance(e.value, str)
                ]
                if (
                    len(texts) >= 4
                    and len(texts) == len(node.elts)
                    and all(t in names for t in texts)
                ):
                    wrong.append(f"{path.relative_to(ROOT)}:{node.lineno}: {texts}")
    for room in ROOMS_THAT_ASK:
        for path in (ROOT / "cpp" / room).rglob("*.cpp"):
            for group in re.findall(
                r'\{((?:\s*"\w+"\s*,){3,}\s*"\w+"\s*,?\s*)\}', without_comments(path.read_text())
            ):
                texts = re.findall(r'"(\w+)"', group)
                if all(t in names for t in texts):
                    wrong.append(f"{path.relative_to(ROOT)}: {texts}")
    assert not wrong, "\n".join(wrong)


def test_graph_eval_and_transform_compare_no_names_of_ops():
    names = op_names() | {"gather", "scatter", "broadcast", "cast"}
    for room in ROOMS_THAT_ASK:
        for path in sorted((ROOT / "cpp" / room).rglob("*.cpp")):
            found = re.findall(
                r'(?:==|!=|strcmp\([^)]*,)\s*"(\w+)"', without_comments(path.read_text())
            )
            assert (
                not set(found) & names
            ), f"{path.relative_to(ROOT)} asks for {set(found) & names} by name"


def test_the_stub_holds_every_public_name():
    stub = ast.parse((ROOT / "python/lazulite/core/__init__.pyi").read_text())
    held = set()
    for node in stub.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            held.add(node.name)
        elif isinstance(node, ast.Assign):
            held |= {t.id for t in node.targets if isinstance(t, ast.Name)}
        elif isinstance(node, ast.AnnAssign):
            held.add(node.target.id)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            held |= {(a.asname or a.name).split(".")[0] for a in node.names}
    public = {n for n in dir(mx) if not n.startswith("_")} - {"annotations"}
    assert public - held == set()
    array = next(n for n in stub.body if isinstance(n, ast.ClassDef) and n.name == "array")
    members = {
        n.name if isinstance(n, ast.FunctionDef) else n.target.id
        for n in array.body
        if isinstance(n, (ast.FunctionDef, ast.AnnAssign))
    }
    assert {n for n in dir(mx.array) if not n.startswith("_")} - members == set()


def test_lines_end_at_a_hundred_columns():
    tool = [sys.executable, str(ROOT / "tools" / "wrap_lines.py"), "--check"]
    out = subprocess.run(tool, capture_output=True, text=True)
    assert out.returncode == 0, f"run tools/wrap_lines.py: {out.stdout}{out.stderr}"


def test_files_of_tests_have_names_of_their_own():
    """pytest imports each as a module of its bare name: of two alike it collects one, and ends."""
    names = [p.name for p in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))


def test_tests_count_and_do_not_time():
    """What a machine was busy with is no fault. Fuzzers may say that a call never ends."""
    for path in sources(".py"):
        name = str(path.relative_to(ROOT))
        if name.startswith("tests/") and not name.startswith(("tests/fuzz/", "tests/meta/")):
            found = re.findall(
                r"perf_counter|process_time|thread_time|timeit|time\(\) - \w+ *<", path.read_text()
            )
            assert not found, f"{name}: {found}"
