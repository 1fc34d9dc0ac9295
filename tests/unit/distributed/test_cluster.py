"""What describes devices and workers, and what is refused."""

import json

import pytest

from harness.distributed.cluster import (
    Cluster,
    check_job,
    cluster_from_environment,
    parse_tf_config,
)
from harness.distributed.devices import Asked, Devices, parse_devices
from harness.errors import UsageError

TWO = {"worker": ["a:1", "b:2"]}


def config(cluster: object = TWO, kind: str = "worker", index: object = 0) -> str:
    return json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("all", Asked("any", None)),
        ("1", Asked("any", 1)),
        ("8", Asked("any", 8)),
        ("cpu:4", Asked("cpu", 4)),
    ],
)
def test_devices_are_read(text: str, asked: Asked) -> None:
    assert parse_devices(text) == asked


@pytest.mark.parametrize("text", ["", "0", "-1", "gpu:2", "cpu:", "cpu:0", "two", "1.5", "cpu:all"])
def test_other_devices_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="no number of devices"):
        parse_devices(text)


def test_a_cluster_survives_its_own_tf_config() -> None:
    cluster = Cluster(("127.0.0.1:1000", "[::1]:2000"), 1)
    assert parse_tf_config(cluster.tf_config()) == cluster
    assert cluster.host_and_port(1) == ("::1", 2000)


@pytest.mark.parametrize(("kind", "index", "worker"), [("chief", 0, 0), ("worker", 1, 2)])
def test_a_chief_task_is_the_first_worker(kind: str, index: int, worker: int) -> None:
    text = config({"chief": ["c:1"], "worker": ["a:1", "b:2"]}, kind, index)
    assert parse_tf_config(text) == Cluster(("c:1", "a:1", "b:2"), worker)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "cannot be read"),
        ("[]", "cannot be read"),
        ("{}", "cannot be read"),
        (config(index="x"), "cannot be read"),
        (config(index=2), "worker 2 is not in its cluster"),
        (config(index=-1), "worker -1 is not in its cluster"),
        (config(kind="chief"), "chief 0 is not in its cluster"),
        (config({**TWO, "ps": ["p:1"]}), "tasks of type ps"),
        (config({**TWO, "evaluator": ["p:1"]}), "tasks of type evaluator"),
        (config({"worker": ["a:1", "b"]}), "'b' is no host:port"),
        (config({"worker": ["a:1", "b:x"]}), "no host:port"),
        (config({"worker": ["a:1", "b:70000"]}), "no host:port"),
        (config({"worker": ["a:1", "a:1"]}), "two workers have the address a:1"),
    ],
)
def test_a_wrong_tf_config_is_refused(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse_tf_config(text)


def test_tf_config_must_agree_with_the_option() -> None:
    environ = {"TF_CONFIG": config(index=1)}
    assert cluster_from_environment(environ, None) == Cluster(("a:1", "b:2"), 1)
    assert cluster_from_environment(environ, 2) == Cluster(("a:1", "b:2"), 1)
    with pytest.raises(UsageError, match="names 2 workers and --workers says 3"):
        cluster_from_environment(environ, 3)


def test_without_a_description_there_is_one_process() -> None:
    assert cluster_from_environment({}, None) is None
    assert cluster_from_environment({}, 4) is None
    assert cluster_from_environment({"TF_CONFIG": config({"worker": ["a:1"]})}, None) is None


@pytest.mark.parametrize(
    ("workers", "devices", "batch", "words"),
    [
        (2, "cpu:2", 32, "--devices cpu:2 is asked for in each of 2 workers"),
        (3, "1", 32, "batch of 32 images cannot be shared by 3 workers"),
        (64, "all", 32, "batch of 32 images cannot be shared by 64 workers"),
    ],
)
def test_a_job_that_no_worker_could_do_is_refused_before_it_waits(
    workers: int, devices: str, batch: int, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        check_job(workers, devices, batch)


@pytest.mark.parametrize(("workers", "devices"), [(1, "cpu:2"), (2, "1"), (4, "all"), (32, "1")])
def test_a_job_that_can_be_done_is_taken(workers: int, devices: str) -> None:
    check_job(workers, devices, 32)


def test_a_broken_slurm_variable_is_refused() -> None:
    with pytest.raises(UsageError, match="does not describe a step"):
        cluster_from_environment({"SLURM_STEP_NUM_TASKS": "abc"}, 2)


def test_variables_of_a_slurm_shell_alone_make_no_workers() -> None:
    environ = {"SLURM_STEP_NUM_TASKS": "2", "SLURM_PROCID": "0"}
    assert cluster_from_environment(environ, None) is None


def test_slurm_describes_workers_where_they_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    environ = {
        "SLURM_STEP_NUM_TASKS": "4",
        "SLURM_PROCID": "2",
        "SLURM_STEP_NODELIST": "node[1-2]",
        "SLURM_STEP_NUM_NODES": "2",
        "SLURM_STEP_TASKS_PER_NODE": "2(x2)",
        "SLURM_NTASKS": "4",
    }
    for name, value in environ.items():  # TensorFlow's resolver reads the process's own
        monkeypatch.setenv(name, value)
    cluster = cluster_from_environment(environ, 4)
    assert cluster is not None
    assert (cluster.workers, cluster.worker) == (4, 2)
    assert cluster.host_and_port(0)[0] == cluster.host_and_port(1)[0] == "node1"
    assert cluster.host_and_port(2)[0] == "node2"
    assert len(set(cluster.addresses)) == 4


def devices(local: int, worker: int, workers: int) -> Devices:
    return Devices(None, ("x",) * local * workers, local, worker, workers)


@pytest.mark.parametrize(("local", "workers"), [(1, 1), (4, 1), (1, 4), (2, 2), (3, 2)])
def test_shares_are_disjoint_and_whole(local: int, workers: int) -> None:
    shards = [s for w in range(workers) for s in devices(local, w, workers).shards]
    n = local * workers
    assert shards == [(i, n) for i in range(n)]


@pytest.mark.parametrize(("batch", "replicas"), [(32, 3), (2, 4), (33, 2), (128, 48)])
def test_a_batch_that_replicas_cannot_share_is_refused(batch: int, replicas: int) -> None:
    with pytest.raises(UsageError, match=f"batch of {batch} images cannot be shared by {replicas}"):
        devices(replicas, 0, 1).check_batch(batch)


def test_a_batch_that_replicas_share_is_taken() -> None:
    devices(4, 1, 2).check_batch(32)
