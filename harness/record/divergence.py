"""Where two runs part and why, as values. Written by `harness diff --json`."""

from typing import Literal

from pydantic import Field

from harness.frozen import Frozen
from harness.record.certificate import StepDifference

Origin = Literal[
    "learning rate",
    "images",
    "image contents",
    "batch",
    "state before the step",
    "loss",
    "gradients",
    "weights",
    "unknown",
]
"""What parted first, in the order of computation. `images`: other images or another order;
`image contents`: the same images with other pixels; `batch`: one of both, not known which."""


class RecordedDifferences(Frozen):
    """What is recorded differently in two runs; `key: a | b` each."""

    seed: tuple[str, ...] = ()
    recipe: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    numerics: tuple[str, ...] = ()
    code: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()


class ReplayFinding(Frozen):
    """What two replays of the first differing step showed.

    `altered_state` and `not_reproduced` name runs as `A` and `B`.
    """

    origin: Origin
    names: tuple[str, ...] = Field(
        default=(), description="images or tensors that differ, the first in computation first"
    )
    of: int = Field(default=0, description="how many images or tensors there are")
    altered_state: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    not_reproduced: tuple[str, ...] = ()
    notes: tuple[str, ...] = Field(default=(), description="why a replay was not possible")


class Divergence(Frozen):
    """The answer of `harness diff`."""

    run_a: str
    run_b: str
    common_steps: int
    first: StepDifference | None
    finding: ReplayFinding | None
    ends_differ: tuple[str, ...] = Field(
        default=(), description="final weights or predictions that differ after equal steps"
    )
    causes: tuple[str, ...] = Field(description="most likely first")
    differences: RecordedDifferences

    @property
    def equal(self) -> bool:
        """Whether every step and end that both have is equal to the bit."""
        return self.first is None and not self.ends_differ
