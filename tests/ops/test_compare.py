"""Every function gives what its ops give one by one, at the generic level, on one thread, without
donation."""

import pytest

import lazulite.core as mx
from table import CASES, arrays_in, ids

DTYPES = ("float32", "float16", "complex64", "int32")


@pytest.mark.parametrize("entry", CASES, ids=ids)
def test_debug_compare_finds_nothing(entry):
    row, case = entry
    for dtype in DTYPES:
        args, kwargs = row.sampler(dtype, seed=5).arguments(case)
        with mx.debug_compare():
            try:
                made = row.function(*args, **kwargs)
            except (ValueError, TypeError):  # not for this dtype
                continue
            mx.eval([mx.abs(a) * 1 for a in arrays_in(made)])
