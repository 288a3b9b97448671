"""The synthesis engine: from a frozen teacher to a store of synthetic spectrograms, by any method.

It draws targets and lengths, stores the clips, resumes interrupted work, and reads no recordings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from frami.core import seeds
from frami.core.progress import ProgressCallback, check_callback, silent
from frami.core.run import Run, discard_record, is_finished
from frami.core.runtime import Runtime, select_runtime
from frami.core.settings import identity_fields
from frami.data.store import Store, store_run_folder
from frami.data.writer import StoreWriter
from frami.inversion import checks, targets
from frami.inversion.checks import inversion_warnings
from frami.inversion.explicit_norms import explicit_batch_norms
from frami.inversion.gradients import require_gradient
from frami.inversion.loop import RoundResult
from frami.inversion.mixture import Mixture, plan_parts, unique
from frami.inversion.weak_priors import moments_digest
from frami.models import tasks
from frami.models.model import Model, ModelLike, as_model
from frami.models.network import frozen

BATCH_SIZE = 64


def synthesize(
    teacher: ModelLike,
    out: str | Path,
    *,
    samples: int = 4000,
    method: str = "frami",
    mix: Mapping[str, float] | None = None,
    frame_range: tuple[int, int] | None = None,
    batch_size: int = BATCH_SIZE,
    co_occurrence: float = 0.0,
    options: Mapping[str, Any] | None = None,
    moments: str | Path | None = None,
    seed: int = 0,
    device: str = "auto",
    threads: int | None = None,
    precision: str = "auto",
    report: ProgressCallback = silent,
) -> Store:
    """Invert a teacher into a store of synthetic spectrograms; return the store, open for reading.

    An existing store made with the same settings is continued where it stopped.

    Args:
        teacher: A model, a bundle's folder, or the name of a pretrained model. It is not changed.
        out: The HDF5 file to write. Its run record goes into the folder ``<name>.run`` beside it.
        samples: Number of clips. The last batch is complete, so the store can have up to
            ``batch_size - 1`` more.
        method: Name of a module of `frami.generators`, or of a module of your own with a dot.
        mix: Shares of the rounds that other methods make, by name: ``{"synthesizer": 0.3}``. The
            column ``method`` of the store has the method of each clip.
        frame_range: Shortest and longest clip, in frames. Default: the teacher's, up to the
            method's limit if the teacher's task is single-label.
        batch_size: Clips per round.
        co_occurrence: How strongly to favor tag pairs with similar class weights; 0 is uniform.
        options: Settings of the method, by name; those of a method of ``mix`` as
            ``synthesizer.balance``.
        moments: File of moments of recordings (`frami moments`), as a prior for a teacher with few
            batch norms, for the methods ``frami`` and ``deepinversion``.
        seed: Seed of all random numbers.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        threads: Number of CPU threads; None keeps torch's choice.
        precision: ``auto``, ``float32`` or ``bfloat16``.
        report: Called with the number of finished clips.

    Raises:
        UsageError: A method or setting does not exist, or is not allowed; the store was made with
            other settings; or another process is writing to it.
    """
    check_callback(report)
    teacher = as_model(teacher)
    out, seed = Path(out), seeds.check_seed(seed)
    parts = plan_parts(teacher, method, mix or {}, options or {}, moments)
    if frame_range is None:
        frame_range = targets.default_frame_range(teacher, parts[0].settings)
    frame_range = checks.check_frame_range(frame_range)
    checks.check_sizes(samples, batch_size)
    for part in parts:
        checks.check_teacher(teacher, part.settings, co_occurrence)
    runtime = select_runtime(device, threads, precision)
    inversion = Mixture(parts, teacher, runtime, seed)
    plan = SynthesisPlan(
        method=parts[0].method,
        options=identity_fields(parts[0].settings),
        frame_range=frame_range,
        batch_size=batch_size,
        co_occurrence=co_occurrence,
        seed=seed,
        precision=runtime.precision,
        recordings=inversion.recordings,
        mix=[part.to_json() for part in parts[1:]],
        moments=moments_digest(parts[0].settings, teacher),
    )
    folder = store_run_folder(out)
    writer = StoreWriter(
        out,
        _describe_store(teacher, plan),
        max_frames=frame_range[1],
        losses=unique(checks.weighted_losses(part.settings) for part in parts),
        task=teacher.task,
    )
    try:
        if writer.rows >= samples and is_finished(folder):
            return Store(out)
        if not writer.rows:  # a record without clips belongs to a store that was deleted
            discard_record(folder)
        with Run(
            folder,
            "synthesize",
            plan.to_json(),
            grows=True,
            device=runtime.name,
            teacher=teacher.fingerprint,
            active_losses=unique(checks.active_losses(teacher, part.settings) for part in parts),
            warnings=unique(inversion_warnings(teacher, part.settings) for part in parts),
        ) as run:
            _Synthesis(plan, teacher, inversion, writer, runtime).run(run, samples, report)
    finally:
        writer.close()
    return Store(out)


@dataclass(frozen=True)
class SynthesisPlan:
    """The settings that a store depends on, besides the teacher; the arguments of `synthesize`.

    Attributes:
        options: All settings of the method, except paths.
        recordings: Provenance of the recordings, if the method uses any; a list of them for a mix.
        mix: Name, share and settings of each further method.
        moments: Digest of the file of moments, if the method uses one.
    """

    method: str
    options: Mapping[str, Any]
    frame_range: tuple[int, int]
    batch_size: int
    co_occurrence: float
    seed: int
    precision: str
    recordings: Mapping[str, Any] | list[Mapping[str, Any]] | None = None
    mix: Sequence[Mapping[str, Any]] = ()
    moments: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the settings as they are recorded."""
        settings = asdict(self)
        for name in ("recordings", "mix", "moments"):
            if not settings[name]:
                del settings[name]
        return settings

    @property
    def methods(self) -> str:
        """The names of all methods, joined by ``+``."""
        return "+".join([self.method, *(part["method"] for part in self.mix)])


