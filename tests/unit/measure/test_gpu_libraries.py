"""Versions of CUDA's libraries, from stand-ins that answer as the libraries do."""

import json
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from harness.measure.gpu_libraries import gpu_libraries
from harness.record.schema import EffectiveNumerics
from tests.sample_events import NUMERICS

DRIVER = (
    "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024\n"
    "GCC version:  gcc version 12.2.0\n"
)
OPEN_DRIVER = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.10  Release Build\n"


class Function:
    """A function of a library: it fills its last argument, or returns a number."""

    def __init__(self, values: list[int], returned: int = 0) -> None:
        self.values, self.returned, self.restype = values, returned, None

    def __call__(self, *arguments: Any) -> int:
        if arguments:
            part = arguments[0] if len(arguments) > 1 else 0
            arguments[-1]._obj.value = self.values[part]
        return self.returned


class Library:
    """A library with the functions that are asked for a version."""

    def __init__(self) -> None:
        self.cudnnGetVersion = Function([], returned=92_800)
        self.cublasGetProperty = Function([12, 9, 3])
        self.cudaRuntimeGetVersion = Function([12_090])
        self.cuDriverGetVersion = Function([12_080])
        self.ncclGetVersion = Function([23_203])


def not_installed(name: str) -> str:
    raise metadata.PackageNotFoundError(name)


def nothing_open(name: str) -> Any:
    raise OSError(name)


@pytest.mark.parametrize("text", [DRIVER, OPEN_DRIVER], ids=["closed", "open"])
def test_every_library_is_asked(tmp_path: Path, text: str) -> None:
    (tmp_path / "version").write_text(text)
    found = gpu_libraries(
        replicas=2, load=lambda _name: Library(), package=not_installed,
        driver_file=tmp_path / "version",
    )  # fmt: skip
    assert found == {
        "cudnn": "9.28.0",
        "cublas": "12.9.3",
        "cuda_runtime": "12.9",
        "cuda_driver": "12.8",
        "nccl": "2.32.3",
        "driver": "570.86.10" if "Open" in text else "550.54.15",
    }


def test_one_gpu_exchanges_nothing() -> None:
    found = gpu_libraries(load=lambda _name: Library(), package=not_installed)
    assert "nccl" not in found


def test_packages_tell_what_a_library_does_not() -> None:
    found = gpu_libraries(replicas=2, load=nothing_open, package=lambda name: f"of {name}")
    assert found["nccl"] == "of nvidia-nccl-cu12"
    assert "cuda_driver" not in found


def test_a_library_that_fails_is_left_out(tmp_path: Path) -> None:
    class Failing(Library):
        def __init__(self) -> None:
            super().__init__()
            self.cudaRuntimeGetVersion = Function([0], returned=35)

    found = gpu_libraries(
        load=lambda _name: Failing(), package=not_installed, driver_file=tmp_path / "none"
    )
    assert set(found) == {"cudnn", "cublas", "cuda_driver"}


def test_this_machine_answers_or_is_silent() -> None:
    assert all(isinstance(version, str) for version in gpu_libraries(replicas=2).values())


def test_numerics_without_a_gpu_are_written_as_before() -> None:
    """Journals and digests of runs on processors outlive the field."""
    document = json.loads(NUMERICS.model_dump_json())
    assert "gpu" not in document
    read = EffectiveNumerics.model_validate_json(json.dumps(document))
    assert read == NUMERICS
    assert read.digest == NUMERICS.digest


@pytest.mark.parametrize("changed", [{"cudnn": "9.10.2"}, {"cudnn": "9.28.0", "driver": "1"}])
def test_another_library_is_another_numerics(changed: dict[str, str]) -> None:
    ours = NUMERICS.model_copy(update={"gpu": {"cudnn": "9.28.0"}})
    other = NUMERICS.model_copy(update={"gpu": changed})
    assert len({ours.digest, other.digest, NUMERICS.digest}) == 3
    assert ours.fields_that_differ(other) == ("gpu",)
    assert ours.fields_that_differ(NUMERICS) == ("gpu",)
    assert EffectiveNumerics.model_validate_json(ours.model_dump_json()) == ours
