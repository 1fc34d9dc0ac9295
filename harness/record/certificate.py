"""The determinism certificate of a run and the details of a replayed step, as values.

`harness certify` writes the certificate beside the run; reports and bundles
show it. It needs no TensorFlow to be read.
"""

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from harness.errors import RecordError
from harness.frozen import Frozen
from harness.record.schema import Fingerprint, Hex64, RunStarted

FILE_NAME = "certificate.json"

Level = Literal["none", "data", "forward", "step", "whole_run"]
"""How far a replay agreed: not even the batches; the batches; the losses; everything of each step;
everything of every step, the final weights and each image's prediction."""

Part = Literal["learning rate", "batch", "loss", "gradients", "gradients or weights"]
"""What parted first within a step, in the order in which a step computes it."""


class StepDifference(Frozen):
    """The first step at which two records of the same training part."""

    step: int = Field(ge=0)
    part: Part
    found: str
    expected: str


class Segment(Frozen):
    """Consecutive steps that were replayed from a saved state."""

    first_step: int = Field(ge=0)
    end_step: int = Field(ge=1, description="step after the last one replayed")
    level: Level
    difference: StepDifference | None = Field(
        default=None, description="where bits may differ: the first beyond the tolerance"
    )
    altered_state: tuple[str, ...] = Field(
        default=(), description="tensors of the starting state that the journal has otherwise"
    )
    differing_tensors: tuple[str, ...] = Field(
        default=(),
        description="tensors at the end that the journal's checkpoint has otherwise; "
        "empty where bits may differ",
    )

    @property
    def agrees(self) -> bool:
        """Whether nothing differs, or nothing by more than the tolerance."""
        return not (self.difference or self.altered_state or self.differing_tensors)


class DetectionChance(Frozen):
    """With which chance an audit would have caught an alteration."""

    altered_share: float = Field(gt=0, le=1, description="of the run's steps, contiguous")
    altered_segments: int = Field(ge=0, description="the fewest that the altered steps can lie in")
    chance: float = Field(ge=0, le=1)


class Audit(Frozen):
    """Segments drawn by a nonce that was given after the run."""

    nonce: str
    journal_digest: Hex64
    segments_in_run: int = Field(ge=1)
    segments_replayed: int = Field(ge=1)
    chances: tuple[DetectionChance, ...]


class Certificate(Frozen):
    """What a replay of a run showed.

    `exact` says that the replay ran under the run's own numerics, where equal
    bits are promised. Otherwise loss and gradient norm were compared within
    `tolerance`, a fraction, and the certificate is a weaker one. A saved state
    whose tensors are not the journal's is a difference in both cases.
    """

    version: Literal[1] = 1
    statement: str
    level: Level
    exact: bool
    agrees: bool
    run_id: str
    seed: int
    recipe_digest: Hex64
    data_root: Hex64
    journal_digest: Hex64
    steps_in_run: int
    steps_replayed: int
    numerics_differences: tuple[str, ...]
    numerics_changes: tuple[int, ...] = Field(
        default=(), description="steps from which the run was recorded under other numerics"
    )
    unreachable_steps: int = Field(
        default=0, ge=0, description="to be replayed, but no state is left that they came from"
    )
    tolerance: float | None
    segments: tuple[Segment, ...]
    audit: Audit | None = None
    final_weights_equal: bool | None = None
    predictions_equal: bool | None = None
    evaluations_repeated: int = Field(
        default=0, ge=0, description="within the replayed steps; 0 where bits may differ"
    )
    differing_evaluations: tuple[int, ...] = Field(
        default=(), description="steps after which one gave an image another prediction"
    )
    harness_version: str
    time_s: float = Field(description="time of day, seconds since 1970")


def read_certificate(path: Path) -> Certificate:
    """Read a certificate.

    Raises:
        RecordError: the file cannot be read or is malformed.
    """
    try:
        return Certificate.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        reason = error.strerror if isinstance(error, OSError) else error.errors()[0]["msg"]
        raise RecordError(
            f"the certificate cannot be read: {reason}",
            where=str(path),
            expected="a file written by `harness certify`",
            remedy="certify again, or restore the file from a copy",
        ) from error


def contradictions(
    certificate: Certificate, started: RunStarted, journal_digest: str
) -> tuple[str, ...]:
    """Where a certificate and the journal beside it differ; nothing when they belong together.

    Args:
        certificate: As read.
        started: The journal's first event.
        journal_digest: Hex sha256 of the journal's bytes.
    """
    pairs = (
        ("run id", certificate.run_id, started.run_id),
        ("seed", certificate.seed, started.seed),
        ("recipe digest", certificate.recipe_digest, started.recipe_digest),
        ("data root", certificate.data_root, started.data.root_digest),
        ("sha256 of the journal", certificate.journal_digest, journal_digest),
    )
    return tuple(
        f"{what} {_short(stated)} instead of {_short(found)}"
        for what, stated, found in pairs
        if stated != found
    )


def _short(value: str | int) -> str:
    return str(value)[:12]


class StepDetail(Frozen):
    """One step computed again, with a fingerprint of every tensor."""

    step: int
    start: int = Field(description="step of the saved state that the replay began from")
    altered_state: tuple[str, ...]
    reproduces: bool = Field(description="whether the fingerprint is the journal's")
    fingerprint: Fingerprint
    batch_fingerprint: Fingerprint
    learning_rate: float
    loss: float
    gradient_norm: float
    images: tuple[tuple[str, Fingerprint], ...] = Field(
        description="id and fingerprint of each image, augmented"
    )
    before: dict[str, Fingerprint] = Field(description="state before the step, by tensor")
    tensor_fingerprints: dict[str, Fingerprint] = Field(
        description="loss, gradients/<path> and weights/<path>, in the order of the network"
    )
