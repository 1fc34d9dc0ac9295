"""`harness report`: journals, judgement, predictions and pictures to a page and to Markdown."""

import hashlib
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from harness.baselines.loading import load_baselines
from harness.errors import RecordError, UsageError
from harness.record.certificate import FILE_NAME as CERTIFICATE
from harness.record.certificate import Certificate
from harness.record.journal import FILE_NAME, read_journal
from harness.record.predictions import read_predictions
from harness.record.run_folders import find_runs
from harness.record.summary import read_summary
from harness.report.accuracy import Mistake, find_mistakes
from harness.report.build import NO_PICTURES, Extras, build
from harness.report.content import Picture, Report
from harness.report.markdown import markdown
from harness.report.page import html
from harness.report.run_record import RunRecord, distinct_names, record_of
from harness.verdict.judge import judge
from harness.verdict.judgement import Judgement
from harness.workflows.contact_sheet import CONTACT_SHEET
from harness.workflows.verdict import verdict

PICTURE_PIXELS = 160


@dataclass(frozen=True)
class ReportRequest:
    """What a report is made of.

    Attributes:
        paths: Runs or studies; see `find_runs`.
        target: A target file; None takes those in `baselines/`.
        data: The runs' data folder, for pictures; None leaves them out.
        contact_sheet: A PNG or JPEG of augmented training images; None takes the
            one that the first run kept.
        baselines: Folder of targets and baselines; None takes the harness' own.
    """

    paths: tuple[Path, ...]
    target: Path | None = None
    data: Path | None = None
    contact_sheet: Path | None = None
    baselines: Path | None = None


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
    judgement, why_not = judge_with(folders, request.baselines, request.target)
    found = _mistakes(folders, records)
    pictures, no_pictures = _pictures(request.data, found)
    return build(
        records,
        Extras(
            judgement=judgement,
            not_judged=why_not,
            certificates=_certificates(folders, records),
            mistakes=found,
            pictures=pictures,
            contact_sheet=_contact_sheet(request.contact_sheet or _kept_sheet(folders)),
            no_pictures=no_pictures,
        ),
    )


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
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.tmp")
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
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
    with (folder / FILE_NAME).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    place = "/".join(folder.parts[-2:])
    return record_of(read_journal(folder), name=name, folder=place, sha256=digest)


def judge_with(
    folders: Sequence[Path], baselines: Path | None = None, target: Path | None = None
) -> tuple[Judgement | None, str]:
    """The judgement of runs, or why they cannot be judged together.

    Args:
        folders: Run folders.
        baselines: Folder of targets and baselines; None takes the harness' own
            and also looks for runs of the study that were not named.
        target: A target file that takes the place of those in the folder.

    Raises:
        BaselineError: a baseline file is wrong.
    """
    try:
        if baselines is None:
            return verdict(folders, target=target), ""
        known = load_baselines(baselines)
        runs = [read_summary(folder) for folder in folders]
        return judge(runs, known.targets, rows=known.accuracy), ""
    except UsageError as error:
        return None, f"These runs were not judged together: {error.found}"


def _mistakes(
    folders: Sequence[Path], records: Sequence[RunRecord]
) -> dict[str, Sequence[Mistake]]:
    found: dict[str, Sequence[Mistake]] = {}
    for folder, run in zip(folders, records, strict=True):
        last = run.started.recipe.final_protocols[-1].name
        event = run.final(last)
        if event is None or event.predictions_file is None:
            continue
        path = folder / Path(event.predictions_file).name
        if path.exists():
            where = f"{run.name}, {last}"
            found[where] = find_mistakes(read_predictions(path), run.started.data.classes)
    return found


def _certificates(folders: Sequence[Path], records: Sequence[RunRecord]) -> dict[str, Certificate]:
    found = {}
    for folder, run in zip(folders, records, strict=True):
        path = folder / CERTIFICATE
        if not path.exists():
            continue
        try:
            found[run.name] = Certificate.model_validate_json(path.read_bytes())
        except ValidationError as error:
            raise RecordError(
                f"the certificate is malformed: {error.errors()[0]['msg']}",
                where=str(path),
                expected="a file written by `harness certify`",
                remedy="certify again, or restore the file from a copy",
            ) from error
    return found


def _pictures(
    data: Path | None, found: dict[str, Sequence[Mistake]]
) -> tuple[dict[str, tuple[str, bytes]], str]:
    if data is None:
        return {}, NO_PICTURES
    if not data.is_dir():
        raise UsageError(
            "there is no such data folder",
            where=str(data),
            expected="the folder that the runs were trained on",
            remedy="leave --data out, or correct it",
        )
    pictures = {}
    for mistakes in found.values():
        for mistake in mistakes:
            thumbnail = _thumbnail(data, mistake.image_id)
            if thumbnail is not None:
                pictures[mistake.image_id] = ("image/jpeg", thumbnail)
    missing = "The data folder holds none of these images, so no pictures are shown."
    return pictures, "" if pictures else missing


def _thumbnail(root: Path, image_id: str) -> bytes | None:
    from PIL import Image

    path = (root / image_id).resolve()
    # An id comes from a file: it must not lead out of the data folder.
    if not path.is_relative_to(root.resolve()) or not path.is_file():
        return None
    stream = io.BytesIO()
    try:
        with Image.open(path) as image:
            small = image.convert("RGB")
            small.thumbnail((PICTURE_PIXELS, PICTURE_PIXELS))
            small.save(stream, "JPEG", quality=85)
    except (OSError, Image.DecompressionBombError):
        return None
    return stream.getvalue()


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
