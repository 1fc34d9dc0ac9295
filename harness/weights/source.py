"""From what a user names as weights to a network that holds them."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import ModelError, RecordError, UsageError, WeightsError
from harness.models.catalogue import check_name, describe, names
from harness.numerics.tensorflow_import import import_tensorflow
from harness.recipes.protocol import Normalisation
from harness.recipes.recipe import Model, Precision, Recipe
from harness.record.journal import journal_in, read_journal
from harness.weights.description import Order, WeightsDescription, class_count, describe_weights
from harness.weights.files import WeightArrays, read_weight_file
from harness.weights.matching import assign_weights, check_fits, fitting_models
from harness.weights.refusals import no_checkpoint

if TYPE_CHECKING:
    import keras

IMAGENET = "imagenet"
"""Named instead of a file: Keras' own download."""

STATE_FILE = "state.npz"


@dataclass(frozen=True)
class Imported:
    """Weights that fit a network and are described.

    Attributes:
        model_name: The network's name in the catalogue.
        weights: Arrays by variable path.
        description: Normalisation, class order and classes.
        recipe: The recipe of the run they come from, if they are a checkpoint.
    """

    model_name: str
    weights: WeightArrays
    description: WeightsDescription
    recipe: Recipe | None = None

    def model(self, precision: Precision | None = None) -> "keras.Model":
        """Build the network with these weights, classes in the file's own order."""
        from harness.models.build import build_model

        size = describe(self.model_name).image_size
        spec = Model(name=self.model_name, image_size=size)
        made = build_model(
            spec,
            classes=self.description.classes,
            seed=0,
            channels=self.description.normalisation.channel_count,
            precision=precision,
        )
        assign_weights(made, self.weights)
        return made


def import_weights(
    source: str,
    *,
    model_name: str | None = None,
    normalisation: Normalisation | None = None,
    class_order: Order | None = None,
) -> Imported:
    """Read, check and describe weights.

    Args:
        source: A weight file, a checkpoint folder, a run's folder (its newest
            checkpoint), or `imagenet` for Keras' own download.
        model_name: The network; found out where None.
        normalisation: As the user states.
        class_order: As the user states.

    Raises:
        WeightsError: unreadable, of another network, or not described.
        ModelError: no such network.
        UsageError: the network must be named.
    """
    if model_name is not None:
        check_name(model_name)
    if source == IMAGENET:
        return _keras_download(model_name, normalisation, class_order)
    weights, recipe = read_weights(Path(source))
    if recipe is not None and model_name is None:
        model_name = recipe.model.name
    return _fitted(weights, model_name, normalisation, class_order, recipe)


def read_weights(path: Path) -> tuple[WeightArrays, Recipe | None]:
    """Read a weight file, or the newest checkpoint of a folder with its run's recipe.

    Raises:
        WeightsError: unreadable, or a folder without a checkpoint.
    """
    return _checkpoint(path) if path.is_dir() else (read_weight_file(path), None)


def _fitted(
    weights: WeightArrays,
    model_name: str | None,
    normalisation: Normalisation | None,
    class_order: Order | None,
    recipe: Recipe | None = None,
) -> Imported:
    name = model_name or _only_fit(weights)
    check_fits(name, class_count(weights, name), weights)
    description = describe_weights(
        weights, name, normalisation=normalisation, class_order=class_order
    )
    return Imported(name, weights, description, recipe)


def _only_fit(weights: WeightArrays) -> str:
    fits = fitting_models(weights.shapes)
    if len(fits) == 1:
        return fits[0]
    if not fits:
        raise WeightsError(
            f"the {len(weights.arrays)} arrays fit no network",
            where=weights.source,
            expected="the weights of a network that `harness list models` prints",
            remedy="check where the file comes from",
        )
    raise UsageError(
        f"the weights fit several networks: {', '.join(fits)}",
        where=weights.source,
        expected="one of them by --model; they compute different things with equal shapes",
        remedy=f"add --model {fits[0]}, or whichever made the file",
    )


def _checkpoint(folder: Path) -> tuple[WeightArrays, Recipe | None]:
    from harness.training.checkpoint import read_checkpoint

    folder = _newest(folder)
    loaded = read_checkpoint(folder)
    arrays = {
        name.removeprefix("weights/"): array
        for name, array in loaded.arrays.items()
        if name.startswith("weights/")
    }
    recipe, description = _of_run(folder.parent.parent)
    weights = WeightArrays(
        str(folder),
        "checkpoint",
        _state_digest(folder),
        arrays,
        description.model_dump_json() if description else None,
    )
    return weights, recipe


def _newest(folder: Path) -> Path:
    """The checkpoint in a checkpoint's, checkpoints' or run's folder."""
    if (folder / STATE_FILE).exists():
        return folder
    for parent in (folder, folder / "checkpoints"):
        found = sorted(p.parent for p in parent.glob(f"step-*/{STATE_FILE}"))
        if found:
            return found[-1]
    raise no_checkpoint(folder, STATE_FILE)


def _state_digest(folder: Path) -> str:
    with (folder / STATE_FILE).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _of_run(run: Path) -> tuple[Recipe | None, WeightsDescription | None]:
    """What the journal beside a checkpoint says about its weights."""
    if not journal_in(run):
        return None, None
    try:
        started = read_journal(run).started
    except RecordError as error:
        raise WeightsError(
            "the journal beside the checkpoint cannot be read",
            where=str(run),
            expected="the journal of the run that wrote the checkpoint",
            remedy="restore it, or copy the checkpoint elsewhere and describe it by options",
        ) from error
    description = WeightsDescription(
        normalisation=started.recipe.normalisation,
        class_order=started.data.class_order,
        classes=len(started.data.classes),
        class_names=started.data.classes if started.data.class_order == "folder" else (),
    )
    return started.recipe, description


def _keras_download(
    model_name: str | None, normalisation: Normalisation | None, class_order: Order | None
) -> Imported:
    keras_names = [name for name in names() if name.startswith("keras-")]
    if model_name not in keras_names:
        raise ModelError(
            f"Keras publishes no ImageNet weights for {model_name or 'an unnamed model'}",
            expected=f"--model with one of {', '.join(keras_names)}",
            remedy="name one of these, or a weight file",
        )
    import_tensorflow()  # quietly; Keras would import it with all that it says
    from harness.weights.download import download_imagenet

    return _fitted(download_imagenet(model_name), model_name, normalisation, class_order)
