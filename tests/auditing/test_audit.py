"""Whole audits of toys: what must be found is found, what is not there is not."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import kstest

from frami.audio.io import read_audio
from frami.auditing import audit as audit_module
from frami.auditing import auditor, shadows, training
from frami.auditing.attacks import loss_score, rmia_score
from frami.auditing.audit import Audit, audit, read_audit
from frami.auditing.blind import summary_features
from frami.auditing.neighbors import PAIRS, SPACES
from frami.auditing.pool import Pool
from frami.auditing.references import References
from frami.auditing.resampling import permutation_test
from frami.auditing.signals import Signal, clip_losses, subset
from frami.auditing.subjects import direct_attacks
from frami.auditing.training import halves
from frami.core.errors import UsageError
from frami.data.clips import Spectrograms
from frami.export.export import export_student
from frami.inversion.synthesize import synthesize
from frami.models.model import Model
from frami.prediction.loading import make_predictor
from frami.reporting.report import report
from frami.training.distill import distill
from tests.auditing.conftest import FAST_TESTS, noise_pool, train_toy
from tests.conftest import FAST

FORBIDDEN = ("private", "anonym", "complian", "GDPR", "safe", "secure")
SMALL = {**FAST_TESTS, "reference_steps": 10}


def check_words(result: Audit, out: Path) -> None:
    """Fail if a text claims what no audit can show, or lacks what it must say."""
    document = (out / "audit.md").read_text()
    text = " ".join([*result.lines(), document]).replace("differentially private", "")
    text = text.replace("on private recordings", "")
    assert not [word for word in FORBIDDEN if word in text]
    assert "Store and student are derived from the recordings" in text
    kinds = {verdict.kind for verdict in result.verdicts}
    assert kinds <= {"leakage found", "none found at this power", "not decidable"}


@pytest.mark.slow
def test_a_teacher_that_memorized_is_caught_with_its_student(
    memorizer: Model, folders: dict[str, Any], tmp_path: Path
) -> None:
    store = tmp_path / "samples.h5"
    quick: dict[str, Any] = {"precision": "float32", "seed": 0}
    synthesize(memorizer, store, samples=64, batch_size=32, options=FAST, **quick).close()
    student = distill(
        memorizer, samples=store, out=tmp_path / "student", width=4, options={"steps": 5}, **quick
    )
    out = tmp_path / "out"
    result = audit(
        memorizer, out, **folders, student=student, samples=store, references=2, persons=True,
        epsilon=0.1, delta=1e-5, options=SMALL, **quick,
    )  # fmt: skip
    check_words(result, out)
    kinds = {verdict.subject: verdict.kind for verdict in result.verdicts}
    assert kinds["teacher"] == kinds["student"] == "leakage found"
    reasons = {verdict.subject: verdict.reason for verdict in result.verdicts}
    assert "recognizes at least" in reasons["teacher"] and "(measured" in reasons["teacher"]
    leaking = {f["attack"] for f in result.content["subjects"]["student"] if f["leaks"]}
    assert "difference" in leaking  # the teacher gives its student away
    assert kinds["store"] == "not decidable" and "no evidence of absence" in reasons["store"]
    statements = " ".join(result.statements)
    assert "inverting the class is the leak" in statements
    assert "(0.1, 1e-05)-differentially private" in statements
    assert "is above the stated epsilon of 0.1" in statements
    assert "does not cover moments" in statements
    with np.load(out / "neighbors.npz") as saved:
        assert saved["input_store_members_indices"].shape == (64,)
        assert saved["embedding_others_members_distances"].shape == (100,)
        assert saved["member_names"][0].startswith(str(folders["members"]))
    with np.load(out / "scores.npz") as saved:
        assert saved["teacher: rmia"].shape == saved["is_member"].shape == (200,)
    assert not list(out.rglob("weights.safetensors"))  # no model of the recordings is left behind
    assert read_audit(out).lines() == result.lines()


@pytest.mark.slow
def test_the_store_of_a_teacher_that_memorized_is_caught(
    memorizer: Model, folders: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its student: the student is distilled from synthetic clips alone."""
    store, steps = tmp_path / "samples.h5", 300
    quick: dict[str, Any] = {"precision": "float32", "seed": 0}
    inversion = {**FAST, "steps": 20}
    monkeypatch.setattr(shadows, "synthesize", partial(synthesize, options=inversion))
    synthesize(memorizer, store, samples=512, batch_size=64, options=inversion, **quick).close()
    student = distill(
        memorizer, samples=store, out=tmp_path / "s", width=8, options={"steps": steps}, **quick
    )
    options = {**FAST_TESTS, "shadow_clips": 64, "shadow_steps": steps}
    result = audit(
        memorizer, tmp_path / "out", **folders, student=student, samples=store, references=2,
        shadows=2, recordings=True, options=options, **quick,
    )  # fmt: skip
    kinds = {verdict.subject: verdict.kind for verdict in result.verdicts}
    assert kinds == dict.fromkeys(("teacher", "student", "store"), "leakage found")
    found = {finding["attack"]: finding for finding in result.content["subjects"]["store"]}
    assert found["probe"]["leaks"] and found["probe"]["area"] > 0.6
    assert json.loads((tmp_path / "out/run.json").read_text())["given"] == options
    _check_pairs(tmp_path / "out", memorizer)


