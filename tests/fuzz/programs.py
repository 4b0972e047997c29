"""Random programs over the table: beside NumPy step by step, and to the bit beside themselves.

A program is a list of statements (maker.py). Step by step, each is compared with what NumPy makes
of the very values that it read. Then it runs as it stands (lazy, with evaluations at random
places), with every name deleted after its last use (so that buffers are given away), compiled,
with other numbers of threads, and in processes of other settings: all must agree to the bit.
"""

import ast
import os
import re

import common
import numpy as np

import lazulite.core as mx
import table
from lazulite.core import _core
from maker import HEADER, ROWS, SCOPE, UPDATES, generate


# ---- one statement beside NumPy ------------------------------------------------------------------


class Either(tuple):
    """Integers that give a float: computed in floats or, before they become one, in integers."""

    def __new__(cls, *values):
        return super().__new__(cls, values)


class Unknown(Exception):
    """NumPy has no such statement, or its values say nothing about ours."""


def wide(value):
    return table.wide(value)


def finite(values):
    return all(np.isfinite(v).all() for v in values if v.dtype.kind in "fc")


def close(got, wanted, inputs, times=1):
    """None, or how an array differs from what NumPy makes of the same inputs, by more than a few
    roundings (so many `times`)."""
    if isinstance(wanted, Either):
        return close(got, wanted[0], inputs, times) and close(got, wanted[1], inputs, times)
    value, wanted = table.to_numpy(got), np.asarray(wanted)
    if value.shape != wanted.shape:
        return f"shape {value.shape}, expected {wanted.shape}"
    if value.size == 0:
        return None
    if value.dtype.kind in "biu":
        if wanted.dtype.kind in "fc":
            return None
        return (
            None
            if (value == wanted.astype(value.dtype)).all()
            else where(value, wanted.astype(value.dtype))
        )
    name = table.name_of(got.dtype)
    wanted = wanted.astype(np.complex128 if value.dtype.kind == "c" else np.float64)
    value = value.astype(wanted.dtype)
    largest = max(
        [0.0] + [float(np.abs(v).max()) for v in inputs if v.size and v.dtype.kind != "b"]
    )
    if not largest < 1e4 or not np.abs(wanted).max() < table.limits_of(name)[1] / 4:
        return None
    slack = times * table.slack(name, wanted, inputs)
    wrong = ~(np.abs(value - wanted) <= slack)
    return where(value, wanted, wrong) if wrong.any() else None


def where(value, wanted, wrong=None):
    wrong = value != wanted if wrong is None else wrong
    at = tuple(int(k[0]) for k in np.nonzero(wrong)) if wrong.ndim else ()
    places = f"at {at} of {value.shape} ({int(wrong.sum())} places)"
    return f"{places}: {value[at]}, NumPy says {wanted[at]}"


def row_of(function):
    path = ast.unparse(function).split(".")
    return ROWS.get(("" if len(path) == 2 else path[1], path[-1])) if path[0] == "mx" else None


def divides_by_epsilon(node):
    """Of rows of one number a norm leaves what its mean was rounded by, over the root of
    epsilon."""
    rows = [row_of(n.func) for n in ast.walk(node) if isinstance(n, ast.Call)]
    return any(row and "eps" in row.signature for row in rows)


def many_terms(node, got, inputs):
    """A Fourier transform folds each axis into every element, of operands that may be broadcast,
    a convolution all of its weights; differences of order n add up 2^n operands."""
    calls = [n for n in ast.walk(node) if isinstance(n, ast.Call)]
    rows = [row_of(n.func) for n in calls]
    arrays = got if isinstance(got, (list, tuple)) else [got]
    times = 1.0
    if arrays and any(row and row.module == "fft" for row in rows):
        times = max(a.size for a in arrays) ** 0.5
    if any(row and row.name.startswith("conv") for row in rows):
        times = max(1, min((v.size for v in inputs if v.ndim > 1), default=1)) ** 0.5
    for call in calls:
        if ast.unparse(call.func) == "mx.diff":
            orders = call.args[1:2] + [k.value for k in call.keywords if k.arg == "n"]
            times *= 2.0 ** sum(ast.literal_eval(n) for n in orders)
    return times


