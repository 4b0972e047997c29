"""Graphs that read no array: known plans tell them apart by the sizes of their constants."""

import itertools

import pytest

import lazulite.core as mx
from lazulite.core import _core
from table import CASES, arrays_in, bits, flat_call

ROWS = [list(cases) for _, cases in itertools.groupby(CASES, lambda entry: repr(entry[0]))]


def results(entry, dtype):
    row, case = entry
    try:
        args, kwargs = row.sampler(dtype, seed=5).arguments(case)
        given = arrays_in(args)
        mx.eval(given)
        values = [a.reshape(-1)[0].item() if a.size else 1 for a in given]
        made = [mx.full(a.shape, v, a.dtype) for a, v in zip(given, values)]
        made = [mx.maximum(a, a) for a in made]  # a single op has no plan to keep
        return [bits(a) for a in arrays_in(flat_call(row, args, kwargs)(*made))]
    except (ValueError, TypeError) as error:
        return type(error).__name__


@pytest.fixture(autouse=True)
def memory_without_old_results():
    before = _core._set_guard("end")
    yield
    _core._set_guard(before)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: repr(row[0][0]))
@pytest.mark.parametrize("dtype", ("float32", "int32"))
def test_each_size_has_a_plan_of_its_own(row, dtype):
    expected = []
    for entry in row:
        mx.clear_cache()  # and plans
        expected.append(results(entry, dtype))
    mx.clear_cache()
    for entry, wanted in zip(row, expected):
        for turn in range(4):
            assert results(entry, dtype) == wanted, (entry, turn)
