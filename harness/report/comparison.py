"""Two runs, or two prediction files, as a page of differences."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.report import accuracy as accuracies
from harness.report import reproducibility, setup
from harness.report.learning import learning
from harness.report.rendering.content import Headline, Report, Section, Table
from harness.report.rendering.wording import count, number, percent, plural, points
from harness.report.run_record import RunRecord
from harness.report.timing import timing
from harness.verdict.paired import PairedComparison, named

NOT_STORED = "A page of differences shows no pictures; `harness report` of each run does."


@dataclass(frozen=True)
class Comparable:
    """What a page of differences is made of.

    Attributes:
        paired: The two networks on the same images; None when it cannot be made.
        why_not: Why there is none.
        runs: The two runs; nothing where prediction files were given.
        classes: Names in label order, as far as they are known.
    """

    paired: PairedComparison | None
    why_not: str = ""
    runs: tuple[RunRecord, ...] = ()
    classes: tuple[str, ...] = ()


def build_comparison(of: Comparable) -> Report:
    """Put a page of differences together; what is equal in both is left to tables."""
    sections = [*_paired(of)]
    if of.runs:
        sections += [
            _recipes(of.runs),
            setup.study(of.runs),
            accuracies.accuracy(of.runs),
            learning(of.runs),
            timing(of.runs),
            setup.data(of.runs, None, NOT_STORED),
            setup.environment(of.runs),
            reproducibility.deviations(of.runs),
            setup.files(of.runs),
        ]
    names = [run.name for run in of.runs] or ["first", "second"]
    return Report(
        title=f"{names[0]} and {names[1]}: differences",
        headlines=(
            Headline("compared", _sentence(of.paired), (of.paired.caveat,))
            if of.paired
            else Headline("not compared", of.why_not),
        ),
        sections=tuple(sections),
    )


def _sentence(found: PairedComparison) -> str:
    level = f"{100 * found.interval.confidence:g} % interval"
    between = f"{points(found.interval.low)} to {points(found.interval.high)}"
    zero = found.interval.low <= 0 <= found.interval.high
    meaning = (
        "it holds 0, so these images do not tell the two networks apart"
        if zero
        else f"the {'second' if found.difference > 0 else 'first'} network is right more often"
    )
    return (
        f"Second minus first: {points(found.difference)} top-1 on {plural(found.images, 'image')}, "
        f"{level} {between}: {meaning}."
    )


def _paired(of: Comparable) -> Iterator[Section]:
    if of.paired is None:
        return
    found = of.paired
    facts = (
        ("first", found.first),
        ("second", found.second),
        ("top-1 of the first", percent(found.first_accuracy)),
        ("top-1 of the second", percent(found.second_accuracy)),
        ("right in the first only", count(found.first_only)),
        ("right in the second only", count(found.second_only)),
        ("McNemar test, mid-p", f"p = {found.p_value:.4g}"),
        ("churn: images that get another class", percent(found.churn)),
        ("protocol fields that differ", ", ".join(found.protocol_differences) or "none"),
    )
    yield Section(
        "paired",
        "The same images, image by image",
        (f"{found.caveat[0].upper()}{found.caveat[1:]}.",),
        tables=(Table("Both networks", ("what", "value"), facts), *_changes(found, of.classes)),
    )


def _changes(found: PairedComparison, classes: Sequence[str]) -> Iterator[Table]:
    if found.classes:
        rows = tuple(
            (
                named(c.label, classes),
                count(c.images),
                count(c.first_correct),
                count(c.second_correct),
            )
            for c in found.classes
        )
        columns = ("class", "images", "right in the first", "right in the second")
        yield Table("Classes that changed most", columns, rows, frozenset({1, 2, 3}))
    if found.changed:
        yield Table(
            "Images that changed most",
            ("image", "label", "first says", "second says", "p(label), first", "second"),
            tuple(
                (
                    image.image_id,
                    named(image.label, classes),
                    named(image.first_class, classes),
                    named(image.second_class, classes),
                    number(image.first_probability),
                    number(image.second_probability),
                )
                for image in found.changed
            ),
            frozenset({4, 5}),
        )


def _recipes(runs: Sequence[RunRecord]) -> Section:
    flat = [_settings(run) for run in runs]
    keys = list(dict.fromkeys(key for one in flat for key in one))
    rows = tuple(
        (key, *(one.get(key, "not a setting") for one in flat))
        for key in keys
        if len({one.get(key) for one in flat}) > 1
    )
    if not rows:
        return Section("recipes", "Recipe", ("Both runs have the same recipe.",))
    columns = ("setting", *(run.name for run in runs))
    words = f"{plural(len(rows), 'setting')} differ." if len(rows) > 1 else "One setting differs."
    return Section("recipes", "Recipe", (words,), tables=(Table("Differing", columns, rows),))


def _settings(run: RunRecord) -> dict[str, str]:
    document = run.started.recipe.model_dump(mode="json")
    return {
        key: leaf
        for name, value in document.items()
        for key, leaf in setup.entries(name, value).items()
    }
