"""`harness bench loop`: its figures, and one measurement of a small recipe from end to end."""

import itertools
from pathlib import Path

import pytest
import tensorflow as tf

from harness.bench.input import WARM_UP_BATCHES, bench_input, render
from harness.bench.input_stages import FROM_FILES
from harness.bench.loop import LoopBenchmark, LoopMeasurement, LoopRound, bench_loop
from harness.models.build import build_model
from harness.recipes.recipe import Recipe
from harness.recipes.settings import with_settings
from harness.recipes.smoke import SMOKE
from harness.training.state import create_state, to_arrays
from harness.training.step import build_step
from tests.small_images import COLOUR, padded, pixels, png, whole

SIDE = 16


def small_recipe() -> Recipe:
    return SMOKE.model_copy(
        update={
            "batch": 8,
            "augmentation": padded(SIDE),
            "normalisation": COLOUR,
            "model": SMOKE.model.model_copy(update={"image_size": SIDE}),
            "epoch_protocol": whole(SIDE, COLOUR),
            "final_protocols": (whole(SIDE, COLOUR),),
        }
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("small") / "data"
    for split, count in (("train", 40), ("val", 12)):
        for number, image in enumerate(pixels(count, SIDE, 3)):
            path = base / split / str(number % 4) / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(png(image))
    return base


def test_figures_are_taken_within_rounds() -> None:
    rounds = tuple(
        LoopRound(
            bare_images_per_s=1000 / slow * wobble,
            loop_images_per_s=970 / slow,
            input_images_per_s=20_000 / slow,
            evaluation_s=3.0 * slow,
            gemm_flops_per_s=5e11 / slow,
        )
        for slow, wobble in ((1, 1.001), (2, 0.999), (3, 1.0))
    )
    bench = LoopBenchmark("small", 128, 60_032, 2.0e8, rounds)
    document = bench.document()
    assert document["loop_over_bare"]["median"] == pytest.approx(0.97, rel=1e-3)
    assert document["input_over_bare"]["median"] == pytest.approx(20, rel=1e-3)
    # 3 s beside 60,032 images at 970 a second.
    assert document["evaluation_share_of_training"]["median"] == pytest.approx(3 * 970 / 60_032)
    assert document["share_of_gemm_peak"]["low"] == pytest.approx(970 * 2.0e8 / 5e11)
    assert document["bare_images_per_s"]["high"] == pytest.approx(1001)
    assert "loop over bare step" in bench.text()


def test_a_small_recipe_is_measured_from_end_to_end(folder: Path) -> None:
    ticks = itertools.count()
    told: list[str] = []
    bench = bench_loop(
        small_recipe(), folder, rounds=2, steps=3, now=lambda: float(next(ticks)), say=told.append
    )
    assert len(told) == len(bench.rounds) == 2
    # Each part of a round is timed by two readings of a clock that counts its readings.
    assert bench.rounds[0].bare_images_per_s == 3 * 8
    assert bench.rounds[1].input_images_per_s == 3 * 8
    assert bench.epoch_images == 40
    assert bench.document()["recipe"] == "smoke"


def test_a_frozen_trunk_is_measured_frozen(folder: Path) -> None:
    """A step is one pass of the network where nothing below the head is derived."""
    flops = {
        trunk: bench_loop(
            with_settings(small_recipe(), (f"model.trunk={trunk}",)), folder, rounds=2, steps=1
        ).flops_per_image
        for trunk in ("from_seed", "imported_frozen")
    }
    assert flops["from_seed"] == 3 * flops["imported_frozen"]


def test_batches_that_were_made_while_others_ran_are_not_timed() -> None:
    events: list[str] = []

    def now() -> float:
        events.append("clock")
        return float(len(events))

    def nothing() -> None:
        events.append("work")

    made = LoopMeasurement(
        small_recipe(), 7, now, 1.0, nothing, nothing, lambda n: events.append(f"{n}"), nothing
    )
    made.round()
    at = events.index(f"{WARM_UP_BATCHES}")
    assert events[at : at + 4] == [f"{WARM_UP_BATCHES}", "clock", "7", "clock"]


def test_a_step_without_fingerprints_is_the_same_step() -> None:
    recipe = small_recipe()
    image = tf.random.stateless_normal((8, SIDE, SIDE, 3), (0, 0))
    label, rate = tf.range(8) % 4, tf.constant(0.1)
    after = {}
    for fingerprints in (True, False):
        state = create_state(build_model(recipe.model, classes=4, seed=0), float16=False)
        output = build_step(state, recipe, tf.distribute.get_strategy(), fingerprints=fingerprints)(
            image, label, rate
        )
        assert (
            (int(output.fingerprint) != 0) == (int(output.batch_fingerprint) != 0) == fingerprints
        )
        after[fingerprints] = to_arrays(state)
    assert all((after[True][name] == after[False][name]).all() for name in after[True])


def test_the_input_of_a_padded_recipe_is_measured_from_memory_and_from_files(folder: Path) -> None:
    from harness.data.opening import open_dataset

    recipe = small_recipe()
    data = open_dataset(folder, manifests=folder.parent / "manifests")
    bench = bench_input(
        data.root,
        augmentation=recipe.augmentation,
        normalisation=recipe.normalisation,
        protocol=recipe.epoch_protocol,
        rounds=2,
        images_per_round=16,
        image_size=SIDE,
        batch=8,
        warm_up_images=16,
    )
    assert {FROM_FILES, "evaluation, center crop", "pipeline"} <= bench.ways.keys()
    assert FROM_FILES in render(bench)
