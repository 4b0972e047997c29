"""Work of several processes, in a group of one."""

import numpy as np
import pytest

import lazulite.core as mx
import lazulite.nn as nn
from lazulite.nn.layers.distributed import shard_inplace, shard_linear, sum_gradients
from lazulite.nn.utils import average_gradients, checkpoint
from lazulite.utils import tree_flatten


def test_there_is_one_process_and_no_back_end():
    group = mx.distributed.init()
    assert group.rank() == 0 and group.size() == 1 and isinstance(group, mx.distributed.Group)
    assert group.split(1).size() == 1 and not mx.distributed.is_available()
    for backend in ("ring", "mpi", "nccl", "jaccl"):
        assert mx.distributed.init(backend=backend).size() == 1
        assert not mx.distributed.is_available(backend)
    with pytest.raises(RuntimeError, match="strict"):
        mx.distributed.init(strict=True)
    for call in (mx.distributed.init, mx.distributed.is_available):
        with pytest.raises(ValueError, match="backend"):
            call(backend="pigeons")


def test_what_is_exchanged_is_what_it_was():
    d, group = mx.distributed, mx.distributed.init()
    for exchange in (d.all_sum, d.all_max, d.all_min, d.all_gather, d.sum_scatter):
        x = mx.arange(6).reshape(2, 3)
        assert exchange(x) is x and exchange(x, group=group, stream=mx.cpu) is x
        assert exchange(2.5).item() == 2.5
        assert mx.grad(lambda x: exchange(x * x).sum())(mx.array([3.0])).tolist() == [6]
        assert mx.compile(lambda x: exchange(x) + 1)(x).tolist() == (x + 1).tolist()
        with pytest.raises(TypeError, match="group"):
            exchange(x, group=0)


def test_nobody_else_can_be_sent_to():
    for call in (
        lambda: mx.distributed.send(mx.array(1), 0),
        lambda: mx.distributed.recv((1,), mx.float32, 1),
        lambda: mx.distributed.recv_like(mx.array(1), 1, group=mx.distributed.init()),
    ):
        with pytest.raises(ValueError, match="no other process"):
            call()


def test_gradients_of_one_process_are_their_mean():
    grads = {"a": [mx.array(1.0)], "b": mx.array(2.0)}
    assert average_gradients(grads, mx.distributed.init()) is grads
    assert nn.average_gradients(grads) is grads and nn.utils.average_gradients is average_gradients
    with pytest.raises(TypeError, match="group"):
        average_gradients(grads, 1)


@pytest.mark.parametrize("sharding", ["all-to-sharded", "sharded-to-all"])
@pytest.mark.parametrize("bias", [True, False])
def test_layers_that_are_shared_out_have_all_their_weights(sharding, bias):
    layer, x = nn.Linear(4, 6, bias=bias), mx.random.normal((3, 4))
    shared = shard_linear(layer, sharding, segments=2, group=mx.distributed.init())
    assert type(shared) is not nn.Linear and shared(x).tolist() == layer(x).tolist()
    assert [k for k, _ in tree_flatten(shared.parameters())] == [
        k for k, _ in tree_flatten(layer.parameters())
    ]
    shard_inplace(layer, sharding)
    shard_inplace(layer, lambda path, weight: sharding, group=mx.distributed.init())
    assert layer.weight.shape == (6, 4)
    for wrong in (lambda: shard_linear(layer, "x"), lambda: shard_inplace(layer, "x")):
        with pytest.raises(ValueError, match="sharding"):
            wrong()
    assert mx.grad(lambda x: sum_gradients()(x) * 2)(mx.array(1.0)).item() == 2


def test_checkpointed_modules_have_the_same_gradients():
    mx.random.seed(0)
    model, x = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1)), mx.random.normal((5, 3))
    plain = nn.value_and_grad(model, lambda x: model(x).sum())(x)[1]
    before = [id(a) for _, a in tree_flatten(model.parameters())]
    for function in (checkpoint(model), checkpoint(model, lambda x: model(x))):
        found = nn.value_and_grad(model, lambda x: function(x).sum())(x)[1]
        for (_, a), (_, b) in zip(tree_flatten(plain), tree_flatten(found)):
            assert np.array_equal(np.array(a), np.array(b))
    assert [id(a) for _, a in tree_flatten(model.parameters())] == before
    with pytest.raises(TypeError):
        checkpoint(lambda x: x)
