"""Orders of axes: those of a network's input, and those of a tensor inside it.

An input layout has one letter for each axis:

    b   clip        f   band        n   frame        t   sample        1, 3   that many channels

`b1fn` is an image of one channel, `bnf` a sequence of frames, `bt` a waveform.

The axes of a tensor inside a network are written in the same way:

    b   clip        d   channel     n   frame        f   any other axis, which is averaged

Two letters in brackets are one axis that counts through both, the second one faster: `b(fn)d` is a
transformer's sequence of patches, `(bn)d` a network that takes each frame on its own.
"""

from __future__ import annotations

import re

import torch
from torch import Tensor

from frami.core.errors import UsageError, unknown_name

# Those that fit more modules than they should come later.
SPECTROGRAM_LAYOUTS = ("b1fn", "bnf", "bfn", "b1nf", "b3fn", "b3nf")
WAVEFORM_LAYOUTS = ("bt", "b1t")
LAYOUTS = SPECTROGRAM_LAYOUTS + WAVEFORM_LAYOUTS


def check_layout(layout: str) -> str:
    """Return a layout; raise a UsageError if there is no such layout."""
    if layout not in LAYOUTS:
        raise unknown_name("layout", layout, LAYOUTS)
    return layout


def takes_waveform(layout: str) -> bool:
    """Return whether a layout is one of waveforms."""
    return "t" in layout


def to_layout(x: Tensor, layout: str) -> Tensor:
    """Return clips ``(B, F, N)``, or waveforms ``(B, T)``, in a network's own layout.

    The result is contiguous: on a CPU, torch 2.13 gives wrong gradients for some networks that
    permute a permuted input.
    """
    if "nf" in layout:
        x = x.transpose(1, 2)
    if layout[1] in "13":
        x = x.unsqueeze(1).expand(-1, int(layout[1]), *[-1] * (x.dim() - 1))
    return x.contiguous()


def from_layout(x: Tensor, layout: str) -> Tensor:
    """Return spectrograms in a layout as ``(B, F, N)``; channels are taken to be equal."""
    x = x[:, 0] if layout[1] in "13" else x
    return x.transpose(1, 2) if "nf" in layout else x


def axis_names(axes: str) -> list[str]:
    """Return the name of each axis.

    >>> axis_names("b(fn)d")
    ['b', 'fn', 'd']
    """
    return [part.strip("()") for part in re.findall(r"\(\w+\)|\w", axes)]


def to_frames(x: Tensor, axes: str, *, clips: int, skipped: int = 0, bands: int = 1) -> Tensor:
    """Return a tensor inside a network as ``(B, D, N')``, or ``(B, D)`` if it has no frames.

    Args:
        x: The tensor.
        axes: Its axes.
        clips: Number of clips B.
        skipped: First entries of an axis of patches that are not patches.
        bands: Patches that lie one above the other, for an axis of patches.

    Raises:
        UsageError: The tensor does not have these axes.
    """
    names = axis_names(axes)
    if x.dim() != len(names):
        raise UsageError(f"The axes {axes!r} do not fit a tensor of shape {tuple(x.shape)}.")
    sizes = {"b": clips, "f": bands}
    for position, name in enumerate(names):
        if len(name) == 2:
            if name[0] != "b":
                x = x.narrow(position, skipped, x.shape[position] - skipped)
            known = [sizes.get(letter, -1) for letter in name]
            x = x.reshape(*x.shape[:position], *known, *x.shape[position + 1 :])
            names[position : position + 1] = name
            break
    averaged = [index for index, name in enumerate(names) if name == "f"]
    if averaged:
        x = x.mean(dim=averaged)
        names = [name for name in names if name != "f"]
    order = [names.index(letter) for letter in "bdn" if letter in names]
    return x.permute(order)


def has_frames(axes: str) -> bool:
    """Return whether a tensor has an axis of frames.

    >>> has_frames("b(fn)d"), has_frames("bd")
    (True, False)
    """
    return "n" in axes


def repeat_frames(mel: Tensor, n_frames: int) -> Tensor:
    """Return clips ``(B, F, N)`` repeated up to a number of frames, or unchanged if longer."""
    if mel.shape[-1] >= n_frames:
        return mel
    copies = -(-n_frames // mel.shape[-1])
    return torch.cat([mel] * copies, dim=-1)[..., :n_frames]
