"""Training steps. Losses, and slopes along one direction, are compared with float64."""

from cases import Work, case
from cases.norms import gradient_work, layer_norm

RATE = 1e-4


def parameters(api, *shapes, seed=50, gain=1.0):
    """Uniform weights of variance gain / fan-in."""
    made = []
    for k, shape in enumerate(shapes):
        bound = (3 * gain / shape[0]) ** 0.5 if len(shape) > 1 else 0.1
        made.append(api.array(api.values("float32", shape, -bound, bound, seed + k), "float32"))
    return made


def step_case(name, make_loss, compiled, room="training", without=(), tolerance=5e-3):
    """`make_loss(api)` gives loss(params, *rest), params and rest; a step subtracts the
    gradient."""

    @case(room, name, tolerance=tolerance)
    def make(api):
        if api.name in without:
            return None
        loss, params, rest = make_loss(api)
        if api.exact or not hasattr(api, "value_and_grad"):
            return gradient_work(api, loss, params, rest)
        both = api.value_and_grad(loss)

        def step(params, *rest):
            value, grads = both(params, *rest)
            return [value] + [p - RATE * g for p, g in zip(params, grads)]

        go = api.jit(step) if api.compiles and (compiled or api.name == "jax") else step
        state = [params]

        def run():
            out = api.wait(go(state[0], *rest))
            state[0] = out[1:]
            return out[0]

        return Work(run, [*params, *rest], gradient_work(api, loss, params, rest).outputs)


def cross_entropy(m, logits, onehot):
    return m.mean(m.logsumexp(logits, axis=-1) - m.sum(logits * onehot, axis=-1))


def mlp(batch, width, layers):
    def make(api):
        m = api.lib
        sizes = [api.n(784)] + [api.n(width)] * (layers - 1) + [10]
        shapes = [s for pair in zip(sizes[:-1], sizes[1:]) for s in (pair, pair[1:])]
        params = parameters(api, *shapes)
        x = api.data("float32", batch, 784, seed=90)
        onehot = api.array(
            api.values("int32", (api.n(batch), 1), 0, 10, 91) == range(10), "float32"
        )

        def loss(p, x, onehot):
            for k in range(0, len(p), 2):
                x = x @ p[k] + p[k + 1]
                if k + 2 < len(p):
                    x = m.maximum(x, 0.0)
            return cross_entropy(m, x, onehot)

        return loss, params, [x, onehot]

    return make


step_case("MLP 784-256-256-10, batch 256", mlp(256, 256, 3), False)
step_case("MLP 784-256-256-10, batch 256, compiled", mlp(256, 256, 3), True)
step_case("MLP 784-1024-1024-10, batch 128, compiled", mlp(128, 1024, 3), True)
step_case("MLP 784-32-10, batch 16", mlp(16, 32, 2), False)
step_case("MLP 784-32-10, batch 16, compiled", mlp(16, 32, 2), True)

STEPS, BATCH, HIDDEN = 100, 32, 64


def lstm(api):
    m = api.lib
    wx, wh = parameters(api, (HIDDEN, 4 * HIDDEN), (HIDDEN, 4 * HIDDEN))
    xs = api.array(api.values("float32", (api.n(STEPS), BATCH, HIDDEN), seed=3), "float32")
    zeros = api.array(api.values("float32", (BATCH, HIDDEN), 0, 0), "float32")

    def loss(p, xs):
        def step(carry, x):
            h, c = carry
            i, f, g, o = api.split(x @ p[0] + h @ p[1], 4, -1)
            c = m.sigmoid(f) * c + m.sigmoid(i) * m.tanh(g)
            h = m.sigmoid(o) * m.tanh(c)
            return (h, c), h

        if api.name in ("numpy", "reference"):
            carry, ys = (zeros, zeros), []
            for x in xs:
                carry, y = step(carry, x)
                ys.append(y)
            return (m.stack(ys) ** 2).mean()
        ys = api.scan(step, (zeros, zeros), xs)[1]
        return m.mean(ys * ys)

    return loss, [wx, wh], [xs]


def torch_lstm(api, params, xs, backward):
    """PyTorch's own layer, with the same weights."""
    net = api.torch.nn.LSTM(HIDDEN, HIDDEN, bias=False)
    net.weight_ih_l0.data, net.weight_hh_l0.data = (p.T.contiguous() for p in params)

    def run():
        with api.torch.set_grad_enabled(backward):
            loss = (net(xs)[0] ** 2).mean()
            if backward:
                net.zero_grad()
                loss.backward()
        return loss.detach()

    return run


@case("training", "LSTM of 100 steps, forward")
def lstm_forward(api):
    loss, params, rest = lstm(api)
    if api.name == "mlx" and not api.small:
        return Work(api.run(loss, params, *rest), [*params, *rest])
    if api.name == "torch":
        return Work(torch_lstm(api, params, rest[0], False), [*params, *rest])
    return Work(api.compiled(loss, params, *rest), [*params, *rest])


@case("training", "LSTM of 100 steps, gradient", tolerance=5e-3)
def lstm_gradient(api):
    loss, params, rest = lstm(api)
    work = gradient_work(api, loss, params, rest)
    if work is None or api.exact:
        return work
    if api.name == "torch":
        run = torch_lstm(api, params, rest[0], True)
    elif api.name == "mlx":  # written out, it would compile for minutes
        return work
    else:
        run = api.compiled(api.value_and_grad(loss), params, *rest)
    return Work(run, work.inputs, work.outputs)


