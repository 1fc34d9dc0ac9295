"""The weights that `--init` names, checked before any run is begun."""

from harness.errors import WeightsError
from harness.record.run_folder import existing_journal, run_folder
from harness.runner.request import RunRequest
from harness.weights.files import WeightArrays
from harness.weights.source import read_weights
from harness.weights.trunk import check_input, check_trunk


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
