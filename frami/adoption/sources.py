"""Sources of clips to try on a teacher, and what they cost on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypedDict

from frami.core.progress import ProgressCallback, silent
from frami.core.runtime import select_runtime
from frami.inversion import cost as inversion_cost
from frami.inversion import targets
from frami.inversion.mixture import plan_parts
from frami.models.model import Model
from frami.training import cost as training_cost
from frami.training.norms import noise_settings
from frami.training.plan import make_plan
from frami.training.sources import fresh_noise

BATCH_SIZE = 64
TEST_CLIPS = 256
# As many clips for each step as the defaults of synthesize and distill have.
CLIPS_PER_STEP = 1.0
FEWEST_CLIPS, MOST_CLIPS = 256, 4096


class RuntimeOptions(TypedDict):
    """Seed, device and threads of all trials."""

    seed: int
    device: str
    threads: int | None


@dataclass(frozen=True)
class Source:
    """A source of clips to try.

    Attributes:
        name: Its name in tables.
        families: Names in `TESTS` of the clips that are like its own; it is not tested on them.
        method: The inversion method; None draws fresh noise while the student trains.
        mix: Methods that take part, as in `frami.synthesize`; None: those of the method.
        options: Settings of the method.
    """

    name: str
    families: tuple[str, ...]
    method: str | None
    mix: Mapping[str, float] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def words(self) -> list[tuple[str, str]]:
        """Return the options of ``frami synthesize`` that choose this source."""
        shares = [f"{name}={share:g}" for name, share in (self.mix or {}).items()]
        mixed = ["none"] if self.mix == {} else shares
        settings = [("--set", f"{name}={value}") for name, value in self.options.items()]
        return [("--method", str(self.method)), *(("--mix", one) for one in mixed), *settings]


# A generated clip consists of sounds of the synthesizer, so each is close to the other.
SOUNDS = ("synthesizer", "one clip")
MIXED, INVERTED, SYNTHESIZER = "frami", "inverted", "synthesizer"
SOURCES = (
    Source(MIXED, (INVERTED, *SOUNDS), "frami"),
    Source(INVERTED, (INVERTED,), "frami", mix={}),
    Source(SYNTHESIZER, SOUNDS, "synthesizer"),
    Source("one clip", SOUNDS, "one_clip"),
    Source("noise", ("noise",), "noise"),
    Source("noise, batch statistics", ("noise",), None),
)
# The sources that make held-out clips, with another seed than the students' clips.
TESTS = tuple(source for source in SOURCES if source.name in source.families)
NOISE = tuple(source.name for source in SOURCES if source.families == ("noise",))


def find_source(name: str) -> Source:
    """Return the source with this name."""
    return next(source for source in SOURCES if source.name == name)


@dataclass(frozen=True)
class Costs:
    """Seconds on this machine.

    Attributes:
        clip: Seconds per clip, by the name of the source; 0 for fresh noise.
        step: Seconds per step of distillation.
    """

    clip: Mapping[str, float]
    step: float

    def seconds(self, source: Source, clips: int, steps: int) -> float:
        """Return the seconds that a store and a student take."""
        return clips * self.clip[source.name] + steps * self.step


def measure_costs(
    teacher: Model, student: str, runtime: RuntimeOptions, report: ProgressCallback = silent
) -> Costs:
    """Return the costs of all sources, measured on one round each and on a few training steps."""
    clip = {}
    for number, source in enumerate(SOURCES):
        report(0, f"measuring costs, {number + 1} of {len(SOURCES)}")
        clip[source.name] = seconds_per_clip(teacher, source, runtime)
    return Costs(clip, seconds_per_step(teacher, student, runtime))


def seconds_per_step(
    teacher: Model, student: str, runtime: RuntimeOptions, width: int | None = None
) -> float:
    """Return the seconds per step of distillation from noise."""
    plan = make_plan(
        [teacher],
        embedding_teacher=None,
        student=(student, width, None),
        recipe="frami",
        options=noise_settings(teacher),
        labeled=False,
        seed=runtime["seed"],
        runtime=select_runtime(runtime["device"], runtime["threads"]),
    )
    n_clips = max(training_cost.LENGTHS) * plan.settings.batch_size
    clips, _ = fresh_noise([teacher], n_clips, plan.seed).load(silent)
    return training_cost.seconds_per_step(plan, clips)


def seconds_per_clip(teacher: Model, source: Source, runtime: RuntimeOptions) -> float:
    """Return the seconds per clip of a source; see `frami.inversion.cost`."""
    if source.method is None:
        return 0.0
    parts = plan_parts(teacher, source.method, source.mix, source.options)
    return inversion_cost.seconds_per_clip(
        teacher,
        parts,
        select_runtime(runtime["device"], runtime["threads"]),
        batch_size=BATCH_SIZE,
        n_frames=targets.default_frame_range(teacher, parts[0].settings)[1],
        seed=runtime["seed"],
    )


def choose_clips(costs: Costs, seconds: float) -> int:
    """Return the number of clips for each store with which all trials take about ``seconds``."""
    tests = sum(TEST_CLIPS * costs.clip[source.name] for source in TESTS)
    per_clip = sum(costs.seconds(source, 1, 0) + costs.step / CLIPS_PER_STEP for source in SOURCES)
    clips = int((seconds - tests) / per_clip) // BATCH_SIZE * BATCH_SIZE
    return min(MOST_CLIPS, max(FEWEST_CLIPS, clips))
