"""Walks over trees of every kind: the order of entries, classes with methods of their own, what is
looked up when, and containers that change while they are walked."""

import collections
import enum
import gc
import random
import sys
import weakref
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest

import lazulite.core as mx
from lazulite.utils import tree_flatten, tree_map, tree_map_with_path, tree_reduce


class Pair(NamedTuple):
    a: Any
    b: Any


@mx.register_tree
@dataclass
class Record:
    x: Any
    y: Any = None


class Backwards(dict):
    """Has an order of its own."""

    def __iter__(self):
        return iter(sorted(super().__iter__(), reverse=True))


class Doubled(dict):
    """Has values of its own."""

    def __getitem__(self, key):
        return 2 * super().__getitem__(key)


class Short(list):
    """Shows its first two items."""

    def __len__(self):
        return 2


class Negated(list):
    def __getitem__(self, key):
        return -super().__getitem__(key)


class Plain(dict):
    """A subclass that changes nothing."""


class Name(enum.Enum):
    one = 1

    def __str__(self):
        return "str"

    def __format__(self, spec):
        return "format"


def moved_to_end():
    tree = collections.OrderedDict(a=1, b=2, c=3)
    tree.move_to_end("a")
    return tree


KINDS = {
    "dict": ({"b": 1, "a": 2}, ["b", "a"], [1, 2], {"b": 1, "a": 2}),
    "OrderedDict": (moved_to_end(), ["b", "c", "a"], [2, 3, 1], {"b": 2, "c": 3, "a": 1}),
    "defaultdict": (collections.defaultdict(list, a=1), ["a"], [1], {"a": 1}),
    "Counter": (collections.Counter("aab"), ["a", "b"], [2, 1], {"a": 2, "b": 1}),
    "subclass of dict": (Plain(b=1, a=2), ["b", "a"], [1, 2], {"b": 1, "a": 2}),
    "own order": (Backwards(a=1, b=2), ["b", "a"], [2, 1], {"b": 2, "a": 1}),
    "own values": (Doubled(a=1, b=2), ["a", "b"], [2, 4], {"a": 2, "b": 4}),
    "list": ([3, 4], ["0", "1"], [3, 4], [3, 4]),
    "own length": (Short([5, 6, 7]), ["0", "1"], [5, 6], [5, 6]),
    "own items": (Negated([5, 6]), ["0", "1"], [-5, -6], [-5, -6]),
    "tuple": ((3, 4), ["0", "1"], [3, 4], (3, 4)),
    "namedtuple": (Pair(3, 4), ["0", "1"], [3, 4], Pair(3, 4)),
    "record": (Record(3, 4), ["x", "y"], [3, 4], Record(3, 4)),
    "numbers as keys": ({0: 1, -2: 3, None: 5, (1, 2): 6}, ["0", "-2", "None", "(1, 2)"],
                        [1, 3, 5, 6], {0: 1, -2: 3, None: 5, (1, 2): 6}),
    "None": (None, [""], [None], None),
    "set": ({1}, [""], [{1}], {1}),
}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_branch_is_read_as_python_reads_it(name):
    tree, paths, values, made = KINDS[name]
    assert tree_flatten(tree) == list(zip(paths, values))
    assert tree_reduce(lambda found, leaf: found + [leaf], tree, []) == values
    seen = []
    result = tree_map(lambda leaf: (seen.append(leaf), leaf)[1], tree)
    assert seen == values and result == made and type(result) is type(made)
    if isinstance(made, dict):
        assert list(result) == list(made) and type(result) is dict
    below = tree_flatten([{"k": tree}], prefix="p")
    assert below == [(f"p.0.k.{path}" if path else "p.0.k", v) for path, v in zip(paths, values)]
    assert tree_map(lambda a, b: (a, b), [tree], [tree, 0]) == tree_map(lambda a: (a, a), [tree])


def test_keys_are_written_as_formatted_strings_write_them():
    assert tree_flatten({Name.one: 1, "k": {Name.one: 2}}) == [("str", 1), ("k.format", 2)]
    assert tree_flatten({"": {"": 1}, "a": {"": 2}}) == [("", 1), ("a.", 2)]
    assert tree_flatten({"\u00e4": [1], "\U0001f600": {"\u20ac": 2}}) == [
        ("\u00e4.0", 1), ("\U0001f600.\u20ac", 2)
    ]
    assert tree_map_with_path(lambda path, _: path, [1], path="") == ["0"]


def any_tree(draw, depth):
    kind = draw.choice("dloptrex") if depth else "x"
    if kind == "x":
        return draw.choice([None, 1, 2.5, "s", mx.array(1.0)])
    items = [any_tree(draw, depth - 1) for _ in range(draw.randrange(4))]
    if kind == "d":
        return {draw.choice(["k", 3, None, "a.b"]): item for item in items}
    if kind == "o":
        return collections.OrderedDict((f"k{i}", item) for i, item in enumerate(items))
    if kind == "e":
        return Backwards((f"k{i}", item) for i, item in enumerate(items))
    if kind == "t":
        return tuple(items)
    if kind in "pr":
        items = (items + [1, 2])[:2]
        return Pair(*items) if kind == "p" else Record(*items)
    return items


