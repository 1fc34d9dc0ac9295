"""Two commands at once: both results, and the messages of the one that stays silent if it fails."""

import json
from pathlib import Path

import pytest

from harness.study.child_process import run_together

PROTOCOLS = ("list", "protocols", "--json")


def test_both_print_and_a_failure_is_shown(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    messages = tmp_path / "folder" / "messages.txt"
    first, second = run_together(PROTOCOLS, ("list", "baselines", "--json"), messages)
    assert json.loads(first) != json.loads(second)
    with pytest.raises(SystemExit) as ended:
        run_together(PROTOCOLS, ("recipe", "show", "smok"), messages)
    assert ended.value.code == 2
    assert "did you mean smoke" in messages.read_text()
    assert "did you mean smoke" in capfd.readouterr().err
