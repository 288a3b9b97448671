"""The contract between the synthesis engine and an inversion method; see `frami.generators`.

Shapes: B clips of a batch, F mel bands, N frames of a spectrogram, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

from torch import Tensor

from frami.core import registry
from frami.core.errors import UsageError
from frami.core.progress import ProgressCallback
from frami.core.runtime import Runtime
from frami.inversion.loop import RoundResult
from frami.models.model import Model


@dataclass(frozen=True, kw_only=True)
class MethodSettings:
    """Base class of the settings of every method.

    A subclass adds one field per number, each made with `frami.core.settings.setting`, or with
    `frami.core.settings.weight` for the weight of a loss.

    Attributes:
        default_mix: Shares of the rounds that other methods make by default, by name.
    """

    default_mix: ClassVar[Mapping[str, float]] = MappingProxyType({})

    @property
    def frame_limit(self) -> int | None:
        """Longest clip, in frames, made by default for a single-label teacher; None: no limit."""
        return None

    def for_teacher(self, teacher: Model) -> Self:
        """Return the settings to use with a teacher; the engine calls this once."""
        return self


class Method(Protocol):
    """The state of a method between rounds. Each round makes one batch of synthetic clips."""

    def run_round(self, index: int, target: Tensor, n_frames: int) -> RoundResult:
        """Return finished clips ``(B, F, n_frames)``, one for each target.

        Args:
            index: Index of the round, from 0.
            target: What each clip should be, on the CPU: class indices ``(B,)`` int64, tags
                ``(B, K)`` float32, or activities ``(B, K, n_frames)`` float32 in [0, 1].
            n_frames: Length of the clips.
        """
        ...

    def state_dict(self) -> dict[str, Any]:
        """Return everything the next round depends on, as tensors, numbers, lists and dicts."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        ...


@runtime_checkable
class UsesRecordings(Protocol):
    """The optional part of the contract, for a method that reads recordings.

    Attributes:
        recordings: Provenance of the recordings: ``dataset``, ``test_fold`` (the fold left out) and
            ``fingerprint``. The store and all students distilled from it keep it. A method whose
            recordings are files may also have ``contents``, a digest of them
            (`frami.data.recordings.contents_digest`): a store of other files is then refused.
    """

    recordings: Mapping[str, Any]


@runtime_checkable
class ReadsRecordings(Protocol):
    """The optional part of the contract, for a method that reads many recordings."""

    def read_recordings(self, report: ProgressCallback) -> object:
        """Read them, as a stage of the work of ``report``.

        The engine calls this once before the rounds, unless the store has all its clips.
        """
        ...


MethodFactory = Callable[[Model, Any, Runtime, int], Method]


class MethodModule(Protocol):
    """A module of `frami.generators`, or a user's own module with the same two names.

    Attributes:
        Settings: A frozen dataclass, subclass of `MethodSettings`.
        Method: A class or function that takes ``(teacher, settings, runtime, seed)``. The
            teacher's ``frame_range`` is that of the clips to make.
    """

    Settings: type[MethodSettings]
    Method: MethodFactory


def load_method(name: str) -> MethodModule:
    """Return the module of an inversion method.

    Raises:
        UsageError: There is no such method, or its module does not follow the contract.
    """
    module = registry.load("generators", name, MethodModule)
    settings = module.Settings
    if not (isinstance(settings, type) and issubclass(settings, MethodSettings)):
        raise UsageError(
            f"`Settings` of the method {name!r} is not a subclass of MethodSettings; "
            "see frami.inversion.method."
        )
    return module
