"""The calls of a guide to writing fast programs, each checked as it runs.

    python examples/speed_guide.py [NAME...]

Prints a line for each part: what it did, and what it measured. Without names all of them run.
"""

import argparse
import tempfile
from functools import partial
from pathlib import Path

import numpy as np

import lazulite.core as mx
import lazulite.nn as nn
import lazulite.optimizers as optim

WIDTH = 512  # of the arrays; main() may make it smaller
PARTS = {}


def part(f):
    PARTS[f.__name__] = f
    return f


def error_of(kind, f):
    try:
        f()
    except kind as error:
        return str(error)
    raise SystemExit(f"expected {kind.__name__}")


def tokens(steps):
    """Gives one result while the next one is computed."""
    weight = mx.random.normal((WIDTH, WIDTH)) / WIDTH**0.5

    def step(x):
        y = mx.tanh(x @ weight)
        return y, mx.argmax(y)

    x, token = step(mx.ones((WIDTH,)))
    mx.async_eval(token)
    for n in range(steps):
        if n + 1 < steps:
            x, ahead = step(x)
            mx.async_eval(ahead)
        mx.eval(token)
        yield token.item()
        token = ahead


@part
def one_step_ahead():
    mx.random.seed(0)
    plain = list(tokens(8))
    mx.random.seed(0)
    with mx.stream(mx.new_stream(mx.default_device())):
        assert list(tokens(8)) == plain
    if mx.is_available(mx.gpu):
        with mx.stream(mx.new_stream(mx.gpu)):
            return f"{plain}, on a GPU {list(tokens(8))}"
    return f"{plain}; a stream of mx.gpu: {error_of(ValueError, lambda: mx.new_stream(mx.gpu))}"


@part
def evaluated_trees():
    out = mx.arange(3) * 2
    assert [x for x in out.tolist()] == [0, 2, 4]
    model, optimizer = nn.Linear(4, 3), optim.Adam(learning_rate=1e-3)
    optimizer.init(model.trainable_parameters())
    mx.eval(model, optimizer.state)
    mx.eval({"a": out + 1, "b": [out, (out - 1, None)]}, None, [], model.parameters())
    return "a model, its optimizer's state, dicts, lists, tuples, arrays, None"


@part
def dtypes_of_mixtures():
    single, half, brain = (mx.ones((2,), t) for t in (mx.float32, mx.float16, mx.bfloat16))
    assert (single * half).dtype == (brain * half).dtype == mx.float32
    assert (half * mx.array(2.0)).dtype == mx.float32
    assert (half * 2.0).dtype == mx.float16 and (brain * 2.0).dtype == mx.bfloat16
    return "a number keeps a half, an array of float32 does not"


@part
def fast_functions():
    x = mx.random.normal((2, 8, WIDTH)).astype(mx.float16)
    w, b = mx.ones((WIDTH,)).astype(mx.float16), mx.zeros((WIDTH,)).astype(mx.float16)
    exact = np.array(x, np.float64)

    def error(got, wanted):
        return float(np.abs(np.array(got, np.float64) - wanted).max())

    root = np.sqrt((exact**2).mean(-1, keepdims=True) + 1e-5)
    centred = exact - exact.mean(-1, keepdims=True)
    whole = centred / np.sqrt(exact.var(-1, keepdims=True) + 1e-5)
    errors = [error(mx.fast.rms_norm(x, w, 1e-5), exact / root)]
    for given in ((w, b), (w, None), (None, b), (None, None)):
        errors.append(error(mx.fast.layer_norm(x, *given, 1e-5), whole))
    power = np.exp(exact - exact.max(-1, keepdims=True))
    softmax = power / power.sum(-1, keepdims=True)
    errors.append(error(mx.softmax(x, axis=-1, precise=True), softmax))
    heads = x.reshape(2, 8, -1, 64).transpose(0, 2, 1, 3)
    turned = mx.fast.rope(heads, 64, traditional=False, base=10000.0, scale=1.0, offset=3)
    mixed = mx.fast.scaled_dot_product_attention(turned, turned, heads, scale=0.125, mask=None)
    assert mixed.shape == heads.shape and mixed.dtype == mx.float16 and max(errors) < 3e-3
    return f"of halves, summed in float32: errors up to {max(errors):.1e}"


@part
def products_and_indices():
    x, w = mx.random.normal((WIDTH,)), mx.random.normal((WIDTH, WIDTH))
    c = mx.ones((WIDTH,))
    assert mx.allclose(x @ w.T, w @ x, rtol=1e-4, atol=1e-3)
    assert mx.allclose(mx.addmm(c, x, w.T), x @ w.T + c, rtol=1e-4, atol=1e-3)
    order = mx.argsort(w, axis=-1)
    ordered = mx.take_along_axis(w, order, axis=-1)
    assert mx.array_equal(ordered, mx.sort(w, axis=-1))
    assert mx.array_equal(mx.put_along_axis(mx.zeros_like(w), order, ordered, axis=-1), w)
    assert mx.repeat(mx.arange(2), 3).tolist() == [0, 0, 0, 1, 1, 1]
    return "x @ W.T, W @ x, addmm, take_along_axis, put_along_axis, repeat"


