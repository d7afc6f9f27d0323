"""Pictures of the site as SVG inside the page: letters and axes take the page's colour, in its light and dark form."""

from __future__ import annotations

import html
import io
import re

import matplotlib

matplotlib.use("svg")
from matplotlib.figure import Figure

COLOURS = ("#2a7de1", "#d9632a", "#2f9e62", "#a05ad6")
"""Readable on white and on black."""
STYLE = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.2,
    "legend.frameon": False,
    "axes.prop_cycle": matplotlib.cycler(color=COLOURS),
}


def as_html(figure: Figure, title: str) -> str:
    """A figure as an element of the page."""
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": title}):
        figure.savefig(buffer, format="svg", transparent=True, bbox_inches="tight", metadata={"Date": None})
    return inline(buffer.getvalue(), title)


def inline(drawing: str, title: str) -> str:
    """An SVG file of matplotlib's as an element of the page, with a title for those who cannot see it."""
    drawing = drawing[drawing.index("<svg") :]
    drawing = re.sub(r"<metadata>.*?</metadata>", "", drawing, flags=re.S)
    drawing = drawing.replace("#000000", "currentColor").replace("#262626", "currentColor")
    drawing = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", drawing, count=1)
    drawing = re.sub(r"\n\s*\n", "\n", drawing)
    drawing = drawing.replace("<svg ", f'<svg role="img" aria-label="{html.escape(title)}" ', 1)
    return f'<div class="figure-svg">{drawing}</div>'
