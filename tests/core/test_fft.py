"""Fourier transforms beside NumPy's: lengths, layouts, axes, norms, dtypes, derivatives, and bits
that depend on neither threads nor levels."""

import os
import subprocess
import sys

import numpy as np
import pytest

import lazulite.core as mx
from lazulite.core import _core

LENGTHS = list(range(1, 131)) + [251, 257, 360, 509, 1000, 1009, 4093, 4096, 5000, 10007, 100003]
TYPES = {"complex64": 4e-7, "complex128": 1e-15}
ROWS = [row for row in _core._table() if row["module"] == "fft"]
# Of one axis, and of two or more: the functions of real arrays are known by their letter.
ALONG = sorted(row["name"] for row in ROWS if "(a, n=None, axis=-1, norm=" in row["signature"])
SEVERAL = sorted(row["name"] for row in ROWS if "s=None, axes=" in row["signature"])


def takes_real(name):
    return name.startswith(("rfft", "ihfft"))


def spectrum(dtype, *shape, seed=0):
    rng = np.random.default_rng(seed)
    v = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    return mx.array(v, getattr(mx, dtype))


def real_part(a):
    return mx.contiguous(mx.real(a))


def double(a):
    v = np.array(a)
    return v.astype(complex if v.dtype.kind == "c" else float)


def close(got, wanted, dtype, n):
    """By the root of the mean square, as errors of a transform are: they grow with log n."""
    got = np.array(got)
    assert got.shape == wanted.shape
    part = {"complex64": np.float32, "complex128": np.float64}[dtype]
    assert got.real.dtype == part and got.dtype.kind == wanted.dtype.kind
    error = np.sqrt(np.mean(np.abs(got - wanted) ** 2))
    assert error <= TYPES[dtype] * (1 + np.log2(n) / 8) * np.sqrt(np.mean(np.abs(wanted) ** 2))


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("lines", [(), (3,), (20,)], ids=str)
def test_every_length(lines, dtype):
    for n in LENGTHS:
        if n * (lines or (1,))[0] > 200_000:
            continue
        a = spectrum(dtype, *lines, n)
        r = real_part(a)
        wide, wide_real = double(a), double(r)
        close(mx.fft.fft(a), np.fft.fft(wide), dtype, n)
        close(mx.fft.ifft(a), np.fft.ifft(wide), dtype, n)
        close(mx.fft.rfft(r), np.fft.rfft(wide_real), dtype, n)
        close(mx.fft.irfft(a, n), np.fft.irfft(wide, n), dtype, n)


@pytest.mark.parametrize("n", [1, 2, 15, 64, 67, 128, 200, 331, 5000, 10007])
def test_every_axis_and_layout(n):
    layouts = {
        "dense": lambda a: a,
        "reversed": lambda a: a[::-1, ::-1],
        "strided": lambda a: mx.repeat(mx.repeat(a, 2, 0), 3, 1)[::2, ::3],
        "transposed": lambda a: mx.contiguous(a.T).T,
        "broadcast": lambda a: mx.broadcast_to(a[:1], a.shape),
    }
    for shape in [(n, 9), (n, 35), (9, n)]:
        for name, layout in layouts.items():
            if n > 1000 and shape == (n, 35):
                continue
            a = layout(spectrum("complex128", *shape))
            r = layout(mx.real(spectrum("complex128", *shape)))
            wide, wide_real = double(a), double(r)
            for axis in (0, 1, -1):
                length = a.shape[axis]
                close(mx.fft.fft(a, axis=axis), np.fft.fft(wide, axis=axis), "complex128", n)
                close(mx.fft.rfft(r, axis=axis), np.fft.rfft(wide_real, axis=axis), "complex128", n)
                close(
                    mx.fft.irfft(a, length, axis),
                    np.fft.irfft(wide, length, axis),
                    "complex128",
                    n,
                )


@pytest.mark.parametrize("norm", ["backward", "ortho", "forward"])
@pytest.mark.parametrize("n", [1, 5, 8, 11, 16, 300])
def test_lengths_and_norms(n, norm):
    for shape in [(5, 9), (9, 20), (1, 301)]:
        for axis in (0, 1):
            a = spectrum("complex128", *shape)
            r = real_part(a)
            for name in ALONG:
                x = r if takes_real(name) else a
                got = getattr(mx.fft, name)(x, n, axis, norm)
                wanted = getattr(np.fft, name)(np.array(x), n, axis, norm)
                close(got, wanted, "complex128", n)


