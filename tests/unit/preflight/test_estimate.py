"""Preflight: each part ends the job by itself, the cheapest first."""

from dataclasses import replace
from pathlib import Path

import pytest
import tensorflow as tf

from harness.errors import MachineError
from harness.measure.gpu_list import SystemGpus
from harness.measure.gpu_reason import INSTALL, Reason
from harness.measure.gpu_support import KEEP_COMPILED, OLDER_CUDNN, support_of
from harness.preflight import probes as probes_module
from harness.preflight.estimate import Preflight, preflight
from harness.preflight.probes import Probes, machine_probes
from harness.preflight.workload import (
    JOURNAL_BYTES_PER_STEP,
    PREDICTION_BYTES_PER_IMAGE,
    TRACKER_BYTES,
    Workload,
    workload,
)
from harness.progress import duration
from harness.recipes.catalogue import find_recipe
from harness.recipes.published.apm5 import APM5_RESNET50
from harness.recipes.recipe import Constant, Phase
from harness.recipes.smoke import SMOKE
from harness.record.schema import DataIdentity

TERA = 1e12


def imagenet(train: int = 1_281_167, val: int = 50_000, classes: int = 1000) -> DataIdentity:
    return DataIdentity(
        name="imagenet",
        kind="imagenet",
        root_digest="0" * 64,
        train_images=train,
        val_images=val,
        classes=tuple(f"n{i:08}" for i in range(classes)),
        class_order="wordnet",
    )


def never(*_images: int) -> float:
    raise AssertionError("asked before something cheaper had ended the job")


def machine(**changes: object) -> Probes:
    """A machine with one GPU of 10 TFLOP/s and 1 TB of disk."""
    good = Probes(
        system_gpus=lambda: SystemGpus(("Made-up GPU",)),
        visible_gpus=lambda: 1,
        unseen_reason=lambda _error: Reason("libcudnn.so.9 cannot be opened", INSTALL),
        free_bytes=lambda _folder: 10**12,
        gemm_flops_per_s=lambda: 10 * TERA,
        step_time_s=lambda _images: 0.4,
        free_memory_bytes=lambda: 64 << 30,
    )
    return replace(good, **changes)


def check(probes: Probes, **options: object) -> object:
    arguments = {"runs": Path("runs"), "probes": probes, **options}
    return preflight(APM5_RESNET50, imagenet(), (1, 2, 3), **arguments)


def test_a_long_job_beside_a_gpu_that_is_not_used_is_refused_with_the_reason() -> None:
    probes = machine(
        visible_gpus=lambda: 0, free_bytes=never, gemm_flops_per_s=never, step_time_s=never
    )
    with pytest.raises(MachineError, match="Made-up GPU") as raised:
        check(probes)
    text = str(raised.value)
    assert "libcudnn.so.9 cannot be opened" in text
    assert "requirements-gpu.lock" in text
    assert 'CUDA_VISIBLE_DEVICES=""' in text
    assert raised.value.exit_code == 2


def test_a_short_job_beside_such_a_gpu_goes_on_and_says_so() -> None:
    data = imagenet(train=1400, val=397, classes=10)
    probes = machine(visible_gpus=lambda: 0, step_time_s=never)
    found = preflight(SMOKE, data, (1,), runs=Path("runs"), probes=probes)
    assert "Made-up GPU" in found.text()
    assert "runs on the processor" in found.text()
    assert "to use it: " in found.text()


def test_a_driver_that_fails_without_a_gpu_is_told() -> None:
    data = imagenet(train=1400, val=397, classes=10)
    probes = machine(
        visible_gpus=lambda: 0, system_gpus=lambda: SystemGpus(error="No devices were found")
    )
    found = preflight(SMOKE, data, (1,), runs=Path("runs"), probes=probes)
    assert "nvidia-smi: No devices were found" in found.text()


def test_too_little_memory_ends_the_job_before_a_step_is_made() -> None:
    probes = machine(
        system_gpus=SystemGpus, visible_gpus=lambda: 0, free_memory_bytes=lambda: 4 << 30,
        gemm_flops_per_s=never, step_time_s=never,
    )  # fmt: skip
    with pytest.raises(MachineError, match=r"4\.0 GiB of memory are free"):
        check(probes)


def test_workers_without_gpus_share_the_hosts_memory() -> None:
    """A share of 64 images takes 5 GiB."""
    alone = {"system_gpus": SystemGpus, "visible_gpus": lambda: 0}
    roomy = machine(free_memory_bytes=lambda: 8 << 30, **alone)
    check(roomy, replicas=2)
    check(machine(free_memory_bytes=lambda: 8 << 30), replicas=2, workers_here=2)
    with pytest.raises(MachineError, match=r"8\.0 GiB of memory are free") as raised:
        check(roomy, replicas=2, workers_here=2)
    assert "in each of 2 workers here" in raised.value.expected


