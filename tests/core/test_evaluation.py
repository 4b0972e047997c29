"""Evaluation: laziness, errors, streams, threads, fork, memory."""

import dataclasses
import decimal
import io
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import lazulite.core as mx
import lazulite.nn as nn
import levels
from together import together


def test_eval_takes_trees_and_anything():
    a = mx.ones(3) + 1
    assert mx.eval(a, [a, (a, {"k": a})], None, 3, "text") is None
    mx.eval()
    mx.async_eval(a * 2, None)
    assert (a * 2).tolist() == [4, 4, 4]


def test_an_error_at_evaluation_is_raised_and_raised_again():
    bad = mx.take(mx.ones(3), mx.array([5]))
    after = mx.exp(bad) + 1
    for _ in range(2):
        with pytest.raises(IndexError, match="index out of range: got 5 for axis 0 with size 3"):
            mx.eval(after)
    with pytest.raises(IndexError):  # known already
        mx.async_eval(after)
    fresh = mx.take(mx.ones(3), mx.array([5])) + 1
    mx.async_eval(fresh)
    with pytest.raises(IndexError):
        fresh.item()
    mx.synchronize()
    assert (mx.ones(2) + 1).tolist() == [2, 2]


def test_a_failure_that_was_heard_of_is_not_raised_again_by_synchronize():
    """Whoever reads may be quicker than the background thread, which has just failed."""
    for _ in range(3000):
        fresh = mx.take(mx.ones(3), mx.array([5])) + 1
        mx.async_eval(fresh)
        with pytest.raises(IndexError):
            fresh.item()
        mx.synchronize()
    mx.async_eval(mx.take(mx.ones(3), mx.array([5])))
    with pytest.raises(RuntimeError, match="index out of range"):
        mx.synchronize()
    mx.synchronize()


def test_a_chain_of_a_million_ops_builds_evaluates_and_dies():
    x = mx.zeros(1)
    for _ in range(1_000_000):
        x = x + 1
    assert x.item() == 1_000_000
    y = mx.zeros(1)
    for _ in range(1_000_000):
        y = y + 1
    del y


def test_fused_and_stepwise_give_the_same_bits():
    a = mx.array(np.random.default_rng(0).standard_normal(10_001).astype(np.float32))

    def steps():
        y = yield a * 0.5
        y = yield mx.erf(y / 2**0.5)
        y = yield (y + 1) * a
        y = yield mx.exp(-y) + mx.sqrt(mx.abs(a))
        yield y

    def run(stepwise):
        generator, value = steps(), None
        for _ in range(5):
            value = generator.send(value)
            if stepwise:
                mx.eval(value)
        return bytes(value)

    assert run(True) == run(False)


def test_the_plan_prints():
    a = mx.array([1.0, 2.0])
    plan = mx.plan([mx.exp(a + 1).sum()])
    text = str(plan)
    assert "fused {add exp*}" in text and "sum" in text and text.index("exp") < text.index("sum")
    assert (
        [s.fused for s in plan.steps] == [True, False]
        and len(plan) == 2
        and plan.steps[0].results == ["float32(2,)"]
    )
    assert len(mx.plan(a)) == 0


def test_the_graph_can_be_seen(tmp_path, capsys):
    a, b = mx.array([1.0, 2.0]), mx.ones((2,)) * 3
    y = (mx.exp(a + 1) * b).sum()
    mx.print_graph(y)
    text = capsys.readouterr().out
    assert "= exp(" in text and "# group 0" in text and text.splitlines()[-1].endswith("float32()")
    names = [line.split(" = ")[0] for line in text.splitlines() if " = " in line]
    assert names == [f"t{k}" for k in range(len(names))]
    path = tmp_path / "graph.dot"
    mx.export_to_dot(path, y)
    dot = path.read_text()
    assert (
        dot.startswith("digraph {")
        and dot.count("{") == dot.count("}")
        and "cluster_0" in dot
        and "A -> t" in dot
    )
    mx.eval(y)
    mx.print_graph(y)
    assert capsys.readouterr().out == ""


def test_the_predicted_peak_is_what_happens():
    def graph():
        x = mx.arange(250_000, dtype=mx.float32)
        return sum(mx.sin(x * k).sum() for k in range(6))

    predicted = mx.plan(graph()).peak_bytes
    mx.clear_cache()
    start = mx.get_active_memory()
    mx.reset_peak_memory()
    mx.eval(graph())
    assert predicted == pytest.approx(mx.get_peak_memory() - start, rel=0.01)


