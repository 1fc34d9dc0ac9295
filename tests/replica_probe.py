"""A small network over several replicas, in a process of its own; answers as JSON.

`python -m tests.replica_probe logical` runs 1, 2 and 4 logical CPU devices;
`... worker ADDRESSES INDEX` is one worker of a loopback job.
"""

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

os.environ["TF_ENABLE_ONEDNN_OPTS"] = "1"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

BATCH, SIZE, CLASSES = 8, 12, 4
RATES = (0.05, 0.05, 0.005)


def recipe(batch_norm: str, form: str) -> Any:
    from harness.recipes.settings import with_settings
    from harness.recipes.smoke import SMOKE

    settings = (f"batch={BATCH}", f"model.batch_norm={batch_norm}", f"optimizer.form={form}")
    return with_settings(SMOKE, settings)


def network(batch_norm: str) -> Any:
    import keras

    from harness.models.batch_norm import FusedBatchNormalization

    synchronised = batch_norm == "synchronised"
    net = inputs = keras.Input((SIZE, SIZE, 3))
    for i in range(2):
        net = keras.layers.Conv2D(8, 3, name=f"conv{i}", use_bias=False)(net)
        net = FusedBatchNormalization(synchronized=synchronised, name=f"bn{i}")(net)
        net = keras.layers.ReLU()(net)
    net = keras.layers.GlobalAveragePooling2D()(net)
    model = keras.Model(inputs, keras.layers.Dense(CLASSES, name="dense")(net))
    generator = np.random.default_rng(3)
    for variable in model.trainable_variables:
        if "gamma" not in variable.path:
            variable.assign(generator.normal(0, 0.3, variable.shape).astype(np.float32))
    return model


def images(shard: tuple[int, int], steps: int) -> Any:
    """Batches like the pipeline's: a pure function of the step and the place in the batch."""
    import tensorflow as tf

    i, n = shard
    each = BATCH // n
    batches = []
    for step in range(steps):
        generator = np.random.default_rng([7, step])
        image = generator.normal(0, 1, (BATCH, SIZE, SIZE, 3)).astype(np.float32)
        label = generator.integers(0, CLASSES, BATCH).astype(np.int32)
        batches.append((image[i * each : (i + 1) * each], label[i * each : (i + 1) * each]))
    stacked = {
        "image": np.stack([b[0] for b in batches]),
        "label": np.stack([b[1] for b in batches]),
    }
    return tf.data.Dataset.from_tensor_slices(stacked)


def train(devices: Any, batch_norm: str, steps: int, form: str = "rate_inside") -> dict[str, Any]:
    """Each step's answers, weights after the first, and whether all replicas hold the same bits."""
    import tensorflow as tf

    from harness.distributed.devices import replica_batches
    from harness.numerics.fingerprint import added_fingerprints
    from harness.training.state import create_state, take_from_chief, to_arrays
    from harness.training.step import build_step

    with devices.strategy.scope():
        state = create_state(network(batch_norm), float16=False)
    if devices.replicas > 1:
        take_from_chief(state, devices.strategy)
    step = build_step(state, recipe(batch_norm, form), devices.strategy)
    marks, of_batches, losses, first = [], [], [], {}
    batches = replica_batches(devices, lambda shard: images(shard, steps))
    for batch, rate in zip(batches, RATES, strict=False):
        output = step(batch["image"], batch["label"], tf.constant(rate))
        marks += added_fingerprints([output.fingerprint])
        of_batches += added_fingerprints([output.batch_fingerprint])
        losses.append(float(output.loss))
        first = first or weights_of(to_arrays(state))
    equal = True
    for variable in (*state.weights(), *state.slots):
        copies = [v.numpy() for v in devices.strategy.experimental_local_results(variable)]
        equal = equal and all(np.array_equal(copies[0], copy) for copy in copies)
    last = {name: array.tolist() for name, array in to_arrays(state).items()}
    return {
        "marks": marks,
        "batches": of_batches,
        "losses": losses,
        "equal": equal,
        "arrays": first,
        "last": last,
    }


