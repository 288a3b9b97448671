"""NAYER: a generator is fed with what the classes are called, through a layer that is drawn anew all the time.

Source: Tran et al., "NAYER: Noisy Layer Data Generation for Efficient and Effective Data-free Knowledge Distillation",
CVPR 2024, arXiv:2310.00258:

    L = class_prior CE + batch_norm L_BN + adversary L_adv

The input is one constant embedding a class and no noise; variety comes from the noisy layer's random weights, which are
drawn anew for every round, as is Adam. The generator lives on and is drawn anew every ten epochs, of two rounds each. As in the
authors' code: 40 steps a round, 1,000 outputs of the noisy layer. Theirs has rounds of 400 clips, and L_adv after 20 epochs of
ten rounds, in which no student learns and a generator lives for 100 rounds. Differs: rounds of the batch's size, 64 by default;
L_adv counts after twenty rounds, and the student in the making learns from the first, for 10 steps a round in place of 200; the
embeddings are made on the spot, where theirs come from CLIP: from the letters of the class names (``names``, hashed groups of two
and three), learned with the generator (``learned``), or a file of one row a class (.npy) from a text model of your own; one noisy
layer serves the batch's classes together, one for each copy of the class list.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from frami.core import seeds
from frami.core.errors import UsageError
from frami.core.runtime import Runtime
from frami.core.seeds import Stream
from frami.core.settings import loss_weights, setting, weight
from frami.inversion import losses
from frami.inversion.hooks import ForwardPass, RunningMoments, forward_with_stats
from frami.inversion.loop import RoundResult, optimize_clips
from frami.inversion.proxy import make_proxy
from frami.inversion.upsampler import Upsampler
from frami.inversion.views import get_views
from frami.models.model import Model

EMBEDDING_SIZE = 512


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Every number of NAYER."""

    steps: int = setting(40, "steps a round", low=1)
    embedding: str = setting(
        "names", "of the classes: names, learned, or a .npy file of one row a class"
    )
    class_prior: float = weight(0.5, "weight of the class prior")
    batch_norm: float = weight(10.0, "weight of the batch-norm moments")
    relative: bool = setting(
        False, "take the moments relative to the teacher's spread; published: as they are"
    )
    momentum: float = setting(0.9, "part of past rounds in the moments compared", low=0, high=0.999)
    adversary: float = weight(1.33, "weight of the disagreement with a student in the making")
    latent: int = setting(1000, "outputs of the noisy layer", low=1)
    learning_rate: float = setting(4e-3, "of the generator and the noisy layer", low=0)
    fresh: int = setting(20, "rounds after which the generator is drawn anew", low=1)
    proxy: str = setting("small", "network of that student")
    proxy_steps: int = setting(10, "steps that it learns after each round", low=0)
    proxy_memory: int = setting(2048, "clips that it remembers", low=1)
    proxy_start: int = setting(20, "rounds before its disagreement counts", low=0)
    views: str = setting("audio", "views that are judged: audio, image as published, or none")


class NoisyLayer(nn.Module):
    """Embeddings ``(B, E)`` through random linear maps, one for each time that a class comes up in the batch."""

    def __init__(self, embedding: int, latent: int, copies: int) -> None:
        super().__init__()
        self.maps = nn.Parameter(torch.randn(copies, embedding, latent))
        self.offsets = nn.Parameter(torch.zeros(copies, latent))

    def forward(self, embedded: Tensor, copy: Tensor) -> Tensor:
        """Return what feeds the generator, ``(B, Z)``; ``copy`` ``(B,)`` says which map a clip goes through."""
        return torch.bmm(embedded.unsqueeze(1), self.maps[copy]).squeeze(1) + self.offsets[copy]


