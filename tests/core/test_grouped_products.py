"""Products of matrices that indices name, of parts of matrices, of masked blocks; normal vectors
and the losses of classes that are made of other functions."""

import numpy as np
import pytest

import lazulite.core as mx

DTYPES = ("float32", "float64", "float16", "complex64", "int32", "bool")


def to_mx(v, dtype):
    return mx.array(v, mx.bool_ if dtype == "bool" else getattr(mx, dtype))


def numbers(rng, dtype, *shape):
    v = rng.integers(-3, 4, shape)
    return v > 0 if dtype == "bool" else v.astype("complex64" if dtype == "complex64" else float)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("m, k, n", [(1, 5, 7), (3, 1, 2), (4, 6, 5), (2, 0, 3), (300, 7, 5)])
def test_named_matrices_give_what_their_copies_give(m, k, n, dtype):
    rng = np.random.default_rng(m)
    for shape_l, shape_r in (((6,), (6,)), ((4, 1), (3,)), ((), (5,)), ((0,), (0,))):
        a, b = numbers(rng, dtype, 2, 3, m, k), numbers(rng, dtype, 5, k, n)
        l, r = rng.integers(-6, 6, shape_l), rng.integers(0, 5, shape_r)
        wanted = a.reshape(6, m, k)[l] @ b[r]
        A, B = to_mx(a, dtype), to_mx(b, dtype)
        turned = B.swapaxes(-1, -2).astype(B.dtype)
        mx.eval(turned)
        for right in (B, mx.contiguous(turned).swapaxes(-1, -2)):
            got = mx.gather_mm(A, right, mx.array(l), mx.array(r))
            assert got.shape == wanted.shape and got.dtype == A.dtype
            assert np.array_equal(np.array(got.astype(mx.complex64)), wanted)


def test_without_indices_each_matrix_is_taken_in_turn():
    a, b = mx.random.normal((4, 2, 3)), mx.random.normal((4, 3, 5))
    assert mx.allclose(mx.gather_mm(a, b), a @ b)
    at = mx.array([3, 0, 0, 1])
    assert mx.allclose(
        mx.gather_mm(a, b, rhs_indices=at, sorted_indices=True), a @ b[at], atol=1e-5
    )
    assert mx.gather_mm(a[0], b, rhs_indices=mx.array([[1], [2]])).shape == (2, 1, 2, 5)


def test_no_matrix_is_copied_for_every_index_that_names_it():
    a, b = mx.ones((256, 1, 64)), mx.ones((4, 64, 512))
    at = mx.arange(256) % 4
    mx.eval(a, b, at)
    mx.reset_peak_memory()
    before = mx.get_active_memory()
    mx.eval(mx.gather_mm(a, b, rhs_indices=at))
    assert mx.get_peak_memory() - before < 4 * 256 * 512 * 4  # copies of b would be 32 MB


def test_an_index_out_of_range_and_sizes_that_differ_are_refused():
    a, b = mx.ones((2, 3, 4)), mx.ones((5, 4, 2))
    with pytest.raises(IndexError, match=r"\[gather_mm\] rhs_indices: .* got 5 of 5 matrices"):
        mx.eval(mx.gather_mm(a, b, mx.array([0]), mx.array([5])))
    with pytest.raises(IndexError, match=r"\[gather_mm\]"):
        mx.eval(mx.vmap(lambda a, i: mx.gather_mm(a, b, i, mx.array([0])))(
            mx.ones((3, 2, 3, 4)), mx.array([[0], [1], [2]])
        ))
    for bad in (
        lambda: mx.gather_mm(a, mx.ones((5, 3, 2)), mx.array([0]), mx.array([0])),
        lambda: mx.gather_mm(mx.ones(4), b, rhs_indices=mx.array([0])),
        lambda: mx.gather_mm(a, b, mx.array([0.0]), mx.array([0])),
        lambda: mx.gather_mm(a, b, mx.array([0, 1]), mx.array([0, 1, 2])),
    ):
        with pytest.raises(ValueError, match=r"^\[gather_mm\]"):
            bad()


