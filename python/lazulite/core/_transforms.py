"""grad, value_and_grad, vjp, jvp and vmap over functions of trees.

The transforms themselves work on flat lists of arrays, in the extension; here arguments and results
are taken apart and put together again.
"""

from __future__ import annotations



from . import _core
from ._core import array
from ._trees import Leaf, check_callable, fill, map_leaves, named_like, template

TYPE_CHECKING = False  # importing typing would take longer than all of this package
if TYPE_CHECKING:
    from typing import Any, Callable, Optional, Sequence, Union


def _check_differentiable(name: str, where: str, leaves_template: Any, leaves: Sequence[array]):
    def check(leaf):
        if not isinstance(leaf, Leaf):
            raise ValueError(
                f"[{name}] {where} is not made of arrays: got {type(leaf).__name__}, "
                "expected an array or a tree of arrays"
            )

    map_leaves(check, leaves_template)
    for leaf in leaves:
        if not _core.issubdtype(leaf.dtype, _core.inexact):
            raise TypeError(
                f"[{name}] {where} cannot be differentiated: got {leaf.dtype}, "
                "expected a floating or complex dtype"
            )


def _normal_argnums(name, argnums, argnames):
    names = [argnames] if isinstance(argnames, str) else list(argnames)
    if argnums is None:
        argnums = () if names else 0
    single = isinstance(argnums, int)
    numbers = [argnums] if single else list(argnums)
    for n in numbers:
        if not isinstance(n, int) or isinstance(n, bool) or n < 0:
            raise ValueError(f"[{name}] argnums must be non-negative integers: got {n!r}")
    if len(set(numbers)) != len(numbers) or len(set(names)) != len(names):
        raise ValueError(f"[{name}] repeated argument: got argnums {argnums}, argnames {argnames}")
    if not numbers and not names:
        raise ValueError(f"[{name}] nothing to differentiate: got no argnums and no argnames")
    return single, numbers, names


