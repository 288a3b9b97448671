"""What lowers the leakage of students, and what it costs: python lower_leakage.py CLIPS OUT

CLIPS is a folder that fsdd_by_lot.py wrote: its fold train has the members, its fold test the
others, and accuracy is that on its fold more.
"""

import statistics
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import frami

SEEDS = (0, 1, 2)
# Without augmentation, the teacher learns the members by heart.
BY_HEART = {"roll": False, "gain": 0.0, "band_mask": 0.0, "time_mask": 0.0}
BY_HEART |= {"splice": 0.0, "mixup": 0.0, "weight_decay": 0.0, "steps": 300}
STUDENTS = {
    "64 synthetic clips": {"samples": 64},
    "256 clips": {},
    "1,024 clips": {"samples": 1024},
    "256 clips, with moments of the members": {"epsilon": "none"},
    "the same, moments with noise for epsilon 8": {"epsilon": "8"},
    "the same, moments with noise for epsilon 1": {"epsilon": "1"},
    "256 clips, teacher's logits clipped to 4 either way": {"limit": 4.0},
    "the same, clipped to 2": {"limit": 2.0},
}


def write_moments(teacher: Path, clips: Path, epsilon: str) -> Path:
    """Return a file of the moments of the members."""
    out = teacher.parent / f"moments-{epsilon}.safetensors"
    if out.is_file():
        return out
    words = ["--dataset", "folder", "--data", clips, "--test-fold", "test", "--out", out]
    noise = [] if epsilon == "none" else ["--epsilon", epsilon, "--delta", "1e-4"]
    command = [sys.executable, "-m", "frami", "moments", teacher, *words, *noise]
    subprocess.run(list(map(str, command)), check=True, capture_output=True)
    return out


def clip_logits(teacher: frami.Model, limit: float) -> None:
    """Limit all logits that the teacher gives, also to the inversion."""
    teacher.network.register_forward_hook(
        lambda network, inputs, output: replace(
            output, logits=output.logits.clamp(-limit, limit), frame_logits=None
        )
    )


def make_student(teacher: Path, clips: Path, out: Path, seed: int, **change) -> frami.Model:
    """Return a student of one row of the table."""
    model = frami.load(teacher)
    if "limit" in change:
        clip_logits(model, change["limit"])
    moments = write_moments(teacher, clips, change["epsilon"]) if "epsilon" in change else None
    with frami.synthesize(
        model,
        out / "samples.h5",
        samples=change.get("samples", 256),
        options={"steps": 60},
        moments=moments,
        seed=seed,
    ) as store:
        student = {"student": "resnet", "width": 8, "options": {"steps": 400}}
        return frami.distill(model, samples=store, out=out / "student", seed=seed, **student)


def measure(model: Path, teacher: Path, clips: Path, out: Path, seed: int) -> list[float]:
    """Return accuracy, and the areas of the attacks loss and crops."""
    accuracy = frami.score(model, "folder", clips, test_fold="more")["accuracy"]
    where = {"dataset": "folder", "data": clips, "test_fold": "test"}
    # The teacher, too, is audited as a student: the attack crops is one on students.
    found = frami.audit(teacher, out, student=model, seed=seed, **where).content["subjects"]
    attacks = {one["attack"]: one["area"] for one in found["student"]}
    return [accuracy, attacks["loss"], attacks["crops"]]


def main(clips: Path, out: Path) -> None:
    """Print the table."""
    rows: dict[str, list[list[float]]] = {"the teacher": [], **{name: [] for name in STUDENTS}}
    for seed in SEEDS:
        folder = out / str(seed)
        teacher = folder / "teacher"
        network = {"network": "resnet", "width": 8, "options": BY_HEART}
        frami.train("folder", clips, test_fold="test", out=teacher, seed=seed, **network)
        rows["the teacher"].append(measure(teacher, teacher, clips, folder / "audit", seed))
        for number, (name, change) in enumerate(STUDENTS.items()):
            own = folder / str(number)
            make_student(teacher, clips, own, seed, **change)
            rows[name].append(measure(own / "student", teacher, clips, own / "audit", seed))
            print(seed, name, rows[name][-1], file=sys.stderr, flush=True)
    print("| model | accuracy | area of `loss` | area of `crops` |\n|---|---|---|---|")
    for name, values in rows.items():
        columns = zip(*values, strict=True)
        cells = [f"{statistics.mean(c):.3f} ± {statistics.stdev(c):.3f}" for c in columns]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
