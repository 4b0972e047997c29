"""Misuse: any argument of any function, method, layer, optimizer or helper replaced by something
odd.

An exception (or a result) within a second: never a crash, a hang, a huge block of memory or an
error without a text. The child has a limit on memory, and stands in an empty folder.
"""

import inspect
import os
import re
import resource
import tempfile
import time

import common
import numpy as np

import lazulite.core as mx
import table
from lazulite import nn, optimizers, utils

SANITIZED = "ASAN_OPTIONS" in os.environ
LIMIT = 1 << 30 if SANITIZED else 12 << 30  # bytes of address space that the child may add


# ---- odd objects: their source is printed with a failing program ---------------------------------


class Raising:
    """Every question is answered with an exception."""

    def _no(self, *args, **kwargs):
        raise RuntimeError("no")

    __len__ = __iter__ = __getitem__ = __index__ = __int__ = __float__ = __bool__ = __array__ = (
        __eq__
    ) = __hash__ = __repr__ = _no


class Endless:
    """A sequence that says that it is very long, and has an item at every place."""

    def __init__(self, item=0):
        self.item = item

    def __len__(self):
        return 1 << 62

    def __getitem__(self, i):
        return self.item


class Answers:
    """Gives one object for every question."""

    def __init__(self, answer):
        self.answer = answer

    def _give(self, *args, **kwargs):
        return self.answer

    __len__ = __iter__ = __getitem__ = __index__ = __int__ = __float__ = __bool__ = __array__ = (
        __dlpack__
    ) = __call__ = _give


def clearing(question, items=3):
    """A list with an object in it that empties the list when it is asked."""

    def ask(self, *args, **kwargs):
        held.clear()
        return np.ones(2) if question == "__array__" else 1

    kind = type(
        "Clearing",
        (),
        {question: ask, **({"__hash__": object.__hash__} if question == "__eq__" else {})},
    )
    held = [kind() for _ in range(items)]
    return held


def shrinking_dict(question="__repr__"):
    def ask(self, *args):
        held.clear()
        return "1"

    kind = type("Clearing", (), {question: ask})
    held = {kind(): mx.ones(2), kind(): {"a": mx.ones(1)}, "b": mx.ones(2)}
    return held


def containing_itself(kind=list):
    held = kind()
    if kind is list:
        held.append(held)
    else:
        held["a"] = held
    return held


def x(*shape, dtype="float32"):
    return mx.array(
        np.random.default_rng(1).uniform(-2, 2, shape).astype("float32"), getattr(mx, dtype)
    )


def i(high, *shape):
    return mx.array(np.random.default_rng(1).integers(0, high, shape), mx.int32)


def b(*shape):
    return mx.array(np.random.default_rng(1).uniform(0, 1, shape) < 0.5)


def set_item(a, key, value):
    a[key] = value
    return a


def in_place(a, value):
    a += value
    return a


HELPERS = (
    Raising,
    Endless,
    Answers,
    clearing,
    shrinking_dict,
    containing_itself,
    x,
    i,
    b,
    set_item,
    in_place,
)
SCOPE = {
    "mx": mx,
    "np": np,
    "nn": nn,
    "optimizers": optimizers,
    "utils": utils,
    **{f.__name__: f for f in HELPERS},
}
QUESTIONS = (
    "__array__",
    "__index__",
    "__float__",
    "__len__",
    "__iter__",
    "__getitem__",
    "__eq__",
    "__repr__",
    "__bool__",
)

