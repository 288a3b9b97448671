"""The data set `folder`: class folders, tables, folds and groups of a user's own recordings."""

from __future__ import annotations

import os
import shutil
import unicodedata
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import soundfile

from frami.core.errors import OperationError, UsageError
from frami.data.contents import walk_audio
from frami.data.leakage import leakage_warning
from frami.data.recordings import Split, load_dataset
from frami.data.splits import load_split
from frami.training.supervised import default_front_end
from tests.datasets.folders import write_class_folders, write_listed, write_sound


def sides(split: Split) -> tuple[list[str], list[str]]:
    """Return the names of the training clips and of the test clips."""
    return sorted(split.train.names), sorted(split.test.names)


def labels_of(split: Split) -> dict[str, str]:
    """Return the label of each clip of a single-label split."""
    return {
        name: split.labels[target]
        for side in (split.train, split.test)
        for name, target in zip(side.names, np.asarray(side.targets).tolist(), strict=True)
    }


def test_class_folders_are_divided_into_five_folds_of_every_class(tmp_path: Path) -> None:
    write_class_folders(tmp_path / "pets", {"dog": 10, "cat": 5})
    assert load_dataset("folder").test_folds(tmp_path / "pets") == list("12345")
    tested: list[str] = []
    for fold in range(1, 6):
        split = load_split("folder", tmp_path / "pets", test_fold=fold)
        assert (split.dataset, split.labels) == ("folder:pets", ("cat", "dog"))
        assert sorted(split.test.targets) == [0, 1, 1] and len(split.train) == 12
        assert all(Path(name).parent.name == label for name, label in labels_of(split).items())
        tested += split.test.names
        assert len(split.test.read(0, 16000)) == 3200
    assert len(set(tested)) == 15
    assert "file by file" in split.missing and "one source" in split.missing


def test_folds_depend_on_contents_and_not_on_names(tmp_path: Path) -> None:
    first = write_class_folders(tmp_path / "a", {"dog": 6, "cat": 6})
    second = tmp_path / "b"
    for path in first.rglob("*.wav"):
        (second / path.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, second / path.parent.name / f"new {9 - int(path.stem)}.wav")
    ids = [set(load_split("folder", one, test_fold=2).test.ids) for one in (first, second)]
    assert ids[0] == ids[1]


@pytest.mark.parametrize(
    ("folders", "folds", "train", "test"),
    [
        (("Train", "val", "TEST"), ["validation", "test"], ["Train"], ["TEST"]),
        (("train", "test"), ["test"], ["train"], ["test"]),
        (("fold1", "fold_2", "fold10"), ["1", "2", "10"], ["fold1", "fold_2"], ["fold10"]),
    ],
)
def test_folders_named_like_folds_are_folds(
    folders: tuple[str, ...], folds: list[str], train: list[str], test: list[str], tmp_path: Path
) -> None:
    for number, fold in enumerate(folders):
        for sound, label in enumerate(("dog", "cat")):
            write_sound(tmp_path / fold / label / "1.wav", 10 * number + sound)
    assert load_dataset("folder").test_folds(tmp_path) == folds
    split = load_split("folder", tmp_path, test_fold=folds[-1])
    assert split.labels == ("cat", "dog")
    assert {name.split("/")[0] for name in split.train.names} == set(train)
    assert {name.split("/")[0] for name in split.test.names} == set(test)
    assert split.missing == ""


def test_table_in_a_spreadsheets_form_is_read(tmp_path: Path) -> None:
    table = (
        '\ufeffFile Name;Category;FOLD\r\n"a.wav";1.0;1.0\r\nb.wav;2;1\r\n\r\n'
        "sub\\c.WAV;1;2.0\r\nd;TRUE;2\r\n"
    )
    write_listed(tmp_path, table, ["a.wav", "b.wav", "sub/c.WAV", "deep/er/D.flac"])
    split = load_split("folder", tmp_path, test_fold="2")
    assert split.labels == ("1", "2", "true")
    assert labels_of(split) == {
        "a.wav": "1",
        "b.wav": "2",
        "sub/c.WAV": "1",
        "deep/er/D.flac": "true",
    }
    assert sides(split) == (["a.wav", "b.wav"], ["deep/er/D.flac", "sub/c.WAV"])
    assert "No training clip has the class true." in split.missing


