"""What a public module lets one reach stands in its __all__, and the other way round."""

import importlib
import pkgutil
import types

import pytest

import lazulite

# What users import, and the modules that these name.
PUBLIC = [
    "lazulite.core", "lazulite.core.cuda", "lazulite.core.distributed", "lazulite.core.metal",
    "lazulite.data", "lazulite.nn", "lazulite.nn.activations", "lazulite.nn.init",
    "lazulite.nn.layers", "lazulite.nn.losses",
    "lazulite.nn.pruning", "lazulite.nn.quantization", "lazulite.nn.utils",
    "lazulite.optimizers", "lazulite.optimizers.schedulers", "lazulite.sparse", "lazulite.utils",
]


def of(name):
    importlib.import_module(name.rpartition(".")[0])
    return importlib.import_module(name)


def below(name):
    """The modules of a package."""
    inside = pkgutil.walk_packages(getattr(of(name), "__path__", ()), f"{name}.")
    return [importlib.import_module(m.name) for m in inside if not m.name.endswith("._core")]


def reachable(name):
    """Public names of a module that are its own: of it, or of modules inside it; also those that
    only __getattr__ has."""
    module = of(name)
    names = set(vars(module)) | {n for m in below(name) for n in getattr(m, "__all__", ())}
    home = module.__name__  # lazulite.nn.activations is lazulite.nn.layers.activations
    for n in sorted(names):
        if n.startswith("_") or not hasattr(module, n):
            continue
        one = getattr(module, n)
        where = getattr(one, "__module__", None)
        own = isinstance(where, str) and (where == home or where.startswith(f"{home}."))
        if own and not isinstance(one, types.ModuleType):
            yield n


@pytest.mark.parametrize("name", PUBLIC)
def test_what_is_reachable_is_exported(name):
    missing = set(reachable(name)) - set(getattr(of(name), "__all__", ()))
    assert not missing, f"{name}: reachable, and not in its __all__: {sorted(missing)}"


@pytest.mark.parametrize("name", PUBLIC)
def test_what_is_exported_is_there_once(name):
    exported = list(of(name).__all__)
    assert len(exported) == len(set(exported))
    for n in exported:
        assert not n.startswith("_") or n == "__version__"
        getattr(of(name), n)


def test_all_public_modules_are_tested():
    """Modules that stand in the __all__ of a public one, and packages."""
    found = {f"{m.name}" for m in pkgutil.iter_modules(lazulite.__path__, "lazulite.") if m.ispkg}
    for name in PUBLIC:
        for n in of(name).__all__:
            one = getattr(of(name), n)
            if isinstance(one, types.ModuleType) and one.__name__.startswith("lazulite."):
                found.add(f"{name}.{n}")
    native = {f"lazulite.core.{n}" for n in ("random", "fast", "fft", "linalg", "sparse")}
    assert {n for n in found if "._" not in n} - native <= set(PUBLIC)
