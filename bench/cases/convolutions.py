"""Convolutions of channels-last images, forward and with their gradients."""

from cases import F, Input, Work, case
from cases.norms import gradient_work


def convolution(name, x, w, stride=1, padding=0, groups=1, dtype="float32"):
    """Two cases: the result, and value and gradients of the sum of its squares."""

    exact = dtype == "float32"

    def flops(api):
        sizes = [api.n(n) for n in x]
        taps = w[1] * w[2] * api.n(w[3])
        across = [(n + 2 * padding - k) // stride + 1 for n, k in zip(sizes[1:3], w[1:3])]
        return 2 * sizes[0] * across[0] * across[1] * api.n(w[0]) * taps

    def inputs(api, seed):
        shapes = [[api.n(n) for n in x], [api.n(w[0]), w[1], w[2], api.n(w[3])]]
        return [Input(dtype, *shape).make(api, seed + k) for k, shape in enumerate(shapes)]

    def result(api, x, w):
        return api.conv2d(x, w, stride, padding, api.n(groups))

    @case("convolutions", f"{name} {dtype}", flops=flops, tolerance=1e-3 if exact else 5e-2)
    def forward(api):
        args = inputs(api, 40)
        return Work(api.run(lambda x, w: result(api, x, w), *args), args)

    @case("convolutions", f"{name} {dtype}, with gradients", tolerance=5e-3 if exact else 0.2)
    def with_gradients(api):
        def loss(p):
            y = result(api, *p)
            return api.lib.mean(y * y)

        return gradient_work(api, loss, inputs(api, 40), [])


convolution("3 x 3 of 64 channels, 16 x 56 x 56", (16, 56, 56, 64), (64, 3, 3, 64), 1, 1)
convolution("5 x 5 of one channel to 6, 64 x 28 x 28", (64, 28, 28, 1), (6, 5, 5, 1), 1, 2)
convolution(
    "7 x 7 of 3 channels to 64, stride 2, 4 x 224 x 224", (4, 224, 224, 3), (64, 7, 7, 3), 2, 3
)
convolution(
    "3 x 3 of 128 channels to 256, stride 2, 8 x 28 x 28", (8, 28, 28, 128), (256, 3, 3, 128), 2, 1
)
convolution("1 x 1 of 256 channels, 8 x 28 x 28", (8, 28, 28, 256), (256, 1, 1, 256))
convolution("3 x 3 of 512 channels, 1 x 7 x 7", (1, 7, 7, 512), (512, 3, 3, 512), 1, 1)
for sizes in (
    ("3 x 3 of 64 channels, 16 x 56 x 56", (16, 56, 56, 64), (64, 3, 3, 64), 1, 1),
    ("7 x 7 of 3 channels to 64, stride 2, 4 x 224 x 224", (4, 224, 224, 3), (64, 7, 7, 3), 2, 3),
    ("1 x 1 of 256 channels, 8 x 28 x 28", (8, 28, 28, 256), (256, 1, 1, 256)),
    ("3 x 3 of 512 channels, 1 x 7 x 7", (1, 7, 7, 512), (512, 3, 3, 512), 1, 1),
):
    convolution(*sizes, dtype="bfloat16")
convolution(
    "3 x 3 of each of 128 channels, 8 x 56 x 56", (8, 56, 56, 128), (128, 3, 3, 1), 1, 1, 128
)


def of_int8(name, x, w, stride=1, padding=0):
    """Whole numbers, summed in 32 bits; those who have nothing for them take floats."""

    def flops(api):
        across = [(n + 2 * padding - k) // stride + 1 for n, k in zip(x[1:3], w[1:3])]
        return 2 * api.n(x[0]) * across[0] * across[1] * api.n(w[0]) * w[1] * w[2] * api.n(w[3])

    @case("convolutions", f"{name} int8", flops=flops)
    def make(api):
        shapes = [[api.n(x[0]), x[1], x[2], api.n(x[3])], [api.n(w[0]), w[1], w[2], api.n(w[3])]]
        args = [
            api.data("int8", *shape, low=-128, high=128, seed=i) for i, shape in enumerate(shapes)
        ]
        return Work(api.run(lambda x, w: api.int8_conv2d(x, w, stride, padding), *args), args)


of_int8("3 x 3 of 64 channels, 16 x 56 x 56", (16, 56, 56, 64), (64, 3, 3, 64), 1, 1)
of_int8("7 x 7 of 3 channels to 64, stride 2, 4 x 224 x 224", (4, 224, 224, 3), (64, 7, 7, 3), 2, 3)
of_int8("1 x 1 of 256 channels, 8 x 28 x 28", (8, 28, 28, 256), (256, 1, 1, 256))
of_int8("3 x 3 of 512 channels, 1 x 7 x 7", (1, 7, 7, 512), (512, 3, 3, 512), 1, 1)


def in_few_bits(name, kind, sizes, x):
    """A layer whose weights and inputs become int8, each input by a scale of its own as it comes,
    beside the float32 layers of those who have no such layers."""

    @case("convolutions", f"{name} in int8, from and to float32", tolerance=0.05)
    def make(api):
        weight = F(*[api.n(n) for n in sizes]).make(api, 44)
        layer = api.int8_layer(kind, weight)
        given = F(*[api.n(n) for n in x]).make(api, 45)
        return Work(api.run(layer, given), (given, weight))


in_few_bits(
    "3 x 3 layer of 128 channels, 4 x 28 x 28", "conv", (128, 3, 3, 128), (4, 28, 28, 128)
)
in_few_bits("linear layer of 1024, 1 row", "linear", (1024, 1024), (1, 1024))
in_few_bits("linear layer of 4096, 1 row", "linear", (4096, 4096), (1, 4096))
in_few_bits("linear layer of 1024, 256 rows", "linear", (1024, 1024), (256, 1024))