def test_a_batch_beyond_the_gpus_memory_ends_the_job_before_a_step_is_made() -> None:
    """One H200 had 11.4 GB in use with this step (reports/gpu-h200)."""
    small = machine(
        free_memory_bytes=lambda: 8e9, gemm_flops_per_s=never, step_time_s=never,
    )  # fmt: skip
    with pytest.raises(MachineError, match=r"7\.5 GiB of memory are free") as raised:
        check(small)
    assert "10.3 GiB" in raised.value.expected
    check(machine(free_memory_bytes=lambda: 12e9))


def test_a_card_without_code_ends_the_job_and_a_newer_one_is_told() -> None:
    volta = support_of((7, 0), ("sm_70", "compute_90"), "9.28.0")
    newer = support_of((12, 0), ("sm_70", "compute_90"), "9.28.0")
    with pytest.raises(MachineError, match=r"7\.0: cuDNN 9\.28\.0 supports 7\.5") as raised:
        check(machine(gpu_support=lambda: (newer, volta), gemm_flops_per_s=never))
    assert OLDER_CUDNN in str(raised.value)
    found = check(machine(gpu_support=lambda: (newer, newer)))
    (told,) = [line for line in found.findings if "12.0" in line]  # type: ignore[attr-defined]
    assert "the driver compiles it first" in told
    assert KEEP_COMPILED in told


def test_hours_of_each_precision_are_printed_beside_those_of_float32() -> None:
    rates = {"float32": 10 * TERA, "tf32": 50 * TERA, "bfloat16": 100 * TERA}
    found = check(machine(flops_per_s_by_precision=lambda: rates))
    text = found.text()  # type: ignore[attr-defined]
    for name, rate in rates.items():
        suffix = {"float32": "", "tf32": "-tf32", "bfloat16": "-bf16"}[name]
        hours = duration(3600 * found.bound_hours[0] * 10 * TERA / rate)  # type: ignore[attr-defined]
        assert f"{name} {hours} (apm5-resnet50{suffix})" in text
    alone = check(machine(flops_per_s_by_precision=lambda: {"float32": TERA}))
    assert "by precision" not in alone.text()  # type: ignore[attr-defined]


def test_what_takes_time_is_said_before_it_is_done() -> None:
    said: list[str] = []

    def step_time_s(images: int) -> float:
        assert f"timing a real step of {images} images" in said[-1]
        assert images == 64
        return 0.4

    found = check(machine(step_time_s=step_time_s), replicas=2, say=said.append)
    assert "matrix product" in said[-2]
    alone = check(machine())
    assert found.bound_hours[0] == pytest.approx(alone.bound_hours[0] / 2)  # type: ignore[attr-defined]


def test_a_full_disk_ends_the_job_before_anything_is_measured() -> None:
    probes = machine(free_bytes=lambda _f: 1 << 30, gemm_flops_per_s=never, step_time_s=never)
    with pytest.raises(MachineError, match=r"1\.0 GiB are free"):
        check(probes)


def test_a_real_step_of_few_images_refuses_a_machine_that_would_need_months() -> None:
    asked: list[int] = []

    def step_time_s(images: int) -> float:
        asked.append(images)
        return images * 0.15

    probes = machine(system_gpus=SystemGpus, visible_gpus=lambda: 0,
                     gemm_flops_per_s=lambda: 165e9, step_time_s=step_time_s)  # fmt: skip
    with pytest.raises(MachineError, match="about") as raised:
        check(probes)
    assert asked == [8]
    # 51 epochs x 10,009 steps x 128 images x 0.15 s, and 60 evaluations.
    assert "115 d" in raised.value.found
    assert " d " in raised.value.found
    assert "a step of 8 images took 1.2 s" in raised.value.found


def test_a_busy_machine_is_not_refused_by_the_rate_of_its_matrix_product() -> None:
    """The bound says months; the step of few images is in doubt, and a whole one decides."""
    probes = machine(gemm_flops_per_s=lambda: 165e9, step_time_s=lambda images: 0.3 + images / 1280)
    found = preflight(APM5_RESNET50, imagenet(), (1,), runs=Path("runs"), probes=probes)
    assert found.bound_hours[0] > 10 * 120
    assert found.hours[0] < 120
    assert found.step_time_s == pytest.approx(0.4)


def test_a_step_slower_than_the_bound_refuses_too() -> None:
    with pytest.raises(MachineError, match="about"):
        check(machine(step_time_s=lambda _images: 2.0))


