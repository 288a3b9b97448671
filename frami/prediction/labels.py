"""Label files of Audacity, one for each sound."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from frami.core import files
from frami.core.errors import UsageError
from frami.core.progress import ProgressCallback, silent
from frami.prediction.batch import Batch
from frami.prediction.formats import Selection, as_audacity


def write_label_files(
    batch: Batch,
    paths: Sequence[Path],
    out: str | Path,
    selection: Selection,
    report: ProgressCallback = silent,
) -> None:
    """Write ``NAME.txt`` for each sound ``NAME.wav``; Audacity imports it as a label track.

    Args:
        batch: Answers the sounds.
        paths: The sounds. One that cannot be read gets no label file.
        out: Folder for the label files.
        selection: Which classes are written.
        report: Called with the seconds of sound that are answered.

    Raises:
        UsageError: Two sounds would have the same label file, or ``out`` is a file.
    """
    by_stem: dict[str, Path] = {}
    for path in paths:
        other = by_stem.setdefault(path.stem, path)
        if other != path:
            raise UsageError(
                f"{other} and {path} would have the same label file, {path.stem}.txt. Answer them "
                f"one after the other, with another `out`."
            )
    folder = files.ensure_dir(out)
    answers = batch.answers(paths, [path.stem for path in paths], report)
    found = {stem: "" for stem in by_stem}
    for stem, prediction in answers:
        found[stem] += "".join(as_audacity([(stem, prediction)], selection))
    for stem, text in found.items():
        if by_stem[stem] not in batch.failed:
            files.write_bytes(folder / f"{stem}.txt", text.encode())
