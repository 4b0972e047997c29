"""Images in the form of MNIST or CIFAR, for where those are not at hand.

    python examples/cnn/forms.py FOLDER --form mnist

Real scans of digits (scikit-learn's, 8x8) are enlarged, moved and, for CIFAR, coloured and put on
a ground of another colour; the files have the formats of the originals, so that programs that
read these read those.
"""

import argparse
import struct
from pathlib import Path

import numpy as np

from lazulite.data import load_digits

FORMS = {"mnist": (28, 1), "cifar10": (32, 3), "cifar100": (32, 3)}  # side, channels


def draw(form, n, train, seed):
    """n images (n, side, side, channels) uint8 and their labels; of other scans for tests."""
    side, channels = FORMS[form]
    rng = np.random.default_rng((seed, train))
    scans, digits = load_digits(flat=False)[0 if train else 1].arrays
    chosen = rng.integers(0, len(scans), n)
    large = np.kron(scans[chosen, :, :, 0] / 2 + 0.5, np.ones((3, 3), np.float32))  # 24 x 24
    images = np.zeros((n, side, side), np.float32)
    for image, scan, (y, x) in zip(images, large, rng.integers(0, side - 23, (n, 2))):
        image[y : y + 24, x : x + 24] = scan
    images = images[..., None]
    labels = digits[chosen]
    if channels == 3:
        ink, ground = rng.uniform(0.5, 1, (n, 1, 1, 3)), rng.uniform(0, 0.5, (n, 1, 1, 3))
        images = images * ink + (1 - images) * ground
    if form == "cifar100":  # a class for each digit and each tenth of its red
        labels = labels * 10 + ((ink[:, 0, 0, 0] - 0.5) * 19.99).astype(np.int32)
    images = images + rng.normal(0, 0.08, images.shape)
    return (255 * images.clip(0, 1)).astype(np.uint8), labels.astype(np.uint8)


def write(folder, form, train, test, seed=0):
    """The files of a form, with so many images to train and to test."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, n in (("train", train), ("t10k", test)):
        images, labels = draw(form, n, name == "train", seed)
        if form == "mnist":
            images = images[..., 0]
            for what, a in (("images-idx3", images), ("labels-idx1", labels)):
                head = bytes([0, 0, 8, a.ndim]) + struct.pack(f">{a.ndim}I", *a.shape)
                (folder / f"{name}-{what}-ubyte").write_bytes(head + a.tobytes())
            continue
        columns = [labels[:, None], images.transpose(0, 3, 1, 2).reshape(n, -1)]
        if form == "cifar100":
            files = ["train.bin" if name == "train" else "test.bin"]
            columns.insert(0, labels[:, None] // 5)  # the group
        else:
            files = [f"data_batch_{i}.bin" for i in range(1, 6)]
            files = files if name == "train" else ["test_batch.bin"]
        rows = np.concatenate(columns, 1)
        for file, part in zip(files, np.array_split(rows, len(files))):
            (folder / file).write_bytes(part.tobytes())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    parser.add_argument("--form", choices=FORMS, default="mnist")
    parser.add_argument("--train", type=int, default=60000)
    parser.add_argument("--test", type=int, default=10000)
    args = parser.parse_args()
    write(args.folder, args.form, args.train, args.test)
