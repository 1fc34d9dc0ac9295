"""The events of a run, as values. One event is one line of `journal.jsonl`.

The journal is the truth about a run: verdicts, reports and MLflow are made
from it. Units are in the names; accuracies are fractions in [0, 1]; times of
day are seconds since 1970 (UTC).

Schema history:
    1: first version.
"""

from math import isfinite
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, TypeAdapter, model_validator

from harness.frozen import ADDED_LATER, Extended, Frozen, digest_of
from harness.recipes.protocol import Protocol
from harness.recipes.recipe import Recipe
from harness.record.epoch_sums import EpochSums

SCHEMA_VERSION = 1

Fraction = Annotated[float, Field(ge=0, le=1)]
Hex64 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Fingerprint = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
Inside = Annotated[str, Field(pattern=r"^[^/.\\][^/\\]*(?:/[^/.\\][^/\\]*)*$")]
"""A file below the run's own folder, whoever wrote the journal: no `..`, no absolute path."""


class DataIdentity(Frozen):
    """Which data a run used."""

    name: str
    kind: str = Field(
        description="imagenet, imagenet_subset, digits, fashion_mnist, mnist, cifar10, cifar100 "
        "or other"
    )
    root_digest: Hex64
    train_images: int = Field(ge=0)
    val_images: int = Field(ge=0)
    classes: tuple[str, ...]
    class_order: Literal["wordnet", "devkit", "folder"]


class DataDecisions(Frozen):
    """How many images of a data set are read in which way."""

    as_is: int = Field(ge=0, description="read as they are")
    converted: int = Field(ge=0, description="read from a lossless copy, such as CMYK to RGB")
    turned: int = Field(ge=0, description="EXIF orientation turns or mirrors the original")


class Ceiling(Frozen):
    """What a run's device could do at best, measured before its first step."""

    gemm_flops_per_s: float = Field(gt=0, description="square matrix product on one device")
    devices: int = Field(ge=1, description="GPUs, or processes where the processor computes")
    training_flops_per_image: int = Field(gt=0, description="forward and both gradients")


class EffectiveNumerics(Extended):
    """How the mathematics was executed in fact. Equal digests promise equal bits."""

    op_determinism: bool
    xla: bool
    onednn: bool
    tf32: bool
    compute: str
    intra_op_threads: int
    inter_op_threads: int
    devices: tuple[str, ...] = Field(description="kind and model of each replica's device")
    workers: int = Field(default=1, ge=1)
    cpu: str = Field(description="CPU model and instruction sets that kernels choose by")
    versions: dict[str, str] = Field(description="python, tensorflow, keras, numpy, harness")
    flags: dict[str, str] = Field(
        default_factory=dict,
        description="TF_* and XLA_FLAGS in force, and `eager` where the step was not compiled",
    )
    gpu: dict[str, str] = Field(
        default={},
        json_schema_extra=ADDED_LATER,
        description="versions of driver, CUDA, cuDNN, cuBLAS and NCCL where a GPU computes",
    )

    @property
    def digest(self) -> str:
        """Hex sha256 over all fields."""
        return digest_of(self.model_dump(mode="json"))

    def fields_that_differ(self, other: "EffectiveNumerics") -> tuple[str, ...]:
        """Names of the fields in which two numerics differ."""
        names = type(self).model_fields
        return tuple(name for name in names if getattr(self, name) != getattr(other, name))


class Event(Frozen):
    """What all events share."""

    schema_version: int = SCHEMA_VERSION
    time_s: float = Field(description="time of day, seconds since 1970")


class RegisteredTarget(Frozen):
    """A target as it stood when a run of its recipe began: what it demands, and the digest of that.

    `demands` holds every field of the target but its reasons and its source.
    """

    name: str
    digest: Hex64
    demands: dict[str, Any]