def _describe_store(teacher: Model, plan: SynthesisPlan) -> dict[str, Any]:
    """Return the attributes of the store."""
    return {
        "teacher": teacher.fingerprint,
        "front_end": teacher.front_end,
        "labels": list(teacher.labels),
        "method": plan.methods,
        "settings": plan.to_json(),
    }


@dataclass(frozen=True)
class _Synthesis:
    """The rounds of one synthesis."""

    plan: SynthesisPlan
    teacher: Model
    inversion: Mixture
    writer: StoreWriter
    runtime: Runtime

    def run(self, run: Run, samples: int, report: ProgressCallback) -> None:
        """Run rounds until the store has ``samples`` clips."""
        plan, batch = self.plan, self.plan.batch_size
        similarity = targets.class_similarity(self.teacher.network.head, plan.co_occurrence)
        sample_targets = targets.TARGET_SAMPLERS[self.teacher.task]
        index = self._resume(run)
        report(min(self.writer.rows, samples))
        with (
            self.runtime.placed(self.teacher.network) as network,
            frozen(network),
            explicit_batch_norms(),
        ):
            if self.writer.losses and index * batch < samples:
                n_mels, n_frames = self.teacher.front_end.n_mels, plan.frame_range[0]
                require_gradient(network, n_mels, n_frames, plan.seed, self.runtime)
            while index * batch < samples:
                n_frames = targets.sample_round_frames(plan.frame_range, index, plan.seed)
                target = sample_targets(similarity, batch, index, plan.seed, n_frames)
                result = self.inversion.run_round(index, target, n_frames)
                # The saved state can be some seconds older than the store: after a kill, the store
                # already has the clips of the rounds that are repeated.
                if (index + 1) * batch > self.writer.rows:
                    self._append(result, target, index)
                index += 1
                clips = index * batch
                run.log(round=index, clips=clips, n_frames=n_frames, **result.losses)
                run.save(partial(self._state, index), always=clips >= samples)
                note = ", ".join(f"{name} {loss:.2f}" for name, loss in result.losses.items())
                report(min(self.writer.rows, samples), note)
        run.finish(clips=self.writer.rows)

    def _resume(self, run: Run) -> int:
        """Restore the saved state, if there is one; return the index of the next round."""
        index, state = 0, run.state()
        # A state ahead of the store belongs to another store, which was deleted.
        if state is not None and state["round"] * self.plan.batch_size <= self.writer.rows:
            index = state["round"]
            self.inversion.load_state_dict(state["method"])
        run.rewind("round", index)
        return index

    def _state(self, index: int) -> dict[str, Any]:
        return {"round": index, "method": self.inversion.state_dict()}

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
