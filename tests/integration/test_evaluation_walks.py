"""One walk for all evaluations of a run: traced once, and each answers as one made anew."""

from pathlib import Path

import keras
import numpy as np
import pytest

from harness.data.dataset import DataSet
from harness.data.opening import open_dataset
from harness.errors import DataError
from harness.evaluation.evaluate import evaluate_together, prepared
from harness.models.build import build_model
from harness.recipes.protocol import Protocol, center_crop, multi_scale, ten_crop
from harness.recipes.recipe import Model
from harness.record.journal import JournalWriter
from harness.record.run_folder import RunFolder
from harness.runner import evaluator as evaluating
from harness.runner.evaluator import RunEvaluator
from harness.runner.recorder import Recorder
from tests.generated_sources import damaged_behind_its_header
from tests.parity.generated_images import jpeg_bytes, picture

IMAGES = 5
CENTER, TEN = center_crop(40, 32), ten_crop(40, 32)
FOLDED = CENTER.model_copy(update={"fold_batch_norm": True})


@pytest.fixture
def data(tmp_path: Path) -> DataSet:
    for split in ("train", "val"):
        for n in range(IMAGES):
            path = tmp_path / "data" / split / "thing" / f"{n}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(jpeg_bytes(picture(60 + n, 80, n)))
    return open_dataset(tmp_path / "data", manifests=tmp_path / "manifests")


@pytest.fixture
def model() -> keras.Model:
    return build_model(Model(name="apm5-resnet18-v2", image_size=32), classes=7, seed=5)


def move(model: keras.Model, seed: int) -> None:
    """Other weights, and statistics that stay positive."""
    random = np.random.default_rng(seed)
    for variable in model.weights:
        factors = random.uniform(0.5, 1.5, variable.shape).astype(np.float32)
        variable.assign(variable * factors)


@pytest.mark.parametrize(
    "protocols",
    [(CENTER, TEN), (multi_scale((32, 45)),), (FOLDED,)],
    ids=["crops", "whole images", "folded"],
)
def test_a_walk_kept_while_weights_change_answers_as_one_made_anew(
    model: keras.Model, data: DataSet, protocols: tuple[Protocol, ...]
) -> None:
    walk = prepared(model, data.val, protocols, crops_per_batch=30)
    seen = set()
    for seed in range(3):
        move(model, seed)
        anew = evaluate_together(model, data.val, protocols, crops_per_batch=30)
        for kept, expected in zip(walk.evaluate(), anew, strict=True):
            assert kept.top5_class.tobytes() == expected.top5_class.tobytes()
            assert kept.top5_probability.tobytes() == expected.top5_probability.tobytes()
        seen.add(kept.top5_probability.tobytes())
    assert len(seen) == 3
    assert walk.forward.experimental_get_tracing_count() == 1  # type: ignore[attr-defined]


def test_a_run_traces_each_protocol_once_however_often_it_evaluates(
    model: keras.Model, data: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def counted(*args: object, **options: object) -> object:
        made.append(prepared(*args, **options))  # type: ignore[arg-type]
        return made[-1]

    monkeypatch.setattr(evaluating, "prepared", counted)
    folder = RunFolder(tmp_path / "run")
    with JournalWriter(folder.journal) as writer:
        evaluator = RunEvaluator(
            model=model,
            data=data,
            folder=folder,
            recorder=Recorder(writer, lambda _event: None),
            steps_per_epoch=10,
            total_steps=40,
            limit=None,
            recorded=[],
            stop_if_asked=lambda _step: None,
            look_at=lambda _step, _predictions: None,
        )
        for step in (10, 20, 30, 40):
            move(model, step)
            evaluator.evaluate(step, (CENTER, TEN))
    assert [walk.protocols for walk in made] == [(CENTER,), (TEN,)]
    assert [walk.forward.experimental_get_tracing_count() for walk in made] == [1, 1]
    files = list(folder.path.glob("predictions-*.parquet"))
    assert len({file.read_bytes() for file in files}) == len(files) == 8


def test_an_image_that_is_damaged_between_two_walks_is_named(
    model: keras.Model, data: DataSet
) -> None:
    walk = prepared(model, data.val, (CENTER,), crops_per_batch=2)
    walk.evaluate()
    path = Path(data.val.paths[3])
    path.write_bytes(damaged_behind_its_header())
    with pytest.raises(DataError) as caught:
        walk.evaluate()
    assert data.val.ids[3] in str(caught.value)
