"""Whether a recipe's input and a data set fit together: told before anything is trained."""

import numpy as np

from harness.data.dataset import Split
from harness.errors import DataError, RecipeError
from harness.recipes.protocol import Normalisation
from harness.recipes.recipe import Augmentation, Recipe


def check_input(recipe: Recipe, train: Split, val: Split) -> None:
    """Check both splits.

    Raises:
        RecipeError: other channels, or a crop that does not fit.
        DataError: a training image has not the size that the recipe's padding needs.
    """
    for protocol in recipe.protocols().values():
        check_channels(val, protocol.normalisation)
    check_training(train, recipe.augmentation, recipe.normalisation, recipe.model.image_size)


def check_training(
    split: Split, augmentation: Augmentation, normalisation: Normalisation, image_size: int
) -> None:
    """Check the training images; errors as for `check_input`."""
    check_channels(split, normalisation)
    check_crop(augmentation, normalisation, image_size)
    if augmentation.padding is None:
        return
    if split.channels == 1 != normalisation.channel_count:
        raise _other_channels(split, normalisation)
    _check_stored_sizes(split, augmentation.short_side[0])


def check_crop(augmentation: Augmentation, normalisation: Normalisation, image_size: int) -> None:
    """Raise `RecipeError` where a recipe's input fits no data: colours of grey, or the crop."""
    _check_colours(augmentation, normalisation)
    check = _check_scaled_crop if augmentation.padding is None else _check_padded_crop
    check(augmentation, image_size)


def check_channels(split: Split, normalisation: Normalisation) -> None:
    """Raise `RecipeError` where one channel is wanted of images that have more.

    Grey images can be read as colour with three equal channels, as every decoder
    does; only a recipe that takes images as they are stored refuses that.
    """
    if normalisation.channel_count == 1 != split.channels:
        raise _other_channels(split, normalisation)


def _other_channels(split: Split, normalisation: Normalisation) -> RecipeError:
    found = {1: "one channel", 3: "three channels", "mixed": "one channel or three"}
    return RecipeError(
        f"the recipe takes images of {found[normalisation.channel_count]} and those of the data "
        f"set are stored with {found[split.channels]}",
        where=f"normalisation.channels is {normalisation.channels}; the first image is "
        f"{split.paths[0]}",
        expected="as many channels in the recipe as in the data set",
        remedy="take a recipe for such images, or the data set that the recipe is for",
    )


def _check_colours(augmentation: Augmentation, normalisation: Normalisation) -> None:
    names = ("hue_degrees", "saturation", "value", "pca_std")
    asked = [name for name in names if getattr(augmentation, name) is not None]
    if asked and normalisation.channel_count == 1:
        raise RecipeError(
            f"a grey image has no colours, and the recipe changes them: {', '.join(asked)}",
            where="augmentation",
            expected="no colour steps beside normalisation.channels=grey",
            remedy=" ".join(f"--set augmentation.{name}=null" for name in asked),
        )


def _check_scaled_crop(augmentation: Augmentation, image_size: int) -> None:
    smallest = augmentation.short_side[0]
    if smallest < image_size:
        raise RecipeError(
            f"the short side can be {smallest}, less than the crop's {image_size}",
            where="augmentation.short_side",
            expected=f"a range that begins at {image_size} or above",
            remedy="raise short_side or lower the model's image_size",
        )


def _check_padded_crop(augmentation: Augmentation, image_size: int) -> None:
    side, padding = augmentation.short_side[0], augmentation.padding or 0
    if image_size > side + 2 * padding:
        raise RecipeError(
            f"a crop of {image_size} pixels is larger than the padded image: {side} pixels and "
            f"{padding} zeros on each side make {side + 2 * padding}",
            where="model.image_size and augmentation.padding",
            expected=f"a crop of at most {side + 2 * padding} pixels",
            remedy="lower model.image_size or raise augmentation.padding",
        )


def _check_stored_sizes(split: Split, side: int) -> None:
    other = np.flatnonzero((split.heights != side) | (split.widths != side))
    if not len(other):
        return
    first = int(other[0])
    height, width = int(split.heights[first]), int(split.widths[first])
    raise DataError(
        f"{len(other):,} of {len(split):,} training images are not {side} x {side} pixels: "
        f"{split.ids[first]} has {height} x {width} (height x width)",
        where=split.paths[first],
        expected=f"{side} x {side}, as augmentation.short_side says; with augmentation.padding no "
        "image is stretched or scaled",
        remedy="take the data set that the recipe is for; for square images of another size, one "
        f"for all, --set 'augmentation.short_side=[{height}, {height + 1}]'",
    )
