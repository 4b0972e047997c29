"""Tables: CSV files, and the digits that come with scikit-learn."""

from __future__ import annotations

import csv
import io
from typing import Any, Optional, Sequence

import numpy as np
import numpy.typing as npt

from lazulite._arguments import checked
from lazulite.data._files import Path_, bad, package, read
from lazulite.data.datasets import ArrayDataset

__all__ = ["load_csv", "load_digits"]

_CSV = "Expected a text file (UTF-8) of lines with equally many fields, the first one their names."
_MOST = 1 << 34  # bytes


@checked
def load_csv(
    path: Any,
    *,
    target: Optional[str] = None,
    columns: Optional[Any] = None,
    delimiter: str = ",",
    header: bool = True,
) -> ArrayDataset:
    """The columns of a CSV file, or its numbers as features and a target.

    A column of whole numbers is int64, of numbers float32 (an empty field is nan), any other
    holds strings. Without ``target`` samples are dicts of the columns; with it, pairs of the other
    columns as one vector of float32 and the target (whose strings become the numbers of their
    classes, in ``dataset.classes``).

    Args:
        path: the file; ``.gz`` is unpacked.
        target: the name of the column to be predicted.
        columns: the names of the columns to keep.
        delimiter: what stands between fields.
        header: whether the first line has the names; else they are ``"0"``, ``"1"``, ...

    Raises:
        FileError: no such file.
        FormatError: not text, no lines, lines of unequal numbers of fields, or a feature that is
            no number.
        ValueError: a column that the file does not have.

    Example:
        >>> import os, tempfile
        >>> from lazulite.data import load_csv
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "iris.csv")
        ...     with open(path, "w") as file:
        ...         n = file.write("length,width,kind\\n5.1,3,setosa\\n7,3.2,virginica\\n")
        ...     flowers = load_csv(path, target="kind")
        >>> flowers, flowers.classes
        (ArrayDataset(float32(2, 2), int32(2,)), ['setosa', 'virginica'])
    """
    rows = _rows(path, delimiter)
    names = [name.strip() for name in rows[0]] if header else [str(i) for i in range(len(rows[0]))]
    rows = rows[1:] if header else rows
    if len(set(names)) != len(names):
        bad("load_csv", path, f"a name stands twice: got {names}")
    for number, row in enumerate(rows, 1 + header):
        if len(row) != len(names):
            bad("load_csv", path, f"line {number}: got {len(row)} fields, expected {len(names)}")
    if not rows:
        bad("load_csv", path, "no lines of data", _CSV)
    kept = names if columns is None else [str(name) for name in columns]
    for name in [*kept, *([] if target is None else [target])]:
        if name not in names:
            raise ValueError(f"[load_csv] no column {name!r}: expected one of {names}")
    table = {name: _column([row[i] for row in rows]) for i, name in enumerate(names)}
    if target is None:
        return ArrayDataset(**{name: table[name] for name in kept})
    features = [name for name in kept if name != target]
    texts = [name for name in features if table[name].dtype.kind == "U"]
    if texts or not features:
        bad("load_csv", path, f"features that are no numbers: got {texts}, expected other columns=")
    wanted, classes = table[target], None
    if wanted.dtype.kind == "U":
        found, places = np.unique(wanted, return_inverse=True)
        wanted, classes = places.astype(np.int32), found.tolist()
    dataset = ArrayDataset(np.stack([table[n] for n in features], 1).astype(np.float32), wanted)
    setattr(dataset, "classes", classes)
    setattr(dataset, "features", features)
    return dataset


def _rows(path: Path_, delimiter: str) -> list[list[str]]:
    data = read("load_csv", path, _CSV, _MOST)
    try:
        text = data.decode("utf-8-sig")
        rows = [
            row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if row
        ]
    except UnicodeDecodeError as error:
        bad("load_csv", path, f"not text ({error})", _CSV)
    except csv.Error as error:
        bad("load_csv", path, f"no table ({error})", _CSV)
    if not rows:
        bad("load_csv", path, "empty", _CSV)
    return rows


def _column(fields: Sequence[str]) -> npt.NDArray[Any]:
    """Whole numbers, else numbers, else strings."""
    try:
        return np.array([int(f) for f in fields], np.int64)
    except (ValueError, OverflowError):
        pass
    try:
        return np.array([float(f) if f.strip() else np.nan for f in fields], np.float32)
    except ValueError:
        return np.array(fields, str)


@checked
def load_digits(flat: bool = True) -> tuple[ArrayDataset, ArrayDataset]:
    """1,797 scans of handwritten digits, 1,437 to train and 360 for tests: the same always.

    The data set that needs no file: scikit-learn brings it along (from UCI's optical recognition
    set). Images are float32 in [-1, 1], labels int32.

    Args:
        flat: images of 64 numbers; otherwise (8, 8, 1).

    Raises:
        ImportError: scikit-learn is not installed.

    Example:
        >>> from lazulite.data import load_digits
        >>> load_digits()[1]
        ArrayDataset(float32(360, 64), int32(360,))
    """
    source = package("load_digits", "sklearn.datasets", "scikit-learn")
    split = package("load_digits", "sklearn.model_selection", "scikit-learn").train_test_split
    images, labels = source.load_digits(return_X_y=True)
    images = (images / 8 - 1).astype(np.float32).reshape((-1, 64) if flat else (-1, 8, 8, 1))
    train, test, train_labels, test_labels = split(
        images, labels.astype(np.int32), test_size=0.2, random_state=0, stratify=labels
    )
    return ArrayDataset(train, train_labels), ArrayDataset(test, test_labels)
