"""Which GPUs a worker takes, by its place among the workers of its host; which stay hidden."""

from typing import Any

import pytest

from harness.distributed import devices
from harness.distributed.asked import ONE_DEVICE, Asked
from harness.distributed.cluster import Cluster
from harness.distributed.devices import gpus_of_worker
from harness.errors import MachineError

TWO_HOSTS = ("a:1", "a:2", "b:1", "b:2")
FOUR: list[Any] = [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("addresses", "gpus", "count", "bound", "shares"),
    [
        (TWO_HOSTS, FOUR, 1, False, [[0], [1], [0], [1]]),
        (TWO_HOSTS, FOUR, 2, False, [[0, 1], [2, 3], [0, 1], [2, 3]]),
        (TWO_HOSTS, FOUR, None, False, [[0, 1], [2, 3], [0, 1], [2, 3]]),
        (("a:1", "b:1"), FOUR, None, False, [FOUR, FOUR]),
        (("a:1", "b:1"), FOUR, 1, False, [[0], [0]]),
        (TWO_HOSTS, [0], 1, True, [[0]] * 4),
        (TWO_HOSTS, [0], None, True, [[0]] * 4),
        (("127.0.0.1:1", "127.0.0.1:2"), [0, 1], 1, False, [[0], [1]]),
    ],
    ids=["one each", "two each", "all shared", "a host each", "one of a host", "bound", "bound all",
         "launched here"],
)  # fmt: skip
def test_workers_of_one_host_take_different_gpus(
    addresses: tuple[str, ...],
    gpus: list[Any],
    count: int | None,
    bound: bool,
    shares: list[list[Any]],
) -> None:
    found = [
        gpus_of_worker(gpus, Cluster(addresses, worker), count, bound=bound)
        for worker in range(len(addresses))
    ]
    assert found == shares


@pytest.mark.parametrize(("count", "gpus"), [(1, [0]), (None, [0]), (3, FOUR)])
def test_too_few_gpus_for_the_workers_of_a_host_are_refused(
    count: int | None, gpus: list[Any]
) -> None:
    with pytest.raises(MachineError, match="2 workers of this host ask for"):
        gpus_of_worker(gpus, Cluster(TWO_HOSTS, 1), count, bound=False)


def test_a_worker_bound_to_too_few_is_refused() -> None:
    with pytest.raises(MachineError, match="ask for 2 GPUs each, and it has 1"):
        gpus_of_worker([0], Cluster(TWO_HOSTS, 0), 2, bound=True)


@pytest.mark.parametrize("count", [1, 2])
def test_the_processor_is_asked_for_and_the_gpus_are_hidden(
    monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    hidden: list[Any] = []
    config, distribute = devices.tf.config, devices.tf.distribute
    monkeypatch.setattr(config, "set_visible_devices", lambda *asked: hidden.append(asked))
    monkeypatch.setattr(config, "set_logical_device_configuration", lambda *_: None)
    monkeypatch.setattr(distribute, "MirroredStrategy", lambda *_, **__: None)
    opened = devices.open_devices(Asked("cpu", count), None)
    assert hidden == [([], "GPU")]
    assert not opened.asynchronous
    assert all(name.startswith("CPU") for name in opened.names)


def test_where_any_device_is_asked_for_and_no_gpu_is_there_nothing_is_hidden(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(devices.tf.config, "set_visible_devices", None)
    assert devices.open_devices(ONE_DEVICE, None).replicas == 1
