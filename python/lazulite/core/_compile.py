"""compile: a function traced once per kind of arguments, then replayed as a graph. No compiler is
run."""

from __future__ import annotations

import os
from _thread import RLock
from types import MethodType

from . import _core, _default_cache_size
from ._core import array
from ._trees import (
    Leaf,
    Transformed,
    bare_leaves,
    _records,
    by_name,
    check_callable,
    entries,
    entry,
    fill,
    is_branch,
    is_module,
    leaves,
    map_leaves,
    named_like,
    printed,
    rebuild,
    template,
    walk,
    with_own_modules,
)

TYPE_CHECKING = False  # importing typing would take longer than all of this package
if TYPE_CHECKING:
    from typing import Any, Callable, Optional, TypeVar

    from typing_extensions import ParamSpec

    P = ParamSpec("P")
    R = TypeVar("R")


def disable_compile() -> None:
    """Compiled functions call the original function from now on."""
    _core._set_compile(False)


def enable_compile() -> None:
    """Undoes disable_compile."""
    _core._set_compile(True)


def _sorted_names(tree: dict) -> list:
    return sorted(tree, key=lambda k: (type(k).__name__, str(k)))


def _describe(tree: Any, arrays: list) -> Any:
    """The tree as a template; appends its arrays, those of dicts in the order of their sorted
    names: calls that differ in the order of entries share a trace."""

    def describe(leaf):
        if not isinstance(leaf, array):
            return leaf
        arrays.append(leaf)
        return Leaf(len(arrays) - 1)

    return walk(describe, tree, order=_sorted_names, name="compile", fixed=True, classes=True)


_state_lock = RLock()  # held by calls of compiled functions that have state
if hasattr(os, "register_at_fork"):  # in a child no other thread holds it
    os.register_at_fork(
        after_in_child=lambda: _state_lock._is_owned() or _state_lock._at_fork_reinit()
    )
_core._compile_helpers(Leaf, fill, _sorted_names, _state_lock)

_RandomState = type(_core.random.state)


class _Kept(Leaf):
    """A Leaf whose array was the same Python object before the function ran: it is changed in
    place."""

    __slots__ = ("before",)


def _is_container(value: Any) -> bool:
    return (
        isinstance(value, (dict, list))
        or type(value) in _records
        or (
            hasattr(value, "__setitem__")
            and hasattr(value, "__len__")
            and not isinstance(value, (array, str, bytes))
        )
    )


def _entries(container: Any):
    if isinstance(container, dict):
        return [(k, dict.__getitem__(container, k)) for k in dict.keys(container)]
    if type(container) in _records:
        return [(k, getattr(container, k)) for k in entries(container)]
    return [(i, container[i]) for i in range(len(container))]


def _put(container: Any, key: Any, value: Any):
    if isinstance(container, dict):
        dict.__setitem__(container, key, value)
    elif type(container) in _records:
        object.__setattr__(container, key, value)
    elif isinstance(container, list) and key == len(container):
        container.append(value)
    else:
        container[key] = value


# The walks below are plain functions: a nested function that calls itself is a cycle, which would
# keep the arrays that it saw until the garbage collector runs.


def _read(value: Any, arrays: list):
    if isinstance(value, array):
        arrays.append(value)
    elif isinstance(value, tuple):
        for v in value:
            _read(v, arrays)
    elif _is_container(value):
        for _, v in _entries(value):
            _read(v, arrays)


def _save(value: Any, saved: list, seen: set):
    if isinstance(value, tuple):
        for v in value:
            _save(v, saved, seen)
    elif _is_container(value) and not isinstance(value, _RandomState) and id(value) not in seen:
        seen.add(id(value))
        held = _entries(value)
        saved.append((value, held))
        for _, v in held:
            _save(v, saved, seen)


def _restore(saved: list):
    """Puts back what the function exchanged, and leaves what other threads put there meanwhile."""
    for container, held in saved:
        # what stood there before a transform of another thread, which has ended
        held = [(k, _core._before(v) if type(v) is array else v) for k, v in held]
        now = _entries(container)
        if isinstance(container, (dict, list)) and [k for k, _ in now] != [k for k, _ in held]:
            if isinstance(container, list):
                container[:] = [v for _, v in held]
                continue
            dict.clear(container)
            for k, v in held:
                dict.__setitem__(container, k, v)
            continue
        for (k, v), (_, there) in zip(held, now):
            if there is not v and not _exchanged(v, there):
                _put(container, k, v)


