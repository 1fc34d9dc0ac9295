"""What `--devices` asks for, read without TensorFlow."""

from dataclasses import dataclass
from typing import Literal

from harness.errors import UsageError


@dataclass(frozen=True)
class Asked:
    """What `--devices` asks for.

    Attributes:
        kind: "any" takes GPUs where there are some; "cpu" leaves them alone and splits the
            CPU into logical devices, for trying out replicas without GPUs.
        count: Devices of this process; None takes all.
    """

    kind: Literal["any", "cpu"] = "any"
    count: int | None = 1


ONE_DEVICE = Asked()


def parse_devices(text: str) -> Asked:
    """Read `all`, `N` or `cpu:N`. Raises `UsageError` for anything else."""
    kind, _, number = text.rpartition(":")
    if text == "all":
        return Asked(count=None)
    if kind in {"", "cpu"} and number.isdecimal() and int(number) > 0:
        return Asked("cpu" if kind else "any", int(number))
    raise UsageError(
        f"--devices {text} is no number of devices",
        expected="all, a number such as 8, or cpu:N for N logical CPU devices",
        remedy="leave it out for one device",
    )