@part
def compiled():
    traced = []

    @mx.compile
    def scaled(x, scale):
        traced.append(scale)
        return mx.exp(x) * scale

    x = mx.ones((WIDTH,))
    for scale in (2.0, 2.0, 3.0):
        assert mx.allclose(scaled(x, scale), mx.exp(x) * scale)

    y = mx.random.normal((WIDTH,)) + 1  # not evaluated yet

    @partial(mx.compile, inputs=[y])
    def enclosing(x):
        return x + y

    assert mx.array_equal(enclosing(x), x + y)

    model, optimizer = nn.Linear(WIDTH, 1), optim.SGD(learning_rate=0.1 / WIDTH, momentum=0.9)
    state = [model.state, optimizer.state]

    def loss_fn(model, x, y):
        return nn.losses.mse_loss(model(x), y)

    @partial(mx.compile, inputs=state, outputs=state)
    def step(x, y):
        loss, grads = nn.value_and_grad(model, loss_fn)(model, x, y)
        optimizer.update(model, grads)
        return loss

    data, wanted = mx.random.normal((64, WIDTH)), mx.random.normal((64, 1))
    losses = []
    for _ in range(10):
        losses.append(step(data, wanted).item())
        mx.eval(state)
    assert losses[-1] < losses[0]

    shapes = []

    @partial(mx.compile, shapeless=True)
    def total(x):
        shapes.append(x.shape)
        return mx.abs(x).sum()

    for n in (3, 5, 7):
        assert total(mx.full((n,), -1.0)).item() == n
    return f"traced {len(traced)} times for 2 numbers, {len(shapes)} times for 3 shapes"


def peak_of(f):
    """Bytes at the peak of f(), beyond what was there, and what it gave."""
    mx.synchronize()
    mx.clear_cache()
    mx.reset_peak_memory()
    before = mx.get_active_memory()
    made = f()
    return mx.get_peak_memory() - before, made


@part
def weights_in_halves():
    shape, count = (WIDTH, WIDTH), 8
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "model.safetensors")
        mx.save_safetensors(path, {f"w{i}": mx.random.normal(shape) for i in range(count)})

        def load():
            w = mx.load(path)
            w = {k: v.astype(mx.float16) for k, v in w.items()}
            mx.eval(w)
            return w

        peak, w = peak_of(load)
        assert all(v.dtype == mx.float16 for v in w.values())
        one = 4 * WIDTH * WIDTH
        assert peak <= count * one / 2 + one + (1 << 16), peak
        again = mx.load(open(path, "rb"), format="safetensors")
        assert mx.allclose(again["w0"], w["w0"].astype(mx.float32), rtol=1e-3, atol=1e-3)
        assert mx.array_equal(mx.load(open(path, "rb"))["w1"], again["w1"])
    return f"{count * one / 1e6:.1f} MB of float32 cast while they are read: peak {peak / 1e6:.1f}"


@part
def gradients_released():
    model = nn.Sequential(*[nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(8)])
    optimizer = optim.Adam(learning_rate=1e-3)
    x = mx.random.normal((16, WIDTH))
    mx.eval(model, x)
    both = nn.value_and_grad(model, lambda x: model(x).square().mean())

    def step():
        loss, grads = both(x)
        optimizer.update(model, grads)
        return loss

    def released():
        loss = step()
        mx.eval(loss, model.parameters(), optimizer.state)

    def held():
        loss, grads = both(x)
        optimizer.update(model, grads)
        mx.eval(loss, model.parameters(), optimizer.state)
        return grads

    released()
    (more, _), (less, _) = peak_of(held), peak_of(released)
    assert less < more
    return f"peak of a step {more / 1e6:.1f} MB with gradients held, {less / 1e6:.1f} without"


@part
def memory():
    mx.clear_cache()
    mx.reset_peak_memory()
    before = mx.get_active_memory()
    x = mx.ones((WIDTH, WIDTH))
    mx.eval(x)
    assert mx.get_active_memory() - before == mx.metal.get_active_memory() - before == x.nbytes
    del x
    held = mx.get_cache_memory()
    mx.clear_cache()
    assert mx.get_cache_memory() == 0 and mx.metal.get_peak_memory() == mx.get_peak_memory()
    limit = mx.set_cache_limit(1 << 20)
    mx.set_cache_limit(limit)
    bound = mx.set_memory_limit(1 << 40)
    mx.set_memory_limit(bound)
    mx.metal.clear_cache()
    return f"{held} bytes were kept for later, none is now"


def main():
    global WIDTH
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", choices=[*PARTS, []], help="which parts")
    parser.add_argument("--width", type=int, default=WIDTH)
    args = parser.parse_args()
    WIDTH = args.width
    mx.random.seed(0)
    for name in args.names or PARTS:
        print(f"{name}: {PARTS[name]()}")


if __name__ == "__main__":
    main()
