"""Every function, traced at one size and called at others: compiled it is right at every size, in a
shapeless file it is right or refuses."""

import numpy as np
import pytest

import lazulite.core as mx

from table import CASES, arrays_in, flat_call, ids, to_numpy

SIZES = (0, 1, 2, 17)


def resized(arrays, n):
    """The arrays with every axis that is as long as the first one of the first array made n
    long."""
    first = next((a.shape[0] for a in arrays if a.ndim), None)
    out = []
    for a in arrays:
        shape = tuple(n if k == first else k for k in a.shape)
        out.append(mx.array(np.resize(to_numpy(a), shape), a.dtype))
    return out


def outcome(call, arrays):
    """The bytes and shapes of the results, or the exception."""
    try:
        results = call(*arrays)
        mx.eval(results)
        return [(r.shape, r.dtype, bytes(r)) for r in results]
    except Exception as error:
        return error


def sample(entry):
    row, case = entry
    dtype = "float32" if row.types is None or "float32" in row.types else row.types[-1]
    args, kwargs = row.sampler(dtype, seed=6).arguments(case)
    arrays = arrays_in(args)
    if not any(a.ndim for a in arrays):
        pytest.skip("takes no arrays with axes")
    return flat_call(row, args, kwargs), arrays


@pytest.mark.parametrize("entry", CASES, ids=ids)
def test_compiled_shapeless_it_is_right_at_every_size(entry):
    call, arrays = sample(entry)
    inputs = {n: resized(arrays, n) for n in SIZES}
    eager = {n: outcome(call, inputs[n]) for n in SIZES}
    for traced in SIZES:
        compiled = mx.compile(call, shapeless=True)
        for n in (traced, *SIZES):
            got = outcome(compiled, inputs[n])
            if isinstance(eager[n], Exception):
                assert isinstance(got, Exception)
            else:
                assert not isinstance(got, Exception), got
                assert got == eager[n]


@pytest.mark.parametrize("entry", CASES, ids=ids)
def test_in_a_shapeless_file_it_is_right_or_refuses(entry, tmp_path):
    call, arrays = sample(entry)
    path = str(tmp_path / "f.lzfn")
    inputs = {n: resized(arrays, n) for n in SIZES}
    eager = {n: outcome(call, inputs[n]) for n in SIZES}
    for traced in SIZES:
        if isinstance(eager[traced], Exception):
            continue
        try:
            mx.export_function(path, call, *inputs[traced], shapeless=True)
        except ValueError as error:
            assert "[export_function]" in str(error)
            mx.export_function(path, call, *inputs[traced])
        imported = mx.import_function(path)
        assert outcome(imported, inputs[traced]) == eager[traced]
        for n in SIZES:
            got = outcome(imported, inputs[n])
            if isinstance(eager[n], Exception):
                assert isinstance(got, Exception), f"traced at {traced}, called at {n}: {eager[n]}"
            else:
                assert (
                    isinstance(got, ValueError) or got == eager[n]
                ), f"traced at {traced}, called at {n}"
