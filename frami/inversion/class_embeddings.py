"""Embeddings of class names: hashed letters, learned, or read from a file."""

from __future__ import annotations

import tokenize
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from frami.core.errors import UsageError
from frami.core.files import expand
from frami.core.memory import raise_unless_damaged

EMBEDDING_SIZE = 512
# The header of a .npy file is a Python expression, which numpy parses.
DAMAGE = (OSError, ValueError, TypeError, SyntaxError, MemoryError, tokenize.TokenError)


def class_embeddings(labels: tuple[str, ...], kind: str) -> Tensor:
    """Return one embedding of unit length per class, ``(K, E)``.

    Args:
        labels: Names of the classes.
        kind: ``names`` hashes groups of two and three letters of each name; ``learned`` draws
            initial values; anything else is a .npy file with one row per class.
    """
    if kind == "learned":
        return F.normalize(torch.randn(len(labels), EMBEDDING_SIZE), dim=1)
    if kind == "names":
        return _hash_names(labels)
    return F.normalize(_read_embeddings(expand(kind), len(labels)), dim=1)


def _hash_names(labels: tuple[str, ...]) -> Tensor:
    from sklearn.feature_extraction.text import HashingVectorizer

    vectorizer = HashingVectorizer(
        analyzer="char_wb", ngram_range=(2, 3), n_features=EMBEDDING_SIZE
    )
    names = [name.replace("_", " ") for name in labels]
    return torch.from_numpy(vectorizer.transform(names).toarray()).float()


def _read_embeddings(path: Path, classes: int) -> Tensor:
    if not path.is_file():
        raise UsageError(
            f"There is no file {str(path)!r}. The setting embedding may be names, learned or a "
            ".npy file."
        )
    try:
        # Mapped: an array takes no more memory than its file has, whatever its header says.
        rows = np.array(np.lib.format.open_memmap(path, mode="r"))
    except DAMAGE as error:
        raise_unless_damaged(error, path)
        raise UsageError(f"{path} is not a .npy file of numbers ({error}).") from error
    if rows.dtype.kind not in "fiu" or not np.isfinite(rows).all():
        raise UsageError(
            f"{path} holds values of type {rows.dtype} that are not all finite numbers. Only "
            "finite numbers are allowed."
        )
    if rows.ndim != 2 or len(rows) != classes:
        raise UsageError(
            f"{path} holds an array of shape {rows.shape}; it must have one row for each of the "
            f"{classes} classes."
        )
    return torch.from_numpy(rows).float()
