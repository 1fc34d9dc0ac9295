"""A recipe at another batch as Goyal et al. change it: `--set linear_scaling=BATCH`.

Source: Goyal et al. 2017, "Accurate, Large Minibatch SGD" (arXiv:1706.02677),
sections 2.1 and 2.2: when the batch grows k-fold, so does the learning rate,
and it is reached over five epochs from the rate of the small batch. For a
smaller batch the rates alone are scaled: there is no large rate to warm up to.
Nothing changes a learning rate unasked; this is a deviation from a recipe's
source and is recorded as one.
"""

from typing import Any

from harness.errors import RecipeError

SETTING = "linear_scaling"
WARM_UP_EPOCHS = 5


def linearly_scaled(document: dict[str, Any], batch: Any) -> dict[str, Any]:
    """A recipe's JSON-like data at another batch; at its own batch as it is.

    For a larger batch a warm-up that the recipe has is replaced; the first phase
    after it is shortened so that the number of epochs stays. Where a phase is
    counted in steps all are, and each becomes shorter as the batch grows. For a
    smaller one each phase keeps its passes, and none comes in or goes.

    Args:
        document: The recipe.
        batch: The new global batch.

    Raises:
        RecipeError: it is no batch, the recipe is too short for the warm-up, or
            its steps cannot be expressed in epochs.
    """
    if not isinstance(batch, int) or isinstance(batch, bool) or batch < 1:
        raise RecipeError(
            f"{SETTING}={batch} is no batch",
            where=f"field {SETTING}",
            expected="a global batch, such as 1024",
            remedy="correct it",
        )
    factor = batch / document["batch"]
    steps = document["steps_per_epoch"]
    steps_per_epoch = None if steps is None else max(1, round(steps / factor))
    changed = {"batch": batch, "steps_per_epoch": steps_per_epoch}
    phases = list(document["phases"])
    if factor <= 1:
        scaled = [_of_smaller_batch(phase, factor) for phase in phases]
        return {**document, **changed, "phases": scaled} if factor < 1 else document
    unit, epoch = _unit_of_length(phases, steps_per_epoch)
    whole = sum(_length(phase, factor, epoch) for phase in phases)
    while phases and _is_warm_up(phases[0]):
        phases.pop(0)
    lengths = [_length(phase, factor, epoch) for phase in phases]
    kept = whole - WARM_UP_EPOCHS * epoch - sum(lengths[1:])
    if not phases or kept < 1:
        raise RecipeError(
            f"the recipe is too short for {WARM_UP_EPOCHS} epochs of warm-up",
            where="field phases",
            expected=f"a phase of more than {WARM_UP_EPOCHS} epochs after its own warm-up",
            remedy="give batch and phases yourself with --set",
        )
    lengths[0] = kept
    base = _first_rate(phases[0]["rate"])
    warm_up = {"kind": "linear", "start": base, "end": base * factor}
    first = {unit: WARM_UP_EPOCHS * epoch, "rate": warm_up, "reset_momentum": False}
    scaled = [
        {**phase, "epochs": None, "steps": None, unit: n, "rate": _scaled(phase["rate"], factor)}
        for phase, n in zip(phases, lengths, strict=True)
    ]
    return {**document, **changed, "phases": [first, *scaled]}


def _of_smaller_batch(phase: dict[str, Any], factor: float) -> dict[str, Any]:
    steps = {"steps": _length(phase, factor, 1)} if phase.get("steps") else {}
    return {**phase, **steps, "rate": _scaled(phase["rate"], factor)}


def _unit_of_length(phases: list[dict[str, Any]], steps_per_epoch: int | None) -> tuple[str, int]:
    """In what all phases are counted, and how much of it an epoch is."""
    if not any(phase.get("steps") for phase in phases):
        return "epochs", 1
    if steps_per_epoch is None:
        raise RecipeError(
            f"phases are counted in steps, and the warm-up takes {WARM_UP_EPOCHS} epochs",
            where="field phases",
            expected="a recipe that says how many steps an epoch has",
            remedy=f"--set steps_per_epoch=N before --set {SETTING}, such as "
            "floor(training images / batch)",
        )
    return "steps", steps_per_epoch


def _length(phase: dict[str, Any], factor: float, epoch: int) -> int:
    """Of a phase at the new batch, in the unit of which an epoch has `epoch`."""
    if phase.get("steps"):
        return max(1, round(int(phase["steps"]) / factor))
    return int(phase["epochs"]) * epoch


def _is_warm_up(phase: dict[str, Any]) -> bool:
    rate = phase["rate"]
    return bool(rate["kind"] == "linear" and rate["start"] < rate["end"])


def _first_rate(rate: dict[str, Any]) -> float:
    return float(rate["rate"] if rate["kind"] == "constant" else rate["start"])


def _scaled(rate: dict[str, Any], factor: float) -> dict[str, Any]:
    return {k: v * factor if k in {"start", "end", "rate"} else v for k, v in rate.items()}
