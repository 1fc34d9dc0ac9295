"""Where a GPU would execute the step's bookkeeping, by TensorFlow's own registry of kernels.

The registry is that of the wheel, which holds the kernels of GPUs; nothing was measured on one.
"""

from collections.abc import Iterator
from typing import Any

import pytest
import tensorflow as tf
from tensorflow.python.framework import kernels

from harness.distributed import devices
from harness.distributed.devices import PACK_BYTES, reduction_options
from harness.models.build import build_model
from harness.recipes.smoke import SMOKE
from harness.training.state import create_state
from harness.training.step import build_step


@pytest.fixture(scope="module")
def operations() -> list[Any]:
    model = build_model(SMOKE.model, classes=10, seed=0)
    step = build_step(create_state(model, float16=False), SMOKE, tf.distribute.get_strategy())
    size = SMOKE.model.image_size
    traced = step.get_concrete_function(  # type: ignore[attr-defined]
        tf.TensorSpec((SMOKE.batch, size, size, 3)),
        tf.TensorSpec((SMOKE.batch,), tf.int32),
        tf.TensorSpec(()),
    )
    return [op for op in traced.graph.get_operations() if op.inputs or op.outputs]


def host_arguments(op: Any) -> set[str]:
    """Arguments that the GPU's kernel of an operation wants or leaves in the host's memory."""
    found = []
    for kernel in kernels.get_registered_kernels_for_op(op.type).kernel:
        fits = all(
            op.get_attr(c.name).as_datatype_enum in c.allowed_values.list.type
            for c in kernel.constraint
        )
        if kernel.device_type in {"GPU", "DEFAULT"} and fits:
            found.append(set(kernel.host_memory_arg))
    assert found, f"{op.type} has no kernel on a GPU"
    return min(found, key=len)


def behind(ops: list[Any], kind: str) -> Iterator[Any]:
    """Operations of a kind and all that takes their results."""
    reached = {op for op in ops if op.type == kind}
    for op in ops:
        if any(tensor.op in reached for tensor in op.inputs):
            reached.add(op)
    yield from reached


def test_the_count_of_right_images_stays_on_the_device(operations: list[Any]) -> None:
    counted = [op for op in behind(operations, "ArgMax") if op.type != "Identity"]
    assert {"ArgMax", "Equal", "Sum"} <= {op.type for op in counted}
    for op in counted:
        names = {"x", "y", "z", "input", "output"}
        assert not host_arguments(op) & names, f"{op.type} {op.name} works on the host"


def test_int32_would_have_worked_on_the_host() -> None:
    """The oracle tells the fault that was there."""
    graph = tf.Graph()
    with graph.as_default():
        equal = tf.raw_ops.Equal(x=tf.zeros([2], tf.int32), y=tf.zeros([2], tf.int32)).op
    assert host_arguments(equal) == {"x", "y", "z"}


def test_only_gpus_of_one_process_are_told_to_pack(monkeypatch: pytest.MonkeyPatch) -> None:
    assert reduction_options(tf.distribute.get_strategy()) is None

    class OnGpus:
        class extended:  # noqa: N801 - TensorFlow's own name
            worker_devices = ("/device:GPU:0", "/device:GPU:1")

    monkeypatch.setattr(devices.tf.distribute, "MirroredStrategy", OnGpus)
    options: Any = reduction_options(OnGpus())  # type: ignore[arg-type]
    assert options.bytes_per_pack == PACK_BYTES
