"""Linear algebra beside NumPy: sizes, batches, dtypes, layouts, errors, derivatives, threads."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import lazulite.core as mx

SIZES = (0, 1, 2, 3, 8, 16, 17, 33, 130)
DTYPES = ("float32", "float64", "complex64", "complex128")
both = pytest.mark.parametrize("dtype", DTYPES)
sized = pytest.mark.parametrize("n", SIZES)


def arr(a):
    return mx.array(a, getattr(mx, a.dtype.name))


def numbers(seed, shape, dtype):
    rng = np.random.default_rng(seed)
    v = rng.standard_normal(shape)
    return (v + 1j * rng.standard_normal(shape) if "complex" in dtype else v).astype(dtype)


def regular(seed, shape, dtype):
    return numbers(seed, shape, dtype) + (2 * np.eye(shape[-1]) * shape[-1] ** 0.5).astype(dtype)


def adjoint(a):
    return np.conj(np.swapaxes(a, -1, -2))


def positive(seed, shape, dtype):
    v = numbers(seed, shape, dtype)
    return v @ adjoint(v) + (np.eye(shape[-1]) * shape[-1]).astype(dtype)


def near(got, wanted, n=1):
    got, wanted = np.array(got), np.asarray(wanted)
    assert got.shape == wanted.shape and got.dtype == wanted.dtype, (got.dtype, wanted.dtype)
    eps = np.finfo(got.dtype).eps * 100 * max(n, 1)
    scale = np.abs(wanted).max(initial=1)
    assert np.abs(got - wanted).max(initial=0) <= eps * scale


def laid_out(a):
    """The same values: dense, transposed, every second, reversed, repeated in front."""
    dense = arr(a)
    yield dense
    yield mx.contiguous(mx.swapaxes(dense, -1, -2)).swapaxes(-1, -2)
    yield mx.repeat(dense, 2, axis=-1)[..., ::2]
    if dense.size:
        yield mx.contiguous(dense[..., ::-1, ::-1])[..., ::-1, ::-1]


@both
@sized
@pytest.mark.parametrize("batch", [(), (3,), (2, 2), (0,)])
def test_systems_and_factors_are_those_of_numpy(n, batch, dtype):
    if n > 33 and batch in ((3,), (2, 2)):
        batch = (2,)
    a, b = regular(1, (*batch, n, n), dtype), numbers(2, (*batch, n, 2), dtype)
    p = positive(3, (*batch, n, n), dtype)
    for x in laid_out(a):
        near(mx.linalg.solve(x, arr(b)), np.linalg.solve(a, b), n)
        near(mx.linalg.inv(x), np.linalg.inv(a), n)
        if n < 20:  # others are beyond float32
            near(mx.linalg.det(x), np.linalg.det(a), n)
        for got, wanted in zip(mx.linalg.slogdet(x), np.linalg.slogdet(a)):
            near(got, wanted, n)
    for x in laid_out(p):
        near(mx.linalg.cholesky(x), np.linalg.cholesky(p), n)
        near(mx.linalg.cholesky(x, upper=True), adjoint(np.linalg.cholesky(p)), n)
        factor = mx.linalg.cholesky(x)
        near(mx.linalg.cholesky_inv(factor), np.linalg.inv(p), n)
    for upper, triangle in ((False, np.tril(a)), (True, np.triu(a))):
        got = mx.linalg.solve_triangular(arr(a), arr(b), upper=upper)
        near(got, np.linalg.solve(triangle, b), n)
        near(mx.linalg.tri_inv(arr(a), upper), np.linalg.inv(triangle), n)


@both
@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0), (1, 1), (3, 2), (2, 3), (8, 8), (33, 20),
                                   (20, 33), (130, 130), (200, 129), (150, 210), (2, 140, 160),
                                   (2, 5, 3), (0, 3, 3)])
def test_orthogonal_factors_give_the_matrix_again(shape, dtype):
    a, n = numbers(5, shape, dtype), max(shape)
    k = min(shape[-2:])
    for x in laid_out(a):
        for mode in ("reduced", "complete"):
            q, r = (np.array(v) for v in mx.linalg.qr(x, mode))
            assert q.shape[-1] == r.shape[-2] == (shape[-2] if mode == "complete" else k)
            near(q @ r, a, n)
            identity = np.broadcast_to(
                np.eye(q.shape[-1], dtype=dtype), (*shape[:-2],) + 2 * q.shape[-1:]
            )
            near(adjoint(q) @ q, identity, n)
            assert (np.tril(r, -1) == 0).all()
        near(mx.linalg.qr(x, "r"), np.array(mx.linalg.qr(x)[1]))
        for full in (True, False):
            u, s, vh = (np.array(v) for v in mx.linalg.svd(x, full_matrices=full))
            near((u[..., :k] * s[..., None, :]) @ vh[..., :k, :], a, n)
            near(s, np.linalg.svd(a, compute_uv=False), n)
            assert u.shape[-1] == (shape[-2] if full else k)
            near(adjoint(u) @ u, np.broadcast_to(np.eye(u.shape[-1], dtype=dtype),
                                                 (*shape[:-2],) + 2 * u.shape[-1:]), n)
        near(mx.linalg.svdvals(x), s, n)
        near(mx.linalg.svd(x, compute_uv=False), s, n)
        p, low, high = (np.array(v) for v in mx.linalg.lu(x))
        near(np.take_along_axis(low, p[..., None].astype(np.int64), -2) @ high, a, n)
        near(mx.linalg.pinv(x), np.linalg.pinv(a, rtol=1e-6), n * 10)


@both
@sized
def test_eigenvalues_are_those_of_numpy(n, dtype):
    a = numbers(7, (2, n, n), dtype)
    for uplo in "LU":
        for x in laid_out(a):
            w, v = mx.linalg.eigh(x, uplo)
            near(w, np.linalg.eigvalsh(a, uplo), n)
            near(mx.linalg.eigvalsh(x, uplo), np.linalg.eigvalsh(a, uplo), n)
            half = np.tril(a, -1) if uplo == "L" else np.triu(a, 1)
            whole = half + adjoint(half) + np.eye(n) * a.real
            w, v = np.array(w), np.array(v)
            near((v * w[..., None, :]) @ adjoint(v), whole.astype(dtype), n)
    for x in laid_out(a):
        w, v = (np.array(part) for part in mx.linalg.eig(x))
        near(a @ v, v * w[..., None, :], 10 * n)
        near(np.linalg.norm(v, axis=-2), np.ones((2, n), np.array(mx.linalg.svdvals(x)).dtype), n)
        near(
            np.sort_complex(np.array(mx.linalg.eigvals(x)).astype(w.dtype)),
            np.sort_complex(w),
            10 * n,
        )


def test_integers_become_float32_and_halves_are_refused_by_name():
    a = mx.array([[2, 0], [0, 4]])
    assert mx.linalg.inv(a).dtype == mx.float32
    for dtype in (mx.float16, mx.bfloat16):
        with pytest.raises(TypeError, match=r"\[solve\] dtype not supported: got"):
            mx.linalg.solve(a.astype(dtype), a.astype(dtype))


SINGULAR = np.array([[1.0, 2.0], [2.0, 4.0]])


def failing(n):
    """Calls whose input has no result, and the name that they say."""
    bad = np.zeros((n, n))
    bad[: min(n, 2), : min(n, 2)] = SINGULAR[: min(n, 2), : min(n, 2)]
    nan, x = np.full((n, n), np.nan), arr(bad)
    la = mx.linalg
    yield "solve", lambda: la.solve(x, mx.ones((n, 1), mx.float64))
    yield "inv", lambda: la.inv(x)
    yield "solve_triangular", lambda: la.solve_triangular(mx.zeros((n, n)), mx.ones((n, 1)))
    yield "cholesky", lambda: la.cholesky(-mx.eye(n))
    yield "cholesky", lambda: la.cholesky(arr(nan))
    yield "svd", lambda: la.svd(arr(nan))[1]
    yield "eigh", lambda: la.eigh(arr(nan))[0]
    yield "eig", lambda: la.eig(arr(nan))[1]
    yield "pinv", lambda: la.pinv(arr(nan))


@pytest.mark.parametrize("n", [2, 8, 40])
def test_what_has_no_result_is_an_error_when_evaluated_and_the_next_call_works(n):
    assert mx.linalg.LinAlgError is mx.LinAlgError
    for name, call in failing(n):
        out = call()  # records only
        for _ in range(2):
            with pytest.raises(mx.linalg.LinAlgError, match=rf"\[{name}\]") as raised:
                mx.eval(out)
            assert isinstance(raised.value, (ValueError, RuntimeError))
        with pytest.raises(mx.linalg.LinAlgError):
            mx.eval(out + 1)
        late = call()
        mx.async_eval(late)
        with pytest.raises(mx.linalg.LinAlgError):
            np.array(late)
        near(mx.linalg.inv(2 * mx.eye(n)), np.eye(n, dtype=np.float32) / 2)
    try:
        mx.synchronize()
    except mx.linalg.LinAlgError:
        pass


def test_without_the_library_one_error_names_it_and_small_systems_need_none():
    code = """import lazulite.core as mx
