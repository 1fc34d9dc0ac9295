"""2,000 steps in one process: memory and file handles flat, journal and tracker consistent."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from harness.record.journal import read_journal
from tests.faults.command import Command, ticks

pytestmark = pytest.mark.filterwarnings(
    "ignore:The ``noload`` loader strategy:DeprecationWarning"  # SQLAlchemy 2.1 under MLflow 3.17
)

STEPS = 2000
STEPS_PER_EPOCH = 200
WARM_UP_STEPS = 400
"""What is allocated once (arenas, threads, the tracker's connection) is there by then."""

LONGEST_S = 7200.0
"""Other work on the machine multiplies what idle cores take."""

PHASES = [{"epochs": 10, "rate": {"kind": "constant", "rate": 0.001}}]


@dataclass(frozen=True)
class Sample:
    """The process at the first moment at which the journal held so many steps."""

    step: int
    resident_bytes: int
    file_handles: int


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    from harness.sources.digits import digit_files

    seen: Counter[str] = Counter()
    for relative, jpeg in digit_files():
        split, name, _ = relative.split("/")
        seen[f"{split}/{name}"] += 1
        if int(name) < 4 and seen[f"{split}/{name}"] <= (20 if split == "train" else 6):
            path = tmp_path / "digits" / relative
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(jpeg)
    return tmp_path / "digits"


def watched(command: Command) -> list[Sample]:
    """Run to the end; a sample whenever the journal has grown by a window."""
    process = command.start()
    watched_process = psutil.Process(process.pid)
    samples: list[Sample] = []
    for _ in ticks(process, LONGEST_S):
        step = command.recorded_steps() or 0
        if step > (samples[-1].step if samples else 0):
            memory = watched_process.memory_info().rss
            samples.append(Sample(step, memory, watched_process.num_fds()))
    ended = command.finish(process)
    assert ended.exit_code == 0, ended.stderr
    return samples


def median(values: list[int]) -> int:
    return sorted(values)[len(values) // 2]


@pytest.mark.slow
def test_two_thousand_steps(
    digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    extra = ("--set", f"steps_per_epoch={STEPS_PER_EPOCH}", "--set", f"phases={json.dumps(PHASES)}")
    command = Command(digits, tmp_path / "runs", extra=(*extra, "--checkpoint-every", "200"))
    samples = [s for s in watched(command) if s.step >= WARM_UP_STEPS]
    third = len(samples) // 3
    assert third >= 3
    early, late = samples[:third], samples[-third:]
    memory = [median([s.resident_bytes for s in part]) for part in (early, late)]
    growth = memory[1] / memory[0] - 1
    # SQLite's own journal is open at times, while the tracker commits; a leak raises the least.
    handles = [min(s.file_handles for s in part) for part in (early, late)]
    with capsys.disabled():
        print(
            f"\nresident memory {memory[0] / 2**20:.0f} MiB in steps {early[0].step} to "
            f"{early[-1].step}, {memory[1] / 2**20:.0f} MiB in steps {late[0].step} to "
            f"{late[-1].step} ({growth:+.2%}); file handles {handles[0]} and {handles[1]}"
        )
    assert growth < 0.02
    assert handles[1] <= handles[0]
    check_records(command)


def check_records(command: Command) -> None:
    """Each step once in the journal, each window once in the tracker."""
    from mlflow import MlflowClient

    journal = read_journal(command.folder)
    assert journal.last_step == STEPS
    assert journal.finished is not None
    client = MlflowClient(f"sqlite:///{command.runs / 'mlflow.db'}")
    ids = [e.experiment_id for e in client.search_experiments()]
    (run,) = [r for r in client.search_runs(ids) if "mlflow.parentRunId" in r.data.tags]
    assert run.info.status == "FINISHED"
    losses = client.get_metric_history(run.info.run_id, "loss")
    steps = [point.step for point in losses]
    assert len(steps) == len(set(steps)) == len(journal.steps)
