"""`--set key=value`: one field of a recipe replaced, by dotted name."""

import json
from typing import Any

from pydantic import BaseModel, ValidationError

from harness.errors import RecipeError
from harness.recipes.large_batch import SETTING, linearly_scaled
from harness.recipes.recipe import Recipe


def with_settings(recipe: Recipe, settings: tuple[str, ...]) -> Recipe:
    """A recipe with fields replaced.

    Args:
        recipe: Where to start.
        settings: Such as `batch=64` or `phases.1.epochs=3`. Values are JSON;
            what is not JSON is taken as text. `linear_scaling=1024` sets batch,
            learning rates and warm-up together, as `large_batch` says.

    Raises:
        RecipeError: no such field, or a value it does not take; the field is named.
    """
    document = recipe.model_dump(mode="json")
    for setting in settings:
        key, separator, text = setting.partition("=")
        if not separator:
            raise RecipeError(f"{setting!r} is no setting", expected="key=value, such as batch=64")
        if key.strip() == SETTING:
            document = linearly_scaled(document, _value(text.strip()))
            continue
        _replace(document, key.strip(), _value(text.strip()))
    return parse_recipe(document)


def parse_recipe(document: dict[str, Any]) -> Recipe:
    """Validate a recipe given as JSON-like data. Raises `RecipeError` naming the field."""
    try:
        return Recipe.model_validate_json(json.dumps(document))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "recipe"
        raise RecipeError(
            f"{field}: {first['msg']}, got {first['input']!r}",
            where=f"field {field}",
            expected="a value of the recipe's type and range",
            remedy="see `harness list recipes --json` for every field",
        ) from error


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _replace(document: dict[str, Any], key: str, value: Any) -> None:
    *path, last = key.split(".")
    place: Any = document
    for part in path:
        place = _child(place, part, key)
    _child(place, last, key)
    if isinstance(place, list):
        place[int(last)] = value
    else:
        place[last] = value


def _child(place: Any, part: str, key: str) -> Any:
    if isinstance(place, list) and part.isdigit() and int(part) < len(place):
        return place[int(part)]
    if isinstance(place, dict) and part in place:
        return place[part]
    names = ", ".join(place) if isinstance(place, dict) else "a number within the list"
    raise RecipeError(
        f"a recipe has no field {key!r}",
        where=f"at {part!r}",
        expected=f"one of {names}" if isinstance(place, dict | list) else "no deeper field",
        remedy="see `harness list recipes --json` for every field",
    )


def changed_fields(before: BaseModel, after: BaseModel) -> tuple[str, ...]:
    """Top-level fields in which two recipes differ."""
    return tuple(
        name for name in type(before).model_fields if getattr(before, name) != getattr(after, name)
    )
