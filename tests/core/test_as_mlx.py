"""Programs that were written for MLX run without a change."""

import importlib
import importlib.metadata
import importlib.util
import inspect
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import lazulite.as_mlx
import lazulite.core
import lazulite.nn

PACKAGES = Path(lazulite.core.__file__).parents[2]  # where the package under test lies

PROGRAM = """
import sys
from functools import partial

import mlx
import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import mlx.utils
from mlx import nn as again
from mlx.core import array, float32
from mlx.nn.layers.base import Module
from mlx.nn.layers.distributed import shard_linear
from mlx.nn.losses import cross_entropy
from mlx.utils import tree_flatten, tree_map

assert again is nn and Module is nn.Module and mlx.core is mx and nn.losses.cross_entropy is cross_entropy


class MLP(nn.Module):
    def __init__(self, dims: list[int], dtype: mx.Dtype = mx.float32, group: mx.distributed.Group = None):
        super().__init__()
        self.layers = [nn.Linear(a, b) for a, b in zip(dims, dims[1:])]

    def __call__(self, x: mx.array) -> mx.array:
        for layer in self.layers[:-1]:
            x = mx.maximum(layer(x), 0.0)
        return self.layers[-1](x)


mx.random.seed(0)
model = MLP([4, 16, 3])
optimizer = optim.Adam(learning_rate=1e-2)
state = [model.state, optimizer.state, mx.random.state]


@partial(mx.compile, inputs=state, outputs=state)
def step(x, y):
    loss, grads = nn.value_and_grad(model, lambda x, y: mx.mean(cross_entropy(model(x), y)))(x, y)
    optimizer.update(model, grads)
    return loss


x = mx.random.normal((32, 4))
y = (x[:, 0] > 0).astype(mx.int32)
for _ in range(30):
    loss = step(x, y)
    mx.eval(state)
if mx.metal.is_available() or mx.distributed.init().size() > 1:
    sys.exit("not here")
print(*sys.argv, loss.item() < 1, sum(p.size for _, p in tree_flatten(model.parameters())))
"""


