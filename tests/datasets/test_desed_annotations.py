"""DESED in the folder that `make_soundscapes` writes: tags, weak labels, and wrong annotation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from frami.core.errors import UsageError
from frami.data.splits import load_split, split_for_task
from tests.soundscapes import VALIDATION
from tests.soundscapes import scenes as scenes

WEAK = "metadata/train/weak.tsv"
DURATIONS = "metadata/validation/validation_durations.tsv"
TRAIN = "metadata/train/synthetic21_train/soundscapes.tsv"
HEADER = "filename\tonset\toffset\tevent_label\n"


def test_split_for_multi_label_tags_are_those_of_the_events(scenes: Path) -> None:
    split = load_split("desed", scenes.parent, test_fold="validation")
    split = split_for_task(split, "multi-label")
    assert split.train.events is None and len(split.train) == 10 and len(split.test) == 6
    lines = [line.split("\t") for line in (scenes / VALIDATION).read_text().splitlines()[1:]]
    for name, target in zip(split.test.names, np.asarray(split.test.targets), strict=True):
        annotated = {label for file, _, _, label in lines if file == Path(name).name}
        assert {split.labels[index] for index in np.flatnonzero(target)} == annotated


def test_split_includes_weak_and_unlabeled_clips(scenes: Path) -> None:
    labels = load_split("desed", scenes, test_fold="validation").labels
    (scenes / "audio/train/weak").mkdir()
    soundfile.write(scenes / "audio/train/weak/a.wav", np.ones(8000), 8000)
    (scenes / WEAK).write_text(
        f"filename\tevent_labels\na.wav\t{labels[0]}\na.wav\t{', '.join(labels)}\n"
    )
    weak = load_split("desed", scenes, test_fold="validation")
    assert len(weak.train) == 11
    index = weak.train.names.index("train/weak/a.wav")
    assert np.asarray(weak.train.targets)[index].tolist() == [1, 1]
    assert len(split_for_task(weak, "multi-label").train) == 11
    assert len(split_for_task(weak, "sound-events").train) == 11
    with pytest.raises(UsageError, match="not for single-label"):
        split_for_task(weak, "single-label")
    (scenes / "audio/train/unlabel_in_domain").mkdir()
    soundfile.write(scenes / "audio/train/unlabel_in_domain/b.wav", np.ones(8000), 8000)
    (scenes / "metadata/train/unlabel_in_domain.tsv").write_text("filename\nb.wav\n")
    train = load_split("desed", scenes, test_fold="validation").train
    assert len(train) == 12 and len(train.labeled()) == 11
    index = train.names.index("train/unlabel_in_domain/b.wav")
    assert np.isnan(np.asarray(train.targets)[index]).all()


@pytest.mark.parametrize(
    ("table", "text", "message"),
    [
        (TRAIN, "filename\tonset\tlabel\n00000.wav\t0\tx\n", "no column offset, event_label"),
        (TRAIN, HEADER, "soundscapes.tsv .* no (annotation|rows)"),
        (TRAIN, HEADER + "00000.wav\t1.0\t0.5\tx\n", "line 2, 00000.wav: x from 1.0 to 0.5 s"),
        (TRAIN, HEADER + "00000.wav\tsoon\t0.5\tx\n", "onset and offset (are|must be) seconds"),
        (
            TRAIN,
            HEADER + "00000.wav\t0.1\t9.5\tx\n",
            "lasts 2.00 s, (and|but) x is annotated up to 9.5 s",
        ),
        (
            TRAIN,
            HEADER + "00000.wav\t0\t1\tx\n00000.wav\t0.5\t1.5\tx\n",
            "overlaps another event of that label",
        ),
        (
            VALIDATION,
            HEADER + "00000.wav\t0\t1\tmartian\n",
            "'martian'.* no (training soundscape has it|soundscape of training has)",
        ),
        (WEAK, "filename\tlabels\na.wav\tx\n", "no column event_labels"),
        (WEAK, "filename\tevent_labels\na.wav\t\n", "no label for a.wav"),
        (
            DURATIONS,
            "filename\tduration\n00000.wav\t9.5\n",
            "lasts 2.00 s.* 9.50 s",
        ),
        (DURATIONS, "filename\tduration\n00000.wav\tlong\n", "line 2: duration is 'long'"),
    ],
)
def test_load_split_wrong_annotation_raises(
    scenes: Path, table: str, text: str, message: str
) -> None:
    (scenes / table).write_text(text)
    with pytest.raises(UsageError, match=message):
        load_split("desed", scenes, test_fold="validation")
