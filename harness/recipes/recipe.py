"""The recipe: everything that decides what a training computes, as one frozen value.

Two digests keep two questions apart. `Recipe.digest` covers what may be pooled
and judged together (model, data processing, loss, schedule, batch, precision);
how the same mathematics is executed (`Numerics`: op determinism, XLA, oneDNN,
threads) has its own digest, made from the effective values when a run starts.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from harness.errors import RecipeError
from harness.frozen import ADDED_LATER, Frozen, Identified, digest_of
from harness.recipes.protocol import APM5_NORMALISATION, Normalisation, Protocol


class Linear(Identified):
    """Learning rate from `start` towards `end`, reached at the phase's last step + 1."""

    kind: Literal["linear"] = "linear"
    start: float = Field(ge=0)
    end: float = Field(ge=0)


class Cosine(Identified):
    """`start * ((1 - alpha) * (1 + cos(pi t)) / 2 + alpha)`; alpha is a fraction of `start`."""

    kind: Literal["cosine"] = "cosine"
    start: float = Field(gt=0)
    alpha: float = Field(ge=0, le=1)


class Constant(Identified):
    """One learning rate for the whole phase."""

    kind: Literal["constant"] = "constant"
    rate: float = Field(gt=0)


class Phase(Identified):
    """A stretch of whole epochs, or of steps, with one shape of learning rate."""

    epochs: int | None = Field(default=None, ge=1)
    steps: int | None = Field(default=None, ge=1, json_schema_extra=ADDED_LATER)
    rate: Annotated[Linear | Cosine | Constant, Field(discriminator="kind")]
    reset_momentum: bool = False

    @model_validator(mode="after")
    def _one_length(self) -> "Phase":
        if (self.epochs is None) == (self.steps is None):
            raise ValueError("a phase has either epochs or steps")
        return self

    def length(self, steps_per_epoch: int) -> int:
        """Steps of the phase."""
        return self.steps or (self.epochs or 0) * steps_per_epoch


class Optimizer(Identified):
    """Stochastic gradient descent with momentum.

    `rate_inside` is Keras' form: `v = momentum * v - rate * g; w += v`, with nesterov
    `w += momentum * v - rate * g`. `rate_outside` is PyTorch's: `v = momentum * v + g;
    w -= rate * v`, with nesterov `w -= rate * (g + momentum * v)`. They part where
    the rate changes.
    """

    momentum: float = Field(ge=0, lt=1)
    nesterov: bool
    form: Literal["rate_inside", "rate_outside"] = Field(
        default="rate_inside", json_schema_extra=ADDED_LATER
    )


class Loss(Identified):
    """Mean cross-entropy with smoothed labels, plus weight decay times half the squared norm."""

    label_smoothing: float = Field(ge=0, lt=1)
    weight_decay: float = Field(ge=0)
    decayed: Literal["kernels", "all"] = "kernels"


class Augmentation(Identified):
    """What happens to a training image, in this order; a None leaves the step out.

    With `padding` the stored image, of one size for the whole data set, is neither
    stretched nor scaled: that many zero pixels are added on each side, a crop is
    drawn at any offset, the last included, and `aspect` is None; `short_side` is the
    stored image's, as (side, side + 1). Else `short_side` is a half-open range of
    integers [low, high). Hue is in degrees; saturation and value are factor ranges;
    `pca_std` is the standard deviation of the three normal draws.
    """

    aspect: tuple[float, float] | None
    short_side: tuple[int, int]
    flip: bool
    hue_degrees: float | None = Field(default=None, ge=0, le=180)
    saturation: tuple[float, float] | None = None
    value: tuple[float, float] | None = None
    pca_std: float | None = Field(default=None, ge=0)
    geometry: Literal["exact", "one_resize"] = "exact"
    decoder: Literal["jpeg_integer_accurate", "jpeg_integer_fast"] = "jpeg_integer_accurate"
    padding: int | None = Field(default=None, ge=0, json_schema_extra=ADDED_LATER)

    @model_validator(mode="after")
    def _ranges_are_ordered(self) -> "Augmentation":
        for name in ("aspect", "short_side", "saturation", "value"):
            bounds = getattr(self, name)
            if bounds is not None and not 0 < bounds[0] <= bounds[1]:
                raise ValueError(f"{name} must be (low, high) with 0 < low <= high, got {bounds}")
        low, high = self.short_side
        if self.padding is not None and (self.aspect is not None or high > low + 1):
            raise ValueError(
                "with padding nothing is stretched or scaled: aspect is None and short_side is "
                f"(side, side + 1), got {self.aspect} and {self.short_side}"
            )
        return self