MINUS_ONE = ast.parse("-1", mode="eval").body


def near_ties(values, node, row):
    """Whether decimals are so near the middle of two, or a step so near half a period, that
    rounding a product or a difference decides."""
    if row.name not in ("round", "unwrap"):
        return False
    values = np.asarray(values)
    if values.dtype.kind not in "fc" or not values.size:
        return False
    named = {k.arg: k.value for k in node.keywords}
    if row.name == "round":
        given = node.args[1:2] + [named[k] for k in ("decimals",) if k in named]
        if not given:
            return False
        scaled = np.stack([values.real, values.imag]) * 10.0 ** ast.literal_eval(given[0])
    else:
        axis = ast.literal_eval(
            node.args[2] if len(node.args) > 2 else named.get("axis", MINUS_ONE)
        )
        period = ast.literal_eval(named["period"]) if "period" in named else 2 * np.pi
        scaled = np.diff(values, axis=axis) / period
    apart = np.abs(scaled - np.floor(scaled) - 0.5)
    return bool((apart <= 1e-6 * (1 + np.abs(scaled))).any())


def cancels(values, row):
    """Whether a polynomial's terms are so much larger than what it is given that their rounding
    shows."""
    if row.name != "polyval" or not all(v.size for v in map(np.asarray, values)):
        return False
    sizes = [np.abs(v) for v in values[:2]]
    return bool(np.polyval(*sizes).max() > 100 * max(1, *(v.max() for v in sizes)))


def beside_numpy(node, scope, got):
    """What NumPy says about an expression whose operands are known and whose value is `got`;
    Unknown where it cannot."""
    if (
        isinstance(node, ast.Subscript)
        and isinstance(node.value, ast.Call)
        and row_of(node.value.func)
    ):
        k = ast.literal_eval(node.slice)
        results = beside_numpy(node.value, scope, got)  # one of several
        return Either(*(r[k] for r in results)) if isinstance(results, Either) else results[k]
    if isinstance(node, ast.Name):
        return wide(scope[node.id])
    if isinstance(node, ast.Attribute) and node.attr == "T":
        return wide(evaluated(node.value, scope)).T
    if isinstance(node, ast.Subscript):
        return wide(evaluated(node.value, scope))[numpy_key(node.slice, scope)]
    if not isinstance(node, ast.Call):
        raise Unknown
    if (
        isinstance(node.func, ast.Attribute)
        and node.func.attr == "reshape"
        and row_of(node.func) is None
    ):
        return wide(evaluated(node.func.value, scope)).reshape(evaluated(node.args[0], scope))
    at = node.func.value if isinstance(node.func, ast.Attribute) else None
    if (
        isinstance(at, ast.Subscript)
        and isinstance(at.value, ast.Attribute)
        and at.value.attr == "at"
    ):
        out = wide(evaluated(at.value.value, scope)).copy()
        update(
            out, numpy_key(at.slice, scope), node.func.attr, wide(evaluated(node.args[0], scope))
        )
        return out
    row = row_of(node.func)
    if row is None or not row.has_reference:
        raise Unknown
    args = []
    for a in node.args:
        several = isinstance(a, ast.Starred)
        args += evaluated(a.value, scope) if several else [evaluated(a, scope)]
    kwargs = {k.arg: evaluated(k.value, scope) for k in node.keywords}
    arrays = table.arrays_in(args)
    if row.elementwise:
        low, high = row.low, row.high
        for a in arrays:
            v = wide(a)
            if v.dtype.kind in "iu" and low >= 0 and v.size and v.min() < 1:
                raise Unknown
            if (
                v.size
                and v.dtype.kind == "f"
                and ((low, high) != (-2.0, 2.0) or row.ulp is None)
                and (v.min() < min(low, -high) or v.max() > 20)
            ):
                raise Unknown
            if (low, high) != (-2.0, 2.0) and v.size and v.dtype.kind == "f" and v.min() < low:
                raise Unknown
        args = [a if isinstance(a, mx.array) else mx.array(a) if len(args) > 1 else a for a in args]
        if len(args) == 2:
            weak = [not isinstance(evaluated(n, scope), mx.array) for n in node.args]
            common_type = (mx.result_type(*[a for a, w in zip(args, weak) if not w]))
            if any(weak) and common_type == mx.bool_:
                raise Unknown
            if (
                any(weak)
                and (mx.issubdtype(common_type, mx.integer) or common_type == mx.bool_)
                and any(mx.issubdtype(a.dtype, mx.floating) for a in args)
            ):
                raise Unknown
            args = [a.astype(common_type) for a in args]
    values = [wide(a) for a in args]
    if not finite([v for v in flat(values)]):
        raise Unknown
    if near_ties(values[0], node, row) or cancels(values, row):
        raise Unknown
    result = got[0] if isinstance(got, (list, tuple)) else got
    floating = values
    if table.name_of(result.dtype) in table.INEXACT and not any(
        v.dtype.kind in "fc" for v in flat(values)
    ):
        floating = table.as_float64(values)
    try:
        with np.errstate(all="ignore"):
            first = row.reference()(*floating, **kwargs)
            return (
                first if floating is values else Either(first, row.reference()(*values, **kwargs))
            )
    except (TypeError, OverflowError, np.linalg.LinAlgError):
        raise Unknown from None
    except (ValueError, IndexError):
        if any(v.size == 0 for v in flat(values)):
            raise Unknown from None  # NumPy refuses more of what is empty
        raise


