"""What planning costs: in proportion to the graph, whatever its form. What the planner looks at is
counted, not timed."""

import pytest

import lazulite.core as mx
from lazulite.core import _core


@pytest.fixture(autouse=True)
def no_bound_on_pending_work():
    old = mx.set_pending_limit(0)
    yield
    mx.set_pending_limit(old)


def base():
    a = mx.zeros((4, 4)) + 1
    mx.eval(a)
    return a


def updates_of_one_array(n):
    a = base()
    return [a.at[i % 4].add(1.0) for i in range(n)]


def updates_of_one_constant(n):
    a = mx.zeros((4, 4))
    return [a.at[i % 4].add(1.0) for i in range(n)]


def updates_that_read_each_other(n):
    a = base()
    out = [a.at[0].add(1.0)]
    for _ in range(n // 2):
        out.append(a.at[1].add(out[-1][0]))
    return out


def an_update_of_a_chain_of_views(n):
    a = base()
    for _ in range(n):
        a = a.T
    a[0, 0] = 5
    return [a]


def updates_along_a_chain_of_views(n):
    a, s = base(), mx.zeros((4,))
    for i in range(n // 4):
        a = a.T
        s = s + a[0]
        a[0, 0] = i
    return [a, s]


def readers_of_one_array(n):
    a = base()
    out = [a @ a for _ in range(n)]
    a[0] = 2
    return [*out, a]


def users_of_one_stored_value(n):
    a = base()
    y = mx.tanh(a)
    return [(1 - y * y) @ a for _ in range(n // 4)] + [y]


def a_wide_concatenation(n):
    return [mx.concatenate([base_ + 1 for base_ in [base()] * n])]


def a_wide_stack(n):
    a = base()
    return [mx.stack([a * i for i in range(n)])]


def parts_updated_after_a_concatenation(n):
    a = base()
    parts = [a * i for i in range(n)]
    mx.eval(parts)
    both = mx.concatenate(parts)
    for p in parts:
        p[0] = 7
    return [*parts, both]


def pending_parts_updated_after_a_concatenation(n):
    a = base()
    parts = [a @ a for i in range(n)]
    both = mx.concatenate(parts)
    for p in parts:
        p[0] = 7
    return [both, *parts]


def a_tree(n):
    a = base()
    level = [a + i for i in range(n)]
    while len(level) > 1:
        level = [
            level[i] * level[i + 1] if i + 1 < len(level) else level[i]
            for i in range(0, len(level), 2)
        ]
    return level


def runs_under_way(n):
    a = base()
    parts = [a * i for i in range(n // 2)]
    for p in parts:
        mx.async_eval(p)
    return [mx.stack(parts)]


SHAPES = [
    updates_of_one_array,
    updates_of_one_constant,
    updates_that_read_each_other,
    an_update_of_a_chain_of_views,
    updates_along_a_chain_of_views,
    readers_of_one_array,
    users_of_one_stored_value,
    a_wide_concatenation,
    a_wide_stack,
    parts_updated_after_a_concatenation,
    pending_parts_updated_after_a_concatenation,
    a_tree,
    runs_under_way,
]


@pytest.mark.parametrize("graph", SHAPES, ids=lambda graph: graph.__name__)
def test_sixteen_times_the_graph_costs_about_sixteen_times_as_much(graph):
    def looks(n):
        roots = graph(n)
        before = _core._planning_work()
        mx.plan(*roots)
        mx.eval(roots)
        return _core._planning_work() - before

    small = max(looks(1_250), 1_250)
    assert looks(20_000) < 17 * small  # quadratic: 256


def test_of_several_updaters_the_last_works_in_place_and_results_do_not_pile_up():
    a = mx.zeros((250_000,)) + 1
    mx.eval(a)
    start = mx.get_active_memory()
    total = mx.zeros(())
    for i in range(10):
        total = total + a.at[i].add(1.0).sum()
    total = total + a[:5].sum()
    del a
    mx.reset_peak_memory()
    assert total.item() == 10 * 250_001 + 5
    assert mx.get_peak_memory() - start < 1_100_000  # one copy at a time
