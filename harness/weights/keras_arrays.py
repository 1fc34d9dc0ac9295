"""Arrays out of Keras' own HDF5 layout, of version 3 and of version 2's `.keras` files.

A layer's variables are numbered in a group `.../vars`. Version 3 keeps the
layer's name there as an attribute. Version 2 names groups by the layers'
classes and leaves the names to the archive's `config.json`.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from harness.weights.refusals import (
    no_numbers,
    normalises_itself,
    not_finite,
    not_told_apart,
    quantised,
    scales_itself,
    unreadable,
    without_names,
)

_KINDS_BY_COUNT = {
    1: ("kernel",),
    2: ("kernel", "bias"),
    4: ("gamma", "beta", "moving_mean", "moving_variance"),
}
SEED_STATES = ("seed_generator", "seed_generator_state", "StateVar")
"""Random generators of dropout and augmentation layers: state of a training, no weights."""

_SMALL_INTEGERS = frozenset({"int8", "uint8", "int4", "uint4"})


def layer_groups(file: Any) -> dict[str, Any]:
    """Groups of variables by their place; optimizers' and seeds' left out."""
    return {
        place: group
        for place, group in datasets_and_groups(file).items()
        if place.endswith("vars") and isinstance(group, h5py.Group)
        if "optimizer" not in place.split("/")[:-1] and not is_seed(place)
    }


def keras_arrays(
    groups: Mapping[str, Any], names: Mapping[str, str], path: Path
) -> Iterator[tuple[str, np.ndarray]]:
    """Arrays by variable path.

    Args:
        groups: of `layer_groups`; those of several files may be one mapping.
        names: layers' names by place, where the groups do not hold them.
        path: of the file, for messages.

    Raises:
        WeightsError: a layer that no network here has, or arrays that are no weights.
    """
    for place, group in groups.items():
        if not len(group):
            continue
        name = group.attrs.get("name") or names.get(place)
        if name is None:
            raise without_names(path, place)
        members = [group.get(str(number)) for number in range(len(group))]
        layer = text_of(name)
        _refuse_normalisation(members, layer, path)
        kinds = _KINDS_BY_COUNT.get(len(members))
        if kinds is None:
            for number, member in enumerate(members):  # names what is quantised, if that is it
                array_of(member, f"{place}/{number}", path)
            raise not_told_apart(path, len(members), place)
        for number, (kind, member) in enumerate(zip(kinds, members, strict=True)):
            yield f"{layer}/{kind}", array_of(member, f"{place}/{number}", path)


def _refuse_normalisation(members: list[Any], layer: str, path: Path) -> None:
    """Keras' `Normalization` has a mean, a variance and, of integers, a count."""
    if len(members) != 3 or not all(isinstance(m, h5py.Dataset) for m in members):
        return
    mean, variance, count = members
    if count.dtype.kind in "iu" and count.shape == () and mean.shape == variance.shape:
        raise normalises_itself(path, layer, mean[()], variance[()])


def array_of(dataset: Any, name: str, path: Path) -> np.ndarray:
    """The float32 array of a dataset that is in this file itself.

    Raises:
        WeightsError: it is elsewhere, or no floating-point numbers.
    """
    if not isinstance(dataset, h5py.Dataset) or dataset.external or dataset.is_virtual:
        raise unreadable(path, f"does not hold the array {name} itself")
    if text_of(dataset.attrs.get("dtype", "")) == "bfloat16" and dataset.dtype.itemsize == 2:
        # HDF5 has no such type: the two high bytes of each float32, as opaque values.
        high = np.frombuffer(dataset[()].tobytes(), "<u2").astype("<u4") << 16
        return _finite(high.view("<f4").reshape(dataset.shape).astype(np.float32), name, path)
    if dataset.dtype.name in _SMALL_INTEGERS:
        raise quantised(path, name, dataset.dtype)
    if dataset.dtype.kind != "f":
        raise no_numbers(path, name, dataset.dtype)
    return _finite(np.asarray(dataset[()], np.float32), name, path)


def _finite(array: np.ndarray, name: str, path: Path) -> np.ndarray:
    if not np.isfinite(array).all():
        raise not_finite(path, name)
    return array


def refuse_scaling(config: Any, path: Path) -> None:
    """Refuse layers of a configuration that scale pixels by constants and so have no arrays.

    Raises:
        WeightsError: there are some; what they do together is named.
    """
    scale, offset, found, last = np.ones(1), np.zeros(1), [], ""
    for kind, inner in _layers(config):
        last = str(inner.get("name", kind))
        if kind == "Rescaling":
            scale, offset = (np.ravel(inner.get(k, 0.0)).astype(float) for k in ("scale", "offset"))
            found.append((last, scale, offset))
        elif kind == "Normalization" and inner.get("mean") is not None:
            std = np.sqrt(np.ravel(inner["variance"]).astype(float))
            found.append((last, 1 / std, -np.ravel(inner["mean"]).astype(float) / std))
    if not found:
        return
    scale, offset = np.ones(1), np.zeros(1)
    for _, by, plus in found:
        scale, offset = scale * by, offset * by + plus
    names = ", ".join(name for name, _, _ in found)
    raise scales_itself(path, found[-1][0], names, -offset / scale, 1 / scale)


def _layers(config: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for layer in config.get("config", {}).get("layers", ()):
        yield str(layer.get("class_name", "")), layer.get("config", {})
        yield from _layers(layer)


def is_seed(place: str) -> bool:
    """Whether a group or variable is the state of a random generator."""
    last = re.split(r"[/\\]", place.removesuffix("/vars"))[-1].rsplit(":", 1)[0]
    return re.sub(r"_\d+$", "", last) in SEED_STATES


def names_of_version_2(config: Mapping[str, Any]) -> dict[str, str]:
    """Layers' names by place in a `.keras` file of Keras 2, from its `config.json`.

    Source: `keras.src.saving.saving_lib` of 2.12 to 2.15: layers lie in a container,
    each by its class in small letters with a number from the second one on.
    """
    names: dict[str, str] = {}
    for container in ("layers", "_layer_checkpoint_dependencies"):
        names |= _names(config.get("config", {}), container, container)
    return names


def _names(config: Mapping[str, Any], prefix: str, container: str) -> dict[str, str]:
    names: dict[str, str] = {}
    seen: Counter[str] = Counter()
    for layer in config.get("layers", ()):
        kind = _small(str(layer.get("class_name", "")))
        place = f"{prefix}/{kind}_{seen[kind]}" if seen[kind] else f"{prefix}/{kind}"
        seen[kind] += 1
        inner = layer.get("config", {})
        names[f"{place}/vars"] = str(inner.get("name") or layer.get("name"))
        if "layers" in inner:
            names |= _names(inner, f"{place}/{container}", container)
    return names


def _small(class_name: str) -> str:
    """`BatchNormalization` to `batch_normalization`, as Keras writes it."""
    word = re.sub(r"\W+", "", class_name)
    word = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", word)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", word).lower()


def datasets_and_groups(group: Any) -> dict[str, Any]:
    """Everything below a group that is in this file; links to elsewhere are not followed."""
    found: dict[str, Any] = {}
    group.visititems(found.__setitem__)
    return found


def text_of(value: Any) -> str:
    """A string attribute as text."""
    return value.decode() if isinstance(value, bytes) else str(value)
