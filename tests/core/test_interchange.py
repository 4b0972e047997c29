"""Arrays to and from other libraries: values, shared memory, lifetimes. What a library is not there
for is passed over."""

import array as standard
import gc
import multiprocessing
import pickle
import weakref

import numpy as np
import pytest

import lazulite.core as mx

NUMBERS = [
    getattr(mx, name)
    for name in "bool_ uint8 uint16 uint32 uint64 int8 int16 int32 int64 float16 float32 float64 "
    "complex64 complex128".split()
]
ALL = [*NUMBERS, mx.bfloat16]


def name_of(dtype):
    return str(dtype).split(".")[-1]


def sample(dtype):
    return mx.array([[0, 1, 2], [3, 5, 1]]).astype(dtype)


# ---- NumPy


@pytest.mark.parametrize("dtype", ALL, ids=str)
def test_every_dtype_goes_to_numpy_and_back(dtype):
    if dtype == mx.bfloat16:
        pytest.importorskip("ml_dtypes")
    a = sample(dtype)
    for n in (np.array(a), np.asarray(a), a.__array__()):
        assert n.dtype.name == name_of(dtype) and n.tolist() == a.tolist()
        for back in (mx.array(n, dtype=dtype), mx.asarray(n, dtype=dtype, copy=False)):
            assert back.dtype == dtype and mx.array_equal(back, a)
    shared = np.asarray(a)
    shared[0, 0] = 1
    assert a[0, 0].item() == 1 and np.asarray(a).base is not None


def test_bfloat16_of_ml_dtypes_is_shared():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    n = np.arange(6).reshape(2, 3).astype(ml_dtypes.bfloat16)
    for made in (mx.asarray(n), mx.asarray(n, copy=False), mx.asarray(n, dtype=mx.bfloat16)):
        assert made.dtype == mx.bfloat16 and made.tolist() == [[0, 1, 2], [3, 4, 5]]
    shared, copied = mx.asarray(n.T, copy=False), mx.array(n)
    n[0, 1] = 9
    assert shared.tolist() == [[0, 3], [9, 4], [2, 5]] and copied[0, 1].item() == 1
    with pytest.raises(ValueError, match="cannot be shared"):
        mx.asarray(n, dtype=mx.float32, copy=False)
    assert mx.array(ml_dtypes.bfloat16(1.5)).dtype == mx.bfloat16


def test_numpy_knows_the_dtype_of_an_array():
    for dtype in NUMBERS:
        a = mx.zeros(2, dtype)
        assert a.__numpy_dtype__ == np.asarray(a).dtype
    if np.lib.NumpyVersion(np.__version__) >= "2.4.0":
        assert np.result_type(mx.zeros(2, mx.int8), np.int16) == np.int16


# ---- lifetimes


def test_memory_that_is_shown_lives_as_long_as_who_shows_it():
    for show in (np.asarray, memoryview, lambda a: np.from_dlpack(a), lambda a: a.__dlpack__()):
        a = mx.arange(1000) + 0
        mx.eval(a)
        held = mx.get_active_memory()
        shown = show(a)
        a += 1  # the object has another value now; the memory is still shown
        del a
        gc.collect()
        more = mx.zeros(1000, mx.int32) + 7
        mx.eval(more)
        if isinstance(shown, np.ndarray):
            assert shown.tolist() == list(range(1000))
        elif isinstance(shown, memoryview):
            assert shown.tolist() == list(range(1000))
        else:
            assert mx.from_dlpack(Capsule(shown)).tolist() == list(range(1000))
        del shown, more
        gc.collect()
        assert mx.get_active_memory() < held


class Capsule:
    def __init__(self, capsule):
        self.capsule = capsule

    def __dlpack__(self, **options):
        return self.capsule

    def __dlpack_device__(self):
        return (1, 0)


class Owner(np.ndarray):
    """An array of NumPy whose end can be seen."""


