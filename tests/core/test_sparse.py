"""Sparse matrices beside SciPy's and dense ones."""

import threading

import numpy as np
import pytest
import scipy.sparse

import lazulite.core as mx
import lazulite.sparse as sparse
from sparse_matrices import FLOATS, KINDS, TOLERANCE, as_numpy, close, made, numbers


# ---- forms


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(6, 9), (2, 3), (20, 3), (2, 30)])
def test_a_form_is_the_dense_matrix(kind, shape):
    dense = numbers(*shape)
    s = made(dense, kind)
    assert s.shape == shape and s.format == kind and s.ndim == 2 and s.dtype == mx.float64
    close(s, dense, 0)
    for other in (s.to_csr(), s.to_coo(), s.to_bsr((1, 1)), s.to_bsr((2, 3)), s.T.T):
        close(other, dense, 0)
    close(s.T, dense.T, 0)
    assert mx.array_equal(mx.transpose(s).to_dense(), s.T.to_dense())
    assert s.nnz >= np.count_nonzero(dense) and s.nbytes > 0
    assert repr(s) == f"{kind.upper()}(shape={shape}, nnz={s.nnz}, dtype=float64)"


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (5, 0), (1, 1)])
@pytest.mark.parametrize("kind", ["csr", "coo"])
def test_empty_matrices(kind, shape):
    s = made(np.zeros(shape), kind)
    assert s.nnz == 0 and s.shape == shape
    close(s, np.zeros(shape))
    close(s.T, np.zeros(shape[::-1]))
    close(s @ mx.zeros((shape[1], 3)), np.zeros((shape[0], 3)))
    close(mx.zeros((3, shape[0])) @ s, np.zeros((3, shape[1])))
    close(s.sum(0), np.zeros(shape[1]))
    close(s + s, np.zeros(shape))
    close(s @ s.T, np.zeros((shape[0], shape[0])))


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "bsr", "dia", "lil", "dok"])
def test_scipy_and_back(form):
    dense = numbers(6, 8)
    theirs = scipy.sparse.csr_array(dense).asformat(form)
    ours = sparse.from_scipy(theirs)
    close(ours, dense, 0)
    back = ours.to_scipy()
    assert back.format == ours.format == (form if form in KINDS else "csr")
    np.testing.assert_array_equal(back.toarray(), dense)


@pytest.mark.parametrize("form", KINDS)
def test_scipy_shares_its_memory(form):
    theirs = scipy.sparse.csr_array(numbers(6, 8)).asformat(form)
    ours = sparse.from_scipy(theirs)
    assert np.shares_memory(np.asarray(ours.data), theirs.data)
    assert np.shares_memory(ours.to_scipy().data, theirs.data)
    if form != "coo":
        assert np.shares_memory(np.asarray(ours.indices), theirs.indices)
        assert np.shares_memory(ours.to_scipy().indptr, theirs.indptr)


def test_what_scipy_holds_more_than_it_uses_is_left_out():
    theirs = scipy.sparse.csr_array(numbers(4, 5))
    theirs.data = np.r_[theirs.data, 7.0]
    theirs.indices = np.r_[theirs.indices, np.int32(1)]
    close(sparse.from_scipy(theirs), theirs.toarray())


def test_random_matrices_have_the_density_and_follow_their_key():
    key = mx.random.key(3)
    s = mx.random.sparse_normal((1000, 1000), density=0.1)
    assert s.shape == (1000, 1000) and s.nnz == 100_000 and s.dtype == mx.float32
    d = s.to_dense()
    assert int((d != 0).sum()) == 100_000
    close(mx.matmul(s, mx.ones((1000, 3))), as_numpy(d) @ np.ones((1000, 3)), 1e-4)
    assert abs(float(s.data.mean())) < 0.02 and abs(float(mx.std(s.data)) - 1) < 0.02
    counts = np.array(d != 0).sum(1)
    assert 60 < counts.min() and counts.max() < 150  # of a binomial with mean 100
    a, b = (mx.random.sparse_normal((50, 40), 0.2, key=key) for _ in range(2))
    assert mx.array_equal(a.to_dense(), b.to_dense())
    mx.random.seed(4)
    c = mx.random.sparse_normal((50, 40), 0.2)
    mx.random.seed(4)
    assert mx.array_equal(mx.random.sparse_normal((50, 40), 0.2).to_dense(), c.to_dense())
    assert not mx.array_equal(mx.random.sparse_normal((50, 40), 0.2).to_dense(), c.to_dense())
    wide = mx.random.sparse_normal((4, 5), 1.0, dtype=mx.bfloat16, loc=3.0, scale=0.0)
    assert wide.dtype == mx.bfloat16 and (wide.to_dense() == 3).all()
    assert mx.random.sparse_normal((3, 3), 0.0).nnz == 0


