"""`harness smoke`: the main job in minutes, each part by the command that a user would give.

Two seeds are trained, evaluated and judged; the first is trained again by
another process and compared bit for bit; then the full job's own network makes
two steps at its own image size. Every part is a process of its own.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.analysis.publish import Judged, judge_study
from harness.errors import DifferenceFoundError
from harness.record.journal import read_journal
from harness.runner.request import check_seeds
from harness.study.child_process import run_harness
from harness.study.imagenet_subset import imagenet_subset
from harness.study.reproduction_data import embedded_digits

FULL_RECIPE = "apm5-resnet50"
FULL_SETTINGS = ("batch=8",)
FULL_STEPS = 2
FULL_IMAGES = 20
NO_TARGET = "no target applies to this data, so the smoke states that this machine works, no more"

Say = Callable[[str], None]


@dataclass(frozen=True)
class SmokeResult:
    """What the smoke found: the study's answer, and steps that the repetition gave again."""

    judged: Judged
    compared_steps: int

    def text(self, runs: Path) -> str:
        """For a person."""
        repeated = f"repeated in another process: {self.compared_steps} steps, bit for bit equal"
        about = "" if self._has_target else f"{NO_TARGET}\n"
        return f"{repeated}\n{about}\n{self.judged.text(runs)}"

    @property
    def exit_code(self) -> int:
        """That of the answer; 0 where no target applies to the data: the machine passed."""
        return self.judged.judgements.exit_code if self._has_target else 0

    @property
    def _has_target(self) -> bool:
        return self.judged.judgements.worst.word != "no_target"


def smoke(
    runs: Path,
    seeds: tuple[int, ...],
    imagenet: Path | None,
    tracking_uri: str | None = None,
    say: Say = print,
) -> SmokeResult:
    """Run the smoke.

    Args:
        runs: Where everything goes.
        seeds: Seeds to train; the first is repeated.
        imagenet: A folder in ImageNet's layout, of which a tiny subset is
            taken; None takes the embedded digits.
        tracking_uri: MLflow's; None is SQLite within `runs`.
        say: Called when a part begins.

    Raises:
        DataError: the folder lacks what the subset needs.
        DifferenceFoundError: the repetition gave other bits.
    """
    check_seeds(seeds)
    say("1 of 5  data")
    data = embedded_digits(runs) if imagenet is None else imagenet_subset(imagenet, runs)
    say(f"2 of 5  train and evaluate seed {', '.join(map(str, seeds))}")
    tracking = ("--tracking-uri", tracking_uri) if tracking_uri else ()
    study = Path(_train(runs, data, seeds, *tracking)["study"])
    say(f"3 of 5  train seed {seeds[0]} again in another process, compare bit for bit")
    repeated = Path(_train(runs / "repeat", data, seeds[:1], "--no-tracking")["study"])
    steps = compare_bits(study / f"seed-{seeds[0]}", repeated / f"seed-{seeds[0]}")
    say(f"        {steps} of {steps} steps, the weights and the evaluations are equal")
    say(f"4 of 5  {FULL_STEPS} steps and {FULL_IMAGES} images of {FULL_RECIPE}'s own network")
    _full_network(runs, data, seeds[0])
    say("5 of 5  verdict and report")
    return SmokeResult(judge_study(study, runs, data, tracking_uri, say), steps)


def _train(runs: Path, data: Path, seeds: tuple[int, ...], *options: str) -> dict[str, Any]:
    chosen = [word for seed in seeds for word in ("--seed", str(seed))]
    return _run_command("smoke", runs, data, *chosen, *options)


def _full_network(runs: Path, data: Path, seed: int) -> None:
    settings = [word for setting in FULL_SETTINGS for word in ("--set", setting)]
    _run_command(
        FULL_RECIPE, runs / "full-network", data, "--seed", str(seed), *settings,
        "--steps", str(FULL_STEPS), "--eval-images", str(FULL_IMAGES), "--no-tracking",
        "--max-hours", "inf",
    )  # fmt: skip


def _run_command(recipe: str, runs: Path, data: Path, *options: str) -> dict[str, Any]:
    words = ("run", recipe, "--data", str(data), "--runs", str(runs), *options, "--json")
    document: dict[str, Any] = json.loads(run_harness(*words))
    return document


def compare_bits(first: Path, second: Path) -> int:
    """Compare two runs' steps, final weights and evaluations.

    Returns:
        The number of steps compared.

    Raises:
        DifferenceFoundError: something differs; the first step is named.
    """
    a, b = read_journal(first), read_journal(second)
    recorded = a.fingerprints()
    others = b.fingerprints()
    parted = [step for step in recorded if recorded[step] != others.get(step)]
    hits = [[(e.protocol_digest, e.top1_correct) for e in j.evaluations] for j in (a, b)]
    ends = [j.finished.weights_fingerprint if j.finished else None for j in (a, b)]
    if parted or hits[0] != hits[1] or ends[0] != ends[1] or not recorded:
        what = f"step {parted[0]}" if parted else "the evaluation"
        raise DifferenceFoundError(
            f"two runs of one seed differ, first at {what}",
            where=f"{first} and {second}",
            expected="equal bits",
            remedy=f"run `harness diff {first} {second}`",
        )
    return len(recorded)