def test_a_job_within_the_limit_tells_hours_and_disk() -> None:
    found = preflight(APM5_RESNET50, imagenet(), (1, 2, 3), runs=Path("runs"), probes=machine())
    training_hours = 51 * 10_009 * 0.4 / 3600
    assert found.step_time_s == 0.4
    assert training_hours < found.hours[0] < 1.05 * training_hours
    assert found.hours_in_all == pytest.approx(3 * found.hours[0])
    assert 3.0 < found.disk_needed_bytes / 3 / 2**30 < 3.4
    for word in ("a seed", "in all for 3 seeds", "GiB free", "0.400 s, measured"):
        assert word in found.text()


def test_a_small_job_is_not_held_up_by_timing_a_step() -> None:
    data = imagenet(train=1400, val=397, classes=10)
    found = preflight(SMOKE, data, (1,), runs=Path("runs"), probes=machine(step_time_s=never))
    assert found.step_time_s is None
    assert "the arithmetic alone takes" in found.text()


def small(flops_per_s: float, step_time_s: float, **options: object) -> Preflight:
    """300 epochs of a small recipe on two cores."""
    recipe = SMOKE.model_copy(
        update={"batch": 128, "phases": (Phase(epochs=300, rate=Constant(rate=0.1)),)}
    )
    data = imagenet(train=60_000, val=10_000, classes=10)
    probes = machine(
        system_gpus=options.pop("gpus", SystemGpus),
        visible_gpus=lambda: 0,
        gemm_flops_per_s=lambda: flops_per_s,
        step_time_s=lambda _images: step_time_s,
    )
    return preflight(recipe, data, (1, 2, 3), runs=Path("runs"), probes=probes, **options)


def test_the_hours_of_a_small_network_are_those_of_a_real_step() -> None:
    found = small(500e9, 0.25)
    assert found.bound_hours[0] < 2.4, "far below the limit, and yet timed"
    training = 300 * 468 * 0.25 / 3600
    evaluations = (299 + 10) * 10_000 * 0.25 / 128 / 3 / 3600
    assert found.hours[0] == pytest.approx(training + evaluations, rel=0.02)
    assert found.hours[0] > 3 * found.bound_hours[0]
    assert "about" in found.text()
    assert "the same command resumes" in found.text()


def test_a_frozen_trunk_has_no_gradients_to_wait_for() -> None:
    """No activation is kept, and a crop of an evaluation costs what an image's training does."""
    frozen, trained = find_recipe("transfer-frozen"), find_recipe("transfer")
    data = imagenet(train=1_600_000, val=160_000, classes=10)
    found = preflight(
        frozen, data, (1,), runs=Path("runs"), probes=machine(free_memory_bytes=lambda: 3e9)
    )
    crops = (9 + 10) * 160_000
    assert found.hours[0] == pytest.approx((10 * 50_000 * 0.4 + crops * 0.4 / 32) / 3600)
    with pytest.raises(MachineError, match=r"2\.8 GiB of memory are free"):
        preflight(
            trained, data, (1,), runs=Path("runs"), probes=machine(free_memory_bytes=lambda: 3e9)
        )


def test_a_real_step_is_timed_before_a_machine_is_refused() -> None:
    """The matrix product's rate may be measured too low, even far too low."""
    near = small(2e9, 0.1, max_hours=100)
    assert 100 < near.bound_hours[0] < 1000
    assert near.hours[0] < 100
    far = small(0.1e9, 0.1, max_hours=100)
    assert far.bound_hours[0] > 10 * 100
    assert far.hours[0] < 100
    with pytest.raises(MachineError, match="about"):
        small(0.1e9, 10.0, max_hours=100)


def test_a_small_recipe_does_without_the_gpu() -> None:
    found = small(500e9, 0.1, gpus=lambda: SystemGpus(("A card",)))
    assert "A card" in found.text()
    assert "runs on the processor" in found.text()


def test_what_is_done_already_does_not_count() -> None:
    done = 51 * 10_009 - 100
    probes = machine(gemm_flops_per_s=lambda: 165e9, step_time_s=lambda _images: 30.0)
    preflight(APM5_RESNET50, imagenet(), (1,), runs=Path("r"), probes=probes, steps_done={1: done})
    with pytest.raises(MachineError):
        preflight(APM5_RESNET50, imagenet(), (1,), runs=Path("r"), probes=probes)


def count(**limits: int | None) -> Workload:
    return workload(
        APM5_RESNET50,
        imagenet(),
        forward_multiply_adds=4_089_184_256,
        trainable=25_548_352,
        moving=45_440,
        **limits,
    )


