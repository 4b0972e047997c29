"""Files of arrays: only headers are read at load, and no header is believed."""

import gc
import io
import json
import os
import pathlib
import struct
import subprocess
import sys
import warnings
import zipfile

import numpy as np
import pytest

import lazulite.core as mx

FORMATS = ["npy", "npz", "safetensors", "gguf"]
DTYPES = [
    mx.bool_,
    mx.uint8,
    mx.uint32,
    mx.int8,
    mx.int64,
    mx.float16,
    mx.bfloat16,
    mx.float32,
    mx.float64,
    mx.complex64,
]


def write(file, format, a):
    if format == "npy":
        mx.save(file, a)
    elif format == "npz":
        mx.savez(file, a=a)
    elif format == "safetensors":
        mx.save_safetensors(file, {"a": a})
    else:
        mx.save_gguf(file, {"a": a})


def read(file, format):
    found = mx.load(file, format=format)
    return found if format == "npy" else found["a"]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_arrays_come_back(tmp_path, format, dtype):
    if format == "gguf" and dtype in (mx.bool_, mx.uint8, mx.uint32, mx.complex64):
        with pytest.raises(ValueError, match="dtype not supported"):
            write(tmp_path / "a.gguf", format, mx.zeros(2, dtype))
        return
    for shape in ((2, 3, 5), (), (0,), (3, 0), (7,)):
        a = mx.arange(int(np.prod(shape))).reshape(shape).astype(dtype)
        path = tmp_path / f"a.{format}"
        write(path, format, a)
        stream = io.BytesIO()
        write(stream, format, a)
        assert stream.getvalue()[-8:] == path.read_bytes()[-8:]
        stream.seek(0)
        with open(path, "rb") as opened:
            for source in (str(path), path, stream, opened):
                b = read(source, format)
                assert b.dtype == dtype and b.shape == shape and mx.array_equal(a, b)


def test_what_numpy_wrote_is_read(tmp_path):
    n = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    for name, a in {
        "c": n,
        "fortran": np.asfortranarray(n),
        "big": n.astype(">f4"),
        "wide": n.astype(">f8"),
        "complex": (n + 2j).astype(">c16"),
        "bool": n > 3,
        "strided": n[:, ::2],
    }.items():
        np.save(tmp_path / f"{name}.npy", a)
        np.testing.assert_array_equal(np.array(mx.load(tmp_path / f"{name}.npy")), a)
        with open(tmp_path / f"{name}.npy", "rb") as f:
            np.testing.assert_array_equal(np.array(mx.load(io.BytesIO(f.read()), format="npy")), a)
    for f in (np.savez, np.savez_compressed):
        f(tmp_path / "all.npz", x=n, y=n.astype(">i2"))
        found = mx.load(tmp_path / "all.npz")
        np.testing.assert_array_equal(np.array(found["x"]), n)
        np.testing.assert_array_equal(np.array(found["y"]), n)


@pytest.mark.parametrize("format", FORMATS)
def test_loading_takes_no_memory_and_evaluation_one_array(tmp_path, format):
    path = tmp_path / f"a.{format}"
    a = mx.arange(1_000_000.0)
    write(path, format, a)
    expected = np.array(a) * 2
    del a
    gc.collect()
    before = mx.get_active_memory()
    x = read(path, format)
    assert x.shape == (1_000_000,) and mx.get_active_memory() == before
    mx.reset_peak_memory()
    y = x * 2
    del x
    mx.eval(y)
    assert mx.get_peak_memory() - before < 4.1e6  # the buffer that was read into is the result's
    np.testing.assert_array_equal(np.array(y), expected)
    del y
    mx.reset_peak_memory()
    x = read(path, format) * 2
    mx.eval(x)
    for _ in range(3):
        x = read(path, format) * 2
        mx.eval(x)
    assert mx.get_peak_memory() - before < 8.1e6


