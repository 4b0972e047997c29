"""Compressed .npz: members are inflated as their arrays are evaluated. zlib and NumPy write
them."""

import io
import struct
import zipfile
import zlib

import numpy as np
import pytest

import lazulite.core as mx
from lazulite.core import _core

RNG = np.random.default_rng(5)
MEMBERS = {
    "zeros": np.zeros((1000, 300)),  # long matches at distance 1
    "random": RNG.integers(0, 256, 200_000, np.uint8),  # nothing to compress: stored blocks
    "words": RNG.integers(0, 9, 300_000).astype(np.int16),  # codes of many lengths
    "ramp": np.arange(100_000, dtype=np.float32),
    "far": np.tile(RNG.integers(0, 256, 32_768, np.uint8), 5),  # the longest distance
    "nearly": np.tile(RNG.integers(0, 256, 32_769, np.uint8), 3),  # one more
    "one": np.array([7], np.int8),
    "none": np.zeros((0, 3), np.float32),
    "number": np.array(2.5),
    "order": np.asfortranarray(RNG.normal(size=(30, 40))),
    "swapped": RNG.normal(size=999).astype(">f8"),
    "truth": RNG.random(70_000) < 0.1,
}


def npy(a):
    out = io.BytesIO()
    np.save(out, a)
    return out.getvalue()


def archive(members, level=6, strategy=zlib.Z_DEFAULT_STRATEGY):
    """An archive of members that zlib packed in some way."""
    body, places = b"", b""
    for name, data in members.items():
        packer = zlib.compressobj(level, zlib.DEFLATED, -15, 9, strategy)
        packed = packer.compress(data) + packer.flush()
        name = name.encode() + b".npy"
        common = struct.pack(
            "<HHHHHIIIHH", 20, 0, 8, 0, 0, zlib.crc32(data), len(packed), len(data), len(name), 0
        )
        places += b"PK\x01\x02\x14\x00" + common + struct.pack("<HHHII", 0, 0, 0, 0, len(body))
        places += name
        body += b"PK\x03\x04" + common + name + packed
    end = struct.pack("<HHHHIIH", 0, 0, len(members), len(members), len(places), len(body), 0)
    return body + places + b"PK\x05\x06" + end


def is_same(a, n):
    got = np.array(a)
    return got.shape == n.shape and got.dtype == n.dtype.newbyteorder("=") and (got == n).all()


@pytest.mark.parametrize("level", [0, 1, 6, 9])
@pytest.mark.parametrize(
    "strategy", [zlib.Z_DEFAULT_STRATEGY, zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE, zlib.Z_FIXED]
)
def test_members_are_what_they_were_before_zlib_packed_them(tmp_path, level, strategy):
    data = archive({k: npy(v) for k, v in MEMBERS.items()}, level, strategy)
    (tmp_path / "a.npz").write_bytes(data)
    for found in (mx.load(data), mx.load(tmp_path / "a.npz")):
        assert list(found) == list(MEMBERS)
        for name, n in MEMBERS.items():
            assert is_same(found[name], n), name


def test_random_texts_of_random_alphabets_come_back():
    for seed in range(60):
        rng = np.random.default_rng(seed)
        n, letters = int(rng.integers(1, 5000)), int(rng.integers(1, 257))
        a = np.minimum(rng.geometric(float(rng.uniform(0.01, 0.9)), n), letters).astype(np.uint8)
        assert is_same(mx.load(archive({"a": npy(a)}, int(rng.integers(0, 10))))["a"], a)


def test_what_numpy_compressed_is_cast_and_scaled_on_the_way(tmp_path):
    path = tmp_path / "a.npz"
    a = RNG.normal(size=(400, 500)).astype(np.float32)
    np.savez_compressed(path, a=a, b=a.astype(np.float64))
    for name in "ab":
        got = mx.load(path)[name].astype(mx.float16) * 2
        np.testing.assert_array_equal(np.array(got), a.astype(np.float16) * np.float16(2))
    mx.savez_compressed(path, a=mx.array(a), h=mx.array(a, mx.bfloat16))
    with np.load(path) as back:
        np.testing.assert_array_equal(back["a"], a)
    assert mx.array_equal(mx.load(path)["h"], mx.array(a, mx.bfloat16))


