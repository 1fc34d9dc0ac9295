"""Where a target's data is looked for, and what is said when it is not there or another."""

from dataclasses import replace
from pathlib import Path

import pytest

from harness.baselines import load_target
from harness.data.manifest import DESCRIPTION, Description
from harness.errors import DataError, UsageError
from harness.record.schema import DataIdentity
from harness.study import reproduction_data as places
from harness.study.reproduction_data import PLACES, reproduction_data
from tests.planted_journals import FASHION

TARGET = load_target("zhong2020-fashion-resnet20")
IMAGENET = load_target("apm5-resnet50-ten-crop")


@pytest.fixture(autouse=True)
def _no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system without Debian's package, whatever this one has."""
    bare = {kind: replace(place, folders=()) for kind, place in PLACES.items()}
    monkeypatch.setattr(places, "PLACES", bare)


def prepared(folder: Path, identity: DataIdentity = FASHION) -> Path:
    folder.mkdir(parents=True)
    description = Description(
        identity=identity, source="folder", images_root=str(folder), as_is=70_000, converted=0,
        refused=0, turned=0, truths=(),
    )  # fmt: skip
    (folder / DESCRIPTION).write_text(description.model_dump_json())
    return folder


def found(tmp_path: Path, given: Path | None = None, **environ: str) -> Path:
    return reproduction_data(TARGET, given, tmp_path / "runs", environ, print)


def test_without_data_it_says_in_one_line_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no Fashion-MNIST here") as caught:
        found(tmp_path)
    remedy = caught.value.remedy
    assert remedy is not None
    assert "\n" not in remedy
    for word in ("apt-get install dataset-fashion-mnist", "four IDX files", "--data DIR"):
        assert word in remedy


def test_a_prepared_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    folder = prepared(tmp_path / "fashion")
    assert found(tmp_path, folder) == folder
    assert found(tmp_path, FASHION_MNIST_DIR=str(folder)) == folder


def test_what_was_prepared_before_is_found_again(tmp_path: Path) -> None:
    folder = prepared(tmp_path / "runs" / "data" / "fashion-mnist")
    assert found(tmp_path) == folder


def test_a_folder_with_images_in_train_and_val_is_read_where_it_is(tmp_path: Path) -> None:
    for split in ("train", "val"):
        (tmp_path / "plain" / split).mkdir(parents=True)
    assert found(tmp_path, tmp_path / "plain") == tmp_path / "plain"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"kind": "mnist"}, "kind is mnist, the target's fashion_mnist"),
        ({"train_images": 59_999}, "train_images is 59999, the target's 60000"),
        ({"root_digest": "0" * 64}, "root_digest is 0000"),
    ],
)
def test_other_data_is_refused(tmp_path: Path, changes: dict[str, object], said: str) -> None:
    folder = prepared(tmp_path / "other", FASHION.model_copy(update=changes))
    with pytest.raises(DataError, match="not what the target") as caught:
        found(tmp_path, folder)
    assert said in str(caught.value)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder") as caught:
        found(tmp_path, tmp_path / "nowhere")
    assert "nowhere" in str(caught.value)


def test_what_cannot_be_prepared_ends_with_the_code_of_prepare(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SystemExit) as ended:
        found(tmp_path, tmp_path / "empty")
    assert ended.value.code == 2
    assert "what to do" in capfd.readouterr().err


def test_imagenet_is_read_where_it_is_and_named_where_it_is_missing(tmp_path: Path) -> None:
    for given in (None, tmp_path / "nowhere"):
        with pytest.raises(UsageError) as caught:
            reproduction_data(IMAGENET, given, tmp_path / "runs", {}, print)
        assert "ILSVRC2012_img_train.tar" in str(caught.value)
    environ = {"IMAGENET_DIR": str(tmp_path)}
    assert reproduction_data(IMAGENET, None, tmp_path / "runs", environ, print) == tmp_path


def test_the_place_of_the_systems_package_is_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = prepared(tmp_path / "usr")
    place = replace(PLACES["fashion_mnist"], folders=(tmp_path / "no", folder))
    monkeypatch.setattr(places, "PLACES", {"fashion_mnist": place})
    assert found(tmp_path) == folder
