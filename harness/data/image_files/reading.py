"""Read image files inside the graph, checked against the manifest, and decode them."""

import re

import tensorflow as tf

from harness.errors import DataError

CHANGED = "the image is not what the manifest says:"
UNREADABLE = (
    "No such file", "Permission denied", "Input/output error", "Stale file handle",
    "Too many open files", "Connection timed out",
)  # fmt: skip
"""Why the system does not hand out a file, in its own words."""
DCT = {"jpeg_integer_accurate": "INTEGER_ACCURATE", "jpeg_integer_fast": "INTEGER_FAST"}


def read_checked(path: tf.Tensor, farmhash64: tf.Tensor) -> tf.Tensor:
    """Bytes of a file; an error with its path when they are not the manifest's.

    Args:
        path: string scalar.
        farmhash64: uint64 scalar, what `tf.fingerprint` must give.
    """
    raw = tf.io.read_file(path)
    found = tf.bitcast(tf.fingerprint(raw[tf.newaxis], "farmhash64"), tf.uint64)[0]
    # Compared as int64: equality of uint64 has no kernel on every device.
    same = tf.equal(tf.bitcast(found, tf.int64), tf.bitcast(farmhash64, tf.int64))
    with tf.control_dependencies([tf.debugging.Assert(same, [CHANGED, path])]):
        return tf.identity(raw)


def decode_upright(
    raw: tf.Tensor, orientation: tf.Tensor, decoder: str, channels: int = 3
) -> tf.Tensor:
    """Decode a whole JPEG or PNG and turn it as `cv2.imread` does.

    Args:
        raw: string scalar.
        orientation: EXIF orientation 1 to 8, integer scalar.
        decoder: a key of `DCT`.
        channels: 3, or 1 for grey.

    Returns:
        uint8 [height, width, channels], RGB or grey.
    """
    image = tf.io.decode_jpeg(raw, channels=channels, dct_method=DCT[decoder])
    return tf.cond(orientation > 1, lambda: turn(image, orientation), lambda: image)


def turn(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Apply an EXIF orientation (1 to 8) to [height, width, channels]."""
    orientation = tf.cast(orientation, tf.int32)
    image = tf.cond(orientation >= 5, lambda: tf.transpose(image, [1, 0, 2]), lambda: image)
    mirrored = tf.reduce_any(tf.equal(orientation, [2, 3, 6, 7]))
    image = tf.cond(mirrored, lambda: tf.reverse(image, [1]), lambda: image)
    upside_down = tf.reduce_any(tf.equal(orientation, [3, 4, 7, 8]))
    return tf.cond(upside_down, lambda: tf.reverse(image, [0]), lambda: image)


def translate_error(error: tf.errors.OpError) -> DataError:
    """An error that ended an input iteration, as one that names the image."""
    message = str(error)
    # The path may hold brackets itself: it ends where the assertion's text goes on.
    changed = re.search(rf"\[{re.escape(CHANGED)}\]\s*\[(.*?)\](?=\s*$|\s*\[\[|\n)", message)
    if changed:
        return DataError(
            "the image's bytes are not those that were prepared",
            where=changed.group(1),
            expected="the fingerprint in the manifest",
            remedy="restore the file, then give the same command again; a new run can begin with "
            "the changed data, prepared again",
        )
    missing = re.search(rf"(/[^;{{}}]+); ({'|'.join(UNREADABLE)})", message)
    return DataError(
        f"an image cannot be read: {missing.group(2) if missing else message.splitlines()[0]}",
        where=missing.group(1) if missing else None,
        expected="every image of the manifest to be readable while the run lasts",
        remedy="check the file and the disk, then run the same command again",
    )
