"""Read advice.json, whose types and names are checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from frami.adoption.sources import INVERTED, MIXED, NOISE, SOURCES, SYNTHESIZER, TESTS
from frami.core.json_files import check_entries, read_object

NUMBERS = dict[str, float]
KINDS = {
    **{"teacher": str, "clips": int, "steps": int, "agreement": dict[str, NUMBERS]},
    **{"scores": NUMBERS, "seconds_per_1000": NUMBERS, "seconds_full": NUMBERS},
    **{"recommended": str, "noise_is_enough": bool},
}


def read_content(path: Path) -> dict[str, Any]:
    """Return the entries of advice.json.

    Raises:
        OperationError: The file is missing or damaged.
    """
    content, source = read_object(path, KINDS), str(path)
    sources = dict.fromkeys((one.name for one in SOURCES), float)
    tests = dict.fromkeys((test.name for test in TESTS), float)
    check_entries(content["agreement"], source, dict.fromkeys(sources, dict))
    for name in sources:
        check_entries(content["agreement"][name], source, tests)
    for name in ("seconds_per_1000", "seconds_full"):
        check_entries(content[name], source, sources)
    recommended = content["recommended"]
    check_entries(content["seconds_full"], source, {recommended: float})
    # The mix has no score; that of its clips is shown.
    shown = (INVERTED, SYNTHESIZER) if recommended == MIXED else (recommended,)
    check_entries(content["scores"], source, dict.fromkeys((*NOISE, *shown), float))
    agreement = {
        name: {test: content["agreement"][name][test] for test in tests} for name in sources
    }
    return {name: content[name] for name in KINDS} | {"agreement": agreement}
