"""What one image file is, and the decision about it: used as is, converted or refused.

The pipeline's decoder reads 8-bit JPEG (grey or three components) and plain
8-bit PNG (grey or RGB, see `png.py`) exactly as OpenCV's `imread` does.
Everything else that can be read is converted, losslessly, into an RGB PNG
beside the manifest (`conversion.py`). What cannot be read is refused.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from harness.data.image_files.conversion import UnreadableImageError, to_png
from harness.data.image_files.jpeg_header import EOI, SOI, BadHeaderError, read_jpeg_header
from harness.numerics.tensorflow_import import import_tensorflow
from harness.sources.pixels.png import plain_png

Decision = Literal["as_is", "converted", "refused"]
DECODABLE_PROCESSES = frozenset({0, 1, 2})
TAIL_BYTES = 64
"""How far before the end a JPEG's end marker may stand: some writers append zeros."""


@dataclass(frozen=True)
class Inspection:
    """The facts about a file's bytes.

    `width`, `height` and `orientation` describe the file that the pipeline
    reads, which after a conversion is upright PNG; `source_orientation` is what
    the original says. `colour_model` is `grey` for every file of one channel that
    is read as it is. `reason` says why a file is converted or refused.
    """

    sha256: str
    size_bytes: int
    farmhash64: int
    encoding: str
    colour_model: str
    width: int
    height: int
    orientation: int
    source_orientation: int
    decision: Decision
    reason: str
    converted: bytes | None = None


def inspect(raw: bytes) -> Inspection:
    """Inspect one file's bytes; never raises for bad content, refuses it instead."""
    return inspect_all([raw])[0]


def inspect_all(raws: Sequence[bytes], *, decode: bool = False) -> list[Inspection]:
    """Inspect several files' bytes, as `inspect` does one's.

    One TensorFlow call gives all their fingerprints: a call for each costs as
    much of the interpreter's lock as half a photograph's SHA-256.

    Args:
        raws: the files' bytes.
        decode: decode JPEG files completely; a damaged one whose header and end
            are sound is refused then. PNG files are always checked completely.
    """
    found = [_inspect_content(raw, decode) for raw in raws]
    read = [raw if f.converted is None else f.converted for raw, f in zip(raws, found, strict=True)]
    marks = farmhash64(read)
    return [replace(f, farmhash64=mark) for f, mark in zip(found, marks, strict=True)]


def farmhash64(raws: Sequence[bytes]) -> list[int]:
    """TensorFlow's 64-bit fingerprint of each content, as the pipeline computes it in the graph."""
    import_tensorflow()  # quietly, and only where there is something to inspect
    import tensorflow as tf

    fingerprints = tf.fingerprint(tf.constant(raws, tf.string), "farmhash64")
    return [int.from_bytes(mark.tobytes(), "little") for mark in fingerprints.numpy()]


def _inspect_content(raw: bytes, decode: bool) -> Inspection:
    """All but the fingerprint, which is 0."""
    sha256 = hashlib.sha256(raw).hexdigest()
    encoding, colour_model, size, orientation, reason = "unknown", "unknown", (0, 0), 1, ""
    decision: Decision = "as_is"
    png: bytes | None = None
    try:
        if raw[:2] == SOI:
            encoding, colour_model, size, orientation, reason = _inspect_jpeg(raw, decode)
        elif plain := plain_png(raw):
            encoding, size = "png", (plain.width, plain.height)
            colour_model = "grey" if plain.channels == 1 else "rgb"
        else:
            reason = "is no JPEG and no plain PNG file"
        if reason:
            picture = to_png(raw)
            decision, png = "converted", picture.png
            reason = f"{reason}: {picture.how}"
            encoding, colour_model, size = picture.encoding, picture.colour_model, picture.size
    except (BadHeaderError, UnreadableImageError) as error:
        decision, reason = "refused", str(error)
    return Inspection(
        sha256=sha256,
        size_bytes=len(raw),
        farmhash64=0,
        encoding=encoding,
        colour_model=colour_model,
        width=size[0],
        height=size[1],
        orientation=orientation if png is None else 1,
        source_orientation=orientation,
        decision=decision,
        reason=reason,
        converted=png,
    )


def _inspect_jpeg(raw: bytes, decode: bool) -> tuple[str, str, tuple[int, int], int, str]:
    """Encoding, colour model, size, orientation, and why it must be converted (or "").

    Raises:
        BadHeaderError: the header is damaged.
        UnreadableImageError: the file is cut short, or does not decode.
    """
    header = read_jpeg_header(raw)
    encoding = "jpeg_progressive" if header.process == 2 else "jpeg"
    reason = ""
    if header.components not in {1, 3}:
        reason = f"has {header.components} components ({header.colour_model})"
    elif header.process not in DECODABLE_PROCESSES or header.precision != 8:
        reason = f"has coding process {header.process} with {header.precision} bits"
    if EOI not in raw[-TAIL_BYTES:]:
        _decode_completely(raw, "the file is cut short")
    elif decode and not reason:
        _decode_completely(raw, "the content is damaged: it does not decode")
    return encoding, header.colour_model, (header.width, header.height), header.orientation, reason


def _decode_completely(raw: bytes, otherwise: str) -> None:
    """A JPEG without its end marker is accepted only if every line of it decodes.

    Raises:
        UnreadableImageError: it does not; the text is `otherwise`.
    """
    import_tensorflow()  # quietly, and only where there is something to inspect
    import tensorflow as tf

    try:
        tf.io.decode_jpeg(raw, dct_method="INTEGER_ACCURATE")
    except tf.errors.InvalidArgumentError as error:
        raise UnreadableImageError(otherwise) from error
