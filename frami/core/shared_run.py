"""A run folder of several processes: the first one works in it, and the others follow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from frami.core import processes
from frami.core.run import Run


class SharedRun(Run):
    """A `Run` that all processes of `processes.joined` open; only the first one writes.

    Every process makes the same calls, and gets the results and the errors of the first one. With
    one process it is a `Run`.
    """

    def __init__(self, folder: Path, command: str, settings: Mapping[str, Any], **options: Any):
        """Start a run, or resume it; the arguments are those of `Run`."""
        start = super().__init__
        self.folder, self._lock = folder, None

        def open_folder() -> tuple[bool, dict[str, Any]]:
            start(folder, command, settings, **options)
            return self.finished, self.content

        self.finished, self.content = processes.from_first(open_folder)

    def log(self, **values: Any) -> None:
        """See `Run.log`."""
        if processes.rank() == 0:
            super().log(**values)

    def rewind(self, counter: str, last: int) -> None:
        """See `Run.rewind`."""
        processes.from_first(partial(super().rewind, counter, last))

    def save(
        self, state: Callable[[], Mapping[str, Any]], *, always: bool = False, left: str = ""
    ) -> None:
        """See `Run.save`; all processes stop at the deadline of the first one."""
        processes.from_first(partial(super().save, state, always=always, left=left))

    def state(self) -> dict[str, Any] | None:
        """See `Run.state`."""
        return processes.from_first(super().state)

    def finish(self, **scores: Any) -> None:
        """See `Run.finish`."""
        processes.from_first(partial(super().finish, **scores))
