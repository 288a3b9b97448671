"""Warm start: begin a synthesis with what the method of a finished store has learned.

All shards of a plan can begin at one store, so that none has to learn from nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from frami.core.errors import UsageError
from frami.core.files import expand
from frami.core.run import is_finished
from frami.core.settings import describe_differences
from frami.core.states import read_state
from frami.data.identity import contents_fingerprint
from frami.data.store import Store, store_run_folder
from frami.inversion.plan import SynthesisPlan
from frami.models.model import Model

MOST_NAMED = 3  # differences in a message
# A state fits a method with these.
SAME = ("method", "options", "mix", "moments", "frame_range", "precision")


def with_warm_start(
    plan: SynthesisPlan, teacher: Model, warm_start: str | Path | None
) -> tuple[SynthesisPlan, Mapping[str, Any] | None]:
    """Return the plan that begins at a store, and the state of the method after its last round.

    Args:
        plan: The settings of the synthesis.
        teacher: The teacher to invert.
        warm_start: A finished store, with its run folder beside it. None changes nothing.

    Raises:
        UsageError: The store was made from another teacher or with other settings of the method, or
            its run is not finished or not there.
        OperationError: The store or the state is damaged.
    """
    if warm_start is None:
        return plan, None
    path = expand(warm_start)
    with Store(path) as store:
        if store.teacher != teacher.fingerprint:
            raise UsageError(
                f"`warm_start` {path} was made from the teacher {store.teacher}, not from "
                f"{teacher.fingerprint}."
            )
        settings = json.loads(json.dumps(plan.to_json()))  # lists for tuples, as in the store
        differences = describe_differences(
            {name: store.settings.get(name) for name in SAME},
            {name: settings.get(name) for name in SAME},
            limit=MOST_NAMED,
        )
        fingerprint = contents_fingerprint(store)
    if differences:
        raise UsageError(
            f"`warm_start` {path} was made with other settings than this synthesis ({differences})."
        )
    folder = store_run_folder(path)
    state = read_state(folder) if is_finished(folder) else None
    if state is None:
        raise UsageError(
            f"`warm_start` {path} has no finished run in {folder}. Run its frami synthesize again, "
            f"or keep that folder beside the store. A merged store has none."
        )
    return replace(plan, warm_start=fingerprint), state["method"]
