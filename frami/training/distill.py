"""From a teacher, and clips from a store or from recordings, to a student."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from frami.core import files, seeds
from frami.core.errors import UsageError
from frami.core.progress import ProgressCallback, silent
from frami.core.run import Run, is_finished
from frami.core.runtime import Runtime, select_runtime
from frami.core.seeds import Stream
from frami.core.settings import make_settings
from frami.data.clips import Clips
from frami.data.leakage import held_out_folds
from frami.data.store import Store
from frami.evaluate import complexity
from frami.evaluate.agreement import teacher_agreement
from frami.models import bundle
from frami.models.architecture import Architecture
from frami.models.compatibility import check_compatible, distinct_front_ends
from frami.models.model import Model, ModelLike, as_model, load
from frami.models.network import FrameHead, Head
from frami.training import loop, sources
from frami.training.ensemble import weighted_ensemble, with_hidden_states_of
from frami.training.recipes import HIDDEN_STATE_LOSSES, Recipe, find_recipe


def distill(
    teacher: ModelLike | Sequence[ModelLike],
    *,
    out: str | Path,
    samples: Store | str | Path | None = None,
    dataset: str | None = None,
    data: str | Path | None = None,
    test_fold: str | int | None = None,
    student: str = "small",
    width: int | None = None,
    depth: int | None = None,
    recipe: str = "frami",
    embedding_teacher: ModelLike | None = None,
    options: Mapping[str, Any] | None = None,
    budget: str | None = None,
    any_teacher: bool = False,
    seed: int = 0,
    device: str = "auto",
    threads: int | None = None,
    precision: str = "auto",
    report: ProgressCallback = silent,
) -> Model:
    """Distil a student from a store of synthetic clips, or from recordings (the upper bound); write and return it.

    The last 5 % of a store are not trained on: the student's agreement with its teacher on them goes into the record.
    A run that was cut off goes on where it was; one that is finished is loaded.

    Args:
        teacher: A model, a bundle's folder, or the name of one that ships with the package; or several of them, which
            then teach together (`frami.ensemble`). They are left as they were.
        out: Folder of the student's bundle and of the run's record.
        samples: The store; or
        dataset: a data set of recordings, with ``data`` and ``test_fold`` as for `frami.train`.
        data: See ``dataset``.
        test_fold: See ``dataset``.
        student: A module of ``frami.students`` or ``frami.teachers``.
        width: Channels of the student; None is its default.
        depth: Layers of the student; None is its default.
        recipe: A name of `frami.recipes`.
        embedding_teacher: A model whose frames, statistics and embedding are to be matched in place of the (first)
            teacher's: a wider one, or one that was trained on more sounds. It hears through the same front end, but for mean
            and deviation.
        options: Other `frami.learn.Settings` and weights of the recipe's objectives, by name.
        budget: A name of `frami.evaluate.complexity.BUDGETS`, beyond which a student is refused.
        any_teacher: Allow a store that was made from another teacher, and a teacher that may know the fold held out.
        seed: Of the student's first weights, the order of the clips and their alterations.
        device: ``auto``, ``cpu``, ``cuda``.
        threads: Threads of the CPU; None leaves torch's choice.
        precision: ``auto``, ``float32`` or ``bfloat16``.
        report: Called with the number of finished steps.

    Raises:
        WrongUse: an unknown student, recipe or setting, or not exactly one source of clips,
            or teachers of other labels.
        Failed: the store is of another teacher, front end or task, or has fewer than 4 clips.
    """
    teachers = _load_teachers(teacher)
    check_compatible(teachers)
    chosen, found = _split_options(recipe, options or {}, labelled=dataset is not None)
    other = _load_embedding_teacher(embedding_teacher, teachers[0], found, recipe)
    _check_recipe(found, recipe, other or teachers[0], len(teachers))
    plan = _Plan(
        teachers=teachers,
        embedding_teacher=other,
        architecture=_architecture(teachers[0], student, width, depth, found),
        recipe=found,
        settings=chosen,
        seed=seeds.check_seed(seed),
        runtime=select_runtime(device, threads, precision),
    )
    given = sources.choose_source(
        teachers,
        other,
        samples,
        dataset,
        data,
        test_fold,
        any_teacher=any_teacher,
        labelled=not found.needs_teacher,
    )
    if budget:
        complexity.check_budget(budget, plan.student())
    # Reading the recordings is no part of what distillation costs; that nothing can be written is told before it.
    files.ensure_dir(out)
    clips, held_out = (None, None) if is_finished(Path(out)) else given.load()
    with Run(
        Path(out),
        "distill",
        plan.record(recipe, given.origin),
        writes=bundle.BUNDLE_FILES,
        recordings=given.recordings,
        device=plan.runtime.name,
        teacher=plan.teacher_id,
    ) as run:
        if not (run.finished or clips is None):
            model, scores = plan.fit(clips, held_out, run, report)
            model.save(out, recipe=recipe, source=given.origin, **plan.provenance())
            run.finish(fingerprint=model.fingerprint, **scores)
        return load(out, trust_code=True)


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """Who teaches whom and how: all that has been checked before any clip is read.

    Attributes:
        teachers: Alike in what `ensemble.check_alike` asks for.
        other: Whose hidden states are matched in place of the first teacher's.
        built: How the student is.
        recipe: What it is asked to match.
        settings: Of the loop.
        seed: Of all that is drawn.
        where: On what it learns.
    """

    teachers: Sequence[Model]
    embedding_teacher: Model | None
    architecture: Architecture
    recipe: Recipe
    settings: loop.TrainingSettings
    seed: int
    runtime: Runtime

    @property
    def teacher_id(self) -> str:
        """The fingerprints of the teachers."""
        return "+".join(each.fingerprint for each in self.teachers)

    def record(self, recipe: str, origin: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the student depends on."""
        return {
            "source": origin,
            "teacher": self.teacher_id,
            "student": self.architecture.network,
            "arguments": dict(self.architecture.arguments),
            "recipe": recipe,
            "weights": {name: weight for name, weight in self.recipe.weights.items() if weight},
            "options": asdict(self.settings),
            "seed": self.seed,
            "precision": self.runtime.precision,
            **(
                {"embedding_teacher": self.embedding_teacher.fingerprint}
                if self.embedding_teacher is not None
                else {}
            ),
        }

    def provenance(self) -> dict[str, Any]:
        """Return what the student's bundle says of where it comes from."""
        knew = [
            known
            for one in filter(None, (*self.teachers, self.embedding_teacher))
            for known in held_out_folds(one.provenance)
        ]
        return {
            "teacher": self.teacher_id,
            "seed": self.seed,
            "settings": asdict(self.settings),
            "taught": knew,
        }

    def student(self) -> Model:
        """Return the student before it has learned anything."""
        student = self._fresh_model(Stream.WEIGHTS)
        # Of its teacher's build and seed, a student would begin as that one did.
        return (
            self._fresh_model(Stream.WEIGHTS_UNLIKE_TEACHER)
            if any(_same_encoder_shapes(student, one) for one in self.teachers)
            else student
        )

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

    def fit(
        self, clips: Clips, held_out: Clips | None, run: Run, report: ProgressCallback
    ) -> tuple[Model, dict[str, float]]:
        """Return the student that has learned from clips, and its agreement with the teacher on those held out."""
        asked = self.teachers[0]
        if len(self.teachers) > 1:
            asked = weighted_ensemble(self.teachers, clips, self.runtime)
        if self.embedding_teacher is not None:
            asked = with_hidden_states_of(asked, self.embedding_teacher)
        model = loop.fit(
            self.student(),
            clips,
            self.recipe,
            self.settings,
            self.runtime,
            teacher=asked if self.recipe.needs_teacher else None,
            bands=[end.n_mels for end in distinct_front_ends(self.teachers)],
            seed=self.seed,
            run=run,
            report=report,
        )
        if not held_out:
            return model, {}
        return model, {
            "agreement_on_held_out_clips": teacher_agreement(asked, model, held_out, self.runtime)
        }


