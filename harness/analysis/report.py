"""`harness report`: journals, judgement, predictions and pictures to a page and to Markdown."""

from collections.abc import Sequence
from pathlib import Path

from harness.analysis.judged_study import JudgedStudy, LoadedRun, judged_study, load_runs
from harness.analysis.stored import sha256_of
from harness.analysis.thumbnails import NO_SOURCES, PictureSources
from harness.errors import UsageError
from harness.files import replace_text
from harness.record.certificate import FILE_NAME as CERTIFICATE
from harness.record.certificate import Certificate, read_certificate
from harness.record.predictions import read_predictions
from harness.record.repeated import repetition
from harness.record.run_folder import find_runs
from harness.report.accuracy import Mistake, Mistakes, find_mistakes
from harness.report.build import Extras, build
from harness.report.rendering.content import Report
from harness.report.rendering.markdown import markdown
from harness.report.rendering.page import html
from harness.sources.class_order import readable
from harness.system.secrets import without_credentials


def report(
    paths: Sequence[Path],
    *,
    target: str | Path | None = None,
    tracking_uri: str | None = None,
    pictures: PictureSources = NO_SOURCES,
) -> Report:
    """Put a report together.

    Runs that cannot be judged together are shown anyway, with the reason.

    Args:
        paths: Runs or studies; see `find_runs`.
        target: One target by name or file; None takes those in `baselines/`.
        tracking_uri: As for `verdict`.
        pictures: Where its pictures come from.

    Raises:
        UsageError: no run was named.
        RecordError: a journal or a prediction file is damaged.
        BaselineError: a target file that is wrong.
    """
    runs = load_runs(find_runs(paths))
    return page_of(judged_study(runs, target=target, tracking_uri=tracking_uri), pictures)


def page_of(study: JudgedStudy, pictures: PictureSources = NO_SOURCES) -> Report:
    """The page about a study that was read and judged.

    Raises:
        UsageError: the data folder or the contact sheet is missing.
        RecordError: a prediction file is damaged.
    """
    found = mistakes_of(study.runs)
    shown, no_pictures = pictures.of_images(
        [mistake.image_id for some in found.by_run.values() for mistake in some]
    )
    return build(
        study.records,
        Extras(
            judgements=study.portable,
            not_judged=study.why_not,
            certificates=_certificates(study.runs),
            mistakes=found,
            pictures=shown,
            contact_sheet=pictures.sheet_of(study.folders[0]),
            no_pictures=no_pictures,
            curves=study.baselines.curves,
            repeated=_repeated(study.runs),
        ),
    )


def _repeated(runs: Sequence[LoadedRun]) -> dict[str, str]:
    found = {run.record.name: repetition(run.folder) for run in runs}
    return {name: words for name, words in found.items() if words}


def write_pages(content: Report, page: Path | None, text: Path | None) -> None:
    """Write as HTML, as Markdown, or both, each atomically.

    Raises:
        UsageError: a file cannot be written, or both are one file.
    """
    if page is not None and text is not None and page.resolve() == text.resolve():
        raise UsageError(
            "page and Markdown are to be one file",
            where=str(page),
            expected="a file for each",
            remedy="give --out and --markdown different names",
        )
    if page is not None:
        _write(page, html(content))
    if text is not None:
        _write(text, markdown(content))


def _write(path: Path, text: str) -> None:
    try:
        replace_text(path, without_credentials(text))
    except OSError as error:
        raise UsageError(
            f"the report cannot be written ({error.strerror})",
            where=str(path),
            expected="a folder that this user may write",
            remedy="name another file with --out",
        ) from error


def mistakes_of(runs: Sequence[LoadedRun]) -> Mistakes:
    """Images that the runs' last networks classify wrongly, from their prediction files."""
    found: dict[str, Sequence[Mistake]] = {}
    foreign = []
    for run in runs:
        last = run.record.started.recipe.final_protocols[-1].name
        event = run.record.final(last)
        if event is None or event.predictions_file is None:
            continue
        path = run.folder / Path(event.predictions_file).name
        if not path.exists():
            continue
        where = f"{run.record.name}, {last}"
        if event.predictions_digest not in (None, sha256_of(path)):
            foreign.append(where)
            continue
        classes = readable(run.record.started.data.classes)
        found[where] = find_mistakes(read_predictions(path), classes)
    return Mistakes(found, tuple(foreign))


def _certificates(runs: Sequence[LoadedRun]) -> dict[str, Certificate]:
    paths = {run.record.name: run.folder / CERTIFICATE for run in runs}
    return {name: read_certificate(path) for name, path in paths.items() if path.exists()}
