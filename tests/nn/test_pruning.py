"""Pruned models: masks, what keeps them while a model is trained, and sparse linear layers."""

import numpy as np
import pytest

import lazulite.core as mx
import lazulite.nn as nn
import lazulite.optimizers as optim
from lazulite.utils import tree_flatten


def data(n=64, features=16, classes=8):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, features))
    y = (x @ rng.normal(size=(features, classes))).argmax(1)
    return mx.array(x, mx.float32), mx.array(y)


def zeros_where_left_out(model, masks):
    held = dict(tree_flatten(model.parameters()))
    return all(bool((mx.where(m, 0, held[p]) == 0).all()) for p, m in masks.masks.items())


def test_the_smallest_weights_go():
    layer = nn.Linear(3, 2, bias=False)
    layer.weight = mx.array([[1.0, -4, 3], [-2, 0.5, 6]])
    masks = nn.prune(layer, 0.5)
    assert layer.weight.tolist() == [[0, -4, 3], [0, 0, 6]]
    assert masks.sparsity() == 0.5 and masks.masks["weight"].dtype == mx.bool_
    assert repr(masks) == "Masks(weights=1, sparsity=0.5)"


@pytest.mark.parametrize("sparsity", [0.0, 0.3, 0.75, 1.0])
def test_so_many_are_left(sparsity):
    model = nn.MLP(16, [32, 8])
    masks = nn.prune(model, sparsity)
    for path, mask in masks.masks.items():
        assert int(mask.sum()) == mask.size - round(sparsity * mask.size), path
    assert zeros_where_left_out(model, masks)
    everywhere = nn.prune(nn.MLP(16, [32, 8]), sparsity, scope="global")
    total = 16 * 32 + 32 * 8
    assert sum(int(m.sum()) for m in everywhere.masks.values()) == total - round(sparsity * total)


def test_of_equal_weights_the_first_stay():
    layer = nn.Linear(4, 1, bias=False)
    layer.weight = mx.ones((1, 4))
    nn.prune(layer, 0.5)
    assert layer.weight.tolist() == [[1, 1, 0, 0]]


@pytest.mark.parametrize("pattern, kept, of", [("2:4", 2, 4), ("1:4", 1, 4), ("4:8", 4, 8)])
def test_groups_keep_their_largest(pattern, kept, of):
    layer = nn.Linear(32, 6)
    before = np.array(layer.weight)
    nn.prune(layer, pattern=pattern)
    groups, was = np.array(layer.weight).reshape(-1, of), before.reshape(-1, of)
    assert ((groups != 0).sum(1) == kept).all()
    left = np.sort(abs(was), 1)[:, of - kept :]
    np.testing.assert_array_equal(np.sort(abs(groups), 1)[:, of - kept :], left)


def test_blocks_go_as_a_whole():
    layer = nn.Linear(12, 8)
    sizes = np.abs(np.array(layer.weight)).reshape(2, 4, 3, 4).mean((1, 3)).reshape(-1)
    nn.prune(layer, 0.5, "block", (4, 4))
    left = (np.array(layer.weight) != 0).reshape(2, 4, 3, 4).mean((1, 3)).reshape(-1)
    assert sorted(left) == [0, 0, 0, 1, 1, 1]
    assert set(np.flatnonzero(left)) == set(np.argsort(sizes)[3:])


