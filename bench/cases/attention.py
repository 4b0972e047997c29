"""Attention and rotary positions, forward and with their gradients."""

from cases import Input, Work, case
from cases.norms import gradient_work


def attention(name, q, k, causal=False, dtype="float32", gradients=True, spread=1):
    """Two cases: the result, and value and gradients of the mean of its squares. The scores are
    `spread` times as far apart as usual."""
    scale = spread * q[3] ** -0.5

    def inputs(api):
        return [Input(dtype, *s).make(api, 50 + i) for i, s in enumerate([q, k, k])]

    def flops(api):
        return 4 * api.n(q[0]) * api.n(q[1]) * api.n(q[2]) * api.n(k[2]) * api.n(q[3])

    tolerance, of_gradients = (1e-3, 5e-3) if dtype == "float32" else (3e-2, 3e-2)

    @case("attention", f"{name} {dtype}", flops=flops, tolerance=tolerance)
    def forward(api):
        args = inputs(api)
        return Work(api.run(lambda *a: api.attention(*a, scale, causal), *args), args)

    if not gradients:
        return

    @case("attention", f"{name} {dtype}, with gradients", tolerance=of_gradients)
    def with_gradients(api):
        def loss(p):
            y = api.attention(*p, scale, causal)
            return api.lib.mean(y * y)

        return gradient_work(api, loss, inputs(api), [])


attention("8 heads x 512 x 64", (1, 8, 512, 64), (1, 8, 512, 64))
attention("8 heads x 1024 x 64, causal", (1, 8, 1024, 64), (1, 8, 1024, 64), causal=True)
attention("12 heads x 128 x 64, causal", (1, 12, 128, 64), (1, 12, 128, 64), causal=True)
attention("16 heads x 2048 x 128, causal", (1, 16, 2048, 128), (1, 16, 2048, 128), causal=True)
attention(
    "one query, 32 heads of 8, 4096 keys x 128",
    (1, 32, 1, 128),
    (1, 8, 4096, 128),
    gradients=False,
)
attention(
    "one query, 32 heads of 4, 100 keys x 64, scores far apart",
    (1, 32, 1, 64),
    (1, 4, 100, 64),
    gradients=False,
    spread=60,
)
for name, q, k, causal in (
    ("8 heads x 1024 x 64, causal", (1, 8, 1024, 64), (1, 8, 1024, 64), True),
    ("8 heads x 512 x 128", (1, 8, 512, 128), (1, 8, 512, 128), False),
    ("32 heads of 8 x 512 x 64", (1, 32, 512, 64), (1, 8, 512, 64), False),
):
    attention(name, q, k, causal, dtype="bfloat16")
for halves in ("bfloat16", "float16"):
    # (Gradients of these sizes are subnormal numbers of float16.)
    attention(
        "8 heads x 512 x 64",
        (1, 8, 512, 64),
        (1, 8, 512, 64),
        dtype=halves,
        gradients=halves == "bfloat16",
    )
    attention(
        "one query, 32 heads of 8, 4096 keys x 128",
        (1, 32, 1, 128),
        (1, 8, 4096, 128),
        dtype=halves,
        gradients=False,
    )
