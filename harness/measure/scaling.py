"""How training scales over devices: ring all-reduce in the alpha-beta model, as pure functions.

A step of a replica takes as long as its computation, or its input where that is
slower, and then the reduction of the gradients. A ring over n members sends
2 (n - 1) messages of 1 / n of the bytes (Thakur, Rabenseifner and Gropp 2005;
Patarasuk and Yuan 2009): each costs alpha (latency) plus bytes / beta
(bandwidth). Nothing is overlapped with the computation; where a system overlaps,
as the harness's packs do a little, the fitted beta is an effective one.
"""

from dataclasses import dataclass
from typing import Literal

Limit = Literal["computation", "input", "bandwidth", "latency"]
FLOAT_BYTES = 4


@dataclass(frozen=True)
class Link:
    """What connects the members of a ring: seconds a message, and bytes a second."""

    latency_s: float
    bytes_per_s: float

    def ring_s(self, members: int, payload_bytes: float) -> tuple[float, float]:
        """Latency and bandwidth seconds of one all-reduce over a ring."""
        if members == 1:
            return 0.0, 0.0
        messages = 2 * (members - 1)
        return messages * self.latency_s, messages * payload_bytes / members / self.bytes_per_s


@dataclass(frozen=True)
class Machine:
    """Named hardware: a device, how many share a host, and both kinds of link.

    Attributes:
        step_s: Computation of one replica's step.
        batch_per_device: Images of it.
        per_host: Devices within a host.
        within: Link between devices of a host.
        between: Link between hosts, shared by a host's devices.
        input_images_per_s: What one host can decode; None where it never limits.
    """

    step_s: float
    batch_per_device: int
    per_host: int
    within: Link
    between: Link
    input_images_per_s: float | None = None


@dataclass(frozen=True)
class Planned:
    """One number of devices as the model sees it; the times are parts of one step.

    `limit` is the largest part that is not computation, and names what ends the
    scaling; "computation" where nothing else takes time.
    """

    devices: int
    global_batch: int
    computation_s: float
    input_s: float
    latency_s: float
    bandwidth_s: float

    @property
    def step_s(self) -> float:
        """The whole step."""
        return self.computation_s + self.input_s + self.latency_s + self.bandwidth_s

    @property
    def images_per_s(self) -> float:
        """Over all devices."""
        return self.global_batch / self.step_s

    @property
    def efficiency(self) -> float:
        """Fraction of n times one device alone."""
        return self.computation_s / self.step_s

    @property
    def limit(self) -> Limit:
        """What takes the most time beside the computation."""
        parts: dict[Limit, float] = {
            "input": self.input_s,
            "bandwidth": self.bandwidth_s,
            "latency": self.latency_s,
        }
        name = max(parts, key=lambda key: parts[key])
        return name if parts[name] > 0 else "computation"


def planned(machine: Machine, devices: int, payload_bytes: float) -> Planned:
    """Predict a step on `devices` devices with a fixed batch on each.

    Within a host one ring, then one between hosts over what each host holds.

    Args:
        machine: The hardware.
        devices: How many.
        payload_bytes: Gradients and whatever else is reduced in a step.
    """
    local = min(devices, machine.per_host)
    hosts = -(-devices // machine.per_host)
    near = machine.within.ring_s(local, payload_bytes)
    far = machine.between.ring_s(hosts, payload_bytes)
    input_s = 0.0
    if machine.input_images_per_s is not None:
        needed_s = local * machine.batch_per_device / machine.input_images_per_s
        input_s = max(0.0, needed_s - machine.step_s)
    return Planned(
        devices=devices,
        global_batch=devices * machine.batch_per_device,
        computation_s=machine.step_s,
        input_s=input_s,
        latency_s=near[0] + far[0],
        bandwidth_s=near[1] + far[1],
    )


def fitted_link(
    alone_step_s: float,
    together_step_s: float,
    members: int,
    payload_bytes: float,
    latency_s: float,
) -> Link:
    """The link that explains a measured step of `members` beside one alone.

    Args:
        alone_step_s: Step of one device.
        together_step_s: Step of `members` devices with the same batch on each.
        members: At least 2.
        payload_bytes: Bytes reduced in a step.
        latency_s: Of one message, measured or assumed.

    Returns:
        A link of infinite bandwidth where the step did not become longer.
    """
    exposed_s = together_step_s - alone_step_s - 2 * (members - 1) * latency_s
    moved = 2 * (members - 1) / members * payload_bytes
    return Link(latency_s, moved / exposed_s if exposed_s > 0 else float("inf"))
