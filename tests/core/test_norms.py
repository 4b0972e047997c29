"""layer_norm, rms_norm and softmax run row by row: the bits of ordinary ops up to the length from
which sums keep what rounding takes, and their derivatives."""

import numpy as np
import pytest

import lazulite.core as mx
from lazulite.core import _core

FLOATS = [mx.float32, mx.float64, mx.float16, mx.bfloat16]
LONG = _core._limits()["long"]  # from here on sums keep what rounding takes; rows here do not
WIDTHS = [1, 3, 31, 32, 33, 64, LONG - 1, LONG, 1000, 4096, 4097, 40_000]
EPS = 1e-5


def wide_type(dtype):
    return mx.float64 if dtype == mx.float64 else mx.float32


def composed_norm(x, weight, bias, centred):
    """What the norms are made of, by ordinary ops."""
    wide = wide_type(x.dtype)
    y = x.astype(wide)
    if centred:
        y = y - mx.mean(y, -1, keepdims=True)
    y = y * mx.rsqrt(mx.mean(y * y, -1, keepdims=True) + EPS)
    out = x.dtype
    for parameter in (weight, bias):
        if parameter is not None:
            out = mx.result_type(out, parameter.dtype)
    wide = wide_type(out)
    y = y.astype(wide)
    if weight is not None:
        y = y * weight.astype(wide)
    if bias is not None:
        y = y + bias.astype(wide)
    return y.astype(out)


def norm(x, weight, bias, centred):
    if centred:
        return mx.fast.layer_norm(x, weight, bias, EPS)
    return mx.fast.rms_norm(x, weight, EPS)


def composed_softmax(x):
    wide = x.astype(wide_type(x.dtype))
    e = mx.exp(wide - mx.max(wide, -1, keepdims=True))
    return (e * (1 / mx.sum(e, -1, keepdims=True))).astype(x.dtype)


def data(shape, dtype=mx.float32, seed=0):
    return mx.array(np.random.default_rng(seed).normal(size=shape) * 2 + 0.5).astype(dtype)


def same_bits(a, b):
    a, b = (mx.contiguous(v).view(mx.uint8) for v in (a, b))
    return a.shape == b.shape and mx.array_equal(a, b).item()


def made_of(a, b, n, dtype):
    """The same bits where sums of n terms are made alike, and a few roundings apart where not."""
    if n < LONG:
        return same_bits(a, b)
    few = {mx.float64: 4e-15, mx.float32: 2e-6, mx.float16: 1e-3, mx.bfloat16: 8e-3}
    few = max(few[a.dtype], few[wide_type(dtype)])
    a, b = (np.array(v.astype(mx.float64)) for v in (a, b))
    return np.abs(a - b).max() <= few * np.abs(b).max()


def close(a, b, dtype, scale=1.0):
    tolerance = {mx.float64: 1e-11, mx.float32: 5e-5, mx.float16: 1e-2, mx.bfloat16: 8e-2}[dtype]
    a, b = (np.array(v.astype(mx.float64)) for v in (a, b))
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * scale)


@pytest.mark.parametrize("n", WIDTHS)
@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("centred", [True, False])
def test_norms_have_the_bits_of_what_they_are_made_of(centred, dtype, n):
    x = data((5, n), dtype)
    weight, bias = data(n, dtype, 1), data(n, dtype, 2) if centred else None
    other = data(n, mx.float64 if dtype == mx.float32 else mx.float32, 3)
    for w, b in ((None, None), (weight, None), (weight, bias), (None, bias), (other, bias)):
        got, want = norm(x, w, b, centred), composed_norm(x, w, b, centred)
        assert got.dtype == want.dtype and made_of(got, want, n, dtype)


@pytest.mark.parametrize("n", WIDTHS)
@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_softmax_has_the_bits_of_what_it_is_made_of(dtype, n):
    x = data((5, n), dtype)
    assert made_of(mx.softmax(x, -1), composed_softmax(x), n, dtype)


VIEWS = {
    "transposed": lambda a: a.T,
    "reversed": lambda a: a[::-1, ::-1],
    "every other column": lambda a: a[:, ::2],
    "every other row": lambda a: a[::2],
    "a row repeated": lambda a: mx.broadcast_to(a[1], a.shape),
    "a column repeated": lambda a: mx.broadcast_to(a[:, 1:2], a.shape),
    "three axes": lambda a: a.reshape(a.shape[0], 2, -1).transpose(1, 0, 2),
    "three axes turned": lambda a: a.reshape(a.shape[0], 2, -1).transpose(2, 1, 0),
}


