"""A recipe from a TOML file of one's own."""

import tomllib
from pathlib import Path
from typing import Any

from harness.errors import RecipeError
from harness.recipes.fields import NONE
from harness.recipes.recipe import Recipe
from harness.recipes.settings import check_consistent, parse_recipe

SUFFIX = ".toml"


def is_file_name(which: str) -> bool:
    """Whether a RECIPE argument means a file: a recipe's name has neither a dot nor a slash."""
    return which.endswith(SUFFIX) or "/" in which


def read_recipe(path: Path) -> Recipe:
    """Read and validate a recipe.

    Raises:
        RecipeError: the file cannot be read, is no TOML, or is no recipe; the field is named
            with what it takes. Or its parts do not fit together.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RecipeError(
            f"the recipe cannot be read: {error}",
            where=str(path),
            expected="a TOML file, such as `harness recipe show smoke --name mine` prints",
            remedy="correct the path or the syntax",
        ) from error
    if "kind" in document and "phases" not in document:
        raise RecipeError(
            f"the file holds a target or baselines (kind {document['kind']!r}), not a recipe",
            where=str(path),
            expected="a recipe, such as `harness recipe show smoke --name mine` prints",
            remedy="name the recipe; a target is named with --target, or after `harness reproduce`",
        )
    recipe = parse_recipe(without_none(document), where=str(path))
    check_consistent(recipe)
    return recipe


def without_none(value: Any) -> Any:
    """What a TOML file holds, with None where it says "none"."""
    if isinstance(value, dict):
        return {key: without_none(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [without_none(inner) for inner in value]
    return None if value == NONE else value
