"""What a baseline or target file may say. Accuracies are fractions in [0, 1]."""

from math import sqrt
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from harness.baselines.extension import Extension
from harness.frozen import ADDED_LATER, Frozen, Identified, digest_of
from harness.recipes.protocol import Crops, Normalisation, Protocol
from harness.recipes.recipe import Selection

Accuracy = Annotated[float, Field(ge=0, le=1)]
Network = Annotated[str, Field(pattern=r"^[a-z]+[0-9]+$")]
"""Family and depth, such as `resnet50`, whichever variant: for finding rows of a run's kind."""
Words = Annotated[str, Field(min_length=3)]


class Citation(Frozen):
    """Where a number was published."""

    title: Words
    address: Words = Field(description="URL, arXiv number, or repository with path")
    commit: str | None = Field(default=None, pattern=r"^[0-9a-f]{7,40}$")
    table: str | None = Field(default=None, description="table, section or line of the source")
    quoted: Words = Field(description="the row as the source prints it")
    note: str | None = None

    @model_validator(mode="after")
    def _can_be_found(self) -> "Citation":
        if self.commit is None and self.table is None:
            raise ValueError("a source names its commit or its table")
        return self


class PublishedProtocol(Frozen):
    """What a source says about its evaluation; None where it says nothing.

    Input normalisation belongs to the trained network and is stated only where
    a comparison of the same weights needs it.
    """

    name: Words
    crops: Crops
    short_sides: tuple[int, ...] | None = Field(default=None, min_length=1)
    crop_size: int | None = None
    mirror: bool
    average: Literal["probabilities", "logits"] | None = None
    interpolation: Literal["bilinear", "bicubic"] | None = None
    antialias: bool | None = None
    normalisation: Normalisation | None = None

    def differences(self, protocol: Protocol) -> tuple[str, ...]:
        """Names of the stated fields in which a run's protocol differs."""
        return tuple(
            name
            for name in self._fields()
            if self._stated(name) and getattr(self, name) != getattr(protocol, name)
        )

    def unstated(self) -> tuple[str, ...]:
        """Names of a run's protocol fields of which the source says nothing."""
        mine = set(self._fields())
        return tuple(
            name
            for name in Protocol.model_fields
            if name != "name" and (name not in mine or not self._stated(name))
        )

    def _fields(self) -> tuple[str, ...]:
        return tuple(name for name in type(self).model_fields if name != "name")

    def _stated(self, name: str) -> bool:
        return getattr(self, name) is not None


Divisor = Literal["n", "n-1", "unstated"]
"""What a published standard deviation divides the sum of squares by."""


def sample_deviation(value: float, n: int, divisor: Divisor) -> float:
    """A published standard deviation of n runs as that of a sample (divisor n - 1).

    Of an unstated divisor the wider reading is taken: n.
    """
    return value if divisor == "n-1" else value * sqrt(n / (n - 1))


class PublishedSpread(Frozen):
    """How far published runs lay apart; `low` and `high` are their extremes.

    A "+-" that the source does not define, or whose n it does not state, is no
    spread; the quoted row keeps it.
    """

    value: float = Field(gt=0, lt=1)
    kind: Literal["standard_deviation"]
    divisor: Divisor = "n-1"
    low: Accuracy | None = None
    high: Accuracy | None = None


class AccuracyRow(Frozen):
    """One published accuracy."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    model: Words = Field(description="as the source names it")
    network: Network
    architecture: str | None = Field(
        default=None, description="exactly this network of `harness list models`; None: not stated"
    )
    lineage: str | None = Field(
        default=None, description="one name for all rows that are measurements of the same weights"
    )
    data: Words = Field(default="imagenet", description="kind of data, as a run's identity has it")
    protocol: PublishedProtocol
    selection: Selection | None = Field(
        default=None, description="which epoch's accuracy it is; None where not stated"
    )
    top1: Accuracy
    top5: Accuracy | None = None
    measured: bool = Field(default=True, description="false: a goal that a rule sets")
    n: int | None = Field(default=None, ge=1, description="runs; None where not stated")
    spread: PublishedSpread | None = None
    values: tuple[Accuracy, ...] | None = Field(default=None, description="raw top-1 of each run")
    settings: str | None = Field(default=None, description="what sets rows of one source apart")
    source: Citation

    @model_validator(mode="after")
    def _counts_agree(self) -> "AccuracyRow":
        if self.spread is not None and self.n is None:
            raise ValueError("a spread without n: say of how many runs")
        if self.spread is not None and self.n == 1:
            raise ValueError("a spread with n = 1: one run has none")
        if self.values is not None and self.n != len(self.values):
            raise ValueError(f"n is {self.n}, but there are {len(self.values)} values")
        if self.top5 is not None and self.top5 < self.top1:
            raise ValueError("top5 is below top1")
        return self


class ThroughputRow(Frozen):
    """One published training speed."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    model: Words
    network: Network
    device: Words = Field(description="the device as the source names it")
    device_match: tuple[Words, ...] = Field(
        min_length=1, description="words that all occur in a run's device name, lower case"
    )
    devices: int = Field(ge=1)
    precision: Literal["float32", "tf32", "amp_float16", "float16"]
    batch_per_device: int | None = Field(default=None, ge=1)
    input: Literal["synthetic", "real", "unstated"]
    images_per_s: float = Field(gt=0)
    software: Words
    source: Citation


class CurvePoint(Frozen):
    """Accuracies of published runs after one epoch, in one order of the runs at every point."""

    epoch: int = Field(ge=1)
    validation: tuple[Accuracy, ...] = Field(min_length=1)
    training: tuple[Accuracy, ...] = Field(
        default=(), description="of the augmented images during the epoch; none where not stated"
    )


