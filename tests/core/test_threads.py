"""Threads: sharing, reading while others change, background work, interruption."""

import gc
import os
import subprocess
import sys
import time

import numpy as np
import pytest

import lazulite.core as mx


def run_python(code, timeout=120, **environment):
    """A process that prints every thread's stack and ends when it hangs."""
    code = (
        f"import faulthandler; faulthandler.dump_traceback_later({timeout - 10}, exit=True)\n"
        + code
    )
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, **environment},
    )


def test_many_threads_that_start_dependent_background_work_come_to_an_end():
    code = """
import sys, threading, lazulite.core as mx
sys.setswitchinterval(1e-6)
streams = [mx.new_stream(mx.cpu) for _ in range(2)]
shared = [mx.ones((8,))]
lock = threading.Lock()
results = []
def work(k):
    for i in range(400):
        with mx.stream(streams[(k * 7 + i // 9) % 2]):
            with lock:
                a = shared[-1]
                b = a * 1.0 + 1
                shared.append(b)
                if len(shared) > 20: del shared[:10]
            c = b + a
            mx.async_eval(b)
            mx.async_eval(c, a)
            if i % 50 == 0: mx.synchronize(streams[i % 2])
            if i % 17 == 0: c.tolist()
    results.append(k)
threads = [threading.Thread(target=work, args=(k,)) for k in range(12)]
for t in threads: t.start()
for t in threads: t.join()
for s in streams: mx.synchronize(s)
print(len(results), shared[-1][0].item())
"""
    out = run_python(code)
    assert out.stdout.split() == ["12", str(float(12 * 400 + 1))], (out.stdout, out.stderr[-3000:])


def test_cycles_of_streams_come_to_an_end():
    streams = [mx.new_stream(mx.cpu) for _ in range(40)]  # more than there are threads
    a = mx.zeros((1000,))
    for i in range(2000):
        with mx.stream(streams[(i * 13) % 40]):
            a = a + 1
            mx.async_eval(a)
    for s in streams:
        mx.synchronize(s)
    assert a[999].item() == 2000


def test_arrays_are_read_while_other_threads_change_them():
    code = """
import copy, pickle, threading, time, numpy as np, lazulite.core as mx
end = time.time() + 4
box = mx.ones((64,))
small = mx.ones((1,), dtype=mx.int32)
whole = mx.zeros((), dtype=mx.int32)
def change():
    k = 0
    while time.time() < end:
        global box, small, whole
        k += 1
        b, s, w = box, small, whole
        b += 1
        b[k % 64] = 3
        s *= 1
        w += 0
        b[:] = mx.exp(b * 0) @ mx.ones((64, 64))
def read(k):
    f = mx.compile(lambda x: x * 2)
    while time.time() < end:
        for g in (lambda: box.tolist(), lambda: np.asarray(box).sum(), lambda: repr(box), lambda: bytes(box), lambda: np.from_dlpack(box).sum(),
                  lambda: memoryview(box).tolist(), lambda: small.item(), lambda: int(small), lambda: float(small), lambda: bool(small),
                  lambda: complex(small), lambda: [1, 2][whole], lambda: len(list(box)), lambda: pickle.loads(pickle.dumps(box)), lambda: f(box).sum().item(),
                  lambda: box[box > 0].sum().item(), lambda: box[small].item(), lambda: 3 in box, lambda: copy.copy(box).sum().item(),
                  lambda: mx.array(box).tolist(), lambda: mx.eval([box, (small,)]), lambda: mx.async_eval(box), lambda: format(small),
                  lambda: mx.zeros((2,))[whole:].tolist(), lambda: round(box).tolist(), lambda: np.asarray(box, dtype=np.float64).sum(),
                  lambda: mx.array([whole, whole]).tolist(), lambda: box.at[small].add(1).tolist(), lambda: hash(box), lambda: mx.plan(box)):
            g()
threads = [threading.Thread(target=change) for _ in range(2)] + [threading.Thread(target=read, args=(k,)) for k in range(4)]
errors = []
threading.excepthook = lambda a: errors.append(a)
for t in threads: t.start()
for t in threads: t.join()
print("fine", errors[:1])
"""
    out = run_python(code)
    assert out.stdout.split() == ["fine", "[]"], (out.returncode, out.stdout, out.stderr[-3000:])