def test_the_width_limits_the_order():
    arrays = [mx.arange(100 * k, 100 * k + 10).sum() for k in range(30)]
    names = lambda width: [step.ops[0] for step in mx.plan(arrays, width=width).steps]  # noqa: E731
    assert names(0) == ["arange", "sum"] * 30
    assert names(1000) == ["arange"] * 30 + ["sum"] * 30
    narrow = names(4)
    assert (
        sorted(narrow) == sorted(names(0))
        and narrow[:4] == ["arange"] * 4
        and narrow[-2:] == ["arange", "sum"]
    )
    peaks = [mx.plan(arrays, width=w).peak_bytes for w in (0, 4, 1000)]
    assert peaks[0] < peaks[1] < peaks[2]
    code = "import lazulite.core as mx; print(len(mx.plan([mx.arange(9).sum() + k for k in range(9)]).steps), [s.ops[0] for s in mx.plan([mx.arange(9).sum() for k in range(3)]).steps])"
    out = run_python(code, MLX_BFS_MAX_WIDTH="100")
    assert "['arange', 'arange', 'arange', 'sum', 'sum', 'sum']" in out.stdout, out.stderr


def test_readers_come_before_updaters():
    """for i: s += a[i]; a[i] = v: every update happens in place, whatever is asked for first."""
    for order in (0, 1):
        a, s = mx.zeros((200, 1000)) + 1, mx.zeros(1000)
        mx.eval(a, s)
        for i in range(200):
            s = s + a[i]
            a[i] = s * 0.5
        mx.clear_cache()
        start = mx.get_active_memory()
        mx.reset_peak_memory()
        mx.eval(*([a, s] if order else [s, a]))
        assert mx.get_peak_memory() - start < 250_000, order


def test_streams_and_devices():
    assert (
        mx.cpu == mx.Device(mx.cpu) == mx.default_device()
        and repr(mx.Device(mx.cpu)) == "Device(cpu, 0)"
    )
    s = mx.new_stream(mx.cpu)
    assert (
        s != mx.default_stream(mx.cpu)
        and s.device == mx.cpu
        and repr(mx.default_stream(mx.cpu)) == "Stream(Device(cpu, 0), 0)"
    )
    with mx.stream(s) as nothing:
        assert nothing is None
        a = mx.ones(2) + 1
    for stream in (s, mx.cpu, mx.Device(mx.cpu), None):
        assert mx.add(a, 1, stream=stream).tolist() == [3, 3]
    mx.synchronize(s)
    assert (
        not mx.is_available(mx.gpu) and mx.device_count(mx.gpu) == 0 and mx.Device(mx.gpu) == mx.gpu
    )
    for f in (
        lambda: mx.add(a, a, stream=mx.gpu),
        lambda: mx.new_stream(mx.gpu),
        lambda: mx.set_default_device(mx.gpu),
        lambda: mx.stream(mx.gpu),
    ):
        with pytest.raises(ValueError, match="gpu"):
            f()
    with pytest.raises(TypeError):
        mx.add(a, a, stream=3)


def test_a_generator_that_keeps_one_step_ahead():
    def steps(x):
        y = x
        for _ in range(5):
            following = mx.sin(y) + 1
            mx.async_eval(following)
            yield y
            y = following

    with mx.stream(mx.new_stream(mx.default_device())):
        got = [y.item() for y in steps(mx.array(0.5))]
    wanted = [0.5]
    for _ in range(4):
        wanted.append(float(np.sin(wanted[-1]) + 1))
    np.testing.assert_allclose(got, wanted, rtol=1e-6)


def test_depends():
    a, order = mx.array(1.0), mx.exp(mx.array(2.0))
    assert mx.depends(a, order).item() == 1.0
    out = mx.depends([a, a + 1], [order])
    assert [o.item() for o in out] == [1.0, 2.0]


def test_any_array_in_any_thread():
    shared = mx.array(np.random.default_rng(1).standard_normal((64, 64)).astype(np.float32))
    lazy = mx.exp(shared) @ shared
    wanted = bytes((mx.exp(shared) @ shared).sum(0))

    def body(k):
        for _ in range(30):
            assert bytes(lazy.sum(0)) == wanted
            y = (shared * k).sum() + lazy.sum()
            mx.eval(y)
            mx.async_eval(y + 1)

    together(16, body)