def flat(tree):
    return (
        [leaf for part in tree for leaf in flat(part)]
        if isinstance(tree, (list, tuple))
        else [tree] if isinstance(tree, np.ndarray) else []
    )


def evaluated(node, scope):
    return eval(compile(ast.Expression(node), "program", "eval"), scope)


def numpy_key(node, scope):
    key = evaluated(node, scope)
    return (
        tuple(wide(k) if isinstance(k, mx.array) else k for k in key)
        if isinstance(key, tuple)
        else wide(key) if isinstance(key, mx.array) else key
    )




def update(out, key, method, value):
    with np.errstate(all="ignore"):
        value = np.asarray(value).astype(out.dtype)
        if method == "set":
            out[key] = value
        else:
            UPDATES[method].at(out, key, value)


def inputs_of(node, scope):
    """The arrays that a statement reads, and what a call is given of them."""
    given = (
        [evaluated(a, scope) for a in node.args]
        if isinstance(node, ast.Call) and row_of(node.func)
        else []
    )
    return [wide(a) for a in table.arrays_in(given)] + [
        wide(scope[n.id])
        for n in ast.walk(node)
        if isinstance(n, ast.Name) and isinstance(scope.get(n.id), mx.array)
    ]


def stepped(lines):
    """Runs step by step beside NumPy: (Failure or None, the results)."""
    scope = dict(SCOPE)
    for line in lines:
        statement = ast.parse(line).body[0]
        try:
            wanted = None
            held = {n: table.bits(a) for n, a in scope.items() if isinstance(a, mx.array)}
            if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
                exec(line, scope)
                target = scope[statement.targets[0].id]
                mx.eval(target)
                made = statement.value
                if not (isinstance(made, ast.Call) and isinstance(made.func, ast.Name)):
                    try:
                        wanted = beside_numpy(made, scope, target)
                    except Unknown:
                        pass
                    except Exception as error:
                        return common.raised(error, "NumPy, unlike ours,"), None
                inputs = inputs_of(made, scope)
                changed = {statement.targets[0].id}
            elif isinstance(statement, (ast.Assign, ast.AugAssign)):
                place = (
                    statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
                )
                name = (place.value if isinstance(place, ast.Subscript) else place).id
                inputs = inputs_of(statement, scope)
                out = wide(scope[name]).copy()
                key = numpy_key(place.slice, scope) if isinstance(place, ast.Subscript) else ...
                value = wide(evaluated(statement.value, scope))
                if isinstance(statement, ast.AugAssign):
                    operator = {ast.Add: np.add, ast.Sub: np.subtract, ast.Mult: np.multiply}[
                        type(statement.op)
                    ]
                    with np.errstate(all="ignore"):
                        value = operator(out[key], value)
                if not (out.dtype.kind in "biu" and np.asarray(value).dtype.kind in "fc"):
                    with np.errstate(all="ignore"):
                        out[key] = value
                    wanted = out
                changed = {n for n, a in scope.items() if a is scope[name]}
                exec(line, scope)
                target = scope[name]
                mx.eval(target)
            else:
                exec(line, scope)
                changed = set()
        except (NameError, SyntaxError, AttributeError):
            return None, None  # no program (it is being shrunk)
        except IndexError as error:
            return None, error  # of an array of indices, which only evaluation sees
        except Exception as error:
            return common.raised(error, "a step"), None
        if wanted is not None and (
            isinstance(wanted, Either) or not isinstance(wanted, (list, tuple))
        ):
            times = max(
                4 if divides_by_epsilon(statement) else 1, many_terms(statement, target, inputs)
            )
            said = close(target, wanted, inputs, times)
            if said and finite(inputs):
                return common.Failure("a step is not what NumPy makes", f"{line}: {said}"), None
        for n, b in held.items():
            if n in scope and n not in changed and table.bits(scope[n]) != b:
                return common.Failure("a step changes another array", f"{line}: {n}"), None
    return None, results_in(scope)