def test_a_compiled_call_outlives_its_entry():
    code = """
import collections, sys, threading, time, lazulite.core as mx
sys.setswitchinterval(1e-6)
Pair = collections.namedtuple("Pair", "a b")
f = mx.compile(lambda x: Pair(x + 1, x.shape[0]), cache_size=1)
end = time.time() + 3
def work(k):
    while time.time() < end:
        for n in range(1, 5):
            y = f(mx.ones((n + k,)))
            assert y.b == n + k and y.a.shape == (n + k,)
threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
errors = []
threading.excepthook = lambda a: errors.append(a)
for t in threads: t.start()
for t in threads: t.join()
print("fine", errors[:1])
"""
    out = run_python(code)
    assert out.stdout.split() == ["fine", "[]"], (out.returncode, out.stdout, out.stderr[-3000:])


interrupt = """
import os, signal, threading, time, lazulite.core as mx
def press(after):
    threading.Timer(after, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
def forever(): return mx.while_loop(lambda v: v < 2, lambda v: v * 1, mx.array(1.0))
def stopped(work):
    press(0.5)
    try:
        work()
    except KeyboardInterrupt:
        return True
    return "not stopped"
def fine(): return mx.exp(mx.zeros(3)).tolist() == [1, 1, 1]
"""


@pytest.mark.parametrize("work", [
    "lambda: forever().item()",
    "lambda: (mx.async_eval(a), a.item())",
    "lambda: (mx.async_eval(a), mx.synchronize())",
    "lambda: (mx.async_eval(a), mx.async_eval(b), mx.synchronize(other))",
    "lambda: (mx.async_eval(a), mx.eval(b))",
])
def test_ctrl_c_ends_waiting_and_endless_loops(work):
    code = interrupt + f"""
other = mx.new_stream(mx.cpu)
a = forever()
with mx.stream(other): b = a + 1
print(stopped({work}))
mx.synchronize()
mx.synchronize(other)
x = mx.ones(3) + 1
mx.async_eval(x)
print(x.tolist(), fine())
"""
    out = run_python(code)
    assert out.stdout.splitlines() == ["True", "[2.0, 2.0, 2.0] True"], (
        out.stdout,
        out.stderr[-3000:],
    )


def test_ctrl_c_ends_the_waiting_for_another_thread():
    code = interrupt + """
a = forever()
threading.Thread(target=lambda: mx.eval(a), daemon=True).start()
time.sleep(0.2)
print(stopped(lambda: a.item()), fine(), flush=True)
os._exit(0)
"""
    out = run_python(code)
    assert out.stdout.split() == ["True", "True"], (out.stdout, out.stderr[-3000:])


def test_ctrl_c_in_one_thread_leaves_the_results_of_others_alone():
    code = interrupt + """
n = 500
x = mx.random.normal((n, n)) * 0.01
mx.eval(x)
shared = x
for _ in range(150): shared = mx.tanh(shared @ x)
got = []
def other():
    time.sleep(0.2)
    y = shared * 0 + 2  # waits for the main thread's run
    got.append(y[0, 0].item())
    got.append((y + 1)[0, 0].item())
t = threading.Thread(target=other)
t.start()
press(0.5)
try:
    mx.eval(shared)
    for _ in range(100): time.sleep(0.02)
except KeyboardInterrupt: pass
t.join()
print(got, fine(), mx.isfinite(shared).all().item())
"""
    out = run_python(code)
    assert out.stdout.splitlines() == ["[2.0, 3.0] True True"], (out.stdout, out.stderr[-3000:])


def test_what_failed_for_want_of_memory_is_evaluated_once_there_is_memory():
    base = mx.get_active_memory()
    a = mx.arange(3_000_000, dtype=mx.float32) * 2
    b = a.reshape(3, -1).sum(1)
    background = mx.arange(3_000_000, dtype=mx.float32) * 3
    before = mx.set_memory_limit(base + 1_000_000)
    try:
        for _ in range(2):
            with pytest.raises(MemoryError):
                mx.eval(b, a)
        mx.async_eval(background)
        with pytest.raises(MemoryError):
            background.item() if background.size == 1 else background.tolist()
        with pytest.raises(RuntimeError, match="memory"):
            mx.async_eval(background)
            mx.synchronize()
    finally:
        mx.set_memory_limit(before)
    assert (a + 1)[5].item() == 11 and b.shape == (3,) and background[1].item() == 3
    mx.synchronize()


def test_errors_of_background_work_are_raised_by_synchronize():
    bad = mx.take(mx.ones(3), mx.array([5]))
    mx.async_eval(bad)
    with pytest.raises(RuntimeError, match="index out of range"):
        mx.synchronize()
    mx.synchronize()
    with pytest.raises(IndexError):
        bad.item()
    stream = mx.new_stream(mx.cpu)
    with mx.stream(stream):
        bad = mx.take(mx.ones(3), mx.array([5])) + 1
        mx.async_eval(bad)
    with pytest.raises(RuntimeError):
        mx.synchronize(stream)


