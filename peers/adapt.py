"""What stands around the authors' code: imports, generator size, value range, teacher."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import io
import sys
import types
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import torch
from torch import Tensor, nn

from frami.core.errors import UsageError
from frami.models.model import Model

PACKAGE = "datafree"  # the package of Fast-Datafree, CMI and NAYER
CHANNELS = 64  # of the authors' generators
SCALE = 4  # the generators double the size of their first map twice


def code_digest(repository: Path) -> str:
    """Return 16 hex digits that depend on every Python file of the authors' package."""
    digest = hashlib.sha256()
    for path in sorted((repository / PACKAGE).rglob("*.py")):
        digest.update(path.relative_to(repository).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:16]


class Authors(NamedTuple):
    """The authors' modules: of a method, and of their generators."""

    synthesis: Any
    generators: Any


def import_authors(repository: Path, method: str) -> Authors:
    """Return the authors' modules of a method.

    Raises:
        UsageError: The folder has no such module, or a package that it needs is not installed.
    """
    source = repository / PACKAGE / "synthesis" / f"{method}.py"
    if not source.is_file():
        raise UsageError(f"{repository} is not the authors' repository: it has no {source}.")
    sys.modules.update(_torchvision())
    sys.path.insert(0, str(repository.resolve()))
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            names = (f"{PACKAGE}.synthesis.{method}", f"{PACKAGE}.models.generator")
            synthesis, generators = map(importlib.import_module, names)
            return Authors(synthesis, generators)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"The authors' code needs a package that is not installed: "
            f"pip install --no-deps {str(error.name).partition('.')[0]}"
        ) from error


def _torchvision() -> dict[str, types.ModuleType]:
    """Return modules with the few names of torchvision that are looked up at import."""
    names = ("", ".transforms", ".models", ".models.inception", ".models.utils")
    modules = {f"torchvision{name}": types.ModuleType(f"torchvision{name}") for name in names}
    for name, module in list(modules.items())[1:]:
        parent, _, own = name.rpartition(".")
        setattr(modules[parent], own, module)
    vars(modules["torchvision.transforms"])["Compose"] = compose
    vars(modules["torchvision.models.utils"])["load_state_dict_from_url"] = None
    for block in ("InceptionA", "InceptionC", "InceptionE"):
        setattr(modules["torchvision.models.inception"], block, nn.Module)
    return modules


def compose(transforms: list[Callable[[Tensor], Tensor]]) -> Callable[[Tensor], Tensor]:
    """Return a function that applies transforms one after another."""

    def apply(images: Tensor) -> Tensor:
        for transform in transforms:
            images = transform(images)
        return images

    return apply


def fit_size(generator: Any, latent: int, bands: int, frames: int) -> Any:
    """Make a generator of square images of 4 pixels one of ``(1, bands, frames)``.

    Its first layer gets the outputs of the larger map, which is cropped at the end if 4 does not
    divide a side. Every other layer stays.
    """
    height, width = -(-bands // SCALE), -(-frames // SCALE)
    generator.l1 = nn.Sequential(nn.Linear(latent, 2 * CHANNELS * height * width))
    generator.conv_blocks = nn.Sequential(
        nn.Flatten(),
        nn.Unflatten(1, (2 * CHANNELS, height, width)),
        *generator.conv_blocks,
        nn.ZeroPad2d((0, frames - SCALE * width, 0, bands - SCALE * height)),
    )
    return generator


class TeacherLogits(nn.Module):
    """The teacher as the authors call one: images ``(B, 1, F, N)`` to logits ``(B, K)``."""

    def __init__(self, teacher: Model) -> None:
        super().__init__()
        self.network = teacher.network

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits."""
        return self.network(images[:, 0]).logits


def range_normalizer(synthesis: Any, teacher: Model) -> Callable[[Tensor], Tensor]:
    """Return the authors' normalizer, set so that [0, 1] is the range of the front end."""
    low, high = teacher.front_end.value_range
    span = high - low
    normalizer: Callable[[Tensor], Tensor] = synthesis.datafree.utils.Normalizer(
        mean=(-low / span,), std=(1 / span,)
    )
    return normalizer


class MemoryPool(list[Tensor]):
    """The authors' pool of images, in memory and not rounded to 8 bits."""

    def __init__(self, root: str = "") -> None:
        super().__init__()

    def add(self, images: Tensor, targets: Tensor | None = None) -> None:
        """Keep a batch ``(B, 1, F, N)``."""
        self.append(images.detach().clone())

    def get_dataset(self, transform: object = None, labeled: bool = True) -> list[Tensor]:
        """Return the batches; the authors' loader of them is never read."""
        return list(self)

    def clips(self) -> Tensor:
        """Return all images, ``(S, F, N)``."""
        return torch.cat(list(self))[:, 0]


@contextlib.contextmanager
def on_cpu(synthesis: Any) -> Iterator[None]:
    """Let the authors' code run on a CPU, with a pool in memory and without output of its own."""
    stay: Any = lambda self, *_, **__: self  # noqa: E731
    with (
        mock.patch.object(synthesis, "ImagePool", MemoryPool),
        mock.patch.object(synthesis, "DataIter", lambda loader: None),
        mock.patch.object(Tensor, "cuda", stay),
        mock.patch.object(nn.Module, "cuda", stay),
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        yield
