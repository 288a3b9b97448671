"""Run the authors' own code of another method, unmodified, and put its clips into a store.

Nothing of that code is part of frami. It is imported from a copy that you fetched. README.md lists
what is adapted around it.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from adapt import Authors, code_digest, import_authors
from torch import Tensor, nn

from frami.core.errors import FramiError, UsageError
from frami.core.progress import show_progress
from frami.core.run import Run
from frami.data.store import store_run_folder
from frami.data.writer import StoreWriter
from frami.models.model import Model, load
from frami.models.network import frozen


@dataclass(frozen=True)
class Order:
    """What the command line asks for."""

    repository: Path
    teacher: str
    samples: int
    frames: int
    rounds_of: int
    seed: int
    out: Path


@dataclass(frozen=True)
class Clips:
    """Finished clips in [0, 1], ``(S, F, N)``, and the class that each was made for, ``(S,)``."""

    images: Tensor
    targets: Tensor


Report = Callable[[int], None]
MakeClips = Callable[[Authors, Order, Model, Report], Clips]


@dataclass(frozen=True)
class Method:
    """A method of the authors.

    Attributes:
        name: Its name in the store.
        module: The module of the authors' package ``datafree.synthesis``.
        published: The authors' settings that are used.
        max_rounds: Rounds after which the authors' code needs a student in training.
        make: Makes the clips with the authors' code.
    """

    name: str
    module: str
    published: Mapping[str, Any]
    max_rounds: int
    make: MakeClips


def main(method: Method, description: str) -> None:
    """Run the command of a method; print one sentence and exit with 1 or 2 on an error."""
    order = _parse(description)
    try:
        _make_store(method, order)
    except FramiError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)


def _parse(description: str) -> Order:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--repository", type=Path, required=True, help="the authors' code")
    parser.add_argument("--teacher", required=True, help="folder of the teacher's bundle")
    parser.add_argument("--samples", type=_positive, default=512, help="number of clips")
    parser.add_argument("--frames", type=_positive, default=80, help="length of the clips")
    parser.add_argument("--rounds-of", type=_positive, default=64, help="clips per round")
    parser.add_argument("--seed", type=int, default=0, help="seed of all random numbers")
    parser.add_argument("--out", type=Path, required=True, help="store to write (.h5)")
    return Order(**vars(parser.parse_args()))


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not 1 or more")
    return value


def _make_store(method: Method, order: Order) -> None:
    """Make the clips, have the teacher answer them, and write the store and its record."""
    _check_order(method, order)
    teacher = load(order.teacher)
    _check_teacher(teacher)
    authors = import_authors(order.repository, method.module)
    settings = {
        "method": method.name,
        "options": dict(method.published),
        "code": code_digest(order.repository),
        "frame_range": [order.frames, order.frames],
        "batch_size": order.rounds_of,
        "seed": order.seed,
        "precision": "float32",
    }
    random.seed(order.seed)
    torch.manual_seed(order.seed)
    folder, fingerprint = store_run_folder(order.out), teacher.fingerprint
    with Run(folder, "synthesize", settings, device="cpu", teacher=fingerprint) as run:
        with show_progress(method.name, order.samples) as report, frozen(teacher.network):
            clips = method.make(authors, order, teacher, report)
            _write(order, teacher, settings, clips)
        run.finish(clips=len(clips.targets))
    print(f"{len(clips.targets)} clips are in {order.out}.")
    print(f"Next: frami distill --teacher {order.teacher} --samples {order.out} --out student")


def _check_order(method: Method, order: Order) -> None:
    if not order.repository.is_dir():
        raise UsageError(
            f"There is no folder {str(order.repository)!r}; pass the folder of the authors' "
            f"repository as --repository."
        )
    if order.out.exists():
        raise UsageError(f"{order.out} exists; choose another --out.")
    if order.samples > method.max_rounds * order.rounds_of:
        raise UsageError(
            f"After {method.max_rounds} rounds, the authors' code needs a student in training, "
            f"and this script trains none; with rounds of {order.rounds_of}, --samples is at most "
            f"{method.max_rounds * order.rounds_of}."
        )


def _check_teacher(teacher: Model) -> None:
    if teacher.task != "single-label":
        raise UsageError(
            f"The authors' code inverts single-label teachers; this one's task is {teacher.task}."
        )
    if not any(isinstance(layer, nn.BatchNorm2d) for layer in teacher.network.modules()):
        raise UsageError(
            "The authors' code matches batch norms of two dimensions; this teacher has none."
        )


def _write(order: Order, teacher: Model, settings: Mapping[str, Any], clips: Clips) -> None:
    low, high = teacher.front_end.value_range
    stored = (clips.images * (high - low) + low).half()
    with torch.no_grad():
        logits = [teacher.network(batch.float()).logits for batch in torch.split(stored, 64)]
    description = {
        "teacher": teacher.fingerprint,
        "front_end": teacher.front_end,
        "labels": list(teacher.labels),
        "method": settings["method"],
        "settings": settings,
    }
    writer = StoreWriter(order.out, description, max_frames=order.frames, losses=[])
    try:
        writer.append(
            stored,
            target=clips.targets.numpy(),
            teacher_logits=torch.cat(logits).numpy(),
            method=str(settings["method"]).encode(),
            seed=order.seed,
            round=np.arange(len(stored)) // order.rounds_of,
            step=settings["options"]["g_steps"],
            losses=np.array([np.nan], dtype=np.float32),
        )
    finally:
        writer.close()
