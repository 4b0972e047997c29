"""Values of every function beside NumPy or SciPy, in every dtype and layout."""

import numpy as np
import pytest

import lazulite.core as mx
from lazulite.core import _core
from table import (
    ALL,
    CASES,
    HALVES,
    INEXACT,
    LARGE,
    RTOL,
    arrays_in,
    as_float64,
    bits,
    flat_call,
    ids,
    limits_of,
    name_of,
    slack,
    to_numpy,
    wide,
)

REFUSED = (ValueError, TypeError)


def ulps(got, wanted, dtype):
    """Distances in units of the last place of the dtype."""
    eps = limits_of(dtype)[0]
    tiny = (
        2.0**-126
        if dtype == "bfloat16"
        else np.finfo(
            {"float16": np.float16, "float32": np.float32, "complex64": np.float32}.get(
                dtype, np.float64
            )
        ).tiny
    )
    return np.abs(got - wanted) / (np.maximum(np.abs(wanted), tiny) * eps)


def check(row, got, wanted, dtype, inputs):
    result = name_of(got.dtype)
    value = to_numpy(got)
    wanted = np.asarray(wanted)
    assert value.shape == wanted.shape
    if value.dtype.kind in "biu":
        np.testing.assert_array_equal(
            value, wanted.astype(value.dtype) if wanted.dtype.kind in "biu" else wanted
        )
        return
    if row.ulp is not None and not result.startswith("complex") and dtype in INEXACT:
        with np.errstate(all="ignore"):
            same = (value == wanted) | (np.isnan(value) & np.isnan(wanted))
            distance = np.where(same, 0, ulps(value.astype(np.float64), wanted, result))
        assert distance.size == 0 or distance.max() <= row.ulp + row.reference_ulp, distance.max()
        return
    value, wanted = value.astype(np.result_type(value, np.float64)), wanted.astype(
        np.result_type(wanted, np.float64)
    )
    with np.errstate(all="ignore"):
        told = (
            np.abs(wanted) < limits_of(result)[1] / 4
        )  # NumPy, in float64, goes on where the dtype ends
        wrong = told & ~(
            np.abs(value - wanted)
            <= np.maximum(RTOL[result] * (1 + np.abs(wanted)), slack(result, wanted, inputs))
        )
    assert (
        not wrong.any()
    ), f"{value[wrong].flat[0]}, expected {wanted[wrong].flat[0]}, at {int(wrong.sum())} places"
    assert np.isfinite(value[told & np.isfinite(wanted)]).all()


@pytest.mark.parametrize("entry", [e for e in CASES + LARGE if e[0].has_reference], ids=ids)
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
        inputs = [v for v in _leaves(reference_args) if isinstance(v, np.ndarray)]
        integral = not any(
            a.dtype.kind in "fc"
            for a in map(np.asarray, _leaves(reference_args))
            if a.dtype != object
        )
        # Integers that give floats become floats first; those of products only after they wrapped.
        ways = [reference_args]
        if integral and name_of_first(got) in INEXACT:
            ways = [as_float64(reference_args)] + ([] if row.same_bits_in_any_layout else ways)
        failures = []
        for way in ways:
            with np.errstate(all="ignore"):
                try:
                    wanted = row.reference()(*way, **kwargs)
                except TypeError:
                    assert dtype not in ("float32", "float64"), f"the reference cannot take {dtype}"
                    break
            results, expected = (
                (row.definite(got), row.definite(wanted))
                if isinstance(got, (list, tuple))
                else ([got], [wanted])
            )
            assert len(results) == len(expected)
            try:
                for g, w in zip(results, expected):
                    check(row, g, w, dtype, inputs)
                compared += 1
                break
            except AssertionError as error:
                failures.append(error)
        if len(failures) == len(ways):
            raise failures[0]
    assert compared


def _leaves(tree):
    if isinstance(tree, (list, tuple)):
        return [leaf for part in tree for leaf in _leaves(part)]
    return [] if tree is None or isinstance(tree, (str, mx.Dtype)) else [tree]


def name_of_first(got):
    first = arrays_in(got if isinstance(got, (list, tuple)) else [got])[0]
    return name_of(first.dtype)


# ---- layouts: for each, the operand as a dense array, and the same values laid out otherwise


def stored(a):
    mx.eval(a)
    return a


def transposed(a):
    return stored(mx.contiguous(a.T)).T if a.ndim > 1 else a


def strided(a):
    return stored(mx.repeat(a, 2, axis=-1))[..., ::2] if a.ndim else a


def reversed_twice(a):
    return mx.flip(stored(mx.contiguous(mx.flip(a)))) if a.ndim else a


def offset(a):
    return (
        stored(mx.pad(a, [(0, 0)] * (a.ndim - 1) + [(3, 2)]))[..., 3 : 3 + a.shape[-1]]
        if a.ndim
        else a
    )


def repeated(a):
    return mx.broadcast_to(stored(mx.contiguous(a[:1])), a.shape) if a.ndim and a.shape[0] else a


def repeated_dense(a):
    return stored(mx.contiguous(repeated(a)))


LAYOUTS = [
    (None, transposed),
    (None, strided),
    (None, reversed_twice),
    (None, offset),
    (repeated_dense, repeated),
]


