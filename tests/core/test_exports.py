"""Memory that others write to: constants that are equal to an exported one keep their value."""

import ctypes
import gc

import numpy as np
import pytest

import lazulite.core as mx


def export_numpy(a):
    return np.asarray(a)


def export_dlpack(a):
    out = np.from_dlpack(a)  # NumPy shows it read-only: others do not
    if out.size == 0:
        return out
    low = out.ctypes.data + sum(min(s * (n - 1), 0) for n, s in zip(out.shape, out.strides))
    high = (
        out.ctypes.data
        + sum(max(s * (n - 1), 0) for n, s in zip(out.shape, out.strides))
        + out.itemsize
    )
    memory = (ctypes.c_char * (high - low)).from_address(low)
    memory.keeps = out
    return np.ndarray(out.shape, out.dtype, memory, out.ctypes.data - low, out.strides)


def export_buffer(a):
    return np.asarray(memoryview(a))


EXPORTS = [export_numpy, export_buffer, export_dlpack]
CONSTANTS = {
    "zeros": lambda: mx.zeros(16),
    "ones": lambda: mx.ones((2, 8)),
    "full": lambda: mx.full((16,), 2.5),
    "number": lambda: mx.zeros(()),
    "halves": lambda: mx.full((16,), 1.5, mx.float16),
    "large": lambda: mx.zeros(5000),
    "like": lambda: mx.ones_like(mx.arange(16)),
    "reshaped": lambda: mx.ones(16).reshape(4, 4),
    "cast": lambda: mx.zeros(16).astype(mx.int32),
}


def write(view):
    try:
        view[...] = 3
    except ValueError:
        if view.flags.writeable:
            raise
        pytest.skip("exported read-only")


@pytest.mark.parametrize("export", EXPORTS)
@pytest.mark.parametrize("name", CONSTANTS)
@pytest.mark.parametrize("evaluated", [False, True])
def test_writing_to_an_exported_constant_changes_that_array_alone(export, name, evaluated):
    make = CONSTANTS[name]
    first, twin = make(), make()
    wanted = np.array(make()).copy()
    if evaluated:
        mx.eval(first, twin)
    view = export(first)
    assert view.flags.writeable
    write(view)
    np.testing.assert_array_equal(np.array(first), np.full_like(wanted, 3))
    np.testing.assert_array_equal(np.array(twin), wanted)
    np.testing.assert_array_equal(np.array(make()), wanted)
    assert mx.sum(make().astype(mx.float32)).item() == wanted.astype("float32").sum()


@pytest.mark.parametrize("export", EXPORTS)
@pytest.mark.parametrize(
    "look",
    [
        lambda a: a[2:5],
        lambda a: a[::-1],
        lambda a: a.reshape(4, 4)[1],
        lambda a: mx.contiguous(a),
        lambda a: +a,
        lambda a: a.T,
        lambda a: mx.view(a, mx.int32),
        lambda a: mx.stop_gradient(a),
        lambda a: mx.broadcast_to(a[:1], (16,)) * 1,
    ],
)
def test_views_of_constants_are_exported_as_copies_too(export, look):
    base = mx.full((16,), 2.0)
    mx.eval(base)
    shown = look(base)
    mx.eval(shown)
    write(export(shown))
    assert base.tolist() == [2.0] * 16
    assert mx.full((16,), 2.0).tolist() == [2.0] * 16
    assert (
        (
            mx.view(shown, mx.float32)
            == (3 if shown.dtype == mx.float32 else mx.array(3).view(mx.float32))
        )
        .all()
        .item()
    )


def test_constants_in_compiled_functions_and_loops_keep_their_value():
    @mx.compile
    def f(x):
        return mx.zeros(16), x + mx.ones(16), mx.ones(16)

    for _ in range(3):
        zeros, _, ones = f(mx.zeros(16))
        mx.eval(zeros, ones)
        np.asarray(zeros)[:] = 3
        np.asarray(ones)[:] = 3
        again = f(mx.zeros(16))
        assert (
            again[0].tolist() == [0] * 16
            and again[1].tolist() == [1] * 16
            and again[2].tolist() == [1] * 16
        )

    held = mx.zeros(16)
    mx.eval(held)
    g = mx.compile(lambda x: (x + held, held))
    np.asarray(g(mx.ones(16))[1])[:] = 9
    assert mx.zeros(16).tolist() == [0] * 16

    def step(carry, x):
        return carry + x, mx.ones(4)

    for _ in range(2):
        carry, rows = mx.scan(step, mx.zeros(4), mx.ones((3, 4)))
        final = mx.cond(mx.array(True), lambda v: mx.ones(4), lambda v: v, carry)
        mx.eval(carry, rows, final)
        assert (
            rows.tolist() == [[1] * 4] * 3
            and final.tolist() == [1] * 4
            and carry.tolist() == [3] * 4
        )
        for a in (carry, rows, final):
            write(np.asarray(a))


