"""Single image files of any common format, as the network would see them in an evaluation.

A network of one channel sees a colour picture as the decoder greys it.
"""

import io
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from PIL import Image, UnidentifiedImageError

from harness.data.image_files.inspection import inspect
from harness.data.image_files.reading import decode_upright
from harness.data.input_pipeline.pipeline import cut_crops
from harness.data.transforms.colour import normalise_image
from harness.data.transforms.resizing import resize_short_side
from harness.errors import DataError
from harness.evaluation.evaluate import check_sums
from harness.evaluation.forward import Forward, View, forward_function, whole_image_function
from harness.recipes.protocol import Protocol

SHORTEST_SIDE = 8
MOST_PIXELS = 100_000_000
"""A 10,000 x 10,000 image takes 1.2 GB as float32."""
MOST_RESIZED_PIXELS = 20_000_000
"""After the short side was resized: 0.24 GB as float32, and a first layer of 64 channels takes
1.3 GB. A square of 640 px has 0.4 million; only a strip of 50 to 1 is longer than this."""


@dataclass(frozen=True)
class ImageToClassify:
    """A readable image file.

    Attributes:
        path: The file.
        raw: JPEG bytes as they are, or a lossless PNG made from another format.
        orientation: EXIF orientation to apply, 1 to 8.
        width: Pixels of the upright image.
        height: Pixels of the upright image.
        note: How the file was converted; empty when it was not.
    """

    path: Path
    raw: bytes
    orientation: int
    width: int
    height: int
    note: str


@dataclass(frozen=True)
class Guess:
    """A class and its confidence in [0, 1]."""

    index: int
    name: str
    probability: float


def read_picture(path: Path) -> ImageToClassify:
    """Read and check an image file: JPEG of every colour model, PNG, WebP and others.

    Raises:
        DataError: no such file, no image, animated, damaged, or of a size that
            cannot be meant.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise _refused(path, f"the file cannot be opened ({error.strerror})") from error
    _check_size(path, raw)
    facts = inspect(raw)
    if facts.decision == "refused":
        raise _refused(path, facts.reason)
    turned = facts.orientation >= 5
    return ImageToClassify(
        path=path,
        raw=raw if facts.converted is None else facts.converted,
        orientation=facts.orientation,
        width=facts.height if turned else facts.width,
        height=facts.width if turned else facts.height,
        note=facts.reason if facts.decision == "converted" else "",
    )


def _check_size(path: Path, raw: bytes) -> None:
    """Refuse sizes by the header, before anything is decoded."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(raw)) as image:
                width, height = image.size
    except Image.DecompressionBombError as error:
        raise _refused(path, f"the image is too large: {error}") from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError):
        return
    if min(width, height) < SHORTEST_SIDE or width * height > MOST_PIXELS:
        raise _refused(path, f"the image has {width:,} x {height:,} pixels")


def check_resized(picture: ImageToClassify, protocol: Protocol) -> None:
    """Refuse a picture so narrow that a protocol's resizing would make it huge.

    Args:
        picture: As read.
        protocol: What the network is shown.

    Raises:
        DataError: one of the protocol's short sides gives too many pixels.
    """
    shorter, longer = sorted((picture.width, picture.height))
    short_side = max(protocol.short_sides)
    resized = longer * short_side // shorter
    if short_side * resized > MOST_RESIZED_PIXELS:
        raise DataError(
            f"{picture.width:,} x {picture.height:,} pixels become {short_side:,} x {resized:,} "
            f"under {protocol.name}, which resizes the short side to {short_side:,}",
            where=str(picture.path),
            expected=f"at most {MOST_RESIZED_PIXELS:,} pixels after resizing",
            remedy="cut the picture into parts that are less narrow",
        )


def _refused(path: Path, found: str) -> DataError:
    return DataError(
        found,
        where=str(path),
        expected="a JPEG, PNG, WebP or similar file with one picture, "
        f"no side below {SHORTEST_SIDE} and at most {MOST_PIXELS:,} pixels",
        remedy="open it in a viewer; save it again as JPEG or PNG, or scale it down",
    )


class Classifier:
    """A network that names pictures under one protocol.

    Args:
        model: To logits [B, classes].
        protocol: What the network is shown.
        names: A name for each class.
        weights_source: Where the network's weights come from, for error messages.
    """

    def __init__(
        self,
        model: keras.Model,
        protocol: Protocol,
        names: tuple[str, ...],
        *,
        weights_source: str | None = None,
    ) -> None:
        self.protocol = protocol
        self.names = names
        self._source = weights_source
        self._whole = protocol.crops == "full"
        self._forward: Forward = (
            whole_image_function(model, protocol)
            if self._whole
            else forward_function(model, (View(None, protocol.average),))
        )

    def classify(self, picture: ImageToClassify) -> tuple[Guess, ...]:
        """The five most probable classes, or all where there are fewer.

        Raises:
            WeightsError: the network's probabilities do not sum to one.
        """
        image = decode_upright(
            tf.constant(picture.raw),
            tf.constant(picture.orientation),
            self.protocol.decoder,
            self.protocol.normalisation.channel_count,
        )
        inputs = self._scales(image) if self._whole else self._crops(image)
        ((classes, probabilities, total),) = self._forward(inputs)
        check_sums(np.asarray(total), self._source)
        return tuple(
            Guess(int(index), self.names[int(index)], float(probability))
            for index, probability in zip(classes[0], probabilities[0], strict=True)
            if index >= 0
        )

    def _crops(self, image: Any) -> Any:
        side, size = self.protocol.short_sides[0], self.protocol.crop_size or 1
        return cut_crops(self._scaled(image, side, size), self.protocol)[tf.newaxis]

    def _scales(self, image: Any) -> Any:
        return tuple(self._scaled(image, side, 1)[tf.newaxis] for side in self.protocol.short_sides)

    def _scaled(self, image: Any, short_side: int, at_least: int) -> Any:
        resized = resize_short_side(image, short_side, self.protocol, at_least=at_least)
        return normalise_image(resized, self.protocol.normalisation)
