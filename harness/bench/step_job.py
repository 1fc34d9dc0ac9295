"""What one measurement of a step is asked for, and what it found."""

from typing import Literal

from pydantic import Field

from harness.frozen import Frozen


class StepJob(Frozen):
    """What a worker measures.

    Attributes:
        variant: `reference`, `reference-onednn`, `plain-keras`, `ours` or `keras-fit`.
        model: Name in the catalogue.
        image_size: Pixels.
        batch: Images a step.
        classes: Classes of the network.
        channels: Channels of the images.
        warmup: Calls before the clock counts, the compiling one included.
        steps: Steps that count.
        compute: Arithmetic of the step and of the matrix product beside it.
        xla: Whether our step is compiled by XLA; op determinism is off then.
        steps_per_call: Steps of ours in one call of the compiled function.
        threads: Threads within and between operations; None is one a core.
    """

    variant: str
    model: str
    image_size: int = Field(ge=8)
    batch: int = Field(ge=1)
    classes: int = Field(default=1000, ge=2)
    channels: Literal[1, 3] = 3
    warmup: int = Field(default=2, ge=1)
    steps: int = Field(default=3, ge=1)
    compute: str = "float32"
    xla: bool = False
    steps_per_call: int = Field(default=1, ge=1)
    threads: int | None = None


class MeasuredStep(Frozen):
    """What a worker found.

    Attributes:
        variant: The job's.
        step_time_s: Of each counted step; of several in one call, their mean.
        images_per_s: Over all of them.
        compile_s: Of the first call of the step.
        gemm_flops_per_s: In the step's arithmetic; the better of a measurement before and one
            after the steps.
        flops_per_image: Counted; forward and both gradients.
        compute: Arithmetic of the step and of the matrix product.
        onednn: Whether oneDNN was in force.
        numerics_digest: Of the process's effective numerics.
    """

    variant: str
    step_time_s: tuple[float, ...]
    images_per_s: float
    compile_s: float
    gemm_flops_per_s: float
    flops_per_image: float
    compute: str = "float32"
    onednn: bool
    numerics_digest: str

    @property
    def share_of_gemm_peak(self) -> float:
        """Counted operations a second over those of a matrix product."""
        return self.images_per_s * self.flops_per_image / self.gemm_flops_per_s
