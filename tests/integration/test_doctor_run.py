"""The whole doctor: its processes, what they may do, and the command as a user gives it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.doctor import run
from harness.doctor.child import NAMES
from harness.doctor.lines import Line
from harness.doctor.run import Request, diagnose
from harness.recipes.smoke import SMOKE

OK = 'print(\'{"name": "tensorflow", "state": "ok", "found": "x"}\', flush=True)\n'
MISSING = ("mlflow", "pyarrow", "matplotlib", "sklearn", "scipy", "jinja2", "PIL", "cv2")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave MLflow out, whose own tests are elsewhere."""
    monkeypatch.setattr(run.tracker, "tracker_line", lambda *_: Line("mlflow", "ok", "left out"))


def child(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: str) -> None:
    (tmp_path / "stand_in_child.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(run, "CHILD", "stand_in_child")


def device_lines(tmp_path: Path, **options: Any) -> tuple[dict[str, Line], int]:
    found = diagnose(Request(SMOKE, tmp_path / "runs", **options))
    return {line.name: line for line in found.lines}, found.exit_code


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import time\ntime.sleep(60)\n", "no answer within 3 s"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n", "ended with -9"),
        ("import sys\nsys.exit('no CUDA at all')\n", "no CUDA at all"),
    ],
    ids=["hangs", "killed", "fails"],
)
@pytest.mark.usefixtures("quick")
def test_a_device_process_that_ends_early_takes_only_the_rest_with_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: str, words: str
) -> None:
    child(monkeypatch, tmp_path, f"print('noise')\n{OK}{code}")
    lines, exit_code = device_lines(tmp_path, device_timeout_s=3.0)
    assert exit_code == 2
    assert lines["tensorflow"].state == "ok"
    assert words in lines["gpu"].found
    assert ("--patience" in str(lines["gpu"].remedy)) == ("no answer" in words)
    assert "same bits" in lines["gpu"].found
    assert lines["locks"].state in {"ok", "note"}
    assert lines["main job"].state == "note"


@pytest.mark.usefixtures("quick")
def test_every_further_gpu_has_its_step(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6,7")
    child(monkeypatch, tmp_path, f"NAMES = {NAMES!r}" + """
import json, os, sys
asked = json.loads(sys.argv[1])
if asked.get("only_step"):
    found = os.environ["CUDA_VISIBLE_DEVICES"]
    print(json.dumps({"name": "step", "state": "ok", "found": found}))
    sys.exit(1 if found == "7" else 0)
for name in NAMES:
    figures = {"gpus": 3} if name == "tensorflow" else {}
    print(json.dumps({"name": name, "state": "ok", "found": "x", "figures": figures}))
print(json.dumps({"environment": {"cpu": "made up"}}))
""")  # fmt: skip
    found = diagnose(Request(SMOKE, tmp_path / "runs"))
    lines = {line.name: line for line in found.lines}
    assert lines["step on GPU 6"].found == "6"
    assert "step on GPU 4" not in lines
    assert lines["step on GPU 7"].found == "7"
    assert found.environment == {"cpu": "made up"}


@pytest.mark.usefixtures("quick")
def test_a_runs_folder_that_cannot_be_made_is_a_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    child(monkeypatch, tmp_path, OK)
    (tmp_path / "runs").write_text("a file")
    lines, exit_code = device_lines(tmp_path)
    assert exit_code == 2
    assert lines["runs folder"].state == "wrong"
    assert "locks" not in lines


def test_the_command_without_what_it_does_not_need(tmp_path: Path) -> None:
    """With neither MLflow nor pyarrow there is a line for each, and a real step all the same."""
    folder = tmp_path / "missing"
    folder.mkdir()
    for name in MISSING:
        (folder / f"{name}.py").write_text(f"raise ModuleNotFoundError('No module named {name}')\n")
    paths = (str(folder), os.environ.get("PYTHONPATH", ""))
    done = subprocess.run(
        [sys.executable, "-m", "harness", "doctor", "--recipe", "smoke", "--json",
         "--runs", tmp_path / "runs", "--patience", "400"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)},
        capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    document = json.loads(done.stdout)
    lines = {line["name"]: line for line in document["lines"]}
    assert set(NAMES) <= set(lines)
    wrong = {name for name, line in lines.items() if line["state"] == "wrong"}
    assert wrong == {"mlflow", "input"}
    for name, missing in (("mlflow", "mlflow"), ("input", "pyarrow")):
        assert f"No module named {missing}" in lines[name]["found"]
        assert lines[name]["remedy"]
    assert lines["step"]["figures"]["step_s"] > 0
    assert lines["same bits"]["state"] == "ok"
    assert "Traceback" not in done.stderr
    assert "harness" in document["environment"]
