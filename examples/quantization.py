"""A classifier of handwritten digits in 8 and in 4 bits: what each way of quantizing it costs.

    python examples/quantization.py

Trains the network of digits.py for a few seconds, quantizes it in every way that there is, and
prints the share of test images that are recognised, the bytes of the parameters, and the error of
each layer in the way that has the fewest bits. Fails when one of them loses more than it may.
"""

import argparse
import sys
from functools import partial

import numpy as np

import lazulite.core as mx
import lazulite.nn as nn
import lazulite.optimizers as optim
from lazulite.data import DataLoader, load_digits
from lazulite.utils import tree_flatten

# The settings of each way, and how many points of accuracy it may lose.
WAYS = {
    "static, 8 bits": ({"method": "static", "weight_bits": 8, "activation_bits": 8}, 0.5),
    "dynamic, 8 bits": ({"method": "dynamic", "weight_bits": 8, "activation_bits": 8}, 0.5),
    "weights, 4 bits": ({"method": "ptq", "weight_bits": 4}, 1.0),
    "weights, 4 bits, AWQ": ({"method": "ptq", "weight_bits": 4, "error_correction": "awq"}, 1.0),
    "weights, 4 bits, GPTQ": ({"method": "ptq", "weight_bits": 4, "error_correction": "gptq"}, 1.0),
    "trained, 4 bits": ({"method": "qat", "weight_bits": 4, "activation_bits": None}, 1.0),
}


def train(model, batches, epochs, learning_rate):
    """Adjusts the weights of a model to the batches."""
    optimizer = optim.AdamW(learning_rate, weight_decay=0.05, bias_correction=True)

    def loss_fn(x, y):
        return nn.losses.cross_entropy(model(x), y, label_smoothing=0.1, reduction="mean")

    state = [model.state, optimizer.state]

    @partial(mx.compile, inputs=state, outputs=state)
    def step(x, y):
        loss, grads = nn.value_and_grad(model, loss_fn)(x, y)
        optimizer.update(model, grads)
        return loss

    model.train()
    for _ in range(epochs):
        for x, y in batches:
            mx.eval(step(x, y), state)
    model.eval()


def accuracy(model, images, labels):
    """How many percent of the images are recognised."""
    return 100 * np.mean(np.array(mx.argmax(model(mx.array(images)), axis=1)) == labels)


def size(model):
    """Bytes of all parameters."""
    return sum(a.nbytes for _, a in tree_flatten(model.parameters()))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0, help="of weights and batches")
    parser.add_argument("--epochs", type=int, default=15)
    args = parser.parse_args()

    train_set, test_set = load_digits()
    mx.random.seed(args.seed)
    batches = DataLoader(train_set, 64, shuffle=True, seed=args.seed)
    model = nn.MLP(64, [256, 128, 10])
    train(model, batches, args.epochs, 2e-3)

    whole = accuracy(model, *test_set.arrays)
    print(f"{'floats of 32 bits':<24}{whole:6.2f} %  {size(model):>8,} bytes")
    too_much = []
    for name, (settings, may_lose) in WAYS.items():
        quantized = mx.quantize(model, {**settings, "calibration_data": batches})
        if settings["method"] == "qat":
            train(quantized, batches, 3, 5e-4)
            quantized = nn.quantization.convert(quantized)
        reached = accuracy(quantized, *test_set.arrays)
        print(f"{name:<24}{reached:6.2f} %  {size(quantized):>8,} bytes")
        if reached < whole - may_lose:
            too_much.append(name)

    print()
    packed = mx.quantize(model, WAYS["weights, 4 bits"][0])
    print(nn.quantization_report(model, packed, test_set.arrays[0]))
    if too_much:
        sys.exit(f"more is lost than may be: {', '.join(too_much)}")


if __name__ == "__main__":
    main()
