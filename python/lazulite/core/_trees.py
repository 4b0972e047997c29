"""Trees: lists, tuples, dicts (Modules too) and registered classes, with arrays and other values as
leaves."""

from __future__ import annotations

from _thread import _local
from types import MethodType

from . import _core
from ._core import array  # type: ignore[import-not-found]

TYPE_CHECKING = False  # importing typing would take longer than all of this package
if TYPE_CHECKING:
    from typing import Any, Callable, Iterable, Optional, TypeVar

    T = TypeVar("T")

# registered classes and their fields; the extension reads it too
_records: dict[type, tuple[str, ...]] = _core._tree_records
_forms: dict[type, tuple[str, ...]] = _core._tree_forms  # attributes that are constants of them
# fields that say where values stand (indices of sparse matrices): evaluated, traced and compiled as
# others, but without derivatives and lanes, and nothing that tree functions see
_fixed: dict[type, frozenset[str]] = _core._tree_fixed
_quick = 64  # levels between two looks for containers that contain themselves
_most = 10_000  # levels


def named_like(fun: Callable[..., Any], wrapper: Callable[..., Any]) -> Callable[..., Any]:
    """`wrapper` with the name, documentation and signature of `fun`, as functools.wraps makes
    it."""
    for name in ("__module__", "__name__", "__qualname__", "__doc__"):
        try:
            setattr(wrapper, name, getattr(fun, name))
        except AttributeError:  # a callable object
            pass
    wrapper.__wrapped__ = fun  # type: ignore[attr-defined]
    return wrapper


def by_name(self: Any) -> str:
    """For __reduce__ of what wraps a function: copies are itself, and pickles name it, as those of
    functions do."""
    return getattr(self, "__qualname__", None) or type(self).__name__


def _with_cells(fun: Any, copied: Callable[[Any], Any]) -> Any:
    """A function of a transform, with copies of what it encloses."""
    from types import CellType, FunctionType

    own = type(fun) is FunctionType and (fun.__module__ or "").startswith("lazulite.")
    if not own or not fun.__closure__:
        return copied(fun)
    cells = tuple(CellType(_with_cells(c.cell_contents, copied)) for c in fun.__closure__)
    new = FunctionType(fun.__code__, fun.__globals__, fun.__name__, fun.__defaults__, cells)
    new.__kwdefaults__ = fun.__kwdefaults__
    return new


class Transformed:
    """What a transform returns: calls like the function that it wraps, binds like one, and prints
    what it is."""

    def __init__(self, name: str, fun: Callable[..., Any], call: Callable[..., Any]):
        named_like(fun, self)
        self._name = name
        self._call = call

    __reduce__ = by_name

    def __deepcopy__(self, memo: Any) -> Any:
        """Itself, as functions are; of a method of a copied object, that method's."""
        from copy import deepcopy

        wrapped = deepcopy(self.__wrapped__, memo)  # type: ignore[attr-defined]
        if wrapped is self.__wrapped__:  # type: ignore[attr-defined]
            return self
        call = _with_cells(self._call, lambda value: deepcopy(value, memo))
        return Transformed(self._name, wrapped, call)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._call(*args, **kwargs)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    def __repr__(self) -> str:
        return f"<{self._name} of {printed(self.__wrapped__)}>"  # type: ignore[attr-defined]


_core._wraps_functions(Transformed, "_call")


def printed(fun: Any) -> str:
    """How a function is named inside the repr of what a transform made of it."""
    if isinstance(fun, (Transformed, _core._Compiled)):
        return repr(fun)
    name = getattr(fun, "__qualname__", None) or type(fun).__name__
    return str(name).rpartition("<locals>.")[2]


def tracing() -> bool:
    """Whether a transform is open."""
    return bool(_core._tracing())


def check_callable(name: str, fun: Any) -> None:
    if not callable(fun):
        raise TypeError(f"[{name}] not a function: got {type(fun).__name__}")


