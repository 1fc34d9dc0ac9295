"""Arrays out of weight files, without executing or unpickling anything.

Formats, told apart by content: legacy Keras `.h5` (root attribute
`layer_names`), Keras 3 `.weights.h5`, and `.keras` archives, of which only the
inner `model.weights.h5` is read. Arrays are named by the path of the Keras
variable that they belong to, such as `conv2_0.bn_1/gamma`.
"""

import hashlib
import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np

from harness.errors import WeightsError
from harness.models.variables import layer_name

Format = Literal["legacy_h5", "keras_h5", "keras_archive", "checkpoint", "keras_download"]

DESCRIPTION_ATTRIBUTE = "harness_description"
INNER_FILE = "model.weights.h5"
LARGEST_INNER_FILE = 8 * 2**30
"""Bytes; a weight file of the largest network here has 0.25 GB."""

_ALIASES = {"probs": "predictions"}
"""Keras Applications' published files name the head `probs`; Keras itself no longer does."""

_KINDS_BY_COUNT = {
    1: ("kernel",),
    2: ("kernel", "bias"),
    4: ("gamma", "beta", "moving_mean", "moving_variance"),
}


@dataclass(frozen=True)
class WeightArrays:
    """What a weight file holds.

    Attributes:
        source: The file or folder.
        format: How it was written.
        sha256: Hex digest of the file's bytes.
        arrays: float32 arrays by variable path.
        description: JSON text written into the file by this project, if any.
    """

    source: str
    format: Format
    sha256: str
    arrays: dict[str, np.ndarray]
    description: str | None = None

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each array."""
        return {path: array.shape for path, array in self.arrays.items()}


def read_weight_file(path: Path) -> WeightArrays:
    """Read a weight file of any known format.

    Raises:
        WeightsError: no such file, none of the formats, truncated, or with
            content that a weight file does not have.
    """
    try:
        with path.open("rb") as file:
            head = file.read(8)
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _unreadable(path, f"cannot be opened ({error.strerror})") from error
    if head.startswith(b"PK\x03\x04"):
        format_: Format = "keras_archive"
        found, description = _read_archive(path)
    elif head.startswith(b"\x89HDF\r\n\x1a\n"):
        with _opened(path, path) as file:
            format_ = "legacy_h5" if _legacy_root(file) is not None else "keras_h5"
            found, description = _read_h5(file, path), _description(file)
    else:
        raise _unreadable(path, "is neither HDF5 nor a .keras archive")
    return WeightArrays(str(path), format_, digest, found, description)


def _read_archive(path: Path) -> tuple[dict[str, np.ndarray], str | None]:
    try:
        with zipfile.ZipFile(path) as archive:
            size = archive.getinfo(INNER_FILE).file_size
            if size > LARGEST_INNER_FILE:
                raise _unreadable(path, f"holds {INNER_FILE} of {size:,} bytes")
            raw = archive.read(INNER_FILE)
    except KeyError as error:
        raise _unreadable(path, f"is an archive without {INNER_FILE}") from error
    # zipfile raises NotImplementedError for a compression that it does not know.
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError) as error:
        raise _unreadable(path, f"is a damaged archive ({error})") from error
    with _opened(io.BytesIO(raw), path) as file:
        return _read_h5(file, path), _description(file)


@contextmanager
def _opened(source: Any, path: Path) -> Iterator[Any]:
    try:
        with h5py.File(source, "r") as file:
            yield file
    except (OSError, KeyError, RuntimeError, ValueError, TypeError, UnicodeError) as error:
        raise _unreadable(path, f"is damaged or truncated ({error})") from error


def _read_h5(file: Any, path: Path) -> dict[str, np.ndarray]:
    root = _legacy_root(file)
    arrays = dict(_legacy_arrays(root, path) if root is not None else _keras_arrays(file, path))
    if not arrays:
        raise _unreadable(path, "holds no weights")
    return arrays


def _legacy_root(file: Any) -> Any:
    """The group with the layers; in a whole saved model it is `model_weights`."""
    for root in (file, _datasets_and_groups(file).get("model_weights")):
        if root is not None and "layer_names" in root.attrs:
            return root
    return None


def _legacy_arrays(root: Any, path: Path) -> Iterator[tuple[str, np.ndarray]]:
    objects = _datasets_and_groups(root)
    for layer in map(_text, root.attrs["layer_names"]):
        group = objects.get(layer)
        if group is None:
            raise _unreadable(path, f"lists the layer {layer} and does not hold it")
        for name in map(_text, group.attrs.get("weight_names", ())):
            dataset = objects.get(f"{layer}/{name}")
            yield _path_of_legacy(layer, name), _array(dataset, f"{layer}/{name}", path)


def _path_of_legacy(layer: str, name: str) -> str:
    """`conv2_0` and `conv2_0/bn_1/gamma:0` to `conv2_0.bn_1/gamma`.

    What stands before the layer's own name is a scope of the saving program.
    """
    *scopes, kind = name.rsplit(":", 1)[0].split("/")
    if layer in scopes:
        last = len(scopes) - 1 - scopes[::-1].index(layer)
        scopes = scopes[last + 1 :]
    layer = _ALIASES.get(layer, layer)
    return f"{layer_name(layer, '.'.join(scopes))}/{kind}"


def _keras_arrays(file: Any, path: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Keras 3 numbers a layer's variables and keeps its name as an attribute."""
    for place, group in _datasets_and_groups(file).items():
        if not (place.endswith("/vars") and isinstance(group, h5py.Group) and len(group)):
            continue
        if place.startswith("optimizer"):
            continue
        name = group.attrs.get("name")
        kinds = _KINDS_BY_COUNT.get(len(group))
        if name is None or kinds is None:
            raise _unreadable(
                path, f"holds {len(group)} variables at {place} that cannot be told apart"
            )
        for number, kind in enumerate(kinds):
            dataset = _datasets_and_groups(group).get(str(number))
            yield f"{_text(name)}/{kind}", _array(dataset, f"{place}/{number}", path)


def _datasets_and_groups(group: Any) -> dict[str, Any]:
    """Everything below a group that is in this file; links to elsewhere are not followed."""
    found: dict[str, Any] = {}
    group.visititems(found.__setitem__)
    return found


def _array(dataset: Any, name: str, path: Path) -> np.ndarray:
    if not isinstance(dataset, h5py.Dataset) or dataset.external or dataset.is_virtual:
        raise _unreadable(path, f"does not hold the array {name} itself")
    if dataset.dtype.kind != "f":
        raise _unreadable(path, f"holds {dataset.dtype} at {name}, not floating-point numbers")
    return np.asarray(dataset[()], np.float32)


def _description(file: Any) -> str | None:
    text = file.attrs.get(DESCRIPTION_ATTRIBUTE)
    return None if text is None else _text(text)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _unreadable(path: Path, found: str) -> WeightsError:
    return WeightsError(
        f"the weight file {found}",
        where=str(path),
        expected="a legacy Keras .h5, a Keras 3 .weights.h5 or .keras, or a checkpoint folder",
        remedy="fetch or save the file again and compare its size with the source's",
    )
