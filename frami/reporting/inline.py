"""Pictures and sounds as parts of one HTML page: inline SVG, and data in addresses."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
import numpy as np
from markupsafe import Markup, escape
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from frami.reporting.charts import COLORMAP

# Drawn where the page's text color shall be, and replaced by it.
TEXT_COLOR = "#010203"
THEMED = (
    *("text.color", "axes.edgecolor", "axes.labelcolor", "axes.titlecolor"),
    *("xtick.color", "ytick.color", "xtick.labelcolor", "ytick.labelcolor"),
)
THEME: dict[Any, Any] = {
    **dict.fromkeys(THEMED, TEXT_COLOR),
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "frami",
    "axes.facecolor": "none",
    "legend.facecolor": "none",
}
LEVELS = 256


@contextmanager
def page_theme() -> Iterator[None]:
    """Draw figures within the block in the colors of a page, light or dark."""
    with matplotlib.rc_context(THEME):
        yield


def to_svg(figure: Figure, title: str) -> Markup:
    """Return a figure as an SVG element; it was drawn within `page_theme`.

    Args:
        figure: The figure.
        title: What it shows, for readers who do not see it.
    """
    buffer = io.StringIO()
    with page_theme():
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r"<style.*?</style>", "", text, flags=re.DOTALL)  # it would hold for the page
    # Several figures on a page would share these names, which nothing refers to.
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    text = text.replace(TEXT_COLOR, "currentColor")
    points = re.search(r'viewBox="0 0 ([\d.]+) ', text)
    width = f"width:{float(points[1]) / 72:.2f}in" if points else ""
    head = f'<svg role="img" aria-label="{escape(title)}" style="{width}"'
    text = re.sub(r'<svg([^>]*?) width="[^"]*"', lambda match: f"{head}{match[1]}", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    return Markup(re.sub(r"\s*\n\s*", "\n", text))  # noqa: S704


def to_png_address(shares: NDArray[np.float64]) -> str:
    """Return a picture of values from 0 to 1, ``(rows, columns)``, the first row at the bottom."""
    levels = (np.clip(shares, 0, 1) * (LEVELS - 1)).round().astype(np.uint8)
    image = Image.fromarray(np.ascontiguousarray(levels[::-1]), "P")
    colors = matplotlib.colormaps[COLORMAP](np.arange(LEVELS))[:, :3]
    image.putpalette((colors * 255).round().astype(np.uint8).flatten().tolist())
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return to_address(buffer.getvalue(), "image/png")


def to_address(content: bytes, kind: str) -> str:
    """Return the content of a file as an address that holds it."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
