"""Cosine and sine transforms beside SciPy's; short-time transforms beside plain loops."""

import numpy as np
import pytest
import scipy.fft

import lazulite.core as mx
from lazulite.core import _core

NAMES = [row["name"] for row in _core._table() if "type=2, n=None" in row["signature"]]


def doubles(*shape, seed=0):
    return mx.array(np.random.default_rng(seed).standard_normal(shape), mx.float64)


@pytest.mark.parametrize("norm", ["backward", "ortho", "forward"])
@pytest.mark.parametrize("kind", [1, 2, 3, 4])
@pytest.mark.parametrize("name", NAMES)
def test_cosines_and_sines_of_every_length(name, kind, norm):
    ours, theirs = getattr(mx.fft, name), getattr(scipy.fft, name)
    for n in [1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 31, 64, 67, 100, 1009]:
        if kind == 1 and n == 1 and "dct" in name:
            with pytest.raises(ValueError, match=rf"^\[{name}\] n: got 1"):
                ours(mx.ones(1), 1)
            continue
        a = doubles(3, n)
        wanted = theirs(np.array(a), kind, norm=norm)
        scale = np.abs(wanted).max()
        np.testing.assert_allclose(np.array(ours(a, kind, norm=norm)), wanted, atol=1e-14 * scale)
        single = ours(a.astype(mx.float32), kind, norm=norm)
        assert single.dtype == mx.float32
        np.testing.assert_allclose(np.array(single), wanted, atol=3e-6 * scale)
        columns = ours(a, kind, 4, 0, norm)
        np.testing.assert_allclose(
            np.array(columns), theirs(np.array(a), kind, 4, 0, norm), atol=1e-13
        )


@pytest.mark.parametrize("norm", ["backward", "ortho", "forward"])
def test_cosines_and_sines_and_back(norm):
    for n in (2, 5, 8):
        a = doubles(4, n)
        for kind in (1, 2, 3, 4):
            for there, back in ((mx.fft.dct, mx.fft.idct), (mx.fft.dst, mx.fft.idst)):
                again = back(there(a, kind, norm=norm), kind, norm=norm)
                np.testing.assert_allclose(np.array(again), np.array(a), atol=1e-13)


def test_errors_of_cosines_name_function_and_argument():
    for call, text in [
        (lambda: mx.fft.dct(mx.ones(3), 5), r"^\[dct\] type: got 5"),
        (lambda: mx.fft.idst(mx.ones(3), 0), r"^\[idst\] type: got 0"),
        (lambda: mx.fft.dct(mx.ones(3, mx.complex64)), r"^\[dct\] dtype not supported"),
        (lambda: mx.fft.dst(mx.array(1.0)), r"^\[dst\] 0-d"),
        (lambda: mx.fft.dct(mx.ones(3), norm="x"), r"^\[dct\] norm: got 'x'"),
    ]:
        with pytest.raises(ValueError, match=text):
            call()


