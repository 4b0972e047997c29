"""What holds of each layer, from the table in layers.py: shapes, dtypes, gradients, vmap, compile,
saving, copies, repr and the layout of its state."""

import copy
import inspect
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

import lazulite.core as mx
import lazulite.nn as nn
from lazulite.utils import tree_flatten, tree_map

sys.path.insert(0, str(Path(__file__).parent))
from layers import TABLE  # noqa: E402


def inputs(row, dtype=mx.float32, seed=3):
    rng = np.random.default_rng(seed)
    if row.high is not None:
        return [mx.array(rng.integers(0, row.high, s)) for s in row.shapes]
    return [mx.array(rng.normal(size=s)).astype(dtype) for s in row.shapes]


def made(name):
    """A layer in the row's mode, with parameters of which none is 0 or 1."""
    row = TABLE[name]
    mx.random.seed(4)
    layer = row.make()
    rng = np.random.default_rng(5)
    moved = tree_map(
        lambda p: p + mx.array(rng.uniform(0.01, 0.1, p.shape), p.dtype),
        layer.trainable_parameters(),
    )
    layer.update(moved)
    return layer.train(row.training)


def results(row, layer, given):
    out = row.call(layer, *given)
    return list(out) if isinstance(out, tuple) else [out]


def same(got, wanted):
    for a, b in zip(got, wanted, strict=True):
        assert a.dtype == b.dtype and a.shape == b.shape
        assert np.array_equal(np.array(a), np.array(b), equal_nan=True)


def near(got, wanted, tolerance=1e-5):
    for a, b in zip(got, wanted, strict=True):
        np.testing.assert_allclose(
            np.array(a, np.float64), np.array(b, np.float64), tolerance, tolerance
        )


def exported():
    return {
        name
        for name in nn.__all__
        if inspect.isclass(getattr(nn, name)) and issubclass(getattr(nn, name), nn.Module)
    }


def test_every_layer_has_a_row():
    missing, more = exported() - {"Module", "Masks"} - set(TABLE), set(TABLE) - exported()
    assert not missing, f"layers without a row in tests/nn/layers.py: {sorted(missing)}"
    assert not more, f"rows of what nn does not export: {sorted(more)}"


@pytest.mark.parametrize("name", TABLE)
def test_a_row_makes_the_layer_that_it_names(name):
    assert type(TABLE[name].make()) is getattr(nn, name)


@pytest.mark.parametrize("name", TABLE)
def test_results_have_the_shape_of_the_row(name):
    row = TABLE[name]
    out = results(row, made(name), inputs(row))
    assert out[0].shape == row.out and bool(mx.isfinite(out[0]).all())


@pytest.mark.parametrize("name", TABLE)
def test_parameters_stand_where_the_row_has_them(name):
    row = TABLE[name]
    found = {k: v.shape for k, v in tree_flatten(made(name).parameters())}
    assert found == row.state


@pytest.mark.parametrize("name", TABLE)
def test_it_prints_its_name_and_settings(name):
    text = str(made(name))
    assert text.startswith(f"{name}(") and text.endswith(")")
    assert text == TABLE[name].text or TABLE[name].text is None


@pytest.mark.parametrize("name", TABLE)
@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16], ids=["float16", "bfloat16"])
def test_halves_give_halves_near_the_results_of_float32(name, dtype):
    row = TABLE[name]
    if not row.halves:
        pytest.skip("its results have a dtype of their own")
    layer, given = made(name), inputs(row, dtype)
    wide = [x.astype(mx.float32) if row.high is None else x for x in given]
    wanted = results(row, layer, wide)
    got = results(row, layer.set_dtype(dtype), given)
    assert all(a.dtype == dtype for a in got)
    near([a.astype(mx.float32) for a in got], wanted, 0.1 if dtype == mx.bfloat16 else 0.02)


@pytest.mark.parametrize("name", [n for n, row in TABLE.items() if row.wide])
def test_doubles_stay_doubles(name):
    row = TABLE[name]
    layer, given = made(name), inputs(row, mx.float64)
    narrow = [x.astype(mx.float32) if row.high is None else x for x in given]
    wanted = results(row, layer, narrow)
    got = results(row, layer.set_dtype(mx.float64), given)
    if row.halves:
        assert all(a.dtype == mx.float64 for a in got)
    near(got, wanted, 1e-4)


@pytest.mark.parametrize("name", TABLE)
def test_a_compiled_call_gives_the_same_bits(name):
    row, layer = TABLE[name], made(name)
    given = inputs(row)
    f = mx.compile(lambda *x: results(row, layer, x))
    same(f(*given), results(row, layer, given))
    same(f(*given), results(row, layer, given))


