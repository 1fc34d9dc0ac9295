"""`harness smoke`: the main job in minutes, each part by the command that a user would give.

Two seeds are trained, evaluated and judged; the first is trained again by
another process and compared bit for bit; then the full job's own network makes
two steps at its own image size, beside the repetition where there is no GPU.
Every part is a process of its own.
"""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.analysis.publish import Judged, judge_study
from harness.measure.gpu_list import local_gpus
from harness.record.repeated import REPEAT, compare_bits
from harness.runner.request import check_seeds
from harness.study.child_process import run_harness, run_together
from harness.study.imagenet_subset import imagenet_subset
from harness.study.reproduction_data import embedded_digits
from harness.training.checkpoint import list_checkpoints

FULL_RECIPE = "apm5-resnet50"
FULL_SETTINGS = ("batch=8",)
FULL_STEPS = 2
FULL_IMAGES = 4
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
    say(f"4 of 5  {FULL_STEPS} steps and {FULL_IMAGES} images of {FULL_RECIPE}'s own network")
    again = _words("smoke", runs / REPEAT, data, "--seed", str(seeds[0]), "--no-tracking")
    full = _full_network(runs, data, seeds[0])
    if local_gpus(os.environ):  # a GPU's memory is one process's
        repeated = run_harness(*again)
        run_harness(*full)
    else:
        # Neither is timed, and each leaves cores idle while it is compiled and reads its data.
        repeated, _ = run_together(again, full, runs / "full-network" / "messages.txt")
    study_again = Path(json.loads(repeated)["study"])
    steps = compare_bits(study / f"seed-{seeds[0]}", study_again / f"seed-{seeds[0]}")
    say(f"        {steps} of {steps} steps, the weights and the evaluations are equal")
    say("5 of 5  verdict and report")
    result = SmokeResult(judge_study(study, runs, data, tracking_uri, say), steps)
    free_disk(study, runs / REPEAT, runs / "full-network")
    return result


def free_disk(study: Path, *others: Path) -> None:
    """Remove checkpoints that nothing needs once all is equal and judged, two thirds of the disk.

    Args:
        study: Of its runs the last checkpoint stays, to export; `certify` replays from the
            initial state.
        others: Folders of studies whose journals alone count; all their checkpoints go.
    """
    for checkpoints in study.glob("seed-*/checkpoints"):
        for folder in list_checkpoints(checkpoints)[:-1]:
            shutil.rmtree(folder)
    for other in others:
        for checkpoints in other.glob("*/seed-*/checkpoints"):
            shutil.rmtree(checkpoints)


def _train(runs: Path, data: Path, seeds: tuple[int, ...], *options: str) -> dict[str, Any]:
    chosen = [word for seed in seeds for word in ("--seed", str(seed))]
    document: dict[str, Any] = json.loads(
        run_harness(*_words("smoke", runs, data, *chosen, *options))
    )
    return document


def _full_network(runs: Path, data: Path, seed: int) -> tuple[str, ...]:
    settings = [word for setting in FULL_SETTINGS for word in ("--set", setting)]
    return _words(
        FULL_RECIPE, runs / "full-network", data, "--seed", str(seed), *settings,
        "--steps", str(FULL_STEPS), "--eval-images", str(FULL_IMAGES), "--no-tracking",
        "--max-hours", "inf",
    )  # fmt: skip


def _words(recipe: str, runs: Path, data: Path, *options: str) -> tuple[str, ...]:
    return ("run", recipe, "--data", str(data), "--runs", str(runs), *options, "--json")
