"""grad, value_and_grad, vjp, jvp and vmap over functions of trees.

The transforms themselves work on flat lists of arrays, in the extension; here arguments and results
are taken apart and put together again.
"""

from __future__ import annotations



from . import _core
from ._core import array
from ._gradients import check_differentiable, loss_of, ones_for
from ._lent import Lent
from ._trees import (
    Leaf,
    Transformed,
    bare_leaves,
    beside,
    check_callable,
    entries,
    entry,
    fill,
    fill_plain,
    fixed_leaves,
    is_branch,
    is_module,
    map_leaves,
    named_like,
    plain_template,
    template,
)

TYPE_CHECKING = False  # importing typing would take longer than all of this package
if TYPE_CHECKING:
    from typing import Any, Callable, Optional, Sequence, TypeVar, Union

    from typing_extensions import ParamSpec

    P = ParamSpec("P")
    R = TypeVar("R")


def _number_of(name, n):
    if isinstance(n, bool) or not hasattr(n, "__index__"):
        raise TypeError(f"[{name}] argnums must be integers: got {n!r}")
    n = n.__index__()
    if n < 0:
        raise ValueError(f"[{name}] argnums must not be negative: got {n}")
    return n


def _normal_argnums(name, argnums, argnames):
    """(one gradient rather than a tuple, numbers, names)"""
    if not isinstance(argnames, (str, list, tuple)):
        raise TypeError(f"[{name}] argnames: got {argnames!r}, expected strings")
    names = [argnames] if isinstance(argnames, str) else list(argnames)
    for n in names:
        if not isinstance(n, str):
            raise TypeError(f"[{name}] argnames must be strings: got {n!r}")
    if argnums is None:
        argnums = () if names else 0
    if not isinstance(argnums, (list, tuple)):
        argnums = (argnums,)
    numbers = [_number_of(name, n) for n in argnums]
    if len(set(numbers)) != len(numbers) or len(set(names)) != len(names):
        raise ValueError(f"[{name}] repeated argument: got argnums {argnums}, argnames {argnames}")
    if not numbers and not names:
        raise ValueError(f"[{name}] nothing to differentiate: got no argnums and no argnames")
    return len(numbers) == 1, numbers, names


def value_and_grad(
    fun: Callable[P, R],
    argnums: Optional[Union[int, Sequence[int]]] = None,
    argnames: Union[str, Sequence[str]] = [],
) -> Callable[P, tuple[R, Any]]:
    """A function that returns `fun`'s value and its gradient.

    `fun` returns a scalar array (0-d), or a tuple or list whose first entry is one; the whole value
    is returned beside the gradient. Gradients have the structure, shapes and dtypes of the
    arguments named by `argnums` (default 0) and `argnames`. With several numbers a tuple of
    gradients is returned, with names the pair `(gradients by number or None, dict of gradients by
    name)`. Complex arguments follow PyTorch's convention: dL/dx + i dL/dy for real L. Integers
    inside a tree have the gradients of integer arithmetic.

    `fun` gets the very lists, dicts and modules that were passed, whose arrays are traced ones
    during the call; afterwards they are those from before, except where `fun` put others.

    Raises ValueError for numbers in place of arrays and for a value that is not a scalar, TypeError
    for an argument that is an array of integers.

    >>> import lazulite.core as mx
    >>> mx.value_and_grad(lambda x: (x * x).sum())(mx.array([1.0, 2.0]))
    (array(5, dtype=float32), array([2, 4], dtype=float32))
    """
    return _value_and_grad("value_and_grad", fun, argnums, argnames)


def _value_and_grad(name, fun, argnums, argnames, scalar_only=False):
    check_callable(name, fun)
    single, numbers, names = _normal_argnums(name, argnums, argnames)

    def wrapped(*args, **kwargs):
        for n in numbers:
            if n >= len(args):
                raise ValueError(
                    f"[{name}] argnums {n} out of range: got {len(args)} positional arguments"
                )
        for n in names:
            if n not in kwargs:
                raise ValueError(
                    f"[{name}] argument {n!r} is missing: it was not passed by keyword"
                )
        leaves: list = []
        positional, keyword = {}, {}
        for n in numbers:
            start = len(leaves)
            positional[n] = plain_template(args[n], leaves)
            check_differentiable(name, f"argument {n}", positional[n], leaves[start:])
        for n in names:
            start = len(leaves)
            keyword[n] = plain_template(kwargs[n], leaves)
            check_differentiable(name, f"argument {n!r}", keyword[n], leaves[start:])
        value = None
        exchanged = _core._Exchanged()

        def flat(traced):
            nonlocal value
            # The caller's own containers hold traced arrays meanwhile, but for what the function
            # puts there: that stays.
            try:
                called = [
                    exchanged.put(a, positional[i], traced) if i in positional else a
                    for i, a in enumerate(args)
                ]
                named = {
                    k: exchanged.put(v, keyword[k], traced) if k in keyword else v
                    for k, v in kwargs.items()
                }
                value = fun(*called, **named)
            finally:
                exchanged.put_back()
            return [loss_of(name, value, scalar_only)]

        _, gradients = _core._vjp(flat, leaves, ones_for)
        for i in fixed_leaves([positional, keyword]):  # where values stand
            gradients[i] = leaves[i]
        by_number = tuple(fill(positional[n], gradients) for n in numbers)
        result = by_number[0] if single else by_number
        if names:
            by_name = {n: fill(keyword[n], gradients) for n in names}
            result = (result if numbers else None, by_name)
        return value, result

    return Transformed(name, fun, wrapped)


