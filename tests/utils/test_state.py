"""A run as one file: it goes on where it was, whatever ended it, to the same bits."""

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import lazulite.core as mx
import lazulite.nn as nn
import lazulite.optimizers as optim
from lazulite.data import ArrayDataset, DataLoader
from lazulite.utils import load_state, save_state, tree_flatten

STEPS = 14


class Run:
    """A network with dropout and running statistics, a compiled step, and data in random order."""

    def __init__(self, seed):
        mx.random.seed(seed)
        rng = np.random.default_rng(0)
        x = rng.normal(size=(50, 6)).astype(np.float32)
        y = (x[:, 0] > 0).astype(np.int32)
        self.model = nn.Sequential(
            nn.Linear(6, 16), nn.BatchNorm(16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 2)
        )
        self.optimizer = optim.Adam(optim.cosine_decay(0.05, STEPS))
        self.loader = DataLoader(ArrayDataset(x, y), 8, shuffle=True, num_workers=1)
        self.rng = np.random.default_rng(seed)
        self.step = 0
        state = [self.model.state, self.optimizer.state, mx.random.state]
        loss_and_grad = nn.value_and_grad(self.model, self.loss)

        @partial(mx.compile, inputs=state, outputs=state)
        def compiled(x, y):
            loss, grads = loss_and_grad(x, y)
            self.optimizer.update(self.model, grads)
            return loss

        self.compiled = compiled

    def loss(self, x, y):
        return nn.losses.cross_entropy(self.model(x), y, reduction="mean")

    def parts(self):
        return {
            "model": self.model,
            "optimizer": self.optimizer,
            "data": self.loader,
            "rng": self.rng,
        }

    def losses(self):
        """The losses that are still to come, each as its bits."""
        while self.step < STEPS:
            for x, y in self.loader:
                noise = mx.array(self.rng.normal(size=x.shape).astype(np.float32))
                loss = self.compiled(x + 0.1 * noise, y)
                self.step += 1
                yield loss.item().hex()
                if self.step == STEPS:
                    break

    def save(self, path):
        save_state(path, **self.parts(), step=self.step)

    def load(self, path):
        self.step = load_state(path, **self.parts())["step"]


def test_a_run_goes_on_to_the_same_bits_from_any_step(tmp_path):
    path = str(tmp_path / "run.state")
    whole, kept = [], []
    run = Run(1)
    for loss in run.losses():
        whole.append(loss)
        run.save(path)
        kept.append(Path(path).read_bytes())
    for step in (1, 6, 7, 8, 13):
        Path(path).write_bytes(kept[step - 1])
        other = Run(2)
        next(other.losses())  # a step that is compiled already goes on with what is loaded
        other.load(path)
        assert list(other.losses()) == whole[step:]


CHILD = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from test_state import Run
path, log, when = sys.argv[2:5]
name, _, count = when.partition(":")
if name:
    real, left = getattr(os, name), [int(count)]
    def killing(*args, **kwargs):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **kwargs)
    setattr(os, name, killing)
run = Run(1)
if os.path.exists(path):
    run.load(path)
with open(log, "a") as out:
    for loss in run.losses():
        out.write(f"{run.step} {loss}\\n")
        out.flush()
        run.save(path)
