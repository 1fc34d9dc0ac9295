"""One, two and four replicas: the same images, the same answers, the same bits again."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.distributed.launcher import free_addresses

BOUND_ULP = 8.0
"""After one step, in units in the last place of each tensor's largest value.

Measured after two steps: weights at most 0.9, moving means 5.7, moving variances 0; a moving mean,
near zero by cancellation, has the most.
"""


def probe(*arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "tests.replica_probe", *arguments],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def answer(process: "subprocess.Popen[str]") -> Any:
    stdout, stderr = process.communicate(timeout=400)
    assert process.returncode == 0, stderr[-3000:]
    return json.loads(stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def logical() -> Any:
    return answer(probe("logical"))


@pytest.fixture(scope="module")
def workers() -> Any:
    addresses = ",".join(free_addresses(2))
    processes = [probe("worker", addresses, str(number)) for number in range(2)]
    return [answer(process) for process in processes]


def ulps(one: dict[str, Any], other: dict[str, Any]) -> dict[str, float]:
    eps = float(np.finfo(np.float32).eps)
    found = {}
    for name, values in one["arrays"].items():
        a, b = np.array(values), np.array(other["arrays"][name])
        found[name] = float(np.abs(a - b).max() / (eps * max(np.abs(a).max(), 1e-30)))
    return found


@pytest.mark.parametrize("replicas", [2, 4])
def test_synchronised_replicas_agree_within_rounding(logical: Any, replicas: int) -> None:
    one, several = logical["synchronised 1"], logical[f"synchronised {replicas}"]
    assert max(ulps(one, several).values()) <= BOUND_ULP
    assert several["losses"] == pytest.approx(one["losses"], rel=1e-5)


def test_statistics_per_replica_are_another_training(logical: Any) -> None:
    one, two = logical["per_replica 1"], logical["per_replica 2"]
    assert abs(one["losses"][0] - two["losses"][0]) > 1e-4
    assert logical["per_replica 1"]["losses"] == logical["synchronised 1"]["losses"]


@pytest.mark.parametrize("replicas", [2, 4])
def test_replicas_with_the_rate_outside_the_slot_agree_across_a_change_of_it(
    logical: Any, replicas: int
) -> None:
    one, several = logical["outside 1"], logical[f"outside {replicas}"]
    assert several["equal"]
    assert several["losses"] == pytest.approx(one["losses"], rel=1e-5)
    for name, values in one["last"].items():
        np.testing.assert_allclose(several["last"][name], values, rtol=1e-4, atol=1e-6)


def test_the_form_of_the_momentum_matters_once_the_rate_has_changed(logical: Any) -> None:
    """The slots differ by the factor of the rate from the first step on, the weights later."""
    inside, outside = logical["inside"], logical["outside 1"]
    kernel = "weights/conv0/kernel"
    np.testing.assert_allclose(inside["arrays"][kernel], outside["arrays"][kernel], atol=1e-6)
    moved = np.abs(np.subtract(inside["last"][kernel], outside["last"][kernel])).max()
    assert moved > 1e-4


@pytest.mark.parametrize("kind", ["synchronised", "per_replica"])
@pytest.mark.parametrize("replicas", [2, 4])
def test_every_variable_is_equal_on_all_replicas(logical: Any, kind: str, replicas: int) -> None:
    assert logical[f"{kind} {replicas}"]["equal"]


def test_moving_statistics_are_the_mean_over_replicas(logical: Any) -> None:
    """With equal shares the mean of the replicas' means is the mean of all."""
    one = logical["per_replica 1"]["arrays"]
    four = logical["per_replica 4"]["arrays"]
    for name in one:
        if name.endswith("bn0/moving_mean"):
            np.testing.assert_allclose(one[name], four[name], rtol=1e-4, atol=1e-6)


def test_the_same_number_of_replicas_twice_is_bit_identical(logical: Any) -> None:
    assert logical["again"]["marks"] == logical["per_replica 2"]["marks"]
    assert logical["again"]["arrays"] == logical["per_replica 2"]["arrays"]


def test_no_step_adds_the_fingerprints_of_its_replicas(logical: Any, workers: Any) -> None:
    """That is left to the end of a window, within a process and among workers."""
    assert [one["integer sums"] for one in (logical, *workers)] == [[], [], []]


def test_batches_lie_on_the_device_before_they_are_asked_for(logical: Any) -> None:
    """By two logical CPU devices; on a GPU it was not measured. An error keeps its place."""
    assert logical["ahead"] == {
        "batches": 2,
        "ended": "InvalidArgumentError",
        "devices": ["CPU:1"],
        "labels": ["int64"],
        "equal": True,
    }


def test_images_do_not_depend_on_the_number_of_replicas(logical: Any) -> None:
    order = logical["order"]
    assert order["1"] == order["2"] == order["4"]


def test_each_image_of_a_pass_is_seen_once_over_all_replicas(logical: Any) -> None:
    """The batches asked for run across the end of the first pass."""
    images, first = logical["order"]["images"], 170 * 8
    seen = [index for batch, _ in logical["order"]["4"] for index in batch]
    rest = images - first
    assert max(Counter(seen[:rest]).values()) == 1
    assert max(Counter(seen[rest:]).values()) == 1


def test_two_workers_agree_bit_for_bit_and_again(workers: Any) -> None:
    one, other = workers
    for kind in ("synchronised", "per_replica"):
        own = {"marks": None, "batches": None}
        assert {**one[kind], **own} == {**other[kind], **own}
    assert one["again"] == one["per_replica"]


def test_what_two_workers_hand_in_adds_up_to_what_one_process_records(
    workers: Any, logical: Any
) -> None:
    """Of the batches, which no rounding of a reduction changes."""
    one, other = (worker["per_replica"]["batches"] for worker in workers)
    added = [(a + b) % (1 << 64) for a, b in zip(one, other, strict=True)]
    assert added == logical["per_replica 2"]["batches"]


def test_two_workers_agree_with_one_device(workers: Any, logical: Any) -> None:
    assert max(ulps(logical["synchronised 1"], workers[0]["synchronised"]).values()) <= BOUND_ULP
    assert workers[0]["per_replica"]["losses"][0] == pytest.approx(
        logical["per_replica 2"]["losses"][0], rel=1e-6
    )
