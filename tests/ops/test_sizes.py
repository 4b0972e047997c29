"""Sizes, axes and counts beyond everything: an exception or a lazy result at once, never a crash, a
hang or a huge block.

The calls come from the table: in every sample of every function, each number, each number in a
tuple, each array of indices and each parameter that may be a number is replaced by numbers beyond
everything. They run in a child process with a limit on memory, which says before each call what it
does.
"""

import faulthandler
import inspect
import os
import resource
import subprocess
import sys

import pytest

import lazulite.core as mx
from table import ROWS

HUGE = [
    1 << 62,
    2**63,
    2**64,
    -1,
    2**32,
    2**31,
    -(2**32),
    -(2**63),
    2**63 - 1,
    10**30,
    -(10**30),
    1 << 45,
]
# What is no function of the table, or has no sample there.
CALLS = """mx.empty({n}) mx.empty((2,{n})) mx.broadcast_shapes(({n},1),(1,{n})) mx.random.seed({n}) mx.array(range({n})) mx.asarray(range({n}))
v[{n}] v[{n}:] v[:{n}] v[::{n}] v[{n}::-1] a[0,::{n}] a[:,{n}] a[...,{n}:] v[[{n}]] v.at[{n}].add(1) v.at[::{n}].add(1) v.at[{n}:].multiply(2)
mx.arange(0.0,float({n})) mx.arange(-{n},{n}) mx.arange(0,{n},{n}) mx.broadcast_to(v,({n},{n},3)) mx.meshgrid(big,big) mx.outer(big,big) mx.kron(big,big)
big[:,None]+big mx.matmul(big[:,None],big[None]) mx.concatenate([big]*8) mx.take(v,big32) mx.stack([big]*3) mx.tile(big,(9,9)) mx.where(big[:,None]>0,big,big)
mx.view(wide,mx.int8) mx.zeros((0,{n})) mx.zeros((0,{n},{n})).sum(1) a<<{n} a+{n} a.astype(mx.int32)+{n} {n}-a.astype(mx.int8) a.astype(mx.uint64)//{n}
mx.vmap(lambda*x:x,in_axes={n})(a) mx.vmap(lambda*x:x,out_axes={n})(a) mx.grad(mx.sum,{n})(a) mx.scan(lambda*c:c,v,length={n},unroll={n})
  """.split() + [
    "mx.vmap(lambda x: x + big)(big)",
    "mx.vmap(lambda x: mx.zeros({n}) + x)(v)",
    "mx.grad(lambda x: mx.broadcast_to(x, ({n}, 3)).sum())(v)",
    "mx.compile(lambda x: mx.repeat(x, {n}))(v)",
]


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def replacements(value, n):
    """`value` with a number in it exchanged for n, in every way."""
    if is_number(value):
        yield n
        yield float(n)
        yield (n,)
        yield (2, n)
        yield (n, n)
    elif isinstance(value, (tuple, list)):
        for k, part in enumerate(value):
            for other in replacements(part, n):
                yield type(value)([*value[:k], other, *value[k + 1 :]])
        if all(is_number(part) for part in value):
            yield n
            yield type(value)([n] * len(value))
            yield type(value)([*value, n])
    elif isinstance(value, mx.array) and value.dtype in (mx.int32, mx.uint32):
        if -(2**63) <= n < 2**63:
            yield mx.broadcast_to(mx.array(n, mx.int64), value.shape)
        if 0 <= n < 2**64:
            yield mx.broadcast_to(mx.array(n, mx.uint64), value.shape)


def samples(row):
    """(text, args, kwargs) of each sample; a method has those of the function of its name."""
    cases, sampler = row.cases, row
    if not cases and row.module == "array":
        sampler = next((r for r in ROWS if r.name == row.name and r.module == ""), row)
        cases = sampler.cases
    dtype = "float32" if sampler.types is None or "float32" in sampler.types else sampler.types[-1]
    for case in cases:
        yield (f"{row!r}({case})", *sampler.sampler(dtype).arguments(case))


AXES = ("axis", "axes", "axis1", "axis2", "start_axis", "end_axis", "source", "destination")


def table_calls(row, n):
    """(text, function that calls, whether it has to refuse) with n in every place of every sample
    where a number may be."""
    parameters = list(inspect.signature(row.function).parameters.values())
    for text, args, kwargs in samples(row):
        for k, value in enumerate(args):
            for other in replacements(value, n):
                new = (*args[:k], other, *args[k + 1 :])
                yield (
                    f"{text}, place {k}: {other!r:.60}",
                    lambda new=new: row.function(*new, **kwargs),
                    k < len(parameters) and parameters[k].name in AXES and abs(n) > 64,
                )
        given = {p.name for p in parameters[: len(args)]}
        for p in parameters:
            value = kwargs.get(p.name, p.default)
            if p.name in given or p.name == "stream" or p.default is p.empty:
                continue
            for other in replacements(0 if value is None else value, n):
                new = {**kwargs, p.name: other}
                yield (
                    f"{text}, {p.name}={other!r:.60}",
                    lambda new=new: row.function(*args, **new),
                    p.name in AXES and abs(n) > 64,
                )


