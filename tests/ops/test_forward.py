"""Values of every function beside NumPy or SciPy, in every dtype and layout."""

import numpy as np
import pytest

import lazulite.core as mx
from table import ALL, CASES, HALVES, INEXACT, RTOL, arrays_in, flat_call, ids, name_of, to_numpy, wide

REFUSED = (ValueError, TypeError)


def ulps(got, wanted, dtype):
    """Distances in units of the last place of the dtype."""
    kind = {"float16": np.float16, "float32": np.float32, "complex64": np.float32}.get(dtype, np.float64)
    eps = 2.0**-7 if dtype == "bfloat16" else np.finfo(kind).eps
    tiny = 2.0**-126 if dtype == "bfloat16" else np.finfo(kind).tiny
    size = np.maximum(np.abs(wanted), tiny)
    return np.abs(got - wanted) / (size * eps)


def check(row, got, wanted, dtype):
    result = name_of(got.dtype)
    value = to_numpy(got)
    wanted = np.asarray(wanted)
    assert value.shape == wanted.shape
    if value.dtype.kind in "biu":
        np.testing.assert_array_equal(value, wanted.astype(value.dtype) if wanted.dtype.kind in "biu" else wanted)
        return
    if row.ulp is not None and not result.startswith("complex") and dtype in INEXACT:
        with np.errstate(all="ignore"):
            same = (value == wanted) | (np.isnan(value) & np.isnan(wanted))
            distance = np.where(same, 0, ulps(value.astype(np.float64), wanted, result))
        assert distance.size == 0 or distance.max() <= row.ulp + 1, distance.max()
        return
    np.testing.assert_allclose(value, wanted, rtol=RTOL[result], atol=RTOL[result])


@pytest.mark.parametrize("entry", CASES, ids=ids)
def test_values_agree_in_every_dtype(entry):
    row, case = entry
    compared = 0
    for dtype in row.types or ALL:
        args, kwargs = row.sampler(dtype, seed=3).arguments(case)
        try:
            got = row.function(*args, **kwargs)
        except REFUSED as error:
            # Refusals name the dtype; whatever the row promises must work.
            assert row.types is None and ("dtype" in str(error) or "order" in str(error)), error
            continue
        if isinstance(got, (bool, tuple)) and not arrays_in(got):
            continue
        reference_args = wide(args)
        integral = not any(a.dtype.kind in "fc" for a in map(np.asarray, _leaves(reference_args)) if a.dtype != object)
        if integral and name_of_first(got) in INEXACT:
            reference_args = as_float64(reference_args)
        with np.errstate(all="ignore"):
            try:
                wanted = row.reference()(*reference_args, **kwargs)
            except TypeError:
                assert dtype not in ("float32", "float64"), f"the reference cannot take {dtype}"
                continue
        if isinstance(got, (list, tuple)):
            assert len(got) == len(wanted)
            for g, w in zip(got, wanted):
                check(row, g, w, dtype)
        else:
            check(row, got, wanted, dtype)
        compared += 1
    assert compared


def _leaves(tree):
    if isinstance(tree, (list, tuple)):
        return [leaf for part in tree for leaf in _leaves(part)]
    return [] if tree is None or isinstance(tree, (str, mx.Dtype)) else [tree]


def as_float64(tree):
    """Integer and bool arrays as float64: what is computed from them is a float."""
    if isinstance(tree, (list, tuple)):
        return type(tree)(as_float64(part) for part in tree)
    return tree.astype(np.float64) if isinstance(tree, np.ndarray) and tree.dtype != np.int32 else tree


def name_of_first(got):
    first = arrays_in(got if isinstance(got, (list, tuple)) else [got])[0]
    return name_of(first.dtype)


def transposed(a):
    return mx.contiguous(a.T).T if a.ndim > 1 else a


def strided(a):
    if a.ndim == 0:
        return a
    wide_one = mx.repeat(a, 2, axis=-1)
    mx.eval(wide_one)
    return wide_one[..., ::2]


def reversed_twice(a):
    if a.ndim == 0:
        return a
    back = mx.contiguous(mx.flip(a))
    mx.eval(back)
    return mx.flip(back)


def broadcast_back(a):
    return mx.broadcast_to(a, (2,) + a.shape)[1]


@pytest.mark.parametrize("layout", [transposed, strided, reversed_twice, broadcast_back])
@pytest.mark.parametrize("entry", CASES, ids=ids)
def test_layout_does_not_matter(entry, layout):
    row, case = entry
    dtype = "float32" if row.types is None or "float32" in row.types else row.types[-1]
    args, kwargs = row.sampler(dtype, seed=4).arguments(case)
    if not arrays_in(args):
        pytest.skip("takes no arrays")
    other, _ = row.sampler(dtype, seed=4, layout=layout).arguments(case)
    for a, b in zip(flat_call(row, args, kwargs)(*arrays_in(args)), flat_call(row, other, kwargs)(*arrays_in(other))):
        if row.same_bits_in_any_layout:
            assert bytes(a) == bytes(b)
        else:
            np.testing.assert_allclose(to_numpy(a), to_numpy(b), rtol=1e-6)


@pytest.mark.parametrize("entry", CASES, ids=ids)
def test_bits_depend_neither_on_threads_nor_on_compile(entry):
    row, case = entry
    dtypes = [t for t in ("float32", "bfloat16", "complex64", "int32") if row.types is None or t in row.types] or row.types[:1]
    before = mx.num_threads()
    for dtype in dtypes:
        args, kwargs = row.sampler(dtype, seed=5).arguments(case)
        call = flat_call(row, args, kwargs)
        arrays = arrays_in(args)
        try:
            wanted = [bytes(a) for a in call(*arrays)]
        except REFUSED:
            continue
        try:
            for threads in (1, 2, 7):
                mx.set_num_threads(threads)
                assert [bytes(a) for a in call(*arrays)] == wanted
        finally:
            mx.set_num_threads(before)
        if arrays:
            assert [bytes(a) for a in mx.compile(call)(*arrays)] == wanted
