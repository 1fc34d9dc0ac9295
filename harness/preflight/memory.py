"""How much memory a training step takes, from counts alone, before one is made.

Calibrated on a processor with ResNet-50 at 224 px (peak resident memory of a process, in
MB): v2 3,026 at batch 8 and 4,670 at 32, v1 4,793 at 32, v2 in bfloat16 3,721 at 32. One GPU
(H200, float32, v2, batch 128) had 11.4 GB in use at most, where this gives 11.1.
"""

import psutil

from harness.errors import MachineError
from harness.measure.cgroups import cgroup_free_memory_bytes
from harness.recipes.recipe import Recipe

GIB = 1 << 30
PROCESS_BYTES = 900e6
"""TensorFlow and the harness without a step."""
BYTES_PER_PARAMETER = 64
"""Weights, slots, gradients, fingerprints and what the compiled step works in."""
KEPT_SHARE = {"float32": 0.8, "bfloat16": 0.45, "float16": 0.45}
"""Of the convolutions' inputs and outputs, counted as float32, what stays until the gradients."""
SURE = 0.85
"""The estimate may be so much too high."""


def training_bytes(activation_bytes: int, parameters: int, batch: int, compute: str) -> float:
    """Memory of a process that trains on a processor, or of the GPU that it trains on.

    Args:
        activation_bytes: Inputs and outputs of the convolutions of one image, as float32.
        parameters: Of the network.
        batch: Images of this process.
        compute: Type of the arithmetic.
    """
    fixed = PROCESS_BYTES + BYTES_PER_PARAMETER * parameters
    return fixed + KEPT_SHARE[compute] * activation_bytes * batch


def free_memory_bytes() -> int:
    """Memory of the host that this process can still get."""
    free, left = int(psutil.virtual_memory().available), cgroup_free_memory_bytes()
    return free if left is None else min(free, left)


def check_memory(
    needed_bytes: float, free_bytes: float, recipe: Recipe, batch: int, sharing: int = 1
) -> str:
    """What is needed, for a person; refused where the system would end the process for it.

    Args:
        needed_bytes: Of one process.
        free_bytes: For all that share it.
        recipe: What is trained.
        batch: Images of one process.
        sharing: Processes of the job that share the memory.

    Raises:
        MachineError: it does not fit.
    """
    needed_bytes *= sharing
    each = f" in each of {sharing} workers here" if sharing > 1 else ""
    told = f"{needed_bytes / GIB:.1f} GiB of memory for a step of {batch} images{each} (estimated)"
    if SURE * needed_bytes > free_bytes:
        raise MachineError(
            f"{free_bytes / GIB:.1f} GiB of memory are free",
            expected=f"about {told} of {recipe.name}",
            remedy="end other work, use a machine or GPU with more memory, or share the batch out "
            "with --devices or --workers; a smaller --set batch=N is another recipe",
        )
    return told
