"""Packed weights that are kept: the same bits as without, dropped when the weights are written,
freed or shown to others, bounded, and given back with the cache."""

import gc
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import lazulite.core as mx

RNG = np.random.default_rng(0)
CHANNELS = 96


def weights(seed, dtype=np.float32):
    w = np.random.default_rng(seed).integers(-60, 60, (CHANNELS, 3, 3, CHANNELS))
    return w.astype(dtype)


def images(dtype=np.float32, size=5):
    return RNG.integers(-60, 60, (1, size, size, CHANNELS)).astype(dtype)


def plain(x, w):
    """At the same level, of weights that were never seen before."""
    x, w = mx.array(np.array(x)), mx.array(np.array(w))
    return np.array(conv(x, w))


def conv(x, w):
    return (mx.int8_conv if x.dtype == mx.int8 else mx.conv2d)(x, w, padding=1)


@pytest.fixture(autouse=True)
def nothing_kept():
    gc.collect()
    mx.clear_cache()
    assert mx.get_cache_memory() == 0
    yield
    gc.collect()
    mx.clear_cache()


def own(w):
    """In memory of ours, that nobody else sees."""
    made = mx.array(w) + mx.array(0, mx.array(w).dtype)
    mx.eval(made)
    return made


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_calls_with_the_same_weights_have_the_same_bits(dtype):
    w = own(mx.array(weights(1)).astype(getattr(mx, dtype)))
    for size in (5, 3, 7, 5):
        x = mx.array(images(size=size)).astype(getattr(mx, dtype))
        results = [conv(x, w) for _ in range(4)]
        for y in results:
            mx.eval(y)
        for y in results[1:]:
            assert mx.array_equal(results[0], y)
        assert mx.array_equal(results[0], conv(x, own(w)))
        turned = w[:, ::-1]
        assert mx.array_equal(conv(x, turned), conv(x, own(turned)))
        assert mx.array_equal(conv(x, turned), conv(x, own(turned)))


@pytest.mark.parametrize("dtype", [np.float32, np.int8])
def test_weights_that_are_written_over_are_packed_anew(dtype):
    x = mx.array(images(dtype))
    w = own(weights(2, dtype))
    one = mx.array(1, w.dtype)
    mx.eval(x, one)
    for _ in range(5):
        for _ in range(3):
            mx.eval(conv(x, w))
        w = w - one  # written over: nobody else holds it
        mx.eval(w)
        np.testing.assert_array_equal(np.array(conv(x, w)), plain(x, w))
    w[3, 1] = one  # in place
    np.testing.assert_array_equal(np.array(conv(x, w)), plain(x, w))


def test_buffers_that_are_freed_and_taken_again_do_not_match():
    x = mx.array(images())
    for seed in range(30):
        w = own(weights(seed))
        for _ in range(3):
            y = conv(x, w)
            mx.eval(y)
        np.testing.assert_array_equal(np.array(y), plain(x, weights(seed)))
        del w


@pytest.mark.parametrize("shown", ["before", "after"])
def test_memory_that_others_may_write_to_is_not_trusted(shown):
    x, w = mx.array(images()), own(weights(3))
    seen = np.array(w, copy=False) if shown == "before" else None
    for _ in range(3):
        mx.eval(conv(x, w))
    seen = np.array(w, copy=False) if seen is None else seen
    assert np.shares_memory(seen, np.array(w, copy=False))
    seen[:] = weights(4)
    np.testing.assert_array_equal(np.array(conv(x, w)), plain(x, weights(4)))


def test_views_of_numpy_arrays_follow_them():
    memory = weights(5)
    x, w = mx.array(images()), mx.from_dlpack(memory)
    for seed in (6, 7):
        for _ in range(3):
            mx.eval(conv(x, w))
        memory[:] = weights(seed)
        np.testing.assert_array_equal(np.array(conv(x, w)), plain(x, np.array(memory)))


def test_weights_made_anew_in_each_call_or_step_are_not_those_of_before():
    x, w = mx.array(images()), own(weights(8))
    step = mx.compile(lambda x, scale: conv(x, w * scale))
    for k in range(1, 6):
        scale = mx.array(float(k))
        np.testing.assert_array_equal(np.array(step(x, scale)), plain(x, np.array(w) * k))

    def body(carry, scale):
        return carry + 1, conv(x, w * scale + carry)

    _, ys = mx.scan(body, mx.array(0.0), mx.arange(1.0, 7.0))
    for k in range(6):
        np.testing.assert_array_equal(np.array(ys[k]), plain(x, np.array(w) * (k + 1) + k))


def test_what_is_kept_is_counted_and_goes_with_the_cache_and_with_the_weights():
    x, w = mx.array(images()), own(weights(9))
    mx.eval(x)
    mx.eval(conv(x, w))
    mx.eval(conv(x, w))
    gc.collect()
    start, cached = mx.get_active_memory(), mx.get_cache_memory()
    assert cached >= w.nbytes
    mx.clear_cache()
    assert mx.get_cache_memory() == 0 and mx.get_active_memory() == start
    for _ in range(2):
        mx.eval(conv(x, w))
    assert mx.get_cache_memory() >= w.nbytes
    del w
    old = mx.set_cache_limit(0)  # what is free goes at once: nothing else may be left
    try:
        gc.collect()
        assert mx.get_cache_memory() == 0
    finally:
        mx.set_cache_limit(old)


def test_no_more_is_kept_than_the_limits_allow():
    code = """
import numpy as np, lazulite.core as mx
mx.set_cache_limit(10**9)
x = mx.ones((1, 5, 5, 96))
ws = [mx.ones((96, 3, 3, 96)) * k for k in range(1, 9)]
mx.eval(x, ws)
for _ in range(3):
    for k, w in enumerate(ws):
        assert mx.conv2d(x, w)[0, 1, 1, 1].item() == 864 * (k + 1)
mx.set_cache_limit(0)
mx.set_cache_limit(10**9)
print(mx.get_cache_memory())
"""
    found = []
    for limit in ("0", "800000", ""):
        env = {k: v for k, v in os.environ.items() if k != "LAZULITE_PACKED_BYTES"}
        if limit:
            env["LAZULITE_PACKED_BYTES"] = limit
        done = subprocess.run(
            [sys.executable, "-c", code], env=env, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        found.append(int(done.stdout))
    nbytes = 96 * 9 * 96 * 4
    assert found[0] == 0 and nbytes <= found[1] <= 800000 and found[2] >= 8 * nbytes


def test_threads_share_what_is_kept():
    x, ws = mx.array(images()), [own(weights(seed)) for seed in range(4)]
    wanted = [plain(x, w) for w in ws]
    wrong = []

    def work(first):
        for k in range(40):
            w = (first + k) % 4
            if not np.array_equal(np.array(conv(x, ws[w])), wanted[w]):
                wrong.append(w)
            if k % 10 == first:
                mx.clear_cache()

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
