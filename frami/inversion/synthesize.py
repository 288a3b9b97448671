"""From a frozen teacher to a store of synthetic spectrograms, with any method; nothing here reads a recording."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from frami.core import registry, seeds
from frami.core.errors import UsageError
from frami.core.progress import ProgressCallback, silent
from frami.core.run import Run, discard_record, is_finished
from frami.core.runtime import Runtime, select_runtime
from frami.core.seeds import Stream
from frami.core.settings import identity_fields, loss_weights, make_settings
from frami.data.store import Store, store_run_folder
from frami.data.writer import StoreWriter
from frami.inversion import image_views, targets
from frami.inversion.hooks import batch_norms
from frami.inversion.loop import RoundResult
from frami.models import tasks
from frami.models.model import Model, ModelLike, as_model
from frami.models.network import frozen

BATCH_SIZE = 64
# Convolutions are compiled anew for every shape, which costs more than a round of short clips.
N_LENGTHS = 6
MAX_FRAMES = 100_000
MAX_VALUE_RANGE = 20.0  # a standardised front end has 5 to 12


def synthesize(
    teacher: ModelLike,
    out: str | Path,
    *,
    samples: int = 4000,
    method: str = "frami",
    frame_range: tuple[int, int] | None = None,
    batch_size: int = BATCH_SIZE,
    co_occurrence: float = 0.0,
    options: Mapping[str, Any] | None = None,
    seed: int = 0,
    device: str = "auto",
    threads: int | None = None,
    precision: str = "auto",
    report: ProgressCallback = silent,
) -> Store:
    """Invert a teacher into a store of synthetic spectrograms; return it, open for reading.

    A store that is there already, made with the same settings, is gone on with where it stopped.

    Args:
        teacher: A model, a bundle's folder, or the name of one that ships with the package. It is left as it was.
        out: The HDF5 file to write; its run record is in the folder of the same name with ``.run``.
        samples: Clips in all; the last batch is a whole one, so there may be up to ``batch_size - 1`` more.
        method: A module of ``frami.generators``.
        frame_range: Shortest and longest clip; by default what the teacher was trained on, or what of it the method needs.
        batch_size: Clips a round.
        co_occurrence: How much likelier the tags of a clip are those that the teacher finds alike; 0 for any alike.
        options: The method's own settings, by name.
        seed: Of everything that is drawn.
        device: ``auto``, ``cpu``, ``cuda``.
        threads: Threads of the CPU; None leaves torch's choice.
        precision: ``auto``, ``float32`` or ``bfloat16``.
        report: Called with the number of finished clips.

    Raises:
        WrongUse: an unknown method or setting, a store made with others, or one that another process writes to.
    """
    teacher = as_model(teacher)
    module, out, seed = registry.load("generators", method), Path(out), seeds.check_seed(seed)
    chosen = make_settings(module.Settings, options or {})
    frames = (
        (operator.index(frame_range[0]), operator.index(frame_range[1]))
        if frame_range
        else default_frame_range(teacher, chosen)
    )
    _check(teacher, chosen, samples, frames, batch_size, co_occurrence)
    runtime = select_runtime(device, threads, precision)
    facts = {
        "method": method,
        "options": identity_fields(chosen),
        "frame_range": list(frames),
        "batch_size": batch_size,
        **({"co_occurrence": co_occurrence} if co_occurrence else {}),
        "seed": seed,
        "precision": runtime.precision,
    }
    generator = module.Method(teacher, chosen, runtime, seed)
    if heard := getattr(generator, "recordings", None):
        facts["recordings"] = heard
    writer = StoreWriter(
        out,
        _description(teacher, facts),
        frames=frames[1],
        losses=_weighted_losses(chosen),
        task=teacher.task,
    )
    try:
        if writer.rows >= samples and is_finished(store_run_folder(out)):
            return Store(out)
        if not writer.rows:  # the record may be that of a store that has been taken away
            discard_record(store_run_folder(out))
        with Run(
            store_run_folder(out),
            "synthesize",
            facts,
            grows=True,
            device=runtime.name,
            teacher=teacher.fingerprint,
            priors=_active_losses(teacher, chosen),
            remarks=inversion_warnings(teacher, chosen),
        ) as run:
            _rounds(teacher, generator, writer, run, runtime, facts, samples, report)
    finally:
        writer.close()
    return Store(out)


def default_frame_range(teacher: Model, chosen: Any) -> tuple[int, int]:
    """Return the shortest and the longest clip that a method makes for a teacher, unless it is told otherwise."""
    shortest, longest = teacher.frame_range
    if (
        teacher.task == "single-label"
    ):  # that a clip has several sounds, and when, takes whole clips
        longest = min(longest, getattr(chosen, "max_frames", longest))
    return min(shortest, longest), longest


def _check(
    teacher: Model,
    chosen: Any,
    samples: int,
    frames: tuple[int, int],
    batch_size: int,
    co_occurrence: float,
) -> None:
    """Refuse what cannot be made, or not under this teacher."""
    shortest, longest = frames
    if not 1 <= shortest <= longest <= MAX_FRAMES or samples < 1 or batch_size < 2:
        raise UsageError(
            f"{samples} samples of {shortest} to {longest} frames in batches of {batch_size} cannot be made; "
            f"1 sample or more, 1 to {MAX_FRAMES:,} frames and batches of 2 or more are allowed."
        )
    if not 0 <= co_occurrence <= 1000 or (co_occurrence and teacher.task == "single-label"):
        raise UsageError(
            f"co_occurrence is {co_occurrence}, the teacher's task {teacher.task}; 0 to 1000 is allowed where clips have "
            f"several tags."
        )
    if _weighted_losses(chosen) and not _active_losses(teacher, chosen):
        raise UsageError(
            "This teacher has no batch norm, and nothing else has a weight: give one to class_prior, or its like."
        )
    if teacher.task == "sound-events" and getattr(chosen, "views", "") == "image":
        raise UsageError(
            "Image views also move bands, and this teacher is asked about times; views=audio is allowed."
        )


def _description(teacher: Model, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a store says of its making."""
    return {
        "teacher": teacher.fingerprint,
        "front_end": teacher.front_end,
        "labels": list(teacher.labels),
        "method": facts["method"],
        "settings": facts,
    }