class RunStarted(Event):
    """The identity of a run; the first event of every journal, written once."""

    event: Literal["run_started"] = "run_started"
    run_id: str = Field(min_length=8)
    seed: int = Field(ge=0)
    recipe: Recipe
    recipe_digest: Hex64
    deviations: tuple[str, ...] = Field(description="--set key=value as given")
    numerics: EffectiveNumerics
    numerics_digest: Hex64
    data: DataIdentity
    data_path: str | None = Field(
        default=None,
        description="folder given as --data: absolute, or seen from the run's folder",
    )
    data_decisions: DataDecisions | None = None
    ceiling: Ceiling | None = Field(default=None, description="of the devices that began the run")
    steps_per_epoch: int = Field(ge=1)
    steps_total: int = Field(ge=1)
    harness_version: str
    git_commit: str | None
    git_dirty: bool | None
    environment: dict[str, Any]
    command: tuple[str, ...]
    init_weights: str | None = Field(
        default=None, description="sha256 of imported starting weights"
    )
    targets: tuple[RegisteredTarget, ...] | None = Field(
        default=None, description="of the recipe; None: the harness did not record them yet"
    )
    tracker: str | None = Field(
        default=None,
        description="address of the tracker that was named, without credentials; None: the one in "
        "the runs folder, or none",
    )


class Steps(Event):
    """One to 100 consecutive steps; arrays of equal length, `None` where not measured.

    `step` counts from 0; `step_time_s` runs from one step's start to the next,
    pauses for evaluation and checkpoints excluded; a step whose time holds
    compilation is listed in `compiled`; `fingerprint` covers batch, loss,
    gradients and the weights after the step.
    """

    event: Literal["steps"] = "steps"
    step: tuple[int, ...] = Field(min_length=1, max_length=100)
    step_time_s: tuple[float, ...]
    data_wait_s: tuple[float, ...]
    loss: tuple[float, ...]
    learning_rate: tuple[float, ...]
    gradient_norm: tuple[float, ...]
    correct: tuple[int, ...]
    images: tuple[int, ...]
    fingerprint: tuple[Fingerprint, ...]
    batch_fingerprint: tuple[Fingerprint, ...] | None = Field(
        default=None, description="of images and labels alone; tells data from arithmetic"
    )
    compiled: tuple[int, ...] = ()

    @property
    def first_step(self) -> int:
        """The first of the steps, from 0."""
        return self.step[0]

    @property
    def end_step(self) -> int:
        """Steps done after this window."""
        return self.step[-1] + 1

    def first_not_finite(self, *, gradients_may_overflow: bool) -> int | None:
        """The first step whose loss or gradient norm is not finite, if any.

        Under float16 gradients overflow now and then; the step is left out and
        the loss scale lowered, so only the loss counts.
        """
        for step, loss, norm in zip(self.step, self.loss, self.gradient_norm, strict=True):
            if not isfinite(loss) or not (gradients_may_overflow or isfinite(norm)):
                return step
        return None

    @model_validator(mode="after")
    def _equal_lengths(self) -> "Steps":
        n = len(self.step)
        for name in (*STEP_COLUMNS, "fingerprint", "batch_fingerprint"):
            column = getattr(self, name)
            if column is not None and len(column) != n:
                raise ValueError(f"{name} has {len(column)} entries, step has {n}")
        if self.step != tuple(range(self.step[0], self.step[0] + n)):
            raise ValueError("step must be consecutive integers")
        return self


STEP_COLUMNS = tuple(
    name
    for name, declared in Steps.model_fields.items()
    if {declared.annotation, *get_args(declared.annotation)} & {tuple[float, ...], tuple[int, ...]}
    and name not in {"step", "compiled"}
)
"""Fields of `Steps` with one measured number a step; one that journals may lack is `None` there."""


