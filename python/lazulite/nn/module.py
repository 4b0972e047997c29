"""The base class of layers and models."""

from __future__ import annotations

import os
import textwrap
import threading
from typing import TYPE_CHECKING, Any, Callable, Optional, Union

import lazulite.core as mx
from lazulite.core._trees import (
    kept_by_module,
    map_leaves,
    parameters_of,
    update_parameters,
)
from lazulite.utils import tree_flatten, tree_map_with_path

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Module"]

_CONTAINERS = (dict, list, tuple)
_FIELDS = (mx.array, *_CONTAINERS)  # attributes of these types are entries of the dict
_WALKED = (dict, list)  # tuples hold no parameters and no children, as in the reference
_printing = threading.local()  # the modules whose repr is being made in this thread


class Module(dict[str, Any]):
    """A dict of arrays and of other modules, nested as the model is, with a formula to call.

    Attributes that are arrays, dicts, lists, tuples or modules are entries of the dict. Parameters
    and children are collected from arrays and modules, also inside dicts and lists, never from
    tuples (printing says where a tuple holds some) and names that begin with an underscore.
    Other attributes (numbers, functions) are ordinary.

    Example:
        >>> import lazulite.core as mx, lazulite.nn as nn
        >>> class Scale(nn.Module):
        ...     def __init__(self, dims):
        ...         super().__init__()
        ...         self.factor = mx.ones((dims,))
        ...     def __call__(self, x):
        ...         return self.factor * x
        >>> scale = Scale(2)
        >>> scale.parameters()
        {'factor': array([1, 1], dtype=float32)}
        >>> scale.freeze().trainable_parameters()
        {}
    """

    __call__: Callable[..., Any]
    _no_grad: frozenset[str]
    _training: bool
    _fixed: bool = False  # unfreeze leaves what is here as it is, but for floats that it names
    _traced_attributes = ("_training", "_no_grad")  # compile traces anew where they change

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        # Here and not in __init__, so that a subclass may leave out super().__init__().
        self = super().__new__(cls)
        self.__dict__["_no_grad"] = frozenset()
        self.__dict__["_training"] = True
        return self

    def __init__(self) -> None:
        """Start an empty module, in training mode."""

    # Modules are equal where they are one, so that lists of them find and remove them; comparing
    # their arrays would give arrays.

    def __eq__(self, other: object) -> bool:
        return self is other

    def __ne__(self, other: object) -> bool:
        return self is not other

    def __hash__(self) -> int:  # type: ignore[override]
        return id(self) >> 4

    # Attributes

    def __getattr__(self, key: str) -> Any:
        if key in self:
            return self[key]
        return super().__getattribute__(key)  # raises, with the message of what went wrong

    def __setattr__(self, key: str, val: Any) -> None:
        if isinstance(val, _FIELDS) and not isinstance(getattr(type(self), key, None), property):
            if callable(getattr(Module, key, None)):  # it would never be read: the method would
                raise ValueError(
                    f"[{type(self).__name__}] {key!r} is a method of every module: got "
                    f"{type(val).__name__} for it, expected another name"
                )
            self.__dict__.pop(key, None)
            if type(val) is mx.array:
                kept_by_module(val, self.get(key))  # before another thread may find it
            self[key] = val
        else:
            super().__setattr__(key, val)
            self.pop(key, None)

    def __delattr__(self, name: str) -> None:
        if name in self:
            del self[name]
        else:
            super().__delattr__(name)

    def _extra_repr(self) -> str:
        """What repr shows between the parentheses, for subclasses to say."""
        return ""

    def __repr__(self) -> str:
        around = _printing.__dict__.setdefault("modules", set())
        if id(self) in around:
            raise _contains_itself(self, "")
        around.add(id(self))
        try:
            lines = [
                f"({name}): {child!r}"
                for name, child in tree_flatten(self.children(), is_leaf=self.is_module)
            ]
        finally:
            around.discard(id(self))
        lines += [
            f"({name}): a tuple, left out of parameters() with its {', '.join(held)}"
            for name, held in _tuples_that_hold("", dict(self))
        ]
        body = "".join("\n" + textwrap.indent(line, "  ") for line in lines)
        return f"{type(self).__name__}({self._extra_repr()}{body}" + ("\n)" if lines else ")")

    @property
    def state(self) -> Self:
        """The module itself: a dict that stays valid while its entries change."""
        return self

    @property
    def training(self) -> bool:
        """Whether layers that differ between the two, such as dropout, act as in training."""
        return bool(self._training)

    # What a module holds

    @staticmethod
    def is_module(value: Any) -> bool:
        """Whether ``value`` is a module."""
        return isinstance(value, Module)

    @staticmethod
    def valid_child_filter(module: Module, key: str, value: Any) -> bool:
        """For :meth:`filter_and_map`: modules, and dicts and lists, which may hold some."""
        return isinstance(value, _WALKED)

    @staticmethod
    def valid_parameter_filter(module: Module, key: str, value: Any) -> bool:
        """For :meth:`filter_and_map`: arrays, modules, dicts and lists; no underscore first."""
        return isinstance(value, (mx.array, *_WALKED)) and not key.startswith("_")

    @staticmethod
    def trainable_parameter_filter(module: Module, key: str, value: Any) -> bool:
        """For :meth:`filter_and_map`: parameters of ``module`` that are not frozen."""
        return Module.valid_parameter_filter(module, key, value) and key not in module._no_grad

    def filter_and_map(
        self,
        filter_fn: Callable[[Module, str, Any], bool],
        map_fn: Optional[Callable[[Any], Any]] = None,
        is_leaf_fn: Optional[Callable[[Module, str, Any], bool]] = None,
    ) -> dict[str, Any]:
        """A nested dict of what ``filter_fn`` chooses, each leaf passed through ``map_fn``.

        All three functions know an item by the module that owns it, its name there (``"layers.0"``
        inside a container) and its value. An item of a container that is left out gives ``{}``.

        Args:
            filter_fn: ``filter_fn(module, name, value)`` says whether an item stays.
            map_fn: the function of the leaves.
            is_leaf_fn: what a leaf is; by default all but modules, dicts, lists and tuples.

        Raises:
            ValueError: a module, or a container in it, contains itself. So do all methods that
                walk the modules inside.

        Example:
            >>> import lazulite.core as mx, lazulite.nn as nn
            >>> layer = nn.Linear(3, 2)
            >>> layer.filter_and_map(lambda module, name, value: name == "bias", lambda x: x.shape)
            {'bias': (2,)}
        """
        trainable = filter_fn is _TRAINABLE
        if is_leaf_fn is None and (trainable or filter_fn is _VALID):
            made = parameters_of(self, Module, trainable)
            if made is not None:
                return made if map_fn is None else map_leaves(map_fn, made)
        is_leaf = is_leaf_fn or _no_container
        return _select_all(self, filter_fn, map_fn or _same, is_leaf, set())

    def parameters(self) -> dict[str, Any]:
        """All parameters as nested dicts and lists, running statistics included."""
        return self.filter_and_map(self.valid_parameter_filter)

    def trainable_parameters(self) -> dict[str, Any]:
        """The parameters that are not frozen, as nested dicts and lists."""
        return self.filter_and_map(self.trainable_parameter_filter)

    def children(self) -> dict[str, Any]:
        """The modules directly in this one, by name."""
        return self.filter_and_map(
            self.valid_child_filter, is_leaf_fn=lambda module, name, value: self.is_module(value)
        )

    def leaf_modules(self) -> dict[str, Any]:
        """The modules that hold no other modules, nested as they are in this one."""

        def is_leaf(module: Module, name: str, value: Any) -> bool:
            return self.is_module(value) and not value._named_children()

        return self.filter_and_map(self.valid_child_filter, is_leaf_fn=is_leaf)

    def modules(self) -> list[Module]:
        """This module and all modules in it, in the order of :meth:`named_modules`."""
        return [module for _, module in self.named_modules()]

    def named_modules(self) -> list[tuple[str, Module]]:
        """Pairs of path and module: this one as ``""`` first, then the children, last to first.

        Example:
            >>> import lazulite.nn as nn
            >>> model = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
            >>> [name for name, module in model.named_modules()]
            ['', 'layers.1', 'layers.0']
        """
        return self._reached()

    def _reached(self, tuples: bool = False) -> list[tuple[str, Module]]:
        """named_modules; with ``tuples`` also what is in tuples, under the path ""."""
        found: list[tuple[str, Module]] = []
        stack: list[tuple[str, Module, int]] = [("", self, 0)]
        line: dict[int, Module] = {}  # the modules from this one down to where the walk stands
        while stack:
            path, module, depth = stack.pop()
            while len(line) > depth:
                line.popitem()
            if id(module) in line:
                raise _contains_itself(module, path)
            line[id(module)] = module
            found.append((path, module))
            inside = module._named_children(path)
            if tuples:
                inside += [("", held) for held in module._modules_in_tuples()]
            stack += [(name, child, depth + 1) for name, child in inside]
        return found

    def _named_children(self, path: str = "") -> list[tuple[str, Module]]:
        pairs = tree_flatten(self.children(), prefix=path, is_leaf=self.is_module)
        return [(name, child) for name, child in pairs if self.is_module(child)]

    def _modules_in_tuples(self) -> list[Module]:
        found = []
        entries = tree_flatten(dict(self), is_leaf=lambda x: isinstance(x, (tuple, Module)))
        for _, value in entries:
            if isinstance(value, tuple):
                inside = tree_flatten(value, is_leaf=self.is_module)
                found += [module for _, module in inside if self.is_module(module)]
        return found

    # Changing what it holds

    def update(  # type: ignore[override]
        self, parameters: dict[str, Any], strict: bool = True
    ) -> Self:
        """Replace parameters by those of a tree, which may hold any part of this module's.

        Neither shape nor dtype is checked. Nothing is replaced when anything is wrong.

        Args:
            parameters: nested dicts and lists, as :meth:`parameters` returns them.
            strict: raise for what does not fit, instead of leaving it out.

        Raises:
            ValueError: a name that the module does not have, an index past the end of a list, or
                a value that is not an array; also a KeyError for a list in place of a dict.

        Example:
            >>> import lazulite.core as mx, lazulite.nn as nn
            >>> layer = nn.Linear(2, 1).update({"bias": mx.array([5.0])})
            >>> layer.bias
            array([5], dtype=float32)
        """
        if not update_parameters(self, parameters, Module):
            _replace(self, parameters, lambda value: isinstance(value, mx.array), "array", strict)
        return self

    def update_modules(self, modules: dict[str, Any], strict: bool = True) -> Self:
        """Replace modules by those of a tree, which may hold any part of this module's children.

        Nothing is replaced when anything is wrong.

        Args:
            modules: nested dicts and lists, as :meth:`children` or :meth:`leaf_modules` return.
            strict: raise for what does not fit, instead of leaving it out.

        Raises:
            ValueError: a name that the module does not have, an index past the end of a list, or
                a value that is not a module.

        Example:
            >>> import lazulite.nn as nn
            >>> nn.Sequential(nn.ReLU(), nn.ReLU()).update_modules({"layers": [{}, nn.Tanh()]})
            Sequential(
              (layers.0): ReLU()
              (layers.1): Tanh()
            )
        """
        _replace(self, modules, self.is_module, "module", strict)
        return self

    def apply(
        self,
        map_fn: Callable[[mx.array], mx.array],
        filter_fn: Optional[Callable[[Module, str, Any], bool]] = None,
    ) -> Self:
        """Replace every parameter by ``map_fn`` of it.

        Args:
            map_fn: the function of a parameter.
            filter_fn: which ones, as in :meth:`filter_and_map`; by default all parameters.

        Example:
            >>> import lazulite.core as mx, lazulite.nn as nn
            >>> nn.Linear(2, 1).apply(lambda x: 0 * x + 7).parameters()
            {'weight': array([[7, 7]], dtype=float32), 'bias': array([7], dtype=float32)}
        """
        return self.update(self.filter_and_map(filter_fn or self.valid_parameter_filter, map_fn))

    def apply_to_modules(self, apply_fn: Callable[[str, Module], Any]) -> Self:
        """Call ``apply_fn(path, module)`` for this module and every one in it."""
        for path, module in self.named_modules():
            apply_fn(path, module)
        return self

    def set_dtype(
        self,
        dtype: mx.Dtype,
        predicate: Optional[Callable[[mx.Dtype], bool]] = lambda x: mx.issubdtype(x, mx.floating),
    ) -> Self:
        """Convert the parameters to ``dtype``.

        Args:
            dtype: the new one.
            predicate: which present dtypes are converted: by default the floating ones, all
                where it is None.

        Example:
            >>> import lazulite.core as mx, lazulite.nn as nn
            >>> nn.Linear(2, 1).set_dtype(mx.float16).bias.dtype == mx.float16
            True
        """
        return self.apply(
            lambda x: x.astype(dtype) if predicate is None or predicate(x.dtype) else x
        )

    # Training and inference

    def freeze(
        self,
        *,
        recurse: bool = True,
        keys: Optional[Union[str, list[str]]] = None,
        strict: bool = False,
    ) -> Self:
        """Leave parameters out of :meth:`trainable_parameters`, and so out of training.

        Args:
            recurse: in the modules inside as well.
            keys: the names to freeze, of parameters or of containers of modules, in each of the
                modules that has them; by default all parameters.
            strict: raise, before anything is changed, for a name that no module reached has.

        Raises:
            KeyError: ``strict`` and a name is missing.

        Example:
            >>> import lazulite.nn as nn
            >>> list(nn.Linear(2, 1).freeze(keys="bias").trainable_parameters())
            ['weight']
        """
        keys = self._checked(keys, recurse, strict)
        if recurse:
            return self.apply_to_modules(
                lambda _, module: module.freeze(recurse=False, keys=keys)
            )
        names = self._own_parameter_names() if keys is None else keys
        self._no_grad = self._no_grad.union(names)
        return self

    def unfreeze(
        self,
        *,
        recurse: bool = True,
        keys: Optional[Union[str, list[str]]] = None,
        strict: bool = False,
    ) -> Self:
        """Undo :meth:`freeze`, with the same arguments.

        Codes of quantized layers stay frozen, and so do their scales, offsets and biases unless
        ``keys`` names them.

        Raises:
            KeyError: ``strict`` and a name is missing.

        Example:
            >>> import lazulite.nn as nn
            >>> list(nn.Linear(2, 1).freeze().unfreeze(keys="bias").trainable_parameters())
            ['bias']
        """
        keys = self._checked(keys, recurse, strict)
        if recurse:
            return self.apply_to_modules(
                lambda _, module: module.unfreeze(recurse=False, keys=keys)
            )
        names = self._no_grad if keys is None else keys
        if self._fixed:
            names = [] if keys is None else [k for k in keys if not _is_integer(self.get(k))]
        self._no_grad = self._no_grad.difference(names)
        return self

    def _own_parameter_names(self) -> list[str]:
        """The names of the arrays that are here and not in a module inside: ``"weight"``, ..."""
        own = self.filter_and_map(
            lambda module, name, value: not self.is_module(value)
            and self.valid_parameter_filter(module, name, value)
        )
        return [name for name, _ in tree_flatten(own)]

    def _checked(
        self, keys: Optional[Union[str, list[str]]], recurse: bool, strict: bool
    ) -> Optional[list[str]]:
        """The names as a list; where ``strict``, some module reached must have each."""
        if keys is None:
            return None
        names = [keys] if isinstance(keys, str) else keys
        if not isinstance(names, (list, tuple, set)) or not all(isinstance(n, str) for n in names):
            raise TypeError(f"[freeze] keys: got {keys!r}, expected a name or a list of names")
        if strict:
            reached = self.modules() if recurse else [self]
            missing = [name for name in names if not any(name in module for module in reached)]
            if missing:
                known = dict.fromkeys(name for module in reached for name in module)
                raise KeyError(
                    f"[freeze] {type(self).__name__} has no {', '.join(missing)}: "
                    f"expected names such as {', '.join(known)}"
                )
        return list(names)

    def train(self, mode: bool = True) -> Self:
        """Set :attr:`training` of this module and of all in it."""
        for _, module in self._reached(tuples=True):
            module._set_training_mode(bool(mode))
        return self

    def _set_training_mode(self, mode: bool) -> None:
        """For layers that become something else in inference."""
        self._training = mode

    def eval(self) -> Self:
        """Set :attr:`training` to False in this module and in all in it."""
        return self.train(False)

    # Files

    def save_weights(self, file: Union[str, os.PathLike[str]]) -> None:
        """Write all parameters to a file.

        Args:
            file: a path that ends in ``.npz`` or ``.safetensors``.

        Raises:
            ValueError: the path has another ending.
        """
        path = os.fspath(file)
        weights = tree_flatten(self.parameters(), destination={})
        if path.endswith(".npz"):
            mx.savez(path, **weights)
        elif path.endswith(".safetensors"):
            mx.save_safetensors(path, weights)
        else:
            raise ValueError(
                f"[save_weights] unknown ending: got {path!r}, expected .npz or .safetensors"
            )

    def load_weights(
        self,
        file_or_weights: Union[str, os.PathLike[str], list[tuple[str, mx.array]]],
        strict: bool = True,
    ) -> Self:
        """Replace parameters by those of a file or of a list of pairs ``("path.to.it", array)``.

        Nothing is replaced when anything is wrong.

        Args:
            file_or_weights: the path of a .npz or .safetensors file, or the pairs.
            strict: demand exactly the parameters of this module. Otherwise those that are missing
                stay as they are and unknown ones are passed over.

        Raises:
            ValueError: names are missing or unknown (only where ``strict``), a value is not an
                array, or the shape of a known name is wrong. The message lists the names. Also
                for a file that holds one array without a name.
            TypeError: neither a path nor pairs.

        Example:
            >>> import lazulite.core as mx, lazulite.nn as nn
            >>> layer = nn.Linear(2, 1)
            >>> layer.load_weights([("bias", mx.array([5.0]))], strict=False).bias
            array([5], dtype=float32)
        """
        if isinstance(file_or_weights, (str, os.PathLike)):
            weights: Any = mx.load(file_or_weights)
            if not isinstance(weights, dict):
                raise ValueError(
                    f"[load_weights] no names in the file: got {os.fspath(file_or_weights)!r} "
                    "with one array, expected an .npz or .safetensors file"
                )
        else:
            weights = _named(file_or_weights)
        present = tree_flatten(self.parameters(), destination={})

        def list_problem(what: str, names: list[str]) -> None:
            if names:
                raise ValueError(
                    f"[load_weights] {type(self).__name__}: {len(names)} {what}: "
                    + ", ".join(names)
                )

        if strict:
            list_problem("unknown parameters", [name for name in weights if name not in present])
            list_problem("missing parameters", [name for name in present if name not in weights])
        known = {name: value for name, value in weights.items() if name in present}
        list_problem(
            "parameters that are not arrays",
            [
                f"{name} (got {type(value).__name__})"
                for name, value in known.items()
                if not isinstance(value, mx.array)
            ],
        )
        list_problem(
            "parameters of the wrong shape",
            [
                f"{name} (got {tuple(value.shape)}, expected {tuple(present[name].shape)})"
                for name, value in known.items()
                if value.shape != present[name].shape
            ],
        )
        # By path, and not through tree_unflatten: a dict may have keys with dots in them.
        return self.update(
            tree_map_with_path(lambda path, old: known.get(path, old), self.parameters())
        )