def test_groups_of_a_table_and_copies_stay_in_one_fold(tmp_path: Path) -> None:
    names = [f"{number}.wav" for number in range(12)]
    rows = [f"{name},{'ab'[n % 2]},s{n // 2}" for n, name in enumerate(names)]
    table = "\n".join(["file,label,speaker", *rows])
    write_listed(tmp_path, table, names)
    shutil.copy(tmp_path / "0.wav", tmp_path / "2.wav")  # speakers s0 and s1 share a recording
    for fold in load_dataset("folder").test_folds(tmp_path):
        split = load_split("folder", tmp_path, test_fold=fold)
        train, test = (
            {int(name[:-4]) // 2 for name in side.names} for side in (split.train, split.test)
        )
        assert not train & test
        assert not {0, 1} & test or {0, 1} <= test
        assert test and "by the column speaker (5 groups)" in split.missing


@pytest.mark.parametrize("folds", [False, True])
def test_groups_that_are_empty_or_alike_are_named(folds: bool, tmp_path: Path) -> None:
    names = [f"{number}.wav" for number in range(8)]
    groups = ["A", "B", "a", "", "C", "D", "E", ""]
    rows = [f"{name},{'xy'[n % 2]},{groups[n]},{n // 4}" for n, name in enumerate(names)]
    table = "\n".join([f"file,label,speaker,{'fold' if folds else 'number'}", *rows])
    write_listed(tmp_path, table, names)
    fold = load_dataset("folder").test_folds(tmp_path)[0]
    note = load_split("folder", tmp_path, test_fold=fold).missing
    assert "2 of 8 clips have an empty cell in the column speaker; each counts" in note
    assert "Groups of the column speaker with nearly the same name count as one: A and a." in note
    write_listed(tmp_path, table.replace(",a,", ",F,").replace(",,", ",G,"), names)
    note = load_split("folder", tmp_path, test_fold=fold).missing
    assert "empty cell" not in note and "count as one" not in note


@pytest.mark.parametrize("name", ["nan", "NaN", "#NAME?"])
def test_class_folder_named_like_a_missing_value_is_named(name: str, tmp_path: Path) -> None:
    write_class_folders(tmp_path, {"dog": 6, name: 6})
    note = load_split("folder", tmp_path, test_fold="1").missing
    assert f"A class is named {name!r}, which programs write for a missing value" in note
    (tmp_path / name).rename(tmp_path / "nanny")
    assert "A class is named" not in load_split("folder", tmp_path, test_fold="1").missing


def test_copies_of_test_clips_are_not_trained_on(tmp_path: Path) -> None:
    names = ["a.wav", "b.wav", "c.wav", "d.wav"]
    table = "file,label,fold\na.wav,x,1\nb.wav,y,1\nc.wav,x,2\nd.wav,y,2\n"
    write_listed(tmp_path, table, names)
    shutil.copy(tmp_path / "a.wav", tmp_path / "c.wav")
    split = load_split("folder", tmp_path, test_fold="2")
    assert sides(split) == (["b.wav"], ["c.wav", "d.wav"])
    assert "Left out as copies of test clips: 1 training clip." in split.missing


@pytest.mark.parametrize(
    "other", ["dog_bark", "Dog bark", "dog  bark", "dog\u00a0bark", "dog bark\u200b"]
)
def test_labels_in_two_spellings_are_named(other: str, tmp_path: Path) -> None:
    table = f"file,label,fold\na.wav,dog bark,1\nb.wav,cat,1\nc.wav,{other},2\nd.wav,cat,2\n"
    write_listed(tmp_path, table, ["a.wav", "b.wav", "c.wav", "d.wav"])
    split = load_split("folder", tmp_path, test_fold="2")
    assert len(split.labels) == 3
    assert "Classes with nearly the same name: " in split.missing


def test_labels_that_may_be_several_are_named(tmp_path: Path) -> None:
    table = 'file,label,fold\na.wav,"dog,pet",1\nb.wav,"cat,pet",1\nc.wav,"dog,pet",2\n'
    write_listed(tmp_path, table, ["a.wav", "b.wav", "c.wav"])
    split = load_split("folder", tmp_path, test_fold="2")
    assert "Labels such as 'cat,pet' count as one class each" in split.missing
    (tmp_path / "labels.csv").write_text(table.replace("cat,pet", "cat,big"))
    assert "Labels such as" not in load_split("folder", tmp_path, test_fold="2").missing


def test_labels_that_differ_in_case_alone_are_named(tmp_path: Path) -> None:
    table = "file,label,fold\na.wav,Dog,1\nb.wav,cat,1\nc.wav,dog,2\nd.wav,cat,2\n"
    write_listed(tmp_path, table, ["a.wav", "b.wav", "c.wav", "d.wav"])
    split = load_split("folder", tmp_path, test_fold="2")
    assert split.labels == ("Dog", "cat", "dog")
    assert "Classes with nearly the same name: Dog and dog; correct it if" in split.missing


def test_recordings_that_cannot_be_decoded_are_named(tmp_path: Path) -> None:
    table = (
        "file,label,fold\na.wav,dog,1\nb.wav,cat,1\nc.wav,dog,2\nd.wav,cat,2\ne,cat,2\ng,cat,2\n"
    )
    write_listed(tmp_path, table, ["a.wav", "b.wav", "c.wav", "d.wav"])
    (tmp_path / "g.raw").write_bytes(bytes(500))
    (tmp_path / "e.m4a").write_bytes(b"\0\0\0\x20ftypM4A " + bytes(500))
    (tmp_path / "f.wv").write_bytes(b"wvpk" + bytes(500))
    split = load_split("folder", tmp_path, test_fold="2")
    for words in ("read (", "read: samples that are called .raw have no header"):
        assert f"is not audio that can be {words}" in split.missing
    assert "left out: 1 audio file (f.wv)" in split.missing


def test_several_labels_in_a_cell_are_tags(tmp_path: Path) -> None:
    table = "path\ttags\tsplit\na.wav\tdog; rain\ttrain\nb.wav\train\ttrain\nc.wav\t\ttest\n"
    write_listed(tmp_path, table, ["a.wav", "b.wav", "c.wav"], "tags.tsv")
    split = load_split("folder", tmp_path, test_fold="test")
    assert (split.task, split.labels) == ("multi-label", ("dog", "rain"))
    assert np.asarray(split.train.targets).tolist() == [[1, 1], [0, 1]]
    assert np.asarray(split.test.targets).tolist() == [[0, 0]]


def test_times_in_a_table_are_events(tmp_path: Path) -> None:
    table = (
        "filename,onset,offset,event_label,fold\n"
        'a.wav,0.1,0.3,dog,1\na.wav,0.2,0.5,dog,1\na.wav,"0,6",0.9,cat,1\n'
        "b.wav,,,dog,1\nc.wav,,,,2\n"
    )
    write_listed(tmp_path, table, ["a.wav", "b.wav", "c.wav"])
    split = load_split("folder", tmp_path, test_fold="2")
    assert (split.task, split.labels) == ("sound-events", ("cat", "dog"))
    assert split.train.events == (((0.1, 0.5, 1), (0.6, 0.9, 0)), None)
    assert split.test.events == ((),)


def test_default_front_end_follows_the_clips(tmp_path: Path) -> None:
    write_class_folders(tmp_path, {"dog": 5, "cat": 5})
    split = load_split("folder", tmp_path, test_fold="1")
    assert split.clip_format is not None
    assert (split.clip_format.SECONDS, split.clip_format.SAMPLE_RATE) == (0.2, 8000)
    assert default_front_end(split.clip_format) == default_front_end(load_dataset("fsdd"))


def test_files_that_cannot_be_used_are_left_out_or_refused(tmp_path: Path) -> None:
    write_class_folders(tmp_path, {"dog": 6, "cat": 6})
    (tmp_path / "dog/empty.wav").touch()
    (tmp_path / "dog/text.MP3").write_text("no audio")
    (tmp_path / "dog/phone.m4a").write_bytes(b"\0\0\0\x20ftypM4A ")
    soundfile.write(tmp_path / "cat/silent.flac", np.zeros(4000), 8000)
    write_sound(tmp_path / "cat/short.wav", 90, seconds=0.01)
    write_sound(tmp_path / "cat/surround.wav", 91, channels=6)
    (tmp_path / "cat/link.wav").symlink_to(tmp_path / "nowhere.wav")
    write_sound(tmp_path / "beside.wav", 92)
    split = load_split("folder", tmp_path, test_fold="1")
    assert len(split.train) + len(split.test) == 12
    assert len(split.unusable) == 8
    lines = split.missing.splitlines()
    assert lines[0].endswith("8 of 20 clips cannot be used and were left out:")
    assert lines[1:] == [*(f"  {text}" for text in split.unusable[:3]), "  ... and 5 more"]
    with pytest.raises(OperationError, match=r"8 clips of folder:.*`strict` to .*them:") as caught:
        load_split("folder", tmp_path, test_fold="1", strict=True)
    assert str(caught.value).splitlines()[1:] == lines[1:]


def test_names_that_are_not_text_are_refused_for_classes_alone(tmp_path: Path) -> None:
    odd = os.fsdecode(b"\xfe")
    written = write_class_folders(tmp_path / "pets", {"dog": 5, "cat": 5})
    folder = written.rename(tmp_path / os.fsdecode(b"pets\xff"))
    (folder / "dog/0.wav").rename(folder / f"dog/{odd}.wav")
    split = load_split("folder", folder, test_fold="1", strict=True)
    assert split.dataset == r"folder:pets\udcff" and len(labels_of(split)) == 10
    (folder / "dog").rename(folder / odd)
    with pytest.raises(UsageError, match=r"has the folder \\udcfe, whose name is not text"):
        load_split("folder", folder, test_fold="1")


def test_hidden_files_and_remains_of_archives_are_ignored(tmp_path: Path) -> None:
    write_class_folders(tmp_path, {"dog": 5, "cat": 5})
    for name in ("dog/._1.wav", ".cache/x/1.wav", "__MACOSX/dog/1.wav", "dog/.hidden.wav"):
        write_sound(tmp_path / name, 99)
    (tmp_path / "dog/notes.txt").write_text("notes")
    (tmp_path / ".labels.csv").write_text("file,label\n")
    split = load_split("folder", tmp_path, test_fold="1", strict=True)
    assert split.labels == ("cat", "dog") and len(labels_of(split)) == 10


def test_links_are_followed_but_not_in_circles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_class_folders(tmp_path / "real", {"dog": 5, "cat": 5})
    folder = tmp_path / "links"
    folder.mkdir()
    for name in ("dog", "cat"):
        (folder / name).symlink_to(tmp_path / "real" / name)
    (tmp_path / "real/dog/loop").symlink_to(tmp_path / "real/dog")
    with pytest.raises(UsageError, match=r"is a link to .*real.*, outside .*FRAMI_FOLLOW_LINKS=1"):
        load_split("folder", folder, test_fold="1")
    monkeypatch.setenv("FRAMI_FOLLOW_LINKS", "1")
    split = load_split("folder", folder, test_fold="1")
    assert len(labels_of(split)) == 10


def test_table_cannot_name_files_outside_its_folder(tmp_path: Path) -> None:
    write_class_folders(tmp_path / "real", {"dog": 5, "cat": 5})
    write_class_folders(tmp_path / "data", {"cow": 1})
    rows = [f"../real/{label}/{i}.wav,{label}" for label in ("dog", "cat") for i in range(1, 5)]
    (tmp_path / "data/table.csv").write_text("file,label\n" + "\n".join(rows) + "\n")
    with pytest.raises(UsageError):
        load_split("folder", tmp_path / "data", test_fold="1")


def test_equal_files_of_two_classes_are_left_out(tmp_path: Path) -> None:
    write_class_folders(tmp_path, {"dog": 6, "cat": 6})
    shutil.copy(tmp_path / "dog/0.wav", tmp_path / "cat/copy.wav")
    split = load_split("folder", tmp_path, test_fold="1")
    assert len(labels_of(split)) == 11
    assert "cat/copy.wav and dog/0.wav have the same samples" in split.missing


@pytest.mark.parametrize(
    ("columns", "first", "second", "difference"),
    [("", "x;y", "x;z", "labels"), (",onset,offset", "x,0,0.5", "x,0,0.6", "events")],
)
def test_equal_files_with_other_tags_or_events_are_left_out(
    columns: str, first: str, second: str, difference: str, tmp_path: Path
) -> None:
    names = [f"{number}.wav" for number in range(5)]
    rows = [f"{name},{second if name == '1.wav' else first}" for name in names]
    write_listed(tmp_path, "\n".join([f"file,label{columns}", *rows]), names)
    shutil.copy(tmp_path / "0.wav", tmp_path / "1.wav")
    split = load_split("folder", tmp_path, test_fold="1")
    assert len(split.train) + len(split.test) == 3
    assert f"0.wav and 1.wav have the same samples, but different {difference}" in split.missing


@pytest.mark.parametrize("pattern", ["{}", "./{}", "sub/../{}", "{folder}/{}"])
def test_one_file_under_several_paths_counts_once(pattern: str, tmp_path: Path) -> None:
    names = ["a.wav", "b.wav", "sub/c.wav"]
    again = [pattern.format(name, folder=tmp_path) for name in names]
    rows = [f"{name},{label}" for name, label in zip(names + again, "xyxxyx", strict=True)]
    write_listed(tmp_path, "\n".join(["file,label", *rows]), names)
    split = load_split("folder", tmp_path, test_fold="1")
    assert sorted([*split.train.names, *split.test.names]) == names
    assert not split.unlisted and not split.unusable


@pytest.mark.parametrize("header", ["Begin Time (s),End Time (s)", "start_seconds,end_seconds"])
def test_times_with_their_unit_are_events(header: str, tmp_path: Path) -> None:
    rows = "a.wav,x,0.1,0.5\nb.wav,y,0.2,0.4\nb.wav,x,0.3,0.6\n"
    write_listed(tmp_path, f"file,label,{header}\n{rows}", ["a.wav", "b.wav"])
    assert load_split("folder", tmp_path, test_fold="1").task == "sound-events"


TABLES = [
    ("name,kind\na.wav,x\n", "no column 'file' and no column 'label'. Its columns are: name, kind"),
    ("", "Its columns are: none"),
    ("file,label\n", "has no rows below its header"),
    ("file,label\na.wav,x,1\n", "line 2 has 3 cells, but the header has 2"),
    ("file,class,category\na.wav,x,y\n", r"2 columns for the label \(class, category\)"),
    ("file,label\na.wav,x\nb.wav,\n", "line 3: b.wav has no label"),
    ("file,label\n,x\n", "line 2 names no file"),
    ("file,label\na.wav,x\na.wav,y\n", "lines 2 and 3: a.wav has two labels, x and y"),
    ("file,label,group\na.wav,x,1\na.wav,x,2\n", "a.wav is in two groups, '1' and '2'"),
    ("file,label,fold\na.wav,x,1\na.wav,x,2\n", "a.wav is in two folds, '1' and '2'"),
    (
        "file,label,fold\na.wav,x,1\nb.wav,y,\n",
        r"Some clips in .* have no fold \(b.wav; 1 in all\)",
    ),
    ("file,label,fold\na.wav,x,1\nb.wav,y,1\n", "are in the fold '1'. Add another fold"),
    (
        "file,label,fold,group\na.wav,x,1,g\nb.wav,y,2,g\n",
        "has 1 group in several folds: 'g' is in 1 and 2",
    ),
    ("file,label,group\na.wav,x,g\nb.wav,y,g\n", "are of one group"),
    ("file,label\na.wav,x\nb.wav,x\n", r"has 1 class \(x\); at least 2 are needed"),
    ("file,label\nc.wav,x\nd.wav,y\n", r"None of the 2 files in .* \(such as c.wav\)"),
    ("file,label,onset\na.wav,x,1\n", "a column for the onset, but none for the offset"),
    ("file,label,onset,offset\na.wav,x,0.5,0.2\n", "must start at 0 s or later and end after"),
    ("file,label,onset,offset\na.wav,x,0.5,9\nb.wav,y,,\n", "lasts 1.00 s, but x is annotated"),
    ("file,label,onset,offset\na.wav,x,zero,1\n", "line 2: onset is 'zero'; it must be a number"),
    ("file,label,onset,offset\na.wav,,0,1\n", "the event has no label"),
    (
        "file,label,onset,offset\na.wav,x,0,0.5\na.wav,y,,\nb.wav,y,0,1\n",
        "an event with times and one without",
    ),
    ("file,label\nsame.wav,x\nb.wav,y\n", "same.wav may be p/same.wav or q/same.wav"),
    ("file,label\na.wav,x\np/../a.wav,y\nb.wav,y\n", "lines 2 and 3: a.wav has two labels"),
    ("file,label,start_ms,end_ms\na.wav,x,0,9\n", "'start_ms'; times are .* name it 'onset'"),
    ("file,label,Onset (samples)\na.wav,x,0\n", r"'Onset \(samples\)'; times are read in seconds"),
    ("file,label\na.wav,x\nb.wav,nan\n", "line 3: the label is 'nan', which programs write"),
    ("file,label\na.wav,x;#NAME?\nb.wav,y\n", "line 2: the label is '#NAME\\?'"),
    ("file,label,fold\na.wav,x,1\nb.wav,y,NaN\n", "line 3: the fold is 'NaN'"),
    ("file,label,group\na.wav,x,#N/A\nb.wav,y,1\n", "line 2: the group is '#N/A'"),
    ("file,label,fold\na.wav,x,A\nb.wav,y,a\n", "the folds 'A' and 'a', which may be one"),
    ("file,label,fold\na.wav,x,01\nb.wav,y,1\n", "the folds '01' and '1', which may be one"),
    ("file,label,speaker\na.wav,x,S-01\nb.wav,y,s_1 \n", "are of one group"),
    (
        "file,label,fold,group\na.wav,x,1,Al\nb.wav,y,2,al\n",
        "has 1 group in several folds: 'Al' is in 1 and 2",
    ),
]


@pytest.mark.parametrize(("table", "message"), TABLES)
def test_table_that_is_wrong_is_refused(table: str, message: str, tmp_path: Path) -> None:
    write_listed(tmp_path, table, ["a.wav", "b.wav", "p/same.wav", "q/same.wav"])
    with pytest.raises(UsageError, match=message):
        load_split("folder", tmp_path, test_fold="1")


def test_listed_files_that_are_missing_are_left_out_or_refused(tmp_path: Path) -> None:
    table = "file,label,fold\na.wav,x,1\nb.wav,y,1\nc.wav,x,2\nd.wav,y,2\n"
    write_listed(tmp_path, table, ["a.wav", "b.wav", "c.wav", "extra.wav"])
    split = load_split("folder", tmp_path, test_fold="2")
    assert sides(split) == (["a.wav", "b.wav"], ["c.wav"])
    assert "1 of 4 clips cannot be used" in split.missing
    assert "d.wav (line 5 of labels.csv) is not there." in split.missing
    assert "Not listed in labels.csv, so left out: 1 audio file (" in split.missing
    with pytest.raises(OperationError, match="d.wav"):
        load_split("folder", tmp_path, test_fold="2", strict=True)


@pytest.mark.parametrize("name", ["a" * 300 + ".wav", "a/" * 3000 + "d.wav"])
def test_a_listed_name_that_no_file_can_have_is_not_there(name: str, tmp_path: Path) -> None:
    table = f"file,label,fold\na.wav,x,1\nb.wav,y,1\nc.wav,x,2\n{name},y,2\n"
    write_listed(tmp_path, table, ["a.wav", "b.wav", "c.wav"])
    split = load_split("folder", tmp_path, test_fold="2")
    assert "b.wav" in sides(split)[0] and "(line 5 of labels.csv) is not there." in split.missing


def test_several_tables_are_refused_unless_one_alone_has_labels(tmp_path: Path) -> None:
    write_listed(tmp_path, "file,label\na.wav,x\nb.wav,y\n", ["a.wav", "b.wav"])
    (tmp_path / "credits.csv").write_text("author,license\nme,none\n")
    assert load_split("folder", tmp_path, test_fold="1").labels == ("x", "y")
    (tmp_path / "more.csv").write_text("file,label\na.wav,x\n")
    with pytest.raises(UsageError, match=r"several tables .*\(labels.csv, more.csv\)"):
        load_split("folder", tmp_path, test_fold="1")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "has no audio files"),
        (["notes/a.txt"], "has no audio files"),
        (["dog/1.wav", "dog/2.wav"], r"has 1 class \(dog\); at least 2 are needed"),
        (["1.wav", "2.wav"], "nothing tells their classes"),
        (["animal/dog/1.wav", "animal/cat/1.wav", "rain/1.wav"], "has a folder of its own with"),
        (["train/1.wav", "test/1.wav"], "named like folds, but .*test has audio outside class"),
    ],
)
def test_folder_of_another_layout_is_refused(
    names: list[str], message: str, tmp_path: Path
) -> None:
    for sound, name in enumerate(names):
        write_sound(tmp_path / name, sound) if name.endswith(".wav") else None
    with pytest.raises(UsageError, match=message):
        load_split("folder", tmp_path, test_fold="1")


