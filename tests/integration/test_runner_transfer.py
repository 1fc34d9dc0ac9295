"""`harness run transfer` as a command: what it refuses before it begins, and what it reports."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.errors import WeightsError
from harness.models.catalogue import table_of
from harness.recipes.catalogue import find_recipe
from harness.recipes.normalisations import find_normalisation
from harness.recipes.protocol import center_crop
from harness.recipes.settings import with_settings
from harness.record.run_folder import begun_run, run_folder
from harness.runner.initial_model import initial_weights
from harness.runner.request import RunRequest
from harness.runner.scratch_baseline import against_scratch, scratch_recipe
from harness.weights.export import write_legacy
from tests.integration.test_inference_evaluate import arrays

NAME = "he2015-cifar-resnet20-a"
PROTOCOL = center_crop(34, 32).model_dump_json()
SETTINGS = (
    f"model.name={NAME}",
    "model.image_size=32",
    "batch=4",
    "steps_per_epoch=2",
    'phases=[{"epochs":1,"rate":{"kind":"constant","rate":0.01}}]',
    "augmentation.short_side=[34,39]",
    f"epoch_protocol={PROTOCOL}",
    f"final_protocols=[{PROTOCOL}]",
)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bare file of ten classes."""
    path = tmp_path_factory.mktemp("weights") / "bare.h5"
    write_legacy(path, table_of(NAME, 10), arrays(10, NAME))
    return path


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of coloured noise."""
    root = tmp_path_factory.mktemp("pictures")
    random = np.random.RandomState(1)
    for split in ("train", "val"):
        for i in range(12):
            folder = root / split / ("dark", "light")[i % 2]
            folder.mkdir(parents=True, exist_ok=True)
            pixels = random.randint(0, 128, (48, 44, 3)) + 127 * (i % 2)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{i}.jpg", quality=90)
    return root


def train(recipe: str, pictures: Path, runs: Path, *words: str) -> subprocess.CompletedProcess[str]:
    settings = [word for setting in SETTINGS for word in ("--set", setting)]
    command = ["run", recipe, "--data", str(pictures), "--runs", str(runs), "--seed", "1"]
    return subprocess.run(
        [sys.executable, "-m", "harness", *command, "--no-tracking", *settings, *words],
        capture_output=True,
        text=True,
        check=False,
    )


def request(pictures: Path, runs: Path, init: Path, normalisation: str | None) -> RunRequest:
    return RunRequest(
        recipe=with_settings(find_recipe("transfer"), SETTINGS),
        settings=SETTINGS,
        data=pictures,
        seeds=(1,),
        runs=runs,
        init=init,
        normalisation=find_normalisation(normalisation) if normalisation else None,
    )


@pytest.mark.parametrize(
    ("normalisation", "expected"),
    [(None, "add --normalisation"), ("torch", "the recipe feeds apm5 input")],
)
def test_weights_of_unknown_or_other_input_are_refused(
    weights: Path, pictures: Path, tmp_path: Path, normalisation: str | None, expected: str
) -> None:
    with pytest.raises(WeightsError, match=expected):
        initial_weights(request(pictures, tmp_path, weights, normalisation), {})


def test_a_file_that_may_not_start_the_recipe_leaves_no_run(
    weights: Path, pictures: Path, tmp_path: Path
) -> None:
    torn = tmp_path / "torn.h5"
    torn.write_bytes(weights.read_bytes()[:5000])
    init = ("--init", str(torn), "--normalisation", "apm5")
    done = train("transfer", pictures, tmp_path / "runs", *init)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert "damaged or truncated" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("runs/transfer-*"))


def test_a_transfer_is_reported_against_the_same_seed_from_scratch(
    weights: Path, pictures: Path, tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    scratch = train("transfer-scratch", pictures, runs, "--json")
    assert scratch.returncode == 0, scratch.stderr
    assert json.loads(scratch.stdout)["against_scratch"] == []

    init = ("--init", str(weights), "--normalisation", "apm5", "--json")
    both = train("transfer", pictures, runs, *init)
    assert both.returncode == 0, both.stderr
    (entry,) = json.loads(both.stdout)["against_scratch"]
    found = entry["comparison"]
    assert "/transfer-scratch-" in found["first"]
    assert "/transfer-" in found["second"]
    assert found["images"] == 12
    for side, report in (("first", scratch), ("second", both)):
        (evaluation,) = json.loads(report.stdout)["seeds"][0]["evaluations"]
        assert found[f"{side}_accuracy"] == evaluation["top1_accuracy"]

    other = tmp_path / "other.h5"
    changed = arrays(10, NAME)
    changed["conv0/kernel"] = changed["conv0/kernel"] + 1
    write_legacy(other, table_of(NAME, 10), changed)
    again = request(pictures, runs, other, "apm5")
    begun = begun_run(run_folder(runs, again.recipe, 1))
    assert begun is not None
    with pytest.raises(WeightsError, match="seed 1 was begun from other weights"):
        initial_weights(again, {1: begun})

    shutil.rmtree(run_folder(runs, scratch_recipe(again.recipe), 1).path)
    alone = against_scratch(again, 1).text()
    assert "not compared with training from scratch: that run must be completed" in alone
    assert f"harness run transfer-scratch --data {pictures}" in alone
    assert "harness compare" in alone
