"""A job of two workers on loopback, started by the command's own launcher."""

import json
import subprocess
import time
from dataclasses import dataclass

import psutil

from tests.faults.command import Command

WORKERS = ("--no-tracking", "--workers", "2")
LONGEST_END_S = 60.0
"""A lost worker ends all others within a minute."""


@dataclass(frozen=True)
class Job:
    """A launched job: the launcher and its workers by number."""

    launcher: "subprocess.Popen[str]"
    workers: tuple[psutil.Process, ...]


def start(command: Command) -> Job:
    launcher = command.start()
    for _ in range(200):
        children = psutil.Process(launcher.pid).children()
        numbered = {number_of(child): child for child in children}
        if len(numbered) == 2 and None not in numbered:
            return Job(launcher, (numbered[0], numbered[1]))
        time.sleep(0.05)
    raise TimeoutError("the launcher started no workers")


def number_of(process: psutil.Process) -> int | None:
    try:
        return int(json.loads(process.environ()["TF_CONFIG"])["task"]["index"])
    except (KeyError, psutil.Error):
        return None
