"""Packed weights whose biases follow from their scales, as those of Q4_0 do: found out once, and
from then on not read; the same bits, and nothing stale."""

import threading

import numpy as np
import pytest

import lazulite.core as mx

LINES, LENGTH = 1100, 2048  # scales and biases of 64 KB and more


def own(a):
    """In memory of ours, that nobody else sees."""
    made = a + mx.array(0, a.dtype)
    mx.eval(made)
    return made


class Weights:
    def __init__(self, bits=4, group=32, dtype=mx.float16, seed=0, stack=()):
        rng = np.random.default_rng(seed)
        self.format = {"group_size": group, "bits": bits}
        shape = (*stack, LINES)
        self.w = mx.array(rng.integers(0, 2**32, (*shape, LENGTH * bits // 32), dtype=np.uint32))
        self.scales = own(mx.array(rng.normal(size=(*shape, LENGTH // group))).astype(dtype))
        self.biases = own(self.scales * -(2 ** (bits - 1)))

    def of(self, x):
        return mx.quantized_matmul(x, self.w, self.scales, self.biases, **self.format)

    def plain(self, x):
        """Of weights that were never seen before."""
        s, b = own(self.scales), own(self.biases)
        return mx.quantized_matmul(x, mx.array(np.array(self.w)), s, b, **self.format)

    def check(self, x):
        want = self.plain(x)
        for _ in range(4):  # seen for the first time, found out, known
            assert bytes(self.of(x)) == bytes(want)


def rows(count, dtype=mx.float16):
    return mx.array(np.random.default_rng(count).normal(size=(count, LENGTH))).astype(dtype)


@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16, mx.float32], ids=str)
@pytest.mark.parametrize("bits, group", [(4, 32), (8, 32), (2, 64), (3, 32), (6, 128)])
def test_the_same_bits(bits, group, dtype):
    weights = Weights(bits, group, dtype)
    for count in (1, 2, 3, 4, 5, 7, 8, 9):
        weights.check(rows(count, dtype))
    wide = mx.dequantize(weights.w, weights.scales, weights.biases, **weights.format)
    x = rows(2, dtype)
    exact = np.array(x.astype(mx.float64)) @ np.array(wide.astype(mx.float64)).T
    off = np.abs(np.array(weights.of(x).astype(mx.float64)) - exact).max() / np.abs(exact).max()
    assert off < {mx.float16: 2e-3, mx.bfloat16: 1e-2, mx.float32: 1e-4}[dtype]


def test_one_bias_that_does_not_follow():
    for place in (0, LINES * LENGTH // 64, LINES * LENGTH // 32 - 1):
        weights = Weights()
        flat = np.array(weights.biases).reshape(-1)
        flat[place] += 1
        weights.biases = own(mx.array(flat.reshape(weights.biases.shape)))
        weights.check(rows(1))


def test_scales_of_zero_and_what_is_not_finite():
    for special in (0.0, -0.0, np.inf, np.nan, 6e4, 6e-8):  # 8 times 6e4 is infinite in float16
        weights = Weights()
        scales = np.array(weights.scales)
        scales[3, 5] = special
        weights.scales = own(mx.array(scales))
        with np.errstate(over="ignore"):
            weights.biases = own(mx.array(scales * np.float16(-8)))
        weights.check(rows(1))


@pytest.mark.parametrize("which", ["scales", "biases"])
def test_what_is_written_over_is_looked_at_again(which):
    weights, x = Weights(), rows(1)
    one = mx.array(1, mx.float16)
    mx.eval(one)
    for _ in range(4):
        for _ in range(3):
            mx.eval(weights.of(x))
        changed = getattr(weights, which) - one  # written over: nobody else holds it
        setattr(weights, which, None)
        mx.eval(changed)
        setattr(weights, which, changed)
        del changed
        assert bytes(weights.of(x)) == bytes(weights.plain(x))
        weights.check(x)
    getattr(weights, which)[7, 3] = one  # in place
    weights.check(x)
    weights.biases = own(weights.scales * -8)
    weights.check(x)


@pytest.mark.parametrize("which", ["scales", "biases"])
def test_memory_that_others_may_write_to_is_not_trusted(which):
    weights, x = Weights(), rows(1)
    weights.check(x)
    seen = np.array(getattr(weights, which), copy=False)
    assert np.shares_memory(seen, np.array(getattr(weights, which), copy=False))
    seen[5:9] = 3
    weights.check(x)
    seen[:] = 1
    weights.check(x)


def test_buffers_that_are_freed_and_taken_again_do_not_match():
    x = rows(1)
    for seed in range(12):
        weights = Weights(seed=seed)
        if seed % 2:
            weights.biases = own(weights.biases + 1)
        weights.check(x)
        other = Weights(seed=seed + 100)  # the scales of one, the biases of another
        weights.biases = other.biases
        weights.check(x)


def test_views_and_stacks_and_gathered_weights():
    stacked = Weights(stack=(3,))
    x = rows(2)
    for k in range(3):
        part = Weights()
        part.w, part.scales, part.biases = stacked.w[k], stacked.scales[k], stacked.biases[k]
        part.check(x)
    stacked.check(mx.stack([x] * 3))
    rhs = mx.array([2, 0, 2, 1])
    names = {"rhs_indices": rhs, "transpose": True, **stacked.format}
    want = mx.gather_qmm(
        x[:1], own(stacked.w), own(stacked.scales), own(stacked.biases), **names
    )
    for _ in range(4):
        got = mx.gather_qmm(x[:1], stacked.w, stacked.scales, stacked.biases, **names)
        assert bytes(got) == bytes(want)
    changed = np.array(stacked.biases)
    changed[1, 4, 4] += 1
    stacked.biases = own(mx.array(changed))
    stacked.check(mx.stack([x] * 3))


def test_threads_find_out_together():
    weights, x, wrong = [Weights(seed=k) for k in range(3)], rows(1), []
    weights[1].biases = own(weights[1].biases + 1)
    want = [bytes(w.plain(x)) for w in weights]

    def work():
        for k in range(30):
            if bytes(weights[k % 3].of(x)) != want[k % 3]:
                wrong.append(k)
            if k % 10 == 9:
                mx.clear_cache()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