def test_convolutions_are_pruned_and_tables_are_not():
    model = nn.Sequential(nn.Embedding(10, 4), nn.Conv2d(4, 8, 3), nn.BatchNorm(8), nn.Linear(8, 4))
    masks = nn.prune(model, 0.5)
    assert sorted(masks.masks) == ["layers.1.weight", "layers.3.weight"]
    chosen = nn.prune(model, 0.5, chosen=lambda path, w: path == "layers.0.weight")
    assert list(chosen.masks) == ["layers.0.weight"]


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(
    "make",
    [
        lambda: optim.SGD(0.1, momentum=0.9, weight_decay=0.01),
        lambda: optim.AdamW(0.01),
        lambda: optim.Lion(0.001),
    ],
)
def test_masks_hold_while_a_model_is_trained(make, compiled):
    x, y = data()
    model = nn.MLP(16, [32, 8])
    mx.eval(model.parameters())
    optimizer = make()
    step_without = nn.value_and_grad(
        model, lambda model, x, y: nn.losses.cross_entropy(model(x), y, reduction="mean")
    )
    for _ in range(3):  # so that there is a momentum, which would move what is zero
        optimizer.update(model, step_without(model, x, y)[1])
    masks = nn.prune(model, 0.7)
    held = masks.hold(optimizer)
    assert held.learning_rate is optimizer.learning_rate and held.state is optimizer.state

    def step(x, y):
        loss, grads = step_without(model, x, y)
        held.update(model, grads)
        return loss

    if compiled:
        state = [model.state, held.state]
        step = mx.compile(step, inputs=state, outputs=state)
    losses = [float(step(x, y)) for _ in range(30)]
    assert losses[-1] < losses[0] and zeros_where_left_out(model, masks)
    kept = dict(tree_flatten(model.parameters()))["layers.0.weight"]
    assert int((kept != 0).sum()) == int(masks.masks["layers.0.weight"].sum())
    optimizer.update(model, step_without(model, x, y)[1])
    assert not zeros_where_left_out(model, masks)  # the mask is what held them
    masks.apply_to(model)
    assert zeros_where_left_out(model, masks)


def test_a_compiled_step_gives_the_bits_of_another():
    x, y = data()
    results = []
    for compiled in (False, True):
        mx.random.seed(0)
        model = nn.MLP(16, [32, 8])
        masks = nn.prune(model, pattern="2:4")
        held = masks.hold(optim.Adam(0.01))
        grads_of = nn.value_and_grad(
            model, lambda model, x, y: nn.losses.cross_entropy(model(x), y, reduction="mean")
        )

        def step(x, y):
            held.update(model, grads_of(model, x, y)[1])

        if compiled:
            state = [model.state, held.state, masks.state]
            step = mx.compile(step, inputs=state, outputs=state)
        for _ in range(5):
            step(x, y)
        results.append([np.array(a) for _, a in tree_flatten(model.parameters())])
    for a, b in zip(*results):
        np.testing.assert_array_equal(a, b)


def test_nan_and_infinity_are_left_out_too():
    layer = nn.Linear(2, 1, bias=False)
    layer.weight = mx.array([[3.0, 1.0]])
    masks = nn.prune(layer, 0.5)
    layer.weight = mx.array([[3.0, float("nan")]])
    assert masks.apply_to(layer).weight.tolist() == [[3, 0]]


def test_apply_gradients_keeps_masks():
    layer = nn.Linear(2, 1, bias=False)
    layer.weight = mx.array([[3.0, 1.0]])
    held = nn.prune(layer, 0.5).hold(optim.SGD(1.0))
    new = held.apply_gradients({"weight": mx.array([[1.0, 1.0]])}, layer.parameters())
    assert new["weight"].tolist() == [[2, 0]]
    held.learning_rate = 0.5
    assert float(held.optimizer.learning_rate) == 0.5


def test_masks_are_saved_and_loaded(tmp_path):
    model = nn.MLP(16, [32, 8])
    masks = nn.prune(model, 0.6)
    masks.save_weights(str(tmp_path / "masks.safetensors"))
    again = nn.prune(nn.MLP(16, [32, 8]), 0.1)
    again.load_weights(str(tmp_path / "masks.safetensors"))
    for path, mask in masks.masks.items():
        assert mx.array_equal(again.masks[path], mask)
    left = tree_flatten(masks.trainable_parameters())
    assert not any(isinstance(value, mx.array) for _, value in left)


