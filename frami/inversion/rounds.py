"""The rounds of a synthesis: draw targets, run the method, store the clips, and resume."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from frami.core import seeds
from frami.core.errors import OperationError, UsageError
from frami.core.progress import ProgressCallback, set_total
from frami.core.run import Run
from frami.core.runtime import Runtime
from frami.core.seeds import Stream
from frami.core.text import count
from frami.core.warn import warn
from frami.data.writer import StoreWriter
from frami.inversion import targets
from frami.inversion.explicit_norms import explicit_batch_norms
from frami.inversion.gradients import require_gradient
from frami.inversion.loop import NotFiniteError, RoundResult, Setback
from frami.inversion.mixture import Mixture, Part, rounds_in_turn
from frami.inversion.plan import SynthesisPlan
from frami.models import tasks
from frami.models.answers import check_answers
from frami.models.finite import first_not_finite
from frami.models.model import Model
from frami.models.network import Classifier, frozen

CHECKED_CLIPS = 8
STOPPED = "Lower the learning rates; the clips made so far are kept."


@dataclass(frozen=True)
class Synthesis:
    """The rounds of one synthesis.

    Attributes:
        plan: The settings.
        teacher: The teacher to invert.
        inversion: The methods.
        writer: The store.
        runtime: Device and precision.
        start: State of the methods before the first round; None: as they are made.
    """

    plan: SynthesisPlan
    teacher: Model
    inversion: Mixture
    writer: StoreWriter
    runtime: Runtime
    start: Mapping[str, Any] | None = None

    def run(self, run: Run, samples: int, report: ProgressCallback) -> None:
        """Run rounds until the store has ``samples`` clips."""
        plan, batch = self.plan, self.plan.batch_size
        similarity = targets.class_similarity(self.teacher.network.head, plan.co_occurrence)
        sample_targets = targets.TARGET_SAMPLERS[self.teacher.task]
        done, setbacks = self._resume(run)
        set_total(report, samples)
        if done * batch < samples:
            self.inversion.read_recordings(report)
        report(min(self.writer.rows, samples))
        with (
            self.runtime.placed(self.teacher.network) as network,
            frozen(network),
            explicit_batch_norms(),
        ):
            if done * batch < samples:
                self._check_teacher(network)
            while done * batch < samples:
                index = plan.round_index(done)
                n_frames = targets.sample_round_frames(plan.frame_range, index, plan.seed)
                drawn = self.inversion.target_index(index)
                target = sample_targets(similarity, batch, drawn, plan.seed, n_frames)
                result = self._run_round(network, index, target, n_frames)
                setbacks += self._describe_setback(network, result.setback, index, setbacks)
                # The saved state can be some seconds older than the store: after a kill, the store
                # already has the clips of the rounds that are repeated.
                if (done + 1) * batch > self.writer.rows:
                    self._append(result, target, index)
                done += 1
                clips = done * batch
                went_back = {"setback": setbacks[-1]} if result.setback else {}
                run.log(round=done, clips=clips, n_frames=n_frames, **result.losses, **went_back)
                left = f"{samples - clips:,} of {count(samples, 'clip')}" if clips < samples else ""
                run.save(partial(self._state, done, setbacks), always=not left, left=left)
                note = ", ".join(f"{name} {loss:.2f}" for name, loss in result.losses.items())
                report(min(self.writer.rows, samples), note)
        run.finish(clips=self.writer.rows)

    def _check_teacher(self, network: Classifier) -> None:
        """Refuse a teacher whose answers or gradients are wrong."""
        plan, n_mels = self.plan, self.teacher.front_end.n_mels
        rng = seeds.make_rng(plan.seed, Stream.ANSWER_CHECK)
        noise = torch.randn(CHECKED_CLIPS, n_mels, plan.frame_range[0], generator=rng)
        check_answers(network, noise.to(self.runtime.device))
        if self.writer.losses:
            require_gradient(network, n_mels, plan.frame_range[0], plan.seed, self.runtime)

    def _run_round(
        self, network: Classifier, index: int, target: Tensor, n_frames: int
    ) -> RoundResult:
        """Return the result of a round; an error names the layer where numbers go wrong."""
        try:
            return self.inversion.run_round(index, target, n_frames)
        except NotFiniteError as error:
            what = self._describe(network, error.setback, index)
            raise OperationError(f"{what}. {STOPPED}") from error

    def _describe(self, network: Classifier, setback: Setback, index: int) -> str:
        place = first_not_finite(network, setback.mel)
        return (
            f"{setback}{f'; NaN or infinity first arises in {place}' if place else ''} "
            f"(round {index}, seed {self.plan.seed})"
        )

    def _describe_setback(
        self, network: Classifier, setback: Setback | None, index: int, earlier: list[str]
    ) -> list[str]:
        """Return a sentence on a setback, if there is one; the second one of a run ends it."""
        if setback is None:
            return []
        what = self._describe(network, setback, index)
        if earlier:
            raise OperationError(f"{what}, for the second time. {STOPPED}")
        sentence = (
            f"{what}. The round went on from its last good state with a tenth of the learning rate."
        )
        warn(sentence)
        return [sentence]

    def _resume(self, run: Run) -> tuple[int, list[str]]:
        """Restore the saved state, if any; return how many rounds are done, and the setbacks."""
        done, state = 0, run.state()
        setbacks: list[str] = []
        # A state ahead of the store belongs to another store, which was deleted.
        if state is not None and state["round"] * self.plan.batch_size <= self.writer.rows:
            done = state["round"]
            self.inversion.load_state_dict(state["method"])
            setbacks = list(state.get("setbacks", []))
        elif self.start is not None:
            self.inversion.load_state_dict(self.start)
        run.rewind("round", done)
        return done, setbacks

    def _state(self, done: int, setbacks: list[str]) -> dict[str, Any]:
        state = {"round": done, "method": self.inversion.state_dict()}
        return state | ({"setbacks": setbacks} if setbacks else {})

    def _append(self, result: RoundResult, target: Tensor, index: int) -> None:
        """Store the clips of a round, with their targets and the teacher's logits."""
        stored = result.mel.to(self.runtime.device).half()
        with torch.no_grad(), self.runtime.autocast():
            logits = self.teacher.network(stored.float()).logits
        if result.target is not None:
            target = result.target
        timeline = None
        if target.dim() > 2:
            # The teacher's own frames may be fewer than those of the spectrogram.
            timeline = tasks.expand_to_frames(target.float(), stored.shape[2])
            target = target.amax(dim=2)
        # HDF5 has no column of width 0: a method without losses stores one NaN.
        losses = [result.losses.get(name, np.nan) for name in self.writer.losses] or [np.nan]
        self.writer.append(
            stored,
            timeline,
            target=target.cpu().numpy(),
            teacher_logits=logits.cpu().numpy(),
            method=self.inversion.method_of_round(index).encode(),
            seed=self.plan.seed,
            round=index,
            step=result.step,
            losses=np.array(losses, dtype=np.float32),
        )


def check_turns(parts: Sequence[Part], samples: int, batch_size: int, n_shards: int) -> None:
    """Refuse a store that is too small for a round of each method.

    Args:
        parts: The methods and their shares.
        samples: Clips of the store, in all shards.
        batch_size: Clips of a round.
        n_shards: Number of shards.

    Raises:
        UsageError: Some method makes no round in some shard.
    """
    n_rounds = -(-samples // batch_size) // n_shards
    needed, missing = 0, {part.method for part in parts}
    for method in rounds_in_turn(parts):
        needed, missing = needed + 1, missing - {method}
        if not missing:
            break
    if needed > n_rounds:
        where = " in each shard" if n_shards > 1 else ""
        raise UsageError(
            f"`samples` is {samples}, which are too few for each method of `mix`{where}: a round "
            f"has {batch_size} clips of one method. Ask for {needed * n_shards * batch_size} "
            f"clips, or for a smaller `batch_size`."
        )