def test_folder_or_fold_that_is_not_there_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRAMI_DATA", str(tmp_path))
    with pytest.raises(UsageError, match="`data` is required with folder"):
        load_split("folder", test_fold="1")
    with pytest.raises(UsageError, match="nowhere is not there. `data` must be the folder of"):
        load_split("folder", tmp_path / "nowhere", test_fold="1")
    write_class_folders(tmp_path / "pets", {"dog": 3, "cat": 3})
    with pytest.raises(UsageError, match="folder:pets has no fold '9'. Its folds are: 1, 2, 3, 4"):
        load_split("folder", tmp_path / "pets", test_fold="9")


def test_leakage_is_found_by_contents(tmp_path: Path) -> None:
    first = write_class_folders(tmp_path / "pets", {"dog": 10, "cat": 10})
    trained = load_split("folder", first, test_fold="1").origin
    assert leakage_warning(trained, load_split("folder", first, test_fold="1")) == ""
    warning = leakage_warning(trained, load_split("folder", first, test_fold="2"))
    assert "with fold 1 of folder:pets held out" in warning and "fold 2" in warning
    # A copy under another name, with one more file in a class.
    shutil.copytree(first, tmp_path / "renamed")
    write_sound(tmp_path / "renamed/dog/new.wav", 1000)
    assert "of folder:renamed" in leakage_warning(
        trained, load_split("folder", tmp_path / "renamed", test_fold="3")
    )
    # Another folder of the same name.
    other = write_class_folders(tmp_path / "other/pets", {"cow": 10, "hen": 30})
    for sound, path in enumerate(sorted(other.rglob("*.wav"))):
        write_sound(path, 500 + sound)
    assert leakage_warning(trained, load_split("folder", other, test_fold="2")) == ""