def test_thousands_of_streams_share_a_few_threads():
    arrays = []
    for k in range(3000):
        with mx.stream(mx.new_stream(mx.cpu)):
            arrays.append(mx.ones(3) * k)
            mx.async_eval(arrays[-1])
    with open("/proc/self/status") as f:
        threads = int(next(line for line in f if line.startswith("Threads:")).split()[1])
    assert threads < 100
    assert [a[2].item() for a in arrays] == list(range(3000))


def test_objects_released_in_the_background_go_soon():
    class Owner(np.ndarray):
        pass

    gone = []
    for _ in range(3):
        memory = np.ones(1000, np.float32).view(Owner)
        import weakref

        weakref.finalize(memory, gone.append, 1)
        a = mx.asarray(memory)
        del memory
        b = mx.exp(a) + 1
        mx.async_eval(b)
        del a
        while not len(gone):
            if b is not None:
                mx.synchronize()
                b = None
                end = time.time() + 60  # hangs
            if time.time() > end:
                break
            time.sleep(0.001)  # no call of ours
        assert gone.pop()
    gc.collect()


def test_a_signal_handler_that_reads_what_is_being_computed_gets_an_error():
    code = """
import signal, lazulite.core as mx
x = mx.ones((400, 400))
for _ in range(400): x = mx.tanh(x @ x)
seen = []
def handler(*_):
    try:
        x.sum().item()
        seen.append("read")
    except RuntimeError as e:
        seen.append("wait for itself" in str(e))
    seen.append((mx.ones(3) + 1).tolist() == [2, 2, 2])
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.2)
mx.eval(x)
while not seen: pass
print(seen, mx.isfinite(x).all().item())
"""
    out = run_python(code)
    assert out.stdout.splitlines() in (["[True, True] True"], ["['read', True] True"]), (
        out.stdout,
        out.stderr[-3000:],
    )


def test_lists_that_change_while_they_are_read():
    code = """
import sys, threading, time, lazulite.core as mx
sys.setswitchinterval(1e-6)
end = time.time() + 2
items, sizes = [], []
def change():
    while time.time() < end:
        items[:] = [mx.ones((2,)) * 2 for _ in range(5)]
        sizes[:] = [mx.array(2) + 1, mx.array(1) + 1]
        items.clear(), sizes.clear()
f = mx.compile(lambda x: [v * 2 for v in x])
def read():
    while time.time() < end:
        for g in (lambda: mx.concatenate(items), lambda: mx.stack(items), lambda: mx.zeros(sizes), lambda: mx.ones((3, 2)).reshape(sizes),
                  lambda: f(items), lambda: mx.eval(items), lambda: mx.async_eval(items)):
            try: g()
            except (ValueError, TypeError): pass
threads = [threading.Thread(target=t) for t in (change, read, read, read)]
for t in threads: t.start()
for t in threads: t.join()
print("fine")
"""
    out = run_python(code)
    assert out.stdout.split() == ["fine"], (out.returncode, out.stdout, out.stderr[-3000:])


def test_a_list_that_changes_between_its_key_and_its_trace_is_refused():
    """What describes the arguments runs Python code: another thread may change them there."""
    from lazulite.core import _compile

    calls, items = [], [mx.ones(2) * k for k in range(5)]
    f = mx.compile(lambda x, scale=1: [v * 2 for v in x])
    describe = _compile._describe

    def changing(tree, arguments):
        if not calls and isinstance(tree, tuple):
            calls.append(True)
            items.clear()
        return describe(tree, arguments)

    _compile._describe = changing
    try:
        with pytest.raises(ValueError, match=r"^\[compile\] arguments .* change while they are read"):
            f(items)
    finally:
        _compile._describe = describe
    assert f(items) == []  # nothing of it was kept
    items.extend(mx.ones(2) * k for k in range(5))
    assert [a.tolist() for a in f(items)] == [[2.0 * k] * 2 for k in range(5)]


def test_ctrl_c_ends_a_read_by_numpy():
    """NumPy drops the errors of the buffer protocol: the first Ctrl-C was lost there."""
    code = """
import os, signal, threading, time
import numpy as np
import lazulite.core as mx
y = mx.while_loop(lambda c: (c >= 0).all(), lambda c: c * 1.0, mx.ones(3))
threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
try:
    np.asarray(y)
except KeyboardInterrupt:
    print("stopped")
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert out.stdout.strip() == "stopped", out.stderr
