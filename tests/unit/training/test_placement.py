"""Where a GPU would execute the step, by TensorFlow's own registry of kernels.

The registry is that of the wheel, which holds the kernels of GPUs; nothing was measured on one.
"""

import json
from collections.abc import Iterable
from typing import Any

import pytest
import tensorflow as tf
from tensorflow.python.framework import kernels

from harness.distributed import devices
from harness.distributed.devices import PACK_BYTES, reduction_options
from harness.models.build import build_model
from harness.recipes.recipe import Recipe
from harness.recipes.smoke import SMOKE
from harness.training.state import create_state
from harness.training.step import build_step

CALLS = {"PartitionedCall", "StatefulPartitionedCall"}
"""Of functions that XLA compiles: one program on the device."""


def recipe(compute: str) -> Recipe:
    document = SMOKE.model_dump(mode="json") | {"precision": {"compute": compute}}
    return Recipe.model_validate_json(json.dumps(document))


def operations(compute: str, label: tf.DType = tf.int64) -> list[Any]:
    """Of a step as it is built for a GPU: Keras' own 1x1 convolutions."""
    chosen = recipe(compute)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tf.config, "get_visible_devices", lambda _kind: ["GPU"])
        model = build_model(chosen.model, classes=10, seed=0, precision=chosen.precision)
    state = create_state(model, float16=compute == "float16")
    step: Any = build_step(state, chosen, tf.distribute.get_strategy())
    size = chosen.model.image_size
    image = tf.TensorSpec((chosen.batch, size, size, 3))
    traced = step.get_concrete_function(
        image, tf.TensorSpec((chosen.batch,), label), tf.TensorSpec(())
    )
    found: list[Any] = traced.graph.get_operations()
    return found


def named(op: Any, arguments: Iterable[Any]) -> list[str]:
    """The argument's name for each input or output tensor."""
    found: list[str] = []
    for argument in arguments:
        count = op.get_attr(argument.number_attr) if argument.number_attr else 1
        types = op.get_attr(argument.type_list_attr) if argument.type_list_attr else ()
        found += [argument.name] * (len(types) if argument.type_list_attr else count)
    return found


def host_arguments(op: Any) -> set[str] | None:
    """Arguments that the GPU's kernel wants or leaves in the host's memory; None without kernel."""
    if op.type in CALLS:
        return set()
    if op.type == "Placeholder":
        return {"output"} if op.outputs[0].dtype == tf.int32 else set()
    fitting = [
        set(kernel.host_memory_arg)
        for kernel in kernels.get_registered_kernels_for_op(op.type).kernel
        if kernel.device_type in {"GPU", "DEFAULT"}
        and all(
            op.get_attr(c.name).as_datatype_enum in c.allowed_values.list.type
            for c in kernel.constraint
        )
    ]
    return min(fitting, key=len) if fitting else None


def waits(ops: list[Any]) -> set[tuple[str, str]]:
    """Pairs of operations: the second, on the host, needs what the first leaves on the device."""
    on_host, found = set(), set()
    for op in ops:
        host, inputs = host_arguments(op), named(op, op.op_def.input_arg)
        outputs = named(op, op.op_def.output_arg)
        host = {*inputs, *outputs} if host is None else host
        constant = op.type == "Const"
        on_host |= {
            t.ref() for t, n in zip(op.outputs, outputs, strict=True) if constant or n in host
        }
        found |= {
            (tensor.op.type, op.type)
            for tensor, name in zip(op.inputs, inputs, strict=True)
            if name in host and tensor.ref() not in on_host and tensor.dtype != tf.resource
        }
    return found


@pytest.mark.parametrize("compute", ["float32", "bfloat16", "float16"])
def test_every_operation_has_a_kernel_and_the_host_waits_for_none(compute: str) -> None:
    ops = operations(compute)
    assert {"Conv2D", "ArgMax", "ResourceApplyKerasMomentum"} <= {op.type for op in ops}
    assert {op.type for op in ops if host_arguments(op) is None} == set()
    assert waits(ops) == set()


def test_the_oracle_tells_the_faults_that_were_there() -> None:
    """An int32 comparison, a branch, a uint64 sum outside XLA."""
    graph = tf.Graph()
    with graph.as_default():
        logits, label = (tf.compat.v1.placeholder(t, [2]) for t in (tf.float32, tf.int64))
        finite = tf.reduce_all(tf.math.is_finite(logits))
        tf.raw_ops.If(cond=finite, input=[], Tout=[], then_branch=_branch(), else_branch=_branch())
        tf.equal(tf.cast(label, tf.int32), 1)
        tf.reduce_sum(tf.cast(label, tf.uint64))
    ops = graph.get_operations()
    assert waits(ops) == {("All", "If"), ("Cast", "Equal"), ("Cast", "Sum")}
    assert {op.type for op in ops if host_arguments(op) is None} == {"Sum"}


def _branch() -> Any:
    return tf.function(lambda: None).get_concrete_function()


def test_only_gpus_of_one_process_are_told_to_pack(monkeypatch: pytest.MonkeyPatch) -> None:
    assert reduction_options(tf.distribute.get_strategy()) is None

    class OnGpus:
        class extended:  # noqa: N801 - TensorFlow's own name
            worker_devices = ("/device:GPU:0", "/device:GPU:1")

    monkeypatch.setattr(devices.tf.distribute, "MirroredStrategy", OnGpus)
    options: Any = reduction_options(OnGpus())  # type: ignore[arg-type]
    assert options.bytes_per_pack == PACK_BYTES