class PublishedCurve(Frozen):
    """How published runs of a recipe's protocol learned, at landmarks."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    recipe: Words = Field(description="name of the recipe that repeats the source's protocol")
    data: Words = Field(description="kind of data, as a run's identity has it")
    points: tuple[CurvePoint, ...] = Field(min_length=1)
    source: Citation

    @model_validator(mode="after")
    def _in_order(self) -> "PublishedCurve":
        epochs = [point.epoch for point in self.points]
        if epochs != sorted(set(epochs)):
            raise ValueError("the points are in order of their epochs, each once")
        if len({len(point.validation) for point in self.points}) != 1:
            raise ValueError("every point has the same runs")
        return self


class BaselineFile(Frozen):
    """A file of published rows from one source family."""

    kind: Literal["baselines"]
    accuracy: tuple[AccuracyRow, ...] = ()
    throughput: tuple[ThroughputRow, ...] = ()
    curve: tuple[PublishedCurve, ...] = ()

    @model_validator(mode="after")
    def _has_rows(self) -> "BaselineFile":
        if not (self.accuracy or self.throughput or self.curve):
            raise ValueError("the file has no rows")
        return self


class DataBinding(Frozen):
    """Which data a target applies to; a None binds nothing."""

    kind: Words
    root_digest: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    train_images: int | None = Field(default=None, ge=1)
    val_images: int | None = Field(default=None, ge=1)


class TargetSpread(Frozen):
    """The seed-to-seed spread taken for one of the target's runs, with its origin."""

    standard_deviation: float = Field(gt=0, lt=1)
    df: int = Field(ge=1)
    origin: Words
    assumption: Words


class StatedSpread(Frozen):
    """The spread that the source itself states for the target's runs, as it prints it."""

    published: float = Field(gt=0, lt=1)
    divisor: Divisor
    origin: Words
    assumption: Words


class PublishedReasons(Frozen):
    """Why the settings of a pre-registered comparison are what they are."""

    alpha: Words
    margin: Words
    min_seeds: Words
    declared_seeds: Words


class TargetBase(Identified):
    """What every target has: which runs it applies to, and what it is called by a journal."""

    name: Words
    recipe: Words
    recipe_digest: str | None = Field(
        default=None, pattern=r"^[0-9a-f]{64}$", json_schema_extra=ADDED_LATER
    )

    def demands(self) -> dict[str, Any]:
        """Every field but the words about it, which decide nothing; JSON-like."""
        words = {"reasons": True, "source": True, "spread": {"origin", "assumption"}}
        document: dict[str, Any] = self.identity(exclude=words)
        return document

    @property
    def digest(self) -> str:
        """Hex sha256 over `demands`."""
        return digest_of(self.demands())


class PublishedTarget(TargetBase):
    """A published accuracy that runs are judged against; registered before they start."""

    kind: Literal["published"]
    data: DataBinding
    protocol: Protocol
    selection: Selection = "last"
    top1: Accuracy
    n: int = Field(ge=1)
    alpha: float = Field(gt=0, lt=0.5)
    margin: float = Field(gt=0, lt=1)
    min_seeds: int = Field(ge=2)
    declared_seeds: tuple[int, ...] = Field(min_length=1)
    extension: Extension | None = Field(default=None, json_schema_extra=ADDED_LATER)
    reasons: PublishedReasons
    spread: TargetSpread | StatedSpread
    source: Citation

    @property
    def run_spread(self) -> TargetSpread:
        """The spread of one published run: the stated one with n - 1 degrees of freedom, if any."""
        spread = self.spread
        if isinstance(spread, TargetSpread):
            return spread
        return TargetSpread(
            standard_deviation=sample_deviation(spread.published, self.n, spread.divisor),
            df=self.n - 1,
            origin=spread.origin,
            assumption=spread.assumption,
        )

    @model_validator(mode="after")
    def _enough_seeds(self) -> "PublishedTarget":
        if isinstance(self.spread, StatedSpread) and self.n == 1:
            raise ValueError("a stated spread with n = 1: one run has none")
        _check_seeds(self.declared_seeds)
        if len(self.declared_seeds) < self.min_seeds:
            raise ValueError(
                f"{len(self.declared_seeds)} declared seeds, min_seeds is {self.min_seeds}"
            )
        if self.extension is not None:
            _check_seeds((*self.declared_seeds, *self.extension.seeds))
            self.extension.check(self.declared_seeds)
        return self

    def looks(self) -> tuple["PublishedTarget", ...]:
        """The target as each look asks it; itself alone where no extension is registered."""
        if self.extension is None:
            return (self,)
        return tuple(
            self.model_copy(update=update) for update in self.extension.updates(self.declared_seeds)
        )


class ThresholdReasons(Frozen):
    """Why the settings of a threshold are what they are."""

    threshold: Words
    declared_seeds: Words
    confidence: Words


class ThresholdTarget(TargetBase):
    """An accuracy that every declared seed must reach on one data set."""

    kind: Literal["threshold"]
    data: DataBinding
    protocol: Protocol
    selection: Selection = "last"
    threshold: Accuracy
    confidence: float = Field(gt=0, lt=1, description="of the printed binomial bound")
    declared_seeds: tuple[int, ...] = Field(min_length=1)
    reasons: ThresholdReasons
    source: Citation

    @model_validator(mode="after")
    def _seeds_once(self) -> "ThresholdTarget":
        _check_seeds(self.declared_seeds)
        return self


Target = PublishedTarget | ThresholdTarget


def _check_seeds(seeds: tuple[int, ...]) -> None:
    if len(set(seeds)) != len(seeds) or min(seeds) < 0:
        raise ValueError("declared_seeds are different integers from 0")