def test_threads_that_evaluate_overlapping_graphs():
    for _ in range(20):
        base = mx.exp(mx.ones((200, 200)) * 0.01)
        tops = [mx.sin(base * k).sum() for k in range(8)]
        got = [None] * 8

        def body(k):
            got[k] = tops[k].item()

        together(8, body)
        assert got == [mx.sin(base * k).sum().item() for k in range(8)]


def test_threads_get_the_error_too():
    bad = mx.take(mx.ones(3), mx.array([5]))

    def body(_):
        with pytest.raises(IndexError):
            (bad + 1).item()

    together(8, body)


def run_python(code, timeout=120, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, **environment},
    )


def test_import_is_light():
    out = run_python("import sys, lazulite.core; print('numpy' in sys.modules)")
    assert out.stdout.strip() == "False", out.stderr
    loaded = "sorted(n for n in sys.modules if 'lazulite.core._' in n)"
    out = run_python(f"import sys, lazulite.core; print({loaded})")
    assert out.stdout.strip() == "['lazulite.core._core']"


def test_names_that_are_loaded_later_are_there():
    code = """
import threading
import lazulite.core as mx
names = [n for n in dir(mx) if not n.startswith("_")]
assert {"grad", "compile", "save", "scan", "profile", "register_tree", "exp"} <= set(names)
found = []
look = lambda: found.append([getattr(mx, n) for n in names])
threads = [threading.Thread(target=look) for _ in "abcd"]
for t in threads: t.start()
for t in threads: t.join()
assert len(found) == 4 and all(x is y for f in found for x, y in zip(f, found[0]))
scope = {}
exec("from lazulite.core import *", scope)
assert set(names) <= set(scope) and scope["grad"] is mx.grad and scope["compile"] is mx.compile
from lazulite.core import vmap, hessian
try:
    mx.nothing_of_this_name
except AttributeError as error:
    print(error)
"""
    out = run_python(code)
    assert out.stdout.strip() == (
        "module 'lazulite.core' has no attribute 'nothing_of_this_name'"
    ), out.stderr


def test_fork():
    code = """
import os, lazulite.core as mx
a = mx.random.normal((300, 300)); b = a @ a; mx.eval(b); mx.async_eval(b + 1)
wanted = (mx.exp(b * 1e-3).sum()).item()
for _ in range(8):
    pid = os.fork()
    if pid == 0:
        ok = mx.exp(b * 1e-3).sum().item() == wanted and (mx.ones((500, 500)) @ mx.ones((500, 500)))[0, 0].item() == 500
        os._exit(0 if ok else 3)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
print("done")
"""
    out = run_python(code)
    assert out.stdout.strip() == "done", out.stderr


def test_the_number_of_threads_and_isa_come_from_the_environment():
    out = run_python(
        "import lazulite.core as mx; print(mx.num_threads(), mx.device_info()['architecture'])",
        LAZULITE_NUM_THREADS="3",
        LAZULITE_ISA="generic",
    )
    assert out.stdout.split() == ["3", "generic"], out.stderr
    with pytest.raises(ValueError):
        mx.set_num_threads(0)


def test_levels_give_the_same_bits():
    code = """
import hashlib, lazulite.core as mx
k = mx.random.key(3)
x = mx.random.normal((37, 129), key=k)
h = hashlib.sha256()
for y in (mx.exp(x), mx.tanh(x).sum(0), mx.softmax(x, -1), mx.erf(x).mean(), mx.sin(x * 100), x.astype(mx.bfloat16) * 3, mx.logsumexp(x, 0)):
    h.update(bytes(y))
print(mx.device_info()["architecture"], h.hexdigest())
"""
    found = {}
    for level in levels.ALL:
        out = run_python(code, LAZULITE_ISA=level)
        name, digest = out.stdout.split()
        assert name == level or "LAZULITE_ISA" in out.stderr  # what the machine lacks is said
        found[name] = digest
    assert "generic" in found and len(set(found.values())) == 1, found


def test_out_of_memory_is_an_exception():
    with pytest.raises(MemoryError):
        mx.eval(mx.zeros((1 << 40,)) + 1)
    before = mx.set_memory_limit(mx.get_active_memory() + 10_000_000)
    try:
        with pytest.raises(MemoryError):
            mx.eval(mx.ones((4_000_000,)) + mx.arange(4_000_000))
    finally:
        mx.set_memory_limit(before)
    assert (mx.ones(3) + 1).tolist() == [2, 2, 2]
    with pytest.raises((OverflowError, MemoryError)):
        mx.zeros((1 << 40, 1 << 40))


