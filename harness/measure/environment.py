"""The environment of a run: everything that can change bits or speed, as plain data.

It is written beside each run. Names of users, hosts and home folders and the
values of secrets are left out.
"""

import os
import platform
import re
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import harness
from harness.measure import machine
from harness.measure.gpu_libraries import gpu_libraries
from harness.recipes.recipe import Numerics, Precision
from harness.record.schema import EffectiveNumerics
from harness.system.git import git
from harness.system.secrets import SECRET_NAME, redacted

VARIABLE_PREFIXES = (
    "TF_", "TF2_", "XLA_", "CUDA_", "CUDNN_", "CUBLAS", "NVIDIA_", "NCCL_", "OMP_", "MKL_", "KMP_",
    "DNNL_", "ONEDNN_", "MALLOC_", "GLIBC_", "KERAS_", "LD_PRELOAD",
)  # fmt: skip
"""Environment variables that are recorded."""

GPU_PREFIXES = ("TF_CUDNN_", "CUDNN_", "CUBLAS", "NVIDIA_TF32")
"""Environment variables that can change bits on a GPU alone."""

EXCHANGE_PREFIXES = ("NCCL_",)
"""Those that can change them where several GPUs add up their gradients."""

NUMERICS_PREFIXES = ("TF_", "XLA_", "DNNL_", "ONEDNN_", "OMP_", *GPU_PREFIXES, *EXCHANGE_PREFIXES)
"""Environment variables that can change bits."""

WITHOUT_EFFECT_ON_BITS = frozenset(
    {
        "TF_CONFIG",  # addresses of workers; their number is a field of its own
        "TF_CPP_MIN_LOG_LEVEL",
        "TF_CPP_MAX_VLOG_LEVEL",
        "TF_ENABLE_ONEDNN_OPTS",  # read back as `onednn`
        "TF_FORCE_GPU_ALLOW_GROWTH",
        "TF_GPU_ALLOCATOR",
        "NCCL_ASYNC_ERROR_HANDLING",
        "NCCL_DEBUG",
        "NCCL_DEBUG_FILE",
        "NCCL_DEBUG_SUBSYS",
        "NCCL_SOCKET_IFNAME",
    }
)
FOREIGN_PREFIXES = ("TF_CLI_", "TF_VAR_", "TF_PLUGIN_", "TF_LOG", "TF_DATA_DIR", "TF_WORKSPACE")
"""Variables of another program that shares the prefix TF_."""

HOME = re.compile(r"/(?:home|Users)/[^/:\s]+")


def capture_environment() -> dict[str, Any]:
    """Machine, system, packages, TensorFlow build and variables; JSON-like."""
    code = git_state()
    return {
        "harness": {
            "version": harness.__version__,
            "git_commit": code.commit,
            "git_dirty": code.dirty,
            **({"git_problem": without_home(code.problem)} if code.problem else {}),
        },
        "cpu": machine.cpu(),
        "memory": machine.memory(),
        "system": machine.system(),
        "gpus": list(machine.gpus()),
        "tensorflow": _tensorflow_build(),
        "packages": installed_packages(),
        "variables": recorded_variables(dict(os.environ)),
        "load_average_1min": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    }


def effective_numerics(
    numerics: Numerics, precision: Precision, *, workers: int = 1, replicas: int = 1
) -> EffectiveNumerics:
    """How this process executes the mathematics, read back from TensorFlow.

    To be called after the process is pinned. XLA is a property of the compiled
    step and is taken from the recipe; a process-wide XLA switch counts as well.

    Args:
        numerics: What the recipe asks for.
        precision: Arithmetic of the step.
        workers: Processes that take part.
        replicas: Devices over all of them.
    """
    import keras
    import numpy as np
    import tensorflow as tf
    from tensorflow.python.framework import config

    threading = tf.config.threading
    cores = machine.scheduled_cores()
    on_gpu = bool(tf.config.get_visible_devices("GPU"))
    return EffectiveNumerics(
        op_determinism=bool(config.is_op_determinism_enabled()),
        xla=numerics.xla or bool(tf.config.optimizer.get_jit()),
        onednn=onednn_in_force(),
        tf32=bool(tf.config.experimental.tensor_float_32_execution_enabled()),
        compute=precision.compute,
        # 0 is TensorFlow's word for one thread per core.
        intra_op_threads=threading.get_intra_op_parallelism_threads() or cores,
        inter_op_threads=threading.get_inter_op_parallelism_threads() or cores,
        devices=_devices(),
        workers=workers,
        cpu=f"{machine.cpu_model()}: {' '.join(machine.instruction_sets())}",
        versions={
            "python": platform.python_version(),
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            "numpy": np.__version__,
            "harness": harness.__version__,
        },
        flags=numerics_flags(dict(os.environ), gpus=replicas if on_gpu else 0),
        gpu=gpu_libraries(replicas=replicas) if on_gpu else {},
    )


