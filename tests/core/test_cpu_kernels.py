"""mx.fast.cpu_kernel: C++ source and function pointers as ops."""

import ctypes
import os
import stat
import subprocess
import sys
import threading

import numpy as np
import pytest

import lazulite.core as mx
from lazulite.core import _compiler

AXPY = """
    auto i = thread_position_in_grid.x;
    out[i] = T(N) * x[i] + y[i];
"""


@pytest.fixture(scope="session")
def shelf(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def cache(shelf, monkeypatch):
    """Not the folder of whoever runs the tests."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(shelf))


def axpy(x, y, n=3, **more):
    kernel = mx.fast.cpu_kernel("axpy", ["x", "y"], ["out"], AXPY)
    return kernel(
        inputs=[x, y],
        template=[("T", x.dtype), ("N", n)],
        grid=(x.size, 1, 1),
        output_shapes=[x.shape],
        output_dtypes=[x.dtype],
        **more,
    )[0]


def of(kernel, x, dtype=None, **more):
    """A kernel of one input and one output of its shape, a thread for each element."""
    return kernel(
        inputs=[x],
        grid=(x.size, 1, 1),
        output_shapes=[x.shape],
        output_dtypes=[dtype or x.dtype],
        **more,
    )[0]


def single(name, source, **more):
    return mx.fast.cpu_kernel(name, ["x"], ["out"], source, **more)


TWICE = "auto i = thread_position_in_grid.x; out[i] = 2 * x[i];"


@pytest.mark.parametrize(
    "dtype",
    "int8 uint8 int16 uint16 int32 uint32 int64 uint64 float16 bfloat16 float32 float64".split(),
)
def test_a_kernel_computes_what_its_source_says_in_every_dtype(dtype):
    dtype = getattr(mx, dtype)
    x, y = mx.arange(20).astype(dtype), mx.ones(20, dtype)
    assert mx.array_equal(axpy(x, y), mx.arange(20).astype(dtype) * 3 + y)


@pytest.mark.parametrize("dtype", [mx.complex64, mx.complex128])
def test_a_kernel_of_complex_numbers(dtype):
    x = mx.array([1 + 2j, -3j]).astype(dtype)
    kernel = single("square", "auto i = thread_position_in_grid.x; out[i] = x[i] * x[i];")
    assert mx.allclose(of(kernel, x), x * x)


def test_every_thread_of_a_grid_runs_once_and_knows_its_place():
    source = """
        auto g = thread_position_in_grid;
        auto all = threads_per_grid;
        auto at = g.x + all.x * (g.y + all.y * g.z);
        auto p = threadgroup_position_in_grid; auto t = thread_position_in_threadgroup;
        out[at] += 1;
        place[at] = p.x * 4 + t.x == g.x && p.y * 3 + t.y == g.y && p.z * 2 + t.z == g.z;
        index[at] = thread_index_in_threadgroup;
        size[at] = threads_per_threadgroup.x * 100 + threads_per_threadgroup.y * 10
                   + threads_per_threadgroup.z;
        groups[at] = threadgroups_per_grid.x * 100 + threadgroups_per_grid.y * 10
                     + threadgroups_per_grid.z;
    """
    kernel = mx.fast.cpu_kernel("places", [], ["out", "place", "index", "size", "groups"], source)
    out, place, index, size, groups = kernel(
        inputs=[], grid=(10, 7, 5), threadgroup=(4, 3, 2), output_shapes=[(5, 7, 10)] * 5,
        output_dtypes=[mx.int32, mx.bool_, mx.int32, mx.int32, mx.int32], init_value=0,
    )  # fmt: skip
    assert out.min().item() == out.max().item() == 1
    assert place.all().item()
    assert size[0, 0, 0].item() == 432 and size[4, 6, 9].item() == 211
    assert index[1, 2, 3].item() == 23 and index[4, 6, 9].item() == 1
    assert mx.all(groups == 333).item()


def test_shapes_strides_and_axes_are_there_for_the_source_that_names_them():
    source = """
        auto g = thread_position_in_grid;
        out[g.x] = x_shape[0] * 1000 + x_strides[0] * 100 + x_strides[1] * 10 + x_ndim + out_shape[0];
    """
    x = mx.arange(12).reshape(3, 4).T
    mx.eval(x)
    for dense, expected in ((True, 4000 + 300 + 10 + 2 + 1), (False, 4000 + 100 + 40 + 2 + 1)):
        kernel = single("shapes", source, ensure_row_contiguous=dense)
        (out,) = kernel(
            inputs=[x], grid=(1, 1, 1), output_shapes=[(1,)], output_dtypes=[mx.int32]
        )
        assert out.item() == expected


def test_inputs_are_made_dense_unless_asked_otherwise():
    x = mx.arange(24.0).reshape(2, 3, 4).transpose(2, 0, 1)[::-1]
    assert mx.array_equal(of(single("twice", TWICE), x), x * 2)


def test_the_header_stands_before_the_function():
    header = "template <class T> T third(T x) { return x / 3; }"
    kernel = single(
        "third", "auto i = thread_position_in_grid.x; out[i] = third(x[i]);", header=header
    )
    assert of(kernel, mx.array([6.0, 9.0])).tolist() == [2, 3]


def test_outputs_begin_as_init_value():
    kernel = single("even", "auto i = thread_position_in_grid.x; if (i % 2 == 0) out[i] = x[i];")
    for dtype in (mx.float32, mx.float16, mx.int8, mx.complex64):
        out = of(kernel, mx.arange(5).astype(dtype), init_value=7)
        assert out.tolist() == [0, 7, 2, 7, 4]
    with pytest.raises(OverflowError, match=r"^\[even\]"):
        of(kernel, mx.arange(5).astype(mx.int8), init_value=300)


def test_a_kernel_is_recorded_and_runs_when_it_is_wanted():
    x = mx.array([1.0, 2.0])
    out = of(single("twice", TWICE), mx.exp(x)) + 1
    assert "foreign" in str(mx.plan(out)) and "kernel=twice" in str(mx.plan(out))
    np.testing.assert_allclose(np.array(out), 2 * np.exp([1, 2]) + 1, rtol=1e-6)


def test_the_same_bits_on_any_number_of_threads():
    source = """
        float sum = 0;
        for (int k = 0; k < 50; ++k) sum += std::sin(x[thread_position_in_grid.x] * k);
        out[thread_position_in_grid.x] = sum;
    """
    kernel, x, before = single("waves", source), mx.random.normal((100_001,)), mx.num_threads()
    results = []
    try:
        for n in (1, 2, 5):
            mx.set_num_threads(n)
            for _ in range(3):
                results.append(np.array(of(kernel, x)).tobytes())
    finally:
        mx.set_num_threads(before)
    assert len(set(results)) == 1


def test_a_kernel_runs_in_several_threads_at_once():
    kernel, x, out = single("twice", TWICE), mx.arange(1000.0), {}

    def work(k):
        out[k] = of(kernel, x + k).sum().item()

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert out == {k: 2 * (499500 + 1000 * k) for k in range(8)}


@pytest.mark.parametrize("n", [8, 100_000])
def test_a_kernel_inside_compile(n):
    f = mx.compile(lambda x: of(single("twice", TWICE), x * 3) + 1)
    for k in range(3):
        x = mx.arange(n) + k
        assert mx.array_equal(f(x), x * 6 + 1)


def test_a_kernel_inside_vmap_sees_one_lane_at_a_time():
    x, y = mx.random.normal((3, 4, 5)), mx.random.normal((5,))
    assert mx.array_equal(mx.vmap(lambda a: axpy(a, a))(x), 4 * x)
    over = mx.vmap(mx.vmap(lambda a, b: axpy(a, b), in_axes=(0, None)), in_axes=(0, None))
    assert mx.allclose(over(x, y), 3 * x + y)
    assert mx.allclose(
        mx.vmap(lambda a: axpy(a, a), in_axes=1, out_axes=1)(x.transpose(1, 2, 0)),
        4 * x.transpose(1, 2, 0),
    )
    constant = mx.vmap(lambda a: axpy(y, y) + a)(mx.arange(3.0))
    assert mx.allclose(constant, 4 * y + mx.arange(3.0)[:, None])


def test_a_kernel_in_a_loop():
    f = single("twice", TWICE)
    last, _ = mx.scan(lambda c, _: (of(f, c), c), mx.ones(4), mx.arange(5))
    assert last.tolist() == [32] * 4


def test_a_derivative_must_be_given():
    x = mx.array([1.0, 2.0, 3.0])
    cube = "auto i = thread_position_in_grid.x; out[i] = x[i] * x[i] * x[i];"
    with pytest.raises(ValueError, match="has no derivative"):
        mx.grad(lambda a: of(single("cube", cube), a).sum())(x)

    def vjp(primals, cotangents, outputs):
        assert len(cotangents) == len(outputs) == 1
        return 3 * primals * primals * cotangents[0]

    kernel = single("cube", cube, vjp=vjp)
    assert mx.allclose(mx.grad(lambda a: of(kernel, a).sum())(x), 3 * x * x)
    assert mx.allclose(mx.compile(mx.grad(lambda a: of(kernel, a).sum()))(x), 3 * x * x)
    assert mx.allclose(mx.vmap(mx.grad(lambda a: of(kernel, a).sum()))(x[:, None])[:, 0], 3 * x * x)


def test_nothing_to_do_is_done():
    kernel = single("twice", TWICE)
    assert of(kernel, mx.zeros((0,))).shape == (0,)
    (out,) = kernel(
        inputs=[mx.ones(3)], grid=(0, 1, 1), output_shapes=[(3,)], output_dtypes=[mx.float32],
        init_value=5,
    )  # fmt: skip
    assert out.tolist() == [5, 5, 5]


def test_verbose_prints_what_is_compiled(capsys):
    of(single("twice", TWICE), mx.ones(2), verbose=True)
    assert "out[i] = 2 * x[i];" in capsys.readouterr().out


def test_what_a_kernel_throws_is_raised():
    kernel = single("thrower", 'if (x[0] > 1) throw std::runtime_error("too large"); out[0] = 1;')
    assert of(kernel, mx.ones(1)).item() == 1
    with pytest.raises(RuntimeError, match=r"^\[thrower\] too large"):
        mx.eval(of(kernel, mx.array([2.0])))


GOOD = dict(
    inputs=[mx.ones(2)], grid=(2, 1, 1), output_shapes=[(2,)], output_dtypes=[mx.float32]
)


@pytest.mark.parametrize(
    "change, error, text",
    [
        ({"inputs": []}, ValueError, "inputs: got 0, expected 1"),
        ({"inputs": mx.ones(1)}, TypeError, "inputs: got array, expected a list"),
        ({"inputs": ["text"]}, (TypeError, ValueError), "."),
        ({"output_shapes": [(2,), (2,)]}, ValueError, "output_shapes: got 2, expected 1"),
        ({"output_shapes": [(-2,)]}, ValueError, "negative|-2"),
        ({"output_dtypes": ["float32"]}, TypeError, "output_dtypes: got 'float32'"),
        ({"grid": (2, 1)}, ValueError, "grid: got .*expected three ints"),
        ({"grid": 2}, ValueError, "grid: got 2, expected three ints"),
        ({"grid": (2, 1, -1)}, ValueError, "grid: got"),
        ({"grid": (2.0, 1, 1)}, ValueError, "grid: got"),
        ({"threadgroup": (0, 1, 1)}, ValueError, "threadgroup: got"),
        ({"template": ["T"]}, ValueError, "template: got 'T'"),
        ({"template": [("T", "float")]}, TypeError, "template T: got str"),
        ({"template": [("a b", 1)]}, ValueError, "template: got 'a b'"),
        ({"template": [("N", 1 << 40)]}, ValueError, "template N: got"),
        ({"init_value": "x"}, TypeError, "twice"),
        ({"stream": "gpu0"}, (TypeError, ValueError), "."),
    ],
)
def test_wrong_arguments_of_a_call_are_refused(change, error, text):
    kernel = single("twice", TWICE)
    with pytest.raises(error, match=text):
        kernel(**{**GOOD, **change})


@pytest.mark.parametrize(
    "arguments, error, text",
    [
        (("a b", ["x"], ["y"], ""), ValueError, "name: got 'a b'"),
        (("f", "x", ["y"], ""), TypeError, "input_names: got 'x', expected a list"),
        (("f", ["x"], [], ""), ValueError, "output_names: got none"),
        (("f", ["x"], ["x"], ""), ValueError, "got 'x' twice"),
        (("f", ["x; }"], ["y"], ""), ValueError, "expected a name of C"),
        (("f", ["x"], ["y"], 1.5), TypeError, "source: got float"),
        (("f", ["x"], ["y"], 0), ValueError, "source: got the address 0"),
        (("f", ["x"], ["y"], "", 3), TypeError, "header: got int"),
    ],
)
def test_wrong_arguments_of_a_kernel_are_refused(arguments, error, text):
    with pytest.raises(error, match=rf"^\[cpu_kernel\] .*{text}"):
        mx.fast.cpu_kernel(*arguments)


# ---- the compiler


def test_a_source_that_does_not_compile_is_shown_with_what_the_compiler_says():
    kernel = single("faulty", "\n\nout[0] = nothing_like_this;")
    with pytest.raises(RuntimeError, match=r"^\[cpu_kernel\] faulty does not compile") as error:
        of(kernel, mx.ones(1))
    assert "nothing_like_this" in str(error.value) and "source of faulty:3" in str(error.value)
    with pytest.raises(RuntimeError, match="does not compile"):  # and again
        of(kernel, mx.ones(1))


def test_without_a_compiler_the_call_says_so(monkeypatch, tmp_path):
    kernel = single("lonely", "out[0] = 12345;")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(RuntimeError, match=r"^\[cpu_kernel\] no C\+\+ compiler: got none of"):
        of(kernel, mx.ones(1))
    monkeypatch.setenv("CXX", "/no/such/compiler -O2")
    with pytest.raises(RuntimeError, match="no C.. compiler: got CXX='/no/such/compiler -O2'"):
        of(kernel, mx.ones(1))


COMPILER = """#!/bin/sh
echo "$@" >> {log}
exec {real} "$@"
"""


def compiler(folder, monkeypatch):
    """One that writes down how it is called."""
    log, tool = folder / "log", folder / "c++ of mine"
    tool.write_text(COMPILER.format(log=f"'{log}'", real=_compiler.find("test")[0]))
    tool.chmod(0o755)
    monkeypatch.setenv("CXX", f"'{tool}'")
    return lambda: [c for c in log.read_text().splitlines() if "-shared" in c]


def test_an_object_is_compiled_once_and_kept(monkeypatch, tmp_path):
    calls = compiler(tmp_path, monkeypatch)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    of(single("once", TWICE), mx.ones(2))
    of(single("once", TWICE), mx.zeros(5))
    assert len(calls()) == 1
    of(single("once", TWICE), mx.ones(2, mx.int32))  # other types, another object
    of(single("once", TWICE + " "), mx.ones(2))  # another source
    assert len(calls()) == 3
    place = tmp_path / "cache" / "lazulite"
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert sorted(p.suffix for p in place.iterdir()) == [".so"] * 3, "and nothing else is left"
    assert not any(TWICE[:10] in c or "once" in c for c in calls()), "no user's text"

    program = (
        "import lazulite.core as mx\n"
        f"k = mx.fast.cpu_kernel('once', ['x'], ['out'], {TWICE!r})\n"
        "print(k(inputs=[mx.ones(2)], grid=(2, 1, 1), output_shapes=[(2,)],"
        " output_dtypes=[mx.float32])[0].tolist())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[2.0, 2.0]" and len(calls()) == 3, "another process"


@pytest.mark.parametrize("mode", [0o777, 0o720, 0o702])
def test_a_folder_that_others_can_write_to_is_not_used(monkeypatch, tmp_path, mode):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    place = tmp_path / "lazulite"
    place.mkdir()
    place.chmod(mode)
    with pytest.warns(RuntimeWarning, match="not private"):
        out = of(single(f"wary{mode}", TWICE), mx.ones(2))
    assert out.tolist() == [2, 2] and not list(place.iterdir())


def test_a_folder_that_is_a_link_or_anothers_is_not_used(monkeypatch, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    (tmp_path / "lazulite").symlink_to(elsewhere)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.warns(RuntimeWarning, match="not private"):
        assert of(single("linked", TWICE), mx.ones(1)).item() == 2
    assert not list(elsewhere.iterdir())
    monkeypatch.setenv("XDG_CACHE_HOME", str(elsewhere))
    other = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: other)
    with pytest.warns(RuntimeWarning, match="not private"):
        assert of(single("anothers", TWICE), mx.ones(1)).item() == 2
    assert not list((elsewhere / "lazulite").iterdir())


def test_an_object_that_others_can_write_to_is_compiled_anew(monkeypatch, tmp_path):
    calls = compiler(tmp_path, monkeypatch)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    of(single("planted", TWICE), mx.ones(1))
    (made,) = (tmp_path / "lazulite").iterdir()
    made.unlink()
    made.write_bytes(b"not what it says")
    made.chmod(0o666)
    monkeypatch.setattr(_compiler, "_opened", {})
    assert of(single("planted", TWICE), mx.ones(1)).item() == 2
    assert len(calls()) == 2


# ---- function pointers

C_SOURCE = """
#include <stdint.h>
void scaled(void* const* arrays, const int64_t* const* shapes, const int64_t* const* strides,
            const int64_t* sizes, int64_t begin, int64_t end) {
  const float* x = arrays[0];
  float* y = arrays[1];
  for (int64_t i = begin; i < end; ++i) y[i] = x[i] * (float)(shapes[0][0] + sizes[1]);
}
"""


@pytest.fixture(scope="module")
def scaled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("c")
    (folder / "k.cpp").write_text(
        C_SOURCE.replace("void scaled", 'extern "C" void scaled')
        .replace("= arrays[0]", "= (const float*)arrays[0]")
        .replace("= arrays[1]", "= (float*)arrays[1]")
    )
    subprocess.run(
        [_compiler.find("test")[0], "-shared", "-fPIC", "-o", folder / "k.so", folder / "k.cpp"],
        check=True,
    )
    return ctypes.CDLL(str(folder / "k.so")).scaled


class Cfunc:
    """As a cfunc of Numba is."""

    def __init__(self, address):
        self.address = address


def forms(pointer):
    address = ctypes.cast(pointer, ctypes.c_void_p).value
    return [pointer, address, ctypes.c_void_p(address), Cfunc(address)]


@pytest.mark.parametrize("form", range(4))
def test_a_compiled_function_runs_without_a_compiler(scaled, form, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    kernel = single("scaled", forms(scaled)[form])
    for n in (3, 100_000):
        x = mx.random.normal((n,))
        assert mx.array_equal(of(kernel, x), x * (n + 1))
    x = mx.random.normal((4, 5))
    assert mx.array_equal(mx.vmap(lambda a: of(kernel, a))(x), x * 6)
    with pytest.raises(ValueError, match="template: got"):
        of(kernel, x, template=[("T", mx.float32)])


def test_python_functions_are_no_kernels():
    callback = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda p: None)
    with pytest.raises(TypeError, match="callback into Python"):
        single("callback", callback)