def test_an_exported_broadcast_constant_shows_strides_of_zero():
    a = mx.broadcast_to(mx.array([1.0, 2.0]), (3, 2))
    assert np.asarray(a).strides[0] == 0


def test_an_array_that_was_donated_a_constant_is_shared_without_a_copy():
    a = mx.zeros(100_000)
    mx.eval(a)
    a = a.at[0].add(1)
    mx.eval(a)
    gc.collect()
    before = mx.get_active_memory()
    view = np.asarray(a)
    view[1] = 5
    assert a[1].item() == 5
    assert mx.get_active_memory() - before < 100_000


# ---- the flags of PyObject_GetBuffer -------------------------------------------------------------


def test_the_flags_of_a_buffer_request_are_obeyed():
    class View(ctypes.Structure):
        _fields_ = [
            ("buf", ctypes.c_void_p),
            ("obj", ctypes.py_object),
            ("len", ctypes.c_ssize_t),
            ("itemsize", ctypes.c_ssize_t),
            ("readonly", ctypes.c_int),
            ("ndim", ctypes.c_int),
            ("format", ctypes.c_char_p),
            ("shape", ctypes.POINTER(ctypes.c_ssize_t)),
            ("strides", ctypes.POINTER(ctypes.c_ssize_t)),
            ("suboffsets", ctypes.c_void_p),
            ("internal", ctypes.c_void_p),
        ]

    get, release = ctypes.pythonapi.PyObject_GetBuffer, ctypes.pythonapi.PyBuffer_Release
    get.argtypes, release.argtypes = [ctypes.py_object, ctypes.POINTER(View), ctypes.c_int], [
        ctypes.POINTER(View)
    ]
    writable, fmt, nd, strides = 1, 4, 8, 16 | 8
    rows, columns, either = 32 | strides, 64 | strides, 128 | strides
    dense = mx.array(np.arange(6, dtype=np.float32).reshape(2, 3))
    for a in (
        dense,
        dense.T,
        dense[:, ::2],
        mx.broadcast_to(dense[:1], (4, 3)),
        dense[0],
        mx.zeros((0, 3)),
        mx.array(1.0),
    ):
        mx.eval(a)
        n = np.asarray(a)
        is_rows, is_columns = n.flags.c_contiguous, n.flags.f_contiguous
        for flags in (
            0,
            fmt,
            nd,
            strides,
            rows,
            columns,
            either,
            rows | fmt,
            columns | writable,
            writable,
            nd | fmt,
            strides | writable | fmt,
        ):
            allowed = True
            if flags & strides != strides or flags & rows == rows:
                allowed &= is_rows
            if flags & columns == columns:
                allowed &= is_columns
            if flags & either == either:
                allowed &= is_rows or is_columns
            if flags & writable:
                allowed &= n.flags.writeable
            view = View()
            try:
                get(a, ctypes.byref(view), flags)
            except BufferError:
                assert not allowed, (n.shape, n.strides, flags)
                continue
            assert allowed, (n.shape, n.strides, flags)
            assert (
                bool(view.format) == bool(flags & fmt)
                and bool(view.shape) == bool(flags & nd)
                and bool(view.strides) == (flags & strides == strides)
            )
            assert view.len == n.nbytes and view.itemsize == 4
            release(ctypes.byref(view))


def test_bools_of_others_are_true_for_any_byte_but_zero():
    raw = np.array([0, 1, 2, 255, 128], np.uint8)
    odd = raw.view(np.bool_)
    for made in (
        mx.array(odd),
        mx.asarray(odd),
        mx.array(odd[::-1])[::-1],
        mx.array(memoryview(odd)),
        mx.asarray(memoryview(odd)),
    ):
        assert made.astype(mx.int32).tolist() == [0, 1, 1, 1, 1]
        assert mx.sum(made).item() == 4
        assert (made == mx.array([False, True, True, True, True])).all().item()
    with pytest.raises(ValueError):
        mx.asarray(odd, copy=False)
    clean = np.array([True, False])
    shared = mx.asarray(clean, copy=False)
    assert shared.tolist() == [True, False]
    imported = mx.from_dlpack(odd)
    assert imported.astype(mx.int32).tolist() == [0, 1, 1, 1, 1]


def test_a_view_as_bool_holds_true_and_false_alone():
    v = mx.array([2, 0, 255], mx.uint8).view(mx.bool_)
    assert v.sum().item() == 2 and v.astype(mx.int32).tolist() == [1, 0, 1]
    assert (v == True).tolist() == [True, False, True]  # noqa: E712


def test_memory_that_overlaps_itself_is_read_only_for_others():
    b = mx.broadcast_to(mx.array([1.0, 2.0]), (3, 2))
    assert not np.from_dlpack(b).flags.writeable and not np.asarray(b).flags.writeable
    assert mx.from_dlpack(b).tolist() == [[1, 2]] * 3