def test_several_axes():
    a = spectrum("complex128", 3, 4, 5, 6)
    r = real_part(a)
    for name in SEVERAL:
        x = r if takes_real(name) else a
        for axes, s in [([0, 2], None), ([2, 0], [7, 2]), ([2, 3], [3, 8]), ([1], [9])]:
            for norm in ("backward", "ortho", "forward"):
                got = getattr(mx.fft, name)(x, s, axes, norm)
                close(got, getattr(np.fft, name)(np.array(x), s, axes, norm), "complex128", 9)
        close(getattr(mx.fft, name)(x), getattr(np.fft, name)(np.array(x)), "complex128", 9)
    close(mx.fft.fftn(a, [3, 8]), np.fft.fftn(np.array(a), [3, 8], [2, 3]), "complex128", 9)
    got = mx.fft.fftn(a, [-1, 4], [0, 1])
    close(got, np.fft.fftn(np.array(a), [3, 4], [0, 1]), "complex128", 9)


@pytest.mark.parametrize(
    "dtype, wanted",
    [
        ("bool_", mx.complex64),
        ("int8", mx.complex64),
        ("uint64", mx.complex64),
        ("float16", mx.complex64),
        ("bfloat16", mx.complex64),
        ("float32", mx.complex64),
        ("float64", mx.complex128),
    ],
)
def test_dtypes(dtype, wanted):
    a = mx.array([1, 0, 1, 1, 0], getattr(mx, dtype))
    exact = np.fft.fft([1, 0, 1, 1, 0])
    assert mx.fft.fft(a).dtype == wanted and mx.fft.rfft(a).dtype == wanted
    assert mx.fft.irfft(a).dtype == (mx.float64 if wanted == mx.complex128 else mx.float32)
    np.testing.assert_allclose(np.array(mx.fft.fft(a)), exact, atol=1e-6)
    np.testing.assert_allclose(np.array(mx.fft.rfft(a)), exact[:3], atol=1e-6)


@pytest.mark.parametrize("n", [1, 2, 3, 12, 67, 127, 256, 1001, 4096, 9001])
def test_round_trips(n):
    for lines in ((), (17,)):
        a = spectrum("complex128", *lines, n)
        r = real_part(a)
        np.testing.assert_allclose(np.array(mx.fft.ifft(mx.fft.fft(a))), np.array(a), atol=1e-13)
        back = mx.fft.irfft(mx.fft.rfft(r), n)
        np.testing.assert_allclose(np.array(back), np.array(r), atol=1e-13)
        again = mx.fft.ifftshift(mx.fft.fftshift(a))
        assert mx.array_equal(again, a)


def test_errors_grow_like_log_n():
    """Single precision beside a transform in double: no worse than NumPy's, to a little."""
    for n in (1 << 10, 1 << 16, 1 << 20, 10**6, 3**12, 65537):
        a = spectrum("complex64", n)
        exact = np.fft.fft(double(a))
        size = np.sqrt(np.mean(np.abs(exact) ** 2))
        ours = np.sqrt(np.mean(np.abs(np.array(mx.fft.fft(a)) - exact) ** 2)) / size
        assert ours < 1.2e-7 * (1 + np.log2(n) / 10) * (2.5 if n == 65537 else 1), n


