"""What the fitness check found out about a teacher, and the verdict on it."""

from __future__ import annotations

from dataclasses import dataclass

from frami.adoption import probes
from frami.adoption.probes import Answers, NormLayers, ShortRound
from frami.core.text import count, format_rows, preview
from frami.inversion.gradients import BATCH_TOLERANCE, GradientCheck
from frami.inversion.hooks import FEW_BATCH_NORMS

WORKS = "expect this to work"
WEAK = "weak prior: see docs/how-to/weak-priors"
IMPOSSIBLE = "not invertible because "
RENDERED = (
    "weak: rendering waveforms changes {:.0%} of the answers to random sounds: see "
    "docs/how-to/own-classifier"
)
LEAST_RENDERED = 0.8  # share of equal answers
REPEAT_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Fitness:
    """What `check_fitness` found out about a teacher.

    Attributes:
        classes: Number of classes.
        single_label: Whether the teacher predicts one class per clip.
        low_precision: Type of the weights if it is not float32 or float64; else empty.
        wrappers: Modules such as DataParallel.
        norms: The normalization layers.
        gradient: Check of the gradient of the input; None with weights of low precision.
        batch_dependence: Change of a clip's logits with the other clips of its batch, divided by
            the deviation of logits over clips.
        change: Change of the logits in a second call, divided by the same deviation.
        probabilities: Whether the network returns probabilities in place of logits.
        noise: Answers to noise; None where the network fails.
        silence: Answer to digital silence; None where the network fails.
        round: A short inversion with the defaults; None where the gradient is not right.
        class_prior_round: Another one by the class prior alone, if the first did not lower it.
        rendered: Share of random sounds whose rendered waveform gets the class of the sound; None
            unless waveforms are rendered from spectrograms.
    """

    classes: int
    single_label: bool
    low_precision: str
    wrappers: tuple[str, ...]
    norms: NormLayers
    gradient: GradientCheck | None = None
    batch_dependence: float = 0.0
    change: float = 0.0
    probabilities: bool = False
    noise: Answers | None = None
    silence: Answers | None = None
    round: ShortRound | None = None
    class_prior_round: ShortRound | None = None
    rendered: float | None = None

    @property
    def verdict(self) -> str:
        """`WORKS`, `WEAK`, `RENDERED` with a share, or `IMPOSSIBLE` and the reason."""
        reason = self._obstacle()
        if reason:
            return IMPOSSIBLE + reason
        if self.rendered is not None and self.rendered < LEAST_RENDERED:
            return RENDERED.format(1 - self.rendered)
        few = len(self.norms.stored) <= FEW_BATCH_NORMS
        return WEAK if few or self.class_prior_round is not None else WORKS

    def _obstacle(self) -> str:
        """Return why the teacher cannot be inverted; empty if it can."""
        if self.low_precision:
            return f"its weights are {self.low_precision}: call .float() on the network"
        if self.change > REPEAT_TOLERANCE:
            return "equal clips get different answers: turn dropout and other randomness off"
        if self.gradient is not None and self.gradient.problem:
            detail = f" ({self.gradient.detail})" if self.gradient.detail else ""
            return f"{self.gradient.problem}{detail}. {self.gradient.way_out}".rstrip(" .")
        if self.probabilities:
            return "it returns probabilities: return the logits before the softmax or sigmoid"
        if self.class_prior_round is not None and not self.class_prior_round.works:
            return (
                "a short inversion did not bring its answers nearer to the targets: check the "
                "front end, and that the weights are trained"
            )
        return ""

    def lines(self) -> list[str]:
        """Return the findings as lines for the terminal, the verdict last."""
        rows = [
            *(("precision", f"weights are {kind}") for kind in [self.low_precision] if kind),
            *(
                ("wrapper", f"{name} spreads the network over devices: use its .module")
                for name in self.wrappers
            ),
            ("gradient", self._describe_gradient()),
            ("batch norms", self._describe_norms()),
            *self._describe_answers(),
            ("verdict", self.verdict),
        ]
        return format_rows(rows).splitlines()

    def _describe_gradient(self) -> str:
        check = self.gradient
        if check is None:
            return "not checked"
        if check.problem:
            return f"{check.problem} {f'({check.detail})' if check.detail else ''}".strip()
        if not check.measurable:
            return "too small to be checked: the logits hardly change with the clips"
        return f"reaches the input; it agrees with finite differences up to {check.error:.0%}"

    def _describe_norms(self) -> str:
        norms = self.norms
        parts = [f"{len(norms.stored)} with running statistics"]
        if norms.never_updated:
            parts.append(
                f"{len(norms.never_updated)} never updated (mean 0, variance 1: "
                f"{preview(norms.never_updated)}); load the weights with their buffers"
            )
        if norms.of_the_batch:
            parts.append(
                f"{len(norms.of_the_batch)} without running statistics "
                f"({preview(norms.of_the_batch)}): answers depend on the batch"
            )
        if norms.other:
            found = ", ".join(f"{count} {kind}" for kind, count in norms.other.items())
            parts.append(f"{found}, which store no statistics")
        if norms.scripted:
            parts.append("layers inside TorchScript cannot be examined")
        return "; ".join(parts)

    def _describe_answers(self) -> list[tuple[str, str]]:
        rows = []
        if self.change > REPEAT_TOLERANCE:
            rows.append(("repetition", f"two equal calls differ by {self.change:.1%}"))
        if self.batch_dependence > BATCH_TOLERANCE:
            rows.append(
                (
                    "batch",
                    f"a clip's answer changes by {self.batch_dependence:.1%} with the other clips "
                    "of its batch",
                )
            )
        if self.noise is not None and self.silence is not None:
            rows += [
                ("noise", _describe_noise(self.noise, self.classes)),
                ("silence", f"{self.silence.label!r}, probability {self.silence.confidence:.2f}"),
            ]
        if self.rendered is not None:
            what = f"same class for {self.rendered:.0%} of random sounds and of their rendered form"
            rows.append(("rendering", what))
        for name, short in (
            ("short round", self.round),
            ("prior alone", self.class_prior_round),
        ):
            if short is not None:
                rows.append((name, self._describe_round(short)))
        return rows

    def _describe_round(self, short: ShortRound) -> str:
        what = "clips" if self.single_label else "tags"
        return (
            f"class prior {short.loss_before:.2f} before, {short.loss_after:.2f} after "
            f"{probes.ROUND_STEPS} steps; the teacher predicts the target for "
            f"{short.share_before:.0%} of the {what} before, {short.share_after:.0%} after"
        )


def _describe_noise(answers: Answers, classes: int) -> str:
    confidence = f"mean probability of the likeliest class {answers.confidence:.2f}"
    if answers.classes == 1:
        return f"always {answers.label!r}; {confidence}"
    return (
        f"{answers.classes} of {count(classes, 'class')}, most often {answers.label!r} "
        f"({answers.top_share:.0%}); {confidence}, entropy {answers.entropy:.2f} of 1"
    )
