"""`harness bench all`: input, step, tracker and evaluation, and which of them holds a run up."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from harness.bench.evaluation import (
    CROPS_PER_BATCH,
    EvaluationBenchmark,
    bench_evaluate,
    images_needed,
    write_photographs,
)
from harness.bench.input import InputBench, bench_input, render
from harness.bench.step import StepBenchmark
from harness.bench.tracker import bench_tracker
from harness.measure.environment import effective_numerics
from harness.recipes.protocol import ten_crop
from harness.recipes.published.apm5 import APM5_RESNET50
from harness.recipes.recipe import Numerics, Precision

Part = Literal["input", "step", "tracker"]


def slowest(images_per_s: dict[Part, float]) -> Part:
    """The part of a training with the lowest rate: it sets the rate of the whole."""
    return min(images_per_s, key=lambda part: images_per_s[part])


@dataclass(frozen=True)
class AllBenchmarks:
    """One benchmark of each part of a training.

    Attributes:
        data_input: Of the whole pipeline.
        step: Of the training step.
        tracker_steps_per_s: Steps a second that journal and mirror take.
        evaluation: Ten crops.
    """

    data_input: InputBench
    step: StepBenchmark
    tracker_steps_per_s: float
    evaluation: EvaluationBenchmark

    @property
    def images_per_s(self) -> dict[Part, float]:
        """What each part of a training could do alone."""
        return {
            "input": self.data_input.images_per_s.median,
            "step": self.step.rate("ours").median,
            "tracker": self.tracker_steps_per_s * self.step.job.batch,
        }

    @property
    def bottleneck(self) -> Part:
        """The slowest part."""
        return slowest(self.images_per_s)

    def document(self) -> dict[str, Any]:
        """As JSON-like data."""
        return {
            "benchmark": "all",
            "bottleneck": self.bottleneck,
            "images_per_s": self.images_per_s,
            "input": self.data_input.as_json(),
            "step": self.step.document(),
            "tracker": {"steps_per_s": self.tracker_steps_per_s},
            "evaluate": self.evaluation.document(),
        }

    def text(self) -> str:
        """For a person."""
        rates = ", ".join(f"{part} {rate:,.1f}" for part, rate in self.images_per_s.items())
        parts = [render(self.data_input), self.step.text(), self.evaluation.text()]
        return "\n\n".join([*parts, f"bottleneck: {self.bottleneck} (images/s: {rates})"])


def bench_rest(
    step: StepBenchmark, *, data: Path | None, rounds: int, images_per_round: int = 512
) -> AllBenchmarks:
    """Measure the other parts in this process, beside a step that was measured already.

    Args:
        step: The step's benchmark.
        data: A data set; None generates photographs.
        rounds: Repetitions of each.
        images_per_round: Images of the input's rounds.
    """
    protocol = ten_crop()
    with tempfile.TemporaryDirectory() as scratch:
        folder = data or Path(scratch) / "photographs"
        if data is None:
            write_photographs(folder, images_needed(protocol, CROPS_PER_BATCH))
        measured = bench_input(
            folder,
            augmentation=APM5_RESNET50.augmentation,
            rounds=rounds,
            images_per_round=images_per_round,
            image_size=step.job.image_size,
            batch=step.job.batch,
            only=("pipeline",),
        )
        tracker = bench_tracker(
            Path(scratch) / "runs", numerics=effective_numerics(Numerics(), Precision())
        )
        evaluation = bench_evaluate(
            model=step.job.model, protocol=protocol, data=folder, rounds=rounds
        )
    return AllBenchmarks(measured, step, tracker, evaluation)
