"""Saving: a file takes its name when it is whole, arrays are written one after the other."""

import io
import os
import stat
import subprocess
import sys

import numpy as np
import pytest

import lazulite.core as mx

SAVERS = {
    "npy": lambda file, a: mx.save(file, a),
    "npz": lambda file, a: mx.savez(file, a=a),
    "compressed.npz": lambda file, a: mx.savez_compressed(file, a=a),
    "safetensors": lambda file, a: mx.save_safetensors(file, {"a": a}),
    "gguf": lambda file, a: mx.save_gguf(file, {"a": a}),
}
formats = pytest.mark.parametrize("ending", SAVERS)


def load(path):
    found = mx.load(path)
    return found["a"] if isinstance(found, dict) else found


@formats
def test_a_save_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    SAVERS[ending](path, mx.arange(10))
    before = path.read_bytes()
    broken = mx.linalg.inv(mx.zeros((2, 2)))  # raises when it is evaluated
    with pytest.raises(mx.LinAlgError):
        SAVERS[ending](path, broken)
    with pytest.raises(mx.LinAlgError):
        SAVERS[ending](tmp_path / f"b.{ending}", mx.linalg.inv(mx.zeros((2, 2))))
    assert os.listdir(tmp_path) == [path.name] and path.read_bytes() == before


@formats
def test_a_full_disk_leaves_the_old_file(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    SAVERS[ending](path, mx.arange(10))
    program = f"""
import resource, signal, sys
import lazulite.core as mx
from test_saving import SAVERS
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    SAVERS[{ending!r}]({str(path)!r}, mx.random.uniform(shape=(100_000,)))
except OSError as error:
    sys.exit(7)
"""
    here = os.path.dirname(__file__)
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([here, *sys.path])},
    )
    assert done.returncode == 7
    assert os.listdir(tmp_path) == [path.name] and load(path).tolist() == list(range(10))


