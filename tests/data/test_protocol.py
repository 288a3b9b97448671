"""The rows of a data set's table do not contradict each other, its files or their names."""

from __future__ import annotations

from pathlib import Path

import pytest

from frami.core.errors import UsageError
from frami.data.faults import FaultsError
from frami.data.protocol import ProtocolClip, Table, read_protocol

TABLE = Table(
    "meta.csv",
    file="filename",
    fold="fold",
    target="target",
    label="category",
    flag="esc10",
    file_name=r"(?P<fold>\d+)-\d+-\w+-(?P<target>\d+)",
)
HEADER = "filename,fold,target,category,esc10\n"
ROWS = [
    "1-10-A-0.wav,1,0,dog,True",
    "1-11-A-1.wav,1,1,rooster,False",
    "2-20-A-0.wav,2,0,dog,True",
]


def read(folder: Path, text: str, encoding: str = "utf-8") -> list[ProtocolClip]:
    (folder / "meta.csv").write_bytes(text.encode(encoding))
    return read_protocol(TABLE, folder, absent="")


EXPECTED = [
    ProtocolClip("1-10-A-0.wav", "1", 0, "dog", True),
    ProtocolClip("1-11-A-1.wav", "1", 1, "rooster", False),
    ProtocolClip("2-20-A-0.wav", "2", 0, "dog", True),
]
WHOLE = HEADER + "\n".join(ROWS) + "\n"


@pytest.mark.parametrize(
    "text, encoding",
    [
        (WHOLE, "utf-8"),
        (WHOLE, "utf-8-sig"),
        (WHOLE.replace("\n", "\r\n"), "utf-8"),
        (WHOLE.replace(",", ";"), "utf-8"),
        (WHOLE.replace(",", "\t"), "utf-8"),
        ("sep=;\r\n" + WHOLE.replace(",", ";"), "utf-8-sig"),
        (WHOLE.replace("True", "TRUE").replace("False", "FALSE"), "utf-8"),
        (WHOLE.replace("True", "1.0").replace("False", "0"), "utf-8"),
        (WHOLE.replace(",1,", ",1.0,").replace(",0,", ",0.0,"), "utf-8"),
        (WHOLE + ROWS[0] + "\n", "utf-8"),  # a row given twice counts once
    ],
)
def test_a_table_is_read_however_a_spreadsheet_saved_it(
    text: str, encoding: str, tmp_path: Path
) -> None:
    assert read(tmp_path, text, encoding) == EXPECTED


@pytest.mark.parametrize(
    "rows, words",
    [
        (["1-10-A-0.wav,1,0,cat,True", *ROWS[1:]], "lines 2 and 4: target 0 has the names 'cat' "),
        ([ROWS[0], "1-11-A-1.wav,1,1,dog,False"], "2 and 3: the class 'dog' has the numbers 0 and"),
        (["1-10-A-0.wav,1,0,,True"], "line 2: category is empty"),
        ([",1,0,dog,True"], "line 2: filename is empty"),
        (["1-10-A-0.wav,1,1,rooster,True"], "target is 1, but the name of the file .* says 0"),
        (["1-10-A-0.wav,3,0,dog,True"], "fold is 3, but the name of the file .* says 1"),
        ([ROWS[0], "1-10-A-0.wav,1,0,dog,False"], "lines 2 and 3: .* is listed twice: esc10 True"),
        (["x.wav,1,0,dog,True", "x.flac,2,0,dog,True"], "lines 2 and 3: x.flac is listed twice: "),
        (["1-10-A-0.wav,1,0.5,dog,True"], "target is '0.5'; it must be a whole number"),
        (["1-10-A-0.wav,one,0,dog,True"], "fold is 'one'; it must be a number"),
        (["1-10-A-0.wav,1,0,dog,maybe"], "esc10 is 'maybe'; it must be True or False"),
    ],
)
def test_rows_that_contradict_each_other_are_refused(
    rows: list[str], words: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=words):
        read(tmp_path, HEADER + "\n".join(rows))


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    moved = ["1-11-A-1.wav,1,0,dog,True", "2-20-A-0.wav,1,1,rooster,False", "1-10-A-0.wav,2,0,,x"]
    with pytest.raises(FaultsError, match="There are 4 faults") as caught:
        read(tmp_path, HEADER + "\n".join(moved))
    assert [fault.split(": ")[1].split(",")[0] for fault in caught.value.faults] == [
        "category is empty; write it there.",
        "target is 0",
        "fold is 1",
        "target is 1",
    ]
