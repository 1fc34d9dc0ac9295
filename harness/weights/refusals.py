"""What a file is that holds no weights for here, and the way out that fits its cause."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from shlex import quote

import numpy as np

from harness.errors import WeightsError
from harness.recipes.protocol import Normalisation

FORMATS = (
    "a legacy Keras .h5, a Keras 3 .weights.h5, its shards, a .keras archive, or a checkpoint "
    "folder"
)
PICKLES = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
_PACKED = (
    ("gzip", b"\x1f\x8b", "gunzip"), ("xz", b"\xfd7zXZ", "unxz"), ("bzip2", b"BZh", "bunzip2"),
    ("zstd", b"\x28\xb5\x2f\xfd", "unzstd"), ("7-Zip", b"7z\xbc\xaf", "7z x"),
)  # fmt: skip
_TAR = slice(257, 262)
HEAD_BYTES = 264
"""So many first bytes tell what a file is: a tar's mark is the last."""

_FOREIGN = (".tflite", ".onnx", ".msgpack", ".params", ".pdparams", ".caffemodel", ".npy", ".gguf",
            ".safetensors", ".bin", ".pt", ".pth")  # fmt: skip
SAVED_MODEL = (
    "load it where it was made, by tf.keras of TensorFlow 2.15 or before, and save it as .keras: "
    "tf.keras.models.load_model(FOLDER).save('x.keras')"
)
AGAIN = "fetch or save the file again and compare its size with the source's"
TO_KERAS = (
    "save the network with Keras as .keras; weights of other frameworks pad, order and normalise "
    "otherwise, so that a conversion of the arrays alone gives another network"
)


def unreadable(path: Path, found: str, remedy: str = AGAIN) -> WeightsError:
    """The error of a weight file."""
    return WeightsError(
        f"the weight file {found}", where=str(path), expected=FORMATS, remedy=remedy
    )


def foreign(path: Path, head: bytes) -> WeightsError:
    """The error of a file that is neither HDF5 nor an archive, named by its first bytes."""
    found, remedy = next(chain(_packed(path, head), _by_content(head), _by_name(path)))
    return unreadable(path, found, remedy)


def _packed(path: Path, head: bytes) -> Iterator[tuple[str, str]]:
    """Found and remedy, as those below."""
    for format_, mark, command in _PACKED:
        if head.startswith(mark):
            remedy = f"{command} {quote(str(path))}, then name what comes out"
            yield f"is packed with {format_}", remedy
    if head[_TAR] == b"ustar":
        command = f"tar -xf {quote(str(path))} -C {quote(str(path.parent))}"
        yield "is a tar", f"{command}, then name the file of weights in it"


def _by_content(head: bytes) -> Iterator[tuple[str, str]]:
    for found, remedy, marks in (
        (
            "is a pointer of Git LFS and not the file itself",
            "git lfs pull, in its repository",
            (b"version https://git-lfs",),
        ),
        (
            "is a web page: a server answered something else than the file",
            "fetch it again, signed in where that is needed",
            (b"<!DOCTYPE", b"<!doctype", b"<html", b"<HTML", b"<?xml"),
        ),
        ("is a pickle, as PyTorch wrote until 1.5", TO_KERAS, PICKLES),
    ):  # fmt: skip
        if head.startswith(marks):
            yield found, remedy
    if len(head) > 8 and head[8:9] == b"{" and head[4:8] == b"\0\0\0\0":
        yield "is of the safetensors format", TO_KERAS
    if not head:
        yield "is empty", AGAIN


def _by_name(path: Path) -> Iterator[tuple[str, str]]:
    if ".ckpt" in path.name or path.suffix == ".index" or path.name == "checkpoint":
        remedy = "load it into its network and save that as .keras, or its weights as .h5"
        yield "is part of a checkpoint of TensorFlow", remedy
    if path.name == "saved_model.pb":
        yield "is part of a SavedModel", SAVED_MODEL
    if path.suffix in _FOREIGN:
        yield f"is of another framework, by its name ({path.suffix})", TO_KERAS
    yield "is neither HDF5 nor a .keras archive", AGAIN


def no_checkpoint(folder: Path, state_file: str) -> WeightsError:
    """The error of a folder without a checkpoint; what it holds instead is named."""
    remedy = "name the folder of a run that still has its checkpoints, or a weight file"
    found = sorted(p for end in ("*.weights.json", "*.h5", "*.keras") for p in folder.glob(end))
    if (folder / "saved_model.pb").exists():
        remedy = f"it is a SavedModel: {SAVED_MODEL}"
    elif found:
        remedy = f"name the file of weights in it, such as {quote(str(found[0]))}"
    elif any(path.suffix in _FOREIGN for path in folder.iterdir()):
        remedy = TO_KERAS
    return WeightsError(
        "the folder holds no checkpoint",
        where=str(folder),
        expected=f"{state_file}, or checkpoints/step-.../{state_file}",
        remedy=remedy,
    )