@pytest.mark.parametrize(
    "share", [mx.asarray, lambda n: mx.from_dlpack(n)], ids=["buffer", "dlpack"]
)
def test_memory_of_others_lives_as_long_as_an_array_shows_it(share):
    n = np.arange(1000, dtype=np.int32).view(Owner)
    gone = weakref.ref(n)
    a = share(n)
    part = a[10:20]
    n[15] = -1
    del n, a
    gc.collect()
    assert gone() is not None and part[5].item() == -1
    later = part * 2  # recorded, not computed
    del part
    gc.collect()
    assert gone() is not None and later[5].item() == -2
    mx.eval(later)
    del later
    gc.collect()
    mx.eval(mx.ones(1))
    assert gone() is None


def test_an_array_that_shows_memory_of_others_is_shown_to_others():
    n = np.arange(6, dtype=np.float32)
    back = np.asarray(mx.asarray(n))
    back[0] = 7
    assert n[0] == 7 and np.shares_memory(n, back)
    back = np.from_dlpack(mx.from_dlpack(n))
    back[1] = 8
    assert n[1] == 8


def test_memory_that_must_not_be_written_is_shown_so():
    n = np.arange(4, dtype=np.float32)
    n.flags.writeable = False
    a = mx.asarray(n, copy=False)
    assert not np.asarray(a).flags.writeable
    with pytest.raises(BufferError):
        a.__dlpack__()
    a[0] = 5
    assert a.tolist() == [5, 1, 2, 3] and n[0] == 0


# ---- DLPack


def test_dlpack_says_what_it_can():
    a = mx.arange(4)
    assert a.__dlpack_device__() == (1, 0)
    for version, word in ((None, "dltensor"), ((0, 8), "dltensor"), ((1, 0), "dltensor_versioned")):
        assert f'"{word}"' in repr(a.__dlpack__(max_version=version))
    n = np.from_dlpack(a)
    n[0] = 9
    assert a.tolist() == [9, 1, 2, 3]
    n = np.from_dlpack(a, copy=True)
    n[0] = 3
    assert a.tolist() == [9, 1, 2, 3]
    for device in ((2, 0), (1, 1)):
        with pytest.raises(BufferError):
            a.__dlpack__(dl_device=device)


def test_from_dlpack_copies_when_it_is_asked_to():
    n = np.arange(4, dtype=np.int32)
    copied, shared = mx.from_dlpack(n, copy=True), mx.from_dlpack(n, copy=False)
    n[0] = 9
    assert copied[0].item() == 0 and shared[0].item() == 9
    assert mx.from_dlpack(n[::-1]).tolist() == [3, 2, 1, 9]
    with pytest.raises(ValueError, match="cannot be shared"):
        mx.from_dlpack(n[::-1], copy=False)
    assert mx.from_dlpack(n, device=mx.cpu).tolist() == [9, 1, 2, 3]


@pytest.mark.parametrize("dtype", ALL, ids=str)
def test_every_dtype_goes_to_pytorch_and_back(dtype):
    torch = pytest.importorskip("torch")
    a = sample(dtype)
    for make in (torch.from_dlpack, torch.utils.dlpack.from_dlpack):
        t = make(a)
        assert str(t.dtype) == "torch." + name_of(dtype) and t.tolist() == a.tolist()
        for back in (mx.from_dlpack(t), mx.from_dlpack(t.T).T, mx.array(t, dtype=dtype)):
            assert back.dtype == dtype and mx.array_equal(back, a)
    t[0, 0] = 1
    assert a[0, 0].item() == 1


def test_tensors_of_pytorch_share_memory():
    torch = pytest.importorskip("torch")
    t = torch.arange(6.0).reshape(2, 3)
    for shared in (mx.asarray(t), mx.asarray(t.T, copy=False).T, mx.from_dlpack(t)):
        t[0, 0] += 1
        assert shared[0, 0].item() == t[0, 0].item()
    copied = mx.array(t)
    t[0, 0] = -5
    assert copied[0, 0].item() == 3
    assert mx.asarray(torch.ones(1, 3).expand(2, 3)).tolist() == [[1.0] * 3] * 2
    assert mx.array(torch.nn.Parameter(torch.ones(2))).tolist() == [1, 1]
    assert isinstance(torch.ones(3) + mx.ones(3), mx.array)


