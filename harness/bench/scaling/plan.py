"""Images/s and days of a recipe on published hardware, from 1 to many devices.

Computation is the published step of one device; the link within a host is
fitted to the published step of all its devices; the network between hosts is
what the user says. Rows with a number of devices in between, and rows of
another precision on the same device, are not fitted and check the model.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from harness.baselines.schema import ThroughputRow
from harness.errors import UsageError
from harness.measure.scaling import FLOAT_BYTES, Link, Machine, Planned, fitted_link, planned
from harness.recipes.recipe import Recipe

SECONDS_A_DAY = 86_400
GOOD_EFFICIENCY = 0.9


@dataclass(frozen=True)
class Network:
    """What the user says of the machines.

    Attributes:
        between: Link between hosts.
        latency_s: Of one message within a host.
        input_images_per_s: What one host decodes; None where it is no limit.
    """

    between: Link
    latency_s: float
    input_images_per_s: float | None = None


@dataclass(frozen=True)
class Hardware:
    """Published rows of one device at one precision by one source."""

    alone: ThroughputRow
    others: tuple[ThroughputRow, ...]

    @property
    def widest(self) -> ThroughputRow:
        """The row with the most devices."""
        return max(self.others, key=lambda row: row.devices)


@dataclass(frozen=True)
class Check:
    """A published row that was not fitted, and what the model says of it."""

    row: str
    fitted_to: str
    published_images_per_s: float
    predicted_images_per_s: float

    @property
    def error(self) -> float:
        """Relative error of the prediction."""
        return self.predicted_images_per_s / self.published_images_per_s - 1.0


@dataclass(frozen=True)
class Plan:
    """One hardware over numbers of devices; `days` are those of the recipe's images."""

    hardware: str
    device: str
    within: Link
    rows: tuple[Planned, ...]
    days: tuple[float, ...]
    recipe_batch: int

    @property
    def ends(self) -> str:
        """Which resource ends the scaling, and from how many devices."""
        for row in self.rows:
            if row.efficiency < GOOD_EFFICIENCY:
                return (
                    f"{row.limit}: below {100 * GOOD_EFFICIENCY:.0f} % from {row.devices} devices"
                )
        return (
            f"nothing up to {self.rows[-1].devices} devices; most is lost to {self.rows[-1].limit}"
        )

    def text(self) -> str:
        """A table for a person."""
        lines = [
            f"{self.hardware} ({self.device})",
            f"{'devices':>9} {'batch':>8} {'images/s':>11} {'efficiency':>11} {'days':>8}  lost to",
        ]
        for row, days in zip(self.rows, self.days, strict=True):
            mark = " " if row.global_batch <= self.recipe_batch else "*"
            lines.append(
                f"{row.devices:>9} {row.global_batch:>7}{mark} {row.images_per_s:>11,.0f} "
                f"{100 * row.efficiency:>9.1f} % {days:>8.3g}  {row.limit}"
            )
        return "\n".join([*lines, f"  the scaling ends by {self.ends}"])


def hardware_of(rows: Iterable[ThroughputRow]) -> tuple[Hardware, ...]:
    """Groups of rows that differ in the number of devices alone, each with a row of one device."""
    groups: dict[tuple[str, ...], list[ThroughputRow]] = {}
    for row in rows:
        key = (row.source.title, row.software, row.network, row.device, row.precision, row.input)
        groups.setdefault(key, []).append(row)
    found = []
    for group in groups.values():
        alone = [row for row in group if row.devices == 1 and row.batch_per_device]
        others = tuple(row for row in group if row.devices > 1)
        if alone and others:
            found.append(Hardware(alone[0], others))
    return tuple(found)


def machine_of(hardware: Hardware, network: Network, payload_bytes: float) -> Machine:
    """The machine that explains one device and the most devices of published rows."""
    alone, widest = hardware.alone, hardware.widest
    return Machine(
        step_s=_step_s(alone),
        batch_per_device=_batch(alone),
        per_host=widest.devices,
        within=fitted_link(
            _step_s(alone), _step_s(widest), widest.devices, payload_bytes, network.latency_s
        ),
        between=network.between,
        input_images_per_s=network.input_images_per_s,
    )