@pytest.mark.skipif("LAZULITE_GUARD" in os.environ, reason="guarded memory is not kept")
def test_memory_is_counted():
    mx.clear_cache()
    assert mx.get_cache_memory() == 0
    start = mx.get_active_memory()
    mx.reset_peak_memory()
    a = mx.ones((1000, 1000)) + 0
    mx.eval(a)
    assert mx.get_active_memory() - start == 4_000_000
    assert mx.get_peak_memory() - start == 4_000_000
    del a
    assert mx.get_active_memory() == start and mx.get_cache_memory() >= 4_000_000
    mx.clear_cache()
    assert mx.get_cache_memory() == 0
    for name in ("set_memory_limit", "set_cache_limit", "set_wired_limit"):
        old = getattr(mx, name)(123456789)
        assert getattr(mx, name)(old) == 123456789
        with pytest.raises(ValueError):
            getattr(mx, name)(-1)
    assert mx.metal.get_active_memory() == mx.get_active_memory()


def test_a_capture_without_metal_does_nothing_but_warn_once():
    with pytest.warns(UserWarning, match="no Metal") as caught:
        assert mx.metal.start_capture("trace.gputrace") is None
        assert mx.metal.stop_capture() is None
    assert len(caught) == 1


def test_memory_of_a_thousand_casts():
    code = """
import lazulite.core as mx
arrs = [mx.zeros((4096, 128), mx.int64) for _ in range(1000)]
arrs = [x.astype(mx.int8) for x in arrs]
mx.eval(arrs)
print(mx.get_peak_memory())
"""
    out = run_python(code)
    assert int(out.stdout) <= 540e6, (out.stdout, out.stderr)


def test_dead_intermediates_are_freed_while_the_plan_runs():
    mx.clear_cache()
    mx.reset_peak_memory()
    start = mx.get_active_memory()
    x = mx.ones((256, 1024))
    for _ in range(50):
        x = mx.softmax(x @ mx.ones((1024, 1024)) * 1e-3, -1)
    mx.eval(x)
    # One megabyte each, four of the factor.
    assert mx.get_peak_memory() - start < 12e6


def test_releasing_gradients_before_eval_needs_less():
    def peak(release):
        w = [mx.ones((512, 512)) * (k + 1) for k in range(8)]
        mx.eval(w)
        mx.clear_cache()
        mx.reset_peak_memory()
        loss, grads = mx.value_and_grad(lambda w: sum((p * p).sum() for p in w))(w)
        w = [p - 0.1 * g for p, g in zip(w, grads)]
        if release:
            del grads
        mx.eval(w, loss)
        return mx.get_peak_memory()

    assert peak(True) < peak(False) - 6e6


def test_ctrl_c_stops_a_long_evaluation():
    code = """
import os, signal, threading, lazulite.core as mx
x = mx.ones((600, 600))
for _ in range(4000):
    x = mx.tanh(x @ x)
threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
try:
    mx.eval(x)
except KeyboardInterrupt:
    print("stopped, to do:", len(mx.plan(x).steps) > 0)
"""
    out = run_python(code)
    assert out.stdout == "stopped, to do: True\n", (out.stdout, out.stderr)


def test_python_runs_while_others_compute():
    x = mx.ones((700, 700))
    for _ in range(60):
        x = mx.tanh(x @ x)
    ticks = []
    done = threading.Event()

    def tick():
        while not done.is_set():
            ticks.append(None)
            time.sleep(0.001)

    thread = threading.Thread(target=tick)
    thread.start()
    try:
        mx.eval(x)
    finally:
        done.set()
        thread.join()
    assert len(ticks) > 3


def test_debug_nans_names_op_and_line():
    def graph():
        x = mx.array([1.0, 0.0])
        y = mx.log(x)  # the line
        return mx.where(x > 0, y, 0.0) * 2

    wanted = graph().tolist()
    assert wanted == [0, 0]
    with mx.debug_nans():
        with pytest.raises(
            RuntimeError,
            match=r"^\[log\] a nan or an infinity .* at .*test_evaluation.py, line \d+",
        ):
            mx.eval(graph())
        assert (mx.array([1.0, mx.inf]) + 1).tolist() == [2, mx.inf]  # was there already
        with mx.debug_nans():
            with pytest.raises(RuntimeError, match="divide"):
                mx.eval(mx.grad(lambda x: (x / x.sum()).sum())(mx.zeros(2)))
    assert graph().tolist() == wanted


