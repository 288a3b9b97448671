"""Train one of the networks of this folder as other people do, in plain PyTorch.

    python -m frami.bench.foreign.train panns --dataset fsdd --data DIR/fsdd --out FOLDER

This writes ``weights.pt`` (a state dict), ``labels.txt`` and ``scores.json`` (accuracy on the test
fold). A run with the same arguments on the same machine gives the same weights.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import json
import math
import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import torch
from scipy.signal import resample_poly
from torch import Tensor, nn
from torch.nn import functional

NETWORKS = ("panns", "mobilenet", "dscnn", "bcresnet", "ecapa", "transformer", "plaincnn")
RATES = {"fsdd": 8000, "esc10": 16000}
SECONDS = {"fsdd": 0.5, "esc10": 2.5}  # a clip of a batch
MARGIN = 0.01  # seconds that a clip is longer, so that features without padding have all frames
STEPS = {"fsdd": 800, "esc10": 500}
# Networks that need more steps, or a lower learning rate.
MORE_STEPS = {"transformer": 3, "bcresnet": 2, "dscnn": 2, "mobilenet": 2}
LEARNING_RATE, LOWER_RATES = 3e-3, {"transformer": 1e-3}


@dataclass(frozen=True)
class Clips:
    """Waveforms of any length, and their classes."""

    waveforms: list[Tensor]
    classes: Tensor


def read(path: Path, rate: int) -> Tensor:
    """Return a file's waveform ``(T,)``."""
    samples, file_rate = soundfile.read(path, dtype="float32")
    mono = np.atleast_2d(samples.T).mean(axis=0)
    if file_rate != rate:
        common = math.gcd(file_rate, rate)
        mono = resample_poly(mono, rate // common, file_rate // common)
    return torch.from_numpy(mono)


def read_fsdd(data: Path, fold: str) -> tuple[list[str], Clips, Clips]:
    """Return labels, training and test clips; the fold ``takes`` tests on takes 0 to 4."""
    train: list[tuple[Path, int]] = []
    test: list[tuple[Path, int]] = []
    for path in sorted((data / "recordings").glob("*_*_*.*")):
        digit, speaker, take = path.stem.split("_")
        held_out = int(take) < 5 if fold == "takes" else speaker == fold
        (test if held_out else train).append((path, int(digit)))
    return list("0123456789"), _load(train, "fsdd"), _load(test, "fsdd")


def read_esc10(data: Path, fold: str) -> tuple[list[str], Clips, Clips]:
    """Return labels, training and test clips of ESC-10."""
    with (data / "meta" / "esc50.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["esc10"] == "True"]
    names = {int(row["target"]): row["category"] for row in rows}
    order = sorted(names)
    train: list[tuple[Path, int]] = []
    test: list[tuple[Path, int]] = []
    for row in rows:
        stem = data / "audio" / Path(row["filename"]).stem
        path = next(stem.with_suffix(end) for end in _SUFFIXES if stem.with_suffix(end).exists())
        part = test if row["fold"] == fold else train
        part.append((path, order.index(int(row["target"]))))
    return [names[target] for target in order], _load(train, "esc10"), _load(test, "esc10")


_SUFFIXES = (".wav", ".flac", ".ogg")
READERS: dict[str, Callable[[Path, str], tuple[list[str], Clips, Clips]]] = {
    "fsdd": read_fsdd,
    "esc10": read_esc10,
}


def _load(items: list[tuple[Path, int]], dataset: str) -> Clips:
    waveforms = [read(path, RATES[dataset]) for path, _ in items]
    return Clips(waveforms, torch.tensor([label for _, label in items]))


def draw_batch(clips: Clips, dataset: str, size: int, rng: random.Random) -> tuple[Tensor, Tensor]:
    """Return random parts of random clips, louder or softer, and their classes."""
    length = round((SECONDS[dataset] + MARGIN) * RATES[dataset])
    indices = [rng.randrange(len(clips.waveforms)) for _ in range(size)]
    parts = []
    for index in indices:
        waveform = clips.waveforms[index]
        waveform = waveform.repeat(-(-length // len(waveform))) if len(waveform) else waveform
        start = rng.randrange(len(waveform) - length + 1)
        parts.append(waveform[start : start + length] * 10 ** rng.uniform(-0.5, 0.3))
    return torch.stack(parts), clips.classes[indices]


def answer(output: Tensor | tuple[Tensor, ...] | dict[str, Tensor]) -> Tensor:
    """Return the logits of a network's output."""
    if isinstance(output, dict):
        return output["clipwise_output"]
    return output[0] if isinstance(output, tuple) else output


def accuracy(
    network: nn.Module, features: Callable[[Tensor], Tensor], clips: Clips, shortest: int
) -> float:
    """Return the part of whole clips that a network classifies as labeled."""
    network.eval()
    right = 0
    with torch.no_grad():
        for waveform, label in zip(clips.waveforms, clips.classes.tolist(), strict=True):
            longer = waveform.repeat(-(-shortest // len(waveform)))
            waveform = longer[: max(shortest, len(waveform))]
            right += int(answer(network(features(waveform.unsqueeze(0)))).argmax()) == label
    return right / len(clips.classes)


def masked(mel: Tensor, rng: random.Random) -> Tensor:
    """Return spectrograms with a range of bands or frames set to their mean (SpecAugment)."""
    for dim in (-1, -2):
        size = mel.shape[dim]
        width = rng.randrange(size // 5 + 1)
        start = rng.randrange(size - width + 1)
        mel = mel.clone()
        mel.narrow(dim, start, width).fill_(float(mel.mean()))
    return mel


def train(
    name: str, dataset: str, data: Path, fold: str, seed: int, steps: int, batch: int, rate: float
) -> tuple[nn.Module, list[str], dict[str, float]]:
    """Return a trained network in evaluation mode, its labels, and its scores."""
    random.seed(seed)
    torch.manual_seed(seed)
    module = importlib.import_module(f".{name}", __package__)
    labels, train_clips, test_clips = READERS[dataset](data, fold)
    network: nn.Module = getattr(module, dataset)()
    features = getattr(module, f"{dataset}_features", None)
    rng, start = random.Random(seed), time.perf_counter()
    optimizer = torch.optim.AdamW(network.parameters(), rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, steps, pct_start=0.1)
    for step in range(steps):
        network.train()
        waveforms, classes = draw_batch(train_clips, dataset, batch, rng)
        # Networks on waveforms get no masks: their spectrogram is inside.
        inputs = masked(features(waveforms), rng) if features else waveforms
        loss = functional.cross_entropy(answer(network(inputs)), classes, label_smoothing=0.05)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 20 == 0 or step == steps - 1:
            left = (time.perf_counter() - start) / (step + 1) * (steps - step - 1)
            print(f"step {step + 1}/{steps} loss {loss:.3f} left {left:.0f} s", file=sys.stderr)
    shortest = RATES[dataset] // 4
    scores = {
        "accuracy": accuracy(network, features or nn.Identity(), test_clips, shortest),
        "seconds": round(time.perf_counter() - start, 1),
        "parameters": sum(weight.numel() for weight in network.parameters()),
    }
    return network, labels, scores


def main() -> None:
    """Train and save a network."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("network", choices=NETWORKS)
    parser.add_argument("--dataset", choices=RATES, required=True)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data set")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--fold", default=None, help="takes (fsdd), 5 (esc10)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=None)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rate", type=float, default=None, help="largest learning rate")
    given = parser.parse_args()
    fold = given.fold or ("takes" if given.dataset == "fsdd" else "5")
    steps = given.steps or STEPS[given.dataset] * MORE_STEPS.get(given.network, 1)
    network, labels, scores = train(
        given.network,
        given.dataset,
        given.data,
        fold,
        given.seed,
        steps,
        given.batch,
        given.rate or LOWER_RATES.get(given.network, LEARNING_RATE),
    )
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "labels.txt").write_text("".join(f"{label}\n" for label in labels), "utf-8")
    (given.out / "scores.json").write_text(json.dumps(scores) + "\n", "utf-8")
    partial = given.out / "weights.pt.part"
    torch.save(network.state_dict(), partial)
    partial.replace(given.out / "weights.pt")
    print(json.dumps(scores))


if __name__ == "__main__":
    main()
