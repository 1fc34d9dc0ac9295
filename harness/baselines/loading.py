"""Find, read and validate `baselines/*.toml`."""

import difflib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harness.baselines.schema import (
    AccuracyRow,
    BaselineFile,
    PublishedCurve,
    PublishedTarget,
    Target,
    ThresholdTarget,
    ThroughputRow,
)
from harness.errors import BaselineError
from harness.recipes.fields import explained
from harness.recipes.files import without_none

_BY_KIND: dict[str, type[Target | BaselineFile]] = {
    "published": PublishedTarget,
    "threshold": ThresholdTarget,
    "baselines": BaselineFile,
}

NOT_OF_ROWS = {"source", "protocols", "convergence"}
"""Tables of a baseline file that hold no rows. Bundles of 0.2.0 and before carry `convergence`:
epochs of MLPerf's reference runs, which no judgement or page of a bundle uses."""


@dataclass(frozen=True)
class Baselines:
    """Everything published that a run can be held against, in the order of the files.

    `target_files` has the file of each target by the target's name.
    """

    targets: tuple[Target, ...]
    accuracy: tuple[AccuracyRow, ...]
    throughput: tuple[ThroughputRow, ...]
    curves: tuple[PublishedCurve, ...]
    target_files: Mapping[str, Path]


def baselines_folder() -> Path:
    """The folder of baseline files: inside an installed wheel, else beside the package."""
    package = Path(__file__).parents[1]
    installed = package / "_baselines"
    return installed if installed.is_dir() else package.parent / "baselines"


def load_baselines(folder: Path | None = None) -> Baselines:
    """Read every file of a folder, in order of name.

    Args:
        folder: None takes `baselines_folder()`, which is read once a process.

    Raises:
        BaselineError: no files, a file that cannot be read or is wrong, or a
            name that occurs twice.
    """
    return _own(baselines_folder()) if folder is None else _loaded(folder)


@cache
def _own(folder: Path) -> Baselines:
    return _loaded(folder)


def _loaded(folder: Path) -> Baselines:
    files = sorted(folder.glob("*.toml"))
    if not files:
        raise BaselineError(
            "there are no baseline files",
            where=str(folder),
            expected="*.toml",
            remedy="install the project again, or run from a complete checkout",
        )
    contents = [_read(file) for file in files]
    targets = {
        file: content
        for file, content in zip(files, contents, strict=True)
        if not isinstance(content, BaselineFile)
    }
    rows = [content for content in contents if isinstance(content, BaselineFile)]
    baselines = Baselines(
        targets=tuple(targets.values()),
        accuracy=tuple(row for content in rows for row in content.accuracy),
        throughput=tuple(row for content in rows for row in content.throughput),
        curves=tuple(curve for content in rows for curve in content.curve),
        target_files={target.name: file for file, target in targets.items()},
    )
    _refuse_doubles(baselines, folder)
    return baselines


def load_target(which: str | Path) -> Target:
    """Read one target.

    Args:
        which: A file by its path; or, as text, a registered target's name, its file's
            name such as `smoke`, or else a path.

    Raises:
        BaselineError: it cannot be read, is wrong, or is no target.
    """
    path = which if isinstance(which, Path) else _target_file(which)
    content = _read(path)
    if isinstance(content, BaselineFile):
        raise BaselineError(
            "the file holds baselines, not a target",
            where=str(path),
            expected='kind = "published" or kind = "threshold"',
            remedy="name a file like baselines/target.toml",
        )
    return content


def _target_file(which: str) -> Path:
    registered = load_baselines().target_files
    by_file = {file.stem: file for file in registered.values()}
    found = registered.get(which) or by_file.get(which)
    if found is None and (Path(which).suffix == ".toml" or Path(which).is_file()):
        return Path(which)
    if found is None:
        near = difflib.get_close_matches(which, registered, n=3, cutoff=0.3)
        raise BaselineError(
            f"there is no target named {which!r}",
            expected=f"one of {', '.join(registered)}, or a TOML file",
            remedy=f"did you mean {' or '.join(near)}?" if near else "see `harness list targets`",
        )
    return found


def _read(path: Path) -> Target | BaselineFile:
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BaselineError(
            f"cannot read the file: {error}",
            where=str(path),
            expected="a TOML file",
            remedy="correct the path or the syntax",
        ) from error
    kind = raw.get("kind")
    model = _BY_KIND.get(kind) if isinstance(kind, str) else None
    if kind is None and "phases" in raw:
        raise BaselineError(
            "the file holds a recipe, not a target",
            where=str(path),
            expected="a target of it",
            remedy="`harness target new --recipe FILE --name NAME` prints one to be filled in",
        )
    if model is None:
        raise BaselineError(
            f"the file has the kind {kind!r}",
            where=str(path),
            expected=f"one of {', '.join(_BY_KIND)}",
            remedy="say what the file is by `kind` in its first line",
        )
    try:
        document = _with_sources(raw) if model is BaselineFile else without_none(raw)
        return model.model_validate_json(json.dumps(document, default=str))
    except ValidationError as error:
        kind = "a baseline file" if model is BaselineFile else "a target"
        raise BaselineError(**explained(error, model, kind, str(path))) from error


def _with_sources(raw: dict[str, Any]) -> dict[str, Any]:
    """Give each row the file's source, with the row's own part of it, and the protocol it names."""
    source, protocols = (
        part if isinstance(part := raw.get(name, {}), dict) else {}
        for name in ("source", "protocols")
    )
    document = {key: value for key, value in raw.items() if key not in NOT_OF_ROWS}
    for kind in ("accuracy", "throughput", "curve"):
        if isinstance(raw.get(kind), list):
            document[kind] = [
                _complete(row, source, protocols) if isinstance(row, dict) else row
                for row in raw[kind]
            ]
    return document


def _complete(
    row: dict[str, Any], source: dict[str, Any], protocols: dict[str, Any]
) -> dict[str, Any]:
    own = {key: row[key] for key in ("table", "quoted", "note") if key in row}
    rest = {key: value for key, value in row.items() if key not in own}
    if "source" not in row and (source or own):
        rest["source"] = {**source, **own}
    protocol = rest.get("protocol")
    if isinstance(protocol, str) and protocol in protocols:
        rest["protocol"] = protocols[protocol]
    return rest


def _refuse_doubles(baselines: Baselines, folder: Path) -> None:
    for kind in ("targets", "accuracy", "throughput", "curves"):
        names = [row.name for row in getattr(baselines, kind)]
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            raise BaselineError(
                f"{kind}: the name {doubled[0]!r} occurs more than once",
                where=str(folder),
                expected="each name once",
                remedy="rename one of the rows",
            )