@pytest.mark.parametrize("density, count", [(1e-4, 900), (0.9999, 8_999_100)])
def test_random_places_of_large_matrices_differ(density, count):
    s = mx.random.sparse_normal((3000, 3000), density, key=mx.random.key(1))
    assert s.nnz == count
    keys = np.array(s.to_coo().rows).astype(np.int64) * 3000 + np.array(s.indices)
    assert (np.diff(keys) > 0).all() and keys.max() < 9_000_000


def test_random_blocks_and_coordinates():
    s = mx.random.sparse_normal((12, 20), 0.25, format="bsr", block=(3, 4))
    assert s.format == "bsr" and s.block == (3, 4) and s.data.shape == (5, 3, 4)
    assert mx.random.sparse_normal((12, 20), 0.25, format="coo").format == "coo"


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: mx.random.sparse_normal((3, 3), 1.5),
        lambda: mx.random.sparse_normal((3,), 0.5),
        lambda: mx.random.sparse_normal((3, 3), format="csc"),
        lambda: mx.random.sparse_normal((3, 3), format="bsr"),
        lambda: mx.random.sparse_normal((3, 3), format="bsr", block=(2, 2)),
        lambda: mx.random.sparse_normal((3, 3), dtype=mx.int32),
    ],
)
def test_random_arguments_are_refused(wrong):
    with pytest.raises((ValueError, TypeError), match=r"^\[random.sparse_normal\]"):
        wrong()


# ---- products


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("columns", [1, 2, 7, 16, 31, 33, 64, 130])
def test_products_with_dense_ones(kind, columns):
    dense, x = numbers(18, 15), numbers(15, columns, 1)
    s = made(dense, kind)
    close(s @ mx.array(x, mx.float64), dense @ x, 1e-13)
    close(mx.matmul(s, mx.array(x, mx.float64)), dense @ x, 1e-13)
    y = numbers(columns, 18, 1)
    close(mx.array(y, mx.float64) @ s, y @ dense, 1e-13)
    close(mx.matmul(mx.array(y, mx.float64), s), y @ dense, 1e-13)


@pytest.mark.parametrize("kind", KINDS)
def test_products_with_vectors_stacks_views_and_numpy(kind):
    dense = numbers(6, 9)
    s = made(dense, kind)
    v, w = numbers(9, 1, 1)[:, 0], numbers(6, 1, 1)[:, 0]
    close(s @ mx.array(v, mx.float64), dense @ v)
    close(mx.array(w, mx.float64) @ s, w @ dense)
    stack = np.random.default_rng(0).normal(size=(4, 2, 9, 5))
    close(s @ mx.array(stack, mx.float64), dense @ stack)
    rows = np.random.default_rng(0).normal(size=(4, 2, 5, 6))
    close(mx.array(rows, mx.float64) @ s, rows @ dense)
    big = mx.array(np.random.default_rng(0).normal(size=(20, 18)), mx.float64)
    for view in (big[:9, :4], big[::-1][:9], big[:18:2, ::3], big.T[:9, :7], big[:9, :1]):
        close(s @ view, dense @ np.array(view))
    close(s @ mx.broadcast_to(mx.array([2.0], mx.float64), (9, 4)), dense @ np.full((9, 4), 2.0))
    # NumPy's numbers become float32, as everywhere
    close(s @ stack[0, 0], dense @ stack[0, 0], 1e-6)
    close(rows[0, 0] @ s, rows[0, 0] @ dense, 1e-6)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("kind", KINDS)