@pytest.mark.parametrize("shape", [(6, 8), (400, 66), (3, 70_002)])
@pytest.mark.parametrize("dtype", [mx.float32, mx.float16], ids=str)
def test_views_give_the_bits_of_their_copies(dtype, shape):
    a = data(shape, dtype)
    for name, view in VIEWS.items():
        x = view(a)
        dense = mx.contiguous(x)
        w = data(x.shape[-1], dtype, 1)
        t = view(data(shape, dtype, 2))
        dense_t = mx.contiguous(t)
        mx.eval(dense, dense_t)
        for f in (
            lambda x: mx.softmax(x, -1),
            lambda x: mx.fast.layer_norm(x, w, w, EPS),
            lambda x: mx.fast.rms_norm(x, w[::-1], EPS),
        ):
            assert same_bits(f(x), f(dense)), name
            got, want = (mx.vjp(f, [v], [u])[1][0] for v, u in ((x, t), (dense, dense_t)))
            assert same_bits(got, want), name


SOLID = [(7, 5), (33, 17), (100, 257), (1, 50), (50, 1), (1024, 70), (4097, 130), (2049, 3)]
SOLID += [(3, 9, 40), (2, 5, 3), (4, 8200, 3), (5, 1, 40), (2, 40, 16), (3, 0, 4), (3, 4, 0)]
LAYOUTS = {
    "dense": lambda a: a,
    "reversed": lambda a: a[::-1],
    "turned": lambda a: mx.contiguous(mx.swapaxes(a, 0, 1)).swapaxes(0, 1),
    "every other": lambda a: mx.repeat(a, 2, axis=-1)[..., ::2],
    "a part": lambda a: mx.concatenate([a, a], axis=-1)[..., : a.shape[-1]],
    "one row repeated": lambda a: mx.broadcast_to(a[:1], a.shape),
    "one column repeated": lambda a: mx.broadcast_to(a[..., :1], a.shape),
}


def check_columns(x, t, axis, threads=(1, 2)):
    """softmax along an axis, and its slope, have the bits of those of a transposed copy."""
    last = lambda a: mx.contiguous(mx.swapaxes(a, axis, -1))
    want = mx.softmax(last(x), -1).swapaxes(axis, -1)
    slope = mx.vjp(lambda a: mx.softmax(a, -1), [last(x)], [last(t)])[1][0].swapaxes(axis, -1)
    before = mx.num_threads()
    try:
        for count in threads:
            mx.set_num_threads(count)
            assert same_bits(mx.softmax(x, axis), want)
            got = mx.vjp(lambda a: mx.softmax(a, axis), [x], [t])[1][0]
            assert same_bits(got, slope)
    finally:
        mx.set_num_threads(before)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("shape", SOLID, ids=str)
def test_softmax_of_columns_has_the_bits_of_that_of_rows(shape, dtype):
    x, t = data(shape, dtype), data(shape, dtype, 1)
    for layout in LAYOUTS.values():
        if 0 in shape and layout is not LAYOUTS["dense"]:
            continue
        mx.eval(u := layout(x), v := layout(t))
        for axis in range(len(shape) - 1):
            check_columns(u, v, axis)
    check_columns(x * 2 - 1, t + x, 0)  # formed as they are read


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("shape", [(70_001, 20), (70_001, 3), (2, 66_000, 18)], ids=str)
def test_softmax_of_long_columns_has_the_bits_of_that_of_rows(shape, dtype):
    x, t = data(shape, dtype), data(shape, dtype, 1)
    for layout in ("dense", "turned", "one column repeated"):
        mx.eval(u := LAYOUTS[layout](x), v := LAYOUTS[layout](t))
        check_columns(u, v, len(shape) - 2, threads=[2])
    check_columns(x * 2 - 1, t + x, len(shape) - 2, threads=[2])


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_softmax_of_columns_with_infinities_and_nan(dtype):
    x = np.random.default_rng(0).normal(size=(40, 70))
    x[3, 2::9], x[5, 3::9], x[6, 4::9] = np.inf, -np.inf, np.nan
    x[:, 8], x[:, 69], x[:, 10] = -np.inf, -np.inf, np.nan
    with np.errstate(invalid="ignore"):
        e = np.exp(x - x.max(0))
        want = e / e.sum(0)
    got = np.array(mx.softmax(mx.array(x).astype(dtype), 0).astype(mx.float64))
    np.testing.assert_allclose(got, want, rtol=2e-2, atol=1e-2)
    assert (np.isnan(got) == np.isnan(want)).all()


