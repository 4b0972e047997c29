"""The programs of examples/ run, in a small size."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(example, *arguments, cwd):
    """Its lines; progress bars go elsewhere. Warnings are errors of ours."""
    out = subprocess.run(
        [sys.executable, str(ROOT / "examples" / example), *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )
    assert out.returncode == 0, out.stdout + out.stderr
    assert "Warning" not in out.stderr, out.stderr
    return out.stdout.splitlines()


def pictures(folder):
    from PIL import Image

    sizes = {}
    for path in sorted(Path(folder).glob("*.png")):
        with Image.open(path) as picture:
            sizes[path.name] = picture.convert("RGB").getcolors(1 << 24)
    assert all(len(colors) > 20 for colors in sizes.values()), "a picture is empty"
    return list(sizes)


def test_digits_are_learned(tmp_path):
    lines = run("digits.py", "--epochs", 25, "--out", tmp_path / "digits.png", cwd=tmp_path)
    assert lines[0] == "1437 training images, 360 test images" and "test accuracy 9" in lines[-1]
    assert pictures(tmp_path) == ["digits.png"]


def test_digits_are_recognised_in_few_bits(tmp_path):
    lines = run("quantization.py", "--epochs", 8, cwd=tmp_path)
    sizes = {line[:24].strip(): int(line.split()[-2].replace(",", "")) for line in lines[:7]}
    assert sizes["static, 8 bits"] < 0.3 * sizes["floats of 32 bits"]
    assert sizes["trained, 4 bits"] == sizes["weights, 4 bits"] < 0.2 * sizes["floats of 32 bits"]
    assert lines[8].split() == ["layer", "was", "is", "own", "error", "error", "size"]


@pytest.mark.parametrize("form", ["mnist", "cifar10", "cifar100"])
def test_a_convolutional_network_is_trained_and_compared(form, tmp_path):
    """Without PyTorch, which is another process where it is there."""
    lines = run(
        "cnn/compare.py",
        *("--form", form, "--epochs", 2, "--train", 160, "--test", 40, "--batch", 32),
        *("--torch-python", "no such python", "--out", tmp_path),
        cwd=tmp_path,
    )
    assert lines[-1].startswith("Lazulite: test accuracy ") and "40 images" in lines[-1]
    assert pictures(tmp_path) == ["curves.png", "epochs.png", "inference.png"]


def test_the_files_of_the_forms_are_those_of_the_originals(tmp_path):
    sys.path.insert(0, str(ROOT / "examples" / "cnn"))
    try:
        import forms
    finally:
        sys.path.pop(0)
    from lazulite.data import load_cifar10, load_cifar100, load_mnist

    for form, read, classes in (
        ("mnist", load_mnist, 10),
        ("cifar10", load_cifar10, 10),
        ("cifar100", load_cifar100, 100),
    ):
        forms.write(tmp_path / form, form, 50, 20)
        side, channels = forms.FORMS[form]
        for train, n in ((True, 50), (False, 20)):
            images, labels = read(str(tmp_path / form), train=train).arrays
            assert images.shape == (n, side, side, channels)
            assert labels.min() >= 0 and labels.max() < classes and len(set(labels)) > 5


def test_a_transformer_writes_the_same_before_and_after_packing_to_eight_bits(tmp_path):
    whole, packed = run("gpt.py", "--size", "tiny", "--tokens", 8, cwd=tmp_path)
    assert whole.startswith("float32: 0.5 MB, ") and packed.startswith("8 bits: 0.1 MB, ")
    assert whole.partition("begins")[2] == packed.partition("begins")[2]


def test_a_diffusion_network_learns_and_draws_at_batch_1_and_16(tmp_path):
    sizes = ["--side", 16, "--width", 16, "--steps", 40, "--samples", 4]
    lines = run("unet.py", *sizes, "--out", tmp_path / "unet.png", cwd=tmp_path)
    first, last = (float(word) for word in lines[0].split() if word[0] == "0")
    assert last < 0.6 * first and [line[:8] for line in lines[1:]] == ["batch 1:", "batch 16"]
    assert pictures(tmp_path) == ["unet.png"]


def test_a_run_of_the_network_can_be_had_again(tmp_path):
    losses = []
    for name in "ab":
        arguments = ["--form", "mnist", "--epochs", 1, "--json", tmp_path / name]
        if name == "a":
            run("cnn/forms.py", tmp_path, "--train", 96, "--test", 16, cwd=tmp_path)
        run("cnn/train.py", "--data", tmp_path, *arguments, cwd=tmp_path)
        losses.append(json.loads((tmp_path / name).read_text())["history"][0][0])
    assert losses[0] == losses[1]