def run(*arguments, cwd=None, expect=0):
    path = os.pathsep.join([str(PACKAGES), os.environ.get("PYTHONPATH", "")])
    out = subprocess.run(
        [sys.executable, "-m", "lazulite.as_mlx", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert out.returncode == expect, out.stdout + out.stderr
    return out.stdout.strip() if expect == 0 else out.stdout + out.stderr


@pytest.fixture
def installed():
    lazulite.as_mlx.install()
    yield
    lazulite.as_mlx.uninstall()


def test_a_script_runs_with_its_arguments(tmp_path):
    (tmp_path / "helper.py").write_text("import mlx.core as mx\none = mx.array(1)\n")
    script = tmp_path / "train.py"
    script.write_text(PROGRAM + "import helper\nassert helper.one.item() == 1\n")
    assert run(script, "--epochs", "3") == f"{script} --epochs 3 True 131"


def test_a_package_runs_with_its_arguments(tmp_path):
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "__init__.py").write_text("")
    (tmp_path / "train" / "__main__.py").write_text(PROGRAM)
    assert run("-m", "train", "a", "-m", cwd=tmp_path).endswith("__main__.py a -m True 131")
    code = "import mlx.core as mx, sys; print(mx.arange(2).tolist(), sys.argv)"
    assert run("-c", code, "x") == "[0, 1] ['-c', 'x']"


def test_what_is_wrong_with_the_call_is_said():
    assert "usage" in run(expect=2) and "usage" in run("--help") and "usage" in run("-m", expect=1)
    assert "No module named nowhere" in run("-m", "nowhere", expect=1)
    assert "ZeroDivisionError" in run("-c", "1 / 0", expect=1)


def test_missing_names_are_named_and_lead_to_the_docs(installed):
    import mlx.core as mx
    import mlx.nn as nn

    for get, words in (
        (lambda: mx.no_such_name, "mlx.core"),
        (lambda: mx.random.no_such_name, "mlx.core.random"),
        (lambda: mx.fast.no_such_name, "mlx.core.fast"),
        (lambda: nn.losses.no_such_name, "mlx.nn.losses"),
        (lambda: importlib.import_module("mlx").no_such_name, "mlx"),
    ):
        with pytest.raises(AttributeError) as error:
            get()
        text = str(error.value)
        assert f"'{words}'" in text and "no_such_name" in text and "docs/differences.md" in text
        assert not hasattr(mx, "no_such_name") and getattr(nn, "nothing", 3) == 3
    for name in ("mlx.data", "mlx.nn.no_such_part", "mlx.extension", "mlx.core.no_such_part"):
        with pytest.raises(ModuleNotFoundError) as error:
            importlib.import_module(name)
        assert name in str(error.value) and "docs/differences.md" in str(error.value)
        assert error.value.name == name
    with pytest.raises(ImportError, match="no_such_name"):
        exec("from mlx.nn import no_such_name")


def test_every_public_name_is_the_same_object(installed):
    for part in ("core", "nn", "optimizers", "utils", "core.random", "core.fast", "core.linalg",
                 "core.fft", "core.metal", "core.distributed", "nn.losses", "nn.init", "nn.layers",
                 "nn.utils", "optimizers.schedulers", "nn.layers.activations"):
        alias = importlib.import_module(f"mlx.{part}")
        ours = importlib.import_module(f"lazulite.{part}")
        assert isinstance(alias, type(os)) and inspect.ismodule(alias)
        for name in dir(ours):
            if not name.startswith("_") and not inspect.ismodule(getattr(ours, name)):
                assert getattr(alias, name) is getattr(ours, name), name
        assert set(n for n in dir(ours) if n[0] != "_") <= set(dir(alias))


def test_modules_that_have_other_names_here_are_found(installed):
    from mlx.nn.layers.base import Module
    from mlx.nn.layers.convolution_transpose import ConvTranspose1d

    assert Module is lazulite.nn.Module and ConvTranspose1d is lazulite.nn.ConvTranspose1d
    folder = Path(lazulite.nn.__file__).parent
    for theirs, ours in lazulite.as_mlx._MOVED.items():
        if (folder.parent / f"{ours.replace('.', '/')}.py").exists():
            alias = importlib.import_module(f"mlx.{theirs}")
            names = importlib.import_module(f"lazulite.{ours}").__all__
            assert names and all(hasattr(alias, name) for name in names)


def test_probes_find_a_version_and_modules(installed):
    import mlx.core as mx

    assert [int(n) for n in mx.__version__.split(".")[:3]] >= [0, 32, 0]
    assert importlib.metadata.version("mlx") == mx.__version__
    assert importlib.util.find_spec("mlx") is not None
    assert importlib.util.find_spec("mlx.core") is not None
    assert any(d.metadata["Name"] == "mlx" for d in importlib.metadata.distributions())
    assert importlib.metadata.version("numpy") and pickle.loads(pickle.dumps(mx.array)) is mx.array
    scope: dict = {}
    exec("from mlx.core import *", scope)
    assert scope["arange"] is mx.arange and scope["random"] is mx.random
    assert set(dir(importlib.import_module("mlx"))) >= {"core", "nn", "optimizers", "utils"}


def test_installing_twice_is_installing_once_and_it_can_be_taken_back():
    before = list(sys.meta_path)
    for _ in range(2):
        lazulite.as_mlx.install()
    assert lazulite.as_mlx.is_installed() and len(sys.meta_path) == len(before) + 1
    import mlx.core as first

    lazulite.as_mlx.uninstall()
    lazulite.as_mlx.uninstall()
    assert sys.meta_path == before and not [m for m in sys.modules if m.split(".")[0] == "mlx"]
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("mlx_is_not_here")
    assert first.array is lazulite.core.array, "what was imported stays"
    lazulite.as_mlx.install()
    import mlx.core as second

    assert second.array is first.array
    lazulite.as_mlx.uninstall()
    assert lazulite.nn.__name__ == "lazulite.nn" and lazulite.nn.__spec__.name == "lazulite.nn"


def test_an_mlx_that_is_installed_is_found_unless_we_stand_for_it(tmp_path):
    (tmp_path / "mlx").mkdir()
    (tmp_path / "mlx" / "__init__.py").write_text("")
    (tmp_path / "mlx" / "core.py").write_text("whose = 'theirs'\n")
    program = """
import sys
sys.path[:0] = sys.argv[1:]
import lazulite.as_mlx as as_mlx
as_mlx.install()
import mlx.core
assert not hasattr(mlx.core, "whose")
as_mlx.uninstall()
import mlx.core
assert mlx.core.whose == "theirs", "as without us"
try:
    as_mlx.install()
except RuntimeError as error:
    assert "imported before" in str(error)
    print("refused")
"""
    out = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path), str(PACKAGES)],
        capture_output=True,
        text=True,
    )
    assert out.stdout.strip() == "refused", out.stderr
