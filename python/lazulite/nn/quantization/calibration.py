"""Models that are called with data while their layers are watched, and layers that are
exchanged."""

from __future__ import annotations

import contextlib
import copy
import inspect
from typing import Any, Callable, Iterator, Optional

import lazulite.core as mx
from lazulite.core._trees import tracing
from lazulite.nn.layers.convolution import _Convolution
from lazulite.nn.layers.embedding import Embedding
from lazulite.nn.layers.linear import Linear
from lazulite.nn.module import Module
from lazulite.nn.quantization.settings import Settings
from lazulite.utils import tree_map, tree_map_with_path

__all__ = ["batches_of", "called", "exchanged", "kind_of", "layers_of", "ranges_of", "watched"]

Seen = Callable[[mx.array, Any], None]  # of the first argument of a call, and of what it gave


def kind_of(layer: Any) -> Optional[type[Module]]:
    """Linear, Embedding or the base of convolutions, where a layer computes as these do and its
    weight is of floats."""
    kinds: tuple[type[Module], ...] = (Linear, Embedding, _Convolution)
    for kind in kinds:
        if isinstance(layer, kind) and type(layer).__call__ is kind.__call__:
            return kind if mx.issubdtype(layer["weight"].dtype, mx.floating) else None
    return None


def layers_of(model: Module, settings: Settings) -> list[tuple[str, Module]]:
    """Paths and layers that are to be quantized, each layer once."""
    found, ids = [], set()
    for path, layer in reversed(model.named_modules()):
        wanted = kind_of(layer) is not None and id(layer) not in ids
        if wanted and (settings.predicate is None or settings.predicate(path, layer)):
            ids.add(id(layer))
            found.append((path, layer))
    return found


def exchanged(
    model: Module, settings: Settings, make: Callable[[str, Module], Optional[Module]]
) -> Module:
    """The model with other layers in it, those that ``make`` gives; in place, but for a model that
    is such a layer itself. One layer in two places stays one."""
    made: dict[int, Module] = {}
    wanted = {id(layer): path for path, layer in layers_of(model, settings)}

    def other(path: str, layer: Any) -> Module:
        if id(layer) not in wanted:
            return layer  # type: ignore[no-any-return]
        if id(layer) not in made:
            new = make(wanted[id(layer)], layer)
            made[id(layer)] = layer if new is None else new.train(layer.training)
        return made[id(layer)]

    if id(model) in wanted:
        return other("", model)
    leaves = model.leaf_modules()
    return model.update_modules(tree_map_with_path(other, leaves, is_leaf=Module.is_module))


def batches_of(data: Any, name: str = "calibration_data") -> Any:
    """Batches of calibration data: an array or a dict is one."""
    if isinstance(data, (mx.array, dict)) or hasattr(data, "__array__"):
        return [data]
    if isinstance(data, (str, bytes)) or not hasattr(data, "__iter__"):
        raise TypeError(
            f"[quantize] {name}: got {type(data).__name__}, expected an array or batches of arrays"
        )
    return data


def called(model: Module, batch: Any) -> Any:
    """What a model gives for a batch: of a tuple or list it is given what its call requires."""

    def taken(value: Any) -> Any:
        return mx.array(value) if hasattr(value, "__array__") else value

    if isinstance(batch, dict):
        return model(**{key: tree_map(taken, value) for key, value in batch.items()})
    if not isinstance(batch, (tuple, list)):
        return model(taken(batch))
    parameters = inspect.signature(type(model).__call__).parameters.values()
    required = [
        p
        for p in list(parameters)[1:]
        if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    return model(*[tree_map(taken, value) for value in batch[: max(1, len(required))]])


@contextlib.contextmanager
def watched(model: Module, seen: dict[int, Seen]) -> Iterator[None]:
    """While it is entered, the model is in inference, and what layers (by id) are called with and
    give is told to functions. Modes, statistics and the random state are afterwards what they
    were."""
    modules = {id(module): module for _, module in model._reached(tuples=True)}.values()
    modes = [(module, module._training) for module in modules]
    kinds = [(module, type(module)) for module in modules if id(module) in seen]
    key = mx.random.state[0]
    for module, _ in modes:
        module._training = False
    try:
        for module, kind in kinds:
            object.__setattr__(module, "__class__", _telling(kind, seen[id(module)]))
        yield
    finally:
        for module, kind in kinds:
            object.__setattr__(module, "__class__", kind)
        for module, mode in modes:
            module._training = mode
        mx.random.state[0] = key


def _telling(kind: type[Module], seen: Seen) -> type[Module]:
    def call(self: Any, x: mx.array, *args: Any, **kwargs: Any) -> Any:
        y = kind.__call__(self, x, *args, **kwargs)
        if not tracing():
            seen(x, y)
        return y

    return type(kind.__name__, (kind,), {"__call__": call, "__module__": kind.__module__})


def calibrate(model: Module, data: Any, seen: dict[int, Seen]) -> None:
    """Calls a model with each batch of calibration data while layers are watched."""
    count = 0
    with watched(model, seen):
        for batch in batches_of(data):
            mx.eval(called(model, batch))
            count += 1
    if count == 0:
        raise ValueError("[quantize] calibration_data: got no batch, expected one or more")


def ranges_of(model: Module, settings: Settings) -> dict[str, tuple[float, float]]:
    """The range of the inputs of each layer that calibration data reach, by path."""
    from lazulite.nn.quantization.ranges import range_for

    observers = {
        path: (layer, range_for(settings))
        for path, layer in layers_of(model, settings)
        if kind_of(layer) is not Embedding
    }
    calibrate(
        model,
        settings.calibration_data,
        {id(layer): _inputs_of(observer) for layer, observer in observers.values()},
    )
    found = {path: observer.found() for path, (_, observer) in observers.items()}
    return {path: ends for path, ends in found.items() if ends is not None}


def _inputs_of(observer: Any) -> Seen:
    return lambda x, y: observer.see(x)


def copied(model: Any) -> Module:
    """A model of its own with the values of this one; arrays share their memory."""
    if not isinstance(model, Module):
        raise TypeError(f"[quantize] model: got {type(model).__name__}, expected a Module")
    return copy.deepcopy(model)
