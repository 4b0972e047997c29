"""Loops and branches that are not unrolled: scan, while_loop, fori_loop, cond.

Their functions are traced once and become one op. Random functions inside them that draw from the
global state carry it along, so that every step draws its own numbers.
"""

from __future__ import annotations

from . import _core
from ._core import array
from ._lent import Lent
from ._trees import Leaf, check_callable, entries, fill, is_branch, map_leaves, template

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Optional


class _Again(Exception):
    """The trace was begun with the wrong arrays carried."""


def _as_arrays(name: str, tree: Any, what: str = "") -> Any:
    def convert(leaf):
        if isinstance(leaf, (array, type(None))):
            return leaf
        if isinstance(leaf, (bool, int, float, complex)) or hasattr(leaf, "__array__"):
            return array(leaf)
        raise ValueError(f"[{name}] {what}not an array or a number: got {type(leaf).__name__}")

    return map_leaves(convert, tree, False)  # but for what modules hold besides arrays


def _shape_of(part: Any) -> str:
    """How a tree looks, for messages."""
    if isinstance(part, (Leaf, array)):
        return "*"
    if isinstance(part, dict):
        return "{" + ", ".join(f"{k!r}: {_shape_of(v)}" for k, v in part.items()) + "}"
    if isinstance(part, (list, tuple)):
        return ("({})" if isinstance(part, tuple) else "[{}]").format(
            ", ".join(map(_shape_of, part))
        )
    if is_branch(part):
        return (
            f"{type(part).__name__}("
            + ", ".join(_shape_of(getattr(part, key)) for key in entries(part))
            + ")"
        )
    return getattr(part, "__qualname__", type(part).__name__) if callable(part) else repr(part)


def _same_tree(name: str, what: str, got: Any, expected: Any):
    if _shape_of(got) != _shape_of(expected):
        raise ValueError(f"[{name}] {what}: got {_shape_of(got)}, expected {_shape_of(expected)}")


class _Carried:
    """What a loop carries: the arrays of a tree, and the random state when its function draws from
    it."""

    def __init__(self, name: str, init: Any):
        self.name = name
        self.lent: list = []  # modules of the last trace
        # which leaves are Python numbers: they take the dtype that the loop gives them
        self.weak: list = []

        def note(leaf):
            if leaf is not None:
                self.weak.append(isinstance(leaf, (bool, int, float, complex)))

        map_leaves(note, init, False)
        self.arrays: list = []
        self.tree = template(_as_arrays(name, init), self.arrays)
        self.random = False

    def start(self) -> list:
        return self.arrays + ([_core.random.state[0]] if self.random else [])

    def count(self) -> int:
        return len(self.arrays) + self.random

    def called(self, fun: Callable, *pairs: tuple[Any, Any]) -> Any:
        """What `fun` gives for the second of each pair, which stands for the first."""
        lent = Lent(self.name, [own for own, _ in pairs], [copy for _, copy in pairs])
        out = fun(*[copy for _, copy in pairs])
        lent.check(out)
        self.lent.append(lent)
        return out

    def run(self, leaves: list, call: Callable) -> list:
        """`call` with the tree filled from leaves; it returns (next tree, other arrays). The flat
        results."""
        state = _core.random.state
        _core._push_key(leaves[len(self.arrays)] if self.random else state[0])
        begun = state[0]
        try:
            after, others = call(fill(self.tree, leaves))
            drawn = state[0]
        finally:
            _core._pop_key()
        if not self.random and not _core._same_handle(drawn, begun):
            self.random = True
            raise _Again
        results: list = []
        got = template(_as_arrays(self.name, after, "the carried value holds what is "), results)
        _same_tree(self.name, "the carried value becomes another tree", got, self.tree)
        again = False
        for i, (weak, result) in enumerate(zip(self.weak, results)):
            if weak and result.dtype != self.arrays[i].dtype:
                self.weak[i] = False
                self.arrays[i] = self.arrays[i].astype(
                    _core.result_type(self.arrays[i].dtype, result.dtype)
                )
                again = True
        if again:
            raise _Again
        return results + ([drawn] if self.random else []) + others

    def end(self, values: list) -> Any:
        for lent in self.lent:
            lent.settle()
        if self.random:
            _core.random.state[0] = values[len(self.arrays)]
        return fill(self.tree, values)


def _until_settled(begin: Callable) -> Any:
    while True:
        try:
            return begin()
        except _Again:
            continue


