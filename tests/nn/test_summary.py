"""nn.summary: what a model is made of and what it costs; and that looking changes nothing."""

import pytest

import lazulite.core as mx
import lazulite.nn as nn
from lazulite.utils import tree_flatten


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        self.norm = nn.BatchNorm(4)
        self.act = nn.ReLU()
        self.twice = nn.Linear(4, 4, bias=False).freeze()
        self.head = nn.Sequential(nn.Dropout(0.5), nn.Linear(4, 3))

    def __call__(self, x, scale=1.0):
        x = self.act(self.norm(self.conv(x))).mean((1, 2))
        return self.head(self.twice(self.twice(x))) * scale


def test_rows_say_what_each_layer_gives_and_costs(capsys):
    found = nn.summary(Net(), mx.zeros((2, 8, 8, 1)), scale=2.0)
    rows = {row.name: row for row in found.rows}
    assert list(rows) == [
        "",
        "conv",
        "norm",
        "act",
        "twice",
        "head",
        "head.layers.0",
        "head.layers.1",
    ]
    assert rows["conv"].output == "float32(2, 8, 8, 4)" and rows["conv"].parameters == 40
    assert rows["conv"].flops >= 2 * 2 * 64 * 9 * 4
    assert rows["norm"].parameters == 16 and rows["norm"].trainable == 8
    assert rows["twice"].calls == 2 and rows["twice"].flops == 2 * 2 * 2 * 4 * 4
    assert rows["head.layers.1"].parameters == 15 and rows[""].output == "float32(2, 3)"
    assert rows["act"].output_bytes == 2 * 8 * 8 * 4 * 4 == rows["act"].memory
    assert found.parameters == sum(a.size for _, a in tree_flatten(Net().parameters())) == 87
    assert found.trainable == 63 and found.parameter_bytes == 4 * 87
    assert found.flops >= sum(row.flops for row in found.rows) * 0.99
    text = capsys.readouterr().out
    assert (
        text == str(found) + "\n"
        and "twice: Linear x2" in text
        and "(63 trainable, 24 not)" in text
    )


def test_looking_changes_nothing():
    mx.random.seed(0)
    model = Net()
    model.head.eval()
    key, call = mx.random.state[0].tolist(), nn.Linear.__call__
    before = [a.tolist() for _, a in tree_flatten(model.parameters())]
    for _ in range(2):
        nn.summary(model, mx.ones((2, 8, 8, 1)))
        with pytest.raises(ValueError):
            nn.summary(model, mx.ones((2, 8, 8, 3)))
    assert [a.tolist() for _, a in tree_flatten(model.parameters())] == before
    assert mx.random.state[0].tolist() == key and nn.Linear.__call__ is call
    assert model.training and model.norm.training and not model.head.training


def test_parameters_are_counted_without_a_call():
    found = nn.summary(nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 4)))
    assert found.parameters == 25 and found.flops == 0 and found.rows[1].output == ""
    shared = nn.Linear(2, 2)
    assert nn.summary(nn.Sequential(shared, shared)).parameters == 6
    with pytest.raises(TypeError, match="summary"):
        nn.summary(mx.zeros(3))


def test_layers_of_a_compiled_model_are_named_without_numbers():
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    compiled = mx.compile(lambda x: model(x))

    class Around(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = model

        def __call__(self, x):
            return compiled(x)

    found = nn.summary(Around(), mx.zeros((4, 2)))
    assert found.rows[0].output == "float32(4, 3)" and found.flops > 0
