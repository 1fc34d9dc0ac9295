"""Environment capture: complete, private, and read back rather than repeated."""

import json
import mmap
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import tensorflow as tf

from harness.errors import MachineError
from harness.measure import environment, machine
from harness.numerics import pins
from harness.recipes.recipe import Numerics, Precision

CPUINFO = """processor\t: 0
vendor_id\t: GenuineIntel
cpu family\t: 6
model\t\t: 79
model name\t: Intel(R) Xeon(R) CPU
stepping\t: 0
flags\t\t: fpu avx avx2 fma hypervisor

processor\t: 1
model name\t: another
"""


def test_first_processor_is_read_from_cpuinfo() -> None:
    fields = machine.cpu_fields(CPUINFO)
    assert fields["model name"] == "Intel(R) Xeon(R) CPU"
    assert fields["flags"].split() == ["fpu", "avx", "avx2", "fma", "hypervisor"]


def test_gpu_row_names_its_fields() -> None:
    row = machine.gpu_row("NVIDIA X, 550.1, 12288 MiB, 00:01.0, N/A, 250 W, 1 MHz, 2 MHz, On, N/A")
    assert (row["name"], row["driver_version"], row["memory.total"]) == (
        "NVIDIA X",
        "550.1",
        "12288 MiB",
    )


def test_a_failing_query_tells_nothing() -> None:
    assert machine.query("no-such-program-anywhere") is None
    assert machine.query("false") is None


def test_variables_leave_out_secrets_homes_and_strangers() -> None:
    home = str(Path.home())
    kept = environment.recorded_variables(
        {
            "TF_ENABLE_ONEDNN_OPTS": "1",
            "XLA_FLAGS": f"--xla_dump_to={home}/dump:/home/somebody/x",
            "NVIDIA_API_KEY": "abc",
            "MLFLOW_TRACKING_PASSWORD": "abc",
            "TF_CLI_CONFIG_FILE": "x",
            "TF_CONFIG": '{"cluster": {"worker": ["10.0.0.1:1"]}}',
            "PATH": "/bin",
        }
    )
    assert set(kept) == {"TF_ENABLE_ONEDNN_OPTS", "XLA_FLAGS"}
    assert home not in kept["XLA_FLAGS"]
    assert "somebody" not in kept["XLA_FLAGS"]


def test_only_what_changes_bits_is_part_of_the_numerics() -> None:
    flags = environment.numerics_flags(
        {
            "XLA_FLAGS": "--xla_gpu_autotune_level=0",
            "ONEDNN_MAX_CPU_ISA": "AVX2",
            "TF_CPP_MIN_LOG_LEVEL": "2",
            "CUDA_VISIBLE_DEVICES": "0",
            "MALLOC_ARENA_MAX": "2",
        },
        gpus=1,
    )
    assert flags == {"ONEDNN_MAX_CPU_ISA": "AVX2", "XLA_FLAGS": "--xla_gpu_autotune_level=0"}


@pytest.mark.parametrize("gpus", [0, 1, 2])
def test_variables_of_a_gpu_count_where_they_can_change_bits(gpus: int) -> None:
    everywhere = {"OMP_NUM_THREADS": "2"}
    one = {
        **pins.CUDNN_PINS, "CUBLAS_WORKSPACE_CONFIG": ":4096:8", "CUBLASLT_HEURISTICS": "1",
        "TF_CUDNN_WORKSPACE_LIMIT_IN_MB": "512", "NVIDIA_TF32_OVERRIDE": "0",
    }  # fmt: skip
    several = {"NCCL_ALGO": "Tree", "NCCL_PROTO": "LL"}
    silent = {"NCCL_DEBUG": "WARN", "NCCL_SOCKET_IFNAME": "eth0"}
    flags = environment.numerics_flags({**everywhere, **one, **several, **silent}, gpus=gpus)
    assert flags == everywhere | (one if gpus else {}) | (several if gpus > 1 else {})


