"""The network that a run begins with, and the weights that `--init` names."""

from collections.abc import Mapping

import keras

from harness.errors import WeightsError
from harness.models.build import build_model
from harness.recipes.recipe import Recipe
from harness.record.run_folder import Begun
from harness.runner.request import RunRequest
from harness.weights.files import WeightArrays
from harness.weights.source import read_weights
from harness.weights.transfer import freeze_as_told, load_trunk
from harness.weights.trunk import check_input, check_trunk


def initial_network(
    recipe: Recipe, classes: int, seed: int, weights: WeightArrays | None = None
) -> keras.Model:
    """Build the recipe's network from the seed, its trunk from `weights` where they are given.

    A benchmark gives none: a frozen trunk costs the same whatever its weights. Call inside the
    strategy's scope.
    """
    model = build_model(
        recipe.model,
        classes=classes,
        seed=seed,
        channels=recipe.normalisation.channel_count,
        precision=recipe.precision,
    )
    if weights is not None:
        load_trunk(model, recipe.model.name, weights)
    freeze_as_told(model, recipe.model)
    return model


def initial_weights(request: RunRequest, begun: Mapping[int, Begun]) -> WeightArrays | None:
    """Read the weights of `--init` and check that the recipe may start from them.

    Raises:
        WeightsError: unreadable, of another network, of unknown or other input
            normalisation, or not those with which a seed was begun.
    """
    if request.init is None:
        return None
    recipe = request.recipe
    weights, _ = read_weights(request.init)
    check_trunk(weights, recipe.model.name, recipe.normalisation.channel_count)
    check_input(weights, recipe.model.name, recipe.normalisation, request.normalisation)
    for seed, run in begun.items():
        recorded = run.journal.started.init_weights
        if recorded not in (None, weights.sha256):
            raise WeightsError(
                f"seed {seed} was begun from other weights; these have sha256 {weights.sha256}",
                where=f"{weights.source}, and {run.journal.path.parent}",
                expected=f"sha256 {recorded}",
                remedy="give the file that the run began with, or name another folder with --runs",
            )
    return weights
