"""What the probes of a device share."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from harness.recipes.recipe import Recipe


@dataclass
class Scene:
    """What the probes share.

    Attributes:
        recipe: Of the main job.
        only_step: Whether nothing but the step is looked at: on all but the first GPU.
        gpus: TensorFlow's GPUs.
        rates: Floating-point operations a second by precision.
        step: The step, once it was made.
    """

    recipe: Recipe
    only_step: bool = False
    gpus: list[Any] = field(default_factory=list)
    rates: dict[str, float] = field(default_factory=dict)
    step: Any = None

    @property
    def device(self) -> str:
        """Where it computes."""
        return "GPU" if self.gpus else "processor"


def repeated(work: Callable[[], Any], seconds: float, most: int) -> list[float]:
    """Seconds of each call, for so long or so often."""
    times: list[float] = []
    while len(times) < 3 or (sum(times) < seconds and len(times) < most):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return times
