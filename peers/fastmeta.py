"""Make a store with the authors' own FastMeta, from zju-vipa/Fast-Datafree, unmodified."""

from __future__ import annotations

import copy
from typing import Any

import torch
from adapt import Authors, TeacherLogits, fit_size, on_cpu, range_normalizer
from harness import Clips, Method, Order, Report, main
from torch import Tensor

from frami.models.model import Model

# The ten-step form, as in scripts/fast_cifar.sh for the teacher resnet34.
PUBLISHED: dict[str, Any] = {
    "g_steps": 10,
    "lr_g": 2e-3,
    "lr_z": 1e-2,
    "bn": 10.0,
    "oh": 0.5,
    "adv": 1.33,
    "bn_mmt": 0.9,
    "is_maml": 1,
    "reset_l0": 1,
    "reset_bn": 0,
    "warmup": 20,
    "nz": 256,
}


def make(authors: Authors, order: Order, teacher: Model, report: Report) -> Clips:
    """Return the clips of the authors' synthesizer."""
    synthesis, generators = authors
    bands, settings = teacher.front_end.n_mels, dict(PUBLISHED)
    steps, latent = settings.pop("g_steps"), settings["nz"]
    square = generators.Generator(nz=latent, ngf=64, img_size=4, nc=1)
    generator = fit_size(square, latent, bands, order.frames)
    generator.clone = lambda: copy.deepcopy(generator)
    targets: list[Tensor] = []
    with on_cpu(synthesis):
        synthesizer = synthesis.FastMetaSynthesizer(
            TeacherLogits(teacher),
            torch.nn.Identity(),  # the student: it is not asked before the end of the warm-up
            generator,
            num_classes=len(teacher.labels),
            img_size=(1, bands, order.frames),
            iterations=steps,
            synthesis_batch_size=order.rounds_of,
            normalizer=range_normalizer(synthesis, teacher),
            **settings,
        )
        while len(targets) * order.rounds_of < order.samples:
            synthesizer.synthesize()
            targets.append(synthesizer.prev_z[1])
            report(len(targets) * order.rounds_of)
    return Clips(synthesizer.data_pool.clips(), torch.cat(targets))


if __name__ == "__main__":
    rounds = PUBLISHED["warmup"] - 1
    main(Method("fastmeta (public code)", "fast_meta", PUBLISHED, rounds, make), __doc__)
