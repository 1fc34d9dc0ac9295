"""Arrays out of weight files, without executing or unpickling anything.

Formats, recognised by content: legacy Keras `.h5` (root attribute
`layer_names`), Keras 3 `.weights.h5` and its shards, and `.keras` archives of
Keras 2 and 3, of which only the inner `model.weights.h5` is read, and the names
in `config.json` where the former lacks them. Arrays are named by the path of the Keras
variable that they belong to, such as `conv2_0.bn_1/gamma`.
"""

import hashlib
import io
import json
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np

from harness.models.variables import layer_name
from harness.weights.keras_arrays import (
    array_of,
    datasets_and_groups,
    is_seed,
    keras_arrays,
    layer_groups,
    names_of_version_2,
    refuse_scaling,
    text_of,
)
from harness.weights.refusals import (
    HEAD_BYTES,
    foreign,
    no_keras_archive,
    normalises_itself,
    other_hdf5,
    unreadable,
)
from harness.weights.shards import index_of, read_shards

Format = Literal["legacy_h5", "keras_h5", "keras_archive", "checkpoint", "keras_download"]

DESCRIPTION_ATTRIBUTE = "harness_description"
INNER_FILE = "model.weights.h5"
LARGEST_INNER_FILE = 8 * 2**30
"""Bytes; a weight file of the largest network here has 0.25 GB."""

_ALIASES = {"probs": "predictions"}
"""Keras Applications' published files name the head `probs`; Keras itself no longer does."""


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
    """Read a weight file of any known format, or the shards of one.

    Raises:
        WeightsError: no such file, none of the formats, truncated, or with
            content that a weight file does not have.
    """
    index = index_of(path)
    if index is not None:
        found, digest = read_shards(index, _opened)
        return WeightArrays(str(path), "keras_h5", digest, found)
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise unreadable(
            path, f"cannot be opened ({error.strerror})", "check the path and your right to read it"
        ) from error
    if head.startswith(b"PK\x03\x04"):
        format_: Format = "keras_archive"
        found, description = _read_archive(path)
    elif head.startswith(b"\x89HDF\r\n\x1a\n"):
        with _opened(path, path) as file:
            format_ = "legacy_h5" if _legacy_root(file) is not None else "keras_h5"
            config = text_of(file.attrs.get("model_config", "{}"))
            found, description = (
                _read_h5(file, path, {}),
                _checked(_description(file), config, path),
            )
    else:
        raise foreign(path, head)
    return WeightArrays(str(path), format_, digest, found, description)


_NO_ARCHIVE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, RuntimeError, OSError, EOFError)
"""What `zipfile` raises; a RuntimeError where it is encrypted or compressed in an unknown way."""


def _read_archive(path: Path) -> tuple[dict[str, np.ndarray], str | None]:
    try:
        with zipfile.ZipFile(path) as archive:
            if INNER_FILE not in archive.namelist():
                raise no_keras_archive(path, archive.namelist(), INNER_FILE)
            size = archive.getinfo(INNER_FILE).file_size
            if size > LARGEST_INNER_FILE:
                raise unreadable(path, f"holds {INNER_FILE} of {size:,} bytes")
            raw = archive.read(INNER_FILE)
            config = archive.read("config.json") if "config.json" in archive.namelist() else b"{}"
    except _NO_ARCHIVE as error:
        raise unreadable(path, f"is an archive that cannot be read ({error})") from error
    with _opened(io.BytesIO(raw), path) as file:
        return _read_h5(file, path, _names(config)), _checked(_description(file), config, path)


def _names(config: bytes) -> dict[str, str]:
    """Layers' names where Keras 2 wrote the archive; nothing of it is built."""
    try:
        return names_of_version_2(json.loads(config))
    except (ValueError, AttributeError, TypeError):
        return {}


def _checked(description: str | None, config: str | bytes, path: Path) -> str | None:
    """The description, once the network is known to leave pixels as they are."""
    if description is None:
        try:
            refuse_scaling(json.loads(config), path)
        except (ValueError, AttributeError, TypeError):
            return None  # a configuration of another form says nothing
    return description


@contextmanager
def _opened(source: Any, path: Path) -> Iterator[Any]:
    try:
        # Reading needs no lock, which some network file systems refuse.
        with h5py.File(source, "r", locking=False) as file:
            yield file
    except (OSError, KeyError, RuntimeError, ValueError, TypeError, UnicodeError) as error:
        raise unreadable(path, f"is damaged or truncated ({error})") from error


def _read_h5(file: Any, path: Path, names: dict[str, str]) -> dict[str, np.ndarray]:
    root = _legacy_root(file)
    if root is not None:
        arrays = dict(_legacy_arrays(root, path))
    else:
        arrays = dict(keras_arrays(layer_groups(file), names, path))
    if not arrays:
        raise other_hdf5(path, list(file))
    return arrays


def _legacy_root(file: Any) -> Any:
    """The group with the layers; in a whole saved model it is `model_weights`."""
    for root in (file, datasets_and_groups(file).get("model_weights")):
        if root is not None and "layer_names" in root.attrs:
            return root
    return None


def _legacy_arrays(root: Any, path: Path) -> Iterator[tuple[str, np.ndarray]]:
    objects = datasets_and_groups(root)
    for layer in map(text_of, root.attrs["layer_names"]):
        group = objects.get(layer)
        if group is None:
            raise unreadable(path, f"lists the layer {layer} and does not hold it")
        names = [text_of(n) for n in group.attrs.get("weight_names", ()) if not is_seed(text_of(n))]
        _refuse_normalisation(objects, layer, names, path)
        for name in names:
            dataset = objects.get(f"{layer}/{name}")
            yield _path_of_legacy(layer, name), array_of(dataset, f"{layer}/{name}", path)


def _refuse_normalisation(
    objects: dict[str, Any], layer: str, names: list[str], path: Path
) -> None:
    by_kind = {name.rsplit(":", 1)[0].rsplit("/", 1)[-1]: f"{layer}/{name}" for name in names}
    if set(by_kind) == {"mean", "variance", "count"}:
        mean, variance = (array_of(objects[by_kind[k]], k, path) for k in ("mean", "variance"))
        raise normalises_itself(path, layer, mean, variance)


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


def _description(file: Any) -> str | None:
    text = file.attrs.get(DESCRIPTION_ATTRIBUTE)
    return None if text is None else text_of(text)
