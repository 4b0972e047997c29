"""Whole networks: inference, training steps, and text. Each is written once, over the functions
that all frameworks have, with the same weights; images are channels last, in memory of all of
them."""

from cases import Work, case
from cases.norms import layer_norm
from cases.training import cross_entropy, step_case


class Weights:
    """Shapes of parameters in the order of their use, made of random numbers that keep the size of
    what goes through."""

    def __init__(self, api):
        self.api, self.arrays = api, []

    def add(self, shape, low, high):
        values = self.api.values("float32", shape, low, high, 60 + len(self.arrays))
        self.arrays.append(self.api.array(values, "float32"))

    def matrix(self, *shape):
        """(inputs, outputs)."""
        bound = (3 / shape[0]) ** 0.5
        self.add(shape, -bound, bound)
        self.add(shape[1:], -0.1, 0.1)

    def convolution(self, made, size, given, groups=1):
        """With the four numbers of a batch norm for each channel."""
        bound = (6 / (size * size * given // groups)) ** 0.5
        self.add((made, size, size, given // groups), -bound, bound)
        for low, high in ((0.8, 1.2), (-0.1, 0.1), (-0.1, 0.1), (0.8, 1.2)):
            self.add((made,), low, high)

    def norm(self, dims):
        self.add((dims,), 0.8, 1.2)
        self.add((dims,), -0.1, 0.1)


class Network:
    """`make(api)` gives weights; `forward(api, weights, x, training)` takes them in order. Running
    means and variances are given and stay as they are."""

    def __init__(self, make, forward):
        self.make, self.forward = make, forward


def normalized(api, p, x, training, activation=True):
    y = api.batch_norm(x, next(p), next(p), next(p), next(p), training)
    return api.lib.maximum(y, 0.0) if activation else y


def dense(p, x):
    return x @ next(p) + next(p)


# ResNet-18 (He et al., 2015): widths, strides and numbers of blocks

STAGES = ((64, 1), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1))


def resnet_weights(api):
    made = Weights(api)
    made.convolution(64, 7, 3)
    given = 64
    for width, stride in STAGES:
        width = api.n(width)
        made.convolution(width, 3, given)
        made.convolution(width, 3, width)
        if stride == 2:
            made.convolution(width, 1, given)
        given = width
    made.matrix(given, api.n(1000))
    return made.arrays


def resnet(api, weights, x, training):
    p = iter(weights)
    x = normalized(api, p, api.conv2d(x, next(p), 2, 3), training)
    x = api.pool2d("max", x, 3, 2, 1)
    for _, stride in STAGES:
        y = normalized(api, p, api.conv2d(x, next(p), stride, 1), training)
        y = normalized(api, p, api.conv2d(y, next(p), 1, 1), training, activation=False)
        if stride == 2:
            x = normalized(api, p, api.conv2d(x, next(p), 2, 0), training, activation=False)
        x = api.lib.maximum(y + x, 0.0)
    return dense(p, api.lib.mean(x, axis=(1, 2)))


# A body of depthwise and 1 x 1 convolutions (Howard et al., MobileNets, 2017)

PAIRS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2))
PAIRS = (*PAIRS, (1024, 1))


def mobile_weights(api):
    made = Weights(api)
    made.convolution(32, 3, 3)
    given = 32
    for width, _ in PAIRS:
        width = api.n(width)
        made.convolution(given, 3, given, groups=given)
        made.convolution(width, 1, given)
        given = width
    made.matrix(given, api.n(1000))
    return made.arrays


def mobile(api, weights, x, training):
    p = iter(weights)
    x = normalized(api, p, api.conv2d(x, next(p), 2, 1), training)
    for _, stride in PAIRS:
        x = normalized(api, p, api.conv2d(x, next(p), stride, 1, x.shape[-1]), training)
        x = normalized(api, p, api.conv2d(x, next(p), 1, 0), training)
    return dense(p, api.lib.mean(x, axis=(1, 2)))


# LeNet-5 (LeCun et al., 1998), with maxima and rectifiers


def lenet_weights(api):
    made = Weights(api)
    for width, given in ((6, 1), (16, 6)):
        bound = (6 / (25 * given)) ** 0.5
        made.add((width, 5, 5, given), -bound, bound)
        made.add((width,), -0.1, 0.1)
    for sizes in ((400, 120), (120, 84), (84, 10)):
        made.matrix(*sizes)
    return made.arrays


def lenet(api, weights, x, training):
    p, m = iter(weights), api.lib
    for padding in (2, 0):
        x = api.conv2d(x, next(p), 1, padding) + next(p)
        x = api.pool2d("max", m.maximum(x, 0.0), 2, 2, 0)
    x = x.reshape((x.shape[0], -1))
    for _ in range(2):
        x = m.maximum(dense(p, x), 0.0)
    return dense(p, x)


NETWORKS = {
    "ResNet-18": Network(resnet_weights, resnet),
    "MobileNet": Network(mobile_weights, mobile),
    "LeNet": Network(lenet_weights, lenet),
}


def image(api, batch, side, channels):
    shape = (batch, side if side < 64 else api.n(side), side if side < 64 else api.n(side))
    return api.array(api.values("float32", (*shape, channels), seed=7), "float32")


def inference(name, batch):
    @case("networks", f"{name}, inference, batch {batch}", tolerance=2e-3)
    def make(api):
        if api.name == "mlx":  # minutes
            return None
        network = NETWORKS[name]
        weights, x = network.make(api), image(api, batch, 224, 3)
        f = api.compiled(lambda x: network.forward(api, weights, x, False), x)
        return Work(f, [*weights, x])


def training(name, batch, side, channels, classes):
    def make(api):
        network = NETWORKS[name]
        x = image(api, batch, side, channels)
        n = api.n(classes)
        onehot = api.array(
            api.values("int32", (batch, 1), 0, n - 1, 91) == range(n), "float32"
        )

        def loss(p, x, onehot):
            return cross_entropy(api.lib, network.forward(api, p, x, True), onehot)

        return loss, network.make(api), [x, onehot]

    title = f"{name}, a step, {batch} x {side} x {side}"
    # Rectifiers have kinks, which a difference along a line of all weights meets.
    step_case(title, make, True, room="networks", without=("mlx",), tolerance=2e-2)


for batch in (1, 8):
    inference("ResNet-18", batch)
    inference("MobileNet", batch)
training("ResNet-18", 4, 224, 3, 1000)
training("MobileNet", 4, 224, 3, 1000)
training("LeNet", 256, 28, 1, 10)


# A Transformer that writes (Radford et al., 2019)


class Gpt:
    """`layers` of `width` over so many tokens; (1, places) or (batch, places) of them go in."""

    def __init__(self, api, layers, width, heads, vocabulary, places):
        self.api, self.m, self.layers, self.heads = api, api.lib, layers, heads
        self.width = api.n(width) // heads * heads
        self.size = self.width // heads
        made = Weights(api)
        for count in (api.n(vocabulary), api.n(places)):
            made.add((count, self.width), -0.1, 0.1)
        for _ in range(layers):
            made.norm(self.width)
            made.matrix(self.width, 3 * self.width)
            made.matrix(self.width, self.width)
            made.norm(self.width)
            made.matrix(self.width, 4 * self.width)
            made.matrix(4 * self.width, self.width)
        made.norm(self.width)
        self.weights = made.arrays

    def __call__(self, weights, ids, batch, at=0, caches=None):
        """Logits of (batch * places) ids; `caches` hold keys and values of what came before."""
        p, m, api = iter(weights), self.m, self.api
        table, places = next(p), next(p)
        length = len(ids) // batch
        x = m.take(table, ids, axis=0).reshape((batch, length, self.width))
        x = x + places[at : at + length]
        for k in range(self.layers):
            y = dense(p, self.norm(p, x))
            q, key, value = (self.split(part, batch, length) for part in api.split(y, 3, -1))
            if caches is not None:
                key, value = caches.extended(k, at, key, value)
            y = api.attention(q, key, value, self.size**-0.5, causal=length > 1)
            y = m.swapaxes(y, 1, 2).reshape((batch, length, self.width))
            x = x + dense(p, y)
            y = dense(p, self.norm(p, x))
            x = x + dense(p, y * 0.5 * (1 + m.erf(y * 0.7071067811865476)))
        return self.norm(p, x) @ m.swapaxes(table, 0, 1)

    def norm(self, p, x):
        return layer_norm(self.m, x, next(p), next(p))

    def split(self, x, batch, length):
        return self.m.swapaxes(x.reshape((batch, length, self.heads, self.size)), 1, 2)


class Caches:
    """Keys and values of each layer, written in place."""

    def __init__(self, net, batch, places):
        shape = (batch, net.heads, places, net.size)
        self.api = api = net.api
        self.kept = [
            [api.array(api.values("float32", shape, 0, 0), "float32") for _ in "kv"]
            for _ in range(net.layers)
        ]

    def extended(self, layer, at, *new):
        end = at + new[0].shape[2]
        every = slice(None)
        for i, part in enumerate(new):
            self.kept[layer][i] = self.api.update(
                self.kept[layer][i], (every, every, slice(at, end)), part
            )
        return [part[:, :, :end] for part in self.kept[layer]]


def tokens(api, vocabulary, count):
    return api.array(api.values("int32", (count,), 0, api.n(vocabulary) - 1, 5), "int32")


def gpt_step(api):
    batch, length = (2, 8) if api.small else (8, 128)
    net = Gpt(api, 4, 256, 8, 1000, 128)
    ids = tokens(api, 1000, batch * length)
    n = api.n(1000)
    wanted = api.values("int32", (batch, length, 1), 0, n - 1, 6) == range(n)

    def loss(p, ids, onehot):
        return cross_entropy(api.lib, net(p, ids, batch), onehot)

    return loss, net.weights, [ids, api.array(wanted, "float32")]


step_case("GPT of 4 x 256, a step, 8 x 128", gpt_step, True, room="networks", without=("mlx",))


@case("networks", "GPT of 12 x 768, 128 tokens", tolerance=2e-3)
def gpt_forward(api):
    if api.name == "mlx":
        return None
    net = Gpt(api, 12, 768, 12, 50257, 1024)
    ids = tokens(api, 50257, 8 if api.small else 128)
    f = api.compiled(lambda ids: net(net.weights, ids, 1), ids)
    return Work(f, [*net.weights, ids])


@case("networks", "GPT of 12 x 768, 16 tokens after 64, keys and values kept", tolerance=2e-3)
def gpt_text(api):
    """Each token is asked for before the next one: as a loop that prints them."""
    if api.name in ("mlx", "jax"):  # JAX would need a position that its compiler does not know
        return None
    net = Gpt(api, 12, 768, 12, 50257, 1024)
    prompt, count = (4, 3) if api.small else (64, 16)
    ids = tokens(api, 50257, prompt)

    def write():
        caches, at, now = Caches(net, 1, prompt + count), 0, ids
        for _ in range(count):
            logits = net(net.weights, now, 1, at, caches)[0, -1]
            at += len(now)
            token = int(api.lib.argmax(logits).item())
            now = api.array(api.values("int32", (1,), token, token), "int32")
        return api.wait(logits)

    return Work(write, [*net.weights, ids])
