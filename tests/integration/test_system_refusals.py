"""Where the machine refuses a file that is there, no advice is given for a wrong path."""

import errno
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from harness.analysis.inventory import list_runs
from harness.baselines.loading import load_target
from harness.bench.regression.revisions import read_record
from harness.data.manifest import read_description, read_rows
from harness.errors import SYSTEM_REMEDIES, HarnessError, RecordError
from harness.evaluation.single_image import read_picture
from harness.recipes.files import read_recipe
from harness.record.bundle import extract_bundle
from harness.record.certificate import read_certificate
from harness.record.journal import read_journal
from harness.record.predictions import read_predictions
from harness.record.run_folder import find_runs
from harness.record.summary import read_summary
from harness.sources.folders.tree import visible_entries
from harness.sources.labels.text import read_rows as read_labels
from harness.training.checkpoint import read_checkpoint
from harness.weights.files import read_weight_file
from tests.record_samples import SampleRun, write_run

READERS: dict[str, Callable[[Path], Any]] = {
    "journal.jsonl": read_journal,
    "journal.jsonl in short": read_summary,
    "predictions.parquet": read_predictions,
    "bundle.tar": lambda path: extract_bundle(path, path.parent / "out"),
    "certificate.json": read_certificate,
    "manifest.parquet": read_rows,
    "folder/dataset.json": lambda path: read_description(path.parent),
    "recipe.toml": read_recipe,
    "target.toml": load_target,
    "weights.h5": read_weight_file,
    "weights.keras": read_weight_file,
    "step-0/checkpoint.json": lambda path: read_checkpoint(path.parent),
    "labels.txt": read_labels,
    "picture.jpg": read_picture,
    "speed.json": read_record,
    "folder/images": lambda path: visible_entries(path.parent),
}


@contextmanager
def no_descriptors() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    descriptor = os.open(os.devnull, os.O_RDONLY)
    os.close(descriptor)
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptor, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@contextmanager
def another_user() -> Iterator[None]:
    """Whose files these are not; without the right to become one, nothing can be tried."""
    if os.geteuid() != 0:
        pytest.skip("only the superuser can become another user")
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    ("refused", "number"),
    [(no_descriptors, errno.EMFILE), (another_user, errno.EACCES)],
    ids=["no descriptors", "another user's"],
)
def test_the_machines_refusal_has_its_own_remedy(
    tmp_path: Path,
    reader: str,
    refused: Callable[[], Any],
    number: int,
) -> None:
    file = tmp_path / "private" / reader.split(" ", maxsplit=1)[0]
    file.parent.mkdir(parents=True, mode=0o700)
    file.parent.chmod(0o700)
    file.write_bytes(b"\x89HDF\r\n\x1a\n")
    read = READERS[reader]
    with suppress(HarnessError):
        read(file)  # whatever is imported for it is imported now
    with refused(), pytest.raises(HarnessError) as caught:
        read(file)
    assert SYSTEM_REMEDIES[number] in str(caught.value)
    assert os.strerror(number) in str(caught.value)


def test_no_run_is_left_out_silently(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A verdict over the readable ones would hide a seed that failed."""
    for seed in (1, 2):
        write_run(tmp_path / "study" / f"seed-{seed}", SampleRun(seed=seed))
    (tmp_path / "study" / "seed-1").chmod(0o700)
    tmp_path.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    with another_user():
        with pytest.raises(RecordError, match="a folder of the study cannot be read"):
            find_runs([Path("study")])
        (row,) = list_runs(Path()).rows
    assert row[0] == "study"
    assert "cannot be read (Permission denied)" in row[1]


def test_a_file_system_that_maps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_run(tmp_path / "seed-1", SampleRun())
    mapped = read_summary(folder)

    def refused(*_arguments: object, **_more: object) -> None:
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))

    monkeypatch.setattr("harness.record.summary.mmap.mmap", refused)
    read = read_summary(folder)
    assert read.started == mapped.started
    assert read.evaluations == mapped.evaluations


def test_a_wrong_path_keeps_its_remedy(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="name a folder like runs/"):
        read_summary(tmp_path / "nowhere")
