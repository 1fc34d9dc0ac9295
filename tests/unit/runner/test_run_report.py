"""What a command that trained says at its end."""

from pathlib import Path

import pytest

from harness.runner.run import HOW_TO_CONTINUE, RunReport, SeedOutcome


@pytest.mark.parametrize(
    ("status", "told"), [("stopped at --steps", True), ("completed", False), ("diverged", False)]
)
def test_a_run_that_steps_ended_says_how_to_evaluate_it(status: str, told: bool) -> None:
    outcome = SeedOutcome(1, Path("runs/a/seed-1"), status, (), None)
    assert (HOW_TO_CONTINUE in RunReport(Path("runs/a"), (outcome,)).text()) is told
