"""Several workers of one job on this machine, each a process of its own."""

import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from harness.distributed.cluster import TF_CONFIG, TOKEN, Cluster
from harness.distributed.job import PREEMPTED, Say
from harness.measure.machine import CORES_VARIABLE, usable_cores
from harness.system.children import start_python
from harness.system.signals import exit_code_of_child, passed_on

POLL_S = 0.1
TOKEN_BYTES = 32
LOST_S = 60.0
"""How long the others may take to end after one has."""

Command = tuple[str, ...]


def free_addresses(count: int) -> tuple[str, ...]:
    """Loopback addresses with ports that are free now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return tuple(f"127.0.0.1:{one.getsockname()[1]}" for one in sockets)


def start_workers(
    arguments: Command, workers: int, environ: Mapping[str, str]
) -> tuple["subprocess.Popen[Any]", ...]:
    """Start the same `harness` command as each worker of a loopback job.

    Cores are shared out, so that `auto` threads of one worker do not fight
    with the other's; a quota of the control group too.
    """
    addresses = free_addresses(workers)
    token = secrets.token_hex(TOKEN_BYTES)
    cores = sorted(os.sched_getaffinity(0))
    granted = str(max(1, usable_cores() // workers))
    started = []
    for worker in range(workers):
        share = cores[worker::workers] or [cores[worker % len(cores)]]
        environment = {
            **environ,
            TF_CONFIG: Cluster(addresses, worker).tf_config(),
            TOKEN: token,
            CORES_VARIABLE: granted,
        }
        process = start_python(
            "harness",
            *arguments,
            environ=environment,
            stdout=None if worker == 0 else subprocess.DEVNULL,
        )
        os.sched_setaffinity(process.pid, share)
        started.append(process)
    return tuple(started)


def launch(arguments: Command, workers: int, environ: Mapping[str, str], say: Say) -> int:
    """Run a `harness` command as a job of workers here; returns its exit code.

    Signals are passed on. The chief's exit code counts; where it was killed and
    the others gave up, theirs. Where one failed, `say` gets how each ended, which
    a worker that was killed cannot tell itself.
    """
    processes = start_workers(arguments, workers, environ)
    with passed_on(lambda: processes) as passed:
        codes = _wait(processes)
    if any(codes):
        say("; ".join(f"worker {n} {_ending(code)}" for n, code in enumerate(codes)))
    if codes[0] < 0 and PREEMPTED in codes:
        return PREEMPTED
    return exit_code_of_child(codes[0], passed)


def _ending(code: int) -> str:
    if code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"


def _wait(processes: tuple["subprocess.Popen[Any]", ...]) -> list[int]:
    """Wait for all; once one has failed the others have `LOST_S` to follow."""
    deadline: float | None = None
    while any(process.poll() is None for process in processes):
        if deadline is None and any(process.poll() for process in processes):
            deadline = time.monotonic() + LOST_S
        if deadline is not None and time.monotonic() > deadline:
            for process in processes:
                if process.poll() is None:
                    process.kill()
        time.sleep(POLL_S)
    return [process.wait() for process in processes]