def test_products_in_each_float(kind, dtype):
    dense, x = numbers(40, 60), numbers(60, 33, 1)
    s = made(dense, kind, dtype, (4, 5))
    out = s @ mx.array(x, dtype)
    assert out.dtype == dtype
    wanted = as_numpy(s) @ as_numpy(mx.array(x, dtype))
    close(out, wanted, TOLERANCE[dtype])
    one = s @ mx.array(x[:, 0], dtype)
    close(one, wanted[:, 0], TOLERANCE[dtype])


def test_halves_are_summed_in_float32():
    n = 5000
    s = sparse.CSR(mx.ones((n,), mx.float16), mx.zeros((n,), mx.int32), [0, n], (1, 1))
    assert float((s @ mx.ones((1, 2), mx.float16))[0, 0]) == n  # 2048 in float16
    assert float((s @ mx.ones((1,), mx.float16))[0]) == n


@pytest.mark.parametrize("dtype", ["bool_", "uint8", "int8", "int16", "uint32", "int64"])
def test_products_of_integers_wrap(dtype):
    rng = np.random.default_rng(0)
    kind = np.dtype(dtype.rstrip("_"))
    dense = (rng.integers(0, 2 if dtype == "bool_" else 120, (7, 9)) * (rng.random((7, 9)) < 0.5))
    dense, x = dense.astype(kind), rng.integers(0, 120, (9, 5)).astype(kind)
    s = sparse.from_dense(mx.array(dense))
    out = s @ mx.array(x)
    assert out.dtype == getattr(mx, dtype)
    np.testing.assert_array_equal(np.array(out), dense @ x)
    np.testing.assert_array_equal(np.array(s @ mx.array(x[:, 0])), dense @ x[:, 0])


def test_complex_products_and_their_gradients():
    dense = numbers(5, 6) + 1j * numbers(5, 6, seed=1)
    x = numbers(6, 4, 1) + 1j * numbers(6, 4, 1, 5)
    s, b = sparse.from_dense(mx.array(dense)), mx.array(x)
    close(s @ b, dense @ x, 1e-6)
    close(s.T @ b[:5], dense.T @ x[:5], 1e-6)

    def loss(data, b):
        return mx.sum(mx.abs(s.with_data(data) @ b) ** 2)

    def plain(data, b):
        return mx.sum(mx.abs(s.with_data(data).to_dense() @ b) ** 2)

    got = mx.grad(loss, argnums=(0, 1))(s.data, b)
    wanted = mx.grad(plain, argnums=(0, 1))(s.data, b)
    for g, w in zip(got, wanted):
        close(g, np.array(w), 1e-5)


def test_mixed_dtypes_are_promoted():
    s = made(numbers(4, 5), "csr", mx.float32)
    assert (s @ mx.ones((5, 2), mx.float64)).dtype == mx.float64
    assert (s @ mx.ones((5, 2), mx.int32)).dtype == mx.float32
    assert (s.astype(mx.float16) @ mx.ones((5,), mx.float32)).dtype == mx.float32


def test_infinities_and_nan_reach_their_rows_alone():
    dense = np.array([[1.0, 0, 0], [0, 2, 0], [0, 0, 0]])
    x = np.array([[np.inf, np.nan], [1, 2], [np.nan, np.nan]])
    np.testing.assert_array_equal(
        as_numpy(made(dense) @ mx.array(x, mx.float64)), [[np.inf, np.nan], [2, 4], [0, 0]]
    )


@pytest.mark.parametrize("other", KINDS)
@pytest.mark.parametrize("kind", KINDS)
def test_sparse_by_sparse(kind, other):
    a, b = numbers(8, 9), numbers(9, 12, seed=1)
    s = made(a, kind) @ made(b, other, block=(3, 4))
    assert s.format == "csr" and s.shape == (8, 12)
    close(s, a @ b)
    theirs = (scipy.sparse.csr_array(a) @ scipy.sparse.csr_array(b)).sorted_indices()
    if "bsr" not in (kind, other):
        np.testing.assert_array_equal(np.array(s.indices), theirs.indices)
        np.testing.assert_array_equal(np.array(s.indptr), theirs.indptr)
    close(mx.matmul(made(a, kind), made(b, other, block=(3, 4))), a @ b)


