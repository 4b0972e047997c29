"""Train a classifier of handwritten digits: 1,797 scans of 8x8 pixels, a few seconds on a CPU.

    python examples/digits.py --out digits.png

The data is scikit-learn's load_digits (real scans, from UCI's optical recognition set). The script
writes a picture of the learning curve and of all test images that the network got wrong, and fails
when fewer than 97 % of the test images are recognised.
"""

import argparse
import sys
import time
from functools import partial

import matplotlib
import numpy as np
from tqdm import tqdm

import lazulite.core as mx
import lazulite.nn as nn
import lazulite.optimizers as optim
from lazulite.data import DataLoader, load_digits

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402 (after the choice of how to draw)

HIDDEN, DROPOUT, CLASSES = (256, 128), 0.2, 10
LEARNING_RATE, WEIGHT_DECAY, LABEL_SMOOTHING, BATCH = 2e-3, 0.05, 0.1, 64
GOAL = 0.97


class MLP(nn.Module):
    """Linear layers with ReLU and dropout between them."""

    def __init__(self, dims, dropout):
        super().__init__()
        self.layers = [nn.Linear(a, b) for a, b in zip(dims, dims[1:])]
        self.dropout = nn.Dropout(dropout)

    def __call__(self, x):
        for layer in self.layers[:-1]:
            x = self.dropout(nn.relu(layer(x)))
        return self.layers[-1](x)


def train(model, epochs, batches, test_set):
    """Train the model; returns the history of losses and accuracies, one entry an epoch."""
    steps = epochs * len(batches)
    optimizer = optim.AdamW(
        optim.cosine_decay(LEARNING_RATE, steps), weight_decay=WEIGHT_DECAY, bias_correction=True
    )

    def loss_fn(x, y):
        logits = model(x)
        loss = nn.losses.cross_entropy(logits, y, label_smoothing=LABEL_SMOOTHING, reduction="mean")
        return loss, mx.mean(mx.argmax(logits, axis=1) == y)

    state = [model.state, optimizer.state, mx.random.state]

    @partial(mx.compile, inputs=state, outputs=state)
    def step(x, y):
        (loss, accuracy), grads = nn.value_and_grad(model, loss_fn)(x, y)
        optimizer.update(model, grads)
        return loss, accuracy

    history = []
    with tqdm(range(epochs), desc="training", unit="epoch") as progress:
        for _ in progress:
            model.train()
            results = []
            for x, y in batches:
                results.append(step(x, y))
                mx.eval(state, results[-1])
            loss, accuracy = np.mean([[r.item() for r in pair] for pair in results], axis=0)
            test_accuracy = np.mean(predict(model, test_set[0]) == test_set[1])
            history.append((loss, accuracy, test_accuracy))
            progress.set_postfix(loss=f"{loss:.4f}", test=f"{test_accuracy:.2%}")
    return np.array(history)


def predict(model, images):
    """The most likely digit of each image."""
    model.eval()
    return np.array(mx.argmax(model(mx.array(images)), axis=1))


def draw(path, history, images, labels, predictions):
    """The learning curve on the left, every test image that was misread on the right."""
    loss, train_accuracy, test_accuracy = history.T
    epochs = np.arange(1, len(history) + 1)
    wrong = np.flatnonzero(predictions != labels)
    columns = max(3, int(np.ceil(np.sqrt(len(wrong)))))
    rows = max(3, int(np.ceil(len(wrong) / columns)))
    blue, orange, grey = "#1f4e9c", "#d9822b", "#8a8f98"

    plt.rcParams.update({"font.size": 11, "axes.spines.top": False, "axes.titlelocation": "left"})
    figure = plt.figure(figsize=(13, 5.6), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(1.25, 1), wspace=0.04)

    axis = left.subplots()
    axis.set_title("Learning curve", fontweight="bold", pad=12)
    axis.plot(epochs, 100 * test_accuracy, color=blue, lw=2, label="test accuracy")
    axis.plot(epochs, 100 * train_accuracy, color=blue, lw=1.2, ls=":", label="training accuracy")
    axis.axhline(100 * GOAL, color=grey, lw=1, ls="--")
    axis.text(len(epochs), 100 * GOAL - 0.15, f"goal {GOAL:.0%}", color=grey, va="top", ha="right")
    axis.set(xlabel="epoch", ylabel="accuracy, %", xlim=(1, max(len(epochs), 2)))
    axis.set_ylim(max(80.0, 100 * test_accuracy.min() - 2), 100.5)
    axis.grid(axis="y", color="#e6e8eb")
    losses = axis.twinx()
    losses.plot(epochs, loss, color=orange, lw=1.6, label="training loss")
    losses.set(ylabel="loss (with label smoothing)", ylim=(0, 1.05 * loss.max()))
    lines = axis.get_lines()[:2] + losses.get_lines()
    axis.legend(lines, [line.get_label() for line in lines], loc="center right", frameon=False)

    right.suptitle(
        f"Misread: {len(wrong)} of {len(labels)} test images ({test_accuracy[-1]:.2%} correct)",
        fontweight="bold",
    )
    cells = right.subplots(rows, columns, squeeze=False).flatten()
    for cell in cells[len(wrong) :]:
        cell.axis("off")
    for cell, i in zip(cells, wrong):
        cell.imshow(images[i].reshape(8, 8), cmap="Greys", vmin=-1, vmax=1)
        cell.set_title(f"{labels[i]}, read as {predictions[i]}", fontsize=10, loc="center", pad=4)
        cell.set(xticks=[], yticks=[])
        cell.spines[:].set(visible=True, color="#d5d8dc")
    figure.savefig(path, dpi=130)
    plt.close(figure)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0, help="of weights, dropout and batches")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--out", default="digits.png", help="the picture to write")
    args = parser.parse_args()

    train_set, test_set = load_digits()
    test_images, test_labels = test_set.arrays
    print(f"{len(train_set)} training images, {len(test_set)} test images")

    mx.random.seed(args.seed)
    batches = DataLoader(train_set, BATCH, shuffle=True, seed=args.seed, drop_last=True)
    model = MLP([test_images.shape[1], *HIDDEN, CLASSES], DROPOUT)

    begin = time.perf_counter()
    history = train(model, args.epochs, batches, (test_images, test_labels))
    seconds = time.perf_counter() - begin

    predictions = predict(model, test_images)
    accuracy = np.mean(predictions == test_labels)
    draw(args.out, history, test_images, test_labels, predictions)
    print(f"test accuracy {accuracy:.2%} after {seconds:.1f} s of training; see {args.out}")
    if accuracy < GOAL:
        sys.exit(f"test accuracy {accuracy:.2%} is below the goal of {GOAL:.0%}")


if __name__ == "__main__":
    main()
