"""Tasks of transforms: what compile costs, loops that are not unrolled, what checkpoints save."""

import warnings

from apis import Jax, Mx, Numpy, Torch, gauge, task


def ten_ops(api):
    """A function of four 4 x 4 arrays with ten ops."""
    exp, tanh = api.lib.exp, api.lib.tanh

    def f(a, b, c, d):
        x = a + b
        y = exp(x) * c
        z = tanh(y - d)
        w = z * z + x
        return (w * tanh(w)).sum()

    return f


def wait(api, out):
    if isinstance(api, Mx):
        api.mx.eval(out)
    elif isinstance(api, Jax):
        api.jax.block_until_ready(out)


def is_mlx(api):
    return isinstance(api, Mx) and "lazulite" not in api.mx.__name__


def compiled(api, f):
    if isinstance(api, Mx):
        return api.mx.compile(f)
    return api.jax.jit(f) if isinstance(api, Jax) else api.torch.compile(f)


@task("compile: trace and first call of 10 ops", "us", patience=1)
def first_call(api):
    if isinstance(api, Numpy):
        return None
    args = [api.data(4, 4) for _ in range(4)]

    def thunk():
        if isinstance(api, Torch):
            api.torch._dynamo.reset()
        f = ten_ops(api)
        wait(api, compiled(api, lambda a, b, c, d: f(a, b, c, d))(*args))

    return thunk


@task("compile: cached call of 10 ops, not waited for", "us", 100)
def cached_call(api):
    if isinstance(api, Numpy):
        return None
    args = [api.data(4, 4) for _ in range(4)]
    f = compiled(api, ten_ops(api))
    wait(api, f(*args))

    def thunk():
        for _ in range(100):
            f(*args)

    return thunk


@task("compile: cached call with 1000 entries", "us", 100)
def full_cache(api):
    # torch.compile keeps a few; MLX runs a compiler for each
    if isinstance(api, (Numpy, Torch)) or is_mlx(api):
        return None
    x = api.data(4, 4)
    warnings.simplefilter("ignore")
    if isinstance(api, Jax):
        f = api.jax.jit(lambda x, n: x * n, static_argnums=1)
    else:
        f = api.mx.compile(lambda x, n: x * n, cache_size=1000)
    for n in range(1000):
        wait(api, f(x, n))

    def thunk():
        for _ in range(100):
            f(x, 500)

    return thunk


STEPS, BATCH, HIDDEN = 100, 32, 64


def lstm_loss(api):
    """The sum of squares of an LSTM's outputs, and its arguments."""
    lib = api.lib
    sigmoid = api.mx.sigmoid if isinstance(api, Mx) else api.jax.nn.sigmoid
    scan = getattr(api.mx, "scan", None) if isinstance(api, Mx) else api.jax.lax.scan
    zeros = lib.zeros((BATCH, HIDDEN))

    def loss(wx, wh, xs):
        def step(carry, x):
            h, c = carry
            i, g, o, q = lib.split(x @ wx + h @ wh, 4, axis=-1)
            c = sigmoid(g) * c + sigmoid(i) * lib.tanh(q)
            h = sigmoid(o) * lib.tanh(c)
            return (h, c), h

        if scan is not None:
            ys = scan(step, (zeros, zeros), xs)[1]
        else:  # MLX has none: written out
            carry, ys = (zeros, zeros), []
            for k in range(STEPS):
                carry, y = step(carry, xs[k])
                ys.append(y)
            ys = lib.stack(ys)
        return (ys * ys).sum()

    return loss, [
        api.data(HIDDEN, 4 * HIDDEN) * 0.1,
        api.data(HIDDEN, 4 * HIDDEN) * 0.1,
        api.data(STEPS, BATCH, HIDDEN),
    ]


def torch_lstm(api, backward):
    net = api.torch.nn.LSTM(HIDDEN, HIDDEN)
    xs = api.data(STEPS, BATCH, HIDDEN)

    def thunk():
        with api.torch.set_grad_enabled(backward):
            loss = (net(xs)[0] ** 2).sum()
            if backward:
                net.zero_grad()
                loss.backward()

    return thunk


for backward, label in ((False, "forward"), (True, "gradient")):

    @task(f"LSTM of 100 steps, {label}")
    def lstm(api, backward=backward):
        if isinstance(api, Numpy):
            return None
        if isinstance(api, Torch):
            return torch_lstm(api, backward)
        f, args = lstm_loss(api)
        if backward:
            f = (api.mx if isinstance(api, Mx) else api.jax).grad(f, argnums=(0, 1))
        if not is_mlx(api):  # written out, it would compile for minutes
            f = compiled(api, f)
        return lambda: wait(api, f(*args))


@task("1000 steps of sin(x) * 2 + 1, 100 elements", "us")
def tiny_steps(api):
    if isinstance(api, Jax):
        f = api.jax.jit(
            lambda v: api.jax.lax.fori_loop(0, 1000, lambda i, v: api.lib.sin(v) * 2 + 1, v)
        )
    elif isinstance(api, Mx) and hasattr(api.mx, "fori_loop"):
        f = api.mx.compile(
            lambda v: api.mx.fori_loop(0, 1000, lambda i, v: api.mx.sin(v) * 2 + 1, v)
        )
    else:
        return None
    x = api.data(100)
    return lambda: wait(api, f(x))


def mlp_peak(api, segment):
    """Megabytes that the gradient of 24 layers gelu(x @ w) needs at most, with checkpoints of
    `segment` layers."""
    if not isinstance(api, (Mx, Jax)):
        return None
    ws = [api.data(256, 256) * 0.06 for _ in range(24)]
    x = api.data(4096, 256)

    def block(x, *ws):
        for w in ws:
            x = api.gelu(x @ w)
        return x

    def loss(ws, x):
        f = block
        if segment:
            f = api.jax.checkpoint(block) if isinstance(api, Jax) else api.mx.checkpoint(block)
        for k in range(0, 24, segment or 24):
            x = f(x, *ws[k : k + (segment or 24)])
        return (x * x).mean()

    if isinstance(api, Jax):
        plan = api.jax.jit(api.jax.value_and_grad(loss)).lower(ws, x).compile().memory_analysis()
        return (plan.temp_size_in_bytes + plan.output_size_in_bytes) / 1e6
    mx = api.mx
    mx.eval(ws, x)
    mx.clear_cache()
    mx.reset_peak_memory()
    before = mx.get_active_memory()
    mx.eval(mx.value_and_grad(loss)(ws, x))
    return (mx.get_peak_memory() - before) / 1e6


@gauge("peak of 24 layers' gradient", "MB")
def peak_plain(api):
    return mlp_peak(api, 0)


@gauge("peak with checkpoints of 4 layers", "MB")
def peak_checkpointed(api):
    return mlp_peak(api, 4)
