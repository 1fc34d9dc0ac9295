"""What parted first between two steps taken apart, and the cause named first."""

import pytest

from harness.record.certificate import Part, StepDetail, StepDifference
from harness.record.divergence import Origin, RecordedDifferences, ReplayFinding
from harness.replay.root_causes import compare_details, likely_causes

DETAIL = StepDetail(
    step=4,
    start=3,
    altered_state=(),
    reproduces=True,
    fingerprint="1" * 16,
    batch_fingerprint="2" * 16,
    learning_rate=0.1,
    loss=1.5,
    gradient_norm=2.0,
    images=(("train/0/a.jpg", "a" * 16), ("train/1/b.jpg", "b" * 16)),
    before={"weights/first/kernel": "3" * 16, "weights/last/kernel": "4" * 16},
    tensor_fingerprints={
        "loss": "5" * 16,
        "gradients/first/kernel": "6" * 16,
        "gradients/last/kernel": "7" * 16,
        "weights/first/kernel": "8" * 16,
        "weights/last/kernel": "9" * 16,
    },
)
OTHER = "0" * 16


def first(part: Part, step: int = 4) -> StepDifference:
    return StepDifference(step=step, part=part, found="x", expected="y")


def changed(**changes: object) -> StepDetail:
    return DETAIL.model_copy(update=changes)


def marks(*names: str) -> dict[str, str]:
    return {**DETAIL.tensor_fingerprints, **dict.fromkeys(names, OTHER)}


LATER = ("loss", "gradients/first/kernel", "gradients/last/kernel", "weights/first/kernel")


@pytest.mark.parametrize(
    ("part", "other", "origin", "names"),
    [
        (
            "batch",
            changed(images=DETAIL.images[::-1], tensor_fingerprints=marks(*LATER)),
            "images",
            ("train/1/b.jpg", "train/0/a.jpg"),
        ),
        (
            "batch",
            changed(
                images=(DETAIL.images[0], ("train/1/b.jpg", OTHER)),
                tensor_fingerprints=marks(*LATER),
            ),
            "image contents",
            ("train/1/b.jpg",),
        ),
        ("batch", changed(reproduces=False), "batch", ()),
        (
            "loss",
            changed(
                before={**DETAIL.before, "weights/last/kernel": OTHER},
                tensor_fingerprints=marks(*LATER),
            ),
            "state before the step",
            ("weights/last/kernel",),
        ),
        ("loss", changed(tensor_fingerprints=marks(*LATER)), "loss", ()),
        (
            "gradients",
            changed(tensor_fingerprints=marks("gradients/first/kernel", "gradients/last/kernel")),
            "gradients",
            ("gradients/last/kernel", "gradients/first/kernel"),
        ),
        (
            "gradients or weights",
            changed(tensor_fingerprints=marks("weights/first/kernel")),
            "weights",
            ("weights/first/kernel",),
        ),
        ("learning rate", changed(learning_rate=0.2), "learning rate", ()),
    ],
)
def test_what_parted_first(
    part: Part, other: StepDetail, origin: Origin, names: tuple[str, ...]
) -> None:
    finding = compare_details(first(part), DETAIL, other, ())
    assert (finding.origin, finding.names) == (origin, names)


def test_without_replays_the_journals_part_remains() -> None:
    finding = compare_details(first("batch"), DETAIL, None, ("run B could not be replayed: x",))
    assert finding.origin == "batch"
    assert finding.notes == ("run B could not be replayed: x",)


EVERYTHING = RecordedDifferences(
    seed=("seed: 1 | 2",),
    recipe=("loss.weight_decay: 0.1 | 0.2",),
    data=("root_digest: a | b",),
    numerics=("cpu: x | y", "onednn: True | False", "intra_op_threads: 1 | 2"),
    code=("commit: a | b",),
    environment=("packages.numpy: 1 | 2",),
)
NONE = RecordedDifferences()


def only(**fields: tuple[str, ...]) -> RecordedDifferences:
    return RecordedDifferences(**fields)


@pytest.mark.parametrize(
    ("finding", "differences", "beginning"),
    [
        (ReplayFinding(origin="images"), EVERYTHING, "another seed"),
        (
            ReplayFinding(origin="loss"),
            only(numerics=EVERYTHING.numerics),
            "other numerics: onednn",
        ),
        (
            ReplayFinding(origin="image contents", names=("train/0/a.jpg",)),
            only(data=EVERYTHING.data, numerics=EVERYTHING.numerics),
            "other data (root_digest: a | b); first seen in train/0/a.jpg",
        ),
        (ReplayFinding(origin="images"), NONE, "another order of the batch"),
        (
            ReplayFinding(origin="batch", not_reproduced=("B",)),
            only(code=EVERYTHING.code),
            "another order of the batch or other pixels in run B",
        ),
        (
            ReplayFinding(
                origin="state before the step", altered_state={"B": ("weights/first/kernel",)}
            ),
            EVERYTHING,
            "the saved state of run B was changed outside the training: weights/first/kernel",
        ),
        (
            ReplayFinding(origin="state before the step", not_reproduced=("B",)),
            only(numerics=EVERYTHING.numerics, code=EVERYTHING.code),
            "other numerics: onednn",
        ),
        (
            ReplayFinding(origin="loss", not_reproduced=("A", "B")),
            only(numerics=EVERYTHING.numerics),
            "other numerics: onednn",
        ),
        (
            ReplayFinding(origin="loss", not_reproduced=("A",)),
            NONE,
            "run A does not repeat this step",
        ),
        (ReplayFinding(origin="loss"), NONE, "nothing recorded differs"),
        (
            ReplayFinding(origin="loss"),
            only(environment=EVERYTHING.environment, recipe=EVERYTHING.recipe),
            "another recipe (loss.weight_decay: 0.1 | 0.2)",
        ),
    ],
)
def test_the_first_cause(
    finding: ReplayFinding, differences: RecordedDifferences, beginning: str
) -> None:
    part: Part = "batch" if finding.origin in {"images", "image contents", "batch"} else "loss"
    causes = likely_causes(first(part), finding, differences)
    assert causes[0].startswith(beginning), causes


def test_every_recorded_difference_is_among_the_causes() -> None:
    text = "\n".join(likely_causes(first("loss"), ReplayFinding(origin="loss"), EVERYTHING))
    for word in ("seed: 1 | 2", "weight_decay", "root_digest", "onednn", "cpu", "commit", "numpy"):
        assert word in text


def test_equal_runs_have_no_cause() -> None:
    assert likely_causes(None, None, EVERYTHING) == ()
