"""What a file is that holds no weights for here, and the way out that fits its cause."""

from pathlib import Path

import numpy as np

from harness.errors import WeightsError

FORMATS = (
    "a legacy Keras .h5, a Keras 3 .weights.h5, its shards, a .keras archive, or a checkpoint "
    "folder"
)
PICKLES = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
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
        ("is packed with gzip", f"gunzip {path.name}, then name what comes out", (b"\x1f\x8b",)),
        ("is a pickle, as PyTorch wrote until 1.5", TO_KERAS, PICKLES),
    ):  # fmt: skip
        if head.startswith(marks):
            return unreadable(path, found, remedy)
    if len(head) > 8 and head[8:9] == b"{" and head[4:8] == b"\0\0\0\0":
        return unreadable(path, "is of the safetensors format", TO_KERAS)
    if ".ckpt" in path.name or path.suffix == ".index":
        return unreadable(
            path,
            "is part of a checkpoint of TensorFlow",
            "load it into its network and save that as .keras, or its weights as .h5",
        )
    return unreadable(path, "is neither HDF5 nor a .keras archive")


def no_keras_archive(path: Path, names: list[str], inner: str) -> WeightsError:
    """The error of an archive without Keras' weights, named by what is in it."""
    if any(name.endswith("data.pkl") for name in names):
        return unreadable(path, "is PyTorch's", TO_KERAS)
    if names and all(name.endswith(".npy") for name in names):
        return unreadable(path, "holds NumPy arrays without a network", TO_KERAS)
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
    return unreadable(
        path,
        f"normalises its input by a layer, {layer} (mean {values[0]}, variance {values[1]})",
        "here that is an option and no layer: keras.Model(model.get_layer"
        f"({layer!r}).output, model.output).save('without.keras') leaves it out; name its mean and "
        "deviation with --normalisation",
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
