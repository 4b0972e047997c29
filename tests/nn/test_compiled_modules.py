"""What changes in a model after a function of it was compiled."""

import pytest

import lazulite.core as mx
import lazulite.nn as nn
import lazulite.optimizers as optim


def net():
    mx.random.seed(1)
    return nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5), nn.ReLU(), nn.BatchNorm(4),
                         nn.Linear(4, 2))


CHANGES = {
    "inference": lambda m: m.eval(),
    "a layer in inference": lambda m: m.layers[1].eval(),
    "another activation": lambda m: m.layers.__setitem__(2, nn.Tanh()),
    "no dropout": lambda m: m.layers.__setitem__(1, nn.Identity()),
    "another layer": lambda m: m.layers.__setitem__(0, nn.Linear(4, 4)),
    "another width": lambda m: m.layers.__setitem__(4, nn.Linear(4, 3)),
    "no bias": lambda m: m.layers[4].__delattr__("bias"),
    "one more": lambda m: m.layers.append(nn.Linear(2, 2)),
    "one less": lambda m: m.layers.pop(),
    "halves": lambda m: m.set_dtype(mx.float16),
    "packed": lambda m: nn.quantize(m, class_predicate=lambda p, layer: False),
    "pruned": lambda m: nn.prune(m, 0.5),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_model_is_called_as_it_is(name):
    model, x = net(), mx.random.normal((6, 4), key=mx.random.key(2))
    traces = []

    def call(x):
        traces.append(1)
        return model(x)

    compiled = mx.compile(call, inputs=[model.state, mx.random.state],
                          outputs=[model.state, mx.random.state])
    for _ in range(2):
        mx.random.seed(5)
        compiled(x)
    assert len(traces) == 1
    CHANGES[name](model)
    before = model.parameters()
    mx.random.seed(7)
    wanted = model(x)
    mx.eval(wanted)
    model.update(before)
    mx.random.seed(7)
    got = compiled(x)
    assert got.shape == wanted.shape and mx.allclose(got, wanted, atol=1e-6).item()
    count = len(traces)
    compiled(x)
    assert len(traces) == count <= 2


def test_modes_that_alternate_are_traced_once_each():
    model, traces, x = net(), [], mx.ones((3, 4))
    compiled = mx.compile(lambda x: traces.append(1) or model(x), inputs=model.state)
    for _ in range(4):
        model.train()
        compiled(x)
        model.eval()
        compiled(x)
    assert len(traces) == 2


@pytest.mark.parametrize("rule", [lambda: optim.SGD(0.1), lambda: optim.AdamW(0.1)])
def test_layers_frozen_and_thawed_between_compiled_steps(rule):
    model, rule = net().eval(), rule()
    loss_and_grad = nn.value_and_grad(model, lambda x: (model(x) - 1).square().mean())
    state = [model.state, rule.state]

    def step(x):
        loss, grads = loss_and_grad(x)
        rule.update(model, grads)
        return loss

    step, x = mx.compile(step, inputs=state, outputs=state), mx.random.normal((6, 4))

    def moves():
        before = model.layers[0].weight, model.layers[4].weight
        step(x)
        after = model.layers[0].weight, model.layers[4].weight
        return [not mx.array_equal(a, b).item() for a, b in zip(before, after)]

    assert moves() == [True, True]
    model.layers[0].freeze()
    assert moves() == [False, True]
    model.unfreeze().layers[4].freeze(keys="weight")
    assert moves() == [True, False]
    model.unfreeze()
    assert moves() == [True, True]
