"""What is timed. A case belongs to a room and has a function `make(api)` that returns its Work."""

import importlib
from pathlib import Path

CASES: dict = {}  # "room: name" -> Case, in order


class Work:
    """`run()` does the work `count` times, waits for it and returns what it made. What is compared
    with float64 are `outputs()`, or else that. `inputs` are counted as memory that is read."""

    def __init__(self, run, inputs=(), outputs=None, count=1):
        self.run, self.inputs, self.outputs, self.count = run, inputs, outputs or run, count


class Case:
    def __init__(self, room, name, make, tolerance, flops, memory, judged):
        self.room, self.name, self.make, self.tolerance = room, name, make, tolerance
        self.flops, self.memory, self.judged = flops, memory, judged

    def __repr__(self):
        return f"{self.room}: {self.name}"


def case(room, name, tolerance=None, flops=None, memory=False, judged=True):
    """Registers `make(api)`; `flops` is a number or a function of the api (sizes shrink). Cases of
    `memory` are measured by their peak; those that are not `judged` have no part in the means."""

    def register(make):
        made = Case(room, name, make, tolerance, flops, memory, judged)
        assert repr(made) not in CASES, repr(made)
        CASES[repr(made)] = made
        return make

    return register


class Input:
    """Numbers of a dtype between two bounds; integers below `high` with `indices`."""

    def __init__(self, dtype, *shape, low=-1.0, high=1.0, indices=None):
        self.dtype, self.shape, self.low, self.high = dtype, shape, low, high
        self.indices = indices

    def make(self, api, seed):
        if self.indices is not None:
            return api.indices(self.indices, *self.shape, seed=seed)
        return api.data(self.dtype, *self.shape, low=self.low, high=self.high, seed=seed)


def F(*shape, **bounds):
    return Input("float32", *shape, **bounds)


def D(*shape, **bounds):
    return Input("float64", *shape, **bounds)


def I(high, *shape):
    return Input("int32", *shape, indices=high)


def formula(room, name, f, *inputs, compiled=False, without=(), **about):
    """A case from `f(m, *arrays)`, written in NumPy's names; `compiled`: a whole program."""

    @case(room, name, **about)
    def make(api):
        if type(api).__name__.lower() in without:
            return None
        args = [one.make(api, seed) for seed, one in enumerate(inputs)]
        runner = api.compiled if compiled else api.run
        return Work(runner(lambda *a: f(api.lib, *a), *args), args)


ROOMS = (
    "dispatch",
    "elementwise",
    "reduce",
    "cumulative",
    "norms",
    "products",
    "sparse",
    "convolutions",
    "attention",
    "pooling",
    "linalg",
    "indexing",
    "sort",
    "draws",
    "fft",
    "files",
    "compiled",
    "training",
    "networks",
    "programs",
    "memory",
)


def load(rows=()):
    """All cases by name; `rows` are those that run.py made from the table of functions."""
    for room in ROOMS:
        assert (Path(__file__).parent / f"{room}.py").exists()
        importlib.import_module(f"cases.{room}")
    if rows:
        importlib.import_module("cases.rows").register(rows)
    return CASES
