"""Block formats of GGUF: dequantised on load."""

import io
import struct
import zlib

import numpy as np
import pytest
from test_files import gguf

import lazulite.core as mx

# Number in the file, bytes and numbers of a block, where its half-precision numbers are, and the
# CRC-32 of what 50 blocks of random bytes stand for as float16, by the package gguf 0.19, ggml's
# own (of those that are loaded in parts: with +0 for -0).
FORMATS = {
    "Q4_0": (2, 18, 32, [0], 0xC18320BD),
    "Q4_1": (3, 20, 32, [0, 2], 0x8AD6324B),
    "Q5_0": (6, 22, 32, [0], 0x1CE26907),
    "Q5_1": (7, 24, 32, [0, 2], 0x2A07D0D0),
    "Q8_0": (8, 34, 32, [0], 0xA3FE82C1),
    "Q2_K": (10, 84, 256, [80, 82], 0xDF5AF524),
    "Q3_K": (11, 110, 256, [108], 0x8D9FD6C6),
    "Q4_K": (12, 144, 256, [0, 2], 0x70DE1F48),
    "Q5_K": (13, 176, 256, [0, 2], 0x134854DA),
    "Q6_K": (14, 210, 256, [208], 0x832C3F17),
    "IQ4_NL": (20, 18, 32, [0], 0x67DB27E2),
    "IQ4_XS": (23, 136, 256, [0], 0xB5241438),
    "TQ1_0": (34, 54, 256, [52], 0x4C811DD1),
    "TQ2_0": (35, 66, 256, [64], 0xDF5A830D),
    "MXFP4": (39, 17, 32, [], 0x37D24F4E),
    "NVFP4": (40, 36, 64, [], 0x6A565958),
}
PACKED = ("Q4_0", "Q4_1", "Q8_0")


def random_blocks(name, count=50):
    number, size, numbers, halves, _ = FORMATS[name]
    rng = np.random.default_rng(7)
    raw = rng.integers(0, 256, (count, size), dtype=np.uint8)
    for at in halves:
        raw[:, at : at + 2] = (
            rng.normal(size=count).astype(np.float16).view(np.uint8).reshape(-1, 2)
        )
    if name == "MXFP4":
        raw[:, 0] = rng.integers(115, 130, count)
    return raw


def file_of(name, raw, shape):
    body = raw.tobytes()
    return gguf([("w", shape, FORMATS[name][0], 0)], body=body + bytes(-len(body) % 32))


@pytest.mark.parametrize("name", [name for name in FORMATS if name not in PACKED])
def test_blocks_are_dequantised_to_float16_on_load(tmp_path, name):
    raw, n = random_blocks(name), FORMATS[name][2]
    path = tmp_path / "a.gguf"
    path.write_bytes(file_of(name, raw, (5, 10 * n)))
    a = mx.load(path)["w"]
    assert a.dtype == mx.float16 and a.shape == (5, 10 * n)
    assert zlib.crc32(np.array(a).tobytes()) == FORMATS[name][4]
    again = mx.load(path.read_bytes())["w"]
    assert mx.array_equal(a, again)
    # cast and scaled on the way
    wide = mx.load(path)["w"].astype(mx.float32) * 2
    np.testing.assert_array_equal(np.array(wide), np.array(a).astype(np.float32) * 2)


@pytest.mark.parametrize("name", PACKED)
def test_packed_blocks_stand_for_the_same_numbers(tmp_path, name):
    raw = random_blocks(name)
    path = tmp_path / "a.gguf"
    path.write_bytes(file_of(name, raw, (5, 320)))
    found = mx.load(path)
    w, s, b = (np.array(found["w." + part]) for part in ("weight", "scales", "biases"))
    bits = 8 if name == "Q8_0" else 4
    codes = w[..., None] >> np.arange(0, 32, bits, dtype=np.uint32) & (1 << bits) - 1
    codes = codes.reshape(5, 10, 32).astype(np.float32)
    values = codes * s[..., None].astype(np.float32) + b[..., None].astype(np.float32)
    assert zlib.crc32(values.astype(np.float16).tobytes()) == FORMATS[name][4]


def test_blocks_of_eight_bits_with_sums(tmp_path):
    rng = np.random.default_rng(3)
    codes = rng.integers(-128, 128, (4, 256)).astype(np.int8)
    scales = rng.normal(size=4).astype(np.float32)
    body = b"".join(
        s.tobytes() + c.tobytes() + c.reshape(16, 16).sum(1, np.int16).tobytes()
        for s, c in zip(scales, codes)
    )
    found = mx.load(gguf([("w", (4, 256), 15, 0)], body=body + bytes(-len(body) % 32)))["w"]
    np.testing.assert_array_equal(np.array(found), (codes * scales[:, None]).astype(np.float16))
    codes, halves = codes[:, :32], scales.astype(np.float16)
    body = b"".join(s.tobytes() + bytes(2) + c.tobytes() for s, c in zip(halves, codes))
    found = mx.load(gguf([("w", (4, 32), 9, 0)], body=body + bytes(-len(body) % 32)))["w"]
    np.testing.assert_array_equal(
        np.array(found), (codes * halves[:, None].astype(np.float32)).astype(np.float16)
    )


def test_large_tensors_of_blocks_are_read_in_pieces(tmp_path):
    raw = np.tile(random_blocks("Q4_K"), (40, 1))
    path = tmp_path / "a.gguf"
    path.write_bytes(file_of("Q4_K", raw, (400, 1280)))
    one = np.array(mx.load(file_of("Q4_K", raw[:50], (50, 256)))["w"])
    before = mx.get_active_memory()
    mx.reset_peak_memory()
    a = mx.load(path)["w"]
    mx.eval(a)
    assert mx.get_peak_memory() - before < a.nbytes + 4_000_000
    np.testing.assert_array_equal(np.array(a).reshape(40, 50, 256), np.tile(one, (40, 1, 1)))
    with open(path, "r+b") as file:
        file.truncate(200_000)
    with pytest.raises(mx.FormatError):
        mx.load(path)


def test_unknown_formats_are_named():
    for number, name in {4: "Q4_2", 5: "Q4_3", 99: "number 99"}.items():
        with pytest.raises(mx.FormatError, match=f"got {name}"):
            mx.load(gguf([("w", (256,), number, 0)], body=bytes(512)))


def test_tensors_that_share_bytes_are_refused():
    tensors = [("a", (64,), 0, 0), ("b", (64,), 0, 128)]
    with pytest.raises(mx.FormatError, match="overlap"):
        mx.load(gguf(tensors, body=bytes(512)))
    empty = [("a", (64,), 0, 0), ("b", (0,), 0, 128), ("c", (64,), 0, 256)]
    assert len(mx.load(gguf(empty, body=bytes(512)))) == 3


def test_lists_in_lists_are_metadata_up_to_a_depth():
    def nested(depth):
        data = struct.pack("<IQ", 4, 2) + struct.pack("<II", 5, 6)
        for _ in range(depth):
            data = struct.pack("<IQ", 9, 1) + data
        return gguf(pairs=[("k", 9, data)])

    _, metadata = mx.load(nested(2), return_metadata=True)
    assert metadata["k"][0][0].tolist() == [5, 6]
    for depth in (20, 50_000):
        with pytest.raises(mx.FormatError, match="nested"):
            mx.load(nested(depth))


def test_long_lists_of_texts_are_read_fast():
    words = [f"token {i}" for i in range(100_000)]
    stream = io.BytesIO()
    mx.save_gguf(stream, {}, {"words": words})
    stream.seek(0)
    assert mx.load(stream, format="gguf", return_metadata=True)[1]["words"] == words