def plainly(f, tree, path=""):
    """The walk as one would write it first."""
    if isinstance(tree, dict):
        return {k: plainly(f, tree[k], f"{path}.{k}" if path else str(k)) for k in tree}
    if isinstance(tree, (list, tuple)):
        made = [plainly(f, v, f"{path}.{i}" if path else str(i)) for i, v in enumerate(tree)]
        if isinstance(tree, list):
            return made
        return type(tree)(*made) if hasattr(tree, "_fields") else tuple(made)
    if isinstance(tree, Record):
        return Record(*(plainly(f, getattr(tree, k), f"{path}.{k}" if path else k) for k in "xy"))
    return f(path, tree)


@pytest.mark.parametrize("seed", range(40))
def test_walks_of_any_tree_are_those_of_a_plain_function(seed):
    tree = any_tree(random.Random(seed), 5)
    wanted: list = []
    form = plainly(lambda path, leaf: wanted.append((path, leaf)), tree)
    assert [(p, id(v)) for p, v in tree_flatten(tree)] == [(p, id(v)) for p, v in wanted]
    assert tree_map(lambda leaf: None, tree) == form
    numbers = iter(range(10_000))
    order = {}
    plainly(lambda path, leaf: order.setdefault(len(order), leaf), tree)
    tree_map(lambda leaf: leaf is order[next(numbers)] or pytest.fail("out of order"), tree)
    assert next(numbers) == len(order)
    # Of the transforms, which take it apart and put it together.
    out = mx.vmap(lambda tree, x: (tree, x), in_axes=(None, 0))(tree, mx.ones(2))[0]
    assert plainly(lambda path, leaf: path, out) == plainly(lambda path, leaf: path, tree)


def test_what_is_in_a_container_is_looked_up_before_its_leaves_are_visited():
    seen: list = []
    with pytest.raises(KeyError, match="'b'"):
        tree_map(lambda a, b: seen.append(a), {"a": 1, "b": 2}, {"a": 1})
    with pytest.raises(IndexError, match="list index out of range"):
        tree_map(lambda a, b: seen.append(a), [1, 2], [1])
    with pytest.raises(TypeError, match="list indices"):
        tree_map(lambda a, b: seen.append(a), {"a": 1}, [1])
    with pytest.raises(KeyError):
        tree_map(lambda a, b: seen.append(a), {"a": 1}, 3)
    with pytest.raises(KeyError):
        tree_map(lambda a, b: seen.append(a), {"z": 1}, Record(1))
    assert seen == []
    assert tree_map(lambda a, b: a + b, {"y": 1}, Record(1, 2)) == {"y": 3}
    missing = collections.defaultdict(lambda: 7)
    assert tree_map(lambda a, b: a + b, {"q": 1}, missing) == {"q": 8} and missing == {"q": 7}


def test_a_tree_may_change_while_it_is_walked():
    tree = {"a": [1, 2, 3], "b": 4}

    def change(leaf):
        tree["a"].clear()
        tree.pop("b", None)
        tree["c"] = 5
        gc.collect()
        return [leaf]

    assert tree_map(change, tree) == {"a": [[1], [2], [3]], "b": [4]}
    assert tree == {"a": [], "c": 5}

    def is_leaf(node):
        if isinstance(node, list):
            node.append(0)
        return ["true"] if len(node) > 2 else []

    assert tree_map(lambda leaf: leaf, [[1, 2]], is_leaf=is_leaf) == [[1, 2, 0], 0]


def test_walks_inside_walks_and_their_errors():
    inner = [1, {"k": 2}]
    assert tree_map(lambda n: tree_map(lambda m: n * m, inner), [10, (20,)]) == [
        [10, {"k": 20}], ([20, {"k": 40}],)
    ]
    for broken in (
        lambda: tree_map(lambda leaf: 1 / leaf, [1, [0]]),
        lambda: tree_map(lambda leaf: leaf, [1, [0]], is_leaf=lambda node: 1 / (len(node) - 1) > 2),
        lambda: tree_flatten([1, [0]], is_leaf=lambda node: 1 / (len(node) - 1) > 2),
    ):
        with pytest.raises(ZeroDivisionError):
            broken()
    with pytest.raises(TypeError):
        tree_map(3, [1])

    class Unreadable(dict):
        def __getitem__(self, key):
            raise OSError(key)

    with pytest.raises(OSError, match="k"):
        tree_map(lambda leaf: leaf, [Unreadable(k=1)])


