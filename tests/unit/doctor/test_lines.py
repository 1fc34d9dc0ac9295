"""The doctor's lines: each thing by itself, with stand-ins for what a machine may lack."""

import fcntl
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import psutil
import pytest

from harness.doctor import gpus, host, packages, tracker
from harness.doctor.job import counts_of, job_line, main_job
from harness.doctor.lines import ASK, Diagnosis, Line, State, guarded
from harness.errors import MachineError
from harness.recipes.catalogue import find_recipe
from harness.recipes.published.apm5 import APM5_RESNET50
from tests.fake_driver import ROW, write_nvidia_smi

GIB = 1 << 30


@pytest.mark.parametrize(
    ("states", "code"),
    [([], 0), (["ok", "note"], 0), (["ok", "slow"], 0), (["wrong"], 2), (["ok", "wrong"], 2)],
)
def test_only_what_is_wrong_changes_the_exit_code(states: list[State], code: int) -> None:
    found = Diagnosis(tuple(Line("x", state, "y") for state in states), 1.0)
    assert found.exit_code == code
    assert found.document()["exit_code"] == code
    assert [Line.of(document) for document in found.document()["lines"]] == list(found.lines)


def fails(error: Exception) -> Line:
    raise error


@pytest.mark.parametrize(
    ("error", "words", "remedy"),
    [
        (MachineError("no room", remedy="make some"), "no room", "make some"),
        (MachineError("no room"), "no room", ASK),
        (ModuleNotFoundError("No module named 'pyarrow'"), "No module named 'pyarrow'", ASK),
        (RuntimeError(""), "RuntimeError: no words", ASK),
        (ValueError("first\nsecond"), "ValueError: first (", ASK),
    ],
)
def test_any_error_of_a_probe_is_its_line(error: Exception, words: str, remedy: str) -> None:
    line = guarded("thing", lambda: fails(error))
    assert (line.name, line.state, line.remedy) == ("thing", "wrong", remedy)
    assert words in line.found
    assert "second" not in line.found


def test_this_environment_has_what_the_project_needs() -> None:
    assert packages.python_line().state == "ok"
    assert packages.packages_line().state == "ok"
    assert any(text.startswith("tensorflow==") for text in packages.requirements())


def test_what_is_missing_or_another_version_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = ("click>=8.1", "numpy>=999.1", "no-such-package>=1", "tensorflow==1.0", "pillow")
    monkeypatch.setattr(packages, "requirements", lambda: wanted)
    line = packages.packages_line()
    assert line.state == "wrong"
    faults = line.figures["faults"]
    assert [fault.split()[0] for fault in faults] == ["numpy", "no-such-package", "tensorflow"]
    assert line.remedy == packages.INSTALL


@pytest.mark.parametrize(
    ("load", "cores", "beside_gpu", "state"),
    [
        (0.1, 16, True, "ok"),
        (0.1, 4, True, "slow"),
        (0.1, 4, False, "ok"),
        (1e6, 16, False, "slow"),
    ],
)
def test_cores(
    monkeypatch: pytest.MonkeyPatch, load: float, cores: int, beside_gpu: bool, state: State
) -> None:
    monkeypatch.setattr(host, "usable_cores", lambda: cores)
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 0.0, 0.0))
    line = host.cores_line(beside_gpu=beside_gpu)
    assert line.state == state
    assert line.figures["granted"] == cores
    assert (line.remedy is None) == (state == "ok")


@pytest.mark.parametrize(("limit", "state"), [(8 * GIB, "note"), (None, None)])
def test_memory_as_granted(
    monkeypatch: pytest.MonkeyPatch, limit: int | None, state: State | None
) -> None:
    monkeypatch.setattr(host, "cgroup_memory_bytes", lambda: limit)
    line = host.memory_line()
    granted = min(limit or 1 << 60, psutil.virtual_memory().total)
    assert line.figures["granted_bytes"] == granted
    assert line.state == (state or ("note" if granted < host.LITTLE_MEMORY else "ok"))