def grad(
    fun: Callable[P, Any],
    argnums: Optional[Union[int, Sequence[int]]] = None,
    argnames: Union[str, Sequence[str]] = [],
) -> Callable[P, Any]:
    """A function that returns the gradient of `fun`; see value_and_grad. `fun` returns a scalar
    array.

    >>> import lazulite.core as mx
    >>> mx.grad(mx.grad(lambda x: x ** 3))(mx.array(2.0))
    array(12, dtype=float32)
    """
    both = _value_and_grad("grad", fun, argnums, argnames, scalar_only=True)._call

    def wrapped(*args, **kwargs):
        return both(*args, **kwargs)[1]

    return Transformed("grad", fun, wrapped)


class _Called:
    """A function of trees, of which derivatives are taken; its arguments in flat form."""

    def __init__(self, name: str, fun: Any, primals: Any):
        check_callable(name, fun)
        self.name, self.fun = name, fun
        self.primals = _trees_of(name, "primals", primals)
        self.leaves: list = []
        self.form = template(self.primals, self.leaves)
        _check_arrays(name, "primals", self.form)
        self.results: Any = None  # a template of the outputs
        self.exchanged = _core._Exchanged()

    def __call__(self, traced: list) -> list:
        # The caller's own containers hold traced arrays meanwhile, but for what the function puts
        # there: that stays.
        exchanged = self.exchanged
        try:
            args = [exchanged.put(a, part, traced) for a, part in zip(self.primals, self.form)]
            out = self.fun(*args)
            outputs: list = []
            several = isinstance(out, (list, tuple))
            self.results = template(list(out) if several else [out], outputs)
        finally:
            exchanged.put_back()
        for leaf in bare_leaves(self.results, is_module, fixed=True):
            if not isinstance(leaf, Leaf) and not is_module(leaf):
                raise ValueError(
                    f"[{self.name}] the function must return arrays: got {type(leaf).__name__}"
                )
        return outputs


def _trees_of(name: str, what: str, given: Any) -> list:
    if isinstance(given, (array, dict)) or not hasattr(given, "__iter__"):
        kind = "an array" if isinstance(given, array) else type(given).__name__
        raise TypeError(f"[{name}] {what}: got {kind}, expected a list of arrays")
    return list(given)


def _check_arrays(name: str, what: str, tree: Any) -> None:
    for leaf in bare_leaves(tree, is_module, fixed=True):
        if not isinstance(leaf, Leaf) and not is_module(leaf):
            raise TypeError(f"[{name}] {what}: got {type(leaf).__name__}, expected arrays")


def vjp(
    fun: Callable, primals: Sequence[Any], cotangents: Sequence[Any]
) -> tuple[list[Any], list[Any]]:
    """The outputs of `fun(*primals)` and the cotangents of `primals`: two lists. Cotangents are
    taken in the dtypes of the outputs, and come back in those of the primals. Primals and outputs
    are arrays or trees of arrays, with cotangents of the same structure; those of modules are dicts
    of their arrays, in which some may be missing.

    Raises ValueError when the number or shapes of cotangents are not those of the outputs.

    >>> import lazulite.core as mx
    >>> mx.vjp(mx.sin, [mx.array(0.0)], [mx.array(3.0)])
    ([array(0, dtype=float32)], [array(3, dtype=float32)])
    """
    called = _Called("vjp", fun, primals)
    cotangents = _trees_of("vjp", "cotangents", cotangents)
    _check_arrays("vjp", "cotangents", template(cotangents, []))

    def given(outputs):
        if len(called.results) != len(cotangents):
            raise ValueError(
                f"[vjp] got {len(cotangents)} cotangents for {len(called.results)} outputs"
            )
        flat = beside("[vjp] cotangents", cotangents, called.results, len(outputs))
        for o, c in zip(outputs, flat):
            if c is not None and o.shape != c.shape:
                raise ValueError(
                    f"[vjp] cotangent of shape {c.shape} for an output of shape {o.shape}"
                )
        return [
            c.astype(o.dtype) if c is not None and _core.issubdtype(o.dtype, _core.inexact) else c
            for o, c in zip(outputs, flat)
        ]

    outputs, grads = _core._vjp(called, called.leaves, given)
    grads = [g if g is not None else _core.zeros_like(p) for g, p in zip(grads, called.leaves)]
    for i in fixed_leaves(called.form):  # where values stand
        grads[i] = called.leaves[i]
    return fill(called.results, outputs), fill_plain(called.form, grads)


