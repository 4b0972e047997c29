"""einsum: subscripts, the order of several operands, beside NumPy's."""

import numpy as np
import pytest

import lazulite.core as mx

SPECS = """ij,jk->ik ij,jk ii ii->i iij->j ijij->ij ...ij,...jk->...ik ...i,...i->... i...->...
ij,kl->ikjl ij,ij bij,bjk->bik bij,bjk->ijk abc,bcd,dea->e ab,bc,cd,de->ae a,b,c->abc a,a,a->a
ab,ab,b-> abcd,cdef,efab-> ab-> ab->ba ,-> ...->... a...b,b...->a... abc,abc->c abc,cb->a Ab,bC->AC
ab,bc,ca aab,bcc->ac abcde,e->dcba""".split()
DTYPES = ("float64", "int64", "int8", "bool", "complex128", "float32")


def to_mx(v):
    return mx.array(v, mx.bool_ if v.dtype == bool else getattr(mx, str(v.dtype)))


def operands_of(spec, rng):
    """Arrays of small integers, with sizes of 0 and 1, in several layouts."""
    sizes: dict = {}
    wide = tuple(rng.integers(1, 4, rng.integers(0, 3)))
    for term in spec.split("->")[0].split(","):
        before, dots, behind = term.partition("...")

        def size(c):
            sizes.setdefault(c, int(rng.integers(1, 5)) if rng.random() > 0.04 else 0)
            return 1 if term.count(c) == 1 and rng.random() < 0.1 else sizes[c]

        shape = [size(c) for c in before]
        if dots:
            shape += [1 if rng.random() < 0.2 else int(n) for n in wide[rng.integers(0, 3) :]]
        v = rng.integers(-3, 4, shape + [size(c) for c in behind])
        dtype = str(rng.choice(DTYPES))
        v = v > 0 if dtype == "bool" else v.astype(dtype)
        yield np.swapaxes(np.swapaxes(v, 0, -1).copy(), 0, -1) if v.ndim > 1 else v


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("optimize", [True, False, "greedy", "optimal"])
def test_random_operands_give_what_numpy_gives(spec, optimize):
    rng = np.random.default_rng(len(spec))
    for _ in range(20):
        arrays = list(operands_of(spec, rng))
        wanted = np.einsum(spec, *arrays)
        got = mx.einsum(spec, *map(to_mx, arrays), optimize=optimize)
        assert got.shape == wanted.shape
        assert got.dtype == mx.result_type(*map(to_mx, arrays))
        np.testing.assert_allclose(np.array(got), wanted, rtol=1e-5)


@pytest.mark.parametrize(
    "spec, shapes, message",
    [
        ("ij,jk->ik", [(2, 3)], "names 2 operands: got 1"),
        ("ij,jk->ik", [(2, 3), (4, 5)], "sizes differ: got 3 and 4 for subscript 'j'"),
        ("ii->i", [(1, 3)], None),
        ("i->ij", [(3,)], "output names what no operand does: got 'j'"),
        ("i->ii", [(3,)], "output names a subscript twice: got 'i'"),
        ("i..j", [(2, 3)], "dots that are no ellipsis"),
        ("i", [(2, 3)], "subscripts do not fit: got 'i' for operand 0 of shape"),
        ("i1", [(2, 3)], "not a subscript: got '1'"),
        ("ij->i->j", [(2, 3)], "not a subscript: got '-'"),
    ],
)
def test_subscripts_that_do_not_fit_are_value_errors_that_say_why(spec, shapes, message):
    arrays = [mx.ones(s) for s in shapes]
    if message is None:  # a size of 1 meets any other, on a diagonal too
        assert mx.einsum(spec, *arrays).shape == (3,)
        return
    for name, function in (("einsum", mx.einsum), ("einsum_path", mx.einsum_path)):
        with pytest.raises(ValueError) as raised:
            function(spec, *arrays)
        assert str(raised.value).startswith(f"[{name}]") and message in str(raised.value)


def test_axes_of_an_ellipsis_that_the_output_does_not_name_are_summed():
    a = mx.arange(6).reshape(2, 3)
    assert mx.einsum("...i->i", a).tolist() == [3, 5, 7]
    assert mx.einsum("...->", a).item() == 15


def test_a_chain_of_products_is_taken_in_the_order_that_costs_least():
    a, b, c = mx.ones((2, 100)), mx.ones((100, 100)), mx.ones((100, 3))
    path, text = mx.einsum_path("ij,jk,kl->il", a, b, c)
    assert path == [(0, 1), (0, 1)] and "FLOP" in text
    path, _ = mx.einsum_path("ij,jk,kl->il", c.T, b, a.T)
    assert path == [(1, 2), (0, 1)]
    assert mx.einsum_path("ij,jk", a, b)[0] == [(0, 1)] and mx.einsum_path("ij->", a)[0] == [(0,)]


def test_paths_of_numpy_and_of_einsum_path_are_taken_and_others_refused():
    arrays = [mx.ones((3, 3))] * 3
    wanted = mx.einsum("ij,jk,kl->il", *arrays)
    path, _ = mx.einsum_path("ij,jk,kl->il", *arrays)
    for given in (path, ["einsum_path", (1, 2), (0, 1)], [(0, 1, 2)]):
        assert mx.array_equal(mx.einsum("ij,jk,kl->il", *arrays, optimize=given), wanted)
    for bad in ([(0, 1)], [(0, 5), (0, 1)], [(0, 0), (0, 1)], "fast"):
        with pytest.raises(ValueError, match="optimize"):
            mx.einsum("ij,jk,kl->il", *arrays, optimize=bad)
    with pytest.raises(ValueError, match="at most 12"):
        mx.einsum("a," * 13 + "a", *[mx.ones(2)] * 14, optimize="optimal")
    assert mx.einsum("a," * 19 + "a->", *[mx.ones(2)] * 20).item() == 2


def test_a_contraction_of_two_large_operands_is_one_product_of_matrices():
    a, b = mx.ones((300, 400)), mx.ones((400, 500))
    mx.eval(a, b)
    mx.reset_peak_memory()
    before = mx.get_active_memory()
    mx.eval(mx.einsum("ij,jk->ki", a, b))
    assert mx.get_peak_memory() - before < 3 * 300 * 500 * 4
    ops = [
        op
        for step in mx.plan(mx.einsum("bij,bkj->bik", a[None], b.T[None])).steps
        for op in step.ops
    ]
    assert "matmul" in ops and "multiply" not in ops


def test_einsum_is_differentiated_mapped_and_compiled():
    x, y = mx.random.normal((4, 3, 5)), mx.random.normal((5, 2))
    both = lambda x, y: mx.einsum("bij,jk,bik->", x, y, x @ y)  # noqa: E731
    want = mx.grad(lambda x, y: ((x @ y) ** 2).sum(), (0, 1))(x, y)
    for got in (mx.grad(both, (0, 1))(x, y), mx.compile(mx.grad(both, (0, 1)))(x, y)):
        for g, w in zip(got, want):
            assert mx.allclose(g, w, rtol=1e-4, atol=1e-4)
    mapped = mx.vmap(lambda x: mx.einsum("ij,jk->ki", x, y))(x)
    assert mx.allclose(mapped, (x @ y).swapaxes(1, 2), rtol=1e-4, atol=1e-4)
