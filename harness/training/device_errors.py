"""What an error of TensorFlow means that no input caused: memory, device, kernel, exchange.

TensorFlow raises most of them as `InternalError` or `UnknownError`, so the text decides.
The signs are the words of TensorFlow 2.21, CUDA 12, cuDNN 9 and NCCL 2; the order
counts, because a lack of memory shows itself in all of those libraries.
"""

import re
from dataclasses import dataclass

import tensorflow as tf

from harness.errors import MachineError

LONGEST_WORDS = 300
CONTINUES = "the same command resumes from the last checkpoint"


@dataclass(frozen=True)
class Kind:
    """One kind of error.

    Attributes:
        name: Short, for tests and reports.
        signs: Regular expression over the message, without regard to case.
        found: What happened, as the beginning of a sentence.
        expected: What was needed.
        remedy: What the user can do.
        types: Error classes that are of this kind whatever they say.
    """

    name: str
    signs: str
    found: str
    expected: str
    remedy: str
    types: tuple[type[tf.errors.OpError], ...] = ()


MEMORY = Kind(
    "memory",
    r"OOM when allocating|out of memory|OUT_OF_MEMORY|ALLOC_FAILED|failed to allocate",
    "the device ran out of memory",
    "memory for the recipe's batch",
    "end what else uses the device (nvidia-smi shows it), or use one with more memory; a smaller "
    f"--set batch=N is another recipe; {CONTINUES}",
    (tf.errors.ResourceExhaustedError,),
)
KINDS = (
    MEMORY,
    Kind(
        "exchange",
        r"nccl|collective|coordination service|heartbeat|RemoteCall|RPC|grpc",
        "GPUs or workers could not exchange their gradients",
        "all of them to be reachable until the end",
        "see the other workers' messages; NCCL_DEBUG=WARN makes NCCL tell more; " + CONTINUES,
        (
            tf.errors.UnavailableError,
            tf.errors.AbortedError,
            tf.errors.DeadlineExceededError,
            tf.errors.CancelledError,
        ),
    ),
    Kind(
        "unsupported GPU",
        r"no kernel image|NO_BINARY_FOR_GPU|INVALID_PTX|UNSUPPORTED_PTX|unsupported toolchain|"
        r"ARCH_MISMATCH",
        "this TensorFlow or one of its libraries has no code for this GPU",
        "a compute capability that both TensorFlow's wheel and cuDNN support",
        "run `harness doctor`, which compares them; use another GPU or other versions",
    ),
    Kind(
        "determinism",
        r"nondetermin|deterministic|determinism",
        "an operation has no deterministic form on this device",
        "deterministic operations, as numerics.op_determinism asks for",
        "report it with the output of `harness doctor`; --set numerics.op_determinism=false trains "
        "without the promise of equal bits",
    ),
    Kind(
        "no kernel",
        r"No OpKernel was registered|No registered .* OpKernel|Could not find device for node|"
        r"Cannot assign a device",
        "an operation cannot be executed on this device",
        "a kernel for each operation of the step",
        "report it with the output of `harness doctor`; --set precision.compute=float32 needs the "
        "fewest kernels and is another recipe",
    ),
    Kind(
        "compilation",
        r"libdevice|ptxas|nvlink|nvJitLink|XLA compilation|jit_compile|hlo|StableHLO",
        "XLA could not compile for this device",
        "CUDA's compiler files (libdevice, ptxas) beside CUDA's libraries",
        "pip install -r requirements-gpu.lock, which has them in nvidia-cuda-nvcc-cu12; or set "
        "XLA_FLAGS=--xla_gpu_cuda_data_dir=FOLDER to a CUDA installation",
    ),
    Kind(
        "no algorithm",
        r"No algorithm worked|no valid engine|convolution algorithm|CUDNN_STATUS|cudnn|DNN library|"
        r"Failed to get .*algorithm|autotun",
        "cuDNN has no algorithm for a convolution here, or could not start",
        "cuDNN 9 that fits TensorFlow, the GPU and the driver, and memory to work in",
        "run `harness doctor`; end what else uses the GPU, since cuDNN also says so when memory is "
        f"short; then {CONTINUES}",
    ),
    Kind(
        "matrix product",
        r"CUBLAS|BLAS",
        "cuBLAS could not start or failed",
        "cuBLAS 12 that fits the driver, and memory to work in",
        "run `harness doctor`; end what else uses the GPU, since cuBLAS also says so when memory "
        f"is short; then {CONTINUES}",
    ),
    Kind(
        "device lost",
        r"CUDA_ERROR|CUDA error|illegal (memory access|address|instruction)|uncorrectable|ECC|"
        r"fallen off the bus|unspecified launch failure|device-side assert|GPU is lost|hardware|"
        r"failed to synchronize|cuCtx|cuStream|cuEvent|cuLaunch|cuda[a-z]+\(\)|"
        r"CUDA runtime implicit initialization",
        "the GPU failed or was lost",
        "a GPU that computes until the end",
        "look for Xid lines in the system's log (dmesg) and for errors in nvidia-smi -q; reset or "
        f"change the GPU; then {CONTINUES}",
    ),
)
OTHER = Kind(
    "other",
    "",
    "TensorFlow could not execute the step",
    "a step without errors",
    f"report it with the output of `harness doctor`; {CONTINUES}",
)
OF_DEVICE = re.compile(r"CUDA_ERROR|CUDA error|CUDNN_STATUS|CUBLAS_STATUS|allocator GPU")
NODE = re.compile(r"\{\{node ([^}]+)\}\}|Detected at node ['\"]?([^'\" \n]+)")
LEADS = re.compile(r"^(Graph execution error:|Detected at node|File |\[\[|Hint:|\d+ (root|succ))")


