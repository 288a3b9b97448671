"""The attacks on each subject: teacher, student, and the store."""

from __future__ import annotations

from frami.auditing import attacks
from frami.auditing.attacks import Floats
from frami.auditing.evaluation import Scores
from frami.auditing.pool import Pool
from frami.auditing.references import References
from frami.auditing.settings import AuditSettings
from frami.auditing.signals import Signal

FEWEST_FOR_LIRA = 16
DESCRIPTIONS = {
    "loss": "threshold on the loss",
    "tail": "others among the highest losses",
    "rmia": "RMIA with reference models",
    "lira online": "LiRA with reference models, some trained on the clip",
    "lira offline": "LiRA with reference models not trained on the clip",
    "difference": "loss of the student less that of the teacher",
    "crops": "mean loss of crops of the clip",
    "rmia crops": "RMIA with crops of the clip",
    "neighbors": "loss of similar clips of the class",
    "rmia shadows": "RMIA with students of shadow pipelines",
    "lira shadows": "online LiRA with students of shadow pipelines",
    "probe": "loss of a student that the auditor distilled from the store",
    "distance": "distance to the nearest synthetic clip",
    "canaries": "loss of canaries",
}


def direct_attacks(signal: Signal, references: References) -> list[Scores]:
    """Return the scores of attacks that query a model about the clip itself."""
    scores = [
        Scores("loss", attacks.loss_score(signal.loss)),
        Scores("tail", attacks.loss_score(signal.loss), reverse=True),
    ]
    panel = references.loss, references.is_in
    if len(references):
        scores.append(Scores("rmia", attacks.rmia_score(signal.loss, *panel)))
    if len(references) >= FEWEST_FOR_LIRA:
        scores.append(Scores("lira online", attacks.lira_online_score(signal.loss, *panel)))
        scores.append(Scores("lira offline", attacks.lira_offline_score(signal.loss, *panel)))
    return scores


def student_attacks(
    signal: Signal,
    teacher: Signal,
    references: References,
    shadows: References,
    pool: Pool,
    features: Floats,
    settings: AuditSettings,
) -> list[Scores]:
    """Return the scores of attacks on a student: direct, indirect, and with its teacher.

    Args:
        signal: Losses of the student.
        teacher: Losses of the teacher.
        references: Losses of reference models.
        shadows: Losses of shadow students.
        pool: The clips.
        features: Features of the clips that need no model, ``(S, D)``.
        settings: Settings of the audit.
    """
    scores = direct_attacks(signal, references)
    difference = attacks.difference_score(signal.loss, teacher.loss)
    scores.append(Scores("difference", difference))
    scores.append(Scores("crops", attacks.loss_score(signal.crop_loss)))
    if len(references):
        crops = attacks.rmia_score(signal.crop_loss, references.crop_loss, references.is_in)
        scores.append(Scores("rmia crops", crops))
    if pool.clips.targets.ndim == 1:
        near = attacks.neighbor_score(signal.loss, features, pool.clips.targets, settings.neighbors)
        scores.append(Scores("neighbors", near))
    return [*scores, *shadow_attacks(signal, shadows)]


def probe_attacks(signal: Signal, shadows: References) -> list[Scores]:
    """Return the scores of attacks on a store, through a student that the auditor distills from it.

    Args:
        signal: Losses of that student.
        shadows: Losses of shadow students.
    """
    return [Scores("probe", attacks.loss_score(signal.loss)), *shadow_attacks(signal, shadows)]


def shadow_attacks(signal: Signal, shadows: References) -> list[Scores]:
    """Return the scores of attacks that compare a student with those of shadow pipelines."""
    scores = []
    if len(shadows):
        panel = shadows.loss, shadows.is_in
        scores.append(Scores("rmia shadows", attacks.rmia_score(signal.loss, *panel)))
        if len(shadows) >= FEWEST_FOR_LIRA:
            scores.append(Scores("lira shadows", attacks.lira_online_score(signal.loss, *panel)))
    return scores