@pytest.mark.parametrize(
    ("needed", "slow_below", "state"), [(1, 0.0, "ok"), (1 << 60, 0.0, "wrong"), (1, 1e18, "slow")]
)
def test_disk(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, needed: int, slow_below: float, state: State
) -> None:
    monkeypatch.setattr(host, "WRITTEN_BYTES", 1 << 20)
    monkeypatch.setattr(host, "SLOW_WRITE_BYTES_PER_S", slow_below)
    assert host.disk_line(tmp_path, needed).state == state
    assert list(tmp_path.iterdir()) == []


def test_locks_hold_on_a_local_disk(tmp_path: Path) -> None:
    assert host.locks_line(tmp_path).state in {"ok", "note"}
    assert list(tmp_path.iterdir()) == []


def test_locks_that_keep_nobody_out_are_wrong(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As on a file system that takes a lock and does not keep it."""
    monkeypatch.setattr(fcntl, "flock", lambda *_: None)
    line = host.locks_line(tmp_path)
    assert line.state == "wrong"
    assert "does not keep another process out" in line.found
    assert "--runs" in str(line.remedy)


def test_locks_that_are_refused_are_wrong(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refused(*_: Any) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", refused)
    assert "Function not implemented" in host.locks_line(tmp_path).found


OLD = ROW.replace("550.54.15", "470.57.02")


@pytest.mark.parametrize(
    ("output", "code", "state", "words"),
    [
        (f"{ROW}\n{ROW}", 0, "ok", "550.54.15, 2 x Made-up GPU"),
        (OLD, 0, "wrong", "470.57.02"),
        (ROW.removesuffix("Disabled") + "Enabled", 0, "note", "is divided (MIG)"),
        ("No devices were found", 6, "note", "No devices were found"),
    ],
    ids=["two", "old driver", "divided", "fails"],
)
def test_the_driver(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    output: str,
    code: int,
    state: State,
    words: str,
) -> None:
    write_nvidia_smi(tmp_path, output, code)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/usr/bin{os.pathsep}/bin")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    line = gpus.driver_line()
    assert line.state == state
    assert words in line.found
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "NoDevFiles")
    assert gpus.driver_line().state == "note"


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Write a module that children import in place of MLflow."""

    def write(code: str) -> None:
        (tmp_path / "modules").mkdir()
        (tmp_path / "modules" / "mlflow.py").write_text(code)
        monkeypatch.syspath_prepend(tmp_path / "modules")

    return write


def test_a_tracker_that_is_not_installed_is_a_line(
    tmp_path: Path, stand_in: Callable[[str], None]
) -> None:
    stand_in("raise ModuleNotFoundError('No module named mlflow')\n")
    line = tracker.tracker_line(tmp_path)
    assert line.state == "wrong"
    assert "No module named mlflow" in line.found
    assert "--no-tracking" in str(line.remedy)


def test_a_tracker_that_hangs_is_a_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, stand_in: Callable[[str], None]
) -> None:
    stand_in("import time\ntime.sleep(60)\n")
    monkeypatch.setattr(tracker, "TIMEOUT_S", 0.5)
    assert "no answer within 0.5 s" in tracker.tracker_line(tmp_path).found


@pytest.mark.parametrize(
    ("changed", "slow_s", "state"),
    [
        ({}, 10.0, "ok"),
        ({}, 0.0, "slow"),
        ({"outage": "it does not answer"}, 10.0, "note"),
        ({"refusal": ["it refuses the password", "correct it"]}, 10.0, "wrong"),
    ],
    ids=["answers", "slow", "down", "refuses"],
)
def test_a_tracker_is_told_with_its_times(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    changed: dict[str, Any],
    slow_s: float,
    state: State,
) -> None:
    figures = {"version": "3", "import_s": 1.0, "ask_s": 0.1, "run_s": 1.0, "outage": "",
               "refusal": None, **changed}  # fmt: skip
    done = CompletedProcess([], 0, f"noise\n{json.dumps(figures)}\n", "")
    monkeypatch.setattr(tracker, "run_python", lambda *_args, **_options: done)
    monkeypatch.setattr(tracker, "SLOW_S", slow_s)
    line = tracker.tracker_line(tmp_path)
    assert line.state == state, line
    assert (line.remedy is None) == (state == "ok")


