"""Imported weights against published accuracies: whole set, random draws, other subsets."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from harness.analysis.published_weights import judge_evaluation_folder
from harness.baselines import load_baselines
from harness.baselines.schema import AccuracyRow
from harness.cli.judge.verdict import command
from harness.errors import RecordError, UsageError
from harness.models.catalogue import names as model_names
from harness.recipes.protocol import Protocol, center_crop, ten_crop
from harness.record.predictions import predictions_table, write_predictions
from harness.record.run_folder import find_runs
from harness.sources.class_order import class_orders
from harness.sources.labels.numbers import VAL_NAME, published_val_labels
from harness.verdict.imported import (
    Draw,
    EvaluationAnswer,
    EvaluationFacts,
    drawn_numbers,
    drawn_of_classes,
    evaluation_text,
    judge_evaluation,
)

CLASSES = 1000


def row(name: str = "keras-resnet50") -> AccuracyRow:
    return next(r for r in load_baselines().accuracy if r.name == name)


def facts(
    accuracy: float,
    *,
    images: int = 50_000,
    classes: int = CLASSES,
    protocol: Protocol | None = None,
    model: str = "keras-resnet50",
    kind: str = "imagenet",
) -> EvaluationFacts:
    per_class = images // classes
    correct = round(accuracy * images)
    base, more = divmod(correct, classes)
    return EvaluationFacts(
        model=model,
        protocol=protocol or center_crop(),
        images=images,
        images_in_split=50_000 if kind == "imagenet" else images,
        top1_correct=correct,
        classes=CLASSES,
        data_kind=kind,
        correct_by_label={i: base + (i < more) for i in range(classes)},
        images_by_label=dict.fromkeys(range(classes), per_class),
    )


@pytest.mark.parametrize(
    ("accuracy", "word"),
    [(0.74928, "agrees"), (0.74978, "agrees"), (0.74870, "differs"), (0.7510, "differs")],
)
def test_the_whole_set_has_no_sampling_error(accuracy: float, word: str) -> None:
    answer = judge_evaluation(facts(accuracy), row())
    assert answer.word == word
    assert "no sampling error" in answer.reasons[0]
    assert answer.interval is None


def test_a_difference_names_suspects_and_chance_the_class_order() -> None:
    answer = judge_evaluation(facts(0.70), row())
    assert [s.split(":")[0] for s in answer.suspects][:3] == [
        "normalisation",
        "short_sides",
        "decoder",
    ]
    near_chance = judge_evaluation(facts(0.0011), row())
    assert near_chance.suspects[0].startswith("class order")
    assert "suspects" in evaluation_text(near_chance)


def test_another_protocol_is_described_with_its_keys() -> None:
    answer = judge_evaluation(facts(0.77, protocol=ten_crop()), row())
    assert answer.word == "described"
    assert "another protocol, differs in: crops (ten, the row's center)" in answer.reasons[0]
    at_224 = judge_evaluation(facts(0.6685, model="keras-resnet50v2"), row("keras-resnet50v2"))
    assert "crop_size (224, the row's 299)" in at_224.reasons[0]


def test_subsets_that_were_not_drawn_are_described() -> None:
    ten = judge_evaluation(facts(0.9, images=200, classes=10, kind="imagenet_subset"), row())
    assert ten.reasons == ("covers 10 of 1,000 classes, not a random draw",)
    assert ten.exit_code == 3
    first = judge_evaluation(facts(0.75, images=5000), row())
    assert first.word == "described"


def test_a_simple_draw_has_the_interval_of_the_finite_population() -> None:
    draw = Draw(kind="simple", seed=7, images=5000, population=50_000)
    answer = judge_evaluation(facts(0.75, images=5000), row(), draw)
    assert answer.word == "cannot_tell"
    assert answer.interval is not None
    # 1.96 * sqrt(0.1875 / 5000 * 45000 / 49999) = 0.0114, by hand
    assert answer.interval.high - answer.interval.low == pytest.approx(2 * 0.0114, abs=5e-4)
    assert answer.detectable == pytest.approx(0.0168, abs=5e-4)
    assert judge_evaluation(facts(0.70, images=5000), row(), draw).word == "differs"


def test_a_stratified_draw_is_judged_by_its_strata() -> None:
    draw = Draw(kind="stratified", seed=7, images=5000, population=50_000)
    answer = judge_evaluation(facts(0.75, images=5000), row(), draw)
    assert answer.interval is not None
    assert answer.interval.low < 0.75 < answer.interval.high


def test_draws_follow_from_their_record() -> None:
    draw = Draw(kind="simple", seed=3, images=100, population=50_000)
    assert drawn_numbers(draw) == drawn_numbers(draw)
    assert len(drawn_numbers(draw)) == 100
    assert drawn_numbers(draw) != drawn_numbers(draw.model_copy(update={"seed": 4}))
    stratified = Draw(kind="stratified", seed=3, images=2000, population=50_000)
    labels = np.arange(50_000) % CLASSES
    taken = drawn_of_classes(labels.tolist(), stratified)
    assert np.bincount(labels[[n - 1 for n in taken]]).tolist() == [2] * CLASSES


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"population": 250}, "population is 250"),
        ({"images": 50_001}, "50,001 images of a population of 50,000"),
        ({"kind": "stratified", "images": 2500}, "not equally many"),
        ({"kind": "stratified", "images": 1000}, "at least two"),
        ({"seed": -1}, "greater than or equal to 0"),
    ],
)
def test_a_draw_that_is_none_of_the_whole_set_is_refused(
    tmp_path: Path, change: dict[str, object], said: str
) -> None:
    record = {"kind": "simple", "seed": 1, "images": 250, "population": 50_000, **change}
    path = tmp_path / "draw.json"
    path.write_text(json.dumps(record))
    folder = written(tmp_path / "e", list(range(1, 251)), 150)
    with pytest.raises(RecordError, match=said):
        judge_evaluation_folder(folder, "keras-resnet50", draw=path)


def test_a_stratified_draw_is_held_to_its_images(tmp_path: Path) -> None:
    wnids = class_orders().wnids
    labels = [wnids[number % CLASSES] for number in range(50_000)]
    (tmp_path / "labels.txt").write_text("\n".join(labels) + "\n")
    draw = Draw(kind="stratified", seed=2, images=2000, population=50_000, labels="labels.txt")
    record = tmp_path / "draw.json"
    record.write_text(draw.model_dump_json())
    folder = written(tmp_path / "drawn", sorted(drawn_of_classes(labels, draw)), 1500)
    answer = judge_evaluation_folder(folder, "keras-resnet50", draw=record)
    assert (answer.word, answer.exit_code) == ("cannot_tell", 3)
    first = written(tmp_path / "first", list(range(1, 2001)), 1500)
    with pytest.raises(RecordError, match="that seed 2 draws were not evaluated"):
        judge_evaluation_folder(first, "keras-resnet50", draw=record)
    (tmp_path / "labels.txt").write_text("\n".join(labels[:49_000]) + "\n")
    with pytest.raises(RecordError, match="1,000 images have no label"):
        judge_evaluation_folder(folder, "keras-resnet50", draw=record)


def test_a_stratified_draw_without_labels_takes_the_published_ones(tmp_path: Path) -> None:
    published = published_val_labels()
    labels = [published[VAL_NAME.format(number)] for number in range(1, 50_001)]
    draw = Draw(kind="stratified", seed=2, images=2000, population=50_000)
    record = tmp_path / "draw.json"
    record.write_text(draw.model_dump_json())
    folder = written(tmp_path / "drawn", sorted(drawn_of_classes(labels, draw)), 1500)
    assert judge_evaluation_folder(folder, "keras-resnet50", draw=record).exit_code == 3
    first = written(tmp_path / "first", list(range(1, 2001)), 1500)
    with pytest.raises(RecordError, match="that seed 2 draws were not evaluated"):
        judge_evaluation_folder(first, "keras-resnet50", draw=record)


def test_a_goal_is_no_row_to_hold_weights_against(tmp_path: Path) -> None:
    folder = written(tmp_path / "e", list(range(1, 101)), 70)
    with pytest.raises(UsageError, match="quality target, not a measured result"):
        judge_evaluation_folder(folder, "mlperf-quality-target")


def test_a_difference_may_also_be_other_weights() -> None:
    assert "not the published weights" in judge_evaluation(facts(0.70), row()).reasons[0]


def written(folder: Path, numbers: list[int], right: int) -> Path:
    """A folder as `harness evaluate` writes it."""
    folder.mkdir(parents=True, exist_ok=True)
    labels = np.arange(len(numbers)) % CLASSES
    first = np.where(np.arange(len(numbers)) < right, labels, (labels + 1) % CLASSES)
    top5 = np.column_stack([first, *((labels + k) % CLASSES for k in range(2, 6))])
    table = predictions_table(
        [f"val/c{x}/ILSVRC2012_val_{n:08d}.JPEG" for n, x in zip(numbers, labels, strict=True)],
        labels, top5, np.full((len(numbers), 5), 0.2, np.float32), {},
    )  # fmt: skip
    digest = write_predictions(table, folder / "predictions-center_crop.parquet")
    entry = {
        "protocol": center_crop().model_dump(mode="json"),
        "images": len(numbers),
        "images_in_split": 50_000,
        "top1_correct": right,
        "predictions_file": "predictions-center_crop.parquet",
        "predictions_digest": digest,
    }
    data = {"kind": "imagenet", "classes": [str(i) for i in range(CLASSES)]}
    document = {"model": "keras-resnet50", "data": data, "evaluations": [entry]}
    (folder / "evaluation.json").write_text(json.dumps(document))
    return folder


@pytest.mark.parametrize(
    ("model", "name", "said"),
    [
        ("keras-resnet50", "keras-resnet50v2", "the network is keras-resnet50, the row's keras-re"),
        ("apm5-resnet50-v2", "torchvision-resnet50-v1", "the network is apm5-resnet50-v2, the row"),
        ("keras-resnet50", "tensorpack-resnet50", "does not state exactly which network"),
    ],
)
def test_a_row_is_about_one_network_not_a_family(model: str, name: str, said: str) -> None:
    """Numbers made so that they agree with the row."""
    published = row(name)
    protocol = center_crop(crop_size=published.protocol.crop_size or 224)
    answer = judge_evaluation(facts(published.top1, model=model, protocol=protocol), published)
    assert (answer.word, answer.exit_code) == ("described", 3)
    assert said in answer.reasons[0]


def test_every_reason_is_printed_and_what_the_row_leaves_unstated() -> None:
    few = facts(0.9, images=200, classes=10, kind="digits", model="smoke", protocol=ten_crop())
    text = evaluation_text(judge_evaluation(few, row()))
    for said in ("the data is digits", "the network is smoke", "differs in: crops", "10 of 1,000"):
        assert said in text
    assert "does not state short_sides, resize_rule" in text


@pytest.mark.parametrize(("top5", "word"), [(0.9206, "agrees"), (0.90, "differs")])
def test_top5_is_compared_where_both_have_it(top5: float, word: str) -> None:
    whole = facts(0.74928).model_copy(update={"top5_correct": round(50_000 * top5)})
    answer = judge_evaluation(whole, row())
    assert (answer.word, "top-5" in answer.reasons[0]) == (word, True)


def test_rows_of_one_set_of_weights_share_a_lineage_and_networks_are_known() -> None:
    rows = load_baselines().accuracy
    of_he = {r.name for r in rows if r.lineage == "he2015-released-resnet50"}
    assert of_he == {
        "he2015-released-resnet50-center-crop", "he2015-released-resnet50-ten-crop",
        "he2015-table3-resnet-50-b", "keras-resnet50", "tensorpack-resnet-50-caffe-weights",
    }  # fmt: skip
    assert {r.architecture for r in rows} - {None} <= set(model_names())


def test_a_folder_with_a_draw(tmp_path: Path) -> None:
    draw = Draw(kind="simple", seed=5, images=1000, population=50_000)
    folder = written(tmp_path / "e", sorted(drawn_numbers(draw)), 750)
    record = tmp_path / "draw.json"
    record.write_text(draw.model_dump_json())
    assert judge_evaluation_folder(folder, "keras-resnet50", draw=record).word == "cannot_tell"
    words = [str(folder), "--baseline", "keras-resnet50", "--draw", str(record), "--json"]
    result = CliRunner().invoke(command, words)
    assert result.exit_code == 3
    assert EvaluationAnswer.model_validate_json(result.output).images == 1000
    record.write_text(draw.model_copy(update={"seed": 6}).model_dump_json())
    with pytest.raises(RecordError, match="seed 6 draws were not evaluated"):
        judge_evaluation_folder(folder, "keras-resnet50", draw=record)


def test_wrong_folders_and_rows_are_refused(tmp_path: Path) -> None:
    folder = written(tmp_path / "e", list(range(1, 101)), 70)
    with pytest.raises(UsageError, match="keras-resnet51"):
        judge_evaluation_folder(folder, "keras-resnet51")
    with pytest.raises(RecordError, match="cannot read"):
        judge_evaluation_folder(tmp_path, "keras-resnet50")
    with pytest.raises(RecordError, match=r"evaluation of imported weights[^$]*--baseline NAME"):
        find_runs([folder])
    document = json.loads((folder / "evaluation.json").read_text())
    document["evaluations"][0]["top1_correct"] = 99
    (folder / "evaluation.json").write_text(json.dumps(document))
    with pytest.raises(RecordError, match="70 right, the document says 100 with 99"):
        judge_evaluation_folder(folder, "keras-resnet50")
