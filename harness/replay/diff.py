"""`harness diff`: where two runs part first, in which tensor, and the likely causes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harness.errors import UsageError
from harness.record.certificate import StepDetail, StepDifference
from harness.record.divergence import Divergence, RecordedDifferences, ReplayFinding
from harness.record.journal import Journal, read_journal
from harness.replay.comparison import StepRecord, first_difference, records_of
from harness.replay.numerics_spans import stretch_at, stretches_of
from harness.replay.root_causes import compare_details, likely_causes
from harness.replay.setup import one_run
from harness.system.children import run_python

Say = Callable[[str], None]
WITHOUT_EFFECT = ("load_average_1min", "memory")
"""Parts of the environment that change from minute to minute."""

NOT_REPLAYED = (
    "Not looked at: which image or tensor parted first, whether each run repeats the step, and "
    "whether a saved state was altered. For that, give the command again without --no-replay; it "
    "needs the checkpoints and the data of both runs."
)


@dataclass(frozen=True)
class DiffRequest:
    """One `harness diff`.

    Attributes:
        run_a: A run's folder.
        run_b: Another's.
        data_a: Where the data of A lies; None takes the recorded place.
        data_b: The same for B.
        replay: Whether the first differing step is computed again in both.
    """

    run_a: Path
    run_b: Path
    data_a: Path | None = None
    data_b: Path | None = None
    replay: bool = True


def diff(request: DiffRequest, say: Say = lambda _text: None) -> Divergence:
    """Compare two runs step by step.

    Raises:
        RecordError: a path is no run.
        UsageError: both are the same, or they have no step in common.
    """
    folders = (one_run(request.run_a), one_run(request.run_b))
    if folders[0] == folders[1]:
        raise UsageError(
            "both paths are the same run",
            where=str(folders[0]),
            expected="two runs",
            remedy="name another",
        )
    a, b = (read_journal(folder) for folder in folders)
    for journal in (a, b):
        if journal.torn_bytes:
            say(f"{journal.path}: {journal.torn_bytes} bytes of a torn last line left out")
        if journal.excerpt:
            say(f"{journal.path}: {journal.excerpt.told}")
    records = (_records(a), _records(b))
    common = len(records[0].keys() & records[1].keys())
    if common == 0:
        raise UsageError(
            "the runs have no step in common",
            where=f"{folders[0]}, {folders[1]}",
            expected="runs that were trained",
            remedy="train both first",
        )
    first = first_difference(*records)
    finding = _finding(request, folders, first, say) if first else None
    step = first.step if first else max(records[0].keys() & records[1].keys())
    differences = recorded_differences(a, b, step)
    return Divergence(
        run_a=str(folders[0]),
        run_b=str(folders[1]),
        common_steps=common,
        first=first,
        finding=finding,
        ends_differ=() if first else tuple(_ends(a, b)),
        causes=likely_causes(first, finding, differences),
        differences=differences,
    )


def _records(journal: Journal) -> dict[int, StepRecord]:
    records: dict[int, StepRecord] = {}
    for window in journal.steps:
        records |= records_of(window)
    return records


def _finding(
    request: DiffRequest, folders: tuple[Path, Path], first: StepDifference, say: Say
) -> ReplayFinding:
    if not request.replay:
        return compare_details(first, None, None, (NOT_REPLAYED,))
    details: list[StepDetail | None] = []
    notes: list[str] = []
    for name, folder, data in zip(
        ("A", "B"), folders, (request.data_a, request.data_b), strict=True
    ):
        say(f"taking step {first.step} of run {name} apart")
        found, note = _detail(folder, first.step, data)
        details.append(found)
        notes += [f"run {name} could not be replayed: {note}"] if note else []
    return compare_details(first, details[0], details[1], tuple(notes))


def _detail(folder: Path, step: int, data: Path | None) -> tuple[StepDetail | None, str]:
    """A step taken apart in a process of its own: each run has its own threads and flags."""
    words = ["certify", str(folder), "--detail", str(step)]
    words += ["--data", str(data)] if data else []
    done = run_python("harness", *words)
    if done.returncode == 0:
        try:
            return StepDetail.model_validate_json(done.stdout), ""
        except ValidationError as error:
            return None, str(error)
    told = [line for line in done.stderr.splitlines() if line.startswith("harness: ")]
    return None, (told[-1] if told else done.stderr[-300:]).removeprefix("harness: ")


def _ends(a: Journal, b: Journal) -> Iterator[str]:
    if a.finished and b.finished:
        one, other = a.finished.weights_fingerprint, b.finished.weights_fingerprint
        if one != other:
            yield f"final weights: {one} | {other}"
    predictions = {(e.step, e.protocol_digest): e for e in b.evaluations}
    for event in a.evaluations:
        twin = predictions.get((event.step, event.protocol_digest))
        if (
            twin is not None
            and twin.images == event.images
            and twin.predictions_digest != event.predictions_digest
        ):
            yield f"predictions of {event.protocol.name} after step {event.step}"


def recorded_differences(a: Journal, b: Journal, step: int) -> RecordedDifferences:
    """What two journals say differently about the circumstances of their runs.

    Args:
        a: A run's journal.
        b: Another's.
        step: One that both recorded; the numerics compared are those in force there.
    """
    one, other = a.started, b.started
    numerics = [stretch_at(stretches_of(journal), step).numerics.model_dump() for journal in (a, b)]
    versions = [part.pop("versions") for part in numerics]
    data = (one.data.model_dump(), other.data.model_dump())
    return RecordedDifferences(
        seed=_pair("seed", one.seed, other.seed),
        recipe=tuple(
            _differences(
                one.recipe.model_dump(exclude={"name", "notes", "numerics"}),
                other.recipe.model_dump(exclude={"name", "notes", "numerics"}),
            )
        )
        + _pair("imported weights", one.init_weights, other.init_weights),
        data=tuple(_differences(*data)),
        numerics=tuple(_differences(numerics[0], numerics[1])),
        code=tuple(_differences(*versions)) + _pair("commit", one.git_commit, other.git_commit),
        environment=tuple(
            _differences(
                _without(one.environment, (*WITHOUT_EFFECT, "harness")),
                _without(other.environment, (*WITHOUT_EFFECT, "harness")),
            )
        ),
    )


def _without(document: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key not in keys}


def _pair(key: str, one: object, other: object) -> tuple[str, ...]:
    return () if one == other else (f"{key}: {_short(one)} | {_short(other)}",)


def _differences(one: Any, other: Any, path: str = "") -> Iterator[str]:
    """`path: a | b` of each leaf that differs."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted({*one, *other}):
            inner = f"{path}.{key}" if path else str(key)
            yield from _differences(one.get(key), other.get(key), inner)
    elif one != other:
        yield f"{path}: {_short(one)} | {_short(other)}"


