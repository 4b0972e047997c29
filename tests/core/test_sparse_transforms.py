"""Gradients, lanes and compiled functions of sparse matrices, with room for more elements, too."""

import copy
import pickle

import numpy as np
import pytest

import lazulite.core as mx
import lazulite.sparse as sparse
from lazulite.utils import tree_flatten, tree_map
from sparse_matrices import KINDS, close, made, numbers


@pytest.mark.parametrize("columns", [1, 5])
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_products(kind, columns):
    s, b = made(numbers(6, 9), kind), mx.array(numbers(9, columns, 1), mx.float64)

    def loss(s, b):
        return mx.sum(mx.sin(s @ b))

    def plain(s, b):
        return mx.sum(mx.sin(s.to_dense() @ b))

    g, gb = mx.grad(loss, argnums=(0, 1))(s, b)
    w, wb = mx.grad(plain, argnums=(0, 1))(s, b)
    assert type(g) is type(s) and g.shape == s.shape
    assert all(mx.array_equal(x, y) for x, y in zip(g._arrays()[1:], s._arrays()[1:]))
    close(g.data, np.array(w.data))
    close(gb, np.array(wb))
    second = mx.grad(lambda b: mx.sum(mx.grad(loss, argnums=1)(s, b) ** 2))(b)
    close(second, np.array(mx.grad(lambda b: mx.sum(mx.grad(plain, argnums=1)(s, b) ** 2))(b)))
    both = mx.grad(lambda d: mx.sum(mx.grad(loss)(s.with_data(d), b).data ** 2))(s.data)
    again = mx.grad(lambda d: mx.sum(mx.grad(plain)(s.with_data(d), b).data ** 2))(s.data)
    close(both, np.array(again))


def test_gradients_of_everything_else():
    s, t = made(numbers(6, 9)), made(numbers(6, 9, seed=1))
    d = mx.array(np.random.default_rng(3).normal(size=(6, 9)), mx.float64)
    u = made(numbers(9, 5, seed=2))

    def dense(a):
        return a.to_dense() if isinstance(a, sparse.SparseMatrix) else a

    for f, plain in (
        (lambda s: s + t, lambda x: x + t.to_dense()),
        (lambda s: s * t, lambda x: x * t.to_dense()),
        (lambda s: s * d, lambda x: x * d),
        (lambda s: s @ u, lambda x: x @ u.to_dense()),
        (lambda s: u.T @ s.T, lambda x: u.to_dense().T @ x.T),
        (lambda s: s.T, lambda x: x.T),
        (lambda s: s[1:4], lambda x: x[1:4]),
        (lambda s: s[[3, 3]], lambda x: x[mx.array([3, 3])]),
        (lambda s: s.sum(1), lambda x: x.sum(1)),
        (lambda s: s.max(0), lambda x: x.max(0)),
        (lambda s: mx.tanh(s), lambda x: mx.tanh(x)),
        (lambda s: s.to_bsr((2, 3)), lambda x: x),
        (lambda s: d.T @ s, lambda x: d.T @ x),
    ):
        w = mx.array(np.random.default_rng(4).normal(size=dense(f(s)).shape), mx.float64)
        got = mx.grad(lambda s: mx.sum(w * dense(f(s))))(s)
        rows, columns = (np.array(p) for p in s.coordinates()[1:])
        wanted = mx.grad(lambda x: mx.sum(w * plain(x)))(s.to_dense())
        close(got.data, np.array(wanted)[rows, columns])


def test_tangents_follow_the_dense_ones():
    s, b = made(numbers(6, 9)), mx.array(numbers(9, 4, 1), mx.float64)
    td, tb = mx.ones_like(s.data) * 0.5, mx.array(numbers(9, 4, 1, 7), mx.float64)
    got = mx.jvp(lambda d, b: s.with_data(d) @ b, [s.data, b], [td, tb])
    wanted = mx.jvp(lambda d, b: s.with_data(d).to_dense() @ b, [s.data, b], [td, tb])
    for g, w in zip(got, wanted):
        close(g[0], np.array(w[0]))