def test_imaginary_parts_that_a_real_signal_has_not_are_ignored():
    for n in (2, 5, 8, 300, 10007):
        a = np.array(spectrum("complex128", n // 2 + 1))
        np.testing.assert_allclose(
            np.array(mx.fft.irfft(mx.array(a, mx.complex128), n)), np.fft.irfft(a, n), atol=1e-13
        )


@pytest.mark.parametrize("n", [1, 2, 5, 6, 8])
@pytest.mark.parametrize("name", ALONG)
def test_gradients_are_those_of_finite_differences(name, n):
    """The vjp is the adjoint: what is cut or padded too."""
    f = lambda x: getattr(mx.fft, name)(x, n, 0, "ortho")  # noqa: E731
    for length in (n, n + 3, max(1, n - 2)):
        x = spectrum("complex128", length, 3)
        x = real_part(x) if takes_real(name) else x
        t = spectrum("complex128", length, 3, seed=1)
        t = real_part(t) if takes_real(name) else t
        (y,), (d,) = mx.jvp(f, [x], [t])
        np.testing.assert_allclose(np.array(d), np.array(f(t)), atol=1e-13)
        c = spectrum("complex128", *y.shape, seed=2)
        c = c if "complex" in str(y.dtype) else real_part(c)
        _, (g,) = mx.vjp(f, [x], [c])
        left = np.sum((np.conj(np.array(c)) * np.array(d)).real)
        right = np.sum((np.conj(np.array(g)) * np.array(t)).real)
        assert abs(left - right) < 1e-12


def test_a_gradient_through_a_filter():
    x = mx.array(np.random.default_rng(3).standard_normal(50), mx.float64)

    def loss(v):
        y = mx.fft.rfft(v)
        return mx.sum(mx.square(mx.fft.irfft(y * mx.arange(26) / 25, 50)))

    g = np.array(mx.grad(loss)(x))
    h = 1e-6
    for i in (0, 7, 49):
        e = mx.array(np.eye(50)[i] * h, mx.float64)
        assert float((loss(x + e) - loss(x - e)) / (2 * h)) == pytest.approx(
            g[i], rel=1e-6, abs=1e-8
        )


def test_vmap_compile_and_grad_nest():
    a = spectrum("complex128", 4, 5, 6)
    f = lambda x: mx.fft.fft(x, axis=0)  # noqa: E731
    for axis in range(3):
        got = mx.compile(mx.vmap(f, in_axes=axis, out_axes=1))(a)
        parts = [np.fft.fft(np.take(np.array(a), i, axis), axis=0) for i in range(a.shape[axis])]
        np.testing.assert_allclose(np.array(got), np.stack(parts, 1), atol=1e-12)
    r = real_part(a)
    loss = lambda x: mx.sum(mx.abs(mx.fft.rfft(x, 8)))  # noqa: E731
    got = mx.compile(mx.vmap(mx.grad(loss)))(r)
    wanted = mx.stack([mx.grad(loss)(r[i]) for i in range(4)])
    np.testing.assert_allclose(np.array(got), np.array(wanted), atol=1e-12)


def test_frequencies_and_shifts():
    for n in (1, 2, 7, 8):
        for d in (1.0, 0.25, 3.0):
            np.testing.assert_allclose(np.array(mx.fft.fftfreq(n, d)), np.fft.fftfreq(n, d), 1e-7)
            np.testing.assert_allclose(np.array(mx.fft.rfftfreq(n, d)), np.fft.rfftfreq(n, d), 1e-7)
    a = mx.reshape(mx.arange(30), (5, 6))
    for axes in (None, 0, [1], [0, 1], -1):
        assert np.array_equal(mx.fft.fftshift(a, axes), np.fft.fftshift(np.array(a), axes))
        assert np.array_equal(mx.fft.ifftshift(a, axes), np.fft.ifftshift(np.array(a), axes))


def test_nothing_to_transform():
    assert mx.fft.fft(mx.zeros((0, 4))).shape == (0, 4)
    assert mx.fft.rfft(mx.zeros((3, 0, 5))).shape == (3, 0, 3)
    assert np.array_equal(mx.fft.fft(mx.zeros((2, 0)), 3), np.zeros((2, 3)))
    assert mx.fft.fftn(mx.ones((2, 3)), axes=[]).dtype == mx.complex64


@pytest.mark.parametrize(
    "call, text",
    [
        (lambda: mx.fft.fft(mx.array(1.0)), "0-d"),
        (lambda: mx.fft.fft(mx.ones(3), 0), "n: got 0"),
        (lambda: mx.fft.ifft(mx.ones(3), -2), "n: got -2"),
        (lambda: mx.fft.fft(mx.zeros((2, 0))), "n: got 0"),
        (lambda: mx.fft.irfft(mx.ones(1)), "n: got 0"),
        (lambda: mx.fft.fft(mx.ones(3), axis=1), "axis"),
        (lambda: mx.fft.rfft(mx.ones(3), norm="none"), "norm: got 'none'"),
        (lambda: mx.fft.rfft(mx.ones(3, mx.complex64)), "dtype not supported"),
        (lambda: mx.fft.fftn(mx.ones((3, 3)), axes=[0, 0]), "axes: got 0 twice"),
        (lambda: mx.fft.fftn(mx.ones((3, 3)), [3], [0, 1]), "1 lengths for 2 axes"),
        (lambda: mx.fft.fftn(mx.ones((3, 3)), [3, 3, 3]), "expected at most 2"),
        (lambda: mx.fft.fftn(mx.ones((3, 3)), norm="x"), "norm"),
        (lambda: mx.fft.rfftn(mx.ones((3, 3)), axes=[]), "axes: got none"),
        (lambda: mx.fft.fft2(mx.ones(3)), "axis"),
        (lambda: mx.fft.fftfreq(0), "n: got 0"),
    ],
)
def test_errors_name_function_and_argument(call, text):
    with pytest.raises((ValueError, IndexError), match=r"^\[\w*(fft|freq)\w*\] ") as raised:
        call()
    assert text in str(raised.value)


BITS = """
import hashlib, numpy as np, lazulite.core as mx
rng = np.random.default_rng(5)
all = hashlib.sha256()
for shape in [(5,), (40, 24), (3, 300), (5, 256), (20, 1000), (4099,), (2, 10007), (70000,), (50, 67)]:
    v = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    for dtype in (mx.complex64, mx.complex128):
        a = mx.array(v, dtype)
        for axis in range(a.ndim):
            for y in (mx.fft.fft(a, axis=axis), mx.fft.ifft(a, axis=axis), mx.fft.rfft(mx.real(a), axis=axis),
                      mx.fft.irfft(a, axis=axis) if a.shape[axis] > 1 else a):
                all.update(np.array(y).tobytes())
print(all.hexdigest())
"""


def test_the_same_bits_at_any_number_of_threads_and_at_each_level():
    """Also where every region wakes workers."""

    def run(**settings):
        program = "import lazulite.core as mx; mx._core._set_least_cost(1e9)\n" + BITS
        found = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, **settings},
            capture_output=True,
            text=True,
        )
        assert found.returncode == 0, found.stderr
        return found.stdout

    first = run(LAZULITE_NUM_THREADS="1")
    for threads in ("2", "7"):
        assert run(LAZULITE_NUM_THREADS=threads) == first
    for level in ("generic", "avx2"):
        assert run(LAZULITE_ISA=level) == first