def test_leakage_is_found_for_small_folds_of_many_clips(tmp_path: Path) -> None:
    lines = ["file,label,fold"]
    for clip in range(96):
        write_sound(tmp_path / f"{clip}.wav", 200 + 20 * clip)
        lines.append(f"{clip}.wav,{'ab'[clip % 2]},speaker{clip // 2}")
    (tmp_path / "clips.csv").write_text("\n".join(lines))
    trained = load_split("folder", tmp_path, test_fold="speaker0").origin
    silent = [
        fold
        for fold in map("speaker{}".format, range(48))
        if not leakage_warning(trained, load_split("folder", tmp_path, test_fold=fold))
    ]
    assert silent == ["speaker0"]


def test_folds_of_one_training_set_do_not_leak(tmp_path: Path) -> None:
    lines = ["file,label,fold"]
    for clip in range(90):
        fold = {0: "validation", 1: "test"}.get(clip // 4, "train")
        write_sound(tmp_path / f"{clip}.wav", 200 + 20 * clip)
        lines.append(f"{clip}.wav,{'ab'[clip % 2]},{fold}")
    (tmp_path / "clips.csv").write_text("\n".join(lines))
    trained = load_split("folder", tmp_path, test_fold="validation").origin
    assert leakage_warning(trained, load_split("folder", tmp_path, test_fold="test")) == ""


@pytest.mark.parametrize("in_table, on_disk", [("NFC", "NFD"), ("NFD", "NFC")])
def test_composed_and_decomposed_letters_are_the_same(
    in_table: Literal["NFC", "NFD"], on_disk: Literal["NFC", "NFD"], tmp_path: Path
) -> None:
    table = unicodedata.normalize(in_table, "file,label\nMöwe 1.wav,Möwe\nb.wav,é\nc.wav,é\n")
    table += unicodedata.normalize(on_disk, "Möwe 2.wav,Möwe\n")
    names = [unicodedata.normalize(on_disk, name) for name in ("Möwe 1.wav", "Möwe 2.wav")]
    write_listed(tmp_path, table, [*names, "b.wav", "c.wav"])
    (tmp_path / "._b.wav").write_bytes(b"macOS")
    split = load_split("folder", tmp_path, test_fold="1")
    assert len(split.train) + len(split.test) == 4 and not split.unusable
    assert split.labels == ("Möwe", "é")


def test_folders_of_one_class_in_composed_and_decomposed_letters(tmp_path: Path) -> None:
    forms: tuple[Literal["NFC", "NFD"], ...] = ("NFC", "NFD")
    for index, form in enumerate(forms):
        folder = tmp_path / ("fold1", "fold2")[index] / unicodedata.normalize(form, "Möwe")
        write_sound(folder / "a.wav", index)
        write_sound(folder.with_name("dog") / "a.wav", 10 + index)
    assert load_split("folder", tmp_path, test_fold="1").labels == ("Möwe", "dog")


def test_links_that_multiply_are_refused_soon(tmp_path: Path) -> None:
    for level in range(40):
        (tmp_path / f"level{level}").mkdir()
        for name in ("a", "b"):
            (tmp_path / f"level{level}" / name).symlink_to(tmp_path / f"level{level + 1}")
    with pytest.raises(UsageError, match="More than 8 links lead to"):
        list(walk_audio(tmp_path))


def test_table_that_is_a_link_out_of_the_folder_is_not_read(tmp_path: Path) -> None:
    write_class_folders(tmp_path / "data", {"dog": 5, "cat": 5})
    (tmp_path / "secret.txt").write_text("root:secret\n")
    (tmp_path / "data/table.csv").symlink_to(tmp_path / "secret.txt")
    with pytest.raises(UsageError, match="is a link to") as error:
        load_split("folder", tmp_path / "data", test_fold="1")
    assert "root:" not in str(error.value)