def test_tensors_that_are_conjugated_or_negated_as_they_are_read():
    torch = pytest.importorskip("torch")
    t = torch.tensor([1 + 2j, 3 - 4j]).conj()
    for make in (mx.array, mx.asarray, mx.from_dlpack):
        assert make(t).tolist() == [1 - 2j, 3 + 4j] and make(t.imag).tolist() == [-2, 4]


def test_arrays_go_to_jax_and_back():
    jax = pytest.importorskip("jax")
    for dtype in (mx.bool_, mx.int8, mx.uint32, mx.float16, mx.bfloat16, mx.float32, mx.complex64):
        a = sample(dtype)
        for j in (jax.numpy.asarray(a), jax.numpy.array(a), jax.dlpack.from_dlpack(a)):
            assert j.dtype.name == name_of(dtype) and j.tolist() == a.tolist()
            for back in (mx.array(j), mx.asarray(j), mx.from_dlpack(j)):
                assert back.dtype == dtype and mx.array_equal(back, a)
    assert jax.dlpack.from_dlpack(sample(mx.float32).T).tolist() == sample(mx.float32).T.tolist()
    j = jax.numpy.arange(3.0)
    shared = mx.from_dlpack(j)
    assert not np.asarray(shared).flags.writeable or shared.tolist() == [0, 1, 2]
    shared[0] = 5
    assert j.tolist() == [0, 1, 2] and shared.tolist() == [5, 1, 2]


# ---- the buffer protocol


def test_buffers_of_the_standard_library():
    import ctypes

    assert mx.array(standard.array("d", [1, 2])).dtype == mx.float32
    assert mx.asarray(standard.array("h", [1, 2]), copy=False).dtype == mx.int16
    assert mx.array((ctypes.c_float * 3)(1, 2, 3)).tolist() == [1, 2, 3]
    assert mx.array(memoryview(b"abcd").cast("H", (2, 1))).shape == (2, 1)
    view = memoryview(mx.arange(6).reshape(2, 3).T)
    assert (view.shape, view.strides, view.format) == ((3, 2), (4, 12), "i")
    assert view.tolist() == [[0, 3], [1, 4], [2, 5]]
    held = bytearray(8)
    a = mx.asarray(held, copy=False)
    with pytest.raises(BufferError):  # while it is shown
        held.extend(b"more")
    del a
    gc.collect()
    held.extend(b"more")


# ---- tables, columns, images, sparse matrices


def test_tables_and_columns_of_pandas():
    pandas = pytest.importorskip("pandas")
    assert mx.array(pandas.Series([1.5, 2])).tolist() == [1.5, 2]
    assert mx.array(pandas.Series([1, 2])).dtype == mx.int64
    assert mx.array(pandas.Series([True, False])).dtype == mx.bool_
    assert mx.array(pandas.Series([1, 2], dtype="Int64")).tolist() == [1, 2]
    assert mx.array(pandas.Series([1, 2]).astype("category")).tolist() == [1, 2]
    missing = mx.array(pandas.Series([1, None], dtype="Int64"))
    assert missing.dtype == mx.float32 and mx.isnan(missing).tolist() == [False, True]
    frame = pandas.DataFrame({"a": [1, 2], "b": [1.5, 2]})
    assert mx.array(frame).tolist() == [[1, 1.5], [2, 2]]
    assert mx.array([frame["a"], frame["b"]]).tolist() == [[1, 2], [1.5, 2]]
    assert mx.array(frame.index).tolist() == [0, 1]
    for wrong in (pandas.Series(["a"]), pandas.Series(pandas.to_datetime(["2020-01-01"]))):
        with pytest.raises((TypeError, ValueError), match=r"\[(as)?array\]"):
            mx.array(wrong)
    assert pandas.Series(mx.arange(3)).tolist() == [0, 1, 2]
    assert pandas.DataFrame(mx.ones((2, 2))).shape == (2, 2)
    assert isinstance(mx.ones(2) + pandas.Series([1.0, 2]), pandas.Series)


