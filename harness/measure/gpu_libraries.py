"""Versions of what computes on a GPU, as loaded in this process: cuDNN, cuBLAS, CUDA, NCCL, driver.

Another version may choose another algorithm, so they are part of the numerics. They are
asked of the libraries themselves: the packages installed need not be those that
TensorFlow opened.
"""

import ctypes
import os
import re
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

from harness.measure.machine import read_text

DRIVER_FILE = Path("/proc/driver/nvidia/version")
DRIVER = re.compile(r"Kernel Module(?: for \S+)?\s+(\d+(?:\.\d+)+)")
PACKAGES = {
    "cudnn": "nvidia-cudnn-cu12",
    "cublas": "nvidia-cublas-cu12",
    "cuda_runtime": "nvidia-cuda-runtime-cu12",
    "nccl": "nvidia-nccl-cu12",
}
"""Packages that tell a version where the library itself cannot be asked."""

Load = Callable[[str], Any]
Package = Callable[[str], str]


def gpu_libraries(
    *,
    replicas: int = 1,
    load: Load | None = None,
    package: Package = metadata.version,
    driver_file: Path = DRIVER_FILE,
) -> dict[str, str]:
    """Version by name; unknown ones are left out.

    Args:
        replicas: With one, NCCL computes nothing and is left out.
        load: From a library's file name to it as `ctypes` has it; None takes those
            that this process has opened.
        package: From a distribution's name to its version.
        driver_file: The kernel module's own words.
    """
    opened = load or _opened
    asked: dict[str, Callable[[], str | None]] = {
        "cudnn": lambda: _cudnn(opened("libcudnn.so.9")),
        "cublas": lambda: _cublas(opened("libcublas.so.12")),
        "cuda_runtime": lambda: _cuda(opened("libcudart.so.12"), "cudaRuntimeGetVersion"),
        "cuda_driver": lambda: _cuda(opened("libcuda.so.1"), "cuDriverGetVersion"),
    }
    if replicas > 1:
        asked["nccl"] = lambda: _nccl(opened("libnccl.so.2"))
    found = {name: _tried(ask) or _installed(name, package) for name, ask in asked.items()}
    found["driver"] = driver_version(driver_file)
    return {name: version for name, version in found.items() if version}


def driver_version(driver_file: Path = DRIVER_FILE) -> str | None:
    """The kernel module's version."""
    match = DRIVER.search(read_text(driver_file) or "")
    return match[1] if match else None


def _opened(name: str) -> Any:
    """A library that this process has open already; `OSError` otherwise."""
    return ctypes.CDLL(name, mode=os.RTLD_NOLOAD | os.RTLD_LAZY)


def _tried(ask: Callable[[], str | None]) -> str | None:
    try:
        return ask()
    except (OSError, AttributeError):
        return None


def _installed(name: str, package: Package) -> str | None:
    try:
        return package(PACKAGES[name])
    except (KeyError, metadata.PackageNotFoundError):
        return None


def _cudnn(library: Any) -> str:
    library.cudnnGetVersion.restype = ctypes.c_size_t
    number = int(library.cudnnGetVersion())
    return f"{number // 10_000}.{number // 100 % 100}.{number % 100}"


def _cublas(library: Any) -> str:
    parts = [_filled(library.cublasGetProperty, part) for part in range(3)]
    return ".".join(str(part) for part in parts)


def _cuda(library: Any, function: str) -> str:
    number = _filled(getattr(library, function))
    return f"{number // 1000}.{number % 1000 // 10}"


def _nccl(library: Any) -> str:
    number = _filled(library.ncclGetVersion)
    return f"{number // 10_000}.{number // 100 % 100}.{number % 100}"


def _filled(function: Any, *arguments: int) -> int:
    """What a function writes to the integer that is its last argument."""
    value = ctypes.c_int()
    if function(*arguments, ctypes.byref(value)) != 0:
        raise OSError("the library does not tell its version")
    return value.value