def inversion_warnings(teacher: Model, chosen: Any) -> list[str]:
    """Return what there is to say before a method's settings meet this teacher, in sentences."""
    said, left = [], _active_losses(teacher, chosen)
    if left != _weighted_losses(chosen):
        said.append(
            "This teacher has no batch norm: its moments cannot guide the inversion; "
            f"what is left: {', '.join(left).replace('_', ' ') or 'nothing'}."
        )
    low, high = teacher.front_end.value_range
    if high - low > MAX_VALUE_RANGE:
        said.append(
            f"This front end's values reach from {low:.0f} to {high:.0f}, and inversion begins with some about 0: give it a mean "
            f"and a std that make them standard, and let the network undo that."
        )
    if getattr(chosen, "views", "") == "image":
        said.append(image_views.WARNING)
    return said


def _rounds(
    teacher: Model,
    generator: Any,
    writer: StoreWriter,
    run: Run,
    runtime: Runtime,
    facts: Mapping[str, Any],
    samples: int,
    report: ProgressCallback,
) -> None:
    batch, seed = facts["batch_size"], facts["seed"]
    likely = targets.class_similarity(teacher.network.head, facts.get("co_occurrence", 0.0))
    state = run.state()
    number = 0
    # A state ahead of the store is that of another store, which has been taken away.
    if state is not None and state["round"] * batch <= writer.rows:
        number = state["round"]
        generator.load_state_dict(state["generator"])
    run.rewind("round", number)
    report(min(writer.rows, samples))
    with runtime.placed(teacher.network) as network, frozen(network):
        while number * batch < samples:
            length = sample_round_frames(tuple(facts["frame_range"]), number, seed)
            target = targets.TARGET_SAMPLERS[teacher.task](likely, batch, number, seed, length)
            inverted = generator.run_round(number, target, length)
            number += 1
            # The state is older than the store by some seconds: after a kill those batches are there already.
            if number * batch > writer.rows:
                _append(writer, inverted, teacher, runtime, target, facts, number - 1)
            run.log(round=number, clips=number * batch, n_frames=length, **inverted.losses)
            run.save(partial(_state, number, generator), always=number * batch >= samples)
            report(
                min(writer.rows, samples),
                ", ".join(f"{n} {v:.2f}" for n, v in inverted.losses.items()),
            )
    run.finish(clips=writer.rows)


def _state(number: int, generator: Any) -> dict[str, Any]:
    return {"round": number, "generator": generator.state_dict()}


def _append(
    writer: StoreWriter,
    inverted: RoundResult,
    teacher: Model,
    runtime: Runtime,
    target: Tensor,
    facts: Mapping[str, Any],
    number: int,
) -> None:
    stored = inverted.mel.to(runtime.device).half()
    with torch.no_grad(), runtime.autocast():
        logits = teacher.network(stored.float()).logits
    target = target if inverted.target is None else inverted.target
    timed = target.dim() > 2
    # What a teacher hears in frames of its own may be fewer than the spectrogram's.
    timeline = tasks.expand_to_frames(target.float(), stored.shape[2]) if timed else None
    writer.append(
        stored,
        timeline,
        target=(target.amax(dim=2) if timed else target).cpu().numpy(),
        teacher_logits=logits.cpu().numpy(),
        method=facts["method"].encode(),
        seed=facts["seed"],
        round=number,
        step=inverted.step,
        # HDF5 has no column of width 0: a method without losses leaves one that says so.
        losses=np.array(
            [inverted.losses.get(name, np.nan) for name in writer.losses] or [np.nan],
            dtype=np.float32,
        ),
    )


def sample_round_frames(frames: tuple[int, int], number: int, seed: int) -> int:
    """Return the length of a round's clips: one of up to ``LENGTHS`` that cover the range evenly, ends included."""
    shortest, longest = frames
    count = min(N_LENGTHS, longest - shortest + 1)
    lengths = torch.linspace(shortest, longest, count).round().int().tolist()
    return lengths[
        int(torch.randint(count, (), generator=seeds.make_rng(seed, Stream.ROUND_FRAMES, number)))
    ]


def _active_losses(teacher: Model, chosen: Any) -> list[str]:
    """Return the losses that can tell the clips anything, for the record."""
    void = {"batch_norm"} if not batch_norms(teacher.network) else set()
    return [name for name in _weighted_losses(chosen) if name not in void]


def _weighted_losses(chosen: Any) -> list[str]:
    return [name for name, weight in loss_weights(chosen).items() if weight]
