"""Every statistical claim that a command prints has a test that simulates it."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from harness.cli.main import Commands

ROOT = Path(__file__).parents[3]
ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in (ROOT / "docs" / "claims.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and "`" in line
]
SIMULATED = ROOT / "tests" / "unit" / "statistics" / "test_printed_claims.py"


@cache
def functions_of(file: Path) -> frozenset[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize("row", ROWS, ids=[row[-1].rsplit("::")[-1].strip("`| ") for row in ROWS])
def test_the_named_simulation_exists(row: list[str]) -> None:
    printed_by, _, test = row
    file, name = test.strip("`| ").split("::")
    assert name in functions_of(ROOT / "tests" / "unit" / file)
    assert set(re.findall(r"`([a-z]+)", printed_by)) <= set(Commands.lazy)


def test_no_simulation_stands_without_its_claim() -> None:
    named = {row[-1].rsplit("::")[-1].strip("`| ") for row in ROWS}
    assert {name for name in functions_of(SIMULATED) if name.startswith("test_")} <= named