@pytest.mark.parametrize("name", TABLE)
def test_a_mapped_call_gives_what_calls_one_by_one_give(name):
    row, layer = TABLE[name], made(name)
    lanes = [inputs(row, seed=s) for s in (3, 7, 11)]
    together = mx.vmap(lambda *x: results(row, layer, x))(*[mx.stack(x) for x in zip(*lanes)])
    for i, given in enumerate(lanes):
        near([a[i] for a in together], results(row, layer, given))


@pytest.mark.parametrize("name", TABLE)
def test_gradients_are_those_of_finite_differences(name):
    """Of parameters and inputs, along one direction, in float64 where parameters can be that."""
    row = TABLE[name]
    if not row.slopes:
        pytest.skip("it rounds, or has no slope")
    dtype = mx.float64 if row.wide else mx.float32
    layer = made(name)
    if row.wide:
        layer.set_dtype(mx.float64)
    given, rng = inputs(row, dtype), np.random.default_rng(9)
    at = [dict(tree_flatten(layer.trainable_parameters())), given if row.high is None else []]
    if not at[0] and not at[1]:
        pytest.skip("nothing can be varied")
    along = tree_map(lambda a: mx.array(rng.normal(size=a.shape), dtype), at)
    weights = [mx.array(rng.normal(size=a.shape), dtype) for a in results(row, layer, given)]

    def loss(both):
        layer.load_weights(list(both[0].items()), strict=False)
        out = results(row, layer, both[1] if row.high is None else given)
        return sum((a.astype(dtype) * w).sum() for a, w in zip(out, weights))

    slopes = mx.grad(loss)(at)
    products = tree_map(lambda g, d: (g * d).sum(), slopes, along)
    got = sum(p.item() for _, p in tree_flatten(products))
    step = row.step

    def moved(by):
        return loss(tree_map(lambda a, d: a + by * d, at, along)).item()

    expected = (moved(step) - moved(-step)) / (2 * step)
    tolerance = 1e-5 if row.wide else 2e-3
    assert got == pytest.approx(expected, tolerance, tolerance)


@pytest.mark.parametrize("name", TABLE)
@pytest.mark.parametrize("ending", ["safetensors", "npz"])
def test_weights_of_a_file_give_the_same_bits(name, ending, tmp_path):
    row, layer = TABLE[name], made(name)
    given, path = inputs(row), str(tmp_path / f"w.{ending}")
    wanted = results(row, layer, given)
    if not row.state:
        assert layer.parameters() == {}
        return
    layer.save_weights(path)
    mx.random.seed(1)
    other = row.make().train(row.training)
    other.load_weights(path)
    same(results(row, other, given), wanted)


@pytest.mark.parametrize("name", TABLE)
def test_copies_are_the_same_and_of_their_own(name):
    row, layer = TABLE[name], made(name)
    given = inputs(row)
    wanted = results(row, layer, given)
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        same(results(row, other, given), wanted)
        other.update(tree_map(lambda p: mx.zeros_like(p), other.parameters()))
        same(results(row, layer, given), wanted)


@pytest.mark.parametrize("name", TABLE)
def test_empty_batches_give_empty_results(name):
    row, layer = TABLE[name], made(name)
    given = [x[:0] for x in inputs(row)]
    assert results(row, layer, given)[0].shape == (0, *row.out[1:])


@pytest.mark.parametrize("name", TABLE)
def test_training_takes_a_step(name):
    """In training mode, compiled and not: the same parameters after it."""
    row = TABLE[name]
    layer, given = made(name).train(), inputs(row)
    if not tree_flatten(layer.trainable_parameters()) or not row.slopes and name != "QQLinear":
        pytest.skip("nothing is trained")

    def loss(*x):
        return sum(a.square().sum() for a in results(row, layer, x))

    before = tree_map(lambda p: p, layer.parameters())
    ways = []
    for compiled in (False, True):
        layer.update(before)
        mx.random.seed(2)
        step = nn.value_and_grad(layer, loss)
        state = [layer.state, mx.random.state]
        if compiled:
            step = mx.compile(step, inputs=state, outputs=state)
        value, grads = step(*given)
        assert set(dict(tree_flatten(grads))) == set(
            dict(tree_flatten(layer.trainable_parameters()))
        )
        ways.append([value, *[g for _, g in tree_flatten(grads)]])
    same(*ways)
