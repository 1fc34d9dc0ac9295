"""`harness diff --no-replay` on journals alone: exit codes, and what it says it did not look at."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.cli.replay.diff import command
from tests.chained_journals import change
from tests.record_samples import SampleRun, write_run


def diff(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(command, [*words, "--no-replay"])
    return result.exit_code, result.output


@pytest.fixture
def runs(tmp_path: Path) -> tuple[str, str]:
    """Two records of one run, the fingerprint of step 7 altered in the second."""
    one, other = (write_run(tmp_path / f"seed-{n}", SampleRun(evaluates=False)) for n in (1, 2))
    change(other / "journal.jsonl", f'"{7:016x}"', f'"{77777:016x}"')
    return str(one), str(other)


def test_says_what_was_not_looked_at_and_how_to_get_it(runs: tuple[str, str]) -> None:
    code, text = diff(*runs)
    assert code == 1
    assert "The runs part at step 7, in the journal's gradients or weights" in text
    assert "Not looked at: which image or tensor parted first" in text
    assert "give the command again without --no-replay" in text


def test_the_document_says_it_as_well(runs: tuple[str, str]) -> None:
    code, text = diff(*runs, "--json")
    (note,) = json.loads(text)["finding"]["notes"]
    assert code == 1
    assert "without --no-replay" in note


def test_equal_runs_need_no_replay(tmp_path: Path) -> None:
    pair = [str(write_run(tmp_path / f"seed-{n}", SampleRun(evaluates=False))) for n in (1, 2)]
    code, text = diff(*pair)
    assert (code, "Not looked at" in text) == (0, False)
    assert "equal to the bit" in text


def test_a_torn_last_line_is_left_out_and_told(tmp_path: Path) -> None:
    pair = [str(write_run(tmp_path / f"seed-{n}", SampleRun(evaluates=False))) for n in (1, 2)]
    journal = tmp_path / "seed-2" / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-9])
    torn = len(journal.read_bytes().rpartition(b"\n")[2])
    code, text = diff(*pair)
    assert code == 0
    assert f"{journal}: {torn} bytes of a torn last line left out" in text