def test_opening_takes_no_memory_and_evaluation_that_of_one_array(tmp_path):
    path = tmp_path / "a.npz"
    a = np.tile(RNG.integers(0, 9, 1_000_000).astype(np.float32), 2)
    np.savez_compressed(path, a=a, b=a)
    before = mx.get_active_memory()
    mx.reset_peak_memory()
    found = mx.load(path)
    assert mx.get_peak_memory() - before < 100_000
    mx.eval(found["a"])
    assert mx.get_peak_memory() - before < a.nbytes + 100_000
    mx.reset_peak_memory()
    halves = found["b"].astype(mx.float16)
    del found
    mx.eval(halves)  # in pieces
    assert mx.get_peak_memory() - before < a.nbytes + 0.5 * a.nbytes + 1_000_000
    np.testing.assert_array_equal(np.array(halves), a.astype(np.float16))


def test_without_zlib_on_the_system_members_are_read_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(_core, "_can_inflate", lambda: False)
    np.savez_compressed(tmp_path / "a.npz", **MEMBERS)
    found = mx.load(tmp_path / "a.npz")
    (tmp_path / "a.npz").unlink()
    assert all(is_same(found[name], n) for name, n in MEMBERS.items())


def test_the_file_stays_open_as_long_as_an_array_needs_it(tmp_path):
    path = tmp_path / "a.npz"
    mx.savez_compressed(path, x=mx.zeros((1000,)), y=mx.arange(4))
    found = mx.load(path)
    path.unlink()
    assert found["x"].sum().item() == 0 and found["y"].tolist() == [0, 1, 2, 3]


def test_other_ways_to_compress_are_read_too(tmp_path):
    for how in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, zipfile.ZIP_STORED):
        with zipfile.ZipFile(tmp_path / "a.npz", "w", how) as out:
            out.writestr("a.npy", npy(np.arange(1000)))
        assert mx.load(tmp_path / "a.npz")["a"].tolist() == list(range(1000))


def evaluated(data):
    mx.eval(mx.load(bytes(data)))


def test_damaged_members_raise_when_they_are_evaluated():
    """Each byte of a member changed, in turn: an error, or what the checksum does not see."""
    n = RNG.integers(0, 20, 300).astype(np.int32)
    for level, strategy in ((0, 0), (6, 0), (9, zlib.Z_FIXED)):
        whole = archive({"a": npy(n)}, level, strategy)
        end = whole.index(b"PK\x01\x02")
        said = set()
        for at in range(30 + len("a.npy"), end):
            for change in (1, 0x80, 0xFF):
                data = bytearray(whole)
                data[at] ^= change
                try:
                    assert is_same(mx.load(bytes(data))["a"], n)  # bits behind the last block
                except mx.FormatError as error:
                    said.add(str(error).rpartition(": ")[2])
        assert "another checksum than is said of it" in said


def test_sizes_and_checksums_that_are_not_so_raise():
    n = np.arange(5000, dtype=np.int32)
    whole = archive({"a": npy(n)})
    at = whole.index(b"PK\x01\x02")
    evaluated(whole)
    for place, change in ((16, 1), (20, -1), (20, -500), (24, 1), (24, 1000)):
        data = bytearray(whole)
        old = struct.unpack_from("<I", data, at + place)[0]
        struct.pack_into("<I", data, at + place, old + change)
        with pytest.raises(mx.FormatError):
            evaluated(data)


def packed(bits):
    """An archive whose one member is said to be an array and is these bytes."""
    data = bytearray(archive({"a": npy(np.zeros(100, np.int8))}))
    begin, end = 30 + len("a.npy"), data.index(b"PK\x01\x02")
    data[begin : begin + len(bits)] = bits[: end - begin]
    return data


@pytest.mark.parametrize(
    "bits",
    [
        b"\x07",  # a kind of block that there is not
        b"\x01\x05\x00\x05\x00hello",  # a stored block whose length is not what it is turned
        b"\x05\xff\xff",  # too many codes
        b"\x05\xe0\x00" + bytes(20),  # codes without lengths
        b"\x4b\x04\x42\x00",  # from before the beginning
        b"\x00" * 30,
        b"\xff" * 30,
    ],
)
def test_hostile_blocks_raise(bits):
    with pytest.raises(mx.FormatError):
        evaluated(packed(bits))


def test_a_file_that_shrinks_before_a_member_is_read_raises(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, a=RNG.normal(size=100_000))
    found = mx.load(path)
    with open(path, "r+b") as file:
        file.truncate(300_000)
    with pytest.raises(mx.FormatError, match="shorter"):
        mx.eval(found)