def test_columns_and_tensors_of_arrow():
    arrow = pytest.importorskip("pyarrow")
    for make in (mx.array, mx.asarray):
        assert make(arrow.array([1, 2, 3])).dtype == mx.int64
        assert make(arrow.array([1, 2, 3, 4])[1:3]).tolist() == [2, 3]
        assert make(arrow.array(np.float16([1, 2]))).dtype == mx.float16
        assert make(arrow.array([True, False, True])).tolist() == [True, False, True]
        for column in (arrow.array([1, None]), arrow.array([1.0, None])):
            missing = make(column)
            assert missing.dtype == mx.float32 and mx.isnan(missing).tolist() == [False, True]
        assert make(arrow.chunked_array([[1, 2], [3]])).tolist() == [1, 2, 3]
        assert make(arrow.table({"a": [1, 2], "b": [3.0, 4]})).tolist() == [[1, 3], [2, 4]]
        rows = arrow.FixedSizeListArray.from_arrays(arrow.array(np.arange(12.0)), 2)
        assert make(rows).tolist() == np.arange(12).reshape(6, 2).tolist()
        deeper = arrow.FixedSizeListArray.from_arrays(rows, 3)
        assert make(deeper).tolist() == np.arange(12).reshape(2, 3, 2).tolist()
        assert make(deeper[1:]).tolist() == np.arange(12).reshape(2, 3, 2)[1:].tolist()
        n = np.arange(12, dtype=np.float32).reshape(3, 2, 2)
        tensors = arrow.FixedShapeTensorArray.from_numpy_ndarray(n)
        for t in (tensors, arrow.chunked_array([tensors]), arrow.Tensor.from_numpy(n)):
            assert make(t).dtype == mx.float32 and make(t).tolist() == n.tolist()
        assert make([arrow.scalar(3), arrow.scalar(4)]).tolist() == [3, 4]
        for wrong in (arrow.array(["a"]), arrow.array([[1], [2, 3]])):
            with pytest.raises((TypeError, ValueError), match=r"\[(as)?array\]"):
                make(wrong)
    lists = arrow.array([[1.0, 2.0], None], arrow.list_(arrow.float64(), 2))
    with pytest.raises(ValueError, match="null"):
        mx.array(lists)


def shares(a, n):
    """Whether a shows the memory of n."""
    return np.shares_memory(np.asarray(a), n)


def test_columns_and_tensors_of_arrow_are_shown_where_they_lie():
    arrow = pytest.importorskip("pyarrow")
    n = np.arange(24, dtype=np.float32)
    column = arrow.array(n)
    rows = arrow.FixedSizeListArray.from_arrays(column, 4)
    tensors = arrow.FixedShapeTensorArray.from_numpy_ndarray(n.reshape(3, 4, 2))
    seen = column.to_numpy()
    for made, shape, memory in (
        (column, (24,), seen),
        (column[3:9], (6,), seen),
        (arrow.chunked_array([column]), (24,), seen),
        (rows, (6, 4), seen),
        (rows[2:], (4, 4), seen),
        (arrow.FixedSizeListArray.from_arrays(rows, 2), (3, 2, 4), seen),
        (tensors, (3, 4, 2), tensors.to_numpy_ndarray()),
    ):
        for copy in (None, False):
            a = mx.asarray(made, copy=copy)
            assert a.shape == shape and shares(a, memory) and a.dtype == mx.float32
        assert not shares(mx.asarray(made, copy=True), memory)
        assert not shares(mx.array(made), memory)
    a = mx.asarray(column[3:9], copy=False)
    a[0] = 7  # Arrow's memory does not change
    assert a[0].item() == 7 and column[3].as_py() == 3
    for other in (
        arrow.array([1.0, None]),
        arrow.array([True, False]),
        arrow.array([1.0, 2.0]),  # float64 narrows
        arrow.chunked_array([[1], [2]]),
        arrow.array(["a"]),
    ):
        with pytest.raises(ValueError, match="cannot be shared"):
            mx.asarray(other, copy=False)
    assert shares(
        mx.asarray(wide := arrow.array([1.0, 2.0]), dtype=mx.float64, copy=False), wide.to_numpy()
    )


