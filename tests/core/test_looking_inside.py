"""Graphs, plans and profiles show attributes; debug_compare names the op that depends on how it is
run."""

import pytest

import lazulite.core as mx
from lazulite.core import _core


def printed(capsys, *arrays):
    mx.print_graph(*arrays)
    return capsys.readouterr().out


def test_graphs_show_attributes_by_name(capsys):
    a = mx.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    mx.eval(a)
    b = -a  # views of what is there need nothing
    text = printed(
        capsys, b[:, 1:].sum(axis=0), mx.argmax(b, axis=1), b.T.reshape(6), a.astype(mx.int8)
    )
    for line in (
        "slice(t0, start=(0,1), step=(1,1), size=(2,2))",
        "axes=(0), keepdims=false)",
        "transpose(t0, axes=(1,0))",
        "shape=(6))",
        "astype(A, type=int8)",
    ):
        assert line in text, text
    assert "mode=maximum" in printed(capsys, a.at[mx.array([0])].maximum(3))
    assert "= arange(start=0, step=2, count=3, type=int32)  int32(3,)" in printed(
        capsys, mx.arange(0, 6, 2)
    )
    assert "add(A, 1)  float32(2, 3)" in printed(capsys, a + 1)
    loop = mx.scan(lambda c, x: (c + x, None), mx.zeros(3), a)[0]
    assert "length=2, reverse=false)" in printed(capsys, loop)


def test_pictures_show_attributes(tmp_path):
    mx.export_to_dot(tmp_path / "graph.dot", mx.ones((2, 3)).sum(axis=1))
    assert "= sum\\naxes=(1), keepdims=false\\nfloat32(2,)" in (tmp_path / "graph.dot").read_text()


def test_plans_show_attributes():
    a = mx.array([[1.0, 2.0], [4.0, 5.0]])
    mx.eval(a)
    plan = mx.plan((mx.exp(a) * 2).astype(mx.int32).sum(axis=1))
    assert [s.ops for s in plan.steps] == [["exp", "multiply", "astype"], ["sum"]]
    assert [s.attributes for s in plan.steps] == [
        ["", "", "type=int32"],
        ["axes=(1), keepdims=false"],
    ]
    assert "fused {exp multiply astype(type=int32)*}" in str(
        plan
    ) and "sum(axes=(1), keepdims=false)" in str(plan)
    assert "= slice(v0, start=(1,0)" in str(mx.compile(lambda a: a[1:]).plan(a))


def test_profiles_show_attributes():
    a = mx.ones((3, 4))
    with mx.profile() as p:
        mx.eval(a.sum(axis=0), a.sum(axis=1))
    sums = [row for row in p.rows() if row.name == "sum"]
    assert sorted(row.text for row in sums) == [
        "sum(axes=(0), keepdims=false)",
        "sum(axes=(1), keepdims=false)",
    ]
    assert "sum(axes=(0), keepdims=false)" in str(p)


# An op whose value is the number of the level that computes it.
@pytest.mark.parametrize("program", [
    lambda probe: probe() + 1,
    lambda probe: mx.scan(lambda c, x: (c + x * probe(), None), mx.zeros(2), mx.ones((4, 2)))[0],
    lambda probe: mx.cond(mx.array(True), lambda x: x + probe(), lambda x: x, mx.array(1)),
    lambda probe: mx.compile(lambda x: x * probe())(mx.ones(3)),
], ids=["alone", "scan", "cond", "compile"])
def test_the_first_op_that_differs_is_named_with_its_line(program):
    with mx.debug_compare():
        y = program(_core._level_probe)
        if _core._level() == "generic":
            return mx.eval(y)
        with pytest.raises(
            RuntimeError,
            match=r"\[level_probe\] .* generic 0; recorded at .*test_looking_inside.py, line \d+",
        ):
            mx.eval(mx.exp(mx.ones(3)), y)
    with pytest.raises(RuntimeError, match="level_probe"):
        mx.eval(y)  # it has failed
    mx.eval(program(_core._level_probe))  # outside nobody looks


def test_what_is_right_passes_and_keeps_its_values():
    def program():
        x = mx.random.normal((70, 300), key=mx.random.key(1))
        y = mx.softmax(x @ x.T / 10, axis=-1)
        y[3] = y[4] * 2
        z = mx.scan(lambda c, r: (mx.tanh(c + r), c * 2), mx.zeros(70), y)
        return [
            y.sum(axis=0),
            *z,
            mx.grad(lambda v: (mx.exp(v) @ v.T).sum())(x),
            y.at[mx.array([1, 1])].add(1),
        ]

    wanted = program()
    mx.eval(wanted)
    with mx.debug_compare():
        got = program()
        mx.eval(got)
        later = mx.exp(got[0]) + 1
        mx.async_eval(later)
        mx.synchronize()
    assert all(bytes(a) == bytes(b) for a, b in zip(wanted, got))


def test_it_nests():
    with mx.debug_compare():
        with mx.debug_compare():
            mx.eval(mx.ones(3) + 1)
        if _core._level() != "generic":
            with pytest.raises(RuntimeError, match="level_probe"):
                mx.eval(_core._level_probe())
    mx.eval(_core._level_probe())
