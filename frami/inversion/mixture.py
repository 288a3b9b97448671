"""Several inversion methods in one store: each round is made by one of them.

Which one depends on the index of the round and the shares alone, so that interrupted work resumes
exactly.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Tensor

from frami.core import registry
from frami.core.errors import UsageError
from frami.core.progress import ProgressCallback
from frami.core.runtime import Runtime
from frami.core.settings import identity_fields, make_settings
from frami.inversion.loop import RoundResult
from frami.inversion.method import (
    Method,
    MethodFactory,
    MethodSettings,
    ReadsRecordings,
    UsesRecordings,
    load_method,
)
from frami.inversion.weak_priors import with_moments
from frami.models.model import Model

LEAST_SHARE = 0.001  # of a method; it takes about 1 / share rounds until each has had a turn


@dataclass(frozen=True)
class Part:
    """One method of a mixture.

    Attributes:
        method: Name of the method.
        share: Share of the rounds that it makes, above 0 and up to 1.
        settings: Its settings.
        factory: Makes the method for a teacher.
    """

    method: str
    share: float
    settings: MethodSettings
    factory: MethodFactory

    def for_teacher(self, teacher: Model) -> Part:
        """Return the part with the settings to use with a teacher."""
        return replace(self, settings=self.settings.for_teacher(teacher))

    def to_json(self) -> dict[str, Any]:
        """Return the part as it is recorded."""
        options = identity_fields(self.settings)
        return {"method": self.method, "share": self.share, "options": options}


def make_parts(
    method: str, mix: Mapping[str, float] | None, options: Mapping[str, Any]
) -> list[Part]:
    """Return the checked parts of a mixture, the main method first.

    Args:
        method: The main method; it makes the rounds that no other method makes.
        mix: Shares of the other methods, by name. None: those of the main method's ``default_mix``.
        options: Settings of the main method by name, of another method as ``name.setting``.

    Raises:
        UsageError: A method or a setting does not exist, or the shares are not allowed.
    """
    if mix is None:
        mix = load_method(method).Settings.default_mix
    if not isinstance(mix, Mapping):
        raise UsageError(
            f"`mix` is {mix!r}; a dict of shares by method is allowed, such as "
            "{'synthesizer': 0.3}. An empty one stands for no other method."
        )
    shares = {registry.file_name(name): _check_share(name, mix[name]) for name in mix}
    if len(shares) < len(mix):
        raise UsageError(f"`mix` names a method twice: {', '.join(mix)}. Name each method once.")
    main, total = registry.file_name(method), sum(shares.values())
    if main in shares:
        raise UsageError(
            f"`mix` names {main}, the main method. Name other methods; {main} makes all other "
            f"rounds."
        )
    if round(1 - total, 9) < LEAST_SHARE:
        raise UsageError(
            f"The shares of `mix` add up to {total:g}; they must add up to at most "
            f"{1 - LEAST_SHARE:g}. The method {main} makes the rest."
        )
    grouped = _group_options(main, list(shares), options)
    parts = []
    for name, share in {main: 1 - total, **shares}.items():
        module = load_method(name)
        settings = make_settings(module.Settings, grouped[name])
        parts.append(Part(name, share, settings, module.Method))
    return parts


def plan_parts(
    teacher: Model,
    method: str,
    mix: Mapping[str, float] | None,
    options: Mapping[str, Any],
    moments: str | Path | None = None,
) -> list[Part]:
    """Return the parts of a mixture with their settings for a teacher (see `make_parts`).

    Args:
        teacher: The teacher.
        method: The main method.
        mix: Shares of the other methods, by name. None: those of the main method's ``default_mix``.
        options: Settings of all methods.
        moments: File of moments of recordings, for the main method.
    """
    if moments is not None:
        options = with_moments(method, options, moments)
    return [part.for_teacher(teacher) for part in make_parts(method, mix, options)]


def _check_share(name: str, share: Any) -> float:
    is_number = isinstance(share, int | float) and not isinstance(share, bool)
    if not is_number or not LEAST_SHARE <= share < 1:
        raise UsageError(
            f"`mix` has the share {share!r} for {name}; a number from {LEAST_SHARE:g} to "
            f"{1 - LEAST_SHARE:g} is allowed."
        )
    return float(share)


def _group_options(
    main: str, others: Sequence[str], options: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """Return the settings of every method, by its name."""
    grouped: dict[str, dict[str, Any]] = {name: {} for name in (main, *others)}
    for key, value in options.items():
        prefix, dot, setting = str(key).rpartition(".")
        owner = registry.file_name(prefix)
        if dot and owner in others:
            grouped[owner][setting] = value
        else:
            grouped[main][key] = value
    return grouped


class Mixture:
    """Methods that take turns, in proportion to their shares; with one part, that method alone.

    Of several shards, each has all methods in these shares.
    """

    def __init__(
        self, parts: Sequence[Part], teacher: Model, runtime: Runtime, seed: int, n_shards: int = 1
    ) -> None:
        self._turns, self._made, self._n_shards = rounds_in_turn(parts), list[str](), n_shards
        self.methods: dict[str, Method] = {
            part.method: part.factory(teacher, part.settings, runtime, seed) for part in parts
        }

    @cached_property
    def recordings(self) -> Mapping[str, Any] | list[Mapping[str, Any]] | None:
        """Provenance of the recordings that the methods use: one entry, a list, or None."""
        used = [
            method.recordings
            for method in self.methods.values()
            if isinstance(method, UsesRecordings) and method.recordings
        ]
        return used[0] if len(used) == 1 else used or None

    @cached_property
    def contents(self) -> str:
        """Digests of the files that the methods read, each after a dash; empty without any."""
        digests = [getattr(method, "contents", "") for method in self.methods.values()]
        return "".join(f"-{digest}" for digest in digests if digest)

    def read_recordings(self, report: ProgressCallback) -> None:
        """Have the methods read their recordings."""
        for method in self.methods.values():
            if isinstance(method, ReadsRecordings):
                method.read_recordings(report)

    def method_of_round(self, index: int) -> str:
        """Return the name of the method that makes a round of the whole plan."""
        number = index // self._n_shards  # in the shard
        while len(self._made) <= number:
            self._made.append(next(self._turns))
        return self._made[number]

    def target_index(self, index: int) -> int:
        """Return the index by which a round's targets are drawn: that of its method's rounds alone.

        A method that ignores its targets would otherwise leave the others with uneven classes.
        """
        method, number = self.method_of_round(index), index // self._n_shards
        return self._made[:number].count(method) * self._n_shards + index % self._n_shards

    def run_round(self, index: int, target: Tensor, n_frames: int) -> RoundResult:
        """Return the clips of one round; see `frami.inversion.method.Method`."""
        return self.methods[self.method_of_round(index)].run_round(index, target, n_frames)

    def state_dict(self) -> dict[str, Any]:
        """Return the state of every method; with one part, the state of that method."""
        states = {name: method.state_dict() for name, method in self.methods.items()}
        return states if len(states) > 1 else next(iter(states.values()))

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        for name, method in self.methods.items():
            method.load_state_dict(state[name] if len(self.methods) > 1 else dict(state))


def rounds_in_turn(parts: Sequence[Part]) -> Iterator[str]:
    """Yield the method of each round: the one that is furthest behind its share.

    After n rounds, the count of a method differs from n times its share by less than 1 if there are
    two methods.
    """
    behind = [0.0] * len(parts)
    while True:
        behind = [debt + part.share for debt, part in zip(behind, parts, strict=True)]
        chosen = max(range(len(parts)), key=lambda number: round(behind[number], 9))
        behind[chosen] -= 1
        yield parts[chosen].method


def unique(lists: Iterable[Iterable[str]]) -> list[str]:
    """Return the texts of several lists, each once, in order of first appearance."""
    return list(dict.fromkeys(itertools.chain.from_iterable(lists)))
