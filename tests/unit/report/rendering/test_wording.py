import math

import pytest

from harness.report.rendering.markdown import escaped
from harness.report.rendering.wording import duration, listed, number, percent, plural, points
from harness.report.run_record import distinct_names
from tests.record_samples import SampleRun, started


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"), (None, "-"), (math.nan, "not a number"), (math.inf, "infinite"),
        (123_456.7, "123,457"), (12.345, "12.3"), (0.012345, "0.0123"), (5e-6, "5.00e-06"),
        (-0.5, "-0.500"),
    ],
)  # fmt: skip
def test_numbers(value: float | None, text: str) -> None:
    assert number(value) == text


def test_fractions_become_percent_and_points_only_here() -> None:
    assert percent(0.7772) == "77.72 %"
    assert percent(None) == "-"
    assert points(-0.0031) == "-0.31 pp"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(45, "45.0 s"), (600, "10.0 min"), (12_240, "3.40 h"), (259_200, "3.00 days")],
)
def test_durations_of_a_report(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_lists_and_plurals() -> None:
    assert [listed([]), listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])] == [
        "", "a", "a and b", "a, b and c",
    ]  # fmt: skip
    assert (plural(1, "step"), plural(2000, "step"), plural(2, "entry", "entries")) == (
        "1 step", "2,000 steps", "2 entries",
    )  # fmt: skip


@pytest.mark.parametrize(
    "text",
    ["<script>x</script>", "a|b", "[x](javascript:y)", "# h", "`code`", "a\n\n# b", "*b*", "~~s~~"],
)
def test_nothing_from_outside_is_markdown(text: str) -> None:
    plain = escaped(text)
    assert "\n" not in plain
    for special in "|[]<>#`*~":
        assert plain.replace(f"\\{special}", "").count(special) == 0


def test_runs_of_a_page_have_different_names() -> None:
    one, two = started(SampleRun(seed=1)), started(SampleRun(seed=2))
    assert distinct_names([one, two]) == ["seed 1", "seed 2"]
    assert distinct_names([one, one]) == ["smoke seed 1 (1)", "smoke seed 1 (2)"]
