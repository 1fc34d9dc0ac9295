"""`harness verify`: every byte of a bundle checked, every reported number computed again."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import harness
from harness.analysis.bundle import BASELINES, RUNS, prediction_files, reported_numbers
from harness.analysis.judged_study import JudgedStudy, LoadedRun, judged_study, load_runs
from harness.analysis.stored import Labels, check_digests, equal, recount, sha256_of
from harness.baselines.loading import load_baselines
from harness.errors import DifferenceFoundError, RecordError
from harness.record.bundle import Index, extract_bundle
from harness.record.certificate import FILE_NAME as CERTIFICATE
from harness.record.certificate import contradictions, read_certificate
from harness.record.journal import FILE_NAME as JOURNAL
from harness.record.run_folder import find_runs

RETIRED_TABLE = "The early-curve check"
"""Prediction intervals from five earlier runs decided nothing, and no page has them any more."""


@dataclass(frozen=True)
class Verified:
    """What was checked; every check passed.

    Attributes:
        path: The bundle.
        sha256: Of the whole file.
        members: Files within it.
        runs: Runs.
        evaluations: Evaluations in the journals.
        recounted: Those whose predictions were counted again.
        cells: Table cells of the report that were computed again.
        word: The judgement's, one for each target, or None.
        made_by: Version of the harness that made the bundle.
        heads: Of the chained journals, as the bundle states them.
        notes: Certificates that do not count, with the reason.
        remarks: What a reader should know of records and targets.
    """

    path: Path
    sha256: str
    members: int
    runs: int
    evaluations: int
    recounted: int
    cells: int
    word: str | None
    made_by: str
    heads: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """The same as plain JSON values."""
        return {**vars(self), "path": str(self.path)}

    def text(self) -> str:
        """Lines for a person."""
        left = self.evaluations - self.recounted
        rest = f"; {left} have no prediction file in the bundle" if left else ""
        return "\n".join(
            [
                f"{self.path}: intact, {self.members} members",
                f"sha256                 {self.sha256}",
                f"runs                   {self.runs}",
                f"evaluations recounted  {self.recounted} of {self.evaluations}{rest}",
                f"numbers recomputed     {self.cells} table cells, all equal",
                f"judgement recomputed   {self.word or 'none: the runs were not judged together'}",
                *(f"head of a journal      {head}" for head in self.heads),
                *(f"certificate            {note}" for note in self.notes),
                *(f"note                   {remark}" for remark in self.remarks),
            ]
        )


def verify(path: Path, *, expected_sha256: str | None = None) -> Verified:
    """Verify a bundle in a temporary folder, without network and without TensorFlow.

    Args:
        path: The bundle.
        expected_sha256: As its maker published it; None does not compare.

    Raises:
        UsageError: there is no such file.
        RecordError: a byte was changed, and the member is named; or the file is
            another one than expected.
        DifferenceFoundError: a number does not follow from the raw parts.
    """
    digest = sha256_of(path)
    if expected_sha256 is not None and digest != expected_sha256.lower():
        raise RecordError(
            f"the bundle has sha256 {digest}",
            where=str(path),
            expected=expected_sha256,
            remedy="get the bundle again from its source",
        )
    with tempfile.TemporaryDirectory(prefix="harness-verify-") as place:
        folder = Path(place).resolve()
        index = extract_bundle(path, folder)
        places = sorted(file.parent for file in folder.glob(f"{RUNS}/*/*/{JOURNAL}*"))
        runs = load_runs(find_runs(places))
        labels: Labels = {}
        recounted = sum(_check_run(run, labels) for run in runs)
        notes = tuple(filter(None, (_check_certificate(run) for run in runs)))
        study = judged_study(runs, baselines=folder / BASELINES)
        cells = _check_reported(index, study)
    reported = index.reported.get("judgement")
    judged = reported if isinstance(reported, list) else [reported] if reported else []
    return Verified(
        path=path,
        sha256=digest,
        members=len(index.members),
        runs=len(runs),
        evaluations=sum(len(run.record.evaluations) for run in runs),
        recounted=recounted,
        cells=cells,
        word=", ".join(one["word"] for one in judged) or None,
        made_by=index.harness_version,
        heads=tuple(f"{k}: {v}" for k, v in index.reported.get("journal_heads", {}).items()),
        notes=notes,
        remarks=tuple(_remarks(study)),
    )


def _check_run(run: LoadedRun, labels: Labels) -> int:
    """Check the digests that a journal states; returns the evaluations counted again."""
    where = _place(run)
    check_digests(run.folder, run.record.started, run.record.evaluations, where)
    files = prediction_files(run)
    recounted = 0
    for event in run.record.evaluations:
        name = Path(event.predictions_file).name if event.predictions_file else ""
        if name in files:
            recount(files[name], event, run.record.started, where, labels)
            recounted += 1
    for checkpoint in run.record.checkpoints:
        state = run.folder / checkpoint.file / "state.npz"
        if state.is_file():
            about = f"{where}, {checkpoint.file}"
            equal(sha256_of(state), checkpoint.digest, "a checkpoint's digest", about)
    return recounted


def _place(run: LoadedRun) -> str:
    return str(Path(*run.folder.parts[-2:], JOURNAL))


def _check_certificate(run: LoadedRun) -> str | None:
    """Compare a certificate with its journal; returns why one does not count.

    A journal that was torn after it was certified is another file than the
    certificate names: the report does not show that certificate, and so
    nothing reported rests on it.
    """
    path, started = run.folder / CERTIFICATE, run.record.started
    if not path.is_file():
        return None
    where = str(Path(*path.parts[-3:]))
    certificate, digest = read_certificate(path), run.record.journal_sha256
    found = contradictions(certificate, started, digest)
    if not found:
        return None
    renamed = certificate.model_copy(update={"journal_digest": digest})
    if run.record.torn_bytes and not contradictions(renamed, started, digest):
        return f"{where}: not counted, it names another state of this torn journal"
    raise DifferenceFoundError(
        f"the certificate states another journal: {', '.join(found)}",
        where=where,
        expected="the certificate of the run beside it",
        remedy="the raw parts contradict each other: ask the maker of the bundle",
    )


def _remarks(study: JudgedStudy) -> Iterator[str]:
    """What the judgements rest on: records that say less, targets that are not those here."""
    if study.judgements is None:
        return
    yield from study.judgements.notes
    here, theirs = (
        {target.name: target.demands() for target in baselines.targets}
        for baselines in (load_baselines(), study.baselines)
    )
    named = [str(one.target) for one in study.judgements.each]
    for name in (one for one in named if one in theirs):
        ours, its = here.get(name), theirs[name]
        if ours is None:
            yield f"the target {name} is the bundle's own: this version has none of that name"
        elif ours != its:
            fields = sorted(k for k in ours.keys() | its.keys() if ours.get(k) != its.get(k))
            yield f"the bundle's target {name} is not this version's, in {', '.join(fields)}"


def _check_reported(index: Index, study: JudgedStudy) -> int:
    """Compute everything reported again; returns the number of table cells compared."""
    again = reported_numbers(study)
    tables = index.reported.get("report", {}).get("tables")
    if isinstance(tables, list):  # of bundles made before, which hold the early-curve gate's
        tables[:] = [one for one in tables if one.get("caption") != RETIRED_TABLE]
    cells = 0
    for place, found, reported in _pairs("", again, index.reported):
        if found != reported:
            version = (
                ""
                if index.harness_version == harness.__version__
                else (
                    f" (the bundle was made by version {index.harness_version}, "
                    f"this is {harness.__version__})"
                )
            )
            raise DifferenceFoundError(
                f"{place} is {found!r} when computed again{version}",
                expected=f"{reported!r}, as the bundle reports",
                remedy="trust the raw parts, not the reported number; ask its maker",
            )
        cells += "/rows/" in place
    return cells


def _pairs(place: str, found: Any, reported: Any) -> Iterator[tuple[str, Any, Any]]:
    """Leaves of two JSON-like values side by side; what differs in shape is a leaf."""
    if isinstance(found, dict) and isinstance(reported, dict) and found.keys() == reported.keys():
        for key in found:
            yield from _pairs(f"{place}/{key}", found[key], reported[key])
    elif isinstance(found, list) and isinstance(reported, list) and len(found) == len(reported):
        for i, (one, other) in enumerate(zip(found, reported, strict=True)):
            yield from _pairs(f"{place}/{i}", one, other)
    else:
        yield place, found, reported