def _is_complex(a):
    return _core.issubdtype(a.dtype, _core.complexfloating)


def jvp(
    fun: Callable, primals: Sequence[Any], tangents: Sequence[Any]
) -> tuple[list[Any], list[Any]]:
    """The outputs of `fun(*primals)` and their tangents: two lists. Tangents are taken in the
    dtypes of the primals. Primals and outputs are arrays or trees of arrays, with tangents of the
    same structure; those of modules are dicts of their arrays, in which some may be missing: these
    do not move.

    Raises ValueError when the number or shapes of tangents are not those of the primals, and for
    complex tangents of real primals.

    >>> import lazulite.core as mx
    >>> mx.jvp(mx.sin, [mx.array(0.0)], [mx.array(3.0)])
    ([array(0, dtype=float32)], [array(3, dtype=float32)])
    """
    called = _Called("jvp", fun, primals)
    tangents = _trees_of("jvp", "tangents", tangents)
    _check_arrays("jvp", "tangents", template(tangents, []))
    if len(called.primals) != len(tangents):
        raise ValueError(f"[jvp] got {len(tangents)} tangents for {len(called.primals)} primals")
    flat = beside("[jvp] tangents", tangents, called.form, len(called.leaves))
    for i, (p, t) in enumerate(zip(called.leaves, flat)):
        if t is None:
            continue
        if p.shape != t.shape:
            raise ValueError(f"[jvp] tangent of shape {t.shape} for a primal of shape {p.shape}")
        if _is_complex(t) and not _is_complex(p):
            raise ValueError(f"[jvp] tangent of {t.dtype} for a primal of {p.dtype}")
        if _core.issubdtype(p.dtype, _core.inexact):
            flat[i] = t.astype(p.dtype)
    outputs, moved = _core._jvp(called, called.leaves, flat)
    for i in fixed_leaves(called.results):
        moved[i] = outputs[i]
    return fill(called.results, outputs), fill_plain(called.results, moved)


def _has_leaves(node):
    return any(isinstance(leaf, Leaf) for leaf in bare_leaves(node, fixed=True))


def _fits(axis, node):
    """Whether a dict of axes has the keys of another: of a module those that hold arrays."""
    if not is_module(node):
        return axis.keys() == node.keys()
    return axis.keys() <= node.keys() and not any(
        _has_leaves(node[key]) for key in node.keys() - axis.keys()
    )


def _is_axis(axis):
    if isinstance(axis, array):
        return axis.size == 1 and _core.issubdtype(axis.dtype, _core.integer)
    return axis is None or (hasattr(axis, "__index__") and not isinstance(axis, bool))


def _walk_axes(axis, node, found, name, in_module=False):
    in_module = in_module or is_module(node)
    if in_module and not _has_leaves(node):
        return  # whatever stands there
    if _is_axis(axis):
        axis = (
            axis
            if axis is None
            else int(axis.item()) if isinstance(axis, array) else axis.__index__()
        )
        for leaf in bare_leaves(node, fixed=True):
            if isinstance(leaf, Leaf):
                found[leaf.index] = axis
    elif isinstance(axis, dict) and isinstance(node, dict) and _fits(axis, node):
        for key in axis:
            _walk_axes(axis[key], node[key], found, name, in_module)
    elif (
        isinstance(axis, (list, tuple))
        and isinstance(node, (list, tuple))
        and len(axis) == len(node)
    ):
        for a, n in zip(axis, node):
            _walk_axes(a, n, found, name, in_module)
    elif is_branch(axis) and type(axis) is type(node) and not isinstance(axis, (dict, list, tuple)):
        for key in entries(node):
            part = entry(node, key)
            if is_branch(part) or isinstance(part, Leaf):  # other fields are no arrays
                _walk_axes(entry(axis, key), part, found, name, in_module)
    else:
        what = "an array" if isinstance(node, Leaf) else type(node).__name__
        raise ValueError(f"[vmap] {name} does not fit the tree: got {axis!r} for {what}")


