"""What the fuzzers of transforms and loops share: a program is a function of the arrays that its
first lines make.

Its other lines are assignments of expressions, in which transforms or loops stand under short
names. Run with one set of names they are the library's, with another what they mean in plain
Python; derivatives and batching of both must agree.
"""

import ast
import inspect
import re

import numpy as np

import common
import lazulite.core as mx
from lazulite.core import _core


def array(seed, shape, dtype="float64"):
    return mx.array(np.random.default_rng(seed).uniform(-1.0, 1.0, shape), getattr(mx, dtype))


def is_input(line):
    return " = array(" in line


def as_function(lines, names):
    """(function of the inputs that returns what the other lines make, inputs)"""
    scope = {"mx": mx, "np": np, "array": array, "own": _core._copy_handle, **names}
    made = {}
    for line in lines:
        if is_input(line):
            exec(line, scope, made)
    body = [line for line in lines if not is_input(line)]
    results = sorted(
        {
            line.split(" = ", 1)[0]
            for line in body
            if " = " in line and line[0] == "v" and "[" not in line.split(" = ", 1)[0]
        },
        key=lambda n: int(n[1:]),
    )
    own = "".join(f"    {name} = own({name})\n" for name in made)  # changes in place stay inside
    text = (
        f"def program({', '.join(made)}):\n{own}"
        + "".join(f"    {line}\n" for line in body)
        + f"    return [{', '.join(results)}]\n"
    )
    exec(text, scope)
    return scope["program"], list(made.values())


def shown(names):
    """The `show` of a fuzzer with these names: the program as a script that runs."""
    def source(name, f):
        ours = next((n for n in dir(mx) if getattr(mx, n) is f), None)
        if ours:
            return f"{name} = mx.{ours}\n"
        text = inspect.getsource(f).replace("functions.", "")
        return text if f.__name__ == name else f"{text}\n\n{name} = {f.__name__}\n"

    def show(lines, kind):
        used = set(re.findall(r"[a-z]\w*", "\n".join(lines)))
        helpers = "".join(source(n, f) for n, f in names.items() if n in used)
        made = [line.split(" = ", 1)[0] for line in lines if re.match(r"v\d+ = ", line)]
        return (
            common.HEADER
            + f"\n\n{inspect.getsource(array)}\n\n{helpers}\n"
            + "\n".join(lines)
            + f"\nfor v in [{', '.join(made)}]:\n    print(v)\n"
        )

    return show


def numpy(values):
    return [np.array(v) for v in values]


def unlike(got, wanted, bits=False, tolerance=1e-8):
    """None, or how two lists of arrays differ."""
    if len(got) != len(wanted):
        return f"{len(got)} values, expected {len(wanted)}"
    for k, (g, w) in enumerate(zip(numpy(got), numpy(wanted))):
        if g.shape != w.shape or g.dtype != w.dtype:
            return f"value {k}: {g.dtype}{g.shape}, expected {w.dtype}{w.shape}"
        if bits and not np.array_equal(g, w, equal_nan=True):
            at = np.argwhere(~((g == w) | (np.isnan(g) & np.isnan(w))))[0]
            return f"value {k} at {tuple(int(i) for i in at)}: {g[tuple(at)]}, expected exactly {w[tuple(at)]}"
        scale = np.abs(w[np.isfinite(w)]).max(initial=1.0)
        near = np.isclose(g, w, rtol=tolerance, atol=tolerance * scale, equal_nan=True)
        if not near.all():
            at = tuple(int(i) for i in np.argwhere(~near)[0])
            return f"value {k} at {at}: {g[at]}, expected {w[at]} ({int((~near).sum())} of {g.size} elements)"
    return None


def weighted(f):
    """The function's results, each times fixed numbers, as one number."""

    def total(*args):
        out = 0.0
        for k, y in enumerate(f(*args)):
            if mx.issubdtype(y.dtype, mx.floating):
                out = out + (y * array(900 + k, y.shape, "float64").astype(y.dtype)).sum()
        return out

    return total


def like(arrays, seed):
    return [array(seed + k, a.shape).astype(a.dtype) for k, a in enumerate(arrays)]


def stacked_lanes(f, lanes, inputs, axes):
    """vmap written out."""
    def lane(k):
        return [a if x is None else mx.take(a, k, axis=x) for a, x in zip(inputs, axes)]

    results = [f(*lane(k)) for k in range(lanes)]
    return [mx.stack(list(column)) for column in zip(*results)]


def within(characters, make):
    """A program that is short enough to be read."""
    while True:
        lines = make()
        if sum(map(len, lines)) < characters:
            return lines


def attempt(run):
    """What went wrong, or None, of what must not raise. However small, kernels run with the groups
    beside them."""
    least, again = _core._set_least_absorbed(1), _core._set_least_formed_again(1)
    try:
        return run()
    except Exception as error:  # of ours, since the plain program ran
        return common.raised(error, "the program")
    finally:
        _core._set_least_absorbed(least)
        _core._set_least_formed_again(again)


def simplify(lines):
    """A part of an expression in the place of the whole."""
    for k, line in enumerate(lines):
        if is_input(line):
            continue
        tree = ast.parse(line)
        parents = [
            n
            for n in ast.walk(tree)
            if isinstance(n, (ast.Call, ast.BinOp, ast.Subscript, ast.Attribute, ast.Tuple))
        ]
        seen = set()
        for parent in parents:
            for piece in pieces_of(parent):
                text = ast.unparse(Exchange(parent, piece).visit(ast.parse(line)))
                if len(text) < len(line) and text not in seen:
                    seen.add(text)
                    yield lines[:k] + [text] + lines[k + 1 :]


def pieces_of(parent, depth=3):
    """Expressions inside an expression, the nearest first, and lists without one of their items."""
    inside = [n for n in ast.iter_child_nodes(parent) if isinstance(n, ast.expr)]
    for piece in inside:
        if isinstance(piece, ast.List) and len(piece.elts) > 1:
            for k in range(len(piece.elts)):
                short = ast.parse(ast.unparse(parent)).body[0].value
                items = next(n for n in ast.walk(short) if ast.dump(n) == ast.dump(piece)).elts
                del items[k]
                yield short
        if not isinstance(piece, ast.Lambda) and (
            not isinstance(piece, ast.Name) or re.fullmatch(r"[vucxwsi]\d+", piece.id)
        ):
            yield piece
    for piece in inside if depth > 1 else ():
        yield from pieces_of(piece, depth - 1)


class Exchange(ast.NodeTransformer):
    """The first part that reads like `parent` becomes `piece`."""

    def __init__(self, parent, piece):
        self.wanted, self.piece, self.done = ast.dump(parent), piece, False

    def visit(self, node):
        if not self.done and ast.dump(node) == self.wanted:
            self.done = True
            return self.piece
        return self.generic_visit(node)