# What these choose is collected by the core.
_VALID, _TRAINABLE = Module.valid_parameter_filter, Module.trainable_parameter_filter


def _named(pairs: Any) -> dict[str, Any]:
    """A list of pairs as a dict."""
    expected = "expected a path or a list of pairs of name and array"
    if isinstance(pairs, (str, bytes, mx.array)) or not hasattr(pairs, "__iter__"):
        raise TypeError(f"[load_weights] weights: got {type(pairs).__name__}, {expected}")
    found = {}
    for pair in pairs.items() if isinstance(pairs, dict) else pairs:
        if not isinstance(pair, (tuple, list)) or len(pair) != 2 or not isinstance(pair[0], str):
            raise TypeError(f"[load_weights] weights: got {type(pair).__name__} inside, {expected}")
        found[pair[0]] = pair[1]
    return found


def _contains_itself(value: Any, path: str) -> ValueError:
    where = f"again at {path!r}" if path else "again"
    return ValueError(
        f"[Module] a {type(value).__name__} contains itself: got it {where}, "
        "expected modules and containers without a cycle"
    )


class _MissingKey(KeyError, ValueError):
    """A list where a dict is expected: the reference looks for its names and raises KeyError."""

    __str__ = ValueError.__str__


def _tuples_that_hold(path: str, value: Any) -> list[tuple[str, list[str]]]:
    """Paths of the tuples in an entry of a module with what they hold of arrays and modules."""
    if isinstance(value, tuple):
        leaves = [leaf for _, leaf in tree_flatten(value, is_leaf=Module.is_module)]
        held = [type(x).__name__ for x in leaves if isinstance(x, (mx.array, Module))]
        return [(path, held)] if held else []
    if isinstance(value, Module) or not isinstance(value, _WALKED):
        return []
    items = value.items() if isinstance(value, dict) else enumerate(value)
    prefix = f"{path}." if path else ""
    return [found for key, item in items for found in _tuples_that_hold(f"{prefix}{key}", item)]


