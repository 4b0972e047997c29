"""Images: IDX files (MNIST), CIFAR's binary files, and folders of pictures."""

from __future__ import annotations

import os
import struct
import warnings
from pathlib import Path
from typing import Any, Callable, Optional

import numpy as np
import numpy.typing as npt

from lazulite._arguments import checked
from lazulite.data._files import Path_, bad, first_there, missing, package, read
from lazulite.data.datasets import ArrayDataset, Dataset

__all__ = ["ImageFolder", "load_cifar10", "load_cifar100", "load_idx", "load_mnist"]

_IDX = "An IDX file begins with two zero bytes, the type, the number of axes, and the sizes."
_IDX_TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
_IDX_MOST = 1 << 33  # bytes

_MNIST = """Expected the four IDX files of MNIST (or of Fashion-MNIST, which has the same form), as they
are or with .gz, in this folder or in MNIST/raw below it:
  train-images-idx3-ubyte (60,000 images of 28x28), train-labels-idx1-ubyte,
  t10k-images-idx3-ubyte (10,000 images), t10k-labels-idx1-ubyte.
They are at https://ossci-datasets.s3.amazonaws.com/mnist/ and http://yann.lecun.com/exdb/mnist/."""

_CIFAR = """Expected the binary version of CIFAR-{classes}, unpacked: {files},
in this folder or in {folder} below it. Each record is {labels}
and 3,072 bytes of a 32x32 image: its red, its green, and its blue values.
It is at https://www.cs.toronto.edu/~kriz/cifar-{classes}-binary.tar.gz."""


def load_idx(path: Path_) -> npt.NDArray[Any]:
    """The array of an IDX file, the format of MNIST; ``.gz`` is unpacked.

    Raises:
        FileError: no such file.
        FormatError: not an IDX file, or one that is shorter or longer than its header says.

    Example:
        >>> import os, tempfile
        >>> from lazulite.data import load_idx
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "labels-idx1-ubyte")
        ...     with open(path, "wb") as file:
        ...         n = file.write(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 8, 9]))
        ...     load_idx(path).tolist()
        [7, 8, 9]
    """
    data = read("load_idx", path, _IDX, _IDX_MOST)
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in _IDX_TYPES:
        bad("load_idx", path, f"no IDX header: got {data[:4]!r}", _IDX)
    kind, axes = np.dtype(_IDX_TYPES[data[2]]), data[3]
    begin = 4 + 4 * axes
    if len(data) < begin:
        bad("load_idx", path, f"truncated header: got {len(data)} bytes, expected {begin}")
    shape = struct.unpack(f">{axes}I", data[4:begin])
    wanted = begin + kind.itemsize * _product(shape)
    if len(data) != wanted:
        what = "truncated" if len(data) < wanted else "longer than its header says"
        bad("load_idx", path, f"{what}: got {len(data)} bytes, expected {wanted} for shape {shape}")
    found = np.frombuffer(data, kind, offset=begin).reshape(shape)
    return found.astype(kind.newbyteorder("="))


def _product(shape: tuple[int, ...]) -> int:
    n = 1
    for size in shape:
        n *= size
    return n


@checked
def load_mnist(root: str, train: bool = True) -> ArrayDataset:
    """MNIST from its IDX files: ``images`` (n, 28, 28, 1) uint8 and ``labels`` (n,) int32.

    Args:
        root: the folder of the files.
        train: the 60,000 training images, or the 10,000 for tests.

    Raises:
        FileError: a file is missing; the message says where they are to be had.
        FormatError: a file is damaged, or images and labels do not belong together.

    Example:
        >>> from lazulite.data import load_mnist
        >>> try:
        ...     load_mnist("nowhere")
        ... except FileNotFoundError as error:
        ...     print("train-images-idx3-ubyte" in str(error))
        True
    """
    part = "train" if train else "t10k"

    def found(what: str, axes: int) -> Path:
        names = [f"{part}-{what}{dash}idx{axes}-ubyte" for dash in "-."]
        below = [os.path.join(folder, name) for folder in ("", "MNIST/raw") for name in names]
        return first_there("load_mnist", root, below, _MNIST)

    path = found("images", 3)
    images, labels = load_idx(path), load_idx(found("labels", 1))
    if images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels):
        shapes = f"got shapes {images.shape} and {labels.shape}"
        bad("load_mnist", path, f"no images and their labels: {shapes}", _MNIST)
    return ArrayDataset(images[..., None], labels.astype(np.int32))


@checked
def load_cifar10(root: str, train: bool = True) -> ArrayDataset:
    """CIFAR-10 from its binary files: images (n, 32, 32, 3) uint8 and labels (n,) int32.

    Args:
        root: the folder of the files.
        train: the 50,000 training images, or the 10,000 for tests.

    Raises:
        FileError: a file is missing; the message says where they are to be had.
        FormatError: a file is damaged.

    Example:
        >>> from lazulite.data import load_cifar10
        >>> try:
        ...     load_cifar10("nowhere")
        ... except FileNotFoundError as error:
        ...     print("cifar-10-binary.tar.gz" in str(error))
        True
    """
    files = [f"data_batch_{i}.bin" for i in range(1, 6)] if train else ["test_batch.bin"]
    help = _CIFAR.format(
        classes=10,
        files="data_batch_1.bin to data_batch_5.bin and test_batch.bin",
        folder="cifar-10-batches-bin",
        labels="one byte for the class",
    )
    images, labels = _load_cifar("load_cifar10", root, files, "cifar-10-batches-bin", 1, 10, help)
    return ArrayDataset(images, labels[:, 0])


