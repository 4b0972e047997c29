"""Nothing aborts: every function answers junk with a Python exception that names it."""

import numpy as np
import pytest

import lazulite.core as mx
from table import CASES, ROWS, ids

JUNK = [
    None,
    "text",
    object(),
    {},
    [[1], [2, 3]],
    -(10**30),
    10**30,
    float("nan"),
    1j,
    [],
    (),
    -1,
    7,
    np.zeros((0,)),
    mx.zeros((3, 0, 2)),
    mx.zeros((2, 3, 4, 5, 6)),
    mx.array([True]),
    mx.array(1 + 2j),
    mx.ones(3, mx.uint64),
    [None],
    "float32",
    mx.float16,
    slice(1),
    b"ab",
    mx.full((2,), float("nan")),
    range(3),
    *(np.dtype(t).type(2) for t in "?BHIQbhilefdFD"),  # numbers with a dtype of their own
]
ANSWERS = (TypeError, ValueError, IndexError, OverflowError, MemoryError)


def attempt(function, args, kwargs):
    try:
        out = function(*args, **kwargs)
        for o in out if isinstance(out, (list, tuple)) else [out]:
            if isinstance(o, mx.array) and o.size <= 10**6:
                mx.eval(o)
    except ANSWERS as error:
        assert str(error), "an error without a text"


@pytest.mark.parametrize("entry", CASES, ids=ids)
def test_junk_in_every_place(entry):
    row, case = entry
    dtype = "float32" if row.types is None or "float32" in row.types else row.types[-1]
    args, kwargs = row.sampler(dtype).arguments(case)
    for k in range(len(args)):
        for junk in JUNK:
            attempt(row.function, args[:k] + (junk,) + args[k + 1 :], kwargs)
    for junk in JUNK:
        attempt(row.function, args, {**kwargs, "stream": junk})


@pytest.mark.parametrize(
    "row",
    [
        r
        for r in ROWS
        if not r.name.startswith("_") and r.module in ("", "random", "fast", "linalg", "sparse")
    ],
    ids=repr,
)
def test_wrong_calls(row):
    with pytest.raises(TypeError, match=row.name):
        row.function(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, not_a_parameter=3)
    with pytest.raises(TypeError, match="not_a_parameter"):
        row.function(not_a_parameter=3)


def test_random_functions_take_junk_too():
    for row in ROWS:
        if row.module != "random":
            continue
        for junk in JUNK:
            if isinstance(junk, int) and junk > 10**6:
                continue
            attempt(row.function, (junk,), {})
            attempt(row.function, (junk, junk), {})


def test_array_methods_take_junk():
    a = mx.ones((2, 3))
    for junk in JUNK:
        for f in (
            lambda: a[junk],
            lambda: a.reshape(junk),
            lambda: a.astype(junk),
            lambda: a.transpose(junk),
            lambda: a.at[junk].add(1),
            lambda: a.at[0].add(junk),
            lambda: a + junk,
            lambda: junk * a,
            lambda: a @ junk,
            lambda: a < junk,
            lambda: a**junk,
            lambda: mx.array(junk),
            lambda: mx.array([junk, junk]),
            lambda: mx.asarray(junk),
            lambda: a.__array__(junk),
            lambda: divmod(a, junk),
            lambda: mx.zeros(junk),
            lambda: mx.eval(junk),
            lambda: mx.vmap(junk),
            lambda: mx.grad(junk),
            lambda: a.sum(junk),
            lambda: round(a, junk),
            lambda: format(a, junk),
            lambda: a.tolist() == junk,
        ):
            attempt(lambda f=f: f(), (), {})

        def assign(junk=junk):
            b = mx.ones((2, 3))
            b[0] = junk

        def assign_at(junk=junk):
            b = mx.ones((2, 3))
            b[junk] = 1

        attempt(assign, (), {})
        attempt(assign_at, (), {})
