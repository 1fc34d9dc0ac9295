"""A run's length follows from its recipe and its data, so that none is cut where it pleased."""

from harness.errors import RecipeError
from harness.record.schema import RunStarted


def other_length(started: RunStarted) -> str | None:
    """How the length that a journal states differs from its recipe's, in words.

    A replay confirms every step of a run that was cut, so that only this tells it.
    """
    recipe, images = started.recipe, started.data.train_images
    found = (started.steps_per_epoch, started.steps_total)
    try:
        per_epoch = recipe.steps_in_epoch(images)
        wanted = (per_epoch, recipe.total_steps(per_epoch))
    except RecipeError:
        return f"{images:,} training images do not fill a batch of the recipe {recipe.name}"
    if found == wanted:
        return None
    return (
        f"it is of {found[1]:,} steps, {found[0]:,} an epoch, and its recipe {recipe.name} has "
        f"{wanted[1]:,}, {wanted[0]:,} an epoch, on {images:,} training images"
    )