@pytest.mark.parametrize("format", FORMATS)
def test_what_is_loaded_works_everywhere(tmp_path, format):
    path = tmp_path / f"a.{format}"
    write(path, format, mx.arange(6.0).reshape(2, 3))
    w = read(path, format)
    assert mx.grad(lambda x: (x * w).sum())(mx.ones((2, 3))).tolist() == [[0, 1, 2], [3, 4, 5]]
    v = read(path, format)
    assert mx.grad(lambda x: (x * x).sum())(v).tolist() == [[0, 2, 4], [6, 8, 10]]
    assert mx.compile(lambda: read(path, format).sum())().item() == 15
    assert mx.vmap(lambda row: row.sum())(read(path, format)).tolist() == [3, 12]

    def looks(x):
        w = read(path, format)
        assert w.sum().item() == 15
        return x + w.sum()

    for f in (mx.compile(looks), mx.checkpoint(looks)):
        assert [f(mx.array(float(i))).item() for i in range(3)] == [15, 16, 17]
    total, _ = mx.scan(
        lambda c, x: (c + read(path, format).sum() * x, x), mx.array(0.0), mx.arange(4.0)
    )
    assert total.item() == 90
    z = read(path, format)
    z[0] = 7
    assert z.tolist() == [[7, 7, 7], [3, 4, 5]]


@pytest.mark.parametrize("format", FORMATS)
def test_a_file_may_be_saved_over_what_was_loaded_from_it(tmp_path, format):
    path = tmp_path / f"a.{format}"
    write(path, format, mx.arange(100_000))
    os.chmod(path, 0o640)
    old, other = read(path, format), read(path, format)
    write(path, format, old + 1)
    assert mx.array_equal(other, mx.arange(100_000)) and mx.array_equal(
        read(path, format), mx.arange(1, 100_001)
    )
    assert path.stat().st_mode & 0o777 == 0o640
    link = tmp_path / f"link.{format}"
    link.symlink_to(path)
    write(link, format, mx.array([1]))
    assert link.is_symlink() and read(path, format).tolist() == [1]


@pytest.mark.parametrize("format", FORMATS)
def test_a_file_that_shrinks_after_load_raises(tmp_path, format):
    path = tmp_path / f"a.{format}"
    write(path, format, mx.arange(100_000))
    a = read(path, format)
    os.truncate(path, 200_000)
    with pytest.raises(mx.FormatError, match="shorter"):
        mx.eval(a)


@pytest.mark.parametrize("format", FORMATS)
def test_files_of_every_shorter_length_are_refused_by_load(tmp_path, format):
    path = tmp_path / f"a.{format}"
    write(path, format, mx.arange(10))
    data = path.read_bytes()
    for n in range(len(data) - (24 if format == "gguf" else 0)):  # gguf pads its end
        path.write_bytes(data[:n])
        with pytest.raises(mx.FormatError):
            mx.load(path)
        with pytest.raises(mx.FormatError):
            mx.load(io.BytesIO(data[:n]), format=format)


@pytest.mark.parametrize("format", FORMATS)
def test_damaged_headers_raise_or_load(tmp_path, format):
    path = tmp_path / f"a.{format}"
    write(path, format, mx.arange(10))
    data = path.read_bytes()
    rng = np.random.default_rng(11)
    for _ in range(400):
        bad = bytearray(data)
        for _ in range(int(rng.integers(1, 4))):
            bad[int(rng.integers(0, len(bad)))] = int(rng.integers(0, 256))
        path.write_bytes(bad)
        try:
            found = mx.load(path)
            mx.eval(found)
        except mx.FormatError:
            pass


def safetensors(header, body=b""):
    text = json.dumps(header).encode() if isinstance(header, dict) else header
    return struct.pack("<Q", len(text)) + text + body


@pytest.mark.parametrize(
    "header",
    [
        {"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}},
        {"a": {"dtype": "F32", "shape": [0, 2**80], "data_offsets": [0, 0]}},
        {"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, -4]}},
        {"a": {"dtype": "F32", "shape": [True], "data_offsets": [0, 4]}},
        {"a": {"dtype": "F32", "shape": [1.0], "data_offsets": [0, 4]}},
        {"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}},
        {"a": {"dtype": ["F32"], "shape": [1], "data_offsets": [0, 4]}},
        {"a": [1]},
        b'{"a": 1',
        b"[" * 100_000,
        b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
    ],
    ids=str,
)
def test_hostile_safetensors_headers_raise(tmp_path, header):
    path = tmp_path / "a.safetensors"
    path.write_bytes(safetensors(header, bytes(8)))
    with pytest.raises(mx.FormatError):
        mx.load(path)


@pytest.mark.parametrize(
    "shape",
    [
        "(2**40,)",
        "(1 << 62,)",
        "(-1,)",
        "(True,)",
        "(1.0,)",
        "(0, 10**30)",
        "3",
        "(9223372036854775807, 9223372036854775807, 0)",
    ],
)
def test_hostile_npy_shapes_raise(tmp_path, shape):
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}}}\n".encode()
    path = tmp_path / "a.npy"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + bytes(64))
    with pytest.raises(mx.FormatError):
        mx.load(path)


