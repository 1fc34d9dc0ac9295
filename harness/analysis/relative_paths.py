"""What was computed from runs, without the place where they lie on this machine."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from harness.verdict.judgement import Judgement, Judgements


def portable(judgements: Judgements, folders: Sequence[Path]) -> Judgements:
    """The judgements with each run named `<study>/<seed>` in all of their texts.

    Args:
        judgements: As judged.
        folders: The runs' folders, as they were judged.
    """
    places = _places(folders)
    documents = [_replaced(one.model_dump(mode="json"), places) for one in judgements.each]
    return Judgements(tuple(Judgement.model_validate_json(json.dumps(one)) for one in documents))


def portable_text(text: str, folders: Iterable[Path]) -> str:
    """A text about runs with each run named `<study>/<seed>`."""
    return str(_replaced(text, _places(folders)))


def _places(folders: Iterable[Path]) -> list[tuple[str, str]]:
    studies = {folder.parent for folder in folders}
    # The longest first: a study may lie within the path of another.
    by_length = sorted(studies, key=lambda study: -len(str(study)))
    return [(f"{study}/", f"{study.name}/") for study in by_length]


def _replaced(value: Any, places: list[tuple[str, str]]) -> Any:
    if isinstance(value, dict):
        return {key: _replaced(inner, places) for key, inner in value.items()}
    if isinstance(value, list):
        return [_replaced(inner, places) for inner in value]
    if isinstance(value, str):
        for place, name in places:
            value = value.replace(place, name)
    return value
