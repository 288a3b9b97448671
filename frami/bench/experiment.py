"""One row of a benchmark: a data set, a student, a training source, and a seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from frami.core.run import settings_id
from frami.core.settings import settings_to_json
from frami.data.soundscapes import SoundscapeSettings
from frami.inversion.mixture import make_parts
from frami.training.echoes import count_batches
from frami.training.norms import DistillSettings
from frami.training.recipes import find_recipe
from frami.training.supervised import SupervisedSettings

# Fields that no measured number depends on: names, goals, and the row a gain is computed against.
# Of the method's settings, all count with their defaults, however they are written.
IDENTITY_EXCLUDES = {
    "task": ("max_frames",),
    "student": ("name",),
    "source": ("name", "baseline", "synthesis", "mix"),
}
# Fields that came later: at their default they do not change the identity of a row.
LATER_FIELDS = {"source": ("max_frames", "noise", "shards", "warm_start")}


@dataclass(frozen=True)
class Mixture:
    """Soundscapes that `frami soundscapes` mixes from the recordings of a data set.

    Attributes:
        dataset: Data set whose recordings are mixed.
        fold: Fold whose recordings go into the validation soundscapes.
        train: Number of soundscapes to train on.
        validation: Number of soundscapes to validate on.
        options: Settings of the soundscapes, as ``(name, value)`` pairs.
    """

    dataset: str
    fold: str
    train: int
    validation: int
    options: tuple[tuple[str, Any], ...] = ()

    @property
    def held_out(self) -> tuple[str, str]:
        """Data set and fold whose recordings are only in the validation soundscapes."""
        return self.dataset, self.fold


@dataclass(frozen=True)
class BenchTask:
    """A data set and its test fold, the teacher's network, and the budgets.

    Attributes:
        dataset: A module of ``frami.datasets``.
        fold: Fold that is held out for testing.
        teacher_steps: Training steps of the teacher.
        samples: Number of synthetic clips.
        steps: Steps of distillation.
        batch_size: Clips per step, in the teacher's training and in distillation.
        network: Network of the teacher.
        model_task: A name of ``frami.models.tasks``; empty for the task of the data set.
        mixture: How the soundscapes are mixed; None if the data set consists of recordings.
        max_frames: Longest synthetic clip of every method, in frames; 0: each method's own default.
    """

    dataset: str
    fold: str
    teacher_steps: int
    samples: int
    steps: int
    network: str = "resnet"
    batch_size: int = 64
    model_task: str = ""
    mixture: Mixture | None = None
    max_frames: int = 80

    @property
    def held_out(self) -> tuple[str, str]:
        """Data set and fold that is held out for testing."""
        return self.dataset, self.fold

    @property
    def name(self) -> str:
        """Name of the data in the tables."""
        if self.mixture is None:
            return self.dataset
        return f"{self.model_task or 'sound-events'} of {self.mixture.dataset} mixtures"


@dataclass(frozen=True)
class StudentSpec:
    """A student: its name in the tables, network and width, and the budget it must not exceed."""

    name: str
    network: str
    width: int | None = None
    budget: str | None = None


@dataclass(frozen=True)
class TeacherSpec:
    """A teacher of a task.

    Attributes:
        filterbank: Filterbank of its front end.
        seed: Added to the seed of the row.
        width: Width of its network; None is the network's default.
        pooling: Pooling of its clip outputs over time; None is the network's default.
    """

    filterbank: str = "mel"
    seed: int = 0
    width: int | None = None
    pooling: str | None = None

    @property
    def folder_name(self) -> str:
        """Name of the folder that the teacher is trained in."""
        filterbank = "" if self.filterbank == "mel" else f"-{self.filterbank}"
        pooling = f"-{self.pooling}" if self.pooling else ""
        seed = f"-{self.seed}" if self.seed else ""
        width = f"-width-{self.width}" if self.width else ""
        return f"teacher{filterbank}{pooling}{seed}{width}"


@dataclass(frozen=True)
class DataSource:
    """What a student is trained on, and how.

    Attributes:
        name: Name in the tables.
        method: Method that makes the synthetic clips; None for the task's own recordings, or for
            noise.
        recipe: Recipe of the distillation.
        synthesis: Settings of the method.
        mix: Shares of other methods, as ``(name, share)`` pairs; None: those of the method.
        distillation: Settings of the training loop, and weights of the recipe.
        teachers: The teachers. The store is made from the first; the student uses its front end.
        fused_filterbanks: Filterbanks of further students, each distilled from a teacher with the
            same filterbank. The predictions of all students are averaged.
        embedding_teacher: Teacher whose hidden states are matched; None: the first of
            ``teachers``.
        baseline: Name of the source that the gain of this one is computed against.
        max_frames: Longest synthetic clip, in frames, if it is not that of the task.
        noise: Train on noise that is drawn anew for every batch (`frami.training.norms`).
        shards: Number of shards that make the store; 0: one process makes it, without shards.
        warm_start: Number of clips of a further store, at which all shards begin; 0: none.
    """

    name: str
    method: str | None
    recipe: str = "frami-head"
    synthesis: Mapping[str, Any] = field(default_factory=dict)
    distillation: Mapping[str, Any] = field(default_factory=dict)
    teachers: tuple[TeacherSpec, ...] = (TeacherSpec(),)
    fused_filterbanks: tuple[str, ...] = ()
    embedding_teacher: TeacherSpec | None = None
    baseline: str = ""
    mix: tuple[tuple[str, float], ...] | None = None
    max_frames: int = 0
    noise: bool = False
    shards: int = 0
    warm_start: int = 0

    @property
    def mixed(self) -> dict[str, float] | None:
        """The argument ``mix`` of `frami.synthesize`."""
        return None if self.mix is None else dict(self.mix)

    @property
    def reads_recordings(self) -> bool:
        """Whether the student is trained on the task's own recordings."""
        return self.method is None and not self.noise

    @property
    def fused_teachers(self) -> tuple[TeacherSpec, ...]:
        """The teachers of the further students."""
        return tuple(TeacherSpec(filterbank) for filterbank in self.fused_filterbanks)