def test_an_npz_whose_entries_lie_elsewhere_raises(tmp_path):
    path = tmp_path / "a.npz"
    mx.savez(path, a=mx.arange(10))
    data = bytearray(path.read_bytes())
    at = data.rindex(b"PK\x01\x02")
    struct.pack_into("<I", data, at + 42, 7)  # the place of the entry
    path.write_bytes(data)
    with pytest.raises(mx.FormatError):
        mx.load(path)


@pytest.mark.parametrize("format", FORMATS)
def test_bytes_of_a_file_are_loaded_as_the_file(tmp_path, format):
    path = tmp_path / f"a.{format}"
    write(path, format, mx.arange(5000).reshape(50, 100))
    data = path.read_bytes()
    before = mx.get_active_memory()
    for held in (data, bytearray(data), memoryview(data)):
        for given in (None, format):
            found = mx.load(held, format=given)
            a = found if format == "npy" else found["a"]
            assert mx.get_active_memory() == before  # not before it is evaluated
            assert a[49].tolist() == list(range(4900, 5000))
            del a


@pytest.mark.parametrize("format", FORMATS)
def test_what_is_cast_on_the_way_takes_the_memory_of_its_result(tmp_path, format):
    path = tmp_path / f"a.{format}"
    a = mx.random.normal((2_000_000,))
    write(path, format, a)
    expected = np.array(a).astype(np.float16)
    del a
    gc.collect()
    for cast in (
        lambda x: x.astype(mx.float16),
        lambda x: (x * mx.ones(2_000_000) + 0).astype(mx.float16),
    ):
        mx.clear_cache()
        before = mx.get_active_memory()
        mx.reset_peak_memory()
        half = cast(read(path, format))
        mx.eval(half)
        assert mx.get_peak_memory() - before < 4e6 + 2e6  # two megabytes for the threads' pieces
        np.testing.assert_array_equal(np.array(half), expected)
        del half
    x = read(path, format)
    half, double = x.astype(mx.float16), x.astype(mx.float64)
    mx.eval(half, double)  # one pass
    np.testing.assert_array_equal(np.array(half), expected)
    np.testing.assert_array_equal(np.array(double).astype(np.float32), np.array(x))
    os.truncate(path, 5_000_000)
    if format != "npz":
        with pytest.raises(mx.FormatError):
            mx.load(path)


