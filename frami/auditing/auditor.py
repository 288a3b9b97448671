"""Run the stages of an audit: validity, reference models, attacks, verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from frami.auditing import neighbors
from frami.auditing.arrays import Arrays, compute_once, save_arrays
from frami.auditing.blind import summary_features
from frami.auditing.canaries import train_with_canaries
from frami.auditing.evaluation import Finding, Scores, evaluate_all
from frami.auditing.guarantee import describe, epsilon_bound
from frami.auditing.neighbors import Vectors
from frami.auditing.pool import Pool, spectrograms_of
from frami.auditing.references import Panel, train_panel
from frami.auditing.settings import AuditSettings
from frami.auditing.shadows import Pipeline
from frami.auditing.signals import Signal, read_signal
from frami.auditing.subjects import DESCRIPTIONS, direct_attacks, probe_attacks, student_attacks
from frami.auditing.training import Trainer
from frami.auditing.validity import Validity
from frami.auditing.verdict import DERIVED, NO_EVIDENCE, PERSONS, Verdict, decide, not_decidable
from frami.auditing.work import Subject, Work
from frami.core.progress import ProgressCallback
from frami.core.seeds import Stream, make_numpy_rng
from frami.core.text import count
from frami.data.store import Store
from frami.models.model import Model
from frami.prediction.loading import make_predictor

SCORES, PROBE = "scores.npz", "probe"
TEACHER, STORE, CANARIES = "teacher", "store", "canaries"


@dataclass
class Auditor:
    """A running audit. It collects verdicts, findings and scores.

    Attributes:
        teacher: The teacher.
        students: The students.
        store: The store, or None.
        pool: Members and others.
        trainer: How reference models are trained.
        settings: Settings of the audit.
        work: Models to train, and statements of the user.
        out: Folder of the audit.
        verdicts: One verdict for each subject.
        findings: What the attacks on each subject found.
        scores: Scores of each attack, by ``subject: attack``.
    """

    teacher: Model
    students: Sequence[Subject]
    store: Store | None
    pool: Pool
    trainer: Trainer
    settings: AuditSettings
    work: Work
    out: Path
    verdicts: list[Verdict] = field(default_factory=list)
    findings: dict[str, list[Finding]] = field(default_factory=dict)
    scores: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def subjects(self) -> list[str]:
        """Names of all subjects."""
        names = [TEACHER, *(student.name for student in self.students)]
        names += [STORE] if self.store is not None else []
        return names + ([CANARIES] if self.work.canaries else [])

    @property
    def _panel_steps(self) -> int:
        """Training steps of all reference models and shadow students."""
        references = self.work.references * self.trainer.settings.steps
        return references + self.work.shadows * self.settings.shadow_steps

    def run(self, notes: Sequence[str], report: ProgressCallback) -> dict[str, Any]:
        """Return the content of the result; stop early if nothing can be decided."""
        report(0)
        features = summary_features(self.pool)
        nearest: dict[str, Any] = {}
        validity = Validity(self.pool, self.settings)
        if reason := validity.too_few() or validity.blind(features, self._rng(0)):
            self._stop(reason)
        else:
            panel = self._panel(report)
            if reason := validity.unlike(panel.references, self._rng(1)):
                self._stop(reason)
            else:
                self._attack_models(panel, features)
                nearest = self._attack_store(panel, report) if self.store is not None else {}
                self._attack_canaries(report)
                self._save_scores()
        return {
            "verdicts": [asdict(verdict) for verdict in self.verdicts],
            "statements": self._statements(),
            "validity": validity.sentences,
            "subjects": {n: [asdict(f) for f in found] for n, found in self.findings.items()},
            "attacks": {
                f.attack: DESCRIPTIONS[f.attack] for found in self.findings.values() for f in found
            },
            "neighbors": nearest,
            "recordings": self.pool.describe(notes),
        }

    def _rng(self, *position: int) -> np.random.Generator:
        return make_numpy_rng(self.trainer.seed, Stream.AUDIT_TESTS, *position)

    def _stop(self, reason: str) -> None:
        self.verdicts = [not_decidable(name, reason) for name in self.subjects]

    def _panel(self, report: ProgressCallback) -> Panel:
        return train_panel(
            self.pool,
            self.trainer,
            self.out,
            self.work.references,
            self.work.shadows,
            self.settings,
            report,
        )

    def _attack_models(self, panel: Panel, features: np.ndarray) -> None:
        settings, seed = self.settings, self.trainer.seed
        with self.trainer.runtime.placed(self.teacher.network):
            teacher = read_signal(make_predictor(self.teacher), self.pool.clips, settings, seed)
        models = _number(len(panel.references), "reference model")
        self._decide(TEACHER, direct_attacks(teacher, panel.references), models)
        if len(panel.shadows):
            models += f", {_number(len(panel.shadows), 'shadow pipeline')}"
        for student in self.students:
            clips = spectrograms_of(self.pool, self.teacher, student.predictor.front_end)
            signal = read_signal(student.predictor, clips, settings, seed)
            attacks = student_attacks(
                signal, teacher, panel.references, panel.shadows, self.pool, features, settings
            )
            self._decide(student.name, attacks, models)

    def _decide(self, subject: str, attacks: list[Scores], models: str) -> None:
        """Evaluate attacks on a subject, and add the verdict."""
        pool, number = self.pool, 10 + len(self.findings)
        found = evaluate_all(attacks, pool.is_member, pool.groups, self.settings, self._rng(number))
        self.findings[subject] = found
        self.scores |= {f"{subject}: {attack.attack}": attack.values for attack in attacks}
        sizes = pool.n_members, pool.n_others
        self.verdicts.append(decide(subject, found, self.settings, sizes, models))

    def _attack_store(self, panel: Panel, report: ProgressCallback) -> dict[str, Any]:
        """Attack the store; write and describe the nearest neighbors."""
        assert self.store is not None
        vectors = Vectors.compute(self.teacher, self.store, self.pool, self.trainer.runtime)
        attacks = [Scores("distance", vectors.distance_scores())]
        if len(panel.shadows):
            attacks += probe_attacks(self._probe(report), panel.shadows)
        models = _number(len(panel.shadows), "shadow pipeline")
        self._decide(STORE, attacks, models)
        if not len(panel.shadows) and not any(f.leaks for f in self.findings[STORE]):
            self.verdicts[-1] = not_decidable(
                STORE,
                f"Without `shadows`, only distances to synthetic clips were tested. They found "
                f"nothing, and are {NO_EVIDENCE}.",
            )
        names = np.array(self.pool.names)
        arrays = {
            f"{key}_{part}": getattr(found, part)
            for key, found in vectors.neighbors().items()
            for part in ("indices", "distances")
        }
        member = self.pool.is_member
        save_arrays(
            self.out / neighbors.FILE,
            {**arrays, "member_names": names[member], "other_names": names[~member]},
        )
        ratios = vectors.median_ratios(self._rng(2))
        return {"label": NO_EVIDENCE, "file": neighbors.FILE, "ratios": ratios}

    def _probe(self, report: ProgressCallback) -> Signal:
        """Return the losses of a student that is distilled from the store as a shadow is."""
        store, base = self.store, self._panel_steps
        assert store is not None

        def train(work: Path) -> Arrays:
            signal = Pipeline(self.pool, self.settings, self.trainer).distill(
                self.teacher,
                store,
                work,
                self.work.shadows,
                lambda step, note="": report(base + step, f"student of the store; {note}"),
            )
            return signal.arrays()

        return Signal(**compute_once(self.out / PROBE, train))

    def _attack_canaries(self, report: ProgressCallback) -> None:
        if not self.work.canaries:
            return
        base = self._panel_steps
        if self.store is not None and self.work.shadows:
            base += self.settings.shadow_steps  # of the student of the store
        canaries = train_with_canaries(
            self.pool,
            self.trainer,
            self.out,
            self.work.canaries,
            lambda step, note="": report(base + step, f"teacher with canaries; {note}"),
        )
        scores = [Scores("canaries", -canaries.loss)]
        groups = np.arange(len(canaries.loss))
        found = evaluate_all(scores, canaries.is_in, groups, self.settings, self._rng(3))
        self.findings[CANARIES] = found
        half = self.work.canaries // 2
        verdict = decide(
            CANARIES,
            found,
            self.settings,
            (half, half),
            "a teacher that was trained with them",
            ("canary that was in training", "canaries that were in training", "other canaries"),
        )
        self.verdicts.append(verdict)

    def _save_scores(self) -> None:
        sides = {"is_member": self.pool.is_member, "groups": self.pool.groups}
        save_arrays(self.out / SCORES, {**sides, **self.scores})

    def _statements(self) -> list[str]:
        sentences = [DERIVED]
        if self.work.persons:
            sentences.append(PERSONS)
        if self.work.statement is not None:
            bound = epsilon_bound(self.findings.get(TEACHER, []), self.work.statement.delta)
            sentences += describe(self.work.statement, self.store, bound)
        return sentences


def _number(number: int, noun: str) -> str:
    return count(number, noun) if number else f"no {noun}s"
