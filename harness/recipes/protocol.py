"""Evaluation protocols as values with a digest.

A published accuracy is a statement about a protocol: which crops of an image
are shown to the network and how its answers are averaged. Two accuracies are
compared only when every field here is equal.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from harness.frozen import Identified, digest_of

Crops = Literal["center", "ten", "full"]


class Normalisation(Identified):
    """How 8-bit pixels become the network's input: `(pixel / scale - mean) / std`.

    `mean` and `std` apply to the channels in the order `channels`; `grey` is one
    channel, which the image must have too.
    """

    channels: Literal["bgr", "rgb", "grey"]
    mean: tuple[float, ...]
    std: tuple[Annotated[float, Field(gt=0)], ...]
    scale: float = Field(default=1.0, gt=0)

    @property
    def channel_count(self) -> int:
        """Channels of the network's input: 1 or 3."""
        return 1 if self.channels == "grey" else 3

    @model_validator(mode="after")
    def _one_value_a_channel(self) -> "Normalisation":
        for name in ("mean", "std"):
            if len(getattr(self, name)) != self.channel_count:
                raise ValueError(
                    f"{name} has {len(getattr(self, name))} values, "
                    f"{self.channels} has {self.channel_count} channels"
                )
        return self


APM5_NORMALISATION = Normalisation(
    channels="bgr", mean=(103.939, 116.779, 123.68), std=(58.393, 57.12, 57.375)
)
"""The reference's: BGR means beside standard deviations in RGB order, a quirk that is kept."""


class Protocol(Identified):
    """Everything that decides which number an evaluation gives, apart from the weights.

    `name` is a label and not part of the digest. Class order is no field: it
    belongs to weights and data and is checked there, and every ImageNet result
    is brought into the order of WordNet ids before images are counted.
    """

    name: str
    crops: Crops
    short_sides: tuple[int, ...] = Field(min_length=1)
    crop_size: int | None = Field(ge=1, description="None: fully convolutional on the whole image")
    mirror: bool
    resize_rule: Literal["truncate_float64", "round"] = "truncate_float64"
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    antialias: bool = False
    decoder: Literal["jpeg_integer_accurate", "jpeg_integer_fast"] = "jpeg_integer_accurate"
    average: Literal["probabilities", "logits"] = "probabilities"
    normalisation: Normalisation = APM5_NORMALISATION
    fold_batch_norm: bool = False

    @property
    def digest(self) -> str:
        """Hex sha256 over every field but the name."""
        return digest_of(self.identity(exclude={"name"}))

    @property
    def views(self) -> int:
        """How many views of an image the network is shown; those of several scales are larger."""
        plain = {"center": 1, "ten": 5, "full": len(self.short_sides)}[self.crops]
        return plain * (2 if self.mirror else 1)

    def differences(self, other: "Protocol") -> tuple[str, ...]:
        """Names of the fields in which two protocols differ, in the order of declaration."""
        return tuple(
            name
            for name in type(self).model_fields
            if name != "name" and getattr(self, name) != getattr(other, name)
        )


def center_crop(
    short_side: int = 256, crop_size: int = 224, normalisation: Normalisation = APM5_NORMALISATION
) -> Protocol:
    """The reference's test.py: short side to 256, one crop at the center."""
    return Protocol(
        name="center_crop",
        crops="center",
        short_sides=(short_side,),
        crop_size=crop_size,
        mirror=False,
        normalisation=normalisation,
    )


def ten_crop(
    short_side: int = 256, crop_size: int = 224, normalisation: Normalisation = APM5_NORMALISATION
) -> Protocol:
    """The reference's test_10_crop.py: four corners and center, each also mirrored.

    Probabilities are averaged over the ten.
    """
    return Protocol(
        name="ten_crop",
        crops="ten",
        short_sides=(short_side,),
        crop_size=crop_size,
        mirror=True,
        normalisation=normalisation,
    )


def multi_scale(
    short_sides: tuple[int, ...] = (224, 256, 384, 480, 640),
    normalisation: Normalisation = APM5_NORMALISATION,
) -> Protocol:
    """He et al. 2015, section 3.4 and Table 4: fully convolutional at five scales, mirrored too.

    For each scale and its mirror image the class scores are computed on the
    whole image (global average pooling over whatever feature map results);
    the probabilities of all of them are averaged.
    """
    return Protocol(
        name="multi_scale",
        crops="full",
        short_sides=short_sides,
        crop_size=None,
        mirror=True,
        normalisation=normalisation,
    )
