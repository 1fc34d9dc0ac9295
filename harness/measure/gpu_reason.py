"""Why TensorFlow does not use a GPU that the system has, in its own words, and what helps.

TensorFlow writes the reason to standard error while it is imported, below the level
that the harness shows, and never again. So a process of its own is asked, which costs
some seconds: only where a GPU is there and not seen.
"""

import os
import re
import subprocess
from dataclasses import dataclass

from harness.system.children import run_python

ASK_TIMEOUT_S = 120
LOUD = {"TF_CPP_MIN_LOG_LEVEL": "0", "TF_CPP_VMODULE": "dso_loader=3"}
"""Shows warnings, and the name of each library that cannot be opened."""
LOG_PREFIX = re.compile(r"^(?:[IWEF]\d{4} [\d:.]+ +\d+ \S+\] |\d{4}-\d\d-\d\d \S+ [IWEF] \S+\] )")
TELLING = re.compile(
    r"cuda|cudnn|gpu|nvml|nvidia|dynamic library|cuinit|driver|compute capability", re.IGNORECASE
)
LIBRARY = re.compile(r"Could not load dynamic library '([^']+)'")
UNTELLING = re.compile(r"rebuild TensorFlow|TF-TRT|already been registered", re.IGNORECASE)

INSTALL = "install CUDA's libraries: pip install -r requirements-gpu.lock"
UPDATE_DRIVER = "update the NVIDIA driver to 525 or newer (CUDA 12), then restart the machine"
RELOAD_DRIVER = (
    "the driver was updated and not loaded since: restart the machine, or reload the kernel module"
)
GIVE_CONTAINER_THE_GPU = (
    "load the NVIDIA driver; in a container start it with the GPU (docker run --gpus all, "
    "apptainer --nv) and its compute capability (NVIDIA_DRIVER_CAPABILITIES=compute,utility)"
)
FREE_THE_GPU = "end the process that holds the GPU, or leave exclusive mode (nvidia-smi -c 0)"
LOOK_AT_ACCESS = "check CUDA_VISIBLE_DEVICES and whether this user may open /dev/nvidia*"
OTHER_CARD = "use a newer GPU, or a TensorFlow that supports this one"

_REMEDIES = (
    ("Driver/library version mismatch", RELOAD_DRIVER),
    ("driver mismatch", RELOAD_DRIVER),
    ("driver version is insufficient", UPDATE_DRIVER),
    ("forward compatibility", UPDATE_DRIVER),
    ("minimum required Cuda capability", OTHER_CARD),
    ("all CUDA-capable devices are busy", FREE_THE_GPU),
    ("exclusive", FREE_THE_GPU),
    ("no CUDA-capable device", LOOK_AT_ACCESS),
    ("couldn't communicate with the NVIDIA driver", GIVE_CONTAINER_THE_GPU),
    ("Could not find cuda drivers", GIVE_CONTAINER_THE_GPU),
    ("Cannot dlopen some GPU libraries", INSTALL),
    ("Could not load dynamic library", INSTALL),
)
"""What a message holds, and what then helps; the first that fits counts."""


@dataclass(frozen=True)
class Reason:
    """Why a GPU is not used.

    Attributes:
        words: What TensorFlow and the driver said, one line.
        remedy: What the user can do.
    """

    words: str
    remedy: str


def reason_of(tensorflow: str, driver_error: str | None = None) -> Reason:
    """The reason in what TensorFlow wrote to standard error, and in what `nvidia-smi` said."""
    lines = [LOG_PREFIX.sub("", line).strip() for line in tensorflow.splitlines()]
    telling = [line for line in lines if TELLING.search(line) and not UNTELLING.search(line)]
    missing = sorted({name for line in telling for name in LIBRARY.findall(line)})
    words = [f"nvidia-smi: {driver_error}"] if driver_error else []
    if missing:
        words.append(f"libraries that cannot be opened: {', '.join(missing)}")
    else:
        words += [line for line in dict.fromkeys(telling) if "Skipping registering" not in line]
    everything = f"{driver_error or ''}\n{tensorflow}"
    remedy = next((way for sign, way in _REMEDIES if sign.lower() in everything.lower()), INSTALL)
    return Reason("; ".join(words) or "TensorFlow gives no reason", remedy)


def ask_tensorflow(driver_error: str | None = None) -> Reason:
    """Import TensorFlow in another process and tell why it sees no GPU."""
    try:
        done = run_python(
            "harness.measure.gpu_reason", environ={**os.environ, **LOUD}, timeout_s=ASK_TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return reason_of(str(error), driver_error)
    return reason_of(done.stderr, driver_error)


def main() -> None:
    """Have TensorFlow look for GPUs; it writes the reason to standard error."""
    import tensorflow as tf

    tf.config.list_physical_devices("GPU")


if __name__ == "__main__":
    main()
