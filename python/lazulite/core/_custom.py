"""custom_function, checkpoint, and derivatives as whole matrices."""

from __future__ import annotations

from . import _core
from ._core import array
from ._gradients import check_differentiable
from ._lent import Lent
from ._transforms import _axis_leaves, _normal_axis, _number_of
from ._trees import (
    Leaf,
    Transformed,
    _traced,
    bare_leaves,
    beside,
    by_name,
    check_callable,
    fill,
    fill_plain,
    is_module,
    kept_by_module,
    is_sequence,
    named_like,
    printed,
    template,
    walk,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Sequence, TypeVar, Union

    from typing_extensions import ParamSpec

    P = ParamSpec("P")
    R = TypeVar("R")
    F = TypeVar("F", bound=Callable[..., Any])


def _flat_call(fun, shape, keep, given=None):
    """`fun` over a flat list of arrays; `keep` receives the template of its result. What it puts
    into modules among the arguments that are `given` (positional ones and those by name) is put
    there."""

    def flat(arrays):
        args, kwargs = called = fill(shape, arrays)
        lent = Lent("custom_function", given, called) if given else None
        outputs: list = []
        keep.append(template(fun(*args, **kwargs), outputs))
        if lent:
            lent.bring_back()
        return outputs

    return flat


def _as_array(name, part):
    """What a rule gives in the place of an array."""
    if isinstance(part, array):
        return part
    try:
        return array(part)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"[custom_function] wrong value from the {name} rule: got {type(part).__name__}, "
            "expected an array or a number"
        ) from error


def _leaves(name, tree, like):
    """The arrays of a rule's result, in the places of the template `like`; None, which is zero,
    where there is none."""
    count = sum(isinstance(leaf, Leaf) for leaf in bare_leaves(like, fixed=True))
    what = f"[custom_function] wrong tree from the {name} rule"
    return beside(what, tree, like, count, lambda part: _as_array(name, part))


def _only(values):
    """Several arguments as a tuple, one as itself."""
    return values[0] if len(values) == 1 else tuple(values)


