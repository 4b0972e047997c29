"""Functions in files: what comes back, what is refused, and that no file does harm."""

import os
import struct
import subprocess
import sys

import numpy as np
import pytest

import lazulite.core as mx
import lazulite.nn as nn


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "f.lzfn")


def same(got, wanted):
    assert len(got) == len(wanted)
    for g, w in zip(got, wanted):
        assert (g.shape, g.dtype, bytes(g)) == (w.shape, w.dtype, bytes(w))


def test_a_function_with_captured_arrays_and_several_results(path):
    w = mx.random.normal((3, 4))

    def f(x, scale):
        y = mx.tanh(x @ w) * scale
        return [y, y.sum(axis=0), mx.argmax(y, axis=1)]

    x = mx.random.normal((5, 3))
    mx.export_function(path, f, x, scale=mx.array(2.0))
    got = mx.import_function(path)(x, scale=mx.array(3.0))
    assert isinstance(got, tuple)
    same(got, f(x, mx.array(3.0)))


def test_results_are_an_array_or_a_flat_list_or_tuple(path):
    x = mx.ones(2)
    for f in (lambda x: x, lambda x: (x, x * 2), lambda x: [x]):
        mx.export_function(path, f, x)
        same(mx.import_function(path)(x), [f(x)] if isinstance(f(x), mx.array) else f(x))
    for f in (
        lambda x: (x, [x]),
        lambda x: {"y": x},
        lambda x: (x, 1),
        lambda x: 2.0,
        lambda x: None,
        lambda x: [x, {"z": x}],
    ):
        with pytest.raises(ValueError, match="must return arrays"):
            mx.export_function(path, f, x)


def test_arguments_may_be_given_as_a_tuple_and_a_dict(path):
    f = lambda x, y, z: x + y * z
    a, b, c = mx.array(1), mx.array(2), mx.array(3)
    mx.export_function(path, f, (a, b), {"z": c})
    g = mx.import_function(path)
    assert g(a, b, z=c)[0].item() == g((a, b), {"z": c})[0].item() == 7
    mx.export_function(path, f, a, b, c)
    assert mx.import_function(path)((a, b, c))[0].item() == 7


def test_metadata_and_repr(path):
    mx.export_function(path, lambda x: x * 2, mx.ones(3), metadata='{"model": "déjà"}')
    f, text = mx.import_function(path, return_metadata=True)
    assert text == '{"model": "déjà"}' and repr(f) == "ImportedFunction((float32(3)))"


def test_several_traces_in_one_file(path):
    with mx.exporter(path, lambda *args: sum(args)) as export:
        export(mx.array(1))
        export(mx.array(1), mx.array(2))
        export(mx.array([1.0, 2.0]))
        with pytest.raises(ValueError, match="already"):
            export(mx.array(7))
    f = mx.import_function(path)
    assert f(mx.array(3), mx.array(4))[0].item() == 7 and f(mx.array([1.0, 2.0]))[0].tolist() == [
        1,
        2,
    ]
    with pytest.raises(ValueError, match="no trace fits.*expected.*int32.* or "):
        f(mx.array(1), mx.array(2), mx.array(3))
    with pytest.raises(RuntimeError, match="closed"):
        export(mx.array(1), mx.array(1), mx.array(1))


def test_an_error_inside_the_block_writes_nothing(path):
    with pytest.raises(ZeroDivisionError):
        with mx.exporter(path, lambda x: x) as export:
            export(mx.array(1))
            1 / 0
    assert not os.path.exists(path)
    with pytest.raises(RuntimeError, match="closed"):
        export(mx.array(1))


def test_another_process_loads_it(path):
    mx.export_function(
        path, lambda x: mx.exp(x) @ mx.arange(6.0).reshape(3, 2), mx.ones((2, 3)), shapeless=True
    )
    code = f"import lazulite.core as mx; print(bytes(mx.import_function({path!r})(mx.ones((4, 3)) * 0.5)[0]).hex())"
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()
    assert out == bytes(mx.exp(mx.ones((4, 3)) * 0.5) @ mx.arange(6.0).reshape(3, 2)).hex()


def test_imported_functions_are_differentiated_mapped_and_compiled(path):
    f = lambda x: (mx.sin(x) * x).sum()
    x = mx.array([0.5, 1.0, 2.0])
    mx.export_function(path, f, x)
    g = lambda v: mx.import_function(path)(v)[0]
    same([mx.grad(g)(x)], [mx.grad(f)(x)])
    same([mx.compile(mx.grad(g))(x)], [mx.grad(f)(x)])
    batch = mx.stack([x, x * 2])
    same([mx.vmap(g)(batch)], [mx.vmap(f)(batch)])