def test_softmax_along_in_transforms():
    x, t = data((3, 6, 5), mx.float64), data((3, 6, 5), mx.float64, 1)
    last = lambda a: mx.softmax(mx.swapaxes(a, -2, -1), -1).swapaxes(-2, -1)
    along = lambda a: mx.softmax(a, -2)
    for f, g in ((along, last), (mx.vmap(lambda a: mx.softmax(a, 0)), last)):
        loss = lambda h: lambda a: mx.sum(mx.grad(lambda b: mx.sum(h(b) ** 3 * t))(a) ** 2)
        close(f(x), g(x), mx.float64)
        close(mx.grad(loss(f))(x), mx.grad(loss(g))(x), mx.float64)
        close(mx.jvp(f, [x], [t])[1][0], mx.jvp(g, [x], [t])[1][0], mx.float64)
        twice = lambda h: lambda a: mx.jvp(lambda b: mx.jvp(h, [b], [t])[1][0], [a], [t])[1][0]
        close(twice(f)(x), twice(g)(x), mx.float64)
    assert same_bits(
        mx.softmax(x, (0, 1)), mx.softmax(x.reshape(18, 5), 0).reshape(x.shape)
    )
    moved = mx.vmap(lambda a: mx.softmax(a, 0), in_axes=1, out_axes=1)(x)
    close(moved, mx.softmax(x, 0), mx.float64)


def gradients(f, arrays, ct):
    return mx.vjp(f, arrays, [ct])[1]


@pytest.mark.parametrize("shape", [(7,), (1, 5), (300, 33), (4, 3, 129), (3, 5000)])
@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("centred", [True, False])
def test_gradients_of_norms_are_those_of_what_they_are_made_of(centred, dtype, shape):
    n = shape[-1]
    x, w, b = data(shape, dtype), data(n, dtype, 1), data(n, dtype, 2)
    ct = data(shape, dtype, 3)
    rows = x.size // n
    sides = [v.astype(mx.float64) for v in (x, w, b)]
    for parameters in ((), (1,), (1, 2) if centred else (1,)):
        def made(f):
            return lambda x, *p: f(x, *p, *[None] * (2 - len(p)), centred)

        take = [0, *parameters]
        got = gradients(made(norm), [(x, w, b)[k] for k in take], ct)
        want = gradients(made(composed_norm), [sides[k] for k in take], ct.astype(mx.float64))
        for k, (g, v) in enumerate(zip(got, want)):
            assert g.dtype == dtype and g.shape == v.shape
            close(g, v, dtype, 1.0 if k == 0 else 4 * rows**0.5)


@pytest.mark.parametrize("centred", [True, False])
def test_higher_derivatives_of_norms(centred):
    x, w, b = data((4, 6), mx.float64), data(6, mx.float64, 1), data(6, mx.float64, 2)
    t = data((4, 6), mx.float64, 3)
    tw, tb = data(6, mx.float64, 4), data(6, mx.float64, 5)

    def made(f):
        return lambda x, w, b: f(x, w, b if centred else None, centred)

    def loss(f):
        return lambda x, w, b: mx.sum(mx.sin(made(f)(x, w, b)))

    def second(f):
        def inner(x, w, b):
            gx, gw, gb = mx.grad(loss(f), argnums=(0, 1, 2))(x, w, b)
            return mx.sum(gx * t) + mx.sum(gw * tw) + mx.sum(mx.cos(gb) * tb)

        return inner

    for order in (loss, second):
        got = mx.grad(order(norm), argnums=(0, 1, 2))(x, w, b)
        want = mx.grad(order(composed_norm), argnums=(0, 1, 2))(x, w, b)
        for g, v in zip(got, want):
            close(g, v, mx.float64)
        got = mx.jvp(order(norm), [x, w, b], [t, tw, tb])[1][0]
        want = mx.jvp(order(composed_norm), [x, w, b], [t, tw, tb])[1][0]
        close(got, want, mx.float64)
    third = [
        mx.grad(lambda x: mx.sum(mx.grad(second(f))(x, w, b) ** 2))(x)
        for f in (norm, composed_norm)
    ]
    close(*third, mx.float64, 100)


def test_higher_derivatives_of_softmax():
    x, t = data((4, 6), mx.float64), data((4, 6), mx.float64, 1)

    def first(f):
        return lambda x: mx.sum(mx.sin(f(x)) * t)

    def second(f):
        return lambda x: mx.sum(mx.grad(first(f))(x) ** 2 * t)

    soft = lambda x: mx.softmax(x, -1)
    for order in (first, second, lambda f: second(lambda x: mx.grad(first(f))(x))):
        close(mx.grad(order(soft))(x), mx.grad(order(composed_softmax))(x), mx.float64)
        close(
            mx.jvp(order(soft), [x], [t])[1][0],
            mx.jvp(order(composed_softmax), [x], [t])[1][0],
            mx.float64,
        )