def test_sparse_by_sparse_of_many_rows():
    a, b = (mx.random.sparse_normal((900, 700), 0.02), mx.random.sparse_normal((700, 800), 0.03))
    wanted = a.to_scipy().astype(float) @ b.to_scipy().astype(float)
    close(a @ b, wanted.toarray(), 1e-4)


def test_shapes_that_do_not_fit():
    s = made(numbers(3, 4))
    for wrong in (
        lambda: s @ mx.ones((3, 2)),
        lambda: s @ mx.ones((3,)),
        lambda: mx.ones((2, 4)) @ s,
        lambda: mx.matmul(s, mx.array(1.0)),
        lambda: s @ s,
    ):
        with pytest.raises(ValueError, match=r"\[matmul\] .*got"):
            wrong()
    with pytest.raises(TypeError):
        s @ "text"
    with pytest.raises(ValueError, match="shapes differ"):
        s + s.T
    with pytest.raises(ValueError, match="shapes"):
        s * mx.ones((2, 3, 4))


# ---- element by element


@pytest.mark.parametrize("other", KINDS)
@pytest.mark.parametrize("kind", KINDS)
def test_sums_and_products_of_sparse_ones(kind, other):
    a, b = numbers(6, 9), numbers(6, 9, seed=1)
    s, t = made(a, kind), made(b, other)
    for out, wanted in ((s + t, a + b), (s - t, a - b), (s * t, a * b), (mx.add(s, t), a + b)):
        assert isinstance(out, sparse.SparseMatrix)
        close(out, wanted)
    close(mx.multiply(s, t), a * b)
    close(mx.subtract(s, t), a - b)
    assert (s * t).nnz == min(s.nnz, t.nnz)


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_and_dense_arrays(kind):
    a, d = numbers(6, 9), np.random.default_rng(3).normal(size=(6, 9))
    s, x = made(a, kind), mx.array(d, mx.float64)
    for out, wanted in (
        (s * 2.0, a * 2), (3 * s, a * 3), (s / 4, a / 4), (-s, -a), (abs(s), abs(a)),
        (s * x, a * d), (x * s, a * d), (s * x[0], a * d[0]), (s * x[:, :1], a * d[:, :1]),
        (s / x, a / d), (s**2, a**2), (mx.square(s), a**2), (mx.tanh(s), np.tanh(a)),
        (mx.multiply(2.0, s), 2 * a), (mx.divide(s, x), a / d),
    ):
        assert isinstance(out, type(s)) and out.nnz == s.nnz, out
        close(out, wanted)
    for out, wanted in (
        (s + x, a + d), (x + s, a + d), (x - s, d - a), (s - x, a - d), (s + 1, a + 1),
        (1 - s, 1 - a), (mx.add(x, s), a + d), (mx.subtract(x, s), d - a),
    ):
        assert isinstance(out, mx.array)
        close(out, wanted)


def test_arrays_of_numpy_leave_the_work_to_sparse_ones():
    a, d = numbers(6, 9), np.random.default_rng(3).normal(size=(6, 9))
    s = made(a)
    for out, wanted in ((s * d, a * d), (d * s, a * d), (d + s, a + d), (s / d, a / d)):
        close(out, wanted, 1e-6)
    close(mx.array(s), a, 1e-6)


def test_what_has_no_sparse_form_is_refused():
    s = made(numbers(3, 3))
    for wrong in (lambda: mx.exp(s), lambda: mx.cos(s), lambda: 1 / s, lambda: s / s,
                  lambda: s**-1, lambda: mx.divide(1.0, s)):
        with pytest.raises((TypeError, ValueError)):
            wrong()
    with pytest.raises(TypeError, match=r"^\[exp\] a: got CSR"):
        mx.exp(s)
    with pytest.raises(ValueError, match="truth"):
        bool(s)
    with pytest.raises(TypeError):
        iter(s)


