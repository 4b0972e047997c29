"""A classifier of handwritten digits with nine of ten weights pruned, and what sparse products
gain.

    python examples/sparse.py

Trains a network on scikit-learn's digits, prunes it in three ways, trains each on with its masks
held, and prints the share of test images that are recognised. Then the sparse network answers the
same images as the dense one, and a product of a sparse matrix (5 % of 1024 x 1024) stands beside
the dense product and SciPy's. Fails when a network loses more than it may.
"""

import argparse
import copy
import sys
import time
from functools import partial

import numpy as np

import lazulite.core as mx
import lazulite.nn as nn
import lazulite.optimizers as optim
from lazulite.data import DataLoader, load_digits
from lazulite.utils import tree_flatten

# How a network is pruned, and how many points of accuracy it may lose.
WAYS = {
    "90 % of the weights": ({"sparsity": 0.9}, 2.0),
    "2 of each 4": ({"pattern": "2:4"}, 1.0),
    "75 % in blocks of 2 x 4": ({"sparsity": 0.75, "pattern": "block", "block": (2, 4)}, 2.0),
}


def train(model, optimizer, batches, epochs):
    """Adjusts the weights of a model to the batches; the step is compiled, masks included."""
    loss_and_grad = nn.value_and_grad(
        model, lambda x, y: nn.losses.cross_entropy(model(x), y, reduction="mean")
    )
    state = [model.state, optimizer.state]

    @partial(mx.compile, inputs=state, outputs=state)
    def step(x, y):
        loss, grads = loss_and_grad(x, y)
        optimizer.update(model, grads)
        return loss

    for _ in range(epochs):
        for x, y in batches:
            mx.eval(step(x, y), state)


def accuracy(model, images, labels):
    """How many percent of the images are recognised."""
    return 100 * np.mean(np.array(mx.argmax(model(mx.array(images)), axis=1)) == labels)


def as_sparse(layer, block):
    """A layer with the same weights, in blocks where they fit."""
    fits = block and all(n % k == 0 for n, k in zip(layer.weight.shape, block))
    return nn.SparseLinear.from_linear(layer, block if fits else None)


def least_time(f, rounds=20):
    """Milliseconds of the fastest of some calls."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        f()
        times.append(time.perf_counter() - start)
    return 1e3 * min(times)


def products():
    """A row for each way to make the same product."""
    s = mx.random.sparse_normal((1024, 1024), density=0.05)
    dense, x = s.to_dense(), mx.random.normal((1024, 128))
    mx.eval(s, dense, x)
    rows = [
        ("sparse", least_time(lambda: mx.eval(s @ x))),
        ("dense", least_time(lambda: mx.eval(dense @ x))),
    ]
    try:
        theirs, x_numpy = s.to_scipy(), np.array(x)
        rows.append(("SciPy", least_time(lambda: theirs @ x_numpy)))
    except ImportError:
        pass
    assert mx.allclose(s @ x, dense @ x, rtol=1e-3, atol=1e-3)
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    mx.random.seed(args.seed)
    train_set, test_set = load_digits()
    batches = DataLoader(train_set, 64, shuffle=True, seed=args.seed)
    images, labels = test_set.arrays

    model = nn.MLP(64, [256, 128, 10])
    train(model, optim.Adam(2e-3), batches, args.epochs)
    dense = accuracy(model, images, labels)
    weights = sum(w.size for p, w in tree_flatten(model.parameters()) if w.ndim == 2)
    print(f"{'':26s}{'kept':>8s}{'at once':>10s}{'trained on':>12s}")
    print(f"{'dense':26s}{weights:8,}{'':10s}{dense:10.1f} %")

    failed = []
    for name, (settings, loss) in WAYS.items():
        pruned = copy.deepcopy(model)
        masks = nn.prune(pruned, **settings)
        before = accuracy(pruned, images, labels)
        train(pruned, masks.hold(optim.Adam(1e-3)), batches, args.epochs)
        after = accuracy(pruned, images, labels)
        kept = sum(int((w != 0).sum()) for _, w in tree_flatten(pruned.parameters()) if w.ndim == 2)
        print(f"{name:26s}{kept:8,}{before:8.1f} %{after:10.1f} %")
        if after < dense - loss or kept > weights - round(masks.sparsity() * weights):
            failed.append(name)
        sparse = copy.deepcopy(pruned)
        sparse.layers = [as_sparse(layer, settings.get("block")) for layer in pruned.layers]
        if not mx.allclose(sparse(mx.array(images)), pruned(mx.array(images)), atol=1e-3):
            failed.append(f"{name}: the sparse network gives something else")

    print("\n1024 x 1024 with 5 % by 1024 x 128:")
    for name, milliseconds in products():
        print(f"  {name:8s}{milliseconds:9.3f} ms")
    if failed:
        sys.exit(f"lost too much: {', '.join(failed)}")


if __name__ == "__main__":
    main()
