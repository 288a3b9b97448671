"""What is asked of a synthetic clip: pure functions of what the teacher saw, each a scalar in float32."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from frami.inversion.hooks import Moments
from frami.models.network import Output
from frami.models.tasks import match_frame_rate


def class_prior_loss(said: Output, target: Tensor) -> Tensor:
    """Return the cross-entropy of the teacher's logits against the wanted classes, mean over the batch.

    Args:
        said: What the teacher says of the clips.
        target: Class indices ``(B,)``, probabilities ``(B, K)``, or activities ``(B, K, N)``.

    Source: Yin et al., "Dreaming to Distill", CVPR 2020, arXiv:1912.08795, eq. 2.
    """
    return said.task.cross_entropy(said.task_logits, target)


def batch_norm_loss(
    batch: Mapping[str, Moments],
    stored: Mapping[str, Moments],
    past: Mapping[str, Moments] | None = None,
    momentum: float = 0.9,
    *,
    relative: bool = True,
) -> Tensor:
    """Return how far the moments at the batch norms' inputs are from those of the teacher's training data.

        sum over layers of ||mean - mean_stored||_2 + ||var - var_stored||_2                        (eq. 4)

    That sum grows with the width, the depth and the scale of the teacher, from tens to tens of thousands. If
    ``relative``, each norm is divided by what it is compared with, ``||sqrt(var_stored)||_2`` and
    ``||var_stored||_2``, and the mean over layers before statistics pooling and that over layers after it are added:
    one weight then serves every teacher. The few layers after pooling are the only ones to know how much of the
    variance is within a clip; among all the others they would hardly count, and clips would not change over time.

    With ``past``, the moments compared are ``(1 - momentum) * batch + momentum * past``: those of one small batch are
    noisy, and what earlier rounds have covered need not be covered by each batch again.

    Args:
        batch: Moments of this batch, by layer.
        stored: The layers' running moments.
        past: Average of earlier rounds' moments, without gradient; None in the first round.
        momentum: Weight of ``past``, in [0, 1).
        relative: Whether the gaps are taken relative to the teacher's own spread (ours), or as they are (published).

    Returns:
        Scalar >= 0; 0 where all moments agree, and for a teacher without batch norm.

    Source: Yin et al., as above, eq. 4; Fang et al., "Up to 100x Faster Data-free Knowledge Distillation", AAAI 2022,
    arXiv:2112.06253 (the average). Differs: 1-d batch norms count too; moments are taken in float32.
    """
    gaps: dict[bool, list[Tensor]] = {False: [], True: []}
    for name, now in batch.items():
        mean, var, wanted = now.mean, now.var, stored[name]
        if past is not None and name in past:
            mean = (1 - momentum) * mean + momentum * past[name].mean
            var = (1 - momentum) * var + momentum * past[name].var
        mean_gap, var_gap = (mean - wanted.mean).norm(), (var - wanted.var).norm()
        if relative:
            mean_gap, var_gap = mean_gap / wanted.var.sum().sqrt(), var_gap / wanted.var.norm()
        gaps[now.pooled].append(mean_gap + var_gap)
    groups = [torch.stack(group) for group in gaps.values() if group]
    if not groups:
        return torch.zeros(())
    return torch.stack([group.mean() if relative else group.sum() for group in groups]).sum()


def info_nce(
    pulled: Tensor, anchors: Tensor, queue: Tensor | None = None, *, temperature: float = 0.1
) -> Tensor:
    """Return how badly each clip's feature in one view is told from other clips' by the feature of its other view.

        mean over i of -log( exp(u_i . v_i / t) / sum over j of exp(u_i . v_j / t) )

    with ``u`` the pulled view and ``v`` the anchors of the batch and of the queue. Only ``u`` carries a gradient, and
    the matrix is N x (N + M).

    Args:
        pulled: Features of one view, unit length, ``(N, C)``.
        anchors: Features of the other view, unit length, ``(N, C)``.
        queue: Features of earlier clips, unit length, ``(M, C)``.
        temperature: t > 0.

    Source: Fang et al., "Contrastive Model Inversion", IJCAI 2021, arXiv:2105.08584, as in the authors' code. Differs: rows
    of the queue are negatives only; their own loss does not reach the clips of this batch.
    """
    others = anchors if queue is None else torch.cat([anchors, queue])
    similarity = pulled @ others.detach().T / temperature
    return F.cross_entropy(similarity, torch.arange(len(pulled), device=pulled.device))


def onehot_loss(said: Output) -> Tensor:
    """Return the cross-entropy of the teacher's logits against what it finds likeliest itself, mean over the batch.

    Source: Chen et al., "Data-Free Learning of Student Networks", ICCV 2019, arXiv:1904.01186 (one-hot loss). Differs: of
    tags and frames, every choice (see `frami.tasks`) counts against its own likeliest alternative.
    """
    likely = said.task.log_probabilities(said.task_logits.float()).amax(dim=2)
    return -(likely @ said.task.choice_weights(said.task_logits)).mean()


def class_balance_loss(said: Output, *, base: float = 10.0) -> Tensor:
    """Return minus the entropy of the batch's mean probabilities: least where classes are even.

    Args:
        said: What the teacher says of the clips.
        base: Of the logarithm: 10 in DAFL's code, e where CMI's authors run DFQ.

    Source: Chen et al., as `onehot` (information entropy loss). Differs: of tags and frames, the mean probabilities are
    divided by their sum, so that it is even tags that are asked for, and not many.
    """
    mean = (
        said.task.class_probabilities(said.task_logits.float())
        .transpose(0, 1)
        .flatten(1)
        .mean(dim=1)
    )
    share = mean / mean.sum()
    return (share * share.clamp_min(1e-8).log()).sum() / math.log(base)


def activation_loss(said: Output) -> Tensor:
    """Return minus the mean size of the teacher's statistics: real clips excite a network more than others do.

    Source: Chen et al., as `onehot`. Differs: statistics pooling stands where they pool over an image.
    """
    return -said.stats.abs().mean()


def total_variation(mel: Tensor) -> Tensor:
    """Return the sum of the norms of the differences of neighbours: in time, in frequency and on both diagonals.

    Args:
        mel: Clips ``(B, F, N)``.

    Source: Yin et al., as `class_prior`, R_TV; as in the authors' code, norms over the whole batch.
    """
    return torch.stack(
        [
            (mel[:, :, :-1] - mel[:, :, 1:]).norm(),
            (mel[:, :-1] - mel[:, 1:]).norm(),
            (mel[:, :-1, :-1] - mel[:, 1:, 1:]).norm(),
            (mel[:, 1:, :-1] - mel[:, :-1, 1:]).norm(),
        ]
    ).sum()


def neg_kl(teacher: Output, student: Output) -> Tensor:
    """Return minus the divergence of student from teacher, mean over the batch.

    Source: Micaelli and Storkey, "Zero-shot Knowledge Transfer via Adversarial Belief Matching", NeurIPS 2019,
    arXiv:1905.09768 (temperature 1).
    """
    return -teacher.task.kl_terms(teacher.task_logits, student.task_logits).sum(dim=1).mean()


def neg_l1(teacher: Output, student: Output) -> Tensor:
    """Return minus `apart` of the teacher's answer and the student's.

    Source: Fang et al., "Data-Free Adversarial Distillation", 2019, arXiv:1912.11006.
    """
    return -l1_distance(teacher.task_logits, student)


def l1_distance(told: Tensor, student: Output) -> Tensor:
    """Return the mean absolute difference of the logits; those of all frames count as much as those of the clip."""
    gaps = (match_frame_rate(told, student.task_logits) - student.task_logits).abs().flatten(1)
    shares = student.task.choice_weights(student.task_logits).expand(gaps.shape[1])
    return (gaps @ shares).mean() / shares.sum()


def jensen_shannon_gap(teacher: Output, student: Output, *, temperature: float = 3.0) -> Tensor:
    """Return one minus the Jensen-Shannon divergence of student and teacher, mean over the batch, in [0, 1].

    Source: Yin et al., as `class_prior` (adaptive form); temperature and clamps of the authors' code. Differs: the divergences
    are those of both from their middle, by definition, where that code has them the other way round; of tags and frames, the
    divergence is the mean over the choices (see `frami.tasks`), each with its share.
    """
    ours, theirs = (
        student.task.log_probabilities(answer / temperature).exp().clamp(0.01, 0.99)
        for answer in (
            student.task_logits,
            match_frame_rate(teacher.task_logits, student.task_logits),
        )
    )
    middle = ((ours + theirs) / 2).log()
    both = ours * (ours.log() - middle) + theirs * (theirs.log() - middle)
    shares = student.task.choice_weights(student.task_logits)
    return 1 - ((both.sum(dim=2) @ shares).mean() / (2 * shares.sum())).clamp(0, 1)


def adversarial_kl(teacher: Output, student: Output) -> Tensor:
    """Return minus the divergence of student from teacher on clips whose class both agree on, mean over the batch.

    Source: Fang et al., "Contrastive Model Inversion", as above (temperature 1).
    """
    task = teacher.task
    divergences = task.kl_terms(teacher.task_logits, student.task_logits)
    return (
        -(task.agreement_terms(teacher.task_logits, student.task_logits) * divergences)
        .sum(dim=1)
        .mean()
    )