HEADS = 4


def transformer(api):
    """Two layers of attention and a perceptron, on 8 sequences of 64."""
    m, width, length = api.lib, api.n(128) // HEADS * HEADS, api.n(64) // (8 if api.small else 1)
    layer = [(width,), (width,), (width, 3 * width), (width, width)]
    layer += [(width,), (width,), (width, 4 * width), (4 * width, width)]
    params = [
        api.array(api.values("float32", s, -b, b, 50 + k), "float32")
        for k, s in enumerate(layer * 2)
        for b in [(3 / s[0]) ** 0.5]
    ]
    batch = 2 if api.small else 8
    x = api.array(api.values("float32", (batch, length, width), seed=7), "float32")
    wanted = api.array(api.values("float32", (batch, length, width), seed=8), "float32")

    def heads(v):
        return m.swapaxes(v.reshape((batch, length, HEADS, width // HEADS)), 1, 2)

    def block(x, g1, b1, qkv, out, g2, b2, up, down):
        q, k, v = (heads(part) for part in api.split(layer_norm(m, x, g1, b1) @ qkv, 3, -1))
        weights = m.softmax((q @ m.swapaxes(k, -1, -2)) * (width // HEADS) ** -0.5, axis=-1)
        mixed = m.swapaxes(weights @ v, 1, 2).reshape((batch, length, width))
        x = x + mixed @ out
        h = layer_norm(m, x, g2, b2) @ up
        return x + (h * 0.5 * (1 + m.erf(h * 0.7071067811865476))) @ down

    def loss(p, x, wanted):
        for k in range(0, len(p), 8):
            x = block(x, *p[k : k + 8])
        return m.mean(m.square(x - wanted))

    return loss, params, [x, wanted]


step_case("transformer of 2 layers, batch 8 x 64 x 128", transformer, False)
step_case("transformer of 2 layers, batch 8 x 64 x 128, compiled", transformer, True)


def stacked(nn, sizes):
    """Layers of the framework with ReLU in between."""
    parts = [part for a, b in zip(sizes[:-1], sizes[1:]) for part in (nn.Linear(a, b), nn.ReLU())]
    return parts[:-1]


def layers_and_adam(api, batch, width, layers):
    _, params, (x, onehot) = mlp(batch, width, layers)(api)
    if api.exact:
        return Work(lambda: None, outputs=lambda: [])
    sizes = [x.shape[1], *[api.n(width)] * (layers - 1), 10]
    if api.name == "torch":
        torch = api.torch
        net = torch.nn.Sequential(*stacked(torch.nn, sizes))
        adam = torch.optim.Adam(net.parameters(), lr=1e-3)
        labels = onehot.argmax(1)

        def run():
            with torch.enable_grad():
                adam.zero_grad()
                loss = torch.nn.functional.cross_entropy(net(x), labels)
                loss.backward()
            adam.step()
            return loss.detach()

    elif api.name in ("lazulite", "mlx"):
        import importlib

        nn = importlib.import_module(f"{api.name}.nn")
        optim = importlib.import_module(f"{api.name}.optimizers")
        mx = api.mx
        net = nn.Sequential(*stacked(nn, sizes))
        adam = optim.Adam(learning_rate=1e-3)
        labels = mx.argmax(onehot, axis=1)
        both = nn.value_and_grad(
            net, lambda x, y: nn.losses.cross_entropy(net(x), y, reduction="mean")
        )

        def run():
            loss, grads = both(x, labels)
            adam.update(net, grads)
            mx.eval(net, adam.state, loss)
            return loss

    else:
        return None
    return Work(run, [*params, x], outputs=lambda: [])


@case("training", "MLP 784-256-256-10, batch 256, layers and Adam of the framework")
def large_mlp_of_the_framework(api):
    return layers_and_adam(api, 256, 256, 3)


@case("training", "MLP 784-32-10, batch 16, layers and Adam of the framework")
def small_mlp_of_the_framework(api):
    return layers_and_adam(api, 16, 32, 2)


@case("training", "LSTM layer of 128, 32 sequences of 100, a step of SGD, of the framework")
def layer_of_the_framework(api):
    width, steps = api.n(128), api.n(100)
    x = api.array(api.values("float32", (32, steps, width), seed=3), "float32")
    if api.exact:
        return Work(lambda: None, outputs=lambda: [])
    if api.name == "torch":
        torch = api.torch
        net = torch.nn.LSTM(width, width, batch_first=True)
        sgd = torch.optim.SGD(net.parameters(), lr=1e-3)

        def run():
            with torch.enable_grad():
                sgd.zero_grad()
                loss = net(x)[0].square().mean()
                loss.backward()
            sgd.step()
            return loss.detach()

    elif api.name == "lazulite":
        import lazulite.nn as nn
        import lazulite.optimizers as optim

        net, sgd = nn.LSTM(width, width), optim.SGD(1e-3)
        both = nn.value_and_grad(net, lambda x: api.mx.square(net(x)[0]).mean())

        def run():
            loss, grads = both(x)
            sgd.update(net, grads)
            api.mx.eval(net, sgd.state, loss)
            return loss

    else:
        return None
    return Work(run, [x], outputs=lambda: [])
