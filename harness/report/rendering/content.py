"""What a report consists of, as plain text and tables: one source for HTML and Markdown.

Cells and paragraphs are text as a reader sees it; escaping is the renderer's.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal


@dataclass(frozen=True)
class Table:
    """A table with a caption.

    Attributes:
        caption: What it shows.
        columns: Headings.
        rows: Cells, one for each column; the first names the row.
        numeric: Indices of columns that hold numbers.
        folded: Long tables are shown on demand in HTML and left out of Markdown.
        note: Below the table; explains its words.
        hidden: Indices of columns that say nothing here; they are recorded and not shown.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: frozenset[int] = frozenset()
    folded: bool = False
    note: str = ""
    hidden: frozenset[int] = frozenset()

    @property
    def shown(self) -> tuple[int, ...]:
        """Indices of the columns that are shown."""
        return tuple(i for i in range(len(self.columns)) if i not in self.hidden)


@dataclass(frozen=True)
class Drawing:
    """A figure in two widths; the page shows the one that fits.

    It is drawn when it is asked for: tables alone, as in a bundle, need no figure.

    Attributes:
        name: Unique within a page, letters and dashes.
        caption: What it shows and how to read it.
        svg: Draws one of the two.
    """

    name: str
    caption: str
    svg: Callable[[Literal["wide", "narrow"]], str]

    @cached_property
    def wide(self) -> str:
        """SVG for windows from about 700 px and for paper."""
        return self.svg("wide")

    @cached_property
    def narrow(self) -> str:
        """SVG for smaller windows."""
        return self.svg("narrow")


@dataclass(frozen=True)
class Picture:
    """A ready PNG or JPEG image with a caption."""

    caption: str
    description: str
    media_type: str
    data: bytes


@dataclass(frozen=True)
class Section:
    """A part of the report: its parts appear in this order."""

    name: str
    title: str
    paragraphs: tuple[str, ...] = ()
    drawings: tuple[Drawing, ...] = ()
    tables: tuple[Table, ...] = ()
    pictures: tuple[Picture, ...] = ()
    commands: tuple[str, ...] = ()


@dataclass(frozen=True)
class Headline:
    """An answer at the head of a report.

    Attributes:
        word: The answer in one word, such as `reproduced`; None when nothing was judged.
        sentence: The answer in one sentence with its evidence.
        reasons: What it rests on, a sentence each.
    """

    word: str | None
    sentence: str
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    """A whole report.

    Attributes:
        title: Heading of the page.
        headlines: At least one; one for each target where there are several.
        sections: In order.
        picture: Shown beside the facts on the first screen.
        facts: Names and what there is to say, on the first screen.
    """

    title: str
    headlines: tuple[Headline, ...]
    sections: tuple[Section, ...] = field(default=())
    picture: Drawing | None = None
    facts: tuple[tuple[str, str], ...] = ()
