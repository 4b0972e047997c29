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


# ---- what the protocols ask for ---------------------------------------------------------------


def test_dlpack_answers_only_what_a_cpu_can():
    a = mx.arange(3)
    for options in ({"stream": 1}, {"stream": -1}, {"dl_device": (2, 0)}, {"dl_device": (1, 1)},
                    {"dl_device": (13, 0)}):
        with pytest.raises(BufferError, match="__dlpack__"):
            a.__dlpack__(**options)
    for options in (
        {"max_version": 1},
        {"max_version": (1,)},
        {"max_version": ("1", 0)},
        {"dl_device": 1},
        {"dl_device": "cpu"},
        {"copy": "no"},
        {"max_version": [1, 0]},
    ):
        with pytest.raises(TypeError, match="__dlpack__"):
            a.__dlpack__(**options)
    for options in ({}, {"stream": None}, {"dl_device": (1, 0)}, {"max_version": (0, 8)},
                    {"max_version": (2, 3)}, {"copy": True}, {"copy": False}):
        newest = options.get("max_version", (0, 0))[0]
        name = "dltensor_versioned" if newest else "dltensor"
        assert f'"{name}"' in repr(a.__dlpack__(**options))


def test_read_only_memory_goes_out_only_where_it_can_say_so():
    held = np.arange(3.0, dtype=np.float32)
    held.flags.writeable = False
    a = mx.asarray(held)
    with pytest.raises(BufferError):
        a.__dlpack__()
    a.__dlpack__(copy=True)
    assert not np.from_dlpack(a).flags.writeable


class Asked:
    """Remembers how it was asked; knows the options that are named."""

    def __init__(self, a, known):
        self.a, self.known, self.calls = a, known, []

    def __dlpack__(self, **options):
        self.calls.append(options)
        if set(options) - set(self.known):
            raise TypeError("unexpected keyword")
        return self.a.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.a.__dlpack_device__()


@pytest.mark.parametrize("known", [(), ("max_version",), ("max_version", "dl_device", "copy")])
def test_from_dlpack_asks_old_and_new_objects(known):
    for options in (
        {},
        {"copy": True},
        {"copy": False},
        {"device": mx.cpu},
        {"device": mx.Device(mx.cpu)},
        {"device": mx.cpu, "copy": False},
        {"device": None, "copy": None},
    ):
        o = Asked(np.arange(3, dtype=np.int32), known)
        assert mx.from_dlpack(o, **options).tolist() == [0, 1, 2]
        if "dl_device" in known and options.get("device"):
            assert o.calls[0]["dl_device"] == (1, 0)
        if "copy" in known and options.get("copy") is False:
            assert o.calls[0]["copy"] is False


def test_from_dlpack_refuses_other_devices_and_odd_options():
    with pytest.raises(ValueError, match="no such device"):
        mx.from_dlpack(np.ones(2), device=mx.gpu)
    with pytest.raises(TypeError, match=r"\[from_dlpack\] device"):
        mx.from_dlpack(np.ones(2), device="cpu")
    for f in (mx.from_dlpack, mx.asarray):
        with pytest.raises(TypeError, match="copy: got"):
            f(np.ones(2), copy="no")
        assert f(np.ones(2), copy=np.True_).tolist() == [1, 1]


def owner_changes(shared):
    held = np.ones(3, np.float32)
    a = shared(held)
    return a, held


@pytest.mark.parametrize(
    "shared",
    [
        mx.asarray,
        mx.from_dlpack,
        lambda o: mx.asarray(o)[:2],
        lambda o: mx.asarray(o).reshape(3, 1),
    ],
)
@pytest.mark.parametrize(
    "copied",
    [
        mx.array,
        lambda a: mx.asarray(a, copy=True),
        lambda a: mx.from_dlpack(a, copy=True),
        lambda a: mx.asarray(np.asarray(a), copy=True),
        lambda a: mx.array(np.asarray(a)),
        lambda a: mx.from_dlpack(np.asarray(a), copy=True),
        lambda a: mx.from_dlpack(Asked(a, ()), copy=True),
    ],
)
def test_a_copy_of_shared_memory_keeps_its_values(shared, copied):
    a, held = owner_changes(shared)
    mx.eval(a)
    made = copied(a)
    held[:] = 5
    assert made.sum().item() == made.size and a.sum().item() == 5 * a.size


def test_a_copy_of_shared_memory_is_differentiated_and_mapped():
    a = mx.asarray(np.arange(3, dtype=np.float32))
    np.asarray(a)
    for f in (mx.array, lambda x: mx.asarray(x, copy=True), lambda x: mx.from_dlpack(x, copy=True)):
        assert mx.grad(lambda x: (f(x) * x).sum())(a).tolist() == [0, 2, 4]
        assert mx.vmap(f)(a).tolist() == [0, 1, 2] and mx.compile(f)(a).tolist() == [0, 1, 2]
        assert mx.jvp(f, [a], [a])[1][0].tolist() == [0, 1, 2]


# ---- bools whose bytes others change after they were shared

