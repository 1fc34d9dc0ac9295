import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from harness.errors import RecordError
from harness.record.journal import read_journal
from harness.tracking.mirror import default_tracking_uri, sync_run
from harness.tracking.ui import serving
from tests.record_samples import SampleRun, write_run

pytestmark = pytest.mark.filterwarnings(
    "ignore:The ``noload`` loader strategy:DeprecationWarning"  # SQLAlchemy 2.1 under MLflow 3.17
)


def test_a_folder_without_a_database_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="no MLflow database"), serving(tmp_path):
        pass


def test_the_command_serves_the_runs_until_it_is_told_to_stop(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "study" / "seed-1", SampleRun())
    sync_run(read_journal(folder), tracking_uri=default_tracking_uri(tmp_path), study="study")
    command = [sys.executable, "-m", "harness", "ui", "--runs", str(tmp_path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        lines = iter(process.stderr.readline, "")
        newest = next(line for line in lines if line.startswith("newest study"))
        address = next(line.split()[1] for line in lines if line.startswith("MLflow: http"))
        assert newest.startswith(f"newest study, study: {address}/#/experiments/")
        experiment, _, wanted = newest.rpartition("/#/experiments/")[2].strip().partition("/runs?")
        question = {"experiment_ids": [experiment], "filter": parse_qs(wanted)["searchFilter"][0]}
        request = urllib.request.Request(
            f"{address}/api/2.0/mlflow/runs/search",
            json.dumps(question).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert len(json.load(answer)["runs"]) == 2  # the study and its seed
        assert address.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(address, timeout=30) as answer:
            assert b"MLflow" in answer.read()
        os.kill(process.pid, signal.SIGTERM)
        rest = "".join(lines)
        assert process.wait(30) == 0
    assert "stopped" in rest
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(address, timeout=5)
