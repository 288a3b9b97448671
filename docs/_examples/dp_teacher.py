"""Train a teacher with differential privacy: python -m mylab.dp_teacher --dataset fsdd ...

It needs Opacus (pip install opacus). The guarantee holds for each clip of the training. A person
with several clips is not protected, and the choice of the settings is not part of it.
"""

import argparse
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from opacus import PrivacyEngine
from torch.utils.data import DataLoader, TensorDataset

from frami.audio.frontend import FrontEnd
from frami.audio.synthesizer import random_sounds
from frami.data.clips import Spectrograms, crop_or_tile
from frami.data.splits import load_split
from frami.models.architecture import Architecture
from frami.models.model import Model

EPSILON, EPOCHS, FRAMES = 4.0, 40, 48


def train(model: Model, clips: Spectrograms, seed: int) -> Model:
    """Train a model with fresh weights; frami audit calls it for reference models, too."""
    generator = torch.Generator().manual_seed(seed)
    mels = torch.stack([crop_or_tile(mel, FRAMES, generator).float() for mel in clips.mels])
    targets = torch.as_tensor(clips.targets)
    delta = 0.1 / len(targets)
    torch.manual_seed(seed)
    network = model.network.train().requires_grad_(True)
    engine = PrivacyEngine()
    private, optimizer, loader = engine.make_private_with_epsilon(
        module=network,
        optimizer=torch.optim.Adam(network.parameters(), lr=2e-3),
        data_loader=DataLoader(TensorDataset(mels, targets), batch_size=128),
        target_epsilon=EPSILON,
        target_delta=delta,
        epochs=EPOCHS,
        max_grad_norm=1.0,
    )
    for epoch in range(EPOCHS):
        for mel, target in loader:  # Poisson sampling: batches differ in size
            if len(target):
                optimizer.zero_grad()
                loss = F.cross_entropy(private(mel).logits, target)
                loss.backward()
                optimizer.step()
        print(f"epoch {epoch + 1}: loss {loss.item():.3f}, epsilon {engine.get_epsilon(delta):.2f}")
    private.remove_hooks()
    network.eval().requires_grad_(False)
    privacy = {"epsilon": engine.get_epsilon(delta), "delta": delta}
    return replace(model, provenance={**model.provenance, "privacy": privacy})


def main() -> None:
    """Train the teacher on the recordings of a data set, and write its bundle."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--data")
    parser.add_argument("--test-fold", required=True)
    parser.add_argument("--sample-rate", type=int, default=8000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", required=True)
    arguments = parser.parse_args()

    rate = arguments.sample_rate
    size = {"n_fft": 256, "win_length": 256, "hop_length": 100, "n_mels": 40}
    front_end = FrontEnd(sample_rate=rate, f_max=rate / 2, **size)
    # Mean and deviation of recordings would be released; those of random sounds need none.
    values = front_end(random_sounds(np.random.default_rng(0), 64, rate, rate))
    front_end = replace(front_end, mean=float(values.mean()), std=float(values.std()))
    split = load_split(arguments.dataset, arguments.data, test_fold=arguments.test_fold)
    clips = Spectrograms.from_recordings(split.train, front_end)

    torch.manual_seed(arguments.seed)
    architecture = Architecture("mylab.group_norm", {"width": 16})
    frame_range = (FRAMES // 2, FRAMES)
    model = Model.build(architecture, front_end, split.labels, frame_range=frame_range)
    model = train(model, clips, arguments.seed)
    model.save(
        arguments.out,
        dataset=arguments.dataset,
        test_fold=arguments.test_fold,
        clips=len(clips.targets),
    )
    print(f"Teacher {model.fingerprint} is in {arguments.out}.")


if __name__ == "__main__":
    main()
