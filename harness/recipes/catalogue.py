"""All recipes by name. Adding one: a value in a file of its source, a line here."""

import difflib

from harness.errors import RecipeError
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
from harness.recipes.recipe import Recipe
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


def find_recipe(name: str) -> Recipe:
    """The recipe of this name. Raises `RecipeError`, naming the nearest ones."""
    if name in RECIPES:
        return RECIPES[name]
    near = difflib.get_close_matches(name, RECIPES, n=3, cutoff=0.4)
    raise RecipeError(
        f"there is no recipe named {name!r}",
        expected=f"one of {', '.join(RECIPES)}",
        remedy=f"did you mean {' or '.join(near)}?" if near else "see `harness list recipes`",
    )