# ---- the same program in other ways --------------------------------------------------------------


def results_in(scope):
    return {n: table.bits(a) for n, a in scope.items() if isinstance(a, mx.array)}


PRODUCTS = {row.name for row in ROWS.values() if not row.same_bits_in_any_layout}


def multiplies(lines):
    nodes = [n for line in lines for n in ast.walk(ast.parse(line))]
    return any(
        isinstance(n, ast.MatMult) or isinstance(n, ast.Attribute) and n.attr in PRODUCTS
        for n in nodes
    )


def plainly(lines):
    if os.environ.get("LAZULITE_OPENBLAS") == "none" and multiplies(lines):
        return {}  # sums of products may differ between levels
    scope = dict(SCOPE)
    for line in lines:
        exec(line, scope)
    left = [a for a in scope.values() if isinstance(a, mx.array)]
    mx.eval(left)
    return results_in(scope)


def names_in(line):
    return {n.id for n in ast.walk(ast.parse(line)) if isinstance(n, ast.Name)} - set(SCOPE)


def given_away(lines):
    """The program with every name deleted after its last use, and the last statement's name
    kept."""
    last = {n: k for k, line in enumerate(lines) for n in names_in(line)}
    deleted = {n for line in lines if line.startswith("del ") for n in names_in(line)}
    out = []
    for k, line in enumerate(lines):
        if line.startswith(("mx.eval", "mx.async_eval", "np.asarray")):
            continue
        out.append(line)
        gone = sorted(n for n in names_in(line) if last[n] == k and n not in deleted)
        if gone and k + 2 < len(lines):
            out.append("del " + ", ".join(gone))
    return out


def as_function(lines):
    """The program as a function of its new arrays: (inputs, function)."""
    starts = [line for line in lines if re.match(r"v\d+ = (array|indices)\(", line)]
    body = [
        line
        for line in lines
        if line not in starts and not line.startswith(("mx.eval", "mx.async_eval", "np.asarray"))
    ]
    names = [line.split(" ", 1)[0] for line in starts]
    text = (
        f"def program({', '.join(names)}):\n"
        + "".join(f"    {line}\n" for line in body)
        + "    return {k: a for k, a in locals().items()}\n"
    )
    scope = dict(SCOPE)
    exec(text, scope)
    inputs = {}
    for line in starts:
        exec(line, SCOPE, inputs)
    return [inputs[n] for n in names], scope["program"]