def kind_of(error: tf.errors.OpError) -> Kind:
    """Which kind an error is; `OTHER` where the text does not show it."""
    message = str(error)
    by_type = [kind for kind in KINDS if kind.types and isinstance(error, kind.types)]
    by_text = (kind for kind in KINDS if re.search(kind.signs, message, re.IGNORECASE))
    return MEMORY if MEMORY in by_type else next(by_text, by_type[0] if by_type else OTHER)


def is_of_device(error: tf.errors.OpError) -> bool:
    """Whether an error that reached the input is the device's, or of memory, anyway.

    TensorFlow also calls too many open files an exhausted resource.
    """
    message = str(error)
    short = isinstance(error, tf.errors.ResourceExhaustedError)
    memory = short and re.search(MEMORY.signs, message, re.IGNORECASE)
    return bool(memory or OF_DEVICE.search(message))


def explained(error: tf.errors.OpError, where: str | None) -> MachineError:
    """The error with what happened, where, and what to do.

    Args:
        error: Of a step or an evaluation; those of the input are raised by `translate_error`.
        where: The run's folder or whatever else was being done.
    """
    kind, message = kind_of(error), str(error)
    found = kind.found
    if kind is MEMORY and re.search(r"device:CPU|allocator (cpu|mklcpu)", message):
        found = "the machine ran out of memory"
    node = NODE.search(message)
    operation = f"operation {node.group(1) or node.group(2)}" if node else None
    return MachineError(
        f"{found}: {_telling(message, kind)} ({type(error).__name__})",
        where=", ".join(part for part in (where, operation) if part) or None,
        expected=kind.expected,
        remedy=kind.remedy,
    )


def _telling(message: str, kind: Kind) -> str:
    """The line of a message that says what happened; the first line seldom does."""
    lines = [line.strip() for line in message.splitlines()]
    lines = [line for line in lines if line and not LEADS.match(line)] or [message.strip()]
    signs = [line for line in lines if kind.signs and re.search(kind.signs, line, re.IGNORECASE)]
    # CUDA's word for a kernel's code would make a reader look at the data.
    words = (signs or lines)[0].replace("kernel image", "kernel binary")
    return words if len(words) <= LONGEST_WORDS else f"{words[:LONGEST_WORDS]} ..."