def _same(value: Any) -> Any:
    return value


def _is_integer(value: Any) -> bool:
    return isinstance(value, mx.array) and not mx.issubdtype(value.dtype, mx.inexact)


def _no_container(module: Module, name: str, value: Any) -> bool:
    return not isinstance(value, _CONTAINERS)


def _select(
    module: Module,
    name: str,
    value: Any,
    filter_fn: Callable[[Module, str, Any], bool],
    map_fn: Callable[[Any], Any],
    is_leaf_fn: Callable[[Module, str, Any], bool],
    above: set[int],
) -> Any:
    """What filter_and_map makes of one item that the filter has let through and is no leaf.

    ``above`` has the ids of the modules and containers around the item.
    """
    if id(value) in above:
        raise _contains_itself(value, name)
    if isinstance(value, Module):
        return _select_all(value, filter_fn, map_fn, is_leaf_fn, above)
    if not isinstance(value, _CONTAINERS):
        raise ValueError(
            f"[filter_and_map] {name!r} is neither a leaf nor a container: "
            f"got {type(value).__name__}, expected is_leaf_fn to call it a leaf"
        )
    above.add(id(value))

    def inside(key: Any, item: Any) -> Any:
        path = f"{name}.{key}"
        if not filter_fn(module, path, item):
            return {}
        if is_leaf_fn(module, path, item):
            return map_fn(item)
        return _select(module, path, item, filter_fn, map_fn, is_leaf_fn, above)

    made: Any
    if isinstance(value, dict):
        made = {key: inside(key, item) for key, item in value.items()}
    else:
        made = [inside(i, item) for i, item in enumerate(value)]
        made = tuple(made) if isinstance(value, tuple) else made
    above.discard(id(value))
    return made


