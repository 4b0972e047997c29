"""A diffusion UNet takes the noise out of a batch of images, at batch 1 and 16.

    python examples/unet.py --side 32 --out unet.png

Images of discs turn into noise along a quarter of a circle; the network learns the direction of
that turn at any place of it, and draws new discs by turning noise back in a few steps. Blocks:
convolution, group norm, attention, up-sampling.
"""

import argparse
import math
import time
from functools import partial

import matplotlib
import numpy as np

import lazulite.core as mx
import lazulite.nn as nn
import lazulite.optimizers as optim

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402 (after the choice of how to draw)


class Block(nn.Module):
    """Two convolutions around the time, and the input added."""

    def __init__(self, inside, outside, time_dims):
        super().__init__()
        self.norm1, self.norm2 = nn.GroupNorm(8, inside), nn.GroupNorm(8, outside)
        self.conv1 = nn.Conv2d(inside, outside, 3, padding=1)
        self.conv2 = nn.Conv2d(outside, outside, 3, padding=1)
        self.time = nn.Linear(time_dims, outside)
        self.skip = nn.Conv2d(inside, outside, 1) if inside != outside else nn.Identity()

    def __call__(self, x, t):
        y = self.conv1(nn.silu(self.norm1(x))) + self.time(nn.silu(t))[:, None, None]
        return self.skip(x) + self.conv2(nn.silu(self.norm2(y)))


class Attention(nn.Module):
    """Each place looks at all others."""

    def __init__(self, dims, heads):
        super().__init__()
        self.norm = nn.GroupNorm(8, dims)
        self.attention = nn.MultiHeadAttention(dims, heads)

    def __call__(self, x):
        y = self.norm(x).reshape(x.shape[0], -1, x.shape[-1])
        return x + self.attention(y, y, y).reshape(x.shape)


class UNet(nn.Module):
    def __init__(self, channels=3, width=32, heads=4):
        super().__init__()
        time_dims = 4 * width
        self.width = width
        self.time = nn.MLP(width, [time_dims, time_dims], activation=nn.silu)
        self.enter = nn.Conv2d(channels, width, 3, padding=1)
        self.down1 = Block(width, width, time_dims)
        self.shrink = nn.Conv2d(width, 2 * width, 3, stride=2, padding=1)
        self.down2 = Block(2 * width, 2 * width, time_dims)
        self.pool = nn.Conv2d(2 * width, 2 * width, 3, stride=2, padding=1)
        self.middle = [Block(2 * width, 2 * width, time_dims) for _ in range(2)]
        self.attention = Attention(2 * width, heads)
        self.grow = nn.Upsample(scale_factor=2, mode="nearest")
        self.up2 = Block(4 * width, 2 * width, time_dims)
        self.up1 = Block(3 * width, width, time_dims)
        self.leave = nn.Conv2d(width, channels, 3, padding=1)

    def __call__(self, x, t):
        t = self.time(waves(t, self.width))
        a = self.down1(self.enter(x), t)
        b = self.down2(self.shrink(a), t)
        x = self.middle[1](self.attention(self.middle[0](self.pool(b), t)), t)
        x = self.up2(mx.concatenate([self.grow(x), b], axis=-1), t)
        x = self.up1(mx.concatenate([self.grow(x), a], axis=-1), t)
        return self.leave(nn.silu(x))


def waves(t, dims):
    """A time in [0, 1] as sines and cosines."""
    angles = t[:, None] * mx.exp(mx.linspace(0, math.log(1000), dims // 2))
    return mx.concatenate([mx.sin(angles), mx.cos(angles)], axis=1)


def discs(n, side, rng):
    """Images in [-1, 1]."""
    y, x = np.mgrid[:side, :side] / side - 0.5
    place = rng.uniform(-0.25, 0.25, (2, n, 1, 1))
    far = np.hypot(y - place[0], x - place[1]) - rng.uniform(0.1, 0.25, (n, 1, 1))
    inside = 1 / (1 + np.exp(np.clip(far * side * 2, -30, 30)))[..., None]
    color = rng.uniform(-1, 1, (n, 1, 1, 3))
    return (inside * color + (1 - inside) * -1).astype(np.float32)


def turned(a, b, t):
    """From a towards b, by t of a quarter of a circle."""
    angle = (t * math.pi / 2)[:, None, None, None]
    return mx.cos(angle) * a + mx.sin(angle) * b


def train(model, steps, batch, side, rng):
    optimizer = optim.Adam(2e-3, bias_correction=True)

    def loss_fn(x):
        t = mx.random.uniform(0, 1, (len(x),))
        noise = mx.random.normal(x.shape)
        return nn.losses.mse_loss(model(turned(x, noise, t), t), turned(noise, -x, t))

    state = [model.state, optimizer.state, mx.random.state]

    @partial(mx.compile, inputs=state, outputs=state)
    def step(x):
        loss, grads = nn.value_and_grad(model, loss_fn)(x)
        optimizer.update(model, grads)
        return loss

    losses = []
    for _ in range(steps):
        losses.append(step(mx.array(discs(batch, side, rng))))
        mx.eval(state, losses[-1])
    return mx.array(losses).tolist()


def sample(model, n, side, steps):
    """New images, out of noise: turned back step by step, against the direction that is seen."""
    step = mx.compile(lambda x, t: turned(x, -model(x, t), mx.full((n,), 1 / steps)))
    x = mx.random.normal((n, side, side, 3))
    for i in range(steps, 0, -1):
        x = step(x, mx.full((n,), i / steps))
        mx.eval(x)
    return mx.clip(x, -1, 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--samples", type=int, default=20, help="steps from noise to an image")
    parser.add_argument("--out", default="unet.png")
    args = parser.parse_args()

    mx.random.seed(0)
    rng = np.random.default_rng(0)
    model = UNet(width=args.width)
    losses = train(model, args.steps, args.batch, args.side, rng)
    print(f"loss {np.mean(losses[:10]):.3f} at first, {np.mean(losses[-10:]):.3f} at last")
    for n in (1, 16):
        sample(model, n, args.side, 1)
        begin = time.perf_counter()
        images = sample(model, n, args.side, args.samples)
        seconds = (time.perf_counter() - begin) / args.samples
        print(f"batch {n}: {1e3 * seconds:.1f} ms a step")
    figure, axes = plt.subplots(4, 4, figsize=(5, 5), layout="constrained")
    for axis, image in zip(axes.flatten(), np.array(images)):
        axis.imshow((image + 1) / 2)
        axis.axis("off")
    figure.savefig(args.out, dpi=100)
    plt.close(figure)


if __name__ == "__main__":
    main()