READS = {
    "tolist": lambda b: b.tolist(),
    "item": lambda b: [b[i].item() for i in range(b.size)],
    "repr": lambda b: repr(b),
    "bytes": lambda b: bytes(b),
    "sum": lambda b: mx.sum(b).item(),
    "mean": lambda b: mx.mean(b).item(),
    "any, all": lambda b: [mx.any(b).item(), mx.all(b).item(), mx.all(b[1:]).item()],
    "astype": lambda b: b.astype(mx.int32).tolist() + b.astype(mx.float16).tolist(),
    "equal": lambda b: (b == mx.array([True] * b.size)).tolist(),
    "compared": lambda b: (b > False).tolist() + (b < True).tolist(),
    "bitwise": lambda b: (b & True).tolist() + (b ^ True).tolist() + (~b).tolist(),
    "add": lambda b: (b + b).tolist() + (b * 3).tolist() + (b + 0.5).tolist(),
    "where": lambda b: mx.where(b, 1, 2).tolist(),
    "mask": lambda b: mx.arange(b.size)[b].tolist(),
    "mask write": lambda b: mx.arange(b.size).at[b].set(9).tolist(),
    "gather": lambda b: b[mx.array([2, 1, 0])].astype(mx.int32).tolist(),
    "scatter": lambda b: mx.zeros(3, mx.int32).at[mx.array([0, 1, 2])].add(b[:3]).tolist(),
    "reversed": lambda b: b[::-1].astype(mx.int32).tolist(),
    "strided": lambda b: mx.sum(b[::2]).item(),
    "concatenate": lambda b: mx.concatenate([b, b]).astype(mx.int32).tolist(),
    "view": lambda b: mx.sum(mx.concatenate([b, b]).view(mx.uint8)).item(),
    "argmax": lambda b: mx.argmax(b).item(),
    "matmul": lambda b: (b.astype(mx.float32) @ b.astype(mx.float32)).item(),
    "compile": lambda b: mx.compile(lambda x: mx.sum(x.astype(mx.int32) * 2))(b).item(),
    "array": lambda b: mx.sum(mx.array(b)).item(),
    "copy": lambda b: np.from_dlpack(mx.asarray(b, copy=True)).view(np.uint8).tolist(),
    "contiguous": lambda b: mx.sum(mx.contiguous(b[::-1]).view(mx.uint8)).item(),
    "sort": lambda b: mx.max(b).item(),
    "scan": lambda b: mx.scan(lambda c, x: (c + x, c), mx.array(0), b)[0].item(),
    "pickle": lambda b: __import__("pickle")
    .loads(__import__("pickle").dumps(b))
    .astype(mx.int32)
    .tolist(),
}


@pytest.mark.parametrize("name", READS)
@pytest.mark.parametrize("share", [mx.asarray, mx.from_dlpack, lambda o: mx.asarray(memoryview(o))])
def test_shared_bools_that_get_other_bytes_are_true(name, share):
    for n in (3, 5000):
        held = np.zeros(n, np.bool_)
        expected = READS[name](mx.array(np.arange(n) % 3 != 0))
        b = share(held)
        mx.eval(b, b.sum())
        held.view(np.uint8)[:] = np.where(np.arange(n) % 3 != 0, 2 + np.arange(n) % 250, 0)
        assert READS[name](b) == expected


def test_exported_bools_that_get_other_bytes_are_true():
    b = mx.array([True, False, True]) & True
    np.asarray(b).view(np.uint8)[:] = [7, 0, 4]
    assert mx.sum(b).item() == 2 and b.astype(mx.int32).tolist() == [1, 0, 1]


def test_read_only_bools_that_get_other_bytes_say_so():
    held = np.array([True, False, True])
    shown = held.view()
    shown.flags.writeable = False
    b = mx.asarray(shown)
    held.view(np.uint8)[0] = 7
    with pytest.raises(ValueError, match="read-only memory"):
        mx.sum(b).item()
    with pytest.raises(ValueError, match="read-only memory"):
        b.tolist()


# ---- empty arrays of any strides

@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (4, 0, 3), (0, 0), (1, 0, 1)])
def test_empty_arrays_are_contiguous_in_every_way(shape):
    keys = [(slice(None),), (slice(None, None, 2),), (slice(None, None, -1),)]
    for key in keys:
        for turn in (lambda x: x, lambda x: x.T):
            a, n = turn(mx.zeros(shape)[key]), turn(np.zeros(shape, np.float32)[key])
            mx.eval(a)
            m = memoryview(a)
            assert m.c_contiguous and m.f_contiguous and m.shape == n.shape and m.tobytes() == b""
            assert np.frombuffer(a, np.uint8).size == 0 and bytes(a) == b""
            for back in (np.asarray(a), np.from_dlpack(a), np.array(m)):
                assert back.shape == n.shape and back.dtype == n.dtype
            for make in (mx.array, mx.asarray, mx.from_dlpack, lambda o: mx.asarray(o, copy=False),
                         lambda o: mx.array(memoryview(o)), lambda o: mx.from_dlpack(o, copy=True)):
                if make is not mx.array and any(s < 0 for s in n.strides):
                    continue  # shared as it is only with strides forward
                assert make(n).shape == n.shape and (make(n) + 1).tolist() == n.tolist()