@pytest.mark.parametrize(
    "wrong",
    [
        {"sparsity": 1.5},
        {"sparsity": -0.1},
        {"pattern": "all"},
        {"pattern": "5:4"},
        {"pattern": "0:4"},
        {"pattern": "2:5"},
        {"pattern": "block", "block": (3, 3)},
        {"pattern": "block", "block": (0, 3)},
        {"scope": "model"},
        {"chosen": lambda path, w: False},
    ],
)
def test_wrong_arguments_of_prune(wrong):
    with pytest.raises(ValueError, match=r"^\[prune\]"):
        nn.prune(nn.Linear(16, 8), **wrong)


def test_masks_of_another_model():
    masks = nn.prune(nn.MLP(16, [32, 8]), 0.5)
    for other in (nn.Linear(2, 2), nn.MLP(16, [30, 8])):
        with pytest.raises(ValueError, match=r"^\[Masks\] .*does not fit"):
            masks.apply_to(other)


# ---- the layer


@pytest.mark.parametrize("shape", [(16,), (5, 16), (2, 3, 16), (0, 16)])
@pytest.mark.parametrize("block", [None, (2, 4)])
@pytest.mark.parametrize("bias", [False, True])
def test_a_sparse_layer_is_the_linear_one(bias, block, shape):
    linear = nn.Linear(16, 6, bias=bias)
    nn.prune(linear, 0.5, "block", (2, 4))
    layer = nn.SparseLinear.from_linear(linear, block)
    x = mx.random.normal(shape)
    got, wanted = layer(x), linear(x)
    assert got.shape == wanted.shape
    np.testing.assert_allclose(np.array(got), np.array(wanted), atol=1e-5)
    np.testing.assert_array_equal(np.array(layer.matrix.to_dense()), np.array(linear.weight))
    assert "density=0.5" in repr(layer)


@pytest.mark.parametrize("block", [None, (4, 4)])
def test_a_sparse_layer_is_trained(block):
    x, y = data()
    layer = nn.SparseLinear(16, 8, density=0.5, block=block)
    assert sorted(layer.trainable_parameters()) == ["bias", "data"]
    grads_of = nn.value_and_grad(
        layer, lambda model, x, y: nn.losses.cross_entropy(model(x), y, reduction="mean")
    )
    optimizer = optim.Adam(0.05)
    state = [layer.state, optimizer.state]

    def step(x, y):
        loss, grads = grads_of(layer, x, y)
        optimizer.update(layer, grads)
        return loss

    step = mx.compile(step, inputs=state, outputs=state)
    places = np.array(layer.indices)
    losses = [float(step(x, y)) for _ in range(60)]
    assert losses[-1] < 0.7 * losses[0]
    np.testing.assert_array_equal(np.array(layer.indices), places)


def test_a_sparse_layer_is_saved(tmp_path):
    layer = nn.SparseLinear(16, 8, density=0.25)
    layer.save_weights(str(tmp_path / "a.safetensors"))
    other = nn.SparseLinear(16, 8, density=0.25)
    other.load_weights(str(tmp_path / "a.safetensors"))
    x = mx.random.normal((3, 16))
    assert mx.array_equal(layer(x), other(x))


def test_a_sparse_layer_refuses_another_last_axis():
    with pytest.raises(ValueError, match=r"^\[SparseLinear\]"):
        nn.SparseLinear(16, 8)(mx.zeros((3, 8)))
    with pytest.raises(ValueError, match="density"):
        nn.SparseLinear(16, 8, density=2.0)


def test_masks_are_a_dict_of_arrays():
    class Endless:
        def __getitem__(self, i):
            return i

    for wrong in ([Endless()], [("weight", mx.array([True]))], None, {"weight": [True]}, {1: 2}):
        with pytest.raises(TypeError, match=r"\[Masks\] masks: got"):
            nn.Masks(wrong)
    assert nn.Masks({"weight": mx.array([True])}).masks["weight"].item()