@pytest.mark.parametrize("centred", [True, False])
def test_norms_and_their_gradients_under_vmap(centred):
    x, w, b = data((3, 4, 6), mx.float64), data((3, 6), mx.float64, 1), data((3, 6), mx.float64, 2)

    def f(x, w, b):
        return norm(x, w, b if centred else None, centred)

    def g(x, w, b):
        return mx.grad(lambda *a: mx.sum(mx.sin(f(*a))), argnums=(0, 1, 2))(x, w, b)

    def h(x, w, b):
        return mx.grad(lambda *a: mx.sum(g(*a)[0] ** 2) + mx.sum(g(*a)[1] ** 2))(x, w, b)

    for axes in ((0, 0, 0), (0, None, None), (None, 0, 0), (1, 0, None), (None, None, 0)):
        arrays = [v if a is not None else v[0] for v, a in zip((x, w, b), axes)]
        lanes = [v.shape[a] for v, a in zip(arrays, axes) if a is not None]
        if len(set(lanes)) > 1:  # 3 and 4
            arrays[1] = data((4, 6), mx.float64, 3)
        count = arrays[0].shape[axes[0]] if axes[0] is not None else 3
        for function in (f, g, h):
            got = mx.vmap(function, in_axes=axes)(*arrays)
            each = [
                function(
                    *[
                        v if a is None else mx.take(v, k, a)
                        for v, a in zip(arrays, axes)
                    ]
                )
                for k in range(count)
            ]
            if function is not g:
                got, each = (got,), [(e,) for e in each]
            for i, one in enumerate(got):
                close(one, mx.stack([e[i] for e in each]), mx.float64)


@pytest.mark.parametrize("rows", [1, 15, 16, 17, 100, 2049, 5000])
def test_gradients_of_parameters_have_the_same_bits_for_any_number_of_threads(rows):
    x, w, ct = data((rows, 70)), data(70, seed=1), data((rows, 70), seed=2)
    mx.eval(x, w, ct)
    before = mx.num_threads()
    seen = set()
    for threads in (1, 2, 7):
        mx.set_num_threads(threads)
        try:
            for f in (lambda f: f, mx.compile):
                made = f(lambda x, w, b: gradients(
                    lambda x, w, b: mx.fast.layer_norm(x, w, b, EPS), [x, w, b], ct))
                seen.add(b"".join(np.array(g).tobytes() for g in made(x, w, w)))
        finally:
            mx.set_num_threads(before)
    assert len(seen) == 1


def test_a_norm_and_its_gradient_keep_nothing_but_what_they_give():
    x, w = data((2000, 500)), mx.ones(500)
    mx.eval(x, w)
    for f, arrays in (
        (lambda x: mx.fast.layer_norm(x, w, w, EPS), 2),  # cotangent and gradient
        (lambda x: mx.fast.rms_norm(x, w, EPS), 2),
        (lambda x: mx.softmax(x, -1), 3),  # and the value
    ):
        start = mx.get_active_memory()
        mx.reset_peak_memory()
        y = f(x)
        mx.eval(y)
        assert mx.get_peak_memory() - start < 1.05 * x.nbytes
        del y
        start = mx.get_active_memory()
        mx.reset_peak_memory()
        g = mx.grad(lambda x: mx.sum(f(x)))(x)
        mx.eval(g)
        assert mx.get_peak_memory() - start < (arrays + 0.1) * x.nbytes
        del g


def test_norms_of_nothing():
    w = mx.ones(4)
    x = mx.zeros((0, 4))
    assert mx.fast.layer_norm(x, w, w, EPS).shape == (0, 4)
    gx, gw, gb = gradients(
        lambda x, w, b: mx.fast.layer_norm(x, w, b, EPS), [x, w, w], mx.zeros((0, 4))
    )
    assert gx.shape == (0, 4) and gw.tolist() == gb.tolist() == [0] * 4
    assert mx.fast.rms_norm(mx.zeros((3, 0)), None, EPS).shape == (3, 0)
    assert mx.softmax(mx.zeros((3, 0)), -1).shape == (3, 0)


def test_integers_are_normalised_in_the_dtype_of_the_parameters():
    x = mx.array([[1, 2, 3, 4]])
    for w in (mx.ones(4), mx.ones(4, mx.float16)):
        for f in (lambda x, w: mx.fast.layer_norm(x, w, None, EPS),
                  lambda x, w: mx.fast.rms_norm(x, w, EPS)):
            assert f(x, w).dtype == w.dtype
            assert same_bits(f(x, w), f(x.astype(w.dtype), w))
    for w in (None, mx.ones(4, mx.int32), mx.ones(4, mx.complex64)):
        with pytest.raises(ValueError, match="dtype not supported"):
            mx.fast.rms_norm(x, w, EPS)
