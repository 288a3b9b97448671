"""From a teacher, and clips from a store or from recordings, to a student."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from frami import bundle, datasets, ensemble, files, learn, machine, progress, recipes, seeds, settings
from frami.architecture import Architecture
from frami.clips import Clips, Spectrograms
from frami.errors import Failed, WrongUse
from frami.evaluate import agreement, complexity
from frami.model import Bundle, Model, load, loaded
from frami.network import FrameHead, Head
from frami.run import Run, finished
from frami.store import Store, parts


def distill(
    teacher: Bundle | Sequence[Bundle],
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
    embedding_teacher: Bundle | None = None,
    options: Mapping[str, Any] | None = None,
    budget: str | None = None,
    any_teacher: bool = False,
    seed: int = 0,
    device: str = "auto",
    threads: int | None = None,
    precision: str = "auto",
    report: progress.Report = progress.silent,
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
    if (samples is None) == (dataset is None):
        raise WrongUse(
            "Name either a store (--samples) or recordings (--dataset with --test-fold) to distil from, not both."
        )
    teachers, seed = _loaded(teacher), seeds.checked(seed)
    ensemble.check_alike(teachers)
    first = teachers[0]
    chosen, found = _settings(recipe, options or {}, labelled=dataset is not None)
    built = _architecture(first, student, width, depth, found)
    where = machine.choose(device, threads, precision)
    other = _other(embedding_teacher, first, found, recipe)
    _check_recipe(found, recipe, other or first, len(teachers))
    source, hear, recordings = _source(teachers, other, samples, dataset, data, test_fold, any_teacher)
    known_as = "+".join(each.fingerprint for each in teachers)
    facts = {
        "source": source,
        "teacher": known_as,
        "student": student,
        "arguments": dict(built.arguments),
        "recipe": recipe,
        "weights": {name: weight for name, weight in found.weights.items() if weight},
        "options": asdict(chosen),
        "seed": seed,
        "precision": where.precision,
        **({"embedding_teacher": other.fingerprint} if other is not None else {}),
    }
    if budget:
        complexity.within(budget, Model.build(built, first.front_end, first.labels, first.task))
    # Reading the recordings is no part of what distillation costs; that nothing can be written is told before it.
    files.folder(out)
    clips, held_out = (None, None) if finished(Path(out)) else hear()
    with Run(
        Path(out), "distill", facts, writes=bundle.FILES, recordings=recordings, device=where.name, teacher=known_as
    ) as run:
        if run.finished or clips is None:
            return load(out, trust_code=True)
        asked = ensemble.together(teachers, clips, where) if len(teachers) > 1 else first
        if other is not None:
            asked = ensemble.informed(asked, other)
        # Of its teacher's build and seed, a student would begin as that one did.
        with seeds.seeded(seed, 4 if built in [one.architecture for one in teachers] else 0):
            model = Model.build(built, first.front_end, first.labels, task=first.task, frames=first.frames)
        learn.fit(
            model,
            clips,
            found,
            chosen,
            where,
            teacher=asked if found.taught else None,
            seed=seed,
            run=run,
            report=report,
        )
        scores = {"agreement_on_held_out_clips": agreement.agreement(asked, model, held_out, where)} if held_out else {}
        taught = [known for one in filter(None, (*teachers, other)) for known in datasets.held_out(one.provenance)]
        model.save(
            out, teacher=known_as, source=source, recipe=recipe, seed=seed, settings=asdict(chosen), taught=taught
        )
        run.finish(fingerprint=model.fingerprint, **scores)
        return load(out, trust_code=True)


def _loaded(teacher: Bundle | Sequence[Bundle]) -> list[Model]:
    listed = [teacher] if isinstance(teacher, Model | str | Path) else list(teacher)
    if not listed:
        raise WrongUse("There is no teacher; name one or several.")
    return [loaded(one) for one in listed]


def _other(embedding_teacher: Bundle | None, first: Model, recipe: recipes.Recipe, name: str) -> Model | None:
    """Return whose hidden states are matched in place of the teacher's."""
    if embedding_teacher is None:
        return None
    if recipe.reuse_head:
        raise WrongUse(f"The recipe {name} reuses the teacher's own head; leave out the embedding teacher.")
    if not any(recipe.weights.get(objective) for objective in recipes.HIDDEN):
        raise WrongUse(f"The recipe {name} matches no hidden states; leave out the embedding teacher, or try dual.")
    other = loaded(embedding_teacher)
    if other.front_end.unstandardised != first.front_end.unstandardised:
        raise WrongUse(
            f"The model {other.fingerprint} hears through another front end than the teacher {first.fingerprint}; "
            f"its embedding can be matched where both are alike."
        )
    return other


