"""The workers of a Slurm step: which host each rank is on, from the step's environment.

TensorFlow's resolver sorts host names as text, so that in `gpu[9-10]` rank 0, which
runs on gpu9, would be looked for on gpu10. Here the list keeps Slurm's order, and each
process checks that its own rank lies on its own node.
"""

import re
from collections.abc import Iterator, Mapping
from itertools import product

from harness.errors import UsageError

SOURCE = "Slurm's environment"
SLURM_JOB = ("SLURM_JOB_ID", "SLURM_STEP_ID")
FIRST_PORT = 12_000
PORTS_A_STEP = 16
STEPS_APART = 1_000
"""Steps on one host take different ports, below those that systems hand out by themselves."""
TASKS = re.compile(r"(\d+)(?:\(x(\d+)\))?")


def slurm_step(environ: Mapping[str, str]) -> tuple[tuple[str, ...], int]:
    """The address of each rank of a Slurm step, and the rank of this process.

    Raises:
        UsageError: the variables of a step are missing, malformed, contradict each
            other, or place tasks in a way that they do not tell.
    """
    try:
        hosts = host_list(environ["SLURM_STEP_NODELIST"])
        tasks = tasks_of_nodes(environ["SLURM_STEP_TASKS_PER_NODE"])
        rank = int(environ["SLURM_PROCID"])
        node = int(environ["SLURM_NODEID"])
        nodes = placement(tasks, environ.get("SLURM_DISTRIBUTION", "block"))
        base = first_port(environ)
        _check(hosts, tasks, nodes, rank, node)
    except (KeyError, ValueError) as error:
        missing = f"{error.args[0]} is not set" if isinstance(error, KeyError) else str(error)
        raise UsageError(
            f"Slurm's environment does not describe a step: {missing}",
            where="variables SLURM_STEP_NODELIST, SLURM_STEP_TASKS_PER_NODE, SLURM_PROCID, "
            "SLURM_NODEID, SLURM_DISTRIBUTION",
            expected="one task for each worker, placed by block, cyclic or plane",
            remedy="start the workers with `srun --ntasks N --distribution=block harness run ... "
            "--workers N`, or describe them with TF_CONFIG",
        ) from error
    before = [nodes[:i].count(nodes[i]) for i in range(len(nodes))]
    addresses = tuple(f"{hosts[n]}:{base + b}" for n, b in zip(nodes, before, strict=True))
    return addresses, rank


def _check(
    hosts: tuple[str, ...], tasks: tuple[int, ...], nodes: tuple[int, ...], rank: int, node: int
) -> None:
    if len(hosts) != len(tasks):
        raise ValueError(f"{len(hosts)} hosts and tasks for {len(tasks)}")
    if not 0 <= rank < len(nodes):
        raise ValueError(f"rank {rank} of {len(nodes)} tasks")
    if nodes[rank] != node:
        raise ValueError(f"rank {rank} runs on node {node} and is expected on node {nodes[rank]}")


def host_list(text: str) -> tuple[str, ...]:
    """Expand `gpu[9-10],n[01-02]x` in its own order, zeros in front kept.

    Raises:
        ValueError: it is no such list.
    """
    found = [host for part in _parts(text) for host in _expanded(part)]
    if not found:
        raise ValueError(f"no host in {text!r}")
    return tuple(found)


def _parts(text: str) -> Iterator[str]:
    """Split at commas outside brackets."""
    depth, begin = 0, 0
    for at, character in enumerate(text + ","):
        depth += {"[": 1, "]": -1}.get(character, 0)
        if character == "," and depth == 0:
            if text[begin:at].strip():
                yield text[begin:at].strip()
            begin = at + 1
    if depth:
        raise ValueError(f"brackets do not match in {text!r}")


def _expanded(part: str) -> Iterator[str]:
    pieces = re.split(r"\[([^\]]*)\]", part)
    choices = [[p] if i % 2 == 0 else list(_numbers(p)) for i, p in enumerate(pieces)]
    return ("".join(chosen) for chosen in product(*choices))


def _numbers(text: str) -> Iterator[str]:
    for part in text.split(","):
        low, dash, high = part.partition("-")
        if not low.isdigit() or (dash and not high.isdigit()) or int(high or low) < int(low):
            raise ValueError(f"{part!r} is no range of hosts")
        for number in range(int(low), int(high or low) + 1):
            yield str(number).zfill(len(low))


def tasks_of_nodes(text: str) -> tuple[int, ...]:
    """Expand `2(x3),1` to tasks of each node.

    Raises:
        ValueError: it is no such list.
    """
    tasks: list[int] = []
    for part in text.split(","):
        match = TASKS.fullmatch(part.strip())
        if match is None:
            raise ValueError(f"{text!r} is no list of tasks")
        tasks += [int(match[1])] * int(match[2] or 1)
    return tuple(tasks)


def placement(tasks: tuple[int, ...], distribution: str) -> tuple[int, ...]:
    """The node of each rank.

    Args:
        tasks: Of each node.
        distribution: SLURM_DISTRIBUTION; what follows a colon or comma is about sockets.

    Raises:
        ValueError: another distribution than block, cyclic and plane.
    """
    kind, _, size = re.split(r"[:,]", distribution)[0].partition("=")
    at_once = {"block": max(tasks), "cyclic": 1, "plane": int(size or 0)}.get(kind, 0)
    if at_once < 1:
        raise ValueError(f"tasks are distributed by {distribution!r}")
    left, nodes = list(tasks), []
    while any(left):
        for node, count in enumerate(left):
            taken = min(count, at_once)
            nodes += [node] * taken
            left[node] -= taken
    return tuple(nodes)


def first_port(environ: Mapping[str, str]) -> int:
    """First port of the step's workers on each host, the same on all of them."""
    numbers = (re.sub(r"\D", "", environ.get(name, "")) for name in SLURM_JOB)
    return FIRST_PORT + PORTS_A_STEP * (sum(int(n or 0) for n in numbers) % STEPS_APART)
