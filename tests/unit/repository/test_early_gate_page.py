"""The committed page on the early-curve gate is what its committed curves give."""

import json
import runpy
from pathlib import Path

REPORTS = Path(__file__).parents[3] / "reports"


def test_the_page_is_rendered_from_the_curves_beside_it() -> None:
    render = runpy.run_path(str(REPORTS / "early_gate.py"))["render"]
    document = json.loads((REPORTS / "early-gate.json").read_text())
    assert render(document) == (REPORTS / "early-gate.md").read_text()


def test_every_planted_mistake_was_measured() -> None:
    mistakes = runpy.run_path(str(REPORTS / "early_gate.py"))["MISTAKES"]
    document = json.loads((REPORTS / "early-gate.json").read_text())
    assert set(document["runs"]) == {"sound", *mistakes}
