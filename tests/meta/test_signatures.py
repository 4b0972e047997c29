"""Signatures and what they call."""

import inspect

import pytest

import lazulite.core as mx
from lazulite import nn
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


def constructors():
    for name, layer in sorted(vars(nn).items()):
        for member in vars(layer) if isinstance(layer, type) else ():
            if member.startswith("from_"):
                yield name, member


@pytest.mark.parametrize("layer, name", list(constructors()))
def test_constructors_have_signatures_where_they_lie(layer, name):
    layer = getattr(nn, layer)
    member, bound = inspect.getattr_static(layer, name), getattr(layer, name)
    wanted = inspect.signature(bound).parameters
    found = inspect.signature(member).parameters
    assert list(found)[-len(wanted) :] == list(wanted) and bound.__self__ is layer
    with pytest.raises((TypeError, AttributeError)):
        member(layer, 3)