class custom_function:
    """A function with rules of its own for derivatives and batching.

    Decorates a function of arrays and trees of arrays. `f.vjp`, `f.jvp` and `f.vmap` decorate its
    rules; one that is missing follows from the function's own ops.

    * `vjp(primals, cotangents, outputs)` returns the cotangents of the primals,
    * `jvp(primals, tangents)` the tangents of the outputs,
    * `vmap(inputs, axes)` the outputs and their axes (None: not mapped).

    Several arguments arrive as a tuple, one as itself. Of a module, cotangents, tangents and axes
    are dicts; a rule may leave out what is zero.

    >>> @mx.custom_function
    ... def f(x, y):
    ...     return mx.sin(x) * y
    >>> @f.vjp
    ... def f_vjp(primals, cotangent, output):
    ...     x, y = primals
    ...     return cotangent * mx.cos(x) * y, cotangent * mx.sin(x) * 100
    >>> mx.grad(f, argnums=1)(mx.array(mx.pi / 2), mx.array(2.0))
    array(100, dtype=float32)
    """

    def __init__(self, f: Callable[P, R]):
        check_callable("custom_function", f)
        self._f = f
        self._vjp: Any = None
        self._jvp: Any = None
        self._vmap: Any = None
        named_like(f, self)

    __reduce__ = by_name

    def __deepcopy__(self, memo):
        """Itself, as functions are; of a method of a copied object, that method's."""
        from copy import deepcopy

        f = deepcopy(self._f, memo)
        if f is self._f:
            return self
        new = custom_function(f)
        for rule in ("_vjp", "_jvp", "_vmap"):
            setattr(new, rule, deepcopy(getattr(self, rule), memo))
        return new

    def __repr__(self) -> str:
        return f"<custom_function {printed(self._f)}>"

    def vjp(self, f: F) -> F:
        """Decorates the rule of the vector-Jacobian product; see the class."""
        self._vjp = f
        return f

    def jvp(self, f: F) -> F:
        """Decorates the rule of the Jacobian-vector product; see the class."""
        self._jvp = f
        return f

    def vmap(self, f: F) -> F:
        """Decorates the rule of batching; see the class."""
        self._vmap = f
        return f

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        if not _core._watched():
            return self._f(*args, **kwargs)
        leaves: list = []
        positional = template(list(args), leaves)
        shape = (positional, template(kwargs, leaves))
        kept: list = []

        def primals(arrays):
            return _only(fill(positional, arrays))

        def vjp_rule(arrays, cotangents, outputs):
            slopes = fill_plain(kept[0], cotangents)
            given = self._vjp(primals(arrays), slopes, fill(kept[0], outputs))
            found = _leaves("vjp", [given] if len(positional) == 1 else given, positional)
            return found + [None] * (len(arrays) - len(found))

        def jvp_rule(arrays, tangents):
            moved = _only(fill_plain(positional, tangents))
            return _leaves("jvp", self._jvp(primals(arrays), moved), kept[0])

        def vmap_rule(arrays, axes):
            made = self._vmap(primals(arrays), _only(fill_plain(positional, axes)))
            if not isinstance(made, (list, tuple)) or len(made) != 2:
                got = f"{len(made)} values" if is_sequence(made) else type(made).__name__
                raise ValueError(
                    "[custom_function] the vmap rule must give (outputs, axes): got " + got
                )
            values, at = (
                v[0] if isinstance(kept[0], Leaf) and is_sequence(v) and len(v) == 1 else v
                for v in made
            )
            outputs = _leaves("vmap", values, kept[0])
            name = "axis of the vmap rule of a custom_function"
            found = _axis_leaves(at, kept[0], name)
            return outputs, [
                -1 if found[k] is None or a is None else _normal_axis(found[k], a.ndim, name)
                for k, a in enumerate(outputs)
            ]

        outputs = _core._custom(
            _flat_call(self._f, shape, kept, (args, kwargs)),
            leaves,
            vjp_rule if self._vjp else None,
            jvp_rule if self._jvp else None,
            vmap_rule if self._vmap else None,
        )
        return fill(kept[0], outputs)


class _Held:
    """Stands for a module, whose arrays a function is to find in it."""

    def __init__(self, value):
        self.value = value


def _held(tree):
    return walk(
        lambda leaf: _Held(leaf) if is_module(leaf) else leaf,
        tree,
        is_leaf=is_module,
        name="checkpoint",
        fixed=True,
        classes=True,
    )


def _released(tree):
    return walk(
        lambda leaf: leaf.value if type(leaf) is _Held else leaf,
        tree,
        name="checkpoint",
        fixed=True,
        classes=True,
    )


def checkpoint(fun: Callable[P, R]) -> Callable[P, R]:
    """A function whose inner values are computed again for its gradient instead of being kept: less
    memory for more time. Arrays that `fun` finds through closures (a module's parameters) get
    gradients too; modules among the arguments count as found so. Inside a transform `fun` is
    traced: it cannot read its arguments' values. Arrays that it assigns to attributes of modules,
    such as running statistics, have values afterwards.

    >>> f = mx.checkpoint(lambda x: mx.exp(mx.sin(x)).sum())
    >>> mx.grad(f)(mx.array([0.0]))
    array([1], dtype=float32)
    """

    check_callable("checkpoint", fun)

    def wrapped(*args, **kwargs):
        if not _core._watched():
            return fun(*args, **kwargs)
        leaves: list = []
        # Modules are what they are where a function finds them through closures.
        called = fun
        if any(map(is_module, bare_leaves((args, kwargs), is_module, "checkpoint"))):
            args, kwargs = _held(args), _held(kwargs)

            def called(*args, **kwargs):
                return fun(*_released(args), **_released(kwargs))

        shape = (template(list(args), leaves), template(kwargs, leaves))
        kept: list = []
        stood: list = []  # for the arguments, while `fun` was traced

        put: list = []  # into modules, such as running statistics: results too

        def flat(arrays):
            stood.extend(arrays)
            before, _traced.kept = getattr(_traced, "kept", None), put
            try:
                outputs = _flat_call(called, shape, kept)(arrays)
            finally:
                _traced.kept = before
            return outputs + put

        try:
            outputs = _core._checkpoint(flat, leaves)
        finally:
            # What `fun` put away, into a module say, is the argument again.
            for traced, given in zip(stood, leaves):
                _core._set_handle(traced, given)
        for traced, made in zip(put, outputs[len(outputs) - len(put) :]):
            _core._set_handle(traced, made)
            kept_by_module(traced)  # of a checkpoint around this one
        return fill(kept[0], outputs)

    return Transformed("checkpoint", fun, wrapped)


