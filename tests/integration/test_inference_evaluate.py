"""`harness evaluate` and `harness classify` as commands, on weights of every origin."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.errors import ModelError, UsageError, WeightsError
from harness.inference.evaluate import EvaluationRequest, default_folder, requested_protocols
from harness.inference.export import export
from harness.models.catalogue import table_of
from harness.models.initial import draw_kernel
from harness.recipes.normalisations import NORMALISATIONS
from harness.recipes.protocol import center_crop
from harness.recipes.smoke import SMOKE
from harness.record.journal import JournalWriter
from harness.record.predictions import read_predictions
from harness.training.checkpoint import write_checkpoint
from harness.weights.description import WeightsDescription
from harness.weights.export import write_legacy
from harness.weights.files import WeightArrays
from harness.weights.source import Imported, import_weights
from tests.record_samples import SampleRun, started

NAME = "apm5-resnet18-v2"
CLASSES = tuple("0123456789")


def arrays(classes: int, name: str = NAME) -> dict[str, np.ndarray]:
    values = {}
    for v in table_of(name, classes):
        if v.kind == "kernel":
            values[v.path] = np.asarray(draw_kernel(v.path, v.shape, 1, "glorot_uniform"))
        else:
            ones = v.kind in {"gamma", "moving_variance"}
            values[v.path] = np.full(v.shape, float(ones), np.float32)
    return values


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the smoke's recipe with a journal and one checkpoint."""
    folder = tmp_path_factory.mktemp("runs") / "smoke" / "seed-1"
    with JournalWriter(folder / "journal.jsonl") as journal:
        journal.append(started(SampleRun(classes=CLASSES)))
    state = {f"weights/{path}": array for path, array in arrays(10).items()}
    state["step"] = np.int64(7)
    write_checkpoint(folder / "checkpoints", 7, "run", state, lambda: None)
    return folder


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pictures")
    random = np.random.RandomState(1)
    for split in ("train", "val"):
        for i in range(12):
            folder = root / split / CLASSES[i % 10]
            folder.mkdir(parents=True, exist_ok=True)
            pixels = random.randint(0, 256, (48, 40 + i, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{i}.jpg", quality=90)
    return root


def harness(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "harness", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_runs_checkpoint_is_evaluated_under_the_runs_own_protocols(
    run_folder: Path, pictures: Path, tmp_path: Path
) -> None:
    done = harness(
        "evaluate", "--weights", str(run_folder), "--data", str(pictures), "--json",
        "--protocol", "ten_crop", "--protocol", "center_crop", "--out", str(tmp_path / "out"),
        "--runs", str(tmp_path / "runs"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document == json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert document["model"] == NAME
    assert document["weights"]["description"]["class_names"] == list(CLASSES)
    assert document["class_order"] == "folder"
    ten, center = document["evaluations"]
    assert [ten["protocol_digest"], center["protocol_digest"]] == [
        SMOKE.protocols()[name].digest for name in ("ten_crop", "center_crop")
    ]
    for entry in (ten, center):
        table = read_predictions(tmp_path / "out" / entry["predictions_file"])
        assert table.num_rows == entry["images"] == entry["images_in_split"] == 12
        first = [row[0] for row in table["top5_class"].to_pylist()]
        assert sum(map(int.__eq__, first, table["label"].to_pylist())) == entry["top1_correct"]
        assert table.schema.metadata[b"weights"].decode() == document["weights"]["sha256"]


def test_pictures_are_named_with_the_runs_classes(run_folder: Path, pictures: Path) -> None:
    image = next((pictures / "val" / "3").iterdir())
    done = harness("classify", "--weights", str(run_folder), str(image), "--json")
    assert done.returncode == 0, done.stderr
    (entry,) = json.loads(done.stdout)["images"]
    assert {guess["name"] for guess in entry["top5"]} <= set(CLASSES)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_a_checkpoint_is_exported_for_others(run_folder: Path, tmp_path: Path) -> None:
    for name in ("a.h5", "a.weights.h5"):
        written = export(str(run_folder), tmp_path / name)
        back = import_weights(str(written.path))
        assert back.description == import_weights(str(run_folder)).description
        for path, array in arrays(10).items():
            np.testing.assert_array_equal(back.weights.arrays[path], array)


def test_what_is_wrong_is_said_without_a_traceback(pictures: Path, tmp_path: Path) -> None:
    path = tmp_path / "torn.h5"
    path.write_bytes(b"\x89HDF\r\n\x1a\n torn")
    done = harness("evaluate", "--weights", str(path), "--data", str(pictures))
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "damaged or truncated" in done.stderr
    assert "what to do" in done.stderr


def test_a_checkpoint_carries_what_its_journal_says(run_folder: Path) -> None:
    for folder in (run_folder, run_folder / "checkpoints", *run_folder.glob("checkpoints/step*")):
        imported = import_weights(str(folder))
        assert imported.model_name == NAME
        assert imported.description.class_names == CLASSES
        assert imported.recipe == SMOKE
    with pytest.raises(WeightsError, match="option for class_order contradicts"):
        import_weights(str(run_folder), class_order="wordnet")
    with pytest.raises(WeightsError, match=f"fits {NAME}"):
        import_weights(str(run_folder), model_name="apm5-resnet34-v2")


def test_a_bare_file_must_be_described_and_may_name_its_network(tmp_path: Path) -> None:
    path = tmp_path / "bare.h5"
    write_legacy(path, table_of(NAME, 10), arrays(10))
    with pytest.raises(WeightsError, match="--normalisation and --class-order"):
        import_weights(str(path))
    with pytest.raises(WeightsError, match=f"fits {NAME}: name one of these"):
        import_weights(str(path), model_name="keras-resnet50")
    told = {"normalisation": NORMALISATIONS["apm5"], "class_order": "folder"}
    assert import_weights(str(path), **told).model_name == NAME


def test_weights_of_several_networks_must_be_named(tmp_path: Path) -> None:
    path = tmp_path / "v1.h5"
    table = table_of("apm5-resnet18-v1", 1000)
    write_legacy(path, table, {v.path: np.broadcast_to(np.float32(0), v.shape) for v in table})
    with pytest.raises(UsageError, match="apm5-resnet18-v1, apm5-resnet18-v1-2019"):
        import_weights(str(path))
    assert import_weights(str(path), model_name="apm5-resnet18-v1-2019").recipe is None


def test_a_folder_without_a_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="holds no checkpoint"):
        import_weights(str(tmp_path))


def test_keras_publishes_no_weights_for_the_references_networks() -> None:
    with pytest.raises(ModelError, match="keras-resnet50v2"):
        import_weights("imagenet", model_name=NAME)


def imported(model_name: str = NAME) -> Imported:
    description = WeightsDescription(
        normalisation=NORMALISATIONS["tf"], class_order="wordnet", classes=1000
    )
    return Imported(model_name, WeightArrays("a", "legacy_h5", "", {}), description)


def test_a_protocol_takes_the_weights_normalisation_and_input_size() -> None:
    (protocol,) = requested_protocols(("center_crop",), {}, imported())
    assert protocol == center_crop(normalisation=NORMALISATIONS["tf"])
    (wide,) = requested_protocols(("center_crop",), {}, imported("keras-resnet50v2"))
    assert (wide.short_sides, wide.crop_size) == ((341,), 299)
    (small,) = requested_protocols(("center_crop",), {}, imported("he2015-cifar-resnet20-a"))
    assert (small.short_sides, small.crop_size) == ((32,), 32)


def test_settings_are_fields_of_the_protocols_identity() -> None:
    settings = {"short_sides": (352,), "crop_size": 320, "antialias": True, "average": "logits"}
    (plain,), (changed,) = (
        requested_protocols(("ten_crop",), s, imported()) for s in ({}, settings)
    )
    assert set(plain.differences(changed)) == set(settings)
    assert plain.digest != changed.digest


def test_evaluations_under_other_settings_have_folders_of_their_own() -> None:
    other = imported()
    devkit = other.description.model_copy(update={"class_order": "devkit"})
    sample = started(SampleRun(classes=CLASSES)).data
    asked = {"weights": "a", "data": Path("d"), "protocols": ("center_crop",), "runs": Path("r")}
    plain = EvaluationRequest(**asked)
    folders = [
        default_folder(request, weights, requested_protocols(protocols, settings, weights), sample)
        for request, weights, protocols, settings in (
            (plain, other, ("center_crop",), {}),
            (plain, other, ("center_crop", "ten_crop"), {}),
            (plain, other, ("center_crop",), {"antialias": True}),
            (EvaluationRequest(**asked, limit=8), other, ("center_crop",), {}),
            (plain, replace(other, description=devkit), ("center_crop",), {}),
        )
    ]
    assert len(set(folders)) == len(folders)
    assert {folder.parent for folder in folders} == {Path("r/evaluations")}


@pytest.mark.parametrize(
    ("names", "settings", "words"),
    [
        (("center_crop", "center_crop"), {}, "each protocol once"),
        (("corner_crop",), {}, "no protocol named 'corner_crop'"),
        (("center_crop",), {"crop_size": 300}, "crop of 300 does not fit into 256"),
        (("ten_crop",), {"short_sides": (224, 256)}, "2 short sides"),
    ],
)
def test_protocols_that_contradict_themselves_are_refused(
    names: tuple[str, ...], settings: dict[str, object], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        requested_protocols(names, settings, imported())
