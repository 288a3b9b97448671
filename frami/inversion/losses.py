"""The losses of inversion: pure functions of a teacher's outputs, each a scalar in float32."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from frami.inversion.hooks import Moments
from frami.models.network import Output
from frami.models.tasks import match_frame_rate


def class_prior_loss(output: Output, target: Tensor) -> Tensor:
    """Return the cross-entropy between the teacher's logits and the target, mean over the batch.

    Args:
        output: The teacher's output.
        target: Class indices ``(B,)``, probabilities ``(B, K)``, or activities ``(B, K, N)``.

    Source: Yin et al., "Dreaming to Distill", CVPR 2020, arXiv:1912.08795, eq. 2.
    """
    return output.task.cross_entropy(output.task_logits, target)


def batch_norm_loss(
    batch: Mapping[str, Moments],
    stored: Mapping[str, Moments],
    past: Mapping[str, Moments] | None = None,
    momentum: float = 0.9,
    *,
    relative: bool = True,
) -> Tensor:
    """Return the distance of the batch-norm inputs' moments from those of the training data.

        sum over layers of ||mean - mean_stored||_2 + ||var - var_stored||_2                (eq. 4)

    That sum grows with the width, the depth and the scale of the teacher, from tens to tens of
    thousands. With ``relative``, one weight serves every teacher: each norm is divided by the norm
    of the stored value, ``||sqrt(var_stored)||_2`` or ``||var_stored||_2``, and the mean over the
    layers before statistics pooling is added to the mean over the layers after it. The few layers
    after pooling are the only ones whose moments show how much of the variance is within a clip.
    In a mean over all layers they would hardly count, and clips would not change over time.

    With ``past``, the moments compared are ``(1 - momentum) * batch + momentum * past``. The
    moments of one small batch are noisy, and one batch need not cover what earlier rounds covered.

    Args:
        batch: Moments of this batch, by layer name.
        stored: The running moments of the layers, by layer name.
        past: Average of earlier rounds' moments, without gradient; None or empty in the first.
        momentum: Weight of ``past``, in [0, 1).
        relative: True divides by the teacher's own spread (ours); False does not (published).

    Returns:
        Scalar >= 0; 0 if all moments agree, and for a teacher without batch norm.

    Source: Yin et al., as `class_prior_loss`, eq. 4; Fang et al., "Up to 100x Faster Data-free
    Knowledge Distillation", AAAI 2022, arXiv:2112.06253 (the average). Differs: 1-d batch norms
    count too; moments are computed in float32.
    """
    gaps: dict[bool, list[Tensor]] = {False: [], True: []}
    for name, moments in batch.items():
        mean, var, reference = moments.mean, moments.var, stored[name]
        if past is not None and name in past:
            mean = (1 - momentum) * mean + momentum * past[name].mean
            var = (1 - momentum) * var + momentum * past[name].var
        mean_gap, var_gap = (mean - reference.mean).norm(), (var - reference.var).norm()
        if relative:
            mean_gap = mean_gap / _positive(reference.var.sum().sqrt())
            var_gap = var_gap / _positive(reference.var.norm())
        gaps[moments.pooled].append(mean_gap + var_gap)
    groups = [torch.stack(group) for group in gaps.values() if group]
    if not groups:
        return torch.zeros(())
    return torch.stack([group.mean() if relative else group.sum() for group in groups]).sum()


def _positive(spread: Tensor) -> Tensor:
    """Return a spread to divide by: 1 where every channel was constant in training."""
    return spread.where(spread > 0, 1.0)


def info_nce(
    features: Tensor,
    anchors: Tensor,
    queue: Tensor | None = None,
    *,
    temperature: float = 0.1,
    negatives: Tensor | None = None,
) -> Tensor:
    """Return the InfoNCE loss between two views of each clip.

        mean over i of -log( exp(u_i . v_i / t) / sum over j of exp(u_i . v_j / t) )

    with ``u`` the features of one view and ``v`` the anchors of the batch and of the queue.
    All others are negatives by default. Only ``u`` carries a gradient.

    Args:
        features: Features of one view, of unit length, ``(N, C)``.
        anchors: Features of the other view, of unit length, ``(N, C)``.
        queue: Features of earlier clips, of unit length, ``(M, C)``.
        temperature: t > 0.
        negatives: Which candidates count besides a clip's anchor, bool ``(N, N + M)``; None: all.

    Source: Fang et al., "Contrastive Model Inversion", IJCAI 2021, arXiv:2105.08584, as in the
    authors' code. Differs: rows of the queue are negatives only; their own loss does not reach the
    clips of this batch.
    """
    candidates = anchors if queue is None else torch.cat([anchors, queue])
    similarity = features @ candidates.detach().T / temperature
    own = torch.arange(len(features), device=features.device)
    if negatives is not None:
        counted = negatives.index_put((own, own), torch.ones_like(own, dtype=torch.bool))
        similarity = similarity.masked_fill(~counted, -math.inf)
    return F.cross_entropy(similarity, own)


def onehot_loss(output: Output) -> Tensor:
    """Return the cross-entropy between the teacher's logits and its own prediction, batch mean.

    Source: Chen et al., "Data-Free Learning of Student Networks", ICCV 2019, arXiv:1904.01186
    (one-hot loss). Differs: for tags and frames, it is summed over the choices of
    `frami.models.tasks`, each against its own more likely alternative.
    """
    highest = output.task.log_probabilities(output.task_logits.float()).amax(dim=2)
    return -(highest @ output.task.choice_weights(output.task_logits)).mean()


def class_balance_loss(output: Output, *, base: float = 10.0) -> Tensor:
    """Return minus the entropy of the batch's mean class probabilities; lowest for even classes.

    Args:
        output: The teacher's output.
        base: Base of the logarithm: 10 in DAFL's code, e in CMI's code for DFQ.

    Source: Chen et al., as `onehot_loss` (information entropy loss). Differs: for tags and frames,
    the mean probabilities are divided by their sum, so that the loss favors even tags, not many.
    """
    probabilities = output.task.class_probabilities(output.task_logits.float())
    mean = probabilities.transpose(0, 1).flatten(1).mean(dim=1)
    share = mean / mean.sum()
    return (share * share.clamp_min(1e-8).log()).sum() / math.log(base)


def activation_loss(output: Output) -> Tensor:
    """Return minus the mean magnitude of the teacher's pooled statistics.

    Real clips activate a network more strongly than other inputs do.

    Source: Chen et al., as `onehot_loss`. Differs: statistics pooling replaces their pooling over
    an image.
    """
    return -output.stats.abs().mean()


def neg_kl(teacher: Output, student: Output) -> Tensor:
    """Return ``-KL(teacher || student)``, mean over the batch.

    Source: Micaelli and Storkey, "Zero-shot Knowledge Transfer via Adversarial Belief Matching",
    NeurIPS 2019, arXiv:1905.09768 (temperature 1).
    """
    return -teacher.task.kl_terms(teacher.task_logits, student.task_logits).sum(dim=1).mean()


def neg_l1(teacher: Output, student: Output) -> Tensor:
    """Return minus the `l1_distance` between the logits of teacher and student.

    Source: Fang et al., "Data-Free Adversarial Distillation", 2019, arXiv:1912.11006.
    """
    return -l1_distance(teacher.task_logits, student)


def l1_distance(teacher_logits: Tensor, student: Output) -> Tensor:
    """Return the mean absolute difference between the logits of teacher and student.

    For sound events, all frames together count as much as the whole clip.
    """
    logits = student.task_logits
    gaps = (match_frame_rate(teacher_logits, logits) - logits).abs().flatten(1)
    shares = student.task.choice_weights(logits).expand(gaps.shape[1])
    return (gaps @ shares).mean() / shares.sum()


def jensen_shannon_gap(teacher: Output, student: Output, *, temperature: float = 3.0) -> Tensor:
    """Return 1 - JS, the Jensen-Shannon divergence of teacher and student, batch mean, in [0, 1].

    Source: Yin et al., as `class_prior_loss` (adaptive form); temperature and clamps are those of
    the authors' code. Differs: both divergences are from the mean distribution, by definition,
    where that code has them the other way round; for tags and frames, the divergence is the
    weighted mean over the choices of `frami.models.tasks`.
    """
    student_probs, teacher_probs = (
        student.task.log_probabilities(logits / temperature).exp().clamp(0.01, 0.99)
        for logits in (
            student.task_logits,
            match_frame_rate(teacher.task_logits, student.task_logits),
        )
    )
    log_mean = ((student_probs + teacher_probs) / 2).log()
    divergences = student_probs * (student_probs.log() - log_mean) + teacher_probs * (
        teacher_probs.log() - log_mean
    )
    shares = student.task.choice_weights(student.task_logits)
    return 1 - ((divergences.sum(dim=2) @ shares).mean() / (2 * shares.sum())).clamp(0, 1)


def adversarial_kl(teacher: Output, student: Output) -> Tensor:
    """Return ``-KL(teacher || student)`` over clips with equal predictions, batch mean.

    Source: Fang et al., "Contrastive Model Inversion", as `info_nce` (temperature 1).
    """
    task = teacher.task
    divergences = task.kl_terms(teacher.task_logits, student.task_logits)
    agreement = task.agreement_terms(teacher.task_logits, student.task_logits)
    return -(agreement * divergences).sum(dim=1).mean()