@pytest.mark.parametrize("kind", KINDS)
def test_vmap_over_the_dense_operand_and_over_values(kind):
    dense = numbers(6, 9)
    s = made(dense, kind)
    x = np.random.default_rng(0).normal(size=(3, 9, 4))
    for axis in (0, 1, 2):
        moved = mx.array(np.moveaxis(x, 0, axis), mx.float64)
        out = mx.vmap(lambda s, b: s @ b, in_axes=(None, axis))(s, moved)
        close(out, dense @ x)
    close(mx.vmap(lambda v: s @ v)(mx.array(x[:, :, 0], mx.float64)), (dense @ x)[:, :, 0])
    close(mx.vmap(lambda b: b.T @ s.T)(mx.array(x, mx.float64)), (dense @ x).swapaxes(1, 2))
    many = s._with(mx.stack([s.data * i for i in range(1, 4)]))
    out = mx.vmap(lambda s, b: s @ b)(many, mx.array(x, mx.float64))
    close(out, np.stack([dense * i @ x[i - 1] for i in range(1, 4)]))
    scaled = mx.vmap(lambda k: s * k)(mx.array([2.0, 3.0], mx.float64))
    assert scaled.data.shape[0] == 2
    grads = mx.vmap(mx.grad(lambda s, b: mx.sum((s @ b) ** 2)), in_axes=(None, 0))(
        s, mx.array(x, mx.float64)
    )
    for i in range(3):
        one = mx.grad(lambda s: mx.sum((s @ mx.array(x[i], mx.float64)) ** 2))(s)
        close(grads.data[i], np.array(one.data))


@pytest.mark.parametrize("kind", KINDS)
def test_compiled_functions_take_and_give_sparse_ones(kind):
    calls = []

    @mx.compile
    def f(s, b):
        calls.append(1)
        return s @ b, s * 2.0, mx.grad(lambda s: mx.sum(mx.sin(s @ b)))(s)

    for seed in (0, 1):
        dense = numbers(6, 9, 1, seed)  # as many elements each time
        dense[:, 3] = 0
        s, b = made(dense, kind), mx.array(numbers(9, 4, 1, seed), mx.float64)
        out, twice, g = f(s, b)
        assert mx.array_equal(out, s @ b) and type(twice) is type(s) and twice.shape == s.shape
        close(twice, dense * 2)
        close(g.data, np.array(mx.grad(lambda s: mx.sum(mx.sin(s @ b)))(s).data), 0)
    assert len(calls) == 1
    s = made(numbers(6, 9), "csr")
    wide = sparse.CSR(s.data, s.indices, s.indptr, (6, 12))
    g = mx.compile(lambda s: s.to_dense())
    assert g(s).shape == (6, 9) and g(wide).shape == (6, 12)  # the shape is part of what it is


def test_inside_compile_places_may_be_arguments():
    a, b = numbers(6, 9), numbers(6, 9, seed=1)
    s, t = made(a), made(b)
    close(mx.compile(lambda s, t: s + t)(s, t), a + b)
    close(mx.compile(lambda s, t: s * t)(s, t), a * b)
    close(mx.compile(lambda s: s.T)(s), a.T)
    close(mx.compile(lambda s: s.max(1))(s), a.max(1))
    close(mx.compile(lambda x: sparse.from_dense(x, nnz=40))(mx.array(a, mx.float64)), a)
    captured = mx.compile(lambda d: s.with_data(d) @ t.T)
    close(captured(s.data), a @ b.T)
    close(mx.compile(lambda s: s[2])(s), a[2])
    close(mx.compile(lambda s: s[-1, 3:7])(s), a[-1, 3:7])
    close(mx.compile(lambda s: s[:, 3])(s), a[:, 3])
    close(mx.compile(lambda s: s[4, 5])(s), a[4, 5])


@pytest.mark.parametrize(
    "call, size",
    [
        (lambda s: s @ s.T, "s.matmul(t, size=1000)"),
        (lambda s: s[1:3], "s.take_rows(slice(1, 3), size=1000)"),
        (lambda s: s[[3, 1]], "s.take_rows(slice(1, 3), size=1000)"),
        (lambda s: s[:, 2:4], "s.take_rows(slice(1, 3), size=1000)"),
        (lambda s: s.to_bsr((2, 3)), "s.to_bsr(block, size=1000)"),
        (lambda s: s[mx.argmax(s.data) * mx.array([0, 1])], "s.take_rows(rows, size=1000)"),
        (lambda s: s.take_rows(s.sum(1) > 0, size=3), "mx.nonzero(mask, size=10)"),
        (lambda s: sparse.from_dense(s.to_dense()), "size=10"),
    ],
)
def test_what_is_not_known_inside_compile_says_which_form_works(call, size):
    with pytest.raises(mx.TracerError, match="while a function is traced") as error:
        mx.compile(call)(made(numbers(6, 9)))
    assert size in str(error.value)


