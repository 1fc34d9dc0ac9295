"""Whether TensorFlow's wheel and the cuDNN beside it have code for a GPU."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from harness.measure.gpu_libraries import gpu_libraries

Capability = tuple[int, int]

CUDNN_DROPPED = (9, 11)
"""From here on cuDNN supports no GPU below `CUDNN_OLDEST`: NVIDIA's support matrices of 9.10 and
9.11."""
CUDNN_OLDEST: Capability = (7, 5)
OLDER_CUDNN = "pip install 'nvidia-cudnn-cu12>=9.3,<9.11', which is another numerics"
KEEP_COMPILED = (
    "set CUDA_CACHE_MAXSIZE=4294967296, so that what the driver compiles is kept for the next start"
)
ARCHITECTURE = re.compile(r"(sm|compute)_(\d+)(\d)[a-z]?")


@dataclass(frozen=True)
class Support:
    """What a GPU can expect.

    Attributes:
        state: "native"; "compiled" by the driver at the first start, for minutes; "none".
        words: Why.
        remedy: What helps; None where nothing needs to.
    """

    state: Literal["native", "compiled", "none"]
    words: str
    remedy: str | None = None


def support_of(capability: Capability, built_for: Sequence[str], cudnn: str | None) -> Support:
    """Compare a GPU with what the libraries have code for.

    Machine code runs on GPUs of its own generation from its own number on. `compute_`
    stands for machine code and PTX, as TensorFlow's configure.py says, and the driver
    compiles PTX for any newer GPU; `sm_` stands for machine code alone.

    Args:
        capability: Compute capability of the GPU.
        built_for: TensorFlow's own list, such as `sm_80` and `compute_90`.
        cudnn: Version of cuDNN, if known.
    """
    name = f"compute capability {capability[0]}.{capability[1]}"
    listed = ", ".join(built_for) or "nothing"
    matches = [ARCHITECTURE.fullmatch(text) for text in built_for]
    parts = [(m[1], (int(m[2]), int(m[3]))) for m in matches if m]
    native = any(have[0] == capability[0] and have <= capability for _, have in parts)
    portable = any(kind == "compute" and have <= capability for kind, have in parts)
    if not (native or portable):
        remedy = "use a GPU of one of these, or build TensorFlow for this one"
        return Support("none", f"{name}: this TensorFlow has code for {listed}", remedy)
    if cudnn and _number(cudnn) >= CUDNN_DROPPED and capability < CUDNN_OLDEST:
        oldest = f"{CUDNN_OLDEST[0]}.{CUDNN_OLDEST[1]}"
        words = f"{name}: cuDNN {cudnn} supports {oldest} and newer"
        return Support("none", words, OLDER_CUDNN)
    if native:
        return Support("native", f"{name} has code in this TensorFlow")
    words = f"{name} is newer than this TensorFlow's code ({listed}): the driver compiles it first"
    return Support("compiled", words, KEEP_COMPILED)


def support_of_gpus() -> tuple[Support, ...]:
    """Of each GPU that TensorFlow uses, with the wheel and the cuDNN that are here."""
    import tensorflow as tf

    built_for = tf.sysconfig.get_build_info().get("cuda_compute_capabilities", ())
    cudnn = gpu_libraries().get("cudnn")
    details = map(tf.config.experimental.get_device_details, tf.config.list_physical_devices("GPU"))
    found = (one.get("compute_capability") for one in details)
    return tuple(support_of(tuple(one), built_for, cudnn) for one in found if one)


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])