def check(lines):
    mx.set_num_threads(1)
    _core._set_least_absorbed(1 << 62)
    _core._set_least_formed_again(1 << 62)
    _core._set_least_joined(1 << 62)
    failure, wanted = stepped(lines)
    if failure or wanted is None:
        return failure
    if isinstance(wanted, IndexError):
        return None  # what fails may be deleted or overwritten unevaluated by the others
    _core._set_least_cost(1e9)  # whatever has two chunks wakes workers
    _core._set_least_absorbed(1)  # however small, a kernel takes what its group forms
    _core._set_least_formed_again(1)  # and what follows from little is never stored
    _core._set_least_joined(1)  # and expressions stay in registers
    _core._set_least_coded(0)  # as machine code
    for way, (run, threads) in WAYS.items():
        try:
            mx.set_num_threads(threads)
            got = run(lines)
        except Exception as error:
            return common.raised(error, way)
        for n, b in got.items():
            if b != wanted.get(n, b):
                return common.Failure(
                    f"{way} differs from step by step", f"{n}: got {b}, expected {wanted[n]}"
                )
    return None


def compiled(lines):
    inputs, function = as_function(lines)
    kept = [table.bits(a) for a in inputs]
    call = mx.compile(function)
    first, second = results_in(call(*inputs)), results_in(call(*inputs))
    if first != second:
        raise AssertionError("the second call of a compiled function differs from the first")
    if [table.bits(a) for a in inputs] != kept:
        raise AssertionError("a compiled function changed its argument")
    return first


def again(lines):
    """Graphs that come again run by plans that are kept."""
    first = plainly(lines)
    for _ in range(3):
        if plainly(lines) != first:
            raise AssertionError("a program that runs again differs from its first run")
    return first


# How a program runs, and with how many threads.
WAYS = {
    "lazy": (plainly, 2),
    "given away": (lambda lines: plainly(given_away(lines)), 7),
    "compiled": (compiled, 3),
    "again": (again, 2),
}


def simplify(lines):
    """Candidates in which one statement gives way to a new array of the same shape."""
    scope = dict(SCOPE)
    for line in lines:
        exec(line, scope)
    for k, line in reversed(list(enumerate(lines))):
        match = re.match(r"(v\d+) = (?!array\(|indices\()", line)
        a = match and scope.get(match.group(1))
        if isinstance(a, mx.array):
            yield lines[:k] + [f'{match.group(1)} = array("{a.dtype.name}", {a.shape}, 1)'] + lines[
                k + 1 :
            ]
    for k, line in enumerate(lines):
        match = re.match(r'(v\d+ = array\(")(\w+)(".*)', line)
        if match and match.group(2) != "float32":
            yield lines[:k] + [match.group(1) + "float32" + match.group(3)] + lines[k + 1 :]


def show(lines, kind):
    """The program as a script."""
    if kind.startswith("given away"):
        lines = given_away(lines)
    names = sorted({n for line in lines for n in names_in(line)}, key=lambda n: int(n[1:]))
    text = HEADER + "\n".join(lines) + "\n"
    if kind.startswith("compiled"):
        text += "# differs inside mx.compile, as a function of what array() and indices() make\n"
    return text + f'for n in {names}:\n    if n in globals():\n        print(n, globals()[n])\n'


VARIANTS = [
    ({"LAZULITE_ISA": "generic", "LAZULITE_OPENBLAS": "none"}, {"LAZULITE_OPENBLAS": "none"}),
    {"LAZULITE_FUSE": "0"},
    {"LAZULITE_DONATE": "0"},
    {"LAZULITE_MACHINE_CODE": "0"},
    {"LAZULITE_CACHE_BYTES": "0"},
]

if __name__ == "__main__":
    common.main(generate, check, results=plainly, variants=VARIANTS, simplify=simplify, show=show)