@formats
def test_who_reads_while_a_file_is_saved_sees_the_old_one(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    SAVERS[ending](path, mx.arange(1000))
    seen = []

    def look(x):
        seen.append((load(path).tolist(), len(os.listdir(tmp_path))))
        return np.asarray(x)

    # the array is evaluated in the middle of the save: its own file is the source
    pending = load(path) + 1
    SAVERS[ending](path, pending)
    look(pending)
    assert seen == [(list(range(1, 1001)), 1)] and len(os.listdir(tmp_path)) == 1


@formats
def test_a_file_keeps_its_mode_and_a_new_one_has_the_usual(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    old = os.umask(0o027)
    try:
        SAVERS[ending](path, mx.arange(3))
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        for mode in (0o600, 0o644, 0o755, 0o666):
            path.chmod(mode)
            SAVERS[ending](path, mx.arange(4))
            assert stat.S_IMODE(path.stat().st_mode) == mode
    finally:
        os.umask(old)
    assert load(path).tolist() == [0, 1, 2, 3]


@formats
def test_a_link_stays_one_and_its_target_is_replaced(tmp_path, ending):
    (tmp_path / "there").mkdir()
    target, link = tmp_path / "there" / f"a.{ending}", tmp_path / f"link.{ending}"
    link.symlink_to(target)
    for n in (3, 5):  # where there is no target yet, too
        SAVERS[ending](link, mx.arange(n))
        assert link.is_symlink() and load(target).size == n
    assert os.listdir(tmp_path / "there") == [target.name]


@formats
def test_what_is_no_regular_file_is_written_to(tmp_path, ending):
    path = tmp_path / f"pipe.{ending}"
    os.mkfifo(path)
    reader = subprocess.Popen(["cat", str(path)], stdout=subprocess.PIPE)
    SAVERS[ending](path, mx.arange(5))
    data, _ = reader.communicate()
    assert stat.S_ISFIFO(path.stat().st_mode)
    if ending != "npy":
        assert mx.load(data)["a"].tolist() == [0, 1, 2, 3, 4]
    else:
        assert mx.load(data).tolist() == [0, 1, 2, 3, 4]


@formats
def test_arrays_of_any_layout_are_saved_as_their_values(tmp_path, ending):
    x = mx.arange(24.0).reshape(4, 6)
    for a in (x.T, x[::2, 1::2], x[::-1], mx.broadcast_to(x[0], (3, 6)), x[:0]):
        SAVERS[ending](tmp_path / f"a.{ending}", a)
        found = load(tmp_path / f"a.{ending}")
        assert found.shape == a.shape and found.tolist() == a.tolist()


@pytest.mark.parametrize("save", [mx.save_safetensors, mx.save_gguf], ids=["safetensors", "gguf"])
def test_arrays_are_computed_one_after_the_other(tmp_path, save):
    """What an array is computed from is gone before the next one is computed."""
    n = 1 << 20
    mx.save(tmp_path / "a", mx.ones(n))
    arrays = {f"a{i}": mx.load(tmp_path / "a.npy")[: n // 2 + i].sum() * 2 for i in range(8)}
    before = mx.get_active_memory()
    mx.reset_peak_memory()
    save(tmp_path / "all", arrays)
    assert mx.get_peak_memory() - before < 2 * 4 * n
    found = mx.load(next(tmp_path.glob("all.*")))
    assert [found[f"a{i}"].item() for i in range(8)] == [n + 2 * i for i in range(8)]


def test_an_object_like_a_file_that_fails_passes_its_error_on():
    class Full(io.RawIOBase):
        def writable(self):
            return True

        def write(self, data):
            raise OSError(28, "no space")

    for saver in SAVERS.values():
        with pytest.raises(OSError, match="no space"):
            saver(Full(), mx.arange(3))


def test_a_file_that_may_not_be_written_stays(tmp_path):
    if os.geteuid() == 0:
        program = "import os; os.setuid(65534)\n"
    else:
        program = ""
    path = tmp_path / "a.npy"
    mx.save(path, mx.arange(3))
    path.chmod(0o444)
    tmp_path.chmod(0o777)
    # the folders above belong to this user alone: the child enters before it changes
    program = f"""
import os, sys
import lazulite.core as mx
mx.save
os.chdir({str(tmp_path)!r})
{program}
try:
    mx.save("a.npy", mx.arange(4))
except PermissionError:
    sys.exit(7)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 7
    assert mx.load(path).tolist() == [0, 1, 2] and os.listdir(tmp_path) == ["a.npy"]


LAYOUTS = {
    "dense": lambda a: a,
    "reversed": lambda a: a[..., ::-1],
    "every second": lambda a: a[..., ::2],
    "transposed": lambda a: a.T,
    "broadcast": lambda a: mx.broadcast_to(a[..., :1], (2, *a.shape)),
    "a column": lambda a: a.reshape(-1, 2)[:, 1],
}
DTYPES = [
    *(mx.bool_, mx.uint8, mx.uint16, mx.uint32, mx.uint64, mx.int8, mx.int16, mx.int32, mx.int64),
    *(mx.float16, mx.bfloat16, mx.float32, mx.float64, mx.complex64, mx.complex128),
]
KNOWN = {
    "safetensors": set(DTYPES) - {mx.complex128},
    "gguf": {
        mx.int8,
        mx.int16,
        mx.int32,
        mx.int64,
        mx.float16,
        mx.bfloat16,
        mx.float32,
        mx.float64,
    },
}


@formats
@pytest.mark.parametrize("layout", LAYOUTS)
def test_arrays_of_every_dtype_are_saved_as_they_lie(tmp_path, ending, layout):
    for dtype in DTYPES:
        if dtype not in KNOWN.get(ending, DTYPES):
            continue
        for shape in ((6,), (2, 6)):
            size = int(np.prod(shape))
            a = LAYOUTS[layout]((mx.arange(size) % 7).reshape(shape).astype(dtype))
            SAVERS[ending](tmp_path / f"a.{ending}", a)
            found = load(tmp_path / f"a.{ending}")
            assert found.dtype == dtype and found.shape == a.shape
            assert mx.array_equal(found, a), (dtype, shape)


def test_several_arrays_in_one_stream(tmp_path):
    """A file stands behind the array that was read of it, as NumPy leaves it."""
    arrays = [mx.arange(5, dtype=mx.uint8)[::-1], mx.zeros((0, 3)), mx.ones((2, 3)).T, mx.array(1)]
    memory = io.BytesIO(b"before")
    memory.seek(6)
    with open(tmp_path / "all.npy", "wb") as disk:
        for out in (memory, disk):
            for a in arrays:
                mx.save(out, a)
    memory.seek(6)
    with open(tmp_path / "all.npy", "rb") as disk, open(tmp_path / "all.npy", "rb") as numpy:
        for a in arrays:
            wanted = np.load(numpy)
            for source in (memory, disk):
                found = mx.load(source, format="npy")
                assert np.array_equal(np.array(found), wanted) and mx.array_equal(found, a)
        assert disk.read() == b"" and memory.read() == b""
