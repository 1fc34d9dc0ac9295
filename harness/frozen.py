"""Frozen values and their digests."""

import hashlib
import json
from typing import Any

from pydantic import (
    BaseModel,
    ConfigDict,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    model_serializer,
)

ADDED_LATER: dict[str, Any] = {"added_later": True}
"""Marks a field that is newer than published digests: `Field(default, json_schema_extra=...)`."""

_IDENTITY = {"identity": True}


class Frozen(BaseModel):
    """A validated, immutable value; unknown fields are errors.

    A loss that is not finite is written as the constant NaN or Infinity, which
    Python's JSON reads back.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, ser_json_inf_nan="constants"
    )


class Identified(Frozen):
    """A value whose digest outlives new fields.

    `identity()` leaves out each field marked `ADDED_LATER` that has its default, so
    a value that could be said before the field existed keeps its digest.
    """

    @model_serializer(mode="wrap")
    def _without_later_defaults(
        self, handler: SerializerFunctionWrapHandler, info: SerializationInfo
    ) -> Any:
        document = handler(self)
        return document if info.context != _IDENTITY else _without_defaults(self, document)

    def identity(self, *, exclude: Any = None) -> Any:
        """JSON-like data that decides the digest; `exclude` is pydantic's."""
        return self.model_dump(mode="json", exclude=exclude, context=_IDENTITY)


class Extended(Frozen):
    """A document whose form outlives new fields.

    A field marked `ADDED_LATER` is written only where it differs from its default, so
    that what could be said before is written as it was then.
    """

    @model_serializer(mode="wrap")
    def _later_fields_where_they_matter(self, handler: SerializerFunctionWrapHandler) -> Any:
        return _without_defaults(self, handler(self))


def _without_defaults(value: Frozen, document: Any) -> Any:
    for name, field in type(value).model_fields.items():
        if field.json_schema_extra == ADDED_LATER and getattr(value, name) == field.default:
            document.pop(name, None)
    return document


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces, so that equal values have equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def digest_of(value: Any) -> str:
    """Hex sha256 of a JSON-like value's canonical text."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def flat(prefix: str, value: Any) -> dict[str, Any]:
    """Leaves of nested JSON-like data by dotted path, as `--set` names them.

    A list is a leaf unless it holds dictionaries, which are numbered.

    Args:
        prefix: What every path begins with.
        value: Dictionaries, lists and leaves.
    """
    if isinstance(value, dict):
        items = [(f"{prefix}.{key}", inner) for key, inner in value.items()]
    elif isinstance(value, list) and any(isinstance(inner, dict) for inner in value):
        items = [(f"{prefix}.{index}", inner) for index, inner in enumerate(value)]
    else:
        return {prefix: value}
    return {key: leaf for name, inner in items for key, leaf in flat(name, inner).items()}
