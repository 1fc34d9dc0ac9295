"""`harness reproduce` as a user starts it, and the data that it finds."""

import subprocess
import sys
from pathlib import Path

import pytest

from harness.data.class_order import class_orders
from harness.data.manifest import DESCRIPTION, Description
from harness.record.schema import DataIdentity


def _reproduce(tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "harness", "reproduce", "--runs", str(tmp_path / "runs"), *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def _claimed_imagenet(folder: Path) -> Path:
    """A folder that says of itself what a prepared ImageNet would; preflight comes first."""
    folder.mkdir()
    identity = DataIdentity(
        name="ILSVRC2012",
        kind="imagenet",
        root_digest="0" * 64,
        train_images=1_281_167,
        val_images=50_000,
        classes=tuple(class_orders().wnids),
        class_order="wordnet",
    )
    description = Description(
        identity=identity,
        source="folder",
        images_root=str(folder),
        as_is=1_331_167,
        converted=0,
        refused=0,
        turned=0,
        truths=(),
    )
    (folder / DESCRIPTION).write_text(description.model_dump_json())
    return folder


def test_a_machine_that_would_need_months_is_refused(tmp_path: Path) -> None:
    imagenet = _claimed_imagenet(tmp_path / "imagenet")
    done = _reproduce(tmp_path, "--imagenet", str(imagenet), "--max-hours", "1")
    assert done.returncode == 2, done.stderr
    assert "one seed of apm5-resnet50 would take at least" in done.stderr
    assert "--max-hours" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", [(), ("--imagenet", "nowhere")])
def test_without_imagenet_it_says_how_to_get_it(
    tmp_path: Path, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("IMAGENET_DIR", raising=False)
    done = _reproduce(tmp_path, *words)
    assert done.returncode == 2
    assert "harness prepare --source" in done.stderr
    assert not done.stdout