def test_this_machine_s_tracker_answers(tmp_path: Path) -> None:
    line = tracker.tracker_line(tmp_path)
    assert line.state in {"ok", "slow"}, line
    assert line.figures["run_s"] > 0
    assert list(tmp_path.iterdir()) == [], "nothing stays"


def measured(step_s: float, *, gpus: int = 1, images_per_s: float = 1e9) -> list[Line]:
    """Lines as the device's process tells them, by hand."""
    flops = 51 * 10_009 * 128 * 24.5e9
    load = {"steps": 510_459, "images": 65_338_752, "crops": 3e6, "flops": flops, "disk_bytes": 1}
    return [
        Line("tensorflow", "ok", "", figures={"gpus": gpus}),
        Line("matrix product", "ok", "", figures={"flops_per_s": {"float32": 5e13, "tf32": 4e14}}),
        Line("step", "ok", "", figures={"step_s": step_s, "batch": 128, "load": load}),
        Line("input", "ok", "", figures={
            "images_per_s": images_per_s, "needed_images_per_s": 128 / step_s}),
    ]  # fmt: skip


def test_the_main_job_in_hours() -> None:
    line = job_line(APM5_RESNET50, measured(0.4), 3)
    hours = (65_338_752 + 1e6) * 0.4 / 128 / 3600
    assert line.figures["hours_a_seed"] == pytest.approx(hours)
    assert line.state == "ok"
    assert line.figures["least_hours_tf32"] == pytest.approx(
        51 * 10_009 * 128 * 24.5e9 / 4e14 / 3600
    )
    assert "of arithmetic alone" in line.found


@pytest.mark.parametrize(
    ("recipe", "train", "val"),
    [
        ("apm5-resnet50", 1_281_167, 50_000),
        ("zhong2020-fashion-resnet20", 60_000, 10_000),
        ("smoke", 1_442, 355),
    ],
)
def test_the_main_job_is_on_its_targets_data(recipe: str, train: int, val: int) -> None:
    found = find_recipe(recipe)
    counts = counts_of(found)
    assert (counts.train_images, counts.val_images) == (train, val)
    load = main_job(found, 1)
    assert load.steps == found.total_steps(found.steps_in_epoch(train))


def test_a_main_job_beyond_the_limit_is_slow() -> None:
    line = job_line(APM5_RESNET50, measured(2.0), 3)
    assert line.state == "slow"
    assert "--max-hours" in str(line.remedy)


def test_an_input_that_cannot_follow_decides_the_hours() -> None:
    line = job_line(APM5_RESNET50, measured(0.1, images_per_s=320.0), 3)
    assert line.figures["hours_a_seed_with_input"] == pytest.approx(
        4 * line.figures["hours_a_seed"]
    )


def test_without_a_step_nothing_is_promised() -> None:
    assert job_line(APM5_RESNET50, [], 3).state == "note"


def test_what_a_run_needs_of_the_host_is_there(tmp_path: Path) -> None:
    assert packages.code_line().state in {"ok", "note"}
    assert host.temporary_line().state == "ok"
    assert host.loopback_line().state == "ok"
    line = guarded("data", lambda: host.data_line(tmp_path / "nowhere"))
    assert line.state == "wrong"


def test_variables_that_change_bits_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NCCL_ALGO", "Tree")
    line = host.variables_line()
    assert line.state == "note"
    assert "NCCL_ALGO=Tree" in line.found


def test_python_is_told() -> None:
    assert ".".join(map(str, sys.version_info[:3])) in packages.python_line().found
