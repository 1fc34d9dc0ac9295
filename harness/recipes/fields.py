"""What each field of a recipe or a target takes, in words, and which field a wrong word means.

Both are read from the value's own JSON schema, so that no second list can go stale.
"""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from pydantic import BaseModel, ValidationError

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


def explained(
    error: ValidationError, model: type[BaseModel], kind: str, where: str | None
) -> dict[str, str]:
    """What a value of a file is wrong about, as words for a `HarnessError`.

    The first wrong field is described, an unknown one before others: a field that is misspelt is
    missing as well. The others are named.

    Args:
        error: What pydantic found.
        model: What the file should hold.
        kind: Its name, such as `a recipe`.
        where: The file, if any.
    """
    errors = _of_nearest_alternative(error, model)
    first = min(errors, key=lambda one: one["type"] != "extra_forbidden")
    path = first["loc"]
    field = _dotted(path, model)
    takes, found = wording(path, model), first["msg"].removeprefix("Value error, ")
    remedy = f"give {field} such a value" if takes else "correct the field"
    meant = ""
    if first["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(path[-1]), fields_at(path[:-1], model), n=1)
        takes = f"one of {', '.join(fields_at(path[:-1], model))}"
        meant = _dotted([*path[:-1], *near], model) if near else ""
        found = f"{kind} has no field {field!r}"
        remedy = f"did you mean {meant}?" if near else "leave it out"
    elif first["type"] == "missing":
        found, remedy = f"{field} is missing", f"add {field}"
    elif first["input"] == "":
        found = f"{field} is empty"
    elif first["type"] == "string_too_short":
        found = f"{field} is too short: {first['input']!r}"
        takes = f"text of at least {first['ctx']['min_length']} characters"
    elif first["type"] == "value_error":
        found = f"{field}: {found}" if field else found
        takes, remedy = "values that fit together", "correct what the message names"
    else:
        found = f"{field}: {found}, got {first['input']!r}"
        inner = fields_at(path, model)
        remedy = f"set a field of it, such as {field}.{inner[0]}" if inner else remedy
    wrong = dict.fromkeys(_dotted(one["loc"], model) for one in errors)
    others = [name for name in wrong if name not in {field, meant}]
    return {
        "found": f"{found}; wrong as well: {', '.join(others)}" if others else found,
        "where": ", field ".join(filter(None, [where, field])) if where else f"field {field}",
        "expected": takes or f"a value that fits into {kind}",
        "remedy": remedy,
    }


def _of_nearest_alternative(error: ValidationError, model: type[BaseModel]) -> list[Any]:
    """What is wrong; of a field that may be one of several tables, only in the nearest of them."""
    by_alternative: dict[tuple[Part, ...], dict[Part, list[Any]]] = {}
    for one in error.errors():
        path = one["loc"]
        depth = next((n for n, part in enumerate(path) if _is_mark(path[:n], part, model)), None)
        tried = by_alternative.setdefault(path if depth is None else path[:depth], {})
        tried.setdefault("" if depth is None else path[depth], []).append(one)
    return [one for tried in by_alternative.values() for one in min(tried.values(), key=len)]


def _is_mark(path: Sequence[Part], part: Part, model: type[BaseModel]) -> bool:
    return len(real_path([*path, part], model)) == len(real_path(path, model))


def _dotted(path: Sequence[Part], model: type[BaseModel]) -> str:
    return ".".join(map(str, real_path(path, model)))


def fields_at(path: Sequence[Part], model: type[BaseModel] = Recipe) -> tuple[str, ...]:
    """Names of the fields of the table at a path; none where there is no table."""
    found, _ = _walked(path, model)
    return tuple(dict.fromkeys(name for one in found for name in one.get("properties", {})))


def real_path(path: Sequence[Part], model: type[BaseModel] = Recipe) -> tuple[Part, ...]:
    """A path of pydantic's without the marks of alternatives, such as `linear`."""
    return _walked(path, model)[1]


def wording(path: Sequence[Part], model: type[BaseModel] = Recipe) -> str:
    """What the field at a path takes, such as `a number from 0, below 1`; "" where unknown."""
    found, _ = _walked(path, model)
    said = (_words(schema, _schema(model)) for schema in found)
    return " or ".join(dict.fromkeys(filter(None, said)))


def _walked(
    path: Sequence[Part], model: type[BaseModel]
) -> tuple[tuple[Schema, ...], tuple[Part, ...]]:
    """The alternatives of the schema at a path, and the path without alternatives' marks."""
    root = _schema(model)
    found: tuple[Schema, ...] = (root,)
    real: list[Part] = []
    for part in path:
        inner = tuple(one for schema in found for one in _children(schema, part, root))
        marked = tuple(s for s in found if part in {_kind(s), s.get("title")})
        if inner or (not marked and any("properties" in schema for schema in found)):
            found = inner  # none: the table has no such field
            real.append(part)
        else:
            found = marked or found  # a mark of pydantic's: which alternative it has tried
    return found, tuple(real)


def _children(schema: Schema, part: Part, root: Schema) -> Iterator[Schema]:
    if isinstance(part, int):
        listed = schema.get("prefixItems")
        if listed is not None:
            yield from _alternatives(listed[part], root) if part < len(listed) else ()
        elif "items" in schema:
            yield from _alternatives(schema["items"], root)
    elif part in schema.get("properties", {}):
        yield from _alternatives(schema["properties"][part], root)


def _alternatives(schema: Schema, root: Schema) -> Iterator[Schema]:
    if "$ref" in schema:
        yield from _alternatives(root["$defs"][schema["$ref"].rsplit("/", maxsplit=1)[-1]], root)
        return
    several = schema.get("anyOf") or schema.get("oneOf")
    if several is None:
        yield schema
        return
    for one in several:
        yield from _alternatives(one, root)


def _kind(schema: Schema) -> Any:
    return schema.get("properties", {}).get("kind", {}).get("const")


def _words(schema: Schema, root: Schema) -> str:
    if "const" in schema:
        return str(schema["const"])
    if "enum" in schema:
        return f"one of {', '.join(map(str, schema['enum']))}"
    kind = schema.get("type")
    if kind in {"integer", "number"}:
        return f"{'an integer' if kind == 'integer' else 'a number'}{_range(schema)}"
    if kind == "array":
        return _list_words(schema, root)
    if kind == "object":
        return f"a table with {', '.join(schema.get('properties', {}))}"
    text = "text"
    if "pattern" in schema:
        text = schema.get("description", f"text that matches {schema['pattern']}")
    return {"boolean": "true or false", "null": NONE, "string": text}.get(str(kind), "")


def _list_words(schema: Schema, root: Schema) -> str:
    exact = schema.get("prefixItems")
    if exact:
        return f"a list of {len(exact)}, each {_words(next(_alternatives(exact[0], root)), root)}"
    inner = (_words(one, root) for one in _alternatives(schema.get("items", {}), root))
    return f"a list, each {' or '.join(inner)}"


def _range(schema: Schema) -> str:
    bounds = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "up to",
              "exclusiveMaximum": "below"}  # fmt: skip
    parts = [f"{word} {schema[key]:g}" for key, word in bounds.items() if key in schema]
    return f" {', '.join(parts)}" if parts else ""


@cache
def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema()
