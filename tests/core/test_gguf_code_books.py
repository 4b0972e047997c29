"""Block formats of GGUF whose codes are rows of a code book, which comes from the package gguf:
beside a plain decoder, with books made up here; and beside the package itself, where it is
installed."""

import sys
import types

import numpy as np
import pytest
from test_files import gguf

import lazulite.core as mx
from lazulite.core import _code_books

# Number in the file, bytes of a block, shape of the book, and what its rows are made of.
FORMATS = {
    "IQ2_XXS": (16, 66, (256, 8), (8, 25, 43)),
    "IQ2_XS": (17, 74, (512, 8), (8, 25, 43)),
    "IQ2_S": (22, 82, (1024, 8), (8, 25, 43)),
    "IQ3_XXS": (18, 98, (256, 4), (4, 12, 20, 28, 36, 44, 52, 62)),
    "IQ3_S": (21, 110, (512, 4), (1, 3, 5, 7, 9, 11, 13, 15)),
    "IQ1_S": (19, 50, (2048, 8), (-1, 0, 1)),
    "IQ1_M": (29, 56, (2048, 8), (-1, 0, 1)),
}


def random_blocks(kind, count=50):
    """Random bytes, but for the scale of each block."""
    rng = np.random.default_rng(11)
    raw = rng.integers(0, 256, (count, FORMATS[kind][1]), dtype=np.uint8)
    scale = rng.normal(size=count).astype(np.float16).view(np.uint16)
    if kind == "IQ1_M":  # in the upper four bits of four words
        for k in range(4):
            raw[:, 49 + 2 * k] = raw[:, 49 + 2 * k] & 15 | (scale >> 4 * k & 15) << 4
    else:
        raw[:, :2] = scale.view(np.uint8).reshape(-1, 2)
    return raw


def file_of(kind, raw, shape):
    body = raw.tobytes()
    return gguf([("w", shape, FORMATS[kind][0], 0)], body=body + bytes(-len(body) % 32))


# ---- a plain decoder: number by number, by the place of each bit ---------------------------------


def word(b, at, size):
    return int.from_bytes(bytes(b[at : at + size]), "little")


def half(bits):
    return float(np.uint16(bits).view(np.float16))


def sign(code, k, bits):
    """Of number k of eight."""
    flag = code >> k & 1 if k < bits else bin(code).count("1") & 1
    return -1 if flag else 1