def other_hdf5(path: Path, names: list[str]) -> WeightsError:
    """The error of an HDF5 file without Keras' layers."""
    if not names:
        return unreadable(path, "holds no weights")
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return unreadable(path, f"is HDF5 without Keras' layers: it holds {shown}", TO_KERAS)


def no_keras_archive(path: Path, names: list[str], inner: str) -> WeightsError:
    """The error of an archive without Keras' weights, named by what is in it."""
    if any(name.endswith("data.pkl") for name in names):
        return unreadable(path, "is PyTorch's", TO_KERAS)
    if names and all(name.endswith(".npy") for name in names):
        return unreadable(path, "holds NumPy arrays without a network", TO_KERAS)
    inside = [n for n in names if n.endswith((".h5", ".keras")) and not n.startswith("__MACOSX")]
    if inside:
        command = f"unzip {quote(str(path))} -d {quote(str(path.parent))}"
        named = quote(str(path.parent / inside[0]))
        return unreadable(path, f"is an archive that holds {inside[0]}", f"{command}; name {named}")
    return unreadable(path, f"is an archive without {inner}")


def quantised(path: Path, name: str, dtype: object) -> WeightsError:
    """The error of arrays of small integers."""
    return unreadable(
        path,
        f"holds {dtype} at {name}: the network was quantised, and its own numbers are lost",
        "save it before it is quantised (before `model.quantize` or a converter)",
    )


def no_numbers(path: Path, name: str, dtype: object) -> WeightsError:
    """The error of an array that holds no floating-point numbers."""
    return unreadable(
        path,
        f"holds {dtype} at {name}, not floating-point numbers",
        "save the weights alone; what a network counts is none of them",
    )


def normalises_itself(
    path: Path, layer: str, mean: np.ndarray, variance: np.ndarray
) -> WeightsError:
    """The error of a network with Keras' layer `Normalization` before its first convolution."""
    values = [", ".join(f"{v:.4g}" for v in np.ravel(a)[:3]) for a in (mean, variance)]
    found = f"{layer} (mean {values[0]}, variance {values[1]})"
    return scales_itself(path, layer, found, np.ravel(mean), np.sqrt(np.ravel(variance)))


def scales_itself(
    path: Path, layer: str, found: str, mean: np.ndarray, std: np.ndarray
) -> WeightsError:
    """The error of a network that feeds `(pixel - mean) / std` to its first convolution.

    Args:
        path: the file.
        layer: name of the last layer that does so.
        found: these layers, for a person.
        mean: [1] or [channels].
        std: the same.
    """
    grey = " (of one channel: grey, and one value each)" if len(mean) == len(std) == 1 else ""
    values = [tuple(float(f"{v:.9g}") for v in np.resize(a, 3)) for a in (mean, std)]
    option = Normalisation(channels="rgb", mean=values[0], std=values[1]).model_dump_json()
    return unreadable(
        path,
        f"normalises its input by a layer, {found}",
        "here that is an option and no layer: keras.Model(model.get_layer"
        f"({layer!r}).output, model.output).save('without.keras') leaves it out; then add "
        f"--normalisation {quote(option)}{grey}",
    )


def not_finite(path: Path, name: str) -> WeightsError:
    """The error of an array with NaN or infinity in it."""
    return unreadable(
        path,
        f"holds NaN or infinite numbers at {name}",
        "the training diverged or the conversion overflowed: take an earlier checkpoint of it",
    )


def not_told_apart(path: Path, count: int, place: str) -> WeightsError:
    """The error of a layer whose number of variables no layer of a network here has."""
    return unreadable(
        path,
        f"holds {count} variables at {place} that cannot be told apart",
        "networks here have convolutions, dense layers and batch normalisation with gamma and "
        "beta; check which layer this is",
    )


def without_names(path: Path, place: str) -> WeightsError:
    """The error of a file of an older Keras that does not hold its layers' names."""
    return unreadable(
        path,
        f"does not hold the names of its layers (at {place}), as Keras wrote before 3",
        "save the whole network as .keras, which holds them, or the weights as legacy .h5: "
        "model.save_weights('x.h5')",
    )