ODD = """0 1 2 -1 -2 7 64 65 255 256 -129 2**15 2**31-1 2**31 -2**31 2**32 2**32+1 1<<45 1<<62 2**63-1 2**63 -2**63 2**64 -2**64 10**30 -10**30 10**400
0.0 -0.0 0.5 -1.5 1e9 1e38 1e300 -1e300 float('nan') float('inf') -float('inf') 1j complex('nan') True False None Ellipsis NotImplemented
'' 'a' 'float32' 'mean' 'x'*10000 '\\ud800' '\\0' b'' b'ab' bytearray(b'ab') memoryview(b'abcd') object() type int float list Exception
() (1,) (0,0) (-1,) (2,3) (2,)*65 (1,)*64 (1<<62,) (1<<31,1<<31) (None,) ('a',) ((),()) [] [1] [[1],[2,3]] [[]] [[[]]] [None] ['a'] [1,'a'] [1,None] [float('nan')] [1j,True]
{} {'a':1} {1:2} {'a':x(2)} {None:x(2)} set() {1,2} frozenset() range(3) range(0) range(10**12) slice(None) slice(0,None,0) slice(2**70,None,-2**70) slice('a') iter([1]) (k for k in (1,2))
lambda:0 lambda*a:a lambda*a,**k:1/0 print len mx nn.Linear x.__name__ mx.float32 mx.bool_ mx.complex64 mx.cpu mx.gpu mx.sin np.float32 np.dtype('float64') np.dtype('>i4') np.dtype('O')
np.float16(2) np.float64('nan') np.int8(-1) np.int64(2**40) np.uint64(2**64-1) np.bool_(True) np.complex64(1j) np.str_('a') np.datetime64(1,'s') np.array(None) np.array('a') np.array([]) np.array([1,2])
np.array(3) np.array([[1]]) np.array([1,2],'>i4') np.array([2**63],'u8') np.ones((2,3))[::-1] np.zeros((0,3)) np.zeros((3,0,2)) np.broadcast_to(1,(2,3)) np.float32
x() x(1) x(3) x(0) x(2,3) x(2,3).T x(3,0,2) x(2,3,4,5) x(2,3,dtype='float16') x(2,3,dtype='bfloat16') x(2,3,dtype='complex64') x(2,3,dtype='int8') x(2,3,dtype='uint64') x(2,3,dtype='bool_')
x(2)*float('nan') mx.array(2) mx.array([1,0]) mx.array(2**40) mx.array(True) mx.zeros((0,1<<40)) mx.zeros((1,)*64) mx.array([5,-7]) b(2,3) i(3,4) mx.random.key(0)
Raising() Endless() Endless(None) Endless('a') Endless(x(2)) Answers(None) Answers(-1) Answers(1<<62) Answers('a') Answers([]) Answers(x(2)) Answers(np.ones(2)) [Raising()] [Endless()] {'a':Raising()}
containing_itself() containing_itself(dict) [containing_itself()] (x(2),containing_itself()) shrinking_dict() shrinking_dict('__hash__') np.array([Raising()],object)""".split()
ODD = [o for o in ODD if o != "(k" and o not in ("for", "in", "(1,2))", "k")] + [
    "(k for k in (1, 2))"
]
ODD += (
    [f"clearing('{q}')" for q in QUESTIONS]
    + [f"(x(2), clearing('{q}'))" for q in QUESTIONS]
    + [f"clearing('{q}', 40)" for q in QUESTIONS]
)

# By the name of a parameter: what makes sense.
GOOD = {
    "fun": "lambda *a: mx.sum(mx.sin(a[0]))",
    "func": "lambda *a: mx.sum(mx.sin(a[0]))",
    "f": "lambda *a: a[0]",
    "fn": "lambda *a: a[0]",
    "function": "lambda *a: mx.sum(a[0])",
    "primals": "[x(2, 3)]",
    "tangents": "[x(2, 3)]",
    "cotangents": "[x()]",
    "arrays": "[x(2, 3), x(2, 3)]",
    "inputs": "x(2, 3)",
    "shape": "(2, 3)",
    "axis": "0",
    "axes": "(0, 1)",
    "dtype": "mx.float32",
    "key": "mx.random.key(1)",
    "model": "nn.Linear(3, 2)",
    "tree": "{'a': x(2), 'b': [x(1)]}",
    "gradients": "{'a': x(2)}",
    "parameters": "{'a': x(2)}",
    "grads": "{'a': x(2)}",
    "params": "{'a': x(2)}",
    "max_norm": "1.0",
    "learning_rate": "0.1",
    "reduction": "'mean'",
    "targets": "x(2, 3)",
    "predictions": "x(2, 3)",
    "logits": "x(2, 3)",
    "in_axes": "0",
    "out_axes": "0",
    "argnums": "0",
    "value": "0.5",
    "p": "0.5",
    "dims": "3",
    "num_heads": "1",
    "kernel_size": "3",
    "groups": "1",
    "num_groups": "1",
    "stride": "1",
    "padding": "0",
    "dilation": "1",
    "bias": "True",
    "input_dims": "3",
    "output_dims": "2",
    "input_dim": "3",
    "in_channels": "3",
    "out_channels": "2",
    "scale_factor": "2",
}
LEFT_OUT = {
    "save",
    "savez",
    "savez_compressed",
    "save_safetensors",
    "save_gguf",
    "load",
    "export_function",
    "exporter",
    "export_to_dot",
    "import_function",
    "FunctionExporter",
    "while_loop",
    "fori_loop",
    "scan",  # as many steps as asked for
    "seed",
    "print_graph",
    "debug_nans",
    "profile",
    "synchronize",
    "new_stream",
    "clear_cache",
    "clear_streams",
    "hessian",
}


