"""What a scaling measurement concludes from its processes' answers."""

import pytest

from harness.bench.scaling.measurement import (
    MeasuredScaling,
    at_image_size,
    environments,
    last_error,
)
from harness.bench.scaling.process import ReductionTimes
from harness.errors import MachineError
from harness.measure import machine
from harness.measure.visible_gpus import LIST_VARIABLE
from harness.recipes.smoke import SMOKE


def measured(
    apart_s: float, together_s: float, wait_s: float, reduction_s: float
) -> MeasuredScaling:
    apart = ReductionTimes(apart_s, 0.01, 0.0, 0.0, 40_000_000, 30 * apart_s)
    together = ReductionTimes(together_s, wait_s, reduction_s, 0.002, 40_000_000, 30 * together_s)
    return MeasuredScaling("smoke", 2, 32, 64, (apart, apart), (together, together))


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


def test_the_numbers_of_the_text_are_those_of_the_document() -> None:
    job = measured(0.20, 0.25, 0.01, 0.012)
    document = job.document()
    assert (document["benchmark"], document["recipe"]) == ("scaling", "smoke")
    assert job.text().startswith("smoke, 2 workers")
    assert document["efficiency"] == pytest.approx(0.8)
    assert document["together_images_per_s"] == pytest.approx(2 * 32 / 0.25)
    assert "efficiency 80.0 %" in job.text()
    assert "reduction +12.0 ms" in job.text()


@pytest.mark.parametrize(
    ("listed", "seen"),
    [
        (None, ["0", "1"]),
        ("2,1,0", ["2", "1"]),
        ("", ["", ""]),
        ("MIG-a,MIG-b", ["MIG-a", "MIG-b"]),
    ],
)
def test_each_process_sees_a_gpu_of_its_own(
    monkeypatch: pytest.MonkeyPatch, listed: str | None, seen: list[str]
) -> None:
    monkeypatch.setattr(machine, "gpus", lambda: ({"name": "Made-up GPU"},) * 3)
    monkeypatch.setattr(machine, "gpu_uuids", lambda: ("GPU-a", "GPU-b", "GPU-c"))
    environ = {"A": "1"} if listed is None else {"A": "1", LIST_VARIABLE: listed}
    assert environments(2, environ) == [{"A": "1", LIST_VARIABLE: one} for one in seen]
    if listed != "":
        with pytest.raises(MachineError, match=r"4 workers .* GPUs[\s\S]*measures the processor"):
            environments(4, environ)


def test_without_gpus_the_environment_is_this_process_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "gpus", lambda: ())
    monkeypatch.setattr(machine, "gpu_uuids", lambda: ())
    assert environments(2, {"A": "1"}) == [{"A": "1"}] * 2


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
