"""tox, continuous integration, licence and rooms: what the frame promises."""

import configparser
import hashlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest

from harness.cli import main as cli

ROOT = Path(__file__).parents[3]
ENVIRONMENTS = (
    "smoke", "doctor", "reproduce-resnet50", "reproduce-fashion-resnet20", "bench", "faults",
    "soak", "ui",
)  # fmt: skip
PASSED = (
    "IMAGENET_DIR", "FASHION_MNIST_DIR", "CUDA_*", "CUBLAS*", "CUDNN_*", "NCCL_*", "NVIDIA_*",
    "OMP_*", "LD_LIBRARY_PATH", "TF_*", "XLA_*", "MLFLOW_*", "SLURM_*",
)  # fmt: skip


def tox() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(ROOT / "tox.ini")
    return parser


def test_plain_tox_runs_style_types_and_tests() -> None:
    config = tox()
    assert config["tox"]["env_list"] == "check"
    parts = config["testenv:check"]["commands"].split("\n")
    assert [part for part in parts if part] == [
        f"{{[testenv{name}]commands}}" for name in (":lint", ":type", "")
    ]
    assert config["testenv:check"]["ignore_errors"] == "true"
    assert config["testenv"]["commands"].startswith("pytest")
    assert set(PASSED) <= set(config["testenv"]["pass_env"].split())


@pytest.mark.parametrize("name", ["check", "test", "faults", "soak"])
def test_the_tests_run_on_the_processor_whatever_the_machine_has(name: str) -> None:
    value = tox()[f"testenv:{name}"]["set_env"]
    assert value in {"CUDA_VISIBLE_DEVICES = -1", "{[testenv:test]set_env}"}


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_environments_take_arguments_and_say_what_they_do(name: str) -> None:
    section = tox()[f"testenv:{name}"]
    assert "{posargs" in section["commands"]
    assert section["description"]


def test_the_gpu_lock_is_installed_only_where_a_driver_answers(tmp_path: Path) -> None:
    line = tox()["shared"]["gpu"].strip()
    match = re.fullmatch(
        r'\{\[shared\]python\} -c "(?P<code>.*)" \{toxinidir\}/requirements-gpu\.lock', line
    )
    assert match
    wish = tmp_path / "wish.txt"
    wish.write_text("no-such-package-of-any-index==1\n")

    def installs(driver: str | None) -> bool:
        folder = tmp_path / (driver or "none")
        folder.mkdir()
        if driver is not None:
            (folder / "nvidia-smi").write_text(f"#!/bin/sh\nexit {driver}\n")
            (folder / "nvidia-smi").chmod(0o755)
        done = subprocess.run(
            [sys.executable, "-c", match["code"], wish],
            env={"PATH": f"{folder}{os.pathsep}/bin", "PIP_NO_INDEX": "1"},
            capture_output=True,
            check=False,
            timeout=60,
        )
        return done.returncode != 0

    assert [installs(driver) for driver in (None, "9", "0")] == [False, False, True]


def test_continuous_integration_runs_the_command_of_the_readme() -> None:
    script = (ROOT / ".ci/run").read_text()
    command = next(line for line in script.splitlines() if line.startswith("python3 -m venv"))
    assert command in (ROOT / "README.md").read_text().splitlines()
    assert os.access(ROOT / ".ci/run", os.X_OK)


@pytest.mark.parametrize("code", [0, 1])
def test_continuous_integration_fails_when_tox_does(tmp_path: Path, code: int) -> None:
    """The real script, with `python3` making a folder whose tox ends as told."""
    (tmp_path / ".ci").mkdir()
    (tmp_path / ".ci/run").write_bytes((ROOT / ".ci/run").read_bytes())
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "tox").write_text(f"#!/bin/sh\nexit {code}\n")
    (programs / "pip").write_text("#!/bin/sh\n")
    (programs / "python3").write_text(
        f'#!/bin/sh\nmkdir -p "$3/bin" && cp {programs}/tox {programs}/pip "$3/bin/"\n'
    )
    for program in programs.iterdir():
        program.chmod(0o755)
    done = subprocess.run(
        ["/bin/sh", str(tmp_path / ".ci/run")],
        env={"PATH": f"{programs}:/usr/bin:/bin"},
        check=False,
        timeout=60,
    )
    assert done.returncode == code


def test_the_licence_is_apache_2() -> None:
    digest = hashlib.sha256((ROOT / "LICENSE").read_bytes()).hexdigest()
    # The text at apache.org/licenses/LICENSE-2.0.txt without its first, empty line.
    assert digest == "c71d239df91726fc519c6eb72d318ec65820627232b2f796219e87dcf35d0ab4"


def test_rooms_import_only_what_the_design_allows() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (None, "interrupted from the keyboard"),
        (signal.SIGINT, "interrupted from the keyboard"),
        (signal.SIGTERM, "stopped by SIGTERM"),
        (signal.SIGHUP, "stopped by SIGHUP"),
        (signal.SIGUSR1, "stopped by SIGUSR1"),
        (signal.SIGUSR2, "stopped by SIGUSR2"),
        (signal.SIGXCPU, "stopped by SIGXCPU"),
    ],
)
def test_a_signal_is_an_interruption_and_not_a_difference_found(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    number: signal.Signals | None,
    words: str,
) -> None:
    @click.command()
    def interrupted() -> None:
        if number is None:
            raise KeyboardInterrupt
        signal.raise_signal(number)

    monkeypatch.setitem(cli.harness.commands, "interrupted", interrupted)
    monkeypatch.setattr(sys, "argv", ["harness", "interrupted"])
    before = signal.getsignal(signal.SIGTERM)
    # Where the tests are started by nohup, SIGHUP is ignored, and the harness leaves that alone.
    hang_up = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        assert cli.answer() == 75
    finally:
        signal.signal(signal.SIGHUP, hang_up)
    assert signal.getsignal(signal.SIGTERM) is before
    assert f"harness: {words}\n" in capsys.readouterr().err
