"""The network that a run begins with."""

import keras

from harness.data.dataset import DataSet
from harness.models.build import build_model
from harness.runner.request import RunRequest
from harness.weights.transfer import freeze_trunk, load_trunk
from harness.workflows.initial_weights import initial_weights


def initial_network(
    request: RunRequest, data: DataSet, seed: int
) -> tuple[keras.Model, str | None]:
    """Build the recipe's network from the seed, its trunk from a file where one is given.

    Call inside the strategy's scope.

    Returns:
        The network and the hex sha256 of the file, if there is one.

    Raises:
        WeightsError: the recipe may not start from the file.
    """
    recipe = request.recipe
    model = build_model(
        recipe.model,
        classes=recipe.model.classes or len(data.classes),
        seed=seed,
        channels=recipe.normalisation.channel_count,
        precision=recipe.precision,
    )
    weights = initial_weights(request)
    if weights is None:
        return model, None
    load_trunk(model, recipe.model.name, weights)
    if recipe.model.trunk == "imported_frozen":
        freeze_trunk(model)
    return model, weights.sha256
