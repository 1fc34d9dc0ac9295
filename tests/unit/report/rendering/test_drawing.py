"""Series that can be told apart, and labels that say what the axis has."""

import pytest

from harness.report.rendering.drawing import Size, axes, draw, series_style


def test_no_two_of_thirty_series_look_alike() -> None:
    looks = {(style["color"], str(style["linestyle"])) for style in map(series_style, range(30))}
    assert len(looks) == 30


@pytest.mark.parametrize("width", ["wide", "narrow"])
def test_a_narrow_axis_keeps_the_digits_of_its_labels(width: str) -> None:
    def paint(figure: object, _size: Size) -> None:
        (plot,) = axes(figure)  # type: ignore[arg-type]
        plot.plot([0, 1, 2], [0.0, 0.0025, 0.005])
        plot.set_yticks([0.0, 0.0025, 0.005], ["0.0000", "0.0025", "0.0050"])

    svg = draw("narrow", "a caption", paint).svg(width)
    for label in ("0.0000", "0.0025", "0.0050"):
        assert f">{label}<" in svg
    assert "." in svg
    coordinates = svg.split('d="M ', 1)[1].split('"', 1)[0]
    assert all(
        len(number.partition(".")[2]) <= 2 for number in coordinates.split() if "." in number
    )