def test_a_walk_keeps_nothing_alive():
    class Thing:
        pass

    thing = Thing()
    gone = weakref.ref(thing)
    tree = {"a": [thing, (thing,)], "b": Record(thing)}
    count = sys.getrefcount(thing)
    tree_flatten(tree), tree_map(id, tree), tree_map(lambda a, b: 0, tree, tree)
    with pytest.raises(ZeroDivisionError):
        tree_map(lambda leaf: 1 / 0, tree)
    mx.grad(lambda a, t: a * 2)(mx.array(1.0), tree)
    assert sys.getrefcount(thing) == count
    del tree, thing
    gc.collect()
    assert gone() is None


# Containers of the caller, whose arrays are traced ones while a function runs.


def arrays(n):
    return [mx.array(float(i + 1)) for i in range(n)]


def test_arguments_are_the_same_objects_before_and_after():
    a, b, c, d, e = arrays(5)
    inside, pair = [b], Pair(c, [d])
    tree = {"a": a, "l": inside, "p": pair, "o": collections.OrderedDict(e=e), "n": (), "m": {}}
    held = list(tree.values())

    def loss(t):
        assert t is tree and t["l"] is inside and t["o"] is tree["o"] and t["p"] is not pair
        assert type(t["p"]) is Pair and t["p"].b is pair.b
        return t["a"] * t["l"][0] * t["p"].a * t["p"].b[0] * t["o"]["e"]

    for _ in range(2):
        grads = mx.grad(loss)(tree)
        assert all(x is y for x, y in zip(tree.values(), held))
        assert inside[0] is b and pair == (c, [d]) and pair.b[0] is d and tree["o"]["e"] is e
        assert grads["p"].a.item() == 40 and grads["o"] == {"e": grads["o"]["e"]}

    def fails(t):
        t["l"].append(t["p"])
        raise OSError

    with pytest.raises(OSError):
        mx.grad(fails)(tree)
    assert tree["p"] is pair and inside == [b, pair] and inside[1] is pair
    inside.pop()


def test_what_a_function_does_to_its_arguments():
    a, b, c = arrays(3)
    tree = {"a": a, "list": [b], "pair": (c,)}

    def loss(t):
        x, y, z = t["a"], t["list"][0], t["pair"][0]
        t["list"].append(x)  # its own array again
        t["new"] = {"deep": ((z,), [y])}
        t["made"] = x * 2
        t["pair"] = (z, "more")
        del t["a"]
        t["self"] = t
        return x * y * z

    grads = mx.grad(loss)(tree)
    assert [g.item() for g in (grads["a"], grads["list"][0], grads["pair"][0])] == [6, 3, 2]
    assert list(tree) == ["list", "pair", "new", "made", "self"] and tree["self"] is tree
    assert tree["list"][0] is b and tree["list"][1] is a
    assert tree["new"]["deep"][0][0] is c and tree["new"]["deep"][1][0] is b
    assert tree["pair"][0] is c and tree["pair"][1] == "more"


def test_shared_containers_and_several_arguments():
    a, b = arrays(2)
    shared = [a]
    for tree in ([shared, shared], {"x": shared, "y": (shared,)}):
        grads = mx.grad(lambda t: tree_reduce(lambda s, v: s * v, t))(tree)
        assert [g.item() for _, g in tree_flatten(grads)] == [0, 2]  # the last traced one stands
        assert shared == [a] and shared[0] is a
    grads = mx.grad(lambda x, y, *, z: (x[0] * y["b"] * z[0]), argnums=(1, 0), argnames="z")(
        shared, {"b": b}, z=shared
    )
    assert shared[0] is a and set(grads[1]) == {"z"} and len(grads[0]) == 2


def test_a_record_that_holds_itself_may_be_put_into_an_argument():
    (a,) = arrays(1)
    tree = {"a": a}

    def loss(t):
        record = Record(t["a"])
        record.y = [record, record]
        knot = Record(1)
        knot.y = knot
        t["r"], t["k"] = record, knot
        return t["a"] * 2

    assert mx.grad(loss)(tree)["a"].item() == 2
    assert tree["a"] is a and tree["k"].y is tree["k"]


@pytest.mark.parametrize("depth", [1, 31, 63, 64, 65, 200, 9_000])
def test_arguments_of_any_depth(depth):
    (a,) = arrays(1)
    tree: Any = a
    for i in range(depth):
        tree = ([tree], {"k": tree}, (tree,), Pair(None, tree))[i % 3]
    seen = tree_flatten(tree)
    assert len(seen) == 1 and seen[0][1] is a
    value, grads = mx.value_and_grad(lambda t: tree_reduce(lambda s, v: s * v, t) * 3)(tree)
    assert value.item() == 3 and tree_flatten(grads)[0][1].item() == 3
    assert tree_flatten(tree)[0][1] is a


def test_leaves_of_arguments_that_are_no_arrays_are_named():
    for tree, kind in [([1.0], "float"), ({"a": [mx.array(1.0), None]}, "NoneType"), ("s", "str")]:
        with pytest.raises(ValueError, match=rf"argument 0 is not made of arrays: got {kind}"):
            mx.grad(lambda t: mx.array(1.0))(tree)
