"""What type checkers see: stubs that hold every public name, and programs that mypy --strict
understands."""

import ast
import importlib
import importlib.util
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import lazulite
import lazulite.core as mx
import lazulite.data
import lazulite.nn as nn
import lazulite.optimizers as optim

HERE = Path(__file__).parent
PACKAGE = Path(lazulite.__file__).parent
has_mypy = pytest.mark.skipif(
    importlib.util.find_spec("mypy") is None, reason="mypy is not installed"
)


def mypy(*arguments, tmp_path):
    out = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--strict",
            "--no-error-summary",
            "--cache-dir",
            str(tmp_path),
            *arguments,
        ],
        capture_output=True,
        text=True,
        cwd=PACKAGE.parent,
    )
    assert "Traceback" not in out.stderr, out.stderr
    return [line for line in out.stdout.splitlines() if ": error:" in line], out.stdout + out.stderr


@has_mypy
def test_mypy_understands_a_program(tmp_path):
    errors, text = mypy(str(HERE / "program.py"), tmp_path=tmp_path)
    assert not errors, text


@has_mypy
def test_mypy_finds_mistakes(tmp_path):
    errors, text = mypy(str(HERE / "mistakes.py"), tmp_path=tmp_path)
    found = {
        int(m[1]) for m in (re.search(r"mistakes\.py:(\d+): error", line) for line in errors) if m
    }
    lines = (HERE / "mistakes.py").read_text().splitlines()
    expected = {i for i, line in enumerate(lines, 1) if line.endswith("# error")}
    assert len(expected) > 15 and found == expected, text


@has_mypy
def test_the_package_itself_is_strict(tmp_path):
    errors, text = mypy(
        *(
            "-p",
            "lazulite.nn",
            "-p",
            "lazulite.optimizers",
            "-p",
            "lazulite.data",
            "-p",
            "lazulite.sparse",
        ),
        *("-m", "lazulite.utils"),
        tmp_path=tmp_path,
    )
    assert not errors, text


def test_the_program_runs():
    spec = importlib.util.spec_from_file_location("typed_program", HERE / "program.py")
    with pytest.warns(UserWarning, match="no Metal"):
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


def declared(name):
    """Names and class members that a stub or module of core declares."""
    file = PACKAGE / "core" / f"{name}.pyi"
    tree = ast.parse((file if file.exists() else file.with_suffix(".py")).read_text())
    found = set()

    def walk(body, prefix):
        for node in body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                found.add(prefix + node.name)
            if isinstance(node, ast.ClassDef):
                walk(node.body, f"{prefix}{node.name}.")
            elif isinstance(node, ast.AnnAssign):
                found.add(prefix + node.target.id)
            elif isinstance(node, ast.Assign):
                found.update(prefix + target.id for target in node.targets)
            elif isinstance(node, ast.ImportFrom):
                found.update(prefix + alias.asname for alias in node.names if alias.asname)

    walk(tree.body, "")
    return found


@pytest.mark.parametrize(
    "module",
    [mx, mx.random, mx.fast, mx.fft, mx.metal, mx.cuda, mx.distributed],
    ids=lambda m: m.__name__,
)
def test_every_public_name_is_in_the_stub(module):
    name = "__init__" if module is mx else module.__name__.rpartition(".")[2]
    names = declared(name)
    for key in dir(module):
        if not key.startswith("_"):
            assert key in names, f"{module.__name__}.{key}"


@pytest.mark.parametrize(
    "name", [n for n in dir(mx) if inspect.isclass(getattr(mx, n)) and not n.startswith("_")]
)
def test_every_public_member_of_a_class_is_in_the_stub(name):
    value = getattr(mx, name)
    if issubclass(value, (Exception, int)):
        return
    names = declared("__init__")
    for key in vars(value):
        if not key.startswith("_"):
            assert f"{name}.{key}" in names, f"{name}.{key}"


@pytest.mark.parametrize(
    "module",
    [nn, nn.layers, nn.activations, nn.losses, nn.init, optim, lazulite.utils, lazulite.data],
    ids=lambda m: m.__name__,
)
def test_a_module_lists_its_names(module):
    """`__all__` is a literal, as type checkers want it, and neither lacks a name nor has one too
    many."""
    tree = ast.parse(Path(module.__file__).read_text())
    lists = [
        n.value
        for n in tree.body
        if isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == "__all__"
    ]
    names = ast.literal_eval(lists[0])
    assert names == module.__all__ and len(set(names)) == len(names)
    assert all(hasattr(module, name) for name in names)
    public = {
        key
        for key, value in vars(module).items()
        if not key.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__.startswith(module.__name__)
    }
    assert public - set(names) <= {"Reduction", "LearningRate"}, public - set(names)


def test_every_file_of_a_part_is_in_its_list():
    for package in (nn.layers, optim):
        parts = [
            importlib.import_module(f"{package.__name__}.{path.stem}")
            for path in Path(package.__file__).parent.glob("[!_]*.py")
        ]
        for part in parts:
            if hasattr(part, "__all__"):
                assert set(part.__all__) <= set(package.__all__), part.__name__
    assert set(nn.layers.__all__) <= set(nn.__all__)


def test_the_package_says_that_it_is_typed():
    assert (PACKAGE / "py.typed").exists()
