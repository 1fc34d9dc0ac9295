"""A recipe at another batch as Goyal et al. change it: `--set linear_scaling=BATCH`.

Source: Goyal et al. 2017, "Accurate, Large Minibatch SGD" (arXiv:1706.02677),
sections 2.1 and 2.2: when the batch grows k-fold, so does the learning rate,
and it is reached over five epochs from the rate of the small batch. Nothing
changes a learning rate unasked; this is a deviation from a recipe's source and
is recorded as one.
"""

from typing import Any

from harness.errors import RecipeError

SETTING = "linear_scaling"
WARM_UP_EPOCHS = 5


def linearly_scaled(document: dict[str, Any], batch: Any) -> dict[str, Any]:
    """A recipe's JSON-like data at another batch.

    A warm-up that the recipe has is replaced; the first phase after it is
    shortened so that the number of epochs stays.

    Args:
        document: The recipe.
        batch: The new global batch.

    Raises:
        RecipeError: it is no batch, or the recipe is too short for the warm-up.
    """
    if not isinstance(batch, int) or isinstance(batch, bool) or batch < 1:
        raise RecipeError(
            f"{SETTING}={batch} is no batch",
            where=f"field {SETTING}",
            expected="a global batch, such as 1024",
            remedy="correct it",
        )
    factor = batch / document["batch"]
    phases = list(document["phases"])
    epochs = sum(phase["epochs"] for phase in phases)
    while phases and _is_warm_up(phases[0]):
        phases.pop(0)
    kept = epochs - WARM_UP_EPOCHS - sum(phase["epochs"] for phase in phases[1:])
    if not phases or kept < 1:
        raise RecipeError(
            f"the recipe is too short for {WARM_UP_EPOCHS} epochs of warm-up",
            where="field phases",
            expected=f"a phase of more than {WARM_UP_EPOCHS} epochs after its own warm-up",
            remedy="give batch and phases yourself with --set",
        )
    base = _first_rate(phases[0]["rate"])
    warm_up = {"kind": "linear", "start": base, "end": base * factor}
    scaled = [{**phase, "rate": _scaled(phase["rate"], factor)} for phase in phases]
    scaled[0]["epochs"] = kept
    steps = document["steps_per_epoch"]
    return {
        **document,
        "batch": batch,
        "steps_per_epoch": None if steps is None else max(1, round(steps / factor)),
        "phases": [{"epochs": WARM_UP_EPOCHS, "rate": warm_up, "reset_momentum": False}, *scaled],
    }


def _is_warm_up(phase: dict[str, Any]) -> bool:
    rate = phase["rate"]
    return bool(rate["kind"] == "linear" and rate["start"] < rate["end"])


def _first_rate(rate: dict[str, Any]) -> float:
    return float(rate["rate"] if rate["kind"] == "constant" else rate["start"])


def _scaled(rate: dict[str, Any], factor: float) -> dict[str, Any]:
    return {k: v * factor if k in {"start", "end", "rate"} else v for k, v in rate.items()}