def test_the_whole_recipe_by_hand() -> None:
    load = count()
    assert load.steps == 51 * 10_009
    assert load.images == load.steps * 128
    assert load.crops == 50_000 * (50 + 10)
    assert load.flops == 2 * 4_089_184_256 * (3 * load.images + load.crops)


@pytest.mark.parametrize(
    ("limits", "steps", "crops"),
    [
        ({"last_step": 10}, 10, 0),
        ({"last_step": 10_009}, 10_009, 50_000),
        ({"steps_done": 10_009, "last_step": 10_009}, 0, 0),
        ({"steps_done": 50 * 10_009, "eval_images": 100}, 10_009, 1000),
        ({"last_step": 10**9}, 51 * 10_009, 3_000_000),
        ({"last_step": 10, "eval_images": 100}, 10, 1000),
        ({"steps_done": 51 * 10_009}, 0, 500_000),
    ],
    ids=[
        "ten steps",
        "one epoch",
        "nothing left",
        "last epoch",
        "limit beyond the end",
        "a trial that evaluates",
        "only the final protocols are left",
    ],
)
def test_limits_count(limits: dict[str, int], steps: int, crops: int) -> None:
    load = count(**limits)
    assert (load.steps, load.crops) == (steps, crops)


STATE = 4 * (2 * 25_548_352 + 45_440)


@pytest.mark.parametrize(
    ("limits", "kept", "steps", "predictions"),
    [
        ({}, 10, 51 * 10_009, (50 + 2) * 50_000),
        ({"last_step": 10}, 0, 10, 0),
        ({"last_step": 5 * 10_009}, 1, 5 * 10_009, 5 * 50_000),
        ({"steps_done": 5 * 10_009, "last_step": 6 * 10_009}, 0, 10_009, 50_000),
        ({"last_step": 10, "eval_images": 100}, 0, 10, 2 * 100),
    ],
    ids=["whole", "ten steps", "five epochs", "the sixth", "a trial that evaluates"],
)
def test_disk_is_what_is_kept(
    limits: dict[str, int], kept: int, steps: int, predictions: int
) -> None:
    """Three newest checkpoints, one in the making and every fifth epoch's, momentum included."""
    assert count(**limits).disk_bytes == (4 + kept) * STATE + steps_bytes(steps, predictions)


@pytest.mark.parametrize(
    ("limits", "steps", "crops"),
    [
        # 390 steps an epoch: 164 epochs end before the last step, which is within the 165th.
        ({}, 64_000, 165 * 10_000),
        ({"steps_done": 63_960}, 40, 10_000),
        ({"steps_done": 63_959}, 41, 2 * 10_000),
        ({"last_step": 400}, 400, 10_000),
    ],
    ids=["whole", "after the last epoch's end", "before it", "limited"],
)
def test_a_recipe_in_steps_need_not_end_with_an_epoch(
    limits: dict[str, int], steps: int, crops: int
) -> None:
    recipe = find_recipe("he2015-cifar10-resnet20")
    data = imagenet(train=50_000, val=10_000, classes=10)
    load = workload(
        recipe, data, forward_multiply_adds=40_000_000, trainable=270_000, moving=1_400, **limits
    )
    assert (load.steps, load.crops) == (steps, crops)
    # Four checkpoints of weights and slots, and, as they are small, one of each epoch that is left.
    done, last = limits.get("steps_done", 0), limits.get("last_step", 64_000)
    kept = last // 390 - done // 390
    assert load.disk_bytes == (4 + kept) * 4 * (271_400 + 270_000) + steps_bytes(steps, crops)


def steps_bytes(steps: int, predictions: int) -> int:
    return steps * JOURNAL_BYTES_PER_STEP + predictions * PREDICTION_BYTES_PER_IMAGE + TRACKER_BYTES


def test_one_channel_is_counted_as_one() -> None:
    recipe = find_recipe("zhong2020-fashion-resnet20")
    data = imagenet(train=60_000, val=10_000, classes=10)
    found = preflight(recipe, data, (1,), runs=Path("runs"), probes=machine())
    load = workload(recipe, data, forward_multiply_adds=31_021_952, trainable=272_186, moving=1_568)
    assert load.steps == 140_700
    assert load.crops == 300 * 10_000
    assert found.bound_hours[0] == pytest.approx(load.flops / (10 * TERA) / 3600)


def test_a_gpu_that_devices_hides_is_none_that_the_preflight_misses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`--devices cpu:1` beside a GPU: a long job goes on, as it was asked for."""
    monkeypatch.setattr(probes_module, "system_gpus", lambda: SystemGpus(("A card",)))
    asked = machine_probes(SMOKE, 10).system_gpus
    assert asked().names == ("A card",)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda _kind: ["a GPU"])
    assert asked().names == ()
