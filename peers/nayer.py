"""Make a store with the authors' own NAYER, from tmtuan1307/NAYER, unmodified."""

from __future__ import annotations

from typing import Any

import torch
from adapt import Authors, TeacherLogits, fit_size, on_cpu, range_normalizer
from harness import Clips, Method, Order, Report, main
from torch import Tensor, nn

from frami.inversion.class_embeddings import class_embeddings
from frami.models.model import Model

# As in scripts/nayer_100.sh for CIFAR-10. A generator makes ten rounds an epoch until the warm-up
# of 20 epochs ends.
PUBLISHED: dict[str, Any] = {
    "g_steps": 30,
    "lr_g": 4e-3,
    "bn": 10.0,
    "oh": 0.5,
    "adv": 1.33,
    "bn_mmt": 0.9,
    "g_life": 10,
    "g_loops": 2,
    "gwp_loops": 10,
    "warmup": 20,
}
LATENT = 1000  # the published size of the noisy layer


def make(authors: Authors, order: Order, teacher: Model, report: Report) -> Clips:
    """Return the clips of the authors' synthesizer."""
    synthesis, generators = authors
    classes, bands = len(teacher.labels), teacher.front_end.n_mels
    embedded = class_embeddings(teacher.labels, "names")
    rounds = -(-order.samples // order.rounds_of)
    targets: list[Tensor] = []

    def build() -> Any:
        square = generators.NLGenerator(
            ngf=64,
            img_size=4,
            nc=1,
            nl=classes,
            label_emb=embedded,
            le_emb_size=LATENT,
            le_size=embedded.shape[1],
            sbz=order.rounds_of,
        )
        generator = fit_size(square, LATENT, bands, order.frames)
        generator.reinit = build
        return generator

    with on_cpu(synthesis):
        synthesizer = synthesis.NAYER(
            TeacherLogits(teacher),
            nn.Identity(),  # the student: it is not asked before the end of the warm-up
            build(),
            num_classes=classes,
            img_size=(1, bands, order.frames),
            synthesis_batch_size=order.rounds_of,
            normalizer=range_normalizer(synthesis, teacher),
            **PUBLISHED,
        )
        draw = synthesizer.generate_ys

        def draw_and_keep(*args: Any, **options: Any) -> tuple[Tensor, Tensor]:
            report(len(targets) * order.rounds_of)
            target, one_hot = draw(*args, **options)
            targets.append(target)
            return target, one_hot

        synthesizer.generate_ys = draw_and_keep
        while len(targets) < rounds:
            synthesizer.gwp_loops = min(PUBLISHED["gwp_loops"], rounds - len(targets))
            synthesizer.synthesize()
        report(order.samples)
    return Clips(synthesizer.data_pool.clips(), torch.cat(targets))


if __name__ == "__main__":
    rounds = PUBLISHED["warmup"] * PUBLISHED["gwp_loops"]
    main(Method("nayer (public code)", "nayer", PUBLISHED, rounds, make), __doc__)
