"""Numbers of gguf files in blocks of 256 whose codes are rows of a code book: IQ1_S to IQ3_S.

The books are part of the formats, and come from the package gguf, which keeps them for all: it is
imported by the first file that needs one. Layouts are those of https://github.com/ggml-org/ggml.
Here a block is its bytes, on the last axis; a decoder gives its groups of numbers and, for each of
them, what they are multiplied by. All products are exact in float32.
"""

from __future__ import annotations

import functools
import importlib
from typing import NamedTuple

from . import _core
from ._core import array
from ._io import bad

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

NUMBERS = 256  # of a block


@functools.lru_cache(None)
def _book(kind: str, shape) -> array:
    """A row of small integers for each code."""
    try:
        holder = getattr(importlib.import_module("gguf.quants"), kind)
        holder.init_grid()
        found = holder.grid.reshape(shape)
    except (ImportError, AttributeError, ValueError) as e:
        bad(
            "load",
            f"the code book of {kind} comes from the package gguf, which cannot be used: got "
            f"{type(e).__name__} ({e}), expected it to be there (pip install gguf)",
        )
    return _core.array(found).astype(_core.int8)


@functools.lru_cache(None)
def _sign_rows(bits: int) -> array:
    """The eight signs of a code: a bit for each; of seven bits the last makes their number even."""
    rows = []
    for code in range(1 << bits):
        if bits == 7:
            code |= (bin(code).count("1") & 1) << 7
        rows.append([-1 if code >> k & 1 else 1 for k in range(8)])
    return _core.array(rows, _core.int8)


def _signs(codes: array, bits: int) -> array:
    return _core.take(_sign_rows(bits), codes, axis=0)


def _words(b: array, dtype) -> array:
    return _core.contiguous(b).view(dtype)


def _parts(words: array, shifts, bits: int) -> array:
    """Bits of each word: those of so many from each shift on, on one more axis."""
    places = _core.array(shifts, words.dtype)
    mask = _core.array((1 << bits) - 1, words.dtype)
    return (words[..., None] >> places) & mask


def _scale(b: array) -> array:
    return _words(b, _core.float16).astype(_core.float32)


def _halves(b: array) -> array:
    """The lower and the upper four bits of each byte, one behind the other, as float32."""
    return _parts(b, (0, 4), 4).flatten(-2).astype(_core.float32)


def _rows(kind: str, low: array, high: array, shape) -> array:
    """Rows of the book, by the lower eight bits of their codes and those above."""
    codes = low.astype(_core.int32) | high.astype(_core.int32) << 8
    return _core.take(_book(kind, shape), codes, axis=0)


def _iq2_xxs(b: array):
    eights = b[..., 2:66].reshape(*b.shape[:-1], 8, 8)  # four codes, and a word of what they need
    words = _words(eights[..., 4:], _core.uint32).squeeze(-1)
    rows = _core.take(_book("IQ2_XXS", (256, 8)), eights[..., :4], axis=0)
    scales = _scale(b[..., :2]) * ((words >> 28).astype(_core.float32) + 0.5) * 0.25
    return rows * _signs(_parts(words, (0, 7, 14, 21), 7), 7), scales


def _iq2_xs(b: array):
    words = _words(b[..., 2:66], _core.uint16)
    rows = _core.take(_book("IQ2_XS", (512, 8)), words & 511, axis=0)
    scales = _scale(b[..., :2]) * (_halves(b[..., 66:74]) + 0.5) * 0.25
    return rows * _signs(words >> 9, 7), scales


def _iq2_s(b: array):
    high = _parts(b[..., 66:74], (0, 2, 4, 6), 2).flatten(-2)
    rows = _rows("IQ2_S", b[..., 2:34], high, (1024, 8))
    scales = _scale(b[..., :2]) * (_halves(b[..., 74:82]) + 0.5) * 0.25
    return rows * _signs(b[..., 34:66], 8), scales


def _by_fours(rows: array, signs: array) -> array:
    """Rows of four, of which two have one code of signs."""
    return rows.reshape(*signs.shape) * signs


def _iq3_xxs(b: array):
    words = _words(b[..., 66:98], _core.uint32)
    rows = _core.take(_book("IQ3_XXS", (256, 4)), b[..., 2:66], axis=0)
    scales = _scale(b[..., :2]) * ((words >> 28).astype(_core.float32) + 0.5) * 0.5
    signs = _signs(_parts(words, (0, 7, 14, 21), 7).flatten(-2), 7)
    return _by_fours(rows, signs), scales


def _iq3_s(b: array):
    high = _parts(b[..., 66:74], range(8), 1).flatten(-2)
    rows = _rows("IQ3_S", b[..., 2:66], high, (512, 4))
    scales = _scale(b[..., :2]) * (_halves(b[..., 106:110]) * 2 + 1)
    return _by_fours(rows, _signs(b[..., 74:106], 8)), scales


def _moved(rows: array, negative: array) -> array:
    """An eighth more, or less, than the small integers of eight numbers."""
    return rows.astype(_core.float32) + (0.125 - 0.25 * negative.astype(_core.float32))[..., None]


def _iq1_s(b: array):
    words = _words(b[..., 34:50], _core.uint16)
    high = _parts(words, (0, 3, 6, 9), 3)
    low = b[..., 2:34].reshape(*high.shape)
    rows = _rows("IQ1_S", low, high, (2048, 8))
    scales = _scale(b[..., :2]) * (((words >> 12) & 7).astype(_core.float32) * 2 + 1)
    return _moved(rows, _core.repeat((words >> 15)[..., None], 4, axis=-1)), scales


def _iq1_m(b: array):
    words = _words(b[..., 48:56], _core.uint16)
    # The scale of the block is in the upper four bits of the words.
    places = _core.array([0, 4, 8, 12], _core.uint16)
    scale = _scale(((words >> 12) << places).sum(-1, keepdims=True).astype(_core.uint16))
    codes = _parts(b[..., 32:48], (0, 4), 4).flatten(-2)
    rows = _rows("IQ1_S", b[..., :32], codes & 7, (2048, 8))
    scales = scale * (_parts(words, (0, 3, 6, 9), 3).flatten(-2).astype(_core.float32) * 2 + 1)
    return _moved(rows, codes >> 3), scales


class _Format(NamedTuple):
    bytes: int
    decode: Callable


FORMATS = {
    "IQ2_XXS": _Format(66, _iq2_xxs),
    "IQ2_XS": _Format(74, _iq2_xs),
    "IQ2_S": _Format(82, _iq2_s),
    "IQ3_XXS": _Format(98, _iq3_xxs),
    "IQ3_S": _Format(110, _iq3_s),
    "IQ1_S": _Format(50, _iq1_s),
    "IQ1_M": _Format(56, _iq1_m),
}


def decoded(kind: str, blocks: array) -> array:
    """float16 of shape (..., numbers) of blocks of shape (..., blocks, bytes)."""
    numbers, scales = FORMATS[kind].decode(blocks)
    shape = (*scales.shape, NUMBERS // scales.shape[-1])
    numbers = numbers.astype(_core.float32).reshape(shape) * scales[..., None]
    return numbers.astype(_core.float16).reshape(*blocks.shape[:-2], blocks.shape[-2] * NUMBERS)
