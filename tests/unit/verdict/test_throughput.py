"""Speeds are compared only when everything that makes them is equal."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from harness.analysis.throughput import read_speed, throughput, throughput_text
from harness.baselines import load_baselines
from harness.cli.judge.verdict import command
from harness.record.schema import EffectiveNumerics
from harness.verdict.throughput import Speed, compare_with_published, compare_with_run, speed_of
from tests.planted_journals import NUMERICS, Planted, imagenet_runs, plant, started

RUN = imagenet_runs(77.7)[0]


def speed(step_s: float, *, seed: int = 0, run: Planted = RUN, noise: float = 0.03) -> Speed:
    times = step_s * np.exp(noise * np.random.default_rng(seed).standard_normal(2000))
    return speed_of(f"run-{seed}", started(run), times, np.full(2000, 128.0), np.zeros(2000, bool))


def rows(name: str) -> object:
    return next(row for row in load_baselines().throughput if row.name == name)


@pytest.mark.parametrize(
    ("ours", "theirs", "word"),
    [(0.5, 0.5, "as_fast"), (0.6, 0.5, "slower"), (0.5, 0.6, "faster")],
)
def test_earlier_runs(ours: float, theirs: float, word: str) -> None:
    found = compare_with_run(speed(ours, seed=1), speed(theirs, seed=2))
    assert found.word == word
    assert found.ratio == pytest.approx(theirs / ours, rel=0.01)
    assert found.interval is not None
    assert found.interval.low < theirs / ours < found.interval.high


def test_a_small_or_noisy_difference_cannot_be_told() -> None:
    noisy = [speed(s, seed=i, noise=1.5) for i, s in enumerate((0.52, 0.50))]
    assert compare_with_run(*noisy).word == "cannot_tell"


def changed(**numerics: object) -> Planted:
    values = NUMERICS.model_copy(update=numerics)
    return replace(RUN, numerics=EffectiveNumerics.model_validate(values.model_dump()))


@pytest.mark.parametrize(
    ("other", "keys"),
    [
        (changed(devices=("GPU: NVIDIA V100",)), {"device", "numerics"}),
        (changed(tf32=True), {"precision", "numerics"}),
        (changed(intra_op_threads=8), {"numerics"}),
        (replace(RUN, data=RUN.data.model_copy(update={"root_digest": "9" * 64})), {"input"}),
    ],
)
def test_what_differs_is_named(other: Planted, keys: set[str]) -> None:
    found = compare_with_run(speed(0.5), speed(0.5, run=other))
    assert found.word == "incomparable"
    assert set(found.differs) == keys
    assert found.ratio is None


def test_published_rows_need_the_same_device_batch_and_input() -> None:
    titan = rows("apm5-resnet50-titan-xp")
    found = compare_with_published(speed(0.5), titan)  # type: ignore[arg-type]
    assert found.word == "published"
    assert found.ratio == pytest.approx(1.0, rel=0.01)
    synthetic = compare_with_published(speed(0.5), rows("lambda-resnet50-titan-xp"))  # type: ignore[arg-type]
    assert synthetic.word == "incomparable"
    assert synthetic.differs == ("input",)
    v100 = compare_with_published(speed(0.5), rows("nvidia-tensorflow-a100-40-gb-8x-tf32"))  # type: ignore[arg-type]
    assert {"device", "devices", "precision", "batch"} <= set(v100.differs)


V100 = "GPU: NVIDIA Tesla V100-SXM2-16GB 16 GB"


def test_a_row_with_an_unstated_batch_is_incomparable_and_an_unstated_input_is_said() -> None:
    ours = speed(0.5, run=changed(devices=(V100,)))
    silent = compare_with_published(ours, rows("nvidia-pytorch-v100-16-gb-1x-float32"))  # type: ignore[arg-type]
    assert (silent.word, silent.ratio, silent.other_step_time_s) == ("incomparable", None, None)
    assert {"batch", "input", "numerics"} <= set(silent.unstated)
    assert silent.differs == ()
    titan = compare_with_published(speed(0.5), rows("apm5-resnet50-titan-xp"))  # type: ignore[arg-type]
    assert titan.other_step_time_s == pytest.approx(128 / 256)
    assert "batch" not in titan.unstated


def test_the_text_has_step_times_and_what_sources_leave_out(tmp_path: Path) -> None:
    run = plant(tmp_path / "a" / "seed-1", replace(RUN, steps=600, step_time_s=0.5))
    answer = throughput(run)
    text = throughput_text(answer)
    assert answer.step_time_s == pytest.approx(0.5)
    assert "256.0 images/s, 500.0 ms a step of 128 images" in text
    assert "apm5-resnet50-titan-xp does not state: spread, numerics" in text
    on_v100 = replace(changed(devices=(V100,)), steps=600)
    text = throughput_text(throughput(plant(tmp_path / "b" / "seed-1", on_v100)))
    assert "1x-float32: V100 16 GB, " in text
    assert "not stated: input, batch" in text


def test_a_run_on_disk(tmp_path: Path) -> None:
    run = plant(tmp_path / "a" / "seed-1", replace(RUN, steps=600, step_time_s=0.5))
    slower = plant(tmp_path / "b" / "seed-1", replace(RUN, steps=600, step_time_s=0.7))
    assert read_speed(run).images_per_s == pytest.approx(256.0)
    answer = throughput(slower, [run])
    assert (answer.earlier[0].word, answer.exit_code) == ("slower", 1)
    words = ["--throughput", "--earlier", str(run)]
    result = CliRunner().invoke(command, [str(slower), *words])
    assert result.exit_code == 1
    assert "TITAN Xp" in result.output
    assert CliRunner().invoke(command, [str(run), "--throughput"]).exit_code == 0


def test_options_that_do_not_go_together_are_refused(tmp_path: Path) -> None:
    result = CliRunner().invoke(command, [str(tmp_path), "--earlier", str(tmp_path)])
    assert "do not go together" in str(result.exception)