def _original(a: array) -> array:
    """What stands or stood where transforms of other threads put this: it is kept as long as
    exchanges are followed."""
    stood = _core._stood_there(a)
    return stood[-1] if stood else a


def _exchanged(was: Any, now: Any) -> bool:
    """Whether another thread has done it: its transform ended, or put its own there."""
    if isinstance(was, tuple) and isinstance(now, tuple) and len(was) == len(now):
        return all(a is b or _exchanged(a, b) for a, b in zip(was, now))
    if not (isinstance(was, array) and isinstance(now, array)):
        return False
    return _core._met(now) or _original(now) is _original(was)


class _Before:
    """State as it was before the function ran: which array each object held, by the identities of
    these objects and of what transforms of other threads had put them over; and what stood
    where."""

    def __init__(self, arrays: list, leaves: list, saved: list):
        self.known: dict = {}
        for i, a in enumerate(arrays):  # of one that is there twice the first
            for o in (a, *_core._stood_there(a)):
                self.known.setdefault(id(o), i)
        self.leaves = leaves
        self.held = {id(container): dict(held) for container, held in saved}

    def index(self, a: array) -> Optional[int]:
        return next(
            (self.known[id(o)] for o in (a, *_core._stood_there(a)) if id(o) in self.known), None
        )

    def stays(self, container: Any, key: Any, now: Any) -> bool:
        """Whether the function left the array, or the tuple, that stood there, or another thread
        put one there."""
        return self._left(self.held.get(id(container), {}).get(key), now)

    def _left(self, was: Any, now: Any) -> bool:
        if isinstance(was, tuple) and isinstance(now, tuple) and len(was) == len(now):
            return all(map(self._left, was, now))
        if not (isinstance(now, array) and isinstance(was, array)):
            return was is now
        if _core._met(now):
            return True
        i = self.index(now)
        return i is not None and i == self.index(was) and _core._same_handle(now, self.leaves[i])


class _Stays:
    """In a template: nothing is to be written here, but in containers that are in a tuple."""

    __slots__ = ("inside",)

    def __init__(self, inside: list):
        self.inside = inside


def _state_template(value: Any, arrays: list, before: _Before, places: dict) -> Any:
    if isinstance(value, array):
        if id(value) not in places:  # one object in two places stays one
            arrays.append(_core._copy_handle(value))
            places[id(value)] = Leaf(len(arrays) - 1)
            known = before.index(value)
            if known is not None:
                places[id(value)] = _Kept(len(arrays) - 1)
                places[id(value)].before = known
        return places[id(value)]
    if isinstance(value, tuple):
        return rebuild(value, [_state_template(v, arrays, before, places) for v in value])
    if _is_container(value):
        parts = []
        for k, v in _entries(value):
            if isinstance(v, (array, tuple)) and before.stays(value, k, v):
                parts.append((k, _Stays(_inside(v, arrays, before, places))))
            else:
                parts.append((k, _state_template(v, arrays, before, places)))
        return _Held(value, parts)
    return value


def _inside(value: Any, arrays: list, before: _Before, places: dict) -> list:
    """Templates of the containers in a tuple."""
    if isinstance(value, tuple):
        return [part for v in value for part in _inside(v, arrays, before, places)]
    if isinstance(value, array) or not _is_container(value):
        return []
    return [_state_template(value, arrays, before, places)]


def _build(part: Any, values: list) -> Any:
    if isinstance(part, Leaf):
        return values[part.index]
    if isinstance(part, _Held):
        _assign(part.container, part, values)
        return part.container
    if isinstance(part, tuple):
        return rebuild(part, [_build(v, values) for v in part])
    return part


def _assign(container: Any, held: _Held, values: list):
    present = dict(_entries(container))
    for k, part in held.entries:
        now = present.pop(k, None)
        if isinstance(part, _Stays):
            for held in part.inside:
                _assign(held.container, held, values)
            continue
        if isinstance(part, _Held) and _is_container(now) and type(now) is type(part.container):
            _assign(now, part, values)
        else:
            _put(container, k, _build(part, values))
    if isinstance(container, dict):
        for k in present:
            dict.__delitem__(container, k)


def _holds_arrays(value: Any) -> bool:
    held = getattr(value, "__dict__", None)
    for v in held.values() if isinstance(held, dict) else ():
        inside = v.values() if isinstance(v, dict) else v if isinstance(v, (list, tuple)) else (v,)
        if any(isinstance(x, array) for x in inside):
            return True
    return False


