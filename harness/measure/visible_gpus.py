"""`CUDA_VISIBLE_DEVICES` read as CUDA reads it.

The list ends at its first entry that names no device. Entries are numbers, of which leading
digits count, or `GPU-` with the beginning of an identifier; the first entry decides which. A
number that occurs twice leaves none.
Observed with driver and runtime of an H200 on 53 values.
"""

import re
from collections.abc import Mapping, Sequence

from harness.errors import MachineError

LIST_VARIABLE = "CUDA_VISIBLE_DEVICES"
PART = "MIG-"
"""How the identifier of a part of a GPU begins. A process uses one such part, no more."""
_NUMBER = re.compile(r"\s*\+?(\d+)")
_UUID = re.compile(r"GPU-([0-9A-Fa-f][0-9A-Fa-f-]*)")


def asks_for_devices(listed: str | None) -> bool:
    """Whether the list means some device, be it there or not: `NoDevFiles` and `-1` mean none."""
    if listed is None:
        return True
    first = listed.split(",")[0]
    return bool(_NUMBER.match(first) or _UUID.match(first) or first.startswith(PART))


def visible_devices(listed: str | None, uuids: Sequence[str]) -> tuple[int, ...]:
    """Places of the devices that a process sees, in its own order.

    Args:
        listed: The variable's value; None where it is not set.
        uuids: Identifiers of the devices that the driver reports, `GPU-...`.

    Returns:
        Every place where the variable is not set. A list that begins with `MIG-...` leaves
        that part alone, and it is believed to be of the first device: only the driver knows.
    """
    if listed is None:
        return tuple(range(len(uuids)))
    if listed.startswith(PART):
        return (0,) if uuids else ()
    entries = listed.split(",")
    by_number = bool(_NUMBER.match(entries[0]))
    seen: list[int] = []
    for entry in entries:
        place = _numbered(entry, len(uuids)) if by_number else _identified(entry, uuids)
        if place is None:
            break
        if place in seen:
            return ()
        seen.append(place)
    return tuple(seen)


def _numbered(entry: str, devices: int) -> int | None:
    number = _NUMBER.match(entry)
    return int(number[1]) if number and int(number[1]) < devices else None


def _identified(entry: str, uuids: Sequence[str]) -> int | None:
    uuid = _UUID.match(entry)
    beginning = f"gpu-{uuid[1].lower()}" if uuid else None
    found = [i for i, one in enumerate(uuids) if beginning and one.lower().startswith(beginning)]
    return found[0] if len(found) == 1 else None


def listed_gpus(
    listed: str | None, gpus: Sequence[Mapping[str, str]], uuids: Sequence[str]
) -> tuple[str, ...]:
    """Names of the GPUs that a process may see; none where the user chose to see none.

    Args:
        listed: `CUDA_VISIBLE_DEVICES`; None where it is not set.
        gpus: As the driver reports them.
        uuids: Their identifiers; none where they are unknown, and the list is believed.

    Raises:
        MachineError: the list means a GPU and names none that is here.
    """
    if len(uuids) != len(gpus):
        uuids = [""] * len(gpus)
        listed = None if listed is not None and listed.startswith("GPU-") else listed
    seen = visible_devices(listed, uuids)
    if gpus and not seen and asks_for_devices(listed):
        raise MachineError(
            f"{LIST_VARIABLE}={listed} names no GPU of this system, or one twice",
            where=f"environment variable {LIST_VARIABLE}",
            expected=f"a list that begins with a number from 0 to {len(gpus) - 1}, or an "
            "identifier that `nvidia-smi -L` prints",
            remedy=f'correct or unset it; {LIST_VARIABLE}="" trains on the processor',
        )
    return tuple(gpus[i].get("name") or gpus[i].get("Model", "unnamed") for i in seen)
