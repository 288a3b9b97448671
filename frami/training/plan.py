"""The plan of a distillation: its checked arguments, and what follows from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from frami.core import seeds
from frami.core.progress import ProgressCallback, silent
from frami.core.run import Run
from frami.core.runtime import Runtime
from frami.core.seeds import Stream
from frami.core.settings import make_settings, settings_to_json
from frami.data.clips import Clips
from frami.data.leakage import held_out_folds
from frami.evaluate.agreement import teacher_agreement
from frami.models.architecture import Architecture
from frami.models.compatibility import check_compatible, distinct_front_ends
from frami.models.model import Model, ModelLike
from frami.training import loop, norms
from frami.training.ensemble import weighted_ensemble, with_hidden_states_of
from frami.training.recipes import Recipe, find_recipe
from frami.training.teachers import check_recipe, load_embedding_teacher


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A distillation: everything that is checked before any clip is read.

    Attributes:
        teachers: Models that pass `frami.models.compatibility.check_compatible`.
        embedding_teacher: The model whose hidden states are matched; None is the first teacher.
        architecture: The student's architecture.
        recipe: The losses and their weights.
        recipe_name: The recipe's name.
        settings: Settings of the training loop.
        seed: Seed of all random numbers.
        runtime: The device and precision to train with.
    """

    teachers: Sequence[Model]
    embedding_teacher: Model | None
    architecture: Architecture
    recipe: Recipe
    recipe_name: str
    settings: norms.DistillSettings
    seed: int
    runtime: Runtime

    @property
    def teacher_id(self) -> str:
        """The fingerprints of the teachers, joined by ``+``."""
        return "+".join(teacher.fingerprint for teacher in self.teachers)

    def record(self, origin: Mapping[str, Any]) -> dict[str, Any]:
        """Return everything that the student depends on, for the run's record."""
        record = {
            "source": origin,
            "teacher": self.teacher_id,
            "student": self.architecture.network,
            "arguments": dict(self.architecture.arguments),
            "recipe": self.recipe_name,
            "weights": {name: weight for name, weight in self.recipe.weights.items() if weight},
            "options": settings_to_json(self.settings),
            "seed": self.seed,
            "precision": self.runtime.precision,
        }
        if self.embedding_teacher is not None:
            record["embedding_teacher"] = self.embedding_teacher.fingerprint
        return record

    def provenance(self) -> dict[str, Any]:
        """Return the origin of the student, for its bundle."""
        models = filter(None, (*self.teachers, self.embedding_teacher))
        return {
            "teacher": self.teacher_id,
            "seed": self.seed,
            "settings": settings_to_json(self.settings),
            "teacher_data": [fold for model in models for fold in held_out_folds(model.provenance)],
        }

    def student(self) -> Model:
        """Return the untrained student.

        A student with a teacher's architecture and seed would start with that teacher's first
        weights. It gets the weights of another random stream.
        """
        student = self._fresh_model(Stream.WEIGHTS)
        if any(_same_encoder_shapes(student, teacher) for teacher in self.teachers):
            return self._fresh_model(Stream.WEIGHTS_UNLIKE_TEACHER)
        return student

    def _fresh_model(self, stream: Stream) -> Model:
        first = self.teachers[0]
        with seeds.seeded(self.seed, stream):
            return Model.build(
                self.architecture,
                first.front_end,
                first.labels,
                task=first.task,
                frame_range=first.frame_range,
            )

    def combined_teacher(self, clips: Clips) -> Model:
        """Return the teacher to match: the only one, or an ensemble weighted on the clips."""
        teacher = self.teachers[0]
        if len(self.teachers) > 1:
            teacher = weighted_ensemble(self.teachers, clips, self.runtime)
        if self.embedding_teacher is not None:
            teacher = with_hidden_states_of(teacher, self.embedding_teacher)
        return teacher

    def train(
        self,
        teacher: Model,
        clips: Clips,
        run: Run | None = None,
        report: ProgressCallback = silent,
    ) -> Model:
        """Return a student that was trained to match a teacher."""
        student = self.student()
        if self.recipe.reuse_head:
            # Before the batch norms of the teacher's head lose their statistics.
            student.network.head.load_state_dict(teacher.network.head.state_dict())
        with norms.teacher_norms(teacher, self.settings):
            return loop.fit(
                student,
                clips,
                self.recipe,
                self.settings,
                self.runtime,
                teacher=teacher if self.recipe.needs_teacher else None,
                bands=[front_end.n_mels for front_end in distinct_front_ends(self.teachers)],
                echo=self.settings.echo,
                seed=self.seed,
                run=run,
                report=report,
            )

    def fit(
        self, clips: Clips, held_out: Clips | None, run: Run, report: ProgressCallback
    ) -> tuple[Model, dict[str, float]]:
        """Return the trained student, and its agreement with the teacher on held-out clips."""
        teacher = self.combined_teacher(clips)
        student = self.train(teacher, clips, run, report)
        if self.settings.student_norm == "clips":
            norms.reestimate_batch_norms(student, clips, self.runtime, self.seed)
        if not held_out:
            return student, {}
        agreement = teacher_agreement(teacher, student, held_out, self.runtime)
        return student, {"agreement_on_held_out_clips": agreement}


def make_plan(
    teachers: Sequence[Model],
    *,
    embedding_teacher: ModelLike | None,
    student: tuple[str, int | None, int | None],
    recipe: str,
    options: Mapping[str, Any],
    labeled: bool,
    seed: int,
    runtime: Runtime,
) -> Plan:
    """Check the arguments of `distill` that need no clips; ``student`` is name, width and depth."""
    check_compatible(teachers)
    settings, weighted = _split_options(recipe, options, labeled=labeled)
    norms.check_norms(settings, teachers[0])
    hidden_teacher = load_embedding_teacher(embedding_teacher, teachers[0], weighted, recipe)
    check_recipe(weighted, recipe, hidden_teacher or teachers[0], len(teachers))
    return Plan(
        teachers=teachers,
        embedding_teacher=hidden_teacher,
        architecture=_student_architecture(teachers[0], student, weighted),
        recipe=weighted,
        recipe_name=recipe,
        settings=settings,
        seed=seed,
        runtime=runtime,
    )


def _same_encoder_shapes(student: Model, teacher: Model) -> bool:
    """Return whether the encoders' weights have the same shapes, up to a final projection."""
    if teacher.adoption is not None:  # a module of other code
        return False
    student_shapes, teacher_shapes = (
        [p.shape for p in model.network.get_submodule("encoder").parameters()]
        for model in (student, teacher)
    )
    return student_shapes[: len(teacher_shapes)] == teacher_shapes


def _split_options(
    recipe: str, options: Mapping[str, Any], *, labeled: bool
) -> tuple[norms.DistillSettings, Recipe]:
    """Split options into settings of the loop and loss weights of the recipe."""
    losses = find_recipe(recipe).weights
    weights = {name: value for name, value in options.items() if name in losses}
    settings = {name: value for name, value in options.items() if name not in losses}
    return (
        make_settings(norms.DistillSettings, settings),
        find_recipe(recipe, weights, labeled=labeled),
    )


def _student_architecture(
    teacher: Model, student: tuple[str, int | None, int | None], recipe: Recipe
) -> Architecture:
    """Return the student's architecture, with the teacher's sizes where it reuses the head."""
    architecture = Architecture.from_options(*student)
    if not recipe.reuse_head:
        return architecture
    arguments = {**architecture.arguments, "embedding": teacher.network.embedding}
    return Architecture(
        architecture.network, arguments, teacher.network.channels, teacher.architecture.pooling
    )
