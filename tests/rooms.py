"""The rooms of `harness/` as they are: files, lines, lengths, imports, and the picture of them.

`python -m tests.rooms` writes the picture of the architecture page anew and prints the lines of
each room beside those of version 0.2.0.
"""

import ast
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = "harness"
PAGE = ROOT / "harness/README.md"
DECISIONS = ROOT / "docs/decisions.md"
PICTURE = re.compile(r"(?<=```text rooms\n).*?(?=```\n)", re.DOTALL)
"""The picture within the page."""
WIDTH = 118


@dataclass(frozen=True)
class Length:
    """Lines of a file, class or function.

    Attributes:
        name: path from the repository's root, for a class or function `path:qualified.name`.
        lines: `def` or `class` to the last; decorators do not count, an option is one.
    """

    name: str
    lines: int


@cache
def sources() -> dict[str, str]:
    """Text of each module by its path from the repository's root."""
    return {
        path.relative_to(ROOT).as_posix(): path.read_text()
        for path in sorted((ROOT / PACKAGE).rglob("*.py"))
    }


def room_of(path: str) -> str:
    """The room of a module: a folder of the package, or a module directly in it."""
    return path.split("/")[1].removesuffix(".py")


def layers() -> list[tuple[str, ...]]:
    """Rooms from top to bottom as import-linter is told; those of one layer are independent."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (contract,) = (c for c in config["contracts"] if c["type"] == "layers")
    return [tuple(room.strip() for room in layer.split("|")) for layer in contract["layers"]]


def files_by_room() -> dict[str, dict[str, int]]:
    """Lines of each file by its path, by room."""
    found: dict[str, dict[str, int]] = {}
    for path, text in sources().items():
        found.setdefault(room_of(path), {})[path] = len(text.splitlines())
    return found


def lines_by_room() -> dict[str, int]:
    """Lines of each room."""
    return {room: sum(files.values()) for room, files in files_by_room().items()}


def rooms_of_version_020() -> dict[str, tuple[int, str]]:
    """Lines in version 0.2.0 and the reason to have grown, by room; from the decisions page."""
    rows = re.findall(r"^\| `(\w+)` \| ([\d,]+) \| (.*?) ?\|$", DECISIONS.read_text(), re.MULTILINE)
    return {room: (int(lines.replace(",", "")), reason) for room, lines, reason in rows}


def lengths(*kinds: type[ast.AST]) -> Iterator[Length]:
    """Every class or function of these kinds, nested ones too."""
    for path, text in sources().items():
        yield from _lengths(ast.parse(text), f"{path}:", kinds)


def _lengths(node: ast.AST, prefix: str, kinds: tuple[type[ast.AST], ...]) -> Iterator[Length]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if isinstance(child, kinds):
                lines = (child.end_lineno or child.lineno) - child.lineno + 1
                yield Length(prefix + child.name, lines)
            yield from _lengths(child, f"{prefix}{child.name}.", kinds)
        else:
            yield from _lengths(child, prefix, kinds)


def imports() -> dict[str, set[str]]:
    """Rooms that each room imports: at the top of a module, in functions and for types alike."""
    found: dict[str, set[str]] = {room: set() for layer in layers() for room in layer}
    for path, text in sources().items():
        room = room_of(path)
        if room in found:  # __init__ and __main__ are no rooms
            found[room] |= {r for r in _imported(ast.parse(text)) if r in found and r != room}
    return found


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        yield from (name.split(".")[1] for name in names if name.startswith(f"{PACKAGE}."))


def direct(graph: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """The same graph without an arrow that a longer way says too (its transitive reduction).

    Args:
        graph: no circle in it.
    """

    @cache
    def below(room: str) -> frozenset[str]:
        return frozenset(graph[room]).union(*(below(other) for other in graph[room]))

    return {
        room: {r for r in rooms if not any(r in below(other) for other in rooms)}
        for room, rooms in graph.items()
    }


def picture() -> str:
    """Each room under those that import it, with the rooms that it rests on."""
    arrows = direct(imports())
    order = [room for layer in layers() for room in layer]
    width = max(map(len, order))
    lines = []
    for layer in layers():
        for i, room in enumerate(layer):
            side = _side(i, len(layer))
            below = ", ".join(other for other in order if other in arrows[room])
            lines.append(f"{side} {room:{width}} ── {below}" if below else f"{side} {room}")
    assert max(map(len, lines)) <= WIDTH
    return "\n".join(lines) + "\n"


def _side(i: int, n: int) -> str:
    if n == 1:
        return " "
    return "┌" if i == 0 else "└" if i == n - 1 else "│"


if __name__ == "__main__":
    PAGE.write_text(PICTURE.sub(lambda _: picture(), PAGE.read_text()))
    before = rooms_of_version_020()
    for room, lines in lines_by_room().items():
        print(f"{room:12} {lines:7,} {before.get(room, (0, ''))[0]:7,}")
    print(f"{'in all':12} {sum(lines_by_room().values()):7,}")
