"""All recipes by name. Adding one: a value in a file of its source, a line here."""

import difflib
from pathlib import Path

from harness.errors import RecipeError
from harness.recipes.files import is_file_name, read_recipe
from harness.recipes.published.apm5 import (
    APM5_RESNET50,
    APM5_RESNET50_BF16,
    APM5_RESNET50_TF32,
)
from harness.recipes.published.apm5_2020 import APM5_RESNET18_2020, APM5_RESNET50_2020
from harness.recipes.published.apm5_resnet18 import APM5_RESNET18
from harness.recipes.published.he2015 import HE2015_RESNET50
from harness.recipes.published.he2015_cifar import HE2015_CIFAR10
from harness.recipes.published.keras_resnet50 import KERAS_RESNET50
from harness.recipes.published.zhong2020 import ZHONG2020_FASHION
from harness.recipes.recipe import Precision, Recipe
from harness.recipes.smoke import SMOKE
from harness.recipes.transfer import TRANSFER, TRANSFER_FROZEN, TRANSFER_SCRATCH

RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        APM5_RESNET50,
        APM5_RESNET50_BF16,
        APM5_RESNET50_TF32,
        APM5_RESNET18,
        APM5_RESNET50_2020,
        APM5_RESNET18_2020,
        KERAS_RESNET50,
        HE2015_RESNET50,
        *HE2015_CIFAR10,
        *ZHONG2020_FASHION,
        SMOKE,
        TRANSFER,
        TRANSFER_FROZEN,
        TRANSFER_SCRATCH,
    )
}


def in_precisions(recipe: Recipe) -> dict[str, Recipe]:
    """The catalogue's recipes that differ from this one in their arithmetic alone, by its name."""

    def rest(one: Recipe) -> Recipe:
        return one.model_copy(update={"name": "", "notes": recipe.notes, "precision": Precision()})

    return {one.precision.name: one for one in RECIPES.values() if rest(one) == rest(recipe)}


def find_recipe(which: str) -> Recipe:
    """The recipe of this name, or of a TOML file by its path.

    Raises:
        RecipeError: there is no recipe of this name (the nearest are named), the file is no
            recipe, or it computes something else under the name of one that is here.
    """
    if is_file_name(which):
        return _own(Path(which))
    if which in RECIPES:
        return RECIPES[which]
    near = difflib.get_close_matches(which, RECIPES, n=3, cutoff=0.4)
    raise RecipeError(
        f"there is no recipe named {which!r}",
        expected=f"one of {', '.join(RECIPES)}, or a TOML file",
        remedy=f"did you mean {' or '.join(near)}?" if near else "see `harness list recipes`",
    )


def _own(path: Path) -> Recipe:
    recipe = read_recipe(path)
    known = RECIPES.get(recipe.name)
    if known is not None and known.digest != recipe.digest:
        raise RecipeError(
            f"the file computes something else than the recipe {recipe.name} of the catalogue",
            where=f"{path}, field name",
            expected="a name of its own, because targets and reports go by it",
            remedy=f'such as name = "my-{recipe.name}"',
        )
    return recipe