def test_columns_of_pandas_are_shown_where_they_lie():
    pandas = pytest.importorskip("pandas")
    for dtype in (np.float32, np.int64):
        series = pandas.Series(np.arange(5, dtype=dtype))
        a = mx.asarray(series, copy=False)
        assert a.tolist() == [0, 1, 2, 3, 4] and shares(a, series.to_numpy())
        assert shares(mx.asarray(series), series.to_numpy())
        a[0] = 9
        assert a[0].item() == 9
    frame = pandas.DataFrame(np.arange(6, dtype=np.float32).reshape(3, 2))
    a = mx.asarray(frame, copy=False)
    assert a.shape == (3, 2) and shares(a, frame.to_numpy())
    for other in (pandas.Series(["a"]), pandas.Series([1, 2]).astype("category")):
        with pytest.raises(ValueError, match="cannot be shared"):
            mx.asarray(other, copy=False)


def test_memory_of_columns_lives_as_long_as_an_array_shows_it():
    arrow = pytest.importorskip("pyarrow")
    before = arrow.total_allocated_bytes()
    column = arrow.array([1.0, 2.0] * 50_000, arrow.float32())
    a = mx.asarray(column, copy=False)[10:20] * 1
    del column
    gc.collect()
    assert arrow.total_allocated_bytes() > before
    assert a.tolist() == [1, 2] * 5
    del a
    gc.collect()
    mx.eval(mx.ones(1))
    assert arrow.total_allocated_bytes() == before


def test_arrow_takes_arrays():
    arrow = pytest.importorskip("pyarrow")
    for dtype in NUMBERS[:12]:
        a = mx.array([0, 1, 1]).astype(dtype)
        column = arrow.array(a)
        assert [x.as_py() for x in column] == a.tolist() and mx.array(column).tolist() == a.tolist()
    assert arrow.array(mx.array([1.5], mx.bfloat16)).type == arrow.float32()
    assert arrow.array(mx.arange(3), type=arrow.int64()).type == arrow.int64()
    a = mx.arange(12.0).reshape(3, 2, 2)
    tensors = arrow.array(a)
    assert isinstance(tensors, arrow.FixedShapeTensorArray) and mx.array_equal(mx.array(tensors), a)
    with pytest.raises(ValueError, match="0-d"):
        arrow.array(mx.array(1.0))
    a = mx.arange(1000) + 0
    column = arrow.array(a)
    del a
    gc.collect()
    mx.eval(mx.zeros(1000) + 1)
    assert column.to_pylist() == list(range(1000))


def test_images():
    image = pytest.importorskip("PIL.Image")
    shapes = {"L": (2, 3), "P": (2, 3), "RGB": (2, 3, 3), "RGBA": (2, 3, 4), "LA": (2, 3, 2)}
    for mode, shape in shapes.items():
        picture = image.new(mode, (3, 2))
        picture.putpixel((2, 1), 7 if len(shape) == 2 else tuple(range(1, 1 + shape[2])))
        for made in (mx.array(picture), mx.asarray(picture)):
            assert made.shape == shape and made.dtype == mx.uint8
            assert made.tolist() == np.asarray(picture).tolist()
    for mode, dtype in {"1": mx.bool_, "I": mx.int32, "F": mx.float32, "I;16": mx.uint16}.items():
        made = mx.array(image.new(mode, (3, 2), 1))
        assert made.dtype == dtype and made.tolist() == [[1] * 3] * 2
    assert mx.array([picture, picture]).shape == (2, 2, 3, 2)
    assert (mx.array(picture, dtype=mx.float32) / 255).shape == (2, 3, 2)
    back = image.fromarray(np.asarray(mx.array(image.new("RGB", (3, 2), (1, 2, 3)))))
    assert back.getpixel((0, 0)) == (1, 2, 3)