def test_op_determinism_pins_cudnn(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in pins.CUDNN_PINS:
        monkeypatch.setenv(name, "true")
    monkeypatch.delenv("TF_CUDNN_USE_AUTOTUNE")
    pins.pin_cudnn()
    assert os.environ["TF_CUDNN_USE_AUTOTUNE"] == "0"
    assert os.environ["TF_CUDNN_DETERMINISTIC"] == "true"


@pytest.mark.parametrize(
    ("name", "value"), [("TF_CUDNN_USE_AUTOTUNE", "1"), ("TF_CUDNN_DETERMINISTIC", "0")]
)
def test_a_contradiction_is_refused_in_words(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    for pinned, wanted in pins.CUDNN_PINS.items():
        monkeypatch.setenv(pinned, wanted)
    monkeypatch.setenv(name, value)
    with pytest.raises(MachineError, match=f"{name}={value}"):
        pins.pin_cudnn()


def test_the_installed_tensorflow_reads_the_pins() -> None:
    """Names that the library does not hold would be set in vain."""
    folder = Path(tf.sysconfig.get_lib())
    wanted = {name.encode() for name in pins.CUDNN_PINS}
    for library in folder.glob("libtensorflow_*.so.2"):
        with library.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as held:
            wanted -= {name for name in wanted if held.find(name) >= 0}
    assert not wanted


PINNED = """
import json, os
from harness.numerics.pins import pin_runtime, resolved
from harness.recipes.recipe import Numerics, Precision
for asked in (False, True):
    pin_runtime(resolved(Numerics(op_determinism=asked)), Precision())
    print(json.dumps(sorted(name for name in os.environ if name.startswith("TF_CUDNN_"))))
"""


def test_a_process_is_pinned_with_op_determinism_alone() -> None:
    kept = {n: v for n, v in os.environ.items() if not n.startswith("TF_CUDNN_")}
    done = subprocess.run(
        [sys.executable, "-c", PINNED],
        env=kept, capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    without, pinned = (json.loads(line) for line in done.stdout.splitlines())
    assert (without, pinned) == ([], sorted(pins.CUDNN_PINS))


def test_capture_is_json_and_names_nobody() -> None:
    captured = environment.capture_environment()
    text = json.dumps(captured, allow_nan=False)
    assert str(Path.home()) not in text
    assert captured["cpu"]["usable_cores"] == len(os.sched_getaffinity(0))
    assert captured["memory"]["total_bytes"] == psutil.virtual_memory().total
    assert captured["packages"]["tensorflow"] == captured["tensorflow"]["version"]
    assert {"cpu", "memory", "system", "gpus", "variables", "harness"} <= set(captured)


PROBE = """
import json, sys
from harness.recipes.recipe import Numerics, Precision
import tensorflow as tf
tf.config.threading.set_intra_op_parallelism_threads(3)
tf.config.threading.set_inter_op_parallelism_threads(1)
tf.config.experimental.enable_op_determinism()
tf.config.experimental.enable_tensor_float_32_execution(False)
from harness.measure.environment import effective_numerics
asked = Numerics(op_determinism=False, onednn=True, intra_op_threads=7, inter_op_threads=7)
print(effective_numerics(asked, Precision(tf32=True)).model_dump_json())
"""


def test_numerics_are_those_in_force_not_those_asked_for() -> None:
    asked = [Numerics(onednn=onednn) for onednn in (True, False)]
    here = {environment.effective_numerics(one, Precision()).onednn for one in asked}
    assert len(here) == 1
    done = subprocess.run(
        [sys.executable, "-c", PROBE],
        env={**os.environ, "TF_ENABLE_ONEDNN_OPTS": "0", "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    found = json.loads(done.stdout)
    assert found["onednn"] is False
    assert found["op_determinism"] is True
    assert found["tf32"] is False
    assert (found["intra_op_threads"], found["inter_op_threads"]) == (3, 1)


def test_equal_surroundings_have_equal_numerics() -> None:
    first, second = (environment.effective_numerics(Numerics(), Precision()) for _ in range(2))
    assert first.digest == second.digest
    assert first.intra_op_threads > 0
    assert first.digest != environment.effective_numerics(Numerics(xla=True), Precision()).digest


def _git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    command = ["git", *identity, "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_git_state_tells_commit_and_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert environment.git_state_of(tmp_path) == (None, None, "")
    _git(tmp_path, "init", "-q")
    (tmp_path / "harness").mkdir()
    (tmp_path / "harness" / "a.py").write_text("x = 1\n")
    _git(tmp_path, "add", ".")
    _git(tmp_path, "commit", "-qm", "one")
    commit = _git(tmp_path, "rev-parse", "HEAD")
    # As a hook or an editor of another repository leaves them to its children.
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "no-index"))
    assert environment.git_state_of(tmp_path) == (commit, False, "")
    (tmp_path / "harness" / "a.py").write_text("x = 2\n")
    assert environment.git_state_of(tmp_path) == (commit, True, "")


@pytest.mark.parametrize(
    ("program", "problem"),
    [
        ("echo fatal: detected dubious ownership >&2; exit 128", "fatal: detected dubious owner"),
        ("exit 3", "git ended with code 3"),
        (None, "git is not installed"),
    ],
)
def test_a_git_that_does_not_tell_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str | None, problem: str
) -> None:
    """A stand-in for git: the real refusal needs a folder with another owner."""
    (tmp_path / ".git").mkdir()
    if program is not None:
        (tmp_path / "git").write_text(f"#!/bin/sh\n{program}\n")
        (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = environment.git_state_of(tmp_path)
    assert (found.commit, found.dirty) == (None, None)
    assert found.problem.startswith(problem)