WITH_ROOM = {
    "product": (lambda s, n: s.matmul(s.T, size=n), lambda a: a @ a.T),
    "slice": (lambda s, n: s.take_rows(slice(1, 4), size=n), lambda a: a[1:4]),
    "steps": (lambda s, n: s.take_rows(slice(None, None, -2), size=n), lambda a: a[::-2]),
    "list": (lambda s, n: s.take_rows([3, -1, 3], size=n), lambda a: a[[3, -1, 3]]),
    "none": (lambda s, n: s.take_rows([], size=n), lambda a: a[:0]),
    "mask": (lambda s, n: s.take_rows(np.arange(6) % 2 == 0, size=n), lambda a: a[::2]),
    "blocks": (lambda s, n: s.to_bsr((2, 3), size=n), lambda a: a),
    "of columns": (lambda s, n: s.T.take_rows([2, 0], size=n).T, lambda a: a[:, [2, 0]]),
    "of a product": (
        lambda s, n: s.matmul(s.T, size=n).take_rows([4, 0], size=n).matmul(s, size=n),
        lambda a: (a @ a.T)[[4, 0]] @ a,
    ),
    "dense": (lambda s, n: sparse.from_dense(s.to_dense(), nnz=n), lambda a: a),
}


def uses(s, x, y):
    """What may be done with a matrix, as dense arrays."""
    out = [
        s.to_dense(),
        s @ x,
        s @ x[:, 0],
        y @ s,
        s.T.to_dense(),
        (-s).to_dense(),
        s.sum(),
        s.sum(0),
    ]
    out += [
        s.sum(1),
        (s + s.T.T).to_dense(),
        (s - s).to_dense(),
        (s * s).to_dense(),
        s.to_csr() @ x,
    ]
    out += [
        (s / (s.to_dense() + 9)).to_dense(),
        s.coalesce() @ x,
        abs(s).to_dense(),
        s.to_coo() @ x,
    ]
    if s.size:
        out += [s.max(), s.min(), s.max(0), s.min(1), s[0], s[:, 1], s[0, 1]]
    return out


@pytest.mark.parametrize("name", WITH_ROOM)
@pytest.mark.parametrize("kind", ["csr", "coo", "bsr"])
def test_results_with_room_are_those_without(kind, name):
    make, expected = WITH_ROOM[name]
    a = numbers(6, 9)
    s = made(a, kind)
    wanted = expected(a)
    rng = np.random.default_rng(5)
    x, y = (mx.array(rng.normal(size=n)) for n in ((wanted.shape[1], 4), (3, wanted.shape[0])))
    x, y = x.astype(mx.float64), y.astype(mx.float64)
    for f in (make, lambda s, n: mx.compile(lambda s: make(s, n))(s)):
        t = f(s, 60)
        assert t.nnz >= 60
        close(t.to_dense(), wanted)
        close(t.coalesce().to_dense(), wanted)
        assert t.coalesce().nnz <= max(wanted.size, 1)
        close(t.to_scipy().toarray(), wanted)
    dense = [sparse.from_dense(mx.array(wanted, mx.float64))] if wanted.size else []
    for t in dense:
        plain = uses(t, x, y)
        for got in (uses(make(s, 60), x, y), mx.compile(lambda s: uses(make(s, 60), x, y))(s)):
            for one, other in zip(got, plain, strict=True):
                close(one, np.array(other))


def test_room_is_neutral_beside_infinities_and_nan():
    """What is left over is multiplied with nothing."""
    a = numbers(6, 9)
    s, bad = made(a), mx.full((9, 3), float("nan"), dtype=mx.float64)
    keep = mx.array([1.0, 2, 3], mx.float64)
    bad[4] = keep
    only = sparse.CSR(mx.ones(6, mx.float64), [4] * 6, list(range(7)), (6, 9))
    for size in (6, 7, 40):
        t = mx.compile(lambda s: s.take_rows(slice(0, 6), size=size))(only)
        for got in (t @ bad, t.T.T @ bad, sparse.from_dense(only.to_dense(), nnz=size) @ bad,
                    (t + t) @ bad / 2, (t / bad[:, 0].reshape(1, 9) @ bad)):
            close(got, np.tile([1.0, 2, 3], (6, 1)))

    def loss(s, x):
        return mx.sum(s.matmul(s.T, size=50) @ x)

    x = mx.array(np.random.default_rng(1).normal(size=(6, 2)), mx.float64)
    for transform in (lambda f: f, mx.compile):
        gs, gx = transform(mx.grad(loss, argnums=(0, 1)))(s, x)
        one, two = mx.grad(lambda s, x: mx.sum((s @ s.T) @ x), argnums=(0, 1))(s, x)
        close(gs.data, np.array(one.data))
        close(gx, np.array(two))