@pytest.mark.parametrize("entry", CASES + LARGE, ids=ids)
def test_layout_does_not_matter_in_any_dtype(entry):
    row, case = entry
    if not arrays_in(row.sampler(row.types[0] if row.types else "float32").arguments(case)[0]):
        return
    for dtype in row.types or ALL:

        def results(layout):
            args, kwargs = row.sampler(dtype, seed=4, layout=layout).arguments(case)
            return stored(flat_call(row, args, kwargs)(*arrays_in(args)))

        wanted = {}
        for dense, layout in LAYOUTS:
            try:
                if dense not in wanted:
                    wanted[dense] = results(dense)
            except REFUSED:
                break
            for a, b in zip(results(layout), wanted[dense]):
                if row.same_bits_in_any_layout:
                    assert bits(a) == bits(b), (dtype, layout.__name__)
                else:
                    np.testing.assert_allclose(
                        to_numpy(a),
                        to_numpy(b),
                        rtol=RTOL[dtype] if dtype in RTOL else 0,
                        atol=100 * RTOL.get(dtype, 0),
                    )


@pytest.fixture
def all_wake():
    """Every region of two chunks wakes workers, however little it costs."""
    threads = mx.num_threads()
    _core._set_least_cost(1e9)
    yield
    _core._set_least_cost(0)
    mx.set_num_threads(threads)


FAMILIES = ("float32", "bfloat16", "complex128", "int8", "bool")


def calls(entry, dtypes, seed):
    """A case in those of the dtypes that its function takes: dtype, call, its arrays."""
    row, case = entry
    for dtype in [t for t in dtypes if row.types is None or t in row.types] or row.types[:1]:
        args, kwargs = row.sampler(dtype, seed=seed).arguments(case)
        yield dtype, flat_call(row, args, kwargs), arrays_in(args)


@pytest.mark.parametrize("entry", CASES + LARGE, ids=ids)
def test_bits_depend_neither_on_threads_nor_on_compile(entry, all_wake):
    for _, call, arrays in calls(entry, ("float32", "bfloat16", "complex64", "int32"), seed=5):
        try:
            mx.set_num_threads(1)
            wanted = [bytes(a) for a in call(*arrays)]
        except REFUSED:
            continue
        for threads in (2, 7, 3):  # from the third call on by a plan that is kept
            mx.set_num_threads(threads)
            assert [bytes(a) for a in call(*arrays)] == wanted
        if arrays:
            assert [bytes(a) for a in mx.compile(call)(*arrays)] == wanted


@pytest.fixture
def all_absorb(all_wake):
    """Kernels take what groups form, however little it is."""
    old = _core._set_least_absorbed(1)
    yield
    _core._set_least_absorbed(old)


def columns_first(a):
    return a.T.reshape(-1).reshape(a.T.shape).T


def every_second(a):
    return mx.stack([a, a], -1)[..., 0]


SOURCES = (lambda a: a, columns_first, every_second)


@pytest.mark.parametrize("entry", CASES + LARGE, ids=ids)
def test_operands_that_are_still_expressions_give_the_bits_of_stored_ones(entry, all_absorb):
    for dtype, call, arrays in calls(entry, FAMILIES, seed=6):
        if not arrays or entry[0].has_reference is False:
            return
        for source in SOURCES:
            stored = [mx.where(a == a, a, a) for a in map(source, arrays)]
            mx.eval(stored)
            lying = [source(a) for a in arrays]
            mx.eval(lying)
            try:
                mx.set_num_threads(1)
                wanted = [bytes(a) for a in call(*stored)]
            except REFUSED:
                break
            for threads in (1, 7):
                mx.set_num_threads(threads)
                out = call(*[mx.where(a == a, a, a) for a in lying])
                mx.eval(out)  # at once: all that nobody holds is an expression
                assert [bytes(a) for a in out] == wanted, (dtype, threads)


def go_on(v, row, whole):
    """Elementwise ops on a result, with a row, a number and an array of its shape beside it."""
    y = mx.where(v == v, v, whole) + row
    z = mx.where(y == v, whole, y * 2)
    return [z] + ([z.astype(mx.bfloat16)] if mx.issubdtype(v.dtype, mx.floating) else [])


@pytest.mark.parametrize("kept", [False, True], ids=["alone", "with the result"])
@pytest.mark.parametrize("entry", CASES + LARGE, ids=ids)
def test_what_goes_on_from_a_result_has_the_bits_of_what_begins_with_it(entry, kept, all_absorb):
    for dtype, call, arrays in calls(entry, FAMILIES, seed=8):
        try:
            mx.set_num_threads(1)
            stored = call(*arrays)
            mx.eval(stored)
        except REFUSED:
            continue
        beside = [
            (mx.full(v.shape[-1:], 3).astype(v.dtype), mx.full(v.shape, 1).astype(v.dtype))
            for v in stored
        ]
        mx.eval(beside)

        def program(*arrays):
            values = call(*arrays)
            ends = [go_on(v, *others) for v, others in zip(values, beside)]
            return [a for end in ends for a in end] + (values if kept else [])

        ends = [go_on(v, *others) for v, others in zip(stored, beside)]
        wanted = [bytes(a) for end in ends for a in end]
        wanted += [bytes(a) for a in stored] if kept else []
        for threads in (1, 7, 2, 7):  # the last two by a plan that is kept
            mx.set_num_threads(threads)
            out = program(*arrays)
            mx.eval(out)
            assert [bytes(a) for a in out] == wanted, (dtype, threads)
        if arrays:
            out = mx.compile(program)(*arrays)
            mx.eval(out)
            assert [bytes(a) for a in out] == wanted, (dtype, "compiled")
