"""The steps of an epoch in sums, which an excerpt keeps of the steps that it leaves out."""

from pydantic import Field

from harness.frozen import Frozen


class EpochSums(Frozen):
    """What the steps of one epoch give together; the last epoch may be a part of one.

    The losses are those of its steps: mean, least and greatest.
    """

    steps: int = Field(ge=1)
    images: int = Field(ge=0)
    correct: int = Field(ge=0)
    loss: float
    least_loss: float
    greatest_loss: float
    learning_rate: float = Field(description="of its last step")
