"""Two prediction files, image by image."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner
from scipy import stats

from harness.analysis.compare import compare, differences
from harness.cli.judge.compare import command
from harness.errors import RecordError, UsageError
from harness.recipes.protocol import center_crop, ten_crop
from harness.recipes.smoke import SMOKE
from harness.record.predictions import predictions_table, read_predictions, write_predictions
from harness.verdict.paired import PairedComparison, compare_predictions, comparison_text
from tests.record_samples import SampleRun, write_run

CLASSES = 10


def predictions(
    right: np.ndarray, *, seed: int = 0, metadata: dict[str, str] | None = None
) -> pa.Table:
    """n images with labels 0..9 in turn; `right` says where the first answer is the label."""
    n = len(right)
    labels = np.arange(n) % CLASSES
    first = np.where(right, labels, (labels + 1) % CLASSES)
    second = np.where(right, (labels + 1) % CLASSES, labels)
    rest = (labels[:, None] + np.arange(2, 5)) % CLASSES
    top = np.random.default_rng(seed).uniform(0.5, 0.9, n)
    probability = np.stack([top, (1 - top) / 2, *[(1 - top) / 8] * 3], 1)
    return predictions_table(
        [f"val/{label}/{i:05d}.jpg" for i, label in enumerate(labels)],
        labels,
        np.column_stack([first, second, rest]),
        probability.astype(np.float32),
        metadata or {"protocol": ten_crop().model_dump_json(), "class_order": "folder"},
    )


def masks() -> tuple[np.ndarray, np.ndarray]:
    """700 right in both, 40 in the first only, 15 in the second only, 245 in none."""
    first, second = np.zeros(1000, bool), np.zeros(1000, bool)
    first[:740] = True
    second[:700] = True
    second[740:755] = True
    return first, second


def test_counts_test_and_interval() -> None:
    first, second = masks()
    found = compare_predictions(predictions(first), predictions(second))
    assert (found.first_only, found.second_only, found.images) == (40, 15, 1000)
    assert found.difference == pytest.approx(-0.025)
    assert found.p_value == pytest.approx(
        stats.binomtest(15, 55).pvalue - stats.binom.pmf(15, 55, 0.5), abs=1e-12
    )
    assert found.interval.low < -0.025 < found.interval.high < 0
    assert found.churn == pytest.approx(0.055)
    assert sum(c.first_correct - c.second_correct for c in found.classes) == 25
    assert len(found.changed) == 10
    assert "not two recipes" in comparison_text(found)


def test_the_order_of_images_does_not_matter() -> None:
    first, second = masks()
    table = predictions(second)
    shuffled = table.take(pa.array(np.random.default_rng(1).permutation(1000)))
    assert compare_predictions(predictions(first), shuffled) == compare_predictions(
        predictions(first), table
    )


def test_turning_the_question_turns_the_answer() -> None:
    tables = [predictions(mask) for mask in masks()]
    one, other = compare_predictions(*tables), compare_predictions(*reversed(tables))
    assert one.difference == -other.difference
    assert one.interval.low == pytest.approx(-other.interval.high)
    assert one.p_value == other.p_value


def test_equal_files_do_not_differ() -> None:
    first, _ = masks()
    found = compare_predictions(predictions(first), predictions(first))
    assert (found.difference, found.p_value, found.churn) == (0.0, 1.0, 0.0)
    assert found.changed == found.classes == ()


def test_another_protocol_is_named() -> None:
    first, second = masks()
    other = {"protocol": center_crop().model_dump_json(), "class_order": "folder"}
    found = compare_predictions(predictions(first), predictions(second, metadata=other))
    assert found.protocol_differences == ("crops", "mirror")
    assert "the protocols differ in: crops, mirror" in comparison_text(found)


def test_missing_images_other_labels_and_another_class_order_are_refused() -> None:
    first, second = masks()
    whole = predictions(first)
    with pytest.raises(RecordError, match=r"1 images of second are missing.*00999"):
        compare_predictions(predictions(second).slice(0, 999), whole, names=("first", "second"))
    with pytest.raises(RecordError, match="missing"):
        compare_predictions(whole, predictions(second).slice(0, 999))
    shifted = whole.set_column(1, "label", pa.array(np.roll(np.arange(1000) % 10, 1), pa.int32()))
    with pytest.raises(RecordError, match="1,000 images have different labels"):
        compare_predictions(whole, shifted)
    devkit = predictions(second, metadata={"protocol": "{}", "class_order": "devkit"})
    with pytest.raises(RecordError, match="folder and in devkit order"):
        compare_predictions(whole, devkit)


def test_empty_files_are_refused_in_words() -> None:
    whole = predictions(masks()[0])
    with pytest.raises(RecordError, match="the file is empty") as caught:
        compare_predictions(whole, whole.slice(0, 0), names=("a.parquet", "b.parquet"))
    assert caught.value.where == "b.parquet"
    with pytest.raises(RecordError, match="the file is empty"):
        compare_predictions(whole.slice(0, 0), whole.slice(0, 0))


def test_a_prediction_file_beside_a_run_is_refused(tmp_path: Path) -> None:
    run = write_run(tmp_path / "seed-1", SampleRun(seed=1))
    file = next(run.glob("predictions-*.parquet"))
    for pair in ((file, run), (run, file)):
        for question in (compare, differences):
            with pytest.raises(UsageError, match="a prediction file stands beside a run"):
                question(*pair)


def test_doubled_images_are_refused_on_reading(tmp_path: Path) -> None:
    table = predictions(masks()[0])
    write_predictions(pa.concat_tables([table, table.slice(0, 1)]), tmp_path / "p.parquet")
    with pytest.raises(RecordError, match="more than once"):
        read_predictions(tmp_path / "p.parquet")


def test_two_runs_are_compared_by_their_last_evaluation(tmp_path: Path) -> None:
    one = write_run(tmp_path / "a" / "seed-1", SampleRun(seed=1, top1_correct=196))
    other = write_run(tmp_path / "a" / "seed-2", SampleRun(seed=2, top1_correct=190))
    found = compare(one, other)
    assert "ten_crop" in found.first
    assert found.difference == pytest.approx(-6 / 200)
    result = CliRunner().invoke(command, [str(one), str(other), "--protocol", "center_crop"])
    assert result.exit_code == 0
    assert "McNemar" in result.output
    document = CliRunner().invoke(command, [str(one), str(other), "--json"])
    assert PairedComparison.model_validate_json(document.output) == found
    with pytest.raises(UsageError, match="multi_scale"):
        compare(one, other, protocol="multi_scale")


def test_the_page_of_two_runs_shows_what_differs(tmp_path: Path) -> None:
    other_recipe = SMOKE.model_copy(update={"batch": 64})
    one = write_run(tmp_path / "a" / "seed-1", SampleRun(top1_correct=196))
    other = write_run(tmp_path / "b" / "seed-1", SampleRun(top1_correct=190, recipe=other_recipe))
    page, text = tmp_path / "page.html", tmp_path / "page.md"
    words = [str(one), str(other), "--out", str(page), "--markdown", str(text)]
    result = CliRunner().invoke(command, words)
    assert result.exit_code == 0
    assert "-3.00 pp top-1 on 200 images" in text.read_text(encoding="utf-8")
    (row,) = [line for line in text.read_text(encoding="utf-8").splitlines() if "| batch" in line]
    assert "32" in row
    assert "64" in row
    assert "Second minus first" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("other_run", "why"),
    [
        (SampleRun(seed=2, evaluates=False), "the runs have no evaluation in common"),
        (
            SampleRun(seed=2, data_name="others", data_root="e" * 64, images=150, top1_correct=100),
            "the runs are on different data, digits (dddddddddddd) and others (eeeeeeeeeeee)",
        ),
    ],
    ids=["no evaluation", "other data"],
)
def test_runs_that_cannot_be_compared_still_get_their_page(
    tmp_path: Path, other_run: SampleRun, why: str
) -> None:
    one = write_run(tmp_path / "seed-1", SampleRun(seed=1))
    other = write_run(tmp_path / "seed-2", other_run)
    text = tmp_path / "page.md"
    words = [str(one), str(other), "--markdown", str(text)]
    done = CliRunner().invoke(command, words, catch_exceptions=False)
    assert done.exit_code == 0
    assert f"Not compared: {why}" in done.stdout
    assert f"Not compared: {why}".split(" (")[0] in text.read_text(encoding="utf-8")
    assert "Both runs have the same recipe" in text.read_text(encoding="utf-8")
    document = CliRunner().invoke(command, [*words, "--json"], catch_exceptions=False)
    assert why in json.loads(document.stdout)["not_compared"]


def test_altered_predictions_of_a_run_are_refused(tmp_path: Path) -> None:
    one = write_run(tmp_path / "seed-1", SampleRun(seed=1))
    other = write_run(tmp_path / "seed-2", SampleRun(seed=2))
    for path in other.glob("predictions-*.parquet"):
        write_predictions(read_predictions(path).slice(0, 10), path)
    with pytest.raises(RecordError, match="not those that the run wrote"):
        compare(one, other)
