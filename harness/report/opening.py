"""The first screen of a report below the answer: one picture and the numbers that matter."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from harness.report.rendering.content import Drawing, Section
from harness.report.rendering.wording import amount, count, listed, number, percent, plural
from harness.report.run_record import RunRecord
from harness.verdict.judgement import Judgements

PICTURES = ("forest", "accuracy", "loss")
"""Names of drawings, the one that says most first."""

SOURCES = {
    "digits": "scikit-learn's copy of the UCI Optical Recognition of Handwritten Digits",
    "imagenet": "ImageNet, ILSVRC2012",
    "imagenet_subset": "a part of ImageNet, ILSVRC2012",
    "fashion_mnist": "Fashion-MNIST, Xiao, Rasul and Vollgraf 2017",
    "mnist": "MNIST, LeCun, Cortes and Burges",
    "cifar10": "CIFAR-10, Krizhevsky 2009",
    "cifar100": "CIFAR-100, Krizhevsky 2009",
}
UNKNOWN_COMMIT = (
    "warning: the commit is unknown, as after an installation by pip; the version alone names the "
    "code"
)


def take_picture(sections: Sequence[Section]) -> tuple[Drawing | None, tuple[Section, ...]]:
    """The drawing for the first screen, and the sections without it."""
    found = {one.name: one for section in sections for one in section.drawings}
    chosen = next((found[name] for name in PICTURES if name in found), None)
    return chosen, tuple(
        replace(section, drawings=tuple(one for one in section.drawings if one is not chosen))
        for section in sections
    )


def facts(
    runs: Sequence[RunRecord], judgements: Judgements | None, repeated: Mapping[str, str]
) -> tuple[tuple[str, str], ...]:
    """Numbers with their names.

    Args:
        runs: At least one.
        judgements: None where there are none.
        repeated: What a repetition in another process showed, by name of run.
    """
    return tuple(
        (name, words)
        for name, words in (
            ("top-1", _accuracy(runs, judgements)),
            ("speed", _speed(runs)),
            ("repeated", "; ".join(f"{name}: {words}" for name, words in repeated.items())),
            ("data", "; ".join(dict.fromkeys(map(_data, runs)))),
            ("harness", "; ".join(dict.fromkeys(map(_harness, runs)))),
            ("words", "; ".join(_words(judgements))),
        )
        if words
    )


def _accuracy(runs: Sequence[RunRecord], judgements: Judgements | None) -> str:
    """Mean and spread over the seeds, of what was judged or of the last protocol.

    Empty where the runs are of several recipes or data, or a seed is there twice: their
    numbers must not be pooled.
    """
    questions = {(run.started.recipe_digest, run.started.data.root_digest) for run in runs}
    if len(questions) > 1 or len({run.started.seed for run in runs}) < len(runs):
        return ""
    if judgements is not None and judgements.each[0].protocol is not None:
        first = judgements.each[0]
        name = str(first.protocol)
        found = [s.top1_accuracy for s in first.judged_seeds if s.top1_accuracy is not None]
    else:
        name = runs[0].started.recipe.final_protocols[-1].name
        ends = [run.final(name) for run in runs]
        found = [one.top1_accuracy for one in ends if one is not None]
    if not found:
        return ""
    if len(found) == 1:
        return f"{percent(found[0])} ({name}), one seed: no spread is known"
    mean, spread = percent(statistics.mean(found)), amount(statistics.stdev(found), 3)
    return (
        f"mean {mean} over {plural(len(found), 'seed')} ({name}), spread {spread} (standard "
        f"deviation), {percent(min(found))} to {percent(max(found))}"
    )


def _speed(runs: Sequence[RunRecord]) -> str:
    rates = []
    for run in runs:
        times = run.series.times
        if times is not None:
            rates.append(f"{run.name} {number(times.images_per_s, 4)}")
    return f"images/s of training: {listed(rates)}" if rates else ""


def _data(run: RunRecord) -> str:
    data = run.started.data
    source = SOURCES.get(data.kind, "a folder of the user's own")
    return (
        f"{data.name}, {source}: {count(data.train_images)} training and "
        f"{count(data.val_images)} validation images of {count(len(data.classes))} classes"
    )


def _harness(run: RunRecord) -> str:
    started = run.started
    changed = " with uncommitted changes" if started.git_dirty else ""
    commit = f"commit {started.git_commit[:12]}{changed}" if started.git_commit else UNKNOWN_COMMIT
    return f"version {started.harness_version}, {commit}"


def _words(judgements: Judgements | None) -> Iterator[str]:
    """What the answer's words mean, where they stand for the first time."""
    yield "root: one SHA-256 over every image and label of the data"
    if judgements is not None and judgements.each[0].target is not None:
        yield "declared: named by the target before the runs; others are shown and do not count"
