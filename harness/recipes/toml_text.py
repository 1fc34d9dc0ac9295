"""A recipe as TOML text that reads back as the same recipe.

The standard library reads TOML and does not write it; a recipe holds only tables,
lists of tables, and lists of plain values, so that a few lines write it.
"""

import json
from collections.abc import Iterator
from typing import Any

from harness.recipes.fields import NONE, wording
from harness.recipes.recipe import Recipe

HEADER = """\
# A recipe of one's own: everything that decides what a training computes.
# `harness run THIS_FILE --data DIR --seed 1` trains it; `harness recipe show THIS_FILE`
# checks it. A field that is left out has its default; "none" says: no value.
# More phases: repeat [[phases]]; the rate of a phase is of the kind
#   {kind = "constant", rate = R}, {kind = "linear", start = A, end = B} or
#   {kind = "cosine", start = A, alpha = FRACTION_OF_A_AT_THE_END}.
"""


def recipe_text(recipe: Recipe) -> str:
    """A recipe as TOML, each field with what it takes."""
    document = recipe.model_dump(mode="json")
    return "\n".join([HEADER.rstrip(), "", *_table((), document)]) + "\n"


def _table(path: tuple[str, ...], table: dict[str, Any]) -> Iterator[str]:
    """Plain fields first: what follows a heading belongs to it."""
    later = {key: value for key, value in table.items() if _has_heading(path, value)}
    for key, value in table.items():
        if key not in later:
            yield _line((*path, key), value)
    for key, value in later.items():
        inner = (*path, key)
        for one in value if isinstance(value, list) else [value]:
            yield ""
            yield f"[[{'.'.join(inner)}]]" if isinstance(value, list) else f"[{'.'.join(inner)}]"
            yield from _table(inner, one)


def _has_heading(path: tuple[str, ...], value: Any) -> bool:
    """Whether a value has a heading of its own; short tables within others stand in one line."""
    if isinstance(value, dict):
        return not path or any(isinstance(inner, list | dict) for inner in value.values())
    return isinstance(value, list) and any(isinstance(inner, dict) for inner in value)


def _line(path: tuple[str, ...], value: Any) -> str:
    takes = "" if isinstance(value, dict) or path[0] == "notes" else wording(_schema_path(path))
    comment = f"  # {takes}" if takes not in {"", "text"} else ""
    return f"{path[-1]} = {plain_toml(value)}{comment}"


def _schema_path(path: tuple[str, ...]) -> tuple[str | int, ...]:
    lists = {"phases", "final_protocols"}
    return tuple(step for part in path for step in ((part, 0) if part in lists else (part,)))


def plain_toml(value: Any) -> str:
    """A value without a heading: text, number, truth, none, a list of them, or a short table."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {plain_toml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(plain_toml, value))}]"
    if value is None:
        return f'"{NONE}"'
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return json.dumps(value)