def _check_state(root: Any, where: str):
    """Raises TypeError for objects outside of modules that a caller may take for state: their
    arrays would be constants."""
    for _, leaf in leaves(
        root, is_leaf=lambda x: isinstance(x, dict) and type(x) is not dict, name="compile"
    ):
        if isinstance(leaf, (array, dict)) or _is_container(leaf):
            continue
        if isinstance(leaf, (MethodType, type(_check_state), type(len), type)):
            name = getattr(leaf, "__name__", "it")
            raise TypeError(
                f"[compile] {where}: got the function {name}, expected arrays or trees of them; was {name}() meant?"
            )
        if _holds_arrays(leaf):
            kind = type(leaf).__name__
            fix = f"{kind}.state" if hasattr(leaf, "state") else "register_tree for a dataclass"
            raise TypeError(
                f"[compile] {where}: a {kind} holds arrays but is no tree: expected lists, dicts or modules; see {fix}"
            )


def _escaping(value: Any) -> bool:
    """Whether an object that is no tree holds arrays of a function that was traced: in attributes,
    elements, what a function encloses, what an iterator goes over."""
    import gc
    from types import FunctionType, ModuleType

    seen, todo = {id(value)}, [value]
    while todo and len(seen) < 10_000:
        one = todo.pop()
        if _core._is_abstract(one):
            return True
        if isinstance(one, FunctionType):  # not what it finds in its module
            inside = [one.__closure__, one.__defaults__, one.__kwdefaults__]
        elif isinstance(one, (type, ModuleType, CompiledFunction)):
            continue
        else:
            inside = gc.get_referents(one)
        for part in inside:
            if id(part) not in seen:
                seen.add(id(part))
                todo.append(part)
    return False


def _check_result(leaf: Any):
    if not isinstance(leaf, Leaf) and _escaping(leaf):
        raise ValueError(
            f"[compile] the result holds arrays in a {type(leaf).__name__}, which is no tree: they "
            "exist only while the function is traced; got no list, tuple, dict or registered class "
            "(register_tree), expected one"
        )


def _kept_in(part, found):
    if isinstance(part, _Kept):
        found[part.index] = part
    elif isinstance(part, _Held):
        for _, p in part.entries:
            _kept_in(p, found)
    elif isinstance(part, (tuple, _Stays)):
        for p in part if isinstance(part, tuple) else part.inside:
            _kept_in(p, found)
    return found


class _State:
    """Arrays held by a container: read before a trace, replaced by leaves, put back, written
    after."""

    def __init__(self, root: Any, where: str = ""):
        self.root = root
        if where:
            _check_state(root, where)

    def read(self) -> list:
        """The arrays in order."""
        arrays: list = []
        if self.root is not None:
            _read(self.root, arrays)
        return arrays

    def snapshot(self) -> list:
        """What every container holds now, to be put back by _restore."""
        saved: list = []
        _save(self.root, saved, set())
        return saved

    def describe(self, arrays: list, before: _Before) -> Any:
        """A template of what is held now, whose arrays are appended to `arrays` (copies of the
        handles)."""
        return _state_template(self.root, arrays, before, {})

    def write(self, part: Any, values: list):
        """Makes the container hold what the template says."""
        values, before = list(values), self.inputs.read()
        for kept in _kept_in(part, {}).values():
            held = before[kept.before]
            _core._set_handle(held, values[kept.index])
            values[kept.index] = held
        self._write(part, values)

    def _write(self, part: Any, values: list):
        if isinstance(part, _Held):
            _assign(self.root, part, values)
        elif isinstance(part, Leaf):
            if self.root is not values[part.index]:
                _core._set_handle(self.root, values[part.index])
        elif isinstance(part, tuple):
            for root, p in zip(self.root, part):
                _State(root)._write(p, values)


class _Held:
    """Template of a container."""

    __slots__ = ("container", "entries")

    def __init__(self, container, entries):
        self.container, self.entries = container, entries


class _Entry:
    __slots__ = ("graph", "result", "state", "given", "random")


# Modules among the arguments are state of one call: the function gets the caller's own, and what
# it leaves in them is put there after each call.


