"""A transfer beside training from scratch: the paired comparison, or how to make it."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.recipes.recipe import Recipe
from harness.recipes.transfer import TRANSFER, TRANSFER_FROZEN, TRANSFER_SCRATCH
from harness.record.journal import Journal
from harness.record.run_folder import existing_journal, run_folder
from harness.runner.request import RunRequest
from harness.verdict.paired import PairedComparison, comparison_text


@dataclass(frozen=True)
class AgainstScratch:
    """What a seed of a transfer gained over the same seed from scratch.

    Attributes:
        seed: Of both runs.
        comparison: First from scratch, second the transfer; None when one of
            the two has not ended, or they cannot be compared.
        reason: Why there is no comparison.
        commands: What makes it, in this order.
    """

    seed: int
    comparison: PairedComparison | None
    reason: str = ""
    commands: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """As JSON-like data; accuracies are fractions."""
        found = self.comparison.model_dump(mode="json") if self.comparison else None
        return {
            "seed": self.seed,
            "comparison": found,
            "reason": self.reason,
            "commands": list(self.commands),
        }

    def text(self) -> str:
        """For a person."""
        if self.comparison is not None:
            return (
                f"seed {self.seed}, from scratch (first) and from imported weights (second):\n"
                + comparison_text(self.comparison)
            )
        lines = [f"seed {self.seed} is not compared with training from scratch: {self.reason}"]
        return "\n".join([*lines, *(f"  {command}" for command in self.commands)])


def scratch_recipe(recipe: Recipe) -> Recipe:
    """The same recipe with all weights drawn from the seed."""
    known = {TRANSFER.name, TRANSFER_FROZEN.name}
    name = TRANSFER_SCRATCH.name if recipe.name in known else recipe.name
    model = recipe.model.model_copy(update={"trunk": "from_seed"})
    return recipe.model_copy(update={"name": name, "model": model})


def against_scratch(request: RunRequest, seed: int) -> AgainstScratch:
    """Compare a seed with the one from scratch in the same runs folder.

    It must have the same recipe but for the imported weights, the same data
    root and seed, and have ended.
    """
    scratch = run_folder(request.runs, scratch_recipe(request.recipe), seed)
    transfer = run_folder(request.runs, request.recipe, seed)
    journals = {"it": existing_journal(transfer), "that run": existing_journal(scratch)}
    compare = shlex.join(["harness", "compare", str(scratch.path), str(transfer.path)])
    missing = [name for name, journal in journals.items() if not _completed(journal)]
    if missing:
        steps = (_scratch_command(request, seed),) if "that run" in missing else ()
        reason = f"{' and '.join(missing)} must be completed first"
        return AgainstScratch(seed, None, reason, (*steps, compare))
    roots = {j.started.data.root_digest for j in journals.values() if j is not None}
    if len(roots) > 1:
        return AgainstScratch(seed, None, f"{scratch.path} was trained on other data")
    return _compared(seed, scratch.path, transfer.path, compare)


def _compared(seed: int, scratch: Path, transfer: Path, command: str) -> AgainstScratch:
    from harness.analysis.compare import compare

    try:
        return AgainstScratch(seed, compare(scratch, transfer))
    except HarnessError as error:
        # The training is done; that it cannot be compared is no reason to fail.
        return AgainstScratch(seed, None, error.found, (command,))


def _completed(journal: Journal | None) -> bool:
    finished = journal.finished if journal is not None else None
    return finished is not None and finished.status == "completed"


def _scratch_command(request: RunRequest, seed: int) -> str:
    recipe = scratch_recipe(request.recipe)
    words = ["harness", "run", recipe.name, "--data", str(request.data)]
    words += ["--runs", str(request.runs), "--seed", str(seed)]
    kept = (s for s in request.settings if s.partition("=")[0].strip() != "model.trunk")
    words += [word for setting in kept for word in ("--set", setting)]
    if request.eval_images is not None:
        words += ["--eval-images", str(request.eval_images)]
    return shlex.join(words)