def test_elements_of_one_place_add_up():
    s = sparse.COO([1.0, 2.0, 4.0, -3.0], [0, 1, 0, 1], [1, 0, 1, 0], (2, 2))
    dense = np.array([[0.0, 5], [-1, 0]])
    close(s, dense)
    close(s @ mx.eye(2), dense)
    close(mx.eye(2) @ s, dense)
    close(abs(s), abs(dense))
    close(s * s, dense * dense)
    close(s.max(1), dense.max(1))
    close(s + s, 2 * dense)
    close(s[0], dense[0])
    close(s.coalesce(), dense)
    assert s.coalesce().nnz == 2 and s.coalesce().format == "coo" and s.to_csr().nnz == 4
    close(mx.square(s.to_csr()), dense**2)
    close(mx.square(s.to_bsr((1, 2))), dense**2)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("axis", [None, 0, 1, -1, (0, 1)])
@pytest.mark.parametrize("keepdims", [False, True])
def test_reductions(kind, axis, keepdims):
    a = numbers(6, 9, 0.5)
    a[1] = -1 - abs(a[1])  # no zeros, all below
    a[:, 3] = 2 + abs(a[:, 3])
    a[4] = 0
    s = made(a, kind)
    for name in "sum mean max min".split():
        wanted = getattr(a, name)(axis, keepdims=keepdims)
        got = getattr(s, name)(axis, keepdims)
        assert got.shape == wanted.shape
        close(got, wanted)
        close(getattr(mx, name)(s, axis=axis, keepdims=keepdims), wanted)


def test_reductions_of_integers_halves_and_bools():
    a = np.array([[100, 0, 100], [0, 0, 27]], np.int8)
    s = sparse.from_dense(mx.array(a))
    assert s.sum(1).dtype == mx.sum(mx.array(a), 1).dtype
    np.testing.assert_array_equal(np.array(s.sum(1)), np.array(mx.sum(mx.array(a), 1)))
    close(s.mean(0), a.mean(0), 1e-6)
    bools = sparse.COO(mx.array([True, True, False]), [0, 0, 1], [1, 1, 0], (2, 2))
    assert bools.to_dense().tolist() == [[False, True], [False, False]]
    assert bools.sum().item() == 1
    halves = sparse.CSR(
        mx.ones((5000,), mx.float16), mx.zeros((5000,), mx.int32), [0, 5000], (1, 1)
    )
    assert float(halves.sum(1)[0]) == 5000


# ---- parts


@pytest.mark.parametrize("kind", KINDS)
def test_parts(kind):
    a = numbers(8, 9, 0.5)
    s = made(a, kind)
    for key in (
        slice(2, 5),
        slice(None),
        slice(None, None, -1),
        slice(6, 1, -2),
        slice(5, 2),
        [3, 1, 1, -1],
        [],
        np.arange(8) % 2 == 0,
        mx.array([0, 7]),
        (slice(1, 4), slice(2, 7)),
        ...,
        (..., [0, 2]),
        (slice(None), [8, 0, 0]),
        ([1, 2, 3], slice(None, None, 2)),
    ):
        out = s[key]
        plain = key if not isinstance(key, mx.array) else np.array(key)
        wanted = a[plain] if not isinstance(plain, list) or plain else a[:0]
        assert out.format == "csr" and out.shape == wanted.shape
        close(out, wanted, 0)
        close(out @ mx.ones((out.shape[1], 2), mx.float64), wanted @ np.ones((out.shape[1], 2)))
    for key in (3, -1, (2, 4), (-1, slice(2, 5)), (slice(2, 5), 3), (0, [1, 2])):
        out = s[key]
        assert isinstance(out, mx.array) and out.shape == a[key].shape
        close(out, a[key], 0)


@pytest.mark.parametrize("key", [8, -9, (0, 9), [0, 8], "a", 1.5, (0, 0, 0), [0.5], [[0]]])
def test_parts_that_are_not_there(key):
    with pytest.raises(IndexError, match=r"^\[sparse\]"):
        made(numbers(8, 9))[key]


