"""Keras' weights in several files: an index in JSON and shards beside it."""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from harness.weights.keras_arrays import keras_arrays, layer_groups
from harness.weights.refusals import TO_KERAS, unreadable

SHARD = re.compile(r"(?P<base>.+)_\d{5}\.weights\.h5")


class _Layer:
    """The variables of one layer, which may lie in several files.

    Keras writes the layer's name where the layer begins, and its variables into the
    next file where they no longer fit.
    """

    def __init__(self) -> None:
        self.attrs: dict[str, Any] = {}
        self.members: dict[str, Any] = {}

    def add(self, group: Any) -> None:
        self.attrs |= dict(group.attrs)
        self.members |= dict(group.items())

    def get(self, name: str) -> Any:
        return self.members.get(name)

    def __len__(self) -> int:
        return len(self.members)


def index_of(path: Path) -> Path | None:
    """The index of the shards that a file is one of, or is itself; None for any other file."""
    if path.suffix == ".json":
        return path
    found = SHARD.fullmatch(path.name)
    if found is None:
        return None
    names = (f"{found['base']}.weights.json", f"{found['base']}.json")
    return next((p for p in map(path.with_name, names) if p.is_file()), None)


def _names(places: Iterable[Any]) -> Iterator[str]:
    for place in places:
        yield from [place] if isinstance(place, str) else place


def read_shards(
    index: Path, opened: Callable[[Path, Path], Any]
) -> tuple[dict[str, np.ndarray], str]:
    """Arrays by variable path, and the hex SHA-256 over the index and every shard.

    Args:
        index: the JSON file.
        opened: opens an HDF5 file, with errors that name it.

    Raises:
        WeightsError: no such index, or a shard that is missing or damaged.
    """
    try:
        raw = index.read_bytes()
        names = sorted(set(_names(json.loads(raw)["weight_map"].values())))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise unreadable(index, f"is no index of Keras' shards ({error})") from error
    if not all(name.endswith(".h5") for name in names):
        raise unreadable(index, f"names shards of another framework, such as {names[0]}", TO_KERAS)
    digest = hashlib.sha256(raw)
    layers: dict[str, _Layer] = {}
    with ExitStack() as files:
        for name in names:
            shard = index.with_name(Path(name).name)
            if not shard.is_file():
                raise unreadable(
                    index,
                    f"names the shard {name}, which is missing",
                    f"put all its shards beside it under their own names: {', '.join(names[:5])}",
                )
            digest.update(shard.read_bytes())
            for place, group in layer_groups(files.enter_context(opened(shard, shard))).items():
                layers.setdefault(place, _Layer()).add(group)
        return dict(keras_arrays(layers, {}, index)), digest.hexdigest()