print("finished")
"""


def test_a_run_that_is_killed_while_it_saves_goes_on_to_the_same_bits(tmp_path):
    """Killed before the bytes are on the disk, before and after the file takes its name."""
    path, log = str(tmp_path / "run.state"), str(tmp_path / "log")
    whole = [(i + 1, loss) for i, loss in enumerate(Run(1).losses())]
    for when in ("fsync:1", "replace:1", "fsync:4", "replace:3", "open:9", "unlink:1", ""):
        out = subprocess.run(
            [sys.executable, "-c", CHILD, str(Path(__file__).parent), path, log, when],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        )
        assert out.returncode in (0, -signal.SIGKILL), out.stderr
        if "finished" in out.stdout:
            break
    assert "finished" in out.stdout
    found = [line.split() for line in Path(log).read_text().splitlines()]
    assert len(found) > len(whole), "it was killed after steps that were not saved"
    assert {(int(step), loss) for step, loss in found} == set(whole)
    assert sorted(os.listdir(tmp_path)) == ["log", "run.state"], "nothing else is left"


def test_all_kinds_of_parts_come_back(tmp_path):
    path = tmp_path / "a"
    generators = [np.random.Generator(kind(3)) for kind in (np.random.MT19937, np.random.Philox)]
    tree = {
        "a": [mx.arange(3), (1, 2.5, None, "x", True)],
        "b": {},
        "c.d": mx.ones((), mx.bfloat16),
        "c": {"d": np.arange(2), "e": np.float64(0.1)},
    }
    save_state(path, tree=tree, nothing=None, first=generators[0], second=generators[1])
    expected = [g.random(3).tolist() for g in generators]
    found = load_state(path, first=generators[0], second=generators[1])
    assert [g.random(3).tolist() for g in generators] == expected
    assert found["nothing"] is None and found["tree"]["a"][1] == (1, 2.5, None, "x", True)
    assert found["tree"]["b"] == {} and found["tree"]["c.d"].dtype == mx.bfloat16
    assert found["tree"]["c"]["d"].dtype == mx.int64 and found["tree"]["c"]["e"] == 0.1
    assert set(load_state(path)) == {"tree", "nothing", "first", "second"}


@pytest.mark.parametrize("letter", np.typecodes["All"])
def test_arrays_of_numpy_of_every_dtype_come_back_or_are_refused(letter, tmp_path):
    path, values = tmp_path / "a", np.ones((2, 3), letter)
    turned = values.astype(values.dtype.newbyteorder())
    if values.dtype.kind == "c":
        values.real, values.imag = -0.0, np.inf
    for array in (values, values[::-1, ::2], values[:0], values[0, 0], turned):
        if letter in "?bBhHiIlLqQpPnNefdFD":
            save_state(path, x=[array])
            (found,) = load_state(path)["x"]
            found = np.array(found)
            np.testing.assert_array_equal(found, array)
            assert not array.shape or found.dtype == array.dtype.newbyteorder("=")
        elif isinstance(array, np.ndarray):
            with pytest.raises(TypeError, match=r"^\[save_state\] x.0: got \w+"):
                save_state(path, x=[array])


def test_trees_that_are_none_are_refused_and_odd_names_kept(tmp_path):
    path = tmp_path / "a"
    for make in (list, dict):
        inside = make()
        tree = {"a": [inside, inside]}  # one object in two places is no circle
        save_state(path, tree=tree)
        assert load_state(path)["tree"] == tree
        inside.append(tree) if make is list else inside.update(b=tree)
        with pytest.raises(ValueError, match=r"^\[save_state\] tree.a.0.*contains itself"):
            save_state(path, tree=tree)
        assert load_state(path)["tree"] == {"a": [make(), make()]}  # the file of before
    for depth in (90, 10_000):
        deep = mx.ones(2)
        for _ in range(depth):
            deep = [deep]
        if depth < 100:
            save_state(path, deep=deep)
            found = load_state(path)["deep"]
            for _ in range(depth):
                (found,) = found
            assert found.tolist() == [1, 1]
        else:
            with pytest.raises(ValueError, match=r"^\[save_state\] deep.0.*in one another"):
                save_state(path, deep=deep)
            while isinstance(deep, list):  # whose end would be a recursion of its own
                (deep,) = deep
    save_state(path, **{"__metadata__": mx.arange(3), "": mx.ones(1), "a.b": 1})
    found = load_state(path)
    assert found["__metadata__"].tolist() == [0, 1, 2] and found[""].item() == 1
    with pytest.raises(ValueError, match=r"^\[load_state\] a.b: .*returned"):
        load_state(path, **{"a.b": 2})


def test_several_optimizers_in_one_come_back_in_the_dicts_that_others_hold(tmp_path):
    path = str(tmp_path / "a")

    def made():
        mx.random.seed(0)
        model = nn.Linear(3, 2)
        rule = optim.MultiOptimizer(
            [optim.Adam(0.1), optim.SGD(0.1, momentum=0.9)], [lambda path, _: path == "bias"]
        )
        return model, rule

    def step(model, rule):
        grads = nn.value_and_grad(model, lambda: model(mx.ones((1, 3))).square().sum())()[1]
        rule.update(model, grads)

    model, rule = made()
    step(model, rule)
    save_state(path, model=model, rule=rule)
    step(model, rule)
    other, again = made()
    held = again.optimizers[0].state
    load_state(path, model=other, rule=again)
    assert again.optimizers[0].state is held
    step(other, again)
    for (name, a), (_, b) in zip(
        tree_flatten(model.parameters()), tree_flatten(other.parameters())
    ):
        assert a.tolist() == b.tolist(), name


def test_random_numbers_go_on(tmp_path):
    path = str(tmp_path / "a")
    mx.random.seed(5)
    mx.random.normal((3,))
    save_state(path)
    expected = mx.random.normal((3,)).tolist()
    assert load_state(path) == {} and mx.random.normal((3,)).tolist() == expected
    assert mx.random.normal((3,)).tolist() != expected
    load_state(path, random=False)
    assert mx.random.normal((3,)).tolist() != expected


def test_nothing_changes_where_something_does_not_fit(tmp_path):
    path = str(tmp_path / "a")
    loader = DataLoader(range(10), 2, seed=1)
    save_state(path, model=nn.Linear(3, 2), data=loader, optimizer=optim.SGD(0.5), n=1)
    model, rule = nn.Linear(3, 2), optim.SGD(0.1)
    weight = model.weight.tolist()
    others = nn.Linear(3, 3), nn.Sequential(nn.Linear(3, 2))
    key = mx.random.state[0].tolist()
    for parts in (
        {"model": model, "data": DataLoader(range(10), 2, seed=2)},
        {"model": model, "other": model},
        {"model": model, "n": model},
        {"model": rule},
        {"model": others[0], "optimizer": rule},
        {"model": others[1], "optimizer": rule},
    ):
        with pytest.raises(ValueError):
            load_state(path, **parts)
        assert model.weight.tolist() == weight and rule.learning_rate.item() == pytest.approx(0.1)
        assert mx.random.state[0].tolist() == key
    with pytest.raises(TypeError, match="object"):
        save_state(path, thing=object())
    assert load_state(path)["n"] == 1, "the file of before is as it was"
    with pytest.raises(FileNotFoundError):
        save_state(str(tmp_path / "none" / "a"), n=1)
    with pytest.raises(FileNotFoundError):
        load_state(str(tmp_path / "none"))


def test_every_cut_and_other_files_are_refused(tmp_path):
    path = tmp_path / "a"
    save_state(path, w=mx.arange(4), n=3)
    data = path.read_bytes()
    for n in range(0, len(data), 7):
        path.write_bytes(data[:n])
        with pytest.raises(mx.FormatError):
            load_state(path)
    mx.save_safetensors(str(tmp_path / "b"), {"w": mx.arange(4)})
    with pytest.raises(mx.FormatError):
        load_state(tmp_path / "b.safetensors")
    for head in ("{}", "[]", '{"format": "lazulite.state 1", "parts": {"a": ["tree", ["array", "x"]]}}'):
        mx.save_safetensors(str(tmp_path / "b"), {"w": mx.arange(4)}, metadata={"lazulite": head})
        with pytest.raises(mx.FormatError):
            load_state(tmp_path / "b.safetensors")


def test_what_killed_processes_left_is_removed_and_what_runs_is_not(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    child.wait()
    gone, mine = f".run.{child.pid}-00.tmp", f".run.{os.getpid()}-00.tmp"
    others = [".run.tmp", ".run.x-1.tmp", f".run2.{child.pid}-00.tmp"]
    for name in (gone, mine, *others):
        (tmp_path / name).write_bytes(b"")
    save_state(tmp_path / "run", n=1)
    assert sorted(os.listdir(tmp_path)) == sorted([mine, *others, "run"])