@checked
def load_cifar100(root: str, train: bool = True, coarse: bool = False) -> ArrayDataset:
    """CIFAR-100 from its binary files: images (n, 32, 32, 3) uint8 and labels (n,) int32.

    Args:
        root: the folder of the files.
        train: the 50,000 training images, or the 10,000 for tests.
        coarse: labels of the 20 groups of classes, instead of the 100 classes.

    Raises:
        FileError: a file is missing; the message says where they are to be had.
        FormatError: a file is damaged.

    Example:
        >>> from lazulite.data import load_cifar100
        >>> try:
        ...     load_cifar100("nowhere")
        ... except FileNotFoundError as error:
        ...     print("cifar-100-binary.tar.gz" in str(error))
        True
    """
    help = _CIFAR.format(
        classes=100,
        files="train.bin and test.bin",
        folder="cifar-100-binary",
        labels="a byte for the group of classes, a byte for the class,",
    )
    files = ["train.bin" if train else "test.bin"]
    images, labels = _load_cifar("load_cifar100", root, files, "cifar-100-binary", 2, 100, help)
    return ArrayDataset(images, labels[:, 0 if coarse else 1])


def _load_cifar(
    op: str, root: str, files: list[str], folder: str, labels: int, classes: int, help: str
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    size, parts = labels + 3072, []
    for name in files:
        path = first_there(op, root, [name, os.path.join(folder, name)], help)
        data = read(op, path, help, 1 << 31)
        if not data or len(data) % size:
            bad(op, path, f"truncated: got {len(data)} bytes, expected records of {size}", help)
        part = np.frombuffer(data, np.uint8).reshape(-1, size)
        if part[:, labels - 1].max() >= classes:
            got = int(part[:, labels - 1].max())
            bad(op, path, f"unknown class: got {got}, expected less than {classes}", help)
        parts.append(part)
    rows = np.concatenate(parts)
    images = rows[:, labels:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images), rows[:, :labels].astype(np.int32)


class ImageFolder(Dataset):
    """Pictures in folders, one folder for each class; Pillow reads them when they are asked for.

    A sample is the picture (height, width, channels) as uint8, and the number of its class, in the
    order of the names in ``classes``.

    Args:
        root: the folder of the folders.
        size: (height, width) to which each picture is scaled; None leaves their sizes.
        mode: Pillow's name for the channels: ``"RGB"``, ``"L"`` (grey), ``"RGBA"``.
        transform: a function of the picture.
        endings: which files are pictures.

    Raises:
        FileError: no such folder, or no picture in it.
        FormatError: when a picture is asked for that cannot be read.
        ImportError: Pillow is not installed.

    Example:
        >>> import os, tempfile
        >>> from PIL import Image
        >>> from lazulite.data import ImageFolder
        >>> with tempfile.TemporaryDirectory() as root:
        ...     for name in ("cat", "dog"):
        ...         os.mkdir(os.path.join(root, name))
        ...         Image.new("RGB", (5, 4)).save(os.path.join(root, name, "1.png"))
        ...     pictures = ImageFolder(root)
        ...     pictures.classes, pictures[1][0].shape, pictures[1][1]
        (['cat', 'dog'], (4, 5, 3), 1)
    """

    @checked
    def __init__(
        self,
        root: str,
        size: Optional[tuple[float, float]] = None,
        mode: str = "RGB",
        transform: Optional[Callable[[Any], Any]] = None,
        endings: Any = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".ppm", ".tif", ".tiff"),
    ) -> None:
        help = f"Expected a folder for each class, and in it (or below) files of {', '.join(endings)}."
        self._image = package("ImageFolder", "PIL.Image", "pillow")
        if not os.path.isdir(root):
            missing("ImageFolder", root, help)
        self.root, self.size, self.mode, self.transform = root, size, mode, transform
        self.classes = sorted(entry.name for entry in os.scandir(root) if entry.is_dir())
        self.samples = [
            (path, label)
            for label, name in enumerate(self.classes)
            for path in sorted(Path(root, name).rglob("*"))
            if path.suffix.lower() in endings and path.is_file()
        ]
        if not self.samples:
            missing("ImageFolder", root, help)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        path, label = self.samples[index]
        picture = self._read(path)
        return (picture if self.transform is None else self.transform(picture)), label

    def _read(self, path: Path) -> npt.NDArray[Any]:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", self._image.DecompressionBombWarning)
                with self._image.open(path) as picture:
                    picture = picture.convert(self.mode)
                    if self.size is not None:
                        picture = picture.resize((int(self.size[1]), int(self.size[0])))
                    pixels = np.array(picture)
        except FileNotFoundError:
            missing("ImageFolder", path, "It was there when the folder was read.")
        except Exception as error:  # each format of Pillow has errors of its own
            bad("ImageFolder", path, f"no picture that can be read ({error})")
        return pixels if pixels.ndim == 3 else pixels[..., None]