@pytest.mark.parametrize("shapeless", [False, True])
def test_a_model_with_its_weights(path, shapeless):
    model = nn.Sequential(nn.Linear(8, 16), nn.LayerNorm(16), nn.GELU(), nn.Linear(16, 3))
    x = mx.random.normal((4, 8))
    mx.export_function(path, model, x, shapeless=shapeless)
    same(mx.import_function(path)(x), [model(x)])
    if shapeless:
        for n in (1, 2, 33):
            x = mx.random.normal((n, 8))
            same(mx.import_function(path)(x), [model(x)])


def test_a_gradient_with_checkpoints_custom_rules_and_loops(path):
    @mx.custom_function
    def twice(x):
        return x * 2

    @twice.vjp
    def twice_vjp(x, ct, y):
        return ct * 3

    def loss(w, xs):
        step = mx.checkpoint(lambda h, x: mx.tanh(h @ w + x))
        h, ys = mx.scan(lambda h, x: (step(h, x), twice(h)), mx.zeros(4), xs)
        return mx.cond(
            h.sum() > 0,
            lambda v: v,
            lambda v: v * 2,
            ys.sum() + mx.fori_loop(0, 3, lambda i, v: v + i, 0.0),
        )

    w, xs = mx.random.normal((4, 4)), mx.random.normal((6, 4))
    f = mx.value_and_grad(loss, argnums=(0, 1))
    def flat(w, xs):
        value, grads = f(w, xs)
        return value, *grads

    mx.export_function(path, flat, w, xs)
    value, grads = f(w, xs)
    got = mx.import_function(path)(w, xs)
    for g, wanted in zip(got, [value, *grads]):
        np.testing.assert_allclose(np.array(g), np.array(wanted), rtol=1e-6)


def test_a_while_loop(path):
    f = lambda x: mx.while_loop(lambda v: v < 100, lambda v: v * 2, x)
    mx.export_function(path, f, mx.array(3))
    assert mx.import_function(path)(mx.array(7))[0].item() == 112


def test_random_numbers_from_a_key(path):
    f = lambda key: (
        mx.random.normal((3,), key=key),
        mx.random.permutation(5, key=key),
        mx.random.split(key),
    )
    key = mx.random.key(3)
    mx.export_function(path, f, key)
    same(mx.import_function(path)(mx.random.key(9)), list(f(mx.random.key(9))))


@pytest.mark.parametrize(
    "dtype",
    [
        "bool_",
        "uint8",
        "int64",
        "uint64",
        "float16",
        "bfloat16",
        "float64",
        "complex64",
        "complex128",
    ],
)
def test_captured_arrays_of_every_dtype_and_layout(path, dtype):
    w = mx.arange(6).reshape(2, 3).astype(getattr(mx, dtype)).T
    mx.export_function(path, lambda x: (w, x), mx.array(1))
    same(mx.import_function(path)(mx.array(2))[:1], [w])


def test_what_is_shapeless(path):
    w = mx.random.normal((3, 4))
    mx.export_function(
        path,
        lambda x, y: (x @ w + y.sum(), x.mean(axis=0), x.reshape(-1), mx.arange(x.shape[0])),
        mx.ones((5, 3)),
        mx.ones(2),
        shapeless=True,
    )
    f = mx.import_function(path)
    for n, m in [(1, 1), (2, 5), (9, 4)]:
        x, y = mx.random.normal((n, 3)), mx.random.normal((m,))
        same(f(x, y), [x @ w + y.sum(), x.mean(axis=0), x.reshape(-1), mx.arange(n)])
    with pytest.raises(ValueError, match="a fixed size: argument 0, axis 1.*matmul"):
        f(mx.ones((5, 4)), mx.ones(2))


def test_sizes_that_must_be_equal_stay_equal(path):
    mx.export_function(path, lambda x, y: x * y, mx.ones(5), mx.ones(5), shapeless=True)
    f = mx.import_function(path)
    assert f(mx.ones(9), mx.ones(9))[0].shape == (9,)
    with pytest.raises(ValueError, match="no trace fits"):
        f(mx.ones(9), mx.ones(8))


