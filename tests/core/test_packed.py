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
from lazulite import nn
from lazulite import optimizers as optim
from lazulite.core import _core

RNG = np.random.default_rng(0)
CHANNELS = 96


def drawn(shape, dtype, rng=RNG):
    return rng.integers(-60, 60, shape).astype(dtype)


def conv(x, w):
    return (mx.int8_conv if x.dtype == mx.int8 else mx.conv2d)(x, w, padding=1)


class Kind:
    """Something whose second operand is packed: of these shapes and dtypes, at several sizes."""

    def __init__(self, run, shape, x_shape, dtypes):
        self.run, self.shape, self.x_shape, self.dtypes = run, shape, x_shape, dtypes

    def weights(self, seed, dtype=np.float32):
        return drawn(self.shape, dtype, np.random.default_rng(seed))

    def x(self, dtype=np.float32, size=5):
        return drawn(self.x_shape(size), dtype)

    def plain(self, x, w):
        """At the same level, of weights that were never seen before."""
        return np.array(self.run(mx.array(np.array(x)), mx.array(np.array(w))))


# Rows beyond those that read weights as they lie, up to several blocks of them.
def rows(size):
    return 2 * size * size - 9, 330


KINDS = {
    "conv": Kind(
        conv,
        (CHANNELS, 3, 3, CHANNELS),
        lambda size: (1, size, size, CHANNELS),
        ("float32", "float16", "int8"),
    ),
    "product": Kind(mx.matmul, (330, 275), rows, ("float32", "float64", "float16", "bfloat16")),
    "linear": Kind(
        lambda x, w: x @ w.T, (275, 330), rows, ("float32", "float64", "float16", "bfloat16")
    ),
    "addmm": Kind(
        lambda x, w: mx.addmm(mx.array(3, x.dtype), x, w.T), (275, 330), rows, ("float32",)
    ),
    "rows of a stack": Kind(lambda x, w: x[:, None] @ w, (330, 275), rows, ("float32",)),
}


@pytest.fixture(params=KINDS)
def kind(request):
    return KINDS[request.param]


def kept():
    """Bytes of packed forms."""
    gc.collect()
    old = mx.set_cache_limit(0)  # what is free goes at once
    mx.set_cache_limit(old)
    return mx.get_cache_memory()


def least_kept(of_convolution, nbytes):
    """The generic level has no panels of products: nothing is packed for them there."""
    return nbytes if of_convolution or _core._level() != "generic" else 0


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


@pytest.mark.parametrize(
    "kind, dtype", [(kind, dtype) for kind, k in KINDS.items() for dtype in k.dtypes]
)
def test_calls_with_the_same_weights_have_the_same_bits(kind, dtype):
    run, kind = KINDS[kind].run, KINDS[kind]
    dtype = getattr(mx, dtype)
    w = own(mx.array(kind.weights(1)).astype(dtype))
    for size in (5, 3, 7, 5):
        x = mx.array(kind.x(size=size)).astype(dtype)
        results = [run(x, w) for _ in range(4)]
        for y in results:
            mx.eval(y)
        for y in results[1:]:
            assert mx.array_equal(results[0], y)
        assert mx.array_equal(results[0], run(x, own(w)))
        turned = w[:, ::-1]
        assert mx.array_equal(run(x, turned), run(x, own(turned)))
        assert mx.array_equal(run(x, turned), run(x, own(turned)))
    assert kept() >= least_kept(kind.run is conv, w.nbytes)


@pytest.mark.parametrize("dtype", [np.float32, np.int8])
def test_weights_that_are_written_over_are_packed_anew(kind, dtype):
    if dtype.__name__ not in kind.dtypes:
        pytest.skip("not of this dtype")
    x = mx.array(kind.x(dtype))
    w = own(kind.weights(2, dtype))
    one = mx.array(1, w.dtype)
    mx.eval(x, one)
    for _ in range(5):
        for _ in range(3):
            mx.eval(kind.run(x, w))
        w = w - one  # written over: nobody else holds it
        mx.eval(w)
        np.testing.assert_array_equal(np.array(kind.run(x, w)), kind.plain(x, w))
    w[3, 1] = one  # in place
    np.testing.assert_array_equal(np.array(kind.run(x, w)), kind.plain(x, w))


def test_buffers_that_are_freed_and_taken_again_do_not_match(kind):
    x = mx.array(kind.x())
    for seed in range(30):
        w = own(kind.weights(seed))
        for _ in range(3):
            y = kind.run(x, w)
            mx.eval(y)
        np.testing.assert_array_equal(np.array(y), kind.plain(x, kind.weights(seed)))
        del w


