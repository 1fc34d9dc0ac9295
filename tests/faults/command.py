"""The real command on a very small run, in a process of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.record.journal import FILE_NAME, Journal, read_journal

STEPS = 40
STEPS_PER_EPOCH = 10
CHECKPOINT_EVERY = 3
SETTINGS = (
    # 0.3 million weights: a checkpoint takes milliseconds, and so does a step.
    "model.name=he2015-cifar-resnet20-a",
    "model.image_size=16",
    "batch=8",
    "epoch_protocol.crop_size=16",
    "epoch_protocol.short_sides=[18]",
)
PHASES = (
    {"epochs": 2, "rate": {"kind": "linear", "start": 0.0001, "end": 0.05}},
    {
        "epochs": 2,
        "rate": {"kind": "cosine", "start": 0.05, "alpha": 0.0001},
        "reset_momentum": True,
    },
)
POLL_S = 0.005
DRIVERS = Path(__file__).with_name("drivers.py")


@dataclass(frozen=True)
class Ended:
    """How a process ended."""

    exit_code: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Command:
    """`harness run` with everything but what a test changes.

    Attributes:
        data: Folder of the data set.
        runs: Folder of the runs.
        seed: The run's seed.
        extra: Further options.
        fault: One of `drivers.FAULTS`, planted in the process before the command line.
        prefix: Words before the interpreter, such as a limit on file sizes.
        environment: Variables besides those of this process.
    """

    data: Path
    runs: Path
    seed: int = 1
    extra: tuple[str, ...] = ("--no-tracking",)
    fault: str | None = None
    prefix: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()

    @property
    def words(self) -> list[str]:
        settings = (*SETTINGS, f"phases={json.dumps(PHASES)}")
        start = [str(DRIVERS), self.fault] if self.fault else ["-m", "harness"]
        options = [word for setting in settings for word in ("--set", setting)]
        return [
            *self.prefix, sys.executable, *start, "run", "smoke", "--data", str(self.data),
            "--runs", str(self.runs), "--seed", str(self.seed),
            "--checkpoint-every", str(CHECKPOINT_EVERY), "--max-hours", "inf",
            *options, *self.extra,
        ]  # fmt: skip

    def start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.words,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", **dict(self.environment)},
        )

    def finish(self, process: subprocess.Popen[str] | None = None) -> Ended:
        process = process or self.start()
        stdout, stderr = process.communicate(timeout=600)
        return Ended(process.returncode, stdout, stderr)

    @property
    def folder(self) -> Path:
        """The run's folder; it exists once the run has begun."""
        (folder,) = self.runs.glob(f"smoke-*/seed-{self.seed}")
        return folder

    def journal(self) -> Journal:
        return read_journal(self.folder)

    def recorded_steps(self) -> int | None:
        """Steps in the journal so far, the torn end left out; None before it begins."""
        files = list(self.runs.glob(f"smoke-*/seed-{self.seed}/{FILE_NAME}"))
        if not files:
            return None
        whole = files[0].read_bytes().rpartition(b"\n")[0].splitlines()
        windows = [json.loads(line) for line in whole if b'"event":"steps"' in line]
        return windows[-1]["step"][-1] + 1 if windows else 0


def wait_for_step(command: Command, process: subprocess.Popen[str], step: int) -> bool:
    """Wait until the journal holds `step` steps; False when the process ends before."""
    for _ in ticks(process):
        recorded = command.recorded_steps()
        if recorded is not None and recorded >= step:
            return True
    return False


def ticks(process: subprocess.Popen[str], longest_s: float = 600) -> Iterator[None]:
    """Yield every few milliseconds while a process lives; kill one that lives too long."""
    give_up = time.monotonic() + longest_s
    while time.monotonic() < give_up:
        yield
        if ended_within(process, POLL_S):
            return
    process.kill()
    process.communicate()
    raise TimeoutError(f"process {process.pid} did not end within {longest_s:.0f} s")


def ended_within(process: subprocess.Popen[str], seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def kill(process: subprocess.Popen[str], number: int = signal.SIGKILL) -> Ended:
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=600)
    return Ended(process.returncode, stdout, stderr)


def certify(
    run: Command, *options: str, environment: tuple[tuple[str, str], ...] = ()
) -> tuple[int, dict[str, Any]]:
    """Exit code and certificate of `harness certify`."""
    words = ("certify", str(run.folder), "--json", "--no-tracking", *options)
    return _answer(words, dict(environment))


def diff(a: Command, b: Command, *options: str) -> tuple[int, dict[str, Any]]:
    """Exit code and answer of `harness diff`."""
    return _answer(("diff", str(a.folder), str(b.folder), "--json", *options), {})


def _answer(words: tuple[str, ...], environment: dict[str, str]) -> tuple[int, dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-m", "harness", *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", **environment},
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


@dataclass(frozen=True)
class Bits:
    """What must be equal to the bit: each step, the final weights, each image's prediction."""

    fingerprints: dict[int, str]
    batches: dict[int, str]
    weights: str | None
    evaluations: dict[tuple[int, str], tuple[int, int, str | None]]


def bits_of(journal: Journal) -> Bits:
    return Bits(
        fingerprints=journal.fingerprints(),
        batches={
            step: mark
            for window in journal.steps
            for step, mark in zip(window.step, window.batch_fingerprint or (), strict=True)
        },
        weights=journal.finished.weights_fingerprint if journal.finished else None,
        evaluations={
            (e.step, e.protocol.name): (e.top1_correct, e.top5_correct, e.predictions_digest)
            for e in journal.evaluations
        },
    )


def check_counted_once(journal: Journal) -> None:
    """Each step of the run is recorded exactly once, and so is each evaluation."""
    steps = [step for window in journal.steps for step in window.step]
    assert steps == list(range(STEPS))
    keys = [(e.step, e.protocol.name) for e in journal.evaluations]
    assert len(keys) == len(set(keys)) == STEPS // STEPS_PER_EPOCH + 1
    for replayed in journal.replayed:
        assert len(replayed.step) <= STEPS