def loop_of_frames(x, n, hop, window, center, mode, norm, half):
    if center:
        x = np.pad(x, [(0, 0)] * (x.ndim - 1) + [(n // 2, n // 2)], mode)
    starts = range(0, x.shape[-1] - n + 1, hop)
    transform = np.fft.rfft if half else np.fft.fft
    return np.stack([transform(x[..., i : i + n] * window, norm=norm) for i in starts], -1)


@pytest.mark.parametrize("norm", ["backward", "ortho", "forward"])
@pytest.mark.parametrize("mode", ["reflect", "constant", "edge"])
@pytest.mark.parametrize("center", [True, False])
def test_short_time_transforms_are_a_loop_over_frames(center, mode, norm):
    for n, hop, win, shape in [(16, 4, 16, (100,)), (15, 4, 10, (2, 61)), (8, 8, 8, (3, 2, 40))]:
        x = doubles(*shape)
        w = mx.array(np.hanning(win + 2)[1:-1], mx.float64)
        padded = np.pad(np.array(w), ((n - win) // 2, n - win - (n - win) // 2))
        for half in (True, False, None):
            got = mx.fft.stft(x, n, hop, win, w, center, mode, norm, half)
            wanted = loop_of_frames(
                np.array(x), n, hop, padded, center, mode, norm, half is not False
            )
            np.testing.assert_allclose(np.array(got), wanted, atol=1e-12)
            back = mx.fft.istft(got, n, hop, win, w, center, norm, half, length=shape[-1])
            inside = slice(n, -n - hop)
            np.testing.assert_allclose(
                np.array(back)[..., inside], np.array(x)[..., inside], atol=1e-12
            )


def test_short_time_transforms_beside_those_of_defaults():
    x = doubles(2, 5000)
    got = mx.fft.stft(x)
    assert got.shape == (2, 1025, 10) and got.dtype == mx.complex128
    wanted = loop_of_frames(np.array(x), 2048, 512, np.ones(2048), True, "reflect", None, True)
    np.testing.assert_allclose(np.array(got), wanted, atol=1e-10)
    back = mx.fft.istft(got, length=5000)
    # The last frame ends before the last samples do: nothing is known of these.
    known = 2048 + 9 * 512 - 1024
    np.testing.assert_allclose(
        np.array(back)[:, : min(known, 5000)], np.array(x)[:, : min(known, 5000)], atol=1e-12
    )
    assert mx.fft.istft(got, length=6000).shape == (2, 6000)
    assert mx.fft.istft(got).shape == (2, 2048 + 9 * 512 - 2048)
    complex_samples = x.astype(mx.complex128)
    assert mx.fft.stft(complex_samples, 64).shape[1] == 64
    assert mx.fft.stft(mx.ones(100, mx.int32), 10).dtype == mx.complex64


def test_gradients_go_through_short_time_transforms():
    x = doubles(40)
    window = mx.array(np.hanning(8), mx.float64)

    def loss(v):
        y = mx.fft.stft(v, 8, window=window)
        return mx.sum(mx.square(mx.fft.istft(y * 0.5, 8, window=window))) + mx.sum(mx.abs(y))

    g = np.array(mx.grad(loss)(x))
    for i in (0, 3, 21, 39):
        e = mx.array(np.eye(40)[i] * 1e-6, mx.float64)
        slope = float((loss(x + e) - loss(x - e)) / 2e-6)
        assert slope == pytest.approx(g[i], rel=1e-5, abs=1e-7)


@pytest.mark.parametrize(
    "call, text",
    [
        (lambda: mx.fft.stft(mx.array(1.0)), r"^\[stft\] 0-d"),
        (lambda: mx.fft.stft(mx.ones(9), 16, center=False), r"^\[stft\] n_fft: got 16"),
        (lambda: mx.fft.stft(mx.ones(99), 16, 0), r"^\[stft\] hop_length: got 0"),
        (lambda: mx.fft.stft(mx.ones(99), 16, win_length=17), r"^\[stft\] win_length: got 17"),
        (lambda: mx.fft.stft(mx.ones(99), 16, window=mx.ones(5)), r"^\[stft\] window: got shape"),
        (lambda: mx.fft.stft(mx.ones(99, mx.complex64), 16, onesided=True), r"^\[stft\] onesided"),
        (lambda: mx.fft.stft(mx.ones(99), 16, pad_mode="no"), r"^\[stft\] "),
        (lambda: mx.fft.istft(mx.ones(9)), r"^\[istft\] shape"),
        (lambda: mx.fft.istft(mx.ones((9, 4)), 20), r"^\[istft\] n_fft: got 20"),
        (lambda: mx.fft.istft(mx.ones((9, 0))), r"^\[istft\] no frames"),
        (lambda: mx.fft.istft(mx.ones((9, 4)), length=-1), r"^\[istft\] length: got -1"),
    ],
)
def test_errors_of_short_time_transforms(call, text):
    with pytest.raises(ValueError, match=text):
        call()
