"""lazulite.utils: walks over nested dicts, lists and tuples."""

from collections import namedtuple

import pytest

from lazulite.utils import (
    tree_flatten,
    tree_map,
    tree_map_with_path,
    tree_merge,
    tree_reduce,
    tree_unflatten,
)

Point = namedtuple("Point", "x y")
DEEP = 9_000


def nested_lists(depth):
    tree = 1
    for _ in range(depth):
        tree = [tree]
    return tree


def nested_dicts(depth):
    tree = 1
    for _ in range(depth):
        tree = {"k": tree}
    return tree


@pytest.mark.parametrize(
    "tree",
    [3, None, [], {}, (), [1, [2, (3, {"a": 4})]], {"a": (), "b": [{}]}, Point(1, [2])],
    ids=repr,
)
def test_map_keeps_the_form_of_the_tree(tree):
    result = tree_map(lambda x: x, tree)
    assert result == tree and type(result) is type(tree)


def test_map_visits_leaves_from_left_to_right():
    seen = []
    tree_map(seen.append, {"b": [1, (2, 3)], "a": {"z": 4, "y": 5}})
    assert seen == [1, 2, 3, 4, 5]


def test_map_gives_what_other_trees_have_at_the_same_place():
    assert tree_map(lambda *x: x, {"a": [1]}, {"a": [[2]], "b": 0}) == {"a": [(1, [2])]}


def test_map_refuses_a_second_tree_with_fewer_entries():
    with pytest.raises(KeyError):
        tree_map(lambda x, y: x, {"a": 1}, {"b": 1})
    with pytest.raises(IndexError):
        tree_map(lambda x, y: x, [1, 2], [1])


def test_map_stops_where_is_leaf_says_so():
    assert tree_map(len, {"a": [1, 2]}, is_leaf=lambda x: isinstance(x, list)) == {"a": 2}


def test_map_with_path_joins_keys_with_dots():
    def path_of(path, leaf):
        return path

    assert tree_map_with_path(path_of, {"a": [1, (2,)]}) == {"a": ["a.0", ("a.1.0",)]}
    assert tree_map_with_path(path_of, [1], path="root") == ["root.0"]
    assert tree_map_with_path(path_of, 1) is None


def test_flatten_drops_empty_containers_and_keeps_none():
    tree = {"a": [1, {"b": 2}], "c": (), "d": None, "e": {"f": []}}
    assert tree_flatten(tree) == [("a.0", 1), ("a.1.b", 2), ("d", None)]
    assert tree_flatten(3) == [("", 3)]


def test_flatten_writes_into_a_destination():
    assert tree_flatten([1, (2,)], destination={"q": 0}) == {"q": 0, "0": 1, "1.0": 2}
    assert tree_flatten([1], destination=[("q", 0)]) == [("q", 0), ("0", 1)]
    with pytest.raises(ValueError, match="destination"):
        tree_flatten([1], destination="text")


def test_flatten_puts_a_prefix_before_every_path():
    assert tree_flatten([1, [2]], prefix="x") == [("x.0", 1), ("x.1.0", 2)]
    assert tree_flatten([1], prefix=".x") == [("x.0", 1)]


@pytest.mark.parametrize(
    "tree", [3, {"a": [1, {"b": 2}], "c": None}, [[1, 2], [3]], {"x": {"0a": 1}}], ids=repr
)
def test_unflatten_undoes_flatten(tree):
    assert tree_unflatten(tree_flatten(tree)) == tree
    assert tree_unflatten(tree_flatten(tree, destination={})) == tree


def test_unflatten_fills_missing_numbers_with_empty_dicts():
    assert tree_unflatten({"a.2": 1, "a.0": 0}) == {"a": [0, {}, 1]}


def test_unflatten_keeps_a_leaf_that_is_itself_a_dict():
    assert tree_unflatten([("a.b", {"c": 1})]) == {"a": {"b": {"c": 1}}}


@pytest.mark.parametrize("paths", [("a", "a.b"), ("a.b", "a")])
def test_unflatten_refuses_a_leaf_that_holds_leaves(paths):
    with pytest.raises(ValueError, match="a leaf holds leaves"):
        tree_unflatten([(path, 1) for path in paths])


def test_reduce_folds_from_the_left():
    assert tree_reduce(lambda a, b: f"({a}{b})", {"x": ["a", "b"], "y": "c"}) == "((ab)c)"
    assert tree_reduce(lambda a, b: a + b, [1, 2], 10) == 13
    assert tree_reduce(lambda a, b: a + b, []) is None


