"""A run that was cut, or whose epochs are others, is told by its recipe and its data alone."""

import json
from pathlib import Path

import pytest

from harness.analysis.verdict import verdict
from harness.errors import DifferenceFoundError
from harness.record.journal import FILE_NAME, read_journal
from harness.record.run_folder import find_runs
from harness.record.run_length import other_length
from harness.replay.certify import CertifyRequest, certify
from tests.chained_journals import events_of, rewrite
from tests.manipulations import real_runs
from tests.planted_journals import imagenet_runs, plant
from tests.rendered_reports import REPORTS

COMMITTED = find_runs(sorted(REPORTS.glob("*/runs/*")))


@pytest.mark.parametrize("run", COMMITTED, ids=lambda run: "/".join(run.parts[-4:]))
def test_a_real_run_has_its_recipes_length(run: Path) -> None:
    assert other_length(read_journal(run).started) is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"steps_total": 360}, "it is of 360 steps, 45 an epoch"),
        ({"steps_per_epoch": 1}, "it is of 405 steps, 1 an epoch"),
        ({"steps_per_epoch": 81}, "it is of 405 steps, 81 an epoch"),
    ],
)
def test_another_length_is_told_beside_the_answer(
    tmp_path: Path, changes: dict[str, int], said: str
) -> None:
    runs = real_runs(tmp_path)
    journal = runs / "seed-3" / FILE_NAME
    first, *others = events_of(journal)
    if changes.get("steps_total"):  # the end that such a run would have had
        others = [line for line in others if _step(line) <= 360]
    rewrite(journal, [json.dumps(json.loads(first) | changes, separators=(",", ":")), *others])
    expected = "and its recipe smoke has 405, 45 an epoch, on 1,442 training images"
    words = other_length(read_journal(journal.parent).started)
    assert words == f"{said}, {expected}"
    notes = verdict([runs]).notes
    assert any("a run of another length than its recipe's: it is of" in note for note in notes)


def _step(line: str) -> int:
    step = json.loads(line).get("step", 0)
    return int(step[-1] + 1 if isinstance(step, list) else step)


def test_a_replay_refuses_it_before_anything_is_computed(tmp_path: Path) -> None:
    folder = plant(tmp_path / "seed-1", imagenet_runs(77.7)[0])
    with pytest.raises(DifferenceFoundError, match="another length than its recipe: it is of 300"):
        certify(CertifyRequest(folder))


def test_a_data_set_smaller_than_a_batch_is_told(tmp_path: Path) -> None:
    (run,) = imagenet_runs(77.7)
    started = read_journal(plant(tmp_path / "seed-1", run)).started
    data = started.data.model_copy(update={"train_images": 3})
    words = other_length(started.model_copy(update={"data": data}))
    assert words == "3 training images do not fill a batch of the recipe apm5-resnet50"