def value_and_grad(
    fun: Callable,
    argnums: Optional[Union[int, Sequence[int]]] = None,
    argnames: Union[str, Sequence[str]] = [],
) -> Callable:
    """A function that returns `fun`'s value and its gradient.

    `fun` returns a scalar array (0-d), or a tuple or list whose first entry is one; the whole value is
    returned beside the gradient. Gradients have the structure, shapes and dtypes of the arguments
    named by `argnums` (default 0) and `argnames`. With a tuple of numbers a tuple of gradients is
    returned, with names the pair `(gradients by number or None, dict of gradients by name)`. Complex
    arguments follow PyTorch's convention: dL/dx + i dL/dy for real L.

    Raises ValueError for numbers in place of arrays and for a value that is not a scalar, TypeError
    for integer arrays.

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
                raise ValueError(f"[{name}] argnums {n} out of range: got {len(args)} positional arguments")
        for n in names:
            if n not in kwargs:
                raise ValueError(f"[{name}] argument {n!r} is missing: it was not passed by keyword")
        leaves: list = []
        positional, keyword = {}, {}
        for n in numbers:
            start = len(leaves)
            positional[n] = template(args[n], leaves)
            _check_differentiable(name, f"argument {n}", positional[n], leaves[start:])
        for n in names:
            start = len(leaves)
            keyword[n] = template(kwargs[n], leaves)
            _check_differentiable(name, f"argument {n!r}", keyword[n], leaves[start:])
        value = None

        def flat(traced):
            nonlocal value
            called = [fill(positional[i], traced) if i in positional else a for i, a in enumerate(args)]
            named = {k: fill(keyword[k], traced) if k in keyword else v for k, v in kwargs.items()}
            value = fun(*called, **named)
            loss = value
            if not scalar_only and isinstance(value, (tuple, list)) and value:
                loss = value[0]
            if not isinstance(loss, array) or loss.ndim != 0:
                got = f"an array of shape {loss.shape}" if isinstance(loss, array) else type(loss).__name__
                raise ValueError(f"[{name}] the function must return a scalar array: got {got}")
            return [loss]

        _, gradients = _core._vjp(flat, leaves, lambda outputs: [_core.ones_like(outputs[0])])
        by_number = tuple(fill(positional[n], gradients) for n in numbers)
        result = by_number[0] if single else by_number
        if names:
            result = (result if numbers else None, {n: fill(keyword[n], gradients) for n in names})
        return value, result

    return named_like(fun, wrapped)


def grad(
    fun: Callable,
    argnums: Optional[Union[int, Sequence[int]]] = None,
    argnames: Union[str, Sequence[str]] = [],
) -> Callable:
    """A function that returns the gradient of `fun`; see value_and_grad. `fun` returns a scalar array.

    >>> import lazulite.core as mx
    >>> mx.grad(mx.grad(lambda x: x ** 3))(mx.array(2.0))
    array(12, dtype=float32)
    """
    both = _value_and_grad("grad", fun, argnums, argnames, scalar_only=True)

    def wrapped(*args, **kwargs):
        return both(*args, **kwargs)[1]

    return named_like(fun, wrapped)


def _outputs_of(fun, structure):
    def flat(traced):
        out = fun(*traced)
        structure.append(out)
        outputs = list(out) if isinstance(out, (list, tuple)) else [out]
        for o in outputs:
            if not isinstance(o, array):
                raise ValueError(f"the function must return arrays: got {type(o).__name__}")
        return outputs

    return flat


def vjp(fun: Callable, primals: Sequence[array], cotangents: Sequence[array]):
    """The outputs of `fun(*primals)` and the cotangents of `primals`: two lists.

    Raises ValueError when the number or shapes of cotangents are not those of the outputs.

    >>> import lazulite.core as mx
    >>> mx.vjp(mx.sin, [mx.array(0.0)], [mx.array(3.0)])
    ([array(0, dtype=float32)], [array(3, dtype=float32)])
    """
    cotangents = list(cotangents)

    def given(outputs):
        if len(outputs) != len(cotangents):
            raise ValueError(f"[vjp] got {len(cotangents)} cotangents for {len(outputs)} outputs")
        for o, c in zip(outputs, cotangents):
            if o.shape != c.shape:
                raise ValueError(f"[vjp] cotangent of shape {c.shape} for an output of shape {o.shape}")
        return cotangents

    primals = list(primals)
    outputs, grads = _core._vjp(_outputs_of(fun, []), primals, given)
    return outputs, [g if g is not None else _core.zeros_like(p) for g, p in zip(grads, primals)]


def jvp(fun: Callable, primals: Sequence[array], tangents: Sequence[array]):
    """The outputs of `fun(*primals)` and their tangents: two lists.

    Raises ValueError when the number or shapes of tangents are not those of the primals.

    >>> import lazulite.core as mx
    >>> mx.jvp(mx.sin, [mx.array(0.0)], [mx.array(3.0)])
    ([array(0, dtype=float32)], [array(3, dtype=float32)])
    """
    primals, tangents = list(primals), list(tangents)
    if len(primals) != len(tangents):
        raise ValueError(f"[jvp] got {len(tangents)} tangents for {len(primals)} primals")
    for p, t in zip(primals, tangents):
        if p.shape != t.shape:
            raise ValueError(f"[jvp] tangent of shape {t.shape} for a primal of shape {p.shape}")
    return _core._jvp(_outputs_of(fun, []), primals, tangents)


def _note_axis(leaf, axis, found):
    if isinstance(leaf, Leaf):
        found[leaf.index] = axis


def _walk_axes(axis, node, found, name):
    if axis is None or (isinstance(axis, int) and not isinstance(axis, bool)):
        map_leaves(lambda leaf: _note_axis(leaf, axis, found), node)
    elif isinstance(axis, dict) and isinstance(node, dict) and axis.keys() == node.keys():
        for key in node:
            _walk_axes(axis[key], node[key], found, name)
    elif isinstance(axis, (list, tuple)) and isinstance(node, (list, tuple)) and len(axis) == len(node):
        for a, n in zip(axis, node):
            _walk_axes(a, n, found, name)
    else:
        raise ValueError(f"[vmap] {name} does not fit the tree: got {axis!r} for {type(node).__name__}")


def _axis_leaves(axes, tree_template, name):
    """The axis of every Leaf of the template: `axes` is an int, None, or a tree that is a prefix."""
    found: dict = {}
    _walk_axes(axes, tree_template, found, name)
    return found


def _normal_axis(axis, ndim, name):
    if not -ndim <= axis < ndim:
        raise _core.ArrayIndexError(f"[vmap] {name} out of range: got {axis} for an array with {ndim} axes")
    return axis % ndim


def vmap(fun: Callable, in_axes: Any = 0, out_axes: Any = 0) -> Callable:
    """A function that maps `fun` over an axis of its arguments, as one batched computation.

    `in_axes` is an int for all arguments, or a tuple with an int, None (not mapped) or tree of these
    for each; `out_axes` says where the mapped axis stands in the outputs (None: an output that does
    not depend on it). Numbers in the output are broadcast. Without `key=`, or with one that is not
    mapped, random functions draw the same numbers in every lane.

    Raises ValueError when the mapped sizes differ or nothing is mapped.

    >>> import lazulite.core as mx
    >>> mx.vmap(lambda x, y: (x * y).sum(), in_axes=(0, None))(mx.ones((2, 3)), mx.ones(3))
    array([3, 3], dtype=float32)
    """
    check_callable("vmap", fun)

    def wrapped(*args, **kwargs):
        leaves: list = []
        shape = template(list(args), leaves)
        axes = in_axes if isinstance(in_axes, (int, type(None))) else list(in_axes)
        if isinstance(axes, list) and len(axes) != len(args):
            raise ValueError(f"[vmap] got in_axes for {len(axes)} arguments, called with {len(args)}")
        found = _axis_leaves(axes, shape, "in_axes")
        flat_axes = [
            -1 if found[i] is None else _normal_axis(found[i], leaf.ndim, "in_axes")
            for i, leaf in enumerate(leaves)
        ]
        result: Any = None

        def flat(traced):
            nonlocal result
            outputs: list = []
            out = fun(*fill(shape, traced), **kwargs)
            out = map_leaves(
                lambda leaf: _core.array(leaf) if isinstance(leaf, (bool, int, float, complex)) else leaf, out
            )
            result = template(out, outputs)
            return outputs

        def wanted(outputs):
            axes = _axis_leaves(out_axes, result, "out_axes")
            return [
                -1 if axes[i] is None else _normal_axis(axes[i], o.ndim + 1, "out_axes")
                for i, o in enumerate(outputs)
            ]

        values = _core._vmap(flat, leaves, flat_axes, wanted)
        return fill(result, values)

    return named_like(fun, wrapped)
