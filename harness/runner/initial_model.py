"""The network that a run begins with, and the weights that `--init` names."""

import keras

from harness.data.dataset import DataSet
from harness.errors import WeightsError
from harness.models.build import build_model
from harness.record.run_folder import existing_journal, run_folder
from harness.runner.request import RunRequest
from harness.weights.files import WeightArrays
from harness.weights.source import read_weights
from harness.weights.transfer import freeze_trunk, load_trunk
from harness.weights.trunk import check_input, check_trunk


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


def initial_weights(request: RunRequest) -> WeightArrays | None:
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
    for seed in request.seeds:
        _check_begun(request, seed, weights)
    return weights


def _check_begun(request: RunRequest, seed: int, weights: WeightArrays) -> None:
    """Refuse other weights than those that the journal of a seed names."""
    folder = run_folder(request.runs, request.recipe, seed)
    journal = existing_journal(folder)
    if journal is None or journal.started.init_weights in (None, weights.sha256):
        return
    raise WeightsError(
        f"seed {seed} was begun from other weights; these have sha256 {weights.sha256}",
        where=f"{weights.source}, and {folder.path}",
        expected=f"sha256 {journal.started.init_weights}",
        remedy="give the file that the run began with, or name another folder with --runs",
    )