# ---- what eval takes

class Optimizer:
    state = {"a": 1}


NO_TREES = {
    "object": (lambda: object(), "not a tree: got object"),
    "optimizer": (lambda: Optimizer(), "not a tree: got Optimizer.*was its .state meant"),
    "a dataclass": (lambda: make_record(), "not a tree: got Record.*register_tree"),
    "function": (lambda: len, r"got len.*was len\(\) meant"),
    "method": (lambda: nn.Linear(1, 1).parameters, r"got parameters.*was parameters\(\) meant"),
    "generator": (lambda: (x for x in [mx.ones(1)]), r"was list\(...\) meant"),
    "set": (lambda: {1, 2}, r"was list\(...\) meant"),
    "frozenset": (lambda: frozenset(), r"was list\(...\) meant"),
    "values": (lambda: {"a": mx.ones(1)}.values(), r"was list\(...\) meant"),
    "iterator": (lambda: iter([mx.ones(1)]), r"was list\(...\) meant"),
    "map": (lambda: map(mx.sin, [mx.ones(1)]), r"was list\(...\) meant"),
    "class": (lambda: Optimizer, r"was Optimizer\(\) meant"),
    "module": (lambda: mx, "not a tree: got module"),
}


def make_record():
    @dataclasses.dataclass
    class Record:
        x: object

    return Record(mx.ones(2))


@pytest.mark.parametrize("name", NO_TREES)
def test_eval_refuses_arguments_that_are_neither_trees_nor_values(name):
    make, text = NO_TREES[name]
    for f in (
        mx.eval,
        mx.async_eval,
        mx.plan,
        mx.print_graph,
        lambda *o: mx.export_to_dot(io.StringIO(), *o),
    ):
        with pytest.raises(TypeError, match=text):
            f(make())
        with pytest.raises(TypeError, match=text):
            f(mx.ones(1), make())


@pytest.mark.parametrize("name", NO_TREES)
def test_leaves_of_trees_may_be_anything(name):
    make, _ = NO_TREES[name]
    for f in (mx.eval, mx.async_eval, mx.plan):
        trees = [{"a": (make(), 1)}, [{"a": [make()]}, None]]
        if name != "method":  # model.parameters in a list is a slip of the pen
            trees += [[make()], ([make()], 3)]
        for tree in trees:
            f([mx.ones(1) + 1, tree])
    model = nn.Sequential(nn.Linear(2, 2), mx.tanh, lambda x: x)
    mx.eval(model, model.parameters(), model.state)


def test_values_are_passed_over_by_eval_and_named_by_what_shows_graphs():
    values = [
        None,
        3,
        2.5,
        1j,
        True,
        "x",
        b"x",
        np.ones(2),
        np.float32(1),
        decimal.Decimal(1),
        mx.int8,
    ]
    for value in values:
        for f in (mx.eval, mx.async_eval):
            assert f(value) is None
        for f, name in (
            (mx.plan, "plan"),
            (mx.print_graph, "print_graph"),
            (lambda o: mx.export_to_dot(io.StringIO(), o), "export_to_dot"),
        ):
            with pytest.raises(TypeError, match=rf"^\[{name}\] not a tree: got "):
                f(value)


def test_eval_computes_the_random_state():
    for tree in (lambda: mx.random.state, lambda: [{"a": 1}, mx.random.state]):
        mx.random.state[0] = mx.random.key(3) + mx.arange(2).astype(mx.uint32)
        assert mx.plan(tree()).steps
        mx.eval(tree())
        assert not mx.plan(mx.random.state).steps