def _select_all(
    module: Module,
    filter_fn: Callable[[Module, str, Any], bool],
    map_fn: Callable[[Any], Any],
    is_leaf_fn: Callable[[Module, str, Any], bool],
    above: set[int],
) -> dict[str, Any]:
    """filter_and_map of a module inside those of ``above``."""
    above.add(id(module))
    made = {
        key: map_fn(value)
        if is_leaf_fn(module, key, value)
        else _select(module, key, value, filter_fn, map_fn, is_leaf_fn, above)
        for key, value in module.items()
        if filter_fn(module, key, value)
    }
    above.discard(id(module))
    return made


def _replace(
    module: Module, new: Any, is_leaf: Callable[[Any], bool], kind: str, strict: bool
) -> None:
    """Put the leaves of the tree ``new`` into ``module``: all of them, or none where one raises."""
    writes: list[tuple[Any, Any, Any]] = []
    _assign(module, new, is_leaf, kind, strict, "", writes, set())
    for container, key, value in writes:
        if type(value) is mx.array:
            kept_by_module(value, container[key])
        container[key] = value


def _assign(
    current: Any,
    new: Any,
    is_leaf: Callable[[Any], bool],
    kind: str,
    strict: bool,
    path: str,
    writes: list[tuple[Any, Any, Any]],
    above: set[int],
) -> Any:
    """What stands at ``path`` once the leaves of ``new`` are in ``current``.

    What has to be written for it into dicts and lists goes to ``writes``; ``above`` has the ids of
    the containers around ``new``. Empty containers say nothing: trees have them where they leave
    something out.
    """

    def refuse(problem: str, error: type[ValueError] = ValueError) -> Any:
        if strict:
            raise error(f"[update] {problem}")
        return current

    def inside(key: Any, old: Any, value: Any) -> Any:
        deeper = f"{path}.{key}" if path else str(key)
        return _assign(old, value, is_leaf, kind, strict, deeper, writes, above)

    if is_leaf(new) and is_leaf(current):
        return new
    if _says_nothing(new):
        return current
    if is_leaf(new) or not (isinstance(new, _CONTAINERS) and isinstance(current, _CONTAINERS)):
        return refuse(
            f"{path!r} does not fit: got {type(new).__name__} for {type(current).__name__}, "
            f"expected one {kind} for another"
        )
    if id(new) in above:
        raise _contains_itself(new, path)
    above.add(id(new))

    result = current
    entries = dict(new) if isinstance(new, dict) else {str(i): x for i, x in enumerate(new)}
    if isinstance(current, dict):
        if not isinstance(new, dict):
            above.discard(id(new))
            return refuse(
                f"{path!r} does not fit: got a {type(new).__name__}, expected a dict", _MissingKey
            )
        for key, value in entries.items():
            if key in current:
                old = current[key]
                if not (is_leaf(value) and is_leaf(old)):
                    value = inside(key, old, value)
                writes.append((current, key, value))
            elif not _says_nothing(value):
                refuse(f"no {kind} {key!r} in {path!r}: expected one of {list(current)}")
    else:
        items = list(current)
        for key, value in entries.items():
            if str(key).isdecimal() and int(key) < len(items):
                items[int(key)] = inside(key, items[int(key)], value)
                if isinstance(current, list):
                    writes.append((current, int(key), items[int(key)]))
            elif not _says_nothing(value):
                refuse(f"no {kind} {key!r} in {path!r}: expected 0 to {len(items) - 1}")
        if isinstance(current, tuple):
            named = hasattr(current, "_fields")
            result = type(current)(*items) if named else type(current)(items)
    above.discard(id(new))
    return result


def _says_nothing(value: Any) -> bool:
    return isinstance(value, _CONTAINERS) and not value and not isinstance(value, Module)