# ---- files


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
@pytest.mark.parametrize("kind", KINDS)
def test_files(kind, suffix, tmp_path):
    s = made(numbers(6, 9), kind, mx.float32)
    path = tmp_path / f"s{suffix}"
    sparse.save(path, s)
    back = sparse.load(path)
    assert type(back) is type(s) and back.shape == s.shape and back.dtype == s.dtype
    assert all(mx.array_equal(a, b) for a, b in zip(s._arrays(), back._arrays()))
    if suffix == ".npz":
        theirs = scipy.sparse.load_npz(path)
        assert theirs.format == kind
        np.testing.assert_array_equal(theirs.toarray(), as_numpy(s).astype(np.float32))


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "bsr"])
def test_files_of_scipy(form, tmp_path):
    theirs = scipy.sparse.csr_array(numbers(6, 9)).asformat(form)
    scipy.sparse.save_npz(tmp_path / "s.npz", theirs)
    close(sparse.load(tmp_path / "s.npz"), numbers(6, 9), 0)


def test_files_that_hold_something_else(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.zeros(3))
    with pytest.raises(ValueError, match="holds no sparse matrix"):
        sparse.load(tmp_path / "a.npz")
    theirs = scipy.sparse.csr_array(numbers(6, 9))
    np.savez(tmp_path / "b.npz", format=b"csr", shape=np.array([6, 4]), data=theirs.data,
             indices=theirs.indices, indptr=theirs.indptr)
    with pytest.raises(IndexError, match="indices out of range"):
        sparse.load(tmp_path / "b.npz")
    with pytest.raises(ValueError, match="expected a name"):
        sparse.load(tmp_path / "a.txt")
    sparse.save(tmp_path / "h.safetensors", made(numbers(3, 3), "csr", mx.bfloat16))
    assert sparse.load(tmp_path / "h.safetensors").dtype == mx.bfloat16
    with pytest.raises(TypeError, match="bfloat16"):
        sparse.save(tmp_path / "h.npz", made(numbers(3, 3), "csr", mx.bfloat16))


# ---- what does not fit


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: sparse.CSR([1.0], [3], [0, 1], (1, 3)),
        lambda: sparse.CSR([1.0], [-1], [0, 1], (1, 3)),
        lambda: sparse.CSR([1.0], [0], [0, 2], (1, 3)),
        lambda: sparse.CSR([1.0], [0], [1, 1], (1, 3)),
        lambda: sparse.CSR([1.0, 2.0], [0, 1], [0, 2, 1, 2], (3, 3)),
        lambda: sparse.CSR([1.0], [0], [0, 1, 1], (1, 3)),
        lambda: sparse.CSR([1.0, 2.0], [0], [0, 1], (1, 3)),
        lambda: sparse.CSR([1.0], [0.5], [0, 1], (1, 3)),
        lambda: sparse.CSR([1.0], [[0]], [0, 1], (1, 3)),
        lambda: sparse.CSR([1.0], [0], [0, 1], (3,)),
        lambda: sparse.CSR([1.0], [0], [0, 1], (1, -3)),
        lambda: sparse.COO([1.0], [1], [0], (1, 3)),
        lambda: sparse.COO([1.0], [0, 0], [0, 1], (1, 3)),
        lambda: sparse.BSR(mx.ones((1, 2, 2)), [0], [0, 1], (2, 3)),
        lambda: sparse.BSR(mx.ones((1, 2, 2)), [2], [0, 1], (2, 4)),
        lambda: sparse.BSR(mx.ones((2, 2, 2)), [0], [0, 1], (2, 4)),
        lambda: sparse.BSR(mx.ones((4,)), [0], [0, 1], (2, 4)),
        lambda: made(numbers(4, 4)).to_bsr((3, 2)),
        lambda: made(numbers(4, 4)).with_data(mx.ones((99,))),
        lambda: sparse.from_dense(mx.ones((3,))),
        lambda: sparse.from_scipy(np.ones((3, 3))),
        lambda: sparse.diagonal(mx.ones((3, 3))),
    ],
)
def test_wrong_matrices_are_refused(wrong):
    with pytest.raises((ValueError, TypeError, IndexError), match=r"^\[sparse\.\w+\] .*"):
        wrong()


