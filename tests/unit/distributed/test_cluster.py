"""What describes devices and workers, and what is refused."""

import json

import pytest

from harness.distributed.asked import Asked, parse_devices
from harness.distributed.cluster import (
    TOKEN,
    Cluster,
    check_job,
    cluster_from_environment,
    job_token,
    parse_tf_config,
)
from harness.distributed.devices import Devices
from harness.distributed.slurm import first_port, host_list
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


@pytest.mark.parametrize(
    "text", ["", "0", "-1", "gpu:2", "cpu:", "cpu:0", "two", "1.5", "cpu:all", "²"]
)
def test_other_devices_are_refused(text: str) -> None:
    for refuse in (parse_devices, lambda devices: check_job(1, devices, 8)):
        with pytest.raises(UsageError, match="no number of devices"):
            refuse(text)


def test_a_cluster_survives_its_own_tf_config() -> None:
    cluster = Cluster(("127.0.0.1:1000", "[::1]:2000"), 1)
    assert parse_tf_config(cluster.tf_config()) == cluster
    assert cluster.host_and_port(1) == ("::1", 2000)


@pytest.mark.parametrize(("worker", "here"), [(0, (0, 2)), (1, (1,)), (2, (0, 2))])
def test_the_workers_of_one_host(worker: int, here: tuple[int, ...]) -> None:
    assert Cluster(("a:1", "b:1", "a:2"), worker).workers_here == here


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


def step(**variables: str) -> dict[str, str]:
    """The environment of rank 0 of four tasks on two nodes, with changes."""
    return {
        "SLURM_JOB_ID": "4711",
        "SLURM_STEP_ID": "0",
        "SLURM_STEP_NUM_TASKS": "4",
        "SLURM_PROCID": "0",
        "SLURM_NODEID": "0",
        "SLURM_STEP_NODELIST": "gpu[9-10]",
        "SLURM_STEP_TASKS_PER_NODE": "2(x2)",
        **variables,
    }


@pytest.mark.parametrize(
    ("distribution", "hosts"),
    [
        ({}, ["gpu9", "gpu9", "gpu10", "gpu10"]),
        ({"SLURM_DISTRIBUTION": "block:cyclic"}, ["gpu9", "gpu9", "gpu10", "gpu10"]),
        ({"SLURM_DISTRIBUTION": "cyclic"}, ["gpu9", "gpu10", "gpu9", "gpu10"]),
        ({"SLURM_DISTRIBUTION": "plane=2"}, ["gpu9", "gpu9", "gpu10", "gpu10"]),
        ({"SLURM_STEP_TASKS_PER_NODE": "1,3"}, ["gpu9", "gpu10", "gpu10", "gpu10"]),
    ],
    ids=["default", "block", "cyclic", "plane", "uneven"],
)
def test_slurm_tells_each_rank_s_host_in_its_own_order(
    distribution: dict[str, str], hosts: list[str]
) -> None:
    for rank, host in enumerate(hosts):
        node = ["gpu9", "gpu10"].index(host)
        ours = {"SLURM_PROCID": str(rank), "SLURM_NODEID": str(node)}
        cluster = cluster_from_environment(step(**distribution, **ours), 4)
        assert cluster is not None
        assert cluster.worker == rank
        assert [cluster.host_and_port(i)[0] for i in range(4)] == hosts
        assert len(set(cluster.addresses)) == 4


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"SLURM_NODEID": "1"}, "rank 0 runs on node 1 and is expected on node 0"),
        ({"SLURM_DISTRIBUTION": "arbitrary"}, "distributed by 'arbitrary'"),
        ({"SLURM_STEP_NODELIST": "gpu[9-"}, "brackets do not match"),
        ({"SLURM_STEP_NODELIST": "gpu[10-9]"}, "no range"),
        ({"SLURM_STEP_NODELIST": "gpu9"}, "1 hosts and tasks for 2"),
        ({"SLURM_STEP_TASKS_PER_NODE": "two"}, "no list of tasks"),
        ({"SLURM_PROCID": "9"}, "rank 9 of 4 tasks"),
    ],
)
def test_a_step_that_contradicts_itself_is_refused(change: dict[str, str], words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        cluster_from_environment(step(**change), 4)
    assert "TF_CONFIG" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("gpu9", ("gpu9",)),
        ("gpu[9-10]", ("gpu9", "gpu10")),
        ("b,a", ("b", "a")),
        ("n[008-010,1]x,m", ("n008x", "n009x", "n010x", "n1x", "m")),
        ("r[1-2]n[1-2]", ("r1n1", "r1n2", "r2n1", "r2n2")),
        ("a[1,3-4].site.org", ("a1.site.org", "a3.site.org", "a4.site.org")),
    ],
)
def test_lists_of_hosts_keep_their_order(text: str, hosts: tuple[str, ...]) -> None:
    assert host_list(text) == hosts


def test_steps_on_one_host_take_other_ports() -> None:
    ports = {first_port(step(SLURM_JOB_ID=str(job))) for job in range(4711, 4811)}
    assert len(ports) == 100
    assert all(1024 < port < 32_768 for port in ports)


def test_the_token_is_the_job_s() -> None:
    cluster, other = Cluster(("a:1", "b:2"), 0), Cluster(("a:1", "b:3"), 0)
    assert job_token(cluster, {}) == job_token(Cluster(("a:1", "b:2"), 1), {})
    assert job_token(cluster, {}) != job_token(other, {})
    assert job_token(cluster, {TOKEN: "x"}) != job_token(cluster, {})
    assert job_token(cluster, {"SLURM_STEP_ID": "1"}) == job_token(cluster, {})
    in_slurm = Cluster(("a:1", "b:2"), 0, source="Slurm's environment")
    assert job_token(in_slurm, {"SLURM_STEP_ID": "1"}) != job_token(in_slurm, {})


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