def fields(kind, b, n):
    """Of number n of a block: code in the book, sign or what is added, scale."""
    d, part, eight = half(word(b, 0, 2)), n // 32, n // 8
    if kind == "IQ2_XXS":
        w = word(b, 2 + 8 * part + 4, 4)
        code = b[2 + 8 * part + eight % 4]
        return code, sign(w >> 7 * (eight % 4) & 127, n % 8, 7), d * (0.5 + (w >> 28)) / 4
    if kind == "IQ2_XS":
        w, scale = word(b, 2 + 2 * eight, 2), b[66 + part] >> 4 * (n // 16 % 2) & 15
        return w & 511, sign(w >> 9, n % 8, 7), d * (0.5 + scale) / 4
    if kind == "IQ2_S":
        code = b[2 + eight] | (b[66 + part] >> 2 * (eight % 4) & 3) << 8
        scale = b[74 + part] >> 4 * (n // 16 % 2) & 15
        return code, sign(b[34 + eight], n % 8, 8), d * (0.5 + scale) / 4
    if kind == "IQ3_XXS":
        w = word(b, 66 + 4 * part, 4)
        return b[2 + n // 4], sign(w >> 7 * (eight % 4) & 127, n % 8, 7), d * (0.5 + (w >> 28)) / 2
    if kind == "IQ3_S":
        code = b[2 + n // 4] | (b[66 + part] >> n // 4 % 8 & 1) << 8
        scale = b[106 + part // 2] >> 4 * (part % 2) & 15
        return code, sign(b[74 + eight], n % 8, 8), d * (1 + 2 * scale)
    if kind == "IQ1_S":
        w = word(b, 34 + 2 * part, 2)
        code = b[2 + eight] | (w >> 3 * (eight % 4) & 7) << 8
        return code, -0.125 if w >> 15 else 0.125, d * (1 + 2 * (w >> 12 & 7))
    d = half(sum((word(b, 48 + 2 * k, 2) >> 12) << 4 * k for k in range(4)))
    bits = b[32 + eight // 2] >> 4 * (eight % 2)
    scale = word(b, 48 + 2 * (n // 64), 2) >> 3 * (n // 16 % 4) & 7
    return b[eight] | (bits & 7) << 8, -0.125 if bits & 8 else 0.125, d * (1 + 2 * scale)


def plain(kind, raw, book):
    wide = book.shape[1]
    out = np.empty((len(raw), 256), np.float32)
    for i, block in enumerate(raw):
        b = [int(byte) for byte in block]
        for n in range(256):
            code, other, scale = fields(kind, b, n)
            value = book[code, n % wide]
            out[i, n] = scale * (value + other if kind in ("IQ1_S", "IQ1_M") else value * other)
    return out.astype(np.float16)


# ---- tests ---------------------------------------------------------------------------------------


@pytest.fixture
def books(monkeypatch):
    """Made up, in a package gguf of our own."""
    rng, made = np.random.default_rng(5), {}
    quants = types.ModuleType("gguf.quants")
    for kind, (_, _, shape, values) in FORMATS.items():
        made[kind] = rng.choice(np.array(values, np.float32), shape)

        class Holder:
            grid = None
            rows = made[kind]

            @classmethod
            def init_grid(cls):
                cls.grid = cls.rows[None, None]

        setattr(quants, kind, Holder)
    made["IQ1_M"] = made["IQ1_S"]
    package = types.ModuleType("gguf")
    package.quants = quants
    monkeypatch.setitem(sys.modules, "gguf", package)
    monkeypatch.setitem(sys.modules, "gguf.quants", quants)
    _code_books._book.cache_clear()
    yield made
    _code_books._book.cache_clear()


@pytest.mark.parametrize("kind", FORMATS)
def test_codes_stand_for_rows_of_the_book(tmp_path, books, kind):
    raw = random_blocks(kind, 12)
    want = plain(kind, raw, books[kind]).reshape(4, 768)
    path = tmp_path / "a.gguf"
    path.write_bytes(file_of(kind, raw, (4, 768)))
    a = mx.load(path)["w"]
    assert a.dtype == mx.float16 and a.shape == (4, 768)
    np.testing.assert_array_equal(np.array(a), want)
    np.testing.assert_array_equal(np.array(mx.load(path.read_bytes())["w"]), want)
    wide = mx.load(path)["w"].astype(mx.float32) * 2
    np.testing.assert_array_equal(np.array(wide), want.astype(np.float32) * 2)
    stacked = mx.load(file_of(kind, raw, (2, 3, 512)))["w"]
    np.testing.assert_array_equal(np.array(stacked), want.reshape(2, 3, 512))


@pytest.mark.parametrize("kind", FORMATS)
def test_empty_tensors_of_code_books(books, kind):
    for shape in ((0, 256), (3, 0)):
        assert mx.load(file_of(kind, np.zeros((0, 1), np.uint8), shape))["w"].shape == shape


@pytest.mark.parametrize("kind", FORMATS)
def test_files_that_are_cut_off_or_do_not_fit_are_refused(tmp_path, books, kind):
    raw = random_blocks(kind, 4)
    with pytest.raises(mx.FormatError, match="truncated"):
        mx.load(gguf([("w", (5, 256), FORMATS[kind][0], 0)], body=raw.tobytes()))
    with pytest.raises(mx.FormatError, match="multiple of 256"):
        mx.load(gguf([("w", (8, 128), FORMATS[kind][0], 0)], body=raw.tobytes() + bytes(64)))
    path = tmp_path / "a.gguf"
    path.write_bytes(file_of(kind, raw, (4, 256)))
    a = mx.load(path)["w"]
    with open(path, "r+b") as file:
        file.truncate(path.stat().st_size - 2 * raw.shape[1])
    with pytest.raises(mx.FormatError):
        mx.eval(a)


def test_the_book_is_asked_for_by_the_file_that_needs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "gguf", None)
    monkeypatch.setitem(sys.modules, "gguf.quants", None)
    _code_books._book.cache_clear()
    for kind in FORMATS:
        with pytest.raises(mx.FormatError, match=r"\[load\] .*package gguf.*pip install gguf"):
            mx.load(file_of(kind, random_blocks(kind, 1), (256,)))


@pytest.mark.parametrize("kind", FORMATS)
def test_beside_the_package(kind):
    quants = pytest.importorskip("gguf.quants")
    constants = pytest.importorskip("gguf.constants")
    raw = random_blocks(kind)
    want = quants.dequantize(raw, constants.GGMLQuantizationType[kind]).astype(np.float16)
    found = mx.load(file_of(kind, raw, (5, 2560)))["w"]
    np.testing.assert_array_equal(np.array(found), want.reshape(5, 2560))