def scan(
    f: Callable, init: Any, xs: Any = None, length: Optional[int] = None, reverse: bool = False
) -> tuple:
    """A loop over the first axis of `xs` that carries a value along: `f(carry, x)` returns `(carry,
    y)`.

    Returns the last carry and the stacked `y`. `init`, `xs` and `y` are trees of arrays (or None);
    the carry keeps its structure, shapes and dtypes. Without `xs`, `length` says how many steps.
    `reverse` goes from the last slice to the first. `f` is traced once; it can be differentiated,
    mapped and compiled, and nothing is unrolled. In a derivative, what the way back needs of every
    step is kept.

    Raises ValueError when the carry changes, when first axes differ, and when `f` reads an array.

    >>> mx.scan(lambda total, x: (total + x, total), mx.array(0), mx.array([1, 2, 3]))
    (array(6, dtype=int32), array([0, 1, 3], dtype=int32))
    """
    return _scan("scan", f, init, xs, length, reverse)


def _scan(
    name: str, f: Callable, init: Any, xs: Any, length: Optional[int] = None, reverse: bool = False
) -> tuple:
    """scan, for the function that the user called."""
    check_callable(name, f)
    slices: list = []
    rows = template(_as_arrays(name, xs), slices)
    for x in slices:
        if x.ndim == 0:
            raise ValueError(
                "[scan] nothing to loop over: got a 0-d array in xs, expected a first axis"
            )
    if length is None:
        if not slices:
            raise ValueError(
                "[scan] the number of steps is not known: got no arrays in xs, expected them or length="
            )
        length = slices[0].shape[0]
    if hasattr(length, "__array__"):  # of one element, whatever its shape
        length = length.item() if length.size == 1 else length.tolist()
    if isinstance(length, bool) or not hasattr(length, "__index__"):
        raise TypeError(f"[scan] length: got {type(length).__name__}, expected an integer")
    length = length.__index__()
    carried = _Carried(name, init)
    kept: list = []

    def begin():
        n = carried.count()
        carried.lent.clear()

        def flat(leaves):
            def call(carry):
                out = carried.called(f, (init, carry), (xs, fill(rows, leaves[n:])))
                if not isinstance(out, (tuple, list)) or len(out) != 2:
                    raise ValueError(
                        f"[scan] the function must return (carry, y): got {type(out).__name__}"
                    )
                others: list = []
                kept[:] = [template(_as_arrays("scan", out[1]), others)]
                return out[0], others

            return carried.run(leaves, call)

        return _core._scan(flat, carried.start(), slices, length, reverse, name == "fori_loop")

    values = _until_settled(begin)
    return carried.end(values), fill(kept[0], values[carried.count():])


def while_loop(cond_fun: Callable, body_fun: Callable, init_val: Any) -> Any:
    """`v = body_fun(v)` as long as `cond_fun(v)`, a 0-d bool, holds; returns the last `v`, a tree
    of arrays that keeps its structure, shapes and dtypes. Both functions are traced once. It can be
    compiled, mapped (lanes that are done keep their values) and differentiated forward; `grad`
    raises ValueError, since the number of steps is not known: use fori_loop or scan.

    >>> mx.while_loop(lambda v: v < 100, lambda v: v * 2, mx.array(3))
    array(192, dtype=int32)
    """
    return _while_loop("while_loop", cond_fun, body_fun, init_val)


def _while_loop(name: str, cond_fun: Callable, body_fun: Callable, init_val: Any) -> Any:
    check_callable(name, cond_fun)
    check_callable(name, body_fun)
    carried = _Carried(name, init_val)

    def begin():
        carried.lent.clear()

        def test(leaves):
            _core._push_key(_core.random.state[0])
            try:
                go = carried.called(cond_fun, (init_val, fill(carried.tree, leaves)))
            finally:
                _core._pop_key()
            if isinstance(go, bool):
                go = array(go)
            if not isinstance(go, array):
                raise ValueError(
                    f"[while_loop] the test must give one 0-d bool: got {type(go).__name__}"
                )
            return [go]

        return _core._while_loop(
            test,
            lambda leaves: carried.run(
                leaves, lambda v: (carried.called(body_fun, (init_val, v)), [])
            ),
            carried.start(),
            name == "fori_loop",
        )

    return carried.end(_until_settled(begin))


def _bound(value: Any) -> Any:
    """A number where there is one: an array outside of abstract traces is read."""
    if isinstance(value, array):
        return value
    try:
        return value.__index__()
    except AttributeError:
        raise TypeError(
            f"[fori_loop] bounds must be integers: got {type(value).__name__}"
        ) from None