@dataclass(frozen=True)
class Experiment:
    """One row of a table."""

    suite: str
    task: BenchTask
    student: StudentSpec
    source: DataSource
    seed: int

    @property
    def settings(self) -> str:
        """Settings of the method that differ from its defaults, as shown in the table."""
        source = self.source
        length = {"max_frames": source.max_frames} if source.max_frames else {}
        mix = source.mix if source.mix != () else (("mix", "none"),)
        options = (*(mix or ()), *source.synthesis.items(), *length.items())
        return " ".join(f"{name}={value}" for name, value in options)

    @property
    def max_frames(self) -> int:
        """Longest synthetic clip, in frames; 0: the default of the method."""
        return self.source.max_frames or self.task.max_frames

    @property
    def identity(self) -> str:
        """8 hex digits of all that the row's numbers depend on, except the seed and the code."""
        source, config = self.source, asdict(self)
        for part, names in IDENTITY_EXCLUDES.items():
            for name in names:
                del config[part][name]
        for part, names in LATER_FIELDS.items():
            for name in names:
                if not config[part][name]:
                    del config[part][name]
        if source.method:
            parts = make_parts(source.method, source.mixed, source.synthesis)
            config["method"] = settings_to_json(parts[0].settings)
            config |= {"mixed": [part.to_json() for part in parts[1:]]} if parts[1:] else {}
            if self.max_frames and self.max_frames != parts[0].settings.frame_limit:
                config["max_frames"] = self.max_frames
        if self.task.mixture:
            config["mixing"] = asdict(SoundscapeSettings())
        recipe = find_recipe(source.recipe, labeled=source.reads_recordings)
        loops = [asdict(DistillSettings()), asdict(SupervisedSettings())]
        config |= {"weights": dict(recipe.weights), "loop": loops, "suite": "", "seed": 0}
        return settings_id(config)

    @property
    def clips(self) -> int:
        """Number of synthetic clips, or of clips of noise; 0 for recordings."""
        if self.source.noise:
            echo = self.source.distillation.get("echo", DistillSettings().echo)
            return count_batches(self.task.steps, echo) * self.task.batch_size
        return 0 if self.source.reads_recordings else self.task.samples
