"""The network that a run begins with."""

import keras

from harness.data.dataset import DataSet
from harness.models.build import build_model
from harness.models.transfer import check_input, freeze_trunk, load_trunk
from harness.workflows.request import RunRequest
from harness.workflows.weight_source import read_weights


def initial_network(
    request: RunRequest, data: DataSet, seed: int
) -> tuple[keras.Model, str | None]:
    """Build the recipe's network from the seed, its trunk from a file where one is given.

    Call inside the strategy's scope.

    Returns:
        The network and the hex sha256 of the file, if there is one.
    """
    recipe = request.recipe
    model = build_model(
        recipe.model,
        classes=recipe.model.classes or len(data.classes),
        seed=seed,
        precision=recipe.precision,
    )
    if request.init is None:
        return model, None
    weights, _ = read_weights(request.init)
    check_input(weights, recipe.model.name, recipe.normalisation)
    load_trunk(model, weights)
    if recipe.model.trunk == "imported_frozen":
        freeze_trunk(model)
    return model, weights.sha256
