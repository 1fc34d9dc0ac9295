"""The tables of speed are those of the measurement that is kept beside them."""

import json
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
KEPT = ROOT / "tests" / "benchmarks" / "results" / "step-against-reference.json"
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
