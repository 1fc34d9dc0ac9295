"""Data that is not what it was: which images changed, vanished or came, from both manifests."""

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.data.building import build
from harness.data.changes import changes_since, check_same_data
from harness.data.manifest import EARLIER
from harness.data.opening import find_dataset, open_dataset
from harness.errors import DataError
from harness.record.journal import read_journal
from harness.runner.rendezvous import root_and_order
from tests.generated_sources import WNIDS, jpeg, write_folder
from tests.record_samples import SampleRun, write_run

FIRST = f"train/{WNIDS[0]}/{WNIDS[0]}_0.JPEG"


def change(root: Path) -> None:
    (root / FIRST).write_bytes(jpeg(77))
    os.utime(root / FIRST, ns=(1, 1))


def vanish(root: Path) -> None:
    (root / FIRST).unlink()


def come(root: Path) -> None:
    (root / "train" / WNIDS[0] / "new.JPEG").write_bytes(jpeg(78))


def move(root: Path) -> None:
    (root / FIRST).rename(root / "train" / WNIDS[0] / "other.JPEG")


def everything(root: Path) -> None:
    for path in sorted((root / "train").rglob("*.JPEG")):
        path.write_bytes(jpeg(200))
        os.utime(path, ns=(1, 1))
    for number in range(12):
        (root / "train" / WNIDS[1] / f"z{number:02d}.JPEG").write_bytes(jpeg(300 + number))


CASES: list[tuple[Callable[[Path], None], str]] = [
    (change, f"1 changed\n    changed: {FIRST}"),
    (vanish, f"1 vanished\n    vanished: {FIRST}"),
    (come, f"1 came\n    came: train/{WNIDS[0]}/new.JPEG"),
    (move, "1 vanished, 1 came; 1 of those that came have the content of one that vanished"),
    (everything, f"9 changed, 12 came\n    changed: {FIRST}"),
]


@pytest.mark.parametrize("prepared", [False, True], ids=["plain folder", "prepared folder"])
@pytest.mark.parametrize(("harm", "words"), CASES, ids=lambda case: getattr(case, "__name__", ""))
def test_the_images_that_are_not_what_they_were_are_named(
    tmp_path: Path, harm: Callable[[Path], None], words: str, prepared: bool
) -> None:
    root = write_folder(tmp_path / "in")
    manifests = tmp_path / "runs" / "datasets"

    def opened() -> tuple[str, Path]:
        if prepared:
            source = find_dataset(root).source
            assert source is not None
            build(source, tmp_path / "out")
            data = open_dataset(tmp_path / "out", manifests=manifests)
        else:
            data = open_dataset(root, manifests=manifests)
        return data.identity.root_digest, data.root

    before, folder = opened()
    harm(root)
    after, same = opened()
    assert (after != before, same) == (True, folder)
    for _ in range(2):  # the same again, though nothing is written any more
        found = changes_since(before, folder)
        assert found is not None
        assert found.text().startswith(f"of its images {words}")
        opened()


def test_ten_are_named_and_the_rest_are_counted(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "in")
    before = open_dataset(root, manifests=tmp_path / "m").identity.root_digest
    everything(root)
    now = open_dataset(root, manifests=tmp_path / "m")
    found = changes_since(before, now.root)
    assert found is not None
    assert found.came.count == 12
    assert found.text().splitlines()[-1].endswith("z09.JPEG and 2 more")


def test_manifests_of_earlier_states_are_kept_but_not_without_end(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "in")
    roots = []
    for number in range(6):
        (root / FIRST).write_bytes(jpeg(500 + number))
        os.utime(root / FIRST, ns=(number, number))
        data = open_dataset(root, manifests=tmp_path / "m")
        roots.append(data.identity.root_digest)
    assert len(list((data.root / EARLIER).iterdir())) == 3
    assert changes_since(roots[0], data.root) is None
    assert changes_since(roots[-2], data.root) is not None


def test_a_run_names_its_own_root_as_expected_and_restoring_first(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "in")
    manifests = tmp_path / "runs" / "datasets"
    before = open_dataset(root, manifests=manifests).identity
    run = SampleRun()
    journal = read_journal(write_run(tmp_path / "runs" / "study" / "seed-1", run))
    started = journal.started.model_copy(update={"data": before})
    journal = type(journal)(**{**vars(journal), "events": (started, *journal.events[1:])})
    check_same_data(journal, open_dataset(root, manifests=manifests), root, manifests)
    change(root)
    data = open_dataset(root, manifests=manifests)
    with pytest.raises(DataError, match=FIRST) as caught:
        check_same_data(journal, data, root, manifests)
    assert before.root_digest in str(caught.value.expected).split(";")[0]
    assert str(caught.value.remedy).startswith("restore the data")
    shutil.rmtree(data.root / EARLIER)
    with pytest.raises(DataError, match=r"9 training and 6 validation images.*which images is not"):
        check_same_data(journal, data, root, manifests)


def test_another_order_of_the_classes_is_other_data(tmp_path: Path) -> None:
    """The root covers their names alone; the labels are their places."""
    root = write_folder(tmp_path / "in")
    data = open_dataset(root, manifests=tmp_path / "m")
    journal = read_journal(write_run(tmp_path / "runs" / "study" / "seed-1", SampleRun()))
    started = journal.started.model_copy(update={"data": data.identity})
    journal = replace(journal, events=(started, *journal.events[1:]))
    check_same_data(journal, data, root, tmp_path / "m")
    turned = data.identity.model_copy(update={"classes": data.classes[::-1]})
    with pytest.raises(DataError, match=f"label 0 was {WNIDS[0]} and is {WNIDS[-1]}"):
        check_same_data(journal, replace(data, identity=turned), root, tmp_path / "m")
    assert root_and_order(turned) != root_and_order(data.identity)