def _containers(value: Any, path: tuple, inside: bool, found: dict):
    """The containers of modules, and the path to each, by identity."""
    inside = inside or is_module(value)
    if isinstance(value, tuple):
        parts = enumerate(value)
    elif is_branch(value):
        parts = _entries(value)
        if inside and id(value) in found:
            return
        if inside:
            found[id(value)] = (path, value)
    else:
        return
    for k, v in parts:
        _containers(v, (*path, k), inside, found)


class _Given:
    """The modules among the arguments of one trace."""

    def __init__(self, args: tuple, kwargs: dict):
        self.called = (args, kwargs)
        found: dict = {}
        if any(map(is_module, bare_leaves(self.called, is_leaf=is_module, name="compile"))):
            _containers(self.called, (), False, found)
        self.containers = list(found.values())
        self.held = {key: _entries(c) for key, (_, c) in found.items()}
        self.attributes = [(c, dict(c.__dict__)) for _, c in self.containers if is_module(c)]
        arrays: list = []
        for _, container in self.containers:
            _read(container, arrays)
        self.arrays = {id(_original(a)): a for a in arrays}

    def saved(self) -> list:
        return [(c, self.held[id(c)]) for _, c in self.containers]

    def restore(self):
        for module, attributes in self.attributes:
            for name in [name for name in module.__dict__ if name not in attributes]:
                del module.__dict__[name]
            module.__dict__.update(attributes)

    def changes(self, arguments: list, leaves: list, outputs: list) -> Any:
        """What the function changed; its arrays are appended to `outputs`."""
        in_place, put, gone = [], [], []
        seen: set = set()
        for i, a in enumerate(arguments):
            key = id(_original(a))
            if key in self.arrays and key not in seen:
                seen.add(key)
                held = self.arrays[key]
                for one in (held, *_core._stood_there(held)):
                    if not _core._same_handle(one, leaves[key]):
                        outputs.append(_core._copy_handle(one))
                        in_place.append((i, len(outputs) - 1))
                        break
        for path, container in self.containers:
            was, now = dict(self.held[id(container)]), dict(_entries(container))
            for k, v in now.items():
                if k not in was or not (was[k] is v or _exchanged(was[k], v)):
                    parts: list = []
                    part = template(v, parts)
                    put.append((path, k, part, len(outputs), len(parts)))
                    outputs.extend(map(_core._copy_handle, parts))
            gone += [(path, k) for k in reversed(list(was)) if k not in now]
        return (in_place, put, gone) if in_place or put or gone else None


def _at(root: Any, path: tuple) -> Any:
    for k in path:
        root = entry(root, k) if not isinstance(root, dict) else dict.__getitem__(root, k)
    return root


_many_traces = 32
_fold_bytes = 16 << 20  # of arrays that a trace may keep because they depend on no argument


def _as_input(value: Any) -> Any:
    return array(value) if isinstance(value, (bool, int, float, complex)) else value




def _dynamic_places(fun: Callable, dynamic: list) -> frozenset:
    """Positions and names of arguments: a name also by its position, a position also by its
    name."""
    if not dynamic:
        return frozenset()
    import inspect

    try:
        parameters = list(inspect.signature(fun).parameters.values())
    except (TypeError, ValueError):  # of a function that does not tell
        return frozenset(dynamic)
    places = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    named = [p.name for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)]
    kinds = {p.kind for p in parameters}
    found: set = set()
    for key in dynamic:
        if isinstance(key, str):
            known = key in named or inspect.Parameter.VAR_KEYWORD in kinds
            found |= {key} | ({places.index(key)} if key in places and key in named else set())
        else:
            known = 0 <= key < len(places) or (
                key >= 0 and inspect.Parameter.VAR_POSITIONAL in kinds
            )
            found |= {key} | ({places[key]} & set(named) if 0 <= key < len(places) else set())
        if not known:
            raise ValueError(
                f"[compile] dynamic: got {key!r}, which is no argument of {getattr(fun, '__name__', 'the function')}"
            )
    return frozenset(found)


class CompiledPlan:
    """The graph of a compiled function as its ops were recorded (`before`), as it is replayed
    (`after`), and the plan of its evaluation; `dead`, `merged` and `folded` count ops that were
    left out since nothing needed them, since an equal one is there, and since they depend on no
    argument."""

    def __init__(self, graph, evaluation):
        self.recorded, self.dead, self.merged, self.folded, self.before = graph.report()
        self.after = str(graph)
        self.replayed = self.after.count(" = ")
        self.evaluation = evaluation

    def __str__(self) -> str:
        return (
            f"recorded: {self.recorded} ops\n{self.before}"
            f"replayed: {self.replayed} ops ({self.dead} dead, {self.merged} merged, {self.folded} folded)\n{self.after}"
            f"evaluated:\n{self.evaluation}"
        )