@pytest.mark.parametrize("f, op", [
    (lambda x: mx.linspace(0, 1, x.shape[0] // 2) + x.sum(), "arange"),
    (lambda x: x[: x.shape[0] // 2], "slice"),
    (lambda x: x * (x.shape[0] ** 2 % 7), "full"),
])
def test_what_cannot_be_shapeless_names_the_op(path, f, op):
    with pytest.raises(ValueError, match=rf"\[export_function\].*at {op}"):
        mx.export_function(path, f, mx.ones(6), shapeless=True)


def test_small_sizes_at_which_a_function_does_something_else_are_refused(path):
    mx.export_function(path, lambda x: mx.squeeze(x), mx.ones((5, 3)), shapeless=True)
    f = mx.import_function(path)
    assert f(mx.ones((7, 2)))[0].shape == (7, 2)
    with pytest.raises(ValueError, match="n0 cannot be 1"):
        f(mx.ones((1, 3)))


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda p: mx.export_function(p, lambda x: x, 3), ValueError, "not an array"),
        (
            lambda p: mx.export_function(p, lambda x: 3, mx.array(1)),
            ValueError,
            "must return arrays",
        ),
        (
            lambda p: mx.export_function(p, lambda x: x.item(), mx.array(1)),
            ValueError,
            "while it is traced",
        ),
        (
            lambda p: mx.export_function(lambda d: None, lambda x: x, mx.array(1), metadata="a"),
            ValueError,
            "metadata",
        ),
        (
            lambda p: mx.export_function(os.path.join(p, "no", "such"), lambda x: x, mx.array(1)),
            FileNotFoundError,
            "no such folder",
        ),
        (lambda p: mx.import_function(p), FileNotFoundError, "no such file"),
    ],
)
def test_misuse_says_what_is_wrong(path, call, error, message):
    with pytest.raises(error, match=message):
        call(path)


def test_a_callback_is_told_the_graph():
    told = []
    w = mx.array([1.0, 2.0])
    mx.export_function(
        told.append,
        lambda x, y=None: (mx.exp(x) + y * w).sum(axis=0),
        mx.ones((3, 2)),
        y=mx.ones(2),
    )
    kinds = [t["type"] for t in told]
    assert kinds[:4] == ["inputs", "keyword_inputs", "outputs", "constants"] and set(kinds[4:]) == {
        "primitive"
    }
    assert told[0]["inputs"] == [("A", (3, 2), mx.float32), ("B", (2,), mx.float32)]
    assert told[1]["keywords"] == [("y", "B")]
    assert [n for n, _ in told[3]["constants"]] and told[3]["constants"][0][1] is not None
    names = [t["name"] for t in told[4:]]
    assert names[0] == "exp" and names[-1] == "sum"
    assert told[-1]["outputs"] == told[2]["outputs"] and told[2]["outputs"][0][1:] == (
        (2,),
        mx.float32,
    )


# ---- files that are not as they were written


def written(path):
    w = mx.random.normal((3, 4))
    f = (
        lambda x: mx.scan(lambda c, r: (mx.tanh(c + r @ w), c.sum()), mx.zeros(4), x)[1]
        .at[mx.array([0])]
        .add(1.0)[::-1]
        / x.shape[0]
    )
    mx.export_function(path, f, mx.ones((5, 3)), shapeless=True, metadata="m")
    with open(path, "rb") as file:
        return file.read()


def test_a_file_that_is_cut_off_is_refused(path):
    data = written(path)
    for n in [0, 1, 7, 8, 20, 39, 40, 41, len(data) // 2, len(data) - 64, len(data) - 1]:
        with open(path, "wb") as file:
            file.write(data[:n])
        with pytest.raises(ValueError, match="import_function"):
            mx.import_function(path)
    with open(path, "wb") as file:
        file.write(data + b"x")
    with pytest.raises(ValueError):
        mx.import_function(path)


def test_a_file_with_any_byte_altered_is_refused(path):
    data = bytearray(written(path))
    rng = np.random.default_rng(0)
    for at in [*range(16), *range(16, 40), *rng.integers(40, len(data), 200)]:
        if 12 <= at < 16:  # reserved
            continue
        changed = data.copy()
        changed[at] ^= 1 << int(rng.integers(8))
        with open(path, "wb") as file:
            file.write(changed)
        with pytest.raises(ValueError, match="import_function"):
            mx.import_function(path)


def test_a_newer_file_is_refused(path):
    data = bytearray(written(path))
    data[8:12] = struct.pack("<I", 2)
    with open(path, "wb") as file:
        file.write(data)
    with pytest.raises(ValueError, match="another version.*got 2, expected 1"):
        mx.import_function(path)


def checksum(body):
    h, mask = 0xCBF29CE484222325, (1 << 64) - 1
    for i in range(0, len(body), 8):
        h = ((h ^ int.from_bytes(body[i : i + 8], "little")) * 0x100000001B3) & mask
        h ^= h >> 29
    return h


def test_a_forged_file_does_no_harm(path):
    # The checksum of what was altered is made to fit: every op must look at what it is given.
    data = bytearray(written(path))
    tokens = struct.unpack("<Q", data[16:24])[0]
    x = mx.ones((5, 3))
    rng = np.random.default_rng(1)
    refused = 0
    for _ in range(1500):
        changed = data.copy()
        for _ in range(int(rng.integers(1, 4))):
            at = 40 + int(rng.integers(tokens))
            changed[at] = int(rng.integers(256)) if rng.integers(2) else (changed[at] + 1) % 256
        changed[32:40] = struct.pack("<Q", checksum(changed[40:]))
        with open(path, "wb") as file:
            file.write(changed)
        try:
            mx.eval(mx.import_function(path)(x))
        except (
            ValueError,
            TypeError,
            IndexError,
            OverflowError,
            MemoryError,
            RuntimeError,
            UnicodeDecodeError,
        ):
            refused += 1
    assert refused > 500


def test_an_exporter_that_was_never_called_writes_nothing(tmp_path):
    path = tmp_path / "f.lzfn"
    with pytest.raises(ValueError, match=r"\[exporter\] nothing to write"):
        with mx.exporter(path, lambda x: x):
            pass
    assert not path.exists()
    export = mx.exporter(path, lambda x: x)
    with pytest.raises(ValueError, match="nothing to write"):
        export.close()
    export(mx.ones(2))  # still open
    export.close()
    export.close()
    known = path.read_bytes()
    with pytest.raises(ZeroDivisionError):
        with mx.exporter(path, lambda x: x):
            1 / 0
    with pytest.raises(ValueError):
        mx.exporter(path, lambda x: x).close()
    assert path.read_bytes() == known


def test_errors_of_files_name_function_and_argument(tmp_path, monkeypatch):
    missing = tmp_path / "missing" / "f.x"
    writers = {
        "export_to_dot": lambda p: mx.export_to_dot(p, mx.ones(2) + 1),
        "profile.save": lambda p: mx.profile().save(p),
        "export_function": lambda p: mx.export_function(p, lambda x: x, mx.ones(2)),
        "save": lambda p: mx.save(p, mx.ones(2)),
        "savez": lambda p: mx.savez(p, mx.ones(2)),
        "save_safetensors": lambda p: mx.save_safetensors(p, {"a": mx.ones(2)}),
        "save_gguf": lambda p: mx.save_gguf(p, {"a": mx.ones(2)}),
    }
    for name, write in writers.items():
        for path in (missing, str(missing)):
            with pytest.raises(
                FileNotFoundError, match=rf"^\[{name}\] no such folder: .*missing"
            ) as caught:
                write(path)
            assert isinstance(caught.value, RuntimeError) and isinstance(caught.value, mx.FileError)
        for odd in (3.5, None, object()):
            with pytest.raises(TypeError, match=rf"^\[{name}\] .*(path|file)"):
                write(odd)
    for name, read in {"load": mx.load, "import_function": mx.import_function}.items():
        with pytest.raises(
            FileNotFoundError, match=rf"^\[{name}\] no such file: .*missing"
        ) as caught:
            read(str(missing) + ".npy")
        assert isinstance(caught.value, RuntimeError)
    with pytest.raises(TypeError, match=r"^\[import_function\] file: got 3, expected a path"):
        mx.import_function(3)
    with pytest.raises(TypeError, match=r"^\[exporter\] not a function"):
        mx.exporter(missing, 3)
    with pytest.raises(TypeError, match=r"^\[export_function\] metadata: got int"):
        mx.export_function(missing, lambda x: x, mx.ones(1), metadata=3)


def test_errors_of_devices_name_the_argument():
    for args, text in {
        ("x",): "type: got str 'x'",
        (3,): "type: got 3",
        (mx.cpu, "a"): "index: got str 'a'",
        (None,): "type: got None",
    }.items():
        with pytest.raises(TypeError, match=rf"^\[Device\] {text}, expected"):
            mx.Device(*args)
    assert mx.Device(type=mx.cpu, index=0) == mx.Device(mx.cpu) == mx.cpu
