"""Errors of TensorFlow that no image caused are told as what they are, wherever they happen."""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import pytest
import tensorflow as tf

from harness.cli.net import exit_code_of
from harness.data.dataset import Split
from harness.data.image_files.reading import translate_error
from harness.data.opening import open_dataset
from harness.distributed.asked import ONE_DEVICE
from harness.distributed.devices import open_devices
from harness.errors import DataError, MachineError, PreemptedError
from harness.evaluation.evaluate import Walk, prepared
from harness.recipes.protocol_catalogue import center_crop
from harness.recipes.smoke import SMOKE
from harness.sources.digits import write_digits
from harness.training import batches
from harness.training.batches import recipe_batches
from harness.training.device_errors import OTHER, explained, kind_of
from harness.training.early_end import device_errors

errors = tf.errors
GRAPH = "Graph execution error:\n\nDetected at node conv2_0/Conv2D defined at (recent call last):\n"
AT_NODE = "\n\t [[{{node conv2_0/Conv2D}}]] [Op:__inference_step_12345]"
ON_GPU = "on /job:localhost/replica:0/task:0/device:GPU:0 by allocator GPU_0_bfc"
OF_CUDA = "CUDA error: Failed to synchronize: CUDA_ERROR"

PLANTED: dict[str, tuple[type[tf.errors.OpError], str, str]] = {
    "memory of the device": (
        errors.ResourceExhaustedError,
        f"OOM when allocating tensor with shape[256,56,56,256] and type float {ON_GPU}",
        "memory",
    ),
    "memory, as cuDNN tells it": (
        errors.InternalError, "Failed to allocate scratch: CUDNN_STATUS_ALLOC_FAILED", "memory",
    ),
    "memory, as the driver tells it": (
        errors.InternalError, f"{OF_CUDA}_OUT_OF_MEMORY: out of memory", "memory",
    ),
    "illegal address": (
        errors.InternalError,
        f"{OF_CUDA}_ILLEGAL_ADDRESS: an illegal memory access was encountered",
        "device lost",
    ),
    "uncorrectable memory": (
        errors.InternalError, f"{OF_CUDA}_ECC_UNCORRECTABLE: uncorrectable", "device lost",
    ),
    "no kernel": (
        errors.NotFoundError,
        "No OpKernel was registered to support Op 'Sum' used by {{node Sum}} with these attrs",
        "no kernel",
    ),
    "no code for the card": (
        errors.InternalError,
        "'cuLaunchKernel' failed with 'CUDA_ERROR_NO_BINARY_FOR_GPU': no kernel image is available",
        "unsupported GPU",
    ),
    "no algorithm": (errors.NotFoundError, "No algorithm worked!  Error messages:", "no algorithm"),
    "cuDNN": (
        errors.UnknownError, "CUDNN_STATUS_EXECUTION_FAILED in cuda_dnn.cc(4369)", "no algorithm",
    ),
    "cuBLAS": (
        errors.InternalError,
        "Attempting to perform BLAS operation using StreamExecutor without BLAS support",
        "matrix product",
    ),
    "NCCL": (
        errors.InternalError,
        "NCCL: unhandled cuda error (run with NCCL_DEBUG=INFO for details)",
        "exchange",
    ),
    "a worker that is gone": (errors.UnavailableError, "Socket closed", "exchange"),
    "collective": (errors.InternalError, "Collective ops is aborted by: device 1", "exchange"),
    "XLA": (errors.InternalError, "libdevice not found at ./libdevice.10.bc", "compilation"),
    "determinism": (
        errors.UnimplementedError,
        "Deterministic GPU implementation of unsorted segment reduction op not available.",
        "determinism",
    ),
    "a start of CUDA": (
        errors.InternalError,
        "cudaSetDevice() on GPU:0 failed. Status: initialization error",
        "device lost",
    ),
    "anything else": (errors.UnknownError, "something that nobody has seen", "other"),
}  # fmt: skip


def planted(name: str) -> tf.errors.OpError:
    kind, message, _ = PLANTED[name]
    return kind(None, None, f"{GRAPH}{message}{AT_NODE}")


def check_told(error: MachineError, name: str) -> None:
    text = str(error)
    for word in ("disk", "image", "Graph execution error", "Detected at"):
        assert word not in text
    assert PLANTED[name][1][:40] in error.found
    assert error.expected
    assert error.remedy