def _same_encoder_shapes(student: Model, teacher: Model) -> bool:
    """Return whether a student's encoder is built as a teacher's, a projection after it aside."""
    ours, theirs = (
        [p.shape for p in one.network.get_submodule("encoder").parameters()]
        for one in (student, teacher)
    )
    return ours[: len(theirs)] == theirs


def _load_teachers(teacher: ModelLike | Sequence[ModelLike]) -> list[Model]:
    listed = [teacher] if isinstance(teacher, Model | str | Path) else list(teacher)
    if not listed:
        raise UsageError("There is no teacher; name one or several.")
    return [as_model(one) for one in listed]


def _load_embedding_teacher(
    embedding_teacher: ModelLike | None, first: Model, recipe: Recipe, name: str
) -> Model | None:
    """Return whose hidden states are matched in place of the teacher's."""
    if embedding_teacher is None:
        return None
    if recipe.reuse_head:
        raise UsageError(
            f"The recipe {name} reuses the teacher's own head; leave out the embedding teacher."
        )
    if not any(recipe.weights.get(objective) for objective in HIDDEN_STATE_LOSSES):
        raise UsageError(
            f"The recipe {name} matches no hidden states; leave out the embedding teacher, or try dual."
        )
    other = as_model(embedding_teacher)
    if other.front_end.unstandardized != first.front_end.unstandardized:
        raise UsageError(
            f"The model {other.fingerprint} hears through another front end than the teacher {first.fingerprint}; "
            f"name one that hears as the teacher does (frami inspect shows both)."
        )
    return other


def _check_recipe(found: Recipe, name: str, matched: Model, teachers: int) -> None:
    if found.multi_teacher and teachers < 2:
        raise UsageError(
            f"The recipe {name} is for two teachers or more; give another --teacher, or choose kd."
        )
    if found.reuse_head and not isinstance(matched.network.head, Head | FrameHead):
        raise UsageError(
            f"This teacher has a head of its own kind, which the recipe {name} cannot take over; choose frami."
        )
    if found.weights.get("embedding") and isinstance(matched.network.head, FrameHead):
        raise UsageError(
            f"A teacher of events answers for each frame, and has no embedding that it uses; the recipe {name} is for others: "
            f"dual matches frames."
        )


def _split_options(
    recipe: str, options: Mapping[str, Any], *, labelled: bool
) -> tuple[loop.TrainingSettings, Recipe]:
    """Return the settings of the loop and the recipe; an option names one of the two."""
    objectives = find_recipe(recipe).weights
    weights = {name: value for name, value in options.items() if name in objectives}
    others = {name: value for name, value in options.items() if name not in objectives}
    return make_settings(loop.TrainingSettings, others), find_recipe(
        recipe, weights, labelled=labelled
    )


def _architecture(
    teacher: Model, student: str, width: int | None, depth: int | None, recipe: Recipe
) -> Architecture:
    built = Architecture.from_options(student, width, depth)
    if not recipe.reuse_head:
        return built
    arguments = {**built.arguments, "embedding": teacher.network.embedding}
    return Architecture(student, arguments, teacher.network.channels, teacher.architecture.pooling)
