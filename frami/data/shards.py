"""The shards of one plan of synthesis: whether they are whole, and the order of their clips.

A shard's settings have the entry ``shard`` with its number, the number of shards, and the number of
rounds of the whole plan. The joined store has the settings of the plan, and the number of its
shards. If it was repaired, the entry ``lost`` has the number of clips that it lacks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from frami.core.errors import OperationError, UsageError
from frami.core.settings import describe_differences
from frami.core.shards import MOST_SHARDS, Shard
from frami.core.text import count, preview
from frami.data.joined_columns import SHARD, SHARDS
from frami.data.store import Store

LOST = "lost"
MOST_ROUNDS = 2**31  # the column round is int32


def shard_of(store: Store) -> Shard | None:
    """Return the shard that a store is; None for another store.

    Raises:
        OperationError: The settings of the store are damaged.
    """
    entry = store.settings.get(SHARD)
    if entry is None:
        return None
    try:
        shard, rounds = Shard(int(entry["index"]), int(entry["count"])), int(entry["rounds"])
    except (KeyError, TypeError, ValueError) as error:
        raise OperationError(f"{store.path} is damaged: its shard is {entry!r}.") from error
    is_numbered = 1 <= shard.index <= shard.count <= min(rounds, MOST_SHARDS)
    if not is_numbered or rounds > MOST_ROUNDS or store.settings.get("batch_size", 0) < 1:
        raise OperationError(f"{store.path} is damaged: its shard is {entry!r}.")
    return shard


def plan_settings(store: Store) -> dict[str, Any]:
    """Return the settings of the whole plan, for the store that joins its shards."""
    settings = {name: value for name, value in store.settings.items() if name != SHARD}
    return {**settings, SHARDS: store.settings[SHARD]["count"]}


def with_lost(settings: dict[str, Any], lost: int) -> dict[str, Any]:
    """Return the settings for a joined store that lost clips; those of other stores unchanged."""
    if SHARDS not in settings or not lost:
        return settings
    return {**settings, LOST: settings.get(LOST, 0) + lost}


def whole_plan(stores: Sequence[Store]) -> list[Store]:
    """Return the shards of one plan in their order; raise if they are not exactly one whole plan.

    Raises:
        UsageError: A store is not a shard, is a shard of another plan, or is given twice; or a
            shard is missing.
        OperationError: A shard does not have all its clips.
    """
    first = next(store for store in stores if shard_of(store))
    found: dict[Shard, Store] = {}
    for store in stores:
        shard = _shard_of_plan(store, first)
        if shard in found:
            raise UsageError(
                f"{found[shard].path} and {store.path} are both {shard}. Name each shard once."
            )
        found[shard] = store
    total = first.settings[SHARD]["count"]
    plan = [Shard(index, total) for index in range(1, total + 1)]
    if missing := [str(shard.index) for shard in plan if shard not in found]:
        raise UsageError(
            f"The plan has {total} shards, but {len(missing)} of them are missing: "
            f"{preview(missing)}. Name them all. To make one, run frami synthesize with `shard` "
            f"{missing[0]}/{total}."
        )
    for shard in plan:
        _check_rounds(found[shard], shard)
    return [found[shard] for shard in plan]


def _shard_of_plan(store: Store, first: Store) -> Shard:
    """Return the shard that a store is; raise unless it belongs to the plan of another shard."""
    shard = shard_of(store)
    if shard is None:
        raise UsageError(
            f"{store.path} is not a shard, but {first.path} is. Merge the shards of a plan first, "
            f"and then the result with other stores."
        )
    plan, own = (
        each.settings | {SHARD: each.settings[SHARD] | {"index": 0}} for each in (first, store)
    )
    if own != plan:
        raise UsageError(
            f"{store.path} is a shard of another plan than {first.path} "
            f"({describe_differences(plan, own, limit=3)}). Merge the shards of each plan first, "
            f"and then the results."
        )
    return shard


def _check_rounds(store: Store, shard: Shard) -> None:
    """Raise unless a shard has exactly the rounds of its plan that are its own."""
    batch = store.settings["batch_size"]
    own = shard.pieces(store.settings[SHARD]["rounds"])
    if len(store) < batch * len(own):
        raise OperationError(
            f"{store.path} has {len(store):,} of its {count(batch * len(own), 'clip')}. Run its "
            f"frami synthesize again to complete it."
        )
    if not np.array_equal(store.column("round"), np.repeat(own, batch)):
        raise OperationError(
            f"{store.path} is damaged: its rounds are not those of {shard}. Delete it, and run its "
            f"frami synthesize again."
        )


def describe_shards(store: Store) -> str:
    """Return in a sentence whether a store is a whole plan; empty if one process made it."""
    if shards := store.settings.get(SHARDS):
        if lost := store.settings.get(LOST):
            return (
                f"{store.path.name} lacks {count(lost, 'clip')} of its plan, left out as damaged."
            )
        return f"{store.path.name} is whole: it has all {count(shards, 'shard')} of its plan."
    shard = shard_of(store)
    if shard is None:
        return ""
    rounds = store.settings[SHARD]["rounds"]
    own = len(store) // store.settings["batch_size"]
    return (
        f"{store.path.name} is {shard}: it has {own:,} of the {count(rounds, 'round')} of its "
        f"plan. frami merge joins the shards."
    )
