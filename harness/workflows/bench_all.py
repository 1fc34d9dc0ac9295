"""`harness bench all`: input, step and evaluation, and which of them holds the others up."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.recipes.apm5 import APM5_RESNET50
from harness.recipes.protocol import ten_crop
from harness.workflows.bench_evaluate import (
    GENERATED_IMAGES,
    EvaluationBenchmark,
    bench_evaluate,
    write_photographs,
)
from harness.workflows.bench_input import InputBench, bench_input, render
from harness.workflows.bench_step import StepBenchmark


@dataclass(frozen=True)
class AllBenchmarks:
    """One benchmark of each part of a training."""

    data_input: InputBench
    step: StepBenchmark
    evaluation: EvaluationBenchmark

    @property
    def input_images_per_s(self) -> float:
        """Of the whole pipeline."""
        return self.data_input.images_per_s.median

    @property
    def bottleneck(self) -> str:
        """`input` or `step`: the slower one sets the rate of a training."""
        return "input" if self.input_images_per_s < self.step.rate("ours")[0] else "step"

    def document(self) -> dict[str, Any]:
        """As JSON-like data."""
        return {
            "benchmark": "all",
            "bottleneck": self.bottleneck,
            "input": self.data_input.as_json(),
            "step": self.step.document(),
            "evaluate": self.evaluation.document(),
        }

    def text(self) -> str:
        """For a person."""
        rates = (
            f"input {self.input_images_per_s:.0f} images/s, "
            f"step {self.step.rate('ours')[0]:.1f} images/s"
        )
        parts = [render(self.data_input), self.step.text(), self.evaluation.text()]
        return "\n\n".join([*parts, f"bottleneck: {self.bottleneck} ({rates})"])


def bench_rest(
    step: StepBenchmark, *, data: Path | None, rounds: int, images_per_round: int = 512
) -> AllBenchmarks:
    """Measure input and evaluation in this process, beside a step that was measured already.

    Args:
        step: The step's benchmark.
        data: A data set; None generates photographs.
        rounds: Repetitions of each.
        images_per_round: Images of the input's rounds.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = data or Path(scratch) / "photographs"
        if data is None:
            write_photographs(folder, GENERATED_IMAGES)
        measured = bench_input(
            folder,
            augmentation=APM5_RESNET50.augmentation,
            rounds=rounds,
            images_per_round=images_per_round,
            image_size=step.job.image_size,
            batch=step.job.batch,
            only=("pipeline",),
        )
        evaluation = bench_evaluate(
            model=step.job.model, protocol=ten_crop(), data=folder, rounds=rounds
        )
    return AllBenchmarks(measured, step, evaluation)