@pytest.mark.parametrize("m, k, n", [(1, 6, 5), (4, 3, 2), (2, 1, 30)])
def test_derivatives_of_named_products_reach_each_matrix_as_often_as_it_is_named(m, k, n):
    a, b = mx.random.normal((3, m, k)), mx.random.normal((4, k, n))
    l, r = mx.array([0, 2, 2, 0, 1, 2]), mx.array([3, 0, 0, 1, 3, 3])
    named = lambda a, b: mx.sin(mx.gather_mm(a, b, l, r)).sum()  # noqa: E731
    copied = lambda a, b: mx.sin(a[l] @ b[r]).sum()  # noqa: E731
    for got, want in zip(mx.grad(named, (0, 1))(a, b), mx.grad(copied, (0, 1))(a, b)):
        assert mx.allclose(got, want, rtol=1e-4, atol=1e-4)
    second = lambda f: mx.grad(lambda a: (mx.grad(f, 1)(a, b) ** 2).sum())(a)  # noqa: E731
    assert mx.allclose(second(named), second(copied), rtol=1e-3, atol=1e-3)
    tangents = [mx.ones_like(a), mx.ones_like(b)]
    assert mx.allclose(
        mx.jvp(named, [a, b], tangents)[1][0], mx.jvp(copied, [a, b], tangents)[1][0], rtol=1e-3
    )