class CompiledFunction(_core._Compiled):
    """What compile returns; calls like the function that it wraps. Calls and the cache of traces
    are in cpp/bind/compiled.cpp; what is traced, and what becomes of state, is here."""

    def __init__(self, fun, inputs, outputs, cache_size, dynamic=()):
        named_like(fun, self)
        self._fun = fun
        self._inputs = _State(inputs, "inputs")
        self._outputs = _State(outputs, "outputs")
        self._outputs.inputs = self._inputs
        self._cache_size = cache_size
        self._dynamic = _dynamic_places(
            fun, [dynamic] if isinstance(dynamic, (int, str)) else list(dynamic)
        )
        self._traces = 0
        self._changed: dict = {}  # constants by argument, and how often each changed
        self._setup(fun, inputs, outputs, cache_size, self._dynamic or None)

    def __get__(self, instance, owner=None):
        return self if instance is None else MethodType(self, instance)

    __reduce__ = by_name

    def __deepcopy__(self, memo):
        """Itself, as functions are; of a method of a copied object, that method's."""
        from copy import deepcopy

        fun = deepcopy(self._fun, memo)
        if fun is self._fun:
            return self
        inputs, outputs = deepcopy((self._inputs.root, self._outputs.root), memo)
        return CompiledFunction(fun, inputs, outputs, self._cache_size, self._dynamic)

    def __repr__(self):
        n = self._entries()
        return f"<compiled {printed(self._fun)}, {n} trace{'s' * (n != 1)}>"

    def _with_inputs(self, args, kwargs):
        """The arguments, with the numbers of dynamic ones as arrays."""
        args = tuple(_as_input(v) if k in self._dynamic else v for k, v in enumerate(args))
        return args, {
            k: _as_input(v) if k in self._dynamic else v for k, v in (kwargs or {}).items()
        }

    def _trace(self, args, kwargs, report=False) -> _Entry:
        """Called for arguments and state of a new kind."""
        _core._follow_exchanges(1)
        try:
            return self._traced(args, kwargs, report)
        finally:
            _core._follow_exchanges(-1)

    def _traced(self, args, kwargs, report) -> _Entry:
        arguments: list = []
        shape = (_describe(args, arguments), _describe(kwargs, arguments))
        given = _Given(args, kwargs)
        state = self._inputs.read()
        random = _core.random.state[0]
        entry = _Entry()
        if not report:
            self._watch(args, kwargs)
        saved = self._inputs.snapshot() + self._outputs.snapshot() + given.saved()
        n, m = len(arguments), len(state)
        # one object may be there twice
        distinct = {id(_original(held)): i for i, held in reversed(list(enumerate(state)))}
        swapped = [(state[i], n + i) for i in distinct.values()]
        # ... or twice among the arguments, or here and there
        places: dict = {}
        known = [id(_original(a)) for a in arguments]
        for i, key in enumerate(known):
            places.setdefault(key, i)
        if not given.arrays.keys() <= places.keys():
            raise ValueError("[compile] arguments that change while they are read")
        own = [(a, places[key]) for key, a in given.arrays.items() if key not in distinct]
        swapped += own

        def flat(leaves):
            # State arrays become leaves under the objects by which everybody knows them.
            key_leaf = leaves[n + m]
            _core._push_key(key_leaf)  # of this thread, until the trace is made
            try:
                _core._lend([held for held, _ in swapped], [leaves[i] for _, i in swapped])
                begun = {key: _core._copy_handle(a) for key, a in given.arrays.items()}
                called = [
                    given.arrays[key] if key in given.arrays
                    else state[distinct[key]] if key in distinct
                    else leaves[places[key]]
                    for key in known
                ]
                args, kwargs = fill(shape, called)
                if given.containers:
                    args, kwargs = with_own_modules((args, kwargs), given.called)
                outputs: list = []
                entry.result = template(self._fun(*args, **kwargs), outputs)
                # state among them gets its own value back below
                outputs[:] = map(_core._copy_handle, outputs)
                entry.given = given.changes(arguments, begun, outputs)
                entry.state = self._outputs.describe(
                    outputs, _Before(state, leaves[n : n + m], saved)
                )
                entry.random = None
                drawn = _core.random.state[0]
                if not _core._same_handle(drawn, key_leaf):
                    outputs.append(drawn)
                    entry.random = Leaf(len(outputs) - 1)
                return outputs
            finally:
                _restore(saved)
                given.restore()
                _core._take_back()
                _core._pop_key()

        entry.graph = _core._Graph(flat, arguments + state + [random], _fold_bytes, report, False)
        map_leaves(_check_result, entry.result)
        return entry

    def _give(self, given, args, kwargs, values):
        """Makes the modules among the arguments hold what the function left in them."""
        in_place, put, gone = given
        root = (args, kwargs)
        if in_place:
            arguments: list = []
            _describe(args, arguments), _describe(kwargs, arguments)
            for i, k in in_place:
                _core._set_handle(arguments[i], values[k])
        places = [_at(root, path) for path, *_ in put], [_at(root, path) for path, _ in gone]
        for container, (_, key, part, begin, n) in zip(places[0], put):
            _put(container, key, fill(part, values[begin : begin + n]))
        for container, (_, key) in zip(places[1], gone):
            if isinstance(container, dict):
                dict.__delitem__(container, key)
            else:
                del container[key]

    def _watch(self, args, kwargs):
        """One warning when the same argument keeps changing its constant and asks for a trace each
        time."""
        self._traces += 1
        for name, value in [*enumerate(args), *kwargs.items()]:
            if isinstance(value, (bool, int, float, complex, str)):
                before, count = self._changed.get(name, (value, 0))
                self._changed[name] = (value, count + (before != value))
        if self._traces == _many_traces:
            name, (_, count) = max(
                self._changed.items(), key=lambda item: item[1][1], default=(None, (None, 0))
            )
            if count >= _many_traces // 2:
                import warnings

                which = f"argument {name}" if isinstance(name, int) else f"argument {name!r}"
                warnings.warn(
                    f"[compile] {getattr(self, '__name__', 'a function')} was traced {self._traces} times: {which} keeps "
                    f"changing; pass it as an array, or name it in dynamic=",
                    stacklevel=3,
                )

    def plan(self, *args, **kwargs) -> CompiledPlan:
        """What a call with these arguments would do: traces anew, computes nothing, changes no
        state."""
        arguments: list = []
        _describe(args, arguments)
        _describe(kwargs, arguments)
        with _state_lock:
            entry = self._trace(args, kwargs, report=True)
            values = entry.graph(arguments + self._inputs.read() + [_core.random.state[0]])
        return CompiledPlan(entry.graph, _core.plan(*values))

    def cache_info(self):
        """(entries, limit)."""
        return self._entries(), self._cache_size