@pytest.mark.parametrize("name", PLANTED)
def test_in_a_training_step(name: str, tmp_path: Path) -> None:
    assert kind_of(planted(name)).name == PLANTED[name][2]
    with pytest.raises(MachineError) as caught, device_errors(tmp_path):
        raise planted(name)
    check_told(caught.value, name)
    assert str(tmp_path) in str(caught.value.where)
    assert "operation conv2_0/Conv2D" in str(caught.value.where) or "node Sum" in str(caught.value)


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Split:
    folder = tmp_path_factory.mktemp("digits")
    write_digits(folder / "data")
    return open_dataset(folder / "data", manifests=folder / "manifests").val


@pytest.fixture(scope="module")
def walk(split: Split) -> Walk:
    image = keras.Input((None, None, 3))
    logits = keras.layers.Dense(10)(keras.layers.GlobalAveragePooling2D()(image))
    return prepared(keras.Model(image, logits), split, (center_crop(36, 32),), limit=4)


@pytest.mark.parametrize("name", PLANTED)
def test_in_an_evaluation(name: str, walk: Walk) -> None:
    class Forward:
        def get_concrete_function(self, *_: Any) -> None:
            return None

        def __call__(self, *_: Any) -> Any:
            raise planted(name)

    with pytest.raises(MachineError) as caught:
        replace(walk, forward=Forward()).evaluate(weights_source="run 7")
    check_told(caught.value, name)
    assert "run 7" in str(caught.value.where)


@pytest.mark.parametrize("name", PLANTED)
def test_in_any_other_place_of_any_command(
    name: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Such as the probe of a peak, or `harness classify`; what nobody knows stays a defect."""

    def command() -> None:
        raise planted(name)

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # for a defect's trace
    known = PLANTED[name][2] != "other"
    assert exit_code_of(command) == (2 if known else 70)
    told = capsys.readouterr().err
    assert ("a defect of the harness" not in told) == known
    if known:
        assert PLANTED[name][1][:40] in told
        assert "what to do: " in told
        assert not {"disk", "image"} & set(told.lower().split())


def test_a_real_lack_of_memory_names_its_operation(tmp_path: Path) -> None:
    """More than the address space holds, so no machine can hand it out."""

    @tf.function
    def too_large(size: tf.Tensor) -> tf.Tensor:
        return tf.random.stateless_uniform([size], (0, 0), name="far_too_large")[0]

    with (
        pytest.raises(MachineError, match="the machine ran out of memory") as caught,
        device_errors(tmp_path),
    ):
        too_large(tf.constant(1 << 46, tf.int64))
    assert "far_too_large" in str(caught.value.where)


def test_the_loss_of_a_worker_is_told_before_the_error_that_it_caused(tmp_path: Path) -> None:
    def lost() -> None:
        raise PreemptedError("worker 1 was lost")

    with pytest.raises(PreemptedError), device_errors(tmp_path, lost):
        raise planted("collective")
    with pytest.raises(MachineError, match="out of memory"), device_errors(tmp_path, lost):
        raise planted("memory of the device")


@pytest.mark.parametrize(
    ("kind", "message", "told"),
    [
        (errors.NotFoundError, "/data/train/a.jpg; No such file or directory", DataError),
        (errors.ResourceExhaustedError, "/data/train/a.jpg; Too many open files", DataError),
        (errors.ResourceExhaustedError, "OOM when allocating tensor with shape[9]", MachineError),
        (errors.InternalError, "CUDA error: CUDA_ERROR_ILLEGAL_ADDRESS", MachineError),
    ],
    ids=["file", "open files", "memory", "device"],
)
def test_the_input_tells_its_own_errors_apart(
    kind: Callable[..., tf.errors.OpError],
    message: str,
    told: type[Exception],
    split: Split,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(*_args: Any) -> Any:
        raise kind(None, None, message)
        yield

    monkeypatch.setattr(batches, "replica_batches", fails)
    devices = open_devices(ONE_DEVICE, None)
    with pytest.raises(told) as caught:
        next(recipe_batches(SMOKE, split, devices, seed=1, first=0, end=1))
    assert isinstance(caught.value, DataError) == ("/data/train/a.jpg" in str(caught.value))


def test_an_open_file_too_many_is_named() -> None:
    error = errors.ResourceExhaustedError(None, None, "/data/a.jpg; Too many open files")
    assert translate_error(error).where == "/data/a.jpg"


def test_a_message_without_end_is_cut() -> None:
    error = errors.UnknownError(None, None, "x" * 10_000)
    assert kind_of(error) is OTHER
    assert len(explained(error, None).found) < 500
