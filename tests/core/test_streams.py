"""Results that the caches will not keep go around them: the same bits as without, wherever they
begin and end, for every layout of what they are made of."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import lazulite.core as mx

SIZES = (1, 63, 64, 65, 1000, 1024, 4097, 70001)
ROWS = ((1, 16), (3, 256), (7, 257), (5, 1024), (33, 2048), (9, 3000), (2, 5, 512), (4, 1, 640))
DTYPES = (mx.bool_, mx.int8, mx.int16, mx.float16, mx.bfloat16, mx.float32, mx.float64,
          mx.complex64, mx.complex128)


def numbers(shape, dtype):
    count = int(np.prod(shape))
    return mx.array(np.arange(count).reshape(shape) % 251 - 100).astype(dtype)


def programs():
    """Each result by a name; operands of every layout."""
    for n in SIZES:
        for dtype in DTYPES:
            x = numbers((n,), dtype)
            yield f"{n} {dtype} twice", x + x
            yield f"{n} {dtype} part", x[1:] + x[:-1]
            yield f"{n} {dtype} every second", x[::2] + 0
            yield f"{n} {dtype} reversed", mx.array(x[::-1])
            yield f"{n} {dtype} given away", (x + x) * numbers((n,), dtype)
        x = numbers((n,), mx.float32)
        yield f"{n} chosen", mx.where(x > 3, x, -x)
        yield f"{n} cast", x.astype(mx.float64)
        yield f"{n} two results a", x * 2 + 1
        yield f"{n} two results b", (x * 2 + 1) - x
        yield f"{n} dear", mx.exp(x * 0.01) + x
    for shape in ROWS:
        for dtype in (mx.int8, mx.float32, mx.float64):
            x, row = numbers(shape, dtype), numbers(shape[-1:], dtype)
            column = numbers((*shape[:-1], 1), dtype)
            yield f"{shape} {dtype} row", x + row
            yield f"{shape} {dtype} column", x * column
            yield f"{shape} {dtype} transposed", x + mx.swapaxes(numbers(
                (*shape[:-2], shape[-1], shape[-2]), dtype), -1, -2)
            yield f"{shape} {dtype} beside", mx.concatenate([x, x + 1, x[..., 1:]], axis=-1)
            yield f"{shape} {dtype} below", mx.concatenate([x, x + 1], axis=0)
            yield f"{shape} {dtype} window", mx.array(x[..., 1:-1])
            yield f"{shape} {dtype} repeated", mx.array(mx.broadcast_to(row, shape))
            yield f"{shape} {dtype} turned", mx.contiguous(mx.moveaxis(x, 0, -1))
            y = mx.array(x)
            y[..., 1:] = row[1:]
            yield f"{shape} {dtype} written", y


def all_bits():
    named = dict(programs())
    mx.eval(named)
    return {k: hashlib.sha256(np.array(mx.view(v, mx.uint8)).tobytes()).hexdigest()
            for k, v in named.items() if v.size}


def child(**settings):
    done = subprocess.run(
        [sys.executable, __file__],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def kept():
    return child(LAZULITE_CACHE_BYTES=str(1 << 60))


@pytest.mark.parametrize("settings", [{}, {"LAZULITE_NUM_THREADS": "7"}, {"LAZULITE_FUSE": "0"},
                                      {"LAZULITE_DONATE": "0"}, {"LAZULITE_ISA": "generic"}])
def test_what_goes_around_the_caches_has_the_bits_of_what_does_not(kept, settings):
    streamed = child(LAZULITE_CACHE_BYTES="0", **settings)
    assert {k for k in kept if streamed[k] != kept[k]} == set()


def test_large_results_are_right_from_end_to_end():
    n = (20 << 20) // 4 + 3  # beyond every last cache that counts
    a = np.arange(n, dtype=np.float32)
    x = mx.array(a)
    for made, wanted in (
        (x + 1, a + 1),
        (x[1:] * x[:-1], a[1:] * a[:-1]),
        (x[::-1] + 0, a[::-1]),
        (mx.concatenate([x, x]), np.concatenate([a, a])),
    ):
        assert np.array_equal(np.asarray(made), wanted)


if __name__ == "__main__":
    print(json.dumps(all_bits()))
