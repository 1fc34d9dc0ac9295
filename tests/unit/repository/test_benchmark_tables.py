"""The tables of speed are those of the measurement that is kept beside them."""

import json
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
RESULTS = ROOT / "tests" / "benchmarks" / "results"
KEPT = RESULTS / "step-against-reference.json"
ROWS = {
    "reference": "reference as shipped (no oneDNN)",
    "plain-keras": "plain Keras layers in our step",
    "reference-onednn": "reference with oneDNN",
}
RATIOS = {
    "reference": "ratio_vs_reference",
    "plain-keras": "ratio_vs_plain_keras",
    "reference-onednn": "ratio_vs_reference_onednn",
}


def ranged(figure: dict[str, float]) -> str:
    return f"{figure['median']:.2f} ({figure['low']:.2f} to {figure['high']:.2f})"


@pytest.fixture(scope="module")
def measured() -> Any:
    return json.loads(KEPT.read_text())


def row(text: str, title: str) -> list[str]:
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {title} |")]
    return [cell.strip() for cell in line.strip("|").split("|")]


@pytest.mark.parametrize("variant", list(ROWS))
def test_both_tables_say_what_was_measured(measured: Any, variant: str) -> None:
    short = row((ROOT / "README.md").read_text(), ROWS[variant])
    long = row((ROOT / "tests" / "benchmarks" / "README.md").read_text(), ROWS[variant])
    found = measured["variants"][variant]
    assert short[1] == long[1] == ranged(found["images_per_s"])
    assert short[2] == long[2] == f"{100 * found['share_of_gemm_peak']['median']:.0f} %"
    assert long[3] == ranged(measured[RATIOS[variant]])


def test_our_row_too(measured: Any) -> None:
    short = row((ROOT / "README.md").read_text(), "this harness")
    assert short[1] == ranged(measured["images_per_s"])
    assert short[2] == f"{100 * measured['share_of_gemm_peak']['median']:.0f} %"


def test_the_small_network_s_rows_too() -> None:
    kept = json.loads((RESULTS / "loop-fashion-resnet20.json").read_text())
    text = (ROOT / "tests" / "benchmarks" / "README.md").read_text()

    def share(name: str, digits: int, unit: str = "", factor: int = 1) -> str:
        median, low, high = (
            f"{factor * kept[name][k]:,.{digits}f}" for k in ("median", "low", "high")
        )
        return f"{median}{unit} ({low} to {high})"

    assert row(text, "bare compiled step")[1] == share("bare_images_per_s", 0, " images/s")
    looped = row(text, "the loop's step, everything included")[1]
    assert looped.startswith(share("loop_images_per_s", 0, " images/s"))
    assert f"{100 * kept['share_of_gemm_peak']['median']:.0f} % of the GEMM peak" in looped
    assert row(text, "the loop beside the bare step")[1].startswith(share("loop_over_bare", 3))
    given = row(text, "input alone")[1]
    assert given.startswith(share("input_images_per_s", 0, " images/s"))
    low, high = (kept["input_over_bare"][k] for k in ("low", "high"))
    median = kept["input_over_bare"]["median"]
    assert given.endswith(f"{median:.0f} times the bare step ({low:.0f} to {high:.0f})")
    evaluated = row(text, "one evaluation of 10,000 images")[1]
    assert evaluated.startswith(share("evaluation_s", 2, " s"))
    assert share("evaluation_share_of_training", 1, " % of an epoch's training", 100) in evaluated