@pytest.mark.parametrize(
    "a, b, merged",
    [
        ({"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
        ({"a": {"x": 1}}, {"a": {"y": 2}}, {"a": {"x": 1, "y": 2}}),
        ([1, None], [None, 2, 3], [1, 2, 3]),
        ((1, None), (None, 2), (1, 2)),
        ({"a": None}, {"a": 1}, {"a": 1}),
        ({"a": {}}, {"a": 1}, {"a": 1}),
        ({"a": 0}, {"a": {}}, {"a": 0}),
        ([(1, None)], [(None, (2,))], [(1, (2,))]),
    ],
)
def test_merge_is_the_union_of_both_trees(a, b, merged):
    assert tree_merge(a, b) == merged


@pytest.mark.parametrize("place", [lambda t: t, lambda t: {"a": t}, lambda t: [None, (t,)]])
def test_merge_refuses_empty_containers_of_two_kinds(place):
    kinds = [{}, [], ()]
    for a in kinds:
        for b in kinds:
            if type(a) is type(b):
                assert tree_merge(place(a), place(b), lambda x, y: x) == place(a)
            else:
                with pytest.raises(ValueError, match="two kinds"):
                    tree_merge(place(a), place(b))
                with pytest.raises(ValueError, match="two kinds"):
                    tree_merge(place(a), place(b), lambda x, y: x)
        for leaf in (3, "x"):
            assert tree_merge(a, leaf) == leaf and tree_merge(leaf, a) == leaf
        assert tree_merge(a, None) == a and tree_merge(None, a) == a


def test_merge_keeps_the_type_of_the_first_tree():
    class Other(tuple):
        pass

    Point = namedtuple("Point", "x y")
    assert type(tree_merge(Point(1, None), (None, 2))) is Point
    assert type(tree_merge(Other((1, None)), Point(None, 2))) is Other
    assert tree_merge({"a": [Point(None, None)]}, {"a": [(1, 2)]}) == {"a": [Point(1, 2)]}
    assert type(tree_merge((None, 2), Point(1, None))) is tuple
    assert tree_merge([1, None], (None, 2)) == [1, 2]


@pytest.mark.parametrize("odd", ["01", "00", "+1", "-1", " 1", "1 ", "1_0", "\u00b2", "\u0663", ""])
def test_unflatten_takes_only_canonical_numbers_as_places(odd):
    assert tree_unflatten([(odd, "a"), ("1", "b")]) == {odd: "a", "1": "b"}
    assert tree_unflatten([(f"k.{odd}", "a"), ("k.0", "b")]) == {"k": {odd: "a", "0": "b"}}
    assert tree_unflatten([("0", "a"), ("1", "b"), ("10", "c")])[10] == "c"


def test_merge_asks_the_function_where_both_have_something():
    assert tree_merge({"a": 1}, {"a": 2}, lambda x, y: x + y) == {"a": 3}
    assert tree_merge({"a": 1}, {"a": [2]}, lambda x, y: (x, y)) == {"a": (1, [2])}
    with pytest.raises(ValueError, match="both trees"):
        tree_merge({"a": [1]}, {"a": [2]})


@pytest.mark.parametrize("make", [nested_lists, nested_dicts])
def test_depth_is_not_limited_by_the_recursion_of_python(make):
    tree = make(DEEP)
    ((path, leaf),) = tree_flatten(tree)
    assert leaf == 1 and path.count(".") == DEEP - 1
    for result in (
        tree_map(lambda x: x + 1, tree),
        tree_merge(tree, make(DEEP), lambda a, b: a + b),
        tree_unflatten([(path, 2)]),
    ):
        assert tree_reduce(lambda a, b: b, result) == 2


@pytest.mark.parametrize("kind", [list, dict])
def test_a_container_that_contains_itself_is_refused(kind):
    held = [1] if kind is list else {"z": 1}
    if kind is list:
        held += [held, held]
    else:
        held.update(a=held, b=[held])
    for walk in (
        lambda: tree_map(lambda x: x, held),
        lambda: tree_map(lambda x, y: x, held, held),
        lambda: tree_map_with_path(lambda path, x: x, held),
        lambda: tree_flatten(held),
        lambda: tree_reduce(lambda a, b: a, held),
    ):
        with pytest.raises(ValueError, match="contains itself"):
            walk()
    deep = 1
    for _ in range(9_000):
        deep = [deep]
    assert tree_flatten(tree_map(lambda x: x + 1, deep))[0][1] == 2


@pytest.mark.parametrize("place", ["3000000", "99999999999999999999", "9" * 5000, "1004"])
@pytest.mark.parametrize("prefix", ["", "a.b."])
def test_unflatten_refuses_places_far_beyond_the_entries(place, prefix):
    with pytest.raises(ValueError, match=r"\[tree_unflatten\] a place far beyond"):
        tree_unflatten([(prefix + place, 1)])
    assert tree_unflatten([(place, 1), ("x", 2)]) == {place: 1, "x": 2}
    assert len(tree_unflatten([("1003", 1)])) == 1004
    assert len(tree_unflatten([(str(4 * i), 1) for i in range(2000)])) == 7997


NO_PAIRS = [5, None, "ab", [1], ["ab"], [("a", 1, 2)]]
NO_PATHS = [{1: 2}, [(1, 2)], [(None, 1)], [(b"a", 1)], [("a", 1), (2, 3)]]


@pytest.mark.parametrize("tree", NO_PAIRS + NO_PATHS, ids=repr)
def test_unflatten_names_itself_where_paths_are_no_strings(tree):
    with pytest.raises(TypeError, match=r"\[tree_unflatten\] tree: got"):
        tree_unflatten(tree)


@pytest.mark.parametrize("prefix", [3, None, b"x", ["x"]])
def test_the_prefix_of_flatten_is_a_string(prefix):
    with pytest.raises(TypeError, match=r"\[tree_flatten\] prefix: got"):
        tree_flatten([1], prefix=prefix)
