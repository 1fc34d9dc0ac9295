"""Signals, a second process, memory, the clock and numbers that are none."""

import math
import os
import signal
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from harness.training.checkpoint import STATE_FILE, folder_name
from tests.faults.command import (
    Command,
    Ended,
    bits_of,
    certify,
    check_counted_once,
    diff,
    kill,
    wait_for_step,
)
from tests.faults.conftest import Reference, Row, Stopped


def goes_on_equal(
    command: Command, uninterrupted: Reference, table: list[Row], row: tuple[str, str, str]
) -> None:
    ended = command.finish()
    equal = ended.exit_code == 0 and bits_of(command.journal()) == uninterrupted.bits
    table.append(Row(*row, equal, ended.exit_code))
    assert ended.exit_code == 0, ended.stderr
    check_counted_once(command.journal())
    assert bits_of(command.journal()) == uninterrupted.bits


def check_preempted(command: Command, ended: Ended, name: str) -> int:
    assert ended.exit_code == 75, ended.stderr
    assert "resume with the same command" in ended.stderr
    journal = command.journal()
    last = journal.events[-1]
    assert (last.event, last.reason, last.detail) == ("interrupted", "signal", f"received {name}")
    assert last.step == journal.last_step == journal.checkpoints[-1].step
    return last.step


def second_is_refused_and_sigterm_stops(command: Command, table: list[Row]) -> None:
    first = command.start()
    assert wait_for_step(command, first, 3)
    # Held still, so that it cannot end while the second process starts.
    first.send_signal(signal.SIGSTOP)
    second = command.finish()
    first.send_signal(signal.SIGCONT)
    assert second.exit_code == 2, second.stderr
    holder = f"process {first.pid} on {socket.gethostname()}"
    assert f"another process is training this run: {holder}\n" in second.stderr
    table.append(Row("second process", "step 3", "refused, first named", None, second.exit_code))
    step = check_preempted(command, kill(first, signal.SIGTERM), "SIGTERM")
    table.append(Row("SIGTERM", f"step {step}", "checkpoint written", None, 75))


@pytest.mark.slow
def test_interrupt_from_the_keyboard(
    stopped: Stopped, tmp_path: Path, uninterrupted: Reference, table: list[Row]
) -> None:
    command = stopped.copy(tmp_path)
    process = command.start()
    assert wait_for_step(command, process, 15)
    step = check_preempted(command, kill(process, signal.SIGINT), "SIGINT")
    table.append(Row("SIGINT", f"step {step}", "checkpoint written", None, 75))
    goes_on_equal(command, uninterrupted, table, ("SIGINT", f"step {step}", "went on"))


@pytest.mark.slow
def test_signal_while_evaluating(
    stopped: Stopped, tmp_path: Path, uninterrupted: Reference, table: list[Row]
) -> None:
    command = stopped.copy(tmp_path)
    process = command.start()
    assert wait_for_step(command, process, 40)
    step = check_preempted(command, kill(process, signal.SIGTERM), "SIGTERM")
    assert step == 40
    assert command.journal().finished is None
    table.append(Row("SIGTERM", "final evaluation", "evaluation left out", None, 75))
    goes_on_equal(command, uninterrupted, table, ("SIGTERM", "final evaluation", "went on"))


@pytest.mark.slow
def test_out_of_memory(
    stopped: Stopped, tmp_path: Path, uninterrupted: Reference, table: list[Row]
) -> None:
    command = stopped.copy(tmp_path)
    ended = replace(command, fault="out_of_memory").finish()
    assert ended.exit_code == 2
    assert "the device ran out of memory" in ended.stderr
    assert "Traceback" not in ended.stderr
    last = command.journal().events[-1]
    assert (last.event, last.reason) == ("interrupted", "error")
    table.append(Row("ResourceExhaustedError", "step 28", "told", None, ended.exit_code))
    goes_on_equal(command, uninterrupted, table, ("ResourceExhaustedError", "step 28", "went on"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "finite"),
    [("nan_images", None), ("nan_gradients", (True, False)), ("nan_loss", (False, True))],
)
def test_numbers_that_are_none(
    fault: str,
    finite: tuple[bool, bool] | None,
    stopped: Stopped,
    tmp_path: Path,
    table: list[Row],
) -> None:
    """Step 27 is named where only its loss or only one element of its gradients is none.

    `finite` tells of its loss and of its gradient norm; None where kernels decide.
    """
    command = replace(stopped.copy(tmp_path), fault=fault)
    for attempt in (fault.replace("_", " "), "the same command again"):
        ended = command.finish()
        assert ended.exit_code == 4, ended.stderr
        assert "Traceback" not in ended.stderr
        finished = command.journal().finished
        assert finished is not None
        assert finished.status == "diverged"
        assert "the loss or gradient of step 27 is not finite" in finished.detail
        assert "last good checkpoint: step-0000000027" in finished.detail
        table.append(Row(attempt, "step 27", "diverged", None, ended.exit_code))
    last = command.journal().steps[-1]
    assert last.step[0] == finished.step == 27
    found = (math.isfinite(last.loss[0]), math.isfinite(last.gradient_norm[0]))
    assert found == finite or (finite is None and found != (True, True))


