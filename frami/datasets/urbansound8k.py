"""UrbanSound8K: 8,732 city sounds of up to 4 s in 10 classes and 10 folds.

Published scores are means over all ten folds. All slices of a recording are in one fold, but for
five with two classes: 77751, 106905, 132016, 176638 and 180937 are in one fold for each class.
The license, CC BY-NC 3.0, forbids commercial use.
Source: Salamon, Jacoby and Bello, "A Dataset and Taxonomy for Urban Sound Research", ACM
Multimedia 2014.
"""

from __future__ import annotations

from pathlib import Path

from frami.data import folds
from frami.data.protocol import Table
from frami.data.recordings import Archive, Split

SECONDS = 4.0
SAMPLE_RATE = 44100
FOLDER = "urbansound8k"
ARCHIVES = (
    Archive(
        "UrbanSound8K.tar.gz",
        "https://zenodo.org/records/1203745/files/UrbanSound8K.tar.gz",
        "md5:9aa69802bbf37fb986f71ec1483a196e",
    ),
)
TABLE = Table(
    "metadata/UrbanSound8K.csv",
    file="slice_file_name",
    fold="fold",
    target="classID",
    label="class",
    file_name=r"(?P<source>\d+)-(?P<target>\d+)-\d+-\d+",
)


def test_folds(folder: Path) -> list[str]:
    """Return the official folds in this copy: ``1`` to ``10``."""
    return folds.available_folds("urbansound8k", folder, _clips(folder)[0])


def split(folder: Path, fold: str) -> Split:
    """Return the split that tests on one official fold and trains on all others in this copy."""
    return folds.hold_out_fold("urbansound8k", folder, *_clips(folder), fold)


def _clips(folder: Path) -> tuple[list[folds.ListedClip], tuple[str, ...]]:
    """Return the clips in the csv file, folds in order, and the labels in the order of classID."""
    rows = folds.read_protocol("urbansound8k", folder, TABLE)
    rows.sort(key=lambda row: (int(row.fold), row.file))
    labels = dict(sorted((row.target, row.label) for row in rows))
    index = {target: position for position, target in enumerate(labels)}
    clips = [
        folds.ListedClip(f"audio/fold{row.fold}/{Path(row.file).stem}", index[row.target], row.fold)
        for row in rows
    ]
    return clips, tuple(labels.values())
