"""The network of train.py beside the same one in PyTorch, as three pictures.

    python examples/cnn/compare.py --form mnist --torch-python python3

Data of the form are read from --data, or made (forms.py) where there are none. PyTorch runs in its
own process, by any Python that has it; without one the pictures show Lazulite alone. Writes
curves.png (accuracy and loss by epoch), epochs.png (time of each epoch) and inference.png (the test
images at 512 and one by one).
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib
import numpy as np

import forms
from train import READERS

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402 (after the choice of how to draw)

HERE = Path(__file__).parent
COLORS = ("#1f4e9c", "#d9822b")
TITLES = {"mnist": "MNIST form, 28x28x1", "cifar10": "CIFAR-10 form, 32x32x3"}
TITLES["cifar100"] = "CIFAR-100 form, 32x32x3"


def numbers(args, folder):
    """What each framework gave: Lazulite, and PyTorch where there is one."""
    common = ["--epochs", args.epochs, "--batch", args.batch, "--seed", args.seed]
    out = Path(folder) / "ours.json"
    ours = [sys.executable, HERE / "train.py", "--data", args.data, "--form", args.form]
    subprocess.run([str(a) for a in (*ours, *common, "--json", out)], check=True)
    found = [json.loads(out.read_text())]
    if has_torch(args.torch_python):
        arrays, out = Path(folder) / "arrays.npz", Path(folder) / "theirs.json"
        (x, y), (tx, ty) = (READERS[args.form](args.data, train=t).arrays for t in (True, False))
        np.savez(arrays, x=x, y=y, tx=tx, ty=ty)
        classes = 100 if args.form == "cifar100" else 10
        theirs = [args.torch_python, HERE / "train_torch.py", "--arrays", arrays]
        theirs += ["--classes", classes, *common, "--json", out]
        subprocess.run([str(a) for a in theirs], check=True)
        found.append(json.loads(out.read_text()))
    return found


def has_torch(python):
    try:
        probe = subprocess.run([python, "-c", "import torch"], capture_output=True)
    except FileNotFoundError:
        return False
    return probe.returncode == 0


def style(axis, title, label):
    axis.set_title(title, fontweight="bold", pad=10)
    axis.set_ylabel(label)
    axis.grid(axis="y", color="#e6e8eb")
    axis.set_axisbelow(True)


def curves(path, found, title):
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.4), layout="constrained")
    for run, color in zip(found, COLORS):
        loss, accuracy, tested, _ = np.array(run["history"]).T
        epochs = np.arange(1, len(loss) + 1)
        left.plot(epochs, 100 * tested, color=color, lw=2, marker="o", ms=4, label=run["name"])
        left.plot(epochs, 100 * accuracy, color=color, lw=1.2, ls=":")
        right.plot(epochs, loss, color=color, lw=2, marker="o", ms=4, label=run["name"])
    style(left, f"Accuracy, {title}", "%")
    style(right, "Loss in training", "mean negative log likelihood")
    left.plot([], [], color="#8a8f98", lw=1.2, ls=":", label="on the training images")
    for axis in (left, right):
        axis.set_xlabel("epoch")
        axis.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True))
    # A fifth of the whole at least, so that chance does not look like a difference.
    low, high = left.get_ylim()
    low = max(0, min(low, high - 20))
    left.set_ylim(low, min(101, max(high, low + 20)))
    figure.legend(
        *left.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False
    )
    right.set_ylim(0, 1.1 * max(h[0] for run in found for h in run["history"]))
    figure.savefig(path, dpi=120)
    plt.close(figure)


def epochs(path, found, title):
    figure, axis = plt.subplots(figsize=(7, 4.2), layout="constrained")
    width = 0.8 / len(found)
    for k, (run, color) in enumerate(zip(found, COLORS)):
        seconds = np.array(run["history"])[:, 3]
        places = np.arange(1, len(seconds) + 1) + (k - (len(found) - 1) / 2) * width
        label = f"{run['name']}, median {np.median(seconds):.2f} s"
        axis.bar(places, seconds, width, color=color, label=label)
    style(axis, f"Time of an epoch, {title}", "seconds")
    axis.set_xlabel("epoch")
    axis.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True))
    axis.set_ylim(0, 1.3 * max(h[3] for run in found for h in run["history"]))
    axis.legend(frameon=False, loc="upper right")
    figure.savefig(path, dpi=120)
    plt.close(figure)


def inference(path, found, title):
    figure, axes = plt.subplots(1, 2, figsize=(8, 4.2), layout="constrained")
    for i, (axis, how) in enumerate(zip(axes, ("512 at a time", "one by one"))):
        seconds = [run["inference"][i] for run in found]
        bars = axis.bar([run["name"] for run in found], seconds, 0.6, color=COLORS)
        axis.bar_label(bars, fmt="%.2f s", padding=3)
        axis.set_ylim(0, 1.2 * max(seconds))
        axis.set_xlim(-0.7, len(found) - 0.3)
        style(axis, f"{found[0]['images']:,} images, {how}", "seconds")
    figure.suptitle(title)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="the folder of the files; made where it is not given")
    parser.add_argument("--form", choices=READERS, default="mnist")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--train", type=int, default=20000, help="images to make for training")
    parser.add_argument("--test", type=int, default=10000, help="images to make for tests")
    parser.add_argument("--torch-python", default=sys.executable, help="a Python with PyTorch")
    parser.add_argument("--out", default=".", help="the folder of the pictures")
    args = parser.parse_args()

    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        if args.data is None:
            args.data = str(Path(folder) / "data")
            forms.write(args.data, args.form, args.train, args.test, args.seed)
        found = numbers(args, folder)
    plt.rcParams.update({"font.size": 11, "axes.spines.top": False, "axes.spines.right": False})
    curves(out / "curves.png", found, TITLES[args.form])
    epochs(out / "epochs.png", found, TITLES[args.form])
    inference(out / "inference.png", found, TITLES[args.form])
    for run in found:
        loss, accuracy, tested, seconds = np.array(run["history"]).T
        by_512, one_by_one = run["inference"]
        print(
            f"{run['name']}: test accuracy {tested[-1]:.2%}, epoch {np.median(seconds):.2f} s, "
            f"{run['images']} images {by_512:.2f} s by 512 and {one_by_one:.2f} s one by one"
        )


if __name__ == "__main__":
    main()