def _axis_leaves(axes, tree_template, name):
    """The axis of every Leaf of the template: `axes` is an int, None, or a tree that is a
    prefix."""
    found: dict = {}
    _walk_axes(axes, tree_template, found, name)
    found.update(dict.fromkeys(fixed_leaves(tree_template)))
    return found


def _argument_axes(axes, arguments):
    """The same for a list of arguments, with an entry for each; for a single argument also a prefix
    of its own tree."""
    if _is_axis(axes):
        return _axis_leaves(axes, arguments, "in_axes")
    if len(arguments) == 1:
        if isinstance(axes, (list, tuple)) and len(axes) == 1:
            try:
                return _axis_leaves(axes[0], arguments[0], "in_axes")
            except ValueError:
                pass
        return _axis_leaves(axes, arguments[0], "in_axes")
    if not isinstance(axes, (list, tuple)):
        raise ValueError(
            f"[vmap] in_axes must be an int, None or a tuple: got {type(axes).__name__} for {len(arguments)} arguments"
        )
    if len(axes) != len(arguments):
        raise ValueError(
            f"[vmap] got in_axes for {len(axes)} arguments, called with {len(arguments)}"
        )
    return _axis_leaves(list(axes), arguments, "in_axes")


def _normal_axis(axis, ndim, name):
    if not -ndim <= axis < ndim:
        raise _core.ArrayIndexError(
            f"[vmap] {name} out of range: got {axis} for an array with {ndim} axes"
        )
    return axis % ndim


def _is_number(leaf):
    """Whether it is a number, or an array of NumPy's."""
    if isinstance(leaf, (bool, int, float, complex)):
        return True
    return hasattr(leaf, "__array_interface__") and getattr(leaf.dtype, "kind", "") in "biufc"


def vmap(fun: Callable[P, R], in_axes: Any = 0, out_axes: Any = 0) -> Callable[P, R]:
    """A function that maps `fun` over an axis of its arguments, as one batched computation.

    `in_axes` is an int for all arguments, or a tuple with an int, None (not mapped) or tree of
    these for each, a prefix of the argument's tree; of a single argument it may be that tree
    itself. `out_axes` says where the mapped axis stands in the outputs (None: an output that does
    not depend on it). Numbers in the output, NumPy's
    and its arrays too, are broadcast. A module is mapped as the dict of its arrays: `fun` gets a
    copy of it that holds the lane's, and one that it returns comes back as a module; arrays that
    `fun` puts into a copy which it does not return are refused. Without `key=`, or with one that is
    not mapped, random functions draw the same numbers in every lane.

    Raises ValueError when the mapped sizes differ, nothing is mapped, or a module is changed and
    does not come back.

    >>> import lazulite.core as mx
    >>> mx.vmap(lambda x, y: (x * y).sum(), in_axes=(0, None))(mx.ones((2, 3)), mx.ones(3))
    array([3, 3], dtype=float32)
    """
    check_callable("vmap", fun)

    def wrapped(*args, **kwargs):
        leaves: list = []
        shape = template(list(args), leaves)
        found = _argument_axes(in_axes, shape)
        flat_axes = [
            -1 if found[i] is None else _normal_axis(found[i], leaf.ndim, "in_axes")
            for i, leaf in enumerate(leaves)
        ]
        result: Any = None
        lent: Any = None

        def flat(traced):
            nonlocal result, lent
            outputs: list = []
            called = fill(shape, traced)
            lent = Lent("vmap", args, called)
            out = fun(*called, **kwargs)
            lent.check(out)
            out = map_leaves(
                lambda leaf: _core.array(leaf) if _is_number(leaf) else leaf, out, False
            )
            result = template(out, outputs)
            return outputs

        def wanted(outputs):
            single = (
                isinstance(result, Leaf)
                and isinstance(out_axes, (list, tuple))
                and len(out_axes) == 1
            )
            axes = _axis_leaves(out_axes[0] if single else out_axes, result, "out_axes")
            return [
                -1 if axes[i] is None else _normal_axis(axes[i], o.ndim + 1, "out_axes")
                for i, o in enumerate(outputs)
            ]

        values = _core._vmap(flat, leaves, flat_axes, wanted)
        lent.settle()
        return fill(result, values)

    return Transformed("vmap", fun, wrapped)