class _Blocks:
    """Of derivatives as whole matrices: the arguments in flat form, and the function of them. That
    stays with the closures that call it, where `compile` and copies look for it."""

    def __init__(self, name, fun, argnums):
        check_callable(name, fun)
        self.name = name
        self.single = not isinstance(argnums, (list, tuple))
        self.numbers = [_number_of(name, n) for n in ([argnums] if self.single else argnums)]
        if not self.numbers:
            raise ValueError(f"[{name}] nothing to differentiate: got argnums {argnums}")
        if len(set(self.numbers)) < len(self.numbers):
            raise ValueError(f"[{name}] repeated argument: got argnums {argnums}")

    def of(self, fun, args):
        """The arrays of the chosen arguments, a function of these, and what makes a result of
        blocks, one for each of them."""
        name, leaves, forms = self.name, [], []
        for n in self.numbers:
            if n >= len(args):
                raise ValueError(f"[{name}] argnums {n} out of range: got {len(args)} arguments")
            begin = len(leaves)
            forms.append(template(args[n], leaves))
            check_differentiable(name, f"argument {n}", forms[-1], leaves[begin:])

        exchanged = _core._Exchanged()

        def called(chosen):
            # The caller's own containers hold traced arrays meanwhile, but for what the function
            # puts there: that stays.
            full = list(args)
            try:
                for n, form in zip(self.numbers, forms):
                    full[n] = exchanged.put(args[n], form, chosen)
                out = fun(*full)
            finally:
                exchanged.put_back()
            if not isinstance(out, array):
                raise ValueError(
                    f"[{name}] the function must return an array: got {type(out).__name__}"
                )
            return [out]

        def made(blocks):
            results = [fill_plain(form, blocks) for form in forms]
            return results[0] if self.single else tuple(results)

        return leaves, called, made


def _basis(a):
    return _core.eye(a.size, dtype=a.dtype).reshape((a.size,) + a.shape)


def _forward_blocks(flat, leaves):
    """Of the results of a flat function, a list for each: its derivatives by the leaves."""
    _, columns = _core._jvp_of_each(flat, leaves, [_basis(p) for p in leaves])
    shaped = [
        [c.reshape(c.shape[:-1] + p.shape) for c in column]
        for column, p in zip(columns, leaves)
    ]
    return list(map(list, zip(*shaped)))


def _backward_blocks(called, leaves):
    """The derivatives of the result of a function by the leaves."""
    (y,), rows = _core._vjp_of_each(called, leaves, lambda outputs: [_basis(outputs[0])])
    return [r.reshape(y.shape + p.shape) for r, p in zip(rows, leaves)]


def _matrix(name, fun, argnums, forward):
    blocks = _Blocks(name, fun, argnums)

    def wrapped(*args):
        leaves, called, made = blocks.of(fun, args)
        if not forward:
            return made(_backward_blocks(called, leaves))
        return made(_forward_blocks(called, leaves)[0] if leaves else [])

    return Transformed(name, fun, wrapped)