def _check_recipe(found: recipes.Recipe, name: str, matched: Model, teachers: int) -> None:
    if found.several and teachers < 2:
        raise WrongUse(f"The recipe {name} is for two teachers or more; give another --teacher, or choose kd.")
    if found.reuse_head and not isinstance(matched.network.head, Head | FrameHead):
        raise WrongUse(
            f"This teacher has a head of its own kind, which the recipe {name} cannot take over; choose frami."
        )
    if found.weights.get("embedding") and isinstance(matched.network.head, FrameHead):
        raise WrongUse(
            f"A teacher of events answers for each frame, and has no embedding that it uses; the recipe {name} is for others: "
            f"dual matches frames."
        )


def _settings(recipe: str, options: Mapping[str, Any], *, labelled: bool) -> tuple[learn.Settings, recipes.Recipe]:
    """Return the settings of the loop and the recipe; an option names one of the two."""
    objectives = recipes.find(recipe).weights
    weights = {name: value for name, value in options.items() if name in objectives}
    others = {name: value for name, value in options.items() if name not in objectives}
    return settings.make(learn.Settings, others), recipes.find(recipe, weights, labelled=labelled)


def _architecture(
    teacher: Model, student: str, width: int | None, depth: int | None, recipe: recipes.Recipe
) -> Architecture:
    built = Architecture.of(student, width, depth)
    if not recipe.reuse_head:
        return built
    arguments = {**built.arguments, "embedding": teacher.network.embedding}
    return Architecture(student, arguments, teacher.network.channels, teacher.architecture.pooling)


def _source(
    teachers: Sequence[Model],
    embedding_teacher: Model | None,
    samples: Store | str | Path | None,
    dataset: str | None,
    data: str | Path | None,
    test_fold: str | int | None,
    any_teacher: bool,
) -> tuple[dict[str, Any], Callable[[], tuple[Clips, Clips | None]], str]:
    """Return a description for the record, what gives clips to train on and to hold out, and what tells recordings apart."""
    teacher = teachers[0]
    if dataset is not None:
        if test_fold is None:
            raise WrongUse("--dataset needs --test-fold: what is held out must never be distilled from.")
        split = datasets.for_task(datasets.split(dataset, data, test_fold=test_fold), teacher.task)
        datasets.check_enough(split)
        datasets.check_labels(teacher.labels, split)
        for one in filter(None, (*teachers, embedding_teacher)):
            if not any_teacher and (known := datasets.remark(one.provenance, split)):
                raise WrongUse(
                    f"Of teacher {one.fingerprint}: {known} Hold out the same, or say --any-teacher if it is meant."
                )
        ends = ensemble.front_ends(teachers)
        return split.origin, lambda: (Spectrograms.of(split.train, *ends), None), split.fingerprint
    if data is not None or test_fold is not None:
        raise WrongUse("--data and --test-fold are of recordings; a store (--samples) is distilled from without any.")
    if isinstance(samples, Store) and samples.is_open:
        store = samples
    else:  # one that its owner has closed is opened again
        store = Store(samples.path if isinstance(samples, Store) else Path(str(samples)))
    if len(ensemble.front_ends(teachers)) > 1:
        raise WrongUse("A store is made for one front end; teachers with several of them teach from --dataset only.")
    check_store(store, teacher, any_teacher or store.teacher in [one.fingerprint for one in teachers])
    source = {
        "method": store.method,
        "clips": len(store),
        "settings": store.settings,
        "teacher": store.teacher,
    }
    return source, lambda: parts(store), ""


def check_store(store: Store, teacher: Model, any_teacher: bool = False) -> None:
    """Refuse a store that this teacher's student cannot learn from."""
    if len(store) < 4:
        raise Failed(f"{store.path} holds {len(store)} clips; 4 or more are needed: frami synthesize goes on with it.")
    if store.front_end != teacher.front_end:
        raise Failed(
            f"{store.path} was made for another front end than this teacher's; synthesise one from this teacher, or, of "
            f"several, name the one that it was made from first."
        )
    if store.teacher != teacher.fingerprint and not any_teacher:
        raise Failed(
            f"{store.path} was inverted from the teacher {store.teacher}, this one is {teacher.fingerprint}; "
            f"synthesise one from this teacher, or say --any-teacher if it is meant."
        )
    if store.task != teacher.task:
        raise Failed(f"{store.path} was made for the task {store.task}, this teacher's is {teacher.task}.")
    if store.labels != teacher.labels:
        raise Failed(
            f"{store.path} is of {len(store.labels)} classes ({datasets.first(store.labels)}), this teacher knows "
            f"{len(teacher.labels)} ({datasets.first(teacher.labels)}); name the teacher that it was made from."
        )
