"""How long a training step waits for its batch, with and without threads that make batches ahead.

    python bench/prefetch.py

Batches of 256 images of 3x32x32 bytes are cut out at random places, flipped and scaled sample by
sample, as a dataset of a user would; the step trains two linear layers on them. Prints
milliseconds: of a step alone, of making a batch alone, and what the loop waits for a batch.
"""

import argparse
import statistics
import time
from functools import partial

import numpy as np

import lazulite.core as mx
import lazulite.nn as nn
import lazulite.optimizers as optim
from lazulite.data import DataLoader, Dataset


class Augmented(Dataset):
    """Images that are shifted by up to four pixels and mirrored, each by its number."""

    def __init__(self, n):
        rng = np.random.default_rng(0)
        self.images = rng.integers(0, 256, (n, 40, 40, 3)).astype(np.uint8)
        self.labels = rng.integers(0, 10, n).astype(np.int32)

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        y, x = i * 7 % 9, i * 5 % 9
        image = self.images[i, y : y + 32, x : x + 32]
        return (image[:, ::-1] if i % 2 else image) / np.float32(255), self.labels[i]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batches", type=int, default=60)
    parser.add_argument("--width", type=int, default=1024)
    args = parser.parse_args()
    data = Augmented(256 * args.batches)
    model = nn.Sequential(nn.Linear(3072, args.width), nn.ReLU(), nn.Linear(args.width, 10))
    optimizer = optim.SGD(1e-3, momentum=0.9)
    loss_and_grad = nn.value_and_grad(
        model, lambda x, y: nn.losses.cross_entropy(model(x), y, reduction="mean")
    )
    state = [model.state, optimizer.state]

    @partial(mx.compile, inputs=state, outputs=state)
    def step(x, y):
        loss, grads = loss_and_grad(x.reshape(len(x), -1), y)
        optimizer.update(model, grads)
        return loss

    def loop(batches):
        waits, steps, batches = [], [], iter(batches)
        while True:
            begin = time.perf_counter()
            batch = next(batches, None)
            between = time.perf_counter()
            if batch is None:
                return statistics.median(waits), statistics.median(steps)
            mx.eval(step(*batch), state)
            waits.append(between - begin)
            steps.append(time.perf_counter() - between)

    one = next(iter(DataLoader(data, 256)))
    loop([one] * 5)
    rows = [("one batch again and again", *loop([one] * args.batches))]
    for workers in (0, 1, 2):
        loader = DataLoader(data, 256, shuffle=True, num_workers=workers)
        rows.append((f"num_workers={workers}", *loop(loader)))
    print(f"{'':28}{'waits':>9}{'step':>9}   ms, medians")
    for name, wait, spent in rows:
        print(f"{name:28}{1e3 * wait:9.2f}{1e3 * spent:9.2f}")


if __name__ == "__main__":
    main()
