"""Evaluation protocols by name, and their settings changed one by one."""

from typing import Any

from pydantic import ValidationError

from harness.errors import UsageError
from harness.recipes.protocol import Protocol, center_crop, multi_scale, ten_crop

PROTOCOLS: dict[str, Protocol] = {p.name: p for p in (center_crop(), ten_crop(), multi_scale())}


def find_protocol(name: str) -> Protocol:
    """The reference's protocol of this name. Raises `UsageError` for an unknown name."""
    if name not in PROTOCOLS:
        raise UsageError(
            f"there is no protocol named {name!r}",
            expected=f"one of {', '.join(PROTOCOLS)}",
            remedy="see `harness list protocols`",
        )
    return PROTOCOLS[name]


def with_fields(protocol: Protocol, fields: dict[str, Any]) -> Protocol:
    """A protocol with some fields replaced.

    Raises:
        UsageError: a value is out of range, or the crop does not fit into the image.
    """
    try:
        changed = Protocol.model_validate({**protocol.model_dump(), **fields})
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(
            f"{first['msg']}: {first['input']!r}",
            where=f"protocol {protocol.name}, field {'.'.join(str(p) for p in first['loc'])}",
            expected="a value that `harness list protocols` shows",
            remedy="change the option",
        ) from error
    _check_sizes(changed)
    return changed


def _check_sizes(protocol: Protocol) -> None:
    if protocol.crops == "full":
        wrong = None if protocol.crop_size is None else "whole images are shown, not crops"
    elif len(protocol.short_sides) != 1:
        wrong = f"{len(protocol.short_sides)} short sides were given, crops are cut at one"
    elif protocol.crop_size is None or not 1 <= protocol.crop_size <= protocol.short_sides[0]:
        wrong = f"a crop of {protocol.crop_size} does not fit into {protocol.short_sides[0]} pixels"
    else:
        wrong = None
    if wrong is not None:
        raise UsageError(
            wrong,
            where=f"protocol {protocol.name}",
            expected="a crop no larger than the one short side, or none for whole images",
            remedy="change --short-side or --crop-size",
        )