def test_transforms_on_several_threads_share_their_plans():
    from concurrent.futures import ThreadPoolExecutor

    def work(seed):
        out = []
        for n in (97, 128, 360, 1009, 4097 + seed % 3):
            a = spectrum("complex128", 3, n, seed=seed)
            out.append(np.abs(np.array(mx.fft.fft(a)) - np.fft.fft(np.array(a))).max())
        return max(out)

    with ThreadPoolExecutor(6) as pool:
        assert max(pool.map(work, range(24))) < 1e-11


def test_a_function_of_transforms_goes_through_a_file(tmp_path):
    path = str(tmp_path / "filter.mlxfn")
    f = lambda x: mx.fft.irfft(mx.fft.rfft(x) * 2, x.shape[-1])  # noqa: E731
    x = mx.array(np.random.default_rng(1).standard_normal((3, 21)), mx.float64)
    mx.export_function(path, f, x)
    (y,) = mx.import_function(path)(x)
    assert np.array_equal(np.array(y), np.array(f(x)))


def test_all_axes_but_the_first_are_transformed_in_place():
    """To the bits of one axis after the other; what the user holds is left alone."""
    a = spectrum("complex64", 6, 40, 33)
    before = np.array(a)
    mx.eval(a)
    for inverse in (False, True):
        one = mx.fft.ifft if inverse else mx.fft.fft
        y = mx.fft.ifftn(a) if inverse else mx.fft.fftn(a)
        parts = one(one(one(a, axis=2), axis=1), axis=0)
        assert np.array_equal(np.array(y), np.array(parts))
        assert np.array_equal(np.array(a), before)
        held = one(a, axis=2)
        mx.eval(held)
        kept = np.array(held)
        _, g = mx.value_and_grad(lambda x: mx.sum(mx.abs(mx.fft.fftn(x))))(held)
        mx.eval(g)
        assert np.array_equal(np.array(held), kept)
    x = mx.fft.irfftn(a, axes=[0, 1, 2])
    assert np.array_equal(np.array(a), before)
    np.testing.assert_allclose(np.array(x), np.fft.irfftn(before), atol=1e-6)