def wrong_places():
    """What is found when it is computed: arrays that are pending, changed or of a trace."""
    ints = mx.array
    for indices, indptr in (
        ([5], [0, 1, 1]), ([-1], [0, 1, 1]), ([2**31 - 1], [0, 1, 1]), ([0], [0, 2, 1]),
        ([0], [0, -5, 1]), ([0], [1, 1, 1]), ([0], [0, 1, 9]), ([0], [-(2**31), 0, 1]),
    ):
        for kind in (mx.int32, mx.int64):
            yield ints(indices, kind) + 0, ints(indptr, kind) + 0


@pytest.mark.parametrize("indices, indptr", list(wrong_places()))
def test_wrong_places_never_reach_memory(indices, indptr):
    d, b = mx.ones((1,)), mx.ones((4, 33))
    calls = [
        lambda: mx.sparse.product(d, indices, indptr, b),
        lambda: mx.sparse.product(d, indices, indptr, b[:, 0]),
        lambda: mx.sparse.product(mx.ones((1, 3, 2)), indices, indptr, b),
        lambda: mx.sparse.sampled_product(mx.ones((2, 8)), mx.ones((4, 8)), indices, indptr),
        lambda: mx.sparse.product_at(d, indices, indptr, d, ints([0]), ints([0, 1, 1, 1, 1]),
                                     ints([0, 1]), ints([0, 1, 2]), 4),
        lambda: mx.sparse.product_at(d, ints([0]), ints([0, 1, 1]), d, indices, indptr,
                                     ints([0, 1]), ints([0, 1, 2]), 4),
        lambda: mx.sparse.product_at(d, ints([0]), ints([0, 0, 1]), d, ints([0]), ints([0, 1]),
                                     indices, indptr, 4),
        lambda: mx.sparse.product_pattern(indices, indptr, ints([0]), ints([0, 1, 1, 1, 1]), 4),
    ]
    ints = mx.array
    for call in calls:
        with pytest.raises((ValueError, IndexError), match=r"^\[sparse\.\w+\] .*got"):
            mx.eval(call())
    if int(indptr[-1].item()) != 1 or not 0 <= int(indptr[1].item()) <= 1 or indptr[0].item():
        with pytest.raises(ValueError, match="indptr"):
            mx.eval(mx.sparse.row_numbers(indptr, 1))
    else:
        with pytest.raises(IndexError, match="out of range"):
            mx.eval(mx.sparse.group(indices, 4))


def test_places_that_are_changed_afterwards_raise():
    s = made(numbers(6, 9))
    s.indices[0] = 1000
    with pytest.raises(IndexError, match="out of range: got 1000"):
        mx.eval(s @ mx.ones((9, 3)))


# ---- bits, threads


@pytest.mark.parametrize("dtype", FLOATS + [mx.int16])
@pytest.mark.parametrize("block", [None, (1, 4), (3, 2), (16, 1)])
def test_the_bits_do_not_depend_on_threads(dtype, block):
    rng = np.random.default_rng(0)
    dense = (rng.normal(size=(480, 600)) * 50 * (rng.random((480, 600)) < 0.1)).round(1)
    s = sparse.from_dense(
        mx.array(dense).astype(dtype), "bsr" if block else "csr", block=block
    )
    b = mx.array(rng.normal(size=(600, 70)) * 9).astype(dtype)
    before = mx.num_threads()
    results = []
    try:
        for n in (1, 2, 5):
            mx.set_num_threads(n)
            one = s @ b
            parts = [one, s @ b[:, :1], s.T @ b[:480]]
            if dtype in FLOATS:
                parts.append(mx.grad(lambda s: mx.sum(mx.sin((s @ b).astype(mx.float32))))(s).data)
            mx.eval(parts)
            results.append([np.array(p.view(mx.uint8)) for p in parts])
    finally:
        mx.set_num_threads(before)
    for other in results[1:]:
        for x, y in zip(results[0], other):
            np.testing.assert_array_equal(x, y)


def test_many_threads_of_python_use_one_matrix():
    s, b = mx.random.sparse_normal((300, 300), 0.05), mx.random.normal((300, 40))
    mx.eval(s, b)
    wanted, wrong = np.array(s @ b), []

    def work():
        for _ in range(20):
            if not np.array_equal(np.array(s @ b), wanted):
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong
