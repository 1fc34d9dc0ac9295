"""A recipe of one's own, begun from another."""

from pydantic import ValidationError

from harness.errors import RecipeError
from harness.recipes.recipe import Notes, Recipe


def begun_from(recipe: Recipe, name: str) -> Recipe:
    """The same recipe under a name of its own, with notes that claim nothing.

    Raises:
        RecipeError: it is no name of a recipe.
    """
    notes = Notes(
        title="own recipe",
        citation=f"begun from {recipe.name}: {recipe.notes.citation}",
        command=f"harness run {name}.toml --data DIR --seed 1",
        expected="nothing is known yet",
    )
    try:
        return Recipe.model_validate({**recipe.__dict__, "name": name, "notes": notes})
    except ValidationError as error:
        raise RecipeError(
            f"{name!r} is no name of a recipe",
            where="--name",
            expected="lower case letters, digits and hyphens, such as my-resnet34",
            remedy="choose another",
        ) from error