def _short(value: object, longest: int = 60) -> str:
    text = str(value)
    return text if len(text) <= longest else f"{text[:longest]}..."


def text_of(divergence: Divergence) -> str:
    """The answer for a person."""
    lines = [f"A: {divergence.run_a}", f"B: {divergence.run_b}"]
    if divergence.equal:
        lines.append(f"All {divergence.common_steps} common steps are equal to the bit.")
    elif divergence.first is None:
        lines.append(f"All {divergence.common_steps} common steps are equal, their ends are not:")
        lines += [f"  {text}" for text in divergence.ends_differ]
    else:
        lines += _first_lines(divergence.first, divergence.finding)
        lines.append("Likely causes, the most likely first:")
        lines += [f"  {i}. {text}" for i, text in enumerate(divergence.causes, start=1)]
    for name, texts in divergence.differences.model_dump().items():
        if texts:
            lines.append(f"Different in {name}:")
            lines += [f"  {text}" for text in texts[:20]]
            lines += [f"  and {len(texts) - 20} more"] if len(texts) > 20 else []
    return "\n".join(lines)


def _first_lines(first: StepDifference, finding: ReplayFinding | None) -> Iterator[str]:
    yield (
        f"The runs part at step {first.step}, in the journal's {first.part}: "
        f"{first.expected} in A, {first.found} in B."
    )
    if finding is None:
        return
    if finding.names or finding.origin not in {"unknown", first.part}:
        yield f"What parted first: {finding.origin}."
    if finding.names:
        yield f"  {len(finding.names)} of {finding.of} differ, the first: {finding.names[0]}"
    yield from (f"  {note}" for note in finding.notes)
