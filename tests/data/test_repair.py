"""Damage is noticed by checksums, and the good clips of a damaged store are kept."""

from __future__ import annotations

import random
import struct
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import CliRunner

import frami
from frami.cli import frami as command
from frami.core import files
from frami.core.code import TEACHER_CODE
from frami.core.errors import FramiError, OperationError
from frami.core.run import make_record, read_record
from frami.data.checksums import row_checksums
from frami.data.repair import repair, verify
from frami.data.store import Store
from frami.data.store_file import finite_rows
from frami.models.model import Model
from frami.reporting.inspect import inspect
from frami.reporting.report import report
from tests.data.stores import append_batch, open_writer, renew_checksums


@pytest.fixture
def path(teacher: Model, tmp_path: Path) -> Path:
    """Return a store of 24 clips with different values, closed."""
    writer = open_writer(teacher, tmp_path / "samples.h5")
    for value in range(6):
        append_batch(writer, float(value + 1))
    writer.close()
    return tmp_path / "samples.h5"


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1 << random.Random(place).randrange(8)
    path.write_bytes(content)


def chunk_of(path: Path, index: int) -> int:
    """Return the place of the spectrogram of a clip."""
    with h5py.File(path, "r") as file:
        place: int = file["mel"].id.get_chunk_info(index).byte_offset
        return place


def contents(path: Path) -> dict[str, bytes | str]:
    """Return everything that a store holds, checked; raise if a part is damaged."""
    condition = verify(path)
    if len(condition.lost):
        raise OperationError(condition.describe())
    with Store(path) as store:
        return {
            **store.attributes,
            **{name: store.column(name).tobytes() for name in store.columns},
        }


def test_checksum_is_the_crc_32_of_the_bytes_of_a_row() -> None:
    rows = np.array([[1, 2], [3, 4]], "uint8")
    assert row_checksums(rows).tolist() == [zlib.crc32(b"\1\2"), zlib.crc32(b"\3\4")]
    assert row_checksums(np.frombuffer(b"123456789", "S9")).tolist() == [0xCBF43926]


def test_whole_store_is_verified(path: Path) -> None:
    condition = verify(path)
    assert condition.clips == 24 and not len(condition.lost)
    assert condition.describe() == "All 24 clips have their checksums."


def test_damaged_clip_is_refused_when_it_is_read(path: Path) -> None:
    flip(path, chunk_of(path, 5) + 7)
    with Store(path) as store:
        assert float(store.mel(4).mean()) == 2.0
        with pytest.raises(OperationError, match="clip 5 differs from its checksum in mel"):
            store.mel(5)


def test_distill_refuses_a_damaged_clip(path: Path, teacher: Model, tmp_path: Path) -> None:
    flip(path, chunk_of(path, 5) + 7)
    with pytest.raises(OperationError, match=r"clip 5 differs from its checksum.*frami repair"):
        frami.distill(
            teacher, student="small", out=tmp_path / "s", samples=path, options={"steps": 8}
        )


def test_repair_keeps_the_good_clips(path: Path, tmp_path: Path) -> None:
    before = contents(path)
    for index in (5, 17):
        flip(path, chunk_of(path, index) + 3)
    condition = repair(path, tmp_path / "good.h5")
    assert condition.lost.tolist() == [5, 17] and list(condition.damaged) == ["mel"]
    assert condition.describe() == "2 clips of 24 damaged or missing: 2 in mel."
    assert read_record(tmp_path / "good.run")["settings"]["lost"] == [5, 17]
    after = contents(tmp_path / "good.h5")
    assert {k: v for k, v in after.items() if isinstance(v, str)} == {
        k: v for k, v in before.items() if isinstance(v, str)
    }
    size = len(before["mel"]) // 24
    good = [i for i in range(24) if i not in (5, 17)]
    assert isinstance(before["mel"], bytes)
    assert after["mel"] == b"".join(before["mel"][i * size : (i + 1) * size] for i in good)