def calls():
    scope = {
        "mx": mx,
        "a": mx.ones((2, 3)),
        "v": mx.ones(3),
        "big": mx.ones((1 << 61,), mx.int8),
        "big32": mx.zeros((1 << 59,), mx.int32),
        "wide": mx.zeros((1 << 59,), mx.float64),
    }
    for text in CALLS:
        for n in HUGE if "{n}" in text else HUGE[:1]:
            text_n = text.replace("{n}", f"({n})" if n < 0 else str(n))
            yield text_n, lambda text_n=text_n: eval(text_n, dict(scope)), False
    for row in (r for r in ROWS if not r.name.startswith("_")):
        for n in HUGE:
            yield from table_calls(row, n)


def child():
    with open("/proc/self/statm") as file:  # a sanitizer holds much itself
        limit = int(file.read().split()[0]) * 4096 + (8 << 30)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    mx.set_memory_limit(1 << 26)
    for text, call, refuses in calls():
        print(text, flush=True)
        faulthandler.dump_traceback_later(60, exit=True)  # it hangs
        try:
            made = call()
            assert not refuses, "an axis that is none"
            for one in made if isinstance(made, (list, tuple)) else [made]:
                if isinstance(one, mx.array):
                    assert all(n >= 0 for n in one.shape), one.shape
                    assert one.size < 2**63 and one.nbytes < 2**63
                    mx.eval(one)
        except (TypeError, ValueError, IndexError, MemoryError) as error:
            assert str(error), "an error without a text"
    faulthandler.cancel_dump_traceback_later()
    print("done")


def test_no_size_is_too_large_for_an_answer():
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", __file__],
        capture_output=True,
        text=True,
        timeout=600,
        env=os.environ,
    )
    assert done.returncode == 0 and done.stdout.endswith("done\n"), (
        done.stdout[-200:] + done.stderr[-2000:]
    )
    assert done.stdout.count("\n") > 10_000


def test_every_function_that_takes_a_size_is_asked():
    sizes = {"shape", "shapes", "axis", "axes", "n", "k", "num", "offset", "decimals", "M"}
    for row in ROWS:
        if row.name.startswith(("_", "set_")) or row.module == "array":
            continue
        if sizes & set(inspect.signature(row.function).parameters):
            by_hand = any(f".{row.name}(" in call for call in CALLS)
            assert by_hand or any(True for _ in table_calls(row, 1 << 62)), row


@pytest.mark.parametrize(
    "text",
    [
        "mx.zeros(1 << 62)",
        "mx.broadcast_to(v, (1 << 62, 3))",
        "mx.tile(v, 1 << 61)",
        "mx.repeat(v, 1 << 62)",
        "mx.pad(v, 1 << 62)",
        "mx.eye(1 << 31)",
        "mx.tri(1 << 31)",
        "mx.arange(1 << 62)",
        "mx.arange(2**63)",
        "mx.random.normal((1 << 62,))",
        "mx.full((2**63,), 1)",
        "mx.outer(mx.ones(1 << 31), mx.ones(1 << 31))",
        "mx.concatenate([mx.zeros(1 << 60)] * 4)",
        "mx.linspace(0, 1, 1 << 62)",
        "mx.ones((1 << 31, 1)) + mx.ones((1, 1 << 31))",
        "mx.ones((1 << 31, 1)) @ mx.ones((1, 1 << 31))",
    ],
)
def test_a_size_beyond_63_bits_is_a_memory_error_at_the_call_that_names_the_function(text):
    scope = {"mx": mx, "v": mx.ones(3)}
    with pytest.raises(MemoryError) as raised:
        eval(text, scope)
    name = text.split("(")[0].split(".")[-1]
    if text.startswith("mx.ones((1"):
        name = "add" if "+" in text else "matmul"
    assert str(raised.value).startswith(f"[{name}]"), raised.value


def test_a_size_that_memory_does_not_have_is_a_memory_error_when_evaluated():
    for make in (
        lambda: mx.ones(1 << 42) + 1,
        lambda: mx.eye(1 << 24),
        lambda: mx.random.normal((1 << 45,)),
        lambda: mx.zeros(1 << 45),
    ):
        a = make()
        mx.reset_peak_memory()
        with pytest.raises(MemoryError, match="out of memory"):
            mx.eval(a)
        assert mx.get_peak_memory() < 1 << 30
    assert mx.ones(3).sum().item() == 3


if __name__ == "__main__":
    child()
