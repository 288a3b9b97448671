"""What a row of the bench is of: a task, a student, what it learns from, and a seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from frami.core import registry
from frami.core.run import settings_id
from frami.data.soundscapes import SoundscapeSettings
from frami.training.loop import TrainingSettings
from frami.training.recipes import find_recipe
from frami.training.supervised import SupervisedSettings

# What numbers do not depend on: names, aims, and what a gain is told over.
IDENTITY_EXCLUDES = {
    "task": ("target_teacher", "target_ratio", "minutes"),
    "student": ("name",),
    "source": ("name", "baseline"),
}


@dataclass(frozen=True)
class Mixture:
    """Soundscapes mixed from the recordings of a data set, by `frami.soundscapes`."""

    dataset: str
    fold: str
    train: int
    validation: int
    options: tuple[tuple[str, Any], ...] = ()

    @property
    def held_out(self) -> tuple[str, str]:
        """The recordings that are mixed, and the fold of them that is kept for validation."""
        return self.dataset, self.fold


@dataclass(frozen=True)
class BenchTask:
    """One data set and fold, its teacher, and the budget of a student.

    Attributes:
        dataset: A module of ``frami.datasets``.
        fold: What is held out.
        teacher_steps: Steps that the teacher is trained for.
        samples: Synthetic clips.
        steps: Steps of distillation.
        batch_size: Clips a step of the teacher's training and of distillation.
        network: Of the teacher.
        target_teacher: Accuracy that the teacher is to reach; 0 for none.
        target_ratio: Part of it that a student of FRAMI is to reach; 0 for none.
        minutes: Of synthesis and distillation together, on two cores; 0 for any.
        kind: A name of `frami.tasks`; empty for what the data set is annotated for.
        mixture: What the data set's clips are mixed from; None where they are recordings.
    """

    dataset: str
    fold: str
    teacher_steps: int
    samples: int
    steps: int
    network: str = "resnet"
    batch_size: int = 64
    target_teacher: float = 0.0
    target_ratio: float = 0.0
    minutes: int = 0
    kind: str = ""
    mixture: Mixture | None = None

    @property
    def held_out(self) -> tuple[str, str]:
        """The recordings, and the fold of them that is held out."""
        return self.dataset, self.fold

    @property
    def name(self) -> str:
        """Name in the table."""
        return (
            f"{self.kind or 'events'} of {self.mixture.dataset} mixtures"
            if self.mixture
            else self.dataset
        )


@dataclass(frozen=True)
class StudentSpec:
    """A student network; its name in the table, how it is built, and what it must not exceed."""

    name: str
    network: str
    width: int | None = None
    budget: str | None = None


@dataclass(frozen=True)
class TeacherSpec:
    """A teacher of a task: what it hears through, how far its seed is from the row's, width and pooling (None: by default)."""

    filterbank: str = "mel"
    seed: int = 0
    width: int | None = None
    pooling: str | None = None


@dataclass(frozen=True)
class DataSource:
    """What a student learns from, and how.

    Attributes:
        name: In the table.
        method: Of the store; None for recordings of the task itself.
        recipe: What the student is asked to match.
        synthesis: Settings of the method.
        distillation: Settings of the loop, and weights of the recipe.
        guides: The teachers; a store is made from the first, and the student hears as the first does.
        fused: Filterbanks of further students, each of the teacher with that filterbank; all are fused late.
        embedding: Whose hidden states are matched in place of the first teacher's; None for that one's own.
        over: Name of the source whose score, of the same student and seed, this one's gain is told over.
    """

    name: str
    method: str | None
    recipe: str = "frami-head"
    synthesis: Mapping[str, Any] = field(default_factory=dict)
    distillation: Mapping[str, Any] = field(default_factory=dict)
    teachers: tuple[TeacherSpec, ...] = (TeacherSpec(),)
    fused: tuple[str, ...] = ()
    embedding_teacher: TeacherSpec | None = None
    baseline: str = ""


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
        """What the table says of the method's settings."""
        return " ".join(f"{name}={value}" for name, value in self.source.synthesis.items())

    @property
    def identity(self) -> str:
        """8 hex digits of all that the row's numbers depend on, but the seed and the code."""
        source, whole = self.source, asdict(self)
        for part, names in IDENTITY_EXCLUDES.items():
            for name in names:
                del whole[part][name]
        for guide in filter(
            None, (*whole["source"]["teachers"], whole["source"]["embedding_teacher"])
        ):
            if guide["pooling"] is None:  # rows of when there was no choice keep their identity
                del guide["pooling"]
        if source.method:
            whole["method"] = asdict(
                registry.load("generators", source.method).Settings(**source.synthesis)
            )
        if self.task.mixture:
            whole["mixing"] = asdict(SoundscapeSettings())
        recipe, loops = (
            find_recipe(source.recipe, labelled=not source.method),
            (TrainingSettings(), SupervisedSettings()),
        )
        loop = [asdict(settings) for settings in loops]
        return settings_id(
            whole | {"weights": dict(recipe.weights), "loop": loop, "suite": "", "seed": 0}
        )

    @property
    def clips(self) -> int:
        """Synthetic clips; 0 for recordings."""
        return self.task.samples if self.source.method else 0
