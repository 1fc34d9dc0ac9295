"""Pins: what must be fixed so that the same command gives the same bits.

Some of it binds when TensorFlow is imported (oneDNN, XLA's flags), some when
its runtime starts (threads), some at the first convolution on a GPU (cuDNN), the rest at
any time (op determinism, TF32).
"""

import os
import sys

from harness.errors import MachineError
from harness.measure.machine import usable_cores
from harness.numerics.keras_pins import check_keras, pin_keras
from harness.numerics.tensorflow_import import import_tensorflow, lower_log_level
from harness.recipes.recipe import Numerics, Precision

ONEDNN_VARIABLE = "TF_ENABLE_ONEDNN_OPTS"
CUDNN_PINS = {"TF_CUDNN_DETERMINISTIC": "1", "TF_CUDNN_USE_AUTOTUNE": "0"}
"""Under op determinism: convolutions by deterministic algorithms, none of them chosen by timing.

TensorFlow reads them once, before its first convolution on a GPU; without one they have no effect.
"""


def resolved(numerics: Numerics) -> Numerics:
    """`auto` thread counts replaced by this machine's; done once, when a run starts."""
    cores = usable_cores()
    intra = cores if numerics.intra_op_threads == "auto" else numerics.intra_op_threads
    inter = cores if numerics.inter_op_threads == "auto" else numerics.inter_op_threads
    return numerics.model_copy(update={"intra_op_threads": intra, "inter_op_threads": inter})


def set_import_flags(numerics: Numerics) -> None:
    """Set what binds at import; to be called before TensorFlow is imported.

    Raises:
        MachineError: TensorFlow is already imported with another setting.
    """
    wanted = "1" if numerics.onednn else "0"
    if "tensorflow" in sys.modules and os.environ.get(ONEDNN_VARIABLE) != wanted:
        raise MachineError(
            "TensorFlow was imported before oneDNN was "
            + ("switched on" if numerics.onednn else "switched off"),
            where=f"environment variable {ONEDNN_VARIABLE}",
            expected=f"{wanted} before the import",
            remedy=f"start the command with {ONEDNN_VARIABLE}={wanted}",
        )
    os.environ[ONEDNN_VARIABLE] = wanted
    pin_keras()
    lower_log_level()


def pin_runtime(numerics: Numerics, precision: Precision) -> None:
    """Pin threads, op determinism, cuDNN and TF32 in this process, and read back Keras' settings.

    Raises:
        MachineError: TensorFlow's runtime already runs with other thread counts,
            the environment asks cuDNN for what op determinism forbids, or Keras was
            imported with settings of its own.
    """
    if numerics.op_determinism:
        pin_cudnn()
    import_tensorflow()
    check_keras()
    import tensorflow as tf

    threading = tf.config.threading
    for kind, wanted in (
        ("intra", numerics.intra_op_threads),
        ("inter", numerics.inter_op_threads),
    ):
        if getattr(threading, f"get_{kind}_op_parallelism_threads")() == wanted:
            continue
        try:
            getattr(threading, f"set_{kind}_op_parallelism_threads")(wanted)
        except RuntimeError as error:
            raise MachineError(
                f"TensorFlow already runs and {kind}_op threads cannot become {wanted}",
                expected="thread counts are pinned before the first operation",
                remedy="start the command in a process of its own",
            ) from error
    tf.config.experimental.enable_tensor_float_32_execution(precision.tf32)
    if numerics.op_determinism:
        tf.config.experimental.enable_op_determinism()
    else:
        _allow_nondeterminism()


def pin_cudnn() -> None:
    """Set `CUDNN_PINS`; what the user has set stays.

    Raises:
        MachineError: a variable of them is set to something else.
    """
    for name, wanted in CUDNN_PINS.items():
        found = os.environ.setdefault(name, wanted)
        if _truth(found) != _truth(wanted):
            raise MachineError(
                f"{name}={found} and numerics.op_determinism contradict each other",
                where=f"environment variable {name}",
                expected=f"{wanted}, or the variable not set",
                remedy=f"unset {name}, or --set numerics.op_determinism=false",
            )


def _truth(text: str) -> bool:
    """As TensorFlow reads a boolean variable."""
    return text.strip().lower() in {"1", "true"}


def _allow_nondeterminism() -> None:
    from tensorflow.python.framework import config

    config.disable_op_determinism()
