"""`--set key=value`: one field of a recipe replaced, by dotted name."""

import json
import re
from typing import Any

from pydantic import ValidationError

from harness.errors import RecipeError
from harness.recipes.fields import explained, keys_for
from harness.recipes.large_batch import SETTING, linearly_scaled
from harness.recipes.normalisations import NORMALISATIONS, normalisation_name
from harness.recipes.protocol import Protocol
from harness.recipes.recipe import Recipe

NORMALISATION = "normalisation"
PROTOCOL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
PHASE_LENGTH = re.compile(r"(phases\.\d+)\.(epochs|steps)")


def with_settings(recipe: Recipe, settings: tuple[str, ...]) -> Recipe:
    """A recipe with fields replaced.

    Args:
        recipe: Where to start.
        settings: Such as `batch=64` or `phases.1.epochs=3`. Values are JSON;
            what is not JSON is taken as text. `linear_scaling=1024` sets batch,
            learning rates and, for a larger batch, warm-up, as `large_batch` says. A phase has one
            length: `phases.0.steps=400` takes the place of its epochs, and the reverse.
            `normalisation` takes a name of `normalisations` too, and sets that
            of the protocols, unless they are set themselves.

    Raises:
        RecipeError: no such field, or a value it does not take; the field is
            named. Or training and evaluation would normalise differently.
    """
    document = recipe.model_dump(mode="json")
    keys: set[str] = set()
    for setting in settings:
        key, separator, text = setting.partition("=")
        if not separator:
            raise RecipeError(f"{setting!r} is no setting", expected="key=value, such as batch=64")
        if key.strip() == SETTING:
            document = linearly_scaled(document, _value(text.strip()))
            continue
        keys.add(key.strip())
        _check_exists(document, key.strip())
        _replace(document, key.strip(), _value_of(key.strip(), text.strip()))
        _exchange_length(document, key.strip(), keys)
    if any(key.split(".")[0] == NORMALISATION for key in keys):
        _normalise_protocols_alike(document, keys)
    changed = parse_recipe(document)
    # A protocol that is changed keeps its name, which another may have: runs of before go on.
    check_consistent(changed, own_names=False)
    return changed


def check_consistent(recipe: Recipe, *, own_names: bool = True) -> None:
    """Refuse parts that do not fit together, which no single field can show.

    Args:
        recipe: With all its parts.
        own_names: Whether each protocol needs a name of its own.

    Raises:
        RecipeError: the network is evaluated on other input than it is trained on, or two
            protocols have one name, or one has a crop that is larger than its image, or a name
            that no file can have.
    """
    _check_one_input(recipe)
    named: dict[str, Protocol] = {}
    for protocol in (*recipe.final_protocols, recipe.epoch_protocol):
        _check_name(recipe, protocol)
        _check_crop(recipe, protocol)
        is_final = protocol is not recipe.epoch_protocol
        taken = protocol.name in named and (is_final or named[protocol.name] != protocol)
        if own_names and taken:
            raise RecipeError(
                f"two protocols are named {protocol.name}, and one result would replace the other",
                where=f"recipe {recipe.name}, field name of its protocols",
                expected="a name for each; that of each epoch may be one of the final ones, "
                "field by field",
                remedy="rename or delete one",
            )
        named[protocol.name] = protocol


def _check_name(recipe: Recipe, protocol: Protocol) -> None:
    """A protocol's name is part of file names, of MLflow's keys and of members of a bundle."""
    if not PROTOCOL_NAME.fullmatch(protocol.name):
        raise RecipeError(
            f"the protocol's name {protocol.name!r} cannot name a file and a metric",
            where=f"recipe {recipe.name}, field name of its protocols",
            expected="up to 64 letters A to Z and a to z, digits, underscores, hyphens and dots, "
            "the first a letter or a digit",
            remedy="rename it, for example ten_crop_224_256",
        )


def _check_crop(recipe: Recipe, protocol: Protocol) -> None:
    size, smallest = protocol.crop_size, min(protocol.short_sides)
    if protocol.crops != "full" and (size is None or size > smallest):
        raise RecipeError(
            f"the protocol {protocol.name} takes crops of {size or 'no size'} pixels from images "
            f"whose short side has {smallest}",
            where=f"recipe {recipe.name}, field crop_size of {protocol.name}",
            expected=f'a crop_size up to {smallest}, or crops = "full"',
            remedy="lower crop_size or raise short_sides",
        )