def test_named_products_are_mapped_over_matrices_and_indices():
    a, b = mx.random.normal((2, 3, 2, 4)), mx.random.normal((5, 4, 3))
    l, r = mx.array([[0, 2], [1, 1]]), mx.array([4, 0])
    f = lambda a, l: mx.gather_mm(a, b, l, r)  # noqa: E731
    got = mx.vmap(f)(a, l)
    assert mx.allclose(got, mx.stack([f(a[k], l[k]) for k in range(2)]), atol=1e-5)
    g = lambda b, r: mx.gather_mm(a[0], b, l[0], r)  # noqa: E731
    stack = mx.stack([b, b * 2], 1)
    got = mx.vmap(g, in_axes=(1, None))(stack, r)
    assert mx.allclose(got[1], 2 * got[0], atol=1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
def test_parts_of_the_inner_axis_are_products_of_their_own(dtype):
    rng = np.random.default_rng(0)
    a, b = numbers(rng, dtype, 3, 8), numbers(rng, dtype, 8, 5)
    parts = np.array([[[0, 3], [3, 8]], [[2, 2], [0, 8]]])
    got = mx.segmented_mm(to_mx(a, dtype), to_mx(b, dtype), mx.array(parts))
    wanted = np.stack([[a[:, i:j] @ b[i:j] for i, j in row] for row in parts])
    assert got.shape == (2, 2, 3, 5)
    assert np.array_equal(np.array(got.astype(mx.complex64)), wanted)
    for bad in ([[0, 9]], [[-1, 3]]):
        with pytest.raises(IndexError, match=r"\[segmented_mm\] segments: got"):
            mx.eval(mx.segmented_mm(mx.ones((3, 8)), mx.ones((8, 5)), mx.array(bad)))


def test_parts_that_overlap_have_the_derivatives_of_their_products():
    a, b = mx.random.normal((3, 8)), mx.random.normal((8, 4))
    parts = mx.array([[0, 5], [3, 8], [4, 4], [1, 2]])
    ours = lambda a, b: mx.sin(mx.segmented_mm(a, b, parts)).sum()  # noqa: E731

    def plain(a, b):
        pairs = [(0, 5), (3, 8), (4, 4), (1, 2)]
        return sum(mx.sin(a[:, i:j] @ b[i:j]).sum() for i, j in pairs)

    for got, want in zip(mx.grad(ours, (0, 1))(a, b), mx.grad(plain, (0, 1))(a, b)):
        assert mx.allclose(got, want, rtol=1e-4, atol=1e-4)
    second = lambda f: mx.grad(lambda a: (mx.grad(f, 1)(a, b) ** 2).sum())(a)  # noqa: E731
    assert mx.allclose(second(ours), second(plain), rtol=1e-3, atol=1e-3)
    many = mx.vmap(lambda a, p: mx.segmented_mm(a, b, p))(mx.stack([a, a]), mx.stack([parts] * 2))
    assert mx.allclose(many[1], mx.segmented_mm(a, b, parts))


def test_masks_leave_blocks_out_or_scale_them():
    a, b = mx.random.normal((70, 40)), mx.random.normal((40, 65))
    keep = mx.array([[True, False], [False, True], [True, True]])
    wide = mx.repeat(mx.repeat(keep, 32, 0), 32, 1)[:70, :40]
    nans = mx.where(wide, a, mx.nan)
    got = mx.block_masked_mm(nans, b, 32, None, keep)
    assert mx.allclose(got, mx.where(wide, a, 0) @ b, atol=1e-4)
    scale = mx.array([[1.0, 2.0, 0.0]])
    got = mx.block_masked_mm(a[:32], b, 32, scale)
    wide = mx.repeat(scale, 32, 1)[:, :65]
    assert mx.allclose(got, (a[:32] @ b) * wide, atol=1e-4)
    slope = mx.grad(lambda s: mx.block_masked_mm(a[:32], b, 32, s).sum())(scale)
    assert mx.allclose(slope[0, 0], (a[:32] @ b)[:, :32].sum(), rtol=1e-3, atol=1e-2)
    with pytest.raises(ValueError, match=r"\[block_masked_mm\] mask_lhs: got shape \(2, 2\)"):
        mx.block_masked_mm(a, b, 32, None, keep[:2])


def test_normal_vectors_have_their_means_and_covariances():
    cov = mx.array([[2.0, 1.0, 0.0], [1.0, 3.0, -1.0], [0.0, -1.0, 1.0]])
    mean = mx.array([1.0, -2.0, 0.5])
    x = mx.random.multivariate_normal(mean, cov, (200000,), key=mx.random.key(1))
    assert x.shape == (200000, 3) and x.dtype == mx.float32
    centred = x - mean
    assert mx.allclose(x.mean(0), mean, atol=0.02)
    assert mx.allclose(centred.T @ centred / 200000, cov, atol=0.05)
    flat = mx.random.multivariate_normal(mx.zeros(2), mx.ones((2, 2)), (5,))  # semi-definite
    assert mx.allclose(flat[:, 0], flat[:, 1], atol=1e-5)
    batch = mx.random.multivariate_normal(mx.zeros((4, 1, 3)), mx.stack([cov, 2 * cov]))
    assert batch.shape == (4, 2, 3)
    for bad in (
        lambda: mx.random.multivariate_normal(mean, cov[:2]),
        lambda: mx.random.multivariate_normal(mx.zeros((4, 3)), cov, (5,)),
        lambda: mx.random.multivariate_normal(mean, cov, dtype=mx.int32),
    ):
        with pytest.raises(ValueError, match=r"^\[multivariate_normal\]"):
            bad()


def test_losses_of_classes_are_those_of_the_layers():
    import lazulite.nn as nn

    x, at = mx.random.normal((4, 7)) + 1e4, mx.array([0, 6, 3, 3])
    for dtype in (mx.float32, mx.float16, mx.float64):
        got = mx.fast.cross_entropy(x.astype(dtype) - 1e4, at)
        assert got.dtype == (mx.float64 if dtype == mx.float64 else mx.float32)
        want = nn.losses.cross_entropy((x.astype(dtype) - 1e4).astype(got.dtype), at)
        assert mx.allclose(got, want, rtol=1e-5)
    slope = mx.grad(lambda x: mx.fast.cross_entropy(x, at).sum())(x)
    hot = mx.arange(7) == at[:, None]
    assert mx.allclose(slope, mx.softmax(x, -1) - hot, atol=1e-5)
    with pytest.raises(IndexError):
        mx.eval(mx.fast.cross_entropy(x, at + 4))
    for bad in (at[:3], at.astype(mx.float32)):
        with pytest.raises(ValueError, match=r"^\[cross_entropy\] targets"):
            mx.fast.cross_entropy(x, bad)


@pytest.mark.parametrize("name", ["cuda_kernel", "precompiled_cuda_kernel"])
def test_kernels_of_other_devices_say_that_these_are_not_there(name):
    f = getattr(mx.fast, name)
    arguments = dict(
        name="f",
        compiled_source=b"",
        inputs=[],
        output_shapes=[],
        output_dtypes=[],
        scalars=[],
        grid=(1, 1, 1),
        threadgroup=(1, 1, 1),
    )
    with pytest.raises(RuntimeError, match=rf"^\[{name}\] no CUDA back end"):
        f(**arguments) if name.startswith("pre") else f("f", ["x"], ["y"], "")
    with pytest.raises(AttributeError, match="opencl_kernel"):
        mx.fast.opencl_kernel
