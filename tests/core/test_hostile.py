"""Objects that change what holds them while they are asked: an answer or an exception, never a
crash. In a child process."""

import os
import subprocess
import sys

import pytest

PRELUDE = """
import gc
import numpy as np
import lazulite.core as mx

def clearing(question, answer=1, items=3):
    def ask(self, *args, **kwargs):
        held.clear()
        gc.collect()
        return answer
    held = []
    kind = type("Clearing", (), {question: ask})
    held.extend(kind() for _ in range(items))
    return held

def attempt(call):
    try:
        out = call()
        mx.eval(out)
        return out
    except Exception as error:
        assert str(error) and not isinstance(error, SystemError), error
        return error

class Endless:
    def __len__(self):
        return 1 << 62
    def __getitem__(self, i):
        return 0
"""

PROGRAMS = {
    "dtypes of NumPy's protocol": """
a = mx.ones(2)
for q in ("__index__", "__len__", "__getitem__", "__eq__", "__hash__"):
    for kind in (lambda l: (np.float32, l), lambda l: (a, l), lambda l: l, lambda l: {"names": l, "formats": l}, lambda l: [("a", l)]):
        attempt(lambda: a.__array__(kind(clearing(q))))
        attempt(lambda: a.__array__(dtype=kind(clearing(q))))
for dtype in (None, np.float64, np.dtype("f4"), "f8", float, mx.float32):
    assert a.__array__(dtype).shape == (2,)
""",
    "arrays in a list": """
for q, answer in (("__array__", np.ones(2)), ("__index__", 1), ("__float__", 1.0), ("__len__", 2), ("__getitem__", 1), ("__iter__", iter([1])), ("__bool__", True)):
    for make in (lambda l: mx.array(l), lambda l: mx.array([l, l]), lambda l: mx.array((l,)), lambda l: mx.stack(l), lambda l: mx.concatenate(l), lambda l: mx.zeros(l),
                 lambda l: mx.ones(3)[l], lambda l: mx.sum(mx.ones((2, 3)), axis=l), lambda l: mx.reshape(mx.ones(6), l), lambda l: mx.pad(mx.ones((2, 3)), l), lambda l: mx.pad(mx.ones((2, 3)), [l, l]),
                 lambda l: mx.broadcast_shapes(l, l), lambda l: mx.tensordot(mx.ones((2, 3)), mx.ones((2, 3)), [l, l]), lambda l: mx.transpose(mx.ones((2, 3)), l), lambda l: mx.split(mx.ones(4), l),
                 lambda l: mx.tile(mx.ones(2), l), lambda l: mx.roll(mx.ones(2), l), lambda l: mx.random.normal(l), lambda l: mx.meshgrid(*l), lambda l: mx.eval(l), lambda l: mx.ones(3).reshape(l),
                 lambda l: mx.ones(3).at[l].add(1), lambda l: mx.take(mx.ones(3), l), lambda l: mx.asarray(l), lambda l: mx.einsum("i,i", l, l) if hasattr(mx, "einsum") else None,
                 lambda l: mx.broadcast_arrays(*l), lambda l: mx.vmap(lambda *a: a[0])(*l), lambda l: mx.compile(lambda v: mx.ones(2))(l), lambda l: mx.grad(lambda v: mx.sum(v[0]))(l)):
        for items in (1, 3, 40):
            attempt(lambda: make(clearing(q, answer, items)))
""",
    "names of a dict": """
def shrinking(question, answer):
    def ask(self, *args):
        held.clear()
        gc.collect()
        return answer
    space = {question: ask}
    if question == "__eq__":
        space["__hash__"] = lambda self: 1
    kind = type("Name", (), space)
    held = {}
    for _ in range(20):
        dict.__setitem__(held, kind(), mx.ones(2)) if question != "__eq__" else held.setdefault(kind(), mx.ones(2))
    held["z"] = [mx.ones(3), {"q": mx.ones(1)}]
    return held
for q, answer in (("__repr__", "a"), ("__str__", "a"), ("__lt__", True), ("__hash__", 3), ("__eq__", False)):
    for use in (lambda d: mx.eval(d), lambda d: mx.compile(lambda v: mx.ones(2))(d), lambda d: mx.compile(lambda: mx.ones(2), inputs=d)(), lambda d: mx.compile(lambda: mx.ones(2), inputs=[d, d])(),
                lambda d: mx.grad(lambda v: mx.ones(()))(d), lambda d: mx.vmap(lambda v: mx.ones(()))(d), lambda d: mx.checkpoint(lambda v: mx.ones(()))(d), lambda d: mx.compile(lambda v: mx.ones(2))([d, [d]])):
        attempt(lambda: use(attempt(lambda: shrinking(q, answer))))
""",
    "an index that changes its array": """
for answer in (0, 1, 5):
    a = mx.arange(6) * 1
    class Index:
        def __index__(self):
            global a
            a[:] = 7
            a += mx.ones((3, 6), mx.int32)
            return answer
    attempt(lambda: a[Index()])
    attempt(lambda: a.__setitem__(Index(), 1))
    attempt(lambda: a.__setitem__((Index(), Index()), mx.ones(3)))
    attempt(lambda: a.at[Index()].add(1))
    attempt(lambda: a.reshape(Index(), -1))
    attempt(lambda: mx.take(a, Index()))
    attempt(lambda: a.sum(Index()))
    attempt(lambda: a[Index():Index():Index()])
""",
    "containers in themselves": """
l = []; l.append(l)
d = {}; d["a"] = d
t = ([],); t[0].append(t)
m = [mx.ones(2)]; m.append(m)
for o in (l, d, t, m):
    for use in (mx.array, mx.eval, mx.async_eval, mx.stack, mx.concatenate, mx.zeros, lambda o: mx.ones(3)[o], lambda o: mx.compile(lambda v: v)(o), lambda o: mx.grad(lambda v: mx.sum(v))(o),
                lambda o: mx.vmap(lambda v: v)(o), lambda o: mx.compile(lambda: mx.ones(1), inputs=o)(), lambda o: mx.checkpoint(lambda v: mx.ones(1))(o), lambda o: mx.pad(mx.ones(2), o), mx.asarray):
        attempt(lambda: use(o))
""",
    "sequences without an end": """
for o in (Endless(), iter(int, 1), (k for k in iter(int, 1)), range(10**12), range(2**70)):
    for use in (mx.stack, mx.concatenate, mx.zeros, lambda o: mx.ones(3)[o], lambda o: mx.sum(mx.ones(2), axis=o), lambda o: mx.pad(mx.ones(2), o), lambda o: mx.tile(mx.ones(2), o),
                lambda o: mx.split(mx.ones(2), o), lambda o: mx.transpose(mx.ones(2), o)):
        attempt(lambda: use(o) and None)
    attempt(lambda: mx.array(o) and None)
""",
    "texts that no encoding holds": """
for text in ("\\ud800", "a\\0b", "x" * 100000, "\\U0001f600"):
    for use in (lambda: mx.ones(2).astype(text), lambda: mx.zeros(2, text), lambda: mx.array([1], text), lambda: mx.pad(mx.ones(2), 1, text), lambda: mx.meshgrid(mx.ones(2), indexing=text),
                lambda: mx.isdtype(mx.float32, text), lambda: mx.ones(2).view(text), lambda: mx.array(text), lambda: mx.sin(text), lambda: mx.ones(2)[text], lambda: mx.finfo(text), lambda: format(mx.ones(()), text),
                lambda: mx.sum(mx.ones(2), **{text: 1}), lambda: mx.issubdtype(text, text), lambda: mx.result_type(text), lambda: mx.asarray([1], dtype=text), lambda: mx.can_cast(text, "float32"),
                lambda: mx.stream(text), lambda: mx.Device(text), lambda: mx.compile(lambda s: mx.ones(1))(text)):
        assert isinstance(attempt(use), (Exception, mx.array)) or True
""",
    "arrays that another array gives": """
class Gives:
    def __init__(self, what):
        self.what = what
    def __array__(self, *args, **kwargs):
        return self.what() if callable(self.what) else self.what
    def __dlpack__(self, *args, **kwargs):
        return self.what
class Dlpack:
    def __dlpack__(self, *args, **kwargs):
        return self
for what in (None, 3, "a", [1, 2], np.ones(2), mx.ones(2), np.array("a"), np.array([object()]), lambda: 1 / 0, object(), b"ab"):
    for use in (mx.array, mx.asarray, mx.sin, mx.from_dlpack, lambda o: mx.array([o, o]), lambda o: mx.ones(2) + o, lambda o: o * mx.ones(2), lambda o: mx.ones(3)[o]):
        attempt(lambda: use(Gives(what)))
for use in (mx.array, mx.asarray, mx.from_dlpack, mx.sin):
    attempt(lambda: use(Dlpack()))
""",
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_hostile_objects_get_an_answer(name):
    more = 1 << 29 if "ASAN_OPTIONS" in os.environ else 8 << 30  # a sanitizer holds much itself
    limit = (
        "import resource\n"
        f"limit = int(open('/proc/self/statm').read().split()[0]) * 4096 + {more}\n"
        "resource.setrlimit(resource.RLIMIT_AS, (limit, limit))\n"
    )
    done = subprocess.run(
        [
            sys.executable,
            "-X",
            "faulthandler",
            "-c",
            limit + PRELUDE + PROGRAMS[name] + "\nprint('done')",
        ],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "LAZULITE_GUARD": "none"},  # which needs many addresses
    )
    assert done.returncode == 0 and done.stdout.endswith("done\n"), (
        done.stdout[-500:] + done.stderr[-3000:]
    )