def parameters_of(function):
    try:
        return [
            p
            for p in inspect.signature(function).parameters.values()
            if p.name not in ("self", "stream")
        ]
    except (TypeError, ValueError):
        return []


def targets():
    """name -> (text of the callable, lists of texts of arguments)."""
    found = {}
    for row in table.ROWS:
        if (
            row.name.startswith("_")
            or row.name in LEFT_OUT
            or row.name.startswith("set_")
            or row.module not in ("", "random", "fast", "fft", "linalg", "sparse")
        ):
            continue
        cases = []
        for case in row.cases:
            cases.append([part for part in split(case)])
        where = f"mx.{row.module}." if row.module else "mx."
        found[where + row.name] = cases or [guess(row.function)]
    for name in dir(mx.array):
        method = getattr(mx.array, name)
        if callable(method) and (
            not name.startswith("_")
            or name
            in (
                "__getitem__",
                "__format__",
                "__round__",
                "__array__",
                "__dlpack__",
                "__pow__",
                "__divmod__",
            )
        ):
            found[f"x(2, 3).{name}"] = [guess(method)[1:] or ["0"]]
    for module, names in (
        ("mx", dir(mx)),
        ("nn", dir(nn)),
        ("nn.init", dir(nn.init)),
        ("nn.losses", dir(nn.losses)),
        ("optimizers", dir(optimizers)),
        ("utils", dir(utils)),
    ):
        owner = eval(module, SCOPE)
        for name in names:
            thing = getattr(owner, name)
            text = f"{module}.{name}"
            if (
                name.startswith("_")
                or name in LEFT_OUT
                or name.startswith(("set_", "reset_", "disable_", "enable_"))
                or text in found
                or not callable(thing)
            ):
                continue
            if isinstance(thing, type) and issubclass(thing, BaseException):
                continue
            found[text] = [guess(thing)]
    found["set_item"] = [
        ["x(2, 3)", "0", "1.0"],
        ["x(2, 3)", "(slice(None), [0, 1])", "x(2, 2)"],
        ["x(2, 3)", "b(2, 3)", "1"],
    ]
    found["in_place"] = [["x(2, 3)", "1"]]
    for sign in ("+", "-", "*", "/", "//", "%", "**", "@", "<<", "&", "==", "<"):
        found[f"(lambda a, b: a {sign} b)"] = [["x(2, 3)", "x(3)"], ["x(2, 3, dtype='int8')", "2"]]
    found["(lambda a, k, v: a.at[k].add(v))"] = [["x(2, 3)", "0", "1.0"]]
    found["mx.compile(lambda *a, **k: x(2) + 1)"] = [["x(2)", "{'a': x(1)}", "[1, x(2)]"]]
    found["mx.compile(lambda v: v + 1, inputs={'s': x(2)})"] = [["x(2)"]]
    found["mx.vmap(lambda v: v + 1)"] = found["mx.grad(lambda v: mx.sum(v * v))"] = found[
        "mx.checkpoint(mx.sin)"
    ] = [["x(2)"]]
    return found


def split(text):
    parts, depth, part = [], 0, ""
    for c in text + ",":
        depth += (c in "([{") - (c in ")]}")
        if c == "," and depth == 0:
            if part.strip():
                parts.append(part.strip())
            part = ""
        else:
            part += c
    return parts