def _check_pairs(out: Path, model: Model) -> None:
    """The kept spectrograms are those of the nearest recordings, and a page shows them."""
    with np.load(out / "pairs.npz") as pairs, np.load(out / "neighbors.npz") as neighbors:
        assert len(pairs["space"]) == 3 * len(SPACES) * len(PAIRS)
        first = {name: pairs[name][0] for name in ("space", "source", "target")}
        assert tuple(first.values()) == ("input", "store", "members")
        distances = neighbors["input_store_members_distances"]
        assert pairs["distance"][0] == distances.min()
        assert pairs["source_index"][0] == distances.argmin()
        index = pairs["target_index"][0]
        waveform = read_audio(neighbors["member_names"][index], model.front_end.sample_rate)
        expected = model.front_end(waveform).half().numpy()
        assert (pairs[f"members {index}"] == expected).all()
    page = report([out.parent / "samples.h5", out], out.parent / "page.html", recordings=True)
    text = page.read_text(encoding="utf-8")
    assert "A synthetic clip and the nearest member, by spectrograms" in text
    assert "Spectrogram of member" in text


@pytest.mark.slow
def test_p_values_are_uniform_if_the_teacher_was_trained_without_the_members() -> None:
    """20 repetitions with new clips, new teachers and new reference models."""
    p_values: dict[str, list[float]] = {"loss": [], "rmia": []}
    for repetition in range(20):
        pool = noise_pool(100 + 10 * repetition, 40, 40)
        elsewhere = noise_pool(105 + 10 * repetition, 40, 2).clips
        loss = _quick_losses(elsewhere, pool, 1)
        rng = np.random.default_rng(repetition)
        # Both sides have equal numbers of each class, so that their losses differ less than chance.
        is_member = rng.permutation(pool.is_member)
        is_in = halves(pool.groups, 2, rng)
        panel = [_quick_losses(subset(pool.clips, np.flatnonzero(row)), pool, 3) for row in is_in]
        scores = {
            "loss": loss_score(loss),
            "rmia": rmia_score(loss, np.array(panel), is_in),
        }
        for name, values in scores.items():
            test = permutation_test(values, is_member, pool.groups, rng, 499)
            p_values[name].append(test.p_value)
    for name, drawn in p_values.items():
        assert kstest(drawn, "uniform").pvalue > 0.01, name


def test_p_values_of_lira_are_uniform_if_members_are_like_others() -> None:
    """20 repetitions on losses of 16 reference models, half of them trained on each clip."""
    p_values: dict[str, list[float]] = {}
    for repetition in range(20):
        rng = np.random.default_rng(repetition)
        hard = rng.gamma(2.0, size=60)  # what makes a clip hard is the same for all models
        member, groups = rng.permutation(60) < 30, np.arange(60)
        is_in = halves(groups, 16, rng)
        references = hard * rng.gamma(8.0, 0.1, (16, 60)) * np.where(is_in, 0.3, 1.0)
        losses = Signal(hard * rng.gamma(8.0, 0.1, 60), hard)
        panel = References(is_in, references, references)
        for attack in direct_attacks(losses, panel):
            test = permutation_test(attack.values, member, groups, rng, 499)
            p_values.setdefault(attack.attack, []).append(test.p_value)
    assert {"loss", "rmia", "lira online", "lira offline"} <= set(p_values)
    for name, drawn in p_values.items():
        assert kstest(drawn, "uniform").pvalue > 0.01, name