@pytest.mark.parametrize("format", "csr csc coo bsr dia dok lil".split())
@pytest.mark.parametrize("kind", ["matrix", "array"])
def test_sparse_matrices_become_dense(format, kind):
    sparse = pytest.importorskip("scipy.sparse")
    n = np.array([[0, 2, 0], [0, 0, 3]], np.float32)
    s = getattr(sparse, f"{format}_{kind}")(n)
    for made in (mx.array(s), mx.asarray(s), mx.array(s, dtype=mx.float32)):
        assert made.dtype == mx.float32 and made.tolist() == n.tolist()
    assert mx.array(s.astype(np.float64)).dtype == mx.float32
    assert mx.array(s.astype(np.int64)).dtype == mx.int64
    with pytest.raises(ValueError, match="cannot be shared"):
        mx.asarray(s, copy=False)


def test_what_has_only_the_interface_of_numpy():
    class Typed:
        def __init__(self, n):
            self.n = n

        @property
        def __array_interface__(self):
            return self.n.__array_interface__

    n = np.arange(6.0).reshape(2, 3)
    assert mx.array(Typed(n)).tolist() == n.tolist()
    assert (mx.ones(3) + Typed(np.arange(3.0))).tolist() == [1, 2, 3]


# ---- pickle


def doubled(a):
    return (a * 2, str(a.dtype))


@pytest.mark.parametrize("start", ["spawn", "forkserver"])
def test_arrays_go_to_other_processes_and_back(start):
    arrays = [sample(dtype) for dtype in ALL if dtype != mx.bool_]
    arrays += [mx.arange(6).reshape(2, 3).T, mx.zeros((0, 3)), mx.array(1.5), mx.ones(3) + 1]
    with multiprocessing.get_context(start).Pool(1) as pool:
        found = pool.map(doubled, arrays)
    for a, (b, dtype) in zip(arrays, found):
        assert dtype == str(a.dtype) and b.shape == a.shape and b.tolist() == (a * 2).tolist()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_protocol_of_pickle(protocol):
    for dtype in ALL:
        a = sample(dtype).T
        b = pickle.loads(pickle.dumps(a, protocol))
        assert b.dtype == dtype and b.shape == a.shape and b.tolist() == a.tolist()


# ---- who takes arrays


def test_numpy_testing_takes_arrays():
    testing = np.testing
    for dtype in (mx.float32, mx.int32, mx.float16):
        a = mx.array([1, 2, 3]).astype(dtype)
        for f in (testing.assert_allclose, testing.assert_array_equal, testing.assert_almost_equal):
            f(a, np.asarray(a))
            f(np.asarray(a), a)
            with pytest.raises(AssertionError, match="Mismatched elements: 1 / 3"):
                f(a, np.asarray(mx.array([1, 2, 4]).astype(dtype)))
        testing.assert_allclose(a, a)
        testing.assert_array_equal(a, a)
        testing.assert_array_less(a, a + 1)
        testing.assert_array_almost_equal(a, a)
        testing.assert_equal(a, np.asarray(a))


def test_matplotlib_draws_arrays():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots()
    x, y = mx.arange(3), mx.array([1.0, 3.0, 2.0])
    try:
        assert axes.plot(x, y)[0].get_ydata().tolist() == [1, 3, 2]
        axes.plot(x, y.astype(mx.float16))
        axes.scatter(x, y, c=y)
        axes.bar(x, y)
        axes.hist(y)
        axes.fill_between(x, y, y + 1)
        axes.errorbar(x, y, yerr=y)
        axes.imshow(mx.ones((3, 3)))
        axes.imshow(mx.ones((3, 3, 3)))
        axes.contourf(x, x, mx.arange(9.0).reshape(3, 3))
        figure.canvas.draw()
    finally:
        plt.close(figure)