class Method:
    """The state that lives through the rounds: embeddings, generator, the moments so far, the student."""

    def __init__(self, teacher: Model, settings: Settings, runtime: Runtime, seed: int) -> None:
        if teacher.task != "single-label":
            raise UsageError(
                f"nayer makes clips of one class each, and this teacher is {teacher.task}; frami makes both."
            )
        self.teacher, self.settings, self.runtime, self.seed = teacher, settings, runtime, seed
        self.view, _ = get_views(settings.views)
        with seeds.seeded(seed, Stream.CLASS_EMBEDDINGS):
            self.embedded = class_embeddings(teacher.labels, settings.embedding).to(runtime.device)
        self.embedded.requires_grad_(settings.embedding == "learned")
        self.past = RunningMoments(settings.momentum)
        self.proxy = make_proxy(teacher, settings, runtime, seed)
        self._begin(0)

    def _begin(self, number: int) -> None:
        """Draw the generator anew."""
        with seeds.seeded(self.seed, Stream.FRESH_GENERATOR_WEIGHTS, number):
            self.generator = Upsampler.for_teacher(self.teacher, self.settings.latent)
        self.runtime.place(self.generator).train()
        self.norm = nn.BatchNorm1d(self.embedded.shape[1]).to(self.runtime.device)

    def run_round(self, number: int, target: Tensor, frames: int) -> RoundResult:
        """Return finished clips ``(B, F, frames)``, one for each target ``(B,)``."""
        settings, runtime = self.settings, self.runtime
        if number and number % settings.fresh == 0:
            self._begin(number)
        target, rng = target.to(runtime.device), seeds.make_rng(self.seed, Stream.ROUND, number)
        copy = torch.stack([(target[:i] == target[i]).sum() for i in range(len(target))])
        with seeds.seeded(self.seed, Stream.NOISY_LAYER, number):
            noisy = NoisyLayer(self.embedded.shape[1], settings.latent, int(copy.max()) + 1).to(
                runtime.device
            )
        learning = [
            *self.generator.parameters(),
            *self.norm.parameters(),
            *noisy.parameters(),
            self.embedded,
        ]
        optimizer = torch.optim.Adam(learning, lr=settings.learning_rate, betas=(0.5, 0.999))
        every = loss_weights(settings)
        if number < settings.proxy_start:
            every["adversary"] = 0.0
        heard: list[ForwardPass] = []
        past = self.past

        def make() -> Tensor:
            with runtime.autocast():
                return self.generator(noisy(self.norm(self.embedded[target]), copy), frames)

        def judge(mel: Tensor) -> dict[str, Callable[[], Tensor]]:
            view = self.view(mel, rng)
            heard[:] = [now := forward_with_stats(self.teacher.network, view, runtime)]
            return {
                "class_prior": lambda: losses.class_prior_loss(now.output, target),
                "batch_norm": lambda: losses.batch_norm_loss(
                    now.batch_norm.batch,
                    now.batch_norm.stored,
                    past.moments,
                    past.momentum,
                    relative=settings.relative,
                ),
                "adversary": lambda: losses.adversarial_kl(now.output, self.proxy.predict(view)),
            }

        inverted = optimize_clips(make, judge, every, optimizer, settings.steps)
        past.update(heard[0].batch_norm.batch)
        self.proxy.update(inverted.mel, number)
        return inverted

    def state_dict(self) -> dict[str, Any]:
        """Return all that the next round depends on, as plain tensors, numbers and lists."""
        return {
            "embedded": self.embedded.detach(),
            "generator": self.generator.state_dict(),
            "norm": self.norm.state_dict(),
            "past": self.past.state_dict(),
            "proxy": self.proxy.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a `state`."""
        with torch.no_grad():
            self.embedded.copy_(state["embedded"])
        self.generator.load_state_dict(state["generator"])
        self.norm.load_state_dict(state["norm"])
        self.past.load_state_dict(state["past"], self.runtime.device)
        self.proxy.load_state_dict(state["proxy"])


def class_embeddings(labels: tuple[str, ...], kind: str) -> Tensor:
    """Return one embedding of unit length a class, ``(K, E)``.

    Args:
        labels: Names of the classes.
        kind: ``names`` hashes groups of two and three letters, ``learned`` draws a start, else a .npy file of K rows.
    """
    if kind == "learned":
        return F.normalize(torch.randn(len(labels), EMBEDDING_SIZE), dim=1)
    if kind == "names":
        from sklearn.feature_extraction.text import HashingVectorizer

        hashed = HashingVectorizer(
            analyzer="char_wb", ngram_range=(2, 3), n_features=EMBEDDING_SIZE
        )
        return torch.from_numpy(
            hashed.transform([name.replace("_", " ") for name in labels]).toarray()
        ).float()
    path = Path(kind)
    if not path.is_file():
        raise UsageError(
            f"embedding is {kind!r}, and there is no such file; names, learned or a .npy file is allowed."
        )
    try:
        rows = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} is not a .npy file of numbers ({error}).") from error
    if rows.dtype.kind not in "fiu" or not np.isfinite(rows).all():
        raise UsageError(
            f"{path} holds {rows.dtype} values, or some that are not finite; finite numbers are allowed."
        )
    if rows.ndim != 2 or len(rows) != len(labels):
        raise UsageError(
            f"{path} holds an array of shape {rows.shape}; one row for each of the {len(labels)} classes is allowed."
        )
    return F.normalize(torch.from_numpy(rows).float(), dim=1)