def guess(function):
    out = []
    for p in parameters_of(function):
        if p.kind in (p.VAR_KEYWORD,):
            continue
        text = GOOD.get(p.name, "x(2, 3)")
        if p.default is not p.empty and p.name not in GOOD:
            text = (
                repr(p.default)
                if isinstance(p.default, (int, float, str, bool, type(None)))
                else "None"
            )
        out.append(f"{p.name}={text}" if p.kind == p.KEYWORD_ONLY else text)
    return out


TARGETS = None


def generate(rng):
    global TARGETS
    TARGETS = TARGETS or targets()
    lines = []
    for _ in range(6):
        name = rng.choice(sorted(TARGETS))
        args = list(rng.choice(TARGETS[name]))
        for _ in range(1 if rng.random() < 0.7 else 2):
            odd = rng.choice(ODD)
            if args and rng.random() < 0.93:
                k = rng.randrange(len(args))
                key = (
                    args[k].split("=")[0] + "="
                    if args[k].split("=")[0].isidentifier() and "=" in args[k]
                    else ""
                )
                args[k] = key + odd
            else:
                args.append(rng.choice(["stream=", "dtype=", "axis=", "key=", ""]) + odd)
        keyed = [a for a in args if a.split("=")[0].isidentifier() and "=" in a and "==" not in a]
        line = f"{name}({', '.join([a for a in args if a not in keyed] + keyed)})"
        if name.startswith("nn.") and name[3:4].isupper() and rng.random() < 0.7:
            line += f"({rng.choice(['x(2, 3)', 'x(1, 8, 3)', 'x(1, 8, 8, 3)', rng.choice(ODD)])})"
        lines.append(line)
    return lines


def small(tree, depth=0):
    if isinstance(tree, mx.array):
        return [tree] if tree.nbytes <= 1 << 24 else []
    if isinstance(tree, (list, tuple)) and depth < 3:
        return [a for t in tree[:20] for a in small(t, depth + 1)]
    return []


PREPARED = False


def prepare():
    global PREPARED
    if not PREPARED:
        os.chdir(tempfile.mkdtemp(prefix="misuse"))
        with open("/proc/self/statm") as file:  # a sanitizer holds much itself
            limit = int(file.read().split()[0]) * 4096 + LIMIT
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        mx.set_memory_limit(1 << 30)
        PREPARED = True


def check(lines):
    prepare()
    for line in lines:
        if line.startswith("(lambda a, b:") and not re.search(r"\b(x|i|b|mx\.\w+)\(", line):
            continue  # an operator between what others made: not ours to answer
        if "clearing(" in line and "np." in line:
            continue  # NumPy dies of a list that is cleared while it reads it
        before = mx.get_peak_memory()
        began = time.thread_time()
        try:
            out = eval(line, dict(SCOPE))
            mx.eval(small(out))
        except SystemError as error:
            return common.Failure("SystemError", f"{line}: {error}")
        except Exception as error:
            if (
                not isinstance(error, (StopIteration, ZeroDivisionError, KeyError, MemoryError))
                and not str(error)
                and not isinstance(error, AssertionError)
            ):
                return common.Failure("an error without a text", f"{line}: {type(error).__name__}")
        if time.thread_time() - began > (20 if SANITIZED else 1):
            return common.Failure("slow", f"{line}: {time.thread_time() - began:.1f} s")
        if mx.get_peak_memory() - before > 1 << 29:
            return common.Failure("a huge block", line)
    return None


def show(lines, kind):
    sources = "\n\n".join(inspect.getsource(f) for f in HELPERS)
    tries = "\n".join(f"attempt(lambda: {line})" for line in lines)
    return (
        common.HEADER
        + "from lazulite import nn, optimizers, utils\n\n\n"
        + sources
        + "\n\ndef attempt(call):\n    try:\n        mx.eval(call())\n"
        "    except Exception as error:\n        print(repr(error))\n\n\n" + tries + "\n"
    )


def simplify(lines):
    """One line at a time; common drops lines, this drops arguments from the end."""
    for k, line in enumerate(lines):
        if line.endswith(")") and "(" in line:
            parts = split(line[line.index("(") + 1 : -1])
            for drop in range(len(parts)):
                yield lines[:k] + [
                    line[: line.index("(") + 1] + ", ".join(parts[:drop] + parts[drop + 1 :]) + ")"
                ] + lines[k + 1 :]


if __name__ == "__main__":
    common.main(generate, check, simplify=simplify, show=show, timeout=30.0)
