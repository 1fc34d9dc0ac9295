"""What each field of a recipe takes, in words, and which field a wrong word means.

Both are read from the recipe's own JSON schema, so that no second list can go stale.
"""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from harness.frozen import flat
from harness.recipes.recipe import Recipe

Schema = Mapping[str, Any]
Part = str | int
NONE = "none"
"""How a file says that a field has no value; TOML has no null."""

COMMON_WORDS = {
    "lr": ("rate", "start"),
    "learning_rate": ("rate", "start"),
    "batch_size": ("batch",),
    "wd": ("weight_decay",),
    "decay": ("weight_decay",),
    "smoothing": ("label_smoothing",),
    "size": ("image_size",),
    "network": ("name",),
    "architecture": ("name",),
    "num_classes": ("classes",),
    "dtype": ("compute",),
    "amp": ("compute",),
    "mixed_precision": ("compute",),
    "threads": ("intra_op_threads",),
    "deterministic": ("op_determinism",),
    "hue": ("hue_degrees",),
    "pca": ("pca_std",),
    "init": ("initializer",),
}
"""Words of other programs for the last part of a field's name here."""


def keys_for(word: str, document: Mapping[str, Any]) -> tuple[str, ...]:
    """The dotted fields of a recipe that a wrong key most likely means, best first.

    Args:
        word: As given, such as `epochs`, `lr` or `optimizer.momentun`.
        document: The recipe as JSON-like data.
    """
    keys = [key for name, value in document.items() if name != "notes" for key in flat(name, value)]
    last = word.rsplit(".", maxsplit=1)[-1].lower().replace("-", "_")
    wanted = COMMON_WORDS.get(last, (last,))
    meant = [k for k in keys if k.rsplit(".", maxsplit=1)[-1] in wanted and k != "name"]
    # A protocol repeats fields of the training: those that only it has are found too, but last.
    meant.sort(key=lambda key: "protocol" in key)
    near = difflib.get_close_matches(word, keys, n=3, cutoff=0.75)
    if not meant and not near:
        ends = sorted({key.rsplit(".", maxsplit=1)[-1] for key in keys})
        close = difflib.get_close_matches(last, ends, n=1, cutoff=0.75)
        near = [key for key in keys if key.rsplit(".", maxsplit=1)[-1] in close]
    return tuple(dict.fromkeys([*meant, *near]))[:4]


def nearest_sibling(path: Sequence[Part]) -> str | None:
    """The field beside a wrong one with the nearest name; its dotted path, or None."""
    names = fields_at(path[:-1])
    near = difflib.get_close_matches(str(path[-1]), names, n=1, cutoff=0.6)
    return ".".join([*map(str, real_path(path[:-1])), near[0]]) if near else None


def fields_at(path: Sequence[Part]) -> tuple[str, ...]:
    """Names of the fields of the table at a path; none where there is no table."""
    found, _ = _walked(path)
    return tuple(dict.fromkeys(name for one in found for name in one.get("properties", {})))


def real_path(path: Sequence[Part]) -> tuple[Part, ...]:
    """A path of pydantic's without the marks of alternatives, such as `linear`."""
    return _walked(path)[1]


def wording(path: Sequence[Part]) -> str:
    """What the field at a path takes, such as `a number from 0, below 1`; "" where unknown."""
    found, _ = _walked(path)
    return " or ".join(dict.fromkeys(filter(None, map(_words, found))))


def _walked(path: Sequence[Part]) -> tuple[tuple[Schema, ...], tuple[Part, ...]]:
    """The alternatives of the schema at a path, and the path without alternatives' marks."""
    found: tuple[Schema, ...] = (_schema(),)
    real: list[Part] = []
    for part in path:
        inner = tuple(one for schema in found for one in _children(schema, part))
        marked = tuple(schema for schema in found if _kind(schema) == part)
        if inner or (not marked and any("properties" in schema for schema in found)):
            found = inner  # none: the table has no such field
            real.append(part)
        else:
            found = marked or found  # a mark of pydantic's: which alternative it has tried
    return found, tuple(real)


def _children(schema: Schema, part: Part) -> Iterator[Schema]:
    if isinstance(part, int):
        listed = schema.get("prefixItems")
        if listed is not None:
            yield from _alternatives(listed[part]) if part < len(listed) else ()
        elif "items" in schema:
            yield from _alternatives(schema["items"])
    elif part in schema.get("properties", {}):
        yield from _alternatives(schema["properties"][part])


def _alternatives(schema: Schema) -> Iterator[Schema]:
    if "$ref" in schema:
        yield from _alternatives(_schema()["$defs"][schema["$ref"].rsplit("/", maxsplit=1)[-1]])
        return
    several = schema.get("anyOf") or schema.get("oneOf")
    if several is None:
        yield schema
        return
    for one in several:
        yield from _alternatives(one)


def _kind(schema: Schema) -> Any:
    return schema.get("properties", {}).get("kind", {}).get("const")


def _words(schema: Schema) -> str:
    if "const" in schema:
        return str(schema["const"])
    if "enum" in schema:
        return f"one of {', '.join(map(str, schema['enum']))}"
    kind = schema.get("type")
    if kind in {"integer", "number"}:
        return f"{'an integer' if kind == 'integer' else 'a number'}{_range(schema)}"
    if kind == "array":
        return _list_words(schema)
    if kind == "object":
        return f"a table with {', '.join(schema.get('properties', {}))}"
    return {"boolean": "true or false", "null": NONE, "string": "text"}.get(str(kind), "")


def _list_words(schema: Schema) -> str:
    exact = schema.get("prefixItems")
    if exact:
        return f"a list of {len(exact)}, each {_words(next(_alternatives(exact[0])))}"
    inner = " or ".join(map(_words, _alternatives(schema.get("items", {}))))
    return f"a list, each {inner}"


def _range(schema: Schema) -> str:
    bounds = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "up to",
              "exclusiveMaximum": "below"}  # fmt: skip
    parts = [f"{word} {schema[key]:g}" for key, word in bounds.items() if key in schema]
    return f" {', '.join(parts)}" if parts else ""


@cache
def _schema() -> dict[str, Any]:
    return Recipe.model_json_schema()