def test_views_of_what_is_there_need_no_evaluation():
    given = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    a = mx.array(given)
    views = {
        "slice": (a[1:, ::-1, 1:3], given[1:, ::-1, 1:3]),
        "number": (a[1, 2], given[1, 2]),
        "transpose": (a.T, given.T),
        "reshape": (a.reshape(6, 4), given.reshape(6, 4)),
        "broadcast": (mx.broadcast_to(a[0], (5, 3, 4)), np.broadcast_to(given[0], (5, 3, 4))),
    }
    for name, (ours, theirs) in views.items():
        assert not mx.plan(ours).steps, name
        assert np.array_equal(np.array(ours), theirs), name
    pending = a + 1
    assert [s.ops[0] for s in mx.plan(pending[1:]).steps] == ["add", "slice"]
    with mx.profile() as seen:  # who looks for steps sees them
        mx.eval(a.T)
    assert "transpose" in str(seen)
    wanted = np.zeros_like(given)
    wanted[1:, 2] = 3
    assert np.array_equal(np.array(mx.grad(lambda x: (x[1:, 2] * 3).sum())(a)), wanted)


KEYS = (
    0, -1, 3, np.s_[1:3, 2], np.s_[::-1], np.s_[::-2, 1:], np.s_[-2:, -3], np.s_[3:1],
    np.s_[3:1:-1], np.s_[:, :, 1], np.s_[10:], np.s_[-10:10], np.s_[::7, ::-7], np.s_[1, 2, 3],
    np.s_[..., 1], np.s_[None, 1], np.s_[:, None], np.s_[10:-10:-1], np.s_[: 2**70],
    np.s_[-(2**70) :], (), np.s_[4:], np.s_[:: 2**61], np.s_[:: -(2**61)], True, np.s_[0:0, 1],
)  # fmt: skip


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_keys_of_what_is_there_and_of_what_is_to_come(key):
    given = np.arange(60, dtype=np.int32).reshape(4, 5, 3)[:, ::-1]
    if key is True or key == (1, 2, 3):
        for a in (mx.array(given), mx.array(given) + 0):
            with pytest.raises(ValueError if key is True else IndexError):
                a[key]
        return
    there, to_come = mx.array(given)[:, :], mx.array(given) + 0
    for a in (there, to_come, mx.array(given.copy())[::-1][::-1]):
        out = np.array(a[key])
        assert out.shape == given[key].shape and np.array_equal(out, given[key])


@pytest.mark.parametrize("n", [1, 2, 15, 16, 17, 63, 64, 65])
def test_few_elements_give_the_bits_of_many(n):
    rng = np.random.default_rng(n)
    wide = {
        "f": rng.normal(size=200).astype(np.float32),
        "d": rng.normal(size=200),
        "h": rng.normal(size=200).astype(np.float16),
        "i": rng.integers(-100, 100, 200).astype(np.int8),
        "l": rng.integers(-100, 100, 200),
        "c": (rng.normal(size=200) + 1j).astype(np.complex64),
        "b": rng.integers(0, 2, 200).astype(bool),
    }
    many = {k: mx.array(v, dtype=mx.float64 if k == "d" else None) for k, v in wide.items()}
    few = {k: mx.array(v[:n], dtype=mx.float64 if k == "d" else None) for k, v in wide.items()}
    one = mx.array(np.float32(1.5))
    ops = (
        lambda a: mx.exp(a["f"]),
        lambda a: a["f"] + 1.5,
        lambda a: 2 - a["d"],
        lambda a: a["i"] * a["i"],
        lambda a: a["f"] * one,
        lambda a: mx.where(a["b"], a["c"], 2),
        lambda a: a["i"] // 7,
        lambda a: a["f"] < 0,
        lambda a: a["l"].astype(mx.float32),
        lambda a: a["c"] * a["c"],
        lambda a: a["h"] + a["h"],
        lambda a: mx.logical_not(a["b"]),
        lambda a: a["d"].astype(mx.int8),
        lambda a: mx.broadcast_to(one, a["f"].shape) - a["f"],
    )
    for k, f in enumerate(ops):
        assert np.array(f(few)).tobytes() == np.array(f(many))[:n].tobytes(), k
    x = mx.array(wide["f"][:n])
    y = wide["f"][:n].copy()
    for _ in range(5):  # written over as it dies
        x = x * x
        mx.eval(x)
        y = y * y
    assert np.array_equal(np.array(x), y)


def test_who_waits_for_one_op_of_another_thread_gets_it():
    for _ in range(300):
        x = mx.ones((4, 4)) + 1
        found = []
        total = lambda: found.append((x + 0).sum().item())  # noqa: B023, E731
        threads = [threading.Thread(target=total) for _ in "ab"]
        for t in threads:
            t.start()
        mx.eval(x)
        for t in threads:
            t.join()
        assert found == [32, 32]
