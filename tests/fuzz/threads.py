"""Threads that share arrays, read them, change them in place, trace, compile and evaluate, in
several streams.

A line is a statement of one thread: `t3: v1 = v0 * 2`. Every thread has arrays of its own (`v0`,
`v1`, ...), which only it names, so that its values are those that NumPy gives for its lines alone;
and all have the shared ones `s0` to
`s3`, which they read and change at once: of them it is only asked that the program neither crashes
nor hangs, and that what is read has the shape and is finite. Every program runs several times, with
other interleavings.
"""

import faulthandler
import re
import sys
import threading

import common
import numpy as np

import lazulite.core as mx

THREADS, SHARED, REPEATS = 6, 4, 3
HANG = 15.0  # seconds until every thread's stack is printed and the process ends

# What a thread does to its own arrays: as Lazulite and as NumPy computes it, exact in float32.
OWN = [
    "v{a} = (v{b} * {n} + v{c}) % 512",
    "v{a} = (v{b} - v{c}) % 16",
    "v{a} = xp.abs(v{b} - {n})",
    "v{a} = xp.where(v{b} > {n}, v{b}, v{c})",
    "v{a} = xp.maximum(v{b}, v{c})[::-1] % 32",
    "v{a} = xp.floor(v{b} / 2)",
    "v{a} = v{b} * 0 + xp.sum(v{c} % 8)",
    "v{a} = xp.concatenate([v{b}[{i}:], v{c}[:{i}]])",
    "v{a}[{i}] = {n}",
    "v{a}[{i}:] = v{b}[{i}:] % 16",
    "v{a}[v{b} > {n}] = {n}",
    "v{a} += v{b} % 8",
    "v{a} = v{b} % 64",
]
# The same values in another way: nothing may change by them.
SAME = [
    "mx.eval(v{a})",
    "mx.async_eval(v{a}, v{b})",
    "v{a} = double(v{a}) - v{a}",
    "v{a} = pair(v{a}).value",
    "v{a} = mx.grad(lambda x: (x * v{b}).sum())(v{a} * 1) * 0 + v{a}",
    "v{a} = mx.array(np.asarray(v{a}))",
    "v{a} = mx.from_dlpack(v{a})",
    "v{a} = mx.asarray(np.asarray(v{a} + 0))",
    "v{a} = mx.vmap(lambda x: x + 0)(v{a})",
    "v{a} = mx.fori_loop(0, 3, lambda i, x: x + i, v{a}) - 3",
    "with mx.stream(streams[{n}]): v{a} = v{a} + 0",
    "mx.synchronize()",
    "mx.synchronize(streams[{n}])",
    "h{n} = v{a} * 1; del h{n}",
]
# With what all threads share. `look` checks shape and finiteness.
TOGETHER = [
    "look(s{p}.tolist())",
    "look(np.asarray(s{p}))",
    "look(np.from_dlpack(s{p}))",
    "look(np.array(memoryview(s{p})))",
    "look(np.frombuffer(bytes(s{p}), np.float32))",
    "repr(s{p})",
    "look([s{p}[{i}].item()] * N)",
    "look(pickle.loads(pickle.dumps(s{p})).tolist())",
    "list(map(float, s{p}[:16]))",
    "look((s{p} + s{q}).tolist())",
    "look(double(s{p}).tolist())",
    "look(pair(s{p}).value.tolist())",
    "look(mx.grad(lambda x: mx.tanh(x).sum())(mx.array(s{p})).tolist())",
    "mx.eval(s{p}, [s{q}])",
    "mx.async_eval(s{p} * 1, s{q})",
    "s{p}[{i}] = {n}",
    "s{p}[s{q} > 0.5] = 0.5",
    "s{p} *= 0.5",
    "s{p}[:] = mx.tanh(s{q})",
    "s{p}[{i}:] = s{q}[{i}:] * 0.5",
    "with mx.stream(streams[{n}]): s{p} += 0.25; mx.async_eval(s{p})",
    "s{p} -= s{p} * 0.5",
    "plan = str(mx.plan(s{p}))",
    "h = mx.exp(-mx.abs(s{p})); del h",
]


def generate(rng):
    lines = []
    for _ in range(rng.randrange(30, 120)):
        thread = rng.randrange(THREADS)
        line = rng.choice(rng.choice([OWN, SAME, TOGETHER]))
        numbers = {k: rng.randrange(3) for k in "abc"} | {k: rng.randrange(SHARED) for k in "pq"}
        lines.append(
            f"t{thread}: " + line.format(**numbers, n=rng.randrange(4), i=rng.randrange(16))
        )
    return [f"N = {rng.choice([16, 16, 300, 5000, 70000])}"] + lines


