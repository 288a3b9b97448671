"""The commands that are disturbed, with tiny sizes. Each writes into its working folder only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.cli.conftest import FLOAT, INVERSION, TONES

IN = "../inputs/"  # beside the working folder of every trial


@dataclass(frozen=True)
class Job:
    """Commands that are run one after another.

    Attributes:
        name: Name in the tables.
        commands: The commands without ``frami``.
    """

    name: str
    commands: tuple[tuple[str, ...], ...]

    @property
    def stores(self) -> list[str]:
        """The stores that its first command writes."""
        words = self.commands[0]
        return [words[words.index("--out") + 1]] if "--method" in words else []


def _job(name: str, *commands: list[Any]) -> Job:
    return Job(name, tuple(tuple(map(str, words)) for words in commands))


def _settings(**values: Any) -> list[str]:
    return [word for name, value in values.items() for word in ("--set", f"{name}={value}")]


# Fewer and shorter rounds than published; proxy students and generators count from the start.
METHODS: Mapping[str, list[str]] = {
    "frami": INVERSION,
    "deepinversion": _settings(steps=2, form="cmi", adversary=1.0),
    "cmi": _settings(steps=2, bank=64, negatives=16),
    "fastmeta": _settings(steps=2, proxy_start=0, proxy_steps=1),
    "nayer": _settings(steps=2, proxy_start=1, fresh=3),
    "dafl": _settings(iterations=1),
    "dfad": _settings(iterations=1, student_steps=1),
    "dfq": _settings(iterations=1, student_steps=1),
    "zskt": _settings(iterations=1, student_steps=1),
    "noise": [],
    "synthesizer": [],
    "one_clip": _settings(seconds=5),
    "recordings": _settings(dataset="tones"),
}
SYNTHESIZE = ["synthesize", "--teacher", f"{IN}teacher", "--out", "samples.h5"]
ROUNDS = ["--samples", 40, "--batch-size", 8, "--frame-range", 12, 20, *FLOAT]
TRAIN = ["train", *TONES, "--width", 4, "--depth", 1, *_settings(steps=30, batch_size=8), *FLOAT]
TRAIN += ["--out", "teacher"]
STEPS = [*_settings(steps=24, batch_size=8), "--width", 4, *FLOAT, "--out", "student"]
DISTILL = ["distill", "--teacher", f"{IN}teacher"]
FROM_STORE = [*DISTILL, "--samples", f"{IN}samples.h5", *STEPS]
AUDIT = [
    *("audit", "--teacher", f"{IN}memorizer", "--members", f"{IN}members"),
    *("--others", f"{IN}others", "--samples", f"{IN}noisy.h5", "--references", 2),
    *("--shadows", 2, "--canaries", 60, "--recordings", "--out", "audit", *FLOAT),
    *_settings(permutations=1999, bootstrap=50, crops=1, reference_steps=8, shadow_steps=8),
    *_settings(shadow_clips=16),
]
SOUNDSCAPES = [
    *("soundscapes", "--from", "tones", "--test-fold", 0, "--train", 16, "--validation", 8),
    *("--class", "rising", "--class", "falling", "--out", "scenes", "--threads", 1),
    *_settings(seconds=2.0, max_event_seconds=1.0, max_events=3, sample_rate=8000),
]


def list_jobs(address: str) -> list[Job]:
    """Return all jobs; ``address`` is that of the server with the archive of ESC-50."""
    shards = [[*SYNTHESIZE, *INVERSION, *ROUNDS, "--shard", f"{index}/2"] for index in (1, 2)]
    parts = [f"samples.shard-{index}-of-2.h5" for index in (1, 2)]
    return [
        _job("train, then more steps", TRAIN, [*TRAIN, "--more-steps", 10]),
        *(
            _job(f"synthesize, {name}", [*SYNTHESIZE, *options, *ROUNDS, "--method", name])
            for name, options in METHODS.items()
        ),
        _job(
            "synthesize, mix",
            [*SYNTHESIZE, *INVERSION, *ROUNDS, "--mix", "synthesizer=0.3", "--mix", "cmi=0.2",
             *_settings(**{"cmi.steps": 2, "cmi.bank": 64, "cmi.negatives": 16})],
        ),
        _job("synthesize, shards and merge", *shards, ["merge", *parts, "--out", "whole.h5"]),
        _job("synthesize, bundle digits",
             ["synthesize", "--teacher", "digits", "--out", "samples.h5", *INVERSION, *ROUNDS]),
        _job("distill, from a store", FROM_STORE),
        _job("distill, dual", [*FROM_STORE, "--recipe", "dual"]),
        _job("distill, labels", [*DISTILL, *TONES, *STEPS, "--recipe", "labels"]),
        _job("distill, noise", [*DISTILL, "--noise", *STEPS]),
        _job("bench", ["bench", "--suite", "quick", "--out", "runs", "--page", "page",
                       "--threads", 1]),
        _job("audit", AUDIT),
        _job("export", ["export", f"{IN}student", "--samples", f"{IN}samples.h5", "--int8",
                        "--out", "ship", "--threads", 1]),
        _job("soundscapes", SOUNDSCAPES),
        _job("data get", ["data", "get", "esc50", "--out", "data", "--from", address]),
    ]  # fmt: skip
