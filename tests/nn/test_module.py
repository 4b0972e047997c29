"""lazulite.nn.Module: what a module holds, how it is changed, saved and trained."""

import copy
import pickle

import numpy as np
import pytest

import lazulite.core as mx
import lazulite.nn as nn
import lazulite.optimizers as optim
from lazulite.utils import tree_flatten, tree_unflatten


class Block(nn.Module):
    """Parameters in every kind of place."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 3)
        self.layers = [nn.Linear(3, 3), nn.ReLU(), mx.zeros((1,))]
        self.table = {"a.b": nn.Linear(3, 1), "plain": 7}
        self.pair = (mx.ones((2,)), nn.Linear(1, 1))
        self.scale = mx.array([2.0])
        self._hidden = mx.ones((4,))
        self.count = 3

    def __call__(self, x):
        return self.table["a.b"](self.layers[0](self.linear(x))) * self.scale


class Forgetful(nn.Module):
    """A subclass that never calls super().__init__()."""

    def __init__(self):
        self.linear = nn.Linear(2, 1)
        self.weight = mx.ones((2,))

    def __call__(self, x):
        return self.linear(x * self.weight)


BLOCK_PARAMETERS = [
    "linear.weight",
    "linear.bias",
    "layers.0.weight",
    "layers.0.bias",
    "layers.2",
    "table.a.b.weight",
    "table.a.b.bias",
    "scale",
]


def names(tree):
    return [name for name, _ in tree_flatten(tree)]


def test_a_module_is_the_dict_of_its_arrays_containers_and_modules():
    block = Block()
    assert list(block) == ["linear", "layers", "table", "pair", "scale", "_hidden"]
    assert block.state is block
    assert block["scale"] is block.scale
    assert block.count == 3 and "count" not in block


def test_a_missing_attribute_is_an_attribute_error_that_names_it():
    with pytest.raises(AttributeError, match="'Block' object has no attribute 'nothing'"):
        Block().nothing


def test_an_error_inside_a_property_is_not_hidden():
    class Broken(nn.Module):
        @property
        def size(self):
            return self.not_there

    with pytest.raises(AttributeError, match="not_there"):
        Broken().size


def test_a_property_with_a_setter_takes_arrays():
    class Tied(nn.Module):
        @property
        def weight(self):
            return self.inner

        @weight.setter
        def weight(self, value):
            self.inner = value

    tied = Tied()
    tied.weight = mx.ones((2,))
    assert list(tied) == ["inner"] and tied.weight is tied.inner


def test_none_in_place_of_a_parameter_makes_an_ordinary_attribute():
    layer = nn.Linear(2, 2)
    layer.bias = None
    assert "bias" not in layer and layer.bias is None
    assert names(layer.parameters()) == ["weight"]
    layer.bias = mx.zeros((2,))
    assert names(layer.parameters()) == ["weight", "bias"]


def test_attributes_can_be_deleted():
    layer = nn.Linear(2, 2)
    del layer.bias
    assert "bias" not in layer
    with pytest.raises(AttributeError):
        del layer.bias


def test_parameters_are_found_in_lists_and_dicts_but_not_in_tuples_or_under_underscores():
    assert names(Block().parameters()) == BLOCK_PARAMETERS
    assert "pair" in Block() and "pair" not in Block().parameters()


def test_parameters_keep_the_form_of_the_module():
    parameters = Block().parameters()
    assert parameters["layers"][1] == {}
    assert parameters["table"]["plain"] == {}


def test_children_are_the_modules_directly_inside():
    block = Block()
    children = block.children()
    assert children["linear"] is block.linear
    assert children["layers"] == [block.layers[0], block.layers[1], {}]
    assert set(children) == {"linear", "layers", "table"}


def test_leaf_modules_hold_no_other_modules():
    inner = nn.Sequential(nn.Linear(1, 1), nn.ReLU())
    model = nn.Sequential(inner, nn.Tanh())
    leaves = model.leaf_modules()
    assert names(leaves["layers"][0]) == ["layers.0.weight", "layers.0.bias"]
    assert leaves["layers"][0]["layers"][1] is inner.layers[1]
    assert leaves["layers"][1] is model.layers[1]


def test_named_modules_begin_with_the_module_itself():
    model = nn.Sequential(nn.Linear(1, 1), nn.Sequential(nn.ReLU(), nn.Tanh()))
    assert [name for name, _ in model.named_modules()] == [
        "",
        "layers.1",
        "layers.1.layers.1",
        "layers.1.layers.0",
        "layers.0",
    ]
    assert model.modules()[0] is model


def test_repr_shows_the_tree_of_modules():
    model = nn.Sequential(nn.Linear(1, 2), nn.Sequential(nn.Dropout(0.1)))
    assert repr(model) == (
        "Sequential(\n"
        "  (layers.0): Linear(input_dims=1, output_dims=2, bias=True)\n"
        "  (layers.1): Sequential(\n"
        "    (layers.0): Dropout(p=0.1)\n"
        "  )\n"
        ")"
    )


class Tuples(nn.Module):
    """Tuples at every depth, with and without something that could be a parameter."""

    def __init__(self):
        super().__init__()
        self.pair = (nn.Dropout(0.5), mx.ones((2,)))
        self.mixed = [nn.ReLU(), (mx.zeros((1,)), (nn.Dropout(0.2), 3))]
        self.table = {"a": (mx.ones((1,)),)}
        self.sizes = (1, 2)


def test_print_says_which_tuples_hold_arrays_or_modules():
    assert repr(Tuples()) == (
        "Tuples(\n"
        "  (mixed.0): ReLU()\n"
        "  (pair): a tuple, left out of parameters() with its Dropout, array\n"
        "  (mixed.1): a tuple, left out of parameters() with its array, Dropout\n"
        "  (table.a): a tuple, left out of parameters() with its array\n"
        ")"
    )
    assert names(Tuples().parameters()) == []


def test_train_and_eval_reach_modules_in_tuples():
    model = nn.Sequential(Tuples()).eval()
    inside = model.layers[0]
    assert not inside.pair[0].training and not inside.mixed[1][1][0].training
    model.train()
    assert inside.pair[0].training and inside.mixed[1][1][0].training


def test_weights_of_a_module_with_tuples_load_strictly(tmp_path):
    path = str(tmp_path / "w.npz")
    Block().save_weights(path)
    assert set(mx.load(path)) == set(BLOCK_PARAMETERS)
    Block().load_weights(path, strict=True)


def test_update_replaces_the_named_parameters_only():
    block = Block()
    before = block.linear.bias
    new = mx.full((3, 2), 5.0)
    assert block.update({"linear": {"weight": new}}) is block
    assert block.linear.weight is new and block.linear.bias is before


def test_update_reaches_lists_tuples_and_gaps():
    block = Block()
    new = mx.full((2,), 5.0)
    block.update(tree_unflatten([("pair.0", new), ("layers.2", new)]))
    assert block.pair[0] is new and block.layers[2] is new
    assert isinstance(block.pair, tuple) and nn.Module.is_module(block.pair[1])


@pytest.mark.parametrize(
    "tree",
    [
        {"unknown": mx.zeros((1,))},
        {"scale": 3.0},
        {"scale": {"weight": mx.zeros((1,))}},
        {"linear": mx.zeros((1,))},
        {"layers": {"weight": mx.zeros((1,))}},
        {"layers": [{}, {}, {}, mx.zeros((1,))]},
    ],
    ids=lambda tree: next(iter(tree)),
)
def test_update_refuses_what_does_not_fit_unless_told_to_pass_over_it(tree):
    block = Block()
    before = dict(tree_flatten(block.parameters()))
    with pytest.raises(ValueError, match=r"\[update\]"):
        block.update(tree)
    block.update(tree, strict=False)
    after = dict(tree_flatten(block.parameters()))
    assert before.keys() == after.keys() and all(before[k] is after[k] for k in before)


@pytest.mark.parametrize("tree", [[1], [mx.zeros((1,))], {"table": [mx.zeros((1,))]}, ("a",)])
@pytest.mark.parametrize("change", ["update", "update_modules"])
def test_a_list_in_place_of_a_dict_is_a_key_error_and_a_value_error(tree, change):
    for error in (KeyError, ValueError):
        with pytest.raises(error, match=r"^\[update\] .*: got a (list|tuple), expected a dict$"):
            getattr(Block(), change)(tree)
    getattr(Block(), change)(tree, strict=False)


def test_update_modules_replaces_modules():
    model = nn.Sequential(nn.Linear(1, 1), nn.ReLU())
    new = nn.Tanh()
    model.update_modules({"layers": [{}, new]})
    assert model.layers[1] is new and isinstance(model.layers[0], nn.Linear)
    for wrong in ({"layers": [3]}, {"nothing": new}, {"layers": [{"weight": new}]}):
        with pytest.raises(ValueError, match=r"\[update\]"):
            model.update_modules(wrong)


def test_apply_maps_parameters_that_the_filter_lets_through():
    layer = nn.Linear(2, 2).apply(lambda x: 0 * x + 1, lambda module, name, _: name == "bias")
    assert layer.bias.tolist() == [1, 1]
    assert layer.weight.tolist() != [[1, 1], [1, 1]]


def test_apply_to_modules_gives_path_and_module():
    seen = {}
    model = nn.Sequential(nn.ReLU())
    assert model.apply_to_modules(seen.__setitem__) is model
    assert seen == {"": model, "layers.0": model.layers[0]}


def test_filter_and_map_chooses_by_module_name_and_value():
    shapes = Block().filter_and_map(
        nn.Module.valid_parameter_filter, lambda leaf: tuple(leaf.shape)
    )
    assert shapes["linear"] == {"weight": (3, 2), "bias": (3,)}


def test_set_dtype_converts_floating_parameters():
    layer = nn.Linear(2, 2)
    layer.index = mx.array([1, 2])
    assert layer.set_dtype(mx.float16) is layer
    assert layer.weight.dtype == mx.float16 and layer.index.dtype == mx.int32
    layer.set_dtype(mx.float32, predicate=None)
    assert layer.index.dtype == mx.float32


def test_freezing_takes_parameters_out_of_training_and_unfreezing_brings_them_back():
    block = Block()
    assert names(block.freeze().trainable_parameters()) == []
    assert names(block.linear.unfreeze().trainable_parameters()) == ["weight", "bias"]
    assert names(block.trainable_parameters()) == ["linear.weight", "linear.bias"]
    assert names(block.unfreeze().trainable_parameters()) == BLOCK_PARAMETERS


def test_a_module_in_a_frozen_container_can_be_unfrozen_by_itself():
    block = Block().freeze()
    block.layers[0].unfreeze(keys="bias")
    assert names(block.trainable_parameters()) == ["layers.0.bias"]


def test_freezing_by_key_and_without_recursion():
    block = Block().freeze(keys=["bias", "scale"])
    left = names(block.trainable_parameters())
    assert left == [n for n in BLOCK_PARAMETERS if "bias" not in n and n != "scale"]
    block = Block().freeze(recurse=False)
    assert "scale" not in names(block.trainable_parameters())
    assert "linear.weight" in names(block.trainable_parameters())


def test_a_strict_key_must_exist():
    with pytest.raises(KeyError, match="nothing"):
        nn.Linear(1, 1).freeze(keys="nothing", strict=True)
    nn.Linear(1, 1).freeze(keys="nothing")


@pytest.mark.parametrize("change", ["freeze", "unfreeze"])
def test_a_strict_key_is_missing_only_where_no_module_has_it(change):
    block = Block()
    if change == "unfreeze":
        block.freeze()
    before = names(block.trainable_parameters())
    with pytest.raises(KeyError, match="nothing, nowhere"):
        getattr(block, change)(keys=["weight", "nothing", "nowhere"], strict=True)
    with pytest.raises(KeyError, match="weight"):
        getattr(block, change)(keys="weight", strict=True, recurse=False)
    assert names(block.trainable_parameters()) == before  # nothing was changed
    getattr(block, change)(keys="weight", strict=True)
    assert names(block.trainable_parameters()) != before


def test_a_key_may_name_a_container_of_modules():
    block = Block().freeze(keys="layers", strict=True)
    assert not any(name.startswith("layers") for name in names(block.trainable_parameters()))
    block.unfreeze(keys="layers", strict=True, recurse=False)
    assert names(block.trainable_parameters()) == BLOCK_PARAMETERS


@pytest.mark.parametrize("keys", [3, [3], {"a": 1}, mx.array(1)])
def test_keys_are_names(keys):
    with pytest.raises(TypeError, match="keys: got"):
        nn.Linear(1, 1).freeze(keys=keys)


def test_train_and_eval_reach_all_modules():
    model = nn.Sequential(nn.Dropout(0.5), nn.Sequential(nn.Dropout(0.5)))
    assert model.training
    assert model.eval() is model
    assert not any(module.training for module in model.modules())
    assert all(module.training for module in model.train().modules())
    with pytest.raises(AttributeError):
        model.training = False


def test_a_subclass_may_forget_to_call_the_base_constructor():
    model = Forgetful()
    assert model(mx.ones((1, 2))).shape == (1, 1)
    assert model.training and not model.eval().training
    assert names(model.trainable_parameters()) == ["linear.weight", "linear.bias", "weight"]
    assert names(model.freeze(keys="weight").trainable_parameters()) == ["linear.bias"]
    model.load_weights([("weight", mx.zeros((2,)))], strict=False)
    assert model.weight.tolist() == [0, 0]


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_are_equal_and_independent(duplicate):
    block = Block().freeze(keys="bias").eval()
    other = duplicate(block)
    assert type(other) is Block and other.count == 3 and not other.training
    assert names(other.trainable_parameters()) == names(block.trainable_parameters())
    for (name, a), (_, b) in zip(*map(tree_flatten, (block.parameters(), other.parameters()))):
        np.testing.assert_array_equal(np.array(a), np.array(b), err_msg=name)
    other.update({"scale": mx.array([9.0])}).unfreeze()
    assert block.scale.tolist() == [2.0] and "linear.bias" not in names(
        block.trainable_parameters()
    )


@pytest.mark.parametrize("ending", [".npz", ".safetensors"])
def test_weights_survive_a_file(tmp_path, ending):
    block, other = Block(), Block()
    block.save_weights(tmp_path / f"w{ending}")
    assert other.load_weights(tmp_path / f"w{ending}") is other
    saved, loaded = tree_flatten(block.parameters()), tree_flatten(other.parameters())
    assert [(name, x.tolist()) for name, x in saved] == [(name, x.tolist()) for name, x in loaded]


def test_weights_with_another_ending_are_refused(tmp_path):
    with pytest.raises(ValueError, match="weights.bin"):
        Block().save_weights(tmp_path / "weights.bin")


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda w: w.pop("bias"), "1 missing parameters: bias"),
        (lambda w: w.update(x=w["bias"], y=w["bias"]), "2 unknown parameters: x, y"),
        (lambda w: w.update(bias=mx.zeros((7,))), r"bias \(got \(7,\), expected \(2,\)\)"),
        (lambda w: w.update(bias=1.0), r"bias \(got float\)"),
    ],
)
def test_loading_is_strict_and_changes_nothing_when_it_fails(change, message):
    layer = nn.Linear(2, 2)
    before = dict(layer)
    weights = {"weight": mx.zeros((2, 2)), "bias": mx.zeros((2,))}
    change(weights)
    with pytest.raises(ValueError, match=message):
        layer.load_weights(list(weights.items()))
    assert all(layer[name] is before[name] for name in before)


def test_loading_without_strictness_passes_over_names_but_not_shapes():
    layer = nn.Linear(2, 2)
    new = mx.zeros((2,))
    layer.load_weights([("bias", new), ("unknown", new)], strict=False)
    assert layer.bias is new
    with pytest.raises(ValueError, match="wrong shape"):
        layer.load_weights([("bias", mx.zeros((3,)))], strict=False)


def test_value_and_grad_gives_gradients_of_the_trainable_parameters():
    model = nn.Linear(2, 1)
    x = mx.array([[1.0, 2.0], [3.0, 4.0]])
    value, grads = nn.value_and_grad(model, lambda x, scale: scale * model(x).sum())(x, scale=2)
    assert value.item() == pytest.approx(2 * model(x).sum().item(), rel=1e-6)
    assert grads["weight"].tolist() == [[8, 12]] and grads["bias"].tolist() == [4]
    model.freeze(keys="bias")
    _, grads = nn.value_and_grad(model, lambda x: model(x).sum())(x)
    assert names(grads) == ["weight"]


def test_value_and_grad_passes_on_what_follows_the_loss():
    model = nn.Linear(2, 1)
    (loss, text), _ = nn.value_and_grad(model, lambda x: (model(x).sum(), "more"))(mx.ones((2,)))
    assert loss.shape == () and text == "more"


def test_value_and_grad_leaves_the_model_as_it_was():
    model = nn.Linear(2, 1)
    before = dict(model)
    nn.value_and_grad(model, lambda x: model(x).sum())(mx.ones((2,)))
    with pytest.raises(RuntimeError, match="on purpose"):
        nn.value_and_grad(model, on_purpose)(mx.ones((2,)))
    assert all(np.array_equal(np.array(model[name]), np.array(before[name])) for name in before)


def test_value_and_grad_puts_back_the_very_arrays_and_keeps_what_the_function_wrote():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    first = dict(model.layers[0])

    def loss(x):
        y = model(x).sum()
        model.layers[1].bias = model.layers[1].bias * 2 + 1
        return y

    model.layers[1].bias = mx.array([3.0])
    for run in (nn.value_and_grad(model, loss), nn.value_and_grad(model, on_purpose_after(loss))):
        try:
            run(mx.ones((1, 2)))
        except RuntimeError:
            pass
        assert all(model.layers[0][name] is first[name] for name in first)
    assert model.layers[1].bias.tolist() == [15]


def on_purpose_after(fn):
    def failing(x):
        fn(x)
        raise RuntimeError("on purpose")

    return failing


class Counts(nn.Module):
    """Counts its calls, in place or not."""

    def __init__(self, how, start, trained):
        super().__init__()
        self.linear, self.how, self.n = nn.Linear(3, 1), how, start
        if not trained:
            self.freeze(recurse=False, keys="n")

    def __call__(self, x):
        if self.how == "+=":
            self.n += 1
        elif self.how == "[]":
            self.n[...] = self.n + 1
        elif self.how == "alias":
            n = self.n
            n += 1
        else:
            self.n = self.n + 1
        return self.linear(x)


@pytest.mark.parametrize("way", ["nn", "mx", "mixed", "compiled", "jvp of nothing"])
@pytest.mark.parametrize("trained", [True, False])
@pytest.mark.parametrize("dtype", [mx.float32, mx.int32, mx.uint8])
@pytest.mark.parametrize("how", ["=", "+=", "[]", "alias"])
def test_what_a_model_changes_in_place_is_kept_by_gradients(how, dtype, trained, way):
    """As a call without a gradient keeps it."""
    net, x = Counts(how, mx.zeros((2,), dtype), trained), mx.ones((4, 3))
    loss = lambda x: net(x).square().sum()
    if way == "mx":
        step = lambda x: mx.value_and_grad(lambda net, x: net(x).square().sum())(net, x)
    elif way == "mixed":
        step = optim.MixedPrecision(net, optim.SGD(0.1), mx.bfloat16).value_and_grad(loss)
    elif way == "jvp of nothing":
        step = lambda x: mx.jvp(loss, [x], [x])
    else:
        step = nn.value_and_grad(net, loss)
        if way == "compiled":
            step = mx.compile(step, inputs=net.state, outputs=net.state)
    for calls in (1, 2, 3):
        mx.eval(step(x))
        assert net.n.tolist() == [calls] * 2
        assert net.n.dtype == dtype or (way == "mixed" and how == "=")
    assert net.linear.weight.dtype == mx.float32


def test_value_and_grad_says_that_its_arguments_are_swapped():
    model = nn.Linear(1, 1)
    with pytest.raises(TypeError, match=r"arguments swapped: got \(function, Linear\)"):
        nn.value_and_grad(lambda x: x, model)
    for wrong in ((model, 3), (3, model), ({"w": mx.ones(1)}, print)):
        with pytest.raises(TypeError, match=r"expected \(model, function\)"):
            nn.value_and_grad(*wrong)


def on_purpose(x):
    raise RuntimeError("on purpose")


def test_value_and_grad_of_a_frozen_model_is_an_error():
    model = nn.Linear(2, 1).freeze()
    with pytest.raises(ValueError, match="trainable"):
        nn.value_and_grad(model, lambda x: model(x).sum())(mx.ones((2,)))


def directly(m):
    m.me = m


def in_a_list(m):
    m.q = [m]


def in_a_dict_of_lists(m):
    m.q = {"a": [nn.ReLU(), {"b": m}]}


def through_another(m):
    m.other = nn.Sequential(nn.Linear(1, 1), nn.Sequential(m))


def far_below(m):
    inside = m
    for _ in range(100):
        inside = nn.Sequential(inside)
    m.deep = inside


def twice(m):
    m.a, m.b = m, [m]


WALKS = {
    "named_modules": lambda m: m.named_modules(),
    "modules": lambda m: m.modules(),
    "parameters": lambda m: m.parameters(),
    "trainable_parameters": lambda m: m.trainable_parameters(),
    "leaf_modules": lambda m: m.leaf_modules(),
    "filter_and_map": lambda m: m.filter_and_map(m.valid_parameter_filter, lambda x: x),
    "freeze": lambda m: m.freeze(),
    "freeze of a key": lambda m: m.freeze(keys="weight", strict=True),
    "unfreeze": lambda m: m.unfreeze(),
    "train": lambda m: m.train(),
    "eval": lambda m: m.eval(),
    "apply": lambda m: m.apply(lambda x: x),
    "apply_to_modules": lambda m: m.apply_to_modules(lambda path, module: None),
    "set_dtype": lambda m: m.set_dtype(mx.float16),
    "load_weights": lambda m: m.load_weights([], strict=False),
    "save_weights": lambda m: m.save_weights("never.npz"),
    "repr": repr,
    "value_and_grad": lambda m: nn.value_and_grad(m, lambda: mx.array(0.0))(),
}


@pytest.mark.parametrize("walk", WALKS)
@pytest.mark.parametrize(
    "tie", [directly, in_a_list, in_a_dict_of_lists, through_another, far_below, twice]
)
def test_a_module_that_contains_itself_is_a_value_error_of_every_walk(walk, tie):
    m = nn.Linear(2, 2)
    tie(m)
    outer = nn.Sequential(nn.ReLU(), m)
    for whole in (m, outer):
        with pytest.raises(ValueError, match="contains itself"):
            WALKS[walk](whole)
    assert m.training and not m._no_grad and m.weight.dtype == mx.float32


def test_a_container_in_a_module_that_contains_itself_is_a_value_error_too():
    m = nn.Linear(2, 2)
    m.q = []
    m.q.append({"again": m.q})
    for walk in WALKS.values():
        with pytest.raises(ValueError, match="contains itself"):
            walk(m)
    m.q = ()
    m.t = (m,)  # nothing but train and eval looks into tuples
    assert list(m.parameters()) == ["weight", "bias"] and "a tuple" in repr(m)
    with pytest.raises(ValueError, match="contains itself"):
        m.eval()
    tree = {"weight": mx.ones((2, 2))}
    tree["t"] = [tree]
    m = nn.Module()
    m.update({}).t = [m]
    with pytest.raises(ValueError, match="contains itself"):
        m.update(tree, strict=False)


def test_a_module_in_two_places_does_not_contain_itself():
    shared = nn.Linear(1, 1)
    m = nn.Sequential(shared, nn.Sequential(shared, shared))
    assert [path for path, found in m.named_modules() if found is shared] == [
        "layers.1.layers.1",
        "layers.1.layers.0",
        "layers.0",
    ]
    assert len(names(m.parameters())) == 6 and not m.eval().layers[0].training
    again = {"weight": mx.ones((1, 1))}
    m.update({"layers": [again, {"layers": [again, again]}]})
    assert shared.weight.item() == 1 and "layers.0" in repr(m)


@pytest.mark.parametrize(
    "wrong",
    [
        {"scale": 3},
        {"missing": mx.ones(1)},
        {"table": [mx.ones(1)]},
        {"layers": [{}, {}, {}, mx.ones(1)]},
        {"pair": [mx.ones(2), mx.ones(1)]},
    ],
    ids=str,
)
def test_update_changes_nothing_when_anything_is_wrong(wrong):
    block = Block()
    before = [leaf for _, leaf in tree_flatten(block)]
    good = {
        "linear": {"weight": mx.zeros((3, 2))},
        "layers": [{"weight": mx.zeros((3, 3))}, {}, mx.ones(1)],
        "pair": [mx.zeros(2)],
    }
    with pytest.raises(ValueError):
        block.update({**good, **wrong})
    first, *layers = block.layers[0], *block.layers
    with pytest.raises(ValueError):
        block.update_modules({"linear": nn.ReLU(), "layers": [nn.Tanh()], **wrong})
    assert block.layers == layers and block.layers[0] is first
    after = [leaf for _, leaf in tree_flatten(block)]
    assert len(after) == len(before) and all(a is b for a, b in zip(after, before))
    block.update({**good, **wrong}, strict=False)
    assert not block.linear.weight.any().item()


def test_weights_come_from_a_file_with_names_or_from_pairs(tmp_path):
    layer = nn.Linear(2, 1)
    mx.save(tmp_path / "a.npy", mx.ones(3))
    for path in (tmp_path / "a.npy", str(tmp_path / "a.npy")):
        with pytest.raises(ValueError, match=r"\[load_weights\] no names in the file"):
            layer.load_weights(path)
    for wrong in (None, 3, b"a.npz", mx.ones(2), [1], ["ab"], [("bias",)], [(1, mx.ones(1))]):
        with pytest.raises(TypeError, match=r"\[load_weights\] weights: got"):
            layer.load_weights(wrong, strict=False)
    assert layer.load_weights({"bias": mx.array([5.0])}, strict=False).bias.item() == 5


def test_load_puts_the_weights_of_a_file_into_a_model(tmp_path):
    model, other = nn.Linear(3, 2), nn.Linear(3, 2)
    path = str(tmp_path / "model.safetensors")
    model.save_weights(path)
    assert mx.load(path, other) is other and other.weight.tolist() == model.weight.tolist()
    with pytest.raises(ValueError, match="wrong shape"):
        mx.load(path, nn.Linear(4, 2))
    with pytest.raises(TypeError, match="return_metadata"):
        mx.load(path, other, return_metadata=True)


def test_modules_are_equal_where_they_are_one():
    layers = [nn.Linear(2, 2) for _ in range(3)] + [nn.ReLU(), nn.Sequential(nn.ReLU())]
    for k, layer in enumerate(layers):
        assert layer in layers and layers.index(layer) == k and layers.count(layer) == 1
        assert layer == layer and not layer != layer
        assert layer != dict(layer) and dict(layer) != layer and layer is not None
        other = copy.deepcopy(layer)
        assert other != layer and other not in layers and other not in tuple(layers)
        with pytest.raises(ValueError):
            layers.index(other)
    assert layers[1] in nn.Sequential(*layers).layers
    first, second = layers[:2]
    layers.remove(second)
    assert second not in layers and len(layers) == 4 and layers[0] is first
    names = {first: "first", second: "second"}
    assert names[second] == "second" and len({first, second, first}) == 2
    assert first in names and layers[3] not in names