def fori_loop(lower: Any, upper: Any, body_fun: Callable, init_val: Any) -> Any:
    """`v = body_fun(i, v)` for `i` from `lower` to `upper - 1`, a 0-d int32 (int64 where
    a bound does not fit); returns the last `v`, a tree of arrays that keeps its structure, shapes
    and dtypes. With bounds that are numbers it can be differentiated both ways; a bound that is an
    array makes it a while_loop, whose number of steps may depend on data.

    >>> mx.fori_loop(0, 5, lambda i, v: v + i, mx.array(0))
    array(10, dtype=int32)
    """
    check_callable("fori_loop", body_fun)
    lower, upper = _bound(lower), _bound(upper)
    if isinstance(lower, array) or isinstance(upper, array):
        low, high = array(lower), array(upper)
        for bound in (low, high):
            if bound.ndim or not _core.issubdtype(bound.dtype, _core.integer):
                raise ValueError(
                    f"[fori_loop] bounds must be integers: got {bound.dtype} of shape {bound.shape}"
                )
        both = _core.result_type(low.dtype, high.dtype)

        def body(value):
            i, v = value
            return i + 1, body_fun(i, v)

        start = (low.astype(both), init_val)
        return _while_loop("fori_loop", lambda value: value[0] < high, body, start)[1]
    upper = max(lower, upper)
    if lower < -1 << 63 or upper >= 1 << 63:
        raise _core.ArrayOverflowError(
            f"[fori_loop] bounds beyond 64 bits: got {lower} and {upper}, expected int64"
        )
    small = lower >= -1 << 31 and upper < 1 << 31
    steps = _core.arange(lower, upper, dtype=_core.int32 if small else _core.int64)
    return _scan("fori_loop", lambda v, i: (body_fun(i, v), None), init_val, steps)[0]


def cond(pred: Any, true_fun: Callable, false_fun: Callable, *operands: Any) -> Any:
    """`true_fun(*operands)` where the 0-d `pred` holds, else `false_fun(*operands)`: both are
    traced, one is computed. They return trees of the same structure, shapes and dtypes. It can be
    differentiated, compiled and mapped; mapped over `pred`, both are computed and each lane takes
    its own. With a Python bool only the chosen function is called.

    >>> mx.cond(mx.array(2) > 1, lambda x: x + 1, lambda x: x - 1, mx.array(10))
    array(11, dtype=int32)
    """
    check_callable("cond", true_fun)
    check_callable("cond", false_fun)
    if isinstance(pred, bool):
        return (true_fun if pred else false_fun)(*operands)
    if not isinstance(pred, array):
        if isinstance(pred, str) or pred is None:
            kind = type(pred).__name__
            raise TypeError(f"[cond] pred: got {kind}, expected a bool or a 0-d array")
        pred = array(pred)
    if pred.ndim:
        raise ValueError(f"[cond] the predicate must be 0-d: got shape {pred.shape}")
    if pred.dtype != _core.bool_:
        pred = pred != 0
    leaves: list = []
    shape = template(_as_arrays("cond", list(operands)), leaves)
    trees: list = [None, None]
    drawing = [False]
    lent: list = []

    def begin():
        random = drawing[0]
        lent.clear()

        def branch(k, fun):
            def flat(given):
                state = _core.random.state
                _core._push_key(given[len(leaves)] if random else state[0])
                begun = state[0]
                try:
                    called = fill(shape, given)
                    lent.append(Lent("cond", operands, called))
                    out = fun(*called)
                    lent[-1].check(out)
                    drawn = state[0]
                finally:
                    _core._pop_key()
                if not random and not _core._same_handle(drawn, begun):
                    drawing[0] = True
                    raise _Again
                results: list = []
                trees[k] = template(_as_arrays("cond", out), results)
                return results + ([drawn] if random else [])

            return flat

        inputs = leaves + ([_core.random.state[0]] if random else [])
        yes, no = branch(0, true_fun), branch(1, false_fun)

        def no_checked(given):
            results = no(given)
            _same_tree("cond", "the functions return different trees", trees[1], trees[0])
            return results

        return _core._cond(pred, yes, no_checked, inputs)

    values = _until_settled(begin)
    for one in lent:
        one.settle()
    if drawing[0]:
        _core.random.state[0] = values[-1]
    return fill(trees[0], values)
