"""Adopt a classifier of other code: find out how it is called, and save it as a bundle."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from torch import Tensor

from frami.adoption import calling, parity, proposal
from frami.adoption.calling import Calling
from frami.adoption.checks import read_checks
from frami.adoption.doubts import find_doubts
from frami.adoption.entry import Builder, build_source, find_builder, find_front_end
from frami.adoption.failures import user_error
from frami.adoption.independence import check_clips_are_independent, find_random_values
from frami.adoption.inner_lengths import with_inner_lengths
from frami.adoption.labels import read_labels
from frami.adoption.proposal import Named, Proposal
from frami.adoption.standardize import describe_standardization, standardize
from frami.adoption.table import describe
from frami.adoption.trace import CLIPS, Comparison
from frami.adoption.trial import Trial
from frami.adoption.waveforms import with_features
from frami.audio.frontend import FrontEnd
from frami.audio.synthesizer import random_sounds
from frami.core import code
from frami.core.checks import check_integer
from frami.core.runtime import select_runtime
from frami.core.text import count
from frami.generators.frami import Settings as FRAMI
from frami.models.architecture import Architecture
from frami.models.foreign import ARCHITECTURE, Adoption, ForeignNetwork
from frami.models.model import Model
from frami.models.rendering import samples_of
from frami.models.tasks import find_task

SECONDS = 1.0, 5.0  # of clips, by default
OTHER_SEED = 1  # of a second build; bundles are built with 0
LOUD = -30.0  # factor of values that only probabilities stay within 0 and 1 for
Say = Callable[[str], None]


def adopt(
    source: str | Builder,
    *,
    weights: str | Path | None = None,
    weights_key: str = "",
    labels: str | Path | Sequence[str],
    front_end: str | Path | FrontEnd,
    out: str | Path,
    check: str | Path | Tensor | Sequence[str | Path | Tensor] | None = None,
    tolerance: float = 1e-3,
    layout: str | None = None,
    features: str = "",
    frames: str = "",
    stats: str = "",
    embedding: str = "",
    logits: str = "",
    frame_logits: str = "",
    task: str | None = None,
    sample_rate: int | None = None,
    frame_range: tuple[int, int] | None = None,
    seed: int = 0,
    device: str = "auto",
    threads: int | None = None,
    report: Say = lambda line: None,
    warn: Say = lambda line: None,
) -> Model:
    """Adopt a classifier that was built and trained elsewhere; write its bundle and return it.

    The module is run on a few clips, and what it does is read by hooks: it is neither split nor
    changed. The bundle's answers are compared with the original's before it is written.

    Args:
        source: Entry point of a function without arguments that returns the module,
            ``package.module:function`` or ``file.py:function``; or such a function or class itself.
        weights: A safetensors file, or a torch file with a state dict; None if ``source`` loads
            the weights itself.
        weights_key: Where the weights are in the file, such as ``ema``; empty to find them.
        labels: Class names, or a file of them (`frami.adoption.labels`).
        front_end: What the module takes: a preset (`frami.audio.presets`), a `FrontEnd`, a JSON
            file of one, or the entry point of a feature function.
        out: Folder to write the bundle to.
        check: A recording, a waveform ``(T,)``, or several of them to compare on; None is a random
            sound. ``FILE=CLASS`` also gives the class that the model must predict.
        tolerance: Largest difference allowed: of features relative to their deviation, of logits to
            the largest one.
        layout: Axes of the module's input (`frami.models.axes`); None to find them.
        features: Module inside a waveform model that computes the features.
        frames: Selector (`frami.models.hooks`) of the hidden state before pooling over time.
        stats: Selector of the pooled hidden state, in place of its mean and deviation.
        embedding: Selector of the layer before the classifier.
        logits: Selector of the logits.
        frame_logits: Selector of a detector's frame logits.
        task: ``single-label``, ``multi-label`` or ``sound-events``; None is what the output
            suggests.
        sample_rate: Rate of the waveform (Hz), for a feature function.
        frame_range: Shortest and longest clip in frames. Default: 1 to 5 s.
        seed: Seed of the random sounds.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        threads: Number of CPU threads; None keeps torch's choice.
        report: Called with each line on what was found.
        warn: Called with each doubt, which also is reported.

    Raises:
        UsageError: An argument is wrong or the module does not fit it; the message says how.
        OperationError: The bundle's answers differ from the original's, or from a given class.
    """
    out = parity.free_folder(out)
    if task is not None:
        find_task(task)
    names, given = read_labels(labels), find_front_end(front_end, sample_rate)
    lengths = _frame_range(frame_range, given)
    checks = read_checks(check, names, given.sample_rate)
    reference, builder = find_builder(source)
    module = build_source(builder, weights, weights_key, report)
    n_samples = samples_of(given, lengths[1])
    sounds = random_sounds(np.random.default_rng(seed), CLIPS, n_samples, given.sample_rate)
    trial = Trial(module, given, sounds, seed)
    named = Named(frames, stats, embedding, logits, frame_logits)
    runtime = select_runtime(device, threads, "float32")
    # Code of others may call view(), which needs contiguous tensors.
    with replace(runtime, channels_last=False).placed(module):
        # Other libraries warn of short and of random clips.
        with warnings.catch_warnings(action="ignore"):
            called = calling.find_calling(trial, layout, lengths[::-1], len(names))
            check_clips_are_independent(trial, called)
            adoption = Adoption(code=reference, layout=called.layout)
            adoption = with_features(trial, called, adoption, features, tolerance, report)
            proposed = _propose(trial, called, adoption, names, named, lengths[1], report)
            adoption, doubts = with_inner_lengths(trial, called, proposed.adoption, tolerance)
            proposed = replace(proposed, adoption=adoption)
            model = _make_model(trial, called, proposed, names, task, lengths, report)
            again = build_source(builder, weights, weights_key, seed=OTHER_SEED)
            doubts += find_random_values(trial, called, again)
            doubts += find_doubts(trial, called, adoption, names, checks)
        for line in _describe_clips(model, frame_range is not None):
            report(line)
        for doubt in doubts:
            report(f"Warning: {doubt}")
            warn(doubt)
        return parity.write_bundle(trial, model, out, checks, tolerance, report)


def _frame_range(frame_range: tuple[int, int] | None, front_end: FrontEnd) -> tuple[int, int]:
    if frame_range is None:
        return front_end.n_frames(SECONDS[0]), front_end.n_frames(SECONDS[1])
    shortest, longest = frame_range
    low = check_integer("frame_range", shortest, 1)
    return low, check_integer("frame_range", longest, low)


def _describe_clips(model: Model, named: bool) -> Iterator[str]:
    """Yield sentences on the length of clips, unless the user names it, and on their features."""
    shortest, longest = model.frame_range
    if not named and shortest < longest:
        yield (
            f"Clips of {SECONDS[0]:g} to {SECONDS[1]:g} s ({shortest} to {longest} frames) are "
            f"assumed: name the lengths of your recordings with `frame_range`. FRAMI makes clips "
            f"of up to {FRAMI().max_frames} frames by default."
        )
    if model.front_end.function:
        yield (
            "The features come from a function of your own. Students of this teacher hold it: they "
            "need --trust-code, too. A device must compute the same features."
        )


def _propose(
    trial: Trial,
    called: Calling,
    adoption: Adoption,
    labels: Sequence[str],
    named: Named,
    longest: int,
    report: Say,
) -> Proposal:
    """Return the adoption with all parts, and report the modules and the choice."""
    shorter, short = calling.find_shorter(trial, called)
    loud = trial.run(called.layout, called.n_frames, gain=LOUD)
    comparison = Comparison(trial.module, called.long, short, loud)
    # A module that takes multiples of some frames does not take one frame more.
    refusal = short.error or trial.run(called.layout, shorter + 1).error
    if refusal is not None:
        adoption = replace(adoption, fixed_frames=called.n_frames)
        limit = " only" if short.error is not None else ", but not every length"
        report(
            f"The module takes {count(called.n_frames, 'frame')}{limit}: other clips are repeated "
            f"or cut to that length. With fewer frames: {user_error(refusal)}."
        )
    else:
        least = calling.find_least_frames(trial, called.layout, shorter)
        most = calling.find_most_frames(trial, called.layout, called.n_frames, longest)
        adoption = replace(adoption, least_frames=least, most_frames=most)
        if most:
            report(f"The module takes at most {count(most, 'frame')}: longer clips are cut.")
    proposed = proposal.propose(comparison, adoption, len(labels), named)
    for line in describe(comparison, proposed.adoption):
        report(line)
    for note in proposed.notes:
        report(note)
    return proposed


def _make_model(
    trial: Trial,
    called: Calling,
    proposed: Proposal,
    labels: tuple[str, ...],
    task: str | None,
    frame_range: tuple[int, int],
    report: Say,
) -> Model:
    """Return the adopted model, with a standardized front end."""
    found = standardize(trial, called)
    front_end, adoption = found.front_end, proposed.adoption
    for line in describe_standardization(found):
        report(line)
    adoption = replace(adoption, scale=found.scale, shift=found.shift)
    return Model(
        Architecture(ARCHITECTURE),
        ForeignNetwork(trial.module, adoption, front_end, len(labels)),
        front_end,
        labels,
        task or proposed.task,
        {"adopted": code.Reference.parse(adoption.code).entry},
        (adoption.fitting_frames(frame_range[0]), adoption.fitting_frames(frame_range[1])),
        adoption,
    )
