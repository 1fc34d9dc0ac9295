"""Figures as inline SVG that follows the page's colours and is the same on every rendering.

matplotlib draws with marker colours, which are then replaced by the page's CSS
variables: light, dark and print need no second drawing.
"""

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from harness.report.rendering.content import Drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, RULE = "#0a0b01", "#0a0b02", "#0a0b03"
SERIES = tuple(f"#0a0c{index:02x}" for index in range(1, 7))
"""Marker colours; `page.css` holds what they stand for."""
DASHES = ("-", (0, (6, 2)), (0, (2, 1.5)), (0, (8, 2, 2, 2)), (0, (4, 4)), (0, (1, 3)))
"""Series differ by dash as well as by colour."""

_VARIABLES = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    RULE: "var(--rule)",
    **{colour: f"var(--series-{index})" for index, colour in enumerate(SERIES, 1)},
}
_POINTS_PER_PIXEL = 0.75


@dataclass(frozen=True)
class Size:
    """Size of a figure in CSS pixels; `columns` is how many points across it can show."""

    width: int
    height: int
    columns: int

    @property
    def narrow(self) -> bool:
        """Whether it is the one for small windows."""
        return self.width < 500


WIDE = Size(880, 340, 700)
NARROW = Size(360, 280, 320)


def series_style(index: int) -> dict[str, Any]:
    """Colour and dash of the series with this index; no two of the first thirty have both alike."""
    dash = (index + index // len(SERIES)) % len(DASHES)
    return {"color": SERIES[index % len(SERIES)], "linestyle": DASHES[dash]}


def draw(
    name: str,
    caption: str,
    paint: Callable[["Figure", Size], None],
    *,
    wide: Size = WIDE,
    narrow: Size = NARROW,
) -> Drawing:
    """A figure that is drawn in either width when the page asks for it.

    Args:
        name: Unique within the page.
        caption: What it shows and how to read it.
        paint: Draws on an empty figure of a size.
        wide: Size for wide windows and paper.
        narrow: Size for small windows.
    """
    sizes = {"wide": wide, "narrow": narrow}
    return Drawing(name, caption, lambda width: _svg(f"{name}-{width}", paint, sizes[width]))


def axes(figure: "Figure", rows: int = 1, columns: int = 1) -> list["Axes"]:
    """Plain axes with a light grid and no box."""
    made = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for one in made:
        one.grid(color=RULE, linewidth=0.8)
        one.set_axisbelow(b=True)
        one.spines[["top", "right", "left"]].set_visible(b=False)
        one.spines["bottom"].set_color(MUTED)
        one.tick_params(colors=MUTED, labelcolor=INK, length=3)
    return list(made)


def logarithmic(plot: "Axes", direction: Literal["x", "y"]) -> None:
    """Make an axis logarithmic, with plain numbers as labels: a page renders no math text."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    plot.set(**{f"{direction}scale": "log"})
    axis = plot.xaxis if direction == "x" else plot.yaxis
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(StrMethodFormatter("{x:.10g}"))
    axis.set_minor_formatter(NullFormatter())


def legend(figure: "Figure") -> None:
    """Name the series above the axes, where no curve passes."""
    handles, labels = figure.axes[0].get_legend_handles_labels()
    if len(labels) > 1:
        columns = min(len(labels), 4 if figure.get_figwidth() > 6 else 2)
        figure.legend(handles, labels, loc="outside upper right", ncols=columns, handlelength=2.5)


def _svg(name: str, paint: Callable[["Figure", Size], None], size: Size) -> str:
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    settings: dict[Any, Any] = {
        "svg.fonttype": "none",
        "svg.hashsalt": name,
        "font.family": "sans-serif",
        "font.size": 10,
        "text.color": INK,
        "axes.labelcolor": INK,
        "axes.titlesize": 10,
        "axes.titlelocation": "left",
        "legend.frameon": False,
        "path.simplify": False,
        # Names from outside may hold dollar signs.
        "text.parse_math": False,
    }
    inches = (size.width * _POINTS_PER_PIXEL / 72, size.height * _POINTS_PER_PIXEL / 72)
    with mpl.rc_context():
        # Not those of a matplotlibrc in the home or the working directory: same runs, same bytes.
        mpl.rcdefaults()
        mpl.rcParams.update(settings)
        figure = Figure(figsize=inches, layout="constrained")
        FigureCanvasSVG(figure)
        paint(figure, size)
        stream = io.StringIO()
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    return _for_page(stream.getvalue(), name)


def _for_page(svg: str, name: str) -> str:
    """The bare element: no prologue, no metadata, ids of its own, the page's colours and font."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r' id="([^"]+)"', rf' id="{name}-\1"', svg)
    svg = re.sub(r'(url\(|xlink:href=")#', rf"\1#{name}-", svg)
    # A style sheet inside an SVG would apply to the whole page.
    svg = re.sub(r"<style type=\"text/css\">.*?</style>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", svg)
    svg = re.sub(r" font-family: [^;\"]*;?", "", svg)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, variable)
    # Coordinates alone: a label between two tags keeps its digits.
    svg = re.sub(r">[^<]*<|(\d\.\d{2})\d+", lambda found: found[1] or found[0], svg)
    svg = re.sub(r"\s*\n\s*", " ", svg)
    return re.sub(
        r"<svg [^>]*?(viewBox=\"[^\"]*\")[^>]*>",
        r'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        r"\1 aria-hidden=\"true\" focusable=\"false\">".replace('\\"', '"'),
        svg,
        count=1,
    ).strip()
