"""profile: every step that ran, its time, and the line that made it."""

import io
import json
import threading

import pytest

import lazulite.core as mx


def names(p):
    return [row.name for row in p.rows()]


def test_it_lists_what_ran_inside_the_block_only():
    before, after = mx.ones((64, 64)) + 1, mx.ones(10)
    mx.eval(before)
    with mx.profile() as p:
        mx.eval(mx.exp(before) * 2, before @ before)
    mx.eval(mx.sin(after))
    assert sorted(names(p)) == ["fused {exp multiply}", "matmul"]


def test_rows_count_calls_bytes_and_operations():
    a = mx.ones((32, 16))
    b = mx.ones((16, 8))
    mx.eval(a, b)
    with mx.profile() as p:
        for _ in range(3):
            mx.eval(a @ b)
    (row,) = p.rows()
    assert (row.name, row.result, row.calls) == ("matmul", "float32(32, 8)", 3)
    assert row.flops == 3 * 2 * 32 * 16 * 8
    assert row.bytes == 3 * 4 * (32 * 16 + 16 * 8 + 32 * 8)
    assert row.seconds > 0
    assert row.line.startswith(" at ") and "test_profile.py, line" in row.line


def test_it_prints_as_a_table():
    with mx.profile() as p:
        mx.eval(mx.sin(mx.ones(100)) + 1)
    lines = str(p).splitlines()
    assert lines[0].split() == ["op", "result", "calls", "ms", "share", "GB/s", "GFLOP/s", "line"]
    assert (
        "fused {sin add}" in lines[1]
        and "float32(100,)" in lines[1]
        and "test_profile.py" in lines[1]
    )
    assert lines[-1].startswith("1 steps")


def test_an_empty_profile_prints():
    with mx.profile() as p:
        pass
    assert p.rows() == [] and str(p).startswith("nothing ran inside the block")


def test_it_saves_a_chrome_trace(tmp_path):
    with mx.profile() as p:
        mx.eval(mx.sin(mx.ones(100)))
    p.save(str(tmp_path / "trace.json"))
    text = io.StringIO()
    p.save(text)
    for trace in (json.loads((tmp_path / "trace.json").read_text()), json.loads(text.getvalue())):
        (event,) = trace["traceEvents"]
        assert (
            event["name"] == "sin" and event["ph"] == "X" and event["dur"] > 0 and event["ts"] >= 0
        )
        assert event["args"]["result"] == "float32(100,)"


def test_steps_of_a_loop_are_listed_and_not_counted_twice():
    x = mx.ones((20, 8))
    mx.eval(x)
    with mx.profile() as p:
        mx.eval(mx.scan(lambda c, r: (mx.sin(c) + r, None), mx.zeros(8), x)[0])
    rows = {row.name: row for row in p.rows()}
    assert rows["fused {sin add}"].calls == 20 and rows["scan"].calls == 1
    assert rows["fused {sin add}"].line == rows["scan"].line != ""
    own = sum(row.seconds for row in p.rows())
    whole = max(event[5] for event in p._profile.events()) / 1e9
    assert own < 1.5 * whole + 1e-3


def test_other_threads_and_the_background_are_seen():
    with mx.profile() as p:
        thread = threading.Thread(target=lambda: mx.eval(mx.cos(mx.ones(50))))
        thread.start()
        thread.join()
        a = mx.tan(mx.ones(60))
        mx.async_eval(a)
        mx.eval(a)
        mx.synchronize()
    assert sorted(names(p)) == ["cos", "tan"]
    assert len({event[9] for event in p._profile.events()}) == 2


def test_one_at_a_time_and_it_ends_with_an_error_inside():
    with mx.profile():
        with pytest.raises(RuntimeError, match="another profile"):
            with mx.profile():
                pass
    with pytest.raises(ZeroDivisionError):
        with mx.profile() as p:
            mx.eval(mx.sin(mx.ones(3)))
            1 / 0
    assert names(p) == ["sin"]
    with mx.profile() as p:
        pass
    assert p.rows() == []
