"""From records of runs and judgements to a report's content."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from harness.baselines.schema import PublishedCurve
from harness.record.certificate import Certificate
from harness.report import accuracy as accuracies
from harness.report import differences, headline, opening, reproducibility, setup
from harness.report.accuracy import Mistakes
from harness.report.learning import learning
from harness.report.rendering.content import Headline, Picture, Report, Section
from harness.report.rendering.wording import listed
from harness.report.run_record import RunRecord
from harness.report.timing import timing
from harness.verdict.judgement import Judgements

NO_PICTURES = "No pictures are shown: the data folder was not given (`harness report --data DIR`)."
NO_CONTACT_SHEET = (
    "No contact sheet of augmented images is shown: none was given "
    "(`harness report --contact-sheet FILE`)."
)


@dataclass(frozen=True)
class Extras:
    """What may be beside the journals and the judgements.

    Attributes:
        judgements: None when the runs cannot be judged together.
        not_judged: Why there is no judgement.
        certificates: Those that were found, by name of run.
        mistakes: Those that prediction files show.
        pictures: Media type and bytes by image id.
        contact_sheet: Augmented training images.
        no_pictures: Why there are none.
        curves: Published ones; those of another protocol are left out.
        repeated: What a repetition in another process showed, by name of run.
    """

    judgements: Judgements | None = None
    not_judged: str = "no verdict was asked for"
    certificates: Mapping[str, Certificate] = field(default_factory=dict)
    mistakes: Mistakes = field(default_factory=Mistakes)
    pictures: Mapping[str, tuple[str, bytes]] = field(default_factory=dict)
    contact_sheet: Picture | None = None
    no_pictures: str = NO_PICTURES
    curves: tuple[PublishedCurve, ...] = ()
    repeated: Mapping[str, str] = field(default_factory=dict)


def build(runs: Sequence[RunRecord], extras: Extras) -> Report:
    """Put a report together.

    Args:
        runs: At least one.
        extras: What else is known; what is missing is reported.
    """
    picture, sections = opening.take_picture(_sections(runs, extras))
    headlines = headline.headlines(extras.judgements) if extras.judgements else ()
    return Report(
        title=_title(runs),
        headlines=headlines or (Headline(None, f"{extras.not_judged}."),),
        sections=sections,
        picture=picture,
        facts=opening.facts(runs, extras.judgements, extras.repeated),
    )


def _sections(runs: Sequence[RunRecord], extras: Extras) -> list[Section]:
    return [
        *_judged(extras, with_top5=not accuracies.without_top5(runs, 0)),
        setup.study(runs),
        accuracies.accuracy(runs),
        learning(runs, extras.curves),
        timing(runs),
        reproducibility.determinism(runs, extras.certificates, extras.repeated),
        setup.data(runs, extras.contact_sheet, NO_CONTACT_SHEET),
        accuracies.mistakes(extras.mistakes, extras.pictures, extras.no_pictures),
        setup.environment(runs),
        reproducibility.deviations(runs),
        reproducibility.repeat(runs),
        setup.files(runs),
    ]


def _title(runs: Sequence[RunRecord]) -> str:
    recipes = listed(list(dict.fromkeys(run.started.recipe.name for run in runs)))
    data = listed(list(dict.fromkeys(run.started.data.name for run in runs)))
    return f"{recipes} on {data}: {listed([run.name for run in runs])}"


def _judged(extras: Extras, *, with_top5: bool) -> list[Section]:
    if extras.judgements is None:
        return []
    shown = headline.evidence(extras.judgements, with_top5=with_top5)
    return [*shown, differences.differences(extras.judgements)]