Trunk = Literal["from_seed", "imported", "imported_frozen"]


class Model(Identified):
    """Which network; `classes` None takes the data set's.

    `trunk` says where all but the head begins: drawn from the seed, or with
    imported weights, which are then trained on or kept.
    """

    name: str
    image_size: int = Field(ge=8)
    classes: int | None = Field(default=None, ge=2)
    initializer: Literal["glorot_uniform", "he_normal", "he_normal_fan_out"] = "glorot_uniform"
    batch_norm: Literal["per_replica", "synchronised"] = "per_replica"
    trunk: Trunk = "from_seed"

    @property
    def trunk_is_frozen(self) -> bool:
        """Whether training changes the head alone."""
        return self.trunk == "imported_frozen"


class Precision(Identified):
    """Arithmetic of the step; variables are float32 always."""

    compute: Literal["float32", "bfloat16", "float16"] = "float32"
    tf32: bool = False

    @property
    def name(self) -> str:
        """One word: `tf32`, or the type that is computed in."""
        return "tf32" if self.tf32 and self.compute == "float32" else self.compute


class Numerics(Identified):
    """How the mathematics is executed: asked for here, recorded as effective values by a run."""

    op_determinism: bool = True
    xla: bool = False
    onednn: bool = True
    intra_op_threads: int | Literal["auto"] = "auto"
    inter_op_threads: int | Literal["auto"] = "auto"


class Notes(Frozen):
    """What a reader should know; not part of any digest."""

    title: str
    citation: str
    command: str
    expected: str
    deviations: tuple[str, ...] = ()


Selection = Literal["last", "best_epoch"]
"""Whose accuracy counts: the last step's, or the greatest of all per-epoch evaluations."""


class Recipe(Identified):
    """One training and its evaluation, complete but for data and seed.

    `steps_per_epoch` None means floor(training images / batch), as the
    reference has it.
    """

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9-]*$", description="lower case letters, digits and hyphens"
    )
    notes: Notes
    model: Model
    batch: int = Field(ge=1, description="global batch size, images a step over all replicas")
    steps_per_epoch: int | None = Field(default=None, ge=1)
    phases: tuple[Phase, ...] = Field(min_length=1)
    optimizer: Optimizer
    loss: Loss
    augmentation: Augmentation
    normalisation: Normalisation = APM5_NORMALISATION
    evaluate_every_epochs: int = Field(default=1, ge=1)
    selection: Selection = Field(default="last", json_schema_extra=ADDED_LATER)
    epoch_protocol: Protocol
    final_protocols: tuple[Protocol, ...] = Field(min_length=1)
    precision: Precision = Precision()
    numerics: Numerics = Numerics()

    def total_steps(self, steps_per_epoch: int) -> int:
        """Steps over all phases; where some are counted in steps, no whole number of epochs."""
        return sum(phase.length(steps_per_epoch) for phase in self.phases)

    def steps_in_epoch(self, train_images: int) -> int:
        """Steps of an epoch: the recipe's own number, or floor(images / batch).

        Raises:
            RecipeError: there are fewer images than one batch.
        """
        steps = self.steps_per_epoch or train_images // self.batch
        if steps == 0:
            raise RecipeError(
                f"{train_images} training images do not fill a batch of {self.batch}",
                where=f"recipe {self.name}, field batch",
                expected="at least one whole batch a pass",
                remedy=f"take more images, or a recipe with a batch up to {max(1, train_images)}",
            )
        return steps

    @property
    def digest(self) -> str:
        """Hex sha256 over what decides poolability: all but name, notes and numerics."""
        return digest_of(self.identity(exclude={"name", "notes", "numerics"}))

    def protocols(self) -> dict[str, Protocol]:
        """Every protocol of this recipe by name."""
        return {p.name: p for p in (self.epoch_protocol, *self.final_protocols)}
