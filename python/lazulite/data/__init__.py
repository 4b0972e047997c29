"""Data: sets of samples, a loader that makes batches of them ahead of the step, and readers of
files.

Everything is read from local paths; nothing is downloaded. A file that is missing raises
:class:`lazulite.core.FileError`, which says where it comes from and what it looks like; one that is
cut short or forged raises :class:`lazulite.core.FormatError`.

    train, test = load_digits()
    for epoch in range(10):
        for images, labels in DataLoader(train, batch_size=64, shuffle=True, num_workers=1):
            ...
"""

from lazulite.data.collate import collate, pad
from lazulite.data.datasets import (
    ArrayDataset,
    Dataset,
    IterableDataset,
    MappedDataset,
    Subset,
    random_split,
)
from lazulite.data.images import ImageFolder, load_cifar10, load_cifar100, load_idx, load_mnist
from lazulite.data.loader import DataLoader
from lazulite.data.tables import load_csv, load_digits
from lazulite.data.text import BytePairTokenizer, load_text
from lazulite.data.tokens import TokenDataset, load_tokens, save_tokens

__all__ = [
    "ArrayDataset",
    "BytePairTokenizer",
    "DataLoader",
    "Dataset",
    "ImageFolder",
    "IterableDataset",
    "MappedDataset",
    "Subset",
    "TokenDataset",
    "collate",
    "load_cifar10",
    "load_cifar100",
    "load_csv",
    "load_digits",
    "load_idx",
    "load_mnist",
    "load_text",
    "load_tokens",
    "pad",
    "random_split",
    "save_tokens",
]