def jacrev(fun: Callable[P, Any], argnums: Union[int, Sequence[int]] = 0) -> Callable[P, Any]:
    """A function that returns the Jacobian of `fun` (an array from arrays), one backward pass per
    output element, all of them batched: shape of the output, then that of the argument. Of an
    argument that is a tree, such as a module, a tree of the Jacobians of its arrays.

    >>> mx.jacrev(lambda x: x * x)(mx.array([1.0, 2.0]))
    array([[2, 0],
           [0, 4]], dtype=float32)
    """
    return _matrix("jacrev", fun, argnums, False)


def jacfwd(fun: Callable[P, Any], argnums: Union[int, Sequence[int]] = 0) -> Callable[P, Any]:
    """As jacrev, one forward pass per element of the argument.

    >>> mx.jacfwd(lambda x: x * x)(mx.array([1.0, 2.0]))
    array([[2, 0],
           [0, 4]], dtype=float32)
    """
    return _matrix("jacfwd", fun, argnums, True)


def hessian(fun: Callable[P, Any], argnums: int = 0) -> Callable[P, Any]:
    """The matrix of second derivatives of a scalar function, forward over reverse: the argument's
    shape twice. Of a tree, such as a module, a tree that has for each array the tree of second
    derivatives by it and each of the others.

    >>> mx.hessian(lambda x: (x ** 3).sum())(mx.array([1.0, 2.0]))
    array([[6, 0],
           [0, 12]], dtype=float32)
    """
    blocks = _Blocks("hessian", fun, _number_of("hessian", argnums))

    def wrapped(*args):
        leaves, called, made = blocks.of(fun, args)
        rows = _forward_blocks(lambda traced: _backward_blocks(called, traced), leaves)
        return made([made(row) for row in rows])

    return Transformed("hessian", fun, wrapped)


def linearize(fun: Callable[..., R], *primals: Any) -> tuple[R, Callable[..., Any]]:
    """`fun(*primals)` and its derivative there, a function of tangents: what does not depend on
    tangents is computed once, so that many tangents cost little more than their own part. Arguments
    and results are trees of arrays; tangents have the structure, shapes and dtypes of `primals`.

    Raises TypeError for integer arrays, ValueError for tangents that do not fit.

    >>> y, derivative = mx.linearize(lambda x: mx.exp(x) * 2, mx.array(0.0))
    >>> y, derivative(mx.array(1.0)), derivative(mx.array(3.0))
    (array(2, dtype=float32), array(2, dtype=float32), array(6, dtype=float32))
    """
    check_callable("linearize", fun)
    leaves: list = []
    shape = template(list(primals), leaves)
    for part in shape:
        check_differentiable(
            "linearize",
            "an argument",
            part,
            leaves[part.index :] if isinstance(part, Leaf) else leaves,
        )
    kept: list = []
    values: list = []

    exchanged = _core._Exchanged()

    def flat(traced):
        # The caller's own containers hold traced arrays meanwhile, but for what the function puts
        # there: that stays.
        try:
            args = [exchanged.put(a, part, traced) for a, part in zip(primals, shape)]
            outputs: list = []
            kept.append(template(fun(*args), outputs))
        finally:
            exchanged.put_back()
        return outputs

    def tangents_of(tangents):
        out, moved = _core._jvp(flat, leaves, tangents)
        values[:] = out
        return moved

    graph = _core._Graph(tangents_of, leaves, 1 << 62, False, True)

    def derivative(*tangents):
        given = beside("[linearize] tangents", list(tangents), shape, len(leaves))
        given = [_core.zeros_like(p) if t is None else t for t, p in zip(given, leaves)]
        for t, p in zip(given, leaves):
            if t.shape != p.shape or t.dtype != p.dtype:
                raise ValueError(
                    f"[linearize] tangent of {t.dtype} {t.shape} for a primal of {p.dtype} {p.shape}"
                )
        return fill_plain(kept[0], graph(given))

    return fill(kept[0], values), derivative


_core._wraps_functions(custom_function, "_f")