def onednn_in_force() -> bool:
    """Whether TensorFlow dispatches to oneDNN kernels in this process.

    Some processors have it on without the environment variable, so the library
    is asked and not the variable.
    """
    from tensorflow.python.util import _pywrap_util_port

    return bool(_pywrap_util_port.IsMklEnabled())


def _devices() -> tuple[str, ...]:
    import tensorflow as tf

    found = [
        tf.config.experimental.get_device_details(device)
        for device in tf.config.get_visible_devices("GPU")
    ]
    if not found:
        return (f"CPU {machine.cpu_model()}",)
    return tuple(
        f"GPU {d.get('device_name', 'unknown')} cc{d.get('compute_capability', '?')}" for d in found
    )


def _tensorflow_build() -> dict[str, Any]:
    import tensorflow as tf

    return {
        "version": tf.__version__,
        "git_version": tf.version.GIT_VERSION,
        "compiler": tf.version.COMPILER_VERSION,
        "onednn": onednn_in_force(),
        "devices": [device.device_type for device in tf.config.get_visible_devices()],
        **{f"build_{key}": value for key, value in tf.sysconfig.get_build_info().items()},
    }


def installed_packages() -> dict[str, str]:
    """Every installed distribution with its version, sorted by name."""
    found = ((d.metadata["Name"], d.version) for d in metadata.distributions())
    # A folder left by a broken uninstallation has no name.
    return dict(sorted((n.lower().replace("_", "-"), v) for n, v in found if n))


def recorded_variables(environ: dict[str, str]) -> dict[str, str]:
    """The variables that can change bits or speed; without secrets and home folders."""
    return {
        name: without_home(redacted(value))
        for name, value in sorted(environ.items())
        if name.startswith(VARIABLE_PREFIXES)
        and not name.startswith(FOREIGN_PREFIXES)
        and name not in {"TF_CONFIG", "KERAS_HOME"}
        and not SECRET_NAME.search(name)
    }


def numerics_flags(environ: dict[str, str], *, gpus: int) -> dict[str, str]:
    """The variables that can change bits and have no field of their own.

    Args:
        environ: The process's environment.
        gpus: How many GPUs compute; without one its variables change nothing, and with
            one alone nothing is exchanged.
    """
    idle = (() if gpus else GPU_PREFIXES) + (() if gpus > 1 else EXCHANGE_PREFIXES)
    return {
        name: value
        for name, value in recorded_variables(environ).items()
        if name.startswith(NUMERICS_PREFIXES)
        and name not in WITHOUT_EFFECT_ON_BITS
        and not (idle and name.startswith(idle))
    }


def without_home(text: str) -> str:
    """`text` with home folders replaced by `~`."""
    try:
        home = str(Path.home())
    except RuntimeError:  # a user whom the system does not know, with no HOME set
        home = "/"
    replaced = text.replace(home, "~") if len(home) > 1 else text
    return HOME.sub("~", replaced)


class GitState(NamedTuple):
    """What git reports about a checkout.

    Attributes:
        commit: None outside a checkout, or where git does not report it.
        dirty: Whether code or baselines differ from it; None as before.
        problem: Why git does not report it; empty otherwise.
    """

    commit: str | None
    dirty: bool | None
    problem: str = ""


def git_state() -> GitState:
    """Of the checkout that this package runs from; nothing where it runs from none of its own."""
    return git_state_of(Path(harness.__file__).resolve().parents[1])


def git_state_of(root: Path) -> GitState:
    """Of the checkout at `root`, whatever repository the environment names."""
    if not (root / ".git").exists():
        return GitState(None, None)
    commit = git(root, "rev-parse", "HEAD")
    if commit.output is None:
        return GitState(None, None, commit.problem)
    changes = git(
        root, "status", "--porcelain", "--untracked-files=normal", "--", "harness", "baselines"
    )
    dirty = None if changes.output is None else bool(changes.output)
    return GitState(commit.output, dirty, changes.problem)
