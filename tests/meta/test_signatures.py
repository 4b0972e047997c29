"""Signatures and what they call."""

import inspect

import pytest

import lazulite.core as mx
from lazulite.core import _core

ROWS = _core._table()


@pytest.mark.parametrize("row", ROWS, ids=lambda r: r["module"] + "." + r["name"])
def test_a_signature_has_as_many_parameters_as_its_function(row):
    """The import refuses others; the table shows both numbers."""
    inside = row["signature"][row["signature"].index("(") + 1 : row["signature"].rindex(")")]
    parameters, depth, part = [], 0, ""
    for c in inside + ",":
        depth += (c in "([") - (c in ")]")
        if c == "," and depth == 0:
            parameters.append(part.strip())
            part = ""
        else:
            part += c
    parameters = [p for p in parameters if p and p not in ("*", "/")]
    assert len(parameters) == row["arity"] <= 16
    assert len(row["types"]) == row["arity"] + 1


@pytest.mark.parametrize(
    "row",
    [r for r in ROWS if r["module"] in ("", "random", "fast", "fft", "sparse")],
    ids=lambda r: r["module"] + "." + r["name"],
)
def test_inspect_knows_the_parameters(row):
    function = getattr(getattr(mx, row["module"]) if row["module"] else _core, row["name"])
    others = dict(row["others"]).values()
    assert len(inspect.signature(function).parameters) == row["arity"] + len(others)