@pytest.mark.slow
def test_clock_jumping_back(
    stopped: Stopped, tmp_path: Path, uninterrupted: Reference, table: list[Row]
) -> None:
    command = replace(stopped.copy(tmp_path), fault="clock_jumping_back")
    goes_on_equal(command, uninterrupted, table, ("clock jumping back", "always", "no effect"))
    journal = command.journal()
    times = [event.time_s for event in journal.events]
    assert times != sorted(times)
    assert all(time_s >= 0 for window in journal.steps for time_s in window.step_time_s)
    assert all(e.duration_s >= 0 for e in journal.evaluations)


@pytest.mark.slow
def test_other_numerics(
    stopped: Stopped, tmp_path: Path, uninterrupted: Reference, table: list[Row]
) -> None:
    """Refused with the keys that differ; accepted, the steps computed again may have other bits.

    The run stays an honest one: each part repeats under its own numerics.
    """
    without = ("--no-tracking", "--set", "numerics.onednn=false")
    command = replace(stopped.copy(tmp_path), extra=without)
    tear_latest(command)
    ended = command.finish()
    assert ended.exit_code == 2, ended.stderr
    assert "other numerics; they differ in: onednn" in ended.stderr
    assert "--accept-numerics" in ended.stderr
    table.append(Row("other numerics", "after step 14", "refused, key named", None, 2))
    ended = replace(command, extra=(*without, "--accept-numerics")).finish()
    assert ended.exit_code == 0, ended.stderr
    check_counted_once(command.journal())
    (resumed,) = [e for e in command.journal().interruptions if e.event == "resumed"]
    assert (resumed.step, resumed.accepted_numerics, resumed.numerics.onednn) == (12, True, False)
    table.append(Row("other numerics", "--accept-numerics", "went on", None, ended.exit_code))

    code, certificate = certify(command, "--whole")
    table.append(Row("certify: other numerics", "from step 14", certificate["level"], True, code))
    assert (code, certificate["level"], certificate["exact"]) == (0, "step", True)
    assert certificate["numerics_changes"] == [14]
    # Three checkpoints and those of each epoch are kept: the states at the change are gone.
    spans = [(s["first_step"], s["end_step"]) for s in certificate["segments"]]
    assert spans == [(0, 14), (20, 40)]
    assert certificate["unreachable_steps"] == 20 - 14
    assert (certificate["final_weights_equal"], certificate["predictions_equal"]) == (True, True)
    assert "bits are promised only between such changes" in certificate["statement"]
    assert "6 further steps could not be replayed" in certificate["statement"]

    code, found = diff(uninterrupted.command, command)
    table.append(Row("diff: other numerics", f"step {found['first']['step']}",
                     found["causes"][0][:60], None, code))  # fmt: skip
    assert code == 1
    assert found["first"]["step"] == 14
    assert found["causes"][0].startswith("other numerics: onednn: True | False")
    assert found["finding"]["not_reproduced"] == []


@pytest.mark.slow
def test_going_on_operation_by_operation_is_other_numerics(
    stopped: Stopped, tmp_path: Path, table: list[Row]
) -> None:
    command = replace(stopped.copy(tmp_path), extra=("--no-tracking", "--eager"))
    before = command.journal()
    ended = command.finish()
    table.append(Row("--eager", "after step 14", "refused, key named", None, ended.exit_code))
    assert ended.exit_code == 2, ended.stderr
    assert "they differ in: flags" in ended.stderr
    assert command.journal() == before


def tear_latest(command: Command) -> None:
    state = command.folder / "checkpoints" / folder_name(14) / STATE_FILE
    os.truncate(state, state.stat().st_size // 2)
