"""Modules that a function of vmap, of a loop or of cond is called with. They are copies, which hold
the arrays of a lane or a step: what the function puts into one is to come back, or to be
refused."""

from __future__ import annotations

from . import _core
from ._core import array
from ._trees import bare_leaves, entries, entry, is_branch, is_module, kept_by_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_settled = {array, bool, int, float, complex, str, type(None)}  # hold no module
_missing = object()


class _Held:
    """A module, or a container in it, as the function got it."""

    def __init__(self, own: Any, copy: Any, module: Any):
        self.own, self.copy, self.module = own, copy, module
        self.before = {k: entry(copy, k) for k in entries(copy)}
        self.owns = {k: entry(own, k) for k in self.before}
        self.handles = {
            k: _core._copy_handle(v) for k, v in self.before.items() if isinstance(v, array)
        }
        self.attributes = dict(copy.__dict__) if copy is module else {}

    def changed(self) -> list[tuple[Any, Any]]:
        """Keys and what stands there now, where that is something else."""
        found = []
        for key in {**self.before, **dict.fromkeys(entries(self.copy))}:
            try:
                now = entry(self.copy, key)
            except (KeyError, IndexError):
                now = _missing
            if now is not self.before.get(key, _missing) or (
                key in self.handles and not _core._same_handle(now, self.handles[key])
            ):
                found.append((key, now))
        return found


    def moved(self) -> list[tuple[str, Any]]:
        """The same of a module's attributes, which are no arrays."""
        if self.copy is not self.module:
            return []
        now = self.copy.__dict__
        names = {**self.attributes, **now}
        pairs = [(k, now.get(k, _missing)) for k in names]
        return [(k, v) for k, v in pairs if v is not self.attributes.get(k, _missing)]


def _arrays_in(value: Any) -> list[array]:
    return [a for a in bare_leaves(value, fixed=True) if isinstance(a, array)]


class Lent:
    """The modules in a tree that stands for another, of the caller's, in a call of a function."""

    def __init__(self, name: str, own: Any, copies: Any):
        self.name = name
        self.held: list[_Held] = []
        self.settled: list[_Held] = []
        todo = [(own, copies, None)]
        while todo:
            mine, copy, module = todo.pop()
            if type(copy) in _settled or not is_branch(copy):
                continue
            if is_module(copy):
                module = copy
            if module is not None and isinstance(copy, (dict, list)):
                self.held.append(_Held(mine, copy, module))
            todo += [(entry(mine, k), entry(copy, k), module) for k in entries(copy)]

    def check(self, results: Any) -> None:
        """To be called with all that the function returned. Raises ValueError for arrays that it
        put into a module and that do not come back, neither in the module nor by themselves."""
        self.settled = []
        if not self.held:
            return
        lost = [(held, changed) for held in self.held if (changed := held.changed())]
        moved = [held for held in self.held if held.moved()]
        if not lost and not moved:
            return
        returned, given = self._returned(results)
        known = {id(v) for held in self.held for v in held.before.values()}
        for held, changed in lost:
            if id(held.module) in returned:
                continue
            for key, now in changed:
                new = [] if now is _missing else _arrays_in(now)
                if isinstance(now, array) or id(now) not in known:
                    self._refuse(held, key, new, given)
            self.settled.append(held)
        self.settled += [h for h in moved if id(h.module) not in returned]

    def _refuse(self, held: _Held, key: Any, new: list[array], given: list[array]) -> None:
        if all(any(_core._same_handle(a, b) for b in given) for a in new):
            return
        kind, place = type(held.module).__name__, key
        for name, part in dict.items(held.module):
            place = name if part is held.copy else place
        raise ValueError(
            f"[{self.name}] what the function puts into a module would be lost, since that is a "
            f"copy: got another {place!r} of {kind}, expected that the function returns the {kind}"
        )

    @staticmethod
    def _returned(results: Any) -> tuple[set[int], list[array]]:
        """The modules (by id) and the arrays in it."""
        modules, arrays, todo = set(), [], [results]
        while todo:
            part = todo.pop()
            if isinstance(part, array):
                arrays.append(part)
            elif is_branch(part) and id(part) not in modules:
                if is_module(part):
                    modules.add(id(part))
                todo += [entry(part, k) for k in entries(part)]
        return modules, arrays

    def settle(self) -> None:
        """What is no array (numbers, modes, shapes) is the caller's module's, too: the function ran
        once for all lanes or steps."""
        self._put(self.settled, False)

    def bring_back(self) -> None:
        """All that the function put into modules is put into the caller's."""
        self._put(self.held, True)

    def _put(self, which: list[_Held], arrays: bool) -> None:
        own = {id(h.copy): h.own for h in self.held}
        for held in self.held:
            own.update((id(v), held.owns[k]) for k, v in held.before.items())
        for held in which:
            changed = [
                (k, v) for k, v in held.changed() if arrays or v is _missing or not _arrays_in(v)
            ]
            for key, now in changed:
                if isinstance(now, array) and now is held.before.get(key):  # changed in place
                    _core._set_handle(own[id(now)], now)
            if changed and isinstance(held.own, list):
                held.own[:] = [own.get(id(v), v) for v in held.copy]
            elif changed:
                for key, now in changed:
                    if now is _missing:
                        dict.pop(held.own, key, None)
                        continue
                    now = own.get(id(now), now)
                    if isinstance(now, array):
                        kept_by_module(now)  # before another thread may find it
                    dict.__setitem__(held.own, key, now)
            for name, now in held.moved():
                if now is _missing:
                    held.own.__dict__.pop(name, None)
                else:
                    held.own.__dict__[name] = own.get(id(now), now)