def register_tree(cls: type[T]) -> type[T]:
    """Makes instances of a dataclass trees, with its fields as entries: eval, compile, the
    transforms and tree functions then find the arrays in them, and return instances made without
    calling the class. For use as a decorator; returns the class. Subclasses are registered on their
    own.

    Raises TypeError for anything but a dataclass.

    >>> from dataclasses import dataclass
    >>> @mx.register_tree
    ... @dataclass
    ... class Point:
    ...     x: mx.array
    ...     y: mx.array
    >>> mx.grad(lambda p: p.x * p.y)(Point(mx.array(2.0), mx.array(3.0)))
    Point(x=array(3, dtype=float32), y=array(2, dtype=float32))
    """
    fields = getattr(cls, "__dataclass_fields__", None)
    if not isinstance(cls, type) or fields is None:
        raise TypeError(
            f"[register_tree] not a dataclass: got {cls!r}, expected a class decorated by dataclass"
        )
    if issubclass(cls, (dict, list, tuple, array)):
        raise TypeError(f"[register_tree] a tree or a leaf already: got {cls.__name__}")
    from dataclasses import fields as fields_of

    _records[cls] = tuple(field.name for field in fields_of(cls))  # type: ignore[arg-type]
    return cls


def register_record(
    cls: type[T], fields: tuple[str, ...], fixed: tuple[str, ...], forms: tuple[str, ...]
) -> type[T]:
    """As register_tree, of a class of our own: some fields `fixed`, and attributes of constants
    that say what an instance is."""
    _records[cls] = fields
    _fixed[cls] = frozenset(fixed)
    _forms[cls] = forms
    return cls


class Leaf:
    """Stands for array number `index` in a template."""

    __slots__ = ("index",)

    def __init__(self, index: int):
        self.index = index


def is_branch(tree: Any) -> bool:
    return isinstance(tree, (dict, list, tuple)) or type(tree) in _records


def is_sequence(tree: Any) -> bool:
    return isinstance(tree, (list, tuple))


def entries(tree: Any) -> Any:
    """The keys of a branch, in order."""
    if isinstance(tree, dict):
        return list(tree)
    return range(len(tree)) if isinstance(tree, (list, tuple)) else _records[type(tree)]


def seen_entries(tree: Any) -> Any:
    """The same, without fixed fields."""
    keys = entries(tree)
    fixed = _fixed.get(type(tree)) if _fixed else None
    return [key for key in keys if key not in fixed] if fixed else keys


def fixed_leaves(tree: Any) -> list[int]:
    """The numbers of the Leaves of a template that stand in fixed fields."""
    if not _fixed:
        return []
    found = []
    stack = [tree]
    while stack:
        node = stack.pop()
        if not is_branch(node):
            continue
        fixed = _fixed.get(type(node), ())
        for key in entries(node):
            part = entry(node, key)
            if key not in fixed:
                stack.append(part)
            elif isinstance(part, Leaf):
                found.append(part.index)
    return found


def entry(tree: Any, key: Any) -> Any:
    """What stands in a branch under a key; KeyError where a record lacks it."""
    if isinstance(tree, (dict, list, tuple)):
        return tree[key]
    if key in _records.get(type(tree), ()):
        return getattr(tree, key)
    raise KeyError(key)


def rebuild(like: Any, items: Iterable[Any], names: Optional[Iterable[str]] = None) -> Any:
    """A branch of the class of `like` with other items (of a record: of the fields `names`, by
    default all); subclasses of tuple and records keep their class (lists and dicts become plain),
    and no constructor of theirs is called."""
    if isinstance(like, dict):
        return dict(zip(like, items))
    if isinstance(like, list):
        return list(items)
    kind = type(like)
    if kind is tuple:
        return tuple(items)
    if isinstance(like, tuple):
        try:
            made = tuple.__new__(kind, items)
        except TypeError:  # made in C, such as time.struct_time
            return kind(items)
    else:
        made = object.__new__(kind)
        for name, item in zip(_records[kind] if names is None else names, items):
            object.__setattr__(made, name, item)
    own = getattr(like, "__dict__", None)
    if own:  # attributes beside the items
        for name, value in own.items():
            made.__dict__.setdefault(name, value)
    return made


class Ancestors:
    """The containers between the root of a walk and where it stands; says so when one contains
    itself."""

    __slots__ = ("name", "line")

    def __init__(self, name: str):
        self.name = name
        self.line: list[int] = []

    def enter(self, branch: Any, depth: int) -> None:
        """In depth-first order, at every container."""
        line = self.line
        del line[depth:]
        line.append(id(branch))
        if len(line) % _quick == 0:
            if len(set(line)) < len(line):
                raise ValueError(
                    f"[{self.name}] a container contains itself: got a {type(branch).__name__}"
                )
            if len(line) > _most:
                raise ValueError(f"[{self.name}] containers nested deeper than {_most}")