@pytest.mark.parametrize("shown", ["before", "after"])
def test_memory_that_others_may_write_to_is_not_trusted(kind, shown):
    x, w = mx.array(kind.x()), own(kind.weights(3))
    seen = np.array(w, copy=False) if shown == "before" else None
    for _ in range(3):
        mx.eval(kind.run(x, w))
    seen = np.array(w, copy=False) if seen is None else seen
    assert np.shares_memory(seen, np.array(w, copy=False))
    seen[:] = kind.weights(4)
    np.testing.assert_array_equal(np.array(kind.run(x, w)), kind.plain(x, kind.weights(4)))


def test_views_of_numpy_arrays_follow_them(kind):
    memory = kind.weights(5)
    x, w = mx.array(kind.x()), mx.from_dlpack(memory)
    for seed in (6, 7):
        for _ in range(3):
            mx.eval(kind.run(x, w))
        memory[:] = kind.weights(seed)
        np.testing.assert_array_equal(np.array(kind.run(x, w)), kind.plain(x, np.array(memory)))


def test_weights_made_anew_in_each_call_or_step_are_not_those_of_before(kind):
    x, w = mx.array(kind.x()), own(kind.weights(8))
    step = mx.compile(lambda x, scale: kind.run(x, w * scale))
    for k in range(1, 6):
        scale = mx.array(float(k))
        np.testing.assert_array_equal(np.array(step(x, scale)), kind.plain(x, np.array(w) * k))

    def body(carry, scale):
        return carry + 1, kind.run(x, w * scale + carry)

    _, ys = mx.scan(body, mx.array(0.0), mx.arange(1.0, 7.0))
    for k in range(6):
        np.testing.assert_array_equal(np.array(ys[k]), kind.plain(x, np.array(w) * (k + 1) + k))


def test_what_is_kept_is_counted_and_goes_with_the_cache_and_with_the_weights(kind):
    x, w = mx.array(kind.x()), own(kind.weights(9))
    mx.eval(x)
    mx.eval(kind.run(x, w))
    mx.eval(kind.run(x, w))
    gc.collect()
    start, cached = mx.get_active_memory(), mx.get_cache_memory()
    least = least_kept(kind.run is conv, w.nbytes)
    assert cached >= least
    mx.clear_cache()
    assert mx.get_cache_memory() == 0 and mx.get_active_memory() == start
    for _ in range(2):
        mx.eval(kind.run(x, w))
    assert mx.get_cache_memory() >= least
    del w
    old = mx.set_cache_limit(0)  # what is free goes at once: nothing else may be left
    try:
        gc.collect()
        assert mx.get_cache_memory() == 0
    finally:
        mx.set_cache_limit(old)


@pytest.mark.parametrize(
    "shape, x, run, count",
    [
        ((96, 3, 3, 96), (1, 5, 5, 96), "mx.conv2d(x, w)[0]", 864),
        ((288, 288), (20, 288), "x @ w.T", 288),
    ],
)
def test_no_more_is_kept_than_the_limits_allow(shape, x, run, count):
    code = f"""
import numpy as np, lazulite.core as mx
mx.set_cache_limit(10**9)
x = mx.ones({x})
ws = [mx.ones({shape}) * k for k in range(1, 9)]
mx.eval(x, ws)
for _ in range(3):
    for k, w in enumerate(ws):
        assert ({run})[1, 1].max().item() == {count} * (k + 1)
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
    nbytes = least_kept("conv" in run, int(np.prod(shape)) * 4)
    assert found[0] == 0 and nbytes <= found[1] <= 800000 and found[2] >= 8 * nbytes


def test_weights_that_are_trained_are_not_kept():
    model = nn.Linear(300, 280)
    optimizer = optim.SGD(learning_rate=0.01)
    x, y = mx.array(drawn((32, 300), np.float32)), mx.array(drawn((32, 280), np.float32))
    step = nn.value_and_grad(model, lambda x, y: nn.losses.mse_loss(model(x), y))
    mx.eval(x, y, model.parameters())
    for _ in range(5):
        loss, grads = step(x, y)
        optimizer.update(model, grads)
        mx.eval(loss, model.parameters(), optimizer.state)
    assert kept() == 0
    for _ in range(2):
        mx.eval(model(x))
    assert kept() >= least_kept(False, 300 * 280 * 4)


def test_threads_share_what_is_kept(kind):
    x, ws = mx.array(kind.x()), [own(kind.weights(seed)) for seed in range(4)]
    wanted = [kind.plain(x, w) for w in ws]
    wrong = []

    def work(first):
        for k in range(40):
            w = (first + k) % 4
            if not np.array_equal(np.array(kind.run(x, ws[w])), wanted[w]):
                wrong.append(w)
            if k % 10 == first:
                mx.clear_cache()

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
