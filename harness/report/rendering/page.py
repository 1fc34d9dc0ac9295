"""A report as one HTML file: self-contained, readable without scripts, everything escaped."""

import base64
from importlib import resources

import jinja2
from markupsafe import Markup

from harness.report.rendering.content import Drawing, Picture, Report


def html(report: Report) -> str:
    """Render a report. The same report gives the same bytes."""
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=jinja2.FunctionLoader(_template),
    )
    environment.filters["drawn"] = _drawn
    environment.filters["data_uri"] = _data_uri
    style = Markup(_template("page.css"))  # noqa: S704 - a file of this package
    return environment.get_template("page.html.j2").render(report=report, style=style)


def _template(name: str) -> str:
    return (
        resources.files("harness.report.rendering").joinpath("templates", name).read_text("utf-8")
    )


def _drawn(drawing: Drawing, width: str) -> Markup:
    # matplotlib escapes every text that it writes.
    return Markup(getattr(drawing, width))  # noqa: S704


def _data_uri(picture: Picture) -> str:
    return f"data:{picture.media_type};base64,{base64.b64encode(picture.data).decode()}"
