"""From what parted first and what is recorded differently to causes, most likely first."""

from dataclasses import dataclass

from harness.record.certificate import StepDetail, StepDifference
from harness.record.divergence import Origin, RecordedDifferences, ReplayFinding

ARITHMETIC: frozenset[Origin] = frozenset({"loss", "gradients", "weights", "unknown"})
INPUT: frozenset[Origin] = frozenset({"images", "image contents", "batch"})

ORIGIN_OF_PART: dict[str, Origin] = {
    "learning rate": "learning rate",
    "batch": "batch",
    "loss": "loss",
    "gradients": "gradients",
    "gradients or weights": "unknown",
}


def compare_details(
    difference: StepDifference, a: StepDetail | None, b: StepDetail | None, notes: tuple[str, ...]
) -> ReplayFinding:
    """What parted first at a step that was taken apart in both runs."""
    recorded = ORIGIN_OF_PART[difference.part]
    if a is None or b is None:
        return ReplayFinding(origin=recorded, notes=notes)
    runs = {"A": a, "B": b}
    altered = {name: one.altered_state for name, one in runs.items() if one.altered_state}
    missed = tuple(name for name, one in runs.items() if not one.reproduces)
    origin, names, of = _origin(a, b, recorded)
    return ReplayFinding(
        origin=origin,
        names=names,
        of=of,
        altered_state=altered,
        not_reproduced=missed,
        notes=notes,
    )


def _origin(a: StepDetail, b: StepDetail, recorded: Origin) -> tuple[Origin, tuple[str, ...], int]:
    ids_a, ids_b = ([name for name, _ in one.images] for one in (a, b))
    if recorded == "learning rate":
        return recorded, (), 0
    if ids_a != ids_b:
        moved = [name for name, other in zip(ids_b, ids_a, strict=False) if name != other]
        return "images", tuple(moved), len(ids_b)
    contents = tuple(
        name for (name, one), (_, other) in zip(a.images, b.images, strict=True) if one != other
    )
    if contents:
        return "image contents", contents, len(ids_a)
    if recorded == "batch":
        return "batch", (), len(ids_a)
    before = _differing(a.before, b.before)
    if before:
        return "state before the step", before, len(a.before)
    return _computed(a, b, recorded)


def _computed(
    a: StepDetail, b: StepDetail, recorded: Origin
) -> tuple[Origin, tuple[str, ...], int]:
    names = _differing(a.tensor_fingerprints, b.tensor_fingerprints)
    if "loss" in names:
        return "loss", (), 0
    kinds: tuple[tuple[Origin, str], ...] = (("gradients", "gradients/"), ("weights", "weights/"))
    for origin, prefix in kinds:
        chosen = [name for name in names if name.startswith(prefix)]
        # Gradients are computed from the last layer to the first.
        ordered = chosen[::-1] if origin == "gradients" else chosen
        if chosen:
            return (
                origin,
                tuple(ordered),
                sum(name.startswith(prefix) for name in a.tensor_fingerprints),
            )
    return recorded, (), 0


def _differing(a: dict[str, str], b: dict[str, str]) -> tuple[str, ...]:
    return tuple(name for name in a if name not in b or a[name] != b[name])


@dataclass(frozen=True)
class _Cause:
    weight: int
    text: str


def likely_causes(
    first: StepDifference | None,
    finding: ReplayFinding | None,
    differences: RecordedDifferences,
) -> tuple[str, ...]:
    """Causes in words, most likely first.

    A cause outranks another when it explains what parted first: a seed
    everything, a changed file the images, arithmetic what is computed from
    equal inputs.
    """
    if first is None:
        return ()
    origin = finding.origin if finding else ORIGIN_OF_PART[first.part]
    causes = _altered(finding) + _recorded(origin, first.step, differences)
    causes += _input(origin, finding, differences) + _unrepeatable(finding)
    if not causes:
        text = "nothing recorded differs: faulty memory or hardware, or an operation whose result "
        causes = [_Cause(0, text + "depends on the order of threads")]
    return tuple(c.text for c in sorted(causes, key=lambda c: -c.weight))


def _altered(finding: ReplayFinding | None) -> list[_Cause]:
    if finding is None:
        return []
    return [
        _Cause(
            110,
            f"the saved state of run {run} was changed outside the training: "
            f"{_some(tensors)} differ from what its journal recorded",
        )
        for run, tensors in finding.altered_state.items()
    ]


def _recorded(origin: Origin, step: int, differences: RecordedDifferences) -> list[_Cause]:
    causes = [_Cause(100, f"another seed ({text})") for text in differences.seed]
    if differences.recipe:
        causes.append(_Cause(90, f"another recipe ({_some(differences.recipe)})"))
    early = origin == "state before the step" and step == 0
    if differences.numerics:
        # Steps computed again under accepted numerics change the state before the step.
        computed = origin in ARITHMETIC or (origin == "state before the step" and not early)
        weight = 80 if computed else 20
        order = ("onednn", "intra_op_threads", "inter_op_threads", "op_determinism")
        keys = sorted(differences.numerics, key=lambda text: _place(text, order))
        causes += [_Cause(weight - i, f"other numerics: {text}") for i, text in enumerate(keys)]
    if differences.code:
        weight = 70 if early or origin in INPUT else 50
        causes.append(_Cause(weight, f"other code or versions ({_some(differences.code)})"))
    if differences.environment:
        weight = 30 if origin in ARITHMETIC else 5
        causes.append(_Cause(weight, f"another environment ({_some(differences.environment)})"))
    return causes


def _place(text: str, order: tuple[str, ...]) -> int:
    key = text.partition(":")[0]
    return order.index(key) if key in order else len(order)


def _input(
    origin: Origin, finding: ReplayFinding | None, differences: RecordedDifferences
) -> list[_Cause]:
    causes = []
    names = finding.names if finding else ()
    if differences.data:
        weight = 95 if origin in INPUT else 40
        changed = f"; first seen in {_some(names)}" if origin == "image contents" else ""
        causes.append(_Cause(weight, f"other data ({_some(differences.data)}){changed}"))
    unexplained = not (differences.seed or differences.data or differences.recipe)
    if origin == "images" and unexplained:
        causes.append(_Cause(75, "another order of the batch, with equal seed, data and recipe"))
    if origin == "image contents" and unexplained:
        causes.append(_Cause(75, f"other pixels of {_some(names)} with equal files"))
    if origin == "batch" and unexplained:
        missed = finding.not_reproduced if finding else ()
        of = f" in run {' and '.join(missed)}" if missed else ""
        text = f"another order of the batch or other pixels{of} than seed, data and recipe give"
        causes.append(_Cause(75, f"{text}: the input pipeline was another one"))
    return causes


def _unrepeatable(finding: ReplayFinding | None) -> list[_Cause]:
    if finding is None or finding.altered_state:
        return []
    return [
        _Cause(
            60,
            f"run {run} does not repeat this step in a replay: other code, faulty memory or disk, "
            "or an operation whose result depends on the order of threads",
        )
        for run in finding.not_reproduced
    ]


def _some(texts: tuple[str, ...], shown: int = 3) -> str:
    more = f" and {len(texts) - shown} more" if len(texts) > shown else ""
    return ", ".join(texts[:shown]) + more
