"""Work of several processes, in a group of one."""

import numpy as np
import pytest

import lazulite.core as mx
import lazulite.nn as nn
import lazulite.optimizers as optim
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


@pytest.mark.parametrize("sharding", ["all-to-sharded", "sharded-to-all"])
@pytest.mark.parametrize("mode", ["affine", "mxfp8"])
def test_packed_layers_are_shared_out(sharding, mode):
    layer = nn.QuantizedLinear(64, 6, bias=mode == "affine", group_size=32, bits=8, mode=mode)
    shared = shard_linear(layer, sharding, segments=2)
    kind = {"a": nn.QuantizedAllToShardedLinear, "s": nn.QuantizedShardedToAllLinear}
    assert type(shared) is kind[sharding[0]]
    x = mx.random.normal((3, 64))
    assert mx.array_equal(shared(x), layer(x))
    assert not shared.trainable_parameters()
    assert (shared.group_size, shared.bits, shared.mode) == (32, 8, mode)
    shared.bias = mx.ones((6,))
    assert ("bias" in layer) == (mode == "affine")  # another layer
    again = nn.QuantizedAllToShardedLinear(128, 2, False, 64, 8, group=mx.distributed.init())
    assert again.weight.shape == (2, 32) and "bias" not in again
    with pytest.raises(TypeError, match="got Linear, expected a QuantizedLinear"):
        kind["a"].from_quantized_linear(nn.Linear(64, 2))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = [nn.Linear(4, 8), nn.BatchNorm(8), nn.Linear(8, 4)]
        self.table = mx.array([0, 2, 1, 3])

    def __call__(self, x):
        for layer in self.layers:
            x = layer(x)
        return x[..., self.table]


def test_one_process_has_all_of_a_fully_sharded_module():
    net = Net()
    assert nn.fully_shard(net) is net
    assert nn.fully_shard(net, group=mx.distributed.init(), compute_dtype=mx.float16) is net
    whole = nn.FullyShardedModule(net)
    x = mx.random.normal((5, 4))
    assert mx.array_equal(whole.eval()(x), net(x))
    assert repr(whole).startswith("FullyShardedModule(num_sharded_params=9")
    for wrong in (lambda: nn.FullyShardedModule(3), lambda: nn.fully_shard(3)):
        with pytest.raises(TypeError, match="expected a Module"):
            wrong()
    with pytest.raises(TypeError, match="group"):
        nn.fully_shard(net, group=3)
    net.scalar = mx.array(1.0)
    with pytest.raises(ValueError, match="scalar has no parts: got scalar of shape"):
        nn.FullyShardedModule(net)


def test_a_fully_sharded_module_computes_in_another_dtype():
    net = Net()
    whole = nn.FullyShardedModule(net, compute_dtype=mx.bfloat16)
    x = mx.random.normal((5, 4))
    cast = Net()
    cast.update(net.parameters())
    cast.set_dtype(mx.bfloat16)
    want = cast(x.astype(mx.bfloat16))
    mean = net.layers[1].running_mean
    got = whole(x.astype(mx.bfloat16))
    assert got.dtype == mx.bfloat16 and mx.array_equal(got, want)
    # Parameters are as they were; statistics that the call wrote are kept in their own dtype.
    assert all(p.dtype == mx.float32 for _, p in tree_flatten(net.parameters()) if p.ndim > 1)
    assert net.table.dtype == mx.int32
    assert not mx.array_equal(net.layers[1].running_mean, mean)
    assert net.layers[1].running_mean.dtype == mx.float32
    # So are gradients, and so it is when the call raises.
    loss = nn.value_and_grad(whole, lambda x: whole(x).astype(mx.float32).sum())
    _, grads = loss(x.astype(mx.bfloat16))
    assert {g.dtype for _, g in tree_flatten(grads) if g.ndim > 1} == {mx.float32}
    weight = net.layers[0].weight
    with pytest.raises(ValueError):
        whole(mx.zeros((5, 3), mx.bfloat16))
    assert net.layers[0].weight is weight
    step = mx.compile(lambda x: whole(x), inputs=net, outputs=net)
    whole.eval()
    assert mx.array_equal(step(x.astype(mx.bfloat16)), whole(x.astype(mx.bfloat16)))


def test_modules_sharded_inside_cast_for_themselves():
    inner = nn.FullyShardedModule(nn.Linear(4, 4), compute_dtype=mx.float16)
    outer = nn.FullyShardedModule(nn.Sequential(nn.Linear(4, 4), inner), compute_dtype=mx.float32)
    assert repr(outer).startswith("FullyShardedModule(num_sharded_params=2")
    assert outer(mx.zeros((2, 4))).dtype == mx.float32
    table = nn.FullyShardedModule(nn.Embedding(6, 4), compute_dtype=mx.float16)
    assert table(mx.array([1, 2])).dtype == mx.float16
    assert table.as_linear(mx.zeros((2, 4), mx.float16)).shape == (2, 6)


def test_gradients_that_are_shared_out_are_clipped_by_the_norm_of_all():
    grads = {"a": mx.array([3.0, 0.0]), "b": [mx.array([[4.0]])]}
    for group in (None, mx.distributed.init()):
        clipped, norm = nn.utils.clip_grad_norm_sharded(grads, 1.0, group)
        wanted, same = optim.clip_grad_norm(grads, 1.0)
        assert norm.item() == same.item() == 5
        assert mx.array_equal(clipped["a"], wanted["a"])
    with pytest.raises(TypeError, match=r"\[clip_grad_norm_sharded\] group"):
        nn.utils.clip_grad_norm_sharded(grads, 1.0, "all")
