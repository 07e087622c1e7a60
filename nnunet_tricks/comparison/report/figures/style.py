"""How figures look, and how they become SVG that can stand in a page."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

INK = "#1a1b1c"
"""Text and axes; the page's own text colour takes its place, so that figures can be read on dark pages too."""

GREY = "#8a8f98"
FAINT = "#aab0b8"
BASELINE = "#8a8f98"
PALETTE = ("#1b7fc4", "#d55e00", "#009e73", "#cc79a7", "#c99700", "#56b4e9", "#7f5fc4", "#8c6d31", "#e4572e", "#2a9d8f")
"""After Okabe and Ito: told apart by the colour-blind too, and readable on white and on black."""

BETTER, WORSE = "#1b7fc4", "#d55e00"
WIDTH = 9.6
"""Width of a figure as wide as the page, in inches."""

LINE = 0.16
"""Height of a name in a legend, in inches."""

MANY = 400
"""Number of points beyond which they are drawn as an image, which stays small."""

SCALE = 1.49
"""Pixels of the page to a point, so that such a figure has 1030 of them."""

JOINTS = 'stroke-linejoin="round" stroke-linecap="butt"'
"""Joints and ends of all lines that do not say otherwise."""

SETTINGS = {
    "svg.fonttype": "none",
    "svg.hashsalt": "nnunet_tricks",
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "text.color": INK,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.unicode_minus": False,
    # Names of classes and tricks may hold a dollar.
    "text.parse_math": False,
    "grid.color": GREY,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.6,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "figure.dpi": 72,
    "path.simplify": True,
}


@contextmanager
def styled() -> Iterator[None]:
    """A context in which figures are drawn with the report's settings."""
    import matplotlib

    with matplotlib.rc_context():
        # Whatever users have in their own file: a report is the same bytes everywhere.
        matplotlib.rcdefaults()
        settings: Any = matplotlib.rcParams
        settings.update(SETTINGS)
        yield


def figure(height: float, width: float = WIDTH) -> Any:
    """An empty figure.

    Args:
        height: Height in inches.
        width: Width in inches.
    """
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    empty = Figure(figsize=(width, height), layout="compressed")
    FigureCanvasSVG(empty)
    return empty


def as_svg(figure: Any, name: str, title: str) -> str:
    """A figure as an element of a page.

    Args:
        figure: Figure of matplotlib.
        name: Name that no other figure of the page has: identifiers in the figure begin with it.
        title: Words for those who cannot see the figure.
    """
    text = io.StringIO()
    figure.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"\s*<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    # It would hold for the whole page; the figure's own element says the same below.
    svg = re.sub(r"\s*<defs>\s*<style[^>]*>[^<]*</style>\s*</defs>", "", svg)
    svg = _numbered(svg, name)
    svg = svg.replace(INK, "currentColor").replace("'DejaVu Sans'", "inherit")
    # The names of the two XML formats are no addresses that anybody asks.
    svg = svg.replace(' xmlns="http://www.w3.org/2000/svg"', "").replace(
        ' xmlns:xlink="http://www.w3.org/1999/xlink"', ""
    )
    svg = svg.replace("xlink:href", "href")
    head = re.match(r"<svg[^>]*>", svg)
    width, height = (72 * float(inches) for inches in figure.get_size_inches())
    start = f'<svg viewBox="0 0 {width:g} {height:g}" style="width:{SCALE * width:.0f}px" role="img" {JOINTS}'
    return f'{start} aria-label="{_escaped(title)}">{svg[head.end() if head else 0 :].rstrip()}\n'


def _numbered(svg: str, name: str) -> str:
    """Short identifiers, only where something refers to them: matplotlib's change with the last bit of any number."""
    used = dict.fromkeys(re.findall(r'(?:url\(|xlink:href=")#([^)"]+)', svg))
    new = {identifier: f"{name}-{number}" for number, identifier in enumerate(used)}
    svg = re.sub(r' id="([^"]+)"', lambda match: f' id="{new[match[1]]}"' if match[1] in new else "", svg)
    return re.sub(r'(url\(|xlink:href=")#([^)"]+)', lambda match: f"{match[1]}#{new[match[2]]}", svg)


def colours(names: Sequence[str]) -> Mapping[str, str]:
    """A colour for each method; the first is the baseline."""
    return {name: PALETTE[(index - 1) % len(PALETTE)] if index else BASELINE for index, name in enumerate(names)}


def panels(figure: Any, count: int, most: int, **settings: Any) -> list[Any]:
    """Axes of some panels, at most ``most`` of them side by side.

    Args:
        figure: Figure of matplotlib.
        count: Number of panels.
        most: Largest number of panels in a row.
        **settings: Arguments of matplotlib's ``subplots``.
    """
    rows, columns = grid_of(count, most)
    axes = list(figure.subplots(rows, columns, squeeze=False, **settings).flat)
    for axis in axes[count:]:
        axis.remove()
    return axes[:count]


def height_for(names: int, least: float) -> float:
    """Height of a figure with some names in the legend at its side, in inches.

    Args:
        names: Number of names.
        least: Height without any names.

    Examples:
        >>> height_for(3, 3.1), height_for(41, 3.1) > 6
        (3.1, True)
    """
    return max(least, 0.7 + LINE * names)


def many(points: int) -> bool:
    """Whether points are so many that they are drawn as an image."""
    return points > MANY


def with_unit(name: str, unit: str) -> str:
    """A metric as an axis names it.

    Examples:
        >>> with_unit("HD95", "mm"), with_unit("Dice", "1")
        ('HD95 [mm]', 'Dice')
    """
    return name if unit == "1" else f"{name} [{unit}]"


def grid_of(count: int, most: int) -> tuple[int, int]:
    """Rows and columns for some panels.

    Examples:
        >>> grid_of(5, 4), grid_of(2, 4)
        ((2, 3), (1, 2))
    """
    rows = -(-count // most)
    return rows, -(-count // rows)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
