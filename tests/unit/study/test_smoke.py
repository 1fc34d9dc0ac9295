"""The smoke's own parts: the subset of ImageNet, and the comparison of bits."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from harness.analysis.publish import Judged
from harness.analysis.verdict import verdict
from harness.data.opening import FoundData, find_dataset
from harness.data.prepare import prepare
from harness.data.shape import data_shape, refuse_other_than_imagenet
from harness.errors import DataError, DifferenceFoundError
from harness.recipes.imagenet import TRAIN_IMAGES
from harness.record.repeated import compare_bits
from harness.sources.class_order import class_orders
from harness.sources.labels.numbers import published_val_labels
from harness.sources.source import Listing, Source
from harness.study.imagenet_subset import SUBSET_CLASSES, SUBSET_TRAIN, SUBSET_VAL, imagenet_subset
from harness.study.smoke import NO_TARGET, SmokeResult, free_disk
from tests.generated_sources import write_folder
from tests.parity.generated_images import jpeg_bytes, picture
from tests.planted_journals import EXAMPLES
from tests.sample_events import finished, window_of, write_journal


def _imagenet(folder: Path, val: int = SUBSET_VAL, raw: bytes = b"x") -> Path:
    for split, count in (("train", SUBSET_TRAIN + 3), ("val", val)):
        for name in SUBSET_CLASSES:
            place = folder / split / name
            place.mkdir(parents=True)
            for i in range(count):
                (place / f"{name}_{i:03}.JPEG").write_bytes(raw)
    return folder


def test_the_subset_is_ten_classes_by_links(tmp_path: Path) -> None:
    subset = imagenet_subset(_imagenet(tmp_path / "imagenet"), tmp_path / "runs")
    for split, count in (("train", SUBSET_TRAIN), ("val", SUBSET_VAL)):
        for name in SUBSET_CLASSES:
            images = sorted((subset / split / name).iterdir())
            assert [p.name for p in images] == [f"{name}_{i:03}.JPEG" for i in range(count)]
            assert all(p.is_symlink() for p in images)
    assert imagenet_subset(tmp_path / "imagenet", tmp_path / "runs") == subset


def test_the_subset_follows_a_folder_that_moved(tmp_path: Path) -> None:
    before = _imagenet(tmp_path / "imagenet")
    subset = imagenet_subset(before, tmp_path / "runs")
    (subset / "val" / SUBSET_CLASSES[0] / "stale.JPEG").symlink_to(before / "nothing")
    moved = before.rename(tmp_path / "moved")
    imagenet_subset(moved, tmp_path / "runs")
    for split, count in (("train", SUBSET_TRAIN), ("val", SUBSET_VAL)):
        for name in SUBSET_CLASSES:
            images = list((subset / split / name).iterdir())
            assert len(images) == count
            assert all(moved in image.resolve().parents for image in images)


def test_a_prepared_folder_gives_the_same_subset(tmp_path: Path) -> None:
    plain = _imagenet(tmp_path / "imagenet", raw=jpeg_bytes(picture(8, 8)))
    prepare(plain, tmp_path / "prepared")
    subsets = [
        imagenet_subset(source, tmp_path / runs)
        for source, runs in ((plain, "a"), (tmp_path / "prepared", "b"))
    ]
    links = [sorted(p for p in s.rglob("*") if p.is_symlink()) for s in subsets]
    assert [p.resolve() for p in links[0]] == [p.resolve() for p in links[1]]
    assert len(links[0]) == 10 * (SUBSET_TRAIN + SUBSET_VAL)


def test_a_folder_without_the_classes_is_named(tmp_path: Path) -> None:
    write_folder(tmp_path / "other")
    with pytest.raises(DataError, match=r"3 images where the smoke takes 64") as caught:
        imagenet_subset(tmp_path / "other", tmp_path / "runs")
    assert SUBSET_CLASSES[0] in str(caught.value)
    short = _imagenet(tmp_path / "imagenet", val=3)
    with pytest.raises(DataError, match=r"3 images where the smoke takes 20"):
        imagenet_subset(short, tmp_path / "runs")


def _run(folder: Path, marks: list[str], weights: str = "0" * 16) -> Path:
    events = [window_of(0, len(marks), fingerprint=marks)] if marks else []
    return write_journal(folder, [*events, finished(len(marks), weights_fingerprint=weights)])


def test_equal_runs_are_counted_by_step(tmp_path: Path) -> None:
    marks = [f"{i:016x}" for i in range(5)]
    assert compare_bits(_run(tmp_path / "a", marks), _run(tmp_path / "b", marks)) == 5


@pytest.mark.parametrize(
    ("marks", "weights", "where"),
    [
        ([f"{i:016x}" for i in (0, 1, 9, 3)], "0" * 16, "step 2"),
        ([f"{i:016x}" for i in (0, 1, 2)], "0" * 16, "step 3"),
        ([f"{i:016x}" for i in range(4)], "1" * 16, "the evaluation"),
    ],
)
def test_a_difference_names_the_first_step(
    tmp_path: Path, marks: list[str], weights: str, where: str
) -> None:
    first = _run(tmp_path / "a", [f"{i:016x}" for i in range(4)])
    with pytest.raises(DifferenceFoundError, match=where):
        compare_bits(first, _run(tmp_path / "b", marks, weights))


def test_two_empty_runs_are_no_proof(tmp_path: Path) -> None:
    with pytest.raises(DifferenceFoundError):
        compare_bits(_run(tmp_path / "a", []), _run(tmp_path / "b", []))


def test_a_folder_of_other_images_is_no_imagenet(tmp_path: Path) -> None:
    folder = _imagenet(tmp_path / "imagenet")
    found = find_dataset(folder)
    shape = data_shape(found)
    assert (shape.train_images, shape.val_images, len(shape.classes)) == (670, 200, 10)
    with pytest.raises(DataError, match=r"670 training and 200 validation images in 10 classes"):
        refuse_other_than_imagenet(found, shape)


WNIDS_ALL = class_orders().wnids


def _found(train: list[int], val: list[int], classes: tuple[str, ...] = WNIDS_ALL) -> FoundData:
    """A listed folder with so many images of each class; the published validation images first."""
    names: list[str] = []
    published: dict[str, list[str]] = {}
    for name, wnid in published_val_labels().items():
        published.setdefault(wnid, []).append(name)
    for wnid, count in zip(classes, val, strict=True):
        own = [*published.get(wnid, []), *(f"x{n}" for n in range(50))][:count]
        names += [f"val/{wnid}/{name}.JPEG" for name in own]
    rows = [f"train/{w}/{n}.JPEG" for w, c in zip(classes, train, strict=True) for n in range(c)]
    labels = np.repeat(np.arange(len(classes)), train), np.repeat(np.arange(len(classes)), val)
    zeros = np.zeros(len(rows) + len(names), np.int64)
    listing = Listing(
        paths=pa.array([*rows, *names]), labels=np.concatenate(labels).astype(np.int32),
        names=pa.array([path.rsplit("/", 1)[-1] for path in (*rows, *names)]),
        in_val=np.arange(len(zeros)) >= len(rows), size_bytes=zeros, mtime_ns=zeros,
    )  # fmt: skip
    return FoundData(Path("/data"), None, Source("folder", Path("/data"), listing, classes))


FULL = [1_300] * 895 + [1_120] * 104 + [TRAIN_IMAGES - 895 * 1_300 - 104 * 1_120]


@pytest.mark.parametrize(
    ("train", "val", "classes", "words"),
    [
        (FULL, [49] + [50] * 999, WNIDS_ALL,
         r"49,999 validation[\s\S]*n01440764 \(49\); missing: ILSVRC2012_val_\d{8} of n01440764"),
        (FULL, [49, 51] + [50] * 998, WNIDS_ALL,
         r"50,000 validation[\s\S]*not 50 images in n01440764 \(49\), n01443537 \(51\)"),
        ([1_299, *FULL[1:]], [50] * 1000, WNIDS_ALL,
         r"train: 1 missing; most classes have 1,300, and just below that are n01440764 \(1,299\)"),
        ([1_301, *FULL[1:]], [50] * 1000, WNIDS_ALL, r"not 732 to 1,300 images in n01440764 \(1,3"),
        (FULL, [50] * 1000, ("tench", *WNIDS_ALL[1:]),
         r"but for its classes: it lacks n01440764 and has tench besides"),
    ],
    ids=["a validation image", "one in another class", "a training image", "one too many",
         "a class renamed"],
)  # fmt: skip
def test_what_is_wrong_with_imagenet_is_said_and_nothing_is_fetched_again(
    train: list[int], val: list[int], classes: tuple[str, ...], words: str
) -> None:
    found = _found(train, val, classes)
    with pytest.raises(DataError, match=words) as caught:
        refuse_other_than_imagenet(found, data_shape(found))
    assert "nothing else has to be fetched" in str(caught.value.remedy)


def test_imagenet_with_two_classes_in_each_others_place_is_refused() -> None:
    """Every count is right: only the published labels tell, before weeks of training."""
    found = _found(FULL, [50] * 1000)
    assert found.source is not None
    labels = found.source.listing.labels
    first, second = labels == 134, labels == 517  # both are called crane
    val = found.source.listing.in_val
    swapped = np.where(val & first, 517, np.where(val & second, 134, labels)).astype(np.int32)
    listing = replace(found.source.listing, labels=swapped)
    found = replace(found, source=replace(found.source, listing=listing))
    words = r"another class than the published one: 100, such as val/n03126707/ILSVRC2012_val_"
    with pytest.raises(DataError, match=words):
        refuse_other_than_imagenet(found, data_shape(found))


def test_the_whole_of_imagenet_is_taken() -> None:
    found = _found(FULL, [50] * 1000)
    assert data_shape(found).looks_like_imagenet
    refuse_other_than_imagenet(found, data_shape(found))


@pytest.mark.parametrize(
    ("example", "code", "says_so"),
    [
        ("smoke-reached", 0, False),
        ("smoke-missed", 1, False),
        ("smoke-on-other-data", 0, True),
    ],
)
def test_the_smoke_on_data_without_a_target_is_about_the_machine(
    example: str, code: int, says_so: bool, tmp_path: Path
) -> None:
    judged = Judged(verdict([EXAMPLES / example]), tmp_path / "page.html")
    result = SmokeResult(judged, compared_steps=20)
    assert result.exit_code == code
    assert (NO_TARGET in result.text(tmp_path)) == says_so


def test_only_checkpoints_that_something_needs_stay(tmp_path: Path) -> None:
    runs = {
        tmp_path / name: [225, 315, 360, 405]
        for name in ("smoke-1/seed-1", "repeat/smoke-1/seed-1", "full/apm5-1/seed-1")
    }
    for run, steps in runs.items():
        (run / "predictions.parquet").parent.mkdir(parents=True)
        (run / "predictions.parquet").touch()
        for step in steps:
            (run / "checkpoints" / f"step-{step:010}").mkdir(parents=True)
            (run / "checkpoints" / f"step-{step:010}" / "arrays").touch()
    for _ in range(2):  # the same command again
        free_disk(tmp_path / "smoke-1", tmp_path / "repeat", tmp_path / "full")
        left = sorted(tmp_path.rglob("step-*"))
        assert [folder.name for folder in left] == ["step-0000000405"]
        assert all(
            "smoke-1/seed-1" in str(folder) and "repeat" not in str(folder) for folder in left
        )
        assert all((run / "predictions.parquet").is_file() for run in runs)