def compile(
    fun: Callable[P, R],
    inputs: Any = None,
    outputs: Any = None,
    shapeless: bool = False,
    *,
    cache_size: Optional[int] = None,
    dynamic: Any = (),
) -> CompiledFunction[P, R]:
    """A function that traces `fun` once for each kind of arguments and replays the graph
    afterwards.

    Arguments and results are trees of arrays and constants; a trace is kept for every combination
    of structure, shapes, dtypes and values of constants (the last `cache_size` used ones, 64 unless
    the environment variable LAZULITE_COMPILE_CACHE_SIZE says otherwise). `inputs` and `outputs`
    name state that `fun` reads and writes: lists, dicts, modules, optimizer state, `random.state`.
    Arrays that `fun` finds through closures are captured by reference, and what depends on no
    argument is computed once. A module among the arguments is state of this call: `fun` gets the
    module itself, and what it leaves in it (running statistics, new parameters) is put there after
    each call; modules that differ in their arrays' values alone share a trace. `dynamic` lists
    arguments (positions and keyword names) whose numbers become 0-d arrays, so that another number
    does not ask for another trace. `shapeless` is taken for the reference's sake: another shape is
    traced anew in any case, so that every size is right.

    Under an open transform, or after disable_compile(), `fun` itself is called. Reading an array
    while tracing raises ValueError. The result has `plan(*args)`, which shows the graph before and
    after and its evaluation, and `cache_info()`, the number of traces and their limit.

    >>> import lazulite.core as mx
    >>> mx.compile(lambda x: mx.exp(-x) + 1)(mx.array(0.0))
    array(2, dtype=float32)
    """
    check_callable("compile", fun)
    return CompiledFunction(fun, inputs, outputs, cache_size or _default_cache_size, dynamic)


_core._wraps_functions(CompiledFunction, "_fun")
