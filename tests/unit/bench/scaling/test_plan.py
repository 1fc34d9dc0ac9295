"""The scaling model against closed forms, and against published rows it was not fitted to."""

import pytest

from harness.baselines.loading import load_baselines
from harness.bench.scaling.measurement import Measured, at_image_size, last_error
from harness.bench.scaling.plan import Network, checks_of, hardware_of, plan_on
from harness.bench.scaling.process import Answer
from harness.measure.scaling import Link, Machine, fitted_link, planned
from harness.recipes.published.apm5 import APM5_RESNET50
from harness.recipes.smoke import SMOKE

PAYLOAD = 4 * 25_600_000.0
NETWORK = Network(Link(20e-6, 12.5e9), latency_s=5e-6)


def machine(**changes: object) -> Machine:
    values = {
        "step_s": 0.2, "batch_per_device": 64, "per_host": 8,
        "within": Link(1e-5, 1e10), "between": Link(2e-5, 1e9), **changes,
    }  # fmt: skip
    return Machine(**values)  # type: ignore[arg-type]


def test_one_device_reduces_nothing() -> None:
    alone = planned(machine(), 1, PAYLOAD)
    assert alone.images_per_s == pytest.approx(320)
    assert (alone.efficiency, alone.limit) == (1.0, "computation")


@pytest.mark.parametrize("members", [2, 3, 8, 64])
def test_a_ring_sends_each_byte_twice_less_one_share(members: int) -> None:
    latency, bandwidth = Link(1e-3, 1e6).ring_s(members, 1e6)
    assert latency == pytest.approx(2 * (members - 1) * 1e-3)
    assert bandwidth == pytest.approx(2 * (members - 1) / members)


def test_the_fit_gives_back_the_step_it_was_made_from() -> None:
    link = fitted_link(0.2, 0.22, 8, PAYLOAD, 1e-5)
    assert planned(machine(within=link), 8, PAYLOAD).step_s == pytest.approx(0.22)


def test_no_longer_step_means_no_cost() -> None:
    link = fitted_link(0.2, 0.19, 8, PAYLOAD, 0.0)
    assert planned(machine(within=link), 8, PAYLOAD).step_s == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("changes", "devices", "limit"),
    [
        ({"input_images_per_s": 1000.0}, 8, "input"),
        ({"between": Link(0.0, 1e8)}, 64, "bandwidth"),
        ({"between": Link(1e-2, 1e12)}, 512, "latency"),
    ],
)
def test_the_resource_that_ends_the_scaling_is_named(
    changes: dict[str, object], devices: int, limit: str
) -> None:
    assert planned(machine(**changes), devices, PAYLOAD).limit == limit


def test_published_rows_that_were_not_fitted_are_predicted_within_five_percent() -> None:
    rows = [r for r in load_baselines().throughput if r.network == "resnet50"]
    checks = checks_of(hardware_of(rows), NETWORK, PAYLOAD)
    assert len(checks) >= 6
    assert max(abs(check.error) for check in checks) < 0.05


def test_a_plan_counts_the_days_of_the_recipes_images() -> None:
    rows = [r for r in load_baselines().throughput if r.network == "resnet50"]
    hardware = next(h for h in hardware_of(rows) if "v100-16-gb-1x-float32" in h.alone.name)
    plan = plan_on(
        hardware, NETWORK, APM5_RESNET50, fitted_bytes=PAYLOAD, recipe_bytes=PAYLOAD,
        images=1_281_167, counts=(1, 8, 1024),
    )  # fmt: skip
    epoch = APM5_RESNET50.steps_per_epoch or 1_281_167 // APM5_RESNET50.batch
    seconds = 51 * epoch * APM5_RESNET50.batch / hardware.alone.images_per_s
    assert plan.days[0] == pytest.approx(seconds / 86_400)
    assert plan.rows[1].images_per_s == pytest.approx(hardware.widest.images_per_s)
    assert "1024" in plan.text()


def measured(apart_s: float, together_s: float, wait_s: float, reduction_s: float) -> Measured:
    apart = Answer(apart_s, 0.01, 0.0, 0.0, 40_000_000, 30 * apart_s)
    together = Answer(together_s, wait_s, reduction_s, 0.002, 40_000_000, 30 * together_s)
    return Measured(2, 32, 64, (apart, apart), (together, together))


@pytest.mark.parametrize(
    ("size", "sides"), [(32, (34, 39)), (64, (68, 78)), (112, (119, 136)), (8, (8, 10))]
)
def test_another_image_size_keeps_the_proportion_of_the_crop(
    size: int, sides: tuple[int, int]
) -> None:
    recipe = at_image_size(SMOKE, size)
    assert (recipe.model.image_size, recipe.augmentation.short_side) == (size, sides)
    assert at_image_size(SMOKE, SMOKE.model.image_size).digest == SMOKE.digest


def test_losses_of_a_job_add_up_to_its_longer_step() -> None:
    job = measured(0.20, 0.23, 0.015, 0.012)
    assert sum(job.losses_s.values()) == pytest.approx(0.03)
    assert job.losses_s["input"] == pytest.approx(0.005)
    assert job.efficiency == pytest.approx(0.20 / 0.23)


def test_the_measured_link_predicts_a_job_that_only_reduces() -> None:
    job = measured(0.20, 0.212, 0.01, 0.012)
    assert job.predicted_images_per_s == pytest.approx(job.together_images_per_s)


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ("", ""),
        ("Traceback:\n  File x\nValueError: bad\n\n", "ValueError: bad"),
        (
            "Traceback:\nharness.errors.MachineError: no cluster\n  what to do: check ports\n",
            "harness.errors.MachineError: no cluster",
        ),
    ],
)
def test_what_a_failed_process_said_is_its_error_not_the_advice(told: str, found: str) -> None:
    assert last_error(told) == found