def weights_of(arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    return {k: v.tolist() for k, v in arrays.items() if k.startswith("weights/")}


def logical() -> dict[str, Any]:
    import tensorflow as tf

    from harness.distributed.asked import Asked
    from harness.distributed.devices import Devices, open_devices

    tf.config.experimental.enable_op_determinism()
    four = open_devices(Asked("cpu", 4), None)
    reduce = tf.distribute.ReductionToOneDevice()
    two = Devices(
        tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"], cross_device_ops=reduce),
        four.names[:2],
        local_replicas=2,
    )
    one = Devices(tf.distribute.get_strategy(), four.names[:1])
    answers = {}
    for batch_norm in ("synchronised", "per_replica"):
        for devices in (one, two, four):
            answers[f"{batch_norm} {devices.replicas}"] = train(devices, batch_norm, 2)
    answers["again"] = train(two, "per_replica", 2)
    for devices in (one, two, four):
        outside = train(devices, "synchronised", len(RATES), "rate_outside")
        answers[f"outside {devices.replicas}"] = outside
    answers["inside"] = train(one, "synchronised", len(RATES))
    answers["order"] = order((one, two, four))
    answers["ahead"] = ahead("/CPU:1")
    answers["integer sums"] = integer_sums(two)
    return answers


def ahead(device: str) -> dict[str, Any]:
    """Batches that are sent to a device before they are asked for, the third of which fails."""
    import tensorflow as tf

    from harness.distributed.devices import sent_ahead

    def fails(element: dict[str, Any]) -> dict[str, Any]:
        sound = tf.debugging.assert_less(element["number"], tf.constant(2, tf.int64))
        with tf.control_dependencies([sound]):
            return {key: tf.identity(element[key]) for key in ("image", "label")}

    plain = images((0, 1), 3)
    numbered = tf.data.Dataset.zip((plain, tf.data.Dataset.range(3)))
    failing = numbered.map(lambda element, number: fails({**element, "number": number}))
    found: list[dict[str, Any]] = []
    ended = ""
    try:
        found.extend(sent_ahead(failing, device))
    except tf.errors.InvalidArgumentError as error:
        ended = type(error).__name__
    pairs = list(zip(found, plain, strict=False))
    return {
        "batches": len(pairs),
        "ended": ended,
        "devices": sorted({tensor.device[-5:] for batch in found for tensor in batch.values()}),
        "labels": sorted({batch["label"].dtype.name for batch in found}),
        "equal": all(np.array_equal(a[k], b[k]) for a, b in pairs for k in ("image", "label")),
    }


def integer_sums(devices: Any) -> list[str]:
    """Sums of integers in the step of several replicas, outside what XLA compiles."""
    import tensorflow as tf

    from harness.distributed.devices import replica_batches
    from harness.training.state import create_state
    from harness.training.step import build_step

    with devices.strategy.scope():
        state = create_state(network("per_replica"), float16=False)
    step: Any = build_step(state, recipe("per_replica", "rate_inside"), devices.strategy)
    batch = next(replica_batches(devices, lambda shard: images(shard, 1)))
    traced = step.get_concrete_function(batch["image"], batch["label"], tf.constant(0.1))
    kinds = ("Add", "CollectiveReduce")
    sums = [op for op in traced.graph.get_operations() if op.type.startswith(kinds)]
    return [op.type for op in sums if op.outputs[0].dtype.is_integer]


def order(several: tuple[Any, ...]) -> dict[str, Any]:
    """Indices and pixels of real batches, put together over the replicas."""
    from harness.data.input_pipeline.pipeline import training_batches
    from harness.data.opening import open_dataset
    from harness.distributed.devices import replica_batches
    from harness.recipes.smoke import SMOKE
    from harness.sources.digits import write_digits

    with tempfile.TemporaryDirectory() as folder:
        write_digits(Path(folder) / "digits")
        data = open_dataset(Path(folder) / "digits", manifests=Path(folder) / "manifests")
        found = {}
        for devices in several:
            batches = replica_batches(
                devices,
                lambda shard: training_batches(
                    data.train,
                    augmentation=SMOKE.augmentation,
                    normalisation=SMOKE.normalisation,
                    image_size=16,
                    seed=5,
                    batch=8,
                    first_step=170,
                    last_step=190,
                    shard=shard,
                ),
            )
            found[devices.replicas] = [joined(devices, batch) for batch in batches]
        return {"images": len(data.train), **{str(n): batches for n, batches in found.items()}}


def joined(devices: Any, batch: Any) -> list[Any]:
    local = devices.strategy.experimental_local_results
    index = np.concatenate([part.numpy() for part in local(batch["index"])])
    pixels = np.concatenate([part.numpy() for part in local(batch["image"])])
    return [index.tolist(), float(np.abs(pixels).sum(dtype=np.float64))]


def worker(addresses: list[str], number: int) -> dict[str, Any]:
    import tensorflow as tf

    from harness.distributed.asked import ONE_DEVICE
    from harness.distributed.cluster import Cluster
    from harness.distributed.devices import open_devices

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.experimental.enable_op_determinism()
    devices = open_devices(ONE_DEVICE, Cluster(tuple(addresses), number))
    answers = {kind: train(devices, kind, 2) for kind in ("synchronised", "per_replica")}
    return {
        **answers,
        "again": train(devices, "per_replica", 2),
        "integer sums": integer_sums(devices),
    }


if __name__ == "__main__":
    if sys.argv[1] == "logical":
        print(json.dumps(logical()))
    else:
        print(json.dumps(worker(sys.argv[2].split(","), int(sys.argv[3]))))
