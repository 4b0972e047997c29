"""Derivatives of every function: finite differences, the adjoint identity, and batching."""

import numpy as np
import pytest

import lazulite.core as mx
from table import CASES, arrays_in, flat_call, ids, name_of

FLOATING = ("float64", "complex128")


def inexact(a):
    return mx.issubdtype(a.dtype, mx.inexact)


def random_like(rng, a):
    v = rng.standard_normal(a.shape)
    if name_of(a.dtype).startswith("complex"):
        v = v + 1j * rng.standard_normal(a.shape)
    return mx.array(v, a.dtype)


def real_inner(a, b):
    """Re of the sum of conj(a) * b."""
    return float(np.sum((np.conj(np.array(a)) * np.array(b)).real))


def prepared(row, case, dtype):
    args, kwargs = row.sampler(dtype, seed=7).arguments(case)
    arrays = arrays_in(args)
    plain = flat_call(row, args, kwargs)

    def call(*arrays):  # orders, counts and ranks beside have no derivative
        return [o for o in row.definite(plain(*arrays)) if inexact(o)]

    if not any(inexact(a) for a in arrays):
        pytest.skip("nothing to differentiate")
    if row.name == "quantize":
        pytest.skip("codes and their scales are constants to derivatives")
    outputs = call(*arrays)
    if not outputs or not all(name_of(o.dtype) in FLOATING for o in outputs):
        pytest.skip("the result is not differentiable, or too coarse for differences")
    return call, arrays, outputs


@pytest.mark.parametrize("dtype", FLOATING)
@pytest.mark.parametrize("entry", [e for e in CASES if e[0].differentiable], ids=ids)
def test_derivatives(entry, dtype):
    row, case = entry
    if row.types is not None and dtype not in row.types:
        pytest.skip("not of this dtype")
    try:
        call, arrays, outputs = prepared(row, case, dtype)
    except (ValueError, TypeError) as error:
        assert row.types is None and ("dtype" in str(error) or "order" in str(error))
        return
    rng = np.random.default_rng(11)
    where = [k for k, a in enumerate(arrays) if inexact(a)]

    def only(*chosen):
        full = list(arrays)
        for k, a in zip(where, chosen):
            full[k] = a
        return call(*full)

    primals = [arrays[k] for k in where]
    tangents = [random_like(rng, a) for a in primals]
    got, derivatives = mx.jvp(only, primals, tangents)
    h = 1e-6
    above = only(*[p + h * t for p, t in zip(primals, tangents)])
    below = only(*[p - h * t for p, t in zip(primals, tangents)])
    for o, d, a, b in zip(got, derivatives, above, below):
        assert d.dtype == o.dtype and d.shape == o.shape
        np.testing.assert_allclose(np.array(d), np.array((a - b) / (2 * h)), rtol=2e-5, atol=2e-6)
    cotangents = [random_like(rng, o) for o in outputs]
    _, pulled = mx.vjp(only, primals, cotangents)
    for p, g in zip(primals, pulled):
        assert g.shape == p.shape and g.dtype == p.dtype
    left = sum(real_inner(c, d) for c, d in zip(cotangents, derivatives))
    right = sum(real_inner(g, t) for g, t in zip(pulled, tangents))
    assert left == pytest.approx(right, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("entry", CASES, ids=ids)
def test_vmap_is_a_loop_over_every_axis(entry):
    row, case = entry
    dtype = "float64" if row.types is None or "float64" in row.types else row.types[-1]
    lanes = 3
    samples = [row.sampler(dtype, seed=20 + lane).arguments(case) for lane in range(lanes)]
    args, kwargs = samples[0]
    arrays = arrays_in(args)
    if not arrays:
        pytest.skip("takes no arrays")
    if any(isinstance(k, mx.array) for k in kwargs.values()):
        pytest.skip("arrays by keyword")
    call = flat_call(row, args, kwargs)
    per_lane = [arrays_in(s[0]) for s in samples]
    choices = [(k, axis) for k, a in enumerate(arrays) for axis in range(a.ndim + 1)] + [(None, 0)]
    for which, axis in choices:
        mapped = [k for k in range(len(arrays)) if which is None or k == which]
        inputs = [
            mx.stack([lane[k] for lane in per_lane], axis=axis) if k in mapped else arrays[k]
            for k in range(len(arrays))
        ]
        in_axes = tuple(axis if k in mapped else None for k in range(len(arrays)))
        loop = [
            call(*[lane[k] if k in mapped else arrays[k] for k in range(len(arrays))])
            for lane in per_lane
        ]
        out_axes = -1 if axis == 1 else 0
        got = mx.vmap(call, in_axes, out_axes)(*inputs)
        assert len(got) == len(loop[0])
        for k, g in enumerate(got):
            wanted = mx.stack([lane[k] for lane in loop], axis=out_axes)
            assert g.shape == wanted.shape and g.dtype == wanted.dtype
            np.testing.assert_allclose(np.array(g), np.array(wanted), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("entry", CASES, ids=ids)
def test_vmap_over_no_lanes_gives_no_lanes(entry):
    row, case = entry
    dtype = "float64" if row.types is None or "float64" in row.types else row.types[-1]
    args, kwargs = row.sampler(dtype, seed=20).arguments(case)
    arrays = arrays_in(args)
    if not arrays or any(isinstance(k, mx.array) for k in kwargs.values()):
        pytest.skip("no arrays to map over")
    call = flat_call(row, args, kwargs)
    one = call(*arrays)

    def slopes(*inputs):
        return mx.vjp(call, inputs, [mx.ones(o.shape, o.dtype) for o in one])[1]

    functions = [(call, one)]
    if all(inexact(o) for o in one) and all(inexact(a) for a in arrays) and row.differentiable:
        functions.append((slopes, arrays))
    for mapped in [*([k] for k in range(len(arrays))), range(len(arrays))]:
        inputs = [
            mx.zeros((0, *a.shape), a.dtype) if k in mapped else a for k, a in enumerate(arrays)
        ]
        in_axes = tuple(0 if k in mapped else None for k in range(len(arrays)))
        for function, alone in functions:
            got = mx.vmap(function, in_axes)(*inputs)
            mx.eval(got)
            assert [(g.shape, g.dtype) for g in got] == [((0, *a.shape), a.dtype) for a in alone]