@pytest.mark.process_memory
@pytest.mark.parametrize("count", [1, 60])
def test_a_process_that_casts_what_it_loads_grows_by_the_result(tmp_path, count):
    """120 MB of float32 to float16: the file's own pages do not count either."""
    path, n = tmp_path / "a.safetensors", 30_000_000 // count
    mx.save_safetensors(path, {f"a{k}": mx.arange(n).astype(mx.float32) for k in range(count)})
    program = f"""
import resource
import lazulite.core as mx
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
mx.eval(mx.zeros(10).astype(mx.float16))
before = peak()
found = {{k: v.astype(mx.float16) for k, v in mx.load({str(path)!r}).items()}}
mx.eval(found)
print(peak() - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) < 72_000  # KB: 60 MB, and what is in flight


def test_a_huge_file_opens_at_once(tmp_path, monkeypatch):
    path = tmp_path / "a.safetensors"
    entry = {"dtype": "F32", "shape": [2**30], "data_offsets": [0, 2**32]}
    path.write_bytes(safetensors({"a": entry}))
    os.truncate(path, path.stat().st_size + 2**32)  # a hole: no disk
    asked = []
    real = os.pread
    monkeypatch.setattr(os, "pread", lambda fd, n, at: asked.append(n) or real(fd, n, at))
    before = mx.get_active_memory()
    a = mx.load(path)["a"]
    assert a.nbytes == 2**32 and mx.get_active_memory() == before and sum(asked) < 200


@pytest.mark.parametrize("format", FORMATS)
def test_what_is_loaded_can_be_compared_op_by_op(tmp_path, format):
    path = tmp_path / f"a.{format}"
    write(path, format, mx.arange(100_000))
    with mx.debug_compare():
        a, b = read(path, format), read(path, format).astype(mx.float16)
        mx.eval(a, b)
    assert a[7].item() == b[7].item() == 7


@pytest.mark.parametrize("format", FORMATS)
def test_a_file_that_shrinks_while_it_is_cast_raises(tmp_path, format):
    path = tmp_path / f"a.{format}"
    write(path, format, mx.arange(1_000_000))
    a = read(path, format).astype(mx.float16)
    os.truncate(path, 2_000_000)
    with pytest.raises(mx.FormatError, match="shorter"):
        mx.eval(a)


def test_bfloat16_of_npy_is_that_of_ml_dtypes(tmp_path):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    path = tmp_path / "a.npy"
    a = mx.array([[1.5, -2, 3e38]], mx.bfloat16)
    mx.save(path, a)
    theirs = np.load(path).view(ml_dtypes.bfloat16)
    assert theirs.shape == (1, 3) and mx.array_equal(mx.array(theirs), a)
    np.save(path, theirs)
    assert mx.load(path).dtype == mx.bfloat16 and mx.array_equal(mx.load(path), a)
    for dtype in (ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2, ml_dtypes.float8_e8m0fnu):
        eight = np.array([1, 2, 4]).astype(dtype)
        np.save(path, eight)
        bits = mx.load(path)
        assert bits.dtype == mx.uint8 and bits.tolist() == eight.view(np.uint8).tolist()


def sharded(folder, **more):
    mx.save_safetensors(folder / "m-00001-of-2", {"a": mx.arange(3), "b": mx.ones((2, 2))})
    mx.save_safetensors(folder / "m-00002-of-2", {"c": mx.array([1.5]), "unnamed": mx.ones(1)})
    first, second = (f"m-0000{k}-of-2.safetensors" for k in (1, 2))
    index = {"metadata": {"total_size": 32}, "weight_map": {"c": second, "a": first, "b": first}}
    index["weight_map"].update(more)
    path = folder / "model.safetensors.index.json"
    path.write_text(json.dumps(index))
    return path


def test_an_index_loads_what_it_names_of_the_files_beside_it(tmp_path, monkeypatch):
    path = sharded(tmp_path)
    before = mx.get_active_memory()
    arrays, metadata = mx.load(path, return_metadata=True)
    assert mx.get_active_memory() == before and metadata == {"total_size": 32}
    assert list(arrays) == ["c", "a", "b"] and arrays["a"].tolist() == [0, 1, 2]
    assert arrays["c"].tolist() == [1.5] and arrays["b"].shape == (2, 2)
    assert list(mx.load(str(path), format="safetensors.index.json")) == ["c", "a", "b"]
    monkeypatch.chdir(tmp_path)
    assert mx.load("model.safetensors.index.json")["a"].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "[" * 100_000,
        '{"weight_map": []}',
        '{"weight_map": {"a": 1}}',
        '{"weight_map": {"a": "../m.safetensors"}}',
        '{"weight_map": {"a": "/etc/passwd"}}',
        '{"weight_map": {"a": ".."}}',
        '{"weight_map": {"a": "a\\u0000b"}}',
        '{"weight_map": {}, "metadata": 3}',
        '{"weight_map": {"a": "x", "a": "y"}}',
    ],
)
def test_hostile_indexes_raise(tmp_path, text):
    path = tmp_path / "model.safetensors.index.json"
    path.write_text(text)
    with pytest.raises(mx.FormatError):
        mx.load(path)


def test_an_index_that_names_what_is_not_there_raises(tmp_path):
    with pytest.raises(mx.FormatError, match="d in m-00001"):
        mx.load(sharded(tmp_path, d="m-00001-of-2.safetensors"))
    with pytest.raises(mx.FileError, match="m-3"):
        mx.load(sharded(tmp_path, d="m-3"))
    with open(sharded(tmp_path), "rb") as file, pytest.raises(TypeError, match="its path"):
        mx.load(file, format="safetensors.index.json")


def test_huge_numbers_in_headers_take_no_time(tmp_path):
    digits = "1" * 10_000_000
    text = '{"a": {"dtype": "F32", "shape": [%s], "data_offsets": [0, 4]}}' % digits
    with pytest.raises(mx.FormatError, match="10000000 digits"):
        mx.load(struct.pack("<Q", len(text)) + text.encode() + bytes(4))


@pytest.mark.parametrize(
    "text",
    [
        "(" * 5000,
        "{'descr': '<f4', 'fortran_order': False, 'shape': " + "-" * 5000 + "1}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), 'shape': (4,)}",
        "{'descr': '<f4', 'fortran_order': 1, 'shape': (3,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), 'more': 1}",
        "{'descr': '<f4', 'fortran_order': False}",
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (3,)}",
        "{'descr': '|O', 'fortran_order': False, 'shape': (3,)}",
        "{'descr': '<U4', 'fortran_order': False, 'shape': (3,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (" + "1," * 100 + ")}",
        "__import__('os')",
    ],
)
def test_hostile_npy_headers_raise(text):
    data = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + bytes(64)
    with pytest.raises(mx.FormatError):
        mx.load(data)


def test_headers_of_older_pythons_are_read():
    text = "{\"shape\": (2L, 1), 'fortran_order': False, 'descr': '<i2', }   \n"
    data = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + bytes([1, 0, 2, 0])
    assert mx.load(data).tolist() == [[1], [2]]


def archive(*entries, compressed=False):
    out = io.BytesIO()
    how = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    with warnings.catch_warnings(), zipfile.ZipFile(out, "w", how) as made:
        warnings.simplefilter("ignore")
        for name, data in entries:
            made.writestr(name, data)
    return bytearray(out.getvalue())


def npy(a):
    out = io.BytesIO()
    np.save(out, a)
    return out.getvalue()


def test_names_that_appear_twice_in_an_archive_are_refused():
    one = npy(np.ones(3))
    for names in (("a.npy", "a.npy"), ("a", "a.npy")):
        with pytest.raises(mx.FormatError, match="twice"):
            mx.load(bytes(archive(*((name, one) for name in names))))


def test_entries_of_an_archive_that_overlap_are_refused():
    data = archive(("a.npy", npy(np.ones(3))), ("b.npy", npy(np.ones(3))))
    second = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 1)
    struct.pack_into("<I", data, second + 42, 0)  # lies where the first one does
    with pytest.raises(mx.FormatError):
        mx.load(bytes(data))


def test_an_archive_that_lies_about_what_it_holds_is_refused_before_it_is_unpacked():
    data = archive(("a.npy", npy(np.zeros(1000))), compressed=True)
    at = data.index(b"PK\x01\x02")
    struct.pack_into("<I", data, at + 24, 2**32 - 2)  # its size, unpacked
    with pytest.raises(mx.FormatError, match="cannot stand for"):
        mx.load(bytes(data))


def test_eight_bit_floats_of_safetensors_load_as_bits_and_others_are_named(tmp_path):
    path = tmp_path / "a.safetensors"
    for dtype in ("F8_E4M3", "F8_E8M0", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ"):
        path.write_bytes(
            safetensors(
                {"a": {"dtype": dtype, "shape": [4], "data_offsets": [0, 4]}}, b"\x01\x02\xff\x7f"
            )
        )
        a = mx.load(path)["a"]
        assert a.dtype == mx.uint8 and a.tolist() == [1, 2, 255, 127]
    path.write_bytes(
        safetensors({"a": {"dtype": "F4", "shape": [8], "data_offsets": [0, 4]}}, bytes(4))
    )
    with pytest.raises(mx.FormatError, match="'F4'"):
        mx.load(path)


def test_bytes_of_a_bool_array_count_as_true_unless_zero(tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes(
        safetensors(
            {"a": {"dtype": "BOOL", "shape": [4], "data_offsets": [0, 4]}}, b"\x00\x01\x02\xff"
        )
    )
    a = mx.load(path)["a"]
    assert a.tolist() == [False, True, True, True] and a.sum().item() == 3


def test_there_is_one_exception_class_for_each_fault(tmp_path):
    assert issubclass(mx.FormatError, ValueError) and issubclass(mx.FormatError, RuntimeError)
    assert issubclass(mx.FileError, FileNotFoundError) and issubclass(mx.FileError, RuntimeError)
    missing = tmp_path / "no" / "a"
    a = mx.ones(2)
    for call in (
        lambda: mx.save(missing, a),
        lambda: mx.savez(missing, a),
        lambda: mx.savez_compressed(missing, a),
        lambda: mx.save_safetensors(missing, {"a": a}),
        lambda: mx.save_gguf(missing, {"a": a}),
        lambda: mx.load(f"{missing}.npy"),
        lambda: mx.load(f"{missing}.gguf"),
        lambda: mx.export_function(str(missing), lambda x: x, a),
        lambda: mx.import_function(str(missing)),
    ):
        with pytest.raises(mx.FileError):
            call()
    for path in ("a.npy", "a.npz", "a.safetensors", "a.gguf"):
        (tmp_path / path).write_bytes(b"nothing of the kind")
        with pytest.raises(mx.FormatError):
            mx.load(tmp_path / path)
    for call in (lambda: mx.load(tmp_path / "a.txt"), lambda: mx.load(tmp_path, format="npy")):
        with pytest.raises(mx.FormatError):
            call()
    (tmp_path / "a.f").write_bytes(b"nothing of the kind")
    with pytest.raises(mx.FormatError):
        mx.import_function(str(tmp_path / "a.f"))


def test_pipes_are_read_at_once(tmp_path):
    stream = io.BytesIO()
    mx.save(stream, mx.arange(5))
    end, begin = os.pipe()
    os.write(begin, stream.getvalue())
    os.close(begin)
    with open(end, "rb", buffering=0) as f:
        assert mx.load(f, format="npy").tolist() == [0, 1, 2, 3, 4]


def test_files_are_closed_with_the_last_array(tmp_path):
    path = tmp_path / "a.safetensors"
    mx.save_safetensors(path, {"a": mx.ones(3), "b": mx.ones(4)})

    def opened():
        return [
            os.readlink(p)
            for p in pathlib.Path("/proc/self/fd").iterdir()
            if p.is_symlink() and os.path.lexists(p)
        ].count(str(path))

    found = mx.load(path)
    assert opened() == 1
    a = found.pop("a")
    mx.eval(a)
    assert opened() == 1 and a.tolist() == [1, 1, 1]
    del found
    assert opened() == 0 and a.tolist() == [1, 1, 1]


# ---- gguf


def gguf(tensors=(), pairs=(), version=3, alignment=32, body=b"", counts=None):
    def text(s):
        return struct.pack("<Q", len(s)) + s.encode()

    head = b"GGUF" + struct.pack("<IQQ", version, *(counts or (len(tensors), len(pairs))))
    for key, kind, data in pairs:
        head += text(key) + struct.pack("<I", kind) + data
    for name, shape, kind, offset in tensors:
        head += (
            text(name)
            + struct.pack("<I", len(shape))
            + struct.pack(f"<{len(shape)}Q", *shape[::-1])
            + struct.pack("<IQ", kind, offset)
        )
    return head + bytes(-len(head) % alignment) + body


def values_of(packed, scales, biases, bits):
    """What affine dequantization gives, in float64: codes from the low bits up, groups of 32."""
    words = np.array(packed)[..., None] >> np.arange(0, 32, bits, dtype=np.uint32) & (1 << bits) - 1
    codes = words.reshape(*words.shape[:-2], -1, 32).astype(np.float64)
    return (
        codes * np.array(scales, np.float64)[..., None] + np.array(biases, np.float64)[..., None]
    ).reshape(*codes.shape[:-2], -1)


@pytest.mark.parametrize("kind,bits", [(2, 4), (3, 4), (8, 8)])
def test_quantized_gguf_tensors_load_as_packed_weights(tmp_path, kind, bits):
    rng = np.random.default_rng(kind)
    rows, columns = 3, 96
    scales = rng.normal(size=(rows, columns // 32)).astype(np.float16)
    low = rng.normal(size=scales.shape).astype(np.float16)
    codes = rng.integers(0, 1 << bits, (rows, columns // 32, 32))
    body, expected = b"", np.zeros((rows, columns // 32, 32))
    for r in range(rows):
        for g in range(columns // 32):
            c, d, m = codes[r, g], scales[r, g], low[r, g]
            body += d.tobytes() + (m.tobytes() if kind == 3 else b"")
            body += (
                (c[:16] | c[16:] << 4).astype(np.uint8).tobytes()
                if bits == 4
                else (c - 128).astype(np.int8).tobytes()
            )
            expected[r, g] = {
                2: (c - 8) * float(d),
                3: c * float(d) + float(m),
                8: (c - 128) * float(d),
            }[kind]
    path = tmp_path / "q.gguf"
    path.write_bytes(
        gguf(
            [
                ("layer.weight", (rows, columns), kind, 0),
                ("norm", (3,), 0, len(body) + -len(body) % 32),
            ],
            body=body + bytes(-len(body) % 32) + np.arange(3, dtype=np.float32).tobytes(),
        )
    )
    found = mx.load(path)
    assert sorted(found) == ["layer.biases", "layer.scales", "layer.weight", "norm"] and found[
        "norm"
    ].tolist() == [0, 1, 2]
    w, s, b = (found["layer." + part] for part in ("weight", "scales", "biases"))
    assert (
        w.dtype == mx.uint32
        and w.shape == (rows, columns * bits // 32)
        and s.shape == b.shape == (rows, columns // 32)
    )
    np.testing.assert_array_equal(values_of(w, s, b, bits), expected.reshape(rows, columns))


def test_gguf_metadata_comes_back(tmp_path):
    path = tmp_path / "a.gguf"
    metadata = {
        "name": "Größe",
        "list": ["a", "", "ü"],
        "number": mx.array(7, dtype=mx.uint32),
        "real": mx.array(0.5),
        "flag": mx.array(True),
        "tokens": mx.array([1, -2, 3]),
        "none": [],
    }
    mx.save_gguf(path, {"x": mx.ones((2, 3))}, metadata)
    arrays, found = mx.load(path, return_metadata=True)
    assert list(arrays) == ["x"] and list(found) == list(metadata)
    for key, value in metadata.items():
        if isinstance(value, mx.array):
            assert (
                found[key].dtype == value.dtype
                and found[key].shape == value.shape
                and mx.array_equal(found[key], value)
            )
        else:
            assert found[key] == value
    with pytest.raises(ValueError, match="metadata not supported"):
        mx.save_gguf(path, {}, {"a": {"b": 1}})
    mx.save_gguf(
        tmp_path / "b", arrays, {**found, "general.alignment": mx.array(64, dtype=mx.uint32)}
    )
    assert mx.load(tmp_path / "b.gguf")["x"].tolist() == [[1, 1, 1]] * 2


def test_other_alignments_of_gguf_are_obeyed(tmp_path):
    path = tmp_path / "a.gguf"
    path.write_bytes(
        gguf(
            [("a", (2,), 0, 0), ("b", (2,), 0, 128)],
            [("general.alignment", 4, struct.pack("<I", 128))],
            alignment=128,
            body=np.array([1, 2], np.float32).tobytes()
            + bytes(120)
            + np.array([3, 4], np.float32).tobytes(),
        )
    )
    found = mx.load(path)
    assert found["a"].tolist() == [1, 2] and found["b"].tolist() == [3, 4]


@pytest.mark.parametrize(
    "data",
    [
        b"GGUF",
        b"GGUX" + bytes(40),
        gguf(version=1),
        gguf(version=9),
        gguf(counts=(2**63, 0)),
        gguf(counts=(0, 2**63)),
        gguf([("a", (2**40,), 0, 0)], body=bytes(64)),
        gguf([("a", (2**63, 2**63, 0), 0, 0)]),
        gguf([("a", (2**61,) * 8, 0, 0)]),
        gguf([("a", (1,) * 9, 0, 0)], body=bytes(64)),
        gguf([("a", (2,), 0, 2**63)], body=bytes(64)),
        gguf([("a", (2,), 0, 4)], body=bytes(64)),
        gguf([("a", (2,), 99, 0)], body=bytes(64)),
        gguf([("a", (33,), 2, 0)], body=bytes(64)),
        gguf([("a", (), 2, 0)], body=bytes(64)),
        gguf([("a", (1,), 0, 0), ("a", (1,), 0, 0)], body=bytes(64)),
        gguf(pairs=[("k", 99, b"")]),
        gguf(pairs=[("k", 8, struct.pack("<Q", 2**62))]),
        gguf(pairs=[("k", 8, struct.pack("<Q", 2) + b"\xff\xfe")]),
        gguf(pairs=[("k", 9, struct.pack("<IQ", 4, 2**61))]),
        gguf(pairs=[("k", 9, struct.pack("<IQ", 9, 2**40))]),
        gguf(pairs=[("k", 9, struct.pack("<IQ", 8, 2**62))]),
        gguf(pairs=[("general.alignment", 4, struct.pack("<I", 0))]),
        gguf(pairs=[("general.alignment", 4, struct.pack("<I", 3))]),
        gguf(pairs=[("general.alignment", 8, struct.pack("<Q", 1) + b"a")]),
        gguf(pairs=[("k", 4, bytes(4)), ("k", 4, bytes(4))]),
    ],
    ids=range(26),
)
def test_hostile_gguf_headers_raise(tmp_path, data):
    path = tmp_path / "a.gguf"
    path.write_bytes(data)
    with pytest.raises(mx.FormatError):
        mx.load(path)


@pytest.mark.parametrize("save", [mx.save_safetensors, mx.save_gguf])
@pytest.mark.parametrize(
    "arrays",
    [
        None,
        3,
        [mx.ones(1)],
        [("a", mx.ones(1))],
        mx.ones(2),
        {1: mx.ones(1)},
        {"a": 1},
        {"a": np.ones(1)},
        {"a": None},
        {"a": mx.ones(1), None: mx.ones(1)},
        {"a": {"b": mx.ones(1)}},
    ],
    ids=range(11),
)
def test_what_is_saved_by_name_is_a_dict_of_arrays(tmp_path, save, arrays):
    with pytest.raises(TypeError, match=rf"\[{save.__name__}\]"):
        save(tmp_path / "a", arrays)
    assert not list(tmp_path.iterdir())  # nothing is begun


def test_metadata_of_what_is_saved_is_checked_before_anything_is_written(tmp_path):
    one = {"a": mx.ones(1)}
    for metadata in ({"a": 1}, {1: "a"}, [("a", "b")], "ab", 3, {"a": None}):
        with pytest.raises(TypeError, match=r"\[save_safetensors\] metadata"):
            mx.save_safetensors(tmp_path / "a", one, metadata)
    for metadata in ([("a", "b")], "ab", 3, {1: "a"}):
        with pytest.raises(TypeError, match=r"\[save_gguf\] metadata"):
            mx.save_gguf(tmp_path / "a", one, metadata)
    with pytest.raises(ValueError, match="__metadata__"):
        mx.save_safetensors(tmp_path / "a", {"__metadata__": mx.ones(1)})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("format", [None, *FORMATS])
def test_load_wants_a_path_or_a_file_of_bytes(tmp_path, format):
    class Bytes:
        def __fspath__(self):
            return b"a.npy"

    for wrong in (None, 3, ["a.npy"], mx.ones(1), Bytes()):
        with pytest.raises(TypeError, match=r"\[load\] file"):
            mx.load(wrong, format=format)
    with pytest.raises(mx.FormatError, match=r"\[load\]"):
        mx.load(b"a.npy", format=format)
    for text in (io.StringIO("a"), open(__file__)):
        with text, pytest.raises(TypeError, match=r"\[load\] file: .* of text"):
            mx.load(text, format=format or "npy")


@pytest.mark.parametrize(
    "metadata", [{"a": 1}, {"a": None}, {"a": {"b": "c"}}, ["a"], "a", None, 3, [], {"a": ["b"]}]
)
def test_metadata_of_safetensors_that_is_no_dict_of_strings_is_refused(tmp_path, metadata):
    text = json.dumps({"__metadata__": metadata}).encode()
    (tmp_path / "a.safetensors").write_bytes(struct.pack("<Q", len(text)) + text)
    with pytest.raises(mx.FormatError, match="__metadata__"):
        mx.load(tmp_path / "a.safetensors")


@pytest.mark.parametrize("arrays", [{}, {"a": mx.ones((3, 2))}, {"a": mx.ones(0)}], ids=len)
def test_bytes_behind_the_last_tensor_of_safetensors_are_refused(tmp_path, arrays):
    path = tmp_path / "a.safetensors"
    mx.save_safetensors(path, arrays)
    data = path.read_bytes()
    assert list(mx.load(path)) == list(arrays)
    for more in (1, 100):
        path.write_bytes(data + bytes(more))
        for file in (path, io.BytesIO(data + bytes(more))):
            with pytest.raises(mx.FormatError, match=f"got {more}, expected none"):
                mx.load(file, format="safetensors")


@pytest.mark.parametrize("version", [(0, 0), (4, 0), (255, 0), (1, 1), (3, 7)])
def test_other_versions_of_npy_are_refused(tmp_path, version):
    stream = io.BytesIO()
    mx.save(stream, mx.arange(3))
    data = bytearray(stream.getvalue())
    data[6:8] = bytes(version)
    with pytest.raises(mx.FormatError, match="version of npy not supported"):
        mx.load(io.BytesIO(bytes(data)), format="npy")
    for known in ((1, 0), (2, 0), (3, 0)):
        stream = io.BytesIO()
        np.lib.format.write_array(stream, np.arange(3), known)
        stream.seek(0)
        assert mx.load(stream, format="npy").tolist() == [0, 1, 2]