PRELUDE = """
import collections, pickle, threading
Pair = collections.namedtuple("Pair", "value n")
double = mx.compile(lambda x: x * 2, cache_size=2)
pair = mx.compile(lambda x: Pair(x * 1, 3), cache_size=1)
streams = [mx.new_stream(mx.cpu) for _ in range(4)]
def look(values):
    values = np.asarray(values)
    assert values.shape == (N,), f"shape {values.shape}"
    assert np.isfinite(values).all(), "not finite"
def start(xp, k): return [(xp.arange(N) % (5 + k + j)).astype(np.float32 if xp is np else mx.float32) for j in range(3)]
"""


def split(lines):
    """N, and the statements of each thread."""
    size, each = 16, [[] for _ in range(THREADS)]
    for line in lines:
        found = re.match(r"t(\d+): (.*)", line)
        if found:
            each[int(found.group(1)) % THREADS].append(found.group(2))
        elif line.startswith("N = "):
            size = max(16, int(line[4:]))
    return size, each


def own_in_numpy(k, statements, scope):
    """The values of a thread's own arrays."""
    here = dict(scope)
    here["xp"] = np
    here["v0"], here["v1"], here["v2"] = scope["start"](np, k)
    patterns = [
        re.escape(o)
        .replace(r"\{a\}", r"\d")
        .replace(r"\{b\}", r"\d")
        .replace(r"\{c\}", r"\d")
        .replace(r"\{n\}", r"\d")
        .replace(r"\{i\}", r"\d+")
        for o in OWN
    ]
    for s in statements:
        if any(re.fullmatch(p, s) for p in patterns):
            exec(s, here)
            for v in ("v0", "v1", "v2"):
                here[v] = np.array(here[v], np.float32)  # no views: arrays of Lazulite are values
    return [here[v] for v in ("v0", "v1", "v2")]


def check(lines):
    size, each = split(lines)
    with np.errstate(all="ignore"):
        scope = {"np": np, "mx": mx, "xp": mx, "N": size}
        exec(PRELUDE, scope)
        wanted = [own_in_numpy(k, each[k], scope) for k in range(THREADS)]
        faulthandler.dump_traceback_later(HANG, exit=True, file=sys.stderr)
        try:
            for _ in range(REPEATS):
                failure = once(size, each, wanted)
                if failure:
                    return failure
        finally:
            faulthandler.cancel_dump_traceback_later()
    return None


def once(size, each, wanted):
    scope = {"np": np, "mx": mx, "xp": mx, "N": size}
    exec(PRELUDE, scope)
    shared = {f"s{k}": mx.arange(size).astype(mx.float32) / size for k in range(SHARED)}
    barrier, failures = threading.Barrier(THREADS), []

    def run(k):
        here = dict(scope)
        here.update(shared)  # in-place statements change the objects that all have
        here["v0"], here["v1"], here["v2"] = scope["start"](mx, k)
        barrier.wait()
        statement = ""
        try:
            for statement in each[k]:
                exec(statement, here)
            for j, value in enumerate(wanted[k]):
                statement = f"v{j}"
                got = np.array(here[statement])
                if got.shape != value.shape or not np.array_equal(got, value, equal_nan=True):
                    failures.append(
                        common.Failure(
                            "a thread's own array is wrong",
                            f"t{k} v{j}: got {got[:20]}, expected {value[:20]}",
                        )
                    )
        except Exception as error:
            failures.append(common.raised(error, f"{re.sub('[0-9]', '', statement)[:40]}"))

    threads = [threading.Thread(target=run, args=(k,)) for k in range(THREADS)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for s in scope["streams"]:
        mx.synchronize(s)
    return failures[0] if failures else None


def show(lines, kind):
    """The program as a script."""
    size, each = split(lines)
    text = (
        common.HEADER
        + f"N = {size}\nxp = mx\n"
        + PRELUDE
        + f"s0, s1, s2, s3 = (mx.arange(N).astype(mx.float32) / N for _ in range({SHARED}))\n\n"
    )
    used = [k for k in range(THREADS) if each[k]]
    for k in used:
        text += f"def t{k}():\n    global s0, s1, s2, s3\n    v0, v1, v2 = start(mx, {k})\n"
        text += (
            "".join(f"    {s}\n" for s in each[k])
            + "    print("
            + f"'t{k}', np.array(v0)[:20], np.array(v1)[:20], np.array(v2)[:20])\n\n"
        )
    threads = ", ".join(f"t{k}" for k in used)
    return (
        text
        + f"threads = [threading.Thread(target=t) for t in ({threads},)]\nfor t in threads: t.start()\nfor t in threads: t.join()\n"
    )


if __name__ == "__main__":
    common.main(generate, check, show=show, timeout=60.0)