def walk(
    fn: Callable[..., Any],
    tree: Any,
    rest: tuple[Any, ...] = (),
    is_leaf: Optional[Callable[..., Any]] = None,
    path: Optional[str] = None,
    order: Optional[Callable[..., Any]] = None,
    name: str = "tree",
    fixed: bool = False,
    classes: bool = False,
) -> Any:
    """`fn(path, leaf, *others)` of every leaf, in a tree of the same form; without a path to begin
    with `fn(leaf, *others)`. `order` gives the keys of a dict in the order of the walk; the dict
    that is made keeps its own. `name` is who asks, `fixed` whether fixed fields are seen, and
    `classes` whether subclasses of dict and list keep theirs."""
    return _core._tree_walk(fn, tree, rest, is_leaf, path, order, name, fixed, classes)


def leaves(
    tree: Any, path: str = "", is_leaf: Optional[Callable[..., Any]] = None, name: str = "tree"
) -> list[tuple[str, Any]]:
    """Pairs of path and leaf, in order."""
    return _core._tree_leaves(tree, path, is_leaf, name, False)  # type: ignore[no-any-return]


def bare_leaves(
    tree: Any,
    is_leaf: Optional[Callable[..., Any]] = None,
    name: str = "tree",
    fixed: bool = False,
) -> list[Any]:
    """The leaves without paths."""
    return _core._tree_leaves(tree, None, is_leaf, name, fixed)  # type: ignore[no-any-return]



def _copied(like: Any, items: Any) -> Any:
    """An instance of the class of a dict or list, with its attributes and other items."""
    if is_module(like):
        made = _bare_copy(like)
        dict.update(made, items)
        return made
    from copy import copy  # not before it is needed

    try:
        made = copy(like)
    except TypeError:  # a class that cannot be copied
        return items
    if isinstance(like, dict):
        for key, item in items.items():
            made[key] = item
    else:
        made[:] = items
    return made


def _bare_copy(module: Any) -> Any:
    """A module with the same attributes; its entries are written next."""
    kind = type(module)
    if kind.__reduce_ex__ is not object.__reduce_ex__ or hasattr(kind, "__copy__"):
        from copy import copy

        return copy(module)
    made = kind.__new__(kind)
    made.__dict__.update(module.__dict__)
    return made


_settled = {array, bool, int, float, str, frozenset, type(None)}  # hold no methods


def _of_copies(value: Any, memo: dict[int, Any]) -> Any:
    """`value`, which a copy of a module holds; a method of a module that was copied, or what wraps
    one, as that of the copy."""
    if type(value) in _settled or is_module(value):
        return value
    if isinstance(value, (dict, list)):
        for key in entries(value):
            part = value[key]
            new = _of_copies(part, memo)
            if new is not part:
                value[key] = new
        return value
    if isinstance(value, tuple):
        parts = [_of_copies(part, memo) for part in value]
        same = all(new is old for new, old in zip(parts, value))
        return value if same else rebuild(value, parts)
    method = value
    while not isinstance(method, MethodType) and hasattr(method, "__wrapped__"):
        method = method.__wrapped__
    if not isinstance(method, MethodType) or id(method.__self__) not in memo:
        return value
    from copy import deepcopy

    return deepcopy(value, dict(memo))


def _rebind(pairs: list[tuple[Any, Any]]) -> None:
    """Methods that a copy of a module keeps become its own: those of the module that it is made of
    would see the arrays there."""
    memo = {id(old): new for old, new in pairs}
    for _, made in pairs:
        for held in (made.__dict__, made):
            for name, value in dict.items(held):
                if type(value) in _settled:
                    continue
                new = _of_copies(value, memo)
                if new is not value:
                    dict.__setitem__(held, name, new)


_core._tree_helpers(Leaf, rebuild, _copied, _rebind)

# Of nn.Module and of optimizers, what is ordinary: (module, Module, whether trainable ones only) to
# their nested dict, or None where Python has to look; (module, tree, Module) to whether the module
# has the tree's arrays now; (parameters, state) to whether init would add nothing.
parameters_of: Callable[[Any, type, bool], Optional[dict[str, Any]]] = _core._parameters_of
update_parameters: Callable[[Any, Any, type], bool] = _core._update_parameters
has_state: Callable[[Any, Any], bool] = _core._has_state