def plan_on(
    hardware: Hardware,
    network: Network,
    recipe: Recipe,
    *,
    fitted_bytes: float,
    recipe_bytes: float,
    images: int,
    counts: Sequence[int],
) -> Plan:
    """Plan a recipe on published hardware.

    Args:
        hardware: Rows of the recipe's network.
        network: Between hosts.
        recipe: For its batch and number of images in all.
        fitted_bytes: Bytes that the published network reduces in a step.
        recipe_bytes: Bytes that the recipe's network reduces.
        images: Training images of the data set.
        counts: Numbers of devices.
    """
    machine = machine_of(hardware, network, fitted_bytes)
    rows = tuple(planned(machine, count, recipe_bytes) for count in counts)
    shown = recipe.total_steps(recipe.steps_in_epoch(images)) * recipe.batch
    seconds = [shown / row.images_per_s for row in rows]
    return Plan(
        hardware=hardware.alone.name,
        device=hardware.alone.device,
        within=machine.within,
        rows=rows,
        days=tuple(s / SECONDS_A_DAY for s in seconds),
        recipe_batch=recipe.batch,
    )


def checks_of(
    hardware: Sequence[Hardware], network: Network, payload_bytes: float
) -> tuple[Check, ...]:
    """Predictions for published rows that were not fitted.

    Numbers of devices in between with the link of the same rows; the most
    devices with the link that another precision of the same device shows.
    """
    found: list[Check] = []
    for one in hardware:
        machine = machine_of(one, network, payload_bytes)
        between = (row for row in one.others if row.devices != one.widest.devices)
        found += [_check(row, one.widest.name, machine, payload_bytes) for row in between]
        for other in hardware:
            if _is_other_precision(one, other):
                borrowed = machine_of(other, network, payload_bytes)
                mixed = Machine(
                    **{**vars(machine), "within": borrowed.within, "per_host": borrowed.per_host}
                )
                found.append(_check(one.widest, other.widest.name, mixed, payload_bytes))
    return tuple(found)


def _check(row: ThroughputRow, fitted: str, machine: Machine, payload_bytes: float) -> Check:
    predicted = planned(machine, row.devices, payload_bytes).images_per_s
    return Check(row.name, fitted, row.images_per_s, predicted)


def _is_other_precision(one: Hardware, other: Hardware) -> bool:
    a, b = one.alone, other.alone
    return (
        a.source.title == b.source.title
        and a.device == b.device
        and a.network == b.network
        and a.input == b.input
        and a.precision != b.precision
        and one.widest.devices == other.widest.devices
    )


def _step_s(row: ThroughputRow) -> float:
    return row.devices * _batch(row) / row.images_per_s


def _batch(row: ThroughputRow) -> int:
    if row.batch_per_device is None:
        raise UsageError(
            f"the row {row.name} does not say its batch",
            expected="a row with batch_per_device",
            remedy="choose another with --on",
        )
    return row.batch_per_device


def payload_of(trainable: int, moving: int) -> float:
    """Bytes that a step reduces: gradients and moving statistics, float32."""
    return float(FLOAT_BYTES * (trainable + moving))


def document(plans: Sequence[Plan], checks: Sequence[Check]) -> dict[str, Any]:
    """Plans and checks as JSON-like data."""
    return {
        "plans": [
            {
                "hardware": plan.hardware,
                "device": plan.device,
                "link_bytes_per_s": plan.within.bytes_per_s,
                "scaling_ends_by": plan.ends,
                "rows": [
                    {
                        **asdict(row),
                        "images_per_s": row.images_per_s,
                        "efficiency": row.efficiency,
                        "limit": row.limit,
                        "days": days,
                        "deviation": row.global_batch > plan.recipe_batch,
                    }
                    for row, days in zip(plan.rows, plan.days, strict=True)
                ],
            }
            for plan in plans
        ],
        "checks": [{**asdict(check), "relative_error": check.error} for check in checks],
    }
