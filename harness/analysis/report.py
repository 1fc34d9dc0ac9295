"""`harness report`: journals, judgement, predictions and pictures to a page and to Markdown."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.analysis.relative_paths import portable, portable_text
from harness.analysis.thumbnails import Pictures, kept_pictures, pictures_of
from harness.analysis.verdict import verdict
from harness.baselines.loading import load_baselines
from harness.baselines.own import own_targets
from harness.errors import DifferenceFoundError, HarnessError, RecordError, UsageError
from harness.files import replace_text
from harness.record.certificate import FILE_NAME as CERTIFICATE
from harness.record.certificate import Certificate, read_certificate
from harness.record.journal import FILE_NAME, read_journal
from harness.record.predictions import read_predictions
from harness.record.run_folder import CONTACT_SHEET, find_runs
from harness.record.summary import read_summary
from harness.report.accuracy import Mistake, Mistakes, find_mistakes, most_confident
from harness.report.build import NO_PICTURES, Extras, build
from harness.report.rendering.content import Picture, Report
from harness.report.rendering.markdown import markdown
from harness.report.rendering.page import html
from harness.report.run_record import RunRecord, distinct_names, record_of
from harness.system.secrets import without_credentials
from harness.verdict.judge import judge
from harness.verdict.judgement import Judgements


@dataclass(frozen=True)
class ReportRequest:
    """What a report is made of.

    Attributes:
        paths: Runs or studies; see `find_runs`.
        target: One target by name or file; None takes those in `baselines/`.
        data: The runs' data folder, for pictures; None leaves them out.
        contact_sheet: A PNG or JPEG of augmented training images; None takes the
            one that the first run kept.
        baselines: Folder of targets and baselines; None takes the harness' own.
        thumbnails: Ready pictures as `keep_pictures` wrote them, instead of `data`.
    """

    paths: tuple[Path, ...]
    target: str | Path | None = None
    data: Path | None = None
    contact_sheet: Path | None = None
    baselines: Path | None = None
    thumbnails: Path | None = None


def report(request: ReportRequest) -> Report:
    """Put a report together.

    Runs that cannot be judged together are shown all the same, with the reason.

    Raises:
        UsageError: no run was named.
        RecordError: a journal or a prediction file is damaged.
        BaselineError: a target file that is wrong.
    """
    folders = find_runs(request.paths)
    records = run_records(folders)
    judgements, why_not = judge_with(folders, request.baselines, request.target)
    found = _mistakes(folders, records)
    pictures, no_pictures = _pictures(request, found)
    return build(
        records,
        Extras(
            judgements=judgements,
            not_judged=why_not,
            certificates=_certificates(folders, records),
            mistakes=found,
            pictures=pictures,
            contact_sheet=_contact_sheet(request.contact_sheet or _kept_sheet(folders)),
            no_pictures=no_pictures,
            curves=load_baselines(request.baselines).curves,
        ),
    )


def shown_pictures(request: ReportRequest) -> Pictures:
    """The pictures of mistakes that a report of this request shows.

    Raises:
        UsageError: no run was named, or there is no such data folder.
        RecordError: a journal or a prediction file is damaged.
    """
    folders = find_runs(request.paths)
    found = _mistakes(folders, run_records(folders))
    pictures, _ = _pictures(request, found)
    return {one.image_id: pictures[one.image_id] for _, one in most_confident(found, pictures)}


def write_report(content: Report, page: Path, text: Path | None) -> None:
    """Write the page and, where asked for, the Markdown, each atomically.

    Raises:
        UsageError: a file cannot be written.
    """
    write_pages(content, page, text)


def write_pages(content: Report, page: Path | None, text: Path | None) -> None:
    """Write as HTML, as Markdown, or both, each atomically.

    Raises:
        UsageError: a file cannot be written.
    """
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


def run_records(folders: Sequence[Path]) -> list[RunRecord]:
    """What the page needs of each run.

    One journal is in memory at a time: a long one takes hundreds of megabytes as events.
    """
    names = distinct_names([read_summary(folder).started for folder in folders])
    return [_record(folder, name) for folder, name in zip(folders, names, strict=True)]


def _record(folder: Path, name: str) -> RunRecord:
    place = "/".join(folder.parts[-2:])
    digest = _sha256(folder / FILE_NAME)
    return record_of(read_journal(folder), name=name, folder=place, sha256=digest)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def judge_with(
    folders: Sequence[Path], baselines: Path | None = None, target: str | Path | None = None
) -> tuple[Judgements | None, str]:
    """The judgements of runs, or why they cannot be judged together; runs by study and seed.

    Args:
        folders: Run folders.
        baselines: Folder of targets and baselines; None takes the harness' own
            and also looks for runs of the study that were not named.
        target: One target, which takes the place of those in the folder.

    Raises:
        BaselineError: a baseline file is wrong.
    """
    try:
        judgements = _judge(folders, baselines, target)
    except (UsageError, DifferenceFoundError, RecordError) as error:
        return None, portable_text(f"These runs were not judged together: {_told(error)}", folders)
    return portable(judgements, folders), ""


def _told(error: HarnessError) -> str:
    """What was found; where records contradict each other, also where and what they say."""
    if isinstance(error, UsageError):
        return error.found
    return f"{error.found} (in {error.where}, expected: {error.expected})"


def _judge(
    folders: Sequence[Path], baselines: Path | None, target: str | Path | None
) -> Judgements:
    if baselines is None:
        return verdict(folders, target=target)
    known = load_baselines(baselines)
    runs = [read_summary(folder) for folder in folders]
    return judge(runs, (*known.targets, *own_targets(folders)), rows=known.accuracy)


def _mistakes(folders: Sequence[Path], records: Sequence[RunRecord]) -> Mistakes:
    found: dict[str, Sequence[Mistake]] = {}
    foreign = []
    for folder, run in zip(folders, records, strict=True):
        last = run.started.recipe.final_protocols[-1].name
        event = run.final(last)
        if event is None or event.predictions_file is None:
            continue
        path = folder / Path(event.predictions_file).name
        if not path.exists():
            continue
        where = f"{run.name}, {last}"
        if event.predictions_digest not in (None, _sha256(path)):
            foreign.append(where)
            continue
        found[where] = find_mistakes(read_predictions(path), run.started.data.classes)
    return Mistakes(found, tuple(foreign))


def _certificates(folders: Sequence[Path], records: Sequence[RunRecord]) -> dict[str, Certificate]:
    paths = {run.name: folder / CERTIFICATE for folder, run in zip(folders, records, strict=True)}
    return {name: read_certificate(path) for name, path in paths.items() if path.exists()}


def _pictures(request: ReportRequest, found: Mistakes) -> tuple[Pictures, str]:
    if request.data is None and request.thumbnails is None:
        return {}, NO_PICTURES
    ids = [mistake.image_id for some in found.by_run.values() for mistake in some]
    pictures = (
        pictures_of(request.data, ids)
        if request.data
        else kept_pictures(request.thumbnails or Path(), ids)
    )
    missing = "The data folder holds none of these images, so no pictures are shown."
    return pictures, "" if pictures else missing


def _kept_sheet(folders: Sequence[Path]) -> Path | None:
    """The picture that the first run made of its first batch."""
    path = folders[0] / CONTACT_SHEET
    return path if path.is_file() else None


def _contact_sheet(path: Path | None) -> Picture | None:
    if path is None:
        return None
    media_types = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg"}
    media_type = media_types.get(path.suffix.lower())
    if media_type is None or not path.is_file():
        raise UsageError(
            "the contact sheet is no PNG or JPEG file",
            where=str(path),
            expected=", ".join(media_types),
            remedy="leave it out, or name another file",
        )
    words = "Training images as the network sees them, after augmentation."
    return Picture(
        words, "contact sheet of augmented training images", media_type, path.read_bytes()
    )
