"""The bits of every function in every dtype, printed as JSON: run in processes of other settings by
test_levels.py."""

import json
import sys

import lazulite.core as mx
from lazulite.core import _core
from table import (
    ALL,
    CASES,
    COMPLEX_UNARY,
    LARGE,
    arrays_in,
    bits,
    complex_ends,
    dtype_of,
    flat_call,
    ids,
)


def results(entry, dtype):
    """What `bits` says of the results, or the class of the refusal."""
    row, case = entry
    try:
        args, kwargs = row.sampler(dtype, seed=5).arguments(case)
        return [bits(a) for a in arrays_in(flat_call(row, args, kwargs)(*arrays_in(args)))]
    except (ValueError, TypeError) as error:
        return type(error).__name__


def ends(row, dtype):
    """The bits at zeros, infinities and nans."""
    return bits(row.function(mx.array(complex_ends(dtype), dtype_of(dtype))))


def everything():
    found = {ids(e): {t: results(e, t) for t in e[0].types or ALL} for e in CASES + LARGE}
    for row in COMPLEX_UNARY:
        found[f"{row} at the ends"] = {t: ends(row, t) for t in ("complex64", "complex128")}
    return found


if __name__ == "__main__":
    json.dump({"level": _core._level(), "bits": everything()}, sys.stdout)
