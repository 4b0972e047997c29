"""A convolutional network on MNIST or CIFAR, with a compiled step.

    python examples/cnn/train.py --data FOLDER --form mnist

FOLDER has the files of MNIST, CIFAR-10 or CIFAR-100 (a message says which, and where they are to be
had); `forms.py` makes files of the same form. Prints accuracy, loss and time of each epoch, then
how long the test images take in batches of 512 and one by one; `--json` keeps the numbers.
"""

import argparse
import json
import time
from functools import partial

import numpy as np
from tqdm import tqdm

import lazulite.core as mx
import lazulite.nn as nn
import lazulite.optimizers as optim
from lazulite.data import load_cifar10, load_cifar100, load_mnist

READERS = {"mnist": load_mnist, "cifar10": load_cifar10, "cifar100": load_cifar100}
RATE, MOMENTUM = 0.02, 0.9


class CNN(nn.Module):
    def __init__(self, side, channels, classes, width=100):
        super().__init__()
        self.conv1 = nn.Conv2d(
            in_channels=channels, out_channels=20, kernel_size=(5, 5), padding=2
        )
        self.conv2 = nn.Conv2d(in_channels=20, out_channels=50, kernel_size=(5, 5), padding=2)
        self.conv3 = nn.Conv2d(in_channels=50, out_channels=width, kernel_size=(5, 5), padding=2)
        self.pool = nn.MaxPool2d(kernel_size=(2, 2), stride=(2, 2))
        self.linear1 = nn.Linear(width * (side // 8) ** 2, 500)
        self.linear2 = nn.Linear(500, 100)
        self.linear3 = nn.Linear(100, classes)
        self.dropout = nn.Dropout(p=0.3)
        self.log_softmax = nn.LogSoftmax()

    def __call__(self, x):
        for conv in (self.conv1, self.conv2, self.conv3):
            x = self.pool(nn.relu(conv(x)))
        x = x.reshape(x.shape[0], -1)
        x = self.dropout(nn.relu(self.linear1(x)))
        x = self.dropout(nn.relu(self.linear2(x)))
        return self.log_softmax(self.linear3(x))


def batch_iterate(batch_size, images, labels):
    """All images once, in random order."""
    order = mx.array(np.random.permutation(len(labels)))
    for begin in range(0, len(labels), batch_size):
        chosen = order[begin : begin + batch_size]
        yield images[chosen], labels[chosen]


def load(folder, form, train):
    """Images (n, height, width, channels) in [0, 1] and labels."""
    images, labels = READERS[form](folder, train=train).arrays
    return mx.array(images.astype(np.float32) / 255), mx.array(labels)


def train(model, epochs, batch_size, train_set, test_set):
    """The history: loss, accuracy on the training images, on the test images, and seconds."""
    optimizer = optim.SGD(learning_rate=RATE, momentum=MOMENTUM)

    def loss_fn(x, y):
        p = model(x)
        return nn.losses.nll_loss(p, y, reduction="mean"), mx.mean(mx.argmax(p, axis=1) == y)

    state = [model.state, optimizer.state, mx.random.state]

    @partial(mx.compile, inputs=state, outputs=state)
    def step(x, y):
        (loss, accuracy), grads = nn.value_and_grad(model, loss_fn)(x, y)
        optimizer.update(model, grads)
        return loss, accuracy

    history = []
    for epoch in range(1, epochs + 1):
        model.train()
        results = []
        begin = time.perf_counter()
        with tqdm(total=len(train_set[1]), desc=f"epoch {epoch}", unit="image") as progress:
            for x, y in batch_iterate(batch_size, *train_set):
                results.append(step(x, y))
                mx.eval(state, results[-1])
                progress.update(len(y))
        seconds = time.perf_counter() - begin
        # Lists of arrays of ours are arrays: (steps, 2).
        loss, accuracy = mx.array([list(pair) for pair in results]).mean(axis=0).tolist()
        tested = evaluate(model, *test_set)
        history.append((loss, accuracy, tested, seconds))
        print(f"loss {loss:.4f}, train {accuracy:.2%}, test {tested:.2%}, {seconds:.2f} s")
    return history


def evaluate(model, images, labels, batch_size=512):
    model.eval()
    right = [
        mx.sum(mx.argmax(model(images[i : i + batch_size]), axis=1) == labels[i : i + batch_size])
        for i in range(0, len(labels), batch_size)
    ]
    return mx.array(right).sum().item() / len(labels)


def infer(model, images, batch_size):
    """Seconds for all images, so many at a time."""
    model.eval()
    predict = mx.compile(lambda x: mx.argmax(model(x), axis=1))
    mx.eval(predict(images[:batch_size]))
    begin = time.perf_counter()
    for i in range(0, len(images), batch_size):
        mx.eval(predict(images[i : i + batch_size]))
    return time.perf_counter() - begin


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="data", help="the folder of the files")
    parser.add_argument("--form", choices=READERS, default="mnist")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0, help="of weights, dropout and batches")
    parser.add_argument("--json", help="where to keep the numbers")
    args = parser.parse_args()

    mx.random.seed(args.seed)
    np.random.seed(args.seed)
    train_set, test_set = (load(args.data, args.form, train) for train in (True, False))
    classes = 100 if args.form == "cifar100" else 10
    model = CNN(train_set[0].shape[1], train_set[0].shape[3], classes)
    history = train(model, args.epochs, args.batch, train_set, test_set)
    inference = [infer(model, test_set[0], n) for n in (512, 1)]
    print(f"{len(test_set[1])} images: {inference[0]:.2f} s by 512, {inference[1]:.2f} s one by one")
    if args.json:
        kept = {"name": "Lazulite", "history": history, "inference": inference}
        with open(args.json, "w") as file:
            json.dump({**kept, "images": len(test_set[1]), "form": args.form}, file)


if __name__ == "__main__":
    main()