def test_repaired_store_is_never_without_its_record(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.ensure_dir(tmp_path / "samples.run")
    record = make_record("synthesize", {}, 0.0, teacher="", **{TEACHER_CODE: ["net.py:build"]})
    files.write_json(tmp_path / "samples.run" / "run.json", record)

    def die(_: Path) -> None:
        assert (tmp_path / "good.run" / "run.json").is_file()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("frami.data.whole_store.Store", die)
        repair(path, tmp_path / "good.h5")
    assert not (tmp_path / "good.h5").exists()
    repair(path, tmp_path / "good.h5")
    assert read_record(tmp_path / "good.run")[TEACHER_CODE] == ["net.py:build"]


def test_repair_of_a_store_that_was_cut_off(path: Path, tmp_path: Path) -> None:
    places = [chunk_of(path, index) for index in range(24)]
    cut = sorted(places)[20]
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(OperationError, match="is truncated"):
        Store(path)
    condition = repair(path, tmp_path / "good.h5")
    kept = [i for i in range(24) if i not in condition.lost]
    assert 0 < len(kept) <= 20
    with Store(tmp_path / "good.h5") as store:
        assert [float(store.mel(i).mean()) for i in range(len(store))] == [1 + i // 4 for i in kept]


def test_repair_without_a_description_or_good_clips_is_refused(path: Path, tmp_path: Path) -> None:
    original = path.read_bytes()
    path.write_bytes(original.replace(b'"seed": 0', b'"seed": 1'))
    with pytest.raises(OperationError, match="attributes do not have their checksum"):
        Store(path)
    with pytest.raises(OperationError, match=r"The description of .* is damaged"):
        repair(path, tmp_path / "good.h5")
    path.write_bytes(original[:3000])
    with pytest.raises(OperationError):
        repair(path, tmp_path / "good.h5")
    assert not (tmp_path / "good.h5").exists() and not list(tmp_path.glob(".*"))


def test_store_without_checksums_is_damaged(path: Path, tmp_path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file["checksum"]
    for use in (verify, Store):
        with pytest.raises(OperationError, match="is damaged .it has no column checksum"):
            use(path)
    with pytest.raises(OperationError, match="The list of columns"):
        repair(path, tmp_path / "good.h5")
    with h5py.File(path, "r+") as file:
        del file.attrs["checksum"]
    with pytest.raises(OperationError, match="attributes do not have their checksum"):
        verify(path)
    with pytest.raises(OperationError, match="The description of"):
        repair(path, tmp_path / "good.h5")


def test_commands_verify_and_repair(path: Path, tmp_path: Path) -> None:
    run = CliRunner()
    result = run.invoke(command, ["inspect", str(path), "--verify"])
    assert result.exit_code == 0 and "All 24 clips have their checksums." in result.output
    flip(path, chunk_of(path, 5))
    result = run.invoke(command, ["inspect", str(path), "--verify"])
    assert isinstance(result.exception, OperationError)
    assert "1 clip of 24 damaged or missing: 1 in mel." in str(result.exception)
    result = run.invoke(command, ["repair", str(path), "--out", str(tmp_path / "good.h5")])
    assert "holds the other 23 clips" in result.output
    flip(path, chunk_of(path, 7))
    result = run.invoke(command, ["repair", str(path), "--out", str(tmp_path / "fewer.h5")])
    assert "holds the other 22 clips" in result.output
    repaired = str(tmp_path / "good.h5")
    result = run.invoke(command, ["repair", repaired, "--out", str(tmp_path / "all.h5")])
    assert "holds all 23 clips" in result.output


@pytest.mark.parametrize("kind", ["flip", "cut"])
def test_no_damage_is_read_as_good(kind: str, path: Path) -> None:
    # The whole numbers are in `make fuzz`.
    original, before = path.read_bytes(), contents(path)
    rng, refused = random.Random(5), 0
    for _ in range(40):
        place = rng.randrange(len(original))
        if kind == "flip":
            path.write_bytes(original)
            flip(path, place)
        else:
            path.write_bytes(original[:place])
        try:
            assert contents(path) == before  # the byte has no meaning
        except FramiError:
            refused += 1
    assert refused == 40 or (kind == "flip" and refused > 4)


def test_repaired_store_that_is_cut_off_loses_spectrograms_only(path: Path, tmp_path: Path) -> None:
    repair(path, tmp_path / "first.h5")
    content = (tmp_path / "first.h5").read_bytes()
    (tmp_path / "cut.h5").write_bytes(content[: chunk_of(tmp_path / "first.h5", 20)])
    condition = repair(tmp_path / "cut.h5", tmp_path / "second.h5")
    assert list(condition.damaged) == ["mel"] and condition.lost.tolist() == [20, 21, 22, 23]


def test_small_file_that_claims_many_clips_is_not_walked(path: Path, tmp_path: Path) -> None:
    content = path.read_bytes()
    with h5py.File(path) as file:
        clips = len(file["target"])
    sizes = struct.pack("<Q", clips)
    at = -1
    changed = bytearray(content)
    while (at := content.find(sizes, at + 1)) >= 0:
        if content[at - 8] == 1 and 1 <= content[at - 7] <= 3 and content[at - 6] == 1:
            struct.pack_into("<Q", changed, at, 5_000_000)
    path.write_bytes(changed)
    with pytest.raises(OperationError, match="list of columns .* is damaged"):
        repair(path, tmp_path / "good.h5")


@pytest.mark.parametrize("name", ["mel", "teacher_logits"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_damage(name: str, value: float, path: Path) -> None:
    """An attacker can compute checksums anew; pictures and shares of such values are wrong."""
    with h5py.File(path, "r+") as file:
        file[name][0, 1] = value
        renew_checksums(file)
    sentence = f"clip 0 has NaN or infinity in {name}"
    with Store(path) as store, pytest.raises(OperationError, match=sentence):
        store.column(name)
    for read in (
        lambda: inspect(path, path.parent / "pictures"),
        lambda: report([path], path.parent / "page.html", clips=4),
    ):
        with pytest.raises(OperationError, match=sentence):
            read()
    assert verify(path).lost.tolist() == [0]
    repair(path, path.parent / "good.h5")
    with Store(path.parent / "good.h5") as store:
        assert len(store) == 23 and np.isfinite(store.column(name)).all()


def test_rows_are_finite_as_numpy_says() -> None:
    rng = np.random.default_rng(0)
    for name, kind, shape in (("mel", np.float16, (4, 3)), ("teacher_logits", np.float32, (5,))):
        values = rng.standard_normal((40, *shape)).astype(kind)
        values.reshape(-1)[[3, 70, 131]] = np.nan, np.inf, -np.inf
        values.reshape(-1)[[20, 90]] = np.finfo(kind).max, np.finfo(kind).tiny / 2
        expected = np.isfinite(values).reshape(40, -1).all(axis=1)
        assert finite_rows(name, values).tolist() == expected.tolist() and expected.sum() == 37
        assert finite_rows(name, values[:0]).tolist() == []  # of a store without clips yet
        assert finite_rows("losses", values).all()
