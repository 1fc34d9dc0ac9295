import subprocess
import sys
from pathlib import Path

import pytest

from harness.analysis.compliance_log import RULESET, log_lines, write_compliance_log
from harness.errors import InconclusiveError
from harness.record.journal import read_journal
from tests.record_samples import SampleRun, write_run


def test_a_runs_lines_are_ordered_and_paired(tmp_path: Path) -> None:
    journal = read_journal(write_run(tmp_path / "s" / "seed-1", SampleRun()))
    lines = list(log_lines(journal))
    keys = [line.key for line in lines]
    assert keys[-1] == "run_stop"
    assert lines[-1].metadata["status"] == "success"
    assert [line.time_s for line in lines[15:]] == sorted(line.time_s for line in lines[15:])
    assert keys.count("epoch_start") == keys.count("epoch_stop") > 0
    assert keys.count("eval_start") == keys.count("eval_stop") == len(journal.evaluations)


def test_a_run_without_an_end_is_aborted_and_one_without_steps_has_no_log(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "s" / "seed-1", SampleRun(ends=False))
    assert list(log_lines(read_journal(folder)))[-1].metadata == {"status": "aborted"}
    journal = folder / "journal.jsonl"
    journal.write_text(journal.read_text().splitlines()[0] + "\n")
    with pytest.raises(InconclusiveError, match="no step"):
        list(log_lines(read_journal(folder)))


def test_the_packages_own_checker_accepts_the_log(tmp_path: Path) -> None:
    pytest.importorskip("mlperf_logging", reason="the extra `mlperf` is not installed")
    folder = write_run(tmp_path / "s" / "seed-1", SampleRun())
    out = tmp_path / "result_0.txt"
    assert write_compliance_log(folder, out) > 20
    checker = [sys.executable, "-m", "mlperf_logging.compliance_checker"]
    rules = ["--usage", "training", "--ruleset", RULESET]
    done = subprocess.run(
        [*checker, *rules, str(out)], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "SUCCESS" in done.stdout + done.stderr
    bad = tmp_path / "result_1.txt"
    bad.write_text("\n".join(x for x in out.read_text().splitlines() if "run_stop" not in x))
    again = subprocess.run(
        [*checker, *rules, str(bad)], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert again.returncode != 0