@pytest.mark.parametrize("name", [n for n in WITH_ROOM if n not in ("none", "dense")])
@pytest.mark.parametrize("size", [0, 1])
@pytest.mark.parametrize("transform", [lambda f: f, mx.compile], ids=["at once", "compiled"])
def test_too_little_room_is_an_error_where_it_is_used(name, size, transform):
    make, expected = WITH_ROOM[name]
    s = made(numbers(6, 9))
    x = mx.ones((expected(numbers(6, 9)).shape[1], 2), mx.float64)
    with pytest.raises(ValueError, match=r"^\[sparse\.\w+\] .*got \d+.*expected \d+ at most"):
        mx.eval(transform(lambda s: make(s, size) @ x)(s))


@pytest.mark.parametrize("call", [
    lambda s: s.matmul(s.T, size=-1), lambda s: s.matmul(s.T, size=1.5),
    lambda s: s.matmul(mx.ones((9, 2)), size=4), lambda s: s.take_rows([0], size="a"),
    lambda s: s.take_rows([6], size=4), lambda s: s.to_bsr((2, 3), size=-4),
    lambda s: mx.sparse.product_pattern(s.indices, s.indptr, s.T.indices, s.T.indptr, 6, size=-1),
])
def test_wrong_sizes_are_refused(call):
    with pytest.raises(
        (ValueError, TypeError, IndexError), match=r"^\[(sparse.*|product_pattern)\].* got "
    ):
        call(made(numbers(6, 9)))


def test_a_matrix_with_room_is_kept_as_it_is(tmp_path):
    s = made(numbers(6, 9))
    t = s.take_rows([1, 2], size=30)
    close(pickle.loads(pickle.dumps(t)).to_dense(), numbers(6, 9)[[1, 2]])
    sparse.save(tmp_path / "t.npz", t)
    assert sparse.load(tmp_path / "t.npz").nnz == t.coalesce().nnz < 30
    many = mx.vmap(lambda v: t @ v)(mx.ones((4, 9), mx.float64))
    close(many, np.tile(numbers(6, 9)[[1, 2]].sum(1), (4, 1)))


def test_coalescing_works_inside_compile():
    s = sparse.COO(mx.array([1.0, 2, 4, -8]), [1, 0, 1, 1], [2, 0, 2, 1], (3, 4))
    for f in (
        lambda s: s.coalesce(),
        abs,
        lambda s: s**2,
        lambda s: s.max(0),
        lambda s: mx.sqrt(s * s),
    ):
        one, two = f(s), mx.compile(f)(s)
        one, two = (t if isinstance(t, mx.array) else t.to_dense() for t in (one, two))
        close(two, np.array(one))


def test_a_random_matrix_may_be_made_inside_compile():
    f = mx.compile(lambda key: mx.random.sparse_normal((30, 20), 0.2, key=key).to_dense())
    key = mx.random.key(5)
    assert mx.array_equal(f(key), mx.random.sparse_normal((30, 20), 0.2, key=key).to_dense())


def test_the_first_elements_are_taken_where_the_number_is_given():
    a = mx.array([[1.0, 0, 2], [0, 3, 4]])
    assert sparse.from_dense(a, nnz=3).to_dense().tolist() == [[1, 0, 2], [0, 3, 0]]
    more = sparse.from_dense(a, nnz=6)
    assert more.nnz == 6 and mx.array_equal(more.to_dense(), a)


def test_trees_see_values_and_eval_everything():
    s = made(numbers(6, 9))
    assert [name for name, _ in tree_flatten({"s": s})] == ["s.data"]
    twice = tree_map(lambda a: a * 2, s)
    close(twice, numbers(6, 9) * 2)
    assert twice.indices is s.indices and twice.shape == s.shape
    lazy = s.T
    mx.eval(lazy)
    close(copy.deepcopy(s), numbers(6, 9))
    close(pickle.loads(pickle.dumps(s)), numbers(6, 9))
    assert mx.get_array_buffer_size(s) == s.nbytes


def test_values_are_trained_by_an_optimizer():
    import lazulite.optimizers as optim

    wanted = numbers(20, 30)
    s = made(wanted, "csr", mx.float32)
    x = mx.random.normal((30, 64), key=mx.random.key(0))
    y = s @ x
    start = s.with_data(mx.zeros_like(s.data))
    optimizer = optim.Adam(0.1)
    for _ in range(200):
        g = mx.grad(lambda s: mx.mean((s @ x - y) ** 2))(start)
        start = optimizer.apply_gradients(g, start)
    close(start, wanted, 1e-2)
