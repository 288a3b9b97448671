"""Configure the documentation: `sphinx-build -W --keep-going -b html docs docs/_build/html`."""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "docs" / "_ext")]

project = "frami"
copyright = "the frami authors, Apache-2.0"
version = release = importlib.metadata.version("frami")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_click",
    "frami_docs",
]
exclude_patterns = ["_build", "_examples", "_ext"]
default_role = "py:obj"  # `frami.load` in a docstring links to its entry, if there is one
smartquotes = False  # they would turn --set into a dash
nitpicky = True
nitpick_ignore_regex = [
    ("py:obj", r".*"),  # names in docstrings that have no entry of their own
    ("py:class", r"(torch|numpy|np|pathlib|collections|nn|click)\..*"),  # other projects
    ("py:class", r"Tensor|Path|optional|frami\.\w+\..*"),  # and frami's own inner types
]

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

python_maximum_signature_line_length = 88
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
autodoc_default_options = {"members": True, "undoc-members": False}
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # attributes of a dataclass are listed once, in its docstring

html_theme = "furo"
html_title = "frami"
html_static_path = ["_static"]
html_css_files = ["frami.css"]
html_math_renderer = "mathml"