# Of the transforms, which need no paths.


def template(tree: Any, arrays: list[Any]) -> Any:
    """`tree` with each array replaced by a Leaf; the arrays are appended to `arrays` in order.
    Modules, and other subclasses of dict and list, are copies of their class."""
    return _core._template(tree, arrays)


def fill(tree: Any, values: list[Any]) -> Any:
    """The inverse of template, with other values."""
    return _core._fill(tree, values)


def plain_template(tree: Any, arrays: list[Any]) -> Any:
    """A template for derivatives: with dicts and lists for modules and other subclasses of these,
    and `{}` for what is no array in a module, as in its parameters."""
    return _core._plain_template(tree, arrays)


def fill_plain(tree: Any, values: list[Any]) -> Any:
    """The same, plain as in plain_template."""
    return _core._fill_plain(tree, values)


_traced = _local()  # .kept: arrays that modules were given while checkpoint traces their call


def kept_by_module(value: Any, old: Any = None) -> None:
    """To be called where a module keeps an array, in place of `old`: it is to have a value after
    `checkpoint`."""
    kept = getattr(_traced, "kept", None)
    if kept is not None:
        kept.append(value)
    _core._note_kept(value, old)


is_module: Callable[[Any], bool] = _core._is_model


def with_own_modules(tree: Any, given: Any) -> Any:
    """`tree`, made of the template of `given`, with the modules of `given` themselves."""
    if is_module(given):
        return given
    if isinstance(given, dict):
        for key, part in given.items():
            dict.__setitem__(tree, key, with_own_modules(tree[key], part))
    elif isinstance(given, list):
        tree[:] = [with_own_modules(*pair) for pair in zip(tree, given)]
    elif isinstance(given, tuple):
        parts = [with_own_modules(*pair) for pair in zip(tree, given)]
        if any(new is not old for new, old in zip(parts, tree)):
            return rebuild(given, parts)
    return tree


def map_leaves(fn: Callable[[Any], Any], tree: Any, constants: bool = True) -> Any:
    """`fn` of every leaf (array or not), in the same structure and of the same classes. Without
    `constants` what is no array in a module stays as it is."""
    return _core._map_leaves(fn, tree, constants)


def beside(
    what: str,
    tree: Any,
    place: Any,
    count: int,
    rule: Optional[Callable[[Any], Any]] = None,
) -> list[Any]:
    """The arrays of a tree of tangents or cotangents, by the numbers of the Leaves of the template
    `place`; None where a dict for a module has none. `what` begins the text of errors. With `rule`,
    which makes an array of what a user's rule gives for one, None stands for any part, and fixed
    fields have theirs."""
    found: list[Any] = [None] * count

    def visit(part: Any, place: Any, in_module: bool) -> None:
        in_module = in_module or is_module(place)
        empty = isinstance(part, dict) and not part  # as parameters() has what it leaves out
        if (in_module and (part is None or empty)) or (rule and part is None):
            return
        if isinstance(place, Leaf):
            if rule:
                found[place.index] = rule(part)
            elif isinstance(part, array):
                found[place.index] = part
            else:
                raise TypeError(f"{what}: got {type(part).__name__}, expected an array")
        elif is_branch(place):
            check(part, place, in_module)
            for key in entries(place) if rule else seen_entries(place):
                if not isinstance(place, dict) or key in part:
                    visit(entry(part, key), entry(place, key), in_module)

    def check(part: Any, place: Any, in_module: bool) -> None:
        if isinstance(place, dict):
            fits = isinstance(part, dict) and (
                part.keys() <= place.keys() if in_module else part.keys() == place.keys()
            )
        elif is_sequence(place):
            fits = is_sequence(part) and len(part) == len(place)
        else:
            fits = type(part) is type(place)
        if fits:
            return
        got = f"{len(part)} values" if is_sequence(part) else type(part).__name__
        want = f"{len(place)} values" if is_sequence(place) else type(place).__name__
        if isinstance(place, dict):
            got = f"keys {list(part)}" if isinstance(part, dict) else got
            want = f"a dict with keys {list(place)}"
        structure = "" if rule else " of another structure"
        raise ValueError(f"{what}{structure}: got {got}, expected {want}")

    visit(tree, place, False)
    return found
