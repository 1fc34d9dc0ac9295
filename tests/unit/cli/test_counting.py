"""Progress over images on a stream that is no terminal."""

import pytest

from harness.cli.counting import image_progress


def test_the_clock_starts_with_the_pass_and_not_with_its_first_batch(
    capsys: pytest.CaptureFixture[str],
) -> None:
    times = iter([100.0, 104.0, 108.0, 140.0])
    with image_progress(lambda: next(times)) as report:
        for done in (0, 4, 8, 16):
            report("center_crop", done, 16)
    assert capsys.readouterr().err.splitlines() == [
        "center_crop: 4 of 16 images, 1.0 images/s, 12 s left",
        "center_crop: 16 of 16 images, 0.4 images/s, 0 s left",
    ]