print(mx.linalg.solve(2 * mx.eye(16), mx.ones(16)).sum().item())
for call in (lambda: mx.linalg.svdvals(mx.eye(3)), lambda: mx.linalg.inv(mx.eye(40))):
    try:
        mx.eval(call())
    except mx.LinAlgError as error:
        print("scipy-openblas32" in str(error))
"""
    environment = {**os.environ, "LAZULITE_OPENBLAS": "none"}
    out = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
    assert out.stdout.split() == [b"8.0", b"True", b"True"], out.stderr


def test_one_singular_matrix_of_a_batch_is_named_by_the_batch():
    a = np.broadcast_to(np.eye(3), (500, 3, 3)).copy()
    a[321, 1, 1] = 0
    with pytest.raises(mx.linalg.LinAlgError, match="singular"):
        mx.eval(mx.linalg.inv(arr(a)))
    assert np.array(mx.linalg.det(arr(a))).sum() == 499


def test_many_threads_may_factor_at_once():
    a = arr(numbers(3, (40, 40), "float64"))
    wanted = [bytes(v) for v in (*mx.linalg.svd(a), *mx.linalg.eig(a), mx.linalg.inv(a))]
    wrong = []

    def work():
        for _ in range(5):
            got = [bytes(v) for v in (*mx.linalg.svd(a), *mx.linalg.eig(a), mx.linalg.inv(a))]
            if got != wanted:
                wrong.append(got)

    threads = [threading.Thread(target=work) for _ in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert not wrong


@pytest.mark.parametrize("n", [8, 40])
def test_bits_do_not_depend_on_threads(n):
    a = arr(numbers(3, (50, n, n), "float32"))
    before, found = mx.num_threads(), []
    try:
        for threads in (1, 2, 7):
            mx.set_num_threads(threads)
            la = mx.linalg
            out = [la.solve(a, a), la.inv(a), la.det(a), *la.svd(a), *la.qr(a), *la.eigh(a)]
            found.append([bytes(v) for v in out])
    finally:
        mx.set_num_threads(before)
    assert found[0] == found[1] == found[2]


GRADIENTS = {
    "solve": lambda a, b: mx.linalg.solve(a, b).sum(),
    "least squares": lambda a, b: mx.linalg.lstsq(a[:, :3], b)[0].square().sum(),
    "log likelihood": lambda a, b: mx.linalg.slogdet(a @ a.T)[1]
    + (mx.linalg.solve_triangular(mx.linalg.cholesky(a @ a.T), b) ** 2).sum(),
    "nuclear norm": lambda a, b: mx.linalg.norm(a, "nuc")
    + mx.linalg.norm(a, 2)
    + mx.linalg.cond(a),
    "spectrum": lambda a, b: mx.linalg.eigvalsh(a @ a.T)[-1] + abs(mx.linalg.eigvals(a)).sum(),
    "projection": lambda a, b: ((q := mx.linalg.qr(a[:, :2])[0]) @ (q.T @ b)).square().sum(),
    "exponential": lambda a, b: mx.linalg.matrix_exp(a / 3).sum(),
    "powers": lambda a, b: mx.linalg.matrix_power(a, -3).sum() + mx.linalg.det(a),
}


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients_of_programs_are_differences(name):
    f = GRADIENTS[name]
    a, b = arr(regular(1, (5, 5), "float64")), arr(numbers(2, (5, 2), "float64"))
    t, h = arr(numbers(3, (5, 5), "float64")), 1e-6
    for g in (mx.grad(f)(a, b), mx.compile(mx.grad(f))(a, b)):
        along = float((g * t).sum().item())
        assert along == pytest.approx(
            float(((f(a + h * t, b) - f(a - h * t, b)) / (2 * h)).item()), 1e-5
        )
    lanes = mx.stack([a, a + t / 9])
    got = mx.vmap(mx.grad(f), (0, None))(lanes, b)
    loop = mx.stack([mx.grad(f)(lane, b) for lane in lanes])
    np.testing.assert_allclose(np.array(got), np.array(loop), rtol=1e-9, atol=1e-9)


def test_second_derivatives():
    a = arr(positive(1, (3, 3), "float64"))
    f = lambda a: mx.linalg.slogdet(a)[1]  # noqa: E731
    inverse = np.linalg.inv(np.array(a))
    got = np.array(mx.hessian(f)(a))
    np.testing.assert_allclose(
        got, -np.einsum("jk,li->ijkl", inverse, inverse).transpose(0, 1, 2, 3), rtol=1e-9
    )


def test_the_gradient_of_a_norm_at_zero_is_zero():
    assert not np.array(mx.grad(lambda a: mx.linalg.norm(a))(mx.zeros(3))).any()


@pytest.mark.parametrize("shape", [(0,), (0, 0), (0, 3), (3, 0), (2, 0, 3), (2, 3, 0), (0, 2, 3)])
def test_norms_of_nothing_are_those_of_numpy(shape):
    """0, but for orders that look for what is smallest: these raise, or are infinite."""
    n = len(shape)
    axes = [None, *range(n), *((i, j) for i in range(n) for j in range(n) if i != j)]
    orders = [None, "fro", "nuc", np.inf, -np.inf, 0, 1, -1, 2, -2, 3, 0.5, -3]

    def both(ours, numpys):
        try:
            with np.errstate(all="ignore"):
                wanted = numpys()
        except (ValueError, np.linalg.LinAlgError):
            with pytest.raises(ValueError):
                mx.eval(ours())
            return
        got = np.array(ours())
        assert got.shape == wanted.shape
        assert (got == wanted).all()

    a, none = mx.zeros(shape), np.zeros(shape, np.float32)
    for order in orders:
        for keep in (False, True):
            for axis in axes:
                both(
                    lambda: mx.linalg.norm(a, order, axis, keep),
                    lambda: np.linalg.norm(none, order, axis, keep),
                )
            for kind in ("vector_norm", "matrix_norm"):
                if order is not None:
                    both(
                        lambda: getattr(mx.linalg, kind)(a, ord=order, keepdims=keep),
                        lambda: getattr(np.linalg, kind)(none, ord=order, keepdims=keep),
                    )


def test_products_of_many_matrices_take_the_cheapest_order():
    sizes = [30, 35, 15, 5, 10, 20, 25]
    all_ = [numbers(k, (m, n), "float64") for k, (m, n) in enumerate(zip(sizes, sizes[1:]))]
    near(mx.linalg.multi_dot([arr(a) for a in all_]), np.linalg.multi_dot(all_), 100)
    thin = [mx.ones((1000, 1)), mx.ones((1, 1000)), mx.ones((1000, 1))]
    assert mx.linalg.multi_dot(thin).shape == (1000, 1)
    with pytest.raises(ValueError, match=r"\[multi_dot\]"):
        mx.linalg.multi_dot([mx.ones((2, 3)), mx.ones((4, 2))])


@pytest.mark.parametrize("a, b", [((2,), (2,)), ((3,), (2,)), ((2,), (3,)), ((4, 3), (3,))])
def test_vector_products_of_two_and_three_numbers(a, b):
    def whole(v):
        return np.concatenate([v, np.zeros((*v.shape[:-1], 3 - v.shape[-1]))], -1)

    x, y = numbers(1, a, "float64"), numbers(2, b, "float64")
    wanted = np.cross(whole(x), whole(y))
    wanted = wanted[..., 2] if a == b == (2,) else wanted
    near(mx.linalg.cross(arr(x), arr(y)), wanted)


def test_words_and_shapes_that_make_no_sense_are_named():
    a = mx.ones((2, 3))
    for call in (
        lambda: mx.linalg.inv(a),
        lambda: mx.linalg.inv(mx.ones(3)),
        lambda: mx.linalg.solve(mx.eye(3), a),
        lambda: mx.linalg.qr(a, "raw"),
        lambda: mx.linalg.eigh(mx.eye(2), "X"),
        lambda: mx.linalg.norm(a, "nucular"),
        lambda: mx.linalg.norm(mx.ones((2, 2, 2)), 1),
        lambda: mx.linalg.cross(mx.ones(4), mx.ones(4)),
    ):
        with pytest.raises(ValueError, match=r"\[\w+\] .*got"):
            call()


def minors(a):
    """The gradient of the determinant: of each element, the signed determinant of the rest."""
    n = len(a)
    rest = lambda i, j: np.delete(np.delete(a, i, 0), j, 1)  # noqa: E731
    return np.array(
        [[(-1) ** (i + j) * np.linalg.det(rest(i, j)) for j in range(n)] for i in range(n)]
    )


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
def test_the_determinant_has_a_gradient_at_singular_matrices(dtype):
    rng = np.random.default_rng(2)
    for n in (1, 2, 3, 5, 20):
        for rank in (n, n - 1, n - 2):
            if rank < 0:
                continue
            a = rng.normal(size=(n, rank)) @ rng.normal(size=(rank, n))
            if dtype.startswith("complex"):
                a = a + 1j * rng.normal(size=(n, rank)) @ rng.normal(size=(rank, n)) * (rank == n)
            x = mx.array(a, getattr(mx, dtype))
            wanted = minors(np.array(x).astype(complex if np.iscomplexobj(a) else float))
            grad = mx.vjp(mx.linalg.det, [x], [mx.ones((), getattr(mx, dtype))])[1][0]
            scale = max(np.abs(wanted).max(), np.linalg.norm(a, 2) ** (n - 1), 1e-3)
            limit = 1e-3 if dtype in ("float32", "complex64") else 1e-9
            assert np.abs(np.array(grad) - np.conj(wanted)).max() < limit * scale, (n, rank)
            tangent = mx.array(rng.normal(size=(n, n)), getattr(mx, dtype))
            slope = mx.jvp(mx.linalg.det, [x], [tangent])[1][0].item()
            assert abs(slope - (wanted * np.array(tangent)).sum()) < limit * scale * n


def test_gradients_of_determinants_in_batches_and_twice():
    a = mx.array([[[1.0, 2.0], [2.0, 4.0]], [[3.0, 1.0], [0.0, 2.0]]])
    slopes = mx.grad(lambda a: mx.linalg.det(a).sum())(a)
    assert np.allclose(np.array(slopes), [[[4, -2], [-2, 1]], [[2, 0], [-1, 3]]], atol=1e-5)
    one = mx.vmap(mx.grad(mx.linalg.det))(a)
    assert mx.array_equal(one, slopes).item()
    second = mx.hessian(mx.linalg.det)(a[1])
    wanted = np.zeros((2, 2, 2, 2))
    wanted[0, 0, 1, 1] = wanted[1, 1, 0, 0] = 1
    wanted[0, 1, 1, 0] = wanted[1, 0, 0, 1] = -1
    assert np.allclose(np.array(second), wanted, atol=1e-5)
