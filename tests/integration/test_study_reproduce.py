"""`harness reproduce` as a user starts it, and the data that it finds."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness.data.manifest import DESCRIPTION
from harness.record.journal import read_journal
from harness.sources.class_order import class_orders
from harness.study.reproduction_data import PLACES
from tests.planted_journals import FASHION as FASHION_MNIST
from tests.sample_events import identity
from tests.small_sources import gzipped, idx_files, made
from tests.unit.study.test_reproduction_data import prepared

FASHION = "zhong2020-fashion-resnet20"
IMAGENET = identity(
    name="ILSVRC2012",
    kind="imagenet",
    train_images=1_281_167,
    val_images=50_000,
    classes=tuple(class_orders().wnids),
    class_order="wordnet",
)


def _reproduce(
    tmp_path: Path, *words: str, timeout_s: float = 120
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "harness", "reproduce", "--runs", str(tmp_path / "runs"), *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_s,
    )


def _refused_by_hours(tmp_path: Path, *words: str) -> None:
    """The data is a folder that says of itself what it should be: preflight comes before it."""
    done = _reproduce(tmp_path, *words)
    assert done.returncode == 2, done.stderr
    assert re.search(r"one seed of [a-z0-9-]+ would take about .* of \d+ images", done.stderr)
    assert "--max-hours" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_machine_that_would_need_far_too_long_is_refused(tmp_path: Path) -> None:
    data = prepared(tmp_path / "fashion", FASHION_MNIST)
    _refused_by_hours(tmp_path, FASHION, "--data", str(data), "--max-hours", "0.001")


@pytest.mark.slow
def test_a_machine_that_would_need_months_for_imagenet_is_refused(tmp_path: Path) -> None:
    data = prepared(tmp_path / "imagenet", IMAGENET)
    _refused_by_hours(tmp_path, "--imagenet", str(data), "--max-hours", "1")


@pytest.mark.parametrize("words", [(), ("--imagenet", "nowhere")])
def test_without_imagenet_it_says_how_to_get_it(
    tmp_path: Path, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("IMAGENET_DIR", raising=False)
    done = _reproduce(tmp_path, *words)
    assert done.returncode == 2
    assert "harness prepare --source" in done.stderr
    assert not done.stdout


def test_an_unknown_target_offers_the_nearest(tmp_path: Path) -> None:
    done = _reproduce(tmp_path, "zhong2020-fashion")
    assert done.returncode == 2
    assert f"did you mean {FASHION}" in done.stderr


def test_packed_files_are_prepared_and_refused_where_they_are_another_set(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    files = idx_files(made(40, range(10), (28, 28)), made(20, range(10), (28, 28)))
    for name, content in gzipped(files).items():
        (raw / name).write_bytes(content)
    done = _reproduce(tmp_path, FASHION, "--data", str(raw))
    assert done.returncode == 2, done.stderr
    assert (tmp_path / "runs" / "data" / "fashion-mnist" / DESCRIPTION).exists()
    assert f"not what the target {FASHION} is about" in done.stderr
    assert "train_images is 40, the target's 60000" in done.stderr
    assert "apt-get install dataset-fashion-mnist" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_the_contested_recipe_is_begun_from_debians_package_and_goes_on(tmp_path: Path) -> None:
    if not any(folder.is_dir() for folder in PLACES["fashion_mnist"].folders):
        pytest.skip("Debian's package dataset-fashion-mnist is not installed")
    for steps in (2, 4):
        words = (FASHION, "--seed", "1", "--steps", str(steps), "--no-tracking")
        done = _reproduce(tmp_path, *words, "--max-hours", "10000", timeout_s=900)
        assert done.returncode == 0, done.stderr
        assert "nothing is judged" in done.stdout
        assert "the same command resumes" in done.stderr
        (journal,) = (tmp_path / "runs").glob(f"{FASHION}-*/seed-1/journal.jsonl")
        assert read_journal(journal).last_step == steps
    assert "preparing" not in done.stderr, "what was prepared is found again"