class Excerpt(Event):
    """The journal is an excerpt: what it was taken from. The second event of such a journal."""

    event: Literal["excerpt"] = "excerpt"
    steps_of_window: int = Field(ge=1, description="kept of each window, from its end")
    steps: int = Field(ge=0, description="that the whole journal has")
    replayed_steps: int = Field(ge=0, description="computed again, with equal fingerprints")
    checkpoints: int = Field(ge=0)
    epochs: tuple[EpochSums, ...] = Field(default=(), description="of all steps, not of the kept")
    journal_lines: int = Field(ge=1)
    journal_sha256: Hex64

    @property
    def told(self) -> str:
        """What a reader should know about it, in one sentence."""
        return (
            f"an excerpt, the last {self.steps_of_window} steps of each window of up to 100; the "
            f"whole journal has {self.steps:,} steps in {self.journal_lines:,} lines, sha256 "
            f"{self.journal_sha256}, and what is left out can be checked only with it."
        )


class Replayed(Event):
    """Steps computed again after a resume: compared, not counted."""

    event: Literal["replayed"] = "replayed"
    step: tuple[int, ...] = Field(min_length=1)
    fingerprint: tuple[Fingerprint, ...]


class CheckpointWritten(Event):
    """A complete checkpoint of the state after `step` steps."""

    event: Literal["checkpoint"] = "checkpoint"
    step: int = Field(ge=0)
    file: Inside = Field(description="path relative to the run's folder")
    digest: Hex64
    bytes: int = Field(ge=1)
    stall_s: float = Field(ge=0, description="time for which training stood still")
    tensor_fingerprints: dict[str, Fingerprint]


class Evaluation(Event):
    """One protocol over the validation images after `step` steps."""

    event: Literal["evaluation"] = "evaluation"
    step: int = Field(ge=0)
    epoch: float = Field(ge=0)
    final: bool = Field(description="made with the weights of the recipe's last step")
    protocol: Protocol
    protocol_digest: Hex64
    images: int = Field(ge=1)
    images_in_split: int = Field(ge=1)
    top1_correct: int = Field(ge=0)
    top5_correct: int = Field(ge=0)
    duration_s: float = Field(ge=0)
    crops_per_s: float = Field(ge=0)
    predictions_file: Inside | None
    predictions_digest: Hex64 | None

    @property
    def top1_accuracy(self) -> float:
        """Fraction of images whose most probable class is the label."""
        return self.top1_correct / self.images

    @property
    def top5_accuracy(self) -> float:
        """Fraction of images whose label is among the five most probable classes."""
        return self.top5_correct / self.images

    @property
    def complete(self) -> bool:
        """Whether every image of the split was evaluated."""
        return self.images == self.images_in_split


class Interrupted(Event):
    """The process stopped before the last step; `gate`: an early check found something."""

    event: Literal["interrupted"] = "interrupted"
    step: int = Field(ge=0)
    reason: Literal["signal", "steps_limit", "gate", "worker_lost", "error"]
    detail: str = ""


class Resumed(Event):
    """A later process went on."""

    event: Literal["resumed"] = "resumed"
    step: int = Field(ge=0, description="step of the checkpoint that was loaded")
    file: Inside | None
    skipped: tuple[str, ...] = Field(default=(), description="damaged checkpoints passed over")
    numerics: EffectiveNumerics
    numerics_digest: Hex64
    accepted_numerics: bool = False


class Warned(Event):
    """Something a reader of the result should know."""

    event: Literal["warning"] = "warning"
    step: int = Field(ge=0)
    topic: str
    text: str


class RunFinished(Event):
    """The end of a run: `completed`, `diverged` (loss not finite) or `stopped` (by a gate)."""

    event: Literal["run_finished"] = "run_finished"
    step: int = Field(ge=0)
    status: Literal["completed", "diverged", "stopped"]
    detail: str = ""
    weights_fingerprint: Fingerprint | None


AnyEvent = Annotated[
    RunStarted
    | Excerpt
    | Steps
    | Replayed
    | CheckpointWritten
    | Evaluation
    | Interrupted
    | Resumed
    | Warned
    | RunFinished,
    Field(discriminator="event"),
]
EVENT: TypeAdapter[AnyEvent] = TypeAdapter(AnyEvent)