def _quick_losses(clips: Spectrograms, pool: Pool, seed: int) -> np.ndarray:
    model = train_toy(clips, seed, width=4, steps=8, batch_size=20)
    return clip_losses(make_predictor(model), pool.clips)


def test_a_teacher_of_other_recordings_gets_no_leakage(
    teacher: Model, folders: dict[str, Any], tmp_path: Path
) -> None:
    result = audit(teacher, tmp_path / "out", **folders, options=FAST_TESTS, precision="float32")
    check_words(result, tmp_path / "out")
    (verdict,) = result.verdicts
    assert verdict.kind == "none found at this power"
    assert "With 100 members, 100 others, no reference models" in verdict.reason
    assert "would have been seen with a probability of 0.9" in verdict.reason


def test_sides_that_differ_are_not_decidable(
    memorizer: Model, folders: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The members are louder, as if another microphone had recorded them."""

    def shifted(pool: Pool) -> np.ndarray:
        return summary_features(pool) + 1.0 * pool.is_member[:, None]

    monkeypatch.setattr(auditor, "summary_features", shifted)
    result = audit(
        memorizer, tmp_path / "out", **folders, student=memorizer, references=2,
        options=SMALL, precision="float32",
    )  # fmt: skip
    assert [verdict.kind for verdict in result.verdicts] == ["not decidable"] * 2
    assert "a blind classifier tells them apart without any model" in result.verdicts[0].reason
    assert not result.content["subjects"] and not (tmp_path / "out" / "references").exists()


@pytest.mark.slow
def test_an_interrupted_audit_goes_on_where_it_stopped(
    memorizer: Model, folders: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    trained: list[str] = []
    train = training.Trainer.train

    def counted(self: Any, *arguments: Any, **options: Any) -> Model:
        if len(trained) == 1:
            trained.append("interrupted")
            raise KeyboardInterrupt
        trained.append("model")
        return train(self, *arguments, **options)

    monkeypatch.setattr(training.Trainer, "train", counted)
    words: dict[str, Any] = {**folders, "references": 2, "precision": "float32"}
    words["options"] = {**SMALL, "reference_steps": 2}
    with pytest.raises(KeyboardInterrupt):
        audit(memorizer, out, **words)
    first = (out / "references" / "000.npz").stat().st_mtime_ns
    result = audit(memorizer, out, **words)
    assert trained == ["model", "interrupted", "model"]
    assert (out / "references" / "000.npz").stat().st_mtime_ns == first
    assert audit(memorizer, out, **words).lines() == result.lines()
    fresh = audit(memorizer, tmp_path / "fresh", **words)
    assert fresh.content["subjects"] == result.content["subjects"]
    content = json.loads((out / "audit.json").read_text())
    assert content["teacher"] == memorizer.fingerprint and content["references"] == 2


@pytest.mark.slow
def test_a_killed_audit_gives_the_same_result(
    memorizer: Model, folders: dict[str, Any], tmp_path: Path
) -> None:
    """Kill it within the first reference model, and after it; then let it finish."""
    memorizer.save(tmp_path / "teacher", settings={**memorizer.provenance["settings"], "steps": 40})
    out, first = tmp_path / "out", tmp_path / "out/references/000"
    words = [
        *("audit", "--teacher", tmp_path / "teacher", "--members", folders["members"]),
        *("--others", folders["others"], "--references", "2", "--precision", "float32"),
        *(word for name, value in FAST_TESTS.items() for word in ("--set", f"{name}={value}")),
        *("--threads", "1", "--out", out),
    ]
    code = (
        "import sys; from frami.core import run; run.SECONDS_BETWEEN_CHECKPOINTS = 0.0; "
        "from frami.cli import main; sys.argv[0] = 'frami'; main()"
    )
    command = [sys.executable, "-c", code, *map(str, words)]
    for reached in (first / "teacher/state.pt", first.with_suffix(".npz")):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not reached.exists():
            assert process.poll() is None
            time.sleep(0.005)
        process.kill()
        assert process.wait() == -signal.SIGKILL
    trained = first.with_suffix(".npz").stat().st_mtime_ns
    subprocess.run(command, check=True, capture_output=True)
    assert first.with_suffix(".npz").stat().st_mtime_ns == trained
    command[-1] = str(tmp_path / "fresh")
    subprocess.run(command, check=True, capture_output=True)
    assert (out / "audit.json").read_bytes() == (tmp_path / "fresh/audit.json").read_bytes()


def test_recordings_are_read_after_the_settings_of_the_folder_are_checked(
    teacher: Model, folders: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words: dict[str, Any] = {**folders, "options": FAST_TESTS, "precision": "float32"}
    audit(teacher, tmp_path / "out", **words)
    monkeypatch.setattr(audit_module, "load_pool", lambda *_, **__: pytest.fail("was read"))
    with pytest.raises(UsageError, match=r"holds a run with other settings \(seed 0, now 1\)"):
        audit(teacher, tmp_path / "out", **words, seed=1)
    (tmp_path / "other").mkdir()
    (tmp_path / "other/audit.md").write_text("mine")
    with pytest.raises(UsageError, match=r"holds audit.md, but no record of a run"):
        audit(teacher, tmp_path / "other", **words)
    with pytest.raises(UsageError, match="`recordings` needs `samples`"):
        audit(teacher, tmp_path / "new", **words, recordings=True)


def test_losses_are_the_cross_entropy_of_the_labels(pool: Pool, memorizer: Model) -> None:
    losses = clip_losses(make_predictor(memorizer), pool.clips)
    for index in (0, 150):
        mel = pool.clips.mel(index)
        logits = memorizer.network(mel.unsqueeze(0)).logits.double()[0]
        target = int(pool.clips.targets[index])
        expected = -float(logits.log_softmax(dim=0)[target].detach())
        assert losses[index] == pytest.approx(expected, abs=1e-5)


@pytest.mark.slow
def test_canaries_in_training_are_found(
    memorizer: Model, folders: dict[str, Any], tmp_path: Path
) -> None:
    result = audit(
        memorizer, tmp_path / "out", **folders, canaries=60,
        options=FAST_TESTS, precision="float32",
    )  # fmt: skip
    verdict = result.verdicts[-1]
    assert (verdict.subject, verdict.kind) == ("canaries", "leakage found")
    assert "of the canaries that were in training as such" in verdict.reason
    assert "of the other canaries" in verdict.reason


def test_halves_are_complementary_and_divide_no_group() -> None:
    groups = np.repeat(np.arange(30), 3)
    is_in = halves(groups, 6, np.random.default_rng(0))
    assert (is_in.sum(axis=0) == 3).all()
    assert (is_in[0] == ~is_in[1]).all() and not (is_in[0] == is_in[2]).all()
    assert all(len({*row[groups == group].tolist()}) == 1 for row in is_in for group in range(30))
    assert np.abs(is_in.sum(axis=1) - 45).max() <= 3


def test_lira_needs_sixteen_reference_models(pool: Pool, memorizer: Model) -> None:
    rng = np.random.default_rng(0)
    losses = Signal(rng.gamma(1, size=200), rng.gamma(1, size=200))
    for number, expected in ((0, 2), (2, 3), (14, 3), (16, 5)):
        is_in = halves(pool.groups, number, rng)
        panel = References(is_in, rng.gamma(1, size=(number, 200)), np.zeros((number, 200)))
        assert len(direct_attacks(losses, panel)) == expected


def test_a_student_with_another_front_end_gets_its_own_spectrograms(
    memorizer: Model, folders: dict[str, Any], tmp_path: Path
) -> None:
    wider = replace(memorizer, front_end=replace(memorizer.front_end, mean=2.0))
    result = audit(
        memorizer, tmp_path / "out", **folders, student=[memorizer, wider],
        options=FAST_TESTS, precision="float32",
    )  # fmt: skip
    teacher, same, other = (found[0] for found in result.content["subjects"].values())
    assert same["area"] == teacher["area"] != other["area"]


@pytest.mark.slow
def test_an_exported_file_is_audited_like_its_model(
    memorizer: Model, folders: dict[str, Any], tmp_path: Path
) -> None:
    pytest.importorskip("onnxruntime")
    export_student(memorizer, tmp_path / "ship", threads=1)
    file = tmp_path / "ship" / "model.onnx"
    result = audit(
        memorizer, tmp_path / "out", **folders, student=[memorizer, file],
        options=FAST_TESTS, precision="float32",
    )  # fmt: skip
    areas = [found[0]["area"] for found in result.content["subjects"].values()]
    assert areas == pytest.approx([areas[0]] * 3, abs=1e-3)
    assert [verdict.kind for verdict in result.verdicts] == ["leakage found"] * 3