def _exchange_length(document: dict[str, Any], key: str, keys: set[str]) -> None:
    """Drop a phase's epochs where its steps are set, and the reverse, unless both are set.

    Phases that are set as a whole get a field for each, of which one may be set afterwards.
    """
    phases = document["phases"]
    if key == "phases" and isinstance(phases, list):
        lengths = {"epochs": None, "steps": None}
        document["phases"] = [lengths | one if isinstance(one, dict) else one for one in phases]
    matched = PHASE_LENGTH.fullmatch(key)
    if matched is None:
        return
    phase, unit = matched.groups()
    other = f"{phase}.{'epochs' if unit == 'steps' else 'steps'}"
    if other not in keys:
        _replace(document, other, None)


def parse_recipe(document: dict[str, Any], *, where: str | None = None) -> Recipe:
    """Validate a recipe given as JSON-like data.

    Args:
        document: The recipe.
        where: The file that it stands in, if any.

    Raises:
        RecipeError: a field is unknown, missing, ill-typed or out of range; it is named with
            what it takes, an unknown one with the nearest name.
    """
    try:
        return Recipe.model_validate_json(json.dumps(document, default=str))
    except ValidationError as error:
        raise RecipeError(**explained(error, Recipe, "a recipe", where)) from error


def _value_of(key: str, text: str) -> Any:
    """The value of a setting; a normalisation's name stands for its fields."""
    value = _value(text)
    if key.rsplit(".", maxsplit=1)[-1] != NORMALISATION or not isinstance(value, str):
        return value
    if value not in NORMALISATIONS:
        raise RecipeError(
            f"there is no normalisation named {value!r}",
            where=f"field {key}",
            expected=f"one of {', '.join(NORMALISATIONS)}, or its fields as a JSON object",
            remedy=f"such as --set {key}=caffe",
        )
    return NORMALISATIONS[value].model_dump(mode="json")


def _normalise_protocols_alike(document: dict[str, Any], keys: set[str]) -> None:
    """Give the recipe's normalisation to every protocol whose own was not set."""
    places = {"epoch_protocol": document["epoch_protocol"]}
    finals = document["final_protocols"]
    if isinstance(finals, list):
        places |= {f"final_protocols.{i}": protocol for i, protocol in enumerate(finals)}
    for path, protocol in places.items():
        own = {path, path.split(".")[0]}
        itself = any(key in own or key.startswith(f"{path}.{NORMALISATION}") for key in keys)
        if isinstance(protocol, dict) and not itself:
            protocol[NORMALISATION] = document[NORMALISATION]


def _check_one_input(recipe: Recipe) -> None:
    """Refuse a network that is evaluated on other input than it is trained on."""
    for protocol in (recipe.epoch_protocol, *recipe.final_protocols):
        if protocol.normalisation != recipe.normalisation:
            raise RecipeError(
                f"the protocol {protocol.name} feeds "
                f"{normalisation_name(protocol.normalisation)} input, training feeds "
                f"{normalisation_name(recipe.normalisation)}",
                where=f"recipe {recipe.name}, field normalisation and those of its protocols",
                expected="one normalisation, because a network knows only its own",
                remedy="set `normalisation` alone: the protocols follow it",
            )


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _check_exists(document: dict[str, Any], key: str) -> None:
    """Refuse a field that is not there, with those that its word most likely means."""
    try:
        place: Any = document
        for part in key.split("."):
            place = _child(place, part, key)
    except RecipeError as error:
        meant = keys_for(key, document)
        if not meant:
            raise
        raise RecipeError(
            error.found,
            where=error.where,
            expected=error.expected,
            remedy=f"did you mean {' or '.join(f'--set {one}=...' for one in meant)}?",
        ) from None


def _replace(document: dict[str, Any], key: str, value: Any) -> None:
    *path, last = key.split(".")
    place: Any = document
    for part in path:
        place = _child(place, part, key)
    _child(place, last, key)
    if isinstance(place, list):
        place[int(last)] = value
    else:
        place[last] = value


def _child(place: Any, part: str, key: str) -> Any:
    if isinstance(place, list) and part.isdigit() and int(part) < len(place):
        return place[int(part)]
    if isinstance(place, dict) and part in place:
        return place[part]
    names = ", ".join(place) if isinstance(place, dict) else "a number within the list"
    raise RecipeError(
        f"a recipe has no field {key!r}",
        where=f"at {part!r}",
        expected=f"one of {names}" if isinstance(place, dict | list) else "no deeper field",
        remedy="see `harness list recipes --json` for every field",
    )
